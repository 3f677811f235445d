/// Private to the replay of a trace that is not complete. What the actor itself gives an id there has
/// another one than in the recording, since not all is done again: what it makes after an event is
/// known by that event, and by how much it made after it before.
#ifndef TRP_REPLAY_IDS_H_INCLUDED
#define TRP_REPLAY_IDS_H_INCLUDED

#include "core/message/batch.h"
#include "core/support/map.h"

struct trp_replay;

/// Zeroed it is empty.
typedef struct trp_replay_ids {
  trp_map_t recorded;        // of what is private to replay_ids.c, by the replay's ids
  trp_map_t replayed;        // the same by the recording's
  uint64_t sender, sequence; // of the event after which the actor made something last
  size_t made;               // and how much so far
  uint64_t aliases;          // of what it made before the recording, and got back
} trp_replay_ids_t;

void trp_replay_ids_free(trp_replay_ids_t *ids);

/// What the actor sends gets the recording's ids; what is about nothing in the recording becomes
/// KIND_NONE. Returns 0, an error, or what trp_replay_stop() does when it makes a connection that it
/// did not make then.
int trp_replay_rename_out(struct trp_replay *replay, trp_out_t *out);

/// Whether there is nothing in the replay that an event could be about.
bool trp_replay_is_unmade(const struct trp_replay *replay, const trp_message_t *message);

/// An event that is not left out gets the replay's ids. Returns 0 or TROUPE_ENOMEM.
int trp_replay_rename_in(struct trp_replay *replay, trp_message_t *message);

#endif
