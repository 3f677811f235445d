/// Private. The addresses that rules name, for looking single ones up: two sets of numbers, one for
/// IPv4 addresses in either form, one for IPv6 addresses. Not safe for use in several threads while
/// one of them adds. Nothing blocks.
#ifndef TRP_IP_SET_H_INCLUDED
#define TRP_IP_SET_H_INCLUDED

#include "core/net/ip_rule.h"

/// Zeroed, it is empty.
typedef struct trp_ip_set {
  trp_intervals_t ipv4, ipv6;
} trp_ip_set_t;

/// Makes sure that the next addition succeeds. Returns 0, or TROUPE_ENOMEM with the set left as it
/// was.
int trp_ip_set_reserve(trp_ip_set_t *set, const trp_ip_rule_spans_t *spans);

/// Adds what a rule has. Call trp_ip_set_reserve() before each addition; this cannot fail then.
void trp_ip_set_add(trp_ip_set_t *set, const trp_ip_rule_spans_t *spans);

/// Whether the set has the address, given as in core/net/ip.h. A few hundred nanoseconds, however
/// many rules there were.
bool trp_ip_set_has(const trp_ip_set_t *set, int family, const uint8_t bytes[16]);

/// Frees the memory; the set is empty then.
void trp_ip_set_clear(trp_ip_set_t *set);

#endif
