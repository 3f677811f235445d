// Idle mode: connections that have echoed one message each are held open while somebody looks at
// the server, for example at its memory.

#include <inttypes.h>
#include <stdio.h>

#include "bench/load/process.h"
#include "bench/load/run.h"

static void expect_nothing(load_run_t *run, load_connection_t *connection, uint64_t before);

void load_idle(load_run_t *run) {
  static const load_mode_ops_t ops = {.on_echo = expect_nothing};
  run->ops = &ops;
  uint64_t start_ns = load_clock_ns();
  load_run_open(run);
  printf("ready mode=idle connections=%" PRIu64 " seconds=%.4f\n", run->options->connections,
         (double)(load_clock_ns() - start_ns) / LOAD_NS_PER_SECOND);
  fflush(stdout);

  run->holding = true;
  uint64_t now_ns = load_clock_ns();
  uint64_t end_ns = run->options->hold_ns != 0 ? now_ns + run->options->hold_ns : UINT64_MAX;
  while (!load_interrupted() && now_ns < end_ns) {
    load_run_turn(run, end_ns);
    now_ns = load_clock_ns();
    run->progress_ns = now_ns; // silence is what this mode wants
  }
}

// Unreachable: nothing was sent that has not come back, and more than that ends the program
// earlier.
static void expect_nothing(load_run_t *run, load_connection_t *connection, uint64_t before) {
  (void)run;
  (void)before;
  load_die("connection %" PRIu64 " spoke while all should be silent", connection->serial);
}
