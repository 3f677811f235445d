#include "tests/harness/harness.h"

#include <string.h>
#include <sys/stat.h>
#include <troupe/troupe.h>

#include "tests/trace/recorded.h"
#include "tests/trace/tape.h"

// What came and is passed on stands in a trace once; and it is read as if it stood there twice.

enum { SIZE = 4000 };

static long size_of(const char *name) {
  struct stat status;
  assert_int_equal(stat(path_of(name), &status), 0);
  return (long)status.st_size;
}

static trp_start_t a_start(const char *name) {
  trp_start_t start = {.id = trp_id_actor(ACTOR), .io_actors = 1, .seed = 5, .clock_ns = 10};
  snprintf(start.name, sizeof start.name, "%s", name);
  return start;
}

static trp_tap_t *begin(troupe_record_options_t options, const char *name) {
  static uint32_t used = 1000;
  trp_tap_t *tap = NULL;
  const trp_start_t start = a_start(name);
  options.directory = trp_test_folder();
  assert_int_equal(trp_recorder_start(hub, trp_id_actor(used++), &options, &recorder), 0);
  assert_int_equal(trp_tap_open(recorder, &start, inbox, &tap), 0);
  return tap;
}

static troupe_record_report_t end(trp_tap_t **tap) {
  troupe_record_report_t report;
  trp_tap_end(*tap, 0);
  trp_tap_close(tap);
  trp_recorder_stop(&recorder, &report);
  return report;
}

/// The bytes of message `number`.
static void fill(uint8_t *bytes, size_t length, uint32_t number) {
  for (size_t i = 0; i < length; i++) {
    bytes[i] = (uint8_t)(number * 31 + i * 7 + i / 256);
  }
  if (length >= 4) {
    trp_put_u32(bytes, number);
  }
}

/// Message `number` comes; the frame that has it is held.
static trp_frame_t *come(trp_tap_t *tap, uint32_t number, size_t length) {
  uint8_t *bytes = malloc(length + 1);
  trp_out_t out;
  trp_in_t in;
  assert_non_null(bytes);
  fill(bytes, length, number);
  trp_out_init(&out, 1, trp_id_actor(ACTOR), pool);
  trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_DATA), 7);
  assert_non_null(message);
  assert_int_equal(trp_out_copy(&out, message, bytes, length), 0);
  free(bytes);
  assert_int_equal(trp_out_pack(&out), 0);
  trp_in_init(&in);
  assert_int_equal(trp_in_push(&in, trp_frame_hold(out.envelope)), 0);
  trp_frame_t *frame = out.frames[0];
  assert_int_equal(trp_in_push(&in, trp_frame_hold(frame)), 0);
  assert_int_equal(trp_in_open(&in), 0);
  in.received_ns = number;
  trp_tap_in(tap, &in);
  trp_frame_hold(frame);
  trp_in_free(&in);
  trp_out_free(&out);
  return frame;
}

/// Frames leave in one batch, behind some bytes that the actor made itself.
static void pass_on(trp_tap_t *tap, trp_frame_t *const *frames, size_t count) {
  trp_out_t out;
  trp_out_init(&out, trp_id_actor(ACTOR), 1, pool);
  trp_message_t *message = trp_out_add(&out, TRP_KIND(COMMAND_WRITE), 7);
  assert_int_equal(trp_out_copy(&out, message, "> ", 2), 0);
  for (size_t i = 0; i < count; i++) {
    message = trp_out_add(&out, TRP_KIND(COMMAND_WRITE), 7);
    assert_int_equal(trp_out_attach(&out, message, frames[i], 0, (uint32_t)frames[i]->size), 0);
  }
  assert_int_equal(trp_out_pack(&out), 0);
  trp_tap_out(tap, &out);
  trp_out_free(&out);
}

/// Every message of the file has the bytes of its number. How many came and left.
static void check(const char *name, unsigned *came, unsigned *left) {
  troupe_trace_t *trace = NULL;
  troupe_trace_entry_t entry;
  int result = 0;
  *came = *left = 0;
  assert_int_equal(troupe_trace_open(path_of(name), &trace), 0);
  while ((result = troupe_trace_next(trace, &entry)) == 1) {
    if (!entry.has_payload || entry.length == 2) {
      continue;
    }
    uint8_t *expected = malloc(entry.length);
    assert_non_null(expected);
    fill(expected, entry.length, trp_get_u32(entry.payload));
    assert_int_equal(entry.kept, entry.length);
    assert_memory_equal(entry.payload, expected, entry.length);
    free(expected);
    *came += entry.type == TROUPE_ENTRY_EVENT;
    *left += entry.type == TROUPE_ENTRY_COMMAND;
  }
  assert_int_equal(result, 0);
  troupe_trace_free(&trace);
}

