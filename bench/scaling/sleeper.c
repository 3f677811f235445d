// What the connections of 7 actors feel when the eighth sleeps 100 ms in each of its callbacks.
//
// Messages are due at a constant rate, 30 % of what the service carries when nobody sleeps, and the
// time of an answer counts from when its message was due. Rounds with and without the sleeper take
// turns.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/scaling/scaling.h"

enum {
  ACTORS = 8,
  CONNECTIONS = 64,
  ROUNDS = 5,
  QUEUE = 4096, // messages of one connection whose answers have not come
  SAMPLES = 1 << 21,
};

typedef struct {
  int fd;
  unsigned actor;
  size_t got;           // bytes of the answer that comes
  uint64_t sent, heard; // messages
  int64_t due[QUEUE];
} connection_t;

static connection_t connections[CONNECTIONS];
static uint32_t *samples; // microseconds
static size_t sample_count;
static int poller;

static void open_all(const process_t *process) {
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) {
    give_up("epoll_create1");
  }
  for (unsigned i = 0; i < CONNECTIONS; i++) {
    connection_t *connection = &connections[i];
    char message[MESSAGE] = {0};
    *connection = (connection_t){.fd = service_connect(process)};
    send_all(connection->fd, message, sizeof message);
    receive_all(connection->fd, message, sizeof message);
    connection->actor = (unsigned char)message[0];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
      give_up("epoll_ctl");
    }
  }
}

/// False: its peer is behind by as much as is remembered.
static bool send_one(connection_t *connection, int64_t due) {
  char message[MESSAGE] = {0};
  if (connection->sent - connection->heard == QUEUE) {
    return false;
  }
  ssize_t sent = send(connection->fd, message, sizeof message, MSG_NOSIGNAL);
  if (sent != MESSAGE) {
    if (sent >= 0 || errno != EAGAIN) {
      give_up("send");
    }
    return false;
  }
  connection->due[connection->sent++ % QUEUE] = due;
  return true;
}

/// Answers that have come; returns how many. `measures`: their times are kept, but for the sleeper's.
static unsigned hear(connection_t *connection, bool measures) {
  char bytes[16 * MESSAGE];
  unsigned answers = 0;
  ssize_t n = recv(connection->fd, bytes, sizeof bytes, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) {
    give_up("recv");
  }
  connection->got += n > 0 ? (size_t)n : 0;
  int64_t now = now_ns();
  for (; connection->got >= MESSAGE; connection->got -= MESSAGE) {
    int64_t due = connection->due[connection->heard++ % QUEUE];
    answers++;
    if (measures && connection->actor != 0 && sample_count < SAMPLES) {
      samples[sample_count++] = (uint32_t)((now - due) / 1000);
    }
  }
  return answers;
}

static unsigned poll_once(int timeout_ms, bool measures, bool sends) {
  struct epoll_event events[CONNECTIONS];
  unsigned answers = 0;
  int count = epoll_wait(poller, events, CONNECTIONS, timeout_ms);
  for (int i = 0; i < count; i++) {
    connection_t *connection = events[i].data.ptr;
    unsigned here = hear(connection, measures);
    answers += here;
    for (unsigned k = 0; sends && k < here; k++) {
      (void)send_one(connection, now_ns());
    }
  }
  return answers;
}

/// As much as goes through: each answer is followed by the next message.
static double capacity(int64_t ms) {
  uint64_t answers = 0;
  int64_t begin = now_ns();
  for (unsigned i = 0; i < CONNECTIONS; i++) {
    (void)send_one(&connections[i], begin);
  }
  while (now_ns() - begin < ms * 1000000) {
    answers += poll_once(10, false, true);
  }
  double seconds = (double)(now_ns() - begin) / 1e9;
  while (poll_once(200, false, false) > 0) {
  }
  return (double)answers / seconds;
}

static int compare(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left;
  uint32_t b = *(const uint32_t *)right;
  return a < b ? -1 : a > b;
}

/// The p99 of the others' connections at this rate, in microseconds.
static double round_at(double rate, int64_t ms) {
  int64_t begin = now_ns();
  int64_t step = (int64_t)(1e9 / rate);
  int64_t due = begin;
  unsigned next = 0;
  sample_count = 0;
  while (due < begin + ms * 1000000) {
    while (due <= now_ns()) {
      (void)send_one(&connections[next++ % CONNECTIONS], due);
      due += step;
    }
    // The tenth at the beginning warms up.
    poll_once(0, due - begin > ms * 100000, false);
  }
  int64_t end = now_ns() + 200 * INT64_C(1000000);
  while (now_ns() < end) {
    poll_once(10, true, false);
  }
  qsort(samples, sample_count, sizeof *samples, compare);
  return sample_count == 0 ? 0 : samples[sample_count * 99 / 100];
}

/// What the sleeper still owes comes before the next round.
static void catch_up(service_t *service) {
  atomic_store(&service->sleeps, false);
  bool behind = true;
  while (behind) {
    poll_once(50, false, false);
    behind = false;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
      behind = behind || connections[i].sent != connections[i].heard;
    }
  }
}

static double median(double *values, size_t count) {
  for (size_t i = 1; i < count; i++) {
    for (size_t k = i; k > 0 && values[k] < values[k - 1]; k--) {
      double spare = values[k];
      values[k] = values[k - 1];
      values[k - 1] = spare;
    }
  }
  return values[count / 2];
}

void measure_sleeper(unsigned io_threads, bool quick) {
  int64_t ms = quick ? 500 : 3000;
  double without[ROUNDS], with[ROUNDS];
  process_t process = service_start(ACTORS, io_threads, TROUPE_POLICY_ROUND_ROBIN);
  samples = malloc(SAMPLES * sizeof *samples);
  if (samples == NULL) {
    give_up("malloc");
  }
  open_all(&process);
  capacity(ms / 3);
  double rate = 0.3 * capacity(ms);
  for (unsigned i = 0; i < ROUNDS; i++) {
    without[i] = round_at(rate, ms);
    atomic_store(&process.service->sleeps, true);
    with[i] = round_at(rate, ms);
    catch_up(process.service);
  }
  double before = median(without, ROUNDS);
  double after = median(with, ROUNDS);
  printf(
      "| p99 of the others, %.0f messages/s | %u | %.0f us, %.0f us beside a sleeper: %+.0f %% | "
      "less than 20 %% more |\n",
      rate, io_threads, before, after, before == 0 ? 0 : 100 * (after / before - 1));
  printf("| all rounds, in us | %u |", io_threads);
  for (unsigned i = 0; i < ROUNDS; i++) {
    printf(" %.0f", without[i]);
  }
  printf(";");
  for (unsigned i = 0; i < ROUNDS; i++) {
    printf(" %.0f", with[i]);
  }
  printf(" beside it | |\n");
  for (unsigned i = 0; i < CONNECTIONS; i++) {
    close(connections[i].fd);
  }
  close(poller);
  free(samples);
  service_stop(&process);
}
