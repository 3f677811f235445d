/// Private. Batches: what travels over a pipe at once. `trp_out_t` is one being filled, `trp_in_t`
/// one that came.
#ifndef TRP_BATCH_H_INCLUDED
#define TRP_BATCH_H_INCLUDED

#include <stdbool.h>

#include "core/message/arena.h"
#include "core/message/frame.h"
#include "core/message/pool.h"
#include "core/message/wire.h"

/// The messages of a batch from `begin` on, up to the next run's, were made after this event.
typedef struct trp_cause_run {
  size_t begin;
  uint64_t sender, sequence;
} trp_cause_run_t;

/// What is collected for one receiver. Reused from batch to batch; belongs to one thread.
typedef struct trp_out {
  uint64_t to;
  uint64_t sender;
  uint64_t next_sequence; // of the next batch's first message
  uint64_t cause_sender;  // set by the filler before the first message
  uint64_t cause_sequence;
  trp_cause_run_t *runs; // of what trp_out_note_cause() noted
  size_t run_count, run_capacity;
  uint64_t window;
  uint64_t window_told; // what the receiver knows of it
  uint64_t serial;      // which batch this is, over all of the thread
  trp_pool_t *pool;
  trp_arena_t arena;
  trp_message_t **messages;
  size_t count, capacity;
  trp_frame_t **frames; // frames[i] is frame i + 1; NULL while it is the open region
  size_t frame_count, frame_capacity;
  trp_block_t *block; // the open region: its bytes from region_start to block->used are frame
                      // `region_index` + 1
  uint32_t region_start, region_index;
  bool region_open;
  trp_frame_t *envelope; // after trp_out_pack()
} trp_out_t;

void trp_out_init(trp_out_t *out, uint64_t sender, uint64_t to, trp_pool_t *pool);
void trp_out_free(trp_out_t *out);
static inline bool trp_out_empty(const trp_out_t *out) {
  return out->count == 0;
}

/// Appends a message (kind and subject set, everything else zero). NULL: no memory; nothing is
/// appended.
trp_message_t *trp_out_add(trp_out_t *out, Troupe__Wire__Kind kind, uint64_t subject);

/// Says after which event the message is made that is added next, so that it is in the batch for each
/// of them. Where there is no memory for that, or it begins behind the first message, it is not in
/// the batch.
void trp_out_note_cause(trp_out_t *out, uint64_t sender, uint64_t sequence);

/// Takes the last message back.
void trp_out_undo(trp_out_t *out);

/// Memory that lives as long as the batch, zeroed. For details, which start with the INIT of their
/// type. NULL: no memory.
void *trp_out_take(trp_out_t *out, size_t size);
char *trp_out_text(trp_out_t *out, const char *text); // a copy; NULL gives ""; returns NULL: no
                                                      // memory

/// Memory to read into: at least `minimum` (at most TRP_READ_SIZE) bytes, `*room` says how many.
/// NULL: no memory.
uint8_t *trp_out_reserve(trp_out_t *out, size_t minimum, size_t *room);

/// The first `length` reserved bytes become the message's payload.
int trp_out_commit(trp_out_t *out, trp_message_t *message, uint32_t length);

/// The message's payload is a copy of `bytes`, or a part of a frame, by reference. Returns 0,
/// TROUPE_ENOMEM, or TROUPE_EINVAL: more than 4 GiB.
int trp_out_copy(trp_out_t *out, trp_message_t *message, const void *bytes, size_t length);
int trp_out_attach(trp_out_t *out, trp_message_t *message, trp_frame_t *frame, uint32_t offset,
                   uint32_t length);

/// Closes the region, and packs all messages into `envelope`. Called by the inbox. Returns 0 or
/// TROUPE_ENOMEM (then it can be tried again).
int trp_out_pack(trp_out_t *out);

/// Empties it for the next batch; sequence numbers go on.
void trp_out_reset(trp_out_t *out);

/// The serial of the last batch that this thread began. Frames know by it in which batch they are, so
/// where threads take turns at filling the same batches, as in a simulated world, it goes along.
uint64_t trp_out_last_serial(void);
void trp_out_set_last_serial(uint64_t serial);

/// A batch that came: decoded and checked, so that every payload lies within its frame.
typedef struct trp_in {
  trp_frame_t *envelope;
  trp_frame_t **frames; // frames[i] is frame i + 1
  size_t frame_count, frame_capacity;
  trp_arena_t arena;
  trp_wire_batch_t *batch; // in the arena; NULL when nothing is in it
  int64_t received_ns;     // the clock's value that troupe_now() shows while it is dispatched
} trp_in_t;

void trp_in_init(trp_in_t *in);
void trp_in_free(trp_in_t *in);
void trp_in_reset(trp_in_t *in);

/// Adds a frame (consumed) to an empty or half-filled batch: the first is the envelope. Returns 0
/// or TROUPE_ENOMEM.
int trp_in_push(trp_in_t *in, trp_frame_t *frame);

/// Decodes and checks. Returns 0, TROUPE_EBADMESSAGE or TROUPE_ENOMEM; `batch` is NULL then.
int trp_in_open(trp_in_t *in);

/// The payload's bytes; NULL without one.
static inline const uint8_t *trp_in_payload(const trp_in_t *in, const trp_message_t *message) {
  return message->frame == 0 ? NULL : in->frames[message->frame - 1]->bytes + message->offset;
}

static inline trp_frame_t *trp_in_frame(const trp_in_t *in, const trp_message_t *message) {
  return message->frame == 0 ? NULL : in->frames[message->frame - 1];
}

#endif
