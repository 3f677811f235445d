/* A hash table from byte strings to pointers. It owns copies of the keys; the values are the
 * user's. */
#ifndef EXAMPLES_TABLE_H_INCLUDED
#define EXAMPLES_TABLE_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>

typedef struct table_entry table_entry_t;

/* Right when zeroed. */
typedef struct {
  table_entry_t **buckets;
  size_t bucket_count; /* a power of two, or 0 */
  size_t count;
} table_t;

/* Puts a value under a key that is not there yet. False: there is no memory. */
bool table_put(table_t *table, const void *key, size_t length, void *value);

/* Gives the value, or NULL. */
void *table_get(const table_t *table, const void *key, size_t length);

/* Takes the value out and gives it, or NULL. */
void *table_take(table_t *table, const void *key, size_t length);

/* Visits all values until one call says false. Inside, only the visited value may be taken out. */
void table_each(const table_t *table, bool (*visit)(void *value, void *context), void *context);

/* Frees the table; the values stay as they are. */
void table_free(table_t *table);

#endif
