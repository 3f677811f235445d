/// Private. Addresses as they travel, and as everybody else uses them.
#ifndef TRP_WIRE_ADDRESS_H_INCLUDED
#define TRP_WIRE_ADDRESS_H_INCLUDED

#include <troupe/address.h>

#include "core/message/batch.h"

/// Reads an address that came. False: there is none (NULL, or family 0), or its bytes do not fit
/// its family; `*address` is zeroed then.
bool trp_address_from_wire(troupe_address_t *address, const Troupe__Wire__Address *wire);

/// Takes an address that the application made by hand. Returns 0, TROUPE_ERR_INVALID_ARG_VALUE: it
/// has no family, or its path is no path; or TROUPE_ENAMETOOLONG. Does not block.
int trp_address_take(troupe_address_t *address, const troupe_address_t *given);

/// Fills `wire`, whose `bytes` then point into `address`: both must live until the batch is packed.
void trp_address_fill_wire(Troupe__Wire__Address *wire, const troupe_address_t *address);

/// A copy that lives as long as the batch. NULL: no memory.
Troupe__Wire__Address *trp_address_to_wire(trp_out_t *out, const troupe_address_t *address);

/// The same for a list, as repeated fields need it. NULL: no memory.
Troupe__Wire__Address **trp_addresses_to_wire(trp_out_t *out, const troupe_address_t *addresses,
                                              size_t count);

#endif
