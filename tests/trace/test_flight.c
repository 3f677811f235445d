#include "tests/harness/harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <troupe/troupe.h>
#include <unistd.h>

// Systems under load in a process of their own, killed at any moment; and what their files then say.

enum { LIMIT_MS = 20000, PLAYERS = 3 };

/// Shared with the child: how many balls each player has played for sure.
typedef struct {
  atomic_uint_fast64_t played[PLAYERS];
  atomic_int ready;
} counts_t;

static counts_t *counts;
static const char *program; // this one

static const char *path_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", trp_test_folder(), name);
  return path;
}

/// Each player throws numbers to itself, one after the other.
static void on_ball(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  uint64_t ball = 0;
  (void)context;
  memcpy(&ball, troupe_chunk_bytes(message), sizeof ball);
  atomic_store(&counts->played[troupe_actor_index()], ball);
  ball++;
  troupe_send(from.id == 0 ? troupe_actor_self() : from, &ball, sizeof ball);
}

static int player_main(void *argument) {
  (void)argument;
  int error = troupe_actor_on_message(on_ball, NULL);
  return error != 0 ? error : troupe_actor_run();
}

static void throw_balls(troupe_system_t *system, const troupe_actor_t *players) {
  uint64_t first = 1;
  for (int i = 0; i < PLAYERS; i++) {
    troupe_post(system, players[i], &first, sizeof first);
  }
}

