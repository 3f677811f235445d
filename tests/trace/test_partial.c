#include "tests/harness/harness.h"

#include <ctype.h>
#include <string.h>
#include <troupe/cmocka.h>
#include <troupe/troupe.h>

#include "tests/support/relay.h"
#include "tests/trace/tape.h"

// Traces that are not complete, of actors that make connections themselves or are handed some. What
// is replayed is the same or another handler: the same one may never differ, however the trace was
// cut, and another one must, where there is anything whole that it does otherwise.

enum { LIMIT_MS = 20000 };

static const char *trace_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s.trace", trp_test_folder(), name);
  return path;
}

// ---- The service, and who talks to it ----

static void begin_service(unsigned io_actors) {
  const troupe_system_options_t options = {.io_threads = io_actors};
  const troupe_spawn_options_t echo = {.main = relay_echo_main, .name = "echo"};
  relay.manner = RELAY_SAME;
  assert_int_equal(troupe_system_new(&options, &relay.system), 0);
  assert_int_equal(troupe_spawn(relay.system, &echo, NULL), 0);
}

static void spawn(const char *name, troupe_main_fn main_function) {
  const troupe_spawn_options_t options = {.main = main_function, .name = name};
  assert_int_equal(troupe_spawn(relay.system, &options, &relay.worker), 0);
}

static void record(troupe_record_options_t options) {
  static const char *const names[] = {"proxy", "worker", NULL};
  options.directory = trp_test_folder();
  options.names = names;
  assert_int_equal(troupe_record_start(relay.system, &options), 0);
}

static void end_service(void) {
  assert_int_equal(troupe_system_stop(relay.system, 5000), 0);
  assert_int_equal(troupe_system_wait(relay.system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&relay.system), 0);
}

static void say(int fd, const char *text) {
  char said[256];
  size_t length = strlen(text);
  assert_int_equal(trp_test_send(fd, text, length, LIMIT_MS), 0);
  assert_int_equal(trp_test_receive(fd, said, length, LIMIT_MS), length);
  assert_int_equal(said[0], toupper((unsigned char)text[0]));
}

static int open_talk(const char *text) {
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&relay.port), LIMIT_MS);
  assert_true(fd >= 0);
  say(fd, text);
  return fd;
}

static void end_talk(int fd) {
  char said[16];
  assert_int_equal(trp_test_end(fd), 0);
  assert_int_equal(trp_test_receive_to_end(fd, said, sizeof said, LIMIT_MS), 0);
  trp_test_close(fd);
}

/// Some of them at once, so that batches have events of several.
static void talk_at_once(int count) {
  int fds[8];
  for (int i = 0; i < count; i++) {
    fds[i] = trp_test_connect_tcp("127.0.0.1", atomic_load(&relay.port), LIMIT_MS);
    assert_true(fds[i] >= 0);
  }
  for (int i = 0; i < count; i++) {
    say(fds[i], "hello, who is there?");
  }
  for (int i = 0; i < count; i++) {
    end_talk(fds[i]);
  }
}

static void record_all(unsigned io_actors) {
  begin_service(io_actors);
  record((troupe_record_options_t){0});
  spawn("proxy", relay_proxy_main);
  end_talk(open_talk("the first"));
  talk_at_once(3);
  int long_one = open_talk("the long one");
  say(long_one, "later");
  talk_at_once(4);
  say(long_one, "more of it");
  end_talk(long_one);
  end_talk(open_talk("the last"));
  end_service();
}

static const troupe_replay_options_t exact;
static const troupe_replay_options_t stream = {.verdict = TROUPE_VERDICT_STREAM};

static int replay(relay_manner_t how, troupe_main_fn main_function, const char *path,
                  troupe_replay_options_t options, troupe_replay_report_t *report) {
  relay.manner = how;
  int result = troupe_replay_with(main_function, NULL, path, &options, report);
  relay.manner = RELAY_SAME;
  return result;
}

static void check(int expected, int result, const troupe_replay_report_t *report) {
  if (result != expected) {
    fprintf(stderr, "%d instead of %d:\n%s", result, expected, report->text);
  }
  assert_int_equal(result, expected);
}

static void says(const troupe_replay_report_t *report, const char *text) {
  if (strstr(report->text, text) == NULL) {
    fprintf(stderr, "\"%s\" is not in:\n%s", text, report->text);
    fail();
  }
}

