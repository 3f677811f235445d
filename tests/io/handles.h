// What the tests of the libuv transport do with its handles and with the peers on plain sockets.
#ifndef TRP_TESTS_IO_HANDLES_H_INCLUDED
#define TRP_TESTS_IO_HANDLES_H_INCLUDED

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/world.h"

enum { LIMIT_MS = 5000, FEW_TURNS = 10 };

static inline troupe_address_t ipv4(uint8_t first, uint8_t last, int port) {
  return (troupe_address_t){
      .family = TROUPE_FAMILY_IPV4, .port = (uint16_t)port, .bytes = {first, 0, 0, last}};
}

static inline troupe_address_t ipv6(uint8_t last, int port) {
  return (troupe_address_t){
      .family = TROUPE_FAMILY_IPV6, .port = (uint16_t)port, .bytes = {[15] = last}};
}

static inline troupe_address_t unix_name(const char *name, size_t length) {
  troupe_address_t address = {.family = TROUPE_FAMILY_UNIX, .path_length = (uint8_t)length};
  memcpy(address.path, name, length);
  return address;
}

static inline troupe_address_t in_folder(const char *name) {
  char path[256];
  int length = snprintf(path, sizeof path, "%s/%s", trp_test_folder(), name);
  assert_in_range(length, 1, TROUPE_PATH_MAX);
  return unix_name(path, (size_t)length);
}

// Bytes in the test's folder with a path of exactly `length`.
static inline troupe_address_t path_of_length(size_t length) {
  char path[TROUPE_PATH_MAX + 1];
  int used = snprintf(path, sizeof path, "%s/", trp_test_folder());
  assert_in_range(used, 1, (int)length - 1);
  memset(path + used, 'x', length - (size_t)used);
  return unix_name(path, length);
}

static inline int listen_at(world_t *world, troupe_address_t address, seen_t *seen) {
  trp_listen_spec_t spec = {.address = address};
  const char *syscall = NULL;
  *seen = (seen_t){.world = world};
  int error = world->ops->listen(world->transport, &spec, &seen->handle, &syscall);
  if (error == 0) {
    world->ops->set_owner(world->transport, seen->handle, seen);
  }
  return error;
}

static inline troupe_address_t local_of(world_t *world, const seen_t *seen) {
  troupe_address_t local = {0};
  world->ops->names(world->transport, seen->handle, &local, NULL);
  return local;
}

static inline void want(const seen_t *seen, unsigned mask) {
  assert_int_equal(0, seen->world->ops->want(seen->world->transport, seen->handle, mask));
}

static inline ssize_t read_from(const seen_t *seen, void *bytes, size_t length) {
  return seen->world->ops->read(seen->world->transport, seen->handle, bytes, length);
}

static inline ssize_t write_to(const seen_t *seen, const void *bytes, size_t length) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
  return seen->world->ops->write(seen->world->transport, seen->handle, &part, 1);
}

static inline void close_it(seen_t *seen) {
  seen->world->ops->close(seen->world->transport, seen->handle);
  seen->handle = NULL;
}

static inline int adopt(world_t *world, int fd, trp_fd_kind_t *kind, seen_t *seen) {
  *seen = (seen_t){.world = world};
  int error = world->ops->adopt(world->transport, fd, kind, &seen->handle);
  if (error == 0) {
    world->ops->set_owner(world->transport, seen->handle, seen);
  }
  return error;
}

// One end in the transport, the other one plain.
static inline int pair_up(world_t *world, seen_t *seen) {
  int ends[2];
  trp_fd_kind_t kind = TRP_FD_BOUND;
  assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  assert_int_equal(0, adopt(world, ends[0], &kind, seen));
  assert_int_equal(TRP_FD_STREAM, kind);
  return ends[1];
}

// A connection over the loopback: its accepted end in the transport, the other one plain.
static inline int accept_one(world_t *world, seen_t *seen) {
  seen_t listener;
  troupe_address_t remote;
  assert_int_equal(0, listen_at(world, ipv4(127, 1, 0), &listener));
  int port = local_of(world, &listener).port;
  int peer = trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS);
  assert_true(peer >= 0);
  want(&listener, TRP_READ);
  assert_true(run_until(world, &listener.count, 1));
  *seen = (seen_t){.world = world};
  assert_int_equal(0,
                   world->ops->accept(world->transport, listener.handle, &seen->handle, &remote));
  world->ops->set_owner(world->transport, seen->handle, seen);
  close_it(&listener);
  return peer;
}

static inline int begin(world_t *world, troupe_address_t remote, const troupe_address_t *local,
                        seen_t *seen, const char **syscall) {
  *seen = (seen_t){.world = world};
  int error = world->ops->connect(world->transport, &remote, local, &seen->handle, syscall);
  if (error == 0) {
    world->ops->set_owner(world->transport, seen->handle, seen);
  }
  return error;
}

// A port of 127.0.0.1 that nobody else gets while `*fd` is open.
static inline int reserved_port(int *fd) {
  int port = 0;
  *fd = trp_test_reserve_tcp("127.0.0.1", &port);
  assert_true(*fd >= 0);
  return port;
}

static inline int newest_fd(void) { // the number that the next descriptor will get
  int fd = dup(0);
  assert_true(fd >= 0);
  close(fd);
  return fd;
}

static inline int option_of(int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  assert_int_equal(0, getsockopt(fd, level, option, &value, &length));
  return value;
}

static inline bool exists(const troupe_address_t *address) {
  struct stat status;
  return lstat(address->path, &status) == 0;
}

// The first loop in a process opens a pipe for good.
static inline int warm_up(void **state) {
  (void)state;
  world_t world;
  open_world(&world);
  close_world(&world);
  return 0;
}

#endif
