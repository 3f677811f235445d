/* Servers on real sockets: listening, closing, limits, paths, and every call in every state. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/net/scene.h"

enum { WAIT_MS = 10000 };

static void end_on_ready(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

/* What a test's actor is given: a server that writes down what it is told, in scene.server_side. */
static int new_server(scene_t *scene, troupe_server_t *server) {
  scene->server_side.scene = scene->client.scene = scene->accepted.scene = scene;
  return troupe_server_new(&scene->server_options, &scene_server_handlers, scene, server);
}

#define CHECK(condition) (scene->server_side.result += (condition) ? 0 : 1)

// ---- Calls in states ----

static int life(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  troupe_address_t address;
  CHECK(new_server(scene, &server) == 0);
  CHECK(troupe_server_context(server) == scene);
  CHECK(!troupe_server_listening(server));
  CHECK(troupe_server_address(server, &address) == TROUPE_ENOTCONN);
  CHECK(troupe_server_close(server) == TROUPE_ERR_SERVER_NOT_RUNNING);
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) ==
        TROUPE_ERR_SERVER_NOT_RUNNING);
  CHECK(troupe_server_listen_port(server, 65536, NULL, 0) == TROUPE_ERR_SOCKET_BAD_PORT);
  CHECK(troupe_server_listen_port(server, -1, NULL, 0) == TROUPE_ERR_SOCKET_BAD_PORT);
  CHECK(troupe_server_listen_path(server, NULL, 0) == TROUPE_ERR_INVALID_ARG_VALUE);
  CHECK(troupe_server_listen_path(server, "", 0) == TROUPE_ERR_INVALID_ARG_VALUE);
  CHECK(troupe_server_listen(server, &(troupe_listen_options_t){.use_fd = true, .fd = -1}) ==
        TROUPE_ERR_INVALID_ARG_VALUE);
  CHECK(troupe_server_get_connections(server, NULL, NULL) == TROUPE_EINVAL);
  CHECK(troupe_server_listen(server, NULL) == 0);
  CHECK(troupe_server_listen(server, NULL) == TROUPE_ERR_SERVER_ALREADY_LISTEN);
  CHECK(!troupe_server_listening(server));
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) == 0);
  CHECK(troupe_server_listening(server));
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) == 0);
  CHECK(troupe_server_listen(server, NULL) == TROUPE_ERR_SERVER_ALREADY_LISTEN);
  CHECK(troupe_server_address(server, &address) == 0);
  CHECK(address.port != 0);
  CHECK(troupe_server_close(server) == 0);
  CHECK(troupe_server_close(server) == TROUPE_ERR_SERVER_NOT_RUNNING);
  CHECK(troupe_server_address(server, &address) == TROUPE_ENOTCONN);
  CHECK(!troupe_server_listening(server));
  int result = troupe_actor_run();
  CHECK(troupe_server_free(server) == 0);
  CHECK(troupe_server_free(server) == TROUPE_ESTALE);
  CHECK(troupe_server_listen(server, NULL) == TROUPE_ESTALE);
  return result;
}

static void each_call_knows_its_states(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(life, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_log(scene.server_side, "listening close ");
}

static void a_thread_that_is_no_actor_has_no_servers(void **state) {
  (void)state;
  troupe_server_t server = {.id = 1};
  assert_int_equal(troupe_server_new(NULL, NULL, NULL, &server), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_server_listen(server, NULL), TROUPE_EWRONGTHREAD);
  assert_false(troupe_server_listening(server));
}

static int closed_at_once(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  CHECK(new_server(scene, &server) == 0);
  CHECK(troupe_server_listen_port(server, 0, "127.0.0.1", 0) == 0);
  CHECK(troupe_server_close(server) == 0);
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) ==
        TROUPE_ERR_SERVER_NOT_RUNNING);
  return troupe_actor_run();
}

