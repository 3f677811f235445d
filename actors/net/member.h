/// Private. Servers: each is one actor's share in a listening socket, with its own limits and its
/// own count of connections. member.c has its life, and the connections that it is dealt;
/// member_listen.c how it begins to listen; member_limits.c its limits and counts.
#ifndef TRP_MEMBER_H_INCLUDED
#define TRP_MEMBER_H_INCLUDED

#include "actors/net/context.h"
#include "actors/net/details.h"
#include "actors/net/options.h"
#include "actors/net/peers.h"
#include "actors/net/placement.h"

/// What became of the connections that were dealt to a server since it began to listen.
typedef struct trp_member_counts {
  uint64_t accepted;
  uint64_t dropped; // because of max_connections
  uint64_t blocked; // by its block list
  uint64_t capped;  // because of max_per_address
} trp_member_counts_t;

/// A COMMAND_LISTEN that waits for the look-up of its host.
typedef struct trp_request trp_request_t;

struct trp_member {
  trp_subject_t subject;
  trp_net_t *net;
  trp_owner_t *owner; // NULL: it has ended, only connections that live elsewhere keep this
  trp_link_t in_owner;
  trp_listener_t *listener;     // NULL: it does not listen
  trp_place_t place;            // among the listener's
  uint64_t dealt;               // connections so far, and
  uint64_t dispatched;          // how many of them its actor has dispatched, as it told
  trp_socket_options_t options; // inherited by its connections
  const char *made_at;          // file and line, among the net's texts, or NULL
  uint64_t block_list;
  uint32_t max_per_address;
  unsigned address_prefix; // of IPv6 addresses; 0: all bits
  trp_peers_t peers;       // while max_per_address is set
  trp_member_counts_t counts;
  trp_request_t *request;
  bool closing;       // EVENT_CLOSE is due when the last connection is gone
  trp_link_t in_list; // of members that dropped connections in this turn, or that owe their
                      // EVENT_CLOSE
  uint64_t drops;     // not told yet
  troupe_address_t drop_local, drop_remote; // of the last of them
};

// Commands.
void trp_member_listen(const trp_command_t *command);
void trp_member_close(trp_member_t *member);
void trp_member_count(const trp_command_t *command);
void trp_member_change_options(trp_member_t *member, const Troupe__Wire__Options *options);
/// Its actor has dispatched so many connections.
void trp_member_set_dispatched(trp_member_t *member, uint64_t through);

/// The look-up of its host ended.
void trp_member_resolved(trp_member_t *member, const trp_resolved_t *result);

/// Whether the peer's address has as many connections as it may have.
bool trp_member_is_capped(const trp_member_t *member, const troupe_address_t *remote);

/// A connection that the placement gave to it: takes the handle in any case.
void trp_member_admit(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote);

/// It is full, and so are the others.
void trp_member_refuse(trp_member_t *member, trp_handle_t *handle, const troupe_address_t *remote);

/// A connection that it accepted is gone, wherever that lived; `*peer` is its count of the address.
void trp_member_lose(trp_member_t *member, trp_peer_t **peer);

// For connections that other I/O actors serve.
/// Its actor has one more, or never heard of the last one.
void trp_member_admitted(trp_member_t *member);
void trp_member_not_admitted(trp_member_t *member);
/// Counts a connection under its address, while that has a cap. False: no memory.
bool trp_member_count_peer(trp_member_t *member, trp_peer_t **peer, const troupe_address_t *remote);
void trp_member_uncount_peer(trp_member_t *member, trp_peer_t **peer);
void trp_member_find_local(const trp_member_t *member, trp_handle_t *handle,
                           troupe_address_t *local);
/// EVENT_CONNECTION of the server `id`. False: no memory.
bool trp_member_tell_connection(trp_owner_t *owner, uint64_t id, const trp_stream_t *stream,
                                trp_handle_t *handle, const troupe_address_t *local,
                                const troupe_address_t *remote);

/// Tells that its listener is parked, or that it accepts again.
void trp_member_tell_parked(trp_member_t *member, int code, bool parked);

/// Its actor has ended: closes it without a word.
void trp_member_drop(trp_member_t *member);

/// For lists of what is open. One whose actor has ended is left as it is.
void trp_member_describe(const trp_member_t *member, troupe_handle_t *handle);

/// The turn ends: tells of dropped connections, and of closes that there was no memory for.
void trp_members_flush(trp_net_t *net);

// ---- What these files share ----

/// The member that the command is about, made if it is new. NULL: no memory.
trp_member_t *trp_member_find_or_make(const trp_command_t *command);
/// Frees it, unless something still needs it.
void trp_member_forget(trp_member_t *member);
/// The look-up of its host is not waited for any more.
void trp_member_drop_request(trp_member_t *member);
/// How many connections it may still be dealt: fewer by those that its actor has not dispatched.
void trp_member_update_credit(trp_member_t *member);
/// Makes them the event's detail, or takes the event back: there is no memory.
bool trp_member_put_counts(trp_owner_t *owner, trp_message_t *event,
                           const trp_member_counts_t *counts);
/// Whether its block list or its cap keeps the peer out; counts it then. Silent, as in Node: neither
/// is told to the actor.
bool trp_member_refuses(trp_member_t *member, const troupe_address_t *remote);

#endif
