#include "actors/net/timers.h"

static int put(trp_timers_t *timers, trp_due_t *due, int64_t deadline_ns);

void trp_timers_init(trp_timers_t *timers, trp_transport_t *transport) {
  trp_heap_init(&timers->heap);
  timers->transport = transport;
  timers->armed_ns = TRP_NEVER;
  timers->floor_ns = INT64_MIN;
}

void trp_timers_free(trp_timers_t *timers) {
  trp_heap_free(&timers->heap);
}

int trp_timers_set(trp_timers_t *timers, trp_due_t *due, int64_t deadline_ns) {
  if (deadline_ns == TRP_NEVER) {
    trp_heap_remove(&timers->heap, &due->node);
    return 0;
  }
  return put(timers, due, deadline_ns);
}

int trp_timers_set_by(trp_timers_t *timers, trp_due_t *due, int64_t deadline_ns) {
  if (deadline_ns == TRP_NEVER ||
      (trp_heap_holds(&due->node) && due->node.deadline_ns <= deadline_ns)) {
    return 0;
  }
  return put(timers, due, deadline_ns);
}

void trp_timers_remove(trp_timers_t *timers, trp_due_t *due) {
  trp_heap_remove(&timers->heap, &due->node);
}

void trp_timers_run(trp_timers_t *timers, int64_t now_ns) {
  timers->armed_ns = TRP_NEVER;
  // What is set to a time that has passed while others run waits for the next turn: no deadline can
  // hold the loop, or keep the others from their turn.
  timers->floor_ns = now_ns + 1;
  for (trp_heap_node_t *first = trp_heap_first(&timers->heap);
       first != NULL && first->deadline_ns <= now_ns; first = trp_heap_first(&timers->heap)) {
    trp_heap_remove(&timers->heap, first);
    trp_due_t *due = (trp_due_t *)(void *)first;
    due->run(due);
  }
  timers->floor_ns = INT64_MIN;
}

void trp_timers_arm(trp_timers_t *timers) {
  trp_heap_node_t *first = trp_heap_first(&timers->heap);
  if (first != NULL && first->deadline_ns < timers->armed_ns) {
    timers->armed_ns = first->deadline_ns;
    timers->transport->ops->set_timer(timers->transport, first->deadline_ns);
  }
}

static int put(trp_timers_t *timers, trp_due_t *due, int64_t deadline_ns) {
  return trp_heap_set(&timers->heap, &due->node,
                      deadline_ns < timers->floor_ns ? timers->floor_ns : deadline_ns);
}
