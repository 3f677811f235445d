#include "actors/net/member.h"

#include <stdlib.h>

#include "actors/net/dealing.h"
#include "actors/net/listener.h"
#include "actors/net/owners.h"
#include "actors/net/stream.h"

enum {
  QUIET_DROPS_MAX = 1024, // EVENT_DROPs to an actor that says nothing; then one in a second
  NS_PER_S = 1000000000,
};

static void release(trp_net_t *net, trp_subject_t *subject);
static void finish(trp_member_t *member);
static bool admit_here(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote);
static bool may_tell_drops(const trp_owner_t *owner);
static bool tell_drops(trp_member_t *member);

trp_member_t *trp_member_find_or_make(const trp_command_t *command) {
  trp_net_t *net = command->net;
  uint64_t id = command->message->subject;
  trp_member_t *member = trp_map_get(&net->subjects, id);
  if (member != NULL) {
    return member;
  }
  member = calloc(1, sizeof *member);
  if (member == NULL || trp_map_put(&net->subjects, id, member) != 0) {
    free(member);
    return NULL;
  }
  member->subject = (trp_subject_t){.tag = TRP_TAG_MEMBER, .release = release, .id = id};
  member->net = net;
  member->owner = command->owner;
  member->place.id = id;
  // A server that was closed and listens again under its old id goes on counting where its actor
  // does.
  member->dealt = member->dispatched = command->message->through;
  trp_member_update_credit(member);
  trp_list_init(&member->in_owner);
  trp_list_init(&member->in_list);
  trp_list_append(&command->owner->members, &member->in_owner);
  net->counters.servers++;
  return member;
}

static void release(trp_net_t *net, trp_subject_t *subject) {
  trp_member_t *member = (trp_member_t *)(void *)subject;
  (void)net;
  trp_peers_free(&member->peers);
  free(member);
}

void trp_member_close(trp_member_t *member) {
  trp_member_drop_request(member);
  if (member->listener != NULL) {
    trp_listener_leave(member);
  }
  member->closing = true;
  finish(member);
}

/// The server is gone when it does not listen any more and its last connection is closed.
static void finish(trp_member_t *member) {
  trp_net_t *net = member->net;
  if (!member->closing || member->listener != NULL || member->request != NULL ||
      member->place.connections > 0) {
    return;
  }
  if (member->drops > 0 && !tell_drops(member)) {
    net->counters.undeliverable++;
  }
  trp_owner_t *owner = member->owner;
  trp_message_t *event = trp_owner_tell(owner, TRP_KIND(EVENT_CLOSE), member->subject.id);
  if (event == NULL || !trp_member_put_counts(owner, event, &member->counts)) {
    trp_list_remove(&member->in_list);
    trp_list_append(&net->owing_members, &member->in_list);
    trp_net_retry(net, TRP_RETRY_NS);
    return;
  }
  event->through = member->dealt;
  member->closing = false;
  trp_member_forget(member);
}

void trp_member_forget(trp_member_t *member) {
  if (member->listener != NULL || member->request != NULL || member->closing ||
      member->place.connections > 0) {
    return;
  }
  trp_list_remove(&member->in_owner);
  trp_list_remove(&member->in_list);
  if (member->owner != NULL) {
    member->net->counters.servers--;
  }
  trp_subject_bury(member->net, &member->subject);
}

void trp_member_drop(trp_member_t *member) {
  trp_member_drop_request(member);
  if (member->listener != NULL) {
    trp_listener_leave(member);
  }
  member->closing = false;
  trp_list_remove(&member->in_owner);
  trp_list_remove(&member->in_list);
  // Nobody can name it any more, and it is in no list or count of servers; but connections that were
  // given away, or that others are still to tell the end of, still count in it.
  trp_map_remove(&member->net->subjects, member->subject.id);
  member->net->counters.servers--;
  member->owner = NULL;
  trp_member_forget(member);
}

