/// Private. What a recorder keeps of a batch, when that is not all: some connections, a part of each
/// payload, or payloads that the application has changed. In the recorder's thread.
///
/// A connection that an actor makes because of what comes on another one is kept or not as that one
/// is: of what a proxy joins both sides or none.
#ifndef TRP_KEEP_H_INCLUDED
#define TRP_KEEP_H_INCLUDED

#include <troupe/trace.h>

#include "core/message/arena.h"
#include "core/message/frame.h"
#include "core/support/map.h"
#include "core/trace/causes.h"
#include "core/trace/format.h"

enum {
  TRP_KEEP_EVENTS = 1 << 14, // that are remembered: a command comes much sooner after its event
  TRP_KEEP_CLOSED = 1024,    // connections: what is about them may come after their end
};

/// What an event was about, for the connections that are made because of it.
typedef struct trp_kept_event {
  uint64_t actor, sender, sequence;
  uint64_t connection;
} trp_kept_event_t;

/// Zeroed before trp_keep_init().
typedef struct trp_keep {
  uint32_t one_in;     // of connections; 0 or 1: all
  uint64_t connection; // only this one; 0: all
  bool cuts;
  size_t payload_bytes; // of each payload, when it cuts
  troupe_redact_fn redact;
  void *redact_context;
  trp_map_t servers;                // what is no connection
  trp_map_t otherwise;              // connections whose choice is not that of their ids
  trp_kept_event_t *events;         // TRP_KEEP_EVENTS, each at a place that follows from its number
  uint64_t closed[TRP_KEEP_CLOSED]; // the last ones of `otherwise` that ended; a ring
  size_t closed_at;
  trp_arena_t arena;
  uint8_t *body;
  size_t capacity, length;
  bool left_out; // of the batch that came last: something is not there as it was
} trp_keep_t;

void trp_keep_init(trp_keep_t *keep, const troupe_record_options_t *options);
void trp_keep_free(trp_keep_t *keep);

/// Whether it keeps less than all; the header's flags that say so.
bool trp_keep_is_less(const trp_keep_t *keep);
uint32_t trp_keep_flags(const trp_keep_t *keep);

/// Makes the body of a cut record in `keep->body`, of `keep->length` bytes, from the frames of a
/// batch (the first is its envelope). `type` is IN or OUT. 1: it is to be written; 0: nothing of it
/// is; or an error.
int trp_keep_some(trp_keep_t *keep, uint16_t type, uint64_t actor, trp_frame_t *const *frames,
                  size_t frame_count);

#endif
