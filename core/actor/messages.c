/// Messages between actors: over a pipe of their own while there are few of those, through the I/O
/// actor beyond that. What goes out is bounded for each pair by credit: the receiver tells how many
/// it has consumed.
#include <stdlib.h>
#include <string.h>

#include "core/actor/state.h"
#include "core/message/credit.h"
#include "core/message/id.h"
#include "core/net/chunk.h"
#include "core/trace/calls.h"

enum {
  DIRECT_MAX = 64, // pipes to other actors; each costs some 37 KiB and a descriptor
  LENGTH_MAX = 16 * 1024 * 1024,
};

typedef enum { ROUTE_UNKNOWN, ROUTE_DIRECT, ROUTE_CARRIED } route_t;

/// Another actor that was sent to or heard from, until it has ended.
typedef struct peer {
  uint64_t id;
  route_t route;
  bool watched; // EVENT_GONE will come
  bool wants_sendable;
  bool dirty; // in the list of those with something to send
  struct peer *next_dirty;
  uint64_t sent, acknowledged; // messages to it
  uint64_t consumed, told;     // messages from it
  trp_out_t *out;              // with a pipe of its own
} peer_t;

/// A message that came while the actor had nobody to take it.
typedef struct held {
  struct held *next;
  uint64_t from;
  trp_frame_t *frame;
  uint32_t offset, length;
} held_t;

struct trp_messages {
  trp_map_t peers;
  peer_t *dirty;
  size_t direct;
  troupe_message_fn on_message;
  void *context;
  void (*on_sendable)(troupe_actor_t to, void *context);
  void *sendable_context;
  held_t *held, **held_last;
  trp_object_t redelivery; // its `later` gives out what was held
  bool redelivers;
};

static void deliver_held(trp_object_t *object);
static void keep_nothing(trp_object_t *object);
static bool send_out(trp_actor_t *actor, trp_out_t *out);
static void tell_sendable(trp_actor_t *actor, uint64_t id);

static const trp_object_type_t redelivery_type = {.later = deliver_held, .release = keep_nothing};

static void keep_nothing(trp_object_t *object) {
  (void)object;
}

static struct trp_messages *messages_of(trp_actor_t *actor) {
  struct trp_messages *messages = actor->messages;
  if (messages == NULL) {
    messages = calloc(1, sizeof *messages);
    if (messages != NULL) {
      messages->held_last = &messages->held;
      messages->redelivery = (trp_object_t){.type = &redelivery_type, .actor = actor};
      actor->messages = messages;
    }
  }
  return messages;
}

/// NULL: no memory.
static peer_t *peer_of(trp_actor_t *actor, uint64_t id) {
  struct trp_messages *messages = messages_of(actor);
  if (messages == NULL) {
    return NULL;
  }
  peer_t *peer = trp_map_get(&messages->peers, id);
  if (peer == NULL) {
    peer = calloc(1, sizeof *peer);
    if (peer != NULL) {
      peer->id = id;
      if (trp_map_put(&messages->peers, id, peer) != 0) {
        free(peer);
        peer = NULL;
      }
    }
  }
  return peer;
}

/// Asks to be told of the peer's end, when what is known of it goes. False: no memory.
static bool watch(trp_actor_t *actor, peer_t *peer) {
  peer->watched = peer->watched ||
                  trp_actor_command(actor, TRP_KIND(COMMAND_PIPE), peer->id) != NULL;
  return peer->watched;
}

/// 0: a pipe of its own; 1: through the I/O actor; TROUPE_ENOACTOR.
static int64_t find_route(trp_actor_t *actor, uint64_t id) {
  int64_t found = 0;
  if (trp_actor_recall(actor, TRP_CALL_PIPE, &found)) {
    return found;
  }
  if (!trp_inbox_knows(actor->inbox, id)) {
    found = TROUPE_ENOACTOR;
  } else {
    found = actor->messages->direct >= DIRECT_MAX || trp_inbox_reach(actor->inbox, id) != 0;
  }
  trp_actor_called(actor, TRP_CALL_PIPE, found);
  return found;
}

