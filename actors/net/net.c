// The front of the socket logic: commands are told apart here and handed to the part that carries
// them out, and the transport's callbacks find their way to what they are about.

#include "actors/net/net.h"

#include <stdlib.h>
#include <troupe/error.h>

#include "actors/net/blocks.h"
#include "actors/net/connector.h"
#include "actors/net/context.h"
#include "actors/net/dealing.h"
#include "actors/net/listener.h"
#include "actors/net/member.h"
#include "actors/net/owners.h"
#include "actors/net/stream.h"

/// Who may give a command.
typedef enum {
  OWNERS,   // actors that have said hello
  ANYBODY,  // others, too
  SIBLINGS, // the other I/O actors
} senders_t;

/// How a kind of command is carried out.
typedef struct {
  void (*run)(const trp_command_t *command);
  Troupe__Wire__Message__DetailCase detail; // which it must have; 0: none is needed
  senders_t from;
} order_t;

static void run_command(const trp_command_t *command);
static bool is_sibling(const trp_net_t *net, uint64_t sender);
static void run_on_subject(const trp_command_t *command);
static void run_on_member(trp_member_t *member, const trp_command_t *command);
static void ignore(const trp_command_t *command);
static void ready(void *context, void *owner, unsigned mask);
static void resolved(void *context, void *owner, const trp_resolved_t *result);
static void time_has_come(void *context);
static void run_retry(trp_due_t *due);
static void free_buried(trp_net_t *net);

static const order_t orders[] = {
    [TRP_KIND(COMMAND_HELLO)] = {trp_owner_hello, TRP_DETAIL(HELLO), ANYBODY},
    [TRP_KIND(COMMAND_BYE)] = {trp_owner_bye, TRP_DETAIL(BYE), OWNERS},
    [TRP_KIND(COMMAND_CONNECT)] = {trp_stream_connect, TRP_DETAIL(CONNECT), OWNERS},
    [TRP_KIND(COMMAND_ADOPT)] = {trp_stream_adopt, TRP_DETAIL(ADOPT), OWNERS},
    [TRP_KIND(COMMAND_WRITE)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_END)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_DESTROY)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_RESET)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_PAUSE)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_RESUME)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_CREDIT)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_OPTIONS)] = {run_on_subject, TRP_DETAIL(OPTIONS), OWNERS},
    [TRP_KIND(COMMAND_FREEZE)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_GIVE)] = {run_on_subject, TRP_DETAIL(GIVE), OWNERS},
    [TRP_KIND(COMMAND_LISTEN)] = {trp_member_listen, TRP_DETAIL(LISTEN), OWNERS},
    [TRP_KIND(COMMAND_CLOSE)] = {run_on_subject, 0, OWNERS},
    [TRP_KIND(COMMAND_BLOCK_LIST)] = {trp_blocks_define, TRP_DETAIL(BLOCK_LIST), OWNERS},
    [TRP_KIND(COMMAND_COUNT)] = {trp_member_count, TRP_DETAIL(COUNT), OWNERS},
    [TRP_KIND(COMMAND_WATCH)] = {trp_owner_watch, 0, OWNERS},
    [TRP_KIND(COMMAND_UNWATCH)] = {trp_owner_unwatch, 0, OWNERS},
    [TRP_KIND(COMMAND_SEND)] = {trp_owner_send, 0, ANYBODY},
    [TRP_KIND(COMMAND_PIPE)] = {trp_owner_pipe, 0, OWNERS},
    [TRP_KIND(COMMAND_FORGET)] = {ignore, 0, OWNERS}, // tokens are the system's; it posts to who is
                                                      // interested
    [TRP_KIND(COMMAND_SEND_CREDIT)] = {trp_owner_send_credit, 0, OWNERS},
    [TRP_KIND(COMMAND_TAKE)] = {trp_dealt_take, TRP_DETAIL(TAKE), SIBLINGS},
    [TRP_KIND(COMMAND_LOST)] = {trp_dealt_lost, 0, SIBLINGS},
    [TRP_KIND(COMMAND_ENDED)] = {trp_owner_ended, 0, SIBLINGS},
    [TRP_KIND(COMMAND_SYNC)] = {trp_siblings_asked, 0, SIBLINGS},
    [TRP_KIND(COMMAND_SYNCED)] = {trp_siblings_answered, 0, SIBLINGS},
    [TRP_KIND(COMMAND_SHORT)] = {trp_siblings_want, 0, SIBLINGS},
    [TRP_KIND(COMMAND_FREED)] = {trp_siblings_freed, 0, SIBLINGS},
};

