/// Servers: one handle, and behind it the listens that it has begun, by the table of
/// server_states.c.
///
/// A server that is closed and listens again while connections of before are open has two of them
/// at a time, which the I/O actor knows by different ids: so no answer can be taken for that of
/// another. The first listen, and each that has the place to itself, goes by the server's own id.
#include <stdlib.h>
#include <string.h>

#include "core/message/credit.h"
#include "core/net/block_list.h"
#include "core/net/server.h"
#include "core/net/socket.h"
#include "core/net/wire_address.h"
#include "core/net/wire_error.h"

typedef trp_server_t server_t;
typedef trp_listening_t listening_t;

/// A listen beside the server's own, in the actor's table under its id.
typedef struct {
  trp_object_t object;
  listening_t listening;
} other_t;

/// What an actor has once for all its servers; in its table under its own id, which no socket or
/// server has.
typedef struct {
  trp_object_t object;
  uint32_t ordinal; // of the last listen on port 0
} ordinals_t;

/// Calls a handler, if there is one.
#define TELL(server, slot, arguments)                                                              \
  do {                                                                                             \
    if ((server)->handlers->slot != NULL) {                                                        \
      trp_actor_enter((server)->object.actor);                                                     \
      (server)->handlers->slot arguments;                                                          \
      trp_actor_leave((server)->object.actor);                                                     \
    }                                                                                              \
  } while (0)

static void event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
static void other_event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
static void later(trp_object_t *object);
static void stop(trp_object_t *object, bool at_once);
static void release(trp_object_t *object);
static void describe(const trp_object_t *object, troupe_handle_t *handle);
static void release_other(trp_object_t *object);
static void release_ordinals(trp_object_t *object);
static int check(const troupe_listen_options_t *options, troupe_address_t *address);
static int begin(server_t *server, listening_t **result);
static void abandon(listening_t *listening);
static void abort_server(void *owner);
static int send_listen(listening_t *listening, const troupe_listen_options_t *options,
                       const troupe_address_t *address);
static Troupe__Wire__Listen *make_listen(const listening_t *listening, trp_out_t *out,
                                         const troupe_listen_options_t *options,
                                         const troupe_address_t *address);
static Troupe__Wire__Options *make_options(const listening_t *listening, trp_out_t *out);
static int next_ordinal(trp_actor_t *actor, uint32_t *ordinal);
static void lose_current(server_t *server);
static int send_close(listening_t *listening);
static void receive(listening_t *listening, const trp_message_t *message);
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
static void refresh(server_t *server);

static const trp_object_type_t server_type = {
    .event = event, .later = later, .stop = stop, .release = release, .describe = describe};
static const trp_object_type_t other_type = {.event = other_event, .release = release_other};
static const trp_object_type_t ordinals_type = {.release = release_ordinals};
static const troupe_server_handlers_t no_handlers;

static server_t *server_of(trp_object_t *object) {
  return (server_t *)(void *)object;
}

static other_t *other_of(listening_t *listening) {
  return (other_t *)(void *)((char *)listening - offsetof(other_t, listening));
}

troupe_server_t trp_server_handle(const server_t *server) {
  return (troupe_server_t){.id = server->object.id};
}

// ---- Making and freeing ----

int troupe_server_new(const troupe_server_options_t *options,
                      const troupe_server_handlers_t *handlers, void *context,
                      troupe_server_t *handle) {
  return troupe_server_new_at(NULL, options, handlers, context, handle);
}

int troupe_server_new_at(const char *made_at, const troupe_server_options_t *options,
                         const troupe_server_handlers_t *handlers, void *context,
                         troupe_server_t *handle) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (handle == NULL) {
    return TROUPE_EINVAL;
  }
  int error = options == NULL ? 0 : trp_server_limits_check(options);
  if (error != 0) {
    return error;
  }
  if (options != NULL &&
      (options->linger_ms > TRP_TIMEOUT_MAX_MS || !trp_deadlines_fit(&options->deadlines))) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  // All servers go to the first I/O actor: an address is shared where its listening socket is.
  uint64_t id = trp_actor_new_id(actor, 1);
  if (id == 0) {
    return TROUPE_EOVERFLOW;
  }
  server_t *server = calloc(1, sizeof *server);
  if (server == NULL) {
    return TROUPE_ENOMEM;
  }
  server->object.type = &server_type;
  server->object.id = id;
  server->object.made_at = made_at;
  server->handlers = handlers == NULL ? &no_handlers : handlers;
  server->context = context;
  if (options != NULL) {
    server->options = *options;
  }
  server->own.server = server;
  server->own.wire = id;
  if (trp_object_add(actor, &server->object) != 0) {
    free(server);
    return TROUPE_ENOMEM;
  }
  if (server->options.block_list != NULL) {
    trp_block_list_retain(server->options.block_list);
  }
  *handle = trp_server_handle(server);
  return 0;
}

