// The libuv transport connects: what the system says is what it answers.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/io/handles.h"

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
  int reserved;
  open_world(&world);
  int port = reserved_port(&reserved);
  assert_int_equal(0, begin(&world, ipv4(127, 1, port), NULL, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TRP_WRITE, socket.last);
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->connected(world.transport, socket.handle));
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->connected(world.transport, socket.handle));
  close_it(&socket);
  assert_in_range(run_for(&world, 20), 0, FEW_TURNS);
  assert_int_equal(1, socket.count);
  trp_test_close(reserved);
  close_world(&world);
}

static void asking_for_the_error_of_an_attempt_does_not_lose_it(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  const char *syscall = NULL;
  int reserved;
  open_world(&world);
  int port = reserved_port(&reserved);
  assert_int_equal(0, begin(&world, ipv4(127, 1, port), NULL, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->error(world.transport, socket.handle));
  assert_int_equal(TROUPE_ECONNREFUSED, world.ops->connected(world.transport, socket.handle));
  trp_test_close(reserved);
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
  int reserved;
  troupe_address_t local = ipv4(127, 2, reserved_port(&reserved)); // of the other address
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
  trp_test_close(reserved);
  trp_test_close(listener);
  close_world(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_connection_is_made_and_carries_bytes_both_ways),
      trp_test_that_leaves_nothing(a_refused_attempt_tells_the_true_error_once),
      trp_test_that_leaves_nothing(asking_for_the_error_of_an_attempt_does_not_lose_it),
      trp_test_that_leaves_nothing(an_attempt_that_goes_on_says_so),
      trp_test_that_leaves_nothing(a_local_address_is_bound_first),
  };
  return TRP_RUN_TESTS_IN_GROUP("io/connecting", tests, warm_up, NULL);
}
