/// Timers. A timer that is due becomes an event of the actor to itself, so that a trace holds it
/// like any other.
#include <troupe/timer.h>

#include <stdlib.h>

#include "core/actor/state.h"
#include "core/message/id.h"

typedef struct {
  trp_object_t object;
  trp_heap_node_t node;
  int64_t repeat_ns;
  uint64_t cause_sender, cause_sequence; // the event after which it was started
  uint64_t cause_subject;                // what that was about
  uint32_t index;                        // among all that were started after it
  troupe_timer_fn on_timer;
  void *context;
} trp_timer_t;

static void release(trp_object_t *object);
static void describe(const trp_object_t *object, troupe_handle_t *handle);
static void note_cause(trp_actor_t *actor, trp_timer_t *timer);
static bool tell_cause(trp_out_t *out, trp_message_t *event, const trp_timer_t *timer);
static trp_timer_t *find_started(const trp_actor_t *actor, const trp_message_t *event);
static int take_own(trp_actor_t *actor, trp_out_t *out, int64_t now);

static const trp_object_type_t timer_type = {.release = release, .describe = describe};

static trp_timer_t *timer_of(trp_heap_node_t *node) {
  return (trp_timer_t *)(void *)((char *)node - offsetof(trp_timer_t, node));
}

int troupe_timer_start(troupe_timer_t *timer, unsigned delay_ms, unsigned repeat_ms,
                       troupe_timer_fn on_timer, void *context) {
  return troupe_timer_start_at(NULL, timer, delay_ms, repeat_ms, on_timer, context);
}

int troupe_timer_start_at(const char *made_at, troupe_timer_t *timer, unsigned delay_ms,
                          unsigned repeat_ms, troupe_timer_fn on_timer, void *context) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (on_timer == NULL) {
    return TROUPE_EINVAL;
  }
  trp_timer_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->object.type = &timer_type;
  made->object.id = trp_actor_new_id(actor, 0);
  made->object.made_at = made_at;
  made->repeat_ns = (int64_t)repeat_ms * 1000000;
  made->on_timer = on_timer;
  made->context = context;
  note_cause(actor, made);
  int error = made->object.id == 0 ? TROUPE_EOVERFLOW : trp_object_add(actor, &made->object);
  if (error != 0) {
    free(made);
    return error;
  }
  trp_attached_clock(actor);
  error = trp_heap_set(&actor->timers, &made->node, actor->clock_ns + (int64_t)delay_ms * 1000000);
  if (error != 0) {
    trp_object_remove(&made->object);
    return error;
  }
  trp_object_hold(&made->object, true);
  trp_actor_touch(actor);
  if (timer != NULL) {
    timer->id = made->object.id;
  }
  return 0;
}

/// By what a replay knows it, whatever its id is there.
static void note_cause(trp_actor_t *actor, trp_timer_t *timer) {
  if (actor->timers_sender != actor->cause_sender ||
      actor->timers_sequence != actor->cause_sequence) {
    actor->timers_sender = actor->cause_sender;
    actor->timers_sequence = actor->cause_sequence;
    actor->timers_started = 0;
  }
  timer->cause_sender = actor->cause_sender;
  timer->cause_sequence = actor->cause_sequence;
  timer->cause_subject = actor->cause_subject;
  timer->index = actor->timers_started++;
}

int troupe_timer_stop(troupe_timer_t timer) {
  trp_object_t *object = NULL;
  int error = trp_object_get(timer.id, &timer_type, &object);
  if (error == 0) {
    trp_object_remove(object);
  }
  return error;
}

static int set_ref(troupe_timer_t timer, bool ref) {
  trp_object_t *object = NULL;
  int error = trp_object_get(timer.id, &timer_type, &object);
  if (error == 0) {
    trp_object_hold(object, ref);
  }
  return error;
}

int troupe_timer_unref(troupe_timer_t timer) {
  return set_ref(timer, false);
}

int troupe_timer_ref(troupe_timer_t timer) {
  return set_ref(timer, true);
}

static void release(trp_object_t *object) {
  trp_timer_t *timer = (trp_timer_t *)(void *)object;
  trp_heap_remove(&object->actor->timers, &timer->node);
  free(timer);
}

static void describe(const trp_object_t *object, troupe_handle_t *handle) {
  (void)object;
  handle->kind = TROUPE_HANDLE_TIMER;
  handle->state = "waiting";
}

int64_t trp_timers_next(const trp_actor_t *actor) {
  const trp_heap_node_t *first = trp_heap_first(&actor->timers);
  return first == NULL || trp_actor_replays(actor) ? TRP_FOREVER : first->deadline_ns;
}

