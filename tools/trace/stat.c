/* troupe trace stat: what is in a trace, file by file. */
#include <stdlib.h>
#include <string.h>

#include "tools/trace/commands.h"
#include "tools/trace/source.h"
#include "tools/trace/table.h"

enum { KINDS_MAX = 128, ID_SIZE = 64 };

typedef struct {
  char name[64];
  uint64_t count;
} kind_t;

typedef struct {
  uint64_t id;
  unsigned long number; /* in the order in which they came */
  bool begun, ended;    /* whether that was seen */
  uint64_t in, out;     /* bytes */
  double first, last;   /* seconds */
} connection_t;

typedef struct {
  kind_t kinds[KINDS_MAX];
  int kind_count;
  uint64_t entries, events, commands, in, out, gaps, lost, begun;
  int64_t begun_ns, ended_ns;
  bool any, ended;
  int64_t status;
  table_t connections; /* of connection_t */
} sums_t;

static void help(void) {
  puts(
      "usage: troupe trace stat [OPTION]... FILE...\n"
      "Says what is in each trace: whose it is, whether it is complete, how long it lasts, how many\n"
      "messages of which kinds, bytes, connections, gaps.\n\n"
      "  --connections       list the connections, too\n"
      "  --actor NAME, --connection ID, --kind KIND, --from S, --to S   as for dump\n"
      "  --help              this text");
}

static void count_kind(sums_t *sums, const char *name) {
  for (int i = 0; i < sums->kind_count; i++) {
    if (strcmp(sums->kinds[i].name, name) == 0) {
      sums->kinds[i].count++;
      return;
    }
  }
  if (sums->kind_count < KINDS_MAX) {
    kind_t *kind = &sums->kinds[sums->kind_count++];
    snprintf(kind->name, sizeof kind->name, "%s", name);
    kind->count = 1;
  }
}

/* Whether it is only said that the connection began, since one chose not to record it. */
static bool is_left_out(const source_t *source, const troupe_trace_entry_t *entry) {
  char fields[8];
  return entry->type == TROUPE_ENTRY_COMMAND && source->given->info.chosen &&
         (strcmp(entry->kind, "connect") == 0 || strcmp(entry->kind, "adopt") == 0) &&
         troupe_trace_fields(entry, fields, sizeof fields) == 2;
}

/* False: no memory. */
static bool count_connection(sums_t *sums, const troupe_trace_entry_t *entry, double seconds) {
  connection_t *connection = table_get(&sums->connections, entry->connection);
  if (connection == NULL) {
    return false;
  }
  if (connection->id == 0) {
    connection->id = entry->connection;
    connection->number = sums->connections.count;
    connection->first = seconds;
  }
  connection->last = seconds;
  bool event = entry->type == TROUPE_ENTRY_EVENT;
  if (strcmp(entry->kind, event ? "connection" : "connect") == 0 ||
      strcmp(entry->kind, event ? "handed" : "adopt") == 0) {
    connection->begun = true;
    sums->begun++;
  }
  if (event && (strcmp(entry->kind, "close") == 0 || strcmp(entry->kind, "given") == 0)) {
    connection->ended = true;
  }
  if (event && strcmp(entry->kind, "data") == 0) {
    connection->in += entry->length;
    sums->in += entry->length;
  }
  if (!event && strcmp(entry->kind, "write") == 0) {
    connection->out += entry->length;
    sums->out += entry->length;
  }
  return true;
}

static bool count(void *context, const source_t *source, const troupe_trace_entry_t *entry) {
  sums_t *sums = context;
  if (!sums->any) {
    sums->any = true;
    sums->begun_ns = entry->clock_ns;
  }
  sums->ended_ns = entry->clock_ns;
  sums->entries++;
  switch (entry->type) {
  case TROUPE_ENTRY_EVENT:
    sums->events++;
    break;
  case TROUPE_ENTRY_COMMAND:
    sums->commands++;
    break;
  case TROUPE_ENTRY_GAP:
    sums->gaps++;
    sums->lost += (uint64_t)entry->value;
    break;
  case TROUPE_ENTRY_END:
    sums->ended = true;
    sums->status = entry->value;
    break;
  default:
    break;
  }
  count_kind(sums, entry->kind);
  return entry->connection == 0 || is_left_out(source, entry) ||
         count_connection(sums, entry, source_seconds(source, entry));
}

static int by_count(const void *a, const void *b) {
  const kind_t *left = a;
  const kind_t *right = b;
  return left->count < right->count   ? 1
         : left->count > right->count ? -1
                                      : strcmp(left->name, right->name);
}

static int by_number(const void *a, const void *b) {
  const connection_t *const *left = a;
  const connection_t *const *right = b;
  return (*left)->number < (*right)->number ? -1 : 1;
}

static void print_connections(const table_t *table) {
  const connection_t **list = calloc(table->count + 1, sizeof(const connection_t *));
  if (list == NULL) {
    complain("%s", troupe_error_message(TROUPE_ENOMEM));
    return;
  }
  size_t listed = 0;
  for (size_t i = 0; i < table->capacity; i++) {
    if (table->slots[i].value != NULL) {
      list[listed++] = table->slots[i].value;
    }
  }
  qsort(list, listed, sizeof(const connection_t *), by_number);
  puts("  connection     bytes in    bytes out        from          to");
  for (size_t i = 0; i < listed; i++) {
    char id[ID_SIZE];
    troupe_id_text(list[i]->id, id, sizeof id);
    printf("  %-10s %12llu %12llu %11.6f %11.6f%s\n", id, (unsigned long long)list[i]->in,
           (unsigned long long)list[i]->out, list[i]->first, list[i]->last,
           !list[i]->begun   ? "  (its beginning is missing)"
           : !list[i]->ended ? "  (open at the end)"
                             : "");
  }
  free(list);
}

