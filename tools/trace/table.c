#include "tools/trace/table.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

static slot_t *look(const table_t *table, uint64_t key) {
  size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20);
  for (;; at++) {
    slot_t *slot = &table->slots[at % table->capacity];
    if (slot->value == NULL || slot->key == key) {
      return slot;
    }
  }
}

static int grow(table_t *table) {
  table_t grown = {.size = table->size,
                   .capacity = table->capacity == 0 ? FIRST_CAPACITY : 2 * table->capacity,
                   .count = table->count};
  grown.slots = calloc(grown.capacity, sizeof *grown.slots);
  if (grown.slots == NULL) {
    return -1;
  }
  for (size_t i = 0; i < table->capacity; i++) {
    if (table->slots[i].value != NULL) {
      *look(&grown, table->slots[i].key) = table->slots[i];
    }
  }
  free(table->slots);
  *table = grown;
  return 0;
}

void *table_get(table_t *table, uint64_t key) {
  if (4 * (table->count + 1) > 3 * table->capacity && grow(table) != 0) {
    return NULL;
  }
  slot_t *slot = look(table, key);
  if (slot->value == NULL) {
    void *value = calloc(1, table->size);
    if (value == NULL) {
      return NULL;
    }
    *slot = (slot_t){.key = key, .value = value};
    table->count++;
  }
  return slot->value;
}

void *table_find(const table_t *table, uint64_t key) {
  return table->capacity == 0 ? NULL : look(table, key)->value;
}

void table_free(table_t *table) {
  for (size_t i = 0; i < table->capacity; i++) {
    free(table->slots[i].value);
  }
  free(table->slots);
  table->slots = NULL;
  table->capacity = table->count = 0;
}
