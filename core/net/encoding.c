/// Encodings: encoding.h and <troupe/encoding.h>.
///
/// UTF-16 goes through iconv(), UTF-8 through utf8.c (which says why), and the rest is one step of
/// arithmetic per byte. iconv() stops at what it cannot convert; what Node puts there is put there
/// here. Every function makes room for the largest possible result before it begins, so that
/// running out of memory changes nothing.
#include "core/net/encoding.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/utf8.h"
#include "core/support/assert.h"

static const struct {
  const char *name;
  troupe_encoding_t encoding;
} names[] = {
    // The first name of each is the one that Node tells.
    {"utf8", TROUPE_ENCODING_UTF8},       {"utf-8", TROUPE_ENCODING_UTF8},
    {"utf16le", TROUPE_ENCODING_UTF16LE}, {"utf-16le", TROUPE_ENCODING_UTF16LE},
    {"ucs2", TROUPE_ENCODING_UTF16LE},    {"ucs-2", TROUPE_ENCODING_UTF16LE},
    {"latin1", TROUPE_ENCODING_LATIN1},   {"binary", TROUPE_ENCODING_LATIN1},
    {"ascii", TROUPE_ENCODING_ASCII},     {"hex", TROUPE_ENCODING_HEX},
    {"base64", TROUPE_ENCODING_BASE64},   {"base64url", TROUPE_ENCODING_BASE64URL},
};

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int open_converter(const char *to, const char *from, iconv_t *converter);
static int reserve(trp_text_t *text, size_t more);
static size_t most_text(troupe_encoding_t encoding, size_t length);
static void append(trp_text_t *text, const void *bytes, size_t length);
static void append_byte(trp_text_t *text, uint32_t byte);

static void feed_utf8(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                      trp_text_t *text);
static void decode_utf8(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                        trp_text_t *text);
static void feed_utf16(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                       trp_text_t *text);
static size_t convert_utf16(iconv_t converter, const uint8_t *bytes, size_t length,
                            trp_text_t *text);
static void decode_latin1(const uint8_t *bytes, size_t length, uint8_t mask, trp_text_t *text);
static void decode_hex(const uint8_t *bytes, size_t length, trp_text_t *text);
static void feed_base64(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                        trp_text_t *text);
static void append_group(const char *digits, const uint8_t group[3], size_t length,
                         trp_text_t *text);

typedef void (*piece_fn)(const uint8_t *text, size_t length, trp_text_t *bytes, void *context);
static void for_each_piece(const uint8_t *text, size_t length, trp_text_t *bytes, piece_fn piece,
                           void *context);
static void copy_piece(const uint8_t *text, size_t length, trp_text_t *bytes, void *context);
static void encode_utf16_piece(const uint8_t *text, size_t length, trp_text_t *bytes,
                               void *context);
static void encode_latin1_piece(const uint8_t *text, size_t length, trp_text_t *bytes,
                                void *context);
static int encode_utf16(const uint8_t *text, size_t length, trp_text_t *bytes);
static void encode_hex(const uint8_t *text, size_t length, trp_text_t *bytes);
static int hex_value(uint8_t digit);
static void encode_base64(const uint8_t *text, size_t length, trp_text_t *bytes);
static int base64_value(uint8_t digit);

// ---- Names ----

int troupe_encoding_parse(troupe_encoding_t *encoding, const char *name, size_t length) {
  if (encoding == NULL) {
    return TROUPE_EINVAL;
  }
  for (size_t i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
    // Letters are compared as the C locale has them, or the answer would depend on the user's.
    if (strlen(names[i].name) != length) {
      continue;
    }
    size_t same = 0;
    while (same < length &&
           (name[same] >= 'A' && name[same] <= 'Z' ? name[same] - 'A' + 'a' : name[same]) ==
               names[i].name[same]) {
      same++;
    }
    if (same == length) {
      *encoding = names[i].encoding;
      return 0;
    }
  }
  return TROUPE_ERR_UNKNOWN_ENCODING;
}

const char *troupe_encoding_name(troupe_encoding_t encoding) {
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].encoding == encoding) {
      return names[i].name;
    }
  }
  return NULL;
}

