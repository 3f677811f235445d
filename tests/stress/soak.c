// A long, random load over TCP and Unix sockets, with every byte accounted for, and memory and
// descriptors flat at the end:
//
//   soak SECONDS [SEED]
//
// Four actors echo. They pause at random, and do what a connection's first byte says: echo; take
// all and tell how much it was once the peer has ended; destroy; reset. One actor connects to them
// as an application does. The main thread plays the other peers on plain sockets, and ends them in
// many ways. Ends with status 0, or says what is wrong and ends with status 1.
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/stress.h"

enum {
  ACTORS = 4,
  PEERS = 64,   // at a time, on plain sockets
  CALLERS = 16, // at a time, in the calling actor
  LONGEST = 3 * 1024 * 1024,
  STUCK_MS = 20000,
  MIB = 1024 * 1024,
  GROWTH = 6 * MIB,
  WARM = 10000,        // peers after which pools have filled and tables have grown
  RSS_MOST = 48 * MIB, // of a run that is too short for as many in its first part
};

typedef enum { ECHO = 'e', COUNT = 'c', DESTROY = 'd', RESET = 'r' } plan_t;

static struct {
  uint64_t seed;
  unsigned io_actors;
  test_service_t tcp, local;
  atomic_bool quiet;   // nobody begins anything new
  atomic_uint calling; // connections of the calling actor that are open
  atomic_ullong calls, call_bytes;
  atomic_ullong served; // connections whose on_close came
  uint64_t peers, clean, bytes_sent, bytes_back;
} soak;

static _Noreturn void fail_loudly(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void fail_loudly(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fflush(stdout);
  fprintf(stderr, "soak: FAILED: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " (seed %" PRIu64 ")\n", soak.seed);
  va_end(arguments);
  _exit(1);
}

// splitmix64, as in the tests' harness, whose seed is a variable of the environment instead.
static uint64_t draw(trp_test_random_t *random, uint64_t bound) {
  return trp_test_random_below(random, bound);
}

// Many short ones, some long ones.
static uint64_t draw_length(trp_test_random_t *random) {
  uint64_t most = draw(random, 8) == 0 ? LONGEST : draw(random, 2) == 0 ? 64 * 1024 : 200;
  return draw(random, most + 1);
}

// ---- The actors that serve ----

typedef struct {
  troupe_socket_t socket;
  plan_t plan;
  uint64_t count;         // bytes behind the plan
  uint64_t until;         // destroys or resets after so many
  troupe_timer_t resumes; // while it pauses
  bool pauses, ended;
} served_t;

static void wake(troupe_timer_t timer, void *context) {
  served_t *served = context;
  (void)timer;
  served->pauses = false;
  troupe_socket_resume(served->socket);
}

static void pause_a_while(served_t *served) {
  if (!served->pauses &&
      troupe_timer_start(&served->resumes, (unsigned)(troupe_random() % 5), 0, wake, served) == 0) {
    served->pauses = true;
    troupe_socket_pause(served->socket);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  served_t *served = context;
  const uint8_t *bytes = troupe_chunk_bytes(chunk);
  size_t length = troupe_chunk_length(chunk);
  if (served->plan == 0) {
    served->plan = (plan_t)bytes[0];
    served->until = troupe_random() % 50000;
    bytes++;
    length--;
  }
  if (!stress_is_filled(bytes, length, served->count)) {
    fail_loudly("an actor got wrong bytes behind %" PRIu64, served->count);
  }
  served->count += length;
  switch (served->plan) {
  case COUNT:
    break;
  case ECHO:
    if (length > 0 && troupe_socket_write(socket, bytes, length, NULL, NULL) == 0) {
      troupe_socket_pause(socket);
      return; // until it drains
    }
    break;
  case DESTROY:
    if (served->count >= served->until) {
      troupe_socket_destroy(socket, 0);
      return;
    }
    break;
  case RESET:
    if (served->count >= served->until) {
      if (troupe_socket_reset_and_destroy(socket) != 0) { // not TCP
        troupe_socket_destroy(socket, 0);
      }
      return;
    }
    break;
  default:
    fail_loudly("an actor got the plan %d", (int)served->plan);
  }
  if (troupe_random() % 50 == 0) {
    pause_a_while(served);
  }
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)context;
  troupe_socket_resume(socket);
}

// Half open: what is to be said now takes its time.
static void on_end(troupe_socket_t socket, void *context) {
  served_t *served = context;
  served->ended = true;
  if (served->plan == COUNT) {
    uint64_t count = served->count;
    troupe_socket_write(socket, &count, sizeof count, NULL, NULL);
  }
  troupe_socket_end(socket, NULL, NULL);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  served_t *served = context;
  (void)socket;
  (void)had_error;
  atomic_fetch_add(&soak.served, 1);
  if (served->pauses) {
    troupe_timer_stop(served->resumes);
  }
  free(served);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_drain = on_drain, .on_end = on_end, .on_close = on_close};
  served_t *served = calloc(1, sizeof *served);
  (void)server;
  (void)context;
  if (served == NULL) {
    fail_loudly("out of memory");
  }
  served->socket = socket;
  troupe_socket_set_handlers(socket, &handlers, served);
}

static int serving_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  static const troupe_server_options_t options = {.allow_half_open = true};
  (void)argument;
  int error = stress_listen(&soak.tcp, &options, &handlers, NULL);
  if (error == 0) {
    error = stress_listen(&soak.local, &options, &handlers, NULL);
  }
  return error < 0 ? error : troupe_actor_run();
}

