#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/actor/scene.h"

// ---- The handshake ----

static int failing_actor(void *argument) {
  return *(int *)argument;
}

static void an_actor_that_fails_before_it_runs_fails_its_spawn(void **state) {
  (void)state;
  int status = TROUPE_EADDRINUSE;
  troupe_spawn_options_t options = {.name = "fails", .main = failing_actor, .argument = &status};
  troupe_actor_t actor = {.id = 42};
  assert_int_equal(troupe_spawn(scene, &options, &actor), TROUPE_EADDRINUSE);
  assert_int_equal(actor.id, 42); // as it was
  assert_int_equal(troupe_actor_find(scene, "fails", 0, &actor), TROUPE_ENOACTOR);
  assert_int_equal(troupe_system_wait(scene, 0, NULL, 0, NULL), 0);
  status = INT_MIN;
  assert_int_equal(troupe_spawn(scene, &options, &actor), INT_MIN);
}

typedef struct {
  unsigned failing;
  atomic_int ran, stopped;
} copies_t;

static void count_stop(void *context) {
  atomic_fetch_add(&((copies_t *)context)->stopped, 1);
}

static void ignore_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
}

static int copy_actor(void *argument) {
  copies_t *copies = argument;
  if (troupe_actor_index() == copies->failing) {
    return -77;
  }
  expect(troupe_actor_on_stop(count_stop, copies) == 0);
  expect(troupe_actor_on_message(ignore_message, NULL) == 0);
  atomic_fetch_add(&copies->ran, 1);
  return troupe_actor_run();
}

static void when_one_copy_fails_the_others_are_stopped_again(void **state) {
  (void)state;
  copies_t copies = {.failing = 5};
  troupe_spawn_options_t options = {
      .name = "copy", .main = copy_actor, .argument = &copies, .copies = 8};
  troupe_actor_t actors[8] = {{0}};
  assert_int_equal(troupe_spawn(scene, &options, actors), -77);
  assert_int_equal(atomic_load(&copies.ran), 5);
  assert_int_equal(atomic_load(&copies.stopped), 5);
  assert_int_equal(actors[0].id, 0);
  assert_int_equal(troupe_system_wait(scene, 0, NULL, 0, NULL), 0);
  for (unsigned i = 0; i < 8; i++) {
    assert_int_equal(troupe_actor_find(scene, "copy", i, NULL), TROUPE_ENOACTOR);
  }
}

static int returning_actor(void *argument) {
  return *(int *)argument;
}

static void an_actor_that_returns_without_running_has_succeeded(void **state) {
  (void)state;
  int status = 17;
  troupe_actor_t actor = scene_start("returns", returning_actor, &status);
  assert_int_equal(scene_join(actor), 17);
  assert_int_equal(troupe_actor_join(scene, actor, 0, &status), TROUPE_ENOACTOR);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), TROUPE_ENOACTOR);
}

static int exiting_actor(void *argument) {
  (void)argument;
  pthread_exit(NULL);
}

static void an_actor_that_exits_before_it_runs_has_ended(void **state) {
  (void)state;
  assert_int_equal(scene_join(scene_start("exits", exiting_actor, NULL)), 0);
}

// ---- Copies, names, indexes ----

typedef struct {
  atomic_int seen[20];
  _Atomic uint64_t ids[20];
} census_t;

static int counted_actor(void *argument) {
  census_t *census = argument;
  unsigned index = troupe_actor_index();
  expect(index < 20);
  expect(strcmp(troupe_actor_name(), "counted") == 0);
  atomic_fetch_add(&census->seen[index], 1);
  atomic_store(&census->ids[index], troupe_actor_self().id);
  expect(troupe_actor_on_message(ignore_message, NULL) == 0);
  return troupe_actor_run();
}

