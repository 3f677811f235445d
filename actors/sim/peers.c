#include "actors/sim/peers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/sim/world.h"

enum {
  READ_SIZE = 16 * 1024,
  RETRY_NS = 50 * 1000 * 1000, // when no descriptor was free
};

typedef enum {
  WAITS,    // has not come yet
  ATTEMPTS, // to connect
  TALKS,
  OVER,
} state_t;

/// One peer. Its handle's owner.
typedef struct {
  trp_link_t in_all;
  trp_sim_peers_t *peers;
  const trp_role_t *role;
  const trp_entry_t *entry; // what the actor knew of it at the cut, when it was there
  const trp_cue_t *cue;     // what it does next
  size_t said;              // bytes of that
  state_t state;
  trp_handle_t *handle;
  trp_watched_t *watched; // the monitor's
  troupe_sim_peer_t told; // what the test knows of it
  int64_t not_before_ns;
  bool blocked; // the network takes no more for now
  bool has_ended, other_has_ended;
} peer_t;

static void ready(void *context, void *owner, unsigned mask);
static void ignore_timer(void *context);
static void act(peer_t *peer);
static void hear(peer_t *peer, const uint8_t *bytes, size_t length);
static void go(peer_t *peer, bool clean);

static peer_t *peer_of(trp_link_t *link) {
  return TRP_LIST_ENTRY(link, peer_t, in_all);
}

int trp_sim_peers_open(trp_sim_peers_t *peers, struct trp_sim *sim, const trp_script_t *script) {
  *peers = (trp_sim_peers_t){.sim = sim, .script = script};
  trp_list_init(&peers->all);
  trp_sim_transport_init(&peers->transport, &sim->network);
  peers->transport.base.callbacks = (trp_transport_callbacks_t){.ready = ready,
                                                                .timer = ignore_timer};
  peers->transport.base.context = peers;
  for (const trp_role_t *role = script->roles; role != NULL; role = role->next) {
    peer_t *made = calloc(1, sizeof *made);
    if (made == NULL) {
      return TROUPE_ENOMEM;
    }
    *made = (peer_t){.peers = peers,
                     .role = role,
                     .cue = role->first,
                     .told = {.socket = role->socket, .address = role->address}};
    trp_list_init(&made->in_all);
    trp_list_append(&peers->all, &made->in_all);
    peers->left++;
  }
  return 0;
}

void trp_sim_peers_close(trp_sim_peers_t *peers) {
  for (trp_link_t *link = peers->all.next; link != &peers->all; link = link->next) {
    go(peer_of(link), false);
  }
}

void trp_sim_peers_free(trp_sim_peers_t *peers) {
  if (peers->script == NULL) {
    return;
  }
  for (trp_link_t *link; (link = trp_list_take(&peers->all)) != NULL;) {
    free(peer_of(link));
  }
  peers->script = NULL;
}

static void ignore_timer(void *context) {
  (void)context;
}

void trp_sim_peers_join(trp_sim_peers_t *peers, const trp_entry_t *entry, trp_handle_t *handle) {
  for (trp_link_t *link = peers->all.next; link != &peers->all; link = link->next) {
    peer_t *peer = peer_of(link);
    if (peer->role->socket == entry->id && !peer->role->arrives) {
      peer->handle = handle;
      peer->state = TALKS;
      peer->has_ended = entry->known.peer_ended;
      peer->watched = trp_sim_watch_peer(peers->sim, handle, entry->id);
      peers->transport.base.ops->set_owner(&peers->transport.base, handle, peer);
      peer->entry = entry;
      return;
    }
  }
  trp_network_close(handle); // the actor is another one than was recorded
}

void trp_sim_peers_begin(trp_sim_peers_t *peers) {
  const trp_transport_ops_t *ops = peers->transport.base.ops;
  peers->begun = true;
  peers->began_ns = peers->sim->now_ns;
  for (trp_link_t *link = peers->all.next; link != &peers->all; link = link->next) {
    peer_t *peer = peer_of(link);
    if (peer->handle != NULL) {
      trp_network_redraw(peer->handle);
      ops->want(&peers->transport.base, peer->handle, TRP_READ);
      peer->told.heard = peer->entry->inherited;
      if (peer->entry->heard_length > 0) {
        hear(peer, peer->entry->heard, peer->entry->heard_length);
      }
    } else if (!peer->role->arrives) {
      go(peer, false); // the actor has closed it, other than when it was recorded
    }
  }
}

