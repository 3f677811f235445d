/// Replay: see replay.h for what is compared with what. Everything here runs in the thread that
/// called troupe_replay(), which is the actor's meanwhile.
#include "core/trace/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/actor/execute.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/trace/compare.h"

enum {
  CONTEXT_EVENTS = 5,  // shown before the one after which it differs
  RECENT_BATCHES = 16, // kept for that, at the least
};

/// A record that was read and waits to be used.
typedef struct item {
  struct item *next;
  uint64_t sequence;
  int64_t clock_ns;
  uint64_t subject;
  size_t length;
  size_t events; // of a batch that was dispatched
  uint8_t body[];
} item_t;

typedef struct {
  item_t *first;
  item_t *last;
} queue_t;

/// What one receiver was sent in the recording.
typedef struct {
  uint64_t to;
  queue_t waiting;
  trp_in_t open;          // the batch that is compared now
  uint64_t open_sequence; // of its record
  size_t next;            // which of its messages comes next
  uint64_t compared;      // messages so far
} stream_t;

/// Up to which event of a sender has been given out.
typedef struct {
  uint64_t sender;
  uint64_t sequence;
} given_t;

struct trp_replay {
  trp_inbox_t base;
  const char *path;
  trp_reader_t *reader;
  trp_start_t start;
  void *argument;
  troupe_replay_report_t *report;
  trp_text_t text;
  int verdict;   // 0 while all is well
  bool returned; // main has, with this:
  int returned_status;
  bool stopped; // nothing is given or compared any more
  int64_t clock_ns;
  uint64_t sequence; // of the last record that was read
  bool read_all;
  int read_result; // what the reader ended with
  uint64_t read_position;
  bool ended; // the recording has main's result
  int64_t status;
  queue_t batches, calls, recent;
  size_t recent_batches, recent_events;
  stream_t **streams;
  size_t stream_count, stream_capacity;
  given_t *given;
  size_t given_count, given_capacity;
};

/// An event with its place, for telling after which one something differs.
typedef struct {
  uint64_t number;
  int64_t clock_ns;
  uint64_t sender, sequence;
  trp_said_t said;
} event_t;

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in);
static int compare_batch(trp_inbox_t *inbox, trp_out_t *out);
static int64_t now(trp_inbox_t *inbox);
static int reach(trp_inbox_t *inbox, uint64_t to);
static void forget(trp_inbox_t *inbox, uint64_t to);
static void close_inbox(trp_inbox_t *inbox);
static int recall(trp_inbox_t *inbox, uint32_t call, int64_t *value);

static const trp_inbox_ops_t replay_ops = {.receive = receive,
                                           .send = compare_batch,
                                           .now = now,
                                           .reach = reach,
                                           .forget = forget,
                                           .close = close_inbox,
                                           .recall = recall};

static int read_start(trp_replay_t *replay);
static int explain_opening(trp_replay_t *replay, int error);
static int tell_gap(trp_replay_t *replay);
static int read_on(trp_replay_t *replay);
static int file_record(trp_replay_t *replay, const trp_record_t *record);
static bool may_look_ahead(const trp_replay_t *replay);
static int stop(trp_replay_t *replay, int verdict);
static int deliver(trp_replay_t *replay, trp_in_t *in);
static int check_all_sent(trp_replay_t *replay, uint64_t before);
static int find_stream(trp_replay_t *replay, uint64_t to, stream_t **stream);
static int next_expected(trp_replay_t *replay, stream_t *stream, bool read, trp_said_t *expected);
static int compare_message(trp_replay_t *replay, stream_t *stream, const trp_out_t *out,
                           size_t index);
static trp_said_t said_of(const trp_out_t *out, size_t index);
static bool was_given(const trp_replay_t *replay, uint64_t sender, uint64_t sequence);
static int note_given(trp_replay_t *replay, const trp_wire_batch_t *batch);
static void keep_recent(trp_replay_t *replay, item_t *item);
static void tell_command(trp_replay_t *replay, stream_t *stream, trp_said_t expected,
                         const trp_out_t *out, size_t index);
