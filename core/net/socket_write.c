/// Writing: what is queued, how much of it the kernel has, and who waits for it.
#include <stdlib.h>

#include "core/net/socket.h"

static int begin(troupe_socket_t handle, const void *bytes, size_t length, trp_socket_t **result);
static int write_early(trp_socket_t *socket, troupe_chunk_t *chunk, uint32_t length,
                       troupe_written_fn on_written, void *context);
static int finish(trp_socket_t *socket, trp_message_t *message, uint32_t length,
                  troupe_written_fn on_written, void *context);
static int count_write(trp_socket_t *socket, uint32_t length, troupe_written_fn on_written,
                       void *context, bool *notify);
static int reserve_waiter(trp_socket_t *socket);
static void add_waiter(trp_socket_t *socket, trp_waiter_t waiter);
static trp_waiter_t *first_waiter(trp_socket_t *socket);
static void call_first(trp_socket_t *socket, int error);

int troupe_socket_write(troupe_socket_t handle, const void *bytes, size_t length,
                        troupe_written_fn on_written, void *context) {
  trp_socket_t *socket = NULL;
  int error = begin(handle, bytes, length, &socket);
  if (error != 0 || (on_written != NULL && (error = reserve_waiter(socket)) != 0)) {
    return error;
  }
  if (trp_socket_looks_up((trp_socket_state_t)socket->state)) {
    troupe_chunk_t *chunk = NULL;
    error = troupe_chunk_new(&chunk, bytes, length);
    return error != 0 ? error : write_early(socket, chunk, (uint32_t)length, on_written, context);
  }
  trp_message_t *message = trp_socket_command(socket, TRP_KIND(COMMAND_WRITE));
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  if (length > 0 && trp_out_copy(out, message, bytes, length) != 0) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  return finish(socket, message, (uint32_t)length, on_written, context);
}

int troupe_socket_write_chunk(troupe_socket_t handle, const troupe_chunk_t *chunk,
                              troupe_written_fn on_written, void *context) {
  if (chunk == NULL) {
    return TROUPE_EINVAL;
  }
  trp_socket_t *socket = NULL;
  int error = begin(handle, chunk->bytes, chunk->length, &socket);
  if (error != 0 || (on_written != NULL && (error = reserve_waiter(socket)) != 0)) {
    return error;
  }
  if (trp_socket_looks_up((trp_socket_state_t)socket->state)) {
    troupe_chunk_t *kept = trp_chunk_keep(chunk);
    return kept == NULL ? (int)TROUPE_ENOMEM
                        : write_early(socket, kept, chunk->length, on_written, context);
  }
  trp_message_t *message = trp_socket_command(socket, TRP_KIND(COMMAND_WRITE));
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  if (trp_chunk_attach(chunk, out, message) != 0) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  return finish(socket, message, chunk->length, on_written, context);
}

/// What can be said against a write before anything is made for it.
static int begin(troupe_socket_t handle, const void *bytes, size_t length, trp_socket_t **result) {
  int error = trp_socket_get_own(handle, result);
  if (error != 0) {
    return error;
  }
  const trp_socket_t *socket = *result;
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_next(state, TRP_SOCKET_WRITE).actions & TRP_SOCKET_REFUSE) {
    if (state == TRP_SOCKET_IDLE) {
      return TROUPE_ERR_SOCKET_CLOSED;
    }
    bool resets = state == TRP_SOCKET_LOOKING_UP_RESET || state == TRP_SOCKET_CONNECTING_RESET ||
                  state == TRP_SOCKET_RESETTING;
    return trp_socket_is_destroyed(state) || resets ? (int)TROUPE_ERR_STREAM_DESTROYED
                                                    : (int)TROUPE_EPIPE;
  }
  if (length > UINT32_MAX || (bytes == NULL && length > 0)) {
    return TROUPE_EINVAL;
  }
  uint64_t waiting = socket->bytes_written - socket->acknowledged;
  // One write of any size is taken by an empty queue.
  if (waiting > 0 && length > 0 && waiting + length > socket->write_limit) {
    return TROUPE_ENOBUFS;
  }
  return 0;
}

