/// The reader keeps a window on the file: what it has read and not yet given out, and some of what
/// was in front of it, which later records name. The window grows to the largest record, but never
/// for one that the file does not have.
#include "core/trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/trace/crc.h"

enum {
  WINDOW_SIZE = 256 * 1024,
  BEHIND = 128 * 1024, // is kept; what is named further back is read again
};

struct trp_reader {
  int fd;
  uint64_t size;     // of the file
  uint64_t position; // in the file, of window[begin]
  uint8_t *window;
  size_t capacity, begin, end;
  size_t behind;  // how much is kept
  uint64_t named; // bytes, by the records so far
  uint8_t *whole; // the body of a record whose names were looked up
  size_t whole_capacity;
  trp_trace_header_t header;
  int stopped; // what next() said at last, unless it was 1
  bool is_stopped;
};

static int open_file(trp_reader_t *reader, const char *path);
static int read_header(trp_reader_t *reader);
static int look_at_size(trp_reader_t *reader);
static int have(trp_reader_t *reader, size_t length);
static int read_record(trp_reader_t *reader, trp_record_t *record);
static void step(trp_reader_t *reader, size_t length);
static int look_up_names(trp_reader_t *reader, trp_record_t *record);
static int copy_named(trp_reader_t *reader, uint64_t position, uint8_t *to, size_t size);

int trp_reader_open(const char *path, trp_reader_t **reader) {
  trp_reader_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->fd = -1;
  int error = open_file(made, path);
  if (error == 0) {
    // A small file needs no large window; should it grow, so does the window.
    made->capacity = made->size < WINDOW_SIZE ? (size_t)made->size + TRP_TRACE_HEADER_SIZE
                                              : WINDOW_SIZE;
    made->window = malloc(made->capacity);
    error = made->window == NULL ? TROUPE_ENOMEM : read_header(made);
  }
  if (error != 0) {
    trp_reader_close(&made);
    return error;
  }
  *reader = made;
  return 0;
}

void trp_reader_close(trp_reader_t **reader) {
  trp_reader_t *r = *reader;
  if (r == NULL) {
    return;
  }
  *reader = NULL;
  if (r->fd >= 0) {
    close(r->fd);
  }
  free(r->window);
  free(r->whole);
  free(r);
}

const trp_trace_header_t *trp_reader_header(const trp_reader_t *reader) {
  return &reader->header;
}

uint64_t trp_reader_size(const trp_reader_t *reader) {
  return reader->size;
}

int trp_reader_next(trp_reader_t *reader, trp_record_t *record) {
  *record = (trp_record_t){.position = reader->position};
  if (reader->is_stopped) {
    return reader->stopped;
  }
  int result = read_record(reader, record);
  if (result != 1) {
    *record = (trp_record_t){.position = reader->position};
    reader->is_stopped = true;
    reader->stopped = result;
  }
  return result;
}

int trp_record_value(const trp_record_t *record, int64_t *value) {
  if (record->head.length != TRP_RECORD_VALUE_SIZE) {
    return TROUPE_EBADTRACE;
  }
  *value = (int64_t)trp_get_u64(record->body);
  return 0;
}

static int open_file(trp_reader_t *reader, const char *path) {
  // O_NONBLOCK: a path that turns out to be a pipe without a writer must not hang us.
  reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (reader->fd < 0) {
    return -errno;
  }
  struct stat status;
  if (fstat(reader->fd, &status) != 0) {
    return -errno;
  }
  if (S_ISDIR(status.st_mode)) {
    return TROUPE_EISDIR;
  }
  if (!S_ISREG(status.st_mode)) {
    return TROUPE_EBADTRACE;
  }
  reader->size = (uint64_t)status.st_size;
  return 0;
}

static int read_header(trp_reader_t *reader) {
  int result = have(reader, TRP_TRACE_HEADER_SIZE);
  if (result == 1) {
    int error = trp_parse_header(reader->window, &reader->header);
    if (error != 0) {
      return error;
    }
    result = have(reader, reader->header.size);
  }
  if (result != 1) {
    return result == 0 ? TROUPE_EBADTRACE : result;
  }
  if (!trp_header_is_sound(reader->window, reader->header.size)) {
    return TROUPE_EBADTRACE;
  }
  step(reader, reader->header.size);
  reader->behind = reader->header.major > 1 ? BEHIND : 0;
  return 0;
}

