#include "tests/harness/harness.h"

#include <pthread.h>
#include <string.h>
#include <troupe/cmocka.h>
#include <troupe/timer.h>

#include "core/actor/execute.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/trace/calls.h"
#include "core/trace/recorder.h"
#include "tests/trace/tape.h"

// The actor that is recorded runs in a thread of its own on real pipes; this test plays its I/O
// actor and another actor that sends it messages.

enum { IO = 1, WORKER = 100, PARTNER = 101, RECORDER = 102 };

typedef struct {
  char greeting[16];
  int every;
} settings_t;

// What is wrong with the worker that is replayed.
typedef enum {
  NOTHING,
  OTHER_BYTE,
  LONGER,
  OTHER_ORDER,
  ONE_MISSING,
  ONE_TOO_MANY,
  EXTRA_RANDOM,
  NO_TIMER_WORK,
  ENDS_EARLY,
  RETURNS_AT_ONCE,
  ENDS_LATE,
  OTHER_STATUS,
} wrong_t;

static wrong_t wrong;

typedef struct {
  const settings_t *settings;
  int count, ticks;
  troupe_actor_t last;
} worker_t;

static const settings_t settings = {.greeting = "hello", .every = 4};
static char trace[4096];

static void say(troupe_actor_t to, const char *text) {
  troupe_send(to, text, strlen(text));
}

static void on_timer(troupe_timer_t timer, void *context) {
  worker_t *worker = context;
  char text[128];
  (void)timer;
  worker->ticks++;
  snprintf(text, sizeof text, "tick %d, %d, %llu at %lld", worker->ticks, worker->count,
           (unsigned long long)troupe_random(), (long long)troupe_now());
  if (wrong != NO_TIMER_WORK) {
    say(worker->last, text);
  }
}

static void on_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  worker_t *worker = context;
  char text[256];
  size_t length = troupe_chunk_length(message);
  const char *bytes = troupe_chunk_bytes(message);
  worker->count++;
  worker->last = from;
  if (length == 4 && memcmp(bytes, "stop", 4) == 0) {
    if (wrong != ENDS_LATE) {
      troupe_actor_end(wrong == OTHER_STATUS ? 8 : 7);
    }
    return;
  }
  if (wrong == EXTRA_RANDOM && worker->count == 5) {
    troupe_random();
  }
  const char *greeting = worker->settings->greeting;
  if (wrong == OTHER_BYTE && worker->count == 5) {
    greeting = "hellO";
  } else if (wrong == LONGER && worker->count == 5) {
    greeting = "hello there";
  }
  bool third = worker->count % 3 == 0 && !(wrong == ONE_MISSING && worker->count == 6);
  if (third && wrong == OTHER_ORDER && worker->count == 6) {
    say(from, "the third");
    third = false;
  }
  snprintf(text, sizeof text, "%s, number %d, %llu at %lld: %.*s", greeting, worker->count,
           (unsigned long long)troupe_random(), (long long)troupe_now(),
           (int)(length < 32 ? length : 32), bytes);
  say(from, text);
  if (third) {
    say(from, "the third");
  }
  if (wrong == ONE_TOO_MANY && worker->count == 5) {
    say(from, "once more");
  }
  if (worker->count % worker->settings->every == 0) {
    troupe_timer_start(NULL, 1, 0, on_timer, worker);
  }
  if (length > 1000) {
    troupe_send_chunk(from, message);
  }
  if (wrong == ENDS_EARLY && worker->count == 5) {
    troupe_actor_end(7);
  }
}

static int worker_main(void *argument) {
  worker_t worker = {.settings = argument};
  if (wrong == RETURNS_AT_ONCE) {
    return 7;
  }
  int error = troupe_actor_on_message(on_message, &worker);
  return error != 0 ? error : troupe_actor_run();
}

// ---- The recording ----

static trp_hub_t *hub;
static trp_inbox_t *io, *partner;
static trp_recorder_t *recorder;
static pthread_t thread;
static int live_status;
static troupe_main_fn live_main;

static void *live(void *argument) {
  trp_inbox_t *inbox = NULL;
  trp_tap_t *tap = NULL;
  settings_t copy = settings;
  bool ran = false;
  trp_start_t start = {.id = trp_id_actor(WORKER),
                       .name = "worker",
                       .io_actors = 1,
                       .seed = 42,
                       .argument = &copy,
                       .argument_size = sizeof copy};
  (void)argument;
  live_status = trp_pipes_open(hub, start.id, &inbox);
  if (live_status != 0) {
    return NULL;
  }
  start.clock_ns = trp_inbox_now(inbox);
  live_status = trp_tap_open(recorder, &start, inbox, &tap);
  if (live_status == 0) {
    const trp_execution_t execution = {
        .start = &start, .inbox = inbox, .tap = tap, .main = live_main, .argument = &copy};
    live_status = trp_actor_execute(&execution, &ran);
  }
  trp_tap_close(&tap);
  trp_inbox_close(inbox);
  trp_frame_thread_end();
  return NULL;
}

