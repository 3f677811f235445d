#include "core/net/give_states.h"

#include <stdbool.h>

#include "core/support/assert.h"

#define STATE(name) TRP_GIVE_##name

enum { NOTHING = 0 };

// A pair that is not named is refused: trp_give_next() finds `known` false.
typedef struct {
  bool known;
  trp_give_step_t step;
} entry_t;

#define ON(event, next_state, what)                                                                \
  [TRP_GIVE_##event] = {.known = true, .step = {.next = STATE(next_state), .actions = (what)}}

static const entry_t table[TRP_GIVE_STATES][TRP_GIVE_EVENTS] = {
    [STATE(NONE)] =
        {
            ON(BEGIN, FREEZING, TRP_GIVE_SEND_FREEZE),
        },
    [STATE(FREEZING)] =
        {
            ON(DESTROY, FREEZING_LOST, NOTHING),
            ON(FROZEN, SENT, TRP_GIVE_SEND_GIVE),
            ON(ACCEPTED, GIVEN, TRP_GIVE_TELL_GIVEN), // there were none
            ON(REFUSED, NONE, TRP_GIVE_TELL_FAILED),
            ON(OVER, NONE, TRP_GIVE_TELL_FAILED),
        },
    [STATE(FREEZING_LOST)] =
        {
            ON(DESTROY, FREEZING_LOST, NOTHING),
            ON(FROZEN, NONE, TRP_GIVE_DESTROY_NOW),
            ON(ACCEPTED, GIVEN, TRP_GIVE_TELL_GIVEN),
            ON(REFUSED, NONE, TRP_GIVE_DESTROY_NOW),
            ON(OVER, NONE, TRP_GIVE_DESTROY_NOW),
        },
    [STATE(SENT)] =
        {
            ON(DESTROY, SENT_LOST, NOTHING),
            ON(ACCEPTED, GIVEN, TRP_GIVE_TELL_GIVEN),
            ON(REFUSED, NONE, TRP_GIVE_TELL_FAILED),
            ON(OVER, NONE, TRP_GIVE_TELL_FAILED),
        },
    // Too late if it is accepted: the socket lives, but not here.
    [STATE(SENT_LOST)] =
        {
            ON(DESTROY, SENT_LOST, NOTHING),
            ON(ACCEPTED, GIVEN, TRP_GIVE_TELL_GIVEN),
            ON(REFUSED, NONE, TRP_GIVE_DESTROY_NOW),
            ON(OVER, NONE, TRP_GIVE_DESTROY_NOW),
        },
};

trp_give_step_t trp_give_next(trp_give_state_t state, trp_give_event_t event) {
  TROUPE_ASSERT(state < TRP_GIVE_STATES);
  TROUPE_ASSERT(event < TRP_GIVE_EVENTS);
  const entry_t *entry = &table[state][event];
  if (!entry->known) {
    return (trp_give_step_t){.next = state, .actions = TRP_GIVE_REFUSE};
  }
  return entry->step;
}
