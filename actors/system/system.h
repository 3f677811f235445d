/// Private. Puts core and actors together: a system's I/O actors, the threads of its user actors, and
/// the calls that come from any thread.
///
/// The mutex guards the table of actors. It is held for a few instructions only, never while
/// anything is waited for, and never on the way of the data.
#ifndef TRP_SYSTEM_H_INCLUDED
#define TRP_SYSTEM_H_INCLUDED

#include <troupe/system.h>

#include <pthread.h>
#include <stdatomic.h>

#include "actors/ground.h"
#include "core/actor/attachment.h"
#include "core/actor/execute.h"
#include "core/net/defaults.h"
#include "core/trace/flight.h"
#include "core/trace/recorder.h"

/// How long the I/O actors may take to answer what somebody waits for, in milliseconds.
enum { TRP_COUNTERS_MS = 1000 };

typedef enum {
  TRP_STARTING, // its thread begins
  TRP_KNOWN,    // the I/O actors have its HELLO: it can be sent to, watched and stopped; main sets
                // up what the actor has
  TRP_RUNNING,  // main is in troupe_actor_run(): whoever spawned it goes on
  TRP_ENDED,
} trp_life_t;

typedef enum { TRP_NOT_JOINED, TRP_JOINING, TRP_JOINED } trp_joined_t;

/// Credit of what comes from outside to an actor, of one kind.
typedef struct {
  uint64_t count, bytes;                  // posted so far; with the mutex held
  atomic_ullong taken_count, taken_bytes; // of these, consumed
} trp_posted_t;

/// One actor, from its spawn until somebody has asked for its result.
typedef struct trp_entry {
  struct trp_entry *next;
  troupe_system_t *system;
  trp_start_t start;
  const char *made_at; // file and line, or NULL
  troupe_main_fn main;
  void *argument; // what main gets
  pthread_t thread;
  void *ticket;        // the ground's, for the thread
  trp_joined_t joined; // whether the thread's memory is given back; JOINING: somebody waits for its
                       // last instructions
  unsigned pins;       // the table, and whoever spawns it
  bool in_table;
  bool stop_wanted; // asked for; with the shortest grace so far
  unsigned stop_grace_ms;
  trp_posted_t messages, aborts; // from threads that are no actors, mostly
  trp_life_t life;
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
} trp_entry_t;

struct troupe_system {
  trp_ground_t *ground;
  uint64_t seed;
  trp_defaults_t defaults;
  trp_recorder_t *recorder;
  trp_flight_t *flight;   // likewise under the mutex
  pthread_mutex_t flying; // held while the flight recorder begins or ends
  atomic_uint recording;  // changes when recording, or the flight recorder, begins or ends
  pthread_mutex_t mutex;
  pthread_cond_t changed; // an actor came to run, ended, or its thread was joined
  trp_entry_t *entries;   // the newest first
  size_t running;         // those that have not ended
  size_t ended;
  uint32_t next_number;
  uint32_t next_recorder; // counted down: actors have the same ids whether they are recorded or not
  uint64_t next_group;
  const trp_start_t *next_start; // of the one that trp_system_spawn_as() makes now
  bool stopping;
};

// system.c

/// Of the clock that inboxes read; `timeout_ms` below 0: never.
int64_t trp_system_deadline(const troupe_system_t *system, int timeout_ms);
/// Waits for a change until the deadline; false when it is over. With the mutex held.
bool trp_system_wait_for_change(troupe_system_t *system, int64_t deadline);
/// With the mutex held.
void trp_system_tell_change(troupe_system_t *system);

// entries.c

/// NULL is one: then the actor gets the usual name.
bool trp_is_actor_name(const char *name);
/// Puts a new actor, which is STARTING, into the table; pinned for the caller. 0, TROUPE_ENOMEM,
/// TROUPE_ESTOPPED or TROUPE_EOVERFLOW.
int trp_entry_new(const char *made_at, troupe_system_t *system,
                  const troupe_spawn_options_t *options, uint32_t index, uint64_t group,
                  trp_entry_t **made);
/// NULL: not there. With the mutex held.
trp_entry_t *trp_entry_find(troupe_system_t *system, uint64_t id);
/// With the mutex held.
void trp_entry_unpin(trp_entry_t *entry);
/// Takes an actor that has ended out of the table, and frees it. With the mutex held, but not while
/// it waits for the thread's end.
void trp_entry_forget(troupe_system_t *system, trp_entry_t *entry);
/// Gives back the threads of those that have ended, and forgets the oldest results when there are
/// too many. With the mutex held, but not while it waits.
void trp_system_reap(troupe_system_t *system);

// run.c

/// What an actor's thread runs; the argument is its entry.
void *trp_entry_run(void *argument);
/// Makes the inbox, and all that the actor needs to be executed, in its thread.
int trp_entry_open(trp_entry_t *entry);
/// main has set up what the actor has, and runs; the context is the entry.
void trp_entry_running(void *context);
/// The trampoline: however the actor ended, this is the last that its thread does. The argument is
/// the entry, which may be gone afterwards.
void trp_entry_end(void *argument);

// stop.c

/// With the mutex held. One that is not KNOWN yet stops itself when it is. One that was asked
/// already and would not have to end earlier is not asked again, so that these do not pile up before
/// an actor that is busy.
int trp_entry_stop(troupe_system_t *system, trp_entry_t *entry, unsigned grace_ms);
int trp_system_stop_actor(troupe_system_t *system, uint64_t id, unsigned grace_ms);

// join.c

int trp_system_join(troupe_system_t *system, uint64_t id, int timeout_ms, int *status);

// post.c

/// To the first I/O actor, which forwards it.
int trp_system_post(troupe_system_t *system, const trp_io_call_t *call);
/// The actor has taken what was posted to it: credit comes back. The context is its entry.
void trp_entry_taken(void *context, Troupe__Wire__Kind kind, size_t length);

// record.c

/// Makes the actor's tap what it is to be now. `late`: the actor runs already; `now_ns`: the clock's
/// value of what it takes next. In its thread, with the mutex held, so that recording does not stop
/// in between. An actor whose trace cannot be begun runs all the same; the recorder's report tells.
void trp_entry_set_tap(trp_entry_t *entry, bool late, int64_t now_ns);
/// Recording began or ended while the actor runs: in its thread, before a batch with that clock's
/// value. The context is its entry.
trp_tap_t *trp_entry_look_at_recording(void *context, int64_t now_ns);

#endif
