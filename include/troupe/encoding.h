/// Encodings: how bytes and text become each other. Node: the `encoding` arguments of
/// socket.setEncoding() and socket.write().
///
/// Text in troupe is UTF-8, as (pointer, length). Bytes that are decoded become text: those of a
/// character set its characters, any others their hexadecimal or base64 form. Text that is encoded
/// becomes bytes by the same rule backwards. All of it gives what Node gives, once Node's text is
/// written down as UTF-8:
///
///   utf8        What is not UTF-8 becomes U+FFFD, one for each beginning of a character or else
///               for each byte, in both directions.
///   utf16le     A surrogate without its other half becomes U+FFFD; an odd last byte is dropped.
///   latin1      U+0000 to U+00FF. A text's other characters leave the low bytes of their UTF-16.
///   ascii       As latin1, but the highest bit of bytes that become text is cleared.
///   hex         Two lower-case digits for each byte. A text counts, in letters of any case, up to
///               the first pair that is not made of hexadecimal digits.
///   base64      With padding. A text may use this alphabet or that of base64url; it counts up to
///               the first '=', and other characters in it are skipped.
///   base64url   As base64, but without padding.
#ifndef TROUPE_ENCODING_H_INCLUDED
#define TROUPE_ENCODING_H_INCLUDED

#include <troupe/error.h>

TROUPE_BEGIN

typedef enum troupe_encoding {
  TROUPE_ENCODING_NONE = 0, ///< bytes as they are
  TROUPE_ENCODING_UTF8 = 1,
  TROUPE_ENCODING_UTF16LE = 2,
  TROUPE_ENCODING_LATIN1 = 3,
  TROUPE_ENCODING_ASCII = 4,
  TROUPE_ENCODING_HEX = 5,
  TROUPE_ENCODING_BASE64 = 6,
  TROUPE_ENCODING_BASE64URL = 7,
} troupe_encoding_t;

/// Reads the name of an encoding, in letters of any case: "utf8", "utf-8", "ucs2", "ucs-2",
/// "utf16le", "utf-16le", "latin1", "binary", "ascii", "hex", "base64", "base64url". Node:
/// Buffer.isEncoding().
///
/// Ownership: `name` is borrowed and needs no NUL.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_UNKNOWN_ENCODING   it is none of these; `*encoding` is left as it was,
///            TROUPE_EINVAL                 `encoding` is NULL.
TROUPE_API int troupe_encoding_parse(troupe_encoding_t *encoding, const char *name, size_t length);

/// Gives the name that Node gives: "utf8", "utf16le", "latin1", "ascii", "hex", "base64",
/// "base64url".
///
/// Thread:    any.
/// Blocks:    never.
/// Returns:   a string that is never freed; NULL for TROUPE_ENCODING_NONE and unknown values.
TROUPE_API const char *troupe_encoding_name(troupe_encoding_t encoding);

TROUPE_END

#endif
