#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/actor/scene.h"

static void ignore_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
}

static int waiting_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_message(ignore_message, NULL) == 0);
  return troupe_actor_run();
}

static int brief_actor(void *argument) {
  (void)argument;
  return 0;
}

// ---- Making and freeing ----

static void a_system_that_cannot_be_is_refused(void **state) {
  (void)state;
  troupe_system_t *system = NULL;
  troupe_system_options_t options = {.io_threads = 64};
  assert_int_equal(troupe_system_new(&options, &system), TROUPE_EINVAL);
  assert_null(system);
  assert_int_equal(troupe_system_new(NULL, NULL), TROUPE_EINVAL);
  options = (troupe_system_options_t){.io_threads = 1, .spin_us = -1, .seed = 5};
  assert_int_equal(troupe_system_new(&options, &system), 0);
  assert_int_equal(troupe_system_free(&system), 0);
  options = (troupe_system_options_t){.io_threads = 8};
  assert_int_equal(troupe_system_new(&options, &system), 0);
  assert_int_equal(troupe_system_free(&system), 0);
  options = (troupe_system_options_t){.spin_us = 20};
  assert_int_equal(troupe_system_new(&options, &system), 0);
  assert_int_equal(troupe_system_free(&system), 0);
  assert_int_equal(troupe_system_free(&system), 0); // NULL by now
  assert_int_equal(troupe_system_free(NULL), 0);
}

static void a_system_with_actors_is_not_freed_and_goes_on(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("waits", waiting_actor, NULL);
  troupe_system_t *system = scene;
  assert_int_equal(troupe_system_free(&scene), TROUPE_EBUSY);
  assert_ptr_equal(scene, system);
  troupe_actor_t second = scene_start("waits", waiting_actor, NULL); // nothing has changed
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
  assert_int_equal(troupe_actor_stop(scene, second, 0), 0);
  scene_wait();
}

static int asking_actor(void *argument) {
  troupe_system_t *system = argument;
  expect(troupe_system_free(&system) == TROUPE_EWRONGTHREAD);
  expect(system == argument);
  expect(troupe_system_wait(system, 0, NULL, 0, NULL) == TROUPE_EWRONGTHREAD);
  expect(troupe_actor_run() == 0); // nothing holds it
  return 0;
}

static void an_actor_can_neither_free_its_system_nor_wait_for_it(void **state) {
  (void)state;
  scene_start("asks", asking_actor, scene);
  scene_wait();
}

static void nothing_is_spawned_in_a_system_that_stops(void **state) {
  (void)state;
  troupe_spawn_options_t options = {.main = brief_actor};
  assert_int_equal(troupe_system_stop(scene, 0), 0);
  assert_int_equal(troupe_system_stop(scene, 1000), 0); // asking twice changes nothing
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_ESTOPPED);
}

// ---- Stopping ----

typedef struct {
  atomic_int running, blocked, release, stops;
  int rounds;
} stubborn_t;

static void count_stop(void *context) {
  atomic_fetch_add(&((stubborn_t *)context)->stops, 1);
}

// Blocks in its callback, which no actor should, until the test lets it go.
static void block(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  stubborn_t *stubborn = context;
  (void)from;
  (void)message;
  atomic_store(&stubborn->blocked, 1);
  expect(trp_test_wait_until(scene_is_set, &stubborn->release, SCENE_LIMIT_MS));
}

static int stubborn_actor(void *argument) {
  stubborn_t *stubborn = argument;
  expect(troupe_actor_on_stop(count_stop, stubborn) == 0);
  expect(troupe_actor_on_message(block, stubborn) == 0);
  return troupe_actor_run();
}