/// Every handler that is another one is found.
static void others_differ(troupe_main_fn main_function, const char *path) {
  troupe_replay_report_t report;
  check(TROUPE_EDIFFERS, replay(RELAY_OTHER_BYTE, main_function, path, exact, &report), &report);
  says(&report, "\"?\"");
  check(TROUPE_EDIFFERS, replay(RELAY_OTHER_BYTE, main_function, path, stream, &report), &report);
  check(TROUPE_EDIFFERS, replay(RELAY_NOT_AT_ALL, main_function, path, exact, &report), &report);
  says(&report, "expected: connect ");
  says(&report, "got:      nothing");
  check(TROUPE_EDIFFERS, replay(RELAY_NOT_AT_ALL, main_function, path, stream, &report), &report);
  check(TROUPE_EDIFFERS, replay(RELAY_TWICE, main_function, path, exact, &report), &report);
  says(&report, "makes a connection that it did not make");
  check(TROUPE_EDIFFERS, replay(RELAY_TWICE, main_function, path, stream, &report), &report);
  check(TROUPE_EDIFFERS, replay(RELAY_OTHER_OPTION, main_function, path, exact, &report), &report);
  says(&report, "no_delay");
  check(0, replay(RELAY_OTHER_OPTION, main_function, path, stream, &report), &report);
  check(TROUPE_EDIFFERS, replay(RELAY_NO_END, main_function, path, exact, &report), &report);
  check(TROUPE_EDIFFERS, replay(RELAY_NO_END, main_function, path, stream, &report), &report);
}

// ---- Began late ----

static void record_late(unsigned io_actors) {
  begin_service(io_actors);
  spawn("proxy", relay_proxy_main);
  int early = open_talk("from before");
  int early_too = open_talk("from before, too");
  record((troupe_record_options_t){.running = true});
  end_talk(early);
  talk_at_once(4);
  int open = open_talk("until the end");
  say(early_too, "still here");
  assert_int_equal(troupe_record_stop(relay.system, NULL), 0);
  end_talk(early_too);
  end_talk(open);
  end_service();
}

static void of_a_proxy_recorded_from_the_middle_both_sides_are_replayed(void **state) {
  (void)state;
  for (unsigned io_actors = 1; io_actors <= 3; io_actors += 2) {
    troupe_replay_report_t report;
    record_late(io_actors);
    check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
    assert_int_equal(report.connections, 10);
    assert_int_equal(report.left_out, 4);
    says(&report, "of its 14 connections 10 are whole and were replayed: ");
    says(&report, " (whose beginning is missing).\n");
    check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), stream, &report), &report);
    others_differ(relay_proxy_main, trace_of("proxy-0"));
  }
}

static void of_a_share_of_its_connections_a_proxy_has_both_sides(void **state) {
  (void)state;
  troupe_replay_report_t report;
  begin_service(1);
  record((troupe_record_options_t){.one_connection_in = 3});
  spawn("proxy", relay_proxy_main);
  for (int i = 0; i < 30; i++) {
    int fd = open_talk("hello, chosen or not");
    say(fd, "later"); // timers are no reason to lose anything
    end_talk(fd);
  }
  end_service();
  check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
  assert_in_range(report.connections, 6, 40);
  assert_int_equal(report.connections % 2, 0);
  assert_int_equal(report.left_out, 0);
  others_differ(relay_proxy_main, trace_of("proxy-0"));
  check(TROUPE_EDIFFERS,
        replay(RELAY_SAME, relay_elsewhere_main, trace_of("proxy-0"), exact, &report), &report);
  says(&report, "expected: listen on ");
}

static void with_one_connection_goes_what_is_made_because_of_it(void **state) {
  (void)state;
  troupe_replay_report_t report;
  uint64_t id = 0;
  assert_int_equal(troupe_id_parse("1/3", &id), 0);
  begin_service(1);
  record((troupe_record_options_t){.connection = id});
  spawn("proxy", relay_proxy_main);
  for (int i = 0; i < 5; i++) {
    end_talk(open_talk("hello"));
  }
  end_service();
  check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
  assert_int_equal(report.connections, 2);
  assert_int_equal(report.left_out, 0);
  says(&report, "1/3, ");
}

