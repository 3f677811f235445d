#include "tests/harness/harness.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <troupe/error.h>
#include <troupe/trace_file.h>
#include <unistd.h>

#include "tests/trace/recorded.h"
#include "tests/trace/tape.h"

// Recorders that keep less than all: a part of the payloads, some connections, so many bytes or so
// long.

enum { IO = 1, LATE_NS = 5000 };

static uint64_t next_sequence;

static int begin_to_count(void **state) {
  next_sequence = 1;
  return set_up(state);
}

static trp_tap_t *begin(troupe_record_options_t options, const char *name, bool late) {
  static uint32_t used = 1000;
  trp_start_t start = {
      .id = trp_id_actor(ACTOR), .io_actors = 1, .seed = 5, .clock_ns = 1000, .argument_size = 0};
  snprintf(start.name, sizeof start.name, "%s", name);
  options.directory = trp_test_folder();
  assert_int_equal(trp_recorder_start(hub, trp_id_actor(used++), &options, &recorder), 0);
  trp_tap_t *tap = trp_tap_new(inbox);
  assert_non_null(tap);
  assert_int_equal(trp_tap_record(tap, recorder, &start, late, late ? LATE_NS : 1000), 0);
  return tap;
}

static troupe_record_report_t end(trp_tap_t **tap, int status) {
  troupe_record_report_t report;
  trp_tap_end(*tap, status);
  trp_tap_close(tap);
  trp_recorder_stop(&recorder, &report);
  return report;
}

typedef struct {
  Troupe__Wire__Kind kind;
  uint64_t subject;
  const char *bytes; // NULL: none
  uint64_t socket;   // of a connection
} said_t;

static void fill(trp_out_t *out, const said_t *said, size_t count) {
  for (size_t i = 0; i < count; i++) {
    trp_message_t *message = trp_out_add(out, said[i].kind, said[i].subject);
    assert_non_null(message);
    if (said[i].bytes != NULL) {
      assert_int_equal(trp_out_copy(out, message, said[i].bytes, strlen(said[i].bytes)), 0);
    }
    if (said[i].socket != 0) {
      message->connection = trp_out_take(out, sizeof *message->connection);
      assert_non_null(message->connection);
      *message->connection = (Troupe__Wire__Connection)TROUPE__WIRE__CONNECTION__INIT;
      message->connection->socket = said[i].socket;
      message->detail_case = TRP_DETAIL(CONNECTION);
    }
  }
  assert_int_equal(trp_out_pack(out), 0);
}

