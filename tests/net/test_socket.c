/* Sockets over real connections: the order of events, and every way to end. */
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/socket.h"
#include "tests/net/scene.h"

// ---- Clean ends ----

static void say_hello_and_end(side_t *side, const char *event) {
  if (is(event, "connect")) {
    troupe_socket_write(side->socket, "hello", 5, scene_on_written, side);
    troupe_socket_end(side->socket, scene_on_finished, side);
    side->result = (int)troupe_socket_ready_state(side->socket);
  }
}

static void a_client_that_ends_first_is_told_everything_in_order(void **state) {
  (void)state;
  scene_t scene = {.client.hook = say_hello_and_end};
  play(&scene);
  assert_log(scene.client, "attempt connect ready written finished end close ");
  assert_log(scene.accepted, "data end close ");
  assert_log(scene.server_side, "listening connection close ");
  assert_string_equal(scene.accepted.last, "hello");
  assert_int_equal(scene.client.result, TROUPE_READ_ONLY);
}

static void write_inside_end(side_t *side, const char *event) {
  if (is(event, "end")) {
    side->result = troupe_socket_write(side->socket, "bye", 3, NULL, NULL);
  }
}

static void inside_on_end_this_side_can_still_write(void **state) {
  (void)state;
  scene_t scene = {.client.hook = say_hello_and_end, .accepted.hook = write_inside_end};
  play(&scene);
  assert_int_equal(scene.accepted.result, 1);
  assert_log(scene.accepted, "data end close ");
  assert_string_equal(scene.client.last, "bye");
}

static void answer_later(troupe_timer_t timer, void *context) {
  (void)timer;
  side_t *side = context;
  side->result = (int)troupe_socket_ready_state(side->socket);
  troupe_socket_end_with(side->socket, "late", 4, scene_on_finished, side);
}

static void wait_after_end(side_t *side, const char *event) {
  if (is(event, "end")) {
    troupe_timer_start(NULL, 20, 0, answer_later, side);
  }
}

static void a_half_open_socket_writes_after_the_peers_end(void **state) {
  (void)state;
  scene_t scene = {.server_options.allow_half_open = true,
                   .client.hook = say_hello_and_end,
                   .accepted.hook = wait_after_end};
  play(&scene);
  assert_log(scene.accepted, "data end finished close ");
  assert_int_equal(scene.accepted.result, TROUPE_WRITE_ONLY);
  assert_string_equal(scene.client.last, "late");
}

static void write_before_connected(side_t *side, const char *event) {
  (void)event;
  troupe_connect(&side->scene->connect_options, NULL, &scene_handlers, side, &side->socket);
  side->result = troupe_socket_write(side->socket, "early ", 6, scene_on_written, side);
  troupe_socket_write(side->socket, "bird", 4, scene_on_written, side);
  troupe_socket_end(side->socket, scene_on_finished, side);
  side->step = (int)troupe_socket_bytes_written(side->socket);
}

static void writes_and_an_end_wait_for_the_connection(void **state) {
  (void)state;
  scene_t scene = {.start = write_before_connected};
  play(&scene);
  assert_log(scene.client, "attempt connect ready written written finished end close ");
  assert_string_equal(scene.accepted.last, "early bird");
  assert_int_equal(scene.client.result, 1);
  assert_int_equal(scene.client.step, 10);
}

// ---- Destroying ----

static void destroy_on_connect(side_t *side, const char *event) {
  if (is(event, "connect")) {
    troupe_socket_write(side->socket, "x", 1, scene_on_written, side);
    troupe_socket_destroy(side->socket, 0);
    troupe_socket_destroy(side->socket, TROUPE_EIO); // too late to count
    side->result = troupe_socket_write(side->socket, "y", 1, NULL, NULL);
  }
}

static void a_socket_destroyed_on_connect_is_ready_and_closes(void **state) {
  (void)state;
  scene_t scene = {.client.hook = destroy_on_connect};
  play(&scene);
  assert_log(scene.client, "attempt connect ready ERR_STREAM_DESTROYED:written close ");
  assert_int_equal(scene.client.result, TROUPE_ERR_STREAM_DESTROYED);
}

static void destroy_at_once(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_connect(&side->scene->connect_options, NULL, &scene_handlers, side, &side->socket);
    troupe_socket_write(side->socket, "a", 1, scene_on_written, side);
    troupe_socket_write(side->socket, "b", 1, scene_on_written, side);
    troupe_socket_destroy(side->socket, 0);
    side->result = troupe_socket_destroyed(side->socket) && troupe_socket_pending(side->socket) &&
                   !troupe_socket_connecting(side->socket);
  } else if (is(event, "close")) {
    troupe_server_close(side->scene->server);
  }
}

