#include "actors/sim/transport.h"

#include <string.h>
#include <troupe/error.h>

#include "actors/sim/world.h"

enum { READY_AT_ONCE = 64 };

static trp_sim_transport_t *self_of(trp_transport_t *transport) {
  return (trp_sim_transport_t *)(void *)transport;
}

static void keep(trp_transport_t *transport, trp_handle_t *handle) {
  trp_list_append(&self_of(transport)->handles, &handle->in_transport);
}

static int listen_on(trp_transport_t *transport, const trp_listen_spec_t *spec,
                     trp_handle_t **handle, const char **syscall) {
  *syscall = "listen";
  int error = trp_network_listen(self_of(transport)->network, transport, spec, handle);
  if (error == 0) {
    keep(transport, *handle);
  }
  return error;
}

/// There are no descriptors here.
static int adopt(trp_transport_t *transport, int fd, trp_fd_kind_t *kind, trp_handle_t **handle) {
  (void)transport;
  (void)fd;
  (void)kind;
  (void)handle;
  return TROUPE_EBADF;
}

static int adopt_listen(trp_transport_t *transport, trp_handle_t *handle, int backlog) {
  (void)transport;
  (void)handle;
  (void)backlog;
  return TROUPE_EBADF;
}

static int accept_one(trp_transport_t *transport, trp_handle_t *listener, trp_handle_t **connection,
                      troupe_address_t *remote) {
  int error = trp_network_accept(listener, transport, connection, remote);
  if (error == 0) {
    keep(transport, *connection);
  }
  return error;
}

static int let_go(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return trp_network_let_go(handle);
}

static int take(trp_transport_t *transport, int number, bool tcp, trp_handle_t **handle) {
  (void)tcp;
  int error = trp_network_take(self_of(transport)->network, transport, number, handle);
  if (error == 0) {
    keep(transport, *handle);
  }
  return error;
}

static int begin_connect(trp_transport_t *transport, const troupe_address_t *remote,
                         const troupe_address_t *local, trp_handle_t **handle,
                         const char **syscall) {
  int error = trp_network_connect(self_of(transport)->network, transport, remote, local, handle,
                                  syscall);
  if (error == 0) {
    keep(transport, *handle);
  }
  return error;
}

static int connected(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return trp_network_connected(handle);
}

static ssize_t read_some(trp_transport_t *transport, trp_handle_t *handle, void *bytes,
                         size_t length) {
  (void)transport;
  return trp_network_read(handle, bytes, length);
}

static ssize_t write_some(trp_transport_t *transport, trp_handle_t *handle,
                          const struct iovec *parts, int count) {
  (void)transport;
  ssize_t taken = trp_network_write(handle, parts, count);
  if (taken > 0) {
    trp_sim_watch_sent(handle, (size_t)taken);
  }
  return taken;
}

static int shut_down(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return trp_network_shutdown(handle);
}

static int reset(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return trp_network_reset(handle);
}

static void close_handle(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  trp_network_close(handle);
}

static int pending_error(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return trp_network_error(handle);
}

static int want(trp_transport_t *transport, trp_handle_t *handle, unsigned mask) {
  (void)transport;
  handle->wanted = mask;
  return 0;
}

static void set_owner(trp_transport_t *transport, trp_handle_t *handle, void *owner) {
  const trp_sim_transport_t *self = self_of(transport);
  handle->owner = owner;
  if (self->on_owner != NULL) {
    self->on_owner(self->owner_context, handle, owner);
  }
}

static void names(trp_transport_t *transport, trp_handle_t *handle, troupe_address_t *local,
                  troupe_address_t *remote) {
  (void)transport;
  trp_network_names(handle, local, remote);
}

static bool is_tcp(trp_transport_t *transport, trp_handle_t *handle) {
  troupe_address_t local;
  names(transport, handle, &local, NULL);
  return local.family != TROUPE_FAMILY_UNIX;
}

static int set_option(trp_transport_t *transport, trp_handle_t *handle, trp_option_t option,
                      int value) {
  (void)transport;
  if (option == TRP_OPTION_LINGER_CLOSE) {
    handle->lingers = value != 0;
  }
  return 0;
}

static int resolve(trp_transport_t *transport, const char *host, uint16_t port, int family,
                   unsigned hints, void *owner, trp_resolve_t **request) {
  (void)hints; // the simulated world has both families, and no mapped addresses
  return trp_network_resolve(self_of(transport)->network, transport, host, port, family, owner,
                             request);
}

static void cancel(trp_transport_t *transport, trp_resolve_t *request) {
  (void)transport;
  trp_network_cancel(request);
}

