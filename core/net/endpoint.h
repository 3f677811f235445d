/// Private. An address in little room, for the many sockets that only keep theirs in case somebody
/// asks.
#ifndef TRP_ENDPOINT_H_INCLUDED
#define TRP_ENDPOINT_H_INCLUDED

#include <stdbool.h>
#include <troupe/address.h>

#include "core/message/wire.h"

/// Zeroed, it is none. A Unix socket's path has memory of its own; most have none.
typedef struct trp_endpoint {
  union {
    uint8_t bytes[16];
    char *path;
  } at;
  uint32_t scope_id;
  uint32_t flowlabel;
  uint16_t port;
  uint8_t family;
  uint8_t path_length;
} trp_endpoint_t;

/// Takes what came; without memory a Unix socket's path is left out. What was in it must have been
/// cleared.
void trp_endpoint_set(trp_endpoint_t *endpoint, const Troupe__Wire__Address *wire);
void trp_endpoint_get(const trp_endpoint_t *endpoint, troupe_address_t *address);
void trp_endpoint_clear(trp_endpoint_t *endpoint);

/// What has no IP address is a Unix socket, an unnamed one perhaps, or a pipe.
static inline bool trp_endpoint_is_ip(const trp_endpoint_t *endpoint) {
  return endpoint->family == TROUPE_FAMILY_IPV4 || endpoint->family == TROUPE_FAMILY_IPV6;
}

#endif
