// However an actor ends, its sockets end with it, who watches it is told, and the others go on.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/service.h"

enum { LIMIT_MS = 10000 };

typedef enum { BY_RETURNING, BY_FAILING, BY_EXITING } way_t;

typedef struct {
  test_service_t *service;
  way_t way;
  int status;
  troupe_actor_t victim;
  atomic_bool told;
  troupe_reason_t reason;
  int told_status;
} ending_t;

// The first byte that comes is the sign.
static void on_sign(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  ending_t *ending = context;
  (void)chunk;
  troupe_socket_write(socket, "bye", 3, NULL, NULL);
  if (ending->way == BY_EXITING) {
    pthread_exit(NULL);
  }
  troupe_actor_end(ending->status);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_sign};
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, context);
}

static int victim_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  ending_t *ending = argument;
  troupe_server_t server;
  int error = troupe_server_new(NULL, &handlers, ending, &server);
  if (error == 0) {
    error = troupe_server_listen_path(server, ending->service->path, 0);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(server, LIMIT_MS * trp_test_slow());
  }
  return error < 0 ? error : troupe_actor_run();
}

static void on_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  ending_t *ending = context;
  assert_int_equal(actor.id, ending->victim.id);
  ending->reason = reason;
  ending->told_status = status;
  atomic_store(&ending->told, true);
}

static int watcher_actor(void *argument) {
  ending_t *ending = argument;
  int error = troupe_watch(ending->victim, on_down, ending);
  return error < 0 ? error : troupe_actor_run(); // until the watch is over
}

static void end_an_actor(way_t way, int status, troupe_reason_t reason) {
  enum { CLIENTS = 20 };
  char path[256];
  snprintf(path, sizeof path, "%s/victim", trp_test_folder());
  test_service_t service = {0};
  test_service_start(&service, 2);
  int other = test_service_connect(&service);
  test_service_echoes(other);

  test_service_t place = {.path = path};
  ending_t ending = {.service = &place, .way = way, .status = status};
  assert_int_equal(troupe_spawn(service.system,
                                &(troupe_spawn_options_t){
                                    .name = "victim", .main = victim_actor, .argument = &ending},
                                &ending.victim),
                   0);
  troupe_actor_t watcher;
  assert_int_equal(troupe_spawn(service.system,
                                &(troupe_spawn_options_t){
                                    .name = "watcher", .main = watcher_actor, .argument = &ending},
                                &watcher),
                   0);
  int fds[CLIENTS];
  for (int i = 0; i < CLIENTS; i++) {
    fds[i] = test_service_connect(&place);
  }
  test_service_wait_for_sockets(&service, CLIENTS + 1);
  assert_int_equal(trp_test_send(fds[0], "x", 1, LIMIT_MS), 0);
  for (int i = 0; i < CLIENTS; i++) {
    char bytes[16];
    int64_t got = trp_test_receive_to_end(fds[i], bytes, sizeof bytes, LIMIT_MS);
    if (i == 0 && way != BY_EXITING) { // what was written before the end still left
      assert_int_equal(got, 3);
      assert_memory_equal(bytes, "bye", 3);
    }
    trp_test_close(fds[i]);
  }
  assert_int_equal(troupe_actor_join(service.system, watcher, LIMIT_MS * trp_test_slow(), NULL), 0);
  assert_true(atomic_load(&ending.told));
  assert_int_equal(ending.reason, reason);
  assert_int_equal(ending.told_status, status);
  int joined = 1;
  assert_int_equal(
      troupe_actor_join(service.system, ending.victim, LIMIT_MS * trp_test_slow(), &joined), 0);
  assert_int_equal(joined, status);
  // Its listening path went with it, and its neighbours did not notice.
  assert_true(trp_test_connect_unix(path, strlen(path), LIMIT_MS) < 0);
  test_service_wait_for_sockets(&service, 1);
  test_service_echoes(other);
  trp_test_close(other);
  test_service_stop(&service);
}

static void an_actor_that_returns_closes_its_sockets_and_tells_its_watcher(void **state) {
  (void)state;
  end_an_actor(BY_RETURNING, 7, TROUPE_REASON_RETURNED);
}

static void an_actor_that_fails_closes_its_sockets_and_tells_its_watcher(void **state) {
  (void)state;
  end_an_actor(BY_FAILING, TROUPE_EIO, TROUPE_REASON_FAILED);
}

static void
an_actor_that_calls_pthread_exit_closes_its_sockets_and_tells_its_watcher(void **state) {
  (void)state;
  end_an_actor(BY_EXITING, 0, TROUPE_REASON_EXITED);
}

static void a_stop_at_once_closes_connections_and_a_stop_with_grace_lets_them_finish(void **state) {
  (void)state;
  test_service_t service = {0};
  test_service_start(&service, 4);
  int patient = test_service_connect(&service);
  test_service_echoes(patient);
  assert_int_equal(troupe_system_stop(service.system, 10000), 0);
  // Still served, although nobody new is.
  test_service_echoes(patient);
  assert_int_equal(troupe_system_wait(service.system, 0, NULL, 0, NULL), TROUPE_ETIMEDOUT);
  trp_test_close(patient);
  assert_int_equal(troupe_system_wait(service.system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL),
                   0);
  assert_int_equal(troupe_system_free(&service.system), 0);

  test_service_t hasty = {0};
  test_service_start(&hasty, 4);
  int fd = test_service_connect(&hasty);
  test_service_echoes(fd);
  assert_int_equal(troupe_system_stop(hasty.system, 0), 0);
  assert_int_equal(troupe_system_wait(hasty.system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(trp_test_receive_to_end(fd, &(char){0}, 1, LIMIT_MS), 0);
  trp_test_close(fd);
  assert_int_equal(troupe_system_free(&hasty.system), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(an_actor_that_returns_closes_its_sockets_and_tells_its_watcher),
      trp_test(an_actor_that_fails_closes_its_sockets_and_tells_its_watcher),
      trp_test(an_actor_that_calls_pthread_exit_closes_its_sockets_and_tells_its_watcher),
      trp_test(a_stop_at_once_closes_connections_and_a_stop_with_grace_lets_them_finish),
  };
  return TRP_RUN_TESTS("service/ends", tests);
}
