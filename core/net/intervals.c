/// Sets of numbers as intervals: intervals.h.
#include "core/net/intervals.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/support/assert.h"

enum { SMALLEST_RECENT = 256 };

static size_t recent_limit(size_t merged_count);
static int merge(trp_intervals_t *set, size_t capacity);
static size_t insert(trp_interval_array_t *array, trp_interval_t added);
static bool touches(trp_interval_t earlier, trp_interval_t later);
static size_t count_up_to(const trp_interval_array_t *array, trp_number_t number);
static bool array_contains(const trp_interval_array_t *array, trp_number_t number);

trp_number_t trp_number_from_bytes(const uint8_t bytes[16]) {
  trp_number_t number = {0, 0};
  for (int i = 0; i < 8; i++) {
    number.high = number.high << 8 | bytes[i];
    number.low = number.low << 8 | bytes[i + 8];
  }
  return number;
}

int trp_number_compare(trp_number_t a, trp_number_t b) {
  if (a.high != b.high) {
    return a.high < b.high ? -1 : 1;
  }
  return (a.low > b.low) - (a.low < b.low);
}

int trp_intervals_reserve(trp_intervals_t *set) {
  if (set->recent.count < set->recent_capacity) {
    return 0;
  }
  return merge(set, recent_limit(set->merged.count + set->recent.count));
}

static size_t recent_limit(size_t merged_count) {
  size_t limit = SMALLEST_RECENT;
  while (limit * limit / 4 < merged_count) {
    limit *= 2;
  }
  return limit;
}

/// Merges the recent array into the large one, and makes room for `capacity` recent intervals.
static int merge(trp_intervals_t *set, size_t capacity) {
  size_t total = set->merged.count + set->recent.count;
  trp_interval_t *merged = NULL;
  trp_interval_t *recent = set->recent.items;
  if (capacity != set->recent_capacity) {
    recent = malloc(capacity * sizeof *recent);
  }
  if (total > 0) {
    merged = malloc(total * sizeof *merged);
  }
  if (recent == NULL || (total > 0 && merged == NULL)) {
    free(merged);
    if (recent != set->recent.items) {
      free(recent);
    }
    return TROUPE_ENOMEM;
  }
  size_t a = 0, b = 0, count = 0;
  while (a < set->merged.count || b < set->recent.count) {
    bool from_merged = b == set->recent.count ||
                       (a < set->merged.count &&
                        trp_number_compare(set->merged.items[a].first,
                                           set->recent.items[b].first) <= 0);
    trp_interval_t next = from_merged ? set->merged.items[a++] : set->recent.items[b++];
    if (count > 0 && touches(merged[count - 1], next)) {
      if (trp_number_compare(next.last, merged[count - 1].last) > 0) {
        merged[count - 1].last = next.last;
      }
    } else {
      merged[count++] = next; // NOLINT(clang-analyzer-core.NullDereference): allocated for both
    }
  }
  free(set->merged.items);
  set->merged = (trp_interval_array_t){merged, count};
  if (recent != set->recent.items) {
    free(set->recent.items);
  }
  set->recent = (trp_interval_array_t){recent, 0};
  set->recent_capacity = capacity;
  return 0;
}

void trp_intervals_add(trp_intervals_t *set, trp_number_t first, trp_number_t last) {
  TROUPE_ASSERT(trp_number_compare(first, last) <= 0);
  TROUPE_ASSERT(set->recent.count < set->recent_capacity);
  set->recent.count = insert(&set->recent, (trp_interval_t){first, last});
}

/// Puts an interval in place of all that it touches; returns the new count.
static size_t insert(trp_interval_array_t *array, trp_interval_t added) {
  size_t from = count_up_to(array, added.first);
  size_t to = from; // those in [from, to) go
  if (from > 0 && touches(array->items[from - 1], added)) {
    from--;
    added.first = array->items[from].first;
    if (trp_number_compare(array->items[from].last, added.last) > 0) {
      added.last = array->items[from].last;
    }
  }
  while (to < array->count && touches(added, array->items[to])) {
    if (trp_number_compare(array->items[to].last, added.last) > 0) {
      added.last = array->items[to].last;
    }
    to++;
  }
  size_t behind = array->count - to;
  if (behind > 0 && from + 1 != to) {
    memmove(&array->items[from + 1], &array->items[to], behind * sizeof added);
  }
  array->items[from] = added;
  return from + 1 + behind;
}

/// Whether two intervals, of which the second does not begin before the first, have a number in
/// common or no number between them.
static bool touches(trp_interval_t earlier, trp_interval_t later) {
  trp_number_t next = {earlier.last.high + (earlier.last.low == UINT64_MAX), earlier.last.low + 1};
  bool is_highest = next.high == 0 && next.low == 0;
  return is_highest || trp_number_compare(later.first, next) <= 0;
}

bool trp_intervals_contain(const trp_intervals_t *set, trp_number_t number) {
  return array_contains(&set->merged, number) || array_contains(&set->recent, number);
}

static bool array_contains(const trp_interval_array_t *array, trp_number_t number) {
  size_t count = count_up_to(array, number);
  return count > 0 && trp_number_compare(number, array->items[count - 1].last) <= 0;
}

/// How many intervals begin at the number or before it.
static size_t count_up_to(const trp_interval_array_t *array, trp_number_t number) {
  size_t base = 0, count = array->count;
  while (count > 0) {
    size_t half = count / 2;
    bool right = trp_number_compare(array->items[base + half].first, number) <= 0;
    base = right ? base + half + 1 : base;
    count = right ? count - half - 1 : half;
  }
  return base;
}

size_t trp_intervals_count(const trp_intervals_t *set) {
  return set->merged.count + set->recent.count;
}

void trp_intervals_clear(trp_intervals_t *set) {
  free(set->merged.items);
  free(set->recent.items);
  *set = (trp_intervals_t){0};
}
