// echo and client, with each other and with the tools that people have at hand.
#include "tests/examples/program.h"

enum { LIMIT_MS = 20000, MUCH = 5000000 };

static program_t service;
static program_t other;

static bool is_installed(const char *name) {
  char command[128];
  snprintf(command, sizeof command, "command -v %s >/dev/null", name);
  return system(command) == 0;
}

// Runs a shell's command line; its output must be `expected`.
static void shell_prints(const char *command, const char *expected) {
  static char output[PROGRAM_TEXT];
  char *arguments[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL};
  int status = program_run_array(&other, arguments, NULL, output, sizeof output, NULL);
  if (status != 0 || strcmp(output, expected) != 0) {
    fail_msg("%s: status %d, and it printed: %s%s", command, status, output, other.errors);
  }
}

// Sends `length` random bytes with client; the same come back.
static void client_echoes(const char *target, size_t length) {
  char *sent = malloc(length + 1), *got = malloc(length + 2);
  char file[128], path[512];
  size_t count = 0;
  trp_test_random_t random;
  assert_non_null(sent);
  assert_non_null(got);
  trp_test_random_start(&random, length);
  trp_test_random_bytes(&random, sent, length);
  program_file("input", sent, length, file, sizeof file);
  program_path("client", path, sizeof path);
  char *arguments[] = {path, (char *)(uintptr_t)target, NULL};
  int status = program_run_array(&other, arguments, file, got, length + 2, &count);
  assert_string_equal(other.errors, "");
  assert_int_equal(status, 0);
  assert_int_equal(count, length);
  assert_memory_equal(got, sent, length);
  free(sent);
  free(got);
}

static void what_is_sent_comes_back(void **state) {
  char path[128], abstract[64], port[64];
  (void)state;
  program_start(&service, "echo", "--host", "127.0.0.1", "--actors", "2", NULL);
  assert_int_equal(strncmp(service.address, "127.0.0.1:", 10), 0);
  client_echoes(service.address, 0);
  client_echoes(service.address, 1);
  client_echoes(service.address, MUCH);
  snprintf(port, sizeof port, "localhost:%d", service.port);
  client_echoes(port, 1000);
  program_stop_cleanly(&service, "");

  snprintf(path, sizeof path, "%s/echo", trp_test_folder());
  program_start(&service, "echo", "--path", path, "--actors", "2", NULL);
  assert_string_equal(service.address, path);
  client_echoes(path, MUCH);
  program_stop_cleanly(&service, "");
  assert_int_equal(access(path, F_OK), -1);

  snprintf(abstract, sizeof abstract, "@troupe-echo-%d", (int)getpid());
  program_start(&service, "echo", "--path", abstract, NULL);
  assert_string_equal(service.address, abstract);
  client_echoes(abstract, MUCH);
  program_stop_cleanly(&service, "");
}

static void ipv6_has_brackets(void **state) {
  int port = 0;
  (void)state;
  int fd = trp_test_listen_tcp("::1", &port);
  if (fd < 0) {
    skip(); // no IPv6 here
  }
  trp_test_close(fd);
  program_start(&service, "echo", "--host", "::1", NULL);
  assert_int_equal(strncmp(service.address, "[::1]:", 6), 0);
  client_echoes(service.address, 1000);
  program_stop_cleanly(&service, "");
}

static void other_tools_understand_it(void **state) {
  char command[512];
  (void)state;
  program_start(&service, "echo", "--host", "127.0.0.1", "--actors", "2", NULL);
  if (is_installed("nc") && system("nc -h 2>&1 | grep -q OpenBSD") == 0) {
    snprintf(command, sizeof command, "echo from nc | nc -N 127.0.0.1 %d", service.port);
    shell_prints(command, "from nc\n");
  }
  if (is_installed("socat")) {
    snprintf(command, sizeof command, "echo from socat | socat -t 20 - TCP:127.0.0.1:%d",
             service.port);
    shell_prints(command, "from socat\n");
  }
  if (is_installed("node")) {
    snprintf(command, sizeof command,
             "node -e \"const s = require('net').connect(%d, '127.0.0.1', () => s.end('from "
             "node')); s.on('data', d => console.log(String(d)))\"",
             service.port);
    shell_prints(command, "from node\n");
  }
  program_stop_cleanly(&service, "");
}