static int write_early(trp_socket_t *socket, troupe_chunk_t *chunk, uint32_t length,
                       troupe_written_fn on_written, void *context) {
  bool notify = false;
  trp_early_t *early = trp_socket_add_early(socket, chunk);
  if (early == NULL) {
    troupe_chunk_free(&chunk);
    return TROUPE_ENOMEM;
  }
  int result = count_write(socket, length, on_written, context, &notify);
  early->notify = notify;
  return result;
}

static int finish(trp_socket_t *socket, trp_message_t *message, uint32_t length,
                  troupe_written_fn on_written, void *context) {
  bool notify = trp_socket_is_deaf(socket);
  int result = count_write(socket, length, on_written, context, &notify);
  message->flags = notify ? TRP_FLAG(NOTIFY) : TRP_FLAG(NONE);
  socket->told = socket->consumed;
  if (trp_socket_is_deaf(socket)) {
    trp_socket_refresh(socket); // until it is written
  }
  return result;
}

/// The bytes are queued. The I/O actor tells how far the kernel took them with every event anyhow;
/// it is asked to tell by itself when somebody waits, and every half mark, so that a writer that
/// goes on and on without events hears of it before a write says 0. `*notify`: it is asked anyhow.
static int count_write(trp_socket_t *socket, uint32_t length, troupe_written_fn on_written,
                       void *context, bool *notify) {
  socket->bytes_written += length;
  bool full = socket->bytes_written - socket->acknowledged >= socket->high_water_mark;
  uint64_t known = socket->notified > socket->acknowledged ? socket->notified
                                                           : socket->acknowledged;
  bool much = socket->bytes_written - known >= socket->high_water_mark / 2 && length > 0;
  *notify |= on_written != NULL || full || much;
  if (*notify) {
    socket->notified = socket->bytes_written;
  }
  if (on_written != NULL) {
    add_waiter(socket, (trp_waiter_t){
                           .end = socket->bytes_written, .call = on_written, .context = context});
  }
  socket->wants_drain |= full;
  return full ? 0 : 1;
}

// ---- Ending ----

int troupe_socket_end(troupe_socket_t handle, troupe_written_fn on_finished, void *context) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  if (error != 0) {
    return error;
  }
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (on_finished != NULL) {
    if (trp_socket_is_destroyed(state)) {
      return TROUPE_ERR_STREAM_DESTROYED;
    }
    if (state == TRP_SOCKET_FINISHED || state == TRP_SOCKET_DONE) {
      return TROUPE_ERR_STREAM_ALREADY_FINISHED;
    }
    error = reserve_waiter(socket);
    if (error != 0) {
      return error;
    }
  }
  error = trp_socket_step(socket, TRP_SOCKET_END);
  if (error == 0 && on_finished != NULL) {
    add_waiter(socket, (trp_waiter_t){.end = socket->bytes_written,
                                      .finish = true,
                                      .call = on_finished,
                                      .context = context});
  }
  return error;
}

int troupe_socket_end_with(troupe_socket_t handle, const void *bytes, size_t length,
                           troupe_written_fn on_finished, void *context) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  if (error != 0 || (on_finished != NULL && (error = reserve_waiter(socket)) != 0)) {
    return error;
  }
  uint64_t written = socket->bytes_written;
  uint64_t notified = socket->notified;
  bool wanted_drain = socket->wants_drain;
  int result = troupe_socket_write(handle, bytes, length, NULL, NULL);
  if (result < 0) {
    return result;
  }
  error = troupe_socket_end(handle, on_finished, context);
  if (error != 0) {
    // Only a command can fail for lack of memory, so the write was one, the last.
    trp_out_undo(trp_actor_out(socket->object.actor, socket->wire));
    socket->bytes_written = written;
    socket->notified = notified;
    socket->wants_drain = wanted_drain;
  }
  return error;
}

// ---- Who waits ----

