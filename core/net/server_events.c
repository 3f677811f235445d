/// What servers are told by the I/O actor, and what they tell the application.

#include "core/message/credit.h"
#include "core/net/server.h"
#include "core/net/socket.h"
#include "core/net/wire_address.h"
#include "core/net/wire_error.h"

typedef trp_server_t server_t;
typedef trp_listening_t listening_t;

/// Calls a handler, if there is one.
#define TELL(server, slot, arguments)                                                              \
  do {                                                                                             \
    if ((server)->handlers->slot != NULL) {                                                        \
      trp_actor_enter((server)->object.actor);                                                     \
      (server)->handlers->slot arguments;                                                          \
      trp_actor_leave((server)->object.actor);                                                     \
    }                                                                                              \
  } while (0)

static void await_start(listening_t *listening);
static bool end_if_due(listening_t *listening);
static void enact(listening_t *listening, trp_listen_step_t step, const trp_message_t *message);
static void tell_listening(listening_t *listening, const trp_message_t *message);
static void tell_error(listening_t *listening, const trp_message_t *message);
static void dispatched_one(listening_t *listening);
static void accept_connection(listening_t *listening, const trp_message_t *message);
static void turn_away(listening_t *listening, const trp_message_t *message);
static void tell_drop(server_t *server, const trp_message_t *message);
static void tell_parked(server_t *server, const trp_message_t *message);
static void over(listening_t *listening);
static void tell_close_if_due(server_t *server);
static bool is_idle(const listening_t *listening);

void trp_listening_receive(listening_t *listening, const trp_message_t *message) {
  if (listening->server->abort_owed) {
    trp_server_abort(listening->server);
  }
  trp_listen_event_t what;
  switch (message->kind) {
  case TRP_KIND(EVENT_LISTENING):
    what = TRP_LISTEN_STARTED;
    break;
  case TRP_KIND(EVENT_ERROR):
    what = TRP_LISTEN_FAILED;
    break;
  case TRP_KIND(EVENT_CONNECTION):
    await_start(listening);
    what = TRP_LISTEN_CONNECTION;
    break;
  case TRP_KIND(EVENT_DROP):
    what = TRP_LISTEN_DROPPED;
    break;
  case TRP_KIND(EVENT_PARKED):
    what = TRP_LISTEN_PARKED;
    break;
  case TRP_KIND(EVENT_UNPARKED):
    what = TRP_LISTEN_UNPARKED;
    break;
  case TRP_KIND(EVENT_CLOSE):
    trp_server_count_out(listening, message);
    listening->ended = true;
    listening->dealt = message->through;
    end_if_due(listening);
    return;
  case TRP_KIND(EVENT_COUNTED):
    if (message->detail_case == TRP_DETAIL(COUNT)) {
      trp_server_counted(listening, message->count);
    }
    return;
  default:
    return;
  }
  trp_listen_step_t step = trp_listen_next(listening->state, what);
  if ((step.actions & TRP_LISTEN_REFUSE) == 0) {
    enact(listening, step, message);
  }
}

/// An I/O actor that serves a connection may tell of it before the one that listens is heard.
static void await_start(listening_t *listening) {
  trp_actor_t *actor = listening->server->object.actor;
  if (listening->state == TRP_LISTEN_STARTING && trp_actor_start(actor)->io_actors > 1) {
    // If it fails, the actor is at its end, and nobody wants the connection.
    (void)trp_actor_await(actor, TRP_KIND(EVENT_LISTENING), listening->wire, -1);
  }
}

/// It is over when the last of its connections is, which other I/O actors may tell later. True: it
/// is.
static bool end_if_due(listening_t *listening) {
  if (!listening->ended || listening->dispatched < listening->dealt ||
      listening->server->sockets > 0) {
    return false;
  }
  listening->ended = false;
  trp_listen_step_t step = trp_listen_next(listening->state, TRP_LISTEN_CLOSED);
  listening->state = step.next;
  if (step.actions & TRP_LISTEN_TELL_CLOSE) {
    over(listening);
  }
  return true;
}

void trp_server_lose_socket(trp_actor_t *actor, uint64_t id) {
  server_t *server = trp_server_find(actor, id);
  if (server == NULL || --server->sockets > 0) {
    return;
  }
  trp_server_refresh(server);
  bool more = true;
  end_if_due(&server->own);
  while (more) {
    more = false;
    for (listening_t *other = server->others; other != NULL && !more; other = other->next) {
      more = end_if_due(other); // it has gone out of the list
    }
  }
}

static void enact(listening_t *listening, trp_listen_step_t step, const trp_message_t *message) {
  server_t *server = listening->server;
  listening->state = step.next;
  if (step.actions & TRP_LISTEN_TELL_LISTENING) {
    tell_listening(listening, message);
  }
  if (step.actions & TRP_LISTEN_TELL_ERROR) {
    tell_error(listening, message);
  }
  if (step.actions & TRP_LISTEN_ACCEPT) {
    accept_connection(listening, message);
  }
  if (step.actions & TRP_LISTEN_TURN_AWAY) {
    turn_away(listening, message);
  }
  if (step.actions & TRP_LISTEN_TELL_DROP) {
    tell_drop(server, message);
  }
  if (step.actions & TRP_LISTEN_TELL_PARKED) {
    tell_parked(server, message);
  }
  if (step.actions & TRP_LISTEN_TELL_UNPARKED) {
    TELL(server, on_unparked, (trp_server_handle(server), server->context));
  }
}

