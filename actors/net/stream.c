// Every socket has one exit: step() with a next state of CLOSED (or trp_stream_drop() when there is
// nobody to tell), and release() behind it. Its memory lives on until the turn ends, so a function
// that has just called step() may still look at the state.

#include "actors/net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/connector.h"
#include "actors/net/deadlines.h"
#include "actors/net/handoff.h"
#include "actors/net/member.h"
#include "actors/net/owners.h"
#include "core/support/assert.h"

enum {
  SPARE_STREAMS_MAX = 1024,
  WRITE_ROUNDS = 8, // writev()s of one socket in a turn: a peer that reads as fast as we write
                    // keeps nobody waiting
};

static void step(trp_stream_t *stream, trp_stream_event_t event, const trp_failure_t *failure);
static void release(trp_stream_t *stream);
static void free_memory(trp_net_t *net, trp_subject_t *subject);
static bool tell_connect(trp_stream_t *stream);
static bool tell_error(trp_stream_t *stream, const trp_failure_t *failure);
static bool tell_close(trp_stream_t *stream);
static void start(trp_stream_t *stream, trp_handle_t *handle, unsigned wanted);
static void pump(trp_stream_t *stream);
static int write_queue(trp_stream_t *stream);
static void read_some(trp_stream_t *stream, bool broken);
static void look_at_hangup(trp_stream_t *stream);
static void update_want(trp_stream_t *stream);
static void write_command(trp_stream_t *stream, const trp_command_t *command);
static void change_options(trp_stream_t *stream, const Troupe__Wire__Options *options);
static void answer_failure(const trp_command_t *command, const trp_failure_t *failure);

// ---- Life ----

int trp_stream_new(trp_net_t *net, trp_owner_t *owner, uint64_t id, trp_stream_t **made) {
  if (trp_map_get(&net->subjects, id) != NULL) {
    return TROUPE_EEXIST;
  }
  trp_stream_t *stream = net->spare_streams;
  if (stream != NULL) {
    net->spare_streams = (trp_stream_t *)(void *)stream->subject.next_buried;
    net->spare_stream_count--;
  } else {
    stream = malloc(sizeof *stream);
    if (stream == NULL) {
      return TROUPE_ENOMEM;
    }
  }
  *stream = (trp_stream_t){
      .subject = {.tag = TRP_TAG_STREAM, .release = free_memory, .id = id},
      .net = net,
      .owner = owner,
      .state = TRP_STREAM_CONNECTING,
      .credit = TRP_SOCKET_CREDIT,
      .began_ns = net->now_ns,
      .active_ns = net->now_ns,
      .progress_ns = net->now_ns,
      .due = {.run = trp_stream_run_due},
  };
  if (trp_map_put(&net->subjects, id, stream) != 0) {
    free_memory(net, &stream->subject);
    return TROUPE_ENOMEM;
  }
  trp_list_init(&stream->in_owner);
  trp_list_init(&stream->in_dirty);
  trp_list_init(&stream->in_due);
  trp_list_init(&stream->in_stalled);
  trp_list_append(&owner->streams, &stream->in_owner);
  net->counters.sockets++;
  *made = stream;
  return 0;
}

void trp_stream_connected(trp_stream_t *stream, trp_handle_t *handle, unsigned wanted) {
  start(stream, handle, wanted);
  step(stream, TRP_STREAM_CONNECTED, NULL);
  if (stream->state != TRP_STREAM_CLOSED) {
    trp_stream_arm(stream);
  }
  if (stream->state != TRP_STREAM_CLOSED) {
    pump(stream);
  }
}

void trp_stream_accepted(trp_stream_t *stream, trp_handle_t *handle) {
  start(stream, handle, 0);
  stream->state = TRP_STREAM_OPEN;
  trp_stream_arm(stream);
  if (stream->state != TRP_STREAM_CLOSED) {
    update_want(stream);
  }
}

void trp_stream_fail(trp_stream_t *stream, const trp_failure_t *failure) {
  stream->had_error = true;
  step(stream, TRP_STREAM_FAILED, failure);
}

