#include "actors/net/owners.h"

#include <stdlib.h>
#include <troupe/error.h>

#include "actors/net/blocks.h"
#include "actors/net/member.h"
#include "actors/net/stream.h"
#include "core/support/assert.h"

/// That one actor wants to know of another one's end.
typedef struct trp_watch {
  trp_owner_t *watcher, *target;
  trp_link_t in_target, in_watcher;
  bool pipe; // wants EVENT_GONE, not EVENT_DOWN
} trp_watch_t;

static trp_watch_t *find_watch(const trp_owner_t *target, const trp_owner_t *watcher, bool pipe);
static bool add_watch(trp_owner_t *target, trp_owner_t *watcher, bool pipe);
static void free_watch(trp_watch_t *watch);
static void tell_down(trp_owner_t *watcher, uint64_t target, Troupe__Wire__Reason reason,
                      int32_t status);
static void tell_gone(trp_owner_t *owner, uint64_t target);
static bool is_first(const trp_net_t *net);
static void tell_end(trp_owner_t *owner);
static bool tell_first(trp_owner_t *owner);
static void drop_all(trp_owner_t *owner);
static void free_owner(trp_owner_t *owner);

trp_owner_t *trp_owner_find(const trp_net_t *net, uint64_t id) {
  trp_owner_t *owner = trp_map_get(&net->owners, id);
  return owner == NULL || owner->ended ? NULL : owner;
}

trp_message_t *trp_owner_tell(trp_owner_t *owner, Troupe__Wire__Kind kind, uint64_t subject) {
  trp_net_t *net = owner->net;
  if (trp_out_empty(&owner->out)) {
    owner->out.cause_sender = net->cause_sender;
    owner->out.cause_sequence = net->cause_sequence;
  }
  trp_message_t *message = trp_out_add(&owner->out, kind, subject);
  if (message == NULL) {
    return NULL;
  }
  if (!trp_list_holds(&owner->in_dirty)) {
    trp_list_append(&net->dirty_owners, &owner->in_dirty);
  }
  return message;
}

void trp_owner_set_window(trp_owner_t *owner, uint64_t window) {
  if (window <= owner->window || window > owner->sent_cost) {
    return; // nothing new, or more than was sent
  }
  owner->window = window;
  if (!trp_owner_window_is_full(owner)) {
    while (!trp_list_empty(&owner->stalled)) {
      trp_stream_unstall(TRP_LIST_ENTRY(owner->stalled.next, trp_stream_t, in_stalled));
    }
  }
}

void trp_owner_hello(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const Troupe__Wire__Hello *hello = command->message->hello;
  if (command->owner != NULL || !trp_id_is_actor(command->sender) ||
      trp_id_is_io_actor(command->sender)) {
    net->counters.unknown_kind++;
    return;
  }
  // The pipe is made now: later there may be no descriptor for it, and then even the stop would not
  // get through.
  trp_owner_t *owner = calloc(1, sizeof *owner);
  if (owner == NULL || trp_inbox_reach(net->inbox, command->sender) != 0 ||
      trp_map_put(&net->owners, command->sender, owner) != 0) {
    // Whoever starts the actor asks for it. All that it says will be counted, too.
    free(owner);
    (void)trp_map_put(&net->refused, command->sender, net);
    trp_inbox_forget(net->inbox, command->sender);
    net->counters.undeliverable++;
    return;
  }
  owner->net = net;
  owner->id = command->sender;
  owner->group = hello->group;
  trp_out_init(&owner->out, net->self, owner->id, net->pool);
  trp_list_init(&owner->in_dirty);
  trp_list_init(&owner->streams);
  trp_list_init(&owner->members);
  trp_list_init(&owner->blocks);
  trp_list_init(&owner->stalled);
  trp_list_init(&owner->watchers);
  trp_list_init(&owner->watched);
  net->counters.actors++;
}

void trp_owner_bye(const trp_command_t *command) {
  trp_net_t *net = command->net;
  trp_owner_t *owner = command->owner;
  const Troupe__Wire__Bye *bye = command->message->bye;
  net->counters.actors--;
  owner->ended = true;
  owner->status = bye->status;
  owner->reason = bye->reason;
  owner->others = is_first(net) && net->siblings.count > 1 ? bye->others : 0;
  drop_all(owner);
  if (owner->ended_others >= owner->others) {
    tell_end(owner);
  }
  // Its pipe is closed at the end of the turn; what was still to be sent through it has nobody to
  // read it.
  net->counters.undeliverable += owner->out.count;
  trp_list_remove(&owner->in_dirty);
  trp_list_append(&net->ended_owners, &owner->in_dirty);
}

