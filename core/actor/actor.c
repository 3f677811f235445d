/// An actor's life: what it starts with, the loop that takes batches and dispatches them, and its
/// end.
#include "core/actor/state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/trace.h>

#include "core/message/credit.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/support/assert.h"
#include "core/trace/calls.h"

enum {
  /// A batch of slow callbacks is answered in between, so that the first does not wait for the
  /// last.
  FLUSH_AFTER_NS = 50 * 1000,
};

static _Thread_local trp_actor_t *current;

static int set_up(trp_actor_t *actor, const trp_execution_t *execution);
static void tear_down(void *argument);
static void release_all(trp_actor_t *actor);
static int take_next(trp_actor_t *actor, trp_patience_t patience, bool *timers_had_their_turn);
static void dispatch(trp_actor_t *actor, trp_in_t *in, trp_message_t *message);
static void dispatch_first(trp_actor_t *actor);
static void stop(trp_actor_t *actor, uint32_t grace_ms);
static void stop_objects(trp_actor_t *actor, bool at_once);

trp_actor_t *trp_actor_current(void) {
  return current;
}

int trp_actor_begin(const trp_execution_t *execution) {
  trp_actor_t *actor = calloc(1, sizeof *actor);
  if (actor == NULL) {
    return TROUPE_ENOMEM;
  }
  int result = set_up(actor, execution);
  if (result != 0) {
    tear_down(actor);
  }
  return result;
}

void trp_actor_finish(int status) {
  trp_actor_t *actor = current;
  if (actor->tap != NULL) {
    trp_actor_flush(actor);
    trp_tap_end(actor->tap, status);
  }
  tear_down(actor);
}

int trp_actor_execute(const trp_execution_t *execution, bool *ran) {
  int result = trp_actor_begin(execution);
  *ran = result == 0;
  if (result != 0) {
    return result;
  }
  // main may leave by pthread_exit().
  pthread_cleanup_push(tear_down, current);
  result = execution->main(execution->argument);
  pthread_cleanup_pop(0);
  trp_actor_finish(result);
  return result;
}

