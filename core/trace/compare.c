/// Comparing messages, and telling how they differ.
#include "core/trace/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
  BEFORE = 8, // bytes shown in front of the first that differs
  SHOWN = 20, // bytes shown altogether
  FIELD_SIZE = 512,
  DEPTH_MAX = 4, // of messages in messages: errors have errors
};

/// Any detail that says where something was made.
typedef union {
  ProtobufCMessage base;
  Troupe__Wire__Connect connect;
  Troupe__Wire__Adopt adopt;
  Troupe__Wire__Listen listen;
} made_t;

static int compare_details(const ProtobufCMessage *expected, const ProtobufCMessage *got);
static int compare_fields(const ProtobufCMessage *expected, const ProtobufCMessage *got,
                          const char *const *ignore);
static int compare_field(const ProtobufCMessage *expected, const ProtobufCMessage *got,
                         unsigned index, const char *const *ignore);
static const ProtobufCMessage *without_place(const ProtobufCMessage *detail, made_t *copy);
static void explain_payload(trp_text_t *text, trp_said_t expected, trp_said_t got);
static void explain_detail(trp_text_t *text, const ProtobufCMessage *expected,
                           const ProtobufCMessage *got, const char *const *ignore);

static bool is_ignored(const char *const *ignore, const char *name) {
  for (; ignore != NULL && *ignore != NULL; ignore++) {
    if (strcmp(*ignore, name) == 0) {
      return true;
    }
  }
  return false;
}

static bool has_field(const ProtobufCMessageDescriptor *message, const char *name, int depth) {
  for (unsigned i = 0; i < message->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &message->fields[i];
    if (strcmp(field->name, name) == 0 ||
        (depth < DEPTH_MAX && field->type == PROTOBUF_C_TYPE_MESSAGE &&
         has_field(field->descriptor, name, depth + 1))) {
      return true;
    }
  }
  return false;
}

bool trp_compare_knows(const char *field) {
  return strcmp(field, "payload") == 0 || has_field(&troupe__wire__message__descriptor, field, 0);
}

trp_difference_t trp_compare(trp_said_t expected, trp_said_t got, const char *const *ignore) {
  const trp_message_t *e = expected.message;
  const trp_message_t *g = got.message;
  if (e->kind != g->kind) {
    return TRP_DIFFERENT_KIND;
  }
  if (e->subject != g->subject) {
    return TRP_DIFFERENT_SUBJECT;
  }
  if ((e->length != g->length ||
       (e->length > 0 && memcmp(expected.payload, got.payload, e->length) != 0)) &&
      !is_ignored(ignore, "payload")) {
    return TRP_DIFFERENT_PAYLOAD;
  }
  if (e->detail_case != g->detail_case) {
    return TRP_DIFFERENT_DETAIL;
  }
  if (trp_message_detail(e) != NULL) {
    made_t copies[2];
    const ProtobufCMessage *was = without_place(trp_message_detail(e), &copies[0]);
    const ProtobufCMessage *is = without_place(trp_message_detail(g), &copies[1]);
    int different = ignore == NULL ? compare_details(was, is) : compare_fields(was, is, ignore);
    if (different != 0) {
      return different < 0 ? TRP_DIFFERENT_UNKNOWN : TRP_DIFFERENT_DETAIL;
    }
  }
  if (e->flags != g->flags && !is_ignored(ignore, "flags")) {
    return TRP_DIFFERENT_FLAGS;
  }
  if (e->epoch != g->epoch && !is_ignored(ignore, "epoch")) {
    return TRP_DIFFERENT_EPOCH;
  }
  return e->through != g->through && !is_ignored(ignore, "through") ? TRP_DIFFERENT_THROUGH
                                                                    : TRP_SAME;
}

