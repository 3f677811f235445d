/* Cuts what comes out of a socket into lines, a few at a time. */
#ifndef EXAMPLES_LINES_H_INCLUDED
#define EXAMPLES_LINES_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <troupe/troupe.h>

/*
 * A line ends with LF or CR LF. What is left of a chunk when the program has had enough for now is
 * kept, by reference; only the beginning of a line whose end is in a later chunk is copied. Right
 * when zeroed.
 */
typedef struct {
  const troupe_chunk_t *current; /* borrowed while its callback runs, or the same as `kept` */
  troupe_chunk_t *kept;
  size_t offset;   /* of what is left in `current` */
  char *beginning; /* of a line whose end is in a later chunk; NULL: none */
  size_t beginning_length;
  bool given; /* `beginning` was the last line that was given out */
  bool skips; /* in the rest of a line that was too long */
} lines_t;

typedef enum {
  LINES_NONE,     /* wait for the next chunk */
  LINES_LINE,     /* here is one */
  LINES_TOO_LONG, /* one was longer than the limit: what is left of it will be skipped */
  LINES_NO_MEMORY,
} lines_result_t;

/* Takes a chunk in; all lines of the one before have been asked for. */
void lines_feed(lines_t *lines, const troupe_chunk_t *chunk);

/* Gives the next line, without its end, valid until the next call. Each limit must be the same. */
lines_result_t lines_next(lines_t *lines, size_t limit, const char **line, size_t *length);

/* Gives what stands behind the last end of a line when no more will come (it may be one byte longer
   than the limit); false when that is nothing. */
bool lines_last(lines_t *lines, const char **line, size_t *length);

/* Whether there is something that lines_next() has not looked at. */
bool lines_more(const lines_t *lines);

/* Called before the callback that called lines_feed() returns: keeps what was not looked at. 0 or
   TROUPE_ENOMEM. */
int lines_keep(lines_t *lines);

void lines_free(lines_t *lines);

#endif
