/// Text instead of bytes: what comes is decoded before it is given out, what is written is encoded
/// first. <troupe/encoding.h> says by which rules.
#include <stdlib.h>
#include <string.h>

#include "core/net/encoding.h"
#include "core/net/socket.h"
#include "core/support/assert.h"

/// A socket that waits for more keeps no more memory than this for text.
enum { KEPT_MAX = 4096 };

struct trp_text_reader {
  trp_decoder_t decoder;
  trp_text_t text; // decoded, and not given out yet
};

static void tell_text(trp_socket_t *socket);
static int encode(troupe_encoding_t encoding, const char *text, size_t length, trp_text_t *memory,
                  const void **bytes, size_t *byte_count);

// ---- Reading ----

int troupe_socket_set_encoding(troupe_socket_t handle, troupe_encoding_t encoding) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  if (error != 0) {
    return error;
  }
  trp_decoder_t decoder;
  error = trp_decoder_init(&decoder, encoding);
  if (error != 0) {
    return error;
  }
  trp_extra_t *extra = trp_socket_extra(socket);
  if (extra != NULL && extra->reader == NULL) {
    extra->reader = calloc(1, sizeof *extra->reader);
  }
  trp_text_reader_t *reader = extra == NULL ? NULL : extra->reader;
  bool same = reader != NULL && reader->decoder.encoding == encoding;
  // What an earlier one holds goes before all that this one decodes.
  if (reader == NULL || same || trp_decoder_flush(&reader->decoder, &reader->text) != 0) {
    trp_decoder_free(&decoder);
    return same ? 0 : (int)TROUPE_ENOMEM;
  }
  trp_decoder_free(&reader->decoder);
  reader->decoder = decoder;
  return 0;
}

bool trp_socket_is_text(const trp_socket_t *socket) {
  return socket->extra != NULL && socket->extra->reader != NULL &&
         socket->extra->reader->decoder.encoding != TROUPE_ENCODING_NONE &&
         socket->extra->onread == NULL;
}

void trp_socket_give_text(trp_socket_t *socket, const void *bytes, size_t length) {
  trp_text_reader_t *reader = socket->extra->reader;
  if (trp_decoder_feed(&reader->decoder, bytes, length, &reader->text) != 0) {
    trp_socket_fail(socket, TROUPE_ENOMEM, NULL);
    return;
  }
  tell_text(socket);
}

bool trp_socket_give_last_text(trp_socket_t *socket, bool takes) {
  if (!trp_socket_is_text(socket) || !trp_socket_receives((trp_socket_state_t)socket->state)) {
    return true;
  }
  trp_text_reader_t *reader = socket->extra->reader;
  // Not flushed before somebody takes it: until then the bytes may go to another actor.
  if ((reader->text.length > 0 || trp_decoder_owes(&reader->decoder)) && !takes) {
    return false;
  }
  if (trp_decoder_flush(&reader->decoder, &reader->text) != 0) {
    trp_socket_fail(socket, TROUPE_ENOMEM, NULL);
    return true;
  }
  tell_text(socket);
  return true;
}

/// While the callback reads the text it is in nobody's reach: another encoding may be set in there.
static void tell_text(trp_socket_t *socket) {
  trp_text_reader_t *reader = socket->extra->reader;
  trp_text_t text = reader->text;
  if (text.length == 0) {
    return;
  }
  TROUPE_ASSERT(text.length <= UINT32_MAX);
  reader->text = (trp_text_t){0};
  troupe_chunk_t chunk = {.bytes = (const uint8_t *)text.bytes, .length = (uint32_t)text.length};
  TRP_SOCKET_TELL(socket, on_data, (trp_socket_handle(socket), &chunk, socket->context));
  if (reader->text.bytes == NULL && text.capacity <= KEPT_MAX) {
    text.length = 0;
    reader->text = text;
  } else {
    trp_text_free(&text);
  }
}

size_t trp_socket_held_bytes(const trp_socket_t *socket, uint8_t *bytes) {
  if (!trp_socket_is_text(socket)) {
    return 0;
  }
  const trp_text_reader_t *reader = socket->extra->reader;
  // Text is here only when the encoding was changed within a character.
  if (bytes != NULL && reader->text.length > 0) {
    memcpy(bytes, reader->text.bytes, reader->text.length);
  }
  if (bytes != NULL) {
    memcpy(bytes + reader->text.length, reader->decoder.held, reader->decoder.held_count);
  }
  return reader->text.length + reader->decoder.held_count;
}

void trp_socket_forget_text(trp_socket_t *socket) {
  if (socket->extra != NULL && socket->extra->reader != NULL) {
    socket->extra->reader->decoder.held_count = 0;
    socket->extra->reader->text.length = 0;
  }
}

void trp_text_reader_free(trp_text_reader_t *reader) {
  if (reader != NULL) {
    trp_decoder_free(&reader->decoder);
    trp_text_free(&reader->text);
    free(reader);
  }
}

// ---- Writing ----

int troupe_socket_write_text(troupe_socket_t handle, const char *text, size_t length,
                             troupe_encoding_t encoding, troupe_written_fn on_written,
                             void *context) {
  trp_text_t memory = {0};
  const void *bytes = NULL;
  size_t byte_count = 0;
  int result = encode(encoding, text, length, &memory, &bytes, &byte_count);
  if (result == 0) {
    result = troupe_socket_write(handle, bytes, byte_count, on_written, context);
  }
  trp_text_free(&memory);
  return result;
}

int troupe_socket_end_with_text(troupe_socket_t handle, const char *text, size_t length,
                                troupe_encoding_t encoding, troupe_written_fn on_finished,
                                void *context) {
  trp_text_t memory = {0};
  const void *bytes = NULL;
  size_t byte_count = 0;
  int result = encode(encoding, text, length, &memory, &bytes, &byte_count);
  if (result == 0) {
    result = troupe_socket_end_with(handle, bytes, byte_count, on_finished, context);
  }
  trp_text_free(&memory);
  return result;
}

/// The bytes are in `memory`, or are those of the text itself.
static int encode(troupe_encoding_t encoding, const char *text, size_t length, trp_text_t *memory,
                  const void **bytes, size_t *byte_count) {
  if (text == NULL && length > 0) {
    return TROUPE_EINVAL;
  }
  *bytes = text;
  *byte_count = length;
  if (encoding == TROUPE_ENCODING_NONE ||
      (encoding == TROUPE_ENCODING_UTF8 && (length == 0 || trp_is_utf8(text, length)))) {
    return 0;
  }
  int error = trp_encode(encoding, text, length, memory);
  *bytes = memory->bytes;
  *byte_count = memory->length;
  return error;
}
