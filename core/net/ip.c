/// What is an IP address, as text: <troupe/ip.h>.
///
/// inet_pton() has Node's grammar for both families (tests/node/test_ip.sh compares them); only the
/// zone, the length and NUL bytes are looked at here.
#include "core/net/ip.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_zone(const char *text, size_t length);

int troupe_is_ip(const char *text, size_t length) {
  uint8_t bytes[16];
  return trp_ip_parse(text, length, bytes);
}

bool troupe_is_ipv4(const char *text, size_t length) {
  return troupe_is_ip(text, length) == 4;
}

bool troupe_is_ipv6(const char *text, size_t length) {
  return troupe_is_ip(text, length) == 6;
}

int trp_ip_parse(const char *text, size_t length, uint8_t bytes[16]) {
  char copy[INET6_ADDRSTRLEN];
  if (text == NULL || length == 0) {
    return 0;
  }
  const char *percent = memchr(text, '%', length);
  size_t address_length = percent == NULL ? length : (size_t)(percent - text);
  if (address_length >= sizeof copy || memchr(text, '\0', address_length) != NULL) {
    return 0; // no form of an address is as long
  }
  if (percent != NULL && !is_zone(percent + 1, length - address_length - 1)) {
    return 0;
  }
  memcpy(copy, text, address_length);
  copy[address_length] = '\0';
  uint8_t read[16];
  if (inet_pton(AF_INET6, copy, read) == 1) {
    memcpy(bytes, read, sizeof read);
    return 6;
  }
  if (percent == NULL && inet_pton(AF_INET, copy, read) == 1) {
    memcpy(bytes, mapped, sizeof mapped);
    memcpy(bytes + sizeof mapped, read, 4);
    return 4;
  }
  return 0;
}

static bool is_zone(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    bool allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   c == '.' || c == '-' || c == ':';
    if (!allowed) {
      return false;
    }
  }
  return length > 0;
}

int trp_ip_from_address(const troupe_address_t *address, uint8_t bytes[16]) {
  if (address == NULL) {
    return 0;
  }
  switch (address->family) {
  case TROUPE_FAMILY_IPV4:
    memcpy(bytes, mapped, sizeof mapped);
    memcpy(bytes + sizeof mapped, address->bytes, 4);
    return 4;
  case TROUPE_FAMILY_IPV6:
    memcpy(bytes, address->bytes, 16);
    return 6;
  default:
    return 0;
  }
}

bool trp_ip_is_mapped(const uint8_t bytes[16]) {
  return memcmp(bytes, mapped, sizeof mapped) == 0;
}