static void client_prints_what_comes_after_its_own_end(void **state) {
  static const char answer[] = "the answer takes its time\n";
  char target[64], path[512], file[128], line[128];
  int port = 0;
  (void)state;
  int listener = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(listener >= 0);
  snprintf(target, sizeof target, "127.0.0.1:%d", port);
  program_path("client", path, sizeof path);
  program_file("input", "a question", 10, file, sizeof file);
  char *arguments[] = {path, target, NULL};
  program_spawn(&other, arguments, file);
  int fd = trp_test_accept(listener, LIMIT_MS);
  assert_true(fd >= 0);
  assert_int_equal(trp_test_receive_to_end(fd, line, sizeof line, LIMIT_MS), 10);
  assert_int_equal(trp_test_send(fd, answer, sizeof answer - 1, LIMIT_MS), 0);
  program_read_line(&other, line, sizeof line);
  assert_string_equal(line, "the answer takes its time");
  trp_test_close(fd);
  assert_int_equal(program_wait(&other), 0);
  trp_test_close(listener);
}

static void client_fails_with_the_connection(void **state) {
  static char output[PROGRAM_TEXT];
  char target[64], expected[128], path[512];
  int port = 0;
  (void)state;
  int listener = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(listener >= 0);
  snprintf(target, sizeof target, "127.0.0.1:%d", port);
  program_path("client", path, sizeof path);
  char *arguments[] = {path, target, NULL};
  program_spawn(&other, arguments, "/dev/zero"); // more than anybody reads
  int fd = trp_test_accept(listener, LIMIT_MS);
  assert_true(fd >= 0);
  trp_test_reset(fd);
  assert_int_equal(program_wait(&other), 1);
  assert_int_equal(strncmp(other.errors, "client: ", 8), 0);
  trp_test_close(listener);

  int reserved = trp_test_reserve_tcp("127.0.0.1", &port);
  assert_true(reserved >= 0);
  snprintf(target, sizeof target, "127.0.0.1:%d", port);
  assert_int_equal(program_run(&other, NULL, output, sizeof output, "client", target, NULL), 1);
  trp_test_close(reserved);
  snprintf(expected, sizeof expected, "client: connect ECONNREFUSED %s\n", target);
  assert_string_equal(other.errors, expected);
  assert_int_equal(
      program_run(&other, NULL, output, sizeof output, "client", "/nowhere/at/all", NULL), 1);
  assert_string_equal(other.errors, "client: connect ENOENT /nowhere/at/all\n");
}

static void a_recording_replays(void **state) {
  static char output[PROGRAM_TEXT];
  char traces[128], first[160], second[160];
  (void)state;
  snprintf(traces, sizeof traces, "%s/traces", trp_test_folder());
  snprintf(first, sizeof first, "%s/echo-0.trace", traces);
  snprintf(second, sizeof second, "%s/echo-1.trace", traces);
  program_start(&service, "echo", "--host", "127.0.0.1", "--actors", "2", "--record", traces, NULL);
  for (int i = 0; i < 4; i++) {
    client_echoes(service.address, 3000);
  }
  program_stop_cleanly(&service, "");
  int status = program_run(&other, NULL, output, sizeof output, "echo", "--replay", first, second,
                           NULL);
  if (status != 0 || strstr(output, "echo-0.trace: the same, ") == NULL ||
      strstr(output, "echo-1.trace: the same, ") == NULL) {
    fail_msg("status %d: %s%s", status, output, other.errors);
  }
  // Another handler, even if it is so by one byte in three thousand, is found.
  status = program_run(&other, NULL, output, sizeof output, "echo", "--upper", "--replay", first,
                       NULL);
  assert_int_equal(status, 1);
  assert_non_null(strstr(output, "the replay differs from the recording"));
  status = program_run(&other, NULL, output, sizeof output, "echo", "--replay", "/dev/null", NULL);
  assert_int_equal(status, 1);
}

