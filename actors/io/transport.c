/// The libuv transport: descriptors of our own under uv_poll.
///
/// What one has to know about libuv here (1.44):
/// - uv_poll reports a reset, a refused connect and every other pending error as UV_EBADF, and
/// stops watching. So every status below 0 is taken for "ready for
///   all that is wanted": the call that follows meets the true error. What is wanted is watched
///   again in settle().
/// - uv_poll_start() costs a system call at once and another one before the loop waits, even when
/// nothing changes. So want() only notes, and settle() tells
///   libuv the sum of a turn; and a handle that stops reading stays watched until something really
///   comes for it.
/// - uv_close() of a uv_poll takes the descriptor out of epoll and out of the events that wait to
/// be told in this turn, so close() may follow at once, and the same
///   number may be opened again before the turn is over. The memory has to live on until libuv
///   calls back; then it goes into a list for the next handle.
#include "actors/io/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/io/descriptor.h"
#include "actors/io/listen.h"
#include "actors/io/resolver.h"
#include "actors/net/list.h"

enum {
  SPARE_HANDLES = 256, // kept for the next connections
  DRAIN_SIZE = 16 * 1024,
};

static const int64_t second_ns = 1000000000;
static const int64_t ms_ns = 1000000;
static const int64_t resolver_idle_ns = 10 * second_ns;

struct trp_handle {
  uv_poll_t poll; // its data is whom to tell
  trp_uv_transport_t *transport;
  union {
    trp_path_t *path; // a listener's file
    struct {
      int linger_ms;     // after close, for the peer to take the rest and to close; 0: not at all
      int connect_error; // of the attempt; the kernel tells it once
    } socket;
    int64_t linger_until_ns; // while it lingers
  } has;
  trp_link_t unsettled;    // in the transport's list while `armed` may have to change
  trp_link_t in_transport; // in its list of those that are open, or, after close, that linger
  int fd;                  // -1: closed
  uint8_t type;            // of trp_fd_type_t
  uint8_t wanted;          // TRP_READ, TRP_WRITE, TRP_HANGUP
  uint8_t armed;           // what libuv watches; may be more than is wanted
  bool watched : 1;        // `poll` was made
  bool listens : 1;
  bool lingers : 1;
  bool exact : 1; // something came that is not wanted: watch no more than is wanted
  bool hung : 1;  // TRP_HANGUP has come
  bool connecting : 1;
};

struct trp_uv_transport {
  trp_transport_t base;
  uv_loop_t *loop;
  uv_timer_t timer, linger_timer;
  uv_async_t resolved;
  trp_resolver_t *resolver;
  trp_link_t open, unsettled, lingering, spare; // lists
  size_t spare_count;
  uint64_t *ours; // a bit for each descriptor that a handle here has
  size_t ours_words;
  int64_t now_ns; // of this turn; 0: to be asked
  uint64_t activity;
  int has_ipv6; // -1: to be tried
  bool closed;
};

static const trp_transport_ops_t uv_ops;

static void on_timer(uv_timer_t *timer);
static void on_linger_timer(uv_timer_t *timer);
static void on_resolved(uv_async_t *async);
static void on_poll(uv_poll_t *poll, int status, int events);
static void tell_resolved(void *context, void *owner, const trp_resolved_t *result);
static void wake_for_resolved(void *context);
static void drain(trp_handle_t *handle);
static void shut(trp_handle_t *handle, bool reset);
static void shut_all(trp_link_t *list);

/// The first of a list, or NULL.
static trp_link_t *first_of(trp_link_t *list) {
  return trp_list_empty(list) ? NULL : list->next;
}

static trp_handle_t *handle_of(uv_poll_t *poll) {
  return (trp_handle_t *)(void *)poll;
}

static trp_uv_transport_t *self_of(trp_transport_t *transport) {
  return (trp_uv_transport_t *)(void *)transport;
}

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
  shut_all(&transport->open);
  shut_all(&transport->lingering);
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
  trp_link_t *link = gone->spare.next;
  while (link != &gone->spare) {
    trp_link_t *next = link->next;
    free(TRP_LIST_ENTRY(link, trp_handle_t, unsettled));
    link = next;
  }
  free(gone->ours);
  free(gone);
}

static int64_t now(trp_transport_t *transport) {
  trp_uv_transport_t *self = self_of(transport);
  if (self->now_ns == 0) {
    self->now_ns = (int64_t)uv_hrtime();
  }
  return self->now_ns;
}

