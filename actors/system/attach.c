/// Threads that the library did not start become actors.
#include <troupe/attach.h>

#include <pthread.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"

/// The thread's actor ends; its destructor, too, when it ends attached.
static void end_attached(void *argument) {
  trp_entry_t *entry = argument;
  troupe_system_t *system = entry->system;
  pthread_setspecific(entry->at_exit, NULL);
  pthread_key_delete(entry->at_exit);
  trp_actor_finish(entry->status);
  trp_attachment_close(&entry->attachment);
  // The entry may be freed as soon as the actor has ended: it is this thread's, too, until then.
  trp_entry_end(entry);
  pthread_mutex_lock(&system->mutex);
  trp_entry_unpin(entry);
  pthread_mutex_unlock(&system->mutex);
}

/// Makes this thread the entry's actor, or undoes all of it.
static int become_actor(trp_entry_t *entry, bool by_hand) {
  int error = trp_entry_open(entry);
  if (error != 0) {
    return error;
  }
  int fd = entry->system->ground->ops->inbox_fd(entry->inbox);
  error = fd < 0 ? fd : trp_attachment_open(&entry->attachment, fd);
  if (error != 0) {
    entry->said_hello = false;
    return error;
  }
  entry->attachment.by_hand = by_hand;
  entry->execution.attachment = &entry->attachment;
  if (pthread_key_create(&entry->at_exit, end_attached) != 0) {
    entry->said_hello = false;
    error = TROUPE_EAGAIN;
    goto no_key;
  }
  error = pthread_setspecific(entry->at_exit, entry) == 0 ? 0 : TROUPE_ENOMEM;
  if (error != 0) {
    entry->said_hello = false;
    goto no_actor;
  }
  error = trp_actor_begin(&entry->execution);
  if (error == 0) {
    entry->attached = true;
    return 0;
  }
no_actor:
  pthread_setspecific(entry->at_exit, NULL);
  pthread_key_delete(entry->at_exit);
no_key:
  trp_attachment_close(&entry->attachment);
  return error;
}

int(troupe_attach)(troupe_system_t *system, const troupe_attach_options_t *options,
                   troupe_actor_t *actor) {
  return troupe_attach_at(NULL, system, options, actor);
}

int troupe_attach_at(const char *made_at, troupe_system_t *system,
                     const troupe_attach_options_t *options, troupe_actor_t *actor) {
  static const troupe_attach_options_t defaults = {0};
  options = options == NULL ? &defaults : options;
  if (system == NULL || !trp_is_actor_name(options->name)) {
    return TROUPE_EINVAL;
  }
  if (trp_actor_current() != NULL) {
    return TROUPE_EALREADY;
  }
  if (system->ground->ops->inbox_fd == NULL) {
    return TROUPE_ENOTSUP;
  }
  pthread_mutex_lock(&system->mutex);
  trp_system_reap(system);
  uint64_t group = system->next_group++;
  pthread_mutex_unlock(&system->mutex);
  const troupe_spawn_options_t spawn_options = {.name = options->name};
  trp_entry_t *entry = NULL;
  int error = trp_entry_new(made_at, system, &spawn_options, 0, group, &entry);
  if (error != 0) {
    return error;
  }
  entry->joined = TRP_JOINED; // the thread is not ours
  error = become_actor(entry, options->flush_by_hand);
  if (error == 0) {
    trp_entry_running(entry);
    if (actor != NULL) {
      actor->id = entry->start.id;
    }
    return 0;
  }
  entry->status = error;
  entry->returned = true;
  trp_entry_end(entry);
  pthread_mutex_lock(&system->mutex);
  if (entry->in_table) {
    trp_entry_forget(system, entry);
  }
  trp_entry_unpin(entry);
  pthread_mutex_unlock(&system->mutex);
  return error;
}

int troupe_detach(int status) {
  trp_actor_t *self = trp_actor_current();
  trp_entry_t *entry = self == NULL ? NULL : trp_actor_context(self);
  if (entry == NULL || !entry->attached) {
    return TROUPE_EWRONGTHREAD;
  }
  if (trp_actor_busy(self)) {
    return TROUPE_EBUSY;
  }
  entry->status = status;
  entry->returned = true;
  end_attached(entry);
  return 0;
}
