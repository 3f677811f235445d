/// Traces as applications read them: messages one by one, of one actor's trace or of a flight
/// recorder's file.
#include <troupe/trace_file.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/message/id.h"
#include "core/support/map.h"
#include "core/trace/calls.h"
#include "core/trace/flight_file.h"
#include "core/trace/json.h"
#include "core/trace/kinds.h"
#include "core/trace/print.h"
#include "core/trace/reader.h"
#include "core/trace/view.h"

enum { KINDS = 128, KIND_NAME_SIZE = 48 };

struct troupe_trace {
  trp_reader_t *reader;      // NULL: it is a flight recorder's file
  trp_flight_file_t *flight; // likewise
  trp_start_t start;         // of the actor; its argument is not kept
  trp_record_t first;        // read when it was opened, and not given out yet
  bool has_first;
  const trp_start_t *current; // whose record was read last
  trp_record_t record;
  trp_view_t view; // of the record, while it has messages
  size_t next;     // of them
  trp_map_t servers;
  char kind_names[KINDS][KIND_NAME_SIZE];
  int stopped;
  bool is_stopped;
};

static int open_trace(troupe_trace_t *trace, const char *path);
static int next_record(troupe_trace_t *trace);
static int open_record(troupe_trace_t *trace, troupe_trace_entry_t *entry);
static void skip_not_chosen(troupe_trace_t *trace);
static int fill_message(troupe_trace_t *trace, troupe_trace_entry_t *entry);

int troupe_trace_open(const char *path, troupe_trace_t **trace) {
  if (path == NULL || trace == NULL) {
    return TROUPE_EINVAL;
  }
  troupe_trace_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_view_init(&made->view);
  int error = open_trace(made, path);
  if (error != 0) {
    troupe_trace_free(&made);
    return error;
  }
  *trace = made;
  return 0;
}

void troupe_trace_free(troupe_trace_t **trace) {
  troupe_trace_t *t = trace == NULL ? NULL : *trace;
  if (t == NULL) {
    return;
  }
  *trace = NULL;
  trp_reader_close(&t->reader);
  trp_flight_file_close(&t->flight);
  trp_view_free(&t->view);
  trp_map_free(&t->servers);
  free(t);
}

static int open_trace(troupe_trace_t *trace, const char *path) {
  int error = trp_flight_file_open(path, &trace->flight);
  if (error != TROUPE_ENOTSUP) { // what it says of other files
    return error;
  }
  error = trp_reader_open(path, &trace->reader);
  if (error != 0) {
    return error;
  }
  // Every trace begins with its start, which says whose it is.
  int result = trp_reader_next(trace->reader, &trace->first);
  if (result != 1) {
    return result == 0 || result == TROUPE_EOF ? TROUPE_EBADTRACE : result;
  }
  if (trace->first.head.type != TRP_RECORD_START) {
    return TROUPE_EBADTRACE;
  }
  error = trp_parse_start(trace->first.body, (size_t)trace->first.head.length, &trace->start);
  trace->start.argument = NULL;
  trace->has_first = true;
  trace->current = &trace->start;
  return error;
}

void troupe_trace_info(const troupe_trace_t *trace, troupe_trace_info_t *info) {
  if (info == NULL) {
    return;
  }
  *info = (troupe_trace_info_t){0};
  if (trace == NULL) {
    return;
  }
  const trp_trace_header_t *header = trace->flight != NULL ? trp_flight_file_header(trace->flight)
                                                           : trp_reader_header(trace->reader);
  info->format_major = header->major;
  info->format_minor = header->minor;
  for (size_t i = 0; i < 3; i++) {
    info->version[i] = header->version[i];
  }
  if (trace->flight != NULL) {
    info->flight = info->cut = info->late = true;
    info->size_bytes = trp_flight_file_size(trace->flight);
    return;
  }
  memcpy(info->name, trace->start.name, sizeof info->name);
  info->index = trace->start.index;
  info->actor = trace->start.id;
  info->clock_ns = trace->start.clock_ns;
  info->stopped = header->stopped;
  info->complete = (header->flags & TRP_TRACE_COMPLETE) != 0;
  info->late = (header->flags & TRP_TRACE_LATE) != 0;
  info->chosen = (header->flags & TRP_TRACE_CHOSEN) != 0;
  info->cut = (header->flags & TRP_TRACE_CUT) != 0;
  info->rotated = (header->flags & TRP_TRACE_ROTATED) != 0;
  // Format 1.0 knew no other reason.
  info->lost = (header->flags & TRP_TRACE_LOST) != 0 || header->flags == 0;
  info->size_bytes = trp_reader_size(trace->reader);
}

