/// Private. The libuv transport: real sockets under the socket logic. Its contract is
/// actors/net/transport.h.
///
/// Descriptors are our own, watched by uv_poll; libuv's streams are not used. Whoever runs the loop
/// calls trp_uv_transport_settle() before each time it waits.
#ifndef TRP_UV_TRANSPORT_H_INCLUDED
#define TRP_UV_TRANSPORT_H_INCLUDED

#include <uv.h>

#include "actors/net/transport.h"

typedef struct trp_uv_transport trp_uv_transport_t;

/// Returns 0 or TROUPE_ENOMEM, or what libuv says.
int trp_uv_transport_new(uv_loop_t *loop, trp_uv_transport_t **transport);

/// What the socket logic sees.
trp_transport_t *trp_uv_transport_base(trp_uv_transport_t *transport);

/// Hands all that want() has changed to libuv, and lets the next now() ask the clock again. To be
/// called last before the loop waits.
void trp_uv_transport_settle(trp_uv_transport_t *transport);

/// A number that grows with each callback. Who spins looks whether it has changed.
uint64_t trp_uv_transport_activity(const trp_uv_transport_t *transport);

/// Closes all descriptors and cancels all look-ups without a word; waits for look-ups until the
/// deadline (of uv_hrtime()'s clock). Afterwards the loop has to run until nothing in it is alive.
/// Returns 0, or TROUPE_ETIMEDOUT if a thread was left behind in getaddrinfo().
int trp_uv_transport_close(trp_uv_transport_t *transport, int64_t deadline_ns);

/// After trp_uv_transport_close(), once the loop has run out. NULL is fine.
void trp_uv_transport_free(trp_uv_transport_t **transport);

#endif
