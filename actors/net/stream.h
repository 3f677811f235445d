/// Private. Connected sockets: reading under credit and window, writing at once and queueing the
/// rest by reference, ending, closing, handing on.
#ifndef TRP_STREAM_H_INCLUDED
#define TRP_STREAM_H_INCLUDED

#include "actors/net/context.h"
#include "actors/net/details.h"
#include "actors/net/options.h"
#include "actors/net/stream_states.h"

struct trp_peer;

struct trp_stream {
  trp_subject_t subject;
  trp_net_t *net;
  trp_owner_t *owner;
  trp_handle_t *handle; // NULL before the connection is there, and after it
  trp_stream_state_t state : 8;
  uint8_t wanted; // what the transport shall tell of, as it knows it

  // Why it is not read from. Any of them stops it.
  bool paused : 1;  // the actor said so
  bool held : 1;    // not a byte, and not a look at its state, before the next resume
  bool frozen : 1;  // a hand-off goes on
  bool stopped : 1; // its credit is used up
  bool stalled : 1; // its owner's window is full

  bool grows : 1;       // the credit was used up once: it doubles when the actor has caught up
  bool hangup_seen : 1; // the peer's FIN came while it was not read from
  bool had_error : 1;
  bool timeout_told : 1; // and nothing has moved since
  bool taken : 1;        // another I/O actor accepted it, and wants to know of its end

  uint32_t epoch; // how often it was handed on

  uint64_t credit;    // how much cost may be unconsumed
  uint64_t sent_cost; // of all data events so far
  uint64_t consumed;  // how much of it the actor consumed, as it told
  uint64_t bytes_read;
  uint64_t accepted;   // bytes of all writes so far
  uint64_t written;    // how many of them the kernel took
  trp_writes_t writes; // the rest

  int64_t active_ns;   // when something last moved
  int64_t began_ns;    // since when it connects, or (later) is read from
  int64_t progress_ns; // when the kernel last took something, or had nothing to take
  trp_due_t due;       // the earliest of its timeout and deadlines, or before it
  trp_socket_options_t options;
  uint32_t last_read; // bytes of the last read: the next one is likely to be as large

  const char *made_at; // file and line, among the net's texts, or NULL

  trp_link_t in_owner, in_dirty, in_due, in_stalled;
  trp_connector_t *connector; // while it connects
  trp_member_t *member;       // of the server that accepted it, or NULL
  struct trp_peer *peer;      // the member's count of its address, or NULL
};

/// A socket that connects, in the table and among what `owner` owns. Returns 0, TROUPE_EEXIST or
/// TROUPE_ENOMEM.
int trp_stream_new(trp_net_t *net, trp_owner_t *owner, uint64_t id, trp_stream_t **made);

/// The connection is there: tells it and goes on with what has waited for it. `wanted` is what the
/// transport believes to be wanted.
void trp_stream_connected(trp_stream_t *stream, trp_handle_t *handle, unsigned wanted);

/// The same for an accepted connection, whose EVENT_CONNECTION has been told.
void trp_stream_accepted(trp_stream_t *stream, trp_handle_t *handle);

/// It failed: tells that, closes it.
void trp_stream_fail(trp_stream_t *stream, const trp_failure_t *failure);

/// Closes it without a word.
void trp_stream_drop(trp_stream_t *stream);

/// The transport's `ready`.
void trp_stream_ready(trp_stream_t *stream, unsigned mask);

/// A command for this socket by its owner, of the current epoch.
void trp_stream_execute(trp_stream_t *stream, const trp_command_t *command);

// Commands that make a socket.
void trp_stream_connect(const trp_command_t *command);
void trp_stream_adopt(const trp_command_t *command);

/// For lists of what is open.
void trp_stream_describe(const trp_stream_t *stream, troupe_handle_t *handle);

/// The owner's window has room again.
void trp_stream_unstall(trp_stream_t *stream);

/// Adds an event of this socket. NULL: no memory, which is counted.
trp_message_t *trp_stream_tell(trp_stream_t *stream, Troupe__Wire__Kind kind);

/// The same as trp_stream_fail() for errors without an address.
void trp_stream_fail_with(trp_stream_t *stream, int code, const char *syscall);

/// The actor cannot be told what happened to its socket, for lack of memory: it is closed, and told
/// so as soon as it can be.
void trp_stream_owe_close(trp_stream_t *stream);

/// There is something to write, or something else may be wanted of the transport: looked at when
/// the commands of the batch are executed.
void trp_stream_mark(trp_stream_t *stream);

/// The actor has consumed so much, counted from the start of the socket's life.
void trp_stream_consume(trp_stream_t *stream, uint64_t through);

/// How much cost may still be sent before it does.
uint64_t trp_stream_credit_left(const trp_stream_t *stream);

/// The commands of a batch are all executed: writes what they gave.
void trp_streams_write(trp_net_t *net);

/// The turn ends: tells of writes that somebody waits for and no other event has told, and of
/// closes that there was no memory for.
void trp_streams_flush(trp_net_t *net);

void trp_streams_free(trp_net_t *net);

#endif
