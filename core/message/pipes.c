/// The inbox over ZeroMQ. Inproc only: a PULL for what comes, a PUSH for each actor that was sent
/// to. No high water marks, no lingering: credit bounds what is under way, and the end of an actor
/// is told in band.
#include "core/message/pipes.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <troupe/error.h>
#include <zmq.h>

#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/message/sanitizers.h"
#include "core/support/map.h"
#include "core/support/spin.h"

enum {
  KEY_COUNT = 1024,
  ENDPOINT_SIZE = 48,
  LONGEST_MS = 3600000,
  SPIN_ROUNDS = 32, // looks between two looks at the clock
};

#if defined(__x86_64__) || defined(__i386__)
#define TRP_RELAX() __builtin_ia32_pause()
#else
#define TRP_RELAX() ((void)0)
#endif

struct trp_hub {
  void *context;
  pthread_mutex_t mutex; // guards `open`; held while a pipe to one of them is made, so that it is
                         // open then
  trp_map_t open;        // the bells of the inboxes that can be connected to
};

/// Counts what was sent to an inbox. libzmq needs two system calls to find out that nothing has
/// come; one look at this says so, too.
typedef struct {
  atomic_uint users; // the inbox, and every pipe to it
  atomic_ullong sent;
} bell_t;

typedef struct {
  uint64_t id;
  void *push; // NULL: the inbox was closed before the first send; what is sent vanishes
  bell_t *bell;
} peer_t;

typedef struct {
  trp_inbox_t base;
  trp_hub_t *hub;
  uint64_t self;
  void *pull;
  bell_t *bell;
  uint64_t received;
  int timeout_ms; // what the PULL's is set to
  peer_t *peers;  // sorted by id
  size_t peer_count, peer_capacity;
  int64_t spin_ns;
  trp_spin_t spin;
} pipes_t;

static void drop_bell(bell_t *bell);
static void ring(peer_t *peer);
static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in);
static int send_batch(trp_inbox_t *inbox, trp_out_t *out);
static bool look(trp_inbox_t *inbox, int64_t deadline_ns);
static int64_t now(trp_inbox_t *inbox);
static int reach_op(trp_inbox_t *inbox, uint64_t to);
static bool knows(trp_inbox_t *inbox, uint64_t to);
static void hide(trp_inbox_t *inbox);
static void forget(trp_inbox_t *inbox, uint64_t to);
static void close_pipes(trp_inbox_t *inbox);

static const trp_inbox_ops_t pipes_ops = {
    .receive = receive,
    .send = send_batch,
    .look = look,
    .now = now,
    .reach = reach_op,
    .knows = knows,
    .hide = hide,
    .forget = forget,
    .close = close_pipes,
};

/// ThreadSanitizer cannot see libzmq's hand-over; sender and receiver of an inbox meet at a byte of
/// their own. Two inboxes on one byte only make it see less.
static unsigned char hand_over[KEY_COUNT];

static void *key_of(uint64_t id) {
  return &hand_over[trp_id_creator(id) % KEY_COUNT];
}

/// The clock of every real inbox; the trace and the simulator have their own.
static int64_t now(trp_inbox_t *inbox) {
  (void)inbox;
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int error_of(int zmq_error) {
  switch (zmq_error) {
  case ENOMEM:
    return TROUPE_ENOMEM;
  case EMFILE:
  case ENFILE:
    return TROUPE_EMFILE;
  case EADDRINUSE:
    return TROUPE_EADDRINUSE;
  case ETERM:
    return TROUPE_ESTOPPED;
  default:
    return TROUPE_EINVAL;
  }
}

int trp_hub_new(trp_hub_t **hub) {
  trp_hub_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  if (pthread_mutex_init(&made->mutex, NULL) != 0) {
    free(made);
    return TROUPE_ENOMEM;
  }
  trp_map_init(&made->open);
  made->context = zmq_ctx_new();
  if (made->context == NULL) {
    int error = error_of(errno);
    pthread_mutex_destroy(&made->mutex);
    free(made);
    return error;
  }
  struct rlimit limit;
  int sockets = 65535;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65535 && limit.rlim_cur > 0) {
    sockets = (int)limit.rlim_cur;
  }
  zmq_ctx_set(made->context, ZMQ_IO_THREADS, 0);
  zmq_ctx_set(made->context, ZMQ_MAX_SOCKETS, sockets);
  *hub = made;
  return 0;
}