enum { ORDERS = sizeof orders / sizeof orders[0] };

int trp_net_new(uint64_t self, trp_transport_t *transport, trp_inbox_t *inbox, trp_pool_t *pool,
                trp_net_t **made) {
  trp_net_t *net = calloc(1, sizeof *net);
  if (net == NULL) {
    return TROUPE_ENOMEM;
  }
  net->self = self;
  net->transport = transport;
  net->ops = transport->ops;
  net->inbox = inbox;
  net->pool = pool;
  net->retry.run = run_retry;
  net->window = TRP_ACTOR_WINDOW;
  trp_siblings_init(&net->siblings);
  trp_map_init(&net->owners);
  trp_map_init(&net->subjects);
  trp_timers_init(&net->timers, transport);
  trp_list_init(&net->dirty_owners);
  trp_list_init(&net->ended_owners);
  trp_list_init(&net->dirty_streams);
  trp_list_init(&net->due_streams);
  trp_list_init(&net->owing_streams);
  trp_list_init(&net->owing_members);
  trp_list_init(&net->dropping);
  trp_list_init(&net->listeners);
  transport->callbacks = (trp_transport_callbacks_t){
      .ready = ready, .resolved = resolved, .timer = time_has_come};
  transport->context = net;
  net->now_ns = net->ops->now(transport);
  *made = net;
  return 0;
}

void trp_net_free(trp_net_t **freed) {
  trp_net_t *net = *freed;
  if (net == NULL) {
    return;
  }
  *freed = NULL;
  trp_owners_free(net);
  trp_dealt_free(net);
  trp_siblings_free(net);
  free_buried(net);
  trp_streams_free(net);
  trp_write_store_free(&net->write_store);
  trp_texts_free(&net->texts);
  trp_map_free(&net->subjects);
  trp_timers_free(&net->timers);
  net->transport->callbacks = (trp_transport_callbacks_t){0};
  net->transport->context = NULL;
  free(net);
}

// ---- Commands ----

void trp_net_execute(trp_net_t *net, const trp_in_t *in) {
  const trp_wire_batch_t *batch = in->batch;
  trp_command_t command = {.net = net, .sender = batch->sender, .in = in};
  net->now_ns = net->ops->now(net->transport);
  net->cause_sender = batch->sender;
  trp_owner_t *owner = trp_owner_find(net, batch->sender);
  if (owner != NULL) {
    owner->quiet_drops = 0;
    trp_owner_set_window(owner, batch->window);
  }
  for (size_t i = 0; i < batch->n_messages; i++) {
    command.message = batch->messages[i];
    net->cause_sequence = batch->first_sequence + i;
    run_command(&command);
  }
  // What all of the batch's writes to one socket gave leaves in one system call.
  trp_streams_write(net);
  net->cause_sender = net->cause_sequence = 0;
}

void trp_net_undecodable(trp_net_t *net) {
  net->counters.undecodable++;
}

static void run_command(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const trp_message_t *message = command->message;
  unsigned kind = (unsigned)message->kind;
  const order_t *order = kind < ORDERS ? &orders[kind] : NULL;
  net->counters.commands++;
  if (order == NULL || order->run == NULL ||
      (order->detail != 0 && message->detail_case != order->detail)) {
    net->counters.unknown_kind++;
    return;
  }
  // Hello and bye change who the sender is, so it is looked up for each of its commands; batches
  // are short, and it lies in the cache.
  trp_command_t complete = *command;
  complete.owner = trp_owner_find(net, command->sender);
  bool may = order->from == SIBLINGS ? is_sibling(net, command->sender)
                                     : complete.owner != NULL || order->from == ANYBODY;
  if (!may) {
    net->counters.not_owner++;
    return;
  }
  order->run(&complete);
}

static bool is_sibling(const trp_net_t *net, uint64_t sender) {
  return trp_id_is_io_actor(sender) && sender != net->self &&
         trp_id_creator(sender) <= net->siblings.count;
}