void trp_owner_ended(const trp_command_t *command) {
  trp_owner_t *owner = trp_map_get(&command->net->owners, command->message->subject);
  if (owner == NULL || ++owner->ended_others < owner->others || !owner->ended) {
    return;
  }
  tell_end(owner);
  if (!trp_list_holds(&owner->in_dirty)) {
    trp_list_append(&command->net->ended_owners, &owner->in_dirty);
  }
}

static bool is_first(const trp_net_t *net) {
  return trp_id_creator(net->self) == 1;
}

/// Nothing that it owned is open any more: whoever wants to know is told, and nobody finds it from
/// now on.
static void tell_end(trp_owner_t *owner) {
  trp_map_remove(&owner->net->owners, owner->id);
  for (trp_link_t *link; (link = trp_list_take(&owner->watchers)) != NULL;) {
    trp_watch_t *watch = TRP_LIST_ENTRY(link, trp_watch_t, in_target);
    if (watch->pipe) {
      tell_gone(watch->watcher, owner->id);
    } else {
      tell_down(watch->watcher, owner->id, owner->reason, owner->status);
    }
    free_watch(watch);
  }
}

/// False: no memory.
static bool tell_first(trp_owner_t *owner) {
  trp_net_t *net = owner->net;
  return is_first(net) || net->siblings.count <= 1 ||
         trp_sibling_tell(net, 1, TRP_KIND(COMMAND_ENDED), owner->id) != NULL;
}

void trp_owner_watch(const trp_command_t *command) {
  // One that ends right now has not been told of to anybody.
  trp_owner_t *target = trp_map_get(&command->net->owners, command->message->subject);
  if (target == NULL || target == command->owner) {
    tell_down(command->owner, command->message->subject, TROUPE__WIRE__REASON__REASON_UNKNOWN, 0);
    return;
  }
  if (!add_watch(target, command->owner, false)) {
    command->net->counters.undeliverable++;
  }
}

void trp_owner_unwatch(const trp_command_t *command) {
  trp_owner_t *target = trp_map_get(&command->net->owners, command->message->subject);
  trp_watch_t *watch = target == NULL ? NULL : find_watch(target, command->owner, false);
  if (watch != NULL) {
    free_watch(watch);
  }
}

void trp_owner_pipe(const trp_command_t *command) {
  trp_owner_t *target = trp_owner_find(command->net, command->message->subject);
  if (target == NULL) {
    tell_gone(command->owner, command->message->subject);
  } else if (!add_watch(target, command->owner, true)) {
    command->net->counters.undeliverable++;
  }
}

void trp_owner_send(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const trp_message_t *message = command->message;
  trp_owner_t *target = trp_owner_find(net, message->subject);
  if (target == NULL) {
    net->counters.undeliverable++;
    if (command->owner != NULL) {
      tell_gone(command->owner, message->subject);
    }
    return;
  }
  trp_message_t *event = trp_owner_tell(target, TRP_KIND(EVENT_MESSAGE), command->sender);
  if (event == NULL) {
    net->counters.undeliverable++;
    return;
  }
  Troupe__Wire__Send *send = trp_out_take(&target->out, sizeof *send);
  if (send == NULL || (message->frame != 0 &&
                       trp_out_attach(&target->out, event, trp_in_frame(command->in, message),
                                      message->offset, message->length) != 0)) {
    trp_out_undo(&target->out);
    net->counters.undeliverable++;
    return;
  }
  *send = (Troupe__Wire__Send)TROUPE__WIRE__SEND__INIT;
  send->from = command->sender;
  event->detail_case = TRP_DETAIL(SEND);
  event->send = send;
}

void trp_owner_send_credit(const trp_command_t *command) {
  trp_owner_t *target = trp_owner_find(command->net, command->message->subject);
  trp_message_t *event = target == NULL ? NULL
                                        : trp_owner_tell(target, TRP_KIND(EVENT_MESSAGE_CREDIT),
                                                         command->sender);
  if (event == NULL) {
    command->net->counters.undeliverable++;
    return;
  }
  event->through = command->message->through;
}

void trp_owners_flush(trp_net_t *net) {
  trp_link_t later;
  trp_list_init(&later);
  for (trp_link_t *link; (link = trp_list_take(&net->dirty_owners)) != NULL;) {
    trp_owner_t *owner = TRP_LIST_ENTRY(link, trp_owner_t, in_dirty);
    if (trp_out_empty(&owner->out)) {
      continue;
    }
    size_t count = owner->out.count;
    if (trp_inbox_send(net->inbox, &owner->out) != 0) {
      trp_list_append(&later, &owner->in_dirty);
      trp_net_retry(net, TRP_RETRY_NS);
      continue;
    }
    net->counters.events += count;
  }
  for (trp_link_t *link; (link = trp_list_take(&later)) != NULL;) {
    trp_list_append(&net->dirty_owners, link);
  }
  for (trp_link_t *link; (link = trp_list_take(&net->ended_owners)) != NULL;) {
    trp_owner_t *owner = TRP_LIST_ENTRY(link, trp_owner_t, in_dirty);
    trp_inbox_forget(net->inbox, owner->id);
    if (!tell_first(owner)) {
      trp_list_append(&later, link);
      trp_net_retry(net, TRP_RETRY_NS);
    } else if (trp_map_get(&net->owners, owner->id) != owner) {
      free_owner(owner);
    }
  }
  for (trp_link_t *link; (link = trp_list_take(&later)) != NULL;) {
    trp_list_append(&net->ended_owners, link);
  }
}

