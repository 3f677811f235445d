// The libuv transport closes, resets and lingers.

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "tests/io/handles.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_reset_reaches_the_peer),
      trp_test_that_leaves_nothing(a_number_that_is_used_again_in_the_same_turn_gets_no_old_news),
      trp_test_that_leaves_nothing(a_handle_may_be_closed_in_its_own_callback),
      trp_test_that_leaves_nothing(many_handles_may_be_closed_at_once),
      trp_test_that_leaves_nothing(a_lingering_close_does_not_destroy_the_last_bytes),
      trp_test_that_leaves_nothing(each_lingers_for_its_own_time),
      trp_test_that_leaves_nothing(what_lingers_is_closed_with_the_transport),
  };
  return TRP_RUN_TESTS_IN_GROUP("io/closing", tests, warm_up, NULL);
}
