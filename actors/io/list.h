/// Private. A list whose links lie in its members, so that joining and leaving needs no memory and
/// no search.
#ifndef TRP_IO_LIST_H_INCLUDED
#define TRP_IO_LIST_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>

typedef struct trp_link {
  struct trp_link *next, *previous; // itself: in no list
} trp_link_t;

typedef struct trp_list {
  trp_link_t head;
} trp_list_t;

#define TRP_LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void trp_link_init(trp_link_t *link) {
  link->next = link->previous = link;
}

static inline bool trp_link_is_in(const trp_link_t *link) {
  return link->next != link;
}

static inline void trp_list_init(trp_list_t *list) {
  trp_link_init(&list->head);
}

/// NULL: it is empty.
static inline trp_link_t *trp_list_first(trp_list_t *list) {
  return list->head.next == &list->head ? NULL : list->head.next;
}

static inline void trp_list_append(trp_list_t *list, trp_link_t *link) {
  link->next = &list->head;
  link->previous = list->head.previous;
  list->head.previous->next = link;
  list->head.previous = link;
}

/// One that is in no list may be removed again.
static inline void trp_list_remove(trp_link_t *link) {
  link->next->previous = link->previous;
  link->previous->next = link->next;
  trp_link_init(link);
}

#endif
