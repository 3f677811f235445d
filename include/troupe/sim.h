/// Simulation: unmodified actors over a network in memory, on virtual time, one thread at a time, in
/// an order that a seed decides. What goes wrong with a seed goes wrong with it again.
#ifndef TROUPE_SIM_H_INCLUDED
#define TROUPE_SIM_H_INCLUDED

#include <troupe/actor.h>
#include <troupe/address.h>
#include <troupe/trace_file.h>

TROUPE_BEGIN

/// What can happen to a run. For each seed every kind is either off or has a probability of its own.
///
/// X(NAME, bit, words, what happens, how often at the most in a million chances)
#define TROUPE_FAULTS(X)                                                                           \
  X(DELAY, 0, "delays", "a segment takes up to a second", 200000)                                  \
  X(BANDWIDTH, 1, "slow lines", "a connection carries a few kilobytes a second", 500000)           \
  X(SEGMENTS, 2, "small segments", "what was written at once arrives in pieces", 900000)           \
  X(SHORT_IO, 3, "short reads and writes", "the kernel takes or gives less than it could", 500000) \
  X(SMALL_BUFFERS, 4, "small buffers", "a connection holds little, so its reader is slow", 500000) \
  X(RESET, 5, "resets", "a connection breaks, with what is on its way and unread", 20000)          \
  X(REFUSE, 6, "refused connects", "nobody listens, for this attempt", 200000)                     \
  X(BLACK_HOLE, 7, "black holes", "nobody answers this attempt to connect", 100000)                \
  X(LOOKUP_FAILS, 8, "failed look-ups", "a name is not found, or not now", 300000)                 \
  X(LOOKUP_DELAY, 9, "slow look-ups", "a name takes up to ten seconds", 500000)                    \
  X(BURST, 10, "bursts", "connections arrive late, and all at once", 300000)                       \
  X(DESCRIPTORS, 11, "descriptors run out", "none is free for up to half a second", 50000)         \
  X(SLOW_ACTOR, 12, "slow actors", "an actor does nothing for up to half a second", 50000)         \
  X(DEAD_ACTOR, 13, "dying actors", "an actor's troupe_actor_run() fails with TROUPE_ECANCELED",   \
    2000)

typedef enum troupe_fault {
#define TROUPE_FAULT_ENUM(name, bit, words, what, most) TROUPE_FAULT_##name = 1 << (bit),
  TROUPE_FAULTS(TROUPE_FAULT_ENUM)
#undef TROUPE_FAULT_ENUM
  /// No fault at all: the order of things is the seed's nevertheless.
  TROUPE_FAULT_NONE = 1 << 30,
} troupe_fault_t;

/// A name that look-ups find in the simulated world. "localhost" is there without being named, with
/// ::1 and 127.0.0.1.
typedef struct troupe_sim_host {
  const char *name;
  const char *addresses; ///< IP literals, separated by spaces
} troupe_sim_host_t;

/// Begins a run: makes anew all that the run will change, and spawns its first actors in `system`,
/// which is a simulated one: everything that takes a system takes it. No fault happens before it
/// returns. Below 0: the run fails.
typedef int (*troupe_sim_fn)(troupe_system_t *system, void *context);

/// The other end of a connection in a recording that goes on.
typedef struct troupe_sim_peer {
  uint64_t socket;          ///< the actor's socket, as traces name it
  troupe_address_t address; ///< the peer's own
  uint64_t heard;           ///< bytes before those that it is told now
  bool over;                ///< its connection is: nothing comes after this
  bool clean;               ///< with `over`: both sides have ended it, and all has come
  void *data;               ///< yours; NULL at first
} troupe_sim_peer_t;

/// A peer hears bytes: in order, each once, from the beginning of its connection on, also what it had
/// heard in the recording already (of a connection that was handed to the actor: from there on, with
/// `heard` counting from the beginning). The last call for each peer has no bytes and `over` set. Below 0:
/// the run fails. It calls nothing of the library.
///
/// Ownership: `bytes` is borrowed until it returns.
typedef int (*troupe_sim_heard_fn)(troupe_sim_peer_t *peer, const void *bytes, size_t length,
                                   void *context);

/// A recording that a run goes on from. Its actor is replayed up to an event, on the trace's clock,
/// as troupe_replay() does, but what it sends is compared with nothing. From there on it lives in
/// the simulated world, with what it has and knows: its servers listen, its connections are open,
/// what it wrote and was not told to be with the kernel is written again, and commands that were not
/// answered are carried out.
///
/// At the other end of each connection is a peer that goes on to say what it said in the recording:
/// the same bytes, at the same times, then its end or its reset, over a network with the faults of
/// the seed. Those that came behind the event connect when they came, from the same address. One
/// whose end is not in the recording ends its side when that ends. None of them comes again when its
/// connection breaks or is refused.
///
/// Nothing else of the recorded world is there. Other actors have ended, as the actor is told of
/// those that it watched or sent to. What it connects to behind the event must be there in the
/// simulated world: actors that `start` spawns. Descriptors are not there.
///
/// Right when zeroed, but for `path` and `main`.
typedef struct troupe_sim_recording {
  const char *path;    ///< borrowed; a trace that is complete, with one to 16 I/O actors
  troupe_main_fn main; ///< of the actor that was recorded
  void *argument;      ///< as of troupe_replay(); NULL: the trace's copy, if it has one
  /// So many events are replayed: the lines with "<-" of `troupe trace dump`, which troupe_replay()
  /// counts, too. 0: none, unless there is `until`. With more than the trace has, all; where the actor has
  /// ended before so many, nothing is left to go on, and the run fails. A socket's close that an event brings
  /// about at once is not cut off from it.
  uint64_t events;
  /// True: the actor is replayed no further than to before this event. NULL: `events` alone decides.
  bool (*until)(const troupe_trace_entry_t *event, void *context);
  bool in_turn; ///< each peer says what it says only when it has heard as many bytes as in the
                ///< recording: as a client of a protocol of questions and answers. It fails the run
                ///< when it waits for ever
  troupe_sim_heard_fn heard; ///< NULL: nobody looks at what peers hear
  void *context;             ///< of these two functions
} troupe_sim_recording_t;