static void record_in(trp_tap_t *tap, int64_t clock_ns, const said_t *said, size_t count) {
  trp_out_t out;
  trp_in_t in;
  trp_out_init(&out, trp_id_actor(IO), trp_id_actor(ACTOR), pool);
  out.next_sequence = next_sequence;
  next_sequence += count;
  fill(&out, said, count);
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

static void record_out(trp_tap_t *tap, const said_t *said, size_t count) {
  trp_out_t out;
  trp_out_init(&out, trp_id_actor(ACTOR), trp_id_actor(IO), pool);
  fill(&out, said, count);
  trp_tap_out(tap, &out);
  trp_out_free(&out);
}

static troupe_trace_t *open_trace(const char *name, troupe_trace_info_t *info) {
  troupe_trace_t *trace = NULL;
  assert_int_equal(troupe_trace_open(path_of(name), &trace), 0);
  troupe_trace_info(trace, info);
  return trace;
}

/// The next message, start or end.
static void read_next(troupe_trace_t *trace, troupe_trace_entry_t *entry) {
  assert_int_equal(troupe_trace_next(trace, entry), 1);
}

static void read_message(troupe_trace_t *trace, const char *kind, uint64_t subject,
                         troupe_trace_entry_t *entry) {
  read_next(trace, entry);
  assert_string_equal(entry->kind, kind);
  assert_true(entry->subject == subject);
}

static void check_payload(const troupe_trace_entry_t *entry, const char *was, const char *kept,
                          bool redacted) {
  assert_true(entry->has_payload);
  assert_int_equal(entry->length, strlen(was));
  assert_int_equal(entry->kept, strlen(kept));
  assert_memory_equal(entry->payload, kept, strlen(kept));
  assert_int_equal(entry->redacted, redacted);
  bool whole = strcmp(was, kept) == 0;
  assert_true(entry->hash == (whole ? 0 : troupe_trace_hash(was, strlen(was))));
}

static void payloads_are_cut_and_keep_length_and_hash(void **state) {
  (void)state;
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  trp_tap_t *tap = begin((troupe_record_options_t){.cut_payloads = true, .payload_bytes = 5}, "cut",
                         false);
  const said_t in[] = {{.kind = TRP_KIND(EVENT_DATA), .subject = 7, .bytes = "password: hunter2"},
                       {.kind = TRP_KIND(EVENT_END), .subject = 7},
                       {.kind = TRP_KIND(EVENT_DATA), .subject = 8, .bytes = "short"},
                       {.kind = TRP_KIND(EVENT_DATA), .subject = 9, .bytes = ""}};
  record_in(tap, 2000, in, 4);
  record_out(tap, &(said_t){TRP_KIND(COMMAND_WRITE), 7, "an answer", 0}, 1);
  assert_int_equal(end(&tap, 3).error, 0);
  troupe_trace_t *trace = open_trace("cut-0.trace", &info);
  assert_true(info.cut);
  assert_false(info.complete || info.late || info.chosen || info.lost || info.rotated);
  read_next(trace, &entry);
  assert_int_equal(entry.type, TROUPE_ENTRY_START);
  read_message(trace, "data", 7, &entry);
  check_payload(&entry, "password: hunter2", "passw", false);
  read_message(trace, "end", 7, &entry);
  assert_false(entry.has_payload);
  read_message(trace, "data", 8, &entry);
  check_payload(&entry, "short", "short", false);
  read_message(trace, "data", 9, &entry);
  check_payload(&entry, "", "", false);
  read_message(trace, "write", 7, &entry);
  assert_int_equal(entry.type, TROUPE_ENTRY_COMMAND);
  check_payload(&entry, "an answer", "an an", false);
  read_next(trace, &entry);
  assert_int_equal(entry.type, TROUPE_ENTRY_END);
  assert_int_equal(entry.value, 3);
  assert_int_equal(troupe_trace_next(trace, &entry), 0);
  troupe_trace_free(&trace);
}

static void no_byte_of_a_payload_is_in_a_file_without_payloads(void **state) {
  (void)state;
  trp_tap_t *tap = begin((troupe_record_options_t){.cut_payloads = true}, "none", false);
  for (int i = 0; i < 100; i++) {
    record_in(tap, i, &(said_t){TRP_KIND(EVENT_DATA), 7, "a secret that nobody may read", 0}, 1);
    record_out(tap, &(said_t){TRP_KIND(COMMAND_WRITE), 7, "another secret", 0}, 1);
  }
  assert_int_equal(end(&tap, 0).error, 0);
  FILE *file = fopen(path_of("none-0.trace"), "rb");
  assert_non_null(file);
  static char bytes[1024 * 1024];
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  assert_true(size > 1000);
  assert_null(memmem(bytes, size, "secret", 6));
}

static void blank_digits(const troupe_redact_t *what, void *bytes, size_t length, void *context) {
  char *text = bytes;
  int *calls = context;
  ++*calls;
  for (size_t i = 0; i < length && what->is_event; i++) {
    text[i] = text[i] >= '0' && text[i] <= '9' ? '#' : text[i];
  }
}

static void the_application_changes_what_must_not_be_written(void **state) {
  (void)state;
  int calls = 0;
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  trp_tap_t *tap = begin(
      (troupe_record_options_t){.redact = blank_digits, .redact_context = &calls}, "red", false);
  record_in(tap, 1, &(said_t){TRP_KIND(EVENT_DATA), 7, "card 1234 5678", 0}, 1);
  record_in(tap, 2, &(said_t){TRP_KIND(EVENT_DATA), 7, "thanks", 0}, 1);
  record_out(tap, &(said_t){TRP_KIND(COMMAND_WRITE), 7, "paid 99", 0}, 1);
  assert_int_equal(end(&tap, 0).error, 0);
  assert_int_equal(calls, 3);
  troupe_trace_t *trace = open_trace("red-0.trace", &info);
  read_next(trace, &entry);
  read_message(trace, "data", 7, &entry);
  assert_int_equal(entry.kept, entry.length);
  assert_memory_equal(entry.payload, "card #### ####", 14);
  assert_true(entry.redacted);
  assert_true(entry.hash == troupe_trace_hash("card 1234 5678", 14));
  read_message(trace, "data", 7, &entry);
  check_payload(&entry, "thanks", "thanks", false);
  read_message(trace, "write", 7, &entry);
  check_payload(&entry, "paid 99", "paid 99", false);
  troupe_trace_free(&trace);
}

static void what_had_to_leave_nothing_out_is_complete(void **state) {
  (void)state;
  const troupe_record_options_t options[] = {
      {.connection = trp_id_make(1, 1, 7)},
      {.one_connection_in = 1000000},
      {.cut_payloads = true, .payload_bytes = 5},
      {.redact = blank_digits, .redact_context = &(int){0}},
      {.connection = trp_id_make(1, 1, 7), .file_bytes = 1, .files = 2},
  };
  const said_t all[] = {{TRP_KIND(EVENT_MESSAGE), 0, "short", 0}};
  const said_t less[] = {{TRP_KIND(EVENT_DATA), trp_id_make(1, 1, 9), "a number: 9", 0}};
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    for (int leaves_out = 0; leaves_out < 2; leaves_out++) {
      troupe_trace_info_t info;
      troupe_trace_entry_t entry;
      trp_tap_t *tap = begin(options[i], "less", false);
      record_in(tap, 1, all, 1);
      record_in(tap, 2, leaves_out ? less : all, 1);
      assert_int_equal(end(&tap, 0).error, 0);
      bool rotates = options[i].files > 0;
      troupe_trace_t *trace = open_trace(rotates ? "less-0.part2.trace" : "less-0.trace", &info);
      assert_int_equal(info.complete, !leaves_out && !rotates);
      assert_int_equal(info.chosen || info.cut, leaves_out || rotates);
      read_next(trace, &entry);
      if (!rotates) {
        read_message(trace, "message", 0, &entry);
        check_payload(&entry, "short", "short", false);
      }
      troupe_trace_free(&trace);
    }
  }
}

