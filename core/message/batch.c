/// Batches: filling them, packing them, and opening those that came.
#include "core/message/batch.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/message/codec.h"
#include "core/message/credit.h"
#include "core/message/id.h"

/// Every batch of a thread has its own number, by which a frame knows whether the batch has it
/// already.
static _Thread_local uint64_t last_serial;

static int grow(void **list, size_t *capacity, size_t item_size);
static int push_frame(trp_out_t *out, trp_frame_t *frame, uint32_t *index);
static int close_region(trp_out_t *out);
static int pack_causes(trp_out_t *out, trp_wire_batch_t *batch);
static int check_payloads(const trp_in_t *in, const trp_wire_batch_t *batch);

void trp_out_init(trp_out_t *out, uint64_t sender, uint64_t to, trp_pool_t *pool) {
  *out = (trp_out_t){.to = to, .sender = sender, .next_sequence = 1, .pool = pool};
  out->serial = ++last_serial;
  trp_arena_init(&out->arena);
}

void trp_out_free(trp_out_t *out) {
  trp_out_reset(out);
  trp_arena_free(&out->arena);
  free(out->messages);
  free(out->frames);
  free(out->runs);
  out->messages = NULL;
  out->frames = NULL;
  out->runs = NULL;
  out->capacity = out->frame_capacity = out->run_capacity = 0;
}

trp_message_t *trp_out_add(trp_out_t *out, Troupe__Wire__Kind kind, uint64_t subject) {
  if (out->count == out->capacity &&
      grow((void **)&out->messages, &out->capacity, sizeof *out->messages) != 0) {
    return NULL;
  }
  trp_message_t *message = trp_arena_take(&out->arena, sizeof *message);
  if (message == NULL) {
    return NULL;
  }
  *message = (trp_message_t)TROUPE__WIRE__MESSAGE__INIT;
  message->kind = kind;
  message->subject = subject;
  out->messages[out->count++] = message;
  return message;
}

void trp_out_note_cause(trp_out_t *out, uint64_t sender, uint64_t sequence) {
  while (out->run_count > 0 && out->runs[out->run_count - 1].begin >= out->count) {
    out->run_count--; // its messages were taken back
  }
  const trp_cause_run_t *last = out->run_count == 0 ? NULL : &out->runs[out->run_count - 1];
  if (last != NULL && last->sender == sender && last->sequence == sequence) {
    return;
  }
  if (out->run_count == out->run_capacity &&
      grow((void **)&out->runs, &out->run_capacity, sizeof *out->runs) != 0) {
    out->run_count = 0; // nothing is better than something wrong
    return;
  }
  out->runs[out->run_count++] = (trp_cause_run_t){
      .begin = out->count, .sender = sender, .sequence = sequence};
}

void trp_out_undo(trp_out_t *out) {
  out->count--;
}

void *trp_out_take(trp_out_t *out, size_t size) {
  void *piece = trp_arena_take(&out->arena, size);
  if (piece != NULL) {
    memset(piece, 0, size);
  }
  return piece;
}

char *trp_out_text(trp_out_t *out, const char *text) {
  size_t length = text == NULL ? 0 : strlen(text);
  char *copy = trp_arena_take(&out->arena, length + 1);
  if (copy != NULL) {
    memcpy(copy, text == NULL ? "" : text, length);
    copy[length] = '\0';
  }
  return copy;
}

uint8_t *trp_out_reserve(trp_out_t *out, size_t minimum, size_t *room) {
  if (out->block != NULL && TRP_BLOCK_SIZE - out->block->used < minimum) {
    if (close_region(out) != 0) {
      return NULL;
    }
    trp_pool_give(out->pool, out->block);
    out->block = NULL;
  }
  if (out->block == NULL) {
    out->block = trp_pool_take(out->pool, minimum);
    if (out->block == NULL) {
      return NULL;
    }
  }
  *room = TRP_BLOCK_SIZE - out->block->used;
  return out->block->bytes + out->block->used;
}

