// Actors that write more than their peers read: they are told, refused at the limit, and told
// again.
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/stress.h"

enum { MIB = 1024 * 1024, PIECE = 48 * 1024, LIMIT = 4 * MIB, HUGE = 24 * MIB };

typedef struct {
  test_service_t service;
  size_t write_limit; // of the server's sockets; 0: the default
  size_t first;       // the first write's size
  bool by_reference;
  uint8_t *bytes;
  uint64_t queued, queued_when_refused;
  unsigned said_go_on, said_wait, drains, callbacks, callback_errors;
  int refused_with;
  size_t waiting_before, waiting_after;
  uint64_t written_before, written_after;
  int refused_again_with; // the chunk, the copy and end_with are refused alike
  int refused_end_with;
  atomic_bool refused, drained, closed;
  bool had_error;
} writer_t;

static void on_written(troupe_socket_t socket, int error, void *context) {
  writer_t *writer = context;
  (void)socket;
  writer->callbacks++;
  writer->callback_errors += error != 0;
}

static int write_piece(writer_t *writer, troupe_socket_t socket, size_t length) {
  stress_fill(writer->bytes, length, writer->queued);
  if (!writer->by_reference) {
    return troupe_socket_write(socket, writer->bytes, length, on_written, writer);
  }
  troupe_chunk_t *chunk = NULL;
  int said = troupe_chunk_new(&chunk, writer->bytes, length);
  if (said == 0) {
    said = troupe_socket_write_chunk(socket, chunk, on_written, writer);
  }
  troupe_chunk_free(&chunk);
  return said;
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  writer_t *writer = context;
  size_t length = writer->first;
  (void)server;
  for (;;) {
    writer->waiting_before = troupe_socket_writable_length(socket);
    writer->written_before = troupe_socket_bytes_written(socket);
    int said = write_piece(writer, socket, length);
    if (said < 0) {
      writer->refused_with = said;
      break;
    }
    *(said == 1 ? &writer->said_go_on : &writer->said_wait) += 1;
    writer->queued += length;
    length = PIECE;
  }
  writer->queued_when_refused = writer->queued;
  writer->by_reference = !writer->by_reference;
  writer->refused_again_with = write_piece(writer, socket, PIECE);
  writer->refused_end_with = troupe_socket_end_with(socket, writer->bytes, PIECE, on_written,
                                                    writer);
  writer->waiting_after = troupe_socket_writable_length(socket);
  writer->written_after = troupe_socket_bytes_written(socket);
  atomic_store(&writer->refused, true);
}

static void on_drain(troupe_socket_t socket, void *context) {
  writer_t *writer = context;
  writer->drains++;
  if (write_piece(writer, socket, PIECE) >= 0) { // it may write again
    writer->queued += PIECE;
  }
  troupe_socket_end(socket, NULL, NULL);
  atomic_store(&writer->drained, true);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  writer_t *writer = context;
  (void)socket;
  writer->had_error = had_error;
  atomic_store(&writer->closed, true);
}

static int writing_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  static const troupe_socket_handlers_t socket_handlers = {.on_drain = on_drain,
                                                           .on_close = on_close};
  writer_t *writer = argument;
  troupe_server_options_t options = {.write_limit = writer->write_limit,
                                     .socket_handlers = &socket_handlers,
                                     .socket_context = writer};
  int error = stress_listen(&writer->service, &options, &handlers, writer);
  return error < 0 ? error : troupe_actor_run();
}

static bool is_set(void *flag) {
  return atomic_load((atomic_bool *)flag);
}

static void fill_a_writer(unsigned io_actors, writer_t writer) {
  writer.bytes = malloc(HUGE);
  uint8_t *got = malloc(MIB);
  assert_non_null(writer.bytes);
  assert_non_null(got);
  stress_start(&writer.service, io_actors, 1, writing_actor, &writer);
  int fd = test_service_connect(&writer.service);
  assert_true(trp_test_wait_until(is_set, &writer.refused, STRESS_LIMIT_MS));

  size_t limit = writer.write_limit == 0 ? 16 * MIB : writer.write_limit;
  assert_int_equal(writer.refused_with, TROUPE_ENOBUFS);
  assert_int_equal(writer.refused_again_with, TROUPE_ENOBUFS);
  assert_int_equal(writer.refused_end_with, TROUPE_ENOBUFS);
  assert_int_equal(writer.waiting_after, writer.waiting_before);
  assert_int_equal(writer.written_after, writer.written_before);
  assert_int_equal(writer.written_after, writer.queued_when_refused);
  assert_true(writer.said_wait > 0);
  if (writer.first < limit) {            // it is refused where the limit is, and not before
    assert_true(writer.said_go_on == 0); // a piece is above the mark
    assert_in_range(writer.waiting_before, limit - PIECE + 1, limit);
  }
  assert_false(atomic_load(&writer.drained)); // more than the kernel holds: nothing drains

  uint64_t received = 0;
  for (;;) {
    int64_t n = trp_test_receive(fd, got, MIB, STRESS_LIMIT_MS);
    assert_true(n >= 0);
    assert_true(stress_is_filled(got, (size_t)n, received));
    received += (uint64_t)n;
    if (n < MIB) {
      break;
    }
  }
  trp_test_close(fd);
  assert_true(trp_test_wait_until(is_set, &writer.closed, STRESS_LIMIT_MS));
  assert_int_equal(received, writer.queued);
  assert_int_equal(writer.drains, 1);
  assert_int_equal(writer.callbacks, writer.said_wait + 1);
  assert_int_equal(writer.callback_errors, 0);
  assert_false(writer.had_error);
  test_service_stop(&writer.service);
  free(writer.bytes);
  free(got);
}

static void run_default_limit(unsigned io_actors) {
  fill_a_writer(io_actors, (writer_t){.first = PIECE});
}

static void a_writer_is_refused_at_the_limit_and_told_when_its_peer_has_read(void **state) {
  (void)state;
  stress_with_io_actors(run_default_limit);
}

static void run_by_reference(unsigned io_actors) {
  fill_a_writer(io_actors, (writer_t){.first = PIECE, .by_reference = true});
}

static void a_writer_of_chunks_is_refused_alike(void **state) {
  (void)state;
  stress_with_io_actors(run_by_reference);
}

static void run_huge(unsigned io_actors) {
  fill_a_writer(io_actors, (writer_t){.first = HUGE, .write_limit = LIMIT});
}

static void one_write_of_any_size_into_an_empty_queue_is_taken(void **state) {
  (void)state;
  stress_with_io_actors(run_huge);
}

static void run_over_unix(unsigned io_actors) {
  char path[128];
  strcpy(path, trp_test_folder());
  strcat(path, "/full");
  fill_a_writer(io_actors,
                (writer_t){.service = {.path = path}, .first = PIECE, .write_limit = LIMIT});
}

static void the_same_holds_over_a_unix_socket(void **state) {
  (void)state;
  stress_with_io_actors(run_over_unix);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(
          a_writer_is_refused_at_the_limit_and_told_when_its_peer_has_read),
      trp_test_that_leaves_nothing(a_writer_of_chunks_is_refused_alike),
      trp_test_that_leaves_nothing(one_write_of_any_size_into_an_empty_queue_is_taken),
      trp_test_that_leaves_nothing(the_same_holds_over_a_unix_socket),
  };
  return TRP_RUN_TESTS_IN_GROUP("stress/full_writer", tests, stress_set_up, NULL);
}
