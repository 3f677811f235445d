#include <stdlib.h>

#include "tests/actor/scene.h"

#include <string.h>

enum { LIMIT_MS = 20000, MANY = 16 };

/* An actor with one handle of each kind, and a connection to itself. */
typedef struct {
  const char *moved_to; /* where it says that its client is made */
  atomic_int open;      /* both ends of the connection are */
  atomic_int hangs, release;
  bool hang;
  int server_line, client_line, timer_line, token_line;
  troupe_server_t server;
  troupe_socket_t client, accepted;
  troupe_timer_t timer;
  troupe_abort_t token;
  int count;
  troupe_handle_t handles[MANY], first[2];
} house_t;

static void look(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
}

static void finish(house_t *house) {
  troupe_socket_destroy(house->client, 0);
  troupe_server_close(house->server);
  troupe_timer_stop(house->timer);
}

static void both_are_open(house_t *house) {
  if (house->client.id == 0 || house->accepted.id == 0) {
    return;
  }
  house->count = troupe_actor_handles(house->handles, MANY);
  expect(troupe_actor_handles(house->first, 2) == house->count);
  expect(troupe_actor_handles(NULL, 0) == house->count);
  atomic_store(&house->open, 1);
  if (house->hang) {
    expect(trp_test_wait_until(scene_is_set, &house->release, SCENE_LIMIT_MS));
  }
  finish(house);
}

static void on_connect(troupe_socket_t socket, void *context) {
  house_t *house = context;
  house->client = socket;
  both_are_open(house);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  house_t *house = context;
  (void)server;
  house->accepted = socket;
  both_are_open(house);
}

static int live(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_connect = on_connect};
  static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection};
  house_t *house = argument;
  troupe_address_t address;
  troupe_server_options_t options = {.pause_on_connect = false};
  house->server_line = __LINE__ + 1;
  int error = troupe_server_new(&options, &server_handlers, house, &house->server);
  error |= troupe_server_listen_port(house->server, 0, "127.0.0.1", 0);
  error |= troupe_server_listen_wait(house->server, LIMIT_MS * trp_test_slow());
  error |= troupe_server_address(house->server, &address);
  house->token_line = __LINE__ + 1;
  error |= troupe_abort_new(&house->token);
  house->timer_line = __LINE__ + 1;
  error |= troupe_timer_start(&house->timer, 1000000, 0, look, NULL);
  troupe_timer_unref(house->timer);
  house->client_line = __LINE__ + 2;
  if (house->moved_to == NULL) {
    error |= troupe_connect(&(troupe_connect_options_t){.address = &address, .host = "unused"},
                            &(troupe_socket_options_t){.timeout_ms = 100000}, &handlers, house,
                            NULL);
  } else {
    error |= troupe_connect_at(house->moved_to, &(troupe_connect_options_t){.address = &address},
                               NULL, &handlers, house, NULL);
  }
  return error != 0 ? error : troupe_actor_run();
}

static const char *place(int line) {
  static char text[64];
  snprintf(text, sizeof text, "test_handle.c:%d", line);
  return text;
}

/* The path in front of it is the compiler's business. */
static void assert_made_at(const troupe_handle_t *handle, int line) {
  const char *name = strrchr(handle->made_at, '/');
  assert_string_equal(name == NULL ? handle->made_at : name + 1, place(line));
}

/* parity: beyond.7 */
static void an_actor_lists_what_it_has_and_where_it_was_made(void **state) {
  (void)state;
  static house_t house;
  house = (house_t){.hang = false};
  troupe_actor_t actor = scene_start("house", live, &house);
  assert_int_equal(scene_join(actor), 0);
  assert_int_equal(house.count, 5);
  const troupe_handle_t *at = house.handles;
  for (int i = 0; i < 2; i++) {
    const troupe_handle_t *socket = &at[i];
    bool client = socket->id == house.client.id;
    assert_int_equal(socket->kind, TROUPE_HANDLE_SOCKET);
    assert_true(client || socket->id == house.accepted.id);
    assert_string_equal(socket->state, "open");
    assert_true(socket->holds);
    assert_int_equal(socket->local.family, TROUPE_FAMILY_IPV4);
    assert_int_not_equal(socket->local.port, 0);
    assert_int_not_equal(socket->remote.port, 0);
    /* An accepted socket comes from where its server was made. */
    assert_made_at(socket, client ? house.client_line : house.server_line);
  }
  assert_int_not_equal(at[0].id, at[1].id);
  assert_int_equal(at[2].kind, TROUPE_HANDLE_SERVER);
  assert_int_equal(at[2].id, house.server.id);
  assert_string_equal(at[2].state, "listening");
  assert_int_not_equal(at[2].local.port, 0);
  assert_int_equal(at[2].remote.family, TROUPE_FAMILY_NONE);
  assert_made_at(&at[2], house.server_line);
  assert_int_equal(at[3].kind, TROUPE_HANDLE_TIMER);
  assert_int_equal(at[3].id, house.timer.id);
  assert_string_equal(at[3].state, "waiting");
  assert_false(at[3].holds);
  assert_made_at(&at[3], house.timer_line);
  assert_int_equal(at[4].kind, TROUPE_HANDLE_ABORT);
  assert_int_equal(at[4].id, house.token.id);
  assert_string_equal(at[4].state, "not aborted");
  assert_made_at(&at[4], house.token_line);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(at[i].owner.id, actor.id);
  }
  /* As many as there is room for, from the front. */
  assert_int_equal(house.first[0].id, at[0].id);
  assert_int_equal(house.first[1].id, at[1].id);
}

