/// Replay: see replay.h for what is compared with what. Everything here runs in the thread that
/// called troupe_replay(), which is the actor's meanwhile. This file is the inbox: it reads the trace
/// and gives what is in it; replay_compare.c has the other direction.
#include "core/trace/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/message/id.h"
#include "core/trace/calls.h"
#include "core/trace/flight_file.h"
#include "core/trace/kinds.h"
#include "core/trace/replay_state.h"
#include "core/trace/view.h"

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in);
static int send_batch(trp_inbox_t *inbox, trp_out_t *out);
static int64_t now(trp_inbox_t *inbox);
static void close_inbox(trp_inbox_t *inbox);
static int recall(trp_inbox_t *inbox, uint32_t call, int64_t *value);

static const trp_inbox_ops_t replay_ops = {
    .receive = receive, .send = send_batch, .now = now, .close = close_inbox, .recall = recall};

static int read_start(trp_replay_t *replay);
static int file_record(trp_replay_t *replay, const trp_record_t *record);
static int receive_one(trp_replay_t *replay, trp_in_t *in);
static int deliver(trp_replay_t *replay, trp_in_t *in);
static int finish(trp_replay_t *replay, int status);

int trp_replay_open(const char *path, const char *name, const troupe_replay_options_t *options,
                    trp_accept_t *accept, troupe_replay_report_t *report, trp_replay_t **replay) {
  trp_replay_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->base.ops = &replay_ops;
  made->path = path;
  made->name = name;
  made->options = *options;
  made->accept = accept;
  made->report = report;
  trp_text_init(&made->text, report->text, sizeof report->text);
  int error = trp_reader_open(path, &made->reader);
  if (error == 0) {
    error = read_start(made);
  }
  if (error == 0 && (trp_reader_header(made->reader)->flags & TRP_TRACE_COMPLETE) == 0) {
    error = trp_partial_begin(made);
  } else if (error != 0) {
    error = trp_replay_explain(made, error);
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
  if (verdict == 0 && r->read_result == TROUPE_EBADTRACE) {
    trp_text_add(&r->text,
                 "The file is damaged at byte %" PRIu64
                 ": what came then is not known, and was not "
                 "compared.\n",
                 r->read_position);
    verdict = TROUPE_EBADTRACE;
  }
  trp_queue_free(&r->batches);
  trp_queue_free(&r->calls);
  trp_recent_free(&r->recent);
  trp_replay_free_streams(r);
  trp_flows_free(&r->flows);
  trp_whole_free(&r->whole);
  trp_replay_ids_free(&r->ids);
  trp_map_free(&r->servers);
  free(r->listens);
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
  if (replay->accept != NULL) {
    trp_accept_record(replay->accept, TRP_RECORD_START, record.head.clock_ns, 0, record.body,
                      (size_t)record.head.length);
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

static bool is_flight(const char *path) {
  trp_flight_file_t *flight = NULL;
  int error = trp_flight_file_open(path, &flight);
  trp_flight_file_close(&flight);
  return error == 0;
}

int trp_replay_explain(trp_replay_t *replay, int error) {
  trp_text_add(&replay->text, "%s cannot be replayed: ", replay->name);
  if (error == TROUPE_ETRACEVERSION) {
    trp_text_add(&replay->text,
                 "a later version of troupe wrote it, in a format that this one (" TROUPE_VERSION
                 ") does not know.\n");
  } else if (error == TROUPE_EBADTRACE) {
    trp_text_add(&replay->text, is_flight(replay->path)
                                    ? "it is a flight recorder's file, which has the last moments "
                                      "only.\n"
                                    : "it is not a trace, or its beginning is damaged.\n");
  } else {
    trp_text_add(&replay->text, "%s.\n", troupe_error_message(error));
  }
  return error;
}

// ---- Reading on ----

int trp_replay_read_on(trp_replay_t *replay) {
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
    trp_replay_explain(replay, result);
    return trp_replay_stop(replay, result);
  }
  if (result == 0 || result == TROUPE_EOF || result == TROUPE_EBADTRACE) {
    replay->read_all = true;
    replay->read_result = result;
    replay->read_position = record.position;
    return 0;
  }
  if (result != TROUPE_EINCOMPLETE && result != TROUPE_EDIFFERS) { // else it is told already
    trp_replay_explain(replay, result);
  }
  return trp_replay_stop(replay, result);
}

/// 0, TROUPE_EBADTRACE, TROUPE_EINCOMPLETE or TROUPE_ENOMEM.
static int file_record(trp_replay_t *replay, const trp_record_t *record) {
  uint64_t expected = replay->partial ? record->head.sequence : replay->sequence + 1;
  if (replay->partial && record->head.type == TRP_RECORD_GAP) {
    return 0; // what it spoilt is left out
  }
  if (record->head.type == TRP_RECORD_GAP || record->head.sequence != expected) {
    trp_replay_tell_heading(replay);
    trp_text_add(&replay->text,
                 " cannot be replayed further: behind event %" PRIu64
                 " records are missing in %s.\n",
                 replay->report->events, replay->name);
    return TROUPE_EINCOMPLETE;
  }
  replay->sequence = expected;
  trp_queue_t *queue = NULL;
  int64_t value = 0;
  int error = 0;
  switch (record->head.type) {
  case TRP_RECORD_IN:
  case TRP_RECORD_IN_CUT:
    queue = &replay->batches;
    break;
  case TRP_RECORD_OUT:
  case TRP_RECORD_OUT_CUT:
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
  trp_item_t *item = malloc(sizeof *item);
  trp_body_t *body = item == NULL ? NULL : trp_body_new(record->body, length);
  if (body == NULL) {
    free(item);
    return TROUPE_ENOMEM;
  }
  *item = (trp_item_t){.sequence = record->head.sequence,
                       .clock_ns = record->head.clock_ns,
                       .subject = record->head.subject,
                       .type = record->head.type,
                       .body = body};
  if (queue == NULL) {
    return trp_replay_expect(replay, item);
  }
  trp_queue_push(queue, item);
  return 0;
}

bool trp_replay_may_look_ahead(const trp_replay_t *replay) {
  const trp_item_t *last = replay->batches.first == NULL ? NULL : replay->batches.last;
  return last == NULL || last->subject == replay->start.id || last->clock_ns == replay->clock_ns;
}

int trp_replay_stop(trp_replay_t *replay, int verdict) {
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
  int result = 0;
  // Of a batch nothing may be left that is given.
  while (result == 0) {
    result = replay->stopped ? (int)TROUPE_ESTOPPED : receive_one(replay, in);
  }
  return result;
}

/// Whether taking the next batch failed.
static bool fails_next(const trp_replay_t *replay) {
  const trp_item_t *call = replay->calls.first;
  const trp_item_t *batch = replay->batches.first;
  return call != NULL && call->subject == TRP_CALL_RECEIVE && !replay->partial &&
         (batch == NULL || call->sequence < batch->sequence);
}

static int fail_again(trp_replay_t *replay) {
  trp_item_t *item = trp_queue_pop(&replay->calls);
  int result = (int)(int64_t)trp_get_u64(item->body->bytes);
  int error = trp_replay_check_all_sent(replay, item->sequence);
  trp_item_free(item);
  if (error == 0 && replay->accept != NULL) {
    trp_accept_value(replay->accept, TRP_RECORD_CALL, replay->clock_ns, TRP_CALL_RECEIVE, result);
  }
  return error != 0 ? error : result < 0 ? result : (int)TROUPE_EBADTRACE;
}

/// 1, 0 when the batch that comes next is left out, or an error.
static int receive_one(trp_replay_t *replay, trp_in_t *in) {
  if (replay->listen_count > 0) {
    return trp_partial_make_listening(replay, in);
  }
  while (replay->batches.first == NULL) {
    int result = trp_replay_read_on(replay);
    if (result < 0) {
      return result;
    }
    if (result == 0) {
      break;
    }
  }
  if (fails_next(replay)) {
    return fail_again(replay);
  }
  if (replay->batches.first != NULL) {
    int error = trp_replay_check_all_sent(replay, replay->batches.first->sequence);
    return error != 0 ? error : deliver(replay, in);
  }
  int error = trp_replay_check_all_sent(replay, UINT64_MAX);
  if (error != 0) {
    return error;
  }
  if (replay->partial) {
    return trp_replay_stop(replay, trp_partial_tell(replay));
  }
  if (replay->ended && replay->accept == NULL) {
    trp_replay_tell_heading(replay);
    trp_text_add(&replay->text,
                 " waits for more, where its main function returned %" PRId64
                 " in the recording.\n",
                 replay->status);
    trp_replay_tell_place(replay, (trp_cause_t){0});
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  trp_replay_tell_cut(replay);
  return trp_replay_stop(replay, 0);
}

static int deliver(trp_replay_t *replay, trp_in_t *in) {
  trp_item_t *item = trp_queue_pop(&replay->batches);
  int error = trp_body_parse(item->body, item->type, in);
  if (error == 0) {
    error = trp_replay_note_given(replay, in->batch);
  }
  size_t given = error == 0 ? in->batch->n_messages : 0;
  if (error == 0 && replay->partial) {
    error = trp_partial_leave_out(replay, in->batch, &given);
  }
  if (error != 0) {
    trp_item_free(item);
    trp_in_reset(in);
    if (error == TROUPE_EBADTRACE) {
      trp_text_add(&replay->text,
                   "%s: the batch behind event %" PRIu64
                   " cannot be read; up to it all is the same.\n",
                   replay->name, replay->report->events);
      return trp_replay_stop(replay, replay->report->events == 0 ? error : 0);
    }
    trp_replay_explain(replay, error);
    return trp_replay_stop(replay, error);
  }
  in->received_ns = replay->clock_ns = item->clock_ns;
  replay->batch_sequence = item->sequence;
  replay->makes_up = false;
  if (given == 0 && replay->partial) {
    trp_item_free(item);
    trp_in_reset(in);
    return 0;
  }
  if (replay->accept != NULL) {
    trp_accept_record(replay->accept, item->type, item->clock_ns, item->subject, item->body->bytes,
                      item->body->length);
  }
  replay->report->events += given;
  trp_recent_keep(&replay->recent, item, given);
  return 1;
}

static int send_batch(trp_inbox_t *inbox, trp_out_t *out) {
  trp_replay_t *replay = replay_of(inbox);
  int error = replay->stopped ? TROUPE_ESTOPPED : 0;
  if (error == 0 && out->count > 0) {
    // Packing makes frames of what was copied into the batch.
    error = out->envelope == NULL ? trp_out_pack(out) : 0;
    if (replay->partial && error == 0) {
      error = trp_replay_rename_out(replay, out);
    }
    if (error != 0) {
      return error;
    }
    if (replay->accept != NULL) {
      trp_accept_out(replay->accept, replay->clock_ns, out);
    } else {
      error = trp_replay_compare(replay, out);
    }
  }
  trp_out_reset(out);
  return error;
}

static int64_t now(trp_inbox_t *inbox) {
  return replay_of(inbox)->clock_ns;
}

static void close_inbox(trp_inbox_t *inbox) {
  (void)inbox;
}

static int recall(trp_inbox_t *inbox, uint32_t call, int64_t *value) {
  trp_replay_t *replay = replay_of(inbox);
  if (replay->stopped) {
    return TROUPE_ESTOPPED;
  }
  while ((replay->calls.first == NULL || replay->partial) && trp_replay_may_look_ahead(replay)) {
    int result = trp_replay_read_on(replay);
    if (result < 0) {
      return result;
    }
    if (result == 0) {
      break;
    }
  }
  if (replay->calls.first == NULL && replay->read_all && !replay->ended) {
    trp_replay_tell_cut(replay); // before the call's result
    return trp_replay_stop(replay, 0);
  }
  if (replay->partial && (call == TRP_CALL_PIPE || call == TRP_CALL_SCOPE)) {
    *value = 0; // as it is nearly always
    return 1;
  }
  trp_item_t *item = replay->partial ? trp_partial_find_call(replay, call)
                                     : trp_queue_pop(&replay->calls);
  if (item != NULL && item->subject == call) {
    *value = (int64_t)trp_get_u64(item->body->bytes);
    trp_item_free(item);
    if (replay->accept != NULL) {
      trp_accept_value(replay->accept, TRP_RECORD_CALL, replay->clock_ns, call, *value);
    }
    return 1;
  }
  if (replay->partial) {
    trp_item_free(item);
    trp_replay_tell_heading(replay);
    trp_text_add(&replay->text,
                 " cannot be replayed: it makes a call whose result is not in %s: %s.\n",
                 replay->name, trp_call_name(call));
    return trp_replay_stop(replay, TROUPE_EINCOMPLETE);
  }
  trp_replay_tell_heading(replay);
  trp_text_add(&replay->text, " makes another call than in the recording.\n  expected: %s\n",
               item == NULL ? "none" : trp_call_name(item->subject));
  trp_text_add(&replay->text, "  got:      %s\n", trp_call_name(call));
  trp_replay_tell_place(replay, (trp_cause_t){0});
  trp_item_free(item);
  return trp_replay_stop(replay, TROUPE_EDIFFERS);
}

/// Main has returned by itself: so it must have in the recording, at the same place.
static int finish(trp_replay_t *replay, int status) {
  replay->returned = true;
  replay->returned_status = status;
  while (replay->batches.first == NULL) {
    int result = trp_replay_read_on(replay);
    if (result < 0) {
      return replay->verdict;
    }
    if (result == 0) {
      break;
    }
  }
  uint64_t before = replay->batches.first == NULL ? UINT64_MAX : replay->batches.first->sequence;
  if (trp_replay_check_all_sent(replay, before) != 0) {
    return replay->verdict;
  }
  if (replay->accept != NULL) {
    trp_accept_value(replay->accept, TRP_RECORD_END, replay->clock_ns, 0, status);
    return 0;
  }
  if (replay->partial) {
    return trp_partial_finish(replay, status);
  }
  if (replay->batches.first == NULL && !replay->ended) {
    trp_replay_tell_cut(replay);
    return 0;
  }
  if (replay->batches.first == NULL && replay->status == status) {
    return 0;
  }
  trp_replay_tell_heading(replay);
  trp_text_add(&replay->text, " ends with status %d, where it ", status);
  if (replay->batches.first != NULL) {
    trp_text_add(&replay->text, "went on in the recording.\n");
  } else {
    trp_text_add(&replay->text, "ended with %" PRId64 " in the recording.\n", replay->status);
  }
  trp_replay_tell_place(replay, (trp_cause_t){0});
  return TROUPE_EDIFFERS;
}
