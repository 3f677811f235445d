#include "core/net/server_states.h"

#include <stdbool.h>

#include "core/support/assert.h"

// A pair that is not named is refused: trp_listen_next() finds `known` false.
typedef struct {
  bool known;
  trp_listen_step_t step;
} entry_t;

#define STATE(name) TRP_LISTEN_##name
#define ON(event, next_state, what)                                                                \
  [TRP_LISTEN_##event] = {.known = true, .step = {.next = STATE(next_state), .actions = (what)}}

static const entry_t table[TRP_LISTEN_STATES][TRP_LISTEN_EVENTS] = {
    [STATE(NONE)] =
        {
            ON(LISTEN, STARTING, TRP_LISTEN_SEND_LISTEN),
            ON(CONNECTION, NONE, TRP_LISTEN_TURN_AWAY),
        },
    [STATE(STARTING)] =
        {
            ON(CLOSE, CLOSING, TRP_LISTEN_SEND_CLOSE),
            ON(STARTED, LISTENING, TRP_LISTEN_TELL_LISTENING),
            ON(FAILED, NONE, TRP_LISTEN_TELL_ERROR),
            ON(CONNECTION, STARTING, TRP_LISTEN_TURN_AWAY),
            ON(CLOSED, NONE, TRP_LISTEN_TELL_CLOSE),
        },
    [STATE(LISTENING)] =
        {
            ON(CLOSE, CLOSING, TRP_LISTEN_SEND_CLOSE),
            ON(FAILED, NONE, TRP_LISTEN_TELL_ERROR),
            ON(CONNECTION, LISTENING, TRP_LISTEN_ACCEPT),
            ON(DROPPED, LISTENING, TRP_LISTEN_TELL_DROP),
            ON(PARKED, LISTENING, TRP_LISTEN_TELL_PARKED),
            ON(UNPARKED, LISTENING, TRP_LISTEN_TELL_UNPARKED),
            ON(CLOSED, NONE, TRP_LISTEN_TELL_CLOSE),
        },
    // What the I/O actor had sent before it knew comes to nothing. A listen that failed is not
    // there to be closed: the failure is all of the answer.
    [STATE(CLOSING)] =
        {
            ON(STARTED, CLOSING, 0),
            ON(FAILED, NONE, TRP_LISTEN_TELL_CLOSE),
            ON(CONNECTION, CLOSING, TRP_LISTEN_TURN_AWAY),
            ON(DROPPED, CLOSING, 0),
            ON(PARKED, CLOSING, 0),
            ON(UNPARKED, CLOSING, 0),
            ON(CLOSED, NONE, TRP_LISTEN_TELL_CLOSE),
        },
};

trp_listen_step_t trp_listen_next(trp_listen_state_t state, trp_listen_event_t event) {
  TROUPE_ASSERT(state < TRP_LISTEN_STATES);
  TROUPE_ASSERT(event < TRP_LISTEN_EVENTS);
  const entry_t *entry = &table[state][event];
  if (!entry->known) {
    return (trp_listen_step_t){.next = state, .actions = TRP_LISTEN_REFUSE};
  }
  return entry->step;
}
