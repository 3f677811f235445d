/// A socket's life in its actor: how it is made, what is done to it by the table of socket_states.c,
/// how it goes.
#include "core/net/socket.h"

#include <stdlib.h>
#include <string.h>

#include "core/message/credit.h"
#include "core/message/id.h"
#include "core/net/wire_error.h"
#include "core/support/assert.h"

/// What a socket that was connected again is called by the I/O actor: the handle stays, ids are
/// never used twice.
typedef struct {
  trp_object_t object;
  trp_socket_t *socket;
} link_t;

static void later(trp_object_t *object);
static void stop(trp_object_t *object, bool at_once);
static void release(trp_object_t *object);
static void describe(const trp_object_t *object, troupe_handle_t *handle);
static void link_event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
static void link_release(trp_object_t *object);
static int use_rare_options(trp_socket_t *socket, const troupe_socket_options_t *options);
static void abort_socket(void *owner);
static trp_socket_t *allocate(trp_actor_t *actor, uint64_t id);
static int link_as(trp_socket_t *socket, uint64_t id);
static void leave(trp_socket_t *socket);
static int send_commands(trp_socket_t *socket, unsigned actions);
static bool awaits(const trp_socket_t *socket);
static void tell_connect(trp_socket_t *socket);
static void tell_end(trp_socket_t *socket);
static void settle(trp_socket_t *socket);
static void close_up(trp_socket_t *socket);
static void catch_up(trp_socket_t *socket);

static const trp_object_type_t socket_type = {.event = trp_socket_receive,
                                              .later = later,
                                              .stop = stop,
                                              .release = release,
                                              .describe = describe};
static const trp_object_type_t link_type = {.event = link_event, .release = link_release};
static const troupe_socket_handlers_t no_handlers;

static trp_socket_t *socket_of(trp_object_t *object) {
  return (trp_socket_t *)(void *)object;
}

// ---- Making and freeing ----

int troupe_socket_new(const troupe_socket_options_t *options,
                      const troupe_socket_handlers_t *handlers, void *context,
                      troupe_socket_t *socket) {
  return troupe_socket_new_at(NULL, options, handlers, context, socket);
}

int troupe_socket_new_at(const char *made_at, const troupe_socket_options_t *options,
                         const troupe_socket_handlers_t *handlers, void *context,
                         troupe_socket_t *socket) {
  if (socket == NULL) {
    return TROUPE_EINVAL;
  }
  trp_socket_t *made = NULL;
  int error = trp_socket_make(options, handlers, context, true, -1, &made);
  if (error != 0) {
    return error;
  }
  made->object.made_at = made_at;
  *socket = trp_socket_handle(made);
  return 0;
}

int trp_socket_make(const troupe_socket_options_t *options,
                    const troupe_socket_handlers_t *handlers, void *context, bool made, int fd,
                    trp_socket_t **result) {
  static const troupe_socket_options_t defaults;
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  options = options == NULL ? &defaults : options;
  const troupe_onread_t *onread = options->onread;
  if (onread != NULL &&
      (onread->callback == NULL ||
       ((onread->buffer == NULL || onread->size == 0) && onread->next_buffer == NULL))) {
    return TROUPE_EINVAL;
  }
  if (options->timeout_ms > TRP_TIMEOUT_MAX_MS || options->linger_ms > TRP_TIMEOUT_MAX_MS ||
      !trp_deadlines_fit(&options->deadlines)) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  int error = trp_abort_check(options->signal);
  if (error != 0) {
    return error;
  }
  uint64_t id = trp_actor_new_id(actor, fd < 0 ? TRP_ANY_IO : trp_actor_io_of_fd(actor, fd));
  if (id == 0) {
    return TROUPE_EOVERFLOW;
  }
  trp_socket_t *socket = allocate(actor, id);
  if (socket == NULL) {
    return TROUPE_ENOMEM;
  }
  socket->made = made;
  socket->handlers = handlers == NULL ? &no_handlers : handlers;
  socket->context = context;
  socket->allow_half_open = options->allow_half_open;
  socket->paused = options->paused;
  socket->reset_ends = options->reset_ends;
  socket->no_delay = options->no_delay;
  socket->keep_alive = options->keep_alive;
  socket->keep_alive_delay_s = options->keep_alive_initial_delay_ms / 1000;
  socket->timeout_ms = options->timeout_ms;
  socket->deadlines = options->deadlines;
  socket->linger_ms = options->linger_ms;
  trp_socket_set_marks(socket, options->high_water_mark, options->write_limit);
  error = use_rare_options(socket, options);
  if (error == 0 && made && socket->timeout_ms > 0) {
    error = trp_socket_start_timer(socket);
  }
  if (error != 0) {
    trp_object_remove(&socket->object);
    return error;
  }
  *result = socket;
  return 0;
}

