/// One pass over the trace. What an event is about is remembered for a while, so that a command can
/// be laid to it: an event of one connection after which another one is sent something is an edge.
/// From what is not whole all is spoilt that edges lead to.
#include "core/trace/whole.h"

#include <inttypes.h>
#include <stdlib.h>
#include <troupe/error.h>

#include "core/message/id.h"
#include "core/support/array.h"
#include "core/trace/causes.h"
#include "core/trace/kinds.h"
#include "core/trace/view.h"

enum {
  NAMED_MAX = 32,
  RECENT_EVENTS = 1 << 15, // a command comes much sooner after its event
};

/// Why a connection is not whole; the first reason that there was.
typedef enum {
  WHOLE,
  NOT_BEGUN, // what is there first is not its beginning
  LOST,      // it was open where something is missing
  CUT,
  MOVED,      // something that is left out acts on it
  UNCLEAR,    // the actor made it, and nobody knows when
  UNREACHED,  // the replayed actor has no such server
  NOT_CHOSEN, // one chose not to record it; it is not told
} state_t;

struct trp_node {
  uint64_t id;
  uint32_t order; // in which they began
  state_t state;
  bool closed;      // or given away
  bool server;      // only what it acts on is of interest
  trp_node_t *next; // of those that spoil others
};

/// What happens to `cause` makes the actor do something to `effect`; both by order.
struct trp_edge {
  uint32_t cause, effect;
};

/// What an event is about.
typedef struct {
  uint64_t sender, sequence;
  trp_node_t *node; // NULL: no connection
  bool left_out;
} event_t;

typedef struct {
  trp_whole_t *whole;
  trp_view_t view;
  event_t *recent;      // each at a place that follows from its number
  trp_shadow_t *latest; // the events, of each sender, behind which nothing was sent yet or little
  size_t latest_count, latest_capacity;
  bool answered; // something was sent behind them
  bool doubts;   // what the actor keeps from before is not known, such as how often a timer was due
  bool ended;    // main returned
  uint64_t sender, first, last; // of the batch that was taken last; 0, 0, 0: none yet
} search_t;

static int look_at_record(search_t *search, const trp_record_t *record);
static int look_at_events(search_t *search);
static int look_at_commands(search_t *search);
static int touch(trp_whole_t *whole, uint64_t id, trp_node_t **node);
static int find_subject(search_t *search, size_t index, bool in, trp_node_t **node);
static bool is_cut(const search_t *search, size_t index);
static void note_event(search_t *search, size_t index, trp_node_t *node);
static int move(search_t *search, const trp_causes_t *causes, trp_node_t *node);
static int note_maker(search_t *search, const trp_causes_t *causes, bool known, trp_node_t *node,
                      bool listens);
static int add_edge(trp_whole_t *whole, const trp_node_t *cause, const trp_node_t *effect);
static int note_latest(search_t *search);
static int note_gap(search_t *search);
static int note_shadows(search_t *search);
static void spoil_open(trp_whole_t *whole);
static void finish(trp_whole_t *whole);
static void spoil_moved(trp_whole_t *whole, trp_node_t *from);
static void count(trp_whole_t *whole);

int trp_whole_find(trp_whole_t *whole, const char *path) {
  trp_reader_t *reader = NULL;
  trp_record_t record;
  search_t search = {.whole = whole};
  int error = trp_reader_open(path, &reader);
  if (error != 0) {
    return error;
  }
  trp_view_init(&search.view);
  search.doubts = (trp_reader_header(reader)->flags & (TRP_TRACE_LATE | TRP_TRACE_ROTATED)) != 0;
  search.recent = calloc(RECENT_EVENTS, sizeof *search.recent);
  error = search.recent == NULL ? TROUPE_ENOMEM : 0;
  int result = 0;
  while (error == 0 && (result = trp_reader_next(reader, &record)) == 1) {
    error = look_at_record(&search, &record);
  }
  if (error == TROUPE_EBADTRACE) {
    spoil_open(whole); // it is read up to here
    error = 0;
  }
  if (error == 0 && result < 0 && result != TROUPE_EOF && result != TROUPE_EBADTRACE) {
    error = result;
  }
  if (error == 0 && !search.ended) {
    error = note_shadows(&search); // what is sent behind them may be in the next part
  }
  trp_view_free(&search.view);
  free(search.recent);
  free(search.latest);
  trp_reader_close(&reader);
  if (error == 0) {
    finish(whole);
  }
  return error;
}

