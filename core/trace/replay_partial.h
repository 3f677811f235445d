/// Private to the replay of a trace that is not complete. Each function is called when `partial` is set.
#ifndef TRP_REPLAY_PARTIAL_H_INCLUDED
#define TRP_REPLAY_PARTIAL_H_INCLUDED

#include "core/message/batch.h"
#include "core/trace/queue.h"

struct trp_replay;

/// Finds out what is whole, and sets `partial`. 0, or an error that is told: nothing is.
int trp_partial_begin(struct trp_replay *replay);

/// Of a batch that is about to be given: what is left out becomes KIND_NONE, the rest gets the
/// replay's ids. Says how many messages are left. 0 or TROUPE_ENOMEM.
int trp_partial_leave_out(struct trp_replay *replay, const trp_wire_batch_t *batch, size_t *given);

/// The actor listens; `recorded` is that server in the recording. The servers that it makes at its
/// start listen, whether that was recorded or not: then there is a batch to be made up. 0 or
/// TROUPE_ENOMEM.
int trp_partial_remember_listen(struct trp_replay *replay, uint64_t server, uint64_t recorded);
/// Makes up the batch; 1 or an error.
int trp_partial_make_listening(struct trp_replay *replay, trp_in_t *in);

/// The next call of that kind that was made after the batch that is dispatched: those before it may
/// have belonged to what is left out. The caller's; NULL: there is none.
trp_item_t *trp_partial_find_call(struct trp_replay *replay, uint32_t call);

/// Main has returned: the verdict.
int trp_partial_finish(struct trp_replay *replay, int status);

/// Something differs: says why that may be no fault of the actor's.
void trp_partial_tell_doubt(struct trp_replay *replay);

/// Which connections were replayed. Returns the verdict: 0, unless there was none.
int trp_partial_tell(struct trp_replay *replay);

#endif
