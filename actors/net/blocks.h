/// Private. Block lists on the I/O side: which peers a server refuses. Node: net.BlockList, as
/// server.blockList uses it.
#ifndef TRP_BLOCKS_H_INCLUDED
#define TRP_BLOCKS_H_INCLUDED

#include "actors/net/context.h"

typedef struct trp_block_rule {
  uint8_t first[16], last[16]; // IPv4 as ::ffff:a.b.c.d
  bool ipv6_only; // a range of IPv6 addresses that are not all mapped: matches no IPv4 peer
} trp_block_rule_t;

typedef struct trp_blocks {
  trp_subject_t subject;
  trp_net_t *net;
  trp_owner_t *owner;
  trp_link_t in_owner;
  trp_block_rule_t *rules;
  size_t count, capacity;
} trp_blocks_t;

/// The command of the same name.
void trp_blocks_define(const trp_command_t *command);

/// Forgets a list.
void trp_blocks_drop(trp_blocks_t *blocks);

/// Whether a rule of the list `id` names the peer. No such list blocks nobody. Linear in the rules,
/// as in Node.
bool trp_blocks_match(const trp_net_t *net, uint64_t id, const troupe_address_t *peer);

#endif
