// echo on sockets that somebody else opened: systemd's socket activation, with a shell in its place.
#include "tests/examples/program.h"

enum { SOCKETS = 3 };

static void spawn(program_t *program, const char *const *arguments) {
  char *copy[PROGRAM_ARGUMENTS];
  int count = 0;
  do {
    copy[count] = (char *)(uintptr_t)arguments[count];
  } while (arguments[count++] != NULL);
  program_spawn(program, copy, NULL);
}

// The shell puts the sockets where they are expected, says so, and becomes the program.
static void launch(program_t *program, const int *fds, int count, const char *names,
                   const char *option) {
  char script[512], path[256];
  size_t used = 0;
  for (int i = 0; i < count; i++) {
    used += (size_t)snprintf(script + used, sizeof script - used, "exec %d<&%d; ", 3 + i, fds[i]);
  }
  snprintf(script + used, sizeof script - used,
           "export LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s; exec \"$0\" \"$@\"", count,
           names);
  program_path("echo", path, sizeof path);
  spawn(program, (const char *[]){"bash", "-c", script, path, "--actors", "2", option, NULL});
}

// A socket that a shell inherits, with a number that its own redirections do not need.
static int keep(int fd) {
  assert_true(fd >= 0);
  int kept = fcntl(fd, F_DUPFD, 50);
  close(fd);
  assert_true(kept >= 0);
  return kept;
}

static void expect_echo(int fd) {
  char got[5];
  assert_true(fd >= 0);
  assert_int_equal(trp_test_send(fd, "hello", 5, 5000), 0);
  assert_int_equal(trp_test_receive(fd, got, 5, 5000), 5);
  assert_memory_equal(got, "hello", 5);
  trp_test_close(fd);
}

static void echo_serves_the_socket_that_was_passed(void **state) {
  (void)state;
  program_t program;
  char line[256], expected[64];
  int port = 0;
  int fd = keep(trp_test_listen_tcp("127.0.0.1", &port));
  // It comes before the program is there, and waits.
  int early = trp_test_connect_tcp("127.0.0.1", port, 5000);
  launch(&program, &fd, 1, "web", "--systemd");
  close(fd);
  snprintf(expected, sizeof expected, "listening 127.0.0.1:%d", port);
  program_read_line(&program, line, sizeof line);
  assert_string_equal(line, expected);
  expect_echo(early);
  expect_echo(trp_test_connect_tcp("127.0.0.1", port, 5000));
  program_stop_cleanly(&program, "");
}

static void it_is_chosen_by_its_name(void **state) {
  (void)state;
  program_t program;
  char line[256], path[256], expected[300];
  int fds[SOCKETS], port = 0;
  snprintf(path, sizeof path, "%s/admin", trp_test_folder());
  fds[0] = keep(trp_test_listen_tcp("127.0.0.1", &port));
  fds[1] = keep(socket(AF_INET, SOCK_DGRAM, 0));
  fds[2] = keep(trp_test_listen_unix(path, strlen(path)));
  launch(&program, fds, SOCKETS, "web:log:admin", "--systemd=admin");
  snprintf(expected, sizeof expected, "listening %s", path);
  program_read_line(&program, line, sizeof line);
  assert_string_equal(line, expected);
  expect_echo(trp_test_connect_unix(path, strlen(path), 5000));
  program_stop_cleanly(&program, "");
  assert_int_equal(access(path, F_OK), 0); // the file is not the program's

  launch(&program, fds, SOCKETS, "web:log:admin", "--systemd=log");
  assert_int_equal(program_wait(&program), 1);
  assert_string_equal(program.errors,
                      "echo: the descriptor called log is no stream socket that listens\n");
  launch(&program, fds, SOCKETS, "web:log:admin", "--systemd=none");
  assert_int_equal(program_wait(&program), 1);
  assert_string_equal(program.errors, "echo: no socket called none was passed to this process "
                                      "(LISTEN_PID, LISTEN_FDS)\n");
  launch(&program, fds, SOCKETS, "web:log:admin", "--systemd");
  assert_int_equal(program_wait(&program), 1);
  assert_string_equal(program.errors, "echo: more than one socket was passed, and one is served\n");
  launch(&program, fds, SOCKETS, "web:log", "--systemd=web");
  assert_int_equal(program_wait(&program), 1);
  assert_int_equal(strncmp(program.errors, "echo: cannot take the sockets that were passed: ", 48),
                   0);
  for (int i = 0; i < SOCKETS; i++) {
    close(fds[i]);
  }
}

static void nothing_is_taken_that_was_not_asked_for(void **state) {
  (void)state;
  program_t program;
  char line[256], unused[64];
  int port = 0;
  int fd = keep(trp_test_listen_tcp("127.0.0.1", &port));
  launch(&program, &fd, 1, "web", "--host=127.0.0.1");
  program_read_line(&program, line, sizeof line);
  snprintf(unused, sizeof unused, "listening 127.0.0.1:%d", port);
  assert_string_not_equal(line, unused);
  program_stop_cleanly(&program, "");
  close(fd);
}

static void without_a_socket_it_says_so(void **state) {
  (void)state;
  program_t program;
  char output[PROGRAM_TEXT];
  assert_int_equal(program_run(&program, NULL, output, sizeof output, "echo", "--systemd", NULL),
                   1);
  assert_string_equal(program.errors, "echo: no socket that listens was passed to this process "
                                      "(LISTEN_PID, LISTEN_FDS)\n");
}

static bool is_there(void *argument) {
  int fd = trp_test_connect_unix(argument, strlen(argument), 1000);
  if (fd >= 0) {
    trp_test_close(fd); // the launcher accepts none, and the program hears of its end
  }
  return fd >= 0;
}

// With systemd's own tool, where it is installed. It waits for a connection before it starts
// anything.
static void systemds_own_launcher_passes_it_too(void **state) {
  (void)state;
  program_t program;
  char path[256], listen[300], echo[256], options[512];
  const char *sanitizer = getenv("TSAN_OPTIONS"); // the launcher hands on what it is told to
  if (access("/usr/bin/systemd-socket-activate", X_OK) != 0) {
    skip(); // it is not installed
  }
  snprintf(path, sizeof path, "%s/s", trp_test_folder());
  snprintf(listen, sizeof listen, "--listen=%s", path);
  snprintf(options, sizeof options, "--setenv=TSAN_OPTIONS=%s", sanitizer == NULL ? "" : sanitizer);
  program_path("echo", echo, sizeof echo);
  spawn(&program, (const char *[]){"systemd-socket-activate", listen, "--fdname=web", options, echo,
                                   "--systemd=web", NULL});
  assert_true(trp_test_wait_until(is_there, path, PROGRAM_LIMIT_MS));
  expect_echo(trp_test_connect_unix(path, strlen(path), 5000));
  assert_int_equal(program_stop(&program, SIGTERM), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(echo_serves_the_socket_that_was_passed),  trp_test(it_is_chosen_by_its_name),
      trp_test(nothing_is_taken_that_was_not_asked_for), trp_test(without_a_socket_it_says_so),
      trp_test(systemds_own_launcher_passes_it_too),
  };
  return TRP_RUN_TESTS("activation", tests);
}
