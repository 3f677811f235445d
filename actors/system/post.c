/// What any thread may send to an actor: messages and aborts, with a bound for each receiver.
#include <pthread.h>
#include <stdatomic.h>

#include "actors/system/system.h"
#include "core/actor/actor.h"
#include "core/message/credit.h"
#include "core/message/id.h"
#include "core/net/abort.h"
#include "core/trace/calls.h"

enum {
  POST_MAX = 16 * 1024 * 1024,
  /// What may be under way from outside to an actor: bytes of messages, and how many messages and
  /// aborts. Stops are not counted: one that asks for no more than an earlier one is not sent.
  POSTED_BYTES_MAX = POST_MAX,
  POSTED_MAX = TRP_MESSAGE_CREDIT,
};

int trp_system_post(troupe_system_t *system, const trp_io_call_t *call) {
  return system->ground->ops->post(system->ground, 0, call);
}

static trp_posted_t *posted_of(trp_entry_t *entry, Troupe__Wire__Kind kind) {
  return kind == TRP_KIND(EVENT_ABORT) ? &entry->aborts : &entry->messages;
}

static void give_back(trp_posted_t *posted, size_t length) {
  atomic_fetch_add(&posted->taken_bytes, length);
  atomic_fetch_add(&posted->taken_count, 1);
}

void trp_entry_taken(void *context, Troupe__Wire__Kind kind, size_t length) {
  trp_entry_t *entry = context;
  give_back(posted_of(entry, kind), length);
}

/// Takes credit for a call, or says why not: 0, TROUPE_ENOACTOR or TROUPE_ENOBUFS.
static int reserve(troupe_system_t *system, const trp_io_call_t *call) {
  int result = 0;
  pthread_mutex_lock(&system->mutex);
  trp_entry_t *entry = trp_entry_find(system, call->actor);
  if (entry == NULL || (entry->life != TRP_KNOWN && entry->life != TRP_RUNNING)) {
    result = TROUPE_ENOACTOR;
  } else {
    trp_posted_t *posted = posted_of(entry, call->kind);
    uint64_t count = posted->count - atomic_load(&posted->taken_count);
    uint64_t bytes = posted->bytes - atomic_load(&posted->taken_bytes);
    if (count >= POSTED_MAX || bytes + call->length > POSTED_BYTES_MAX) {
      result = TROUPE_ENOBUFS;
    } else {
      posted->count++;
      posted->bytes += call->length;
    }
  }
  pthread_mutex_unlock(&system->mutex);
  return result;
}

/// Posts to an actor that may be slow.
static int post_in_credit(troupe_system_t *system, const trp_io_call_t *call) {
  int error = reserve(system, call);
  if (error != 0) {
    return error;
  }
  error = trp_system_post(system, call);
  if (error != 0) {
    pthread_mutex_lock(&system->mutex);
    trp_entry_t *entry = trp_entry_find(system, call->actor);
    if (entry != NULL) {
      give_back(posted_of(entry, call->kind), call->length);
    }
    pthread_mutex_unlock(&system->mutex);
  }
  return error;
}

int troupe_post(troupe_system_t *system, troupe_actor_t to, const void *bytes, size_t length) {
  if (length > POST_MAX || (bytes == NULL && length > 0)) {
    return TROUPE_EINVAL;
  }
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_POST, &value)) {
    return (int)value;
  }
  trp_io_call_t call = {
      .kind = TRP_KIND(EVENT_MESSAGE), .actor = to.id, .bytes = bytes, .length = length};
  int result = system == NULL ? (int)TROUPE_EINVAL : post_in_credit(system, &call);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_POST, result);
  }
  return result;
}

static int post_abort(troupe_system_t *system, troupe_abort_t token) {
  uint64_t actor = trp_id_actor(trp_id_creator(token.id));
  trp_io_call_t call = {.kind = TRP_KIND(EVENT_ABORT), .actor = actor, .subject = token.id};
  return post_in_credit(system, &call);
}

int troupe_abort(troupe_system_t *system, troupe_abort_t token) {
  if (token.id == 0) {
    return TROUPE_EINVAL;
  }
  trp_actor_t *self = trp_actor_current();
  if (self != NULL && trp_id_creator(token.id) == trp_id_creator(trp_actor_start(self)->id)) {
    return trp_abort_here(token);
  }
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_ABORT, &value)) {
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL : post_abort(system, token);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_ABORT, result);
  }
  return result;
}
