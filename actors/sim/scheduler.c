/// Whose turn it is. Exactly one thread of the world runs: the one that has the baton. When it waits
/// for something, it decides who goes on (the dice do), and I/O actors, which have no thread of
/// their own here, take their turns on its stack. Time passes a little with each step, and leaps
/// when nobody has anything to do.
#include <errno.h>
#include <stdlib.h>
#include <troupe/error.h>

#include "actors/sim/world.h"
#include "core/message/frame_zmq.h"
#include "core/support/assert.h"

enum {
  STEP_LEAST_NS = 500,
  STEP_MOST_NS = 20000,
  /// Far more than any run of a few virtual minutes takes: something goes round in circles.
  STEPS_MAX = 20000000,
  CANDIDATES_MAX = 256,
};

static void take_baton(trp_task_t *task) {
  while (sem_wait(&task->baton) != 0) {
    TROUPE_ASSERT(errno == EINTR);
  }
}

int trp_sim_expect(trp_sim_t *sim, uint64_t actor, trp_task_t **made) {
  trp_task_t *task = calloc(1, sizeof *task);
  if (task == NULL) {
    return TROUPE_ENOMEM;
  }
  task->actor = actor;
  sem_init(&task->baton, 0, 0);
  trp_list_init(&task->in_world);
  trp_list_append(&sim->tasks, &task->in_world);
  *made = task;
  return 0;
}

void trp_sim_forget_task(trp_task_t *task) {
  trp_list_remove(&task->in_world);
  sem_destroy(&task->baton);
  free(task);
}

void trp_sim_changed(trp_sim_t *sim) {
  sim->changes++;
}

/// Whether there is something for the task to do.
static bool has_cause(trp_sim_t *sim, const trp_task_t *task) {
  if (task->over != NULL) {
    return sim->stuck || task->over(sim);
  }
  switch (task->state) {
  case TRP_TASK_RECEIVING:
    return sim->killing || task->deadline_ns <= sim->now_ns || trp_sim_inbox_has_some(task->inbox);
  case TRP_TASK_WAITING:
    return task->changes_seen != sim->changes || task->deadline_ns <= sim->now_ns;
  case TRP_TASK_READY:
  default:
    return true;
  }
}

static bool is_slow(const trp_sim_t *sim, const trp_task_t *task) {
  return task->not_before_ns > sim->now_ns && !sim->killing && !sim->faults.healed;
}

/// When the task, which cannot run now, can although nothing else happens.
static int64_t wakes_at(trp_sim_t *sim, const trp_task_t *task) {
  if (has_cause(sim, task)) {
    return task->not_before_ns;
  }
  return task->deadline_ns > task->not_before_ns ? task->deadline_ns : task->not_before_ns;
}

/// Nobody can do anything: on to the next time at which something happens.
static void leap(trp_sim_t *sim) {
  int64_t next = trp_network_next(&sim->network);
  for (unsigned i = 0; i < sim->ground.io_count; i++) {
    int64_t timer = sim->io[i].transport.deadline_ns;
    next = timer < next ? timer : next;
  }
  if (trp_sim_continue_peers(sim) != NULL) {
    int64_t at = trp_sim_peers_next(trp_sim_continue_peers(sim));
    next = at < next ? at : next;
  }
  for (const trp_link_t *link = sim->tasks.next; link != &sim->tasks; link = link->next) {
    int64_t at = wakes_at(sim, TRP_LIST_ENTRY(link, trp_task_t, in_world));
    next = at < next ? at : next;
  }
  if (next == TRP_NEVER) {
    sim->stuck = true;
    if (sim->first.over == NULL) { // it waits for an actor that it spawned, and cannot look
      trp_sim_fail(sim, "nothing can happen any more while an actor is set up");
      sim->killing = true;
    }
  } else if (next > sim->now_ns) {
    sim->now_ns = next;
  }
}

static void pass_time(trp_sim_t *sim) {
  sim->now_ns += (int64_t)(STEP_LEAST_NS +
                           trp_dice_below(&sim->dice, STEP_MOST_NS - STEP_LEAST_NS));
  trp_network_pass(&sim->network, sim->now_ns);
}

/// Decides who goes on; I/O actors take their turns meanwhile.
static trp_task_t *choose(trp_sim_t *sim) {
  for (;;) {
    trp_task_t *candidates[CANDIDATES_MAX];
    size_t count = 0;
    pass_time(sim);
    if (++sim->steps > STEPS_MAX && !sim->failed) {
      trp_sim_fail(sim, "it goes on and on: %d steps, and no end", (int)STEPS_MAX);
    }
    for (trp_link_t *link = sim->tasks.next; link != &sim->tasks && count < CANDIDATES_MAX;
         link = link->next) {
      trp_task_t *task = TRP_LIST_ENTRY(link, trp_task_t, in_world);
      if (!is_slow(sim, task) && has_cause(sim, task)) {
        candidates[count++] = task;
      }
    }
    unsigned busy = 0;
    for (unsigned i = 0; i < sim->ground.io_count; i++) {
      busy += trp_sim_io_has_work(sim, i) ? 1 : 0;
    }
    trp_sim_peers_t *peers = trp_sim_continue_peers(sim);
    peers = peers != NULL && trp_sim_peers_have_work(peers) ? peers : NULL;
    busy += peers != NULL ? 1 : 0;
    if (count + busy == 0) {
      leap(sim);
      trp_network_pass(&sim->network, sim->now_ns);
      continue;
    }
    uint64_t pick = trp_dice_below(&sim->dice, count + busy);
    if (pick < count) {
      return candidates[pick];
    }
    pick -= count;
    for (unsigned i = 0; i < sim->ground.io_count; i++) {
      if (trp_sim_io_has_work(sim, i) && pick-- == 0) {
        trp_sim_io_turn(sim, i);
        peers = NULL;
        break;
      }
    }
    if (peers != NULL) {
      trp_sim_peers_turn(peers); // the last of those that may be picked
    }
  }
}

static void give_baton(trp_sim_t *sim, trp_task_t *to) {
  sim->running = to;
  sem_post(&to->baton);
}

void trp_sim_begin(trp_sim_t *sim, trp_task_t *task) {
  take_baton(task);
  TROUPE_ASSERT(sim->running == task);
}

void trp_sim_yield(trp_sim_t *sim) {
  trp_task_t *self = sim->running;
  trp_task_t *next = choose(sim);
  if (next != self) {
    give_baton(sim, next);
    take_baton(self);
  }
  TROUPE_ASSERT(sim->running == self);
}

void trp_sim_leave(trp_sim_t *sim, trp_task_t *task) {
  TROUPE_ASSERT(sim->running == task);
  trp_sim_forget_task(task);
  trp_sim_changed(sim);
  trp_task_t *next = choose(sim);
  trp_frame_thread_end(); // I/O actors had their turns here
  give_baton(sim, next);
}
