#include "actors/net/stream_states.h"

#include "core/support/assert.h"

#define CONNECTING TRP_STREAM_CONNECTING
#define CONNECTING_END TRP_STREAM_CONNECTING_END
#define CONNECTING_FINISH TRP_STREAM_CONNECTING_FINISH
#define CONNECTING_RESET TRP_STREAM_CONNECTING_RESET
#define OPEN TRP_STREAM_OPEN
#define ENDING TRP_STREAM_ENDING
#define ENDED TRP_STREAM_ENDED
#define PEER_ENDED TRP_STREAM_PEER_ENDED
#define LAST_WRITES TRP_STREAM_LAST_WRITES
#define FINISHING TRP_STREAM_FINISHING
#define CLOSED TRP_STREAM_CLOSED

enum {
  NOTHING = 0,
  CANCELLED = TRP_STREAM_CANCEL | TRP_STREAM_TELL_CLOSE,
  NOT_CONNECTED = TRP_STREAM_CANCEL | TRP_STREAM_TELL_ERROR | TRP_STREAM_TELL_CLOSE,
  GOODBYE = TRP_STREAM_HANG_UP | TRP_STREAM_TELL_CLOSE,
  RESET = TRP_STREAM_HANG_UP_HARD | TRP_STREAM_TELL_CLOSE,
  BROKEN = TRP_STREAM_TELL_ERROR | GOODBYE,
};

// A pair that is not named is refused: REFUSE is put in by trp_stream_next(), which finds `known`
// false.
typedef struct {
  bool known;
  trp_stream_step_t step;
} entry_t;

