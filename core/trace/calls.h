/// Private. The synchronous calls whose results are in a trace, since they depend on more than the actor's events. Numbers are never reused.
#ifndef TRP_CALLS_H_INCLUDED
#define TRP_CALLS_H_INCLUDED

enum {
  TRP_CALL_FIND = 1,      // troupe_actor_find: the id, or an error
  TRP_CALL_SPAWN = 2,     // troupe_spawn: its result, then one TRP_CALL_SPAWNED for each copy
  TRP_CALL_SPAWNED = 3,
  TRP_CALL_STOP = 4,      // troupe_actor_stop, troupe_system_stop: the result
  TRP_CALL_JOIN = 5,      // troupe_actor_join: the result, then TRP_CALL_JOINED with the status
  TRP_CALL_JOINED = 6,
  TRP_CALL_PIPE = 7,      // whether a pipe of its own to another actor could be made: 0, or 1 for through the I/O actor
  TRP_CALL_DEFAULT = 8,   // the system's default for autoSelectFamily or its attempt timeout, read or set in an actor
};

#endif
