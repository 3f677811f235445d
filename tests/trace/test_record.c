#include "tests/harness/harness.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <troupe/error.h>
#include <unistd.h>

#include "tests/trace/recorded.h"
#include "tests/trace/tape.h"

static uint64_t recorder_id;

static int start(const char *directory, const char *const *names, size_t backlog_bytes) {
  const troupe_record_options_t options = {
      .directory = directory, .names = names, .backlog_bytes = backlog_bytes};
  static uint32_t used = 1000;
  recorder_id = trp_id_actor(used++);
  return trp_recorder_start(hub, recorder_id, &options, &recorder);
}

static trp_tap_t *open_tap(const char *name, uint32_t index) {
  trp_tap_t *tap = NULL;
  trp_start_t beginning = {
      .id = trp_id_actor(ACTOR), .index = index, .io_actors = 1, .seed = 5, .clock_ns = 10};
  snprintf(beginning.name, sizeof beginning.name, "%s", name);
  assert_int_equal(trp_tap_open(recorder, &beginning, inbox, &tap), 0);
  return tap;
}

/// Fills a batch, and gives it as one that came.
static void record_in(trp_tap_t *tap, uint64_t sender, int64_t clock_ns, const void *bytes,
                      size_t length) {
  trp_out_t out;
  trp_in_t in;
  trp_out_init(&out, sender, trp_id_actor(ACTOR), pool);
  trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_DATA), 7);
  assert_non_null(message);
  assert_int_equal(trp_out_copy(&out, message, bytes, length), 0);
  assert_int_equal(trp_out_pack(&out), 0);
  trp_in_init(&in);
  assert_int_equal(trp_in_push(&in, trp_frame_hold(out.envelope)), 0);
  for (size_t i = 0; i < out.frame_count; i++) {
    assert_int_equal(trp_in_push(&in, trp_frame_hold(out.frames[i])), 0);
  }
  assert_int_equal(trp_in_open(&in), 0);
  in.received_ns = clock_ns;
  trp_tap_in(tap, &in);
  trp_in_free(&in);
  trp_out_free(&out);
}

static void record_out(trp_tap_t *tap, uint64_t to, const void *bytes, size_t length) {
  trp_out_t out;
  trp_out_init(&out, trp_id_actor(ACTOR), to, pool);
  trp_message_t *message = trp_out_add(&out, TRP_KIND(COMMAND_WRITE), 7);
  assert_non_null(message);
  assert_int_equal(trp_out_copy(&out, message, bytes, length), 0);
  assert_int_equal(trp_out_pack(&out), 0);
  trp_tap_out(tap, &out);
  trp_out_free(&out);
}

static void check_payload(const trp_tape_record_t *record, const void *bytes, size_t length) {
  trp_in_t in;
  trp_in_init(&in);
  assert_int_equal(trp_parse_batch(record->body, record->head.length, &in), 0);
  assert_int_equal(in.batch->n_messages, 1);
  assert_int_equal(in.batch->messages[0]->length, length);
  assert_memory_equal(trp_in_payload(&in, in.batch->messages[0]), bytes, length);
  trp_in_free(&in);
}

static void what_crosses_a_tap_is_in_the_trace_in_its_order(void **state) {
  (void)state;
  troupe_record_report_t report;
  uint64_t io = trp_id_actor(1);
  assert_int_equal(start(path_of("made/for/it"), NULL, 0), 0);
  trp_tap_t *tap = open_tap("somebody", 3);
  record_in(tap, io, 100, "ping", 4);
  trp_tap_call(tap, 5, -7);
  record_out(tap, io, "pong", 4);
  trp_tap_end(tap, 42);
  trp_tap_close(&tap);
  assert_null(tap);
  trp_recorder_stop(&recorder, &report);
  assert_int_equal(report.actors, 1);
  assert_int_equal(report.records, 5);
  assert_int_equal(report.gaps, 0);
  assert_int_equal(report.error, 0);

  trp_tape_t tape = trp_tape_load(path_of("made/for/it/somebody-3.trace"));
  struct stat status;
  assert_int_equal(stat(path_of("made/for/it/somebody-3.trace"), &status), 0);
  assert_int_equal(status.st_size, report.bytes);
  assert_int_equal(status.st_mode & 0777, 0600);
  assert_int_equal(tape.flags, TRP_TRACE_COMPLETE);
  assert_int_equal(tape.count, 5);
  static const uint16_t types[] = {TRP_RECORD_START, TRP_RECORD_IN, TRP_RECORD_CALL, TRP_RECORD_OUT,
                                   TRP_RECORD_END};
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(tape.records[i].head.type, types[i]);
    assert_int_equal(tape.records[i].head.sequence, i + 1);
    assert_int_equal(tape.records[i].head.clock_ns, i == 0 ? 10 : 100);
  }
  assert_true(tape.records[1].head.subject == io);
  assert_true(tape.records[3].head.subject == io);
  check_payload(&tape.records[1], "ping", 4);
  check_payload(&tape.records[3], "pong", 4);
  assert_int_equal(tape.records[2].head.subject, 5);
  assert_int_equal((int64_t)trp_get_u64(tape.records[2].body), -7);
  assert_int_equal(trp_get_u64(tape.records[4].body), 42);
  trp_tape_free(&tape);
}

