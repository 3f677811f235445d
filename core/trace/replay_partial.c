/// Replay of a trace that is not complete: the connections that are whole (whole.h), with what is
/// about others left out.
#include "core/trace/replay_partial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/message/id.h"
#include "core/support/array.h"
#include "core/trace/kinds.h"
#include "core/trace/replay_state.h"

static int tell_none(trp_replay_t *replay);
static int tell_incomplete(trp_replay_t *replay, const char *why);
static void tell_reason(trp_replay_t *replay);
static bool is_left_out(void *context, const trp_message_t *message);

/// The trace is not complete: what of it is whole?
int trp_partial_begin(trp_replay_t *replay) {
  replay->partial = true;
  int error = trp_whole_find(&replay->whole, replay->path);
  if (error != 0) {
    return trp_replay_explain(replay, error);
  }
  replay->report->connections = replay->whole.whole;
  replay->report->left_out = replay->whole.others;
  if (replay->accept != NULL) {
    return tell_incomplete(replay, "no new truth can be written from it");
  }
  if (replay->whole.whole == 0) {
    return tell_none(replay);
  }
  replay->recent.left_out = is_left_out;
  replay->recent.context = replay;
  return 0;
}

static int tell_none(trp_replay_t *replay) {
  int result = tell_incomplete(replay, "none of its connections is whole");
  if (replay->whole.others > 0) {
    trp_text_add(&replay->text, "They are: ");
    trp_whole_tell_others(&replay->whole, &replay->text);
    trp_text_add(&replay->text, ".\n");
  }
  return result;
}

static int tell_incomplete(trp_replay_t *replay, const char *why) {
  trp_text_t *text = &replay->text;
  trp_replay_tell_heading(replay);
  trp_text_add(text, " cannot be replayed: %s is not complete", replay->name);
  trp_record_t record;
  uint64_t batches = 0;
  int result = 1;
  while ((result = trp_reader_next(replay->reader, &record)) == 1 &&
         record.head.type != TRP_RECORD_GAP) {
    batches += record.head.type == TRP_RECORD_IN || record.head.type == TRP_RECORD_IN_CUT;
  }
  tell_reason(replay);
  if (result == 1) {
    trp_text_add(text,
                 "; after %" PRIu64 " batches of events %" PRIu64
                 " records are missing: the recorder could not keep up, and its backlog was full",
                 batches, record.head.subject);
  }
  trp_text_add(text, "; and %s.\n", why);
  return TROUPE_EINCOMPLETE;
}

/// Why a trace is not complete, as its header says.
static void tell_reason(trp_replay_t *replay) {
  static const struct {
    uint32_t flag;
    const char *words;
  } reasons[] = {{TRP_TRACE_LATE, "recording began after the actor"},
                 {TRP_TRACE_CHOSEN, "some connections only"},
                 {TRP_TRACE_CUT, "payloads are cut or redacted"},
                 {TRP_TRACE_ROTATED, "an earlier file has what came before"},
                 {TRP_TRACE_LOST, "something was lost"}};
  uint32_t flags = trp_reader_header(replay->reader)->flags;
  flags = flags == 0 ? (uint32_t)TRP_TRACE_LOST : flags; // as earlier versions wrote it
  const char *between = " (";
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if ((flags & reasons[i].flag) != 0) {
      trp_text_add(&replay->text, "%s%s", between, reasons[i].words);
      between = "; ";
    }
  }
  trp_text_add(&replay->text, strcmp(between, "; ") == 0 ? ")" : "");
}

void trp_partial_tell_doubt(trp_replay_t *replay) {
  trp_text_add(&replay->text, "The trace is not complete");
  tell_reason(replay);
  trp_text_add(&replay->text,
               ": where the actor goes by what it remembers of something that is left out, or by "
               "random numbers, it does something else without being broken.\n");
}

/// What is about connections that are not whole is not given, nor what is about something that the
/// actor has not made here.
static bool is_left_out(void *context, const trp_message_t *message) {
  trp_replay_t *replay = context;
  uint64_t connection = 0;
  if (trp_whole_leaves_out(&replay->whole, message) ||
      trp_connection_of(&replay->servers, message, &connection) != 0) {
    return true;
  }
  return (connection != 0 && !trp_whole_has(&replay->whole, connection)) ||
         trp_replay_is_unmade(replay, message);
}

/// Says how many messages are left. 0 or TROUPE_ENOMEM.
int trp_partial_leave_out(trp_replay_t *replay, const trp_wire_batch_t *batch, size_t *given) {
  *given = 0;
  for (size_t i = 0; i < batch->n_messages; i++) {
    trp_message_t *message = batch->messages[i];
    if (!is_left_out(replay, message)) {
      int error = trp_replay_rename_in(replay, message);
      if (error != 0) {
        return error;
      }
      ++*given;
      continue;
    }
    if (message->kind == TRP_KIND(EVENT_CONNECTION) &&
        message->detail_case == TRP_DETAIL(CONNECTION)) {
      trp_whole_drop(&replay->whole, message->connection->socket);
      replay->report->connections = replay->whole.whole;
      replay->report->left_out = replay->whole.others;
    }
    message->kind = TRP_KIND(KIND_NONE); // which nobody gets
  }
  return 0;
}

