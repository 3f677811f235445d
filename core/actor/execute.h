/// Private. Runs an actor's main function on an inbox: in its own thread for a live one, in the
/// caller's for a replay.
#ifndef TRP_EXECUTE_H_INCLUDED
#define TRP_EXECUTE_H_INCLUDED

#include <stdatomic.h>
#include <stdbool.h>

#include "core/actor/attachment.h"
#include "core/actor/start.h"
#include "core/message/inbox.h"
#include "core/trace/tap.h"

struct troupe_system;
struct trp_defaults;

typedef struct trp_execution {
  const trp_start_t *start; // borrowed
  trp_inbox_t *inbox;       // borrowed
  trp_tap_t *tap;           // borrowed; NULL: not recorded
  // Changes when recording begins or ends: then on_recording gives the tap for a batch with that
  // clock's value and what comes after it. NULL: it never does.
  const atomic_uint *recording;
  unsigned recording_seen; // its value when `tap` was made
  trp_tap_t *(*on_recording)(void *context, int64_t now_ns);
  struct troupe_system *system;  // NULL in a replay
  struct trp_defaults *defaults; // the system's; borrowed. NULL, as in a replay: what the start
                                 // says
  trp_attachment_t *attachment;  // borrowed; NULL: no attached thread
  int (*main)(void *argument);
  void *argument;
  int (*on_hello)(void *context); // called once, when HELLO is sent to all I/O actors and before
                                  // main; below 0: main is not called, this is the result. NULL is
                                  // fine
  void (*on_running)(void *context); // called once, when main enters troupe_actor_run() for the
                                     // first time; NULL is fine
  void (*on_taken)(void *context, Troupe__Wire__Kind kind, size_t length); // an EVENT_MESSAGE or
      // EVENT_ABORT that came from outside is consumed; NULL is fine
  void *context;
} trp_execution_t;

/// Returns main's result, or an error when the actor could not be set up: `*ran` tells which of the
/// two. While it runs the thread is the actor. Commands that main left unsent are sent after it
/// returned. Does not send HELLO or BYE.
int trp_actor_execute(const trp_execution_t *execution, bool *ran);

/// The same in two parts, for a thread that goes on in between: it is the actor from the first, if
/// that returned 0, to the second. `main` is not called; `execution` is borrowed until the second.
int trp_actor_begin(const trp_execution_t *execution);
void trp_actor_finish(int status);

#endif
