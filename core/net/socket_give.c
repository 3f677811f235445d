/// Giving a socket to another actor and getting one from there: <troupe/handoff.h> says what is
/// promised, give_states.c in which order things happen.
#include <troupe/handoff.h>

#include <stdlib.h>
#include <string.h>

#include "core/message/credit.h"
#include "core/message/id.h"
#include "core/net/give_states.h"
#include "core/net/server.h"
#include "core/net/socket.h"
#include "core/net/wire_error.h"

enum { MESSAGE_MAX = 16 * 1024 * 1024 };

/// A give that goes on.
struct trp_give {
  trp_give_state_t state;
  uint64_t to;
  troupe_chunk_t *message; // NULL: none
  trp_message_t *freeze;   // with the give in it; NULL: without
  uint64_t freeze_serial;  // of the batch that it is in
  troupe_given_fn call;
  void *context;
  int error;             // what on_given gets if the socket ends without having failed
  int reason;            // it is to be destroyed with this
  troupe_error_t *words; // of `reason`
};

/// Who gets the sockets that are given to this actor.
typedef struct {
  trp_object_t object;
  troupe_handed_fn call;
  void *context;
} receiver_t;

/// What a give carries: parts one after the other.
typedef struct {
  size_t unread, total;
  const troupe_chunk_t *only; // all of it, if it is one chunk whole
} load_t;

static void enact(trp_socket_t *socket, trp_give_step_t step, int error);
static int send_freeze(trp_socket_t *socket, trp_give_t *give);
static trp_message_t *unsent_freeze(const trp_socket_t *socket);
static int send_give(trp_socket_t *socket);
static Troupe__Wire__Give *make_give(const trp_socket_t *socket, uint64_t to, trp_out_t *out,
                                     size_t unread);
static load_t weigh(const trp_socket_t *socket);
static int attach_load(const trp_socket_t *socket, const load_t *load, trp_out_t *out,
                       trp_message_t *message);
static void end_give(trp_socket_t *socket, int error);
static void handed(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
static void release_receiver(trp_object_t *object);
static trp_socket_t *take_over(trp_actor_t *actor, const trp_in_t *in,
                               const trp_message_t *message);

static const trp_object_type_t receiver_type = {.event = handed, .release = release_receiver};

// ---- Giving ----

int troupe_socket_give(troupe_socket_t handle, troupe_actor_t to, const void *message,
                       size_t length, troupe_given_fn on_given, void *context) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  if (error != 0) {
    return error;
  }
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_is_destroyed(state)) {
    return TROUPE_ERR_STREAM_DESTROYED;
  }
  if (!trp_socket_is_connected(state) || socket->close_waits) {
    return TROUPE_ENOTCONN;
  }
  if (!trp_id_is_actor(to.id) || trp_id_is_io_actor(to.id) ||
      to.id == trp_actor_start(socket->object.actor)->id || (message == NULL && length > 0) ||
      length > MESSAGE_MAX) {
    return TROUPE_EINVAL;
  }
  trp_extra_t *extra = trp_socket_extra(socket);
  trp_give_t *give = extra == NULL ? NULL : calloc(1, sizeof *give);
  if (give == NULL) {
    return TROUPE_ENOMEM;
  }
  give->to = to.id;
  if ((length > 0 && troupe_chunk_new(&give->message, message, length) != 0) ||
      send_freeze(socket, give) != 0) {
    troupe_chunk_free(&give->message);
    free(give);
    return TROUPE_ENOMEM;
  }
  give->state = trp_give_next(TRP_GIVE_NONE, TRP_GIVE_BEGIN).next;
  give->call = on_given;
  give->context = context;
  give->error = TROUPE_ENOTCONN;
  extra->give = give;
  socket->giving = true;
  trp_socket_refresh(socket);
  return 0;
}

