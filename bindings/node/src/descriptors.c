// The descriptors behind sockets and servers. The library keeps them to itself: a copy of one is found by its addresses,
// for what only Node's own code can do with it, which is to send it to another process.
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "binding.h"

brief_t brief_of_address(const troupe_address_t *address) {
  brief_t brief = {.family = address->family, .port = address->port, .scope_id = address->scope_id};
  memcpy(brief.bytes, address->bytes, sizeof brief.bytes);
  return brief;
}

static brief_t brief_of_name(const struct sockaddr_storage *name) {
  const struct sockaddr_in *four = (const struct sockaddr_in *)name;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)name;
  brief_t brief = {0};
  if (name->ss_family == AF_INET) {
    brief = (brief_t){.family = TROUPE_FAMILY_IPV4, .port = ntohs(four->sin_port)};
    memcpy(brief.bytes, &four->sin_addr, sizeof four->sin_addr);
  } else if (name->ss_family == AF_INET6) {
    brief = (brief_t){.family = TROUPE_FAMILY_IPV6,
                      .port = ntohs(six->sin6_port),
                      .scope_id = six->sin6_scope_id};
    memcpy(brief.bytes, &six->sin6_addr, sizeof six->sin6_addr);
  }
  return brief;
}

void descriptor_names(int fd, names_t *names) {
  brief_t *ends[] = {&names->local, &names->remote};
  for (int i = 0; i < 2; i++) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    if ((i == 0 ? getsockname : getpeername)(fd, (struct sockaddr *)&name, &length) == 0) {
      *ends[i] = brief_of_name(&name);
    }
  }
}

// ---- Finding one ----

typedef struct wanted {
  names_t names;
  const troupe_address_t *path;   // its own, if it has one; otherwise NULL
  const troupe_address_t *remote; // the peer's path, likewise
  bool is_unix;
  bool listens;
} wanted_t;

static bool same(const brief_t *a, const brief_t *b) {
  return a->family == b->family && a->port == b->port &&
         memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

// The kernel counts the NUL at the end of a path, which an abstract name has not.
static bool has_path(int fd, bool remote, const troupe_address_t *path) {
  struct sockaddr_un name = {0};
  socklen_t length = sizeof name;
  if ((remote ? getpeername : getsockname)(fd, (struct sockaddr *)&name, &length) != 0 ||
      name.sun_family != AF_UNIX) {
    return false;
  }
  size_t used = length - offsetof(struct sockaddr_un, sun_path);
  if (path == NULL) {
    return used == 0;
  }
  bool is_long_enough = used == path->path_length ||
                        (name.sun_path[0] != '\0' && used == path->path_length + (size_t)1);
  return is_long_enough && memcmp(name.sun_path, path->path, path->path_length) == 0;
}

static bool is_wanted(int fd, const wanted_t *wanted) {
  int type = 0;
  int listens = 0;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) {
    return false;
  }
  length = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 ||
      (listens != 0) != wanted->listens) {
    return false;
  }
  if (wanted->is_unix) {
    return has_path(fd, false, wanted->path) &&
           (wanted->listens || has_path(fd, true, wanted->remote));
  }
  names_t names = {0};
  descriptor_names(fd, &names);
  return same(&names.local, &wanted->names.local) && same(&names.remote, &wanted->names.remote);
}

// Another thread may close it meanwhile, and open something else in its place: the copy is looked at again.
static int copy_if_wanted(int fd, const wanted_t *wanted) {
  int copy = is_wanted(fd, wanted) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
  if (copy >= 0 && !is_wanted(copy, wanted)) {
    (void)close(copy);
    copy = -1;
  }
  return copy;
}

static bool is_same_file(int a, int b) {
  struct stat first;
  struct stat second;
  return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino;
}

// Of Unix sockets many may have the same names: then nobody knows which.
static int copy_of(const wanted_t *wanted) {
  DIR *folder = opendir("/proc/self/fd");
  int copy = -1;
  if (folder == NULL) {
    return -1;
  }
  for (const struct dirent *one = readdir(folder); one != NULL; one = readdir(folder)) {
    int other = copy_if_wanted(atoi(one->d_name), wanted);
    if (other < 0) {
      continue;
    }
    if (copy < 0) {
      copy = other;
      if (!wanted->is_unix) {
        break;
      }
      continue;
    }
    bool is_another = !is_same_file(copy, other);
    (void)close(other);
    if (is_another) {
      (void)close(copy);
      copy = -1;
      break;
    }
  }
  (void)closedir(folder);
  return copy;
}

static bool is_ip(const brief_t *brief) {
  return brief->family == TROUPE_FAMILY_IPV4 || brief->family == TROUPE_FAMILY_IPV6;
}

// The addresses of a Unix socket, of which one side mostly has none.
static bool has_paths(const entry_t *entry, troupe_address_t *local, troupe_address_t *remote,
                      wanted_t *wanted) {
  troupe_socket_t socket = {.id = entry->handle};
  bool has_local = troupe_socket_local_address(socket, local) == 0 && local->path_length > 0;
  bool has_remote = troupe_socket_remote_address(socket, remote) == 0 && remote->path_length > 0;
  wanted->is_unix = true;
  wanted->path = has_local ? local : NULL;
  wanted->remote = has_remote ? remote : NULL;
  return has_local || has_remote;
}

// socketDescriptor(index): a copy of it, or -1: it is not connected, or cannot be told from others.
static napi_value socket_descriptor(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  const entry_t *entry = entry_at(binding_of(env), index_argument(env, argument[0]));
  wanted_t wanted = {0};
  troupe_address_t local = {0};
  troupe_address_t remote = {0};
  if (entry == NULL || entry->handle == 0 || !socket_names(entry, &wanted.names)) {
    return value_of_int(env, -1);
  }
  if ((!is_ip(&wanted.names.local) || !is_ip(&wanted.names.remote)) &&
      !has_paths(entry, &local, &remote, &wanted)) {
    return value_of_int(env, -1);
  }
  thread_wait_for_io(); // what was written before is on its way
  return value_of_int(env, copy_of(&wanted));
}

// serverDescriptor(index): a copy of it, or -1: it is not listening.
static napi_value server_descriptor(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  const entry_t *entry = entry_at(binding_of(env), index_argument(env, argument[0]));
  troupe_address_t address = {0};
  if (entry == NULL ||
      troupe_server_address((troupe_server_t){.id = entry->handle}, &address) != 0) {
    return value_of_int(env, -1);
  }
  wanted_t wanted = {.names.local = brief_of_address(&address), .listens = true};
  wanted.is_unix = !is_ip(&wanted.names.local);
  wanted.path = wanted.is_unix ? &address : NULL;
  return value_of_int(env, copy_of(&wanted));
}

napi_status descriptors_export(napi_env env, napi_value exports) {
  static const function_t functions[] = {
      {"socketDescriptor", socket_descriptor},
      {"serverDescriptor", server_descriptor},
  };
  return export_functions(env, exports, functions, sizeof functions / sizeof functions[0]);
}
