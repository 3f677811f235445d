#include "actors/sim/network_parts.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/net/ip.h"
#include "core/support/assert.h"

enum {
  FIRST_PORT = 32768,
  BUFFER = 256 * 1024,
  RETRY_MS = 1000, // of an attempt for which the backlog had no room
  ATTEMPT_LIMIT_MS = 127000,
  BURST_MS = 250,
};

#define MS INT64_C(1000000)

void trp_network_init(trp_network_t *network, trp_dice_t *dice, trp_faults_t *faults,
                      const troupe_sim_options_t *options) {
  *network = (trp_network_t){.dice = dice,
                             .faults = faults,
                             .hosts = options->hosts,
                             .host_count = options->host_count,
                             .next_port = FIRST_PORT};
  trp_list_init(&network->listeners);
  trp_list_init(&network->connections);
  trp_list_init(&network->resolves);
}

/// It is in no list any more.
static void free_connection(trp_connection_t *connection) {
  free(connection->lanes[0].bytes);
  free(connection->lanes[1].bytes);
  free(connection);
}

void trp_network_free(trp_network_t *network) {
  trp_link_t *link;
  while ((link = trp_list_take(&network->connections)) != NULL) {
    free_connection(TRP_LIST_ENTRY(link, trp_connection_t, in_network));
  }
  while ((link = trp_list_take(&network->resolves)) != NULL) {
    free(TRP_LIST_ENTRY(link, trp_resolve_t, in_network));
  }
  free(network->events);
  free(network->travelling);
}

/// Nobody can reach it any more.
void trp_connection_let_go(trp_connection_t *connection) {
  if (connection->closed[0] && connection->closed[1] && connection->events == 0) {
    trp_list_remove(&connection->in_network);
    free_connection(connection);
  }
}

// ---- Addresses ----

static bool is_unix(const troupe_address_t *address) {
  return address->family == TROUPE_FAMILY_UNIX;
}

static bool is_wildcard(const troupe_address_t *address) {
  static const uint8_t zero[16];
  return memcmp(address->bytes, zero, trp_ip_size(address->family)) == 0;
}

static bool same_path(const troupe_address_t *a, const troupe_address_t *b) {
  return a->path_length == b->path_length && memcmp(a->path, b->path, a->path_length) == 0;
}

/// Whether a connection to `to` is this listener's.
static bool listens_on(const trp_handle_t *listener, const troupe_address_t *to) {
  const troupe_address_t *at = &listener->spec.address;
  if (is_unix(at) || is_unix(to)) {
    return is_unix(at) && is_unix(to) && same_path(at, to);
  }
  if (at->port != to->port) {
    return false;
  }
  bool takes_ipv4 = at->family == TROUPE_FAMILY_IPV4 || !listener->spec.ipv6_only;
  if (is_wildcard(at)) {
    return at->family == to->family || (at->family == TROUPE_FAMILY_IPV6 && takes_ipv4);
  }
  uint8_t here[16], there[16];
  return trp_ip_from_address(at, here) != 0 && trp_ip_from_address(to, there) != 0 &&
         memcmp(here, there, sizeof here) == 0;
}

static trp_handle_t *find_listener(const trp_network_t *network, const troupe_address_t *to) {
  trp_handle_t *found = NULL;
  for (trp_link_t *link = network->listeners.next; link != &network->listeners; link = link->next) {
    trp_handle_t *listener = TRP_LIST_ENTRY(link, trp_handle_t, in_listeners);
    if (listens_on(listener, to) && (found == NULL || !is_wildcard(&listener->spec.address))) {
      found = listener;
    }
  }
  return found;
}