/// Where nothing is left to be read here the whole give goes along: if nothing is on its way either,
/// that is all it takes.
static int send_freeze(trp_socket_t *socket, trp_give_t *give) {
  trp_message_t *message = trp_socket_command(socket, TRP_KIND(COMMAND_FREEZE));
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  socket->told = socket->consumed;
  if (socket->unread != NULL || socket->end_waits || trp_socket_held_bytes(socket, NULL) > 0) {
    return 0;
  }
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  Troupe__Wire__Give *detail = make_give(socket, give->to, out, 0);
  if (detail == NULL ||
      (give->message != NULL && trp_chunk_attach(give->message, out, message) != 0)) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  message->detail_case = TRP_DETAIL(GIVE);
  message->give = detail;
  give->freeze = message;
  give->freeze_serial = out->serial;
  return 0;
}

/// The command, while it can still be changed.
static trp_message_t *unsent_freeze(const trp_socket_t *socket) {
  const trp_give_t *give = socket->extra->give;
  const trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  bool here = give->freeze != NULL && give->freeze_serial == out->serial && out->envelope == NULL;
  return here ? give->freeze : NULL;
}

void trp_socket_give_consumed(trp_socket_t *socket) {
  trp_message_t *message = unsent_freeze(socket);
  if (message != NULL) {
    message->through = socket->told = socket->consumed;
  }
}

static void advance(trp_socket_t *socket, trp_give_event_t what, int error) {
  trp_give_step_t step = trp_give_next(socket->extra->give->state, what);
  if ((step.actions & TRP_GIVE_REFUSE) == 0) {
    enact(socket, step, error);
  }
}

static void enact(trp_socket_t *socket, trp_give_step_t step, int error) {
  trp_give_t *give = socket->extra->give;
  give->state = step.next;
  socket->giving = step.next != TRP_GIVE_NONE;
  if (step.actions & TRP_GIVE_SEND_GIVE && send_give(socket) != 0) {
    // Nothing tells the I/O actor to read on but another give, for which there is no memory either.
    give->state = TRP_GIVE_NONE;
    socket->giving = false;
    trp_socket_fail(socket, TROUPE_ENOMEM, NULL);
    return;
  }
  if (step.actions & TRP_GIVE_TELL_FAILED) {
    end_give(socket, error);
    trp_object_later(&socket->object); // for all that was put off meanwhile
    return;
  }
  if (step.actions & TRP_GIVE_DESTROY_NOW) {
    troupe_error_t *words = give->words;
    give->words = NULL;
    give->error = TROUPE_ERR_STREAM_DESTROYED;
    trp_socket_fail(socket, give->reason, words);
  }
  if (step.actions & TRP_GIVE_TELL_GIVEN) {
    (void)trp_socket_step(socket, TRP_SOCKET_GIVEN); // sends nothing, so it does not fail
  }
}

void trp_socket_give_event(trp_socket_t *socket, const trp_message_t *message) {
  if (!socket->giving) {
    return;
  }
  int error = TROUPE_ENOACTOR;
  if (message->detail_case == TRP_DETAIL(ERROR) && message->error->code < 0) {
    error = message->error->code;
  }
  advance(socket,
          message->kind == TRP_KIND(EVENT_FROZEN)  ? TRP_GIVE_FROZEN
          : message->kind == TRP_KIND(EVENT_GIVEN) ? TRP_GIVE_ACCEPTED
                                                   : TRP_GIVE_REFUSED,
          error);
}

void trp_socket_give_over(trp_socket_t *socket) {
  if (socket->giving) {
    advance(socket, TRP_GIVE_OVER, TROUPE_ENOTCONN);
  }
}

void trp_socket_give_destroy(trp_socket_t *socket, int code, troupe_error_t *words) {
  trp_give_t *give = socket->extra->give;
  trp_give_step_t step = trp_give_next(give->state, TRP_GIVE_DESTROY);
  if (step.next == give->state) {
    trp_error_free(words); // the first reason counts
    return;
  }
  give->state = step.next;
  give->reason = code;
  give->words = words;
  trp_message_t *message = unsent_freeze(socket);
  if (message != NULL) { // it shall not leave
    message->detail_case = TROUPE__WIRE__MESSAGE__DETAIL__NOT_SET;
    message->give = NULL;
  }
}

