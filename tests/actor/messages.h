// Messages that the tests of them send, and actors that answer.
#ifndef TRP_TESTS_ACTOR_MESSAGES_H_INCLUDED
#define TRP_TESTS_ACTOR_MESSAGES_H_INCLUDED

#include <string.h>

#include "tests/actor/scene.h"

enum { CREDIT = 1024 }; // of messages from one actor to another

static inline bool is_text(const troupe_chunk_t *message, const char *text) {
  return troupe_chunk_length(message) == strlen(text) &&
         memcmp(troupe_chunk_bytes(message), text, strlen(text)) == 0;
}

// Message `i` of a stream: its number, and then as many bytes as that makes.
static inline size_t make_message(uint32_t i, uint8_t *bytes) {
  static const size_t lengths[] = {4, 0, 29, 33, 34, 1000, 20000, 70000};
  size_t length = sizeof i + lengths[i % 8];
  memcpy(bytes, &i, sizeof i);
  memset(bytes + sizeof i, (int)(i % 251), length - sizeof i);
  return length;
}

static inline void note_nothing(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
}

static inline void answer(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)context;
  expect(troupe_send_chunk(from, message) == 0);
}

static inline int answering_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_message(answer, NULL) == 0);
  return troupe_actor_run();
}

#endif