static void the_deadline_tells_which_actors_did_not_stop(void **state) {
  (void)state;
  stubborn_t stubborn = {.rounds = 0};
  troupe_spawn_options_t options = {
      .name = "stubborn", .main = stubborn_actor, .argument = &stubborn, .copies = 3};
  troupe_actor_t actors[3] = {{0}};
  assert_int_equal(troupe_spawn(scene, &options, actors), 0);
  scene_start("waits", waiting_actor, NULL);
  assert_int_equal(troupe_post(scene, actors[1], "x", 1), 0);
  scene_wait_for(&stubborn.blocked);
  assert_int_equal(troupe_system_stop(scene, 10), 0);

  // The others end; this one is named.
  troupe_stuck_t stuck[4] = {{0}};
  size_t count = 99;
  for (int64_t limit_ms = trp_test_now_ms() + SCENE_LIMIT_MS;
       count != 1 && trp_test_now_ms() < limit_ms;) {
    assert_int_equal(troupe_system_wait(scene, 20, stuck, 4, &count), TROUPE_ETIMEDOUT);
  }
  assert_int_equal(count, 1);
  assert_int_equal(stuck[0].actor, actors[1].id);
  assert_int_equal(stuck[0].index, 1);
  assert_string_equal(stuck[0].name, "stubborn");
  assert_int_equal(troupe_system_wait(scene, 0, NULL, 0, NULL), TROUPE_ETIMEDOUT);
  assert_int_equal(troupe_system_free(&scene), TROUPE_EBUSY);
  assert_int_equal(troupe_actor_join(scene, actors[1], 1, NULL), TROUPE_ETIMEDOUT);

  atomic_store(&stubborn.release, 1);
  scene_wait();
  assert_int_equal(atomic_load(&stubborn.stops), 3);
  assert_int_equal(troupe_system_wait(scene, 0, stuck, 4, &count), 0);
  assert_int_equal(count, 0);
}

static void more_stuck_actors_than_there_is_room_for_are_counted(void **state) {
  (void)state;
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor, .copies = 20};
  assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
  troupe_stuck_t stuck[4];
  size_t count = 0;
  stuck[3].index = 1234;
  assert_int_equal(troupe_system_wait(scene, 0, stuck, 3, &count), TROUPE_ETIMEDOUT);
  assert_int_equal(count, 20);
  assert_int_equal(stuck[3].index, 1234);
}

static void made_at(troupe_actor_t actor, const char *expected) {
  troupe_stuck_t stuck[4];
  size_t count = 0;
  assert_int_equal(troupe_system_wait(scene, 0, stuck, 4, &count), TROUPE_ETIMEDOUT);
  assert_true(count <= 4);
  for (size_t i = 0; i < count; i++) {
    if (stuck[i].actor == actor.id) {
      const char *name = strrchr(stuck[i].made_at, '/');
      assert_string_equal(name == NULL ? stuck[i].made_at : name + 1, expected);
      return;
    }
  }
  fail_msg("it has ended");
}

static void an_actor_that_did_not_end_says_where_it_was_made(void **state) {
  (void)state;
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor};
  troupe_actor_t here, nowhere, elsewhere;
  static char long_place[TROUPE_MADE_AT_SIZE + 40]; // as long as the actor lives
  char line[32];
  memset(long_place, 'x', sizeof long_place);
  snprintf(long_place + TROUPE_MADE_AT_SIZE, 40, "/at the end:7");
  snprintf(line, sizeof line, "test_system.c:%d", __LINE__ + 1);
  assert_int_equal(troupe_spawn(scene, &options, &here), 0);
  assert_int_equal((troupe_spawn)(scene, &options, &nowhere), 0);
  assert_int_equal(troupe_spawn_at(long_place, scene, &options, &elsewhere), 0);
  made_at(here, line);
  made_at(nowhere, "");
  made_at(elsewhere, "at the end:7");
}

static int listening_actor(void *argument) {
  stubborn_t *stubborn = argument;
  expect(troupe_actor_on_stop(count_stop, stubborn) == 0);
  for (int i = 0; i < 2; i++) {
    expect(troupe_actor_on_message(ignore_message, NULL) == 0);
    expect(troupe_actor_run() == 0);
    stubborn->rounds++; // a stopped actor that runs again ends at once
  }
  return 0;
}

