/* The same questions to Node and to troupe: which texts are IP addresses, what block lists,
 * addresses made of options and encodings do. values.js makes the questions, and prints Node's
 * answers with them. Skipped where there is no Node of version 20.12 or later, unless
 * TROUPE_REQUIRE_NODE is 1. TROUPE_TEST_SEED changes the questions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/block_list.h>
#include <troupe/ip.h>
#include <troupe/socket_address.h>

#include "core/net/encoding.h"
#include "tests/harness/harness.h"

enum { SKIPPED = 77, MOST_FIELDS = 128 };

typedef struct text {
  char *bytes; // NULL: not given
  size_t length;
} text_t;

// One line, and what stands in it.
static struct {
  FILE *from;
  char *line, *whole;
  size_t capacity;
  char *fields[MOST_FIELDS];
  size_t count, lines;
} question;

static size_t counts[5];
enum { ISIP, CHECKS, ADDRESSES, DECODED, ENCODED };

static bool find_node(void) {
  int major = 0, minor = 0;
  FILE *answer = popen("node -p process.versions.node 2>&1", "r");
  if (answer == NULL) {
    return false;
  }
  char line[64] = "";
  char *end = fgets(line, sizeof line, answer);
  pclose(answer);
  if (end != NULL) {
    major = (int)strtol(line, &end, 10);
    minor = *end == '.' ? (int)strtol(end + 1, NULL, 10) : 0;
  }
  return major > 20 || (major == 20 && minor >= 12);
}

static int ask_node(void **state) {
  (void)state;
  char command[1024];
  const char *seed = getenv("TROUPE_TEST_SEED");
  long number = seed == NULL ? 1 : strtol(seed, NULL, 10);
  snprintf(command, sizeof command, "exec node '%s/tests/node/values.js' %ld",
           trp_test_source_folder(), number);
  question.from = popen(command, "r");
  return question.from == NULL ? -1 : 0;
}

static int forget_node(void **state) {
  (void)state;
  free(question.line);
  free(question.whole);
  return pclose(question.from);
}

/// Reads the next question; false when there was none, or it begins otherwise: then it stays.
static bool next(const char *kind) {
  if (question.count == 0) {
    ssize_t length = getline(&question.line, &question.capacity, question.from);
    if (length <= 0) {
      return false;
    }
    question.lines++;
    question.line[strcspn(question.line, "\n")] = '\0';
    free(question.whole);
    question.whole = strdup(question.line);
    assert_non_null(question.whole);
    char *rest = NULL;
    for (char *field = strtok_r(question.line, " ", &rest); field != NULL;
         field = strtok_r(NULL, " ", &rest)) {
      assert_in_range(question.count, 0, MOST_FIELDS - 1);
      question.fields[question.count++] = field;
    }
  }
  return strcmp(question.fields[0], kind) == 0;
}

static void answered(void) {
  question.count = 0;
}

static const char *field(size_t index) {
  assert_in_range(index, 0, question.count - 1);
  return question.fields[index];
}

static long number(size_t index) {
  return strtol(field(index), NULL, 10);
}

/// The bytes of a field, in memory of just that size, so that whoever reads past the end is found.
static text_t text_of(size_t index) {
  const char *hex = field(index);
  text_t text = {NULL, 0};
  if (hex[0] == '~') {
    return text;
  }
  text.length = hex[0] == '-' ? 0 : strlen(hex) / 2;
  text.bytes = malloc(text.length + (text.length == 0));
  assert_non_null(text.bytes);
  for (size_t i = 0; i < text.length; i++) {
    unsigned byte;
    assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
    text.bytes[i] = (char)(unsigned char)byte;
  }
  return text;
}

static void expect(bool holds, const char *what) {
  if (!holds) {
    fail_msg("%s differs in line %zu: %s", what, question.lines, question.whole);
  }
}

/// Node's codes of errors are the names of ours.
static void expect_status(int status, size_t index) {
  const char *code = field(index);
  if (strcmp(code, status == 0 ? "0" : troupe_error_name(status)) != 0) {
    fail_msg("troupe says %d (%s) in line %zu: %s", status, troupe_error_name(status),
             question.lines, question.whole);
  }
}

static void expect_bytes(const void *bytes, size_t length, size_t index) {
  text_t expected = text_of(index);
  bool same = expected.length == length &&
              (length == 0 || memcmp(bytes, expected.bytes, length) == 0);
  free(expected.bytes);
  expect(same, "the result");
}

/* parity: isip.1 isip.2 isip.3 */
static void texts_are_ip_addresses_as_in_node(void **state) {
  (void)state;
  for (; next("isip"); answered(), counts[ISIP]++) {
    text_t text = text_of(1);
    int expected = (int)number(2);
    expect(troupe_is_ip(text.bytes, text.length) == expected, "isIP");
    expect(troupe_is_ipv4(text.bytes, text.length) == (expected == 4), "isIPv4");
    expect(troupe_is_ipv6(text.bytes, text.length) == (expected == 6), "isIPv6");
    free(text.bytes);
  }
  assert_in_range(counts[ISIP], 10000, SIZE_MAX);
}

