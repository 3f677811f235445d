// The other side of a connection, as a test needs it: plain system calls, nothing of troupe, every
// wait with an end.

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/harness/harness.h"

#define BACKLOG 1024

static int64_t deadline_after(int limit_ms);
static int wait_for(int fd, short events, int64_t deadline_ms);
static int new_client_socket(int family);
static int connect_to(int fd, const struct sockaddr *address, socklen_t size, int limit_ms);
static int listen_on(const struct sockaddr *address, socklen_t size);
static int port_of(int fd, int *port);
static int tcp_address(const char *host, int port, struct sockaddr_storage *address,
                       socklen_t *size);
static int unix_address(const char *path, size_t length, struct sockaddr_un *address,
                        socklen_t *size);
static int64_t receive_until(int fd, unsigned char *bytes, size_t length, int64_t deadline_ms);

int trp_test_connect_tcp(const char *host, int port, int limit_ms) {
  struct sockaddr_storage address;
  socklen_t size;
  int error = tcp_address(host, port, &address, &size);
  return error != 0 ? error
                    : connect_to(new_client_socket(address.ss_family),
                                 (const struct sockaddr *)&address, size, limit_ms);
}

int trp_test_connect_tcp_from(const char *from, const char *host, int port, int limit_ms) {
  struct sockaddr_storage local;
  struct sockaddr_storage address;
  socklen_t local_size;
  socklen_t size;
  int yes = 1;
  int error = tcp_address(from, 0, &local, &local_size);
  error = error == 0 ? tcp_address(host, port, &address, &size) : error;
  if (error != 0) {
    return error;
  }
  int fd = new_client_socket(local.ss_family);
  if (fd >= 0 && (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) != 0 ||
                  bind(fd, (const struct sockaddr *)&local, local_size) != 0)) {
    error = -errno;
    close(fd);
    return error;
  }
  return connect_to(fd, (const struct sockaddr *)&address, size, limit_ms);
}

int trp_test_connect_unix(const char *path, size_t length, int limit_ms) {
  struct sockaddr_un address;
  socklen_t size;
  int error = unix_address(path, length, &address, &size);
  return error != 0 ? error
                    : connect_to(new_client_socket(AF_UNIX), (const struct sockaddr *)&address,
                                 size, limit_ms);
}

int trp_test_listen_tcp(const char *host, int *port) {
  struct sockaddr_storage address;
  socklen_t size;
  int fd = tcp_address(host, *port, &address, &size);
  if (fd == 0) {
    fd = listen_on((const struct sockaddr *)&address, size);
  }
  return fd < 0 ? fd : port_of(fd, port);
}

int trp_test_reserve_tcp(const char *host, int *port) {
  struct sockaddr_storage address;
  socklen_t size;
  int error = tcp_address(host, 0, &address, &size);
  if (error != 0) {
    return error;
  }
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -errno;
  }
  if (bind(fd, (const struct sockaddr *)&address, size) != 0) {
    error = -errno;
    close(fd);
    return error;
  }
  return port_of(fd, port);
}

int trp_test_listen_unix(const char *path, size_t length) {
  struct sockaddr_un address;
  socklen_t size;
  int error = unix_address(path, length, &address, &size);
  return error != 0 ? error : listen_on((const struct sockaddr *)&address, size);
}

int trp_test_accept(int fd, int limit_ms) {
  int64_t deadline_ms = deadline_after(limit_ms);
  for (;;) {
    int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
      return accepted;
    }
    if (errno == EINTR || errno == ECONNABORTED) {
      continue;
    }
    int error = errno == EAGAIN ? wait_for(fd, POLLIN, deadline_ms) : -errno;
    if (error != 0) {
      return error;
    }
  }
}

int trp_test_send(int fd, const void *bytes, size_t length, int limit_ms) {
  int64_t deadline_ms = deadline_after(limit_ms);
  const unsigned char *at = bytes;
  while (length > 0) {
    ssize_t sent = send(fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      at += sent;
      length -= (size_t)sent;
      continue;
    }
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    int error = errno == EAGAIN ? wait_for(fd, POLLOUT, deadline_ms) : -errno;
    if (error != 0) {
      return error;
    }
  }
  return 0;
}

int64_t trp_test_receive(int fd, void *bytes, size_t length, int limit_ms) {
  return receive_until(fd, bytes, length, deadline_after(limit_ms));
}

