/// Private. A map from a 64-bit id to a pointer: open addressing, linear probing, no tombstones.
///
/// Its order depends on the keys and the sequence of operations alone, so that a simulation runs
/// the same way each time.
#ifndef TRP_MAP_H_INCLUDED
#define TRP_MAP_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct trp_map_slot {
  uint64_t key;
  void *value; // NULL: the slot is empty
} trp_map_slot_t;

typedef struct trp_map {
  trp_map_slot_t *slots;
  size_t capacity; // 0 before the first put
  size_t count;
} trp_map_t;

/// Takes no memory. A zeroed map is an empty one, too.
void trp_map_init(trp_map_t *map);

/// Frees the map's own memory; what the values point to is the caller's.
void trp_map_free(trp_map_t *map);

/// NULL: it is not there.
void *trp_map_get(const trp_map_t *map, uint64_t key);

/// Adds or replaces; `value` is not NULL. Returns 0, or TROUPE_ENOMEM: then the map is as it was. A
/// replacement never fails.
int trp_map_put(trp_map_t *map, uint64_t key, void *value);

/// Returns what was there, or NULL. Never fails, takes no memory.
void *trp_map_remove(trp_map_t *map, uint64_t key);

static inline size_t trp_map_count(const trp_map_t *map) {
  return map->count;
}

/// Goes through all entries: set `*cursor` to 0 before the first call; returns false behind the
/// last one. `key` may be NULL. The map may not be changed meanwhile; to empty it, call
/// trp_map_remove() and begin again with cursor 0, or free what it holds and then the map.
bool trp_map_iterate(const trp_map_t *map, size_t *cursor, uint64_t *key, void **value);

#endif
