/// Simulation: unmodified actors over a network in memory, on virtual time, one thread at a time, in
/// an order that a seed decides. What goes wrong with a seed goes wrong with it again.
#ifndef TROUPE_SIM_H_INCLUDED
#define TROUPE_SIM_H_INCLUDED

#include <troupe/actor.h>

TROUPE_BEGIN

/// What can happen to a run. For each seed every kind is either off or has a probability of its own.
///
/// X(NAME, bit, words, what happens, how often at the most in a million chances)
#define TROUPE_FAULTS(X)                                                                           \
  X(DELAY, 0, "delays", "a segment takes up to a second", 200000)                                  \
  X(BANDWIDTH, 1, "slow lines", "a connection carries a few kilobytes a second", 500000)           \
  X(SEGMENTS, 2, "small segments", "what was written at once arrives in pieces", 900000)           \
  X(SHORT_IO, 3, "short reads and writes", "the kernel takes or gives less than it could", 500000) \
  X(SMALL_BUFFERS, 4, "small buffers", "a connection holds little, so its reader is slow", 500000) \
  X(RESET, 5, "resets", "a connection breaks, with what is on its way and unread", 20000)          \
  X(REFUSE, 6, "refused connects", "nobody listens, for this attempt", 200000)                     \
  X(BLACK_HOLE, 7, "black holes", "nobody answers this attempt to connect", 100000)                \
  X(LOOKUP_FAILS, 8, "failed look-ups", "a name is not found, or not now", 300000)                 \
  X(LOOKUP_DELAY, 9, "slow look-ups", "a name takes up to ten seconds", 500000)                    \
  X(BURST, 10, "bursts", "connections arrive late, and all at once", 300000)                       \
  X(DESCRIPTORS, 11, "descriptors run out", "none is free for up to half a second", 50000)         \
  X(SLOW_ACTOR, 12, "slow actors", "an actor does nothing for up to half a second", 50000)         \
  X(DEAD_ACTOR, 13, "dying actors", "an actor's troupe_actor_run() fails with TROUPE_ECANCELED",   \
    2000)

typedef enum troupe_fault {
#define TROUPE_FAULT_ENUM(name, bit, words, what, most) TROUPE_FAULT_##name = 1 << (bit),
  TROUPE_FAULTS(TROUPE_FAULT_ENUM)
#undef TROUPE_FAULT_ENUM
  /// No fault at all: the order of things is the seed's nevertheless.
  TROUPE_FAULT_NONE = 1 << 30,
} troupe_fault_t;

/// A name that look-ups find in the simulated world. "localhost" is there without being named.
typedef struct troupe_sim_host {
  const char *name;
  const char *addresses; ///< IP literals, separated by spaces
} troupe_sim_host_t;

/// Begins a run: makes anew all that the run will change, and spawns its first actors in `system`,
/// which is a simulated one: everything that takes a system takes it. No fault happens before it
/// returns. Below 0: the run fails.
typedef int (*troupe_sim_fn)(troupe_system_t *system, void *context);

/// How a run goes. Right when zeroed.
typedef struct troupe_sim_options {
  unsigned io_threads;  ///< I/O actors; 0 means 1
  uint32_t faults;      ///< which may happen, as bits; 0: all of them but dying actors
  uint64_t fault_limit; ///< only so many happen, the first ones; 0: no limit
  unsigned fault_ms;    ///< virtual time in which they happen, then all heals; 0: 2000
  unsigned heal_ms;     ///< virtual time in which all work must end after that; 0: 120000
  unsigned grace_ms;    ///< given to the actors that are stopped when the work is done; 0: 1000
  const troupe_sim_host_t *hosts; ///< borrowed until the call returns
  size_t host_count;
  const char *trace_directory; ///< where a run that fails is recorded; NULL: nowhere
  /// Called when all actors have ended, to look at what they did. Below 0: the run fails. `system`
  /// is NULL.
  troupe_sim_fn finish;
  bool keep_faults; ///< do not look for fewer faults that make the run fail
} troupe_sim_options_t;

/// What a run came to.
typedef struct troupe_sim_report {
  uint64_t seed;
  uint64_t steps;         ///< in which one thread ran
  uint64_t faults;        ///< that happened
  uint64_t connections;   ///< that came about
  int64_t virtual_ms;     ///< that passed
  uint32_t faults_needed; ///< of a run that failed: the kinds without which it does not, as bits
  uint64_t fault_limit_needed; ///< and how many of them are enough; 0: not looked for
  char text[4096];             ///< of a run that failed: why, with which faults, and what came last
} troupe_sim_report_t;

/// Runs once: `start`, then a time with faults, then one without, until all work has ended; then the
/// actors that are left are stopped. A run fails when
/// - an actor whose end is awaited (troupe_sim_await(); all, when none is named) returns below 0,
///   unless a fault killed it, or does not end in time, or nothing more can happen and it has not;
/// - an actor does not end when it is stopped, or something it opened is left;
/// - a socket has more than one final event, or an event after it; bytes arrive that were not
///   written, twice, in another order, at another socket, or not all although both sides closed
///   cleanly; more waits for an actor than flow control allows;
/// - `start` or `finish` says so.
/// A run that fails is then tried with fewer faults, and the fewest with which it fails are told.
///
/// Actors may do all that they do in a real system, but wait for anything outside of troupe: no
/// locks that another actor holds, no sleeping, no clock but troupe_now(), no chance but
/// troupe_random(). The current thread is bound to one processor until the call returns.
///
/// Ownership: `options` (NULL: defaults) and `context` are borrowed until the call returns; `report`
///            is filled, NULL is fine.
/// Thread:    any that is no actor. Several may run at the same time, each in a thread of its own.
/// Blocks:    until it is over.
/// Returns:   0, or
///            TROUPE_EUNSOUND         it failed; `report->text` says why,
///            TROUPE_EINVAL           an option is out of range, or `start` is NULL,
///            TROUPE_EWRONGTHREAD     called by an actor,
///            TROUPE_ENOMEM, TROUPE_EAGAIN   no memory or no thread for it.
TROUPE_API int troupe_sim_run(const troupe_sim_options_t *options, uint64_t seed,
                              troupe_sim_fn start, void *context, troupe_sim_report_t *report);

/// Names an actor whose end the run waits for: one that does work, not one that serves until it is
/// stopped.
///
/// Thread:    of `start`.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL     `system` is no simulated one,
///            TROUPE_ENOACTOR   there is no such actor,
///            TROUPE_ENOMEM     there is no memory.
TROUPE_API int troupe_sim_await(troupe_system_t *system, troupe_actor_t actor);

TROUPE_END

#endif
