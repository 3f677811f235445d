/// Batches made smaller. The envelope is packed anew when messages are left out; payloads come each
/// by itself behind it, so that what is not kept of a frame is not there.
#include "core/trace/keep.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>
#include <troupe/trace_file.h>

#include "core/message/codec.h"
#include "core/message/id.h"
#include "core/trace/kinds.h"
#include "core/trace/view.h"

static bool is_chosen(const trp_keep_t *keep, uint64_t connection);
static int choose(trp_keep_t *keep, uint16_t type, uint64_t actor, trp_wire_batch_t *batch);
static int note_event(trp_keep_t *keep, uint64_t actor, const trp_wire_batch_t *batch, size_t index,
                      uint64_t connection);
static int choose_made(trp_keep_t *keep, uint64_t actor, const trp_causes_t *causes,
                       uint64_t connection);
static void note_closed(trp_keep_t *keep, uint64_t connection);
static int reserve(trp_keep_t *keep, size_t more);
static int add_envelope(trp_keep_t *keep, const trp_wire_batch_t *batch, const trp_frame_t *whole);
static int add_payload(trp_keep_t *keep, uint16_t type, uint64_t actor,
                       const trp_message_t *message, const uint8_t *bytes);

void trp_keep_init(trp_keep_t *keep, const troupe_record_options_t *options) {
  *keep = (trp_keep_t){.one_in = options->one_connection_in,
                       .connection = options->connection,
                       .cuts = options->cut_payloads,
                       .payload_bytes = options->payload_bytes,
                       .redact = options->redact,
                       .redact_context = options->redact_context};
  trp_arena_init(&keep->arena);
}

void trp_keep_free(trp_keep_t *keep) {
  trp_arena_free(&keep->arena);
  trp_map_free(&keep->servers);
  trp_map_free(&keep->otherwise);
  free(keep->events);
  free(keep->body);
}

static bool chooses(const trp_keep_t *keep) {
  return keep->one_in > 1 || keep->connection != 0;
}

bool trp_keep_is_less(const trp_keep_t *keep) {
  return chooses(keep) || keep->cuts || keep->redact != NULL;
}

uint32_t trp_keep_flags(const trp_keep_t *keep) {
  return (chooses(keep) ? (uint32_t)TRP_TRACE_CHOSEN : 0) |
         (keep->cuts || keep->redact != NULL ? (uint32_t)TRP_TRACE_CUT : 0);
}

int trp_keep_some(trp_keep_t *keep, uint16_t type, uint64_t actor, trp_frame_t *const *frames,
                  size_t frame_count) {
  trp_wire_batch_t *batch = NULL;
  keep->length = 0;
  keep->left_out = false;
  trp_arena_reset(&keep->arena);
  int error = frame_count == 0
                  ? (int)TROUPE_EBADMESSAGE
                  : trp_codec_unpack(frames[0]->bytes, frames[0]->size, &keep->arena, &batch);
  if (error != 0) {
    return error;
  }
  bool chooses_some = chooses(keep);
  size_t all = batch->n_messages;
  if (chooses_some) {
    error = choose(keep, type, actor, batch);
    if (error != 0 || (batch->n_messages == 0 && all > 0)) {
      return error;
    }
  }
  error = add_envelope(keep, batch, chooses_some ? NULL : frames[0]);
  for (size_t i = 0; error == 0 && i < batch->n_messages; i++) {
    const trp_message_t *message = batch->messages[i];
    if (message->frame == 0) {
      continue;
    }
    if (message->frame >= frame_count || message->offset > frames[message->frame]->size ||
        message->length > frames[message->frame]->size - message->offset) {
      return TROUPE_EBADMESSAGE;
    }
    error = add_payload(keep, type, actor, message,
                        frames[message->frame]->bytes + message->offset);
  }
  return error == 0 ? 1 : error;
}

