/// Small pieces are collected in a buffer; a large frame is written from where it lies, together
/// with what waits in front of it. A full buffer ends where a whole multiple of its size does in the
/// file: a page of the cache that two writes share costs the kernel half as much again.
#include "core/trace/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/trace/crc.h"

enum {
  BUFFER_SIZE = 128 * 1024,
  DIRECT_SIZE = 16 * 1024, // a frame from this size on is not copied into the buffer
  NAMING_MAX = 256,        // frames of a batch; one with more is written as it is
};

static int put(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
               size_t frame_count);
static uint32_t find_named(const trp_writer_t *writer, const trp_name_t *name, size_t size,
                           uint64_t *named);
static int put_naming(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
                      size_t frame_count, const uint32_t *back);
static int look_for_hole(trp_writer_t *writer, const trp_record_head_t *head);
static int put_gap(trp_writer_t *writer, const trp_record_head_t *next);
static int mark_incomplete(trp_writer_t *writer);
static int put_header(trp_writer_t *writer);
static int count(trp_writer_t *writer, uint64_t bytes, int error);
static int append(trp_writer_t *writer, const void *bytes, size_t length);
static int write_out(trp_writer_t *writer, const void *bytes, size_t length);
static uint64_t count_out(const trp_writer_t *writer, uint64_t from, size_t length);
static int fail(trp_writer_t *writer, int error);

int trp_writer_open(trp_writer_t *writer, int fd, uint32_t flags) {
  *writer = (trp_writer_t){.fd = fd, .flags = flags};
  uint8_t header[TRP_TRACE_HEADER_SIZE];
  trp_format_header(header, flags, 0);
  writer->bytes = sizeof header;
  int error = write_out(writer, header, sizeof header);
  return error == 0 ? 0 : fail(writer, error);
}

int trp_writer_put(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
                   size_t frame_count) {
  int error = 0;
  if (head.type == TRP_RECORD_GAP) {
    writer->gaps++;
    writer->sequence = 0;
    error = mark_incomplete(writer);
  } else {
    error = look_for_hole(writer, &head);
  }
  if (error == 0) {
    error = put(writer, head, frames, frame_count);
  }
  return error == 0 ? 0 : fail(writer, error);
}

int trp_writer_put_naming(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
                          size_t frame_count, const trp_name_t *names) {
  uint32_t back[NAMING_MAX] = {0};
  uint64_t named = 0;
  // A gap in front of it would move its head.
  bool moves = writer->sequence != 0 && head.sequence > writer->sequence;
  for (size_t i = 1; i < frame_count && frame_count <= NAMING_MAX && !moves; i++) {
    trp_name_t name; // it came in a message, which aligns nothing
    memcpy(&name, &names[i - 1], sizeof name);
    back[i] = find_named(writer, &name, frames[i]->size, &named);
  }
  head.type = named > 0 ? TRP_RECORD_OUT_NAMING : TRP_RECORD_OUT;
  if (named == 0) {
    return trp_writer_put(writer, head, frames, frame_count);
  }
  writer->named += named;
  writer->sequence = head.sequence + 1;
  int error = put_naming(writer, head, frames, frame_count, back);
  return error == 0 ? 0 : fail(writer, error);
}

int trp_writer_put_body(trp_writer_t *writer, trp_record_head_t head, const uint8_t *body,
                        size_t length) {
  int error = look_for_hole(writer, &head);
  head.length = length;
  head.checksum = trp_crc(trp_record_checksum(&head), body, length);
  uint8_t bytes[TRP_RECORD_HEAD_SIZE];
  trp_format_head(bytes, &head);
  if (error == 0) {
    error = append(writer, bytes, sizeof bytes);
  }
  if (error == 0) {
    error = append(writer, body, length);
  }
  error = count(writer, sizeof bytes + length, error);
  return error == 0 ? 0 : fail(writer, error);
}

int trp_writer_skip(trp_writer_t *writer, const trp_record_head_t *head) {
  int error = look_for_hole(writer, head);
  return error == 0 ? 0 : fail(writer, error);
}

int trp_writer_flush(trp_writer_t *writer) {
  int error = write_out(writer, NULL, 0);
  if (error != 0) {
    return fail(writer, error);
  }
  free(writer->buffer);
  writer->buffer = NULL;
  return 0;
}

int trp_writer_set_flags(trp_writer_t *writer, uint32_t flags) {
  writer->flags = flags;
  int error = put_header(writer);
  return error == 0 ? 0 : fail(writer, error);
}

int trp_writer_close(trp_writer_t *writer) {
  if (writer->fd < 0) {
    return 0;
  }
  int error = trp_writer_flush(writer);
  if (error != 0) {
    return error;
  }
  int fd = writer->fd;
  writer->fd = -1;
  // Linux closes it in any case; some file systems tell here what went wrong before.
  return close(fd) != 0 && errno != EINTR ? -errno : 0;
}

