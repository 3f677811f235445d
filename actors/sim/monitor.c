/// Watches what crosses the pipes of a simulated world, from outside of both sides: what must hold
/// whatever the actors, the network and the dice do.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/owners.h"
#include "actors/net/stream.h"
#include "actors/sim/world.h"
#include "core/message/credit.h"
#include "core/message/id.h"

enum { LAST = 24 };

/// One socket, in all hands that it goes through; or the peer of one, outside of all actors.
typedef struct trp_watched {
  struct trp_watched *next; // of the peers
  uint64_t id, owner;
  uint32_t epoch;
  uint64_t giver;          // gave it away, and was not told yet that it did
  uint64_t told;           // that it gave it away, before the receiver was told that it has it
  bool known;              // an actor made it, or was told of it
  bool over;               // had its final event
  bool ended, finished;    // our side: said, done
  bool peer_ended;         // and the other one, as it was told
  uint64_t cost, consumed; // of its data events: all, and what its owner consumed as it told
  struct trp_watched *peer;
  uint8_t *bytes; // written, and not come out at the peer: from `start` to `length`
  size_t start, length, allocated;
  uint64_t written, delivered; // by this side; to this side
  uint64_t sent;               // of what this side has written: what the network took
} watched_t;

/// What one actor has not taken yet of a server's connections, or of another actor's messages.
typedef struct {
  uint64_t waiting;
} queue_t;

/// One actor.
typedef struct {
  uint64_t id;
  uint64_t waiting_cost; // of data on its way to it
  trp_map_t queues;      // by the server's or the sender's id
  bool ended, killed;
  int status;
} actor_t;

/// One message, for those who want to know what came last.
typedef struct {
  int64_t at_ns;
  uint64_t actor, subject;
  Troupe__Wire__Kind kind;
  uint32_t length;
  bool event;
} seen_t;

struct trp_sim_monitor {
  trp_map_t sockets, actors;
  watched_t *peers;
  seen_t last[LAST];
  uint64_t seen;
};

int trp_sim_monitor_new(trp_sim_t *sim) {
  sim->monitor = calloc(1, sizeof *sim->monitor);
  return sim->monitor == NULL ? TROUPE_ENOMEM : 0;
}

static void free_actor(actor_t *actor) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&actor->queues, &cursor, NULL, &value)) {
    free(value);
  }
  trp_map_free(&actor->queues);
  free(actor);
}

void trp_sim_monitor_free(trp_sim_t *sim) {
  trp_sim_monitor_t *monitor = sim->monitor;
  size_t cursor = 0;
  void *value = NULL;
  if (monitor == NULL) {
    return;
  }
  while (trp_map_iterate(&monitor->sockets, &cursor, NULL, &value)) {
    free(((watched_t *)value)->bytes);
    free(value);
  }
  cursor = 0;
  while (trp_map_iterate(&monitor->actors, &cursor, NULL, &value)) {
    free_actor(value);
  }
  while (monitor->peers != NULL) {
    watched_t *peer = monitor->peers;
    monitor->peers = peer->next;
    free(peer->bytes);
    free(peer);
  }
  trp_map_free(&monitor->sockets);
  trp_map_free(&monitor->actors);
  free(monitor);
  sim->monitor = NULL;
}

static void note(trp_sim_t *sim, uint64_t actor, const trp_message_t *message, bool event) {
  trp_sim_monitor_t *monitor = sim->monitor;
  monitor->last[monitor->seen++ % LAST] = (seen_t){.at_ns = sim->now_ns,
                                                   .actor = actor,
                                                   .subject = message->subject,
                                                   .kind = message->kind,
                                                   .length = message->length,
                                                   .event = event};
}

