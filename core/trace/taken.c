#include "core/trace/taken.h"

#include <stdlib.h>
#include <troupe/error.h>

#include "core/support/array.h"

typedef struct {
  uint64_t first, last;
} range_t;

/// Of one sender.
typedef struct {
  range_t *ranges;
  size_t count, capacity;
} ranges_t;

static ranges_t *ranges_of(trp_taken_t *taken, uint64_t sender) {
  ranges_t *ranges = trp_map_get(&taken->senders, sender);
  if (ranges == NULL) {
    ranges = calloc(1, sizeof *ranges);
    if (ranges != NULL && trp_map_put(&taken->senders, sender, ranges) != 0) {
      free(ranges);
      return NULL;
    }
  }
  return ranges;
}

int trp_taken_add(trp_taken_t *taken, uint64_t sender, uint64_t first, uint64_t last) {
  ranges_t *ranges = ranges_of(taken, sender);
  if (ranges == NULL) {
    return TROUPE_ENOMEM;
  }
  range_t *latest = ranges->count == 0 ? NULL : &ranges->ranges[ranges->count - 1];
  if (latest != NULL && first <= latest->last + 1) {
    latest->last = last > latest->last ? last : latest->last;
    return 0;
  }
  range_t *grown = trp_array_room(ranges->ranges, &ranges->capacity, ranges->count, sizeof *grown);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  ranges->ranges = grown;
  grown[ranges->count++] = (range_t){.first = first, .last = last};
  return 0;
}

static bool has_begun(const void *item, const void *key) {
  const range_t *range = item;
  const uint64_t *sequence = key;
  return range->first <= *sequence;
}

bool trp_taken_has(const trp_taken_t *taken, uint64_t sender, uint64_t sequence) {
  const ranges_t *ranges = trp_map_get(&taken->senders, sender);
  if (ranges == NULL) {
    return false;
  }
  size_t begun = trp_array_search(ranges->ranges, ranges->count, sizeof *ranges->ranges, has_begun,
                                  &sequence);
  return begun > 0 && sequence <= ranges->ranges[begun - 1].last;
}

void trp_taken_free(trp_taken_t *taken) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&taken->senders, &cursor, NULL, &value)) {
    ranges_t *ranges = value;
    free(ranges->ranges);
    free(ranges);
  }
  trp_map_free(&taken->senders);
}
