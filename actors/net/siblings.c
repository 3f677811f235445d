#include "actors/net/siblings.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/context.h"

static unsigned number_of(const trp_net_t *net);
static void mark(trp_net_t *net, trp_sibling_t *sibling);
static bool tell_lost(trp_net_t *net, unsigned io);
static void tell_ids(trp_net_t *net, unsigned io, uint64_t *ids, size_t *count, uint32_t flags);
static void begin_round(trp_net_t *net);
static void end_round(trp_net_t *net);
static void run_all(trp_link_t *list);
static void drop_unsent(trp_net_t *net, trp_sibling_t *sibling);

void trp_siblings_init(trp_siblings_t *siblings) {
  trp_list_init(&siblings->dirty);
  trp_list_init(&siblings->current);
  trp_list_init(&siblings->next);
}

int trp_net_join(trp_net_t *net, unsigned io_actors) {
  trp_siblings_t *siblings = &net->siblings;
  trp_sibling_t *all = calloc(io_actors, sizeof *all);
  trp_place_t **places = calloc(io_actors, sizeof *places);
  if (all == NULL || places == NULL) {
    free(all);
    free(places);
    return TROUPE_ENOMEM;
  }
  siblings->all = all;
  siblings->places = places;
  siblings->count = io_actors;
  for (unsigned i = 0; i < io_actors; i++) {
    places[i] = &all[i].place;
    all[i].place = (trp_place_t){.id = trp_id_actor(i + 1), .credit = 1};
    trp_out_init(&all[i].out, net->self, trp_id_actor(i + 1), net->pool);
    trp_list_init(&all[i].in_dirty);
  }
  net->window = TRP_ACTOR_WINDOW / io_actors;
  return 0;
}

int trp_net_meet(trp_net_t *net) {
  for (unsigned io = 1; io <= net->siblings.count; io++) {
    // All have a pipe to the first and it has one to each; others are made when they are needed.
    bool needed = io != number_of(net) && (io == 1 || number_of(net) == 1);
    int error = needed ? trp_inbox_reach(net->inbox, trp_id_actor(io)) : 0;
    if (error != 0) {
      return error;
    }
  }
  return 0;
}

void trp_siblings_free(trp_net_t *net) {
  trp_siblings_t *siblings = &net->siblings;
  run_all(&siblings->current);
  run_all(&siblings->next);
  for (unsigned i = 0; i < siblings->count; i++) {
    drop_unsent(net, &siblings->all[i]);
    trp_out_free(&siblings->all[i].out);
    free(siblings->all[i].lost);
  }
  free(siblings->all);
  free(siblings->places);
  siblings->count = 0;
}

/// Descriptors in batches that could not be sent are nobody else's.
static void drop_unsent(trp_net_t *net, trp_sibling_t *sibling) {
  for (size_t i = 0; i < sibling->out.count; i++) {
    const trp_message_t *message = sibling->out.messages[i];
    trp_handle_t *handle = NULL;
    if (message->kind == TRP_KIND(COMMAND_TAKE) &&
        net->ops->take(net->transport, message->take->fd, message->take->tcp, &handle) == 0) {
      net->ops->close(net->transport, handle);
    }
  }
}

static unsigned number_of(const trp_net_t *net) {
  return trp_id_creator(net->self);
}

unsigned trp_siblings_pick(trp_net_t *net) {
  trp_siblings_t *siblings = &net->siblings;
  if (siblings->count <= 1) {
    return number_of(net);
  }
  return (unsigned)trp_placement_pick(TRP_PLACE_LEAST_CONNECTIONS, siblings->places,
                                      siblings->count, &siblings->cursor, 0) +
         1;
}

trp_sibling_t *trp_sibling_of(trp_net_t *net, unsigned io) {
  return &net->siblings.all[io - 1];
}

