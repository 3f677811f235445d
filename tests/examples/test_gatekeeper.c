// gatekeeper, as a user runs it: who comes in, who does not, and rules that change meanwhile.
#include <pthread.h>
#include <stdatomic.h>

#include "tests/examples/program.h"

enum { LIMIT_MS = 10000 };

// Writes the rules; the program reads them by this name.
static const char *rules_file(const char *text) {
  static char path[256];
  program_file("rules", text, strlen(text), path, sizeof path);
  return path;
}

// Connects from an address of this machine. Any thread; negative: it cannot.
static int knock(int port, const char *from) {
  return trp_test_connect_tcp_from(from, "127.0.0.1", port, LIMIT_MS);
}

// Whether it answers (true) or hangs up. Any thread.
static bool answers(int fd) {
  char got;
  if (send(fd, "?", 1, MSG_NOSIGNAL) != 1) {
    return false; // hung up already
  }
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  return poll(&ready, 1, LIMIT_MS * trp_test_slow()) == 1 && read(fd, &got, 1) == 1;
}

static int come_in(const program_t *program, const char *from) {
  int fd = knock(program->port, from);
  assert_true(fd >= 0);
  if (answers(fd)) {
    return fd;
  }
  close(fd);
  return -1;
}

static bool may_come_in(const program_t *program, const char *from) {
  int fd = come_in(program, from);
  if (fd >= 0) {
    close(fd);
  }
  return fd >= 0;
}

// Reads lines until there was one with these words.
static void wait_for(program_t *program, const char *words) {
  char line[512];
  do {
    program_read_line(program, line, sizeof line);
    if (line[0] == '\0') {
      program_read_errors(program);
      fail_msg("there is no line with '%s'; it complained: %s", words, program->errors);
    }
  } while (strstr(line, words) == NULL);
}

// Starts it, and reads what it says of its rules.
static void start(program_t *program, const char *rules, const char *actors, const char *said) {
  char line[256], path[256];
  char *arguments[] = {path,
                       (char *)(uintptr_t) "--host=127.0.0.1",
                       (char *)(uintptr_t) "--rules",
                       (char *)(uintptr_t)rules_file(rules),
                       (char *)(uintptr_t) "--actors",
                       (char *)(uintptr_t)actors,
                       NULL};
  program_path("gatekeeper", path, sizeof path);
  program_spawn(program, arguments, NULL);
  program_read_line(program, line, sizeof line);
  assert_string_equal(line, said);
  program_read_line(program, line, sizeof line);
  assert_int_equal(strncmp(line, "listening 127.0.0.1:", 20), 0);
  program->port = atoi(line + 20);
}

static void reload(program_t *program, const char *rules, int actors) {
  rules_file(rules);
  kill(program->pid, SIGHUP);
  for (int i = 0; i < actors; i++) {
    wait_for(program, "the new rules are in force");
  }
}

static void help_names_all_options(void **state) {
  (void)state;
  static const char *const options[] = {"--host",  "--port", "--path",      "--systemd", "--actors",
                                        "--rules", "block",  "per-address", "SIGHUP",    NULL};
  program_helps("gatekeeper", options);
}

static void wrong_usage_is_explained(void **state) {
  (void)state;
  static const wrong_usage_t wrong[] = {
      {{NULL}, "--rules FILE is missing"},
      {{"--rules"}, "--rules wants a value"},
      {{"--rules", "x", "y"}, "unexpected 'y'"},
      {{"--actors", "0", "--rules", "x"}, "--actors wants a whole number from 1 to 64"},
      {{"--port", "65536", "--rules", "x"}, "--port wants a whole number"},
      {{"--nonsense"}, "unknown option '--nonsense'"},
  };
  program_refuses("gatekeeper", wrong);
}

