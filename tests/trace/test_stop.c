// Recording can end while the actors go on.
#include <stdio.h>
#include <troupe/cmocka.h>

#include "tests/support/service.h"

static void recording_that_ends_under_a_running_service_leaves_traces_that_replay(void **state) {
  (void)state;
  test_service_t service = {.copies = 2};
  assert_int_equal(troupe_system_new(NULL, &service.system), 0);
  const char *folder = trp_test_folder();
  assert_int_equal(
      troupe_record_start(service.system, &(troupe_record_options_t){.directory = folder}), 0);
  assert_int_equal(
      troupe_record_start(service.system, &(troupe_record_options_t){.directory = folder}),
      TROUPE_EALREADY);
  assert_int_equal(
      troupe_spawn(service.system,
                   &(troupe_spawn_options_t){
                       .name = "echo", .main = test_echo_actor, .argument = &service, .copies = 2},
                   service.actors),
      0);
  int before = test_service_connect(&service);
  test_service_echoes(before);
  troupe_record_report_t report;
  assert_int_equal(troupe_record_stop(service.system, &report), 0);
  assert_int_equal(report.actors, 2);
  assert_int_equal(report.error, 0);
  assert_int_equal(troupe_record_stop(service.system, NULL), TROUPE_ESTALE);

  // The service did not notice.
  int after = test_service_connect(&service);
  test_service_echoes(before);
  test_service_echoes(after);
  trp_test_close(before);
  trp_test_close(after);
  test_service_stop(&service);

  test_service_t replayed = {.copies = 2};
  for (int i = 0; i < 2; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/echo-%d.trace", folder, i);
    troupe_assert_replays(test_echo_actor, &replayed, path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(recording_that_ends_under_a_running_service_leaves_traces_that_replay)};
  return TRP_RUN_TESTS("trace/stop", tests);
}
