/// Private. One rule about IP addresses, as block lists have them: which addresses it has, and its
/// text. Pure functions over values; any thread, none blocks.
#ifndef TRP_IP_RULE_H_INCLUDED
#define TRP_IP_RULE_H_INCLUDED

#include "core/net/intervals.h"
#include "core/net/ip.h"

typedef enum trp_ip_rule_kind {
  TRP_IP_RULE_ADDRESS,
  TRP_IP_RULE_RANGE,
  TRP_IP_RULE_SUBNET,
} trp_ip_rule_kind_t;

typedef struct trp_ip_rule {
  uint8_t kind;        // a trp_ip_rule_kind_t
  uint8_t family;      // 4 or 6: of the address, the network, the start
  uint8_t end_family;  // a range: of its end
  uint8_t prefix;      // a subnet: 0 to 32 or 0 to 128
  uint8_t address[16]; // as in core/net/ip.h; a network keeps its host bits, its text has them
  uint8_t end[16];     // a range
} trp_ip_rule_t;

/// Which numbers the rule has. An IPv4 address and the IPv6 address that maps it are the same
/// number, but a rule may have the one and not the other: a range of IPv6 addresses that crosses
/// the mapped ones has no IPv4 address. So an IPv4 address is looked for in the one span, an IPv6
/// address in both.
typedef struct trp_ip_rule_spans {
  bool has_ipv4, has_ipv6;
  trp_interval_t ipv4; // IPv4 addresses, and the IPv6 ones that map them
  trp_interval_t ipv6; // IPv6 addresses; not there if it has no more than the other
} trp_ip_rule_spans_t;

/// Make a rule from addresses in the form of core/net/ip.h. They return 0, or
/// TROUPE_ERR_INVALID_ARG_VALUE (a range that ends before it starts) and TROUPE_ERR_OUT_OF_RANGE (a
/// prefix).
int trp_ip_rule_address(trp_ip_rule_t *rule, int family, const uint8_t address[16]);
int trp_ip_rule_range(trp_ip_rule_t *rule, int start_family, const uint8_t start[16],
                      int end_family, const uint8_t end[16]);
int trp_ip_rule_subnet(trp_ip_rule_t *rule, int family, const uint8_t address[16], int prefix);

void trp_ip_rule_spans(const trp_ip_rule_t *rule, trp_ip_rule_spans_t *spans);

/// Reads what trp_ip_rule_text() writes. Returns 0, the errors of those above, or
/// TROUPE_ERR_INVALID_ARG_VALUE (other words) and TROUPE_ERR_INVALID_ADDRESS.
int trp_ip_rule_parse(trp_ip_rule_t *rule, const char *text, size_t length);

/// Writes the rule in Node's words; returns the length of the whole text, as snprintf().
int trp_ip_rule_text(const trp_ip_rule_t *rule, char *text, size_t size);

#endif
