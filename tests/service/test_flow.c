// Flow control both ways: what is slow slows its own peer, fills no memory, and starves nobody.
#include <stdlib.h>
#include <string.h>

#include "tests/support/service.h"

enum {
  LIMIT_MS = 20000,
  MEBI = 1024 * 1024,
  PIECE = 64 * 1024,
  GROWTH_MAX = 16 * MEBI,
  PAUSED = 256,
};

typedef struct {
  atomic_int port;
  atomic_ullong received;
  atomic_int ends;
  // The writer's story.
  uint64_t accepted;
  bool said_zero, refused;
  atomic_int drains;
  troupe_socket_t socket;
} flow_t;

static int listen_and_run(flow_t *flow, const troupe_server_handlers_t *handlers) {
  int error = test_listen(NULL, handlers, flow, NULL, &flow->port);
  return error < 0 ? error : troupe_actor_run();
}

static troupe_system_t *start(flow_t *flow, troupe_main_fn actor_main, troupe_actor_t *actor) {
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  assert_int_equal(
      troupe_spawn(system,
                   &(troupe_spawn_options_t){.name = "flow", .main = actor_main, .argument = flow},
                   actor),
      0);
  return system;
}

static void finish(troupe_system_t *system) {
  assert_int_equal(troupe_system_stop(system, 0), 0);
  assert_int_equal(troupe_system_wait(system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
}

// ---- A reader that takes one piece at a time ----

static void go_on(troupe_timer_t timer, void *context) {
  flow_t *flow = context;
  (void)timer;
  troupe_socket_resume(flow->socket);
}

static void take_slowly(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  flow_t *flow = context;
  uint64_t before = atomic_fetch_add(&flow->received, troupe_chunk_length(chunk));
  // A break every mebibyte, so that the peer is always ahead.
  if (before / MEBI != (before + troupe_chunk_length(chunk)) / MEBI) {
    troupe_socket_pause(socket);
    troupe_timer_start(NULL, 1, 0, go_on, flow);
  }
}

static void on_end(troupe_socket_t socket, void *context) {
  flow_t *flow = context;
  (void)socket;
  atomic_fetch_add(&flow->ends, 1);
}

static void on_slow_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = take_slowly, .on_end = on_end};
  flow_t *flow = context;
  (void)server;
  flow->socket = socket;
  troupe_socket_set_handlers(socket, &handlers, context);
}

static int slow_reader(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_slow_connection};
  return listen_and_run(argument, &handlers);
}

static void a_gibibyte_to_a_slow_reader_takes_no_memory(void **state) {
  (void)state;
  trp_test_limit(150000);
  flow_t flow = {0};
  troupe_actor_t actor;
  troupe_system_t *system = start(&flow, slow_reader, &actor);
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&flow.port), LIMIT_MS);
  assert_true(fd >= 0);
  static uint8_t piece[PIECE];
  bool sanitized = trp_test_slow() > 1;
  uint64_t total = sanitized ? 64 * (uint64_t)MEBI : 1024 * (uint64_t)MEBI;
  int64_t before = trp_test_rss_bytes();
  int64_t most = 0;
  for (uint64_t sent = 0; sent < total; sent += PIECE) {
    assert_int_equal(trp_test_send(fd, piece, PIECE, LIMIT_MS), 0);
    if (sent % (16 * MEBI) == 0) {
      int64_t growth = trp_test_rss_bytes() - before;
      most = growth > most ? growth : most;
    }
  }
  assert_int_equal(trp_test_end(fd), 0);
  assert_int_equal(trp_test_receive_to_end(fd, piece, PIECE, LIMIT_MS), 0);
  assert_int_equal(atomic_load(&flow.received), total);
  assert_int_equal(atomic_load(&flow.ends), 1);
  assert_true(most < (sanitized ? 4 * (int64_t)GROWTH_MAX : (int64_t)GROWTH_MAX));
  trp_test_close(fd);
  finish(system);
}

// ---- A writer whose peer does not read ----

