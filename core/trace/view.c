/// Batches in records. Every length is compared with what the record has before it is used.
#include "core/trace/view.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/message/codec.h"

static int open_whole(trp_view_t *view, const uint8_t *body, size_t length);
static int open_cut(trp_view_t *view, const uint8_t *body, size_t length);
static int unpack(trp_view_t *view, const uint8_t *bytes, size_t length);
static const uint8_t *find_frame(const uint8_t *body, size_t count, uint32_t frame, size_t *size);

void trp_view_init(trp_view_t *view) {
  *view = (trp_view_t){0};
  trp_arena_init(&view->arena);
}

void trp_view_free(trp_view_t *view) {
  trp_arena_free(&view->arena);
  free(view->payloads);
  *view = (trp_view_t){0};
}

int trp_view_open(trp_view_t *view, uint16_t type, const uint8_t *body, size_t length) {
  view->batch = NULL;
  trp_arena_reset(&view->arena);
  bool cut = type == TRP_RECORD_IN_CUT || type == TRP_RECORD_OUT_CUT;
  int error = length < 4 ? TROUPE_EBADTRACE
              : cut      ? open_cut(view, body, length)
                         : open_whole(view, body, length);
  if (error != 0) {
    view->batch = NULL;
  }
  return error == TROUPE_EBADMESSAGE ? TROUPE_EBADTRACE : error;
}

static int open_whole(trp_view_t *view, const uint8_t *body, size_t length) {
  size_t count = trp_get_u32(body);
  if (count == 0 || count > (length - 4) / 4) {
    return TROUPE_EBADTRACE;
  }
  size_t at = 4 + 4 * count;
  for (size_t i = 0; i < count; i++) {
    size_t size = trp_get_u32(body + 4 + 4 * i);
    if (size > length - at) {
      return TROUPE_EBADTRACE;
    }
    at += size;
  }
  if (at != length) {
    return TROUPE_EBADTRACE;
  }
  int error = unpack(view, body + 4 + 4 * count, trp_get_u32(body + 4));
  if (error != 0) {
    return error;
  }
  // Messages name the frames in rising order, nearly always: each is looked for from the last one
  // on.
  uint32_t last = 0;
  size_t frame_size = 0;
  const uint8_t *frame = NULL;
  for (size_t i = 0; i < view->batch->n_messages; i++) {
    const trp_message_t *message = view->batch->messages[i];
    if (message->frame == 0) {
      if (message->length != 0 || message->offset != 0) {
        return TROUPE_EBADTRACE;
      }
      view->payloads[i] = (trp_viewed_t){0};
      continue;
    }
    if (message->frame >= count) {
      return TROUPE_EBADTRACE;
    }
    if (message->frame == last + 1 && last > 0) {
      frame += frame_size;
      frame_size = trp_get_u32(body + 4 + 4 * (size_t)message->frame);
    } else if (message->frame != last) {
      frame = find_frame(body, count, message->frame, &frame_size);
    }
    last = message->frame;
    if (message->offset > frame_size || message->length > frame_size - message->offset) {
      return TROUPE_EBADTRACE;
    }
    view->payloads[i] = (trp_viewed_t){.bytes = frame + message->offset, .kept = message->length};
  }
  return 0;
}

/// `frame` is below `count`; the sizes are checked already.
static const uint8_t *find_frame(const uint8_t *body, size_t count, uint32_t frame, size_t *size) {
  size_t at = 4 + 4 * count;
  for (uint32_t i = 0; i < frame; i++) {
    at += trp_get_u32(body + 4 + 4 * (size_t)i);
  }
  *size = trp_get_u32(body + 4 + 4 * (size_t)frame);
  return body + at;
}

