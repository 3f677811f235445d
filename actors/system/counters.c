/// What a system has counted, over all its I/O actors.
#include <pthread.h>
#include <string.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"
#include "core/trace/calls.h"

static int read_counters(troupe_system_t *system, troupe_system_counters_t *counters) {
  trp_ground_t *ground = system->ground;
  for (unsigned i = 0; i < ground->io_count; i++) {
    trp_net_counters_t c;
    int error = ground->ops->counters(ground, i, trp_system_deadline(system, TRP_COUNTERS_MS), &c);
    if (error != 0) {
      return error;
    }
    counters->commands += c.commands;
    counters->events += c.events;
    counters->accepted += c.accepted;
    counters->dropped += c.dropped;
    counters->blocked += c.blocked;
    counters->parked += c.parked;
    counters->unknown_subject += c.unknown_subject;
    counters->stale_epoch += c.stale_epoch;
    counters->unknown_kind += c.unknown_kind;
    counters->not_owner += c.not_owner;
    counters->undecodable += c.undecodable;
    counters->undeliverable += c.undeliverable;
    counters->sockets += c.sockets;
    counters->servers += c.servers;
  }
  pthread_mutex_lock(&system->mutex);
  counters->actors = system->running;
  pthread_mutex_unlock(&system->mutex);
  return 0;
}

/// In an actor every count is in its trace.
int troupe_system_counters(troupe_system_t *system, troupe_system_counters_t *counters) {
  if (counters == NULL) {
    return TROUPE_EINVAL;
  }
  *counters = (troupe_system_counters_t){0};
  uint64_t values[sizeof *counters / sizeof(uint64_t)] = {0};
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_COUNTERS, &value)) {
    for (size_t i = 0; i < sizeof values / sizeof values[0] && value == 0; i++) {
      int64_t count = 0;
      trp_actor_recall(self, TRP_CALL_COUNT, &count);
      values[i] = (uint64_t)count;
    }
    memcpy(counters, values, sizeof values);
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL : read_counters(system, counters);
  if (result != 0) {
    *counters = (troupe_system_counters_t){0};
  }
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_COUNTERS, result);
    memcpy(values, counters, sizeof values);
    for (size_t i = 0; i < sizeof values / sizeof values[0] && result == 0; i++) {
      trp_actor_called(self, TRP_CALL_COUNT, (int64_t)values[i]);
    }
  }
  return result;
}