/// Closes what it has, in whatever state it is.
static void abandon(trp_stream_t *stream) {
  if (stream->connector != NULL) {
    trp_connector_cancel(stream->connector, false);
    stream->connector = NULL;
  }
  if (stream->handle != NULL) {
    trp_net_close_handle(stream->net, stream->handle);
    stream->handle = NULL;
  }
  stream->state = TRP_STREAM_CLOSED;
}

void trp_stream_drop(trp_stream_t *stream) {
  abandon(stream);
  release(stream);
}

void trp_stream_connect(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const trp_message_t *message = command->message;
  if (!trp_command_names_its_own(command)) {
    net->counters.not_owner++;
    return;
  }
  trp_stream_t *stream = NULL;
  int error = trp_stream_new(net, command->owner, message->subject, &stream);
  if (error == TROUPE_EEXIST) {
    net->counters.unknown_kind++; // an id that was used before: the sender is confused
    return;
  }
  if (error != 0) {
    answer_failure(command, &(trp_failure_t){.code = error, .syscall = "connect"});
    return;
  }
  stream->epoch = message->epoch;
  stream->made_at = trp_texts_keep(&net->texts, message->connect->made_at);
  trp_options_merge(&stream->options, message->connect->options);
  stream->held = stream->options.pause;
  trp_stream_arm(stream);
  if (stream->state != TRP_STREAM_CLOSED) {
    trp_connector_begin(stream, message->connect);
  }
}

void trp_stream_adopt(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const trp_message_t *message = command->message;
  const Troupe__Wire__Adopt *adopt = message->adopt;
  if (!trp_command_names_its_own(command) ||
      trp_map_get(&net->subjects, message->subject) != NULL) {
    net->counters.unknown_kind++;
    trp_net_discard_descriptor(net, adopt->fd);
    return;
  }
  trp_fd_kind_t kind;
  trp_handle_t *handle = NULL;
  int error = net->ops->adopt(net->transport, adopt->fd, &kind, &handle);
  if (error == 0 && kind != TRP_FD_STREAM) {
    error = TROUPE_ENOTCONN;
    trp_net_close_handle(net, handle);
  }
  trp_stream_t *stream = NULL;
  if (error == 0) {
    error = trp_stream_new(net, command->owner, message->subject, &stream);
    if (error != 0) {
      trp_net_close_handle(net, handle);
    }
  }
  if (error != 0) {
    answer_failure(command, &(trp_failure_t){.code = error, .syscall = "open"});
    return;
  }
  stream->epoch = message->epoch;
  stream->made_at = trp_texts_keep(&net->texts, adopt->made_at);
  trp_options_merge(&stream->options, adopt->options);
  stream->held = stream->options.pause;
  trp_stream_connected(stream, handle, 0);
  // A descriptor that is open in one direction only begins with the other one ended, which nobody
  // needs to be told.
  if (stream->state == TRP_STREAM_OPEN && !(adopt->readable && adopt->writable)) {
    stream->state = adopt->writable ? TRP_STREAM_PEER_ENDED : TRP_STREAM_ENDED;
    if (!adopt->readable && !adopt->writable) {
      step(stream, TRP_STREAM_DESTROY, NULL);
    } else {
      update_want(stream);
    }
  }
}

/// The one way in and out: what happened, what follows, in the order of the actions.
static void step(trp_stream_t *stream, trp_stream_event_t event, const trp_failure_t *failure) {
  trp_stream_step_t next = trp_stream_next(stream->state, event);
  if (next.actions & TRP_STREAM_REFUSE) {
    stream->net->counters.refused++;
    return;
  }
  bool told = true;
  stream->state = next.next;
  if (next.actions & TRP_STREAM_CANCEL && stream->connector != NULL) {
    trp_connector_cancel(stream->connector, true);
    stream->connector = NULL;
  }
  if (next.actions & TRP_STREAM_TELL_CONNECT) {
    told &= tell_connect(stream);
  }
  if (next.actions & TRP_STREAM_TELL_END) {
    told &= trp_stream_tell(stream, TRP_KIND(EVENT_END)) != NULL;
  }
  if (next.actions & TRP_STREAM_TELL_FINISH) {
    told &= trp_stream_tell(stream, TRP_KIND(EVENT_FINISH)) != NULL;
  }
  if (next.actions & TRP_STREAM_TELL_ERROR) {
    told &= tell_error(stream, failure);
  }
  if (next.actions & TRP_STREAM_HANG_UP_HARD && stream->handle != NULL &&
      stream->net->ops->reset(stream->net->transport, stream->handle) == 0) {
    stream->handle = NULL;
    stream->net->retry_parked = true;
  }
  if (next.actions & (TRP_STREAM_HANG_UP | TRP_STREAM_HANG_UP_HARD) && stream->handle != NULL) {
    trp_net_close_handle(stream->net, stream->handle);
    stream->handle = NULL;
  }
  stream->had_error |= !told;
  if (next.actions & TRP_STREAM_TELL_CLOSE && told && tell_close(stream)) {
    release(stream);
  } else if (!told || next.actions & TRP_STREAM_TELL_CLOSE) {
    trp_stream_owe_close(stream);
  }
}

