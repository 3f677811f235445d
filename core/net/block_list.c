/// Block lists: <troupe/block_list.h>.
///
/// The rules are kept as they were given, for their texts and for those who copy them. What a check
/// looks at is a set of addresses made of them.
#include "core/net/block_list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/support/array.h"

struct troupe_block_list {
  atomic_size_t uses; // its maker's, until it is freed, and those of servers
  // Held for reading by everything that looks, for writing while a rule is added. Nothing else is
  // locked inside, no callback runs, and nothing but malloc() is called. A writer that waits goes
  // before new readers, or constant checks would keep it out for ever.
  pthread_rwlock_t *lock;
  pthread_rwlock_t lock_memory;
  trp_ip_rule_t *rules; // oldest first
  size_t count, capacity;
  trp_ip_set_t set;
};

typedef struct parsed {
  int family;
  uint8_t bytes[16];
} parsed_t;

static int make_lock(troupe_block_list_t *list);
static int add(troupe_block_list_t *list, const trp_ip_rule_t *rule);
static int reserve(troupe_block_list_t *list, const trp_ip_rule_spans_t *spans);
static int parse(parsed_t *parsed, const char *text, size_t length, int family);
static bool is_family(int family);
static bool contains(const troupe_block_list_t *list, const parsed_t *parsed);
static int add_address(troupe_block_list_t *list, const parsed_t *address);
static int add_range(troupe_block_list_t *list, const parsed_t *start, const parsed_t *end);
static int add_subnet(troupe_block_list_t *list, const parsed_t *network, int prefix);

int troupe_block_list_new(troupe_block_list_t **list) {
  if (list == NULL) {
    return TROUPE_EINVAL;
  }
  troupe_block_list_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  if (make_lock(made) != 0) {
    free(made);
    return TROUPE_ENOMEM;
  }
  atomic_init(&made->uses, 1);
  *list = made;
  return 0;
}

static int make_lock(troupe_block_list_t *list) {
  pthread_rwlockattr_t attributes;
  int status = pthread_rwlockattr_init(&attributes);
  if (status != 0) {
    return status;
  }
#ifdef __GLIBC__
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
  status = pthread_rwlock_init(&list->lock_memory, &attributes);
  pthread_rwlockattr_destroy(&attributes);
  list->lock = &list->lock_memory; // reached through a pointer, it can be locked in a const list
  return status;
}

void troupe_block_list_free(troupe_block_list_t **list) {
  if (list == NULL || *list == NULL) {
    return;
  }
  trp_block_list_release(*list);
  *list = NULL;
}

void trp_block_list_retain(troupe_block_list_t *list) {
  atomic_fetch_add_explicit(&list->uses, 1, memory_order_relaxed);
}

void trp_block_list_release(troupe_block_list_t *list) {
  if (atomic_fetch_sub_explicit(&list->uses, 1, memory_order_acq_rel) > 1) {
    return;
  }
  pthread_rwlock_destroy(list->lock);
  trp_ip_set_clear(&list->set);
  free(list->rules);
  free(list);
}

int troupe_block_list_add_address(troupe_block_list_t *list, const troupe_address_t *address) {
  parsed_t parsed;
  parsed.family = trp_ip_from_address(address, parsed.bytes);
  return add_address(list, &parsed);
}

int troupe_block_list_add_address_text(troupe_block_list_t *list, const char *address,
                                       size_t length, int family) {
  parsed_t parsed;
  int status = parse(&parsed, address, length, family);
  return status != 0 ? status : add_address(list, &parsed);
}

static int add_address(troupe_block_list_t *list, const parsed_t *address) {
  trp_ip_rule_t rule;
  if (address->family == 0) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  int status = trp_ip_rule_address(&rule, address->family, address->bytes);
  return status != 0 ? status : add(list, &rule);
}

int troupe_block_list_add_range(troupe_block_list_t *list, const troupe_address_t *start,
                                const troupe_address_t *end) {
  parsed_t first, last;
  first.family = trp_ip_from_address(start, first.bytes);
  last.family = trp_ip_from_address(end, last.bytes);
  return add_range(list, &first, &last);
}

int troupe_block_list_add_range_text(troupe_block_list_t *list, const char *start,
                                     size_t start_length, const char *end, size_t end_length,
                                     int family) {
  parsed_t first, last;
  int status = parse(&first, start, start_length, family);
  if (status == 0) {
    status = parse(&last, end, end_length, first.family);
  }
  return status != 0 ? status : add_range(list, &first, &last);
}

static int add_range(troupe_block_list_t *list, const parsed_t *start, const parsed_t *end) {
  trp_ip_rule_t rule;
  if (start->family == 0 || end->family == 0) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  int status = trp_ip_rule_range(&rule, start->family, start->bytes, end->family, end->bytes);
  return status != 0 ? status : add(list, &rule);
}