// ---- Turns ----

/// Whether it has not heard yet what it had heard in the recording. Once the actor has ended there is
/// nothing to wait for.
static bool waits_for_its_turn(const peer_t *peer) {
  return peer->peers->script->recording->in_turn && !peer->other_has_ended &&
         peer->told.heard < peer->cue->had_heard;
}

/// When it acts next, if the network lets it; TRP_NEVER: something else must happen first.
static int64_t acts_at(const peer_t *peer) {
  const trp_sim_peers_t *peers = peer->peers;
  int64_t at_ns = TRP_NEVER;
  if (peer->state == WAITS) {
    at_ns = peers->began_ns + peer->role->at_ns;
  } else if (peer->state == TALKS && peer->cue != NULL && !peer->blocked && !peer->has_ended &&
             !waits_for_its_turn(peer)) {
    at_ns = peers->began_ns + peer->cue->at_ns;
  }
  return at_ns < peer->not_before_ns ? peer->not_before_ns : at_ns;
}

int64_t trp_sim_peers_next(const trp_sim_peers_t *peers) {
  int64_t next = TRP_NEVER;
  if (!peers->begun) {
    return next;
  }
  for (trp_link_t *link = peers->all.next; link != &peers->all; link = link->next) {
    int64_t at_ns = acts_at(peer_of(link));
    next = at_ns < next ? at_ns : next;
  }
  return next;
}

bool trp_sim_peers_have_work(const trp_sim_peers_t *peers) {
  return peers->begun && (trp_sim_peers_next(peers) <= peers->sim->now_ns ||
                          trp_sim_transport_has_work(&peers->transport));
}

void trp_sim_peers_turn(trp_sim_peers_t *peers) {
  trp_sim_transport_turn(&peers->transport);
  for (trp_link_t *link = peers->all.next; link != &peers->all; link = link->next) {
    peer_t *peer = peer_of(link);
    while (acts_at(peer) <= peers->sim->now_ns) {
      act(peer);
    }
  }
}

// ---- What it does ----

static void arrive(peer_t *peer) {
  trp_sim_peers_t *peers = peer->peers;
  trp_transport_t *transport = &peers->transport.base;
  const char *syscall = NULL;
  int error = transport->ops->connect(transport, &peer->role->to, &peer->role->address,
                                      &peer->handle, &syscall);
  if (error == TROUPE_EMFILE) {
    peer->not_before_ns = peers->sim->now_ns + RETRY_NS;
    return;
  }
  if (error != 0) {
    peer->handle = NULL;
    go(peer, false);
    return;
  }
  peer->state = ATTEMPTS;
  transport->ops->set_owner(transport, peer->handle, peer);
  peer->watched = trp_sim_watch_peer(peers->sim, peer->handle, peer->role->socket);
}

static void say(peer_t *peer) {
  trp_transport_t *transport = &peer->peers->transport.base;
  const trp_cue_t *cue = peer->cue;
  const struct iovec part = {.iov_base = (void *)(uintptr_t)(cue->bytes + peer->said),
                             .iov_len = cue->length - peer->said};
  ssize_t taken = part.iov_len == 0 ? 0 : transport->ops->write(transport, peer->handle, &part, 1);
  if (taken == TROUPE_EAGAIN) {
    peer->blocked = true;
    transport->ops->want(transport, peer->handle,
                         peer->other_has_ended ? TRP_WRITE : TRP_READ | TRP_WRITE);
    return;
  }
  if (taken < 0) {
    go(peer, false);
    return;
  }
  trp_sim_watch_said(peer->peers->sim, peer->watched, part.iov_base, (size_t)taken);
  peer->said += (size_t)taken;
  if (peer->said == cue->length) {
    peer->said = 0;
    peer->cue = cue->next;
  }
}

static void end(peer_t *peer) {
  trp_transport_t *transport = &peer->peers->transport.base;
  peer->cue = peer->cue->next;
  int error = transport->ops->shutdown(transport, peer->handle);
  peer->has_ended = true;
  trp_sim_watch_said_end(peer->watched);
  if (error != 0 || peer->other_has_ended) {
    go(peer, error == 0);
  }
}

