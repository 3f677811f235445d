/// Private. Ids of actors, sockets, servers, block lists and tokens: who made it, for which I/O
/// actor, which one.
///
/// Bits, from the top: 6 the I/O actor that serves it (0 for things that none serves), 22 the actor
/// that made it, 36 a counter from 1. An actor's own id is the one with counter 0. I/O actors are
/// the actors 1 to 63. An id is never used again; a creator that has used up its 68 thousand
/// million says TROUPE_EOVERFLOW.
#ifndef TRP_ID_H_INCLUDED
#define TRP_ID_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>

enum {
  TRP_ID_COUNTER_BITS = 36,
  TRP_ID_CREATOR_BITS = 22,
  TRP_IO_ACTORS_MAX = 63,
};

#define TRP_ID_COUNTER_MAX ((UINT64_C(1) << TRP_ID_COUNTER_BITS) - 1)
#define TRP_ID_CREATOR_MAX ((UINT32_C(1) << TRP_ID_CREATOR_BITS) - 1)

/// The id that the front door (calls from threads that are no actors) sends as.
#define TRP_ID_SYSTEM UINT64_C(0)

static inline uint64_t trp_id_actor(uint32_t number) {
  return (uint64_t)number << TRP_ID_COUNTER_BITS;
}

static inline uint64_t trp_id_make(uint32_t io, uint32_t creator, uint64_t counter) {
  return ((uint64_t)io << (TRP_ID_COUNTER_BITS + TRP_ID_CREATOR_BITS)) |
         ((uint64_t)creator << TRP_ID_COUNTER_BITS) | counter;
}

/// The number of the actor that made `id`; of an actor's id its own number.
static inline uint32_t trp_id_creator(uint64_t id) {
  return (uint32_t)(id >> TRP_ID_COUNTER_BITS) & TRP_ID_CREATOR_MAX;
}

/// The number of the I/O actor that serves `id`.
static inline uint32_t trp_id_io(uint64_t id) {
  return (uint32_t)(id >> (TRP_ID_COUNTER_BITS + TRP_ID_CREATOR_BITS));
}

static inline bool trp_id_is_actor(uint64_t id) {
  return id != 0 && (id & TRP_ID_COUNTER_MAX) == 0 && trp_id_io(id) == 0;
}

static inline bool trp_id_is_io_actor(uint64_t id) {
  return trp_id_is_actor(id) && trp_id_creator(id) <= TRP_IO_ACTORS_MAX;
}

#endif
