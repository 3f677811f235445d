/* Running out of memory inside each call: it says so, nothing has happened, and the same call
 * succeeds later. */
#include "core/net/socket.h"
#include "tests/net/no_memory.h"
#include "tests/net/scene.h"

/* One call, which fails at its first allocation, at its second, … until it has all it needs. The
 * last result is the call's. */
#define WITHOUT_MEMORY(side, call)                                                                 \
  do {                                                                                             \
    int tries_ = 0;                                                                                \
    int result_ = TROUPE_ENOMEM;                                                                   \
    while (result_ == TROUPE_ENOMEM && ++tries_ < 100) {                                           \
      fail_at = OWN_MALLOC ? tries_ : 0;                                                           \
      result_ = (call);                                                                            \
      fail_at = 0;                                                                                 \
    }                                                                                              \
    (side)->step += tries_ - 1;                                                                    \
    (side)->result += result_ < 0;                                                                 \
  } while (0)

static char much[100000];

static void start_without_memory(side_t *side, const char *event) {
  (void)event;
  troupe_connect_options_t *options = &side->scene->connect_options;
  options->host = "127.0.0.1";
  options->port = side->scene->address.port;
  options->address = NULL;
  options->local_address = "127.0.0.1";
  WITHOUT_MEMORY(side, troupe_connect(options, &(troupe_socket_options_t){.no_delay = TROUPE_ON},
                                      &scene_handlers, side, &side->socket));
  WITHOUT_MEMORY(side, troupe_socket_write(side->socket, "early", 5, scene_on_written, side));
}

static void every_call_without_memory(side_t *side, const char *event) {
  if (!is(event, "ready")) {
    return;
  }
  troupe_socket_t socket = side->socket;
  troupe_chunk_t *small = NULL, *large = NULL, *kept = NULL, *part = NULL;
  for (int i = 0; i < 10; i++) {
    WITHOUT_MEMORY(side, troupe_socket_write(socket, "some", 4, scene_on_written, side));
  }
  WITHOUT_MEMORY(side, troupe_socket_write(socket, much, sizeof much, scene_on_written, side));
  WITHOUT_MEMORY(side, troupe_chunk_new(&small, "small", 5));
  WITHOUT_MEMORY(side, troupe_chunk_new(&large, NULL, sizeof much));
  WITHOUT_MEMORY(side, troupe_chunk_keep(large, &kept));
  WITHOUT_MEMORY(side, troupe_chunk_slice(large, 1, 2, &part));
  WITHOUT_MEMORY(side, troupe_socket_write_chunk(socket, small, scene_on_written, side));
  WITHOUT_MEMORY(side, troupe_socket_write_chunk(socket, large, NULL, NULL));
  WITHOUT_MEMORY(side, troupe_socket_pause(socket));
  WITHOUT_MEMORY(side, troupe_socket_resume(socket));
  WITHOUT_MEMORY(side, troupe_socket_set_no_delay(socket, false));
  WITHOUT_MEMORY(side, troupe_socket_set_keep_alive(socket, true, 1000));
  WITHOUT_MEMORY(side, troupe_socket_set_timeout(socket, 100000));
  WITHOUT_MEMORY(side, troupe_server_set_max_connections(side->scene->server, 10));
  WITHOUT_MEMORY(side, troupe_socket_end_with(socket, "end", 3, scene_on_finished, side));
  troupe_chunk_free(&small);
  troupe_chunk_free(&large);
  troupe_chunk_free(&kept);
  troupe_chunk_free(&part);
  side->scene->accepted.result = (int)troupe_socket_bytes_written(socket);
}

static void a_call_without_memory_has_done_nothing(void **state) {
  (void)state;
  scene_t scene = {.start = start_without_memory, .client.hook = every_call_without_memory};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_true(scene.client.step > 3 || !OWN_MALLOC);
  assert_int_equal(scene.accepted.received, 5 + 40 + 100000 + 5 + 100000 + 3);
  assert_int_equal(scene.accepted.result, scene.accepted.received);
  assert_true(strstr(scene.client.log, "finished end close ") != NULL);
}

static void on_given(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  side_t *side = context;
  scene_note(side, "%s:", troupe_error_name(error));
  scene_event(side, "given");
}

