/// Private. Arrays that grow, and sorted ones that are searched.
#ifndef TRP_ARRAY_H_INCLUDED
#define TRP_ARRAY_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/// Room for one more item behind `count` of them. Returns the array, which may have moved; NULL
/// when there is no memory, and then the old one is as it was.
static inline void *trp_array_room(void *items, size_t *capacity, size_t count, size_t item_size) {
  enum { FIRST_CAPACITY = 8 };
  if (count < *capacity) {
    return items;
  }
  size_t wanted = *capacity == 0 ? FIRST_CAPACITY : 2 * *capacity;
  void *grown = realloc(items, wanted * item_size);
  if (grown != NULL) {
    *capacity = wanted;
  }
  return grown;
}

/// How many items at the beginning are before the key, of an array in which no item that is not
/// stands in front of one that is.
static inline size_t trp_array_search(const void *items, size_t count, size_t item_size,
                                      bool (*is_before)(const void *item, const void *key),
                                      const void *key) {
  size_t low = 0;
  while (low < count) {
    size_t middle = low + (count - low) / 2;
    if (is_before((const char *)items + middle * item_size, key)) {
      low = middle + 1;
    } else {
      count = middle;
    }
  }
  return low;
}

#endif
