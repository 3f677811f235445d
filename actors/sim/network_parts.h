/// Private to network.c, traffic.c and timeline.c: what they need of each other.
#ifndef TRP_SIM_NETWORK_PARTS_H_INCLUDED
#define TRP_SIM_NETWORK_PARTS_H_INCLUDED

#include "actors/sim/network.h"

/// What can happen to a connection in its time.
typedef enum trp_sim_event_kind {
  TRP_ON_SYN,
  TRP_ON_SYN_ACK,
  TRP_ON_REFUSED,
  TRP_ON_ATTEMPT_OVER,
  TRP_ON_SEGMENT,
  TRP_ON_FIN,
  TRP_ON_RESET,
  TRP_ON_BREAK,
} trp_sim_event_kind_t;

struct trp_sim_event {
  int64_t due_ns;
  uint64_t sequence; // among equals the first goes first
  trp_connection_t *connection;
  trp_sim_event_kind_t kind;
  int side; // SEGMENT, FIN: who wrote; RESET: whom it reaches
  size_t length;
};

// ---- timeline.c ----

/// False: no memory, which the network then knows.
bool trp_network_schedule(trp_network_t *network, trp_connection_t *connection,
                          trp_sim_event_kind_t kind, int side, size_t length, int64_t due_ns);

// ---- network.c ----

/// Frees it when nobody can reach it any more.
void trp_connection_let_go(trp_connection_t *connection);
/// The attempt reaches the other machine; it has ended, if somebody still waits for it.
void trp_connection_syn(trp_network_t *network, trp_connection_t *connection);
void trp_connection_end_attempt(trp_connection_t *connection, int result);

// ---- traffic.c ----

/// Sends what there is room for at the reader, and the end behind the last byte.
void trp_lane_pump(trp_network_t *network, trp_connection_t *connection, int side);
/// The first bytes are gone: read, or thrown away.
void trp_lane_drop_first(trp_lane_t *lane, size_t length);
void trp_lane_arrive(trp_network_t *network, trp_connection_t *connection, int writer,
                     size_t length);
/// The peer will hear of it; what this side still had to say is lost.
void trp_connection_send_reset(trp_network_t *network, trp_connection_t *connection, int from);
void trp_connection_reset(trp_connection_t *connection, int side);
/// The connection is lost for both, with what is on its way and what nobody has read.
void trp_connection_lose(trp_connection_t *connection);

#endif