int trp_timers_take_due(trp_actor_t *actor) {
  trp_heap_node_t *first = trp_heap_first(&actor->timers);
  if (first == NULL || trp_actor_replays(actor)) {
    return 0; // a replay's timers are in the trace
  }
  int64_t now = trp_inbox_now(actor->inbox);
  if (first->deadline_ns > now) {
    return 0;
  }
  trp_out_t out;
  trp_out_init(&out, actor->start.id, actor->start.id, actor->pool);
  // Timers that are not in the batch wait in the heap.
  while (first != NULL && first->deadline_ns <= now) {
    trp_timer_t *timer = first == &actor->grace ? NULL : timer_of(first);
    uint64_t id = timer == NULL ? actor->start.id : timer->object.id;
    trp_message_t *event = trp_out_add(&out, TRP_KIND(EVENT_TIMER), id);
    if (event == NULL) {
      break;
    }
    if (actor->recorded && timer != NULL && !tell_cause(&out, event, timer)) {
      trp_out_undo(&out);
      break;
    }
    trp_heap_remove(&actor->timers, first);
    first = trp_heap_first(&actor->timers);
  }
  return take_own(actor, &out, now);
}

static bool tell_cause(trp_out_t *out, trp_message_t *event, const trp_timer_t *timer) {
  Troupe__Wire__Timer *detail = trp_out_take(out, sizeof *detail);
  if (detail == NULL) {
    return false;
  }
  *detail = (Troupe__Wire__Timer)TROUPE__WIRE__TIMER__INIT;
  detail->cause_sender = timer->cause_sender;
  detail->cause_sequence = timer->cause_sequence;
  detail->index = timer->index;
  detail->subject = timer->cause_subject;
  event->detail_case = TRP_DETAIL(TIMER);
  event->timer = detail;
  return true;
}

int trp_timers_take_one(trp_actor_t *actor, uint64_t id) {
  trp_out_t out;
  trp_out_init(&out, actor->start.id, actor->start.id, actor->pool);
  trp_out_add(&out, TRP_KIND(EVENT_TIMER), id);
  return take_own(actor, &out, trp_inbox_now(actor->inbox));
}

/// Takes a batch of the actor's own as if it had come, and frees it. What is in it must not be
/// lost, so an error here ends the actor.
static int take_own(trp_actor_t *actor, trp_out_t *out, int64_t now) {
  trp_arrival_t *arrival = trp_arrival_new(actor);
  int error = arrival == NULL || trp_out_empty(out) ? TROUPE_ENOMEM : 0;
  if (error == 0) {
    out->next_sequence = actor->self_sequence;
    actor->self_sequence += out->count;
    error = trp_out_pack(out);
  }
  if (error == 0) {
    error = trp_in_push(&arrival->in, out->envelope);
  }
  if (error == 0) {
    out->envelope = NULL;
    arrival->in.received_ns = now;
    error = trp_in_open(&arrival->in);
  }
  trp_out_free(out);
  if (error != 0) {
    if (arrival != NULL) {
      trp_arrival_give_back(actor, arrival);
    }
    return error;
  }
  trp_actor_record_in(actor, &arrival->in);
  trp_arrival_queue(actor, arrival);
  return 0;
}

static bool was_started(const trp_timer_t *timer, const Troupe__Wire__Timer *by) {
  return timer->cause_sender == by->cause_sender && timer->cause_sequence == by->cause_sequence &&
         timer->index == by->index;
}

/// Looks through all of them; only where a part of a trace is replayed.
static trp_timer_t *find_started(const trp_actor_t *actor, const trp_message_t *event) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&actor->objects, &cursor, NULL, &value)) {
    trp_object_t *object = value;
    trp_timer_t *timer = (trp_timer_t *)(void *)object;
    if (object->type == &timer_type && was_started(timer, event->timer)) {
      return timer;
    }
  }
  return NULL;
}

void trp_timers_event(trp_actor_t *actor, const trp_message_t *message) {
  if (message->subject == actor->start.id) {
    trp_actor_stop_now(actor);
    return;
  }
  trp_object_t *object = trp_object_find(actor, message->subject, &timer_type);
  trp_timer_t *timer = (trp_timer_t *)(void *)object;
  if (trp_actor_replays(actor) && message->detail_case == TRP_DETAIL(TIMER) &&
      (timer == NULL || !was_started(timer, message->timer))) {
    timer = find_started(actor, message);
  }
  if (timer == NULL) {
    return; // stopped after it was due
  }
  object = &timer->object;
  actor->cause_subject = timer->cause_subject;
  if (timer->repeat_ns > 0) {
    // There is room: the node was in the heap before, or the heap was as large when it was set.
    if (trp_heap_set(&actor->timers, &timer->node, actor->clock_ns + timer->repeat_ns) != 0) {
      trp_actor_fail(actor, TROUPE_ENOMEM);
      return;
    }
  } else {
    trp_object_remove(object);
  }
  timer->on_timer((troupe_timer_t){.id = object->id}, timer->context);
}
