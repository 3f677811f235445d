/// Finds actors by their names.
#include <pthread.h>
#include <string.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"
#include "core/trace/calls.h"

/// The id, or TROUPE_ENOACTOR.
static int64_t find_named(troupe_system_t *system, const char *name, unsigned index) {
  int64_t id = TROUPE_ENOACTOR;
  pthread_mutex_lock(&system->mutex);
  for (trp_entry_t *entry = system->entries; entry != NULL; entry = entry->next) {
    if ((entry->life == TRP_KNOWN || entry->life == TRP_RUNNING) && entry->start.index == index &&
        strcmp(entry->start.name, name) == 0) {
      id = (int64_t)entry->start.id;
      break;
    }
  }
  pthread_mutex_unlock(&system->mutex);
  return id;
}

int troupe_actor_find(troupe_system_t *system, const char *name, unsigned index,
                      troupe_actor_t *actor) {
  if (name == NULL) {
    return TROUPE_EINVAL;
  }
  trp_actor_t *self = trp_actor_current();
  int64_t id = 0;
  if (self == NULL || !trp_actor_recall(self, TRP_CALL_FIND, &id)) {
    id = system == NULL ? (int64_t)TROUPE_EINVAL : find_named(system, name, index);
    if (self != NULL) {
      trp_actor_called(self, TRP_CALL_FIND, id);
    }
  }
  if (id < 0) {
    return (int)id;
  }
  if (actor != NULL) {
    actor->id = (uint64_t)id;
  }
  return 0;
}
