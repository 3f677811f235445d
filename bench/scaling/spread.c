// How evenly connections are dealt to 8 actors.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/scaling/scaling.h"

enum { ACTORS = 8, CONNECTIONS = 10000, CHANGES = 30000, SAMPLE_EVERY = 500, PACE = 5 };

static uint64_t state = 1;

static uint64_t next_random(void) { // splitmix64
  uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static void range_of(const atomic_uint *counts, unsigned *least, unsigned *most, unsigned *sum) {
  *least = UINT32_MAX;
  *most = *sum = 0;
  for (unsigned i = 0; i < ACTORS; i++) {
    unsigned count = atomic_load(&counts[i]);
    *least = count < *least ? count : *least;
    *most = count > *most ? count : *most;
    *sum += count;
  }
}

static void wait_for_sum(const atomic_uint *counts, unsigned wanted) {
  unsigned least, most, sum;
  do {
    sleep_ms(1);
    range_of(counts, &least, &most, &sum);
  } while (sum != wanted);
}

static void round_robin(unsigned io_threads, unsigned connections) {
  process_t process = service_start(ACTORS, io_threads, TROUPE_POLICY_ROUND_ROBIN);
  int *fds = malloc(connections * sizeof *fds);
  unsigned least, most, sum;
  if (fds == NULL) {
    give_up("malloc");
  }
  for (unsigned i = 0; i < connections; i++) {
    fds[i] = service_connect(&process);
  }
  wait_for_sum(process.service->served, connections);
  range_of(process.service->served, &least, &most, &sum);
  printf("| round_robin, %u connections | %u | %u to %u each: differ by %u | at most 1 |\n",
         connections, io_threads, least, most, most - least);
  for (unsigned i = 0; i < connections; i++) {
    close(fds[i]);
  }
  free(fds);
  service_stop(&process);
}

/// Connections of random length: each step ends one that is picked at random and begins another,
/// some thousand times in a second. The actors are looked at when they have heard of all of that.
static void least_connections(unsigned io_threads, unsigned connections, unsigned changes) {
  process_t process = service_start(ACTORS, io_threads, TROUPE_POLICY_LEAST_CONNECTIONS);
  int *fds = malloc(connections * sizeof *fds);
  unsigned least, most, sum;
  double worst = 0;
  if (fds == NULL) {
    give_up("malloc");
  }
  for (unsigned i = 0; i < connections; i++) {
    fds[i] = service_connect(&process);
  }
  wait_for_sum(process.service->open, connections);
  for (unsigned change = 1; change <= changes; change++) {
    int *fd = &fds[next_random() % connections];
    close(*fd);
    *fd = service_connect(&process);
    if (change % PACE == 0) {
      sleep_ms(1);
    }
    if (change % SAMPLE_EVERY == 0) {
      wait_for_sum(process.service->served, connections + change);
      wait_for_sum(process.service->open, connections);
      range_of(process.service->open, &least, &most, &sum);
      double percent = 100.0 * (most - least) * ACTORS / sum;
      worst = percent > worst ? percent : worst;
    }
  }
  printf(
      "| least_connections, %u of random length, %u changes | %u | differ by %.2f %% at the worst "
      "| at most 2 %% |\n",
      connections, changes, io_threads, worst);
  for (unsigned i = 0; i < connections; i++) {
    close(fds[i]);
  }
  free(fds);
  service_stop(&process);
}

void measure_spread(unsigned io_threads, bool quick) {
  round_robin(io_threads, quick ? CONNECTIONS / 10 : CONNECTIONS);
  least_connections(io_threads, quick ? CONNECTIONS / 10 : CONNECTIONS,
                    quick ? CHANGES / 10 : CHANGES);
}
