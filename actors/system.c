/// Puts core and actors together: a system's I/O actors, the threads of its user actors, and the
/// calls that come from any thread.
///
/// The mutex guards the table of actors. It is held for a few instructions only, never while
/// anything is waited for, and never on the way of the data.
#include <troupe/attach.h>
#include <troupe/handle.h>
#include <troupe/trace.h>

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "actors/ground.h"
#include "core/actor/actor.h"
#include "core/message/credit.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/net/abort.h"
#include "core/net/defaults.h"
#include "core/support/map.h"
#include "core/support/spin.h"
#include "core/support/thread.h"
#include "core/trace/calls.h"
#include "core/trace/recorder.h"

enum {
  COPIES_MAX = 4096,
  POST_MAX = 16 * 1024 * 1024,
  /// What may be under way from outside to an actor: bytes of messages, and how many messages and
  /// aborts. Stops are not counted: one that asks for no more than an earlier one is not sent.
  POSTED_BYTES_MAX = POST_MAX,
  POSTED_MAX = TRP_MESSAGE_CREDIT,
  SIGNAL_GRACE_MS = 1000,
  IO_STOP_MS = 5000,
  IO_HELLO_MS = 10000,
  COUNTERS_MS = 1000,
  /// Actors that ended and that nobody joined: so many results are remembered.
  ENDED_MAX = 1024,
};

typedef enum {
  STARTING, // its thread begins
  KNOWN, // the I/O actors have its HELLO: it can be sent to, watched and stopped; main sets up what
         // the actor has
  RUNNING, // main is in troupe_actor_run(): whoever spawned it goes on
  ENDED,
} life_t;

typedef enum { NOT_JOINED, JOINING, JOINED } joined_t;

/// Credit of what comes from outside to an actor, of one kind.
typedef struct {
  uint64_t count, bytes;                  // posted so far; with the mutex held
  atomic_ullong taken_count, taken_bytes; // of these, consumed
} posted_t;

/// One actor, from its spawn until somebody has asked for its result.
typedef struct record {
  struct record *next;
  troupe_system_t *system;
  trp_start_t start;
  troupe_main_fn main;
  void *argument; // what main gets
  pthread_t thread;
  void *ticket;    // the ground's, for the thread
  joined_t joined; // whether the thread's memory is given back; JOINING: somebody waits for its
                   // last instructions
  unsigned pins;   // the table, and whoever spawns it
  bool in_table;
  bool stop_wanted; // asked for; with the shortest grace so far
  unsigned stop_grace_ms;
  posted_t messages, aborts; // from threads that are no actors, mostly
  life_t life;
  int status;
  troupe_reason_t reason;
  // Used by the actor's own thread alone.
  trp_inbox_t *inbox;
  trp_inbox_t *tap_inbox; // the ground's, when it is another
  trp_tap_t *tap;
  trp_execution_t execution;
  trp_attachment_t attachment;
  pthread_key_t at_exit; // of an attached thread: its destructor detaches
  bool attached;
  bool said_hello;
  bool was_known; // all I/O actors had its HELLO
  bool returned;
} record_t;

struct troupe_system {
  trp_ground_t *ground;
  uint64_t seed;
  trp_defaults_t defaults;
  trp_recorder_t *recorder;
  trp_flight_t *flight;  // likewise under the mutex
  atomic_uint recording; // changes when recording, or the flight recorder, begins or ends
  pthread_mutex_t mutex;
  pthread_cond_t changed; // an actor came to run, ended, or its thread was joined
  record_t *records;      // the newest first
  size_t running;         // those that have not ended
  size_t ended;
  uint32_t next_number;
  uint32_t next_recorder; // counted down: actors have the same ids whether they are recorded or not
  uint64_t next_group;
  bool stopping;
};

static int post(troupe_system_t *system, const trp_io_call_t *call);
static void *run_actor(void *argument);
static void end_actor(void *argument);
static void say_bye(record_t *record);
static int start_copy(troupe_system_t *system, const troupe_spawn_options_t *options,
                      uint32_t index, uint64_t group, uint64_t *id);
static void reap(troupe_system_t *system);
static void forget(troupe_system_t *system, record_t *record);
static void unpin(record_t *record);
static int stop_actor(troupe_system_t *system, uint64_t id, unsigned grace_ms);
static int stop_record(troupe_system_t *system, record_t *record, unsigned grace_ms);
static int join(troupe_system_t *system, uint64_t id, int timeout_ms, int *status);

/// Of the clock that inboxes read; below 0: never.
static int64_t deadline_ns(const troupe_system_t *system, int timeout_ms) {
  return timeout_ms < 0 ? TRP_FOREVER
                        : system->ground->ops->now(system->ground) + (int64_t)timeout_ms * 1000000;
}

/// Waits for a change until the deadline; false when it is over. With the mutex held.
static bool wait_for_change(troupe_system_t *system, int64_t deadline) {
  return system->ground->ops->wait(system->ground, &system->changed, &system->mutex, deadline);
}

/// With the mutex held.
static void tell_change(troupe_system_t *system) {
  system->ground->ops->wake(system->ground, &system->changed);
}

static int64_t spin_ns_of(const troupe_system_options_t *options) {
  if (options->spin_us == 0) {
    return TRP_SPIN_DEFAULT_NS;
  }
  return options->spin_us < 0 ? 0 : (int64_t)options->spin_us * 1000;
}