/// How a run goes. Right when zeroed.
typedef struct troupe_sim_options {
  unsigned io_threads;  ///< I/O actors; 0 means 1; with a recording it has as many as that had
  uint32_t faults;      ///< which may happen, as bits; 0: all of them but dying actors
  uint64_t fault_limit; ///< only so many happen, the first ones; 0: no limit
  unsigned fault_ms;    ///< virtual time in which they happen, then all heals; 0: 2000, or with a
                        ///< recording as long as that goes on, if it is longer
  unsigned heal_ms;     ///< virtual time in which all work must end after that; 0: 600000
  unsigned grace_ms;    ///< given to the actors that are stopped when the work is done; 0: 1000
  const troupe_sim_host_t *hosts; ///< borrowed until the call returns
  size_t host_count;
  const char *trace_directory; ///< where a run that fails is recorded; NULL: nowhere
  /// Called when all actors have ended, to look at what they did. Below 0: the run fails. `system`
  /// is NULL.
  troupe_sim_fn finish;
  const troupe_sim_recording_t *recording; ///< borrowed until the call returns; to be gone on from.
                                           ///< NULL: the run begins with nothing
  bool keep_faults;                        ///< do not look for fewer faults that make the run fail
} troupe_sim_options_t;

/// What a run came to.
typedef struct troupe_sim_report {
  uint64_t seed;
  uint64_t steps;         ///< in which one thread ran
  uint64_t faults;        ///< that happened
  uint64_t connections;   ///< that came about
  int64_t virtual_ms;     ///< that passed
  uint32_t faults_needed; ///< of a run that failed: the kinds without which it does not, as bits
  uint64_t fault_limit_needed; ///< and how many of them are enough; 0: not looked for
  char text[4096];             ///< of a run that failed: why, with which faults, and what came last
} troupe_sim_report_t;

/// Runs once: `start`, then a time with faults, then one without, until all work has ended; then the
/// actors that are left are stopped. A run fails when
/// - an actor whose end is awaited (troupe_sim_await(); all, when none is named) returns below 0,
///   unless a fault killed it, or does not end in time, or nothing more can happen and it has not;
/// - an actor does not end when it is stopped, or something it opened is left;
/// - a socket has more than one final event, or an event after it; bytes arrive that were not
///   written, twice, in another order, at another socket, or not all although both sides closed
///   cleanly; more waits for an actor than flow control allows, or a write is acknowledged that the
///   network has not taken;
/// - `start` or `finish` says so.
/// A run that fails is then tried with fewer faults, and the fewest with which it fails are told.
///
/// With a recording its actor comes to its event before `start` is called, which may be NULL then; it
/// goes on, and faults and peers begin, behind that. The run's work is that of the peers, whose connections must
/// all end in time, and of the actors that are named. It fails, too, when the recorded actor returns
/// below 0, or ends before it comes to its event, or makes another call there than was recorded.
///
/// Actors may do all that they do in a real system, but wait for anything outside of troupe: no
/// locks that another actor holds, no sleeping, no clock but troupe_now(), no chance but
/// troupe_random(). The current thread is bound to one processor until the call returns.
///
/// Ownership: `options` (NULL: defaults) and `context` are borrowed until the call returns; `report`
///            is filled, NULL is fine.
/// Thread:    any that is no actor. Several may run at the same time, each in a thread of its own.
/// Blocks:    until it is over.
/// Returns:   0, or
///            TROUPE_EUNSOUND         it failed; `report->text` says why,
///            TROUPE_EINVAL           an option is out of range, or `start` is NULL without a recording,
///            TROUPE_EWRONGTHREAD     called by an actor,
///            TROUPE_EINCOMPLETE      the recording is not complete,
///            TROUPE_EBADTRACE, TROUPE_ETRACEVERSION, TROUPE_ENOENT, TROUPE_EACCES, …   it cannot be
///                read; `report->text` says why,
///            TROUPE_ENOMEM, TROUPE_EAGAIN   no memory or no thread for it.
TROUPE_API int troupe_sim_run(const troupe_sim_options_t *options, uint64_t seed,
                              troupe_sim_fn start, void *context, troupe_sim_report_t *report);

/// Names an actor whose end the run waits for: one that does work, not one that serves until it is
/// stopped.
///
/// Thread:    of `start`.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL     `system` is no simulated one,
///            TROUPE_ENOACTOR   there is no such actor,
///            TROUPE_ENOMEM     there is no memory.
TROUPE_API int troupe_sim_await(troupe_system_t *system, troupe_actor_t actor);

TROUPE_END

#endif