#define ON(event, next_state, what)                                                                \
  [TRP_STREAM_##event] = {.known = true, .step = {.next = (next_state), .actions = (what)}}

static const entry_t table[TRP_STREAM_STATES][TRP_STREAM_EVENTS] =
    {
        [CONNECTING] =
            {
                ON(CONNECTED, OPEN, TRP_STREAM_TELL_CONNECT),
                ON(WRITE, CONNECTING, TRP_STREAM_TAKE),
                ON(END, CONNECTING_END, NOTHING),
                ON(FINISH, CONNECTING_FINISH, NOTHING),
                ON(DESTROY, CLOSED, CANCELLED),
                ON(RESET, CONNECTING_RESET, NOTHING),
                ON(FAILED, CLOSED, NOT_CONNECTED),
            },
        [CONNECTING_END] =
            {
                ON(CONNECTED, ENDING, TRP_STREAM_TELL_CONNECT),
                ON(END, CONNECTING_END, NOTHING),
                ON(FINISH, CONNECTING_FINISH, NOTHING),
                ON(DESTROY, CLOSED, CANCELLED),
                ON(RESET, CONNECTING_RESET, NOTHING),
                ON(FAILED, CLOSED, NOT_CONNECTED),
            },
        [CONNECTING_FINISH] =
            {
                ON(CONNECTED, FINISHING, TRP_STREAM_TELL_CONNECT),
                ON(END, CONNECTING_FINISH, NOTHING),
                ON(FINISH, CONNECTING_FINISH, NOTHING),
                ON(DESTROY, CLOSED, CANCELLED),
                ON(RESET, CONNECTING_RESET, NOTHING),
                ON(FAILED, CLOSED, NOT_CONNECTED),
            },
        [CONNECTING_RESET] =
            {
                ON(CONNECTED, CLOSED, TRP_STREAM_TELL_CONNECT | RESET),
                ON(END, CONNECTING_RESET, NOTHING),
                ON(FINISH, CONNECTING_RESET, NOTHING),
                ON(DESTROY, CLOSED, CANCELLED),
                ON(RESET, CONNECTING_RESET, NOTHING),
                ON(FAILED, CLOSED, NOT_CONNECTED),
            },
        [OPEN] =
            {
                ON(WRITE, OPEN, TRP_STREAM_TAKE),
                ON(END, ENDING, NOTHING),
                ON(FINISH, FINISHING, NOTHING),
                ON(DESTROY, CLOSED, GOODBYE),
                ON(RESET, CLOSED, RESET),
                ON(FIN_RECEIVED, PEER_ENDED, TRP_STREAM_TELL_END),
                ON(FAILED, CLOSED, BROKEN),
            },
        [ENDING] =
            {
                ON(END, ENDING, NOTHING),
                ON(FINISH, FINISHING, NOTHING),
                ON(DESTROY, CLOSED, GOODBYE),
                ON(RESET, CLOSED, RESET),
                ON(FIN_SENT, ENDED, TRP_STREAM_TELL_FINISH),
                ON(FIN_RECEIVED, LAST_WRITES, TRP_STREAM_TELL_END),
                ON(FAILED, CLOSED, BROKEN),
            },
        [ENDED] =
            {
                ON(END, ENDED, NOTHING),
                ON(FINISH, CLOSED, GOODBYE),
                ON(DESTROY, CLOSED, GOODBYE),
                ON(RESET, CLOSED, RESET),
                ON(FIN_RECEIVED, CLOSED, TRP_STREAM_TELL_END | GOODBYE),
                ON(FAILED, CLOSED, BROKEN),
            },
        [PEER_ENDED] =
            {
                ON(WRITE, PEER_ENDED, TRP_STREAM_TAKE),
                ON(END, LAST_WRITES, NOTHING),
                ON(FINISH, LAST_WRITES, NOTHING),
                ON(DESTROY, CLOSED, GOODBYE),
                ON(RESET, CLOSED, RESET),
                ON(FAILED, CLOSED, BROKEN),
            },
        [LAST_WRITES] =
            {
                ON(END, LAST_WRITES, NOTHING),
                ON(FINISH, LAST_WRITES, NOTHING),
                ON(DESTROY, CLOSED, GOODBYE),
                ON(RESET, CLOSED, RESET),
                ON(FIN_SENT, CLOSED, TRP_STREAM_TELL_FINISH | GOODBYE),
                ON(FAILED, CLOSED, BROKEN),
            },
        [FINISHING] =
            {
                ON(END, FINISHING, NOTHING),
                ON(FINISH, FINISHING, NOTHING),
                ON(DESTROY, CLOSED, GOODBYE),
                ON(RESET, CLOSED, RESET),
                ON(FIN_SENT, CLOSED, TRP_STREAM_TELL_FINISH | GOODBYE),
                ON(FIN_RECEIVED, LAST_WRITES, TRP_STREAM_TELL_END),
                ON(FAILED, CLOSED, BROKEN),
            },
};

trp_stream_step_t trp_stream_next(trp_stream_state_t state, trp_stream_event_t event) {
  TROUPE_ASSERT(state < TRP_STREAM_STATES);
  TROUPE_ASSERT(event < TRP_STREAM_EVENTS);
  const entry_t *entry = &table[state][event];
  if (!entry->known) {
    return (trp_stream_step_t){.next = state, .actions = TRP_STREAM_REFUSE};
  }
  return entry->step;
}

const char *trp_stream_state_word(trp_stream_state_t state) {
  switch (state) {
  case OPEN:
    return "open";
  case ENDING:
  case ENDED:
    return "ended";
  case PEER_ENDED:
    return "peer ended";
  default:
    return trp_stream_connects(state) ? "connecting" : "closing";
  }
}

bool trp_stream_connects(trp_stream_state_t state) {
  return state <= CONNECTING_RESET;
}

bool trp_stream_ends(trp_stream_state_t state) {
  return state == ENDING || state == LAST_WRITES || state == FINISHING;
}

bool trp_stream_receives(trp_stream_state_t state) {
  return state == OPEN || state == ENDING || state == ENDED || state == FINISHING;
}

bool trp_stream_has_ended(trp_stream_state_t state) {
  return state != CONNECTING && state != OPEN && state != PEER_ENDED;
}
