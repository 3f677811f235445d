/// A server begins to listen: on what it was told, once its host is looked up.
#include "actors/net/member.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/listener.h"
#include "actors/net/owners.h"

struct trp_request {
  trp_listen_order_t order;
  trp_resolve_t *resolve;
  char *host;
};

static void discard_descriptor(trp_net_t *net, const Troupe__Wire__Listen *listen);
static void listen_as_told(trp_member_t *member, const Troupe__Wire__Listen *listen);
static void read_order(const Troupe__Wire__Listen *listen, trp_listen_order_t *order);
static void listen_anywhere(trp_member_t *member, trp_listen_order_t *order);
static void listen_on_path(trp_member_t *member, const ProtobufCBinaryData *path,
                           trp_listen_order_t *order);
static void listen_with_other(trp_member_t *member, uint64_t id);
static void listen_on_fd(trp_member_t *member, int fd, const trp_listen_order_t *order);
static void look_up(trp_member_t *member, const char *host, const trp_listen_order_t *order);
static void settle(trp_member_t *member, int error, const troupe_address_t *address);
static void settle_literal(trp_member_t *member, int error, const troupe_address_t *address,
                           const char *text);
static void tell_listening(trp_member_t *member);
static void tell_error(trp_member_t *member, const trp_failure_t *failure);

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
  trp_member_t *member = trp_member_find_or_make(command);
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
  trp_member_drop_request(
      member); // a second listen while the first looks its host up takes its place
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
  settle(member,
         listens ? trp_listener_join_other(member, other->listener)
                 : (int)TROUPE_ERR_SERVER_NOT_RUNNING,
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
    trp_member_drop_request(member);
    trp_member_forget(member);
    return;
  }
  trp_member_drop_request(member);
  uint16_t port = order.spec.address.port;
  order.spec.address = result->addresses[0]; // Node binds the first one only
  order.spec.address.port = port;
  settle(member, trp_listener_join(member, &order), &order.spec.address);
}

void trp_member_drop_request(trp_member_t *member) {
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
  trp_member_forget(member);
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
  trp_member_forget(member);
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
