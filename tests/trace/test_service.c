#include "tests/harness/harness.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <troupe/cmocka.h>
#include <troupe/troupe.h>

#include "tests/support/service.h"
#include "tests/trace/tape.h"

// Real systems with real sockets, recorded; then the same actors on their traces, without any.

enum { LIMIT_MS = 20000 };

static troupe_system_t *the_system; // NULL in a replay: nothing may need it there
static atomic_int port;
static atomic_int finished; // players that have played all their balls
static atomic_bool broken;  // the actors are not what they were

static const char *trace_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s.trace", trp_test_folder(), name);
  return path;
}

static void begin(void) {
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  atomic_store(&broken, false);
  assert_int_equal(troupe_system_new(NULL, &the_system), 0);
  assert_int_equal(troupe_record_start(the_system, &options), 0);
}

static void end(void) {
  troupe_record_report_t report;
  assert_int_equal(troupe_system_stop(the_system, 5000), 0);
  assert_int_equal(troupe_system_wait(the_system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_record_stop(the_system, &report), 0);
  assert_int_equal(report.error, 0);
  assert_int_equal(report.gaps, 0);
  assert_int_equal(troupe_system_free(&the_system), 0);
}

/// Without recording.
static void end_system(void) {
  assert_int_equal(troupe_system_stop(the_system, 5000), 0);
  assert_int_equal(troupe_system_wait(the_system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&the_system), 0);
}

static void replays(troupe_main_fn main_function, void *argument, const char *name, int times) {
  troupe_replay_report_t report;
  times = (times + trp_test_slow() - 1) / trp_test_slow(); // the sanitizers have seen it by then
  for (int i = 0; i < times; i++) {
    int result = troupe_replay(main_function, argument, trace_of(name), &report);
    if (result != 0) {
      fprintf(stderr, "%s\n%s", troupe_error_name(result), report.text);
    }
    assert_int_equal(result, 0);
    assert_string_equal(report.text, "");
  }
}

/// Split and merged at random it is the same, too.
static void replays_shuffled(troupe_main_fn main_function, void *argument, const char *name) {
  trp_test_random_t random;
  trp_test_random_start(&random, 5);
  trp_tape_t tape = trp_tape_load(trace_of(name));
  for (int i = 0; i < 1 + 30 / trp_test_slow(); i++) {
    trp_tape_shuffle(&tape, &random);
    trp_tape_save(&tape, trace_of(name));
    replays(main_function, argument, name, 1);
  }
  trp_tape_free(&tape);
}

static void differs(troupe_main_fn main_function, void *argument, const char *name,
                    const char *text) {
  troupe_replay_report_t report;
  atomic_store(&broken, true);
  assert_int_equal(troupe_replay(main_function, argument, trace_of(name), &report),
                   TROUPE_EDIFFERS);
  if (getenv("TROUPE_TEST_SHOW") != NULL) {
    fprintf(stderr, "%s\n", report.text);
  }
  if (strstr(report.text, text) == NULL) {
    fprintf(stderr, "\"%s\" is not in:\n%s", text, report.text);
    fail();
  }
  atomic_store(&broken, false);
}

// ---- Sockets ----

typedef struct {
  uint64_t answered;
} shouter_t;

/// Answers in capitals.
static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  shouter_t *shouter = context;
  size_t length = troupe_chunk_length(chunk);
  const char *bytes = troupe_chunk_bytes(chunk);
  char *answer = malloc(length);
  if (answer == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  for (size_t i = 0; i < length; i++) {
    answer[i] = (char)toupper((unsigned char)bytes[i]);
  }
  shouter->answered++;
  if (atomic_load(&broken) && shouter->answered == 5) {
    answer[0]++;
  }
  troupe_socket_write(socket, answer, length, NULL, NULL);
  free(answer);
}

static const troupe_socket_handlers_t socket_handlers = {.on_data = on_data};

static int shouter_main(void *argument) {
  shouter_t shouter = *(shouter_t *)argument;
  const troupe_server_options_t options = {.socket_handlers = &socket_handlers,
                                           .socket_context = &shouter};
  int error = test_listen(&options, NULL, NULL, NULL, &port);
  return error != 0 ? error : troupe_actor_run();
}

static void talk(trp_test_random_t *random, int way) {
  static char bytes[100000];
  static char answer[100000];
  size_t length = 1 + (size_t)trp_test_random_below(random, way % 2 == 0 ? 100 : sizeof bytes);
  for (size_t i = 0; i < length; i++) {
    bytes[i] = (char)('a' + trp_test_random_below(random, 26));
  }
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&port), LIMIT_MS);
  assert_true(fd >= 0);
  assert_int_equal(trp_test_send(fd, bytes, length, LIMIT_MS), 0);
  if (way % 5 == 4) {
    trp_test_reset(fd);
    return;
  }
  assert_int_equal(trp_test_receive(fd, answer, length, LIMIT_MS), length);
  for (size_t i = 0; i < length; i++) {
    assert_int_equal(answer[i], toupper(bytes[i]));
  }
  if (way % 3 == 0) {
    assert_int_equal(trp_test_end(fd), 0);
    assert_int_equal(trp_test_receive_to_end(fd, answer, sizeof answer, LIMIT_MS), 0);
  }
  trp_test_close(fd);
}

