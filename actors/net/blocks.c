#include "actors/net/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "actors/net/details.h"
#include "actors/net/owners.h"

static trp_blocks_t *make(const trp_command_t *command);
static void release(trp_net_t *net, trp_subject_t *subject);
static bool add_rule(trp_blocks_t *blocks, const Troupe__Wire__BlockList__Rule *wire);
static bool make_rule(const Troupe__Wire__BlockList__Rule *wire, trp_block_rule_t *rule);
static bool is_mapped(const uint8_t bytes[16]);

void trp_blocks_define(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const Troupe__Wire__BlockList *wire = command->message->block_list;
  trp_blocks_t *blocks = trp_map_get(&net->subjects, command->message->subject);
  if (blocks != NULL &&
      (blocks->subject.tag != TRP_TAG_BLOCKS || blocks->owner != command->owner)) {
    net->counters.not_owner++;
    return;
  }
  if (wire->drop) {
    if (blocks != NULL) {
      trp_blocks_drop(blocks);
    } else {
      net->counters.unknown_subject++;
    }
    return;
  }
  if (blocks == NULL) {
    blocks = make(command);
    if (blocks == NULL) {
      net->counters.undeliverable++;
      return;
    }
  }
  for (size_t i = 0; i < wire->n_rules; i++) {
    if (!add_rule(blocks, wire->rules[i])) {
      net->counters.unknown_kind++;
    }
  }
}

void trp_blocks_drop(trp_blocks_t *blocks) {
  trp_list_remove(&blocks->in_owner);
  trp_subject_bury(blocks->net, &blocks->subject);
}

bool trp_blocks_match(const trp_net_t *net, uint64_t id, const troupe_address_t *peer) {
  const trp_blocks_t *blocks = id == 0 ? NULL : trp_map_get(&net->subjects, id);
  uint8_t bytes[16];
  if (blocks == NULL || blocks->subject.tag != TRP_TAG_BLOCKS || !trp_ip_bytes(peer, bytes)) {
    return false;
  }
  for (size_t i = 0; i < blocks->count; i++) {
    const trp_block_rule_t *rule = &blocks->rules[i];
    if (rule->ipv6_only && peer->family == TROUPE_FAMILY_IPV4) {
      continue;
    }
    if (memcmp(rule->first, bytes, sizeof bytes) <= 0 &&
        memcmp(bytes, rule->last, sizeof bytes) <= 0) {
      return true;
    }
  }
  return false;
}

static trp_blocks_t *make(const trp_command_t *command) {
  trp_blocks_t *blocks = calloc(1, sizeof *blocks);
  if (blocks == NULL) {
    return NULL;
  }
  blocks->subject.tag = TRP_TAG_BLOCKS;
  blocks->subject.release = release;
  blocks->subject.id = command->message->subject;
  if (trp_map_put(&command->net->subjects, blocks->subject.id, blocks) != 0) {
    free(blocks);
    return NULL;
  }
  blocks->net = command->net;
  blocks->owner = command->owner;
  trp_list_init(&blocks->in_owner);
  trp_list_append(&command->owner->blocks, &blocks->in_owner);
  return blocks;
}

static void release(trp_net_t *net, trp_subject_t *subject) {
  trp_blocks_t *blocks = (trp_blocks_t *)(void *)subject;
  (void)net;
  free(blocks->rules);
  free(blocks);
}

static bool add_rule(trp_blocks_t *blocks, const Troupe__Wire__BlockList__Rule *wire) {
  trp_block_rule_t rule;
  if (!make_rule(wire, &rule)) {
    return false;
  }
  if (blocks->count == blocks->capacity) {
    size_t capacity = blocks->capacity == 0 ? 8 : blocks->capacity * 2;
    trp_block_rule_t *rules = realloc(blocks->rules, capacity * sizeof *rules);
    if (rules == NULL) {
      return false;
    }
    blocks->rules = rules;
    blocks->capacity = capacity;
  }
  blocks->rules[blocks->count++] = rule;
  return true;
}

static bool make_rule(const Troupe__Wire__BlockList__Rule *wire, trp_block_rule_t *rule) {
  troupe_address_t start, end;
  *rule = (trp_block_rule_t){0};
  if (!trp_address_from_wire(&start, wire->start) || !trp_ip_bytes(&start, rule->first)) {
    return false;
  }
  memcpy(rule->last, rule->first, sizeof rule->last);
  if (wire->end != NULL) {
    if (!trp_address_from_wire(&end, wire->end) || !trp_ip_bytes(&end, rule->last) ||
        start.family != end.family) {
      return false;
    }
    rule->ipv6_only = !is_mapped(rule->first) || !is_mapped(rule->last);
  } else if (wire->prefix >= 0) {
    int bits = start.family == TROUPE_FAMILY_IPV4 ? 32 : 128;
    if (wire->prefix > bits) {
      return false;
    }
    for (int bit = 128 - bits + wire->prefix; bit < 128; bit++) {
      uint8_t mask = (uint8_t)(0x80U >> (bit % 8));
      rule->first[bit / 8] &= (uint8_t)~mask;
      rule->last[bit / 8] |= mask;
    }
  }
  return true;
}

static bool is_mapped(const uint8_t bytes[16]) {
  static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
  return memcmp(bytes, prefix, sizeof prefix) == 0;
}
