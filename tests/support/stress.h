// What the tests under stress share: the numbers of I/O actors that they run with, actors that
// listen, and figures of the process.
#ifndef TRP_TESTS_STRESS_H_INCLUDED
#define TRP_TESTS_STRESS_H_INCLUDED

#include "tests/support/service.h"

enum { STRESS_LIMIT_MS = 10000 };

// Runs a test once for each number of I/O actors in the list, which stands in stress.c alone.
void stress_with_io_actors(void (*run)(unsigned io_actors));

// For main(): as many descriptors as the process may have. It is a group's set-up.
int stress_set_up(void **state);

// A service of actors of the test's own. They call stress_listen() and troupe_actor_run().
void stress_start(test_service_t *service, unsigned io_actors, unsigned copies, troupe_main_fn main,
                  void *argument);

// Inside an actor: a server that listens at service->path or at a port, which is set in `service`.
int stress_listen(test_service_t *service, const troupe_server_options_t *options,
                  const troupe_server_handlers_t *handlers, void *context);

// Bytes whose value tells their place in a stream, so that what is lost, doubled or out of order
// shows. Any thread.
void stress_fill(void *bytes, size_t length, uint64_t at);
bool stress_is_filled(const void *bytes, size_t length, uint64_t at);

// Sends what the kernel takes at once of a stream of such bytes; how much it took, 0 when it is
// full, or a negative errno. Any thread.
int64_t stress_send_some(int fd, uint64_t at, size_t length);

// Computes for so long, as a handler that is slow. Any thread.
void stress_burn_us(int64_t us);

int64_t stress_now_us(void);

#endif
