/// Private to core/actor: what an actor is made of.
#ifndef TRP_ACTOR_STATE_H_INCLUDED
#define TRP_ACTOR_STATE_H_INCLUDED

#include "core/actor/actor.h"

/// A batch that was taken from the inbox and is not dispatched whole.
typedef struct trp_arrival {
  struct trp_arrival *next;
  size_t dispatched; // messages before this one are done
  trp_in_t in;
} trp_arrival_t;

/// The result of a call that main made before any event.
typedef struct {
  uint32_t call;
  int64_t value;
} trp_kept_call_t;

struct trp_actor {
  const trp_execution_t *execution;
  trp_start_t start;
  trp_inbox_t *inbox;
  trp_tap_t *tap;
  bool
      recorded; // by more than the flight recorder: what is sent says after which event it was made
  unsigned recording_seen;
  trp_kept_call_t *calls;
  size_t call_count, call_capacity;
  bool keeps_no_calls;          // from here on
  trp_attachment_t *attachment; // NULL: not an attached thread
  trp_pool_t *pool;

  int64_t clock_ns; // what troupe_now() says
  int64_t last_flush_ns;
  uint64_t cause_sender, cause_sequence;   // the event that is being dispatched
  uint64_t cause_subject;                  // what that one is about
  uint64_t timers_sender, timers_sequence; // after which event a timer was started last
  uint32_t timers_started;                 // and how many after it
  uint64_t random[4];
  uint64_t next_counter;
  uint64_t self_sequence; // of the batches that it makes for itself
  uint32_t next_io;

  trp_map_t objects;
  trp_object_t *later_first, **later_last;
  trp_object_t *dead;
  unsigned depth;           // of application callbacks
  size_t holding, draining; // counts of objects

  trp_out_t *outs; // one for each I/O actor, outs[i] for actor i + 1
  trp_arrival_t *arrivals, **arrivals_last;
  trp_arrival_t *spare; // to be used again

  trp_heap_t timers;
  trp_heap_node_t grace; // set while stopping; in `timers`

  struct trp_messages *messages; // peers: made when the first message is sent or comes
  trp_map_t watches;             // each holds the actor

  bool running, on_running_told, stopping, grace_over, ended;
  int status;
  void (*on_stop)(void *context);
  void *on_stop_context;
  void (*on_recording_stopped)(int error, void *context);
  void *on_recording_stopped_context;
  trp_object_t *receiver; // of sockets that are given to it; in `objects`
};

/// Whether its inbox is a trace. One that goes on from a recording is live from some batch on.
static inline bool trp_actor_replays(const trp_actor_t *actor) {
  return actor->inbox->ops->recall != NULL;
}

/// timer.c
int64_t trp_timers_next(const trp_actor_t *actor); // the earliest deadline; TRP_FOREVER
/// Makes the batch of all timers that are due at the clock's value and takes it as if it had come.
/// 0 or an error.
int trp_timers_take_due(trp_actor_t *actor);
/// The same for one id: a time that is over and that is no timer's.
int trp_timers_take_one(trp_actor_t *actor, uint64_t id);
void trp_timers_event(trp_actor_t *actor, const trp_message_t *message);

/// messages.c
void trp_messages_event(trp_actor_t *actor, const trp_in_t *in, const trp_message_t *message);
void trp_messages_flush(trp_actor_t *actor);
void trp_messages_resume(trp_actor_t *actor); // troupe_actor_run() begins
bool trp_messages_holding(const trp_actor_t *actor);
size_t trp_messages_peers(const trp_actor_t *actor); // of how many other actors something is kept
void trp_messages_free(trp_actor_t *actor);

/// calls.c: when recording has just begun in the middle, what main found out at its beginning is told
/// it.
void trp_calls_tell_again(trp_actor_t *actor);

/// watch.c
void trp_watch_event(trp_actor_t *actor, const trp_message_t *message);
void trp_watch_free(trp_actor_t *actor);

/// actor.c: a batch that is about to be taken is recorded, if recording is on by now.
void trp_actor_record_in(trp_actor_t *actor, const trp_in_t *in);

/// actor.c: takes an arrival for the end of the queue; dispatched in its turn. NULL: no memory.
trp_arrival_t *trp_arrival_new(trp_actor_t *actor);
void trp_arrival_queue(trp_actor_t *actor, trp_arrival_t *arrival);
void trp_arrival_give_back(trp_actor_t *actor, trp_arrival_t *arrival);

/// actor.c: takes the next batch from the inbox, if one comes in time, and puts it behind those that
/// wait. 0 when one came or the time is over, or an error.
int trp_actor_take(trp_actor_t *actor, int64_t deadline_ns);
/// actor.c: dispatches one message of it; what comes of that is laid to this message.
void trp_actor_dispatch(trp_actor_t *actor, trp_arrival_t *arrival, size_t index);

void trp_actor_stop_now(trp_actor_t *actor);        // the grace is over
void trp_actor_fail(trp_actor_t *actor, int error); // troupe_actor_run() returns the error
/// What came through the system's front door is consumed: there is room for another.
void trp_actor_taken(trp_actor_t *actor, Troupe__Wire__Kind kind, size_t length);

/// Whether something holds it, so that troupe_actor_run() goes on.
bool trp_actor_goes_on(const trp_actor_t *actor);
/// Runs what was put off. Outside of callbacks.
void trp_actor_catch_up(trp_actor_t *actor);
/// Takes one batch, of timers or from the inbox, unless one waits already, and dispatches it.
/// `*timers_had_their_turn` is for the next call. 0 or an error; what was dispatched and not sent
/// is sent by trp_actor_flush().
typedef enum { TRP_DO_NOT_WAIT, TRP_WAIT } trp_patience_t;
int trp_actor_turn(trp_actor_t *actor, trp_patience_t patience, bool *timers_had_their_turn,
                   bool *dispatched);

/// attached.c: something is to be sent, or done, that nothing which comes will bring about. Makes
/// an attached thread's descriptor readable, outside of dispatches.
void trp_attached_touch(trp_actor_t *actor);
/// Batches may have been taken out of the inbox that are not dispatched: as trp_attached_touch(),
/// but whoever flushes.
void trp_attached_left(trp_actor_t *actor);
/// Outside of dispatches the clock goes on.
void trp_attached_clock(trp_actor_t *actor);

static inline void trp_actor_touch(trp_actor_t *actor) {
  if (actor->attachment != NULL) {
    trp_attached_touch(actor);
  }
}

/// Sends what was collected. Errors keep the batch for the next time.
void trp_actor_flush(trp_actor_t *actor);

#endif