static void one_connection_is_recorded_with_what_is_nobodys(void **state) {
  (void)state;
  const uint64_t server = trp_id_make(1, ACTOR, 1);
  const uint64_t wanted = trp_id_make(1, 1, 7);
  const uint64_t other = trp_id_make(1, 1, 8);
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  trp_tap_t *tap = begin((troupe_record_options_t){.connection = wanted}, "one", false);
  const said_t in[] = {
      {.kind = TRP_KIND(EVENT_CONNECTION), .subject = server, .socket = other},
      {.kind = TRP_KIND(EVENT_DATA), .subject = other, .bytes = "not this"},
      {.kind = TRP_KIND(EVENT_CONNECTION), .subject = server, .socket = wanted},
      {.kind = TRP_KIND(EVENT_DATA), .subject = wanted, .bytes = "this"},
      {.kind = TRP_KIND(EVENT_DATA), .subject = other, .bytes = "nor this"},
      {.kind = TRP_KIND(EVENT_ERROR), .subject = server},
  };
  record_in(tap, 1, in, 6);
  record_in(tap, 2, &in[4], 1); // nothing of it is kept
  record_out(tap, &(said_t){TRP_KIND(COMMAND_WRITE), other, "no", 0}, 1);
  record_out(tap, &(said_t){TRP_KIND(COMMAND_WRITE), wanted, "yes", 0}, 1);
  troupe_record_report_t report = end(&tap, 0);
  assert_int_equal(report.error, 0);
  assert_int_equal(report.gaps, 0);
  troupe_trace_t *trace = open_trace("one-0.trace", &info);
  assert_true(info.chosen);
  assert_false(info.complete || info.cut || info.lost);
  read_next(trace, &entry);
  read_message(trace, "connection", server, &entry);
  assert_true(entry.connection == wanted);
  read_message(trace, "data", wanted, &entry);
  check_payload(&entry, "this", "this", false);
  read_message(trace, "error", server, &entry);
  assert_true(entry.connection == 0);
  read_message(trace, "write", wanted, &entry);
  read_next(trace, &entry);
  assert_int_equal(entry.type, TROUPE_ENTRY_END);
  assert_int_equal(troupe_trace_next(trace, &entry), 0);
  troupe_trace_free(&trace);
}

