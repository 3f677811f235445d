/// The I/O actor's thread and loop.
///
/// The inbox's descriptor is edge-triggered, whatever epoll thinks of it: it says once that
/// something came, and nothing more until all of it was received. So before the loop sleeps the
/// inbox is received from until nothing is left, and when a budget stops that earlier a uv_idle
/// keeps the loop from sleeping. While it does not sleep, the count of what was sent is enough:
/// nobody rings then, and nobody listens, which both cost system calls.
#include "actors/io/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "actors/io/condition.h"
#include "actors/io/transport.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/support/assert.h"
#include "core/support/spin.h"
#include "core/support/thread.h"
#include "core/trace/flown.h"

enum {
  RECEIVE_BUDGET = 256, // batches, before sockets get their turn again
  CATCH_UP_ROUNDS = 16,
  TRIM_AFTER_MS = 1000,
  // 40 MiB: a garbage collector lets go of 32 MiB at once, to malloc() that would be new pages.
  BLOCKS_KEPT = 320,
  REST_NS = 1000000000, // for the last messages to come
  // What a loop, an inbox and libzmq's own thread open, with some to spare. libuv and libzmq abort
  // or leak when they run out of descriptors half-way.
  DESCRIPTORS_NEEDED = 16,
};

/// What another thread waits for.
typedef enum {
  THE_COUNTERS,
  THE_HANDLES,
  THE_HELLO, // of `actor`
  THE_PIPES, // to other I/O actors
  THE_REST,  // of what was sent
  THE_RING,  // of `flight`; of none: no more
} wanted_t;

typedef struct snapshot {
  struct snapshot *next;
  wanted_t wanted;
  trp_net_counters_t *counters;
  size_t *count; // of handles
  troupe_handle_t *handles;
  size_t capacity;
  uint64_t actor;
  trp_flight_t *flight;
  int result;
  bool done;
} snapshot_t;

typedef enum { STARTING, RUNNING, OVER } state_t;

struct trp_io {
  trp_io_options_t options;
  pthread_t thread;

  pthread_mutex_t mutex;  // guards what follows up to the next gap; never held while something
                          // blocks
  pthread_cond_t changed; // `state`, or a snapshot is done
  state_t state;
  int error; // of the start; later of the end
  bool stopping;
  int64_t stop_deadline_ns;
  trp_kept_io_call_t *first, **last;
  size_t waiting_bytes;
  snapshot_t *snapshots; // on the stacks of those who wait for them

  atomic_bool signalled;
  uv_async_t bell; // rung under the mutex while RUNNING, so never after it was closed; from a
                   // signal handler without

  // The thread's own.
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_timer_t trim_timer;
  uv_poll_t inbox_poll;
  trp_pool_t *pool;
  trp_inbox_t *inbox;
  trp_flown_t flown; // the inbox, by way of the flight recorder
  trp_uv_transport_t *transport;
  trp_net_t *net;
  trp_in_t in;
  trp_kept_io_call_t *calls, **last_call; // taken, and not carried out yet
  bool awaits;                            // a snapshot could not be answered yet
  uint64_t handled;                       // batches and calls
  // Looking before sleeping. What was sent to actors is answered soon; what is answered, peers
  // answer when it pleases them: two kinds of wait.
  trp_spin_t spin[2];
  trp_spin_t *spinning; // that of this wait; NULL: it sleeps
  int64_t spins_until_ns;
  uint64_t spun_activity; // up to where activity was seen by spins(),
  uint64_t spun_events;   // and what had been sent by then
  uint64_t trim_activity; // as of the last look of the timer
  bool loop_is_open;
  bool trimming;
  bool full;    // the budget stopped receive(): there is more in the inbox
  bool drained; // nothing was left in the inbox: its descriptor tells of the next batch
};