void trp_explain(trp_text_t *text, trp_difference_t difference, trp_said_t expected, trp_said_t got,
                 const char *const *ignore) {
  switch (difference) {
  case TRP_DIFFERENT_SUBJECT:
    trp_text_add(text, "  It is about another thing: ");
    trp_print_id(text, got.message->subject);
    trp_text_add(text, " instead of ");
    trp_print_id(text, expected.message->subject);
    trp_text_add(text, ".\n");
    break;
  case TRP_DIFFERENT_THROUGH:
    trp_text_add(text, "  `through` is %" PRIu64 " instead of %" PRIu64 ".\n", got.message->through,
                 expected.message->through);
    break;
  case TRP_DIFFERENT_EPOCH:
    trp_text_add(text, "  `epoch` is %" PRIu32 " instead of %" PRIu32 ".\n", got.message->epoch,
                 expected.message->epoch);
    break;
  case TRP_DIFFERENT_FLAGS:
    trp_text_add(text, "  `flags` are %" PRIu32 " instead of %" PRIu32 ".\n", got.message->flags,
                 expected.message->flags);
    break;
  case TRP_DIFFERENT_DETAIL:
    explain_detail(text, trp_message_detail(expected.message), trp_message_detail(got.message),
                   ignore);
    break;
  case TRP_DIFFERENT_PAYLOAD:
    explain_payload(text, expected, got);
    break;
  case TRP_DIFFERENT_UNKNOWN:
    trp_text_add(text, "  There is no memory to compare them.\n");
    break;
  case TRP_DIFFERENT_KIND: // the two lines above say it
  case TRP_SAME:
    break;
  }
}

/// Packed, both are the same bytes when they say the same, however they came here. 0, 1, or -1 for
/// no memory.
static int compare_details(const ProtobufCMessage *expected, const ProtobufCMessage *got) {
  size_t size = protobuf_c_message_get_packed_size(expected);
  if (size != protobuf_c_message_get_packed_size(got)) {
    return 1;
  }
  uint8_t few[2 * FIELD_SIZE];
  uint8_t *bytes = few;
  if (size > FIELD_SIZE) {
    bytes = malloc(2 * size);
    if (bytes == NULL) {
      return -1;
    }
  }
  protobuf_c_message_pack(expected, bytes);
  protobuf_c_message_pack(got, bytes + size);
  int different = memcmp(bytes, bytes + size, size) != 0;
  if (bytes != few) {
    free(bytes);
  }
  return different;
}

/// A line that was moved makes no difference.
static const ProtobufCMessage *without_place(const ProtobufCMessage *detail, made_t *copy) {
  char *nowhere = (char *)(uintptr_t)protobuf_c_empty_string;
  if (detail->descriptor == &troupe__wire__connect__descriptor) {
    copy->connect = *(const Troupe__Wire__Connect *)(const void *)detail;
    copy->connect.made_at = nowhere;
  } else if (detail->descriptor == &troupe__wire__adopt__descriptor) {
    copy->adopt = *(const Troupe__Wire__Adopt *)(const void *)detail;
    copy->adopt.made_at = nowhere;
  } else if (detail->descriptor == &troupe__wire__listen__descriptor) {
    copy->listen = *(const Troupe__Wire__Listen *)(const void *)detail;
    copy->listen.made_at = nowhere;
  } else {
    return detail;
  }
  return &copy->base;
}

/// Of one value: 1 when it differs.
static int compare_values(const ProtobufCFieldDescriptor *field, const char *expected,
                          const char *got, const char *const *ignore) {
  if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
    const ProtobufCMessage *was = NULL;
    const ProtobufCMessage *is = NULL;
    memcpy(&was, expected, sizeof was);
    memcpy(&is, got, sizeof is);
    return was == NULL || is == NULL ? was != is : compare_fields(was, is, ignore);
  }
  if (field->type == PROTOBUF_C_TYPE_STRING) {
    const char *was = NULL;
    const char *is = NULL;
    memcpy(&was, expected, sizeof was);
    memcpy(&is, got, sizeof is);
    return strcmp(was == NULL ? "" : was, is == NULL ? "" : is) != 0;
  }
  if (field->type == PROTOBUF_C_TYPE_BYTES) {
    ProtobufCBinaryData was;
    ProtobufCBinaryData is;
    memcpy(&was, expected, sizeof was);
    memcpy(&is, got, sizeof is);
    return was.len != is.len || (was.len > 0 && memcmp(was.data, is.data, was.len) != 0);
  }
  return memcmp(expected, got, trp_field_size(field)) != 0;
}

