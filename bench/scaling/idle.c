// What 200 actors with 10,000 connections cost that have echoed once and are silent.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/scaling/scaling.h"

enum {
  ACTORS = 200,
  CONNECTIONS = 10000,
  WARM_UP = 1200,
  WARM_UP_ECHOES = 200,
  SETTLE_MS = 4000,
  WATCH_MS = 10000
};

static void echo_once(int fd) {
  char message[MESSAGE] = {0};
  send_all(fd, message, sizeof message);
  receive_all(fd, message, sizeof message);
}

void measure_idle(unsigned io_threads, bool quick) {
  unsigned connections = quick ? CONNECTIONS / 5 : CONNECTIONS;
  process_t process = service_start(ACTORS, io_threads, TROUPE_POLICY_ROUND_ROBIN);
  int *fds = malloc((connections + WARM_UP) * sizeof *fds);
  if (fds == NULL) {
    give_up("malloc");
  }
  int64_t empty = process_pss_bytes(process.pid);
  unsigned threads = process_threads(process.pid);
  // What an actor has once it has been at work is its own, not a connection's; so are its pipes, which
  // take memory by the chunk of 256 messages.
  for (unsigned i = 0; i < WARM_UP; i++) {
    fds[i] = service_connect(&process);
    for (unsigned k = 0; k < WARM_UP_ECHOES; k++) {
      echo_once(fds[i]);
    }
  }
  sleep_ms(SETTLE_MS);
  int64_t before = process_pss_bytes(process.pid);
  for (unsigned i = 0; i < connections; i++) {
    fds[WARM_UP + i] = service_connect(&process);
    echo_once(fds[WARM_UP + i]);
  }
  sleep_ms(SETTLE_MS);
  int64_t after = process_pss_bytes(process.pid);
  int64_t switches = process_context_switches(process.pid);
  sleep_ms(WATCH_MS);
  switches = process_context_switches(process.pid) - switches;
  printf("| memory of an idle connection, %u actors, %u connections | %u | %" PRId64
         " bytes | at most 1024 bytes |\n",
         ACTORS, connections, io_threads, (after - before) / connections);
  printf("| the actors themselves: stacks, pipes, inboxes | %u | %" PRId64 " KiB each, %" PRId64
         " KiB once they have served | |\n",
         io_threads, empty / 1024 / ACTORS, before / 1024 / ACTORS);
  printf("| context switches of all %u threads in 10 s | %u | %" PRId64 " | at most 10 |\n",
         threads, io_threads, switches);
  for (unsigned i = 0; i < connections + WARM_UP; i++) {
    close(fds[i]);
  }
  free(fds);
  service_stop(&process);
}
