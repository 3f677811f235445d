// Half-close in every order: who ends first, who destroys, with and without bytes on their way,
// half-open allowed on either side; over TCP and over Unix sockets, both ends being actors'
// sockets.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/stress.h"

enum { PENDING = 600 * 1000, PIECE = 50 * 1000 };

typedef enum { NOBODY, FIRST, SECOND, DESTROYERS } destroyer_t;

// One connection. `first` ends its side first; `second` answers when it has seen that.
typedef struct {
  bool client_first, pending;
  bool half_open[2]; // of first, second
  destroyer_t destroys;
} order_t;

static char in_play[128]; // the order, until it has passed

typedef struct end {
  struct play *play;
  bool is_first;
  troupe_socket_t socket;
  uint64_t received;
  unsigned wrong, ends, errors, closes, finished;
  int finished_with;
  bool had_error, events_after_close;
} end_t;

typedef struct play {
  test_service_t service;
  order_t order;
  uint8_t bytes[PENDING];
  end_t client, server;
  unsigned failures; // of calls that must work
  atomic_uint closed;
} play_t;

static bool allows_half_open(const end_t *end) {
  return end->play->order.half_open[end->is_first ? 0 : 1];
}

static void expect(end_t *end, bool holds) {
  end->play->failures += !holds;
}

static void on_finished(troupe_socket_t socket, int error, void *context) {
  end_t *end = context;
  end->finished++;
  end->finished_with = error;
  if (end->is_first && end->play->order.destroys == FIRST && error == 0) {
    expect(end, troupe_socket_destroy(socket, 0) == 0);
  }
}

// Writes what this side has to say, and ends.
static void say_all(end_t *end) {
  if (end->play->order.pending) {
    for (size_t at = 0; at < PENDING; at += PIECE) {
      expect(end, troupe_socket_write(end->socket, end->play->bytes + at, PIECE, NULL, NULL) >= 0);
    }
  }
  if (!end->is_first && end->play->order.destroys == SECOND) {
    expect(end, troupe_socket_destroy(end->socket, 0) == 0);
  } else {
    expect(end, troupe_socket_end(end->socket, on_finished, end) == 0);
  }
}

static void answer_later(troupe_timer_t timer, void *context) {
  end_t *end = context;
  (void)timer;
  // The peer's end was long ago: a socket that may be half open still writes.
  expect(end, troupe_socket_ready_state(end->socket) == TROUPE_WRITE_ONLY);
  say_all(end);
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  end_t *end = context;
  size_t length = troupe_chunk_length(chunk);
  (void)socket;
  end->wrong += !stress_is_filled(troupe_chunk_bytes(chunk), length, end->received) ||
                end->ends > 0 || end->closes > 0;
  end->received += length;
}

static void on_end(troupe_socket_t socket, void *context) {
  end_t *end = context;
  (void)socket;
  end->ends++;
  if (end->is_first) {
    return;
  }
  if (allows_half_open(end)) {
    expect(end, troupe_timer_start(NULL, 1, 0, answer_later, end) == 0);
  } else {
    say_all(end);
  }
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  end_t *end = context;
  (void)socket;
  (void)error;
  end->errors++;
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  end_t *end = context;
  (void)socket;
  end->closes++;
  end->had_error = had_error;
  if (atomic_fetch_add(&end->play->closed, 1) == 1) {
    troupe_actor_end(0);
  }
}

static const troupe_socket_handlers_t handlers = {
    .on_data = on_data, .on_end = on_end, .on_error = on_error, .on_close = on_close};

static void on_connect(troupe_socket_t socket, void *context) {
  (void)socket;
  end_t *end = context;
  if (end->is_first) {
    say_all(end);
  }
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  play_t *play = context;
  expect(&play->server, troupe_server_close(server) == 0);
  play->server.socket = socket;
  if (play->server.is_first) {
    say_all(&play->server);
  }
}

