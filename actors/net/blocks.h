/// Private. Block lists on the I/O side: which peers a server refuses. Node: net.BlockList, as
/// server.blockList uses it.
#ifndef TRP_BLOCKS_H_INCLUDED
#define TRP_BLOCKS_H_INCLUDED

#include "actors/net/context.h"
#include "core/net/ip_set.h"

typedef struct trp_blocks {
  trp_subject_t subject;
  trp_net_t *net;
  trp_owner_t *owner;
  trp_link_t in_owner;
  trp_ip_set_t set;
  uint64_t known;  // rules that came
  bool incomplete; // one is missing: there was no memory for it
} trp_blocks_t;

/// The command of the same name.
void trp_blocks_define(const trp_command_t *command);

/// Forgets a list.
void trp_blocks_drop(trp_blocks_t *blocks);

/// Whether a rule of the list `id` names the peer; id 0 is no list. One that is not there as a whole
/// names every peer that has an IP address: with too little memory nobody gets in who should not.
bool trp_blocks_match(const trp_net_t *net, uint64_t id, const troupe_address_t *peer);

#endif
