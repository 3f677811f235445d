#include "actors/sim/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/message/credit.h"
#include "core/message/id.h"
#include "core/net/wire_address.h"

static int told(trp_ledger_t *ledger, const trp_in_t *in, const trp_message_t *message);
static int said(trp_ledger_t *ledger, unsigned io, trp_letter_t *letter, trp_message_t *message);

int trp_ledger_init(trp_ledger_t *ledger, unsigned io_count, bool keeps_heard) {
  *ledger = (trp_ledger_t){.io_count = io_count, .keeps_heard = keeps_heard};
  trp_list_init(&ledger->entries);
  ledger->owners = calloc(io_count, sizeof *ledger->owners);
  return ledger->owners == NULL ? TROUPE_ENOMEM : 0;
}

// ---- Entries and orders ----

static void release_letter(trp_letter_t *letter) {
  if (--letter->references == 0) {
    trp_in_free(&letter->in);
    free(letter);
  }
}

static void drop_order(trp_order_t *order) {
  trp_list_remove(&order->in_entry);
  release_letter(order->letter);
  free(order);
}

// An order that was dropped is in no list any more, whatever the analyzer thinks.
// NOLINTBEGIN(clang-analyzer-unix.Malloc)
static void drop_entry(trp_ledger_t *ledger, trp_entry_t *entry) {
  while (!trp_list_empty(&entry->orders)) {
    drop_order(TRP_LIST_ENTRY(entry->orders.next, trp_order_t, in_entry));
  }
  trp_list_remove(&entry->in_ledger);
  trp_map_remove(&ledger->by_id, entry->id);
  free(entry->heard);
  free(entry);
}

void trp_ledger_free(trp_ledger_t *ledger) {
  if (ledger->owners == NULL) {
    return;
  }
  while (!trp_list_empty(&ledger->entries)) {
    drop_entry(ledger, TRP_LIST_ENTRY(ledger->entries.next, trp_entry_t, in_ledger));
  }
  trp_map_free(&ledger->by_id);
  free(ledger->owners);
  ledger->owners = NULL;
}

/// NULL: no memory.
static trp_entry_t *entry_of(trp_ledger_t *ledger, uint64_t id) {
  trp_entry_t *entry = trp_map_get(&ledger->by_id, id);
  if (entry != NULL) {
    return entry;
  }
  entry = calloc(1, sizeof *entry);
  if (entry == NULL || trp_map_put(&ledger->by_id, id, entry) != 0) {
    free(entry);
    return NULL;
  }
  entry->id = entry->known.id = id;
  trp_list_init(&entry->orders);
  trp_list_append(&ledger->entries, &entry->in_ledger);
  return entry;
}

static bool is_kind(const trp_order_t *order, unsigned kind) {
  return (unsigned)order->message->kind == kind;
}

/// Forgets the commands of this kind: they are answered, or another one has taken their place.
static void drop_kind(trp_entry_t *entry, unsigned kind) {
  trp_link_t *link = entry->orders.next;
  while (link != &entry->orders) {
    trp_order_t *order = TRP_LIST_ENTRY(link, trp_order_t, in_entry);
    link = link->next;
    if (is_kind(order, kind)) {
      drop_order(order);
    }
  }
}

// NOLINTEND(clang-analyzer-unix.Malloc)

// ---- Told ----

static int hear(trp_entry_t *entry, const uint8_t *bytes, size_t length) {
  if (entry->heard_length + length > entry->heard_capacity) {
    size_t capacity = 2 * (entry->heard_length + length);
    uint8_t *grown = realloc(entry->heard, capacity);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    entry->heard = grown;
    entry->heard_capacity = capacity;
  }
  memcpy(entry->heard + entry->heard_length, bytes, length);
  entry->heard_length += length;
  return 0;
}