int troupe_server_free(troupe_server_t handle) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  server->freed = true;
  if (server->current != NULL) {
    (void)troupe_server_close(handle); // without memory for that, the actor's end closes it
  }
  if (server->current == NULL && !server->close_owed) {
    trp_object_remove(&server->object);
  }
  return 0;
}

static void release(trp_object_t *object) {
  server_t *server = server_of(object);
  while (server->others != NULL) {
    // Only when the actor ends: these are in its table too, and must not be touched twice.
    listening_t *listening = server->others;
    server->others = listening->next;
    listening->server = NULL;
  }
  trp_server_forget_asks(server);
  if (server->options.block_list != NULL) {
    trp_block_list_release(server->options.block_list);
  }
  trp_abort_unlink(&server->signal);
  trp_endpoint_clear(&server->own.address);
  free(server);
}

static void describe(const trp_object_t *object, troupe_handle_t *handle) {
  const server_t *server = (const server_t *)(const void *)object;
  handle->kind = TROUPE_HANDLE_SERVER;
  if (server->current == NULL) {
    handle->state = server->close_owed ? "closing" : "idle";
    return;
  }
  handle->state = server->current->state == TRP_LISTEN_STARTING ? "starting" : "listening";
  trp_endpoint_get(&server->current->address, &handle->local);
}

static void release_other(trp_object_t *object) {
  other_t *other = (other_t *)(void *)object;
  server_t *server = other->listening.server;
  for (listening_t **at = server == NULL ? NULL : &server->others; at != NULL && *at != NULL;
       at = &(*at)->next) {
    if (*at == &other->listening) {
      *at = other->listening.next;
      break;
    }
  }
  trp_endpoint_clear(&other->listening.address);
  free(other);
}

static void release_ordinals(trp_object_t *object) {
  free((ordinals_t *)(void *)object);
}

int trp_server_get(troupe_server_t handle, server_t **server) {
  trp_object_t *object = NULL;
  int error = trp_object_get(handle.id, &server_type, &object);
  *server = server_of(object);
  return error;
}

// ---- Listening ----

int troupe_server_listen(troupe_server_t handle, const troupe_listen_options_t *options) {
  static const troupe_listen_options_t defaults;
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  if (server->current != NULL) {
    return TROUPE_ERR_SERVER_ALREADY_LISTEN;
  }
  options = options == NULL ? &defaults : options;
  troupe_address_t address;
  error = check(options, &address);
  if (error == 0) {
    error = trp_abort_check(options->signal);
  }
  if (error != 0) {
    return error;
  }
  if (troupe_abort_aborted(options->signal) && !options->use_fd) {
    server->last_error = 0;
    server->close_owed = true;
    refresh(server);
    trp_object_later(&server->object);
    return 0;
  }
  listening_t *listening = NULL;
  error = begin(server, &listening);
  if (error == 0) {
    error = send_listen(listening, options, &address);
    if (error != 0) {
      abandon(listening);
    }
  }
  if (error != 0) {
    return error;
  }
  listening->state = trp_listen_next(TRP_LISTEN_NONE, TRP_LISTEN_LISTEN).next;
  server->current = listening;
  server->last_error = 0;
  refresh(server);
  if (options->signal.id != 0 &&
      !trp_abort_link(&server->signal, options->signal, abort_server, server)) {
    abort_server(server); // a descriptor goes to the I/O actor all the same, which closes it
  }
  return 0;
}

static void abort_server(void *owner) {
  server_t *server = owner;
  server->abort_owed = server->current != NULL &&
                       troupe_server_close(trp_server_handle(server)) != 0;
}

int troupe_server_listen_port(troupe_server_t server, int port, const char *host, int backlog) {
  return troupe_server_listen(
      server, &(troupe_listen_options_t){.port = port, .host = host, .backlog = backlog});
}

int troupe_server_listen_path(troupe_server_t server, const char *path, int backlog) {
  if (path == NULL) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  return troupe_server_listen(server, &(troupe_listen_options_t){.path = path, .backlog = backlog});
}