static int set_up(trp_actor_t *actor, const trp_execution_t *execution) {
  actor->execution = execution;
  actor->start = *execution->start;
  actor->inbox = execution->inbox;
  actor->tap = execution->tap;
  actor->recorded = actor->tap != NULL && trp_tap_records(actor->tap);
  actor->recording_seen = execution->recording_seen;
  actor->attachment = execution->attachment;
  actor->clock_ns = actor->start.clock_ns;
  actor->last_flush_ns = actor->clock_ns;
  actor->later_last = &actor->later_first;
  actor->arrivals_last = &actor->arrivals;
  actor->next_counter = 1;
  actor->self_sequence = 1;
  // Actors that make one connection each do not all go to the first I/O actor.
  actor->next_io = trp_id_creator(actor->start.id);
  // splitmix64 spreads the seed over the generator's state, as its authors advise.
  uint64_t seed = actor->start.seed;
  for (size_t i = 0; i < 4; i++) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = (seed ^ (seed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    actor->random[i] = z ^ (z >> 31);
  }
  actor->outs = calloc(actor->start.io_actors, sizeof *actor->outs);
  if (actor->outs == NULL) {
    actor->start.io_actors = 0;
    return TROUPE_ENOMEM;
  }
  int error = trp_pool_new(&actor->pool);
  if (error != 0) {
    actor->start.io_actors = 0;
    return error;
  }
  for (uint32_t i = 0; i < actor->start.io_actors; i++) {
    trp_out_init(&actor->outs[i], actor->start.id, trp_id_actor(i + 1), actor->pool);
  }
  current = actor;
  for (uint32_t i = 0; i < actor->start.io_actors; i++) {
    trp_out_t *out = &actor->outs[i];
    trp_message_t *hello = trp_out_add(out, TRP_KIND(COMMAND_HELLO), 0);
    Troupe__Wire__Hello *detail = trp_out_take(out, sizeof *detail);
    if (hello == NULL || detail == NULL) {
      return TROUPE_ENOMEM;
    }
    *detail = (Troupe__Wire__Hello)TROUPE__WIRE__HELLO__INIT;
    detail->name = trp_out_text(out, actor->start.name);
    if (detail->name == NULL) {
      return TROUPE_ENOMEM;
    }
    detail->group = actor->start.group;
    detail->index = actor->start.index;
    hello->detail_case = TRP_DETAIL(HELLO);
    hello->hello = detail;
  }
  // The pipes to the I/O actors are made here, so that an actor without descriptors for them does
  // not start.
  for (uint32_t i = 0; i < actor->start.io_actors; i++) {
    if (actor->tap != NULL) {
      error = trp_out_pack(&actor->outs[i]);
      if (error != 0) {
        return error;
      }
      trp_tap_out(actor->tap, &actor->outs[i]);
    }
    error = trp_inbox_send(actor->inbox, &actor->outs[i]);
    if (error != 0) {
      return error;
    }
  }
  return execution->on_hello == NULL ? 0 : execution->on_hello(execution->context);
}

static void tear_down(void *argument) {
  trp_actor_t *actor = argument;
  if (actor->outs != NULL) {
    trp_actor_flush(actor);
  }
  actor->depth++; // what is released below makes no callbacks and needs no release of its own
  release_all(actor);
  while (actor->dead != NULL) {
    trp_object_t *object = actor->dead;
    actor->dead = object->next;
    object->type->release(object);
  }
  while (actor->arrivals != NULL) {
    trp_arrival_t *arrival = actor->arrivals;
    actor->arrivals = arrival->next;
    trp_in_free(&arrival->in);
    free(arrival);
  }
  while (actor->spare != NULL) {
    trp_arrival_t *arrival = actor->spare;
    actor->spare = arrival->next;
    trp_in_free(&arrival->in);
    free(arrival);
  }
  trp_messages_free(actor);
  trp_watch_free(actor);
  trp_map_free(&actor->objects);
  trp_heap_free(&actor->timers);
  for (uint32_t i = 0; i < actor->start.io_actors; i++) {
    trp_out_free(&actor->outs[i]);
  }
  free(actor->outs);
  free(actor->calls);
  trp_pool_close(&actor->pool);
  current = NULL;
  free(actor);
}

/// Every object that is left: those in the table, and those that were removed but had work put off
/// that now never runs.
static void release_all(trp_actor_t *actor) {
  for (trp_object_t *object = actor->later_first; object != NULL;) {
    trp_object_t *next = object->next;
    object->queued = false;
    if (object->dead) {
      object->type->release(object);
    }
    object = next;
  }
  actor->later_first = NULL;
  actor->later_last = &actor->later_first;
  while (trp_map_count(&actor->objects) > 0) {
    size_t cursor = 0;
    void *value = NULL;
    while (trp_map_iterate(&actor->objects, &cursor, NULL, &value)) {
      trp_object_t *object = value;
      trp_map_remove(&actor->objects, object->id);
      object->type->release(object);
      cursor--; // another one may have moved up to its place
    }
  }
}

int troupe_actor_run(void) {
  trp_actor_t *actor = current;
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (actor->running || actor->depth > 0) {
    return TROUPE_EBUSY;
  }
  actor->running = true;
  trp_messages_resume(actor);
  trp_actor_catch_up(actor); // work that main put off
  trp_actor_flush(actor);
  if (!actor->on_running_told) {
    actor->on_running_told = true;
    if (actor->execution->on_running != NULL) {
      actor->execution->on_running(actor->execution->context);
    }
  }
  int error = 0;
  bool timers_had_their_turn = false;
  while (error == 0 && trp_actor_goes_on(actor)) {
    bool dispatched = false;
    error = trp_actor_turn(actor, TRP_WAIT, &timers_had_their_turn, &dispatched);
    trp_actor_flush(actor);
  }
  actor->running = false;
  if (actor->attachment != NULL) {
    trp_attached_left(actor);
  }
  bool ended = actor->ended;
  actor->ended = false;
  if (error != 0 && error != TROUPE_ESTOPPED) {
    return error;
  }
  return ended ? actor->status : 0;
}

void trp_actor_catch_up(trp_actor_t *actor) {
  trp_actor_enter(actor);
  trp_actor_leave(actor);
}

int trp_actor_turn(trp_actor_t *actor, trp_patience_t patience, bool *timers_had_their_turn,
                   bool *dispatched) {
  int error = 0;
  if (actor->arrivals == NULL) {
    error = take_next(actor, patience, timers_had_their_turn);
  }
  *dispatched = error == 0 && actor->arrivals != NULL;
  if (*dispatched) {
    dispatch_first(actor);
  }
  return error;
}

bool trp_actor_goes_on(const trp_actor_t *actor) {
  if (actor->ended) {
    return false;
  }
  if (actor->stopping) {
    return actor->draining > 0;
  }
  return actor->holding > 0 || actor->later_first != NULL || trp_map_count(&actor->watches) > 0 ||
         trp_messages_holding(actor);
}

int troupe_actor_end(int status) {
  trp_actor_t *actor = current;
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  actor->ended = true;
  actor->status = status;
  return 0;
}

void trp_actor_fail(trp_actor_t *actor, int error) {
  actor->ended = true;
  actor->status = error;
}

void trp_actor_taken(trp_actor_t *actor, Troupe__Wire__Kind kind, size_t length) {
  if (actor->execution->on_taken != NULL) {
    actor->execution->on_taken(actor->execution->context, kind, length);
  }
}

/// Waits for the next batch: of timers that are due, or from the inbox. They take turns, so that
/// timers which are always due again do not keep everything else out.
static int take_next(trp_actor_t *actor, trp_patience_t patience, bool *timers_had_their_turn) {
  int error = 0;
  if (*timers_had_their_turn) {
    *timers_had_their_turn = false;
    error = trp_actor_take(actor, 0);
  }
  if (error == 0 && actor->arrivals == NULL) {
    error = trp_timers_take_due(actor);
    *timers_had_their_turn = actor->arrivals != NULL;
  }
  if (error == 0 && actor->arrivals == NULL) {
    error = trp_actor_take(actor, patience == TRP_WAIT ? trp_timers_next(actor) : 0);
  }
  return error;
}

int trp_actor_take(trp_actor_t *actor, int64_t deadline_ns) {
  trp_arrival_t *arrival = trp_arrival_new(actor);
  if (arrival == NULL) {
    return TROUPE_ENOMEM;
  }
  int result = trp_inbox_receive(actor->inbox, deadline_ns, &arrival->in);
  while (result == TROUPE_EBADMESSAGE) {
    // What could not be read is dropped: its sender is this same library, so it is no peer's fault
    // and no reason to end.
    trp_in_reset(&arrival->in);
    result = trp_inbox_receive(actor->inbox, deadline_ns, &arrival->in);
  }
  if (result == 1) {
    trp_actor_record_in(actor, &arrival->in);
    trp_arrival_queue(actor, arrival);
    return 0;
  }
  trp_arrival_give_back(actor, arrival);
  if (result < 0) {
    trp_actor_called(actor, TRP_CALL_RECEIVE, result); // a replay fails at the same place
  }
  return result;
}

void trp_actor_record_in(trp_actor_t *actor, const trp_in_t *in) {
  const trp_execution_t *execution = actor->execution;
  if (execution->recording != NULL) {
    // Nothing has crossed the inbox since it changed that was not taken in time: it is looked at
    // before each batch.
    unsigned now = atomic_load_explicit(execution->recording, memory_order_acquire);
    if (now != actor->recording_seen) {
      actor->recording_seen = now;
      actor->tap = execution->on_recording(execution->context, in->received_ns);
      actor->recorded = actor->tap != NULL && trp_tap_records(actor->tap);
      trp_calls_tell_again(actor);
    }
  }
  if (actor->tap != NULL) {
    trp_tap_in(actor->tap, in);
  }
}

trp_arrival_t *trp_arrival_new(trp_actor_t *actor) {
  trp_arrival_t *arrival = actor->spare;
  if (arrival != NULL) {
    actor->spare = arrival->next;
  } else {
    arrival = malloc(sizeof *arrival);
    if (arrival == NULL) {
      return NULL;
    }
    trp_in_init(&arrival->in);
  }
  arrival->next = NULL;
  arrival->dispatched = 0;
  return arrival;
}

void trp_arrival_queue(trp_actor_t *actor, trp_arrival_t *arrival) {
  // All the cost of what has left the inbox is given back at once: the batch is the actor's own
  // memory from here on.
  const trp_wire_batch_t *batch = arrival->in.batch;
  if (trp_id_is_io_actor(batch->sender) &&
      trp_id_creator(batch->sender) <= actor->start.io_actors) {
    trp_out_t *out = &actor->outs[trp_id_creator(batch->sender) - 1];
    for (size_t i = 0; i < batch->n_messages; i++) {
      if (batch->messages[i]->kind == TRP_KIND(EVENT_DATA)) {
        out->window += trp_data_cost(batch->messages[i]->length);
      }
    }
  }
  if (batch->sender == actor->start.id && trp_actor_replays(actor)) {
    actor->self_sequence = batch->first_sequence + batch->n_messages; // should it go on live
  }
  *actor->arrivals_last = arrival;
  actor->arrivals_last = &arrival->next;
}

void trp_arrival_give_back(trp_actor_t *actor, trp_arrival_t *arrival) {
  trp_in_reset(&arrival->in);
  arrival->next = actor->spare;
  actor->spare = arrival;
}

static uint64_t subject_of(const trp_message_t *message) {
  return message->detail_case == TRP_DETAIL(CONNECTION) ? message->connection->socket
                                                        : message->subject;
}

/// Dispatches the batch that waits first, whole.
static void dispatch_first(trp_actor_t *actor) {
  trp_arrival_t *arrival = actor->arrivals;
  actor->clock_ns = arrival->in.received_ns;
  const trp_wire_batch_t *batch = arrival->in.batch;
  while (arrival->dispatched < batch->n_messages && !actor->ended) {
    trp_actor_dispatch(actor, arrival, arrival->dispatched++);
    if (trp_actor_replays(actor)) {
      trp_actor_flush(actor); // so that a difference is told with the very event that made it
    } else if (arrival->dispatched < batch->n_messages) {
      int64_t now = trp_inbox_now(actor->inbox);
      if (now - actor->last_flush_ns > FLUSH_AFTER_NS) {
        trp_actor_flush(actor);
      }
    }
  }
  if (arrival->dispatched < batch->n_messages) {
    return;
  }
  actor->arrivals = arrival->next;
  if (actor->arrivals == NULL) {
    actor->arrivals_last = &actor->arrivals;
  }
  trp_arrival_give_back(actor, arrival);
}

void trp_actor_dispatch(trp_actor_t *actor, trp_arrival_t *arrival, size_t index) {
  const trp_wire_batch_t *batch = arrival->in.batch;
  actor->cause_sender = batch->sender;
  actor->cause_sequence = batch->first_sequence + index;
  actor->cause_subject = subject_of(batch->messages[index]);
  dispatch(actor, &arrival->in, batch->messages[index]);
}

static void dispatch(trp_actor_t *actor, trp_in_t *in, trp_message_t *message) {
  trp_actor_enter(actor);
  switch (message->kind) {
  case TRP_KIND(KIND_NONE): // was dispatched before its turn
    break;
  case TRP_KIND(EVENT_STOP):
    stop(actor, message->detail_case == TRP_DETAIL(STOP) ? message->stop->grace_ms : 0);
    break;
  case TRP_KIND(EVENT_TIMER):
    trp_timers_event(actor, message);
    break;
  case TRP_KIND(EVENT_RECORDING_STOPPED):
    if (actor->on_recording_stopped != NULL && message->detail_case == TRP_DETAIL(ERROR)) {
      actor->on_recording_stopped(message->error->code, actor->on_recording_stopped_context);
    }
    break;
  case TRP_KIND(EVENT_MESSAGE):
  case TRP_KIND(EVENT_MESSAGE_CREDIT):
  case TRP_KIND(EVENT_GONE):
    trp_messages_event(actor, in, message);
    break;
  case TRP_KIND(EVENT_DOWN):
    trp_watch_event(actor, message);
    break;
  case TRP_KIND(EVENT_HANDED):
    if (actor->receiver == NULL || actor->grace_over) {
      trp_actor_turn_away(actor, message);
    } else {
      actor->receiver->type->event(actor->receiver, in, message);
    }
    break;
  default: {
    if (message->kind == TRP_KIND(EVENT_ABORT)) {
      trp_actor_taken(actor, message->kind, 0);
    }
    trp_object_t *object = trp_map_get(&actor->objects, message->subject);
    if (object != NULL && object->type->event != NULL) {
      object->type->event(object, in, message);
    } else if (message->kind == TRP_KIND(EVENT_CONNECTION) &&
               message->detail_case == TRP_DETAIL(CONNECTION)) {
      // The server went while the connection was under way: nobody else knows of the socket.
      trp_actor_command(actor, TRP_KIND(COMMAND_DESTROY), message->connection->socket);
    }
    break;
  }
  }
  trp_actor_leave(actor);
}

static void stop(trp_actor_t *actor, uint32_t grace_ms) {
  if (!actor->stopping) {
    actor->stopping = true;
    stop_objects(actor, false);
    if (actor->on_stop != NULL) {
      trp_actor_enter(actor);
      actor->on_stop(actor->on_stop_context);
      trp_actor_leave(actor);
    }
  }
  int64_t deadline = actor->clock_ns + (int64_t)grace_ms * 1000000;
  if (grace_ms == 0) {
    trp_actor_stop_now(actor);
  } else if (!trp_heap_holds(&actor->grace) || deadline < actor->grace.deadline_ns) {
    if (trp_heap_set(&actor->timers, &actor->grace, deadline) != 0) {
      trp_actor_stop_now(actor);
    }
  }
}

void trp_actor_stop_now(trp_actor_t *actor) {
  if (actor->grace_over) {
    return;
  }
  actor->grace_over = true;
  trp_heap_remove(&actor->timers, &actor->grace);
  stop_objects(actor, true);
}

/// Each object once. One that goes while the table is gone through moves others, so it is begun
/// again after that.
static void stop_objects(trp_actor_t *actor, bool at_once) {
  uint8_t round = at_once ? 2 : 1;
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&actor->objects, &cursor, NULL, &value)) {
    trp_object_t *object = value;
    if (object->stop_round >= round || object->type->stop == NULL) {
      continue;
    }
    object->stop_round = round;
    size_t count = trp_map_count(&actor->objects);
    object->type->stop(object, at_once);
    if (trp_map_count(&actor->objects) != count) {
      cursor = 0;
    }
  }
}

