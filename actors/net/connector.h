/// Private. How a socket gets its connection: look-up, then attempts, as Node makes them (RFC 8305,
/// section 5, one after the other) or side by side.
#ifndef TRP_CONNECTOR_H_INCLUDED
#define TRP_CONNECTOR_H_INCLUDED

#include "actors/net/context.h"
#include "actors/net/details.h"

typedef struct trp_attempt {
  trp_subject_t subject;
  trp_connector_t *connector;
  trp_handle_t *handle; // NULL: it does not go on
  troupe_address_t address;
  troupe_address_t local; // bound to it; family 0: to none
  int code;               // why it failed; 0: it did not (yet)
  bool bind;              // it was not connect() but bind() that failed
  bool tells_local;       // Node tells the local address with the error
} trp_attempt_t;

struct trp_connector {
  trp_subject_t subject;
  trp_stream_t *stream; // NULL: cancelled
  char *host;           // as the actor gave it, or NULL
  uint16_t port;
  int family;
  unsigned hints;
  troupe_address_t local; // family 0: none
  char *local_text;       // it, as the actor gave it, or NULL
  uint16_t local_port;
  bool named;    // the addresses are those of a name
  bool selects;  // asked for: try several addresses
  bool parallel; // and do not give up one for the next
  bool many;     // what came of it: there are several
  uint32_t attempt_timeout_ms;
  trp_resolve_t *resolve;
  trp_attempt_t *attempts; // in the order in which they are made
  size_t count, next;
  size_t active; // that go on
  trp_due_t due; // for the next one
};

/// Starts for a socket that was just made; the socket may be closed already when this returns. Its
/// end is trp_stream_connected() or trp_stream_fail().
void trp_connector_begin(trp_stream_t *stream, const Troupe__Wire__Connect *connect);

/// Stops everything. `tell`: of attempts that go on among several, it is told that they were
/// cancelled, as Node does.
void trp_connector_cancel(trp_connector_t *connector, bool tell);

/// Where to: for an error that belongs to no attempt.
void trp_connector_describe(const trp_connector_t *connector, trp_failure_t *failure);

// The transport's callbacks.
void trp_connector_ready(trp_attempt_t *attempt);
void trp_connector_resolved(trp_connector_t *connector, const trp_resolved_t *result);

/// Fills `order` with the indices of the addresses that are tried, in the order in which they are
/// tried: those of the first one's family and of the other take turns, duplicates are left out.
/// Returns how many there are. Pure.
size_t trp_connector_order(const troupe_address_t *addresses, size_t count, size_t *order);

#endif
