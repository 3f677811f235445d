/// System calls on plain descriptors. One place for flags, EINTR and the kernel's special cases.
#include "actors/io/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/io/sockaddr.h"

enum {
  // What libuv and Node set beside the delay: ten probes, a second apart.
  KEEP_ALIVE_INTERVAL_S = 1,
  KEEP_ALIVE_COUNT = 10,
};

static int set_flag(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

static int get_flag(int fd, int option, int *value) {
  socklen_t length = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, option, value, &length) == 0 ? 0 : -errno;
}

static bool has_peer(int fd);

/// A connection that has died has no peer either; unlike a socket that never had one it has an
/// error or an end to read.
static bool had_a_peer(int fd) {
  struct pollfd question = {.fd = fd, .events = POLLIN | POLLRDHUP};
  return poll(&question, 1, 0) > 0 && (question.revents & (POLLIN | POLLRDHUP | POLLERR)) != 0;
}

static int classify_socket(int fd, trp_fd_type_t *type, trp_fd_kind_t *kind) {
  int domain = 0;
  int style = 0;
  int listening = 0;
  int error = get_flag(fd, SO_DOMAIN, &domain);
  if (error == 0) {
    error = get_flag(fd, SO_TYPE, &style);
  }
  if (error == 0) {
    error = get_flag(fd, SO_ACCEPTCONN, &listening);
  }
  if (error != 0) {
    return error;
  }
  if (style != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)) {
    return TROUPE_ERR_INVALID_FD_TYPE;
  }
  *type = domain == AF_UNIX ? TRP_FD_UNIX : TRP_FD_TCP;
  if (listening != 0) {
    *kind = TRP_FD_LISTENING;
  } else if (has_peer(fd) || had_a_peer(fd)) {
    *kind = TRP_FD_STREAM;
  } else {
    *kind = TRP_FD_BOUND;
  }
  return 0;
}

int trp_fd_classify(int fd, trp_fd_type_t *type, trp_fd_kind_t *kind) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return -errno;
  }
  if (S_ISSOCK(status.st_mode)) {
    return classify_socket(fd, type, kind);
  }
  if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)) {
    return TROUPE_ERR_INVALID_FD_TYPE;
  }
  *type = TRP_FD_PIPE;
  *kind = TRP_FD_STREAM;
  return 0;
}

int trp_fd_tame(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)) {
    return -errno;
  }
  flags = fcntl(fd, F_GETFD);
  if (flags < 0 || ((flags & FD_CLOEXEC) == 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)) {
    return -errno;
  }
  return 0;
}

/// Binds the near end of a connection. Options as libuv sets them; without a port the kernel may
/// pick one that is in use towards other peers, or a machine with one address would be out of ports
/// after 28,000 connections.
static int bind_local(int fd, const troupe_address_t *local, int family) {
  struct sockaddr_storage address;
  socklen_t length = trp_sockaddr_make(local, &address);
  if (length == 0 || address.ss_family != family) {
    return TROUPE_EINVAL; // Linux would say EAFNOSUPPORT; libuv, and so Node, says this
  }
  int error = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error == 0 && local->port == 0) {
    error = set_flag(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  }
  if (error == 0 && family == AF_INET6) {
    error = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  }
  if (error != 0) {
    return error;
  }
  return bind(fd, (const struct sockaddr *)&address, length) == 0 ? 0 : -errno;
}

int trp_fd_connect(const troupe_address_t *remote, const troupe_address_t *local, int *fd,
                   const char **syscall) {
  struct sockaddr_storage address;
  socklen_t length = trp_sockaddr_make(remote, &address);
  *syscall = "connect";
  if (length == 0) {
    return TROUPE_EAFNOSUPPORT;
  }
  int opened = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (opened < 0) {
    return -errno;
  }
  int error = 0;
  if (local != NULL && remote->family != TROUPE_FAMILY_UNIX) {
    error = bind_local(opened, local, address.ss_family);
    if (error != 0) {
      *syscall = "bind";
      goto failed;
    }
  }
  if (connect(opened, (const struct sockaddr *)&address, length) != 0 && errno != EINPROGRESS &&
      errno != EINTR) { // interrupted, it goes on by itself
    error = -errno;
    goto failed;
  }
  *fd = opened;
  return 0;
failed:
  close(opened);
  return error;
}

int trp_fd_error(int fd) {
  int pending = 0;
  int error = get_flag(fd, SO_ERROR, &pending);
  if (error == -ENOTSOCK) {
    return 0;
  }
  return error != 0 ? error : -pending;
}

static bool has_peer(int fd) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  return getpeername(fd, (struct sockaddr *)&address, &length) == 0;
}

int trp_fd_connected(int fd) {
  int error = trp_fd_error(fd);
  if (error != 0 || has_peer(fd)) {
    return error;
  }
  struct pollfd question = {.fd = fd, .events = POLLOUT};
  bool over = poll(&question, 1, 0) > 0 && (question.revents & POLLHUP) != 0;
  return over ? TROUPE_ECONNABORTED : TROUPE_EALREADY;
}

ssize_t trp_fd_read(int fd, void *bytes, size_t length) {
  ssize_t n;
  do {
    n = read(fd, bytes, length);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static ssize_t write_once(int fd, trp_fd_type_t type, const struct iovec *parts, int count) {
  if (type == TRP_FD_PIPE) {
    return count == 1 ? write(fd, parts->iov_base, parts->iov_len) : writev(fd, parts, count);
  }
  if (count == 1) {
    return send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
  }
  // Nothing is written through it; the struct serves recvmsg() too.
  struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

ssize_t trp_fd_write(int fd, trp_fd_type_t type, const struct iovec *parts, int count) {
  ssize_t n;
  do {
    n = write_once(fd, type, parts, count > IOV_MAX ? IOV_MAX : count);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static int set_keep_alive_delay(int fd, int delay_s) {
  int error = set_flag(fd, IPPROTO_TCP, TCP_KEEPIDLE, delay_s);
  if (error == 0) {
    error = set_flag(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_ALIVE_INTERVAL_S);
  }
  if (error == 0) {
    error = set_flag(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_ALIVE_COUNT);
  }
  return error;
}

int trp_fd_set_option(int fd, trp_option_t option, int value) {
  switch (option) {
  case TRP_OPTION_NO_DELAY:
    return set_flag(fd, IPPROTO_TCP, TCP_NODELAY, value != 0);
  case TRP_OPTION_KEEP_ALIVE:
    return set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, value != 0);
  case TRP_OPTION_KEEP_ALIVE_DELAY_S:
    return set_keep_alive_delay(fd, value);
  default:
    return TROUPE_EINVAL;
  }
}

void trp_fd_reset(int fd) {
  struct linger none = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(fd);
}

int trp_fd_credentials(int fd, trp_credentials_t *credentials) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return -errno;
  }
  *credentials = (trp_credentials_t){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
  return 0;
}

void trp_fd_names(int fd, troupe_address_t *local, troupe_address_t *remote) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (local != NULL) {
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
      length = 0;
    }
    trp_sockaddr_read(&address, length, local);
  }
  length = sizeof address;
  if (remote != NULL) {
    if (getpeername(fd, (struct sockaddr *)&address, &length) != 0) {
      length = 0;
    }
    trp_sockaddr_read(&address, length, remote);
  }
}
