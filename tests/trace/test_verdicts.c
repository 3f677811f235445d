#include "tests/harness/harness.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <troupe/cmocka.h>
#include <troupe/troupe.h>

#include "tests/support/service.h"
#include "tests/trace/tape.h"

// A service is recorded once for each test; what is replayed is the same or another handler.

enum { LIMIT_MS = 20000, PIECE = 7 };

typedef enum {
  SAME,
  IN_PIECES, // the same bytes in smaller pieces
  ONE_BYTE,  // one byte is another one
  NO_DELAY,  // another option
  BACKLOG,   // two others
  ELSEWHERE, // the same, from another line
  CLOCK,     // answers with something that is not the same each time
  TOO_MUCH,  // says good bye
} manner_t;

static manner_t manner;
static troupe_system_t *the_system;
static atomic_int port;
static int calls; // over all runs: what an actor must not look at

static const char *trace_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s.trace", trp_test_folder(), name);
  return path;
}

static void answer(troupe_socket_t socket, char *text, size_t length) {
  if (manner == ONE_BYTE && length > 3 && text[0] == 'H' && text[3] == 'L') {
    text[3] = 'x';
  }
  if (manner == CLOCK) {
    text[0] = (char)('0' + ++calls % 10);
  }
  size_t piece = manner == IN_PIECES ? PIECE : length;
  for (size_t at = 0; at < length; at += piece) {
    size_t left = length - at;
    troupe_socket_write(socket, text + at, left < piece ? left : piece, NULL, NULL);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  size_t length = troupe_chunk_length(chunk);
  const char *bytes = troupe_chunk_bytes(chunk);
  char *text = malloc(length);
  if (text == NULL) {
    return;
  }
  for (size_t i = 0; i < length; i++) {
    text[i] = (char)toupper((unsigned char)bytes[i]);
  }
  answer(socket, text, length);
  free(text);
}

static void on_end(troupe_socket_t socket, void *context) {
  (void)context;
  if (manner == TOO_MUCH) {
    troupe_socket_write(socket, "good bye", 8, NULL, NULL);
  }
}

static int listen_here(const troupe_server_options_t *options) {
  troupe_server_t server;
  int error = troupe_server_new(options, NULL, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_port(server, 0, "127.0.0.1", manner == BACKLOG ? 99 : 0);
  }
  return error != 0 ? error : troupe_server_listen_wait(server, -1);
}

static int shouter_main(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_end = on_end};
  troupe_server_options_t options = {
      .socket_handlers = &handlers,
      .no_delay = manner == NO_DELAY || manner == BACKLOG ? TROUPE_ON : TROUPE_DEFAULT};
  (void)argument;
  int error = manner == ELSEWHERE || manner == BACKLOG
                  ? listen_here(&options)
                  : test_listen(&options, NULL, NULL, NULL, &port);
  return error != 0 ? error : troupe_actor_run();
}

static int open_talk(const char *text) {
  char said[256];
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&port), LIMIT_MS);
  assert_true(fd >= 0);
  assert_int_equal(trp_test_send(fd, text, strlen(text), LIMIT_MS), 0);
  assert_int_equal(trp_test_receive(fd, said, strlen(text), LIMIT_MS), strlen(text));
  return fd;
}

static void end_talk(int fd) {
  char said[16];
  assert_int_equal(trp_test_end(fd), 0);
  assert_int_equal(trp_test_receive_to_end(fd, said, sizeof said, LIMIT_MS), 0);
  trp_test_close(fd);
}

static void begin_service(void) {
  manner = SAME;
  assert_int_equal(troupe_system_new(NULL, &the_system), 0);
}

static void spawn(void) {
  const troupe_spawn_options_t options = {.main = shouter_main, .name = "shouter"};
  assert_int_equal(troupe_spawn(the_system, &options, NULL), 0);
}

static void record(troupe_record_options_t options) {
  options.directory = trp_test_folder();
  assert_int_equal(troupe_record_start(the_system, &options), 0);
}

static void end_service(void) {
  assert_int_equal(troupe_system_stop(the_system, 5000), 0);
  assert_int_equal(troupe_system_wait(the_system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&the_system), 0);
}

/// Eight clients, some of them at once.
static void record_service(void) {
  begin_service();
  record((troupe_record_options_t){0});
  spawn();
  for (int i = 0; i < 4; i++) {
    int first = open_talk("hello, this is the first of two");
    int second = open_talk("hello, this is the second");
    end_talk(first);
    end_talk(second);
  }
  end_service();
}

static int replay(manner_t how, troupe_replay_options_t options, troupe_replay_report_t *report) {
  manner = how;
  int result = troupe_replay_with(shouter_main, NULL, trace_of("shouter-0"), &options, report);
  manner = SAME;
  return result;
}

