/* Which texts are IP addresses. tests/node/test_values.sh asks Node the same. */
#include <stdlib.h>
#include <string.h>
#include <troupe/ip.h>

#include "core/net/ip.h"
#include "tests/harness/harness.h"

static void assert_is(const char *text, int expected) {
  // A copy without a NUL, so that reading past the end is found by AddressSanitizer and valgrind.
  size_t length = strlen(text);
  char *copy = malloc(length + (length == 0));
  assert_non_null(copy);
  memcpy(copy, text, length);
  if (troupe_is_ip(copy, length) != expected) {
    fail_msg("'%s' is %d", text, troupe_is_ip(copy, length));
  }
  assert_int_equal(troupe_is_ipv4(copy, length), expected == 4);
  assert_int_equal(troupe_is_ipv6(copy, length), expected == 6);
  free(copy);
}

static void assert_all(const char *const *texts, int expected) {
  for (size_t i = 0; texts[i] != NULL; i++) {
    assert_is(texts[i], expected);
  }
}

/* parity: isip.1 isip.2 */
static void dot_decimal_is_ipv4(void **state) {
  (void)state;
  static const char *const texts[] = {"0.0.0.0",  "127.0.0.1", "255.255.255.255", "1.20.200.249",
                                      "10.0.0.1", "8.8.8.8",   "192.168.100.200", NULL};
  assert_all(texts, 4);
}

/* parity: isip.1 isip.2 */
static void other_ways_to_write_ipv4_are_none(void **state) {
  (void)state;
  static const char *const texts[] = {"127.0.0.01",
                                      "127.000.000.001",
                                      "01.2.3.4",
                                      "256.1.1.1",
                                      "1.1.1.300",
                                      "1.2.3",
                                      "1.2.3.",
                                      ".1.2.3",
                                      "1.2.3.4.5",
                                      "1..2.3",
                                      "1.2.3.4.",
                                      "127.1",
                                      "2130706433",
                                      "0x7f.0.0.1",
                                      "0x7f000001",
                                      "127.0.0.1/24",
                                      "127.0.0.1:80",
                                      "1.2.3.4 ",
                                      " 1.2.3.4",
                                      "1.2.3.4\n",
                                      "1.2.3.4%lo",
                                      "1.2.3.-4",
                                      "1.2.3.+4",
                                      "1,2,3,4",
                                      "fhqwhgads",
                                      "",
                                      " ",
                                      "localhost",
                                      "00.0.0.0",
                                      "1.2.3.0004",
                                      NULL};
  assert_all(texts, 0);
}

/* parity: isip.1 isip.3 */
static void every_form_of_rfc_4291_is_ipv6(void **state) {
  (void)state;
  static const char *const texts[] = {"::",
                                      "::1",
                                      "1::",
                                      "1:2:3:4:5:6:7:8",
                                      "1:2:3:4:5:6:7::",
                                      "::2:3:4:5:6:7:8",
                                      "1::3:4:5:6:7:8",
                                      "2001:db8::ff00:42:8329",
                                      "ABCD:EF01:2345:6789:ABCD:EF01:2345:6789",
                                      "abcd:0:00:000:0000::1",
                                      "::ffff:1.2.3.4",
                                      "::1.2.3.4",
                                      "1:2:3:4:5:6:1.2.3.4",
                                      "1:2:3:4:5::1.2.3.4",
                                      "::2:3:4:5:6:1.2.3.4",
                                      "64:ff9b::192.0.2.33",
                                      NULL};
  assert_all(texts, 6);
}

/* parity: isip.1 isip.3 */
static void what_is_close_to_ipv6_is_none(void **state) {
  (void)state;
  static const char *const texts[] = {":",
                                      ":::",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1::2:3:4:5:6:7:8",
                                      "1:2:3:4:5:6:7:8::",
                                      "::1:2:3:4:5:6:7:8",
                                      "1::2::3",
                                      "12345::",
                                      "g::",
                                      "1:2:3:4:5:6:7:",
                                      ":1:2:3:4:5:6:7",
                                      "[::1]",
                                      "::1/64",
                                      "[::1]:80",
                                      "::1 ",
                                      " ::1",
                                      "::1\n",
                                      "::ffff:1.2.3",
                                      "::ffff:1.2.3.04",
                                      "::ffff:1.2.3.256",
                                      "::1.2.3.4:1",
                                      "1:2:3:4:5:6::1.2.3.4",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "0x1::",
                                      "00000::",
                                      NULL};
  assert_all(texts, 0);
}