int trp_out_commit(trp_out_t *out, trp_message_t *message, uint32_t length) {
  if (!out->region_open) {
    uint32_t index = 0;
    int error = push_frame(out, NULL, &index);
    if (error != 0) {
      return error;
    }
    out->region_open = true;
    out->region_index = index;
    out->region_start = out->block->used;
  }
  message->frame = out->region_index + 1;
  message->offset = out->block->used - out->region_start;
  message->length = length;
  out->block->used += length;
  return 0;
}

int trp_out_copy(trp_out_t *out, trp_message_t *message, const void *bytes, size_t length) {
  if (length > UINT32_MAX) {
    return TROUPE_EINVAL; // `length` has 32 bits on the wire
  }
  if (length <= TRP_BLOCK_SIZE) { // memory that has been used before, and that no malloc maps anew
    size_t room = 0;
    uint8_t *target = trp_out_reserve(out, length, &room);
    if (target == NULL) {
      return TROUPE_ENOMEM;
    }
    if (length > 0) {
      memcpy(target, bytes, length);
    }
    return trp_out_commit(out, message, (uint32_t)length);
  }
  trp_frame_t *frame = trp_frame_copy(bytes, length);
  if (frame == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = trp_out_attach(out, message, frame, 0, (uint32_t)length);
  trp_frame_release(frame);
  return error;
}

int trp_out_attach(trp_out_t *out, trp_message_t *message, trp_frame_t *frame, uint32_t offset,
                   uint32_t length) {
  if (frame->out_serial != out->serial) {
    uint32_t index = 0;
    int error = push_frame(out, trp_frame_hold(frame), &index);
    if (error != 0) {
      trp_frame_release(frame);
      return error;
    }
    frame->out_serial = out->serial;
    frame->out_index = index;
  }
  message->frame = frame->out_index + 1;
  message->offset = offset;
  message->length = length;
  return 0;
}

int trp_out_pack(trp_out_t *out) {
  int error = close_region(out);
  if (error != 0) {
    return error;
  }
  trp_wire_batch_t batch = TROUPE__WIRE__BATCH__INIT;
  batch.sender = out->sender;
  batch.first_sequence = out->next_sequence;
  batch.cause_sender = out->cause_sender;
  batch.cause_sequence = out->cause_sequence;
  batch.window = out->window;
  batch.n_messages = out->count;
  batch.messages = out->messages;
  error = pack_causes(out, &batch);
  if (error != 0) {
    return error;
  }
  uint8_t *packed = trp_arena_take(&out->arena, trp_codec_bound(&batch));
  if (packed == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_frame_t *envelope = trp_frame_copy(packed, trp_codec_pack(&batch, packed));
  if (envelope == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_frame_release(out->envelope);
  out->envelope = envelope;
  return 0;
}

/// As proto/troupe.proto has it.
static int pack_causes(trp_out_t *out, trp_wire_batch_t *batch) {
  if (out->count < 2 || out->run_count == 0 || out->runs[0].begin > 0) {
    return 0;
  }
  uint64_t *causes = trp_arena_take(&out->arena, 4 * out->run_count * sizeof *causes);
  if (causes == NULL) {
    return TROUPE_ENOMEM;
  }
  uint64_t sender = out->cause_sender;
  uint64_t sequence = out->cause_sequence;
  size_t count = 0;
  for (size_t i = 0; i < out->run_count; i++) {
    const trp_cause_run_t *run = &out->runs[i];
    size_t end = i + 1 < out->run_count ? out->runs[i + 1].begin : out->count;
    if (run->sender != sender) {
      sender = run->sender;
      sequence = 0;
      causes[count++] = 0;
      causes[count++] = trp_id_creator(sender);
    }
    uint64_t step = run->sequence - sequence;
    sequence = run->sequence;
    causes[count++] = end - run->begin;
    causes[count++] = step << 1 ^ (step >> 63 == 0 ? 0 : UINT64_MAX);
  }
  batch->causes = causes;
  batch->n_causes = count;
  return 0;
}

void trp_out_reset(trp_out_t *out) {
  for (size_t i = 0; i < out->frame_count; i++) {
    trp_frame_release(out->frames[i]);
  }
  out->frame_count = 0;
  out->region_open = false;
  if (out->block != NULL) {
    trp_pool_give(out->pool, out->block);
    out->block = NULL;
  }
  trp_frame_release(out->envelope);
  out->envelope = NULL;
  out->next_sequence += out->count;
  out->count = out->run_count = 0;
  out->serial = ++last_serial;
  trp_arena_reset(&out->arena);
}

uint64_t trp_out_last_serial(void) {
  return last_serial;
}

void trp_out_set_last_serial(uint64_t serial) {
  last_serial = serial;
}

/// What was committed becomes a frame.
static int close_region(trp_out_t *out) {
  if (!out->region_open) {
    return 0;
  }
  trp_frame_t *frame = trp_frame_of_block(out->block, out->region_start,
                                          out->block->used - out->region_start);
  if (frame == NULL) {
    return TROUPE_ENOMEM;
  }
  out->frames[out->region_index] = frame;
  out->region_open = false;
  return 0;
}

static int push_frame(trp_out_t *out, trp_frame_t *frame, uint32_t *index) {
  if (out->frame_count == out->frame_capacity) {
    int error = grow((void **)&out->frames, &out->frame_capacity, sizeof *out->frames);
    if (error != 0) {
      return error;
    }
  }
  *index = (uint32_t)out->frame_count;
  out->frames[out->frame_count++] = frame;
  return 0;
}

static int grow(void **list, size_t *capacity, size_t item_size) {
  size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
  void *grown = realloc(*list, wanted * item_size);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  *list = grown;
  *capacity = wanted;
  return 0;
}

void trp_in_init(trp_in_t *in) {
  *in = (trp_in_t){0};
  trp_arena_init(&in->arena);
}

void trp_in_free(trp_in_t *in) {
  trp_in_reset(in);
  trp_arena_free(&in->arena);
  free(in->frames);
  *in = (trp_in_t){0};
}

void trp_in_reset(trp_in_t *in) {
  for (size_t i = 0; i < in->frame_count; i++) {
    trp_frame_release(in->frames[i]);
  }
  in->frame_count = 0;
  trp_frame_release(in->envelope);
  in->envelope = NULL;
  in->batch = NULL;
  trp_arena_reset(&in->arena);
}

int trp_in_push(trp_in_t *in, trp_frame_t *frame) {
  if (in->envelope == NULL) {
    in->envelope = frame;
    return 0;
  }
  if (in->frame_count == in->frame_capacity) {
    int error = grow((void **)&in->frames, &in->frame_capacity, sizeof *in->frames);
    if (error != 0) {
      return error;
    }
  }
  in->frames[in->frame_count++] = frame;
  return 0;
}

int trp_in_open(trp_in_t *in) {
  if (in->envelope == NULL) {
    return TROUPE_EBADMESSAGE;
  }
  trp_wire_batch_t *batch = NULL;
  int error = trp_codec_unpack(in->envelope->bytes, in->envelope->size, &in->arena, &batch);
  if (error == 0) {
    error = check_payloads(in, batch);
  }
  if (error == 0) {
    in->batch = batch;
  }
  return error;
}

/// Every payload lies within a frame that came along.
static int check_payloads(const trp_in_t *in, const trp_wire_batch_t *batch) {
  for (size_t i = 0; i < batch->n_messages; i++) {
    const trp_message_t *message = batch->messages[i];
    if (message->frame == 0) {
      if (message->length != 0 || message->offset != 0) {
        return TROUPE_EBADMESSAGE;
      }
      continue;
    }
    if (message->frame > in->frame_count) {
      return TROUPE_EBADMESSAGE;
    }
    size_t size = in->frames[message->frame - 1]->size;
    if (message->offset > size || message->length > size - message->offset) {
      return TROUPE_EBADMESSAGE;
    }
  }
  return 0;
}