static void *run(void *argument);
static int open_all(trp_io_t *io);
static void close_all(trp_io_t *io);
static void on_bell(uv_async_t *bell);
static void catch_up(trp_io_t *io);
static void on_inbox(uv_poll_t *poll, int status, int events);
static void on_prepare(uv_prepare_t *prepare);
static void on_check(uv_check_t *check);
static void on_idle(uv_idle_t *idle);
static void on_trim(uv_timer_t *timer);

// ---- Starting and stopping ----

static int wait_for_start(trp_io_t *io) {
  pthread_mutex_lock(&io->mutex);
  while (io->state == STARTING) {
    pthread_cond_wait(&io->changed, &io->mutex);
  }
  int error = io->state == RUNNING ? 0 : io->error;
  pthread_mutex_unlock(&io->mutex);
  return error;
}

int trp_io_start(const trp_io_options_t *options, trp_io_t **io) {
  if (!trp_id_is_io_actor(options->self)) {
    return TROUPE_EINVAL;
  }
  trp_io_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->options = *options;
  made->state = STARTING;
  made->last = &made->first;
  made->last_call = &made->calls;
  int error = -pthread_mutex_init(&made->mutex, NULL);
  if (error != 0) {
    goto no_mutex;
  }
  if ((error = trp_io_condition_init(&made->changed)) != 0) {
    goto no_condition;
  }
  if ((error = trp_thread_start(&made->thread, "troupe-io", 0, run, made)) != 0) {
    goto no_thread;
  }
  if ((error = wait_for_start(made)) != 0) {
    goto not_started;
  }
  *io = made;
  return 0;
not_started:
  pthread_join(made->thread, NULL);
no_thread:
  pthread_cond_destroy(&made->changed);
no_condition:
  pthread_mutex_destroy(&made->mutex);
no_mutex:
  free(made);
  return error;
}

int trp_io_stop(trp_io_t **io, int64_t deadline_ns) {
  trp_io_t *gone = *io;
  if (gone == NULL) {
    return 0;
  }
  *io = NULL;
  pthread_mutex_lock(&gone->mutex);
  gone->stopping = true;
  gone->stop_deadline_ns = deadline_ns;
  uv_async_send(&gone->bell);
  pthread_mutex_unlock(&gone->mutex);
  pthread_join(gone->thread, NULL);
  int error = gone->error;
  pthread_cond_destroy(&gone->changed);
  pthread_mutex_destroy(&gone->mutex);
  free(gone);
  return error;
}

// ---- The front door ----

static bool is_open(const trp_io_t *io) {
  return io->state == RUNNING && !io->stopping;
}

