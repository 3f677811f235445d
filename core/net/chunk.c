/// Runs of bytes that travel without being copied: <troupe/chunk.h>.
#include "core/net/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "core/actor/actor.h"

enum {
  /// Up to this size bytes are copied with the struct: one block of memory, and cheaper to copy
  /// again than to refer to.
  OWN_BYTES_MAX = 512,
};

static troupe_chunk_t *make(const void *bytes, size_t length);
static troupe_chunk_t *share(trp_frame_t *frame, const uint8_t *bytes, uint32_t length, bool alone);
static troupe_chunk_t *part_of(const troupe_chunk_t *chunk, uint32_t offset, uint32_t length);

int troupe_chunk_new(troupe_chunk_t **chunk, const void *bytes, size_t length) {
  if (trp_actor_current() == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (chunk == NULL || length > UINT32_MAX) {
    return TROUPE_EINVAL;
  }
  troupe_chunk_t *made = make(bytes, length);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  *chunk = made;
  return 0;
}

int troupe_chunk_adopt(troupe_chunk_t **chunk, void *bytes, size_t length,
                       void (*release)(void *bytes, void *context), void *context) {
  if (trp_actor_current() == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (chunk == NULL || release == NULL || (bytes == NULL && length > 0) || length > UINT32_MAX) {
    return TROUPE_EINVAL;
  }
  troupe_chunk_t *made = calloc(1, sizeof *made);
  trp_frame_t *frame = made == NULL ? NULL : trp_frame_adopt(bytes, length, release, context);
  if (frame == NULL) {
    free(made);
    return TROUPE_ENOMEM;
  }
  *made = (troupe_chunk_t){
      .frame = frame, .bytes = frame->bytes, .length = (uint32_t)length, .alone = true};
  *chunk = made;
  return 0;
}

int troupe_chunk_keep(const troupe_chunk_t *chunk, troupe_chunk_t **kept) {
  if (trp_actor_current() == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (chunk == NULL || kept == NULL) {
    return TROUPE_EINVAL;
  }
  troupe_chunk_t *made = trp_chunk_keep(chunk);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  *kept = made;
  return 0;
}

int troupe_chunk_slice(const troupe_chunk_t *chunk, size_t offset, size_t length,
                       troupe_chunk_t **part) {
  if (trp_actor_current() == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (chunk == NULL || part == NULL || offset > chunk->length || length > chunk->length - offset) {
    return TROUPE_EINVAL;
  }
  troupe_chunk_t *made = part_of(chunk, (uint32_t)offset, (uint32_t)length);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  *part = made;
  return 0;
}

const void *troupe_chunk_bytes(const troupe_chunk_t *chunk) {
  return chunk == NULL ? NULL : chunk->bytes;
}

size_t troupe_chunk_length(const troupe_chunk_t *chunk) {
  return chunk == NULL ? 0 : chunk->length;
}

void troupe_chunk_free(troupe_chunk_t **chunk) {
  if (chunk == NULL || *chunk == NULL) {
    return;
  }
  trp_frame_release((*chunk)->frame);
  free(*chunk);
  *chunk = NULL;
}

void trp_chunk_borrow(troupe_chunk_t *chunk, trp_frame_t *frame, uint32_t offset, uint32_t length) {
  *chunk = (troupe_chunk_t){
      .frame = frame,
      .bytes = frame == NULL ? NULL : frame->bytes + offset,
      .length = frame == NULL ? 0 : length,
  };
}

int trp_chunk_attach(const troupe_chunk_t *chunk, trp_out_t *out, trp_message_t *message) {
  if (chunk->length == 0) {
    return 0;
  }
  if (chunk->frame == NULL) {
    return trp_out_copy(out, message, chunk->bytes, chunk->length);
  }
  return trp_out_attach(out, message, chunk->frame, (uint32_t)(chunk->bytes - chunk->frame->bytes),
                        chunk->length);
}

troupe_chunk_t *trp_chunk_keep(const troupe_chunk_t *chunk) {
  return part_of(chunk, 0, chunk->length);
}

static troupe_chunk_t *part_of(const troupe_chunk_t *chunk, uint32_t offset, uint32_t length) {
  bool pins = !chunk->alone && length < TRP_PIN_MINIMUM;
  if (chunk->frame == NULL || length == 0 || pins) {
    return make(length == 0 ? NULL : chunk->bytes + offset, length);
  }
  return share(chunk->frame, chunk->bytes + offset, length, chunk->alone);
}

/// A chunk with memory of its own; zero bytes where `bytes` is NULL.
static troupe_chunk_t *make(const void *bytes, size_t length) {
  bool own = length <= OWN_BYTES_MAX;
  troupe_chunk_t *chunk = calloc(1, sizeof *chunk + (own ? length : 0));
  if (chunk == NULL) {
    return NULL;
  }
  chunk->length = (uint32_t)length;
  chunk->alone = true;
  uint8_t *target = (uint8_t *)(chunk + 1);
  if (!own) {
    chunk->frame = trp_frame_new(length);
    if (chunk->frame == NULL) {
      free(chunk);
      return NULL;
    }
    target = trp_frame_fill(chunk->frame);
    if (bytes == NULL) {
      memset(target, 0, length);
    }
  }
  if (bytes != NULL && length > 0) {
    memcpy(target, bytes, length);
  }
  chunk->bytes = target;
  return chunk;
}

static troupe_chunk_t *share(trp_frame_t *frame, const uint8_t *bytes, uint32_t length,
                             bool alone) {
  troupe_chunk_t *chunk = calloc(1, sizeof *chunk);
  if (chunk != NULL) {
    *chunk = (troupe_chunk_t){
        .frame = trp_frame_hold(frame), .bytes = bytes, .length = length, .alone = alone};
  }
  return chunk;
}
