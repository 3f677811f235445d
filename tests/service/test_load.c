// The echo service with many clients: every byte comes back, the actors share the work, nothing is
// left behind, and idle means idle.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/stress.h"

enum {
  CONNECTIONS = 200,
  BYTES = 1024 * 1024,
  PIECE = 16 * 1024,
  ONE_AFTER_THE_OTHER = 10000,
  LIMIT_MS = 10000,
};

typedef struct {
  int fd;
  size_t sent, received;
  trp_test_random_t sends, expects; // the same stream twice
  uint8_t piece[PIECE];             // what is being sent
  size_t piece_sent;
  uint8_t expected[PIECE]; // what comes next
  size_t expected_used;
} client_t;

static void send_some(client_t *client) {
  if (client->piece_sent == PIECE) {
    trp_test_random_bytes(&client->sends, client->piece, PIECE);
    client->piece_sent = 0;
  }
  ssize_t n = send(client->fd, client->piece + client->piece_sent, PIECE - client->piece_sent,
                   MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0) {
    assert_int_equal(errno, EAGAIN);
    return;
  }
  client->piece_sent += (size_t)n;
  client->sent += (size_t)n;
}

static void receive_some(client_t *client) {
  static uint8_t got[64 * 1024];
  ssize_t n = recv(client->fd, got, sizeof got, MSG_DONTWAIT);
  if (n < 0) {
    assert_int_equal(errno, EAGAIN);
    return;
  }
  assert_true(n > 0);
  for (size_t compared = 0; compared < (size_t)n;) {
    if (client->expected_used == PIECE) {
      trp_test_random_bytes(&client->expects, client->expected, PIECE);
      client->expected_used = 0;
    }
    size_t part = PIECE - client->expected_used;
    part = part < (size_t)n - compared ? part : (size_t)n - compared;
    assert_memory_equal(got + compared, client->expected + client->expected_used, part);
    client->expected_used += part;
    compared += part;
  }
  client->received += (size_t)n;
}

static void a_mebibyte_each_way_through_200_connections_over_4_actors(void **state) {
  (void)state;
  trp_test_limit(150000);
  test_service_t service = {0};
  test_service_start(&service, 4);
  client_t *clients = calloc(CONNECTIONS, sizeof *clients);
  struct pollfd *polls = calloc(CONNECTIONS, sizeof *polls);
  assert_non_null(clients);
  assert_non_null(polls);
  for (unsigned i = 0; i < CONNECTIONS; i++) {
    clients[i].fd = test_service_connect(&service);
    clients[i].piece_sent = clients[i].expected_used = PIECE;
    trp_test_random_start(&clients[i].sends, i);
    trp_test_random_start(&clients[i].expects, i);
  }
  for (size_t done = 0; done < CONNECTIONS;) {
    for (size_t i = 0; i < CONNECTIONS; i++) {
      bool sends = clients[i].sent < BYTES;
      polls[i] = (struct pollfd){.fd = clients[i].received < BYTES ? clients[i].fd : -1,
                                 .events = (short)(POLLIN | (sends ? POLLOUT : 0))};
    }
    assert_true(poll(polls, CONNECTIONS, LIMIT_MS * trp_test_slow()) > 0);
    done = 0;
    for (size_t i = 0; i < CONNECTIONS; i++) {
      if (polls[i].revents & POLLOUT) {
        send_some(&clients[i]);
      }
      if (polls[i].revents & POLLIN) {
        receive_some(&clients[i]);
      }
      done += clients[i].received == BYTES;
    }
  }
  for (unsigned i = 0; i < 4; i++) {
    assert_int_equal(atomic_load(&service.served[i]), CONNECTIONS / 4);
  }
  for (size_t i = 0; i < CONNECTIONS; i++) {
    assert_int_equal(trp_test_end(clients[i].fd), 0);
    assert_int_equal(trp_test_receive_to_end(clients[i].fd, &(char){0}, 1, LIMIT_MS), 0);
    trp_test_close(clients[i].fd);
  }
  test_service_wait_for_sockets(&service, 0);
  test_service_stop(&service);
  assert_int_equal(atomic_load(&service.errors), 0);
  assert_int_equal(atomic_load(&service.open), 0);
  free(clients);
  free(polls);
}

typedef struct {
  test_service_t service;
  int count;
} row_t;

// So many connections, one after the other.
static void connect_in_a_row(void *argument) {
  row_t *row = argument;
  for (int i = 0; i < row->count; i++) {
    int fd = test_service_connect(&row->service);
    test_service_echoes(fd);
    trp_test_close(fd);
  }
  test_service_wait_for_sockets(&row->service, 0);
}

static void ten_thousand_connections_one_after_the_other_leave_nothing_behind(void **state) {
  (void)state;
  trp_test_limit(150000);
  int count = trp_test_slow() > 1 ? ONE_AFTER_THE_OTHER / 10 : ONE_AFTER_THE_OTHER;
  row_t row = {.count = count / 10};
  test_service_start(&row.service, 4);
  connect_in_a_row(&row); // what is kept for reuse is there now
  int fds_before = trp_test_count_fds();
  row.count = count - count / 10;
  assert_true(trp_test_levels_off(connect_in_a_row, &row, 2 * 1024 * 1024));
  assert_int_equal(trp_test_count_fds(), fds_before);
  test_service_stop(&row.service);
  assert_int_equal(atomic_load(&row.service.open), 0);
}

static void four_actors_with_a_hundred_idle_connections_hardly_wake_up(void **state) {
  (void)state;
  enum { IDLE = 100, WINDOW_S = 3 };
  test_service_t service = {0};
  test_service_start(&service, 4);
  int fds[IDLE];
  for (int i = 0; i < IDLE; i++) {
    fds[i] = test_service_connect(&service);
    test_service_echoes(fds[i]);
  }
  if (trp_test_slow() == 1) { // sanitizers and valgrind have threads, and switches, of their own
    assert_true(trp_test_rests(WINDOW_S * 1000, WINDOW_S, 2000));
  }
  for (int i = 0; i < IDLE; i++) {
    test_service_echoes(fds[i]);
    trp_test_close(fds[i]);
  }
  test_service_stop(&service);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_mebibyte_each_way_through_200_connections_over_4_actors),
      trp_test(ten_thousand_connections_one_after_the_other_leave_nothing_behind),
      trp_test(four_actors_with_a_hundred_idle_connections_hardly_wake_up),
  };
  return TRP_RUN_TESTS("service/load", tests);
}