void trp_sim_watch_tell_last(const trp_sim_t *sim, trp_text_t *text) {
  const trp_sim_monitor_t *monitor = sim->monitor;
  uint64_t first = monitor->seen > LAST ? monitor->seen - LAST : 0;
  for (uint64_t i = first; i < monitor->seen; i++) {
    const seen_t *seen = &monitor->last[i % LAST];
    trp_text_add(text, "  %10.3f ms  ", (double)(seen->at_ns - sim->began_ns) / 1e6);
    trp_print_id(text, seen->actor);
    trp_text_add(text, seen->event ? " <- " : " -> ");
    trp_print_kind(text, seen->kind);
    if (seen->subject != 0) {
      trp_text_add(text, " ");
      trp_print_id(text, seen->subject);
    }
    if (seen->length > 0) {
      trp_text_add(text, " (%" PRIu32 " bytes)", seen->length);
    }
    trp_text_add(text, "\n");
  }
}

static void fail_about(trp_sim_t *sim, const watched_t *socket, const char *what) {
  char name[64];
  trp_text_t text;
  trp_text_init(&text, name, sizeof name);
  trp_print_id(&text, socket->id);
  trp_sim_fail(sim, "socket %s: %s", name, what);
}

static watched_t *find(const trp_sim_t *sim, uint64_t id) {
  return trp_map_get(&sim->monitor->sockets, id);
}

/// NULL: no memory.
static watched_t *find_or_make(trp_sim_t *sim, uint64_t id) {
  watched_t *made = find(sim, id);
  if (made != NULL) {
    return made;
  }
  made = calloc(1, sizeof *made);
  if (made == NULL || trp_map_put(&sim->monitor->sockets, id, made) != 0) {
    sim->network.no_memory = true;
    free(made);
    return NULL;
  }
  made->id = id;
  return made;
}

static watched_t *begin(trp_sim_t *sim, uint64_t id, uint64_t owner) {
  watched_t *made = find_or_make(sim, id);
  if (made == NULL) {
    return NULL;
  }
  if (made->known) {
    fail_about(sim, made, "its id was used before");
    return made;
  }
  made->known = true;
  made->owner = owner;
  return made;
}

static actor_t *actor_of(trp_sim_t *sim, uint64_t id) {
  actor_t *actor = trp_map_get(&sim->monitor->actors, id);
  if (actor == NULL) {
    actor = calloc(1, sizeof *actor);
    if (actor == NULL || trp_map_put(&sim->monitor->actors, id, actor) != 0) {
      sim->network.no_memory = true;
      free(actor);
      return NULL;
    }
    actor->id = id;
  }
  return actor;
}

bool trp_sim_watch_ended(const trp_sim_t *sim, uint64_t id, int *status, bool *killed) {
  const actor_t *actor = trp_map_get(&sim->monitor->actors, id);
  if (actor == NULL || !actor->ended) {
    return false;
  }
  *status = actor->status;
  *killed = actor->killed;
  return true;
}

bool trp_sim_watch_failed(const trp_sim_t *sim, uint64_t *id, int *status) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&sim->monitor->actors, &cursor, id, &value)) {
    const actor_t *actor = value;
    if (actor->ended && actor->status < 0 && !actor->killed) {
      *status = actor->status;
      return true;
    }
  }
  return false;
}

void trp_sim_watch_killed(trp_sim_t *sim, uint64_t id) {
  actor_t *actor = actor_of(sim, id);
  if (actor != NULL) {
    actor->killed = true;
  }
}

/// It has one end of this connection; somebody may have the other one.
static void bind_to(watched_t *socket, trp_connection_t *connection, int side) {
  connection->watched[side] = socket;
  socket->peer = connection->watched[1 - side];
  if (socket->peer != NULL) {
    socket->peer->peer = socket;
  }
}

void trp_sim_watch_owner(void *context, const trp_handle_t *handle, const void *owner) {
  trp_sim_t *sim = context;
  const trp_subject_t *subject = owner;
  if (handle->connection != NULL && subject != NULL && subject->tag == TRP_TAG_STREAM) {
    watched_t *socket = find_or_make(sim, subject->id);
    if (socket != NULL) {
      bind_to(socket, handle->connection, handle->side);
    }
  }
}

