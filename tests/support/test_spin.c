// When a thread that waits looks for work first: while that paid lately, and seldom otherwise.
#include "tests/harness/harness.h"

#include "core/support/spin.h"

// How many of `waits` began with a look, when one in `every` finds nothing (0: all find, 1: none).
static int looks(trp_spin_t *spin, int waits, int every) {
  int count = 0;
  for (int i = 0; i < waits; i++) {
    if (trp_spin_begins(spin)) {
      trp_spin_ends(spin, every == 0 || ++count % every != 0);
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
  while (!trp_spin_begins(&spin)) {
    waits++;
  }
  assert_in_range(waits, 0, TRP_SPIN_TRY_EVERY);
  trp_spin_ends(&spin, true);
  assert_int_equal(looks(&spin, 1000, 0), 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(who_always_finds_looks_each_time),
      trp_test(who_never_finds_looks_seldom),
      trp_test(who_finds_three_times_in_four_goes_on_looking),
      trp_test(who_finds_every_second_time_comes_to_look_seldom),
      trp_test(trust_comes_back_with_the_first_find),
  };
  return TRP_RUN_TESTS("spin", tests);
}