void trp_socket_settle_give(trp_socket_t *socket) {
  if (socket->extra != NULL && socket->extra->give != NULL) {
    socket->giving = false;
    end_give(socket, socket->failure != 0 ? socket->failure : socket->extra->give->error);
  }
}

void trp_socket_tell_given(trp_socket_t *socket) {
  trp_server_given_away(socket->object.actor, socket->server);
  if (socket->extra->give != NULL) {
    end_give(socket, 0);
  }
}

void trp_socket_drop_give(trp_socket_t *socket) {
  trp_give_t *give = socket->extra == NULL ? NULL : socket->extra->give;
  if (give != NULL) {
    socket->extra->give = NULL;
    socket->giving = false;
    troupe_chunk_free(&give->message);
    trp_error_free(give->words);
    free(give);
  }
}

/// It is over before the callback is told so: in there the socket may be given again.
static void end_give(trp_socket_t *socket, int error) {
  troupe_given_fn call = socket->extra->give->call;
  void *context = socket->extra->give->context;
  trp_socket_drop_give(socket);
  if (call != NULL) {
    trp_actor_enter(socket->object.actor);
    call(trp_socket_handle(socket), error, context);
    trp_actor_leave(socket->object.actor);
  }
}

// ---- What goes along ----

/// All that came is here: it leaves with the socket.
static int send_give(trp_socket_t *socket) {
  trp_message_t *message = trp_socket_command(socket, TRP_KIND(COMMAND_GIVE));
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  load_t load = weigh(socket);
  Troupe__Wire__Give *give = make_give(socket, socket->extra->give->to, out, load.unread);
  if (give == NULL || attach_load(socket, &load, out, message) != 0) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  message->detail_case = TRP_DETAIL(GIVE);
  message->give = give;
  socket->told = socket->consumed;
  return 0;
}

static Troupe__Wire__Give *make_give(const trp_socket_t *socket, uint64_t to, trp_out_t *out,
                                     size_t unread) {
  Troupe__Wire__Give *give = trp_out_take(out, sizeof *give);
  if (give == NULL) {
    return NULL;
  }
  *give = (Troupe__Wire__Give)TROUPE__WIRE__GIVE__INIT;
  give->options = trp_socket_options(socket, out);
  if (give->options == NULL) {
    return NULL;
  }
  give->options->connect_deadline_ms = socket->deadlines.connect_ms; // whole again
  give->to = to;
  give->unread = (uint32_t)unread;
  give->ended = socket->end_waits;
  give->consumed = socket->consumed;
  give->paused = socket->paused;
  give->high_water_mark = socket->high_water_mark;
  give->write_limit = socket->write_limit;
  return give;
}

static load_t weigh(const trp_socket_t *socket) {
  const troupe_chunk_t *last = socket->extra->give->message;
  load_t load = {.unread = trp_socket_held_bytes(socket, NULL), .only = last};
  unsigned parts = (load.unread > 0 ? 2U : 0U) +
                   (last != NULL ? 1U : 0U); // held bytes are no chunk
  for (const trp_unread_t *unread = socket->unread; unread != NULL; unread = unread->next) {
    load.unread += unread->chunk->length - unread->done;
    load.only = unread->chunk;
    parts += unread->done > 0 ? 2 : 1;
  }
  load.total = load.unread + (last == NULL ? 0 : last->length);
  if (parts != 1) {
    load.only = NULL;
  }
  return load;
}

