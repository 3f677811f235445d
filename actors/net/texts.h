/// Private. Texts that many things share and few different ones of are expected: each is kept once,
/// until the end. Of one I/O actor, in its thread.
#ifndef TRP_TEXTS_H_INCLUDED
#define TRP_TEXTS_H_INCLUDED

#include <troupe/handle.h>

#include "core/support/map.h"

enum {
  TRP_TEXTS_MAX = 4096, // so that who makes up a text for each thing takes no more than this
};

/// Zeroed, it is empty.
typedef struct trp_texts {
  trp_map_t by_hash;
} trp_texts_t;

/// The text as it is kept, its end if it is long. NULL: an empty text, one more than the limit, or
/// no memory.
const char *trp_texts_keep(trp_texts_t *texts, const char *text);

/// Into a handle's description; NULL is an empty text.
void trp_texts_copy(char made_at[TROUPE_MADE_AT_SIZE], const char *text);

void trp_texts_free(trp_texts_t *texts);

#endif
