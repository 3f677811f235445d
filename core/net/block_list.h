/// Private. What the rest of the library needs of a block list beside <troupe/block_list.h>.
#ifndef TRP_BLOCK_LIST_H_INCLUDED
#define TRP_BLOCK_LIST_H_INCLUDED

#include <troupe/block_list.h>

#include "core/net/ip_set.h"

/// Copies rules in the order in which they were added, beginning with number `from`, to `rules`;
/// returns how many, at most `capacity`. Rules are never removed, so that a list which others add
/// to can be read piece by piece. Any thread; waits only while a rule is being added.
size_t trp_block_list_read(const troupe_block_list_t *list, size_t from, trp_ip_rule_t *rules,
                           size_t capacity);

/// Keeps the list although its maker frees it, until it is released. Any thread; neither blocks.
void trp_block_list_retain(troupe_block_list_t *list);
void trp_block_list_release(troupe_block_list_t *list);

#endif