void trp_owners_free(trp_net_t *net) {
  size_t cursor = 0;
  void *value;
  for (trp_link_t *link; (link = trp_list_take(&net->ended_owners)) != NULL;) {
    trp_owner_t *owner = TRP_LIST_ENTRY(link, trp_owner_t, in_dirty);
    if (trp_map_get(&net->owners, owner->id) != owner) {
      free_owner(owner);
    }
  }
  while (trp_map_iterate(&net->owners, &cursor, NULL, &value)) {
    drop_all(value);
  }
  for (cursor = 0; trp_map_iterate(&net->owners, &cursor, NULL, &value);) {
    free_owner(value);
  }
  trp_map_free(&net->owners);
  trp_map_free(&net->refused);
}

/// Linear in the watchers of one actor; fine below some thousands.
static trp_watch_t *find_watch(const trp_owner_t *target, const trp_owner_t *watcher, bool pipe) {
  for (trp_link_t *link = target->watchers.next; link != &target->watchers; link = link->next) {
    trp_watch_t *watch = TRP_LIST_ENTRY(link, trp_watch_t, in_target);
    if (watch->watcher == watcher && watch->pipe == pipe) {
      return watch;
    }
  }
  return NULL;
}

static bool add_watch(trp_owner_t *target, trp_owner_t *watcher, bool pipe) {
  if (find_watch(target, watcher, pipe) != NULL) {
    return true;
  }
  trp_watch_t *watch = malloc(sizeof *watch);
  if (watch == NULL) {
    return false;
  }
  *watch = (trp_watch_t){.watcher = watcher, .target = target, .pipe = pipe};
  trp_list_init(&watch->in_target);
  trp_list_init(&watch->in_watcher);
  trp_list_append(&target->watchers, &watch->in_target);
  trp_list_append(&watcher->watched, &watch->in_watcher);
  return true;
}

static void free_watch(trp_watch_t *watch) {
  trp_list_remove(&watch->in_target);
  trp_list_remove(&watch->in_watcher);
  free(watch);
}

static void tell_down(trp_owner_t *watcher, uint64_t target, Troupe__Wire__Reason reason,
                      int32_t status) {
  trp_message_t *event = trp_owner_tell(watcher, TRP_KIND(EVENT_DOWN), target);
  if (event == NULL) {
    watcher->net->counters.undeliverable++;
    return;
  }
  Troupe__Wire__Bye *detail = trp_out_take(&watcher->out, sizeof *detail);
  if (detail != NULL) { // without it, it is still told that the actor ended
    *detail = (Troupe__Wire__Bye)TROUPE__WIRE__BYE__INIT;
    detail->status = status;
    detail->reason = reason;
    event->detail_case = TRP_DETAIL(BYE);
    event->bye = detail;
  }
}

static void tell_gone(trp_owner_t *owner, uint64_t target) {
  if (trp_owner_tell(owner, TRP_KIND(EVENT_GONE), target) == NULL) {
    owner->net->counters.undeliverable++;
  }
}

/// Closes all that the actor owns, without a word to it.
static void drop_all(trp_owner_t *owner) {
  while (!trp_list_empty(&owner->streams)) {
    trp_stream_drop(TRP_LIST_ENTRY(owner->streams.next, trp_stream_t, in_owner));
  }
  while (!trp_list_empty(&owner->members)) {
    trp_member_drop(TRP_LIST_ENTRY(owner->members.next, trp_member_t, in_owner));
  }
  while (!trp_list_empty(&owner->blocks)) {
    trp_blocks_drop(TRP_LIST_ENTRY(owner->blocks.next, trp_blocks_t, in_owner));
  }
  for (trp_link_t *link; (link = trp_list_take(&owner->watched)) != NULL;) {
    free_watch(TRP_LIST_ENTRY(link, trp_watch_t, in_watcher));
  }
}

static void free_owner(trp_owner_t *owner) {
  TROUPE_ASSERT(trp_list_empty(&owner->streams));
  for (trp_link_t *link; (link = trp_list_take(&owner->watchers)) != NULL;) {
    free_watch(TRP_LIST_ENTRY(link, trp_watch_t, in_target));
  }
  trp_list_remove(&owner->in_dirty);
  trp_out_free(&owner->out);
  free(owner);
}
