/// Private. Connections that one I/O actor accepts and another one serves: the first counts them,
/// the second owns them.
#ifndef TRP_DEALING_H_INCLUDED
#define TRP_DEALING_H_INCLUDED

#include "actors/net/member.h"

/// Sends a connection of the member on to the I/O actor `io`. False: no memory; then nothing has
/// happened.
bool trp_deal(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote,
              unsigned io);

/// Counts one that lives elsewhere already and that its actor knows. False: no memory.
bool trp_deal_known(trp_member_t *member, uint64_t id, const troupe_address_t *remote);

/// Counts those that the member has elsewhere under their addresses anew.
void trp_dealt_count_peers(trp_member_t *member);

// Commands of other I/O actors.
void trp_dealt_take(const trp_command_t *command);
void trp_dealt_lost(const trp_command_t *command);

/// Forgets all.
void trp_dealt_free(trp_net_t *net);

#endif