/// The actor cannot be told what happened to its socket, for lack of memory: it is closed, and told
/// so as soon as it can be.
void trp_stream_owe_close(trp_stream_t *stream) {
  abandon(stream);
  stream->had_error = true;
  trp_timers_remove(&stream->net->timers, &stream->due);
  trp_writes_clear(&stream->writes, &stream->net->write_store);
  trp_list_remove(&stream->in_due);
  trp_list_remove(&stream->in_stalled);
  trp_list_remove(&stream->in_dirty);
  trp_list_append(&stream->net->owing_streams, &stream->in_dirty);
  trp_net_retry(stream->net, TRP_RETRY_NS);
}

static void release(trp_stream_t *stream) {
  trp_net_t *net = stream->net;
  trp_timers_remove(&net->timers, &stream->due);
  trp_writes_clear(&stream->writes, &net->write_store);
  trp_list_remove(&stream->in_owner);
  trp_list_remove(&stream->in_dirty);
  trp_list_remove(&stream->in_due);
  trp_list_remove(&stream->in_stalled);
  net->counters.sockets--;
  trp_subject_bury(net, &stream->subject);
  if (stream->member != NULL) {
    if (net->siblings.count > 1) {
      trp_sibling_of(net, trp_id_creator(net->self))->place.connections--;
    }
    trp_member_lose(stream->member, &stream->peer);
    stream->member = NULL;
  } else if (stream->taken) {
    trp_sibling_lose(net, stream->subject.id, false);
  }
}

static void free_memory(trp_net_t *net, trp_subject_t *subject) {
  trp_stream_t *stream = (trp_stream_t *)(void *)subject;
  if (net->spare_stream_count >= SPARE_STREAMS_MAX) {
    free(stream);
    return;
  }
  stream->subject.tag = TRP_TAG_BURIED;
  stream->subject.next_buried = (trp_subject_t *)(void *)net->spare_streams;
  net->spare_streams = stream;
  net->spare_stream_count++;
}

void trp_streams_free(trp_net_t *net) {
  while (net->spare_streams != NULL) {
    trp_stream_t *stream = net->spare_streams;
    net->spare_streams = (trp_stream_t *)(void *)stream->subject.next_buried;
    free(stream);
  }
}

/// The handle is this socket's from now on.
static void start(trp_stream_t *stream, trp_handle_t *handle, unsigned wanted) {
  trp_net_t *net = stream->net;
  stream->handle = handle;
  stream->wanted = (uint8_t)wanted;
  stream->began_ns = net->now_ns;
  stream->progress_ns = net->now_ns;
  net->ops->set_owner(net->transport, handle, stream);
  trp_options_apply(&stream->options, net->transport, handle);
  stream->active_ns = net->now_ns;
  stream->timeout_told = false;
}

// ---- Telling ----

trp_message_t *trp_stream_tell(trp_stream_t *stream, Troupe__Wire__Kind kind) {
  trp_message_t *message = trp_owner_tell(stream->owner, kind, stream->subject.id);
  if (message == NULL) {
    stream->net->counters.undeliverable++;
    return NULL;
  }
  message->through = stream->written;
  message->epoch = stream->epoch;
  trp_list_remove(&stream->in_due); // whoever waits for a write learns it from this
  return message;
}

