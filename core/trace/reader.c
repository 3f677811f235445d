/// The reader keeps a window on the file: what it has read and not yet given out. The window grows
/// to the largest record, but never for one that the file does not have.
#include "core/trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/trace/crc.h"

enum { WINDOW_SIZE = 256 * 1024 };

struct trp_reader {
  int fd;
  uint64_t size;     // of the file
  uint64_t position; // in the file, of window[begin]
  uint8_t *window;
  size_t capacity, begin, end;
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
  step(reader, length);
  return 1;
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
  memmove(reader->window, reader->window + reader->begin, reader->end - reader->begin);
  reader->end -= reader->begin;
  reader->begin = 0;
  if (reader->capacity < length) {
    // Twice as much, so that what comes behind a large record is not read in small pieces.
    uint8_t *grown = realloc(reader->window, 2 * length);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    reader->window = grown;
    reader->capacity = 2 * length;
  }
  while (reader->end < length) {
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