static void a_socket_destroyed_while_connecting_closes_without_error(void **state) {
  (void)state;
  scene_t scene = {.start = destroy_at_once, .client.hook = destroy_at_once};
  play(&scene);
  assert_log(scene.client, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written "
                           "ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written close ");
  assert_true(scene.client.result);
}

static void destroy_with_error(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_end(side->socket, scene_on_finished, side);
    troupe_socket_destroy(side->socket, TROUPE_EIO);
  }
}

static void an_error_given_to_destroy_is_told_once_before_the_close(void **state) {
  (void)state;
  scene_t scene = {.client.hook = destroy_with_error};
  play(&scene);
  assert_log(scene.client, "attempt connect ready EIO:finished EIO:error close! ");
}

static void destroy_on_data(side_t *side, const char *event) {
  if (is(event, "data")) {
    troupe_socket_destroy(side->socket, 0);
  } else if (is(event, "ready") || is(event, "accepted")) {
    static char much[300000];
    troupe_socket_write(side->socket, much, sizeof much, NULL, NULL);
  }
}

static void nothing_but_the_close_follows_a_destroy_in_on_data(void **state) {
  (void)state;
  scene_t scene = {.client.hook = destroy_on_data, .accepted.hook = destroy_on_data};
  play(&scene);
  assert_true(strstr(scene.client.log, "close") != NULL);
  assert_int_equal(scene.client.closes, 1);
  assert_int_equal(scene.accepted.closes, 1);
}

static void write_and_destroy_soon(side_t *side, const char *event) {
  static char much[2000000];
  if (is(event, "ready")) {
    troupe_socket_write(side->socket, much, sizeof much, scene_on_written, side);
    troupe_socket_destroy_soon(side->socket);
  }
}

static void half_open_never_ends(side_t *side, const char *event) {
  if (is(event, "end")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void destroy_soon_delivers_what_was_written(void **state) {
  (void)state;
  scene_t scene = {.server_options.allow_half_open = true,
                   .client.hook = write_and_destroy_soon,
                   .accepted.hook = half_open_never_ends};
  play(&scene);
  assert_log(scene.client, "attempt connect ready written close ");
  assert_int_equal(scene.accepted.received, 2000000);
}

static void reset_on_ready(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result = troupe_socket_reset_and_destroy(side->socket);
  }
}

static void a_reset_is_an_error_to_the_peer_alone(void **state) {
  (void)state;
  scene_t scene = {.client.hook = reset_on_ready};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready close ");
  assert_log(scene.accepted, "ECONNRESET:error close! ");
  assert_string_equal(scene.accepted.last, "read ECONNRESET");
}

static void reset_at_once(side_t *side, const char *event) {
  (void)event;
  troupe_connect(&side->scene->connect_options, NULL, &scene_handlers, side, &side->socket);
  side->result = troupe_socket_reset_and_destroy(side->socket);
  side->step = troupe_socket_write(side->socket, "x", 1, NULL, NULL);
}

static void a_reset_while_connecting_waits_for_the_connection(void **state) {
  (void)state;
  scene_t scene = {.start = reset_at_once};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, TROUPE_ERR_STREAM_DESTROYED);
  assert_log(scene.client, "attempt connect ready close ");
  assert_log(scene.accepted, "ECONNRESET:error close! ");
}

static void free_in_close(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_free(side->socket);
    side->result = troupe_socket_destroyed(side->socket);
  } else if (is(event, "close")) {
    side->step = troupe_socket_free(side->socket);
    side->step += troupe_socket_free(side->socket) == TROUPE_ESTALE ? 100 : 0;
  }
}

static void connect_in_close(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_free(side->socket);
    side->step = troupe_socket_connect(side->socket, &side->scene->connect_options);
  } else if (is(event, "close")) {
    side->result = troupe_socket_connect(side->socket, &side->scene->connect_options);
  }
}

// Otherwise a client that connects again in each on_close could never be freed.
static void a_freed_socket_is_not_connected_again(void **state) {
  (void)state;
  scene_t scene = {.client.hook = connect_in_close};
  play(&scene);
  assert_log(scene.client, "attempt connect ready close ");
  assert_int_equal(scene.client.step, TROUPE_ESTALE);
  assert_int_equal(scene.client.result, TROUPE_ESTALE);
}

