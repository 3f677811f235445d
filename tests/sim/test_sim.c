// Runs of whole worlds.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/workload.h"

static const troupe_sim_host_t hosts[] = {{"service", "10.0.0.1 fd00::1"}};

static void expect_sound(const troupe_sim_options_t *options, uint64_t seed, workload_t *load,
                         troupe_sim_report_t *report) {
  int result = troupe_sim_run(options, seed, workload_start, load, report);
  if (result != 0) {
    print_error("%s: %s\n", troupe_error_name(result), report->text);
    fail();
  }
}

static void a_world_without_faults_does_its_work(void **state) {
  (void)state;
  const troupe_sim_options_t options = {
      .faults = TROUPE_FAULT_NONE, .hosts = hosts, .host_count = 1};
  workload_t load = {.servers = 2, .clients = 3, .rounds = 3, .most = 100000, .host = "service"};
  troupe_sim_report_t report;
  expect_sound(&options, 1, &load, &report);
  assert_int_equal(report.faults, 0);
  assert_true(report.connections >= 9);
}

static void many_seeds_with_faults_are_sound(void **state) {
  (void)state;
  const troupe_sim_options_t options = {.hosts = hosts, .host_count = 1};
  uint64_t seeds = trp_test_slow() > 1 ? 30 : 300, faults = 0;
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    workload_t load = {.servers = 2, .clients = 3, .rounds = 2, .most = 50000, .host = "service"};
    troupe_sim_report_t report;
    expect_sound(&options, seed, &load, &report);
    faults += report.faults;
  }
  assert_true(faults > seeds);
}

static void a_seed_gives_the_same_run_again(void **state) {
  (void)state;
  const troupe_sim_options_t options = {.hosts = hosts, .host_count = 1};
  for (uint64_t seed = 100; seed < 110; seed++) {
    workload_t load = {.servers = 2, .clients = 3, .rounds = 2, .most = 50000, .host = "service"};
    troupe_sim_report_t first, second;
    expect_sound(&options, seed, &load, &first);
    expect_sound(&options, seed, &load, &second);
    assert_memory_equal(&first, &second, sizeof first);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_world_without_faults_does_its_work),
      trp_test_that_leaves_nothing(many_seeds_with_faults_are_sound),
      trp_test_that_leaves_nothing(a_seed_gives_the_same_run_again),
  };
  return TRP_RUN_TESTS("sim/sim", tests);
}
