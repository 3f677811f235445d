/// Private. Errors on their way into messages, and addresses as the socket logic compares them.
#ifndef TRP_DETAILS_H_INCLUDED
#define TRP_DETAILS_H_INCLUDED

#include "actors/net/transport.h"
#include "core/net/wire_address.h"

/// What went wrong, until it is put into a message. All pointers are borrowed.
typedef struct trp_failure {
  int code;
  const char *syscall;                    // NULL for none
  const troupe_address_t *address;        // its text and its port are told; or
  const char *text;                       // this instead, for names,
  int port;                               // with this
  const troupe_address_t *local;          // Node's " - Local (…)"; NULL without
  const struct trp_failure *const *parts; // of an aggregate
  size_t part_count;
} trp_failure_t;

/// Lives as long as the batch. NULL: no memory.
Troupe__Wire__Error *trp_put_error(trp_out_t *out, const trp_failure_t *failure);

/// Whose process the peer is, for a message. False: no memory; `*wire` is NULL where there is no such
/// thing.
bool trp_put_credentials(trp_out_t *out, trp_transport_t *transport, trp_handle_t *handle,
                         Troupe__Wire__Credentials **wire);

/// '::' or 0.0.0.0.
troupe_address_t trp_any_address(uint8_t family, uint16_t port);

/// Whether both name the same place to listen at: ports included, flow labels not.
bool trp_same_address(const troupe_address_t *a, const troupe_address_t *b);

/// Spreads 16 bytes over 64 bits; not against an attacker, who gains nothing.
uint64_t trp_ip_hash(const uint8_t bytes[16]);

#endif