int troupe_trace_next(troupe_trace_t *trace, troupe_trace_entry_t *entry) {
  if (trace == NULL || entry == NULL) {
    return TROUPE_EINVAL;
  }
  *entry = (troupe_trace_entry_t){.position = trace->record.position};
  for (;;) {
    if (trace->is_stopped) {
      return trace->stopped;
    }
    int result = 0;
    skip_not_chosen(trace);
    if (trace->view.batch != NULL && trace->next < trace->view.batch->n_messages) {
      result = fill_message(trace, entry);
    } else {
      trace->view.batch = NULL;
      result = next_record(trace);
      if (result == 1) {
        result = open_record(trace, entry);
        if (result == 0) {
          continue; // its messages come now, or nobody knows what it is
        }
      }
    }
    if (result != 1) {
      trace->is_stopped = true;
      trace->stopped = result;
      *entry = (troupe_trace_entry_t){.position = trace->record.position};
    }
    return result;
  }
}

static int next_record(troupe_trace_t *trace) {
  if (trace->flight != NULL) {
    return trp_flight_file_next(trace->flight, &trace->record, &trace->current);
  }
  if (trace->has_first) {
    trace->has_first = false;
    trace->record = trace->first;
    return 1;
  }
  return trp_reader_next(trace->reader, &trace->record);
}

bool troupe_trace_kind_exists(const char *kind) {
  static const char *const others[] = {"start", "end of the actor", "gap", "call",
#define TRP_CALL_WORDS(name, number, words) words,
                                       TRP_CALLS(TRP_CALL_WORDS)
#undef TRP_CALL_WORDS
  };
  for (size_t i = 0; kind != NULL && i < sizeof others / sizeof others[0]; i++) {
    if (strcmp(kind, others[i]) == 0) {
      return true;
    }
  }
  for (unsigned i = 1; kind != NULL && i < KINDS; i++) {
    char name[KIND_NAME_SIZE];
    trp_text_t text;
    trp_text_init(&text, name, sizeof name);
    if (trp_is_kind((Troupe__Wire__Kind)i)) {
      trp_print_kind(&text, (Troupe__Wire__Kind)i);
      if (strcmp(kind, name) == 0) {
        return true;
      }
    }
  }
  return false;
}

static void fill_head(const troupe_trace_t *trace, troupe_trace_entry_t *entry) {
  const trp_record_head_t *head = &trace->record.head;
  *entry = (troupe_trace_entry_t){.clock_ns = head->clock_ns,
                                  .record = head->sequence,
                                  .position = trace->record.position,
                                  .name = trace->current->name,
                                  .index = trace->current->index,
                                  .actor = trace->current->id};
}

/// 1: it is an entry; 0: it has messages, or is unknown; or an error.
static int open_record(troupe_trace_t *trace, troupe_trace_entry_t *entry) {
  const trp_record_t *record = &trace->record;
  fill_head(trace, entry);
  int error = 0;
  switch (record->head.type) {
  case TRP_RECORD_START:
    if (trace->reader != NULL && record->position != trace->first.position) {
      return TROUPE_EBADTRACE;
    }
    entry->type = TROUPE_ENTRY_START;
    entry->kind = "start";
    entry->value = (int64_t)trace->current->seed;
    return 1;
  case TRP_RECORD_CALL:
    entry->type = TROUPE_ENTRY_CALL;
    entry->kind = trp_call_name(record->head.subject);
    break;
  case TRP_RECORD_END:
    entry->type = TROUPE_ENTRY_END;
    entry->kind = "end of the actor";
    break;
  case TRP_RECORD_GAP:
    entry->type = TROUPE_ENTRY_GAP;
    entry->kind = "gap";
    entry->value = (int64_t)record->head.subject;
    return 1;
  case TRP_RECORD_IN:
  case TRP_RECORD_OUT:
  case TRP_RECORD_IN_CUT:
  case TRP_RECORD_OUT_CUT:
    trace->next = 0;
    return trp_view_open(&trace->view, record->head.type, record->body,
                         (size_t)record->head.length);
  default: // a later minor version's
    return 0;
  }
  error = trp_record_value(record, &entry->value);
  return error == 0 ? 1 : error;
}

/// Made once for each kind: an entry costs less than the name.
static const char *kind_name(troupe_trace_t *trace, Troupe__Wire__Kind kind) {
  if ((unsigned)kind >= KINDS) {
    return "unknown kind";
  }
  char *name = trace->kind_names[kind];
  if (name[0] == '\0') {
    trp_text_t text;
    trp_text_init(&text, name, KIND_NAME_SIZE);
    trp_print_kind(&text, kind);
  }
  return name;
}

