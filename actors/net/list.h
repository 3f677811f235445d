/// Private. Doubly linked lists whose links lie inside their members. A link that is in no list
/// points to itself.
#ifndef TRP_LIST_H_INCLUDED
#define TRP_LIST_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>

typedef struct trp_link {
  struct trp_link *next, *previous;
} trp_link_t;

/// For a list's head as for a member that is in none.
static inline void trp_list_init(trp_link_t *link) {
  link->next = link->previous = link;
}

static inline bool trp_list_empty(const trp_link_t *list) {
  return list->next == list;
}

/// Whether a member is in some list.
static inline bool trp_list_holds(const trp_link_t *link) {
  return link->next != link;
}

/// Puts a member at the end; it must be in no list.
static inline void trp_list_append(trp_link_t *list, trp_link_t *link) {
  link->previous = list->previous;
  link->next = list;
  list->previous->next = link;
  list->previous = link;
}

/// Takes a member out of the list it is in, if any.
static inline void trp_list_remove(trp_link_t *link) {
  link->previous->next = link->next;
  link->next->previous = link->previous;
  trp_list_init(link);
}

/// Takes the first member out; NULL: there is none.
static inline trp_link_t *trp_list_take(trp_link_t *list) {
  trp_link_t *first = list->next;
  if (first == list) {
    return NULL;
  }
  list->next = first->next;
  list->next->previous = list;
  trp_list_init(first);
  return first;
}

/// The struct that a link lies in.
#define TRP_LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#endif
