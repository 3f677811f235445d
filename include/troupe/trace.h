/// Traces: what crosses an actor's inbox, recorded, and replayed without a socket.
#ifndef TROUPE_TRACE_H_INCLUDED
#define TROUPE_TRACE_H_INCLUDED

#include <troupe/actor.h>

TROUPE_BEGIN

/// Whose payload it is that is about to be written.
typedef struct troupe_redact {
  uint64_t actor;   ///< that is recorded
  uint64_t subject; ///< the connection, or for a message between actors 0 or the receiver
  bool is_event;    ///< it came; else it was sent
  bool is_message;  ///< between actors
} troupe_redact_t;

/// Changes what must not stand in a file, in place: the length stays, and a hash of what it was is
/// written beside it. Called in the recorder's thread, for each payload; it may be slow, and calls
/// nothing of the library.
///
/// Ownership: all is borrowed until it returns.
typedef void (*troupe_redact_fn)(const troupe_redact_t *what, void *bytes, size_t length,
                                 void *context);

/// What is recorded, and where. Right when zeroed, but for `directory`.
typedef struct troupe_record_options {
  const char *directory;    ///< borrowed; made if it is missing. One file for each actor:
                            ///< NAME-INDEX.trace, of the second with the same name and index
                            ///< NAME-INDEX.2.trace and so on. Those that an earlier recording has
                            ///< left under these names are replaced
  const char *const *names; ///< borrowed; the actors' names, ended by NULL. NULL: all actors
  size_t backlog_bytes; ///< how much may wait to be written before a gap is recorded instead; 0: 64
                        ///< MiB
  bool running;        ///< actors that run already, too. Their traces begin in the middle: those of
                       ///< their connections that begin later can be replayed
  uint64_t connection; ///< the id of the one connection to record, its socket's or one that
                       ///< troupe_id_parse() read; 0: all
  unsigned
      one_connection_in;   ///< N: one of N connections, chosen by its id; 0 and 1: all. With these
                           ///< two goes what an actor connects to because of what came on a
                           ///< connection that is recorded: of a proxy both sides or none
  bool cut_payloads;       ///< of each payload only the first `payload_bytes`, its length and hash
  size_t payload_bytes;    ///< with cut_payloads
  troupe_redact_fn redact; ///< NULL: payloads are written as they are
  void *redact_context;
  uint64_t file_bytes; ///< a file is ended when it has so many bytes; 0: never
  unsigned file_ms;    ///< and when its actor has run so long since it was begun; 0: never
  unsigned files;      ///< what comes then: 0: recording of the actor ends. Else another file,
                       ///< NAME-INDEX.partN.trace with N from 2; so many, the last ones, are kept
} troupe_record_options_t;

/// Starts to record: actors that are spawned from here on, whose traces begin with them, so that all
/// of them can be replayed; with `running` the others, too. The recorder is a thread of its own; a
/// slow disk slows no actor. When something is wrong with a file (the disk is full, it was deleted)
/// recording of its actor stops, the actor goes on and is told: troupe_actor_on_recording_stopped().
///
/// Ownership: `options` is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    until the directory is there.
/// Returns:   0, or
///            TROUPE_EINVAL            no system or no directory,
///            TROUPE_EALREADY          the system records already,
///            TROUPE_ENOENT, TROUPE_EACCES, TROUPE_ENOTDIR, …   the directory cannot be made or
///                written to,
///            TROUPE_EAGAIN, TROUPE_ENOMEM, TROUPE_EMFILE   no thread, memory or descriptors for
///                it.
TROUPE_API int troupe_record_start(troupe_system_t *system, const troupe_record_options_t *options);

/// What a recorder did.
typedef struct troupe_record_report {
  uint64_t actors;  ///< traces begun; each part of one that was rotated counts
  uint64_t records; ///< written
  uint64_t bytes;   ///< written
  uint64_t gaps;    ///< how often the backlog was full and something is missing
  int error;        ///< the first error of writing, 0 for none; recording went on without that file
                    ///< (what could not be written is in none of these numbers)
} troupe_record_report_t;

/// Ends recording. Actors that still run go on; their traces end here, and replay up to here.
/// Freeing the system does this too.
///
/// Ownership: `report` is the caller's; NULL is fine.
/// Thread:    any.
/// Blocks:    until all is written.
/// Returns:   0, TROUPE_ESTALE: the system does not record, or TROUPE_EINVAL: no system.
TROUPE_API int troupe_record_stop(troupe_system_t *system, troupe_record_report_t *report);

/// A flight recorder's file. Right when zeroed, but for `path`.
typedef struct troupe_flight_options {
  const char *path;     ///< borrowed; a file of an earlier run is replaced
  size_t size_bytes;    ///< of the file, which never changes; 0: 16 MiB
  unsigned threads;     ///< actors at a time, among which it is divided, and the I/O actors; more
                        ///< are not in it. 0: 64
  size_t payload_bytes; ///< of each payload; 0: 64
} troupe_flight_options_t;