/// A system that stands on nothing yet.
static int make_system(uint64_t seed, troupe_system_t **system) {
  troupe_system_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->next_number = TRP_IO_ACTORS_MAX + 1;
  made->next_recorder = TRP_ID_CREATOR_MAX;
  made->next_group = 1;
  made->seed = seed;
  atomic_init(&made->defaults.auto_select_family, true);
  atomic_init(&made->defaults.attempt_timeout_ms, TRP_ATTEMPT_TIMEOUT_MS);
  if (made->seed == 0 && getrandom(&made->seed, sizeof made->seed, GRND_NONBLOCK) < 0) {
    made->seed = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)made;
  }
  if (pthread_mutex_init(&made->mutex, NULL) != 0) {
    goto no_mutex;
  }
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  int failed = pthread_cond_init(&made->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  if (failed != 0) {
    goto no_cond;
  }
  *system = made;
  return 0;
no_cond:
  pthread_mutex_destroy(&made->mutex);
no_mutex:
  free(made);
  return TROUPE_ENOMEM;
}

static void drop_system(troupe_system_t *system) {
  pthread_cond_destroy(&system->changed);
  pthread_mutex_destroy(&system->mutex);
  free(system);
}

int troupe_system_new(const troupe_system_options_t *options, troupe_system_t **system) {
  static const troupe_system_options_t defaults = {0};
  if (options == NULL) {
    options = &defaults;
  }
  if (system == NULL || options->io_threads > TRP_IO_ACTORS_MAX) {
    return TROUPE_EINVAL;
  }
  troupe_system_t *made = NULL;
  int error = make_system(options->seed, &made);
  if (error != 0) {
    return error;
  }
  error = trp_real_ground_new(options->io_threads == 0 ? 1 : options->io_threads,
                              spin_ns_of(options), trp_system_stop_by_signal, made, &made->ground);
  if (error != 0) {
    drop_system(made);
    return error;
  }
  *system = made;
  return 0;
}

int trp_system_new_on(trp_ground_t *ground, uint64_t seed, troupe_system_t **system) {
  int error = make_system(seed, system);
  if (error == 0) {
    (*system)->ground = ground;
  }
  return error;
}

trp_ground_t *trp_system_ground(troupe_system_t *system) {
  return system->ground;
}

int troupe_system_free(troupe_system_t **system) {
  troupe_system_t *s = system == NULL ? NULL : *system;
  if (s == NULL) {
    return 0;
  }
  if (trp_actor_current() != NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  pthread_mutex_lock(&s->mutex);
  bool busy = s->running > 0;
  s->stopping = s->stopping || !busy;
  pthread_mutex_unlock(&s->mutex);
  if (busy) {
    return TROUPE_EBUSY;
  }
  *system = NULL;
  pthread_mutex_lock(&s->mutex);
  while (s->records != NULL) {
    forget(s, s->records);
  }
  pthread_mutex_unlock(&s->mutex);
  if (s->recorder != NULL) {
    trp_recorder_stop(&s->recorder, NULL);
  }
  trp_flight_release(s->flight);
  s->ground->ops->free(s->ground, deadline_ns(s, IO_STOP_MS));
  drop_system(s);
  return 0;
}

static bool is_name(const char *name) {
  return name == NULL ||
         (name[0] != '\0' && strlen(name) <= TRP_NAME_MAX && strchr(name, '/') == NULL);
}

static int validate(const troupe_spawn_options_t *options) {
  if (options == NULL || options->main == NULL || options->copies > COPIES_MAX ||
      (options->argument_size > 0 && options->argument == NULL)) {
    return TROUPE_EINVAL;
  }
  return is_name(options->name) ? 0 : TROUPE_EINVAL;
}

static int spawn(troupe_system_t *system, const troupe_spawn_options_t *options,
                 troupe_actor_t *actors, uint64_t *ids, unsigned copies) {
  pthread_mutex_lock(&system->mutex);
  reap(system);
  uint64_t group = system->next_group++;
  pthread_mutex_unlock(&system->mutex);
  int error = 0;
  unsigned started = 0;
  for (; started < copies && error == 0; started++) {
    error = start_copy(system, options, started, group, &ids[started]);
  }
  if (error != 0) {
    // The last one did not start; the others end again, unheard of.
    for (unsigned i = 0; i + 1 < started; i++) {
      if (stop_actor(system, ids[i], 0) == TROUPE_ENOMEM) {
        ids[i] = 0; // it goes on, since nobody can tell it
      }
    }
    for (unsigned i = 0; i + 1 < started; i++) {
      int status = 0;
      join(system, ids[i], -1, &status);
    }
    return error;
  }
  for (unsigned i = 0; i < copies && actors != NULL; i++) {
    actors[i].id = ids[i];
  }
  return 0;
}

int troupe_spawn(troupe_system_t *system, const troupe_spawn_options_t *options,
                 troupe_actor_t *actors) {
  int error = validate(options);
  if (error != 0) {
    return error;
  }
  unsigned copies = options->copies == 0 ? 1 : options->copies;
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_SPAWN, &value)) {
    for (unsigned i = 0; i < copies && value == 0; i++) {
      int64_t id = 0;
      trp_actor_recall(self, TRP_CALL_SPAWNED, &id);
      if (actors != NULL) {
        actors[i].id = (uint64_t)id;
      }
    }
    return (int)value;
  }
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  uint64_t *ids = calloc(copies, sizeof *ids);
  if (ids == NULL) {
    return TROUPE_ENOMEM;
  }
  error = spawn(system, options, actors, ids, copies);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_SPAWN, error);
    for (unsigned i = 0; i < copies && error == 0; i++) {
      trp_actor_called(self, TRP_CALL_SPAWNED, (int64_t)ids[i]);
    }
  }
  free(ids);
  return error;
}

