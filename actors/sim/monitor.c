/// Watches what crosses the pipes of a simulated world, from outside of both sides: what must hold
/// whatever the actors, the network and the dice do.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/stream.h"
#include "actors/sim/world.h"
#include "core/message/credit.h"
#include "core/message/id.h"

enum { LAST = 24 };

/// One socket, in all hands that it goes through.
typedef struct watched {
  uint64_t id, owner;
  uint32_t epoch;
  bool over;            // had its final event
  bool ended, finished; // our side: said, done
  struct watched *peer;
  uint8_t *bytes; // written, and not come out at the peer: from `start` to `length`
  size_t start, length, allocated;
  uint64_t written, delivered; // by this side; to this side
} watched_t;

/// One actor.
typedef struct {
  uint64_t id;
  uint64_t waiting_cost; // of data on its way to it
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
  seen_t last[LAST];
  uint64_t seen;
};

int trp_sim_monitor_new(trp_sim_t *sim) {
  sim->monitor = calloc(1, sizeof *sim->monitor);
  return sim->monitor == NULL ? TROUPE_ENOMEM : 0;
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
    free(value);
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
    trp_text_add(text, "  %10.3f ms  ", (double)(seen->at_ns - TRP_SIM_START_NS) / 1e6);
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

static watched_t *begin(trp_sim_t *sim, uint64_t id, uint64_t owner) {
  watched_t *made = find(sim, id);
  if (made != NULL) {
    fail_about(sim, made, "its id was used before");
    return made;
  }
  made = calloc(1, sizeof *made);
  if (made == NULL || trp_map_put(&sim->monitor->sockets, id, made) != 0) {
    sim->network.no_memory = true;
    free(made);
    return NULL;
  }
  made->id = id;
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

void trp_sim_watch_killed(trp_sim_t *sim, uint64_t id) {
  actor_t *actor = actor_of(sim, id);
  if (actor != NULL) {
    actor->killed = true;
  }
}

/// Finds the peer: who has the other end of the connection that a stream of this id has.
static void bind(trp_sim_t *sim, watched_t *socket) {
  for (unsigned i = 0; i < sim->ground.io_count; i++) {
    const trp_link_t *handles = &sim->io[i].transport.handles;
    for (const trp_link_t *link = handles->next; link != handles; link = link->next) {
      trp_handle_t *handle = TRP_LIST_ENTRY(link, trp_handle_t, in_transport);
      const trp_subject_t *owner = handle->owner;
      if (handle->kind == TRP_SIM_STREAM && owner != NULL && owner->tag == TRP_TAG_STREAM &&
          owner->id == socket->id) {
        handle->connection->watched[handle->side] = socket;
        socket->peer = handle->connection->watched[1 - handle->side];
        if (socket->peer != NULL) {
          socket->peer->peer = socket;
        }
        return;
      }
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

static void command(trp_sim_t *sim, const trp_in_t *in, const trp_message_t *message) {
  uint64_t sender = in->batch->sender;
  note(sim, sender, message, false);
  if (message->kind == TRP_KIND(COMMAND_BYE)) {
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
  if (message->kind == TRP_KIND(COMMAND_WRITE) && message->length > 0 && !socket->ended) {
    write_bytes(sim, socket, trp_in_payload(in, message), message->length);
  } else if (message->kind == TRP_KIND(COMMAND_END)) {
    socket->ended = true;
  }
}

void trp_sim_watch_commands(trp_sim_t *sim, const trp_in_t *in) {
  if (trp_id_is_io_actor(in->batch->sender)) {
    return;
  }
  for (size_t i = 0; i < in->batch->n_messages; i++) {
    command(sim, in, in->batch->messages[i]);
  }
}

// ---- Events ----

static void data_event(trp_sim_t *sim, watched_t *socket, const uint8_t *bytes, uint32_t length) {
  watched_t *peer = socket->peer;
  if (peer == NULL) {
    fail_about(sim, socket, "bytes came from nobody");
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

static void end_event(trp_sim_t *sim, const watched_t *socket) {
  const watched_t *peer = socket->peer;
  if (peer != NULL && peer->finished && socket->delivered != peer->written) {
    fail_about(sim, socket, "its peer has ended cleanly, and not all that it wrote has come");
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

static void socket_event(trp_sim_t *sim, uint64_t to, watched_t *socket, const trp_in_t *in,
                         const trp_message_t *message) {
  if (socket->over) {
    fail_about(sim, socket, "an event came after its final one");
    return;
  }
  if (socket->owner != to && message->kind != TRP_KIND(EVENT_GIVEN) &&
      message->kind != TRP_KIND(EVENT_HANDED)) {
    fail_about(sim, socket, "an event went to an actor that does not own it");
    return;
  }
  switch (message->kind) {
  case TRP_KIND(EVENT_CONNECT):
    bind(sim, socket);
    break;
  case TRP_KIND(EVENT_DATA):
    data_event(sim, socket, trp_in_payload(in, message), message->length);
    break;
  case TRP_KIND(EVENT_END):
    end_event(sim, socket);
    break;
  case TRP_KIND(EVENT_FINISH):
    socket->finished = true;
    break;
  case TRP_KIND(EVENT_HANDED):
    socket->owner = to;
    socket->epoch = message->epoch;
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
  if (message->kind == TRP_KIND(EVENT_CONNECTION) &&
      message->detail_case == TRP_DETAIL(CONNECTION)) {
    watched_t *accepted = begin(sim, message->connection->socket, to);
    if (accepted != NULL) {
      bind(sim, accepted);
    }
    return;
  }
  watched_t *socket = find(sim, message->subject);
  if (socket != NULL) {
    socket_event(sim, to, socket, in, message);
  }
}

void trp_sim_watch_events(trp_sim_t *sim, uint64_t to, const trp_in_t *in) {
  for (size_t i = 0; i < in->batch->n_messages; i++) {
    event(sim, to, in, in->batch->messages[i]);
  }
}

void trp_sim_watch_taken(trp_sim_t *sim, uint64_t by, const trp_in_t *in) {
  if (!trp_id_is_io_actor(in->batch->sender)) {
    return;
  }
  actor_t *actor = actor_of(sim, by);
  for (size_t i = 0; i < in->batch->n_messages && actor != NULL; i++) {
    if (in->batch->messages[i]->kind == TRP_KIND(EVENT_DATA)) {
      actor->waiting_cost -= trp_data_cost(in->batch->messages[i]->length);
    }
  }
}

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