/// In the place of a message that one chose not to record is an empty one.
static void skip_not_chosen(troupe_trace_t *trace) {
  const trp_wire_batch_t *batch = trace->view.batch;
  while (batch != NULL && trace->next < batch->n_messages &&
         batch->messages[trace->next]->kind == TRP_KIND(KIND_NONE)) {
    trace->next++;
  }
}

static int fill_message(troupe_trace_t *trace, troupe_trace_entry_t *entry) {
  const trp_record_head_t *head = &trace->record.head;
  size_t index = trace->next++;
  const trp_message_t *message = trace->view.batch->messages[index];
  const trp_viewed_t *payload = &trace->view.payloads[index];
  bool in = head->type == TRP_RECORD_IN || head->type == TRP_RECORD_IN_CUT;
  fill_head(trace, entry);
  entry->type = in ? TROUPE_ENTRY_EVENT : TROUPE_ENTRY_COMMAND;
  entry->kind = kind_name(trace, message->kind);
  entry->peer = head->subject;
  entry->subject = message->subject;
  entry->has_payload = payload->bytes != NULL;
  entry->payload = payload->bytes;
  entry->length = message->length;
  entry->kept = payload->kept;
  entry->redacted = (payload->flags & TRP_CUT_REDACTED) != 0;
  entry->hash = payload->hash;
  entry->internal[0] = message;
  int error = trp_connection_of(&trace->servers, message, &entry->connection);
  return error == 0 ? 1 : error;
}

void troupe_trace_text(const troupe_trace_entry_t *entry, char *text, size_t size) {
  if (text == NULL || size == 0) {
    return;
  }
  trp_text_t words;
  trp_text_init(&words, text, size);
  if (entry == NULL) {
    return;
  }
  const trp_message_t *message = entry->internal[0];
  if (message != NULL) {
    trp_print_cut_message(&words, message, entry->payload, entry->kept);
    if (entry->redacted) {
      trp_text_add(&words, " (redacted)");
    } else if (entry->has_payload && entry->kept < entry->length) {
      trp_text_add(&words, " (cut)");
    }
    return;
  }
  switch (entry->type) {
  case TROUPE_ENTRY_START:
    trp_text_add(&words, "start of \"%s\" (copy %u), ", entry->name, entry->index);
    trp_print_id(&words, entry->actor);
    break;
  case TROUPE_ENTRY_CALL:
    trp_text_add(&words, "call of %s: %lld", entry->kind, (long long)entry->value);
    break;
  case TROUPE_ENTRY_END:
    trp_text_add(&words, "main returned %lld", (long long)entry->value);
    break;
  case TROUPE_ENTRY_GAP:
    trp_text_add(&words, "gap: %lld records are missing", (long long)entry->value);
    break;
  default:
    break;
  }
}

size_t troupe_trace_fields(const troupe_trace_entry_t *entry, char *json, size_t size) {
  trp_json_t made;
  trp_json_init(&made, json, json == NULL ? 0 : size);
  const trp_message_t *message = entry == NULL ? NULL : entry->internal[0];
  if (message == NULL) {
    static const trp_message_t none = TROUPE__WIRE__MESSAGE__INIT;
    message = &none;
  }
  trp_json_message(&made, message);
  return made.length;
}

void troupe_id_text(uint64_t id, char *text, size_t size) {
  if (text == NULL || size == 0) {
    return;
  }
  trp_text_t words;
  trp_text_init(&words, text, size);
  trp_print_id(&words, id);
}

int troupe_id_parse(const char *text, uint64_t *id) {
  char *end = NULL;
  errno = 0;
  if (text == NULL || id == NULL || text[0] < '0' || text[0] > '9') {
    return TROUPE_EINVAL;
  }
  unsigned long creator = strtoul(text, &end, 10);
  if (errno != 0 || *end != '/' || end[1] < '0' || end[1] > '9' || creator > TRP_ID_CREATOR_MAX) {
    return TROUPE_EINVAL;
  }
  unsigned long long counter = strtoull(end + 1, &end, 10);
  if (errno != 0 || *end != '\0' || counter == 0 || counter > TRP_ID_COUNTER_MAX) {
    return TROUPE_EINVAL;
  }
  *id = trp_id_make(0, (uint32_t)creator, counter);
  return 0;
}

bool troupe_id_matches(uint64_t id, uint64_t parsed) {
  return trp_id_creator(id) == trp_id_creator(parsed) &&
         (id & TRP_ID_COUNTER_MAX) == (parsed & TRP_ID_COUNTER_MAX);
}

uint64_t troupe_trace_hash(const void *bytes, size_t length) {
  return trp_payload_hash(bytes, bytes == NULL ? 0 : length);
}