static void free_record(record_t *record) {
  free((void *)(uintptr_t)record->start.argument);
  free(record);
}

static int new_record(troupe_system_t *system, const troupe_spawn_options_t *options,
                      uint32_t index, uint64_t group, record_t **made) {
  record_t *record = calloc(1, sizeof *record);
  if (record == NULL) {
    return TROUPE_ENOMEM;
  }
  record->system = system;
  record->main = options->main;
  record->argument = options->argument;
  trp_start_t *start = &record->start;
  if (options->argument_size > 0) {
    void *copy = malloc(options->argument_size);
    if (copy == NULL) {
      free(record);
      return TROUPE_ENOMEM;
    }
    memcpy(copy, options->argument, options->argument_size);
    record->argument = copy;
    start->argument = copy;
    start->argument_size = options->argument_size;
  }
  snprintf(start->name, sizeof start->name, "%s", options->name == NULL ? "actor" : options->name);
  start->index = index;
  start->group = group;
  start->io_actors = system->ground->io_count;
  start->auto_select_family = atomic_load(&system->defaults.auto_select_family);
  start->attempt_timeout_ms = atomic_load(&system->defaults.attempt_timeout_ms);
  pthread_mutex_lock(&system->mutex);
  int error = 0;
  if (system->stopping) {
    error = TROUPE_ESTOPPED;
  } else if (system->next_number > system->next_recorder) {
    error = TROUPE_EOVERFLOW;
  } else {
    start->id = trp_id_actor(system->next_number++);
    // Each actor draws from a stream of its own, whatever the others do.
    start->seed = (system->seed ^ start->id) * UINT64_C(0x9e3779b97f4a7c15);
    record->next = system->records;
    system->records = record;
    record->in_table = true;
    record->pins = 2;
    system->running++;
  }
  pthread_mutex_unlock(&system->mutex);
  if (error != 0) {
    free_record(record);
    return error;
  }
  *made = record;
  return 0;
}

static int start_thread(record_t *record, size_t stack_size) {
  trp_ground_t *ground = record->system->ground;
  int error = ground->ops->expect_thread == NULL
                  ? 0
                  : ground->ops->expect_thread(ground, record->start.id, &record->ticket);
  if (error != 0) {
    return error;
  }
  error = trp_thread_start(&record->thread, record->start.name, stack_size, run_actor, record);
  if (error != 0 && ground->ops->forget_thread != NULL) {
    ground->ops->forget_thread(ground, record->ticket);
  }
  return error;
}

static int start_copy(troupe_system_t *system, const troupe_spawn_options_t *options,
                      uint32_t index, uint64_t group, uint64_t *id) {
  record_t *record = NULL;
  int error = new_record(system, options, index, group, &record);
  if (error != 0) {
    return error;
  }
  *id = record->start.id;
  error = start_thread(record, options->stack_size);
  pthread_mutex_lock(&system->mutex);
  if (error != 0) {
    record->life = ENDED;
    record->joined = JOINED;
    system->running--;
    system->ended++;
    tell_change(system);
  }
  while (record->life == STARTING || record->life == KNOWN) {
    wait_for_change(system, TRP_FOREVER);
  }
  bool failed = record->life == ENDED && (error != 0 || record->status < 0);
  if (failed && error == 0) {
    error = record->status;
  }
  if (failed && record->in_table) {
    forget(system, record);
  }
  unpin(record);
  pthread_mutex_unlock(&system->mutex);
  return error;
}

/// Nobody can know the actor's id before this: from now on the I/O actors know it, too, whoever
/// asks them. HELLO comes over a pipe of the actor's own and could otherwise be overtaken by what
/// others say of it. One turn of the loop would not be enough: what a thread has sent to an inbox
/// may show there only when another one, interrupted in the middle of sending, goes on.
static int told_hello(void *context) {
  record_t *record = context;
  troupe_system_t *system = record->system;
  trp_ground_t *ground = system->ground;
  for (unsigned i = 0; i < ground->io_count; i++) {
    int error = ground->ops->knows(ground, i, deadline_ns(system, IO_HELLO_MS), record->start.id);
    if (error != 0) {
      return error;
    }
  }
  record->was_known = true;
  int error = 0;
  pthread_mutex_lock(&system->mutex);
  record->life = KNOWN;
  if (record->stop_wanted) {
    record->stop_wanted = false; // it was not sent yet
    error = stop_record(system, record, record->stop_grace_ms);
  }
  pthread_mutex_unlock(&system->mutex);
  return error;
}

static void told_running(void *context) {
  record_t *record = context;
  pthread_mutex_lock(&record->system->mutex);
  record->life = RUNNING;
  tell_change(record->system);
  pthread_mutex_unlock(&record->system->mutex);
}

static posted_t *posted_of(record_t *record, Troupe__Wire__Kind kind) {
  return kind == TRP_KIND(EVENT_ABORT) ? &record->aborts : &record->messages;
}

static void give_back(posted_t *posted, size_t length) {
  atomic_fetch_add(&posted->taken_bytes, length);
  atomic_fetch_add(&posted->taken_count, 1);
}

static void told_taken(void *context, Troupe__Wire__Kind kind, size_t length) {
  record_t *record = context;
  give_back(posted_of(record, kind), length);
}