void trp_member_admit(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote) {
  trp_net_t *net = member->net;
  if (trp_member_refuses(member, remote)) {
    net->counters.blocked++;
    trp_net_close_handle(net, handle);
    return;
  }
  unsigned io = trp_siblings_pick(net);
  bool admitted = io == trp_id_creator(net->self) ? admit_here(member, handle, remote)
                                                  : trp_deal(member, handle, remote, io);
  if (!admitted) {
    // The peer is hung up on; nobody has heard of it.
    net->counters.undeliverable++;
    trp_net_close_handle(net, handle);
  }
}

/// False: no memory.
static bool admit_here(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote) {
  trp_net_t *net = member->net;
  trp_stream_t *stream = NULL;
  unsigned self = trp_id_creator(net->self);
  uint64_t id = trp_net_new_id(net, self);
  if (id == 0 || trp_stream_new(net, member->owner, id, &stream) != 0) {
    return false;
  }
  stream->options = member->options;
  stream->held = stream->options.pause;
  troupe_address_t local = {0};
  trp_member_find_local(member, handle, &local);
  if (!trp_member_count_peer(member, &stream->peer, remote) ||
      !trp_member_tell_connection(member->owner, member->subject.id, stream, handle, &local,
                                  remote)) {
    trp_member_uncount_peer(member, &stream->peer);
    trp_stream_drop(stream);
    return false;
  }
  stream->member = member;
  stream->made_at = member->made_at;
  if (net->siblings.count > 1) {
    trp_sibling_of(net, self)->place.connections++;
  }
  trp_member_admitted(member);
  trp_stream_accepted(stream, handle);
  return true;
}

void trp_member_admitted(trp_member_t *member) {
  member->place.connections++;
  member->counts.accepted++;
  member->dealt++;
  trp_member_update_credit(member);
}

void trp_member_not_admitted(trp_member_t *member) {
  member->counts.accepted--;
  member->dealt--;
  trp_member_update_credit(member);
}

void trp_member_refuse(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote) {
  trp_net_t *net = member->net;
  net->counters.dropped++;
  member->counts.dropped++;
  member->drops++;
  trp_member_find_local(member, handle, &member->drop_local);
  member->drop_remote = *remote;
  trp_net_close_handle(net, handle);
  if (!trp_list_holds(&member->in_list)) {
    trp_list_append(&net->dropping, &member->in_list);
  }
}

void trp_member_lose(trp_member_t *member, trp_peer_t **peer) {
  trp_member_uncount_peer(member, peer);
  member->place.connections--;
  if (member->listener != NULL && !member->listener->wants) {
    trp_listener_update(member->listener);
  }
  if (member->owner != NULL) {
    finish(member);
  } else {
    trp_member_forget(member);
  }
}

void trp_member_describe(const trp_member_t *member, troupe_handle_t *handle) {
  if (member->owner == NULL) {
    return;
  }
  handle->kind = TROUPE_HANDLE_SERVER;
  handle->owner.id = member->owner->id;
  trp_texts_copy(handle->made_at, member->made_at);
  if (member->listener != NULL) {
    handle->state = "listening";
    handle->local = member->listener->address;
  } else {
    handle->state = member->request != NULL ? "starting" : "closing";
  }
}

/// The system need not be asked when the listener is bound to one address.
void trp_member_find_local(const trp_member_t *member, trp_handle_t *handle,
                           troupe_address_t *local) {
  if (member->listener->wildcard) {
    member->net->ops->names(member->net->transport, handle, local, NULL);
  } else {
    *local = member->listener->address;
  }
}