static bool tell_connect(trp_stream_t *stream) {
  trp_net_t *net = stream->net;
  trp_out_t *out = &stream->owner->out;
  trp_message_t *message = trp_stream_tell(stream, TRP_KIND(EVENT_CONNECT));
  if (message == NULL) {
    return false;
  }
  troupe_address_t local = {0}, remote = {0};
  net->ops->names(net->transport, stream->handle, &local, &remote);
  Troupe__Wire__Connected *connected = trp_out_take(out, sizeof *connected);
  if (connected != NULL) {
    *connected = (Troupe__Wire__Connected)TROUPE__WIRE__CONNECTED__INIT;
    connected->local = trp_address_to_wire(out, &local);
    connected->remote = trp_address_to_wire(out, &remote);
  }
  if (connected == NULL || connected->local == NULL || connected->remote == NULL ||
      !trp_put_credentials(out, net->transport, stream->handle, &connected->credentials)) {
    trp_out_undo(out);
    return false;
  }
  message->detail_case = TRP_DETAIL(CONNECTED);
  message->connected = connected;
  return true;
}

static bool tell_error(trp_stream_t *stream, const trp_failure_t *failure) {
  trp_out_t *out = &stream->owner->out;
  trp_message_t *message = trp_stream_tell(stream, TRP_KIND(EVENT_ERROR));
  Troupe__Wire__Error *error = message == NULL ? NULL : trp_put_error(out, failure);
  if (error == NULL) {
    if (message != NULL) {
      trp_out_undo(out);
    }
    return false;
  }
  message->detail_case = TRP_DETAIL(ERROR);
  message->error = error;
  return true;
}

static bool tell_close(trp_stream_t *stream) {
  trp_message_t *message = trp_stream_tell(stream, TRP_KIND(EVENT_CLOSE));
  if (message == NULL) {
    return false;
  }
  message->flags = stream->had_error ? TRP_FLAG(HAD_ERROR) : TRP_FLAG(NONE);
  return true;
}

void trp_stream_fail_with(trp_stream_t *stream, int code, const char *syscall) {
  trp_stream_fail(stream, &(trp_failure_t){.code = code, .syscall = syscall});
}

/// A socket that could not even begin: the answer of one that was there and failed.
static void answer_failure(const trp_command_t *command, const trp_failure_t *failure) {
  trp_owner_t *owner = command->owner;
  uint64_t id = command->message->subject;
  trp_message_t *message = trp_owner_tell(owner, TRP_KIND(EVENT_ERROR), id);
  if (message != NULL) {
    message->epoch = command->message->epoch;
    message->error = trp_put_error(&owner->out, failure);
    if (message->error != NULL) {
      message->detail_case = TRP_DETAIL(ERROR);
    } else {
      trp_out_undo(&owner->out);
    }
  }
  message = trp_owner_tell(owner, TRP_KIND(EVENT_CLOSE), id);
  if (message == NULL) {
    command->net->counters.undeliverable++;
    return;
  }
  message->epoch = command->message->epoch;
  message->flags = TRP_FLAG(HAD_ERROR);
}

void trp_streams_flush(trp_net_t *net) {
  while (!trp_list_empty(&net->due_streams)) {
    trp_stream_t *stream = TRP_LIST_ENTRY(net->due_streams.next, trp_stream_t, in_due);
    if (trp_stream_tell(stream, TRP_KIND(EVENT_WRITTEN)) == NULL) {
      trp_net_retry(net, TRP_RETRY_NS);
      break;
    }
  }
  while (!trp_list_empty(&net->owing_streams)) {
    trp_stream_t *stream = TRP_LIST_ENTRY(net->owing_streams.next, trp_stream_t, in_dirty);
    if (!tell_close(stream)) {
      trp_net_retry(net, TRP_RETRY_NS);
      break;
    }
    release(stream);
  }
}

// ---- Events of the transport ----

void trp_stream_ready(trp_stream_t *stream, unsigned mask) {
  bool broken = (mask & TRP_BROKEN) != 0;
  mask &= stream->wanted;
  // Reading comes first: of a reset that meets a write that waits, Node tells "read ECONNRESET".
  if (mask & TRP_READ) {
    read_some(stream, broken);
  }
  if (mask & TRP_HANGUP && stream->state != TRP_STREAM_CLOSED) {
    look_at_hangup(stream);
  }
  if (stream->state == TRP_STREAM_CLOSED) {
    return;
  }
  if (mask & TRP_WRITE) {
    pump(stream);
  } else {
    update_want(stream);
  }
}