/// What the actor's tap sends over. NULL: there is none.
static trp_inbox_t *inbox_of_tap(record_t *record) {
  trp_ground_t *ground = record->system->ground;
  if (ground->ops->open_tap_inbox == NULL) {
    return record->inbox;
  }
  if (record->tap_inbox == NULL &&
      ground->ops->open_tap_inbox(ground, record->start.id, &record->tap_inbox) != 0) {
    return NULL;
  }
  return record->tap_inbox;
}

/// Makes the actor's tap what it is to be now. `late`: the actor runs already. In its thread, with
/// the mutex held, so that recording does not stop in between. An actor whose trace cannot be begun
/// runs all the same; the recorder's report tells.
static void set_tap(record_t *record, bool late) {
  troupe_system_t *system = record->system;
  trp_recorder_t *recorder = system->recorder;
  if (recorder != NULL && !trp_recorder_wants(recorder, record->start.name)) {
    recorder = NULL;
  }
  bool keeps = record->tap != NULL && recorder != NULL && trp_tap_is_of(record->tap, recorder);
  if (late && !keeps && recorder != NULL && !trp_recorder_wants_running(recorder)) {
    recorder = NULL;
  }
  if (record->tap == NULL && (recorder != NULL || system->flight != NULL)) {
    trp_inbox_t *inbox = inbox_of_tap(record);
    record->tap = inbox == NULL ? NULL : trp_tap_new(inbox);
  }
  if (record->tap == NULL) {
    return;
  }
  if (!keeps) {
    trp_tap_end_record(record->tap);
    if (recorder != NULL) {
      (void)trp_tap_record(record->tap, recorder, &record->start, late);
    }
  }
  trp_tap_fly(record->tap, system->flight, &record->start);
}

/// Recording began or ended while the actor runs: in its thread.
static trp_tap_t *look_at_recording(void *context) {
  record_t *record = context;
  pthread_mutex_lock(&record->system->mutex);
  set_tap(record, true);
  pthread_mutex_unlock(&record->system->mutex);
  return record->tap;
}

/// Makes the inbox, and all that the actor needs to be executed.
static int open_actor(record_t *record) {
  troupe_system_t *system = record->system;
  trp_ground_t *ground = system->ground;
  int error = ground->ops->open_inbox(ground, record->start.id, &record->inbox);
  if (error != 0) {
    return error;
  }
  record->start.clock_ns = trp_inbox_now(record->inbox);
  pthread_mutex_lock(&system->mutex);
  set_tap(record, false);
  unsigned recording = atomic_load(&system->recording);
  pthread_mutex_unlock(&system->mutex);
  record->execution = (trp_execution_t){
      .start = &record->start,
      .inbox = record->inbox,
      .tap = record->tap,
      .recording = &system->recording,
      .recording_seen = recording,
      .on_recording = look_at_recording,
      .system = system,
      .defaults = &system->defaults,
      .main = record->main,
      .argument = record->argument,
      .on_hello = told_hello,
      .on_running = told_running,
      .on_taken = told_taken,
      .context = record,
  };
  record->said_hello = true;
  return 0;
}

static void *run_actor(void *argument) {
  record_t *record = argument;
  record->status = 0;
  pthread_cleanup_push(end_actor, record);
  trp_ground_t *ground = record->system->ground;
  if (ground->ops->thread_begins != NULL) {
    ground->ops->thread_begins(ground, record->ticket);
  }
  int error = open_actor(record);
  if (error == 0) {
    bool ran = false;
    error = trp_actor_execute(&record->execution, &ran);
  }
  record->status = error;
  record->returned = true;
  pthread_cleanup_pop(1);
  return NULL;
}

/// The trampoline: however the actor ended, this is the last that its thread does.
static void end_actor(void *argument) {
  record_t *record = argument;
  troupe_system_t *system = record->system;
  trp_ground_t *ground = system->ground;
  void *ticket = record->ticket; // the record may be gone when this ends
  record->reason = !record->returned    ? TROUPE_REASON_EXITED
                   : record->status < 0 ? TROUPE_REASON_FAILED
                                        : TROUPE_REASON_RETURNED;
  trp_tap_close(&record->tap);
  if (record->tap_inbox != NULL) {
    trp_inbox_close(record->tap_inbox);
    record->tap_inbox = NULL;
  }
  if (record->inbox != NULL) {
    if (record->said_hello) {
      trp_inbox_hide(record->inbox);
      say_bye(record);
    }
    trp_inbox_close(record->inbox);
    record->inbox = NULL;
  }
  trp_frame_thread_end();
  pthread_mutex_lock(&system->mutex);
  record->life = ENDED;
  system->running--;
  system->ended++;
  tell_change(system);
  pthread_mutex_unlock(&system->mutex);
  if (ground->ops->thread_ends != NULL) {
    ground->ops->thread_ends(ground, ticket);
  }
}

/// The thread's actor ends; its destructor, too, when it ends attached.
static void end_attached(void *argument) {
  record_t *record = argument;
  troupe_system_t *system = record->system;
  pthread_setspecific(record->at_exit, NULL);
  pthread_key_delete(record->at_exit);
  trp_actor_finish(record->status);
  trp_attachment_close(&record->attachment);
  // The record may be freed as soon as the actor has ended: it is this thread's, too, until then.
  end_actor(record);
  pthread_mutex_lock(&system->mutex);
  unpin(record);
  pthread_mutex_unlock(&system->mutex);
}