/// By its id: all that is about a connection is kept or not, whichever actor has it.
static bool id_is_chosen(const trp_keep_t *keep, uint64_t connection) {
  if (keep->connection != 0) {
    return troupe_id_matches(connection, keep->connection);
  }
  uint64_t mixed = connection * UINT64_C(0x9e3779b97f4a7c15);
  return (mixed ^ mixed >> 32) % keep->one_in == 0;
}

static bool is_chosen(const trp_keep_t *keep, uint64_t connection) {
  if (connection == 0) {
    return true;
  }
  bool otherwise = trp_map_get(&keep->otherwise, connection) != NULL;
  return id_is_chosen(keep, connection) != otherwise;
}

static bool makes(const trp_message_t *message) {
  return message->kind == TRP_KIND(COMMAND_CONNECT) || message->kind == TRP_KIND(COMMAND_ADOPT);
}

/// Leaves out the messages of other connections. Empty ones take their places, so that those that
/// are kept have their numbers; of a connection that the actor makes it stays that it does.
static int choose(trp_keep_t *keep, uint16_t type, uint64_t actor, trp_wire_batch_t *batch) {
  size_t kept = 0;
  trp_causes_t causes;
  trp_causes_begin(&causes, batch);
  for (size_t i = 0; i < batch->n_messages; i++) {
    trp_message_t *message = batch->messages[i];
    uint64_t connection = 0;
    bool known = trp_causes_next(&causes);
    int error = trp_connection_of(&keep->servers, message, &connection);
    if (error == 0 && type == TRP_RECORD_IN) {
      error = note_event(keep, actor, batch, i, connection);
    } else if (error == 0 && known && makes(message)) {
      error = choose_made(keep, actor, &causes, connection);
    }
    if (error != 0) {
      return error;
    }
    bool chosen = is_chosen(keep, connection);
    if (type == TRP_RECORD_IN && message->kind == TRP_KIND(EVENT_CLOSE)) {
      note_closed(keep, connection);
    }
    if (chosen) {
      kept = i + 1;
      continue;
    }
    keep->left_out = true;
    const trp_message_t none = TROUPE__WIRE__MESSAGE__INIT;
    uint64_t subject = message->subject;
    Troupe__Wire__Kind kind = makes(message) ? message->kind : none.kind;
    *message = none;
    if (kind != none.kind) {
      message->kind = kind;
      message->subject = subject;
      kept = i + 1;
    }
  }
  batch->n_messages = kept;
  return 0;
}

// ---- Connections that are made because of others ----

static trp_kept_event_t *place_of(const trp_keep_t *keep, uint64_t actor, uint64_t sender,
                                  uint64_t sequence) {
  uint64_t mixed = (actor * UINT64_C(0x9e3779b97f4a7c15) ^ sender) * UINT64_C(0x9e3779b97f4a7c15);
  return &keep->events[((mixed >> 32) + sequence) % TRP_KEEP_EVENTS];
}

static int note_event(trp_keep_t *keep, uint64_t actor, const trp_wire_batch_t *batch, size_t index,
                      uint64_t connection) {
  const trp_message_t *message = batch->messages[index];
  if (message->kind == TRP_KIND(EVENT_TIMER) && message->detail_case == TRP_DETAIL(TIMER) &&
      !trp_id_is_actor(message->timer->subject) &&
      trp_map_get(&keep->servers, message->timer->subject) == NULL) {
    connection = message->timer->subject; // after whose event it was started
  }
  if (connection == 0) {
    return 0;
  }
  if (keep->events == NULL) {
    keep->events = calloc(TRP_KEEP_EVENTS, sizeof *keep->events);
    if (keep->events == NULL) {
      return TROUPE_ENOMEM;
    }
  }
  uint64_t sequence = batch->first_sequence + index;
  *place_of(keep, actor, batch->sender, sequence) = (trp_kept_event_t){
      .actor = actor, .sender = batch->sender, .sequence = sequence, .connection = connection};
  return 0;
}