static void an_open_socket_that_is_freed_closes_first(void **state) {
  (void)state;
  scene_t scene = {.client.hook = free_in_close};
  play(&scene);
  assert_log(scene.client, "attempt connect ready close ");
  assert_true(scene.client.result);
  assert_int_equal(scene.client.step, 100);
}

// ---- Failing to connect ----

static void a_refused_connect_says_what_node_says(void **state) {
  (void)state;
  int port = 0;
  int fd = trp_test_reserve_tcp("127.0.0.1", &port);
  assert_true(fd >= 0);
  scene_t scene = {.without_server = true, .connect_options = {.host = "127.0.0.1", .port = port}};
  play(&scene);
  trp_test_close(fd);
  assert_log(scene.client, "attempt failed ECONNREFUSED:error close! ");
  char expected[64];
  snprintf(expected, sizeof expected, "connect ECONNREFUSED 127.0.0.1:%d", port);
  assert_string_equal(scene.client.last, expected);
}

static void a_path_that_is_not_there_is_enoent(void **state) {
  (void)state;
  scene_t scene = {.without_server = true, .connect_options = {.path = "/nowhere/at/all"}};
  play(&scene);
  assert_log(scene.client, "attempt failed ENOENT:error close! ");
  assert_string_equal(scene.client.last, "connect ENOENT /nowhere/at/all");
}

static void bad_arguments_are_returned_and_nothing_follows(side_t *side, const char *event) {
  (void)event;
  static const struct {
    troupe_connect_options_t options;
    int error;
  } cases[] = {
      {{.port = 65536}, TROUPE_ERR_SOCKET_BAD_PORT},
      {{.port = -1}, TROUPE_ERR_SOCKET_BAD_PORT},
      {{.port = 1, .local_port = 70000}, TROUPE_ERR_SOCKET_BAD_PORT},
      {{.port = 1, .local_address = "foo"}, TROUPE_ERR_INVALID_IP_ADDRESS},
      {{.port = 1, .host = "name", .family = 5}, TROUPE_ERR_INVALID_ARG_VALUE},
      {{.port = 1, .host = "name", .hints = 1}, TROUPE_ERR_INVALID_ARG_VALUE},
      {{.path = "a\0b", .path_length = 3}, TROUPE_ERR_INVALID_ARG_VALUE},
      {{.port = 1, .auto_select_family_attempt_timeout_ms = 0x80000000U}, TROUPE_ERR_OUT_OF_RANGE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int error = troupe_connect(&cases[i].options, NULL, &scene_handlers, side, NULL);
    side->result += error == cases[i].error ? 0 : 1;
  }
  char path[200];
  memset(path, 'p', sizeof path);
  troupe_connect_options_t options = {.path = path, .path_length = sizeof path};
  side->result += troupe_connect(&options, NULL, NULL, NULL, NULL) != TROUPE_ENAMETOOLONG;
  side->result += troupe_connect(NULL, NULL, NULL, NULL, NULL) != TROUPE_ERR_MISSING_ARGS;
  side->result += troupe_connect_path(NULL, NULL, NULL, NULL) != TROUPE_ERR_MISSING_ARGS;
  troupe_socket_t socket;
  side->result += troupe_socket_adopt(-1, TROUPE_READABLE, NULL, NULL, NULL, &socket) !=
                  TROUPE_ERR_OUT_OF_RANGE;
  side->result += troupe_socket_adopt(0, 4, NULL, NULL, NULL, &socket) != TROUPE_EINVAL;
  side->result += troupe_socket_new(NULL, NULL, NULL, NULL) != TROUPE_EINVAL;
  troupe_onread_t onread = {0};
  side->result += troupe_socket_new(&(troupe_socket_options_t){.onread = &onread}, NULL, NULL,
                                    &socket) != TROUPE_EINVAL;
}

static void bad_arguments_are_refused_at_once(void **state) {
  (void)state;
  scene_t scene = {.without_server = true, .start = bad_arguments_are_returned_and_nothing_follows};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "");
}

// ---- Standalone sockets ----