// ---- Commands ----

static void write_bytes(trp_sim_t *sim, watched_t *socket, const uint8_t *bytes, size_t length) {
  if (socket->length + length > socket->allocated) {
    if (socket->start > 0) {
      memmove(socket->bytes, socket->bytes + socket->start, socket->length - socket->start);
    }
    socket->length -= socket->start;
    socket->start = 0;
    size_t allocated = socket->allocated == 0 ? 1024 : socket->allocated;
    while (allocated < socket->length + length) {
      allocated *= 2;
    }
    uint8_t *grown = realloc(socket->bytes, allocated);
    if (grown == NULL) {
      sim->network.no_memory = true;
      return;
    }
    socket->bytes = grown;
    socket->allocated = allocated;
  }
  memcpy(socket->bytes + socket->length, bytes, length);
  socket->length += length;
  socket->written += length;
}

/// Whether the last word of this socket is among what will be sent to the actor.
static bool is_about_to_be_told(const trp_net_t *net, uint64_t actor, uint64_t socket) {
  const trp_owner_t *owner = trp_owner_find(net, actor);
  for (size_t i = 0; owner != NULL && i < owner->out.count; i++) {
    const trp_message_t *message = owner->out.messages[i];
    if (message->subject == socket &&
        (message->kind == TRP_KIND(EVENT_CLOSE) || message->kind == TRP_KIND(EVENT_GIVEN))) {
      return true;
    }
  }
  return false;
}

/// An actor ends: what it had until now is open, or it was told that it is not.
static void check_all_told(trp_sim_t *sim, const trp_net_t *net, uint64_t actor) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&sim->monitor->sockets, &cursor, NULL, &value)) {
    const watched_t *socket = value;
    if (socket->known && socket->owner == actor && !socket->over &&
        trp_id_io(socket->id) == trp_id_creator(net->self) &&
        trp_map_get(&net->subjects, socket->id) == NULL &&
        !is_about_to_be_told(net, actor, socket->id)) {
      fail_about(sim, socket, "it is gone, and had no final event");
    }
  }
}

static void command(trp_sim_t *sim, const trp_net_t *net, const trp_in_t *in,
                    const trp_message_t *message) {
  uint64_t sender = in->batch->sender;
  note(sim, sender, message, false);
  if (message->kind == TRP_KIND(COMMAND_BYE)) {
    check_all_told(sim, net, sender);
    actor_t *actor = actor_of(sim, sender);
    if (actor != NULL && !actor->ended && message->detail_case == TRP_DETAIL(BYE)) {
      actor->ended = true;
      actor->status = message->bye->status;
    }
    return;
  }
  if (message->kind == TRP_KIND(COMMAND_CONNECT)) {
    begin(sim, message->subject, sender);
    return;
  }
  watched_t *socket = find(sim, message->subject);
  if (socket == NULL || socket->over || socket->owner != sender ||
      socket->epoch != message->epoch) {
    return;
  }
  if (message->through > socket->consumed) {
    socket->consumed = message->through;
  }
  if (message->kind == TRP_KIND(COMMAND_WRITE) && message->length > 0 && !socket->ended) {
    write_bytes(sim, socket, trp_in_payload(in, message), message->length);
  } else if (message->kind == TRP_KIND(COMMAND_END)) {
    socket->ended = true;
  }
}

void trp_sim_watch_commands(trp_sim_t *sim, const trp_net_t *net, const trp_in_t *in) {
  if (trp_id_is_io_actor(in->batch->sender)) {
    return;
  }
  for (size_t i = 0; i < in->batch->n_messages; i++) {
    command(sim, net, in, in->batch->messages[i]);
  }
}

// ---- Events ----