static int64_t now(trp_transport_t *transport) {
  return self_of(transport)->network->now_ns;
}

static void set_timer(trp_transport_t *transport, int64_t deadline_ns) {
  self_of(transport)->deadline_ns = deadline_ns;
}

static bool has_ipv6(trp_transport_t *transport) {
  (void)transport;
  return true;
}

static const trp_transport_ops_t sim_ops = {
    .listen = listen_on,
    .adopt = adopt,
    .adopt_listen = adopt_listen,
    .accept = accept_one,
    .let_go = let_go,
    .take = take,
    .connect = begin_connect,
    .connected = connected,
    .read = read_some,
    .write = write_some,
    .shutdown = shut_down,
    .reset = reset,
    .close = close_handle,
    .error = pending_error,
    .want = want,
    .set_owner = set_owner,
    .is_tcp = is_tcp,
    .names = names,
    .set_option = set_option,
    .resolve = resolve,
    .cancel = cancel,
    .now = now,
    .set_timer = set_timer,
    .has_ipv6 = has_ipv6,
};

void trp_sim_transport_init(trp_sim_transport_t *transport, trp_network_t *network) {
  *transport = (trp_sim_transport_t){
      .base.ops = &sim_ops, .network = network, .deadline_ns = TRP_NEVER};
  trp_list_init(&transport->handles);
}

void trp_sim_transport_keep(trp_sim_transport_t *transport, trp_handle_t *handle) {
  keep(&transport->base, handle);
}

static trp_resolve_t *find_resolved(const trp_sim_transport_t *transport) {
  const trp_network_t *network = transport->network;
  for (trp_link_t *link = network->resolves.next; link != &network->resolves; link = link->next) {
    trp_resolve_t *request = TRP_LIST_ENTRY(link, trp_resolve_t, in_network);
    if (request->transport == &transport->base && request->due_ns <= network->now_ns) {
      return request;
    }
  }
  return NULL;
}

bool trp_sim_transport_has_work(const trp_sim_transport_t *transport) {
  if (transport->deadline_ns <= transport->network->now_ns || find_resolved(transport) != NULL) {
    return true;
  }
  for (const trp_link_t *link = transport->handles.next; link != &transport->handles;
       link = link->next) {
    if (trp_network_ready(TRP_LIST_ENTRY(link, trp_handle_t, in_transport)) != 0) {
      return true;
    }
  }
  return false;
}

static void tell_resolved(trp_sim_transport_t *transport) {
  trp_resolve_t *request;
  while ((request = find_resolved(transport)) != NULL) {
    trp_list_remove(&request->in_network);
    const trp_resolved_t result = {
        .error = request->error, .addresses = request->addresses, .count = request->count};
    transport->base.callbacks.resolved(transport->base.context, request->owner, &result);
    trp_network_cancel(request);
  }
}

static bool is_open(const trp_sim_transport_t *transport, const trp_handle_t *handle) {
  for (const trp_link_t *link = transport->handles.next; link != &transport->handles;
       link = link->next) {
    if (link == &handle->in_transport) {
      return true;
    }
  }
  return false;
}

static void tell_ready(trp_sim_transport_t *transport) {
  trp_handle_t *ready[READY_AT_ONCE];
  trp_dice_t *dice = transport->network->dice;
  size_t count = 0;
  for (trp_link_t *link = transport->handles.next;
       link != &transport->handles && count < READY_AT_ONCE; link = link->next) {
    trp_handle_t *handle = TRP_LIST_ENTRY(link, trp_handle_t, in_transport);
    if (trp_network_ready(handle) != 0) {
      ready[count++] = handle;
    }
  }
  size_t told = count == 0 ? 0 : 1 + trp_dice_below(dice, count);
  for (size_t i = 0; i < told; i++) {
    size_t other = i + trp_dice_below(dice, count - i);
    trp_handle_t *handle = ready[other];
    ready[other] = ready[i];
    // What was told before may have closed it.
    unsigned mask = is_open(transport, handle) ? trp_network_ready(handle) : 0;
    if (mask != 0) {
      // To the end of the list, so that nobody's turn never comes.
      trp_list_remove(&handle->in_transport);
      trp_list_append(&transport->handles, &handle->in_transport);
      handle->hangup_told |= (mask & TRP_HANGUP) != 0;
      transport->base.callbacks.ready(transport->base.context, handle->owner, mask);
    }
  }
}

void trp_sim_transport_turn(trp_sim_transport_t *transport) {
  tell_resolved(transport);
  tell_ready(transport);
  if (transport->deadline_ns <= transport->network->now_ns) {
    transport->deadline_ns = TRP_NEVER;
    transport->base.callbacks.timer(transport->base.context);
  }
}