static int choose_made(trp_keep_t *keep, uint64_t actor, const trp_causes_t *causes,
                       uint64_t connection) {
  bool chosen = id_is_chosen(keep, connection);
  if (keep->events != NULL) {
    const trp_kept_event_t *event = place_of(keep, actor, causes->sender, causes->sequence);
    if (event->actor == actor && event->sender == causes->sender &&
        event->sequence == causes->sequence && event->connection != connection &&
        event->connection != 0) {
      bool like = is_chosen(keep, event->connection);
      // The one connection that was asked for is kept in any case.
      chosen = like || (chosen && keep->connection != 0);
    }
  }
  if (chosen != id_is_chosen(keep, connection)) {
    return trp_map_put(&keep->otherwise, connection, keep);
  }
  trp_map_remove(&keep->otherwise, connection);
  return 0;
}

/// It is forgotten, so that what is remembered does not grow, but not at once.
static void note_closed(trp_keep_t *keep, uint64_t connection) {
  if (connection == 0 || trp_map_get(&keep->otherwise, connection) == NULL) {
    return;
  }
  uint64_t *place = &keep->closed[keep->closed_at++ % TRP_KEEP_CLOSED];
  if (*place != 0) {
    trp_map_remove(&keep->otherwise, *place);
  }
  *place = connection;
}

static int reserve(trp_keep_t *keep, size_t more) {
  if (keep->capacity - keep->length >= more) {
    return 0;
  }
  size_t capacity = 2 * (keep->length + more);
  uint8_t *grown = realloc(keep->body, capacity);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  keep->body = grown;
  keep->capacity = capacity;
  return 0;
}

/// `whole` is the envelope when it stays as it is.
static int add_envelope(trp_keep_t *keep, const trp_wire_batch_t *batch, const trp_frame_t *whole) {
  size_t bound = whole != NULL ? whole->size : trp_codec_bound(batch);
  int error = reserve(keep, 4 + bound);
  if (error != 0) {
    return error;
  }
  size_t size = bound;
  if (whole != NULL) {
    memcpy(keep->body + 4, whole->bytes, whole->size);
  } else {
    size = trp_codec_pack(batch, keep->body + 4);
  }
  trp_put_u32(keep->body, (uint32_t)size);
  keep->length = 4 + size;
  return 0;
}

static int add_payload(trp_keep_t *keep, uint16_t type, uint64_t actor,
                       const trp_message_t *message, const uint8_t *bytes) {
  size_t kept = keep->cuts && keep->payload_bytes < message->length ? keep->payload_bytes
                                                                    : message->length;
  // The application sees the whole payload; what it leaves is cut afterwards.
  size_t room = keep->redact != NULL ? message->length : kept;
  int error = reserve(keep, TRP_CUT_HEAD_SIZE + room);
  if (error != 0) {
    return error;
  }
  uint8_t *head = keep->body + keep->length;
  uint8_t *copy = head + TRP_CUT_HEAD_SIZE;
  memcpy(copy, bytes, room);
  uint32_t flags = 0;
  if (keep->redact != NULL) {
    const troupe_redact_t what = {.actor = actor,
                                  .subject = message->subject,
                                  .is_event = type == TRP_RECORD_IN,
                                  .is_message = message->kind == TRP_KIND(EVENT_MESSAGE)};
    keep->redact(&what, copy, message->length, keep->redact_context);
    flags |= memcmp(copy, bytes, message->length) != 0 ? (uint32_t)TRP_CUT_REDACTED : 0;
  }
  uint64_t hash = 0;
  if (kept < message->length || flags != 0) {
    keep->left_out = true;
    flags |= TRP_CUT_HASHED;
    hash = trp_payload_hash(bytes, message->length);
  }
  trp_put_u32(head, (uint32_t)kept);
  trp_put_u32(head + 4, flags);
  trp_put_u64(head + 8, hash);
  keep->length += TRP_CUT_HEAD_SIZE + kept;
  return 0;
}