static void closed_before_it_listens_it_only_closes(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(closed_at_once, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_log(scene.server_side, "close ");
}

static int again_at_once(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  CHECK(new_server(scene, &server) == 0);
  for (int i = 0; i < 5; i++) {
    CHECK(troupe_server_listen_port(server, 0, "127.0.0.1", 0) == 0);
    if (i < 4) {
      CHECK(troupe_server_close(server) == 0);
    }
  }
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) == 0);
  CHECK(troupe_server_close(server) == 0);
  return troupe_actor_run();
}

/* As in Node: 'close' is not told while it listens again. */
static void it_listens_again_right_after_a_close(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(again_at_once, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_log(scene.server_side, "listening close ");
}

static void relisten(side_t *side, const char *event) {
  scene_t *scene = side->scene;
  if (is(event, "ready")) {
    // The first connection is open all the while.
    CHECK(troupe_server_close(scene->server) == 0);
    CHECK(troupe_server_listen_port(scene->server, 0, "127.0.0.1", 0) == 0);
    CHECK(troupe_server_listen_wait(scene->server, WAIT_MS * trp_test_slow()) == 0);
    troupe_address_t address;
    CHECK(troupe_server_address(scene->server, &address) == 0);
    CHECK(address.port != scene->address.port);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void it_listens_again_while_earlier_connections_are_open(void **state) {
  (void)state;
  scene_t scene = {.client.hook = relisten};
  play(&scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_log(scene.client, "attempt connect ready end close ");
  assert_int_equal(strncmp(scene.server_side.log, "listening ", 10), 0);
  assert_true(strstr(scene.server_side.log, "close ") ==
              scene.server_side.log + strlen(scene.server_side.log) - 6);
}

// ---- Failing to listen ----

static int taken(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  CHECK(new_server(scene, &server) == 0);
  CHECK(troupe_server_listen_port(server, scene->connect_options.port, "127.0.0.1", 0) == 0);
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) == TROUPE_EADDRINUSE);
  CHECK(!troupe_server_listening(server));
  CHECK(troupe_server_listen_port(server, 0, "127.0.0.1", 0) == 0);
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) == 0);
  CHECK(troupe_server_close(server) == 0);
  return troupe_actor_run();
}

static void an_address_that_is_taken_is_an_error_and_then_another_may_be_tried(void **state) {
  (void)state;
  int port = 0;
  int fd = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(fd >= 0);
  scene_t scene = {.connect_options.port = port};
  play_main(taken, &scene);
  trp_test_close(fd);
  assert_int_equal(scene.server_side.result, 0);
  assert_log(scene.server_side, "EADDRINUSE:error listening close ");
  char expected[80];
  snprintf(expected, sizeof expected, "listen EADDRINUSE: address already in use 127.0.0.1:%d",
           port);
  assert_string_equal(scene.server_side.last, expected);
}

static int listen_at_path(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  CHECK(new_server(scene, &server) == 0);
  CHECK(troupe_server_listen(server, &scene->listen_options) == 0);
  (void)troupe_server_listen_wait(server, WAIT_MS * trp_test_slow());
  return troupe_actor_run();
}

static int reuse_in_vain(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  troupe_address_t address;
  CHECK(new_server(scene, &server) == 0);
  CHECK(troupe_address_path(&address, "/tmp/x", 6) == 0);
  const troupe_listen_options_t wrong[] = {
      {.reuse_port = true, .path = "/tmp/x"},
      {.reuse_port = true, .address = &address},
      {.reuse_port = true, .use_fd = true, .fd = 0},
      {.reuse_port = true, .share_with = server},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK(troupe_server_listen(server, &wrong[i]) == TROUPE_ERR_INVALID_ARG_VALUE);
  }
  CHECK(troupe_server_free(server) == 0);
  return 0;
}

static void a_port_is_reused_where_there_is_one(void **state) {
  (void)state;
  scene_t scene = {0};
  run_actor(reuse_in_vain, &scene);
}

static void a_path_in_a_folder_that_is_not_there_is_eacces(void **state) {
  (void)state;
  scene_t scene = {.listen_options.path = "/nowhere/at/all"};
  play_main(listen_at_path, &scene);
  assert_log(scene.server_side, "EACCES:error ");
  assert_string_equal(scene.server_side.last, "listen EACCES: permission denied /nowhere/at/all");
}