static int add_objects(troupe_block_list_t *list) {
  text_t start = text_of(2), end = text_of(4);
  const troupe_socket_address_options_t options[] = {
      {.address = start.bytes, .address_length = start.length, .family = (int)number(1)},
      {.address = end.bytes, .address_length = end.length, .family = (int)number(3)},
  };
  troupe_address_t addresses[2];
  assert_int_equal(troupe_socket_address_init(&addresses[0], &options[0]), 0);
  assert_int_equal(troupe_socket_address_init(&addresses[1], &options[1]), 0);
  free(start.bytes);
  free(end.bytes);
  return troupe_block_list_add_range(list, &addresses[0], &addresses[1]);
}

static void fill(troupe_block_list_t *list) {
  for (;; answered()) {
    if (next("objects")) {
      expect_status(add_objects(list), 5);
      continue;
    }
    bool is_address = next("address"), is_range = next("range"), is_subnet = next("subnet");
    if (!is_address && !is_range && !is_subnet) {
      return;
    }
    int family = (int)number(1);
    text_t text = text_of(2);
    if (is_address) {
      expect_status(troupe_block_list_add_address_text(list, text.bytes, text.length, family), 3);
    } else if (is_subnet) {
      expect_status(
          troupe_block_list_add_subnet_text(list, text.bytes, text.length, (int)number(3), family),
          4);
    } else {
      text_t end = text_of(3);
      expect_status(troupe_block_list_add_range_text(list, text.bytes, text.length, end.bytes,
                                                     end.length, family),
                    4);
      free(end.bytes);
    }
    free(text.bytes);
  }
}

static void check(const troupe_block_list_t *list) {
  for (; next("check"); answered(), counts[CHECKS]++) {
    int family = (int)number(1);
    text_t text = text_of(2);
    bool expected = number(3) == 1;
    expect(troupe_block_list_check_text(list, text.bytes, text.length, family) == expected,
           "check of a text");
    const troupe_socket_address_options_t options = {
        .address = text.length == 0 ? "" : text.bytes,
        .address_length = text.length,
        .family = family,
    };
    troupe_address_t address;
    if (troupe_socket_address_init(&address, &options) == 0) {
      expect(troupe_block_list_check(list, &address) == expected, "check");
    }
    free(text.bytes);
  }
}

static void compare_rules(const troupe_block_list_t *list) {
  for (; next("rule"); answered()) {
    char text[TROUPE_BLOCK_RULE_TEXT_SIZE];
    int length = troupe_block_list_rule_text(list, (size_t)number(1), text, sizeof text);
    expect(length > 0, "rules");
    expect_bytes(text, (size_t)length, 2);
  }
  expect(next("rules") && troupe_block_list_count(list) == (size_t)number(1), "rules.length");
  answered();
}

/* parity: blocklist.2 blocklist.3 blocklist.4 blocklist.5 blocklist.6 */
static void block_lists_block_as_in_node(void **state) {
  (void)state;
  while (next("list")) {
    answered();
    troupe_block_list_t *list;
    assert_int_equal(troupe_block_list_new(&list), 0);
    fill(list);
    check(list);
    compare_rules(list);
    troupe_block_list_free(&list);
  }
  assert_in_range(counts[CHECKS], 10000, SIZE_MAX);
}