/// Makes this thread the record's actor, or undoes all of it.
static int become_actor(record_t *record, bool by_hand) {
  int error = open_actor(record);
  if (error != 0) {
    return error;
  }
  int fd = record->system->ground->ops->inbox_fd(record->inbox);
  error = fd < 0 ? fd : trp_attachment_open(&record->attachment, fd);
  if (error != 0) {
    record->said_hello = false;
    return error;
  }
  record->attachment.by_hand = by_hand;
  record->execution.attachment = &record->attachment;
  if (pthread_key_create(&record->at_exit, end_attached) != 0) {
    record->said_hello = false;
    error = TROUPE_EAGAIN;
    goto no_key;
  }
  error = pthread_setspecific(record->at_exit, record) == 0 ? 0 : TROUPE_ENOMEM;
  if (error != 0) {
    record->said_hello = false;
    goto no_actor;
  }
  error = trp_actor_begin(&record->execution);
  if (error == 0) {
    record->attached = true;
    return 0;
  }
no_actor:
  pthread_setspecific(record->at_exit, NULL);
  pthread_key_delete(record->at_exit);
no_key:
  trp_attachment_close(&record->attachment);
  return error;
}

int troupe_attach(troupe_system_t *system, const troupe_attach_options_t *options,
                  troupe_actor_t *actor) {
  static const troupe_attach_options_t defaults = {0};
  options = options == NULL ? &defaults : options;
  if (system == NULL || !is_name(options->name)) {
    return TROUPE_EINVAL;
  }
  if (trp_actor_current() != NULL) {
    return TROUPE_EALREADY;
  }
  if (system->ground->ops->inbox_fd == NULL) {
    return TROUPE_ENOTSUP;
  }
  pthread_mutex_lock(&system->mutex);
  reap(system);
  uint64_t group = system->next_group++;
  pthread_mutex_unlock(&system->mutex);
  const troupe_spawn_options_t spawn_options = {.name = options->name};
  record_t *record = NULL;
  int error = new_record(system, &spawn_options, 0, group, &record);
  if (error != 0) {
    return error;
  }
  record->joined = JOINED; // the thread is not ours
  error = become_actor(record, options->flush_by_hand);
  if (error == 0) {
    told_running(record);
    if (actor != NULL) {
      actor->id = record->start.id;
    }
    return 0;
  }
  record->status = error;
  record->returned = true;
  end_actor(record);
  pthread_mutex_lock(&system->mutex);
  if (record->in_table) {
    forget(system, record);
  }
  unpin(record);
  pthread_mutex_unlock(&system->mutex);
  return error;
}

int troupe_detach(int status) {
  trp_actor_t *self = trp_actor_current();
  record_t *record = self == NULL ? NULL : trp_actor_context(self);
  if (record == NULL || !record->attached) {
    return TROUPE_EWRONGTHREAD;
  }
  if (trp_actor_busy(self)) {
    return TROUPE_EBUSY;
  }
  record->status = status;
  record->returned = true;
  end_attached(record);
  return 0;
}

/// The last words: packed on the stack, and short enough for libzmq to carry them without memory.
/// The first I/O actor, which tells others of the end, hears them last, and for how many it has to
/// wait. Of an actor that was never known nobody can be told.
static void say_bye(record_t *record) {
  Troupe__Wire__Bye bye = TROUPE__WIRE__BYE__INIT;
  bye.status = record->status;
  bye.reason = (Troupe__Wire__Reason)record->reason;
  trp_message_t message = TROUPE__WIRE__MESSAGE__INIT;
  message.kind = TRP_KIND(COMMAND_BYE);
  message.detail_case = TRP_DETAIL(BYE);
  message.bye = &bye;
  trp_message_t *messages[] = {&message};
  trp_wire_batch_t batch = TROUPE__WIRE__BATCH__INIT;
  batch.sender = record->start.id;
  batch.n_messages = 1;
  batch.messages = messages;
  uint8_t bytes[64];
  const trp_ground_t *ground = record->system->ground;
  bye.others = record->was_known ? ground->io_count - 1 : 0;
  size_t length = troupe__wire__batch__pack(&batch, bytes);
  for (unsigned io = ground->io_count; io > 0; io--) {
    ground->ops->send_last(record->inbox, trp_id_actor(io), bytes, length);
  }
}

/// With the mutex held; NULL: not there.
static record_t *find_record(troupe_system_t *system, uint64_t id) {
  record_t *record = system->records;
  while (record != NULL && record->start.id != id) {
    record = record->next;
  }
  return record;
}

/// Waits until the thread of an actor that has ended is gone. With the mutex held, but not while it
/// waits: the destructors of the application's thread-local data run there, and they may take their
/// time, or call the library.
static void join_thread(troupe_system_t *system, record_t *record) {
  while (record->joined == JOINING) {
    wait_for_change(system, TRP_FOREVER);
  }
  if (record->joined == NOT_JOINED) {
    record->joined = JOINING;
    pthread_mutex_unlock(&system->mutex);
    pthread_join(record->thread, NULL);
    pthread_mutex_lock(&system->mutex);
    record->joined = JOINED;
    tell_change(system);
  }
}

/// With the mutex held.
static void unpin(record_t *record) {
  if (--record->pins == 0) {
    free_record(record);
  }
}