/// All bytes up to this one were with the kernel: writes of them are done with.
static int acknowledge(trp_ledger_t *ledger, trp_entry_t *entry, uint64_t through) {
  through = through < entry->accepted ? through : entry->accepted;
  trp_link_t *link = entry->orders.next;
  while (link != &entry->orders && entry->known.written < through) {
    trp_order_t *order = TRP_LIST_ENTRY(link, trp_order_t, in_entry);
    link = link->next;
    if (!is_kind(order, TRP_KIND(COMMAND_WRITE))) {
      continue;
    }
    trp_message_t *write = order->message;
    uint64_t until = order->end < through ? order->end : through;
    uint32_t length = (uint32_t)(until - entry->known.written);
    if (ledger->keeps_heard &&
        hear(entry, trp_in_payload(&order->letter->in, write), length) != 0) {
      return TROUPE_ENOMEM;
    }
    entry->known.written = until;
    write->offset += length;
    write->length -= length;
    if (write->length == 0) {
      drop_order(order);
    }
  }
  return 0;
}

static void know_address(troupe_address_t *address, const Troupe__Wire__Address *wire) {
  (void)trp_address_from_wire(address, wire);
}

static void know_options(trp_entry_t *entry, const Troupe__Wire__Options *options) {
  if (options != NULL) {
    entry->options = *options; // nothing in it points anywhere, but for
    entry->options.base.n_unknown_fields = 0;
    entry->options.base.unknown_fields = NULL;
    entry->has_options = true;
  }
}

/// The I/O actor that made this id will not make it again.
static void know_id(trp_ledger_t *ledger, uint64_t id) {
  unsigned maker = trp_id_creator(id);
  if (maker >= 1 && maker <= ledger->io_count) {
    uint64_t counter = id & TRP_ID_COUNTER_MAX;
    trp_resumed_owner_t *owner = &ledger->owners[maker - 1];
    owner->last_counter = counter > owner->last_counter ? counter : owner->last_counter;
  }
}

static int told_connection(trp_ledger_t *ledger, const trp_message_t *message) {
  trp_entry_t *server = entry_of(ledger, message->subject);
  trp_entry_t *socket = message->detail_case == TRP_DETAIL(CONNECTION)
                            ? entry_of(ledger, message->connection->socket)
                            : NULL;
  if (server == NULL || socket == NULL) {
    return TROUPE_ENOMEM;
  }
  server->dealt++;
  socket->is_open = true;
  socket->known.server = server->id;
  know_address(&socket->local, message->connection->local);
  know_address(&socket->remote, message->connection->remote);
  know_id(ledger, socket->id);
  return 0;
}

static int told_handed(trp_ledger_t *ledger, const trp_message_t *message) {
  trp_entry_t *socket = message->detail_case == TRP_DETAIL(HANDED)
                            ? entry_of(ledger, message->subject)
                            : NULL;
  if (socket == NULL) {
    return TROUPE_ENOMEM;
  }
  const Troupe__Wire__Handed *handed = message->handed;
  know_id(ledger, socket->id);
  socket->is_open = true;
  socket->known.resumed = !handed->paused;
  socket->known.epoch = message->epoch;
  socket->known.peer_ended = handed->ended;
  socket->known.finished = handed->finished; // what earlier owners wrote is theirs
  socket->known.consumed = handed->consumed;
  socket->known.sent_cost = handed->consumed +
                            (handed->unread > 0 ? trp_data_cost(handed->unread) : 0);
  socket->known.bytes_read = handed->bytes_read + handed->unread;
  socket->known.written = socket->accepted = socket->inherited = handed->bytes_written;
  know_address(&socket->local, handed->local);
  know_address(&socket->remote, handed->remote);
  know_options(socket, handed->options);
  return 0;
}

// NOLINTBEGIN(clang-analyzer-unix.Malloc): as above
static void told_counted(trp_entry_t *entry, const trp_message_t *message) {
  for (trp_link_t *link = entry->orders.next; link != &entry->orders; link = link->next) {
    trp_order_t *order = TRP_LIST_ENTRY(link, trp_order_t, in_entry);
    if (is_kind(order, TRP_KIND(COMMAND_COUNT)) && message->detail_case == TRP_DETAIL(COUNT) &&
        order->message->count->token == message->count->token) {
      drop_order(order);
      return;
    }
  }
}

// NOLINTEND(clang-analyzer-unix.Malloc)

static void told_frozen(trp_entry_t *entry) {
  drop_kind(entry, TRP_KIND(COMMAND_FREEZE));
  entry->known.frozen = true;
}