static void a_stop_is_told_once(void **state) {
  (void)state;
  stubborn_t stubborn = {.rounds = 0};
  troupe_actor_t actor = scene_start("listens", listening_actor, &stubborn);
  assert_int_equal(troupe_actor_stop(scene, actor, 5000), 0);
  int error = troupe_actor_stop(scene, actor, 0);
  assert_true(error == 0 || error == TROUPE_ENOACTOR);
  assert_int_equal(scene_join(actor), 0);
  assert_int_equal(atomic_load(&stubborn.stops), 1);
  assert_int_equal(stubborn.rounds, 2);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), TROUPE_ENOACTOR);
}

static void answer_with_end(void *context) {
  (void)context;
  troupe_actor_end(31);
}

static int polite_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_stop(answer_with_end, NULL) == 0);
  expect(troupe_actor_on_message(ignore_message, NULL) == 0);
  return troupe_actor_run();
}

static void an_actor_can_say_its_status_when_it_is_stopped(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("polite", polite_actor, NULL);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
  assert_int_equal(scene_join(actor), 31);
}

// ---- From a signal handler ----

static void stop_in_handler(int number) {
  (void)number;
  int before = errno = ERANGE;
  troupe_system_stop_from_signal(scene);
  expect(errno == before);
}

static void a_signal_handler_can_stop_the_system(void **state) {
  (void)state;
  struct sigaction action = {.sa_handler = stop_in_handler};
  struct sigaction before;
  assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
  for (int round = 0; round < 20; round++) {
    troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor, .copies = 4};
    assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
    if (round % 2 == 0) {
      assert_int_equal(kill(getpid(), SIGUSR1), 0); // any thread of the process may get this one
    } else {
      assert_int_equal(pthread_kill(pthread_self(), SIGUSR1), 0);
    }
    scene_wait();
    assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_ESTOPPED);
    assert_int_equal(troupe_system_free(&scene), 0);
    assert_int_equal(troupe_system_new(NULL, &scene), 0);
  }
  assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

// ---- What belongs to the process ----

// Fills `ids` with the process's threads, in the order of /proc; returns how many there are.
static size_t list_threads(int *ids, size_t capacity) {
  size_t count = 0;
  DIR *folder = opendir("/proc/self/task");
  assert_non_null(folder);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] != '.' && count < capacity) {
      ids[count++] = atoi(entry->d_name);
    }
  }
  closedir(folder);
  return count;
}

static uint64_t blocked_by(int id) {
  char path[64];
  char line[256];
  unsigned long long mask = 0;
  snprintf(path, sizeof path, "/proc/self/task/%d/status", id);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "SigBlk:", 7) == 0) {
      mask = strtoull(line + 7, NULL, 16);
    }
  }
  fclose(file);
  return mask;
}

static uint64_t bit_of(int number) {
  return UINT64_C(1) << (number - 1);
}

