/// Private. Handing a socket on to another actor.
#ifndef TRP_HANDOFF_H_INCLUDED
#define TRP_HANDOFF_H_INCLUDED

#include "actors/net/stream.h"

/// COMMAND_FREEZE: no byte is read any more; EVENT_FROZEN follows behind all that were. With a give
/// in it, and nothing on its way to the giver, it is that at once.
void trp_stream_freeze(trp_stream_t *stream, const trp_command_t *command);

/// COMMAND_GIVE: another owner and another epoch, or EVENT_GIVE_FAILED and everything as before the
/// freeze.
void trp_stream_give(trp_stream_t *stream, const trp_command_t *command);

#endif
