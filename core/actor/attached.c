/// An attached thread: what troupe_actor_run() does in a spawned one, a part at a time.
///
/// When a dispatch is left, the inbox was found empty, which makes libzmq tell its descriptor of
/// the next batch, or the descriptor is raised. So no batch is slept on.
#include <troupe/attach.h>

#include "core/actor/state.h"

enum {
  /// A thread whose senders never let up still gets to its other work.
  BATCHES_AT_ONCE = 64,
};

static trp_actor_t *attached(void) {
  trp_actor_t *actor = trp_actor_current();
  return actor == NULL || actor->attachment == NULL ? NULL : actor;
}

static void arm(trp_actor_t *actor) {
  trp_attachment_arm(actor->attachment, trp_timers_next(actor), trp_inbox_now(actor->inbox));
}

void trp_attached_touch(trp_actor_t *actor) {
  if (!actor->attachment->by_hand && !trp_actor_busy(actor)) {
    trp_attachment_raise(actor->attachment);
  }
}

void trp_attached_left(trp_actor_t *actor) {
  if (!trp_actor_busy(actor)) {
    trp_attachment_raise(actor->attachment);
  }
}

void trp_attached_clock(trp_actor_t *actor) {
  if (actor->attachment != NULL && !trp_actor_busy(actor)) {
    actor->clock_ns = trp_inbox_now(actor->inbox);
  }
}

int troupe_attach_fd(void) {
  trp_actor_t *actor = attached();
  return actor == NULL ? (int)TROUPE_EWRONGTHREAD : actor->attachment->epoll;
}

int troupe_dispatch(void) {
  trp_actor_t *actor = attached();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (trp_actor_busy(actor)) {
    return TROUPE_EBUSY;
  }
  trp_attachment_lower(actor->attachment);
  actor->running = true;
  trp_messages_resume(actor);
  trp_actor_catch_up(actor);
  trp_actor_flush(actor);
  int error = 0;
  bool dispatched = true;
  bool timers_had_their_turn = false;
  for (int i = 0; i < BATCHES_AT_ONCE && dispatched && error == 0 && !actor->ended; i++) {
    error = trp_actor_turn(actor, TRP_DO_NOT_WAIT, &timers_had_their_turn, &dispatched);
    trp_actor_flush(actor);
  }
  // What is called from here on was caused by no event.
  actor->cause_sender = 0;
  actor->cause_sequence = 0;
  actor->cause_subject = 0;
  actor->running = false;
  bool ended = actor->ended;
  actor->ended = false;
  if (dispatched || error != 0) {
    trp_attachment_raise(actor->attachment);
  }
  arm(actor);
  if (error != 0) {
    return error;
  }
  if (ended) {
    return actor->status < 0 ? actor->status : 0;
  }
  return trp_actor_goes_on(actor);
}

int troupe_attach_look(void) {
  trp_actor_t *actor = attached();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (trp_actor_busy(actor)) {
    return TROUPE_EBUSY;
  }
  if (actor->attachment->raised) {
    return 1;
  }
  int64_t deadline = trp_timers_next(actor);
  return trp_inbox_look(actor->inbox, deadline) ||
         (deadline != TRP_FOREVER && trp_inbox_now(actor->inbox) >= deadline);
}

int troupe_flush(void) {
  trp_actor_t *actor = attached();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  trp_actor_flush(actor);
  if (!trp_actor_busy(actor)) {
    if (actor->later_first != NULL) {
      trp_attachment_raise(actor->attachment);
    }
    arm(actor);
  }
  return 0;
}

bool troupe_actor_held(void) {
  const trp_actor_t *actor = trp_actor_current();
  return actor != NULL && trp_actor_goes_on(actor);
}
