// One connection: see connection.h.

#include "bench/load/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/pattern.h"
#include "bench/load/process.h"

// One buffer for all connections: what was read is checked at once, nothing is kept.
static unsigned char buffer[LOAD_PATTERN_SPAN];

static void check(const load_connection_t *connection, size_t length);
static bool find_end(load_connection_t *connection, const load_target_t *target);
static _Noreturn void fail(const load_connection_t *connection, const load_target_t *target,
                           const char *doing, int error);

bool load_connection_open(load_connection_t *connection, const load_target_t *target,
                          uint64_t serial, int epoll_fd) {
  *connection = (load_connection_t){
      .fd = -1, .serial = serial, .pattern_start = load_pattern_start(serial)};
  int fd = load_target_connect(target, serial);
  if (fd == -EAGAIN) {
    return false;
  }
  if (fd < 0) {
    fail(connection, target, "connect", -fd);
  }
  connection->fd = fd;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              .data.ptr = connection};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
    fail(connection, target, "epoll_ctl", errno);
  }
  return true;
}

void load_connection_send(load_connection_t *connection, const load_target_t *target) {
  while (connection->sent < connection->allowed) {
    uint64_t rest = connection->allowed - connection->sent;
    size_t length = rest < LOAD_PATTERN_SPAN ? (size_t)rest : LOAD_PATTERN_SPAN;
    const unsigned char *bytes = load_pattern_at(connection->pattern_start, connection->sent);
    ssize_t written = send(connection->fd, bytes, length, MSG_NOSIGNAL);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN || (errno == ENOTCONN && !connection->connected)) {
        return; // the next edge brings us back
      }
      fail(connection, target, "send", errno);
    }
    connection->connected = true;
    connection->sent += (uint64_t)written;
    if ((size_t)written < length) {
      return; // the kernel's buffer is full: an edge will follow
    }
  }
}

void load_connection_receive(load_connection_t *connection, const load_target_t *target,
                             bool ending) {
  for (;;) {
    // No more is asked for than can rightly come; when that has come, the socket is empty, and the
    // call that would only say so is saved.
    uint64_t expected = connection->sent - connection->received;
    if (expected == 0) {
      connection->ended = find_end(connection, target);
      return;
    }
    size_t length = expected < sizeof buffer ? (size_t)expected : sizeof buffer;
    ssize_t count = recv(connection->fd, buffer, length, 0);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN) {
        return;
      }
      fail(connection, target, "recv", errno);
    }
    if (count == 0) {
      load_die("connection %" PRIu64 ": %s ended the stream while %" PRIu64
               " bytes were not echoed yet",
               connection->serial, target->text, expected);
    }
    check(connection, (size_t)count);
    connection->received += (uint64_t)count;
    if (!ending && ((uint64_t)count == expected || (size_t)count < length)) {
      return;
    }
  }
}

void load_connection_shutdown(load_connection_t *connection) {
  shutdown(connection->fd, SHUT_WR);
}

void load_connection_close(load_connection_t *connection) {
  if (connection->fd >= 0) {
    close(connection->fd);
    connection->fd = -1;
  }
}

static void check(const load_connection_t *connection, size_t length) {
  const unsigned char *bytes = load_pattern_at(connection->pattern_start, connection->received);
  if (memcmp(buffer, bytes, length) == 0) {
    return;
  }
  size_t i = 0;
  while (buffer[i] == bytes[i]) {
    i++;
  }
  load_die("connection %" PRIu64 ": byte %" PRIu64 " came back as 0x%02x, it was sent as 0x%02x",
           connection->serial, connection->received + i, buffer[i], bytes[i]);
}

// Nothing is expected, so what there is to read can only be the end, an error, or too much.
// Returns true for the end.
static bool find_end(load_connection_t *connection, const load_target_t *target) {
  for (;;) {
    ssize_t count = recv(connection->fd, buffer, 1, MSG_PEEK);
    if (count == 0) {
      return true;
    }
    if (count > 0) {
      load_die("connection %" PRIu64 ": %s sent more than it was sent", connection->serial,
               target->text);
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno == EAGAIN || (errno == ENOTCONN && !connection->connected)) {
      return false;
    }
    fail(connection, target, "recv", errno);
  }
}

static _Noreturn void fail(const load_connection_t *connection, const load_target_t *target,
                           const char *doing, int error) {
  if (!connection->connected) {
    load_die("cannot connect to %s: %s (%s)", target->text, strerror(error), doing);
  }
  load_die("connection %" PRIu64 " to %s: %s: %s", connection->serial, target->text, doing,
           strerror(error));
}
