// Peers that send faster than actors read: the process does not grow, and neighbours are served.
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/stress.h"

enum {
  MIB = 1024 * 1024,
  PAUSES_EVERY = 64, // chunks
  BURN_US = 5,
  CROWD = 256,
};

// One actor; the first byte of a connection says what becomes of it.
typedef struct {
  test_service_t service;
  atomic_ullong received; // by slow readers
  atomic_uint wrong;
  atomic_uint paused; // sockets that stay paused
  atomic_bool release;
} readers_t;

typedef struct {
  readers_t *readers;
  troupe_socket_t socket;
  uint64_t at;
  unsigned chunks;
  char kind;
} reader_t;

static void wake(troupe_timer_t timer, void *context) {
  (void)timer;
  troupe_socket_resume(((reader_t *)context)->socket);
}

static void look_for_release(troupe_timer_t timer, void *context) {
  reader_t *reader = context;
  if (atomic_load(&reader->readers->release)) {
    troupe_timer_stop(timer);
    reader->kind = 's';
    troupe_socket_resume(reader->socket);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  reader_t *reader = context;
  readers_t *readers = reader->readers;
  const char *bytes = troupe_chunk_bytes(chunk);
  size_t length = troupe_chunk_length(chunk);
  if (reader->kind == 0) { // its kind is a byte of its own, which is answered
    reader->kind = bytes[0];
    troupe_socket_write(socket, bytes, 1, NULL, NULL);
    bytes++;
    length--;
    if (reader->kind == 'p') {
      troupe_socket_pause(socket);
      atomic_fetch_add(&readers->paused, 1);
      troupe_timer_start(NULL, 10, 10, look_for_release, reader);
    }
    if (length == 0) {
      return;
    }
  }
  if (reader->kind == 'e') {
    troupe_socket_write(socket, bytes, length, NULL, NULL);
    return;
  }
  if (!stress_is_filled(bytes, length, reader->at)) {
    atomic_fetch_add(&readers->wrong, 1);
  }
  reader->at += length;
  atomic_fetch_add(&readers->received, length);
  stress_burn_us(BURN_US);
  if (++reader->chunks % PAUSES_EVERY == 0) {
    troupe_socket_pause(socket);
    troupe_timer_start(NULL, 1, 0, wake, reader);
  }
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  free(context);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_close = on_close};
  reader_t *reader = calloc(1, sizeof *reader);
  (void)server;
  if (reader == NULL) {
    abort();
  }
  reader->readers = context;
  reader->socket = socket;
  troupe_socket_set_handlers(socket, &handlers, reader);
}

static int reading_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  readers_t *readers = argument;
  int error = stress_listen(&readers->service, NULL, &handlers, readers);
  return error < 0 ? error : troupe_actor_run();
}

static int connect_as(readers_t *readers, char kind) {
  int fd = test_service_connect(&readers->service);
  char answer = 0;
  assert_int_equal(trp_test_send(fd, &kind, 1, STRESS_LIMIT_MS), 0);
  assert_int_equal(trp_test_receive(fd, &answer, 1, STRESS_LIMIT_MS), 1);
  assert_int_equal(answer, kind);
  return fd;
}

// Sends until so much was sent, or until the connection is full and stays full while its neighbour
// is answered many times. Returns how much was sent, and asserts that the process does not grow.
static uint64_t stuff(int fd, uint64_t at, uint64_t amount, int neighbour, bool to_the_end) {
  enum { ROUNDS_WHEN_FULL = 50 };
  int64_t allowed = (trp_test_slow() > 1 ? 64 : 16) * (int64_t)MIB;
  int64_t before = trp_test_rss_bytes(), most = before;
  uint64_t sent = 0;
  unsigned full = 0;
  for (unsigned turn = 0; sent < amount && full < ROUNDS_WHEN_FULL; turn++) {
    int64_t n = stress_send_some(fd, at + sent, amount - sent);
    assert_true(n >= 0);
    sent += (uint64_t)n;
    if (turn % 64 == 0 || n == 0) {
      int64_t now = trp_test_rss_bytes();
      most = now > most ? now : most;
    }
    if (n > 0) {
      full = 0;
    } else if (to_the_end) {
      struct pollfd waits = {.fd = fd, .events = POLLOUT};
      assert_int_equal(poll(&waits, 1, STRESS_LIMIT_MS * trp_test_slow()), 1);
    } else {
      full++;
      test_service_echoes(neighbour);
    }
  }
  if (most - before >= allowed) {
    fail_msg("the process grew by %lld bytes", (long long)(most - before));
  }
  return sent;
}

static bool all_received(void *argument) {
  void **pair = argument;
  readers_t *readers = pair[0];
  return atomic_load(&readers->received) == *(uint64_t *)pair[1];
}

static void expect_received(readers_t *readers, uint64_t amount) {
  assert_true(trp_test_wait_until(all_received, (void *[]){readers, &amount}, STRESS_LIMIT_MS));
  assert_int_equal(atomic_load(&readers->wrong), 0);
}

