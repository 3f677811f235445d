// The same service with one I/O actor and with several: what it does may not depend on how many there
// are.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/service.h"

enum { LIMIT_MS = 10000 };

static const unsigned counts[] = {1, 2, 8};

static void with_io_actors(void (*run)(unsigned io_actors)) {
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    run(counts[i]);
  }
}

// ---- Dealing ----

static void deal(unsigned io_actors) {
  enum { ACTORS = 8, WAVE = 200 };
  int waves = trp_test_slow() > 1 ? 2 : 50;
  test_service_t service = {.io_threads = io_actors};
  test_service_start(&service, ACTORS);
  for (int wave = 0; wave < waves; wave++) {
    int fds[WAVE];
    for (int i = 0; i < WAVE; i++) {
      fds[i] = test_service_connect(&service);
    }
    for (int i = 0; i < WAVE; i++) {
      test_service_echoes(fds[i]);
      trp_test_close(fds[i]);
    }
  }
  for (unsigned i = 0; i < ACTORS; i++) {
    assert_int_equal(atomic_load(&service.served[i]), waves * WAVE / ACTORS);
  }
  test_service_wait_for_sockets(&service, 0);
  test_service_stop(&service);
  assert_int_equal(atomic_load(&service.open), 0);
}

/* parity: shape.1 shape.4 */
static void ten_thousand_connections_are_dealt_to_8_actors_evenly(void **state) {
  (void)state;
  trp_test_limit(150000);
  with_io_actors(deal);
}

// ---- Counting ----

typedef struct {
  test_service_t service;
  int64_t max_connections;
  atomic_uint opened, closed, dropped, disorder;
  atomic_uint answers, count; // to questions, and the last of them
  unsigned open;              // in the actor
  bool ended;
} counting_t;

static void on_count(troupe_server_t server, uint64_t count, void *context) {
  counting_t *counting = context;
  (void)server;
  atomic_store(&counting->count, (unsigned)count);
  atomic_fetch_add(&counting->answers, 1);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  counting_t *counting = context;
  (void)had_error;
  counting->open--;
  troupe_server_get_connections(troupe_socket_server(socket), on_count, counting);
  atomic_fetch_add(&counting->closed, 1);
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)socket;
  (void)chunk;
  (void)context;
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_close = on_close};
  counting_t *counting = context;
  atomic_fetch_add(&counting->disorder, troupe_server_listening(server) ? 0 : 1);
  counting->open++;
  atomic_fetch_add(&counting->opened, 1);
  troupe_socket_set_handlers(socket, &handlers, counting);
}

static void on_drop(troupe_server_t server, const troupe_drop_t *drop, void *context) {
  counting_t *counting = context;
  (void)server;
  atomic_fetch_add(&counting->dropped, (unsigned)drop->count);
}

static void on_server_close(troupe_server_t server, void *context) {
  counting_t *counting = context;
  (void)server;
  atomic_fetch_add(&counting->disorder, counting->open);
  counting->ended = true;
}

static int counting_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {
      .on_connection = on_connection, .on_drop = on_drop, .on_close = on_server_close};
  counting_t *counting = argument;
  troupe_server_options_t options = {.max_connections = counting->max_connections};
  int error = test_listen(&options, &handlers, counting, NULL, &counting->service.port);
  return error < 0 ? error : troupe_actor_run();
}

static void start_counting(counting_t *counting, unsigned io_actors) {
  troupe_system_options_t options = {.io_threads = io_actors};
  assert_int_equal(troupe_system_new(&options, &counting->service.system), 0);
  troupe_spawn_options_t spawn = {.main = counting_actor, .argument = counting};
  assert_int_equal(troupe_spawn(counting->service.system, &spawn, counting->service.actors), 0);
}

typedef struct {
  atomic_uint *counter;
  unsigned value;
} reached_t;

static bool has_reached(void *argument) {
  const reached_t *reached = argument;
  return atomic_load(reached->counter) >= reached->value;
}

static void wait_for(atomic_uint *counter, unsigned value) {
  reached_t reached = {.counter = counter, .value = value};
  assert_true(trp_test_wait_until(has_reached, &reached, LIMIT_MS));
}

