/// Private. What a system stands on: its I/O actors, the pipes between actors, and who decides which
/// thread runs. actors/io/ground.c is the real world; the simulator is another.
#ifndef TRP_GROUND_H_INCLUDED
#define TRP_GROUND_H_INCLUDED

#include <pthread.h>

#include "actors/io/loop.h"
#include "core/actor/start.h"

typedef struct trp_ground trp_ground_t;

typedef struct trp_ground_ops {
  /// Opens the inbox of an actor, in the actor's thread. 0, TROUPE_EMFILE or TROUPE_ENOMEM.
  int (*open_inbox)(trp_ground_t *ground, uint64_t self, trp_inbox_t **inbox);
  /// The descriptor that becomes readable when something may have come (core/message/pipes.h). NULL:
  /// threads cannot be attached.
  int (*inbox_fd)(trp_inbox_t *inbox);
  /// Opens the pipe over which an actor is recorded, in the actor's thread. NULL: that is its inbox.
  int (*open_tap_inbox)(trp_ground_t *ground, uint64_t self, trp_inbox_t **inbox);
  /// The last words of an actor to an I/O actor: needs no memory.
  void (*send_last)(trp_inbox_t *inbox, uint64_t to, const void *bytes, size_t length);
  /// The front door of the I/O actor `io`, from 0: as trp_io_post(), trp_io_post_from_signal(),
  /// trp_io_knows(), trp_io_counters(), trp_io_handles(). Deadlines are of `now`.
  int (*post)(trp_ground_t *ground, unsigned io, const trp_io_call_t *call);
  void (*post_from_signal)(trp_ground_t *ground, unsigned io);
  int (*knows)(trp_ground_t *ground, unsigned io, int64_t deadline_ns, uint64_t actor);
  int (*counters)(trp_ground_t *ground, unsigned io, int64_t deadline_ns,
                  trp_net_counters_t *counters);
  int (*handles)(trp_ground_t *ground, unsigned io, int64_t deadline_ns, troupe_handle_t *handles,
                 size_t capacity, size_t *count);
  /// As trp_io_fly(). NULL: its I/O actors are not in a flight recorder's file.
  int (*fly)(trp_ground_t *ground, unsigned io, int64_t deadline_ns, trp_flight_t *flight);
  int64_t (*now)(trp_ground_t *ground);

  /// Around the life of an actor's thread: before it is made, in the thread that makes it (gives a
  /// ticket for the rest; 0 or TROUPE_ENOMEM); if it could not be made; first and last thing in it.
  /// NULL: threads run as they please.
  int (*expect_thread)(trp_ground_t *ground, uint64_t actor, void **ticket);
  void (*forget_thread)(trp_ground_t *ground, void *ticket);
  void (*thread_begins)(trp_ground_t *ground, void *ticket);
  void (*thread_ends)(trp_ground_t *ground, void *ticket);

  /// Waits on the condition as pthread_cond_timedwait() does, until a deadline of `now` or
  /// TRP_FOREVER; false: the time is over. `wake` wakes all who wait. With the mutex held.
  bool (*wait)(trp_ground_t *ground, pthread_cond_t *condition, pthread_mutex_t *mutex,
               int64_t deadline_ns);
  void (*wake)(trp_ground_t *ground, pthread_cond_t *condition);

  /// All actors have ended: ends the I/O actors, frees everything. In a real world it waits for
  /// look-ups until the deadline.
  void (*free)(trp_ground_t *ground, int64_t deadline_ns);
} trp_ground_ops_t;

struct trp_ground {
  const trp_ground_ops_t *ops;
  unsigned io_count;
  trp_hub_t *hub; // for the recorder
};

/// The real world: starts the I/O actors. `on_signal_stop` as in trp_io_options_t. 0, or an error of
/// troupe_system_new().
int trp_real_ground_new(unsigned io_count, int64_t spin_ns, void (*on_signal_stop)(void *context),
                        void *context, trp_ground_t **ground);

struct troupe_system;

/// A system on a ground that is there already; it owns it from here on. `seed` as in
/// troupe_system_options_t. 0 or TROUPE_ENOMEM.
int trp_system_new_on(trp_ground_t *ground, uint64_t seed, struct troupe_system **system);
/// As troupe_spawn() of one actor, which begins as `start` says: its id, name, random seed, defaults
/// and argument. Later actors get other ids.
int trp_system_spawn_as(struct troupe_system *system, const trp_start_t *start,
                        int (*main)(void *argument), void *argument);
trp_ground_t *trp_system_ground(struct troupe_system *system);
/// For a ground's `on_signal_stop`; the context is the system.
void trp_system_stop_by_signal(void *system);

#endif