static void reset(peer_t *peer) {
  trp_transport_t *transport = &peer->peers->transport.base;
  if (transport->ops->reset(transport, peer->handle) == 0) {
    peer->handle = NULL;
  }
  go(peer, false);
}

static void act(peer_t *peer) {
  if (peer->state == WAITS) {
    arrive(peer);
  } else if (peer->cue->kind == TRP_CUE_SAY) {
    say(peer);
  } else if (peer->cue->kind == TRP_CUE_END) {
    end(peer);
  } else {
    reset(peer);
  }
}

/// Its connection is over, or never was.
static void go(peer_t *peer, bool clean) {
  trp_sim_peers_t *peers = peer->peers;
  if (peer->state == OVER) {
    return;
  }
  peer->state = OVER;
  peers->left--;
  if (peer->handle != NULL) {
    peers->transport.base.ops->close(&peers->transport.base, peer->handle);
    peer->handle = NULL;
  }
  peer->told.over = true;
  peer->told.clean = clean;
  hear(peer, NULL, 0);
}

// ---- What it hears ----

static void hear(peer_t *peer, const uint8_t *bytes, size_t length) {
  const troupe_sim_recording_t *recording = peer->peers->script->recording;
  int verdict = recording->heard == NULL || !peer->peers->begun
                    ? 0
                    : recording->heard(&peer->told, bytes, length, recording->context);
  peer->told.heard += length;
  if (verdict < 0) {
    char name[64];
    trp_text_t text;
    trp_text_init(&text, name, sizeof name);
    trp_print_id(&text, peer->role->socket);
    trp_sim_fail(peer->peers->sim, "the peer of socket %s %s: %d (%s)", name,
                 peer->told.over ? "has not heard what it must" : "hears what it must not", verdict,
                 troupe_error_message(verdict));
  }
}

static void read_some(peer_t *peer) {
  trp_transport_t *transport = &peer->peers->transport.base;
  uint8_t bytes[READ_SIZE];
  ssize_t length = transport->ops->read(transport, peer->handle, bytes, sizeof bytes);
  if (length == TROUPE_EAGAIN) {
    return;
  }
  if (length < 0) {
    go(peer, false);
  } else if (length > 0) {
    trp_sim_watch_heard(peer->peers->sim, peer->watched, bytes, (uint32_t)length);
    hear(peer, bytes, (size_t)length);
  } else {
    trp_sim_watch_heard_end(peer->peers->sim, peer->watched);
    peer->other_has_ended = true;
    if (peer->has_ended) {
      go(peer, true);
    } else {
      transport->ops->want(transport, peer->handle, peer->blocked ? TRP_WRITE : 0);
    }
  }
}

static void ready(void *context, void *owner, unsigned mask) {
  trp_sim_peers_t *peers = context;
  trp_transport_t *transport = &peers->transport.base;
  peer_t *peer = owner;
  if (peer->state == ATTEMPTS) {
    int error = transport->ops->connected(transport, peer->handle);
    if (error == TROUPE_EALREADY) {
      return;
    }
    if (error != 0) {
      go(peer, false);
      return;
    }
    peer->state = TALKS;
    transport->ops->want(transport, peer->handle, TRP_READ);
    return;
  }
  if ((mask & TRP_WRITE) != 0) {
    peer->blocked = false;
    transport->ops->want(transport, peer->handle, peer->other_has_ended ? 0 : TRP_READ);
  }
  if ((mask & TRP_READ) != 0) {
    read_some(peer);
  }
}

void trp_sim_peers_tell_left(const trp_sim_peers_t *peers, const char *separator,
                             trp_text_t *text) {
  for (trp_link_t *link = peers->all.next; link != &peers->all; link = link->next) {
    const peer_t *peer = peer_of(link);
    if (peer->state != OVER) {
      trp_text_add(text, "%sthe peer of socket ", separator);
      trp_print_id(text, peer->role->socket);
      if (peer->state == TALKS && peer->cue != NULL && waits_for_its_turn(peer)) {
        trp_text_add(text, " (which has heard %" PRIu64 " of the %" PRIu64 " bytes it waits for)",
                     peer->told.heard, peer->cue->had_heard);
      }
      separator = ", ";
    }
  }
}