static void says(const troupe_replay_report_t *report, const char *text) {
  if (strstr(report->text, text) == NULL) {
    fprintf(stderr, "\"%s\" is not in:\n%s", text, report->text);
    fail();
  }
}

static const troupe_replay_options_t exact;
static const troupe_replay_options_t stream = {.verdict = TROUPE_VERDICT_STREAM};

static void the_pieces_of_a_stream_play_no_part_in_it(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_service();
  assert_int_equal(replay(SAME, exact, &report), 0);
  assert_int_equal(replay(SAME, stream, &report), 0);
  assert_int_equal(replay(IN_PIECES, exact, &report), TROUPE_EDIFFERS);
  assert_int_equal(replay(IN_PIECES, stream, &report), 0);
  assert_int_equal(replay(NO_DELAY, stream, &report), 0);
  troupe_assert_replays_with(shouter_main, NULL, trace_of("shouter-0"), &stream);
}

static void a_byte_of_a_stream_that_differs_is_told_with_its_place(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_service();
  assert_int_equal(replay(ONE_BYTE, stream, &report), TROUPE_EDIFFERS);
  says(&report, "differs behind byte 3");
  says(&report, "expected: \"LO, THIS IS THE FIRST OF TWO\"");
  says(&report, "got:      \"xO, THIS IS THE FIRST OF TWO\"");
  says(&report, "This is after event:");
  says(&report, "data on");
  assert_null(strstr(report.text, "cannot be replayed"));
}

static void a_stream_with_more_or_less_differs(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_service();
  assert_int_equal(replay(TOO_MUCH, stream, &report), TROUPE_EDIFFERS);
  says(&report, "expected: end");
  says(&report, "got:      \"good bye\"");
  assert_null(strstr(report.text, "cannot be replayed"));
}

static void batches_split_and_merged_at_random_change_no_stream(void **state) {
  (void)state;
  trp_test_random_t random;
  trp_test_random_start(&random, 8);
  record_service();
  trp_tape_t tape = trp_tape_load(trace_of("shouter-0"));
  for (int i = 0; i < 1 + 40 / trp_test_slow(); i++) {
    troupe_replay_report_t report;
    trp_tape_shuffle(&tape, &random);
    trp_tape_save(&tape, trace_of("shouter-0"));
    assert_int_equal(replay(SAME, stream, &report), 0);
    assert_int_equal(replay(IN_PIECES, stream, &report), 0);
    assert_int_equal(replay(ONE_BYTE, stream, &report), TROUPE_EDIFFERS);
    assert_int_equal(replay(SAME, exact, &report), 0);
  }
  trp_tape_free(&tape);
}

static void fields_that_are_ignored_are_not_compared(void **state) {
  (void)state;
  troupe_replay_report_t report;
  const char *const options[] = {"no_delay", NULL};
  const char *const payload[] = {"through", "payload", NULL};
  record_service();
  assert_int_equal(replay(NO_DELAY, exact, &report), TROUPE_EDIFFERS);
  says(&report, "no_delay");
  assert_int_equal(replay(NO_DELAY, (troupe_replay_options_t){.ignore = options}, &report), 0);
  assert_int_equal(replay(ONE_BYTE, (troupe_replay_options_t){.ignore = options}, &report),
                   TROUPE_EDIFFERS);
  assert_int_equal(replay(ONE_BYTE, (troupe_replay_options_t){.ignore = payload}, &report), 0);
  const char *const nothing[] = {"through", "pay_load", NULL};
  assert_int_equal(replay(SAME, (troupe_replay_options_t){.ignore = nothing}, &report),
                   TROUPE_EINVAL);
  says(&report, "pay_load");
}

static void where_a_handle_is_made_makes_no_difference_whatever_is_ignored(void **state) {
  (void)state;
  troupe_replay_report_t report;
  const char *const ignore[] = {"through", NULL};
  record_service();
  assert_int_equal(replay(ELSEWHERE, exact, &report), 0);
  assert_int_equal(replay(ELSEWHERE, (troupe_replay_options_t){.ignore = ignore}, &report), 0);
}

static void a_field_that_is_ignored_is_not_told_as_the_difference(void **state) {
  (void)state;
  troupe_replay_report_t report;
  const char *const ignore[] = {"backlog", NULL};
  record_service();
  assert_int_equal(replay(BACKLOG, exact, &report), TROUPE_EDIFFERS);
  says(&report, "`backlog` is 99");
  assert_int_equal(replay(BACKLOG, (troupe_replay_options_t){.ignore = ignore}, &report),
                   TROUPE_EDIFFERS);
  says(&report, "`options` is");
}

