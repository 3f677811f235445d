/// Private. What a socket still has to write: parts of frames, by reference, in order.
#ifndef TRP_WRITES_H_INCLUDED
#define TRP_WRITES_H_INCLUDED

#include <stdbool.h>
#include <sys/uio.h>

#include "core/message/frame.h"

enum {
  TRP_WRITE_PARTS = 64,       // one writev() takes this many at the most
  TRP_WRITE_SPARE_MAX = 4096, // entries that are kept for later
};

typedef struct trp_write {
  struct trp_write *next;
  trp_frame_t *frame; // held; NULL for a write of no bytes
  uint32_t offset, length;
  bool notify; // somebody waits for it
} trp_write_t;

/// Entries that wait to be used again, for all queues of one thread.
typedef struct trp_write_store {
  trp_write_t *spare;
  unsigned count;
} trp_write_store_t;

/// Zeroed, it is empty.
typedef struct trp_writes {
  trp_write_t *first, *last;
} trp_writes_t;

static inline bool trp_writes_empty(const trp_writes_t *writes) {
  return writes->first == NULL;
}

/// Appends a part of a frame (a reference of its own is taken), or a write of no bytes with frame
/// NULL. Returns 0 or TROUPE_ENOMEM.
int trp_writes_add(trp_writes_t *writes, trp_write_store_t *store, trp_frame_t *frame,
                   uint32_t offset, uint32_t length, bool notify);

/// What comes next: fills at most `capacity` parts, returns how many, and their bytes in `*size`.
int trp_writes_parts(const trp_writes_t *writes, struct iovec *parts, int capacity, size_t *size);

/// So many bytes of what comes next are written: drops whole entries and leading ones of no bytes.
/// Returns true when somebody waited for one of these.
bool trp_writes_taken(trp_writes_t *writes, trp_write_store_t *store, size_t size);

/// Drops everything.
void trp_writes_clear(trp_writes_t *writes, trp_write_store_t *store);

void trp_write_store_free(trp_write_store_t *store);

#endif