/// Decides how messages to this peer go, once. 0 or an error: then nothing is decided.
static int choose_route(trp_actor_t *actor, peer_t *peer) {
  if (peer->route != ROUTE_UNKNOWN) {
    return 0;
  }
  // First what needs memory, so that what was found is in the trace once.
  trp_out_t *out = malloc(sizeof *out);
  if (out == NULL || !watch(actor, peer)) {
    free(out);
    return TROUPE_ENOMEM;
  }
  int64_t found = find_route(actor, peer->id);
  if (found == 0) {
    trp_out_init(out, actor->start.id, peer->id, actor->pool);
    peer->out = out;
    peer->route = ROUTE_DIRECT;
    actor->messages->direct++;
    return 0;
  }
  free(out);
  if (found < 0) {
    return (int)found; // EVENT_GONE takes the peer away
  }
  peer->route = ROUTE_CARRIED;
  return 0;
}

/// Starts a message to `to`; the caller fills its payload. NULL with *error.
static trp_message_t *begin(troupe_actor_t to, size_t length, trp_out_t **out, peer_t **peer,
                            int *error) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    *error = TROUPE_EWRONGTHREAD;
    return NULL;
  }
  if (!trp_id_is_actor(to.id) || trp_id_is_io_actor(to.id) || length > LENGTH_MAX) {
    *error = TROUPE_EINVAL;
    return NULL;
  }
  *peer = peer_of(actor, to.id);
  if (*peer == NULL) {
    *error = TROUPE_ENOMEM;
    return NULL;
  }
  if ((*peer)->sent - (*peer)->acknowledged >= TRP_MESSAGE_CREDIT) {
    (*peer)->wants_sendable = true;
    *error = TROUPE_ENOBUFS;
    return NULL;
  }
  *error = choose_route(actor, *peer);
  if (*error != 0) {
    return NULL;
  }
  trp_message_t *message = NULL;
  if ((*peer)->route == ROUTE_DIRECT) {
    *out = (*peer)->out;
    if (trp_out_empty(*out)) {
      (*out)->cause_sender = actor->cause_sender;
      (*out)->cause_sequence = actor->cause_sequence;
    }
    message = trp_out_add(*out, TRP_KIND(EVENT_MESSAGE), to.id);
  } else {
    *out = trp_actor_out(actor, to.id);
    message = trp_actor_command(actor, TRP_KIND(COMMAND_SEND), to.id);
  }
  if (message == NULL) {
    *error = TROUPE_ENOMEM;
  }
  return message;
}

static void mark_dirty(struct trp_messages *messages, peer_t *peer) {
  if (peer->route == ROUTE_DIRECT && !peer->dirty) {
    peer->dirty = true;
    peer->next_dirty = messages->dirty;
    messages->dirty = peer;
  }
}

static int finish(trp_out_t *out, peer_t *peer, int error) {
  if (error != 0) {
    trp_out_undo(out);
    return error;
  }
  peer->sent++;
  mark_dirty(trp_actor_current()->messages, peer);
  trp_actor_touch(trp_actor_current());
  return 0;
}

int troupe_send(troupe_actor_t to, const void *bytes, size_t length) {
  if (bytes == NULL && length > 0) {
    return trp_actor_current() == NULL ? TROUPE_EWRONGTHREAD : TROUPE_EINVAL;
  }
  trp_out_t *out = NULL;
  peer_t *peer = NULL;
  int error = 0;
  trp_message_t *message = begin(to, length, &out, &peer, &error);
  if (message == NULL) {
    return error;
  }
  return finish(out, peer, length == 0 ? 0 : trp_out_copy(out, message, bytes, length));
}

int troupe_send_chunk(troupe_actor_t to, const troupe_chunk_t *chunk) {
  if (chunk == NULL) {
    return TROUPE_EINVAL;
  }
  size_t length = troupe_chunk_length(chunk);
  trp_out_t *out = NULL;
  peer_t *peer = NULL;
  int error = 0;
  trp_message_t *message = begin(to, length, &out, &peer, &error);
  if (message == NULL) {
    return error;
  }
  return finish(out, peer, length == 0 ? 0 : trp_chunk_attach(chunk, out, message));
}

/// Of the actor that calls.
static int own_messages(struct trp_messages **messages) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  *messages = messages_of(actor);
  return *messages == NULL ? TROUPE_ENOMEM : 0;
}

int troupe_actor_on_message(troupe_message_fn on_message, void *context) {
  struct trp_messages *messages = NULL;
  int error = own_messages(&messages);
  if (error != 0) {
    return error;
  }
  messages->on_message = on_message;
  messages->context = context;
  if (on_message != NULL && messages->held != NULL) {
    trp_object_later(&messages->redelivery);
  }
  return 0;
}

