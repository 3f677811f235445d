#include "lines.h"

#include <stdlib.h>
#include <string.h>

static void drop_current(lines_t *lines) {
  lines->current = NULL;
  troupe_chunk_free(&lines->kept);
}

void lines_feed(lines_t *lines, const troupe_chunk_t *chunk) {
  drop_current(lines);
  lines->current = chunk;
  lines->offset = 0;
}

bool lines_more(const lines_t *lines) {
  return lines->current != NULL && lines->offset < troupe_chunk_length(lines->current);
}

/* A CR before the line's end belongs to the end, as telnet sends it. */
static size_t without_cr(const char *line, size_t length) {
  return length > 0 && line[length - 1] == '\r' ? length - 1 : length;
}

/* Adds bytes to the beginning of a line; one byte more than the limit is taken, for the CR of CR
 * LF. */
static lines_result_t add(lines_t *lines, size_t limit, const char *bytes, size_t length) {
  size_t sum = lines->beginning_length + length;
  if (sum > limit + 1) {
    return LINES_TOO_LONG;
  }
  char *longer = realloc(lines->beginning, sum);
  if (longer == NULL) {
    return LINES_NO_MEMORY;
  }
  memcpy(longer + lines->beginning_length, bytes, length);
  lines->beginning = longer;
  lines->beginning_length = sum;
  return LINES_LINE;
}

/* Idle connections hold no memory. */
static void drop_beginning(lines_t *lines) {
  free(lines->beginning);
  lines->beginning = NULL;
  lines->beginning_length = 0;
}

/* The chunk has no further line's end: what is left of it, at least a byte, begins a line. */
static lines_result_t begin(lines_t *lines, size_t limit, const char *bytes, size_t length) {
  lines_result_t result = lines->skips ? LINES_LINE : add(lines, limit, bytes, length);
  drop_current(lines);
  if (result == LINES_LINE) {
    return LINES_NONE;
  }
  drop_beginning(lines);
  lines->skips = true;
  return result;
}

lines_result_t lines_next(lines_t *lines, size_t limit, const char **line, size_t *length) {
  if (lines->given) {
    drop_beginning(lines);
    lines->given = false;
  }
  while (lines_more(lines)) {
    const char *bytes = (const char *)troupe_chunk_bytes(lines->current) + lines->offset;
    size_t left = troupe_chunk_length(lines->current) - lines->offset;
    const char *end = memchr(bytes, '\n', left);
    if (end == NULL) {
      return begin(lines, limit, bytes, left);
    }
    size_t here = (size_t)(end - bytes);
    lines->offset += here + 1;
    if (lines->skips) {
      lines->skips = false;
      continue;
    }
    if (lines->beginning_length == 0) {
      *line = bytes;
      *length = without_cr(bytes, here);
    } else {
      lines_result_t result = add(lines, limit, bytes, here);
      lines->given = true;
      if (result != LINES_LINE) {
        return result;
      }
      *line = lines->beginning;
      *length = without_cr(*line, lines->beginning_length);
    }
    return *length > limit ? LINES_TOO_LONG : LINES_LINE;
  }
  drop_current(lines);
  return LINES_NONE;
}

bool lines_last(lines_t *lines, const char **line, size_t *length) {
  if (lines->beginning_length == 0 || lines->given) {
    return false;
  }
  *line = lines->beginning;
  *length = without_cr(*line, lines->beginning_length);
  lines->given = true;
  return true;
}

int lines_keep(lines_t *lines) {
  if (!lines_more(lines)) {
    drop_current(lines);
    return 0;
  }
  if (lines->kept != NULL) {
    return 0;
  }
  int error = troupe_chunk_keep(lines->current, &lines->kept);
  lines->current = lines->kept;
  return error;
}

void lines_free(lines_t *lines) {
  drop_current(lines);
  free(lines->beginning);
  *lines = (lines_t){0};
}