static void no_thread_of_the_library_takes_a_signal(void **state) {
  (void)state;
  static const int asynchronous[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2,  SIGPIPE,
                                     SIGALRM, SIGTERM, SIGCHLD, SIGCONT, SIGTSTP,  SIGTTIN,
                                     SIGTTOU, SIGURG,  SIGPROF, SIGIO,   SIGWINCH, SIGVTALRM};
  int before[64];
  int after[64];
  size_t count_before = list_threads(before, 64);
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor, .copies = 3};
  assert_int_equal(troupe_spawn(system, &options, NULL), 0);
  size_t count = list_threads(after, 64);
  int looked_at = 0;
  for (size_t i = 0; i < count; i++) {
    bool is_new = true;
    for (size_t k = 0; k < count_before; k++) {
      is_new = is_new && before[k] != after[i];
    }
    if (!is_new) {
      continue;
    }
    looked_at++;
    uint64_t blocked = blocked_by(after[i]);
    for (size_t k = 0; k < sizeof asynchronous / sizeof *asynchronous; k++) {
      assert_true(blocked & bit_of(asynchronous[k]));
    }
  }
  assert_int_equal(looked_at, 5); // the I/O actor, libzmq's, three actors
  assert_int_equal(troupe_system_stop(system, 0), 0);
  assert_int_equal(troupe_system_wait(system, SCENE_LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
}

static void the_process_is_as_it_was(void **state) {
  (void)state;
  struct sigaction before[65];
  sigset_t mask_before;
  sigset_t mask;
  struct rlimit limit_before;
  struct rlimit limit;
  memset(before, 0, sizeof before);
  for (int i = 1; i <= 64; i++) {
    sigaction(i, NULL, &before[i]);
  }
  assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask_before), 0);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor, .copies = 3};
  assert_int_equal(troupe_spawn(system, &options, NULL), 0);
  for (int round = 0; round < 2; round++) {
    for (int i = 1; i <= 64; i++) {
      struct sigaction now;
      memset(&now, 0, sizeof now);
      sigaction(i, NULL, &now);
      assert_true(now.sa_handler == before[i].sa_handler);
      assert_int_equal(now.sa_flags, before[i].sa_flags);
    }
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    for (int i = 1; i <= 64; i++) {
      assert_int_equal(sigismember(&mask, i), sigismember(&mask_before, i));
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit_before.rlim_cur && limit.rlim_max == limit_before.rlim_max);
    if (round == 0) {
      assert_int_equal(troupe_system_stop(system, 0), 0);
      assert_int_equal(troupe_system_wait(system, SCENE_LIMIT_MS * trp_test_slow(), NULL, 0, NULL),
                       0);
      assert_int_equal(troupe_system_free(&system), 0);
    }
  }
}

// ---- Time and chance ----

typedef struct {
  uint64_t numbers[4][10];
} dice_t;

static int throwing_actor(void *argument) {
  dice_t *dice = argument;
  for (int i = 0; i < 10; i++) {
    dice->numbers[troupe_actor_index()][i] = troupe_random();
  }
  return 0;
}

