#include <stdlib.h>
#include <string.h>

#include "tests/actor/scene.h"

enum { MS = 1000000 };

// ---- Order ----

typedef struct {
  int fired[32];
  int count;
  troupe_timer_t timers[32];
  int64_t started_ns;
} log_t;

typedef struct {
  log_t *log;
  int number;
} entry_t;

static void note(troupe_timer_t timer, void *context) {
  const entry_t *entry = context;
  (void)timer;
  entry->log->fired[entry->log->count++] = entry->number;
}

static int order_actor(void *argument) {
  (void)argument;
  static const unsigned delays_ms[] = {30, 10, 0, 20, 10, 0, 10, 30};
  static const int expected[] = {2, 5, 1, 4, 6, 3, 0, 7};
  log_t log = {0};
  entry_t entries[8];
  for (int i = 0; i < 8; i++) {
    entries[i] = (entry_t){.log = &log, .number = i};
    expect(troupe_timer_start(&log.timers[i], delays_ms[i], 0, note, &entries[i]) == 0);
  }
  expect(troupe_actor_run() == 0); // ends when none is left
  expect(log.count == 8);
  expect(memcmp(log.fired, expected, sizeof expected) == 0);
  for (int i = 0; i < 8; i++) {
    expect(troupe_timer_stop(log.timers[i]) == TROUPE_ESTALE);
  }
  return 0;
}

static void timers_fire_by_time_and_then_by_the_order_of_their_starts(void **state) {
  (void)state;
  scene_start("order", order_actor, NULL);
  scene_wait();
}

typedef struct {
  int64_t due_ns;
  int *left;
  int64_t *last_ns;
} due_t;

static void check_due(troupe_timer_t timer, void *context) {
  const due_t *due = context;
  (void)timer;
  expect(troupe_now() >= due->due_ns);
  expect(due->due_ns >= *due->last_ns); // nobody overtook
  *due->last_ns = due->due_ns;
  --*due->left;
}

static int many_actor(void *argument) {
  (void)argument;
  enum { COUNT = 5000 };
  static due_t dues[COUNT];
  int left = COUNT;
  int64_t last_ns = 0;
  for (int i = 0; i < COUNT; i++) {
    unsigned delay_ms = (unsigned)(troupe_random() % 100);
    dues[i] = (due_t){
        .due_ns = troupe_now() + (int64_t)delay_ms * MS, .left = &left, .last_ns = &last_ns};
    expect(troupe_timer_start(NULL, delay_ms, 0, check_due, &dues[i]) == 0);
  }
  expect(troupe_actor_run() == 0);
  expect(left == 0);
  return 0;
}

static void thousands_of_timers_fire_in_order_and_never_early(void **state) {
  (void)state;
  scene_start("many", many_actor, NULL);
  scene_wait();
}

// ---- Repeating, stopping ----

typedef struct {
  int count;
  int64_t last_ns;
  troupe_timer_t self, other;
  bool other_fired;
} repeat_t;

static void repeat(troupe_timer_t timer, void *context) {
  repeat_t *r = context;
  expect(timer.id == r->self.id);
  expect(r->count == 0 || troupe_now() - r->last_ns >= 3 * MS);
  r->last_ns = troupe_now();
  if (++r->count == 5) {
    expect(troupe_timer_stop(timer) == 0);
    expect(troupe_timer_stop(timer) == TROUPE_ESTALE);
  }
}

static int repeat_actor(void *argument) {
  (void)argument;
  repeat_t r = {0};
  expect(troupe_timer_start(&r.self, 1, 3, repeat, &r) == 0);
  expect(troupe_actor_run() == 0);
  expect(r.count == 5);
  return 0;
}

static void a_timer_repeats_until_it_is_stopped_in_its_callback(void **state) {
  (void)state;
  scene_start("repeat", repeat_actor, NULL);
  scene_wait();
}

static void must_not_fire(troupe_timer_t timer, void *context) {
  (void)timer;
  ((repeat_t *)context)->other_fired = true;
}

static void stop_other(troupe_timer_t timer, void *context) {
  repeat_t *r = context;
  expect(troupe_timer_stop(timer) == TROUPE_ESTALE); // does not repeat: it is gone already
  expect(troupe_timer_stop(r->other) == 0);
  r->count++;
}

