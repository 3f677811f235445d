/* troupe trace dump: one line for each entry. */
#include <ctype.h>

#include "tools/trace/commands.h"
#include "tools/trace/source.h"

enum { LINE_SIZE = 4096, HEX_COLUMNS = 16 };

static void help(void) {
  puts("usage: troupe trace dump [OPTION]... FILE...\n"
       "Prints traces, merged by time: seconds, actor, direction, what it is.\n\n"
       "  --actor NAME        only actors of this name, or NAME-INDEX for one copy\n"
       "  --connection ID     only this connection, as shown: 1/3\n"
       "  --kind KIND         only this kind: data, write, connection, timer, call, ...\n"
       "  --from S, --to S    only from, up to so many seconds after the first entry\n"
       "  --limit N           at most so many lines\n"
       "  --payload           all bytes of each payload, in hexadecimal\n"
       "  --help              this text\n\n"
       "--actor, --connection and --kind may be given several times: one of them must fit.");
}

static void show_payload(const troupe_trace_entry_t *entry) {
  const unsigned char *bytes = entry->payload;
  for (size_t at = 0; at < entry->kept; at += HEX_COLUMNS) {
    size_t length = entry->kept - at < HEX_COLUMNS ? entry->kept - at : HEX_COLUMNS;
    printf("    %08zx  ", at);
    for (size_t i = 0; i < HEX_COLUMNS; i++) {
      if (i < length) {
        printf("%02x ", bytes[at + i]);
      } else {
        fputs("   ", stdout);
      }
    }
    putchar(' ');
    for (size_t i = 0; i < length; i++) {
      putchar(bytes[at + i] >= 0x20 && bytes[at + i] < 0x7f ? bytes[at + i] : '.');
    }
    putchar('\n');
  }
  if (entry->kept < entry->length) {
    printf("    %zu bytes more, hash of all %016llx\n", entry->length - entry->kept,
           (unsigned long long)entry->hash);
  }
}

int trace_dump(int argc, char **argv) {
  enum { LIMIT = 1, PAYLOAD, HELP };
  static const struct option options[] = {
      FILTER_OPTIONS,
      {"limit", required_argument, NULL, LIMIT},
      {"payload", no_argument, NULL, PAYLOAD},
      {"help", no_argument, NULL, HELP},
      {0},
  };
  filter_t filter = {0};
  long long limit = -1;
  bool payload = false;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    if (filter_option(&filter, option, optarg)) {
      continue;
    }
    switch (option) {
    case LIMIT:
      limit = number_option("--limit", optarg, 0, INT64_MAX);
      break;
    case PAYLOAD:
      payload = true;
      break;
    case HELP:
      help();
      return END_FINE;
    default:
      wrong_option(option, argv);
    }
  }
  source_t source;
  int code = source_open(&source, argv + optind, argc - optind, &filter, "dump");
  if (code != END_FINE) {
    return code;
  }
  source_check_actors(&source);
  const troupe_trace_entry_t *entry = NULL;
  while (limit != 0 && !ferror(stdout) && (entry = source_next(&source)) != NULL) {
    char text[LINE_SIZE];
    troupe_trace_text(entry, text, sizeof text);
    const char *direction = entry->type == TROUPE_ENTRY_EVENT     ? "<-"
                            : entry->type == TROUPE_ENTRY_COMMAND ? "->"
                                                                  : "  ";
    printf("%12.6f  %s-%u  %s %s\n", source_seconds(&source, entry), entry->name, entry->index,
           direction, text);
    if (payload && entry->has_payload) {
      show_payload(entry);
    }
    limit -= limit > 0;
  }
  code = source.code;
  if (code == END_FINE && entry == NULL && limit != 0) {
    source_check_connections(&source.filter);
  }
  source_close(&source);
  return code;
}
