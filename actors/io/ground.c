/// The real world under a system: I/O actors with threads of their own, pipes of ZeroMQ, and threads
/// that the kernel runs.
#include "actors/ground.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/message/id.h"

enum { START_FAILED_MS = 5000, MEET_MS = 10000, DRAIN_MS = 5000 };

typedef struct {
  trp_ground_t base;
  int64_t spin_ns;
  trp_io_t *io[TRP_IO_ACTORS_MAX];
} real_t;

static real_t *real_of(trp_ground_t *ground) {
  return (real_t *)(void *)ground;
}

static int open_inbox(trp_ground_t *ground, uint64_t self, trp_inbox_t **inbox) {
  int error = trp_pipes_open(ground->hub, self, inbox);
  if (error == 0) {
    trp_pipes_set_spin(*inbox, real_of(ground)->spin_ns);
  }
  return error;
}

static int post(trp_ground_t *ground, unsigned io, const trp_io_call_t *call) {
  return trp_io_post(real_of(ground)->io[io], call);
}

static void post_from_signal(trp_ground_t *ground, unsigned io) {
  trp_io_post_from_signal(real_of(ground)->io[io]);
}

static int knows(trp_ground_t *ground, unsigned io, int64_t deadline_ns, uint64_t actor) {
  return trp_io_knows(real_of(ground)->io[io], deadline_ns, actor);
}

static int counters(trp_ground_t *ground, unsigned io, int64_t deadline_ns,
                    trp_net_counters_t *read) {
  return trp_io_counters(real_of(ground)->io[io], deadline_ns, read);
}

static int handles(trp_ground_t *ground, unsigned io, int64_t deadline_ns, troupe_handle_t *into,
                   size_t capacity, size_t *count) {
  return trp_io_handles(real_of(ground)->io[io], deadline_ns, into, capacity, count);
}

static int fly(trp_ground_t *ground, unsigned io, int64_t deadline_ns, trp_flight_t *flight) {
  return trp_io_fly(real_of(ground)->io[io], deadline_ns, flight);
}

/// The clock of the conditions and of every real inbox.
static int64_t now(trp_ground_t *ground) {
  (void)ground;
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool wait_on(trp_ground_t *ground, pthread_cond_t *condition, pthread_mutex_t *mutex,
                    int64_t deadline_ns) {
  (void)ground;
  if (deadline_ns == TRP_FOREVER) {
    pthread_cond_wait(condition, mutex);
    return true;
  }
  struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                              .tv_nsec = deadline_ns % 1000000000};
  return pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT;
}

static void wake(trp_ground_t *ground, pthread_cond_t *condition) {
  (void)ground;
  pthread_cond_broadcast(condition);
}

static void free_real(trp_ground_t *ground, int64_t deadline_ns) {
  real_t *real = real_of(ground);
  for (unsigned i = 0; i < ground->io_count && ground->io_count > 1; i++) {
    trp_io_drain(real->io[i], now(ground) + (int64_t)DRAIN_MS * 1000000);
  }
  while (ground->io_count > 0) {
    trp_io_stop(&real->io[--ground->io_count], deadline_ns);
  }
  trp_hub_free(&ground->hub);
  free(real);
}

static const trp_ground_ops_t real_ops = {
    .open_inbox = open_inbox,
    .inbox_fd = trp_pipes_fd,
    .send_last = trp_pipes_send_last,
    .post = post,
    .post_from_signal = post_from_signal,
    .knows = knows,
    .counters = counters,
    .handles = handles,
    .fly = fly,
    .now = now,
    .wait = wait_on,
    .wake = wake,
    .free = free_real,
};

int trp_real_ground_new(unsigned io_count, int64_t spin_ns, void (*on_signal_stop)(void *context),
                        void *context, trp_ground_t **ground) {
  real_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->base.ops = &real_ops;
  made->spin_ns = spin_ns;
  int error = trp_hub_new(&made->base.hub);
  if (error != 0) {
    free(made);
    return error;
  }
  for (; made->base.io_count < io_count && error == 0; made->base.io_count++) {
    const trp_io_options_t io = {
        .hub = made->base.hub,
        .self = trp_id_actor(made->base.io_count + 1),
        .io_actors = io_count,
        .spin_ns = spin_ns,
        .on_signal_stop = on_signal_stop,
        .context = context,
    };
    error = trp_io_start(&io, &made->io[made->base.io_count]);
    if (error != 0) {
      free_real(&made->base, now(&made->base) + (int64_t)START_FAILED_MS * 1000000);
      return error;
    }
  }
  for (unsigned i = 0; i < io_count && io_count > 1; i++) {
    error = trp_io_meet(made->io[i], now(&made->base) + (int64_t)MEET_MS * 1000000);
    if (error != 0) {
      free_real(&made->base, now(&made->base) + (int64_t)START_FAILED_MS * 1000000);
      return error;
    }
  }
  *ground = &made->base;
  return 0;
}
