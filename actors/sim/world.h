/// Private. A simulated world: one run of a seed. Its threads take turns, so nothing in it needs a
/// lock: whoever has the baton may touch everything.
///
///   scheduler.c  whose turn it is, and what time it is
///   inbox.c      pipes between actors
///   io.c         the I/O actors: socket logic over the simulated transport
///   monitor.c    watches what crosses the pipes: is all of it as it must be?
///   ground.c     what a system sees of the world
///   run.c        troupe_sim_run()
///   continue.c   a recording that goes on: script.c reads it, ledger.c knows what its actor knows at
///                the cut, peers.c are those whom it talks to
#ifndef TRP_SIM_WORLD_H_INCLUDED
#define TRP_SIM_WORLD_H_INCLUDED

#include <semaphore.h>

#include "actors/ground.h"
#include "actors/sim/peers.h"
#include "core/support/map.h"
#include "core/trace/print.h"

typedef struct trp_sim trp_sim_t;
typedef struct trp_sim_inbox trp_sim_inbox_t;
typedef struct trp_sim_monitor trp_sim_monitor_t;
typedef struct trp_watched trp_watched_t;
typedef struct trp_continuation trp_continuation_t;

/// A thread of the world.
typedef enum trp_task_state {
  TRP_TASK_READY,
  TRP_TASK_RECEIVING, // from its inbox, until the deadline
  TRP_TASK_WAITING,   // for a change, until the deadline
} trp_task_state_t;

typedef struct trp_task {
  trp_link_t in_world;
  uint64_t actor; // 0: the one that called troupe_sim_run()
  sem_t baton;
  trp_task_state_t state;
  int64_t deadline_ns;
  int64_t not_before_ns; // a slow actor
  uint64_t changes_seen;
  trp_sim_inbox_t *inbox;
  bool killed;                  // by a fault
  bool (*over)(trp_sim_t *sim); // READY only when it says so; for the first task
} trp_task_t;

/// An I/O actor.
typedef struct trp_sim_io {
  trp_sim_transport_t transport;
  trp_sim_inbox_t *inbox;
  trp_pool_t *pool;
  trp_net_t *net;
  trp_in_t in;
  trp_kept_io_call_t *first_call, **last_call; // from the front door
} trp_sim_io_t;

/// When a world begins: no time is 0, which means none in many places.
#define TRP_SIM_START_NS INT64_C(1000000000)

struct trp_sim {
  trp_ground_t ground;
  const troupe_sim_options_t *options;
  trp_dice_t dice;
  trp_faults_t faults;
  trp_network_t network;
  trp_sim_io_t *io; // ground.io_count of them
  trp_map_t inboxes;
  trp_sim_monitor_t *monitor;
  trp_continuation_t *continuation; // of a recording; NULL: there is none
  void (*on_signal_stop)(void *context);
  void *signal_context;
  bool signalled;

  trp_link_t tasks;
  trp_task_t first;    // the thread that called troupe_sim_run()
  trp_task_t *running; // has the baton
  int64_t began_ns, now_ns;
  uint64_t changes, steps;
  uint64_t last_serial; // of the I/O actors' batches
  bool stuck;           // nothing can happen any more by itself
  bool killing;         // the run is over: every actor is told so
  bool failed;
  char why[2048];
  trp_text_t reason;
};

// ---- run.c ----

/// The run has failed; the first reason counts, and is what format and arguments say.
void trp_sim_fail(trp_sim_t *sim, const char *format, ...) TROUPE_PRINTF(2, 3);

// ---- scheduler.c ----

/// A thread will come. 0, TROUPE_ENOMEM.
int trp_sim_expect(trp_sim_t *sim, uint64_t actor, trp_task_t **made);
void trp_sim_forget_task(trp_task_t *task);
/// The first thing that an actor's thread does: waits for its turn.
void trp_sim_begin(trp_sim_t *sim, trp_task_t *task);
/// Gives the baton on, and waits until it comes back: at once, when this task is chosen.
void trp_sim_yield(trp_sim_t *sim);
/// The last thing that an actor's thread does.
void trp_sim_leave(trp_sim_t *sim, trp_task_t *task);
/// Somebody who waits for a change may look.
void trp_sim_changed(trp_sim_t *sim);

// ---- inbox.c ----

int trp_sim_open_inbox(trp_sim_t *sim, uint64_t self, trp_sim_inbox_t **inbox);
trp_inbox_t *trp_sim_inbox_base(trp_sim_inbox_t *inbox);
bool trp_sim_inbox_has_some(const trp_sim_inbox_t *inbox);
/// The inbox is another one until trp_sim_inbox_go_live().
void trp_sim_inbox_play(trp_sim_inbox_t *inbox, const trp_inbox_ops_t *ops);
void trp_sim_inbox_go_live(trp_sim_inbox_t *inbox);
trp_sim_t *trp_sim_inbox_world(trp_inbox_t *inbox);
int trp_sim_inbox_send(trp_inbox_t *inbox, trp_out_t *out);
void trp_sim_inbox_close(trp_inbox_t *inbox);
void trp_sim_send_last(trp_inbox_t *inbox, uint64_t to, const void *bytes, size_t length);

