/// When what happens: a heap of what is on its way.
#include <stdlib.h>
#include <troupe/error.h>

#include "actors/sim/network_parts.h"
#include "core/support/array.h"

static bool goes_before(const trp_sim_event_t *a, const trp_sim_event_t *b) {
  return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

bool trp_network_schedule(trp_network_t *network, trp_connection_t *connection,
                          trp_sim_event_kind_t kind, int side, size_t length, int64_t due_ns) {
  trp_sim_event_t *grown = trp_array_room(network->events, &network->event_capacity,
                                          network->event_count, sizeof *grown);
  if (grown == NULL) {
    network->no_memory = true;
    return false;
  }
  network->events = grown;
  trp_sim_event_t event = {.due_ns = due_ns,
                           .sequence = network->next_sequence++,
                           .connection = connection,
                           .kind = kind,
                           .side = side,
                           .length = length};
  size_t at = network->event_count++;
  for (size_t parent = (at - 1) / 2; at > 0 && goes_before(&event, &network->events[parent]);
       parent = (at - 1) / 2) {
    network->events[at] = network->events[parent];
    at = parent;
  }
  network->events[at] = event;
  connection->events++;
  return true;
}

static trp_sim_event_t take_first(trp_network_t *network) {
  trp_sim_event_t first = network->events[0];
  trp_sim_event_t last = network->events[--network->event_count];
  size_t at = 0;
  for (size_t child = 1; child < network->event_count; child = 2 * at + 1) {
    if (child + 1 < network->event_count &&
        goes_before(&network->events[child + 1], &network->events[child])) {
      child++;
    }
    if (!goes_before(&network->events[child], &last)) {
      break;
    }
    network->events[at] = network->events[child];
    at = child;
  }
  network->events[at] = last;
  return first;
}

int64_t trp_network_next(const trp_network_t *network) {
  int64_t next = network->event_count == 0 ? TRP_NEVER : network->events[0].due_ns;
  for (const trp_link_t *link = network->resolves.next; link != &network->resolves;
       link = link->next) {
    const trp_resolve_t *request = TRP_LIST_ENTRY(link, trp_resolve_t, in_network);
    next = request->due_ns < next ? request->due_ns : next;
  }
  return next;
}

/// The event is counted by its connection, which so is there, whatever the analyzer thinks.
static void happen(trp_network_t *network, const trp_sim_event_t *event) {
  trp_connection_t *connection = event->connection;
  // NOLINTBEGIN(clang-analyzer-unix.Malloc)
  switch (event->kind) {
  case TRP_ON_SYN:
    trp_connection_syn(network, connection);
    break;
  case TRP_ON_SYN_ACK:
    trp_connection_end_attempt(connection, 0);
    break;
  case TRP_ON_REFUSED:
    trp_connection_end_attempt(connection, TROUPE_ECONNREFUSED);
    break;
  case TRP_ON_ATTEMPT_OVER:
    trp_connection_end_attempt(connection, TROUPE_ETIMEDOUT);
    break;
  case TRP_ON_SEGMENT:
    trp_lane_arrive(network, connection, event->side, event->length);
    break;
  case TRP_ON_FIN:
    connection->lanes[event->side].fin_arrived = true;
    break;
  case TRP_ON_RESET:
    trp_connection_reset(connection, event->side);
    break;
  case TRP_ON_BREAK:
    trp_connection_lose(connection);
    break;
  default:
    break;
  }
  // NOLINTEND(clang-analyzer-unix.Malloc)
}

void trp_network_pass(trp_network_t *network, int64_t now_ns) {
  while (network->event_count > 0 && network->events[0].due_ns <= now_ns) {
    trp_sim_event_t event = take_first(network);
    network->now_ns = event.due_ns > network->now_ns ? event.due_ns : network->now_ns;
    happen(network, &event);
    event.connection->events--;
    trp_connection_let_go(event.connection);
  }
  network->now_ns = now_ns;
}
