#include "tests/harness/harness.h"

#include "core/message/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static void pieces_are_aligned_and_lie_apart(void **state) {
  (void)state;
  enum { COUNT = 5000 };
  trp_arena_t arena;
  trp_test_random_t random;
  uint8_t *pieces[COUNT];
  size_t sizes[COUNT];
  trp_arena_init(&arena);
  trp_test_random_start(&random, 1);
  for (size_t i = 0; i < COUNT; i++) {
    sizes[i] = (size_t)trp_test_random_below(&random, i % 500 == 0 ? 20000 : 200);
    pieces[i] = trp_arena_take(&arena, sizes[i]);
    assert_non_null(pieces[i]);
    assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
    memset(pieces[i], (int)(i % 251), sizes[i]);
  }
  for (size_t i = 0; i < COUNT; i++) {
    for (size_t k = 0; k < sizes[i]; k++) {
      assert_int_equal(pieces[i][k], i % 251);
    }
  }
  trp_arena_free(&arena);
}

static void a_steady_load_ends_up_in_one_block(void **state) {
  (void)state;
  trp_arena_t arena;
  trp_arena_init(&arena);
  struct trp_arena_block *block = NULL;
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 500; i++) {
      assert_non_null(trp_arena_take(&arena, 100));
    }
    if (round >= 10) {
      assert_ptr_equal(arena.blocks, block);
    }
    block = arena.blocks;
    trp_arena_reset(&arena);
    assert_int_equal(arena.used, 0);
  }
  trp_arena_free(&arena);
  assert_null(arena.blocks);
}

static void much_more_than_usual_is_given_back(void **state) {
  (void)state;
  trp_arena_t arena;
  trp_arena_init(&arena);
  assert_non_null(trp_arena_take(&arena, 10));
  assert_non_null(trp_arena_take(&arena, 8 * 1024 * 1024));
  assert_true(arena.total > 8 * 1024 * 1024);
  trp_arena_reset(&arena);
  assert_int_equal(arena.total, 0);
  assert_non_null(trp_arena_take(&arena, 10)); // it can be used again
  assert_true(arena.total <= 4096);
  trp_arena_free(&arena);
}

static void more_than_there_is_is_refused_and_remembered_until_the_reset(void **state) {
  (void)state;
  trp_arena_t arena;
  trp_arena_init(&arena);
  assert_false(arena.failed);
  assert_null(trp_arena_take(&arena, SIZE_MAX));
  assert_null(trp_arena_take(&arena, SIZE_MAX / 2));
  assert_true(arena.failed);
  assert_non_null(trp_arena_take(&arena, 100));
  trp_arena_reset(&arena);
  assert_false(arena.failed);
  trp_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(pieces_are_aligned_and_lie_apart),
      trp_test(a_steady_load_ends_up_in_one_block),
      trp_test(much_more_than_usual_is_given_back),
      trp_test(more_than_there_is_is_refused_and_remembered_until_the_reset),
  };
  return TRP_RUN_TESTS("arena", tests);
}