static void a_share_of_connections_is_about_that_share(void **state) {
  (void)state;
  enum { CONNECTIONS = 2000, SHARE = 10 };
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  trp_tap_t *tap = begin((troupe_record_options_t){.one_connection_in = SHARE}, "share", false);
  for (uint64_t i = 1; i <= CONNECTIONS; i++) {
    uint64_t id = trp_id_make(1, 1, i);
    const said_t in[] = {{.kind = TRP_KIND(EVENT_CONNECTION), .subject = 5, .socket = id},
                         {.kind = TRP_KIND(EVENT_DATA), .subject = id, .bytes = "x"}};
    record_in(tap, (int64_t)i, in, 2);
  }
  assert_int_equal(end(&tap, 0).gaps, 0);
  troupe_trace_t *trace = open_trace("share-0.trace", &info);
  read_next(trace, &entry);
  int count = 0;
  for (;;) {
    read_next(trace, &entry);
    if (entry.type != TROUPE_ENTRY_EVENT) {
      break;
    }
    uint64_t connection = entry.connection;
    assert_string_equal(entry.kind, "connection");
    read_message(trace, "data", connection, &entry); // all of it, or nothing
    count++;
  }
  assert_in_range(count, CONNECTIONS / SHARE / 2, CONNECTIONS / SHARE * 2);
  troupe_trace_free(&trace);
}

static void files_end_at_their_size_and_the_last_ones_stay(void **state) {
  (void)state;
  enum { RECORDS = 1000, FILE_BYTES = 4000 };
  troupe_record_options_t options = {.file_bytes = FILE_BYTES, .files = 3};
  trp_tap_t *tap = begin(options, "turn", false);
  for (int i = 0; i < RECORDS; i++) {
    char text[32];
    snprintf(text, sizeof text, "number %d", i);
    record_in(tap, i, &(said_t){TRP_KIND(EVENT_DATA), 7, text, 0}, 1);
  }
  troupe_record_report_t report = end(&tap, 0);
  assert_int_equal(report.error, 0);
  assert_int_equal(report.gaps, 0);
  assert_true(report.actors > 10);
  assert_true(report.records >= RECORDS);
  int next = -1;
  int files = 0;
  for (unsigned part = 1; part <= report.actors; part++) {
    char name[64];
    struct stat status;
    snprintf(name, sizeof name, part == 1 ? "turn-0.trace" : "turn-0.part%u.trace", part);
    bool there = part + 3 > report.actors;
    assert_int_equal(stat(path_of(name), &status) == 0, there);
    if (!there) {
      continue;
    }
    assert_true(status.st_size < FILE_BYTES + 1000);
    troupe_trace_info_t info;
    troupe_trace_entry_t entry;
    troupe_trace_t *trace = open_trace(name, &info);
    assert_true(info.rotated);
    assert_false(info.complete || info.lost);
    assert_string_equal(info.name, "turn");
    files++;
    read_next(trace, &entry);
    assert_int_equal(entry.type, TROUPE_ENTRY_START);
    while (troupe_trace_next(trace, &entry) == 1 && entry.type == TROUPE_ENTRY_EVENT) {
      int number = -1;
      char text[32] = {0};
      memcpy(text, entry.payload, entry.length < sizeof text ? entry.length : sizeof text - 1);
      assert_int_equal(sscanf(text, "number %d", &number), 1);
      assert_true(next == -1 || number == next);
      next = number + 1;
    }
    troupe_trace_free(&trace);
  }
  assert_int_equal(files, 3);
  assert_int_equal(next, RECORDS);
}

