// Of the tests of traces: a trace in memory, to be changed and written again.

#ifndef TRP_TESTS_TAPE_H_INCLUDED
#define TRP_TESTS_TAPE_H_INCLUDED

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message/id.h"
#include "core/trace/causes.h"
#include "core/trace/crc.h"
#include "core/trace/reader.h"
#include "tests/harness/harness.h"

typedef struct {
  trp_record_head_t head;
  uint8_t *body;
} trp_tape_record_t;

typedef struct {
  uint32_t flags;
  trp_tape_record_t *records;
  size_t count;
} trp_tape_t;

// A record goes in front of the one at `at`; its body is copied.
static inline void trp_tape_insert(trp_tape_t *tape, size_t at, trp_record_head_t head,
                                   const void *body) {
  tape->records = realloc(tape->records, (tape->count + 1) * sizeof *tape->records);
  assert_non_null(tape->records);
  memmove(&tape->records[at + 1], &tape->records[at], (tape->count - at) * sizeof *tape->records);
  tape->count++;
  tape->records[at] = (trp_tape_record_t){.head = head, .body = malloc(head.length + 1)};
  assert_non_null(tape->records[at].body);
  memcpy(tape->records[at].body, body, head.length);
}

static inline void trp_tape_remove(trp_tape_t *tape, size_t at) {
  free(tape->records[at].body);
  tape->count--;
  memmove(&tape->records[at], &tape->records[at + 1], (tape->count - at) * sizeof *tape->records);
}

static inline void trp_tape_free(trp_tape_t *tape) {
  while (tape->count > 0) {
    trp_tape_remove(tape, tape->count - 1);
  }
  free(tape->records);
  *tape = (trp_tape_t){0};
}

static inline trp_tape_t trp_tape_load(const char *path) {
  trp_tape_t tape = {0};
  trp_reader_t *reader = NULL;
  assert_int_equal(trp_reader_open(path, &reader), 0);
  tape.flags = trp_reader_header(reader)->flags;
  trp_record_t record;
  int result;
  while ((result = trp_reader_next(reader, &record)) == 1) {
    trp_tape_insert(&tape, tape.count, record.head, record.body);
  }
  assert_int_equal(result, 0);
  trp_reader_close(&reader);
  return tape;
}

// Sequences and checksums are made anew.
static inline void trp_tape_save(const trp_tape_t *tape, const char *path) {
  remove(path); // some file systems write to the disk at once what is written over a file
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  uint8_t header[TRP_TRACE_HEADER_SIZE];
  trp_format_header(header, tape->flags, 0);
  assert_int_equal(fwrite(header, sizeof header, 1, file), 1);
  for (size_t i = 0; i < tape->count; i++) {
    trp_record_head_t head = tape->records[i].head;
    uint8_t bytes[TRP_RECORD_HEAD_SIZE];
    head.sequence = i + 1;
    head.checksum = trp_crc(trp_record_checksum(&head), tape->records[i].body, head.length);
    trp_format_head(bytes, &head);
    assert_int_equal(fwrite(bytes, sizeof bytes, 1, file), 1);
    assert_int_equal(fwrite(tape->records[i].body, 1, head.length, file), head.length);
  }
  assert_int_equal(fclose(file), 0);
}

// Writes down after which events the messages were made that are put together in a batch.
typedef struct {
  uint64_t *pairs;
  size_t count;
  uint64_t sender, sequence;
  bool known;
} trp_tape_causes_t;

static inline void trp_tape_add_cause(trp_tape_causes_t *causes, const trp_causes_t *cause,
                                      bool known) {
  uint64_t step = cause->sequence - causes->sequence;
  if (cause->sender != causes->sender) {
    causes->pairs[causes->count++] = 0;
    causes->pairs[causes->count++] = trp_id_creator(cause->sender);
    step = cause->sequence;
  }
  causes->pairs[causes->count++] = 1;
  causes->pairs[causes->count++] = step << 1 ^ (step >> 63 == 0 ? 0 : UINT64_MAX);
  causes->sender = cause->sender;
  causes->sequence = cause->sequence;
  causes->known = causes->known && known;
}

static inline void trp_tape_add_causes(trp_tape_causes_t *causes, const trp_wire_batch_t *batch,
                                       size_t begin, size_t end) {
  trp_causes_t cause;
  trp_causes_begin(&cause, batch);
  for (size_t i = 0; i < end; i++) {
    bool known = trp_causes_next(&cause);
    if (i >= begin) {
      trp_tape_add_cause(causes, &cause, known);
    }
  }
}