void trp_actor_flush(trp_actor_t *actor) {
  if (!trp_actor_replays(actor)) {
    actor->last_flush_ns = trp_inbox_now(actor->inbox);
  }
  for (uint32_t i = 0; i < actor->start.io_actors; i++) {
    trp_out_t *out = &actor->outs[i];
    // A window that has grown much is told even when there is nothing else to tell.
    if (trp_out_empty(out) &&
        out->window - out->window_told < TRP_WINDOW_STEP / actor->start.io_actors) {
      continue;
    }
    bool first = out->envelope == NULL;
    if (first && trp_out_pack(out) != 0) {
      continue;
    }
    if (first && actor->tap != NULL) {
      trp_tap_out(actor->tap, out);
    }
    uint64_t window = out->window;
    if (trp_inbox_send(actor->inbox, out) == 0) {
      out->window_told = window;
    }
  }
  if (actor->messages != NULL) {
    trp_messages_flush(actor);
  }
}

trp_message_t *trp_actor_command(trp_actor_t *actor, Troupe__Wire__Kind kind, uint64_t subject) {
  trp_out_t *out = trp_actor_out(actor, subject);
  if (out->envelope != NULL) {
    // It was packed and could not be sent; what comes now makes it another batch.
    trp_frame_release(out->envelope);
    out->envelope = NULL;
  }
  if (out->count == 0) {
    out->cause_sender = actor->cause_sender;
    out->cause_sequence = actor->cause_sequence;
    trp_actor_touch(actor);
  }
  if (actor->recorded) {
    trp_out_note_cause(out, actor->cause_sender, actor->cause_sequence);
  }
  return trp_out_add(out, kind, subject);
}

