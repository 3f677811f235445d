// Recording can begin and end while the actors go on.
#include <pthread.h>
#include <stdio.h>
#include <string.h>
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

// ---- Under load ----

enum { TALKERS = 3, CONNECTIONS = 4, LIMIT_MS = 10000 };

typedef struct {
  atomic_bool *over;
  atomic_uint *rounds; // of all talkers
  int fds[CONNECTIONS];
  bool wrong;
} talker_t;

// Says something over each of its connections and waits for all the answers, again and again.
static void *talk(void *argument) {
  talker_t *talker = argument;
  char said[3000], heard[sizeof said];
  memset(said, 'x', sizeof said);
  for (size_t length = 1; !atomic_load(talker->over) && !talker->wrong;
       length = length % 2999 + 1) {
    for (int i = 0; i < CONNECTIONS; i++) {
      talker->wrong |= trp_test_send(talker->fds[i], said, length, LIMIT_MS) != 0;
    }
    for (int i = 0; i < CONNECTIONS; i++) {
      talker->wrong |= trp_test_receive(talker->fds[i], heard, length, LIMIT_MS) != (ssize_t)length;
    }
    atomic_fetch_add(talker->rounds, 1);
  }
  return NULL;
}

static bool goes_on(void *argument) {
  atomic_uint **both = argument;
  return atomic_load(both[0]) >= atomic_load(both[1]);
}

static void wait_for_rounds(atomic_uint *rounds, unsigned more) {
  atomic_uint goal = atomic_load(rounds) + more;
  assert_true(trp_test_wait_until(goes_on, (atomic_uint *[]){rounds, &goal}, LIMIT_MS));
}

// Every trace of a folder can be read to its end. Returns how many data events they hold.
static unsigned count_data(const char *folder, unsigned actors) {
  unsigned count = 0;
  for (unsigned i = 0; i < actors; i++) {
    char path[256];
    troupe_trace_t *trace = NULL;
    troupe_trace_entry_t entry;
    snprintf(path, sizeof path, "%s/echo-%u.trace", folder, i);
    assert_int_equal(troupe_trace_open(path, &trace), 0);
    int result = troupe_trace_next(trace, &entry);
    for (; result == 1; result = troupe_trace_next(trace, &entry)) {
      count += strcmp(entry.kind, "data") == 0;
    }
    assert_int_equal(result, 0);
    troupe_trace_free(&trace);
  }
  return count;
}

static void recording_begins_and_ends_many_times_under_load(void **state) {
  (void)state;
  enum { ACTORS = 3, TIMES = 12 };
  test_service_t service = {.io_threads = 2};
  talker_t talkers[TALKERS];
  pthread_t threads[TALKERS];
  atomic_bool over = false;
  atomic_uint rounds = 0;
  const char *folder = trp_test_folder();
  char flight_path[256];
  snprintf(flight_path, sizeof flight_path, "%s/flight", folder);
  test_service_start(&service, ACTORS);
  for (int i = 0; i < TALKERS; i++) {
    talkers[i] = (talker_t){.over = &over, .rounds = &rounds};
    for (int k = 0; k < CONNECTIONS; k++) {
      talkers[i].fds[k] = test_service_connect(&service);
    }
    assert_int_equal(pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
  }
  for (int i = 0; i < TIMES; i++) {
    troupe_record_report_t report;
    const troupe_record_options_t options = {.directory = folder, .running = true};
    const troupe_flight_options_t flight = {.path = flight_path};
    bool flies = i % 2 == 1;
    if (flies) {
      assert_int_equal(troupe_flight_start(service.system, &flight), 0);
    }
    assert_int_equal(troupe_record_start(service.system, &options), 0);
    wait_for_rounds(&rounds, TALKERS * 3);
    assert_int_equal(troupe_record_stop(service.system, &report), 0);
    assert_int_equal(report.error, 0);
    assert_int_equal(report.actors, ACTORS);
    assert_true(count_data(folder, ACTORS) > 0);
    wait_for_rounds(&rounds, TALKERS);
    if (flies) {
      assert_int_equal(troupe_flight_stop(service.system), 0);
    }
  }
  atomic_store(&over, true);
  for (int i = 0; i < TALKERS; i++) {
    pthread_join(threads[i], NULL);
    assert_false(talkers[i].wrong);
    for (int k = 0; k < CONNECTIONS; k++) {
      test_service_echoes(talkers[i].fds[k]);
      trp_test_close(talkers[i].fds[k]);
    }
  }
  test_service_stop(&service);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(recording_that_ends_under_a_running_service_leaves_traces_that_replay),
      trp_test(recording_begins_and_ends_many_times_under_load),
  };
  return TRP_RUN_TESTS("trace/stop", tests);
}
