#include "core/net/socket_states.h"

#include "core/support/assert.h"

#define STATE(name) TRP_SOCKET_##name

enum {
  NOTHING = 0,
  // What was never told to the I/O actor is closed without it.
  LOCALLY = TRP_SOCKET_FORGET | TRP_SOCKET_LATER,
  DROPPED = TRP_SOCKET_SEND_DESTROY | TRP_SOCKET_FORGET | TRP_SOCKET_LATER,
  RESET = TRP_SOCKET_SEND_RESET | TRP_SOCKET_FORGET | TRP_SOCKET_LATER,
  FAILED = TRP_SOCKET_FORGET | TRP_SOCKET_SETTLE,
  CLOSED = TRP_SOCKET_FORGET | TRP_SOCKET_SETTLE | TRP_SOCKET_TELL_CLOSE,
};

// A pair that is not named is refused: trp_socket_next() finds `known` false.
typedef struct {
  bool known;
  trp_socket_step_t step;
} entry_t;

#define ON(event, next_state, what)                                                                \
  [TRP_SOCKET_##event] = {.known = true, .step = {.next = STATE(next_state), .actions = (what)}}

// What goes on after the I/O actor was told of the socket ends in the same ways.
#define ENDS_LIKE_ALL                                                                              \
  ON(DESTROY, DESTROYED, DROPPED), ON(DROP, GONE, LOCALLY), ON(FAIL, DESTROYED, FAILED),           \
      ON(CLOSE, CLOSED, CLOSED)

// Once it is connected it may also go to another actor.
#define CONNECTED_ENDS ENDS_LIKE_ALL, ON(GIVEN, CLOSED, TRP_SOCKET_FORGET | TRP_SOCKET_TELL_GIVEN)

static const entry_t table[TRP_SOCKET_STATES][TRP_SOCKET_EVENTS] =
    {
        [STATE(IDLE)] =
            {
                ON(CONNECT, CONNECTING, TRP_SOCKET_SEND_CONNECT),
                ON(LOOK_UP, LOOKING_UP, TRP_SOCKET_ASK),
                ON(END, IDLE_ENDED, NOTHING),
                ON(LAST, IDLE_ENDED, NOTHING),
                ON(DESTROY, GONE, LOCALLY),
            },
        [STATE(IDLE_ENDED)] =
            {
                ON(CONNECT, CONNECTING_ENDED, TRP_SOCKET_SEND_CONNECT | TRP_SOCKET_SEND_END),
                ON(LOOK_UP, LOOKING_UP_ENDED, TRP_SOCKET_ASK),
                ON(END, IDLE_ENDED, NOTHING),
                ON(LAST, IDLE_ENDED, NOTHING),
                ON(DESTROY, GONE, LOCALLY),
            },
        [STATE(LOOKING_UP)] =
            {
                ON(LOOKED_UP, CONNECTING, TRP_SOCKET_SEND_CONNECT | TRP_SOCKET_SEND_WRITES),
                ON(WRITE, LOOKING_UP, TRP_SOCKET_TAKE),
                ON(END, LOOKING_UP_ENDED, NOTHING),
                ON(LAST, LOOKING_UP_LAST, NOTHING),
                ON(RESET, LOOKING_UP_RESET, NOTHING),
                ON(DESTROY, GONE, LOCALLY),
            },
        [STATE(LOOKING_UP_ENDED)] =
            {
                ON(LOOKED_UP, CONNECTING_ENDED,
                   TRP_SOCKET_SEND_CONNECT | TRP_SOCKET_SEND_WRITES | TRP_SOCKET_SEND_END),
                ON(END, LOOKING_UP_ENDED, NOTHING),
                ON(LAST, LOOKING_UP_LAST, NOTHING),
                ON(RESET, LOOKING_UP_RESET, NOTHING),
                ON(DESTROY, GONE, LOCALLY),
            },
        [STATE(LOOKING_UP_LAST)] =
            {
                ON(LOOKED_UP, CONNECTING_LAST,
                   TRP_SOCKET_SEND_CONNECT | TRP_SOCKET_SEND_WRITES | TRP_SOCKET_SEND_LAST),
                ON(END, LOOKING_UP_LAST, NOTHING),
                ON(LAST, LOOKING_UP_LAST, NOTHING),
                ON(RESET, LOOKING_UP_RESET, NOTHING),
                ON(DESTROY, GONE, LOCALLY),
            },
        [STATE(LOOKING_UP_RESET)] =
            {
                ON(LOOKED_UP, CONNECTING_RESET,
                   TRP_SOCKET_SEND_CONNECT | TRP_SOCKET_SEND_WRITES | TRP_SOCKET_SEND_RESET),
                ON(END, LOOKING_UP_RESET, NOTHING),
                ON(LAST, LOOKING_UP_RESET, NOTHING),
                ON(RESET, LOOKING_UP_RESET, NOTHING),
                ON(DESTROY, GONE, LOCALLY),
            },
        [STATE(CONNECTING)] =
            {
                ON(CONNECTED, OPEN, TRP_SOCKET_TELL_CONNECT),
                ON(WRITE, CONNECTING, TRP_SOCKET_TAKE),
                ON(END, CONNECTING_ENDED, TRP_SOCKET_SEND_END),
                ON(LAST, CONNECTING_LAST, TRP_SOCKET_SEND_LAST),
                ON(RESET, CONNECTING_RESET, TRP_SOCKET_SEND_RESET),
                ENDS_LIKE_ALL,
            },
        [STATE(CONNECTING_ENDED)] =
            {
                ON(CONNECTED, ENDED, TRP_SOCKET_TELL_CONNECT),
                ON(END, CONNECTING_ENDED, NOTHING),
                ON(LAST, CONNECTING_LAST, TRP_SOCKET_SEND_LAST),
                ON(RESET, CONNECTING_RESET, TRP_SOCKET_SEND_RESET),
                ENDS_LIKE_ALL,
            },
        [STATE(CONNECTING_LAST)] =
            {
                ON(CONNECTED, LAST_WRITES, TRP_SOCKET_TELL_CONNECT),
                ON(END, CONNECTING_LAST, NOTHING),
                ON(LAST, CONNECTING_LAST, NOTHING),
                ON(RESET, CONNECTING_RESET, TRP_SOCKET_SEND_RESET),
                ENDS_LIKE_ALL,
            },
        [STATE(CONNECTING_RESET)] =
            {
                ON(CONNECTED, RESETTING, TRP_SOCKET_LATER | TRP_SOCKET_TELL_CONNECT),
                ON(END, CONNECTING_RESET, NOTHING),
                ON(LAST, CONNECTING_RESET, NOTHING),
                ON(RESET, CONNECTING_RESET, NOTHING),
                ENDS_LIKE_ALL,
            },
        [STATE(OPEN)] =
            {
                ON(WRITE, OPEN, TRP_SOCKET_TAKE),
                ON(END, ENDED, TRP_SOCKET_SEND_END),
                ON(LAST, LAST_WRITES, TRP_SOCKET_SEND_LAST),
                ON(RESET, DESTROYED, RESET),
                ON(PEER_END, PEER_ENDED, TRP_SOCKET_TELL_END),
                CONNECTED_ENDS,
            },
        [STATE(ENDED)] =
            {
                ON(END, ENDED, NOTHING),
                ON(LAST, LAST_WRITES, TRP_SOCKET_SEND_LAST),
                ON(RESET, DESTROYED, RESET),
                ON(PEER_END, BOTH_ENDED, TRP_SOCKET_TELL_END),
                ON(FINISH, FINISHED, TRP_SOCKET_TELL_FINISH),
                CONNECTED_ENDS,
            },
        [STATE(FINISHED)] =
            {
                ON(END, FINISHED, NOTHING),
                ON(LAST, DESTROYED, DROPPED),
                ON(RESET, DESTROYED, RESET),
                ON(PEER_END, DONE, TRP_SOCKET_TELL_END),
                CONNECTED_ENDS,
            },
        [STATE(LAST_WRITES)] =
            {
                ON(END, LAST_WRITES, NOTHING),
                ON(LAST, LAST_WRITES, NOTHING),
                ON(RESET, DESTROYED, RESET),
                ON(PEER_END, BOTH_ENDED, TRP_SOCKET_TELL_END),
                ON(FINISH, DESTROYED, TRP_SOCKET_FORGET | TRP_SOCKET_TELL_FINISH),
                CONNECTED_ENDS,
            },
        [STATE(PEER_ENDED)] =
            {
                ON(WRITE, PEER_ENDED, TRP_SOCKET_TAKE),
                ON(END, BOTH_ENDED, TRP_SOCKET_SEND_END),
                ON(LAST, BOTH_ENDED, TRP_SOCKET_SEND_LAST),
                ON(RESET, DESTROYED, RESET),
                CONNECTED_ENDS,
            },
        [STATE(BOTH_ENDED)] =
            {
                ON(END, BOTH_ENDED, NOTHING),
                ON(LAST, BOTH_ENDED, NOTHING),
                ON(RESET, DESTROYED, RESET),
                ON(FINISH, DONE, TRP_SOCKET_TELL_FINISH),
                CONNECTED_ENDS,
            },
        [STATE(DONE)] =
            {
                ON(END, DONE, NOTHING),
                ON(LAST, DESTROYED, DROPPED),
                ON(RESET, DESTROYED, RESET),
                CONNECTED_ENDS,
            },
        [STATE(RESETTING)] =
            {
                ON(END, RESETTING, NOTHING),
                ON(LAST, RESETTING, NOTHING),
                ON(RESET, RESETTING, NOTHING),
                ON(DESTROY, DESTROYED, LOCALLY),
                ON(TURN, DESTROYED, TRP_SOCKET_SETTLE),
                ON(CLOSE, CLOSED, CLOSED),
            },
        // What the I/O actor had sent before it knew comes to nothing.
        [STATE(DESTROYED)] =
            {
                ON(END, DESTROYED, NOTHING),
                ON(LAST, DESTROYED, NOTHING),
                ON(RESET, DESTROYED, NOTHING),
                ON(DESTROY, DESTROYED, NOTHING),
                ON(TURN, DESTROYED, TRP_SOCKET_SETTLE),
                ON(CONNECTED, DESTROYED, NOTHING),
                ON(PEER_END, DESTROYED, NOTHING),
                ON(FINISH, DESTROYED, NOTHING),
                ON(FAIL, DESTROYED, NOTHING),
                ON(CLOSE, CLOSED, CLOSED),
            },
        [STATE(GONE)] =
            {
                ON(END, GONE, NOTHING),
                ON(LAST, GONE, NOTHING),
                ON(RESET, GONE, NOTHING),
                ON(DESTROY, GONE, NOTHING),
                ON(TURN, CLOSED, CLOSED),
            },
        [STATE(CLOSED)] =
            {
                ON(CONNECT, CONNECTING, TRP_SOCKET_SEND_CONNECT),
                ON(LOOK_UP, LOOKING_UP, TRP_SOCKET_ASK),
                ON(END, CLOSED, NOTHING),
                ON(LAST, CLOSED, NOTHING),
                ON(RESET, CLOSED, NOTHING),
                ON(DESTROY, CLOSED, NOTHING),
            },
};

trp_socket_step_t trp_socket_next(trp_socket_state_t state, trp_socket_event_t event) {
  TROUPE_ASSERT(state < TRP_SOCKET_STATES);
  TROUPE_ASSERT(event < TRP_SOCKET_EVENTS);
  const entry_t *entry = &table[state][event];
  if (!entry->known) {
    return (trp_socket_step_t){.next = state, .actions = TRP_SOCKET_REFUSE};
  }
  return entry->step;
}

troupe_ready_state_t trp_socket_ready_state(trp_socket_state_t state) {
  switch (state) {
  case STATE(IDLE):
  case STATE(OPEN):
  case STATE(RESETTING):
    return TROUPE_OPEN;
  case STATE(IDLE_ENDED):
  case STATE(ENDED):
  case STATE(FINISHED):
  case STATE(LAST_WRITES):
    return TROUPE_READ_ONLY;
  case STATE(PEER_ENDED):
    return TROUPE_WRITE_ONLY;
  default:
    return trp_socket_connects(state) ? TROUPE_OPENING : TROUPE_CLOSED;
  }
}

const char *trp_socket_state_word(trp_socket_state_t state) {
  switch (state) {
  case STATE(IDLE):
  case STATE(IDLE_ENDED):
    return "new";
  case STATE(OPEN):
  case STATE(RESETTING):
    return "open";
  case STATE(ENDED):
  case STATE(FINISHED):
    return "ended";
  case STATE(PEER_ENDED):
    return "peer ended";
  case STATE(CLOSED):
    return "closed";
  default:
    return trp_socket_connects(state) ? "connecting" : "closing";
  }
}

bool trp_socket_connects(trp_socket_state_t state) {
  return state >= STATE(LOOKING_UP) && state <= STATE(CONNECTING_RESET);
}

bool trp_socket_looks_up(trp_socket_state_t state) {
  return state >= STATE(LOOKING_UP) && state <= STATE(LOOKING_UP_RESET);
}

bool trp_socket_is_pending(trp_socket_state_t state) {
  return state <= STATE(CONNECTING_RESET) || trp_socket_is_destroyed(state);
}

bool trp_socket_is_destroyed(trp_socket_state_t state) {
  return state >= STATE(DESTROYED);
}

bool trp_socket_has_ended(trp_socket_state_t state) {
  switch (state) {
  case STATE(IDLE):
  case STATE(LOOKING_UP):
  case STATE(CONNECTING):
  case STATE(OPEN):
  case STATE(PEER_ENDED):
    return false;
  default:
    return true;
  }
}

bool trp_socket_has_turn(trp_socket_state_t state) {
  return state == STATE(RESETTING) || state == STATE(DESTROYED) || state == STATE(GONE);
}

bool trp_socket_is_active(trp_socket_state_t state) {
  return state >= STATE(LOOKING_UP) && state <= STATE(GONE);
}

bool trp_socket_is_known(trp_socket_state_t state) {
  return state >= STATE(CONNECTING) && state <= STATE(DONE);
}

bool trp_socket_is_connected(trp_socket_state_t state) {
  return state >= STATE(OPEN) && state <= STATE(DONE);
}

bool trp_socket_receives(trp_socket_state_t state) {
  return state >= STATE(OPEN) && state <= STATE(LAST_WRITES);
}
