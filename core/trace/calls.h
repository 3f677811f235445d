/// Private. The synchronous calls whose results are in a trace, since they depend on more than the
/// actor's events.
#ifndef TRP_CALLS_H_INCLUDED
#define TRP_CALLS_H_INCLUDED

#include <stdint.h>

/// X(name, number, what a person calls it). Numbers are never reused.
///
/// - FIND: the id, or an error.
/// - SPAWN: its result, then one SPAWNED for each copy with its id.
/// - STOP: of an actor or the system: the result.
/// - JOIN: the result, then JOINED with the status.
/// - PIPE: how messages go to another actor: 0 over a pipe of their own, 1 through the I/O actor,
///   TROUPE_ENOACTOR when it has ended.
/// - DEFAULT: the system's default for autoSelectFamily or its attempt timeout, read or set in an
///   actor.
/// - ABORT: of another actor's token: the result.
/// - POST: the result.
/// - COUNTERS: of troupe_system_counters(): its result, then one COUNT for each of the counters.
/// - DESCRIPTOR: whether a descriptor that is to be adopted is of a fitting kind: the result.
/// - RECEIVE: no call of the application: taking the next batch failed, with this error.
/// - SCOPE: the index of the interface that an IPv6 literal names ("fe80::1%eth0").
#define TRP_CALLS(X)                                                                               \
  X(FIND, 1, "troupe_actor_find()")                                                                \
  X(SPAWN, 2, "troupe_spawn()")                                                                    \
  X(SPAWNED, 3, "troupe_spawn(), for one of the copies")                                           \
  X(STOP, 4, "troupe_actor_stop() or troupe_system_stop()")                                        \
  X(JOIN, 5, "troupe_actor_join()")                                                                \
  X(JOINED, 6, "troupe_actor_join(), for the status")                                              \
  X(PIPE, 7, "the first message to an actor")                                                      \
  X(DEFAULT, 8, "a default of autoSelectFamily")                                                   \
  X(SCOPE, 9, "the interface in an address")                                                       \
  X(ABORT, 10, "troupe_abort()")                                                                   \
  X(POST, 11, "troupe_post()")                                                                     \
  X(COUNTERS, 12, "troupe_system_counters()")                                                      \
  X(COUNT, 13, "troupe_system_counters(), for one of them")                                        \
  X(DESCRIPTOR, 14, "troupe_socket_adopt(), for the descriptor")                                   \
  X(RECEIVE, 15, "taking the next batch, which failed")

enum {
#define TRP_CALL_ENUM(name, number, words) TRP_CALL_##name = (number),
  TRP_CALLS(TRP_CALL_ENUM)
#undef TRP_CALL_ENUM
};

/// What a person calls it, for a number that a trace may have.
const char *trp_call_name(uint64_t call);

#endif
