// Peers without manners: others are served meanwhile, and nothing of them stays behind.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/stress.h"

enum { AT_ONCE = 5000, PER_SOURCE = 1000, RESERVED_FDS = 200, BIG = 4 * 1024 * 1024 };

// An echo service over TCP (and over a Unix socket, if `path` is given), and somebody who uses it
// as he should.
typedef struct {
  test_service_t service;
  int neighbour;
} scene_t;

static void open_scene_with_backlog(scene_t *scene, unsigned io_actors, const char *path,
                                    int backlog) {
  memset(scene, 0, sizeof *scene);
  scene->service.io_threads = io_actors;
  scene->service.path = path;
  scene->service.backlog = backlog;
  test_service_start(&scene->service, 4);
  scene->neighbour = test_service_connect(&scene->service);
  test_service_echoes(scene->neighbour);
}

static void open_scene(scene_t *scene, unsigned io_actors, const char *path) {
  open_scene_with_backlog(scene, io_actors, path, 0);
}

static void close_scene(scene_t *scene) {
  test_service_wait_for_sockets(&scene->service, 1);
  test_service_echoes(scene->neighbour);
  trp_test_close(scene->neighbour);
  test_service_stop(&scene->service);
  assert_int_equal(atomic_load(&scene->service.open), 0);
}

static void drip(unsigned io_actors) {
  enum { DRIPPERS = 100, BYTES = 40 };
  scene_t scene;
  int fds[DRIPPERS];
  open_scene(&scene, io_actors, NULL);
  for (size_t i = 0; i < DRIPPERS; i++) {
    fds[i] = test_service_connect(&scene.service);
  }
  for (unsigned at = 0; at < BYTES; at++) {
    const uint8_t byte = (uint8_t)at;
    for (size_t i = 0; i < DRIPPERS; i++) {
      assert_int_equal(trp_test_send(fds[i], &byte, 1, STRESS_LIMIT_MS), 0);
    }
    test_service_echoes(scene.neighbour);
    for (size_t i = 0; i < DRIPPERS; i++) { // byte by byte, there and back
      uint8_t got = 0xff;
      assert_int_equal(trp_test_receive(fds[i], &got, 1, STRESS_LIMIT_MS), 1);
      assert_int_equal(got, byte);
    }
  }
  for (size_t i = 0; i < DRIPPERS; i++) {
    trp_test_close(fds[i]);
  }
  close_scene(&scene);
}

static void peers_that_send_one_byte_at_a_time_are_answered(void **state) {
  (void)state;
  stress_with_io_actors(drip);
}

static void come_and_go(unsigned io_actors) {
  char path[128];
  snprintf(path, sizeof path, "%s/go", trp_test_folder());
  const char *paths[] = {NULL, path};
  for (size_t kind = 0; kind < 2; kind++) {
    scene_t scene;
    open_scene(&scene, io_actors, paths[kind]);
    int count = trp_test_slow() > 1 ? 300 : 3000;
    for (int i = 0; i < count; i++) {
      int fd = test_service_connect(&scene.service);
      if (i % 3 == 0) {
        trp_test_reset(fd);
      } else {
        if (i % 3 == 1) {
          assert_int_equal(trp_test_send(fd, "x", 1, STRESS_LIMIT_MS), 0);
        }
        trp_test_close(fd);
      }
    }
    close_scene(&scene);
  }
}

static void peers_that_connect_and_leave_at_once_leave_nothing(void **state) {
  (void)state;
  stress_with_io_actors(come_and_go);
}

// A connection that is on its way, from one of several addresses of this machine: ports run short.
static int begin_to_connect(int port, unsigned number) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number / PER_SOURCE);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)port);
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
    assert_int_equal(errno, EINPROGRESS);
  }
  return fd;
}

