/// Actors: threads with an inbox. Everything in troupe happens in one; its sockets, servers, timers
/// and chunks belong to it alone.
#ifndef TROUPE_ACTOR_H_INCLUDED
#define TROUPE_ACTOR_H_INCLUDED

#include <troupe/chunk.h>
#include <troupe/system.h>

TROUPE_BEGIN

/// Names an actor for as long as the system lives; never used again. {0} is none.
typedef struct {
  uint64_t id;
} troupe_actor_t;

/// An actor's main function: it sets up what the actor has, calls troupe_actor_run(), and returns 0
/// or more for success, below 0 for failure. It may do without troupe_actor_run(), and an actor
/// that returns closes all that it owned.
typedef int (*troupe_main_fn)(void *argument);

/// How an actor ended.
typedef enum troupe_reason {
  TROUPE_REASON_RETURNED = 0, ///< its main function returned 0 or more
  TROUPE_REASON_FAILED = 1,   ///< it returned an error, the status
  TROUPE_REASON_EXITED = 2,   ///< it called pthread_exit()
  TROUPE_REASON_UNKNOWN = 3,  ///< there was no such actor, or it had ended before
} troupe_reason_t;

/// What troupe_spawn() starts. Right when zeroed, but for `main`.
typedef struct troupe_spawn_options {
  troupe_main_fn main;
  const char *name; ///< borrowed; for troupe_actor_find() and the trace's file name. NULL: "actor"
  void *argument;   ///< for main; borrowed as long as the actor lives, unless argument_size is set
  size_t argument_size; ///< above 0: each copy gets its own copy of so many bytes, aligned for
                        ///< everything
  unsigned copies;      ///< how many actors; 0 means 1. Copies that listen on port 0 share a port
  size_t stack_size;    ///< bytes; 0: the system's default
} troupe_spawn_options_t;

/// Starts an actor on a thread of its own, or several copies of it. Returns when each has entered
/// troupe_actor_run() or has returned from its main function, so that an error of its set-up is the
/// result of this call.
///
/// Ownership: `options` is borrowed until the call returns. `actors` gets one id for each copy;
///            NULL is fine.
/// Thread:    any; from an actor too, which waits meanwhile.
/// Blocks:    until all copies are set up.
/// Returns:   0, or
///            the actor's own error    its main function returned it before it ran; the other
///                                     copies were stopped again,
///            TROUPE_EINVAL            no system, no main function, an empty name, one of more than
///                                     63 bytes or with '/', more than 4096 copies,
///            TROUPE_ESTOPPED          the system is stopping,
///            TROUPE_EAGAIN, TROUPE_ENOMEM, TROUPE_EMFILE   no thread, memory or descriptors for
///                it.
TROUPE_API int troupe_spawn(troupe_system_t *system, const troupe_spawn_options_t *options,
                            troupe_actor_t *actors);

/// The same, told where it is called (<troupe/here.h>), which is where lists of actors say that
/// they were made.
TROUPE_API int troupe_spawn_at(const char *made_at, troupe_system_t *system,
                               const troupe_spawn_options_t *options, troupe_actor_t *actors);

/// Dispatches events until nothing holds the actor (as Node's loop ends when nothing is ref'd), it
/// is stopped, or troupe_actor_end() was called.
///
/// Thread:    owner; not inside a callback.
/// Blocks:    yes.
/// Returns:   what troupe_actor_end() was given, else 0; or
///            TROUPE_EWRONGTHREAD   this thread is no actor,
///            TROUPE_EBUSY          called inside a callback.
TROUPE_API int troupe_actor_run(void);

/// Makes troupe_actor_run() return `status` after the current callback. (What it makes of
/// troupe_dispatch(): <troupe/attach.h>.)
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_actor_end(int status);

/// The actor of this thread; {0} when it is none.
///
/// Thread:    any.
/// Blocks:    never.
TROUPE_API troupe_actor_t troupe_actor_self(void);

/// The name that this thread's actor was spawned with, and which of its copies it is, from 0. NULL
/// and 0 when the thread is no actor.
///
/// Ownership: borrowed, as long as the actor lives.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API const char *troupe_actor_name(void);
TROUPE_API unsigned troupe_actor_index(void);

/// The time of the batch that is being dispatched, in nanoseconds of a monotonic clock; the same
/// all through a batch, and in a replay. 0 when the thread is no actor.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API int64_t troupe_now(void);

/// A random number from a generator that the actor's start seeded, so that a replay gets the same.
/// Not for secrets. 0 when the thread is no actor.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API uint64_t troupe_random(void);