static void payload_of_every_size_arrives_whole(void **state) {
  (void)state;
  static const size_t sizes[] = {
      0, 1, 33, 34, 1000, 16 * 1024 - 1, 16 * 1024, 64 * 1024, 64 * 1024 + 1, 1000 * 1000};
  enum { COUNT = sizeof sizes / sizeof sizes[0], BYTES = 1000 * 1000 + COUNT };
  uint8_t *bytes = malloc(BYTES);
  assert_non_null(bytes);
  trp_test_random_t random;
  trp_test_random_start(&random, 3);
  trp_test_random_bytes(&random, bytes, BYTES);
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *tap = open_tap("large", 0);
  for (size_t i = 0; i < COUNT; i++) {
    record_in(tap, 1, (int64_t)i, bytes + i, sizes[i]);
  }
  trp_tap_close(&tap);
  trp_recorder_stop(&recorder, NULL);
  trp_tape_t tape = trp_tape_load(path_of("large-0.trace"));
  assert_int_equal(tape.count, 1 + COUNT);
  for (size_t i = 0; i < COUNT; i++) {
    check_payload(&tape.records[i + 1], bytes + i, sizes[i]);
  }
  trp_tape_free(&tape);
  free(bytes);
}

static bool has_its_end(void *argument) {
  trp_reader_t *reader = NULL;
  if (trp_reader_open(argument, &reader) != 0) {
    return false;
  }
  trp_record_t record;
  bool ended = false;
  while (trp_reader_next(reader, &record) == 1) {
    ended = record.head.type == TRP_RECORD_END;
  }
  trp_reader_close(&reader);
  return ended;
}

static bool has_two_records(void *argument) {
  trp_reader_t *reader = NULL;
  if (trp_reader_open(argument, &reader) != 0) {
    return false;
  }
  trp_record_t record;
  int count = 0;
  while (trp_reader_next(reader, &record) == 1) {
    count++;
  }
  trp_reader_close(&reader);
  return count == 2;
}

static void a_trace_can_be_read_while_others_are_recorded(void **state) {
  (void)state;
  char path[4096];
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *quiet = open_tap("quiet", 0);
  trp_tap_t *ended = open_tap("ended", 0);
  record_in(quiet, 1, 1, "said once", 9);
  trp_tap_end(ended, 0);
  trp_tap_close(&ended);
  snprintf(path, sizeof path, "%s", path_of("ended-0.trace"));
  assert_true(trp_test_wait_until(has_its_end, path, 5000));
  snprintf(path, sizeof path, "%s", path_of("quiet-0.trace"));
  assert_true(trp_test_wait_until(has_two_records, path, 5000));
  trp_tap_close(&quiet);
}

static void actors_of_one_name_have_files_of_their_own(void **state) {
  (void)state;
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *taps[5];
  for (size_t i = 0; i < 5; i++) {
    taps[i] = open_tap("same", i == 4 ? 1 : 0);
    trp_tap_end(taps[i], (int)i);
    if (i == 0) {
      trp_tap_close(&taps[i]);
    }
  }
  for (size_t i = 1; i < 5; i++) {
    trp_tap_close(&taps[i]);
  }
  trp_recorder_stop(&recorder, NULL);
  static const char *const names[] = {"same-0.trace", "same-0.2.trace", "same-0.3.trace",
                                      "same-0.4.trace", "same-1.trace"};
  for (size_t i = 0; i < 5; i++) {
    trp_tape_t tape = trp_tape_load(path_of(names[i]));
    assert_int_equal(tape.count, 2);
    assert_int_equal(trp_get_u64(tape.records[1].body), i);
    trp_tape_free(&tape);
  }
}