// parity: shape.2 shape.5
static void a_service_with_sockets_replays_without_them(void **state) {
  (void)state;
  trp_test_random_t random;
  trp_test_random_start(&random, 1);
  shouter_t settings = {0};
  begin();
  const troupe_spawn_options_t options = {.main = shouter_main,
                                          .name = "shouter",
                                          .argument = &settings,
                                          .argument_size = sizeof settings,
                                          .copies = 2};
  assert_int_equal(troupe_spawn(the_system, &options, NULL), 0);
  for (int i = 0; i < 40; i++) {
    talk(&random, i);
  }
  end();
  replays(shouter_main, NULL, "shouter-0", 100);
  replays(shouter_main, NULL, "shouter-1", 100);
  differs(shouter_main, NULL, "shouter-0", "payload differs first in byte 0");
  differs(shouter_main, NULL, "shouter-1", "payload differs first in byte 0");
  replays_shuffled(shouter_main, NULL, "shouter-0");
  replays_shuffled(shouter_main, NULL, "shouter-1");
  troupe_assert_replays(shouter_main, NULL, trace_of("shouter-0"));
}

// ---- Messages, timers, random numbers ----

typedef struct {
  int left, ticks;
  uint64_t sum;
} player_t;

static void on_tick(troupe_timer_t timer, void *context) {
  player_t *player = context;
  if (++player->ticks == 20) {
    troupe_timer_stop(timer);
  }
  player->sum += troupe_random();
}

/// Plays a number back, changed by its random numbers and the time, until none is left.
static void on_ball(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  player_t *player = context;
  uint64_t ball = 0;
  if (troupe_chunk_length(message) != sizeof ball) {
    return;
  }
  memcpy(&ball, troupe_chunk_bytes(message), sizeof ball);
  ball ^= troupe_random() + (uint64_t)troupe_now() + player->sum;
  if (atomic_load(&broken) && player->left == 100) {
    troupe_send(from, "a ball too many", 15);
  }
  if (player->left > 0) {
    troupe_send(from, &ball, sizeof ball);
    if (--player->left == 0) {
      atomic_fetch_add(&finished, 1);
    }
  }
}

static int player_main(void *argument) {
  player_t player = {.left = 1000};
  (void)argument;
  int error = troupe_actor_on_message(on_ball, &player);
  if (error == 0) {
    error = troupe_timer_start(NULL, 1, 1, on_tick, &player);
  }
  return error != 0 ? error : troupe_actor_run();
}

static void on_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  (void)actor;
  (void)reason;
  *(int *)context = status;
}

