// Private to the load generator: the clock, processor time, and the one way to fail.

#ifndef LOAD_PROCESS_H_INCLUDED
#define LOAD_PROCESS_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOAD_NS_PER_SECOND 1000000000U

// Monotonic nanoseconds.
uint64_t load_clock_ns(void);

// Processor time that this process has used, in seconds.
double load_cpu_own(void);

// Processor time that another process has used in all its threads, also those that have ended, in
// seconds, and in its children that run. The kernel tells it in steps of 10 ms. Negative when the
// process is gone.
double load_cpu_of(pid_t pid);

// Says what is wrong, on stderr, and ends the program with status 1. A generator that has lost a
// byte has nothing to report.
_Noreturn void load_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

// From here on SIGINT and SIGTERM do not kill; load_interrupted() tells that one came.
void load_catch_signals(void);
bool load_interrupted(void);

// Lets this process open `count` files, or says why it cannot and ends the program.
void load_allow_files(size_t count);

#endif
