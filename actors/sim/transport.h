/// Private. The transport of one simulated I/O actor.
#ifndef TRP_SIM_TRANSPORT_H_INCLUDED
#define TRP_SIM_TRANSPORT_H_INCLUDED

#include "actors/sim/network.h"

typedef struct trp_sim_transport {
  trp_transport_t base;
  trp_network_t *network;
  trp_link_t handles;
  int64_t deadline_ns; // of the timer
  // Told of each handle's new owner, for the monitor. NULL: nobody is.
  void (*on_owner)(void *context, const trp_handle_t *handle, const void *owner);
  void *owner_context;
} trp_sim_transport_t;

void trp_sim_transport_init(trp_sim_transport_t *transport, trp_network_t *network);

/// Takes over a handle that was made without it.
void trp_sim_transport_keep(trp_sim_transport_t *transport, trp_handle_t *handle);

/// Whether a turn would have something to tell.
bool trp_sim_transport_has_work(const trp_sim_transport_t *transport);
/// Tells what is ready, found or due: in an order that the dice decide, and not always all of it.
void trp_sim_transport_turn(trp_sim_transport_t *transport);

#endif