/// The servers that the actor makes at its start listen, whether that was recorded or not.
int trp_partial_make_listening(trp_replay_t *replay, trp_in_t *in) {
  trp_out_t out;
  uint64_t server = replay->listens[--replay->listen_count];
  trp_out_init(&out, trp_id_actor(1), replay->start.id, NULL);
  trp_message_t *event = trp_out_add(&out, TRP_KIND(EVENT_LISTENING), server);
  Troupe__Wire__Listening *detail = trp_out_take(&out, sizeof *detail);
  Troupe__Wire__Address *address = trp_out_take(&out, sizeof *address);
  uint8_t *bytes = trp_out_take(&out, 4);
  int error = event == NULL || detail == NULL || address == NULL || bytes == NULL ? TROUPE_ENOMEM
                                                                                  : 0;
  if (error == 0) {
    *detail = (Troupe__Wire__Listening)TROUPE__WIRE__LISTENING__INIT;
    *address = (Troupe__Wire__Address)TROUPE__WIRE__ADDRESS__INIT;
    address->family = 4;
    address->bytes = (ProtobufCBinaryData){.len = 4, .data = bytes};
    detail->address = address;
    event->listening = detail;
    event->detail_case = TRP_DETAIL(LISTENING);
    error = trp_out_pack(&out);
  }
  if (error == 0) {
    error = trp_in_push(in, trp_frame_hold(out.envelope));
  }
  if (error == 0) {
    error = trp_in_open(in);
    in->received_ns = replay->clock_ns;
    replay->makes_up = true;
  }
  trp_out_free(&out);
  return error == 0 ? 1 : trp_replay_stop(replay, error);
}

int trp_partial_remember_listen(trp_replay_t *replay, uint64_t server, uint64_t recorded) {
  if (trp_map_get(&replay->whole.listening, recorded) != NULL) {
    return 0;
  }
  uint64_t *grown = trp_array_room(replay->listens, &replay->listen_capacity, replay->listen_count,
                                   sizeof *grown);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  replay->listens = grown;
  replay->listens[replay->listen_count++] = server;
  return 0;
}

/// Of a partial replay: the next call of that kind that was made after the batch that is dispatched;
/// those before it may have belonged to what is left out.
trp_item_t *trp_partial_find_call(trp_replay_t *replay, uint32_t call) {
  trp_queue_t others = {0};
  trp_item_t *found = NULL;
  for (trp_item_t *item = trp_queue_pop(&replay->calls); item != NULL;
       item = trp_queue_pop(&replay->calls)) {
    if (item->sequence < replay->batch_sequence) {
      trp_item_free(item);
    } else if (found == NULL && item->subject == call) {
      found = item;
    } else {
      trp_queue_push(&others, item);
    }
  }
  replay->calls = others;
  return found;
}

/// Whether main goes on as long as the connections that are whole need it.
int trp_partial_finish(trp_replay_t *replay, int status) {
  bool late = (trp_reader_header(replay->reader)->flags & (TRP_TRACE_LATE | TRP_TRACE_ROTATED)) !=
              0;
  if (replay->report->events > 0 || !late) {
    int result = 1;
    while (result == 1) {
      result = trp_replay_read_on(replay);
    }
    if (result < 0 || trp_replay_check_all_sent(replay, UINT64_MAX) != 0) {
      return replay->verdict;
    }
  }
  if (replay->batches.first != NULL && status < 0) {
    trp_replay_tell_heading(replay);
    trp_text_add(&replay->text, " ends with status %d, where it went on in the recording.\n",
                 status);
    return TROUPE_EDIFFERS;
  }
  return trp_partial_tell(replay);
}

/// Which connections were replayed. Returns the verdict: 0, unless there was none.
int trp_partial_tell(trp_replay_t *replay) {
  const trp_whole_t *whole = &replay->whole;
  if (whole->whole == 0) {
    return tell_none(replay);
  }
  trp_replay_tell_heading(replay);
  trp_text_add(&replay->text, " did the same; %s is not complete", replay->name);
  tell_reason(replay);
  trp_text_add(&replay->text,
               ", and of its %" PRIu64 " connections %" PRIu64 " are whole and were replayed: ",
               whole->whole + whole->others, whole->whole);
  trp_whole_tell(whole, &replay->text);
  trp_text_add(&replay->text, ".\n");
  if (whole->others > 0) {
    trp_text_add(&replay->text, "Left out: ");
    trp_whole_tell_others(whole, &replay->text);
    trp_text_add(&replay->text, ".\n");
  }
  return 0;
}
