#include "actors/sim/network.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/net/ip.h"
#include "core/support/assert.h"

enum {
  FIRST_PORT = 32768,
  SEGMENT_MOST = 64 * 1024,
  BUFFER = 256 * 1024,
  RETRY_MS = 1000, // of an attempt for which the backlog had no room
  ATTEMPT_LIMIT_MS = 127000,
  BURST_MS = 250,
};

#define MS INT64_C(1000000)

typedef enum { SYN, SYN_ACK, REFUSED, ATTEMPT_OVER, SEGMENT, FIN, RESET, BREAK } event_kind_t;

struct trp_sim_event {
  int64_t due_ns;
  uint64_t sequence; // among equals the first goes first
  trp_connection_t *connection;
  event_kind_t kind;
  int side; // SEGMENT, FIN: who wrote; RESET: whom it reaches
  size_t length;
};

static bool schedule(trp_network_t *network, trp_connection_t *connection, event_kind_t kind,
                     int side, size_t length, int64_t due_ns);
static void pump(trp_network_t *network, trp_connection_t *connection, int side);
static void happen(trp_network_t *network, const trp_sim_event_t *event);
static void let_go(trp_connection_t *connection);

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

// ---- Time ----

static bool goes_before(const trp_sim_event_t *a, const trp_sim_event_t *b) {
  return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

static bool schedule(trp_network_t *network, trp_connection_t *connection, event_kind_t kind,
                     int side, size_t length, int64_t due_ns) {
  if (network->event_count == network->event_capacity) {
    size_t capacity = network->event_capacity == 0 ? 64 : 2 * network->event_capacity;
    trp_sim_event_t *grown = realloc(network->events, capacity * sizeof *grown);
    if (grown == NULL) {
      network->no_memory = true;
      return false;
    }
    network->events = grown;
    network->event_capacity = capacity;
  }
  trp_sim_event_t event = {.due_ns = due_ns,
                           .sequence = network->next_sequence++,
                           .connection = connection,
                           .kind = kind,
                           .side = side,
                           .length = length};
  size_t at = network->event_count++;
  for (size_t parent = (at - 1) / 2; at > 0 && goes_before(&event, &network->events[parent]);
       parent = (at - 1) / 2) {
    network->events[at] = network->events[parent];
    at = parent;
  }
  network->events[at] = event;
  connection->events++;
  return true;
}

static trp_sim_event_t take_first(trp_network_t *network) {
  trp_sim_event_t first = network->events[0];
  trp_sim_event_t last = network->events[--network->event_count];
  size_t at = 0;
  for (size_t child = 1; child < network->event_count; child = 2 * at + 1) {
    if (child + 1 < network->event_count &&
        goes_before(&network->events[child + 1], &network->events[child])) {
      child++;
    }
    if (!goes_before(&network->events[child], &last)) {
      break;
    }
    network->events[at] = network->events[child];
    at = child;
  }
  network->events[at] = last;
  return first;
}

int64_t trp_network_next(const trp_network_t *network) {
  int64_t next = network->event_count == 0 ? TRP_NEVER : network->events[0].due_ns;
  for (const trp_link_t *link = network->resolves.next; link != &network->resolves;
       link = link->next) {
    const trp_resolve_t *request = TRP_LIST_ENTRY(link, trp_resolve_t, in_network);
    next = request->due_ns < next ? request->due_ns : next;
  }
  return next;
}

void trp_network_pass(trp_network_t *network, int64_t now_ns) {
  while (network->event_count > 0 && network->events[0].due_ns <= now_ns) {
    trp_sim_event_t event = take_first(network);
    network->now_ns = event.due_ns > network->now_ns ? event.due_ns : network->now_ns;
    happen(network, &event);
    event.connection->events--;
    let_go(event.connection);
  }
  network->now_ns = now_ns;
}

/// Nobody can reach it any more.
static void let_go(trp_connection_t *connection) {
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
  return memcmp(address->bytes, zero, address->family == TROUPE_FAMILY_IPV6 ? 16 : 4) == 0;
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
    if (!schedule(network, connection, SYN, 0, 0, due_ns)) {
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

static void syn(trp_network_t *network, trp_connection_t *connection) {
  if (connection->closed[0]) {
    connection->closed[1] = true;
    return;
  }
  int64_t answer_ns = network->now_ns + connection->latency_ns;
  if (connection->attempts == 0 && trp_fault(network->faults, TRP_FAULT_BLACK_HOLE)) {
    schedule(network, connection, ATTEMPT_OVER, 0, 0, network->now_ns + ATTEMPT_LIMIT_MS * MS);
    return;
  }
  trp_handle_t *listener = find_listener(network, &connection->addresses[1]);
  if (listener == NULL || (connection->attempts == 0 && // NOLINT(bugprone-branch-clone)
                           trp_fault(network->faults, TRP_FAULT_REFUSE))) {
    schedule(network, connection, REFUSED, 0, 0, answer_ns);
  } else if (arrive(network, connection, listener)) {
    connection->lanes[1].arrival_ns = answer_ns;
    schedule(network, connection, SYN_ACK, 0, 0, answer_ns);
  } else if (connection->attempts++ < 6) {
    schedule(network, connection, SYN, 0, 0,
             network->now_ns + ((RETRY_MS * MS) << connection->attempts));
  } else {
    schedule(network, connection, ATTEMPT_OVER, 0, 0, network->now_ns);
  }
}

/// The attempt has ended, if somebody still waits for it.
static void end_attempt(trp_connection_t *connection, int result) {
  if (result != 0) {
    connection->closed[1] = true;
  }
  if (connection->ends[0] != NULL) {
    connection->ends[0]->result = result;
  }
}

// ---- Data ----

static size_t queued(const trp_lane_t *lane) {
  return lane->length - lane->readable - lane->flying;
}

static bool append(trp_network_t *network, trp_lane_t *lane, const void *bytes, size_t length) {
  if (lane->start + lane->length + length > lane->allocated) {
    size_t needed = lane->length + length;
    if (needed > lane->allocated) {
      size_t allocated = lane->allocated == 0 ? 4096 : lane->allocated;
      while (allocated < needed) {
        allocated *= 2;
      }
      uint8_t *grown = malloc(allocated);
      if (grown == NULL) {
        network->no_memory = true;
        return false;
      }
      if (lane->length > 0) {
        memcpy(grown, lane->bytes + lane->start, lane->length);
      }
      free(lane->bytes);
      lane->bytes = grown;
      lane->allocated = allocated;
    } else if (lane->length > 0) {
      memmove(lane->bytes, lane->bytes + lane->start, lane->length);
    }
    lane->start = 0;
  }
  memcpy(lane->bytes + lane->start + lane->length, bytes, length);
  lane->length += length;
  return true;
}

/// The first bytes are gone: read, or thrown away.
static void drop_first(trp_lane_t *lane, size_t length) {
  lane->start += length;
  lane->length -= length;
  lane->readable -= length;
}

/// What has not left yet never will.
static void drop_queued(trp_lane_t *lane) {
  lane->length = lane->readable + lane->flying;
}

static int64_t time_on_the_way(trp_network_t *network, const trp_connection_t *connection) {
  int64_t time_ns = connection->latency_ns;
  if (trp_fault(network->faults, TRP_FAULT_DELAY)) {
    time_ns += (int64_t)trp_dice_scale(network->dice, 1000, 1000000) * 1000;
  }
  return time_ns;
}

/// Sends what there is room for at the reader, and the end behind the last byte.
static void pump(trp_network_t *network, trp_connection_t *connection, int side) {
  trp_lane_t *lane = &connection->lanes[side];
  while (queued(lane) > 0 && lane->readable + lane->flying < lane->receive_limit) {
    size_t room = lane->receive_limit - lane->readable - lane->flying;
    size_t length = queued(lane) < room ? queued(lane) : room;
    length = length < SEGMENT_MOST ? length : SEGMENT_MOST;
    if (trp_fault(network->faults, TRP_FAULT_SEGMENTS)) {
      length = trp_dice_scale(network->dice, 1, length);
    }
    if (lane->free_ns < network->now_ns) {
      lane->free_ns = network->now_ns;
    }
    if (lane->bandwidth > 0) {
      lane->free_ns += (int64_t)(length * UINT64_C(1000000000) / lane->bandwidth);
    }
    int64_t due_ns = lane->free_ns + time_on_the_way(network, connection);
    lane->arrival_ns = due_ns > lane->arrival_ns ? due_ns : lane->arrival_ns;
    if (!schedule(network, connection, SEGMENT, side, length, lane->arrival_ns)) {
      return;
    }
    lane->flying += length;
    if (trp_fault(network->faults, TRP_FAULT_RESET)) {
      schedule(network, connection, BREAK, 0, 0, due_ns);
    }
  }
  if (lane->fin_wanted && !lane->fin_flying && queued(lane) == 0) {
    int64_t due_ns = network->now_ns + time_on_the_way(network, connection);
    lane->arrival_ns = due_ns > lane->arrival_ns ? due_ns : lane->arrival_ns;
    lane->fin_flying = schedule(network, connection, FIN, side, 0, lane->arrival_ns);
  }
}

ssize_t trp_network_read(trp_handle_t *handle, void *bytes, size_t length) {
  trp_network_t *network = handle->network;
  trp_connection_t *connection = handle->connection;
  int other = 1 - handle->side;
  trp_lane_t *lane = &connection->lanes[other];
  if (lane->readable == 0) {
    int error = trp_network_error(handle);
    return error != 0                                              ? error
           : lane->fin_arrived || connection->broken[handle->side] ? 0
                                                                   : (int)TROUPE_EAGAIN;
  }
  size_t taken = length < lane->readable ? length : lane->readable;
  if (trp_fault(network->faults, TRP_FAULT_SHORT_IO)) {
    taken = trp_dice_scale(network->dice, 1, taken);
  }
  memcpy(bytes, lane->bytes + lane->start, taken);
  drop_first(lane, taken);
  pump(network, connection, other);
  return (ssize_t)taken;
}

ssize_t trp_network_write(trp_handle_t *handle, const struct iovec *parts, int count) {
  trp_network_t *network = handle->network;
  trp_connection_t *connection = handle->connection;
  trp_lane_t *lane = &connection->lanes[handle->side];
  int error = trp_network_error(handle);
  if (error != 0) {
    return error;
  }
  if (connection->broken[handle->side] || lane->fin_wanted) {
    return TROUPE_EPIPE;
  }
  size_t waiting = lane->length - lane->readable;
  size_t room = waiting < lane->send_limit ? lane->send_limit - waiting : 0;
  if (room > 1 && trp_fault(network->faults, TRP_FAULT_SHORT_IO)) {
    room = trp_dice_scale(network->dice, 1, room);
  }
  size_t taken = 0;
  for (int i = 0; i < count && taken < room; i++) {
    size_t length = parts[i].iov_len < room - taken ? parts[i].iov_len : room - taken;
    if (length > 0 && !append(network, lane, parts[i].iov_base, length)) {
      break;
    }
    taken += length;
  }
  if (taken == 0) {
    return TROUPE_EAGAIN;
  }
  pump(network, connection, handle->side);
  return (ssize_t)taken;
}

int trp_network_shutdown(trp_handle_t *handle) {
  trp_connection_t *connection = handle->connection;
  if (connection->broken[handle->side]) {
    return TROUPE_ENOTCONN;
  }
  connection->lanes[handle->side].fin_wanted = true;
  pump(handle->network, connection, handle->side);
  return 0;
}

int trp_network_error(trp_handle_t *handle) {
  if (handle->kind != TRP_SIM_STREAM) {
    return handle->kind == TRP_SIM_ATTEMPT && handle->result != TROUPE_EALREADY ? handle->result
                                                                                : 0;
  }
  int error = handle->connection->error[handle->side];
  handle->connection->error[handle->side] = 0;
  return error;
}

/// The peer will hear of it; what this side still had to say is lost.
static void send_reset(trp_network_t *network, trp_connection_t *connection, int from) {
  trp_lane_t *lane = &connection->lanes[from];
  int64_t due_ns = network->now_ns + connection->latency_ns;
  drop_queued(lane);
  schedule(network, connection, RESET, 1 - from, 0,
           due_ns > lane->arrival_ns ? due_ns : lane->arrival_ns);
}

static void receive_reset(trp_connection_t *connection, int side) {
  if (connection->closed[side] || connection->broken[side]) {
    return;
  }
  connection->broken[side] = true;
  connection->error[side] = connection->lanes[1 - side].fin_arrived ? (int)TROUPE_EPIPE
                                                                    : (int)TROUPE_ECONNRESET;
  drop_queued(&connection->lanes[side]);
}

/// The connection is lost for both, with what is on its way and what nobody has read.
static void lose(trp_connection_t *connection) {
  for (int side = 0; side < 2; side++) {
    receive_reset(connection, side);
    if (connection->broken[side]) {
      connection->error[side] = TROUPE_ECONNRESET;
      drop_first(&connection->lanes[1 - side], connection->lanes[1 - side].readable);
    }
  }
}

static void receive_segment(trp_network_t *network, trp_connection_t *connection, int writer,
                            size_t length) {
  int reader = 1 - writer;
  trp_lane_t *lane = &connection->lanes[writer];
  lane->flying -= length;
  lane->readable += length;
  if (connection->closed[reader] || connection->broken[reader]) {
    bool answers = connection->closed[reader] && !connection->lingers[reader];
    drop_first(lane, lane->readable);
    if (answers) {
      send_reset(network, connection, reader);
    } else {
      pump(network, connection, writer);
    }
  }
}

/// The event is counted by its connection, which so is there, whatever the analyzer thinks.
static void happen(trp_network_t *network, const trp_sim_event_t *event) {
  trp_connection_t *connection = event->connection;
  // NOLINTBEGIN(clang-analyzer-unix.Malloc)
  switch (event->kind) {
  case SYN:
    syn(network, connection);
    break;
  case SYN_ACK:
    end_attempt(connection, 0);
    break;
  case REFUSED:
    end_attempt(connection, TROUPE_ECONNREFUSED);
    break;
  case ATTEMPT_OVER:
    end_attempt(connection, TROUPE_ETIMEDOUT);
    break;
  case SEGMENT:
    receive_segment(network, connection, event->side, event->length);
    break;
  case FIN:
    connection->lanes[event->side].fin_arrived = true;
    break;
  case RESET:
    receive_reset(connection, event->side);
    break;
  case BREAK:
    lose(connection);
    break;
  default:
    break;
  }
  // NOLINTEND(clang-analyzer-unix.Malloc)
}

unsigned trp_network_ready(const trp_handle_t *handle) {
  const trp_connection_t *connection = handle->connection;
  unsigned mask = 0;
  if (handle->kind == TRP_SIM_LISTENER) {
    mask = handle->first_waiting != NULL ? TRP_READ : 0;
  } else if (handle->kind == TRP_SIM_ATTEMPT) {
    mask = handle->result != TROUPE_EALREADY ? TRP_WRITE : 0;
  } else {
    const trp_lane_t *in = &connection->lanes[1 - handle->side];
    const trp_lane_t *out = &connection->lanes[handle->side];
    bool broken = connection->broken[handle->side];
    bool ends = in->fin_arrived || broken;
    mask = (in->readable > 0 || ends ? TRP_READ : 0U) |
           (broken || out->length - out->readable < out->send_limit ? TRP_WRITE : 0U) |
           (ends && !handle->hangup_told ? TRP_HANGUP : 0U);
  }
  return mask & handle->wanted;
}

// ---- Closing ----

static void close_listener(trp_handle_t *listener) {
  trp_connection_t *connection = listener->first_waiting;
  while (connection != NULL) {
    trp_connection_t *next = connection->next_waiting;
    connection->closed[1] = true;
    send_reset(listener->network, connection, 1);
    let_go(connection);
    connection = next;
  }
}

static void close_attempt(trp_network_t *network, trp_connection_t *connection) {
  connection->closed[0] = true;
  if (!connection->arrived) {
    connection->closed[1] = true; // there is no other side
  } else if (!connection->closed[1]) {
    send_reset(network, connection, 0);
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
    drop_first(in, in->readable);
    send_reset(network, connection, side);
    return;
  }
  drop_first(in, in->readable);
  pump(network, connection, 1 - side);
  connection->lanes[side].fin_wanted = true;
  pump(network, connection, side);
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
    drop_first(&connection->lanes[1 - side], connection->lanes[1 - side].readable);
    if (!connection->broken[side]) {
      send_reset(network, connection, side);
    }
  } else {
    close_stream(network, connection, side, handle->lingers);
  }
  free_handle(handle);
  let_go(connection);
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

// ---- Look-ups ----

static void add_addresses(trp_resolve_t *request, const char *literals, uint16_t port, int family) {
  while (*literals != '\0') {
    size_t length = strcspn(literals, " ");
    troupe_address_t address = {0};
    if (request->count < sizeof request->addresses / sizeof *request->addresses &&
        troupe_address_parse(&address, literals, length, port) == 0 &&
        (family == 0 || address.family == family)) {
      request->addresses[request->count++] = address;
    }
    literals += length;
    literals += strspn(literals, " ");
  }
}

int trp_network_resolve(trp_network_t *network, trp_transport_t *transport, const char *host,
                        uint16_t port, int family, void *owner, trp_resolve_t **request) {
  trp_resolve_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    network->no_memory = true;
    return TROUPE_ENOMEM;
  }
  made->transport = transport;
  made->owner = owner;
  made->due_ns = network->now_ns + (int64_t)trp_dice_scale(network->dice, 50000, 5000000);
  if (trp_fault(network->faults, TRP_FAULT_LOOKUP_DELAY)) {
    made->due_ns += (int64_t)trp_dice_scale(network->dice, 1, 10000) * MS;
  }
  if (trp_fault(network->faults, TRP_FAULT_LOOKUP_FAILS)) {
    made->error = trp_dice_below(network->dice, 2) == 0 ? (int)TROUPE_ENOTFOUND
                                                        : (int)TROUPE_EAI_AGAIN;
  } else if (strcmp(host, "localhost") == 0) {
    add_addresses(made, "::1 127.0.0.1", port, family);
  }
  for (size_t i = 0; i < network->host_count && made->error == 0; i++) {
    if (strcmp(host, network->hosts[i].name) == 0) {
      add_addresses(made, network->hosts[i].addresses, port, family);
    }
  }
  if (made->error == 0 && made->count == 0) {
    made->error = TROUPE_ENOTFOUND;
  }
  trp_list_append(&network->resolves, &made->in_network);
  *request = made;
  return 0;
}

void trp_network_cancel(trp_resolve_t *request) {
  trp_list_remove(&request->in_network);
  free(request);
}
