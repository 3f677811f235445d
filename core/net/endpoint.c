#include "core/net/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "core/net/wire_address.h"

void trp_endpoint_set(trp_endpoint_t *endpoint, const Troupe__Wire__Address *wire) {
  troupe_address_t address;
  if (!trp_address_from_wire(&address, wire)) {
    return;
  }
  endpoint->family = address.family;
  if (address.family != TROUPE_FAMILY_UNIX) {
    memcpy(endpoint->at.bytes, address.bytes, sizeof endpoint->at.bytes);
    endpoint->scope_id = address.scope_id;
    endpoint->flowlabel = address.flowlabel;
    endpoint->port = address.port;
    return;
  }
  endpoint->at.path = NULL;
  if (address.path_length > 0) {
    endpoint->at.path = malloc(address.path_length);
    if (endpoint->at.path != NULL) {
      memcpy(endpoint->at.path, address.path, address.path_length);
      endpoint->path_length = address.path_length;
    }
  }
}

void trp_endpoint_get(const trp_endpoint_t *endpoint, troupe_address_t *address) {
  *address = (troupe_address_t){
      .family = endpoint->family,
      .path_length = endpoint->path_length,
      .port = endpoint->port,
      .flowlabel = endpoint->flowlabel,
      .scope_id = endpoint->scope_id,
  };
  if (endpoint->family != TROUPE_FAMILY_UNIX) {
    memcpy(address->bytes, endpoint->at.bytes, sizeof address->bytes);
  } else if (endpoint->path_length > 0) {
    memcpy(address->path, endpoint->at.path, endpoint->path_length);
  }
}

void trp_endpoint_clear(trp_endpoint_t *endpoint) {
  if (endpoint->family == TROUPE_FAMILY_UNIX) {
    free(endpoint->at.path);
  }
  *endpoint = (trp_endpoint_t){0};
}