int troupe_server_listen_wait(troupe_server_t handle, int timeout_ms) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  if (server->current != NULL && server->current->state == TRP_LISTEN_STARTING) {
    error = trp_actor_await(server->object.actor, TRP_KIND(EVENT_LISTENING), server->current->wire,
                            timeout_ms);
    if (error != 0) {
      return error;
    }
    // Its handler may have freed it.
    if (trp_server_get(handle, &server) != 0) {
      return TROUPE_ERR_SERVER_NOT_RUNNING;
    }
  }
  if (server->current != NULL && server->current->state == TRP_LISTEN_LISTENING) {
    return 0;
  }
  return server->last_error != 0 ? server->last_error : (int)TROUPE_ERR_SERVER_NOT_RUNNING;
}

/// What is wrong with the options; and the address, if one is given as a value.
static int check(const troupe_listen_options_t *options, troupe_address_t *address) {
  bool is_unix = options->path != NULL ||
                 (options->address != NULL && options->address->family == TROUPE_FAMILY_UNIX);
  *address = (troupe_address_t){0};
  if (options->reuse_port && (options->share_with.id != 0 || options->use_fd || is_unix)) {
    return TROUPE_ERR_INVALID_ARG_VALUE; // it would have no effect
  }
  if (options->share_with.id != 0) {
    return 0;
  }
  if (options->use_fd) {
    return options->fd < 0 ? (int)TROUPE_ERR_INVALID_ARG_VALUE : 0;
  }
  if (options->path != NULL) {
    size_t length = options->path_length > 0 ? options->path_length : strlen(options->path);
    return troupe_address_path(address, options->path, length);
  }
  if (options->address != NULL) {
    uint8_t family = options->address->family;
    *address = *options->address;
    bool known = family == TROUPE_FAMILY_IPV4 || family == TROUPE_FAMILY_IPV6 ||
                 (family == TROUPE_FAMILY_UNIX && address->path_length > 0);
    return known ? 0 : (int)TROUPE_ERR_INVALID_ARG_VALUE;
  }
  if (options->port < 0 || options->port > UINT16_MAX) {
    return TROUPE_ERR_SOCKET_BAD_PORT;
  }
  size_t length = options->host == NULL ? 0 : strlen(options->host);
  if (length > TRP_HOST_MAX) {
    return TROUPE_ENAMETOOLONG;
  }
  if (length > 0) {
    (void)troupe_address_parse(address, options->host, length, (uint16_t)options->port);
  }
  return 0;
}

/// The server's own, if the I/O actor knows it by nothing now; else another.
static int begin(server_t *server, listening_t **result) {
  if (server->own.state == TRP_LISTEN_NONE) {
    server->own.ended = false;
    *result = &server->own;
    return 0;
  }
  trp_actor_t *actor = server->object.actor;
  uint64_t id = trp_actor_new_id(actor, 1);
  if (id == 0) {
    return TROUPE_EOVERFLOW;
  }
  other_t *other = calloc(1, sizeof *other);
  if (other == NULL) {
    return TROUPE_ENOMEM;
  }
  other->object.type = &other_type;
  other->object.id = id;
  other->listening = (listening_t){.server = server, .wire = id, .next = server->others};
  if (trp_object_add(actor, &other->object) != 0) {
    free(other);
    return TROUPE_ENOMEM;
  }
  server->others = &other->listening;
  *result = &other->listening;
  return 0;
}

/// It is over, or has not begun. Another one than the server's own goes.
static void abandon(listening_t *listening) {
  listening->state = TRP_LISTEN_NONE;
  trp_listening_drop_list(listening);
  trp_endpoint_clear(&listening->address);
  if (listening->server->current == listening) {
    lose_current(listening->server);
  }
  if (listening != &listening->server->own) {
    trp_server_skip_answers(listening);
    trp_object_remove(&other_of(listening)->object);
  }
}

static int send_listen(listening_t *listening, const troupe_listen_options_t *options,
                       const troupe_address_t *address) {
  trp_message_t *message = NULL;
  int error = trp_listening_send_list(listening);
  if (error == 0) {
    error = trp_listening_command(listening, TRP_KIND(COMMAND_LISTEN), &message);
  }
  if (error != 0) {
    return error;
  }
  server_t *server = listening->server;
  trp_out_t *out = trp_actor_out(server->object.actor, listening->wire);
  Troupe__Wire__Listen *detail = make_listen(listening, out, options, address);
  if (detail == NULL) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  bool picks = detail->port == 0 && detail->path.len == 0 && !detail->use_fd &&
               detail->share_with == 0;
  if (picks && next_ordinal(server->object.actor, &detail->ordinal) != 0) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  message->detail_case = TRP_DETAIL(LISTEN);
  message->listen = detail;
  return 0;
}