trp_message_t *trp_sibling_tell(trp_net_t *net, unsigned io, Troupe__Wire__Kind kind,
                                uint64_t subject) {
  trp_sibling_t *sibling = trp_sibling_of(net, io);
  trp_message_t *message = trp_out_add(&sibling->out, kind, subject);
  if (message != NULL) {
    mark(net, sibling);
  }
  return message;
}

static void mark(trp_net_t *net, trp_sibling_t *sibling) {
  if (!trp_list_holds(&sibling->in_dirty)) {
    trp_list_append(&net->siblings.dirty, &sibling->in_dirty);
  }
}

// ---- Connections that are gone ----

int trp_sibling_reserve(trp_sibling_t *sibling) {
  size_t needed = sibling->lost_count + sibling->served + 1;
  if (needed <= sibling->lost_capacity) {
    return 0;
  }
  size_t capacity = needed + needed / 8 + TRP_UNTOLD_MAX;
  uint64_t *lost = realloc(sibling->lost, capacity * sizeof *lost);
  if (lost == NULL) {
    return TROUPE_ENOMEM;
  }
  sibling->lost = lost;
  sibling->lost_capacity = capacity;
  return 0;
}

void trp_sibling_lose(trp_net_t *net, uint64_t id, bool untold) {
  unsigned io = trp_id_creator(id);
  trp_sibling_t *sibling = trp_sibling_of(net, io);
  if (!untold) {
    sibling->served--;
    sibling->lost[sibling->lost_count++] = id;
  } else {
    if (sibling->untold_count == TRP_UNTOLD_MAX) {
      tell_ids(net, io, sibling->untold, &sibling->untold_count, TRP_FLAG(UNTOLD));
    }
    if (sibling->untold_count == TRP_UNTOLD_MAX) {
      net->counters.undeliverable++; // no memory for so long: the other one goes on counting it
      return;
    }
    sibling->untold[sibling->untold_count++] = id;
  }
  mark(net, sibling);
}

/// Puts them into messages; false: not all.
static bool tell_lost(trp_net_t *net, unsigned io) {
  trp_sibling_t *sibling = trp_sibling_of(net, io);
  tell_ids(net, io, sibling->lost, &sibling->lost_count, TRP_FLAG(NONE));
  tell_ids(net, io, sibling->untold, &sibling->untold_count, TRP_FLAG(UNTOLD));
  bool all = sibling->lost_count == 0 && sibling->untold_count == 0;
  if (all && sibling->asked != 0) {
    trp_message_t *message = trp_sibling_tell(net, io, TRP_KIND(COMMAND_SYNCED), 0);
    if (message != NULL) {
      message->through = sibling->asked;
      sibling->asked = 0;
    }
  }
  return all && sibling->asked == 0;
}

/// As many as there is memory for.
static void tell_ids(trp_net_t *net, unsigned io, uint64_t *ids, size_t *count, uint32_t flags) {
  size_t told = 0;
  while (told < *count) {
    trp_message_t *message = trp_sibling_tell(net, io, TRP_KIND(COMMAND_LOST), ids[told]);
    if (message == NULL) {
      break;
    }
    message->flags = flags;
    told++;
  }
  if (told > 0) {
    *count -= told;
    memmove(ids, ids + told, *count * sizeof *ids);
  }
}

// ---- Making sure ----

bool trp_siblings_lag(const trp_net_t *net) {
  return trp_map_count(&net->dealt) > 0;
}

void trp_siblings_sync(trp_net_t *net, trp_sync_t *sync) {
  trp_siblings_t *siblings = &net->siblings;
  if (trp_list_holds(&sync->in_list)) {
    return;
  }
  // What goes on was asked for too early to count for this one.
  trp_list_append(&siblings->next, &sync->in_list);
  if (siblings->waiting == 0) {
    begin_round(net);
  }
}