/// Asks an actor to end: its servers are closed, its on_stop runs, its sockets may finish for
/// `grace_ms`; then they are destroyed and troupe_actor_run() returns. Asking again can only make
/// that grace shorter.
///
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOACTOR   there is no such actor (any more),
///            TROUPE_EINVAL     no system,
///            TROUPE_ENOMEM     there is no memory; nothing was asked.
TROUPE_API int troupe_actor_stop(troupe_system_t *system, troupe_actor_t actor, unsigned grace_ms);

/// Waits until an actor has ended.
///
/// Thread:    any, but not the actor itself.
/// Blocks:    for `timeout_ms` at most; below 0 without limit.
/// Returns:   0 and the main function's result in `status` (NULL is fine), or
///            TROUPE_ENOACTOR    there is no such actor, or it has ended and somebody waited for it
///                               already,
///            TROUPE_ETIMEDOUT   it still runs,
///            TROUPE_EINVAL      no system, or it is this thread's own actor.
TROUPE_API int troupe_actor_join(troupe_system_t *system, troupe_actor_t actor, int timeout_ms,
                                 int *status);

/// Finds a running actor by name; of several copies the one with that index.
///
/// Ownership: `name` is borrowed until the call returns. `*actor` is the caller's; NULL is fine.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOACTOR   there is none,
///            TROUPE_EINVAL     no system or no name.
TROUPE_API int troupe_actor_find(troupe_system_t *system, const char *name, unsigned index,
                                 troupe_actor_t *actor);

/// Called when the actor is asked to stop, after its servers were closed. Replaces the earlier one;
/// NULL for none.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_actor_on_stop(void (*on_stop)(void *context), void *context);

/// Gets the messages that other actors send here. An actor with this handler is held by it until it
/// is stopped. Replaces the earlier one; NULL for none.
///
/// Ownership: `message` is borrowed until the callback returns; troupe_chunk_keep() keeps it.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EWRONGTHREAD.
typedef void (*troupe_message_fn)(troupe_actor_t from, const troupe_chunk_t *message,
                                  void *context);
TROUPE_API int troupe_actor_on_message(troupe_message_fn on_message, void *context);

/// Called when messages can be sent again to an actor for which troupe_send() said TROUPE_ENOBUFS.
/// Replaces the earlier one; NULL for none.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_actor_on_sendable(void (*on_sendable)(troupe_actor_t to, void *context),
                                        void *context);

/// Sends bytes to another actor. Messages from one actor to another arrive in the order of the
/// calls, as long as the receiver lives; what was sent to one that ends meanwhile is lost (watch it
/// to hear of that).
///
/// Ownership: `bytes` is borrowed until the call returns.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOBUFS        1024 messages to that actor are not dispatched yet; nothing was
///                                  sent, on_sendable follows,
///            TROUPE_ENOACTOR       it has ended, as far as this actor knows already,
///            TROUPE_EINVAL         `to` is no actor's id, `length` is more than 16 MiB, or NULL bytes,
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
TROUPE_API int troupe_send(troupe_actor_t to, const void *bytes, size_t length);

/// troupe_send() of a chunk: by reference, not copied.
///
/// Ownership: `chunk` is borrowed until the call returns.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_send().
TROUPE_API int troupe_send_chunk(troupe_actor_t to, const troupe_chunk_t *chunk);

/// Sends bytes to an actor from a thread that is none.
///
/// Ownership: `bytes` is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOACTOR   there is no such actor (any more),
///            TROUPE_ENOBUFS    1024 messages or 16 MiB from outside are not dispatched by that actor
///                              yet, or 16 MiB wait for the I/O actor; nothing was sent, and nothing
///                              tells when there is room: try again later,
///            TROUPE_ENOMEM     there is no memory,
///            TROUPE_ESTOPPED   the system ends,
///            TROUPE_EINVAL     no system, `length` is more than 16 MiB, or NULL bytes.
TROUPE_API int troupe_post(troupe_system_t *system, troupe_actor_t to, const void *bytes,
                           size_t length);

/// Tells once when another actor ends, with its main function's result; at once when it has ended
/// already, but then with TROUPE_REASON_UNKNOWN, and 0: how it ended is not known any more. A watch
/// holds the watcher until then.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL         `actor` is no actor's id, or no callback,
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EEXIST         it is watched already,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
typedef void (*troupe_down_fn)(troupe_actor_t actor, troupe_reason_t reason, int status,
                               void *context);
TROUPE_API int troupe_watch(troupe_actor_t actor, troupe_down_fn on_down, void *context);

/// Takes that back.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ESTALE         it is not watched,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
TROUPE_API int troupe_unwatch(troupe_actor_t actor);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_spawn(...) troupe_spawn_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
