/// Private. The inbox over ZeroMQ: one PULL socket for each actor, a PUSH to each actor that it has
/// sent to.
#ifndef TRP_PIPES_H_INCLUDED
#define TRP_PIPES_H_INCLUDED

#include "core/message/inbox.h"

/// One ZeroMQ context for each system. Any thread may use it.
typedef struct trp_hub trp_hub_t;

int trp_hub_new(trp_hub_t **hub);
void trp_hub_free(trp_hub_t **hub); // waits until all its inboxes are closed

/// Opens the inbox of the actor `self`. Thread: the one that will use it. Returns 0, TROUPE_EMFILE,
/// TROUPE_ENOMEM, TROUPE_EADDRINUSE.
int trp_pipes_open(trp_hub_t *hub, uint64_t self, trp_inbox_t **inbox);

/// The descriptor that becomes readable when something may have come. Edge-triggered: after it, and
/// after every send, receive until nothing is left.
int trp_pipes_fd(trp_inbox_t *inbox);

/// Whether a batch has come that was not received: without a system call. False may be a moment
/// late; the descriptor is not.
bool trp_pipes_pending(const trp_inbox_t *inbox);

/// How long `receive` may spin before it sleeps; 0: not at all.
void trp_pipes_set_spin(trp_inbox_t *inbox, int64_t spin_ns);

/// Sends the few bytes of a packed batch without needing memory: for the last words of an actor.
/// Only to actors that were sent to before.
void trp_pipes_send_last(trp_inbox_t *inbox, uint64_t to, const void *bytes, size_t length);

/// Sends and receives frames that are no batch: the recorder's. `receive_raw` pushes them into `in`
/// without opening it; its results are receive's.
int trp_pipes_send_raw(trp_inbox_t *inbox, uint64_t to, trp_frame_t *const *frames, size_t count);
int trp_pipes_receive_raw(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in);

/// The ids of all actors that this inbox has a pipe to; fills at most `capacity`, returns how many
/// there are.
size_t trp_pipes_peers(trp_inbox_t *inbox, uint64_t *ids, size_t capacity);

#endif
