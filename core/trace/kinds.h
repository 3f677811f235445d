/// Private. What traces need to know of kinds of messages.
#ifndef TRP_KINDS_H_INCLUDED
#define TRP_KINDS_H_INCLUDED

#include "core/message/wire.h"
#include "core/support/map.h"

/// Which connection a message is about; 0 for none. Some kinds may be about a server, too:
/// `servers` remembers those that were seen. Returns 0 or TROUPE_ENOMEM.
int trp_connection_of(trp_map_t *servers, const trp_message_t *message, uint64_t *connection);

#endif
