// The libuv transport on real sockets: what the system says is what it answers, and it never spins.

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/world.h"

enum { LIMIT_MS = 5000, FEW_TURNS = 10 };

// ---- Help ----

static troupe_address_t ipv4(uint8_t first, uint8_t last, int port) {
  return (troupe_address_t){
      .family = TROUPE_FAMILY_IPV4, .port = (uint16_t)port, .bytes = {first, 0, 0, last}};
}

static troupe_address_t ipv6(uint8_t last, int port) {
  return (troupe_address_t){
      .family = TROUPE_FAMILY_IPV6, .port = (uint16_t)port, .bytes = {[15] = last}};
}

static troupe_address_t unix_name(const char *name, size_t length) {
  troupe_address_t address = {.family = TROUPE_FAMILY_UNIX, .path_length = (uint8_t)length};
  memcpy(address.path, name, length);
  return address;
}

static troupe_address_t in_folder(const char *name) {
  char path[256];
  int length = snprintf(path, sizeof path, "%s/%s", trp_test_folder(), name);
  assert_in_range(length, 1, TROUPE_PATH_MAX);
  return unix_name(path, (size_t)length);
}

// Bytes in the test's folder with a path of exactly `length`.
static troupe_address_t path_of_length(size_t length) {
  char path[TROUPE_PATH_MAX + 1];
  int used = snprintf(path, sizeof path, "%s/", trp_test_folder());
  assert_in_range(used, 1, (int)length - 1);
  memset(path + used, 'x', length - (size_t)used);
  return unix_name(path, length);
}

static int listen_at(world_t *world, troupe_address_t address, seen_t *seen) {
  trp_listen_spec_t spec = {.address = address};
  const char *syscall = NULL;
  *seen = (seen_t){.world = world};
  int error = world->ops->listen(world->transport, &spec, &seen->handle, &syscall);
  if (error == 0) {
    world->ops->set_owner(world->transport, seen->handle, seen);
  }
  return error;
}

static troupe_address_t local_of(world_t *world, const seen_t *seen) {
  troupe_address_t local = {0};
  world->ops->names(world->transport, seen->handle, &local, NULL);
  return local;
}

static void want(const seen_t *seen, unsigned mask) {
  assert_int_equal(0, seen->world->ops->want(seen->world->transport, seen->handle, mask));
}

static ssize_t read_from(const seen_t *seen, void *bytes, size_t length) {
  return seen->world->ops->read(seen->world->transport, seen->handle, bytes, length);
}

static ssize_t write_to(const seen_t *seen, const void *bytes, size_t length) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
  return seen->world->ops->write(seen->world->transport, seen->handle, &part, 1);
}

static void close_it(seen_t *seen) {
  seen->world->ops->close(seen->world->transport, seen->handle);
  seen->handle = NULL;
}

static int adopt(world_t *world, int fd, trp_fd_kind_t *kind, seen_t *seen) {
  *seen = (seen_t){.world = world};
  int error = world->ops->adopt(world->transport, fd, kind, &seen->handle);
  if (error == 0) {
    world->ops->set_owner(world->transport, seen->handle, seen);
  }
  return error;
}

// One end in the transport, the other one plain.
static int pair_up(world_t *world, seen_t *seen) {
  int ends[2];
  trp_fd_kind_t kind = TRP_FD_BOUND;
  assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  assert_int_equal(0, adopt(world, ends[0], &kind, seen));
  assert_int_equal(TRP_FD_STREAM, kind);
  return ends[1];
}

