// The descriptor travels as an integer, and belongs to whoever has the message. The socket's id
// tells both: its bits name the one that serves it and, as its creator, the one that accepted it.

#include "actors/net/dealing.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/owners.h"
#include "actors/net/stream.h"
#include "core/net/ip.h"

/// What is known here of a connection that lives elsewhere.
typedef struct {
  trp_member_t *member;
  trp_peer_t *peer;
  uint8_t family;  // of its peer, and
  uint8_t bytes[]; // as many as an address of that family has
} dealt_t;

static dealt_t *remember(trp_member_t *member, uint64_t id, const troupe_address_t *remote);
static void forget(trp_net_t *net, uint64_t id, dealt_t *dealt);
static Troupe__Wire__Take *make_take(trp_member_t *member, trp_handle_t *handle,
                                     const troupe_address_t *remote, unsigned io, uint64_t id);
static bool take_in(trp_owner_t *owner, const trp_message_t *message, trp_handle_t *handle);

// ---- At the one that accepts ----

bool trp_deal(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote,
              unsigned io) {
  trp_net_t *net = member->net;
  uint64_t id = trp_net_new_id(net, io);
  dealt_t *dealt = id == 0 ? NULL : remember(member, id, remote);
  if (dealt == NULL) {
    return false;
  }
  Troupe__Wire__Take *take = make_take(member, handle, remote, io, id);
  trp_message_t *message = take == NULL || !trp_member_count_peer(member, &dealt->peer, remote)
                               ? NULL
                               : trp_sibling_tell(net, io, TRP_KIND(COMMAND_TAKE),
                                                  member->subject.id);
  if (message == NULL) {
    trp_member_uncount_peer(member, &dealt->peer);
    forget(net, id, dealt);
    return false;
  }
  message->detail_case = TRP_DETAIL(TAKE);
  message->take = take;
  take->fd = net->ops->let_go(net->transport, handle);
  trp_sibling_of(net, io)->place.connections++;
  trp_member_admitted(member);
  return true;
}

bool trp_deal_known(trp_member_t *member, uint64_t id, const troupe_address_t *remote) {
  dealt_t *dealt = remember(member, id, remote);
  if (dealt == NULL) {
    return false;
  }
  if (!trp_member_count_peer(member, &dealt->peer, remote)) {
    forget(member->net, id, dealt);
    return false;
  }
  trp_sibling_of(member->net, trp_id_io(id))->place.connections++;
  member->place.connections++;
  member->counts.accepted++;
  return true;
}

static dealt_t *remember(trp_member_t *member, uint64_t id, const troupe_address_t *remote) {
  size_t size = trp_ip_size(remote->family);
  dealt_t *dealt = calloc(1, offsetof(dealt_t, bytes) + size);
  if (dealt == NULL || trp_map_put(&member->net->dealt, id, dealt) != 0) {
    free(dealt);
    return NULL;
  }
  dealt->member = member;
  dealt->family = remote->family;
  memcpy(dealt->bytes, remote->bytes, size);
  return dealt;
}

static void forget(trp_net_t *net, uint64_t id, dealt_t *dealt) {
  trp_map_remove(&net->dealt, id);
  free(dealt);
}

/// All but the descriptor.
static Troupe__Wire__Take *make_take(trp_member_t *member, trp_handle_t *handle,
                                     const troupe_address_t *remote, unsigned io, uint64_t id) {
  trp_net_t *net = member->net;
  trp_out_t *out = &trp_sibling_of(net, io)->out;
  Troupe__Wire__Take *take = trp_out_take(out, sizeof *take);
  Troupe__Wire__Options *options = trp_out_take(out, sizeof *options);
  if (take == NULL || options == NULL) {
    return NULL;
  }
  *take = (Troupe__Wire__Take)TROUPE__WIRE__TAKE__INIT;
  *options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  trp_options_put(&member->options, options);
  troupe_address_t local = {0};
  trp_member_find_local(member, handle, &local);
  take->socket = id;
  take->owner = member->owner->id;
  take->tcp = net->ops->is_tcp(net->transport, handle);
  take->local = trp_address_to_wire(out, &local);
  take->remote = trp_address_to_wire(out, remote);
  take->options = options;
  take->made_at = trp_out_text(out, member->made_at);
  return take->local == NULL || take->remote == NULL || take->made_at == NULL ? NULL : take;
}

