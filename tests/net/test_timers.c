// Many deadlines over one timer: what fires when, and how seldom the one timer is set.

#include "tests/harness/harness.h"

#include "actors/net/timers.h"

typedef struct {
  trp_due_t due;
  int fired;
} alarm_t;

static int sets;
static int64_t set_to;
static trp_timers_t timers;
static int order[16], order_count;
static alarm_t alarms[4];

static void set_timer(trp_transport_t *transport, int64_t deadline_ns) {
  (void)transport;
  sets++;
  set_to = deadline_ns;
}

static const trp_transport_ops_t ops = {.set_timer = set_timer};
static trp_transport_t transport = {.ops = &ops};

static void fire(trp_due_t *due) {
  alarm_t *alarm = (alarm_t *)(void *)due;
  alarm->fired++;
  order[order_count++] = (int)(alarm - alarms);
}

static void fire_and_set_again(trp_due_t *due) {
  fire(due);
  assert_int_equal(trp_timers_set(&timers, due, 0), 0);
}

static int start(void **state) {
  (void)state;
  trp_timers_init(&timers, &transport);
  sets = order_count = 0;
  for (int i = 0; i < 4; i++) {
    alarms[i] = (alarm_t){.due = {.run = fire}};
  }
  return 0;
}

static int stop(void **state) {
  (void)state;
  trp_timers_free(&timers);
  return 0;
}

static void what_is_due_fires_in_order_and_once(void **state) {
  (void)state;
  trp_timers_set(&timers, &alarms[0].due, 30);
  trp_timers_set(&timers, &alarms[1].due, 10);
  trp_timers_set(&timers, &alarms[2].due, 10);
  trp_timers_set(&timers, &alarms[3].due, 99);
  trp_timers_arm(&timers);
  assert_int_equal(set_to, 10);
  trp_timers_run(&timers, 30);
  trp_timers_run(&timers, 30);
  assert_int_equal(order_count, 3);
  assert_int_equal(order[0], 1);
  assert_int_equal(order[1], 2);
  assert_int_equal(order[2], 0);
}

static void a_deadline_that_moves_away_does_not_set_the_timer(void **state) {
  (void)state;
  trp_timers_set(&timers, &alarms[0].due, 10);
  trp_timers_arm(&timers);
  assert_int_equal(sets, 1);
  for (int i = 0; i < 100; i++) {
    trp_timers_set(&timers, &alarms[0].due, 20 + i);
    trp_timers_set_by(&timers, &alarms[0].due, 500); // an earlier one stays
    trp_timers_arm(&timers);
  }
  assert_int_equal(sets, 1);
  trp_timers_run(&timers, 10);
  assert_int_equal(order_count, 0);
  trp_timers_arm(&timers);
  assert_int_equal(set_to, 119);
  trp_timers_set(&timers, &alarms[0].due, 5);
  trp_timers_arm(&timers);
  assert_int_equal(set_to, 5);
}

static void one_that_sets_itself_again_does_not_hold_the_loop(void **state) {
  (void)state;
  alarms[0].due.run = fire_and_set_again;
  trp_timers_set(&timers, &alarms[0].due, 1);
  trp_timers_set(&timers, &alarms[1].due, 2);
  trp_timers_run(&timers, 5);
  assert_int_equal(alarms[0].fired, 1);
  assert_int_equal(alarms[1].fired, 1);
  trp_timers_run(&timers, 6);
  assert_int_equal(alarms[0].fired, 2);
  assert_int_equal(alarms[1].fired, 1);
}

static void one_that_was_removed_or_set_to_never_does_not_fire(void **state) {
  (void)state;
  trp_timers_set(&timers, &alarms[0].due, 1);
  trp_timers_set(&timers, &alarms[1].due, 1);
  trp_timers_remove(&timers, &alarms[0].due);
  trp_timers_set(&timers, &alarms[1].due, TRP_NEVER);
  trp_timers_set_by(&timers, &alarms[2].due, TRP_NEVER);
  trp_timers_run(&timers, 1000);
  assert_int_equal(order_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_with(what_is_due_fires_in_order_and_once, start, stop),
      trp_test_with(a_deadline_that_moves_away_does_not_set_the_timer, start, stop),
      trp_test_with(one_that_sets_itself_again_does_not_hold_the_loop, start, stop),
      trp_test_with(one_that_was_removed_or_set_to_never_does_not_fire, start, stop),
  };
  return TRP_RUN_TESTS("timers", tests);
}
