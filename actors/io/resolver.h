/// Private. Looks names up with getaddrinfo() on threads of its own: libuv's pool belongs to the
/// process, and two slow names would fill its share.
///
/// Up to four threads, started when a look-up finds none idle, gone after a while without work;
/// they block every asynchronous signal. All functions belong to one thread, the one of the loop.
/// What waits is not bounded here: each look-up belongs to a socket or a server, and those are.
#ifndef TRP_RESOLVER_H_INCLUDED
#define TRP_RESOLVER_H_INCLUDED

#include "actors/net/transport.h"

typedef struct trp_resolver trp_resolver_t;

enum { TRP_RESOLVER_THREADS = 4 };

typedef struct trp_resolver_options {
  /// Called on another thread when there is something to dispatch. It must not block, and is not
  /// called any more once trp_resolver_free() was.
  void (*wake)(void *context);
  /// Called by trp_resolver_dispatch() for each look-up that ended; it may start and cancel others.
  void (*resolved)(void *context, void *owner, const trp_resolved_t *result);
  void *context;
  int64_t idle_ns; // how long a thread waits for work before it ends
} trp_resolver_options_t;

/// 0 or TROUPE_ENOMEM. Starts no thread.
int trp_resolver_new(const trp_resolver_options_t *options, trp_resolver_t **resolver);

/// Begins a look-up. 0 or TROUPE_ENOMEM, TROUPE_EAGAIN (there is no thread, and none can be
/// started); `host` is borrowed.
int trp_resolver_start(trp_resolver_t *resolver, const char *host, uint16_t port, int family,
                       unsigned hints, void *owner, trp_resolve_t **request);

/// The result will not be told. The request is gone with this call, whatever its thread is doing.
void trp_resolver_cancel(trp_resolver_t *resolver, trp_resolve_t *request);

/// Tells the results that are there, and joins the threads that have ended.
void trp_resolver_dispatch(trp_resolver_t *resolver);

/// How many threads there are that have not been joined.
int trp_resolver_threads(trp_resolver_t *resolver);

/// Cancels all and joins the threads. getaddrinfo() cannot be interrupted: a thread that is still
/// in it at the deadline (of uv_hrtime()'s clock) is left behind detached, with the memory that it
/// needs, and TROUPE_ETIMEDOUT returned; else 0. Blocks until the deadline at the most.
int trp_resolver_free(trp_resolver_t **resolver, int64_t deadline_ns);

#endif