static void data_event(trp_sim_t *sim, watched_t *socket, const uint8_t *bytes, uint32_t length) {
  watched_t *peer = socket->peer;
  if (peer == NULL) {
    fail_about(sim, socket, "bytes came from nobody");
    return;
  }
  if (socket->peer_ended) {
    fail_about(sim, socket, "bytes came behind the end");
    return;
  }
  if (peer->length - peer->start < length) {
    fail_about(sim, socket, "more bytes came than its peer has written");
  } else if (memcmp(peer->bytes + peer->start, bytes, length) != 0) {
    fail_about(sim, socket, "other bytes came than its peer has written");
  } else {
    peer->start += length;
    socket->delivered += length;
  }
}

static void end_event(trp_sim_t *sim, watched_t *socket) {
  const watched_t *peer = socket->peer;
  if (socket->peer_ended) {
    fail_about(sim, socket, "its peer has ended twice");
  }
  socket->peer_ended = true;
  if (peer != NULL && peer->finished && socket->delivered != peer->written) {
    fail_about(sim, socket, "its peer has ended cleanly, and not all that it wrote has come");
  }
}

/// Rule 4, of one socket: what its owner has not consumed is within its credit.
static void count_credit(trp_sim_t *sim, watched_t *socket, uint32_t length) {
  socket->cost += trp_data_cost(length);
  if (socket->cost - socket->consumed > TRP_SOCKET_CREDIT_MAX) {
    fail_about(sim, socket, "more of it waits than its credit allows");
  }
}

void trp_sim_watch_sent(const trp_handle_t *handle, size_t length) {
  watched_t *socket = handle->connection->watched[handle->side];
  if (socket != NULL) {
    socket->sent += length;
  }
}

/// Rule 4, of what is written: the owner's limit is of what is not acknowledged, so whatever is still
/// in the I/O actor's queue must not be.
static void check_acknowledged(trp_sim_t *sim, const watched_t *socket, uint64_t through) {
  if (through > socket->sent) {
    fail_about(sim, socket, "more of it is acknowledged than the network took");
  }
}

static void count_cost(trp_sim_t *sim, uint64_t to, uint32_t length) {
  uint64_t most = (uint64_t)sim->ground.io_count * (TRP_ACTOR_WINDOW + TRP_SOCKET_CREDIT_MAX);
  actor_t *actor = actor_of(sim, to);
  if (actor == NULL) {
    return;
  }
  actor->waiting_cost += trp_data_cost(length);
  if (actor->waiting_cost > most) {
    trp_sim_fail(sim, "%" PRIu64 " bytes of data wait for one actor: more than flow control allows",
                 actor->waiting_cost);
  }
}

/// Rule 4, of what is counted and not weighed: one more is on its way to an actor.
static void queue_up(trp_sim_t *sim, uint64_t to, uint64_t of, uint64_t most, const char *what) {
  actor_t *actor = actor_of(sim, to);
  queue_t *queue = actor == NULL ? NULL : trp_map_get(&actor->queues, of);
  if (actor != NULL && queue == NULL) {
    queue = calloc(1, sizeof *queue);
    if (queue == NULL || trp_map_put(&actor->queues, of, queue) != 0) {
      sim->network.no_memory = true;
      free(queue);
      return;
    }
  }
  if (queue != NULL && ++queue->waiting > most) {
    trp_sim_fail(sim, "%" PRIu64 " %s wait for one actor: more than it gave credit for",
                 queue->waiting, what);
  }
}

static void take_off(const actor_t *actor, uint64_t of) {
  queue_t *queue = trp_map_get(&actor->queues, of);
  if (queue != NULL && queue->waiting > 0) { // what a recording holds was not seen to come
    queue->waiting--;
  }
}

static uint64_t sender_of(const trp_in_t *in, const trp_message_t *message) {
  return message->detail_case == TRP_DETAIL(SEND) ? message->send->from : in->batch->sender;
}

