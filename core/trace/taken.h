/// Private. Which events a trace has: of each sender ranges of their numbers, in rising order.
#ifndef TRP_TAKEN_H_INCLUDED
#define TRP_TAKEN_H_INCLUDED

#include "core/support/map.h"

/// Zeroed it is empty.
typedef struct trp_taken {
  trp_map_t senders; // of what is private to taken.c
} trp_taken_t;

/// Events from `first` to `last`, behind those that were added before. 0 or TROUPE_ENOMEM.
int trp_taken_add(trp_taken_t *taken, uint64_t sender, uint64_t first, uint64_t last);
bool trp_taken_has(const trp_taken_t *taken, uint64_t sender, uint64_t sequence);
void trp_taken_free(trp_taken_t *taken);

#endif
