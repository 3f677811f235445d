/// Private. The inbox over a trace: it gives what was recorded, and compares what is sent with what
/// was sent then.
#ifndef TRP_REPLAY_H_INCLUDED
#define TRP_REPLAY_H_INCLUDED

#include <troupe/trace.h>

#include "core/message/inbox.h"
#include "core/trace/reader.h"

/// How it works: the trace is read forward as far as somebody asks for something, and what is
/// passed on the way waits: batches that are to be dispatched, calls' results, and for each
/// receiver what it was sent. The boundaries of batches play no part: each receiver's messages are
/// one sequence.
///
/// - An actor sends what it has to before it takes the next batch. So what was recorded before a
/// batch must have been sent when that batch is asked for: a
///   command that is missing is found at once.
/// - It may be ahead of its recording by what one batch was split into, and by batches of timers,
/// which the live actor may have taken earlier. So the
///   recording is looked into for what is sent now up to the first batch that came from outside at
///   another time; and what was recorded with a cause that is not dispatched yet is something else:
///   a command too many is found at once, too.
typedef struct trp_replay trp_replay_t;

struct trp_accept;

/// Opens a trace; its start record is read. With `accept` (borrowed until it is closed; NULL is fine)
/// nothing is compared, and all that is done is written there. The errors are troupe_replay()'s;
/// `report->text` says why, and calls the file `name`. Blocks on
/// the disk.
int trp_replay_open(const char *path, const char *name, const troupe_replay_options_t *options,
                    struct trp_accept *accept, troupe_replay_report_t *report,
                    trp_replay_t **replay);

/// Borrowed from the replay. The argument is aligned for everything.
const trp_start_t *trp_replay_start(const trp_replay_t *replay);
trp_inbox_t *trp_replay_inbox(trp_replay_t *replay);

/// Main has returned: compares what is left, fills the report, frees the replay. Returns the
/// verdict: 0, TROUPE_EDIFFERS, or what stopped it.
int trp_replay_close(trp_replay_t **replay, int status);

#endif