// ---- Memory ----

static int reserve(trp_text_t *text, size_t more) {
  if (more <= text->capacity - text->length) {
    return 0;
  }
  if (more > SIZE_MAX / 2 - text->length) {
    return TROUPE_ENOMEM;
  }
  size_t capacity = text->capacity < 64 ? 64 : text->capacity;
  while (capacity - text->length < more) {
    capacity += capacity / 2;
  }
  char *bytes = realloc(text->bytes, capacity);
  if (bytes == NULL) {
    return TROUPE_ENOMEM;
  }
  text->bytes = bytes;
  text->capacity = capacity;
  return 0;
}

static void append(trp_text_t *text, const void *bytes, size_t length) {
  TROUPE_ASSERT(length <= text->capacity - text->length);
  if (length > 0) {
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
  }
}

static void append_byte(trp_text_t *text, uint32_t byte) {
  TROUPE_ASSERT(text->length < text->capacity);
  text->bytes[text->length++] = (char)(uint8_t)byte;
}

void trp_text_free(trp_text_t *text) {
  free(text->bytes);
  *text = (trp_text_t){0};
}

// ---- Decoding ----

int trp_decoder_init(trp_decoder_t *decoder, troupe_encoding_t encoding) {
  *decoder = (trp_decoder_t){0};
  if (troupe_encoding_name(encoding) == NULL) {
    return TROUPE_ERR_UNKNOWN_ENCODING;
  }
  if (encoding == TROUPE_ENCODING_UTF16LE) {
    int status = open_converter("UTF-8", "UTF-16LE", &decoder->converter);
    if (status != 0) {
      return status;
    }
  }
  decoder->encoding = encoding;
  return 0;
}

static int open_converter(const char *to, const char *from, iconv_t *converter) {
  iconv_t opened = iconv_open(to, from);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): this is how iconv says it
  if (opened == (iconv_t)-1) {
    *converter = NULL;
    return errno == EINVAL ? TROUPE_ENOSYS : TROUPE_ENOMEM;
  }
  *converter = opened;
  return 0;
}

void trp_decoder_free(trp_decoder_t *decoder) {
  if (decoder->converter != NULL) {
    iconv_close(decoder->converter);
  }
  *decoder = (trp_decoder_t){0};
}

/// How much text so many bytes can become at most; the held ones count.
static size_t most_text(troupe_encoding_t encoding, size_t length) {
  switch (encoding) {
  case TROUPE_ENCODING_UTF8:
    return length * TRP_UTF8_REPLACEMENT_SIZE; // where every byte is wrong
  case TROUPE_ENCODING_BASE64:
  case TROUPE_ENCODING_BASE64URL:
    return (length + 2) / 3 * 4;
  case TROUPE_ENCODING_UTF16LE:
    return (length + 1) / 2 * 3;
  default:
    return length * 2;
  }
}

int trp_decoder_feed(trp_decoder_t *decoder, const void *bytes, size_t length, trp_text_t *text) {
  if (length > SIZE_MAX / 4 - sizeof decoder->held) {
    return TROUPE_ENOMEM;
  }
  size_t most = most_text(decoder->encoding, length + decoder->held_count);
  if (decoder->encoding == TROUPE_ENCODING_UTF8 && decoder->held_count == 0) {
    // Nearly always all of it is UTF-8, and takes as much room as it has.
    size_t well_formed = trp_utf8_well_formed(bytes, length);
    most = well_formed + most_text(decoder->encoding, length - well_formed);
  }
  if (reserve(text, most) != 0) {
    return TROUPE_ENOMEM;
  }
  switch (decoder->encoding) {
  case TROUPE_ENCODING_UTF8:
    feed_utf8(decoder, bytes, length, text);
    break;
  case TROUPE_ENCODING_UTF16LE:
    feed_utf16(decoder, bytes, length, text);
    break;
  case TROUPE_ENCODING_LATIN1:
    decode_latin1(bytes, length, 0xff, text);
    break;
  case TROUPE_ENCODING_ASCII:
    decode_latin1(bytes, length, 0x7f, text);
    break;
  case TROUPE_ENCODING_HEX:
    decode_hex(bytes, length, text);
    break;
  case TROUPE_ENCODING_BASE64:
  case TROUPE_ENCODING_BASE64URL:
    feed_base64(decoder, bytes, length, text);
    break;
  case TROUPE_ENCODING_NONE:
  default:
    return TROUPE_ERR_UNKNOWN_ENCODING;
  }
  return 0;
}

