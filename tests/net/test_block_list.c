/* Block lists: rules, checks, texts, many rules, many threads. A second, plainly written answer to
 * "does a rule have this address" is compared with the list's on random rules.
 * tests/node/test_values.sh compares both with Node. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/block_list.h>

#include "core/net/block_list.h"
#include "tests/harness/harness.h"

enum { NONE = TROUPE_FAMILY_NONE, IPV4 = TROUPE_FAMILY_IPV4, IPV6 = TROUPE_FAMILY_IPV6 };

static int make_list(void **state) {
  troupe_block_list_t *list = NULL;
  int status = troupe_block_list_new(&list);
  *state = list;
  return status;
}

static int free_list(void **state) {
  troupe_block_list_t *list = *state;
  troupe_block_list_free(&list);
  return list == NULL ? 0 : -1;
}

#define with_list(function) trp_test_with(function, make_list, free_list)

static troupe_address_t parse(const char *text) {
  troupe_address_t address;
  assert_int_equal(troupe_address_parse(&address, text, strlen(text), 0), 0);
  return address;
}

static int add(troupe_block_list_t *list, const char *address, int family) {
  return troupe_block_list_add_address_text(list, address, strlen(address), family);
}

static int add_range(troupe_block_list_t *list, const char *start, const char *end, int family) {
  return troupe_block_list_add_range_text(list, start, strlen(start), end, strlen(end), family);
}

static int add_subnet(troupe_block_list_t *list, const char *network, int prefix, int family) {
  return troupe_block_list_add_subnet_text(list, network, strlen(network), prefix, family);
}

/// Asks by text and by value, which have to agree.
static bool has(const troupe_block_list_t *list, const char *text) {
  troupe_address_t address = parse(text);
  bool by_value = troupe_block_list_check(list, &address);
  assert_int_equal(troupe_block_list_check_text(list, text, strlen(text), NONE), by_value);
  assert_int_equal(troupe_block_list_check_text(list, text, strlen(text), address.family),
                   by_value);
  int other = address.family == IPV4 ? IPV6 : IPV4;
  assert_false(troupe_block_list_check_text(list, text, strlen(text), other));
  return by_value;
}

static void assert_rule(const troupe_block_list_t *list, size_t index, const char *expected) {
  char text[TROUPE_BLOCK_RULE_TEXT_SIZE];
  assert_int_equal(troupe_block_list_rule_text(list, index, text, sizeof text), strlen(expected));
  assert_string_equal(text, expected);
}

/* parity: blocklist.1 */
static void an_empty_list_has_nothing(void **state) {
  troupe_block_list_t *list = *state;
  assert_false(has(list, "1.2.3.4"));
  assert_false(has(list, "::"));
  assert_int_equal(troupe_block_list_count(list), 0);
  char text[TROUPE_BLOCK_RULE_TEXT_SIZE];
  assert_int_equal(troupe_block_list_rule_text(list, 0, text, sizeof text),
                   TROUPE_ERR_OUT_OF_RANGE);
}

/* parity: blocklist.1 */
static void any_number_of_lists_know_nothing_of_each_other(void **state) {
  (void)state;
  troupe_block_list_t *lists[50];
  for (int i = 0; i < 50; i++) {
    char text[32];
    assert_int_equal(troupe_block_list_new(&lists[i]), 0);
    snprintf(text, sizeof text, "10.0.0.%d", i);
    assert_int_equal(add(lists[i], text, IPV4), 0);
  }
  for (int i = 0; i < 50; i++) {
    for (int j = 0; j < 50; j++) {
      char text[32];
      snprintf(text, sizeof text, "10.0.0.%d", j);
      assert_int_equal(has(lists[i], text), i == j);
    }
  }
  for (int i = 0; i < 50; i++) {
    troupe_block_list_free(&lists[i]);
    assert_null(lists[i]);
    troupe_block_list_free(&lists[i]);
  }
  troupe_block_list_free(NULL);
}

/* parity: blocklist.2 blocklist.5 */
static void an_address_blocks_itself_alone(void **state) {
  troupe_block_list_t *list = *state;
  troupe_address_t ipv6 = parse("8592:757c:efae:4e45:fb5d:d62a:0d00:8e17");
  assert_int_equal(add(list, "1.1.1.1", IPV4), 0);
  assert_int_equal(troupe_block_list_add_address(list, &ipv6), 0);
  assert_true(has(list, "1.1.1.1"));
  assert_true(has(list, "::ffff:1.1.1.1"));
  assert_true(has(list, "::FFFF:101:101"));
  assert_true(has(list, "8592:757c:efae:4e45:fb5d:d62a:0d00:8e17"));
  assert_true(has(list, "8592:757C:efae:4e45:fb5d:d62a:d00:8e17%lo"));
  assert_false(has(list, "1.1.1.0"));
  assert_false(has(list, "1.1.1.2"));
  assert_false(has(list, "::1.1.1.1"));
  assert_false(has(list, "8592:757c:efae:4e45:fb5d:d62a:0d00:8e16"));
}

