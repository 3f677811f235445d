/// Servers begin to listen: what is asked for is checked, and told to the I/O actor.
#include <stdlib.h>
#include <string.h>

#include "core/net/server.h"
#include "core/net/socket.h"
#include "core/net/wire_address.h"

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

static void other_event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
static void release_other(trp_object_t *object);
static void release_ordinals(trp_object_t *object);
static int check(const troupe_listen_options_t *options, troupe_address_t *address);
static int begin(server_t *server, listening_t **result);
static int send_listen(listening_t *listening, const troupe_listen_options_t *options,
                       const troupe_address_t *address);
static Troupe__Wire__Listen *make_listen(const listening_t *listening, trp_out_t *out,
                                         const troupe_listen_options_t *options,
                                         const troupe_address_t *address);
static Troupe__Wire__Options *make_options(const listening_t *listening, trp_out_t *out);
static int next_ordinal(trp_actor_t *actor, uint32_t *ordinal);

static const trp_object_type_t other_type = {.event = other_event, .release = release_other};
static const trp_object_type_t ordinals_type = {.release = release_ordinals};

static other_t *other_of(listening_t *listening) {
  return (other_t *)(void *)((char *)listening - offsetof(other_t, listening));
}

static void other_event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  (void)in;
  listening_t *listening = &((other_t *)(void *)object)->listening;
  if (listening->server != NULL) {
    trp_listening_receive(listening, message);
  }
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

int troupe_server_listen(troupe_server_t handle, const troupe_listen_options_t *options) {
  static const troupe_listen_options_t defaults;
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  if (server->freed) {
    return TROUPE_ESTALE;
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
    trp_server_refresh(server);
    trp_object_later(&server->object);
    return 0;
  }
  listening_t *listening = NULL;
  error = begin(server, &listening);
  if (error == 0) {
    error = send_listen(listening, options, &address);
    if (error != 0) {
      trp_listening_abandon(listening);
    }
  }
  if (error != 0) {
    return error;
  }
  listening->state = trp_listen_next(TRP_LISTEN_NONE, TRP_LISTEN_LISTEN).next;
  server->current = listening;
  server->last_error = 0;
  trp_server_refresh(server);
  if (options->signal.id != 0 &&
      !trp_abort_link(&server->signal, options->signal, trp_server_abort, server)) {
    trp_server_abort(server); // a descriptor goes to the I/O actor all the same, which closes it
  }
  return 0;
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
  unsigned policy = (unsigned)options->policy;
  if (policy > TROUPE_POLICY_HASH) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
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
    return trp_address_take(address, options->address);
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

void trp_listening_abandon(listening_t *listening) {
  listening->state = TRP_LISTEN_NONE;
  trp_listening_drop_list(listening);
  trp_endpoint_clear(&listening->address);
  if (listening->server->current == listening) {
    trp_server_lose_current(listening->server);
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
  const server_t *other = trp_server_find(server->object.actor, options->share_with.id);
  if (other != NULL && other->current != NULL) {
    listen->share_with = other->current->wire;
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
  options->reset_ends = from->reset_ends;
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
