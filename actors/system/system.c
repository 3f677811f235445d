/// A system's own life: what it is made of, and how it ends.
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"
#include "core/message/id.h"
#include "core/support/spin.h"

enum { IO_STOP_MS = 5000 };

int64_t trp_system_deadline(const troupe_system_t *system, int timeout_ms) {
  return timeout_ms < 0 ? TRP_FOREVER
                        : system->ground->ops->now(system->ground) + (int64_t)timeout_ms * 1000000;
}

bool trp_system_wait_for_change(troupe_system_t *system, int64_t deadline) {
  return system->ground->ops->wait(system->ground, &system->changed, &system->mutex, deadline);
}

void trp_system_tell_change(troupe_system_t *system) {
  system->ground->ops->wake(system->ground, &system->changed);
}

static int64_t spin_ns_of(const troupe_system_options_t *options) {
  if (options->spin_us == 0) {
    return TRP_SPIN_DEFAULT_NS;
  }
  return options->spin_us < 0 ? 0 : (int64_t)options->spin_us * 1000;
}

/// A system that stands on nothing yet.
static int make_system(uint64_t seed, troupe_system_t **system) {
  troupe_system_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->next_number = TRP_IO_ACTORS_MAX + 1;
  made->next_recorder = TRP_ID_CREATOR_MAX;
  made->next_group = 1;
  made->seed = seed;
  atomic_init(&made->defaults.auto_select_family, true);
  atomic_init(&made->defaults.attempt_timeout_ms, TRP_ATTEMPT_TIMEOUT_MS);
  if (made->seed == 0 && getrandom(&made->seed, sizeof made->seed, GRND_NONBLOCK) < 0) {
    made->seed = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)made;
  }
  if (pthread_mutex_init(&made->mutex, NULL) != 0) {
    goto no_mutex;
  }
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  int failed = pthread_cond_init(&made->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  if (failed != 0) {
    goto no_cond;
  }
  if (pthread_mutex_init(&made->flying, NULL) != 0) {
    goto no_flying;
  }
  *system = made;
  return 0;
no_flying:
  pthread_cond_destroy(&made->changed);
no_cond:
  pthread_mutex_destroy(&made->mutex);
no_mutex:
  free(made);
  return TROUPE_ENOMEM;
}

static void drop_system(troupe_system_t *system) {
  pthread_mutex_destroy(&system->flying);
  pthread_cond_destroy(&system->changed);
  pthread_mutex_destroy(&system->mutex);
  free(system);
}

int troupe_system_new(const troupe_system_options_t *options, troupe_system_t **system) {
  static const troupe_system_options_t defaults = {0};
  if (options == NULL) {
    options = &defaults;
  }
  if (system == NULL || options->io_threads > TRP_IO_ACTORS_MAX) {
    return TROUPE_EINVAL;
  }
  troupe_system_t *made = NULL;
  int error = make_system(options->seed, &made);
  if (error != 0) {
    return error;
  }
  error = trp_real_ground_new(options->io_threads == 0 ? 1 : options->io_threads,
                              spin_ns_of(options), trp_system_stop_by_signal, made, &made->ground);
  if (error != 0) {
    drop_system(made);
    return error;
  }
  *system = made;
  return 0;
}

int trp_system_new_on(trp_ground_t *ground, uint64_t seed, troupe_system_t **system) {
  int error = make_system(seed, system);
  if (error == 0) {
    (*system)->ground = ground;
  }
  return error;
}

trp_ground_t *trp_system_ground(troupe_system_t *system) {
  return system->ground;
}

int troupe_system_free(troupe_system_t **system) {
  troupe_system_t *s = system == NULL ? NULL : *system;
  if (s == NULL) {
    return 0;
  }
  if (trp_actor_current() != NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  pthread_mutex_lock(&s->mutex);
  bool busy = s->running > 0;
  s->stopping = s->stopping || !busy;
  pthread_mutex_unlock(&s->mutex);
  if (busy) {
    return TROUPE_EBUSY;
  }
  *system = NULL;
  pthread_mutex_lock(&s->mutex);
  while (s->entries != NULL) {
    trp_entry_forget(s, s->entries);
  }
  pthread_mutex_unlock(&s->mutex);
  if (s->recorder != NULL) {
    trp_recorder_stop(&s->recorder, NULL);
  }
  trp_flight_release(s->flight);
  s->ground->ops->free(s->ground, trp_system_deadline(s, IO_STOP_MS));
  drop_system(s);
  return 0;
}