static int put(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
               size_t frame_count) {
  bool batch = head.type == TRP_RECORD_IN || head.type == TRP_RECORD_OUT;
  bool fits = frame_count <= UINT32_MAX;
  head.length = batch ? 4 + 4 * (uint64_t)frame_count : 0;
  for (size_t i = 0; i < frame_count; i++) {
    head.length += frames[i]->size;
    fits = fits && frames[i]->size <= UINT32_MAX;
  }
  if (!fits) {
    return TROUPE_EOVERFLOW; // a frame of more than 4 GiB
  }
  uint8_t number[4];
  uint32_t checksum = trp_record_checksum(&head);
  if (batch) {
    trp_put_u32(number, (uint32_t)frame_count);
    checksum = trp_crc(checksum, number, sizeof number);
    for (size_t i = 0; i < frame_count; i++) {
      trp_put_u32(number, (uint32_t)frames[i]->size);
      checksum = trp_crc(checksum, number, sizeof number);
    }
  }
  for (size_t i = 0; i < frame_count; i++) {
    checksum = trp_crc(checksum, frames[i]->bytes, frames[i]->size);
  }
  head.checksum = checksum;

  if (head.type == TRP_RECORD_IN) {
    writer->came[head.sequence % TRP_WRITER_CAME].sequence = head.sequence;
    writer->came[head.sequence % TRP_WRITER_CAME].position = writer->bytes;
  }
  uint8_t bytes[TRP_RECORD_HEAD_SIZE];
  trp_format_head(bytes, &head);
  int error = append(writer, bytes, sizeof bytes);
  if (error == 0 && batch) {
    trp_put_u32(number, (uint32_t)frame_count);
    error = append(writer, number, sizeof number);
    for (size_t i = 0; i < frame_count && error == 0; i++) {
      trp_put_u32(number, (uint32_t)frames[i]->size);
      error = append(writer, number, sizeof number);
    }
  }
  for (size_t i = 0; i < frame_count && error == 0; i++) {
    error = append(writer, frames[i]->bytes, frames[i]->size);
  }
  return count(writer, sizeof bytes + head.length, error);
}

/// How far back a frame's bytes stand in the file, when a reader may be sent there; else 0. `*named`
/// is what the record names so far.
static uint32_t find_named(const trp_writer_t *writer, const trp_name_t *name, size_t size,
                           uint64_t *named) {
  size_t slot = name->record % TRP_WRITER_CAME;
  if (name->record == 0 || writer->came[slot].sequence != name->record) {
    return 0;
  }
  uint64_t back = writer->bytes - (writer->came[slot].position + TRP_RECORD_HEAD_SIZE + name->at);
  uint64_t all = *named + size;
  if (size > back || back > TRP_NAMED_REACH || all > TRP_NAMED_REACH ||
      writer->named + all > TRP_NAMED_TIMES * writer->bytes) {
    return 0;
  }
  *named = all;
  return (uint32_t)back;
}

static int put_naming(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
                      size_t frame_count, const uint32_t *back) {
  uint8_t bytes[4 + 8 * NAMING_MAX];
  size_t length = 4;
  trp_put_u32(bytes, (uint32_t)frame_count);
  head.length = 4 + 8 * (uint64_t)frame_count;
  for (size_t i = 0; i < frame_count; i++, length += 8) {
    if (frames[i]->size > UINT32_MAX) {
      return TROUPE_EOVERFLOW; // a frame of more than 4 GiB
    }
    trp_put_u32(bytes + length, (uint32_t)frames[i]->size);
    trp_put_u32(bytes + length + 4, back[i]);
    head.length += back[i] == 0 ? frames[i]->size : 0;
  }
  head.checksum = trp_crc(trp_record_checksum(&head), bytes, length);
  for (size_t i = 0; i < frame_count; i++) {
    if (back[i] == 0) {
      head.checksum = trp_crc(head.checksum, frames[i]->bytes, frames[i]->size);
    }
  }
  uint8_t head_bytes[TRP_RECORD_HEAD_SIZE];
  trp_format_head(head_bytes, &head);
  int error = append(writer, head_bytes, sizeof head_bytes);
  if (error == 0) {
    error = append(writer, bytes, length);
  }
  for (size_t i = 0; i < frame_count && error == 0; i++) {
    if (back[i] == 0) {
      error = append(writer, frames[i]->bytes, frames[i]->size);
    }
  }
  return count(writer, sizeof head_bytes + head.length, error);
}

static int look_for_hole(trp_writer_t *writer, const trp_record_head_t *head) {
  bool hole = writer->sequence != 0 && head->sequence > writer->sequence;
  int error = hole ? put_gap(writer, head) : 0;
  writer->sequence = head->sequence + 1;
  return error;
}