static Troupe__Wire__Listen *make_listen(const listening_t *listening, trp_out_t *out,
                                         const troupe_listen_options_t *options,
                                         const troupe_address_t *address) {
  const server_t *server = listening->server;
  Troupe__Wire__Listen *listen = trp_out_take(out, sizeof *listen);
  if (listen == NULL) {
    return NULL;
  }
  *listen = (Troupe__Wire__Listen)TROUPE__WIRE__LISTEN__INIT;
  bool by_name = options->path == NULL && options->address == NULL;
  listen->host = trp_out_text(out, by_name ? options->host : NULL);
  listen->options = make_options(listening, out);
  listen->made_at = trp_object_made_at(&server->object, out);
  if (listen->host == NULL || listen->options == NULL || listen->made_at == NULL) {
    return NULL;
  }
  if (address->family != TROUPE_FAMILY_NONE) {
    Troupe__Wire__Address *wire = trp_address_to_wire(out, address);
    if (wire == NULL) {
      return NULL;
    }
    if (address->family == TROUPE_FAMILY_UNIX) {
      listen->path = wire->bytes;
    } else {
      listen->has_address = true;
      listen->address = wire;
    }
  }
  listen->port = options->address != NULL ? address->port : (uint32_t)options->port;
  listen->backlog = options->backlog < 0 ? 0 : options->backlog;
  listen->exclusive = options->exclusive;
  listen->ipv6_only = options->ipv6_only;
  listen->readable_all = options->readable_all;
  listen->writable_all = options->writable_all;
  listen->reuse_port = options->reuse_port;
  listen->standby = options->standby;
  listen->policy = (Troupe__Wire__Policy)options->policy;
  listen->use_fd = options->use_fd && options->share_with.id == 0;
  listen->fd = options->fd;
  listen->share_with = options->share_with.id;
  // One of this actor's own may have listened again under another id.
  trp_object_t *object = trp_object_find(server->object.actor, options->share_with.id,
                                         &server_type);
  if (object != NULL && server_of(object)->current != NULL) {
    listen->share_with = server_of(object)->current->wire;
  }
  return listen;
}

static Troupe__Wire__Choice choice_of(troupe_choice_t choice) {
  return choice == TROUPE_DEFAULT ? TROUPE__WIRE__CHOICE__CHOICE_UNSET
         : choice == TROUPE_ON    ? TROUPE__WIRE__CHOICE__CHOICE_ON
                                  : TROUPE__WIRE__CHOICE__CHOICE_OFF;
}

static Troupe__Wire__Options *make_options(const listening_t *listening, trp_out_t *out) {
  Troupe__Wire__Options *options = trp_out_take(out, sizeof *options);
  if (options == NULL) {
    return NULL;
  }
  const troupe_server_options_t *from = &listening->server->options;
  *options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  options->no_delay = choice_of(from->no_delay);
  options->keep_alive = choice_of(from->keep_alive);
  options->keep_alive_initial_delay_s = from->keep_alive_initial_delay_ms / 1000;
  options->allow_half_open = choice_of(from->allow_half_open ? TROUPE_ON : TROUPE_OFF);
  options->pause = from->pause_on_connect;
  trp_listening_put_limits(listening, options);
  if (trp_deadlines_any(&from->deadlines)) {
    trp_deadlines_put(&from->deadlines, options);
  }
  if (from->linger_ms > 0) {
    trp_linger_put(from->linger_ms, options);
  }
  return options;
}

/// Copies of one spawn pair their listens on port 0 by this: the first of each with the first of
/// the others, and so on.
static int next_ordinal(trp_actor_t *actor, uint32_t *ordinal) {
  uint64_t id = trp_actor_start(actor)->id;
  trp_object_t *object = trp_object_find(actor, id, &ordinals_type);
  if (object == NULL) {
    ordinals_t *ordinals = calloc(1, sizeof *ordinals);
    if (ordinals == NULL) {
      return TROUPE_ENOMEM;
    }
    ordinals->object.type = &ordinals_type;
    ordinals->object.id = id;
    if (trp_object_add(actor, &ordinals->object) != 0) {
      free(ordinals);
      return TROUPE_ENOMEM;
    }
    object = &ordinals->object;
  }
  *ordinal = ++((ordinals_t *)(void *)object)->ordinal;
  return 0;
}

// ---- Closing ----