int troupe_block_list_add_subnet(troupe_block_list_t *list, const troupe_address_t *network,
                                 int prefix) {
  parsed_t parsed;
  parsed.family = trp_ip_from_address(network, parsed.bytes);
  return add_subnet(list, &parsed, prefix);
}

int troupe_block_list_add_subnet_text(troupe_block_list_t *list, const char *network, size_t length,
                                      int prefix, int family) {
  parsed_t parsed;
  int status = parse(&parsed, network, length, family);
  return status != 0 ? status : add_subnet(list, &parsed, prefix);
}

static int add_subnet(troupe_block_list_t *list, const parsed_t *network, int prefix) {
  trp_ip_rule_t rule;
  if (network->family == 0) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  int status = trp_ip_rule_subnet(&rule, network->family, network->bytes, prefix);
  return status != 0 ? status : add(list, &rule);
}

static int parse(parsed_t *parsed, const char *text, size_t length, int family) {
  if (!is_family(family)) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  parsed->family = trp_ip_parse(text, length, parsed->bytes);
  if (parsed->family == 0 || (family != TROUPE_FAMILY_NONE && parsed->family != family)) {
    return TROUPE_ERR_INVALID_ADDRESS;
  }
  return 0;
}

static bool is_family(int family) {
  return family == TROUPE_FAMILY_NONE || family == TROUPE_FAMILY_IPV4 ||
         family == TROUPE_FAMILY_IPV6;
}

/// All that can fail is done first, so that a rule is in the list and in the set, or in neither.
static int add(troupe_block_list_t *list, const trp_ip_rule_t *rule) {
  if (list == NULL) {
    return TROUPE_EINVAL;
  }
  trp_ip_rule_spans_t spans;
  trp_ip_rule_spans(rule, &spans);
  pthread_rwlock_wrlock(list->lock);
  int status = reserve(list, &spans);
  if (status == 0) {
    list->rules[list->count++] = *rule;
    trp_ip_set_add(&list->set, &spans);
  }
  pthread_rwlock_unlock(list->lock);
  return status;
}

static int reserve(troupe_block_list_t *list, const trp_ip_rule_spans_t *spans) {
  trp_ip_rule_t *rules = trp_array_room(list->rules, &list->capacity, list->count, sizeof *rules);
  if (rules == NULL) {
    return TROUPE_ENOMEM;
  }
  list->rules = rules;
  return trp_ip_set_reserve(&list->set, spans);
}

bool troupe_block_list_check(const troupe_block_list_t *list, const troupe_address_t *address) {
  parsed_t parsed;
  parsed.family = trp_ip_from_address(address, parsed.bytes);
  return parsed.family != 0 && contains(list, &parsed);
}

bool troupe_block_list_check_text(const troupe_block_list_t *list, const char *address,
                                  size_t length, int family) {
  parsed_t parsed;
  return parse(&parsed, address, length, family) == 0 && contains(list, &parsed);
}

static bool contains(const troupe_block_list_t *list, const parsed_t *parsed) {
  if (list == NULL) {
    return false;
  }
  pthread_rwlock_rdlock(list->lock);
  bool found = trp_ip_set_has(&list->set, parsed->family, parsed->bytes);
  pthread_rwlock_unlock(list->lock);
  return found;
}

size_t troupe_block_list_count(const troupe_block_list_t *list) {
  if (list == NULL) {
    return 0;
  }
  pthread_rwlock_rdlock(list->lock);
  size_t count = list->count;
  pthread_rwlock_unlock(list->lock);
  return count;
}

int troupe_block_list_rule_text(const troupe_block_list_t *list, size_t index, char *text,
                                size_t size) {
  if (list == NULL || text == NULL || size == 0) {
    return TROUPE_EINVAL;
  }
  trp_ip_rule_t rule;
  pthread_rwlock_rdlock(list->lock);
  bool is_there = index < list->count;
  if (is_there) {
    rule = list->rules[list->count - 1 - index];
  }
  pthread_rwlock_unlock(list->lock);
  return is_there ? trp_ip_rule_text(&rule, text, size) : TROUPE_ERR_OUT_OF_RANGE;
}

int troupe_block_list_add_rule_text(troupe_block_list_t *list, const char *text, size_t length) {
  trp_ip_rule_t rule;
  int status = text == NULL ? TROUPE_ERR_INVALID_ARG_VALUE : trp_ip_rule_parse(&rule, text, length);
  return status != 0 ? status : add(list, &rule);
}

size_t trp_block_list_read(const troupe_block_list_t *list, size_t from, trp_ip_rule_t *rules,
                           size_t capacity) {
  size_t count = 0;
  pthread_rwlock_rdlock(list->lock);
  if (from < list->count) {
    count = list->count - from < capacity ? list->count - from : capacity;
    memcpy(rules, list->rules + from, count * sizeof *rules);
  }
  pthread_rwlock_unlock(list->lock);
  return count;
}