// ---- Timers ----

static void what_timers_of_whole_connections_do_is_replayed(void **state) {
  (void)state;
  troupe_replay_report_t report;
  begin_service(1);
  spawn("proxy", relay_proxy_main);
  int early = open_talk("from before");
  say(early, "later"); // the ids of timers are others in the replay
  record((troupe_record_options_t){.running = true});
  say(early, "later");
  for (int i = 0; i < 3; i++) {
    int fd = open_talk("hello");
    say(fd, "later");
    say(fd, "later");
    say(early, "later");
    end_talk(fd);
  }
  end_talk(early);
  assert_int_equal(troupe_record_stop(relay.system, NULL), 0);
  end_service();
  check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
  assert_int_equal(report.connections, 6);
  assert_int_equal(report.left_out, 2);
  check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), stream, &report), &report);
  check(TROUPE_EDIFFERS,
        replay(RELAY_OTHER_LATER, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
  says(&report, "got:      write ");
  says(&report, "This is after event:");
  says(&report, "timer on ");
  check(TROUPE_EDIFFERS,
        replay(RELAY_OTHER_LATER, relay_proxy_main, trace_of("proxy-0"), stream, &report), &report);
}

static void what_a_timer_from_before_the_recording_moves_is_left_out(void **state) {
  (void)state;
  troupe_replay_report_t report;
  relay.beats = true;
  begin_service(1);
  spawn("proxy", relay_proxy_main);
  int early = open_talk("from before");
  say(early, "0beat");
  record((troupe_record_options_t){.running = true});
  end_talk(early);
  int moved = open_talk("hello");
  int other = open_talk("hello");
  say(moved, "0beat");
  say(other, "later");
  end_talk(moved);
  end_talk(other);
  assert_int_equal(troupe_record_stop(relay.system, NULL), 0);
  end_service();
  check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
  assert_int_equal(report.connections, 2);
  assert_int_equal(report.left_out, 4);
  says(&report, " (moved by something that is left out)");
  check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), stream, &report), &report);
  check(TROUPE_EDIFFERS,
        replay(RELAY_OTHER_LATER, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
  relay.beats = false;
}

// ---- Something is missing ----

/// At each place of the trace in turn so many records are missing. What is left may be nothing that
/// is whole; but the same handler never differs, and others do where there is something.
static void check_with_gaps(troupe_main_fn main_function, const char *path, bool knows_causes) {
  char with_gap[4200];
  snprintf(with_gap, sizeof with_gap, "%s.gap", path);
  trp_tape_t whole = trp_tape_load(path);
  int replayed = 0;
  for (size_t at = 1; at < whole.count; at += (size_t)trp_test_slow()) {
    for (size_t missing = 0; missing <= 9; missing += 3) {
      trp_tape_t tape = trp_tape_load(path);
      for (size_t i = 0; i < missing && at < tape.count; i++) {
        trp_tape_remove(&tape, at);
      }
      trp_tape_insert(&tape, at,
                      (trp_record_head_t){.type = TRP_RECORD_GAP, .length = 8, .subject = missing},
                      "12345678");
      tape.flags = TRP_TRACE_LOST;
      if (!knows_causes) {
        trp_tape_forget_causes(&tape);
      }
      trp_tape_save(&tape, with_gap);
      trp_tape_free(&tape);
      troupe_replay_report_t report;
      int result = replay(RELAY_SAME, main_function, with_gap, exact, &report);
      if (result == TROUPE_EINCOMPLETE) {
        assert_int_equal(report.connections, 0);
        continue;
      }
      check(0, result, &report);
      assert_true(report.connections > 0);
      replayed++;
      check(0, replay(RELAY_SAME, main_function, with_gap, stream, &report), &report);
      static const relay_manner_t others[] = {RELAY_OTHER_BYTE, RELAY_NOT_AT_ALL, RELAY_TWICE,
                                              RELAY_NO_END};
      relay_manner_t other = others[(at + missing) % 4];
      if (knows_causes || other == RELAY_OTHER_BYTE || other == RELAY_NO_END) {
        check(TROUPE_EDIFFERS, replay(other, main_function, with_gap, exact, &report), &report);
        check(TROUPE_EDIFFERS, replay(other, main_function, with_gap, stream, &report), &report);
      }
    }
  }
  assert_true(replayed > 0);
  trp_tape_free(&whole);
}

static void a_proxy_with_a_gap_anywhere_never_differs_from_itself(void **state) {
  (void)state;
  record_all(1);
  check_with_gaps(relay_proxy_main, trace_of("proxy-0"), true);
}

static void a_gap_says_which_pairs_it_spoilt(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_all(3);
  trp_tape_t tape = trp_tape_load(trace_of("proxy-0"));
  trp_tape_insert(&tape, tape.count / 2,
                  (trp_record_head_t){.type = TRP_RECORD_GAP, .length = 8, .subject = 3},
                  "12345678");
  tape.flags = TRP_TRACE_LOST;
  trp_tape_save(&tape, trace_of("proxy-0"));
  trp_tape_free(&tape);
  check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
  assert_int_equal(report.connections + report.left_out, 20);
  assert_in_range(report.left_out, 2, 10);
  says(&report, " (open where something is missing)");
  others_differ(relay_proxy_main, trace_of("proxy-0"));
}

static void of_an_older_trace_what_cannot_be_told_apart_is_left_out(void **state) {
  (void)state;
  record_all(1);
  check_with_gaps(relay_proxy_main, trace_of("proxy-0"), false);
}

static void split_and_merged_at_random_a_partial_trace_gives_the_same_verdict(void **state) {
  (void)state;
  trp_test_random_t random;
  trp_test_random_start(&random, 31);
  record_late(1);
  trp_tape_t tape = trp_tape_load(trace_of("proxy-0"));
  for (int i = 0; i < 1 + 40 / trp_test_slow(); i++) {
    troupe_replay_report_t report;
    trp_tape_shuffle(&tape, &random);
    trp_tape_save(&tape, trace_of("proxy-0"));
    check(0, replay(RELAY_SAME, relay_proxy_main, trace_of("proxy-0"), exact, &report), &report);
    assert_int_equal(report.connections, 10);
    others_differ(relay_proxy_main, trace_of("proxy-0"));
  }
  trp_tape_free(&tape);
}

// ---- A later part of a trace ----

static void check_parts(troupe_main_fn main_function) {
  troupe_replay_report_t report;
  begin_service(1);
  record((troupe_record_options_t){.file_bytes = 12 * 1024, .files = 100});
  spawn("proxy", main_function);
  int all_along = open_talk("all along");
  for (int i = 0; i < 12; i++) {
    talk_at_once(4);
    say(all_along, "still here");
  }
  end_talk(all_along);
  end_service();
  int parts = 0;
  for (int part = 2; part < 100; part++) {
    char name[64];
    snprintf(name, sizeof name, "proxy-0.part%d", part);
    FILE *file = fopen(trace_of(name), "rb");
    if (file == NULL) {
      break;
    }
    fclose(file);
    int result = replay(RELAY_SAME, main_function, trace_of(name), exact, &report);
    if (result == TROUPE_EINCOMPLETE) {
      continue; // a short one, the last
    }
    check(0, result, &report);
    says(&report, "an earlier file has what came before");
    assert_true(report.connections >= 2);
    assert_true(report.left_out >= 2);
    says(&report, "\nLeft out: ");
    check(0, replay(RELAY_SAME, main_function, trace_of(name), stream, &report), &report);
    check(TROUPE_EDIFFERS, replay(RELAY_OTHER_BYTE, main_function, trace_of(name), exact, &report),
          &report);
    parts++;
  }
  assert_true(parts >= 2);
}

static void a_later_part_alone_is_replayed_without_what_was_open_at_its_start(void **state) {
  (void)state;
  check_parts(relay_proxy_main);
}

// ---- What main asked for before anything was recorded ----

static void what_main_found_out_at_its_beginning_is_in_each_trace(void **state) {
  (void)state;
  troupe_replay_report_t report;
  check_parts(relay_asking_main);
  begin_service(1);
  spawn("proxy", relay_asking_main);
  end_talk(open_talk("not recorded"));
  troupe_actor_t answered[3];
  memcpy(answered, relay.answers, sizeof answered);
  for (int i = 0; i < 2; i++) {
    record((troupe_record_options_t){.running = true});
    talk_at_once(3);
    assert_int_equal(troupe_record_stop(relay.system, NULL), 0);
    int port = atomic_load(&relay.port);
    check(0, replay(RELAY_SAME, relay_asking_main, trace_of("proxy-0"), exact, &report), &report);
    assert_int_equal(report.connections, 6);
    assert_memory_equal(relay.answers, answered, sizeof answered);
    others_differ(relay_asking_main, trace_of("proxy-0"));
    atomic_store(&relay.port, port); // the replay has its own
  }
  end_service();
}

// ---- Handed over ----

static void record_handed(bool late) {
  begin_service(1);
  if (!late) {
    record((troupe_record_options_t){0});
  }
  spawn("worker", relay_worker_main);
  troupe_actor_t receiver = relay.worker;
  spawn("door", relay_door_main);
  relay.worker = receiver;
  int early = open_talk("from before");
  if (late) {
    record((troupe_record_options_t){.running = true});
  }
  say(early, "now it is recorded");
  talk_at_once(3);
  int traveller = open_talk("to and fro");
  say(traveller, "away"); // the answer comes from the door, and it is the worker's again
  say(traveller, "back again");
  say(early, "away"); // and here a late trace sees how it came
  say(early, "back again");
  end_talk(traveller);
  end_talk(early);
  talk_at_once(2);
  if (late) {
    assert_int_equal(troupe_record_stop(relay.system, NULL), 0);
  }
  end_service();
}

static void connections_that_were_handed_over_in_a_late_trace_are_replayed(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_handed(true);
  check(0, replay(RELAY_SAME, relay_worker_main, trace_of("worker-0"), exact, &report), &report);
  // Each has one that was made for it, the traveller two. What was there early is not whole, even if
  // its second stay is.
  assert_int_equal(report.connections, 3 * 2 + 3 + 2 * 2);
  assert_int_equal(report.left_out, 1 + 2);
  says(&report, " (whose beginning is missing)");
  says(&report, " (moved by something that is left out)");
  check(0, replay(RELAY_SAME, relay_worker_main, trace_of("worker-0"), stream, &report), &report);
  others_differ(relay_worker_main, trace_of("worker-0"));
  check(TROUPE_EDIFFERS,
        replay(RELAY_STAYS, relay_worker_main, trace_of("worker-0"), exact, &report), &report);
  says(&report, "expected: freeze ");
}

static void handed_over_connections_with_a_gap_anywhere_never_differ_from_themselves(void **state) {
  (void)state;
  record_handed(false);
  check_with_gaps(relay_worker_main, trace_of("worker-0"), true);
}

static int set_up_once(void **state) {
  (void)state;
  // The first loop of libuv in a process opens a pipe for good.
  return troupe_system_new(NULL, &relay.system) == 0 && troupe_system_free(&relay.system) == 0 ? 0
                                                                                               : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(of_a_proxy_recorded_from_the_middle_both_sides_are_replayed),
      trp_test_that_leaves_nothing(of_a_share_of_its_connections_a_proxy_has_both_sides),
      trp_test_that_leaves_nothing(with_one_connection_goes_what_is_made_because_of_it),
      trp_test_that_leaves_nothing(what_timers_of_whole_connections_do_is_replayed),
      trp_test_that_leaves_nothing(what_a_timer_from_before_the_recording_moves_is_left_out),
      trp_test_that_leaves_nothing(a_proxy_with_a_gap_anywhere_never_differs_from_itself),
      trp_test_that_leaves_nothing(a_gap_says_which_pairs_it_spoilt),
      trp_test_that_leaves_nothing(of_an_older_trace_what_cannot_be_told_apart_is_left_out),
      trp_test_that_leaves_nothing(
          split_and_merged_at_random_a_partial_trace_gives_the_same_verdict),
      trp_test_that_leaves_nothing(what_main_found_out_at_its_beginning_is_in_each_trace),
      trp_test_that_leaves_nothing(
          a_later_part_alone_is_replayed_without_what_was_open_at_its_start),
      trp_test_that_leaves_nothing(connections_that_were_handed_over_in_a_late_trace_are_replayed),
      trp_test_that_leaves_nothing(
          handed_over_connections_with_a_gap_anywhere_never_differ_from_themselves),
  };
  return TRP_RUN_TESTS_IN_GROUP("partial", tests, set_up_once, NULL);
}
