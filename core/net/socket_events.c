/// What the I/O actor tells of a socket.
#include "core/net/socket.h"

#include <stdlib.h>

#include "core/net/server.h"
#include "core/net/wire_address.h"
#include "core/net/wire_error.h"

static void connected(trp_socket_t *socket, const trp_message_t *message);
static void failed(trp_socket_t *socket, const trp_message_t *message);
static void closed(trp_socket_t *socket, const trp_message_t *message);
static void looked_up(trp_socket_t *socket, const trp_message_t *message);
static void attempted(trp_socket_t *socket, const trp_message_t *message);
static void remember_attempt(trp_socket_t *socket, const troupe_address_t *address);

void trp_socket_receive(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  trp_socket_t *socket = (trp_socket_t *)(void *)object;
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (message->epoch != socket->epoch) {
    return;
  }
  if (socket->owes_destroy && message->kind != TRP_KIND(EVENT_CLOSE)) {
    socket->owes_destroy = trp_socket_send_bare(socket, TRP_KIND(COMMAND_DESTROY),
                                                TRP_FLAG(NONE)) != 0;
  }
  if (state >= TRP_SOCKET_OPEN && state <= TRP_SOCKET_DONE) {
    trp_socket_acknowledge(socket, message->through);
  }
  uint64_t server = socket->server;
  switch (message->kind) {
  case TRP_KIND(EVENT_DATA):
    trp_socket_data(socket, in, message);
    break;
  case TRP_KIND(EVENT_END):
    socket->end_waits = true;
    if (socket->unread == NULL) {
      trp_socket_read_on(socket);
    }
    break;
  case TRP_KIND(EVENT_FINISH):
    (void)trp_socket_step(socket, TRP_SOCKET_FINISH);
    break;
  case TRP_KIND(EVENT_CONNECT):
    connected(socket, message);
    break;
  case TRP_KIND(EVENT_ERROR):
    failed(socket, message);
    break;
  case TRP_KIND(EVENT_CLOSE):
    closed(socket, message);
    break;
  case TRP_KIND(EVENT_FROZEN):
  case TRP_KIND(EVENT_GIVEN):
  case TRP_KIND(EVENT_GIVE_FAILED):
    trp_socket_give_event(socket, message);
    break;
  case TRP_KIND(EVENT_TIMEOUT):
    if (socket->giving) {
      socket->timeout_waits = true;
    } else if (!trp_socket_is_destroyed((trp_socket_state_t)socket->state)) {
      TRP_SOCKET_TELL(socket, on_timeout, (trp_socket_handle(socket), socket->context));
    }
    break;
  case TRP_KIND(EVENT_LOOKUP):
    looked_up(socket, message);
    break;
  case TRP_KIND(EVENT_CONNECTION_ATTEMPT):
  case TRP_KIND(EVENT_CONNECTION_ATTEMPT_FAILED):
  case TRP_KIND(EVENT_CONNECTION_ATTEMPT_TIMEOUT):
    attempted(socket, message);
    break;
  default: // EVENT_WRITTEN has told all by its `through`
    break;
  }
  bool last = message->kind == TRP_KIND(EVENT_CLOSE) || message->kind == TRP_KIND(EVENT_GIVEN);
  if (last && server != 0) {
    trp_server_lose_socket(object->actor, server);
  }
}

static void connected(trp_socket_t *socket, const trp_message_t *message) {
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_is_destroyed(state)) {
    return;
  }
  if (message->detail_case == TRP_DETAIL(CONNECTED)) {
    trp_endpoint_clear(&socket->local);
    trp_endpoint_clear(&socket->remote);
    trp_endpoint_set(&socket->local, message->connected->local);
    trp_endpoint_set(&socket->remote, message->connected->remote);
    trp_socket_take_credentials(socket, message->connected->credentials);
    socket->is_unix = !trp_endpoint_is_ip(&socket->local);
  }
  if (trp_socket_connects(state)) {
    socket->connected = true;
    socket->unheard = socket->paused;
    if (socket->unheard) {
      trp_socket_ask_written(socket);
    }
    (void)trp_socket_step(socket, TRP_SOCKET_CONNECTED);
  }
}

void trp_socket_take_credentials(trp_socket_t *socket, const Troupe__Wire__Credentials *wire) {
  socket->introduced = true;
  socket->has_peer = wire != NULL;
  if (wire != NULL) {
    socket->peer.pid = wire->pid;
    socket->peer.uid = wire->uid;
    socket->peer.gid = wire->gid;
  }
}