static int told_of(trp_ledger_t *ledger, trp_entry_t *entry, const trp_message_t *message) {
  int error = entry->is_open ? acknowledge(ledger, entry, message->through) : 0;
  trp_resumed_t *known = &entry->known;
  switch (message->kind) {
  case TRP_KIND(EVENT_CONNECT):
    drop_kind(entry, TRP_KIND(COMMAND_CONNECT));
    drop_kind(entry, TRP_KIND(COMMAND_ADOPT));
    entry->is_open = entry->connected_by_self = true;
    if (message->detail_case == TRP_DETAIL(CONNECTED)) {
      know_address(&entry->local, message->connected->local);
      know_address(&entry->remote, message->connected->remote);
    }
    return acknowledge(ledger, entry, message->through);
  case TRP_KIND(EVENT_DATA):
    known->sent_cost += trp_data_cost(message->length);
    known->bytes_read += message->length;
    break;
  case TRP_KIND(EVENT_END):
    known->peer_ended = true;
    break;
  case TRP_KIND(EVENT_FINISH):
    known->finished = true;
    drop_kind(entry, TRP_KIND(COMMAND_END));
    break;
  case TRP_KIND(EVENT_ERROR):
    drop_kind(entry, TRP_KIND(COMMAND_LISTEN)); // a socket's close comes with it
    break;
  case TRP_KIND(EVENT_FROZEN):
    told_frozen(entry);
    break;
  case TRP_KIND(EVENT_GIVE_FAILED):
    drop_kind(entry, TRP_KIND(COMMAND_FREEZE));
    drop_kind(entry, TRP_KIND(COMMAND_GIVE));
    known->frozen = false;
    break;
  case TRP_KIND(EVENT_LISTENING):
    entry->listens = true;
    if (message->detail_case == TRP_DETAIL(LISTENING)) {
      know_address(&entry->local, message->listening->address);
    }
    break;
  case TRP_KIND(EVENT_COUNTED):
    told_counted(entry, message);
    break;
  case TRP_KIND(EVENT_DOWN):
    drop_kind(entry, TRP_KIND(COMMAND_WATCH));
    break;
  case TRP_KIND(EVENT_GONE):
    drop_kind(entry, TRP_KIND(COMMAND_PIPE));
    break;
  case TRP_KIND(EVENT_CLOSE):
  case TRP_KIND(EVENT_GIVEN):
    drop_entry(ledger, entry);
    break;
  default:
    break;
  }
  return error;
}

static int told(trp_ledger_t *ledger, const trp_in_t *in, const trp_message_t *message) {
  if (message->kind == TRP_KIND(EVENT_CONNECTION)) {
    return told_connection(ledger, message);
  }
  if (message->kind == TRP_KIND(EVENT_HANDED)) {
    return told_handed(ledger, message);
  }
  unsigned io = trp_id_creator(in->batch->sender);
  if (message->kind == TRP_KIND(EVENT_DATA) && io <= ledger->io_count) {
    ledger->owners[io - 1].sent_cost += trp_data_cost(message->length);
  }
  trp_entry_t *entry = trp_map_get(&ledger->by_id, message->subject);
  return entry == NULL ? 0 : told_of(ledger, entry, message);
}

int trp_ledger_told(trp_ledger_t *ledger, const trp_in_t *in) {
  const trp_wire_batch_t *batch = in->batch;
  if (!trp_id_is_io_actor(batch->sender)) {
    return 0; // of another actor, or a timer
  }
  unsigned io = trp_id_creator(batch->sender);
  if (io <= ledger->io_count) {
    ledger->owners[io - 1].next_sequence = batch->first_sequence + batch->n_messages;
  }
  int error = 0;
  for (size_t i = 0; i < batch->n_messages && error == 0; i++) {
    error = told(ledger, in, batch->messages[i]);
  }
  return error;
}

// ---- Said ----

static int keep(trp_entry_t *entry, unsigned io, trp_letter_t *letter, trp_message_t *message) {
  trp_order_t *order = calloc(1, sizeof *order);
  if (order == NULL) {
    return TROUPE_ENOMEM;
  }
  *order = (trp_order_t){.letter = letter, .message = message, .io = io, .end = entry->accepted};
  letter->references++;
  trp_list_init(&order->in_entry);
  trp_list_append(&entry->orders, &order->in_entry);
  return 0;
}