static int open_cut(trp_view_t *view, const uint8_t *body, size_t length) {
  size_t size = trp_get_u32(body);
  if (size > length - 4) {
    return TROUPE_EBADTRACE;
  }
  int error = unpack(view, body + 4, size);
  if (error != 0) {
    return error;
  }
  size_t at = 4 + size;
  for (size_t i = 0; i < view->batch->n_messages; i++) {
    const trp_message_t *message = view->batch->messages[i];
    view->payloads[i] = (trp_viewed_t){0};
    if (message->frame == 0) {
      continue;
    }
    if (length - at < TRP_CUT_HEAD_SIZE) {
      return TROUPE_EBADTRACE;
    }
    size_t kept = trp_get_u32(body + at);
    if (kept > message->length || kept > length - at - TRP_CUT_HEAD_SIZE) {
      return TROUPE_EBADTRACE;
    }
    view->payloads[i] = (trp_viewed_t){.bytes = body + at + TRP_CUT_HEAD_SIZE,
                                       .kept = kept,
                                       .flags = trp_get_u32(body + at + 4),
                                       .hash = trp_get_u64(body + at + 8)};
    at += TRP_CUT_HEAD_SIZE + kept;
  }
  return at == length ? 0 : TROUPE_EBADTRACE;
}

static int unpack(trp_view_t *view, const uint8_t *bytes, size_t length) {
  int error = trp_codec_unpack(bytes, length, &view->arena, &view->batch);
  if (error != 0) {
    return error;
  }
  // As many as the envelope really has.
  size_t count = view->batch->n_messages;
  if (count > view->capacity) {
    trp_viewed_t *grown = realloc(view->payloads, 2 * count * sizeof *grown);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    view->payloads = grown;
    view->capacity = 2 * count;
  }
  return 0;
}

/// One frame for each payload.
static int parse_cut(const trp_view_t *view, const uint8_t *body, trp_in_t *in) {
  trp_frame_t *envelope = trp_frame_copy(body + 4, trp_get_u32(body));
  if (envelope == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_wire_batch_t *batch = NULL;
  int error = trp_in_push(in, envelope);
  if (error == 0) {
    error = trp_codec_unpack(envelope->bytes, envelope->size, &in->arena, &batch);
  } else {
    trp_frame_release(envelope);
  }
  uint32_t frames = 0;
  for (size_t i = 0; error == 0 && i < batch->n_messages; i++) {
    trp_message_t *message = batch->messages[i];
    const trp_viewed_t *payload = &view->payloads[i];
    if (payload->bytes == NULL) {
      continue;
    }
    if (payload->kept < message->length) {
      message->kind = TRP_KIND(KIND_NONE); // nobody can be told half of it
      message->frame = message->offset = message->length = 0;
      continue;
    }
    trp_frame_t *frame = trp_frame_copy(payload->bytes, payload->kept);
    error = frame == NULL ? TROUPE_ENOMEM : trp_in_push(in, frame);
    if (error != 0) {
      trp_frame_release(frame);
      return error;
    }
    message->frame = ++frames;
    message->offset = 0;
  }
  in->batch = error == 0 ? batch : NULL;
  return error;
}

int trp_parse_record(uint16_t type, const uint8_t *body, size_t length, trp_in_t *in) {
  if (type != TRP_RECORD_IN_CUT && type != TRP_RECORD_OUT_CUT) {
    return trp_parse_batch(body, length, in);
  }
  trp_view_t view;
  trp_view_init(&view);
  int error = trp_view_open(&view, type, body, length);
  if (error == 0) {
    error = parse_cut(&view, body, in);
  }
  trp_view_free(&view);
  return error == TROUPE_EBADMESSAGE ? TROUPE_EBADTRACE : error;
}

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash ^= word * UINT64_C(0x9fb21c651e98df25);
  hash = hash << 29 | hash >> 35;
  return hash * UINT64_C(0xc2b2ae3d27d4eb4f);
}

uint64_t trp_payload_hash(const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  uint64_t hash = mix(UINT64_C(0x27d4eb2f165667c5), length);
  for (size_t left = length; left > 0;) {
    uint8_t word[8] = {0};
    size_t part = left < sizeof word ? left : sizeof word;
    memcpy(word, at, part);
    hash = mix(hash, trp_get_u64(word));
    at += part;
    left -= part;
  }
  hash ^= hash >> 32;
  hash *= UINT64_C(0xd6e8feb86659fd93);
  return hash ^ hash >> 32;
}
