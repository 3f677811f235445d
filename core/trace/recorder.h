/// Private. The recorder: a thread with an inbox, to which the taps of recorded actors send what
/// they saw, by reference.
#ifndef TRP_RECORDER_H_INCLUDED
#define TRP_RECORDER_H_INCLUDED

#include <troupe/trace.h>

#include "core/actor/start.h"
#include "core/message/pipes.h"
#include "core/trace/flight.h"
#include "core/trace/tap.h"

typedef struct trp_recorder trp_recorder_t;

/// `self` is the recorder's own actor id. Starts its thread. Returns 0 or an error of troupe_record_start().
int trp_recorder_start(trp_hub_t *hub, uint64_t self, const troupe_record_options_t *options,
                       trp_recorder_t **recorder);

/// Writes what was handed over, ends the thread, frees it. Taps that are still open drop what they
/// get from here on; none may be opened meanwhile.
void trp_recorder_stop(trp_recorder_t **recorder, troupe_record_report_t *report);

/// Whether actors of that name are recorded.
bool trp_recorder_wants(const trp_recorder_t *recorder, const char *name);

/// Called, in the recorder's thread, when recording of an actor stopped because of an error. Set
/// before the first tap is opened.
void trp_recorder_on_stopped(trp_recorder_t *recorder,
                             void (*on_stopped)(void *context, uint64_t actor, int error),
                             void *context);

/// Whether actors that run already are recorded, too.
bool trp_recorder_wants_running(const trp_recorder_t *recorder);

/// A tap that takes nothing yet. `inbox` is what it will send over. NULL: no memory.
trp_tap_t *trp_tap_new(trp_inbox_t *inbox);

/// Begins the trace of an actor: called in its thread, `late` unless nothing has crossed the inbox
/// yet. `now_ns`: the clock's value of what is recorded next. Returns 0 or an error, which the
/// recorder's report then tells, too.
int trp_tap_record(trp_tap_t *tap, trp_recorder_t *recorder, const trp_start_t *start, bool late,
                   int64_t now_ns);

/// The last record is handed over. In the actor's thread; does nothing when nothing is recorded.
void trp_tap_end_record(trp_tap_t *tap);

/// Whether what is recorded goes to this one; NULL: nothing is recorded.
bool trp_tap_is_of(const trp_tap_t *tap, trp_recorder_t *recorder);

/// From here on the last of what crosses is in a ring of the flight recorder, too, if one is free.
/// NULL: no more. In the actor's thread.
void trp_tap_fly(trp_tap_t *tap, trp_flight_t *flight, const trp_start_t *start);

/// The first two in one. On an error there is no tap.
int trp_tap_open(trp_recorder_t *recorder, const trp_start_t *start, trp_inbox_t *inbox,
                 trp_tap_t **tap);

/// Ends recording, frees the tap; NULL is fine. In the actor's thread.
void trp_tap_close(trp_tap_t **tap);

#endif