static void connect_again(side_t *side, const char *event) {
  if (is(event, "start")) {
    side->result += troupe_socket_new(NULL, &scene_handlers, side, &side->socket);
    side->result += troupe_socket_ready_state(side->socket) != TROUPE_OPEN;
    side->result += !troupe_socket_pending(side->socket);
    side->result += troupe_socket_write(side->socket, "x", 1, NULL, NULL) !=
                    TROUPE_ERR_SOCKET_CLOSED;
    troupe_address_t address;
    side->result += troupe_socket_local_address(side->socket, &address) != TROUPE_ENOTCONN;
    side->result += troupe_socket_connect(side->socket, &side->scene->connect_options);
    side->result += troupe_socket_ready_state(side->socket) != TROUPE_OPENING;
    side->result += troupe_socket_connect(side->socket, &side->scene->connect_options) !=
                    TROUPE_EALREADY;
  } else if (is(event, "ready")) {
    side->result += troupe_socket_connect(side->socket, &side->scene->connect_options) !=
                    TROUPE_EISCONN;
    troupe_socket_end_with(side->socket, "again", 5, NULL, NULL);
    side->result += troupe_socket_bytes_written(side->socket) != 5;
  } else if (is(event, "close")) {
    side->closes = 0;
    if (++side->step < 3) {
      side->result += troupe_socket_connect(side->socket, &side->scene->connect_options);
      side->result += troupe_socket_bytes_written(side->socket) != 0;
    } else {
      troupe_server_close(side->scene->server);
    }
  }
}

static void a_closed_socket_connects_again_inside_on_close(void **state) {
  (void)state;
  scene_t scene = {.start = connect_again, .client.hook = connect_again};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, 3);
  assert_log(scene.client, "attempt connect ready end close attempt connect ready end close "
                           "attempt connect ready end close ");
  assert_int_equal(scene.accepted.received, 15);
}

static void destroy_idle(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_socket_new(NULL, &scene_handlers, side, &side->socket);
    troupe_socket_end(side->socket, scene_on_finished, side);
    side->result = troupe_socket_destroy(side->socket, 0);
    scene_note(side, "(returned) ");
  } else if (is(event, "close")) {
    side->step += troupe_socket_destroy(side->socket, TROUPE_EIO);
    side->step += troupe_socket_end(side->socket, NULL, NULL);
    side->step += troupe_socket_end(side->socket, scene_on_finished, side) !=
                  TROUPE_ERR_STREAM_DESTROYED;
  }
}

static void an_idle_socket_that_is_destroyed_closes_after_the_call(void **state) {
  (void)state;
  scene_t scene = {.without_server = true, .start = destroy_idle, .client.hook = destroy_idle};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, 0);
  assert_log(scene.client, "(returned) ERR_STREAM_DESTROYED:finished close ");
}

static void reset_idle(side_t *side, const char *event) {
  (void)event;
  troupe_socket_new(NULL, &scene_handlers, side, &side->socket);
  troupe_socket_reset_and_destroy(side->socket);
}

static void an_idle_socket_that_is_reset_is_closed_with_an_error(void **state) {
  (void)state;
  scene_t scene = {.without_server = true, .start = reset_idle};
  play(&scene);
  assert_log(scene.client, "ERR_SOCKET_CLOSED:error close! ");
  assert_string_equal(scene.client.last, "Socket is closed");
}

static void end_idle_then_connect(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_socket_new(NULL, &scene_handlers, side, &side->socket);
    troupe_socket_end(side->socket, scene_on_finished, side);
    side->result = (int)troupe_socket_ready_state(side->socket);
    troupe_socket_connect(side->socket, &side->scene->connect_options);
  }
}

static void an_idle_socket_that_has_ended_sends_fin_once_connected(void **state) {
  (void)state;
  scene_t scene = {.start = end_idle_then_connect};
  play(&scene);
  assert_int_equal(scene.client.result, TROUPE_READ_ONLY);
  assert_log(scene.client, "attempt connect ready finished end close ");
}

static troupe_timer_t holds; // the actor, which an idle socket does not

static void never_connects(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_socket_new(&(troupe_socket_options_t){.timeout_ms = 10}, &scene_handlers, side,
                      &side->socket);
    troupe_timer_start(&holds, 3600 * 1000, 0, answer_later, side);
  } else if (is(event, "timeout")) {
    troupe_timer_stop(holds);
    troupe_timer_start(NULL, 60, 0, answer_later, side); // time in which it could come again
  }
}

static void a_timeout_fires_once_without_a_connection(void **state) {
  (void)state;
  scene_t scene = {.without_server = true, .start = never_connects, .client.hook = never_connects};
  play(&scene);
  assert_log(scene.client, "timeout ");
}

// ---- Handles ----