// A connection over the loopback: its accepted end in the transport, the other one plain.
static int accept_one(world_t *world, seen_t *seen) {
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

static int begin(world_t *world, troupe_address_t remote, const troupe_address_t *local,
                 seen_t *seen, const char **syscall) {
  *seen = (seen_t){.world = world};
  int error = world->ops->connect(world->transport, &remote, local, &seen->handle, syscall);
  if (error == 0) {
    world->ops->set_owner(world->transport, seen->handle, seen);
  }
  return error;
}

static int free_port(void) {
  int port = 0;
  int fd = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(fd >= 0);
  trp_test_close(fd);
  return port;
}

static int newest_fd(void) { // the number that the next descriptor will get
  int fd = dup(0);
  assert_true(fd >= 0);
  close(fd);
  return fd;
}

static int option_of(int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  assert_int_equal(0, getsockopt(fd, level, option, &value, &length));
  return value;
}

static bool exists(const troupe_address_t *address) {
  struct stat status;
  return lstat(address->path, &status) == 0;
}

// ---- Listening and accepting ----

static void a_listener_takes_a_connection_and_knows_both_addresses(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  seen_t accepted = {.world = &world};
  troupe_address_t remote;
  open_world(&world);
  assert_int_equal(0, listen_at(&world, ipv4(127, 1, 0), &listener));
  troupe_address_t local = local_of(&world, &listener);
  assert_int_equal(TROUPE_FAMILY_IPV4, local.family);
  assert_int_not_equal(0, local.port);
  assert_true(world.ops->is_tcp(world.transport, listener.handle));
  assert_int_equal(TROUPE_EAGAIN,
                   world.ops->accept(world.transport, listener.handle, &accepted.handle, &remote));
  int peer = trp_test_connect_tcp("127.0.0.1", local.port, LIMIT_MS);
  assert_true(peer >= 0);
  want(&listener, TRP_READ);
  assert_true(run_until(&world, &listener.count, 1));
  assert_int_equal(TRP_READ, listener.last);
  assert_int_equal(0,
                   world.ops->accept(world.transport, listener.handle, &accepted.handle, &remote));
  struct sockaddr_in address = {0};
  socklen_t length = sizeof address;
  assert_int_equal(0, getsockname(peer, (struct sockaddr *)&address, &length));
  assert_int_equal(ntohs(address.sin_port), remote.port);
  assert_memory_equal(&address.sin_addr, remote.bytes, 4);
  troupe_address_t names[2];
  world.ops->names(world.transport, accepted.handle, &names[0], &names[1]);
  assert_int_equal(local.port, names[0].port);
  assert_int_equal(remote.port, names[1].port);
  trp_test_close(peer);
  close_world(&world);
}

static void a_listener_does_not_accept_before_it_is_wanted(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  open_world(&world);
  assert_int_equal(0, listen_at(&world, ipv4(127, 1, 0), &listener));
  int peer = trp_test_connect_tcp("127.0.0.1", local_of(&world, &listener).port, LIMIT_MS);
  assert_true(peer >= 0);
  assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
  assert_int_equal(0, listener.count);
  trp_test_close(peer);
  close_world(&world);
}

static void an_address_in_use_is_told_with_the_call_that_failed(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  open_world(&world);
  assert_int_equal(0, listen_at(&world, ipv4(127, 1, 0), &listener));
  trp_listen_spec_t spec = {.address = ipv4(127, 1, local_of(&world, &listener).port)};
  const char *syscall = NULL;
  trp_handle_t *second = NULL;
  assert_int_equal(TROUPE_EADDRINUSE, world.ops->listen(world.transport, &spec, &second, &syscall));
  assert_string_equal("bind", syscall);
  spec.address = ipv4(203, 1, 0);
  assert_int_equal(TROUPE_EADDRNOTAVAIL,
                   world.ops->listen(world.transport, &spec, &second, &syscall));
  spec.address.family = TROUPE_FAMILY_NONE;
  assert_int_equal(TROUPE_EAFNOSUPPORT,
                   world.ops->listen(world.transport, &spec, &second, &syscall));
  close_world(&world);
}

static void options_of_a_listener_are_set_before_it_binds(void **state) {
  (void)state;
  world_t world;
  open_world(&world);
  if (!world.ops->has_ipv6(world.transport)) {
    close_world(&world);
    skip(); // no IPv6 here
  }
  for (int only = 0; only < 2; only++) {
    trp_listen_spec_t spec = {.address = ipv6(0, 0), .ipv6_only = only == 1, .reuse_port = true};
    const char *syscall = NULL;
    trp_handle_t *handle = NULL;
    int fd = newest_fd();
    assert_int_equal(0, world.ops->listen(world.transport, &spec, &handle, &syscall));
    assert_int_equal(only, option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY));
    assert_int_equal(1, option_of(fd, SOL_SOCKET, SO_REUSEADDR));
    assert_int_equal(1, option_of(fd, SOL_SOCKET, SO_REUSEPORT));
    assert_int_equal(FD_CLOEXEC, fcntl(fd, F_GETFD));
    assert_int_equal(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
    troupe_address_t local;
    world.ops->names(world.transport, handle, &local, NULL);
    int peer = trp_test_connect_tcp("127.0.0.1", local.port, LIMIT_MS);
    assert_int_equal(only == 0, peer >= 0);
    trp_test_close(peer);
    world.ops->close(world.transport, handle);
  }
  close_world(&world);
}

static void without_descriptors_accept_says_so_and_goes_on_later(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  trp_handle_t *accepted = NULL;
  struct rlimit before;
  open_world(&world);
  assert_int_equal(0, listen_at(&world, ipv4(127, 1, 0), &listener));
  int peer = trp_test_connect_tcp("127.0.0.1", local_of(&world, &listener).port, LIMIT_MS);
  assert_true(peer >= 0);
  want(&listener, TRP_READ);
  assert_true(run_until(&world, &listener.count, 1));
  assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
  struct rlimit none = {.rlim_cur = (rlim_t)newest_fd(), .rlim_max = before.rlim_max};
  assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
  int error = world.ops->accept(world.transport, listener.handle, &accepted, NULL);
  assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
  assert_int_equal(TROUPE_EMFILE, error);
  // A second one, since valgrind's accept() takes the first away.
  int second = trp_test_connect_tcp("127.0.0.1", local_of(&world, &listener).port, LIMIT_MS);
  assert_true(second >= 0);
  assert_int_equal(0, world.ops->accept(world.transport, listener.handle, &accepted, NULL));
  trp_test_close(peer);
  trp_test_close(second);
  close_world(&world);
}

// ---- Unix sockets ----

static void a_path_is_bound_connected_to_and_removed_on_close(void **state) {
  (void)state;
  static const size_t lengths[] = {0, TROUPE_PATH_MAX - 1, TROUPE_PATH_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    world_t world;
    seen_t listener;
    seen_t socket;
    const char *syscall = NULL;
    open_world(&world);
    troupe_address_t path = lengths[i] == 0 ? in_folder("s") : path_of_length(lengths[i]);
    assert_int_equal(0, listen_at(&world, path, &listener));
    assert_true(exists(&path));
    troupe_address_t local = local_of(&world, &listener);
    assert_int_equal(TROUPE_FAMILY_UNIX, local.family);
    assert_int_equal(path.path_length, local.path_length);
    assert_string_equal(path.path, local.path);
    assert_int_equal(0, begin(&world, path, NULL, &socket, &syscall));
    assert_false(world.ops->is_tcp(world.transport, socket.handle));
    assert_true(run_until(&world, &socket.count, 1));
    assert_int_equal(0, world.ops->connected(world.transport, socket.handle));
    troupe_address_t remote;
    world.ops->names(world.transport, socket.handle, &local, &remote);
    assert_int_equal(TROUPE_FAMILY_NONE, local.family);
    assert_int_equal(TROUPE_FAMILY_UNIX, remote.family);
    assert_string_equal(path.path, remote.path);
    trp_handle_t *accepted = NULL;
    assert_int_equal(0, world.ops->accept(world.transport, listener.handle, &accepted, &remote));
    assert_int_equal(TROUPE_FAMILY_NONE, remote.family);
    close_it(&listener);
    assert_false(exists(&path));
    close_world(&world);
  }
}

static void a_file_that_is_there_is_not_touched(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  open_world(&world);
  troupe_address_t path = in_folder("taken");
  int fd = open(path.path, O_CREAT | O_WRONLY, 0600);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(TROUPE_EADDRINUSE, listen_at(&world, path, &listener));
  assert_true(exists(&path));
  troupe_address_t nowhere = in_folder("no/where");
  assert_int_equal(TROUPE_ENOENT, listen_at(&world, nowhere, &listener));
  close_world(&world);
}

static void a_path_that_others_took_over_is_not_removed(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  open_world(&world);
  troupe_address_t path = in_folder("mine");
  assert_int_equal(0, listen_at(&world, path, &listener));
  // Our file lives on under another name, so that the new one cannot get the same inode.
  troupe_address_t moved = in_folder("moved");
  assert_int_equal(0, rename(path.path, moved.path));
  int other = trp_test_listen_unix(path.path, path.path_length);
  assert_true(other >= 0);
  close_it(&listener);
  assert_true(exists(&path));
  trp_test_close(other);
  // And one that is gone already is no error.
  troupe_address_t gone = in_folder("gone");
  assert_int_equal(0, listen_at(&world, gone, &listener));
  assert_int_equal(0, unlink(gone.path));
  close_it(&listener);
  close_world(&world);
}

static void mode_bits_of_a_path_open_it_to_all(void **state) {
  (void)state;
  static const struct {
    bool readable, writable;
    mode_t mode;
  } cases[] = {{false, false, 0700}, {true, false, 0744}, {false, true, 0722}, {true, true, 0766}};
  mode_t before = umask(077);
  world_t world;
  open_world(&world);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    trp_listen_spec_t spec = {.address = in_folder("mode"),
                              .readable_all = cases[i].readable,
                              .writable_all = cases[i].writable};
    const char *syscall = NULL;
    trp_handle_t *handle = NULL;
    struct stat status;
    assert_int_equal(0, world.ops->listen(world.transport, &spec, &handle, &syscall));
    assert_int_equal(0, stat(spec.address.path, &status));
    assert_int_equal(cases[i].mode, status.st_mode & 0777);
    world.ops->close(world.transport, handle);
  }
  umask(before);
  close_world(&world);
}

