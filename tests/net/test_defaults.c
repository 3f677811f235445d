/* The defaults of family autoselection: one set of them for all the actors of a system. */
#include <stdio.h>
#include <troupe/troupe.h>

#include "tests/harness/harness.h"

static troupe_system_t *system_of_all;

static void run(troupe_main_fn main, void *argument) {
  troupe_actor_t actor;
  int status = -1;
  assert_int_equal(troupe_spawn(system_of_all,
                                &(troupe_spawn_options_t){.main = main, .argument = argument},
                                &actor),
                   0);
  assert_int_equal(troupe_actor_join(system_of_all, actor, 5000 * trp_test_slow(), &status), 0);
  assert_int_equal(status, 0);
}

static int set_up(void **state) {
  (void)state;
  return troupe_system_new(NULL, &system_of_all);
}

static int tear_down(void **state) {
  (void)state;
  return troupe_system_wait(system_of_all, 5000, NULL, 0, NULL) == 0
             ? troupe_system_free(&system_of_all)
             : -1;
}

typedef struct {
  int selects;
  int timeout_ms;
} seen_t;

static int look(void *argument) {
  seen_t *seen = argument;
  seen->selects = troupe_get_default_auto_select_family();
  seen->timeout_ms = troupe_get_default_auto_select_family_attempt_timeout();
  return troupe_actor_run();
}

static int turn_off(void *argument) {
  (void)argument;
  int error = troupe_set_default_auto_select_family(false);
  return error != 0 ? error : troupe_set_default_auto_select_family_attempt_timeout(20);
}

// parity: auto.1 auto.3
static void they_are_on_and_250_at_the_start(void **state) {
  (void)state;
  seen_t seen = {0};
  run(look, &seen);
  assert_int_equal(seen.selects, 1);
  assert_int_equal(seen.timeout_ms, 250);
}

// parity: auto.2 auto.4
static void what_one_actor_sets_another_sees(void **state) {
  (void)state;
  seen_t seen = {0};
  run(turn_off, NULL);
  run(look, &seen);
  assert_int_equal(seen.selects, 0);
  assert_int_equal(seen.timeout_ms, 20);
}

static int set_timeouts(void *argument) {
  int *results = argument;
  results[0] = troupe_set_default_auto_select_family_attempt_timeout(1);
  results[1] = troupe_get_default_auto_select_family_attempt_timeout();
  results[2] = troupe_set_default_auto_select_family_attempt_timeout(0);
  results[3] = troupe_set_default_auto_select_family_attempt_timeout(2147483648U);
  results[4] = troupe_set_default_auto_select_family_attempt_timeout(2147483647U);
  results[5] = troupe_get_default_auto_select_family_attempt_timeout();
  return 0;
}

// parity: auto.4
static void a_timeout_is_10_at_least_and_within_range(void **state) {
  (void)state;
  int results[6] = {0};
  run(set_timeouts, results);
  assert_int_equal(results[0], 0);
  assert_int_equal(results[1], 10);
  assert_int_equal(results[2], TROUPE_ERR_OUT_OF_RANGE);
  assert_int_equal(results[3], TROUPE_ERR_OUT_OF_RANGE);
  assert_int_equal(results[4], 0);
  assert_int_equal(results[5], 2147483647);
}

static void a_thread_that_is_no_actor_has_none(void **state) {
  (void)state;
  assert_int_equal(troupe_get_default_auto_select_family(), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_set_default_auto_select_family(true), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_get_default_auto_select_family_attempt_timeout(), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_set_default_auto_select_family_attempt_timeout(20), TROUPE_EWRONGTHREAD);
}

// What the actor does depends on a default that another one sets meanwhile, so it is in the trace.
static int answer_by_the_defaults(void *argument) {
  (void)argument;
  return troupe_get_default_auto_select_family() == 1
             ? troupe_get_default_auto_select_family_attempt_timeout()
             : 7;
}

static void a_replay_sees_the_defaults_of_the_recording(void **state) {
  (void)state;
  run(turn_off, NULL);
  assert_int_equal(troupe_record_start(system_of_all,
                                       &(troupe_record_options_t){.directory = trp_test_folder()}),
                   0);
  troupe_actor_t actor;
  int status = 0;
  assert_int_equal(
      troupe_spawn(system_of_all,
                   &(troupe_spawn_options_t){.main = answer_by_the_defaults, .name = "it"}, &actor),
      0);
  assert_int_equal(troupe_actor_join(system_of_all, actor, 5000 * trp_test_slow(), &status), 0);
  assert_int_equal(status, 7);
  assert_int_equal(troupe_record_stop(system_of_all, NULL), 0);
  char path[256];
  (void)snprintf(path, sizeof path, "%s/it-0.trace", trp_test_folder());
  troupe_replay_report_t report;
  assert_int_equal(troupe_replay(answer_by_the_defaults, NULL, path, &report), 0);
  assert_int_equal(report.status, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_with(they_are_on_and_250_at_the_start, set_up, tear_down),
      trp_test_with(what_one_actor_sets_another_sees, set_up, tear_down),
      trp_test_with(a_timeout_is_10_at_least_and_within_range, set_up, tear_down),
      trp_test_with(a_thread_that_is_no_actor_has_none, set_up, tear_down),
      trp_test_with(a_replay_sees_the_defaults_of_the_recording, set_up, tear_down),
  };
  return TRP_RUN_TESTS("defaults", tests);
}
