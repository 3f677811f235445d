/* Abort tokens: what they end, when, and from where. Parity: socket.5, server.22. */
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/scene.h"

enum { LIMIT_MS = 10000 };

static troupe_abort_t token;

/* Makes the token, and connects with it. */
static void connect_with_token(side_t *side) {
  troupe_abort_new(&token);
  side->scene->client_options.signal = token;
  side->result = troupe_connect(&side->scene->connect_options, &side->scene->client_options,
                                &scene_handlers, side, &side->socket);
}

static void close_server(side_t *side, const char *event) {
  if (is(event, "close!") || is(event, "close")) {
    troupe_server_close(side->scene->server);
  }
}

// ---- Sockets ----

static void abort_on_ready(side_t *side, const char *event) {
  if (is(event, "start")) {
    connect_with_token(side);
  } else if (is(event, "ready")) {
    troupe_socket_write(side->socket, "x", 1, scene_on_written, side);
    side->step = troupe_abort_aborted(token) ? 0 : 1;
    side->result = troupe_abort(NULL, token);
    side->step += troupe_abort_aborted(token) && troupe_socket_destroyed(side->socket) ? 1 : 0;
    troupe_abort(NULL, token);
  }
}

// parity: socket.5
static void an_open_socket_that_is_aborted_fails_and_closes(void **state) {
  (void)state;
  scene_t scene = {.start = abort_on_ready, .client.hook = abort_on_ready};
  play(&scene);
  assert_log(scene.client, "attempt connect ready ABORT_ERR:written ABORT_ERR:error close! ");
  assert_string_equal(scene.client.last, "The operation was aborted");
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, 2);
}

static void abort_at_once(side_t *side, const char *event) {
  if (is(event, "start")) {
    connect_with_token(side);
    troupe_abort(NULL, token);
    side->step = troupe_socket_destroyed(side->socket);
  }
  close_server(side, event);
}

// parity: socket.5
static void a_connect_that_is_pending_is_aborted(void **state) {
  (void)state;
  scene_t scene = {.start = abort_at_once, .client.hook = abort_at_once};
  play(&scene);
  assert_log(scene.client, "ABORT_ERR:error close! ");
  assert_true(scene.client.step);
}

static void never_answer(troupe_socket_t socket, const char *host, int family, unsigned hints,
                         void *context) {
  (void)socket;
  (void)host;
  (void)family;
  (void)hints;
  scene_note(context, "asked ");
  troupe_abort(NULL, token);
}

static void look_up_with_token(side_t *side, const char *event) {
  if (is(event, "start")) {
    side->scene->connect_options = (troupe_connect_options_t){
        .host = "name", .port = 1, .lookup = never_answer, .lookup_context = side};
    connect_with_token(side);
  }
  close_server(side, event);
}

static void a_look_up_is_aborted(void **state) {
  (void)state;
  scene_t scene = {.start = look_up_with_token, .client.hook = look_up_with_token};
  play(&scene);
  assert_log(scene.client, "asked ABORT_ERR:error close! ");
}

static void abort_before(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_abort_new(&token);
    troupe_abort(NULL, token);
    troupe_socket_options_t options = {.signal = token};
    side->step = troupe_connect_port(70000, NULL, &scene_handlers, side, NULL);
    side->step -= troupe_connect(&(troupe_connect_options_t){.port = 70000}, &options,
                                 &scene_handlers, side, NULL);
    side->result = troupe_connect(&side->scene->connect_options, &options, &scene_handlers, side,
                                  &side->socket);
    scene_note(side, "called ");
  }
  close_server(side, event);
}

// parity: socket.5
static void with_an_aborted_token_nothing_is_connected(void **state) {
  (void)state;
  scene_t scene = {.start = abort_before, .client.hook = abort_before};
  play(&scene);
  assert_log(scene.client, "called ABORT_ERR:error close! ");
  assert_log(scene.server_side, "listening close ");
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, 0); /* bad arguments are told first */
}

