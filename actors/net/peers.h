/// Private. How many connections each address has to one server, while that has a cap.
#ifndef TRP_PEERS_H_INCLUDED
#define TRP_PEERS_H_INCLUDED

#include <troupe/address.h>

#include "core/support/map.h"

/// One address, or all that share the first bits.
typedef struct trp_peer {
  struct trp_peer *next; // another with the same hash
  uint8_t key[16];
  uint32_t count;
} trp_peer_t;

/// Zeroed, there are none.
typedef struct trp_peers {
  trp_map_t map; // hash of the key -> trp_peer_t
} trp_peers_t;

/// What an address is counted under: IPv4 (and what maps it) as a whole, IPv6 by so many of its
/// leading bits, 0 for all. False: it is no IP address, and is not counted.
bool trp_peer_key(const troupe_address_t *address, unsigned prefix, uint8_t key[16]);

uint32_t trp_peers_count(const trp_peers_t *peers, const uint8_t key[16]);

/// One more connection of it. NULL: no memory.
trp_peer_t *trp_peers_add(trp_peers_t *peers, const uint8_t key[16]);

/// One less; the last one frees it. Never fails.
void trp_peers_remove(trp_peers_t *peers, trp_peer_t *peer);

/// Frees all.
void trp_peers_free(trp_peers_t *peers);

#endif
