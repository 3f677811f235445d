/// Replay, the other direction: what the actor sends is compared with what it sent.
#include "core/support/array.h"
#include "core/trace/replay_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/trace/calls.h"
#include "core/trace/kinds.h"
#include "core/trace/view.h"

enum { SHOWN = 48 }; // bytes of a piece that differs

static int expect_whole(trp_replay_t *replay, trp_item_t *item);
static int expect_flow(trp_replay_t *replay, const trp_item_t *item);
static int find_stream(trp_replay_t *replay, uint64_t to, uint64_t connection,
                       trp_stream_t **stream);
static bool takes_part(trp_replay_t *replay, const trp_message_t *message, uint64_t *connection);
static bool skips(trp_replay_t *replay, const trp_stream_t *stream);
static int next_expected(trp_replay_t *replay, trp_stream_t *stream, bool read,
                         trp_said_t *expected);
static int compare_flow(trp_replay_t *replay, const trp_out_t *out, size_t index);
static int check_flows(trp_replay_t *replay);
static int compare_message(trp_replay_t *replay, trp_stream_t *stream, const trp_out_t *out,
                           size_t index);
static trp_said_t said_of(const trp_out_t *out, size_t index);
static bool was_given(const trp_replay_t *replay, uint64_t sender, uint64_t sequence);
static void tell_command(trp_replay_t *replay, trp_stream_t *stream, trp_said_t expected,
                         const trp_out_t *out, size_t index);
static void tell_flow(trp_replay_t *replay, const trp_flow_difference_t *difference,
                      trp_cause_t cause);

int trp_replay_expect(trp_replay_t *replay, trp_item_t *item) {
  if (replay->accept != NULL) {
    trp_item_free(item); // what it did before is not asked for
    return 0;
  }
  if (replay->options.verdict == TROUPE_VERDICT_STREAM) {
    int error = expect_flow(replay, item);
    trp_item_free(item);
    return error;
  }
  if (replay->partial) {
    return expect_whole(replay, item);
  }
  trp_stream_t *stream = NULL;
  int error = find_stream(replay, item->subject, 0, &stream);
  if (error != 0) {
    trp_item_free(item);
    return error;
  }
  trp_queue_push(&stream->waiting, item);
  return 0;
}

/// Each connection that is whole and in the batch gets the batch: its other messages are skipped
/// there.
static int expect_whole(trp_replay_t *replay, trp_item_t *item) {
  trp_view_t view;
  trp_view_init(&view);
  int error = trp_view_open(&view, item->type, item->body->bytes, item->body->length);
  for (size_t i = 0; error == 0 && i < view.batch->n_messages; i++) {
    uint64_t connection = 0;
    trp_stream_t *stream = NULL;
    if (!takes_part(replay, view.batch->messages[i], &connection)) {
      continue;
    }
    error = find_stream(replay, item->subject, connection, &stream);
    if (error == 0 &&
        (stream->waiting.first == NULL || stream->waiting.last->sequence != item->sequence)) {
      trp_item_t *copy = malloc(sizeof *copy);
      if (copy == NULL) {
        error = TROUPE_ENOMEM;
      } else {
        *copy = *item;
        trp_body_hold(copy->body);
        trp_queue_push(&stream->waiting, copy);
      }
    }
  }
  trp_view_free(&view);
  trp_item_free(item);
  return error;
}

static int expect_flow(trp_replay_t *replay, const trp_item_t *item) {
  trp_in_t in;
  trp_in_init(&in);
  int error = trp_body_parse(item->body, item->type, &in);
  for (size_t i = 0; error == 0 && i < in.batch->n_messages; i++) {
    const trp_message_t *message = in.batch->messages[i];
    uint64_t connection = 0;
    trp_flow_difference_t difference;
    if (!trp_flows_takes(message) ||
        (replay->partial && !takes_part(replay, message, &connection))) {
      continue;
    }
    trp_said_t said = {.message = message, .payload = trp_in_payload(&in, message)};
    error = trp_flows_add(&replay->flows, TRP_EXPECTED, item->subject, said, &difference);
    if (error == TROUPE_EDIFFERS) {
      tell_flow(replay, &difference,
                (trp_cause_t){.sender = in.batch->cause_sender,
                              .sequence = in.batch->cause_sequence,
                              .subject = message->subject});
    }
  }
  trp_in_free(&in);
  return error;
}

