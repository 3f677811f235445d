/// Private. The tap of an actor that is recorded: the actor calls it where things enter and leave.
/// Nothing here waits; what cannot be taken is a gap.
#ifndef TRP_TAP_H_INCLUDED
#define TRP_TAP_H_INCLUDED

#include "core/message/batch.h"

typedef struct trp_tap trp_tap_t;

/// Whether it writes a trace; else it is the flight recorder's alone.
bool trp_tap_records(const trp_tap_t *tap);

/// A batch was taken from the inbox (or made by the actor itself: timers) with in->received_ns as
/// the clock's value. in->envelope is its packed form.
void trp_tap_in(trp_tap_t *tap, const trp_in_t *in);

/// A batch is about to be sent; it is packed.
void trp_tap_out(trp_tap_t *tap, const trp_out_t *out);

/// Whether a trace has just begun in the middle: once for each.
bool trp_tap_begins_late(trp_tap_t *tap);

/// A synchronous call was made: its result.
void trp_tap_call(trp_tap_t *tap, uint32_t call, int64_t value);

/// Main returned.
void trp_tap_end(trp_tap_t *tap, int status);

#endif
