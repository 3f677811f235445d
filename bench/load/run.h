// Private to the load generator: one run from the first connection to the printed line.
//
// The engine here opens connections, waits, moves bytes, keeps the measured window and watches for
// a server that has stopped answering. What makes a mode is in the two callbacks of
// load_mode_ops_t.

#ifndef LOAD_RUN_H_INCLUDED
#define LOAD_RUN_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/load/connection.h"
#include "bench/load/histogram.h"
#include "bench/load/options.h"
#include "bench/load/target.h"

typedef struct load_run load_run_t;

typedef struct {
  // Bytes have come back on this connection: `before` is where `received` was.
  void (*on_echo)(load_run_t *run, load_connection_t *connection, uint64_t before);
  // The server has ended its side and everything sent had come back. NULL: it may not.
  void (*on_end)(load_run_t *run, load_connection_t *connection);
} load_mode_ops_t;

struct load_run {
  const load_options_t *options;
  const load_mode_ops_t *ops;
  void *mode_state; // of the mode's own
  load_target_t target;
  int epoll_fd;
  load_connection_t *connections; // options->connections of them
  uint64_t next_serial;
  size_t opened;
  bool holding;         // a signal is the wanted end
  uint64_t progress_ns; // when something last came back, or nothing was awaited
  // The measured window.
  bool measuring;
  uint64_t begun_ns;
  double seconds; // these three are differences once the window has closed
  double own_cpu;
  double server_cpu;
  uint64_t completed; // messages (or cycles) that ended inside the window
  load_histogram_t latency;
};

void load_run_prepare(load_run_t *run, const load_options_t *options);

// Opens all connections and has each echo one message, so that every one was accepted and works.
// Not more than a few dozen are at it at a time: the queue of the listening socket is not the
// subject.
void load_run_open(load_run_t *run);

// One turn: waits for the sockets until `wake_ns` at the latest (not at all when that has passed),
// then serves them. Ends the program after a signal and when nothing comes back for too long.
void load_run_turn(load_run_t *run, uint64_t wake_ns);

// Whether all that may be sent has come back, and turns until it is so.
bool load_run_is_drained(const load_run_t *run);
void load_run_drain(load_run_t *run);

// The measured window opens and closes.
void load_run_begin(load_run_t *run);
void load_run_end(load_run_t *run);

// Prints what the window held, without ending the line: the caller adds what only its mode has.
void load_run_print(const load_run_t *run);

void load_run_release(load_run_t *run);

// The modes. Each does its whole run and prints its line.
void load_closed(load_run_t *run);
void load_open(load_run_t *run);
void load_churn(load_run_t *run);
void load_idle(load_run_t *run);

#endif