/* parity: blocklist.3 blocklist.5 */
static void a_range_has_both_its_ends(void **state) {
  troupe_block_list_t *list = *state;
  assert_int_equal(add_range(list, "1.1.1.5", "1.1.2.3", IPV4), 0);
  assert_int_equal(add_range(list, "9.9.9.9", "9.9.9.9", IPV4), 0);
  assert_int_equal(add_range(list, "2001::1", "2001::ffff:ffff:ffff:ffff", IPV6), 0);
  assert_false(has(list, "1.1.1.4"));
  assert_true(has(list, "1.1.1.5"));
  assert_true(has(list, "1.1.1.255"));
  assert_true(has(list, "1.1.2.3"));
  assert_true(has(list, "::ffff:1.1.2.3"));
  assert_false(has(list, "1.1.2.4"));
  assert_true(has(list, "9.9.9.9"));
  assert_false(has(list, "2001::"));
  assert_true(has(list, "2001::1"));
  assert_true(has(list, "2001::ffff:ffff:ffff:ffff"));
  assert_false(has(list, "2001:0:0:1::"));
}

/* parity: blocklist.4 blocklist.5 */
static void a_subnet_has_what_shares_its_first_bits(void **state) {
  troupe_block_list_t *list = *state;
  assert_int_equal(add_subnet(list, "192.168.1.77", 27, IPV4), 0); // .64 to .95
  assert_int_equal(add_subnet(list, "8592:757c:efaf:1fff:ffff:ffff:ffff:ffff", 51, IPV6), 0);
  assert_int_equal(add_subnet(list, "7.7.7.7", 32, IPV4), 0);
  assert_int_equal(add_subnet(list, "dead::beef", 128, IPV6), 0);
  assert_false(has(list, "192.168.1.63"));
  assert_true(has(list, "192.168.1.64"));
  assert_true(has(list, "192.168.1.95"));
  assert_true(has(list, "::ffff:192.168.1.95"));
  assert_false(has(list, "192.168.1.96"));
  assert_true(has(list, "8592:757c:efaf:0::"));
  assert_true(has(list, "8592:757c:efaf:1fff:ffff::1"));
  assert_false(has(list, "8592:757c:efaf:2fff:ffff::1"));
  assert_true(has(list, "7.7.7.7"));
  assert_false(has(list, "7.7.7.6"));
  assert_true(has(list, "dead::beef"));
  assert_false(has(list, "dead::beee"));
}