static void tell_listening(listening_t *listening, const trp_message_t *message) {
  server_t *server = listening->server;
  if (message->detail_case == TRP_DETAIL(LISTENING)) {
    const Troupe__Wire__Listening *detail = message->listening;
    trp_endpoint_clear(&listening->address);
    trp_endpoint_set(&listening->address, detail->address);
    if (detail->adopted && listening->address.family == TROUPE_FAMILY_UNIX) {
      trp_endpoint_clear(&listening->address);
    }
  }
  TELL(server, on_listening, (trp_server_handle(server), server->context));
}

static void tell_error(listening_t *listening, const trp_message_t *message) {
  server_t *server = listening->server;
  bool told = message->detail_case == TRP_DETAIL(ERROR) && message->error->code < 0;
  int code = told ? message->error->code : (int)TROUPE_ENOMEM;
  troupe_error_t *error = told ? trp_error_from_wire(message->error) : NULL;
  troupe_error_t spare;
  trp_listening_abandon(listening);
  server->last_error = code;
  trp_server_refresh(server);
  TELL(server, on_error,
       (trp_server_handle(server), trp_error_or(error, &spare, code), server->context));
  trp_error_free(error);
  tell_close_if_due(server);
}

static void accept_connection(listening_t *listening, const trp_message_t *message) {
  server_t *server = listening->server;
  if (message->detail_case != TRP_DETAIL(CONNECTION)) {
    return;
  }
  trp_socket_t *socket = trp_socket_accept(server->object.actor, &server->options,
                                           server->object.id, message->connection);
  if (socket == NULL) {
    turn_away(listening, message);
    return;
  }
  socket->object.made_at = server->object.made_at;
  server->sockets++;
  if (server->close_owed) {
    trp_server_refresh(server);
  }
  TELL(server, on_connection,
       (trp_server_handle(server), trp_socket_handle(socket), server->context));
  if (listening->state != TRP_LISTEN_NONE) {
    dispatched_one(listening);
  }
}

/// Nobody wants it, or there is no memory for it. Without memory to say so, too, it stays open
/// until its peer closes it or the actor ends.
static void turn_away(listening_t *listening, const trp_message_t *message) {
  if (message->detail_case == TRP_DETAIL(CONNECTION)) {
    (void)trp_actor_command(listening->server->object.actor, TRP_KIND(COMMAND_DESTROY),
                            message->connection->socket);
    dispatched_one(listening);
  }
}

/// The I/O actor deals this server so many connections that it has not dispatched, and no more.
static void dispatched_one(listening_t *listening) {
  listening->dispatched++;
  if (listening->dispatched - listening->told >= TRP_ACCEPT_STEP &&
      listening->state == TRP_LISTEN_LISTENING) {
    trp_message_t *message = NULL;
    (void)trp_listening_command(listening, TRP_KIND(COMMAND_CREDIT),
                                &message); // else with the next one
  }
  end_if_due(listening);
}

static void tell_drop(server_t *server, const trp_message_t *message) {
  if (message->detail_case != TRP_DETAIL(DROP)) {
    return;
  }
  troupe_drop_t drop = {.count = message->drop->count};
  (void)trp_address_from_wire(&drop.local, message->drop->local);
  (void)trp_address_from_wire(&drop.remote, message->drop->remote);
  TELL(server, on_drop, (trp_server_handle(server), &drop, server->context));
}

static void tell_parked(server_t *server, const trp_message_t *message) {
  bool told = message->detail_case == TRP_DETAIL(ERROR);
  troupe_error_t *error = told ? trp_error_from_wire(message->error) : NULL;
  troupe_error_t spare;
  const troupe_error_t *shown = trp_error_or(error, &spare,
                                             told ? message->error->code : (int)TROUPE_EMFILE);
  TELL(server, on_parked, (trp_server_handle(server), shown, server->context));
  trp_error_free(error);
}

static void over(listening_t *listening) {
  server_t *server = listening->server;
  // It was not asked to close when the I/O actor itself is at its end.
  server->close_owed |= server->current == listening;
  trp_listening_abandon(listening);
  tell_close_if_due(server);
}

/// on_close comes when the last connection is gone, as in Node: not while it listens again. A
/// listen that is not answered yet puts nothing off.
static void tell_close_if_due(server_t *server) {
  bool due = server->close_owed && is_idle(&server->own);
  for (const listening_t *other = server->others; due && other != NULL; other = other->next) {
    due = is_idle(other);
  }
  if (!due) {
    trp_server_refresh(server);
    return;
  }
  server->close_owed = false;
  trp_server_refresh(server);
  TELL(server, on_close, (trp_server_handle(server), server->context));
  if (server->freed && server->current == NULL && !server->close_owed) {
    trp_object_remove(&server->object);
  }
}

static bool is_idle(const listening_t *listening) {
  return listening->state == TRP_LISTEN_NONE || listening->state == TRP_LISTEN_STARTING;
}

void trp_server_later(server_t *server) {
  trp_server_answer(server);
  if (server->close_owed) {
    tell_close_if_due(server); // of a listen whose signal was aborted already
  }
}