void trp_socket_acknowledge(trp_socket_t *socket, uint64_t through) {
  if (through > socket->bytes_written) {
    return; // not of this life
  }
  if (through > socket->acknowledged) {
    socket->acknowledged = through;
  }
  if (socket->wants_drain && socket->acknowledged == socket->bytes_written && !socket->giving) {
    socket->wants_drain = false;
    if (!trp_socket_has_ended((trp_socket_state_t)socket->state)) {
      TRP_SOCKET_TELL(socket, on_drain, (trp_socket_handle(socket), socket->context));
    }
  }
  for (const trp_waiter_t *waiter = first_waiter(socket);
       waiter != NULL && !waiter->finish && waiter->end <= socket->acknowledged;
       waiter = first_waiter(socket)) {
    call_first(socket, 0);
  }
  if (trp_socket_is_deaf(socket)) {
    trp_socket_refresh(socket);
  }
}

void trp_socket_ask_written(trp_socket_t *socket) {
  bool writes = socket->state == TRP_SOCKET_OPEN || socket->state == TRP_SOCKET_CONNECTING ||
                socket->state == TRP_SOCKET_PEER_ENDED;
  if (!writes || socket->bytes_written == socket->acknowledged ||
      socket->notified == socket->bytes_written) {
    return;
  }
  trp_message_t *message = trp_socket_command(socket, TRP_KIND(COMMAND_WRITE)); // of no bytes
  if (message != NULL) {
    message->flags = TRP_FLAG(NOTIFY);
    socket->told = socket->consumed;
    socket->notified = socket->bytes_written;
  }
}

void trp_socket_finish_waiters(trp_socket_t *socket) {
  while (first_waiter(socket) != NULL) {
    call_first(socket, 0);
  }
}

/// Of the writes that waited for a connection that never was, Node tells the first one so, and the
/// others what happened, or, if nothing else did, the same.
void trp_socket_fail_waiters(trp_socket_t *socket) {
  int code = socket->failure != 0 ? socket->failure : (int)TROUPE_ERR_STREAM_DESTROYED;
  const trp_waiter_t *first = first_waiter(socket);
  if (first != NULL && !first->finish && !socket->connected) {
    call_first(socket, TROUPE_ERR_SOCKET_CLOSED_BEFORE_CONNECTION);
    code = socket->failure != 0 ? code : (int)TROUPE_ERR_SOCKET_CLOSED_BEFORE_CONNECTION;
  }
  while (first_waiter(socket) != NULL) {
    call_first(socket, code);
  }
}

void trp_socket_abandon_waiters(trp_socket_t *socket) {
  while (first_waiter(socket) != NULL) {
    call_first(socket, TROUPE_EGIVING);
  }
}

static trp_waiter_t *first_waiter(trp_socket_t *socket) {
  trp_waiters_t *waiters = socket->waiters;
  return waiters == NULL || waiters->count == 0 ? NULL : &waiters->ring[waiters->first];
}

static void call_first(trp_socket_t *socket, int error) {
  trp_waiters_t *waiters = socket->waiters;
  trp_waiter_t waiter = waiters->ring[waiters->first];
  waiters->first = (waiters->first + 1) & (waiters->capacity - 1);
  waiters->count--;
  trp_actor_enter(socket->object.actor);
  waiter.call(trp_socket_handle(socket), error, waiter.context);
  trp_actor_leave(socket->object.actor);
}

/// Room for one more.
static int reserve_waiter(trp_socket_t *socket) {
  trp_waiters_t *old = socket->waiters;
  if (old != NULL && old->count < old->capacity) {
    return 0;
  }
  uint32_t capacity = old == NULL ? 4 : old->capacity * 2;
  trp_waiters_t *grown = malloc(sizeof *grown + capacity * sizeof grown->ring[0]);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  *grown = (trp_waiters_t){.capacity = capacity};
  if (old != NULL) {
    for (uint32_t i = 0; i < old->count; i++) {
      grown->ring[i] = old->ring[(old->first + i) & (old->capacity - 1)];
    }
    grown->count = old->count;
    free(old);
  }
  socket->waiters = grown;
  return 0;
}

static void add_waiter(trp_socket_t *socket, trp_waiter_t waiter) {
  trp_waiters_t *waiters = socket->waiters;
  waiters->ring[(waiters->first + waiters->count) & (waiters->capacity - 1)] = waiter;
  waiters->count++;
}
