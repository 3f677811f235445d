/// Private. What a recorder keeps of a batch, when that is not all: some connections, a part of each
/// payload, or payloads that the application has changed. In the recorder's thread.
#ifndef TRP_KEEP_H_INCLUDED
#define TRP_KEEP_H_INCLUDED

#include <troupe/trace.h>

#include "core/message/arena.h"
#include "core/message/frame.h"
#include "core/support/map.h"
#include "core/trace/format.h"

/// Zeroed before trp_keep_init().
typedef struct trp_keep {
  uint32_t one_in;     // of connections; 0 or 1: all
  uint64_t connection; // only this one; 0: all
  bool cuts;
  size_t payload_bytes; // of each payload, when it cuts
  troupe_redact_fn redact;
  void *redact_context;
  trp_map_t servers; // what is no connection
  trp_arena_t arena;
  uint8_t *body;
  size_t capacity, length;
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
