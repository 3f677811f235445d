// Inboxes and their addresses for the tests of the pipes.
#ifndef TRP_TESTS_MESSAGE_INBOXES_H_INCLUDED
#define TRP_TESTS_MESSAGE_INBOXES_H_INCLUDED

#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/message/pipes.h"
#include "tests/harness/harness.h"

enum { RECEIVER = 100, SENDERS = 4 };

static inline uint64_t actor(uint32_t number) {
  return trp_id_actor(number);
}

static inline trp_inbox_t *open_inbox(trp_hub_t *hub, uint32_t number) {
  trp_inbox_t *inbox = NULL;
  return trp_pipes_open(hub, actor(number), &inbox) == 0 ? inbox : NULL;
}

static inline int end_frames(void **state) {
  (void)state;
  trp_frame_thread_end();
  return 0;
}

#endif