static void an_abstract_name_is_exact(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  seen_t socket;
  char name[64] = "";
  const char *syscall = NULL;
  int length = 1 + snprintf(name + 1, sizeof name - 1, "troupe-test-%ld", (long)getpid());
  open_world(&world);
  troupe_address_t address = unix_name(name, (size_t)length);
  assert_int_equal(0, listen_at(&world, address, &listener));
  troupe_address_t local = local_of(&world, &listener);
  assert_int_equal(length, local.path_length);
  assert_memory_equal(name, local.path, (size_t)length);
  int peer = trp_test_connect_unix(name, (size_t)length, LIMIT_MS);
  assert_true(peer >= 0);
  assert_int_equal(-ECONNREFUSED, trp_test_connect_unix(name, (size_t)length + 1, LIMIT_MS));
  seen_t second;
  assert_int_equal(TROUPE_EADDRINUSE, listen_at(&world, address, &second));
  assert_int_equal(0, begin(&world, address, NULL, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(0, world.ops->connected(world.transport, socket.handle));
  trp_test_close(peer);
  close_world(&world);
}

static void connecting_to_a_path_without_a_listener_fails_at_once(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  const char *syscall = NULL;
  open_world(&world);
  assert_int_equal(TROUPE_ENOENT, begin(&world, in_folder("none"), NULL, &socket, &syscall));
  assert_string_equal("connect", syscall);
  troupe_address_t file = in_folder("file");
  close(open(file.path, O_CREAT | O_WRONLY, 0600));
  assert_int_equal(TROUPE_ECONNREFUSED, begin(&world, file, NULL, &socket, &syscall));
  close_world(&world);
}

// ---- Connecting ----

static void a_connection_is_made_and_carries_bytes_both_ways(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  char bytes[16] = "";
  int port = 0;
  const char *syscall = NULL;
  int listener = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(listener >= 0);
  open_world(&world);
  assert_int_equal(0, begin(&world, ipv4(127, 1, port), NULL, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TRP_WRITE, socket.last);
  assert_int_equal(0, world.ops->connected(world.transport, socket.handle));
  assert_int_equal(0, world.ops->connected(world.transport, socket.handle));
  int peer = trp_test_accept(listener, LIMIT_MS);
  assert_true(peer >= 0);
  struct iovec parts[3] = {{.iov_base = (void *)"ab", .iov_len = 2},
                           {.iov_base = NULL, .iov_len = 0},
                           {.iov_base = (void *)"cde", .iov_len = 3}};
  assert_int_equal(5, world.ops->write(world.transport, socket.handle, parts, 3));
  assert_int_equal(5, trp_test_receive(peer, bytes, 5, LIMIT_MS));
  assert_memory_equal("abcde", bytes, 5);
  assert_int_equal(TROUPE_EAGAIN, read_from(&socket, bytes, sizeof bytes));
  assert_int_equal(0, trp_test_send(peer, "xyz", 3, LIMIT_MS));
  socket.count = 0;
  want(&socket, TRP_READ);
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TRP_READ, socket.last);
  assert_int_equal(3, read_from(&socket, bytes, sizeof bytes));
  assert_memory_equal("xyz", bytes, 3);
  trp_test_close(peer);
  trp_test_close(listener);
  close_world(&world);
}

static void a_refused_attempt_tells_the_true_error_once(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  const char *syscall = NULL;
  open_world(&world);
  assert_int_equal(0, begin(&world, ipv4(127, 1, free_port()), NULL, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TRP_WRITE, socket.last);
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->connected(world.transport, socket.handle));
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->connected(world.transport, socket.handle));
  close_it(&socket);
  assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
  assert_int_equal(1, socket.count);
  close_world(&world);
}

static void asking_for_the_error_of_an_attempt_does_not_lose_it(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  const char *syscall = NULL;
  open_world(&world);
  assert_int_equal(0, begin(&world, ipv4(127, 1, free_port()), NULL, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->error(world.transport, socket.handle));
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->connected(world.transport, socket.handle));
  close_world(&world);
}

static void an_attempt_that_goes_on_says_so(void **state) {
  (void)state;
  world_t world;
  seen_t sockets[3];
  const char *syscall = NULL;
  int port = 0;
  // A full backlog makes an attempt wait for the retry of its SYN.
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  assert_int_equal(0, bind(listener, (struct sockaddr *)&address, length));
  assert_int_equal(0, listen(listener, 0));
  assert_int_equal(0, getsockname(listener, (struct sockaddr *)&address, &length));
  port = ntohs(address.sin_port);
  open_world(&world);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(0, begin(&world, ipv4(127, 1, port), NULL, &sockets[i], &syscall));
  }
  want(&sockets[0], 0);
  want(&sockets[1], 0);
  assert_int_equal(TROUPE_EALREADY, world.ops->connected(world.transport, sockets[2].handle));
  assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
  close_it(&sockets[2]);
  trp_test_close(listener);
  close_world(&world);
}

