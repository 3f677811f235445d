/* Writing over real connections: callbacks, marks and limits, chunks. */
#include "tests/net/scene.h"

enum { MUCH = 8 * 1024 * 1024 };
static char much[MUCH];

static void three_writes(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result += troupe_socket_write(side->socket, "one", 3, scene_on_written, side) != 1;
    side->result += troupe_socket_write(side->socket, NULL, 0, scene_on_written, side) != 1;
    side->result += troupe_socket_write(side->socket, "two", 3, scene_on_written, side) != 1;
    side->result += troupe_socket_bytes_written(side->socket) != 6;
    side->result += troupe_socket_writable_length(side->socket) != 6;
    side->result += troupe_socket_write(side->socket, NULL, 3, NULL, NULL) != TROUPE_EINVAL;
    scene_note(side, "(returned) ");
  } else if (is(event, "written") && ++side->step == 3) {
    side->result += troupe_socket_bytes_written(side->socket) != 6;
    side->result += troupe_socket_writable_length(side->socket) != 0;
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void callbacks_come_in_order_once_and_after_the_call(void **state) {
  (void)state;
  scene_t scene = {.client.hook = three_writes};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready (returned) written written written end close ");
  assert_string_equal(scene.accepted.last, "onetwo");
}

static void empty_write_alone(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_connect(&side->scene->connect_options, NULL, &scene_handlers, side, &side->socket);
    troupe_socket_write(side->socket, "", 0, scene_on_written, side);
  } else if (is(event, "written")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void a_write_of_nothing_is_told_after_the_connection(void **state) {
  (void)state;
  scene_t scene = {.start = empty_write_alone, .client.hook = empty_write_alone};
  play(&scene);
  assert_log(scene.client, "attempt connect ready written end close ");
}

static void write_much(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result = troupe_socket_write(side->socket, much, MUCH, scene_on_written, side);
  } else if (is(event, "written")) {
    troupe_socket_end(side->socket, scene_on_finished, side);
  }
}

static void drain_comes_before_the_callback_of_the_write(void **state) {
  (void)state;
  scene_t scene = {.client.hook = write_much};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready drain written finished end close ");
  assert_int_equal(scene.accepted.received, MUCH);
}

static void write_much_and_end(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result = troupe_socket_end_with(side->socket, much, MUCH, scene_on_finished, side);
    side->step = troupe_socket_write(side->socket, "x", 1, NULL, NULL);
  }
}

static void after_end_there_is_no_drain(void **state) {
  (void)state;
  scene_t scene = {.client.hook = write_much_and_end};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, TROUPE_EPIPE);
  assert_log(scene.client, "attempt connect ready finished end close ");
  assert_int_equal(scene.accepted.received, MUCH);
}

static void pause_for_ever(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_pause(side->socket);
  }
}

/* Megabytes to a peer that does not read, until no more is taken. */
static void fill(side_t *side, const char *event) {
  if (!is(event, "ready")) {
    return;
  }
  int result = 1;
  while (result >= 0) {
    result = troupe_socket_write(side->socket, much, 1024 * 1024, NULL, NULL);
  }
  side->result = result;
  side->step = (int)(troupe_socket_writable_length(side->socket) >> 20);
  troupe_socket_destroy(side->socket, 0);
  troupe_socket_destroy(side->scene->accepted.socket, 0);
}

static void more_than_the_write_limit_is_not_taken(void **state) {
  (void)state;
  scene_t scene = {.client.hook = fill, .accepted.hook = pause_for_ever};
  play(&scene);
  assert_int_equal(scene.client.result, TROUPE_ENOBUFS);
  assert_int_equal(scene.client.step, 16);
}

static void one_too_large(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->step = troupe_socket_write(side->socket, much, MUCH, NULL, NULL);
    side->result = troupe_socket_write(side->socket, much, 1, NULL, NULL);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void one_write_of_any_size_goes_into_an_empty_queue(void **state) {
  (void)state;
  scene_t scene = {.client_options.write_limit = 1000, .client.hook = one_too_large};
  play(&scene);
  assert_int_equal(scene.client.step, 0);
  assert_int_equal(scene.client.result, TROUPE_ENOBUFS);
  assert_int_equal(scene.accepted.received, MUCH);
}

static void small_writes(side_t *side, const char *event) {
  if (is(event, "ready") || is(event, "drain")) {
    side->result += troupe_socket_write(side->socket, "x", 1, NULL, NULL) != 0;
    if (++side->step == 3) {
      troupe_socket_end(side->socket, NULL, NULL);
    }
  }
}

static void with_a_mark_of_zero_every_write_says_zero(void **state) {
  (void)state;
  scene_t scene = {.client_options.high_water_mark = TROUPE_HIGH_WATER_MARK_ZERO,
                   .client.hook = small_writes};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready drain drain end close ");
}

static void ends(side_t *side, const char *event) {
  if (is(event, "ready")) {
    side->result += troupe_socket_end(side->socket, scene_on_finished, side);
    side->result += troupe_socket_end(side->socket, scene_on_finished, side);
    side->result += troupe_socket_end(side->socket, NULL, NULL);
  } else if (is(event, "end")) {
    side->result += troupe_socket_end(side->socket, scene_on_finished, side) !=
                    TROUPE_ERR_STREAM_ALREADY_FINISHED;
    side->result += troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void every_end_before_fin_gets_its_callback(void **state) {
  (void)state;
  scene_t scene = {.client.hook = ends};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready finished finished end close ");
}

static void reset_reader(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_pause(side->socket);
  }
}

static void write_into_reset(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_write(side->socket, much, MUCH, scene_on_written, side);
    troupe_socket_write(side->socket, "x", 1, scene_on_written, side);
    troupe_socket_end(side->socket, scene_on_finished, side);
    troupe_socket_reset_and_destroy(side->scene->accepted.socket);
  }
}

static void a_reset_fails_what_waits_before_it_is_told(void **state) {
  (void)state;
  scene_t scene = {.client.hook = write_into_reset, .accepted.hook = reset_reader};
  play(&scene);
  assert_log(scene.client, "attempt connect ready ECONNRESET:written ECONNRESET:written "
                           "ECONNRESET:finished ECONNRESET:error close! ");
}

static void refused_writes(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_connect(&side->scene->connect_options, NULL, &scene_handlers, side, &side->socket);
    troupe_socket_write(side->socket, "a", 1, scene_on_written, side);
    troupe_socket_write(side->socket, "b", 1, scene_on_written, side);
    troupe_socket_end(side->socket, scene_on_finished, side);
  }
}

