#include "tests/harness/harness.h"

#include "core/message/frame.h"
#include "core/message/frame_zmq.h"
#include "core/message/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void a_block_has_the_room_that_was_asked_for(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_block_t *whole = trp_pool_take(pool, TRP_BLOCK_SIZE);
  assert_non_null(whole);
  assert_int_equal(whole->used, 0);
  memset(whole->bytes, 1, TRP_BLOCK_SIZE);
  assert_null(trp_pool_take(pool, TRP_BLOCK_SIZE + 1));
  trp_block_release(whole);
  trp_pool_close(&pool);
  assert_null(pool);
  trp_pool_close(&pool); // nothing to close
}

static void a_block_that_is_given_back_is_filled_further(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_block_t *block = trp_pool_take(pool, 100);
  block->used = 1000;
  trp_block_hold(block); // a frame refers to these bytes
  trp_pool_give(pool, block);
  assert_ptr_equal(trp_pool_take(pool, 100), block);
  assert_int_equal(block->used, 1000);
  trp_pool_give(pool, block);
  // There is not enough left for this one, and it does not get in the way.
  trp_block_t *other = trp_pool_take(pool, TRP_BLOCK_SIZE);
  assert_ptr_not_equal(other, block);
  trp_block_release(other);
  trp_block_release(block); // the frame is gone: it is filled from the start again
  assert_ptr_equal(trp_pool_take(pool, TRP_BLOCK_SIZE - 1000), block);
  trp_pool_give(pool, block);
  assert_ptr_equal(trp_pool_take(pool, TRP_BLOCK_SIZE), block);
  assert_int_equal(block->used, 0);
  trp_pool_give(pool, block);
  trp_pool_close(&pool);
}

static void a_block_that_is_nearly_full_comes_back_when_nobody_refers_to_it(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_block_t *block = trp_pool_take(pool, 1);
  block->used = TRP_BLOCK_SIZE - 10;
  trp_block_hold(block);
  trp_pool_give(pool, block);
  trp_block_t *other = trp_pool_take(pool, 5);
  assert_ptr_not_equal(other, block); // it is on nobody's shelf
  trp_block_release(block);
  assert_ptr_equal(trp_pool_take(pool, TRP_BLOCK_SIZE), block);
  assert_int_equal(block->used, 0);
  trp_block_release(block);
  trp_block_release(other);
  trp_pool_close(&pool);
}

static void trimming_frees_what_lies_unused_and_leaves_what_is_referred_to(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_block_t *blocks[100];
  for (size_t i = 0; i < 100; i++) {
    blocks[i] = trp_pool_take(pool, TRP_BLOCK_SIZE);
    memset(blocks[i]->bytes, 1, 64);
  }
  trp_block_t *kept = trp_pool_take(pool, 1);
  kept->used = 10;
  trp_block_hold(kept);
  trp_pool_give(pool, kept);
  for (size_t i = 0; i < 100; i++) {
    trp_block_release(blocks[i]);
  }
  trp_pool_trim(pool);
  trp_pool_trim(pool);
  memset(kept->bytes, 2, TRP_BLOCK_SIZE); // is still ours
  trp_block_release(kept);
  trp_pool_trim(pool);
  trp_pool_close(&pool);
}

static void take_and_release(trp_pool_t *pool, size_t count) {
  trp_block_t *blocks[200];
  for (size_t i = 0; i < count; i++) {
    blocks[i] = trp_pool_take(pool, TRP_BLOCK_SIZE);
    assert_non_null(blocks[i]);
  }
  for (size_t i = 0; i < count; i++) {
    trp_block_release(blocks[i]);
  }
}

static void only_so_many_empty_blocks_lie_ready(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  take_and_release(pool, 200);
  trp_pool_give(pool, trp_pool_take(pool, TRP_BLOCK_SIZE));
  unsigned usual = trp_pool_ready(pool);
  assert_in_range(usual, 1, 199);
  trp_pool_keep(pool, 150);
  take_and_release(pool, 200);
  trp_pool_give(pool, trp_pool_take(pool, TRP_BLOCK_SIZE));
  assert_int_equal(trp_pool_ready(pool), 150);
  trp_pool_close(&pool);
}

