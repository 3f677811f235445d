/// The defaults of family autoselection. An actor that does not belong to a system with some of its
/// own, as in a replay, keeps to what it started with.
#include "core/net/defaults.h"

#include <limits.h>
#include <troupe/socket.h>

#include "core/actor/actor.h"
#include "core/trace/calls.h"

static trp_defaults_t *shared(const trp_actor_t *actor) {
  return trp_actor_defaults(actor);
}

bool trp_default_auto_select_family(trp_actor_t *actor) {
  int64_t value = 0;
  if (trp_actor_recall(actor, TRP_CALL_DEFAULT, &value)) {
    return value > 0;
  }
  value = shared(actor) != NULL ? atomic_load(&shared(actor)->auto_select_family)
                                : trp_actor_start(actor)->auto_select_family > 0;
  return value > 0;
}

unsigned trp_default_attempt_timeout_ms(trp_actor_t *actor) {
  int64_t value = 0;
  if (trp_actor_recall(actor, TRP_CALL_DEFAULT, &value)) {
    return value > 0 ? (unsigned)value : (unsigned)TRP_ATTEMPT_TIMEOUT_MS;
  }
  value = shared(actor) != NULL ? atomic_load(&shared(actor)->attempt_timeout_ms)
                                : trp_actor_start(actor)->attempt_timeout_ms;
  return (unsigned)value;
}

int troupe_get_default_auto_select_family(void) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  bool on = trp_default_auto_select_family(actor);
  trp_actor_called(actor, TRP_CALL_DEFAULT, on);
  return on;
}

int troupe_set_default_auto_select_family(bool on) {
  const trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (shared(actor) != NULL) {
    atomic_store(&shared(actor)->auto_select_family, on);
  }
  return 0;
}

int troupe_get_default_auto_select_family_attempt_timeout(void) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  unsigned timeout_ms = trp_default_attempt_timeout_ms(actor);
  trp_actor_called(actor, TRP_CALL_DEFAULT, timeout_ms);
  return (int)timeout_ms;
}

int troupe_set_default_auto_select_family_attempt_timeout(unsigned timeout_ms) {
  const trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (timeout_ms == 0 || timeout_ms > INT_MAX) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  if (timeout_ms < TRP_ATTEMPT_TIMEOUT_MIN_MS) {
    timeout_ms = TRP_ATTEMPT_TIMEOUT_MIN_MS;
  }
  if (shared(actor) != NULL) {
    atomic_store(&shared(actor)->attempt_timeout_ms, timeout_ms);
  }
  return 0;
}
