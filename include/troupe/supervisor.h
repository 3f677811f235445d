/// Supervisors: actors that start others, and start them again when they fail.
///
/// An actor fails when its main function returns an error or it leaves by pthread_exit(); its
/// connections are closed then. A crash takes the process. While a child is away, the supervisor
/// holds a share of the addresses that it listens on, so that nobody's connect() fails: who connects
/// meanwhile waits in the kernel until the child is back.
#ifndef TROUPE_SUPERVISOR_H_INCLUDED
#define TROUPE_SUPERVISOR_H_INCLUDED

#include <troupe/actor.h>
#include <troupe/server.h>

TROUPE_BEGIN

/// After which ends a child is started again.
typedef enum troupe_restart {
  TROUPE_RESTART_ON_FAILURE = 0, ///< when it has failed
  TROUPE_RESTART_ALWAYS = 1,     ///< also when its main function returned 0 or more
  TROUPE_RESTART_NEVER = 2,
} troupe_restart_t;

/// A child. Right when zeroed, but for `main`.
typedef struct troupe_child {
  const char *name;    ///< troupe_actor_find() gives the actor that it is now, under index 0. NULL:
                       ///< "actor"
  troupe_main_fn main; ///< begins anew with each start
  void *argument;      ///< as in troupe_spawn_options_t
  size_t argument_size;
  /// Called in the supervisor before each start with a fresh copy of the argument, which the child
  /// then gets: writes in it where the supervisor's `listens` are, for ports that the system
  /// picked. Only with an `argument_size`. NULL: the copy is as the argument.
  void (*prepare)(void *argument, const troupe_address_t *addresses, size_t count);
  size_t stack_size; ///< as in troupe_spawn_options_t
  troupe_restart_t restart;
} troupe_child_t;

/// Who is started again when a child has failed.
typedef enum troupe_strategy {
  TROUPE_ONE_FOR_ONE = 0, ///< that child
  TROUPE_ALL_FOR_ONE =
      1, ///< all: the others are stopped first. Those that had returned before, too
} troupe_strategy_t;

/// What becomes of children.
typedef enum troupe_child_event {
  TROUPE_CHILD_STARTED = 0,
  TROUPE_CHILD_ENDED = 1,           ///< with its status; once for each start, at the latest when
                                    ///< troupe_supervisor_run() ends
  TROUPE_CHILD_FAILED_TO_START = 2, ///< its set-up returned this error, the first time too
} troupe_child_event_t;

/// Tells it: `index` is the child's among the options. May do anything.
typedef void (*troupe_child_fn)(size_t index, troupe_child_event_t event, troupe_actor_t actor,
                                int status, void *context);

/// Right when zeroed, but for the children.
typedef struct troupe_supervisor_options {
  const troupe_child_t *children; ///< started in this order
  size_t child_count;
  troupe_strategy_t strategy;
  unsigned max_restarts; ///< so many restarts in `period_ms` are made; with one more the supervisor
                         ///< fails. 0: 5
  unsigned period_ms;    ///< 0: 10 seconds
  unsigned backoff_ms; ///< how long the first restart waits; each further failure of a child within
                       ///< `period_ms` of its start doubles it. 0: 10
  unsigned backoff_max_ms; ///< 0: one second
  unsigned grace_ms;       ///< for children that are stopped, by an all-for-one restart or with the
                           ///< supervisor. 0: one second
  /// Where the children listen: the supervisor listens there first, as a standby, and stays until
  /// it ends. An address is named once, however many children share it.
  const troupe_listen_options_t *listens;
  size_t listen_count;
  troupe_child_fn on_child; ///< NULL is fine
  void *context;
} troupe_supervisor_options_t;

/// Starts the children, and supervises them until all have ended for good, the supervisor is
/// stopped, or they fail too often. It is called by an actor's main function, in place of
/// troupe_actor_run(), and what the actor had before goes on: its handlers are called as ever. When
/// it returns, all children have ended.
///
/// An actor that ends in a restart's time finds those that it knows under their new ids: by
/// troupe_actor_find(), or by `on_child`.
///
/// Ownership: `options` and all that it names is borrowed until the call returns.
/// Thread:    owner; not inside a callback.
/// Blocks:    yes. A child's set-up, too, which troupe_spawn() waits for.
/// Returns:   0, or what troupe_actor_end() was given; or
///            TROUPE_ERESTARTS      a child failed once more than `max_restarts` allows,
///            TROUPE_EINVAL         no children, a child without main function or with a name that
///                                  troupe_spawn() would not take, a `prepare` without
///                                  `argument_size`, a strategy or restart that does not exist,
///            TROUPE_EWRONGTHREAD   this thread is no actor,
///            TROUPE_EBUSY          called inside a callback,
///            an error              of a listen, or of a child that could not be started the first
///                                  time; the others were stopped again.
TROUPE_API int troupe_supervisor_run(const troupe_supervisor_options_t *options);

/// The same, told where it is called (<troupe/here.h>), which is where its shares of addresses were
/// made.
TROUPE_API int troupe_supervisor_run_at(const char *made_at,
                                        const troupe_supervisor_options_t *options);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_supervisor_run(...) troupe_supervisor_run_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
