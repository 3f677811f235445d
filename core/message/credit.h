/// Private. The numbers of flow control, which both sides must agree on.
#ifndef TRP_CREDIT_H_INCLUDED
#define TRP_CREDIT_H_INCLUDED

#include <stdint.h>

enum {
  /// What a data event costs beside its bytes: its place in the batch on both sides.
  TRP_EVENT_COST = 64,
  /// One read takes this much at the most.
  TRP_READ_SIZE = 64 * 1024,
  /// A socket may have this much cost unconsumed at first, and doubles it up to the maximum when
  /// the actor keeps up.
  TRP_SOCKET_CREDIT = 64 * 1024,
  TRP_SOCKET_CREDIT_MAX = 1024 * 1024,
  /// With less than this left no read is made: a trickle of tiny reads would cost more than the
  /// wait.
  TRP_READ_MINIMUM = 4 * 1024,
  /// An actor tells what it consumed of a socket when no command carried it along for this long.
  TRP_CREDIT_STEP = 32 * 1024,
  /// All data events of one actor that have not left its inbox.
  TRP_ACTOR_WINDOW = 16 * 1024 * 1024,
  TRP_WINDOW_STEP = 1024 * 1024,
  /// Connections dealt to a server that its actor has not dispatched.
  TRP_ACCEPT_CREDIT = 128,
  TRP_ACCEPT_STEP = 32,
  /// Messages from one actor to another that it has not dispatched.
  TRP_MESSAGE_CREDIT = 1024,
  TRP_MESSAGE_STEP = 256,
};

/// The cost of a data event with so many bytes.
static inline uint64_t trp_data_cost(uint32_t length) {
  return (uint64_t)length + TRP_EVENT_COST;
}

#endif