/// One read, straight into the batch of the owner. `broken`: an error is behind what there is.
static void read_some(trp_stream_t *stream, bool broken) {
  trp_net_t *net = stream->net;
  trp_owner_t *owner = stream->owner;
  if (trp_owner_window_is_full(owner)) {
    stream->stalled = true;
    trp_list_remove(&stream->in_stalled);
    trp_list_append(&owner->stalled, &stream->in_stalled);
    return;
  }
  uint64_t left = trp_stream_credit_left(stream);
  if (left < TRP_READ_MINIMUM + TRP_EVENT_COST) {
    stream->stopped = stream->grows = true;
    return;
  }
  size_t most = left - TRP_EVENT_COST < TRP_READ_SIZE ? (size_t)(left - TRP_EVENT_COST)
                                                      : (size_t)TRP_READ_SIZE;
  // A block's end is good enough for a socket with short messages; one that fills its reads gets
  // whole ones.
  size_t least = (size_t)stream->last_read * 2;
  least = least < TRP_READ_MINIMUM ? (size_t)TRP_READ_MINIMUM : least;
  least = least > most ? most : least;
  trp_message_t *message = trp_owner_tell(owner, TRP_KIND(EVENT_DATA), stream->subject.id);
  if (message == NULL) {
    trp_stream_fail_with(stream, TROUPE_ENOMEM, "read");
    return;
  }
  size_t room = 0;
  uint8_t *bytes = trp_out_reserve(&owner->out, least, &room);
  if (bytes == NULL) {
    trp_out_undo(&owner->out);
    trp_stream_fail_with(stream, TROUPE_ENOMEM, "read");
    return;
  }
  size_t asked = room < most ? room : most;
  ssize_t length = net->ops->read(net->transport, stream->handle, bytes, asked);
  if (length <= 0) {
    trp_out_undo(&owner->out);
    if (length == 0) {
      trp_stream_note_activity(stream);
      step(stream, TRP_STREAM_FIN_RECEIVED, NULL);
    } else if (length != -EAGAIN) {
      trp_stream_fail_with(stream, (int)length, "read");
    }
    return;
  }
  if (trp_out_commit(&owner->out, message, (uint32_t)length) != 0) {
    trp_out_undo(&owner->out);
    trp_stream_fail_with(stream, TROUPE_ENOMEM, "read");
    return;
  }
  message->through = stream->written;
  message->epoch = stream->epoch;
  trp_list_remove(&stream->in_due);
  uint64_t cost = trp_data_cost((uint32_t)length);
  stream->last_read = (uint32_t)length;
  stream->bytes_read += (uint64_t)length;
  stream->sent_cost += cost;
  owner->sent_cost += cost;
  trp_stream_note_activity(stream);
  if (broken && stream->options.reset_ends && (size_t)length < asked) {
    step(stream, TRP_STREAM_FIN_RECEIVED, NULL); // that was all
    return;
  }
  if (trp_stream_credit_left(stream) < TRP_READ_MINIMUM + TRP_EVENT_COST) {
    stream->stopped = stream->grows = true;
  }
}

/// A socket that is not read from has an error or the peer's FIN. The error is told; FIN waits
/// until it is read.
static void look_at_hangup(trp_stream_t *stream) {
  int error = stream->net->ops->error(stream->net->transport, stream->handle);
  if (error != 0) {
    trp_stream_fail_with(stream, error, "read");
    return;
  }
  stream->hangup_seen = true;
}

uint64_t trp_stream_credit_left(const trp_stream_t *stream) {
  uint64_t outstanding = stream->sent_cost - stream->consumed;
  return outstanding >= stream->credit ? 0 : stream->credit - outstanding;
}

/// The actor has consumed so much. Reading goes on when half of the credit is free, so that it does
/// not go on in crumbs. The credit grows when the actor has caught up, which one that is slower
/// than its peer never does.
void trp_stream_consume(trp_stream_t *stream, uint64_t through) {
  if (through <= stream->consumed) {
    return;
  }
  if (through > stream->sent_cost) {
    stream->net->counters.bad_credit++;
    return;
  }
  stream->consumed = through;
  uint64_t outstanding = stream->sent_cost - through;
  if (stream->grows && outstanding < TRP_CREDIT_STEP) {
    stream->grows = false;
    if (stream->credit < TRP_SOCKET_CREDIT_MAX) {
      stream->credit *= 2;
    }
  }
  if (stream->stopped && outstanding <= stream->credit / 2) {
    stream->stopped = false;
    trp_stream_mark(stream);
  }
}