static void print_state(const troupe_trace_info_t *info) {
  if (info->flight) {
    puts("  a flight recorder's file: the last of each thread");
    return;
  }
  if (info->complete) {
    puts(info->stopped == 0 ? "  complete: it can be replayed"
                            : "  complete as far as it goes: up to there it can be replayed");
    return;
  }
  const char *reasons[] = {info->late ? "recording began after the actor" : NULL,
                           info->chosen ? "some connections only" : NULL,
                           info->cut ? "payloads are cut or redacted" : NULL,
                           info->rotated ? "an earlier file has what came before" : NULL,
                           info->lost ? "something was lost" : NULL};
  const char *between = ": ";
  fputs("  not complete", stdout);
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (reasons[i] != NULL) {
      printf("%s%s", between, reasons[i]);
      between = "; ";
    }
  }
  puts("");
}

/* Of a trace that was read whole, without main's end. What made it end there is known only when
 * something could still be written. */
static void print_end(const troupe_trace_info_t *info) {
  if (info->stopped != 0) {
    printf("  recording stopped there, since it could not be written: %s\n",
           troupe_error_message(info->stopped));
  } else {
    puts(
        "  the actor's end is not in it: recording was stopped before, went on in another file, or\n"
        "  was cut short with the process");
  }
}

static bool takes_all(const filter_t *filter) {
  return filter->actor_count + filter->connection_count + filter->kind_count == 0 &&
         !filter->has_from && !filter->has_to;
}

static void print_sums(const char *path, const source_t *source, sums_t *sums, bool all,
                       bool list) {
  const troupe_trace_info_t *info = &source->inputs[0].info;
  printf("%s\n", path);
  if (source->count == 1 && !info->flight) {
    printf("  actor \"%s\" (copy %u), format %u.%u, by troupe %u.%u.%u, %llu bytes\n", info->name,
           info->index, info->format_major, info->format_minor, info->version[0], info->version[1],
           info->version[2], (unsigned long long)info->size_bytes);
  }
  if (source->count == 1) {
    print_state(info);
  }
  printf("  %.6f s, %llu events, %llu commands\n",
         (double)(int64_t)((uint64_t)sums->ended_ns - (uint64_t)sums->begun_ns) / 1e9,
         (unsigned long long)sums->events, (unsigned long long)sums->commands);
  printf("  %llu connections begun, %llu bytes in, %llu bytes out\n",
         (unsigned long long)sums->begun, (unsigned long long)sums->in,
         (unsigned long long)sums->out);
  if (sums->gaps > 0) {
    printf("  %llu gaps, %llu records are missing\n", (unsigned long long)sums->gaps,
           (unsigned long long)sums->lost);
  }
  if (sums->ended) {
    printf("  main returned %lld\n", (long long)sums->status);
  } else if (source->count == 1 && !info->flight && all) {
    print_end(info);
  }
  qsort(sums->kinds, (size_t)sums->kind_count, sizeof sums->kinds[0], by_count);
  for (int i = 0; i < sums->kind_count; i++) {
    printf("  %12llu  %s\n", (unsigned long long)sums->kinds[i].count, sums->kinds[i].name);
  }
  if (list) {
    print_connections(&sums->connections);
  }
}

static bool has_seen(const filter_t *filter) {
  bool seen = filter->connection_count == 0;
  for (int i = 0; i < filter->connection_count; i++) {
    seen = seen || filter->connections_seen[i];
  }
  return seen;
}

/* Of files without the connections that are asked for nothing is said. */
static int stat_file(char *path, filter_t *filter, bool list) {
  source_t source;
  int code = source_open(&source, &path, 1, filter, "stat");
  if (code != END_FINE) {
    return code;
  }
  sums_t *sums = calloc(1, sizeof *sums);
  if (sums == NULL) {
    source_close(&source);
    return END_FAILED;
  }
  sums->connections.size = sizeof(connection_t);
  source_each(&source, count, sums);
  for (int i = 0; i < filter->connection_count; i++) {
    filter->connections_seen[i] = filter->connections_seen[i] || source.filter.connections_seen[i];
  }
  if (has_seen(&source.filter)) {
    print_sums(path, &source, sums, takes_all(filter), list);
  }
  table_free(&sums->connections);
  free(sums);
  code = source.code;
  source_close(&source);
  return code;
}

int trace_stat(int argc, char **argv) {
  enum { CONNECTIONS = 1, HELP };
  static const struct option options[] = {FILTER_OPTIONS,
                                          {"connections", no_argument, NULL, CONNECTIONS},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
  filter_t filter = {0};
  bool list = false;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    if (filter_option(&filter, option, optarg)) {
      continue;
    }
    switch (option) {
    case CONNECTIONS:
      list = true;
      break;
    case HELP:
      help();
      return END_FINE;
    default:
      wrong_option(option, argv);
    }
  }
  if (optind == argc) {
    usage_error("stat needs a trace, or a folder with traces");
  }
  int worst = END_FINE;
  if (filter.actor_count > 0) { /* each of them may be in another file */
    source_t all;
    worst = source_open(&all, argv + optind, argc - optind, &filter, "stat");
    if (worst != END_FINE) {
      return worst;
    }
    source_check_actors(&all);
    source_close(&all);
  }
  for (int i = optind; i < argc; i++) {
    int code = stat_file(argv[i], &filter, list);
    worst = code > worst ? code : worst;
  }
  if (worst == END_FINE) {
    source_check_connections(&filter);
  }
  return worst;
}