static void a_system_lists_what_an_actor_has_that_hangs_in_a_callback(void **state) {
  (void)state;
  static house_t house;
  house = (house_t){.hang = true};
  troupe_actor_t actor = scene_start("house", live, &house);
  scene_wait_for(&house.open);
  troupe_handle_t handles[MANY];
  int count = troupe_system_handles(scene, handles, MANY);
  assert_int_equal(troupe_system_handles(scene, NULL, 0), count);
  assert_int_equal(troupe_system_handles(NULL, handles, MANY), TROUPE_EINVAL);
  troupe_handle_t one;
  assert_int_equal(troupe_system_handles(scene, &one, 1), count);
  atomic_store(&house.release, 1);
  assert_int_equal(scene_join(actor), 0);
  assert_int_equal(count, 3);
  for (int i = 0; i < 2; i++) {
    bool client = handles[i].id == house.client.id;
    assert_int_equal(handles[i].kind, TROUPE_HANDLE_SOCKET);
    assert_true(client || handles[i].id == house.accepted.id);
    assert_int_equal(handles[i].owner.id, actor.id);
    assert_string_equal(handles[i].state, "open");
    assert_made_at(&handles[i], client ? house.client_line : house.server_line);
    /* What the I/O actor knows of their addresses is what they know themselves. */
    const troupe_handle_t *own = &house.handles[house.handles[0].id == handles[i].id ? 0 : 1];
    assert_true(troupe_address_equal(&handles[i].local, &own->local));
    assert_true(troupe_address_equal(&handles[i].remote, &own->remote));
  }
  assert_int_equal(handles[2].kind, TROUPE_HANDLE_SERVER);
  assert_int_equal(handles[2].id, house.server.id);
  assert_string_equal(handles[2].state, "listening");
  assert_true(troupe_address_equal(&handles[2].local, &house.handles[2].local));
  assert_made_at(&handles[2], house.server_line);
  assert_int_equal(troupe_system_handles(scene, handles, MANY), 0); /* it is gone, with its own */
}

static int stranger(void *argument) {
  troupe_socket_t socket;
  troupe_handle_t handle;
  static char long_place[300];
  (void)argument;
  memset(long_place, 'x', sizeof long_place - 1);
  memcpy(long_place + sizeof long_place - 6, "end:7", 5);
  /* The function itself, by a pointer and by a call that is none of the macro. */
  int (*make)(const troupe_socket_options_t *, const troupe_socket_handlers_t *, void *,
              troupe_socket_t *) = troupe_socket_new;
  expect(make(NULL, NULL, NULL, &socket) == 0);
  expect(troupe_actor_handles(&handle, 1) == 1);
  expect(handle.made_at[0] == '\0' && strcmp(handle.state, "new") == 0 && !handle.holds);
  expect(troupe_socket_free(socket) == 0);
  expect((troupe_socket_new)(NULL, NULL, NULL, &socket) == 0);
  expect(troupe_actor_handles(&handle, 1) == 1);
  expect(handle.made_at[0] == '\0');
  expect(troupe_socket_free(socket) == 0);
  expect(troupe_socket_new_at(long_place, NULL, NULL, NULL, &socket) == 0);
  expect(troupe_actor_handles(&handle, 1) == 1);
  expect(strlen(handle.made_at) == TROUPE_MADE_AT_SIZE - 1);
  expect(strcmp(handle.made_at + TROUPE_MADE_AT_SIZE - 6, "end:7") == 0);
  expect(troupe_socket_free(socket) == 0);
  expect(troupe_actor_handles(&handle, 1) == 0);
  troupe_server_t server;
  expect((troupe_server_new)(NULL, NULL, NULL, &server) == 0);
  expect(troupe_actor_handles(&handle, 1) == 1);
  expect(handle.kind == TROUPE_HANDLE_SERVER && strcmp(handle.state, "idle") == 0);
  expect(troupe_server_free(server) == 0);
  return 0;
}

static void the_functions_themselves_know_no_place_and_a_long_one_keeps_its_end(void **state) {
  (void)state;
  assert_int_equal(troupe_actor_handles(NULL, 0), TROUPE_EWRONGTHREAD);
  assert_int_equal(scene_join(scene_start("stranger", stranger, NULL)), 0);
}

