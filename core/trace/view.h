/// Private. A batch in a record, looked at where it lies: nothing is copied but what protobuf
/// unpacks.
#ifndef TRP_VIEW_H_INCLUDED
#define TRP_VIEW_H_INCLUDED

#include "core/message/arena.h"
#include "core/message/wire.h"
#include "core/trace/format.h"

/// The payload of a message.
typedef struct trp_viewed {
  const uint8_t *bytes; // NULL without one
  size_t kept;          // of them
  uint64_t hash;        // of the whole; 0 when it is not there
  uint32_t flags;       // TRP_CUT_…
} trp_viewed_t;

/// Zeroed before trp_view_init().
typedef struct trp_view {
  trp_arena_t arena;
  trp_wire_batch_t *batch; // NULL when nothing is open
  trp_viewed_t *payloads;  // one for each message
  size_t capacity;
} trp_view_t;

void trp_view_init(trp_view_t *view);
void trp_view_free(trp_view_t *view);

/// `type` is IN, OUT or one of their cut kinds. Borrows `body` as long as it is open. Returns 0,
/// TROUPE_EBADTRACE or TROUPE_ENOMEM.
int trp_view_open(trp_view_t *view, uint16_t type, const uint8_t *body, size_t length);

/// Fills `in` (which was reset) with copies of a batch's frames, as trp_parse_batch() does, of any of
/// the four kinds. A message whose payload was cut becomes KIND_NONE.
/// Returns 0, TROUPE_EBADTRACE or
/// TROUPE_ENOMEM.
int trp_parse_record(uint16_t type, const uint8_t *body, size_t length, trp_in_t *in);

/// The hash that stands for bytes which are not there.
uint64_t trp_payload_hash(const void *bytes, size_t length);

#endif
