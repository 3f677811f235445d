#include "tests/harness/harness.h"

#include "core/support/heap.h"

static void equal_deadlines_come_in_the_order_they_were_set(void **state) {
  trp_heap_t heap;
  trp_heap_node_t nodes[100] = {{0}};
  (void)state;
  trp_heap_init(&heap);
  for (size_t i = 0; i < 100; i++) {
    assert_int_equal(trp_heap_set(&heap, &nodes[i], 5), 0);
  }
  assert_int_equal(trp_heap_set(&heap, &nodes[0], 5), 0); // set again: behind the others
  for (size_t i = 1; i < 100; i++) {
    assert_ptr_equal(trp_heap_first(&heap), &nodes[i]);
    trp_heap_remove(&heap, &nodes[i]);
    assert_false(trp_heap_holds(&nodes[i]));
  }
  assert_ptr_equal(trp_heap_first(&heap), &nodes[0]);
  trp_heap_remove(&heap, &nodes[0]);
  assert_null(trp_heap_first(&heap));
  trp_heap_free(&heap);
}

static void removing_what_is_not_in_changes_nothing(void **state) {
  trp_heap_t heap;
  trp_heap_node_t node = {0}, other = {0};
  (void)state;
  trp_heap_init(&heap);
  assert_int_equal(trp_heap_set(&heap, &node, 1), 0);
  trp_heap_remove(&heap, &other);
  assert_ptr_equal(trp_heap_first(&heap), &node);
  trp_heap_remove(&heap, &node);
  trp_heap_remove(&heap, &node);
  assert_int_equal(heap.count, 0);
  trp_heap_free(&heap);
}

static void a_random_history_comes_out_sorted(void **state) {
  trp_heap_t heap;
  static trp_heap_node_t nodes[1000];
  trp_test_random_t random;
  (void)state;
  trp_heap_init(&heap);
  trp_test_random_start(&random, 2);
  for (int step = 0; step < 100000; step++) {
    trp_heap_node_t *node = &nodes[trp_test_random_below(&random, 1000)];
    if (trp_test_random_below(&random, 3) == 0) {
      trp_heap_remove(&heap, node);
    } else {
      assert_int_equal(trp_heap_set(&heap, node, (int64_t)trp_test_random_below(&random, 50)), 0);
    }
  }
  int64_t deadline = -1;
  uint64_t sequence = 0;
  while (heap.count > 0) {
    trp_heap_node_t *first = trp_heap_first(&heap);
    assert_true(first->deadline_ns > deadline ||
                (first->deadline_ns == deadline && first->sequence > sequence));
    deadline = first->deadline_ns;
    sequence = first->sequence;
    trp_heap_remove(&heap, first);
  }
  trp_heap_free(&heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(equal_deadlines_come_in_the_order_they_were_set),
      trp_test(removing_what_is_not_in_changes_nothing),
      trp_test(a_random_history_comes_out_sorted),
  };
  return TRP_RUN_TESTS("heap", tests);
}
