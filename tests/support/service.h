// A running system with an echo service in it, for tests from outside.
#ifndef TRP_TESTS_SERVICE_H_INCLUDED
#define TRP_TESTS_SERVICE_H_INCLUDED

#include <stdatomic.h>
#include <troupe/troupe.h>

#include "tests/harness/harness.h"

// What the test and the actors share. (A real service shares nothing; a test looks into its
// actors.)
typedef struct test_service {
  troupe_system_t *system;
  troupe_actor_t actors[16];
  unsigned copies;
  unsigned io_threads; // 0: the system's default
  const char *path;    // NULL: a port of 127.0.0.1 that the system picks
  int backlog;         // 0: the library's default
  atomic_int port;
  atomic_uint served[16]; // connections that each actor got
  atomic_uint open;       // sockets between on_connection and on_close
  atomic_uint errors;     // on_error calls
} test_service_t;

// Starts a system and `copies` echo actors in it; asserts that it works. Zero what is not set
// before.
void test_service_start(test_service_t *service, unsigned copies);

// Stops it with some grace, waits, frees it; asserts that everything ended and that nothing is
// left.
void test_service_stop(test_service_t *service);

// Waits until no socket and no server is open. What ended actors had goes in the I/O actors' own
// time: with several of them the end of an actor takes some turns.
void test_system_wait_until_empty(troupe_system_t *system);

// A connection to it; asserts that there is one.
int test_service_connect(test_service_t *service);

// Sends some bytes over a connection and asserts that they come back.
void test_service_echoes(int fd);

// Waits until the system's counters say that so many sockets are open.
void test_service_wait_for_sockets(test_service_t *service, uint64_t count);

// Actors only: waits until the server listens; its port goes to `*port`. 0 or an error.
int test_wait_until_it_listens(troupe_server_t server, atomic_int *port);

// Actors only: a server on a port of 127.0.0.1 that the system picks, which listens when this
// returns. 0 or an error; `server` may be NULL.
int test_listen(const troupe_server_options_t *options, const troupe_server_handlers_t *handlers,
                void *context, troupe_server_t *server, atomic_int *port);

// The echo actor itself; its argument is the test_service_t.
int test_echo_actor(void *argument);

#endif