static void a_local_address_is_bound_first(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  const char *syscall = NULL;
  int port = 0;
  int listener = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(listener >= 0);
  open_world(&world);
  troupe_address_t local = ipv4(127, 2, free_port());
  assert_int_equal(0, begin(&world, ipv4(127, 1, port), &local, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(0, world.ops->connected(world.transport, socket.handle));
  troupe_address_t bound = local_of(&world, &socket);
  assert_int_equal(local.port, bound.port);
  assert_memory_equal(local.bytes, bound.bytes, 4);
  local = ipv4(203, 1, 0);
  assert_int_equal(TROUPE_EADDRNOTAVAIL,
                   begin(&world, ipv4(127, 1, port), &local, &socket, &syscall));
  assert_string_equal("bind", syscall);
  local = ipv6(1, 0);
  assert_int_equal(TROUPE_EINVAL, begin(&world, ipv4(127, 1, port), &local, &socket, &syscall));
  assert_string_equal("bind", syscall);
  local = ipv4(127, 1, port);
  assert_int_equal(TROUPE_EADDRINUSE, begin(&world, ipv4(127, 1, port), &local, &socket, &syscall));
  assert_string_equal("bind", syscall);
  trp_test_close(listener);
  close_world(&world);
}

// ---- What ready tells ----

static void what_was_not_read_is_told_again(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  char byte;
  open_world(&world);
  int peer = accept_one(&world, &socket);
  assert_int_equal(0, trp_test_send(peer, "ab", 2, LIMIT_MS));
  want(&socket, TRP_READ);
  assert_true(run_until(&world, &socket.count, 3));
  assert_int_equal(1, read_from(&socket, &byte, 1));
  assert_true(run_until(&world, &socket.count, 5));
  trp_test_close(peer);
  close_world(&world);
}

static void what_is_not_wanted_is_not_told_and_costs_nothing(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  open_world(&world);
  int peer = accept_one(&world, &socket);
  want(&socket, TRP_READ);
  assert_in_range(run_for(&world, 5), 0, FEW_TURNS); // watched by now
  want(&socket, 0);
  assert_int_equal(0, trp_test_send(peer, "ab", 2, LIMIT_MS));
  assert_in_range(run_for(&world, 50), 0, FEW_TURNS);
  assert_int_equal(0, socket.count);
  want(&socket, TRP_READ);
  assert_true(run_until(&world, &socket.count, 1));
  want(&socket, TRP_READ | TRP_WRITE);
  assert_true(run_until(&world, &socket.count, 2));
  assert_int_equal(TRP_READ | TRP_WRITE, socket.last);
  want(&socket, 0);
  socket.count = 0;
  assert_in_range(run_for(&world, 50), 0, FEW_TURNS);
  assert_int_equal(0, socket.count);
  trp_test_close(peer);
  close_world(&world);
}

static void writable_comes_back_when_the_peer_has_read(void **state) {
  (void)state;
  static const char zeros[64 * 1024];
  static char sink[64 * 1024];
  world_t world;
  seen_t socket;
  int64_t sent = 0;
  ssize_t n;
  open_world(&world);
  int peer = accept_one(&world, &socket);
  while ((n = write_to(&socket, zeros, sizeof zeros)) > 0) {
    sent += n;
  }
  assert_int_equal(TROUPE_EAGAIN, n);
  want(&socket, TRP_WRITE);
  assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
  assert_int_equal(0, socket.count);
  while (sent > 0) {
    int64_t part = sent < (int64_t)sizeof sink ? sent : (int64_t)sizeof sink;
    assert_int_equal(part, trp_test_receive(peer, sink, (size_t)part, LIMIT_MS));
    sent -= part;
  }
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TRP_WRITE, socket.last);
  trp_test_close(peer);
  close_world(&world);
}

static void a_reset_is_read_as_the_error_that_it_is(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  char byte;
  open_world(&world);
  int peer = accept_one(&world, &socket);
  want(&socket, TRP_READ);
  assert_in_range(run_for(&world, 5), 0, FEW_TURNS);
  trp_test_reset(peer);
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TRP_READ, socket.last);
  assert_int_equal(TROUPE_ECONNRESET, read_from(&socket, &byte, 1));
  // It may be looked at again: the handle is watched as before, though libuv has stopped once.
  assert_true(run_until(&world, &socket.count, 2));
  assert_int_equal(0, read_from(&socket, &byte, 1));
  close_world(&world);
}

