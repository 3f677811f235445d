#include "tests/harness/harness.h"

#include "core/support/array.h"

static void it_grows_and_keeps_what_was_in_it(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  int *items = NULL;
  size_t capacity = 0;
  for (int i = 0; i < COUNT; i++) {
    int *grown = trp_array_room(items, &capacity, (size_t)i, sizeof *grown);
    assert_non_null(grown);
    assert_true(capacity > (size_t)i);
    items = grown;
    items[i] = i;
  }
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(items[i], i);
  }
  assert_in_range(capacity, COUNT, 2 * COUNT);
  free(items);
}

static bool is_less(const void *item, const void *key) {
  return *(const int *)item < *(const int *)key;
}

static size_t search(const int *items, size_t count, int key) {
  return trp_array_search(items, count, sizeof *items, is_less, &key);
}

static void the_search_finds_the_first_that_is_not_before(void **state) {
  (void)state;
  static const int items[] = {1, 3, 3, 3, 7};
  assert_int_equal(search(NULL, 0, 1), 0);
  assert_int_equal(search(items, 1, 1), 0);
  assert_int_equal(search(items, 1, 2), 1);
  assert_int_equal(search(items, 5, 0), 0);
  assert_int_equal(search(items, 5, 3), 1);
  assert_int_equal(search(items, 5, 4), 4);
  assert_int_equal(search(items, 5, 7), 4);
  assert_int_equal(search(items, 5, 8), 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(it_grows_and_keeps_what_was_in_it),
      trp_test(the_search_finds_the_first_that_is_not_before),
  };
  return TRP_RUN_TESTS("support/array", tests);
}
