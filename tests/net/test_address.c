/* Addresses: texts read and written, compared, sent and received. */
#include <string.h>
#include <troupe/address.h>

#include "core/net/endpoint.h"
#include "core/net/wire_address.h"
#include "tests/harness/harness.h"

static troupe_address_t parse(const char *text, uint16_t port) {
  troupe_address_t address;
  assert_int_equal(troupe_address_parse(&address, text, strlen(text), port), 0);
  return address;
}

static void assert_text(const troupe_address_t *address, const char *expected) {
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  assert_int_equal(troupe_address_text(address, text, sizeof text), strlen(expected));
  assert_string_equal(text, expected);
}

static void literals_are_read_and_written_in_canonical_form(void **state) {
  (void)state;
  static const struct {
    const char *text, *canonical;
    int family;
  } cases[] = {
      {"127.0.0.1", "127.0.0.1", 4},
      {"0.0.0.0", "0.0.0.0", 4},
      {"255.255.255.255", "255.255.255.255", 4},
      {"::1", "::1", 6},
      {"::", "::", 6},
      {"ABCD:0:0::1", "abcd::1", 6},
      {"::ffff:1.2.3.4", "::ffff:1.2.3.4", 6},
      {"2001:db8:0:0:0:0:0:1", "2001:db8::1", 6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    troupe_address_t address = parse(cases[i].text, 80);
    assert_int_equal(address.family, cases[i].family);
    assert_int_equal(address.port, 80);
    assert_text(&address, cases[i].canonical);
  }
}

static void a_zone_is_an_interface(void **state) {
  (void)state;
  troupe_address_t address = parse("fe80::1%lo", 1);
  assert_int_equal(address.scope_id, 1);
  assert_text(&address, "fe80::1%lo");
  address = parse("fe80::1%4000000", 1);
  assert_int_equal(address.scope_id, 4000000);
  assert_text(&address, "fe80::1%4000000");
}

static void an_interface_that_is_not_there_leaves_no_scope(void **state) {
  (void)state;
  troupe_address_t address = parse("fe80::1%no-such-if", 1);
  assert_int_equal(address.scope_id, 0);
}

static void other_texts_are_no_addresses(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",          "localhost",    "127.0.0.01", "127.0.0.1 ", " 127.0.0.1", "127.1",
      "256.0.0.1", "127.0.0.1:1",  "[::1]",      "::1/64",     "1::2::3",    "fe80::1%",
      "::1%a_b",   "127.0.0.1%lo", "0x7f.0.0.1", "12345::",    "::1\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    troupe_address_t address = {.family = 77};
    assert_int_equal(troupe_address_parse(&address, texts[i], strlen(texts[i]), 0),
                     TROUPE_ERR_INVALID_ADDRESS);
    assert_int_equal(address.family, 77);
  }
  troupe_address_t address;
  assert_int_equal(troupe_address_parse(&address, "127.0.0.1\0x", 11, 0),
                   TROUPE_ERR_INVALID_ADDRESS);
  assert_int_equal(troupe_address_parse(&address, NULL, 0, 0), TROUPE_ERR_INVALID_ADDRESS);
  char lengthy[500];
  memset(lengthy, '1', sizeof lengthy);
  assert_int_equal(troupe_address_parse(&address, lengthy, sizeof lengthy, 0),
                   TROUPE_ERR_INVALID_ADDRESS);
}

static void a_literal_needs_no_nul(void **state) {
  (void)state;
  troupe_address_t address;
  assert_int_equal(troupe_address_parse(&address, "10.0.0.12", 8, 0), 0);
  assert_text(&address, "10.0.0.1");
}

static void paths_and_abstract_names(void **state) {
  (void)state;
  troupe_address_t address;
  assert_int_equal(troupe_address_path(&address, "/run/x.sock", 11), 0);
  assert_int_equal(address.family, TROUPE_FAMILY_UNIX);
  assert_text(&address, "/run/x.sock");
  assert_int_equal(troupe_address_path(&address, "\0name", 5), 0);
  assert_text(&address, "@name");
  char path[TROUPE_PATH_MAX + 1];
  memset(path, 'p', sizeof path);
  assert_int_equal(troupe_address_path(&address, path, TROUPE_PATH_MAX), 0);
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  assert_int_equal(troupe_address_text(&address, text, sizeof text), TROUPE_PATH_MAX);
  assert_int_equal(troupe_address_path(&address, path, sizeof path), TROUPE_ENAMETOOLONG);
  assert_int_equal(troupe_address_path(&address, "", 0), TROUPE_ERR_INVALID_ARG_VALUE);
  assert_int_equal(troupe_address_path(&address, "a\0b", 3), TROUPE_ERR_INVALID_ARG_VALUE);
  assert_int_equal(troupe_address_path(&address, NULL, 3), TROUPE_ERR_INVALID_ARG_VALUE);
}