static void an_address_of_nobody_cannot_be_listened_on(void **state) {
  (void)state;
  scene_t scene = {.listen_options.host = "203.0.113.1"};
  play_main(listen_at_path, &scene);
  assert_log(scene.server_side, "EADDRNOTAVAIL:error ");
  assert_string_equal(scene.server_side.last,
                      "listen EADDRNOTAVAIL: address not available 203.0.113.1");
}

// ---- Paths ----

static void a_path_is_served_and_removed(void **state) {
  (void)state;
  char path[200];
  snprintf(path, sizeof path, "%s/socket", trp_test_folder());
  scene_t scene = {.listen_options = {.path = path}, .client.hook = end_on_ready};
  play(&scene);
  assert_log(scene.client, "attempt connect ready end close ");
  assert_log(scene.accepted, "end close ");
  assert_int_equal(scene.address.family, TROUPE_FAMILY_UNIX);
  assert_string_equal(scene.address.path, path);
  struct stat status;
  assert_int_not_equal(stat(path, &status), 0);
}

static void an_abstract_name_is_in_no_folder(void **state) {
  (void)state;
  char name[64];
  int length = snprintf(name, sizeof name, "%ctroupe-test-%d", 0, (int)getpid());
  scene_t scene = {.listen_options = {.path = name, .path_length = (size_t)length},
                   .client.hook = end_on_ready};
  play(&scene);
  assert_log(scene.client, "attempt connect ready end close ");
  assert_int_equal(scene.address.path_length, length);
  assert_memory_equal(scene.address.path, name, (size_t)length);
}