bool trp_member_tell_connection(trp_owner_t *owner, uint64_t id, const trp_stream_t *stream,
                                trp_handle_t *handle, const troupe_address_t *local,
                                const troupe_address_t *remote) {
  trp_out_t *out = &owner->out;
  trp_message_t *event = trp_owner_tell(owner, TRP_KIND(EVENT_CONNECTION), id);
  if (event == NULL) {
    return false;
  }
  Troupe__Wire__Connection *connection = trp_out_take(out, sizeof *connection);
  if (connection != NULL) {
    *connection = (Troupe__Wire__Connection)TROUPE__WIRE__CONNECTION__INIT;
    connection->socket = stream->subject.id;
    connection->paused = stream->held;
    connection->local = trp_address_to_wire(out, local);
    connection->remote = trp_address_to_wire(out, remote);
  }
  if (connection == NULL || connection->local == NULL || connection->remote == NULL ||
      !trp_put_credentials(out, owner->net->transport, handle, &connection->credentials)) {
    trp_out_undo(out);
    return false;
  }
  event->detail_case = TRP_DETAIL(CONNECTION);
  event->connection = connection;
  return true;
}

void trp_member_tell_parked(trp_member_t *member, int code, bool parked) {
  trp_out_t *out = &member->owner->out;
  trp_message_t *event = trp_owner_tell(member->owner,
                                        parked ? TRP_KIND(EVENT_PARKED) : TRP_KIND(EVENT_UNPARKED),
                                        member->subject.id);
  if (event == NULL) {
    member->net->counters.undeliverable++;
    return;
  }
  if (parked) {
    trp_failure_t failure = {
        .code = code, .syscall = "accept", .address = &member->listener->address};
    Troupe__Wire__Error *error = trp_put_error(out, &failure);
    if (error != NULL) {
      event->detail_case = TRP_DETAIL(ERROR);
      event->error = error;
    }
  }
}

void trp_members_flush(trp_net_t *net) {
  trp_link_t later;
  trp_list_init(&later);
  for (trp_link_t *link; (link = trp_list_take(&net->dropping)) != NULL;) {
    trp_member_t *member = TRP_LIST_ENTRY(link, trp_member_t, in_list);
    if (!tell_drops(member)) {
      trp_list_append(&later, &member->in_list);
      trp_net_retry(net, may_tell_drops(member->owner) ? (int64_t)TRP_RETRY_NS : (int64_t)NS_PER_S);
    }
  }
  for (trp_link_t *link; (link = trp_list_take(&later)) != NULL;) {
    trp_list_append(&net->dropping, link);
  }
  for (trp_link_t *link; (link = trp_list_take(&net->owing_members)) != NULL;) {
    trp_member_t *member = TRP_LIST_ENTRY(link, trp_member_t, in_list);
    finish(member);
    if (trp_list_holds(&member->in_list)) {
      break;
    }
  }
}

/// An actor that says nothing at all does not get more and more of these events.
static bool may_tell_drops(const trp_owner_t *owner) {
  return owner->quiet_drops < QUIET_DROPS_MAX ||
         owner->net->now_ns - owner->last_drop_ns >= NS_PER_S;
}

/// One event for all connections dropped since the last one. False: not now.
static bool tell_drops(trp_member_t *member) {
  trp_net_t *net = member->net;
  trp_owner_t *owner = member->owner;
  trp_out_t *out = &owner->out;
  if (!may_tell_drops(owner)) {
    return false;
  }
  trp_message_t *event = trp_owner_tell(owner, TRP_KIND(EVENT_DROP), member->subject.id);
  Troupe__Wire__Drop *drop = event == NULL ? NULL : trp_out_take(out, sizeof *drop);
  if (drop != NULL) {
    *drop = (Troupe__Wire__Drop)TROUPE__WIRE__DROP__INIT;
    drop->count = member->drops;
    drop->local = trp_address_to_wire(out, &member->drop_local);
    drop->remote = trp_address_to_wire(out, &member->drop_remote);
  }
  if (drop == NULL || drop->local == NULL || drop->remote == NULL) {
    if (event != NULL) {
      trp_out_undo(out);
    }
    return false;
  }
  event->detail_case = TRP_DETAIL(DROP);
  event->drop = drop;
  member->drops = 0;
  owner->quiet_drops++;
  owner->last_drop_ns = net->now_ns;
  return true;
}
