// No malloc per event on the data path: counted over 200,000 small messages that are echoed.
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/stress.h"

enum { CONNECTIONS = 64, IN_FLIGHT = 16, MESSAGE = 64, MESSAGES = 200000, WARM_UP = 20000 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#if !defined(COUNTS) && defined(__GLIBC__)
#define COUNTS 1
#endif
#ifndef COUNTS
#define COUNTS 0
#endif

static atomic_ullong mallocs;

#if COUNTS
#define EVERYBODYS __attribute__((visibility("default")))

// All allocations of this process, libzmq's and libuv's included, come through here.
void *__libc_malloc(size_t size);                // NOLINT: glibc's name
void *__libc_calloc(size_t count, size_t size);  // NOLINT
void *__libc_realloc(void *memory, size_t size); // NOLINT

#define COUNTED(name, parameters, arguments)                                                       \
  __attribute__((used)) static void *counted_##name parameters {                                   \
    atomic_fetch_add_explicit(&mallocs, 1, memory_order_relaxed);                                  \
    return __libc_##name arguments;                                                                \
  }
COUNTED(malloc, (size_t size), (size))
COUNTED(calloc, (size_t count, size_t size), (count, size))
COUNTED(realloc, (void *memory, size_t size), (memory, size))

EVERYBODYS void *malloc(size_t) __attribute__((alias("counted_malloc")));
EVERYBODYS void *calloc(size_t, size_t) __attribute__((alias("counted_calloc")));
EVERYBODYS void *realloc(void *, size_t) __attribute__((alias("counted_realloc")));
#endif

typedef struct {
  int fds[CONNECTIONS];
  struct pollfd polls[CONNECTIONS];
  uint64_t sent[CONNECTIONS], received[CONNECTIONS];
} load_t;

static void send_messages(load_t *load, size_t i, size_t count) {
  uint8_t bytes[IN_FLIGHT * MESSAGE];
  stress_fill(bytes, count * MESSAGE, load->sent[i]);
  assert_int_equal(trp_test_send(load->fds[i], bytes, count * MESSAGE, STRESS_LIMIT_MS), 0);
  load->sent[i] += count * MESSAGE;
}

// Keeps IN_FLIGHT messages under way on each connection until so many have come back.
static void echo_messages(load_t *load, uint64_t count) {
  uint64_t received = 0;
  for (size_t i = 0; i < CONNECTIONS; i++) {
    send_messages(load, i, IN_FLIGHT);
  }
  for (bool more = true; more;) {
    assert_true(poll(load->polls, CONNECTIONS, STRESS_LIMIT_MS * trp_test_slow()) > 0);
    for (size_t i = 0; i < CONNECTIONS; i++) {
      uint8_t got[IN_FLIGHT * MESSAGE];
      if (load->polls[i].revents == 0) {
        continue;
      }
      ssize_t n = recv(load->fds[i], got, sizeof got, MSG_DONTWAIT);
      assert_true(n > 0);
      assert_true(stress_is_filled(got, (size_t)n, load->received[i]));
      uint64_t whole = load->received[i] / MESSAGE;
      load->received[i] += (uint64_t)n;
      whole = load->received[i] / MESSAGE - whole;
      received += whole;
      if (received < count && whole > 0) {
        send_messages(load, i, (size_t)whole);
      }
    }
    more = false;
    for (size_t i = 0; i < CONNECTIONS; i++) {
      more = more || load->received[i] < load->sent[i];
    }
  }
}

static void run(unsigned io_actors) {
  static load_t load;
  test_service_t service = {.io_threads = io_actors};
  memset(&load, 0, sizeof load);
  uint64_t at_first = atomic_load(&mallocs);
  char *copy = strdup("libc's own are counted");
  assert_int_equal(atomic_load(&mallocs), at_first + 1);
  free(copy);
  test_service_start(&service, 1);
  for (size_t i = 0; i < CONNECTIONS; i++) {
    load.fds[i] = test_service_connect(&service);
    load.polls[i] = (struct pollfd){.fd = load.fds[i], .events = POLLIN};
  }
  echo_messages(&load, WARM_UP); // pools fill, buffers grow
  uint64_t before = atomic_load(&mallocs);
  echo_messages(&load, MESSAGES);
  double each = (double)(atomic_load(&mallocs) - before) / MESSAGES;
  print_message("%.4f mallocs per message\n", each);
  // A batch costs libzmq a block, and a frame another; there are few batches for many messages.
  assert_true(each < 0.2);
  for (size_t i = 0; i < CONNECTIONS; i++) {
    trp_test_close(load.fds[i]);
  }
  test_service_stop(&service);
}

static void a_message_costs_a_small_part_of_a_malloc(void **state) {
  (void)state;
  const char *preloaded = getenv("LD_PRELOAD");
  if (!COUNTS || (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL)) {
    skip(); // somebody else has taken malloc()
  }
  stress_with_io_actors(run);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_message_costs_a_small_part_of_a_malloc),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/mallocs", tests, stress_set_up, NULL);
}