int trp_io_post(trp_io_t *io, const trp_io_call_t *call) {
  trp_kept_io_call_t *kept = trp_io_call_keep(call);
  if (kept == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = 0;
  pthread_mutex_lock(&io->mutex);
  if (!is_open(io)) {
    error = TROUPE_ESTOPPED;
  } else if (call->length > 0 && call->length + io->waiting_bytes > TRP_IO_POST_LIMIT) {
    error = TROUPE_ENOBUFS;
  } else {
    *io->last = kept;
    io->last = &kept->next;
    io->waiting_bytes += call->length;
    uv_async_send(&io->bell);
  }
  pthread_mutex_unlock(&io->mutex);
  if (error != 0) {
    free(kept);
  }
  return error;
}

void trp_io_post_from_signal(trp_io_t *io) {
  int error = errno;
  atomic_store(&io->signalled, true);
  uv_async_send(&io->bell);
  errno = error;
}

static void forget_snapshot(trp_io_t *io, const snapshot_t *snapshot) {
  snapshot_t **link = &io->snapshots;
  while (*link != snapshot) {
    link = &(*link)->next;
  }
  *link = snapshot->next;
}

/// Waits until the loop has filled in the snapshot.
static int wait_for_snapshot(trp_io_t *io, int64_t deadline_ns, snapshot_t *mine) {
  int error = 0;
  pthread_mutex_lock(&io->mutex);
  mine->next = io->snapshots;
  if (!is_open(io)) {
    error = TROUPE_ESTOPPED;
  } else {
    io->snapshots = mine;
    uv_async_send(&io->bell);
  }
  while (error == 0 && !mine->done) {
    bool in_time = trp_io_condition_wait(&io->changed, &io->mutex, deadline_ns);
    if (!in_time && !mine->done) {
      forget_snapshot(io, mine);
      error = TROUPE_ETIMEDOUT;
    }
  }
  pthread_mutex_unlock(&io->mutex);
  return error;
}

int trp_io_counters(trp_io_t *io, int64_t deadline_ns, trp_net_counters_t *counters) {
  snapshot_t mine = {.wanted = THE_COUNTERS, .counters = counters};
  return wait_for_snapshot(io, deadline_ns, &mine);
}

int trp_io_handles(trp_io_t *io, int64_t deadline_ns, troupe_handle_t *handles, size_t capacity,
                   size_t *count) {
  snapshot_t mine = {
      .wanted = THE_HANDLES, .count = count, .handles = handles, .capacity = capacity};
  return wait_for_snapshot(io, deadline_ns, &mine);
}

int trp_io_knows(trp_io_t *io, int64_t deadline_ns, uint64_t actor) {
  snapshot_t mine = {.wanted = THE_HELLO, .actor = actor};
  int error = wait_for_snapshot(io, deadline_ns, &mine);
  return error == 0 ? mine.result : error;
}

int trp_io_meet(trp_io_t *io, int64_t deadline_ns) {
  snapshot_t mine = {.wanted = THE_PIPES};
  int error = wait_for_snapshot(io, deadline_ns, &mine);
  return error == 0 ? mine.result : error;
}

int trp_io_fly(trp_io_t *io, int64_t deadline_ns, trp_flight_t *flight) {
  snapshot_t mine = {.wanted = THE_RING, .flight = flight};
  return wait_for_snapshot(io, deadline_ns, &mine);
}

int trp_io_drain(trp_io_t *io, int64_t deadline_ns) {
  snapshot_t mine = {.wanted = THE_REST};
  return wait_for_snapshot(io, deadline_ns, &mine);
}

/// Carries calls out, in order. Who made one was told that it would be, so one for which there is no
/// memory now waits, and those behind it.
static void carry_out(trp_io_t *io) {
  while (io->calls != NULL) {
    trp_kept_io_call_t *call = io->calls;
    const trp_io_call_t *what = &call->what;
    // Whether the actor is still there is for the socket logic to know, and to count.
    if (trp_net_post(io->net, what->actor, what->kind, what->subject, what->grace_ms, what->bytes,
                     what->length) == TROUPE_ENOMEM) {
      trp_net_retry(io->net, TRP_RETRY_NS);
      return;
    }
    io->handled++;
    io->calls = call->next;
    free(call);
  }
  io->last_call = &io->calls;
}

static void take_calls(trp_io_t *io, bool *stopping) {
  pthread_mutex_lock(&io->mutex);
  if (io->first != NULL) {
    *io->last_call = io->first;
    io->last_call = io->last;
  }
  io->first = NULL;
  io->last = &io->first;
  io->waiting_bytes = 0;
  *stopping = io->stopping;
  pthread_mutex_unlock(&io->mutex);
}

static void drop_calls(trp_io_t *io) {
  while (io->calls != NULL) {
    trp_kept_io_call_t *call = io->calls;
    io->calls = call->next;
    free(call);
  }
}

static void fly(trp_io_t *io, trp_flight_t *flight) {
  const trp_start_t start = {.id = io->options.self,
                             .name = "io",
                             .index = trp_id_creator(io->options.self) - 1,
                             .io_actors = io->options.io_actors == 0 ? 1 : io->options.io_actors,
                             .clock_ns = trp_inbox_now(io->inbox)};
  trp_flown_fly(&io->flown, flight, &start);
}

/// False: not yet.
static bool answer(trp_io_t *io, snapshot_t *snapshot) {
  switch (snapshot->wanted) {
  case THE_COUNTERS:
    *snapshot->counters = *trp_net_counters(io->net);
    return true;
  case THE_HANDLES:
    *snapshot->count = trp_net_handles(io->net, snapshot->handles, snapshot->capacity);
    return true;
  case THE_PIPES:
    snapshot->result = trp_net_meet(io->net);
    return true;
  case THE_REST:
    trp_net_flush(io->net);
    return !trp_pipes_pending(io->inbox);
  case THE_RING:
    fly(io, snapshot->flight);
    return true;
  default:
    snapshot->result = trp_net_knows(io->net, snapshot->actor);
    if (snapshot->result == 0) {
      return false;
    }
    snapshot->result = snapshot->result > 0 ? 0 : snapshot->result;
    return true;
  }
}

static void answer_snapshots(trp_io_t *io) {
  bool any = false;
  pthread_mutex_lock(&io->mutex);
  snapshot_t **link = &io->snapshots;
  while (*link != NULL) {
    snapshot_t *one = *link;
    if (answer(io, one)) {
      *link = one->next;
      one->done = true;
      any = true;
    } else {
      link = &one->next;
    }
  }
  io->awaits = io->snapshots != NULL;
  if (any) {
    pthread_cond_broadcast(&io->changed);
  }
  pthread_mutex_unlock(&io->mutex);
}

// ---- The inbox ----

/// The one place where the inbox is received from. False: nothing was there; or the hub is closing,
/// and nothing will come any more.
static bool receive_one(trp_io_t *io) {
  int result = trp_inbox_receive(&io->flown.base, 0, &io->in);
  if (result == 1) {
    trp_net_execute(io->net, &io->in);
  } else if (result == TROUPE_EBADMESSAGE || result == TROUPE_ENOMEM) {
    trp_net_undecodable(io->net); // it is lost, those behind it are not
  } else {
    io->drained = true;
    return false;
  }
  trp_in_reset(&io->in);
  io->handled++;
  io->drained = false;
  return true;
}

/// Until nothing is left; `counted`: of what was counted, and there may be more, see
/// trp_pipes_pending().
static void receive(trp_io_t *io, bool counted) {
  int count = 0;
  while (count < RECEIVE_BUDGET && (!counted || trp_pipes_pending(io->inbox)) && receive_one(io)) {
    count++;
  }
  io->full = count == RECEIVE_BUDGET;
}

/// What was sent before a call was posted goes first, or a stop could overtake the first words of
/// the actor it is for. Pipes are served in turn, so that these rounds reach every one, however
/// full some are.
static void catch_up(trp_io_t *io) {
  int rounds = 0;
  do {
    receive(io, false);
    rounds++;
  } while (io->full && rounds < CATCH_UP_ROUNDS);
}

static void on_inbox(uv_poll_t *poll, int status, int events) {
  (void)events;
  TROUPE_ASSERT(status == 0); // an eventfd has no errors
  trp_io_t *io = poll->data;
  receive(io, trp_pipes_pending(io->inbox)); // if not there may be words of libzmq's own as well
}

// ---- A turn ----

static uint64_t activity(const trp_io_t *io) {
  return io->handled + trp_uv_transport_activity(io->transport);
}

/// Whether the loop looks again instead of sleeping: see core/support/spin.h.
static bool spins(trp_io_t *io) {
  int64_t spin_ns = io->options.spin_ns;
  bool active = activity(io) != io->spun_activity;
  if (spin_ns <= 0 || (!active && io->spinning == NULL)) {
    return false;
  }
  int64_t now = (int64_t)uv_hrtime();
  if (io->spinning != NULL && (active || now >= io->spins_until_ns)) {
    trp_spin_ends(io->spinning, io->spins_until_ns - spin_ns, now, active);
    io->spinning = NULL;
  }
  if (active) {
    uint64_t events = trp_net_counters(io->net)->events;
    trp_spin_t *next = &io->spin[events != io->spun_events ? 0 : 1];
    io->spun_activity = activity(io);
    io->spun_events = events;
    io->spinning = trp_spin_begins(next, now) ? next : NULL;
    io->spins_until_ns = now + spin_ns;
  }
  return io->spinning != NULL;
}

/// Before the loop sleeps. False: there was something, and the turn begins anew.
static bool is_drained(trp_io_t *io) {
  uint64_t before = io->handled;
  if (!io->drained) {
    receive(io, false);
  }
  return io->handled == before;
}

static void on_prepare(uv_prepare_t *prepare) {
  trp_io_t *io = prepare->data;
  receive(io, !io->full);
  if (io->awaits) {
    answer_snapshots(io);
  }
  if (io->calls != NULL) {
    carry_out(io);
  }
  trp_net_flush(io->net);
  if (io->full || spins(io) || !is_drained(io)) {
    uv_idle_start(&io->idle, on_idle);
  } else {
    uv_idle_stop(&io->idle);
  }
  if (!io->trimming && activity(io) != io->trim_activity) {
    io->trimming = true;
    uv_timer_start(&io->trim_timer, on_trim, TRIM_AFTER_MS, 0);
  }
  trp_uv_transport_settle(io->transport);
}

static void on_check(uv_check_t *check) {
  trp_io_t *io = check->data;
  trp_net_flush(io->net);
}

/// While there is an active uv_idle the loop does not sleep. Between two looks whoever else wants
/// this core may have it.
static void on_idle(uv_idle_t *idle) {
  const trp_io_t *io = idle->data;
  if (!io->full) {
    sched_yield();
  }
}

/// Gives memory back: what was not needed for a while, and all once nothing has happened for a
/// while. Wakes the loop once after the last activity, and then not any more.
static void on_trim(uv_timer_t *timer) {
  trp_io_t *io = timer->data;
  if (activity(io) == io->trim_activity) {
    trp_pool_trim(io->pool);
    io->trimming = false;
    return;
  }
  trp_pool_shrink(io->pool);
  io->trim_activity = activity(io);
  uv_timer_start(timer, on_trim, TRIM_AFTER_MS, 0);
}

static void on_bell(uv_async_t *bell) {
  trp_io_t *io = bell->data;
  bool stopping = false;
  if (atomic_exchange(&io->signalled, false) && io->options.on_signal_stop != NULL) {
    io->options.on_signal_stop(io->options.context);
  }
  take_calls(io, &stopping);
  catch_up(io);
  carry_out(io);
  answer_snapshots(io);
  if (stopping) {
    uv_stop(&io->loop);
  }
}

// ---- The thread ----

/// Whether so many descriptors can be opened now. Somebody else may take them a moment later, so
/// this makes an abort improbable, not impossible.
static int check_descriptors(void) {
  int fds[DESCRIPTORS_NEEDED];
  int count = 0;
  int error = 0;
  while (count < DESCRIPTORS_NEEDED && error == 0) {
    fds[count] = eventfd(0, EFD_CLOEXEC);
    if (fds[count] < 0) {
      error = -errno;
    } else {
      count++;
    }
  }
  while (count > 0) {
    close(fds[--count]);
  }
  return error;
}

static int open_loop(trp_io_t *io) {
  int error = uv_loop_init(&io->loop);
  if (error != 0) {
    return error;
  }
  io->loop_is_open = true;
  uv_prepare_init(&io->loop, &io->prepare);
  uv_check_init(&io->loop, &io->check);
  uv_idle_init(&io->loop, &io->idle);
  uv_timer_init(&io->loop, &io->trim_timer);
  io->prepare.data = io->check.data = io->idle.data = io->trim_timer.data = io;
  uv_prepare_start(&io->prepare, on_prepare);
  uv_check_start(&io->check, on_check);
  error = uv_async_init(&io->loop, &io->bell, on_bell);
  io->bell.data = io;
  return error;
}

static int open_inbox(trp_io_t *io) {
  int error = trp_pipes_open(io->options.hub, io->options.self, &io->inbox);
  if (error != 0) {
    return error;
  }
  trp_flown_init(&io->flown, io->inbox);
  int fd = trp_pipes_fd(io->inbox);
  if (fd < 0) {
    return fd;
  }
  error = uv_poll_init(&io->loop, &io->inbox_poll, fd);
  if (error != 0) {
    return error;
  }
  io->inbox_poll.data = io;
  return uv_poll_start(&io->inbox_poll, UV_READABLE, on_inbox);
}

/// What it has opened when it fails is for close_all().
static int open_all(trp_io_t *io) {
  trp_in_init(&io->in);
  int error = check_descriptors();
  if (error == 0) {
    error = trp_pool_new(&io->pool);
  }
  if (error == 0) {
    trp_pool_keep(io->pool, BLOCKS_KEPT);
  }
  if (error == 0) {
    error = open_loop(io);
  }
  if (error == 0) {
    error = open_inbox(io);
  }
  if (error == 0) {
    error = trp_uv_transport_new(&io->loop, &io->transport);
  }
  if (error == 0) {
    error = trp_net_new(io->options.self, trp_uv_transport_base(io->transport), &io->flown.base,
                        io->pool, &io->net);
  }
  if (error == 0 && io->options.io_actors > 1) {
    error = trp_net_join(io->net, io->options.io_actors);
  }
  return error;
}

static void close_handle(uv_handle_t *handle, void *argument) {
  (void)argument;
  if (!uv_is_closing(handle)) {
    uv_close(handle, NULL);
  }
}

/// Descriptors may be among what is left in the inbox, and nobody else would close them. What was
/// sent shows at once, unless a sender was interrupted in the middle.
static void receive_rest(trp_io_t *io) {
  int64_t deadline_ns = trp_inbox_now(io->inbox) + REST_NS;
  while (trp_pipes_pending(io->inbox) && trp_inbox_now(io->inbox) < deadline_ns) {
    if (trp_inbox_receive(&io->flown.base, deadline_ns, &io->in) == 1) {
      trp_net_execute(io->net, &io->in);
      trp_net_flush(io->net);
    }
    trp_in_reset(&io->in);
  }
}

static void close_all(trp_io_t *io) {
  drop_calls(io);
  if (io->net != NULL) {
    receive_rest(io);
    trp_net_free(&io->net);
  }
  if (io->transport != NULL) {
    int error = trp_uv_transport_close(io->transport, io->stop_deadline_ns);
    if (io->error == 0) {
      io->error = error;
    }
  }
  if (io->loop_is_open) {
    uv_walk(&io->loop, close_handle, NULL);
    uv_run(&io->loop, UV_RUN_DEFAULT);
    TROUPE_ASSERT(uv_loop_close(&io->loop) == 0);
  }
  trp_uv_transport_free(&io->transport);
  if (io->inbox != NULL) {
    trp_inbox_close(&io->flown.base);
  }
  trp_in_free(&io->in);
  if (io->pool != NULL) {
    trp_pool_close(&io->pool);
  }
  trp_frame_thread_end();
}

static void *run(void *argument) {
  trp_io_t *io = argument;
  int error = open_all(io);
  if (error == 0) {
    receive(io, false); // what was sent before the descriptor was watched does not show there
    pthread_mutex_lock(&io->mutex);
    io->state = RUNNING;
    pthread_cond_broadcast(&io->changed);
    pthread_mutex_unlock(&io->mutex);
    uv_run(&io->loop, UV_RUN_DEFAULT);
    pthread_mutex_lock(&io->mutex);
    io->state = OVER;
    pthread_mutex_unlock(&io->mutex);
    close_all(io);
    return NULL;
  }
  io->error = error;
  close_all(io);
  pthread_mutex_lock(&io->mutex);
  io->state = OVER;
  pthread_cond_broadcast(&io->changed);
  pthread_mutex_unlock(&io->mutex);
  return NULL;
}