bool trp_decoder_owes(const trp_decoder_t *decoder) {
  // One byte of utf16le is no text, as in Node.
  return decoder->held_count >= (decoder->encoding == TROUPE_ENCODING_UTF16LE ? 2 : 1);
}

int trp_decoder_flush(trp_decoder_t *decoder, trp_text_t *text) {
  if (decoder->held_count == 0) {
    return 0;
  }
  if (reserve(text, 4) != 0) {
    return TROUPE_ENOMEM;
  }
  switch (decoder->encoding) {
  case TROUPE_ENCODING_UTF8:
    append(text, trp_utf8_replacement, TRP_UTF8_REPLACEMENT_SIZE);
    break;
  case TROUPE_ENCODING_UTF16LE:
    if (decoder->held_count >= 2) { // half a surrogate pair
      append(text, trp_utf8_replacement, TRP_UTF8_REPLACEMENT_SIZE);
    }
    break;
  case TROUPE_ENCODING_BASE64:
    append_group(base64_digits, decoder->held, decoder->held_count, text);
    for (size_t i = decoder->held_count; i < 3; i++) {
      append_byte(text, '=');
    }
    break;
  default:
    append_group(base64url_digits, decoder->held, decoder->held_count, text);
    break;
  }
  decoder->held_count = 0;
  return 0;
}

/// Completes the held character, if there is one, and decodes the rest.
static void feed_utf8(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                      trp_text_t *text) {
  while (decoder->held_count > 0 && length > 0) {
    decoder->held[decoder->held_count++] = *bytes;
    int size = trp_utf8_character(decoder->held, decoder->held_count);
    if (size < 0) {
      // The byte is none that may follow: it begins something new.
      append(text, trp_utf8_replacement, TRP_UTF8_REPLACEMENT_SIZE);
      decoder->held_count = 0;
      break;
    }
    bytes++;
    length--;
    if (size > 0) {
      append(text, decoder->held, (size_t)size);
      decoder->held_count = 0;
    }
  }
  decode_utf8(decoder, bytes, length, text);
}

static void decode_utf8(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                        trp_text_t *text) {
  while (length > 0) {
    size_t well_formed = trp_utf8_well_formed(bytes, length);
    append(text, bytes, well_formed);
    bytes += well_formed;
    length -= well_formed;
    if (length == 0) {
      return;
    }
    int size = trp_utf8_character(bytes, length);
    if (size == 0) {
      memcpy(decoder->held, bytes, length);
      decoder->held_count = (uint8_t)length;
      return;
    }
    append(text, trp_utf8_replacement, TRP_UTF8_REPLACEMENT_SIZE);
    bytes += -size;
    length -= (size_t)-size;
  }
}

/// Completes what is held byte by byte, and decodes the rest. Held are the first byte of a unit, or
/// a high surrogate and perhaps the first byte of what follows it.
static void feed_utf16(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                       trp_text_t *text) {
  while (decoder->held_count > 0 && length > 0) {
    decoder->held[decoder->held_count++] = *bytes++;
    length--;
    size_t used = convert_utf16(decoder->converter, decoder->held, decoder->held_count, text);
    decoder->held_count = (uint8_t)(decoder->held_count - used);
    memmove(decoder->held, decoder->held + used, decoder->held_count);
  }
  if (length > 0) {
    size_t used = convert_utf16(decoder->converter, bytes, length, text);
    TROUPE_ASSERT(length - used < sizeof decoder->held);
    decoder->held_count = (uint8_t)(length - used);
    memcpy(decoder->held, bytes + used, length - used);
  }
}

