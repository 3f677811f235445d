/// Private. UTF-8: which bytes are, and what their characters are. Pure functions; any thread.
#ifndef TRP_UTF8_H_INCLUDED
#define TRP_UTF8_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

enum { TRP_UTF8_REPLACEMENT_SIZE = 3 };

/// U+FFFD, for what is not UTF-8.
extern const char trp_utf8_replacement[TRP_UTF8_REPLACEMENT_SIZE];

/// Looks at the first character of `length` bytes, at least one. Returns
///   above 0   its length: it is well-formed,
///   0         the bytes are the beginning of one, and end too early,
///   below 0   minus the length of what one U+FFFD stands for: the longest beginning of a character
///             that is here, or one byte (the Unicode Standard's "maximal subparts"; so do Node and
///             the browsers).
int trp_utf8_character(const uint8_t *bytes, size_t length);

/// How many bytes from the start are well-formed characters.
size_t trp_utf8_well_formed(const uint8_t *bytes, size_t length);

/// The code point of a well-formed character of `length` bytes.
uint32_t trp_utf8_code_point(const uint8_t *bytes, int length);

#endif
