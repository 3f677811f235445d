/// Private. The second seam: how an actor receives, sends and knows the time. Three backends:
/// ZeroMQ (pipes.c), a trace (core/trace/replay), and the simulator's scheduler. Nothing else in
/// core calls ZeroMQ or a clock.
#ifndef TRP_INBOX_H_INCLUDED
#define TRP_INBOX_H_INCLUDED

#include "core/message/batch.h"

#define TRP_FOREVER INT64_MAX

typedef struct trp_inbox trp_inbox_t;

typedef struct trp_inbox_ops {
  /// Waits for the next batch until `deadline_ns` (of the clock that `now` reads; 0: does not wait;
  /// TRP_FOREVER). Returns 1 with `in` opened, 0 when the time is over, TROUPE_EBADMESSAGE for one
  /// that could not be read (it is gone, go on), or another error. `in` was reset before.
  int (*receive)(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in);
  /// Sends the batch and resets it; never waits. Returns 0, or an error: TROUPE_ENOMEM,
  /// TROUPE_EMFILE (no pipe could be made); the batch is still whole then.
  int (*send)(trp_inbox_t *inbox, trp_out_t *out);
  /// Whether a batch has come; if none has, looks for one for a moment, while that pays
  /// (core/support/spin.h), and never beyond `deadline_ns`. NULL: this inbox does not look.
  bool (*look)(trp_inbox_t *inbox, int64_t deadline_ns);
  /// Monotonic, in nanoseconds.
  int64_t (*now)(trp_inbox_t *inbox);
  /// Makes the pipe to an actor if there is none yet. 0 or an error. NULL: none is needed.
  int (*reach)(trp_inbox_t *inbox, uint64_t to);
  /// Whether somebody has an inbox for that actor: false once it has ended. NULL: it is taken for
  /// granted.
  bool (*knows)(trp_inbox_t *inbox, uint64_t to);
  /// From here on no pipe to this inbox is made; those that are there stay. Before the actor's last
  /// words: who has heard them finds that it is not there any more. NULL: nothing to do.
  void (*hide)(trp_inbox_t *inbox);
  /// Closes the pipe to an actor, if there is one. NULL: there are none.
  void (*forget)(trp_inbox_t *inbox, uint64_t to);
  void (*close)(trp_inbox_t *inbox);
  /// The result of a synchronous call (core/trace/calls.h) as the trace has it: 1 with `*value`, or
  /// an error. NULL: this inbox is no trace; the call is made.
  int (*recall)(trp_inbox_t *inbox, uint32_t call, int64_t *value);
} trp_inbox_ops_t;

struct trp_inbox {
  const trp_inbox_ops_t *ops;
};

static inline int trp_inbox_receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  return inbox->ops->receive(inbox, deadline_ns, in);
}
static inline int trp_inbox_send(trp_inbox_t *inbox, trp_out_t *out) {
  return inbox->ops->send(inbox, out);
}
static inline bool trp_inbox_look(trp_inbox_t *inbox, int64_t deadline_ns) {
  return inbox->ops->look != NULL && inbox->ops->look(inbox, deadline_ns);
}
static inline int64_t trp_inbox_now(trp_inbox_t *inbox) {
  return inbox->ops->now(inbox);
}
static inline int trp_inbox_reach(trp_inbox_t *inbox, uint64_t to) {
  return inbox->ops->reach == NULL ? 0 : inbox->ops->reach(inbox, to);
}
static inline bool trp_inbox_knows(trp_inbox_t *inbox, uint64_t to) {
  return inbox->ops->knows == NULL || inbox->ops->knows(inbox, to);
}
static inline void trp_inbox_hide(trp_inbox_t *inbox) {
  if (inbox->ops->hide != NULL) {
    inbox->ops->hide(inbox);
  }
}
static inline void trp_inbox_forget(trp_inbox_t *inbox, uint64_t to) {
  if (inbox->ops->forget != NULL) {
    inbox->ops->forget(inbox, to);
  }
}
static inline void trp_inbox_close(trp_inbox_t *inbox) {
  inbox->ops->close(inbox);
}

#endif
