/* A close that does not destroy what the peer has not read yet. The peer is a plain socket of the
 * test, which writes while we close. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "tests/net/scene.h"

enum {
  /* More than the window of a peer that does not read, less than the kernel takes for it. */
  LAST_SIZE = 256 * 1024,
  LAST_SIZE_UNIX = 64 * 1024, /* here there is no window */
  LIMIT_MS = 20000,
  NEVER_MS = 1000000,
};

typedef struct {
  troupe_server_options_t options;
  const char *path;
  bool with_end; /* end() and then destroy(), and not destroySoon() */
  troupe_address_t address;
  troupe_server_t server;
  atomic_int closed;
  int wrong;
} service_t;

static void on_finished(troupe_socket_t socket, int error, void *context) {
  ((service_t *)context)->wrong |= error;
  troupe_socket_destroy(socket, 0);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static char bytes[LAST_SIZE];
  service_t *service = context;
  (void)server;
  memset(bytes, 'z', sizeof bytes);
  size_t size = service->path == NULL ? LAST_SIZE : LAST_SIZE_UNIX;
  service->wrong |= troupe_socket_write(socket, bytes, size, NULL, NULL) < 0;
  if (service->with_end) {
    service->wrong |= troupe_socket_end(socket, on_finished, service);
  } else {
    service->wrong |= troupe_socket_destroy_soon(socket);
  }
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  service_t *service = context;
  (void)socket;
  service->wrong |= had_error;
  atomic_store(&service->closed, 1);
}

static int serve(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_close = on_close};
  static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection};
  service_t *service = argument;
  troupe_server_options_t options = service->options;
  options.socket_handlers = &handlers;
  options.socket_context = service;
  int error = troupe_server_new(&options, &server_handlers, service, &service->server);
  if (error == 0) {
    error = troupe_server_listen(
        service->server, &(troupe_listen_options_t){.host = "127.0.0.1", .path = service->path});
  }
  if (error == 0) {
    error = troupe_server_listen_wait(service->server, LIMIT_MS * trp_test_slow());
  }
  if (error == 0) {
    error = troupe_server_address(service->server, &service->address);
  }
  return error != 0 ? error : troupe_actor_run();
}

static bool is_closed(void *argument) {
  return atomic_load(&((service_t *)argument)->closed) != 0;
}

static void start(service_t *service, troupe_system_t **system) {
  assert_int_equal(troupe_system_new(NULL, system), 0);
  troupe_spawn_options_t options = {.main = serve, .argument = service};
  assert_int_equal(troupe_spawn(*system, &options, NULL), 0);
}

