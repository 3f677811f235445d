// Open mode: messages leave at a constant rate over all connections in turn, whatever comes back.
//
// Message number i is due at start + i / rate and belongs to connection i mod connections, so its
// due time follows from its place in its stream and nothing is stored. Latency counts from there:
// a message that had to wait, here, in the kernel or in the server, has waited. A server that falls
// behind for good shows as growing latencies and in `unanswered`.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bench/load/process.h"
#include "bench/load/run.h"

// When more is due than can be sent, what comes back must be read all the same.
enum { SENT_PER_TURN = 128 };

typedef struct {
  int timer_fd;
  uint64_t start_ns;
  uint64_t begin_ns; // messages due from here
  uint64_t end_ns;   // to here are measured
  uint64_t next;     // number of the next message
  load_histogram_t late;
} pace_t;

static void record(load_run_t *run, load_connection_t *connection, uint64_t before);
static bool is_measured(const pace_t *pace, uint64_t due_ns);
static uint64_t due_of(const load_run_t *run, uint64_t message);
static uint64_t due_of_echo(const load_run_t *run, const load_connection_t *connection,
                            uint64_t echo);
static void send_due(load_run_t *run);
static void watch_timer(load_run_t *run);
static void set_timer(const pace_t *pace, uint64_t at_ns);
static void wait_for_rest(load_run_t *run);
static uint64_t count_unanswered(load_run_t *run);

void load_open(load_run_t *run) {
  static const load_mode_ops_t ops = {.on_echo = record};
  static pace_t pace; // static for its size: a histogram is no matter for a stack
  run->ops = &ops;
  run->mode_state = &pace;
  load_run_open(run);
  watch_timer(run);
  pace.start_ns = load_clock_ns();
  pace.begin_ns = pace.start_ns + run->options->warm_up_ns;
  pace.end_ns = pace.begin_ns + run->options->duration_ns;

  while (load_clock_ns() < pace.end_ns) {
    if (!run->measuring && load_clock_ns() >= pace.begin_ns) {
      load_run_begin(run);
    }
    send_due(run);
    set_timer(&pace, due_of(run, pace.next));
    load_run_turn(run, run->measuring ? pace.end_ns : pace.begin_ns);
  }
  load_run_end(run);
  wait_for_rest(run);
  uint64_t unanswered = count_unanswered(run);
  load_run_print(run);
  printf(" offered=%.1f unanswered=%" PRIu64 " late_p99_us=%.1f\n", run->options->rate, unanswered,
         (double)load_histogram_quantile(&pace.late, 0.99) / 1000);
  close(pace.timer_fd);
}

static void record(load_run_t *run, load_connection_t *connection, uint64_t before) {
  const pace_t *pace = run->mode_state;
  uint64_t size = run->options->size_bytes;
  uint64_t now_ns = run->progress_ns; // read a moment ago, when the bytes had come
  for (uint64_t echo = before / size; echo < connection->received / size; echo++) {
    uint64_t due_ns = due_of_echo(run, connection, echo);
    if (is_measured(pace, due_ns)) {
      load_histogram_record(&run->latency, now_ns - due_ns);
    }
    if (run->measuring) {
      run->completed++;
    }
  }
}

static bool is_measured(const pace_t *pace, uint64_t due_ns) {
  return due_ns >= pace->begin_ns && due_ns < pace->end_ns;
}

static uint64_t due_of(const load_run_t *run, uint64_t message) {
  const pace_t *pace = run->mode_state;
  return pace->start_ns + (uint64_t)((double)message / run->options->rate * LOAD_NS_PER_SECOND);
}

// The first message of each connection proved that it works, before the clock started.
static uint64_t due_of_echo(const load_run_t *run, const load_connection_t *connection,
                            uint64_t echo) {
  uint64_t index = (uint64_t)(connection - run->connections);
  return due_of(run, (echo - 1) * run->options->connections + index);
}

static void send_due(load_run_t *run) {
  pace_t *pace = run->mode_state;
  uint64_t now_ns = load_clock_ns();
  uint64_t until_ns = now_ns < pace->end_ns ? now_ns + 1 : pace->end_ns;
  uint64_t last = pace->next + SENT_PER_TURN;
  uint64_t due_ns;
  for (; pace->next < last && (due_ns = due_of(run, pace->next)) < until_ns; pace->next++) {
    load_connection_t *connection = &run->connections[pace->next % run->options->connections];
    connection->allowed += run->options->size_bytes;
    load_connection_send(connection, &run->target);
    if (is_measured(pace, due_ns)) {
      load_histogram_record(&pace->late, load_clock_ns() - due_ns);
    }
  }
}

// epoll_wait counts in milliseconds, which is too coarse here.
static void watch_timer(load_run_t *run) {
  pace_t *pace = run->mode_state;
  pace->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
  if (pace->timer_fd < 0 || epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, pace->timer_fd, &event) != 0) {
    load_die("cannot make a timer: %s", strerror(errno));
  }
}

static void set_timer(const pace_t *pace, uint64_t at_ns) {
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / LOAD_NS_PER_SECOND),
                                         .tv_nsec = (long)(at_ns % LOAD_NS_PER_SECOND)}};
  if (timerfd_settime(pace->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0) {
    load_die("timerfd_settime: %s", strerror(errno));
  }
}

// What is under way gets --stall seconds in all; then it counts as unanswered.
static void wait_for_rest(load_run_t *run) {
  const pace_t *pace = run->mode_state;
  uint64_t until_ns = pace->end_ns + run->options->stall_ns;
  while (load_clock_ns() < until_ns &&
         (due_of(run, pace->next) < pace->end_ns || !load_run_is_drained(run))) {
    send_due(run);
    set_timer(pace, due_of(run, pace->next));
    load_run_turn(run, until_ns);
    run->progress_ns = load_clock_ns(); // no stall: the limit is here
  }
}

static uint64_t count_unanswered(load_run_t *run) {
  pace_t *pace = run->mode_state;
  uint64_t size = run->options->size_bytes;
  uint64_t now_ns = load_clock_ns();
  uint64_t count = 0;
  uint64_t due_ns;
  for (; (due_ns = due_of(run, pace->next)) < pace->end_ns; pace->next++) { // not even sent
    if (is_measured(pace, due_ns)) {
      load_histogram_record(&run->latency, now_ns - due_ns);
      count++;
    }
  }
  for (size_t i = 0; i < run->options->connections; i++) {
    const load_connection_t *connection = &run->connections[i];
    for (uint64_t echo = connection->received / size; echo < connection->allowed / size; echo++) {
      due_ns = due_of_echo(run, connection, echo);
      if (is_measured(pace, due_ns)) {
        load_histogram_record(&run->latency, now_ns - due_ns);
        count++;
      }
    }
  }
  return count;
}
