/// Private. Rules of block lists as they travel, and as everybody else uses them.
#ifndef TRP_WIRE_RULE_H_INCLUDED
#define TRP_WIRE_RULE_H_INCLUDED

#include "core/message/batch.h"
#include "core/net/ip_rule.h"

/// Copies that live as long as the batch, as repeated fields need them. NULL: no memory.
Troupe__Wire__BlockList__Rule **trp_rules_to_wire(trp_out_t *out, const trp_ip_rule_t *rules,
                                                  size_t count);

/// Reads a rule that came. False: it makes no sense.
bool trp_rule_from_wire(trp_ip_rule_t *rule, const Troupe__Wire__BlockList__Rule *wire);

#endif
