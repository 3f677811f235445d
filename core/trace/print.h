/// Private. Messages in words, for people: what a difference is told with.
#ifndef TRP_PRINT_H_INCLUDED
#define TRP_PRINT_H_INCLUDED

#include <stdbool.h>
#include <troupe/export.h>

#include "core/message/wire.h"

/// Text in a buffer of fixed size; what does not fit is cut off, and the last characters then say
/// so.
typedef struct trp_text {
  char *bytes; // always ended by a zero
  size_t size; // of the buffer; at least 8
  size_t length;
} trp_text_t;

void trp_text_init(trp_text_t *text, char *bytes, size_t size);
void trp_text_add(trp_text_t *text, const char *format, ...) TROUPE_PRINTF(2, 3);

/// "write", "connection attempt failed": the kind's name in proto/troupe.proto without what all
/// have in front; "kind 77" for an unknown one.
/// Whether there is such a kind.
bool trp_is_kind(Troupe__Wire__Kind kind);
void trp_print_kind(trp_text_t *text, Troupe__Wire__Kind kind);

/// "actor 65", "I/O actor 1", "65/3" (the third thing that actor 65 made), "nobody".
void trp_print_id(trp_text_t *text, uint64_t id);

/// One line: kind, subject, flat fields that are not zero, the beginning of the payload (NULL
/// without one), the detail.
void trp_print_message(trp_text_t *text, const trp_message_t *message, const uint8_t *payload);

/// The same of a message of whose payload only the first `kept` bytes are there.
void trp_print_cut_message(trp_text_t *text, const trp_message_t *message, const uint8_t *payload,
                           size_t kept);

/// The fields of a detail that are not zero, "name=value", by what protoc-c knows of it.
void trp_print_fields(trp_text_t *text, const ProtobufCMessage *message);

/// The value of one field, by its index in the descriptor; "nothing" when it is zero.
void trp_print_field(trp_text_t *text, const ProtobufCMessage *message, unsigned index);

/// One value of a field, of whose kind `value` points to one.
void trp_print_value(trp_text_t *text, const ProtobufCFieldDescriptor *field, const void *value);

/// Whether a field is not zero; how large a value of it is in memory.
bool trp_field_is_set(const ProtobufCMessage *message, unsigned index);
size_t trp_field_size(const ProtobufCFieldDescriptor *field);

/// Bytes as text in quotes: what is not printable as \xNN or as C writes it.
void trp_print_bytes(trp_text_t *text, const uint8_t *bytes, size_t length);

/// The detail of a message, whichever it has; NULL without one.
const ProtobufCMessage *trp_message_detail(const trp_message_t *message);

#endif