/// Returns how many bytes were decoded: all but an odd one at the end, and a high surrogate there.
static size_t convert_utf16(iconv_t converter, const uint8_t *bytes, size_t length,
                            trp_text_t *text) {
  char *in = (char *)(uintptr_t)bytes; // iconv() does not write there
  size_t in_left = length;
  while (in_left > 0) {
    char *out = text->bytes + text->length;
    size_t out_left = text->capacity - text->length;
    size_t status = iconv(converter, &in, &in_left, &out, &out_left);
    text->length = text->capacity - out_left;
    if (status != (size_t)-1 || errno == EINVAL) {
      break;
    }
    TROUPE_ASSERT(errno == EILSEQ && in_left >= 2); // there is room; what is left is a surrogate
    append(text, trp_utf8_replacement, TRP_UTF8_REPLACEMENT_SIZE);
    in += 2;
    in_left -= 2;
  }
  return length - in_left;
}

static void decode_latin1(const uint8_t *bytes, size_t length, uint8_t mask, trp_text_t *text) {
  for (size_t i = 0; i < length; i++) {
    uint8_t character = bytes[i] & mask;
    if (character < 0x80) {
      append_byte(text, character);
    } else {
      append_byte(text, 0xc0U | character >> 6);
      append_byte(text, 0x80U | (character & 0x3fU));
    }
  }
}

static void decode_hex(const uint8_t *bytes, size_t length, trp_text_t *text) {
  for (size_t i = 0; i < length; i++) {
    append_byte(text, (uint8_t)hex_digits[bytes[i] >> 4]);
    append_byte(text, (uint8_t)hex_digits[bytes[i] & 0xf]);
  }
}

static void feed_base64(trp_decoder_t *decoder, const uint8_t *bytes, size_t length,
                        trp_text_t *text) {
  const char *digits = decoder->encoding == TROUPE_ENCODING_BASE64 ? base64_digits
                                                                   : base64url_digits;
  while (decoder->held_count > 0 && length > 0) {
    decoder->held[decoder->held_count++] = *bytes++;
    length--;
    if (decoder->held_count == 3) {
      append_group(digits, decoder->held, 3, text);
      decoder->held_count = 0;
    }
  }
  for (; length >= 3; bytes += 3, length -= 3) {
    append_group(digits, bytes, 3, text);
  }
  if (length > 0) {
    memcpy(decoder->held, bytes, length);
    decoder->held_count = (uint8_t)length;
  }
}

/// Appends the digits of 1 to 3 bytes: one more than there are bytes.
static void append_group(const char *digits, const uint8_t group[3], size_t length,
                         trp_text_t *text) {
  uint32_t bits = (uint32_t)group[0] << 16;
  bits |= length > 1 ? (uint32_t)group[1] << 8 : 0;
  bits |= length > 2 ? group[2] : 0;
  for (size_t i = 0; i <= length; i++) {
    append_byte(text, (uint8_t)digits[bits >> (18 - 6 * i) & 0x3f]);
  }
}

// ---- Encoding ----

bool trp_is_utf8(const char *text, size_t length) {
  return trp_utf8_well_formed((const uint8_t *)text, length) == length;
}

int trp_encode(troupe_encoding_t encoding, const char *text, size_t length, trp_text_t *bytes) {
  const uint8_t *from = (const uint8_t *)text;
  if (troupe_encoding_name(encoding) == NULL) {
    return TROUPE_ERR_UNKNOWN_ENCODING;
  }
  if (length > SIZE_MAX / 4) {
    return TROUPE_ENOMEM;
  }
  if (encoding == TROUPE_ENCODING_UTF16LE) {
    return encode_utf16(from, length, bytes);
  }
  size_t most = length;
  if (encoding == TROUPE_ENCODING_UTF8) {
    size_t well_formed = trp_utf8_well_formed(from, length);
    most = well_formed + most_text(encoding, length - well_formed);
  }
  if (reserve(bytes, most) != 0) {
    return TROUPE_ENOMEM;
  }
  switch (encoding) {
  case TROUPE_ENCODING_UTF8:
    for_each_piece(from, length, bytes, copy_piece, NULL);
    break;
  case TROUPE_ENCODING_LATIN1:
  case TROUPE_ENCODING_ASCII:
    for_each_piece(from, length, bytes, encode_latin1_piece, NULL);
    break;
  case TROUPE_ENCODING_HEX:
    encode_hex(from, length, bytes);
    break;
  default:
    encode_base64(from, length, bytes);
    break;
  }
  return 0;
}