static void begin_recording(troupe_main_fn main_function) {
  wrong = NOTHING;
  live_main = main_function;
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  snprintf(trace, sizeof trace, "%s/worker-0.trace", trp_test_folder());
  assert_int_equal(trp_hub_new(&hub), 0);
  assert_int_equal(trp_pipes_open(hub, trp_id_actor(IO), &io), 0);
  assert_int_equal(trp_pipes_open(hub, trp_id_actor(PARTNER), &partner), 0);
  assert_int_equal(trp_recorder_start(hub, trp_id_actor(RECORDER), &options, &recorder), 0);
  assert_int_equal(pthread_create(&thread, NULL, live, NULL), 0);
  // Once it has said hello its inbox is open.
  trp_in_t hello;
  trp_in_init(&hello);
  assert_int_equal(trp_inbox_receive(io, trp_inbox_now(io) + INT64_C(20000000000), &hello), 1);
  trp_in_free(&hello);
}

static void end_recording(int status) {
  troupe_record_report_t report;
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(live_status, status);
  trp_recorder_stop(&recorder, &report);
  assert_int_equal(report.error, 0);
  assert_int_equal(report.gaps, 0);
  trp_inbox_close(io);
  trp_inbox_close(partner);
  trp_frame_thread_end();
  trp_hub_free(&hub);
}

/// Receives until so many messages have come from the worker.
static void await_replies(size_t *seen, size_t wanted) {
  trp_in_t in;
  trp_in_init(&in);
  int64_t deadline = trp_inbox_now(partner) + INT64_C(20000000000);
  while (*seen < wanted) {
    assert_int_equal(trp_inbox_receive(partner, deadline, &in), 1);
    *seen += in.batch->n_messages;
    trp_in_reset(&in);
  }
  trp_in_free(&in);
}

/// A recording with messages in batches of one to five, answers, timers, payload large and small.
static void record_worker(int messages) {
  trp_test_random_t random;
  trp_pool_t *pool = NULL;
  trp_out_t out;
  size_t sent = 0;
  size_t expected = 0;
  size_t seen = 0;
  static uint8_t large[5000];
  trp_test_random_start(&random, 9);
  trp_test_random_bytes(&random, large, sizeof large);
  begin_recording(worker_main);
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_out_init(&out, trp_id_actor(PARTNER), trp_id_actor(WORKER), pool);
  for (int i = 1; i <= messages; i++) {
    char text[64];
    trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), trp_id_actor(WORKER));
    assert_non_null(message);
    if (i % 10 == 0) {
      assert_int_equal(trp_out_copy(&out, message, large, sizeof large), 0);
      expected++;
    } else {
      snprintf(text, sizeof text, "message %d", i);
      assert_int_equal(trp_out_copy(&out, message, text, strlen(text)), 0);
    }
    expected += 1u + (i % 3 == 0) + (i % settings.every == 0);
    sent++;
    if (trp_test_random_below(&random, 3) == 0 || i == messages) {
      assert_int_equal(trp_inbox_send(partner, &out), 0);
      if (trp_test_random_below(&random, 2) == 0) {
        await_replies(&seen, expected);
      }
    }
  }
  await_replies(&seen, expected);
  trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), trp_id_actor(WORKER));
  assert_non_null(message);
  assert_int_equal(trp_out_copy(&out, message, "stop", 4), 0);
  assert_int_equal(trp_inbox_send(partner, &out), 0);
  trp_out_free(&out);
  trp_pool_close(&pool);
  end_recording(7);
  assert_int_equal(sent, messages);
}

static int replay(troupe_replay_report_t *report) {
  return troupe_replay(worker_main, NULL, trace, report);
}

static void check(troupe_replay_report_t *report, int expected) {
  int result = replay(report);
  if (result != expected) {
    print_error("%d instead of %d: %s\n", result, expected, report->text);
  }
  assert_int_equal(result, expected);
}

// ---- The same ----

