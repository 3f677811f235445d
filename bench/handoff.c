// Measures hand-offs: what one costs when nothing else goes on, and how many are possible.
//
// Connections are pairs of local sockets; one end is an actor's, and is given to the next actor as
// soon as it has come, with a message of 8 bytes. Nothing is read or written, so it is the
// hand-off alone that costs: three messages to the I/O actor and back, and two actors that wake.
// A figure is wall-clock time, the median of 7 rounds with their range beside it.

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

enum { ROUNDS = 7, ACTORS_MAX = 8 };

// What goes along.
typedef struct {
  uint64_t hops; // of this connection so far
} trip_t;

typedef struct {
  unsigned actors, connections;
  uint64_t hops; // of all
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
  troupe_actor_t next = {.id = atomic_load_explicit(&play->ids[to], memory_order_relaxed)};
  if (troupe_socket_give(socket, next, &trip, sizeof trip, NULL, NULL) != 0) {
    atomic_fetch_add(&play->failures, 1);
  }
}

static void on_handed(troupe_socket_t socket, troupe_actor_t from, const troupe_chunk_t *message,
                      void *context) {
  const seat_t *seat = context;
  play_t *play = seat->play;
  trip_t trip;
  (void)from;
  memcpy(&trip, troupe_chunk_bytes(message), sizeof trip);
  atomic_fetch_add_explicit(&play->done, 1, memory_order_relaxed);
  if (trip.hops < play->hops / play->connections) {
    go_on(seat, socket, trip);
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

// The time of a hand-off in nanoseconds: of one after the other, or with so many at once.
static double measure(unsigned actors, unsigned connections, uint64_t hops) {
  play_t play = {.actors = actors, .connections = connections, .hops = hops};
  seat_t seats[ACTORS_MAX];
  int *ours = calloc(connections, sizeof *ours), *theirs = calloc(connections, sizeof *theirs);
  troupe_system_t *system = NULL;
  if (ours == NULL || theirs == NULL || troupe_system_new(NULL, &system) != 0) {
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
    troupe_spawn_options_t options = {.name = "hand", .main = actor, .argument = &seats[i]};
    if (troupe_spawn(system, &options, &made) != 0) {
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
  return elapsed / (double)all;
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static void report(const char *what, unsigned actors, unsigned connections, uint64_t hops) {
  double times[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    times[i] = measure(actors, connections, hops);
  }
  qsort(times, ROUNDS, sizeof times[0], compare);
  double median = times[ROUNDS / 2];
  printf("%-34s %8.2f us (%.2f to %.2f)  %9.0f a second\n", what, median / 1000, times[0] / 1000,
         times[ROUNDS - 1] / 1000, 1e9 / median);
  fflush(stdout);
}

int main(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  report("one connection, 2 actors", 2, 1, 20000);
  report("16 connections, 2 actors", 2, 16, 100000);
  report("256 connections, 2 actors", 2, 256, 400000);
  report("256 connections, 4 actors", 4, 256, 400000);
  return 0;
}
