/// Abort tokens: one word, from any thread, that ends sockets and servers. Node: AbortController
/// and its AbortSignal, as the `signal` option takes it.
///
/// An actor makes a token and names it in the options of as many of its sockets and servers as it
/// likes. When it is aborted, once and for good, those sockets are destroyed with TROUPE_ABORT_ERR
/// and those servers closed. What is closed already is left alone.
#ifndef TROUPE_ABORT_H_INCLUDED
#define TROUPE_ABORT_H_INCLUDED

#include <troupe/here.h>
#include <troupe/system.h>

TROUPE_BEGIN

/// Names a token. {0} is none.
typedef struct troupe_abort {
  uint64_t id;
} troupe_abort_t;

/// Makes a token. Node: new AbortController().
///
/// Ownership: `*token` is owned; free it with troupe_abort_free(), or leave it to the end of the
///            actor.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL         `token` is NULL,
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EOVERFLOW      the actor has used up its ids,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
TROUPE_API int troupe_abort_new(troupe_abort_t *token);

/// The same, told where it is made (<troupe/here.h>).
TROUPE_API int troupe_abort_new_at(const char *made_at, troupe_abort_t *token);

/// Aborts. In the actor that made the token it has happened when the call returns; from elsewhere
/// it comes to that actor as an event. Aborting twice changes nothing. Node: controller.abort().
///
/// Thread:    any; `system` is that of the token's actor, and may be NULL in that actor itself.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL     no token, or no system,
///            TROUPE_ESTALE     in its own actor: it was freed (elsewhere that changes nothing),
///            TROUPE_ENOACTOR   its actor has ended,
///            TROUPE_ENOBUFS    1024 aborts are not dispatched by its actor yet; this one is not under
///                              way,
///            TROUPE_ENOMEM     there is no memory, TROUPE_ESTOPPED.
/// Events:    after 0: on_error with TROUPE_ABORT_ERR, then on_close, of each of its sockets that
///            is not destroyed; on_close of each of its servers that listens or is about to, once
///            the last connection is gone.
TROUPE_API int troupe_abort(troupe_system_t *system, troupe_abort_t token);

/// Whether it is aborted, as far as its actor has heard. Node: signal.aborted.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API bool troupe_abort_aborted(troupe_abort_t token);

/// Frees a token. Its sockets and servers go on, out of its reach.
///
/// Ownership: the handle is consumed: stale at once.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_abort_free(troupe_abort_t token);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_abort_new(...) troupe_abort_new_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
