/// Protobuf-c walks all 27 fields of a Message twice to pack it and looks each one up to unpack it:
/// some 650 ns for each message that crosses a pipe. Here the flat fields, which are all that a hot
/// message has, are written and read directly (some 40 ns), and only a `detail` goes through
/// protobuf-c. The bytes are the same format; a test compares both ways with protobuf-c's own.
#include "core/message/codec.h"

#include <stdbool.h>
#include <string.h>
#include <troupe/error.h>

enum {
  WIRE_VARINT = 0,
  WIRE_FIXED64 = 1,
  WIRE_LENGTH = 2,
  WIRE_FIXED32 = 5,
  TAG_BITS = 3,
  VARINT_MAX = 10,
  FIRST_DETAIL = 16,
  /// All flat fields of a message with their tags, at the most; below 128, so that its length takes
  /// one byte.
  FLAT_MAX = 9 + 7 * (1 + VARINT_MAX) + 3,
  HEAD_MAX = 2 * 9 + 3 * (1 + VARINT_MAX),
  /// How deep messages may lie in each other. Ours do not go beyond Error in Error in Attempt.
  DEPTH_MAX = 8,
};

_Static_assert(FLAT_MAX < 128, "the length of a flat message takes one byte");

typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} reader_t;

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *at++ = (uint8_t)value;
  return at;
}

/// A field of its default value is left out, as proto3 has it.
static uint8_t *put_number(uint8_t *at, unsigned field, uint64_t value) {
  if (value == 0) {
    return at;
  }
  *at++ = (uint8_t)(field << TAG_BITS | WIRE_VARINT);
  return put_varint(at, value);
}

static uint8_t *put_fixed64(uint8_t *at, unsigned field, uint64_t value) {
  if (value == 0) {
    return at;
  }
  *at++ = (uint8_t)(field << TAG_BITS | WIRE_FIXED64);
  for (unsigned i = 0; i < 8; i++) {
    *at++ = (uint8_t)(value >> (8 * i));
  }
  return at;
}

static const ProtobufCMessage *detail_of(const trp_message_t *message) {
  // The members of the union are pointers to messages, all of them.
  return message->detail_case == TROUPE__WIRE__MESSAGE__DETAIL__NOT_SET ? NULL
                                                                        : &message->hello->base;
}

static uint8_t *put_message(uint8_t *at, const trp_message_t *message) {
  const ProtobufCMessage *detail = detail_of(message);
  *at++ = 6 << TAG_BITS | WIRE_LENGTH;
  uint8_t flat[FLAT_MAX];
  uint8_t *start = detail == NULL ? at + 1 : flat;
  uint8_t *end = put_number(start, 1, (uint64_t)(int64_t)(int)message->kind);
  end = put_fixed64(end, 2, message->subject);
  end = put_number(end, 3, message->frame);
  end = put_number(end, 4, message->offset);
  end = put_number(end, 5, message->length);
  end = put_number(end, 6, message->through);
  end = put_number(end, 7, message->epoch);
  end = put_number(end, 8, message->flags);
  if (detail == NULL) {
    *at = (uint8_t)(end - start);
    return end;
  }
  size_t flat_length = (size_t)(end - start);
  size_t detail_length = protobuf_c_message_get_packed_size(detail);
  uint8_t head[2 * VARINT_MAX];
  uint8_t *head_end = put_varint(head, (uint64_t)message->detail_case << TAG_BITS | WIRE_LENGTH);
  head_end = put_varint(head_end, detail_length);
  size_t head_length = (size_t)(head_end - head);
  at = put_varint(at, flat_length + head_length + detail_length);
  memcpy(at, flat, flat_length);
  memcpy(at + flat_length, head, head_length);
  at += flat_length + head_length;
  return at + protobuf_c_message_pack(detail, at);
}

static size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) {
    size++;
  }
  return size;
}

static uint8_t *put_causes(uint8_t *at, const trp_wire_batch_t *batch) {
  size_t length = 0;
  for (size_t i = 0; i < batch->n_causes; i++) {
    length += varint_size(batch->causes[i]);
  }
  *at++ = 7 << TAG_BITS | WIRE_LENGTH;
  at = put_varint(at, length);
  for (size_t i = 0; i < batch->n_causes; i++) {
    at = put_varint(at, batch->causes[i]);
  }
  return at;
}

size_t trp_codec_bound(const trp_wire_batch_t *batch) {
  size_t bound = HEAD_MAX + batch->n_messages * (2 + FLAT_MAX);
  bound += (batch->n_causes + 1) * VARINT_MAX + 1;
  for (size_t i = 0; i < batch->n_messages; i++) {
    const ProtobufCMessage *detail = detail_of(batch->messages[i]);
    if (detail != NULL) {
      bound += protobuf_c_message_get_packed_size(detail) + 3 * VARINT_MAX;
    }
  }
  return bound;
}

