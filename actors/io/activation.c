/// Socket activation: <troupe/activation.h>. The protocol is in sd_listen_fds(3).
#include "actors/io/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/io/descriptor.h"

enum { FIRST_FD = 3 }; // SD_LISTEN_FDS_START

static int read_number(const char *text, long low, long high, long *number);
static size_t count_names(const char *names);
static int close_on_exec(int fd);
static int describe(const trp_activation_t *variables, int fd, size_t index,
                    troupe_activated_t *described);
static int copy_name(const char *names, size_t index, char name[TROUPE_ACTIVATED_NAME_SIZE]);

int troupe_activated_list(troupe_activated_t *list, size_t capacity, size_t *count) {
  if (count == NULL || (list == NULL && capacity > 0)) {
    return TROUPE_EINVAL;
  }
  // NOLINTBEGIN(concurrency-mt-unsafe): the header says that nobody may change the environment
  trp_activation_t variables = {
      .pid = getenv("LISTEN_PID"),
      .fds = getenv("LISTEN_FDS"),
      .names = getenv("LISTEN_FDNAMES"),
  };
  // NOLINTEND(concurrency-mt-unsafe)
  return trp_activation_read(&variables, getpid(), FIRST_FD, list, capacity, count);
}

int troupe_activated_find(const char *name, size_t index, troupe_activated_t *found) {
  size_t count = 0;
  if (found == NULL) {
    return TROUPE_EINVAL;
  }
  int error = troupe_activated_list(NULL, 0, &count);
  if (error != 0 || count == 0) {
    return error != 0 ? error : (int)TROUPE_ENOENT;
  }
  troupe_activated_t *list = calloc(count, sizeof *list);
  if (list == NULL) {
    return TROUPE_ENOMEM;
  }
  error = troupe_activated_list(list, count, &count);
  const troupe_activated_t *match = NULL;
  for (size_t i = 0; i < count && match == NULL; i++) {
    if (name == NULL ? list[i].kind == TROUPE_ACTIVATED_LISTENING
                     : strcmp(list[i].name, name) == 0) {
      match = index-- == 0 ? &list[i] : NULL;
    }
  }
  if (error == 0 && match == NULL) {
    error = TROUPE_ENOENT;
  } else if (error == 0) {
    *found = *match;
    error = match->kind == TROUPE_ACTIVATED_LISTENING ? 0 : (int)TROUPE_ERR_INVALID_FD_TYPE;
  }
  free(list);
  return error;
}

int trp_activation_read(const trp_activation_t *variables, pid_t self, int first,
                        troupe_activated_t *list, size_t capacity, size_t *count) {
  long pid = 0, fds = 0;
  *count = 0;
  if (variables->pid == NULL || variables->fds == NULL) {
    return 0;
  }
  int error = read_number(variables->pid, 1, LONG_MAX, &pid);
  if (error == 0 && pid != (long)self) {
    return 0;
  }
  if (error == 0) {
    error = read_number(variables->fds, 0, INT_MAX - first, &fds);
  }
  if (error == 0 && variables->names != NULL && count_names(variables->names) != (size_t)fds) {
    error = TROUPE_ERR_INVALID_ARG_VALUE;
  }
  for (long i = 0; i < fds && error == 0; i++) {
    error = close_on_exec(first + (int)i);
  }
  for (long i = 0; i < fds && (size_t)i < capacity && error == 0; i++) {
    error = describe(variables, first + (int)i, (size_t)i, &list[i]);
  }
  *count = error == 0 ? (size_t)fds : 0;
  return error;
}

static int read_number(const char *text, long low, long high, long *number) {
  char *end = NULL;
  if (text[0] < '0' || text[0] > '9') {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  errno = 0;
  *number = strtol(text, &end, 10);
  bool right = errno == 0 && *end == '\0' && *number >= low && *number <= high;
  return right ? 0 : (int)TROUPE_ERR_INVALID_ARG_VALUE;
}

static size_t count_names(const char *names) {
  size_t count = names[0] != '\0';
  for (; *names != '\0'; names++) {
    count += *names == ':';
  }
  return count;
}

static int close_on_exec(int fd) {
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0) {
    return -errno;
  }
  return (flags & FD_CLOEXEC) != 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0 ? 0 : -errno;
}

static int describe(const trp_activation_t *variables, int fd, size_t index,
                    troupe_activated_t *described) {
  trp_fd_type_t type;
  trp_fd_kind_t kind;
  *described = (troupe_activated_t){.fd = fd};
  int error = copy_name(variables->names, index, described->name);
  if (error != 0 || trp_fd_classify(fd, &type, &kind) != 0) {
    return error;
  }
  if (kind == TRP_FD_LISTENING) {
    described->kind = TROUPE_ACTIVATED_LISTENING;
  } else if (kind == TRP_FD_STREAM) {
    described->kind = TROUPE_ACTIVATED_STREAM;
  }
  if (type != TRP_FD_PIPE) {
    trp_fd_names(fd, &described->address, NULL);
  }
  return 0;
}

static int copy_name(const char *names, size_t index, char name[TROUPE_ACTIVATED_NAME_SIZE]) {
  if (names == NULL) {
    names = "unknown"; // as systemd's own library says then
    index = 0;
  }
  for (; index > 0; index--) {
    names = strchr(names, ':') + 1; // there are as many as descriptors
  }
  size_t length = strcspn(names, ":");
  if (length >= TROUPE_ACTIVATED_NAME_SIZE) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  memcpy(name, names, length);
  name[length] = '\0';
  return 0;
}
