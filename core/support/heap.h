/// Private. A heap of deadlines: the earliest on top, equal ones in the order in which they were
/// set.
///
/// Nodes lie inside what they are the deadline of; the heap holds pointers to them, so that nothing
/// is allocated when one is set again.
#ifndef TRP_HEAP_H_INCLUDED
#define TRP_HEAP_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Zeroed, it is in no heap.
typedef struct trp_heap_node {
  int64_t deadline_ns;
  uint64_t sequence; // given by the heap
  size_t place;      // index + 1; 0: in no heap
} trp_heap_node_t;

typedef struct trp_heap {
  trp_heap_node_t **nodes;
  size_t count, capacity;
  uint64_t next_sequence;
} trp_heap_t;

/// Takes no memory. A zeroed heap is an empty one, too.
void trp_heap_init(trp_heap_t *heap);

/// Frees the heap's own memory. Nodes that are still in it must not be used with any heap
/// afterwards unless they are zeroed.
void trp_heap_free(trp_heap_t *heap);

/// Puts the node in, or moves it if it is in already; behind all others with the same deadline.
/// Returns 0, or TROUPE_ENOMEM (only for one that was not in): then it is not in.
int trp_heap_set(trp_heap_t *heap, trp_heap_node_t *node, int64_t deadline_ns);

/// Takes the node out; nothing happens if it is not in.
void trp_heap_remove(trp_heap_t *heap, trp_heap_node_t *node);

static inline bool trp_heap_holds(const trp_heap_node_t *node) {
  return node->place != 0;
}

/// The earliest; NULL: it is empty.
static inline trp_heap_node_t *trp_heap_first(const trp_heap_t *heap) {
  return heap->count == 0 ? NULL : heap->nodes[0];
}

#endif
