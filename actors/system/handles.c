/// What is still open, over all I/O actors.
#include <troupe/handle.h>

#include <limits.h>
#include <stdlib.h>

#include "actors/system/system.h"

static int compare_handles(const void *left, const void *right) {
  const troupe_handle_t *a = left;
  const troupe_handle_t *b = right;
  if (a->owner.id != b->owner.id) {
    return a->owner.id < b->owner.id ? -1 : 1;
  }
  if (a->kind != b->kind) {
    return a->kind < b->kind ? -1 : 1;
  }
  return a->id < b->id ? -1 : a->id > b->id;
}

int troupe_system_handles(troupe_system_t *system, troupe_handle_t *handles, size_t capacity) {
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  capacity = handles == NULL ? 0 : capacity;
  size_t known = 0;
  trp_ground_t *ground = system->ground;
  for (unsigned i = 0; i < ground->io_count; i++) {
    size_t filled = known < capacity ? known : capacity;
    size_t count = 0;
    int error = ground->ops->handles(ground, i, trp_system_deadline(system, TRP_COUNTERS_MS),
                                     handles == NULL ? NULL : handles + filled, capacity - filled,
                                     &count);
    if (error != 0) {
      return error;
    }
    known += count;
  }
  size_t filled = known < capacity ? known : capacity;
  if (filled > 1) {
    qsort(handles, filled, sizeof *handles, compare_handles);
  }
  return known > INT_MAX ? INT_MAX : (int)known;
}
