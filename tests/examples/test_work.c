// The service that computes, asked by clients.
#include "tests/examples/program.h"

enum { LIMIT_MS = 20000, ANSWER = 65 };

static program_t work;

static void gets(int fd, const char *expected) {
  char answer[ANSWER + 1] = "";
  assert_int_equal(trp_test_receive(fd, answer, ANSWER, LIMIT_MS), ANSWER);
  assert_int_equal(answer[ANSWER - 1], '\n');
  answer[ANSWER - 1] = '\0';
  assert_string_equal(answer, expected);
}

#define OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_448_BITS "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
#define OF_896_BITS "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"

static void the_answers_are_right(void **state) {
  (void)state;
  program_start(&work, "work", "--host", "127.0.0.1", "--iterations", "1", NULL);
  int fd = program_connect(&work);
  program_say(
      fd, "abc\n\nabcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq\r\n"
          "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
          "lmnopqrsmnopqrstnopqrstu\nab");
  gets(fd, OF_ABC);
  gets(fd, OF_NOTHING);
  gets(fd, OF_448_BITS);
  gets(fd, OF_896_BITS);
  // A line may come in pieces, and the last one without its end.
  program_say(fd, "c\nab");
  gets(fd, OF_ABC);
  program_say(fd, "c");
  assert_int_equal(trp_test_end(fd), 0);
  gets(fd, OF_ABC);
  char byte = 0;
  assert_int_equal(trp_test_receive(fd, &byte, 1, LIMIT_MS), 0);
  trp_test_close(fd);
  program_stop_cleanly(&work, "");
}

static void more_rounds_hash_the_hash(void **state) {
  char path[128];
  (void)state;
  snprintf(path, sizeof path, "%s/work", trp_test_folder());
  program_start(&work, "work", "--path", path, "--iterations", "3", "--actors", "2", NULL);
  assert_string_equal(work.address, path);
  for (int i = 0; i < 4; i++) {
    int fd = trp_test_connect_unix(path, strlen(path), LIMIT_MS);
    assert_true(fd >= 0);
    program_say(fd, "abc\n");
    gets(fd, "f2a778f1a6ed3d5bc59a5d79104c598f3f07093f240ca4e91333fb09ed4f36da");
    trp_test_close(fd);
  }
  program_stop_cleanly(&work, "");
}

static void many_lines_at_once_are_answered_in_order(void **state) {
  enum { LINES = 20000 };
  (void)state;
  trp_test_limit(150000);
  program_start(&work, "work", "--host", "127.0.0.1", "--iterations", "1", NULL);
  int fd = program_connect(&work);
  // Nothing is read until all is written, as far as it goes: the service must wait as well.
  static char lines[LINES * 4];
  for (int i = 0; i < LINES; i++) {
    memcpy(lines + 4 * i, i % 3 == 0 ? "abc\n" : "\n\n\n\n", 4);
  }
  size_t sent = 0;
  for (int i = 0; i < LINES; i++) {
    while (sent < sizeof lines) {
      ssize_t n = send(fd, lines + sent, sizeof lines - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n <= 0) {
        assert_int_equal(errno, EAGAIN);
        break;
      }
      sent += (size_t)n;
    }
    if (i % 3 == 0) {
      gets(fd, OF_ABC);
    } else {
      for (int k = 0; k < 4; k++) {
        gets(fd, OF_NOTHING);
      }
    }
  }
  trp_test_close(fd);
  program_stop_cleanly(&work, "");
}

static void a_busy_client_leaves_turns_to_others(void **state) {
  enum { LINES = 5000 };
  (void)state;
  // About 10 ms for each line: the busy client's would take a minute.
  program_start(&work, "work", "--host", "127.0.0.1", "--iterations", "20000", NULL);
  int busy = program_connect(&work), other = program_connect(&work);
  char *lines = malloc(LINES * 2);
  assert_non_null(lines);
  for (int i = 0; i < LINES; i++) {
    memcpy(lines + 2 * i, "x\n", 2);
  }
  assert_int_equal(trp_test_send(busy, lines, LINES * 2, LIMIT_MS), 0);
  free(lines);
  char answer[ANSWER];
  assert_int_equal(trp_test_receive(busy, answer, ANSWER, LIMIT_MS), ANSWER); // it has begun
  int64_t began = trp_test_now_ms();
  for (int i = 0; i < 3; i++) {
    program_say(other, "y\n");
    assert_int_equal(trp_test_receive(other, answer, ANSWER, LIMIT_MS), ANSWER);
  }
  assert_true(trp_test_now_ms() - began < 5000 * trp_test_slow());
  // It ends in the middle of that.
  program_stop_cleanly(&work, "");
  trp_test_close(busy);
  trp_test_close(other);
}

static void a_line_that_is_too_long_is_told(void **state) {
  static const char told[] = "error: a line has at most 65536 bytes\n";
  char answer[sizeof told];
  (void)state;
  program_start(&work, "work", "--host", "127.0.0.1", "--iterations", "1", NULL);
  int fd = program_connect(&work);
  char *line = malloc(200000);
  assert_non_null(line);
  memset(line, 'x', 200000);
  memcpy(line + 199996, "abc", 3);
  line[199995] = '\n';
  line[199999] = '\n';
  assert_int_equal(trp_test_send(fd, line, 200000, LIMIT_MS), 0);
  free(line);
  assert_int_equal(trp_test_receive(fd, answer, sizeof told - 1, LIMIT_MS), sizeof told - 1);
  assert_memory_equal(answer, told, sizeof told - 1);
  gets(fd, OF_ABC);
  trp_test_close(fd);
  program_stop_cleanly(&work, "");
}

static void what_it_cannot_do_it_says(void **state) {
  static const wrong_usage_t wrong[] = {
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
      {{"-x"}, "unknown option '-x'"},
      {{"--iterations", "0"}, "--iterations wants a whole number from 1 to 1000000000, not '0'"},
      {{"--iterations"}, "--iterations wants a value"},
      {{"--actors", "2000"}, "--actors wants a whole number from 1 to 1024"},
      {{"x"}, "unexpected 'x'"},
  };
  static const char *const options[] = {"--host",       "--port", "--path", "--actors",
                                        "--iterations", "--help", NULL};
  (void)state;
  program_refuses("work", wrong);
  program_helps("work", options);
  program_start(&work, "work", "--host", "127.0.0.1", NULL);
  program_finds_taken(&work, "work", NULL);
  program_stop_cleanly(&work, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(the_answers_are_right),
      trp_test(more_rounds_hash_the_hash),
      trp_test(many_lines_at_once_are_answered_in_order),
      trp_test(a_busy_client_leaves_turns_to_others),
      trp_test(a_line_that_is_too_long_is_told),
      trp_test(what_it_cannot_do_it_says),
  };
  return TRP_RUN_TESTS("work", tests);
}
