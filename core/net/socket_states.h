/// Private. The life of a socket in its actor as a table: state x event -> next state, actions.
/// Pure: no clock, no memory, no messages.
#ifndef TRP_SOCKET_STATES_H_INCLUDED
#define TRP_SOCKET_STATES_H_INCLUDED

#include <stdbool.h>
#include <troupe/socket.h>

typedef enum trp_socket_state {
  TRP_SOCKET_IDLE,             // Made, never connected; the I/O actor does not know it.
  TRP_SOCKET_IDLE_ENDED,       // The same, and ended: FIN goes out once it is connected.
  TRP_SOCKET_LOOKING_UP,       // The application looks the name up; what it writes waits here.
  TRP_SOCKET_LOOKING_UP_ENDED, // The same, and ended.
  TRP_SOCKET_LOOKING_UP_LAST,  // The same, and it will be destroyed once all is written.
  TRP_SOCKET_LOOKING_UP_RESET, // The same, and it will be reset once it is connected.
  TRP_SOCKET_CONNECTING,       // The I/O actor connects it; what is written waits there.
  TRP_SOCKET_CONNECTING_ENDED, // The same, and ended.
  TRP_SOCKET_CONNECTING_LAST,  // The same, and it will be destroyed once all is written.
  TRP_SOCKET_CONNECTING_RESET, // The same, and it will be reset once it is connected.
  TRP_SOCKET_OPEN,             // Bytes flow both ways.
  TRP_SOCKET_ENDED,            // This side has ended, FIN is not sent yet; the peer may send.
  TRP_SOCKET_FINISHED,         // FIN is sent; the peer may send.
  TRP_SOCKET_LAST_WRITES, // As ENDED, but what the peer sends does not count: it is destroyed after
                          // FIN.
  TRP_SOCKET_PEER_ENDED,  // The peer's end was told; this side may write.
  TRP_SOCKET_BOTH_ENDED,  // Both sides have ended; FIN is not sent yet.
  TRP_SOCKET_DONE,        // Both sides are through; the I/O actor closes it.
  TRP_SOCKET_RESETTING,   // Connected and reset; on_connect still sees it open.
  TRP_SOCKET_DESTROYED,   // Nothing counts any more but the I/O actor's word that it is closed.
  TRP_SOCKET_GONE,   // The I/O actor has nothing (any more) to say; on_close is still to be called.
  TRP_SOCKET_CLOSED, // on_close was called. It may connect again.
  TRP_SOCKET_STATES
} trp_socket_state_t;

typedef enum trp_socket_event {
  // By the application.
  TRP_SOCKET_CONNECT,   // It connects.
  TRP_SOCKET_LOOK_UP,   // It connects to a name that it looks up itself.
  TRP_SOCKET_LOOKED_UP, // It has found addresses for that name.
  TRP_SOCKET_WRITE,     // It writes.
  TRP_SOCKET_END,       // It ends its side.
  TRP_SOCKET_LAST,      // It ends its side and wants no more (destroySoon).
  TRP_SOCKET_RESET,     // It drops the connection with a reset.
  TRP_SOCKET_DESTROY,   // It drops the connection, or there is no memory to go on.
  TRP_SOCKET_DROP, // The same, when the I/O actor has closed it already and unread bytes remain.
  TRP_SOCKET_TURN, // The callback in which something was put off has returned.
  // By the I/O actor.
  TRP_SOCKET_CONNECTED, // The connection is there.
  TRP_SOCKET_PEER_END,  // The peer has ended, and all that it sent was consumed.
  TRP_SOCKET_FINISH,    // All is written, and FIN after it.
  TRP_SOCKET_FAIL,      // It failed.
  TRP_SOCKET_CLOSE,     // It is closed, and all that the peer sent was consumed or does not count.
  TRP_SOCKET_GIVEN,     // It is another actor's.
  TRP_SOCKET_EVENTS
} trp_socket_event_t;

/// Carried out in this order.
typedef enum trp_socket_action {
  TRP_SOCKET_REFUSE = 1, // the event is not allowed in this state: nothing happens
  TRP_SOCKET_ASK = 2,    // call the application's look-up, later
  TRP_SOCKET_SEND_CONNECT = 4,
  TRP_SOCKET_SEND_WRITES = 8, // that waited for the look-up
  TRP_SOCKET_SEND_END = 16,
  TRP_SOCKET_SEND_LAST = 32,
  TRP_SOCKET_SEND_RESET = 64,
  TRP_SOCKET_SEND_DESTROY = 128,
  TRP_SOCKET_TAKE = 256,   // the write is taken
  TRP_SOCKET_FORGET = 512, // what came and was not consumed is dropped, at once
  TRP_SOCKET_LATER = 1024, // the rest of it follows after the current callback, as TURN
  TRP_SOCKET_TELL_CONNECT = 2048,
  TRP_SOCKET_TELL_END = 4096,
  TRP_SOCKET_TELL_FINISH = 8192, // the callbacks of end()
  TRP_SOCKET_SETTLE = 16384,     // callbacks of writes that wait get the error, then it is told
  TRP_SOCKET_TELL_GIVEN = 32768, // instead of a close
  TRP_SOCKET_TELL_CLOSE = 65536,
} trp_socket_action_t;

typedef struct trp_socket_step {
  trp_socket_state_t next;
  unsigned actions;
} trp_socket_step_t;

trp_socket_step_t trp_socket_next(trp_socket_state_t state, trp_socket_event_t event);

/// Node's view of a state.
troupe_ready_state_t trp_socket_ready_state(trp_socket_state_t state);
const char *trp_socket_state_word(trp_socket_state_t state); // for people
bool trp_socket_connects(trp_socket_state_t state);          // connecting
bool trp_socket_looks_up(trp_socket_state_t state);          // the application looks the name up
bool trp_socket_is_pending(trp_socket_state_t state);        // not connected yet, or any more
bool trp_socket_is_destroyed(trp_socket_state_t state);
bool trp_socket_has_ended(trp_socket_state_t state); // its own side

/// Whether its life goes on as TURN once the current callback has returned.
bool trp_socket_has_turn(trp_socket_state_t state);

/// Whether there is something that will end in on_close: the actor waits for it.
bool trp_socket_is_active(trp_socket_state_t state);

/// Whether the I/O actor knows it, so that commands have a sense.
bool trp_socket_is_known(trp_socket_state_t state);

/// Whether it is connected, and nobody here has destroyed it.
bool trp_socket_is_connected(trp_socket_state_t state);

/// Whether bytes of the peer are given out.
bool trp_socket_receives(trp_socket_state_t state);

#endif