static void a_file_of_an_earlier_run_is_replaced_but_stays_for_who_reads_it(void **state) {
  (void)state;
  trp_reader_t *reader = NULL;
  trp_record_t record;
  for (int run = 0; run < 2; run++) {
    assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
    trp_tap_t *tap = open_tap("again", 0);
    trp_tap_end(tap, run);
    trp_tap_close(&tap);
    trp_recorder_stop(&recorder, NULL);
    if (run == 0) {
      assert_int_equal(trp_reader_open(path_of("again-0.trace"), &reader), 0);
    }
  }
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(trp_get_u64(record.body), 0);
  trp_reader_close(&reader);
  trp_tape_t tape = trp_tape_load(path_of("again-0.trace"));
  assert_int_equal(trp_get_u64(tape.records[1].body), 1);
  trp_tape_free(&tape);
}

static void a_link_of_that_name_is_not_followed(void **state) {
  (void)state;
  assert_int_equal(symlink("elsewhere", path_of("linked-0.trace")), 0);
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *tap = open_tap("linked", 0);
  trp_tap_close(&tap);
  trp_recorder_stop(&recorder, NULL);
  assert_int_not_equal(access(path_of("elsewhere"), F_OK), 0);
  assert_int_equal(access(path_of("linked-0.trace"), F_OK), 0);
}

static void only_the_actors_that_were_named_are_wanted(void **state) {
  (void)state;
  const char *const names[] = {"echo", "chat", NULL};
  assert_int_equal(start(trp_test_folder(), names, 0), 0);
  assert_true(trp_recorder_wants(recorder, "echo"));
  assert_true(trp_recorder_wants(recorder, "chat"));
  assert_false(trp_recorder_wants(recorder, "ech"));
  assert_false(trp_recorder_wants(recorder, "echoes"));
  trp_recorder_stop(&recorder, NULL);
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  assert_true(trp_recorder_wants(recorder, "anybody"));
}

static void a_directory_that_cannot_be_used_is_an_error_at_once(void **state) {
  (void)state;
  assert_int_equal(trp_recorder_start(hub, 1, NULL, &recorder), TROUPE_EINVAL);
  assert_int_equal(start(NULL, NULL, 0), TROUPE_EINVAL);
  assert_int_equal(start("", NULL, 0), TROUPE_EINVAL);
  FILE *file = fopen(path_of("file"), "w");
  assert_non_null(file);
  fclose(file);
  assert_int_equal(start(path_of("file"), NULL, 0), TROUPE_ENOTDIR);
  assert_int_equal(start(path_of("file/below"), NULL, 0), TROUPE_ENOTDIR);
  assert_int_equal(start("/proc/nothing/here", NULL, 0), TROUPE_ENOENT);
  if (geteuid() != 0) {
    assert_int_equal(mkdir(path_of("closed"), 0500), 0);
    assert_int_equal(start(path_of("closed"), NULL, 0), TROUPE_EACCES);
  }
  assert_null(recorder);
}

/// With room for one record, some of a thousand in a row find another before them.
static void what_the_backlog_cannot_take_is_a_gap(void **state) {
  (void)state;
  troupe_record_report_t report;
  enum { RECORDS = 2000, SIZE = 4096 };
  static uint8_t bytes[SIZE];
  assert_int_equal(start(trp_test_folder(), NULL, 1), 0);
  trp_tap_t *tap = open_tap("hasty", 0);
  for (size_t i = 0; i < RECORDS; i++) {
    record_in(tap, 1, (int64_t)i, bytes, sizeof bytes);
  }
  trp_tap_end(tap, 0);
  trp_tap_close(&tap);
  trp_recorder_stop(&recorder, &report);
  assert_int_equal(report.error, 0);
  assert_true(report.gaps > 0);

  trp_tape_t tape = trp_tape_load(path_of("hasty-0.trace"));
  assert_int_equal(tape.flags, TRP_TRACE_LOST);
  uint64_t lost = 0;
  uint64_t gaps = 0;
  uint64_t sequence = 0;
  for (size_t i = 0; i < tape.count; i++) {
    const trp_record_head_t *head = &tape.records[i].head;
    if (head->type == TRP_RECORD_GAP) {
      gaps++;
      lost += head->subject;
      sequence += head->subject;
      assert_true(trp_get_u64(tape.records[i].body) <= head->subject * (SIZE + 256));
    } else {
      assert_int_equal(head->sequence, ++sequence);
    }
  }
  assert_int_equal(gaps, report.gaps);
  assert_int_equal(tape.count - gaps + lost, RECORDS + 2);
  assert_int_equal(tape.count, report.records);
  trp_tape_free(&tape);
}