static void a_recording_replays_a_thousand_times_with_the_same_verdict(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_worker(60);
  for (int i = 0; i < 1 + 999 / trp_test_slow(); i++) {
    check(&report, 0);
    assert_int_equal(report.status, 7);
    assert_int_equal(report.events, 60 + 60 / 4 + 1);
    assert_int_equal(report.commands, 60 + 60 / 3 + 60 / 4 + 60 / 10 + 2); // HELLO and PIPE
    assert_string_equal(report.text, "");
  }
  troupe_assert_replays(worker_main, NULL, trace);
  settings_t copy = settings;
  troupe_assert_replays(worker_main, &copy, trace);
}

static void splitting_and_merging_batches_changes_no_verdict(void **state) {
  (void)state;
  troupe_replay_report_t report;
  trp_test_random_t random;
  trp_test_random_start(&random, 4);
  record_worker(100);
  trp_tape_t tape = trp_tape_load(trace);
  for (int i = 0; i < 100; i++) {
    wrong = NOTHING;
    trp_tape_shuffle(&tape, &random);
    trp_tape_save(&tape, trace);
    check(&report, 0);
    assert_string_equal(report.text, "");
    wrong = i % 2 == 0 ? OTHER_BYTE : ONE_MISSING;
    check(&report, TROUPE_EDIFFERS);
  }
  trp_tape_free(&tape);
}

static void its_argument_is_in_the_trace_but_another_may_be_given(void **state) {
  (void)state;
  troupe_replay_report_t report;
  settings_t other = settings;
  record_worker(8);
  other.greeting[4] = 'O';
  assert_int_equal(troupe_replay(worker_main, &other, trace, &report), TROUPE_EDIFFERS);
  assert_non_null(strstr(report.text, "hellO"));
}

// ---- Not the same ----

static void expect_text(const troupe_replay_report_t *report, const char *part) {
  if (strstr(report->text, part) == NULL) {
    print_error("\"%s\" is not in: %s\n", part, report->text);
    fail();
  }
}