void trp_whole_free(trp_whole_t *whole) {
  for (size_t i = 0; i < whole->node_count; i++) {
    free(whole->nodes[i]);
  }
  free(whole->nodes);
  free(whole->edges);
  free(whole->makers);
  free(whole->shadows);
  trp_map_free(&whole->connections);
  trp_map_free(&whole->known_edges);
  trp_taken_free(&whole->taken);
  trp_map_free(&whole->servers);
  trp_map_free(&whole->listening);
}

bool trp_whole_has(const trp_whole_t *whole, uint64_t connection) {
  const trp_node_t *known = trp_map_get(&whole->connections, connection);
  return known != NULL && known->state == WHOLE;
}

static bool was_started(const trp_whole_t *whole, const trp_message_t *event);

static int compare_makers(const void *a, const void *b) {
  const trp_maker_t *one = a;
  const trp_maker_t *other = b;
  if (one->sender != other->sender) {
    return one->sender < other->sender ? -1 : 1;
  }
  if (one->sequence != other->sequence) {
    return one->sequence < other->sequence ? -1 : 1;
  }
  return one->order < other->order ? -1 : one->order > other->order;
}

static bool maker_is_before(const void *item, const void *key) {
  return compare_makers(item, key) < 0;
}

const trp_maker_t *trp_whole_made(const trp_whole_t *whole, uint64_t sender, uint64_t sequence,
                                  size_t index) {
  const trp_maker_t wanted = {.sender = sender, .sequence = sequence};
  size_t first = trp_array_search(whole->makers, whole->maker_count, sizeof *whole->makers,
                                  maker_is_before, &wanted);
  if (index >= whole->maker_count - first) {
    return NULL;
  }
  const trp_maker_t *found = &whole->makers[first + index];
  return found->sender == sender && found->sequence == sequence ? found : NULL;
}

static bool shadow_has_begun(const void *item, const void *key) {
  const trp_shadow_t *shadow = item;
  const trp_shadow_t *event = key;
  return shadow->sender < event->sender ||
         (shadow->sender == event->sender && shadow->first <= event->first);
}

bool trp_whole_is_shadowed(const trp_whole_t *whole, uint64_t sender, uint64_t sequence) {
  const trp_shadow_t event = {.sender = sender, .first = sequence};
  size_t behind = trp_array_search(whole->shadows, whole->shadow_count, sizeof *whole->shadows,
                                   shadow_has_begun, &event);
  const trp_shadow_t *shadow = behind == 0 ? NULL : &whole->shadows[behind - 1];
  return shadow != NULL && shadow->sender == sender && sequence <= shadow->last;
}

void trp_whole_drop(trp_whole_t *whole, uint64_t connection) {
  trp_node_t *node = trp_map_get(&whole->connections, connection);
  if (node != NULL && node->state == WHOLE) {
    node->state = UNREACHED;
    spoil_moved(whole, node);
    count(whole);
  }
}

bool trp_whole_leaves_out(const trp_whole_t *whole, const trp_message_t *event) {
  switch (event->kind) {
  case TRP_KIND(EVENT_TIMER):
    return !was_started(whole, event);
  case TRP_KIND(KIND_NONE): // its payload is not there, or one chose not to record it
  case TRP_KIND(EVENT_ABORT):
  case TRP_KIND(EVENT_CALLED):
  case TRP_KIND(EVENT_COUNTED):
    return true;
  default:
    return false;
  }
}

/// The connection after whose event a timer was started; NULL: after no connection's, or after one's
/// of which nothing is known.
static trp_node_t *starter_of(const trp_whole_t *whole, const trp_message_t *event) {
  trp_node_t *node = event->kind == TRP_KIND(EVENT_TIMER) && event->detail_case == TRP_DETAIL(TIMER)
                         ? trp_map_get(&whole->connections, event->timer->subject)
                         : NULL;
  return node != NULL && node->server ? NULL : node;
}