/// What takes memory of its own.
static int use_rare_options(trp_socket_t *socket, const troupe_socket_options_t *options) {
  if (options->onread == NULL && options->signal.id == 0) {
    return 0;
  }
  trp_extra_t *extra = trp_socket_extra(socket);
  if (extra == NULL) {
    return TROUPE_ENOMEM;
  }
  extra->onread = options->onread;
  if (options->onread != NULL) {
    trp_object_later(&socket->object); // asks for the first buffer
  }
  socket->aborted = options->signal.id != 0 &&
                    !trp_abort_link(&extra->signal, options->signal, abort_socket, socket);
  if (socket->aborted) {
    trp_object_later(&socket->object); // as in Node, it tells so once its maker has it
  }
  return 0;
}

static void abort_socket(void *owner) {
  trp_socket_t *socket = owner;
  if (!socket->object.dead) {
    trp_socket_fail(socket, TROUPE_ABORT_ERR, NULL);
  }
}

trp_socket_t *trp_socket_accept(trp_actor_t *actor, const troupe_server_options_t *options,
                                uint64_t server, const Troupe__Wire__Connection *detail) {
  trp_socket_t *socket = allocate(actor, detail->socket);
  if (socket == NULL) {
    return NULL;
  }
  socket->state = TRP_SOCKET_OPEN;
  socket->connected = true;
  socket->server = server;
  socket->handlers = options->socket_handlers == NULL ? &no_handlers : options->socket_handlers;
  socket->context = options->socket_context;
  socket->allow_half_open = options->allow_half_open;
  socket->paused = socket->unheard = detail->paused;
  socket->reset_ends = options->reset_ends;
  socket->no_delay = options->no_delay;
  socket->keep_alive = options->keep_alive;
  socket->keep_alive_delay_s = options->keep_alive_initial_delay_ms / 1000;
  socket->deadlines = options->deadlines;
  socket->linger_ms = options->linger_ms;
  trp_socket_set_marks(socket, options->high_water_mark, options->write_limit);
  trp_endpoint_set(&socket->local, detail->local);
  trp_endpoint_set(&socket->remote, detail->remote);
  trp_socket_take_credentials(socket, detail->credentials);
  socket->is_unix = !trp_endpoint_is_ip(&socket->local);
  trp_socket_refresh(socket);
  return socket;
}

trp_socket_t *trp_socket_take_over(trp_actor_t *actor, uint64_t wire,
                                   const Troupe__Wire__Handed *detail) {
  // A handle of its own: one that the actor knew this socket by when it was here before stays
  // stale.
  uint64_t id = trp_actor_new_id(actor, (int)trp_id_io(wire));
  trp_socket_t *socket = id == 0 ? NULL : allocate(actor, id);
  if (socket == NULL) {
    return NULL;
  }
  if (link_as(socket, wire) != 0) {
    trp_object_remove(&socket->object);
    return NULL;
  }
  socket->state = !detail->finished  ? TRP_SOCKET_OPEN
                  : detail->last     ? TRP_SOCKET_LAST_WRITES
                  : detail->fin_sent ? TRP_SOCKET_FINISHED
                                     : TRP_SOCKET_ENDED;
  socket->connected = true;
  socket->paused = detail->paused;
  trp_socket_take_options(socket, detail->options);
  socket->high_water_mark = detail->high_water_mark;
  socket->write_limit = detail->write_limit;
  trp_endpoint_set(&socket->local, detail->local);
  trp_endpoint_set(&socket->remote, detail->remote);
  socket->is_unix = !trp_endpoint_is_ip(&socket->local);
  trp_socket_take_credentials(socket, detail->credentials);
  trp_socket_refresh(socket);
  return socket;
}

