/// Private. The batches that a replay gave out last: for telling after which event something
/// differs.
#ifndef TRP_RECENT_H_INCLUDED
#define TRP_RECENT_H_INCLUDED

#include "core/trace/format.h"
#include "core/trace/print.h"
#include "core/trace/queue.h"

/// Zeroed it is empty.
typedef struct trp_recent {
  trp_queue_t items;
  size_t batches, events; // in them
  uint64_t all_events;    // that were ever given out
  // Whether a message was not given out; NULL: all were.
  bool (*left_out)(void *context, const trp_message_t *message);
  void *context;
} trp_recent_t;

/// What is known of the cause of something: the event, by its sender and its number for that one;
/// both 0 when nothing is. `exact`: it is that event, else that one or a later one. `subject` helps
/// to guess which; 0 for none.
typedef struct trp_cause {
  uint64_t sender, sequence;
  bool exact;
  uint64_t subject;
} trp_cause_t;

/// Keeps a batch with `events` messages (consumed), and forgets those that are too far back.
void trp_recent_keep(trp_recent_t *recent, trp_item_t *item, size_t events);

/// Adds lines that name the event and those before it. Times are counted from the actor's start.
void trp_recent_tell(const trp_recent_t *recent, trp_cause_t cause, const trp_start_t *start,
                     trp_text_t *text);

void trp_recent_free(trp_recent_t *recent);

#endif