static void each_wrong_line_is_told_with_its_number(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
  } wrong[] = {
      {"blok 1.1.1.1\n", ":1: 'blok' is none of block, max and per-address\n"},
      {"\n# a comment\nblock 1.1.1.256 # no\n", ":3: '1.1.1.256' is no IP address\n"},
      {"block 1.1.1.0/33", ":1: the prefix is a whole number from 0 to 32, not '33'\n"},
      {"block ::/129\r\n", ":1: the prefix is a whole number from 0 to 128, not '129'\n"},
      {"block 1.1.1.0/", ":1: the prefix is a whole number from 0 to 32, not ''\n"},
      {"block 1.1.1.9-1.1.1.1\n", ":1: 1.1.1.9-1.1.1.1 ends before it begins\n"},
      {"block 1.1.1.9-::1\n", ":1: '::1' is no IPv4 address\n"},
      {"block\n", ":1: block wants an address\n"},
      {"block 1.1.1.1 2.2.2.2\n", ":1: '2.2.2.2' is one word too many\n"},
      {"max\n", ":1: max wants a number\n"},
      {"max -1\n", ":1: max is a whole number from 0 to 1000000000, not '-1'\n"},
      {"max 99999999999\n", "max is a whole number from 0 to 1000000000, not '99999999999'\n"},
      {"max 1\nmax 2\n", ":2: max was set before\n"},
      {"per-address x\n", ":1: per-address is a whole number from 0 to 1000000000, not 'x'\n"},
      {"per-address 1 0\n", ":1: the prefix is a whole number from 1 to 128, not '0'\n"},
      {"per-address 1 64 9\n", ":1: '9' is one word too many\n"},
  };
  static char output[PROGRAM_TEXT];
  program_t program;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    int status = program_run(&program, NULL, output, sizeof output, "gatekeeper", "--rules",
                             rules_file(wrong[i].text), NULL);
    if (status != 1 || strstr(program.errors, wrong[i].says) == NULL || output[0] != '\0') {
      fail_msg("'%s': status %d, and it said %s%s", wrong[i].text, status, output, program.errors);
    }
  }
  assert_int_equal(program_run(&program, NULL, output, sizeof output, "gatekeeper", "--rules",
                               "/no/such/file", NULL),
                   1);
  assert_string_equal(program.errors,
                      "gatekeeper: cannot read /no/such/file: No such file or directory\n");
  assert_int_equal(program_run(&program, NULL, output, sizeof output, "gatekeeper", "--rules",
                               "/dev/zero", NULL),
                   1);
  assert_string_equal(program.errors,
                      "gatekeeper: cannot read /dev/zero: it is larger than 8 MiB\n");
}

static void who_is_blocked_or_has_too_many_is_kept_out(void **state) {
  (void)state;
  program_t program;
  start(&program,
        "block 127.0.7.0/24\nblock 127.0.9.1-127.0.9.9\nblock 127.0.3.3\nper-address 2 56\n", "2",
        "rules: 3 blocked, max 0, per-address 2 56");
  assert_false(may_come_in(&program, "127.0.7.1"));
  assert_false(may_come_in(&program, "127.0.9.9"));
  assert_false(may_come_in(&program, "127.0.3.3"));
  assert_true(may_come_in(&program, "127.0.9.10"));
  int first = come_in(&program, "127.0.1.1");
  int second = come_in(&program, "127.0.1.1");
  assert_true(first >= 0 && second >= 0);
  assert_false(may_come_in(&program, "127.0.1.1"));
  close(first);
  close(second);
  program_stop_cleanly(&program, "");
}

static void what_is_too_much_for_all_together_is_dropped(void **state) {
  (void)state;
  program_t program;
  start(&program, "max 3\n", "2", "rules: 0 blocked, max 3, per-address 0 0");
  int held[3];
  for (int i = 0; i < 3; i++) {
    held[i] = come_in(&program, "127.0.0.1");
    assert_true(held[i] >= 0);
  }
  assert_false(may_come_in(&program, "127.0.0.5"));
  wait_for(&program, "is full and drops 1, the last of them 127.0.0.5:");
  reload(&program, "max 1\n", 2); // those that are in stay
  assert_true(answers(held[2]));
  assert_false(may_come_in(&program, "127.0.0.1"));
  reload(&program, "", 2);
  assert_true(may_come_in(&program, "127.0.0.1"));
  for (int i = 0; i < 3; i++) {
    close(held[i]);
  }
  program_stop_cleanly(&program, "");
}

static bool has_said(void *argument) {
  program_t *program = ((void **)argument)[0];
  program_read_errors(program);
  return strcmp(program->errors, ((void **)argument)[1]) == 0;
}