/// In the actor's table, with what all sockets have.
static trp_socket_t *allocate(trp_actor_t *actor, uint64_t id) {
  trp_socket_t *socket = calloc(1, sizeof *socket);
  if (socket == NULL) {
    return NULL;
  }
  socket->object.type = &socket_type;
  socket->object.id = id;
  socket->wire = id;
  socket->handlers = &no_handlers;
  if (trp_object_add(actor, &socket->object) != 0) {
    free(socket);
    return NULL;
  }
  return socket;
}

int troupe_socket_free(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  if (error != 0) {
    return error;
  }
  bool waits = socket->waiters != NULL && socket->waiters->count > 0;
  if (!trp_socket_is_active((trp_socket_state_t)socket->state) && !waits) {
    trp_socket_stop_timer(socket);
    trp_object_remove(&socket->object);
    return 0;
  }
  socket->freed = true;
  trp_socket_fail(socket, 0, NULL);
  return 0;
}

static void release(trp_object_t *object) {
  trp_socket_t *socket = socket_of(object);
  trp_socket_forget_unread(socket);
  trp_socket_drop_lookup(socket);
  trp_endpoint_clear(&socket->local);
  trp_endpoint_clear(&socket->remote);
  if (socket->extra != NULL) {
    trp_abort_unlink(&socket->extra->signal);
    trp_socket_drop_give(socket);
    trp_text_reader_free(socket->extra->reader);
    free(socket->extra->attempted);
    free(socket->extra);
  }
  trp_error_free(socket->error);
  free(socket->waiters);
  free(socket);
}

static void describe(const trp_object_t *object, troupe_handle_t *handle) {
  const trp_socket_t *socket = (const trp_socket_t *)(const void *)object;
  handle->kind = TROUPE_HANDLE_SOCKET;
  handle->state = trp_socket_state_word((trp_socket_state_t)socket->state);
  trp_endpoint_get(&socket->local, &handle->local);
  trp_endpoint_get(&socket->remote, &handle->remote);
}

int trp_socket_get(troupe_socket_t handle, trp_socket_t **socket) {
  trp_object_t *object = NULL;
  int error = trp_object_get(handle.id, &socket_type, &object);
  *socket = socket_of(object);
  return error;
}

int trp_socket_get_own(troupe_socket_t handle, trp_socket_t **socket) {
  int error = trp_socket_get(handle, socket);
  return error == 0 && (*socket)->giving ? (int)TROUPE_EGIVING : error;
}

trp_extra_t *trp_socket_extra(trp_socket_t *socket) {
  if (socket->extra == NULL) {
    socket->extra = calloc(1, sizeof *socket->extra);
  }
  return socket->extra;
}

int trp_socket_link(trp_socket_t *socket) {
  trp_actor_t *actor = socket->object.actor;
  uint64_t id = trp_actor_new_id(actor, TRP_ANY_IO);
  return id == 0 ? (int)TROUPE_EOVERFLOW : link_as(socket, id);
}

static int link_as(trp_socket_t *socket, uint64_t id) {
  trp_actor_t *actor = socket->object.actor;
  trp_extra_t *extra = trp_socket_extra(socket);
  link_t *link = extra == NULL ? NULL : calloc(1, sizeof *link);
  if (link == NULL) {
    return TROUPE_ENOMEM;
  }
  link->object.type = &link_type;
  link->object.id = id;
  link->socket = socket;
  if (trp_object_add(actor, &link->object) != 0) {
    free(link);
    return TROUPE_ENOMEM;
  }
  extra->link = &link->object;
  socket->wire = id;
  return 0;
}

