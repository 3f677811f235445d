/// Private. Brings an I/O actor to where an actor believes it to be, which goes on from a recording:
/// connections and counters appear that nobody made here. For simulated worlds.
#ifndef TRP_RESUME_H_INCLUDED
#define TRP_RESUME_H_INCLUDED

#include "actors/net/net.h"

/// What was told to an actor by this I/O actor, and by the actor to it, all in all.
typedef struct trp_resumed_owner {
  uint64_t sent_cost;     // of data events, all of which have left the inbox
  uint64_t next_sequence; // of events
  uint64_t last_counter;  // of the ids that this I/O actor made
} trp_resumed_owner_t;

/// A connection, as its owner knows it.
typedef struct trp_resumed {
  uint64_t id;
  uint64_t server; // that accepted it; 0: none, or not here
  uint32_t epoch;
  bool peer_ended, finished; // EVENT_END, EVENT_FINISH were told
  bool frozen;               // EVENT_FROZEN was
  bool resumed;              // it was told once to read
  uint64_t sent_cost, consumed, bytes_read;
  uint64_t written;                     // bytes, all of which were with the kernel
  const Troupe__Wire__Options *options; // of a connection that no server accepted; NULL: none
} trp_resumed_t;

/// The actor has said hello. Before anything else of it is resumed.
void trp_net_resume_owner(trp_net_t *net, uint64_t actor, const trp_resumed_owner_t *known);

/// Takes back the event LISTENING of this server, which was just told: its actor knows it already.
void trp_net_unsay_listening(trp_net_t *net, uint64_t actor, uint64_t server);

/// Makes a socket of a handle, which is connected; consumes it. `servers_net` is the I/O actor that
/// has its server. Returns 0 or TROUPE_ENOMEM.
int trp_net_resume(trp_net_t *net, uint64_t actor, const trp_resumed_t *known, trp_handle_t *handle,
                   trp_net_t *servers_net);

#endif
