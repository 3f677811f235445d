/// Bytes of a trace file from values, and values from bytes that nobody vouches for.
#include "core/trace/format.h"

#include <string.h>
#include <troupe/error.h>
#include <troupe/export.h>

#include "core/message/id.h"
#include "core/trace/crc.h"

enum { START_FIXED_SIZE = 72 };

static const char magic[12] = {'t', 'r', 'o', 'u', 'p', 'e', ' ', 't', 'r', 'a', 'c', 'e'};

static void put_u16(uint8_t *bytes, uint16_t value) {
  bytes[0] = (uint8_t)value;
  bytes[1] = (uint8_t)(value >> 8);
}

static uint16_t get_u16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] | bytes[1] << 8);
}

void trp_put_u32(uint8_t *bytes, uint32_t value) {
  put_u16(bytes, (uint16_t)value);
  put_u16(bytes + 2, (uint16_t)(value >> 16));
}

void trp_put_u64(uint8_t *bytes, uint64_t value) {
  trp_put_u32(bytes, (uint32_t)value);
  trp_put_u32(bytes + 4, (uint32_t)(value >> 32));
}

uint32_t trp_get_u32(const uint8_t *bytes) {
  return (uint32_t)get_u16(bytes) | (uint32_t)get_u16(bytes + 2) << 16;
}

uint64_t trp_get_u64(const uint8_t *bytes) {
  return (uint64_t)trp_get_u32(bytes) | (uint64_t)trp_get_u32(bytes + 4) << 32;
}

void trp_format_header(uint8_t bytes[TRP_TRACE_HEADER_SIZE], uint32_t flags, int stopped) {
  memset(bytes, 0, TRP_TRACE_HEADER_SIZE);
  memcpy(bytes, magic, sizeof magic);
  put_u16(bytes + 12, TRP_TRACE_MAJOR);
  put_u16(bytes + 14, TRP_TRACE_MINOR);
  trp_put_u32(bytes + 16, TRP_TRACE_HEADER_SIZE);
  trp_put_u32(bytes + 20, flags);
  put_u16(bytes + 24, TROUPE_VERSION_MAJOR);
  put_u16(bytes + 26, TROUPE_VERSION_MINOR);
  put_u16(bytes + 28, TROUPE_VERSION_PATCH);
  put_u16(bytes + 30, (uint16_t)-stopped);
  trp_put_u32(bytes + 32, trp_crc(0, bytes, TRP_TRACE_HEADER_SIZE - 4));
}

int trp_parse_header(const uint8_t bytes[TRP_TRACE_HEADER_SIZE], trp_trace_header_t *header) {
  if (memcmp(bytes, magic, sizeof magic) != 0) {
    return TROUPE_EBADTRACE;
  }
  header->major = get_u16(bytes + 12);
  header->minor = get_u16(bytes + 14);
  header->size = trp_get_u32(bytes + 16);
  header->flags = trp_get_u32(bytes + 20);
  for (size_t i = 0; i < 3; i++) {
    header->version[i] = get_u16(bytes + 24 + 2 * i);
  }
  header->stopped = -(int)get_u16(bytes + 30);
  // A later major version may have put its checksum elsewhere.
  if (header->major > TRP_TRACE_MAJOR) {
    return TROUPE_ETRACEVERSION;
  }
  if (header->major == 0 || header->size < TRP_TRACE_HEADER_SIZE ||
      header->size > TRP_TRACE_HEADER_MAX) {
    return TROUPE_EBADTRACE;
  }
  return 0;
}

bool trp_header_is_sound(const uint8_t *bytes, size_t size) {
  return trp_get_u32(bytes + size - 4) == trp_crc(0, bytes, size - 4);
}

void trp_format_head(uint8_t bytes[TRP_RECORD_HEAD_SIZE], const trp_record_head_t *head) {
  trp_put_u32(bytes, head->checksum);
  put_u16(bytes + 4, head->type);
  put_u16(bytes + 6, 0);
  trp_put_u64(bytes + 8, head->length);
  trp_put_u64(bytes + 16, head->sequence);
  trp_put_u64(bytes + 24, (uint64_t)head->clock_ns);
  trp_put_u64(bytes + 32, head->subject);
}

void trp_parse_head(const uint8_t bytes[TRP_RECORD_HEAD_SIZE], trp_record_head_t *head) {
  head->checksum = trp_get_u32(bytes);
  head->type = get_u16(bytes + 4);
  head->length = trp_get_u64(bytes + 8);
  head->sequence = trp_get_u64(bytes + 16);
  head->clock_ns = (int64_t)trp_get_u64(bytes + 24);
  head->subject = trp_get_u64(bytes + 32);
}

