// The program whose handlers fail on command, and come back.
#include "tests/examples/program.h"

enum { LIMIT_MS = 20000 };

static program_t supervised;

static void is_hung_up_on(int fd) {
  char byte;
  int64_t result = trp_test_receive(fd, &byte, 1, LIMIT_MS);
  assert_true(result == 0 || result == -ECONNRESET);
  trp_test_close(fd);
}

static void prints(const char *expected) {
  char line[256];
  program_read_line(&supervised, line, sizeof line);
  assert_string_equal(line, expected);
}

static void a_handler_fails_and_comes_back(void **state) {
  (void)state;
  program_start(&supervised, "supervised", "--host", "127.0.0.1", NULL);
  int first = program_connect(&supervised), second = program_connect(&supervised),
      third = program_connect(&supervised);
  program_say(first, "hello\n");
  program_gets_back(first, "handler 0, start 1: hello\n");
  program_say(second, "hello\n");
  program_gets_back(second, "handler 1, start 1: hello\n");
  program_say(third, "one\ntwo\nfa");
  program_gets_back(third, "handler 0, start 1: one\nhandler 0, start 1: two\n");
  program_say(third, "il\n");
  is_hung_up_on(third);
  is_hung_up_on(first);
  prints("handler 0: ECANCELED");
  prints("handler 0: start 2");
  program_say(second, "still here\n");
  program_gets_back(second, "handler 1, start 1: still here\n");
  first = program_connect(&supervised);
  third = program_connect(&supervised);
  program_say(first, "a\n");
  program_say(third, "b\n");
  // Whichever of the two has which.
  char answers[2][64] = {"", ""};
  assert_int_equal(trp_test_receive(first, answers[0], 22, LIMIT_MS), 22);
  assert_int_equal(trp_test_receive(third, answers[1], 22, LIMIT_MS), 22);
  assert_true(strcmp(answers[0], "handler 0, start 2: a\n") == 0 ||
              strcmp(answers[1], "handler 0, start 2: b\n") == 0);
  trp_test_close(first);
  trp_test_close(second);
  trp_test_close(third);
  program_stop_cleanly(&supervised, "");
}

static void all_come_back_together(void **state) {
  (void)state;
  program_start(&supervised, "supervised", "--host", "127.0.0.1", "--handlers", "3", "--all", NULL);
  int first = program_connect(&supervised), second = program_connect(&supervised);
  program_say(first, "hello\n");
  program_gets_back(first, "handler 0, start 1: hello\n");
  program_say(second, "fail\n");
  is_hung_up_on(second);
  is_hung_up_on(first);
  prints("handler 1: ECANCELED");
  prints("handler 0: start 2");
  prints("handler 1: start 2");
  prints("handler 2: start 2");
  program_stop_cleanly(&supervised, "");
}

static void failing_too_often_ends_the_program(void **state) {
  (void)state;
  program_start(&supervised, "supervised", "--host", "127.0.0.1", "--handlers", "1",
                "--max-restarts", "2", NULL);
  for (int i = 0; i < 3; i++) {
    int fd = program_connect(&supervised);
    program_say(fd, "fail\n");
    is_hung_up_on(fd);
  }
  assert_int_equal(program_wait(&supervised), 1);
  assert_string_equal(
      supervised.errors,
      "supervised: handlers fail too often: 2 restarts in 10 seconds were not enough\n");
}

static void it_runs_over_several_io_actors_and_is_recorded(void **state) {
  // A child that was started again has a name that is taken already.
  static const char *const actors[] = {"supervisor-0", "handler-0", NULL};
  char traces[128];
  (void)state;
  snprintf(traces, sizeof traces, "%s/traces", trp_test_folder());
  program_start(&supervised, "supervised", "--host", "127.0.0.1", "--handlers", "1", "--io-threads",
                "3", "--record", traces, NULL);
  for (int start = 1; start <= 3; start++) {
    char hello[64];
    snprintf(hello, sizeof hello, "handler 0, start %d: hello\n", start);
    int fds[4]; // one to each I/O actor, and one more
    for (int i = 0; i < 4; i++) {
      fds[i] = program_connect(&supervised);
      program_say(fds[i], "hello\n");
      program_gets_back(fds[i], hello);
    }
    program_say(fds[3], "fail\n");
    for (int i = 0; i < 4; i++) {
      is_hung_up_on(fds[i]);
    }
  }
  program_stop_cleanly(&supervised, "");
  program_recorded(traces, actors);
}

static void its_usage_is_told(void **state) {
  static const wrong_usage_t wrong[] = {
      {{"--handlers", "0"}, "--handlers wants a whole number from 1"},
      {{"--max-restarts", "x"}, "--max-restarts wants a whole number"},
      {{"extra"}, "unexpected 'extra'"},
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
  };
  static const char *const options[] = {
      "--host",         "--port",       "--path",   "--handlers", "--all",
      "--max-restarts", "--io-threads", "--record", "--help",     NULL};
  (void)state;
  program_refuses("supervised", wrong);
  program_helps("supervised", options);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_handler_fails_and_comes_back),
      trp_test(all_come_back_together),
      trp_test(failing_too_often_ends_the_program),
      trp_test(it_runs_over_several_io_actors_and_is_recorded),
      trp_test(its_usage_is_told),
  };
  return TRP_RUN_TESTS("supervised", tests);
}