static void failed(trp_socket_t *socket, const trp_message_t *message) {
  if (trp_socket_is_destroyed((trp_socket_state_t)socket->state)) {
    return;
  }
  bool told = message->detail_case == TRP_DETAIL(ERROR) && message->error->code < 0;
  socket->failure = told ? message->error->code : TROUPE_EIO;
  socket->error = told ? trp_error_from_wire(message->error) : NULL;
  (void)trp_socket_step(socket, TRP_SOCKET_FAIL);
}

static void closed(trp_socket_t *socket, const trp_message_t *message) {
  bool had_error = (message->flags & TRP_FLAG(HAD_ERROR)) != 0;
  socket->owes_destroy = false;
  if (trp_socket_is_destroyed((trp_socket_state_t)socket->state)) {
    // Its own view of how it ended counts.
  } else if ((socket->unread != NULL || socket->end_waits) && !had_error) {
    socket->close_waits = true;
    trp_socket_give_over(socket);
    return;
  } else {
    socket->had_error = had_error;
  }
  (void)trp_socket_step(socket, TRP_SOCKET_CLOSE);
}

static void looked_up(trp_socket_t *socket, const trp_message_t *message) {
  if (message->detail_case != TRP_DETAIL(LOOKUP) ||
      !trp_socket_connects((trp_socket_state_t)socket->state)) {
    return;
  }
  const Troupe__Wire__Lookup *detail = message->lookup;
  troupe_address_t address;
  troupe_error_t *error = trp_error_from_wire(detail->error);
  troupe_error_t spare;
  troupe_lookup_t lookup = {.host = detail->host};
  if (detail->error != NULL) {
    lookup.error = trp_error_or(error, &spare, detail->error->code);
  } else if (trp_address_from_wire(&address, detail->address)) {
    lookup.address = &address;
    lookup.family = address.family;
  }
  if (lookup.error != NULL || lookup.address != NULL) {
    TRP_SOCKET_TELL(socket, on_lookup, (trp_socket_handle(socket), &lookup, socket->context));
  }
  trp_error_free(error);
}

static void attempted(trp_socket_t *socket, const trp_message_t *message) {
  troupe_address_t address;
  // Of an attempt that was given up because the socket was destroyed Node tells, too.
  bool cancelled = socket->state == TRP_SOCKET_DESTROYED && socket->attempts > 0 &&
                   message->kind == TRP_KIND(EVENT_CONNECTION_ATTEMPT_FAILED);
  if (message->detail_case != TRP_DETAIL(ATTEMPT) ||
      !(cancelled || trp_socket_connects((trp_socket_state_t)socket->state)) ||
      !trp_address_from_wire(&address, message->attempt->address)) {
    return;
  }
  troupe_socket_t handle = trp_socket_handle(socket);
  if (message->kind == TRP_KIND(EVENT_CONNECTION_ATTEMPT)) {
    socket->attempts++;
    if (message->attempt->listed) {
      remember_attempt(socket, &address);
    }
    TRP_SOCKET_TELL(socket, on_connection_attempt, (handle, &address, socket->context));
    return;
  }
  if (socket->attempts > 0) {
    socket->attempts--;
  }
  if (message->kind == TRP_KIND(EVENT_CONNECTION_ATTEMPT_TIMEOUT)) {
    TRP_SOCKET_TELL(socket, on_connection_attempt_timeout, (handle, &address, socket->context));
  } else {
    troupe_error_t *error = trp_error_from_wire(message->attempt->error);
    troupe_error_t spare;
    int code = message->attempt->error == NULL ? (int)TROUPE_EIO : message->attempt->error->code;
    TRP_SOCKET_TELL(socket, on_connection_attempt_failed,
                    (handle, &address, trp_error_or(error, &spare, code), socket->context));
    trp_error_free(error);
  }
}

/// Informs only; without memory the list is short of one.
static void remember_attempt(trp_socket_t *socket, const troupe_address_t *address) {
  trp_extra_t *extra = trp_socket_extra(socket);
  troupe_address_t *grown = extra == NULL ? NULL
                                          : realloc(extra->attempted,
                                                    (extra->attempted_count + 1) * sizeof *grown);
  if (grown != NULL) {
    grown[extra->attempted_count++] = *address;
    extra->attempted = grown;
  }
}
