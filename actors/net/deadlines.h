/// Private. A socket's timeout and deadlines, over one entry in the timers.
#ifndef TRP_DEADLINES_H_INCLUDED
#define TRP_DEADLINES_H_INCLUDED

#include "actors/net/stream.h"

/// Something moved: the timeout counts from here. That it may go off later than it is set costs
/// nothing; only one that has gone off is set again.
void trp_stream_note_activity(trp_stream_t *stream);

/// An option, or what a deadline depends on, has changed. Closes the socket when there is no memory
/// to watch over it.
void trp_stream_arm(trp_stream_t *stream);

/// The time may have come.
void trp_stream_run_due(trp_due_t *due);

#endif
