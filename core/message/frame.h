/// Private. Frames: immutable payload memory as it crosses a pipe, counted by the thread that holds
/// it.
#ifndef TRP_FRAME_H_INCLUDED
#define TRP_FRAME_H_INCLUDED

#include "core/message/pool.h"

/// Not shared between threads: each side of a pipe has a frame of its own on the same bytes.
typedef struct trp_frame {
  const uint8_t *bytes;
  size_t size;
  uint32_t refs;
  uint32_t out_index; // where the batch that is being filled (out_serial) has it already
  uint64_t out_serial;
  uint64_t tape, record; // of a recording (0: none): which, and its record that has the bytes,
  uint32_t record_at;    // from there on in its body (core/trace/tap.c)
  _Alignas(8) unsigned char message[64]; // a zmq_msg_t
} trp_frame_t;

/// One reference each. NULL: no memory (what was to be consumed is not).
trp_frame_t *trp_frame_new(size_t size); // bytes to be filled through trp_frame_fill()
trp_frame_t *trp_frame_copy(const void *bytes, size_t size);
trp_frame_t *trp_frame_of_block(trp_block_t *block, uint32_t offset, uint32_t length); // holds the
                                                                                       // block
trp_frame_t *trp_frame_adopt(void *bytes, size_t size, void (*release)(void *, void *),
                             void *context);

void *trp_frame_fill(trp_frame_t *frame);
trp_frame_t *trp_frame_hold(trp_frame_t *frame); // returns it
void trp_frame_release(trp_frame_t *frame);      // NULL is fine

#endif