static void reset_is_refused(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result = troupe_socket_reset_and_destroy(side->socket);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void a_unix_socket_cannot_be_reset(void **state) {
  (void)state;
  char path[200];
  snprintf(path, sizeof path, "%s/socket", trp_test_folder());
  scene_t scene = {.listen_options = {.path = path}, .client.hook = reset_is_refused};
  play(&scene);
  assert_int_equal(scene.client.result, TROUPE_ERR_INVALID_HANDLE_TYPE);
  assert_log(scene.client, "attempt connect ready end close ");
}

static int listen_on_fd(void *argument) {
  scene_t *scene = argument;
  scene->listen_options.use_fd = true;
  return scene_main(scene);
}

static void a_bound_descriptor_can_be_listened_on(void **state) {
  (void)state;
  int port = 0;
  int fd = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(fd >= 0);
  scene_t scene = {.listen_options.fd = fd, .client.hook = end_on_ready};
  play_main(listen_on_fd, &scene);
  assert_int_equal(scene.address.port, port);
  assert_log(scene.client, "attempt connect ready end close ");
}

// ---- Connections ----

static void counted(troupe_server_t server, uint64_t count, void *context) {
  (void)server;
  side_t *side = context;
  scene_note(side, "count:%d ", (int)count);
  if (++side->step == 2) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void count_them(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result += troupe_server_get_connections(side->scene->server, counted, side);
    scene_note(side, "(returned) ");
    troupe_server_close(side->scene->server);
    side->result += troupe_server_get_connections(side->scene->server, counted, side);
  } else if (is(event, "close")) {
    troupe_server_get_connections(side->scene->server, counted, side);
  }
}

static void connections_are_counted_while_it_closes_too(void **state) {
  (void)state;
  scene_t scene = {.client.hook = count_them};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(
      strncmp(scene.client.log, "attempt connect ready (returned) count:1 count:1 end close ", 58),
      0);
  assert_log(scene.server_side, "listening connection close ");
}

static int never_listened(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  CHECK(new_server(scene, &server) == 0);
  CHECK(troupe_server_get_connections(server, counted, &scene->client) == 0);
  scene_note(&scene->client, "(returned) ");
  return troupe_actor_run();
}

static void a_server_that_never_listened_has_none(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(never_listened, &scene);
  assert_log(scene.client, "(returned) count:0 ");
}

static side_t second_client;

static void forget_second_client(void) {
  memset(&second_client, 0, sizeof second_client);
}

static void connect_second(side_t *side, const char *event) {
  if (is(event, "ready") && side != &second_client) {
    second_client.scene = side->scene;
    second_client.hook = side->hook;
    troupe_connect(&side->scene->connect_options, NULL, &scene_handlers, &second_client,
                   &second_client.socket);
  } else if (is(event, "close") && side == &second_client) {
    troupe_socket_end(side->scene->client.socket, NULL, NULL);
  } else if (is(event, "close!") && side == &second_client) {
    troupe_socket_end(side->scene->client.socket, NULL, NULL);
  }
}

static void more_than_max_connections_are_dropped(void **state) {
  (void)state;
  scene_t scene = {.reset = forget_second_client,
                   .server_options.max_connections = 1,
                   .client.hook = connect_second};
  play(&scene);
  assert_log(scene.server_side, "listening connection drop close ");
  assert_int_equal(scene.server_side.received, 1);
  assert_int_equal(second_client.closes, 1);
}

static void counted_all(troupe_server_t server, const troupe_server_counts_t *counts,
                        void *context) {
  side_t *side = context;
  (void)server;
  scene_note(side, "counts:%d,%d,%d ", (int)counts->connections, (int)counts->accepted,
             (int)counts->blocked);
  troupe_socket_end(side->scene->client.socket, NULL, NULL);
}

// The second client is blocked by a list that the actor makes: from outside nothing but its trace
// is needed.
static void block_and_count(side_t *side, const char *event) {
  if (is(event, "ready") && side != &second_client) {
    troupe_block_list_t *list = NULL;
    troupe_address_t loopback;
    side->result += troupe_block_list_new(&list);
    side->result += troupe_address_parse(&loopback, "127.0.0.1", 9, 0);
    side->result += troupe_block_list_add_subnet(list, &loopback, 8);
    side->result += troupe_server_set_block_list(side->scene->server, list);
    troupe_block_list_free(&list);
    connect_second(side, event);
  } else if (is(event, "close") || is(event, "close!")) {
    if (side == &second_client) {
      troupe_server_get_counts(side->scene->server, counted_all, &side->scene->server_side);
    }
  }
}

static void a_blocked_client_is_nobody_to_the_server(void **state) {
  (void)state;
  scene_t scene = {.reset = forget_second_client, .client.hook = block_and_count};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.server_side, "listening connection counts:1,1,1 close ");
  assert_int_equal(second_client.closes, 1);
}

static void raise_the_limit(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result += troupe_server_set_max_connections(side->scene->server, 2);
  }
  connect_second(side, event);
  if (is(event, "ready") && side == &second_client) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void the_limit_changes_at_any_time(void **state) {
  (void)state;
  scene_t scene = {.reset = forget_second_client,
                   .server_options.max_connections = 1,
                   .client.hook = raise_the_limit};
  // The scene closes its server with the first accepted socket; the second is counted all the same.
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(second_client, "attempt connect ready end close ");
}

static void free_server(side_t *side, const char *event) {
  if (is(event, "connection")) {
    side->result = troupe_server_free(side->scene->server);
    side->step = troupe_server_listening(side->scene->server);
  } else if (is(event, "close")) {
    side->step += troupe_server_free(side->scene->server);
  }
}

