/// Private. The I/O side's socket logic as a whole: commands in, events out, over any transport and
/// any inbox.
#ifndef TRP_NET_H_INCLUDED
#define TRP_NET_H_INCLUDED

#include "actors/net/transport.h"
#include <troupe/handle.h>

#include "core/message/inbox.h"

typedef struct trp_net trp_net_t;

/// Counters of what is dropped or refused; each has a reason. Read with trp_net_counters().
typedef struct trp_net_counters {
  uint64_t commands, events; // all so far
  uint64_t unknown_subject;  // commands for an id that is not there (any more): dropped
  uint64_t stale_epoch;      // commands of an owner before the last hand-off: dropped
  uint64_t unknown_kind; // commands of a kind that does not exist, or without their detail: dropped
  uint64_t not_owner;    // commands by an actor that does not own the subject: dropped
  uint64_t refused; // commands that the state of their subject forbids, as a write after the end:
                    // dropped
  uint64_t bad_credit;  // commands that say more was consumed than was sent: that part is not
                        // believed
  uint64_t undecodable; // batches that could not be read
  uint64_t accepted, dropped, parked, unparked, blocked;
  uint64_t undeliverable;            // events to an actor that is gone, or messages to one
  uint64_t sockets, servers, actors; // open now
} trp_net_counters_t;

/// `self` is the I/O actor's id. Sets the transport's callbacks. Returns 0 or TROUPE_ENOMEM.
int trp_net_new(uint64_t self, trp_transport_t *transport, trp_inbox_t *inbox, trp_pool_t *pool,
                trp_net_t **made);

/// There are so many I/O actors, and this is one of them. Once, before anything else is called;
/// without it, it is the only one. Returns 0 or TROUPE_ENOMEM.
int trp_net_join(trp_net_t *net, unsigned io_actors);

/// The inboxes of all of them are open: makes the pipes to others that there must be. 0 or an error.
int trp_net_meet(trp_net_t *net);

/// Executes a batch of commands, of a user actor or of another I/O actor. Never fails: what cannot be done is
/// answered or counted.
void trp_net_execute(trp_net_t *net, const trp_in_t *in);

/// A batch came that could not be decoded.
void trp_net_undecodable(trp_net_t *net);

/// Sends what was collected in this turn. Called once a turn, before the loop waits.
void trp_net_flush(trp_net_t *net);

/// A stop, an abort, a message or another event from the system (sender TRP_ID_SYSTEM) to an actor:
/// forwards it. `bytes` is its payload, borrowed; NULL with `length` 0 for none. Returns 0 or
/// TROUPE_ENOACTOR, TROUPE_ENOMEM.
int trp_net_post(trp_net_t *net, uint64_t actor, Troupe__Wire__Kind kind, uint64_t subject,
                 uint32_t grace_ms, const void *bytes, size_t length);

/// How long to wait with what could not be done for lack of memory or descriptors.
enum { TRP_RETRY_NS = 10000000 };

/// Makes a turn end at this time although nothing may happen until then.
void trp_net_retry(trp_net_t *net, int64_t delay_ns);

/// Whether the actor's HELLO has come: 1, and there is a pipe to it; 0, not yet (it may be behind
/// what others have sent later); or the error for which it was refused, which is said once.
int trp_net_knows(trp_net_t *net, uint64_t actor);

const trp_net_counters_t *trp_net_counters(const trp_net_t *net);

/// Lists the open sockets and servers, in any order: writes at most `capacity` of them, returns how
/// many there are.
size_t trp_net_handles(trp_net_t *net, troupe_handle_t *handles, size_t capacity);

/// Closes all sockets, resolves and servers without a word.
void trp_net_free(trp_net_t **freed);

#endif