static int misuse(void *argument) {
  int *wrong = argument;
  troupe_socket_t nobody = {.id = 0};
  troupe_socket_t foreign = {.id = UINT64_C(1) << 58 | UINT64_C(1000000) << 36 | 1};
  troupe_address_t address;
  *wrong += troupe_socket_write(nobody, "x", 1, NULL, NULL) != TROUPE_ESTALE;
  *wrong += troupe_socket_write(foreign, "x", 1, NULL, NULL) != TROUPE_EWRONGTHREAD;
  *wrong += troupe_socket_end(nobody, NULL, NULL) != TROUPE_ESTALE;
  *wrong += troupe_socket_destroy(foreign, 0) != TROUPE_EWRONGTHREAD;
  *wrong += troupe_socket_remote_address(nobody, &address) != TROUPE_ESTALE;
  *wrong += !troupe_socket_destroyed(nobody);
  *wrong += troupe_socket_ready_state(nobody) != TROUPE_CLOSED;
  *wrong += troupe_socket_context(nobody) != NULL;
  troupe_socket_t socket;
  *wrong += troupe_socket_new(NULL, NULL, wrong, &socket);
  *wrong += troupe_socket_context(socket) != wrong;
  *wrong += troupe_socket_free(socket);
  *wrong += troupe_socket_free(socket) != TROUPE_ESTALE;
  troupe_server_t server;
  *wrong += troupe_server_new(NULL, NULL, NULL, &server);
  *wrong += troupe_socket_destroy((troupe_socket_t){.id = server.id}, 0) != TROUPE_ESTALE;
  return 0;
}

static void wrong_handles_are_error_values(void **state) {
  (void)state;
  int wrong = 0;
  run_actor(misuse, &wrong);
  assert_int_equal(wrong, 0);
}

static void a_thread_that_is_no_actor_has_no_sockets(void **state) {
  (void)state;
  troupe_socket_t socket = {.id = 1};
  assert_int_equal(troupe_socket_new(NULL, NULL, NULL, &socket), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_socket_write(socket, "x", 1, NULL, NULL), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_connect_port(1, NULL, NULL, NULL, NULL), TROUPE_EWRONGTHREAD);
}

// ---- Addresses, options, descriptors ----

static void look_at_addresses(side_t *side, const char *event) {
  if (!is(event, "ready") && !is(event, "accepted")) {
    return;
  }
  troupe_address_t local, remote;
  side->result += troupe_socket_local_address(side->socket, &local);
  side->result += troupe_socket_remote_address(side->socket, &remote);
  const troupe_address_t *server = &side->scene->address;
  side->result += !troupe_address_equal(is(event, "ready") ? &remote : &local, server);
  side->step = is(event, "ready") ? local.port : remote.port;
  side->result += is(event, "ready") != (troupe_socket_server(side->socket).id == 0);
  side->result += troupe_socket_set_no_delay(side->socket, true);
  side->result += troupe_socket_set_keep_alive(side->socket, true, 5000);
  side->result += troupe_socket_set_timeout(side->socket, 100000);
  side->result += troupe_socket_timeout(side->socket) != 100000;
  side->result += troupe_socket_set_timeout(side->socket, 0x80000000U) != TROUPE_ERR_OUT_OF_RANGE;
  if (is(event, "ready")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void both_ends_know_their_addresses(void **state) {
  (void)state;
  scene_t scene = {.client.hook = look_at_addresses, .accepted.hook = look_at_addresses};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.accepted.result, 0);
  assert_int_equal(scene.client.step, scene.accepted.step);
}

static void idle_for_a_while(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_set_timeout(side->socket, 20);
  } else if (is(event, "timeout")) {
    side->result = (int)troupe_socket_ready_state(side->socket);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void a_timeout_leaves_the_connection_alone(void **state) {
  (void)state;
  scene_t scene = {.client.hook = idle_for_a_while};
  play(&scene);
  assert_log(scene.client, "attempt connect ready timeout end close ");
  assert_int_equal(scene.client.result, TROUPE_OPEN);
}

static int pair[2];

static void adopt_a_pair(side_t *side, const char *event) {
  if (is(event, "start")) {
    side->result += troupe_socket_adopt(pair[0], TROUPE_READABLE | TROUPE_WRITABLE, NULL,
                                        &scene_handlers, side, &side->socket);
    side->result += troupe_socket_ready_state(side->socket) != TROUPE_OPEN;
    side->result += troupe_socket_pending(side->socket);
    side->result += troupe_socket_reset_and_destroy(side->socket) != TROUPE_ERR_INVALID_HANDLE_TYPE;
    troupe_socket_write(side->socket, "adopted", 7, scene_on_written, side);
    side_t *other = &side->scene->accepted;
    side->result += troupe_socket_adopt(pair[1], TROUPE_READABLE | TROUPE_WRITABLE, NULL,
                                        &scene_handlers, other, &other->socket);
  } else if (is(event, "written")) {
    side->result += troupe_socket_reset_and_destroy(side->socket) != TROUPE_ERR_INVALID_HANDLE_TYPE;
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void descriptors_are_open_at_once(void **state) {
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  scene_t scene = {.without_server = true, .start = adopt_a_pair, .client.hook = adopt_a_pair};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "written end close ");
  assert_log(scene.accepted, "data end close ");
  assert_string_equal(scene.accepted.last, "adopted");
}

static void adopt_a_file(side_t *side, const char *event) {
  (void)event;
  side->result = troupe_socket_adopt(pair[0], TROUPE_READABLE | TROUPE_WRITABLE, NULL,
                                     &scene_handlers, side, &side->socket);
}

static void what_is_no_stream_is_refused_and_stays_the_callers(void **state) {
  (void)state;
  FILE *file = tmpfile();
  assert_non_null(file);
  const int fds[] = {fileno(file), open("/dev/null", O_RDWR | O_CLOEXEC),
                     socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), INT_MAX};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    pair[0] = fds[i];
    scene_t scene = {.without_server = true, .start = adopt_a_file};
    play(&scene);
    assert_int_equal(scene.client.result, TROUPE_ERR_INVALID_FD_TYPE);
    assert_log(scene.client, "");
  }
  assert_int_equal(close(fds[1]), 0);
  assert_int_equal(close(fds[2]), 0);
  fclose(file);
}

static void a_socket_without_a_peer_fails_as_an_event(void **state) {
  (void)state;
  pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  scene_t scene = {.without_server = true, .start = adopt_a_file};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "ENOTCONN:error close! ");
}

