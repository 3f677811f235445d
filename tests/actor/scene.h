// What the tests of actors share: a system for each test, actors in it, and a way for actors, whose
// threads may not use cmocka's assertions, to say that something is wrong.
#ifndef TRP_TESTS_ACTOR_SCENE_H_INCLUDED
#define TRP_TESTS_ACTOR_SCENE_H_INCLUDED

#include <stdatomic.h>
#include <stdio.h>
#include <troupe/troupe.h>

#include "tests/harness/harness.h"

enum { SCENE_LIMIT_MS = 20000 };

static troupe_system_t *scene;
static atomic_int scene_wrong; // the line of the first expectation that did not hold

// Any thread.
#define expect(condition) ((condition) ? (void)0 : scene_note(__LINE__, #condition))

static inline void scene_note(int line, const char *condition) {
  int none = 0;
  if (atomic_compare_exchange_strong(&scene_wrong, &none, line)) {
    fprintf(stderr, "line %d: not so: %s\n", line, condition);
  }
}

static inline int scene_open(void **state) {
  (void)state;
  atomic_store(&scene_wrong, 0);
  return troupe_system_new(NULL, &scene);
}

// Waits for the actors, who end by themselves.
static inline void scene_wait(void) {
  troupe_stuck_t stuck[4];
  size_t count = 0;
  int error = troupe_system_wait(scene, SCENE_LIMIT_MS * trp_test_slow(), stuck, 4, &count);
  for (size_t i = 0; i < count && i < 4; i++) {
    fprintf(stderr, "still runs: %s %u\n", stuck[i].name, stuck[i].index);
  }
  assert_int_equal(error, 0);
}

static inline int scene_close(void **state) {
  (void)state;
  troupe_system_stop(scene, 0);
  scene_wait();
  assert_int_equal(troupe_system_free(&scene), 0);
  assert_null(scene);
  assert_int_equal(atomic_load(&scene_wrong), 0);
  return 0;
}

static inline troupe_actor_t scene_start(const char *name, troupe_main_fn main, void *argument) {
  troupe_spawn_options_t options = {.name = name, .main = main, .argument = argument};
  troupe_actor_t actor = {0};
  assert_int_equal(troupe_spawn(scene, &options, &actor), 0);
  assert_true(actor.id != 0);
  return actor;
}

static inline int scene_join(troupe_actor_t actor) {
  int status = -1;
  assert_int_equal(troupe_actor_join(scene, actor, SCENE_LIMIT_MS * trp_test_slow(), &status), 0);
  return status;
}

// Waits for a flag that another thread sets.
static inline bool scene_is_set(void *flag) {
  return atomic_load((atomic_int *)flag) != 0;
}

static inline void scene_wait_for(atomic_int *flag) {
  assert_true(trp_test_wait_until(scene_is_set, flag, SCENE_LIMIT_MS));
}

#define in_scene(test) trp_test_with(test, scene_open, scene_close)

#endif
