/// Private. After which event each message of a batch was made.
#ifndef TRP_CAUSES_H_INCLUDED
#define TRP_CAUSES_H_INCLUDED

#include <stdbool.h>

#include "core/message/wire.h"

/// Goes through a batch. After trp_causes_next() `sender` and `sequence` are the message's, both 0 for
/// something that no event made.
typedef struct trp_causes {
  const trp_wire_batch_t *batch;
  size_t message, at; // which comes next: of its messages, of its `causes`
  uint64_t left;      // messages that have the same cause
  uint64_t sender, sequence;
} trp_causes_t;

/// `batch` is borrowed as long as it is used.
void trp_causes_begin(trp_causes_t *causes, const trp_wire_batch_t *batch);

/// False: the batch does not say it. Of its first message it always does, of the others only where
/// its `causes` are there and make sense.
bool trp_causes_next(trp_causes_t *causes);

#endif