void trp_stream_unstall(trp_stream_t *stream) {
  stream->stalled = false;
  trp_list_remove(&stream->in_stalled);
  trp_stream_mark(stream);
}

/// Tells the transport what is wanted, when that has changed: it costs a system call.
static void update_want(trp_stream_t *stream) {
  unsigned mask = 0;
  if (trp_stream_receives(stream->state) && !stream->frozen && !stream->held) {
    if (!stream->paused && !stream->stopped && !stream->stalled) {
      mask = TRP_READ;
    } else if (stream->paused && !stream->hangup_seen) {
      mask = TRP_HANGUP; // of one that only waits for its actor, what the kernel has is read first
    }
  }
  if (!trp_writes_empty(&stream->writes)) {
    mask |= TRP_WRITE;
  }
  if (mask == stream->wanted) {
    return;
  }
  int error = stream->net->ops->want(stream->net->transport, stream->handle, mask);
  if (error != 0) {
    trp_stream_fail_with(stream, error, "read");
    return;
  }
  bool reads_again = mask & ~stream->wanted & TRP_READ;
  stream->wanted = (uint8_t)mask;
  if (reads_again) {
    stream->began_ns = stream->net->now_ns;
    if (stream->options.first_byte_deadline_ms != 0 && stream->bytes_read == 0) {
      trp_stream_arm(stream);
    }
  }
}

// ---- Writing ----

void trp_stream_mark(trp_stream_t *stream) {
  if (stream->handle != NULL && !trp_list_holds(&stream->in_dirty)) {
    trp_list_append(&stream->net->dirty_streams, &stream->in_dirty);
  }
}

void trp_streams_write(trp_net_t *net) {
  for (trp_link_t *link; (link = trp_list_take(&net->dirty_streams)) != NULL;) {
    pump(TRP_LIST_ENTRY(link, trp_stream_t, in_dirty));
  }
}

/// Writes what can be written, then FIN if it is its turn, and brings what is wanted up to date.
static void pump(trp_stream_t *stream) {
  trp_net_t *net = stream->net;
  if (!trp_writes_empty(&stream->writes)) {
    int error = write_queue(stream);
    if (error != 0) {
      trp_stream_fail_with(stream, error, "write");
      return;
    }
  }
  if (trp_writes_empty(&stream->writes) && trp_stream_ends(stream->state)) {
    int error = net->ops->shutdown(net->transport, stream->handle);
    // A peer that has gone before gets no FIN; as in Node that counts as sent.
    if (error != 0 && error != TROUPE_ENOTCONN) {
      trp_stream_fail_with(stream, error, "shutdown");
      return;
    }
    step(stream, TRP_STREAM_FIN_SENT, NULL);
  }
  if (stream->state != TRP_STREAM_CLOSED) {
    update_want(stream);
  }
}

/// Returns 0 when everything is written or the kernel takes no more for now, or an error.
static int write_queue(trp_stream_t *stream) {
  trp_net_t *net = stream->net;
  struct iovec parts[TRP_WRITE_PARTS];
  for (int round = 0; round < WRITE_ROUNDS && !trp_writes_empty(&stream->writes); round++) {
    size_t size = 0;
    int count = trp_writes_parts(&stream->writes, parts, TRP_WRITE_PARTS, &size);
    ssize_t taken = 0;
    if (count > 0) {
      taken = net->ops->write(net->transport, stream->handle, parts, count);
    }
    if (taken == -EAGAIN) {
      break;
    }
    if (taken < 0) {
      return (int)taken;
    }
    stream->written += (uint64_t)taken;
    if (trp_writes_taken(&stream->writes, &net->write_store, (size_t)taken) &&
        !trp_list_holds(&stream->in_due)) {
      trp_list_append(&net->due_streams, &stream->in_due);
    }
    stream->progress_ns = net->now_ns;
    trp_stream_note_activity(stream);
    if ((size_t)taken < size) {
      break;
    }
  }
  if (stream->options.write_stall_deadline_ms != 0 && !trp_writes_empty(&stream->writes)) {
    trp_stream_arm(stream);
  }
  return 0;
}