/// Calls `piece` for the well-formed parts of a text, and with U+FFFD for those between them.
static void for_each_piece(const uint8_t *text, size_t length, trp_text_t *bytes, piece_fn piece,
                           void *context) {
  while (length > 0) {
    size_t well_formed = trp_utf8_well_formed(text, length);
    if (well_formed > 0) {
      piece(text, well_formed, bytes, context);
      text += well_formed;
      length -= well_formed;
    }
    if (length > 0) {
      int size = trp_utf8_character(text, length);
      size_t wrong = size == 0 ? length : (size_t)-size;
      piece((const uint8_t *)trp_utf8_replacement, TRP_UTF8_REPLACEMENT_SIZE, bytes, context);
      text += wrong;
      length -= wrong;
    }
  }
}

static void copy_piece(const uint8_t *text, size_t length, trp_text_t *bytes, void *context) {
  (void)context;
  append(bytes, text, length);
}

/// The low byte of each UTF-16 unit: a character above U+FFFF has two.
static void encode_latin1_piece(const uint8_t *text, size_t length, trp_text_t *bytes,
                                void *context) {
  (void)context;
  for (size_t at = 0; at < length;) {
    int size = trp_utf8_character(text + at, length - at);
    uint32_t code_point = trp_utf8_code_point(text + at, size);
    if (code_point > 0xffff) {
      append_byte(bytes, ((code_point - 0x10000) >> 10) & 0xff);
    }
    append_byte(bytes, code_point & 0xff);
    at += (size_t)size;
  }
}

static int encode_utf16(const uint8_t *text, size_t length, trp_text_t *bytes) {
  iconv_t converter;
  int status = open_converter("UTF-16LE", "UTF-8", &converter);
  if (status != 0) {
    return status;
  }
  status = reserve(bytes, length * 2);
  if (status == 0) {
    for_each_piece(text, length, bytes, encode_utf16_piece, converter);
  }
  iconv_close(converter);
  return status;
}

static void encode_utf16_piece(const uint8_t *text, size_t length, trp_text_t *bytes,
                               void *context) {
  char *in = (char *)(uintptr_t)text; // iconv() does not write there
  char *out = bytes->bytes + bytes->length;
  size_t out_left = bytes->capacity - bytes->length;
  size_t status = iconv(context, &in, &length, &out, &out_left);
  TROUPE_ASSERT(status != (size_t)-1); // it is well-formed, and there is room
  bytes->length = bytes->capacity - out_left;
}

static void encode_hex(const uint8_t *text, size_t length, trp_text_t *bytes) {
  for (size_t i = 0; i + 1 < length; i += 2) {
    int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) {
      return;
    }
    append_byte(bytes, (uint32_t)(high << 4 | low));
  }
}

static int hex_value(uint8_t digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  digit |= 0x20;
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static void encode_base64(const uint8_t *text, size_t length, trp_text_t *bytes) {
  uint32_t bits = 0;
  int count = 0; // of the bits that are not written yet
  for (size_t i = 0; i < length && text[i] != '='; i++) {
    int value = base64_value(text[i]);
    if (value < 0) {
      continue;
    }
    bits = bits << 6 | (uint32_t)value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      append_byte(bytes, bits >> count & 0xff);
    }
  }
}

static int base64_value(uint8_t digit) {
  if (digit >= 'A' && digit <= 'Z') {
    return digit - 'A';
  }
  if (digit >= 'a' && digit <= 'z') {
    return digit - 'a' + 26;
  }
  if (digit >= '0' && digit <= '9') {
    return digit - '0' + 52;
  }
  if (digit == '+' || digit == '-') {
    return 62;
  }
  return digit == '/' || digit == '_' ? 63 : -1;
}
