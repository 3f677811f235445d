/// Messages in words. Details are printed from their descriptors, so that a new field needs nothing
/// here.
#include "core/trace/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <troupe/error.h>

#include "core/message/id.h"

enum {
  BRIEF_LENGTH = 32, // of a payload in a line
  FIELD_LENGTH = 96, // of bytes and strings in a detail
  ITEMS_MAX = 8,     // of a repeated field
  ADDRESS_SIZE = 48, // text of an IPv6 address
};

static void print_address(trp_text_t *text, const Troupe__Wire__Address *address);
static void print_ipv6(trp_text_t *text, const uint8_t *bytes);
static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

void trp_text_init(trp_text_t *text, char *bytes, size_t size) {
  *text = (trp_text_t){.bytes = bytes, .size = size};
  bytes[0] = '\0';
}

void trp_text_add(trp_text_t *text, const char *format, ...) {
  size_t room = text->size - text->length;
  if (room <= 1) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text->bytes + text->length, room, format, arguments);
  va_end(arguments);
  if (length < 0) {
    text->bytes[text->length] = '\0';
  } else if ((size_t)length < room) {
    text->length += (size_t)length;
  } else {
    text->length = text->size - 1;
    memcpy(text->bytes + text->length - 4, "...\n", 5);
  }
}

bool trp_is_kind(Troupe__Wire__Kind kind) {
  return protobuf_c_enum_descriptor_get_value(&troupe__wire__kind__descriptor, (int)kind) != NULL;
}

void trp_print_kind(trp_text_t *text, Troupe__Wire__Kind kind) {
  const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
      &troupe__wire__kind__descriptor, (int)kind);
  if (value == NULL) {
    trp_text_add(text, "kind %d", (int)kind);
    return;
  }
  const char *name = strchr(value->name, '_');
  for (name = name == NULL ? value->name : name + 1; *name != '\0'; name++) {
    trp_text_add(text, "%c", *name == '_' ? ' ' : tolower((unsigned char)*name));
  }
}

void trp_print_id(trp_text_t *text, uint64_t id) {
  uint32_t creator = trp_id_creator(id);
  if (id == 0) {
    trp_text_add(text, "nobody");
  } else if (trp_id_is_io_actor(id)) {
    trp_text_add(text, "I/O actor %" PRIu32, creator);
  } else if (trp_id_is_actor(id)) {
    trp_text_add(text, "actor %" PRIu32, creator);
  } else {
    trp_text_add(text, "%" PRIu32 "/%" PRIu64, creator, id & TRP_ID_COUNTER_MAX);
  }
}

void trp_print_message(trp_text_t *text, const trp_message_t *message, const uint8_t *payload) {
  trp_print_cut_message(text, message, payload, message->length);
}

void trp_print_cut_message(trp_text_t *text, const trp_message_t *message, const uint8_t *payload,
                           size_t kept) {
  trp_print_kind(text, message->kind);
  if (message->subject != 0) {
    trp_text_add(text, " on ");
    trp_print_id(text, message->subject);
  }
  if (message->frame != 0) {
    trp_text_add(text, ", %" PRIu32 " byte%s ", message->length, message->length == 1 ? "" : "s");
    size_t shown = kept < BRIEF_LENGTH ? kept : BRIEF_LENGTH;
    trp_print_bytes(text, payload, shown);
    if (shown < message->length) {
      trp_text_add(text, "...");
    }
  }
  if (message->through != 0) {
    trp_text_add(text, ", through=%" PRIu64, message->through);
  }
  if (message->epoch != 0) {
    trp_text_add(text, ", epoch=%" PRIu32, message->epoch);
  }
  if (message->flags != 0) {
    trp_text_add(text, ", flags=%" PRIu32, message->flags);
  }
  const ProtobufCMessage *detail = trp_message_detail(message);
  // What started a timer depends on how events came together.
  if (detail != NULL && message->detail_case != TRP_DETAIL(TIMER)) {
    trp_text_add(text, " {");
    trp_print_fields(text, detail);
    trp_text_add(text, "}");
  }
}

