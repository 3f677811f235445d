#include "tests/harness/harness.h"

#include <string.h>

#include "core/trace/crc.h"

static void it_is_the_checksum_that_others_call_crc32c(void **state) {
  (void)state;
  uint8_t zeros[32] = {0};
  uint8_t ascending[32];
  for (size_t i = 0; i < sizeof ascending; i++) {
    ascending[i] = (uint8_t)i;
  }
  // From RFC 3720, B.4; the last is the usual check value.
  assert_int_equal(trp_crc(0, zeros, sizeof zeros), 0x8a9136aa);
  assert_int_equal(trp_crc(0, ascending, sizeof ascending), 0x46dd794e);
  assert_int_equal(trp_crc(0, "123456789", 9), 0xe3069283);
  assert_int_equal(trp_crc_by_table(0, zeros, sizeof zeros), 0x8a9136aa);
  assert_int_equal(trp_crc_by_table(0, ascending, sizeof ascending), 0x46dd794e);
  assert_int_equal(trp_crc_by_table(0, "123456789", 9), 0xe3069283);
  assert_int_equal(trp_crc(0, NULL, 0), 0);
}

static void table_and_instruction_agree_in_all_lengths_and_parts(void **state) {
  (void)state;
  trp_test_random_t random;
  uint8_t bytes[3000];
  trp_test_random_start(&random, 1);
  for (int round = 0; round < 1000; round++) {
    size_t length = (size_t)trp_test_random_below(&random, sizeof bytes);
    size_t part = (size_t)trp_test_random_below(&random, length + 1);
    trp_test_random_bytes(&random, bytes, length);
    uint32_t whole = trp_crc(0, bytes, length);
    assert_int_equal(whole, trp_crc_by_table(0, bytes, length));
    assert_int_equal(whole, trp_crc(trp_crc(0, bytes, part), bytes + part, length - part));
    assert_int_equal(
        whole, trp_crc_by_table(trp_crc_by_table(0, bytes, part), bytes + part, length - part));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(it_is_the_checksum_that_others_call_crc32c),
      trp_test(table_and_instruction_agree_in_all_lengths_and_parts),
  };
  return TRP_RUN_TESTS("crc", tests);
}