/// What was lost on the way here, for want of memory. How many bytes it had nobody knows.
static int put_gap(trp_writer_t *writer, const trp_record_head_t *next) {
  static const uint8_t unknown[TRP_RECORD_VALUE_SIZE];
  trp_record_head_t head = {.type = TRP_RECORD_GAP,
                            .length = sizeof unknown,
                            .sequence = next->sequence,
                            .clock_ns = next->clock_ns,
                            .subject = next->sequence - writer->sequence};
  head.checksum = trp_crc(trp_record_checksum(&head), unknown, sizeof unknown);
  uint8_t bytes[TRP_RECORD_HEAD_SIZE];
  trp_format_head(bytes, &head);
  writer->gaps++;
  int error = mark_incomplete(writer);
  if (error == 0) {
    error = append(writer, bytes, sizeof bytes);
  }
  if (error == 0) {
    error = append(writer, unknown, sizeof unknown);
  }
  return count(writer, sizeof bytes + sizeof unknown, error);
}

/// In the header, so that a reader knows before it begins; the gap's own record tells where.
static int mark_incomplete(trp_writer_t *writer) {
  if ((writer->flags & TRP_TRACE_LOST) != 0) {
    return 0;
  }
  writer->flags = (writer->flags & ~(uint32_t)TRP_TRACE_COMPLETE) | TRP_TRACE_LOST;
  return put_header(writer);
}

/// Over the one that is there.
static int put_header(trp_writer_t *writer) {
  uint8_t header[TRP_TRACE_HEADER_SIZE];
  trp_format_header(header, writer->flags, 0);
  ssize_t written = pwrite(writer->fd, header, sizeof header, 0);
  return written < 0 ? -errno : written != (ssize_t)sizeof header ? TROUPE_EIO : 0;
}

/// A record of so many bytes was appended, unless there is an error, which is returned.
static int count(trp_writer_t *writer, uint64_t bytes, int error) {
  if (error == 0) {
    writer->records++;
    writer->bytes += bytes;
    if (writer->used == 0) {
      writer->out_records = writer->records;
    } else if (writer->records == writer->out_records + 1) {
      writer->first_end = writer->bytes;
    }
  }
  return error;
}

static int append(trp_writer_t *writer, const void *bytes, size_t length) {
  if (length >= DIRECT_SIZE) {
    return write_out(writer, bytes, length);
  }
  if (writer->buffer == NULL) {
    writer->buffer = malloc(BUFFER_SIZE);
    if (writer->buffer == NULL) {
      return TROUPE_ENOMEM;
    }
  }
  const uint8_t *from = bytes;
  size_t limit = BUFFER_SIZE - writer->position % BUFFER_SIZE;
  while (length > 0) {
    size_t part = length < limit - writer->used ? length : limit - writer->used;
    memcpy(writer->buffer + writer->used, from, part);
    writer->used += part;
    from += part;
    length -= part;
    if (writer->used == limit) {
      int error = write_out(writer, NULL, 0);
      if (error != 0) {
        return error;
      }
      limit = BUFFER_SIZE;
    }
  }
  return 0;
}

/// Writes the buffer and then the bytes.
static int write_out(trp_writer_t *writer, const void *bytes, size_t length) {
  struct iovec parts[2] = {{.iov_base = writer->buffer, .iov_len = writer->used},
                           {.iov_len = length}};
  memcpy(&parts[1].iov_base, &bytes, sizeof bytes); // iovec knows no const
  const uint64_t from = writer->out_bytes;
  const size_t used = writer->used;
  writer->position += used + length;
  writer->used = 0;
  while (parts[0].iov_len + parts[1].iov_len > 0) {
    ssize_t written = writev(writer->fd, parts, 2);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      int error = -errno;
      writer->out_records += count_out(writer, from, used);
      return error;
    }
    size_t left = (size_t)written;
    writer->out_bytes += left;
    for (size_t i = 0; i < 2; i++) {
      size_t part = left < parts[i].iov_len ? left : parts[i].iov_len;
      if (part > 0) {
        parts[i].iov_base = (uint8_t *)parts[i].iov_base + part;
        parts[i].iov_len -= part;
        left -= part;
      }
    }
  }
  writer->out_records = writer->records;
  return 0;
}

/// Of a write that failed: how many records are in the file since the one before. It began `from`
/// there, with `length` bytes of the buffer.
static uint64_t count_out(const trp_writer_t *writer, uint64_t from, size_t length) {
  uint64_t count = 0;
  uint64_t end = writer->records > writer->out_records ? writer->first_end : UINT64_MAX;
  while (end <= writer->out_bytes) {
    count++;
    uint64_t at = end - from;
    if (writer->records == writer->out_records + count || at + TRP_RECORD_HEAD_SIZE > length) {
      break;
    }
    trp_record_head_t head;
    trp_parse_head(writer->buffer + at, &head);
    end += TRP_RECORD_HEAD_SIZE + head.length;
  }
  return count;
}

static int fail(trp_writer_t *writer, int error) {
  if (writer->fd >= 0) {
    // The header's place is there already, on a full disk, too. If it fails the file just ends.
    uint8_t header[TRP_TRACE_HEADER_SIZE];
    trp_format_header(header, writer->flags, error);
    (void)!pwrite(writer->fd, header, sizeof header, 0);
    close(writer->fd);
    writer->fd = -1;
  }
  writer->records = writer->out_records;
  writer->bytes = writer->out_bytes;
  free(writer->buffer);
  writer->buffer = NULL;
  writer->used = 0;
  return error;
}
