#include "tests/support/stress.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static const unsigned io_actor_counts[] = {1, 3};

enum { PERIOD = 251, SEND_SIZE = 64 * 1024 };

void stress_with_io_actors(void (*run)(unsigned io_actors)) {
  for (size_t i = 0; i < sizeof io_actor_counts / sizeof io_actor_counts[0]; i++) {
    run(io_actor_counts[i]);
  }
}

int stress_set_up(void **state) {
  struct rlimit limit;
  (void)state;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  // What a process opens once and for good is there before anybody counts.
  troupe_system_t *system = NULL;
  return troupe_system_new(NULL, &system) != 0 || troupe_system_free(&system) != 0 ? -1 : 0;
}

void stress_start(test_service_t *service, unsigned io_actors, unsigned copies, troupe_main_fn main,
                  void *argument) {
  troupe_system_options_t options = {.io_threads = io_actors};
  service->io_threads = io_actors;
  service->copies = copies;
  assert_int_equal(troupe_system_new(&options, &service->system), 0);
  troupe_spawn_options_t spawn = {
      .name = "stressed", .main = main, .argument = argument, .copies = copies};
  assert_int_equal(troupe_spawn(service->system, &spawn, service->actors), 0);
}

int stress_listen(test_service_t *service, const troupe_server_options_t *options,
                  const troupe_server_handlers_t *handlers, void *context) {
  troupe_server_t server;
  int error = troupe_server_new(options, handlers, context, &server);
  if (error == 0) {
    error = service->path != NULL ? troupe_server_listen_path(server, service->path, 4096)
                                  : troupe_server_listen_port(server, 0, "127.0.0.1", 4096);
  }
  return error != 0 ? error : test_wait_until_it_listens(server, &service->port);
}

// The period is a prime, so that a shift by a piece of any usual size shows.
static const uint8_t *pattern(uint64_t at) {
  static uint8_t table[PERIOD + SEND_SIZE];
  static atomic_bool ready;
  if (!atomic_load(&ready)) { // two threads at once would fill in the same, one after the other
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set(&busy)) {
    }
    if (!atomic_load(&ready)) {
      for (size_t i = 0; i < sizeof table; i++) {
        table[i] = (uint8_t)(i % PERIOD);
      }
      atomic_store(&ready, true);
    }
    atomic_flag_clear(&busy);
  }
  return table + at % PERIOD;
}

void stress_fill(void *bytes, size_t length, uint64_t at) {
  for (uint8_t *to = bytes; length > 0;) {
    size_t piece = length < SEND_SIZE ? length : SEND_SIZE;
    memcpy(to, pattern(at), piece);
    to += piece;
    at += piece;
    length -= piece;
  }
}

bool stress_is_filled(const void *bytes, size_t length, uint64_t at) {
  for (const uint8_t *from = bytes; length > 0;) {
    size_t piece = length < SEND_SIZE ? length : SEND_SIZE;
    if (memcmp(from, pattern(at), piece) != 0) {
      return false;
    }
    from += piece;
    at += piece;
    length -= piece;
  }
  return true;
}

int64_t stress_send_some(int fd, uint64_t at, size_t length) {
  ssize_t sent = send(fd, pattern(at), length < SEND_SIZE ? length : SEND_SIZE,
                      MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int64_t stress_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void stress_burn_us(int64_t us) {
  int64_t until = stress_now_us() + us;
  while (stress_now_us() < until) {
  }
}
