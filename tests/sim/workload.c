#include "tests/sim/workload.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 50, PIECE = 3000 };

// ---- The service ----

static const workload_t *workload; // of the run: the same for all actors, and nobody changes it

static void echo_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  size_t length = troupe_chunk_length(chunk);
  int result = 0;
  if (workload->bug == COUNTS_ONCE && length < 16) {
    return; // "less than a header can be no message"
  }
  if (workload->bug == ANSWERS_LAST_FIRST && length > 1000) {
    const char *bytes = troupe_chunk_bytes(chunk);
    result = troupe_socket_write(socket, bytes + length / 2, length - length / 2, NULL, NULL);
    result = troupe_socket_write(socket, bytes, length / 2, NULL, NULL);
  } else {
    result = troupe_socket_write_chunk(socket, chunk, NULL, NULL);
  }
  if (result == 0) {
    troupe_socket_pause(socket);
  } else if (result == TROUPE_ENOBUFS && workload->bug != DROPS_REFUSED) {
    troupe_socket_destroy(socket, 0);
  }
}

static void echo_drain(troupe_socket_t socket, void *context) {
  (void)context;
  if (workload->bug != FORGETS_DRAIN) {
    troupe_socket_resume(socket);
  }
}

static void echo_end(troupe_socket_t socket, void *context) {
  (void)context;
  if (workload->bug == KEEPS_NO_HALF) {
    troupe_socket_destroy(socket, 0);
  } else {
    troupe_socket_end(socket, NULL, NULL);
  }
}

int workload_server(void *argument) {
  (void)argument;
  static const troupe_socket_handlers_t handlers = {
      .on_data = echo_data, .on_drain = echo_drain, .on_end = echo_end};
  const troupe_server_options_t options = {
      .socket_handlers = &handlers,
      .allow_half_open = true,
      .write_limit = workload->bug == DROPS_REFUSED ? 8192 : 0,
      .high_water_mark = workload->bug == DROPS_REFUSED ? 64 * 1024 : 0,
  };
  troupe_server_t server;
  int error = troupe_server_new(&options, NULL, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_port(server, WORKLOAD_PORT, NULL, 0);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(server, 60000);
  }
  return error < 0 ? error : troupe_actor_run();
}

// ---- A client ----

typedef struct {
  troupe_socket_t socket;
  unsigned done;
  uint64_t seed; // of this connection's bytes
  size_t total, sent, received;
  bool wrong;
} client_t;

static void next_round(client_t *client);

static uint8_t byte_at(uint64_t seed, size_t position) {
  uint64_t z = (seed + position / 8) * UINT64_C(0x9e3779b97f4a7c15);
  z ^= z >> 29;
  return (uint8_t)(z >> (8 * (position % 8)));
}

static void send_on(client_t *client) {
  uint8_t bytes[PIECE];
  while (client->sent < client->total) {
    size_t length = 1 + troupe_random() % PIECE;
    length = length < client->total - client->sent ? length : client->total - client->sent;
    for (size_t i = 0; i < length; i++) {
      bytes[i] = byte_at(client->seed, client->sent + i);
    }
    int result = troupe_socket_write(client->socket, bytes, length, NULL, NULL);
    if (result < 0) {
      return;
    }
    client->sent += length;
    if (result == 0) {
      return; // on_drain goes on
    }
  }
  troupe_socket_end(client->socket, NULL, NULL);
}

static void on_connect(troupe_socket_t socket, void *context) {
  (void)socket;
  send_on(context);
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)socket;
  send_on(context);
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  client_t *client = context;
  const uint8_t *bytes = troupe_chunk_bytes(chunk);
  for (size_t i = 0; i < troupe_chunk_length(chunk); i++) {
    if (bytes[i] != byte_at(client->seed, client->received++)) {
      client->wrong = true;
      troupe_socket_destroy(socket, 0);
      return;
    }
  }
}

static void on_end(troupe_socket_t socket, void *context) {
  (void)socket;
  client_t *client = context;
  // A service that closes without an error has answered everything.
  client->wrong |= !workload->servers_die &&
                   (client->received != client->total || client->sent != client->total);
}

static void try_again(troupe_timer_t timer, void *context) {
  (void)timer;
  next_round(context);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  client_t *client = context;
  if (client->wrong) {
    troupe_actor_end(TROUPE_EPROTO);
  } else if (client->received == client->total && client->sent == client->total) {
    if (++client->done < workload->rounds) {
      next_round(client);
    }
  } else {
    troupe_timer_start(NULL, RETRY_MS, 0, try_again, client);
  }
}

static void next_round(client_t *client) {
  static const troupe_socket_handlers_t handlers = {.on_connect = on_connect,
                                                    .on_data = on_data,
                                                    .on_drain = on_drain,
                                                    .on_end = on_end,
                                                    .on_close = on_close};
  const troupe_connect_options_t to = {
      .host = workload->host, .port = workload->port == 0 ? WORKLOAD_PORT : workload->port};
  const troupe_socket_options_t options = {.allow_half_open = true};
  client->seed = troupe_random();
  client->total = troupe_random() % workload->most;
  client->sent = client->received = 0;
  int error = troupe_connect(&to, &options, &handlers, client, &client->socket);
  if (error < 0) {
    troupe_actor_end(error);
  }
}

static int work(void *argument) {
  (void)argument;
  client_t client = {0};
  next_round(&client);
  int status = troupe_actor_run();
  return status < 0 ? status : client.done == workload->rounds ? 0 : (int)TROUPE_EOF;
}

int workload_serve(troupe_system_t *system, workload_t *load) {
  workload = load;
  const troupe_spawn_options_t servers = {
      .main = workload_server, .name = "server", .copies = load->servers};
  return troupe_spawn(system, &servers, load->server_ids);
}

int workload_work(troupe_system_t *system, workload_t *load) {
  const troupe_spawn_options_t clients = {.main = work, .name = "client", .copies = load->clients};
  int error = troupe_spawn(system, &clients, load->client_ids);
  for (unsigned i = 0; i < load->clients && error == 0; i++) {
    error = troupe_sim_await(system, load->client_ids[i]);
  }
  return error;
}

int workload_start(troupe_system_t *system, void *context) {
  int error = workload_serve(system, context);
  return error == 0 ? workload_work(system, context) : error;
}