static bool is_there(const char *name) {
  struct stat status;
  return stat(path_of(name), &status) == 0;
}

static void make(const char *name) {
  FILE *file = fopen(path_of(name), "wb");
  assert_non_null(file);
  assert_int_equal(fclose(file), 0);
}

static void a_new_trace_has_no_parts_of_an_earlier_one_beside_it(void **state) {
  (void)state;
  static const char *const others[] = {"again-1.part2.trace",   "again-0.part2.trace.bak",
                                       "again-0.part.trace",    "again-0.partx2.trace",
                                       "again-0.2.part2.trace", "an_again-0.part2.trace"};
  make("again-0.trace");
  make("again-0.part2.trace");
  make("again-0.part31.trace");
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    make(others[i]);
  }
  trp_tap_t *tap = begin((troupe_record_options_t){.file_bytes = 4000, .files = 3}, "again", false);
  record_in(tap, 1, &(said_t){TRP_KIND(EVENT_DATA), 7, "x", 0}, 1);
  assert_int_equal(end(&tap, 0).error, 0);
  assert_true(is_there("again-0.trace"));
  assert_false(is_there("again-0.part2.trace"));
  assert_false(is_there("again-0.part31.trace"));
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    assert_true(is_there(others[i]));
  }
}

static void what_could_not_be_written_is_not_counted(void **state) {
  (void)state;
  enum { LIMIT = 64 * 1024, RECORDS = 3000 };
  struct rlimit before;
  struct stat status;
  uint64_t records = 0;
  trp_record_t record;
  trp_reader_t *reader = NULL;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  trp_tap_t *tap = begin((troupe_record_options_t){0}, "full", false);
  for (int i = 0; i < RECORDS; i++) {
    record_in(tap, i, &(said_t){TRP_KIND(EVENT_DATA), 7, "some bytes, to fill the file", 0}, 1);
  }
  troupe_record_report_t report = end(&tap, 0);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(report.error, TROUPE_EFBIG);
  assert_int_equal(stat(path_of("full-0.trace"), &status), 0);
  assert_int_equal(report.bytes, status.st_size);
  assert_int_equal(trp_reader_open(path_of("full-0.trace"), &reader), 0);
  while (trp_reader_next(reader, &record) == 1) {
    records++;
  }
  trp_reader_close(&reader);
  assert_in_range(records, 1, RECORDS - 1);
  assert_int_equal(report.records, records);
}

static void files_end_after_their_time_by_the_actors_clock(void **state) {
  (void)state;
  trp_tap_t *tap = begin((troupe_record_options_t){.file_ms = 10, .files = 100}, "time", false);
  for (int64_t i = 0; i < 50; i++) {
    record_in(tap, 1000 + i * 1000000, &(said_t){TRP_KIND(EVENT_DATA), 7, "x", 0}, 1);
  }
  assert_int_equal(end(&tap, 0).actors, 5);
}

static void without_rotation_the_limit_ends_a_trace_that_is_good_so_far(void **state) {
  (void)state;
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  trp_tap_t *tap = begin((troupe_record_options_t){.file_bytes = 1000}, "end", false);
  for (int i = 0; i < 1000; i++) {
    record_in(tap, i, &(said_t){TRP_KIND(EVENT_DATA), 7, "x", 0}, 1);
  }
  troupe_record_report_t report = end(&tap, 0);
  assert_int_equal(report.error, 0);
  assert_int_equal(report.actors, 1);
  assert_in_range(report.bytes, 1000, 1200);
  troupe_trace_t *trace = open_trace("end-0.trace", &info);
  assert_true(info.complete);
  assert_int_equal(info.size_bytes, report.bytes);
  while (troupe_trace_next(trace, &entry) == 1) {
    assert_true(entry.type != TROUPE_ENTRY_END);
  }
  troupe_trace_free(&trace);
}