static void count_message(trp_sim_t *sim, uint64_t to, const trp_in_t *in,
                          const trp_message_t *message) {
  queue_up(sim, to, sender_of(in, message), TRP_MESSAGE_CREDIT, "messages of another");
}

/// The last word to an actor that gave it away; the two actors are told in any order.
static void given_event(trp_sim_t *sim, watched_t *socket, uint64_t to) {
  if (to == socket->giver) {
    socket->giver = 0;
  } else if (to == socket->owner && to != socket->told && !socket->over) {
    socket->told = to;
  } else {
    fail_about(sim, socket, "an actor was told that it gave it away, and it had not");
  }
}

static void handed_event(watched_t *socket, uint64_t to, const trp_message_t *message) {
  socket->giver = socket->told == socket->owner ? 0 : socket->owner;
  socket->told = 0;
  socket->owner = to;
  socket->epoch = message->epoch;
  if (message->detail_case == TRP_DETAIL(HANDED)) {
    socket->cost = socket->consumed = message->handed->consumed;
    socket->cost += message->handed->unread > 0 ? trp_data_cost(message->handed->unread) : 0;
  }
}

static void socket_event(trp_sim_t *sim, uint64_t to, watched_t *socket, const trp_in_t *in,
                         const trp_message_t *message) {
  if (message->kind == TRP_KIND(EVENT_GIVEN)) {
    given_event(sim, socket, to);
    return;
  }
  // What was told to the giver before may be sent after what the receiver is told.
  bool of_giver = to == socket->giver && message->kind != TRP_KIND(EVENT_DATA) &&
                  message->kind != TRP_KIND(EVENT_CLOSE);
  if (socket->over && !of_giver) {
    fail_about(sim, socket, "an event came after its final one");
    return;
  }
  if (!of_giver && (socket->owner != to || socket->told == to) &&
      message->kind != TRP_KIND(EVENT_HANDED)) {
    fail_about(sim, socket, "an event went to an actor that does not own it");
    return;
  }
  check_acknowledged(sim, socket, message->through);
  switch (message->kind) {
  case TRP_KIND(EVENT_DATA):
    data_event(sim, socket, trp_in_payload(in, message), message->length);
    count_credit(sim, socket, message->length);
    break;
  case TRP_KIND(EVENT_END):
    end_event(sim, socket);
    break;
  case TRP_KIND(EVENT_FINISH):
    socket->finished = true;
    break;
  case TRP_KIND(EVENT_HANDED):
    handed_event(socket, to, message);
    break;
  case TRP_KIND(EVENT_CLOSE):
    socket->over = true;
    break;
  default:
    break;
  }
}

static void event(trp_sim_t *sim, uint64_t to, const trp_in_t *in, const trp_message_t *message) {
  note(sim, to, message, true);
  if (message->kind == TRP_KIND(EVENT_DATA)) {
    count_cost(sim, to, message->length);
  }
  if (message->kind == TRP_KIND(EVENT_MESSAGE)) {
    count_message(sim, to, in, message);
    return;
  }
  if (message->kind == TRP_KIND(EVENT_CONNECTION) &&
      message->detail_case == TRP_DETAIL(CONNECTION)) {
    queue_up(sim, to, message->subject, TRP_ACCEPT_CREDIT, "connections of a server");
    (void)begin(sim, message->connection->socket, to);
    return;
  }
  watched_t *socket = find(sim, message->subject);
  if (socket != NULL && socket->known) {
    socket_event(sim, to, socket, in, message);
  } else if (message->kind == TRP_KIND(EVENT_DATA) || message->kind == TRP_KIND(EVENT_END) ||
             message->kind == TRP_KIND(EVENT_FINISH)) {
    trp_sim_fail(sim, "an event came of a socket that nobody was told of");
  }
}