/// Of the side `of`, as the side `by` sees it: an IPv6 socket says of an IPv4 address that it is
/// mapped.
static troupe_address_t address_seen(const trp_connection_t *connection, int of, int by) {
  troupe_address_t seen = connection->addresses[of];
  if (by == 1 && connection->maps_ipv4 && seen.family == TROUPE_FAMILY_IPV4) {
    trp_ip_from_address(&connection->addresses[of], seen.bytes);
    seen.family = TROUPE_FAMILY_IPV6;
  }
  return seen;
}

static uint16_t free_port(trp_network_t *network) {
  uint16_t port = network->next_port++;
  if (network->next_port == 0) {
    network->next_port = FIRST_PORT;
  }
  return port;
}

// ---- Handles ----

static trp_handle_t *new_handle(trp_network_t *network, trp_transport_t *transport,
                                trp_sim_kind_t kind) {
  trp_handle_t *handle = calloc(1, sizeof *handle);
  if (handle == NULL) {
    network->no_memory = true;
    return NULL;
  }
  handle->network = network;
  handle->transport = transport;
  handle->kind = kind;
  handle->last_waiting = &handle->first_waiting;
  trp_list_init(&handle->in_transport);
  trp_list_init(&handle->in_listeners);
  network->handles++;
  return handle;
}

static void free_handle(trp_handle_t *handle) {
  trp_list_remove(&handle->in_transport);
  trp_list_remove(&handle->in_listeners);
  handle->network->handles--;
  free(handle);
}

static bool is_out_of_descriptors(trp_network_t *network) {
  if (network->now_ns >= network->no_descriptor_until_ns &&
      trp_fault(network->faults, TRP_FAULT_DESCRIPTORS)) {
    network->no_descriptor_until_ns = network->now_ns +
                                      (int64_t)trp_dice_scale(network->dice, 1, 500) * MS;
  }
  return !network->faults->healed && network->now_ns < network->no_descriptor_until_ns;
}

int trp_network_listen(trp_network_t *network, trp_transport_t *transport,
                       const trp_listen_spec_t *spec, trp_handle_t **handle) {
  troupe_address_t address = spec->address;
  if (!is_unix(&address) && address.port == 0) {
    address.port = free_port(network);
  }
  for (trp_link_t *link = network->listeners.next; link != &network->listeners; link = link->next) {
    const trp_handle_t *other = TRP_LIST_ENTRY(link, trp_handle_t, in_listeners);
    const troupe_address_t *taken = &other->spec.address;
    bool clash = listens_on(other, &address) ||
                 (!is_unix(&address) && !is_unix(taken) && is_wildcard(&address) &&
                  taken->port == address.port &&
                  (taken->family == address.family ||
                   (address.family == TROUPE_FAMILY_IPV6 && !spec->ipv6_only)));
    if (clash && !(other->spec.reuse_port && spec->reuse_port)) {
      return TROUPE_EADDRINUSE;
    }
  }
  if (is_out_of_descriptors(network)) {
    return TROUPE_EMFILE;
  }
  trp_handle_t *made = new_handle(network, transport, TRP_SIM_LISTENER);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->spec = *spec;
  made->spec.address = address;
  trp_list_append(&network->listeners, &made->in_listeners);
  *handle = made;
  return 0;
}

static trp_handle_t *new_end(trp_network_t *network, trp_transport_t *transport,
                             trp_sim_kind_t kind, trp_connection_t *connection, int side) {
  trp_handle_t *made = new_handle(network, transport, kind);
  if (made != NULL) {
    made->connection = connection;
    made->side = side;
    connection->ends[side] = made;
  }
  return made;
}

int trp_network_accept(trp_handle_t *listener, trp_transport_t *transport, trp_handle_t **accepted,
                       troupe_address_t *remote) {
  trp_network_t *network = listener->network;
  trp_connection_t *connection = listener->first_waiting;
  if (connection == NULL) {
    return TROUPE_EAGAIN;
  }
  if (is_out_of_descriptors(network)) {
    return TROUPE_EMFILE;
  }
  trp_handle_t *made = new_end(network, transport, TRP_SIM_STREAM, connection, 1);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  listener->first_waiting = connection->next_waiting;
  if (listener->first_waiting == NULL) {
    listener->last_waiting = &listener->first_waiting;
  }
  listener->waiting--;
  *remote = address_seen(connection, 0, 1);
  *accepted = made;
  return 0;
}