static void what_waited_for_a_connection_that_fails_is_told_so(void **state) {
  (void)state;
  scene_t scene = {.without_server = true,
                   .connect_options = {.path = "/nowhere/at/all"},
                   .start = refused_writes};
  play(&scene);
  assert_log(scene.client, "attempt failed ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written "
                           "ENOENT:written ENOENT:finished ENOENT:error close! ");
}

// ---- Chunks ----

static void echo_chunk(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  troupe_socket_write_chunk(socket, chunk, NULL, NULL);
}

static const troupe_socket_handlers_t echo_handlers = {.on_data = echo_chunk,
                                                       .on_close = scene_on_close};

static void echo(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &echo_handlers, side);
  }
}

static char random_bytes[1024 * 1024];
static size_t compared;

static void compare_anew(void) {
  compared = 0;
}

static void compare(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  side_t *side = context;
  size_t length = troupe_chunk_length(chunk);
  if (compared + length > sizeof random_bytes ||
      memcmp(random_bytes + compared, troupe_chunk_bytes(chunk), length) != 0) {
    side->result++;
  }
  compared += length;
  if (compared >= sizeof random_bytes) {
    troupe_socket_end(socket, NULL, NULL);
  }
}

static const troupe_socket_handlers_t compare_handlers = {.on_data = compare,
                                                          .on_close = scene_on_close};

static void send_random(side_t *side, const char *event) {
  (void)event;
  troupe_connect(&side->scene->connect_options, NULL, &compare_handlers, side, &side->socket);
  for (size_t i = 0; i < sizeof random_bytes; i += 10007) {
    size_t length = sizeof random_bytes - i < 10007 ? sizeof random_bytes - i : 10007;
    side->step += troupe_socket_write(side->socket, random_bytes + i, length, NULL, NULL) < 0;
  }
}

static void a_megabyte_echoed_by_reference_comes_back_whole(void **state) {
  (void)state;
  trp_test_random_t random;
  trp_test_random_start(&random, 7);
  trp_test_random_bytes(&random, random_bytes, sizeof random_bytes);
  scene_t scene = {.reset = compare_anew, .start = send_random, .accepted.hook = echo};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, 0);
  assert_int_equal(compared, sizeof random_bytes);
}

static int released;

static void release_anew(void) {
  released = 0;
}

static void release(void *bytes, void *context) {
  (void)context;
  released += bytes == much;
}

static void write_chunks(side_t *side, const char *event) {
  if (!is(event, "ready")) {
    return;
  }
  troupe_chunk_t *small = NULL, *large = NULL, *adopted = NULL, *part = NULL, *kept = NULL;
  side->result += troupe_chunk_new(&small, "small,", 6);
  side->result += troupe_chunk_new(&large, NULL, 100000);
  side->result += troupe_chunk_adopt(&adopted, much, MUCH, release, NULL);
  side->result += troupe_chunk_slice(small, 0, 5, &part);
  side->result += troupe_chunk_slice(small, 4, 3, &kept) != TROUPE_EINVAL;
  side->result += troupe_chunk_keep(large, &kept);
  troupe_chunk_t *const all[] = {small, large, adopted, part, kept, small};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    side->result += troupe_socket_write_chunk(side->socket, all[i], NULL, NULL) < 0;
  }
  side->result += troupe_socket_write_chunk(side->socket, NULL, NULL, NULL) != TROUPE_EINVAL;
  troupe_chunk_free(&small);
  troupe_chunk_free(&large);
  troupe_chunk_free(&adopted);
  troupe_chunk_free(&part);
  troupe_chunk_free(&kept);
  side->result += small != NULL;
  troupe_chunk_free(&small);
  troupe_socket_end(side->socket, NULL, NULL);
}

static void chunks_leave_although_they_were_freed(void **state) {
  (void)state;
  scene_t scene = {.reset = release_anew, .client.hook = write_chunks};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.accepted.received, 6 + 100000 + MUCH + 5 + 100000 + 6);
  assert_int_equal(released, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(callbacks_come_in_order_once_and_after_the_call),
      trp_test(a_write_of_nothing_is_told_after_the_connection),
      trp_test(drain_comes_before_the_callback_of_the_write),
      trp_test(after_end_there_is_no_drain),
      trp_test(more_than_the_write_limit_is_not_taken),
      trp_test(one_write_of_any_size_goes_into_an_empty_queue),
      trp_test(with_a_mark_of_zero_every_write_says_zero),
      trp_test(every_end_before_fin_gets_its_callback),
      trp_test(a_reset_fails_what_waits_before_it_is_told),
      trp_test(what_waited_for_a_connection_that_fails_is_told_so),
      trp_test(a_megabyte_echoed_by_reference_comes_back_whole),
      trp_test(chunks_leave_although_they_were_freed),
  };
  return TRP_RUN_TESTS("write", tests);
}
