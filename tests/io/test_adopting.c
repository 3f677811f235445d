// The libuv transport takes over descriptors that others have opened.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/io/handles.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(adopted_descriptors_are_what_they_are),
      trp_test_that_leaves_nothing(a_connection_that_died_before_it_was_adopted_is_still_a_stream),
      trp_test_that_leaves_nothing(what_is_no_stream_is_refused_and_closed),
      trp_test_that_leaves_nothing(pipes_are_streams_and_raise_no_signal),
  };
  return TRP_RUN_TESTS_IN_GROUP("io/adopting", tests, warm_up, NULL);
}
