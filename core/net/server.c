/// Servers: one handle, and behind it the listens that it has begun, by the table of
/// server_states.c.
///
/// A server that is closed and listens again while connections of before are open has two of them
/// at a time, which the I/O actor knows by different ids: so no answer can be taken for that of
/// another. The first listen, and each that has the place to itself, goes by the server's own id.
#include <stdlib.h>

#include "core/net/block_list.h"
#include "core/net/server.h"
#include "core/net/socket.h"

typedef trp_server_t server_t;
typedef trp_listening_t listening_t;

static void event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
static void later(trp_object_t *object);
static void stop(trp_object_t *object, bool at_once);
static void release(trp_object_t *object);
static void describe(const trp_object_t *object, troupe_handle_t *handle);
static int send_close(listening_t *listening);

static const trp_object_type_t server_type = {
    .event = event, .later = later, .stop = stop, .release = release, .describe = describe};
static const troupe_server_handlers_t no_handlers;

static server_t *server_of(trp_object_t *object) {
  return (server_t *)(void *)object;
}

static void event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  (void)in;
  trp_listening_receive(&server_of(object)->own, message);
}

static void later(trp_object_t *object) {
  trp_server_later(server_of(object));
}

troupe_server_t trp_server_handle(const server_t *server) {
  return (troupe_server_t){.id = server->object.id};
}

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

int trp_server_get(troupe_server_t handle, server_t **server) {
  trp_object_t *object = NULL;
  int error = trp_object_get(handle.id, &server_type, &object);
  *server = server_of(object);
  return error;
}

server_t *trp_server_find(trp_actor_t *actor, uint64_t id) {
  return server_of(trp_object_find(actor, id, &server_type));
}

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
  trp_server_lose_current(server);
  server->close_owed = true;
  trp_server_refresh(server);
  return 0;
}

void trp_server_abort(void *owner) {
  server_t *server = owner;
  server->abort_owed = server->current != NULL &&
                       troupe_server_close(trp_server_handle(server)) != 0;
}

void trp_server_lose_current(server_t *server) {
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
    trp_server_refresh(server);
  }
  if (server->current != NULL) {
    (void)troupe_server_close(trp_server_handle(server)); // without memory, the actor's end does it
  }
}

void trp_server_given_away(trp_actor_t *actor, uint64_t id) {
  server_t *server = trp_server_find(actor, id);
  if (server != NULL) {
    server->given_away = true;
    trp_server_refresh(server);
  }
}

void trp_server_refresh(server_t *server) {
  bool closes = server->close_owed && !server->object.dead;
  bool active = server->current != NULL || (closes && (server->sockets == 0 || server->given_away));
  trp_object_hold(&server->object, active && !server->unref && !server->object.dead);
  trp_object_drain(&server->object, closes && !(server->grace_over && server->given_away));
}

int troupe_server_address(troupe_server_t handle, troupe_address_t *address) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (address == NULL) {
    return TROUPE_EINVAL;
  }
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
    trp_server_refresh(server);
  }
  return error;
}

int troupe_server_unref(troupe_server_t handle) {
  server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error == 0) {
    server->unref = true;
    trp_server_refresh(server);
  }
  return error;
}

void *troupe_server_context(troupe_server_t handle) {
  server_t *server = NULL;
  return trp_server_get(handle, &server) == 0 ? server->context : NULL;
}
