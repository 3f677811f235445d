// What the parts of bench/scaling share: the service, in a process of its own, and its clients.
#ifndef BENCH_SCALING_H_INCLUDED
#define BENCH_SCALING_H_INCLUDED

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <troupe/server.h>

enum { ACTORS_MAX = 256, MESSAGE = 64 };

// Memory that the service and the measuring process have in common.
typedef struct {
  unsigned actors, io_threads;
  troupe_policy_t policy;
  atomic_int port;              // 0: it is not ready; below 0: it failed with this
  atomic_uint open[ACTORS_MAX]; // connections, and
  atomic_uint served[ACTORS_MAX];
  atomic_bool sleeps; // actor 0, for 100 ms in each callback
} service_t;

typedef struct {
  service_t *service;
  pid_t pid;
} process_t;

// Starts a service of so many actors in another process. It answers each piece of data with as many
// bytes, the first of which is the number of the actor.
process_t service_start(unsigned actors, unsigned io_threads, troupe_policy_t policy);
void service_stop(process_t *process);

// A connection to it, from one of many loopback addresses; ends the program if there is none.
int service_connect(const process_t *process);

// What the kernel says of the process.
int64_t process_pss_bytes(pid_t pid);
int64_t process_context_switches(pid_t pid); // of all its threads, voluntary or not
unsigned process_threads(pid_t pid);

// Reads or writes all of it; ends the program if that is not possible.
void send_all(int fd, const void *bytes, size_t length);
void receive_all(int fd, void *bytes, size_t length);

int64_t now_ns(void);
void sleep_ms(int64_t ms);
_Noreturn void give_up(const char *what);

// The measurements; each prints its lines.
void measure_spread(unsigned io_threads, bool quick);
void measure_idle(unsigned io_threads, bool quick);
void measure_sleeper(unsigned io_threads, bool quick);

#endif