/* The timer behind a timeout before there is a connection is nobody's business. */
static int timed(void *argument) {
  troupe_socket_t socket;
  troupe_handle_t handle;
  (void)argument;
  expect(troupe_socket_new(&(troupe_socket_options_t){.timeout_ms = 100000}, NULL, NULL, &socket) ==
         0);
  expect(troupe_actor_handles(&handle, 1) == 1);
  expect(handle.kind == TROUPE_HANDLE_SOCKET);
  expect(troupe_socket_free(socket) == 0);
  return 0;
}

static void timers_of_the_library_are_not_listed(void **state) {
  (void)state;
  assert_int_equal(scene_join(scene_start("timed", timed, NULL)), 0);
}

static void a_line_that_moved_replays(void **state) {
  (void)state;
  static house_t house;
  troupe_record_options_t options = {.directory = trp_test_folder()};
  char path[512];
  snprintf(path, sizeof path, "%s/moved-0.trace", trp_test_folder());
  assert_int_equal(troupe_record_start(scene, &options), 0);
  house = (house_t){.moved_to = "old.c:10"};
  assert_int_equal(scene_join(scene_start("moved", live, &house)), 0);
  assert_int_equal(troupe_record_stop(scene, NULL), 0);
  troupe_replay_report_t report = {.status = 0};
  house = (house_t){.moved_to = "renamed.c:1234"};
  int error = troupe_replay(live, &house, path, &report);
  if (error != 0) {
    print_error("%s\n", report.text);
  }
  assert_int_equal(error, 0);
  assert_int_equal(house.count, 5);
  house = (house_t){.moved_to = NULL}; /* another timeout, too, which is told as that */
  assert_int_equal(troupe_replay(live, &house, path, &report), TROUPE_EDIFFERS);
  assert_non_null(strstr(report.text, "`options`"));
}

static void a_handle_is_said_in_a_line(void **state) {
  (void)state;
  char text[TROUPE_HANDLE_TEXT_SIZE];
  troupe_handle_t handle = {
      .kind = TROUPE_HANDLE_SOCKET,
      .id = (UINT64_C(1) << 58) | (UINT64_C(65) << 36) | 3,
      .owner = {UINT64_C(65) << 36},
      .state = "open",
      .made_at = "echo.c:12",
  };
  assert_int_equal(troupe_address_parse(&handle.local, "127.0.0.1", 9, 80), 0);
  assert_int_equal(troupe_address_parse(&handle.remote, "::1", 3, 4242), 0);
  const char *whole = "socket 65/3, open, 127.0.0.1:80 to [::1]:4242, made at echo.c:12";
  assert_int_equal(troupe_handle_text(&handle, text, sizeof text), (int)strlen(whole));
  assert_string_equal(text, whole);
  assert_int_equal(troupe_handle_text(&handle, text, 7), (int)strlen(whole));
  assert_string_equal(text, "socket");
  assert_int_equal(troupe_handle_text(&handle, text, 0), TROUPE_EINVAL);
  assert_int_equal(troupe_handle_text(&handle, NULL, 9), TROUPE_EINVAL);
  assert_int_equal(troupe_handle_text(NULL, text, 9), TROUPE_EINVAL);

  handle = (troupe_handle_t){.kind = TROUPE_HANDLE_SERVER, .state = "listening"};
  assert_int_equal(troupe_address_path(&handle.local, "\0name", 5), 0);
  troupe_handle_text(&handle, text, sizeof text);
  assert_string_equal(text, "server 0/0, listening, @name");
  handle.local.path_length = 0;
  troupe_handle_text(&handle, text, sizeof text);
  assert_string_equal(text, "server 0/0, listening, unix");
  handle = (troupe_handle_t){.kind = TROUPE_HANDLE_ABORT, .state = "aborted"};
  troupe_handle_text(&handle, text, sizeof text);
  assert_string_equal(text, "abort token 0/0, aborted");

  /* The longest of all fits. */
  handle = (troupe_handle_t){.kind = TROUPE_HANDLE_ABORT, .id = UINT64_MAX, .state = "not aborted"};
  char path[TROUPE_PATH_MAX];
  memset(path, 'p', sizeof path);
  assert_int_equal(troupe_address_path(&handle.local, path, sizeof path), 0);
  handle.remote = handle.local;
  memset(handle.made_at, 'm', sizeof handle.made_at);
  assert_in_range(troupe_handle_text(&handle, text, sizeof text), 2 * TROUPE_PATH_MAX,
                  TROUPE_HANDLE_TEXT_SIZE - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(an_actor_lists_what_it_has_and_where_it_was_made),
      in_scene(a_system_lists_what_an_actor_has_that_hangs_in_a_callback),
      in_scene(the_functions_themselves_know_no_place_and_a_long_one_keeps_its_end),
      in_scene(timers_of_the_library_are_not_listed),
      in_scene(a_line_that_moved_replays),
      trp_test(a_handle_is_said_in_a_line),
  };
  return TRP_RUN_TESTS("handle", tests);
}