/// Starts the flight recorder: each actor, those that run already too, and each I/O actor (they are
/// called "io") writes the last of what crosses its inbox into a part of one file that is mapped into
/// memory. There is no thread, no
/// system call and no disk to wait for; after a crash or a SIGKILL the file has the last moments of
/// all, which `troupe trace dump` shows in their order. It goes together with recording. Nobody may
/// make the file shorter while the system lives.
///
/// Ownership: `options` is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    until the file is there, whole, and the I/O actors write to it.
/// Returns:   0, or
///            TROUPE_EINVAL     no system or no path, or less than 8 KiB for each of the threads,
///            TROUPE_EALREADY   it is on,
///            TROUPE_ENOSPC, TROUPE_ENOENT, TROUPE_EACCES, TROUPE_ENOMEM, …   the file cannot be made.
TROUPE_API int troupe_flight_start(troupe_system_t *system, const troupe_flight_options_t *options);

/// Ends it; the file stays. Freeing the system does this, too.
///
/// Thread:    any.
/// Blocks:    until the I/O actors have let go of it.
/// Returns:   0, TROUPE_ESTALE: it is not on, or TROUPE_EINVAL: no system.
TROUPE_API int troupe_flight_stop(troupe_system_t *system);

/// Called in an actor when recording of it has stopped because of an error: TROUPE_ENOSPC,
/// TROUPE_EFBIG, TROUPE_EIO, TROUPE_ENOENT (the file was deleted), … Replaces the earlier one; NULL
/// for none.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_actor_on_recording_stopped(void (*on_stopped)(int error, void *context),
                                                 void *context);

/// What is compared in a replay.
typedef enum troupe_verdict {
  TROUPE_VERDICT_EXACT = 0,  ///< every command, in its order for each receiver; where batches end
                             ///< plays no part
  TROUPE_VERDICT_STREAM = 1, ///< of each connection the bytes that it was sent and how it ended,
                             ///< whatever the pieces; messages to other actors
} troupe_verdict_t;

/// How to replay. Right when zeroed.
typedef struct troupe_replay_options {
  troupe_verdict_t verdict;
  const char *const *ignore; ///< borrowed; names of fields that are not compared, ended by NULL:
      ///< "through", "payload", "timeout_ms" … as differences and dumps name
      ///< them. NULL: none
  const char *accept; ///< borrowed; when something differs, the trace with what the actor does now
                      ///< is written there, and the result is 0: the new truth. It may be the trace
                      ///< itself. NULL: nothing is written
  bool twice;         ///< replay twice more, and say so when the actor does not do the same both
                      ///< times: it reads a clock, or shares something with others
} troupe_replay_options_t;

/// How a replay went.
typedef struct troupe_replay_report {
  uint64_t events;   ///< events that were dispatched
  uint64_t commands; ///< commands that were compared
  int status;        ///< what main returned
  uint64_t
      connections;   ///< of a trace that is not complete: those that are whole, and were replayed
  uint64_t left_out; ///< and those that are not
  bool accepted;     ///< the new truth was written
  bool not_deterministic; ///< replayed twice, it did different things
  char
      text[4096]; ///< in words: what differs first, and where; or why the trace cannot be replayed;
                  ///< or what of it was
} troupe_replay_report_t;

/// Runs an actor's main function on a trace, in this thread, without sockets and on the trace's
/// clock, and compares what it does with what it did. Not in an actor's thread. In a debugger it is
/// one thread that never waits.
///
/// Of a trace that is not complete (recording began late, chose connections, or lost something) the
/// connections that are whole are replayed: those that began while it was recorded (accepted, handed
/// over, or made by the actor itself), of which nothing is missing, and on which nothing acts that is
/// left out: of a proxy both sides or none. What is about others is left out, and the text says which
/// were taken. What the actor remembers of those that are left out is not there; and where it draws
/// from troupe_random() for them, too, it gets other numbers than it got.
///
/// Ownership: everything is borrowed until the call returns. `argument` as it was given to
/// troupe_spawn() (NULL with `argument_size` set there: the trace's
///            own copy of it is used). `report` may be NULL.
/// Thread:    any that is no actor.
/// Blocks:    until the trace ends, or the first difference.
/// Returns:   0: it did the same, or
///            TROUPE_EDIFFERS         it did not; `report->text` says what,
///            TROUPE_EINCOMPLETE      the trace does not begin with the actor, or has a gap, and no
///                connection in it is whole,
///            TROUPE_EBADTRACE        the file is no trace, or is damaged: up to there it did the
///                same. (One that is cut off in the middle of a record is replayed up to there.)
///            TROUPE_ETRACEVERSION    it was written by a later version,
///            TROUPE_EWRONGTHREAD     called in an actor,
///            TROUPE_ENOENT, TROUPE_EACCES, TROUPE_EIO, TROUPE_ENOMEM, …   it cannot be read.
TROUPE_API int troupe_replay(troupe_main_fn main, void *argument, const char *path,
                             troupe_replay_report_t *report);

/// The same with options. Main is called as often as is needed for them, each time with `argument`.
///
/// Ownership: as troupe_replay(); `options` is borrowed, NULL: defaults.
/// Thread:    any that is no actor.
/// Blocks:    until the trace ends, or the first difference.
/// Returns:   as troupe_replay(); or
///            TROUPE_EINVAL       there is no field of a name in `ignore`; or no main or path,
///            TROUPE_EDIFFERS     with `twice`, too, when the actor is not deterministic,
///            TROUPE_EINCOMPLETE  with `accept`, too, when the trace is not complete,
///            TROUPE_ENOSPC, TROUPE_EACCES, …   the new truth cannot be written.
TROUPE_API int troupe_replay_with(troupe_main_fn main, void *argument, const char *path,
                                  const troupe_replay_options_t *options,
                                  troupe_replay_report_t *report);

TROUPE_END

#endif
