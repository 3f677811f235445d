/// Private. Many deadlines over the one timer of a transport.
///
/// The transport's timer is set at the end of a turn, and only when the earliest deadline came
/// nearer: a deadline that moves away is noticed when its old time has come, so that a busy socket
/// with an idle timeout costs nothing.
#ifndef TRP_TIMERS_H_INCLUDED
#define TRP_TIMERS_H_INCLUDED

#include "actors/net/transport.h"
#include "core/support/heap.h"

/// One deadline; it lies inside what waits for it. Zeroed but for `run`, it is not set.
typedef struct trp_due {
  trp_heap_node_t node;
  void (*run)(struct trp_due *due); // called once when the time has come; may set it again or free
                                    // it
} trp_due_t;

typedef struct trp_timers {
  trp_heap_t heap;
  trp_transport_t *transport;
  int64_t armed_ns; // what the transport's timer is set to
  int64_t floor_ns; // while some are run: what is set to an earlier time waits for the next turn
} trp_timers_t;

void trp_timers_init(trp_timers_t *timers, trp_transport_t *transport);
void trp_timers_free(trp_timers_t *timers);

/// Sets a deadline, or another one; TRP_NEVER: none. Returns 0, or TROUPE_ENOMEM (only if it was
/// not set).
int trp_timers_set(trp_timers_t *timers, trp_due_t *due, int64_t deadline_ns);

/// The same, but leaves an earlier deadline as it is: who is run then must look whether its time
/// has come.
int trp_timers_set_by(trp_timers_t *timers, trp_due_t *due, int64_t deadline_ns);

void trp_timers_remove(trp_timers_t *timers, trp_due_t *due);

/// The transport's timer went off: runs what is due.
void trp_timers_run(trp_timers_t *timers, int64_t now_ns);

/// The turn ends: sets the transport's timer.
void trp_timers_arm(trp_timers_t *timers);

#endif
