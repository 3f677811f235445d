/// Frames are zmq messages in a counted shell. The shells come from a list of the thread's own, so
/// that a batch takes no malloc for them.
#include "core/message/frame.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/message/frame_zmq.h"
#include "core/message/sanitizers.h"

_Static_assert(sizeof(zmq_msg_t) <= sizeof(((trp_frame_t *)NULL)->message), "a zmq_msg_t fits");

enum { SPARE_MAX = 256 };

typedef struct {
  void (*release)(void *, void *);
  void *context;
} adopted_t;

/// Shells that wait to be used again. Threads that end give theirs back through
/// trp_frame_thread_end().
static _Thread_local struct {
  trp_frame_t *list;
  unsigned count;
} spare;

static trp_frame_t *take_shell(void) {
  trp_frame_t *frame = spare.list;
  if (frame != NULL) {
    memcpy(&spare.list, frame->message, sizeof spare.list);
    spare.count--;
  } else {
    frame = malloc(sizeof *frame);
    if (frame == NULL) {
      return NULL;
    }
  }
  frame->refs = 1;
  frame->out_index = 0;
  frame->out_serial = 0;
  frame->tape = 0;
  return frame;
}

static void give_shell(trp_frame_t *frame) {
  if (spare.count >= SPARE_MAX) {
    free(frame);
    return;
  }
  memcpy(frame->message, &spare.list, sizeof spare.list);
  spare.list = frame;
  spare.count++;
}

void trp_frame_thread_end(void) {
  while (spare.list != NULL) {
    trp_frame_t *frame = spare.list;
    memcpy(&spare.list, frame->message, sizeof spare.list);
    free(frame);
  }
  spare.count = 0;
}

static zmq_msg_t *zmq_of(trp_frame_t *frame) {
  return (zmq_msg_t *)(void *)frame->message;
}

static trp_frame_t *look(trp_frame_t *frame) {
  frame->bytes = zmq_msg_data(zmq_of(frame));
  frame->size = zmq_msg_size(zmq_of(frame));
  return frame;
}

trp_frame_t *trp_frame_new(size_t size) {
  trp_frame_t *frame = take_shell();
  if (frame == NULL) {
    return NULL;
  }
  if (zmq_msg_init_size(zmq_of(frame), size) != 0) {
    give_shell(frame);
    return NULL;
  }
  return look(frame);
}

trp_frame_t *trp_frame_copy(const void *bytes, size_t size) {
  trp_frame_t *frame = trp_frame_new(size);
  if (frame != NULL && size > 0) {
    memcpy(trp_frame_fill(frame), bytes, size);
  }
  return frame;
}

static void release_block(void *bytes, void *block) {
  TRP_TSAN_ACQUIRE(bytes);
  (void)bytes;
  trp_block_release(block);
}

trp_frame_t *trp_frame_of_block(trp_block_t *block, uint32_t offset, uint32_t length) {
  trp_frame_t *frame = take_shell();
  if (frame == NULL) {
    return NULL;
  }
  trp_block_hold(block);
  if (zmq_msg_init_data(zmq_of(frame), block->bytes + offset, length, release_block, block) != 0) {
    trp_block_release(block);
    give_shell(frame);
    return NULL;
  }
  return look(frame);
}

static void release_adopted(void *bytes, void *hint) {
  adopted_t *adopted = hint;
  TRP_TSAN_ACQUIRE(bytes);
  if (adopted->release != NULL) {
    adopted->release(bytes, adopted->context);
  }
  free(adopted);
}

trp_frame_t *trp_frame_adopt(void *bytes, size_t size, void (*release)(void *, void *),
                             void *context) {
  trp_frame_t *frame = take_shell();
  adopted_t *adopted = malloc(sizeof *adopted);
  if (frame == NULL || adopted == NULL) {
    goto failed;
  }
  *adopted = (adopted_t){.release = release, .context = context};
  if (zmq_msg_init_data(zmq_of(frame), bytes, size, release_adopted, adopted) != 0) {
    goto failed;
  }
  return look(frame);
failed:
  free(adopted);
  if (frame != NULL) {
    give_shell(frame);
  }
  return NULL;
}

void *trp_frame_fill(trp_frame_t *frame) {
  return zmq_msg_data(zmq_of(frame));
}

trp_frame_t *trp_frame_hold(trp_frame_t *frame) {
  frame->refs++;
  return frame;
}

void trp_frame_release(trp_frame_t *frame) {
  if (frame == NULL || --frame->refs > 0) {
    return;
  }
  // Frames of several threads may share their bytes; whoever drops the last one frees them.
  // ThreadSanitizer cannot see libzmq count.
  TRP_TSAN_RELEASE((void *)(uintptr_t)frame->bytes);
  zmq_msg_close(zmq_of(frame));
  give_shell(frame);
}

trp_frame_t *trp_frame_receive(void *socket, int flags) {
  trp_frame_t *frame = take_shell();
  if (frame == NULL) {
    return NULL;
  }
  zmq_msg_init(zmq_of(frame));
  if (zmq_msg_recv(zmq_of(frame), socket, flags) < 0) {
    int saved = zmq_errno();
    zmq_msg_close(zmq_of(frame));
    give_shell(frame);
    errno = saved;
    return NULL;
  }
  return look(frame);
}

int trp_frame_send(trp_frame_t *frame, void *socket, int flags) {
  zmq_msg_t copy;
  zmq_msg_init(&copy);
  if (zmq_msg_copy(&copy, zmq_of(frame)) != 0) {
    return -1;
  }
  if (zmq_msg_send(&copy, socket, flags) < 0) {
    int saved = zmq_errno();
    zmq_msg_close(&copy);
    errno = saved;
    return -1;
  }
  // A short message lies inside its shell, and copying copies it.
  look(frame);
  return 0;
}

bool trp_frame_more(trp_frame_t *frame) {
  return zmq_msg_more(zmq_of(frame)) != 0;
}
