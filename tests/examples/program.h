// The example programs, run as a user runs them: with arguments, a terminal's input and output, and
// signals. Included by each test of them; all waits end.
#ifndef TRP_TESTS_EXAMPLES_PROGRAM_H_INCLUDED
#define TRP_TESTS_EXAMPLES_PROGRAM_H_INCLUDED

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/harness.h"

enum { PROGRAM_LIMIT_MS = 20000, PROGRAM_ARGUMENTS = 24, PROGRAM_TEXT = 16384, PROGRAMS_MAX = 64 };

// A program that runs, or has run. Its standard error goes to a file, which is read at the end.
typedef struct {
  pid_t pid;
  int out;           // the reading end of its standard output
  char address[256]; // what it listens on, as it said it
  int port;          // of a TCP address
  char errors[PROGRAM_TEXT];
  char errors_path[128];
} program_t;

static inline void program_path(const char *name, char *path, size_t size) {
  snprintf(path, size, "%s/examples/%s", trp_test_build_folder(), name);
}

static inline void program_read_errors(program_t *program) {
  program->errors[0] = '\0';
  FILE *file = fopen(program->errors_path, "r");
  if (file != NULL) {
    size_t length = fread(program->errors, 1, sizeof program->errors - 1, file);
    program->errors[length] = '\0';
    fclose(file);
  }
}

// Those that run: a test that fails leaves some behind, and they end with the test's program.
static pid_t program_running[PROGRAMS_MAX];

static inline void program_kill_all(void) {
  for (int i = 0; i < PROGRAMS_MAX; i++) {
    if (program_running[i] != 0) {
      kill(program_running[i], SIGKILL);
    }
  }
}

static inline void program_note(pid_t before, pid_t after) {
  static bool registered;
  if (!registered) {
    registered = atexit(program_kill_all) == 0;
  }
  for (int i = 0; i < PROGRAMS_MAX; i++) {
    if (program_running[i] == before) {
      program_running[i] = after;
      return;
    }
  }
}

// The words of TROUPE_TEST_LAUNCHER, which the examples run under as the tests do, in front of the
// arguments of an example; anything else as it is.
static inline void program_launch(char **arguments, char **launched, char *words, size_t size) {
  const char *launcher = getenv("TROUPE_TEST_LAUNCHER");
  size_t count = 0;
  snprintf(words, size, "%s", launcher == NULL ? "" : launcher);
  if (strncmp(arguments[0], trp_test_build_folder(), strlen(trp_test_build_folder())) == 0) {
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
      assert_true(count < PROGRAM_ARGUMENTS);
      launched[count++] = word;
    }
  }
  do {
    assert_true(count < 2 * PROGRAM_ARGUMENTS);
    launched[count++] = *arguments;
  } while (*arguments++ != NULL);
}

// Starts a program by its path, or by its name in the PATH. `input` is a file's name.
static inline void program_spawn(program_t *program, char **arguments, const char *input) {
  static int number;
  char *launched[2 * PROGRAM_ARGUMENTS], words[PROGRAM_TEXT];
  program_launch(arguments, launched, words, sizeof words);
  memset(program, 0, sizeof *program);
  snprintf(program->errors_path, sizeof program->errors_path, "%s/errors.%d", trp_test_folder(),
           number++);
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input == NULL ? "/dev/null" : input, O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, program->errors_path,
                                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  // As a shell starts it: no signal blocked or ignored.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t set;
  sigemptyset(&set);
  posix_spawnattr_setsigmask(&attributes, &set);
  sigaddset(&set, SIGPIPE);
  sigaddset(&set, SIGINT);
  posix_spawnattr_setsigdefault(&attributes, &set);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  int error = posix_spawnp(&program->pid, launched[0], &actions, &attributes, launched, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  program->out = ends[0];
  if (error != 0) {
    fail_msg("%s cannot be started: %s", arguments[0], strerror(error));
  }
  program_note(0, program->pid);
}

// Collects "name", arguments …, NULL.
static inline void program_arguments(char *path, size_t size, char **arguments, const char *name,
                                     va_list list) {
  program_path(name, path, size);
  arguments[0] = path;
  int count = 1;
  do {
    assert_true(count < PROGRAM_ARGUMENTS);
    arguments[count] = va_arg(list, char *);
  } while (arguments[count++] != NULL);
}

// Reads what the program prints until a line ends, or its output does.
static inline void program_read_line(program_t *program, char *line, size_t size) {
  int64_t deadline = trp_test_now_ms() + (int64_t)PROGRAM_LIMIT_MS * trp_test_slow();
  size_t length = 0;
  for (;;) {
    struct pollfd ready = {.fd = program->out, .events = POLLIN};
    int64_t left = deadline - trp_test_now_ms();
    if (left <= 0 || poll(&ready, 1, (int)left) == 0) {
      fail_msg("the program printed no line in time");
    }
    char byte = 0;
    ssize_t n = read(program->out, &byte, 1);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0 || byte == '\n' || length + 1 == size) {
      break;
    }
    line[length++] = byte;
  }
  line[length] = '\0';
}