static void replace_one_by_one(unsigned io_actors) {
  enum { MAX = 3 };
  unsigned rounds = trp_test_slow() > 1 ? 50 : 400;
  counting_t counting = {.max_connections = MAX};
  int fds[MAX];
  start_counting(&counting, io_actors);
  for (unsigned i = 0; i < MAX; i++) {
    fds[i] = test_service_connect(&counting.service);
  }
  wait_for(&counting.opened, MAX);
  for (unsigned round = 1; round <= rounds; round++) {
    int *fd = &fds[round % MAX];
    trp_test_close(*fd);
    wait_for(&counting.closed, round);
    if (round % 2 == 0) { // else the next one comes before anybody who deals had to know of the end
      wait_for(&counting.answers, round);
      assert_int_equal(atomic_load(&counting.count), MAX - 1);
    }
    *fd = test_service_connect(&counting.service);
    wait_for(&counting.opened, MAX + round);
  }
  assert_int_equal(atomic_load(&counting.dropped), 0);
  int extra = test_service_connect(&counting.service);
  char byte;
  assert_int_equal(trp_test_receive_to_end(extra, &byte, 1, LIMIT_MS), 0);
  trp_test_close(extra);
  wait_for(&counting.dropped, 1);
  for (unsigned i = 0; i < MAX; i++) {
    trp_test_close(fds[i]);
  }
  test_service_stop(&counting.service);
  assert_int_equal(atomic_load(&counting.disorder), 0);
  assert_int_equal(counting.open, 0);
  assert_true(counting.ended);
}

static void limits_and_counts_are_exact_at_every_moment(void **state) {
  (void)state;
  trp_test_limit(150000);
  with_io_actors(replace_one_by_one);
}

// ---- Order ----

typedef struct {
  const char *path;
  atomic_bool stop;
  atomic_uint connected;
} storm_t;

/// Connects as fast as it can and closes again.
static void *blow(void *argument) {
  storm_t *storm = argument;
  while (!atomic_load(&storm->stop)) {
    int fd = trp_test_connect_unix(storm->path, strlen(storm->path), LIMIT_MS);
    if (fd >= 0) {
      atomic_fetch_add(&storm->connected, 1);
      trp_test_close(fd);
    } else {
      sched_yield(); // nobody listens at the moment
    }
  }
  return NULL;
}

typedef struct {
  counting_t counting;
  const char *path;
  unsigned rounds;
} reopening_t;

static void reopen(troupe_server_t server, void *context);

static void on_reopened(troupe_server_t server, void *context) {
  reopening_t *reopening = context;
  if (reopening->rounds > 0) {
    reopening->rounds--;
    troupe_server_close(server);
  }
}

static void on_closed(troupe_server_t server, void *context) {
  on_server_close(server, context);
  reopen(server, context);
}

static void reopen(troupe_server_t server, void *context) {
  reopening_t *reopening = context;
  if (reopening->rounds > 0) {
    troupe_server_listen_path(server, reopening->path, 0);
  }
}

static void on_short_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  on_connection(server, socket, context);
  reopening_t *reopening = context;
  if (reopening->rounds > 0) {
    reopening->rounds--;
    troupe_server_close(server);
  }
}

static int reopening_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {
      .on_listening = on_reopened, .on_connection = on_short_connection, .on_close = on_closed};
  troupe_server_t server;
  int error = troupe_server_new(NULL, &handlers, argument, &server);
  if (error == 0) {
    reopen(server, argument);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void reopen_under_a_storm(unsigned io_actors) {
  char path[160];
  snprintf(path, sizeof path, "%s/%u", trp_test_folder(), io_actors);
  reopening_t reopening = {.path = path, .rounds = trp_test_slow() > 1 ? 100 : 500};
  storm_t storm = {.path = path};
  pthread_t thread;
  troupe_actor_t actor;
  int status = 0;
  troupe_system_options_t options = {.io_threads = io_actors};
  assert_int_equal(troupe_system_new(&options, &reopening.counting.service.system), 0);
  troupe_system_t *system = reopening.counting.service.system;
  assert_int_equal(pthread_create(&thread, NULL, blow, &storm), 0);
  troupe_spawn_options_t spawn = {.main = reopening_actor, .argument = &reopening};
  assert_int_equal(troupe_spawn(system, &spawn, &actor), 0);
  assert_int_equal(troupe_actor_join(system, actor, 6 * LIMIT_MS * trp_test_slow(), &status), 0);
  atomic_store(&storm.stop, true);
  pthread_join(thread, NULL);
  assert_int_equal(status, 0);
  assert_int_equal(atomic_load(&reopening.counting.disorder), 0);
  test_service_stop(&reopening.counting.service);
}

static void
a_server_hears_that_it_listens_before_and_that_it_is_closed_behind_its_connections(void **state) {
  (void)state;
  trp_test_limit(150000);
  with_io_actors(reopen_under_a_storm);
}

// ---- The end ----

static void stop_under_a_storm(unsigned io_actors) {
  int rounds = trp_test_slow() > 1 ? 3 : 10;
  char path[160];
  snprintf(path, sizeof path, "%s/%u", trp_test_folder(), io_actors);
  storm_t storm = {.path = path};
  pthread_t threads[2];
  int before = trp_test_count_fds();
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, blow, &storm), 0);
  }
  for (int round = 0; round < rounds; round++) {
    test_service_t service = {.io_threads = io_actors, .path = path};
    unsigned connected = atomic_load(&storm.connected);
    test_service_start(&service, 3);
    wait_for(&storm.connected, connected + 50);
    assert_int_equal(troupe_system_stop(service.system, 0), 0);
    assert_int_equal(troupe_system_wait(service.system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL),
                     0);
    assert_int_equal(troupe_system_free(&service.system), 0);
  }
  atomic_store(&storm.stop, true);
  for (size_t i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
  }
  assert_int_equal(trp_test_count_fds(), before);
}

