// The engine under all modes: see run.h.

#include "bench/load/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/load/pattern.h"
#include "bench/load/process.h"

enum {
  EXIT_INTERRUPTED = 130,
  EVENTS_PER_TURN = 256,
  OPENING_AT_ONCE = 64,
  FILES_BESIDE_CONNECTIONS = 32,
  LONGEST_WAIT_MS = 200, // how late a signal or a stalled server is noticed
};

#define NS_PER_MS 1000000U

static void count_opened(load_run_t *run, load_connection_t *connection, uint64_t before);
static void serve(load_run_t *run, load_connection_t *connection, uint32_t events);
static int wait_ms(uint64_t wake_ns);

static void complain_about_stall(const load_run_t *run);
static double in_us(uint64_t value_ns);

void load_run_prepare(load_run_t *run, const load_options_t *options) {
  *run = (load_run_t){.options = options};
  load_pattern_prepare();
  load_catch_signals();
  load_target_parse(&run->target, options->target, options->sources);
  load_allow_files(options->connections + FILES_BESIDE_CONNECTIONS);
  run->connections = calloc(options->connections, sizeof *run->connections);
  if (run->connections == NULL) {
    load_die("no memory for %" PRIu64 " connections", options->connections);
  }
  for (size_t i = 0; i < options->connections; i++) {
    run->connections[i].fd = -1;
  }
  run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (run->epoll_fd < 0) {
    load_die("epoll_create1: %s", strerror(errno));
  }
  if (options->server != 0 && load_cpu_of(options->server) < 0) {
    load_die("there is no process %ld", (long)options->server);
  }
}

void load_run_open(load_run_t *run) {
  static const load_mode_ops_t opening = {.on_echo = count_opened};
  const load_mode_ops_t *ops = run->ops;
  run->ops = &opening;
  run->progress_ns = load_clock_ns();
  size_t started = 0;
  while (run->opened < run->options->connections) {
    bool refused = false;
    while (!refused && started < run->options->connections &&
           started - run->opened < OPENING_AT_ONCE) {
      load_connection_t *connection = &run->connections[started];
      refused = !load_connection_open(connection, &run->target, run->next_serial, run->epoll_fd);
      if (!refused) {
        started++;
        run->next_serial++;
        connection->allowed = run->options->size_bytes;
        load_connection_send(connection, &run->target);
      }
    }
    load_run_turn(run, load_clock_ns() + (refused ? NS_PER_MS : LONGEST_WAIT_MS * NS_PER_MS));
  }
  run->ops = ops;
}

void load_run_turn(load_run_t *run, uint64_t wake_ns) {
  struct epoll_event events[EVENTS_PER_TURN];
  int count = epoll_wait(run->epoll_fd, events, EVENTS_PER_TURN, wait_ms(wake_ns));
  if (count < 0 && errno != EINTR) {
    load_die("epoll_wait: %s", strerror(errno));
  }
  if (load_interrupted() && !run->holding) {
    exit(EXIT_INTERRUPTED);
  }
  for (int i = 0; i < count; i++) {
    if (events[i].data.ptr != NULL) { // NULL: the clock of the open mode, which looks for itself
      serve(run, events[i].data.ptr, events[i].events);
    }
  }
  if (count <= 0 && load_clock_ns() > run->progress_ns + run->options->stall_ns) {
    complain_about_stall(run);
  }
}

void load_run_drain(load_run_t *run) {
  run->progress_ns = load_clock_ns();
  while (!load_run_is_drained(run)) {
    load_run_turn(run, load_clock_ns() + LONGEST_WAIT_MS * NS_PER_MS);
  }
}

void load_run_begin(load_run_t *run) {
  run->server_cpu = run->options->server != 0 ? load_cpu_of(run->options->server) : 0;
  run->own_cpu = load_cpu_own();
  run->begun_ns = load_clock_ns();
  run->measuring = true;
}

