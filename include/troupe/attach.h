/// Attaching: a thread that troupe did not start becomes an actor, inside whatever loop it has.
///
///   troupe_attach(system, NULL, NULL);
///   struct pollfd ready = {.fd = troupe_attach_fd(), .events = POLLIN};
///   ... sockets, servers, timers ...
///   while (troupe_dispatch() > 0) poll(&ready, 1, -1);
///   troupe_detach(0);
///
/// Everything that actors may do can be done here, inside and outside of troupe_dispatch(), and
/// troupe_actor_run() too. A recording of it replays as far as it does what it does before its
/// first dispatch and inside of dispatches.
#ifndef TROUPE_ATTACH_H_INCLUDED
#define TROUPE_ATTACH_H_INCLUDED

#include <troupe/actor.h>

TROUPE_BEGIN

/// How a thread is attached. Right when zeroed.
typedef struct troupe_attach_options {
  const char *name;   ///< borrowed; as in troupe_spawn_options_t. NULL: "actor"
  bool flush_by_hand; ///< what is called outside of troupe_dispatch() waits for troupe_flush() or
                      ///< the next dispatch, and does not make the descriptor readable
} troupe_attach_options_t;

/// Makes the calling thread an actor, until it detaches or ends.
///
/// Ownership: `options` is borrowed until the call returns, NULL: defaults. `actor` gets the id;
///            NULL is fine.
/// Thread:    any that is no actor.
/// Blocks:    until the I/O actors know it.
/// Returns:   0, or
///            TROUPE_EINVAL     no system, or a name of more than 63 bytes or with '/',
///            TROUPE_EALREADY   the thread is an actor already,
///            TROUPE_ENOTSUP    the system is a simulated one,
///            TROUPE_ESTOPPED   the system is stopping,
///            TROUPE_EAGAIN, TROUPE_ENOMEM, TROUPE_EMFILE   no memory or descriptors for it.
TROUPE_API int troupe_attach(troupe_system_t *system, const troupe_attach_options_t *options,
                             troupe_actor_t *actor);

/// The same, told where it is called (<troupe/here.h>).
TROUPE_API int troupe_attach_at(const char *made_at, troupe_system_t *system,
                                const troupe_attach_options_t *options, troupe_actor_t *actor);

/// The descriptor that is readable as long as troupe_dispatch() has something to do: for poll(),
/// epoll, and the loops of others. Level-triggered.
///
/// Ownership: borrowed until the thread detaches; it is only waited for, never read.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   the descriptor, or TROUPE_EWRONGTHREAD: this thread is not attached.
TROUPE_API int troupe_attach_fd(void);

/// Sends what was called since the last time, and dispatches what has come. Returns after a while
/// even when more comes; the descriptor is readable then. troupe_actor_end() makes it return after
/// the current callback, and say that the loop ends; what is left comes if it is called again.
///
/// Thread:    owner; not inside a callback.
/// Blocks:    never.
/// Returns:   1: something holds the actor; 0: nothing does, it was stopped and nothing is open any
///            more, or troupe_actor_end() was given 0 or more; or
///            a status below 0        troupe_actor_end() was given it,
///            TROUPE_ENOMEM           there is no memory; try again,
///            TROUPE_EBUSY            called inside a callback,
///            TROUPE_EWRONGTHREAD     this thread is not attached.
TROUPE_API int troupe_dispatch(void);

/// Looks for a moment whether something comes, for a thread that is about to sleep on the
/// descriptor: to be woken takes longer than many an answer does. The moment is the system's
/// `spin_us`, and it looks only while that was not in vain lately, so a thread with little to do
/// sleeps at once.
///
/// Thread:    owner; not inside a callback.
/// Blocks:    for that moment.
/// Returns:   1: troupe_dispatch() has something to do; 0: nothing came; or
///            TROUPE_EBUSY          called inside a callback,
///            TROUPE_EWRONGTHREAD   this thread is not attached.
TROUPE_API int troupe_attach_look(void);

/// Sends what was called since the last time, without dispatching anything.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EWRONGTHREAD: this thread is not attached.
TROUPE_API int troupe_flush(void);

/// Whether anything holds the actor, so that its loop should go on: as what troupe_dispatch()
/// returns, but at any time. False when the thread is no actor.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API bool troupe_actor_held(void);

/// Ends the actor as if its main function had returned `status`: what was called is sent, all that
/// it owned is closed without further callbacks, and who watches it is told. A thread that ends
/// without this is detached then.
///
/// Thread:    owner; not inside a callback.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EBUSY          called inside a callback,
///            TROUPE_EWRONGTHREAD   this thread is not attached.
TROUPE_API int troupe_detach(int status);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_attach(...) troupe_attach_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
