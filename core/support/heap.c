// A binary heap. The sequence number makes the order total, so that what fires first never depends
// on how the heap happens to lie.

#include "core/support/heap.h"

#include <stdlib.h>
#include <troupe/error.h>

#include "core/support/array.h"

static bool is_before(const trp_heap_node_t *a, const trp_heap_node_t *b);
static void put(trp_heap_t *heap, size_t index, trp_heap_node_t *node);
static void sift_up(trp_heap_t *heap, size_t index, trp_heap_node_t *node);
static void sift_down(trp_heap_t *heap, size_t index, trp_heap_node_t *node);

void trp_heap_init(trp_heap_t *heap) {
  *heap = (trp_heap_t){0};
}

void trp_heap_free(trp_heap_t *heap) {
  free(heap->nodes);
  *heap = (trp_heap_t){0};
}

int trp_heap_set(trp_heap_t *heap, trp_heap_node_t *node, int64_t deadline_ns) {
  if (node->place != 0) {
    bool later = deadline_ns >= node->deadline_ns;
    node->deadline_ns = deadline_ns;
    node->sequence = heap->next_sequence++;
    if (later) {
      sift_down(heap, node->place - 1, node);
    } else {
      sift_up(heap, node->place - 1, node);
    }
    return 0;
  }
  trp_heap_node_t **nodes = trp_array_room(heap->nodes, &heap->capacity, heap->count,
                                           sizeof(trp_heap_node_t *));
  if (nodes == NULL) {
    return TROUPE_ENOMEM;
  }
  heap->nodes = nodes;
  node->deadline_ns = deadline_ns;
  node->sequence = heap->next_sequence++;
  sift_up(heap, heap->count++, node);
  return 0;
}

void trp_heap_remove(trp_heap_t *heap, trp_heap_node_t *node) {
  if (node->place == 0) {
    return;
  }
  size_t index = node->place - 1;
  node->place = 0;
  trp_heap_node_t *last = heap->nodes[--heap->count];
  if (last == node) {
    return;
  }
  if (is_before(last, node)) {
    sift_up(heap, index, last);
  } else {
    sift_down(heap, index, last);
  }
}

static bool is_before(const trp_heap_node_t *a, const trp_heap_node_t *b) {
  return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns
                                          : a->sequence < b->sequence;
}

static void put(trp_heap_t *heap, size_t index, trp_heap_node_t *node) {
  heap->nodes[index] = node;
  node->place = index + 1;
}

static void sift_up(trp_heap_t *heap, size_t index, trp_heap_node_t *node) {
  while (index > 0) {
    size_t parent = (index - 1) / 2;
    if (!is_before(node, heap->nodes[parent])) {
      break;
    }
    put(heap, index, heap->nodes[parent]);
    index = parent;
  }
  put(heap, index, node);
}

static void sift_down(trp_heap_t *heap, size_t index, trp_heap_node_t *node) {
  for (;;) {
    size_t child = index * 2 + 1;
    if (child >= heap->count) {
      break;
    }
    if (child + 1 < heap->count && is_before(heap->nodes[child + 1], heap->nodes[child])) {
      child++;
    }
    if (!is_before(heap->nodes[child], node)) {
      break;
    }
    put(heap, index, heap->nodes[child]);
    index = child;
  }
  put(heap, index, node);
}