trp_out_t *trp_actor_out(trp_actor_t *actor, uint64_t subject) {
  // Actors and whatever no I/O actor serves are the first one's business.
  uint32_t io = trp_id_io(subject);
  return &actor->outs[io >= 1 && io <= actor->start.io_actors ? io - 1 : 0];
}

uint64_t trp_actor_new_id(trp_actor_t *actor, int io) {
  if (actor->next_counter > TRP_ID_COUNTER_MAX) {
    return 0;
  }
  uint32_t number = (uint32_t)io;
  if (io == TRP_ANY_IO) {
    number = actor->next_io++ % actor->start.io_actors + 1;
  }
  return trp_id_make(number, trp_id_creator(actor->start.id), actor->next_counter++);
}

int trp_actor_io_of_fd(const trp_actor_t *actor, int fd) {
  return (int)((unsigned)fd % actor->start.io_actors) + 1;
}

void trp_actor_set_receiver(trp_actor_t *actor, trp_object_t *receiver) {
  actor->receiver = receiver;
}

trp_object_t *trp_actor_receiver(const trp_actor_t *actor) {
  return actor->receiver;
}

void trp_actor_turn_away(trp_actor_t *actor, const trp_message_t *message) {
  trp_message_t *command = trp_actor_command(actor, TRP_KIND(COMMAND_DESTROY), message->subject);
  if (command != NULL) {
    command->epoch = message->epoch;
  }
}