static void give_without_memory(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_actor_t nobody = {.id = UINT64_C(4000000) << 36}; // an actor's number, but nobody's
    WITHOUT_MEMORY(side,
                   troupe_socket_give(side->socket, nobody, much, sizeof much, on_given, side));
  } else if (is(event, "given")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void a_give_without_memory_is_made_later(void **state) {
  (void)state;
  scene_t scene = {.client.hook = give_without_memory};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_true(scene.client.step >= 2 || !OWN_MALLOC);
  assert_log(scene.client, "attempt connect ready TROUPE_ENOACTOR:given end close ");
}

static int serve_without_memory(void *argument) {
  scene_t *scene = argument;
  side_t *side = &scene->server_side;
  scene->client.scene = scene->accepted.scene = side->scene = scene;
  WITHOUT_MEMORY(side, troupe_server_new(NULL, &scene_server_handlers, scene, &scene->server));
  troupe_listen_options_t options = {.host = "127.0.0.1"};
  for (int i = 0; i < 3; i++) {
    WITHOUT_MEMORY(side, troupe_server_listen(scene->server, &options));
    WITHOUT_MEMORY(side, troupe_server_close(scene->server));
  }
  return troupe_actor_run();
}

static void a_server_without_memory_listens_later(void **state) {
  (void)state;
  scene_t scene = {0};
  play_main(serve_without_memory, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_true(scene.server_side.step > 3 || !OWN_MALLOC);
  assert_log(scene.server_side, "close ");
}

static void note_counts(troupe_server_t server, const troupe_server_counts_t *counts,
                        void *context) {
  (void)server;
  side_t *side = context;
  scene_note(side, "counts:%d ", (int)counts->accepted);
  troupe_server_close(side->scene->server);
}

/* Lists long enough that they are told in pieces. */
static int limit_without_memory(void *argument) {
  enum { RULES = 300 };
  scene_t *scene = argument;
  side_t *side = &scene->server_side;
  troupe_block_list_t *lists[2] = {NULL, NULL};
  scene->client.scene = scene->accepted.scene = side->scene = scene;
  for (int i = 0; i < 2 * RULES; i++) {
    troupe_address_t address = {.family = TROUPE_FAMILY_IPV4, .bytes = {10, (uint8_t)(i / 250)}};
    address.bytes[2] = (uint8_t)(i % 250);
    if (lists[i % 2] == NULL) {
      WITHOUT_MEMORY(side, troupe_block_list_new(&lists[i % 2]));
    }
    WITHOUT_MEMORY(side, troupe_block_list_add_address(lists[i % 2], &address));
  }
  troupe_server_options_t server = {.block_list = lists[0]};
  troupe_listen_options_t options = {.host = "127.0.0.1"};
  WITHOUT_MEMORY(side, troupe_server_new(&server, &scene_server_handlers, scene, &scene->server));
  WITHOUT_MEMORY(side, troupe_server_listen(scene->server, &options));
  WITHOUT_MEMORY(side, troupe_server_set_block_list(scene->server, lists[1]));
  troupe_block_list_free(&lists[0]);
  for (int i = 0; i < RULES; i++) {
    troupe_address_t address = {.family = TROUPE_FAMILY_IPV6, .bytes = {0xfd, (uint8_t)(i / 250)}};
    address.bytes[2] = (uint8_t)(i % 250);
    WITHOUT_MEMORY(side, troupe_block_list_add_subnet(lists[1], &address, 24));
  }
  WITHOUT_MEMORY(side, troupe_server_set_block_list(scene->server, lists[1]));
  troupe_block_list_free(&lists[1]);
  WITHOUT_MEMORY(side, troupe_server_set_max_per_address(scene->server, 9, 64));
  WITHOUT_MEMORY(side, troupe_server_get_counts(scene->server, note_counts, side));
  return troupe_actor_run();
}

static void limits_without_memory_are_set_later(void **state) {
  (void)state;
  scene_t scene = {0};
  run_actor(limit_without_memory, &scene);
  assert_int_equal(scene.server_side.result, 0);
  assert_true(scene.server_side.step > 10 || !OWN_MALLOC);
  assert_log(scene.server_side, "listening counts:0 close ");
}

static void look_up(troupe_socket_t socket, const char *host, int family, unsigned hints,
                    void *context) {
  (void)host;
  (void)family;
  (void)hints;
  side_t *side = context;
  WITHOUT_MEMORY(side, troupe_socket_answer_lookup(socket, 0, &side->scene->address, 1));
}

static void start_lookup_without_memory(side_t *side, const char *event) {
  (void)event;
  troupe_connect_options_t options = {
      .host = "name", .port = side->scene->address.port, .lookup = look_up, .lookup_context = side};
  options.auto_select_family = TROUPE_OFF; // a default would go into the trace, which has no memory
  WITHOUT_MEMORY(side, troupe_socket_new(&(troupe_socket_options_t){.timeout_ms = 100000},
                                         &scene_handlers, side, &side->socket));
  WITHOUT_MEMORY(side, troupe_socket_connect(side->socket, &options));
  WITHOUT_MEMORY(side, troupe_socket_write(side->socket, "early", 5, scene_on_written, side));
  WITHOUT_MEMORY(side, troupe_socket_end(side->socket, scene_on_finished, side));
}

static void a_look_up_without_memory_is_made_later(void **state) {
  (void)state;
  scene_t scene = {.start = start_lookup_without_memory};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "name:lookup attempt connect ready written finished end close ");
  assert_string_equal(scene.accepted.last, "early");
}

static void pause_without_memory(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_pause(side->socket);
    fail_size = sizeof(trp_unread_t);
  } else if (is(event, "close!")) {
    fail_size = 0;
  }
}

static void write_to_it(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_connect(&side->scene->connect_options, NULL, &scene_handlers, side, &side->socket);
    troupe_socket_write(side->socket, "hello", 5, NULL, NULL);
  }
}

/* It may be that the pause overtook the bytes; then there is nothing to keep, and the socket is
 * destroyed by the timer. */
static void give_up(troupe_timer_t timer, void *context) {
  (void)timer;
  side_t *side = context;
  fail_size = 0;
  if (troupe_socket_destroy(side->socket, TROUPE_ENOMEM) == 0) {
    side->step++;
  }
}

static void pause_without_memory_for_a_while(side_t *side, const char *event) {
  pause_without_memory(side, event);
  if (is(event, "accepted")) {
    troupe_timer_start(NULL, 100, 0, give_up, side);
  }
}

static void bytes_that_cannot_be_kept_end_the_socket(void **state) {
  (void)state;
  scene_t scene = {.start = write_to_it, .accepted.hook = pause_without_memory_for_a_while};
  play(&scene);
  assert_log(scene.accepted, "ENOMEM:error close! ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_call_without_memory_has_done_nothing),
      trp_test(a_give_without_memory_is_made_later),
      trp_test(a_server_without_memory_listens_later),
      trp_test(limits_without_memory_are_set_later),
      trp_test(a_look_up_without_memory_is_made_later),
      trp_test(bytes_that_cannot_be_kept_end_the_socket),
  };
  return TRP_RUN_TESTS("memory", tests);
}