/* parity: blocklist.5 */
static void everything_can_be_blocked(void **state) {
  troupe_block_list_t *list = *state;
  assert_int_equal(add_subnet(list, "0.0.0.0", 0, IPV4), 0);
  assert_true(has(list, "0.0.0.0"));
  assert_true(has(list, "255.255.255.255"));
  assert_true(has(list, "::ffff:255.255.255.255"));
  assert_false(has(list, "::1"));
  assert_false(has(list, "::1:0:0:0"));
  assert_int_equal(add_subnet(list, "::", 0, IPV6), 0);
  assert_true(has(list, "::"));
  assert_true(has(list, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  assert_int_equal(add(list, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IPV6), 0);
  assert_true(has(list, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

/* parity: blocklist.5 */
static void rules_of_mapped_addresses_have_ipv4_ones(void **state) {
  troupe_block_list_t *list = *state;
  assert_int_equal(add(list, "::ffff:1.2.3.4", IPV6), 0);
  assert_int_equal(add_range(list, "::ffff:10.0.0.1", "::ffff:a00:a", IPV6), 0);
  assert_int_equal(add_subnet(list, "::ffff:172.16.0.0", 108, IPV6), 0);
  assert_true(has(list, "1.2.3.4"));
  assert_true(has(list, "10.0.0.1"));
  assert_true(has(list, "10.0.0.10"));
  assert_false(has(list, "10.0.0.11"));
  assert_true(has(list, "172.31.255.255"));
  assert_false(has(list, "172.32.0.0"));
}

/* parity: blocklist.5 */
static void an_ipv6_subnet_has_ipv4_addresses_if_it_has_what_maps_them(void **state) {
  troupe_block_list_t *list = *state;
  assert_int_equal(add_subnet(list, "abcd::", 16, IPV6), 0);
  assert_false(has(list, "1.2.3.4"));
  assert_int_equal(add_subnet(list, "::", 64, IPV6), 0);
  assert_true(has(list, "1.2.3.4"));
}

/* parity: blocklist.5 */
static void an_ipv6_range_that_crosses_the_mapped_addresses_has_no_ipv4_one(void **state) {
  troupe_block_list_t *list = *state;
  assert_int_equal(add_range(list, "::1", "ffff::", IPV6), 0);
  assert_true(has(list, "::ffff:1.2.3.4"));
  assert_false(has(list, "1.2.3.4"));
  assert_int_equal(add_range(list, "::ffff:1.0.0.0", "1::", IPV6), 0);
  assert_false(has(list, "1.2.3.4"));
}

/* parity: blocklist.3 */
static void a_range_of_both_families_has_the_mapped_addresses_between(void **state) {
  troupe_block_list_t *list = *state;
  troupe_address_t ipv4 = parse("10.0.0.1"), mapped = parse("::ffff:10.0.0.9");
  troupe_address_t ipv6 = parse("2001::"), low = parse("::1");
  assert_int_equal(troupe_block_list_add_range(list, &mapped, &ipv4), TROUPE_ERR_INVALID_ARG_VALUE);
  assert_int_equal(troupe_block_list_add_range(list, &ipv4, &mapped), 0);
  assert_true(has(list, "10.0.0.5"));
  assert_true(has(list, "::ffff:10.0.0.5"));
  assert_false(has(list, "10.0.0.10"));
  assert_int_equal(troupe_block_list_add_range(list, &ipv4, &ipv6), 0);
  assert_false(has(list, "10.0.0.10"));
  assert_true(has(list, "::ffff:10.0.0.10"));
  assert_false(has(list, "1::"));
  assert_int_equal(troupe_block_list_add_range(list, &ipv6, &ipv4), 0);
  assert_false(has(list, "2001::"));
  assert_int_equal(troupe_block_list_add_range(list, &low, &ipv4), 0);
  assert_true(has(list, "::ffff:0.0.0.1"));
  assert_false(has(list, "::2"));
  assert_rule(list, 0, "Range: IPv6 ::1-10.0.0.1");
  assert_rule(list, 3, "Range: IPv4 10.0.0.1-::ffff:10.0.0.9");
}

/* parity: blocklist.2 blocklist.3 blocklist.4 */
static void bad_input_is_an_error_and_adds_nothing(void **state) {
  troupe_block_list_t *list = *state;
  troupe_address_t path;
  assert_int_equal(troupe_address_path(&path, "/x", 2), 0);
  troupe_address_t ipv4 = parse("1.2.3.4"), ipv6 = parse("::1");
  const int value = TROUPE_ERR_INVALID_ARG_VALUE, text = TROUPE_ERR_INVALID_ADDRESS;
  const int range = TROUPE_ERR_OUT_OF_RANGE;

  assert_int_equal(add(list, "1.2.3.4", IPV6), text);
  assert_int_equal(add(list, "::1", IPV4), text);
  assert_int_equal(add(list, "1.2.3", NONE), text);
  assert_int_equal(add(list, "", NONE), text);
  assert_int_equal(troupe_block_list_add_address_text(list, "1.2.3.4\0", 8, IPV4), text);
  assert_int_equal(troupe_block_list_add_address_text(list, NULL, 0, IPV4), text);
  assert_int_equal(add(list, "nonsense", 5), value);
  assert_int_equal(add(list, "nonsense", TROUPE_FAMILY_UNIX), value);
  assert_int_equal(troupe_block_list_add_address(list, &path), value);
  assert_int_equal(troupe_block_list_add_address(list, NULL), value);

  assert_int_equal(add_range(list, "1.1.1.2", "1.1.1.1", IPV4), value);
  assert_int_equal(add_range(list, "::2", "::1", IPV6), value);
  assert_int_equal(add_range(list, "1.1.1.1", "1.1.1", IPV4), text);
  assert_int_equal(add_range(list, "1.1.1.1", "::1", NONE), text);
  assert_int_equal(add_range(list, "1.1.1.1", "1.1.1.2", -1), value);
  assert_int_equal(troupe_block_list_add_range(list, &ipv4, &path), value);
  assert_int_equal(troupe_block_list_add_range(list, NULL, &ipv4), value);

  assert_int_equal(add_subnet(list, "1.1.1.1", 33, IPV4), range);
  assert_int_equal(add_subnet(list, "1.1.1.1", -1, IPV4), range);
  assert_int_equal(add_subnet(list, "::1", 129, IPV6), range);
  assert_int_equal(add_subnet(list, "::1", INT32_MIN, IPV6), range);
  assert_int_equal(add_subnet(list, "1.1.1.1/8", 8, IPV4), text);
  assert_int_equal(troupe_block_list_add_subnet(list, &ipv4, 33), range);
  assert_int_equal(troupe_block_list_add_subnet(list, &ipv6, 129), range);
  assert_int_equal(troupe_block_list_add_subnet(list, &path, 8), value);
  assert_int_equal(troupe_block_list_count(list), 0);

  assert_int_equal(troupe_block_list_add_address(NULL, &ipv4), TROUPE_EINVAL);
  assert_int_equal(troupe_block_list_add_range(NULL, &ipv4, &ipv4), TROUPE_EINVAL);
  assert_int_equal(troupe_block_list_add_subnet(NULL, &ipv4, 8), TROUPE_EINVAL);
  assert_int_equal(troupe_block_list_new(NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_block_list_count(NULL), 0);
}

/* parity: blocklist.5 */
static void what_is_no_address_is_in_no_list(void **state) {
  troupe_block_list_t *list = *state;
  troupe_address_t path, address = parse("1.2.3.4");
  assert_int_equal(troupe_address_path(&path, "/x", 2), 0);
  assert_int_equal(add_subnet(list, "::", 0, IPV6), 0);
  assert_false(troupe_block_list_check(list, &path));
  assert_false(troupe_block_list_check(list, NULL));
  assert_false(troupe_block_list_check(NULL, &address));
  assert_false(troupe_block_list_check_text(list, "1.2.3", 5, NONE));
  assert_false(troupe_block_list_check_text(list, "1.2.3.4", 7, IPV6));
  assert_false(troupe_block_list_check_text(list, "::1", 3, IPV4));
  assert_false(troupe_block_list_check_text(list, "::1", 3, 5));
  assert_false(troupe_block_list_check_text(list, NULL, 0, NONE));
  assert_false(troupe_block_list_check_text(list, "1.2.3.4\0", 8, NONE));
}

/* parity: blocklist.6 */
static void rules_are_told_in_nodes_words_newest_first(void **state) {
  troupe_block_list_t *list = *state;
  assert_int_equal(add(list, "1.1.1.1", IPV4), 0);
  assert_int_equal(add_range(list, "10.0.0.1", "10.0.0.10", IPV4), 0);
  assert_int_equal(add_subnet(list, "8592:757C:efae:4e45:0:0:0:0", 64, IPV6), 0);
  assert_int_equal(add_subnet(list, "192.168.1.77", 24, IPV4), 0);
  assert_int_equal(add(list, "FE80:0::1%lo", IPV6), 0);
  assert_int_equal(add(list, "::ffff:102:304", IPV6), 0);
  assert_int_equal(add(list, "1.1.1.1", IPV4), 0);
  assert_int_equal(troupe_block_list_count(list), 7);
  assert_rule(list, 0, "Address: IPv4 1.1.1.1");
  assert_rule(list, 1, "Address: IPv6 ::ffff:1.2.3.4");
  assert_rule(list, 2, "Address: IPv6 fe80::1");
  assert_rule(list, 3, "Subnet: IPv4 192.168.1.77/24");
  assert_rule(list, 4, "Subnet: IPv6 8592:757c:efae:4e45::/64");
  assert_rule(list, 5, "Range: IPv4 10.0.0.1-10.0.0.10");
  assert_rule(list, 6, "Address: IPv4 1.1.1.1");

  char text[10];
  assert_int_equal(troupe_block_list_rule_text(list, 0, text, sizeof text), 21);
  assert_string_equal(text, "Address: ");
  assert_int_equal(troupe_block_list_rule_text(list, 7, text, sizeof text),
                   TROUPE_ERR_OUT_OF_RANGE);
  assert_int_equal(troupe_block_list_rule_text(list, 0, text, 0), TROUPE_EINVAL);
  assert_int_equal(troupe_block_list_rule_text(list, 0, NULL, 1), TROUPE_EINVAL);
  assert_int_equal(troupe_block_list_rule_text(NULL, 0, text, sizeof text), TROUPE_EINVAL);
}

/* parity: blocklist.6 */
static void the_longest_rule_fits_into_its_text(void **state) {
  troupe_block_list_t *list = *state;
  const char *last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  assert_int_equal(add_range(list, "1111:1111:1111:1111:1111:1111:1111:1111", last, IPV6), 0);
  char text[TROUPE_BLOCK_RULE_TEXT_SIZE];
  assert_in_range(troupe_block_list_rule_text(list, 0, text, sizeof text), 1, sizeof text - 1);
}

/* parity: beside.5 */
static void a_list_that_was_written_can_be_read_again(void **state) {
  troupe_block_list_t *list = *state, *read = NULL;
  assert_int_equal(add(list, "1.1.1.1", IPV4), 0);
  assert_int_equal(add(list, "::ffff:1.1.1.2", IPV6), 0);
  assert_int_equal(add_range(list, "10.0.0.1", "10.0.0.10", IPV4), 0);
  assert_int_equal(add_range(list, "fd00::", "fd00::ffff", IPV6), 0);
  assert_int_equal(add_subnet(list, "8592:757c:efae:4e45::1", 64, IPV6), 0);
  assert_int_equal(add_subnet(list, "0.0.0.0", 0, IPV4), 0);
  troupe_address_t start = parse("1.1.1.1"), end = parse("::ffff:2.2.2.2");
  assert_int_equal(troupe_block_list_add_range(list, &start, &end), 0); // of both families
  assert_int_equal(troupe_block_list_new(&read), 0);
  for (size_t i = troupe_block_list_count(list); i-- > 0;) {
    char text[TROUPE_BLOCK_RULE_TEXT_SIZE];
    int length = troupe_block_list_rule_text(list, i, text, sizeof text);
    assert_int_equal(troupe_block_list_add_rule_text(read, text, (size_t)length), 0);
    assert_rule(read, 0, text);
  }
  assert_int_equal(troupe_block_list_count(read), troupe_block_list_count(list));
  troupe_block_list_free(&read);
}

/* parity: beside.5 */
static void what_is_no_text_of_a_rule_is_refused(void **state) {
  troupe_block_list_t *list = *state;
  static const struct {
    const char *text;
    int error;
  } wrong[] = {
      {"", TROUPE_ERR_INVALID_ARG_VALUE},
      {"1.1.1.1", TROUPE_ERR_INVALID_ARG_VALUE},
      {"address: IPv4 1.1.1.1", TROUPE_ERR_INVALID_ARG_VALUE},
      {"Address: 1.1.1.1", TROUPE_ERR_INVALID_ARG_VALUE},
      {"Address: IPv5 1.1.1.1", TROUPE_ERR_INVALID_ARG_VALUE},
      {"Address: IPv4 ", TROUPE_ERR_INVALID_ADDRESS},
      {"Address: IPv4 ::1", TROUPE_ERR_INVALID_ADDRESS},
      {"Address: IPv6 1.1.1.1", TROUPE_ERR_INVALID_ADDRESS},
      {"Address: IPv4 1.1.1.1 ", TROUPE_ERR_INVALID_ADDRESS},
      {"Address: IPv4 1.1.1.1/8", TROUPE_ERR_INVALID_ARG_VALUE},
      {"Range: IPv4 1.1.1.1", TROUPE_ERR_INVALID_ARG_VALUE},
      {"Range: IPv4 1.1.1.2-1.1.1.1", TROUPE_ERR_INVALID_ARG_VALUE},
      {"Range: IPv4 1.1.1.1-", TROUPE_ERR_INVALID_ADDRESS},
      {"Subnet: IPv4 1.1.1.1", TROUPE_ERR_INVALID_ARG_VALUE},
      {"Subnet: IPv4 1.1.1.1/", TROUPE_ERR_OUT_OF_RANGE},
      {"Subnet: IPv4 1.1.1.1/33", TROUPE_ERR_OUT_OF_RANGE},
      {"Subnet: IPv4 1.1.1.1/8x", TROUPE_ERR_OUT_OF_RANGE},
      {"Subnet: IPv6 ::/129", TROUPE_ERR_OUT_OF_RANGE},
      {"Subnet: IPv6 ::/0128", TROUPE_ERR_OUT_OF_RANGE},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    int error = troupe_block_list_add_rule_text(list, wrong[i].text, strlen(wrong[i].text));
    if (error != wrong[i].error) {
      fail_msg("'%s': %s", wrong[i].text, troupe_error_name(error));
    }
  }
  assert_int_equal(troupe_block_list_count(list), 0);
  assert_int_equal(troupe_block_list_add_rule_text(NULL, "Address: IPv4 1.1.1.1", 21),
                   TROUPE_EINVAL);
}

static void rules_can_be_copied_piece_by_piece(void **state) {
  troupe_block_list_t *list = *state;
  for (int i = 0; i < 10; i++) {
    troupe_address_t address = {.family = IPV4, .bytes = {10, 0, 0, (uint8_t)i}};
    assert_int_equal(troupe_block_list_add_address(list, &address), 0);
  }
  trp_ip_rule_t rules[4];
  size_t from = 0, count;
  while ((count = trp_block_list_read(list, from, rules, 4)) > 0) {
    for (size_t i = 0; i < count; i++) {
      assert_int_equal(rules[i].kind, TRP_IP_RULE_ADDRESS);
      assert_int_equal(rules[i].address[15], from + i);
    }
    from += count;
  }
  assert_int_equal(from, 10);
}

// ---- Against a second answer ----

typedef struct subject {
  int family;
  uint8_t bytes[16];
} subject_t;

typedef struct oracle_rule {
  int kind; // 0 address, 1 range, 2 subnet
  int prefix;
  subject_t from, to;
} oracle_rule_t;

static bool is_mapped(const subject_t *subject) {
  for (int i = 0; i < 12; i++) {
    if (subject->bytes[i] != (i < 10 ? 0 : 0xff)) {
      return false;
    }
  }
  return true;
}

static bool is_between(const subject_t *start, const subject_t *subject, const subject_t *end) {
  bool with_start = subject->family == start->family || (is_mapped(subject) && is_mapped(start));
  bool with_end = subject->family == end->family || (is_mapped(subject) && is_mapped(end));
  return with_start && with_end && memcmp(start->bytes, subject->bytes, 16) <= 0 &&
         memcmp(subject->bytes, end->bytes, 16) <= 0;
}

static bool shares_bits(const subject_t *a, const subject_t *b, int bits) {
  for (int i = 0; i < bits; i++) {
    if (((a->bytes[i / 8] ^ b->bytes[i / 8]) & 0x80 >> i % 8) != 0) {
      return false;
    }
  }
  return true;
}

static bool oracle_has(const oracle_rule_t *rules, size_t count, const subject_t *subject) {
  for (size_t i = 0; i < count; i++) {
    const oracle_rule_t *rule = &rules[i];
    int bits = rule->from.family == 4 ? rule->prefix + 96 : rule->prefix;
    if (rule->kind == 0   ? memcmp(rule->from.bytes, subject->bytes, 16) == 0
        : rule->kind == 1 ? is_between(&rule->from, subject, &rule->to)
                          : shares_bits(&rule->from, subject, bits)) {
      return true;
    }
  }
  return false;
}

static troupe_address_t address_of(const subject_t *subject) {
  troupe_address_t address = {.family = (uint8_t)subject->family};
  memcpy(address.bytes, subject->bytes + (subject->family == 4 ? 12 : 0),
         subject->family == 4 ? 4 : 16);
  return address;
}

/// Addresses that differ in few bits, so that rules meet them, and each other.
static subject_t random_subject(trp_test_random_t *random) {
  subject_t subject = {.family = trp_test_random_below(random, 2) == 0 ? 4 : 6};
  bool is_mapped_one = subject.family == 4 || trp_test_random_below(random, 3) == 0;
  if (is_mapped_one) {
    subject.bytes[10] = subject.bytes[11] = 0xff;
  } else {
    subject.bytes[0] = (uint8_t)(trp_test_random_below(random, 4) * 0x55);
    subject.bytes[7] = (uint8_t)(trp_test_random_below(random, 3) * 0x7f);
  }
  static const uint8_t edges[] = {0, 0, 0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
  for (int i = 12; i < 16; i++) {
    subject.bytes[i] = edges[trp_test_random_below(random, sizeof edges)];
  }
  return subject;
}

static oracle_rule_t random_rule(trp_test_random_t *random) {
  oracle_rule_t rule = {.kind = (int)trp_test_random_below(random, 3)};
  rule.from = random_subject(random);
  rule.to = random_subject(random);
  int bits = rule.from.family == 4 ? 32 : 128;
  rule.prefix = bits - (int)trp_test_random_below(random, 12); // wide ones would have everything
  if (trp_test_random_below(random, 40) == 0) {
    rule.prefix = (int)trp_test_random_below(random, (uint64_t)bits + 1);
  }
  if (rule.kind == 1 && trp_test_random_below(random, 4) != 0) {
    rule.to = rule.from; // a short range
    rule.to.bytes[15] = (uint8_t)trp_test_random_below(random, 256);
    rule.to.bytes[14] |= (uint8_t)trp_test_random_below(random, 4);
  }
  return rule;
}

static int add_rule(troupe_block_list_t *list, const oracle_rule_t *rule) {
  troupe_address_t from = address_of(&rule->from), to = address_of(&rule->to);
  switch (rule->kind) {
  case 0:
    return troupe_block_list_add_address(list, &from);
  case 1:
    return troupe_block_list_add_range(list, &from, &to);
  default:
    return troupe_block_list_add_subnet(list, &from, rule->prefix);
  }
}

/* parity: blocklist.5 */
static void random_rules_have_what_a_plain_search_finds(void **state) {
  (void)state;
  enum { LISTS = 400, MOST_RULES = 60, CHECKS = 400 };
  trp_test_random_t random;
  trp_test_random_start(&random, 1);
  size_t found = 0;
  for (int i = 0; i < LISTS; i++) {
    troupe_block_list_t *list;
    oracle_rule_t rules[MOST_RULES];
    size_t count = 0, wanted = 1 + trp_test_random_below(&random, MOST_RULES);
    assert_int_equal(troupe_block_list_new(&list), 0);
    while (count < wanted) {
      rules[count] = random_rule(&random);
      int status = add_rule(list, &rules[count]);
      bool refused = rules[count].kind == 1 &&
                     (rules[count].from.family == rules[count].to.family ||
                      (is_mapped(&rules[count].from) && is_mapped(&rules[count].to))) &&
                     memcmp(rules[count].from.bytes, rules[count].to.bytes, 16) > 0;
      assert_int_equal(status, refused ? TROUPE_ERR_INVALID_ARG_VALUE : 0);
      count += status == 0;
    }
    assert_int_equal(troupe_block_list_count(list), count);
    for (int j = 0; j < CHECKS; j++) {
      subject_t subject = random_subject(&random);
      troupe_address_t address = address_of(&subject);
      bool expected = oracle_has(rules, count, &subject);
      found += expected;
      if (troupe_block_list_check(list, &address) != expected) {
        char text[TROUPE_ADDRESS_TEXT_SIZE];
        troupe_address_text(&address, text, sizeof text);
        fail_msg("list %d of %zu rules: %s, IPv%d, should be %d", i, count, text, subject.family,
                 expected);
      }
    }
    troupe_block_list_free(&list);
  }
  // The comparison is worth nothing if one answer is rare.
  assert_in_range(found, LISTS * CHECKS / 10, LISTS * CHECKS / 10 * 9);
}

/* parity: blocklist.5 */
static void a_hundred_thousand_rules_have_what_a_table_of_all_addresses_says(void **state) {
  troupe_block_list_t *list = *state;
  enum { RULES = 100000, UNIVERSE = 1 << 22 };
  uint8_t *blocked = calloc(UNIVERSE, 1);
  assert_non_null(blocked);
  trp_test_random_t random;
  trp_test_random_start(&random, 2);
  for (int i = 0; i < RULES; i++) {
    // IPv4 addresses 10.0.0.0 and on; every second rule is about those that map them.
    uint32_t from = (uint32_t)trp_test_random_below(&random, UNIVERSE);
    uint32_t to = from + (uint32_t)trp_test_random_below(&random, 20);
    to = to < UNIVERSE ? to : UNIVERSE - 1;
    subject_t ends[2] = {{4, {0}}, {4, {0}}};
    for (int end = 0; end < 2; end++) {
      uint32_t number = UINT32_C(0x0a000000) + (end == 0 ? from : to);
      ends[end].family = i % 2 == 0 ? 4 : 6;
      ends[end].bytes[10] = ends[end].bytes[11] = 0xff;
      for (int j = 0; j < 4; j++) {
        ends[end].bytes[12 + j] = (uint8_t)(number >> (24 - 8 * j));
      }
    }
    troupe_address_t start = address_of(&ends[0]), last = address_of(&ends[1]);
    assert_int_equal(troupe_block_list_add_range(list, &start, &last), 0);
    memset(blocked + from, 1, to - from + 1);
  }
  assert_int_equal(troupe_block_list_count(list), RULES);
  for (uint32_t i = 0; i < UNIVERSE; i++) {
    uint32_t number = UINT32_C(0x0a000000) + i;
    troupe_address_t address = {.family = TROUPE_FAMILY_IPV4,
                                .bytes = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                                          (uint8_t)(number >> 8), (uint8_t)number}};
    if (troupe_block_list_check(list, &address) != (blocked[i] == 1)) {
      fail_msg("10.0.0.0 + %u should be %u", (unsigned)i, blocked[i]);
    }
    i += (uint32_t)trp_test_random_below(&random, 8); // an eighth of them will do
  }
  free(blocked);
}

static void rules_in_order_become_one_interval(void **state) {
  (void)state;
  trp_intervals_t set = {0};
  for (uint64_t i = 0; i < 100000; i++) {
    trp_number_t number = {i >> 63, i};
    assert_int_equal(trp_intervals_reserve(&set), 0);
    trp_intervals_add(&set, number, number);
  }
  assert_in_range(trp_intervals_count(&set), 1, 2);
  assert_true(trp_intervals_contain(&set, (trp_number_t){0, 0}));
  assert_true(trp_intervals_contain(&set, (trp_number_t){0, 99999}));
  assert_false(trp_intervals_contain(&set, (trp_number_t){0, 100000}));
  assert_false(trp_intervals_contain(&set, (trp_number_t){1, 0}));
  trp_intervals_clear(&set);
  assert_false(trp_intervals_contain(&set, (trp_number_t){0, 0}));
}

static void intervals_touch_across_the_halves_and_at_the_end(void **state) {
  (void)state;
  trp_intervals_t set = {0};
  static const trp_interval_t intervals[] = {
      {{0, UINT64_MAX}, {0, UINT64_MAX}},
      {{1, 0}, {1, 5}},
      {{UINT64_MAX, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}},
      {{UINT64_MAX, 0}, {UINT64_MAX, UINT64_MAX}},
      {{UINT64_MAX, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}},
  };
  for (size_t i = 0; i < sizeof intervals / sizeof intervals[0]; i++) {
    assert_int_equal(trp_intervals_reserve(&set), 0);
    trp_intervals_add(&set, intervals[i].first, intervals[i].last);
  }
  assert_int_equal(trp_intervals_count(&set), 2);
  assert_true(trp_intervals_contain(&set, (trp_number_t){0, UINT64_MAX}));
  assert_true(trp_intervals_contain(&set, (trp_number_t){1, 5}));
  assert_false(trp_intervals_contain(&set, (trp_number_t){1, 6}));
  assert_false(trp_intervals_contain(&set, (trp_number_t){UINT64_MAX - 1, UINT64_MAX}));
  assert_true(trp_intervals_contain(&set, (trp_number_t){UINT64_MAX, 0}));
  trp_intervals_clear(&set);
}

// ---- Threads ----

typedef struct shared {
  troupe_block_list_t *list;
  atomic_uint added; // rules whose addition has returned
  atomic_bool done;
  atomic_uint wrong;
} shared_t;

enum { SHARED_RULES = 5000 };

static troupe_address_t shared_address(unsigned i, bool second) {
  // Rules are about even numbers, so that no two of them touch.
  unsigned number = i * 2 + second;
  troupe_address_t address = {
      .family = TROUPE_FAMILY_IPV4,
      .bytes = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
  return address;
}

static void *check_shared(void *argument) {
  shared_t *shared = argument;
  unsigned i = 0;
  while (!atomic_load(&shared->done)) {
    unsigned added = atomic_load(&shared->added);
    if (added > 0) {
      i = (i * 7 + 3) % added;
      troupe_address_t blocked = shared_address(i, false), open = shared_address(i, true);
      char text[TROUPE_BLOCK_RULE_TEXT_SIZE];
      bool right = troupe_block_list_check(shared->list, &blocked) &&
                   !troupe_block_list_check(shared->list, &open) &&
                   troupe_block_list_count(shared->list) >= added &&
                   troupe_block_list_rule_text(shared->list, i, text, sizeof text) > 0;
      atomic_fetch_add(&shared->wrong, !right);
    }
  }
  return NULL;
}

/* parity: blocklist.1 */
static void threads_check_a_list_while_one_adds_to_it(void **state) {
  shared_t shared = {.list = *state};
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, check_shared, &shared), 0);
  }
  int failed = 0;
  for (unsigned i = 0; i < SHARED_RULES; i++) {
    troupe_address_t address = shared_address(i, false);
    failed += troupe_block_list_add_address(shared.list, &address) != 0;
    atomic_store(&shared.added, i + 1);
  }
  atomic_store(&shared.done, true);
  for (int i = 0; i < 3; i++) {
    pthread_join(threads[i], NULL);
  }
  assert_int_equal(failed, 0);
  assert_int_equal(atomic_load(&shared.wrong), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      with_list(an_empty_list_has_nothing),
      trp_test(any_number_of_lists_know_nothing_of_each_other),
      with_list(an_address_blocks_itself_alone),
      with_list(a_range_has_both_its_ends),
      with_list(a_subnet_has_what_shares_its_first_bits),
      with_list(everything_can_be_blocked),
      with_list(rules_of_mapped_addresses_have_ipv4_ones),
      with_list(an_ipv6_subnet_has_ipv4_addresses_if_it_has_what_maps_them),
      with_list(an_ipv6_range_that_crosses_the_mapped_addresses_has_no_ipv4_one),
      with_list(a_range_of_both_families_has_the_mapped_addresses_between),
      with_list(bad_input_is_an_error_and_adds_nothing),
      with_list(what_is_no_address_is_in_no_list),
      with_list(rules_are_told_in_nodes_words_newest_first),
      with_list(the_longest_rule_fits_into_its_text),
      with_list(a_list_that_was_written_can_be_read_again),
      with_list(what_is_no_text_of_a_rule_is_refused),
      with_list(rules_can_be_copied_piece_by_piece),
      trp_test(random_rules_have_what_a_plain_search_finds),
      with_list(a_hundred_thousand_rules_have_what_a_table_of_all_addresses_says),
      trp_test(rules_in_order_become_one_interval),
      trp_test(intervals_touch_across_the_halves_and_at_the_end),
      with_list(threads_check_a_list_while_one_adds_to_it),
  };
  return TRP_RUN_TESTS("block_list", tests);
}