/// What takes the place of an earlier command. False: there is nothing left to keep.
static bool replaces(trp_ledger_t *ledger, trp_entry_t *entry, const trp_message_t *message) {
  switch (message->kind) {
  case TRP_KIND(COMMAND_RESUME):
    entry->known.resumed = true;
    drop_kind(entry, TRP_KIND(COMMAND_PAUSE));
    drop_kind(entry, TRP_KIND(COMMAND_RESUME));
    return true;
  case TRP_KIND(COMMAND_PAUSE):
    drop_kind(entry, TRP_KIND(COMMAND_PAUSE));
    drop_kind(entry, TRP_KIND(COMMAND_RESUME));
    return true;
  case TRP_KIND(COMMAND_LISTEN):
    drop_kind(entry, TRP_KIND(COMMAND_LISTEN));
    drop_kind(entry, TRP_KIND(COMMAND_CLOSE));
    entry->listens = false;
    // One that listened before goes on counting.
    entry->dealt = message->through > entry->dealt ? message->through : entry->dealt;
    return true;
  case TRP_KIND(COMMAND_UNWATCH):
    drop_kind(entry, TRP_KIND(COMMAND_WATCH));
    return false;
  case TRP_KIND(COMMAND_BLOCK_LIST):
    if (message->detail_case == TRP_DETAIL(BLOCK_LIST) && message->block_list->drop) {
      drop_entry(ledger, entry);
      return false;
    }
    return true;
  case TRP_KIND(COMMAND_CONNECT):
    know_options(entry, message->connect->options);
    return true;
  case TRP_KIND(COMMAND_ADOPT):
    know_options(entry, message->adopt->options);
    return true;
  case TRP_KIND(COMMAND_CREDIT):
    return false;
  default:
    return true;
  }
}

static int said(trp_ledger_t *ledger, unsigned io, trp_letter_t *letter, trp_message_t *message) {
  trp_entry_t *entry = trp_map_get(&ledger->by_id, message->subject);
  switch (message->kind) {
  case TRP_KIND(COMMAND_CONNECT):
  case TRP_KIND(COMMAND_ADOPT):
  case TRP_KIND(COMMAND_LISTEN):
  case TRP_KIND(COMMAND_BLOCK_LIST):
  case TRP_KIND(COMMAND_WATCH):
  case TRP_KIND(COMMAND_PIPE):
    entry = entry_of(ledger, message->subject);
    if (entry == NULL) {
      return TROUPE_ENOMEM;
    }
    break;
  case TRP_KIND(COMMAND_SEND):
  case TRP_KIND(COMMAND_SEND_CREDIT):
  case TRP_KIND(COMMAND_FORGET):
    return 0;
  default:
    break;
  }
  if (entry == NULL || (entry->is_open && entry->known.epoch != message->epoch)) {
    return 0; // of what is gone, as far as the actor could know
  }
  if (entry->is_open && message->through > entry->known.consumed) {
    entry->known.consumed = message->through;
  }
  if (!replaces(ledger, entry, message)) {
    return 0;
  }
  if (message->kind == TRP_KIND(COMMAND_WRITE)) {
    entry->accepted += message->length;
  }
  return keep(entry, io, letter, message);
}

/// As over a pipe: the receiver has frames of its own.
static int push_copy(trp_in_t *in, const trp_frame_t *frame) {
  trp_frame_t *copy = trp_frame_copy(frame->bytes, frame->size);
  int error = copy == NULL ? (int)TROUPE_ENOMEM : trp_in_push(in, copy);
  if (error != 0) {
    trp_frame_release(copy);
  }
  return error;
}

int trp_ledger_said(trp_ledger_t *ledger, unsigned io, const trp_out_t *out) {
  trp_letter_t *letter = calloc(1, sizeof *letter);
  if (letter == NULL) {
    return TROUPE_ENOMEM;
  }
  letter->references = 1;
  trp_in_init(&letter->in);
  int error = push_copy(&letter->in, out->envelope);
  for (size_t i = 0; i < out->frame_count && error == 0; i++) {
    error = push_copy(&letter->in, out->frames[i]);
  }
  if (error == 0) {
    error = trp_in_open(&letter->in);
  }
  for (size_t i = 0; error == 0 && i < letter->in.batch->n_messages; i++) {
    error = said(ledger, io, letter, letter->in.batch->messages[i]);
  }
  release_letter(letter);
  return error;
}
