/// Private. IP addresses in the form in which they are compared: 16 bytes in network order, IPv4 as
/// ::ffff:a.b.c.d.
#ifndef TRP_IP_H_INCLUDED
#define TRP_IP_H_INCLUDED

#include <troupe/address.h>
#include <troupe/ip.h>

/// How many bytes an address of `family` has: 4, 16, or 0 for one that is not IP.
static inline size_t trp_ip_size(int family) {
  return family == TROUPE_FAMILY_IPV6 ? 16 : family == TROUPE_FAMILY_IPV4 ? 4 : 0;
}

/// Reads what troupe_is_ip() takes; the zone is dropped. Does not block, unlike
/// troupe_address_parse(), which asks the system for the number of the interface. Returns 6, 4, or
/// 0 with `bytes` left as they were.
int trp_ip_parse(const char *text, size_t length, uint8_t bytes[16]);

/// The same bytes from an address, without its port. Returns its family, or 0 if it is neither IPv4
/// nor IPv6.
int trp_ip_from_address(const troupe_address_t *address, uint8_t bytes[16]);

/// Whether the bytes are an IPv4 address (::ffff:a.b.c.d).
bool trp_ip_is_mapped(const uint8_t bytes[16]);

#endif
