/// Watching other actors: who is watched, and what to call when it ends.
#include <stdlib.h>

#include "core/actor/state.h"
#include "core/message/id.h"

typedef struct {
  troupe_down_fn on_down;
  void *context;
} watch_t;

int troupe_watch(troupe_actor_t actor, troupe_down_fn on_down, void *context) {
  trp_actor_t *self = trp_actor_current();
  if (self == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (!trp_id_is_actor(actor.id) || on_down == NULL) {
    return TROUPE_EINVAL;
  }
  if (trp_map_get(&self->watches, actor.id) != NULL) {
    return TROUPE_EEXIST;
  }
  watch_t *watch = malloc(sizeof *watch);
  if (watch == NULL) {
    return TROUPE_ENOMEM;
  }
  *watch = (watch_t){.on_down = on_down, .context = context};
  if (trp_map_put(&self->watches, actor.id, watch) != 0) {
    free(watch);
    return TROUPE_ENOMEM;
  }
  if (trp_actor_command(self, TRP_KIND(COMMAND_WATCH), actor.id) == NULL) {
    trp_map_remove(&self->watches, actor.id);
    free(watch);
    return TROUPE_ENOMEM;
  }
  return 0;
}

int troupe_unwatch(troupe_actor_t actor) {
  trp_actor_t *self = trp_actor_current();
  if (self == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  watch_t *watch = trp_map_remove(&self->watches, actor.id);
  if (watch == NULL) {
    return TROUPE_ESTALE;
  }
  free(watch);
  // Without memory for this the event comes all the same, and finds nobody.
  trp_actor_command(self, TRP_KIND(COMMAND_UNWATCH), actor.id);
  return 0;
}

void trp_watch_event(trp_actor_t *actor, const trp_message_t *message) {
  watch_t *watch = trp_map_remove(&actor->watches, message->subject);
  if (watch == NULL) {
    return;
  }
  watch_t saved = *watch;
  free(watch);
  troupe_reason_t reason = TROUPE_REASON_UNKNOWN;
  int status = 0;
  if (message->detail_case == TRP_DETAIL(BYE)) {
    reason = (troupe_reason_t)message->bye->reason;
    status = message->bye->status;
  }
  saved.on_down((troupe_actor_t){.id = message->subject}, reason, status, saved.context);
}

void trp_watch_free(trp_actor_t *actor) {
  size_t cursor = 0;
  void *watch = NULL;
  while (trp_map_iterate(&actor->watches, &cursor, NULL, &watch)) {
    free(watch);
  }
  trp_map_free(&actor->watches);
}
