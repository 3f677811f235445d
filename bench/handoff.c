// Measures hand-offs: what one costs when nothing else goes on, and how many are possible.
//
// Connections are pairs of local sockets; one end is an actor's, and is given to the next actor as
// soon as it has come, with a message of 16 bytes. Nothing is read or written, so it is the
// hand-off alone that costs: a message to the I/O actor, one from there to the receiver, and one
// that tells the giver.
// A figure is wall-clock time, the median of 7 rounds with their range beside it: the time of all
// divided by their number, or, where each waits a millisecond before it goes on, the median of the
// times from a give to on_handed.

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <troupe/troupe.h>
#include <unistd.h>

enum { ROUNDS = 7, ACTORS_MAX = 8, PACED_MAX = 1000 };

// What goes along.
typedef struct {
  uint64_t hops; // of this connection so far
  uint64_t given_ns;
} trip_t;

typedef struct {
  unsigned actors, connections;
  uint64_t hops;             // of all
  unsigned wait_ms;          // before each
  double took_ns[PACED_MAX]; // if it waits
  atomic_ullong done;
  atomic_ullong ids[ACTORS_MAX];
  atomic_uint failures;
} play_t;

typedef struct {
  play_t *play;
  unsigned index;
  int *fds; // of the first one: the ends that are adopted
} seat_t;

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void go_on(const seat_t *seat, troupe_socket_t socket, trip_t trip) {
  play_t *play = seat->play;
  unsigned to = (seat->index + 1) % play->actors;
  trip.hops++;
  trip.given_ns = now_ns();
  troupe_actor_t next = {.id = atomic_load_explicit(&play->ids[to], memory_order_relaxed)};
  if (troupe_socket_give(socket, next, &trip, sizeof trip, NULL, NULL) != 0) {
    atomic_fetch_add(&play->failures, 1);
  }
}

// The one connection that waits a little before it goes on.
typedef struct {
  const seat_t *seat;
  troupe_socket_t socket;
  trip_t trip;
} pause_t;

static void on_pause(troupe_timer_t timer, void *context) {
  pause_t *pause = context;
  (void)timer;
  go_on(pause->seat, pause->socket, pause->trip);
}

static void on_handed(troupe_socket_t socket, troupe_actor_t from, const troupe_chunk_t *message,
                      void *context) {
  static _Thread_local pause_t pause;
  const seat_t *seat = context;
  play_t *play = seat->play;
  trip_t trip;
  (void)from;
  memcpy(&trip, troupe_chunk_bytes(message), sizeof trip);
  if (play->wait_ms > 0) {
    play->took_ns[trip.hops - 1] = (double)(now_ns() - trip.given_ns);
  }
  bool goes_on = trip.hops < play->hops / play->connections;
  atomic_fetch_add_explicit(&play->done, 1, memory_order_release);
  if (goes_on && play->wait_ms == 0) {
    go_on(seat, socket, trip);
  } else if (goes_on) {
    pause = (pause_t){.seat = seat, .socket = socket, .trip = trip};
    if (troupe_timer_start(NULL, play->wait_ms, 0, on_pause, &pause) != 0) {
      atomic_fetch_add(&play->failures, 1);
    }
  }
}

// The first actor begins when the last one is there.
static void on_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  const seat_t *seat = context;
  (void)from;
  (void)message;
  for (unsigned i = 0; i < seat->play->connections; i++) {
    troupe_socket_t socket;
    if (troupe_socket_adopt(seat->fds[i], TROUPE_READABLE | TROUPE_WRITABLE, NULL, NULL, NULL,
                            &socket) != 0) {
      atomic_fetch_add(&seat->play->failures, 1);
      continue;
    }
    go_on(seat, socket, (trip_t){0});
  }
}