void trp_socket_unlink(trp_socket_t *socket) {
  trp_extra_t *extra = socket->extra;
  if (extra != NULL && extra->link != NULL) {
    trp_object_remove(extra->link);
    extra->link = NULL;
  }
}

static void link_event(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  trp_socket_receive(&((link_t *)(void *)object)->socket->object, in, message);
}

static void link_release(trp_object_t *object) {
  free((link_t *)(void *)object);
}

// ---- Steps ----

int trp_socket_step(trp_socket_t *socket, trp_socket_event_t what) {
  trp_socket_step_t step = trp_socket_next((trp_socket_state_t)socket->state, what);
  if (step.actions & TRP_SOCKET_REFUSE) {
    return TROUPE_EINVAL;
  }
  return trp_socket_enact(socket, step);
}

int trp_socket_enact(trp_socket_t *socket, trp_socket_step_t step) {
  // First what can fail.
  int error = send_commands(socket, step.actions);
  if (error != 0) {
    return error;
  }
  // While the last callbacks before on_close run, it cannot be connected again.
  const unsigned last = TRP_SOCKET_TELL_CLOSE | TRP_SOCKET_TELL_GIVEN;
  socket->state = (uint8_t)(step.actions & last ? TRP_SOCKET_GONE : step.next);
  trp_socket_refresh(socket);
  if (step.actions & TRP_SOCKET_FORGET) {
    trp_socket_forget_unread(socket);
    trp_socket_drop_lookup(socket);
  }
  if (step.actions & TRP_SOCKET_LATER) {
    trp_object_later(&socket->object);
  }
  if (step.actions & TRP_SOCKET_TELL_CONNECT) {
    tell_connect(socket);
  }
  if (step.actions & TRP_SOCKET_TELL_END) {
    tell_end(socket);
  }
  if (step.actions & TRP_SOCKET_TELL_FINISH) {
    trp_socket_finish_waiters(socket);
  }
  if (step.actions & TRP_SOCKET_SETTLE) {
    settle(socket);
  }
  if (step.actions & TRP_SOCKET_TELL_GIVEN) {
    trp_socket_abandon_waiters(socket);
    leave(socket);
    trp_socket_tell_given(socket); // still as one that is destroyed: it cannot be connected again
    socket->state = (uint8_t)step.next;
    trp_object_remove(&socket->object);
  }
  if (step.actions & TRP_SOCKET_TELL_CLOSE) {
    socket->state = (uint8_t)step.next;
    trp_socket_refresh(socket);
    close_up(socket);
  }
  return 0;
}

static int send_commands(trp_socket_t *socket, unsigned actions) {
  int error = 0;
  if (actions & TRP_SOCKET_SEND_WRITES) {
    error = trp_socket_send_early(socket);
  }
  if (error == 0 && actions & TRP_SOCKET_SEND_END) {
    error = trp_socket_send_bare(socket, TRP_KIND(COMMAND_END), TRP_FLAG(NONE));
  }
  if (error == 0 && actions & TRP_SOCKET_SEND_LAST) {
    error = trp_socket_send_bare(socket, TRP_KIND(COMMAND_END), TRP_FLAG(DESTROY));
  }
  if (error == 0 && actions & TRP_SOCKET_SEND_RESET) {
    error = trp_socket_send_bare(socket, TRP_KIND(COMMAND_RESET), TRP_FLAG(NONE));
  }
  if (error == 0 && actions & TRP_SOCKET_SEND_DESTROY) {
    error = trp_socket_send_bare(socket, TRP_KIND(COMMAND_DESTROY), TRP_FLAG(NONE));
  }
  return error;
}

int trp_socket_send_bare(trp_socket_t *socket, Troupe__Wire__Kind kind, uint32_t flags) {
  trp_message_t *message = trp_socket_command(socket, kind);
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  message->flags = flags;
  socket->told = socket->consumed;
  return 0;
}

