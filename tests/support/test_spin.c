// When a thread that waits looks for work first: while that paid lately, and seldom otherwise.
#include "tests/harness/harness.h"

#include "core/support/spin.h"

enum { SHORT_NS = 20000 };

static int64_t clock_ns;

// How many of `waits` began with a look, when one in `every` finds nothing (0: all find, 1: none).
static int looks(trp_spin_t *spin, int waits, int every) {
  int count = 0;
  for (int i = 0; i < waits; i++) {
    if (trp_spin_begins(spin, clock_ns)) {
      int64_t began = clock_ns;
      clock_ns += SHORT_NS;
      trp_spin_ends(spin, began, clock_ns, every == 0 || ++count % every != 0);
      count += every == 0;
    }
  }
  return count;
}

static void who_always_finds_looks_each_time(void **state) {
  (void)state;
  trp_spin_t spin = {0};
  assert_int_equal(looks(&spin, 1000, 0), 1000 - (TRP_SPIN_TRY_EVERY - 1));
}

static void who_never_finds_looks_seldom(void **state) {
  (void)state;
  trp_spin_t spin = {0};
  assert_int_equal(looks(&spin, 100, 0), 100 - (TRP_SPIN_TRY_EVERY - 1));
  int count = looks(&spin, 1000, 1);
  assert_in_range(count, 1000 / TRP_SPIN_TRY_EVERY, 1000 / TRP_SPIN_TRY_EVERY + TRP_SPIN_TRUST_MAX);
}

static void who_finds_three_times_in_four_goes_on_looking(void **state) {
  (void)state;
  trp_spin_t spin = {0};
  looks(&spin, 100, 0);
  assert_int_equal(looks(&spin, 1000, 4), 1000);
}

static void who_finds_every_second_time_comes_to_look_seldom(void **state) {
  (void)state;
  trp_spin_t spin = {0};
  looks(&spin, 100, 0);
  assert_in_range(looks(&spin, 1000, 2), 1, 1000 / 4);
}

static void trust_comes_back_with_the_first_find(void **state) {
  (void)state;
  trp_spin_t spin = {0};
  looks(&spin, 1000, 1);
  assert_int_equal(spin.trust, 0);
  int waits = 0;
  while (!trp_spin_begins(&spin, clock_ns)) {
    waits++;
  }
  assert_in_range(waits, 0, TRP_SPIN_TRY_EVERY);
  trp_spin_ends(&spin, clock_ns, clock_ns + SHORT_NS, true);
  assert_int_equal(looks(&spin, 1000, 0), 1000);
}

static void look_for_long(trp_spin_t *spin) {
  int waits = 0;
  while (!trp_spin_begins(spin, clock_ns)) {
    assert_in_range(++waits, 0, TRP_SPIN_TRY_EVERY);
  }
  trp_spin_ends(spin, clock_ns, clock_ns + TRP_SPIN_LATE_NS + 1, true);
  clock_ns += TRP_SPIN_LATE_NS + 1;
}

static void a_look_that_took_long_costs_all_trust_even_if_it_found(void **state) {
  (void)state;
  trp_spin_t spin = {0};
  looks(&spin, 100, 0);
  for (int i = 0; i < 10; i++) { // now and then: that happens
    look_for_long(&spin);
    assert_int_equal(looks(&spin, 1000, 0), 1000 - (TRP_SPIN_TRY_EVERY - 1));
  }
}

// Others want the core for themselves.
static void after_two_looks_that_took_long_there_is_none_for_a_while(void **state) {
  (void)state;
  trp_spin_t spin = {0};
  looks(&spin, 100, 0);
  look_for_long(&spin);
  for (int i = 0; i < 10; i++) {
    look_for_long(&spin);
    int64_t rested_at = clock_ns + TRP_SPIN_REST_NS;
    for (; clock_ns < rested_at; clock_ns += TRP_SPIN_REST_NS / 100) {
      assert_false(trp_spin_begins(&spin, clock_ns));
    }
  }
  assert_int_equal(looks(&spin, 1000, 0), 1000 - (TRP_SPIN_TRY_EVERY - 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(who_always_finds_looks_each_time),
      trp_test(who_never_finds_looks_seldom),
      trp_test(who_finds_three_times_in_four_goes_on_looking),
      trp_test(who_finds_every_second_time_comes_to_look_seldom),
      trp_test(trust_comes_back_with_the_first_find),
      trp_test(a_look_that_took_long_costs_all_trust_even_if_it_found),
      trp_test(after_two_looks_that_took_long_there_is_none_for_a_while),
  };
  return TRP_RUN_TESTS("spin", tests);
}