static void on_drain(troupe_socket_t socket, void *context) {
  flow_t *flow = context;
  (void)socket;
  atomic_fetch_add(&flow->drains, 1);
  troupe_socket_end(socket, NULL, NULL);
}

static void on_full_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_drain = on_drain, .on_end = on_end};
  static uint8_t piece[PIECE];
  flow_t *flow = context;
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, context);
  int result = 1;
  while (result >= 0) {
    memset(piece, (int)(flow->accepted / PIECE), sizeof piece);
    result = troupe_socket_write(socket, piece, sizeof piece, NULL, NULL);
    flow->said_zero = flow->said_zero || result == 0;
    flow->accepted += result >= 0 ? PIECE : 0;
  }
  flow->refused = result == TROUPE_ENOBUFS &&
                  troupe_socket_bytes_written(socket) == flow->accepted &&
                  troupe_socket_writable_length(socket) == flow->accepted;
}

static int full_writer(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_full_connection};
  return listen_and_run(argument, &handlers);
}

static void a_writer_is_told_to_wait_then_refused_and_goes_on_when_its_peer_reads(void **state) {
  (void)state;
  flow_t flow = {0};
  troupe_actor_t actor;
  troupe_system_t *system = start(&flow, full_writer, &actor);
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&flow.port), LIMIT_MS);
  assert_true(fd >= 0);
  uint64_t received = 0;
  for (;;) {
    static uint8_t got[PIECE];
    int64_t n = trp_test_receive(fd, got, PIECE, LIMIT_MS);
    if (n == 0) {
      break;
    }
    assert_int_equal(n, PIECE);
    for (size_t i = 0; i < PIECE; i++) {
      assert_int_equal(got[i], (uint8_t)(received / PIECE));
    }
    received += (uint64_t)n;
  }
  trp_test_close(fd);
  finish(system);
  assert_true(flow.said_zero);
  assert_true(flow.refused);
  assert_int_equal(atomic_load(&flow.drains), 1);
  // The limit, and not more than one piece beyond it.
  assert_in_range(flow.accepted, 16 * MEBI, 16 * MEBI + PIECE);
  assert_int_equal(received, flow.accepted);
}

// ---- Paused neighbours ----

static void echo(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  flow_t *flow = context;
  atomic_fetch_add(&flow->received, troupe_chunk_length(chunk));
  troupe_socket_write_chunk(socket, chunk, NULL, NULL);
}

static void on_neighbour(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = echo};
  flow_t *flow = context;
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, flow);
  if (atomic_fetch_add(&flow->ends, 1) < PAUSED) {
    troupe_socket_pause(socket);
  }
}

static int neighbours(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_neighbour};
  return listen_and_run(argument, &handlers);
}

static void paused_sockets_do_not_starve_another_one_of_the_same_actor(void **state) {
  (void)state;
  static uint8_t piece[2 * MEBI];
  flow_t flow = {0};
  troupe_actor_t actor;
  troupe_system_t *system = start(&flow, neighbours, &actor);
  int fds[PAUSED];
  for (int i = 0; i < PAUSED; i++) {
    fds[i] = trp_test_connect_tcp("127.0.0.1", atomic_load(&flow.port), LIMIT_MS);
    assert_true(fds[i] >= 0);
    // As much as is taken at once; the rest is the kernel's.
    assert_int_equal(trp_test_send(fds[i], piece, 128 * 1024, LIMIT_MS), 0);
  }
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&flow.port), LIMIT_MS);
  assert_true(fd >= 0);
  for (int i = 0; i < 100; i++) {
    test_service_echoes(fd);
  }
  trp_test_close(fd);
  for (int i = 0; i < PAUSED; i++) {
    trp_test_close(fds[i]);
  }
  finish(system);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_gibibyte_to_a_slow_reader_takes_no_memory),
      trp_test(a_writer_is_told_to_wait_then_refused_and_goes_on_when_its_peer_reads),
      trp_test(paused_sockets_do_not_starve_another_one_of_the_same_actor),
  };
  return TRP_RUN_TESTS("service/flow", tests);
}
