/// The table of an actor's objects, and the order in which callbacks, work that was put off, and
/// the end of objects follow each other.
#include <stdlib.h>

#include "core/actor/state.h"
#include "core/message/id.h"
#include "core/support/assert.h"

static void run_later(trp_actor_t *actor);
static void release(trp_object_t *object);

int trp_object_add(trp_actor_t *actor, trp_object_t *object) {
  object->actor = actor;
  if (trp_map_get(&actor->objects, object->id) != NULL) {
    return TROUPE_EBADMESSAGE;
  }
  return trp_map_put(&actor->objects, object->id, object);
}

int trp_object_rename(trp_object_t *object, uint64_t id) {
  int error = trp_map_put(&object->actor->objects, id, object);
  if (error == 0) {
    trp_map_remove(&object->actor->objects, object->id);
    object->id = id;
  }
  return error;
}

void trp_object_remove(trp_object_t *object) {
  if (object->dead) {
    return;
  }
  trp_actor_t *actor = object->actor;
  trp_object_hold(object, false);
  trp_object_drain(object, false);
  trp_map_remove(&actor->objects, object->id);
  object->dead = true;
  if (object->queued) {
    return; // released when its turn comes
  }
  if (actor->depth == 0) {
    release(object);
    return;
  }
  object->next = actor->dead;
  actor->dead = object;
}

trp_object_t *trp_object_find(trp_actor_t *actor, uint64_t id, const trp_object_type_t *type) {
  trp_object_t *object = trp_map_get(&actor->objects, id);
  return object != NULL && object->type == type ? object : NULL;
}

int trp_object_get(uint64_t id, const trp_object_type_t *type, trp_object_t **object) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  *object = trp_object_find(actor, id, type);
  if (*object != NULL) {
    return 0;
  }
  // What another user actor made can only be known there; what an I/O actor made may have been
  // ours.
  uint32_t creator = trp_id_creator(id);
  bool foreign = creator > TRP_IO_ACTORS_MAX && creator != trp_id_creator(actor->start.id);
  return foreign ? TROUPE_EWRONGTHREAD : TROUPE_ESTALE;
}

void trp_object_hold(trp_object_t *object, bool holding) {
  if (object->holding != holding) {
    object->holding = holding;
    object->actor->holding += holding ? 1 : (size_t)-1;
  }
}

void trp_object_drain(trp_object_t *object, bool draining) {
  if (object->draining != draining) {
    object->draining = draining;
    object->actor->draining += draining ? 1 : (size_t)-1;
  }
}

void trp_object_later(trp_object_t *object) {
  if (object->queued || object->dead) {
    return;
  }
  trp_actor_t *actor = object->actor;
  object->queued = true;
  object->next = NULL;
  *actor->later_last = object;
  actor->later_last = &object->next;
  trp_actor_touch(actor);
}

void trp_actor_enter(trp_actor_t *actor) {
  actor->depth++;
}

void trp_actor_leave(trp_actor_t *actor) {
  TROUPE_ASSERT(actor->depth > 0);
  if (actor->depth == 1) {
    run_later(actor);
  }
  if (--actor->depth > 0) {
    return;
  }
  while (actor->dead != NULL) {
    trp_object_t *object = actor->dead;
    actor->dead = object->next;
    release(object);
  }
}

/// In the order in which it was put off; what is put off meanwhile runs too.
static void run_later(trp_actor_t *actor) {
  while (actor->later_first != NULL) {
    trp_object_t *object = actor->later_first;
    actor->later_first = object->next;
    if (actor->later_first == NULL) {
      actor->later_last = &actor->later_first;
    }
    object->queued = false;
    if (object->dead) {
      object->next = actor->dead;
      actor->dead = object;
    } else {
      object->type->later(object);
    }
  }
}

static void release(trp_object_t *object) {
  object->type->release(object);
}