static void a_full_disk_ends_one_trace_and_not_the_others(void **state) {
  (void)state;
  troupe_record_report_t report;
  static uint8_t bytes[256 * 1024];
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *large = open_tap("large", 0);
  trp_tap_t *small = open_tap("small", 0);
  const struct rlimit limit = {.rlim_cur = 128 * 1024, .rlim_max = before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  record_in(large, 1, 1, "before", 6);
  record_in(large, 1, 2, bytes, sizeof bytes);
  record_in(large, 1, 3, "after", 5);
  record_in(small, 1, 1, "one", 3);
  trp_tap_end(small, 0);
  trp_tap_close(&large);
  trp_tap_close(&small);
  trp_recorder_stop(&recorder, &report);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(report.error, TROUPE_EFBIG);
  assert_int_equal(report.actors, 2);
  trp_tape_t tape = trp_tape_load(path_of("small-0.trace"));
  assert_int_equal(tape.count, 3);
  trp_tape_free(&tape);
  trp_reader_t *reader = NULL;
  trp_record_t record;
  assert_int_equal(trp_reader_open(path_of("large-0.trace"), &reader), 0);
  assert_int_equal(trp_reader_header(reader)->stopped, TROUPE_EFBIG);
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(trp_reader_next(reader, &record), TROUPE_EOF);
  trp_reader_close(&reader);
}

static void a_file_that_cannot_be_made_is_told_and_stops_nobody(void **state) {
  (void)state;
  troupe_record_report_t report;
  assert_int_equal(mkdir(path_of("taken-0.trace"), 0700), 0);
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *taken = open_tap("taken", 0);
  trp_tap_t *fine = open_tap("fine", 0);
  for (int i = 0; i < 100; i++) {
    record_in(taken, 1, i, "x", 1);
    record_in(fine, 1, i, "x", 1);
  }
  trp_tap_close(&taken);
  trp_tap_close(&fine);
  trp_recorder_stop(&recorder, &report);
  assert_int_equal(report.error, TROUPE_EISDIR);
  assert_int_equal(report.actors, 1);
  trp_tape_t tape = trp_tape_load(path_of("fine-0.trace"));
  assert_int_equal(tape.count, 101);
  trp_tape_free(&tape);
}

static void a_tap_that_outlives_its_recorder_drops_what_it_gets(void **state) {
  (void)state;
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *tap = open_tap("late", 0);
  record_in(tap, 1, 1, "heard", 5);
  trp_recorder_stop(&recorder, NULL);
  for (int i = 0; i < 1000; i++) {
    record_in(tap, 1, 2, "not heard", 9);
  }
  trp_tap_end(tap, 0);
  trp_tap_close(&tap);
  assert_int_equal(trp_pipes_peers(inbox, NULL, 0), 0);
  trp_tape_t tape = trp_tape_load(path_of("late-0.trace"));
  assert_int_equal(tape.count, 2);
  assert_int_equal(tape.flags, TRP_TRACE_COMPLETE);
  trp_tape_free(&tape);
}

static void an_actors_last_words_to_all_its_pipes_do_not_disturb(void **state) {
  (void)state;
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  trp_tap_t *tap = open_tap("polite", 0);
  for (size_t length = 0; length < 64; length++) {
    uint8_t words[64];
    memset(words, 9, sizeof words);
    trp_pipes_send_last(inbox, recorder_id, words, length);
  }
  trp_tap_end(tap, 0);
  trp_tap_close(&tap);
  trp_recorder_stop(&recorder, NULL);
  trp_tape_t tape = trp_tape_load(path_of("polite-0.trace"));
  assert_int_equal(tape.count, 2);
  trp_tape_free(&tape);
}

typedef struct {
  pthread_t thread;
  uint32_t index;
  int result;
} busy_t;

/// cmocka's assertions work in the test's thread alone.
static void *be_busy(void *argument) {
  enum { ROUNDS = 2000 };
  busy_t *busy = argument;
  trp_inbox_t *own = NULL;
  trp_pool_t *own_pool = NULL;
  trp_tap_t *tap = NULL;
  trp_start_t beginning = {
      .id = trp_id_actor(2000 + busy->index), .name = "busy", .index = busy->index, .io_actors = 1};
  busy->result = trp_pipes_open(hub, beginning.id, &own);
  if (busy->result != 0) {
    return NULL;
  }
  busy->result = trp_pool_new(&own_pool);
  if (busy->result == 0) {
    busy->result = trp_tap_open(recorder, &beginning, own, &tap);
  }
  trp_out_t out;
  trp_out_init(&out, beginning.id, trp_id_actor(1), own_pool);
  for (uint32_t i = 0; i < ROUNDS && busy->result == 0; i++) {
    for (uint32_t k = 0; k <= i % 3; k++) {
      trp_message_t *message = trp_out_add(&out, TRP_KIND(COMMAND_WRITE), i);
      busy->result = message == NULL ? TROUPE_ENOMEM : trp_out_copy(&out, message, &i, sizeof i);
    }
    if (busy->result == 0) {
      busy->result = trp_out_pack(&out);
    }
    if (busy->result == 0) {
      trp_tap_out(tap, &out);
    }
    trp_out_reset(&out);
  }
  trp_out_free(&out);
  if (tap != NULL) {
    trp_tap_end(tap, 0);
  }
  trp_tap_close(&tap);
  trp_pool_close(&own_pool);
  trp_inbox_close(own);
  trp_frame_thread_end();
  return NULL;
}

static void many_actors_at_once_are_recorded_whole(void **state) {
  (void)state;
  busy_t busy[4];
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  for (uint32_t i = 0; i < 4; i++) {
    busy[i] = (busy_t){.index = i};
    assert_int_equal(pthread_create(&busy[i].thread, NULL, be_busy, &busy[i]), 0);
  }
  for (uint32_t i = 0; i < 4; i++) {
    assert_int_equal(pthread_join(busy[i].thread, NULL), 0);
    assert_int_equal(busy[i].result, 0);
  }
  trp_recorder_stop(&recorder, NULL);
  for (uint32_t i = 0; i < 4; i++) {
    char name[64];
    snprintf(name, sizeof name, "busy-%u.trace", i);
    trp_tape_t tape = trp_tape_load(path_of(name));
    assert_int_equal(tape.count, 2002);
    assert_int_equal(tape.flags, TRP_TRACE_COMPLETE);
    for (uint32_t k = 0; k < 2000; k++) {
      assert_int_equal(trp_tape_messages(&tape.records[k + 1]), k % 3 + 1);
    }
    trp_tape_free(&tape);
  }
}

static void its_thread_has_a_name_and_sleeps_when_nothing_comes(void **state) {
  (void)state;
  assert_int_equal(start(trp_test_folder(), NULL, 0), 0);
  bool found = false;
  DIR *tasks = opendir("/proc/self/task");
  assert_non_null(tasks);
  for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
    char path[512];
    char name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
      found = found ||
              (fgets(name, sizeof name, file) != NULL && strcmp(name, "troupe-rec\n") == 0);
      fclose(file);
    }
  }
  closedir(tasks);
  assert_true(found);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_with(what_crosses_a_tap_is_in_the_trace_in_its_order, set_up, tear_down),
      trp_test_with(payload_of_every_size_arrives_whole, set_up, tear_down),
      trp_test_with(a_trace_can_be_read_while_others_are_recorded, set_up, tear_down),
      trp_test_with(actors_of_one_name_have_files_of_their_own, set_up, tear_down),
      trp_test_with(a_file_of_an_earlier_run_is_replaced_but_stays_for_who_reads_it, set_up,
                    tear_down),
      trp_test_with(a_link_of_that_name_is_not_followed, set_up, tear_down),
      trp_test_with(only_the_actors_that_were_named_are_wanted, set_up, tear_down),
      trp_test_with(a_directory_that_cannot_be_used_is_an_error_at_once, set_up, tear_down),
      trp_test_with(what_the_backlog_cannot_take_is_a_gap, set_up, tear_down),
      trp_test_with(a_full_disk_ends_one_trace_and_not_the_others, set_up, tear_down),
      trp_test_with(a_file_that_cannot_be_made_is_told_and_stops_nobody, set_up, tear_down),
      trp_test_with(a_tap_that_outlives_its_recorder_drops_what_it_gets, set_up, tear_down),
      trp_test_with(an_actors_last_words_to_all_its_pipes_do_not_disturb, set_up, tear_down),
      trp_test_with(many_actors_at_once_are_recorded_whole, set_up, tear_down),
      trp_test_with(its_thread_has_a_name_and_sleeps_when_nothing_comes, set_up, tear_down),
  };
  return TRP_RUN_TESTS("record", tests);
}
