// A list with entries from a store: a socket that has nothing to write needs no memory for it, and
// one that writes needs no malloc. A write that is partly done moves its own offset.

#include "actors/net/writes.h"

#include <stdlib.h>
#include <troupe/error.h>

#include "core/support/assert.h"

static void drop_first(trp_writes_t *writes, trp_write_store_t *store);

int trp_writes_add(trp_writes_t *writes, trp_write_store_t *store, trp_frame_t *frame,
                   uint32_t offset, uint32_t length, bool notify) {
  trp_write_t *entry = store->spare;
  if (entry != NULL) {
    store->spare = entry->next;
    store->count--;
  } else {
    entry = malloc(sizeof *entry);
    if (entry == NULL) {
      return TROUPE_ENOMEM;
    }
  }
  *entry = (trp_write_t){
      .frame = frame == NULL || length == 0 ? NULL : trp_frame_hold(frame),
      .offset = offset,
      .length = length,
      .notify = notify,
  };
  if (writes->last == NULL) {
    writes->first = entry;
  } else {
    writes->last->next = entry;
  }
  writes->last = entry;
  return 0;
}

int trp_writes_parts(const trp_writes_t *writes, struct iovec *parts, int capacity, size_t *size) {
  int count = 0;
  *size = 0;
  for (const trp_write_t *entry = writes->first; entry != NULL && count < capacity;
       entry = entry->next) {
    if (entry->length == 0) {
      continue;
    }
    // writev() does not change the bytes; its type says less than it keeps.
    parts[count].iov_base = (void *)(entry->frame->bytes + entry->offset);
    parts[count].iov_len = entry->length;
    *size += entry->length;
    count++;
  }
  return count;
}

bool trp_writes_taken(trp_writes_t *writes, trp_write_store_t *store, size_t size) {
  bool notify = false;
  while (writes->first != NULL && writes->first->length <= size) {
    size -= writes->first->length;
    notify |= writes->first->notify;
    drop_first(writes, store);
  }
  if (size > 0) {
    TROUPE_ASSERT(writes->first != NULL); // no more is written than there was
    writes->first->offset += (uint32_t)size;
    writes->first->length -= (uint32_t)size;
  }
  return notify;
}

void trp_writes_clear(trp_writes_t *writes, trp_write_store_t *store) {
  while (writes->first != NULL) {
    drop_first(writes, store);
  }
}

void trp_write_store_free(trp_write_store_t *store) {
  while (store->spare != NULL) {
    trp_write_t *entry = store->spare;
    store->spare = entry->next;
    free(entry);
  }
  store->count = 0;
}

static void drop_first(trp_writes_t *writes, trp_write_store_t *store) {
  trp_write_t *entry = writes->first;
  writes->first = entry->next;
  if (writes->first == NULL) {
    writes->last = NULL;
  }
  trp_frame_release(entry->frame);
  if (store->count >= TRP_WRITE_SPARE_MAX) {
    free(entry);
    return;
  }
  entry->next = store->spare;
  store->spare = entry;
  store->count++;
}
