/// Selective receive: an actor waits for one event, and what else comes meanwhile waits for its turn.
#include "core/actor/state.h"

static int search(trp_actor_t *actor, trp_arrival_t *arrival, size_t next, Troupe__Wire__Kind kind,
                  uint64_t subject, uint64_t timeout_id);
static int take_in_time(trp_actor_t *actor, int64_t deadline, uint64_t timeout_id);

int trp_actor_await(trp_actor_t *actor, Troupe__Wire__Kind kind, uint64_t subject, int timeout_ms) {
  trp_actor_flush(actor);
  if (actor->attachment != NULL) {
    trp_attached_left(actor);
  }
  int64_t deadline = TRP_FOREVER;
  uint64_t timeout_id = 0;
  if (timeout_ms >= 0) {
    deadline = trp_inbox_now(actor->inbox) + (int64_t)timeout_ms * 1000000;
    timeout_id = trp_actor_new_id(actor, 0);
    if (timeout_id == 0) {
      return TROUPE_EOVERFLOW;
    }
  }
  uint64_t cause_sender = actor->cause_sender;
  uint64_t cause_sequence = actor->cause_sequence;
  uint64_t cause_subject = actor->cause_subject;
  trp_arrival_t *arrival = actor->arrivals;
  size_t next = arrival == NULL ? 0 : arrival->dispatched;
  for (;;) {
    for (; arrival != NULL; arrival = arrival->next, next = 0) {
      int result = search(actor, arrival, next, kind, subject, timeout_id);
      if (result != 1) {
        trp_actor_flush(actor);
        // What comes now belongs to whoever called.
        actor->cause_sender = cause_sender;
        actor->cause_sequence = cause_sequence;
        actor->cause_subject = cause_subject;
        return result;
      }
    }
    trp_arrival_t **end = actor->arrivals_last;
    int error = take_in_time(actor, deadline, timeout_id);
    if (error != 0) {
      return error;
    }
    arrival = *end;
    next = 0;
  }
}

/// Dispatches what is about `subject` in an arrival, from the message `next` on, until the awaited
/// event was there or the time was over (its own event, `timeout_id`). 1: go on with the next
/// arrival.
static int search(trp_actor_t *actor, trp_arrival_t *arrival, size_t next, Troupe__Wire__Kind kind,
                  uint64_t subject, uint64_t timeout_id) {
  const trp_wire_batch_t *batch = arrival->in.batch;
  for (; next < batch->n_messages; next++) {
    trp_message_t *message = batch->messages[next];
    Troupe__Wire__Kind seen = message->kind;
    if (seen == TRP_KIND(EVENT_TIMER) && message->subject == timeout_id) {
      message->kind = TRP_KIND(KIND_NONE);
      return TROUPE_ETIMEDOUT;
    }
    if (message->subject != subject || seen == TRP_KIND(KIND_NONE)) {
      continue;
    }
    // Of a server that listens: another I/O actor may have told it before, and it is for later.
    if (kind == TRP_KIND(EVENT_LISTENING) && seen == TRP_KIND(EVENT_CONNECTION)) {
      continue;
    }
    trp_actor_dispatch(actor, arrival, next);
    message->kind = TRP_KIND(KIND_NONE);
    if (seen == kind || seen == TRP_KIND(EVENT_ERROR)) {
      return 0;
    }
  }
  return 1;
}

/// Takes one batch. When the time is over this makes the event that says so, by which a replay
/// knows it, too.
static int take_in_time(trp_actor_t *actor, int64_t deadline, uint64_t timeout_id) {
  trp_arrival_t **end = actor->arrivals_last;
  while (*end == NULL) {
    int error = trp_actor_take(actor, deadline);
    if (error == 0 && *end == NULL && !trp_actor_replays(actor) && deadline != TRP_FOREVER &&
        trp_inbox_now(actor->inbox) >= deadline) {
      error = trp_timers_take_one(actor, timeout_id);
    }
    if (error != 0) {
      return error;
    }
  }
  return 0;
}