trp_message_t *trp_socket_command(trp_socket_t *socket, Troupe__Wire__Kind kind) {
  trp_message_t *message = trp_actor_command(socket->object.actor, kind, socket->wire);
  if (message != NULL) {
    message->through = socket->consumed;
    message->epoch = socket->epoch;
  }
  return message;
}

void trp_socket_fail(trp_socket_t *socket, int code, troupe_error_t *error) {
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_is_destroyed(state)) {
    trp_error_free(error);
    return;
  }
  if (socket->giving) {
    trp_socket_give_destroy(socket, code, error);
    return;
  }
  TROUPE_ASSERT(socket->error == NULL);
  if (socket->aborted) { // which came first
    socket->aborted = false;
    code = TROUPE_ABORT_ERR;
    trp_error_free(error);
    error = NULL;
  }
  socket->failure = code;
  socket->error = error;
  trp_socket_event_t what = socket->close_waits ? TRP_SOCKET_DROP : TRP_SOCKET_DESTROY;
  if (trp_socket_step(socket, what) != 0) {
    // No memory to say so: it is tried again with each event that still comes. The actor's end
    // closes it in any case.
    trp_socket_step_t step = trp_socket_next(state, what);
    step.actions &= ~(unsigned)TRP_SOCKET_SEND_DESTROY;
    socket->owes_destroy = true;
    (void)trp_socket_enact(socket, step);
  }
}

void trp_socket_refresh(trp_socket_t *socket) {
  bool active = trp_socket_is_active((trp_socket_state_t)socket->state) && !socket->object.dead;
  trp_object_hold(&socket->object, active && !socket->unref && awaits(socket));
  trp_object_drain(&socket->object, active);
}

/// Whether anything can come of it, as long as nobody does anything to it. As Node's loop is held by
/// a connection that is read from or written to.
static bool awaits(const trp_socket_t *socket) {
  bool rests = socket->state == TRP_SOCKET_OPEN || socket->state == TRP_SOCKET_FINISHED ||
               socket->state == TRP_SOCKET_PEER_ENDED;
  return !(rests && trp_socket_is_deaf(socket) && !socket->giving &&
           socket->acknowledged == socket->bytes_written);
}

static void tell_connect(trp_socket_t *socket) {
  TRP_SOCKET_TELL(socket, on_connect, (trp_socket_handle(socket), socket->context));
  if (socket->state == TRP_SOCKET_RESETTING) {
    (void)trp_socket_step(socket, TRP_SOCKET_TURN); // Node resets it in 'connect', before 'ready'
  }
  TRP_SOCKET_TELL(socket, on_ready, (trp_socket_handle(socket), socket->context));
}

static void tell_end(trp_socket_t *socket) {
  if (!socket->allow_half_open) {
    socket->ends_itself = true;
    trp_object_later(&socket->object);
  }
  if (trp_socket_is_deaf(socket)) {
    trp_socket_ask_written(socket);
  }
  TRP_SOCKET_TELL(socket, on_end, (trp_socket_handle(socket), socket->context));
}

/// The callbacks of writes first, then the error, as in Node. Nothing of it happens twice.
static void settle(trp_socket_t *socket) {
  trp_socket_fail_waiters(socket);
  trp_socket_settle_give(socket);
  if (socket->failure == 0 || socket->failure_told) {
    return;
  }
  socket->failure_told = true;
  socket->had_error = true;
  troupe_error_t spare;
  const troupe_error_t *error = trp_error_or(socket->error, &spare, socket->failure);
  TRP_SOCKET_TELL(socket, on_error, (trp_socket_handle(socket), error, socket->context));
  trp_error_free(socket->error);
  socket->error = NULL;
}

/// There is no connection (any more) here.
static void leave(trp_socket_t *socket) {
  trp_socket_unlink(socket);
  trp_socket_stop_timer(socket);
  if (socket->extra != NULL) {
    trp_abort_unlink(&socket->extra->signal);
  }
  trp_endpoint_clear(&socket->local);
  trp_endpoint_clear(&socket->remote);
}

