/* Encodings: streams of bytes to text, however they are cut, and text to bytes.
 * tests/node/test_values.sh compares with Node. */
#include <stdlib.h>
#include <string.h>
#include <troupe/encoding.h>

#include "core/net/encoding.h"
#include "core/net/utf8.h"
#include "tests/harness/harness.h"

#define BAD "\xef\xbf\xbd" // U+FFFD

static const troupe_encoding_t all[] = {
    TROUPE_ENCODING_UTF8, TROUPE_ENCODING_UTF16LE, TROUPE_ENCODING_LATIN1,    TROUPE_ENCODING_ASCII,
    TROUPE_ENCODING_HEX,  TROUPE_ENCODING_BASE64,  TROUPE_ENCODING_BASE64URL,
};
enum { ENCODINGS = sizeof all / sizeof all[0] };

/// Decodes the bytes in pieces of `piece` bytes. Each piece is a copy, so that reading past its end
/// is found by AddressSanitizer and valgrind.
static void decode(troupe_encoding_t encoding, const void *bytes, size_t length, size_t piece,
                   trp_text_t *text) {
  trp_decoder_t decoder;
  assert_int_equal(trp_decoder_init(&decoder, encoding), 0);
  for (size_t at = 0; at < length; at += piece) {
    size_t size = length - at < piece ? length - at : piece;
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, (const char *)bytes + at, size);
    assert_int_equal(trp_decoder_feed(&decoder, copy, size, text), 0);
    free(copy);
  }
  assert_int_equal(trp_decoder_flush(&decoder, text), 0);
  trp_decoder_free(&decoder);
}

static void assert_text(const trp_text_t *text, const char *expected, size_t length) {
  assert_int_equal(text->length, length);
  if (length > 0) {
    assert_memory_equal(text->bytes, expected, length);
  }
}

/// Whatever the pieces are.
static void assert_decodes(troupe_encoding_t encoding, const char *bytes, size_t length,
                           const char *expected, size_t expected_length) {
  for (size_t piece = 1; piece <= length + 1; piece++) {
    trp_text_t text = {0};
    decode(encoding, bytes, length, piece, &text);
    assert_text(&text, expected, expected_length);
    trp_text_free(&text);
  }
}

static void assert_encodes(troupe_encoding_t encoding, const char *text, size_t length,
                           const char *expected, size_t expected_length) {
  char *copy = malloc(length + (length == 0));
  assert_non_null(copy);
  memcpy(copy, text, length);
  trp_text_t bytes = {0};
  assert_int_equal(trp_encode(encoding, copy, length, &bytes), 0);
  assert_text(&bytes, expected, expected_length);
  trp_text_free(&bytes);
  free(copy);
}

