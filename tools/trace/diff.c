/* troupe trace diff: two traces side by side. Where batches end plays no part: the events of the two
 * are compared in their order, and then their commands.
 *
 * With --stream connections are compared, the first with the first and so on: the bytes each way.
 * They are hashed piece by piece, so that memory goes with the number of connections alone. */
#include <stdlib.h>
#include <string.h>

#include "tools/trace/commands.h"
#include "tools/trace/source.h"
#include "tools/trace/table.h"

enum { LINE_SIZE = 4096, CONTEXT = 5 };

static void help(void) {
  puts(
      "usage: troupe trace diff [OPTION]... FILE FILE\n"
      "Tells the first event and the first command that is not the same in two traces, with what\n"
      "came before it. Times, where batches end, and where in the program something was made, play\n"
      "no part.\n\n"
      "  --stream            compare the bytes of each connection, the first with the first and\n"
      "                      so on, whatever the pieces in which they came and the order between\n"
      "                      connections\n"
      "  --actor NAME, --connection ID, --kind KIND, --from S, --to S   as for dump\n"
      "  --help              this text\n\n"
      "Ends with 0 when they are the same, 1 when they differ.");
}

/* The next entry of one of two types; NULL at the end. */
static const troupe_trace_entry_t *next_of(source_t *source, troupe_entry_type_t type,
                                           troupe_entry_type_t other) {
  const troupe_trace_entry_t *entry = source_next(source);
  while (entry != NULL && entry->type != type && entry->type != other) {
    entry = source_next(source);
  }
  return entry;
}

/* A line of the program that was moved makes no difference: where a handle was made is left out. */
static void leave_out_place(char *text) {
  static const char field[] = "made_at=\"";
  char *from = strstr(text, field);
  if (from == NULL || from == text) {
    return;
  }
  char *to = from + strlen(field);
  while (*to != '\0' && *to != '"') {
    to += to[0] == '\\' && to[1] != '\0' ? 2 : 1;
  }
  to += *to == '"' ? 1 : 0;
  from -= from[-1] == ' ' ? 1 : 0;
  memmove(from, to, strlen(to) + 1);
}

static void say(const troupe_trace_entry_t *entry, char *text) {
  if (entry == NULL) {
    snprintf(text, LINE_SIZE, "nothing more");
    return;
  }
  troupe_trace_text(entry, text, LINE_SIZE);
  if (!entry->has_payload) { /* else what is found is the application's own */
    leave_out_place(text);
  }
}

static bool same(const troupe_trace_entry_t *a, const char *a_text, const troupe_trace_entry_t *b,
                 const char *b_text) {
  if (strcmp(a_text, b_text) != 0 || (a == NULL) != (b == NULL)) {
    return false;
  }
  if (a == NULL || !a->has_payload) {
    return true;
  }
  return a->length == b->length && a->kept == b->kept && a->hash == b->hash &&
         memcmp(a->payload, b->payload, a->kept) == 0;
}

static int compare(source_t *a, source_t *b, troupe_entry_type_t type, troupe_entry_type_t other,
                   const char *what) {
  static char lines[CONTEXT + 1][LINE_SIZE]; /* the last ones, which were the same */
  char b_text[LINE_SIZE];
  for (unsigned long long number = 0;; number++) {
    char *a_text = lines[number % (CONTEXT + 1)];
    const troupe_trace_entry_t *from_a = next_of(a, type, other);
    const troupe_trace_entry_t *from_b = next_of(b, type, other);
    say(from_a, a_text);
    say(from_b, b_text);
    if (!same(from_a, a_text, from_b, b_text)) {
      printf("%s %llu differs:\n", what, number + 1);
      for (unsigned long long i = number < CONTEXT ? 0 : number - CONTEXT; i < number; i++) {
        printf("    %s\n", lines[i % (CONTEXT + 1)]);
      }
      printf("  - %s\n  + %s\n", a_text, b_text);
      if (strcmp(a_text, b_text) == 0) {
        size_t least = from_a->kept < from_b->kept ? from_a->kept : from_b->kept;
        size_t at = 0;
        while (at < least &&
               ((const char *)from_a->payload)[at] == ((const char *)from_b->payload)[at]) {
          at++;
        }
        printf("    their payloads differ from byte %zu on\n", at);
      }
      return END_DIFFERS;
    }
    if (from_a == NULL) {
      return END_FINE;
    }
  }
}

static int rewind_both(source_t *a, source_t *b) {
  int code = source_rewind(a);
  return code != END_FINE ? code : source_rewind(b);
}

static int compare_order(char **paths, const filter_t *filter) {
  static const struct {
    troupe_entry_type_t type, other;
    const char *what;
  } rounds[] = {{TROUPE_ENTRY_EVENT, TROUPE_ENTRY_EVENT, "event"},
                {TROUPE_ENTRY_COMMAND, TROUPE_ENTRY_CALL, "command"},
                {TROUPE_ENTRY_END, TROUPE_ENTRY_GAP, "end"}};
  source_t a;
  source_t b;
  int worst = source_open(&a, paths, 1, filter, "diff");
  if (worst != END_FINE) {
    return worst;
  }
  worst = source_open(&b, paths + 1, 1, filter, "diff");
  if (worst != END_FINE) {
    source_close(&a);
    return worst;
  }
  source_check_actors(&a);
  source_check_actors(&b);
  for (int i = 0; i < 3 && worst <= END_DIFFERS; i++) {
    int code = i == 0 ? END_FINE : rewind_both(&a, &b);
    if (code == END_FINE) {
      code = compare(&a, &b, rounds[i].type, rounds[i].other, rounds[i].what);
      code = a.code != END_FINE ? a.code : b.code != END_FINE ? b.code : code;
    }
    worst = code > worst ? code : worst;
  }
  if (worst == END_FINE) {
    source_check_connections(&a.filter); /* else they were the same: nothing */
  }
  source_close(&a);
  source_close(&b);
  return worst;
}

