// What every cmocka test includes first: cmocka with what it needs, a watchdog that tells which
// test hangs and where, time limits that know about sanitizers, counts out of /proc, a folder per
// test, repeatable random bytes, and plain blocking sockets for the other side of a connection.
//
//   static void a_closed_socket_says_so(void **state) { ... }
//
//   int main(void) {
//     const struct CMUnitTest tests[] = {trp_test(a_closed_socket_says_so)};
//     return TRP_RUN_TESTS("socket", tests);
//   }
//
// Environment: TROUPE_TEST_SLOW=N multiplies every time limit, TROUPE_TEST_SEED=N sets the random
// seed ("random" draws one), TROUPE_TEST_FILTER=PATTERN runs only the tests whose names match, as
// cmocka_set_test_filter() does.
//
// cmocka's assertions work in the thread that runs the test, and nowhere else. What is meant for
// helper threads (all the socket functions) therefore answers with a number and asserts nothing.

#ifndef TRP_TESTS_HARNESS_H_INCLUDED
#define TRP_TESTS_HARNESS_H_INCLUDED

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// ---- Running ----

#define trp_test(function) cmocka_unit_test(function)
#define trp_test_with(function, setup, teardown)                                                   \
  cmocka_unit_test_setup_teardown(function, setup, teardown)

// A test after which, within five seconds, as many threads and fds must be there as were before it.
// (The first loop of libuv in a process opens a pipe for good; a group that uses this calls what
// needs it once in its group set-up.)
#define trp_test_that_leaves_nothing(function)                                                     \
  cmocka_unit_test_setup_teardown(function, trp_test_remember_counts, trp_test_compare_counts)

// Runs an array of tests; the value is what main() returns.
#define TRP_RUN_TESTS(group_name, tests) TRP_RUN_TESTS_IN_GROUP(group_name, tests, NULL, NULL)
#define TRP_RUN_TESTS_IN_GROUP(group_name, tests, group_setup, group_teardown)                     \
  trp_test_run(group_name, tests, sizeof(tests) / sizeof((tests)[0]), group_setup, group_teardown)

int trp_test_run(const char *group_name, const struct CMUnitTest *tests, size_t count,
                 CMFixtureFunction group_setup, CMFixtureFunction group_teardown);
int trp_test_remember_counts(void **state);
int trp_test_compare_counts(void **state);

// Gives the running test another limit, from now on, than the two minutes that each test has. When
// it is over, the stack of every thread is printed and the program ends with status 99.
void trp_test_limit(int limit_ms);

// The root of the sources, and the build folder.
const char *trp_test_source_folder(void);
const char *trp_test_build_folder(void);

// ---- Time ----

// TROUPE_TEST_SLOW, times 10 under a sanitizer or valgrind. Every `limit_ms` below is multiplied by
// it.
int trp_test_slow(void);
int64_t trp_test_now_ms(void); // CLOCK_MONOTONIC

// Asks again and again, until it holds (true) or the limit is over (false). Only for what cannot be
// waited for, such as figures in /proc; for everything else wait for an event.
bool trp_test_wait_until(bool (*predicate)(void *arg), void *arg, int limit_ms);

// ---- Counts of this process ----

int trp_test_count_fds(void);
int trp_test_count_threads(void); // without the watchdog
int64_t trp_test_rss_bytes(void);
int64_t trp_test_pss_bytes(void);
int64_t trp_test_context_switches(void); // voluntary ones, all threads: how often somebody went to
                                         // sleep
int64_t trp_test_cpu_us(void);

// Whether this process comes to rest: looks at one stretch of `window_ms` after another until one
// has no more voluntary context switches and CPU time than these. One of the switches is this
// thread's own. What is given back after a while of idleness is given back in an earlier stretch.
bool trp_test_rests(int window_ms, int64_t most_switches, int64_t most_cpu_us);

// Whether the process stops growing: calls `stretch` again until one call adds no more than so much
// memory. What leaks adds it each time; what is kept for reuse, or grows at some moment of its own,
// does not. Under a sanitizer, which keeps what was freed, one call is enough.
bool trp_test_levels_off(void (*stretch)(void *arg), void *arg, int64_t most_bytes);

// ---- A folder ----

// The running test's own folder, made fresh at the first call and removed with all that is in it
// when the test is over. The path is short enough for a Unix domain socket in it.
const char *trp_test_folder(void);

// ---- Random ----

typedef struct {
  uint64_t state;
} trp_test_random_t;

// Two generators with different `stream`s give different numbers; the same stream gives the same in
// each run.
void trp_test_random_start(trp_test_random_t *random, uint64_t stream);
uint64_t trp_test_random_next(trp_test_random_t *random);
uint64_t trp_test_random_below(trp_test_random_t *random, uint64_t bound); // 0 .. bound - 1
void trp_test_random_bytes(trp_test_random_t *random, void *bytes, size_t length);

// ---- The other side: blocking sockets with time limits ----
//
// All return a negative errno when they fail; -ETIMEDOUT when the limit was over. The fds are
// non-blocking inside (these functions wait by poll()) and close-on-exec. Any thread.

// Each returns a connected fd. `path` may begin with a zero byte for an abstract name, so it comes
// with a length.
int trp_test_connect_tcp(const char *host, int port, int limit_ms);
int trp_test_connect_tcp_from(const char *from, const char *host, int port, int limit_ms);
int trp_test_connect_unix(const char *path, size_t length, int limit_ms);

// Each returns a listening fd. Port 0 lets the system pick; `*port` is the port in use.
int trp_test_listen_tcp(const char *host, int *port);
int trp_test_listen_unix(const char *path, size_t length);

// A port where nobody listens, and nobody else can while the fd that it returns is open, so that
// who connects to it is refused. `host` may be "0.0.0.0", for the port of all addresses.
int trp_test_reserve_tcp(const char *host, int *port);
int trp_test_accept(int fd, int limit_ms);

// Sends all; 0 or an error. The limit is for all of it.
int trp_test_send(int fd, const void *bytes, size_t length, int limit_ms);

// Reads exactly `length` bytes, or fewer if the end came first; the number read, or an error.
int64_t trp_test_receive(int fd, void *bytes, size_t length, int limit_ms);

// Reads up to the end of the stream; the number read, or an error: -EMSGSIZE if there were more
// than `capacity`.
int64_t trp_test_receive_to_end(int fd, void *bytes, size_t capacity, int limit_ms);

int trp_test_end(int fd);    // ends the writing side, as end() does
void trp_test_reset(int fd); // closes with a reset
void trp_test_close(int fd);

#endif