/// Commands to what is in the table: only its owner may give them, and in its current epoch.
static void run_on_subject(const trp_command_t *command) {
  trp_net_t *net = command->net;
  trp_subject_t *subject = trp_map_get(&net->subjects, command->message->subject);
  if (subject == NULL) {
    net->counters.unknown_subject++;
    return;
  }
  if (subject->tag == TRP_TAG_MEMBER) {
    run_on_member((trp_member_t *)(void *)subject, command);
    return;
  }
  if (subject->tag != TRP_TAG_STREAM) {
    net->counters.unknown_kind++;
    return;
  }
  trp_stream_t *stream = (trp_stream_t *)(void *)subject;
  if (stream->epoch != command->message->epoch) {
    net->counters.stale_epoch++;
  } else if (stream->owner != command->owner) {
    net->counters.not_owner++;
  } else {
    trp_stream_execute(stream, command);
  }
}

static void run_on_member(trp_member_t *member, const trp_command_t *command) {
  trp_net_t *net = command->net;
  const trp_message_t *message = command->message;
  if (member->owner != command->owner) {
    net->counters.not_owner++;
    return;
  }
  trp_member_set_dispatched(member, message->through);
  switch (message->kind) {
  case TRP_KIND(COMMAND_CREDIT):
    break;
  case TRP_KIND(COMMAND_OPTIONS):
    trp_member_change_options(member, message->options);
    break;
  case TRP_KIND(COMMAND_CLOSE):
    trp_member_close(member);
    break;
  default:
    net->counters.unknown_kind++;
    break;
  }
}

static void ignore(const trp_command_t *command) {
  (void)command;
}

int trp_net_post(trp_net_t *net, uint64_t actor, Troupe__Wire__Kind kind, uint64_t subject,
                 uint32_t grace_ms, const void *bytes, size_t length) {
  trp_owner_t *owner = trp_owner_find(net, actor);
  if (owner == NULL) {
    net->counters.undeliverable++;
    return TROUPE_ENOACTOR;
  }
  trp_message_t *event = trp_owner_tell(owner, kind, subject);
  if (event == NULL) {
    return TROUPE_ENOMEM;
  }
  if (length > UINT32_MAX ||
      (bytes != NULL && trp_out_copy(&owner->out, event, bytes, length) != 0)) {
    goto no_memory;
  }
  if (kind == TRP_KIND(EVENT_STOP)) {
    event->stop = trp_out_take(&owner->out, sizeof *event->stop);
    if (event->stop == NULL) {
      goto no_memory;
    }
    *event->stop = (Troupe__Wire__Stop)TROUPE__WIRE__STOP__INIT;
    event->stop->grace_ms = grace_ms;
    event->detail_case = TRP_DETAIL(STOP);
  } else if (kind == TRP_KIND(EVENT_RECORDING_STOPPED)) {
    event->error = trp_out_take(&owner->out, sizeof *event->error);
    if (event->error == NULL) {
      goto no_memory;
    }
    *event->error = (Troupe__Wire__Error)TROUPE__WIRE__ERROR__INIT;
    event->error->code = -(int32_t)grace_ms;
    event->detail_case = TRP_DETAIL(ERROR);
  } else if (kind == TRP_KIND(EVENT_MESSAGE)) {
    event->send = trp_out_take(&owner->out, sizeof *event->send);
    if (event->send == NULL) {
      goto no_memory;
    }
    *event->send = (Troupe__Wire__Send)TROUPE__WIRE__SEND__INIT;
    event->send->from = TRP_ID_SYSTEM;
    event->detail_case = TRP_DETAIL(SEND);
  }
  return 0;

no_memory:
  trp_out_undo(&owner->out);
  return TROUPE_ENOMEM;
}

// ---- The end of a turn ----

void trp_net_flush(trp_net_t *net) {
  if (!trp_list_empty(&net->dirty_streams)) {
    trp_streams_write(net);
  }
  trp_streams_flush(net);
  if (net->retry_parked) {
    net->retry_parked = false;
    if (net->parked > 0) {
      trp_listeners_retry(net);
    }
    if (net->siblings.wanted) {
      trp_siblings_tell_freed(net);
    }
  }
  trp_members_flush(net);
  trp_owners_flush(net);
  if (!trp_list_empty(&net->siblings.dirty)) {
    trp_siblings_flush(net);
  }
  free_buried(net);
  trp_timers_arm(&net->timers);
}