static void what_is_accepted_is_the_new_truth(void **state) {
  (void)state;
  troupe_replay_report_t report;
  char other[4096];
  struct stat before;
  struct stat after;
  record_service();
  snprintf(other, sizeof other, "%s/other.trace", trp_test_folder());
  // Nothing differs: nothing is written.
  assert_int_equal(replay(SAME, (troupe_replay_options_t){.accept = other}, &report), 0);
  assert_false(report.accepted);
  assert_int_not_equal(stat(other, &after), 0);
  assert_int_equal(replay(ONE_BYTE, (troupe_replay_options_t){.accept = other}, &report), 0);
  assert_true(report.accepted);
  says(&report, "payload differs first in byte 3");
  assert_int_equal(replay(SAME, exact, &report), 0); // the old one is as it was
  manner = ONE_BYTE;
  assert_int_equal(troupe_replay(shouter_main, NULL, other, &report), 0);
  manner = SAME;
  assert_int_equal(troupe_replay(shouter_main, NULL, other, &report), TROUPE_EDIFFERS);
  // In place; and nothing is left beside it.
  assert_int_equal(stat(trace_of("shouter-0"), &before), 0);
  assert_int_equal(
      replay(IN_PIECES, (troupe_replay_options_t){.accept = trace_of("shouter-0")}, &report), 0);
  assert_true(report.accepted);
  assert_int_equal(replay(IN_PIECES, exact, &report), 0);
  assert_int_equal(replay(SAME, stream, &report), 0);
  assert_int_equal(
      replay(ONE_BYTE, (troupe_replay_options_t){.accept = "/proc/nowhere/x"}, &report),
      TROUPE_ENOENT);
  says(&report, "cannot be written");
}

static void an_actor_that_is_not_deterministic_is_told_so(void **state) {
  (void)state;
  troupe_replay_report_t report;
  const troupe_replay_options_t twice = {.twice = true};
  record_service();
  assert_int_equal(replay(SAME, twice, &report), 0);
  assert_false(report.not_deterministic);
  assert_int_equal(replay(ONE_BYTE, twice, &report), TROUPE_EDIFFERS);
  assert_false(report.not_deterministic);
  assert_int_equal(replay(CLOCK, twice, &report), TROUPE_EDIFFERS);
  assert_true(report.not_deterministic);
  says(&report, "not deterministic");
  says(&report, "does not do what it did in the first of the two: ");
  says(&report, "payload differs first in byte 0");
}