void trp_hub_free(trp_hub_t **hub) {
  trp_hub_t *h = *hub;
  if (h == NULL) {
    return;
  }
  *hub = NULL;
  while (zmq_ctx_term(h->context) != 0 && errno == EINTR) {
  }
  trp_map_free(&h->open);
  pthread_mutex_destroy(&h->mutex);
  free(h);
}

static void name_endpoint(char *text, uint64_t id) {
  snprintf(text, ENDPOINT_SIZE, "inproc://troupe-%llx", (unsigned long long)id);
}

static void *new_socket(trp_hub_t *hub, int type) {
  void *socket = zmq_socket(hub->context, type);
  if (socket != NULL) {
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, type == ZMQ_PULL ? ZMQ_RCVHWM : ZMQ_SNDHWM, &zero, sizeof zero);
  }
  return socket;
}

int trp_pipes_open(trp_hub_t *hub, uint64_t self, trp_inbox_t **inbox) {
  pipes_t *pipes = calloc(1, sizeof *pipes);
  if (pipes == NULL) {
    return TROUPE_ENOMEM;
  }
  pipes->base.ops = &pipes_ops;
  pipes->hub = hub;
  pipes->self = self;
  int error = 0;
  pipes->timeout_ms = -1;
  pipes->bell = calloc(1, sizeof *pipes->bell);
  if (pipes->bell == NULL) {
    error = TROUPE_ENOMEM;
    goto no_bell;
  }
  atomic_init(&pipes->bell->users, 1);
  pipes->pull = new_socket(hub, ZMQ_PULL);
  if (pipes->pull == NULL) {
    error = error_of(errno);
    goto no_socket;
  }
  char endpoint[ENDPOINT_SIZE];
  name_endpoint(endpoint, self);
  if (zmq_bind(pipes->pull, endpoint) != 0) {
    error = error_of(errno);
    goto no_bind;
  }
  pthread_mutex_lock(&hub->mutex);
  error = trp_map_put(&hub->open, self, pipes->bell);
  pthread_mutex_unlock(&hub->mutex);
  if (error != 0) {
    goto no_bind;
  }
  *inbox = &pipes->base;
  return 0;
no_bind:
  zmq_close(pipes->pull);
no_socket:
  drop_bell(pipes->bell);
no_bell:
  free(pipes);
  return error;
}

int trp_pipes_fd(trp_inbox_t *inbox) {
  pipes_t *pipes = (pipes_t *)(void *)inbox;
  int fd = -1;
  size_t size = sizeof fd;
  if (zmq_getsockopt(pipes->pull, ZMQ_FD, &fd, &size) != 0) {
    return error_of(errno);
  }
  return fd;
}

void trp_pipes_set_spin(trp_inbox_t *inbox, int64_t spin_ns) {
  ((pipes_t *)(void *)inbox)->spin_ns = spin_ns;
}

bool trp_pipes_pending(const trp_inbox_t *inbox) {
  const pipes_t *pipes = (const pipes_t *)(const void *)inbox;
  // A batch may be received before its sender has counted it.
  return (int64_t)(atomic_load_explicit(&pipes->bell->sent, memory_order_acquire) -
                   pipes->received) > 0;
}

static void drop_bell(bell_t *bell) {
  if (bell != NULL && atomic_fetch_sub(&bell->users, 1) == 1) {
    free(bell);
  }
}

