/// Starts actors on threads of their own.
#include <pthread.h>
#include <stdlib.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"
#include "core/support/thread.h"
#include "core/trace/calls.h"

enum { COPIES_MAX = 4096 };

static int validate(const troupe_spawn_options_t *options) {
  if (options == NULL || options->main == NULL || options->copies > COPIES_MAX ||
      (options->argument_size > 0 && options->argument == NULL)) {
    return TROUPE_EINVAL;
  }
  return trp_is_actor_name(options->name) ? 0 : TROUPE_EINVAL;
}

static int start_thread(trp_entry_t *entry, size_t stack_size) {
  trp_ground_t *ground = entry->system->ground;
  int error = ground->ops->expect_thread == NULL
                  ? 0
                  : ground->ops->expect_thread(ground, entry->start.id, &entry->ticket);
  if (error != 0) {
    return error;
  }
  error = trp_thread_start(&entry->thread, entry->start.name, stack_size, trp_entry_run, entry);
  if (error != 0 && ground->ops->forget_thread != NULL) {
    ground->ops->forget_thread(ground, entry->ticket);
  }
  return error;
}

static int start_copy(const char *made_at, troupe_system_t *system,
                      const troupe_spawn_options_t *options, uint32_t index, uint64_t group,
                      uint64_t *id) {
  trp_entry_t *entry = NULL;
  int error = trp_entry_new(made_at, system, options, index, group, &entry);
  if (error != 0) {
    return error;
  }
  *id = entry->start.id;
  error = start_thread(entry, options->stack_size);
  pthread_mutex_lock(&system->mutex);
  if (error != 0) {
    entry->life = TRP_ENDED;
    entry->joined = TRP_JOINED;
    system->running--;
    system->ended++;
    trp_system_tell_change(system);
  }
  while (entry->life == TRP_STARTING || entry->life == TRP_KNOWN) {
    trp_system_wait_for_change(system, TRP_FOREVER);
  }
  bool failed = entry->life == TRP_ENDED && (error != 0 || entry->status < 0);
  if (failed && error == 0) {
    error = entry->status;
  }
  if (failed && entry->in_table) {
    trp_entry_forget(system, entry);
  }
  trp_entry_unpin(entry);
  pthread_mutex_unlock(&system->mutex);
  return error;
}

static int spawn(const char *made_at, troupe_system_t *system,
                 const troupe_spawn_options_t *options, troupe_actor_t *actors, uint64_t *ids,
                 unsigned copies) {
  pthread_mutex_lock(&system->mutex);
  trp_system_reap(system);
  uint64_t group = system->next_group++;
  pthread_mutex_unlock(&system->mutex);
  int error = 0;
  unsigned started = 0;
  for (; started < copies && error == 0; started++) {
    error = start_copy(made_at, system, options, started, group, &ids[started]);
  }
  if (error != 0) {
    // The last one did not start; the others end again, unheard of.
    for (unsigned i = 0; i + 1 < started; i++) {
      if (trp_system_stop_actor(system, ids[i], 0) == TROUPE_ENOMEM) {
        ids[i] = 0; // it goes on, since nobody can tell it
      }
    }
    for (unsigned i = 0; i + 1 < started; i++) {
      int status = 0;
      trp_system_join(system, ids[i], -1, &status);
    }
    return error;
  }
  for (unsigned i = 0; i < copies && actors != NULL; i++) {
    actors[i].id = ids[i];
  }
  return 0;
}

int(troupe_spawn)(troupe_system_t *system, const troupe_spawn_options_t *options,
                  troupe_actor_t *actors) {
  return troupe_spawn_at(NULL, system, options, actors);
}

int troupe_spawn_at(const char *made_at, troupe_system_t *system,
                    const troupe_spawn_options_t *options, troupe_actor_t *actors) {
  int error = validate(options);
  if (error != 0) {
    return error;
  }
  unsigned copies = options->copies == 0 ? 1 : options->copies;
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_SPAWN, &value)) {
    for (unsigned i = 0; i < copies && value == 0; i++) {
      int64_t id = 0;
      trp_actor_recall(self, TRP_CALL_SPAWNED, &id);
      if (actors != NULL) {
        actors[i].id = (uint64_t)id;
      }
    }
    return (int)value;
  }
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  uint64_t *ids = calloc(copies, sizeof *ids);
  if (ids == NULL) {
    return TROUPE_ENOMEM;
  }
  error = spawn(made_at, system, options, actors, ids, copies);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_SPAWN, error);
    for (unsigned i = 0; i < copies && error == 0; i++) {
      trp_actor_called(self, TRP_CALL_SPAWNED, (int64_t)ids[i]);
    }
  }
  free(ids);
  return error;
}

int trp_system_spawn_as(troupe_system_t *system, const trp_start_t *start,
                        int (*main)(void *argument), void *argument) {
  bool copies = argument == NULL && start->argument != NULL;
  const troupe_spawn_options_t options = {
      .name = start->name,
      .main = main,
      .argument = copies ? (void *)(uintptr_t)start->argument : argument,
      .argument_size = copies ? start->argument_size : 0,
  };
  system->next_start = start;
  return troupe_spawn(system, &options, NULL);
}