// The messages from `begin` to `end` of a batch become a record's body, with the frames that they
// name. `more` (NULL is fine) is a batch whose messages come behind them.
static inline void trp_tape_set_batch(trp_tape_record_t *record, const trp_in_t *in, size_t begin,
                                      size_t end, const trp_in_t *more) {
  size_t count = end - begin + (more == NULL ? 0 : more->batch->n_messages);
  trp_wire_batch_t batch = *in->batch;
  trp_message_t **messages = calloc(count + 1, sizeof *messages);
  const trp_frame_t **frames = calloc(count + 1, sizeof *frames);
  size_t frame_count = 0;
  size_t payload = 0;
  assert_non_null(messages);
  assert_non_null(frames);
  for (size_t i = 0; i < count; i++) {
    const trp_in_t *source = i < end - begin ? in : more;
    size_t index = i < end - begin ? begin + i : i - (end - begin);
    trp_message_t *message = source->batch->messages[index];
    const trp_frame_t *frame = trp_in_frame(source, message);
    messages[i] = message;
    if (frame != NULL) {
      size_t at = 0;
      while (at < frame_count && frames[at] != frame) {
        at++;
      }
      if (at == frame_count) {
        frames[frame_count++] = frame;
        payload += frame->size;
      }
      message->frame = (uint32_t)at + 1;
    }
  }
  batch.messages = messages;
  batch.n_messages = count;
  batch.first_sequence += begin;
  trp_tape_causes_t causes = {.pairs = calloc(4 * (count + 1), sizeof *causes.pairs),
                              .sender = batch.cause_sender,
                              .sequence = batch.cause_sequence,
                              .known = true};
  assert_non_null(causes.pairs);
  trp_tape_add_causes(&causes, in->batch, begin, end);
  if (more != NULL) {
    trp_tape_add_causes(&causes, more->batch, 0, more->batch->n_messages);
  }
  batch.causes = causes.pairs;
  batch.n_causes = causes.known ? causes.count : 0;
  size_t envelope = troupe__wire__batch__get_packed_size(&batch);
  size_t length = 4 + 4 * (1 + frame_count) + envelope + payload;
  uint8_t *body = malloc(length);
  assert_non_null(body);
  trp_put_u32(body, (uint32_t)(1 + frame_count));
  trp_put_u32(body + 4, (uint32_t)envelope);
  uint8_t *at = body + 4 + 4 * (1 + frame_count);
  troupe__wire__batch__pack(&batch, at);
  at += envelope;
  for (size_t i = 0; i < frame_count; i++) {
    trp_put_u32(body + 8 + 4 * i, (uint32_t)frames[i]->size);
    memcpy(at, frames[i]->bytes, frames[i]->size);
    at += frames[i]->size;
  }
  free(causes.pairs);
  free(messages);
  free(frames);
  free(record->body);
  record->body = body;
  record->head.length = length;
}

// As in a trace that an earlier version wrote: of a batch only the first message's cause is there.
static inline void trp_tape_forget_causes(trp_tape_t *tape) {
  for (size_t i = 0; i < tape->count; i++) {
    if (tape->records[i].head.type == TRP_RECORD_OUT) {
      trp_in_t in;
      trp_in_init(&in);
      assert_int_equal(trp_parse_batch(tape->records[i].body, tape->records[i].head.length, &in),
                       0);
      in.batch->n_causes = 0;
      trp_tape_set_batch(&tape->records[i], &in, 0, in.batch->n_messages, NULL);
      trp_in_free(&in);
    }
  }
}

// Splits the batch at `at` in front of its message `message`.
static inline void trp_tape_split(trp_tape_t *tape, size_t at, size_t message) {
  trp_in_t in;
  trp_in_init(&in);
  trp_tape_insert(tape, at + 1, tape->records[at].head, tape->records[at].body);
  assert_int_equal(trp_parse_batch(tape->records[at].body, tape->records[at].head.length, &in), 0);
  trp_tape_set_batch(&tape->records[at + 1], &in, message, in.batch->n_messages, NULL);
  trp_tape_set_batch(&tape->records[at], &in, 0, message, NULL);
  trp_in_free(&in);
}

// Makes one batch of the one at `at` and the later one at `other`.
static inline void trp_tape_merge(trp_tape_t *tape, size_t at, size_t other) {
  trp_in_t in;
  trp_in_t more;
  trp_in_init(&in);
  trp_in_init(&more);
  assert_int_equal(trp_parse_batch(tape->records[at].body, tape->records[at].head.length, &in), 0);
  assert_int_equal(
      trp_parse_batch(tape->records[other].body, tape->records[other].head.length, &more), 0);
  trp_tape_set_batch(&tape->records[at], &in, 0, in.batch->n_messages, &more);
  trp_in_free(&in);
  trp_in_free(&more);
  trp_tape_remove(tape, other);
}

static inline size_t trp_tape_messages(const trp_tape_record_t *record) {
  trp_in_t in;
  trp_in_init(&in);
  assert_int_equal(trp_parse_batch(record->body, record->head.length, &in), 0);
  size_t count = in.batch->n_messages;
  trp_in_free(&in);
  return count;
}

// Splits and merges batches at random, as often as they may be: pieces of one batch (the same
// sender, and the same clock, which is one value for a batch) may be merged again; batches that
// were sent, if no batch was taken in between.
static inline void trp_tape_shuffle(trp_tape_t *tape, trp_test_random_t *random) {
  for (size_t i = 0; i < tape->count; i++) {
    uint16_t type = tape->records[i].head.type;
    if (type != TRP_RECORD_IN && type != TRP_RECORD_OUT) {
      continue;
    }
    size_t messages = trp_tape_messages(&tape->records[i]);
    if (messages > 1 && trp_test_random_below(random, 2) == 0) {
      trp_tape_split(tape, i, 1 + (size_t)trp_test_random_below(random, messages - 1));
    }
  }
  for (size_t i = 0; i < tape->count; i++) {
    uint16_t type = tape->records[i].head.type;
    if (type != TRP_RECORD_IN && type != TRP_RECORD_OUT) {
      continue;
    }
    for (size_t k = i + 1; k < tape->count && tape->records[k].head.type != TRP_RECORD_END; k++) {
      const trp_record_head_t *head = &tape->records[i].head;
      const trp_record_head_t *other = &tape->records[k].head;
      bool same = other->type == type && other->subject == head->subject &&
                  (type == TRP_RECORD_OUT || other->clock_ns == head->clock_ns);
      if (same && trp_test_random_below(random, 2) == 0) {
        trp_tape_merge(tape, i, k);
        k--;
      } else if (same || other->type == TRP_RECORD_IN) {
        break;
      }
    }
  }
}

#endif
