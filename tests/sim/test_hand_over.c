// Connections that are handed around among four actors in simulated worlds.
#include <string.h>
#include <troupe/cmocka.h>

#include "tests/sim/worlds.h"

static void thousand_seeds_of_connections_handed_around_lose_nothing(void **state) {
  (void)state;
  const world_t *world = find_world("hand_over");
  uint64_t seeds = trp_test_slow() > 1 ? 50 : 1000;
  hand_over_counts.handed = 0;
  troupe_assert_simulates(&world->options, 1, seeds, world->start, NULL);
  assert_true(hand_over_counts.handed > 10 * seeds);
}

static void several_io_actors_lose_nothing_either(void **state) {
  (void)state;
  const world_t *world = find_world("hand_over");
  troupe_sim_options_t options = world->options;
  options.io_threads = 3;
  troupe_assert_simulates(&options, 1, trp_test_slow() > 1 ? 30 : 300, world->start, NULL);
}

/* Without any of the four left the clients try for ever: that is found, and nothing else. */
static void receivers_that_die_take_only_their_own_with_them(void **state) {
  (void)state;
  const world_t *world = find_world("hand_over");
  troupe_sim_options_t options = world->options;
  options.faults = TROUPE_FAULT_DEAD_ACTOR | TROUPE_FAULT_DELAY;
  hand_over_counts.kept = 0;
  for (uint64_t seed = 1; seed <= (trp_test_slow() > 1 ? 20U : 200U); seed++) {
    troupe_sim_report_t report;
    int result = troupe_sim_run(&options, seed, world->start, NULL, &report);
    if (result != 0 && strstr(report.text, "these have not ended") == NULL) {
      print_error("%s\n", report.text);
      fail();
    }
  }
  assert_true(hand_over_counts.kept > 0 || trp_test_slow() > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(thousand_seeds_of_connections_handed_around_lose_nothing),
      trp_test_that_leaves_nothing(several_io_actors_lose_nothing_either),
      trp_test_that_leaves_nothing(receivers_that_die_take_only_their_own_with_them),
  };
  return TRP_RUN_TESTS("sim/hand_over", tests);
}