/// Looks for a message for a short while without waiting for it: see core/support/spin.h. Between
/// two looks whoever else wants this core may have it.
static void spin(pipes_t *pipes, int64_t deadline_ns) {
  if (pipes->spin_ns <= 0 || trp_pipes_pending(&pipes->base)) {
    return;
  }
  int64_t began = now(&pipes->base);
  if (!trp_spin_begins(&pipes->spin, began)) {
    return;
  }
  int64_t until = began + pipes->spin_ns;
  if (until > deadline_ns) {
    until = deadline_ns;
  }
  int64_t at;
  bool found = false;
  do {
    for (int i = 0; i < SPIN_ROUNDS && !found; i++) {
      TRP_RELAX();
      found = trp_pipes_pending(&pipes->base);
    }
    if (!found) {
      (void)sched_yield();
    }
    at = now(&pipes->base);
  } while (!found && at < until);
  // On the only core the sender had it meanwhile, perhaps for longer than this was to last.
  trp_spin_ends(&pipes->spin, began, at, found || trp_pipes_pending(&pipes->base));
}

static bool look(trp_inbox_t *inbox, int64_t deadline_ns) {
  spin((pipes_t *)(void *)inbox, deadline_ns);
  return trp_pipes_pending(inbox);
}

static int set_timeout(pipes_t *pipes, int64_t deadline_ns) {
  int timeout_ms = -1;
  if (deadline_ns != TRP_FOREVER) {
    int64_t left_ms = (deadline_ns - now(&pipes->base) + 999999) / 1000000;
    timeout_ms = left_ms > LONGEST_MS ? LONGEST_MS : left_ms < 0 ? 0 : (int)left_ms;
  }
  if (timeout_ms != pipes->timeout_ms) {
    if (zmq_setsockopt(pipes->pull, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms) != 0) {
      return error_of(errno);
    }
    pipes->timeout_ms = timeout_ms;
  }
  return 0;
}

/// Waits for a first frame. NULL with *error 0: the time is over.
static trp_frame_t *wait_for_frame(pipes_t *pipes, int64_t deadline_ns, int *error) {
  for (;;) {
    if (deadline_ns != 0) {
      spin(pipes, deadline_ns);
      *error = set_timeout(pipes, deadline_ns);
      if (*error != 0) {
        return NULL;
      }
    }
    trp_frame_t *frame = trp_frame_receive(pipes->pull, deadline_ns == 0 ? ZMQ_DONTWAIT : 0);
    if (frame != NULL) {
      pipes->received++;
      return frame;
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno != EAGAIN) {
      *error = error_of(errno);
      return NULL;
    }
    if (deadline_ns != TRP_FOREVER && (deadline_ns == 0 || now(&pipes->base) >= deadline_ns)) {
      return NULL;
    }
  }
}

/// Takes the frames that are left of a batch for which there was no memory, or the next one would
/// begin with them.
static void drop_rest(void *pull) {
  bool more = true;
  while (more) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    int result = 0;
    do {
      result = zmq_msg_recv(&message, pull, 0);
    } while (result < 0 && errno == EINTR);
    more = result >= 0 && zmq_msg_more(&message) != 0;
    zmq_msg_close(&message);
  }
}

int trp_pipes_receive_raw(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  pipes_t *pipes = (pipes_t *)(void *)inbox;
  int error = 0;
  trp_frame_t *frame = wait_for_frame(pipes, deadline_ns, &error);
  if (frame == NULL) {
    return error;
  }
  TRP_TSAN_ACQUIRE(key_of(pipes->self));
  for (;;) {
    bool more = trp_frame_more(frame);
    if (error == 0) {
      error = trp_in_push(in, frame);
    }
    if (error != 0) {
      trp_frame_release(frame);
    }
    if (!more) {
      break;
    }
    do {
      frame = trp_frame_receive(pipes->pull, 0);
    } while (frame == NULL && errno == EINTR);
    if (frame == NULL) {
      error = error_of(errno);
      drop_rest(pipes->pull);
      break;
    }
  }
  return error == 0 ? 1 : error;
}

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  int result = trp_pipes_receive_raw(inbox, deadline_ns, in);
  if (result != 1) {
    return result;
  }
  in->received_ns = now(inbox);
  int error = trp_in_open(in);
  return error == 0 ? 1 : error;
}