static void tell_place(trp_replay_t *replay, uint64_t cause_sender, uint64_t cause_sequence,
                       bool exact, uint64_t subject);
static void tell_events(trp_replay_t *replay, const event_t *events, size_t at);
static void tell_heading(trp_replay_t *replay);
static void tell_cut(trp_replay_t *replay);
static int finish(trp_replay_t *replay, int status);

int troupe_replay(troupe_main_fn main, void *argument, const char *path,
                  troupe_replay_report_t *report) {
  troupe_replay_report_t unseen;
  report = report == NULL ? &unseen : report;
  *report = (troupe_replay_report_t){0};
  if (main == NULL || path == NULL) {
    return TROUPE_EINVAL;
  }
  if (troupe_actor_self().id != 0) {
    return TROUPE_EWRONGTHREAD;
  }
  trp_replay_t *replay = NULL;
  int error = trp_replay_open(path, report, &replay);
  if (error != 0) {
    return error;
  }
  const trp_start_t *start = trp_replay_start(replay);
  if (argument == NULL) {
    argument = (void *)(uintptr_t)start->argument;
  }
  const trp_execution_t execution = {
      .start = start, .inbox = trp_replay_inbox(replay), .main = main, .argument = argument};
  bool ran = false;
  int status = trp_actor_execute(&execution, &ran);
  if (!ran) {
    stop(replay, status);
  }
  int verdict = trp_replay_close(&replay, status);
  trp_frame_thread_end();
  return verdict;
}

int trp_replay_open(const char *path, troupe_replay_report_t *report, trp_replay_t **replay) {
  trp_replay_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->base.ops = &replay_ops;
  made->path = path;
  made->report = report;
  trp_text_init(&made->text, report->text, sizeof report->text);
  int error = trp_reader_open(path, &made->reader);
  if (error == 0) {
    error = read_start(made);
  }
  if (error == 0 && (trp_reader_header(made->reader)->flags & TRP_TRACE_COMPLETE) == 0) {
    error = tell_gap(made);
  } else if (error != 0) {
    error = explain_opening(made, error);
  }
  if (error != 0) {
    made->stopped = true;
    made->verdict = error;
    return trp_replay_close(&made, 0);
  }
  *replay = made;
  return 0;
}

const trp_start_t *trp_replay_start(const trp_replay_t *replay) {
  return &replay->start;
}

trp_inbox_t *trp_replay_inbox(trp_replay_t *replay) {
  return &replay->base;
}

static void free_queue(queue_t *queue) {
  while (queue->first != NULL) {
    item_t *item = queue->first;
    queue->first = item->next;
    free(item);
  }
}

int trp_replay_close(trp_replay_t **replay, int status) {
  trp_replay_t *r = *replay;
  *replay = NULL;
  int verdict = r->stopped ? r->verdict : finish(r, status);
  r->report->status = status;
  free_queue(&r->batches);
  free_queue(&r->calls);
  free_queue(&r->recent);
  for (size_t i = 0; i < r->stream_count; i++) {
    free_queue(&r->streams[i]->waiting);
    trp_in_free(&r->streams[i]->open);
    free(r->streams[i]);
  }
  free(r->streams);
  free(r->given);
  free(r->argument);
  trp_reader_close(&r->reader);
  free(r);
  return verdict;
}

static int read_start(trp_replay_t *replay) {
  trp_record_t record;
  int result = trp_reader_next(replay->reader, &record);
  if (result != 1) {
    return result == 0 || result == TROUPE_EOF ? TROUPE_EBADTRACE : result;
  }
  if (record.head.type != TRP_RECORD_START || record.head.length > SIZE_MAX) {
    return TROUPE_EBADTRACE;
  }
  int error = trp_parse_start(record.body, (size_t)record.head.length, &replay->start);
  if (error != 0) {
    return error;
  }
  if (replay->start.argument != NULL) {
    replay->argument = malloc(replay->start.argument_size);
    if (replay->argument == NULL) {
      return TROUPE_ENOMEM;
    }
    memcpy(replay->argument, replay->start.argument, replay->start.argument_size);
    replay->start.argument = replay->argument;
  }
  replay->clock_ns = replay->start.clock_ns;
  replay->sequence = record.head.sequence;
  return 0;
}

