/// Waits for one actor's result.
#include <pthread.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"
#include "core/trace/calls.h"

int trp_system_join(troupe_system_t *system, uint64_t id, int timeout_ms, int *status) {
  int64_t deadline = trp_system_deadline(system, timeout_ms);
  pthread_mutex_lock(&system->mutex);
  trp_entry_t *entry = trp_entry_find(system, id);
  while (entry != NULL && entry->life != TRP_ENDED) {
    if (!trp_system_wait_for_change(system, deadline)) {
      pthread_mutex_unlock(&system->mutex);
      return TROUPE_ETIMEDOUT;
    }
    entry = trp_entry_find(system, id);
  }
  if (entry != NULL) {
    *status = entry->status;
    trp_entry_forget(system, entry);
  }
  pthread_mutex_unlock(&system->mutex);
  return entry == NULL ? TROUPE_ENOACTOR : 0;
}

int troupe_actor_join(troupe_system_t *system, troupe_actor_t actor, int timeout_ms, int *status) {
  trp_actor_t *self = trp_actor_current();
  if (self != NULL && trp_actor_start(self)->id == actor.id) {
    return TROUPE_EINVAL;
  }
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_JOIN, &value)) {
    int64_t joined = 0;
    trp_actor_recall(self, TRP_CALL_JOINED, &joined);
    if (status != NULL && value == 0) {
      *status = (int)joined;
    }
    return (int)value;
  }
  int joined = 0;
  int result = system == NULL ? (int)TROUPE_EINVAL
                              : trp_system_join(system, actor.id, timeout_ms, &joined);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_JOIN, result);
    trp_actor_called(self, TRP_CALL_JOINED, joined);
  }
  if (status != NULL && result == 0) {
    *status = joined;
  }
  return result;
}