static void a_late_trace_says_so(void **state) {
  (void)state;
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  trp_tap_t *tap = begin((troupe_record_options_t){0}, "late", true);
  record_in(tap, LATE_NS, &(said_t){TRP_KIND(EVENT_DATA), 7, "x", 0}, 1);
  assert_int_equal(end(&tap, 0).error, 0);
  troupe_trace_t *trace = open_trace("late-0.trace", &info);
  assert_true(info.late);
  assert_false(info.complete || info.lost);
  assert_int_equal(info.clock_ns, 1000);
  read_next(trace, &entry);
  assert_int_equal(entry.clock_ns, LATE_NS);
  troupe_trace_free(&trace);
  troupe_replay_report_t report;
  assert_int_equal(troupe_replay((troupe_main_fn)abort, NULL, path_of("late-0.trace"), &report),
                   TROUPE_EINCOMPLETE);
}

static int stopped_error;
static uint64_t stopped_actor;

static void note_stopped(void *context, uint64_t actor, int error) {
  *(int *)context = error;
  stopped_actor = actor;
}

static void a_file_that_is_taken_away_stops_its_recording(void **state) {
  (void)state;
  stopped_error = 0;
  trp_tap_t *tap = begin((troupe_record_options_t){0}, "gone", false);
  trp_recorder_on_stopped(recorder, note_stopped, &stopped_error);
  record_in(tap, 1, &(said_t){TRP_KIND(EVENT_DATA), 7, "x", 0}, 1);
  // It is there when its first bytes are.
  while (access(path_of("gone-0.trace"), F_OK) != 0) {
  }
  assert_int_equal(unlink(path_of("gone-0.trace")), 0);
  record_in(tap, 2, &(said_t){TRP_KIND(EVENT_DATA), 7, "x", 0}, 1);
  trp_tap_close(&tap);
  troupe_record_report_t report;
  trp_recorder_stop(&recorder, &report);
  assert_int_equal(report.error, TROUPE_ENOENT);
  assert_int_equal(stopped_error, TROUPE_ENOENT);
  assert_true(stopped_actor == trp_id_actor(ACTOR));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_with(payloads_are_cut_and_keep_length_and_hash, begin_to_count, tear_down),
      trp_test_with(no_byte_of_a_payload_is_in_a_file_without_payloads, begin_to_count, tear_down),
      trp_test_with(the_application_changes_what_must_not_be_written, begin_to_count, tear_down),
      trp_test_with(what_had_to_leave_nothing_out_is_complete, begin_to_count, tear_down),
      trp_test_with(one_connection_is_recorded_with_what_is_nobodys, begin_to_count, tear_down),
      trp_test_with(a_share_of_connections_is_about_that_share, begin_to_count, tear_down),
      trp_test_with(files_end_at_their_size_and_the_last_ones_stay, begin_to_count, tear_down),
      trp_test_with(a_new_trace_has_no_parts_of_an_earlier_one_beside_it, begin_to_count,
                    tear_down),
      trp_test_with(what_could_not_be_written_is_not_counted, begin_to_count, tear_down),
      trp_test_with(files_end_after_their_time_by_the_actors_clock, begin_to_count, tear_down),
      trp_test_with(without_rotation_the_limit_ends_a_trace_that_is_good_so_far, begin_to_count,
                    tear_down),
      trp_test_with(a_late_trace_says_so, begin_to_count, tear_down),
      trp_test_with(a_file_that_is_taken_away_stops_its_recording, begin_to_count, tear_down),
  };
  return TRP_RUN_TESTS("limits", tests);
}
