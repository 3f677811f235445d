// Two processes on one port: SO_REUSEPORT, between two echo programs.
#include "tests/examples/program.h"

enum { CONNECTIONS = 64 };

// An echo's answer; whether there was one.
static bool is_echoed(int port) {
  char got[2] = "";
  int fd = trp_test_connect_tcp("127.0.0.1", port, 5000);
  if (fd < 0) {
    return false;
  }
  bool right = trp_test_send(fd, "hi", 2, 5000) == 0 && trp_test_receive(fd, got, 2, 5000) == 2 &&
               memcmp(got, "hi", 2) == 0;
  trp_test_close(fd);
  return right;
}

// How many stream sockets the program has open that are connections.
static int count_sockets(const program_t *program) {
  char command[128];
  snprintf(command, sizeof command, "ls -l /proc/%d/fd | grep -c socket:", (int)program->pid);
  FILE *pipe = popen(command, "r");
  int count = 0;
  assert_non_null(pipe);
  assert_int_equal(fscanf(pipe, "%d", &count), 1);
  pclose(pipe);
  return count;
}

// parity: beside.7
static void two_processes_share_a_port_and_one_goes_on_alone(void **state) {
  (void)state;
  program_t first, second;
  char port[16];
  program_start(&first, "echo", "--host", "127.0.0.1", "--reuse-port", NULL);
  snprintf(port, sizeof port, "%d", first.port);
  program_start(&second, "echo", "--host", "127.0.0.1", "--port", port, "--reuse-port", "--actors",
                "2", NULL);
  int before_first = count_sockets(&first), before_second = count_sockets(&second);
  int fds[CONNECTIONS];
  for (int i = 0; i < CONNECTIONS; i++) {
    char got;
    fds[i] = trp_test_connect_tcp("127.0.0.1", first.port, 5000);
    assert_true(fds[i] >= 0);
    assert_int_equal(trp_test_send(fds[i], "x", 1, 5000), 0);
    assert_int_equal(trp_test_receive(fds[i], &got, 1, 5000), 1);
  }
  // The kernel deals them out by a hash: each has some (that one gets all 64 happens once in 2^63).
  int at_first = count_sockets(&first) - before_first;
  int at_second = count_sockets(&second) - before_second;
  assert_int_equal(at_first + at_second, CONNECTIONS);
  assert_true(at_first > 0 && at_second > 0);
  for (int i = 0; i < CONNECTIONS; i++) {
    trp_test_close(fds[i]);
  }
  program_stop_cleanly(&first, "");
  for (int i = 0; i < CONNECTIONS; i++) {
    assert_true(is_echoed(second.port));
  }
  program_stop_cleanly(&second, "");
}

static void who_does_not_say_so_finds_the_port_in_use(void **state) {
  (void)state;
  static char output[PROGRAM_TEXT];
  program_t open, closed, late;
  char port[16];
  program_start(&open, "echo", "--host", "127.0.0.1", "--reuse-port", NULL);
  snprintf(port, sizeof port, "%d", open.port);
  assert_int_equal(program_run(&late, NULL, output, sizeof output, "echo", "--host", "127.0.0.1",
                               "--port", port, NULL),
                   1);
  assert_non_null(strstr(late.errors, "EADDRINUSE"));
  program_start(&closed, "echo", "--host", "127.0.0.1", NULL);
  snprintf(port, sizeof port, "%d", closed.port);
  assert_int_equal(program_run(&late, NULL, output, sizeof output, "echo", "--host", "127.0.0.1",
                               "--port", port, "--reuse-port", NULL),
                   1);
  assert_non_null(strstr(late.errors, "EADDRINUSE"));
  program_stop_cleanly(&open, "");
  program_stop_cleanly(&closed, "");
}

static void a_path_has_no_port(void **state) {
  (void)state;
  static const wrong_usage_t wrong[] = {
      {{"--path", "/tmp/x", "--reuse-port"}, "--reuse-port is for a host and a port"},
  };
  program_refuses("echo", wrong);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(two_processes_share_a_port_and_one_goes_on_alone),
      trp_test(who_does_not_say_so_finds_the_port_in_use),
      trp_test(a_path_has_no_port),
  };
  return TRP_RUN_TESTS("reuse_port", tests);
}
