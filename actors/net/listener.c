#include "actors/net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/details.h"
#include "actors/net/member.h"
#include "actors/net/owners.h"
#include "core/net/ip.h"
#include "core/support/array.h"
#include "core/support/assert.h"

enum { NS_PER_MS = 1000000 };

static trp_listener_t *find(const trp_member_t *member, const trp_listen_order_t *order,
                            int *error);
static bool has_member_of(const trp_listener_t *listener, const trp_owner_t *owner);
static bool is_wildcard(const troupe_address_t *address);
static trp_listener_t *make(trp_net_t *net, const trp_listen_order_t *order);
static void enlist(trp_listener_t *listener, trp_handle_t *handle);
static void release(trp_net_t *net, trp_subject_t *subject);
static int add_member(trp_listener_t *listener, trp_member_t *member);
static trp_member_t *member_at(const trp_listener_t *listener, size_t index);
static void accept_some(trp_listener_t *listener);
static bool accept_one(trp_listener_t *listener, int *error);
static void place(trp_listener_t *listener, trp_placement_verdict_t verdict, trp_handle_t *handle,
                  const troupe_address_t *remote, bool certain);
static bool set_aside(trp_listener_t *listener, trp_handle_t *handle,
                      const troupe_address_t *remote);
static void run_sync(trp_sync_t *sync);
static void settle_doubts(trp_listener_t *listener);
static void close_doubts(trp_listener_t *listener);
static void set_wants(trp_listener_t *listener, bool wants);
static void park(trp_listener_t *listener, int code);
static void unpark(trp_listener_t *listener);
static void run_due(trp_due_t *due);

int trp_listener_join(trp_member_t *member, const trp_listen_order_t *order) {
  trp_net_t *net = member->net;
  int error = 0;
  trp_listener_t *listener = find(member, order, &error);
  if (listener != NULL || error != 0) {
    return error != 0 ? error : add_member(listener, member);
  }
  listener = make(net, order);
  if (listener == NULL) {
    return TROUPE_ENOMEM;
  }
  if (order->spec.address.port == 0 && !order->exclusive &&
      order->spec.address.family != TROUPE_FAMILY_UNIX) {
    listener->group = member->owner->group;
    listener->ordinal = order->ordinal;
  }
  error = add_member(listener, member);
  trp_handle_t *handle = NULL;
  const char *syscall = "listen";
  if (error == 0) {
    error = net->ops->listen(net->transport, &order->spec, &handle, &syscall);
  }
  if (error != 0) {
    // As libuv: a folder that is not there is one that nothing may be put into.
    bool folder = error == TROUPE_ENOENT && order->spec.address.family == TROUPE_FAMILY_UNIX;
    member->listener = NULL;
    trp_subject_bury(net, &listener->subject);
    return folder ? TROUPE_EACCES : error;
  }
  enlist(listener, handle);
  if (order->spec.address.family != TROUPE_FAMILY_UNIX) {
    net->ops->names(net->transport, handle, &listener->address, NULL);
    listener->wildcard = is_wildcard(&listener->address);
  }
  trp_listener_update(listener);
  return 0;
}

int trp_listener_join_fd(trp_member_t *member, int fd, const trp_listen_order_t *order) {
  trp_net_t *net = member->net;
  for (trp_link_t *link = net->listeners.next; link != &net->listeners; link = link->next) {
    trp_listener_t *other = TRP_LIST_ENTRY(link, trp_listener_t, in_net);
    if (other->fd == fd) {
      bool refuse = other->exclusive || order->exclusive || has_member_of(other, member->owner);
      return refuse ? TROUPE_EEXIST : add_member(other, member);
    }
  }
  trp_fd_kind_t kind;
  trp_handle_t *handle = NULL;
  int error = net->ops->adopt(net->transport, fd, &kind, &handle);
  if (error != 0) {
    return error == TROUPE_EEXIST || error == TROUPE_ENOMEM ? error : TROUPE_EINVAL;
  }
  trp_listener_t *listener = NULL;
  if (kind == TRP_FD_STREAM) {
    error = TROUPE_EINVAL;
  } else if (kind == TRP_FD_BOUND) {
    error = net->ops->adopt_listen(net->transport, handle, order->spec.backlog);
  }
  if (error == 0) {
    listener = make(net, order);
    error = listener == NULL ? TROUPE_ENOMEM : add_member(listener, member);
  }
  if (error != 0) {
    trp_net_close_handle(net, handle);
    if (listener != NULL) {
      trp_subject_bury(net, &listener->subject);
    }
    return error;
  }
  listener->fd = fd;
  enlist(listener, handle);
  net->ops->names(net->transport, handle, &listener->address, NULL);
  listener->requested = listener->address;
  listener->wildcard = is_wildcard(&listener->address);
  trp_listener_update(listener);
  return 0;
}