/// Spawns the players, and throws the ball.
static int starter_main(void *argument) {
  troupe_actor_t players[2];
  troupe_actor_t found;
  player_t own = {.left = 2000};
  int down = 0;
  (void)argument;
  const troupe_spawn_options_t options = {.main = player_main, .name = "player", .copies = 2};
  int error = troupe_spawn(the_system, &options, players);
  if (error != 0) {
    return error;
  }
  error = troupe_actor_find(the_system, "player", 1, &found);
  if (error != 0 || found.id != players[1].id) {
    return error == 0 ? TROUPE_EINVAL : error;
  }
  if (!atomic_load(&broken) &&
      troupe_actor_find(the_system, "nobody", 0, &found) != TROUPE_ENOACTOR) {
    return TROUPE_EINVAL;
  }
  troupe_system_counters_t counters;
  if (troupe_post(the_system, players[0], "no ball", 7) != 0 ||
      troupe_post(the_system, (troupe_actor_t){0}, "x", 1) != TROUPE_ENOACTOR ||
      troupe_system_counters(the_system, &counters) != 0 || counters.actors != 3 ||
      counters.commands == 0) {
    return TROUPE_EINVAL;
  }
  error = troupe_watch(players[0], on_down, &down);
  if (error == 0) {
    error = troupe_actor_on_message(on_ball, &own);
  }
  for (uint64_t i = 0; i < 20 && error == 0; i++) {
    error = troupe_send(players[i % 2], &i, sizeof i);
  }
  return error != 0 ? error : troupe_actor_run();
}

static bool all_finished(void *argument) {
  (void)argument;
  return atomic_load(&finished) == 3;
}

// parity: shape.2 shape.5
static void actors_that_play_with_each_other_replay_alone(void **state) {
  (void)state;
  begin();
  atomic_store(&finished, 0);
  const troupe_spawn_options_t options = {.main = starter_main, .name = "starter"};
  assert_int_equal(troupe_spawn(the_system, &options, NULL), 0);
  assert_true(trp_test_wait_until(all_finished, NULL, LIMIT_MS));
  end();
  replays(starter_main, NULL, "starter-0", 300);
  replays(player_main, NULL, "player-0", 300);
  replays(player_main, NULL, "player-1", 300);
  differs(player_main, NULL, "player-1", "a ball too many");
  differs(starter_main, NULL, "starter-0", "expected: troupe_actor_find()");
  replays_shuffled(starter_main, NULL, "starter-0");
  replays_shuffled(player_main, NULL, "player-0");
  replays_shuffled(player_main, NULL, "player-1");
}

// ---- Recording and the system ----

