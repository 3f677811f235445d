/// Private. Chunks as the library sees them: a run of bytes in a frame, or, when it is small, bytes
/// of its own.
#ifndef TRP_CHUNK_H_INCLUDED
#define TRP_CHUNK_H_INCLUDED

#include <troupe/chunk.h>

#include "core/message/batch.h"

struct troupe_chunk {
  trp_frame_t *frame; // NULL: the bytes lie behind this struct, or there are none, or it is
                      // borrowed for a callback and they are its caller's
  const uint8_t *bytes;
  uint32_t length;
  bool alone; // the frame holds nothing else, so keeping it pins no memory of others
};

/// Fills a chunk that lives in a callback's caller; needs no release. `frame` NULL: without bytes.
void trp_chunk_borrow(troupe_chunk_t *chunk, trp_frame_t *frame, uint32_t offset, uint32_t length);

/// Makes the bytes the message's payload, by reference where there is a frame. Returns 0 or
/// TROUPE_ENOMEM.
int trp_chunk_attach(const troupe_chunk_t *chunk, trp_out_t *out, trp_message_t *message);

/// What troupe_chunk_keep() does, for those who know that they are in an actor. NULL: no memory.
troupe_chunk_t *trp_chunk_keep(const troupe_chunk_t *chunk);

#endif