// parity: shape.3
static void each_copy_has_a_name_an_index_and_an_id_of_its_own(void **state) {
  (void)state;
  census_t census = {0};
  troupe_spawn_options_t options = {
      .name = "counted", .main = counted_actor, .argument = &census, .copies = 20};
  troupe_actor_t actors[20];
  assert_int_equal(troupe_spawn(scene, &options, actors), 0);
  for (unsigned i = 0; i < 20; i++) {
    troupe_actor_t found;
    assert_int_equal(atomic_load(&census.seen[i]), 1);
    assert_int_equal(atomic_load(&census.ids[i]), actors[i].id);
    assert_int_equal(troupe_actor_find(scene, "counted", i, &found), 0);
    assert_int_equal(found.id, actors[i].id);
    for (unsigned k = 0; k < i; k++) {
      assert_true(actors[k].id != actors[i].id);
    }
  }
  assert_int_equal(troupe_actor_find(scene, "counted", 20, NULL), TROUPE_ENOACTOR);
  assert_int_equal(troupe_actor_find(scene, "count", 0, NULL), TROUPE_ENOACTOR);
  assert_int_equal(troupe_actor_find(scene, "", 0, NULL), TROUPE_ENOACTOR);
}

static int nameless_actor(void *argument) {
  (void)argument;
  return strcmp(troupe_actor_name(), "actor");
}

static void an_actor_without_a_name_is_called_actor(void **state) {
  (void)state;
  assert_int_equal(scene_join(scene_start(NULL, nameless_actor, NULL)), 0);
  assert_null(troupe_actor_name()); // this thread is none
  assert_int_equal(troupe_actor_index(), 0);
  assert_int_equal(troupe_actor_self().id, 0);
  assert_int_equal(troupe_now(), 0);
  assert_int_equal(troupe_random(), 0);
  assert_int_equal(troupe_actor_run(), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_actor_end(0), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_actor_on_stop(NULL, NULL), TROUPE_EWRONGTHREAD);
}

static void what_cannot_be_spawned_is_refused(void **state) {
  (void)state;
  int status = 0;
  char name[65];
  memset(name, 'n', sizeof name);
  name[64] = '\0';
  troupe_spawn_options_t options = {.main = returning_actor, .argument = &status, .name = name};
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EINVAL);
  options.name = name + 1; // 63 bytes
  assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
  options.name = "a/b";
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EINVAL);
  options.name = "";
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EINVAL);
  options.name = NULL;
  options.copies = 4097;
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EINVAL);
  options.copies = 1;
  options.argument = NULL;
  options.argument_size = 4;
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EINVAL);
  options.argument = &status;
  options.stack_size = 1;
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EINVAL);
  options.stack_size = 0;
  assert_int_equal(troupe_spawn(NULL, &options, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_spawn(scene, NULL, NULL), TROUPE_EINVAL);
  options.main = NULL;
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EINVAL);
}

static int deep_actor(void *argument) {
  (void)argument;
  volatile char room[10 * 1024 * 1024]; // more than the default
  room[0] = 1;
  room[sizeof room - 1] = 2;
  return room[0] + room[sizeof room - 1];
}

static void an_actor_has_the_stack_that_was_asked_for(void **state) {
  (void)state;
  troupe_spawn_options_t options = {.main = deep_actor, .stack_size = 16 * 1024 * 1024};
  troupe_actor_t actor;
  assert_int_equal(troupe_spawn(scene, &options, &actor), 0);
  assert_int_equal(scene_join(actor), 3);
}

// ---- Arguments ----

typedef struct {
  long double aligned;
  int values[100];
  void *original;
} argument_t;

static int argument_actor(void *given) {
  argument_t *argument = given;
  expect(given != argument->original);
  expect((uintptr_t)given % _Alignof(max_align_t) == 0);
  for (int i = 0; i < 100; i++) {
    expect(argument->values[i] == i);
    argument->values[i] = -1; // the others do not see it
  }
  return 0;
}

static void each_copy_gets_a_copy_of_the_argument(void **state) {
  (void)state;
  argument_t argument = {.original = &argument};
  for (int i = 0; i < 100; i++) {
    argument.values[i] = i;
  }
  troupe_spawn_options_t options = {.main = argument_actor,
                                    .argument = &argument,
                                    .argument_size = sizeof argument,
                                    .copies = 10};
  assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
  assert_int_equal(argument.values[99], 99);
}

static int pointer_actor(void *argument) {
  *(int *)argument = 5;
  return 0;
}

static void without_a_size_the_argument_is_the_pointer_itself(void **state) {
  (void)state;
  int value = 0;
  scene_join(scene_start("pointer", pointer_actor, &value));
  assert_int_equal(value, 5);
}