/// The index of the first peer whose id is not less.
static size_t peer_index(const pipes_t *pipes, uint64_t id) {
  size_t low = 0;
  size_t high = pipes->peer_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (pipes->peers[middle].id < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static peer_t *find_peer(const pipes_t *pipes, uint64_t id) {
  size_t at = peer_index(pipes, id);
  return at < pipes->peer_count && pipes->peers[at].id == id ? &pipes->peers[at] : NULL;
}

/// A pipe to an inbox that is open; *push is NULL when it is not. libzmq would take a connection to
/// a name that nobody has bound, too, but it then keeps the socket, its memory and its descriptor
/// until the context ends, since somebody might bind the name later.
static int connect_push(trp_hub_t *hub, uint64_t id, void **push, bell_t **bell) {
  int error = 0;
  pthread_mutex_lock(&hub->mutex);
  bell_t *found = trp_map_get(&hub->open, id);
  if (found != NULL) {
    void *made = new_socket(hub, ZMQ_PUSH);
    char endpoint[ENDPOINT_SIZE];
    name_endpoint(endpoint, id);
    if (made == NULL) {
      error = error_of(errno);
    } else if (zmq_connect(made, endpoint) != 0) {
      error = error_of(errno);
      zmq_close(made);
    } else {
      *push = made;
      *bell = found;
      atomic_fetch_add(&found->users, 1);
    }
  }
  pthread_mutex_unlock(&hub->mutex);
  return error;
}

static int open_peer(pipes_t *pipes, uint64_t id, peer_t **opened) {
  if (pipes->peer_count == pipes->peer_capacity) {
    size_t capacity = pipes->peer_capacity == 0 ? 4 : pipes->peer_capacity * 2;
    peer_t *grown = realloc(pipes->peers, capacity * sizeof *grown);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    pipes->peers = grown;
    pipes->peer_capacity = capacity;
  }
  void *push = NULL;
  bell_t *bell = NULL;
  int error = connect_push(pipes->hub, id, &push, &bell);
  if (error != 0) {
    return error;
  }
  size_t at = peer_index(pipes, id);
  memmove(&pipes->peers[at + 1], &pipes->peers[at], (pipes->peer_count - at) * sizeof(peer_t));
  pipes->peers[at] = (peer_t){.id = id, .push = push, .bell = bell};
  pipes->peer_count++;
  *opened = &pipes->peers[at];
  return 0;
}

/// A send that says EAGAIN went to an actor that has closed its inbox: it is dropped, the end is
/// told in band.
static int send_frame(peer_t *peer, trp_frame_t *frame, bool more) {
  if (peer->push == NULL) {
    return 0;
  }
  int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  while (trp_frame_send(frame, peer->push, flags) != 0) {
    if (errno != EINTR) {
      return errno == EAGAIN ? 0 : error_of(errno);
    }
  }
  return 0;
}

static int reach(pipes_t *pipes, uint64_t to, peer_t **peer) {
  *peer = find_peer(pipes, to);
  return *peer == NULL ? open_peer(pipes, to, peer) : 0;
}

static int reach_op(trp_inbox_t *inbox, uint64_t to) {
  peer_t *peer = NULL;
  return reach((pipes_t *)(void *)inbox, to, &peer);
}

static bool knows(trp_inbox_t *inbox, uint64_t to) {
  trp_hub_t *hub = ((pipes_t *)(void *)inbox)->hub;
  pthread_mutex_lock(&hub->mutex);
  bool known = trp_map_get(&hub->open, to) != NULL;
  pthread_mutex_unlock(&hub->mutex);
  return known;
}

int trp_pipes_send_raw(trp_inbox_t *inbox, uint64_t to, trp_frame_t *const *frames, size_t count) {
  peer_t *peer = NULL;
  int error = reach((pipes_t *)(void *)inbox, to, &peer);
  TRP_TSAN_RELEASE(key_of(to));
  for (size_t i = 0; i < count && error == 0; i++) {
    error = send_frame(peer, frames[i], i + 1 < count);
  }
  if (error == 0) {
    ring(peer);
  }
  return error;
}

static int send_batch(trp_inbox_t *inbox, trp_out_t *out) {
  peer_t *peer = NULL;
  int error = reach((pipes_t *)(void *)inbox, out->to, &peer);
  if (error != 0) {
    return error;
  }
  error = out->envelope == NULL ? trp_out_pack(out) : 0;
  if (error != 0) {
    return error;
  }
  TRP_TSAN_RELEASE(key_of(out->to));
  error = send_frame(peer, out->envelope, out->frame_count > 0);
  for (size_t i = 0; i < out->frame_count && error == 0; i++) {
    error = send_frame(peer, out->frames[i], i + 1 < out->frame_count);
  }
  if (error == 0) {
    ring(peer);
    trp_out_reset(out);
  }
  return error;
}

static void close_push(peer_t *peer) {
  if (peer->push != NULL) {
    zmq_close(peer->push);
  }
  drop_bell(peer->bell);
}

/// After the last frame: whoever sees the count finds the batch.
static void ring(peer_t *peer) {
  if (peer->bell != NULL) {
    atomic_fetch_add_explicit(&peer->bell->sent, 1, memory_order_release);
  }
}

static void forget(trp_inbox_t *inbox, uint64_t to) {
  pipes_t *pipes = (pipes_t *)(void *)inbox;
  peer_t *peer = find_peer(pipes, to);
  if (peer == NULL) {
    return;
  }
  close_push(peer);
  size_t at = (size_t)(peer - pipes->peers);
  pipes->peer_count--;
  memmove(peer, peer + 1, (pipes->peer_count - at) * sizeof(peer_t));
}

void trp_pipes_send_last(trp_inbox_t *inbox, uint64_t to, const void *bytes, size_t length) {
  pipes_t *pipes = (pipes_t *)(void *)inbox;
  peer_t *peer = find_peer(pipes, to);
  if (peer != NULL && peer->push != NULL) {
    TRP_TSAN_RELEASE(key_of(to));
    while (zmq_send(peer->push, bytes, length, ZMQ_DONTWAIT) < 0 && errno == EINTR) {
    }
    ring(peer);
  }
}

size_t trp_pipes_peers(trp_inbox_t *inbox, uint64_t *ids, size_t capacity) {
  const pipes_t *pipes = (const pipes_t *)(void *)inbox;
  for (size_t i = 0; i < pipes->peer_count && i < capacity; i++) {
    ids[i] = pipes->peers[i].id;
  }
  return pipes->peer_count;
}

static void hide(trp_inbox_t *inbox) {
  pipes_t *pipes = (pipes_t *)(void *)inbox;
  pthread_mutex_lock(&pipes->hub->mutex);
  trp_map_remove(&pipes->hub->open, pipes->self);
  pthread_mutex_unlock(&pipes->hub->mutex);
}

static void close_pipes(trp_inbox_t *inbox) {
  pipes_t *pipes = (pipes_t *)(void *)inbox;
  for (size_t i = 0; i < pipes->peer_count; i++) {
    close_push(&pipes->peers[i]);
  }
  free(pipes->peers);
  hide(inbox);
  zmq_close(pipes->pull);
  drop_bell(pipes->bell);
  free(pipes);
}
