/// What connections carry: bytes that were written, that fly, that can be read, and what ends them.
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/sim/network_parts.h"

enum { SEGMENT_MOST = 64 * 1024 };

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
void trp_lane_drop_first(trp_lane_t *lane, size_t length) {
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
void trp_lane_pump(trp_network_t *network, trp_connection_t *connection, int side) {
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
    if (!trp_network_schedule(network, connection, TRP_ON_SEGMENT, side, length,
                              lane->arrival_ns)) {
      return;
    }
    lane->flying += length;
    if (trp_fault(network->faults, TRP_FAULT_RESET)) {
      trp_network_schedule(network, connection, TRP_ON_BREAK, 0, 0, due_ns);
    }
  }
  if (lane->fin_wanted && !lane->fin_flying && queued(lane) == 0) {
    int64_t due_ns = network->now_ns + time_on_the_way(network, connection);
    lane->arrival_ns = due_ns > lane->arrival_ns ? due_ns : lane->arrival_ns;
    lane->fin_flying = trp_network_schedule(network, connection, TRP_ON_FIN, side, 0,
                                            lane->arrival_ns);
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
  trp_lane_drop_first(lane, taken);
  trp_lane_pump(network, connection, other);
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
  trp_lane_pump(network, connection, handle->side);
  return (ssize_t)taken;
}

int trp_network_shutdown(trp_handle_t *handle) {
  trp_connection_t *connection = handle->connection;
  if (connection->broken[handle->side]) {
    return TROUPE_ENOTCONN;
  }
  connection->lanes[handle->side].fin_wanted = true;
  trp_lane_pump(handle->network, connection, handle->side);
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
void trp_connection_send_reset(trp_network_t *network, trp_connection_t *connection, int from) {
  trp_lane_t *lane = &connection->lanes[from];
  int64_t due_ns = network->now_ns + connection->latency_ns;
  drop_queued(lane);
  trp_network_schedule(network, connection, TRP_ON_RESET, 1 - from, 0,
                       due_ns > lane->arrival_ns ? due_ns : lane->arrival_ns);
}

void trp_connection_reset(trp_connection_t *connection, int side) {
  if (connection->closed[side] || connection->broken[side]) {
    return;
  }
  connection->broken[side] = true;
  connection->error[side] = connection->lanes[1 - side].fin_arrived ? (int)TROUPE_EPIPE
                                                                    : (int)TROUPE_ECONNRESET;
  drop_queued(&connection->lanes[side]);
}

/// The connection is lost for both, with what is on its way and what nobody has read.
void trp_connection_lose(trp_connection_t *connection) {
  for (int side = 0; side < 2; side++) {
    trp_connection_reset(connection, side);
    if (connection->broken[side]) {
      connection->error[side] = TROUPE_ECONNRESET;
      trp_lane_drop_first(&connection->lanes[1 - side], connection->lanes[1 - side].readable);
    }
  }
}

void trp_lane_arrive(trp_network_t *network, trp_connection_t *connection, int writer,
                     size_t length) {
  int reader = 1 - writer;
  trp_lane_t *lane = &connection->lanes[writer];
  lane->flying -= length;
  lane->readable += length;
  if (connection->closed[reader] || connection->broken[reader]) {
    bool answers = connection->closed[reader] && !connection->lingers[reader];
    trp_lane_drop_first(lane, lane->readable);
    if (answers) {
      trp_connection_send_reset(network, connection, reader);
    } else {
      trp_lane_pump(network, connection, writer);
    }
  }
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
    if (broken && (mask & handle->wanted & TRP_READ) != 0) {
      return (mask & handle->wanted) | TRP_BROKEN;
    }
  }
  return mask & handle->wanted;
}
