#include "tests/support/relay.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/service.h"

relay_t relay;

// ---- What the proxy connects to: says everything in capitals ----

static void echo_on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  char text[256];
  size_t length = troupe_chunk_length(chunk);
  const char *bytes = troupe_chunk_bytes(chunk);
  for (size_t i = 0; i < length && i < sizeof text; i++) {
    text[i] = (char)toupper((unsigned char)bytes[i]);
  }
  troupe_socket_write(socket, text, length < sizeof text ? length : sizeof text, NULL, NULL);
}

int relay_echo_main(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_data = echo_on_data};
  const troupe_server_options_t options = {.socket_handlers = &handlers};
  (void)argument;
  int error = test_listen(&options, NULL, NULL, NULL, &relay.echo_port);
  return error != 0 ? error : troupe_actor_run();
}

// ---- The proxy ----

typedef struct pair {
  struct pair *next;
  troupe_socket_t sides[2]; // who came, and what was made for it
  troupe_timer_t too_late;
  bool wants_beat;
  troupe_actor_t from; // who handed it over; {0}: it was accepted
  int open;
} pair_t;

static _Thread_local pair_t *pairs; // of the actor

static pair_t *pair_new(troupe_socket_t socket) {
  pair_t *pair = calloc(1, sizeof *pair);
  if (pair != NULL) {
    pair->sides[0] = socket;
    pair->open = 1;
    pair->next = pairs;
    pairs = pair;
  }
  return pair;
}

static void pair_free(pair_t *pair) {
  pair_t **at = &pairs;
  while (*at != pair) {
    at = &(*at)->next;
  }
  *at = pair->next;
  free(pair);
}

/// Runs to its end; a replay may leave some open.
static int run(int error) {
  int status = error != 0 ? error : troupe_actor_run();
  while (pairs != NULL) {
    pair_free(pairs);
  }
  return status;
}

static void on_given(troupe_socket_t socket, int error, void *context) {
  pair_t *pair = context;
  (void)socket;
  if (error == 0) {
    troupe_socket_destroy(pair->sides[1], 0);
    if (--pair->open == 0) {
      pair_free(pair);
    }
  }
}

static void on_later(troupe_timer_t timer, void *context) {
  (void)timer;
  for (pair_t *pair = pairs; pair != NULL; pair = pair->next) {
    if (pair == context) {
      troupe_socket_write(pair->sides[0], relay.manner == RELAY_OTHER_LATER ? "LATEX" : "LATER", 5,
                          NULL, NULL);
    }
  }
}

/// Of the actor itself: it says how often it was due.
static void on_beat(troupe_timer_t timer, void *context) {
  unsigned *times = context;
  char text[16];
  (void)timer;
  snprintf(text, sizeof text, "0%04u", ++*times % 10000);
  for (pair_t *pair = pairs; pair != NULL; pair = pair->next) {
    if (pair->wants_beat) {
      pair->wants_beat = false;
      troupe_socket_write(pair->sides[0], text, 5, NULL, NULL);
    }
  }
}

static bool is_said(const troupe_chunk_t *chunk, const char *text) {
  return troupe_chunk_length(chunk) == strlen(text) &&
         memcmp(troupe_chunk_bytes(chunk), text, strlen(text)) == 0;
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  pair_t *pair = context;
  if (is_said(chunk, "later")) {
    troupe_timer_start(NULL, 1, 0, on_later, pair);
    return;
  }
  if (is_said(chunk, "0beat")) {
    pair->wants_beat = true;
    return;
  }
  if (is_said(chunk, "AWAY") && pair->from.id != 0 && relay.manner != RELAY_STAYS) {
    troupe_socket_give(pair->sides[0], pair->from, "AWAY", 4, on_given, pair);
    return;
  }
  bool back = socket.id == pair->sides[1].id;
  if (back && relay.manner == RELAY_OTHER_BYTE) {
    troupe_socket_write(pair->sides[0], "?", 1, NULL, NULL);
    return;
  }
  troupe_socket_write_chunk(pair->sides[back ? 0 : 1], chunk, NULL, NULL);
}

static void on_end(troupe_socket_t socket, void *context) {
  pair_t *pair = context;
  if (relay.manner != RELAY_NO_END) {
    troupe_socket_end(pair->sides[socket.id == pair->sides[1].id ? 0 : 1], NULL, NULL);
  }
}