static void each_way_to_be_wrong_is_found_and_told(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_worker(40);
  static const struct {
    wrong_t wrong;
    const char *says[4];
  } cases[] = {
      {OTHER_BYTE, {"hellO, number 5", "hello, number 5", "differs first in byte 4", "6c 6c 4f"}},
      {LONGER, {"hello there", "bytes long instead of"}},
      {OTHER_ORDER, {"\"the third\"", "The two have changed places"}},
      {ONE_MISSING, {"\"the third\"", "message 6\""}},
      {ONE_TOO_MANY, {"\"once more\"", "is after event", "message 5\", from actor 101"}},
      {EXTRA_RANDOM, {"number 5", "The payload differs first"}},
      {NO_TIMER_WORK, {"tick 1", "got:      nothing", "timer on 100/"}},
      {ENDS_EARLY, {"number 6", "got:      nothing", "main function returned 7"}},
      {RETURNS_AT_ONCE, {"ends with status 7", "before the first event"}},
      {ENDS_LATE, {"waits for more", "returned 7", "\"stop\""}},
      {OTHER_STATUS, {"ends with status 8", "ended with 7"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wrong = cases[i].wrong;
    check(&report, TROUPE_EDIFFERS);
    expect_text(&report, "Actor \"worker\" (copy 0)");
    for (size_t k = 0; k < 4 && cases[i].says[k] != NULL; k++) {
      expect_text(&report, cases[i].says[k]);
    }
    if (getenv("TROUPE_TEST_SHOW") != NULL) {
      fprintf(stderr, "---- %zu\n%s", i, report.text);
    }
  }
}

/// Which messages two batches have, and whether they are all the same.
static bool swap_in_batch(trp_tape_t *tape, size_t at, size_t first) {
  trp_in_t in;
  trp_in_init(&in);
  trp_tape_record_t *record = &tape->records[at];
  assert_int_equal(trp_parse_batch(record->body, record->head.length, &in), 0);
  bool possible = first + 1 < in.batch->n_messages;
  if (possible) {
    trp_message_t *saved = in.batch->messages[first];
    in.batch->messages[first] = in.batch->messages[first + 1];
    in.batch->messages[first + 1] = saved;
    trp_tape_set_batch(record, &in, 0, in.batch->n_messages, NULL);
  }
  trp_in_free(&in);
  return possible;
}

static void drop_from_batch(trp_tape_t *tape, size_t at, size_t message) {
  trp_in_t in;
  trp_in_init(&in);
  trp_tape_record_t *record = &tape->records[at];
  assert_int_equal(trp_parse_batch(record->body, record->head.length, &in), 0);
  in.batch->n_messages--;
  memmove(&in.batch->messages[message], &in.batch->messages[message + 1],
          (in.batch->n_messages - message) * sizeof(trp_message_t *));
  trp_tape_set_batch(record, &in, 0, in.batch->n_messages, NULL);
  trp_in_free(&in);
}

static void flip_payload(trp_tape_t *tape, size_t at, size_t message, trp_test_random_t *random) {
  trp_in_t in;
  trp_in_init(&in);
  trp_tape_record_t *record = &tape->records[at];
  assert_int_equal(trp_parse_batch(record->body, record->head.length, &in), 0);
  const trp_message_t *m = in.batch->messages[message];
  if (m->length > 0) {
    uint8_t *bytes = trp_frame_fill(trp_in_frame(&in, m));
    bytes[m->offset + trp_test_random_below(random, m->length)] ^= 0x20;
  } else {
    in.batch->messages[message]->flags ^= 1;
  }
  trp_tape_set_batch(record, &in, 0, in.batch->n_messages, NULL);
  trp_in_free(&in);
}

static void a_change_of_any_command_of_the_recording_is_found(void **state) {
  (void)state;
  troupe_replay_report_t report;
  trp_test_random_t random;
  trp_test_random_start(&random, 6);
  record_worker(30);
  trp_tape_t tape = trp_tape_load(trace);
  size_t planted = 0;
  for (size_t at = 0; at < tape.count; at++) {
    if (tape.records[at].head.type != TRP_RECORD_OUT) {
      continue;
    }
    size_t messages = trp_tape_messages(&tape.records[at]);
    for (size_t message = 0; message < messages; message++) {
      for (int change = 0; change < 3; change++) {
        trp_tape_t copy = trp_tape_load(trace);
        bool changed = true;
        if (change == 0) {
          flip_payload(&copy, at, message, &random);
        } else if (change == 1) {
          drop_from_batch(&copy, at, message);
        } else {
          changed = swap_in_batch(&copy, at, message);
        }
        char path[4200];
        snprintf(path, sizeof path, "%s.changed", trace);
        trp_tape_save(&copy, path);
        trp_tape_free(&copy);
        if (changed) {
          planted++;
          int result = troupe_replay(worker_main, NULL, path, &report);
          if (result != TROUPE_EDIFFERS) {
            print_error("record %zu, message %zu, change %d: %d\n", at, message, change, result);
          }
          assert_int_equal(result, TROUPE_EDIFFERS);
          assert_true(strlen(report.text) > 100);
        }
      }
    }
  }
  assert_true(planted > 100);
  trp_tape_free(&tape);
}

// ---- Traces that are not whole ----

static size_t load_file(uint8_t **bytes) {
  FILE *file = fopen(trace, "rb");
  assert_non_null(file);
  *bytes = malloc(1 << 20);
  assert_non_null(*bytes);
  size_t length = fread(*bytes, 1, 1 << 20, file);
  fclose(file);
  return length;
}

static void save_file(const uint8_t *bytes, size_t length) {
  remove(trace); // some file systems write to the disk at once what is written over a file
  FILE *file = fopen(trace, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
}

static void a_trace_cut_at_any_byte_replays_as_far_as_it_goes(void **state) {
  (void)state;
  troupe_replay_report_t report;
  uint8_t *bytes = NULL;
  uint64_t events = 0;
  record_worker(7);
  size_t length = load_file(&bytes);
  for (size_t cut = 0; cut < length; cut++) {
    save_file(bytes, cut);
    int result = replay(&report);
    assert_true(result == 0 || (result == TROUPE_EBADTRACE && events == 0));
    assert_true(strlen(report.text) > 20);
    assert_true(report.events >= events);
    events = report.events;
  }
  assert_int_equal(events, 7 + 1 + 1);
  free(bytes);
}

static void a_trace_with_any_byte_wrong_replays_up_to_it_and_fails(void **state) {
  (void)state;
  troupe_replay_report_t report;
  uint8_t *bytes = NULL;
  record_worker(5);
  size_t length = load_file(&bytes);
  for (size_t at = 0; at < length; at++) {
    bytes[at] ^= (uint8_t)(1 << at % 8);
    save_file(bytes, length);
    int result = replay(&report);
    if (result != 0 && result != TROUPE_EBADTRACE &&
        !(result == TROUPE_ETRACEVERSION && at < TRP_TRACE_HEADER_SIZE)) {
      print_error("byte %zu: %d, %s\n", at, result, report.text);
      fail();
    }
    if (result == 0) {
      expect_text(&report, "in the middle of a record"); // it was the length of one
    } else if (report.events > 0) {
      expect_text(&report, "did the same up to where the recording ends");
      expect_text(&report, "The file is damaged at byte");
    }
    assert_true(strlen(report.text) > 20);
    bytes[at] ^= (uint8_t)(1 << at % 8);
  }
  free(bytes);
}

/// What passes every checksum and is wrong all the same: as from somebody who wants to harm.
static void a_trace_whose_batches_are_garbage_is_refused(void **state) {
  (void)state;
  troupe_replay_report_t report;
  trp_test_random_t random;
  trp_test_random_start(&random, 8);
  record_worker(12);
  trp_tape_t tape = trp_tape_load(trace);
  for (int i = 0; i < 3000; i++) {
    size_t at = (size_t)trp_test_random_below(&random, tape.count);
    trp_tape_record_t *record = &tape.records[at];
    if (record->head.length == 0) {
      continue;
    }
    size_t byte = (size_t)trp_test_random_below(&random, record->head.length);
    uint8_t saved = record->body[byte];
    record->body[byte] = (uint8_t)trp_test_random_next(&random);
    trp_tape_save(&tape, trace);
    int result = replay(&report);
    assert_true(result <= 0);
    record->body[byte] = saved;
  }
  trp_tape_save(&tape, trace);
  check(&report, 0);
  trp_tape_free(&tape);
}

static void a_trace_that_lost_something_is_not_replayed(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_worker(20);
  trp_tape_t tape = trp_tape_load(trace);
  uint8_t lost[8] = {100};
  size_t middle = tape.count / 2;
  trp_tape_insert(&tape, middle,
                  (trp_record_head_t){.type = TRP_RECORD_GAP, .length = 8, .subject = 17}, lost);
  trp_tape_save(&tape, trace);
  check(&report, TROUPE_EINCOMPLETE);
  assert_true(report.events > 0); // the header did not tell
  tape.flags = 0;
  trp_tape_save(&tape, trace);
  check(&report, TROUPE_EINCOMPLETE);
  assert_int_equal(report.events, 0);
  expect_text(&report, "17 records are missing");
  expect_text(&report, "\"worker\"");
  trp_tape_free(&tape);
}

static void records_of_a_later_minor_version_are_skipped(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_worker(20);
  trp_tape_t tape = trp_tape_load(trace);
  for (size_t at = 1; at < tape.count; at += 3) {
    trp_tape_insert(&tape, at, (trp_record_head_t){.type = 200, .length = 9}, "something");
  }
  trp_tape_save(&tape, trace);
  check(&report, 0);
  trp_tape_free(&tape);
}

static int calls_replay(void *argument) {
  (void)argument;
  return troupe_replay(worker_main, NULL, trace, NULL) == TROUPE_EWRONGTHREAD ? 3 : 4;
}

static void what_cannot_be_replayed_says_why(void **state) {
  (void)state;
  troupe_replay_report_t report;
  uint8_t *bytes = NULL;
  begin_recording(calls_replay);
  end_recording(3);
  assert_int_equal(troupe_replay(calls_replay, NULL, trace, &report), 0);
  assert_int_equal(report.status, 3);
  assert_int_equal(report.events, 0);
  assert_int_equal(troupe_replay(NULL, NULL, trace, &report), TROUPE_EINVAL);
  assert_int_equal(troupe_replay(worker_main, NULL, NULL, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_replay(worker_main, NULL, "/nowhere/at.all", &report), TROUPE_ENOENT);
  expect_text(&report, "/nowhere/at.all");
  expect_text(&report, "no such file");
  size_t length = load_file(&bytes);
  bytes[12]++;
  save_file(bytes, length);
  check(&report, TROUPE_ETRACEVERSION);
  expect_text(&report, "later version");
  save_file((const uint8_t *)"text", 4);
  check(&report, TROUPE_EBADTRACE);
  expect_text(&report, "not a trace");
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_recording_replays_a_thousand_times_with_the_same_verdict),
      trp_test_that_leaves_nothing(splitting_and_merging_batches_changes_no_verdict),
      trp_test(its_argument_is_in_the_trace_but_another_may_be_given),
      trp_test_that_leaves_nothing(each_way_to_be_wrong_is_found_and_told),
      trp_test(a_change_of_any_command_of_the_recording_is_found),
      trp_test(a_trace_cut_at_any_byte_replays_as_far_as_it_goes),
      trp_test(a_trace_with_any_byte_wrong_replays_up_to_it_and_fails),
      trp_test_that_leaves_nothing(a_trace_whose_batches_are_garbage_is_refused),
      trp_test(a_trace_that_lost_something_is_not_replayed),
      trp_test(records_of_a_later_minor_version_are_skipped),
      trp_test_that_leaves_nothing(what_cannot_be_replayed_says_why),
  };
  return TRP_RUN_TESTS("replay", tests);
}
