/// Private. The peers of a recording that goes on: each plays its role of the script at the other end
/// of one of the actor's connections.
#ifndef TRP_SIM_PEERS_H_INCLUDED
#define TRP_SIM_PEERS_H_INCLUDED

#include "actors/sim/ledger.h"
#include "actors/sim/script.h"
#include "actors/sim/transport.h"
#include "core/trace/print.h"

struct trp_sim;

typedef struct trp_peers {
  struct trp_sim *sim;
  const trp_script_t *script;
  trp_sim_transport_t transport;
  trp_link_t all;
  size_t left; // whose connections are not over
  bool begun;
  int64_t began_ns;
} trp_sim_peers_t;

/// Makes all of them; `script` is borrowed. 0 or TROUPE_ENOMEM.
int trp_sim_peers_open(trp_sim_peers_t *peers, struct trp_sim *sim, const trp_script_t *script);
/// Ends all connections that are left; tells of them.
void trp_sim_peers_close(trp_sim_peers_t *peers);
void trp_sim_peers_free(trp_sim_peers_t *peers);

/// This handle is the peer's end of the actor's connection; `entry`, which is borrowed, says what it
/// has heard.
void trp_sim_peers_join(trp_sim_peers_t *peers, const trp_entry_t *entry, trp_handle_t *handle);

/// From here on they play.
void trp_sim_peers_begin(trp_sim_peers_t *peers);

bool trp_sim_peers_have_work(const trp_sim_peers_t *peers);
int64_t trp_sim_peers_next(const trp_sim_peers_t *peers); // TRP_NEVER: not by themselves
void trp_sim_peers_turn(trp_sim_peers_t *peers);

/// Names those whose connections are not over, behind `separator`.
void trp_sim_peers_tell_left(const trp_sim_peers_t *peers, const char *separator, trp_text_t *text);

#endif
