/// Private. Which connections of a trace that is not complete are whole: they began while it was
/// recorded (accepted, handed to the actor, or made by it), nothing of them is missing or cut from
/// then on, and nothing acts on them that is not whole itself.
#ifndef TRP_WHOLE_H_INCLUDED
#define TRP_WHOLE_H_INCLUDED

#include "core/support/map.h"
#include "core/trace/print.h"
#include "core/trace/reader.h"
#include "core/trace/taken.h"

/// What the actor itself gave an id in the recording: a connection that it made, or a server. A
/// replay from such a trace gives other ids, and knows them by the event after which it does.
typedef struct trp_maker {
  uint64_t sender, sequence; // of the event; 0, 0: main began with it
  uint64_t order;            // among all
  uint64_t id;
  bool listens; // a server
} trp_maker_t;

/// Events behind which something is missing: of what the actor did then nobody knows all.
typedef struct trp_shadow {
  uint64_t sender, first, last;
} trp_shadow_t;

typedef struct trp_node trp_node_t;
typedef struct trp_edge trp_edge_t;

typedef struct trp_whole {
  trp_map_t connections; // of trp_node_t, by id; the servers that the actor makes, too
  trp_node_t **nodes;    // the same in the order in which they began
  size_t node_count, node_capacity;
  trp_map_t known_edges; // each is there once
  trp_edge_t *edges;     // sorted by what acts
  size_t edge_count, edge_capacity;
  trp_maker_t *makers; // sorted by event
  size_t maker_count, maker_capacity;
  trp_shadow_t *shadows; // sorted
  size_t shadow_count, shadow_capacity;
  trp_taken_t taken;   // the events that are there
  trp_map_t servers;   // that messages were about
  trp_map_t listening; // whose LISTENING is there
  uint64_t whole, others;
  bool unclear; // of something that the actor made it is not known when
} trp_whole_t;

/// Reads a trace to its end, or to where it is damaged. Zeroed before; freed in any case. Returns 0,
/// TROUPE_ENOMEM, or the system's error.
int trp_whole_find(trp_whole_t *whole, const char *path);
void trp_whole_free(trp_whole_t *whole);

/// Whether a connection is one of them.
bool trp_whole_has(const trp_whole_t *whole, uint64_t connection);

/// What the actor made after an event as the `index`-th, counted from 0; NULL: not so many.
const trp_maker_t *trp_whole_made(const trp_whole_t *whole, uint64_t sender, uint64_t sequence,
                                  size_t index);

/// Whether something may be missing of what the actor did after an event.
bool trp_whole_is_shadowed(const trp_whole_t *whole, uint64_t sender, uint64_t sequence);

/// Its server is not there in the replay: from here on it is not whole, nor is what it acts on.
void trp_whole_drop(trp_whole_t *whole, uint64_t connection);

/// Whether an event is left out that is about no connection: it names something by a number that the
/// actor gave it; or it is a timer's that the replay has not, or not known to have.
bool trp_whole_leaves_out(const trp_whole_t *whole, const trp_message_t *event);

/// Names them, or some of them; and the others, with what is wrong with them.
void trp_whole_tell(const trp_whole_t *whole, trp_text_t *text);
void trp_whole_tell_others(const trp_whole_t *whole, trp_text_t *text);

#endif