// ---- Spawning from actors ----

static int tree_actor(void *argument) {
  int depth = *(int *)argument;
  if (depth == 0) {
    return 1;
  }
  int sum = 0;
  int below = depth - 1;
  for (int i = 0; i < 2; i++) {
    troupe_spawn_options_t options = {
        .main = tree_actor, .argument = &below, .argument_size = sizeof below};
    troupe_actor_t child;
    int status = 0;
    expect(troupe_spawn(scene, &options, &child) == 0);
    expect(troupe_actor_join(scene, child, -1, &status) == 0);
    sum += status;
  }
  expect(troupe_actor_join(scene, troupe_actor_self(), 0, NULL) == TROUPE_EINVAL);
  return sum;
}

static void actors_spawn_actors_and_wait_for_them(void **state) {
  (void)state;
  int depth = 5;
  assert_int_equal(scene_join(scene_start("tree", tree_actor, &depth)), 32);
}

// ---- Joining ----

static int waiting_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_message(ignore_message, NULL) == 0);
  return troupe_actor_run();
}

typedef struct {
  troupe_actor_t actor;
  int result;
} joiner_t;

static void *join_it(void *argument) {
  joiner_t *joiner = argument;
  joiner->result = troupe_actor_join(scene, joiner->actor, -1, NULL);
  return NULL;
}

static void of_two_who_wait_for_an_actor_one_gets_its_result(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    troupe_actor_t actor = scene_start("waits", waiting_actor, NULL);
    joiner_t joiners[2];
    pthread_t threads[2];
    assert_int_equal(troupe_actor_join(scene, actor, 0, NULL), TROUPE_ETIMEDOUT);
    assert_int_equal(troupe_actor_join(scene, actor, 1, NULL), TROUPE_ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
      joiners[i].actor = actor;
      assert_int_equal(pthread_create(&threads[i], NULL, join_it, &joiners[i]), 0);
    }
    assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
    for (int i = 0; i < 2; i++) {
      pthread_join(threads[i], NULL);
    }
    assert_int_equal(joiners[0].result + joiners[1].result, TROUPE_ENOACTOR);
  }
}

static void *find_and_join(void *argument) {
  atomic_int *over = argument;
  while (atomic_load(over) == 0) {
    troupe_actor_t actor;
    if (troupe_actor_find(scene, "brief", 0, &actor) == 0) {
      int error = troupe_actor_join(scene, actor, -1, NULL);
      expect(error == 0 || error == TROUPE_ENOACTOR);
    }
  }
  return NULL;
}

static void an_actor_can_be_found_and_joined_while_it_is_being_spawned(void **state) {
  (void)state;
  atomic_int over = 0;
  int status = 0;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, find_and_join, &over), 0);
  for (int i = 0; i < 300; i++) {
    troupe_actor_t actor = scene_start("brief", returning_actor, &status);
    int error = troupe_actor_join(scene, actor, -1, NULL);
    assert_true(error == 0 || error == TROUPE_ENOACTOR);
  }
  atomic_store(&over, 1);
  pthread_join(thread, NULL);
}

// What the application keeps for each thread is taken down after the actor, and may call the
// library.
static pthread_key_t key;
static atomic_int destroyed;

static void destroy_late(void *value) {
  troupe_actor_t actor;
  (void)value;
  expect(troupe_actor_find(scene, "nobody", 0, &actor) == TROUPE_ENOACTOR);
  expect(troupe_actor_self().id == 0);
  expect(troupe_actor_run() == TROUPE_EWRONGTHREAD);
  atomic_fetch_add(&destroyed, 1);
}

static int keyed_actor(void *argument) {
  expect(pthread_setspecific(key, argument) == 0);
  return 0;
}

static void a_thread_that_takes_its_time_to_end_holds_up_nobody(void **state) {
  (void)state;
  int value = 0;
  assert_int_equal(pthread_key_create(&key, destroy_late), 0);
  for (int i = 1; i <= 50; i++) {
    troupe_actor_t actor = scene_start("keyed", keyed_actor, &value);
    assert_int_equal(scene_join(actor), 0);
    assert_int_equal(atomic_load(&destroyed), i); // the thread was there to its very end
  }
  for (int i = 0; i < 50; i++) {
    scene_start("keyed", keyed_actor, &value); // the next spawn gives the thread back
  }
  scene_wait();
  assert_int_equal(atomic_load(&destroyed), 100);
  pthread_key_delete(key);
}