void trp_sim_watch_events(trp_sim_t *sim, uint64_t to, const trp_in_t *in) {
  for (size_t i = 0; i < in->batch->n_messages; i++) {
    event(sim, to, in, in->batch->messages[i]);
  }
}

void trp_sim_watch_messages(trp_sim_t *sim, uint64_t to, const trp_in_t *in) {
  for (size_t i = 0; i < in->batch->n_messages; i++) {
    if (in->batch->messages[i]->kind == TRP_KIND(EVENT_MESSAGE)) {
      count_message(sim, to, in, in->batch->messages[i]);
    }
  }
}

void trp_sim_watch_taken(trp_sim_t *sim, uint64_t by, const trp_in_t *in) {
  actor_t *actor = actor_of(sim, by);
  for (size_t i = 0; i < in->batch->n_messages && actor != NULL; i++) {
    const trp_message_t *message = in->batch->messages[i];
    switch (message->kind) {
    case TRP_KIND(EVENT_DATA):
      actor->waiting_cost -= trp_data_cost(message->length);
      break;
    case TRP_KIND(EVENT_CONNECTION):
      take_off(actor, message->subject);
      break;
    case TRP_KIND(EVENT_MESSAGE):
      take_off(actor, sender_of(in, message));
      break;
    default:
      break;
    }
  }
}

// ---- Of a recording that goes on ----

void trp_sim_watch_resumed(trp_sim_t *sim, uint64_t owner, const trp_resumed_t *known,
                           const trp_handle_t *handle) {
  watched_t *socket = begin(sim, known->id, owner);
  if (socket != NULL) {
    socket->epoch = known->epoch;
    socket->ended = known->finished;
    socket->peer_ended = known->peer_ended;
    socket->cost = known->sent_cost;
    socket->consumed = known->consumed;
    socket->sent = known->written;
    bind_to(socket, handle->connection, handle->side);
  }
}

trp_watched_t *trp_sim_watch_peer(trp_sim_t *sim, const trp_handle_t *handle, uint64_t socket) {
  watched_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    sim->network.no_memory = true;
    return NULL;
  }
  made->id = socket;
  made->next = sim->monitor->peers;
  sim->monitor->peers = made;
  bind_to(made, handle->connection, handle->side);
  return made;
}

void trp_sim_watch_said(trp_sim_t *sim, trp_watched_t *peer, const uint8_t *bytes, size_t length) {
  if (peer != NULL && length > 0) {
    write_bytes(sim, peer, bytes, length);
  }
}

void trp_sim_watch_said_end(trp_watched_t *peer) {
  if (peer != NULL) {
    peer->finished = true;
  }
}

void trp_sim_watch_heard(trp_sim_t *sim, trp_watched_t *peer, const uint8_t *bytes,
                         uint32_t length) {
  if (peer != NULL) {
    data_event(sim, peer, bytes, length);
  }
}

void trp_sim_watch_heard_end(trp_sim_t *sim, trp_watched_t *peer) {
  if (peer != NULL) {
    end_event(sim, peer);
  }
}

// ---- The end ----

void trp_sim_watch_end(trp_sim_t *sim) {
  for (unsigned i = 0; i < sim->ground.io_count; i++) {
    const trp_net_counters_t *counters = trp_net_counters(sim->io[i].net);
    if (counters->sockets != 0 || counters->servers != 0) {
      trp_sim_fail(
          sim, "all actors have ended, and %" PRIu64 " sockets and %" PRIu64 " servers are open",
          counters->sockets, counters->servers);
    }
    if (counters->undecodable != 0 || counters->unknown_kind != 0 || counters->bad_credit != 0) {
      trp_sim_fail(sim, "an I/O actor got %" PRIu64 " commands that make no sense",
                   counters->undecodable + counters->unknown_kind + counters->bad_credit);
    }
  }
  if (sim->network.handles != 0 && !sim->failed) {
    trp_sim_fail(sim, "all actors have ended, and %zu handles are open", sim->network.handles);
  }
}
