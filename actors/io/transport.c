/// The libuv transport as the socket logic sees it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/io/transport_parts.h"

static const int64_t second_ns = 1000000000;
static const int64_t resolver_idle_ns = 10 * second_ns;

static const trp_transport_ops_t uv_ops;

static void on_timer(uv_timer_t *timer);
static void on_resolved(uv_async_t *async);
static void tell_resolved(void *context, void *owner, const trp_resolved_t *result);
static void wake_for_resolved(void *context);

// ---- The transport as a whole ----

int trp_uv_transport_new(uv_loop_t *loop, trp_uv_transport_t **transport) {
  trp_uv_transport_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->base.ops = &uv_ops;
  made->loop = loop;
  made->has_ipv6 = -1;
  trp_list_init(&made->open);
  trp_list_init(&made->unsettled);
  trp_list_init(&made->lingering);
  trp_list_init(&made->spare);
  trp_resolver_options_t options = {.wake = wake_for_resolved,
                                    .resolved = tell_resolved,
                                    .context = made,
                                    .idle_ns = resolver_idle_ns};
  int error = trp_resolver_new(&options, &made->resolver);
  if (error != 0) {
    goto no_resolver;
  }
  if ((error = uv_async_init(loop, &made->resolved, on_resolved)) != 0) {
    goto no_async;
  }
  made->resolved.data = made;
  uv_timer_init(loop, &made->timer);
  made->timer.data = made;
  uv_timer_init(loop, &made->linger_timer);
  made->linger_timer.data = made;
  *transport = made;
  return 0;
no_async:
  trp_resolver_free(&made->resolver, 0);
no_resolver:
  free(made);
  return error;
}

trp_transport_t *trp_uv_transport_base(trp_uv_transport_t *transport) {
  return &transport->base;
}

uint64_t trp_uv_transport_activity(const trp_uv_transport_t *transport) {
  return transport->activity;
}

int trp_uv_transport_close(trp_uv_transport_t *transport, int64_t deadline_ns) {
  transport->closed = true;
  trp_uv_handle_shut_all(&transport->open);
  trp_uv_handle_shut_all(&transport->lingering);
  int error = trp_resolver_free(&transport->resolver, deadline_ns);
  uv_close((uv_handle_t *)&transport->resolved, NULL);
  uv_close((uv_handle_t *)&transport->timer, NULL);
  uv_close((uv_handle_t *)&transport->linger_timer, NULL);
  return error;
}

void trp_uv_transport_free(trp_uv_transport_t **transport) {
  trp_uv_transport_t *gone = *transport;
  if (gone == NULL) {
    return;
  }
  *transport = NULL;
  trp_uv_handle_free_spare(gone);
  free(gone->ours);
  free(gone);
}

int64_t trp_uv_now(trp_transport_t *transport) {
  trp_uv_transport_t *self = trp_uv_self(transport);
  if (self->now_ns == 0) {
    self->now_ns = (int64_t)uv_hrtime();
  }
  return self->now_ns;
}