const ProtobufCMessage *trp_message_detail(const trp_message_t *message) {
  // All cases of the oneof are pointers to messages, in one union.
  if (message->detail_case == TROUPE__WIRE__MESSAGE__DETAIL__NOT_SET) {
    return NULL;
  }
  return (const ProtobufCMessage *)(const void *)message->hello;
}

void trp_print_fields(trp_text_t *text, const ProtobufCMessage *message) {
  const char *separator = "";
  for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
    if (is_set(message, &message->descriptor->fields[i])) {
      trp_text_add(text, "%s%s=", separator, message->descriptor->fields[i].name);
      trp_print_field(text, message, i);
      separator = " ";
    }
  }
}

void trp_print_field(trp_text_t *text, const ProtobufCMessage *message, unsigned index) {
  const ProtobufCFieldDescriptor *field = &message->descriptor->fields[index];
  const char *value = (const char *)message + field->offset;
  if (!is_set(message, field)) {
    trp_text_add(text, "nothing");
  } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    size_t count = 0;
    const char *items = NULL;
    memcpy(&count, (const char *)message + field->quantifier_offset, sizeof count);
    memcpy(&items, value, sizeof items);
    trp_text_add(text, "[");
    for (size_t i = 0; i < count && i < ITEMS_MAX; i++) {
      trp_text_add(text, "%s", i == 0 ? "" : " ");
      trp_print_value(text, field, items + i * trp_field_size(field));
    }
    trp_text_add(text, "%s]", count > ITEMS_MAX ? " ..." : "");
  } else {
    trp_print_value(text, field, value);
  }
}

void trp_print_bytes(trp_text_t *text, const uint8_t *bytes, size_t length) {
  trp_text_add(text, "\"");
  for (size_t i = 0; i < length; i++) {
    switch (bytes[i]) {
    case '\n':
      trp_text_add(text, "\\n");
      break;
    case '\r':
      trp_text_add(text, "\\r");
      break;
    case '\t':
      trp_text_add(text, "\\t");
      break;
    case '"':
    case '\\':
      trp_text_add(text, "\\%c", bytes[i]);
      break;
    default:
      if (bytes[i] >= 0x20 && bytes[i] < 0x7f) {
        trp_text_add(text, "%c", bytes[i]);
      } else {
        trp_text_add(text, "\\x%02x", bytes[i]);
      }
      break;
    }
  }
  trp_text_add(text, "\"");
}

void trp_print_value(trp_text_t *text, const ProtobufCFieldDescriptor *field, const void *value) {
  int32_t number32 = 0;
  uint64_t number64 = 0;
  switch (field->type) {
  case PROTOBUF_C_TYPE_INT32:
  case PROTOBUF_C_TYPE_SINT32:
  case PROTOBUF_C_TYPE_SFIXED32:
    memcpy(&number32, value, sizeof number32);
    trp_text_add(text, "%" PRId32, number32);
    break;
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_FIXED32:
    memcpy(&number32, value, sizeof number32);
    trp_text_add(text, "%" PRIu32, (uint32_t)number32);
    break;
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
    memcpy(&number64, value, sizeof number64);
    trp_text_add(text, "%" PRId64, (int64_t)number64);
    break;
  case PROTOBUF_C_TYPE_UINT64:
    memcpy(&number64, value, sizeof number64);
    trp_text_add(text, "%" PRIu64, number64);
    break;
  case PROTOBUF_C_TYPE_FIXED64: // an id: the proto uses it for nothing else
    memcpy(&number64, value, sizeof number64);
    trp_print_id(text, number64);
    break;
  case PROTOBUF_C_TYPE_BOOL:
    memcpy(&number32, value, sizeof(protobuf_c_boolean));
    trp_text_add(text, "%s", number32 != 0 ? "true" : "false");
    break;
  case PROTOBUF_C_TYPE_ENUM: {
    memcpy(&number32, value, sizeof number32);
    const ProtobufCEnumValue *named = protobuf_c_enum_descriptor_get_value(field->descriptor,
                                                                           number32);
    if (named == NULL) {
      trp_text_add(text, "%" PRId32, number32);
    } else {
      trp_text_add(text, "%s", named->name);
    }
    break;
  }
  case PROTOBUF_C_TYPE_STRING: {
    const char *string = NULL;
    memcpy(&string, value, sizeof string);
    string = string == NULL ? "" : string;
    trp_print_bytes(text, (const uint8_t *)string, strnlen(string, FIELD_LENGTH));
    break;
  }
  case PROTOBUF_C_TYPE_BYTES: {
    ProtobufCBinaryData bytes;
    memcpy(&bytes, value, sizeof bytes);
    trp_print_bytes(text, bytes.data, bytes.len < FIELD_LENGTH ? bytes.len : FIELD_LENGTH);
    break;
  }
  case PROTOBUF_C_TYPE_MESSAGE: {
    const ProtobufCMessage *message = NULL;
    memcpy(&message, value, sizeof message);
    if (message == NULL) {
      trp_text_add(text, "none");
    } else if (message->descriptor == &troupe__wire__address__descriptor) {
      print_address(text, (const Troupe__Wire__Address *)(const void *)message);
    } else {
      trp_text_add(text, "{");
      trp_print_fields(text, message);
      trp_text_add(text, "}");
    }
    break;
  }
  default: // floating point numbers, which the proto does without
    trp_text_add(text, "?");
    break;
  }
}

