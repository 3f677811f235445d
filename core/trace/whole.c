#include "core/trace/whole.h"

#include <inttypes.h>
#include <stdlib.h>
#include <troupe/error.h>

#include "core/trace/kinds.h"
#include "core/trace/view.h"

enum { NAMED_MAX = 32 };

/// Why a connection is not whole; the first reason that there was.
typedef enum {
  WHOLE,
  NOT_BEGUN, // what is there first is not its beginning
  LOST,      // it was open where something is missing
  CUT,
} state_t;

typedef struct {
  uint64_t id;
  uint64_t order; // in which they began
  state_t state;
  bool closed; // or given away
} connection_t;

static int look_at_record(trp_whole_t *whole, trp_view_t *view, const trp_record_t *record);
static int look_at_message(trp_whole_t *whole, const trp_message_t *message, bool in, bool cut);
static void spoil_open(trp_whole_t *whole);
static void count(trp_whole_t *whole);

int trp_whole_find(trp_whole_t *whole, const char *path) {
  trp_reader_t *reader = NULL;
  trp_view_t view;
  trp_record_t record;
  int error = trp_reader_open(path, &reader);
  if (error != 0) {
    return error;
  }
  trp_view_init(&view);
  int result = 0;
  while (error == 0 && (result = trp_reader_next(reader, &record)) == 1) {
    error = look_at_record(whole, &view, &record);
  }
  if (error == TROUPE_EBADTRACE) {
    spoil_open(whole); // it is read up to here
    error = 0;
  }
  if (error == 0 && result < 0 && result != TROUPE_EOF && result != TROUPE_EBADTRACE) {
    error = result;
  }
  trp_view_free(&view);
  trp_reader_close(&reader);
  count(whole);
  return error;
}

void trp_whole_free(trp_whole_t *whole) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&whole->connections, &cursor, NULL, &value)) {
    free(value);
  }
  trp_map_free(&whole->connections);
  trp_map_free(&whole->servers);
  trp_map_free(&whole->listening);
}

bool trp_whole_has(const trp_whole_t *whole, uint64_t connection) {
  const connection_t *known = trp_map_get(&whole->connections, connection);
  return known != NULL && known->state == WHOLE;
}

/// Those in one state, in the order in which they began.
static void tell_state(const trp_whole_t *whole, state_t state, trp_text_t *text) {
  const connection_t *first[NAMED_MAX];
  size_t count = 0;
  uint64_t all = 0;
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&whole->connections, &cursor, NULL, &value)) {
    const connection_t *known = value;
    if (known->state != state) {
      continue;
    }
    all++;
    size_t at = count < NAMED_MAX ? count++ : NAMED_MAX;
    for (; at > 0 && first[at - 1]->order > known->order; at--) {
      if (at < NAMED_MAX) {
        first[at] = first[at - 1];
      }
    }
    if (at < NAMED_MAX) {
      first[at] = known;
    }
  }
  for (size_t i = 0; i < count; i++) {
    trp_text_add(text, "%s", i == 0 ? "" : ", ");
    trp_print_id(text, first[i]->id);
  }
  if (all > count) {
    trp_text_add(text, " and %" PRIu64 " more", all - count);
  }
}

static bool has_state(const trp_whole_t *whole, state_t state) {
  size_t cursor = 0;
  void *value = NULL;
  bool found = false;
  while (!found && trp_map_iterate(&whole->connections, &cursor, NULL, &value)) {
    found = ((const connection_t *)value)->state == state;
  }
  return found;
}

void trp_whole_tell(const trp_whole_t *whole, trp_text_t *text) {
  tell_state(whole, WHOLE, text);
}

void trp_whole_tell_others(const trp_whole_t *whole, trp_text_t *text) {
  static const struct {
    state_t state;
    const char *words;
  } reasons[] = {{NOT_BEGUN, "whose beginning is missing"},
                 {LOST, "open where something is missing"},
                 {CUT, "with a payload that is cut"}};
  const char *between = "";
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (has_state(whole, reasons[i].state)) {
      trp_text_add(text, "%s", between);
      tell_state(whole, reasons[i].state, text);
      trp_text_add(text, " (%s)", reasons[i].words);
      between = ", ";
    }
  }
}

static int look_at_record(trp_whole_t *whole, trp_view_t *view, const trp_record_t *record) {
  switch (record->head.type) {
  case TRP_RECORD_GAP:
    spoil_open(whole);
    return 0;
  case TRP_RECORD_IN:
  case TRP_RECORD_OUT:
  case TRP_RECORD_IN_CUT:
  case TRP_RECORD_OUT_CUT:
    break;
  default:
    return 0;
  }
  int error = trp_view_open(view, record->head.type, record->body, (size_t)record->head.length);
  bool in = record->head.type == TRP_RECORD_IN || record->head.type == TRP_RECORD_IN_CUT;
  for (size_t i = 0; error == 0 && i < view->batch->n_messages; i++) {
    const trp_viewed_t *payload = &view->payloads[i];
    bool cut = payload->kept < view->batch->messages[i]->length ||
               (payload->flags & TRP_CUT_REDACTED) != 0;
    error = look_at_message(whole, view->batch->messages[i], in, cut);
  }
  return error;
}

static int look_at_message(trp_whole_t *whole, const trp_message_t *message, bool in, bool cut) {
  uint64_t id = 0;
  int error = trp_connection_of(&whole->servers, message, &id);
  if (error != 0) {
    return error;
  }
  if (in && message->kind == TRP_KIND(EVENT_LISTENING)) {
    return trp_map_put(&whole->listening, message->subject, whole);
  }
  whole->connects = whole->connects || (!in && (message->kind == TRP_KIND(COMMAND_CONNECT) ||
                                                message->kind == TRP_KIND(COMMAND_ADOPT)));
  if (id == 0) {
    return 0;
  }
  bool begins = in && (message->kind == TRP_KIND(EVENT_CONNECTION) ||
                       message->kind == TRP_KIND(EVENT_HANDED));
  connection_t *known = trp_map_get(&whole->connections, id);
  if (known == NULL) {
    known = calloc(1, sizeof *known);
    if (known == NULL || trp_map_put(&whole->connections, id, known) != 0) {
      free(known);
      return TROUPE_ENOMEM;
    }
    known->id = id;
    known->order = trp_map_count(&whole->connections) - 1;
    known->state = begins ? WHOLE : NOT_BEGUN;
  }
  if (begins) {
    known->closed = false; // it was given away, and comes back
  } else if (in && known->closed && known->state == WHOLE) {
    known->state = LOST; // how it came back
  }
  if (cut && known->state == WHOLE) {
    known->state = CUT;
  }
  known->closed = known->closed || (in && (message->kind == TRP_KIND(EVENT_CLOSE) ||
                                           message->kind == TRP_KIND(EVENT_GIVEN)));
  return 0;
}

/// Something is missing: it may be of each connection that is open.
static void spoil_open(trp_whole_t *whole) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&whole->connections, &cursor, NULL, &value)) {
    connection_t *known = value;
    if (known->state == WHOLE && !known->closed) {
      known->state = LOST;
    }
  }
}

static void count(trp_whole_t *whole) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&whole->connections, &cursor, NULL, &value)) {
    const connection_t *known = value;
    whole->whole += known->state == WHOLE;
    whole->others += known->state != WHOLE;
  }
}