int trp_listener_join_other(trp_member_t *member, trp_listener_t *listener) {
  return add_member(listener, member);
}

void trp_listener_leave(trp_member_t *member) {
  trp_listener_t *listener = member->listener;
  trp_net_t *net = listener->net;
  member->listener = NULL;
  for (size_t i = 0; i < listener->count; i++) {
    if (listener->places[i] == &member->place) {
      memmove(&listener->places[i], &listener->places[i + 1],
              (listener->count - i - 1) * sizeof(trp_place_t *));
      listener->count--;
      if (listener->cursor > i) {
        listener->cursor--;
      }
      break;
    }
  }
  if (listener->count > 0) {
    trp_listener_update(listener);
    return;
  }
  if (listener->parked) {
    net->parked--;
  }
  trp_timers_remove(&net->timers, &listener->due);
  trp_list_remove(&listener->in_net);
  trp_list_remove(&listener->sync.in_list);
  close_doubts(listener);
  trp_net_close_handle(net, listener->handle);
  listener->handle = NULL;
  trp_subject_bury(net, &listener->subject);
}

void trp_listener_update(trp_listener_t *listener) {
  settle_doubts(listener);
  if (listener->handle == NULL || listener->parked) {
    return;
  }
  set_wants(listener,
            listener->doubt_count == 0 &&
                trp_placement_verdict(listener->places, listener->count) != TRP_PLACE_WAIT);
}

void trp_listener_ready(trp_listener_t *listener) {
  if (listener->wants && !listener->parked) {
    accept_some(listener);
  }
}

void trp_listeners_retry(trp_net_t *net) {
  for (trp_link_t *link = net->listeners.next; link != &net->listeners; link = link->next) {
    trp_listener_t *listener = TRP_LIST_ENTRY(link, trp_listener_t, in_net);
    if (listener->parked) {
      accept_some(listener);
    }
  }
}

/// The listener that the member shares with others; NULL with no error: there is none, make one.
static trp_listener_t *find(const trp_member_t *member, const trp_listen_order_t *order,
                            int *error) {
  const trp_net_t *net = member->net;
  const troupe_address_t *address = &order->spec.address;
  bool any_port = address->port == 0 && address->family != TROUPE_FAMILY_UNIX;
  if (any_port && (order->exclusive || member->owner->group == 0)) {
    return NULL;
  }
  for (trp_link_t *link = net->listeners.next; link != &net->listeners; link = link->next) {
    trp_listener_t *listener = TRP_LIST_ENTRY(link, trp_listener_t, in_net);
    if (any_port) {
      if (listener->group == member->owner->group && listener->ordinal == order->ordinal &&
          trp_same_address(&listener->requested, address) &&
          !has_member_of(listener, member->owner)) {
        return listener;
      }
      continue;
    }
    if (!trp_same_address(&listener->address, address)) {
      continue;
    }
    if (listener->reuse_port && order->spec.reuse_port) {
      continue; // each has a socket of its own, the kernel deals
    }
    // A socket that is there already cannot be opened to other processes any more.
    if (listener->exclusive || order->exclusive || order->spec.reuse_port ||
        has_member_of(listener, member->owner)) {
      *error = TROUPE_EADDRINUSE;
      return NULL;
    }
    return listener;
  }
  return NULL;
}

static bool has_member_of(const trp_listener_t *listener, const trp_owner_t *owner) {
  for (size_t i = 0; i < listener->count; i++) {
    if (member_at(listener, i)->owner == owner) {
      return true;
    }
  }
  return false;
}

static bool is_wildcard(const troupe_address_t *address) {
  static const uint8_t zeros[16];
  return address->family != TROUPE_FAMILY_UNIX && memcmp(address->bytes, zeros, 16) == 0;
}