static int explain_opening(trp_replay_t *replay, int error) {
  trp_text_add(&replay->text, "%s cannot be replayed: ", replay->path);
  if (error == TROUPE_ETRACEVERSION) {
    trp_text_add(&replay->text,
                 "a later version of troupe wrote it, in a format that this one (" TROUPE_VERSION
                 ") does not know.\n");
  } else if (error == TROUPE_EBADTRACE) {
    trp_text_add(&replay->text, "it is not a trace, or its beginning is damaged.\n");
  } else {
    trp_text_add(&replay->text, "%s.\n", troupe_error_message(error));
  }
  return error;
}

/// Looks for the gap that the header speaks of.
static int tell_gap(trp_replay_t *replay) {
  trp_record_t record;
  int result = 1;
  uint64_t events = 0;
  while ((result = trp_reader_next(replay->reader, &record)) == 1 &&
         record.head.type != TRP_RECORD_GAP) {
    events += record.head.type == TRP_RECORD_IN;
  }
  tell_heading(replay);
  trp_text_add(&replay->text, " cannot be replayed: %s is not complete. ", replay->path);
  if (result == 1) {
    trp_text_add(&replay->text,
                 "After %" PRIu64 " batches of events %" PRIu64
                 " records are missing: the recorder could not keep up, and its backlog was "
                 "full.\n",
                 events, record.head.subject);
  } else {
    trp_text_add(&replay->text, "Something was lost while it was recorded.\n");
  }
  return TROUPE_EINCOMPLETE;
}

// ---- Reading on ----

static void push(queue_t *queue, item_t *item) {
  item->next = NULL;
  if (queue->first == NULL) {
    queue->first = item;
  } else {
    queue->last->next = item;
  }
  queue->last = item;
}

static item_t *pop(queue_t *queue) {
  item_t *item = queue->first;
  if (item != NULL) {
    queue->first = item->next;
  }
  return item;
}

/// Reads one record and puts it where it belongs. 1, 0 at the end, or an error that ends the
/// replay.
static int read_on(trp_replay_t *replay) {
  trp_record_t record;
  if (replay->read_all) {
    return 0;
  }
  int result = trp_reader_next(replay->reader, &record);
  if (result == 1) {
    result = file_record(replay, &record);
    if (result == 0) {
      return 1;
    }
  }
  if (result == TROUPE_EBADTRACE && replay->report->events == 0 && replay->batches.first == NULL) {
    explain_opening(replay, result);
    return stop(replay, result);
  }
  if (result == 0 || result == TROUPE_EOF || result == TROUPE_EBADTRACE) {
    replay->read_all = true;
    replay->read_result = result;
    replay->read_position = record.position;
    return 0;
  }
  if (result != TROUPE_EINCOMPLETE) {
    explain_opening(replay, result);
  }
  return stop(replay, result);
}

/// 0, TROUPE_EBADTRACE, TROUPE_EINCOMPLETE or TROUPE_ENOMEM.
static int file_record(trp_replay_t *replay, const trp_record_t *record) {
  uint64_t expected = replay->sequence + 1;
  if (record->head.type == TRP_RECORD_GAP || record->head.sequence != expected) {
    tell_heading(replay);
    trp_text_add(&replay->text,
                 " cannot be replayed further: behind event %" PRIu64
                 " records are missing in %s.\n",
                 replay->report->events, replay->path);
    return TROUPE_EINCOMPLETE;
  }
  replay->sequence = expected;
  queue_t *queue = NULL;
  stream_t *stream = NULL;
  int64_t value = 0;
  int error = 0;
  switch (record->head.type) {
  case TRP_RECORD_IN:
    queue = &replay->batches;
    break;
  case TRP_RECORD_OUT:
    error = find_stream(replay, record->head.subject, &stream);
    if (error != 0) {
      return error;
    }
    queue = &stream->waiting;
    break;
  case TRP_RECORD_CALL:
    queue = &replay->calls;
    error = trp_record_value(record, &value);
    break;
  case TRP_RECORD_END:
    replay->ended = true;
    return trp_record_value(record, &replay->status);
  case TRP_RECORD_START:
    return TROUPE_EBADTRACE;
  default: // a later minor version's
    return 0;
  }
  if (error != 0) {
    return error;
  }
  size_t length = (size_t)record->head.length;
  item_t *item = malloc(sizeof *item + length);
  if (item == NULL) {
    return TROUPE_ENOMEM;
  }
  *item = (item_t){.sequence = record->head.sequence,
                   .clock_ns = record->head.clock_ns,
                   .subject = record->head.subject,
                   .length = length};
  memcpy(item->body, record->body, length);
  push(queue, item);
  return 0;
}

