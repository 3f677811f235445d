#include "table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct table_entry {
  table_entry_t *next;
  uint64_t hash;
  void *value;
  size_t length;
  unsigned char key[];
};

enum { BUCKETS_AT_FIRST = 16 };

/* FNV-1a. Whoever picks names that collide slows his own look-ups, and those of his neighbours. */
static uint64_t hash_of(const void *key, size_t length) {
  const unsigned char *bytes = key;
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < length; i++) {
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  }
  return hash ^ hash >> 32;
}

/* Where the entry hangs, or the NULL at the end of its chain. Only with buckets. */
static table_entry_t **find(const table_t *table, uint64_t hash, const void *key, size_t length) {
  table_entry_t **at = &table->buckets[hash & (table->bucket_count - 1)];
  while (*at != NULL &&
         ((*at)->hash != hash || (*at)->length != length || memcmp((*at)->key, key, length) != 0)) {
    at = &(*at)->next;
  }
  return at;
}

static bool grow(table_t *table) {
  size_t count = table->bucket_count == 0 ? BUCKETS_AT_FIRST : table->bucket_count * 2;
  table_entry_t **buckets = calloc(count, sizeof *buckets);
  if (buckets == NULL) {
    return table->bucket_count > 0; /* longer chains do, too */
  }
  for (size_t i = 0; i < table->bucket_count; i++) {
    for (table_entry_t *entry = table->buckets[i], *next; entry != NULL; entry = next) {
      next = entry->next;
      table_entry_t **bucket = &buckets[entry->hash & (count - 1)];
      entry->next = *bucket;
      *bucket = entry;
    }
  }
  free(table->buckets);
  table->buckets = buckets;
  table->bucket_count = count;
  return true;
}

bool table_put(table_t *table, const void *key, size_t length, void *value) {
  if (table->count >= table->bucket_count && !grow(table)) {
    return false;
  }
  table_entry_t *entry = malloc(sizeof *entry + length);
  if (entry == NULL) {
    return false;
  }
  entry->hash = hash_of(key, length);
  entry->value = value;
  entry->length = length;
  memcpy(entry->key, key, length);
  table_entry_t **bucket = &table->buckets[entry->hash & (table->bucket_count - 1)];
  entry->next = *bucket;
  *bucket = entry;
  table->count++;
  return true;
}

void *table_get(const table_t *table, const void *key, size_t length) {
  if (table->count == 0) {
    return NULL;
  }
  table_entry_t *entry = *find(table, hash_of(key, length), key, length);
  return entry == NULL ? NULL : entry->value;
}

void *table_take(table_t *table, const void *key, size_t length) {
  if (table->count == 0) {
    return NULL;
  }
  table_entry_t **at = find(table, hash_of(key, length), key, length);
  table_entry_t *entry = *at;
  if (entry == NULL) {
    return NULL;
  }
  void *value = entry->value;
  *at = entry->next;
  table->count--;
  free(entry);
  return value;
}

void table_each(const table_t *table, bool (*visit)(void *value, void *context), void *context) {
  for (size_t i = 0; i < table->bucket_count; i++) {
    for (table_entry_t *entry = table->buckets[i], *next; entry != NULL; entry = next) {
      next = entry->next;
      if (!visit(entry->value, context)) {
        return;
      }
    }
  }
}

void table_free(table_t *table) {
  for (size_t i = 0; i < table->bucket_count; i++) {
    for (table_entry_t *entry = table->buckets[i], *next; entry != NULL; entry = next) {
      next = entry->next;
      free(entry);
    }
  }
  free(table->buckets);
  *table = (table_t){0};
}