static int actor(void *argument) {
  int error = troupe_actor_on_handed(on_handed, argument);
  if (error == 0) {
    error = troupe_actor_on_message(on_message, argument);
  }
  return error != 0 ? error : troupe_actor_run();
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

// The time of a hand-off in nanoseconds.
static double measure(const troupe_system_options_t *options, unsigned actors, unsigned connections,
                      uint64_t hops, unsigned wait_ms) {
  static play_t play;
  play = (play_t){.actors = actors, .connections = connections, .hops = hops, .wait_ms = wait_ms};
  seat_t seats[ACTORS_MAX];
  int *ours = calloc(connections, sizeof *ours), *theirs = calloc(connections, sizeof *theirs);
  troupe_system_t *system = NULL;
  if (ours == NULL || theirs == NULL || troupe_system_new(options, &system) != 0) {
    abort();
  }
  for (unsigned i = 0; i < connections; i++) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      abort();
    }
    ours[i] = ends[0];
    theirs[i] = ends[1];
  }
  for (unsigned i = 0; i < actors; i++) {
    troupe_actor_t made;
    seats[i] = (seat_t){.play = &play, .index = i, .fds = theirs};
    troupe_spawn_options_t spawn = {.name = "hand", .main = actor, .argument = &seats[i]};
    if (troupe_spawn(system, &spawn, &made) != 0) {
      abort();
    }
    atomic_store(&play.ids[i], made.id);
  }
  uint64_t began = now_ns();
  troupe_actor_t first = {.id = atomic_load(&play.ids[0])};
  if (troupe_post(system, first, "go", 2) != 0) {
    abort();
  }
  uint64_t all = hops / connections * connections;
  const struct timespec wait = {.tv_nsec = 1000000};
  while (atomic_load(&play.done) < all && atomic_load(&play.failures) == 0) {
    nanosleep(&wait, NULL);
  }
  double elapsed = (double)(now_ns() - began);
  troupe_system_stop(system, 0);
  if (troupe_system_wait(system, 10000, NULL, 0, NULL) != 0 || troupe_system_free(&system) != 0 ||
      atomic_load(&play.failures) > 0) {
    fprintf(stderr, "handoff: something went wrong\n");
    exit(1);
  }
  for (unsigned i = 0; i < connections; i++) {
    close(ours[i]);
  }
  free(ours);
  free(theirs);
  if (wait_ms > 0) {
    qsort(play.took_ns, all, sizeof play.took_ns[0], compare);
    return play.took_ns[all / 2];
  }
  return elapsed / (double)all;
}

static void report(const troupe_system_options_t *options, const char *what, unsigned actors,
                   unsigned connections, uint64_t hops, unsigned wait_ms) {
  double times[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    times[i] = measure(options, actors, connections, hops, wait_ms);
  }
  qsort(times, ROUNDS, sizeof times[0], compare);
  double median = times[ROUNDS / 2];
  printf("%-36s %8.2f us (%.2f to %.2f)  %9.0f a second\n", what, median / 1000, times[0] / 1000,
         times[ROUNDS - 1] / 1000, 1e9 / median);
  fflush(stdout);
}

int main(int argc, char **argv) {
  troupe_system_options_t options = {0};
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--spin-us") == 0 && i + 1 < argc) {
      options.spin_us = atoi(argv[++i]);
    } else if (strcmp(argv[i], "--io-threads") == 0 && i + 1 < argc) {
      options.io_threads = (unsigned)atoi(argv[++i]);
    } else {
      fputs("usage: handoff [--spin-us U] [--io-threads N]\n\nU as in troupe's options: 0 is the "
            "default, -1 not at all.\n",
            stderr);
      return 2;
    }
  }
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  report(&options, "one connection, a millisecond apart", 2, 1, PACED_MAX, 1);
  report(&options, "one connection, one after the other", 2, 1, 20000, 0);
  report(&options, "16 connections, 2 actors", 2, 16, 100000, 0);
  report(&options, "256 connections, 2 actors", 2, 256, 400000, 0);
  report(&options, "256 connections, 4 actors", 4, 256, 400000, 0);
  return 0;
}