static void all_at_once(unsigned io_actors) {
  static int fds[AT_ONCE];
  scene_t scene;
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  size_t count = trp_test_slow() > 1 ? AT_ONCE / 5 : AT_ONCE;
  if (limit.rlim_cur < 2 * count + RESERVED_FDS) { // both ends are in this process
    count = (size_t)(limit.rlim_cur - RESERVED_FDS) / 2;
  }
  // What finds no room comes again when the kernel sends it again, but only for some seconds, which
  // pass on a machine that is busy with something else: then the kernel resets it.
  open_scene_with_backlog(&scene, io_actors, NULL, AT_ONCE);
  for (size_t i = 0; i < count; i++) {
    fds[i] = begin_to_connect(atomic_load(&scene.service.port), (unsigned)i);
  }
  for (size_t i = 0; i < count; i++) {
    struct pollfd waits = {.fd = fds[i], .events = POLLOUT};
    assert_int_equal(poll(&waits, 1, STRESS_LIMIT_MS * trp_test_slow()), 1);
    assert_int_equal(trp_test_send(fds[i], "here", 4, STRESS_LIMIT_MS), 0);
  }
  for (size_t i = 0; i < count; i++) {
    char got[4];
    assert_int_equal(trp_test_receive(fds[i], got, 4, STRESS_LIMIT_MS), 4);
    assert_memory_equal(got, "here", 4);
  }
  test_service_wait_for_sockets(&scene.service, count + 1);
  for (size_t i = 0; i < count; i++) {
    trp_test_reset(fds[i]); // and no port waits for a minute
  }
  close_scene(&scene);
}

static void five_thousand_peers_that_connect_at_once_are_all_served(void **state) {
  (void)state;
  trp_test_limit(150000);
  stress_with_io_actors(all_at_once);
}

// What the echo has to say is stuck on its way when the peer is gone.
static void vanish(unsigned io_actors) {
  enum { PEERS = 60 };
  char path[128];
  snprintf(path, sizeof path, "%s/van", trp_test_folder());
  const char *paths[] = {NULL, path};
  for (size_t kind = 0; kind < 2; kind++) {
    scene_t scene;
    open_scene(&scene, io_actors, paths[kind]);
    for (size_t i = 0; i < PEERS; i++) {
      int fd = test_service_connect(&scene.service);
      uint64_t sent = 0;
      for (unsigned full = 0; sent < BIG && full < 5;) { // it reads nothing
        int64_t n = stress_send_some(fd, sent, BIG - sent);
        assert_true(n >= 0);
        sent += (uint64_t)n;
        if (n == 0) {
          full++;
          test_service_echoes(scene.neighbour);
        }
      }
      switch (i % 4) {
      case 0: // in mid-write
        trp_test_reset(fd);
        break;
      case 1: // with unread bytes: a reset too, as the kernel does it
        trp_test_close(fd);
        break;
      case 2: // half-open, and then away
        assert_int_equal(trp_test_end(fd), 0);
        test_service_echoes(scene.neighbour);
        trp_test_close(fd);
        break;
      default: { // it reads a little before it goes
        uint8_t got[10000];
        assert_int_equal(trp_test_receive(fd, got, sizeof got, STRESS_LIMIT_MS), sizeof got);
        assert_true(stress_is_filled(got, sizeof got, 0));
        trp_test_reset(fd);
        break;
      }
      }
    }
    close_scene(&scene);
  }
}

static void peers_that_vanish_in_mid_write_leave_nothing(void **state) {
  (void)state;
  trp_test_limit(150000);
  stress_with_io_actors(vanish);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(peers_that_send_one_byte_at_a_time_are_answered),
      trp_test_that_leaves_nothing(peers_that_connect_and_leave_at_once_leave_nothing),
      trp_test_that_leaves_nothing(five_thousand_peers_that_connect_at_once_are_all_served),
      trp_test_that_leaves_nothing(peers_that_vanish_in_mid_write_leave_nothing),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/rude", tests, stress_set_up, NULL);
}