static void throw_dice(uint64_t seed, dice_t *dice) {
  troupe_system_t *system = NULL;
  troupe_system_options_t options = {.seed = seed};
  assert_int_equal(troupe_system_new(&options, &system), 0);
  troupe_spawn_options_t spawn = {.main = throwing_actor, .argument = dice, .copies = 4};
  assert_int_equal(troupe_spawn(system, &spawn, NULL), 0);
  assert_int_equal(troupe_system_wait(system, SCENE_LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
}

static void random_numbers_follow_from_the_seed(void **state) {
  (void)state;
  static dice_t a, b, c, d;
  throw_dice(7, &a);
  throw_dice(7, &b);
  throw_dice(8, &c);
  throw_dice(0, &d); // from the operating system
  assert_memory_equal(&a, &b, sizeof a);
  assert_memory_not_equal(&a, &c, sizeof a);
  assert_memory_not_equal(&a, &d, sizeof a);
  for (int i = 0; i < 4; i++) { // each actor has numbers of its own
    for (int k = 0; k < i; k++) {
      assert_memory_not_equal(a.numbers[i], a.numbers[k], sizeof a.numbers[i]);
    }
    for (int k = 1; k < 10; k++) {
      assert_true(a.numbers[i][k] != a.numbers[i][k - 1]);
    }
  }
}

typedef struct {
  int64_t batch_ns, last_ns;
  int seen, batches;
} watch_t;

static void look_at_clock(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  watch_t *clock = context;
  (void)from;
  int number = 0;
  memcpy(&number, troupe_chunk_bytes(message), sizeof number);
  expect(troupe_now() >= clock->last_ns);
  if (number % 10 == 0) {
    clock->batch_ns = troupe_now();
    clock->batches++;
  }
  expect(troupe_now() == clock->batch_ns); // ten messages are sent at once
  int64_t until_ms = trp_test_now_ms() + 2;
  while (trp_test_now_ms() < until_ms) {
  }
  expect(troupe_now() == clock->batch_ns);
  clock->last_ns = troupe_now();
  clock->seen++;
}

static void send_ten(troupe_timer_t timer, void *context) {
  watch_t *clock = context;
  for (int i = 0; i < 10; i++) {
    expect(troupe_send(troupe_actor_self(), &i, sizeof i) == 0);
  }
  if (clock->batches == 3) {
    troupe_timer_stop(timer);
    troupe_actor_end(0);
  }
}

static int ticking_actor(void *argument) {
  (void)argument;
  watch_t clock = {0};
  int64_t start_ns = troupe_now();
  struct timespec real;
  clock_gettime(CLOCK_MONOTONIC, &real);
  int64_t real_ns = (int64_t)real.tv_sec * 1000000000 + real.tv_nsec;
  expect(start_ns > 0 && start_ns <= real_ns && real_ns - start_ns < INT64_C(60000000000));
  expect(troupe_actor_on_message(look_at_clock, &clock) == 0);
  expect(troupe_timer_start(NULL, 1, 30, send_ten, &clock) == 0);
  expect(troupe_actor_run() == 0);
  expect(clock.batches == 3 && clock.seen == 30);
  expect(clock.last_ns - start_ns >= 40 * 1000000);
  return 0;
}

static void the_time_stands_still_within_a_batch(void **state) {
  (void)state;
  scene_start("ticking", ticking_actor, NULL);
  scene_wait();
}

// ---- Counters ----

static void the_counters_count_actors(void **state) {
  (void)state;
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(scene, &counters), 0);
  assert_int_equal(counters.actors, 0);
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor, .copies = 5};
  troupe_actor_t actors[5] = {{0}};
  assert_int_equal(troupe_spawn(scene, &options, actors), 0);
  assert_int_equal(troupe_system_counters(scene, &counters), 0);
  assert_int_equal(counters.actors, 5);
  assert_int_equal(counters.sockets, 0);
  assert_int_equal(counters.servers, 0);
  assert_true(counters.commands >= 5); // each said hello
  assert_int_equal(troupe_post(scene, actors[0], "x", 1), 0);
  uint64_t events = counters.events;
  for (int64_t limit_ms = trp_test_now_ms() + SCENE_LIMIT_MS;
       counters.events == events && trp_test_now_ms() < limit_ms;) {
    assert_int_equal(troupe_system_counters(scene, &counters), 0);
  }
  assert_int_equal(counters.events, events + 1);
  assert_int_equal(counters.undecodable + counters.unknown_kind + counters.not_owner, 0);
}

// ---- Idle ----

// With sockets in it: tests/service.
static void an_idle_process_hardly_wakes_up(void **state) {
  (void)state;
  enum { WINDOW_S = 3 };
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor, .copies = 4};
  assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
  if (trp_test_slow() == 1) { // sanitizers and valgrind have threads, and switches, of their own
    assert_true(trp_test_rests(WINDOW_S * 1000, WINDOW_S, 2000));
  }
}

// ---- A thousand ----

static void write_to_next(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
  troupe_actor_end(0);
}

static int pair_actor(void *argument) {
  troupe_actor_t other = {0};
  (void)argument;
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, NULL, NULL) == TROUPE_EINVAL);
  expect(troupe_actor_on_message(write_to_next, NULL) == 0);
  if (troupe_actor_index() == 1) {
    expect(troupe_actor_find(scene, "pair", 0, &other) == 0);
    expect(troupe_send(other, "x", 1) == 0);
    expect(troupe_send(troupe_actor_self(), "x", 1) == 0);
  }
  return troupe_actor_run();
}

static bool as_many_fds(void *expected) {
  return trp_test_count_fds() <= *(int *)expected;
}

static bool as_many_threads(void *expected) {
  return trp_test_count_threads() <= *(int *)expected;
}