static inline bool program_has_ended(void *argument) {
  const program_t *program = argument;
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == program->pid;
}

// Waits until it ends; its exit status, or 1000 and the number of the signal that ended it.
static inline int program_wait(program_t *program) {
  int status = 0;
  struct pollfd ended = {.fd = pidfd_open(program->pid, 0), .events = POLLIN};
  int ready;
  if (ended.fd >= 0) {
    ready = poll(&ended, 1, PROGRAM_LIMIT_MS * trp_test_slow());
    close(ended.fd);
  } else { // valgrind knows no such call
    ready = trp_test_wait_until(program_has_ended, program, PROGRAM_LIMIT_MS);
  }
  if (ready <= 0) {
    kill(program->pid, SIGKILL);
  }
  assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
  program_note(program->pid, 0);
  if (ready <= 0) {
    program_read_errors(program);
    fail_msg("the program did not end in time; it said: %s", program->errors);
  }
  program->pid = 0;
  close(program->out);
  program_read_errors(program);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Starts a server and waits until it listens: program_start(&p, "echo", "--host", "::1", NULL).
static inline void program_start(program_t *program, const char *name, ...) {
  char path[512];
  char line[sizeof program->address + 10];
  char *arguments[PROGRAM_ARGUMENTS];
  va_list list;
  va_start(list, name);
  program_arguments(path, sizeof path, arguments, name, list);
  va_end(list);
  program_spawn(program, arguments, NULL);
  program_read_line(program, line, sizeof line);
  if (strncmp(line, "listening ", 10) != 0) {
    int status = program_wait(program);
    fail_msg("%s does not listen, and ends with status %d: %s%s", name, status, line,
             program->errors);
  }
  snprintf(program->address, sizeof program->address, "%s", line + 10);
  const char *colon = strrchr(program->address, ':');
  program->port = colon == NULL ? 0 : atoi(colon + 1);
}

// A client of a server that listens on 127.0.0.1.
static inline int program_connect(const program_t *program) {
  int fd = trp_test_connect_tcp("127.0.0.1", program->port, PROGRAM_LIMIT_MS);
  assert_true(fd >= 0);
  return fd;
}

static inline void program_say(int fd, const char *text) {
  assert_int_equal(trp_test_send(fd, text, strlen(text), PROGRAM_LIMIT_MS), 0);
}

static inline void program_gets_back(int fd, const char *expected) {
  char answer[256] = "";
  assert_true(strlen(expected) < sizeof answer);
  assert_int_equal(trp_test_receive(fd, answer, strlen(expected), PROGRAM_LIMIT_MS),
                   strlen(expected));
  assert_string_equal(answer, expected);
}

static inline int program_stop(program_t *program, int signal_number) {
  kill(program->pid, signal_number);
  return program_wait(program);
}

// Stops a server that must end with status 0 and have said nothing on its standard error, but
// `expected`.
#define program_stop_cleanly(program, expected)                                                    \
  do {                                                                                             \
    assert_int_equal(program_stop(program, SIGTERM), 0);                                           \
    assert_string_equal((program)->errors, expected);                                              \
  } while (0)

// Runs a program to its end. `output` gets what it printed, with a zero byte at its end; the value
// is its exit status.
static inline int program_run_array(program_t *program, char **arguments, const char *input,
                                    char *output, size_t size, size_t *length) {
  program_spawn(program, arguments, input);
  int64_t deadline = trp_test_now_ms() + (int64_t)PROGRAM_LIMIT_MS * trp_test_slow();
  size_t count = 0;
  for (;;) {
    struct pollfd ready = {.fd = program->out, .events = POLLIN};
    int64_t left = deadline - trp_test_now_ms();
    if (left <= 0 || poll(&ready, 1, (int)left) == 0) {
      kill(program->pid, SIGKILL);
      program_wait(program);
      fail_msg("%s did not end in time", arguments[0]);
    }
    char more[65536];
    ssize_t n = read(program->out, more, sizeof more);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      break;
    }
    size_t fits = (size_t)n < size - 1 - count ? (size_t)n : size - 1 - count;
    memcpy(output + count, more, fits);
    count += fits;
  }
  output[count] = '\0';
  if (length != NULL) {
    *length = count;
  }
  return program_wait(program);
}

