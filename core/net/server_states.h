/// Private. The life of one listen() in its actor as a table: state x event -> next state, actions.
/// Pure. A server that is closed and listens again while its earlier connections are still open has
/// several of these.
#ifndef TRP_SERVER_STATES_H_INCLUDED
#define TRP_SERVER_STATES_H_INCLUDED

typedef enum trp_listen_state {
  TRP_LISTEN_NONE,      // Nobody listens; the I/O actor knows nothing of it (any more).
  TRP_LISTEN_STARTING,  // The I/O actor was asked to listen and has not answered.
  TRP_LISTEN_LISTENING, // Connections come.
  TRP_LISTEN_CLOSING,   // It was closed; the last connections are not gone yet.
  TRP_LISTEN_STATES
} trp_listen_state_t;

typedef enum trp_listen_event {
  // By the application.
  TRP_LISTEN_LISTEN, // It listens.
  TRP_LISTEN_CLOSE,  // It closes.
  // By the I/O actor.
  TRP_LISTEN_STARTED,    // It listens.
  TRP_LISTEN_FAILED,     // It cannot.
  TRP_LISTEN_CONNECTION, // A connection was accepted.
  TRP_LISTEN_DROPPED,    // Connections were accepted and closed.
  TRP_LISTEN_PARKED,     // No descriptor is free.
  TRP_LISTEN_UNPARKED,   // There is one again.
  TRP_LISTEN_CLOSED,     // It is closed, and its last connection is gone.
  TRP_LISTEN_EVENTS
} trp_listen_event_t;

/// Carried out in this order.
typedef enum trp_listen_action {
  TRP_LISTEN_REFUSE = 1, // the event is not allowed in this state: nothing happens
  TRP_LISTEN_SEND_LISTEN = 2,
  TRP_LISTEN_SEND_CLOSE = 4,
  TRP_LISTEN_TELL_LISTENING = 8,
  TRP_LISTEN_TELL_ERROR = 16,
  TRP_LISTEN_ACCEPT = 32,    // make a socket of it and tell
  TRP_LISTEN_TURN_AWAY = 64, // close it
  TRP_LISTEN_TELL_DROP = 128,
  TRP_LISTEN_TELL_PARKED = 256,
  TRP_LISTEN_TELL_UNPARKED = 512,
  TRP_LISTEN_TELL_CLOSE = 1024,
} trp_listen_action_t;

typedef struct trp_listen_step {
  trp_listen_state_t next;
  unsigned actions;
} trp_listen_step_t;

trp_listen_step_t trp_listen_next(trp_listen_state_t state, trp_listen_event_t event);

#endif
