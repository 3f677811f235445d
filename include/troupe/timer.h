/// Timers of an actor. Node: setTimeout(), setInterval().
#ifndef TROUPE_TIMER_H_INCLUDED
#define TROUPE_TIMER_H_INCLUDED

#include <troupe/error.h>
#include <troupe/here.h>

TROUPE_BEGIN

/// A timer of this actor; {0} is none.
typedef struct {
  uint64_t id;
} troupe_timer_t;

typedef void (*troupe_timer_fn)(troupe_timer_t timer, void *context);

/// Calls `on_timer` after `delay_ms`, and then every `repeat_ms` if that is above 0. A timer that
/// does not repeat is gone after its call. It holds the actor. Timers that are due at the same time
/// fire in the order in which they were started; one that was late does not fire twice for it.
///
/// Ownership: `timer` is the caller's; NULL is fine.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL         no callback,
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
TROUPE_API int troupe_timer_start(troupe_timer_t *timer, unsigned delay_ms, unsigned repeat_ms,
                                  troupe_timer_fn on_timer, void *context);

/// The same, told where it is made (<troupe/here.h>).
TROUPE_API int troupe_timer_start_at(const char *made_at, troupe_timer_t *timer, unsigned delay_ms,
                                     unsigned repeat_ms, troupe_timer_fn on_timer, void *context);

/// Stops a timer. Node: clearTimeout().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ESTALE         it has fired or was stopped already,
///            TROUPE_EWRONGTHREAD   this thread is no actor, or the timer is another's.
TROUPE_API int troupe_timer_stop(troupe_timer_t timer);

/// The actor may end although the timer runs; and back. Node: timeout.unref(), timeout.ref().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_timer_stop().
TROUPE_API int troupe_timer_unref(troupe_timer_t timer);
TROUPE_API int troupe_timer_ref(troupe_timer_t timer);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_timer_start(...) troupe_timer_start_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
