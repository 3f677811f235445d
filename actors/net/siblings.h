/// Private. The other I/O actors of the system: what is on its way to each, how many connections
/// each serves that were accepted here, and how one makes sure that what they told has come.
///
/// News of a closed connection travels, and so may a question that was asked because of it, by
/// another way. Who must not answer too early asks all of them first (trp_siblings_sync()): each
/// answers behind what it has to tell.
#ifndef TRP_SIBLINGS_H_INCLUDED
#define TRP_SIBLINGS_H_INCLUDED

#include "actors/net/list.h"
#include "actors/net/placement.h"
#include "core/message/batch.h"

struct trp_net;
struct trp_command;

enum { TRP_UNTOLD_MAX = 64 };

typedef struct trp_sibling {
  trp_out_t out;
  trp_link_t in_dirty; // among those with something to be sent
  trp_place_t place;   // of the connections that were accepted here and live there
  size_t served;       // connections that it accepted and that live here
  // Connections that it accepted and that are gone, whose end is still to be told to it.
  uint64_t *lost; // there is room for one of each that lives here
  size_t lost_count, lost_capacity;
  uint64_t untold[TRP_UNTOLD_MAX]; // of which their actors have never heard
  size_t untold_count;
  uint64_t asked;        // the round of its COMMAND_SYNC that is not answered yet; 0: none
  bool wants_descriptor; // to be told when one is closed here
} trp_sibling_t;

typedef struct trp_siblings {
  trp_sibling_t *all; // all[i] is the I/O actor i + 1; one's own has nothing but its place
  trp_place_t **places;
  unsigned count; // of I/O actors
  size_t cursor;
  trp_link_t dirty;
  uint64_t round;     // of asking all of them
  unsigned waiting;   // answers to it that have not come
  trp_link_t current; // trp_sync_t that wait for it
  trp_link_t next;    // for the one after it
  bool wanted;        // one of them wants a descriptor
} trp_siblings_t;

/// Somebody who waits until what the others had to tell has come. It lies inside what waits.
typedef struct trp_sync {
  trp_link_t in_list; // trp_list_init() first
  void (*run)(struct trp_sync *sync);
} trp_sync_t;

void trp_siblings_init(trp_siblings_t *siblings);

/// The number of the one that serves the next connection accepted here; its own, if there is no
/// other. The fewest of those that were accepted here go first.
unsigned trp_siblings_pick(struct trp_net *net);

/// The I/O actor `io`, which is another one.
trp_sibling_t *trp_sibling_of(struct trp_net *net, unsigned io);

/// Adds a command for it. NULL: no memory.
trp_message_t *trp_sibling_tell(struct trp_net *net, unsigned io, Troupe__Wire__Kind kind,
                                uint64_t subject);

/// Makes room for the end of one more connection that it accepted. Returns 0 or TROUPE_ENOMEM.
int trp_sibling_reserve(trp_sibling_t *sibling);

/// A connection that it accepted is gone: it is told so as soon as there is memory for that.
void trp_sibling_lose(struct trp_net *net, uint64_t id, bool untold);

/// Whether there may be connections accepted here whose end is not known here yet.
bool trp_siblings_lag(const struct trp_net *net);

/// Calls `run` when every connection whose end anybody can know of by now is known to be gone here,
/// too. Nothing happens if it waits already.
void trp_siblings_sync(struct trp_net *net, trp_sync_t *sync);

/// Asks all others to tell when they have closed a descriptor.
void trp_siblings_short(struct trp_net *net);

// Commands.
void trp_siblings_asked(const struct trp_command *command);
void trp_siblings_answered(const struct trp_command *command);
void trp_siblings_want(const struct trp_command *command);
void trp_siblings_freed(const struct trp_command *command);

/// A descriptor was closed here.
void trp_siblings_tell_freed(struct trp_net *net);

/// Sends what was collected.
void trp_siblings_flush(struct trp_net *net);

void trp_siblings_free(struct trp_net *net);

#endif
