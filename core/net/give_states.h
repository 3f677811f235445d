/// Private. Giving a socket away as a table: state x event -> next state, actions. It says whose the
/// socket is; socket_states.h goes on saying what it is. Pure: no clock, no memory, no messages.
#ifndef TRP_GIVE_STATES_H_INCLUDED
#define TRP_GIVE_STATES_H_INCLUDED

typedef enum trp_give_state {
  TRP_GIVE_NONE,          // It is this actor's, and nothing else is asked for.
  TRP_GIVE_FREEZING,      // Bytes that are on their way still come here.
  TRP_GIVE_FREEZING_LOST, // The same, but it is to be destroyed instead.
  TRP_GIVE_SENT,          // All that is here has left; the I/O actor says whose it is.
  TRP_GIVE_SENT_LOST,     // The same, and if it stays it is to be destroyed.
  TRP_GIVE_GIVEN,         // It is the other actor's.
  TRP_GIVE_STATES
} trp_give_state_t;

typedef enum trp_give_event {
  TRP_GIVE_BEGIN,    // The application gives it.
  TRP_GIVE_DESTROY,  // Something here destroys it: an abort, the actor's stop, no memory.
  TRP_GIVE_FROZEN,   // No byte is on its way here any more.
  TRP_GIVE_ACCEPTED, // The I/O actor has handed it over.
  TRP_GIVE_REFUSED,  // It has not.
  TRP_GIVE_OVER,     // The connection has failed or is closed.
  TRP_GIVE_EVENTS
} trp_give_event_t;

/// Carried out in this order.
typedef enum trp_give_action {
  TRP_GIVE_REFUSE = 1, // the event is not allowed in this state: nothing happens
  TRP_GIVE_SEND_FREEZE = 2,
  TRP_GIVE_SEND_GIVE = 4,
  TRP_GIVE_TELL_FAILED = 8,  // on_given with an error; the socket goes on
  TRP_GIVE_DESTROY_NOW = 16, // with the reason that was kept
  TRP_GIVE_TELL_GIVEN = 32,  // the last that is told of it here
} trp_give_action_t;

typedef struct trp_give_step {
  trp_give_state_t next;
  unsigned actions;
} trp_give_step_t;

trp_give_step_t trp_give_next(trp_give_state_t state, trp_give_event_t event);

#endif