static void make_with_aborted(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_abort_new(&token);
    troupe_abort(NULL, token);
    troupe_socket_options_t options = {.signal = token};
    side->result = troupe_socket_new(&options, &scene_handlers, side, &side->socket);
    side->step = troupe_socket_destroyed(side->socket) ||
                 troupe_socket_connect(side->socket, &side->scene->connect_options) != 0 ||
                 troupe_socket_set_deadlines(side->socket, &(troupe_deadlines_t){1, 1, 1}) != 0 ||
                 troupe_socket_write(side->socket, "x", 1, scene_on_written, side) != 1 ||
                 !troupe_socket_connecting(side->socket);
  } else if (is(event, "close!")) {
    troupe_socket_set_deadlines(side->socket, NULL);
    /* From here on the token is nothing to it. */
    troupe_socket_connect(side->socket, &side->scene->connect_options);
  } else if (is(event, "ready")) {
    troupe_abort(NULL, token);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void after_the_close_the_token_is_nothing_to_the_socket(void **state) {
  (void)state;
  scene_t scene = {.start = make_with_aborted, .client.hook = make_with_aborted};
  play(&scene);
  assert_log(scene.client, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written ABORT_ERR:error close! "
                           "attempt connect ready end close ");
  assert_int_equal(scene.client.step, 0);
}

static void drop_aborted(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_abort_new(&token);
    troupe_abort(NULL, token);
    troupe_socket_options_t options = {.signal = token};
    troupe_socket_t freed;
    troupe_socket_new(&options, &scene_handlers, side, &freed);
    troupe_socket_free(freed);
    side->result = troupe_connect(&side->scene->connect_options, &options, &scene_handlers, side,
                                  &side->socket);
    troupe_socket_destroy(side->socket, TROUPE_EPIPE);
  }
  close_server(side, event);
}

static void of_an_aborted_token_and_a_destroy_the_abort_came_first(void **state) {
  (void)state;
  scene_t scene = {.start = drop_aborted, .client.hook = drop_aborted};
  play(&scene);
  assert_log(scene.client, "ABORT_ERR:error close! ");
  assert_log(scene.server_side, "listening close ");
}

