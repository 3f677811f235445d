/// Private. The I/O actor: a thread with a libuv loop, an inbox and the socket logic over the libuv
/// transport.
///
/// The way of a turn: what is ready, due or posted is handled; `check` sends the events that came
/// of it; `prepare` empties the inbox, sends again and tells libuv what is to be watched; then the
/// loop waits.
#ifndef TRP_IO_LOOP_H_INCLUDED
#define TRP_IO_LOOP_H_INCLUDED

#include "actors/io/call.h"
#include "actors/net/net.h"
#include "core/message/pipes.h"
#include "core/trace/flight.h"

typedef struct trp_io trp_io_t;

typedef struct trp_io_options {
  trp_hub_t *hub;
  uint64_t self;      // trp_id_actor(1) to trp_id_actor(TRP_IO_ACTORS_MAX)
  unsigned io_actors; // how many there are in the system; 0 means 1
  int64_t spin_ns;    // how long the loop looks again and again after something happened before it
                      // sleeps; 0: it sleeps at once
  void (*on_signal_stop)(void *context); // in the I/O thread, after trp_io_post_from_signal(); must
                                         // not block; NULL is fine
  void *context;
} trp_io_options_t;

enum {
  /// Payload that waits in front of the door at the most. Without payload (stop, abort) a call is
  /// always taken: control is never refused.
  TRP_IO_POST_LIMIT = 16 * 1024 * 1024,
};

/// Starts the thread and waits until it has opened all that it needs. Returns 0, or what it failed
/// with (TROUPE_EINVAL, TROUPE_ENOMEM, TROUPE_EMFILE, TROUPE_EAGAIN, TROUPE_EADDRINUSE: the hub has
/// this actor already); then nothing is left.
int trp_io_start(const trp_io_options_t *options, trp_io_t **io);

/// Any thread. Calls of one thread are carried out in their order. Returns 0 (the actor may be gone
/// by then: it is counted), TROUPE_ENOMEM, TROUPE_ESTOPPED, or TROUPE_ENOBUFS: more than
/// TRP_IO_POST_LIMIT bytes wait.
int trp_io_post(trp_io_t *io, const trp_io_call_t *call);

/// For signal handlers: an atomic store and one write to an eventfd. Leaves errno alone. Not after
/// trp_io_stop() was called.
void trp_io_post_from_signal(trp_io_t *io);

/// Any thread but the I/O thread; blocks until the loop has come to it. The calls posted before are
/// in the counts. Returns 0, TROUPE_ETIMEDOUT or TROUPE_ESTOPPED.
int trp_io_counters(trp_io_t *io, int64_t deadline_ns, trp_net_counters_t *counters);

/// Any thread but the I/O thread; blocks until the loop has come to it. As trp_net_handles(), with
/// the number in `*count`. Returns as trp_io_counters().
int trp_io_handles(trp_io_t *io, int64_t deadline_ns, troupe_handle_t *handles, size_t capacity,
                   size_t *count);

/// Any thread but the I/O thread; blocks until the actor's HELLO, which was sent before, has come.
/// Returns 0: it can be told things; TROUPE_EMFILE: no pipe to it could be made; TROUPE_ETIMEDOUT
/// or TROUPE_ESTOPPED.
int trp_io_knows(trp_io_t *io, int64_t deadline_ns, uint64_t actor);

/// Any thread but the I/O thread; all I/O actors of the system are started: makes the pipes between
/// them. Returns 0, TROUPE_EMFILE, TROUPE_ENOMEM, TROUPE_ETIMEDOUT or TROUPE_ESTOPPED.
int trp_io_meet(trp_io_t *io, int64_t deadline_ns);

/// Any thread but the I/O thread; blocks until the loop has come to it: from here on its last
/// batches are in a ring of the flight recorder, if one is free; NULL: no more. `flight` is borrowed
/// until the call returns. Returns 0, TROUPE_ETIMEDOUT or TROUPE_ESTOPPED.
int trp_io_fly(trp_io_t *io, int64_t deadline_ns, trp_flight_t *flight);

/// Any thread but the I/O thread; no user actor runs any more. Blocks until all that they sent is
/// carried out. With several I/O actors each is drained before the first is stopped: then none
/// sends another one a descriptor afterwards. Returns 0, TROUPE_ETIMEDOUT or TROUPE_ESTOPPED.
int trp_io_drain(trp_io_t *io, int64_t deadline_ns);

/// No other thread may be in a call, or make one, on this I/O actor. Carries out what was posted,
/// receives what was sent to it, closes all sockets, joins the thread and frees everything. Waits for look-ups until the deadline
/// (of the clock that the inbox's now() reads); with TROUPE_ETIMEDOUT a thread that hangs in one
/// was left behind, everything else is gone all the same. Else 0.
int trp_io_stop(trp_io_t **io, int64_t deadline_ns);

#endif