static void shrinking_frees_what_nobody_needed_meanwhile(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_pool_keep(pool, 200);
  take_and_release(pool, 200);
  trp_pool_shrink(pool);
  assert_int_equal(trp_pool_ready(pool), 200); // all were needed
  take_and_release(pool, 120);
  trp_pool_shrink(pool);
  assert_int_equal(trp_pool_ready(pool), 120);
  take_and_release(pool, 1);
  trp_pool_shrink(pool);
  unsigned usual = trp_pool_ready(pool);
  assert_in_range(usual, 1, 119);
  trp_pool_shrink(pool);
  assert_int_equal(trp_pool_ready(pool), usual); // so many always stay
  trp_pool_close(&pool);
}

// ---- Several threads ----

enum { THREADS = 4, BLOCKS = 400 };

typedef struct {
  pthread_barrier_t *start;
  trp_block_t *blocks[BLOCKS];
} returner_t;

static void *return_blocks(void *argument) {
  returner_t *returner = argument;
  pthread_barrier_wait(returner->start);
  for (size_t i = 0; i < BLOCKS; i++) {
    trp_block_release(returner->blocks[i]);
  }
  return NULL;
}

// The pool's owner goes on taking, and closes the pool in the middle of it.
static void blocks_come_back_from_other_threads(bool close_meanwhile, int rounds) {
  for (int round = 0; round < rounds; round++) {
    trp_pool_t *pool = NULL;
    pthread_barrier_t start;
    pthread_t threads[THREADS];
    static returner_t returners[THREADS];
    assert_int_equal(trp_pool_new(&pool), 0);
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS + 1), 0);
    // Each block has as many references as there are threads: who drops the last one is chance.
    for (size_t i = 0; i < BLOCKS; i++) {
      trp_block_t *block = trp_pool_take(pool, TRP_BLOCK_SIZE);
      assert_non_null(block);
      block->used = TRP_BLOCK_SIZE;
      for (size_t t = 0; t < THREADS; t++) {
        returners[t].start = &start;
        returners[t].blocks[i] = block;
        if (t > 0) {
          trp_block_hold(block);
        }
      }
    }
    for (size_t t = 0; t < THREADS; t++) {
      assert_int_equal(pthread_create(&threads[t], NULL, return_blocks, &returners[t]), 0);
    }
    pthread_barrier_wait(&start);
    if (close_meanwhile) {
      trp_pool_close(&pool);
    } else {
      for (int i = 0; i < 100; i++) {
        trp_block_t *block = trp_pool_take(pool, 10);
        assert_non_null(block);
        assert_true(block->used <= TRP_BLOCK_SIZE - 10);
        block->bytes[0] = 1;
        trp_pool_give(pool, block);
      }
    }
    for (size_t t = 0; t < THREADS; t++) {
      pthread_join(threads[t], NULL);
    }
    trp_pool_close(&pool);
    pthread_barrier_destroy(&start);
  }
}

static void blocks_dropped_by_several_threads_at_once_come_back_once(void **state) {
  (void)state;
  blocks_come_back_from_other_threads(false, 5);
}

static void a_pool_closed_while_blocks_come_back_loses_none(void **state) {
  (void)state;
  blocks_come_back_from_other_threads(true, 30);
}

static void *release_one(void *argument) {
  trp_block_release(argument);
  return NULL;
}

static void a_block_that_outlives_its_pool_frees_itself_on_another_thread(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_block_t *block = trp_pool_take(pool, 10);
  memset(block->bytes, 7, 10);
  trp_pool_close(&pool);
  assert_int_equal(block->bytes[9], 7);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, release_one, block), 0);
  pthread_join(thread, NULL);
}

// ---- Frames ----

