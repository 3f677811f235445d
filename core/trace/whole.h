/// Private. Which connections of a trace that is not complete are whole: accepted, or handed to
/// the actor, while it was recorded, with nothing missing and nothing cut from then on.
#ifndef TRP_WHOLE_H_INCLUDED
#define TRP_WHOLE_H_INCLUDED

#include "core/support/map.h"
#include "core/trace/print.h"
#include "core/trace/reader.h"

typedef struct trp_whole {
  trp_map_t connections; // of what is private to whole.c, by id
  trp_map_t servers;     // that messages were about
  trp_map_t listening;   // whose LISTENING is there
  uint64_t whole, others;
  bool connects; // the actor makes connections itself
} trp_whole_t;

/// Reads a trace to its end, or to where it is damaged. Zeroed before; freed in any case. Returns 0,
/// TROUPE_ENOMEM, or the system's error.
int trp_whole_find(trp_whole_t *whole, const char *path);
void trp_whole_free(trp_whole_t *whole);

/// Whether a connection is one of them.
bool trp_whole_has(const trp_whole_t *whole, uint64_t connection);

/// Names them, or some of them; and the others, with what is wrong with them.
void trp_whole_tell(const trp_whole_t *whole, trp_text_t *text);
void trp_whole_tell_others(const trp_whole_t *whole, trp_text_t *text);

#endif
