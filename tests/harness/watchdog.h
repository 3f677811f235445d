// Of the harness alone. A thread that sleeps until the running test's deadline; if that comes, it
// prints the test's name and the stack of every thread, and ends the program with status 99.

#ifndef TRP_TESTS_WATCHDOG_H_INCLUDED
#define TRP_TESTS_WATCHDOG_H_INCLUDED

#include <stdint.h>
#include <sys/types.h>

void trp_watchdog_start(uint64_t seed);
void trp_watchdog_stop(void);

// `name` must live until the next call.
void trp_watchdog_watch(const char *name, int64_t deadline_ms);

pid_t trp_watchdog_thread(void);

#endif
