/// The last batches, as they were recorded; opened again only when something is to be told.
#include "core/trace/recent.h"

#include <inttypes.h>

#include "core/message/id.h"
#include "core/trace/view.h"

enum {
  CONTEXT_EVENTS = 5,  // shown before the one after which it differs
  RECENT_BATCHES = 16, // kept for that, at the least
};

typedef struct {
  uint64_t number;
  int64_t clock_ns;
  uint64_t sender, sequence;
  const trp_message_t *message;
  const uint8_t *payload;
} event_t;

static trp_in_t *open_batches(const trp_recent_t *recent, size_t *count);
static size_t list_events(const trp_recent_t *recent, const trp_in_t *opened, size_t batches,
                          event_t *events);
static size_t find(const event_t *events, size_t count, size_t last_batch, trp_cause_t cause,
                   bool *certain);
static void print_events(const event_t *events, size_t at, const trp_start_t *start,
                         trp_text_t *text);

void trp_recent_keep(trp_recent_t *recent, trp_item_t *item, size_t events) {
  item->events = events;
  trp_queue_push(&recent->items, item);
  recent->batches++;
  recent->events += events;
  recent->all_events += events;
  while (recent->batches > RECENT_BATCHES &&
         // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): as many items as batches
         recent->events - recent->items.first->events > CONTEXT_EVENTS) {
    trp_item_t *oldest = trp_queue_pop(&recent->items);
    recent->batches--;
    recent->events -= oldest->events;
    trp_item_free(oldest);
  }
}

void trp_recent_free(trp_recent_t *recent) {
  trp_queue_free(&recent->items);
  *recent = (trp_recent_t){0};
}

void trp_recent_tell(const trp_recent_t *recent, trp_cause_t cause, const trp_start_t *start,
                     trp_text_t *text) {
  if (recent->events == 0) {
    trp_text_add(text, "This is before the first event.\n");
    return;
  }
  size_t batches = 0;
  trp_in_t *opened = open_batches(recent, &batches);
  event_t *events = calloc(recent->events, sizeof *events);
  size_t count = events == NULL ? 0 : list_events(recent, opened, batches, events);
  if (count > 0) {
    bool certain = false;
    size_t at = find(events, count, opened[batches - 1].batch->n_messages, cause, &certain);
    trp_text_add(text, "This is %safter event:\n", certain ? "" : "most likely ");
    print_events(events, at, start, text);
  }
  for (size_t i = 0; i < batches; i++) {
    trp_in_free(&opened[i]);
  }
  free(opened);
  free(events);
}

/// All of them, or as many as there is memory for.
static trp_in_t *open_batches(const trp_recent_t *recent, size_t *count) {
  trp_in_t *opened = calloc(recent->batches, sizeof *opened);
  *count = 0;
  for (trp_item_t *item = recent->items.first; opened != NULL && item != NULL; item = item->next) {
    trp_in_t *in = &opened[*count];
    trp_in_init(in);
    if (trp_body_parse(item->body, item->type, in) != 0) {
      trp_in_free(in);
      break;
    }
    in->received_ns = item->clock_ns;
    ++*count;
  }
  return opened;
}

static size_t list_events(const trp_recent_t *recent, const trp_in_t *opened, size_t batches,
                          event_t *events) {
  size_t count = 0;
  for (size_t i = 0; i < batches; i++) {
    const trp_wire_batch_t *batch = opened[i].batch;
    for (size_t k = 0; k < batch->n_messages && count < recent->events; k++) {
      if (recent->left_out != NULL && recent->left_out(recent->context, batch->messages[k])) {
        continue;
      }
      events[count] = (event_t){.number = recent->all_events - recent->events + count + 1,
                                .clock_ns = opened[i].received_ns,
                                .sender = batch->sender,
                                .sequence = batch->first_sequence + k,
                                .message = batch->messages[k],
                                .payload = trp_in_payload(&opened[i], batch->messages[k])};
      count++;
    }
  }
  return count;
}

/// The cause's place. When it is not known exactly it is looked for from the cause on, or in the
/// last batch: most likely it is the last event there that has the same subject, else the last of
/// all.
static size_t find(const event_t *events, size_t count, size_t last_batch, trp_cause_t cause,
                   bool *certain) {
  size_t from = count - (last_batch < count ? last_batch : count);
  bool known = false;
  for (size_t i = 0; i < count && (cause.sender != 0 || cause.sequence != 0); i++) {
    if (events[i].sender == cause.sender && events[i].sequence == cause.sequence) {
      from = i;
      known = true;
    }
  }
  *certain = (known && cause.exact) || from + 1 == count;
  if (*certain) {
    return from;
  }
  size_t at = count - 1;
  for (size_t i = from; i < count && cause.subject != 0; i++) {
    if (events[i].message->subject == cause.subject) {
      at = i;
    }
  }
  return at;
}

/// The clock of a file may say anything.
static double seconds_between(int64_t from_ns, int64_t to_ns) {
  return (double)(int64_t)((uint64_t)to_ns - (uint64_t)from_ns) / 1e9;
}

static void print_events(const event_t *events, size_t at, const trp_start_t *start,
                         trp_text_t *text) {
  size_t first = at < CONTEXT_EVENTS ? 0 : at - CONTEXT_EVENTS;
  for (size_t i = at + 1; i > first; i--) {
    if (i == at) {
      trp_text_add(text, "The events before it, the latest first:\n");
    }
    const event_t *event = &events[i - 1];
    trp_text_add(text, "  %4" PRIu64 "  %+.6f s  ", event->number,
                 seconds_between(start->clock_ns, event->clock_ns));
    trp_print_message(text, event->message, event->payload);
    if (event->sender != start->id && !trp_id_is_io_actor(event->sender)) {
      trp_text_add(text, ", from ");
      trp_print_id(text, event->sender);
    }
    trp_text_add(text, "\n");
  }
}