// ---- Spawning and stopping at once ----

static void a_stop_right_after_the_spawn_is_not_lost(void **state) {
  (void)state;
  for (int i = 0; i < 300; i++) {
    troupe_actor_t actor = scene_start("waits", waiting_actor, NULL);
    assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
    assert_int_equal(scene_join(actor), 0);
  }
}

static atomic_int spawned;

static void *spawn_until_stopped(void *argument) {
  troupe_system_t *system = argument;
  troupe_spawn_options_t options = {.name = "waits", .main = waiting_actor};
  int error = 0;
  while ((error = troupe_spawn(system, &options, NULL)) == 0) {
    atomic_fetch_add(&spawned, 1);
  }
  expect(error == TROUPE_ESTOPPED);
  return NULL;
}

static void a_system_that_stops_while_actors_start_stops_them_all(void **state) {
  (void)state;
  for (int round = 0; round < 30; round++) {
    troupe_system_t *system = NULL;
    pthread_t threads[2];
    assert_int_equal(troupe_system_new(NULL, &system), 0);
    atomic_store(&spawned, 0);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(pthread_create(&threads[i], NULL, spawn_until_stopped, system), 0);
    }
    while (atomic_load(&spawned) <= round % 5) {
    }
    assert_int_equal(troupe_system_stop(system, 0), 0);
    for (int i = 0; i < 2; i++) {
      pthread_join(threads[i], NULL);
    }
    assert_int_equal(troupe_system_wait(system, SCENE_LIMIT_MS * trp_test_slow(), NULL, 0, NULL),
                     0);
    assert_int_equal(troupe_system_free(&system), 0);
  }
}

// ---- Nothing is left ----

static bool as_few_fds(void *limit) {
  return trp_test_count_fds() <= *(int *)limit;
}

// The argument is how many descriptors there may be.
static void start_many(void *limit) {
  int status = 0;
  int count = trp_test_slow() > 1 ? 150 : 1250;
  for (int i = 0; i < count; i++) {
    scene_start("brief", returning_actor, &status); // nobody joins it
    if (i % 100 == 0) {
      assert_true(trp_test_wait_until(as_few_fds, limit, 5000));
    }
  }
}

static void actors_one_after_the_other_leave_nothing(void **state) {
  (void)state;
  int limit = trp_test_count_fds() + 40; // what libzmq's own thread has still to close
  start_many(&limit);
  assert_true(trp_test_levels_off(start_many, &limit, 4 * 1024 * 1024));
  assert_true(trp_test_count_threads() < 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(an_actor_that_fails_before_it_runs_fails_its_spawn),
      in_scene(when_one_copy_fails_the_others_are_stopped_again),
      in_scene(an_actor_that_returns_without_running_has_succeeded),
      in_scene(an_actor_that_exits_before_it_runs_has_ended),
      in_scene(each_copy_has_a_name_an_index_and_an_id_of_its_own),
      in_scene(an_actor_without_a_name_is_called_actor),
      in_scene(what_cannot_be_spawned_is_refused),
      in_scene(an_actor_has_the_stack_that_was_asked_for),
      in_scene(each_copy_gets_a_copy_of_the_argument),
      in_scene(without_a_size_the_argument_is_the_pointer_itself),
      in_scene(actors_spawn_actors_and_wait_for_them),
      in_scene(of_two_who_wait_for_an_actor_one_gets_its_result),
      in_scene(an_actor_can_be_found_and_joined_while_it_is_being_spawned),
      in_scene(a_thread_that_takes_its_time_to_end_holds_up_nobody),
      in_scene(a_stop_right_after_the_spawn_is_not_lost),
      in_scene(a_system_that_stops_while_actors_start_stops_them_all),
      in_scene(actors_one_after_the_other_leave_nothing),
  };
  return TRP_RUN_TESTS("spawn", tests);
}
