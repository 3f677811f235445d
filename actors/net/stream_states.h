/// Private. The life of a socket as a table: state x event -> next state, actions. Pure: no clock,
/// no I/O, no memory.
#ifndef TRP_STREAM_STATES_H_INCLUDED
#define TRP_STREAM_STATES_H_INCLUDED

#include <stdbool.h>

typedef enum trp_stream_state {
  TRP_STREAM_CONNECTING,        // No connection yet; writes wait for it.
  TRP_STREAM_CONNECTING_END,    // No connection yet; FIN follows the writes that wait.
  TRP_STREAM_CONNECTING_FINISH, // No connection yet; after the writes that wait and FIN the socket
                                // is dropped.
  TRP_STREAM_CONNECTING_RESET,  // No connection yet; it will be reset as soon as it is there.
  TRP_STREAM_OPEN,              // Bytes flow both ways.
  TRP_STREAM_ENDING, // The actor has ended: its last writes are on their way; the peer may send.
  TRP_STREAM_ENDED,  // FIN is sent; the peer may send.
  TRP_STREAM_PEER_ENDED,  // The peer's FIN came; the actor may write.
  TRP_STREAM_LAST_WRITES, // The peer's FIN came and the actor has ended: the last writes are on
                          // their way.
  TRP_STREAM_FINISHING,   // The actor's last writes are on their way; after FIN the socket is
                          // dropped, whatever the peer does.
  TRP_STREAM_CLOSED,      // There is nothing any more.
  TRP_STREAM_STATES
} trp_stream_state_t;

typedef enum trp_stream_event {
  TRP_STREAM_CONNECTED,    // The connection is there.
  TRP_STREAM_WRITE,        // The actor writes.
  TRP_STREAM_END,          // The actor ends its side.
  TRP_STREAM_FINISH,       // The actor ends its side and wants no more of the peer's.
  TRP_STREAM_DESTROY,      // The actor drops the socket.
  TRP_STREAM_RESET,        // The actor drops it with a reset.
  TRP_STREAM_FIN_SENT,     // All is written, and FIN after it.
  TRP_STREAM_FIN_RECEIVED, // All was read, and FIN after it.
  TRP_STREAM_FAILED,       // An attempt, a read or a write failed, or a deadline passed.
  TRP_STREAM_EVENTS
} trp_stream_event_t;

/// Carried out in this order.
typedef enum trp_stream_action {
  TRP_STREAM_REFUSE = 1, // the event is not allowed in this state: nothing happens
  TRP_STREAM_TAKE = 2,   // put it into the queue of writes
  TRP_STREAM_CANCEL = 4, // stop the look-up and all attempts
  TRP_STREAM_TELL_CONNECT = 8,
  TRP_STREAM_TELL_END = 16,
  TRP_STREAM_TELL_FINISH = 32,
  TRP_STREAM_TELL_ERROR = 64,
  TRP_STREAM_HANG_UP = 128,      // close the handle
  TRP_STREAM_HANG_UP_HARD = 256, // close it with a reset
  TRP_STREAM_TELL_CLOSE = 512,   // the last event; then the socket is gone
} trp_stream_action_t;

typedef struct trp_stream_step {
  trp_stream_state_t next;
  unsigned actions;
} trp_stream_step_t;

trp_stream_step_t trp_stream_next(trp_stream_state_t state, trp_stream_event_t event);

/// For people.
const char *trp_stream_state_word(trp_stream_state_t state);

/// Whether there is no connection yet.
bool trp_stream_connects(trp_stream_state_t state);

/// Whether FIN is to be sent once all is written.
bool trp_stream_ends(trp_stream_state_t state);

/// Whether the peer may still send.
bool trp_stream_receives(trp_stream_state_t state);

/// Whether the actor's side has ended, FIN sent or not.
bool trp_stream_has_ended(trp_stream_state_t state);

#endif
