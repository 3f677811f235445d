// A system is stopped while a thousand connections are busy.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/stress.h"

enum { CONNECTIONS = 1000, ACTORS = 4, BYTES = 64 * 1024, PIECE = 4000, GRACE_MS = 20000 };

typedef struct {
  int fd;
  uint64_t sent, received;
  bool ended, over, reset;
} client_t;

typedef struct {
  client_t *clients;
  struct pollfd *polls;
  size_t count, over;
  uint64_t received;
  bool for_ever; // they never end by themselves
} crowd_t;

static void send_some(crowd_t *crowd, client_t *client) {
  uint64_t left = crowd->for_ever ? PIECE : BYTES - client->sent;
  int64_t n = left == 0 ? 0
                        : stress_send_some(client->fd, client->sent, left < PIECE ? left : PIECE);
  if (n < 0) {
    client->reset = client->ended = true; // the answer comes when it is read
    return;
  }
  client->sent += (uint64_t)n;
  if (!crowd->for_ever && client->sent == BYTES) {
    client->ended = true;
    trp_test_end(client->fd);
  }
}

static void receive_some(crowd_t *crowd, client_t *client) {
  uint8_t got[8192];
  ssize_t n = recv(client->fd, got, sizeof got, MSG_DONTWAIT);
  if (n > 0) {
    assert_true(stress_is_filled(got, (size_t)n, client->received));
    client->received += (uint64_t)n;
    crowd->received += (uint64_t)n;
    assert_true(client->received <= client->sent);
    return;
  }
  if (n < 0 && errno == EAGAIN) {
    return;
  }
  client->reset = client->reset || n < 0;
  client->over = true;
  crowd->over++;
  trp_test_close(client->fd);
}

// One round of all clients.
static void step(crowd_t *crowd) {
  for (size_t i = 0; i < crowd->count; i++) {
    const client_t *client = &crowd->clients[i];
    crowd->polls[i] = (struct pollfd){.fd = client->over ? -1 : client->fd,
                                      .events = (short)(POLLIN | (client->ended ? 0 : POLLOUT))};
  }
  assert_true(poll(crowd->polls, crowd->count, STRESS_LIMIT_MS * trp_test_slow()) > 0);
  for (size_t i = 0; i < crowd->count; i++) {
    client_t *client = &crowd->clients[i];
    if (client->over) {
      continue;
    }
    if ((crowd->polls[i].revents & POLLOUT) && !client->ended) {
      send_some(crowd, client);
    }
    if (crowd->polls[i].revents & (POLLIN | POLLHUP | POLLERR)) {
      receive_some(crowd, client);
    }
  }
}

static void stop_a_crowd(unsigned io_actors, bool graceful) {
  test_service_t service = {.io_threads = io_actors};
  crowd_t crowd = {.count = trp_test_slow() > 1 ? CONNECTIONS / 4 : CONNECTIONS,
                   .for_ever = !graceful};
  crowd.clients = calloc(crowd.count, sizeof *crowd.clients);
  crowd.polls = calloc(crowd.count, sizeof *crowd.polls);
  assert_non_null(crowd.clients);
  assert_non_null(crowd.polls);
  test_service_start(&service, ACTORS);
  for (size_t i = 0; i < crowd.count; i++) {
    crowd.clients[i].fd = test_service_connect(&service);
  }
  test_service_wait_for_sockets(&service, crowd.count);
  while (crowd.received < crowd.count * BYTES / 4) {
    step(&crowd);
  }
  int64_t began = trp_test_now_ms();
  unsigned grace_ms = graceful ? GRACE_MS * (unsigned)trp_test_slow() : 0;
  assert_int_equal(troupe_system_stop(service.system, grace_ms), 0);
  while (crowd.over < crowd.count) {
    step(&crowd);
  }
  assert_int_equal(
      troupe_system_wait(service.system, STRESS_LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  // With grace it is over when the last client has finished, not when the grace is.
  assert_in_range(trp_test_now_ms() - began, 0, STRESS_LIMIT_MS * trp_test_slow());
  for (size_t i = 0; i < crowd.count && graceful; i++) {
    assert_int_equal(crowd.clients[i].received, BYTES);
    assert_false(crowd.clients[i].reset);
  }
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(service.system, &counters), 0);
  assert_int_equal(counters.accepted, crowd.count);
  test_service_stop(&service);
  free(crowd.clients);
  free(crowd.polls);
}

static void run_graceful(unsigned io_actors) {
  stop_a_crowd(io_actors, true);
}

static void a_stop_with_grace_lets_a_thousand_busy_connections_finish(void **state) {
  (void)state;
  stress_with_io_actors(run_graceful);
}

static void run_at_once(unsigned io_actors) {
  stop_a_crowd(io_actors, false);
}

static void a_stop_at_once_closes_a_thousand_busy_connections(void **state) {
  (void)state;
  stress_with_io_actors(run_at_once);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_stop_with_grace_lets_a_thousand_busy_connections_finish),
      trp_test_that_leaves_nothing(a_stop_at_once_closes_a_thousand_busy_connections),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/stop", tests, stress_set_up, NULL);
}
