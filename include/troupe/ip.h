/// What is an IP address, as text. Node: net.isIP(), net.isIPv4(), net.isIPv6().
#ifndef TROUPE_IP_H_INCLUDED
#define TROUPE_IP_H_INCLUDED

#include <troupe/export.h>

TROUPE_BEGIN

/// Tells which IP address a text is. IPv4 is dot-decimal without leading zeros ("127.0.0.1"); IPv6
/// every form of RFC 4291
/// ("::1", "::ffff:1.2.3.4"), with a zone or without ("fe80::1%eth0"; a zone is letters, digits,
/// '.', '-' and ':', at least one, and may name an interface that is not there). Nothing may stand
/// before or after it. Node: net.isIP().
///
/// Ownership: `text` is borrowed and needs no NUL; one inside makes it no address. It may be NULL.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   6, 4, or 0 for everything else.
TROUPE_API int troupe_is_ip(const char *text, size_t length);

/// Tells whether troupe_is_ip() says 4, and 6. Node: net.isIPv4(), net.isIPv6().
///
/// Ownership: as troupe_is_ip().
/// Thread:    any.
/// Blocks:    never.
TROUPE_API bool troupe_is_ipv4(const char *text, size_t length);
TROUPE_API bool troupe_is_ipv6(const char *text, size_t length);

TROUPE_END

#endif