/// False when the next batch that waits came from outside at another time than the one that is
/// dispatched.
static bool may_look_ahead(const trp_replay_t *replay) {
  const item_t *last = replay->batches.first == NULL ? NULL : replay->batches.last;
  return last == NULL || last->subject == replay->start.id || last->clock_ns == replay->clock_ns;
}

/// From here on nothing is given, and nothing is compared. Returns what the actor is told.
static int stop(trp_replay_t *replay, int verdict) {
  if (!replay->stopped) {
    replay->stopped = true;
    replay->verdict = verdict;
  }
  return TROUPE_ESTOPPED;
}

// ---- The inbox ----

static trp_replay_t *replay_of(trp_inbox_t *inbox) {
  return (trp_replay_t *)(void *)inbox;
}

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  (void)deadline_ns; // time passes only with the recorded batches
  trp_replay_t *replay = replay_of(inbox);
  if (replay->stopped) {
    return TROUPE_ESTOPPED;
  }
  while (replay->batches.first == NULL) {
    int result = read_on(replay);
    if (result < 0) {
      return result;
    }
    if (result == 0) {
      break;
    }
  }
  if (replay->batches.first == NULL) {
    int error = check_all_sent(replay, UINT64_MAX);
    if (error != 0) {
      return error;
    }
    if (replay->ended) {
      tell_heading(replay);
      trp_text_add(&replay->text,
                   " waits for more, where its main function returned %" PRId64
                   " in the recording.\n",
                   replay->status);
      tell_place(replay, 0, 0, false, 0);
      return stop(replay, TROUPE_EDIFFERS);
    }
    tell_cut(replay);
    return stop(replay, 0);
  }
  int error = check_all_sent(replay, replay->batches.first->sequence);
  return error != 0 ? error : deliver(replay, in);
}

static int deliver(trp_replay_t *replay, trp_in_t *in) {
  item_t *item = pop(&replay->batches);
  int error = trp_parse_batch(item->body, item->length, in);
  if (error == 0) {
    error = note_given(replay, in->batch);
  }
  if (error != 0) {
    free(item);
    trp_in_reset(in);
    if (error == TROUPE_EBADTRACE) {
      trp_text_add(&replay->text,
                   "%s: the batch behind event %" PRIu64
                   " cannot be read; up to it all is the same.\n",
                   replay->path, replay->report->events);
      return stop(replay, replay->report->events == 0 ? error : 0);
    }
    explain_opening(replay, error);
    return stop(replay, error);
  }
  in->received_ns = replay->clock_ns = item->clock_ns;
  item->events = in->batch->n_messages;
  replay->report->events += item->events;
  keep_recent(replay, item);
  return 1;
}

static int64_t now(trp_inbox_t *inbox) {
  return replay_of(inbox)->clock_ns;
}

static int reach(trp_inbox_t *inbox, uint64_t to) {
  (void)inbox;
  (void)to;
  return 0;
}

static void forget(trp_inbox_t *inbox, uint64_t to) {
  (void)inbox;
  (void)to;
}

static void close_inbox(trp_inbox_t *inbox) {
  (void)inbox;
}

