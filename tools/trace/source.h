/* Where entries come from: one or more traces, merged by their time, and what is left out. */
#ifndef TOOLS_TRACE_SOURCE_H_INCLUDED
#define TOOLS_TRACE_SOURCE_H_INCLUDED

#include <getopt.h>

#include <troupe/trace_file.h>

#include "tools/common.h"

/* Options of all commands that filter; a command adds its own behind them. */
enum { FILTER_ACTOR = 1000, FILTER_CONNECTION, FILTER_KIND, FILTER_FROM, FILTER_TO };
#define FILTER_OPTIONS                                                                             \
  {"actor", required_argument, NULL, FILTER_ACTOR},                                                \
      {"connection", required_argument, NULL, FILTER_CONNECTION},                                  \
      {"kind", required_argument, NULL, FILTER_KIND},                                              \
      {"from", required_argument, NULL, FILTER_FROM}, {                                            \
    "to", required_argument, NULL, FILTER_TO                                                       \
  }

enum { FILTER_MAX = 32 };

/* Zeroed it lets all pass. Of each list an entry must match one. */
typedef struct {
  const char *actors[FILTER_MAX]; /* "NAME" or "NAME-INDEX" */
  uint64_t connections[FILTER_MAX];
  const char *connection_texts[FILTER_MAX];
  bool connections_seen[FILTER_MAX];
  const char *kinds[FILTER_MAX];
  int actor_count, connection_count, kind_count;
  bool has_from, has_to;
  double from, to; /* seconds since the first entry of all */
} filter_t;

/* True when the option was one of these. */
bool filter_option(filter_t *filter, int option, const char *value);

typedef struct {
  troupe_trace_t *trace;
  char *path;
  troupe_trace_info_t info;
  troupe_trace_entry_t entry; /* the next one, when there is one */
  bool has_entry;
  bool told; /* that it is cut off */
} input_t;

typedef struct {
  input_t *inputs;
  int count;
  input_t *given; /* whose entry was given out last */
  filter_t filter;
  int64_t first_ns; /* of the first entry of all */
  bool begun;
  uint64_t all_bytes;
  progress_t progress;
  int code; /* END_FILE when one of them was damaged */
} source_t;

/* Gives `take` each path; a folder stands for all *.trace in it. Returns the worst of what `take`
 * returned; without `all` it ends at the first that is not END_FINE. A folder without any is said. */
int each_path(char **paths, int count, bool all, int (*take)(void *context, const char *path),
              void *context);

/* Opens files; a folder stands for all *.trace in it. Returns END_FINE, or what the program ends
 * with; what is wrong was said. */
int source_open(source_t *source, char **paths, int count, const filter_t *filter,
                const char *what);
/* Begins again at the first entry. As source_open(). */
int source_rewind(source_t *source);
void source_close(source_t *source);

/* Ends the program when the filter names an actor or a connection that is in none of the files: the
 * first before anything is read, the other behind the end. */
void source_check_actors(const source_t *source);
void source_check_connections(const filter_t *filter);

/* The next entry that passes the filter, borrowed until the next call; NULL at the end. */
const troupe_trace_entry_t *source_next(source_t *source);

/* Gives `take` every entry that passes the filter, until it returns false: there is no memory, which
 * is said. */
void source_each(source_t *source,
                 bool (*take)(void *context, const source_t *source,
                              const troupe_trace_entry_t *entry),
                 void *context);

/* Seconds of an entry since the first of all. */
double source_seconds(const source_t *source, const troupe_trace_entry_t *entry);

#endif