static void unref_it(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_unref(side->socket);
    troupe_socket_unref(side->scene->accepted.socket);
    troupe_server_unref(side->scene->server);
  }
}

static void an_actor_ends_although_an_unrefd_socket_is_open(void **state) {
  (void)state;
  scene_t scene = {.client.hook = unref_it};
  // The accepted one is known by then: its connection is told before the data that it waits for.
  play(&scene);
  assert_int_equal(scene.client.closes, 0);
}

static void an_idle_socket_is_small(void **state) {
  (void)state;
  assert_true(sizeof(trp_socket_t) <= 400);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_client_that_ends_first_is_told_everything_in_order),
      trp_test(inside_on_end_this_side_can_still_write),
      trp_test(a_half_open_socket_writes_after_the_peers_end),
      trp_test(writes_and_an_end_wait_for_the_connection),
      trp_test(a_socket_destroyed_on_connect_is_ready_and_closes),
      trp_test(a_socket_destroyed_while_connecting_closes_without_error),
      trp_test(an_error_given_to_destroy_is_told_once_before_the_close),
      trp_test(nothing_but_the_close_follows_a_destroy_in_on_data),
      trp_test(destroy_soon_delivers_what_was_written),
      trp_test(a_reset_is_an_error_to_the_peer_alone),
      trp_test(a_reset_while_connecting_waits_for_the_connection),
      trp_test(an_open_socket_that_is_freed_closes_first),
      trp_test(a_freed_socket_is_not_connected_again),
      trp_test(a_refused_connect_says_what_node_says),
      trp_test(a_path_that_is_not_there_is_enoent),
      trp_test(bad_arguments_are_refused_at_once),
      trp_test(a_closed_socket_connects_again_inside_on_close),
      trp_test(an_idle_socket_that_is_destroyed_closes_after_the_call),
      trp_test(an_idle_socket_that_is_reset_is_closed_with_an_error),
      trp_test(an_idle_socket_that_has_ended_sends_fin_once_connected),
      trp_test(a_timeout_fires_once_without_a_connection),
      trp_test(wrong_handles_are_error_values),
      trp_test(a_thread_that_is_no_actor_has_no_sockets),
      trp_test(both_ends_know_their_addresses),
      trp_test(a_timeout_leaves_the_connection_alone),
      trp_test(descriptors_are_open_at_once),
      trp_test(what_is_no_stream_is_refused_and_stays_the_callers),
      trp_test(a_socket_without_a_peer_fails_as_an_event),
      trp_test(an_actor_ends_although_an_unrefd_socket_is_open),
      trp_test(an_idle_socket_is_small),
  };
  return TRP_RUN_TESTS("socket", tests);
}