static void wrong_rules_are_not_taken_on_sighup(void **state) {
  (void)state;
  program_t program;
  char expected[512];
  start(&program, "block 127.0.7.1\n", "1", "rules: 1 blocked, max 0, per-address 0 0");
  const char *file = rules_file("block 127.0.8.1\nblock nobody\n");
  kill(program.pid, SIGHUP);
  snprintf(expected, sizeof expected,
           "gatekeeper: %s:2: 'nobody' is no IP address\n"
           "gatekeeper: the rules stay as they were\n",
           file);
  assert_true(trp_test_wait_until(has_said, (void *[]){&program, expected}, LIMIT_MS));
  assert_false(may_come_in(&program, "127.0.7.1"));
  assert_true(may_come_in(&program, "127.0.8.1"));
  reload(&program, "block 127.0.8.1\n", 1);
  assert_true(may_come_in(&program, "127.0.7.1"));
  assert_false(may_come_in(&program, "127.0.8.1"));
  program_stop_cleanly(&program, expected);
}

typedef struct {
  int port;
  const char *from;
  atomic_bool *over;
  unsigned in, out, failed;
} crowd_t;

static void *come_and_go(void *argument) {
  crowd_t *crowd = argument;
  while (!atomic_load(crowd->over)) {
    int fd = knock(crowd->port, crowd->from);
    if (fd < 0) {
      crowd->failed++;
      continue;
    }
    bool in = answers(fd);
    crowd->in += in;
    crowd->out += !in;
    close(fd);
  }
  return NULL;
}

static void nobody_is_missed_while_rules_change(void **state) {
  (void)state;
  int rounds = trp_test_slow() > 1 ? 10 : 50;
  program_t program;
  start(&program, "block 127.0.7.1\n", "2", "rules: 1 blocked, max 0, per-address 0 0");
  atomic_bool over = false;
  crowd_t good = {.port = program.port, .from = "127.0.8.1", .over = &over};
  crowd_t bad = {.port = program.port, .from = "127.0.7.1", .over = &over};
  pthread_t threads[2];
  assert_int_equal(pthread_create(&threads[0], NULL, come_and_go, &good), 0);
  assert_int_equal(pthread_create(&threads[1], NULL, come_and_go, &bad), 0);
  for (int round = 0; round < rounds; round++) {
    reload(&program,
           round % 2 == 0 ? "block 10.0.0.0/8\nblock 127.0.7.1\nper-address 100\n"
                          : "max 1000\nblock 127.0.7.0-127.0.7.9\n",
           2);
  }
  atomic_store(&over, true);
  pthread_join(threads[0], NULL);
  pthread_join(threads[1], NULL);
  assert_true(good.in > 0 && bad.out > 0);
  assert_int_equal(good.out + good.failed, 0);
  assert_int_equal(bad.in + bad.failed, 0);
  program_stop_cleanly(&program, "");
}

static void it_counts_up_at_its_end(void **state) {
  (void)state;
  program_t program;
  start(&program, "block 127.0.7.1\nper-address 1\n", "1",
        "rules: 1 blocked, max 0, per-address 1 64");
  int first = come_in(&program, "127.0.8.1");
  assert_true(first >= 0);
  assert_false(may_come_in(&program, "127.0.8.1"));
  assert_false(may_come_in(&program, "127.0.7.1"));
  assert_false(may_come_in(&program, "127.0.7.1"));
  wait_for(&program, "actor 0: lets in 127.0.8.1:");
  kill(program.pid, SIGTERM);
  wait_for(&program, "actor 0: 1 let in, 0 dropped, 2 blocked, 1 over their share");
  close(first);
  assert_int_equal(program_wait(&program), 0);
  assert_string_equal(program.errors, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(help_names_all_options),
      trp_test(wrong_usage_is_explained),
      trp_test(each_wrong_line_is_told_with_its_number),
      trp_test(who_is_blocked_or_has_too_many_is_kept_out),
      trp_test(what_is_too_much_for_all_together_is_dropped),
      trp_test(wrong_rules_are_not_taken_on_sighup),
      trp_test(nobody_is_missed_while_rules_change),
      trp_test(it_counts_up_at_its_end),
  };
  return TRP_RUN_TESTS("gatekeeper", tests);
}
