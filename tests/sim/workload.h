// Work for simulated worlds: an echo service, and clients that send random bytes, want them back,
// and try again when the connection fails.
#ifndef TRP_TESTS_SIM_WORKLOAD_H_INCLUDED
#define TRP_TESTS_SIM_WORKLOAD_H_INCLUDED

#include <troupe/troupe.h>

#include "tests/harness/harness.h"

enum { WORKLOAD_PORT = 7000 };

// What is wrong with a copy of the handlers.
typedef enum bug {
  NO_BUG,
  FORGETS_DRAIN,      // pauses when a write says 0, and does not resume
  DROPS_REFUSED,      // ignores that a write was refused
  ANSWERS_LAST_FIRST, // of two pieces in one turn
  KEEPS_NO_HALF,      // ends when the peer ends, what waits to be written is lost
  COUNTS_ONCE,        // believes that a message comes in one piece
} bug_t;

typedef struct workload {
  unsigned servers, clients;
  unsigned rounds; // connections that each client needs to finish
  size_t most;     // bytes over one connection
  const char *host;
  int port; // that clients connect to; 0: the servers'
  bug_t bug;
  bool servers_die; // a connection that ends before its time is no mistake then
  // Given to the actors.
  troupe_actor_t server_ids[16], client_ids[16];
} workload_t;

// The main function of a server, for a replay.
int workload_server(void *argument);

// The two halves of a run: the servers, and the clients, whose ends are awaited.
int workload_serve(troupe_system_t *system, workload_t *load);
int workload_work(troupe_system_t *system, workload_t *load);

// Both, as a troupe_sim_fn; the context is a workload_t.
int workload_start(troupe_system_t *system, void *context);

#endif
