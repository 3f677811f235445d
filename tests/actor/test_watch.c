#include <pthread.h>
#include <string.h>

#include "tests/actor/scene.h"

typedef struct {
  troupe_actor_t target;
  int calls;
  troupe_actor_t actor;
  troupe_reason_t reason;
  int status;
} down_t;

static void note_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  down_t *down = context;
  down->calls++;
  down->actor = actor;
  down->reason = reason;
  down->status = status;
}

static void ignore_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
}

// ---- Reasons ----

typedef enum { RETURN, EXIT_IN_CALLBACK, EXIT_IN_MAIN, END_IN_CALLBACK } way_t;

typedef struct {
  way_t way;
  int status;
} ending_t;

// Ends when the first message comes.
static void end_on_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  const ending_t *ending = context;
  (void)from;
  (void)message;
  if (ending->way == EXIT_IN_CALLBACK) {
    pthread_exit(NULL);
  }
  troupe_actor_end(ending->way == END_IN_CALLBACK ? ending->status : 0);
}

static int ending_actor(void *argument) {
  const ending_t *ending = argument;
  expect(troupe_actor_on_message(end_on_message, argument) == 0);
  int status = troupe_actor_run();
  if (ending->way == EXIT_IN_MAIN) {
    pthread_exit(NULL);
  }
  return ending->way == RETURN ? ending->status : status;
}

static int watching_actor(void *argument) {
  down_t *down = argument;
  expect(troupe_watch(down->target, note_down, down) == 0);
  expect(troupe_watch(down->target, note_down, down) == TROUPE_EEXIST);
  expect(troupe_send(down->target, "end", 3) == 0);
  expect(troupe_actor_run() == 0); // the watch holds it until then, and no longer
  expect(down->calls == 1);
  expect(troupe_unwatch(down->target) == TROUPE_ESTALE);
  return 0;
}

static void see_it_end(way_t way, int status, troupe_reason_t reason, int told) {
  ending_t ending = {.way = way, .status = status};
  down_t down = {.target = scene_start("ending", ending_actor, &ending)};
  scene_start("watching", watching_actor, &down);
  scene_wait();
  assert_int_equal(down.actor.id, down.target.id);
  assert_int_equal(down.reason, reason);
  assert_int_equal(down.status, told);
  assert_int_equal(scene_join(down.target), told);
}

static void an_actor_that_returned_says_its_status(void **state) {
  (void)state;
  see_it_end(RETURN, 0, TROUPE_REASON_RETURNED, 0);
  see_it_end(RETURN, 123456, TROUPE_REASON_RETURNED, 123456);
  see_it_end(END_IN_CALLBACK, 9, TROUPE_REASON_RETURNED, 9);
}

static void an_actor_that_failed_says_its_error(void **state) {
  (void)state;
  see_it_end(RETURN, TROUPE_ECONNRESET, TROUPE_REASON_FAILED, TROUPE_ECONNRESET);
  see_it_end(END_IN_CALLBACK, -1, TROUPE_REASON_FAILED, -1);
}

static void an_actor_that_exited_says_so(void **state) {
  (void)state;
  see_it_end(EXIT_IN_MAIN, 5, TROUPE_REASON_EXITED, 0);
  see_it_end(EXIT_IN_CALLBACK, 5, TROUPE_REASON_EXITED, 0);
}

// ---- Actors that are not there ----

static int late_watcher(void *argument) {
  down_t *down = argument;
  expect(troupe_watch(down->target, note_down, down) == 0);
  expect(troupe_actor_run() == 0);
  expect(down->calls == 1);
  return 0;
}

static void an_actor_that_has_ended_already_is_told_at_once(void **state) {
  (void)state;
  ending_t ending = {.way = RETURN, .status = 3};
  down_t down = {.target = scene_start("ending", ending_actor, &ending)};
  assert_int_equal(troupe_actor_stop(scene, down.target, 0), 0);
  scene_join(down.target);
  scene_start("late", late_watcher, &down);
  scene_wait();
  assert_int_equal(down.calls, 1);
  // It may have been the last to say goodbye, or not.
  assert_true(down.reason == TROUPE_REASON_UNKNOWN || down.status == 3);
}

