/// Private. Servers: what the files that make them up share. server.c has their life; server_listen.c
/// how they begin to listen; server_events.c what they are told; server_limits.c whom they let in;
/// server_counts.c how many those are.
///
/// Everything runs in the actor's thread, inside a public call or a dispatch. Nothing blocks.
#ifndef TRP_SERVER_H_INCLUDED
#define TRP_SERVER_H_INCLUDED

#include <troupe/server.h>

#include "core/actor/actor.h"
#include "core/net/abort.h"
#include "core/net/endpoint.h"
#include "core/net/server_states.h"

typedef struct trp_server trp_server_t;

/// One listen of a server.
typedef struct trp_listening {
  trp_server_t *server;
  struct trp_listening *next; // of the server's, but for its own
  uint64_t wire;              // the id by which the I/O actor knows it
  trp_listen_state_t state;
  uint64_t dispatched, told; // connections
  uint64_t asked, answered;  // the last tokens
  uint64_t blocks;           // the id by which the I/O actor knows its block list; 0: none
  size_t rules;              // of the server's list that the I/O actor knows
  bool ended;                // EVENT_CLOSE has come,
  uint64_t dealt;            // after so many connections
  trp_endpoint_t address;
} trp_listening_t;

/// A question that waits for its answers.
typedef struct trp_ask {
  struct trp_ask *next;
  uint64_t token;
  unsigned waiting; // answers that have not come
  troupe_server_counts_t counts;
  troupe_connections_fn on_connections; // one of the two
  troupe_server_counts_fn on_counts;
  void *context;
} trp_ask_t;

struct trp_server {
  trp_object_t object;
  const troupe_server_handlers_t *handlers; // never NULL
  void *context;
  troupe_server_options_t options; // its block list is kept
  trp_listening_t own;
  trp_listening_t *others;  // that are not over
  trp_listening_t *current; // the one that listens or is about to; NULL: none
  trp_ask_t *asks;
  uint64_t last_token;
  troupe_server_counts_t past; // of the listens that are over
  size_t sockets;              // here that it accepted and whose last event has not come
  int last_error;              // of the last listen
  bool close_owed;             // on_close is due when none of the listens is left
  trp_abort_link_t signal;     // of the current listen
  bool abort_owed;             // there was no memory to close it
  bool unref;
  bool freed;      // goes after on_close
  bool given_away; // a connection of it: the last one may end in another actor, at any time
  bool grace_over;
};

/// Finds the server of a handle for a public function: 0, TROUPE_EWRONGTHREAD or TROUPE_ESTALE.
int trp_server_get(troupe_server_t handle, trp_server_t **server);

/// A connection that this server of the actor accepted, if it has such a one, is another actor's.
void trp_server_given_away(trp_actor_t *actor, uint64_t id);

troupe_server_t trp_server_handle(const trp_server_t *server);

/// A server of this actor; NULL: it has none of this id.
trp_server_t *trp_server_find(trp_actor_t *actor, uint64_t id);

/// It does not listen any more: no signal closes what listens later.
void trp_server_lose_current(trp_server_t *server);

/// Its signal was aborted; the argument is the server.
void trp_server_abort(void *owner);

/// It holds the actor while something is still to come of it; but where it only waits for its
/// connections, that is for them to do, as in Node: one that holds nothing may stay open. A stopping
/// actor waits for what it closes, but without end not for connections that are another actor's.
void trp_server_refresh(trp_server_t *server);

/// A command about the listen, to be filled. 0 or TROUPE_ENOMEM.
int trp_listening_command(trp_listening_t *listening, Troupe__Wire__Kind kind,
                          trp_message_t **message);

// ---- server_listen.c ----

/// It is over, or has not begun. Another one than the server's own goes.
void trp_listening_abandon(trp_listening_t *listening);

// ---- server_events.c ----

/// What the I/O actor told of it.
void trp_listening_receive(trp_listening_t *listening, const trp_message_t *message);

/// What is owed from an earlier turn.
void trp_server_later(trp_server_t *server);

/// A socket that the server `id` accepted is closed or given away, and its own event was dispatched.
/// The server may be gone.
void trp_server_lose_socket(trp_actor_t *actor, uint64_t id);

// ---- server_limits.c ----

/// What is wrong with the limits among the options: 0 or an error.
int trp_server_limits_check(const troupe_server_options_t *options);

/// Tells the I/O actor the server's block list, before the listen does. 0 or TROUPE_ENOMEM.
int trp_listening_send_list(trp_listening_t *listening);

/// The listen accepts no more: its list goes.
void trp_listening_drop_list(trp_listening_t *listening);

/// All limits, into the options of a listen.
void trp_listening_put_limits(const trp_listening_t *listening, Troupe__Wire__Options *options);

// ---- server_counts.c ----

/// EVENT_COUNTED came.
void trp_server_counted(trp_listening_t *listening, const Troupe__Wire__Count *count);

/// The listen is over; EVENT_CLOSE may have told what became of its connections.
void trp_server_count_out(trp_listening_t *listening, const trp_message_t *close);

/// Answers that were asked of it will find nobody.
void trp_server_skip_answers(const trp_listening_t *listening);

/// Calls whoever has all answers, in the order in which they were asked.
void trp_server_answer(trp_server_t *server);

void trp_server_forget_asks(trp_server_t *server);

#endif
