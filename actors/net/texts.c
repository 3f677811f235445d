#include "actors/net/texts.h"

#include <stdlib.h>
#include <string.h>

enum { PROBES = 8 }; // keys that a text may have, for those with the same hash

static uint64_t hash_of(const char *text);

const char *trp_texts_keep(trp_texts_t *texts, const char *text) {
  size_t length = strlen(text);
  if (length == 0) {
    return NULL;
  }
  if (length >= TROUPE_MADE_AT_SIZE) {
    text += length - (TROUPE_MADE_AT_SIZE - 1);
  }
  uint64_t key = hash_of(text);
  for (uint64_t last = key + PROBES; key != last; key++) {
    char *kept = trp_map_get(&texts->by_hash, key);
    if (kept != NULL && strcmp(kept, text) == 0) {
      return kept;
    }
    if (kept == NULL) {
      kept = trp_map_count(&texts->by_hash) < TRP_TEXTS_MAX ? strdup(text) : NULL;
      if (kept != NULL && trp_map_put(&texts->by_hash, key, kept) != 0) {
        free(kept);
        kept = NULL;
      }
      return kept;
    }
  }
  return NULL;
}

void trp_texts_copy(char made_at[TROUPE_MADE_AT_SIZE], const char *text) {
  size_t length = text == NULL ? 0 : strlen(text); // shorter than the room, as all that are kept
  if (length > 0) {
    memcpy(made_at, text, length);
  }
  made_at[length] = '\0';
}

void trp_texts_free(trp_texts_t *texts) {
  size_t cursor = 0;
  void *text = NULL;
  while (trp_map_iterate(&texts->by_hash, &cursor, NULL, &text)) {
    free(text);
  }
  trp_map_free(&texts->by_hash);
}

/// FNV-1a.
static uint64_t hash_of(const char *text) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (; *text != '\0'; text++) {
    hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
  }
  return hash;
}
