/// Private. The flight recorder's writing side: each actor's thread writes its last records into a
/// ring of its own. No lock, no system call, no malloc; what was written is there when the process
/// is killed.
#ifndef TRP_FLIGHT_H_INCLUDED
#define TRP_FLIGHT_H_INCLUDED

#include <troupe/trace.h>

#include "core/actor/start.h"
#include "core/message/frame.h"
#include "core/message/wire.h"

typedef struct trp_flight trp_flight_t;
typedef struct trp_ring trp_ring_t;

/// Makes the file, whole, and maps it, with `more` rings than the options say. Blocks on the disk.
/// Returns 0, or an error of troupe_flight_start().
int trp_flight_open(const troupe_flight_options_t *options, unsigned more, trp_flight_t **flight);

/// The file is unmapped when its last user lets go: the opener and each ring hold it.
void trp_flight_release(trp_flight_t *flight);

/// Takes a ring, one that was not used for the longest time. NULL: all are in use. Any thread.
trp_ring_t *trp_ring_take(trp_flight_t *flight, const trp_start_t *start);
void trp_ring_give(trp_ring_t *ring);
trp_flight_t *trp_ring_flight(const trp_ring_t *ring);

/// Writes a record; one that is larger than a quarter of the ring is left out. `type` is IN or OUT;
/// frames[i] is frame i + 1. In the thread that took the ring.
void trp_ring_batch(trp_ring_t *ring, uint16_t type, int64_t clock_ns, uint64_t subject,
                    const trp_frame_t *envelope, trp_message_t *const *messages, size_t count,
                    trp_frame_t *const *frames);
void trp_ring_value(trp_ring_t *ring, uint16_t type, int64_t clock_ns, uint64_t subject,
                    int64_t value);

#endif