// Of literals, which may have a NUL inside.
#define DECODES(encoding, bytes, text)                                                             \
  assert_decodes(TROUPE_ENCODING_##encoding, bytes, sizeof(bytes) - 1, text, sizeof(text) - 1)
#define ENCODES(encoding, text, bytes)                                                             \
  assert_encodes(TROUPE_ENCODING_##encoding, text, sizeof(text) - 1, bytes, sizeof(bytes) - 1)

/* parity: socket.47 socket.52 */
static void names_are_nodes_in_letters_of_any_case(void **state) {
  (void)state;
  static const struct {
    const char *name;
    troupe_encoding_t encoding;
    const char *told;
  } cases[] = {
      {"utf8", TROUPE_ENCODING_UTF8, "utf8"},
      {"UTF-8", TROUPE_ENCODING_UTF8, "utf8"},
      {"utf16le", TROUPE_ENCODING_UTF16LE, "utf16le"},
      {"Utf-16LE", TROUPE_ENCODING_UTF16LE, "utf16le"},
      {"ucs2", TROUPE_ENCODING_UTF16LE, "utf16le"},
      {"UCS-2", TROUPE_ENCODING_UTF16LE, "utf16le"},
      {"latin1", TROUPE_ENCODING_LATIN1, "latin1"},
      {"BINARY", TROUPE_ENCODING_LATIN1, "latin1"},
      {"ascii", TROUPE_ENCODING_ASCII, "ascii"},
      {"Hex", TROUPE_ENCODING_HEX, "hex"},
      {"base64", TROUPE_ENCODING_BASE64, "base64"},
      {"Base64URL", TROUPE_ENCODING_BASE64URL, "base64url"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    troupe_encoding_t encoding = TROUPE_ENCODING_NONE;
    assert_int_equal(troupe_encoding_parse(&encoding, cases[i].name, strlen(cases[i].name)), 0);
    assert_int_equal(encoding, cases[i].encoding);
    assert_string_equal(troupe_encoding_name(encoding), cases[i].told);
  }
  static const char *const others[] = {"",       "utf",   "utf88", "utf16", "utf-7", "iso-8859-1",
                                       "buffer", "utf8 ", " utf8", "none",  "he",    "base-64"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    troupe_encoding_t encoding = TROUPE_ENCODING_HEX;
    assert_int_equal(troupe_encoding_parse(&encoding, others[i], strlen(others[i])),
                     TROUPE_ERR_UNKNOWN_ENCODING);
    assert_int_equal(encoding, TROUPE_ENCODING_HEX);
  }
  troupe_encoding_t encoding;
  assert_int_equal(troupe_encoding_parse(&encoding, "utf8\0", 5), TROUPE_ERR_UNKNOWN_ENCODING);
  assert_int_equal(troupe_encoding_parse(&encoding, "hex and more", 3), 0);
  assert_int_equal(troupe_encoding_parse(&encoding, NULL, 0), TROUPE_ERR_UNKNOWN_ENCODING);
  assert_int_equal(troupe_encoding_parse(NULL, "hex", 3), TROUPE_EINVAL);
  assert_null(troupe_encoding_name(TROUPE_ENCODING_NONE));
  assert_null(troupe_encoding_name((troupe_encoding_t)8));
}

/* parity: socket.47 */
static void utf8_comes_as_whole_characters(void **state) {
  (void)state;
  trp_decoder_t decoder;
  trp_text_t text = {0};
  assert_int_equal(trp_decoder_init(&decoder, TROUPE_ENCODING_UTF8), 0);
  assert_int_equal(trp_decoder_feed(&decoder, "a\xe2", 2, &text), 0);
  assert_text(&text, "a", 1);
  assert_int_equal(trp_decoder_feed(&decoder, "\x82", 1, &text), 0);
  assert_text(&text, "a", 1);
  assert_int_equal(trp_decoder_feed(&decoder, "\xac", 1, &text), 0);
  assert_text(&text, "a\xe2\x82\xac", 4);
  text.length = 0;
  assert_int_equal(trp_decoder_feed(&decoder, "\xf0\x9f\x98", 3, &text), 0);
  assert_int_equal(trp_decoder_feed(&decoder, "", 0, &text), 0);
  assert_text(&text, "", 0);
  assert_int_equal(trp_decoder_feed(&decoder, "\x80z", 2, &text), 0);
  assert_text(&text, "\xf0\x9f\x98\x80z", 5);
  assert_int_equal(trp_decoder_flush(&decoder, &text), 0);
  assert_text(&text, "\xf0\x9f\x98\x80z", 5);
  trp_decoder_free(&decoder);
  trp_text_free(&text);
}

/* parity: socket.47 */
static void utf8_that_is_cut_off_ends_in_one_replacement(void **state) {
  (void)state;
  DECODES(UTF8, "a\xe2", "a" BAD);
  DECODES(UTF8, "a\xe2\x82", "a" BAD);
  DECODES(UTF8, "\xc3", BAD);
  DECODES(UTF8, "\xf0\x9f\x98", BAD);
}

/* parity: socket.47 */
static void what_is_not_utf8_is_replaced_as_node_does(void **state) {
  (void)state;
  DECODES(UTF8, "", "");
  DECODES(UTF8, "plain\0text", "plain\0text");
  DECODES(UTF8, "\xff", BAD);
  DECODES(UTF8, "a\x80z", "a" BAD "z");
  DECODES(UTF8, "\xc0\x80", BAD BAD);                 // overlong
  DECODES(UTF8, "\xe0\x80\x80", BAD BAD BAD);         // overlong
  DECODES(UTF8, "\xf0\x80\x80\x80", BAD BAD BAD BAD); // overlong
  DECODES(UTF8, "\xed\xa0\x80", BAD BAD BAD);         // a surrogate
  DECODES(UTF8, "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
  DECODES(UTF8, "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf");
  DECODES(UTF8, "\xf4\x90\x80\x80", BAD BAD BAD BAD); // above U+10FFFF
  DECODES(UTF8, "\xf5\x80\x80\x80", BAD BAD BAD BAD);
  DECODES(UTF8, "\xe2\x82z", BAD "z"); // the beginning of a character, once
  DECODES(UTF8, "\xf0\x9f\x98\xe2\x82\xac", BAD "\xe2\x82\xac");
  DECODES(UTF8, "\xf0\x9f\xf0\x9f\x98\x80", BAD "\xf0\x9f\x98\x80");
  DECODES(UTF8, "\xc3\xc3\xa9", BAD "\xc3\xa9");
  DECODES(UTF8, "\xfe\xff", BAD BAD);
}

/// Against the definition: a character is what a code point gives, and every part of one waits for
/// the rest.
static void utf8_is_what_code_points_give(void **state) {
  (void)state;
  size_t characters = 0;
  for (uint32_t code_point = 0; code_point < 0x110000; code_point++) {
    if (code_point >= 0xd800 && code_point <= 0xdfff) {
      continue;
    }
    uint8_t bytes[4];
    size_t size = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = 0; i < size; i++) {
      bytes[size - 1 - i] = (uint8_t)(0x80 | (code_point >> 6 * i & 0x3f));
    }
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    bytes[0] = (uint8_t)(marks[size] | code_point >> 6 * (size - 1));
    for (size_t part = 1; part < size; part++) {
      assert_int_equal(trp_utf8_character(bytes, part), 0);
    }
    assert_int_equal(trp_utf8_character(bytes, size), size);
    assert_int_equal(trp_utf8_code_point(bytes, (int)size), code_point);
    characters++;
  }
  // As many sequences of up to four bytes are well-formed, and no others.
  size_t found = 128;
  for (unsigned first = 0x80; first < 0x100; first++) {
    for (unsigned second = 0; second < 0x100; second++) {
      uint8_t bytes[4] = {(uint8_t)first, (uint8_t)second, 0x80, 0x80};
      int size = trp_utf8_character(bytes, 4);
      static const unsigned more[] = {0, 0, 1, 64, 64 * 64};
      found += size > 0 ? more[size] : 0;
    }
  }
  assert_int_equal(found, characters);
}

/* parity: socket.47 */
static void utf16_pairs_its_surrogates(void **state) {
  (void)state;
  DECODES(UTF16LE, "", "");
  DECODES(UTF16LE, "a\0\xac\x20", "a\xe2\x82\xac");
  DECODES(UTF16LE, "\x3d\xd8\0\xde", "\xf0\x9f\x98\x80");
  DECODES(UTF16LE, "\xff\xfe\0\0", "\xef\xbb\xbf\0"); // a byte order mark is kept
  DECODES(UTF16LE, "\xfe\xff", "\xef\xbf\xbe");
  DECODES(UTF16LE, "a\0b", "a"); // an odd byte
  DECODES(UTF16LE, "\x3d\xd8", BAD);
  DECODES(UTF16LE, "\x3d\xd8\0", BAD);
  DECODES(UTF16LE, "\0\xde", BAD);
  DECODES(UTF16LE, "\0\xde\x3d\xd8", BAD BAD);
  DECODES(UTF16LE, "\x3d\xd8z\0", BAD "z");
  DECODES(UTF16LE, "\x3d\xd8\x3d\xd8\0\xde", BAD "\xf0\x9f\x98\x80");
  DECODES(UTF16LE, "\x3d\xd8\0\xde\0\xde", "\xf0\x9f\x98\x80" BAD);
}

/* parity: socket.47 */
static void latin1_and_ascii_are_single_bytes(void **state) {
  (void)state;
  DECODES(LATIN1, "a\0\x7f\x80\xe9\xff", "a\0\x7f\xc2\x80\xc3\xa9\xc3\xbf");
  DECODES(ASCII, "a\0\x7f\x80\xe9\xff", "a\0\x7f\0i\x7f");
}

/* parity: socket.47 */
static void hex_and_base64_are_the_same_however_they_are_cut(void **state) {
  (void)state;
  DECODES(HEX, "\0\x01\xab\xff", "0001abff");
  DECODES(BASE64, "", "");
  DECODES(BASE64, "a", "YQ==");
  DECODES(BASE64, "ab", "YWI=");
  DECODES(BASE64, "abc", "YWJj");
  DECODES(BASE64, "abcd", "YWJjZA==");
  DECODES(BASE64, "\xfb\xff\xbf\xff", "+/+//w==");
  DECODES(BASE64URL, "\xfb\xff\xbf\xff", "-_-__w");
  DECODES(BASE64URL, "a", "YQ");
}

/* parity: socket.47 */
static void base64_comes_in_groups_of_three_bytes(void **state) {
  (void)state;
  trp_decoder_t decoder;
  trp_text_t text = {0};
  assert_int_equal(trp_decoder_init(&decoder, TROUPE_ENCODING_BASE64), 0);
  assert_int_equal(trp_decoder_feed(&decoder, "ab", 2, &text), 0);
  assert_text(&text, "", 0);
  assert_int_equal(trp_decoder_feed(&decoder, "cde", 3, &text), 0);
  assert_text(&text, "YWJj", 4);
  assert_int_equal(trp_decoder_flush(&decoder, &text), 0);
  assert_text(&text, "YWJjZGU=", 8);
  assert_int_equal(trp_decoder_flush(&decoder, &text), 0);
  assert_text(&text, "YWJjZGU=", 8);
  trp_decoder_free(&decoder);
  trp_text_free(&text);
}

/* parity: socket.47 */
static void a_decoder_can_be_used_again_after_a_flush(void **state) {
  (void)state;
  static const char *const expected[] = {BAD "a", BAD, "\xc3\xa2\x61"};
  for (int i = 0; i < 3; i++) {
    trp_decoder_t decoder;
    trp_text_t text = {0};
    assert_int_equal(trp_decoder_init(&decoder, all[i]), 0);
    assert_int_equal(trp_decoder_feed(&decoder, "\xe2", 1, &text), 0);
    assert_int_equal(trp_decoder_flush(&decoder, &text), 0);
    assert_int_equal(trp_decoder_feed(&decoder, i == 1 ? "\0\xd8" : "a", i == 1 ? 2 : 1, &text), 0);
    assert_int_equal(trp_decoder_flush(&decoder, &text), 0);
    assert_text(&text, expected[i], strlen(expected[i]));
    trp_decoder_free(&decoder);
    trp_decoder_free(&decoder);
    trp_text_free(&text);
  }
}

/* parity: socket.47 */
static void random_bytes_give_the_same_text_however_they_are_cut(void **state) {
  (void)state;
  enum { MOST = 64 };
  trp_test_random_t random;
  trp_test_random_start(&random, 1);
  // Bytes of which many begin characters, go on with them, or are halves of surrogates.
  static const uint8_t likely[] = {'a',  0,    0x80, 0xbf, 0xc3, 0xe0, 0xe2, 0xed,
                                   0xf0, 0xf4, 0xd8, 0xdc, 0x9f, 0xa0, 0x90, 0x8f};
  for (int round = 0; round < 4000; round++) {
    uint8_t bytes[MOST];
    size_t length = trp_test_random_below(&random, MOST);
    trp_test_random_bytes(&random, bytes, length);
    for (size_t i = 0; i < length; i++) {
      if (trp_test_random_below(&random, 4) != 0) {
        bytes[i] = likely[trp_test_random_below(&random, sizeof likely)];
      }
    }
    troupe_encoding_t encoding = all[round % ENCODINGS];
    trp_text_t whole = {0}, cut = {0};
    decode(encoding, bytes, length, MOST, &whole);
    assert_true(trp_is_utf8(whole.bytes, whole.length));
    trp_decoder_t decoder;
    assert_int_equal(trp_decoder_init(&decoder, encoding), 0);
    for (size_t at = 0; at < length;) {
      size_t size = 1 + trp_test_random_below(&random, length - at);
      assert_int_equal(trp_decoder_feed(&decoder, bytes + at, size, &cut), 0);
      assert_true(trp_is_utf8(cut.bytes, cut.length)); // never a part of a character
      at += size;
    }
    assert_int_equal(trp_decoder_flush(&decoder, &cut), 0);
    assert_text(&cut, whole.bytes, whole.length);
    trp_decoder_free(&decoder);
    trp_text_free(&whole);
    trp_text_free(&cut);
  }
}

/* parity: socket.52 */
static void text_becomes_bytes_as_in_node(void **state) {
  (void)state;
  const char *const text = "h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"; // h, é, €, U+1F600
  assert_encodes(TROUPE_ENCODING_UTF8, text, 10, text, 10);
  assert_encodes(TROUPE_ENCODING_UTF16LE, text, 10, "h\0\xe9\0\xac\x20\x3d\xd8\0\xde", 10);
  assert_encodes(TROUPE_ENCODING_LATIN1, text, 10, "h\xe9\xac\x3d\0", 5);
  assert_encodes(TROUPE_ENCODING_ASCII, text, 10, "h\xe9\xac\x3d\0", 5);
  for (size_t i = 0; i < ENCODINGS; i++) {
    assert_encodes(all[i], "", 0, "", 0);
  }
}

/* parity: socket.52 */
static void text_that_is_not_utf8_is_repaired_before(void **state) {
  (void)state;
  ENCODES(UTF8, "a\xffz\xe2\x82", "a" BAD "z" BAD);
  ENCODES(UTF16LE, "a\xff\xe2\x82", "a\0\xfd\xff\xfd\xff");
  ENCODES(LATIN1, "a\xff\xe2\x82z", "a\xfd\xfdz");
  ENCODES(UTF16LE, "\xff\xff\xff\xff", "\xfd\xff\xfd\xff\xfd\xff\xfd\xff");
  assert_true(trp_is_utf8("", 0));
  assert_true(trp_is_utf8("\xe2\x82\xac", 3));
  assert_false(trp_is_utf8("\xe2\x82", 2));
  assert_false(trp_is_utf8("0123456789abcde\xff", 16));
}

/* parity: socket.52 */
static void hex_is_read_up_to_what_is_none(void **state) {
  (void)state;
  ENCODES(HEX, "00abCDef", "\0\xab\xcd\xef");
  ENCODES(HEX, "abc", "\xab");
  ENCODES(HEX, "a", "");
  ENCODES(HEX, "abxxcd", "\xab");
  ENCODES(HEX, "ab cd", "\xab");
  ENCODES(HEX, "0g", "");
  ENCODES(HEX, "ab\xc3\xa9", "\xab");
  ENCODES(HEX, "@0:0`0G0", "");
}

/* parity: socket.52 */
static void base64_is_read_leniently(void **state) {
  (void)state;
  ENCODES(BASE64, "YWJj", "abc");
  ENCODES(BASE64, "YQ==", "a");
  ENCODES(BASE64, "YQ", "a");
  ENCODES(BASE64, "Y", "");
  ENCODES(BASE64, "YQ==YQ==", "a");
  ENCODES(BASE64, "=YQ", "");
  ENCODES(BASE64, "Y W\nJ!j", "abc");
  ENCODES(BASE64, "\xc3\xa9YWJj", "abc");
  ENCODES(BASE64, "-_+/", "\xfb\xff\xbf");
  ENCODES(BASE64URL, "-_+/", "\xfb\xff\xbf");
  ENCODES(BASE64URL, "YQ==", "a");
}

/* parity: socket.52 */
static void bytes_survive_text_and_back(void **state) {
  (void)state;
  uint8_t bytes[1000];
  trp_test_random_t random;
  trp_test_random_start(&random, 3);
  trp_test_random_bytes(&random, bytes, sizeof bytes);
  for (size_t i = 0; i < ENCODINGS; i++) {
    if (all[i] == TROUPE_ENCODING_UTF8 || all[i] == TROUPE_ENCODING_UTF16LE ||
        all[i] == TROUPE_ENCODING_ASCII) {
      continue; // these have no text for some bytes
    }
    trp_text_t text = {0}, back = {0};
    decode(all[i], bytes, sizeof bytes, 7, &text);
    assert_int_equal(trp_encode(all[i], text.bytes, text.length, &back), 0);
    assert_text(&back, (const char *)bytes, sizeof bytes);
    trp_text_free(&text);
    trp_text_free(&back);
  }
}

/* parity: socket.47 socket.52 */
static void no_encoding_is_an_error(void **state) {
  (void)state;
  trp_decoder_t decoder;
  trp_text_t bytes = {0};
  assert_int_equal(trp_decoder_init(&decoder, TROUPE_ENCODING_NONE), TROUPE_ERR_UNKNOWN_ENCODING);
  assert_int_equal(trp_decoder_init(&decoder, (troupe_encoding_t)99), TROUPE_ERR_UNKNOWN_ENCODING);
  trp_decoder_free(&decoder);
  assert_int_equal(trp_encode(TROUPE_ENCODING_NONE, "a", 1, &bytes), TROUPE_ERR_UNKNOWN_ENCODING);
  assert_int_equal(bytes.length, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(names_are_nodes_in_letters_of_any_case),
      trp_test(utf8_comes_as_whole_characters),
      trp_test(utf8_that_is_cut_off_ends_in_one_replacement),
      trp_test(what_is_not_utf8_is_replaced_as_node_does),
      trp_test(utf8_is_what_code_points_give),
      trp_test(utf16_pairs_its_surrogates),
      trp_test(latin1_and_ascii_are_single_bytes),
      trp_test(hex_and_base64_are_the_same_however_they_are_cut),
      trp_test(base64_comes_in_groups_of_three_bytes),
      trp_test(a_decoder_can_be_used_again_after_a_flush),
      trp_test(random_bytes_give_the_same_text_however_they_are_cut),
      trp_test(text_becomes_bytes_as_in_node),
      trp_test(text_that_is_not_utf8_is_repaired_before),
      trp_test(hex_is_read_up_to_what_is_none),
      trp_test(base64_is_read_leniently),
      trp_test(bytes_survive_text_and_back),
      trp_test(no_encoding_is_an_error),
  };
  return TRP_RUN_TESTS("encoding", tests);
}
