/// Synchronous calls whose results are in traces. What main found out before any event is kept, a
/// little of it: recording may begin later, and a replay runs main from its beginning all the same.
#include "core/actor/state.h"

#include "core/support/array.h"
#include "core/trace/calls.h"

enum { KEPT_MAX = 256 };

static void keep(trp_actor_t *actor, uint32_t call, int64_t value);

bool trp_actor_recall(trp_actor_t *actor, uint32_t call, int64_t *value) {
  if (!trp_actor_replays(actor)) {
    return false;
  }
  int result = actor->inbox->ops->recall(actor->inbox, call, value);
  if (result < 0) {
    *value = result;
  }
  trp_actor_called(actor, call, *value);
  return true;
}

void trp_actor_called(trp_actor_t *actor, uint32_t call, int64_t value) {
  if (actor->cause_sender == 0 && actor->cause_sequence == 0 && actor->attachment == NULL) {
    keep(actor, call, value);
  }
  if (actor->tap != NULL) {
    trp_tap_call(actor->tap, call, value);
  }
}

/// Without memory for it a trace that begins late cannot be replayed, and says so.
static void keep(trp_actor_t *actor, uint32_t call, int64_t value) {
  // Which ones a replay of a part does without: replay.c.
  if (call == TRP_CALL_PIPE || call == TRP_CALL_SCOPE || call == TRP_CALL_RECEIVE ||
      actor->keeps_no_calls) {
    return;
  }
  trp_kept_call_t *calls = trp_array_room(actor->calls, &actor->call_capacity, actor->call_count,
                                          sizeof *calls);
  if (calls != NULL) {
    actor->calls = calls;
    actor->calls[actor->call_count++] = (trp_kept_call_t){.call = call, .value = value};
  }
  actor->keeps_no_calls = calls == NULL || actor->call_count == KEPT_MAX;
}

void trp_calls_tell_again(trp_actor_t *actor) {
  if (actor->tap == NULL || !trp_tap_begins_late(actor->tap)) {
    return;
  }
  for (size_t i = 0; i < actor->call_count; i++) {
    trp_tap_call(actor->tap, actor->calls[i].call, actor->calls[i].value);
  }
}