static int read_record(trp_reader_t *reader, trp_record_t *record) {
  int result = have(reader, TRP_RECORD_HEAD_SIZE);
  if (result != 1) {
    return result == 0 && reader->end > reader->begin ? TROUPE_EOF : result;
  }
  trp_parse_head(reader->window + reader->begin, &record->head);
  uint64_t begin = reader->position + TRP_RECORD_HEAD_SIZE;
  if (begin > reader->size || record->head.length > reader->size - begin) {
    // The file may have grown since: it may be recorded at this moment.
    int error = look_at_size(reader);
    if (error != 0) {
      return error;
    }
    if (begin > reader->size || record->head.length > reader->size - begin) {
      return TROUPE_EOF;
    }
  }
  if (record->head.length > SIZE_MAX / 4) {
    return TROUPE_ENOMEM;
  }
  size_t length = TRP_RECORD_HEAD_SIZE + (size_t)record->head.length;
  result = have(reader, length);
  if (result != 1) {
    return result == 0 ? TROUPE_EOF : result;
  }
  const uint8_t *bytes = reader->window + reader->begin;
  if (trp_crc(0, bytes + 4, length - 4) != record->head.checksum) {
    return TROUPE_EBADTRACE;
  }
  record->body = bytes + TRP_RECORD_HEAD_SIZE;
  if (record->head.type == TRP_RECORD_OUT_NAMING) {
    int error = look_up_names(reader, record);
    if (error != 0) {
      return error;
    }
  }
  step(reader, length);
  return 1;
}

/// Makes an OUT of an OUT_NAMING, whose checksum is right. Memory is taken for no more than the file
/// has in front of it, within the limits of format.h.
static int look_up_names(trp_reader_t *reader, trp_record_t *record) {
  const uint8_t *body = record->body;
  uint64_t length = record->head.length;
  uint64_t count = length < 4 ? 0 : trp_get_u32(body);
  uint64_t here = 4 + 8 * count;
  if (count == 0 || here > length) {
    return TROUPE_EBADTRACE;
  }
  uint64_t named = 0;
  uint64_t given = 0;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t size = trp_get_u32(body + 4 + 8 * i);
    uint64_t back = trp_get_u32(body + 8 + 8 * i);
    if (back == 0) {
      given += size;
      continue;
    }
    named += size;
    if (size > back || back > TRP_NAMED_REACH || back > record->position - reader->header.size ||
        named > TRP_NAMED_REACH) {
      return TROUPE_EBADTRACE;
    }
  }
  reader->named += named;
  if (given != length - here || reader->named > TRP_NAMED_TIMES * record->position) {
    return TROUPE_EBADTRACE;
  }
  size_t size = (size_t)(4 + 4 * count + given + named);
  if (size > reader->whole_capacity) {
    uint8_t *grown = realloc(reader->whole, 2 * size);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    reader->whole = grown;
    reader->whole_capacity = 2 * size;
  }
  uint8_t *to = reader->whole + 4 + 4 * count;
  const uint8_t *from = body + here;
  trp_put_u32(reader->whole, (uint32_t)count);
  for (uint64_t i = 0; i < count; i++) {
    uint32_t frame = trp_get_u32(body + 4 + 8 * i);
    uint32_t back = trp_get_u32(body + 8 + 8 * i);
    trp_put_u32(reader->whole + 4 + 4 * i, frame);
    if (back == 0) {
      memcpy(to, from, frame);
      from += frame;
    } else {
      int error = copy_named(reader, record->position - back, to, frame);
      if (error != 0) {
        return error;
      }
    }
    to += frame;
  }
  record->head.type = TRP_RECORD_OUT;
  record->head.length = size;
  record->body = reader->whole;
  return 0;
}

/// What stands in the file in front of the window's record.
static int copy_named(trp_reader_t *reader, uint64_t position, uint8_t *to, size_t size) {
  uint64_t back = reader->position - position;
  if (back <= reader->begin) {
    memcpy(to, reader->window + reader->begin - (size_t)back, size);
    return 0;
  }
  while (size > 0) {
    ssize_t count = pread(reader->fd, to, size, (off_t)position);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return count < 0 ? -errno : TROUPE_EBADTRACE; // it has become shorter
    }
    to += count;
    position += (uint64_t)count;
    size -= (size_t)count;
  }
  return 0;
}

static int look_at_size(trp_reader_t *reader) {
  struct stat status;
  if (fstat(reader->fd, &status) != 0) {
    return -errno;
  }
  reader->size = (uint64_t)status.st_size;
  return 0;
}

/// Reads until the window has that much. 1, 0 when the file ends before, or an error.
static int have(trp_reader_t *reader, size_t length) {
  if (reader->end - reader->begin >= length) {
    return 1;
  }
  size_t behind = reader->begin < reader->behind ? reader->begin : reader->behind;
  size_t gone = reader->begin - behind;
  memmove(reader->window, reader->window + gone, reader->end - gone);
  reader->end -= gone;
  reader->begin = behind;
  // Some more, so that what comes behind it is not read in small pieces.
  size_t wanted = behind + (length < WINDOW_SIZE / 2 ? length : 2 * length);
  if (reader->capacity < wanted) {
    uint8_t *grown = realloc(reader->window, wanted);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    reader->window = grown;
    reader->capacity = wanted;
  }
  while (reader->end - reader->begin < length) {
    ssize_t count = read(reader->fd, reader->window + reader->end, reader->capacity - reader->end);
    if (count == 0) {
      return 0;
    }
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return -errno;
    }
    reader->end += (size_t)count;
  }
  return 1;
}

static void step(trp_reader_t *reader, size_t length) {
  reader->begin += length;
  reader->position += length;
}
