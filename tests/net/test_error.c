/* Errors: every value has a name and words, and events say what Node says. */
#include <errno.h>
#include <string.h>
#include <troupe/error.h>

#include "core/net/wire_error.h"
#include "tests/harness/harness.h"

static Troupe__Wire__Error wire_of(int code, const char *syscall, const char *address, int port) {
  Troupe__Wire__Error wire = TROUPE__WIRE__ERROR__INIT;
  wire.code = code;
  wire.syscall = (char *)syscall;
  wire.address = (char *)address;
  wire.port = port;
  return wire;
}

static void assert_message(const Troupe__Wire__Error *wire, const char *expected) {
  troupe_error_t *error = trp_error_from_wire(wire);
  assert_non_null(error);
  assert_int_equal(error->code, wire->code);
  assert_string_equal(error->message, expected);
  trp_error_free(error);
}

static void every_value_has_its_name_and_words(void **state) {
  (void)state;
#define CHECK(symbol, value, name, message)                                                        \
  assert_string_equal(troupe_error_name(TROUPE_##symbol), name);                                   \
  assert_string_equal(troupe_error_message(TROUPE_##symbol), message);                             \
  assert_int_equal(TROUPE_##symbol, value);
  TROUPE_ERRORS(CHECK)
#undef CHECK
}

static void unknown_values_are_unknown(void **state) {
  (void)state;
  assert_string_equal(troupe_error_name(0), "OK");
  assert_string_equal(troupe_error_message(0), "no error");
  assert_string_equal(troupe_error_name(-9999), "EUNKNOWN");
  assert_string_equal(troupe_error_message(1), "unknown error");
}

static void values_of_the_system_are_its_errno(void **state) {
  (void)state;
  assert_int_equal(TROUPE_ECONNREFUSED, -ECONNREFUSED);
  assert_int_equal(TROUPE_EADDRINUSE, -EADDRINUSE);
  assert_int_equal(TROUPE_ECONNRESET, -ECONNRESET);
  assert_int_equal(TROUPE_ENOMEM, -ENOMEM);
  assert_int_equal(TROUPE_ECANCELED, -ECANCELED);
}

static void no_value_is_used_twice(void **state) {
  (void)state;
  static const int values[] = {
#define VALUE(symbol, value, name, message) value,
      TROUPE_ERRORS(VALUE)
#undef VALUE
  };
  size_t count = sizeof values / sizeof values[0];
  for (size_t i = 0; i < count; i++) {
    assert_true(values[i] < 0);
    for (size_t j = i + 1; j < count; j++) {
      assert_int_not_equal(values[i], values[j]);
    }
  }
}

static void messages_are_those_of_node(void **state) {
  (void)state;
  static const struct {
    int code;
    const char *syscall, *address;
    int port;
    const char *message;
  } cases[] = {
      {TROUPE_ECONNREFUSED, "connect", "127.0.0.1", 1, "connect ECONNREFUSED 127.0.0.1:1"},
      {TROUPE_ENOENT, "connect", "/no/path", 0, "connect ENOENT /no/path"},
      {TROUPE_EADDRNOTAVAIL, "bind", "203.0.113.1", 0, "bind EADDRNOTAVAIL 203.0.113.1"},
      {TROUPE_EADDRINUSE, "bind", "0.0.0.0", 81, "bind EADDRINUSE 0.0.0.0:81"},
      {TROUPE_EADDRINUSE, "listen", "::", 8080,
       "listen EADDRINUSE: address already in use :::8080"},
      {TROUPE_EADDRINUSE, "listen", "/path", -1, "listen EADDRINUSE: address already in use /path"},
      {TROUPE_EACCES, "listen", "127.0.0.1", 80, "listen EACCES: permission denied 127.0.0.1:80"},
      {TROUPE_EINVAL, "listen", "", 0, "listen EINVAL: invalid argument"},
      {TROUPE_EADDRNOTAVAIL, "listen", "203.0.113.1", 0,
       "listen EADDRNOTAVAIL: address not available 203.0.113.1"},
      {TROUPE_ENOTFOUND, "getaddrinfo", "no.such", 0, "getaddrinfo ENOTFOUND no.such"},
      {TROUPE_ECONNRESET, "read", "", 0, "read ECONNRESET"},
      {TROUPE_EPIPE, "write", "", 0, "write EPIPE"},
      {TROUPE_EPIPE, "", "", 0, "This socket has been ended by the other party"},
      {TROUPE_ERR_SOCKET_CLOSED, "", "", 0, "Socket is closed"},
      {TROUPE_ERR_INVALID_IP_ADDRESS, "", "x", 0, "Invalid IP address: x"},
      {TROUPE_ABORT_ERR, "", "", 0, "The operation was aborted"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Troupe__Wire__Error wire = wire_of(cases[i].code, cases[i].syscall, cases[i].address,
                                       cases[i].port);
    assert_message(&wire, cases[i].message);
  }
}

static void a_local_address_is_added(void **state) {
  (void)state;
  Troupe__Wire__Error wire = wire_of(TROUPE_ECONNREFUSED, "connect", "127.0.0.1", 1);
  wire.has_local = true;
  wire.local_address = (char *)"0.0.0.0";
  wire.local_port = 41235;
  assert_message(&wire, "connect ECONNREFUSED 127.0.0.1:1 - Local (0.0.0.0:41235)");
  troupe_error_t *error = trp_error_from_wire(&wire);
  assert_string_equal(error->local_address, "0.0.0.0");
  assert_int_equal(error->local_port, 41235);
  trp_error_free(error);
  wire.local_address = (char *)"::";
  wire.local_port = 0;
  assert_message(&wire, "connect ECONNREFUSED 127.0.0.1:1 - Local (:::0)");
  wire.local_address = (char *)"";
  assert_message(&wire, "connect ECONNREFUSED 127.0.0.1:1 - Local (undefined:undefined)");
}

static void fields_that_are_not_there_are_null(void **state) {
  (void)state;
  Troupe__Wire__Error wire = wire_of(TROUPE_ECONNRESET, "read", "", 0);
  troupe_error_t *error = trp_error_from_wire(&wire);
  assert_string_equal(error->name, "ECONNRESET");
  assert_string_equal(error->syscall, "read");
  assert_null(error->address);
  assert_null(error->local_address);
  assert_int_equal(error->port, 0);
  assert_int_equal(error->error_count, 0);
  assert_null(error->errors);
  trp_error_free(error);
  assert_null(trp_error_from_wire(NULL));
  trp_error_free(NULL);
}

static void an_aggregate_has_parts_and_no_message(void **state) {
  (void)state;
  Troupe__Wire__Error first = wire_of(TROUPE_ECONNREFUSED, "connect", "::1", 9);
  Troupe__Wire__Error second = wire_of(TROUPE_ETIMEDOUT, "connect", "127.0.0.1", 9);
  Troupe__Wire__Error *parts[] = {&first, &second};
  Troupe__Wire__Error wire = wire_of(TROUPE_ECONNREFUSED, "", "", 0);
  wire.errors = parts;
  wire.n_errors = 2;
  troupe_error_t *error = trp_error_from_wire(&wire);
  assert_string_equal(error->message, "");
  assert_string_equal(error->name, "ECONNREFUSED");
  assert_int_equal(error->error_count, 2);
  assert_string_equal(error->errors[0].message, "connect ECONNREFUSED ::1:9");
  assert_string_equal(error->errors[1].message, "connect ETIMEDOUT 127.0.0.1:9");
  assert_string_equal(error->errors[1].address, "127.0.0.1");
  assert_int_equal(error->errors[1].port, 9);
  trp_error_free(error);
}

static void without_memory_the_code_is_left(void **state) {
  (void)state;
  troupe_error_t spare;
  const troupe_error_t *error = trp_error_or(NULL, &spare, TROUPE_ETIMEDOUT);
  assert_ptr_equal(error, &spare);
  assert_string_equal(error->name, "ETIMEDOUT");
  assert_string_equal(error->message, "connection timed out");
  troupe_error_t *made = trp_error_make(TROUPE_ERR_SOCKET_CLOSED, NULL, NULL, 0, "of my own");
  assert_string_equal(made->message, "of my own");
  assert_ptr_equal(trp_error_or(made, &spare, 0), made);
  trp_error_free(made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(every_value_has_its_name_and_words), trp_test(unknown_values_are_unknown),
      trp_test(values_of_the_system_are_its_errno), trp_test(no_value_is_used_twice),
      trp_test(messages_are_those_of_node),         trp_test(a_local_address_is_added),
      trp_test(fields_that_are_not_there_are_null), trp_test(an_aggregate_has_parts_and_no_message),
      trp_test(without_memory_the_code_is_left),
  };
  return TRP_RUN_TESTS("error", tests);
}
