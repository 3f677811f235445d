/// Sets of addresses: ip_set.h.
#include "core/net/ip_set.h"

int trp_ip_set_reserve(trp_ip_set_t *set, const trp_ip_rule_spans_t *spans) {
  int status = spans->has_ipv4 ? trp_intervals_reserve(&set->ipv4) : 0;
  return status == 0 && spans->has_ipv6 ? trp_intervals_reserve(&set->ipv6) : status;
}

void trp_ip_set_add(trp_ip_set_t *set, const trp_ip_rule_spans_t *spans) {
  if (spans->has_ipv4) {
    trp_intervals_add(&set->ipv4, spans->ipv4.first, spans->ipv4.last);
  }
  if (spans->has_ipv6) {
    trp_intervals_add(&set->ipv6, spans->ipv6.first, spans->ipv6.last);
  }
}

bool trp_ip_set_has(const trp_ip_set_t *set, int family, const uint8_t bytes[16]) {
  trp_number_t number = trp_number_from_bytes(bytes);
  return (trp_ip_is_mapped(bytes) && trp_intervals_contain(&set->ipv4, number)) ||
         (family == TROUPE_FAMILY_IPV6 && trp_intervals_contain(&set->ipv6, number));
}

void trp_ip_set_clear(trp_ip_set_t *set) {
  trp_intervals_clear(&set->ipv4);
  trp_intervals_clear(&set->ipv6);
}