const trp_start_t *trp_actor_start(const trp_actor_t *actor) {
  return &actor->start;
}

void *trp_actor_context(const trp_actor_t *actor) {
  return actor->execution->context;
}

bool trp_actor_busy(const trp_actor_t *actor) {
  return actor->running || actor->depth > 0;
}

struct troupe_system *trp_actor_system(const trp_actor_t *actor) {
  return actor->execution->system;
}

struct trp_defaults *trp_actor_defaults(const trp_actor_t *actor) {
  return actor->execution->defaults;
}

trp_inbox_t *trp_actor_inbox(const trp_actor_t *actor) {
  return actor->inbox;
}

trp_tap_t *trp_actor_tap(const trp_actor_t *actor) {
  return actor->tap;
}

int64_t trp_actor_now(const trp_actor_t *actor) {
  return actor->clock_ns;
}

troupe_actor_t troupe_actor_self(void) {
  return (troupe_actor_t){.id = current == NULL ? 0 : current->start.id};
}

const char *troupe_actor_name(void) {
  return current == NULL ? NULL : current->start.name;
}

unsigned troupe_actor_index(void) {
  return current == NULL ? 0 : current->start.index;
}

int64_t troupe_now(void) {
  if (current == NULL) {
    return 0;
  }
  trp_attached_clock(current);
  return current->clock_ns;
}

static uint64_t rotate(uint64_t x, int by) {
  return (x << by) | (x >> (64 - by));
}

/// xoshiro256++: small, fast, good enough for everything but secrets.
uint64_t troupe_random(void) {
  if (current == NULL) {
    return 0;
  }
  uint64_t *s = current->random;
  uint64_t result = rotate(s[0] + s[3], 23) + s[0];
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

int troupe_actor_on_stop(void (*on_stop)(void *context), void *context) {
  if (current == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  current->on_stop = on_stop;
  current->on_stop_context = context;
  return 0;
}

int troupe_actor_on_recording_stopped(void (*on_stopped)(int error, void *context), void *context) {
  if (current == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  current->on_recording_stopped = on_stopped;
  current->on_recording_stopped_context = context;
  return 0;
}
