/// Asks actors to end, and waits until they have.
#include <pthread.h>
#include <string.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"
#include "core/trace/calls.h"

enum { SIGNAL_GRACE_MS = 1000 };

int trp_entry_stop(troupe_system_t *system, trp_entry_t *entry, unsigned grace_ms) {
  if (entry->stop_wanted && entry->stop_grace_ms <= grace_ms) {
    return 0;
  }
  if (entry->life != TRP_STARTING) {
    trp_io_call_t call = {
        .kind = TRP_KIND(EVENT_STOP), .actor = entry->start.id, .grace_ms = grace_ms};
    int error = trp_system_post(system, &call);
    if (error != 0) {
      return error;
    }
  }
  entry->stop_wanted = true;
  entry->stop_grace_ms = grace_ms;
  return 0;
}

int trp_system_stop_actor(troupe_system_t *system, uint64_t id, unsigned grace_ms) {
  pthread_mutex_lock(&system->mutex);
  trp_entry_t *entry = trp_entry_find(system, id);
  int result = entry == NULL || entry->life == TRP_ENDED ? TROUPE_ENOACTOR
                                                         : trp_entry_stop(system, entry, grace_ms);
  pthread_mutex_unlock(&system->mutex);
  return result;
}

int troupe_actor_stop(troupe_system_t *system, troupe_actor_t actor, unsigned grace_ms) {
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_STOP, &value)) {
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL
                              : trp_system_stop_actor(system, actor.id, grace_ms);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_STOP, result);
  }
  return result;
}

static int stop_all(troupe_system_t *system, unsigned grace_ms) {
  int result = 0;
  pthread_mutex_lock(&system->mutex);
  system->stopping = true;
  for (trp_entry_t *entry = system->entries; entry != NULL && result == 0; entry = entry->next) {
    if (entry->life != TRP_ENDED) {
      result = trp_entry_stop(system, entry, grace_ms);
    }
  }
  pthread_mutex_unlock(&system->mutex);
  return result;
}

int troupe_system_stop(troupe_system_t *system, unsigned grace_ms) {
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_STOP, &value)) {
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL : stop_all(system, grace_ms);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_STOP, result);
  }
  return result;
}

int troupe_system_stop_from_signal(troupe_system_t *system) {
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  system->ground->ops->post_from_signal(system->ground, 0);
  return 0;
}

void trp_system_stop_by_signal(void *system) {
  troupe_system_stop(system, SIGNAL_GRACE_MS);
}

int troupe_system_wait(troupe_system_t *system, int timeout_ms, troupe_stuck_t *stuck,
                       size_t capacity, size_t *count) {
  if (trp_actor_current() != NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  int64_t deadline = trp_system_deadline(system, timeout_ms);
  pthread_mutex_lock(&system->mutex);
  while (system->running > 0 && trp_system_wait_for_change(system, deadline)) {
  }
  size_t found = 0;
  for (trp_entry_t *entry = system->entries; entry != NULL; entry = entry->next) {
    if (entry->life == TRP_ENDED) {
      continue;
    }
    if (found < capacity && stuck != NULL) {
      stuck[found].actor = entry->start.id;
      stuck[found].index = entry->start.index;
      memcpy(stuck[found].name, entry->start.name, sizeof stuck[found].name);
      trp_made_at_copy(entry->made_at, stuck[found].made_at);
    }
    found++;
  }
  trp_system_reap(system);
  pthread_mutex_unlock(&system->mutex);
  if (count != NULL) {
    *count = found;
  }
  return found == 0 ? 0 : TROUPE_ETIMEDOUT;
}