void trp_dealt_lost(const trp_command_t *command) {
  trp_net_t *net = command->net;
  uint64_t id = command->message->subject;
  dealt_t *dealt = trp_map_get(&net->dealt, id);
  if (dealt == NULL) {
    net->counters.unknown_subject++;
    return;
  }
  trp_member_t *member = dealt->member;
  trp_peer_t *peer = dealt->peer;
  forget(net, id, dealt);
  trp_sibling_of(net, trp_id_io(id))->place.connections--;
  if (command->message->flags & TRP_FLAG(UNTOLD)) {
    trp_member_not_admitted(member);
  }
  trp_member_lose(member, &peer);
}

void trp_dealt_count_peers(trp_member_t *member) {
  size_t cursor = 0;
  void *value;
  while (trp_map_iterate(&member->net->dealt, &cursor, NULL, &value)) {
    dealt_t *dealt = value;
    if (dealt->member == member) {
      troupe_address_t remote = {.family = dealt->family};
      memcpy(remote.bytes, dealt->bytes, trp_ip_size(dealt->family));
      trp_member_uncount_peer(member, &dealt->peer);
      // Without memory, this one goes uncounted.
      (void)trp_member_count_peer(member, &dealt->peer, &remote);
    }
  }
}

void trp_dealt_free(trp_net_t *net) {
  size_t cursor = 0;
  void *value;
  while (trp_map_iterate(&net->dealt, &cursor, NULL, &value)) {
    dealt_t *dealt = value;
    trp_member_lose(dealt->member, &dealt->peer);
    free(dealt);
  }
  trp_map_free(&net->dealt);
}

// ---- At the one that serves ----

void trp_dealt_take(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const Troupe__Wire__Take *take = command->message->take;
  trp_handle_t *handle = NULL;
  trp_sibling_t *sibling = trp_sibling_of(net, trp_id_creator(command->sender));
  if (net->ops->take(net->transport, take->fd, take->tcp, &handle) == 0) {
    // The actor may have ended while it was on its way.
    trp_owner_t *owner = trp_owner_find(net, take->owner);
    if (owner != NULL && trp_sibling_reserve(sibling) == 0 &&
        take_in(owner, command->message, handle)) {
      return;
    }
    trp_net_close_handle(net, handle);
  }
  net->counters.undeliverable++;
  trp_sibling_lose(net, take->socket, true);
}

/// Makes a socket of it and tells its actor. False: no memory; nobody has heard of it.
static bool take_in(trp_owner_t *owner, const trp_message_t *message, trp_handle_t *handle) {
  trp_net_t *net = owner->net;
  const Troupe__Wire__Take *take = message->take;
  troupe_address_t local = {0}, remote = {0};
  trp_stream_t *stream = NULL;
  if (trp_stream_new(net, owner, take->socket, &stream) != 0) {
    return false;
  }
  trp_options_merge(&stream->options, take->options);
  stream->held = stream->options.pause;
  (void)trp_address_from_wire(&local, take->local);
  (void)trp_address_from_wire(&remote, take->remote);
  if (!trp_member_tell_connection(owner, message->subject, stream, handle, &local, &remote)) {
    trp_stream_drop(stream);
    return false;
  }
  stream->taken = true;
  stream->made_at = trp_texts_keep(&net->texts, take->made_at);
  trp_sibling_of(net, trp_id_creator(take->socket))->served++;
  trp_stream_accepted(stream, handle);
  return true;
}