static void begin_round(trp_net_t *net) {
  trp_siblings_t *siblings = &net->siblings;
  siblings->round++;
  for (trp_link_t *link; (link = trp_list_take(&siblings->next)) != NULL;) {
    trp_list_append(&siblings->current, link);
  }
  for (unsigned io = 1; io <= siblings->count; io++) {
    if (io == number_of(net) || trp_sibling_of(net, io)->place.connections == 0) {
      continue;
    }
    // Without memory to ask it, the answer may come a little too early.
    trp_message_t *message = trp_sibling_tell(net, io, TRP_KIND(COMMAND_SYNC), 0);
    if (message != NULL) {
      message->through = siblings->round;
      siblings->waiting++;
    }
  }
  if (siblings->waiting == 0) {
    end_round(net);
  }
}

static void end_round(trp_net_t *net) {
  trp_siblings_t *siblings = &net->siblings;
  run_all(&siblings->current);
  if (siblings->waiting == 0 && !trp_list_empty(&siblings->next)) {
    begin_round(net);
  }
}

static void run_all(trp_link_t *list) {
  trp_link_t now;
  trp_list_init(&now);
  for (trp_link_t *link; (link = trp_list_take(list)) != NULL;) {
    trp_list_append(&now, link);
  }
  for (trp_link_t *link; (link = trp_list_take(&now)) != NULL;) {
    trp_sync_t *sync = TRP_LIST_ENTRY(link, trp_sync_t, in_list);
    sync->run(sync);
  }
}

void trp_siblings_asked(const trp_command_t *command) {
  unsigned io = trp_id_creator(command->sender);
  trp_sibling_of(command->net, io)->asked = command->message->through;
  if (!tell_lost(command->net, io)) {
    mark(command->net, trp_sibling_of(command->net, io));
  }
}

void trp_siblings_answered(const trp_command_t *command) {
  trp_siblings_t *siblings = &command->net->siblings;
  if (command->message->through == siblings->round && siblings->waiting > 0 &&
      --siblings->waiting == 0) {
    end_round(command->net);
  }
}

// ---- Descriptors ----

void trp_siblings_short(trp_net_t *net) {
  for (unsigned io = 1; io <= net->siblings.count; io++) {
    if (io != number_of(net)) {
      // Without memory for it, the listener tries again by itself.
      (void)trp_sibling_tell(net, io, TRP_KIND(COMMAND_SHORT), 0);
    }
  }
}

void trp_siblings_want(const trp_command_t *command) {
  trp_sibling_of(command->net, trp_id_creator(command->sender))->wants_descriptor = true;
  command->net->siblings.wanted = true;
}

void trp_siblings_freed(const trp_command_t *command) {
  command->net->retry_parked = true;
}

void trp_siblings_tell_freed(trp_net_t *net) {
  for (unsigned io = 1; io <= net->siblings.count; io++) {
    trp_sibling_t *sibling = trp_sibling_of(net, io);
    if (sibling->wants_descriptor) {
      sibling->wants_descriptor = false;
      (void)trp_sibling_tell(net, io, TRP_KIND(COMMAND_FREED), 0);
    }
  }
  net->siblings.wanted = false;
}

// ---- The end of a turn ----

void trp_siblings_flush(trp_net_t *net) {
  trp_link_t later;
  trp_list_init(&later);
  for (trp_link_t *link; (link = trp_list_take(&net->siblings.dirty)) != NULL;) {
    trp_sibling_t *sibling = TRP_LIST_ENTRY(link, trp_sibling_t, in_dirty);
    unsigned io = trp_id_creator(sibling->out.to);
    bool all = tell_lost(net, io);
    trp_list_remove(&sibling->in_dirty);
    bool sent = trp_out_empty(&sibling->out) || trp_inbox_send(net->inbox, &sibling->out) == 0;
    if (!all || !sent) {
      trp_list_append(&later, &sibling->in_dirty);
      trp_net_retry(net, TRP_RETRY_NS);
    }
  }
  for (trp_link_t *link; (link = trp_list_take(&later)) != NULL;) {
    trp_list_append(&net->siblings.dirty, link);
  }
}
