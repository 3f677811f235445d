// What the tests of attached threads share: a service that an attached thread runs for itself, so
// that it takes events of every kind, and that ends by itself.
#ifndef TRP_TESTS_ACTOR_ATTACHED_H_INCLUDED
#define TRP_TESTS_ACTOR_ATTACHED_H_INCLUDED

#include <string.h>

#include "tests/actor/scene.h"

typedef struct {
  troupe_server_t server;
  troupe_timer_t beat;
  int clients, rounds; // how many, and how often each gets its bytes back
  int open, echoes, beats, closed;
} attached_echo_t;

static inline void attached_serve(troupe_socket_t socket, const troupe_chunk_t *chunk,
                                  void *context) {
  (void)context;
  expect(troupe_socket_write_chunk(socket, chunk, NULL, NULL) >= 0);
}

static inline void attached_ask(troupe_socket_t socket, void *context) {
  (void)context;
  expect(troupe_socket_write(socket, "round", 5, NULL, NULL) == 1);
}

static inline void attached_answer(troupe_socket_t socket, const troupe_chunk_t *chunk,
                                   void *context) {
  attached_echo_t *echo = context;
  expect(troupe_chunk_length(chunk) == 5);
  if (++echo->echoes % echo->rounds == 0) {
    expect(troupe_socket_end(socket, NULL, NULL) == 0);
  } else {
    attached_ask(socket, context);
  }
}

static inline void attached_closed(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  attached_echo_t *echo = context;
  expect(!had_error);
  echo->closed++;
  if (--echo->open == 0) {
    expect(troupe_server_close(echo->server) == 0);
  }
}

static inline void attached_beat(troupe_timer_t timer, void *context) {
  attached_echo_t *echo = context;
  echo->beats++;
  if (echo->open == 0) {
    expect(troupe_timer_stop(timer) == 0);
  }
}

// Starts it in the calling actor: `clients` clients, one after the other's answer, `rounds` times.
static inline int attached_begin(attached_echo_t *echo) {
  static const troupe_socket_handlers_t served = {.on_data = attached_serve};
  static const troupe_socket_handlers_t asking = {
      .on_connect = attached_ask, .on_data = attached_answer, .on_close = attached_closed};
  static const troupe_server_options_t options = {.socket_handlers = &served};
  troupe_address_t address;
  int error = troupe_server_new(&options, NULL, NULL, &echo->server);
  error = error == 0 ? troupe_server_listen_port(echo->server, 0, "127.0.0.1", 0) : error;
  error = error == 0 ? troupe_server_listen_wait(echo->server, SCENE_LIMIT_MS * trp_test_slow())
                     : error;
  error = error == 0 ? troupe_server_address(echo->server, &address) : error;
  error = error == 0 ? troupe_timer_start(&echo->beat, 1, 1, attached_beat, echo) : error;
  for (int i = 0; i < echo->clients && error == 0; i++) {
    error = troupe_connect_port(address.port, "127.0.0.1", &asking, echo, NULL);
    echo->open++;
  }
  return error;
}

static inline void attached_check(const attached_echo_t *echo) {
  assert_int_equal(echo->open, 0);
  assert_int_equal(echo->closed, echo->clients);
  // Clients take turns, so that one may end for another; the sum is the same.
  assert_true(echo->echoes >= echo->rounds);
  assert_true(echo->beats > 0);
  assert_false(troupe_actor_held());
}

#endif
