/// Recording begins and ends, and what that means for each actor.
#include <troupe/trace.h>

#include <pthread.h>
#include <stdatomic.h>

#include "actors/system/system.h"
#include "core/message/id.h"
#include "core/trace/recorder.h"

/// What the actor's tap sends over. NULL: there is none.
static trp_inbox_t *inbox_of_tap(trp_entry_t *entry) {
  trp_ground_t *ground = entry->system->ground;
  if (ground->ops->open_tap_inbox == NULL) {
    return entry->inbox;
  }
  if (entry->tap_inbox == NULL &&
      ground->ops->open_tap_inbox(ground, entry->start.id, &entry->tap_inbox) != 0) {
    return NULL;
  }
  return entry->tap_inbox;
}

void trp_entry_set_tap(trp_entry_t *entry, bool late, int64_t now_ns) {
  troupe_system_t *system = entry->system;
  trp_recorder_t *recorder = system->recorder;
  if (recorder != NULL && !trp_recorder_wants(recorder, entry->start.name)) {
    recorder = NULL;
  }
  bool keeps = entry->tap != NULL && recorder != NULL && trp_tap_is_of(entry->tap, recorder);
  if (late && !keeps && recorder != NULL && !trp_recorder_wants_running(recorder)) {
    recorder = NULL;
  }
  if (entry->tap == NULL && (recorder != NULL || system->flight != NULL)) {
    trp_inbox_t *inbox = inbox_of_tap(entry);
    entry->tap = inbox == NULL ? NULL : trp_tap_new(inbox);
  }
  if (entry->tap == NULL) {
    return;
  }
  if (!keeps) {
    trp_tap_end_record(entry->tap);
    if (recorder != NULL) {
      (void)trp_tap_record(entry->tap, recorder, &entry->start, late, now_ns);
    }
  }
  trp_tap_fly(entry->tap, system->flight, &entry->start);
}

trp_tap_t *trp_entry_look_at_recording(void *context, int64_t now_ns) {
  trp_entry_t *entry = context;
  pthread_mutex_lock(&entry->system->mutex);
  trp_entry_set_tap(entry, true, now_ns);
  pthread_mutex_unlock(&entry->system->mutex);
  return entry->tap;
}

/// In the recorder's thread.
static void tell_recording_stopped(void *context, uint64_t actor, int error) {
  trp_io_call_t call = {
      .kind = TRP_KIND(EVENT_RECORDING_STOPPED), .actor = actor, .grace_ms = (uint32_t)-error};
  (void)trp_system_post(context, &call); // without memory the recorder's report tells alone
}

int troupe_record_start(troupe_system_t *system, const troupe_record_options_t *options) {
  if (system == NULL || options == NULL || options->directory == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->mutex);
  bool already = system->recorder != NULL;
  uint64_t id = trp_id_actor(system->next_recorder--);
  pthread_mutex_unlock(&system->mutex);
  if (already) {
    return TROUPE_EALREADY;
  }
  // A simulated world has none until somebody records in it.
  int error = system->ground->hub == NULL ? trp_hub_new(&system->ground->hub) : 0;
  if (error != 0) {
    return error;
  }
  trp_recorder_t *recorder = NULL;
  error = trp_recorder_start(system->ground->hub, id, options, &recorder);
  if (error != 0) {
    return error;
  }
  trp_recorder_on_stopped(recorder, tell_recording_stopped, system);
  pthread_mutex_lock(&system->mutex);
  already = system->recorder != NULL;
  if (!already) {
    system->recorder = recorder;
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  if (already) {
    trp_recorder_stop(&recorder, NULL);
    return TROUPE_EALREADY;
  }
  return 0;
}

int troupe_record_stop(troupe_system_t *system, troupe_record_report_t *report) {
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->mutex);
  trp_recorder_t *recorder = system->recorder;
  system->recorder = NULL;
  if (recorder != NULL) {
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  if (recorder == NULL) {
    return TROUPE_ESTALE;
  }
  trp_recorder_stop(&recorder, report);
  return 0;
}