static void a_reset_is_written_as_the_error_that_it_is(void **state) {
  (void)state;
  static const char zeros[64 * 1024];
  world_t world;
  seen_t socket;
  open_world(&world);
  int peer = accept_one(&world, &socket);
  while (write_to(&socket, zeros, sizeof zeros) > 0) {
  }
  want(&socket, TRP_WRITE);
  assert_in_range(run_for(&world, 5), 0, FEW_TURNS);
  trp_test_reset(peer);
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TRP_WRITE, socket.last);
  assert_int_equal(TROUPE_ECONNRESET, world.ops->error(world.transport, socket.handle));
  assert_int_equal(0, world.ops->error(world.transport, socket.handle));
  assert_int_equal(TROUPE_EPIPE, write_to(&socket, zeros, 1));
  close_world(&world);
}

static void the_end_of_one_that_is_not_read_comes_once(void **state) {
  (void)state;
  for (int reset = 0; reset < 2; reset++) {
    world_t world;
    seen_t socket;
    char bytes[8];
    open_world(&world);
    int peer = accept_one(&world, &socket);
    want(&socket, TRP_HANGUP);
    assert_int_equal(0, trp_test_send(peer, "ab", 2, LIMIT_MS));
    assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
    assert_int_equal(0, socket.count);
    if (reset == 1) {
      trp_test_reset(peer);
    } else {
      trp_test_close(peer);
    }
    assert_true(run_until(&world, &socket.count, 1));
    assert_int_equal(TRP_HANGUP, socket.last);
    assert_in_range(run_for(&world, 50), 0, FEW_TURNS);
    assert_int_equal(1, socket.count);
    want(&socket, TRP_READ | TRP_HANGUP);
    assert_true(run_until(&world, &socket.count, 2));
    assert_int_equal(TRP_READ, socket.last);
    if (reset == 0) {
      assert_int_equal(2, read_from(&socket, bytes, sizeof bytes));
      assert_int_equal(0, read_from(&socket, bytes, sizeof bytes));
    }
    close_world(&world);
  }
}

static void shutdown_ends_one_direction(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  char bytes[8];
  open_world(&world);
  int peer = accept_one(&world, &socket);
  assert_int_equal(2, write_to(&socket, "hi", 2));
  assert_int_equal(0, world.ops->shutdown(world.transport, socket.handle));
  assert_int_equal(2, trp_test_receive_to_end(peer, bytes, sizeof bytes, LIMIT_MS));
  assert_int_equal(0, trp_test_send(peer, "ho", 2, LIMIT_MS));
  want(&socket, TRP_READ);
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(2, read_from(&socket, bytes, sizeof bytes));
  assert_int_equal(TROUPE_EPIPE, write_to(&socket, "!", 1));
  trp_test_close(peer);
  close_world(&world);
}

// ---- Closing ----

static void a_reset_reaches_the_peer(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  char byte;
  open_world(&world);
  int peer = accept_one(&world, &socket);
  assert_int_equal(0, world.ops->reset(world.transport, socket.handle));
  assert_int_equal(-ECONNRESET, trp_test_receive(peer, &byte, 1, LIMIT_MS));
  trp_test_close(peer);
  peer = pair_up(&world, &socket);
  assert_int_equal(TROUPE_ERR_INVALID_HANDLE_TYPE,
                   world.ops->reset(world.transport, socket.handle));
  assert_int_equal(1, write_to(&socket, "x", 1));
  trp_test_close(peer);
  close_world(&world);
}

typedef struct {
  seen_t *victim;
  seen_t *newcomer;
  int peer;
  bool same_number;
} swap_t;

// Closes the other handle, for which something is ready too, and opens another one with its number.
static void replace_the_other(seen_t *seen, unsigned mask) {
  (void)mask;
  swap_t *swap = seen->context;
  seen->react = NULL;
  swap->victim->react = NULL;
  seen_t *victim = seen == &swap->victim[0] ? &swap->victim[1] : &swap->victim[0];
  int before = newest_fd();
  close_it(victim);
  int freed = newest_fd();
  want(seen, 0);
  swap->peer = pair_up(seen->world, swap->newcomer);
  want(swap->newcomer, TRP_READ);
  swap->same_number = freed < before && fcntl(freed, F_GETFD) >= 0;
}

static void a_number_that_is_used_again_in_the_same_turn_gets_no_old_news(void **state) {
  (void)state;
  world_t world;
  seen_t both[2];
  seen_t newcomer = {0};
  swap_t swap = {.victim = both, .newcomer = &newcomer};
  open_world(&world);
  int peers[2];
  for (int i = 0; i < 2; i++) {
    peers[i] = pair_up(&world, &both[i]);
  }
  for (int i = 0; i < 2; i++) {
    both[i].context = &swap;
    both[i].react = replace_the_other;
    want(&both[i], TRP_READ);
    assert_int_equal(0, trp_test_send(peers[i], "x", 1, LIMIT_MS));
  }
  uv_run(&world.loop, UV_RUN_ONCE);
  assert_true(swap.same_number);
  assert_int_equal(1, both[0].count + both[1].count);
  assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
  assert_int_equal(0, newcomer.count);
  assert_int_equal(0, trp_test_send(swap.peer, "y", 1, LIMIT_MS));
  assert_true(run_until(&world, &newcomer.count, 1));
  trp_test_close(peers[0]);
  trp_test_close(peers[1]);
  trp_test_close(swap.peer);
  close_world(&world);
}

static void close_yourself(seen_t *seen, unsigned mask) {
  (void)mask;
  close_it(seen);
}