static int recall(trp_inbox_t *inbox, uint32_t call, int64_t *value) {
  trp_replay_t *replay = replay_of(inbox);
  if (replay->stopped) {
    return TROUPE_ESTOPPED;
  }
  while (replay->calls.first == NULL && may_look_ahead(replay)) {
    int result = read_on(replay);
    if (result < 0) {
      return result;
    }
    if (result == 0) {
      break;
    }
  }
  if (replay->calls.first == NULL && replay->read_all && !replay->ended) {
    tell_cut(replay); // before the call's result
    return stop(replay, 0);
  }
  item_t *item = pop(&replay->calls);
  if (item != NULL && item->subject == call) {
    *value = (int64_t)trp_get_u64(item->body);
    free(item);
    return 1;
  }
  tell_heading(replay);
  trp_text_add(&replay->text, " makes another call than in the recording: ");
  if (item == NULL) {
    trp_text_add(&replay->text, "number %" PRIu32 ", where it made none.\n", call);
  } else {
    trp_text_add(&replay->text, "number %" PRIu32 " instead of %" PRIu64 ".\n", call,
                 item->subject);
  }
  trp_text_add(&replay->text, "(The numbers are those of core/trace/calls.h.)\n");
  tell_place(replay, 0, 0, false, 0);
  free(item);
  return stop(replay, TROUPE_EDIFFERS);
}

// ---- Comparing ----

static int compare_batch(trp_inbox_t *inbox, trp_out_t *out) {
  trp_replay_t *replay = replay_of(inbox);
  int error = 0;
  if (replay->stopped) {
    error = TROUPE_ESTOPPED;
  } else if (out->count > 0) {
    // Packing makes frames of what was copied into the batch.
    error = out->envelope == NULL ? trp_out_pack(out) : 0;
    if (error != 0) {
      return error;
    }
    stream_t *stream = NULL;
    error = find_stream(replay, out->to, &stream);
    if (error != 0) {
      return error;
    }
    for (size_t i = 0; i < out->count && error == 0; i++) {
      error = compare_message(replay, stream, out, i);
    }
  }
  trp_out_reset(out);
  return error;
}

static int compare_message(trp_replay_t *replay, stream_t *stream, const trp_out_t *out,
                           size_t index) {
  trp_said_t expected;
  int result = next_expected(replay, stream, true, &expected);
  if (result < 0) {
    return result;
  }
  if (result == 0) {
    if (replay->read_all && !replay->ended) {
      return 0; // cut off: nobody knows what would have come
    }
    tell_command(replay, stream, (trp_said_t){0}, out, index);
    return stop(replay, TROUPE_EDIFFERS);
  }
  const trp_wire_batch_t *batch = stream->open.batch;
  if (!was_given(replay, batch->cause_sender, batch->cause_sequence)) {
    tell_command(replay, stream, (trp_said_t){0}, out, index);
    return stop(replay, TROUPE_EDIFFERS);
  }
  if (trp_compare(expected, said_of(out, index)) != TRP_SAME) {
    tell_command(replay, stream, expected, out, index);
    return stop(replay, TROUPE_EDIFFERS);
  }
  stream->next++;
  stream->compared++;
  replay->report->commands++;
  return 0;
}

/// What the receiver was sent next in the recording: 1 with `*expected`, 0 when there is nothing
/// (up to where may be looked), or an error. Without `read` only what was read already is looked
/// at.
static int next_expected(trp_replay_t *replay, stream_t *stream, bool read, trp_said_t *expected) {
  while (stream->open.batch == NULL || stream->next == stream->open.batch->n_messages) {
    while (stream->waiting.first == NULL) {
      if (!read || !may_look_ahead(replay)) {
        return 0;
      }
      int result = read_on(replay);
      if (result <= 0) {
        return result;
      }
    }
    item_t *item = pop(&stream->waiting);
    trp_in_reset(&stream->open);
    stream->next = 0;
    stream->open_sequence = item->sequence;
    int error = trp_parse_batch(item->body, item->length, &stream->open);
    free(item);
    if (error != 0) {
      trp_in_reset(&stream->open);
      explain_opening(replay, error);
      return stop(replay, error);
    }
  }
  const trp_message_t *message = stream->open.batch->messages[stream->next];
  *expected = (trp_said_t){.message = message, .payload = trp_in_payload(&stream->open, message)};
  return 1;
}