int trp_replay_compare(trp_replay_t *replay, trp_out_t *out) {
  int error = 0;
  for (size_t i = 0; i < out->count && error == 0; i++) {
    trp_stream_t *stream = NULL;
    uint64_t connection = 0;
    if (replay->partial && !takes_part(replay, out->messages[i], &connection)) {
      continue;
    }
    if (replay->options.verdict == TROUPE_VERDICT_STREAM) {
      error = compare_flow(replay, out, i);
      continue;
    }
    error = find_stream(replay, out->to, connection, &stream);
    if (error == 0) {
      error = compare_message(replay, stream, out, i);
    }
  }
  return error;
}

/// Of a partial replay: the connection that a command is about, or the server that it makes; 0: none.
static uint64_t subject_of(trp_replay_t *replay, const trp_message_t *message) {
  uint64_t connection = 0;
  int error = trp_connection_of(&replay->servers, message, &connection);
  return error != 0 ? 0 : message->kind == TRP_KIND(COMMAND_LISTEN) ? message->subject : connection;
}

/// Of a partial replay: whether that is whole.
static bool takes_part(trp_replay_t *replay, const trp_message_t *message, uint64_t *connection) {
  *connection = subject_of(replay, message);
  return *connection != 0 && trp_whole_has(&replay->whole, *connection);
}

