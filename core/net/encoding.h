/// Private. Decoding of a stream of bytes into UTF-8 text, and encoding of UTF-8 text into bytes:
/// <troupe/encoding.h> says by which rules. No function blocks, but the first use of utf16le in a
/// process loads a part of the C library from the file system.
#ifndef TRP_ENCODING_H_INCLUDED
#define TRP_ENCODING_H_INCLUDED

#include <troupe/encoding.h>

/// Bytes or text that grow. Zeroed, it is empty; free it with trp_text_free(). Set `length` to 0 to
/// use the memory again.
typedef struct trp_text {
  char *bytes;
  size_t length, capacity;
} trp_text_t;

void trp_text_free(trp_text_t *text);

/// Decodes one stream, piece by piece. What a character lacks at the end of a piece is waited for:
/// all pieces together give the same text, however they are cut.
typedef struct trp_decoder {
  troupe_encoding_t encoding;
  uint8_t held_count;
  uint8_t held[4]; // the beginning of a character, or of a group of base64
  void *converter; // utf16le: iconv's
} trp_decoder_t;

/// Returns 0, or
///   TROUPE_ERR_UNKNOWN_ENCODING   it is no encoding, or TROUPE_ENCODING_NONE,
///   TROUPE_ENOMEM                 there is no memory,
///   TROUPE_ENOSYS                 utf16le: the C library's part for it cannot be loaded.
/// The decoder is zeroed then. Free one that works with trp_decoder_free().
int trp_decoder_init(trp_decoder_t *decoder, troupe_encoding_t encoding);

/// Appends the text of the next bytes to `text`: nothing, if they only begin a character. Returns
/// 0, or TROUPE_ENOMEM, and then decoder and text are as they were.
int trp_decoder_feed(trp_decoder_t *decoder, const void *bytes, size_t length, trp_text_t *text);

/// The stream has ended: appends what the held bytes are without those they lack. The decoder may
/// be fed again, for another stream. Returns as trp_decoder_feed().
int trp_decoder_flush(trp_decoder_t *decoder, trp_text_t *text);

/// Whether a flush would give text.
bool trp_decoder_owes(const trp_decoder_t *decoder);

/// Frees what the decoder has; zeroed is fine.
void trp_decoder_free(trp_decoder_t *decoder);

/// Appends the bytes that `text` encodes to `bytes`. Returns 0, or the errors of
/// trp_decoder_init(), and then `bytes` is as it was.
int trp_encode(troupe_encoding_t encoding, const char *text, size_t length, trp_text_t *bytes);

/// Whether the text is UTF-8 as it stands: with TROUPE_ENCODING_UTF8 it is then its own encoding,
/// and need not be copied.
bool trp_is_utf8(const char *text, size_t length);

#endif