static void a_system_that_is_freed_in_a_storm_closes_what_is_between_its_io_actors(void **state) {
  (void)state;
  trp_test_limit(150000);
  with_io_actors(stop_under_a_storm);
}

// ---- Traces ----

static void record_and_replay(unsigned io_actors) {
  enum { ACTORS = 2, CONNECTIONS = 20 };
  char folder[160];
  snprintf(folder, sizeof folder, "%s/%u", trp_test_folder(), io_actors);
  test_service_t service = {.copies = ACTORS};
  troupe_system_options_t options = {.io_threads = io_actors};
  assert_int_equal(troupe_system_new(&options, &service.system), 0);
  troupe_record_options_t record = {.directory = folder};
  assert_int_equal(troupe_record_start(service.system, &record), 0);
  troupe_spawn_options_t spawn = {
      .name = "echo", .main = test_echo_actor, .argument = &service, .copies = ACTORS};
  assert_int_equal(troupe_spawn(service.system, &spawn, service.actors), 0);
  for (int i = 0; i < CONNECTIONS; i++) {
    int fd = test_service_connect(&service);
    test_service_echoes(fd);
    trp_test_close(fd);
  }
  test_service_stop(&service);
  test_service_t again = {.copies = ACTORS};
  for (unsigned i = 0; i < ACTORS; i++) {
    char path[192];
    troupe_replay_report_t report = {0};
    snprintf(path, sizeof path, "%s/echo-%u.trace", folder, i);
    int error = troupe_replay(test_echo_actor, &again, path, &report);
    if (error != 0) {
      print_error("%s\n", report.text);
    }
    assert_int_equal(error, 0);
    assert_int_equal(atomic_load(&again.served[i]), CONNECTIONS / ACTORS);
  }
}

static void what_was_recorded_is_replayed(void **state) {
  (void)state;
  with_io_actors(record_and_replay);
}

// ---- Descriptors ----

typedef struct {
  int fd;
  int error;
  atomic_uint closed;
} adopter_t;

static void on_adopted_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  adopter_t *adopter = context;
  (void)socket;
  adopter->error = error->code;
}

static void on_adopted_close(troupe_socket_t socket, bool had_error, void *context) {
  adopter_t *adopter = context;
  (void)socket;
  (void)had_error;
  atomic_fetch_add(&adopter->closed, 1);
}

static int adopting_actor(void *argument) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_error = on_adopted_error, .on_close = on_adopted_close};
  adopter_t *adopter = argument;
  const unsigned both = TROUPE_READABLE | TROUPE_WRITABLE;
  troupe_socket_t sockets[2];
  for (size_t i = 0; i < 2; i++) {
    int error = troupe_socket_adopt(adopter->fd, both, NULL, &handlers, adopter, &sockets[i]);
    if (error < 0) {
      return error;
    }
  }
  return troupe_actor_run();
}

static void adopt_twice(unsigned io_actors) {
  for (int i = 0; i < 8; i++) { // another descriptor each time
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    int spare = i % 2 == 0 ? dup(pair[0]) : -1;
    test_service_t service = {0};
    adopter_t adopter = {.fd = pair[1]};
    troupe_system_options_t options = {.io_threads = io_actors};
    assert_int_equal(troupe_system_new(&options, &service.system), 0);
    troupe_spawn_options_t spawn = {.main = adopting_actor, .argument = &adopter};
    assert_int_equal(troupe_spawn(service.system, &spawn, NULL), 0);
    wait_for(&adopter.closed, 1);
    assert_int_equal(adopter.error, TROUPE_EEXIST);
    // The first one has it, and it is open.
    assert_int_equal(trp_test_send(pair[0], "x", 1, LIMIT_MS), 0);
    close(pair[0]);
    if (spare >= 0) {
      close(spare);
    }
    wait_for(&adopter.closed, 2);
    test_service_stop(&service);
  }
}

static void a_descriptor_that_is_handed_over_twice_is_found_out(void **state) {
  (void)state;
  with_io_actors(adopt_twice);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(ten_thousand_connections_are_dealt_to_8_actors_evenly),
      trp_test(limits_and_counts_are_exact_at_every_moment),
      trp_test(a_server_hears_that_it_listens_before_and_that_it_is_closed_behind_its_connections),
      trp_test(a_system_that_is_freed_in_a_storm_closes_what_is_between_its_io_actors),
      trp_test(what_was_recorded_is_replayed),
      trp_test(a_descriptor_that_is_handed_over_twice_is_found_out),
  };
  return TRP_RUN_TESTS("service/io_actors", tests);
}
