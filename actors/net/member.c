#include "actors/net/member.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/blocks.h"
#include "actors/net/dealing.h"
#include "actors/net/listener.h"
#include "actors/net/owners.h"
#include "actors/net/stream.h"

enum {
  QUIET_DROPS_MAX = 1024, // EVENT_DROPs to an actor that says nothing; then one in a second
  NS_PER_S = 1000000000,
};

struct trp_request {
  trp_listen_order_t order;
  trp_resolve_t *resolve;
  char *host;
};

/// A COMMAND_COUNT that waits until what is gone elsewhere is known here.
typedef struct {
  trp_sync_t sync;
  trp_net_t *net;
  uint64_t owner, server, token;
  bool group;
} ask_t;

static void discard_descriptor(trp_net_t *net, const Troupe__Wire__Listen *listen);
static trp_member_t *find_or_make(const trp_command_t *command);
static void release(trp_net_t *net, trp_subject_t *subject);
static void listen_as_told(trp_member_t *member, const Troupe__Wire__Listen *listen);
static void read_order(const Troupe__Wire__Listen *listen, trp_listen_order_t *order);
static void listen_anywhere(trp_member_t *member, trp_listen_order_t *order);
static void listen_on_path(trp_member_t *member, const ProtobufCBinaryData *path,
                           trp_listen_order_t *order);
static void listen_with_other(trp_member_t *member, uint64_t id);
static void listen_on_fd(trp_member_t *member, int fd, const trp_listen_order_t *order);
static void look_up(trp_member_t *member, const char *host, const trp_listen_order_t *order);
static void drop_request(trp_member_t *member);
static void settle(trp_member_t *member, int error, const troupe_address_t *address);
static void settle_literal(trp_member_t *member, int error, const troupe_address_t *address,
                           const char *text);
static void tell_listening(trp_member_t *member);
static void tell_error(trp_member_t *member, const trp_failure_t *failure);
static void finish(trp_member_t *member);
static void forget(trp_member_t *member);
static void update_credit(trp_member_t *member);
static bool put_counts(trp_owner_t *owner, trp_message_t *event, const trp_member_counts_t *counts);
static bool is_refused(trp_member_t *member, const troupe_address_t *remote);
static void change_cap(trp_member_t *member, uint32_t max, unsigned prefix);
static void count_all_peers(trp_member_t *member);
static bool admit_here(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote);
static void run_count(trp_sync_t *sync);
static void answer_count(trp_net_t *net, const ask_t *ask);
static bool may_tell_drops(const trp_owner_t *owner);
static bool tell_drops(trp_member_t *member);

// ---- Listening ----

void trp_member_listen(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const trp_message_t *message = command->message;
  trp_subject_t *subject = trp_map_get(&net->subjects, message->subject);
  if (!trp_command_names_its_own(command) ||
      (subject != NULL && (subject->tag != TRP_TAG_MEMBER ||
                           ((trp_member_t *)(void *)subject)->owner != command->owner))) {
    net->counters.not_owner++;
    discard_descriptor(net, message->listen);
    return;
  }
  trp_member_t *member = find_or_make(command);
  if (member == NULL) {
    discard_descriptor(net, message->listen);
    trp_message_t *event = trp_owner_tell(command->owner, TRP_KIND(EVENT_ERROR), message->subject);
    trp_failure_t failure = {.code = TROUPE_ENOMEM, .syscall = "listen"};
    Troupe__Wire__Error *error = event == NULL ? NULL
                                               : trp_put_error(&command->owner->out, &failure);
    if (error == NULL) {
      net->counters.undeliverable++;
    } else {
      event->detail_case = TRP_DETAIL(ERROR);
    }
    if (event != NULL) {
      event->error = error;
    }
    return;
  }
  if (member->listener != NULL) {
    discard_descriptor(net, message->listen);
    tell_error(member, &(trp_failure_t){.code = TROUPE_ERR_SERVER_ALREADY_LISTEN});
    return;
  }
  drop_request(member); // a second listen while the first looks its host up takes its place
  trp_member_set_dispatched(member, message->through);
  trp_member_change_options(member, message->listen->options);
  member->made_at = trp_texts_keep(&net->texts, message->listen->made_at);
  listen_as_told(member, message->listen);
}

static void discard_descriptor(trp_net_t *net, const Troupe__Wire__Listen *listen) {
  if (listen->use_fd) {
    trp_net_discard_descriptor(net, listen->fd);
  }
}

