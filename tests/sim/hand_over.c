// Connections that are handed around among four actors: a stream of numbered bytes comes through
// all of them whole and in order, or its connection ends.
#include <stdlib.h>
#include <string.h>
#include <troupe/handoff.h>

#include "tests/sim/worlds.h"

enum {
  PORT = 7100,
  ACTORS = 4,
  CLIENTS = 3,
  ROUNDS = 2,
  MOST = 40000,
  PIECE = 3000,
  RETRY_MS = 50
};

const troupe_sim_host_t hand_over_hosts[1] = {{"service", "10.0.0.1"}};

hand_over_counts_t hand_over_counts;

static troupe_actor_t actors[ACTORS]; // of one world, whose threads take turns

static uint8_t byte_at(uint64_t position) {
  return (uint8_t)((position * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

bool hand_over_are_numbered(const void *all, size_t length, uint64_t at) {
  const uint8_t *bytes = all;
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] != byte_at(at + i)) {
      return false;
    }
  }
  return true;
}

// ---- The actors that hand connections around: an echo, all of them together ----

// A connection in one actor; `answered` goes along.
typedef struct guest {
  struct guest *next, **link; // of this actor's
  uint64_t answered;
  bool peer_has_ended, giving;
} guest_t;

static _Thread_local guest_t *guests;

static void leave(guest_t *guest) {
  *guest->link = guest->next;
  if (guest->next != NULL) {
    guest->next->link = guest->link;
  }
  free(guest);
}

static void serve(troupe_socket_t socket, uint64_t answered);

static void on_given(troupe_socket_t socket, int error, void *context) {
  guest_t *guest = context;
  guest->giving = false;
  if (error == 0) {
    hand_over_counts.handed++;
    leave(guest);
    return;
  }
  hand_over_counts.kept++;
  if (error == TROUPE_ENOACTOR) { // else it is closed, which on_close tells
    troupe_socket_resume(socket);
    if (guest->peer_has_ended) {
      troupe_socket_end(socket, NULL, NULL);
    }
  }
}

static void give_on(troupe_socket_t socket, guest_t *guest) {
  troupe_actor_t to = actors[troupe_random() % ACTORS];
  if (to.id == troupe_actor_self().id || guest->giving) {
    return;
  }
  if (troupe_random() % 4 == 0) {
    troupe_socket_pause(socket);
  }
  guest->giving = troupe_socket_give(socket, to, &guest->answered, sizeof guest->answered, on_given,
                                     guest) == 0;
  if (!guest->giving) {
    troupe_socket_resume(socket); // there is nothing left to give; the rest is read here
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  guest_t *guest = context;
  const uint8_t *bytes = troupe_chunk_bytes(chunk);
  size_t length = troupe_chunk_length(chunk);
  if (!hand_over_are_numbered(bytes, length, guest->answered)) {
    troupe_actor_end(TROUPE_EPROTO);
    return;
  }
  guest->answered += length;
  if (troupe_socket_write_chunk(socket, chunk, NULL, NULL) == TROUPE_ENOBUFS) {
    troupe_socket_destroy(socket, 0);
  } else if (troupe_random() % 2 == 0) {
    give_on(socket, guest);
  }
}

static void on_end(troupe_socket_t socket, void *context) {
  guest_t *guest = context;
  guest->peer_has_ended = true;
  if (troupe_random() % 2 == 0) {
    give_on(socket, guest);
  }
  if (!guest->giving) {
    troupe_socket_end(socket, NULL, NULL);
  }
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  leave(context);
}

static void serve(troupe_socket_t socket, uint64_t answered) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_end = on_end, .on_close = on_close};
  guest_t *guest = calloc(1, sizeof *guest);
  if (guest == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  guest->next = guests;
  guest->link = &guests;
  if (guests != NULL) {
    guests->link = &guest->next;
  }
  guests = guest;
  guest->answered = answered;
  troupe_socket_set_handlers(socket, &handlers, guest);
  troupe_socket_resume(socket);
  if (troupe_random() % 2 == 0) {
    give_on(socket, guest);
  }
}