int troupe_actor_on_sendable(void (*on_sendable)(troupe_actor_t to, void *context), void *context) {
  struct trp_messages *messages = NULL;
  int error = own_messages(&messages);
  if (error != 0) {
    return error;
  }
  messages->on_sendable = on_sendable;
  messages->sendable_context = context;
  return 0;
}

/// One message of `from` is consumed: its sender may send another. Told every TRP_MESSAGE_STEP.
static void consumed(trp_actor_t *actor, uint64_t from, size_t length) {
  if (!trp_id_is_actor(from) || trp_id_is_io_actor(from)) {
    trp_actor_taken(actor, TRP_KIND(EVENT_MESSAGE), length); // posted from outside
    return;
  }
  peer_t *peer = peer_of(actor, from);
  if (peer == NULL) {
    return; // the sender stalls rather than that memory grows
  }
  (void)watch(actor, peer); // without memory the next message asks
  peer->consumed++;
  if (peer->consumed - peer->told < TRP_MESSAGE_STEP) {
    return;
  }
  if (peer->route == ROUTE_DIRECT && trp_out_empty(peer->out)) {
    peer->out->cause_sender = actor->cause_sender;
    peer->out->cause_sequence = actor->cause_sequence;
  }
  trp_message_t *message = peer->route == ROUTE_DIRECT
                               ? trp_out_add(peer->out, TRP_KIND(EVENT_MESSAGE_CREDIT),
                                             actor->start.id)
                               : trp_actor_command(actor, TRP_KIND(COMMAND_SEND_CREDIT), from);
  if (message != NULL) {
    message->through = peer->consumed;
    peer->told = peer->consumed;
    mark_dirty(actor->messages, peer);
  }
}

static void deliver(trp_actor_t *actor, uint64_t from, trp_frame_t *frame, uint32_t offset,
                    uint32_t length) {
  struct trp_messages *messages = actor->messages;
  troupe_chunk_t chunk;
  trp_chunk_borrow(&chunk, frame, offset, length);
  trp_actor_enter(actor);
  messages->on_message((troupe_actor_t){.id = from}, &chunk, messages->context);
  trp_actor_leave(actor);
  consumed(actor, from, length);
}

/// Nobody takes messages yet: it waits. False: there is no memory.
static bool hold(struct trp_messages *messages, uint64_t from, trp_frame_t *frame, uint32_t offset,
                 uint32_t length) {
  held_t *held = malloc(sizeof *held);
  if (held == NULL) {
    return false;
  }
  *held = (held_t){.from = from, .length = length};
  if (length > 0 && length < TRP_PIN_MINIMUM) {
    held->frame = trp_frame_copy(frame->bytes + offset, length);
    if (held->frame == NULL) {
      free(held);
      return false;
    }
  } else if (length > 0) {
    held->frame = trp_frame_hold(frame);
    held->offset = offset;
  }
  *messages->held_last = held;
  messages->held_last = &held->next;
  return true;
}

static void deliver_held(trp_object_t *object) {
  trp_actor_t *actor = object->actor;
  struct trp_messages *messages = actor->messages;
  while (messages->on_message != NULL && messages->held != NULL && !actor->ended) {
    // It stays in the list meanwhile: the handler may leave by pthread_exit().
    held_t *held = messages->held;
    deliver(actor, held->from, held->frame, held->offset, held->length);
    messages->held = held->next;
    if (messages->held == NULL) {
      messages->held_last = &messages->held;
    }
    trp_frame_release(held->frame);
    free(held);
  }
}

void trp_messages_resume(trp_actor_t *actor) {
  struct trp_messages *messages = actor->messages;
  if (messages != NULL && messages->on_message != NULL && messages->held != NULL) {
    trp_object_later(&messages->redelivery); // what was left when troupe_actor_end() was called
  }
}

static void drop_dirty(struct trp_messages *messages, const peer_t *peer) {
  for (peer_t **link = &messages->dirty; *link != NULL; link = &(*link)->next_dirty) {
    if (*link == peer) {
      *link = peer->next_dirty;
      return;
    }
  }
}

