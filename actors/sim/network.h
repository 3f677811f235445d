/// Private. The simulated network: listeners, connections, what is on its way, and when it arrives.
/// One for a run; the transports of its I/O actors stand on it.
///
/// It behaves as Linux's TCP and Unix sockets do where an application can tell: unread data makes a
/// close a reset, data for a closed socket is answered with one, bytes that came before a reset can
/// still be read, a full backlog makes the attempt wait.
#ifndef TRP_SIM_NETWORK_H_INCLUDED
#define TRP_SIM_NETWORK_H_INCLUDED

#include "actors/net/list.h"
#include "actors/net/transport.h"
#include "actors/sim/faults.h"

typedef struct trp_network trp_network_t;
typedef struct trp_connection trp_connection_t;

/// One direction of a connection: what was written and not read yet. First what can be read, then
/// what flies, then what waits for room at the reader.
typedef struct trp_lane {
  uint8_t *bytes;
  size_t start, length, allocated;
  size_t readable, flying;
  size_t send_limit, receive_limit;
  uint64_t bandwidth; // bytes in a second; 0: no limit
  int64_t free_ns;    // when the line has carried what it was given
  int64_t arrival_ns; // of what was sent last: nothing overtakes
  bool fin_wanted, fin_flying, fin_arrived;
} trp_lane_t;

/// Side 0 connected, side 1 was accepted. lanes[s] is what side s writes.
struct trp_connection {
  trp_link_t in_network;
  trp_connection_t *next_waiting; // in a listener's backlog
  trp_handle_t *ends[2];          // NULL: not accepted yet, or closed
  trp_lane_t lanes[2];
  bool closed[2], lingers[2], broken[2];
  bool arrived;   // the attempt has reached the listener
  bool maps_ipv4; // which listens on IPv6
  int error[2];   // to be told once
  int64_t latency_ns;
  unsigned attempts;
  unsigned events; // on their way: while there are some it is not freed
  troupe_address_t addresses[2];
  void *watched[2]; // the monitor's
};

typedef enum trp_sim_kind { TRP_SIM_LISTENER, TRP_SIM_ATTEMPT, TRP_SIM_STREAM } trp_sim_kind_t;

struct trp_handle {
  trp_link_t in_transport;
  trp_network_t *network;
  trp_transport_t *transport;
  trp_sim_kind_t kind;
  void *owner;
  unsigned wanted;
  bool hangup_told, lingers;
  int result; // of an attempt
  trp_connection_t *connection;
  int side;
  trp_listen_spec_t spec; // of a listener
  trp_link_t in_listeners;
  trp_connection_t *first_waiting, **last_waiting;
  int waiting;
};

struct trp_resolve {
  trp_link_t in_network;
  trp_transport_t *transport;
  void *owner;
  int error;
  int64_t due_ns;
  size_t count;
  troupe_address_t addresses[16];
};

typedef struct trp_sim_event trp_sim_event_t;

struct trp_network {
  trp_dice_t *dice;
  trp_faults_t *faults;
  const troupe_sim_host_t *hosts;
  size_t host_count;
  int64_t now_ns;
  int64_t no_descriptor_until_ns;
  trp_link_t listeners, connections, resolves;
  trp_sim_event_t *events; // a heap
  size_t event_count, event_capacity;
  uint64_t next_sequence;
  uint16_t next_port;
  size_t handles;            // open
  trp_handle_t **travelling; // between two I/O actors, by the number that stands for a descriptor
  size_t travelling_count;
  uint64_t established;
  bool no_memory; // something was lost for want of it: the run is worth nothing
};

void trp_network_init(trp_network_t *network, trp_dice_t *dice, trp_faults_t *faults,
                      const troupe_sim_options_t *options);
void trp_network_free(trp_network_t *network); // all handles are closed

/// When something happens next; TRP_NEVER: not by itself.
int64_t trp_network_next(const trp_network_t *network);
/// Lets time pass: what is due by then happens.
void trp_network_pass(trp_network_t *network, int64_t now_ns);

/// What a handle is ready for, of what is wanted.
unsigned trp_network_ready(const trp_handle_t *handle);

// The calls of a transport, for handles of `transport`.
int trp_network_listen(trp_network_t *network, trp_transport_t *transport,
                       const trp_listen_spec_t *spec, trp_handle_t **handle);
int trp_network_accept(trp_handle_t *listener, trp_transport_t *transport, trp_handle_t **accepted,
                       troupe_address_t *remote);
int trp_network_connect(trp_network_t *network, trp_transport_t *transport,
                        const troupe_address_t *remote, const troupe_address_t *local,
                        trp_handle_t **handle, const char **syscall);
int trp_network_connected(trp_handle_t *handle);
ssize_t trp_network_read(trp_handle_t *handle, void *bytes, size_t length);
ssize_t trp_network_write(trp_handle_t *handle, const struct iovec *parts, int count);
int trp_network_shutdown(trp_handle_t *handle);
int trp_network_reset(trp_handle_t *handle);
void trp_network_close(trp_handle_t *handle);
int trp_network_error(trp_handle_t *handle);
/// A connection that is there already, without an attempt: `ends[s]` is what side s has. With
/// `ended[s]` what s writes has ended, and the other one can read that. 0 or TROUPE_ENOMEM.
int trp_network_pair(trp_network_t *network, trp_transport_t *const transports[2],
                     const troupe_address_t addresses[2], const bool ended[2],
                     trp_handle_t *ends[2]);
/// What its two directions carry is drawn anew: no fault could happen when it was made.
void trp_network_redraw(trp_handle_t *handle);
/// Between transports: a number for the handle, and the handle again. Below 0: an error.
int trp_network_let_go(trp_handle_t *handle);
int trp_network_take(trp_network_t *network, trp_transport_t *transport, int number,
                     trp_handle_t **handle);
void trp_network_names(const trp_handle_t *handle, troupe_address_t *local,
                       troupe_address_t *remote);
int trp_network_resolve(trp_network_t *network, trp_transport_t *transport, const char *host,
                        uint16_t port, int family, void *owner, trp_resolve_t **request);
void trp_network_cancel(trp_resolve_t *request);

#endif