/// Whether the replayed actor starts the timer, too, as long as what starts it is whole.
static bool was_started(const trp_whole_t *whole, const trp_message_t *event) {
  if (event->detail_case != TRP_DETAIL(TIMER)) {
    return false;
  }
  const Troupe__Wire__Timer *by = event->timer;
  const trp_node_t *node = starter_of(whole, event);
  if (node != NULL) {
    return node->state == WHOLE;
  }
  bool by_main = by->cause_sender == 0 && by->cause_sequence == 0;
  bool other = by->subject == 0 || trp_id_is_actor(by->subject) ||
               trp_map_get(&whole->servers, by->subject) != NULL;
  return by_main || (other && trp_taken_has(&whole->taken, by->cause_sender, by->cause_sequence));
}

// ---- Telling ----

/// Those in one state, in the order in which they began.
static void tell_state(const trp_whole_t *whole, state_t state, trp_text_t *text) {
  uint64_t all = 0;
  for (size_t i = 0; i < whole->node_count; i++) {
    const trp_node_t *node = whole->nodes[i];
    if (node->state == state && !node->server && all++ < NAMED_MAX) {
      trp_text_add(text, "%s", all == 1 ? "" : ", ");
      trp_print_id(text, node->id);
    }
  }
  if (all > NAMED_MAX) {
    trp_text_add(text, " and %" PRIu64 " more", all - NAMED_MAX);
  }
}

static bool has_state(const trp_whole_t *whole, state_t state) {
  for (size_t i = 0; i < whole->node_count; i++) {
    if (whole->nodes[i]->state == state && !whole->nodes[i]->server) {
      return true;
    }
  }
  return false;
}

void trp_whole_tell(const trp_whole_t *whole, trp_text_t *text) {
  tell_state(whole, WHOLE, text);
}