/// Everything that was recorded before the record `before` must have been done.
static int check_all_sent(trp_replay_t *replay, uint64_t before) {
  stream_t *missing = NULL;
  trp_said_t expected = {0};
  for (size_t i = 0; i < replay->stream_count; i++) {
    stream_t *stream = replay->streams[i];
    trp_said_t first;
    int result = next_expected(replay, stream, false, &first);
    if (result < 0) {
      return result;
    }
    if (result == 1 && stream->open_sequence < before &&
        (missing == NULL || stream->open_sequence < missing->open_sequence)) {
      missing = stream;
      expected = first;
    }
  }
  if (missing != NULL) {
    tell_command(replay, missing, expected, NULL, 0);
    return stop(replay, TROUPE_EDIFFERS);
  }
  if (replay->calls.first != NULL && replay->calls.first->sequence < before) {
    tell_heading(replay);
    trp_text_add(&replay->text,
                 " does not make a call that it made in the recording: number %" PRIu64
                 " of core/trace/calls.h.\n",
                 replay->calls.first->subject);
    tell_place(replay, 0, 0, false, 0);
    return stop(replay, TROUPE_EDIFFERS);
  }
  return 0;
}

/// No difference, but the recording does not go on to the actor's end.
static void tell_cut(trp_replay_t *replay) {
  tell_heading(replay);
  trp_text_add(&replay->text, " did the same up to where the recording ends%s.\n",
               replay->read_result == 0            ? ", before the actor did"
               : replay->read_result == TROUPE_EOF ? ", in the middle of a record"
                                                   : ", since the file is damaged there");
}

/// Main has returned by itself: so it must have in the recording, at the same place.
static int finish(trp_replay_t *replay, int status) {
  replay->returned = true;
  replay->returned_status = status;
  while (replay->batches.first == NULL) {
    int result = read_on(replay);
    if (result < 0) {
      return replay->verdict;
    }
    if (result == 0) {
      break;
    }
  }
  uint64_t before = replay->batches.first == NULL ? UINT64_MAX : replay->batches.first->sequence;
  if (check_all_sent(replay, before) != 0) {
    return replay->verdict;
  }
  if (replay->batches.first == NULL && !replay->ended) {
    tell_cut(replay);
    return 0;
  }
  if (replay->batches.first == NULL && replay->status == status) {
    return 0;
  }
  tell_heading(replay);
  trp_text_add(&replay->text, " ends with status %d, where it ", status);
  if (replay->batches.first != NULL) {
    trp_text_add(&replay->text, "went on in the recording.\n");
  } else {
    trp_text_add(&replay->text, "ended with %" PRId64 " in the recording.\n", replay->status);
  }
  tell_place(replay, 0, 0, false, 0);
  return TROUPE_EDIFFERS;
}

static int find_stream(trp_replay_t *replay, uint64_t to, stream_t **stream) {
  for (size_t i = 0; i < replay->stream_count; i++) { // an actor talks to few
    if (replay->streams[i]->to == to) {
      *stream = replay->streams[i];
      return 0;
    }
  }
  if (replay->stream_count == replay->stream_capacity) {
    size_t capacity = replay->stream_capacity == 0 ? 8 : 2 * replay->stream_capacity;
    stream_t **grown = realloc(replay->streams, capacity * sizeof(stream_t *));
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    replay->streams = grown;
    replay->stream_capacity = capacity;
  }
  stream_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->to = to;
  trp_in_init(&made->open);
  replay->streams[replay->stream_count++] = made;
  *stream = made;
  return 0;
}

static trp_said_t said_of(const trp_out_t *out, size_t index) {
  const trp_message_t *message = out->messages[index];
  const uint8_t *payload = message->frame == 0
                               ? NULL
                               : out->frames[message->frame - 1]->bytes + message->offset;
  return (trp_said_t){.message = message, .payload = payload};
}

static bool was_given(const trp_replay_t *replay, uint64_t sender, uint64_t sequence) {
  if (sender == 0 && sequence == 0) {
    return true; // done before any event
  }
  for (size_t i = 0; i < replay->given_count; i++) {
    if (replay->given[i].sender == sender) {
      return sequence <= replay->given[i].sequence;
    }
  }
  return false;
}