/// Takes an actor that has ended out of the table and frees it. With the mutex held; as
/// join_thread().
static void forget(troupe_system_t *system, record_t *record) {
  record_t **link = &system->records;
  while (*link != record) {
    link = &(*link)->next;
  }
  *link = record->next;
  record->in_table = false;
  system->ended--;
  join_thread(system, record);
  unpin(record);
}

/// One step of reap(): false when there is nothing left to do. The table may have changed
/// afterwards.
static bool reap_one(troupe_system_t *system) {
  size_t seen = 0;
  for (record_t *record = system->records; record != NULL; record = record->next) {
    if (record->life != ENDED) {
      continue;
    }
    if (++seen > ENDED_MAX) {
      forget(system, record);
      return true;
    }
    if (record->joined == NOT_JOINED) {
      join_thread(system, record);
      return true;
    }
  }
  return false;
}

/// Gives back the threads of those that have ended, and forgets the oldest results when there are
/// too many. With the mutex held; as join_thread().
static void reap(troupe_system_t *system) {
  while (reap_one(system)) {
  }
}

static int post(troupe_system_t *system, const trp_io_call_t *call) {
  return system->ground->ops->post(system->ground, 0, call);
}

/// With the mutex held. One that is not KNOWN yet stops itself when it is. One that was asked already
/// and would not have to end earlier is not asked again, so that these do not pile up before an actor
/// that is busy.
static int stop_record(troupe_system_t *system, record_t *record, unsigned grace_ms) {
  if (record->stop_wanted && record->stop_grace_ms <= grace_ms) {
    return 0;
  }
  if (record->life != STARTING) {
    trp_io_call_t call = {
        .kind = TRP_KIND(EVENT_STOP), .actor = record->start.id, .grace_ms = grace_ms};
    int error = post(system, &call);
    if (error != 0) {
      return error;
    }
  }
  record->stop_wanted = true;
  record->stop_grace_ms = grace_ms;
  return 0;
}

static int stop_actor(troupe_system_t *system, uint64_t id, unsigned grace_ms) {
  pthread_mutex_lock(&system->mutex);
  record_t *record = find_record(system, id);
  int result = record == NULL || record->life == ENDED ? TROUPE_ENOACTOR
                                                       : stop_record(system, record, grace_ms);
  pthread_mutex_unlock(&system->mutex);
  return result;
}

int troupe_actor_stop(troupe_system_t *system, troupe_actor_t actor, unsigned grace_ms) {
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_STOP, &value)) {
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL : stop_actor(system, actor.id, grace_ms);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_STOP, result);
  }
  return result;
}

static int stop_all(troupe_system_t *system, unsigned grace_ms) {
  int result = 0;
  pthread_mutex_lock(&system->mutex);
  system->stopping = true;
  for (record_t *record = system->records; record != NULL && result == 0; record = record->next) {
    if (record->life != ENDED) {
      result = stop_record(system, record, grace_ms);
    }
  }
  pthread_mutex_unlock(&system->mutex);
  return result;
}

int troupe_system_stop(troupe_system_t *system, unsigned grace_ms) {
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_STOP, &value)) {
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL : stop_all(system, grace_ms);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_STOP, result);
  }
  return result;
}

int troupe_system_stop_from_signal(troupe_system_t *system) {
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  system->ground->ops->post_from_signal(system->ground, 0);
  return 0;
}

void trp_system_stop_by_signal(void *system) {
  troupe_system_stop(system, SIGNAL_GRACE_MS);
}

int troupe_system_wait(troupe_system_t *system, int timeout_ms, troupe_stuck_t *stuck,
                       size_t capacity, size_t *count) {
  if (trp_actor_current() != NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  int64_t deadline = deadline_ns(system, timeout_ms);
  pthread_mutex_lock(&system->mutex);
  while (system->running > 0 && wait_for_change(system, deadline)) {
  }
  size_t found = 0;
  for (record_t *record = system->records; record != NULL; record = record->next) {
    if (record->life == ENDED) {
      continue;
    }
    if (found < capacity && stuck != NULL) {
      stuck[found].actor = record->start.id;
      stuck[found].index = record->start.index;
      memcpy(stuck[found].name, record->start.name, sizeof stuck[found].name);
    }
    found++;
  }
  reap(system);
  pthread_mutex_unlock(&system->mutex);
  if (count != NULL) {
    *count = found;
  }
  return found == 0 ? 0 : TROUPE_ETIMEDOUT;
}

static int join(troupe_system_t *system, uint64_t id, int timeout_ms, int *status) {
  int64_t deadline = deadline_ns(system, timeout_ms);
  pthread_mutex_lock(&system->mutex);
  record_t *record = find_record(system, id);
  while (record != NULL && record->life != ENDED) {
    if (!wait_for_change(system, deadline)) {
      pthread_mutex_unlock(&system->mutex);
      return TROUPE_ETIMEDOUT;
    }
    record = find_record(system, id);
  }
  if (record != NULL) {
    *status = record->status;
    forget(system, record);
  }
  pthread_mutex_unlock(&system->mutex);
  return record == NULL ? TROUPE_ENOACTOR : 0;
}

int troupe_actor_join(troupe_system_t *system, troupe_actor_t actor, int timeout_ms, int *status) {
  trp_actor_t *self = trp_actor_current();
  if (self != NULL && trp_actor_start(self)->id == actor.id) {
    return TROUPE_EINVAL;
  }
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_JOIN, &value)) {
    int64_t joined = 0;
    trp_actor_recall(self, TRP_CALL_JOINED, &joined);
    if (status != NULL && value == 0) {
      *status = (int)joined;
    }
    return (int)value;
  }
  int joined = 0;
  int result = system == NULL ? (int)TROUPE_EINVAL : join(system, actor.id, timeout_ms, &joined);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_JOIN, result);
    trp_actor_called(self, TRP_CALL_JOINED, joined);
  }
  if (status != NULL && result == 0) {
    *status = joined;
  }
  return result;
}