static void on_handed(troupe_socket_t socket, troupe_actor_t from, const troupe_chunk_t *message,
                      void *context) {
  uint64_t answered = 0;
  (void)from;
  (void)context;
  if (troupe_chunk_length(message) == sizeof answered) {
    memcpy(&answered, troupe_chunk_bytes(message), sizeof answered);
  }
  serve(socket, answered);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  (void)context;
  serve(socket, 0);
}

int hand_over_server(void *argument) {
  (void)argument;
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  const troupe_server_options_t options = {.allow_half_open = true};
  troupe_server_t server;
  int error = troupe_actor_on_handed(on_handed, NULL);
  if (error == 0) {
    error = troupe_server_new(&options, &handlers, NULL, &server);
  }
  if (error == 0) {
    error = troupe_server_listen_port(server, PORT, NULL, 0);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(server, -1);
  }
  error = error < 0 ? error : troupe_actor_run();
  while (guests != NULL) {
    leave(guests); // of one that was ended in the middle
  }
  return error;
}

// ---- Those who send ----

typedef struct {
  troupe_socket_t socket;
  unsigned done;
  uint64_t total, sent, received;
  bool wrong, answered;
} client_t;

static void next_round(client_t *client);

static void send_on(client_t *client) {
  uint8_t bytes[PIECE];
  while (client->sent < client->total) {
    uint64_t left = client->total - client->sent;
    size_t length = 1 + (size_t)(troupe_random() % PIECE);
    length = length < left ? length : (size_t)left;
    for (size_t i = 0; i < length; i++) {
      bytes[i] = byte_at(client->sent + i);
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

static void on_answer(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  client_t *client = context;
  size_t length = troupe_chunk_length(chunk);
  if (!hand_over_are_numbered(troupe_chunk_bytes(chunk), length, client->received)) {
    client->wrong = true;
    troupe_socket_destroy(socket, 0);
  }
  client->received += length;
}

static void on_last_answer(troupe_socket_t socket, void *context) {
  (void)socket;
  client_t *client = context;
  client->answered = client->received == client->total;
}

static void try_again(troupe_timer_t timer, void *context) {
  (void)timer;
  next_round(context);
}

static void on_over(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  client_t *client = context;
  if (client->wrong) {
    troupe_actor_end(TROUPE_EPROTO);
  } else if (!had_error && client->answered) {
    if (++client->done < ROUNDS) {
      next_round(client);
    }
  } else {
    troupe_timer_start(NULL, RETRY_MS, 0, try_again, client);
  }
}

static void next_round(client_t *client) {
  static const troupe_socket_handlers_t handlers = {.on_connect = on_connect,
                                                    .on_data = on_answer,
                                                    .on_drain = on_connect,
                                                    .on_end = on_last_answer,
                                                    .on_close = on_over};
  const troupe_connect_options_t to = {.host = "service", .port = PORT};
  const troupe_socket_options_t options = {.allow_half_open = true};
  client->total = troupe_random() % MOST;
  client->sent = client->received = 0;
  client->answered = false;
  int error = troupe_connect(&to, &options, &handlers, client, &client->socket);
  if (error < 0) {
    troupe_actor_end(error);
  }
}

static int client_main(void *argument) {
  (void)argument;
  client_t client = {0};
  next_round(&client);
  int status = troupe_actor_run();
  return status < 0 ? status : client.done == ROUNDS ? 0 : (int)TROUPE_EOF;
}

// ---- The worlds ----

int hand_over_start(troupe_system_t *system, void *context) {
  (void)context;
  const troupe_spawn_options_t servers = {
      .name = "server", .main = hand_over_server, .copies = ACTORS};
  const troupe_spawn_options_t clients = {.name = "client", .main = client_main, .copies = CLIENTS};
  troupe_actor_t ids[CLIENTS];
  int error = troupe_spawn(system, &servers, actors);
  if (error == 0) {
    error = troupe_spawn(system, &clients, ids);
  }
  for (unsigned i = 0; i < CLIENTS && error == 0; i++) {
    error = troupe_sim_await(system, ids[i]);
  }
  return error;
}