static void free_then_abort(side_t *side, const char *event) {
  if (is(event, "start")) {
    connect_with_token(side);
  } else if (is(event, "ready")) {
    side->result = troupe_abort_free(token);
    side->step = troupe_abort(NULL, token) == TROUPE_ESTALE &&
                 troupe_abort_free(token) == TROUPE_ESTALE && !troupe_abort_aborted(token) &&
                 troupe_connect(&side->scene->connect_options, &side->scene->client_options,
                                &scene_handlers, side, NULL) == TROUPE_ESTALE;
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void a_freed_token_aborts_nothing(void **state) {
  (void)state;
  scene_t scene = {.start = free_then_abort, .client.hook = free_then_abort};
  play(&scene);
  assert_log(scene.client, "attempt connect ready end close ");
  assert_int_equal(scene.client.result, 0);
  assert_true(scene.client.step);
}

static void fail_then_abort(side_t *side, const char *event) {
  if (is(event, "start")) {
    connect_with_token(side);
  } else if (is(event, "ready")) {
    troupe_socket_t idle;
    troupe_socket_new(&side->scene->client_options, &scene_handlers, side, &idle);
    troupe_socket_free(idle);
    side->result = troupe_connect(&(troupe_connect_options_t){.port = -1},
                                  &side->scene->client_options, &scene_handlers, side, NULL);
    troupe_abort(NULL, token);
  }
}

static void sockets_that_never_were_are_not_aborted(void **state) {
  (void)state;
  scene_t scene = {.start = fail_then_abort, .client.hook = fail_then_abort};
  play(&scene);
  assert_log(scene.client, "attempt connect ready ABORT_ERR:error close! ");
  assert_int_equal(scene.client.result, TROUPE_ERR_SOCKET_BAD_PORT);
}

static int adopt_fd; /* -1 in a replay: the number has to be the recorded one, nobody uses it */
static int adopt_peer;

static int adopt_main(void *argument) {
  side_t *side = argument;
  troupe_abort_new(&token);
  troupe_abort(NULL, token);
  side->result = troupe_socket_adopt(adopt_fd, TROUPE_READABLE | TROUPE_WRITABLE,
                                     &(troupe_socket_options_t){.signal = token}, &scene_handlers,
                                     side, &side->socket);
  return troupe_actor_run();
}

static void a_descriptor_that_came_with_an_aborted_token_is_closed(void **state) {
  (void)state;
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  adopt_fd = pair[0];
  adopt_peer = pair[1];
  scene_t scene = {0};
  scene.client.scene = &scene;
  run_actor(adopt_main, &scene.client);
  assert_log(scene.client, "ABORT_ERR:error close! ");
  char byte;
  assert_int_equal(trp_test_receive_to_end(adopt_peer, &byte, 1, LIMIT_MS), 0);
  close(adopt_peer);
}

// ---- Servers ----

static int listen_with(scene_t *scene) {
  return troupe_server_listen(scene->server,
                              &(troupe_listen_options_t){.host = "127.0.0.1", .signal = token});
}

static void abort_listening(side_t *side, const char *event) {
  scene_t *scene = side->scene;
  if (is(event, "listening")) {
    side->result = troupe_abort(NULL, token);
    side->step = troupe_server_listening(scene->server);
  }
}

static int server_main(void *argument) {
  scene_t *scene = argument;
  scene->server_side.scene = scene;
  troupe_abort_new(&token);
  if (scene->server_side.step == 1) {
    troupe_abort(NULL, token);
  }
  int error = troupe_server_new(NULL, &scene_server_handlers, scene, &scene->server);
  if (error == 0) {
    error = listen_with(scene);
    scene_note(&scene->server_side, "called ");
  }
  if (error == 0 && scene->server_side.step == 2) {
    troupe_abort(NULL, token);
  }
  return error != 0 ? error : troupe_actor_run();
}

// parity: server.22
static void a_server_that_is_aborted_closes_without_error(void **state) {
  (void)state;
  scene_t scene = {.server_side.hook = abort_listening};
  play_main(server_main, &scene);
  assert_log(scene.server_side, "called listening close ");
  assert_int_equal(scene.server_side.result, 0);
  assert_false(scene.server_side.step);
}

// parity: server.22
static void with_an_aborted_token_a_server_never_listens(void **state) {
  (void)state;
  scene_t scene = {.server_side.step = 1};
  play_main(server_main, &scene);
  assert_log(scene.server_side, "called close ");
}

static void a_server_is_aborted_before_it_listens(void **state) {
  (void)state;
  scene_t scene = {.server_side.step = 2};
  play_main(server_main, &scene);
  assert_log(scene.server_side, "called close ");
}

static void listen_again(side_t *side, const char *event) {
  troupe_server_t server = side->scene->server;
  if (is(event, "listening") && side->step++ == 0) {
    troupe_server_close(server);
    troupe_server_listen_port(server, 0, "127.0.0.1", 0);
  } else if (is(event, "listening")) {
    troupe_abort(NULL, token);
    side->result = troupe_server_listening(server);
    troupe_server_close(server);
  }
}

static void an_old_token_does_not_close_a_server_that_listens_again(void **state) {
  (void)state;
  scene_t scene = {.server_side.hook = listen_again};
  play_main(server_main, &scene);
  assert_log(scene.server_side, "called listening close listening close ");
  assert_true(scene.server_side.result);
}

static troupe_server_t other;

static void abort_everything(side_t *side, const char *event) {
  if (is(event, "start")) {
    connect_with_token(side);
    troupe_server_new(NULL, &scene_server_handlers, side->scene, &other);
    troupe_server_listen(
        other, &(troupe_listen_options_t){.host = "127.0.0.1", .backlog = 1, .signal = token});
  } else if (is(event, "ready")) {
    troupe_connect(&side->scene->connect_options, &side->scene->client_options, &scene_handlers,
                   side, NULL);
    troupe_abort(NULL, token);
  }
}

static void one_token_serves_many(void **state) {
  (void)state;
  scene_t scene = {.start = abort_everything, .client.hook = abort_everything};
  play(&scene);
  assert_int_equal(scene.client.closes, 2);
  assert_true(strstr(scene.client.log, "ABORT_ERR:error ABORT_ERR:error ") != NULL);
  const char *first = strstr(scene.server_side.log, "close ");
  assert_non_null(first);
  assert_non_null(strstr(first + 1, "close "));
}

// ---- From elsewhere ----

static troupe_system_t *shared;
static sem_t ready;
static uint64_t shared_token;

static void tell_token(side_t *side, const char *event) {
  if (is(event, "start")) {
    connect_with_token(side);
  } else if (is(event, "ready")) {
    shared_token = token.id;
    sem_post(&ready);
  }
}

typedef struct {
  troupe_system_t *system;
  troupe_abort_t token;
} order_t;

static int abort_main(void *argument) {
  order_t *order = argument;
  int error = troupe_abort(order->system, order->token);
  if (error != 0) {
    return error;
  }
  /* It is another actor's: nothing else can be done with it here. */
  troupe_socket_t socket;
  int result = troupe_socket_new(&(troupe_socket_options_t){.signal = order->token}, NULL, NULL,
                                 &socket);
  return result == TROUPE_EWRONGTHREAD ? troupe_actor_run() : -1;
}

static void spawn(const char *name, troupe_main_fn main, void *argument, size_t size,
                  troupe_actor_t *actor) {
  assert_int_equal(
      troupe_spawn(shared,
                   &(troupe_spawn_options_t){
                       .name = name, .main = main, .argument = argument, .argument_size = size},
                   actor),
      0);
}

static void join(troupe_actor_t actor) {
  int status = -1;
  assert_int_equal(troupe_actor_join(shared, actor, LIMIT_MS * trp_test_slow(), &status), 0);
  assert_int_equal(status, 0);
}

static void replay(const char *name, troupe_main_fn main, void *argument) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s-0.trace", trp_test_folder(), name);
  troupe_replay_report_t report = {0};
  int error = troupe_replay(main, argument, path, &report);
  if (error != 0) {
    print_error("%s\n", report.text);
  }
  assert_int_equal(error, 0);
}

/* The test's thread aborts, or another actor does. */
static void abort_from_elsewhere(bool by_actor) {
  assert_int_equal(sem_init(&ready, 0, 0), 0);
  assert_int_equal(troupe_system_new(NULL, &shared), 0);
  troupe_record_options_t options = {.directory = trp_test_folder()};
  assert_int_equal(troupe_record_start(shared, &options), 0);
  scene_t scene = {.start = tell_token, .client.hook = tell_token};
  scene_t again = scene;
  troupe_actor_t aborted;
  spawn("aborted", scene_main, &scene, 0, &aborted);
  while (sem_wait(&ready) != 0) {
  }
  order_t order = {.system = shared, .token = {shared_token}};
  if (by_actor) {
    troupe_actor_t aborting;
    spawn("aborting", abort_main, &order, sizeof order, &aborting);
    join(aborting);
  } else {
    assert_int_equal(troupe_abort(shared, order.token), 0);
  }
  join(aborted);
  assert_int_equal(troupe_abort(shared, order.token), TROUPE_ENOACTOR);
  assert_int_equal(troupe_record_stop(shared, NULL), 0);
  assert_int_equal(troupe_system_free(&shared), 0);
  assert_log(scene.client, "attempt connect ready ABORT_ERR:error close! ");
  replay("aborted", scene_main, &again);
  assert_same_side(&scene.client, &again.client);
  if (by_actor) {
    order.system = NULL;
    replay("aborting", abort_main, &order);
  }
  sem_destroy(&ready);
}

// parity: socket.5
static void any_thread_may_abort(void **state) {
  (void)state;
  abort_from_elsewhere(false);
}

static void another_actor_may_abort(void **state) {
  (void)state;
  abort_from_elsewhere(true);
}

static void wrong_arguments_are_told(void **state) {
  (void)state;
  troupe_abort_t some = {0};
  assert_int_equal(troupe_abort_new(NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_abort_new(&some), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_abort_free(some), TROUPE_EWRONGTHREAD);
  assert_false(troupe_abort_aborted(some));
  assert_int_equal(troupe_abort(NULL, some), TROUPE_EINVAL);
  some.id = 4711;
  assert_int_equal(troupe_abort(NULL, some), TROUPE_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(an_open_socket_that_is_aborted_fails_and_closes),
      trp_test(a_connect_that_is_pending_is_aborted),
      trp_test(a_look_up_is_aborted),
      trp_test(with_an_aborted_token_nothing_is_connected),
      trp_test(after_the_close_the_token_is_nothing_to_the_socket),
      trp_test(a_freed_token_aborts_nothing),
      trp_test(of_an_aborted_token_and_a_destroy_the_abort_came_first),
      trp_test(sockets_that_never_were_are_not_aborted),
      trp_test(a_descriptor_that_came_with_an_aborted_token_is_closed),
      trp_test(a_server_that_is_aborted_closes_without_error),
      trp_test(with_an_aborted_token_a_server_never_listens),
      trp_test(a_server_is_aborted_before_it_listens),
      trp_test(an_old_token_does_not_close_a_server_that_listens_again),
      trp_test(one_token_serves_many),
      trp_test(any_thread_may_abort),
      trp_test(another_actor_may_abort),
      trp_test(wrong_arguments_are_told),
  };
  return TRP_RUN_TESTS("net/abort", tests);
}
