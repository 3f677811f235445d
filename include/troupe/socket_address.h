/// Addresses made of options. Node: net.SocketAddress.
///
/// What Node's object can be asked for are fields of troupe_address_t: `family`, `port`,
/// `flowlabel`; its `address` is what troupe_address_text() writes.
#ifndef TROUPE_SOCKET_ADDRESS_H_INCLUDED
#define TROUPE_SOCKET_ADDRESS_H_INCLUDED

#include <troupe/address.h>

TROUPE_BEGIN

/// Right when zeroed: 127.0.0.1, port 0. Node: the options of new net.SocketAddress().
typedef struct troupe_socket_address_options {
  const char *address;   ///< an IP literal of the family. NULL: 127.0.0.1 or '::'. Node: address
  size_t address_length; ///< 0: `address` ends with a NUL
  int family;            ///< TROUPE_FAMILY_IPV4 (also 0), TROUPE_FAMILY_IPV6. Node: family
  int port;              ///< 0 to 65535. Node: port
  uint32_t flowlabel;    ///< 0 to 0xfffff; left out where the family is IPv4. Node: flowlabel
} troupe_socket_address_options_t;

/// Makes an address. Of an IPv6 address with a zone, the zone's interface becomes `scope_id` (Node
/// forgets it). Node: new net.SocketAddress().
///
/// Ownership: `options` (NULL: defaults) is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or the first of these that is the case, with `*address` left as it was:
///            TROUPE_EINVAL                  `address` is NULL,
///            TROUPE_ERR_INVALID_ARG_VALUE   the family is none of those,
///            TROUPE_ERR_SOCKET_BAD_PORT     the port is below 0 or above 65535,
///            TROUPE_ERR_OUT_OF_RANGE        the flow label has more than 20 bits (Node aborts),
///            TROUPE_ERR_INVALID_ADDRESS     the text is no address of the family.
TROUPE_API int troupe_socket_address_init(troupe_address_t *address,
                                          const troupe_socket_address_options_t *options);

/// Reads an address with its port: "127.0.0.1:80", "[::1]:80"; without a port it is 0: "127.0.0.1",
/// "[::1]". IPv6 stands in brackets always. Later Node: net.SocketAddress.parse(), which takes a few
/// more forms, as an URL has them.
///
/// Ownership: `text` is borrowed until the call returns, and needs no NUL.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or the first of these that is the case, with `*address` left as it was:
///            TROUPE_EINVAL                `address` is NULL,
///            TROUPE_ERR_SOCKET_BAD_PORT   what stands behind the last ':' is no number from 0 to
///                                         65535,
///            TROUPE_ERR_INVALID_ADDRESS   the rest is no IPv4 address, and no IPv6 one in brackets.
TROUPE_API int troupe_socket_address_parse(troupe_address_t *address, const char *text,
                                           size_t length);

TROUPE_END

#endif
