/// Taps: the recorded actor's side of recording. A record goes to the recorder by reference, over
/// the actor's own inbox; the only things made here are a head of 32 bytes and a list of pointers.
///
/// A frame that came is marked with the record that has it. When the actor sends it on (an echo, a
/// proxy, a chat) the recorder is told, and need not write its bytes once more.
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/trace/line.h"

enum { NAMED_LEAST = 512 }; // bytes: less is written again

/// Frames never leave their thread, so it can number the recordings that mark them.
static _Thread_local uint64_t last_tape;

struct trp_tap {
  trp_backlog_t *backlog; // NULL: nothing is recorded
  trp_ring_t *ring;       // of the flight recorder; NULL: there is none
  trp_inbox_t *inbox;
  uint32_t number;
  uint64_t tape;         // the number of the recording, in this thread
  uint64_t sequence;     // of the last record
  int64_t clock_ns;      // of the last batch that was taken
  uint64_t lost_records; // since the last one that was handed over
  uint64_t lost_bytes;
  bool begins_late;     // and nobody asked yet
  trp_frame_t **frames; // room for the message that is being put together
  size_t capacity;
};

static int record_start(trp_tap_t *tap, const trp_start_t *start, bool late);
static bool record(trp_tap_t *tap, trp_record_type_t type, uint64_t subject, trp_frame_t *names,
                   trp_frame_t *first, trp_frame_t *const *frames, size_t frame_count);
static void mark(const trp_tap_t *tap, const trp_in_t *in);
static trp_frame_t *name_frames(const trp_tap_t *tap, const trp_out_t *out);
static void record_value(trp_tap_t *tap, trp_record_type_t type, uint64_t subject, int64_t value);
static int hand_over(trp_tap_t *tap, const trp_line_t *line, trp_frame_t *names, trp_frame_t *first,
                     trp_frame_t *const *frames, size_t frame_count);
static bool tell_gap(trp_tap_t *tap);
static bool has_ended(trp_tap_t *tap);

trp_tap_t *trp_tap_new(trp_inbox_t *inbox) {
  trp_tap_t *tap = calloc(1, sizeof *tap);
  if (tap != NULL) {
    tap->inbox = inbox;
  }
  return tap;
}

int trp_tap_record(trp_tap_t *tap, trp_recorder_t *recorder, const trp_start_t *start, bool late,
                   int64_t now_ns) {
  trp_backlog_t *backlog = trp_recorder_backlog(recorder);
  atomic_fetch_add(&backlog->users, 1);
  tap->backlog = backlog;
  tap->number = atomic_fetch_add(&backlog->next_tap, 1);
  tap->tape = ++last_tape;
  tap->sequence = 0;
  tap->clock_ns = now_ns;
  tap->lost_records = tap->lost_bytes = 0;
  tap->begins_late = late;
  int error = record_start(tap, start, late);
  if (error != 0) {
    tap->backlog = NULL;
    tap->begins_late = false;
    int none = 0;
    atomic_compare_exchange_strong(&backlog->error, &none, error);
    trp_backlog_release(backlog);
  }
  return error;
}

void trp_tap_end_record(trp_tap_t *tap) {
  if (tap->backlog == NULL) {
    return;
  }
  if (!has_ended(tap)) {
    tell_gap(tap);
    trp_line_t line = {.tag = TRP_LINE_TAG, .tap = tap->number, .type = TRP_LINE_CLOSE};
    // Without memory for this the file is closed when recording ends.
    (void)hand_over(tap, &line, NULL, NULL, NULL, 0);
  }
  trp_backlog_release(tap->backlog);
  tap->backlog = NULL;
}

int trp_tap_open(trp_recorder_t *recorder, const trp_start_t *start, trp_inbox_t *inbox,
                 trp_tap_t **tap) {
  trp_tap_t *made = trp_tap_new(inbox);
  if (made == NULL) {
    int none = 0;
    atomic_compare_exchange_strong(&trp_recorder_backlog(recorder)->error, &none, TROUPE_ENOMEM);
    return TROUPE_ENOMEM;
  }
  int error = trp_tap_record(made, recorder, start, false, start->clock_ns);
  if (error != 0) {
    trp_tap_close(&made);
    return error;
  }
  *tap = made;
  return 0;
}

void trp_tap_close(trp_tap_t **tap) {
  trp_tap_t *t = *tap;
  if (t == NULL) {
    return;
  }
  *tap = NULL;
  trp_tap_end_record(t);
  if (t->ring != NULL) {
    trp_ring_give(t->ring);
  }
  free(t->frames);
  free(t);
}

bool trp_tap_is_of(const trp_tap_t *tap, trp_recorder_t *recorder) {
  return tap->backlog == (recorder == NULL ? NULL : trp_recorder_backlog(recorder));
}