void load_run_end(load_run_t *run) {
  run->seconds = (double)(load_clock_ns() - run->begun_ns) / LOAD_NS_PER_SECOND;
  run->own_cpu = load_cpu_own() - run->own_cpu;
  run->measuring = false;
  if (run->options->server != 0) {
    double server_cpu = load_cpu_of(run->options->server);
    if (server_cpu < 0) {
      load_die("the server, process %ld, has ended", (long)run->options->server);
    }
    run->server_cpu = server_cpu - run->server_cpu;
  }
}

void load_run_print(const load_run_t *run) {
  const load_options_t *options = run->options;
  double rate = (double)run->completed / run->seconds;
  printf("mode=%s connections=%" PRIu64 " size=%" PRIu64 " seconds=%.4f messages=%" PRIu64
         " rate=%.1f mib_per_s=%.2f generator_cpu_s=%.4f",
         load_mode_name(options->mode), options->connections, options->size_bytes, run->seconds,
         run->completed, rate, rate * (double)options->size_bytes / 1048576, run->own_cpu);
  if (options->server != 0) {
    printf(" server_cpu_s=%.2f", run->server_cpu);
  }
  const load_histogram_t *latency = &run->latency;
  printf(" p50_us=%.1f p90_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f",
         in_us(load_histogram_quantile(latency, 0.5)), in_us(load_histogram_quantile(latency, 0.9)),
         in_us(load_histogram_quantile(latency, 0.99)),
         in_us(load_histogram_quantile(latency, 0.999)), in_us(latency->max_ns));
}

void load_run_release(load_run_t *run) {
  for (size_t i = 0; i < run->options->connections; i++) {
    load_connection_close(&run->connections[i]);
  }
  free(run->connections);
  close(run->epoll_fd);
}

static void count_opened(load_run_t *run, load_connection_t *connection, uint64_t before) {
  (void)before;
  if (connection->received == run->options->size_bytes) {
    run->opened++;
  }
}

static void serve(load_run_t *run, load_connection_t *connection, uint32_t events) {
  uint32_t ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  if (ending != 0 || (events & EPOLLIN) != 0) {
    uint64_t before = connection->received;
    load_connection_receive(connection, &run->target, ending != 0);
    if (connection->received != before) {
      run->progress_ns = load_clock_ns();
      run->ops->on_echo(run, connection, before);
    }
    if (connection->ended) {
      if (run->ops->on_end == NULL) {
        load_die("connection %" PRIu64 ": %s ended the stream", connection->serial,
                 run->target.text);
      }
      run->ops->on_end(run, connection);
    }
  }
  if (connection->sent < connection->allowed && connection->fd >= 0) {
    load_connection_send(connection, &run->target);
  }
}

// Rounded up: waking early would only mean to wait again.
static int wait_ms(uint64_t wake_ns) {
  uint64_t now_ns = load_clock_ns();
  if (wake_ns <= now_ns) {
    return 0;
  }
  uint64_t rest = (wake_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
  return rest < LONGEST_WAIT_MS ? (int)rest : LONGEST_WAIT_MS;
}

bool load_run_is_drained(const load_run_t *run) {
  for (size_t i = 0; i < run->options->connections; i++) {
    if (run->connections[i].received < run->connections[i].allowed) {
      return false;
    }
  }
  return true;
}

static void complain_about_stall(const load_run_t *run) {
  uint64_t waiting = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < run->options->connections; i++) {
    const load_connection_t *connection = &run->connections[i];
    if (connection->fd >= 0 && connection->received < connection->allowed) {
      waiting++;
      bytes += connection->sent - connection->received;
    }
  }
  load_die("nothing came back from %s for %.1f s: %" PRIu64 " of %" PRIu64
           " connections wait, for %" PRIu64 " bytes that were sent",
           run->target.text, (double)run->options->stall_ns / LOAD_NS_PER_SECOND, waiting,
           run->options->connections, bytes);
}

static double in_us(uint64_t value_ns) {
  return (double)value_ns / 1000;
}