// ---- The actor that calls ----

typedef struct {
  troupe_socket_t socket;
  bool busy, had_end;
  uint64_t goal, sent, received;
} caller_t;

static void write_more(caller_t *caller) {
  uint8_t bytes[16 * 1024];
  while (caller->sent < caller->goal) {
    uint64_t left = caller->goal - caller->sent;
    size_t length = (size_t)(troupe_random() % sizeof bytes) + 1;
    length = left < length ? (size_t)left : length;
    stress_fill(bytes, length, caller->sent);
    int said = troupe_socket_write(caller->socket, bytes, length, NULL, NULL);
    if (said < 0) {
      fail_loudly("a caller's write: %s", troupe_error_name(said));
    }
    caller->sent += length;
    if (said == 0) {
      return;
    }
  }
  troupe_socket_end(caller->socket, NULL, NULL);
}

static void on_caller_connect(troupe_socket_t socket, void *context) {
  uint8_t plan = ECHO;
  troupe_socket_write(socket, &plan, 1, NULL, NULL);
  write_more(context);
}

static void on_caller_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  caller_t *caller = context;
  size_t length = troupe_chunk_length(chunk);
  (void)socket;
  if (!stress_is_filled(troupe_chunk_bytes(chunk), length, caller->received)) {
    fail_loudly("a caller got wrong bytes behind %" PRIu64, caller->received);
  }
  caller->received += length;
}

static void on_caller_drain(troupe_socket_t socket, void *context) {
  (void)socket;
  write_more(context);
}

static void on_caller_end(troupe_socket_t socket, void *context) {
  (void)socket;
  ((caller_t *)context)->had_end = true;
}

static void on_caller_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  (void)socket;
  (void)context;
  fail_loudly("a caller's connection: %s", error->message);
}

static void on_caller_close(troupe_socket_t socket, bool had_error, void *context) {
  caller_t *caller = context;
  (void)socket;
  if (had_error || !caller->had_end || caller->received != caller->goal ||
      caller->sent != caller->goal) {
    fail_loudly("a caller sent %" PRIu64 " of %" PRIu64 " bytes and got %" PRIu64 " back",
                caller->sent, caller->goal, caller->received);
  }
  atomic_fetch_add(&soak.calls, 1);
  atomic_fetch_add(&soak.call_bytes, caller->received);
  atomic_fetch_sub(&soak.calling, 1);
  caller->busy = false;
}

static void begin_calls(troupe_timer_t timer, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_connect = on_caller_connect,
                                                    .on_data = on_caller_data,
                                                    .on_drain = on_caller_drain,
                                                    .on_end = on_caller_end,
                                                    .on_error = on_caller_error,
                                                    .on_close = on_caller_close};
  caller_t *callers = context;
  (void)timer;
  for (size_t i = 0; i < CALLERS; i++) {
    caller_t *caller = &callers[i];
    if (caller->busy) {
      continue;
    }
    // Counted before it looks, so that whoever sets `quiet` and then sees none is right.
    atomic_fetch_add(&soak.calling, 1);
    if (atomic_load(&soak.quiet)) {
      atomic_fetch_sub(&soak.calling, 1);
      return;
    }
    uint64_t most = troupe_random() % 8 == 0 ? LONGEST : 2000;
    *caller = (caller_t){.busy = true, .goal = troupe_random() % (most + 1)};
    troupe_connect_options_t to = {.path = troupe_random() % 2 == 0 ? soak.local.path : NULL,
                                   .host = "127.0.0.1",
                                   .port = atomic_load(&soak.tcp.port)};
    int error = troupe_connect(&to, NULL, &handlers, caller, &caller->socket);
    if (error != 0) {
      fail_loudly("a caller cannot connect: %s", troupe_error_name(error));
    }
  }
}

