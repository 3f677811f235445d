/// An actor's life in its thread, from its first words to the I/O actors to its last.
#include <pthread.h>
#include <stdatomic.h>

#include "actors/system/system.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"

enum { IO_HELLO_MS = 10000 };

/// Nobody can know the actor's id before this: from now on the I/O actors know it, too, whoever
/// asks them. HELLO comes over a pipe of the actor's own and could otherwise be overtaken by what
/// others say of it. One turn of the loop would not be enough: what a thread has sent to an inbox
/// may show there only when another one, interrupted in the middle of sending, goes on.
static int told_hello(void *context) {
  trp_entry_t *entry = context;
  troupe_system_t *system = entry->system;
  trp_ground_t *ground = system->ground;
  for (unsigned i = 0; i < ground->io_count; i++) {
    int error = ground->ops->knows(ground, i, trp_system_deadline(system, IO_HELLO_MS),
                                   entry->start.id);
    if (error != 0) {
      return error;
    }
  }
  entry->was_known = true;
  int error = 0;
  pthread_mutex_lock(&system->mutex);
  entry->life = TRP_KNOWN;
  if (entry->stop_wanted) {
    entry->stop_wanted = false; // it was not sent yet
    error = trp_entry_stop(system, entry, entry->stop_grace_ms);
  }
  pthread_mutex_unlock(&system->mutex);
  return error;
}

void trp_entry_running(void *context) {
  trp_entry_t *entry = context;
  pthread_mutex_lock(&entry->system->mutex);
  entry->life = TRP_RUNNING;
  trp_system_tell_change(entry->system);
  pthread_mutex_unlock(&entry->system->mutex);
}

int trp_entry_open(trp_entry_t *entry) {
  troupe_system_t *system = entry->system;
  trp_ground_t *ground = system->ground;
  int error = ground->ops->open_inbox(ground, entry->start.id, &entry->inbox);
  if (error != 0) {
    return error;
  }
  entry->start.clock_ns = trp_inbox_now(entry->inbox);
  pthread_mutex_lock(&system->mutex);
  trp_entry_set_tap(entry, false, entry->start.clock_ns);
  unsigned recording = atomic_load(&system->recording);
  pthread_mutex_unlock(&system->mutex);
  entry->execution = (trp_execution_t){
      .start = &entry->start,
      .inbox = entry->inbox,
      .tap = entry->tap,
      .recording = &system->recording,
      .recording_seen = recording,
      .on_recording = trp_entry_look_at_recording,
      .system = system,
      .defaults = &system->defaults,
      .main = entry->main,
      .argument = entry->argument,
      .on_hello = told_hello,
      .on_running = trp_entry_running,
      .on_taken = trp_entry_taken,
      .context = entry,
  };
  entry->said_hello = true;
  return 0;
}

/// The last words: packed on the stack, and short enough for libzmq to carry them without memory.
/// The first I/O actor, which tells others of the end, hears them last, and for how many it has to
/// wait. Of an actor that was never known nobody can be told.
static void say_bye(trp_entry_t *entry) {
  Troupe__Wire__Bye bye = TROUPE__WIRE__BYE__INIT;
  bye.status = entry->status;
  bye.reason = (Troupe__Wire__Reason)entry->reason;
  trp_message_t message = TROUPE__WIRE__MESSAGE__INIT;
  message.kind = TRP_KIND(COMMAND_BYE);
  message.detail_case = TRP_DETAIL(BYE);
  message.bye = &bye;
  trp_message_t *messages[] = {&message};
  trp_wire_batch_t batch = TROUPE__WIRE__BATCH__INIT;
  batch.sender = entry->start.id;
  batch.n_messages = 1;
  batch.messages = messages;
  uint8_t bytes[64];
  const trp_ground_t *ground = entry->system->ground;
  bye.others = entry->was_known ? ground->io_count - 1 : 0;
  size_t length = troupe__wire__batch__pack(&batch, bytes);
  for (unsigned io = ground->io_count; io > 0; io--) {
    ground->ops->send_last(entry->inbox, trp_id_actor(io), bytes, length);
  }
}

void trp_entry_end(void *argument) {
  trp_entry_t *entry = argument;
  troupe_system_t *system = entry->system;
  trp_ground_t *ground = system->ground;
  void *ticket = entry->ticket; // the entry may be gone when this ends
  entry->reason = !entry->returned    ? TROUPE_REASON_EXITED
                  : entry->status < 0 ? TROUPE_REASON_FAILED
                                      : TROUPE_REASON_RETURNED;
  trp_tap_close(&entry->tap);
  if (entry->tap_inbox != NULL) {
    trp_inbox_close(entry->tap_inbox);
    entry->tap_inbox = NULL;
  }
  if (entry->inbox != NULL) {
    if (entry->said_hello) {
      trp_inbox_hide(entry->inbox);
      say_bye(entry);
    }
    trp_inbox_close(entry->inbox);
    entry->inbox = NULL;
  }
  trp_frame_thread_end();
  pthread_mutex_lock(&system->mutex);
  entry->life = TRP_ENDED;
  system->running--;
  system->ended++;
  trp_system_tell_change(system);
  pthread_mutex_unlock(&system->mutex);
  if (ground->ops->thread_ends != NULL) {
    ground->ops->thread_ends(ground, ticket);
  }
}

void *trp_entry_run(void *argument) {
  trp_entry_t *entry = argument;
  entry->status = 0;
  pthread_cleanup_push(trp_entry_end, entry);
  trp_ground_t *ground = entry->system->ground;
  if (ground->ops->thread_begins != NULL) {
    ground->ops->thread_begins(ground, entry->ticket);
  }
  int error = trp_entry_open(entry);
  if (error == 0) {
    bool ran = false;
    error = trp_actor_execute(&entry->execution, &ran);
  }
  entry->status = error;
  entry->returned = true;
  pthread_cleanup_pop(1);
  return NULL;
}