static void what_is_passed_on_stands_in_the_file_once(void **state) {
  (void)state;
  enum { COUNT = 50 };
  unsigned came = 0;
  unsigned left = 0;
  trp_tap_t *tap = begin((troupe_record_options_t){0}, "once");
  for (uint32_t i = 0; i < COUNT; i++) {
    trp_frame_t *frame = come(tap, i, SIZE);
    pass_on(tap, &frame, 1);
    trp_frame_release(frame);
  }
  troupe_record_report_t report = end(&tap);
  assert_int_equal(report.gaps, 0);
  check("once-0.trace", &came, &left);
  assert_int_equal(came, COUNT);
  assert_int_equal(left, COUNT);
  assert_in_range(size_of("once-0.trace"), COUNT * SIZE, COUNT * SIZE * 11 / 10);
  assert_int_equal(report.bytes, size_of("once-0.trace"));
  trp_tape_t tape = trp_tape_load(path_of("once-0.trace"));
  assert_int_equal(tape.flags, TRP_TRACE_COMPLETE);
  assert_int_equal(tape.count, 1 + 2 * COUNT + 1);
  trp_tape_free(&tape);
}

/// Further back than the reader's window; further than its limit; and for more records than are
/// known.
static void what_came_long_ago_is_read_all_the_same(void **state) {
  (void)state;
  enum { LARGE = 300 * 1000, LATER = 20 };
  static const struct {
    size_t size;
    uint32_t between;
    bool named;
  } cases[] = {{LARGE, 10, true}, {SIZE, 70, false}, {2 * 1000 * 1000, 12, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    unsigned came = 0;
    unsigned left = 0;
    size_t size = cases[i].size;
    trp_tap_t *tap = begin((troupe_record_options_t){0}, "ago");
    trp_frame_t *frame = come(tap, 1, size);
    for (uint32_t k = 0; k < cases[i].between; k++) {
      trp_frame_release(come(tap, 2 + k, size));
    }
    pass_on(tap, &frame, 1);
    for (uint32_t k = 0; k < LATER; k++) {
      trp_frame_release(come(tap, 2 + k, 1000));
    }
    trp_frame_release(frame);
    assert_int_equal(end(&tap).gaps, 0);
    check("ago-0.trace", &came, &left);
    assert_int_equal(came, 1 + cases[i].between + LATER);
    assert_int_equal(left, 1);
    long records = (long)cases[i].between + (cases[i].named ? 1 : 2);
    assert_in_range(size_of("ago-0.trace"), records * (long)size,
                    records * (long)size + 100 * 1000);
  }
}

static void one_batch_names_what_came_in_many(void **state) {
  (void)state;
  enum { COUNT = 30 };
  unsigned came = 0;
  unsigned left = 0;
  trp_frame_t *frames[COUNT];
  trp_tap_t *tap = begin((troupe_record_options_t){0}, "many");
  for (uint32_t i = 0; i < COUNT; i++) {
    frames[i] = come(tap, i, SIZE + i);
  }
  pass_on(tap, frames, COUNT);
  // More often than a file may say the same.
  for (int i = 0; i < 10; i++) {
    pass_on(tap, frames, COUNT);
  }
  for (uint32_t i = 0; i < COUNT; i++) {
    trp_frame_release(frames[i]);
  }
  end(&tap);
  check("many-0.trace", &came, &left);
  assert_int_equal(came, COUNT);
  assert_int_equal(left, 11 * COUNT);
  assert_in_range(size_of("many-0.trace"), 2 * COUNT * SIZE, 4 * COUNT * SIZE);
}

static void each_file_of_a_rotation_is_whole_by_itself(void **state) {
  (void)state;
  enum { COUNT = 100 };
  unsigned came = 0;
  unsigned left = 0;
  trp_frame_t *before = NULL;
  trp_tap_t *tap = begin((troupe_record_options_t){.file_bytes = 10 * 1000, .files = COUNT},
                         "part");
  for (uint32_t i = 0; i < COUNT; i++) {
    trp_frame_t *frame = come(tap, i, SIZE);
    if (before != NULL) {
      pass_on(tap, &before, 1); // often from another file
      trp_frame_release(before);
    }
    before = frame;
  }
  trp_frame_release(before);
  troupe_record_report_t report = end(&tap);
  assert_in_range(report.actors, COUNT / 4, COUNT);
  for (unsigned part = 1; part <= report.actors; part++) {
    char name[64];
    unsigned some = 0;
    unsigned others = 0;
    snprintf(name, sizeof name, part == 1 ? "part-0.trace" : "part-0.part%u.trace", part);
    check(name, &some, &others);
    came += some;
    left += others;
  }
  assert_int_equal(came, COUNT);
  assert_int_equal(left, COUNT - 1);
}

static void what_came_before_recording_began_is_written(void **state) {
  (void)state;
  unsigned came = 0;
  unsigned left = 0;
  const trp_start_t start = a_start("anew");
  trp_tap_t *tap = begin((troupe_record_options_t){0}, "old");
  trp_frame_t *frame = come(tap, 1, SIZE);
  trp_tap_end_record(tap);
  trp_recorder_stop(&recorder, NULL);
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  assert_int_equal(trp_recorder_start(hub, trp_id_actor(2000), &options, &recorder), 0);
  assert_int_equal(trp_tap_record(tap, recorder, &start, true, 1000), 0);
  trp_frame_release(come(tap, 2, SIZE));
  pass_on(tap, &frame, 1);
  trp_frame_release(frame);
  end(&tap);
  check("anew-0.trace", &came, &left);
  assert_int_equal(came, 1);
  assert_int_equal(left, 1);
}

/// With a backlog that is often full: what got lost is never named.
static void what_was_lost_is_not_named(void **state) {
  (void)state;
  enum { COUNT = 3000 };
  unsigned came = 0;
  unsigned left = 0;
  trp_tap_t *tap = begin((troupe_record_options_t){.backlog_bytes = 6 * SIZE}, "lost");
  for (uint32_t i = 0; i < COUNT; i++) {
    trp_frame_t *frame = come(tap, i, SIZE);
    pass_on(tap, &frame, 1);
    trp_frame_release(frame);
  }
  end(&tap);
  check("lost-0.trace", &came, &left);
  assert_in_range(came, 1, COUNT);
  assert_in_range(left, 1, COUNT);
}

static void what_is_cut_is_cut_on_both_ways(void **state) {
  (void)state;
  troupe_trace_t *trace = NULL;
  troupe_trace_entry_t entry;
  uint8_t bytes[SIZE];
  int seen = 0;
  trp_tap_t *tap = begin((troupe_record_options_t){.cut_payloads = true, .payload_bytes = 10},
                         "cut");
  trp_frame_t *frame = come(tap, 1, SIZE);
  pass_on(tap, &frame, 1);
  trp_frame_release(frame);
  end(&tap);
  fill(bytes, SIZE, 1);
  assert_int_equal(troupe_trace_open(path_of("cut-0.trace"), &trace), 0);
  while (troupe_trace_next(trace, &entry) == 1) {
    if (entry.length == SIZE) {
      seen++;
      assert_int_equal(entry.kept, 10);
      assert_memory_equal(entry.payload, bytes, 10);
      assert_true(entry.hash == troupe_trace_hash(bytes, SIZE));
    }
  }
  troupe_trace_free(&trace);
  assert_int_equal(seen, 2);
}

// ---- Files that lie ----

typedef struct {
  uint32_t size, back;
} name_t;

/// A file with a START, an IN of SIZE bytes, and so many records that name what `names` says.
static int read_naming(const name_t *names, uint32_t count, int records, size_t more) {
  trp_tape_t tape = {.flags = TRP_TRACE_COMPLETE};
  const trp_start_t start = a_start("liar");
  uint8_t body[1000] = {0};
  uint8_t payload[SIZE] = {0};
  trp_format_start(body, &start);
  trp_tape_insert(&tape, 0,
                  (trp_record_head_t){.type = TRP_RECORD_START, .length = trp_start_size(&start)},
                  body);
  trp_tape_insert(&tape, 1, (trp_record_head_t){.type = 77, .length = SIZE}, payload);
  memset(body, 0, sizeof body);
  trp_put_u32(body, count);
  for (uint32_t i = 0; names != NULL && i < count; i++) {
    trp_put_u32(body + 4 + 8 * (size_t)i, names[i].size);
    trp_put_u32(body + 8 + 8 * (size_t)i, names[i].back);
  }
  size_t length = names == NULL ? more : 4 + 8 * (size_t)count + more;
  for (int i = 0; i < records; i++) {
    trp_tape_insert(&tape, tape.count,
                    (trp_record_head_t){.type = TRP_RECORD_OUT_NAMING, .length = length}, body);
  }
  trp_tape_save(&tape, path_of("liar"));
  trp_tape_free(&tape);
  trp_reader_t *reader = NULL;
  trp_record_t record;
  int result = 0;
  assert_int_equal(trp_reader_open(path_of("liar"), &reader), 0);
  while ((result = trp_reader_next(reader, &record)) == 1) {
    assert_int_not_equal(record.head.type, TRP_RECORD_OUT_NAMING);
  }
  trp_reader_close(&reader);
  return result;
}

static void names_that_lie_are_refused(void **state) {
  (void)state;
  trp_start_t start = a_start("liar");
  uint32_t begins = (uint32_t)(2 * TRP_RECORD_HEAD_SIZE + trp_start_size(&start) + SIZE);
  const name_t fine[] = {{SIZE, SIZE}, {0, 0}, {1, 1}, {4, 0}, {begins, begins}};
  assert_int_equal(read_naming(fine, 5, 1, 4), 0);
  assert_int_equal(read_naming(fine, 5, 1, 3), TROUPE_EBADTRACE);
  assert_int_equal(read_naming(fine, 5, 1, 5), TROUPE_EBADTRACE);
  const name_t lies[] = {{2, 1},
                         {UINT32_MAX, 1},
                         {UINT32_MAX, UINT32_MAX},
                         {begins, begins + 1},
                         {1, begins + TRP_TRACE_HEADER_SIZE},
                         {1, TRP_NAMED_REACH + 1},
                         {UINT32_MAX, 0},
                         {1, 0}};
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    assert_int_equal(read_naming(&lies[i], 1, 1, 0), TROUPE_EBADTRACE);
  }
  // Bodies that are too short, and counts that they do not have.
  for (size_t length = 0; length < 12; length++) {
    assert_int_equal(read_naming(NULL, 1, 1, length), TROUPE_EBADTRACE);
  }
  assert_int_equal(read_naming(NULL, 0, 1, 4), TROUPE_EBADTRACE);
  assert_int_equal(read_naming(NULL, UINT32_MAX, 1, 100), TROUPE_EBADTRACE);
  // The same bytes over and over make no more of the file than it has.
  name_t again[100];
  for (size_t i = 0; i < 100; i++) {
    again[i] = (name_t){SIZE, SIZE};
  }
  assert_int_equal(read_naming(again, 4, 1, 0), 0);
  assert_int_equal(read_naming(again, 5, 1, 0), TROUPE_EBADTRACE);
  assert_int_equal(read_naming(again, 3, 2, 0), TROUPE_EBADTRACE);
  assert_int_equal(read_naming(again, 100, 1, 0), TROUPE_EBADTRACE);
}