// ---- Connecting ----

static void draw_lane(trp_network_t *network, trp_lane_t *lane) {
  bool small = trp_fault(network->faults, TRP_FAULT_SMALL_BUFFERS);
  lane->send_limit = small ? trp_dice_scale(network->dice, 512, 16 * 1024) : (size_t)BUFFER;
  lane->receive_limit = small ? trp_dice_scale(network->dice, 512, 16 * 1024) : (size_t)BUFFER;
  lane->bandwidth = trp_fault(network->faults, TRP_FAULT_BANDWIDTH)
                        ? trp_dice_scale(network->dice, 4096, 1024 * 1024)
                        : 0;
}

static trp_connection_t *new_connection(trp_network_t *network, const troupe_address_t *local,
                                        const troupe_address_t *remote) {
  trp_connection_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    network->no_memory = true;
    return NULL;
  }
  trp_list_init(&made->in_network);
  made->addresses[1] = *remote;
  troupe_address_t *own = &made->addresses[0];
  if (local != NULL) {
    *own = *local;
  } else if (is_unix(remote)) {
    own->family = TROUPE_FAMILY_UNIX;
  } else {
    *own = *remote; // whoever can be reached by an address is on the same machine as he
    own->port = 0;
  }
  if (!is_unix(own) && own->port == 0) {
    own->port = free_port(network);
  }
  made->latency_ns = (int64_t)(is_unix(remote) ? trp_dice_scale(network->dice, 1000, 20000)
                                               : trp_dice_scale(network->dice, 20000, 5000000));
  draw_lane(network, &made->lanes[0]);
  draw_lane(network, &made->lanes[1]);
  trp_list_append(&network->connections, &made->in_network);
  return made;
}

void trp_network_redraw(trp_handle_t *handle) {
  if (handle->connection != NULL) {
    draw_lane(handle->network, &handle->connection->lanes[0]);
    draw_lane(handle->network, &handle->connection->lanes[1]);
  }
}

int trp_network_pair(trp_network_t *network, trp_transport_t *const transports[2],
                     const troupe_address_t addresses[2], const bool ended[2],
                     trp_handle_t *ends[2]) {
  trp_connection_t *connection = new_connection(network, &addresses[0], &addresses[1]);
  if (connection == NULL) {
    return TROUPE_ENOMEM;
  }
  connection->arrived = true;
  for (int side = 0; side < 2; side++) {
    trp_lane_t *lane = &connection->lanes[side];
    lane->fin_wanted = lane->fin_flying = lane->fin_arrived = ended[side];
    ends[side] = new_end(network, transports[side], TRP_SIM_STREAM, connection, side);
  }
  if (ends[0] == NULL || ends[1] == NULL) {
    for (int side = 0; side < 2; side++) {
      if (ends[side] != NULL) {
        free_handle(ends[side]);
      }
    }
    trp_list_remove(&connection->in_network);
    free_connection(connection);
    return TROUPE_ENOMEM;
  }
  network->established++;
  return 0;
}

/// It waits in the backlog; false: that is full.
static bool arrive(trp_network_t *network, trp_connection_t *connection, trp_handle_t *listener) {
  if (listener->waiting > (listener->spec.backlog <= 0 ? 511 : listener->spec.backlog)) {
    return false;
  }
  connection->arrived = true;
  connection->next_waiting = NULL;
  *listener->last_waiting = connection;
  listener->last_waiting = &connection->next_waiting;
  listener->waiting++;
  connection->maps_ipv4 = listener->spec.address.family == TROUPE_FAMILY_IPV6;
  network->established++;
  return true;
}