static void misuse_is_refused(void **state) {
  (void)state;
  const troupe_replay_options_t unknown = {.verdict = (troupe_verdict_t)7};
  assert_int_equal(troupe_replay_with(shouter_main, NULL, "x", &unknown, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_replay_with(NULL, NULL, "x", NULL, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_replay_with(shouter_main, NULL, NULL, NULL, NULL), TROUPE_EINVAL);
}

// ---- Traces that are not complete ----

/// Recording begins while `early` is open.
static void record_late(troupe_record_options_t options) {
  begin_service();
  spawn();
  int early = open_talk("hello from before");
  options.running = true;
  record(options);
  end_talk(early);
  for (int i = 0; i < 6; i++) {
    end_talk(open_talk("hello, all of it"));
  }
  int open = open_talk("hello, until the end");
  assert_int_equal(troupe_record_stop(the_system, NULL), 0);
  end_talk(open);
  end_service();
}

static void of_a_late_trace_the_connections_that_are_whole_are_replayed(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_late((troupe_record_options_t){0});
  assert_int_equal(replay(SAME, exact, &report), 0);
  assert_int_equal(report.connections, 7);
  assert_int_equal(report.left_out, 1);
  assert_true(report.commands >= 7);
  says(&report, "recording began after the actor)");
  says(&report, "of its 8 connections 7 are whole and were replayed: 1/2, 1/3,");
  says(&report, "\nLeft out: 1/1 (whose beginning is missing).\n");
  assert_int_equal(replay(ONE_BYTE, exact, &report), TROUPE_EDIFFERS);
  says(&report, "payload differs first in byte 3");
  says(&report, "where the actor goes by what it remembers of something that is left out");
  assert_int_equal(replay(IN_PIECES, exact, &report), TROUPE_EDIFFERS);
  assert_int_equal(replay(IN_PIECES, stream, &report), 0);
  assert_int_equal(report.connections, 7);
  assert_int_equal(replay(TOO_MUCH, stream, &report), TROUPE_EDIFFERS);
  assert_int_equal(replay(ONE_BYTE, (troupe_replay_options_t){.accept = trace_of("x")}, &report),
                   TROUPE_EINCOMPLETE);
}

static void what_one_chose_to_record_is_replayed(void **state) {
  (void)state;
  troupe_replay_report_t report;
  begin_service();
  record((troupe_record_options_t){.one_connection_in = 3});
  spawn();
  for (int i = 0; i < 30; i++) {
    end_talk(open_talk("hello, chosen or not"));
  }
  end_service();
  assert_int_equal(replay(SAME, exact, &report), 0);
  assert_in_range(report.connections, 3, 20);
  assert_int_equal(report.left_out, 0);
  says(&report, "(some connections only)");
  assert_int_equal(replay(ONE_BYTE, exact, &report), TROUPE_EDIFFERS);
}

static void connections_with_cut_payloads_are_left_out(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_late((troupe_record_options_t){.cut_payloads = true, .payload_bytes = 17});
  assert_int_equal(replay(SAME, exact, &report), 0);
  assert_int_equal(report.connections, 6); // the last one says more
  assert_int_equal(report.left_out, 2);
  says(
      &report,
      "\nLeft out: 1/1 (whose beginning is missing), 1/8 (with a payload that is cut or redacted).\n");
  record_late((troupe_record_options_t){.cut_payloads = true});
  assert_int_equal(replay(SAME, exact, &report), TROUPE_EINCOMPLETE);
  says(&report, "(recording began after the actor; payloads are cut or redacted)");
  says(&report, "none of its connections is whole");
  says(&report, "1/2, 1/3, 1/4, 1/5, 1/6, 1/7, 1/8 (with a payload that is cut or redacted).\n");
}

static void a_gap_spoils_what_was_open_then_and_nothing_else(void **state) {
  (void)state;
  troupe_replay_report_t report;
  record_service();
  trp_tape_t tape = trp_tape_load(trace_of("shouter-0"));
  // Behind the first data of the third pair.
  size_t at = 0;
  for (int seen = 0; seen < 5; at++) {
    trp_in_t in;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what was loaded has records
    if (tape.records[at].head.type != TRP_RECORD_IN) {
      continue;
    }
    trp_in_init(&in);
    assert_int_equal(trp_parse_batch(tape.records[at].body, tape.records[at].head.length, &in), 0);
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): 0 has opened it
    for (size_t i = 0; i < in.batch->n_messages; i++) {
      seen += in.batch->messages[i]->kind == TRP_KIND(EVENT_DATA);
    }
    trp_in_free(&in);
  }
  tape.flags = TRP_TRACE_LOST;
  trp_tape_insert(&tape, at, (trp_record_head_t){.type = TRP_RECORD_GAP, .length = 8, .subject = 3},
                  "12345678");
  trp_tape_save(&tape, trace_of("shouter-0"));
  trp_tape_free(&tape);
  assert_int_equal(replay(SAME, exact, &report), 0);
  assert_int_equal(report.connections + report.left_out, 8);
  assert_in_range(report.left_out, 1, 2);
  says(&report, "something was lost");
  says(&report, " (open where something is missing).\n");
  assert_int_equal(replay(ONE_BYTE, exact, &report), TROUPE_EDIFFERS);
}

static int set_up_once(void **state) {
  (void)state;
  // The first loop of libuv in a process opens a pipe for good.
  return troupe_system_new(NULL, &the_system) == 0 && troupe_system_free(&the_system) == 0 ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(the_pieces_of_a_stream_play_no_part_in_it),
      trp_test_that_leaves_nothing(a_byte_of_a_stream_that_differs_is_told_with_its_place),
      trp_test_that_leaves_nothing(a_stream_with_more_or_less_differs),
      trp_test_that_leaves_nothing(batches_split_and_merged_at_random_change_no_stream),
      trp_test_that_leaves_nothing(fields_that_are_ignored_are_not_compared),
      trp_test_that_leaves_nothing(where_a_handle_is_made_makes_no_difference_whatever_is_ignored),
      trp_test_that_leaves_nothing(a_field_that_is_ignored_is_not_told_as_the_difference),
      trp_test_that_leaves_nothing(what_is_accepted_is_the_new_truth),
      trp_test_that_leaves_nothing(an_actor_that_is_not_deterministic_is_told_so),
      trp_test_that_leaves_nothing(misuse_is_refused),
      trp_test_that_leaves_nothing(of_a_late_trace_the_connections_that_are_whole_are_replayed),
      trp_test_that_leaves_nothing(what_one_chose_to_record_is_replayed),
      trp_test_that_leaves_nothing(connections_with_cut_payloads_are_left_out),
      trp_test_that_leaves_nothing(a_gap_spoils_what_was_open_then_and_nothing_else),
  };
  return TRP_RUN_TESTS_IN_GROUP("verdicts", tests, set_up_once, NULL);
}