static int calling_actor(void *argument) {
  caller_t *callers = argument;
  int error = troupe_timer_start(NULL, 1, 2, begin_calls, callers);
  return error < 0 ? error : troupe_actor_run();
}

// ---- The peers on plain sockets ----

typedef struct {
  int fd; // -1: none
  plan_t plan;
  bool reads, ended;
  uint64_t goal, sent, received;
  uint64_t leaves_at; // goes away when it has sent so much: UINT64_MAX: never
  bool leaves_by_reset;
  uint8_t count[8]; // the answer to COUNT
  int64_t moved_ms;
  int64_t reads_again_ms; // pauses until then
} peer_t;

static void begin(peer_t *peer, trp_test_random_t *random) {
  static const plan_t plans[] = {ECHO, ECHO, ECHO, ECHO, COUNT, COUNT, DESTROY, RESET};
  test_service_t *service = draw(random, 2) == 0 ? &soak.tcp : &soak.local;
  int fd = service->path != NULL
               ? trp_test_connect_unix(service->path, strlen(service->path), STUCK_MS)
               : trp_test_connect_tcp("127.0.0.1", atomic_load(&service->port), STUCK_MS);
  if (fd < 0) {
    fail_loudly("a peer cannot connect: %s", strerror(-fd));
  }
  *peer = (peer_t){.fd = fd,
                   .plan = plans[draw(random, sizeof plans / sizeof plans[0])],
                   .goal = draw_length(random),
                   .leaves_at = UINT64_MAX,
                   .moved_ms = trp_test_now_ms()};
  if (draw(random, 8) == 0) {
    peer->leaves_at = draw(random, peer->goal + 1);
    peer->leaves_by_reset = draw(random, 2) == 0;
  }
  uint8_t plan = (uint8_t)peer->plan;
  int error = trp_test_send(fd, &plan, 1, STUCK_MS);
  if (error != 0) {
    fail_loudly("a peer's first byte: %s", strerror(-error));
  }
  soak.peers++;
}

static bool may_be_cut(const peer_t *peer) {
  return peer->plan == DESTROY || peer->plan == RESET;
}

static void leave(peer_t *peer, bool by_reset) {
  soak.bytes_sent += peer->sent;
  soak.bytes_back += peer->received;
  (by_reset ? trp_test_reset : trp_test_close)(peer->fd);
  peer->fd = -1;
}

static void send_some(peer_t *peer, trp_test_random_t *random) {
  uint64_t stop = peer->leaves_at < peer->goal ? peer->leaves_at : peer->goal;
  uint64_t length = draw(random, 4) == 0 ? draw(random, 100) + 1 : draw(random, 60000) + 1;
  uint64_t left = stop - peer->sent;
  int64_t n = left == 0 ? 0 : stress_send_some(peer->fd, peer->sent, left < length ? left : length);
  if (n < 0) {
    if (!may_be_cut(peer)) {
      fail_loudly("a peer's send with plan %c: %s", peer->plan, strerror((int)-n));
    }
    leave(peer, false);
    return;
  }
  if (n > 0) {
    peer->moved_ms = trp_test_now_ms();
  }
  peer->sent += (uint64_t)n;
  if (peer->sent == peer->leaves_at) {
    leave(peer, peer->leaves_by_reset);
  } else if (peer->sent == peer->goal) {
    peer->ended = true;
    if (trp_test_end(peer->fd) != 0 && !may_be_cut(peer)) {
      fail_loudly("a peer cannot end: %s", strerror(errno));
    }
  }
}

static void finish(peer_t *peer) {
  uint64_t count = 0;
  memcpy(&count, peer->count, sizeof count);
  if (!may_be_cut(peer)) {
    bool whole = peer->ended && peer->sent == peer->goal;
    if (!whole || (peer->plan == ECHO && peer->received != peer->goal) ||
        (peer->plan == COUNT && (peer->received != sizeof count || count != peer->goal))) {
      fail_loudly("a peer with plan %c sent %" PRIu64 " of %" PRIu64 " bytes, got %" PRIu64
                  " back, and the count %" PRIu64,
                  peer->plan, peer->sent, peer->goal, peer->received, count);
    }
    soak.clean++;
  }
  leave(peer, false);
}