bool trp_tap_records(const trp_tap_t *tap) {
  return tap->backlog != NULL;
}

void trp_tap_fly(trp_tap_t *tap, trp_flight_t *flight, const trp_start_t *start) {
  if ((tap->ring == NULL ? NULL : trp_ring_flight(tap->ring)) == flight) {
    return;
  }
  if (tap->ring != NULL) {
    trp_ring_give(tap->ring);
  }
  tap->ring = flight == NULL ? NULL : trp_ring_take(flight, start);
  if (tap->clock_ns == 0) {
    tap->clock_ns = trp_inbox_now(tap->inbox); // for what is sent before anything is taken
  }
}

void trp_tap_in(trp_tap_t *tap, const trp_in_t *in) {
  tap->clock_ns = in->received_ns;
  if (tap->ring != NULL) {
    trp_ring_batch(tap->ring, TRP_RECORD_IN, tap->clock_ns, in->batch->sender, in->envelope,
                   in->batch->messages, in->batch->n_messages, in->frames);
  }
  if (record(tap, TRP_RECORD_IN, in->batch->sender, NULL, in->envelope, in->frames,
             in->frame_count)) {
    mark(tap, in);
  }
}

void trp_tap_out(trp_tap_t *tap, const trp_out_t *out) {
  if (tap->ring != NULL) {
    trp_ring_batch(tap->ring, TRP_RECORD_OUT, tap->clock_ns, out->to, out->envelope, out->messages,
                   out->count, out->frames);
  }
  if (tap->backlog == NULL) {
    return;
  }
  trp_frame_t *names = name_frames(tap, out);
  record(tap, names == NULL ? TRP_RECORD_OUT : TRP_RECORD_OUT_NAMING, out->to, names, out->envelope,
         out->frames, out->frame_count);
  trp_frame_release(names);
}

bool trp_tap_begins_late(trp_tap_t *tap) {
  bool begins = tap->begins_late;
  tap->begins_late = false;
  return begins;
}

void trp_tap_call(trp_tap_t *tap, uint32_t call, int64_t value) {
  record_value(tap, TRP_RECORD_CALL, call, value);
}

void trp_tap_end(trp_tap_t *tap, int status) {
  record_value(tap, TRP_RECORD_END, 0, status);
}