static int stop_other_actor(void *argument) {
  (void)argument;
  repeat_t r = {0};
  // Due at once, both, so that they are in one batch.
  expect(troupe_timer_start(&r.self, 0, 0, stop_other, &r) == 0);
  expect(troupe_timer_start(&r.other, 0, 0, must_not_fire, &r) == 0);
  expect(troupe_actor_run() == 0);
  expect(r.count == 1 && !r.other_fired);
  return 0;
}

static void a_timer_that_is_stopped_when_it_is_due_does_not_fire(void **state) {
  (void)state;
  scene_start("stop other", stop_other_actor, NULL);
  scene_wait();
}

static void be_late(troupe_timer_t timer, void *context) {
  repeat_t *r = context;
  int64_t until_ms = trp_test_now_ms() + 12;
  expect(r->count == 0 || troupe_now() - r->last_ns >= 2 * MS);
  r->last_ns = troupe_now();
  while (trp_test_now_ms() < until_ms) {
  }
  if (++r->count == 3) {
    troupe_timer_stop(timer);
  }
}

static int late_actor(void *argument) {
  (void)argument;
  repeat_t r = {0};
  int64_t start_ms = trp_test_now_ms();
  expect(troupe_timer_start(NULL, 0, 2, be_late, &r) == 0);
  expect(troupe_actor_run() == 0);
  expect(r.count == 3); // not six for each
  expect(trp_test_now_ms() - start_ms >= 36);
  return 0;
}

static void a_timer_that_was_late_does_not_fire_twice_for_it(void **state) {
  (void)state;
  scene_start("late", late_actor, NULL);
  scene_wait();
}

static void start_next(troupe_timer_t timer, void *context) {
  repeat_t *r = context;
  (void)timer;
  if (++r->count < 50) {
    expect(troupe_timer_start(NULL, 0, 0, start_next, r) == 0);
  }
}

static int chain_actor(void *argument) {
  (void)argument;
  repeat_t r = {0};
  expect(troupe_timer_start(NULL, 0, 0, start_next, &r) == 0);
  expect(troupe_actor_run() == 0);
  expect(r.count == 50);
  return 0;
}

static void a_timer_can_be_started_in_a_callback(void **state) {
  (void)state;
  scene_start("chain", chain_actor, NULL);
  scene_wait();
}

// ---- What holds the actor ----

static int unref_actor(void *argument) {
  (void)argument;
  repeat_t r = {0};
  troupe_timer_t other;
  expect(troupe_timer_start(&r.self, 3600 * 1000, 0, must_not_fire, &r) == 0);
  expect(troupe_timer_unref(r.self) == 0);
  expect(troupe_actor_run() == 0); // at once
  expect(troupe_timer_ref(r.self) == 0);
  expect(troupe_timer_unref(r.self) == 0);
  expect(troupe_timer_unref(r.self) == 0);
  // It fires all the same while something else holds the actor.
  repeat_t fires = {0};
  expect(troupe_timer_start(&other, 0, 0, must_not_fire, &fires) == 0);
  expect(troupe_timer_unref(other) == 0);
  expect(troupe_timer_start(NULL, 20, 0, stop_other, &r) == 0);
  r.other = r.self;
  expect(troupe_actor_run() == 0);
  expect(fires.other_fired && !r.other_fired && r.count == 1);
  expect(troupe_timer_ref(other) == TROUPE_ESTALE);
  expect(troupe_timer_unref(r.self) == TROUPE_ESTALE);
  return 0;
}

static void a_timer_without_a_reference_does_not_hold_its_actor(void **state) {
  (void)state;
  scene_start("unref", unref_actor, NULL);
  scene_wait();
}

// ---- Turns ----

typedef struct {
  atomic_int messages, ticks, slow;
} busy_t;

static void tick_again(troupe_timer_t timer, void *context) {
  busy_t *busy = context;
  (void)timer;
  if (atomic_load(&busy->slow) != 0) { // longer than its repeat: it is due again when it returns
    int64_t until_ms = trp_test_now_ms() + 3;
    while (trp_test_now_ms() < until_ms) {
    }
  } else {
    expect(troupe_timer_start(NULL, 0, 0, tick_again, busy) == 0);
  }
  atomic_fetch_add(&busy->ticks, 1);
}

static void count_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  busy_t *busy = context;
  expect(from.id == 0);
  (void)message;
  atomic_fetch_add(&busy->messages, 1);
}

static int busy_actor(void *argument) {
  busy_t *busy = argument;
  expect(troupe_actor_on_message(count_message, busy) == 0);
  expect(troupe_timer_start(NULL, 0, atomic_load(&busy->slow) != 0 ? 1 : 0, tick_again, busy) == 0);
  return troupe_actor_run();
}

