// Descriptors run out, at every limit from none to 64 more than a service needs to start: it does
// not start and says why, or it parks, tells, does not spin, and goes on when some come free.
//
// Each limit has a process of its own, this program called anew; all of them run at the same time.
// What is wrong with one is found by calling it by hand: test_descriptors LIMIT IO_ACTORS.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/stress.h"

enum {
  FEWEST = 4, // standard streams, and one more
  MORE = 64,
  MOST = 120,       // of which start-up takes well below MOST - MORE
  CLIENTS_OVER = 8, // more than start-up takes for a moment and gives back
  WINDOW_MS = 400,  // in which a parked service is looked at
  WINDOW_CPU_MS = 60,
  REFUSED = 10, // exit status: it did not start
};

// ---- The service, in its own process ----

static void say(const char *what, long long number) {
  char line[64];
  int length = snprintf(line, sizeof line, "%s %lld\n", what, number);
  if (write(STDOUT_FILENO, line, (size_t)length) != length) {
    _exit(1);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  troupe_socket_write_chunk(socket, chunk, NULL, NULL);
}

static void on_parked(troupe_server_t server, const troupe_error_t *error, void *context) {
  (void)server;
  (void)context;
  say("parked", error->code);
}

static void on_unparked(troupe_server_t server, void *context) {
  (void)server;
  (void)context;
  say("unparked", 0);
}

static int parking_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_parked = on_parked,
                                                    .on_unparked = on_unparked};
  static const troupe_socket_handlers_t socket_handlers = {.on_data = on_data};
  static const troupe_server_options_t options = {.socket_handlers = &socket_handlers};
  int error = stress_listen(argument, &options, &handlers, NULL);
  return error < 0 ? error : troupe_actor_run();
}

static int be_the_service(rlim_t limit, unsigned io_actors) {
  test_service_t service = {0};
  troupe_system_t *system = NULL;
  troupe_system_options_t options = {.io_threads = io_actors};
  struct rlimit now;
  getrlimit(RLIMIT_NOFILE, &now);
  now.rlim_cur = limit;
  if (setrlimit(RLIMIT_NOFILE, &now) != 0) {
    return 1;
  }
  int error = troupe_system_new(&options, &system);
  if (error == 0) {
    error = troupe_spawn(
        system, &(troupe_spawn_options_t){.main = parking_actor, .argument = &service}, NULL);
  }
  if (error == 0) {
    char byte;
    say("listens", atomic_load(&service.port));
    while (read(STDIN_FILENO, &byte, 1) == 1) { // until the test closes its end
      troupe_system_counters_t counters;
      error = troupe_system_counters(system, &counters);
      say("counted", error != 0 ? error : (long long)counters.parked);
    }
    error = troupe_system_stop(system, 0);
  } else {
    say("refused", error);
  }
  if (system != NULL &&
      (troupe_system_stop(system, 0) != 0 ||
       troupe_system_wait(system, STRESS_LIMIT_MS * trp_test_slow(), NULL, 0, NULL) != 0 ||
       troupe_system_free(&system) != 0)) {
    return 2;
  }
  return service.port != 0 ? 0 : REFUSED;
}

// ---- The test ----

typedef struct {
  rlim_t limit;
  pid_t pid;
  int in, out; // its standard input and output
  int port;
  int clients[MORE + CLIENTS_OVER + 8];
  size_t client_count, served;
  int64_t cpu_us;
} child_t;

static const char *program; // this one; /proc/self/exe is another under valgrind