// The same for an example with arguments in place.
static inline int program_run(program_t *program, const char *input, char *output, size_t size,
                              const char *name, ...) {
  char path[512];
  char *arguments[PROGRAM_ARGUMENTS];
  va_list list;
  va_start(list, name);
  program_arguments(path, sizeof path, arguments, name, list);
  va_end(list);
  return program_run_array(program, arguments, input, output, size, NULL);
}

// The `troupe` command can read the traces of all these actors in the folder, whole.
static inline void program_recorded(const char *folder, const char *const *actors) {
  static char output[PROGRAM_TEXT];
  static program_t command;
  char tool[512], file[512], trace[] = "trace", stat[] = "stat";
  snprintf(tool, sizeof tool, "%s/bin/troupe", trp_test_build_folder());
  for (; *actors != NULL; actors++) {
    snprintf(file, sizeof file, "%s/%s.trace", folder, *actors);
    char *arguments[] = {tool, trace, stat, file, NULL};
    int status = program_run_array(&command, arguments, NULL, output, sizeof output, NULL);
    if (status != 0 || strstr(output, "complete") == NULL) {
      fail_msg("troupe trace stat %s: %d\n%s%s", file, status, output, command.errors);
    }
  }
}

// Writes a file into the test's folder; gives its name.
static inline void program_file(const char *name, const void *bytes, size_t length, char *path,
                                size_t size) {
  snprintf(path, size, "%s/%s", trp_test_folder(), name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
}

// One argument or two that a program must refuse, with status 2, a text that says why, and a hint.
typedef struct {
  const char *arguments[6];
  const char *says;
} wrong_usage_t;

#define program_refuses(name, wrong)                                                               \
  do {                                                                                             \
    for (size_t index = 0; index < sizeof(wrong) / sizeof((wrong)[0]); index++) {                  \
      program_refuses_one(name, &(wrong)[index]);                                                  \
    }                                                                                              \
  } while (0)

// A server whose port `first` has says so, with its address. `more` are further arguments of it.
static inline void program_finds_taken(const program_t *first, const char *name,
                                       const char *const more[2]) {
  static char output[PROGRAM_TEXT], host_option[] = "--host", host[] = "127.0.0.1",
                                    port_option[] = "--port";
  static program_t second;
  char path[512], port[16], expected[256];
  char *arguments[8] = {path, host_option, host, port_option, port};
  program_path(name, path, sizeof path);
  snprintf(port, sizeof port, "%d", first->port);
  for (int i = 0; more != NULL && i < 2; i++) {
    arguments[i + 5] = (char *)(uintptr_t)more[i];
  }
  int status = program_run_array(&second, arguments, NULL, output, sizeof output, NULL);
  snprintf(expected, sizeof expected,
           "%s: cannot listen on 127.0.0.1:%d: address already in use (EADDRINUSE)\n", name,
           first->port);
  assert_string_equal(second.errors, expected);
  assert_string_equal(output, "");
  assert_int_equal(status, 1);
}

static inline void program_refuses_one(const char *name, const wrong_usage_t *wrong) {
  static char output[PROGRAM_TEXT];
  static program_t program;
  char path[512];
  char hint[64];
  char *arguments[8] = {path};
  program_path(name, path, sizeof path);
  for (int i = 0; i < 6; i++) {
    arguments[i + 1] = (char *)(uintptr_t)wrong->arguments[i];
  }
  int status = program_run_array(&program, arguments, NULL, output, sizeof output, NULL);
  snprintf(hint, sizeof hint, "Try '%s --help'.", name);
  if (status != 2 || strstr(program.errors, wrong->says) == NULL ||
      strstr(program.errors, hint) == NULL || output[0] != '\0') {
    fail_msg("%s %s %s: status %d, and it said: %s%s", name,
             wrong->arguments[0] == NULL ? "" : wrong->arguments[0],
             wrong->arguments[1] == NULL ? "" : wrong->arguments[1], status, output,
             program.errors);
  }
}

// --help names each of the options, and ends with status 0.
static inline void program_helps(const char *name, const char *const *options) {
  static char output[PROGRAM_TEXT];
  static program_t program;
  char usage[64];
  assert_int_equal(program_run(&program, NULL, output, sizeof output, name, "--help", NULL), 0);
  assert_string_equal(program.errors, "");
  snprintf(usage, sizeof usage, "usage: %s ", name);
  assert_int_equal(strncmp(output, usage, strlen(usage)), 0);
  for (; *options != NULL; options++) {
    if (strstr(output, *options) == NULL) {
      fail_msg("%s --help does not name %s", name, *options);
    }
  }
}

#endif
