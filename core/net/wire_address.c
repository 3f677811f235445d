/// Between the addresses of the protocol and troupe_address_t.
#include "core/net/wire_address.h"

#include <string.h>

#include "core/net/ip.h"

static size_t length_of(const troupe_address_t *address);

bool trp_address_from_wire(troupe_address_t *address, const Troupe__Wire__Address *wire) {
  *address = (troupe_address_t){0};
  if (wire == NULL) {
    return false;
  }
  size_t length = wire->bytes.len;
  switch (wire->family) {
  case TROUPE_FAMILY_IPV4:
  case TROUPE_FAMILY_IPV6:
    if (length != trp_ip_size((int)wire->family) || wire->port > UINT16_MAX) {
      return false;
    }
    memcpy(address->bytes, wire->bytes.data, length);
    address->port = (uint16_t)wire->port;
    address->scope_id = wire->scope_id;
    address->flowlabel = wire->flowlabel;
    break;
  case TROUPE_FAMILY_UNIX: // without a path when it is the side that did not bind
    if (length > TROUPE_PATH_MAX) {
      return false;
    }
    if (length > 0) {
      memcpy(address->path, wire->bytes.data, length);
    }
    address->path_length = (uint8_t)length;
    break;
  default:
    return false;
  }
  address->family = (uint8_t)wire->family;
  return true;
}

void trp_address_fill_wire(Troupe__Wire__Address *wire, const troupe_address_t *address) {
  *wire = (Troupe__Wire__Address)TROUPE__WIRE__ADDRESS__INIT;
  wire->family = address->family;
  wire->bytes.len = length_of(address);
  // protobuf-c does not write to what it packs.
  wire->bytes.data = address->family == TROUPE_FAMILY_UNIX ? (uint8_t *)address->path
                                                           : (uint8_t *)address->bytes;
  wire->port = address->port;
  wire->scope_id = address->scope_id;
  wire->flowlabel = address->flowlabel;
}

Troupe__Wire__Address *trp_address_to_wire(trp_out_t *out, const troupe_address_t *address) {
  Troupe__Wire__Address *wire = trp_out_take(out, sizeof *wire);
  size_t length = length_of(address);
  uint8_t *bytes = trp_out_take(out, length == 0 ? 1 : length);
  if (wire == NULL || bytes == NULL) {
    return NULL;
  }
  trp_address_fill_wire(wire, address);
  memcpy(bytes, wire->bytes.data, length);
  wire->bytes.data = bytes;
  return wire;
}

Troupe__Wire__Address **trp_addresses_to_wire(trp_out_t *out, const troupe_address_t *addresses,
                                              size_t count) {
  Troupe__Wire__Address **list = trp_out_take(out, (count == 0 ? 1 : count) * sizeof *list);
  for (size_t i = 0; list != NULL && i < count; i++) {
    list[i] = trp_address_to_wire(out, &addresses[i]);
    if (list[i] == NULL) {
      return NULL;
    }
  }
  return list;
}

int trp_address_take(troupe_address_t *address, const troupe_address_t *given) {
  switch (given->family) {
  case TROUPE_FAMILY_IPV4:
  case TROUPE_FAMILY_IPV6:
    *address = *given;
    return 0;
  case TROUPE_FAMILY_UNIX:
    return troupe_address_path(address, given->path, given->path_length);
  default:
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
}

static size_t length_of(const troupe_address_t *address) {
  return address->family == TROUPE_FAMILY_UNIX ? address->path_length
                                               : trp_ip_size(address->family);
}
