// A peer that resets the connection, whatever state the socket is in: the true error, once, and
// then the close.
#include <string.h>

#include "tests/support/service.h"

enum { LIMIT_MS = 10000, MUCH = 8 * 1024 * 1024 };

typedef enum { READING, PAUSED, ENDED, WRITING, HALF_OPEN, STATES } in_state_t;

typedef struct {
  in_state_t state;
  atomic_int port;
  atomic_int errors, closes, code, had_error, ends;
  char syscall[32], name[32];
} scene_t;

static void prepare(troupe_socket_t socket, scene_t *scene) {
  static char much[MUCH];
  switch (scene->state) {
  case PAUSED:
    troupe_socket_pause(socket);
    break;
  case ENDED:
    troupe_socket_end(socket, NULL, NULL);
    break;
  case WRITING:
    troupe_socket_write(socket, much, sizeof much, NULL, NULL);
    break;
  default:
    break;
  }
}

static void on_end(troupe_socket_t socket, void *context) {
  scene_t *scene = context;
  (void)socket;
  atomic_fetch_add(&scene->ends, 1);
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  scene_t *scene = context;
  (void)socket;
  atomic_store(&scene->code, error->code);
  strncpy(scene->syscall, error->syscall == NULL ? "" : error->syscall, sizeof scene->syscall - 1);
  strncpy(scene->name, error->name, sizeof scene->name - 1);
  atomic_fetch_add(&scene->errors, 1);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  scene_t *scene = context;
  (void)socket;
  atomic_store(&scene->had_error, had_error);
  atomic_fetch_add(&scene->closes, 1);
  troupe_actor_end(0);
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)socket;
  (void)chunk;
  (void)context;
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_end = on_end, .on_error = on_error, .on_close = on_close};
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, context);
  troupe_socket_write(socket, "x", 1, NULL, NULL);
  prepare(socket, context);
}

static int server_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  scene_t *scene = argument;
  const troupe_server_options_t options = {.allow_half_open = scene->state == HALF_OPEN};
  int error = test_listen(&options, &handlers, scene, NULL, &scene->port);
  return error < 0 ? error : troupe_actor_run();
}

static void a_reset_in_every_state_is_told_with_its_true_error(void **unused) {
  (void)unused;
  for (in_state_t state = READING; state < STATES; state++) {
    scene_t scene = {.state = state};
    troupe_system_t *system = NULL;
    troupe_actor_t actor;
    assert_int_equal(troupe_system_new(NULL, &system), 0);
    assert_int_equal(troupe_spawn(system,
                                  &(troupe_spawn_options_t){
                                      .name = "server", .main = server_actor, .argument = &scene},
                                  &actor),
                     0);
    int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&scene.port), LIMIT_MS);
    assert_true(fd >= 0);
    char sign = 0;
    assert_int_equal(trp_test_receive(fd, &sign, 1, LIMIT_MS), 1);
    if (state == ENDED) { // its FIN has come, so that it is in that state for sure
      assert_int_equal(trp_test_receive(fd, &sign, 1, LIMIT_MS), 0);
    }
    if (state == HALF_OPEN) {
      assert_int_equal(trp_test_end(fd), 0);
    }
    trp_test_reset(fd);
    if (state == HALF_OPEN) {
      // Nothing is read any more after the end, and nothing is written: only a stop ends this one.
      assert_int_equal(troupe_actor_stop(system, actor, 0), 0);
    }
    assert_int_equal(troupe_actor_join(system, actor, LIMIT_MS * trp_test_slow(), NULL), 0);
    assert_int_equal(atomic_load(&scene.closes), 1);
    if (state != HALF_OPEN) {
      assert_int_equal(atomic_load(&scene.errors), 1);
      assert_int_equal(atomic_load(&scene.had_error), 1);
      // A write that goes on at that very moment may be the first to see it.
      bool in_write = state == WRITING && strcmp(scene.syscall, "write") == 0;
      if (!in_write || atomic_load(&scene.code) != TROUPE_EPIPE) {
        assert_int_equal(atomic_load(&scene.code), TROUPE_ECONNRESET);
        assert_string_equal(scene.name, "ECONNRESET");
      }
      assert_string_equal(scene.syscall, in_write ? "write" : "read");
      assert_int_equal(atomic_load(&scene.ends), 0);
    }
    assert_int_equal(troupe_system_free(&system), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {trp_test(a_reset_in_every_state_is_told_with_its_true_error)};
  return TRP_RUN_TESTS("service/resets", tests);
}