void trp_whole_tell_others(const trp_whole_t *whole, trp_text_t *text) {
  static const struct {
    state_t state;
    const char *words;
  } reasons[] = {
      {NOT_BEGUN, "whose beginning is missing"},
      {LOST, "open where something is missing"},
      {CUT, "with a payload that is cut or redacted"},
      {MOVED, "moved by something that is left out"},
      {UNCLEAR, "made by the actor, the trace does not say after which event"},
      {UNREACHED, "accepted by a server that the actor does not make without what is left out"}};
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

// ---- Reading ----

static int look_at_record(search_t *search, const trp_record_t *record) {
  bool in = false;
  switch (record->head.type) {
  case TRP_RECORD_GAP:
    return note_gap(search);
  case TRP_RECORD_IN:
  case TRP_RECORD_IN_CUT:
    in = true;
    break;
  case TRP_RECORD_OUT:
  case TRP_RECORD_OUT_CUT:
    search->answered = true;
    break;
  case TRP_RECORD_END:
    search->ended = true;
    return 0;
  default:
    return 0;
  }
  int error = trp_view_open(&search->view, record->head.type, record->body,
                            (size_t)record->head.length);
  if (error != 0 || search->view.batch->n_messages == 0) {
    return error;
  }
  return in ? look_at_events(search) : look_at_commands(search);
}

static int look_at_events(search_t *search) {
  trp_whole_t *whole = search->whole;
  const trp_wire_batch_t *batch = search->view.batch;
  search->sender = batch->sender;
  search->first = batch->first_sequence;
  search->last = batch->first_sequence + batch->n_messages - 1;
  int result = note_latest(search);
  if (result == 0) {
    result = trp_taken_add(&whole->taken, search->sender, search->first, search->last);
  }
  for (size_t i = 0; i < batch->n_messages; i++) {
    const trp_message_t *message = batch->messages[i];
    trp_node_t *node = NULL;
    int error = result != 0 ? result : find_subject(search, i, true, &node);
    if (error == 0 && message->kind == TRP_KIND(EVENT_LISTENING)) {
      error = trp_map_put(&whole->listening, message->subject, whole);
    }
    if (error == 0 && message->kind == TRP_KIND(EVENT_CONNECTION) && node != NULL) {
      const trp_node_t *server = trp_map_get(&whole->connections, message->subject);
      error = server == NULL ? 0 : add_edge(whole, server, node);
    }
    if (error != 0) {
      return error;
    }
    if (node != NULL) {
      node->closed = node->closed || message->kind == TRP_KIND(EVENT_CLOSE) ||
                     message->kind == TRP_KIND(EVENT_GIVEN);
    }
    note_event(search, i, node);
  }
  return 0;
}

static bool makes(const trp_message_t *message) {
  return message->kind == TRP_KIND(COMMAND_CONNECT) || message->kind == TRP_KIND(COMMAND_ADOPT);
}

static int look_at_commands(search_t *search) {
  const trp_wire_batch_t *batch = search->view.batch;
  trp_causes_t causes;
  trp_causes_begin(&causes, batch);
  for (size_t i = 0; i < batch->n_messages; i++) {
    const trp_message_t *message = batch->messages[i];
    trp_node_t *node = NULL;
    bool known = trp_causes_next(&causes);
    if (!known && batch->n_causes == 0 && causes.sender == search->sender &&
        causes.sequence == search->last) {
      known = true; // there is no later event after which it could have been
    }
    int error = find_subject(search, i, false, &node);
    if (error == 0 && message->kind == TRP_KIND(COMMAND_LISTEN) && known) {
      error = touch(search->whole, message->subject, &node);
      if (error == 0) {
        node->server = true;
      }
    }
    if (error != 0) {
      return error;
    }
    if (node == NULL) {
      continue;
    }
    if (makes(message) || node->server) {
      error = note_maker(search, &causes, known, node, node->server);
    }
    // Credit tells how much was read, and moves nothing.
    if (error == 0 && known && message->kind != TRP_KIND(COMMAND_CREDIT)) {
      error = move(search, &causes, node);
    }
    if (error != 0) {
      return error;
    }
  }
  return 0;
}

/// The connection that a message is about, looked at; NULL: none.
static int find_subject(search_t *search, size_t index, bool in, trp_node_t **node) {
  trp_whole_t *whole = search->whole;
  const trp_message_t *message = search->view.batch->messages[index];
  uint64_t id = 0;
  int error = trp_connection_of(&whole->servers, message, &id);
  if (error != 0 || id == 0) {
    return error;
  }
  bool begins = in ? message->kind == TRP_KIND(EVENT_CONNECTION) ||
                         message->kind == TRP_KIND(EVENT_HANDED)
                   : makes(message);
  bool is_new = trp_map_get(&whole->connections, id) == NULL;
  error = touch(whole, id, node);
  if (error != 0) {
    return error;
  }
  trp_node_t *known = *node;
  if (is_new && !begins) {
    known->state = NOT_BEGUN;
  } else if (is_new && makes(message) &&
             message->detail_case == TROUPE__WIRE__MESSAGE__DETAIL__NOT_SET) {
    known->state = NOT_CHOSEN; // of such a one only this is there
  }
  if (begins) {
    known->closed = false; // it was given away, and comes back
  } else if (in && known->closed && known->state == WHOLE) {
    known->state = LOST; // how it came back
  }
  if (is_cut(search, index) && known->state == WHOLE) {
    known->state = CUT;
  }
  return 0;
}

static int touch(trp_whole_t *whole, uint64_t id, trp_node_t **node) {
  *node = trp_map_get(&whole->connections, id);
  if (*node != NULL) {
    return 0;
  }
  trp_node_t **nodes = whole->node_count == UINT32_MAX
                           ? NULL
                           : trp_array_room(whole->nodes, &whole->node_capacity, whole->node_count,
                                            sizeof(trp_node_t *));
  if (nodes == NULL) {
    return TROUPE_ENOMEM;
  }
  whole->nodes = nodes;
  trp_node_t *made = calloc(1, sizeof *made);
  if (made == NULL || trp_map_put(&whole->connections, id, made) != 0) {
    free(made);
    return TROUPE_ENOMEM;
  }
  made->id = id;
  made->order = (uint32_t)whole->node_count;
  whole->nodes[whole->node_count++] = made;
  *node = made;
  return 0;
}

static bool is_cut(const search_t *search, size_t index) {
  const trp_viewed_t *payload = &search->view.payloads[index];
  return payload->kept < search->view.batch->messages[index]->length ||
         (payload->flags & TRP_CUT_REDACTED) != 0;
}

static event_t *place_of(const search_t *search, uint64_t sender, uint64_t sequence) {
  uint64_t mixed = sender * UINT64_C(0x9e3779b97f4a7c15);
  return &search->recent[((mixed >> 32) + sequence) % RECENT_EVENTS];
}

static void note_event(search_t *search, size_t index, trp_node_t *node) {
  const trp_message_t *message = search->view.batch->messages[index];
  uint64_t sequence = search->first + index;
  trp_node_t *starter = starter_of(search->whole, message);
  node = node == NULL ? starter : node; // what a timer does something did before
  *place_of(search, search->sender, sequence) = (event_t){
      .sender = search->sender,
      .sequence = sequence,
      .node = node,
      .left_out = (starter == NULL &&
                   (trp_whole_leaves_out(search->whole, message) ||
                    (search->doubts && message->kind == TRP_KIND(EVENT_TIMER)))) ||
                  (node == NULL && is_cut(search, index))};
}

/// A connection or a server is sent something: what did that?
static int move(search_t *search, const trp_causes_t *causes, trp_node_t *node) {
  if (causes->sender == 0 && causes->sequence == 0) {
    return 0; // main itself, before any event
  }
  const event_t *event = place_of(search, causes->sender, causes->sequence);
  if (event->sender != causes->sender || event->sequence != causes->sequence || event->left_out) {
    node->state = node->state == WHOLE ? MOVED : node->state;
    return 0;
  }
  return event->node == NULL || event->node == node ? 0
                                                    : add_edge(search->whole, event->node, node);
}

static int note_maker(search_t *search, const trp_causes_t *causes, bool known, trp_node_t *node,
                      bool listens) {
  trp_whole_t *whole = search->whole;
  if (!known) {
    whole->unclear = true;
    node->state = node->state == WHOLE ? UNCLEAR : node->state;
    return 0;
  }
  trp_maker_t *makers = trp_array_room(whole->makers, &whole->maker_capacity, whole->maker_count,
                                       sizeof *makers);
  if (makers == NULL) {
    return TROUPE_ENOMEM;
  }
  whole->makers = makers;
  makers[whole->maker_count] = (trp_maker_t){.sender = causes->sender,
                                             .sequence = causes->sequence,
                                             .order = whole->maker_count,
                                             .id = node->id,
                                             .listens = listens};
  whole->maker_count++;
  return 0;
}

static int add_edge(trp_whole_t *whole, const trp_node_t *cause, const trp_node_t *effect) {
  uint64_t key = ((uint64_t)cause->order << 32 | effect->order) + 1;
  if (trp_map_get(&whole->known_edges, key) != NULL) {
    return 0;
  }
  trp_edge_t *edges = trp_array_room(whole->edges, &whole->edge_capacity, whole->edge_count,
                                     sizeof *edges);
  if (edges == NULL) {
    return TROUPE_ENOMEM;
  }
  whole->edges = edges;
  int error = trp_map_put(&whole->known_edges, key, whole);
  if (error == 0) {
    edges[whole->edge_count++] = (trp_edge_t){.cause = cause->order, .effect = effect->order};
  }
  return error;
}

/// A batch is taken; what is sent from here on may be laid to it, or to those that were taken with
/// nothing sent in between.
static int note_latest(search_t *search) {
  const trp_shadow_t taken = {
      .sender = search->sender, .first = search->first, .last = search->last};
  if (search->answered) {
    search->latest_count = 0;
    search->answered = false;
  }
  for (size_t i = 0; i < search->latest_count; i++) {
    if (search->latest[i].sender == taken.sender) {
      search->latest[i].last = taken.last;
      return 0;
    }
  }
  trp_shadow_t *latest = trp_array_room(search->latest, &search->latest_capacity,
                                        search->latest_count, sizeof *latest);
  if (latest == NULL) {
    return TROUPE_ENOMEM;
  }
  search->latest = latest;
  latest[search->latest_count++] = taken;
  return 0;
}

static int note_gap(search_t *search) {
  search->doubts = true;
  spoil_open(search->whole);
  return note_shadows(search);
}

static int note_shadows(search_t *search) {
  trp_whole_t *whole = search->whole;
  for (size_t i = 0; i < search->latest_count; i++) {
    trp_shadow_t *shadows = trp_array_room(whole->shadows, &whole->shadow_capacity,
                                           whole->shadow_count, sizeof *shadows);
    if (shadows == NULL) {
      return TROUPE_ENOMEM;
    }
    whole->shadows = shadows;
    shadows[whole->shadow_count++] = search->latest[i];
  }
  return 0;
}

/// Something is missing: it may be of each connection that is open.
static void spoil_open(trp_whole_t *whole) {
  for (size_t i = 0; i < whole->node_count; i++) {
    trp_node_t *node = whole->nodes[i];
    if (node->state == WHOLE && !node->closed && !node->server) {
      node->state = LOST;
    }
  }
}

// ---- What acts on what ----

static int compare_edges(const void *a, const void *b) {
  const trp_edge_t *one = a;
  const trp_edge_t *other = b;
  if (one->cause != other->cause) {
    return one->cause < other->cause ? -1 : 1;
  }
  return one->effect < other->effect ? -1 : one->effect > other->effect;
}

static int compare_shadows(const void *a, const void *b) {
  const trp_shadow_t *one = a;
  const trp_shadow_t *other = b;
  if (one->sender != other->sender) {
    return one->sender < other->sender ? -1 : 1;
  }
  if (one->first != other->first) {
    return one->first < other->first ? -1 : 1;
  }
  return one->last < other->last ? -1 : one->last > other->last;
}

static void finish(trp_whole_t *whole) {
  trp_map_free(&whole->known_edges);
  if (whole->edge_count > 0) {
    qsort(whole->edges, whole->edge_count, sizeof *whole->edges, compare_edges);
  }
  if (whole->maker_count > 0) {
    qsort(whole->makers, whole->maker_count, sizeof *whole->makers, compare_makers);
  }
  if (whole->shadow_count > 0) {
    qsort(whole->shadows, whole->shadow_count, sizeof *whole->shadows, compare_shadows);
  }
  for (size_t i = 0; i < whole->node_count; i++) {
    if (whole->nodes[i]->state != WHOLE) {
      spoil_moved(whole, whole->nodes[i]);
    }
  }
  count(whole);
}

static bool edge_is_before(const void *item, const void *key) {
  const trp_edge_t *edge = item;
  const trp_node_t *node = key;
  return edge->cause < node->order;
}

/// The first of the edges that lead away from a node, in what is sorted.
static size_t first_edge(const trp_whole_t *whole, const trp_node_t *node) {
  return trp_array_search(whole->edges, whole->edge_count, sizeof *whole->edges, edge_is_before,
                          node);
}

static void spoil_moved(trp_whole_t *whole, trp_node_t *from) {
  from->next = NULL;
  for (trp_node_t *node = from; node != NULL;) {
    trp_node_t *more = node->next;
    for (size_t i = first_edge(whole, node);
         i < whole->edge_count && whole->edges[i].cause == node->order; i++) {
      trp_node_t *effect = whole->nodes[whole->edges[i].effect];
      if (effect->state == WHOLE) {
        effect->state = MOVED;
        effect->next = more;
        more = effect;
      }
    }
    node = more;
  }
}

static void count(trp_whole_t *whole) {
  whole->whole = whole->others = 0;
  for (size_t i = 0; i < whole->node_count; i++) {
    const trp_node_t *node = whole->nodes[i];
    if (!node->server) {
      whole->whole += node->state == WHOLE;
      whole->others += node->state != WHOLE && node->state != NOT_CHOSEN;
    }
  }
}