static void an_actor_that_never_was_is_told_at_once(void **state) {
  (void)state;
  ending_t ending = {.way = RETURN};
  troupe_actor_t some = scene_start("ending", ending_actor, &ending);
  down_t down = {.target = {.id = some.id * 1000}};
  scene_start("late", late_watcher, &down);
  assert_int_equal(troupe_actor_stop(scene, some, 0), 0);
  scene_wait();
  assert_int_equal(down.reason, TROUPE_REASON_UNKNOWN);
}

static int misusing_actor(void *argument) {
  (void)argument;
  troupe_actor_t self = troupe_actor_self();
  down_t down = {0};
  expect(troupe_watch((troupe_actor_t){0}, note_down, &down) == TROUPE_EINVAL);
  expect(troupe_watch((troupe_actor_t){.id = self.id + 1}, note_down, &down) == TROUPE_EINVAL);
  expect(troupe_watch(self, NULL, NULL) == TROUPE_EINVAL);
  expect(troupe_unwatch((troupe_actor_t){0}) == TROUPE_ESTALE);
  expect(troupe_unwatch(self) == TROUPE_ESTALE);
  // Nobody can be told of the own end: it is answered, so that nothing hangs.
  expect(troupe_watch(self, note_down, &down) == 0);
  expect(troupe_actor_run() == 0);
  expect(down.calls == 1 && down.reason == TROUPE_REASON_UNKNOWN);
  return 0;
}

static void what_is_no_actor_cannot_be_watched(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("misusing", misusing_actor, NULL);
  assert_int_equal(troupe_watch(actor, note_down, NULL), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_unwatch(actor), TROUPE_EWRONGTHREAD);
  scene_wait();
}

// ---- Taking it back ----

static int fickle_actor(void *argument) {
  down_t *down = argument;
  expect(troupe_watch(down->target, note_down, down) == 0);
  expect(troupe_unwatch(down->target) == 0);
  expect(troupe_unwatch(down->target) == TROUPE_ESTALE);
  expect(troupe_actor_run() == 0); // nothing holds it
  expect(troupe_watch(down->target, note_down, down) == 0);
  expect(troupe_unwatch(down->target) == 0);
  expect(troupe_watch(down->target, note_down, down) == 0);
  expect(troupe_send(down->target, "end", 3) == 0);
  expect(troupe_actor_run() == 0);
  expect(down->calls == 1 && down->reason == TROUPE_REASON_RETURNED);
  return 0;
}

static void a_watch_can_be_taken_back_and_set_again(void **state) {
  (void)state;
  ending_t ending = {.way = RETURN, .status = 0};
  down_t down = {.target = scene_start("ending", ending_actor, &ending)};
  scene_start("fickle", fickle_actor, &down);
  scene_wait();
}

// ---- Many ----

typedef struct {
  troupe_actor_t target;
  atomic_int watching, told;
} crowd_t;

static void count_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  crowd_t *crowd = context;
  expect(actor.id == crowd->target.id);
  expect(reason == TROUPE_REASON_RETURNED && status == 8);
  atomic_fetch_add(&crowd->told, 1);
}

static int crowd_actor(void *argument) {
  crowd_t *crowd = argument;
  expect(troupe_watch(crowd->target, count_down, crowd) == 0);
  atomic_fetch_add(&crowd->watching, 1);
  return troupe_actor_run();
}

