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

static void several_io_actors_are_sound_too(void **state) {
  (void)state;
  const troupe_sim_options_t options = {.hosts = hosts, .host_count = 1, .io_threads = 3};
  uint64_t seeds = trp_test_slow() > 1 ? 30 : 300;
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    workload_t load = {.servers = 2, .clients = 3, .rounds = 2, .most = 50000, .host = "service"};
    troupe_sim_report_t report;
    expect_sound(&options, seed, &load, &report);
  }
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

/* The actors that die are closed by the I/O actor; those that live find others, or end. */
static void actors_that_die_leave_nothing_behind(void **state) {
  (void)state;
  const troupe_sim_options_t options = {
      .hosts = hosts, .host_count = 1, .faults = TROUPE_FAULT_DEAD_ACTOR | TROUPE_FAULT_DELAY};
  uint64_t died = 0;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    workload_t load = {.servers = 8,
                       .clients = 3,
                       .rounds = 2,
                       .most = 50000,
                       .host = "service",
                       .servers_die = true};
    troupe_sim_report_t report;
    int result = troupe_sim_run(&options, seed, workload_start, &load, &report);
    // Without any server left the clients try for ever: that is found, and nothing else.
    if (result != 0 && strstr(report.text, "these have not ended") == NULL) {
      print_error("%s\n", report.text);
      fail();
    }
    died += report.faults;
  }
  assert_true(died > 0);
}

static int record_and_start(troupe_system_t *system, void *context) {
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  int error = troupe_record_start(system, &options);
  return error == 0 ? workload_start(system, context) : error;
}

static void an_actor_that_died_dies_in_a_replay_too(void **state) {
  (void)state;
  const troupe_sim_options_t options = {
      .hosts = hosts, .host_count = 1, .faults = TROUPE_FAULT_DEAD_ACTOR, .keep_faults = true};
  unsigned died = 0;
  for (uint64_t seed = 1; seed <= 100 && died < (trp_test_slow() > 1 ? 1U : 3U); seed++) {
    workload_t load = {.servers = 3,
                       .clients = 2,
                       .rounds = 2,
                       .most = 20000,
                       .host = "service",
                       .servers_die = true};
    troupe_sim_run(&options, seed, record_and_start, &load, NULL);
    for (unsigned i = 0; i < load.servers; i++) {
      char path[512];
      troupe_replay_report_t report;
      snprintf(path, sizeof path, "%s/server-%u.trace", trp_test_folder(), i);
      int verdict = troupe_replay(workload_server, NULL, path, &report);
      if (verdict != 0) {
        print_error("seed %llu, %s\n", (unsigned long long)seed, report.text);
        fail();
      }
      died += report.status == TROUPE_ECANCELED;
    }
  }
  assert_true(died > 0);
}

static void planted_bugs_are_found(void **state) {
  (void)state;
  static const struct {
    bug_t bug;
    const char *name;
  } bugs[] = {{FORGETS_DRAIN, "forgets drain"},
              {DROPS_REFUSED, "drops what was refused"},
              {ANSWERS_LAST_FIRST, "answers the last piece first"},
              {KEEPS_NO_HALF, "ends with the peer"},
              {COUNTS_ONCE, "believes in whole messages"}};
  const troupe_sim_options_t options = {.hosts = hosts, .host_count = 1};
  for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
    int result = 0;
    troupe_sim_report_t report;
    for (uint64_t seed = 1; seed <= 200 && result == 0; seed++) {
      workload_t load = {.servers = 1,
                         .clients = 2,
                         .rounds = 2,
                         .most = 50000,
                         .host = "service",
                         .bug = bugs[i].bug};
      result = troupe_sim_run(&options, seed, workload_start, &load, &report);
    }
    if (result != TROUPE_EUNSOUND) {
      fail_msg("a handler that %s was not found", bugs[i].name);
    }
    // What it takes is what it took: the run with those faults alone fails as well.
    troupe_sim_options_t fewer = options;
    fewer.faults = report.faults_needed == 0 ? (uint32_t)TROUPE_FAULT_NONE : report.faults_needed;
    fewer.fault_limit = report.fault_limit_needed;
    workload_t load = {.servers = 1,
                       .clients = 2,
                       .rounds = 2,
                       .most = 50000,
                       .host = "service",
                       .bug = bugs[i].bug};
    assert_int_equal(troupe_sim_run(&fewer, report.seed, workload_start, &load, NULL),
                     TROUPE_EUNSOUND);
  }
}

/* The recording shows the actor as it was when the run failed, and replays without the simulator. */
static void a_run_that_fails_leaves_a_trace_that_replays(void **state) {
  (void)state;
  char path[512];
  const troupe_sim_options_t options = {
      .hosts = hosts, .host_count = 1, .trace_directory = trp_test_folder()};
  int result = 0;
  troupe_sim_report_t report;
  for (uint64_t seed = 1; seed <= 200 && result == 0; seed++) {
    workload_t load = {.servers = 1,
                       .clients = 2,
                       .rounds = 2,
                       .most = 50000,
                       .host = "service",
                       .bug = FORGETS_DRAIN};
    result = troupe_sim_run(&options, seed, workload_start, &load, &report);
    if (result != 0) {
      snprintf(path, sizeof path, "%s/server-0.trace", trp_test_folder());
      troupe_replay_report_t replayed;
      int verdict = troupe_replay(workload_server, NULL, path, &replayed);
      assert_string_equal(verdict == 0 ? "" : replayed.text, "");
      assert_true(replayed.events > 0);
    }
  }
  assert_int_equal(result, TROUPE_EUNSOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_world_without_faults_does_its_work),
      trp_test_that_leaves_nothing(many_seeds_with_faults_are_sound),
      trp_test_that_leaves_nothing(several_io_actors_are_sound_too),
      trp_test_that_leaves_nothing(a_seed_gives_the_same_run_again),
      trp_test_that_leaves_nothing(actors_that_die_leave_nothing_behind),
      trp_test_that_leaves_nothing(an_actor_that_died_dies_in_a_replay_too),
      trp_test_that_leaves_nothing(planted_bugs_are_found),
      trp_test_that_leaves_nothing(a_run_that_fails_leaves_a_trace_that_replays),
  };
  return TRP_RUN_TESTS("sim/sim", tests);
}