typedef struct {
  uint64_t id;
  uint64_t hash[2], length[2]; /* in, out */
} flow_t;

typedef struct {
  table_t known; /* the index in flows + 1, by id */
  flow_t *flows; /* in the order in which they began */
  size_t count, capacity;
} flows_t;

static flow_t *flow_of(flows_t *flows, uint64_t id) {
  size_t *index = table_get(&flows->known, id);
  if (index == NULL) {
    return NULL;
  }
  if (*index == 0) {
    if (flows->count == flows->capacity) {
      size_t capacity = flows->capacity == 0 ? 64 : 2 * flows->capacity;
      flow_t *grown = realloc(flows->flows, capacity * sizeof *grown);
      if (grown == NULL) {
        return NULL;
      }
      flows->flows = grown;
      flows->capacity = capacity;
    }
    flows->flows[flows->count++] = (flow_t){.id = id};
    *index = flows->count;
  }
  return &flows->flows[*index - 1];
}

/* FNV-1a: the same for the same bytes, in whatever pieces they come. */
static void add_bytes(flow_t *flow, int way, const troupe_trace_entry_t *entry) {
  const unsigned char *bytes = entry->payload;
  uint64_t hash = flow->length[way] == 0 ? UINT64_C(0xcbf29ce484222325) : flow->hash[way];
  for (size_t i = 0; i < entry->kept; i++) {
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  }
  flow->hash[way] = hash;
  flow->length[way] += entry->length;
}

static bool add_entry(void *context, const source_t *source, const troupe_trace_entry_t *entry) {
  (void)source;
  if (entry->connection == 0) {
    return true;
  }
  flow_t *flow = flow_of(context, entry->connection);
  if (flow == NULL) {
    return false;
  }
  if (strcmp(entry->kind, "data") == 0) {
    add_bytes(flow, 0, entry);
  } else if (strcmp(entry->kind, "write") == 0) {
    add_bytes(flow, 1, entry);
  }
  return true;
}

static int read_flows(char *path, const filter_t *filter, flows_t *flows) {
  source_t source;
  *flows = (flows_t){.known = {.size = sizeof(size_t)}};
  int code = source_open(&source, &path, 1, filter, "diff");
  if (code != END_FINE) {
    return code;
  }
  source_check_actors(&source);
  source_each(&source, add_entry, flows);
  code = source.code;
  if (code == END_FINE) {
    source_check_connections(&source.filter);
  }
  source_close(&source);
  return code;
}

static int compare_streams(char **paths, const filter_t *filter) {
  flows_t a;
  flows_t b = {0};
  int code = read_flows(paths[0], filter, &a);
  if (code == END_FINE) {
    code = read_flows(paths[1], filter, &b);
  }
  static const char *const ways[] = {"from the peer", "to the peer"};
  for (size_t i = 0; code == END_FINE && i < a.count && i < b.count; i++) {
    for (int way = 0; way < 2 && code == END_FINE; way++) {
      if (a.flows[i].length[way] != b.flows[i].length[way] ||
          a.flows[i].hash[way] != b.flows[i].hash[way]) {
        char a_id[64];
        char b_id[64];
        troupe_id_text(a.flows[i].id, a_id, sizeof a_id);
        troupe_id_text(b.flows[i].id, b_id, sizeof b_id);
        printf("connection %zu (%s, and %s there): the bytes %s differ: %llu and %llu of them\n",
               i + 1, a_id, b_id, ways[way], (unsigned long long)a.flows[i].length[way],
               (unsigned long long)b.flows[i].length[way]);
        code = END_DIFFERS;
      }
    }
  }
  if (code == END_FINE && a.count != b.count) {
    printf("%zu connections, and %zu there\n", a.count, b.count);
    code = END_DIFFERS;
  }
  table_free(&a.known);
  table_free(&b.known);
  free(a.flows);
  free(b.flows);
  return code;
}

int trace_diff(int argc, char **argv) {
  enum { STREAM = 1, HELP };
  static const struct option options[] = {FILTER_OPTIONS,
                                          {"stream", no_argument, NULL, STREAM},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
  filter_t filter = {0};
  bool stream = false;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    if (filter_option(&filter, option, optarg)) {
      continue;
    }
    switch (option) {
    case STREAM:
      stream = true;
      break;
    case HELP:
      help();
      return END_FINE;
    default:
      wrong_option(option, argv);
    }
  }
  if (argc - optind != 2) {
    usage_error("diff needs two traces");
  }
  return stream ? compare_streams(argv + optind, &filter) : compare_order(argv + optind, &filter);
}
