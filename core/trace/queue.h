/// Private. Records of a trace that were read and wait to be used.
#ifndef TRP_QUEUE_H_INCLUDED
#define TRP_QUEUE_H_INCLUDED

#include <stdlib.h>

#include "core/trace/body.h"

typedef struct trp_item {
  struct trp_item *next;
  uint64_t sequence;
  int64_t clock_ns;
  uint64_t subject;
  uint16_t type; // of the record
  size_t events; // of a batch that was given out
  trp_body_t *body;
} trp_item_t;

static inline void trp_item_free(trp_item_t *item) {
  if (item != NULL) {
    trp_body_release(item->body);
    free(item);
  }
}

/// Zeroed it is empty.
typedef struct trp_queue {
  trp_item_t *first;
  trp_item_t *last; // when first is not NULL
} trp_queue_t;

static inline void trp_queue_push(trp_queue_t *queue, trp_item_t *item) {
  item->next = NULL;
  if (queue->first == NULL) {
    queue->first = item;
  } else {
    queue->last->next = item;
  }
  queue->last = item;
}

/// NULL: it is empty.
static inline trp_item_t *trp_queue_pop(trp_queue_t *queue) {
  trp_item_t *item = queue->first;
  if (item != NULL) {
    queue->first = item->next;
  }
  return item;
}

static inline void trp_queue_free(trp_queue_t *queue) {
  for (trp_item_t *item = trp_queue_pop(queue); item != NULL; item = trp_queue_pop(queue)) {
    trp_item_free(item);
  }
}

#endif