/// The id, or TROUPE_ENOACTOR.
static int64_t find_named(troupe_system_t *system, const char *name, unsigned index) {
  int64_t id = TROUPE_ENOACTOR;
  pthread_mutex_lock(&system->mutex);
  for (record_t *record = system->records; record != NULL; record = record->next) {
    if ((record->life == KNOWN || record->life == RUNNING) && record->start.index == index &&
        strcmp(record->start.name, name) == 0) {
      id = (int64_t)record->start.id;
      break;
    }
  }
  pthread_mutex_unlock(&system->mutex);
  return id;
}

int troupe_actor_find(troupe_system_t *system, const char *name, unsigned index,
                      troupe_actor_t *actor) {
  if (name == NULL) {
    return TROUPE_EINVAL;
  }
  trp_actor_t *self = trp_actor_current();
  int64_t id = 0;
  if (self == NULL || !trp_actor_recall(self, TRP_CALL_FIND, &id)) {
    id = system == NULL ? (int64_t)TROUPE_EINVAL : find_named(system, name, index);
    if (self != NULL) {
      trp_actor_called(self, TRP_CALL_FIND, id);
    }
  }
  if (id < 0) {
    return (int)id;
  }
  if (actor != NULL) {
    actor->id = (uint64_t)id;
  }
  return 0;
}

/// Takes credit for a call, or says why not: 0, TROUPE_ENOACTOR or TROUPE_ENOBUFS.
static int reserve(troupe_system_t *system, const trp_io_call_t *call) {
  int result = 0;
  pthread_mutex_lock(&system->mutex);
  record_t *record = find_record(system, call->actor);
  if (record == NULL || (record->life != KNOWN && record->life != RUNNING)) {
    result = TROUPE_ENOACTOR;
  } else {
    posted_t *posted = posted_of(record, call->kind);
    uint64_t count = posted->count - atomic_load(&posted->taken_count);
    uint64_t bytes = posted->bytes - atomic_load(&posted->taken_bytes);
    if (count >= POSTED_MAX || bytes + call->length > POSTED_BYTES_MAX) {
      result = TROUPE_ENOBUFS;
    } else {
      posted->count++;
      posted->bytes += call->length;
    }
  }
  pthread_mutex_unlock(&system->mutex);
  return result;
}

/// Posts to an actor that may be slow.
static int post_in_credit(troupe_system_t *system, const trp_io_call_t *call) {
  int error = reserve(system, call);
  if (error != 0) {
    return error;
  }
  error = post(system, call);
  if (error != 0) {
    pthread_mutex_lock(&system->mutex);
    record_t *record = find_record(system, call->actor);
    if (record != NULL) {
      give_back(posted_of(record, call->kind), call->length);
    }
    pthread_mutex_unlock(&system->mutex);
  }
  return error;
}

int troupe_post(troupe_system_t *system, troupe_actor_t to, const void *bytes, size_t length) {
  if (length > POST_MAX || (bytes == NULL && length > 0)) {
    return TROUPE_EINVAL;
  }
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_POST, &value)) {
    return (int)value;
  }
  trp_io_call_t call = {
      .kind = TRP_KIND(EVENT_MESSAGE), .actor = to.id, .bytes = bytes, .length = length};
  int result = system == NULL ? (int)TROUPE_EINVAL : post_in_credit(system, &call);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_POST, result);
  }
  return result;
}

static int post_abort(troupe_system_t *system, troupe_abort_t token) {
  uint64_t actor = trp_id_actor(trp_id_creator(token.id));
  trp_io_call_t call = {.kind = TRP_KIND(EVENT_ABORT), .actor = actor, .subject = token.id};
  return post_in_credit(system, &call);
}

int troupe_abort(troupe_system_t *system, troupe_abort_t token) {
  if (token.id == 0) {
    return TROUPE_EINVAL;
  }
  trp_actor_t *self = trp_actor_current();
  if (self != NULL && trp_id_creator(token.id) == trp_id_creator(trp_actor_start(self)->id)) {
    return trp_abort_here(token);
  }
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_ABORT, &value)) {
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL : post_abort(system, token);
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_ABORT, result);
  }
  return result;
}

static int read_counters(troupe_system_t *system, troupe_system_counters_t *counters) {
  trp_ground_t *ground = system->ground;
  for (unsigned i = 0; i < ground->io_count; i++) {
    trp_net_counters_t c;
    int error = ground->ops->counters(ground, i, deadline_ns(system, COUNTERS_MS), &c);
    if (error != 0) {
      return error;
    }
    counters->commands += c.commands;
    counters->events += c.events;
    counters->accepted += c.accepted;
    counters->dropped += c.dropped;
    counters->blocked += c.blocked;
    counters->parked += c.parked;
    counters->unknown_subject += c.unknown_subject;
    counters->stale_epoch += c.stale_epoch;
    counters->unknown_kind += c.unknown_kind;
    counters->not_owner += c.not_owner;
    counters->undecodable += c.undecodable;
    counters->undeliverable += c.undeliverable;
    counters->sockets += c.sockets;
    counters->servers += c.servers;
  }
  pthread_mutex_lock(&system->mutex);
  counters->actors = system->running;
  pthread_mutex_unlock(&system->mutex);
  return 0;
}