void trp_uv_start_timer(trp_uv_transport_t *self, uv_timer_t *timer, uv_timer_cb callback,
                        int64_t deadline_ns) {
  uint64_t due_ms = deadline_ns <= 0 ? 0 : ((uint64_t)deadline_ns + 999999) / 1000000;
  uint64_t now_ms = uv_now(self->loop);
  uv_timer_start(timer, callback, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void set_timer(trp_transport_t *transport, int64_t deadline_ns) {
  trp_uv_transport_t *self = trp_uv_self(transport);
  if (deadline_ns == TRP_NEVER) {
    uv_timer_stop(&self->timer);
  } else {
    trp_uv_start_timer(self, &self->timer, on_timer, deadline_ns);
  }
}

static void on_timer(uv_timer_t *timer) {
  trp_uv_transport_t *self = timer->data;
  self->now_ns = 0;
  self->activity++;
  self->base.callbacks.timer(self->base.context);
}

static bool has_ipv6(trp_transport_t *transport) {
  trp_uv_transport_t *self = trp_uv_self(transport);
  if (self->has_ipv6 < 0) {
    self->has_ipv6 = trp_listen_has_ipv6() ? 1 : 0;
  }
  return self->has_ipv6 == 1;
}

// ---- Making them ----

static int listen_on(trp_transport_t *transport, const trp_listen_spec_t *spec,
                     trp_handle_t **handle, const char **syscall) {
  int fd = -1;
  trp_path_t *path = NULL;
  *syscall = "listen";
  trp_handle_t *made = trp_uv_handle_take(trp_uv_self(transport));
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = trp_listen(spec, &fd, &path, syscall);
  if (error != 0) {
    goto no_socket;
  }
  bool local = spec->address.family == TROUPE_FAMILY_UNIX;
  error = trp_uv_handle_attach(made, fd, local ? TRP_FD_UNIX : TRP_FD_TCP);
  if (error != 0) {
    goto no_memory;
  }
  made->listens = true;
  made->has.path = path;
  *handle = made;
  return 0;
no_memory:
  close(fd);
  trp_path_remove(&path);
no_socket:
  trp_uv_handle_give_back(made);
  return error;
}

static int take_over(trp_uv_transport_t *self, int fd, trp_fd_kind_t *kind, trp_handle_t **handle) {
  trp_fd_type_t type = TRP_FD_PIPE;
  int error = trp_fd_classify(fd, &type, kind);
  if (error != 0) {
    return error;
  }
  trp_handle_t *made = trp_uv_handle_take(self);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  if ((error = trp_uv_handle_attach(made, fd, type)) != 0) {
    goto failed;
  }
  error = trp_uv_handle_watch(made);
  if (error == UV_EPERM) {
    error = TROUPE_ERR_INVALID_FD_TYPE; // a device that cannot be waited for
  }
  if (error == 0) {
    error = trp_fd_tame(fd);
  }
  if (error != 0) {
    goto failed;
  }
  *handle = made;
  return 0;
failed:
  trp_uv_handle_detach(made);
  return error;
}

static int adopt(trp_transport_t *transport, int fd, trp_fd_kind_t *kind, trp_handle_t **handle) {
  trp_uv_transport_t *self = trp_uv_self(transport);
  if (fd < 0) {
    return TROUPE_EBADF;
  }
  if (trp_uv_handle_has(self, fd)) {
    return TROUPE_EEXIST;
  }
  int error = take_over(self, fd, kind, handle);
  if (error != 0) {
    close(fd); // it was handed over, and nobody else will
  }
  return error;
}

static int adopt_listen(trp_transport_t *transport, trp_handle_t *handle, int backlog) {
  (void)transport;
  return trp_listen_again(handle->fd, backlog);
}

static int accept_one(trp_transport_t *transport, trp_handle_t *listener, trp_handle_t **connection,
                      troupe_address_t *remote) {
  trp_handle_t *made = trp_uv_handle_take(
      trp_uv_self(transport)); // first: what was accepted cannot be put
                               // back
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  int fd = trp_listen_accept(listener->fd, remote);
  if (fd < 0) {
    trp_uv_handle_give_back(made);
    return fd;
  }
  int error = trp_uv_handle_attach(made, fd, (trp_fd_type_t)listener->type);
  if (error != 0) {
    close(fd);
    trp_uv_handle_give_back(made);
    return error;
  }
  *connection = made;
  return 0;
}

static int let_go(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  int fd = handle->fd;
  trp_uv_handle_detach(handle);
  return fd;
}

static int take(trp_transport_t *transport, int fd, bool tcp, trp_handle_t **handle) {
  trp_handle_t *made = trp_uv_handle_take(trp_uv_self(transport));
  int error = made == NULL ? (int)TROUPE_ENOMEM
                           : trp_uv_handle_attach(made, fd, tcp ? TRP_FD_TCP : TRP_FD_UNIX);
  if (error != 0) {
    close(fd);
    if (made != NULL) {
      trp_uv_handle_give_back(made);
    }
    return error;
  }
  *handle = made;
  return 0;
}

static int begin_connect(trp_transport_t *transport, const troupe_address_t *remote,
                         const troupe_address_t *local, trp_handle_t **handle,
                         const char **syscall) {
  int fd = -1;
  *syscall = "connect";
  trp_handle_t *made = trp_uv_handle_take(trp_uv_self(transport));
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = trp_fd_connect(remote, local, &fd, syscall);
  if (error != 0) {
    goto no_socket;
  }
  error = trp_uv_handle_attach(made, fd,
                               remote->family == TROUPE_FAMILY_UNIX ? TRP_FD_UNIX : TRP_FD_TCP);
  if (error != 0) {
    close(fd);
    goto no_socket;
  }
  made->connecting = true;
  if ((error = trp_uv_handle_want(transport, made, TRP_WRITE)) != 0) {
    trp_uv_handle_shut(made, false);
    return error;
  }
  *handle = made;
  return 0;
no_socket:
  trp_uv_handle_give_back(made);
  return error;
}

static int connected(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  if (!handle->connecting) {
    return handle->has.socket.connect_error;
  }
  int error = handle->has.socket.connect_error != 0 ? handle->has.socket.connect_error
                                                    : trp_fd_connected(handle->fd);
  if (error != TROUPE_EALREADY) {
    handle->connecting = false;
    handle->has.socket.connect_error = error;
  }
  return error;
}

// ---- Using them ----

static ssize_t read_some(trp_transport_t *transport, trp_handle_t *handle, void *bytes,
                         size_t length) {
  (void)transport;
  return trp_fd_read(handle->fd, bytes, length);
}

static ssize_t write_some(trp_transport_t *transport, trp_handle_t *handle,
                          const struct iovec *parts, int count) {
  (void)transport;
  return trp_fd_write(handle->fd, (trp_fd_type_t)handle->type, parts, count);
}

/// A pipe has no half to close: its end goes out with close().
static int shut_down(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return handle->type == TRP_FD_PIPE || shutdown(handle->fd, SHUT_WR) == 0 ? 0 : -errno;
}

static int pending_error(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  int error = trp_fd_error(handle->fd);
  if (handle->connecting && error != 0) {
    handle->has.socket.connect_error = error; // connected() has still to tell it
  }
  return error;
}

static int reset(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  if (handle->type != TRP_FD_TCP) {
    return TROUPE_ERR_INVALID_HANDLE_TYPE;
  }
  trp_uv_handle_shut(handle, true);
  return 0;
}

static void set_owner(trp_transport_t *transport, trp_handle_t *handle, void *owner) {
  (void)transport;
  handle->poll.data = owner;
}

static bool is_tcp(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return handle->type == TRP_FD_TCP;
}

static void names(trp_transport_t *transport, trp_handle_t *handle, troupe_address_t *local,
                  troupe_address_t *remote) {
  (void)transport;
  trp_fd_names(handle->fd, local, remote);
}

static int credentials_of(trp_transport_t *transport, trp_handle_t *handle,
                          trp_credentials_t *credentials) {
  (void)transport;
  return handle->type == TRP_FD_UNIX ? trp_fd_credentials(handle->fd, credentials) : TROUPE_ENOTSUP;
}

/// What TCP alone has is passed over in silence on other handles, as in Node.
static int set_option(trp_transport_t *transport, trp_handle_t *handle, trp_option_t option,
                      int value) {
  (void)transport;
  if (option == TRP_OPTION_LINGER_CLOSE) {
    if (!handle->listens) {
      handle->has.socket.linger_ms = value;
    }
    return 0;
  }
  return handle->type == TRP_FD_TCP ? trp_fd_set_option(handle->fd, option, value) : 0;
}

static void close_handle(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  if (!trp_uv_linger_begin(handle)) {
    trp_uv_handle_shut(handle, false);
  }
}

// ---- Look-ups ----

static int resolve(trp_transport_t *transport, const char *host, uint16_t port, int family,
                   unsigned hints, void *owner, trp_resolve_t **request) {
  return trp_resolver_start(trp_uv_self(transport)->resolver, host, port, family, hints, owner,
                            request);
}

static void cancel(trp_transport_t *transport, trp_resolve_t *request) {
  trp_resolver_cancel(trp_uv_self(transport)->resolver, request);
}

static void wake_for_resolved(void *context) {
  trp_uv_transport_t *self = context;
  uv_async_send(&self->resolved);
}

static void on_resolved(uv_async_t *async) {
  trp_uv_transport_t *self = async->data;
  if (self->resolver != NULL) {
    trp_resolver_dispatch(self->resolver);
  }
}

static void tell_resolved(void *context, void *owner, const trp_resolved_t *result) {
  trp_uv_transport_t *self = context;
  self->activity++;
  self->base.callbacks.resolved(self->base.context, owner, result);
}

static const trp_transport_ops_t uv_ops = {
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
    .want = trp_uv_handle_want,
    .set_owner = set_owner,
    .is_tcp = is_tcp,
    .names = names,
    .credentials = credentials_of,
    .set_option = set_option,
    .resolve = resolve,
    .cancel = cancel,
    .now = trp_uv_now,
    .set_timer = set_timer,
    .has_ipv6 = has_ipv6,
};