static void a_text_without_room_is_cut(void **state) {
  (void)state;
  troupe_address_t address = parse("127.0.0.1", 0);
  char text[4] = "xyz";
  assert_int_equal(troupe_address_text(&address, text, sizeof text), 3);
  assert_string_equal(text, "127");
  assert_int_equal(troupe_address_text(&address, text, 0), 0);
  troupe_address_t none = {0};
  assert_int_equal(troupe_address_text(&none, text, sizeof text), 0);
  assert_string_equal(text, "");
}

static void equal_addresses_have_equal_ports(void **state) {
  (void)state;
  troupe_address_t a = parse("10.0.0.1", 1);
  troupe_address_t b = parse("10.0.0.1", 1);
  assert_true(troupe_address_equal(&a, &b));
  b.port = 2;
  assert_false(troupe_address_equal(&a, &b));
  b = parse("10.0.0.2", 1);
  assert_false(troupe_address_equal(&a, &b));
  b = parse("::ffff:10.0.0.1", 1);
  assert_false(troupe_address_equal(&a, &b));
  a = parse("::ffff:10.0.0.1", 1);
  assert_true(troupe_address_equal(&a, &b));
  troupe_address_path(&a, "/x", 2);
  troupe_address_path(&b, "/y", 2);
  assert_false(troupe_address_equal(&a, &b));
  troupe_address_path(&b, "/x", 2);
  assert_true(troupe_address_equal(&a, &b));
}

static void addresses_survive_the_wire_and_little_room(void **state) {
  (void)state;
  troupe_address_t addresses[4] = {parse("1.2.3.4", 5), parse("fe80::1%lo", 6)};
  addresses[1].flowlabel = 77;
  troupe_address_path(&addresses[2], "\0abstract", 9);
  addresses[3].family = TROUPE_FAMILY_UNIX; // the side that did not bind
  for (size_t i = 0; i < 4; i++) {
    Troupe__Wire__Address wire;
    trp_address_fill_wire(&wire, &addresses[i]);
    troupe_address_t back;
    assert_true(trp_address_from_wire(&back, &wire));
    assert_true(troupe_address_equal(&addresses[i], &back));
    trp_endpoint_t endpoint = {0};
    trp_endpoint_set(&endpoint, &wire);
    trp_endpoint_get(&endpoint, &back);
    assert_true(troupe_address_equal(&addresses[i], &back));
    trp_endpoint_clear(&endpoint);
    assert_int_equal(endpoint.family, TROUPE_FAMILY_NONE);
  }
}

static void a_malformed_address_is_none(void **state) {
  (void)state;
  uint8_t bytes[200] = {1};
  troupe_address_t address;
  assert_false(trp_address_from_wire(&address, NULL));
  static const struct {
    uint32_t family;
    size_t length;
    uint32_t port;
  } cases[] = {{4, 16, 1}, {6, 4, 1}, {4, 4, 65536}, {0, 4, 1}, {9, 4, 1}, {1, 109, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Troupe__Wire__Address wire = TROUPE__WIRE__ADDRESS__INIT;
    wire.family = cases[i].family;
    wire.bytes.data = bytes;
    wire.bytes.len = cases[i].length;
    wire.port = cases[i].port;
    assert_false(trp_address_from_wire(&address, &wire));
    assert_int_equal(address.family, TROUPE_FAMILY_NONE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(literals_are_read_and_written_in_canonical_form),
      trp_test(a_zone_is_an_interface),
      trp_test(an_interface_that_is_not_there_leaves_no_scope),
      trp_test(other_texts_are_no_addresses),
      trp_test(a_literal_needs_no_nul),
      trp_test(paths_and_abstract_names),
      trp_test(a_text_without_room_is_cut),
      trp_test(equal_addresses_have_equal_ports),
      trp_test(addresses_survive_the_wire_and_little_room),
      trp_test(a_malformed_address_is_none),
  };
  return TRP_RUN_TESTS("address", tests);
}