/// The end, unless on_close connects it again.
static void close_up(trp_socket_t *socket) {
  leave(socket);
  bool had_error = socket->had_error;
  TRP_SOCKET_TELL(socket, on_close, (trp_socket_handle(socket), had_error, socket->context));
  if (socket->state == TRP_SOCKET_CLOSED && (!socket->made || socket->freed)) {
    trp_object_remove(&socket->object);
  }
}

// ---- What was put off ----

/// What came while it was given to another actor, which then did not get it.
static void catch_up(trp_socket_t *socket) {
  if (socket->wants_drain && trp_socket_is_connected((trp_socket_state_t)socket->state)) {
    trp_socket_acknowledge(socket, socket->acknowledged);
  }
  bool tells = socket->timeout_waits && !socket->giving &&
               !trp_socket_is_destroyed((trp_socket_state_t)socket->state);
  socket->timeout_waits = false;
  if (tells) {
    TRP_SOCKET_TELL(socket, on_timeout, (trp_socket_handle(socket), socket->context));
  }
}

/// What was put off, in the order in which Node does it.
static void later(trp_object_t *object) {
  trp_socket_t *socket = socket_of(object);
  if (socket->giving) {
    return; // again, if it stays
  }
  if (socket->aborted) {
    trp_socket_fail(socket, TROUPE_ABORT_ERR, NULL);
  }
  catch_up(socket);
  trp_socket_ask_for_buffer(socket);
  if (socket->ends_itself) {
    socket->ends_itself = false;
    if (!trp_socket_has_ended((trp_socket_state_t)socket->state) &&
        trp_socket_step(socket, TRP_SOCKET_END) != 0) {
      trp_socket_fail(socket, TROUPE_ENOMEM, NULL);
    }
  }
  if (trp_socket_looks_up((trp_socket_state_t)socket->state)) {
    trp_socket_run_lookup(socket);
  }
  if (trp_socket_has_turn((trp_socket_state_t)socket->state)) {
    (void)trp_socket_step(socket, TRP_SOCKET_TURN);
  } else {
    trp_socket_read_on(socket);
    if (trp_socket_is_deaf(socket)) {
      trp_socket_refresh(socket); // a give has failed, perhaps
    }
  }
}

static void stop(trp_object_t *object, bool at_once) {
  if (at_once && trp_socket_is_active((trp_socket_state_t)socket_of(object)->state)) {
    trp_socket_fail(socket_of(object), 0, NULL);
  }
}

// ---- Ending ----

int troupe_socket_destroy(troupe_socket_t handle, int error) {
  trp_socket_t *socket = NULL;
  int result = trp_socket_get_own(handle, &socket);
  if (result != 0) {
    return result;
  }
  if (error > 0) {
    return TROUPE_EINVAL;
  }
  trp_socket_fail(socket, error, NULL);
  return 0;
}

int troupe_socket_destroy_soon(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  if (error != 0) {
    return error;
  }
  if (socket->close_waits) {
    trp_socket_fail(socket, 0, NULL);
    return 0;
  }
  return trp_socket_step(socket, TRP_SOCKET_LAST);
}

int troupe_socket_reset_and_destroy(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  if (error != 0) {
    return error;
  }
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_is_destroyed(state)) {
    return 0;
  }
  if (state == TRP_SOCKET_IDLE || state == TRP_SOCKET_IDLE_ENDED) {
    trp_socket_fail(socket, TROUPE_ERR_SOCKET_CLOSED, NULL);
    return 0;
  }
  if (socket->is_unix) {
    return TROUPE_ERR_INVALID_HANDLE_TYPE;
  }
  if (socket->close_waits) {
    trp_socket_fail(socket, 0, NULL);
    return 0;
  }
  return trp_socket_step(socket, TRP_SOCKET_RESET);
}

int troupe_socket_set_handlers(troupe_socket_t handle, const troupe_socket_handlers_t *handlers,
                               void *context) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (error != 0) {
    return error;
  }
  socket->handlers = handlers == NULL ? &no_handlers : handlers;
  socket->context = context;
  if (socket->unread != NULL || socket->end_waits) {
    trp_object_later(&socket->object);
  }
  return 0;
}
