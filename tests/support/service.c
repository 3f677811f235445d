#include "tests/support/service.h"

#include <string.h>

enum { LIMIT_MS = 10000, GRACE_MS = 2000 };

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  if (troupe_socket_write_chunk(socket, chunk, NULL, NULL) == 0) {
    troupe_socket_pause(socket);
  }
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)context;
  troupe_socket_resume(socket);
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  test_service_t *service = context;
  (void)socket;
  (void)error;
  atomic_fetch_add(&service->errors, 1);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  test_service_t *service = context;
  (void)socket;
  (void)had_error;
  atomic_fetch_sub(&service->open, 1);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_drain = on_drain, .on_error = on_error, .on_close = on_close};
  test_service_t *service = context;
  (void)server;
  atomic_fetch_add(&service->served[troupe_actor_index()], 1);
  atomic_fetch_add(&service->open, 1);
  troupe_socket_set_handlers(socket, &handlers, service);
}

int test_echo_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  test_service_t *service = argument;
  troupe_server_t server;
  int error = troupe_server_new(NULL, &handlers, service, &server);
  if (error == 0) {
    error = service->path != NULL
                ? troupe_server_listen_path(server, service->path, service->backlog)
                : troupe_server_listen_port(server, 0, "127.0.0.1", service->backlog);
  }
  if (error == 0) {
    error = test_wait_until_it_listens(server, &service->port);
  }
  return error < 0 ? error : troupe_actor_run();
}

int test_wait_until_it_listens(troupe_server_t server, atomic_int *port) {
  troupe_address_t address;
  int error = troupe_server_listen_wait(server, LIMIT_MS * trp_test_slow());
  if (error == 0) {
    error = troupe_server_address(server, &address);
  }
  if (error == 0) {
    atomic_store(port, address.port);
  }
  return error;
}

int test_listen(const troupe_server_options_t *options, const troupe_server_handlers_t *handlers,
                void *context, troupe_server_t *server, atomic_int *port) {
  troupe_server_t made;
  int error = troupe_server_new(options, handlers, context, &made);
  if (error == 0) {
    error = troupe_server_listen_port(made, 0, "127.0.0.1", 0);
  }
  if (error == 0) {
    error = test_wait_until_it_listens(made, port);
  }
  if (error == 0 && server != NULL) {
    *server = made;
  }
  return error;
}

void test_service_start(test_service_t *service, unsigned copies) {
  service->copies = copies;
  troupe_system_options_t options = {.io_threads = service->io_threads};
  assert_int_equal(troupe_system_new(&options, &service->system), 0);
  assert_int_equal(troupe_spawn(service->system,
                                &(troupe_spawn_options_t){.name = "echo",
                                                          .main = test_echo_actor,
                                                          .argument = service,
                                                          .copies = copies},
                                service->actors),
                   0);
}

void test_service_stop(test_service_t *service) {
  assert_int_equal(troupe_system_stop(service->system, GRACE_MS), 0);
  assert_int_equal(troupe_system_wait(service->system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL),
                   0);
  test_system_wait_until_empty(service->system);
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(service->system, &counters), 0);
  assert_int_equal(counters.actors, 0);
  assert_int_equal(counters.undecodable, 0);
  assert_int_equal(counters.unknown_kind, 0);
  assert_int_equal(counters.not_owner, 0);
  assert_int_equal(troupe_system_free(&service->system), 0);
}

static bool is_empty(void *system) {
  troupe_system_counters_t counters;
  return troupe_system_counters(system, &counters) == 0 && counters.sockets == 0 &&
         counters.servers == 0;
}

void test_system_wait_until_empty(troupe_system_t *system) {
  assert_true(trp_test_wait_until(is_empty, system, LIMIT_MS));
}

int test_service_connect(test_service_t *service) {
  int fd = service->path != NULL
               ? trp_test_connect_unix(service->path, strlen(service->path), LIMIT_MS)
               : trp_test_connect_tcp("127.0.0.1", atomic_load(&service->port), LIMIT_MS);
  assert_true(fd >= 0);
  return fd;
}

void test_service_echoes(int fd) {
  static const char sent[] = "does it come back?";
  char got[sizeof sent];
  assert_int_equal(trp_test_send(fd, sent, sizeof sent, LIMIT_MS), 0);
  assert_int_equal(trp_test_receive(fd, got, sizeof got, LIMIT_MS), sizeof got);
  assert_memory_equal(got, sent, sizeof sent);
}

typedef struct {
  troupe_system_t *system;
  uint64_t count;
} wanted_t;

static bool has_sockets(void *argument) {
  const wanted_t *wanted = argument;
  troupe_system_counters_t counters;
  return troupe_system_counters(wanted->system, &counters) == 0 &&
         counters.sockets == wanted->count;
}

void test_service_wait_for_sockets(test_service_t *service, uint64_t count) {
  wanted_t wanted = {.system = service->system, .count = count};
  assert_true(trp_test_wait_until(has_sockets, &wanted, LIMIT_MS));
}
