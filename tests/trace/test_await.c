// Waiting for a server to listen: what the wait gave, in time or not, is the same in a replay.
#include <stdio.h>
#include <troupe/cmocka.h>

#include "tests/support/service.h"

enum { LIMIT_MS = 10000, TIMES = 10 };

// What it does next depends on what the wait gave.
static int impatient_actor(void *argument) {
  (void)argument;
  static const troupe_server_handlers_t handlers = {0};
  troupe_server_t server;
  int error = troupe_server_new(NULL, &handlers, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_port(server, 0, "127.0.0.1", 0);
  }
  if (error < 0) {
    return error;
  }
  int waits = 1;
  while (troupe_server_listen_wait(server, 0) == TROUPE_ETIMEDOUT) {
    waits++;
    troupe_server_set_max_connections(server, waits);
  }
  error = troupe_server_close(server);
  return error < 0 ? error : troupe_actor_run();
}

static int listen_and_close(const char *folder) {
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  assert_int_equal(troupe_record_start(system, &(troupe_record_options_t){.directory = folder}), 0);
  troupe_actor_t actor;
  assert_int_equal(
      troupe_spawn(system, &(troupe_spawn_options_t){.name = "impatient", .main = impatient_actor},
                   &actor),
      0);
  int status = -1;
  assert_int_equal(troupe_actor_join(system, actor, LIMIT_MS * trp_test_slow(), &status), 0);
  assert_int_equal(troupe_record_stop(system, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
  return status;
}

static void a_wait_that_timed_out_times_out_in_the_replay(void **state) {
  (void)state;
  for (int i = 0; i < TIMES; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/%d", trp_test_folder(), i);
    assert_int_equal(listen_and_close(path), 0);
    snprintf(path, sizeof path, "%s/%d/impatient-0.trace", trp_test_folder(), i);
    troupe_assert_replays(impatient_actor, NULL, path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {trp_test(a_wait_that_timed_out_times_out_in_the_replay)};
  return TRP_RUN_TESTS("trace/await", tests);
}