static void on_connect(troupe_socket_t socket, void *context) {
  pair_t *pair = context;
  (void)socket;
  troupe_timer_stop(pair->too_late);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  pair_t *pair = context;
  (void)socket;
  (void)had_error;
  if (--pair->open == 0) {
    troupe_timer_stop(pair->too_late);
    pair_free(pair);
  }
}

static void on_too_late(troupe_timer_t timer, void *context) {
  pair_t *pair = context;
  (void)timer;
  troupe_socket_destroy(pair->sides[1], TROUPE_ETIMEDOUT);
}

static const troupe_socket_handlers_t pair_handlers = {
    .on_connect = on_connect, .on_data = on_data, .on_end = on_end, .on_close = on_close};

/// Goes on to the echo. With `other_side` another option.
static void connect_side(pair_t *pair) {
  const troupe_connect_options_t options = {.host = "127.0.0.1",
                                            .port = atomic_load(&relay.echo_port)};
  const troupe_socket_options_t socket_options = {
      .allow_half_open = true,
      .no_delay = relay.manner == RELAY_OTHER_OPTION ? TROUPE_ON : TROUPE_DEFAULT};
  if (troupe_connect(&options, &socket_options, &pair_handlers, pair, &pair->sides[1]) == 0) {
    pair->open++;
  }
  if (relay.manner == RELAY_TWICE) {
    troupe_connect(&options, &socket_options, NULL, NULL, NULL);
  }
  troupe_timer_start(&pair->too_late, 60000, 0, on_too_late, pair);
  troupe_timer_unref(pair->too_late);
}

static void begin_pair(troupe_socket_t socket, troupe_actor_t from) {
  pair_t *pair = pair_new(socket);
  if (pair == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  pair->from = from;
  troupe_socket_set_handlers(socket, &pair_handlers, pair);
  if (relay.manner != RELAY_NOT_AT_ALL) {
    connect_side(pair);
  }
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  (void)context;
  begin_pair(socket, (troupe_actor_t){0});
}

int relay_proxy_main(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  const troupe_server_options_t options = {.allow_half_open = true};
  unsigned times = 0;
  (void)argument;
  int error = test_listen(&options, &handlers, NULL, NULL, &relay.port);
  if (error == 0 && relay.beats) {
    error = troupe_timer_start(NULL, 1, 1, on_beat, &times);
  }
  return run(error);
}

/// Listens on another address.
int relay_elsewhere_main(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  const troupe_server_options_t options = {.allow_half_open = true};
  troupe_server_t server;
  (void)argument;
  int error = troupe_server_new(&options, &handlers, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_port(server, 0, "127.0.0.2", 0);
  }
  return run(error);
}

// ---- The same, with a main function that asks for what is not in its events ----

static int helper_main(void *argument) {
  (void)argument;
  return 0;
}

int relay_asking_main(void *argument) {
  const troupe_spawn_options_t helpers = {.main = helper_main, .name = "helper", .copies = 2};
  memset(relay.answers, 0, sizeof relay.answers);
  int error = troupe_actor_find(relay.system, "echo", 0, &relay.answers[0]);
  if (error == 0) {
    error = troupe_spawn(relay.system, &helpers, &relay.answers[1]);
  }
  return error == 0 ? relay_proxy_main(argument) : error;
}

// ---- The same, with a door in front that hands connections over ----

static void door_on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  (void)context;
  troupe_socket_give(socket, relay.worker, NULL, 0, NULL, NULL);
}

/// It comes back with what is to be said about that.
static void door_on_handed(troupe_socket_t socket, troupe_actor_t from,
                           const troupe_chunk_t *message, void *context) {
  (void)context;
  troupe_socket_write_chunk(socket, message, NULL, NULL);
  troupe_socket_give(socket, from, NULL, 0, NULL, NULL);
}

int relay_door_main(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = door_on_connection};
  const troupe_server_options_t options = {.allow_half_open = true};
  (void)argument;
  int error = troupe_actor_on_handed(door_on_handed, NULL);
  if (error == 0) {
    error = test_listen(&options, &handlers, NULL, NULL, &relay.port);
  }
  return error != 0 ? error : troupe_actor_run();
}

static void worker_on_handed(troupe_socket_t socket, troupe_actor_t from,
                             const troupe_chunk_t *message, void *context) {
  (void)message;
  (void)context;
  begin_pair(socket, from);
}

int relay_worker_main(void *argument) {
  (void)argument;
  return run(troupe_actor_on_handed(worker_on_handed, NULL));
}