/// libuv's timers know milliseconds: rounded up, so that the time has always come when `timer` is
/// called.
static void start_timer(trp_uv_transport_t *self, uv_timer_t *timer, uv_timer_cb callback,
                        int64_t deadline_ns) {
  uint64_t due_ms = deadline_ns <= 0 ? 0 : ((uint64_t)deadline_ns + 999999) / 1000000;
  uint64_t now_ms = uv_now(self->loop);
  uv_timer_start(timer, callback, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void set_timer(trp_transport_t *transport, int64_t deadline_ns) {
  trp_uv_transport_t *self = self_of(transport);
  if (deadline_ns == TRP_NEVER) {
    uv_timer_stop(&self->timer);
  } else {
    start_timer(self, &self->timer, on_timer, deadline_ns);
  }
}

static void on_timer(uv_timer_t *timer) {
  trp_uv_transport_t *self = timer->data;
  self->now_ns = 0;
  self->activity++;
  self->base.callbacks.timer(self->base.context);
}

static bool has_ipv6(trp_transport_t *transport) {
  trp_uv_transport_t *self = self_of(transport);
  if (self->has_ipv6 < 0) {
    self->has_ipv6 = trp_listen_has_ipv6() ? 1 : 0;
  }
  return self->has_ipv6 == 1;
}

// ---- Handles ----

static trp_handle_t *take_handle(trp_uv_transport_t *self) {
  trp_link_t *link = first_of(&self->spare);
  trp_handle_t *handle;
  if (link != NULL) {
    trp_list_remove(link);
    self->spare_count--;
    handle = TRP_LIST_ENTRY(link, trp_handle_t, unsettled);
  } else {
    handle = malloc(sizeof *handle);
  }
  if (handle != NULL) {
    memset(handle, 0, sizeof *handle);
    handle->transport = self;
    handle->fd = -1;
    trp_list_init(&handle->unsettled);
    trp_list_init(&handle->in_transport);
  }
  return handle;
}

static void give_handle_back(trp_handle_t *handle) {
  trp_uv_transport_t *self = handle->transport;
  if (self->closed || self->spare_count >= SPARE_HANDLES) {
    free(handle);
    return;
  }
  trp_list_append(&self->spare, &handle->unsettled);
  self->spare_count++;
}

static void on_closed(uv_handle_t *poll) {
  give_handle_back(handle_of((uv_poll_t *)poll));
}

/// The word of `ours` with the descriptor's bit; NULL: there is none yet.
static uint64_t *word_of(const trp_uv_transport_t *self, int fd) {
  size_t word = (size_t)fd / 64;
  return word < self->ours_words ? &self->ours[word] : NULL;
}

static uint64_t bit_of(int fd) {
  return UINT64_C(1) << ((unsigned)fd % 64);
}

/// Gives the handle its descriptor. TROUPE_ENOMEM: it was not given.
static int attach(trp_handle_t *handle, int fd, trp_fd_type_t type) {
  trp_uv_transport_t *self = handle->transport;
  if (word_of(self, fd) == NULL) {
    size_t words = ((size_t)fd / 64 + 1) * 2;
    uint64_t *grown = realloc(self->ours, words * sizeof *grown);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    memset(grown + self->ours_words, 0, (words - self->ours_words) * sizeof *grown);
    self->ours = grown;
    self->ours_words = words;
  }
  handle->fd = fd;
  handle->type = (uint8_t)type;
  *word_of(self, fd) |= bit_of(fd);
  trp_list_append(&self->open, &handle->in_transport);
  return 0;
}

/// Gives the descriptor away again, untouched, and the handle back.
static void detach(trp_handle_t *handle) {
  trp_uv_transport_t *self = handle->transport;
  if (handle->fd >= 0) {
    *word_of(self, handle->fd) &= ~bit_of(handle->fd);
    handle->fd = -1;
  }
  trp_list_remove(&handle->unsettled);
  trp_list_remove(&handle->in_transport);
  if (handle->watched) {
    uv_close((uv_handle_t *)&handle->poll, on_closed);
  } else {
    give_handle_back(handle);
  }
}

static void shut(trp_handle_t *handle, bool reset) {
  int fd = handle->fd;
  trp_path_t *path = handle->listens ? handle->has.path : NULL;
  detach(handle);
  if (reset) {
    trp_fd_reset(fd);
  } else {
    close(fd);
  }
  trp_path_remove(&path);
}

static void shut_all(trp_link_t *list) {
  for (trp_link_t *link; (link = trp_list_take(list)) != NULL;) {
    shut(TRP_LIST_ENTRY(link, trp_handle_t, in_transport), false);
  }
}

static int watch(trp_handle_t *handle) {
  if (handle->watched) {
    return 0;
  }
  int error = uv_poll_init(handle->transport->loop, &handle->poll, handle->fd);
  if (error == 0) {
    handle->watched = true;
  }
  return error;
}

static void unsettle(trp_handle_t *handle) {
  if (!trp_list_holds(&handle->unsettled)) {
    trp_list_append(&handle->transport->unsettled, &handle->unsettled);
  }
}

static int want(trp_transport_t *transport, trp_handle_t *handle, unsigned mask) {
  (void)transport;
  if (handle->wanted == mask) {
    return 0;
  }
  int error = mask == 0 ? 0 : watch(handle);
  if (error == 0) {
    handle->wanted = (uint8_t)mask;
    unsettle(handle);
  }
  return error;
}

/// What can come: the end of a handle comes once.
static unsigned expected(const trp_handle_t *handle) {
  return handle->hung ? handle->wanted & ~(unsigned)TRP_HANGUP : handle->wanted;
}

static void arm(trp_handle_t *handle) {
  unsigned needed = expected(handle);
  unsigned added = needed & ~(unsigned)handle->armed;
  unsigned spare = handle->armed & ~needed;
  bool exact = handle->exact;
  handle->exact = false;
  if (added == 0 && !exact && (spare & TRP_WRITE) == 0) {
    return; // watched for too much, if at all, and it may never come. (A socket is nearly always
            // writable: that would come.)
  }
  if (added == 0 && spare == 0) {
    return;
  }
  handle->armed = (uint8_t)needed;
  if (needed == 0) {
    uv_poll_stop(&handle->poll);
    return;
  }
  int events = ((needed & TRP_READ) != 0 ? UV_READABLE : 0) |
               ((needed & TRP_WRITE) != 0 ? UV_WRITABLE : 0) |
               ((needed & TRP_HANGUP) != 0 ? UV_DISCONNECT : 0);
  // Can only say that somebody else watches this descriptor in the same loop, and uv_poll_init()
  // would have said so before.
  uv_poll_start(&handle->poll, events, on_poll);
}

void trp_uv_transport_settle(trp_uv_transport_t *transport) {
  trp_link_t *link;
  while ((link = first_of(&transport->unsettled)) != NULL) {
    trp_list_remove(link);
    arm(TRP_LIST_ENTRY(link, trp_handle_t, unsettled));
  }
  transport->now_ns = 0;
}

static unsigned mask_of(int events) {
  return ((events & UV_READABLE) != 0 ? (unsigned)TRP_READ : 0U) |
         ((events & UV_WRITABLE) != 0 ? (unsigned)TRP_WRITE : 0U) |
         ((events & UV_DISCONNECT) != 0 ? (unsigned)TRP_HANGUP : 0U);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  trp_handle_t *handle = handle_of(poll);
  trp_uv_transport_t *self = handle->transport;
  unsigned came = mask_of(events);
  if (status < 0) {
    came = handle->wanted;
    handle->armed = 0; // libuv has stopped watching
    unsettle(handle);
  }
  unsigned told = came & expected(handle);
  if (told != came || (told & TRP_HANGUP) != 0) {
    handle->exact = true;
    unsettle(handle);
  }
  if (told == 0) {
    return;
  }
  if ((told & TRP_HANGUP) != 0) {
    handle->hung = true;
  }
  if (status < 0 && (told & TRP_READ) != 0) {
    told |= TRP_BROKEN;
  }
  self->activity++;
  if (handle->lingers) {
    drain(handle);
  } else {
    self->base.callbacks.ready(self->base.context, poll->data, told);
  }
}

// ---- Making them ----

static int listen_on(trp_transport_t *transport, const trp_listen_spec_t *spec,
                     trp_handle_t **handle, const char **syscall) {
  int fd = -1;
  trp_path_t *path = NULL;
  *syscall = "listen";
  trp_handle_t *made = take_handle(self_of(transport));
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = trp_listen(spec, &fd, &path, syscall);
  if (error != 0) {
    goto no_socket;
  }
  bool local = spec->address.family == TROUPE_FAMILY_UNIX;
  error = attach(made, fd, local ? TRP_FD_UNIX : TRP_FD_TCP);
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
  give_handle_back(made);
  return error;
}

static int take_over(trp_uv_transport_t *self, int fd, trp_fd_kind_t *kind, trp_handle_t **handle) {
  trp_fd_type_t type = TRP_FD_PIPE;
  int error = trp_fd_classify(fd, &type, kind);
  if (error != 0) {
    return error;
  }
  trp_handle_t *made = take_handle(self);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  if ((error = attach(made, fd, type)) != 0) {
    goto failed;
  }
  error = watch(made);
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
  detach(made);
  return error;
}

static int adopt(trp_transport_t *transport, int fd, trp_fd_kind_t *kind, trp_handle_t **handle) {
  trp_uv_transport_t *self = self_of(transport);
  if (fd < 0) {
    return TROUPE_EBADF;
  }
  const uint64_t *word = word_of(self, fd);
  if (word != NULL && (*word & bit_of(fd)) != 0) {
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
  trp_handle_t *made = take_handle(self_of(transport)); // first: what was accepted cannot be put
                                                        // back
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  int fd = trp_listen_accept(listener->fd, remote);
  if (fd < 0) {
    give_handle_back(made);
    return fd;
  }
  int error = attach(made, fd, (trp_fd_type_t)listener->type);
  if (error != 0) {
    close(fd);
    give_handle_back(made);
    return error;
  }
  *connection = made;
  return 0;
}

static int let_go(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  int fd = handle->fd;
  detach(handle);
  return fd;
}

static int take(trp_transport_t *transport, int fd, bool tcp, trp_handle_t **handle) {
  trp_handle_t *made = take_handle(self_of(transport));
  int error = made == NULL ? (int)TROUPE_ENOMEM : attach(made, fd, tcp ? TRP_FD_TCP : TRP_FD_UNIX);
  if (error != 0) {
    close(fd);
    if (made != NULL) {
      give_handle_back(made);
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
  trp_handle_t *made = take_handle(self_of(transport));
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = trp_fd_connect(remote, local, &fd, syscall);
  if (error != 0) {
    goto no_socket;
  }
  error = attach(made, fd, remote->family == TROUPE_FAMILY_UNIX ? TRP_FD_UNIX : TRP_FD_TCP);
  if (error != 0) {
    close(fd);
    goto no_socket;
  }
  made->connecting = true;
  if ((error = want(transport, made, TRP_WRITE)) != 0) {
    shut(made, false);
    return error;
  }
  *handle = made;
  return 0;
no_socket:
  give_handle_back(made);
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
  shut(handle, true);
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

// ---- Closing ----
//
// To close a socket with unread bytes in it, or into which the peer goes on writing, makes the
// kernel send a reset, and that can destroy what the peer has not read yet. A handle that lingers
// sends FIN instead, and throws away what comes until the peer has closed too, or the time is over.

static void drain(trp_handle_t *handle) {
  uint8_t waste[DRAIN_SIZE];
  ssize_t n = trp_fd_read(handle->fd, waste, sizeof waste);
  if (n == 0 || (n < 0 && n != TROUPE_EAGAIN)) {
    shut(handle, false);
  }
}

static bool begin_to_linger(trp_handle_t *handle) {
  trp_uv_transport_t *self = handle->transport;
  if (handle->listens || handle->has.socket.linger_ms == 0 || handle->type == TRP_FD_PIPE ||
      handle->connecting || shutdown(handle->fd, SHUT_WR) != 0 ||
      want(&self->base, handle, TRP_READ) != 0) {
    return false;
  }
  trp_list_remove(&handle->in_transport);
  handle->lingers = true;
  handle->has.linger_until_ns = now(&self->base) + handle->has.socket.linger_ms * ms_ns;
  // In the order of their times; they mostly have the same limit, so its place is near the end.
  trp_link_t *after = self->lingering.previous;
  while (after != &self->lingering &&
         TRP_LIST_ENTRY(after, trp_handle_t, in_transport)->has.linger_until_ns >
             handle->has.linger_until_ns) {
    after = after->previous;
  }
  trp_list_append(after->next, &handle->in_transport);
  if (self->lingering.next == &handle->in_transport) {
    start_timer(self, &self->linger_timer, on_linger_timer, handle->has.linger_until_ns);
  }
  return true;
}

static void close_handle(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  if (!begin_to_linger(handle)) {
    shut(handle, false);
  }
}

static void on_linger_timer(uv_timer_t *timer) {
  trp_uv_transport_t *self = timer->data;
  self->now_ns = 0;
  trp_link_t *link = self->lingering.next;
  while (link != &self->lingering) {
    trp_handle_t *handle = TRP_LIST_ENTRY(link, trp_handle_t, in_transport);
    if (handle->has.linger_until_ns > now(&self->base)) {
      start_timer(self, timer, on_linger_timer, handle->has.linger_until_ns);
      return;
    }
    link = link->next;
    shut(handle, false);
  }
}

// ---- Look-ups ----

static int resolve(trp_transport_t *transport, const char *host, uint16_t port, int family,
                   unsigned hints, void *owner, trp_resolve_t **request) {
  return trp_resolver_start(self_of(transport)->resolver, host, port, family, hints, owner,
                            request);
}

static void cancel(trp_transport_t *transport, trp_resolve_t *request) {
  trp_resolver_cancel(self_of(transport)->resolver, request);
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
    .want = want,
    .set_owner = set_owner,
    .is_tcp = is_tcp,
    .names = names,
    .credentials = credentials_of,
    .set_option = set_option,
    .resolve = resolve,
    .cancel = cancel,
    .now = now,
    .set_timer = set_timer,
    .has_ipv6 = has_ipv6,
};