static counts_t *map_counts(int fd) {
  return mmap(NULL, sizeof(counts_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/// The child, which is this program called anew: never returns.
static void play(const char *path, size_t size_bytes) {
  troupe_system_t *system = NULL;
  troupe_actor_t players[PLAYERS];
  const troupe_flight_options_t options = {.path = path, .size_bytes = size_bytes, .threads = 4};
  const troupe_spawn_options_t spawn = {.main = player_main, .name = "player", .copies = PLAYERS};
  if (troupe_system_new(NULL, &system) != 0 || troupe_flight_start(system, &options) != 0 ||
      troupe_spawn(system, &spawn, players) != 0) {
    _exit(1);
  }
  throw_balls(system, players);
  atomic_store(&counts->ready, 1);
  troupe_system_wait(system, -1, NULL, 0, NULL);
  _exit(2);
}

static bool all_play(void *argument) {
  uint64_t wanted = *(uint64_t *)argument;
  for (int i = 0; i < PLAYERS; i++) {
    if (atomic_load(&counts->played[i]) < wanted) {
      return false;
    }
  }
  return true;
}

/// What the file says must end where the players were, or one ball further; without a hole; and in
/// the order of time.
static void check_file(const char *path) {
  troupe_trace_t *trace = NULL;
  troupe_trace_info_t info;
  troupe_trace_entry_t entry;
  uint64_t last[PLAYERS] = {0};
  uint64_t seen[PLAYERS] = {0};
  int64_t clock_ns = 0;
  int result = 0;
  assert_int_equal(troupe_trace_open(path, &trace), 0);
  troupe_trace_info(trace, &info);
  assert_true(info.flight);
  assert_false(info.complete);
  while ((result = troupe_trace_next(trace, &entry)) == 1) {
    assert_true(entry.clock_ns >= clock_ns);
    clock_ns = entry.clock_ns;
    if (strcmp(entry.name, "io") == 0) {
      continue;
    }
    assert_string_equal(entry.name, "player");
    assert_in_range(entry.index, 0, PLAYERS - 1);
    if (entry.type == TROUPE_ENTRY_EVENT && strcmp(entry.kind, "message") == 0) {
      uint64_t ball = 0;
      assert_int_equal(entry.kept, sizeof ball);
      memcpy(&ball, entry.payload, sizeof ball);
      assert_true(last[entry.index] == 0 || ball == last[entry.index] + 1);
      last[entry.index] = ball;
      seen[entry.index]++;
    }
  }
  assert_int_equal(result, 0);
  for (int i = 0; i < PLAYERS; i++) {
    uint64_t played = atomic_load(&counts->played[i]);
    assert_in_range(last[i], played, played + 1);
    assert_true(seen[i] >= (played < 20 ? played : 20));
  }
  troupe_trace_free(&trace);
}

static void after_a_kill_at_any_moment_the_file_has_the_last_moments(void **state) {
  (void)state;
  int kills = 100 / trp_test_slow();
  trp_test_random_t random;
  trp_test_random_start(&random, 4);
  int shared = memfd_create("counts", 0);
  assert_true(shared >= 0);
  assert_int_equal(ftruncate(shared, sizeof *counts), 0);
  counts = map_counts(shared);
  assert_true(counts != MAP_FAILED);
  char number[16];
  snprintf(number, sizeof number, "%d", shared);
  trp_test_limit(150000);
  const char *path = path_of("flight");
  for (int i = 0; i < kills; i++) {
    memset(counts, 0, sizeof *counts);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      execl(program, program, path, number, (char *)NULL);
      _exit(127);
    }
    uint64_t wanted = 1 + trp_test_random_below(&random, 500);
    bool played = trp_test_wait_until(all_play, &wanted, LIMIT_MS);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(played);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_in_range(file.st_size, 128 * 1024, 256 * 1024);
    check_file(path);
  }
  munmap(counts, sizeof *counts);
  close(shared);
}

static bool has_played(void *argument) {
  return atomic_load(&counts->played[0]) >= *(uint64_t *)argument;
}

static void it_begins_and_ends_while_actors_run_beside_a_recording(void **state) {
  (void)state;
  counts_t own;
  troupe_system_t *system = NULL;
  troupe_actor_t players[PLAYERS];
  troupe_record_report_t report;
  troupe_replay_report_t replayed;
  memset(&own, 0, sizeof own);
  counts = &own;
  char path[4096];
  snprintf(path, sizeof path, "%s", path_of("flight"));
  const troupe_flight_options_t options = {.path = path, .size_bytes = 1024 * 1024, .threads = 4};
  const troupe_record_options_t record = {.directory = trp_test_folder()};
  const troupe_spawn_options_t spawn = {.main = player_main, .name = "player", .copies = PLAYERS};
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  assert_int_equal(troupe_record_start(system, &record), 0);
  assert_int_equal(troupe_spawn(system, &spawn, players), 0);
  throw_balls(system, players);
  for (uint64_t round = 0; round < 3; round++) {
    assert_int_equal(troupe_flight_start(system, &options), 0);
    uint64_t wanted = atomic_load(&own.played[0]) + 200;
    assert_int_equal(troupe_flight_start(system, &options), TROUPE_EALREADY);
    assert_true(trp_test_wait_until(has_played, &wanted, LIMIT_MS));
    assert_int_equal(troupe_flight_stop(system), 0);
    assert_int_equal(troupe_flight_stop(system), TROUPE_ESTALE);
    wanted = atomic_load(&own.played[0]) + 100;
    assert_true(trp_test_wait_until(has_played, &wanted, LIMIT_MS));
    troupe_trace_t *trace = NULL;
    troupe_trace_entry_t entry;
    uint64_t entries = 0;
    assert_int_equal(troupe_trace_open(path, &trace), 0);
    while (troupe_trace_next(trace, &entry) == 1) {
      entries++;
    }
    troupe_trace_free(&trace);
    assert_true(entries > 50);
  }
  assert_int_equal(troupe_system_stop(system, 0), 0);
  assert_int_equal(troupe_system_wait(system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_record_stop(system, &report), 0);
  assert_int_equal(report.gaps, 0);
  assert_int_equal(report.actors, PLAYERS); // the recording was not begun anew
  assert_int_equal(troupe_system_free(&system), 0);
  assert_int_equal(troupe_replay(player_main, NULL, path_of("player-0.trace"), &replayed), 0);
}

// ---- The I/O actors ----

enum { ECHO_BYTES = 100 };

static void on_echoed(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  size_t *left = context;
  *left -= troupe_chunk_length(chunk);
  if (*left == 0) {
    troupe_socket_end(socket, NULL, NULL);
  }
}

static void on_heard(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  troupe_socket_write_chunk(socket, chunk, NULL, NULL);
}

/// Talks to itself over a Unix socket.
static int loop_main(void *argument) {
  static const troupe_socket_handlers_t heard = {.on_data = on_heard};
  static const troupe_socket_handlers_t echoed = {.on_data = on_echoed};
  static const troupe_server_options_t options = {.socket_handlers = &heard};
  static const char bytes[ECHO_BYTES] = "what is said";
  size_t left = ECHO_BYTES;
  troupe_server_t server;
  troupe_socket_t socket;
  int error = troupe_server_new(&options, NULL, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_path(server, argument, 0);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(server, LIMIT_MS * trp_test_slow());
  }
  if (error == 0) {
    error = troupe_connect_path(argument, &echoed, &left, &socket);
  }
  if (error == 0) {
    error = troupe_socket_write(socket, bytes, sizeof bytes, NULL, NULL);
  }
  if (error >= 0) {
    troupe_server_unref(server);
    error = troupe_actor_run();
  }
  return error;
}

/// What one thread took and gave.
static unsigned count_kind(const char *path, const char *name, troupe_entry_type_t type,
                           const char *kind) {
  troupe_trace_t *trace = NULL;
  troupe_trace_entry_t entry;
  unsigned count = 0;
  int64_t clock_ns = 1; // none is without a time
  int result = 0;
  assert_int_equal(troupe_trace_open(path, &trace), 0);
  while ((result = troupe_trace_next(trace, &entry)) == 1) {
    assert_true(entry.clock_ns >= clock_ns);
    clock_ns = entry.clock_ns;
    count += strcmp(entry.name, name) == 0 && entry.type == type && strcmp(entry.kind, kind) == 0;
  }
  assert_int_equal(result, 0);
  troupe_trace_free(&trace);
  return count;
}

static void what_passes_through_the_io_actors_is_in_it(void **state) {
  (void)state;
  enum { IO_ACTORS = 3 };
  char path[4096];
  char place[4096];
  int status = 0;
  troupe_system_t *system = NULL;
  troupe_actor_t actor;
  snprintf(path, sizeof path, "%s", path_of("flight"));
  snprintf(place, sizeof place, "%s", path_of("place"));
  const troupe_flight_options_t options = {.path = path, .threads = 2};
  const troupe_system_options_t threads = {.io_threads = IO_ACTORS};
  const troupe_spawn_options_t spawn = {.main = loop_main, .name = "loop", .argument = place};
  assert_int_equal(troupe_system_new(&threads, &system), 0);
  assert_int_equal(troupe_flight_start(system, &options), 0);
  assert_int_equal(troupe_spawn(system, &spawn, &actor), 0);
  assert_int_equal(troupe_actor_join(system, actor, LIMIT_MS * trp_test_slow(), &status), 0);
  assert_int_equal(status, 0);
  assert_int_equal(troupe_flight_stop(system), 0);
  // Each way of the echo once or in pieces, seen from both sides.
  unsigned data = count_kind(path, "loop", TROUPE_ENTRY_EVENT, "data");
  unsigned writes = count_kind(path, "loop", TROUPE_ENTRY_COMMAND, "write");
  assert_true(data >= 2 && writes >= 2);
  assert_int_equal(count_kind(path, "io", TROUPE_ENTRY_COMMAND, "data"), data);
  assert_int_equal(count_kind(path, "io", TROUPE_ENTRY_EVENT, "write"), writes);
  assert_int_equal(count_kind(path, "io", TROUPE_ENTRY_EVENT, "hello"), IO_ACTORS);
  assert_int_equal(count_kind(path, "io", TROUPE_ENTRY_START, "start"), IO_ACTORS);
  // They wrote into it as long as it was on, and can begin anew.
  assert_int_equal(troupe_flight_start(system, &options), 0);
  assert_int_equal(count_kind(path, "io", TROUPE_ENTRY_EVENT, "hello"), 0);
  assert_int_equal(troupe_spawn(system, &spawn, &actor), 0);
  assert_int_equal(troupe_actor_join(system, actor, LIMIT_MS * trp_test_slow(), &status), 0);
  assert_int_equal(count_kind(path, "io", TROUPE_ENTRY_EVENT, "hello"), IO_ACTORS);
  assert_int_equal(troupe_system_free(&system), 0);
  assert_true(count_kind(path, "io", TROUPE_ENTRY_EVENT, "bye") >= 1);
}

static void what_is_wrong_with_its_file_is_told(void **state) {
  (void)state;
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  assert_int_equal(troupe_flight_start(NULL, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_flight_stop(NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_flight_start(system, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_flight_start(system, &(troupe_flight_options_t){0}), TROUPE_EINVAL);
  const troupe_flight_options_t small = {.path = path_of("small"), .size_bytes = 8192};
  assert_int_equal(troupe_flight_start(system, &small), TROUPE_EINVAL);
  const troupe_flight_options_t nowhere = {.path = "/proc/nowhere/flight"};
  assert_int_equal(troupe_flight_start(system, &nowhere), TROUPE_ENOENT);
  const troupe_flight_options_t folder = {.path = trp_test_folder()};
  assert_int_equal(troupe_flight_start(system, &folder), TROUPE_EISDIR);
  assert_int_equal(troupe_flight_stop(system), TROUPE_ESTALE);
  assert_int_equal(troupe_system_free(&system), 0);
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 3) {
    counts = map_counts(atoi(argv[2]));
    if (counts == MAP_FAILED) {
      return 1;
    }
    play(argv[1], (size_t)256 * 1024);
  }
  const struct CMUnitTest tests[] = {
      trp_test(after_a_kill_at_any_moment_the_file_has_the_last_moments),
      trp_test(it_begins_and_ends_while_actors_run_beside_a_recording),
      trp_test(what_passes_through_the_io_actors_is_in_it),
      trp_test(what_is_wrong_with_its_file_is_told),
  };
  return TRP_RUN_TESTS("flight", tests);
}