/// Field by field, so that some can be left out. Both have the same descriptor.
static int compare_fields(const ProtobufCMessage *expected, const ProtobufCMessage *got,
                          const char *const *ignore) {
  for (unsigned i = 0; i < expected->descriptor->n_fields; i++) {
    if (compare_field(expected, got, i, ignore) != 0) {
      return 1;
    }
  }
  return 0;
}

static int compare_field(const ProtobufCMessage *expected, const ProtobufCMessage *got,
                         unsigned index, const char *const *ignore) {
  const ProtobufCFieldDescriptor *field = &expected->descriptor->fields[index];
  const char *was = (const char *)expected + field->offset;
  const char *is = (const char *)got + field->offset;
  if (is_ignored(ignore, field->name)) {
    return 0;
  }
  size_t count = 1;
  if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    size_t other = 0;
    memcpy(&count, (const char *)expected + field->quantifier_offset, sizeof count);
    memcpy(&other, (const char *)got + field->quantifier_offset, sizeof other);
    if (count != other) {
      return 1;
    }
    const char *items = NULL;
    memcpy(&items, was, sizeof items);
    was = items;
    memcpy(&items, is, sizeof items);
    is = items;
  }
  for (size_t k = 0; k < count; k++) {
    size_t at = k * trp_field_size(field);
    if (compare_values(field, was + at, is + at, ignore) != 0) {
      return 1;
    }
  }
  return 0;
}

static void show(trp_text_t *text, const char *label, const uint8_t *bytes, size_t from,
                 size_t to) {
  trp_text_add(text, "    %s", label);
  for (size_t i = from; i < to; i++) {
    trp_text_add(text, "%02x ", bytes[i]);
  }
  trp_text_add(text, " ");
  trp_print_bytes(text, to > from ? bytes + from : bytes, to - from);
  trp_text_add(text, "\n");
}

static void explain_payload(trp_text_t *text, trp_said_t expected, trp_said_t got) {
  size_t expected_length = expected.message->length;
  size_t got_length = got.message->length;
  size_t common = expected_length < got_length ? expected_length : got_length;
  size_t at = 0;
  while (at < common && expected.payload[at] == got.payload[at]) {
    at++;
  }
  if (at == common) {
    trp_text_add(text,
                 "  The payload is %zu bytes long instead of %zu; up to there it is the same.\n",
                 got_length, expected_length);
  } else {
    trp_text_add(text, "  The payload differs first in byte %zu (counted from 0)", at);
    if (expected_length == got_length) {
      trp_text_add(text, " of %zu:\n", expected_length);
    } else {
      trp_text_add(text, ", and is %zu bytes long instead of %zu:\n", got_length, expected_length);
    }
  }
  size_t from = at < BEFORE ? 0 : at - BEFORE;
  size_t to = from + SHOWN;
  show(text, "expected: ", expected.payload, from, expected_length < to ? expected_length : to);
  show(text, "got:      ", got.payload, from, got_length < to ? got_length : to);
  trp_text_add(text, "    %*s^^\n", (int)(strlen("expected: ") + 3 * (at - from)), "");
}

/// Names the first field that is not the same.
static void explain_detail(trp_text_t *text, const ProtobufCMessage *expected,
                           const ProtobufCMessage *got, const char *const *ignore) {
  if (expected == NULL || got == NULL || expected->descriptor != got->descriptor) {
    return;
  }
  made_t copies[2];
  expected = without_place(expected, &copies[0]);
  got = without_place(got, &copies[1]);
  for (unsigned i = 0; i < expected->descriptor->n_fields; i++) {
    char was_bytes[FIELD_SIZE];
    char is_bytes[FIELD_SIZE];
    trp_text_t was;
    trp_text_t is;
    trp_text_init(&was, was_bytes, sizeof was_bytes);
    trp_text_init(&is, is_bytes, sizeof is_bytes);
    trp_print_field(&was, expected, i);
    trp_print_field(&is, got, i);
    if (strcmp(was_bytes, is_bytes) != 0 && compare_field(expected, got, i, ignore) != 0) {
      trp_text_add(text, "  `%s` is %s instead of %s.\n", expected->descriptor->fields[i].name,
                   is_bytes, was_bytes);
      return;
    }
  }
  trp_text_add(text, "  They differ in what is not shown here.\n");
}