static void a_server_freed_on_connection_goes_after_its_close(void **state) {
  (void)state;
  scene_t scene = {.server_side.hook = free_server, .client.hook = end_on_ready};
  play(&scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_int_equal(scene.server_side.step, 0);
  assert_log(scene.server_side, "listening connection close ");
  assert_log(scene.accepted, "end close ");
}

static void listen_when_freed(side_t *side, const char *event) {
  if (is(event, "connection")) {
    troupe_server_free(side->scene->server);
    side->step = troupe_server_listen_port(side->scene->server, 0, "127.0.0.1", 0);
  } else if (is(event, "close")) {
    side->result = troupe_server_listen_port(side->scene->server, 0, "127.0.0.1", 0);
  }
}

static void a_freed_server_does_not_listen_again(void **state) {
  (void)state;
  scene_t scene = {.server_side.hook = listen_when_freed, .client.hook = end_on_ready};
  play(&scene);
  assert_int_equal(scene.server_side.step, TROUPE_ESTALE);
  assert_int_equal(scene.server_side.result, TROUPE_ESTALE);
  assert_log(scene.server_side, "listening connection close ");
}

static void destroy_in_connection(side_t *side, const char *event) {
  if (is(event, "connection")) {
    troupe_socket_destroy(side->scene->accepted.socket, 0);
  }
}

static void a_connection_destroyed_in_on_connection_closes(void **state) {
  (void)state;
  scene_t scene = {.server_side.hook = destroy_in_connection};
  play(&scene);
  assert_log(scene.accepted, "close ");
  assert_int_equal(scene.client.closes, 1);
}

static const troupe_socket_handlers_t quiet_handlers = {.on_close = scene_on_close};
static const troupe_server_handlers_t no_connection_handler = {.on_listening = scene_on_listening};

static int serve_without_on_connection(void *argument) {
  scene_t *scene = argument;
  troupe_server_options_t options = {.socket_handlers = &scene_handlers,
                                     .socket_context = &scene->accepted};
  scene->client.scene = scene->accepted.scene = scene->server_side.scene = scene;
  CHECK(troupe_server_new(&options, &no_connection_handler, scene, &scene->server) == 0);
  CHECK(troupe_server_listen_port(scene->server, 0, NULL, 0) == 0);
  CHECK(troupe_server_listen_wait(scene->server, WAIT_MS * trp_test_slow()) == 0);
  CHECK(troupe_server_address(scene->server, &scene->address) == 0);
  troupe_socket_t socket;
  CHECK(troupe_connect_port(scene->address.port, "127.0.0.1", &quiet_handlers, &scene->client,
                            &socket) == 0);
  CHECK(troupe_socket_end_with(socket, "hello", 5, NULL, NULL) == 0);
  return troupe_actor_run();
}

static void handlers_for_all_connections_need_no_on_connection(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(serve_without_on_connection, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_log(scene.accepted, "data end close ");
}

// ---- Many ----

enum { MANY = 500 };

static int many_accepted, many_closed;

static void forget_many(void) {
  many_accepted = many_closed = 0;
}

static void count_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  scene_t *scene = context;
  if (++many_closed == 2 * MANY) {
    troupe_server_close(scene->server);
  }
}

static const troupe_socket_handlers_t counting_handlers = {.on_close = count_close};

static void accept_and_count(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  many_accepted++;
  troupe_socket_set_handlers(socket, &counting_handlers, context);
}

static const troupe_server_handlers_t counting_server = {.on_connection = accept_and_count};

static int serve_many(void *argument) {
  scene_t *scene = argument;
  CHECK(troupe_server_new(NULL, &counting_server, scene, &scene->server) == 0);
  CHECK(troupe_server_listen_port(scene->server, 0, "127.0.0.1", 0) == 0);
  CHECK(troupe_server_listen_wait(scene->server, WAIT_MS * trp_test_slow()) == 0);
  troupe_address_t address;
  CHECK(troupe_server_address(scene->server, &address) == 0);
  for (int i = 0; i < MANY; i++) {
    troupe_socket_t socket;
    CHECK(troupe_connect(&(troupe_connect_options_t){.address = &address}, NULL, &counting_handlers,
                         scene, &socket) == 0);
    CHECK(troupe_socket_end(socket, NULL, NULL) == 0);
  }
  return troupe_actor_run();
}

static void the_credit_for_connections_comes_back(void **state) {
  (void)state;
  scene_t scene = {.reset = forget_many};
  play_main(serve_many, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_int_equal(many_accepted, MANY);
  assert_int_equal(many_closed, 2 * MANY);
}

// ---- Sharing and ending ----

static int share(void *argument) {
  scene_t *scene = argument;
  troupe_server_t first, second;
  troupe_address_t address, other;
  CHECK(new_server(scene, &first) == 0);
  CHECK(new_server(scene, &second) == 0);
  CHECK(troupe_server_listen_port(first, 0, "127.0.0.1", 0) == 0);
  CHECK(troupe_server_listen_wait(first, WAIT_MS * trp_test_slow()) == 0);
  CHECK(troupe_server_listen(second, &(troupe_listen_options_t){.share_with = first}) == 0);
  CHECK(troupe_server_listen_wait(second, WAIT_MS * trp_test_slow()) == 0);
  CHECK(troupe_server_address(first, &address) == 0);
  CHECK(troupe_server_address(second, &other) == 0);
  CHECK(troupe_address_equal(&address, &other));
  CHECK(troupe_server_close(first) == 0);
  CHECK(troupe_server_listening(second));
  CHECK(troupe_server_close(second) == 0);
  troupe_server_t third;
  CHECK(new_server(scene, &third) == 0);
  CHECK(troupe_server_listen(third, &(troupe_listen_options_t){.share_with = first}) == 0);
  CHECK(troupe_server_listen_wait(third, WAIT_MS * trp_test_slow()) ==
        TROUPE_ERR_SERVER_NOT_RUNNING);
  return troupe_actor_run();
}

static void a_server_listens_where_another_does(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(share, &scene);
  assert_int_equal(scene.server_side.result, 0);
}

static int unrefd(void *argument) {
  scene_t *scene = argument;
  troupe_server_t server;
  CHECK(new_server(scene, &server) == 0);
  CHECK(troupe_server_unref(server) == 0);
  CHECK(troupe_server_listen_port(server, 0, "127.0.0.1", 0) == 0);
  CHECK(troupe_server_listen_wait(server, WAIT_MS * trp_test_slow()) == 0);
  return troupe_actor_run();
}

static void an_unrefd_server_does_not_hold_its_actor(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(unrefd, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_log(scene.server_side, "listening ");
}

static void stop_on_ready(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result = troupe_socket_write(side->socket, "x", 1, NULL, NULL);
    troupe_actor_end(0);
  }
}

static void an_actor_that_ends_leaves_nothing_open(void **state) {
  (void)state;
  scene_t scene = {.client.hook = stop_on_ready};
  play(&scene); // checks that no socket and no server is left
  assert_int_equal(scene.client.result, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(each_call_knows_its_states),
      trp_test(a_thread_that_is_no_actor_has_no_servers),
      trp_test(closed_before_it_listens_it_only_closes),
      trp_test(it_listens_again_right_after_a_close),
      trp_test(it_listens_again_while_earlier_connections_are_open),
      trp_test(an_address_that_is_taken_is_an_error_and_then_another_may_be_tried),
      trp_test(a_port_is_reused_where_there_is_one),
      trp_test(a_path_in_a_folder_that_is_not_there_is_eacces),
      trp_test(an_address_of_nobody_cannot_be_listened_on),
      trp_test(a_path_is_served_and_removed),
      trp_test(an_abstract_name_is_in_no_folder),
      trp_test(a_unix_socket_cannot_be_reset),
      trp_test(a_bound_descriptor_can_be_listened_on),
      trp_test(connections_are_counted_while_it_closes_too),
      trp_test(a_server_that_never_listened_has_none),
      trp_test(more_than_max_connections_are_dropped),
      trp_test(the_limit_changes_at_any_time),
      trp_test(a_blocked_client_is_nobody_to_the_server),
      trp_test(a_server_freed_on_connection_goes_after_its_close),
      trp_test(a_freed_server_does_not_listen_again),
      trp_test(a_connection_destroyed_in_on_connection_closes),
      trp_test(handlers_for_all_connections_need_no_on_connection),
      trp_test(the_credit_for_connections_comes_back),
      trp_test(a_server_listens_where_another_does),
      trp_test(an_unrefd_server_does_not_hold_its_actor),
      trp_test(an_actor_that_ends_leaves_nothing_open),
  };
  return TRP_RUN_TESTS("server", tests);
}
