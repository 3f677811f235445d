#include "tests/harness/harness.h"

#include "actors/net/writes.h"

#include <string.h>

static trp_write_store_t store;

static void add_text(trp_writes_t *writes, const char *text, bool notify) {
  trp_frame_t *frame = trp_frame_copy(text, strlen(text));
  assert_non_null(frame);
  assert_int_equal(trp_writes_add(writes, &store, frame, 0, (uint32_t)strlen(text), notify), 0);
  assert_int_equal(frame->refs, 2);
  trp_frame_release(frame);
}

static uint64_t bytes_in(const trp_writes_t *writes) {
  uint64_t sum = 0;
  for (const trp_write_t *entry = writes->first; entry != NULL; entry = entry->next) {
    sum += entry->length;
  }
  return sum;
}

static void a_write_that_is_partly_taken_goes_on_where_it_stopped(void **state) {
  trp_writes_t writes = {0};
  struct iovec parts[4];
  size_t size = 0;
  (void)state;
  add_text(&writes, "hello", true);
  assert_false(trp_writes_taken(&writes, &store, 2));
  assert_int_equal(trp_writes_parts(&writes, parts, 4, &size), 1);
  assert_int_equal(size, 3);
  assert_memory_equal(parts[0].iov_base, "llo", 3);
  assert_true(trp_writes_taken(&writes, &store, 3));
  assert_true(trp_writes_empty(&writes));
  assert_int_equal(bytes_in(&writes), 0);
}

static void only_a_whole_write_that_somebody_waits_for_says_so(void **state) {
  trp_writes_t writes = {0};
  (void)state;
  add_text(&writes, "ab", false);
  add_text(&writes, "cd", true);
  add_text(&writes, "ef", false);
  assert_false(trp_writes_taken(&writes, &store, 3));
  assert_true(trp_writes_taken(&writes, &store, 2));
  assert_int_equal(bytes_in(&writes), 1);
  trp_writes_clear(&writes, &store);
  assert_true(trp_writes_empty(&writes));
}

static void a_write_of_no_bytes_is_done_when_its_turn_comes(void **state) {
  trp_writes_t writes = {0};
  struct iovec parts[4];
  size_t size = 9;
  (void)state;
  assert_int_equal(trp_writes_add(&writes, &store, NULL, 0, 0, true), 0);
  assert_int_equal(trp_writes_parts(&writes, parts, 4, &size), 0);
  assert_int_equal(size, 0);
  assert_true(trp_writes_taken(&writes, &store, 0));

  add_text(&writes, "x", false);
  assert_int_equal(trp_writes_add(&writes, &store, NULL, 0, 0, true), 0);
  assert_false(trp_writes_taken(&writes, &store, 0));
  assert_int_equal(trp_writes_parts(&writes, parts, 4, &size), 1);
  assert_true(trp_writes_taken(&writes, &store, 1));
  assert_true(trp_writes_empty(&writes));
}

static void more_parts_than_fit_are_given_in_pieces(void **state) {
  trp_writes_t writes = {0};
  struct iovec parts[3];
  size_t size = 0;
  (void)state;
  for (int i = 0; i < 5; i++) {
    add_text(&writes, "ab", false);
  }
  assert_int_equal(trp_writes_parts(&writes, parts, 3, &size), 3);
  assert_int_equal(size, 6);
  trp_writes_clear(&writes, &store);
}

/// One frame written many times, in parts of all sizes, taken in portions of all sizes: the bytes
/// come out as they went in.
static void the_bytes_leave_in_the_order_of_the_writes(void **state) {
  trp_writes_t writes = {0};
  trp_test_random_t random;
  uint8_t source[4096];
  static uint8_t expected[1 << 20], got[1 << 20];
  size_t put = 0, taken = 0;
  (void)state;
  trp_test_random_start(&random, 3);
  trp_test_random_bytes(&random, source, sizeof source);
  trp_frame_t *frame = trp_frame_copy(source, sizeof source);
  assert_non_null(frame);
  for (int step = 0; step < 20000; step++) {
    if (trp_test_random_below(&random, 2) == 0 && put + sizeof source < sizeof expected) {
      uint32_t offset = (uint32_t)trp_test_random_below(&random, sizeof source);
      uint32_t length = (uint32_t)trp_test_random_below(&random, sizeof source - offset);
      length %= 200;
      assert_int_equal(trp_writes_add(&writes, &store, frame, offset, length, false), 0);
      memcpy(expected + put, source + offset, length);
      put += length;
    } else {
      struct iovec parts[TRP_WRITE_PARTS];
      size_t size = 0;
      int count = trp_writes_parts(&writes, parts, TRP_WRITE_PARTS, &size);
      size_t portion = size == 0 ? 0 : (size_t)trp_test_random_below(&random, size + 1);
      size_t left = portion;
      for (int i = 0; i < count && left > 0; i++) {
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        memcpy(got + taken, parts[i].iov_base, part);
        taken += part;
        left -= part;
      }
      trp_writes_taken(&writes, &store, portion);
      assert_int_equal(bytes_in(&writes), put - taken);
    }
  }
  assert_memory_equal(expected, got, taken);
  trp_writes_clear(&writes, &store);
  assert_int_equal(frame->refs, 1);
  trp_frame_release(frame);
}

static int free_store(void **state) {
  (void)state;
  trp_write_store_free(&store);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_write_that_is_partly_taken_goes_on_where_it_stopped),
      trp_test(only_a_whole_write_that_somebody_waits_for_says_so),
      trp_test(a_write_of_no_bytes_is_done_when_its_turn_comes),
      trp_test(more_parts_than_fit_are_given_in_pieces),
      trp_test(the_bytes_leave_in_the_order_of_the_writes),
  };
  return TRP_RUN_TESTS_IN_GROUP("writes", tests, NULL, free_store);
}