static int playing_actor(void *argument) {
  static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection};
  static const troupe_socket_handlers_t client_handlers = {.on_connect = on_connect,
                                                           .on_data = on_data,
                                                           .on_end = on_end,
                                                           .on_error = on_error,
                                                           .on_close = on_close};
  play_t *play = argument;
  troupe_server_options_t options = {.allow_half_open = allows_half_open(&play->server),
                                     .socket_handlers = &handlers,
                                     .socket_context = &play->server};
  int error = stress_listen(&play->service, &options, &server_handlers, play);
  if (error == 0) {
    troupe_connect_options_t to = {
        .path = play->service.path, .host = "127.0.0.1", .port = atomic_load(&play->service.port)};
    troupe_socket_options_t how = {.allow_half_open = allows_half_open(&play->client)};
    error = troupe_connect(&to, &how, &client_handlers, &play->client, &play->client.socket);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void check(const play_t *play) {
  const order_t *order = &play->order;
  const end_t *first = play->client.is_first ? &play->client : &play->server;
  const end_t *second = play->client.is_first ? &play->server : &play->client;
  uint64_t all = order->pending ? PENDING : 0;
  assert_int_equal(play->failures, 0);
  for (const end_t *end = first;; end = second) {
    assert_int_equal(end->wrong, 0);
    assert_int_equal(end->closes, 1);
    assert_int_equal(end->errors, end->had_error);
    assert_true(end->ends <= 1);
    if (end == second) {
      break;
    }
  }
  // What the first one said before it ended arrives, whatever comes later.
  assert_int_equal(second->received, all);
  assert_int_equal(second->ends, 1);
  assert_int_equal(first->finished, 1);
  assert_int_equal(first->finished_with, 0);
  assert_false(first->had_error);
  switch (order->destroys) {
  case NOBODY:
    assert_int_equal(first->received, all);
    assert_int_equal(first->ends, 1);
    assert_int_equal(second->finished, 1);
    assert_int_equal(second->finished_with, 0);
    assert_false(second->had_error);
    break;
  case SECOND: // destroyed with what was not sent; what was sent is whole up to there
    assert_int_equal(first->ends, 1);
    assert_true(first->received <= all);
    assert_int_equal(second->finished, 0);
    assert_false(second->had_error);
    break;
  default: // the first was gone when the second answered, which may have noticed or not
    assert_int_equal(first->received, 0);
    assert_int_equal(first->ends, 0);
    assert_int_equal(second->finished, 1);
    if (!order->pending) {
      assert_false(second->had_error);
    }
    break;
  }
}

static void play_order(unsigned io_actors, const char *path, order_t order) {
  play_t *play = calloc(1, sizeof *play);
  assert_non_null(play);
  play->order = order;
  play->service.path = path;
  stress_fill(play->bytes, sizeof play->bytes, 0);
  play->client = (end_t){.play = play, .is_first = order.client_first};
  play->server = (end_t){.play = play, .is_first = !order.client_first};
  stress_start(&play->service, io_actors, 1, playing_actor, play);
  int status = -1;
  assert_int_equal(troupe_actor_join(play->service.system, play->service.actors[0],
                                     STRESS_LIMIT_MS * trp_test_slow(), &status),
                   0);
  assert_int_equal(status, 0);
  test_service_stop(&play->service);
  check(play);
  free(play);
}

static int tell_which_failed(void **state) {
  (void)state;
  if (in_play[0] != '\0') {
    print_error("it was this order that failed: %s\n", in_play);
  }
  return 0;
}

static void play_all(unsigned io_actors, const char *path) {
  for (unsigned bits = 0; bits < 16; bits++) {
    for (destroyer_t destroys = NOBODY; destroys < DESTROYERS; destroys++) {
      order_t order = {.client_first = (bits & 1) != 0,
                       .pending = (bits & 2) != 0,
                       .half_open = {(bits & 4) != 0, (bits & 8) != 0},
                       .destroys = destroys};
      snprintf(in_play, sizeof in_play,
               "%s ends first, %s bytes, half-open %d and %d, destroyed by %s, %s",
               order.client_first ? "client" : "server", order.pending ? "with" : "without",
               order.half_open[0], order.half_open[1],
               (const char *[]){"nobody", "the first", "the second"}[destroys],
               path != NULL ? "Unix" : "TCP");
      play_order(io_actors, path, order);
      in_play[0] = '\0';
    }
  }
}

static void run_over_tcp(unsigned io_actors) {
  play_all(io_actors, NULL);
}

static void every_order_of_half_close_over_tcp(void **state) {
  (void)state;
  stress_with_io_actors(run_over_tcp);
}

static void run_over_unix(unsigned io_actors) {
  char path[128];
  strcpy(path, trp_test_folder());
  play_all(io_actors, strcat(path, "/half"));
}

static void every_order_of_half_close_over_unix_sockets(void **state) {
  (void)state;
  stress_with_io_actors(run_over_unix);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(every_order_of_half_close_over_tcp),
      trp_test_that_leaves_nothing(every_order_of_half_close_over_unix_sockets),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/half_close", tests, stress_set_up, tell_which_failed);
}
