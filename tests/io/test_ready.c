// What the libuv transport tells of a handle that it watches, and that it never spins.

#include <sys/socket.h>

#include "tests/io/handles.h"

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
  assert_int_equal(TRP_READ | TRP_BROKEN, socket.last);
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
    assert_int_equal(TRP_READ | (reset == 1 ? TRP_BROKEN : 0), socket.last);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(what_was_not_read_is_told_again),
      trp_test_that_leaves_nothing(what_is_not_wanted_is_not_told_and_costs_nothing),
      trp_test_that_leaves_nothing(writable_comes_back_when_the_peer_has_read),
      trp_test_that_leaves_nothing(a_reset_is_read_as_the_error_that_it_is),
      trp_test_that_leaves_nothing(a_reset_is_written_as_the_error_that_it_is),
      trp_test_that_leaves_nothing(the_end_of_one_that_is_not_read_comes_once),
      trp_test_that_leaves_nothing(shutdown_ends_one_direction),
  };
  return TRP_RUN_TESTS_IN_GROUP("io/ready", tests, warm_up, NULL);
}
