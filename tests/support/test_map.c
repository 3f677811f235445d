#include "tests/harness/harness.h"

#include "core/support/map.h"

#include <string.h>

static int values[4096];

static void an_empty_map_has_nothing(void **state) {
  trp_map_t map;
  size_t cursor = 0;
  void *value;
  (void)state;
  trp_map_init(&map);
  assert_null(trp_map_get(&map, 0));
  assert_null(trp_map_remove(&map, 7));
  assert_false(trp_map_iterate(&map, &cursor, NULL, &value));
  trp_map_free(&map);
}

static void what_was_put_is_found_also_under_key_zero(void **state) {
  trp_map_t map;
  (void)state;
  trp_map_init(&map);
  assert_int_equal(trp_map_put(&map, 0, &values[0]), 0);
  assert_int_equal(trp_map_put(&map, UINT64_MAX, &values[1]), 0);
  assert_int_equal(trp_map_put(&map, 0, &values[2]), 0);
  assert_ptr_equal(trp_map_get(&map, 0), &values[2]);
  assert_ptr_equal(trp_map_get(&map, UINT64_MAX), &values[1]);
  assert_int_equal(trp_map_count(&map), 2);
  trp_map_free(&map);
}

// The same operations on the map and on a plain array, with keys as close together as ids are.
static void a_random_history_ends_as_in_a_plain_table(void **state) {
  trp_map_t map;
  void *table[4096] = {0};
  trp_test_random_t random;
  size_t count = 0;
  (void)state;
  trp_map_init(&map);
  trp_test_random_start(&random, 1);
  for (int step = 0; step < 200000; step++) {
    uint64_t key = trp_test_random_below(&random, 4096);
    uint64_t id = (key << 36) | (key & 7);
    if (trp_test_random_below(&random, 100) < 50) {
      void *value = &values[trp_test_random_below(&random, 4096)];
      count += table[key] == NULL;
      table[key] = value;
      assert_int_equal(trp_map_put(&map, id, value), 0);
    } else {
      count -= table[key] != NULL;
      assert_ptr_equal(trp_map_remove(&map, id), table[key]);
      table[key] = NULL;
    }
    assert_int_equal(trp_map_count(&map), count);
  }
  for (uint64_t key = 0; key < 4096; key++) {
    assert_ptr_equal(trp_map_get(&map, (key << 36) | (key & 7)), table[key]);
  }
  size_t cursor = 0;
  uint64_t id;
  void *value;
  while (trp_map_iterate(&map, &cursor, &id, &value)) {
    assert_ptr_equal(table[id >> 36], value);
    count--;
  }
  assert_int_equal(count, 0);
  trp_map_free(&map);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(an_empty_map_has_nothing),
      trp_test(what_was_put_is_found_also_under_key_zero),
      trp_test(a_random_history_ends_as_in_a_plain_table),
  };
  return TRP_RUN_TESTS("map", tests);
}