static void both_signals_end_it_well(void **state) {
  static const int signals[] = {SIGTERM, SIGINT};
  (void)state;
  for (int i = 0; i < 2; i++) {
    program_start(&service, "echo", "--host", "127.0.0.1", "--actors", "3", NULL);
    int fd = trp_test_connect_tcp("127.0.0.1", service.port, LIMIT_MS);
    assert_true(fd >= 0);
    char byte = 'x';
    assert_int_equal(trp_test_send(fd, &byte, 1, LIMIT_MS), 0);
    assert_int_equal(trp_test_receive(fd, &byte, 1, LIMIT_MS), 1);
    assert_int_equal(program_stop(&service, signals[i]), 0); // although somebody is connected
    assert_string_equal(service.errors, "");
    trp_test_close(fd);
  }
}

static void what_they_cannot_do_they_say(void **state) {
  static const wrong_usage_t wrong_echo[] = {
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
      {{"-x"}, "unknown option '-x'"},
      {{"--port"}, "--port wants a value"},
      {{"--port", "-1"}, "--port wants a whole number from 0 to 65535, not '-1'"},
      {{"--port", "1x"}, "not '1x'"},
      {{"--actors", "99999999999999999999"}, "--actors wants"},
      {{"--io-threads", "64"}, "--io-threads wants a whole number from 1 to 63, not '64'"},
      {{"--path", ""}, "--path wants 1 to 108 bytes"},
      {{"--replay"}, "--replay wants files"},
      {{"x"}, "unexpected 'x'"},
  };
  static const wrong_usage_t wrong_client[] = {
      {{NULL}, "one HOST:PORT or PATH is needed"},
      {{"a:1", "b:2"}, "one HOST:PORT or PATH is needed"},
      {{"localhost"}, "'localhost' is neither HOST:PORT nor a path"},
      {{"localhost:http"}, "the port wants a whole number"},
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
  };
  static const char *const echo_options[] = {
      "--host",       "--port",    "--path",  "--actors", "--record", "--replay",
      "--io-threads", "--work-us", "--upper", "--help",   NULL};
  static const char *const client_options[] = {"HOST:PORT", "--help", NULL};
  static char output[PROGRAM_TEXT];
  (void)state;
  program_refuses("echo", wrong_echo);
  program_refuses("client", wrong_client);
  program_helps("echo", echo_options);
  program_helps("client", client_options);
  program_start(&service, "echo", "--host", "127.0.0.1", NULL);
  program_finds_taken(&service, "echo", NULL);
  program_stop_cleanly(&service, "");
  int status = program_run(&other, NULL, output, sizeof output, "echo", "--path", "/nowhere/at/all",
                           NULL);
  assert_int_equal(status, 1);
  assert_string_equal(other.errors,
                      "echo: cannot listen on /nowhere/at/all: permission denied (EACCES)\n");
  status = program_run(&other, NULL, output, sizeof output, "echo", "--record", "/dev/null/x",
                       NULL);
  assert_int_equal(status, 1);
  assert_int_equal(strncmp(other.errors, "echo: cannot record into /dev/null/x: ", 38), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(what_is_sent_comes_back),
      trp_test(ipv6_has_brackets),
      trp_test(other_tools_understand_it),
      trp_test(client_prints_what_comes_after_its_own_end),
      trp_test(client_fails_with_the_connection),
      trp_test(a_recording_replays),
      trp_test(both_signals_end_it_well),
      trp_test(what_they_cannot_do_they_say),
  };
  return TRP_RUN_TESTS("echo and client", tests);
}
