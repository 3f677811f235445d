// Closed mode: a connection keeps --in-flight messages under way and sends the next one when an
// echo came back whole. Latency counts from the moment the message was due to leave.

#include <stdio.h>
#include <stdlib.h>

#include "bench/load/process.h"
#include "bench/load/run.h"

typedef struct {
  bool stopping;
  uint64_t *due_ns; // in_flight slots a connection; message m uses slot m % in_flight
} closed_t;

static void send_next(load_run_t *run, load_connection_t *connection, uint64_t before);
static uint64_t *slots_of(load_run_t *run, const load_connection_t *connection);
static void start(load_run_t *run);
static bool is_over(const load_run_t *run);

void load_closed(load_run_t *run) {
  static const load_mode_ops_t ops = {.on_echo = send_next};
  closed_t closed = {.stopping = false};
  closed.due_ns = calloc(run->options->connections * run->options->in_flight, sizeof(uint64_t));
  if (closed.due_ns == NULL) {
    load_die("no memory for the messages in flight");
  }
  run->ops = &ops;
  run->mode_state = &closed;

  load_run_open(run);
  start(run);
  uint64_t begin_ns = load_clock_ns() + run->options->warm_up_ns;
  while (load_clock_ns() < begin_ns) {
    load_run_turn(run, begin_ns);
  }
  load_run_begin(run);
  while (!is_over(run)) {
    load_run_turn(run, run->begun_ns + run->options->duration_ns);
  }
  load_run_end(run);
  closed.stopping = true;
  load_run_drain(run);
  load_run_print(run);
  printf(" in_flight=%llu\n", (unsigned long long)run->options->in_flight);
  free(closed.due_ns);
}

static void send_next(load_run_t *run, load_connection_t *connection, uint64_t before) {
  closed_t *closed = run->mode_state;
  uint64_t size = run->options->size_bytes;
  uint64_t first = before / size;
  uint64_t behind_last = connection->received / size;
  uint64_t now_ns = run->progress_ns; // read a moment ago, when the bytes had come
  uint64_t *due_ns = slots_of(run, connection);
  for (uint64_t message = first; message < behind_last; message++) {
    uint64_t *slot = &due_ns[message % run->options->in_flight];
    if (run->measuring) {
      load_histogram_record(&run->latency, now_ns - *slot);
      run->completed++;
    }
    *slot = now_ns; // of message + in_flight, which is due from now on
  }
  if (!closed->stopping) {
    connection->allowed += (behind_last - first) * size;
  }
}

static uint64_t *slots_of(load_run_t *run, const load_connection_t *connection) {
  closed_t *closed = run->mode_state;
  size_t index = (size_t)(connection - run->connections);
  return closed->due_ns + index * run->options->in_flight;
}

static void start(load_run_t *run) {
  for (size_t i = 0; i < run->options->connections; i++) {
    load_connection_t *connection = &run->connections[i];
    uint64_t now_ns = load_clock_ns();
    for (uint64_t slot = 0; slot < run->options->in_flight; slot++) {
      slots_of(run, connection)[slot] = now_ns;
    }
    connection->allowed += run->options->in_flight * run->options->size_bytes;
    load_connection_send(connection, &run->target);
  }
}

static bool is_over(const load_run_t *run) {
  if (run->options->messages != 0) {
    return run->completed >= run->options->messages;
  }
  return load_clock_ns() >= run->begun_ns + run->options->duration_ns;
}