static int attach_load(const trp_socket_t *socket, const load_t *load, trp_out_t *out,
                       trp_message_t *message) {
  if (load->only != NULL) {
    return trp_chunk_attach(load->only, out, message);
  }
  if (load->total == 0) {
    return 0;
  }
  trp_frame_t *frame = load->total > UINT32_MAX ? NULL : trp_frame_new(load->total);
  if (frame == NULL) {
    return TROUPE_ENOMEM;
  }
  uint8_t *at = trp_frame_fill(frame);
  at += trp_socket_held_bytes(socket, at);
  for (const trp_unread_t *unread = socket->unread; unread != NULL; unread = unread->next) {
    uint32_t length = unread->chunk->length - unread->done;
    memcpy(at, unread->chunk->bytes + unread->done, length);
    at += length;
  }
  const troupe_chunk_t *last = socket->extra->give->message;
  if (last != NULL) {
    memcpy(at, last->bytes, last->length);
  }
  int error = trp_out_attach(out, message, frame, 0, (uint32_t)load->total);
  trp_frame_release(frame);
  return error;
}

// ---- Getting ----

int(troupe_actor_on_handed)(troupe_handed_fn on_handed, void *context) {
  return troupe_actor_on_handed_at(NULL, on_handed, context);
}

int troupe_actor_on_handed_at(const char *made_at, troupe_handed_fn on_handed, void *context) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  trp_object_t *object = trp_actor_receiver(actor);
  if (on_handed == NULL) {
    if (object != NULL) {
      trp_actor_set_receiver(actor, NULL);
      trp_object_remove(object);
    }
    return 0;
  }
  receiver_t *receiver = (receiver_t *)(void *)object;
  if (receiver == NULL) {
    uint64_t id = trp_actor_new_id(actor, 0);
    if (id == 0) {
      return TROUPE_EOVERFLOW;
    }
    receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL) {
      return TROUPE_ENOMEM;
    }
    receiver->object.type = &receiver_type;
    receiver->object.id = id;
    if (trp_object_add(actor, &receiver->object) != 0) {
      free(receiver);
      return TROUPE_ENOMEM;
    }
    trp_actor_set_receiver(actor, &receiver->object);
    trp_object_hold(&receiver->object, true);
  }
  receiver->object.made_at = made_at;
  receiver->call = on_handed;
  receiver->context = context;
  return 0;
}

static void release_receiver(trp_object_t *object) {
  free((receiver_t *)(void *)object);
}

static void handed(trp_object_t *object, const trp_in_t *in, const trp_message_t *message) {
  receiver_t *receiver = (receiver_t *)(void *)object;
  trp_actor_t *actor = object->actor;
  if (message->detail_case != TRP_DETAIL(HANDED) || message->handed->unread > message->length) {
    return;
  }
  trp_socket_t *socket = take_over(actor, in, message);
  if (socket == NULL) {
    trp_actor_turn_away(actor, message);
    return;
  }
  socket->object.made_at = object->made_at;
  troupe_chunk_t chunk;
  trp_chunk_borrow(&chunk, trp_in_frame(in, message), message->offset + message->handed->unread,
                   message->length - message->handed->unread);
  trp_actor_enter(actor);
  receiver->call(trp_socket_handle(socket), (troupe_actor_t){.id = message->handed->from}, &chunk,
                 receiver->context);
  trp_actor_leave(actor);
}

/// NULL: no memory. What came with it is given out after the current callback.
static trp_socket_t *take_over(trp_actor_t *actor, const trp_in_t *in,
                               const trp_message_t *message) {
  const Troupe__Wire__Handed *detail = message->handed;
  trp_socket_t *socket = trp_socket_take_over(actor, message->subject, detail);
  if (socket == NULL) {
    return NULL;
  }
  socket->epoch = message->epoch;
  socket->bytes_read = detail->bytes_read + detail->unread;
  socket->bytes_written = detail->bytes_written;
  socket->acknowledged = message->through;
  socket->consumed = socket->told = detail->consumed;
  socket->end_waits = detail->ended;
  if (detail->unread > 0) {
    troupe_chunk_t chunk;
    trp_chunk_borrow(&chunk, trp_in_frame(in, message), message->offset, detail->unread);
    if (!trp_socket_keep(socket, &chunk, 0)) {
      trp_socket_unlink(socket);
      trp_object_remove(&socket->object);
      return NULL;
    }
  }
  trp_object_later(&socket->object);
  return socket;
}