static void recording_is_refused_twice_and_ends_with_the_system(void **state) {
  (void)state;
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  troupe_record_report_t report;
  begin();
  assert_int_equal(troupe_record_start(the_system, &options), TROUPE_EALREADY);
  assert_int_equal(troupe_record_start(the_system, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_record_stop(the_system, NULL), 0);
  assert_int_equal(troupe_record_stop(the_system, &report), TROUPE_ESTALE);
  assert_int_equal(troupe_record_start(the_system, &options), 0);
  assert_int_equal(troupe_system_stop(the_system, 0), 0);
  assert_int_equal(troupe_system_free(&the_system), 0);
}

static void only_named_actors_are_recorded(void **state) {
  (void)state;
  const char *const names[] = {"second", NULL};
  const troupe_record_options_t options = {.directory = trp_test_folder(), .names = names};
  troupe_record_report_t report;
  assert_int_equal(troupe_system_new(NULL, &the_system), 0);
  assert_int_equal(troupe_record_start(the_system, &options), 0);
  troupe_spawn_options_t spawn = {.main = player_main, .name = "first"};
  assert_int_equal(troupe_spawn(the_system, &spawn, NULL), 0);
  spawn.name = "second";
  assert_int_equal(troupe_spawn(the_system, &spawn, NULL), 0);
  assert_int_equal(troupe_system_stop(the_system, 0), 0);
  assert_int_equal(troupe_system_wait(the_system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_record_stop(the_system, &report), 0);
  assert_int_equal(report.actors, 1);
  assert_int_equal(troupe_system_free(&the_system), 0);
  replays(player_main, NULL, "second-0", 1);
  assert_int_equal(troupe_replay(player_main, NULL, trace_of("first-0"), NULL), TROUPE_ENOENT);
}

// ---- Recording while the actors run ----

static void talk_a_while(uint64_t stream, int times) {
  trp_test_random_t random;
  trp_test_random_start(&random, stream);
  for (int i = 0; i < times; i++) {
    talk(&random, i % 4);
  }
}

static uint64_t count_entries(const char *name, const char *kind, troupe_trace_info_t *info) {
  troupe_trace_t *trace = NULL;
  troupe_trace_entry_t entry;
  uint64_t count = 0;
  int64_t clock_ns = 0;
  assert_int_equal(troupe_trace_open(trace_of(name), &trace), 0);
  troupe_trace_info(trace, info);
  while (troupe_trace_next(trace, &entry) == 1) {
    assert_true(entry.clock_ns >= clock_ns);
    clock_ns = entry.clock_ns;
    count += strcmp(entry.kind, kind) == 0;
  }
  troupe_trace_free(&trace);
  return count;
}

static void recording_begins_and_ends_while_the_actors_run(void **state) {
  (void)state;
  shouter_t settings = {0};
  troupe_trace_info_t info;
  troupe_record_report_t report;
  const troupe_record_options_t options = {.directory = trp_test_folder(), .running = true};
  atomic_store(&broken, false);
  assert_int_equal(troupe_system_new(NULL, &the_system), 0);
  const troupe_spawn_options_t spawn = {.main = shouter_main,
                                        .name = "shouter",
                                        .argument = &settings,
                                        .argument_size = sizeof settings};
  assert_int_equal(troupe_spawn(the_system, &spawn, NULL), 0);
  talk_a_while(1, 8);
  for (int round = 0; round < 3; round++) {
    assert_int_equal(troupe_record_start(the_system, &options), 0);
    talk_a_while(2, 10);
    assert_int_equal(troupe_record_stop(the_system, &report), 0);
    assert_int_equal(report.actors, 1);
    assert_int_equal(report.error, 0);
    assert_int_equal(report.gaps, 0);
    assert_int_equal(count_entries("shouter-0", "connection", &info), 10);
    assert_true(info.late);
    assert_false(info.complete);
    talk_a_while(3, 5); // of this nothing is in the trace
    assert_int_equal(count_entries("shouter-0", "connection", &info), 10);
  }
  // Without `running` it is not recorded.
  const troupe_record_options_t later = {.directory = trp_test_folder()};
  assert_int_equal(troupe_record_start(the_system, &later), 0);
  talk_a_while(2, 4);
  assert_int_equal(troupe_record_stop(the_system, &report), 0);
  assert_int_equal(report.actors, 0);
  end_system();
}

static atomic_int told_error;

static void on_recording_stopped(int error, void *context) {
  (void)context;
  atomic_store(&told_error, error);
}

static int told_main(void *argument) {
  int error = troupe_actor_on_recording_stopped(on_recording_stopped, NULL);
  return error != 0 ? error : shouter_main(argument);
}

static bool was_told(void *argument) {
  (void)argument;
  return atomic_load(&told_error) != 0;
}

static void a_service_whose_disk_is_full_goes_on_and_is_told(void **state) {
  (void)state;
  shouter_t settings = {0};
  struct rlimit before;
  troupe_record_report_t report;
  assert_int_equal(troupe_actor_on_recording_stopped(on_recording_stopped, NULL),
                   TROUPE_EWRONGTHREAD);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  atomic_store(&told_error, 0);
  begin();
  const troupe_spawn_options_t spawn = {.main = told_main, .name = "told", .argument = &settings};
  assert_int_equal(troupe_spawn(the_system, &spawn, NULL), 0);
  const struct rlimit limit = {.rlim_cur = 64 * 1024, .rlim_max = before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  talk_a_while(1, 12);
  assert_true(trp_test_wait_until(was_told, NULL, LIMIT_MS));
  assert_int_equal(atomic_load(&told_error), TROUPE_EFBIG);
  talk_a_while(2, 12);
  assert_int_equal(troupe_record_stop(the_system, &report), 0);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(report.error, TROUPE_EFBIG);
  end_system();
}

static int set_up_once(void **state) {
  (void)state;
  // The first loop of libuv in a process opens a pipe for good.
  return troupe_system_new(NULL, &the_system) == 0 && troupe_system_free(&the_system) == 0 ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_service_with_sockets_replays_without_them),
      trp_test_that_leaves_nothing(actors_that_play_with_each_other_replay_alone),
      trp_test_that_leaves_nothing(recording_is_refused_twice_and_ends_with_the_system),
      trp_test_that_leaves_nothing(only_named_actors_are_recorded),
      trp_test_that_leaves_nothing(recording_begins_and_ends_while_the_actors_run),
      trp_test_that_leaves_nothing(a_service_whose_disk_is_full_goes_on_and_is_told),
  };
  return TRP_RUN_TESTS_IN_GROUP("service", tests, set_up_once, NULL);
}
