// How often and when: played with times, no clock.
#include "actors/supervisor/restarts.h"
#include "tests/harness/harness.h"

enum { SECOND = 1000000000 };

static void so_many_restarts_are_made_in_a_period_and_no_more(void **state) {
  (void)state;
  trp_restarts_t restarts;
  assert_int_equal(trp_restarts_init(&restarts, 3, INT64_C(10) * SECOND), 0);
  assert_true(trp_restarts_take(&restarts, 0));
  assert_true(trp_restarts_take(&restarts, 1));
  assert_true(trp_restarts_take(&restarts, INT64_C(9) * SECOND));
  assert_false(trp_restarts_take(&restarts, INT64_C(10) * SECOND - 1));
  // The first one is a period ago: its place is free, and only its.
  assert_true(trp_restarts_take(&restarts, INT64_C(10) * SECOND));
  assert_false(trp_restarts_take(&restarts, INT64_C(10) * SECOND));
  assert_true(trp_restarts_take(&restarts, INT64_C(10) * SECOND + 1));
  trp_restarts_free(&restarts);
}

static void one_in_a_period_is_the_least(void **state) {
  (void)state;
  trp_restarts_t restarts;
  assert_int_equal(trp_restarts_init(&restarts, 1, SECOND), 0);
  for (int64_t i = 0; i < 100; i++) {
    assert_true(trp_restarts_take(&restarts, i * SECOND));
    assert_false(trp_restarts_take(&restarts, i * SECOND + SECOND - 1));
  }
  trp_restarts_free(&restarts);
}

// Against a list of all times.
static void random_failures_are_counted_as_a_list_would(void **state) {
  enum { COUNT = 2000, MAX = 7, PERIOD = 100 };
  (void)state;
  trp_restarts_t restarts;
  trp_test_random_t random;
  int64_t taken[COUNT], now = 0;
  size_t count = 0;
  trp_test_random_start(&random, 1);
  assert_int_equal(trp_restarts_init(&restarts, MAX, PERIOD), 0);
  for (int i = 0; i < COUNT; i++) {
    now += (int64_t)trp_test_random_below(&random, 30);
    size_t recent = 0;
    for (size_t k = 0; k < count; k++) {
      recent += now - taken[k] < PERIOD;
    }
    bool may = trp_restarts_take(&restarts, now);
    assert_int_equal(may, recent < MAX);
    if (may) {
      taken[count++] = now;
    }
  }
  assert_true(count < COUNT);
  trp_restarts_free(&restarts);
}

static void waiting_doubles_up_to_the_most_and_begins_anew_after_a_good_life(void **state) {
  (void)state;
  trp_backoff_t backoff;
  trp_backoff_init(&backoff, 10, 70, SECOND);
  assert_int_equal(trp_backoff_take(&backoff, 5), 10);
  assert_int_equal(trp_backoff_take(&backoff, 0), 20);
  assert_int_equal(trp_backoff_take(&backoff, SECOND - 1), 40);
  assert_int_equal(trp_backoff_take(&backoff, 1), 70);
  assert_int_equal(trp_backoff_take(&backoff, 1), 70);
  assert_int_equal(trp_backoff_take(&backoff, SECOND), 10);
  assert_int_equal(trp_backoff_take(&backoff, 1), 20);
  trp_backoff_init(&backoff, 100, 70, SECOND);
  assert_int_equal(trp_backoff_take(&backoff, 1), 70);
  trp_backoff_init(&backoff, 3000000000, UINT32_MAX, SECOND);
  assert_int_equal(trp_backoff_take(&backoff, 1), 3000000000);
  assert_int_equal(trp_backoff_take(&backoff, 1), UINT32_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(so_many_restarts_are_made_in_a_period_and_no_more),
      trp_test(one_in_a_period_is_the_least),
      trp_test(random_failures_are_counted_as_a_list_would),
      trp_test(waiting_doubles_up_to_the_most_and_begins_anew_after_a_good_life),
  };
  return TRP_RUN_TESTS("restarts", tests);
}
