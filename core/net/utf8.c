/// UTF-8: utf8.h.
///
/// This is ours because iconv() cannot stand in for it. glibc's takes bytes above U+10FFFF (F4 90
/// to F7 BF) for characters, says where an ill-formed part begins but not where it ends, which
/// decides how many U+FFFD a reader sees, and checks 200 to 300 MB/s at 430 ns and more a call
/// (glibc 2.36), where the loop below does several GB/s of ASCII. There is no table in it: which
/// second bytes may follow which first ones are four special cases.
#include "core/net/utf8.h"

#include <string.h>

const char trp_utf8_replacement[TRP_UTF8_REPLACEMENT_SIZE] = {'\xef', '\xbf', '\xbd'};

static size_t skip_ascii(const uint8_t *bytes, size_t length);

int trp_utf8_character(const uint8_t *bytes, size_t length) {
  uint8_t first = bytes[0];
  if (first < 0x80) {
    return 1;
  }
  int size;
  if (first >= 0xc2 && first <= 0xdf) {
    size = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    size = 3;
  } else if (first >= 0xf0 && first <= 0xf4) {
    size = 4;
  } else {
    return -1; // a continuation byte, an overlong form, or above U+10FFFF
  }
  // The second byte keeps out overlong forms, surrogates and what is above U+10FFFF.
  uint8_t lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  uint8_t highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  for (int i = 1; i < size; i++) {
    if ((size_t)i == length) {
      return 0;
    }
    if (bytes[i] < lowest || bytes[i] > highest) {
      return -i;
    }
    lowest = 0x80;
    highest = 0xbf;
  }
  return size;
}

size_t trp_utf8_well_formed(const uint8_t *bytes, size_t length) {
  size_t at = 0;
  while (at < length) {
    if (bytes[at] < 0x80) {
      at += skip_ascii(bytes + at, length - at);
      continue;
    }
    int size = trp_utf8_character(bytes + at, length - at);
    if (size <= 0) {
      break;
    }
    at += (size_t)size;
  }
  return at;
}

static size_t skip_ascii(const uint8_t *bytes, size_t length) {
  size_t at = 0;
  while (length - at >= sizeof(uint64_t)) {
    uint64_t eight;
    memcpy(&eight, bytes + at, sizeof eight);
    if ((eight & UINT64_C(0x8080808080808080)) != 0) {
      break;
    }
    at += sizeof eight;
  }
  while (at < length && bytes[at] < 0x80) {
    at++;
  }
  return at;
}

uint32_t trp_utf8_code_point(const uint8_t *bytes, int length) {
  if (length == 1) {
    return bytes[0];
  }
  uint32_t code_point = bytes[0] & (0x7fU >> length);
  for (int i = 1; i < length; i++) {
    code_point = code_point << 6 | (bytes[i] & 0x3fU);
  }
  return code_point;
}