static void a_handle_may_be_closed_in_its_own_callback(void **state) {
  (void)state;
  world_t world;
  open_world(&world);
  for (int i = 0; i < 1000; i++) { // more than are kept for the next ones
    seen_t socket;
    int peer = pair_up(&world, &socket);
    socket.react = close_yourself;
    want(&socket, TRP_READ | TRP_WRITE);
    if (i % 2 == 0) {
      trp_test_close(peer);
    }
    assert_true(run_until(&world, &socket.count, 1));
    assert_null(socket.handle);
    if (i % 2 != 0) {
      trp_test_close(peer);
    }
  }
  close_world(&world);
}

static void many_handles_may_be_closed_at_once(void **state) {
  (void)state;
  enum { COUNT = 400 };
  static seen_t sockets[COUNT];
  static int peers[COUNT];
  world_t world;
  open_world(&world);
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < COUNT; i++) {
      peers[i] = pair_up(&world, &sockets[i]);
      want(&sockets[i], TRP_READ);
    }
    run_for(&world, 1);
    for (int i = 0; i < COUNT; i++) {
      close_it(&sockets[i]);
      trp_test_close(peers[i]);
    }
    run_for(&world, 1);
  }
  close_world(&world);
}

static void a_lingering_close_does_not_destroy_the_last_bytes(void **state) {
  (void)state;
  static char bytes[64 * 1024];
  world_t world;
  seen_t socket;
  int64_t sent = 0;
  int64_t got = 0;
  ssize_t n;
  open_world(&world);
  int fds = trp_test_count_fds();
  int peer = accept_one(&world, &socket);
  assert_int_equal(
      0, world.ops->set_option(world.transport, socket.handle, TRP_OPTION_LINGER_CLOSE, 10000));
  while ((n = write_to(&socket, bytes, sizeof bytes)) > 0) {
    sent += n;
  }
  assert_int_equal(0, trp_test_send(peer, "unread", 6, LIMIT_MS)); // makes a plain close a reset
  close_it(&socket);
  run_for(&world, 5);
  assert_int_equal(0, trp_test_send(peer, "more", 4, LIMIT_MS));
  run_for(&world, 5);
  do {
    n = (ssize_t)trp_test_receive(peer, bytes, sizeof bytes, LIMIT_MS);
    got += n > 0 ? n : 0;
  } while (n == (ssize_t)sizeof bytes);
  assert_true(n >= 0);
  assert_int_equal(sent, got);
  trp_test_close(peer);
  int turns = 0;
  while (trp_test_count_fds() > fds && turns < 1000) {
    run_for(&world, 1);
    turns++;
  }
  assert_int_equal(fds, trp_test_count_fds());
  assert_int_equal(0, socket.count);
  close_world(&world);
}

static void each_lingers_for_its_own_time(void **state) {
  (void)state;
  enum { COUNT = 3 };
  static const int limits_ms[COUNT] = {1000000, 20, 1000000};
  world_t world;
  seen_t sockets[COUNT];
  int peers[COUNT];
  open_world(&world);
  for (int i = 0; i < COUNT; i++) {
    peers[i] = accept_one(&world, &sockets[i]);
    assert_int_equal(0, world.ops->set_option(world.transport, sockets[i].handle,
                                              TRP_OPTION_LINGER_CLOSE, limits_ms[i]));
  }
  int fds = trp_test_count_fds();
  for (int i = 0; i < COUNT; i++) {
    close_it(&sockets[i]);
  }
  int64_t since = trp_test_now_ms();
  for (int turns = 0; trp_test_count_fds() == fds && turns < 1000; turns++) {
    run_for(&world, 5);
  }
  assert_true(trp_test_now_ms() - since >= 19); // the loop's clock has milliseconds
  run_for(&world, 5);
  assert_int_equal(fds - 1, trp_test_count_fds());
  for (int i = 0; i < COUNT; i++) {
    trp_test_close(peers[i]);
  }
  close_world(&world);
}

static void what_lingers_is_closed_with_the_transport(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  open_world(&world);
  int peer = accept_one(&world, &socket);
  assert_int_equal(
      0, world.ops->set_option(world.transport, socket.handle, TRP_OPTION_LINGER_CLOSE, 10000));
  close_it(&socket);
  close_world(&world);
  trp_test_close(peer);
}

// ---- Descriptors of others ----

static void adopted_descriptors_are_what_they_are(void **state) {
  (void)state;
  world_t world;
  seen_t seen;
  trp_fd_kind_t kind;
  char byte;
  int port = 0;
  open_world(&world);
  int listening = trp_test_listen_tcp("127.0.0.1", &port);
  assert_int_equal(0, adopt(&world, listening, &kind, &seen));
  assert_int_equal(TRP_FD_LISTENING, kind);
  assert_int_equal(port, local_of(&world, &seen).port);
  assert_int_equal(FD_CLOEXEC, fcntl(listening, F_GETFD));

  int peer = trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS);
  int connected = trp_test_accept(listening, LIMIT_MS);
  assert_int_equal(0, adopt(&world, connected, &kind, &seen));
  assert_int_equal(TRP_FD_STREAM, kind);
  assert_true(world.ops->is_tcp(world.transport, seen.handle));
  assert_int_equal(1, write_to(&seen, "x", 1));
  assert_int_equal(1, trp_test_receive(peer, &byte, 1, LIMIT_MS));
  trp_test_close(peer);

  int bound = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(0, bind(bound, (struct sockaddr *)&any, sizeof any));
  assert_int_equal(0, adopt(&world, bound, &kind, &seen));
  assert_int_equal(TRP_FD_BOUND, kind);
  assert_int_equal(O_NONBLOCK, fcntl(bound, F_GETFL) & O_NONBLOCK);
  assert_int_equal(0, world.ops->adopt_listen(world.transport, seen.handle, 0));
  peer = trp_test_connect_tcp("127.0.0.1", local_of(&world, &seen).port, LIMIT_MS);
  assert_true(peer >= 0);
  want(&seen, TRP_READ);
  assert_true(run_until(&world, &seen.count, 1));
  trp_test_close(peer);
  close_world(&world);
}

