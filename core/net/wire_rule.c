/// Between the rules of the protocol and trp_ip_rule_t.
#include "core/net/wire_rule.h"

#include <string.h>

#include "core/net/ip.h"
#include "core/net/wire_address.h"

/// A rule with its addresses, in one piece of memory.
typedef struct {
  Troupe__Wire__BlockList__Rule rule;
  Troupe__Wire__Address start, end;
  uint8_t bytes[2][16];
} piece_t;

static void fill(piece_t *piece, const trp_ip_rule_t *rule);
static void fill_address(Troupe__Wire__Address *wire, uint8_t bytes[16], int family,
                         const uint8_t address[16]);
static int read_address(const Troupe__Wire__Address *wire, uint8_t bytes[16]);

Troupe__Wire__BlockList__Rule **trp_rules_to_wire(trp_out_t *out, const trp_ip_rule_t *rules,
                                                  size_t count) {
  Troupe__Wire__BlockList__Rule **list = trp_out_take(out, (count + 1) * sizeof *list);
  piece_t *pieces = trp_out_take(out, (count + 1) * sizeof *pieces);
  if (list == NULL || pieces == NULL) {
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    fill(&pieces[i], &rules[i]);
    list[i] = &pieces[i].rule;
  }
  return list;
}

static void fill(piece_t *piece, const trp_ip_rule_t *rule) {
  piece->rule = (Troupe__Wire__BlockList__Rule)TROUPE__WIRE__BLOCK_LIST__RULE__INIT;
  piece->rule.start = &piece->start;
  piece->rule.prefix = rule->kind == TRP_IP_RULE_SUBNET ? rule->prefix : -1;
  fill_address(&piece->start, piece->bytes[0], rule->family, rule->address);
  if (rule->kind == TRP_IP_RULE_RANGE) {
    fill_address(&piece->end, piece->bytes[1], rule->end_family, rule->end);
    piece->rule.end = &piece->end;
  }
}

static void fill_address(Troupe__Wire__Address *wire, uint8_t bytes[16], int family,
                         const uint8_t address[16]) {
  *wire = (Troupe__Wire__Address)TROUPE__WIRE__ADDRESS__INIT;
  wire->family = (uint32_t)family;
  wire->bytes.len = trp_ip_size(family);
  memcpy(bytes, address + 16 - wire->bytes.len, wire->bytes.len);
  wire->bytes.data = bytes;
}

bool trp_rule_from_wire(trp_ip_rule_t *rule, const Troupe__Wire__BlockList__Rule *wire) {
  uint8_t start[16], end[16];
  int family = read_address(wire->start, start);
  if (family == 0) {
    return false;
  }
  if (wire->end != NULL) {
    int end_family = read_address(wire->end, end);
    return end_family != 0 && trp_ip_rule_range(rule, family, start, end_family, end) == 0;
  }
  if (wire->prefix >= 0) {
    return trp_ip_rule_subnet(rule, family, start, wire->prefix) == 0;
  }
  return trp_ip_rule_address(rule, family, start) == 0;
}

/// Returns the family, or 0.
static int read_address(const Troupe__Wire__Address *wire, uint8_t bytes[16]) {
  troupe_address_t address;
  return trp_address_from_wire(&address, wire) ? trp_ip_from_address(&address, bytes) : 0;
}
