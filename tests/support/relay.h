// A proxy whose actors make connections themselves, or are handed some, for the tests of traces: as it is recorded, and with
// the mistakes that a replay has to find.
#ifndef TRP_TESTS_RELAY_H_INCLUDED
#define TRP_TESTS_RELAY_H_INCLUDED

#include <stdatomic.h>
#include <troupe/troupe.h>

typedef enum {
  RELAY_SAME,
  RELAY_OTHER_BYTE,   // in what goes back
  RELAY_NOT_AT_ALL,   // it makes no connection
  RELAY_TWICE,        // it makes two
  RELAY_OTHER_OPTION, // it makes another one
  RELAY_NO_END,       // it does not pass on that there is no more
  RELAY_STAYS,        // it does not give away what it shall
  RELAY_OTHER_LATER,  // what a timer says
} relay_manner_t;

typedef struct {
  relay_manner_t manner;
  bool beats; // the proxy has a timer of its own
  troupe_system_t *system;
  atomic_int port, echo_port;
  troupe_actor_t worker;     // whom the door hands connections to
  troupe_actor_t answers[3]; // what the asking one was told
} relay_t;

extern relay_t relay;

// What the proxy connects to: says everything in capitals.
int relay_echo_main(void *argument);

int relay_proxy_main(void *argument);

// The proxy, listening on another address.
int relay_elsewhere_main(void *argument);

// The proxy, with a main function that asks for what is not in its events.
int relay_asking_main(void *argument);

// In front of the worker: hands connections over to it.
int relay_door_main(void *argument);

// The proxy of connections that are handed to it.
int relay_worker_main(void *argument);

#endif