int troupe_server_close(troupe_server_t handle) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  listening_t *listening = server->current;
  if (listening == NULL) {
    return TROUPE_ERR_SERVER_NOT_RUNNING;
  }
  error = send_close(listening);
  if (error != 0) {
    return error;
  }
  listening->state = trp_listen_next(listening->state, TRP_LISTEN_CLOSE).next;
  trp_listening_drop_list(listening);
  lose_current(server);
  server->close_owed = true;
  refresh(server);
  return 0;
}

/// It does not listen any more: no signal closes what listens later.
static void lose_current(server_t *server) {
  server->current = NULL;
  server->abort_owed = false;
  trp_abort_unlink(&server->signal);
}

static int send_close(listening_t *listening) {
  trp_message_t *message = NULL;
  return trp_listening_command(listening, TRP_KIND(COMMAND_CLOSE), &message);
}

int trp_listening_command(listening_t *listening, Troupe__Wire__Kind kind,
                          trp_message_t **message) {
  *message = trp_actor_command(listening->server->object.actor, kind, listening->wire);
  if (*message == NULL) {
    return TROUPE_ENOMEM;
  }
  (*message)->through = listening->told = listening->dispatched;
  return 0;
}

static void stop(trp_object_t *object, bool at_once) {
  server_t *server = server_of(object);
  if (at_once) {
    server->grace_over = true;
    refresh(server);
  }
  if (server->current != NULL) {
    (void)troupe_server_close(trp_server_handle(server)); // without memory, the actor's end does it
  }
}

void trp_server_given_away(trp_actor_t *actor, uint64_t id) {
  trp_object_t *object = trp_object_find(actor, id, &server_type);
  if (object != NULL) {
    server_of(object)->given_away = true;
    refresh(server_of(object));
  }
}

/// It holds the actor while something is still to come of it; but where it only waits for its
/// connections, that is for them to do, as in Node: one that holds nothing may stay open. A stopping
/// actor waits for what it closes, but without end not for connections that are another actor's.
static void refresh(server_t *server) {
  bool closes = server->close_owed && !server->object.dead;
  bool active = server->current != NULL || (closes && (server->sockets == 0 || server->given_away));
  trp_object_hold(&server->object, active && !server->unref && !server->object.dead);
  trp_object_drain(&server->object, closes && !(server->grace_over && server->given_away));
}

// ---- What comes ----

static void event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  (void)in;
  receive(&server_of(object)->own, message);
}

static void other_event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  (void)in;
  listening_t *listening = &((other_t *)(void *)object)->listening;
  if (listening->server != NULL) {
    receive(listening, message);
  }
}

static void receive(listening_t *listening, const trp_message_t *message) {
  if (listening->server->abort_owed) {
    abort_server(listening->server);
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
  server_t *server = server_of(trp_object_find(actor, id, &server_type));
  if (server == NULL || --server->sockets > 0) {
    return;
  }
  refresh(server);
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
  abandon(listening);
  server->last_error = code;
  refresh(server);
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
    refresh(server);
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
  abandon(listening);
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
    refresh(server);
    return;
  }
  server->close_owed = false;
  refresh(server);
  TELL(server, on_close, (trp_server_handle(server), server->context));
  if (server->freed && server->current == NULL && !server->close_owed) {
    trp_object_remove(&server->object);
  }
}

static bool is_idle(const listening_t *listening) {
  return listening->state == TRP_LISTEN_NONE || listening->state == TRP_LISTEN_STARTING;
}

static void later(trp_object_t *object) {
  server_t *server = server_of(object);
  trp_server_answer(server);
  if (server->close_owed) {
    tell_close_if_due(server); // of a listen whose signal was aborted already
  }
}

// ---- What can be asked ----

int troupe_server_address(troupe_server_t handle, troupe_address_t *address) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  *address = (troupe_address_t){0};
  if (error != 0) {
    return error;
  }
  const listening_t *current = server->current;
  if (current == NULL || current->address.family == TROUPE_FAMILY_NONE) {
    return TROUPE_ENOTCONN;
  }
  trp_endpoint_get(&current->address, address);
  return 0;
}

bool troupe_server_listening(troupe_server_t handle) {
  server_t *server = NULL;
  return trp_server_get(handle, &server) == 0 && server->current != NULL &&
         server->current->state == TRP_LISTEN_LISTENING;
}

int troupe_server_ref(troupe_server_t handle) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error == 0) {
    server->unref = false;
    refresh(server);
  }
  return error;
}

int troupe_server_unref(troupe_server_t handle) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error == 0) {
    server->unref = true;
    refresh(server);
  }
  return error;
}

void *troupe_server_context(troupe_server_t handle) {
  server_t *server = NULL;
  return trp_server_get(handle, &server) == 0 ? server->context : NULL;
}