static int note_given(trp_replay_t *replay, const trp_wire_batch_t *batch) {
  if (batch->n_messages == 0) {
    return 0;
  }
  uint64_t last = batch->first_sequence + batch->n_messages - 1;
  for (size_t i = 0; i < replay->given_count; i++) {
    if (replay->given[i].sender == batch->sender) {
      if (last > replay->given[i].sequence) {
        replay->given[i].sequence = last;
      }
      return 0;
    }
  }
  if (replay->given_count == replay->given_capacity) {
    size_t capacity = replay->given_capacity == 0 ? 8 : 2 * replay->given_capacity;
    given_t *grown = realloc(replay->given, capacity * sizeof *grown);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    replay->given = grown;
    replay->given_capacity = capacity;
  }
  replay->given[replay->given_count++] = (given_t){.sender = batch->sender, .sequence = last};
  return 0;
}

// ---- Telling ----

static void tell_heading(trp_replay_t *replay) {
  trp_text_add(&replay->text, "Actor \"%s\" (copy %" PRIu32 ")", replay->start.name,
               replay->start.index);
}

static void print_said(trp_text_t *text, const char *label, trp_said_t said) {
  trp_text_add(text, "  %s", label);
  if (said.message == NULL) {
    trp_text_add(text, "nothing");
  } else {
    trp_print_message(text, said.message, said.payload);
  }
  trp_text_add(text, "\n");
}

/// Whether the recording goes on with `said` behind what is expected now.
static bool comes_next(stream_t *stream, trp_said_t said) {
  if (stream->open.batch == NULL || stream->next + 1 >= stream->open.batch->n_messages) {
    return false;
  }
  const trp_message_t *message = stream->open.batch->messages[stream->next + 1];
  trp_said_t next = {.message = message, .payload = trp_in_payload(&stream->open, message)};
  return trp_compare(next, said) == TRP_SAME;
}

/// `expected` has no message when there should be none, `out` is NULL when there is none.
static void tell_command(trp_replay_t *replay, stream_t *stream, trp_said_t expected,
                         const trp_out_t *out, size_t index) {
  trp_text_t *text = &replay->text;
  trp_said_t got = out == NULL ? (trp_said_t){0} : said_of(out, index);
  const trp_wire_batch_t *batch = stream->open.batch;
  tell_heading(replay);
  trp_text_add(text, " does not do what it did in %s: message %" PRIu64 " to ", replay->path,
               stream->compared + 1);
  trp_print_id(text, stream->to);
  trp_text_add(text, " differs.\n");
  print_said(text, "expected: ", expected);
  print_said(text, "got:      ", got);
  if (replay->returned) {
    trp_text_add(text, "  Its main function returned %d before that.\n", replay->returned_status);
  }
  if (expected.message != NULL && got.message != NULL) {
    bool got_is_next = comes_next(stream, got);
    bool expected_is_next = index + 1 < out->count &&
                            trp_compare(expected, said_of(out, index + 1)) == TRP_SAME;
    if (got_is_next && expected_is_next) {
      trp_text_add(text, "  The two have changed places.\n");
    } else if (got_is_next) {
      trp_text_add(text,
                   "  What was got comes next in the recording: the one expected is missing.\n");
    } else if (expected_is_next) {
      trp_text_add(text, "  What is expected comes next: what was got is too much.\n");
    } else {
      trp_explain(text, trp_compare(expected, got), expected, got);
    }
  }
  uint64_t subject = expected.message != NULL ? expected.message->subject
                     : got.message != NULL    ? got.message->subject
                                              : 0;
  if (out != NULL) {
    tell_place(replay, out->cause_sender, out->cause_sequence, true, subject);
  } else {
    tell_place(replay, batch->cause_sender, batch->cause_sequence, stream->next == 0, subject);
  }
}