static int compare_flow(trp_replay_t *replay, const trp_out_t *out, size_t index) {
  trp_said_t said = said_of(out, index);
  trp_flow_difference_t difference;
  if (!trp_flows_takes(said.message)) {
    return 0;
  }
  replay->report->commands++;
  int error = trp_flows_add(&replay->flows, TRP_GOT, out->to, said, &difference);
  if (error == 0 && replay->partial &&
      trp_whole_is_shadowed(&replay->whole, out->cause_sender, out->cause_sequence)) {
    trp_flows_doubt(&replay->flows, said.message->subject);
  }
  if (error == TROUPE_EDIFFERS) {
    tell_flow(replay, &difference,
              (trp_cause_t){.sender = out->cause_sender,
                            .sequence = out->cause_sequence,
                            .exact = true,
                            .subject = said.message->subject});
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  return error;
}

/// The recording is over: neither side may have more than the other. (Of one that is cut off nobody
/// knows what would have come.)
static int check_flows(trp_replay_t *replay) {
  trp_flow_difference_t difference;
  int error = trp_flows_rest(&replay->flows, TRP_EXPECTED, &difference);
  if (error == 0 && (replay->ended || replay->partial)) {
    error = trp_flows_rest(&replay->flows, TRP_GOT, &difference);
  }
  if (error != 0) {
    tell_flow(replay, &difference, (trp_cause_t){.subject = difference.flow->id});
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  return 0;
}

static int compare_message(trp_replay_t *replay, trp_stream_t *stream, const trp_out_t *out,
                           size_t index) {
  trp_said_t expected = {0};
  int result = next_expected(replay, stream, true, &expected);
  if (result < 0) {
    return result;
  }
  if (result == 0) {
    if (replay->read_all && !replay->ended) {
      return 0; // cut off: nobody knows what would have come
    }
    tell_command(replay, stream, (trp_said_t){0}, out, index);
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  const trp_wire_batch_t *batch = stream->open.batch;
  if (!replay->partial && !was_given(replay, batch->cause_sender, batch->cause_sequence)) {
    tell_command(replay, stream, (trp_said_t){0}, out, index);
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  if (trp_compare(expected, said_of(out, index), replay->options.ignore) != TRP_SAME) {
    tell_command(replay, stream, expected, out, index);
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  stream->next++;
  stream->compared++;
  replay->report->commands++;
  return 0;
}

/// What the receiver was sent next in the recording: 1 with `*expected`, 0 when there is nothing
/// (up to where may be looked), or an error. Without `read` only what was read already is looked
/// at.
static int next_expected(trp_replay_t *replay, trp_stream_t *stream, bool read,
                         trp_said_t *expected) {
  for (;;) {
    while (skips(replay, stream)) {
      stream->next++;
    }
    if (stream->open.batch != NULL && stream->next < stream->open.batch->n_messages) {
      break;
    }
    while (stream->waiting.first == NULL) {
      if (!read || !trp_replay_may_look_ahead(replay)) {
        return 0;
      }
      int result = trp_replay_read_on(replay);
      if (result <= 0) {
        return result;
      }
    }
    trp_item_t *item = trp_queue_pop(&stream->waiting);
    trp_in_reset(&stream->open);
    stream->next = 0;
    stream->open_sequence = item->sequence;
    int error = trp_body_parse(item->body, item->type, &stream->open);
    trp_item_free(item);
    if (error != 0) {
      trp_in_reset(&stream->open);
      trp_replay_explain(replay, error);
      return trp_replay_stop(replay, error);
    }
  }
  const trp_message_t *message = stream->open.batch->messages[stream->next];
  *expected = (trp_said_t){.message = message, .payload = trp_in_payload(&stream->open, message)};
  return 1;
}

int trp_replay_check_all_sent(trp_replay_t *replay, uint64_t before) {
  if (replay->accept != NULL) {
    return 0;
  }
  if (replay->options.verdict == TROUPE_VERDICT_STREAM) {
    return before == UINT64_MAX ? check_flows(replay) : 0;
  }
  trp_stream_t *missing = NULL;
  trp_said_t expected = {0};
  for (size_t i = 0; i < replay->stream_count; i++) {
    trp_stream_t *stream = replay->streams[i];
    trp_said_t first = {0};
    if (stream->connection != 0 && !trp_whole_has(&replay->whole, stream->connection)) {
      continue; // it was, when this was read
    }
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
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  if (!replay->partial && replay->calls.first != NULL && replay->calls.first->sequence < before) {
    trp_replay_tell_heading(replay);
    trp_text_add(&replay->text, " does not make a call that it made in the recording: %s.\n",
                 trp_call_name(replay->calls.first->subject));
    trp_replay_tell_place(replay, (trp_cause_t){0});
    return trp_replay_stop(replay, TROUPE_EDIFFERS);
  }
  return 0;
}

static int find_stream(trp_replay_t *replay, uint64_t to, uint64_t connection,
                       trp_stream_t **stream) {
  if (connection != 0) {
    *stream = trp_map_get(&replay->by_connection, connection);
    if (*stream != NULL) {
      return 0;
    }
  }
  for (size_t i = 0; i < replay->stream_count && connection == 0; i++) {
    if (replay->streams[i]->to == to) {
      *stream = replay->streams[i];
      return 0;
    }
  }
  trp_stream_t **grown = trp_array_room(replay->streams, &replay->stream_capacity,
                                        replay->stream_count, sizeof(trp_stream_t *));
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  replay->streams = grown;
  trp_stream_t *made = calloc(1, sizeof *made);
  if (made == NULL ||
      (connection != 0 && trp_map_put(&replay->by_connection, connection, made) != 0)) {
    free(made);
    return TROUPE_ENOMEM;
  }
  made->to = to;
  made->connection = connection;
  trp_in_init(&made->open);
  replay->streams[replay->stream_count++] = made;
  *stream = made;
  return 0;
}

void trp_replay_free_streams(trp_replay_t *replay) {
  for (size_t i = 0; i < replay->stream_count; i++) {
    trp_queue_free(&replay->streams[i]->waiting);
    trp_in_free(&replay->streams[i]->open);
    free(replay->streams[i]);
  }
  free(replay->streams);
  trp_map_free(&replay->by_connection);
}

/// Whether the message that comes next in an open batch is another connection's.
static bool skips(trp_replay_t *replay, const trp_stream_t *stream) {
  if (stream->connection == 0 || stream->open.batch == NULL ||
      stream->next == stream->open.batch->n_messages) {
    return false;
  }
  return subject_of(replay, stream->open.batch->messages[stream->next]) != stream->connection;
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

int trp_replay_note_given(trp_replay_t *replay, const trp_wire_batch_t *batch) {
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
  trp_given_t *grown = trp_array_room(replay->given, &replay->given_capacity, replay->given_count,
                                      sizeof *grown);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  replay->given = grown;
  replay->given[replay->given_count++] = (trp_given_t){.sender = batch->sender, .sequence = last};
  return 0;
}

// ---- Telling ----

void trp_replay_tell_heading(trp_replay_t *replay) {
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
static bool comes_next(trp_stream_t *stream, trp_said_t said) {
  if (stream->open.batch == NULL || stream->next + 1 >= stream->open.batch->n_messages) {
    return false;
  }
  const trp_message_t *message = stream->open.batch->messages[stream->next + 1];
  trp_said_t next = {.message = message, .payload = trp_in_payload(&stream->open, message)};
  return trp_compare(next, said, NULL) == TRP_SAME;
}

/// `expected` has no message when there should be none, `out` is NULL when there is none.
static void tell_command(trp_replay_t *replay, trp_stream_t *stream, trp_said_t expected,
                         const trp_out_t *out, size_t index) {
  trp_text_t *text = &replay->text;
  trp_said_t got = out == NULL ? (trp_said_t){0} : said_of(out, index);
  trp_replay_tell_heading(replay);
  trp_text_add(text, " does not do what it did in %s: message %" PRIu64 " to ", replay->name,
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
                            trp_compare(expected, said_of(out, index + 1), NULL) == TRP_SAME;
    if (got_is_next && expected_is_next) {
      trp_text_add(text, "  The two have changed places.\n");
    } else if (got_is_next) {
      trp_text_add(text,
                   "  What was got comes next in the recording: the one expected is missing.\n");
    } else if (expected_is_next) {
      trp_text_add(text, "  What is expected comes next: what was got is too much.\n");
    } else {
      const char *const *ignore = replay->options.ignore;
      trp_explain(text, trp_compare(expected, got, ignore), expected, got, ignore);
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
  trp_replay_tell_place(replay, cause);
}

int trp_replay_tell_made(trp_replay_t *replay, const trp_out_t *out, size_t index) {
  trp_replay_tell_heading(replay);
  trp_text_add(&replay->text, " makes a connection that it did not make in %s.\n", replay->name);
  print_said(&replay->text, "expected: ", (trp_said_t){0});
  print_said(&replay->text, "got:      ", said_of(out, index));
  trp_replay_tell_place(replay, (trp_cause_t){.sender = out->cause_sender,
                                              .sequence = out->cause_sequence,
                                              .exact = true,
                                              .subject = out->messages[index]->subject});
  return trp_replay_stop(replay, TROUPE_EDIFFERS);
}

void trp_replay_tell_place(trp_replay_t *replay, trp_cause_t cause) {
  trp_recent_tell(&replay->recent, cause, &replay->start, &replay->text);
  if (replay->partial) {
    trp_partial_tell_doubt(replay);
  }
}

/// No difference, but the recording does not go on to the actor's end.
void trp_replay_tell_cut(trp_replay_t *replay) {
  trp_replay_tell_heading(replay);
  trp_text_add(&replay->text, " did the same up to where the recording ends%s.\n",
               replay->read_result == 0            ? ", before the actor did"
               : replay->read_result == TROUPE_EOF ? ", in the middle of a record"
                                                   : "");
}

static void print_piece(trp_text_t *text, const char *label, const trp_piece_t *piece) {
  trp_text_add(text, "  %s", label);
  if (piece == NULL) {
    trp_text_add(text, "nothing more\n");
    return;
  }
  if (piece->kind != TRP_KIND(COMMAND_WRITE)) {
    trp_print_kind(text, piece->kind);
    trp_text_add(text, " ");
  }
  size_t left = piece->length - piece->done;
  trp_print_bytes(text, piece->bytes + piece->done, left < SHOWN ? left : SHOWN);
  trp_text_add(text, "%s\n", left > SHOWN ? "..." : "");
}

static void tell_flow(trp_replay_t *replay, const trp_flow_difference_t *difference,
                      trp_cause_t cause) {
  trp_text_t *text = &replay->text;
  trp_replay_tell_heading(replay);
  trp_text_add(text, " does not send what it sent in %s: what goes to ", replay->name);
  trp_print_id(text, difference->flow->id);
  trp_text_add(text, " differs behind byte %" PRIu64 ".\n", difference->flow->position);
  print_piece(text, "expected: ", difference->expected);
  print_piece(text, "got:      ", difference->got);
  if (replay->returned) {
    trp_text_add(text, "  Its main function returned %d before that.\n", replay->returned_status);
  }
  trp_replay_tell_place(replay, cause);
}
