#include "core/trace/prefix.h"

#include <string.h>
#include <troupe/error.h>

#include "core/message/codec.h"
#include "core/trace/calls.h"
#include "core/trace/queue.h"
#include "core/trace/reader.h"
#include "core/trace/view.h"

/// A call is recorded behind the batch that made it, or, where the actor waited for something inside
/// of a callback, behind some that it took meanwhile.
enum { LOOK_AHEAD = 4096 }; // records

struct trp_prefix {
  trp_reader_t *reader;
  trp_start_t start;
  void *argument;
  trp_queue_t batches, calls;
  uint64_t given, events;
  int64_t clock_ns;
  bool at_end;
};

static int read_start(trp_prefix_t *prefix);
static int read_on(trp_prefix_t *prefix);
static int shorten(trp_in_t *in, size_t count);

int trp_prefix_open(const char *path, uint64_t events, trp_prefix_t **prefix) {
  trp_prefix_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->events = events;
  int error = trp_reader_open(path, &made->reader);
  if (error == 0) {
    error = read_start(made);
  }
  if (error != 0) {
    trp_prefix_close(&made);
    return error;
  }
  *prefix = made;
  return 0;
}

void trp_prefix_close(trp_prefix_t **prefix) {
  trp_prefix_t *p = *prefix;
  if (p == NULL) {
    return;
  }
  *prefix = NULL;
  trp_queue_free(&p->batches);
  trp_queue_free(&p->calls);
  trp_reader_close(&p->reader);
  free(p->argument);
  free(p);
}

const trp_start_t *trp_prefix_start(const trp_prefix_t *prefix) {
  return &prefix->start;
}

int64_t trp_prefix_now(const trp_prefix_t *prefix) {
  return prefix->clock_ns;
}

uint64_t trp_prefix_given(const trp_prefix_t *prefix) {
  return prefix->given;
}

static int read_start(trp_prefix_t *prefix) {
  trp_record_t record;
  int result = trp_reader_next(prefix->reader, &record);
  if (result != 1) {
    return result == 0 || result == TROUPE_EOF ? (int)TROUPE_EBADTRACE : result;
  }
  if (record.head.type != TRP_RECORD_START || record.head.length > SIZE_MAX) {
    return TROUPE_EBADTRACE;
  }
  int error = trp_parse_start(record.body, (size_t)record.head.length, &prefix->start);
  if (error != 0) {
    return error;
  }
  if (prefix->start.argument != NULL) {
    prefix->argument = malloc(prefix->start.argument_size);
    if (prefix->argument == NULL) {
      return TROUPE_ENOMEM;
    }
    memcpy(prefix->argument, prefix->start.argument, prefix->start.argument_size);
    prefix->start.argument = prefix->argument;
  }
  prefix->clock_ns = prefix->start.clock_ns;
  return 0;
}

/// Reads one record. 1, 0 at the end, which is where the file is damaged, too, or an error.
static int read_on(trp_prefix_t *prefix) {
  trp_record_t record;
  if (prefix->at_end) {
    return 0;
  }
  int result = trp_reader_next(prefix->reader, &record);
  if (result == 0 || result == TROUPE_EOF || result == TROUPE_EBADTRACE) {
    prefix->at_end = true;
    return 0;
  }
  if (result != 1) {
    return result;
  }
  bool is_batch = record.head.type == TRP_RECORD_IN || record.head.type == TRP_RECORD_IN_CUT;
  if (!is_batch && record.head.type != TRP_RECORD_CALL) {
    return 1; // what it sent then plays no part: it does so again
  }
  size_t length = (size_t)record.head.length;
  trp_item_t *item = malloc(sizeof *item);
  trp_body_t *body = item == NULL ? NULL : trp_body_new(record.body, length);
  if (body == NULL) {
    free(item);
    return TROUPE_ENOMEM;
  }
  *item = (trp_item_t){.sequence = record.head.sequence,
                       .clock_ns = record.head.clock_ns,
                       .subject = record.head.subject,
                       .type = record.head.type,
                       .body = body};
  trp_queue_push(is_batch ? &prefix->batches : &prefix->calls, item);
  return 1;
}

/// Taking the next batch failed.
static int fail_again(trp_prefix_t *prefix) {
  trp_item_t *item = trp_queue_pop(&prefix->calls);
  int64_t result = item->body->length == TRP_RECORD_VALUE_SIZE
                       ? (int64_t)trp_get_u64(item->body->bytes)
                       : 0;
  trp_item_free(item);
  return result < 0 ? (int)result : (int)TROUPE_EBADTRACE;
}

int trp_prefix_next(trp_prefix_t *prefix, trp_in_t *in) {
  int result = 1;
  if (prefix->given == prefix->events) {
    return 0;
  }
  while (prefix->batches.first == NULL && result == 1) {
    result = read_on(prefix);
  }
  const trp_item_t *call = prefix->calls.first;
  if (call != NULL && call->subject == TRP_CALL_RECEIVE &&
      (prefix->batches.first == NULL || call->sequence < prefix->batches.first->sequence)) {
    return fail_again(prefix);
  }
  trp_item_t *item = trp_queue_pop(&prefix->batches);
  if (item == NULL) {
    return result;
  }
  int error = trp_parse_record(item->type, item->body->bytes, item->body->length, in);
  if (error == 0) {
    size_t left = prefix->events - prefix->given < SIZE_MAX
                      ? (size_t)(prefix->events - prefix->given)
                      : SIZE_MAX;
    error = in->batch->n_messages > left ? shorten(in, left) : 0;
  }
  if (error == 0) {
    prefix->given += in->batch->n_messages;
    in->received_ns = prefix->clock_ns = item->clock_ns;
  }
  trp_item_free(item);
  return error == 0 ? 1 : error;
}

/// The first `count` messages are all that the batch has: its envelope says so from here on, since
/// what is taken is recorded as it lies there.
static int shorten(trp_in_t *in, size_t count) {
  trp_wire_batch_t batch = *in->batch;
  batch.n_messages = count;
  uint8_t *packed = malloc(trp_codec_bound(&batch));
  trp_frame_t *envelope = packed == NULL ? NULL
                                         : trp_frame_copy(packed, trp_codec_pack(&batch, packed));
  free(packed);
  if (envelope == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_frame_release(in->envelope);
  in->envelope = envelope;
  in->batch = NULL;
  trp_arena_reset(&in->arena);
  return trp_in_open(in);
}

int trp_prefix_recall(trp_prefix_t *prefix, uint32_t call, int64_t *value) {
  int result = 1;
  for (int i = 0; prefix->calls.first == NULL && result == 1 && i < LOOK_AHEAD; i++) {
    result = read_on(prefix);
  }
  trp_item_t *item = trp_queue_pop(&prefix->calls);
  if (item == NULL) {
    return result < 0 ? result : (int)TROUPE_EDIFFERS;
  }
  bool same = item->subject == call && item->body->length == TRP_RECORD_VALUE_SIZE;
  if (same) {
    *value = (int64_t)trp_get_u64(item->body->bytes);
  }
  trp_item_free(item);
  return same ? 0 : (int)TROUPE_EDIFFERS;
}
