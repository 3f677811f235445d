/// Systems: the I/O actors and everything that runs on them. A program has one; a test may have
/// thousands, one after the other.
#ifndef TROUPE_SYSTEM_H_INCLUDED
#define TROUPE_SYSTEM_H_INCLUDED

#include <troupe/error.h>
#include <troupe/here.h>

TROUPE_BEGIN

typedef struct troupe_system troupe_system_t;

/// Right when zeroed.
typedef struct troupe_system_options {
  unsigned io_threads; ///< I/O actors, at most 63; 0 means 1. Each has a thread of its own, and
                       ///< serves a share of the sockets. Between two connections there is no order
                       ///< with several: who connected first may be told of second
  int spin_us; ///< how long a thread looks for work before it sleeps, as long as it found some that
               ///< way lately. 0: the default, 20; below 0: not at all
  uint64_t seed; ///< of the actors' troupe_random(); 0: from the operating system
} troupe_system_options_t;

/// Starts a system: its I/O actors run when this returns. The library installs no signal handlers;
/// its threads block all asynchronous signals.
///
/// Ownership: `options` is borrowed until the call returns, NULL: defaults. `*system` is owned;
///            free it with troupe_system_free().
/// Thread:    any.
/// Blocks:    until the I/O actors run.
/// Returns:   0, or
///            TROUPE_EINVAL            an option is out of range, or `system` is NULL,
///            TROUPE_EAGAIN, TROUPE_ENOMEM, TROUPE_EMFILE   no thread, memory or descriptors for
///                it.
TROUPE_API int troupe_system_new(const troupe_system_options_t *options, troupe_system_t **system);

/// Asks all actors to end, as troupe_actor_stop() does; no new ones can be spawned.
///
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, TROUPE_ENOMEM, or TROUPE_EINVAL: no system.
TROUPE_API int troupe_system_stop(troupe_system_t *system, unsigned grace_ms);

/// The same with a grace of one second, from inside a signal handler. The only function that may be
/// called there.
///
/// Thread:    any, signal handlers too.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EINVAL: no system.
TROUPE_API int troupe_system_stop_from_signal(troupe_system_t *system);

/// An actor that did not end in time.
typedef struct troupe_stuck {
  uint64_t actor;
  unsigned index;
  char name[64];
  char made_at[TROUPE_MADE_AT_SIZE]; ///< file and line where it was spawned or attached
                                     ///< (<troupe/here.h>); "": not known
} troupe_stuck_t;

/// Waits until all actors have ended.
///
/// Ownership: at most `capacity` of those that still run are written to `stuck`; `*count` says how
///            many there are. Both may be NULL.
/// Thread:    any, but no actor's.
/// Blocks:    for `timeout_ms` at most; below 0 without limit.
/// Returns:   0, or
///            TROUPE_ETIMEDOUT      some still run,
///            TROUPE_EINVAL         no system,
///            TROUPE_EWRONGTHREAD   called by an actor, which would wait for itself.
TROUPE_API int troupe_system_wait(troupe_system_t *system, int timeout_ms, troupe_stuck_t *stuck,
                                  size_t capacity, size_t *count);

/// What happened so far. All counts are since the start, but for those that say "now".
typedef struct {
  uint64_t commands;        ///< commands that I/O actors executed
  uint64_t events;          ///< events they sent
  uint64_t accepted;        ///< connections accepted, those too that were closed at once
  uint64_t dropped;         ///< connections closed because of max_connections
  uint64_t blocked;         ///< connections closed because of a block list or a cap
  uint64_t parked;          ///< how often a listener found no descriptor free
  uint64_t unknown_subject; ///< commands for a handle that was gone already: normal, in small
                            ///< numbers
  uint64_t stale_epoch;     ///< commands of an earlier owner
  uint64_t unknown_kind;    ///< commands that do not exist
  uint64_t not_owner;       ///< commands for another actor's handle
  uint64_t undecodable;     ///< batches that could not be read
  uint64_t undeliverable;   ///< events and messages for an actor that had ended
  uint64_t sockets;         ///< now
  uint64_t servers;         ///< now
  uint64_t actors;          ///< now
} troupe_system_counters_t;

/// Reads the counters.
///
/// Thread:    any.
/// Blocks:    for a turn of each I/O actor, a second at most for each.
/// Returns:   0, or
///            TROUPE_ETIMEDOUT   an I/O actor did not answer,
///            TROUPE_ESTOPPED    the system ends,
///            TROUPE_EINVAL      no system, or `counters` is NULL.
TROUPE_API int troupe_system_counters(troupe_system_t *system, troupe_system_counters_t *counters);

/// Frees a system whose actors have all ended (troupe_system_wait() said 0), and sets the pointer
/// to NULL.
///
/// Ownership: `*system` is consumed when 0 is returned; NULL is fine.
/// Thread:    any, but no actor's.
/// Blocks:    until the I/O actors have ended.
/// Returns:   0, or
///            TROUPE_EBUSY          actors still run; nothing was freed,
///            TROUPE_EWRONGTHREAD   called by an actor.
TROUPE_API int troupe_system_free(troupe_system_t **system);

TROUPE_END

#endif
