#include "actors/net/blocks.h"

#include <stdlib.h>

#include "actors/net/owners.h"
#include "core/net/wire_rule.h"

static trp_blocks_t *make(const trp_command_t *command);
static void release(trp_net_t *net, trp_subject_t *subject);
static void add_rule(trp_blocks_t *blocks, const Troupe__Wire__BlockList__Rule *wire);

void trp_blocks_define(const trp_command_t *command) {
  trp_net_t *net = command->net;
  const Troupe__Wire__BlockList *wire = command->message->block_list;
  trp_blocks_t *blocks = trp_map_get(&net->subjects, command->message->subject);
  if (!trp_command_names_its_own(command) ||
      (blocks != NULL &&
       (blocks->subject.tag != TRP_TAG_BLOCKS || blocks->owner != command->owner))) {
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
  blocks->incomplete |= wire->known != blocks->known;
  blocks->known += wire->n_rules;
  for (size_t i = 0; i < wire->n_rules; i++) {
    add_rule(blocks, wire->rules[i]);
  }
}

void trp_blocks_drop(trp_blocks_t *blocks) {
  trp_list_remove(&blocks->in_owner);
  trp_subject_bury(blocks->net, &blocks->subject);
}

bool trp_blocks_match(const trp_net_t *net, uint64_t id, const troupe_address_t *peer) {
  uint8_t bytes[16];
  int family = id == 0 ? 0 : trp_ip_from_address(peer, bytes);
  if (family == 0) {
    return false;
  }
  const trp_blocks_t *blocks = trp_map_get(&net->subjects, id);
  bool whole = blocks != NULL && blocks->subject.tag == TRP_TAG_BLOCKS && !blocks->incomplete;
  return !whole || trp_ip_set_has(&blocks->set, family, bytes);
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
  trp_ip_set_clear(&blocks->set);
  free(blocks);
}

static void add_rule(trp_blocks_t *blocks, const Troupe__Wire__BlockList__Rule *wire) {
  trp_ip_rule_t rule;
  if (!trp_rule_from_wire(&rule, wire)) {
    blocks->net->counters.unknown_kind++;
    blocks->incomplete = true;
    return;
  }
  trp_ip_rule_spans_t spans;
  trp_ip_rule_spans(&rule, &spans);
  if (trp_ip_set_reserve(&blocks->set, &spans) != 0) {
    blocks->incomplete = true;
    return;
  }
  trp_ip_set_add(&blocks->set, &spans);
}
