/// JSON of what protoc-c describes. Values that print.c can say are said as it does; only their
/// quotes are JSON's.
#include "core/trace/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <troupe/export.h>

#include "core/trace/print.h"

enum { ITEM_SIZE = 128 };

static void add(trp_json_t *json, const char *format, ...) TROUPE_PRINTF(2, 3);
static void add_bytes(trp_json_t *json, const uint8_t *bytes, size_t length);
static void add_id(trp_json_t *json, uint64_t id);
static void add_fields(trp_json_t *json, const ProtobufCMessage *message, const char *separator);
static void add_value(trp_json_t *json, const ProtobufCFieldDescriptor *field, const void *value);

void trp_json_init(trp_json_t *json, char *bytes, size_t size) {
  *json = (trp_json_t){.bytes = bytes, .size = size};
  if (size > 0) {
    bytes[0] = '\0';
  }
}

void trp_json_message(trp_json_t *json, const trp_message_t *message) {
  const char *separator = "";
  add(json, "{");
  if (message->through != 0) {
    add(json, "\"through\":%" PRIu64, message->through);
    separator = ",";
  }
  if (message->epoch != 0) {
    add(json, "%s\"epoch\":%" PRIu32, separator, message->epoch);
    separator = ",";
  }
  if (message->flags != 0) {
    add(json, "%s\"flags\":%" PRIu32, separator, message->flags);
    separator = ",";
  }
  const ProtobufCMessage *detail = trp_message_detail(message);
  if (detail != NULL) {
    add_fields(json, detail, separator);
  }
  add(json, "}");
}

static void add(trp_json_t *json, const char *format, ...) {
  bool full = json->length >= json->size;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(full ? NULL : json->bytes + json->length,
                         full ? 0 : json->size - json->length, format, arguments);
  va_end(arguments);
  json->length += length < 0 ? 0 : (size_t)length;
}

static void add_bytes(trp_json_t *json, const uint8_t *bytes, size_t length) {
  add(json, "\"");
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] == '"' || bytes[i] == '\\') {
      add(json, "\\%c", bytes[i]);
    } else if (bytes[i] < 0x20 || bytes[i] >= 0x7f) {
      add(json, "\\u%04x", bytes[i]);
    } else {
      add(json, "%c", bytes[i]);
    }
  }
  add(json, "\"");
}

static void add_id(trp_json_t *json, uint64_t id) {
  char bytes[ITEM_SIZE];
  trp_text_t text;
  trp_text_init(&text, bytes, sizeof bytes);
  trp_print_id(&text, id);
  add(json, "\"%s\"", bytes);
}

static void add_fields(trp_json_t *json, const ProtobufCMessage *message, const char *separator) {
  for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
    const char *value = (const char *)message + field->offset;
    if (!trp_field_is_set(message, i)) {
      continue;
    }
    add(json, "%s\"%s\":", separator, field->name);
    separator = ",";
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
      add_value(json, field, value);
      continue;
    }
    size_t count = 0;
    const char *items = NULL;
    memcpy(&count, (const char *)message + field->quantifier_offset, sizeof count);
    memcpy(&items, value, sizeof items);
    add(json, "[");
    for (size_t k = 0; k < count; k++) {
      add(json, "%s", k == 0 ? "" : ",");
      add_value(json, field, items + k * trp_field_size(field));
    }
    add(json, "]");
  }
}

static void add_value(trp_json_t *json, const ProtobufCFieldDescriptor *field, const void *value) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_FIXED64: { // an id: the proto uses it for nothing else
    uint64_t id = 0;
    memcpy(&id, value, sizeof id);
    add_id(json, id);
    break;
  }
  case PROTOBUF_C_TYPE_STRING: {
    const char *string = NULL;
    memcpy(&string, value, sizeof string);
    string = string == NULL ? "" : string;
    add_bytes(json, (const uint8_t *)string, strlen(string));
    break;
  }
  case PROTOBUF_C_TYPE_BYTES: {
    ProtobufCBinaryData bytes;
    memcpy(&bytes, value, sizeof bytes);
    add_bytes(json, bytes.data, bytes.len);
    break;
  }
  case PROTOBUF_C_TYPE_MESSAGE: {
    const ProtobufCMessage *message = NULL;
    memcpy(&message, value, sizeof message);
    if (message == NULL) {
      add(json, "null");
    } else if (message->descriptor == &troupe__wire__address__descriptor) {
      char bytes[2 * ITEM_SIZE];
      trp_text_t text;
      trp_text_init(&text, bytes, sizeof bytes);
      trp_print_value(&text, field, value);
      add_bytes(json, (const uint8_t *)bytes, text.length);
    } else {
      add(json, "{");
      add_fields(json, message, "");
      add(json, "}");
    }
    break;
  }
  case PROTOBUF_C_TYPE_ENUM: {
    char bytes[ITEM_SIZE];
    trp_text_t text;
    trp_text_init(&text, bytes, sizeof bytes);
    trp_print_value(&text, field, value);
    add_bytes(json, (const uint8_t *)bytes, text.length);
    break;
  }
  default: { // numbers and booleans are the same in both
    char bytes[ITEM_SIZE];
    trp_text_t text;
    trp_text_init(&text, bytes, sizeof bytes);
    trp_print_value(&text, field, value);
    add(json, "%s", bytes);
    break;
  }
  }
}
