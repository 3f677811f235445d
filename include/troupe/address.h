/// Addresses of sockets. Node: net.SocketAddress, and what socket.address() and server.address()
/// return.
#ifndef TROUPE_ADDRESS_H_INCLUDED
#define TROUPE_ADDRESS_H_INCLUDED

#include <troupe/error.h>

TROUPE_BEGIN

enum {
  TROUPE_FAMILY_NONE = 0,
  TROUPE_FAMILY_UNIX = 1,
  TROUPE_FAMILY_IPV4 = 4,
  TROUPE_FAMILY_IPV6 = 6,
  TROUPE_PATH_MAX = 108, ///< longest path of a Unix socket, in bytes, without a NUL at its end
  TROUPE_ADDRESS_TEXT_SIZE = 128, ///< enough for every text of an address, with its NUL
};

/// An address by value. Zeroed, it is none.
typedef struct troupe_address {
  uint8_t family;                 ///< TROUPE_FAMILY_…
  uint8_t path_length;            ///< Unix: bytes of `path`
  uint16_t port;                  ///< in the host's byte order. Node: port
  uint32_t flowlabel;             ///< IPv6. Node: flowlabel
  uint32_t scope_id;              ///< IPv6: the interface of a link-local address
  uint8_t bytes[16];              ///< IPv4: the first four
  char path[TROUPE_PATH_MAX + 4]; ///< Unix; an abstract name starts with a NUL. Kept
                                  ///< NUL-terminated.
} troupe_address_t;

/// Reads an IP literal ("127.0.0.1", "::1", "fe80::1%eth0") into `address`. An interface that is not
/// there leaves `scope_id` 0: the system then refuses a link-local address. Node:
/// net.SocketAddress, net.isIP().
///
/// Ownership: `text` is borrowed and needs no NUL.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_INVALID_ADDRESS   the text is no IP literal; `address` is left as it was.
TROUPE_API int troupe_address_parse(troupe_address_t *address, const char *text, size_t length,
                                    uint16_t port);

/// Makes the address of a Unix socket; a path that starts with a NUL is an abstract name. Node: the
/// `path` of listen and connect.
///
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_INVALID_ARG_VALUE   the path is empty, or has a NUL that is not its first
///                byte,
///            TROUPE_ENAMETOOLONG      it is longer than TROUPE_PATH_MAX (Node truncates; troupe
///                                     refuses).
TROUPE_API int troupe_address_path(troupe_address_t *address, const char *path, size_t length);

/// Writes the address without its port: "127.0.0.1", "::1", "/run/x.sock", "@name" for an abstract
/// one, nothing for an address of no family, or NULL. However it was written before, it has one text (the
/// events of Node's sockets repeat what was given to connect()). Node: address.address.
///
/// Ownership: the caller's `text`, TROUPE_ADDRESS_TEXT_SIZE bytes are always enough;
///            NUL-terminated, cut if `size` is less.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   the length of the text without its NUL.
TROUPE_API size_t troupe_address_text(const troupe_address_t *address, char *text, size_t size);

/// Compares two addresses, ports included. NULL is one of no family.
///
/// Thread:    any.
/// Blocks:    never.
TROUPE_API bool troupe_address_equal(const troupe_address_t *a, const troupe_address_t *b);

TROUPE_END

#endif
