// Late calls on a connection that is given away, gives that cannot be made, and those that fail.
#include "tests/net/give.h"

// ---- Late calls ----

static void call_everything(side_t *side, const char *event) {
  troupe_socket_t socket = side->socket;
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
    troupe_chunk_t *chunk = NULL;
    expect(side, troupe_chunk_new(&chunk, "late", 4) == 0);
    expect(side, give(side, "") == TROUPE_EGIVING);
    expect(side, troupe_socket_write(socket, "late", 4, on_written, side) == TROUPE_EGIVING);
    expect(side, troupe_socket_write_chunk(socket, chunk, NULL, NULL) == TROUPE_EGIVING);
    expect(side, troupe_socket_end(socket, on_written, side) == TROUPE_EGIVING);
    expect(side, troupe_socket_end_with(socket, "late", 4, NULL, NULL) == TROUPE_EGIVING);
    expect(side, troupe_socket_destroy(socket, 0) == TROUPE_EGIVING);
    expect(side, troupe_socket_destroy_soon(socket) == TROUPE_EGIVING);
    expect(side, troupe_socket_reset_and_destroy(socket) == TROUPE_EGIVING);
    expect(side, troupe_socket_pause(socket) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_timeout(socket, 1) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_no_delay(socket, true) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_keep_alive(socket, true, 0) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_encoding(socket, TROUPE_ENCODING_HEX) == TROUPE_EGIVING);
    troupe_connect_options_t options = {.host = "127.0.0.1", .port = 1};
    expect(side, troupe_socket_connect(socket, &options) == TROUPE_EGIVING);
    expect(side, troupe_socket_free(socket) == TROUPE_EGIVING);
    troupe_chunk_free(&chunk);
  } else if (is(event, "given")) {
    expect(side, troupe_socket_write(socket, "late", 4, NULL, NULL) == TROUPE_ERR_STREAM_DESTROYED);
    expect(side, give(side, "") == TROUPE_ERR_STREAM_DESTROYED);
    expect(side, troupe_socket_destroy(socket, 0) == 0);
    expect(side,
           troupe_socket_connect(socket, &(troupe_connect_options_t){.port = 1}) == TROUPE_EISCONN);
    expect(side, troupe_socket_context(socket) == side);
  } else if (is(event, "server-close")) {
    expect(side, troupe_socket_write(socket, "late", 4, NULL, NULL) == TROUPE_ESTALE);
    expect(side, give(side, "") == TROUPE_ESTALE);
  }
}

static void late_calls_of_the_old_owner_are_an_error(void **state) {
  (void)state;
  play_t play = {.giver.hook = call_everything};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted given server-close ");
}

static void give_too_early(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_t idle, connecting;
    static const troupe_socket_handlers_t none;
    troupe_actor_t taker = side->play->taker_id;
    expect(side, troupe_socket_new(NULL, &none, NULL, &idle) == 0);
    expect(side, troupe_socket_give(idle, taker, NULL, 0, NULL, NULL) == TROUPE_ENOTCONN);
    expect(side, troupe_connect_port(1, "127.0.0.1", &none, NULL, &connecting) == 0);
    expect(side, troupe_socket_give(connecting, taker, NULL, 0, NULL, NULL) == TROUPE_ENOTCONN);
    expect(side, troupe_socket_destroy(connecting, 0) == 0);
    expect(side, troupe_socket_give(connecting, taker, NULL, 0, NULL, NULL) ==
                     TROUPE_ERR_STREAM_DESTROYED);
    troupe_socket_t socket = side->socket;
    expect(side,
           troupe_socket_give(socket, troupe_actor_self(), NULL, 0, NULL, NULL) == TROUPE_EINVAL);
    expect(side, troupe_socket_give(socket, (troupe_actor_t){.id = 5}, NULL, 0, NULL, NULL) ==
                     TROUPE_EINVAL);
    expect(side, troupe_socket_give(socket, taker, NULL, 1, NULL, NULL) == TROUPE_EINVAL);
    expect(side, troupe_socket_give(socket, taker, much, 16 * 1024 * 1024 + 1, NULL, NULL) ==
                     TROUPE_EINVAL);
    expect(side, troupe_socket_end(socket, NULL, NULL) == 0);
  }
}

static void what_cannot_be_given_says_so_at_once(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_too_early, .stops = true};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted data end close server-close ");
  assert_string_equal(play.taker.log, "");
}

// ---- Gives that fail ----

static void give_to_nobody(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
  } else if (is(event, "kept")) {
    expect(side, side->result == TROUPE_ENOACTOR);
    expect(side, troupe_socket_write(side->socket, "last words", 10, NULL, NULL) == 1);
  }
}

