/* A map from ids to what the command knows of them: each gets `size` zeroed bytes at first. */
#ifndef TOOLS_TRACE_TABLE_H_INCLUDED
#define TOOLS_TRACE_TABLE_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint64_t key; /* never 0 */
  void *value;
} slot_t;

/* Zeroed but for `size` it is empty. */
typedef struct {
  size_t size; /* of a value */
  slot_t *slots;
  size_t capacity, count;
} table_t;

/* Finds what belongs to a key; makes it when it is not there. NULL: no memory. */
void *table_get(table_t *table, uint64_t key);

/* NULL: not there. */
void *table_find(const table_t *table, uint64_t key);

void table_free(table_t *table);

#endif
