/// Reading: giving bytes out, keeping those that nobody takes yet, and telling the I/O actor what
/// was consumed.
#include <stdlib.h>
#include <string.h>

#include "core/message/credit.h"
#include "core/net/socket.h"

static bool takes(const trp_socket_t *socket);
static bool give(trp_socket_t *socket, const troupe_chunk_t *chunk, uint32_t *done);
static bool give_into_buffer(trp_socket_t *socket, const troupe_chunk_t *chunk, uint32_t *done);
static bool next_buffer(trp_socket_t *socket, trp_extra_t *extra);
static void consume(trp_socket_t *socket, uint64_t cost);

void trp_socket_data(trp_socket_t *socket, const trp_in_t *in, const trp_message_t *message) {
  if (!trp_socket_receives((trp_socket_state_t)socket->state)) {
    return; // destroyed while it was under way
  }
  troupe_chunk_t chunk;
  trp_chunk_borrow(&chunk, trp_in_frame(in, message), message->offset, message->length);
  socket->bytes_read += chunk.length;
  uint32_t done = 0;
  bool all = false;
  if (socket->unread == NULL && takes(socket)) {
    all = give(socket, &chunk, &done);
    if (!trp_socket_receives((trp_socket_state_t)socket->state)) {
      return;
    }
  }
  if (all) {
    consume(socket, trp_data_cost(message->length));
  } else if (!trp_socket_keep(socket, &chunk, done)) {
    trp_socket_fail(socket, TROUPE_ENOMEM, NULL);
  }
}

void trp_socket_read_on(trp_socket_t *socket) {
  while (socket->unread != NULL && takes(socket)) {
    trp_unread_t *unread = socket->unread;
    // While its bytes are given out it is in nobody's reach: a callback may destroy the socket and
    // so drop the rest.
    socket->unread = unread->next;
    bool all = give(socket, unread->chunk, &unread->done);
    bool receives = trp_socket_receives((trp_socket_state_t)socket->state);
    if (!all && receives) {
      unread->next = socket->unread;
      socket->unread = unread;
      break;
    }
    uint32_t cost = unread->cost;
    troupe_chunk_free(&unread->chunk);
    free(unread);
    if (!receives) {
      return;
    }
    consume(socket, cost);
  }
  if (socket->giving) {
    return;
  }
  if (socket->unread == NULL && socket->end_waits &&
      trp_socket_give_last_text(socket, takes(socket))) {
    socket->end_waits = false;
    (void)trp_socket_step(socket, TRP_SOCKET_PEER_END);
  }
  if (socket->unread == NULL && !socket->end_waits && socket->close_waits) {
    socket->close_waits = false;
    (void)trp_socket_step(socket, TRP_SOCKET_CLOSE);
  }
}

void trp_socket_forget_unread(trp_socket_t *socket) {
  while (socket->unread != NULL) {
    trp_unread_t *unread = socket->unread;
    socket->unread = unread->next;
    troupe_chunk_free(&unread->chunk);
    free(unread);
  }
  socket->end_waits = socket->close_waits = false;
}

/// Whether somebody wants bytes now.
static bool takes(const trp_socket_t *socket) {
  bool into_buffer = socket->extra != NULL && socket->extra->onread != NULL;
  return !socket->paused && !socket->stopped && !socket->giving &&
         (into_buffer || socket->handlers->on_data != NULL) &&
         trp_socket_receives((trp_socket_state_t)socket->state);
}

/// Gives out what is left of the chunk. False: not all of it, since the socket was paused or
/// destroyed in between.
static bool give(trp_socket_t *socket, const troupe_chunk_t *chunk, uint32_t *done) {
  if (socket->extra != NULL && socket->extra->onread != NULL) {
    return give_into_buffer(socket, chunk, done);
  }
  *done = chunk->length;
  if (trp_socket_is_text(socket)) {
    trp_socket_give_text(socket, chunk->bytes, chunk->length);
    return true;
  }
  TRP_SOCKET_TELL(socket, on_data, (trp_socket_handle(socket), chunk, socket->context));
  return true;
}

static bool give_into_buffer(trp_socket_t *socket, const troupe_chunk_t *chunk, uint32_t *done) {
  trp_extra_t *extra = socket->extra;
  const troupe_onread_t *onread = extra->onread;
  while (*done < chunk->length) {
    if (extra->onread_buffer == NULL && !next_buffer(socket, extra)) {
      trp_socket_stop_reading(socket);
    }
    if (!takes(socket)) {
      return false;
    }
    void *buffer = extra->onread_buffer;
    size_t length = chunk->length - *done;
    length = length > extra->onread_size ? extra->onread_size : length;
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): without a buffer it was stopped
    memcpy(buffer, chunk->bytes + *done, length);
    *done += (uint32_t)length;
    extra->onread_buffer = NULL;
    trp_actor_enter(socket->object.actor);
    bool goes_on = onread->callback(trp_socket_handle(socket), length, buffer, socket->context);
    trp_actor_leave(socket->object.actor);
    trp_socket_ask_for_buffer(socket);
    if (!goes_on) {
      trp_socket_stop_reading(socket);
    }
    if (!takes(socket)) {
      break;
    }
  }
  return *done == chunk->length;
}

void trp_socket_ask_for_buffer(trp_socket_t *socket) {
  trp_extra_t *extra = socket->extra;
  if (extra != NULL && extra->onread != NULL && extra->onread_buffer == NULL &&
      !trp_socket_is_destroyed((trp_socket_state_t)socket->state)) {
    (void)next_buffer(socket, extra);
  }
}

static bool next_buffer(trp_socket_t *socket, trp_extra_t *extra) {
  const troupe_onread_t *onread = extra->onread;
  if (onread->buffer != NULL) {
    extra->onread_buffer = onread->buffer;
    extra->onread_size = onread->size;
    return true;
  }
  extra->onread_size = 0;
  trp_actor_enter(socket->object.actor);
  extra->onread_buffer = onread->next_buffer(trp_socket_handle(socket), &extra->onread_size,
                                             socket->context);
  trp_actor_leave(socket->object.actor);
  if (extra->onread_size == 0) {
    extra->onread_buffer = NULL;
  }
  return extra->onread_buffer != NULL;
}

bool trp_socket_keep(trp_socket_t *socket, const troupe_chunk_t *chunk, uint32_t done) {
  trp_unread_t *unread = malloc(sizeof *unread);
  troupe_chunk_t *kept = unread == NULL ? NULL : trp_chunk_keep(chunk);
  if (kept == NULL) {
    free(unread);
    return false;
  }
  *unread = (trp_unread_t){
      .chunk = kept, .done = done, .cost = (uint32_t)trp_data_cost(chunk->length)};
  if (socket->unread == NULL) {
    socket->unread = unread;
  } else {
    socket->unread_last->next = unread;
  }
  socket->unread_last = unread;
  return true;
}

/// Rides on the next command, if one comes soon; alone when much has gathered. Depends on the
/// events and their order only, so that a replay does the same.
static void consume(trp_socket_t *socket, uint64_t cost) {
  socket->consumed += cost;
  if (socket->giving) {
    trp_socket_give_consumed(socket);
  }
  if (socket->consumed - socket->told < TRP_CREDIT_STEP ||
      !trp_socket_is_known((trp_socket_state_t)socket->state) || socket->end_waits) {
    return;
  }
  if (trp_socket_command(socket, TRP_KIND(COMMAND_CREDIT)) != NULL) {
    socket->told = socket->consumed; // else with the next one
  }
}