int64_t trp_test_receive_to_end(int fd, void *bytes, size_t capacity, int limit_ms) {
  int64_t deadline_ms = deadline_after(limit_ms);
  unsigned char one_more;
  int64_t received = receive_until(fd, bytes, capacity, deadline_ms);
  if (received < 0 || (size_t)received < capacity) {
    return received;
  }
  int64_t rest = receive_until(fd, &one_more, 1, deadline_ms);
  return rest == 0 ? received : rest > 0 ? -EMSGSIZE : rest;
}

int trp_test_end(int fd) {
  return shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
}

void trp_test_reset(int fd) {
  struct linger none = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(fd);
}

void trp_test_close(int fd) {
  close(fd);
}

// The fd, closed again if its port cannot be told.
static int port_of(int fd, int *port) {
  union {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
  } address = {0};
  socklen_t size = sizeof address;
  if (getsockname(fd, &address.any, &size) != 0) {
    int error = -errno;
    close(fd);
    return error;
  }
  *port = ntohs(address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port : address.ipv4.sin_port);
  return fd;
}

static int64_t deadline_after(int limit_ms) {
  return trp_test_now_ms() + (int64_t)limit_ms * trp_test_slow();
}

// 0 when the fd is ready, or has an error that the next call will tell.
static int wait_for(int fd, short events, int64_t deadline_ms) {
  for (;;) {
    int64_t left_ms = deadline_ms - trp_test_now_ms();
    struct pollfd watched = {.fd = fd, .events = events};
    if (left_ms <= 0) {
      return -ETIMEDOUT;
    }
    int ready = poll(&watched, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
    if (ready > 0) {
      return 0;
    }
    if (ready < 0 && errno != EINTR) {
      return -errno;
    }
  }
}

static int new_client_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
}

/// The descriptor is the caller's only when it is connected.
static int connect_to(int fd, const struct sockaddr *address, socklen_t size, int limit_ms) {
  int64_t deadline_ms = deadline_after(limit_ms);
  int error = fd < 0 ? fd : 0;
  socklen_t error_size = sizeof error;
  while (fd >= 0 && connect(fd, address, size) != 0) {
    if (errno == EINPROGRESS) {
      error = wait_for(fd, POLLOUT, deadline_ms);
      if (error == 0) {
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
        error = -error;
      }
      break;
    }
    if (errno == EAGAIN && trp_test_now_ms() < deadline_ms) {
      poll(NULL, 0, 1); // a Unix domain socket whose backlog is full cannot be waited for
    } else if (errno != EINTR) {
      error = errno == EAGAIN ? -ETIMEDOUT : -errno;
      break;
    }
  }
  if (error == 0) {
    return fd;
  }
  if (fd >= 0) {
    close(fd);
  }
  return error;
}

static int listen_on(const struct sockaddr *address, socklen_t size) {
  int on = 1;
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -errno;
  }
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address, size) != 0 || listen(fd, BACKLOG) != 0) {
    int error = -errno;
    close(fd);
    return error;
  }
  return fd;
}

// A literal address only: a test that depends on a resolver depends on the machine.
static int tcp_address(const char *host, int port, struct sockaddr_storage *address,
                       socklen_t *size) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  char service[16];
  snprintf(service, sizeof service, "%d", port);
  if (getaddrinfo(host, service, &hints, &found) != 0) {
    return -EINVAL;
  }
  memcpy(address, found->ai_addr, found->ai_addrlen);
  *size = found->ai_addrlen;
  freeaddrinfo(found);
  return 0;
}

// An abstract name is as long as it is; a path ends with a zero byte.
static int unix_address(const char *path, size_t length, struct sockaddr_un *address,
                        socklen_t *size) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (length == 0 || length >= sizeof address->sun_path) {
    return -ENAMETOOLONG;
  }
  memcpy(address->sun_path, path, length);
  *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '\0'));
  return 0;
}

static int64_t receive_until(int fd, unsigned char *bytes, size_t length, int64_t deadline_ms) {
  size_t received = 0;
  while (received < length) {
    ssize_t part = recv(fd, bytes + received, length - received, MSG_DONTWAIT);
    if (part == 0) {
      break;
    }
    if (part > 0) {
      received += (size_t)part;
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    int error = errno == EAGAIN ? wait_for(fd, POLLIN, deadline_ms) : -errno;
    if (error != 0) {
      return error;
    }
  }
  return (int64_t)received;
}