// ---- Older files ----

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  troupe_socket_write_chunk(socket, chunk, NULL, NULL);
}

static int echo_main(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data};
  static const troupe_server_options_t options = {.socket_handlers = &handlers};
  troupe_server_t server;
  (void)argument;
  int error = troupe_server_new(&options, NULL, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_port(server, 7931, "127.0.0.1", 0);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void a_file_of_the_major_version_before_is_read_and_replayed(void **state) {
  (void)state;
  char path[4096];
  troupe_trace_t *trace = NULL;
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  troupe_replay_report_t report;
  uint64_t came = 0;
  uint64_t left = 0;
  snprintf(path, sizeof path, "%s/tests/trace/stored/echo-1.1.trace", trp_test_source_folder());
  assert_int_equal(troupe_trace_open(path, &trace), 0);
  troupe_trace_info(trace, &info);
  assert_int_equal(info.format_major, 1);
  assert_int_equal(info.format_minor, 1);
  assert_true(info.complete);
  int result = 0;
  while ((result = troupe_trace_next(trace, &entry)) == 1) {
    came += strcmp(entry.kind, "data") == 0 ? entry.length : 0;
    left += strcmp(entry.kind, "write") == 0 ? entry.length : 0;
  }
  assert_int_equal(result, 0);
  assert_int_equal(came, 3 * (14 + 2000 + 4));
  assert_int_equal(left, came);
  troupe_trace_free(&trace);
  assert_int_equal(troupe_replay(echo_main, NULL, path, &report), 0);
  assert_true(report.events > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_with(what_is_passed_on_stands_in_the_file_once, set_up, tear_down),
      trp_test_with(what_came_long_ago_is_read_all_the_same, set_up, tear_down),
      trp_test_with(one_batch_names_what_came_in_many, set_up, tear_down),
      trp_test_with(each_file_of_a_rotation_is_whole_by_itself, set_up, tear_down),
      trp_test_with(what_came_before_recording_began_is_written, set_up, tear_down),
      trp_test_with(what_was_lost_is_not_named, set_up, tear_down),
      trp_test_with(what_is_cut_is_cut_on_both_ways, set_up, tear_down),
      trp_test(names_that_lie_are_refused),
      trp_test(a_file_of_the_major_version_before_is_read_and_replayed),
  };
  return TRP_RUN_TESTS("naming", tests);
}
