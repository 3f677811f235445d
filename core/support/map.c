// Ids come in runs (a counter in the low bits, few bits above it that differ), so the hash spreads
// them with one multiplication. A removal moves later entries of the run back instead of leaving a
// mark: a map that sees millions of short-lived sockets stays as fast as a new one.

#include "core/support/map.h"

#include <stdlib.h>
#include <troupe/error.h>

enum { FIRST_CAPACITY = 16 };

static size_t home(const trp_map_t *map, uint64_t key);
static size_t after(const trp_map_t *map, size_t index);
static size_t distance(const trp_map_t *map, size_t from, size_t to);
static int grow(trp_map_t *map);
static void place(trp_map_t *map, uint64_t key, void *value);

void trp_map_init(trp_map_t *map) {
  *map = (trp_map_t){0};
}

void trp_map_free(trp_map_t *map) {
  free(map->slots);
  *map = (trp_map_t){0};
}

void *trp_map_get(const trp_map_t *map, uint64_t key) {
  if (map->count == 0) {
    return NULL;
  }
  for (size_t i = home(map, key); map->slots[i].value != NULL; i = after(map, i)) {
    if (map->slots[i].key == key) {
      return map->slots[i].value;
    }
  }
  return NULL;
}

int trp_map_put(trp_map_t *map, uint64_t key, void *value) {
  if (map->count > 0) {
    for (size_t i = home(map, key); map->slots[i].value != NULL; i = after(map, i)) {
      if (map->slots[i].key == key) {
        map->slots[i].value = value;
        return 0;
      }
    }
  }
  // At most three quarters full: a search ends at an empty slot, and soon.
  if ((map->count + 1) * 4 > map->capacity * 3) {
    int result = grow(map);
    if (result < 0) {
      return result;
    }
  }
  place(map, key, value);
  map->count++;
  return 0;
}

void *trp_map_remove(trp_map_t *map, uint64_t key) {
  if (map->count == 0) {
    return NULL;
  }
  size_t hole = home(map, key);
  while (map->slots[hole].value != NULL && map->slots[hole].key != key) {
    hole = after(map, hole);
  }
  void *removed = map->slots[hole].value;
  if (removed == NULL) {
    return NULL;
  }
  for (size_t i = after(map, hole); map->slots[i].value != NULL; i = after(map, i)) {
    // An entry may move back into the hole if its home is not between the hole and itself.
    if (distance(map, home(map, map->slots[i].key), i) >= distance(map, hole, i)) {
      map->slots[hole] = map->slots[i];
      hole = i;
    }
  }
  map->slots[hole] = (trp_map_slot_t){0};
  map->count--;
  return removed;
}

bool trp_map_iterate(const trp_map_t *map, size_t *cursor, uint64_t *key, void **value) {
  for (; *cursor < map->capacity; ++*cursor) {
    const trp_map_slot_t *slot = &map->slots[*cursor];
    if (slot->value != NULL) {
      if (key != NULL) {
        *key = slot->key;
      }
      *value = slot->value;
      ++*cursor;
      return true;
    }
  }
  return false;
}

/// The upper half of the product, as a fraction of the capacity.
static size_t home(const trp_map_t *map, uint64_t key) {
  uint64_t fraction = (key * UINT64_C(0x9E3779B97F4A7C15)) >> 32;
  return (size_t)((fraction * map->capacity) >> 32);
}

static size_t after(const trp_map_t *map, size_t index) {
  return index + 1 == map->capacity ? 0 : index + 1;
}

/// How many slots behind `from`, round the end.
static size_t distance(const trp_map_t *map, size_t from, size_t to) {
  return to >= from ? to - from : to + map->capacity - from;
}

/// By half: where each of many actors has a map of its sockets, and each of many I/O actors one of
/// all of theirs, empty slots are a good part of what a connection costs.
static int grow(trp_map_t *map) {
  size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity + map->capacity / 2;
  if (capacity > UINT32_MAX) {
    return TROUPE_ENOMEM;
  }
  trp_map_t larger = {.capacity = capacity, .count = map->count};
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (larger.slots == NULL) {
    return TROUPE_ENOMEM;
  }
  for (size_t i = 0; i < map->capacity; i++) {
    if (map->slots[i].value != NULL) {
      place(&larger, map->slots[i].key, map->slots[i].value);
    }
  }
  free(map->slots);
  *map = larger;
  return 0;
}

static void place(trp_map_t *map, uint64_t key, void *value) {
  size_t i = home(map, key);
  while (map->slots[i].value != NULL) {
    i = after(map, i);
  }
  map->slots[i] = (trp_map_slot_t){.key = key, .value = value};
}
