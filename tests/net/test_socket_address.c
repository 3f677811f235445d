/* Addresses made of options. tests/node/test_values.sh asks Node the same. */
#include <string.h>
#include <troupe/socket_address.h>

#include "tests/harness/harness.h"

static troupe_address_t make(const troupe_socket_address_options_t *options) {
  troupe_address_t address;
  memset(&address, 0xff, sizeof address);
  assert_int_equal(troupe_socket_address_init(&address, options), 0);
  return address;
}

static void assert_text(const troupe_address_t *address, const char *expected) {
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  troupe_address_text(address, text, sizeof text);
  assert_string_equal(text, expected);
}

static void assert_refused(const troupe_socket_address_options_t *options, int error) {
  troupe_address_t address = {.family = 77};
  assert_int_equal(troupe_socket_address_init(&address, options), error);
  assert_int_equal(address.family, 77);
}

/* parity: address.1 address.2 address.3 address.4 address.5 */
static void without_options_it_is_port_0_of_127_0_0_1(void **state) {
  (void)state;
  static const troupe_socket_address_options_t zeroed;
  troupe_address_t address = make(NULL);
  assert_text(&address, "127.0.0.1");
  assert_int_equal(address.family, TROUPE_FAMILY_IPV4);
  assert_int_equal(address.port, 0);
  assert_int_equal(address.flowlabel, 0);
  troupe_address_t same = make(&zeroed);
  assert_true(troupe_address_equal(&address, &same));
}

/* parity: address.1 address.2 address.3 */
static void ipv6_without_an_address_is_the_unspecified_one(void **state) {
  (void)state;
  const troupe_socket_address_options_t options = {.family = TROUPE_FAMILY_IPV6};
  troupe_address_t address = make(&options);
  assert_text(&address, "::");
  assert_int_equal(address.family, TROUPE_FAMILY_IPV6);
}

/* parity: address.1 address.2 address.3 address.4 address.5 */
static void it_has_what_the_options_say(void **state) {
  (void)state;
  const troupe_socket_address_options_t ipv4 = {.address = "10.1.2.3", .port = 65535};
  troupe_address_t address = make(&ipv4);
  assert_text(&address, "10.1.2.3");
  assert_int_equal(address.port, 65535);

  const troupe_socket_address_options_t ipv6 = {
      .address = "ABCD:0:0::1 and more",
      .address_length = 11,
      .family = TROUPE_FAMILY_IPV6,
      .port = 80,
      .flowlabel = 0xfffff,
  };
  address = make(&ipv6);
  assert_text(&address, "abcd::1");
  assert_int_equal(address.family, TROUPE_FAMILY_IPV6);
  assert_int_equal(address.port, 80);
  assert_int_equal(address.flowlabel, 0xfffff);

  const troupe_socket_address_options_t mapped = {.address = "::ffff:1.2.3.4",
                                                  .family = TROUPE_FAMILY_IPV6};
  address = make(&mapped);
  assert_text(&address, "::ffff:1.2.3.4");
}

/* parity: address.4 */
static void ipv4_has_no_flow_label(void **state) {
  (void)state;
  const troupe_socket_address_options_t options = {.flowlabel = 5};
  assert_int_equal(make(&options).flowlabel, 0);
}

/* parity: address.1 */
static void a_zone_becomes_the_scope(void **state) {
  (void)state;
  const troupe_socket_address_options_t options = {.address = "fe80::1%lo",
                                                   .family = TROUPE_FAMILY_IPV6};
  assert_int_equal(make(&options).scope_id, 1);
}

/* parity: address.1 address.3 */
static void other_families_are_refused(void **state) {
  (void)state;
  static const int families[] = {TROUPE_FAMILY_UNIX, -1, 2, 5, 7, 10};
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
    const troupe_socket_address_options_t options = {.family = families[i], .port = -1};
    assert_refused(&options, TROUPE_ERR_INVALID_ARG_VALUE);
  }
}

/* parity: address.1 address.5 */
static void other_ports_are_refused(void **state) {
  (void)state;
  static const int ports[] = {-1, 65536, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
    const troupe_socket_address_options_t options = {.port = ports[i], .flowlabel = UINT32_MAX};
    assert_refused(&options, TROUPE_ERR_SOCKET_BAD_PORT);
  }
}

/* parity: address.1 address.4 */
static void flow_labels_of_more_than_20_bits_are_refused(void **state) {
  (void)state;
  static const uint32_t labels[] = {0x100000, UINT32_MAX};
  for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
    const troupe_socket_address_options_t ipv6 = {
        .family = TROUPE_FAMILY_IPV6, .flowlabel = labels[i], .address = "no address"};
    const troupe_socket_address_options_t ipv4 = {.flowlabel = labels[i]};
    assert_refused(&ipv6, TROUPE_ERR_OUT_OF_RANGE);
    assert_refused(&ipv4, TROUPE_ERR_OUT_OF_RANGE);
  }
}

