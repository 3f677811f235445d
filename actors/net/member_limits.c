/// Whom a server lets in, how many at a time, and how many those were.
#include "actors/net/member.h"

#include <stdlib.h>

#include "actors/net/blocks.h"
#include "actors/net/dealing.h"
#include "actors/net/listener.h"
#include "actors/net/owners.h"
#include "actors/net/stream.h"

/// A COMMAND_COUNT that waits until what is gone elsewhere is known here.
typedef struct {
  trp_sync_t sync;
  trp_net_t *net;
  uint64_t owner, server, token;
  bool group;
} ask_t;

static void change_cap(trp_member_t *member, uint32_t max, unsigned prefix);
static void count_all_peers(trp_member_t *member);
static void run_count(trp_sync_t *sync);
static void answer_count(trp_net_t *net, const ask_t *ask);

void trp_member_change_options(trp_member_t *member, const Troupe__Wire__Options *options) {
  if (options == NULL) {
    return;
  }
  trp_options_merge(&member->options, options);
  if (options->set_max_connections) {
    member->place.max_connections = options->max_connections;
  }
  if (options->set_block_list) {
    member->block_list = options->block_list;
  }
  if (options->set_max_per_address) {
    change_cap(member, options->max_per_address, options->max_per_address_prefix);
  }
  if (member->listener != NULL) {
    trp_listener_update(member->listener);
  }
}

void trp_member_set_dispatched(trp_member_t *member, uint64_t through) {
  if (through <= member->dispatched) {
    return;
  }
  if (through > member->dealt) {
    member->net->counters.bad_credit++;
    return;
  }
  member->dispatched = through;
  trp_member_update_credit(member);
  if (member->listener != NULL && !member->listener->wants) {
    trp_listener_update(member->listener);
  }
}

void trp_member_update_credit(trp_member_t *member) {
  uint64_t waiting = member->dealt - member->dispatched;
  member->place.credit = waiting >= TRP_ACCEPT_CREDIT ? 0 : TRP_ACCEPT_CREDIT - waiting;
}

void trp_member_count(const trp_command_t *command) {
  trp_net_t *net = command->net;
  trp_member_t *member = trp_map_get(&net->subjects, command->message->subject);
  if (member != NULL && member->subject.tag == TRP_TAG_MEMBER && member->owner == command->owner) {
    trp_member_set_dispatched(member, command->message->through);
  }
  ask_t ask = {.net = net,
               .owner = command->sender,
               .server = command->message->subject,
               .token = command->message->count->token,
               .group = command->message->count->group};
  ask_t *later = trp_siblings_lag(net) ? malloc(sizeof *later) : NULL;
  if (later == NULL) {
    answer_count(net, &ask);
    return;
  }
  *later = ask;
  later->sync.run = run_count;
  trp_list_init(&later->sync.in_list);
  trp_siblings_sync(net, &later->sync);
}

static void run_count(trp_sync_t *sync) {
  ask_t *ask = (ask_t *)(void *)sync;
  answer_count(ask->net, ask);
  free(ask);
}

static void answer_count(trp_net_t *net, const ask_t *ask) {
  trp_owner_t *owner = trp_owner_find(net, ask->owner);
  if (owner == NULL) {
    return;
  }
  trp_member_t *member = trp_map_get(&net->subjects, ask->server);
  uint64_t connections = 0;
  // A server that never listened, or is gone, has none.
  if (member != NULL && member->subject.tag != TRP_TAG_MEMBER) {
    member = NULL;
  }
  if (member != NULL) {
    connections = member->place.connections;
    if (ask->group && member->listener != NULL) {
      connections = 0;
      for (size_t i = 0; i < member->listener->count; i++) {
        connections += member->listener->places[i]->connections;
      }
    }
  }
  static const trp_member_counts_t none;
  trp_message_t *event = trp_owner_tell(owner, TRP_KIND(EVENT_COUNTED), ask->server);
  if (event == NULL ||
      !trp_member_put_counts(owner, event, member == NULL ? &none : &member->counts)) {
    net->counters.undeliverable++;
    return;
  }
  event->count->token = ask->token;
  event->count->connections = connections;
  event->count->group = ask->group;
}

bool trp_member_put_counts(trp_owner_t *owner, trp_message_t *event,
                           const trp_member_counts_t *counts) {
  Troupe__Wire__Count *count = trp_out_take(&owner->out, sizeof *count);
  if (count == NULL) {
    trp_out_undo(&owner->out);
    return false;
  }
  *count = (Troupe__Wire__Count)TROUPE__WIRE__COUNT__INIT;
  count->accepted = counts->accepted;
  count->dropped = counts->dropped;
  count->blocked = counts->blocked;
  count->capped = counts->capped;
  event->detail_case = TRP_DETAIL(COUNT);
  event->count = count;
  return true;
}

bool trp_member_refuses(trp_member_t *member, const troupe_address_t *remote) {
  if (trp_blocks_match(member->net, member->block_list, remote)) {
    member->counts.blocked++;
    return true;
  }
  if (trp_member_is_capped(member, remote)) {
    member->counts.capped++;
    return true;
  }
  return false;
}

/// All servers of the address count together: the peer cannot choose to which it is dealt.
bool trp_member_is_capped(const trp_member_t *member, const troupe_address_t *remote) {
  uint8_t key[16];
  if (member->max_per_address == 0 || !trp_peer_key(remote, member->address_prefix, key)) {
    return false;
  }
  uint64_t count = 0;
  for (size_t i = 0; i < member->listener->count; i++) {
    const trp_place_t *place = member->listener->places[i];
    count += trp_peers_count(&TRP_LIST_ENTRY(place, trp_member_t, place)->peers, key);
  }
  return count >= member->max_per_address;
}

bool trp_member_count_peer(trp_member_t *member, trp_peer_t **peer,
                           const troupe_address_t *remote) {
  uint8_t key[16];
  if (member->max_per_address == 0 || !trp_peer_key(remote, member->address_prefix, key)) {
    return true;
  }
  *peer = trp_peers_add(&member->peers, key);
  return *peer != NULL;
}

void trp_member_uncount_peer(trp_member_t *member, trp_peer_t **peer) {
  if (*peer != NULL) {
    trp_peers_remove(&member->peers, *peer);
    *peer = NULL;
  }
}

static void change_cap(trp_member_t *member, uint32_t max, unsigned prefix) {
  bool other = prefix != member->address_prefix || (max == 0) != (member->max_per_address == 0);
  member->max_per_address = max;
  member->address_prefix = prefix;
  if (other) {
    count_all_peers(member);
  }
}

/// The cap was set, or counts otherwise, while connections are open: they count, too. Rare, so it
/// looks through all sockets.
static void count_all_peers(trp_member_t *member) {
  trp_net_t *net = member->net;
  size_t cursor = 0;
  void *value;
  while (member->place.connections > 0 && trp_map_iterate(&net->subjects, &cursor, NULL, &value)) {
    trp_stream_t *stream = value;
    if (stream->subject.tag == TRP_TAG_STREAM && stream->member == member) {
      troupe_address_t remote = {0};
      trp_member_uncount_peer(member, &stream->peer);
      if (stream->handle != NULL) {
        net->ops->names(net->transport, stream->handle, NULL, &remote);
      }
      // Without memory, this one goes uncounted.
      (void)trp_member_count_peer(member, &stream->peer, &remote);
    }
  }
  trp_dealt_count_peers(member);
}