static void receive_some(peer_t *peer, trp_test_random_t *random) {
  static uint8_t got[64 * 1024];
  ssize_t n = recv(peer->fd, got, draw(random, sizeof got) + 1, MSG_DONTWAIT);
  if (n < 0) {
    if (errno == EAGAIN) {
      return;
    }
    if (!may_be_cut(peer)) {
      fail_loudly("a peer's receive with plan %c: %s", peer->plan, strerror(errno));
    }
    leave(peer, false);
    return;
  }
  peer->moved_ms = trp_test_now_ms();
  if (n == 0) {
    finish(peer);
    return;
  }
  if (peer->plan == COUNT) {
    if (peer->received + (size_t)n > sizeof peer->count) {
      fail_loudly("a peer got more than a count");
    }
    memcpy(peer->count + peer->received, got, (size_t)n);
  } else if (peer->plan != ECHO || !stress_is_filled(got, (size_t)n, peer->received)) {
    fail_loudly("a peer with plan %c got wrong bytes behind %" PRIu64, peer->plan, peer->received);
  }
  peer->received += (uint64_t)n;
  if (draw(random, 40) == 0) {
    peer->reads_again_ms = peer->moved_ms + (int64_t)draw(random, 8);
  }
}

// A turn of all peers; returns how many there are.
static size_t step(peer_t *peers, trp_test_random_t *random) {
  struct pollfd polls[PEERS];
  int64_t now = trp_test_now_ms();
  size_t count = 0;
  for (size_t i = 0; i < PEERS; i++) {
    peer_t *peer = &peers[i];
    if (peer->fd < 0 && !atomic_load(&soak.quiet)) {
      begin(peer, random);
    }
    peer->reads = peer->reads_again_ms <= now;
    polls[i] = (struct pollfd){
        .fd = peer->fd,
        .events = (short)((peer->reads ? POLLIN : 0) | (peer->ended ? 0 : POLLOUT))};
    count += peer->fd >= 0;
  }
  if (count == 0) {
    return 0;
  }
  if (poll(polls, PEERS, 5) < 0 && errno != EINTR) {
    fail_loudly("poll: %s", strerror(errno));
  }
  for (size_t i = 0; i < PEERS; i++) {
    peer_t *peer = &peers[i];
    if (peer->fd >= 0 && (polls[i].revents & POLLOUT) && !peer->ended) {
      send_some(peer, random);
    }
    if (peer->fd >= 0 && peer->reads && (polls[i].revents & (POLLIN | POLLHUP | POLLERR))) {
      receive_some(peer, random);
    }
    if (peer->fd >= 0 && now - peer->moved_ms > (int64_t)STUCK_MS * trp_test_slow()) {
      fail_loudly("a peer with plan %c is stuck: sent %" PRIu64 " of %" PRIu64 ", got %" PRIu64,
                  peer->plan, peer->sent, peer->goal, peer->received);
    }
  }
  return count;
}

static bool nothing_is_open(void *argument) {
  troupe_system_counters_t counters;
  (void)argument;
  return atomic_load(&soak.calling) == 0 &&
         troupe_system_counters(soak.tcp.system, &counters) == 0 && counters.sockets == 0 &&
         counters.accepted == atomic_load(&soak.served);
}

// Lets everything finish, and tells what the process has then.
static void measure(peer_t *peers, trp_test_random_t *random, int64_t *rss, int *fds) {
  atomic_store(&soak.quiet, true);
  while (step(peers, random) > 0) {
  }
  if (!trp_test_wait_until(nothing_is_open, NULL, STUCK_MS)) {
    troupe_system_counters_t counters = {0};
    troupe_system_counters(soak.tcp.system, &counters);
    fail_loudly("%" PRIu64 " sockets stay open, %u calls do not end, %llu of %" PRIu64
                " connections were closed",
                counters.sockets, atomic_load(&soak.calling), atomic_load(&soak.served),
                counters.accepted);
  }
  *rss = trp_test_rss_bytes();
  *fds = trp_test_count_fds();
  atomic_store(&soak.quiet, false);
}

static void run_until(int64_t end_ms, peer_t *peers, trp_test_random_t *random) {
  int64_t told_ms = trp_test_now_ms();
  while (trp_test_now_ms() < end_ms) {
    step(peers, random);
    if (trp_test_now_ms() - told_ms >= 60000) {
      told_ms = trp_test_now_ms();
      printf("soak: %" PRIu64 " peers, %llu calls, %lld KiB\n", soak.peers,
             atomic_load(&soak.calls), (long long)(trp_test_rss_bytes() / 1024));
    }
  }
}

static void check_call(int error, const char *what) {
  if (error != 0) {
    fail_loudly("%s: %s", what, troupe_error_name(error));
  }
}