static void a_frame_holds_its_block_and_shows_its_part(void **state) {
  (void)state;
  trp_pool_t *pool = NULL;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_block_t *block = trp_pool_take(pool, 100);
  memcpy(block->bytes, "0123456789", 10);
  block->used = 10;
  trp_frame_t *frame = trp_frame_of_block(block, 3, 4);
  assert_non_null(frame);
  assert_int_equal(frame->size, 4);
  assert_memory_equal(frame->bytes, "3456", 4);
  assert_ptr_equal(frame->bytes, block->bytes + 3); // not copied
  trp_block_release(block);
  trp_pool_close(&pool);
  assert_ptr_equal(trp_frame_hold(frame), frame);
  trp_frame_release(frame);
  assert_memory_equal(frame->bytes, "3456", 4);
  trp_frame_release(frame);
  trp_frame_release(NULL);
}

static void count_release(void *bytes, void *context) {
  (void)bytes;
  ++*(int *)context;
}

static void adopted_bytes_are_released_once_with_their_context(void **state) {
  (void)state;
  static char bytes[] = "adopted";
  int released = 0;
  trp_frame_t *frame = trp_frame_adopt(bytes, 7, count_release, &released);
  assert_non_null(frame);
  assert_ptr_equal(frame->bytes, bytes);
  trp_frame_release(trp_frame_hold(frame));
  assert_int_equal(released, 0);
  trp_frame_release(frame);
  assert_int_equal(released, 1);
  frame = trp_frame_adopt(bytes, 7, NULL, NULL); // nothing to release
  assert_non_null(frame);
  trp_frame_release(frame);
}

static void frames_of_every_size_keep_their_bytes(void **state) {
  (void)state;
  // Short ones lie inside the message, long ones elsewhere.
  static const size_t sizes[] = {0, 1, 29, 33, 34, 64, 1000, 70000, 1 << 20};
  trp_test_random_t random;
  trp_test_random_start(&random, 2);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint8_t *bytes = malloc(sizes[i] + 1);
    trp_test_random_bytes(&random, bytes, sizes[i]);
    trp_frame_t *frame = trp_frame_copy(bytes, sizes[i]);
    assert_non_null(frame);
    assert_int_equal(frame->size, sizes[i]);
    assert_memory_equal(frame->bytes, bytes, sizes[i]);
    trp_frame_release(frame);
    free(bytes);
  }
}

static void *use_frames_and_end(void *argument) {
  (void)argument;
  static trp_frame_t *frames[1000];
  for (size_t i = 0; i < 1000; i++) {
    frames[i] = trp_frame_copy("x", 1);
  }
  for (size_t i = 0; i < 1000; i++) {
    trp_frame_release(frames[i]);
  }
  trp_frame_thread_end();
  trp_frame_thread_end(); // nothing left
  return NULL;
}

// Only a leak checker sees whether this is true.
static void a_thread_that_ends_leaves_no_shells_behind(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, use_frames_and_end, NULL), 0);
    pthread_join(thread, NULL);
  }
}

static int end_frames(void **state) {
  (void)state;
  trp_frame_thread_end();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_block_has_the_room_that_was_asked_for),
      trp_test(a_block_that_is_given_back_is_filled_further),
      trp_test(a_block_that_is_nearly_full_comes_back_when_nobody_refers_to_it),
      trp_test(trimming_frees_what_lies_unused_and_leaves_what_is_referred_to),
      trp_test(only_so_many_empty_blocks_lie_ready),
      trp_test(shrinking_frees_what_nobody_needed_meanwhile),
      trp_test(blocks_dropped_by_several_threads_at_once_come_back_once),
      trp_test(a_pool_closed_while_blocks_come_back_loses_none),
      trp_test(a_block_that_outlives_its_pool_frees_itself_on_another_thread),
      trp_test(a_frame_holds_its_block_and_shows_its_part),
      trp_test(adopted_bytes_are_released_once_with_their_context),
      trp_test(frames_of_every_size_keep_their_bytes),
      trp_test(a_thread_that_ends_leaves_no_shells_behind),
  };
  return TRP_RUN_TESTS_IN_GROUP("pool", tests, NULL, end_frames);
}