/// It has ended: nothing of it is kept, since whoever sends to it again hears so from the inbox.
static void gone(trp_actor_t *actor, uint64_t id) {
  struct trp_messages *messages = actor->messages;
  peer_t *peer = messages == NULL ? NULL : trp_map_remove(&messages->peers, id);
  if (peer == NULL) {
    return;
  }
  if (peer->route == ROUTE_DIRECT) {
    // It is too late for what waits here, but whether it was sent must not depend on where a batch
    // ended.
    (void)send_out(actor, peer->out);
    trp_inbox_forget(actor->inbox, id);
    trp_out_free(peer->out);
    free(peer->out);
    messages->direct--;
    drop_dirty(messages, peer);
  }
  bool wants_sendable = peer->wants_sendable;
  free(peer);
  if (wants_sendable) {
    tell_sendable(actor, id); // the next call says that the receiver is gone
  }
}

static void tell_sendable(trp_actor_t *actor, uint64_t id) {
  const struct trp_messages *messages = actor->messages;
  if (messages->on_sendable != NULL) {
    trp_actor_enter(actor);
    messages->on_sendable((troupe_actor_t){.id = id}, messages->sendable_context);
    trp_actor_leave(actor);
  }
}

static void credited(trp_actor_t *actor, uint64_t id, uint64_t through) {
  peer_t *peer = actor->messages == NULL ? NULL : trp_map_get(&actor->messages->peers, id);
  if (peer == NULL || through <= peer->acknowledged || through > peer->sent) {
    return;
  }
  peer->acknowledged = through;
  if (peer->wants_sendable) {
    peer->wants_sendable = false;
    tell_sendable(actor, id);
  }
}

/// What there is no memory for is dropped. Its sender is an actor whose credit shows it, since it is
/// never consumed, or a thread, which may post another one.
static void take(trp_actor_t *actor, const trp_in_t *in, const trp_message_t *message) {
  struct trp_messages *messages = messages_of(actor);
  uint64_t from = message->detail_case == TRP_DETAIL(SEND) ? message->send->from
                                                           : in->batch->sender;
  if (trp_id_is_io_actor(from)) {
    from = 0; // posted by a thread that is no actor
  }
  trp_frame_t *frame = trp_in_frame(in, message);
  if (messages != NULL && messages->on_message != NULL && messages->held == NULL) {
    deliver(actor, from, frame, message->offset, message->length);
  } else if ((messages == NULL || !hold(messages, from, frame, message->offset, message->length)) &&
             from == 0) {
    trp_actor_taken(actor, TRP_KIND(EVENT_MESSAGE), message->length);
  }
}

void trp_messages_event(trp_actor_t *actor, const trp_in_t *in, const trp_message_t *message) {
  switch (message->kind) {
  case TRP_KIND(EVENT_GONE):
    gone(actor, message->subject);
    break;
  case TRP_KIND(EVENT_MESSAGE_CREDIT):
    credited(actor, message->subject, message->through);
    break;
  default:
    take(actor, in, message);
    break;
  }
}

void trp_messages_flush(trp_actor_t *actor) {
  struct trp_messages *messages = actor->messages;
  peer_t *peer = messages->dirty;
  messages->dirty = NULL;
  while (peer != NULL) {
    peer_t *next = peer->next_dirty;
    peer->dirty = false;
    if (peer->out != NULL && !send_out(actor, peer->out)) {
      mark_dirty(messages, peer); // no memory now: it goes with the next flush
    }
    peer = next;
  }
}

/// False: no memory to pack it.
static bool send_out(trp_actor_t *actor, trp_out_t *out) {
  if (trp_out_empty(out)) {
    return true;
  }
  if (trp_out_pack(out) != 0) {
    return false;
  }
  if (actor->tap != NULL) {
    trp_tap_out(actor->tap, out);
  }
  trp_inbox_send(actor->inbox, out);
  return true;
}

bool trp_messages_holding(const trp_actor_t *actor) {
  return actor->messages != NULL && actor->messages->on_message != NULL;
}

size_t trp_messages_peers(const trp_actor_t *actor) {
  return actor->messages == NULL ? 0 : trp_map_count(&actor->messages->peers);
}

void trp_messages_free(trp_actor_t *actor) {
  struct trp_messages *messages = actor->messages;
  if (messages == NULL) {
    return;
  }
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&messages->peers, &cursor, NULL, &value)) {
    peer_t *peer = value;
    if (peer->out != NULL) {
      trp_out_free(peer->out);
      free(peer->out);
    }
    free(peer);
  }
  trp_map_free(&messages->peers);
  while (messages->held != NULL) {
    held_t *held = messages->held;
    messages->held = held->next;
    trp_frame_release(held->frame);
    free(held);
  }
  free(messages);
  actor->messages = NULL;
}