/* parity: isip.1 isip.3 */
static void a_zone_may_be_any_letters_digits_dots_hyphens_and_colons(void **state) {
  (void)state;
  static const char *const zoned[] = {"fe80::1%eth0",
                                      "::1%1",
                                      "::%a.b-c:d",
                                      "::1.2.3.4%Z",
                                      "1:2:3:4:5:6:7:8%no-such-interface",
                                      NULL};
  static const char *const others[] = {"fe80::1%", "::1%a_b",   "::1%a b",      "::1%a%b",
                                       "::1%%a",   "%eth0",     "::1%a/64",     "::1%\n",
                                       "::1%a~",   "1.2.3.4%a", "::1%\xc3\xa9", NULL};
  assert_all(zoned, 6);
  assert_all(others, 0);
}

/* parity: isip.1 isip.3 */
static void a_zone_may_have_any_length(void **state) {
  (void)state;
  enum { LENGTH = 100000 };
  char *text = malloc(LENGTH);
  assert_non_null(text);
  memset(text, 'x', LENGTH);
  memcpy(text, "::1%", 4);
  assert_int_equal(troupe_is_ip(text, LENGTH), 6);
  text[LENGTH - 1] = '_';
  assert_int_equal(troupe_is_ip(text, LENGTH), 0);
  memset(text, '1', LENGTH);
  assert_int_equal(troupe_is_ip(text, LENGTH), 0);
  free(text);
}

/* parity: isip.1 */
static void a_nul_anywhere_makes_it_no_address(void **state) {
  (void)state;
  static const char *const texts[] = {"127.0.0.1", "::1", "::ffff:1.2.3.4", "fe80::1%eth0"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    size_t length = strlen(texts[i]);
    for (size_t at = 0; at <= length; at++) {
      char copy[32];
      memcpy(copy, texts[i], at);
      copy[at] = '\0';
      memcpy(copy + at + 1, texts[i] + at, length - at);
      assert_int_equal(troupe_is_ip(copy, length + 1), 0);
    }
  }
  assert_int_equal(troupe_is_ip("\0", 1), 0);
}

/* parity: isip.1 */
static void no_text_is_no_address(void **state) {
  (void)state;
  assert_int_equal(troupe_is_ip(NULL, 0), 0);
  assert_int_equal(troupe_is_ip("", 0), 0);
  assert_false(troupe_is_ipv4(NULL, 0));
  assert_false(troupe_is_ipv6(NULL, 0));
}

static void both_families_are_compared_as_sixteen_bytes(void **state) {
  (void)state;
  static const uint8_t expected[16] = {[10] = 0xff, 0xff, 1, 2, 3, 4};
  uint8_t bytes[16];
  assert_int_equal(trp_ip_parse("1.2.3.4", 7, bytes), 4);
  assert_memory_equal(bytes, expected, 16);
  assert_true(trp_ip_is_mapped(bytes));
  memset(bytes, 7, sizeof bytes);
  assert_int_equal(trp_ip_parse("::ffff:102:304%z", 16, bytes), 6);
  assert_memory_equal(bytes, expected, 16);
  assert_int_equal(trp_ip_parse("::1", 3, bytes), 6);
  assert_false(trp_ip_is_mapped(bytes));

  troupe_address_t address = {.family = TROUPE_FAMILY_IPV4, .bytes = {1, 2, 3, 4}};
  assert_int_equal(trp_ip_from_address(&address, bytes), 4);
  assert_memory_equal(bytes, expected, 16);
  address.family = TROUPE_FAMILY_UNIX;
  assert_int_equal(trp_ip_from_address(&address, bytes), 0);
  assert_int_equal(trp_ip_from_address(NULL, bytes), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(dot_decimal_is_ipv4),
      trp_test(other_ways_to_write_ipv4_are_none),
      trp_test(every_form_of_rfc_4291_is_ipv6),
      trp_test(what_is_close_to_ipv6_is_none),
      trp_test(a_zone_may_be_any_letters_digits_dots_hyphens_and_colons),
      trp_test(a_zone_may_have_any_length),
      trp_test(a_nul_anywhere_makes_it_no_address),
      trp_test(no_text_is_no_address),
      trp_test(both_families_are_compared_as_sixteen_bytes),
  };
  return TRP_RUN_TESTS("ip", tests);
}
