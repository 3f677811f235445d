/// Private. The beginning of a trace, given out again: what an actor that goes on from a recording
/// gets before it is live.
#ifndef TRP_PREFIX_H_INCLUDED
#define TRP_PREFIX_H_INCLUDED

#include "core/trace/format.h"

typedef struct trp_prefix trp_prefix_t;

/// Opens a complete trace, of which the first `events` events will be given. Blocks on the disk.
/// Returns 0, or an error of trp_reader_open(), TROUPE_EBADTRACE, TROUPE_ENOMEM.
int trp_prefix_open(const char *path, uint64_t events, trp_prefix_t **prefix);
void trp_prefix_close(trp_prefix_t **prefix); // NULL is fine

/// Borrowed from the prefix.
const trp_start_t *trp_prefix_start(const trp_prefix_t *prefix);

/// What the actor's clock says: of the batch that was given last.
int64_t trp_prefix_now(const trp_prefix_t *prefix);
uint64_t trp_prefix_given(const trp_prefix_t *prefix); // events so far

/// Fills `in`, which was reset, with the next batch, or with so much of it as there may be. Returns 1,
/// 0 when all are given or the trace ends, or an error.
int trp_prefix_next(trp_prefix_t *prefix, trp_in_t *in);

/// The result of the next call that the actor made (core/trace/calls.h). Returns 0, TROUPE_EDIFFERS:
/// it made another one, or none, or an error.
int trp_prefix_recall(trp_prefix_t *prefix, uint32_t call, int64_t *value);

#endif