uint32_t trp_record_checksum(const trp_record_head_t *head) {
  uint8_t bytes[TRP_RECORD_HEAD_SIZE];
  trp_format_head(bytes, head);
  return trp_crc(0, bytes + 4, sizeof bytes - 4);
}

size_t trp_start_size(const trp_start_t *start) {
  return START_FIXED_SIZE + strlen(start->name) + start->argument_size;
}

void trp_format_start(uint8_t *bytes, const trp_start_t *start) {
  size_t name_length = strlen(start->name);
  trp_put_u32(bytes, START_FIXED_SIZE);
  trp_put_u32(bytes + 4, (uint32_t)name_length);
  trp_put_u64(bytes + 8, start->id);
  trp_put_u64(bytes + 16, start->group);
  trp_put_u64(bytes + 24, start->seed);
  trp_put_u64(bytes + 32, (uint64_t)start->clock_ns);
  trp_put_u32(bytes + 40, start->index);
  trp_put_u32(bytes + 44, start->io_actors);
  trp_put_u32(bytes + 48, (uint32_t)start->auto_select_family);
  trp_put_u32(bytes + 52, start->attempt_timeout_ms);
  trp_put_u64(bytes + 56, start->argument_size);
  trp_put_u64(bytes + 64, 0);
  memcpy(bytes + START_FIXED_SIZE, start->name, name_length);
  if (start->argument_size > 0) {
    memcpy(bytes + START_FIXED_SIZE + name_length, start->argument, start->argument_size);
  }
}

int trp_parse_start(const uint8_t *bytes, size_t length, trp_start_t *start) {
  *start = (trp_start_t){0};
  if (length < START_FIXED_SIZE) {
    return TROUPE_EBADTRACE;
  }
  size_t fixed_size = trp_get_u32(bytes);
  size_t name_length = trp_get_u32(bytes + 4);
  uint64_t argument_size = trp_get_u64(bytes + 56);
  if (fixed_size < START_FIXED_SIZE || fixed_size > length || name_length > TRP_NAME_MAX ||
      name_length > length - fixed_size || argument_size != length - fixed_size - name_length) {
    return TROUPE_EBADTRACE;
  }
  start->id = trp_get_u64(bytes + 8);
  start->group = trp_get_u64(bytes + 16);
  start->seed = trp_get_u64(bytes + 24);
  start->clock_ns = (int64_t)trp_get_u64(bytes + 32);
  start->index = trp_get_u32(bytes + 40);
  start->io_actors = trp_get_u32(bytes + 44);
  start->auto_select_family = (int32_t)trp_get_u32(bytes + 48);
  start->attempt_timeout_ms = trp_get_u32(bytes + 52);
  if (start->io_actors == 0 || start->io_actors > TRP_IO_ACTORS_MAX) {
    return TROUPE_EBADTRACE;
  }
  memcpy(start->name, bytes + fixed_size, name_length);
  start->argument_size = (size_t)argument_size;
  start->argument = argument_size == 0 ? NULL : bytes + fixed_size + name_length;
  return 0;
}

static trp_frame_t *copy_frame(void *context, const uint8_t *bytes, size_t size) {
  (void)context;
  return trp_frame_copy(bytes, size);
}

int trp_parse_batch(const uint8_t *body, size_t length, trp_in_t *in) {
  return trp_parse_batch_with(body, length, in, copy_frame, NULL);
}

int trp_parse_batch_with(const uint8_t *body, size_t length, trp_in_t *in,
                         trp_frame_t *(*frame_of)(void *context, const uint8_t *bytes, size_t size),
                         void *context) {
  if (length < 4) {
    return TROUPE_EBADTRACE;
  }
  size_t count = trp_get_u32(body);
  if (count == 0 || count > (length - 4) / 4) {
    return TROUPE_EBADTRACE;
  }
  size_t at = 4 + 4 * count;
  for (size_t i = 0; i < count; i++) {
    size_t size = trp_get_u32(body + 4 + 4 * i);
    if (size > length - at) {
      return TROUPE_EBADTRACE;
    }
    trp_frame_t *frame = frame_of(context, body + at, size);
    if (frame == NULL) {
      return TROUPE_ENOMEM;
    }
    int error = trp_in_push(in, frame);
    if (error != 0) {
      trp_frame_release(frame);
      return error;
    }
    at += size;
  }
  if (at != length) {
    return TROUPE_EBADTRACE;
  }
  int error = trp_in_open(in);
  return error == TROUPE_EBADMESSAGE ? TROUPE_EBADTRACE : error;
}
