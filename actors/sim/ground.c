/// What a system sees of a simulated world.
#include <troupe/error.h>

#include "actors/sim/world.h"

static trp_sim_t *sim_of(trp_ground_t *ground) {
  return (trp_sim_t *)(void *)ground;
}

static int open_inbox(trp_ground_t *ground, uint64_t self, trp_inbox_t **inbox) {
  trp_sim_t *sim = sim_of(ground);
  trp_sim_inbox_t *made = NULL;
  int error = trp_sim_open_inbox(sim, self, &made);
  if (error == 0) {
    sim->running->inbox = made;
    trp_sim_continue_inbox(sim, self, made);
    *inbox = trp_sim_inbox_base(made);
  }
  return error;
}

static int open_tap_inbox(trp_ground_t *ground, uint64_t self, trp_inbox_t **inbox) {
  return trp_pipes_open(ground->hub, self, inbox);
}

static int post(trp_ground_t *ground, unsigned io, const trp_io_call_t *call) {
  return trp_sim_io_post(sim_of(ground), io, call);
}

static void post_from_signal(trp_ground_t *ground, unsigned io) {
  (void)io;
  sim_of(ground)->signalled = true;
}

static int64_t now(trp_ground_t *ground) {
  return sim_of(ground)->now_ns;
}

/// False: the time is over.
static bool wait_for_change(trp_sim_t *sim, int64_t deadline_ns) {
  trp_task_t *task = sim->running;
  task->state = TRP_TASK_WAITING;
  task->deadline_ns = deadline_ns;
  task->changes_seen = sim->changes;
  trp_sim_yield(sim);
  task->state = TRP_TASK_READY;
  return sim->now_ns < deadline_ns;
}

static int knows(trp_ground_t *ground, unsigned io, int64_t deadline_ns, uint64_t actor) {
  trp_sim_t *sim = sim_of(ground);
  for (;;) {
    int known = trp_net_knows(sim->io[io].net, actor);
    if (known != 0) {
      return known > 0 ? 0 : known;
    }
    if (!wait_for_change(sim, deadline_ns)) {
      return TROUPE_ETIMEDOUT;
    }
  }
}

static int counters(trp_ground_t *ground, unsigned io, int64_t deadline_ns,
                    trp_net_counters_t *read) {
  (void)deadline_ns;
  *read = *trp_net_counters(sim_of(ground)->io[io].net);
  return 0;
}

static int handles(trp_ground_t *ground, unsigned io, int64_t deadline_ns, troupe_handle_t *into,
                   size_t capacity, size_t *count) {
  (void)deadline_ns;
  *count = trp_net_handles(sim_of(ground)->io[io].net, into, capacity);
  return 0;
}

static int expect_thread(trp_ground_t *ground, uint64_t actor, void **ticket) {
  trp_task_t *task = NULL;
  int error = trp_sim_expect(sim_of(ground), actor, &task);
  *ticket = task;
  return error;
}

static void forget_thread(trp_ground_t *ground, void *ticket) {
  (void)ground;
  trp_sim_forget_task(ticket);
}

static void thread_begins(trp_ground_t *ground, void *ticket) {
  trp_sim_begin(sim_of(ground), ticket);
}

static void thread_ends(trp_ground_t *ground, void *ticket) {
  trp_sim_leave(sim_of(ground), ticket);
}

/// The condition is not used: the scheduler knows who waits.
static bool wait_on(trp_ground_t *ground, pthread_cond_t *condition, pthread_mutex_t *mutex,
                    int64_t deadline_ns) {
  (void)condition;
  pthread_mutex_unlock(mutex);
  bool in_time = wait_for_change(sim_of(ground), deadline_ns);
  pthread_mutex_lock(mutex);
  return in_time;
}

static void wake(trp_ground_t *ground, pthread_cond_t *condition) {
  (void)condition;
  trp_sim_changed(sim_of(ground));
}

/// The world itself is freed by who made it, after a last look at it.
static void free_ground(trp_ground_t *ground, int64_t deadline_ns) {
  (void)deadline_ns;
  trp_hub_free(&ground->hub);
}

const trp_ground_ops_t trp_sim_ground_ops = {
    .open_inbox = open_inbox,
    .open_tap_inbox = open_tap_inbox,
    .send_last = trp_sim_send_last,
    .post = post,
    .post_from_signal = post_from_signal,
    .knows = knows,
    .counters = counters,
    .handles = handles,
    .now = now,
    .expect_thread = expect_thread,
    .forget_thread = forget_thread,
    .thread_begins = thread_begins,
    .thread_ends = thread_ends,
    .wait = wait_on,
    .wake = wake,
    .free = free_ground,
};
