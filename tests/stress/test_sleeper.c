// One of four actors sleeps in a callback: nobody else's clients notice.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/stress.h"

enum { ACTORS = 4, CLIENTS = 32, ROUNDS = 20, NOTICED_MS = 300, FLOOD = 256 * 1024 };

typedef struct {
  test_service_t service;
  pthread_mutex_t bed; // who is sent a '!' sleeps until it is free
  atomic_bool asleep;
} sleepers_t;

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  sleepers_t *sleepers = context;
  const char *bytes = troupe_chunk_bytes(chunk);
  size_t length = troupe_chunk_length(chunk);
  if (bytes[0] == '!') {
    atomic_store(&sleepers->asleep, true);
    pthread_mutex_lock(&sleepers->bed);
    pthread_mutex_unlock(&sleepers->bed);
  }
  troupe_socket_write(socket, bytes, length, NULL, NULL);
}

// The first byte that a client gets is the actor that has it.
static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data};
  uint8_t index = (uint8_t)troupe_actor_index();
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, context);
  troupe_socket_write(socket, &index, 1, NULL, NULL);
}

static int sleeping_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  sleepers_t *sleepers = argument;
  int error = stress_listen(&sleepers->service, NULL, &handlers, sleepers);
  return error < 0 ? error : troupe_actor_run();
}

static bool is_set(void *flag) {
  return atomic_load((atomic_bool *)flag);
}

static void run(unsigned io_actors) {
  sleepers_t sleepers = {.bed = PTHREAD_MUTEX_INITIALIZER};
  int fds[CLIENTS], sleeper = -1;
  uint8_t owner[CLIENTS];
  uint8_t *flood = malloc(FLOOD), *back = malloc(FLOOD + 1);
  assert_non_null(flood);
  assert_non_null(back);
  memset(flood, 'f', FLOOD);
  stress_start(&sleepers.service, io_actors, ACTORS, sleeping_actor, &sleepers);
  for (int i = 0; i < CLIENTS; i++) {
    fds[i] = test_service_connect(&sleepers.service);
    assert_int_equal(trp_test_receive(fds[i], &owner[i], 1, STRESS_LIMIT_MS), 1);
    sleeper = owner[i] == 0 ? i : sleeper;
  }
  assert_true(sleeper >= 0);
  pthread_mutex_lock(&sleepers.bed);
  assert_int_equal(trp_test_send(fds[sleeper], "!", 1, STRESS_LIMIT_MS), 0);
  assert_true(trp_test_wait_until(is_set, &sleepers.asleep, STRESS_LIMIT_MS));
  // Its clients go on sending, a lot of it.
  for (int i = 0; i < CLIENTS; i++) {
    if (owner[i] == 0) {
      assert_int_equal(trp_test_send(fds[i], flood, FLOOD, STRESS_LIMIT_MS), 0);
    }
  }
  unsigned noticed = 0; // a machine that others keep busy makes one of them late, not many
  for (int i = 0; i < ROUNDS * CLIENTS; i++) {
    if (owner[i % CLIENTS] != 0) {
      int64_t began = trp_test_now_ms();
      test_service_echoes(fds[i % CLIENTS]);
      noticed += trp_test_now_ms() - began > NOTICED_MS * (trp_test_slow() > 1 ? 10 : 1);
    }
  }
  assert_in_range(noticed, 0, ROUNDS * CLIENTS / 20);
  pthread_mutex_unlock(&sleepers.bed);
  for (int i = 0; i < CLIENTS; i++) {
    if (owner[i] == 0) {
      size_t skip = i == sleeper ? 1 : 0;
      assert_int_equal(trp_test_receive(fds[i], back, FLOOD + skip, STRESS_LIMIT_MS), FLOOD + skip);
      assert_memory_equal(back + skip, flood, FLOOD);
    }
    test_service_echoes(fds[i]);
    trp_test_close(fds[i]);
  }
  test_service_stop(&sleepers.service);
  free(flood);
  free(back);
}

// parity: shape.3
static void an_actor_that_sleeps_in_its_callback_delays_nobody_elses_clients(void **state) {
  (void)state;
  trp_test_limit(150000);
  stress_with_io_actors(run);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(
          an_actor_that_sleeps_in_its_callback_delays_nobody_elses_clients),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/sleeper", tests, stress_set_up, NULL);
}