static void start_system(caller_t *callers) {
  troupe_system_options_t options = {.io_threads = soak.io_actors, .seed = soak.seed};
  check_call(troupe_system_new(&options, &soak.tcp.system), "starting a system");
  check_call(troupe_spawn(soak.tcp.system,
                          &(troupe_spawn_options_t){
                              .name = "serving", .main = serving_actor, .copies = ACTORS},
                          NULL),
             "starting those who serve");
  check_call(troupe_spawn(soak.tcp.system,
                          &(troupe_spawn_options_t){
                              .name = "calling", .main = calling_actor, .argument = callers},
                          NULL),
             "starting the one who calls");
}

static void stop_system(void) {
  troupe_system_counters_t counters;
  atomic_store(&soak.quiet, true);
  check_call(troupe_system_stop(soak.tcp.system, 2000), "stopping");
  check_call(troupe_system_wait(soak.tcp.system, STUCK_MS * trp_test_slow(), NULL, 0, NULL),
             "waiting for the actors");
  check_call(troupe_system_counters(soak.tcp.system, &counters), "counting");
  if (counters.undecodable + counters.unknown_kind + counters.not_owner + counters.dropped > 0) {
    fail_loudly("%" PRIu64 " undecodable, %" PRIu64 " unknown, %" PRIu64 " not owned, %" PRIu64
                " dropped",
                counters.undecodable, counters.unknown_kind, counters.not_owner, counters.dropped);
  }
  check_call(troupe_system_free(&soak.tcp.system), "freeing the system");
}

int main(int argc, char **argv) {
  static peer_t peers[PEERS];
  static caller_t callers[CALLERS];
  char folder[] = "/tmp/troupe-soak-XXXXXX", path[64];
  int seconds = argc > 1 ? atoi(argv[1]) : 0;
  struct timespec now;
  if (seconds < 1 || argc > 4) {
    fprintf(stderr, "usage: %s SECONDS [SEED [IO_ACTORS]]; seed 0: another each time\n", argv[0]);
    return 2;
  }
  clock_gettime(CLOCK_REALTIME, &now);
  soak.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
  if (soak.seed == 0) {
    soak.seed = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
  }
  soak.io_actors = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("soak: %d seconds, seed %" PRIu64 ", %u I/O actors\n", seconds, soak.seed, soak.io_actors);
  signal(SIGPIPE, SIG_DFL); // nobody may cause one
  if (stress_set_up(NULL) != 0 || mkdtemp(folder) == NULL) {
    fail_loudly("it cannot be set up");
  }
  int fds_before = trp_test_count_fds(), threads_before = trp_test_count_threads();
  snprintf(path, sizeof path, "%s/soak", folder);
  soak.local.path = path;
  for (size_t i = 0; i < PEERS; i++) {
    peers[i].fd = -1;
  }
  trp_test_random_t random = {soak.seed};
  start_system(callers);

  int64_t began = trp_test_now_ms(), rss_early, rss_late;
  int fds_early, fds_late;
  run_until(began + (int64_t)seconds * 1000 / 3, peers, &random);
  measure(peers, &random, &rss_early, &fds_early);
  bool warm = soak.peers >= WARM;
  run_until(began + (int64_t)seconds * 1000, peers, &random);
  measure(peers, &random, &rss_late, &fds_late);
  stop_system();

  unlink(path);
  rmdir(folder);
  printf("soak: %" PRIu64 " peers, %" PRIu64 " of them to the end: %" PRIu64 " bytes sent, %" PRIu64
         " came back; %llu calls of %llu bytes each way\n",
         soak.peers, soak.clean, soak.bytes_sent, soak.bytes_back, atomic_load(&soak.calls),
         atomic_load(&soak.call_bytes));
  printf("soak: %lld KiB and %d descriptors early, %lld KiB and %d at the end\n",
         (long long)(rss_early / 1024), fds_early, (long long)(rss_late / 1024), fds_late);
  if (fds_late != fds_early) {
    fail_loudly("descriptors are not flat");
  }
  int64_t most = warm ? rss_early + GROWTH : (int64_t)RSS_MOST;
  if (trp_test_slow() == 1 && rss_late > most) { // sanitizers keep freed memory
    fail_loudly("memory is not flat");
  }
  if (trp_test_count_fds() != fds_before || trp_test_count_threads() != threads_before) {
    fail_loudly("%d descriptors and %d threads were there before, %d and %d are there now",
                fds_before, threads_before, trp_test_count_fds(), trp_test_count_threads());
  }
  printf("soak: passed\n");
  return 0;
}
