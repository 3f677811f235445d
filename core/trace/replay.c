/// Replay: see replay.h for what is compared with what. Everything here runs in the thread that
/// called troupe_replay(), which is the actor's meanwhile.
#include "core/trace/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/actor/execute.h"
#include "core/message/frame_zmq.h"
#include "core/trace/calls.h"
#include "core/trace/compare.h"
#include "core/trace/recent.h"

/// What one receiver was sent in the recording.
typedef struct {
  uint64_t to;
  trp_queue_t waiting;
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
  trp_queue_t batches, calls;
  trp_recent_t recent;
  stream_t **streams;
  size_t stream_count, stream_capacity;
  given_t *given;
  size_t given_count, given_capacity;
};

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
static void tell_command(trp_replay_t *replay, stream_t *stream, trp_said_t expected,
                         const trp_out_t *out, size_t index);
static void tell_place(trp_replay_t *replay, trp_cause_t cause);
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
    argument = replay->argument; // NOLINT(clang-analyzer-core.NullDereference): 0 made one
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

int trp_replay_close(trp_replay_t **replay, int status) {
  trp_replay_t *r = *replay;
  *replay = NULL;
  int verdict = r->stopped ? r->verdict : finish(r, status);
  r->report->status = status;
  trp_queue_free(&r->batches);
  trp_queue_free(&r->calls);
  trp_recent_free(&r->recent);
  for (size_t i = 0; i < r->stream_count; i++) {
    trp_queue_free(&r->streams[i]->waiting);
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
  trp_queue_t *queue = NULL;
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
  trp_item_t *item = malloc(sizeof *item + length);
  if (item == NULL) {
    return TROUPE_ENOMEM;
  }
  *item = (trp_item_t){.sequence = record->head.sequence,
                       .clock_ns = record->head.clock_ns,
                       .subject = record->head.subject,
                       .length = length};
  memcpy(item->body, record->body, length);
  trp_queue_push(queue, item);
  return 0;
}

/// False when the next batch that waits came from outside at another time than the one that is
/// dispatched.
static bool may_look_ahead(const trp_replay_t *replay) {
  const trp_item_t *last = replay->batches.first == NULL ? NULL : replay->batches.last;
  return last == NULL || last->subject == replay->start.id || last->clock_ns == replay->clock_ns;
}

/// From here on nothing is given, and nothing is compared. Returns what the actor is told.
static int stop(trp_replay_t *replay, int verdict) {
  if (!replay->stopped) { // NOLINT(clang-analyzer-core.NullDereference): there is one
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
      tell_place(replay, (trp_cause_t){0});
      return stop(replay, TROUPE_EDIFFERS);
    }
    tell_cut(replay);
    return stop(replay, 0);
  }
  int error = check_all_sent(replay, replay->batches.first->sequence);
  return error != 0 ? error : deliver(replay, in);
}

static int deliver(trp_replay_t *replay, trp_in_t *in) {
  trp_item_t *item = trp_queue_pop(&replay->batches);
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
  replay->report->events += in->batch->n_messages;
  trp_recent_keep(&replay->recent, item, in->batch->n_messages);
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

static const char *call_name(uint64_t call) {
  switch (call) {
#define TRP_CALL_NAME(name, number, words)                                                         \
  case number:                                                                                     \
    return words;
    TRP_CALLS(TRP_CALL_NAME)
#undef TRP_CALL_NAME
  default:
    return "a call that this version does not know";
  }
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
  trp_item_t *item = trp_queue_pop(&replay->calls);
  if (item != NULL && item->subject == call) {
    *value = (int64_t)trp_get_u64(item->body);
    free(item);
    return 1;
  }
  tell_heading(replay);
  trp_text_add(&replay->text, " makes another call than in the recording.\n  expected: %s\n",
               item == NULL ? "none" : call_name(item->subject));
  trp_text_add(&replay->text, "  got:      %s\n", call_name(call));
  tell_place(replay, (trp_cause_t){0});
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
    trp_item_t *item = trp_queue_pop(&stream->waiting);
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
    trp_text_add(&replay->text, " does not make a call that it made in the recording: %s.\n",
                 call_name(replay->calls.first->subject));
    tell_place(replay, (trp_cause_t){0});
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
  tell_place(replay, (trp_cause_t){0});
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
  trp_cause_t cause = {.subject = expected.message != NULL ? expected.message->subject
                                  : got.message != NULL    ? got.message->subject
                                                           : 0};
  if (out != NULL) {
    // A replayed actor sends after each event, so that the batch has one cause.
    cause.sender = out->cause_sender;
    cause.sequence = out->cause_sequence;
    cause.exact = true;
  } else {
    // A recorded one names the event of its first command.
    cause.sender = stream->open.batch->cause_sender;
    cause.sequence = stream->open.batch->cause_sequence;
    cause.exact = stream->next == 0;
  }
  tell_place(replay, cause);
}

static void tell_place(trp_replay_t *replay, trp_cause_t cause) {
  trp_recent_tell(&replay->recent, cause, &replay->start, &replay->text);
}