void trp_net_retry(trp_net_t *net, int64_t delay_ns) {
  // Without memory even for this, the next turn tries.
  (void)trp_timers_set_by(&net->timers, &net->retry, net->now_ns + delay_ns);
}

/// Nothing to do: the end of this turn tries again what could not be sent.
static void run_retry(trp_due_t *due) {
  (void)due;
}

void trp_subject_bury(trp_net_t *net, trp_subject_t *subject) {
  if (trp_map_get(&net->subjects, subject->id) == subject) {
    trp_map_remove(&net->subjects, subject->id);
  }
  subject->tag = TRP_TAG_BURIED;
  subject->next_buried = net->buried;
  net->buried = subject;
}

static void free_buried(trp_net_t *net) {
  while (net->buried != NULL) {
    trp_subject_t *subject = net->buried;
    net->buried = subject->next_buried;
    subject->release(net, subject);
  }
}

void trp_net_close_handle(trp_net_t *net, trp_handle_t *handle) {
  net->ops->close(net->transport, handle);
  net->retry_parked = true;
}

void trp_net_discard_descriptor(trp_net_t *net, int fd) {
  trp_fd_kind_t kind;
  trp_handle_t *handle = NULL;
  if (net->ops->adopt(net->transport, fd, &kind, &handle) == 0) {
    trp_net_close_handle(net, handle);
  }
}

uint64_t trp_net_new_id(trp_net_t *net, unsigned io) {
  if (net->last_counter == TRP_ID_COUNTER_MAX) {
    return 0;
  }
  return trp_id_make(io, trp_id_creator(net->self), ++net->last_counter);
}

int trp_net_knows(trp_net_t *net, uint64_t actor) {
  if (trp_owner_find(net, actor) != NULL) {
    return 1;
  }
  return trp_map_remove(&net->refused, actor) == NULL ? 0 : TROUPE_EMFILE;
}

const trp_net_counters_t *trp_net_counters(const trp_net_t *net) {
  return &net->counters;
}

// ---- What is open ----

size_t trp_net_handles(trp_net_t *net, troupe_handle_t *handles, size_t capacity) {
  size_t count = 0;
  size_t cursor = 0;
  uint64_t id = 0;
  void *value = NULL;
  while (trp_map_iterate(&net->subjects, &cursor, &id, &value)) {
    const trp_subject_t *subject = value;
    troupe_handle_t handle = {.id = id};
    if (subject->tag == TRP_TAG_STREAM) {
      trp_stream_describe(value, &handle);
    } else if (subject->tag == TRP_TAG_MEMBER) {
      trp_member_describe(value, &handle);
    }
    if (handle.owner.id == 0) {
      continue; // a block list, or a server whose actor has ended
    }
    if (count < capacity) {
      handles[count] = handle;
    }
    count++;
  }
  return count;
}

// ---- Callbacks of the transport ----

static void ready(void *context, void *owner, unsigned mask) {
  trp_net_t *net = context;
  trp_subject_t *subject = owner;
  net->now_ns = net->ops->now(net->transport);
  switch (subject->tag) {
  case TRP_TAG_STREAM:
    trp_stream_ready((trp_stream_t *)(void *)subject, mask);
    break;
  case TRP_TAG_LISTENER:
    trp_listener_ready((trp_listener_t *)(void *)subject);
    break;
  case TRP_TAG_ATTEMPT:
    trp_connector_ready((trp_attempt_t *)(void *)subject);
    break;
  default: // its handle was closed: the transport will not come again
    break;
  }
}

static void resolved(void *context, void *owner, const trp_resolved_t *result) {
  trp_net_t *net = context;
  trp_subject_t *subject = owner;
  net->now_ns = net->ops->now(net->transport);
  if (subject->tag == TRP_TAG_CONNECTOR) {
    trp_connector_resolved((trp_connector_t *)(void *)subject, result);
  } else if (subject->tag == TRP_TAG_MEMBER) {
    trp_member_resolved((trp_member_t *)(void *)subject, result);
  }
}

static void time_has_come(void *context) {
  trp_net_t *net = context;
  net->now_ns = net->ops->now(net->transport);
  trp_timers_run(&net->timers, net->now_ns);
}