static void make_systems(void *count) {
  for (int i = 0; i < *(int *)count; i++) {
    assert_int_equal(troupe_system_new(NULL, &scene), 0);
    troupe_spawn_options_t options = {.name = "pair", .main = pair_actor, .copies = 2};
    if (i % 2 == 0) {
      assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
      scene_wait();
    } else if (i % 3 == 0) { // stopped in the middle of everything
      assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
      assert_int_equal(troupe_system_stop(scene, 0), 0);
      scene_wait();
    }
    assert_int_equal(troupe_system_free(&scene), 0);
  }
}

static void a_thousand_systems_leave_nothing(void **state) {
  (void)state;
  trp_test_limit(150000);
  int count = trp_test_slow() > 1 ? 10 : 250;
  make_systems(&count); // what is made once and kept is there now
  int fds = trp_test_count_fds();
  int threads = trp_test_count_threads();
  count *= 3;
  assert_true(trp_test_levels_off(make_systems, &count, 3 * 1024 * 1024));
  assert_true(trp_test_wait_until(as_many_fds, &fds, 5000));
  assert_true(trp_test_wait_until(as_many_threads, &threads, 5000));
  assert_int_equal(atomic_load(&scene_wrong), 0);
}

// ---- No descriptors ----

static struct rlimit limit_before;

static int open_with_few_descriptors(void **state) {
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
  struct rlimit limit = limit_before;
  limit.rlim_cur = (rlim_t)trp_test_count_fds() + 60;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return scene_open(state);
}

static int close_and_unlimit(void **state) {
  int error = scene_close(state);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
  return error;
}

static void without_descriptors_a_spawn_and_a_system_fail_and_leave_nothing(void **state) {
  (void)state;
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor};
  int count = 0;
  int error = 0;
  while ((error = troupe_spawn(scene, &options, NULL)) == 0) {
    count++;
  }
  assert_int_equal(error, TROUPE_EMFILE);
  assert_true(count >= 5);
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EMFILE);
  troupe_system_t *second = NULL;
  assert_int_equal(troupe_system_new(NULL, &second), TROUPE_EMFILE);
  assert_null(second);
  size_t running = 0;
  assert_int_equal(troupe_system_wait(scene, 0, NULL, 0, &running), TROUPE_ETIMEDOUT);
  assert_int_equal(running, count);
  troupe_actor_t first;
  assert_int_equal(troupe_actor_find(scene, "waits", 0, &first), 0);
  assert_int_equal(troupe_actor_stop(scene, first, 0), 0);
  scene_join(first);
  int64_t limit_ms = trp_test_now_ms() + SCENE_LIMIT_MS;
  do { // libzmq's own thread closes the descriptors a moment later
    error = troupe_spawn(scene, &options, NULL);
  } while (error == TROUPE_EMFILE && trp_test_now_ms() < limit_ms);
  assert_int_equal(error, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_system_that_cannot_be_is_refused),
      in_scene(a_system_with_actors_is_not_freed_and_goes_on),
      in_scene(an_actor_can_neither_free_its_system_nor_wait_for_it),
      in_scene(nothing_is_spawned_in_a_system_that_stops),
      in_scene(the_deadline_tells_which_actors_did_not_stop),
      in_scene(an_actor_that_did_not_end_says_where_it_was_made),
      in_scene(more_stuck_actors_than_there_is_room_for_are_counted),
      in_scene(a_stop_is_told_once),
      in_scene(an_actor_can_say_its_status_when_it_is_stopped),
      in_scene(a_signal_handler_can_stop_the_system),
      trp_test(no_thread_of_the_library_takes_a_signal),
      trp_test(the_process_is_as_it_was),
      trp_test(random_numbers_follow_from_the_seed),
      in_scene(the_time_stands_still_within_a_batch),
      in_scene(the_counters_count_actors),
      in_scene(an_idle_process_hardly_wakes_up),
      trp_test(a_thousand_systems_leave_nothing),
      trp_test_with(without_descriptors_a_spawn_and_a_system_fail_and_leave_nothing,
                    open_with_few_descriptors, close_and_unlimit),
  };
  return TRP_RUN_TESTS("system", tests);
}