static void all_who_watch_are_told(void **state) {
  (void)state;
  ending_t ending = {.way = RETURN, .status = 8};
  crowd_t crowd = {.target = scene_start("ending", ending_actor, &ending)};
  troupe_spawn_options_t options = {
      .name = "crowd", .main = crowd_actor, .argument = &crowd, .copies = 100};
  assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
  assert_int_equal(atomic_load(&crowd.watching), 100);
  // The target ends when the I/O actor has their watches, behind 101 times HELLO.
  troupe_system_counters_t counters = {.commands = 0};
  for (int64_t limit_ms = trp_test_now_ms() + SCENE_LIMIT_MS;
       counters.commands < 201 && trp_test_now_ms() < limit_ms;) {
    assert_int_equal(troupe_system_counters(scene, &counters), 0);
  }
  assert_int_equal(troupe_post(scene, crowd.target, "end", 3), 0);
  scene_wait();
  assert_int_equal(atomic_load(&crowd.told), 100);
}

// One after the other: each is watched from the callback of the one before.
typedef struct {
  troupe_actor_t actors[30];
  int next;
} row_t;

static void watch_next(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  row_t *row = context;
  expect(actor.id == row->actors[row->next].id);
  expect(reason == TROUPE_REASON_RETURNED && status == 2);
  if (++row->next < 30) {
    expect(troupe_watch(row->actors[row->next], watch_next, row) == 0);
    expect(troupe_send(row->actors[row->next], "end", 3) == 0);
  }
}

static int row_actor(void *argument) {
  row_t *row = argument;
  expect(troupe_watch(row->actors[0], watch_next, row) == 0);
  expect(troupe_send(row->actors[0], "end", 3) == 0);
  return troupe_actor_run();
}

static void a_watch_can_be_set_where_another_one_ends(void **state) {
  (void)state;
  static ending_t ending = {.way = RETURN, .status = 2};
  row_t row = {.next = 0};
  for (int i = 0; i < 30; i++) {
    row.actors[i] = scene_start("ending", ending_actor, &ending);
  }
  scene_start("row", row_actor, &row);
  scene_wait();
  assert_int_equal(row.next, 30);
}

// ---- Two that watch each other, and a system that stops ----

typedef struct {
  troupe_actor_t other;
  atomic_int ready;
} pair_t;

static void watch_whoever_writes(troupe_actor_t from, const troupe_chunk_t *message,
                                 void *context) {
  static down_t ignored;
  (void)message;
  expect(troupe_watch(from, note_down, &ignored) == 0);
  atomic_store((atomic_int *)context, 1);
}

static int second_of_pair(void *argument) {
  pair_t *pair = argument;
  expect(troupe_actor_on_message(watch_whoever_writes, &pair->ready) == 0);
  return troupe_actor_run();
}

static int first_of_pair(void *argument) {
  pair_t *pair = argument;
  static down_t ignored;
  expect(troupe_actor_on_message(ignore_message, NULL) == 0);
  expect(troupe_watch(pair->other, note_down, &ignored) == 0);
  expect(troupe_send(pair->other, "hello", 5) == 0);
  return troupe_actor_run();
}

static void actors_that_watch_each_other_stop_with_their_system(void **state) {
  (void)state;
  pair_t pair = {.ready = 0};
  pair.other = scene_start("second", second_of_pair, &pair);
  scene_start("first", first_of_pair, &pair);
  scene_wait_for(&pair.ready);
  assert_int_equal(troupe_system_stop(scene, 0), 0);
  scene_wait();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(an_actor_that_returned_says_its_status),
      in_scene(an_actor_that_failed_says_its_error),
      in_scene(an_actor_that_exited_says_so),
      in_scene(an_actor_that_has_ended_already_is_told_at_once),
      in_scene(an_actor_that_never_was_is_told_at_once),
      in_scene(what_is_no_actor_cannot_be_watched),
      in_scene(a_watch_can_be_taken_back_and_set_again),
      in_scene(all_who_watch_are_told),
      in_scene(a_watch_can_be_set_where_another_one_ends),
      in_scene(actors_that_watch_each_other_stop_with_their_system),
  };
  return TRP_RUN_TESTS("watch", tests);
}
