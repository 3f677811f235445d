/* troupe trace json: one object in a line for each entry. */
#include <stdlib.h>
#include <string.h>

#include "tools/trace/commands.h"
#include "tools/trace/source.h"

enum { ID_SIZE = 64 };

static void help(void) {
  puts(
      "usage: troupe trace json [OPTION]... FILE...\n"
      "Prints traces, merged by time, as lines of JSON. Each has time (nanoseconds), actor, index,\n"
      "type (start, event, command, call, end, gap) and kind; messages have peer, subject,\n"
      "connection, and fields; payloads length and text, or base64 where they are no ASCII text;\n"
      "those that were cut or redacted have kept, redacted and hash. Others have value.\n\n"
      "  --actor NAME, --connection ID, --kind KIND, --from S, --to S   as for dump\n"
      "  --help              this text");
}

static void print_string(const char *bytes, size_t length) {
  putchar('"');
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)bytes[i];
    if (byte == '"' || byte == '\\') {
      printf("\\%c", byte);
    } else if (byte == '\n') {
      fputs("\\n", stdout);
    } else if (byte == '\r') {
      fputs("\\r", stdout);
    } else if (byte < 0x20 || byte >= 0x7f) {
      printf("\\u%04x", byte);
    } else {
      putchar(byte);
    }
  }
  putchar('"');
}

static bool is_text(const unsigned char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if ((bytes[i] < 0x20 && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t') ||
        bytes[i] >= 0x7f) {
      return false;
    }
  }
  return true;
}

static void print_base64(const unsigned char *bytes, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  putchar('"');
  for (size_t i = 0; i < length; i += 3) {
    size_t left = length - i;
    unsigned word = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                    (left > 2 ? bytes[i + 2] : 0);
    putchar(digits[word >> 18]);
    putchar(digits[word >> 12 & 63]);
    putchar(left > 1 ? digits[word >> 6 & 63] : '=');
    putchar(left > 2 ? digits[word & 63] : '=');
  }
  putchar('"');
}

static void print_id(const char *name, uint64_t id) {
  char text[ID_SIZE];
  if (id != 0) {
    troupe_id_text(id, text, sizeof text);
    printf(",\"%s\":\"%s\"", name, text);
  }
}

static void print_payload(const troupe_trace_entry_t *entry) {
  printf(",\"length\":%zu", entry->length);
  if (entry->kept < entry->length || entry->redacted) {
    printf(",\"kept\":%zu,\"redacted\":%s,\"hash\":\"%016llx\"", entry->kept,
           entry->redacted ? "true" : "false", (unsigned long long)entry->hash);
  }
  if (is_text(entry->payload, entry->kept)) {
    fputs(",\"text\":", stdout);
    print_string(entry->payload, entry->kept);
  } else {
    fputs(",\"base64\":", stdout);
    print_base64(entry->payload, entry->kept);
  }
}

/* The fields of a message, whatever their size; `*room` grows as needed. */
static bool print_fields(const troupe_trace_entry_t *entry, char **room, size_t *size) {
  size_t length = troupe_trace_fields(entry, *room, *size);
  if (length >= *size) {
    char *grown = realloc(*room, length + 1);
    if (grown == NULL) {
      return false;
    }
    *room = grown;
    *size = length + 1;
    troupe_trace_fields(entry, *room, *size);
  }
  if (length > 2) {
    printf(",\"fields\":%s", *room);
  }
  return true;
}

static bool print_entry(const troupe_trace_entry_t *entry, char **room, size_t *size) {
  static const char *const types[] = {"", "start", "event", "command", "call", "end", "gap"};
  printf("{\"time\":%lld,\"actor\":", (long long)entry->clock_ns);
  print_string(entry->name, strlen(entry->name));
  printf(",\"index\":%u,\"type\":\"%s\",\"kind\":\"%s\"", entry->index, types[entry->type],
         entry->kind);
  bool fine = true;
  if (entry->type == TROUPE_ENTRY_EVENT || entry->type == TROUPE_ENTRY_COMMAND) {
    print_id("peer", entry->peer);
    print_id("subject", entry->subject);
    print_id("connection", entry->connection);
    fine = print_fields(entry, room, size);
    if (entry->has_payload) {
      print_payload(entry);
    }
  } else {
    printf(",\"value\":%lld", (long long)entry->value);
  }
  puts("}");
  return fine;
}

int trace_json(int argc, char **argv) {
  enum { HELP = 1 };
  static const struct option options[] = {FILTER_OPTIONS, {"help", no_argument, NULL, HELP}, {0}};
  filter_t filter = {0};
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    if (filter_option(&filter, option, optarg)) {
      continue;
    }
    if (option == HELP) {
      help();
      return END_FINE;
    }
    wrong_option(option, argv);
  }
  source_t source;
  int code = source_open(&source, argv + optind, argc - optind, &filter, "json");
  if (code != END_FINE) {
    return code;
  }
  source_check_actors(&source);
  char *room = NULL;
  size_t size = 0;
  const troupe_trace_entry_t *entry = NULL;
  while (!ferror(stdout) && (entry = source_next(&source)) != NULL) {
    if (!print_entry(entry, &room, &size)) {
      complain("%s", troupe_error_message(TROUPE_ENOMEM));
      source.code = END_FAILED;
      break;
    }
  }
  free(room);
  code = source.code;
  if (code == END_FINE && entry == NULL) {
    source_check_connections(&source.filter);
  }
  source_close(&source);
  return code;
}