static trp_listener_t *make(trp_net_t *net, const trp_listen_order_t *order) {
  trp_listener_t *listener = calloc(1, sizeof *listener);
  if (listener == NULL) {
    return NULL;
  }
  listener->subject.tag = TRP_TAG_LISTENER;
  listener->subject.release = release;
  listener->net = net;
  listener->address = listener->requested = order->spec.address;
  listener->exclusive = order->exclusive;
  listener->reuse_port = order->spec.reuse_port;
  listener->policy = order->policy;
  listener->fd = -1;
  listener->due.run = run_due;
  listener->sync.run = run_sync;
  trp_list_init(&listener->in_net);
  trp_list_init(&listener->sync.in_list);
  return listener;
}

/// It has its socket: from now on it can be found.
static void enlist(trp_listener_t *listener, trp_handle_t *handle) {
  trp_net_t *net = listener->net;
  listener->handle = handle;
  net->ops->set_owner(net->transport, handle, listener);
  trp_list_append(&net->listeners, &listener->in_net);
}

static void release(trp_net_t *net, trp_subject_t *subject) {
  trp_listener_t *listener = (trp_listener_t *)(void *)subject;
  (void)net;
  free(listener->places);
  free(listener->doubts);
  free(listener);
}

static int add_member(trp_listener_t *listener, trp_member_t *member) {
  trp_place_t **places = trp_array_room(listener->places, &listener->capacity, listener->count,
                                        sizeof(trp_place_t *));
  if (places == NULL) {
    return TROUPE_ENOMEM;
  }
  listener->places = places;
  listener->places[listener->count++] = &member->place;
  member->listener = listener;
  trp_listener_update(listener);
  return 0;
}

static trp_member_t *member_at(const trp_listener_t *listener, size_t index) {
  return TRP_LIST_ENTRY(listener->places[index], trp_member_t, place);
}

/// Takes connections while somebody can have them, within the budget. What is left is there in the
/// next turn.
static void accept_some(trp_listener_t *listener) {
  int error = 0;
  if (listener->doubt_count > 0) {
    unpark(listener);
    trp_listener_update(listener);
    return;
  }
  for (int budget = TRP_ACCEPT_BUDGET; budget > 0 && accept_one(listener, &error); budget--) {
    if (listener->handle == NULL) {
      return;
    }
  }
  if (error != 0) {
    // No descriptors, no memory, or something unheard of: in no case is it tried again at once.
    park(listener, error);
    return;
  }
  unpark(listener);
  if (listener->doubt_count > 0) {
    trp_siblings_sync(listener->net, &listener->sync);
  }
  trp_listener_update(listener);
}

/// False: there is none, nobody can have it, or `*error`.
static bool accept_one(trp_listener_t *listener, int *error) {
  trp_net_t *net = listener->net;
  trp_placement_verdict_t verdict = trp_placement_verdict(listener->places, listener->count);
  if (verdict == TRP_PLACE_WAIT) {
    return false;
  }
  trp_handle_t *handle = NULL;
  troupe_address_t remote = {0};
  int result = net->ops->accept(net->transport, listener->handle, &handle, &remote);
  if (result != 0) {
    *error = result == -EAGAIN ? 0 : result;
    return false;
  }
  unpark(listener);
  net->counters.accepted++;
  // They keep their order.
  if (listener->doubt_count == 0 || !set_aside(listener, handle, &remote)) {
    place(listener, verdict, handle, &remote, false);
  }
  return true;
}

/// Gives the connection to one of the members, or turns it away.
static void place(trp_listener_t *listener, trp_placement_verdict_t verdict, trp_handle_t *handle,
                  const troupe_address_t *remote, bool certain) {
  uint8_t bytes[16];
  uint64_t hash = trp_ip_from_address(remote, bytes) != 0 ? trp_ip_hash(bytes) : 0;
  size_t cursor = listener->cursor;
  trp_member_t *member = member_at(listener,
                                   trp_placement_pick(listener->policy, listener->places,
                                                      listener->count, &listener->cursor, hash));
  bool keep_out = verdict != TRP_PLACE_DEAL || trp_member_is_capped(member, remote);
  if (keep_out && !certain && trp_siblings_lag(listener->net) &&
      set_aside(listener, handle, remote)) {
    listener->cursor = cursor;
  } else if (verdict == TRP_PLACE_DEAL) {
    trp_member_admit(member, handle, remote);
  } else {
    trp_member_refuse(member, handle, remote);
  }
}