/* parity: address.1 address.2 */
static void texts_that_are_no_address_of_the_family_are_refused(void **state) {
  (void)state;
  static const char *const not_ipv4[] = {"::1", "", "localhost", "127.0.0.01", "1.2.3", "1.2.3.4 "};
  static const char *const not_ipv6[] = {"127.0.0.1", "", "::1::", "12345::", "[::1]", "::1%"};
  for (size_t i = 0; i < sizeof not_ipv4 / sizeof not_ipv4[0]; i++) {
    const troupe_socket_address_options_t options = {.address = not_ipv4[i]};
    assert_refused(&options, TROUPE_ERR_INVALID_ADDRESS);
  }
  for (size_t i = 0; i < sizeof not_ipv6 / sizeof not_ipv6[0]; i++) {
    const troupe_socket_address_options_t options = {.address = not_ipv6[i],
                                                     .family = TROUPE_FAMILY_IPV6};
    assert_refused(&options, TROUPE_ERR_INVALID_ADDRESS);
  }
  const troupe_socket_address_options_t with_nul = {.address = "127.0.0.1\0x",
                                                    .address_length = 11};
  assert_refused(&with_nul, TROUPE_ERR_INVALID_ADDRESS);
  assert_int_equal(troupe_socket_address_init(NULL, NULL), TROUPE_EINVAL);
}

/* parity: beside.4 */
static void a_text_has_an_address_and_perhaps_a_port(void **state) {
  (void)state;
  static const struct {
    const char *text, *address;
    int port;
  } right[] = {
      {"127.0.0.1:80", "127.0.0.1", 80},
      {"127.0.0.1", "127.0.0.1", 0},
      {"1.2.3.4:0", "1.2.3.4", 0},
      {"1.2.3.4:65535", "1.2.3.4", 65535},
      {"1.2.3.4:00080", "1.2.3.4", 80},
      {"[::1]:80", "::1", 80},
      {"[::1]", "::1", 0},
      {"[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", 1},
  };
  for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
    troupe_address_t address;
    assert_int_equal(troupe_socket_address_parse(&address, right[i].text, strlen(right[i].text)),
                     0);
    assert_text(&address, right[i].address);
    assert_int_equal(address.port, right[i].port);
  }
}

/* parity: beside.4 */
static void a_text_of_anything_else_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int error;
  } wrong[] = {
      {"", TROUPE_ERR_INVALID_ADDRESS},
      {"::1", TROUPE_ERR_SOCKET_BAD_PORT}, /* as if "" had the port ":1" */
      {"::1:80", TROUPE_ERR_SOCKET_BAD_PORT},
      {"[::1", TROUPE_ERR_INVALID_ADDRESS},
      {"[::1]80", TROUPE_ERR_INVALID_ADDRESS},
      {"[]", TROUPE_ERR_INVALID_ADDRESS},
      {"[1.2.3.4]:80", TROUPE_ERR_INVALID_ADDRESS},
      {"localhost:80", TROUPE_ERR_INVALID_ADDRESS},
      {":80", TROUPE_ERR_INVALID_ADDRESS},
      {"1.2.3:80", TROUPE_ERR_INVALID_ADDRESS},
      {"1.2.3.4:", TROUPE_ERR_SOCKET_BAD_PORT},
      {"1.2.3.4:65536", TROUPE_ERR_SOCKET_BAD_PORT},
      {"1.2.3.4:-1", TROUPE_ERR_SOCKET_BAD_PORT},
      {"1.2.3.4:8x", TROUPE_ERR_SOCKET_BAD_PORT},
      {"1.2.3.4:000080", TROUPE_ERR_SOCKET_BAD_PORT},
      {"[::1]:", TROUPE_ERR_SOCKET_BAD_PORT},
      {" 1.2.3.4", TROUPE_ERR_INVALID_ADDRESS},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    troupe_address_t address = {.family = 77};
    int error = troupe_socket_address_parse(&address, wrong[i].text, strlen(wrong[i].text));
    if (error != wrong[i].error || address.family != 77) {
      fail_msg("'%s': %s", wrong[i].text, troupe_error_name(error));
    }
  }
  troupe_address_t address;
  assert_int_equal(troupe_socket_address_parse(&address, "1.2.3.4\0", 8),
                   TROUPE_ERR_INVALID_ADDRESS);
  assert_int_equal(troupe_socket_address_parse(&address, NULL, 0), TROUPE_ERR_INVALID_ADDRESS);
  assert_int_equal(troupe_socket_address_parse(NULL, "1.2.3.4", 7), TROUPE_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(without_options_it_is_port_0_of_127_0_0_1),
      trp_test(ipv6_without_an_address_is_the_unspecified_one),
      trp_test(it_has_what_the_options_say),
      trp_test(ipv4_has_no_flow_label),
      trp_test(a_zone_becomes_the_scope),
      trp_test(other_families_are_refused),
      trp_test(other_ports_are_refused),
      trp_test(flow_labels_of_more_than_20_bits_are_refused),
      trp_test(texts_that_are_no_address_of_the_family_are_refused),
      trp_test(a_text_has_an_address_and_perhaps_a_port),
      trp_test(a_text_of_anything_else_is_refused),
  };
  return TRP_RUN_TESTS("socket_address", tests);
}
