// Ids come in runs (a counter in the low bits, few bits above it that differ), so the hash spreads
// them with one multiplication. A removal moves later entries of the run back instead of leaving a
// mark: a map that sees millions of short-lived sockets stays as fast as a new one.

#include "core/support/map.h"

#include <stdlib.h>
#include <troupe/error.h>

enum { FIRST_CAPACITY_LOG2 = 4 };

static size_t home(const trp_map_t *map, uint64_t key);
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
  for (size_t i = home(map, key); map->slots[i].value != NULL; i = (i + 1) & (map->capacity - 1)) {
    if (map->slots[i].key == key) {
      return map->slots[i].value;
    }
  }
  return NULL;
}

int trp_map_put(trp_map_t *map, uint64_t key, void *value) {
  if (map->count > 0) {
    for (size_t i = home(map, key); map->slots[i].value != NULL;
         i = (i + 1) & (map->capacity - 1)) {
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
  size_t mask = map->capacity - 1;
  size_t hole = home(map, key);
  while (map->slots[hole].value != NULL && map->slots[hole].key != key) {
    hole = (hole + 1) & mask;
  }
  void *removed = map->slots[hole].value;
  if (removed == NULL) {
    return NULL;
  }
  for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
    // An entry may move back into the hole if its home is not between the hole and itself.
    size_t distance = (i - home(map, map->slots[i].key)) & mask;
    if (distance >= ((i - hole) & mask)) {
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

static size_t home(const trp_map_t *map, uint64_t key) {
  return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> map->shift);
}

static int grow(trp_map_t *map) {
  unsigned bits = map->capacity == 0 ? FIRST_CAPACITY_LOG2 : 64 - map->shift + 1;
  trp_map_t larger = {.capacity = (size_t)1 << bits, .shift = 64 - bits, .count = map->count};
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
    i = (i + 1) & (map->capacity - 1);
  }
  map->slots[i] = (trp_map_slot_t){.key = key, .value = value};
}