static void keep_busy(bool slow) {
  busy_t busy = {.slow = slow};
  troupe_actor_t actor = scene_start("busy", busy_actor, &busy);
  scene_wait_for(&busy.ticks);
  for (int i = 0; i < 20; i++) {
    atomic_store(&busy.messages, 0);
    assert_int_equal(troupe_post(scene, actor, "x", 1), 0);
    scene_wait_for(&busy.messages); // it was seen although a timer is always due
  }
  int before = atomic_load(&busy.ticks);
  assert_true(before > 0);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
  assert_int_equal(scene_join(actor), 0);
}

static void a_timer_that_is_always_due_lets_messages_and_the_stop_in(void **state) {
  (void)state;
  keep_busy(false);
}

static void a_callback_slower_than_its_timer_lets_messages_and_the_stop_in(void **state) {
  (void)state;
  keep_busy(true);
}

// Messages that never end do not keep timers from firing.
static void send_to_self(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)context;
  (void)message;
  expect(from.id == troupe_actor_self().id);
  expect(troupe_send(troupe_actor_self(), "again", 5) == 0);
}

static void end_actor(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
  troupe_actor_end(7);
}

static int flooded_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_message(send_to_self, NULL) == 0);
  for (int i = 0; i < 100; i++) {
    expect(troupe_send(troupe_actor_self(), "first", 5) == 0);
  }
  expect(troupe_timer_start(NULL, 20, 0, end_actor, NULL) == 0);
  return troupe_actor_run();
}

static void messages_without_end_let_timers_fire(void **state) {
  (void)state;
  assert_int_equal(scene_join(scene_start("flooded", flooded_actor, NULL)), 7);
}

// ---- Misuse ----

static int foreign_actor(void *argument) {
  const troupe_timer_t *timer = argument;
  expect(troupe_timer_stop(*timer) == TROUPE_EWRONGTHREAD);
  expect(troupe_timer_ref(*timer) == TROUPE_EWRONGTHREAD);
  expect(troupe_timer_stop((troupe_timer_t){0}) == TROUPE_ESTALE);
  troupe_timer_t own;
  expect(troupe_timer_start(&own, 1, 1, NULL, NULL) == TROUPE_EINVAL);
  return 0;
}

static int misuse_actor(void *argument) {
  (void)argument;
  troupe_timer_t timer;
  repeat_t r = {0};
  expect(troupe_timer_start(&timer, 1000, 0, must_not_fire, &r) == 0);
  troupe_spawn_options_t options = {.main = foreign_actor, .argument = &timer};
  expect(troupe_spawn(scene, &options, NULL) == 0);
  expect(troupe_timer_stop(timer) == 0);
  return 0;
}

static void a_timer_belongs_to_its_actor(void **state) {
  (void)state;
  troupe_timer_t timer = {.id = 12345};
  assert_int_equal(troupe_timer_start(&timer, 1, 0, end_actor, NULL), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_timer_stop(timer), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_timer_unref(timer), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_timer_ref(timer), TROUPE_EWRONGTHREAD);
  scene_start("misuse", misuse_actor, NULL);
  scene_wait();
}

static int forgetful_actor(void *argument) {
  (void)argument;
  for (int i = 0; i < 100; i++) {
    expect(troupe_timer_start(NULL, 3600 * 1000, 0, end_actor, NULL) == 0);
  }
  return 3;
}

static void timers_end_with_their_actor(void **state) {
  (void)state;
  assert_int_equal(scene_join(scene_start("forgetful", forgetful_actor, NULL)), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(timers_fire_by_time_and_then_by_the_order_of_their_starts),
      in_scene(thousands_of_timers_fire_in_order_and_never_early),
      in_scene(a_timer_repeats_until_it_is_stopped_in_its_callback),
      in_scene(a_timer_that_is_stopped_when_it_is_due_does_not_fire),
      in_scene(a_timer_that_was_late_does_not_fire_twice_for_it),
      in_scene(a_timer_can_be_started_in_a_callback),
      in_scene(a_timer_without_a_reference_does_not_hold_its_actor),
      in_scene(a_timer_that_is_always_due_lets_messages_and_the_stop_in),
      in_scene(a_callback_slower_than_its_timer_lets_messages_and_the_stop_in),
      in_scene(messages_without_end_let_timers_fire),
      in_scene(a_timer_belongs_to_its_actor),
      in_scene(timers_end_with_their_actor),
  };
  return TRP_RUN_TESTS("timer", tests);
}