static void a_receiver_that_is_gone_leaves_the_socket_where_it_is(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_to_nobody, .without_taker = true};
  play_it(&play, end_first);
  assert_string_equal(play.giver.log, "accepted kept end close server-close ");
}

static void give_twice_to_nobody(side_t *side, const char *event) {
  if (is(event, "accepted") || (is(event, "kept") && side->step++ == 0)) {
    expect(side, give(side, "") == 0);
  } else if (is(event, "kept")) {
    expect(side, troupe_socket_write(side->socket, "last words", 10, NULL, NULL) == 1);
  }
}

static void a_give_that_failed_can_be_tried_again(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_twice_to_nobody, .without_taker = true};
  play_it(&play, end_first);
  assert_string_equal(play.giver.log, "accepted kept kept end close server-close ");
}

static void write_much_and_give_to_nobody(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_write(side->socket, much, MUCH, NULL, NULL);
    expect(side, give(side, "") == 0);
  } else if (is(event, "drain")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void a_drain_that_is_owed_comes_after_a_give_that_failed(void **state) {
  (void)state;
  play_t play = {.giver.hook = write_much_and_give_to_nobody, .without_taker = true};
  play_it(&play, hold_back);
  assert_true(strstr(play.giver.log, "accepted kept drain ") != NULL);
}

static void abort_and_give(side_t *side, const char *event) {
  if (is(event, "connect")) {
    expect(side, give(side, "") == 0);
    expect(side, troupe_abort(NULL, side->play->abort) == 0);
    expect(side, give(side, "") == TROUPE_EGIVING);
  }
}

static int aborting_main(void *argument) {
  play_t *play = argument;
  play->giver.play = play;
  int error = troupe_abort_new(&play->abort);
  troupe_socket_options_t options = {.signal = play->abort};
  troupe_connect_options_t where = {.host = "127.0.0.1", .port = atomic_load(&port)};
  if (error == 0) {
    error = troupe_connect(&where, &options, &handlers, &play->giver, &play->giver.socket);
  }
  return error != 0 ? error : troupe_actor_run();
}

static void a_signal_that_is_aborted_before_the_socket_left_destroys_it(void **state) {
  (void)state;
  play_t play = {
      .connects = true, .giver_main = aborting_main, .giver.hook = abort_and_give, .stops = true};
  play_it(&play, receive_end);
  assert_string_equal(play.giver.log, "connect kept ABORT_ERR close! ");
  assert_int_equal(play.giver.result, TROUPE_ABORT_ERR);
  assert_string_equal(play.taker.log, "");
}

static void stop_while_it_is_given(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
    expect(side, troupe_actor_end(0) == 0);
  }
}

static void say_hello(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_end_with(side->socket, "hello", 5, NULL, NULL) == 0);
  }
}

static void hear_hello(int fd) {
  receive_text(fd, "hello");
  receive_end(fd);
  trp_test_end(fd);
}

static void a_connection_that_was_given_outlives_an_actor_that_ends_at_once(void **state) {
  (void)state;
  play_t play = {.giver.hook = stop_while_it_is_given, .taker.hook = say_hello};
  play_it(&play, hear_hello);
  assert_string_equal(play.giver.log, "accepted ");
  assert_string_equal(play.taker.log, "handed end close ");
}

static void give_late(side_t *side, const char *event) {
  if (is(event, "there")) {
    expect(side, give(side, "") == 0);
    expect(side, troupe_actor_end(0) == 0);
  } else if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &without_data, side);
    wait_for_bytes(side, 12);
  }
}

static void bytes_that_wait_in_an_actor_that_ends_go_with_it(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_late, .stops = true};
  play_it(&play, send_and_be_cut_off);
  assert_string_equal(play.giver.log, "accepted there ");
  assert_string_equal(play.taker.log, "");
}

int main(void) {
  fill_much();
  const struct CMUnitTest tests[] = {
      trp_test(late_calls_of_the_old_owner_are_an_error),
      trp_test(what_cannot_be_given_says_so_at_once),
      trp_test(a_receiver_that_is_gone_leaves_the_socket_where_it_is),
      trp_test(a_give_that_failed_can_be_tried_again),
      trp_test(a_drain_that_is_owed_comes_after_a_give_that_failed),
      trp_test(a_signal_that_is_aborted_before_the_socket_left_destroys_it),
      trp_test(a_connection_that_was_given_outlives_an_actor_that_ends_at_once),
      trp_test(bytes_that_wait_in_an_actor_that_ends_go_with_it),
  };
  return TRP_RUN_TESTS("give refused", tests);
}