static void start(child_t *child, unsigned io_actors) {
  int in[2], out[2];
  char limit[16], actors[16];
  char *arguments[] = {(char *)"descriptors", limit, actors, NULL};
  snprintf(limit, sizeof limit, "%u", (unsigned)child->limit);
  snprintf(actors, sizeof actors, "%u", io_actors);
  assert_int_equal(pipe2(in, O_CLOEXEC), 0);
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  child->pid = fork();
  assert_true(child->pid >= 0);
  if (child->pid == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execv(program, arguments);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  child->in = in[1];
  child->out = out[0];
}

// The next line that the child says; asserts that it begins with `word`, unless that is NULL.
static long long expect_line(child_t *child, const char *word, char *said, size_t size) {
  size_t length = 0;
  char line[64];
  for (;;) {
    struct pollfd waits = {.fd = child->out, .events = POLLIN};
    if (poll(&waits, 1, STRESS_LIMIT_MS * trp_test_slow()) != 1) {
      fail_msg("with %u descriptors the service did not say \"%s\"", (unsigned)child->limit,
               word != NULL ? word : "refused\" or \"listens");
    }
    ssize_t n = read(child->out, &line[length], 1);
    if (n != 1) {
      int status = 0;
      waitpid(child->pid, &status, 0);
      fail_msg("with %u descriptors the service ended: status %#x", (unsigned)child->limit,
               (unsigned)status);
    }
    if (line[length] == '\n' || length == sizeof line - 2) {
      line[length] = '\0';
      break;
    }
    length++;
  }
  char *space = strchr(line, ' ');
  assert_non_null(space);
  *space = '\0';
  if (word != NULL && strcmp(line, word) != 0) {
    fail_msg("with %u descriptors the service said \"%s %s\" instead of \"%s\"",
             (unsigned)child->limit, line, space + 1, word);
  }
  if (said != NULL) {
    snprintf(said, size, "%.15s", line);
  }
  return atoll(space + 1);
}

static int finish(child_t *child) {
  int status = 0;
  close(child->in);
  assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
  close(child->out);
  if (!WIFEXITED(status)) {
    fail_msg("with %u descriptors the service was killed by signal %d", (unsigned)child->limit,
             WTERMSIG(status));
  }
  return WEXITSTATUS(status);
}

static int64_t cpu_us_of(pid_t pid) {
  clockid_t clock;
  struct timespec used;
  assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
  assert_int_equal(clock_gettime(clock, &used), 0);
  return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

// More clients than it can have; all are in the kernel's queue at once, each with a byte.
static void overfill(child_t *child, rlim_t needed) {
  child->client_count = (size_t)(child->limit - needed) + CLIENTS_OVER;
  for (size_t i = 0; i < child->client_count; i++) {
    child->clients[i] = trp_test_connect_tcp("127.0.0.1", child->port, STRESS_LIMIT_MS);
    assert_true(child->clients[i] >= 0);
    assert_int_equal(trp_test_send(child->clients[i], "?", 1, STRESS_LIMIT_MS), 0);
  }
}

static void expect_answer(const child_t *child, size_t client) {
  char answer = 0;
  if (trp_test_receive(child->clients[client], &answer, 1, STRESS_LIMIT_MS) != 1 || answer != '?') {
    fail_msg("with %u descriptors client %zu was not answered", (unsigned)child->limit, client);
  }
}

// Those that are served have their answer; the others wait, in order.
static void see_who_is_served(child_t *child) {
  while (child->served < child->client_count) {
    struct pollfd waits = {.fd = child->clients[child->served], .events = POLLIN};
    if (poll(&waits, 1, 0) == 0) {
      break;
    }
    expect_answer(child, child->served++);
  }
  for (size_t i = child->served; i < child->client_count; i++) {
    struct pollfd waits = {.fd = child->clients[i], .events = POLLIN};
    assert_int_equal(poll(&waits, 1, 0), 0);
  }
}

static void free_some(child_t *child) {
  size_t waiting = child->client_count - child->served;
  if (child->served >= waiting) {
    for (size_t i = 0; i < waiting; i++) {
      trp_test_close(child->clients[i]);
      child->clients[i] = -1;
    }
    return;
  }
  // It has nothing to give up, but others on the machine may.
  struct rlimit limit;
  assert_int_equal(prlimit(child->pid, RLIMIT_NOFILE, NULL, &limit), 0);
  limit.rlim_cur = child->limit + MORE;
  assert_int_equal(prlimit(child->pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void run(unsigned io_actors) {
  static child_t children[MOST];
  size_t count = 0, refused = 0;
  rlim_t step = trp_test_slow() > 1 ? 5 : 1, needed = 0;
  memset(children, 0, sizeof children);
  for (rlim_t limit = FEWEST; limit < MOST; limit += step) {
    children[count].limit = limit;
    start(&children[count++], io_actors);
  }
  for (size_t i = 0; i < count; i++) {
    char said[16];
    long long number = expect_line(&children[i], NULL, said, sizeof said);
    if (strcmp(said, "refused") == 0) {
      assert_int_equal(number, TROUPE_EMFILE);
      assert_int_equal(finish(&children[i]), REFUSED);
      assert_int_equal(needed, 0); // with fewer it cannot have started
      refused++;
      continue;
    }
    children[i].port = (int)number;
    needed = needed == 0 ? children[i].limit : needed;
  }
  assert_true(needed > 0 && needed + MORE <= MOST);
  child_t *first = &children[refused];
  size_t started = 0;
  while (refused + started < count && first[started].limit <= needed + MORE) {
    started++;
  }
  for (size_t i = 0; i < started; i++) {
    overfill(&first[i], needed);
  }
  for (size_t i = 0; i < started; i++) {
    assert_int_equal(expect_line(&first[i], "parked", NULL, 0), TROUPE_EMFILE);
  }
  for (size_t i = 0; i < started; i++) { // a turn later everybody who is in has his answer
    assert_int_equal(write(first[i].in, "c", 1), 1);
    assert_int_equal(expect_line(&first[i], "counted", NULL, 0), 1);
  }
  for (size_t i = 0; i < started; i++) {
    first[i].cpu_us = cpu_us_of(first[i].pid);
  }
  // Not a synchronisation: time in which nothing is to happen.
  nanosleep(&(struct timespec){.tv_nsec = WINDOW_MS * 1000000L}, NULL);
  for (size_t i = 0; i < started; i++) {
    int64_t used_us = cpu_us_of(first[i].pid) - first[i].cpu_us;
    if (used_us > WINDOW_CPU_MS * 1000 * trp_test_slow()) {
      fail_msg("with %u descriptors the parked service used %lld us of CPU in %d ms",
               (unsigned)first[i].limit, (long long)used_us, WINDOW_MS);
    }
    see_who_is_served(&first[i]);
    free_some(&first[i]);
  }
  for (size_t i = 0; i < started; i++) {
    child_t *child = &first[i];
    assert_true(child->served < child->client_count);
    assert_int_equal(expect_line(child, "unparked", NULL, 0), 0);
    for (size_t k = child->served; k < child->client_count; k++) {
      expect_answer(child, k);
    }
    for (size_t k = 0; k < child->client_count; k++) {
      if (child->clients[k] >= 0) {
        trp_test_close(child->clients[k]);
      }
    }
  }
  for (size_t i = refused; i < count; i++) {
    assert_int_equal(finish(&children[i]), 0);
  }
}

static void a_service_without_descriptors_says_so_waits_and_goes_on(void **state) {
  (void)state;
  trp_test_limit(150000);
  stress_with_io_actors(run);
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 3) {
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int status = be_the_service((rlim_t)atoi(argv[1]), (unsigned)atoi(argv[2]));
    setrlimit(RLIMIT_NOFILE, &before); // a leak checker needs a descriptor to look around
    return status;
  }
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_service_without_descriptors_says_so_waits_and_goes_on),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/descriptors", tests, stress_set_up, NULL);
}