static void a_connection_that_died_before_it_was_adopted_is_still_a_stream(void **state) {
  (void)state;
  world_t world;
  seen_t seen;
  trp_fd_kind_t kind;
  char byte;
  int port = 0;
  open_world(&world);
  int listening = trp_test_listen_tcp("127.0.0.1", &port);
  int peer = trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS);
  int connected = trp_test_accept(listening, LIMIT_MS);
  trp_test_reset(peer);
  assert_int_equal(0, adopt(&world, connected, &kind, &seen));
  assert_int_equal(TRP_FD_STREAM, kind);
  want(&seen, TRP_READ);
  assert_true(run_until(&world, &seen.count, 1));
  assert_int_equal(TROUPE_ECONNRESET, read_from(&seen, &byte, 1));
  trp_test_close(listening);
  close_world(&world);
}

static void what_is_no_stream_is_refused_and_closed(void **state) {
  (void)state;
  world_t world;
  seen_t seen;
  trp_fd_kind_t kind;
  open_world(&world);
  assert_int_equal(TROUPE_EBADF, adopt(&world, -1, &kind, &seen));
  assert_int_equal(TROUPE_EBADF, adopt(&world, newest_fd(), &kind, &seen));
  int others[] = {open("/dev/null", O_RDWR), open("/", O_RDONLY), socket(AF_INET, SOCK_DGRAM, 0),
                  open(in_folder("file").path, O_CREAT | O_RDWR, 0600)};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    assert_true(others[i] >= 0);
    assert_int_equal(TROUPE_ERR_INVALID_FD_TYPE, adopt(&world, others[i], &kind, &seen));
    run_for(&world, 1);
    assert_int_equal(-1, fcntl(others[i], F_GETFD)); // it had been handed over
  }
  int ends[2];
  assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  assert_int_equal(0, adopt(&world, ends[0], &kind, &seen));
  seen_t again;
  assert_int_equal(TROUPE_EEXIST, adopt(&world, ends[0], &kind, &again));
  assert_int_equal(1, write_to(&seen, "x", 1));
  close(ends[1]);
  close_world(&world);
}

static void pipes_are_streams_and_raise_no_signal(void **state) {
  (void)state;
  world_t world;
  seen_t reader;
  seen_t writer;
  trp_fd_kind_t kind;
  char bytes[8];
  int in[2];
  int out[2];
  open_world(&world);
  assert_int_equal(0, pipe(in));
  assert_int_equal(0, pipe(out));
  assert_int_equal(0, adopt(&world, in[0], &kind, &reader));
  assert_int_equal(TRP_FD_STREAM, kind);
  assert_int_equal(0, adopt(&world, out[1], &kind, &writer));
  assert_false(world.ops->is_tcp(world.transport, reader.handle));
  assert_int_equal(3, write(in[1], "abc", 3));
  want(&reader, TRP_READ);
  assert_true(run_until(&world, &reader.count, 1));
  assert_int_equal(3, read_from(&reader, bytes, sizeof bytes));
  close(in[1]);
  assert_true(run_until(&world, &reader.count, 2));
  assert_int_equal(0, read_from(&reader, bytes, sizeof bytes));
  want(&reader, 0);
  assert_int_equal(2, write_to(&writer, "hi", 2));
  assert_int_equal(2, read(out[0], bytes, sizeof bytes));
  assert_int_equal(0, world.ops->shutdown(world.transport, writer.handle));
  assert_int_equal(0, world.ops->error(world.transport, writer.handle));
  close(out[0]);
  want(&writer, TRP_HANGUP);
  assert_true(run_until(&world, &writer.count, 1));
  assert_int_equal(TRP_HANGUP, writer.last);
  assert_int_equal(TROUPE_EPIPE, write_to(&writer, "hi", 2));
  assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
  troupe_address_t local;
  troupe_address_t remote;
  world.ops->names(world.transport, writer.handle, &local, &remote);
  assert_int_equal(TROUPE_FAMILY_NONE, local.family);
  assert_int_equal(TROUPE_FAMILY_NONE, remote.family);
  close_world(&world);
}

// ---- Options ----

static void options_reach_the_kernel(void **state) {
  (void)state;
  world_t world;
  seen_t seen;
  trp_fd_kind_t kind;
  int port = 0;
  open_world(&world);
  int listening = trp_test_listen_tcp("127.0.0.1", &port);
  int peer = trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS);
  int fd = trp_test_accept(listening, LIMIT_MS);
  assert_int_equal(0, adopt(&world, fd, &kind, &seen));
  const trp_transport_ops_t *ops = world.ops;
  assert_int_equal(0, ops->set_option(world.transport, seen.handle, TRP_OPTION_NO_DELAY, 1));
  assert_int_equal(1, option_of(fd, IPPROTO_TCP, TCP_NODELAY));
  assert_int_equal(0, ops->set_option(world.transport, seen.handle, TRP_OPTION_NO_DELAY, 0));
  assert_int_equal(0, option_of(fd, IPPROTO_TCP, TCP_NODELAY));
  assert_int_equal(0, ops->set_option(world.transport, seen.handle, TRP_OPTION_KEEP_ALIVE, 1));
  assert_int_equal(1, option_of(fd, SOL_SOCKET, SO_KEEPALIVE));
  assert_int_equal(
      0, ops->set_option(world.transport, seen.handle, TRP_OPTION_KEEP_ALIVE_DELAY_S, 456));
  assert_int_equal(456, option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE));
  assert_int_equal(1, option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL));
  assert_int_equal(10, option_of(fd, IPPROTO_TCP, TCP_KEEPCNT));
  assert_int_equal(TROUPE_EINVAL, ops->set_option(world.transport, seen.handle,
                                                  TRP_OPTION_KEEP_ALIVE_DELAY_S, 1 << 30));
  assert_int_equal(0, ops->set_option(world.transport, seen.handle, TRP_OPTION_KEEP_ALIVE, 0));
  assert_int_equal(0, option_of(fd, SOL_SOCKET, SO_KEEPALIVE));
  assert_int_equal(456, option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE));
  trp_test_close(peer);
  trp_test_close(listening);
  peer = pair_up(&world, &seen);
  assert_int_equal(0, ops->set_option(world.transport, seen.handle, TRP_OPTION_NO_DELAY, 1));
  assert_int_equal(0, ops->set_option(world.transport, seen.handle, TRP_OPTION_KEEP_ALIVE, 1));
  trp_test_close(peer);
  close_world(&world);
}