// ---- Connections in doubt ----

/// False: no memory; it is decided on what is known.
static bool set_aside(trp_listener_t *listener, trp_handle_t *handle,
                      const troupe_address_t *remote) {
  if (listener->doubts == NULL) {
    listener->doubts = malloc(TRP_ACCEPT_BUDGET * sizeof *listener->doubts);
    if (listener->doubts == NULL) {
      return false;
    }
  }
  TROUPE_ASSERT(listener->doubt_count < TRP_ACCEPT_BUDGET);
  listener->doubts[listener->doubt_count++] = (trp_doubt_t){.handle = handle, .remote = *remote};
  return true;
}

static void run_sync(trp_sync_t *sync) {
  trp_listener_update(TRP_LIST_ENTRY(sync, trp_listener_t, sync));
}

/// All that could keep them out is known: in their order, as long as somebody can take them.
static void settle_doubts(trp_listener_t *listener) {
  if (listener->settles || trp_list_holds(&listener->sync.in_list)) {
    return;
  }
  listener->settles = true;
  while (listener->doubt_first < listener->doubt_count) {
    trp_placement_verdict_t verdict = trp_placement_verdict(listener->places, listener->count);
    if (verdict == TRP_PLACE_WAIT) {
      break;
    }
    trp_doubt_t doubt = listener->doubts[listener->doubt_first++];
    place(listener, verdict, doubt.handle, &doubt.remote, true);
  }
  if (listener->doubt_first == listener->doubt_count) {
    listener->doubt_first = listener->doubt_count = 0;
  }
  listener->settles = false;
}

static void close_doubts(trp_listener_t *listener) {
  while (listener->doubt_first < listener->doubt_count) {
    trp_net_close_handle(listener->net, listener->doubts[listener->doubt_first++].handle);
  }
  listener->doubt_first = listener->doubt_count = 0;
}

static void set_wants(trp_listener_t *listener, bool wants) {
  trp_net_t *net = listener->net;
  if (wants == listener->wants) {
    return;
  }
  int error = net->ops->want(net->transport, listener->handle, wants ? TRP_READ : 0);
  if (error != 0) {
    park(listener, error);
    return;
  }
  listener->wants = wants;
}

/// Stops accepting for a while and says so, once. The time doubles with every try in vain.
static void park(trp_listener_t *listener, int code) {
  trp_net_t *net = listener->net;
  if (!listener->parked) {
    listener->parked = true;
    listener->park_ms = TRP_PARK_MS;
    net->parked++;
    net->counters.parked++;
    if (listener->wants && net->ops->want(net->transport, listener->handle, 0) == 0) {
      listener->wants = false;
    }
    for (size_t i = 0; i < listener->count; i++) {
      trp_member_tell_parked(member_at(listener, i), code, true);
    }
    if (net->siblings.count > 1) {
      trp_siblings_short(net);
    }
  } else if (net->now_ns >= listener->due.node.deadline_ns) {
    listener->park_ms *= 2;
    if (listener->park_ms > TRP_PARK_MAX_MS) {
      listener->park_ms = TRP_PARK_MAX_MS;
    }
  }
  if (trp_timers_set(&net->timers, &listener->due,
                     net->now_ns + (int64_t)listener->park_ms * NS_PER_MS) != 0) {
    trp_net_retry(net, TRP_RETRY_NS);
    net->retry_parked = true;
  }
}

static void unpark(trp_listener_t *listener) {
  trp_net_t *net = listener->net;
  if (!listener->parked) {
    return;
  }
  listener->parked = false;
  net->parked--;
  net->counters.unparked++;
  trp_timers_remove(&net->timers, &listener->due);
  for (size_t i = 0; i < listener->count; i++) {
    trp_member_tell_parked(member_at(listener, i), 0, false);
  }
}

static void run_due(trp_due_t *due) {
  accept_some(TRP_LIST_ENTRY(due, trp_listener_t, due));
}
