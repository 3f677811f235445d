/// Private. Real listening sockets: shared by all members on one address; accepting with a budget,
/// parking when there are no descriptors.
#ifndef TRP_LISTENER_H_INCLUDED
#define TRP_LISTENER_H_INCLUDED

#include "actors/net/context.h"
#include "actors/net/placement.h"

enum {
  TRP_ACCEPT_BUDGET = 64, // connections that one listener accepts in one turn
  TRP_PARK_MS = 100,      // until a parked listener tries again: at first, and
  TRP_PARK_MAX_MS = 1000, // at the most
};

/// A connection that would be turned away, until it is certain that none of those that keep it out
/// is gone already.
typedef struct trp_doubt {
  trp_handle_t *handle;
  troupe_address_t remote;
} trp_doubt_t;

struct trp_listener {
  trp_subject_t subject;
  trp_net_t *net;
  trp_link_t in_net;
  trp_handle_t *handle;
  troupe_address_t address;   // it listens there; for a path, as it was given
  troupe_address_t requested; // with port 0 if that was asked for
  uint64_t group;             // with port 0: whose k-th listen(0) it is
  uint32_t ordinal;
  int fd; // that it was made of, or -1
  bool exclusive, reuse_port;
  bool wildcard; // the connections' local address is not this one
  bool wants;    // to accept
  bool parked;
  unsigned park_ms;
  trp_due_t due; // of a parked one
  trp_placement_policy_t policy;
  size_t cursor;
  trp_place_t **places; // those of its members
  size_t count, capacity;
  trp_doubt_t *doubts; // TRP_ACCEPT_BUDGET of them, or NULL
  size_t doubt_first, doubt_count;
  trp_sync_t sync; // in a list while they wait for it
  bool settles;    // decides on them right now
};

/// What a server asks for; the address is known.
typedef struct trp_listen_order {
  trp_listen_spec_t spec;
  uint32_t ordinal;
  bool exclusive;
  trp_placement_policy_t policy;
} trp_listen_order_t;

/// Puts the member on the address: with the listener that is there, or with a new one. Returns 0 or
/// an error of bind or listen.
int trp_listener_join(trp_member_t *member, const trp_listen_order_t *order);

/// The same on a descriptor, which is consumed.
int trp_listener_join_fd(trp_member_t *member, int fd, const trp_listen_order_t *order);

/// The same where another member is.
int trp_listener_join_other(trp_member_t *member, trp_listener_t *listener);

/// Takes the member out; the last one closes the socket.
void trp_listener_leave(trp_member_t *member);

/// A member's limits, credit or count have changed: accepting may go on or must stop.
void trp_listener_update(trp_listener_t *listener);

/// The transport's `ready`.
void trp_listener_ready(trp_listener_t *listener);

/// A descriptor has become free: parked listeners try again.
void trp_listeners_retry(trp_net_t *net);

#endif
