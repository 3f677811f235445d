/// Making listening sockets. libuv's own functions are not used: they cut long paths off, know no
/// abstract names and accept without a limit.
#include "actors/io/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/io/sockaddr.h"

enum { ACCEPT_TRIES = 64 }; // dead connections in one call; the rest waits for the next turn

struct trp_path {
  dev_t device;
  ino_t inode;
  char name[TROUPE_PATH_MAX + 1];
};

static int set_flag(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

/// What has to be set before bind().
static int prepare_socket(int fd, const trp_listen_spec_t *spec) {
  if (spec->address.family == TROUPE_FAMILY_UNIX) {
    return 0;
  }
  int error = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error == 0 && spec->reuse_port) {
    error = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  }
  if (error == 0 && spec->address.family == TROUPE_FAMILY_IPV6) {
    // The default is the machine's; ours is the same everywhere.
    error = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, spec->ipv6_only ? 1 : 0);
  }
  return error;
}

static bool is_file(const troupe_address_t *address) {
  return address->family == TROUPE_FAMILY_UNIX && address->path_length > 0 &&
         address->path[0] != '\0';
}

static trp_path_t *new_path(const troupe_address_t *address) {
  trp_path_t *path = calloc(1, sizeof *path);
  if (path != NULL) {
    memcpy(path->name, address->path, address->path_length);
  }
  return path;
}

/// Right after bind(): there is no call that asks a socket for the inode of its file.
static int remember_inode(trp_path_t *path) {
  struct stat status;
  if (lstat(path->name, &status) != 0) {
    return -errno;
  }
  path->device = status.st_dev;
  path->inode = status.st_ino;
  return 0;
}

static int open_to_all(const trp_path_t *path, const trp_listen_spec_t *spec) {
  mode_t wanted = 0;
  if (spec->readable_all) {
    wanted |= S_IRUSR | S_IRGRP | S_IROTH;
  }
  if (spec->writable_all) {
    wanted |= S_IWUSR | S_IWGRP | S_IWOTH;
  }
  if (wanted == 0) {
    return 0;
  }
  struct stat status;
  if (lstat(path->name, &status) != 0) {
    return -errno;
  }
  if (status.st_dev != path->device || status.st_ino != path->inode) {
    return TROUPE_EBUSY; // somebody put another file there; its mode is none of our business
  }
  return chmod(path->name, (status.st_mode & 07777) | wanted) == 0 ? 0 : -errno;
}

int trp_listen(const trp_listen_spec_t *spec, int *fd, trp_path_t **path, const char **syscall) {
  struct sockaddr_storage address;
  socklen_t length = trp_sockaddr_make(&spec->address, &address);
  *path = NULL;
  *syscall = "socket";
  if (length == 0) {
    return TROUPE_EAFNOSUPPORT;
  }
  trp_path_t *made = NULL;
  bool file = is_file(&spec->address);
  if (file && (made = new_path(&spec->address)) == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = 0;
  int opened = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (opened < 0) {
    error = -errno;
    goto no_socket;
  }
  *syscall = "setsockopt";
  if ((error = prepare_socket(opened, spec)) != 0) {
    goto no_bind;
  }
  *syscall = "bind";
  if (bind(opened, (const struct sockaddr *)&address, length) != 0) {
    error = -errno;
    goto no_bind;
  }
  if (file && (error = remember_inode(made)) != 0) {
    goto no_bind;
  }
  *syscall = "chmod";
  if (file && (error = open_to_all(made, spec)) != 0) {
    goto no_listen;
  }
  *syscall = "listen";
  if ((error = trp_listen_again(opened, spec->backlog)) != 0) {
    goto no_listen;
  }
  *fd = opened;
  *path = made;
  return 0;
no_listen:
  trp_path_remove(&made);
no_bind:
  close(opened);
no_socket:
  free(made);
  return error;
}

int trp_listen_again(int fd, int backlog) {
  return listen(fd, backlog > 0 ? backlog : TRP_BACKLOG) == 0 ? 0 : -errno;
}

/// Errors of accept() that speak of the connection that waited, not of the listener: accept(2)
/// wants them treated as "try the next one".
static bool is_dead_connection(int error) {
  switch (error) {
  case EINTR:
  case ECONNABORTED:
  case EPERM:
  case EPROTO:
  case ENOPROTOOPT:
  case EOPNOTSUPP:
  case ENETDOWN:
  case ENETUNREACH:
  case EHOSTDOWN:
  case EHOSTUNREACH:
  case ENONET:
  case ETIMEDOUT:
    return true;
  default:
    return false;
  }
}

int trp_listen_accept(int fd, troupe_address_t *remote) {
  for (int i = 0; i < ACCEPT_TRIES; i++) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int taken = accept4(fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (taken >= 0) {
      if (remote != NULL) {
        trp_sockaddr_read(&address, length, remote);
      }
      return taken;
    }
    if (!is_dead_connection(errno)) {
      return -errno;
    }
  }
  return -EAGAIN;
}

void trp_path_remove(trp_path_t **path) {
  trp_path_t *gone = *path;
  if (gone == NULL) {
    return;
  }
  *path = NULL;
  struct stat status;
  if (lstat(gone->name, &status) == 0 && S_ISSOCK(status.st_mode) &&
      status.st_dev == gone->device && status.st_ino == gone->inode) {
    unlink(gone->name); // gone already, or a folder that may not be written to: nothing that could
                        // be done about it
  }
  free(gone);
}

bool trp_listen_has_ipv6(void) {
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return false;
  }
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
  bool works = bind(fd, (const struct sockaddr *)&any, sizeof any) == 0;
  close(fd);
  return works;
}
