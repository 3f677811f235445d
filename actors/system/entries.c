/// The table of actors: who is in it, and until when.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/system/system.h"
#include "core/message/id.h"

enum {
  /// Actors that ended and that nobody joined: so many results are remembered.
  ENDED_MAX = 1024,
};

bool trp_is_actor_name(const char *name) {
  return name == NULL ||
         (name[0] != '\0' && strlen(name) <= TRP_NAME_MAX && strchr(name, '/') == NULL);
}

static void free_entry(trp_entry_t *entry) {
  free((void *)(uintptr_t)entry->start.argument);
  free(entry);
}

/// With the mutex held. Later ones get other ids.
static void begin_as(troupe_system_t *system, trp_start_t *start) {
  const void *argument = start->argument;
  size_t argument_size = start->argument_size;
  *start = *system->next_start;
  system->next_start = NULL;
  start->argument = argument;
  start->argument_size = argument_size;
  if (system->next_number <= trp_id_creator(start->id)) {
    system->next_number = trp_id_creator(start->id) + 1;
  }
  if (system->next_group <= start->group) {
    system->next_group = start->group + 1;
  }
}

int trp_entry_new(const char *made_at, troupe_system_t *system,
                  const troupe_spawn_options_t *options, uint32_t index, uint64_t group,
                  trp_entry_t **made) {
  trp_entry_t *entry = calloc(1, sizeof *entry);
  if (entry == NULL) {
    return TROUPE_ENOMEM;
  }
  entry->system = system;
  entry->made_at = made_at;
  entry->main = options->main;
  entry->argument = options->argument;
  trp_start_t *start = &entry->start;
  if (options->argument_size > 0) {
    void *copy = malloc(options->argument_size);
    if (copy == NULL) {
      free(entry);
      return TROUPE_ENOMEM;
    }
    memcpy(copy, options->argument, options->argument_size);
    entry->argument = copy;
    start->argument = copy;
    start->argument_size = options->argument_size;
  }
  snprintf(start->name, sizeof start->name, "%s", options->name == NULL ? "actor" : options->name);
  start->index = index;
  start->group = group;
  start->io_actors = system->ground->io_count;
  start->auto_select_family = atomic_load(&system->defaults.auto_select_family);
  start->attempt_timeout_ms = atomic_load(&system->defaults.attempt_timeout_ms);
  pthread_mutex_lock(&system->mutex);
  int error = 0;
  if (system->stopping) {
    error = TROUPE_ESTOPPED;
  } else if (system->next_number > system->next_recorder) {
    error = TROUPE_EOVERFLOW;
  } else {
    if (system->next_start != NULL) {
      begin_as(system, start);
    } else {
      start->id = trp_id_actor(system->next_number++);
      // Each actor draws from a stream of its own, whatever the others do.
      start->seed = (system->seed ^ start->id) * UINT64_C(0x9e3779b97f4a7c15);
    }
    entry->next = system->entries;
    system->entries = entry;
    entry->in_table = true;
    entry->pins = 2;
    system->running++;
  }
  pthread_mutex_unlock(&system->mutex);
  if (error != 0) {
    free_entry(entry);
    return error;
  }
  *made = entry;
  return 0;
}

trp_entry_t *trp_entry_find(troupe_system_t *system, uint64_t id) {
  trp_entry_t *entry = system->entries;
  while (entry != NULL && entry->start.id != id) {
    entry = entry->next;
  }
  return entry;
}

/// Waits until the thread of an actor that has ended is gone. With the mutex held, but not while it
/// waits: the destructors of the application's thread-local data run there, and they may take their
/// time, or call the library.
static void join_thread(troupe_system_t *system, trp_entry_t *entry) {
  while (entry->joined == TRP_JOINING) {
    trp_system_wait_for_change(system, TRP_FOREVER);
  }
  if (entry->joined == TRP_NOT_JOINED) {
    entry->joined = TRP_JOINING;
    pthread_mutex_unlock(&system->mutex);
    pthread_join(entry->thread, NULL);
    pthread_mutex_lock(&system->mutex);
    entry->joined = TRP_JOINED;
    trp_system_tell_change(system);
  }
}

void trp_entry_unpin(trp_entry_t *entry) {
  if (--entry->pins == 0) {
    free_entry(entry);
  }
}

void trp_entry_forget(troupe_system_t *system, trp_entry_t *entry) {
  trp_entry_t **link = &system->entries;
  while (*link != entry) {
    link = &(*link)->next;
  }
  *link = entry->next;
  entry->in_table = false;
  system->ended--;
  join_thread(system, entry);
  trp_entry_unpin(entry);
}

/// One step of trp_system_reap(): false when there is nothing left to do. The table may have changed
/// afterwards.
static bool reap_one(troupe_system_t *system) {
  size_t seen = 0;
  for (trp_entry_t *entry = system->entries; entry != NULL; entry = entry->next) {
    if (entry->life != TRP_ENDED) {
      continue;
    }
    if (++seen > ENDED_MAX) {
      trp_entry_forget(system, entry);
      return true;
    }
    if (entry->joined == TRP_NOT_JOINED) {
      join_thread(system, entry);
      return true;
    }
  }
  return false;
}

void trp_system_reap(troupe_system_t *system) {
  while (reap_one(system)) {
  }
}