static void stop(troupe_system_t **system) {
  assert_int_equal(troupe_system_stop(*system, 0), 0);
  assert_int_equal(troupe_system_wait(*system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(system), 0);
}

/* The peer writes, is closed upon, writes on, and reads only then. Returns what it read, or the
 * error instead. */
static int64_t read_the_last_bytes(service_t *service, int fd) {
  static char bytes[2 * LAST_SIZE];
  assert_int_equal(trp_test_send(fd, "unread", 6, LIMIT_MS), 0);
  assert_true(trp_test_wait_until(is_closed, service, LIMIT_MS));
  /* What provokes a reset of a socket that is closed; that it may meet one already is no error. */
  (void)trp_test_send(fd, "more", 4, LIMIT_MS);
  return trp_test_receive_to_end(fd, bytes, sizeof bytes, LIMIT_MS);
}

/* Returns what the peer got. */
static int64_t play_a_close(service_t *service) {
  troupe_system_t *system = NULL;
  start(service, &system);
  int fd = service->path == NULL
               ? trp_test_connect_tcp("127.0.0.1", service->address.port, LIMIT_MS)
               : trp_test_connect_unix(service->path, strlen(service->path), LIMIT_MS);
  assert_true(fd >= 0);
  int64_t got = read_the_last_bytes(service, fd);
  trp_test_close(fd);
  assert_int_equal(service->wrong, 0);
  stop(&system);
  return got;
}

/* parity: beyond.5 */
static void the_peer_gets_all_that_was_written_before_destroy_soon(void **state) {
  (void)state;
  service_t service = {.options = {.pause_on_connect = true, .linger_ms = NEVER_MS}};
  assert_int_equal(play_a_close(&service), LAST_SIZE);
}

static void the_peer_gets_all_that_was_written_before_end_and_destroy(void **state) {
  (void)state;
  service_t service = {.options = {.pause_on_connect = true, .linger_ms = NEVER_MS},
                       .with_end = true};
  assert_int_equal(play_a_close(&service), LAST_SIZE);
}

/* What all of this is for: if this ever fails, the kernel has become kinder. */
static void without_it_the_peer_loses_them(void **state) {
  (void)state;
  service_t service = {.options = {.pause_on_connect = true}};
  assert_int_not_equal(play_a_close(&service), LAST_SIZE);
}

static void it_works_over_unix_sockets(void **state) {
  (void)state;
  char path[512];
  snprintf(path, sizeof path, "%s/s", trp_test_folder());
  service_t service = {.options = {.pause_on_connect = true, .linger_ms = NEVER_MS}, .path = path};
  assert_int_equal(play_a_close(&service), LAST_SIZE_UNIX);
}

/* Whether the other end of a connection is there no more: the kernel has answered our bytes with a
 * reset. */
static bool is_reset(void *argument) {
  int fd = *(int *)argument;
  (void)send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  struct tcp_info info;
  socklen_t length = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_CLOSE;
}

static void a_peer_that_never_ends_is_left_after_the_time(void **state) {
  (void)state;
  service_t service = {.options = {.pause_on_connect = true, .linger_ms = 30}};
  troupe_system_t *system = NULL;
  start(&service, &system);
  int fd = trp_test_connect_tcp("127.0.0.1", service.address.port, LIMIT_MS);
  assert_true(fd >= 0);
  assert_true(trp_test_wait_until(is_closed, &service, LIMIT_MS));
  assert_true(trp_test_wait_until(is_reset, &fd, LIMIT_MS));
  trp_test_close(fd);
  stop(&system);
}

static void a_system_does_not_wait_for_those_that_linger(void **state) {
  (void)state;
  service_t service = {.options = {.pause_on_connect = true, .linger_ms = NEVER_MS}};
  troupe_system_t *system = NULL;
  start(&service, &system);
  int fd = trp_test_connect_tcp("127.0.0.1", service.address.port, LIMIT_MS);
  assert_true(fd >= 0);
  assert_true(trp_test_wait_until(is_closed, &service, LIMIT_MS));
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(system, &counters), 0);
  assert_int_equal(counters.sockets, 0); /* it counts nowhere any more */
  stop(&system);
  assert_true(trp_test_wait_until(is_reset, &fd, LIMIT_MS));
  trp_test_close(fd);
}

// ---- Setting ----

static void set_it(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result |= troupe_socket_set_linger(side->socket, 1000);
    side->result |= troupe_socket_set_linger(side->socket, (unsigned)INT32_MAX + 1) !=
                    TROUPE_ERR_OUT_OF_RANGE;
    side->result |= troupe_socket_write(side->socket, "bye", 3, NULL, NULL) < 0;
    side->result |= troupe_socket_destroy_soon(side->socket);
  }
}

static void it_can_be_set_on_an_open_socket(void **state) {
  (void)state;
  scene_t scene = {.client.hook = set_it};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready close ");
  assert_log(scene.accepted, "data end close ");
  assert_string_equal(scene.accepted.last, "bye");
}

static int refuse(void *argument) {
  int *wrong = argument;
  troupe_socket_t socket;
  troupe_server_t server;
  const unsigned too_long = (unsigned)INT32_MAX + 1;
  *wrong |= troupe_socket_new(&(troupe_socket_options_t){.linger_ms = too_long}, NULL, NULL,
                              &socket) != TROUPE_ERR_OUT_OF_RANGE;
  *wrong |= troupe_server_new(&(troupe_server_options_t){.linger_ms = too_long}, NULL, NULL,
                              &server) != TROUPE_ERR_OUT_OF_RANGE;
  *wrong |= troupe_socket_set_linger((troupe_socket_t){0}, 1) != TROUPE_ESTALE;
  return 0;
}

static void a_time_that_is_too_long_is_refused(void **state) {
  (void)state;
  int wrong = 0;
  run_actor(refuse, &wrong);
  assert_int_equal(wrong, 0);
  assert_int_equal(troupe_socket_set_linger((troupe_socket_t){1}, 1), TROUPE_EWRONGTHREAD);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(the_peer_gets_all_that_was_written_before_destroy_soon),
      trp_test(the_peer_gets_all_that_was_written_before_end_and_destroy),
      trp_test(without_it_the_peer_loses_them),
      trp_test(it_works_over_unix_sockets),
      trp_test(a_peer_that_never_ends_is_left_after_the_time),
      trp_test(a_system_does_not_wait_for_those_that_linger),
      trp_test(it_can_be_set_on_an_open_socket),
      trp_test(a_time_that_is_too_long_is_refused),
  };
  return TRP_RUN_TESTS("linger", tests);
}
