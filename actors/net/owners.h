/// Private. The actors that this I/O actor serves: what they own, what is told to them, who wants
/// to know of their end.
#ifndef TRP_OWNERS_H_INCLUDED
#define TRP_OWNERS_H_INCLUDED

#include "actors/net/context.h"

struct trp_owner {
  trp_net_t *net;
  uint64_t id;
  uint64_t group;       // the copies of one spawn share it
  trp_out_t out;        // the events of this turn
  uint64_t sent_cost;   // of all data events so far
  uint64_t window;      // how much of it has left the actor's inbox, as it told
  uint64_t quiet_drops; // EVENT_DROPs since the last batch from it
  int64_t last_drop_ns;
  trp_link_t in_dirty; // in the list of dirty or ended owners
  trp_link_t streams;  // what it owns
  trp_link_t members;
  trp_link_t blocks;
  trp_link_t stalled;  // streams that wait for the window
  trp_link_t watchers; // trp_watch_t: who watches it
  trp_link_t watched;  // trp_watch_t: whom it watches
  // The first I/O actor tells of its end when the others have closed what it owned there, too.
  bool ended;            // it said bye
  unsigned ended_others; // how many of them have told that, and
  unsigned others;       // how many will
  int32_t status;        // with which it ended
  Troupe__Wire__Reason reason;
};

/// NULL: it has not said hello, or bye already.
trp_owner_t *trp_owner_find(const trp_net_t *net, uint64_t id);

/// Adds an event to what the actor is sent at the end of the turn. NULL: no memory.
trp_message_t *trp_owner_tell(trp_owner_t *owner, Troupe__Wire__Kind kind, uint64_t subject);

/// The actor has taken so much out of its inbox: streams that waited for that go on.
void trp_owner_set_window(trp_owner_t *owner, uint64_t window);

static inline bool trp_owner_window_is_full(const trp_owner_t *owner) {
  return owner->sent_cost - owner->window >= owner->net->window;
}

// Commands.
void trp_owner_hello(const trp_command_t *command);
void trp_owner_bye(const trp_command_t *command);
void trp_owner_watch(const trp_command_t *command);
void trp_owner_unwatch(const trp_command_t *command);
void trp_owner_pipe(const trp_command_t *command);
void trp_owner_send(const trp_command_t *command);
void trp_owner_send_credit(const trp_command_t *command);
void trp_owner_ended(const trp_command_t *command);

/// Sends what was collected for all actors, then forgets those that ended.
void trp_owners_flush(trp_net_t *net);

/// Frees all without a word, with all that they own.
void trp_owners_free(trp_net_t *net);

#endif