static void print_address(trp_text_t *text, const Troupe__Wire__Address *address) {
  const uint8_t *bytes = address->bytes.data;
  if (address->family == 4 && address->bytes.len == 4) {
    trp_text_add(text, "%d.%d.%d.%d:%" PRIu32, bytes[0], bytes[1], bytes[2], bytes[3],
                 address->port);
  } else if (address->family == 6 && address->bytes.len == 16) {
    trp_text_add(text, "[");
    print_ipv6(text, bytes);
    if (address->scope_id != 0) {
      trp_text_add(text, "%%%" PRIu32, address->scope_id);
    }
    trp_text_add(text, "]:%" PRIu32, address->port);
  } else if (address->family == 1) {
    trp_print_bytes(text, bytes, address->bytes.len < 108 ? address->bytes.len : 108);
  } else {
    trp_text_add(text, "{");
    trp_print_fields(text, &address->base);
    trp_text_add(text, "}");
  }
}

/// The longest run of two or more zero groups becomes "::".
static void print_ipv6(trp_text_t *text, const uint8_t *bytes) {
  unsigned groups[8];
  for (size_t i = 0; i < 8; i++) {
    groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
  }
  size_t run_begin = 8;
  size_t run_length = 1;
  for (size_t i = 0; i < 8; i++) {
    size_t end = i;
    while (end < 8 && groups[end] == 0) {
      end++;
    }
    if (end - i > run_length) {
      run_begin = i;
      run_length = end - i;
    }
  }
  for (size_t i = 0; i < 8; i++) {
    if (i == run_begin) {
      trp_text_add(text, "::");
      i += run_length - 1;
    } else {
      bool first = i == 0 || i == run_begin + run_length;
      trp_text_add(text, "%s%x", first ? "" : ":", groups[i]);
    }
  }
}

bool trp_field_is_set(const ProtobufCMessage *message, unsigned index) {
  return is_set(message, &message->descriptor->fields[index]);
}

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  const char *value = (const char *)message + field->offset;
  if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    size_t count = 0;
    memcpy(&count, (const char *)message + field->quantifier_offset, sizeof count);
    return count > 0;
  }
  static const uint8_t zero[sizeof(ProtobufCBinaryData)];
  if (field->type == PROTOBUF_C_TYPE_STRING) {
    const char *string = NULL;
    memcpy(&string, value, sizeof string);
    return string != NULL && string[0] != '\0';
  }
  if (field->type == PROTOBUF_C_TYPE_BYTES) {
    ProtobufCBinaryData bytes;
    memcpy(&bytes, value, sizeof bytes);
    return bytes.len > 0;
  }
  return memcmp(value, zero, trp_field_size(field)) != 0;
}

size_t trp_field_size(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_DOUBLE:
    return sizeof(uint64_t);
  case PROTOBUF_C_TYPE_BOOL:
    return sizeof(protobuf_c_boolean);
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_MESSAGE:
    return sizeof(void *);
  case PROTOBUF_C_TYPE_BYTES:
    return sizeof(ProtobufCBinaryData);
  default:
    return sizeof(uint32_t);
  }
}