static void send_a_gibibyte(unsigned io_actors, bool unix_socket) {
  char path[128];
  readers_t readers = {0};
  if (unix_socket) {
    strcpy(path, trp_test_folder());
    readers.service.path = strcat(path, "/slow");
  }
  stress_start(&readers.service, io_actors, 1, reading_actor, &readers);
  int neighbour = connect_as(&readers, 'e');
  int fd = connect_as(&readers, 's');
  uint64_t amount = (trp_test_slow() > 1 ? 64 : 1024) * (uint64_t)MIB;
  assert_int_equal(stuff(fd, 0, amount, neighbour, true), amount);
  expect_received(&readers, amount);
  test_service_echoes(neighbour);
  trp_test_close(fd);
  trp_test_close(neighbour);
  test_service_stop(&readers.service);
}

static void run_gibibyte_over_tcp(unsigned io_actors) {
  send_a_gibibyte(io_actors, false);
}

static void a_gibibyte_for_a_slow_reader_over_tcp_does_not_grow_the_process(void **state) {
  (void)state;
  trp_test_limit(150000);
  stress_with_io_actors(run_gibibyte_over_tcp);
}

static void run_gibibyte_over_unix(unsigned io_actors) {
  send_a_gibibyte(io_actors, true);
}

static void
a_gibibyte_for_a_slow_reader_over_a_unix_socket_does_not_grow_the_process(void **state) {
  (void)state;
  trp_test_limit(150000);
  stress_with_io_actors(run_gibibyte_over_unix);
}

static void run_paused(unsigned io_actors) {
  readers_t readers = {0};
  stress_start(&readers.service, io_actors, 1, reading_actor, &readers);
  int neighbour = connect_as(&readers, 'e');
  int fd = connect_as(&readers, 'p');
  uint64_t sent = stuff(fd, 0, 1024 * (uint64_t)MIB, neighbour, false);
  assert_true(sent < 64 * (uint64_t)MIB); // the kernel's buffers and the credit
  assert_int_equal(atomic_load(&readers.received), 0);
  atomic_store(&readers.release, true);
  expect_received(&readers, sent);
  trp_test_close(fd);
  trp_test_close(neighbour);
  test_service_stop(&readers.service);
}

static void a_socket_that_stays_paused_takes_little_and_loses_nothing(void **state) {
  (void)state;
  stress_with_io_actors(run_paused);
}

static void run_crowd(unsigned io_actors) {
  readers_t readers = {0};
  int fds[CROWD];
  uint64_t sent = 0;
  stress_start(&readers.service, io_actors, 1, reading_actor, &readers);
  int neighbour = connect_as(&readers, 'e');
  for (size_t i = 0; i < CROWD; i++) {
    fds[i] = connect_as(&readers, 'p');
  }
  // All of them together could fill the actor's window several times. They share this machine's
  // memory for sockets too, so each gets a mebibyte at the most.
  for (size_t i = 0; i < CROWD; i++) {
    uint64_t at = 0;
    for (int64_t n = 1; n > 0 && at < MIB; at += (uint64_t)n) {
      n = stress_send_some(fds[i], at, MIB - at);
      assert_true(n >= 0);
    }
    sent += at;
  }
  unsigned slow = 0; // a machine that others keep busy makes one of them late, not many
  for (int i = 0; i < 100; i++) {
    int64_t began = trp_test_now_ms();
    test_service_echoes(neighbour);
    slow += trp_test_now_ms() - began > 1000 * trp_test_slow();
  }
  assert_in_range(slow, 0, 10);
  // And one that comes only now, with much to say.
  int late = connect_as(&readers, 's');
  assert_int_equal(stuff(late, 0, 8 * MIB, neighbour, true), 8 * MIB);
  expect_received(&readers, 8 * MIB);
  assert_int_equal(atomic_load(&readers.paused), CROWD);
  atomic_store(&readers.release, true);
  expect_received(&readers, sent + 8 * MIB);
  for (size_t i = 0; i < CROWD; i++) {
    trp_test_close(fds[i]);
  }
  trp_test_close(late);
  trp_test_close(neighbour);
  test_service_stop(&readers.service);
}

static void two_hundred_and_fifty_six_paused_sockets_do_not_starve_the_next(void **state) {
  (void)state;
  stress_with_io_actors(run_crowd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_gibibyte_for_a_slow_reader_over_tcp_does_not_grow_the_process),
      trp_test_that_leaves_nothing(
          a_gibibyte_for_a_slow_reader_over_a_unix_socket_does_not_grow_the_process),
      trp_test_that_leaves_nothing(a_socket_that_stays_paused_takes_little_and_loses_nothing),
      trp_test_that_leaves_nothing(two_hundred_and_fifty_six_paused_sockets_do_not_starve_the_next),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/slow_reader", tests, stress_set_up, NULL);
}