static trp_member_t *find_or_make(const trp_command_t *command) {
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
  update_credit(member);
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

static void listen_as_told(trp_member_t *member, const Troupe__Wire__Listen *listen) {
  trp_listen_order_t order;
  read_order(listen, &order);
  member->place.standby = listen->standby;
  if (listen->use_fd) {
    listen_on_fd(member, listen->fd, &order);
  } else if (listen->port > UINT16_MAX) {
    settle(member, TROUPE_EINVAL, NULL);
  } else if (listen->share_with != 0) {
    listen_with_other(member, listen->share_with);
  } else if (listen->path.len > 0) {
    listen_on_path(member, &listen->path, &order);
  } else if (listen->has_address) {
    if (!trp_address_from_wire(&order.spec.address, listen->address)) {
      settle(member, TROUPE_EINVAL, NULL);
      return;
    }
    order.spec.address.port = (uint16_t)listen->port;
    settle_literal(member, trp_listener_join(member, &order), &order.spec.address, listen->host);
  } else if (listen->host[0] != '\0') {
    look_up(member, listen->host, &order);
  } else {
    listen_anywhere(member, &order);
  }
}

/// All but the address; its port is there.
static void read_order(const Troupe__Wire__Listen *listen, trp_listen_order_t *order) {
  *order = (trp_listen_order_t){
      .spec =
          {
              .backlog = listen->backlog > 0 ? listen->backlog : 511,
              .ipv6_only = listen->ipv6_only,
              .reuse_port = listen->reuse_port,
              .readable_all = listen->readable_all,
              .writable_all = listen->writable_all,
          },
      .ordinal = listen->ordinal,
      .exclusive = listen->exclusive,
      .policy = listen->policy == TROUPE__WIRE__POLICY__POLICY_LEAST_CONNECTIONS
                    ? TRP_PLACE_LEAST_CONNECTIONS
                : listen->policy == TROUPE__WIRE__POLICY__POLICY_HASH ? TRP_PLACE_HASH
                                                                      : TRP_PLACE_ROUND_ROBIN,
  };
  order->spec.address.port = (uint16_t)listen->port;
}

/// '::', which takes IPv4 as well, or 0.0.0.0 where there is no IPv6.
static void listen_anywhere(trp_member_t *member, trp_listen_order_t *order) {
  const trp_transport_ops_t *ops = member->net->ops;
  uint16_t port = order->spec.address.port;
  int error = TROUPE_EAFNOSUPPORT;
  order->spec.ipv6_only = false;
  if (ops->has_ipv6(member->net->transport)) {
    order->spec.address = trp_any_address(TROUPE_FAMILY_IPV6, port);
    error = trp_listener_join(member, order);
  }
  if (error == TROUPE_EAFNOSUPPORT || error == TROUPE_EADDRNOTAVAIL) {
    order->spec.address = trp_any_address(TROUPE_FAMILY_IPV4, port);
    error = trp_listener_join(member, order);
  }
  settle(member, error, &order->spec.address);
}

static void listen_on_path(trp_member_t *member, const ProtobufCBinaryData *path,
                           trp_listen_order_t *order) {
  int error = troupe_address_path(&order->spec.address, (const char *)path->data, path->len);
  if (error != 0) {
    settle(member, error, NULL);
    return;
  }
  order->spec.address.port = 0;
  settle(member, trp_listener_join(member, order), &order->spec.address);
}

static void listen_with_other(trp_member_t *member, uint64_t id) {
  trp_member_t *other = trp_map_get(&member->net->subjects, id);
  bool listens = other != NULL && other->subject.tag == TRP_TAG_MEMBER && other->listener != NULL;
  settle(member, listens ? trp_listener_join_other(member, other->listener) : (int)TROUPE_EINVAL,
         NULL);
}

static void listen_on_fd(trp_member_t *member, int fd, const trp_listen_order_t *order) {
  settle(member, trp_listener_join_fd(member, fd, order), NULL);
}

static void look_up(trp_member_t *member, const char *host, const trp_listen_order_t *order) {
  trp_net_t *net = member->net;
  trp_request_t *request = calloc(1, sizeof *request);
  char *copy = strdup(host);
  if (request == NULL || copy == NULL) {
    free(request);
    free(copy);
    settle(member, TROUPE_ENOMEM, NULL);
    return;
  }
  request->order = *order;
  request->host = copy;
  member->request = request;
  int error = net->ops->resolve(net->transport, host, order->spec.address.port, 0, 0, member,
                                &request->resolve);
  if (error != 0) {
    request->resolve = NULL;
    trp_member_resolved(member, &(trp_resolved_t){.error = error});
  }
}

void trp_member_resolved(trp_member_t *member, const trp_resolved_t *result) {
  trp_request_t *request = member->request;
  if (request == NULL) {
    return;
  }
  request->resolve = NULL;
  trp_listen_order_t order = request->order;
  if (result->error != 0 || result->count == 0) {
    tell_error(member,
               &(trp_failure_t){.code = result->error != 0 ? result->error : TROUPE_ENOTFOUND,
                                .syscall = "getaddrinfo",
                                .text = request->host});
    drop_request(member);
    forget(member);
    return;
  }
  drop_request(member);
  uint16_t port = order.spec.address.port;
  order.spec.address = result->addresses[0]; // Node binds the first one only
  order.spec.address.port = port;
  settle(member, trp_listener_join(member, &order), &order.spec.address);
}

static void drop_request(trp_member_t *member) {
  trp_request_t *request = member->request;
  if (request == NULL) {
    return;
  }
  if (request->resolve != NULL) {
    member->net->ops->cancel(member->net->transport, request->resolve);
  }
  free(request->host);
  free(request);
  member->request = NULL;
}

/// The answer to a listen.
static void settle(trp_member_t *member, int error, const troupe_address_t *address) {
  settle_literal(member, error, address, "");
}

/// The same where the address was written as `text`, unless that is empty: its errors say that, as
/// Node's do.
static void settle_literal(trp_member_t *member, int error, const troupe_address_t *address,
                           const char *text) {
  if (error == 0) {
    tell_listening(member);
    return;
  }
  trp_failure_t failure = {.code = error, .syscall = "listen", .address = address};
  if (text[0] != '\0') {
    failure.text = text;
    failure.port = address->port;
  } else if (address != NULL && address->family == TROUPE_FAMILY_UNIX) {
    failure.port = -1; // as Node tells it
  }
  tell_error(member, &failure);
  forget(member);
}

static void tell_listening(trp_member_t *member) {
  trp_out_t *out = &member->owner->out;
  trp_listener_t *listener = member->listener;
  trp_message_t *event = trp_owner_tell(member->owner, TRP_KIND(EVENT_LISTENING),
                                        member->subject.id);
  Troupe__Wire__Listening *listening = event == NULL ? NULL : trp_out_take(out, sizeof *listening);
  if (listening != NULL) {
    *listening = (Troupe__Wire__Listening)TROUPE__WIRE__LISTENING__INIT;
    listening->adopted = listener->fd >= 0;
    listening->address = trp_address_to_wire(out, &listener->address);
  }
  if (listening != NULL && listening->address != NULL) {
    event->detail_case = TRP_DETAIL(LISTENING);
    event->listening = listening;
    return;
  }
  if (event != NULL) {
    trp_out_undo(out);
  }
  trp_listener_leave(member);
  tell_error(member, &(trp_failure_t){.code = TROUPE_ENOMEM, .syscall = "listen"});
  forget(member);
}

static void tell_error(trp_member_t *member, const trp_failure_t *failure) {
  trp_out_t *out = &member->owner->out;
  trp_message_t *event = trp_owner_tell(member->owner, TRP_KIND(EVENT_ERROR), member->subject.id);
  Troupe__Wire__Error *error = event == NULL ? NULL : trp_put_error(out, failure);
  if (event == NULL) {
    member->net->counters.undeliverable++;
  } else if (error == NULL) {
    member->net->counters.undeliverable++; // that it failed is told; not why
  } else {
    event->detail_case = TRP_DETAIL(ERROR);
    event->error = error;
  }
}

// ---- Closing ----

void trp_member_close(trp_member_t *member) {
  drop_request(member);
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
  if (event == NULL || !put_counts(owner, event, &member->counts)) {
    trp_list_remove(&member->in_list);
    trp_list_append(&net->owing_members, &member->in_list);
    trp_net_retry(net, TRP_RETRY_NS);
    return;
  }
  event->through = member->dealt;
  member->closing = false;
  forget(member);
}

/// Frees it, unless something still needs it.
static void forget(trp_member_t *member) {
  if (member->listener != NULL || member->request != NULL || member->closing ||
      member->place.connections > 0) {
    return;
  }
  trp_list_remove(&member->in_owner);
  trp_list_remove(&member->in_list);
  member->net->counters.servers--;
  trp_subject_bury(member->net, &member->subject);
}

void trp_member_drop(trp_member_t *member) {
  drop_request(member);
  if (member->listener != NULL) {
    trp_listener_leave(member);
  }
  member->closing = false;
  trp_list_remove(&member->in_owner);
  trp_list_remove(&member->in_list);
  // Nobody can name it any more, but connections that were given away still count in it.
  trp_map_remove(&member->net->subjects, member->subject.id);
  member->owner = NULL;
  forget(member);
}

// ---- Limits ----

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
  update_credit(member);
  if (member->listener != NULL && !member->listener->wants) {
    trp_listener_update(member->listener);
  }
}

static void update_credit(trp_member_t *member) {
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
  if (event == NULL || !put_counts(owner, event, member == NULL ? &none : &member->counts)) {
    net->counters.undeliverable++;
    return;
  }
  event->count->token = ask->token;
  event->count->connections = connections;
  event->count->group = ask->group;
}

/// Makes them the event's detail, or takes the event back: there is no memory.
static bool put_counts(trp_owner_t *owner, trp_message_t *event,
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

// ---- Connections ----

void trp_member_admit(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote) {
  trp_net_t *net = member->net;
  if (is_refused(member, remote)) {
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
  update_credit(member);
}

void trp_member_not_admitted(trp_member_t *member) {
  member->counts.accepted--;
  member->dealt--;
  update_credit(member);
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
    forget(member);
  }
}

/// Silent, as in Node: neither is told to the actor.
static bool is_refused(trp_member_t *member, const troupe_address_t *remote) {
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
