// The program whose connections change hands, asked by clients.
#include <arpa/inet.h>

#include "tests/examples/program.h"

enum { LIMIT_MS = 20000 };

static program_t router;

static void is_over(int fd) {
  char answer[16];
  assert_int_equal(trp_test_receive_to_end(fd, answer, sizeof answer, LIMIT_MS), 0);
  trp_test_close(fd);
}

static void the_first_line_decides(void **state) {
  (void)state;
  program_start(&router, "router", "--host", "127.0.0.1", NULL);
  int upper = program_connect(&router), lower = program_connect(&router),
      rot13 = program_connect(&router);
  program_say(upper, "upper\n");
  program_say(lower, "lower\nAt once");
  program_say(rot13, "ro");
  program_gets_back(lower, "at once");
  program_say(upper, "Later");
  program_gets_back(upper, "LATER");
  program_say(rot13, "t13\r\nHello");
  program_gets_back(rot13, "Uryyb");
  program_say(lower, " AND MORE");
  program_gets_back(lower, " and more");
  trp_test_end(upper);
  is_over(upper);
  trp_test_end(lower);
  is_over(lower);
  trp_test_end(rot13);
  is_over(rot13);
  program_stop_cleanly(&router, "");
}

static void who_asks_for_nothing_known_is_sent_away(void **state) {
  (void)state;
  char line[200];
  memset(line, 'x', sizeof line - 1);
  line[sizeof line - 1] = '\0';
  program_start(&router, "router", "--host", "127.0.0.1", NULL);
  int unknown = program_connect(&router), endless = program_connect(&router),
      hasty = program_connect(&router);
  program_say(unknown, "tea\n");
  program_gets_back(unknown, "no such service\n");
  program_say(unknown, "coffee?\n");
  trp_test_end(unknown);
  is_over(unknown);
  program_say(endless, line);
  program_gets_back(endless, "the first line is too long\n");
  trp_test_end(endless);
  is_over(endless);
  program_say(hasty, "upp");
  trp_test_end(hasty);
  is_over(hasty);
  program_stop_cleanly(&router, "");
}

static void much_arrives_whole_behind_the_first_line(void **state) {
  enum { SIZE = 3 * 1024 * 1024 };
  (void)state;
  char *sent = malloc(SIZE), *got = malloc(SIZE);
  assert_non_null(sent);
  assert_non_null(got);
  for (int i = 0; i < SIZE; i++) {
    sent[i] = (char)('a' + i % 26);
  }
  program_start(&router, "router", "--host", "127.0.0.1", NULL);
  int fd = program_connect(&router);
  program_say(fd, "upper\n");
  size_t at = 0, back = 0;
  while (back < SIZE) {
    struct pollfd poller = {.fd = fd, .events = (short)(POLLIN | (at < SIZE ? POLLOUT : 0))};
    assert_true(poll(&poller, 1, LIMIT_MS) > 0);
    if (poller.revents & POLLOUT) {
      ssize_t n = send(fd, sent + at, SIZE - at, MSG_DONTWAIT | MSG_NOSIGNAL);
      at += n > 0 ? (size_t)n : 0;
    }
    if (poller.revents & POLLIN) {
      ssize_t n = recv(fd, got + back, SIZE - back, MSG_DONTWAIT);
      assert_true(n != 0);
      back += n > 0 ? (size_t)n : 0;
    }
  }
  for (int i = 0; i < SIZE; i++) {
    assert_int_equal(got[i], 'A' + i % 26);
  }
  trp_test_end(fd);
  is_over(fd);
  program_stop_cleanly(&router, "");
  free(sent);
  free(got);
}

static void a_rule_of_its_own_deals_unread_connections(void **state) {
  static const char *const answers[] = {"ABC", "abc", "Nop"};
  (void)state;
  program_start(&router, "router", "--host", "127.0.0.1", "--by-port", NULL);
  for (int i = 0; i < 12; i++) {
    int fd = program_connect(&router);
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    program_say(fd, "Abc");
    program_gets_back(fd, answers[ntohs(own.sin_port) % 3]);
    trp_test_end(fd);
    is_over(fd);
  }
  program_stop_cleanly(&router, "");
}

static void a_stop_ends_connections_wherever_they_are(void **state) {
  (void)state;
  program_start(&router, "router", "--host", "127.0.0.1", NULL);
  int given = program_connect(&router), waiting = program_connect(&router);
  program_say(given, "upper\nabc");
  program_gets_back(given, "ABC");
  program_stop_cleanly(&router, "");
  is_over(given);
  is_over(waiting);
}

static void it_runs_over_several_io_actors_and_is_recorded(void **state) {
  static const char *const actors[] = {"door-0", "upper-0", "lower-0", "rot13-0", NULL};
  static const char *const asks[] = {"upper\nAbc", "lower\nAbc", "rot13\nAbc"};
  static const char *const answers[] = {"ABC", "abc", "Nop"};
  enum { CLIENTS = 12 }; // four to an I/O actor
  char traces[128];
  int fds[CLIENTS] = {0};
  (void)state;
  snprintf(traces, sizeof traces, "%s/traces", trp_test_folder());
  program_start(&router, "router", "--host", "127.0.0.1", "--io-threads", "3", "--record", traces,
                NULL);
  for (int i = 0; i < CLIENTS; i++) {
    fds[i] = program_connect(&router);
    program_say(fds[i], asks[i % 3]);
  }
  for (int i = 0; i < CLIENTS; i++) {
    program_gets_back(fds[i], answers[i % 3]);
    trp_test_end(fds[i]);
    is_over(fds[i]);
  }
  program_stop_cleanly(&router, "");
  program_recorded(traces, actors);
}

static void its_usage_is_told(void **state) {
  static const wrong_usage_t wrong[] = {
      {{"--port", "70000"}, "--port wants a whole number from 0 to 65535"},
      {{"--io-threads", "0"}, "--io-threads wants a whole number from 1 to 63"},
      {{"extra"}, "unexpected 'extra'"},
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
  };
  static const char *const options[] = {"--host",       "--port",   "--path", "--by-port",
                                        "--io-threads", "--record", "--help", "upper",
                                        "lower",        "rot13",    NULL};
  (void)state;
  program_refuses("router", wrong);
  program_helps("router", options);
  program_start(&router, "router", "--host", "127.0.0.1", NULL);
  program_finds_taken(&router, "router", NULL);
  program_finds_taken(&router, "supervised", NULL);
  program_stop_cleanly(&router, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(the_first_line_decides),
      trp_test(who_asks_for_nothing_known_is_sent_away),
      trp_test(much_arrives_whole_behind_the_first_line),
      trp_test(a_rule_of_its_own_deals_unread_connections),
      trp_test(a_stop_ends_connections_wherever_they_are),
      trp_test(it_runs_over_several_io_actors_and_is_recorded),
      trp_test(its_usage_is_told),
  };
  return TRP_RUN_TESTS("router", tests);
}
