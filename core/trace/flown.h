/// Private. An inbox that is another one, and writes what passes through it into a ring of the flight
/// recorder: for I/O actors, which have no tap.
#ifndef TRP_FLOWN_H_INCLUDED
#define TRP_FLOWN_H_INCLUDED

#include "core/message/inbox.h"
#include "core/trace/flight.h"

typedef struct trp_flown {
  trp_inbox_t base; // to be used in the other's place, in its thread
  trp_inbox_t *inner;
  trp_ring_t *ring; // NULL: nothing is written
} trp_flown_t;

/// `inner` is borrowed; closing the one closes the other.
void trp_flown_init(trp_flown_t *flown, trp_inbox_t *inner);

/// From here on what passes is written, if a ring is free; NULL: no more. In the inbox's thread.
void trp_flown_fly(trp_flown_t *flown, trp_flight_t *flight, const trp_start_t *start);

#endif