/// In an actor every count is in its trace.
int troupe_system_counters(troupe_system_t *system, troupe_system_counters_t *counters) {
  if (counters == NULL) {
    return TROUPE_EINVAL;
  }
  *counters = (troupe_system_counters_t){0};
  uint64_t values[sizeof *counters / sizeof(uint64_t)] = {0};
  trp_actor_t *self = trp_actor_current();
  int64_t value = 0;
  if (self != NULL && trp_actor_recall(self, TRP_CALL_COUNTERS, &value)) {
    for (size_t i = 0; i < sizeof values / sizeof values[0] && value == 0; i++) {
      int64_t count = 0;
      trp_actor_recall(self, TRP_CALL_COUNT, &count);
      values[i] = (uint64_t)count;
    }
    memcpy(counters, values, sizeof values);
    return (int)value;
  }
  int result = system == NULL ? (int)TROUPE_EINVAL : read_counters(system, counters);
  if (result != 0) {
    *counters = (troupe_system_counters_t){0};
  }
  if (self != NULL) {
    trp_actor_called(self, TRP_CALL_COUNTERS, result);
    memcpy(values, counters, sizeof values);
    for (size_t i = 0; i < sizeof values / sizeof values[0] && result == 0; i++) {
      trp_actor_called(self, TRP_CALL_COUNT, (int64_t)values[i]);
    }
  }
  return result;
}

static int compare_handles(const void *left, const void *right) {
  const troupe_handle_t *a = left;
  const troupe_handle_t *b = right;
  if (a->owner.id != b->owner.id) {
    return a->owner.id < b->owner.id ? -1 : 1;
  }
  if (a->kind != b->kind) {
    return a->kind < b->kind ? -1 : 1;
  }
  return a->id < b->id ? -1 : a->id > b->id;
}

int troupe_system_handles(troupe_system_t *system, troupe_handle_t *handles, size_t capacity) {
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  capacity = handles == NULL ? 0 : capacity;
  size_t known = 0;
  trp_ground_t *ground = system->ground;
  for (unsigned i = 0; i < ground->io_count; i++) {
    size_t filled = known < capacity ? known : capacity;
    size_t count = 0;
    int error = ground->ops->handles(ground, i, deadline_ns(system, COUNTERS_MS),
                                     handles == NULL ? NULL : handles + filled, capacity - filled,
                                     &count);
    if (error != 0) {
      return error;
    }
    known += count;
  }
  size_t filled = known < capacity ? known : capacity;
  if (filled > 1) {
    qsort(handles, filled, sizeof *handles, compare_handles);
  }
  return known > INT_MAX ? INT_MAX : (int)known;
}

/// In the recorder's thread.
static void tell_recording_stopped(void *context, uint64_t actor, int error) {
  trp_io_call_t call = {
      .kind = TRP_KIND(EVENT_RECORDING_STOPPED), .actor = actor, .grace_ms = (uint32_t)-error};
  (void)post(context, &call); // without memory the recorder's report tells alone
}

int troupe_record_start(troupe_system_t *system, const troupe_record_options_t *options) {
  if (system == NULL || options == NULL || options->directory == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->mutex);
  bool already = system->recorder != NULL;
  uint64_t id = trp_id_actor(system->next_recorder--);
  pthread_mutex_unlock(&system->mutex);
  if (already) {
    return TROUPE_EALREADY;
  }
  if (system->ground->hub == NULL) {
    return TROUPE_ENOTSUP;
  }
  trp_recorder_t *recorder = NULL;
  int error = trp_recorder_start(system->ground->hub, id, options, &recorder);
  if (error != 0) {
    return error;
  }
  trp_recorder_on_stopped(recorder, tell_recording_stopped, system);
  pthread_mutex_lock(&system->mutex);
  already = system->recorder != NULL;
  if (!already) {
    system->recorder = recorder;
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  if (already) {
    trp_recorder_stop(&recorder, NULL);
    return TROUPE_EALREADY;
  }
  return 0;
}

int troupe_record_stop(troupe_system_t *system, troupe_record_report_t *report) {
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->mutex);
  trp_recorder_t *recorder = system->recorder;
  system->recorder = NULL;
  if (recorder != NULL) {
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  if (recorder == NULL) {
    return TROUPE_ESTALE;
  }
  trp_recorder_stop(&recorder, report);
  return 0;
}

int troupe_flight_start(troupe_system_t *system, const troupe_flight_options_t *options) {
  trp_flight_t *flight = NULL;
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->mutex);
  bool already = system->flight != NULL; // its file is not to be replaced
  pthread_mutex_unlock(&system->mutex);
  int error = already ? (int)TROUPE_EALREADY : trp_flight_open(options, &flight);
  if (error != 0) {
    return error;
  }
  pthread_mutex_lock(&system->mutex);
  already = system->flight != NULL;
  if (!already) {
    system->flight = flight;
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  if (already) {
    trp_flight_release(flight);
    return TROUPE_EALREADY;
  }
  return 0;
}

int troupe_flight_stop(troupe_system_t *system) {
  pthread_mutex_lock(&system->mutex);
  trp_flight_t *flight = system->flight;
  system->flight = NULL;
  if (flight != NULL) {
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  trp_flight_release(flight);
  return flight == NULL ? TROUPE_ESTALE : 0;
}
