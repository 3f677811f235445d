// Options and the time of the libuv transport.

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/io/handles.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(options_reach_the_kernel),
      trp_test_that_leaves_nothing(the_timer_comes_once_and_not_too_early),
      trp_test_that_leaves_nothing(time_stands_still_within_a_turn),
  };
  return TRP_RUN_TESTS_IN_GROUP("io/transport", tests, warm_up, NULL);
}