/* parity: address.1 address.2 address.3 address.4 address.5 */
static void addresses_are_made_of_options_as_in_node(void **state) {
  (void)state;
  for (; next("socketaddress"); answered(), counts[ADDRESSES]++) {
    text_t text = text_of(1);
    troupe_socket_address_options_t options = {
        .address = text.bytes,
        .address_length = text.length,
        .family = (int)number(2),
        .port = (int)number(3),
    };
    // A number that a C option cannot hold is out of range all the same.
    long flowlabel = number(4);
    options.flowlabel = flowlabel > UINT32_MAX ? UINT32_MAX : (uint32_t)flowlabel;
    if (text.bytes != NULL && text.length == 0) {
      options.address = "";
    }
    troupe_address_t address;
    int status = troupe_socket_address_init(&address, &options);
    expect_status(status, 5);
    if (status == 0) {
      char written[TROUPE_ADDRESS_TEXT_SIZE];
      address.scope_id = 0; // which Node does not tell
      expect_bytes(written, troupe_address_text(&address, written, sizeof written), 6);
      expect(address.family == number(7), "family");
      expect(address.port == number(8), "port");
      expect(address.flowlabel == (uint32_t)number(9), "flowlabel");
    }
    free(text.bytes);
  }
  assert_in_range(counts[ADDRESSES], 10000, SIZE_MAX);
}

static troupe_encoding_t encoding_of(size_t index) {
  troupe_encoding_t encoding = TROUPE_ENCODING_NONE;
  const char *name = field(index);
  assert_int_equal(troupe_encoding_parse(&encoding, name, strlen(name)), 0);
  assert_string_equal(troupe_encoding_name(encoding), name);
  return encoding;
}

/* parity: socket.47 socket.52 */
static void encodings_have_nodes_names(void **state) {
  (void)state;
  for (; next("name"); answered()) {
    text_t text = text_of(1);
    troupe_encoding_t encoding;
    int status = troupe_encoding_parse(&encoding, text.bytes, text.length);
    if (field(2)[0] == '~') {
      expect(status == TROUPE_ERR_UNKNOWN_ENCODING, "an unknown encoding");
    } else {
      expect(status == 0 && strcmp(troupe_encoding_name(encoding), field(2)) == 0, "the encoding");
    }
    free(text.bytes);
  }
}

/* parity: socket.47 */
static void streams_are_decoded_as_in_node(void **state) {
  (void)state;
  for (; next("decode"); answered(), counts[DECODED]++) {
    trp_decoder_t decoder;
    trp_text_t text = {0};
    assert_int_equal(trp_decoder_init(&decoder, encoding_of(1)), 0);
    size_t pieces = (size_t)number(2), together = 3 + pieces, each = together + 1;
    for (size_t i = 0; i <= pieces; i++) {
      size_t before = text.length;
      if (i < pieces) {
        text_t piece = text_of(3 + i);
        assert_int_equal(trp_decoder_feed(&decoder, piece.bytes, piece.length, &text), 0);
        free(piece.bytes);
      } else {
        assert_int_equal(trp_decoder_flush(&decoder, &text), 0);
      }
      if (each < question.count) {
        expect_bytes(text.bytes + before, text.length - before, each + i);
      }
    }
    expect_bytes(text.bytes, text.length, together);
    trp_text_free(&text);
    trp_decoder_free(&decoder);
  }
  assert_in_range(counts[DECODED], 10000, SIZE_MAX);
}

/* parity: socket.52 */
static void text_is_encoded_as_in_node(void **state) {
  (void)state;
  for (; next("encode"); answered(), counts[ENCODED]++) {
    text_t text = text_of(2);
    trp_text_t bytes = {0};
    assert_int_equal(trp_encode(encoding_of(1), text.bytes, text.length, &bytes), 0);
    expect_bytes(bytes.bytes, bytes.length, 3);
    trp_text_free(&bytes);
    free(text.bytes);
  }
  assert_in_range(counts[ENCODED], 10000, SIZE_MAX);
}

static void every_question_was_answered(void **state) {
  (void)state;
  expect(next("end") && (size_t)number(1) + 1 == question.lines, "the number of questions");
}

int main(void) {
  if (!find_node()) {
    const char *required = getenv("TROUPE_REQUIRE_NODE");
    fprintf(stderr, "there is no node of version 20.12 or later\n");
    return required != NULL && strcmp(required, "1") == 0 ? EXIT_FAILURE : SKIPPED;
  }
  // In the order of the questions.
  const struct CMUnitTest tests[] = {
      trp_test(texts_are_ip_addresses_as_in_node),
      trp_test(block_lists_block_as_in_node),
      trp_test(addresses_are_made_of_options_as_in_node),
      trp_test(encodings_have_nodes_names),
      trp_test(streams_are_decoded_as_in_node),
      trp_test(text_is_encoded_as_in_node),
      trp_test(every_question_was_answered),
  };
  return TRP_RUN_TESTS_IN_GROUP("values", tests, ask_node, forget_node);
}
