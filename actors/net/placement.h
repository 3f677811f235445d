/// Private. Who gets the next connection of a shared listening socket. Pure: counters in, an index
/// out.
#ifndef TRP_PLACEMENT_H_INCLUDED
#define TRP_PLACEMENT_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum trp_placement_policy {
  TRP_PLACE_ROUND_ROBIN,
  TRP_PLACE_LEAST_CONNECTIONS,
  TRP_PLACE_HASH, // the same peer goes to the same place, as long as that one can take it
} trp_placement_policy_t;

/// One that may get connections. The counters are the dealer's own, so they are exact.
typedef struct trp_place {
  uint64_t id;
  uint64_t connections;    // open now
  uint64_t credit;         // how many it may be dealt before it must say that it dispatched some
  int64_t max_connections; // 0 unlimited, below 0 none at all
  bool standby;            // takes none
} trp_place_t;

typedef enum trp_placement_verdict {
  TRP_PLACE_DEAL, // accept one and deal it
  TRP_PLACE_WAIT, // leave it in the kernel's backlog: a place that is not full is only out of
                  // credit, or there is none
  TRP_PLACE_DROP, // every place is full: accept it and close it
} trp_placement_verdict_t;

trp_placement_verdict_t trp_placement_verdict(trp_place_t *const *places, size_t count);

/// The place for one connection, after the verdict was DEAL (then it can take it) or DROP (then it
/// is the one whose turn it would be, and which is told). `cursor` is the dealer's memory, 0 at
/// first; `hash` is of the peer's address.
size_t trp_placement_pick(trp_placement_policy_t policy, trp_place_t *const *places, size_t count,
                          size_t *cursor, uint64_t hash);

#endif