// ---- io.c ----

/// The one with this index, from 0, of so many.
int trp_sim_io_open(trp_sim_t *sim, unsigned index, unsigned count);
void trp_sim_io_close(trp_sim_t *sim, unsigned index);
int trp_sim_io_post(trp_sim_t *sim, unsigned index, const trp_io_call_t *call);
bool trp_sim_io_has_work(const trp_sim_t *sim, unsigned index);
void trp_sim_io_turn(trp_sim_t *sim, unsigned index);
/// Around what the I/O actors do in a thread that is none: their batches are filled by many. The
/// value is for the second.
uint64_t trp_sim_io_enter(trp_sim_t *sim);
void trp_sim_io_leave(trp_sim_t *sim, uint64_t own);

// ---- monitor.c ----

int trp_sim_monitor_new(trp_sim_t *sim);
void trp_sim_monitor_free(trp_sim_t *sim);
/// A handle of an I/O actor has this owner from now on (the context is the world).
void trp_sim_watch_owner(void *context, const trp_handle_t *handle, const void *owner);
/// A batch leaves an I/O actor or another one for an actor, is carried out by an I/O actor, or is
/// taken by an actor.
void trp_sim_watch_events(trp_sim_t *sim, uint64_t to, const trp_in_t *in);
void trp_sim_watch_messages(trp_sim_t *sim, uint64_t to, const trp_in_t *in);
void trp_sim_watch_commands(trp_sim_t *sim, const trp_net_t *net, const trp_in_t *in);
void trp_sim_watch_taken(trp_sim_t *sim, uint64_t by, const trp_in_t *in);
/// The network took so many bytes that this handle's owner has written.
void trp_sim_watch_sent(const trp_handle_t *handle, size_t length);
/// A socket and peers of a recording that goes on, as continue.c and peers.c have them.
void trp_sim_watch_resumed(trp_sim_t *sim, uint64_t owner, const trp_resumed_t *known,
                           const trp_handle_t *handle);
trp_watched_t *trp_sim_watch_peer(trp_sim_t *sim, const trp_handle_t *handle, uint64_t socket);
void trp_sim_watch_said(trp_sim_t *sim, trp_watched_t *peer, const uint8_t *bytes, size_t length);
void trp_sim_watch_said_end(trp_watched_t *peer);
void trp_sim_watch_heard(trp_sim_t *sim, trp_watched_t *peer, const uint8_t *bytes,
                         uint32_t length);
void trp_sim_watch_heard_end(trp_sim_t *sim, trp_watched_t *peer);
/// All actors have ended: what is left?
void trp_sim_watch_end(trp_sim_t *sim);
/// A fault has ended this actor.
void trp_sim_watch_killed(trp_sim_t *sim, uint64_t id);
/// How an actor ended; false: it has not.
bool trp_sim_watch_ended(const trp_sim_t *sim, uint64_t id, int *status, bool *killed);
/// Whether one has ended below 0 that no fault has ended.
bool trp_sim_watch_failed(const trp_sim_t *sim, uint64_t *id, int *status);
/// What was seen last, a line each.
void trp_sim_watch_tell_last(const trp_sim_t *sim, trp_text_t *text);

// ---- continue.c ----

/// Makes ready what goes on; `script` is borrowed. Freed in any case. 0 or an error.
int trp_sim_continue_open(trp_sim_t *sim, const trp_script_t *script);
void trp_sim_continue_free(trp_sim_t *sim);
/// Spawns the actor; whether it has come to the cut.
int trp_sim_continue_spawn(trp_sim_t *sim, troupe_system_t *system);
bool trp_sim_continue_has_come(const trp_sim_t *sim);
/// The rest of the world is there; whether the actor is in it now.
void trp_sim_continue_go_on(trp_sim_t *sim);
bool trp_sim_continue_is_taken_over(const trp_sim_t *sim);
/// The peers begin; are they through; they end.
void trp_sim_continue_begin(trp_sim_t *sim);
bool trp_sim_continue_is_done(const trp_sim_t *sim);
void trp_sim_continue_end(trp_sim_t *sim);
/// NULL: there are none.
trp_sim_peers_t *trp_sim_continue_peers(const trp_sim_t *sim);
/// The inbox of an actor is opened: if it is the one that goes on, it plays the recording first.
void trp_sim_continue_inbox(trp_sim_t *sim, uint64_t self, trp_sim_inbox_t *inbox);

// ---- ground.c ----

extern const trp_ground_ops_t trp_sim_ground_ops;

#endif