// ---- Time ----

static void the_timer_comes_once_and_not_too_early(void **state) {
  (void)state;
  world_t world;
  open_world(&world);
  int64_t start = world.ops->now(world.transport);
  world.ops->set_timer(world.transport, start + 30 * 1000000);
  assert_true(run_until(&world, &world.timers, 1));
  assert_true(world.timer_ns >= start + 30 * 1000000);
  run_for(&world, 20);
  assert_int_equal(1, world.timers);
  world.ops->set_timer(world.transport, start); // it has come long ago
  assert_true(run_until(&world, &world.timers, 2));
  world.ops->set_timer(world.transport, world.ops->now(world.transport) + 10 * 1000000);
  world.ops->set_timer(world.transport, TRP_NEVER);
  run_for(&world, 30);
  assert_int_equal(2, world.timers);
  int64_t near = world.ops->now(world.transport) + 10 * 1000000;
  world.ops->set_timer(world.transport, near + INT64_C(3600) * 1000000000);
  world.ops->set_timer(world.transport, near);
  assert_true(run_until(&world, &world.timers, 3));
  assert_true(world.timer_ns >= near);
  close_world(&world);
}

static void time_stands_still_within_a_turn(void **state) {
  (void)state;
  world_t world;
  open_world(&world);
  int64_t first = world.ops->now(world.transport);
  while ((int64_t)uv_hrtime() < first + 1000000) {
  }
  assert_true(first == world.ops->now(world.transport));
  run_for(&world, 1);
  assert_true(world.ops->now(world.transport) > first);
  close_world(&world);
}

// The first loop in a process opens a pipe for good.
static int warm_up(void **state) {
  (void)state;
  world_t world;
  open_world(&world);
  close_world(&world);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_listener_takes_a_connection_and_knows_both_addresses),
      trp_test_that_leaves_nothing(a_listener_does_not_accept_before_it_is_wanted),
      trp_test_that_leaves_nothing(an_address_in_use_is_told_with_the_call_that_failed),
      trp_test_that_leaves_nothing(options_of_a_listener_are_set_before_it_binds),
      trp_test_that_leaves_nothing(without_descriptors_accept_says_so_and_goes_on_later),
      trp_test_that_leaves_nothing(a_path_is_bound_connected_to_and_removed_on_close),
      trp_test_that_leaves_nothing(a_file_that_is_there_is_not_touched),
      trp_test_that_leaves_nothing(a_path_that_others_took_over_is_not_removed),
      trp_test_that_leaves_nothing(mode_bits_of_a_path_open_it_to_all),
      trp_test_that_leaves_nothing(an_abstract_name_is_exact),
      trp_test_that_leaves_nothing(connecting_to_a_path_without_a_listener_fails_at_once),
      trp_test_that_leaves_nothing(a_connection_is_made_and_carries_bytes_both_ways),
      trp_test_that_leaves_nothing(a_refused_attempt_tells_the_true_error_once),
      trp_test_that_leaves_nothing(asking_for_the_error_of_an_attempt_does_not_lose_it),
      trp_test_that_leaves_nothing(an_attempt_that_goes_on_says_so),
      trp_test_that_leaves_nothing(a_local_address_is_bound_first),
      trp_test_that_leaves_nothing(what_was_not_read_is_told_again),
      trp_test_that_leaves_nothing(what_is_not_wanted_is_not_told_and_costs_nothing),
      trp_test_that_leaves_nothing(writable_comes_back_when_the_peer_has_read),
      trp_test_that_leaves_nothing(a_reset_is_read_as_the_error_that_it_is),
      trp_test_that_leaves_nothing(a_reset_is_written_as_the_error_that_it_is),
      trp_test_that_leaves_nothing(the_end_of_one_that_is_not_read_comes_once),
      trp_test_that_leaves_nothing(shutdown_ends_one_direction),
      trp_test_that_leaves_nothing(a_reset_reaches_the_peer),
      trp_test_that_leaves_nothing(a_number_that_is_used_again_in_the_same_turn_gets_no_old_news),
      trp_test_that_leaves_nothing(a_handle_may_be_closed_in_its_own_callback),
      trp_test_that_leaves_nothing(many_handles_may_be_closed_at_once),
      trp_test_that_leaves_nothing(a_lingering_close_does_not_destroy_the_last_bytes),
      trp_test_that_leaves_nothing(each_lingers_for_its_own_time),
      trp_test_that_leaves_nothing(what_lingers_is_closed_with_the_transport),
      trp_test_that_leaves_nothing(adopted_descriptors_are_what_they_are),
      trp_test_that_leaves_nothing(a_connection_that_died_before_it_was_adopted_is_still_a_stream),
      trp_test_that_leaves_nothing(what_is_no_stream_is_refused_and_closed),
      trp_test_that_leaves_nothing(pipes_are_streams_and_raise_no_signal),
      trp_test_that_leaves_nothing(options_reach_the_kernel),
      trp_test_that_leaves_nothing(the_timer_comes_once_and_not_too_early),
      trp_test_that_leaves_nothing(time_stands_still_within_a_turn),
  };
  return TRP_RUN_TESTS_IN_GROUP("transport", tests, warm_up, NULL);
}
