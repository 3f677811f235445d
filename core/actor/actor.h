/// Private. An actor as its own thread sees it: its inbox, what it collects for others, its
/// objects, its timers.
///
/// All of this is used by the actor's thread alone. Everything enters through trp_actor_dispatch();
/// everything leaves through the batches that trp_actor_command() fills.
#ifndef TRP_ACTOR_H_INCLUDED
#define TRP_ACTOR_H_INCLUDED

#include <troupe/handle.h>

#include "core/actor/execute.h"
#include "core/support/heap.h"
#include "core/support/map.h"

typedef struct trp_actor trp_actor_t;
typedef struct trp_object trp_object_t;

/// What a kind of object does with the events that name it. Every function is called in the actor's
/// thread, while it dispatches.
typedef struct trp_object_type {
  /// An event for this object. It may call the application, which may do anything, destroy the
  /// object included; the memory stays until `release`.
  void (*event)(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
  /// Work put off by trp_object_later(): runs after the callback that is going on now, before the
  /// next event.
  void (*later)(trp_object_t *object);
  /// Drop it as troupe_socket_destroy() or troupe_server_close() would: the actor is asked to stop.
  /// `at_once`: its grace is over. NULL: nothing to do.
  void (*stop)(trp_object_t *object, bool at_once);
  /// Frees the memory. The object is in no table any more. No callback is made from here.
  void (*release)(trp_object_t *object);
  /// Says what it is in lists of handles: kind, state, addresses; the rest is filled in. NULL: it is
  /// nothing that the application knows.
  void (*describe)(const trp_object_t *object, troupe_handle_t *handle);
} trp_object_type_t;

/// What sockets, servers, timers and the like have in common; their structs begin with it.
struct trp_object {
  const trp_object_type_t *type;
  trp_actor_t *actor;
  uint64_t id;
  const char *made_at; // file and line, or NULL
  trp_object_t *next;  // in the actor's list of work put off, or of objects to be released
  bool queued;         // it is in the first of these
  bool dead;           // removed: it will be released after the current callback
  bool holding;        // counts among what keeps troupe_actor_run() going
  uint8_t stop_round;  // how far type->stop has been called
  bool draining; // counts among what a stopping actor still waits for (open sockets, servers that
                 // close)
};

/// As `made_at`: the library made it for itself, and no list shows it.
extern const char trp_made_inside[];

/// The actor of this thread, or NULL.
trp_actor_t *trp_actor_current(void);

/// A fresh id of the actor's own, served by its I/O actor `io` (0 for things that none serves;
/// TRP_ANY_IO: the actor's turn decides). 0: used up.
enum { TRP_ANY_IO = -1 };
uint64_t trp_actor_new_id(trp_actor_t *actor, int io);
/// The I/O actor for a descriptor that was handed over: always the same one, which finds out when
/// it is handed over twice.
int trp_actor_io_of_fd(const trp_actor_t *actor, int fd);

/// Puts the object into the actor's table; type and id are set. 0, TROUPE_ENOMEM, or
/// TROUPE_EBADMESSAGE: another one has the id already, as only a trace that somebody made can have it.
int trp_object_add(trp_actor_t *actor, trp_object_t *object);
/// Under another id, keeping everything else (a socket that connects again). 0 or TROUPE_ENOMEM:
/// then nothing changed.
int trp_object_rename(trp_object_t *object, uint64_t id);
/// Takes it out; its memory goes after the current callback (at once when there is none).
void trp_object_remove(trp_object_t *object);
/// NULL: not there (any more).
trp_object_t *trp_object_find(trp_actor_t *actor, uint64_t id, const trp_object_type_t *type);
/// Finds the object of a handle for a public function: 0, TROUPE_EWRONGTHREAD or TROUPE_ESTALE.
int trp_object_get(uint64_t id, const trp_object_type_t *type, trp_object_t **object);
/// Where it was made, for a command: its end, if it is long. NULL: no memory.
char *trp_object_made_at(const trp_object_t *object, trp_out_t *out);
/// Copies such a place, or its end.
void trp_made_at_copy(const char *made_at, char text[TROUPE_MADE_AT_SIZE]);
void trp_object_hold(trp_object_t *object, bool holding);
void trp_object_drain(trp_object_t *object, bool draining);
/// Calls type->later once, after the callback that is going on now (from outside of callbacks:
/// before the next event).
void trp_object_later(trp_object_t *object);

/// A command for the I/O actor that serves `subject`. NULL: no memory. The message is filled before
/// anything else is called.
trp_message_t *trp_actor_command(trp_actor_t *actor, Troupe__Wire__Kind kind, uint64_t subject);
/// The batch that it is in, for trp_out_take(), trp_out_text(), trp_out_copy(), trp_out_attach(),
/// trp_out_undo().
trp_out_t *trp_actor_out(trp_actor_t *actor, uint64_t subject);

/// The object that gets the sockets which other actors give to this one; NULL: they are turned away.
void trp_actor_set_receiver(trp_actor_t *actor, trp_object_t *receiver);
trp_object_t *trp_actor_receiver(const trp_actor_t *actor);

/// A socket has come that nobody wants, or that there is no memory for. Without memory to say so,
/// too, it stays open until its peer closes it or the actor ends. `message` is its event.
void trp_actor_turn_away(trp_actor_t *actor, const trp_message_t *message);

/// Wraps every call of application code: `trp_actor_enter(); handler(...); trp_actor_leave();`.
/// What was put off runs, and removed objects are released, when the outermost callback has been
/// left. So a pointer to an object stays valid after a callback until its own caller returns.
void trp_actor_enter(trp_actor_t *actor);
void trp_actor_leave(trp_actor_t *actor);

/// Selective receive: takes batches from the inbox and keeps them in order for later, until the
/// event `kind` (or EVENT_ERROR) about `subject` is seen, which is dispatched at once by itself.
/// What arrived meanwhile is dispatched afterwards in its order; the events of `subject` before it,
/// too, are dispatched at once, but for connections before EVENT_LISTENING. 0, TROUPE_ETIMEDOUT, or TROUPE_ESTOPPED.
int trp_actor_await(trp_actor_t *actor, Troupe__Wire__Kind kind, uint64_t subject, int timeout_ms);

const trp_start_t *trp_actor_start(const trp_actor_t *actor);
void *trp_actor_context(const trp_actor_t *actor); // of its execution
bool trp_actor_busy(const trp_actor_t *actor);     // it is dispatching, or inside a callback
struct troupe_system *trp_actor_system(const trp_actor_t *actor);  // NULL in a replay
struct trp_defaults *trp_actor_defaults(const trp_actor_t *actor); // NULL: what the start says
trp_inbox_t *trp_actor_inbox(const trp_actor_t *actor);
trp_tap_t *trp_actor_tap(const trp_actor_t *actor);
int64_t trp_actor_now(const trp_actor_t *actor);

/// The result of a synchronous call that is in traces (core/trace/calls.h): in a replay `*value` is
/// the recorded one and the answer true, so the call is not made; live it is false, and after the
/// call trp_actor_called() tells its result.
bool trp_actor_recall(trp_actor_t *actor, uint32_t call, int64_t *value);
void trp_actor_called(trp_actor_t *actor, uint32_t call, int64_t value);

#endif
