/// Private to replay.c and its other files, replay_*.c: what a replay is made of.
#ifndef TRP_REPLAY_STATE_H_INCLUDED
#define TRP_REPLAY_STATE_H_INCLUDED

#include "core/trace/accept.h"
#include "core/trace/compare.h"
#include "core/trace/flows.h"
#include "core/trace/recent.h"
#include "core/trace/replay.h"
#include "core/trace/replay_ids.h"
#include "core/trace/replay_partial.h"
#include "core/trace/whole.h"

/// What one receiver was sent in the recording; of a trace that is not complete what one connection
/// was sent.
typedef struct trp_stream {
  uint64_t to;
  uint64_t connection; // 0: everything
  trp_queue_t waiting;
  trp_in_t open;          // the batch that is compared now
  uint64_t open_sequence; // of its record
  size_t next;            // which of its messages comes next
  uint64_t compared;      // messages so far
} trp_stream_t;

/// Up to which event of a sender has been given out.
typedef struct trp_given {
  uint64_t sender;
  uint64_t sequence;
} trp_given_t;

struct trp_replay {
  trp_inbox_t base;
  const char *path;
  const char *name; // of the file, for people
  troupe_replay_options_t options;
  trp_accept_t *accept; // NULL: it compares. Else nothing is compared, and all that is done is
                        // written
  bool partial;         // the trace is not complete: only connections that are whole
  trp_whole_t whole;    // which they are
  trp_replay_ids_t ids; // of what it makes itself
  bool makes_up;        // what is dispatched now is not in the trace
  trp_map_t servers;    // that messages were about so far
  uint64_t *listens;    // servers whose LISTENING must be made up
  size_t listen_count, listen_capacity;
  trp_flows_t flows; // for TROUPE_VERDICT_STREAM
  trp_reader_t *reader;
  trp_start_t start;
  void *argument;
  troupe_replay_report_t *report;
  trp_text_t text;
  int verdict;   // 0 while all is well
  bool returned; // main has, with this:
  int returned_status;
  bool stopped; // nothing is given or compared any more
  int64_t clock_ns;
  uint64_t sequence;       // of the last record that was read
  uint64_t batch_sequence; // of the record whose batch is dispatched; 0: none yet
  bool read_all;
  int read_result; // what the reader ended with
  uint64_t read_position;
  bool ended; // the recording has main's result
  int64_t status;
  trp_queue_t batches, calls;
  trp_recent_t recent;
  trp_stream_t **streams; // looked through: an actor talks to few
  size_t stream_count, stream_capacity;
  trp_map_t by_connection; // of a partial replay: the same, by connection
  trp_given_t *given;
  size_t given_count, given_capacity;
};

/// replay.c. Reads one record and puts it where it belongs. 1, 0 at the end, or an error that ends
/// the replay.
int trp_replay_read_on(trp_replay_t *replay);
/// False when the next batch that waits came from outside at another time than the one that is
/// dispatched.
bool trp_replay_may_look_ahead(const trp_replay_t *replay);
/// From here on nothing is given, and nothing is compared. Returns what the actor is told.
int trp_replay_stop(trp_replay_t *replay, int verdict);
int trp_replay_explain(trp_replay_t *replay,
                       int error); // why it cannot be replayed; returns `error`

/// replay_compare.c. Of the recording: an OUT record is read; its item is consumed. 0 or an error;
/// TROUPE_EDIFFERS when that is told already.
int trp_replay_expect(trp_replay_t *replay, trp_item_t *item);
/// What the actor sends.
int trp_replay_compare(trp_replay_t *replay, trp_out_t *out);
/// Everything that was recorded before the record `before` must have been done.
int trp_replay_check_all_sent(trp_replay_t *replay, uint64_t before);
int trp_replay_note_given(trp_replay_t *replay, const trp_wire_batch_t *batch);
void trp_replay_free_streams(trp_replay_t *replay);
/// The actor makes a connection that it did not make. Returns what trp_replay_stop() does.
int trp_replay_tell_made(trp_replay_t *replay, const trp_out_t *out, size_t index);
void trp_replay_tell_heading(trp_replay_t *replay);
void trp_replay_tell_cut(trp_replay_t *replay); // no difference, but the recording does not go on
void trp_replay_tell_place(trp_replay_t *replay, trp_cause_t cause);

#endif