/// Opens the batches that were given out last; `*count` is how many could be.
static trp_in_t *open_recent(trp_replay_t *replay, size_t *count) {
  trp_in_t *opened = calloc(replay->recent_batches + 1, sizeof *opened);
  *count = 0;
  for (item_t *item = replay->recent.first; opened != NULL && item != NULL; item = item->next) {
    trp_in_init(&opened[*count]);
    if (trp_parse_batch(item->body, item->length, &opened[*count]) != 0) {
      trp_in_free(&opened[*count]);
      break;
    }
    opened[*count].received_ns = item->clock_ns;
    ++*count;
  }
  return opened;
}

/// Says after which event it was. A replayed actor sends after each event, so `exact`; a recorded
/// batch of commands names the event of its first command only: of
/// the others we know that they were made after that one, and most likely the last event of the
/// same socket made them.
static void tell_place(trp_replay_t *replay, uint64_t cause_sender, uint64_t cause_sequence,
                       bool exact, uint64_t subject) {
  size_t batches = 0;
  trp_in_t *opened = open_recent(replay, &batches);
  event_t *events = calloc(replay->recent_events + 1, sizeof *events);
  size_t count = 0;
  for (size_t i = 0; i < batches && events != NULL; i++) {
    const trp_wire_batch_t *batch = opened[i].batch;
    for (size_t k = 0; k < batch->n_messages && count < replay->recent_events; k++) {
      const trp_message_t *message = batch->messages[k];
      events[count++] = (event_t){
          .clock_ns = opened[i].received_ns,
          .sender = batch->sender,
          .sequence = batch->first_sequence + k,
          .said = {.message = message, .payload = trp_in_payload(&opened[i], message)}};
    }
  }
  size_t cause = count;
  for (size_t i = 0; i < count; i++) {
    events[i].number = replay->report->events - count + i + 1;
    if (cause_sequence != 0 && events[i].sender == cause_sender &&
        events[i].sequence == cause_sequence) {
      cause = i;
    }
  }
  // Where to look when the cause is not known exactly: from the first command's, or in the last
  // batch.
  size_t last_batch = batches == 0 ? 0 : opened[batches - 1].batch->n_messages;
  size_t from = cause < count ? cause : count - (last_batch < count ? last_batch : count);
  size_t at = from;
  bool certain = (exact && cause < count) || from + 1 == count;
  if (!certain && count > 0) {
    at = count - 1;
    for (size_t i = from; i < count && subject != 0; i++) {
      if (events[i].said.message->subject == subject) {
        at = i;
      }
    }
  }
  if (count == 0) {
    trp_text_add(&replay->text, "This is before the first event.\n");
  } else {
    trp_text_add(&replay->text, "This is %safter event:\n", certain ? "" : "most likely ");
    tell_events(replay, events, at);
  }
  for (size_t i = 0; i < batches; i++) {
    trp_in_free(&opened[i]);
  }
  free(opened);
  free(events);
}

static void tell_events(trp_replay_t *replay, const event_t *events, size_t at) {
  size_t from = at < CONTEXT_EVENTS ? 0 : at - CONTEXT_EVENTS;
  for (size_t i = at + 1; i > from; i--) {
    if (i == at) {
      trp_text_add(&replay->text, "The events before it, the latest first:\n");
    }
    const event_t *event = &events[i - 1];
    trp_text_add(&replay->text, "  %4" PRIu64 "  %+.6f s  ", event->number,
                 (double)(event->clock_ns - replay->start.clock_ns) / 1e9);
    trp_print_message(&replay->text, event->said.message, event->said.payload);
    if (event->sender != replay->start.id && !trp_id_is_io_actor(event->sender)) {
      trp_text_add(&replay->text, ", from ");
      trp_print_id(&replay->text, event->sender);
    }
    trp_text_add(&replay->text, "\n");
  }
}

/// Keeps a batch that was given out, and forgets those that are too far back to be told of.
static void keep_recent(trp_replay_t *replay, item_t *item) {
  push(&replay->recent, item);
  replay->recent_batches++;
  replay->recent_events += item->events;
  while (replay->recent_batches > RECENT_BATCHES &&
         replay->recent_events - replay->recent.first->events > CONTEXT_EVENTS) {
    item_t *oldest = pop(&replay->recent);
    replay->recent_batches--;
    replay->recent_events -= oldest->events;
    free(oldest);
  }
}