size_t trp_codec_pack(const trp_wire_batch_t *batch, uint8_t *bytes) {
  uint8_t *at = put_fixed64(bytes, 1, batch->sender);
  at = put_number(at, 2, batch->first_sequence);
  at = put_number(at, 3, batch->cause_sequence);
  at = put_fixed64(at, 4, batch->cause_sender);
  at = put_number(at, 5, batch->window);
  for (size_t i = 0; i < batch->n_messages; i++) {
    at = put_message(at, batch->messages[i]);
  }
  if (batch->n_causes > 0) {
    at = put_causes(at, batch);
  }
  return (size_t)(at - bytes);
}

static bool get_long_varint(reader_t *reader, uint64_t *value) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 7 * VARINT_MAX; shift += 7) {
    if (reader->at == reader->end) {
      return false;
    }
    uint8_t byte = *reader->at++;
    // The tenth byte has one bit left to give.
    if (shift == 63 && byte > 1) {
      return false;
    }
    result |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = result;
      return true;
    }
  }
  return false;
}

static inline bool get_varint(reader_t *reader, uint64_t *value) {
  if (reader->at < reader->end && *reader->at < 0x80) {
    *value = *reader->at++;
    return true;
  }
  return get_long_varint(reader, value);
}

static inline bool get_fixed64(reader_t *reader, uint64_t *value) {
  if (reader->end - reader->at < 8) {
    return false;
  }
  // Written out, so that the compiler makes one load of it.
  const uint8_t *b = reader->at;
  uint64_t result = (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 |
                    (uint64_t)b[3] << 24 | (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 |
                    (uint64_t)b[6] << 48 | (uint64_t)b[7] << 56;
  reader->at += 8;
  *value = result;
  return true;
}

/// Reads the value behind a tag: a number, or what a length says.
static bool get_value(reader_t *reader, unsigned wire, uint64_t *number, reader_t *inner) {
  switch (wire) {
  case WIRE_VARINT:
    return get_varint(reader, number);
  case WIRE_FIXED64:
    return get_fixed64(reader, number);
  case WIRE_LENGTH:
    if (!get_varint(reader, number) || *number > (uint64_t)(reader->end - reader->at)) {
      return false;
    }
    *inner = (reader_t){.at = reader->at, .end = reader->at + *number};
    reader->at = inner->end;
    return true;
  case WIRE_FIXED32:
    if (reader->end - reader->at < 4) {
      return false;
    }
    reader->at += 4;
    *number = 0;
    return true;
  default:
    return false;
  }
}

static bool get_field(reader_t *reader, unsigned *field, unsigned *wire, uint64_t *number,
                      reader_t *inner) {
  uint64_t tag = 0;
  if (!get_varint(reader, &tag) || tag >> TAG_BITS == 0 || tag > UINT32_MAX) {
    return false;
  }
  *field = (unsigned)(tag >> TAG_BITS);
  *wire = (unsigned)(tag & 7);
  return get_value(reader, *wire, number, inner);
}

/// protobuf-c goes down as deep as the bytes say. These may come from a file.
static bool is_shallow(const ProtobufCMessageDescriptor *descriptor, reader_t reader, int depth) {
  if (depth > DEPTH_MAX) {
    return false;
  }
  while (reader.at < reader.end) {
    unsigned field = 0;
    unsigned wire = 0;
    uint64_t number = 0;
    reader_t inner = {0};
    if (!get_field(&reader, &field, &wire, &number, &inner)) {
      return false;
    }
    const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(descriptor,
                                                                                    field);
    if (known != NULL && known->type == PROTOBUF_C_TYPE_MESSAGE && wire == WIRE_LENGTH &&
        !is_shallow(known->descriptor, inner, depth + 1)) {
      return false;
    }
  }
  return true;
}

static int get_detail(trp_message_t *message, unsigned field, reader_t inner, trp_arena_t *arena) {
  const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(
      &troupe__wire__message__descriptor, field);
  if (known == NULL) {
    return 0; // of a later version
  }
  if (!is_shallow(known->descriptor, inner, 0)) {
    return TROUPE_EBADMESSAGE;
  }
  arena->failed = false;
  ProtobufCMessage *detail = protobuf_c_message_unpack(known->descriptor, &arena->allocator,
                                                       (size_t)(inner.end - inner.at), inner.at);
  if (detail == NULL) {
    return arena->failed ? TROUPE_ENOMEM : TROUPE_EBADMESSAGE;
  }
  message->detail_case = (Troupe__Wire__Message__DetailCase)field;
  message->hello = (Troupe__Wire__Hello *)(void *)detail;
  return 0;
}

/// One of the fields that are not of a flat message, or not as they should be.
static int get_other(trp_message_t *message, reader_t *reader, trp_arena_t *arena) {
  unsigned field = 0;
  unsigned wire = 0;
  uint64_t number = 0;
  reader_t inner = {0};
  if (!get_field(reader, &field, &wire, &number, &inner)) {
    return TROUPE_EBADMESSAGE;
  }
  if (field >= FIRST_DETAIL && wire == WIRE_LENGTH) {
    return get_detail(message, field, inner, arena);
  }
  // A flat field of another wire type; all else is of a later version.
  return field <= 8 ? TROUPE_EBADMESSAGE : 0;
}

#define TAG(field, wire) ((field) << TAG_BITS | (wire))

static int get_message(trp_message_t *message, reader_t reader, trp_arena_t *arena) {
  *message = (trp_message_t)TROUPE__WIRE__MESSAGE__INIT;
  while (reader.at < reader.end) {
    uint8_t tag = *reader.at;
    if (tag == TAG(2, WIRE_FIXED64)) {
      reader.at++;
      if (!get_fixed64(&reader, &message->subject)) {
        return TROUPE_EBADMESSAGE;
      }
      continue;
    }
    if (tag > TAG(8, WIRE_VARINT) || (tag & 7) != WIRE_VARINT || tag == TAG(2, WIRE_VARINT)) {
      int error = get_other(message, &reader, arena);
      if (error != 0) {
        return error;
      }
      continue;
    }
    reader.at++;
    uint64_t number = 0;
    if (!get_varint(&reader, &number)) {
      return TROUPE_EBADMESSAGE;
    }
    switch (tag) {
    case TAG(1, WIRE_VARINT):
      message->kind = (Troupe__Wire__Kind)(uint32_t)number;
      break;
    case TAG(3, WIRE_VARINT):
      message->frame = (uint32_t)number;
      break;
    case TAG(4, WIRE_VARINT):
      message->offset = (uint32_t)number;
      break;
    case TAG(5, WIRE_VARINT):
      message->length = (uint32_t)number;
      break;
    case TAG(6, WIRE_VARINT):
      message->through = number;
      break;
    case TAG(7, WIRE_VARINT):
      message->epoch = (uint32_t)number;
      break;
    case TAG(8, WIRE_VARINT):
      message->flags = (uint32_t)number;
      break;
    default:
      return TROUPE_EBADMESSAGE; // there is no field 0
    }
  }
  return 0;
}

/// Counts the messages, so that their memory is taken at once. False: the bytes make no sense.
static bool count_messages(reader_t reader, size_t *count) {
  *count = 0;
  while (reader.at < reader.end) {
    unsigned field = 0;
    unsigned wire = 0;
    uint64_t number = 0;
    reader_t inner = {0};
    if (!get_field(&reader, &field, &wire, &number, &inner)) {
      return false;
    }
    if (field == 6) {
      if (wire != WIRE_LENGTH) {
        return false;
      }
      ++*count;
    }
  }
  return true;
}

/// Each number takes a byte at the least.
static int get_causes(trp_wire_batch_t *batch, reader_t reader, trp_arena_t *arena) {
  batch->n_causes = 0; // of a field that is there twice the last one counts
  batch->causes = trp_arena_take(arena, (size_t)(reader.end - reader.at) * sizeof *batch->causes);
  if (batch->causes == NULL) {
    return TROUPE_ENOMEM;
  }
  while (reader.at < reader.end) {
    if (!get_varint(&reader, &batch->causes[batch->n_causes++])) {
      return TROUPE_EBADMESSAGE;
    }
  }
  return 0;
}

int trp_codec_unpack(const uint8_t *bytes, size_t length, trp_arena_t *arena,
                     trp_wire_batch_t **batch) {
  reader_t reader = {.at = bytes, .end = bytes + length};
  size_t count = 0;
  if (!count_messages(reader, &count)) {
    return TROUPE_EBADMESSAGE;
  }
  trp_wire_batch_t *made = trp_arena_take(arena, sizeof *made);
  trp_message_t **list = trp_arena_take(arena, count * sizeof *list);
  trp_message_t *messages = trp_arena_take(arena, count * sizeof *messages);
  if (made == NULL || list == NULL || messages == NULL) {
    return TROUPE_ENOMEM;
  }
  *made = (trp_wire_batch_t)TROUPE__WIRE__BATCH__INIT;
  made->messages = list;
  while (reader.at < reader.end) {
    unsigned field = 0;
    unsigned wire = 0;
    uint64_t number = 0;
    reader_t inner = {0};
    if (!get_field(&reader, &field, &wire, &number, &inner)) {
      return TROUPE_EBADMESSAGE;
    }
    if (field == 6) {
      trp_message_t *message = &messages[made->n_messages];
      int error = get_message(message, inner, arena);
      if (error != 0) {
        return error;
      }
      list[made->n_messages++] = message;
      continue;
    }
    if (field == 7) {
      int error = wire != WIRE_LENGTH ? TROUPE_EBADMESSAGE : get_causes(made, inner, arena);
      if (error != 0) {
        return error;
      }
      continue;
    }
    if (field < 6 && wire != (field == 1 || field == 4 ? WIRE_FIXED64 : WIRE_VARINT)) {
      return TROUPE_EBADMESSAGE;
    }
    switch (field) {
    case 1:
      made->sender = number;
      break;
    case 2:
      made->first_sequence = number;
      break;
    case 3:
      made->cause_sequence = number;
      break;
    case 4:
      made->cause_sender = number;
      break;
    case 5:
      made->window = number;
      break;
    default:
      break;
    }
  }
  *batch = made;
  return 0;
}