// ---- Describing ----

void trp_stream_describe(const trp_stream_t *stream, troupe_handle_t *handle) {
  handle->kind = TROUPE_HANDLE_SOCKET;
  handle->owner.id = stream->owner->id;
  handle->state = trp_stream_state_word(stream->state);
  trp_texts_copy(handle->made_at, stream->made_at);
  if (stream->handle != NULL) {
    stream->net->ops->names(stream->net->transport, stream->handle, &handle->local,
                            &handle->remote);
  }
}

// ---- Commands ----

void trp_stream_execute(trp_stream_t *stream, const trp_command_t *command) {
  const trp_message_t *message = command->message;
  if (stream->state == TRP_STREAM_CLOSED) {
    stream->net->counters.unknown_subject++; // it only waits for memory to say so
    return;
  }
  trp_stream_consume(stream, message->through);
  switch (message->kind) {
  case TRP_KIND(COMMAND_WRITE):
    write_command(stream, command);
    break;
  case TRP_KIND(COMMAND_END):
    step(stream, message->flags & TRP_FLAG(DESTROY) ? TRP_STREAM_FINISH : TRP_STREAM_END, NULL);
    if (stream->state != TRP_STREAM_CLOSED) {
      trp_stream_mark(stream);
    }
    break;
  case TRP_KIND(COMMAND_DESTROY):
  case TRP_KIND(COMMAND_RESET):
    // As in Node, where a write leaves at once: what was written just before still gets its one
    // chance.
    if (trp_list_holds(&stream->in_dirty) && stream->handle != NULL) {
      (void)write_queue(stream);
    }
    step(stream, message->kind == TRP_KIND(COMMAND_RESET) ? TRP_STREAM_RESET : TRP_STREAM_DESTROY,
         NULL);
    break;
  case TRP_KIND(COMMAND_PAUSE):
    stream->paused = true;
    stream->held |= stream->handle == NULL || (message->flags & TRP_FLAG(UNHEARD)) != 0;
    trp_stream_mark(stream);
    break;
  case TRP_KIND(COMMAND_RESUME):
    stream->paused = stream->held = false;
    trp_stream_mark(stream);
    break;
  case TRP_KIND(COMMAND_CREDIT):
    break;
  case TRP_KIND(COMMAND_OPTIONS):
    change_options(stream, message->options);
    break;
  case TRP_KIND(COMMAND_FREEZE):
    trp_stream_freeze(stream, command);
    break;
  case TRP_KIND(COMMAND_GIVE):
    trp_stream_give(stream, command);
    break;
  default:
    stream->net->counters.unknown_kind++;
    break;
  }
}

static void write_command(trp_stream_t *stream, const trp_command_t *command) {
  const trp_message_t *message = command->message;
  trp_net_t *net = stream->net;
  if (trp_stream_next(stream->state, TRP_STREAM_WRITE).actions & TRP_STREAM_REFUSE) {
    net->counters.refused++;
    return;
  }
  if (trp_writes_empty(&stream->writes)) {
    stream->progress_ns = net->now_ns;
  }
  if (trp_writes_add(&stream->writes, &net->write_store, trp_in_frame(command->in, message),
                     message->offset, message->length,
                     (message->flags & TRP_FLAG(NOTIFY)) != 0) != 0) {
    trp_stream_fail_with(stream, TROUPE_ENOMEM, "write");
    return;
  }
  stream->accepted += message->length;
  trp_stream_mark(stream);
}

static void change_options(trp_stream_t *stream, const Troupe__Wire__Options *options) {
  trp_options_merge(&stream->options, options);
  if (stream->handle != NULL) {
    trp_socket_options_t changed = {0};
    trp_options_merge(&changed, options);
    trp_options_apply(&changed, stream->net->transport, stream->handle);
  }
  if (options->set_timeout) {
    stream->active_ns = stream->net->now_ns;
    stream->timeout_told = false;
  }
  trp_stream_arm(stream);
}