/// What tells how the actor began is taken even when the backlog is full.
static int record_start(trp_tap_t *tap, const trp_start_t *start, bool late) {
  trp_frame_t *body = trp_frame_new(trp_start_size(start));
  if (body == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_format_start(trp_frame_fill(body), start);
  size_t cost = TRP_LINE_COST + body->size;
  atomic_fetch_add(&tap->backlog->bytes, cost);
  const trp_line_t line = {.tag = TRP_LINE_TAG,
                           .type = TRP_RECORD_START,
                           .tap = tap->number,
                           .sequence = ++tap->sequence,
                           .clock_ns = tap->clock_ns,
                           .subject = late ? TRP_LINE_LATE : 0};
  int error = hand_over(tap, &line, NULL, body, NULL, 0);
  if (error != 0) {
    atomic_fetch_sub(&tap->backlog->bytes, cost);
  }
  trp_frame_release(body);
  return error;
}

static void record_value(trp_tap_t *tap, trp_record_type_t type, uint64_t subject, int64_t value) {
  uint8_t bytes[TRP_RECORD_VALUE_SIZE];
  if (tap->ring != NULL) {
    trp_ring_value(tap->ring, (uint16_t)type, tap->clock_ns, subject, value);
  }
  if (tap->backlog == NULL) {
    return;
  }
  trp_put_u64(bytes, (uint64_t)value);
  trp_frame_t *body = trp_frame_copy(bytes, sizeof bytes);
  if (body == NULL) {
    tap->sequence++;
    tap->lost_records++;
    tap->lost_bytes += sizeof bytes;
    return;
  }
  record(tap, type, subject, NULL, body, NULL, 0);
  trp_frame_release(body);
}

/// The frames of the record that was handed over last are marked: it has their bytes, as
/// format.h says.
static void mark(const trp_tap_t *tap, const trp_in_t *in) {
  uint64_t at = 4 + 4 * ((uint64_t)in->frame_count + 1) + in->envelope->size;
  for (size_t i = 0; i < in->frame_count && at <= TRP_NAMED_REACH; i++) {
    in->frames[i]->tape = tap->tape;
    in->frames[i]->record = tap->sequence;
    in->frames[i]->record_at = (uint32_t)at;
    at += in->frames[i]->size;
  }
}

/// Where the frames of a batch have come. NULL: they did not, or it is not worth it, or there is no
/// memory to say so.
static trp_frame_t *name_frames(const trp_tap_t *tap, const trp_out_t *out) {
  size_t bytes = 0;
  for (size_t i = 0; i < out->frame_count; i++) {
    bytes += out->frames[i]->tape == tap->tape ? out->frames[i]->size : 0;
  }
  if (bytes < NAMED_LEAST) {
    return NULL;
  }
  trp_frame_t *names = trp_frame_new(out->frame_count * sizeof(trp_name_t));
  for (size_t i = 0; i < out->frame_count && names != NULL; i++) {
    const trp_frame_t *frame = out->frames[i];
    trp_name_t name = {0};
    if (frame->tape == tap->tape) {
      name.record = frame->record;
      name.at = frame->record_at;
    }
    memcpy((uint8_t *)trp_frame_fill(names) + i * sizeof name, &name, sizeof name);
  }
  return names;
}

/// Hands a record over, or counts it as lost and returns false.
static bool record(trp_tap_t *tap, trp_record_type_t type, uint64_t subject, trp_frame_t *names,
                   trp_frame_t *first, trp_frame_t *const *frames, size_t frame_count) {
  if (has_ended(tap)) {
    return false;
  }
  size_t bytes = first->size + (names == NULL ? 0 : names->size);
  for (size_t i = 0; i < frame_count; i++) {
    bytes += frames[i]->size;
  }
  trp_backlog_t *backlog = tap->backlog;
  size_t cost = bytes + TRP_LINE_COST;
  size_t waiting = atomic_fetch_add_explicit(&backlog->bytes, cost, memory_order_relaxed);
  tap->sequence++;
  // Into an empty backlog goes a record of any size.
  bool taken = waiting == 0 ||
               (waiting < backlog->limit_bytes && cost <= backlog->limit_bytes - waiting);
  if (taken && (tap->lost_records == 0 || tell_gap(tap))) {
    trp_line_t line = {.tag = TRP_LINE_TAG,
                       .tap = tap->number,
                       .type = (uint16_t)type,
                       .sequence = tap->sequence,
                       .clock_ns = tap->clock_ns,
                       .subject = subject};
    if (hand_over(tap, &line, names, first, frames, frame_count) == 0) {
      return true;
    }
  }
  atomic_fetch_sub_explicit(&backlog->bytes, cost, memory_order_relaxed);
  tap->lost_records++;
  tap->lost_bytes += bytes;
  return false;
}

/// Says what was lost, in front of what comes next. It counts nothing in the backlog: there is at
/// most one for each record that does.
static bool tell_gap(trp_tap_t *tap) {
  if (tap->lost_records == 0) {
    return true;
  }
  uint8_t bytes[TRP_RECORD_VALUE_SIZE];
  trp_put_u64(bytes, tap->lost_bytes);
  trp_frame_t *body = trp_frame_copy(bytes, sizeof bytes);
  if (body == NULL) {
    return false;
  }
  trp_line_t line = {.tag = TRP_LINE_TAG,
                     .tap = tap->number,
                     .type = TRP_RECORD_GAP,
                     .sequence = tap->sequence,
                     .clock_ns = tap->clock_ns,
                     .subject = tap->lost_records};
  int error = hand_over(tap, &line, NULL, body, NULL, 0);
  trp_frame_release(body);
  if (error != 0) {
    return false;
  }
  tap->lost_records = 0;
  tap->lost_bytes = 0;
  return true;
}

static int hand_over(trp_tap_t *tap, const trp_line_t *line, trp_frame_t *names, trp_frame_t *first,
                     trp_frame_t *const *frames, size_t frame_count) {
  size_t count = frame_count + 3;
  if (count > tap->capacity) {
    trp_frame_t **grown = realloc(tap->frames, 2 * count * sizeof(trp_frame_t *));
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    tap->frames = grown;
    tap->capacity = 2 * count;
  }
  trp_frame_t *head = trp_frame_copy(line, sizeof *line);
  if (head == NULL) {
    return TROUPE_ENOMEM;
  }
  count = 0;
  tap->frames[count++] = head;
  if (names != NULL) {
    tap->frames[count++] = names;
  }
  if (first != NULL) {
    tap->frames[count++] = first;
  }
  for (size_t i = 0; i < frame_count; i++) {
    tap->frames[count++] = frames[i];
  }
  int error = trp_pipes_send_raw(tap->inbox, tap->backlog->recorder, tap->frames, count);
  trp_frame_release(head);
  return error;
}

/// Whether recording has ended under this tap; then the pipe to the recorder is closed, once.
static bool has_ended(trp_tap_t *tap) {
  if (tap->backlog == NULL) {
    return true;
  }
  if (!atomic_load_explicit(&tap->backlog->stopped, memory_order_acquire)) {
    return false;
  }
  trp_inbox_forget(tap->inbox, tap->backlog->recorder);
  return true;
}

void trp_backlog_release(trp_backlog_t *backlog) {
  if (atomic_fetch_sub(&backlog->users, 1) == 1) {
    free(backlog);
  }
}
