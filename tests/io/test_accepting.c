// The libuv transport listens on real sockets and accepts.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/io/handles.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_listener_takes_a_connection_and_knows_both_addresses),
      trp_test_that_leaves_nothing(a_listener_does_not_accept_before_it_is_wanted),
      trp_test_that_leaves_nothing(an_address_in_use_is_told_with_the_call_that_failed),
      trp_test_that_leaves_nothing(options_of_a_listener_are_set_before_it_binds),
      trp_test_that_leaves_nothing(without_descriptors_accept_says_so_and_goes_on_later),
  };
  return TRP_RUN_TESTS_IN_GROUP("io/accepting", tests, warm_up, NULL);
}
