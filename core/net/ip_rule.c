/// Rules of block lists: ip_rule.h.
#include "core/net/ip_rule.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

// ::ffff:0.0.0.0 and ::ffff:255.255.255.255
static const trp_interval_t mapped = {{0, UINT64_C(0xffff00000000)}, {0, UINT64_C(0xffffffffffff)}};

static trp_interval_t network(const trp_ip_rule_t *rule);
static bool narrow(trp_interval_t *interval, trp_interval_t limits);
static const char *write_address(int family, const uint8_t address[16], char *text);
static bool skip(const char **text, size_t *length, const char *word);
static int read_prefix(const char *text, size_t length);

int trp_ip_rule_address(trp_ip_rule_t *rule, int family, const uint8_t address[16]) {
  *rule = (trp_ip_rule_t){.kind = TRP_IP_RULE_ADDRESS, .family = (uint8_t)family};
  memcpy(rule->address, address, sizeof rule->address);
  return 0;
}

int trp_ip_rule_range(trp_ip_rule_t *rule, int start_family, const uint8_t start[16],
                      int end_family, const uint8_t end[16]) {
  // An IPv4 address and an IPv6 one that maps none have no order, so neither comes after the other.
  bool comparable = start_family == end_family ||
                    (trp_ip_is_mapped(start) && trp_ip_is_mapped(end));
  if (comparable && memcmp(start, end, 16) > 0) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  *rule = (trp_ip_rule_t){
      .kind = TRP_IP_RULE_RANGE,
      .family = (uint8_t)start_family,
      .end_family = (uint8_t)end_family,
  };
  memcpy(rule->address, start, sizeof rule->address);
  memcpy(rule->end, end, sizeof rule->end);
  return 0;
}

int trp_ip_rule_subnet(trp_ip_rule_t *rule, int family, const uint8_t address[16], int prefix) {
  if (prefix < 0 || prefix > (family == 4 ? 32 : 128)) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  *rule = (trp_ip_rule_t){
      .kind = TRP_IP_RULE_SUBNET,
      .family = (uint8_t)family,
      .prefix = (uint8_t)prefix,
  };
  memcpy(rule->address, address, sizeof rule->address);
  return 0;
}

void trp_ip_rule_spans(const trp_ip_rule_t *rule, trp_ip_rule_spans_t *spans) {
  trp_number_t address = trp_number_from_bytes(rule->address);
  switch (rule->kind) {
  case TRP_IP_RULE_ADDRESS:
    spans->ipv6 = (trp_interval_t){address, address};
    break;
  case TRP_IP_RULE_RANGE:
    spans->ipv6 = (trp_interval_t){address, trp_number_from_bytes(rule->end)};
    break;
  default:
    spans->ipv6 = network(rule);
    break;
  }
  spans->has_ipv6 = trp_number_compare(spans->ipv6.first, spans->ipv6.last) <= 0;
  if (rule->kind == TRP_IP_RULE_RANGE && (rule->family == 4 || rule->end_family == 4)) {
    spans->has_ipv6 = spans->has_ipv6 && narrow(&spans->ipv6, mapped);
  }
  spans->ipv4 = spans->ipv6;
  spans->has_ipv4 = spans->has_ipv6 && narrow(&spans->ipv4, mapped);
  if (rule->kind == TRP_IP_RULE_RANGE &&
      !(trp_ip_is_mapped(rule->address) && trp_ip_is_mapped(rule->end))) {
    spans->has_ipv4 = false; // an IPv4 address has no place between ends of which one is none
  }
  if (spans->has_ipv4 && trp_number_compare(spans->ipv4.first, spans->ipv6.first) == 0 &&
      trp_number_compare(spans->ipv4.last, spans->ipv6.last) == 0) {
    spans->has_ipv6 = false;
  }
}

static trp_interval_t network(const trp_ip_rule_t *rule) {
  uint8_t first[16], last[16];
  int bits = rule->family == 4 ? 128 - 32 + rule->prefix : rule->prefix;
  for (int i = 0; i < 16; i++) {
    int own = bits - 8 * i; // bits of this byte that belong to the prefix
    uint8_t host = (uint8_t)(own <= 0 ? 0xff : own >= 8 ? 0 : 0xff >> own);
    first[i] = (uint8_t)(rule->address[i] & ~host);
    last[i] = rule->address[i] | host;
  }
  return (trp_interval_t){trp_number_from_bytes(first), trp_number_from_bytes(last)};
}

/// Leaves of an interval what lies within limits; false if that is nothing.
static bool narrow(trp_interval_t *interval, trp_interval_t limits) {
  if (trp_number_compare(interval->first, limits.first) < 0) {
    interval->first = limits.first;
  }
  if (trp_number_compare(interval->last, limits.last) > 0) {
    interval->last = limits.last;
  }
  return trp_number_compare(interval->first, interval->last) <= 0;
}

int trp_ip_rule_text(const trp_ip_rule_t *rule, char *text, size_t size) {
  char address[INET6_ADDRSTRLEN], end[INET6_ADDRSTRLEN];
  const char *family = rule->family == 4 ? "IPv4" : "IPv6";
  write_address(rule->family, rule->address, address);
  switch (rule->kind) {
  case TRP_IP_RULE_ADDRESS:
    return snprintf(text, size, "Address: %s %s", family, address);
  case TRP_IP_RULE_RANGE:
    return snprintf(text, size, "Range: %s %s-%s", family, address,
                    write_address(rule->end_family, rule->end, end));
  default:
    return snprintf(text, size, "Subnet: %s %s/%d", family, address, rule->prefix);
  }
}

static const char *write_address(int family, const uint8_t address[16], char *text) {
  return family == 4 ? inet_ntop(AF_INET, address + 12, text, INET6_ADDRSTRLEN)
                     : inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
}

int trp_ip_rule_parse(trp_ip_rule_t *rule, const char *text, size_t length) {
  bool range = skip(&text, &length, "Range: ");
  bool subnet = !range && skip(&text, &length, "Subnet: ");
  if (!range && !subnet && !skip(&text, &length, "Address: ")) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  int family = skip(&text, &length, "IPv4 ") ? 4 : skip(&text, &length, "IPv6 ") ? 6 : 0;
  const char *sign = length == 0 ? NULL : memchr(text, range ? '-' : '/', length);
  if (family == 0 || (sign == NULL) == (range || subnet)) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  uint8_t address[16], end[16];
  size_t first = sign == NULL ? length : (size_t)(sign - text);
  if (trp_ip_parse(text, first, address) != family) {
    return TROUPE_ERR_INVALID_ADDRESS;
  }
  if (range) {
    int end_family = trp_ip_parse(sign + 1, length - first - 1, end);
    return end_family == 0 ? (int)TROUPE_ERR_INVALID_ADDRESS
                           : trp_ip_rule_range(rule, family, address, end_family, end);
  }
  if (subnet) {
    return trp_ip_rule_subnet(rule, family, address, read_prefix(sign + 1, length - first - 1));
  }
  return trp_ip_rule_address(rule, family, address);
}

static bool skip(const char **text, size_t *length, const char *word) {
  size_t size = strlen(word);
  if (*length < size || memcmp(*text, word, size) != 0) {
    return false;
  }
  *text += size;
  *length -= size;
  return true;
}

/// One to three digits, or -1.
static int read_prefix(const char *text, size_t length) {
  int number = 0;
  for (size_t i = 0; i < length && number >= 0; i++) {
    bool digit = i < 3 && text[i] >= '0' && text[i] <= '9';
    number = digit ? number * 10 + (text[i] - '0') : -1;
  }
  return length == 0 ? -1 : number;
}
