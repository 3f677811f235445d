/// Abort tokens: an object of the actor's table with a list of what it aborts.
#include "core/net/abort.h"

#include <stdlib.h>

#include "core/actor/actor.h"

typedef struct trp_abort_token {
  trp_object_t object;
  trp_abort_link_t *first, *last;
  bool aborted;
} token_t;

static void event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
static void release(trp_object_t *object);
static void describe(const trp_object_t *object, troupe_handle_t *handle);
static int get(troupe_abort_t handle, token_t **token);
static void abort_all(token_t *token);

static const trp_object_type_t token_type = {
    .event = event, .release = release, .describe = describe};

static token_t *token_of(trp_object_t *object) {
  return (token_t *)(void *)object;
}

int troupe_abort_new(troupe_abort_t *handle) {
  return troupe_abort_new_at(NULL, handle);
}

int troupe_abort_new_at(const char *made_at, troupe_abort_t *handle) {
  if (handle == NULL) {
    return TROUPE_EINVAL;
  }
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  uint64_t id = trp_actor_new_id(actor, 0);
  if (id == 0) {
    return TROUPE_EOVERFLOW;
  }
  token_t *token = calloc(1, sizeof *token);
  if (token == NULL) {
    return TROUPE_ENOMEM;
  }
  token->object.type = &token_type;
  token->object.id = id;
  token->object.made_at = made_at;
  if (trp_object_add(actor, &token->object) != 0) {
    free(token);
    return TROUPE_ENOMEM;
  }
  handle->id = id;
  return 0;
}

bool troupe_abort_aborted(troupe_abort_t handle) {
  token_t *token = NULL;
  return get(handle, &token) == 0 && token->aborted;
}

int troupe_abort_free(troupe_abort_t handle) {
  token_t *token = NULL;
  int error = get(handle, &token);
  if (error == 0) {
    trp_object_remove(&token->object);
  }
  return error;
}

/// At the actor's end the links may be there still, and go after it.
static void release(trp_object_t *object) {
  token_t *token = token_of(object);
  while (token->first != NULL) {
    trp_abort_unlink(token->first);
  }
  free(token);
}

static void describe(const trp_object_t *object, troupe_handle_t *handle) {
  handle->kind = TROUPE_HANDLE_ABORT;
  handle->state = ((const token_t *)(const void *)object)->aborted ? "aborted" : "not aborted";
}

static int get(troupe_abort_t handle, token_t **token) {
  trp_object_t *object = NULL;
  int error = trp_object_get(handle.id, &token_type, &object);
  *token = token_of(object);
  return error;
}

// ---- Links ----

int trp_abort_check(troupe_abort_t handle) {
  token_t *token = NULL;
  return handle.id == 0 ? 0 : get(handle, &token);
}

bool trp_abort_link(trp_abort_link_t *link, troupe_abort_t handle, void (*abort)(void *owner),
                    void *owner) {
  token_t *token = NULL;
  if (get(handle, &token) != 0) {
    return true;
  }
  if (token->aborted) {
    return false;
  }
  *link = (trp_abort_link_t){
      .token = token, .previous = token->last, .abort = abort, .owner = owner};
  if (token->last != NULL) {
    token->last->next = link;
  } else {
    token->first = link;
  }
  token->last = link;
  return true;
}

void trp_abort_unlink(trp_abort_link_t *link) {
  token_t *token = link->token;
  if (token == NULL) {
    return;
  }
  if (link->previous != NULL) {
    link->previous->next = link->next;
  } else {
    token->first = link->next;
  }
  if (link->next != NULL) {
    link->next->previous = link->previous;
  } else {
    token->last = link->previous;
  }
  *link = (trp_abort_link_t){0};
}

// ---- Aborting ----

int trp_abort_here(troupe_abort_t handle) {
  token_t *token = NULL;
  int error = get(handle, &token);
  if (error == 0) {
    abort_all(token);
  }
  return error;
}

static void event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  (void)in;
  if (message->kind == TRP_KIND(EVENT_ABORT)) {
    abort_all(token_of(object));
  }
}

static void abort_all(token_t *token) {
  token->aborted = true;
  while (token->first != NULL) {
    trp_abort_link_t link = *token->first;
    trp_abort_unlink(token->first);
    link.abort(link.owner);
  }
}
