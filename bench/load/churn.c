// Churn mode: connect, echo one message, half-close, wait for the server's end, close, and again.
// A cycle is complete when the server's end came, so a server that leaves connections behind
// stalls.

#include <stdio.h>
#include <stdlib.h>

#include "bench/load/process.h"
#include "bench/load/run.h"

#define RETRY_NS 1000000U

typedef struct {
  bool stopping;
  size_t refused; // slots that wait for room in the server's queue; only Unix sockets tell
  uint64_t *started_ns;
} churn_t;

static void half_close(load_run_t *run, load_connection_t *connection, uint64_t before);
static void begin_again(load_run_t *run, load_connection_t *connection);
static void start(load_run_t *run, load_connection_t *connection);
static void retry_refused(load_run_t *run);
static void turn(load_run_t *run, uint64_t wake_ns);
static bool is_over(const load_run_t *run);

void load_churn(load_run_t *run) {
  static const load_mode_ops_t ops = {.on_echo = half_close, .on_end = begin_again};
  churn_t churn = {.stopping = false};
  churn.started_ns = calloc(run->options->connections, sizeof(uint64_t));
  if (churn.started_ns == NULL) {
    load_die("no memory for the connections");
  }
  run->ops = &ops;
  run->mode_state = &churn;

  run->progress_ns = load_clock_ns();
  for (size_t i = 0; i < run->options->connections; i++) {
    start(run, &run->connections[i]);
  }
  uint64_t begin_ns = load_clock_ns() + run->options->warm_up_ns;
  while (load_clock_ns() < begin_ns) {
    turn(run, begin_ns);
  }
  load_run_begin(run);
  while (!is_over(run)) {
    turn(run, run->begun_ns + run->options->duration_ns);
  }
  load_run_end(run);
  churn.stopping = true;
  load_run_drain(run);
  load_run_print(run);
  putchar('\n');
  free(churn.started_ns);
}

static void half_close(load_run_t *run, load_connection_t *connection, uint64_t before) {
  (void)before;
  if (connection->received == run->options->size_bytes) {
    load_connection_shutdown(connection);
  }
}

static void begin_again(load_run_t *run, load_connection_t *connection) {
  churn_t *churn = run->mode_state;
  load_connection_close(connection);
  if (run->measuring) {
    uint64_t started_ns = churn->started_ns[connection - run->connections];
    load_histogram_record(&run->latency, load_clock_ns() - started_ns);
    run->completed++;
  }
  if (!churn->stopping) {
    start(run, connection);
  }
}

static void start(load_run_t *run, load_connection_t *connection) {
  churn_t *churn = run->mode_state;
  churn->started_ns[connection - run->connections] = load_clock_ns();
  if (!load_connection_open(connection, &run->target, run->next_serial, run->epoll_fd)) {
    churn->refused++;
    return;
  }
  run->next_serial++;
  connection->allowed = run->options->size_bytes;
  load_connection_send(connection, &run->target);
}

static void retry_refused(load_run_t *run) {
  churn_t *churn = run->mode_state;
  churn->refused = 0;
  for (size_t i = 0; i < run->options->connections; i++) {
    if (run->connections[i].fd < 0) {
      start(run, &run->connections[i]);
    }
  }
}

static void turn(load_run_t *run, uint64_t wake_ns) {
  const churn_t *churn = run->mode_state;
  if (churn->refused > 0) {
    uint64_t retry_ns = load_clock_ns() + RETRY_NS;
    load_run_turn(run, retry_ns < wake_ns ? retry_ns : wake_ns);
    retry_refused(run);
  } else {
    load_run_turn(run, wake_ns);
  }
}

static bool is_over(const load_run_t *run) {
  if (run->options->messages != 0) {
    return run->completed >= run->options->messages;
  }
  return load_clock_ns() >= run->begun_ns + run->options->duration_ns;
}