int trp_network_connect(trp_network_t *network, trp_transport_t *transport,
                        const troupe_address_t *remote, const troupe_address_t *local,
                        trp_handle_t **handle, const char **syscall) {
  *syscall = "connect";
  trp_handle_t *listener = is_unix(remote) ? find_listener(network, remote) : NULL;
  if (is_unix(remote) && listener == NULL) {
    return remote->path_length > 0 && remote->path[0] == '\0' ? TROUPE_ECONNREFUSED : TROUPE_ENOENT;
  }
  if (is_out_of_descriptors(network)) {
    return TROUPE_EMFILE;
  }
  trp_connection_t *connection = new_connection(network, local, remote);
  if (connection == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_handle_t *made = new_end(network, transport, TRP_SIM_ATTEMPT, connection, 0);
  if (made == NULL) {
    trp_list_remove(&connection->in_network);
    free_connection(connection);
    return TROUPE_ENOMEM;
  }
  made->wanted = TRP_WRITE;
  made->result = TROUPE_EALREADY;
  if (listener != NULL) {
    made->result = arrive(network, connection, listener) ? 0 : (int)TROUPE_EAGAIN;
  } else {
    int64_t due_ns = network->now_ns + connection->latency_ns;
    if (trp_fault(network->faults, TRP_FAULT_BURST)) {
      due_ns += BURST_MS * MS - due_ns % (BURST_MS * MS);
    }
    if (!trp_network_schedule(network, connection, TRP_ON_SYN, 0, 0, due_ns)) {
      trp_network_close(made);
      return TROUPE_ENOMEM;
    }
  }
  *handle = made;
  return 0;
}

int trp_network_connected(trp_handle_t *handle) {
  if (handle->kind == TRP_SIM_ATTEMPT && handle->result == 0) {
    handle->kind = TRP_SIM_STREAM;
  }
  return handle->result;
}

void trp_connection_syn(trp_network_t *network, trp_connection_t *connection) {
  if (connection->closed[0]) {
    connection->closed[1] = true;
    return;
  }
  int64_t answer_ns = network->now_ns + connection->latency_ns;
  if (connection->attempts == 0 && trp_fault(network->faults, TRP_FAULT_BLACK_HOLE)) {
    trp_network_schedule(network, connection, TRP_ON_ATTEMPT_OVER, 0, 0,
                         network->now_ns + ATTEMPT_LIMIT_MS * MS);
    return;
  }
  trp_handle_t *listener = find_listener(network, &connection->addresses[1]);
  if (listener == NULL || (connection->attempts == 0 && // NOLINT(bugprone-branch-clone)
                           trp_fault(network->faults, TRP_FAULT_REFUSE))) {
    trp_network_schedule(network, connection, TRP_ON_REFUSED, 0, 0, answer_ns);
  } else if (arrive(network, connection, listener)) {
    connection->lanes[1].arrival_ns = answer_ns;
    trp_network_schedule(network, connection, TRP_ON_SYN_ACK, 0, 0, answer_ns);
  } else if (connection->attempts++ < 6) {
    trp_network_schedule(network, connection, TRP_ON_SYN, 0, 0,
                         network->now_ns + ((RETRY_MS * MS) << connection->attempts));
  } else {
    trp_network_schedule(network, connection, TRP_ON_ATTEMPT_OVER, 0, 0, network->now_ns);
  }
}

/// The attempt has ended, if somebody still waits for it.
void trp_connection_end_attempt(trp_connection_t *connection, int result) {
  if (result != 0) {
    connection->closed[1] = true;
  }
  if (connection->ends[0] != NULL) {
    connection->ends[0]->result = result;
  }
}

// ---- Closing ----

static void close_listener(trp_handle_t *listener) {
  trp_connection_t *connection = listener->first_waiting;
  while (connection != NULL) {
    trp_connection_t *next = connection->next_waiting;
    connection->closed[1] = true;
    trp_connection_send_reset(listener->network, connection, 1);
    trp_connection_let_go(connection);
    connection = next;
  }
}

static void close_attempt(trp_network_t *network, trp_connection_t *connection) {
  connection->closed[0] = true;
  if (!connection->arrived) {
    connection->closed[1] = true; // there is no other side
  } else if (!connection->closed[1]) {
    trp_connection_send_reset(network, connection, 0);
  }
}

static void close_stream(trp_network_t *network, trp_connection_t *connection, int side,
                         bool lingers) {
  trp_lane_t *in = &connection->lanes[1 - side];
  connection->closed[side] = true;
  connection->lingers[side] = lingers;
  if (connection->broken[side]) {
    return;
  }
  if (in->readable > 0 && !lingers) {
    trp_lane_drop_first(in, in->readable);
    trp_connection_send_reset(network, connection, side);
    return;
  }
  trp_lane_drop_first(in, in->readable);
  trp_lane_pump(network, connection, 1 - side);
  connection->lanes[side].fin_wanted = true;
  trp_lane_pump(network, connection, side);
}

static void close_handle(trp_handle_t *handle, bool reset) {
  trp_network_t *network = handle->network;
  trp_connection_t *connection = handle->connection;
  int side = handle->side;
  if (handle->kind == TRP_SIM_LISTENER) {
    close_listener(handle);
    free_handle(handle);
    return;
  }
  connection->ends[side] = NULL;
  if (handle->kind == TRP_SIM_ATTEMPT) {
    close_attempt(network, connection);
  } else if (reset) {
    connection->closed[side] = true;
    trp_lane_drop_first(&connection->lanes[1 - side], connection->lanes[1 - side].readable);
    if (!connection->broken[side]) {
      trp_connection_send_reset(network, connection, side);
    }
  } else {
    close_stream(network, connection, side, handle->lingers);
  }
  free_handle(handle);
  trp_connection_let_go(connection);
}

void trp_network_close(trp_handle_t *handle) {
  close_handle(handle, false);
}

int trp_network_reset(trp_handle_t *handle) {
  if (is_unix(&handle->connection->addresses[1])) {
    return TROUPE_ERR_INVALID_HANDLE_TYPE;
  }
  close_handle(handle, true);
  return 0;
}

int trp_network_let_go(trp_handle_t *handle) {
  trp_network_t *network = handle->network;
  size_t number = 0;
  while (number < network->travelling_count && network->travelling[number] != NULL) {
    number++;
  }
  if (number == network->travelling_count) {
    trp_handle_t **grown = realloc(network->travelling, (number + 1) * sizeof(trp_handle_t *));
    if (grown == NULL) {
      network->no_memory = true;
      trp_network_close(handle);
      return TROUPE_ENOMEM;
    }
    network->travelling = grown;
    network->travelling_count++;
  }
  trp_list_remove(&handle->in_transport);
  network->travelling[number] = handle;
  return (int)number;
}

int trp_network_take(trp_network_t *network, trp_transport_t *transport, int number,
                     trp_handle_t **handle) {
  trp_handle_t *taken = number >= 0 && (size_t)number < network->travelling_count
                            ? network->travelling[number]
                            : NULL;
  if (taken == NULL) {
    return TROUPE_EBADF;
  }
  network->travelling[number] = NULL;
  taken->transport = transport;
  *handle = taken;
  return 0;
}

void trp_network_names(const trp_handle_t *handle, troupe_address_t *local,
                       troupe_address_t *remote) {
  const trp_connection_t *connection = handle->connection;
  int side = handle->side;
  if (local != NULL) {
    *local = connection == NULL ? handle->spec.address : address_seen(connection, side, side);
  }
  if (remote != NULL) {
    *remote = connection == NULL ? (troupe_address_t){0} : address_seen(connection, 1 - side, side);
  }
}
