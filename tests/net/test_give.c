// What goes along when a connection changes its actor.
#include "tests/net/give.h"

static void give_after_the_first_line(side_t *side, const char *event) {
  if (is(event, "data")) {
    expect(side, troupe_socket_write(side->socket, "from the giver, ", 16, NULL, NULL) == 1);
    expect(side, give(side, side->got) == 0);
  }
}

static void answer_and_end(side_t *side, const char *event) {
  if (is(event, "data")) {
    expect(side, troupe_socket_end_with(side->socket, "from the taker", 14, NULL, NULL) == 0);
  }
}

static void talk(int fd) {
  send_text(fd, "to the giver");
  receive_text(fd, "from the giver, ");
  send_text(fd, "to the taker");
  receive_text(fd, "from the taker");
  receive_end(fd);
  trp_test_end(fd);
}

static void a_connection_goes_on_in_another_actor(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_after_the_first_line, .taker.hook = answer_and_end};
  play_it(&play, talk);
  assert_string_equal(play.giver.log, "accepted data given server-close ");
  assert_string_equal(play.taker.log, "handed data end close ");
  assert_string_equal(play.taker.message, "to the giver");
  assert_string_equal(play.taker.got, "to the taker");
}

static void bytes_that_nobody_read_go_along(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_what_waits};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted there given server-close ");
  assert_string_equal(play.taker.log, "handed data end close ");
  assert_string_equal(play.taker.got, "never before seen");
  assert_string_equal(play.taker.message, "a message");
}

static void resume_it(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_is_paused(side->socket));
    expect(side, troupe_socket_resume(side->socket) == 0);
  }
}

static void a_connection_accepted_paused_is_given_without_a_byte_read(void **state) {
  (void)state;
  play_t play = {
      .options.pause_on_connect = true, .giver.hook = give_at_once, .taker.hook = resume_it};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted given server-close ");
  assert_string_equal(play.taker.log, "handed data end close ");
  assert_string_equal(play.taker.got, "never before seen");
}

static bool take_five(troupe_socket_t socket, size_t length, void *buffer, void *context) {
  side_t *side = context;
  (void)buffer;
  expect(side, length <= 5);
  side->received += length;
  if (side->received == 10) {
    troupe_socket_pause(socket);
    expect(side, give(side, "") == 0);
  }
  return true;
}

static char five[5];
static const troupe_onread_t onread = {.buffer = five, .size = 5, .callback = take_five};

static int half_read_main(void *argument) {
  play_t *play = argument;
  play->giver.play = play;
  static const troupe_socket_options_t options = {.onread = &onread};
  troupe_connect_options_t where = {.host = "127.0.0.1", .port = atomic_load(&port)};
  int error = troupe_connect(&where, &options, &handlers, &play->giver, &play->giver.socket);
  return error != 0 ? error : troupe_actor_run();
}

static void send_twenty_and_end(int fd) {
  send_text(fd, "0123456789abcdefghij");
  trp_test_end(fd);
  receive_end(fd);
}

static void a_chunk_that_was_read_in_part_goes_from_there(void **state) {
  (void)state;
  play_t play = {.connects = true, .giver_main = half_read_main, .taker.hook = resume_it};
  play_it(&play, send_twenty_and_end);
  assert_string_equal(play.taker.got, "abcdefghij");
  assert_string_equal(play.taker.log, "handed data end close ");
}

static void read_text_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_UTF8) == 0);
    wait_for_bytes(side, 3);
  } else if (is(event, "there")) {
    expect(side, give(side, "") == 0);
  }
}

static void send_half_a_character(int fd) {
  send_text(fd, "a\xe2\x82");
  char got[2];
  assert_int_equal(trp_test_receive(fd, got, 2, LIMIT_MS), 2);
  send_text(fd, "\xac");
  trp_test_end(fd);
  receive_end(fd);
}

static void ask_for_more(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_write(side->socket, "go", 2, NULL, NULL) == 1);
  }
}

static void the_beginning_of_a_character_goes_along(void **state) {
  (void)state;
  play_t play = {.giver.hook = read_text_and_give, .taker.hook = ask_for_more};
  play_it(&play, send_half_a_character);
  assert_string_equal(play.giver.got, "a");
  assert_string_equal(play.taker.got, "\xe2\x82\xac");
}

static void give_after_the_end(side_t *side, const char *event) {
  if (is(event, "end")) {
    expect(side, give(side, "") == 0);
  }
}

static void answer_the_end(side_t *side, const char *event) {
  if (is(event, "end")) {
    expect(side, troupe_socket_ready_state(side->socket) == TROUPE_WRITE_ONLY);
    expect(side, troupe_socket_write(side->socket, "last words", 10, NULL, NULL) == 1);
  }
}

static void the_peers_end_is_told_to_the_new_owner_too(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_after_the_end, .taker.hook = answer_the_end};
  play_it(&play, end_first);
  assert_string_equal(play.giver.log, "accepted end given server-close ");
  assert_string_equal(play.taker.log, "handed end close ");
}

static void end_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_end_with(side->socket, much, MUCH, on_written, side) == 0);
    expect(side, give(side, "") == 0);
  }
}

static void write_in_vain(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_ready_state(side->socket) == TROUPE_READ_ONLY);
    expect(side, troupe_socket_write(side->socket, "more", 4, NULL, NULL) == TROUPE_EPIPE);
    expect(side, troupe_socket_bytes_written(side->socket) == MUCH);
  }
}

static void read_all_and_answer(int fd) {
  receive_much(fd, MUCH);
  receive_end(fd);
  send_text(fd, "thanks");
  trp_test_end(fd);
}

static void a_socket_whose_side_has_ended_reads_on_in_the_other_actor(void **state) {
  (void)state;
  play_t play = {.giver.hook = end_and_give, .taker.hook = write_in_vain};
  play_it(&play, read_all_and_answer);
  /* Whether FIN is sent before the give depends on the kernel's buffers. */
  assert_true(is(play.giver.log, "accepted TROUPE_EGIVING given server-close ") ||
              is(play.giver.log, "accepted written given server-close "));
  assert_string_equal(play.taker.got, "thanks");
  assert_string_equal(play.taker.log, "handed data end close ");
}

static void destroy_soon_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_write(side->socket, much, MUCH, on_written, side) == 0);
    expect(side, troupe_socket_destroy_soon(side->socket) == 0);
    expect(side, give(side, "") == 0);
  }
}

static void a_socket_on_its_way_out_may_change_hands(void **state) {
  (void)state;
  play_t play = {.giver.hook = destroy_soon_and_give, .stops = true};
  play_it(&play, hold_back);
  if (is(play.giver.log, "accepted TROUPE_EGIVING given server-close ")) {
    assert_string_equal(play.taker.log, "handed close ");
  } else { /* the peer took all of it before */
    assert_string_equal(play.giver.log, "accepted written kept close server-close ");
    assert_int_equal(play.giver.result, TROUPE_ENOTCONN);
  }
}

static void write_much_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_write(side->socket, much, MUCH, on_written, side) == 0);
    expect(side, give(side, "") == 0);
  }
}

static void write_behind_it(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_bytes_written(side->socket) == MUCH);
    side->result = troupe_socket_writable_length(side->socket) > 16384;
    int result = troupe_socket_write(side->socket, "behind", 6, NULL, NULL);
    expect(side, result == (side->result ? 0 : 1));
    if (!side->result) {
      troupe_socket_end(side->socket, NULL, NULL);
    }
  } else if (is(event, "drain")) {
    expect(side, troupe_socket_writable_length(side->socket) == 0);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void read_all_in_order(int fd) {
  receive_much(fd, MUCH);
  receive_text(fd, "behind");
  receive_end(fd);
  trp_test_end(fd);
}

static void what_was_not_sent_leaves_before_what_the_new_owner_writes(void **state) {
  (void)state;
  play_t play = {.giver.hook = write_much_and_give, .taker.hook = write_behind_it};
  play_it(&play, read_all_in_order);
  assert_string_equal(play.taker.log,
                      play.taker.result ? "handed drain end close " : "handed end close ");
}

static void set_options_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_set_timeout(side->socket, 20) == 0);
    expect(side, troupe_socket_set_no_delay(side->socket, true) == 0);
    expect(side, troupe_socket_set_linger(side->socket, 500) == 0);
    troupe_deadlines_t deadlines = {.connect_ms = 1, .first_byte_ms = 100000};
    expect(side, troupe_socket_set_deadlines(side->socket, &deadlines) == 0);
    expect(side, give(side, "") == 0);
    expect(side, troupe_socket_set_deadlines(side->socket, NULL) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_linger(side->socket, 1) == TROUPE_EGIVING);
  }
}

static void see_options(side_t *side, const char *event) {
  if (is(event, "handed")) {
    troupe_address_t local, remote;
    troupe_deadlines_t deadlines;
    expect(side, troupe_socket_timeout(side->socket) == 20);
    expect(side, troupe_socket_deadlines(side->socket, &deadlines) == 0);
    expect(side, deadlines.connect_ms == 1 && deadlines.first_byte_ms == 100000);
    expect(side, troupe_socket_local_address(side->socket, &local) == 0);
    expect(side, troupe_socket_remote_address(side->socket, &remote) == 0);
    expect(side, local.port != 0 && remote.port != 0 && local.port != remote.port);
    expect(side, troupe_socket_server(side->socket).id == 0);
    /* 100 bytes is the mark that the giver's server set. */
    expect(side, troupe_socket_write(side->socket, much, 100, NULL, NULL) == 0);
  } else if (is(event, "timeout")) {
    troupe_socket_destroy(side->socket, 0);
  }
}

static void wait_for_the_end(int fd) {
  receive_much(fd, 100);
  receive_end(fd);
}

static void options_timeouts_and_marks_go_along(void **state) {
  (void)state;
  play_t play = {.options.high_water_mark = 100,
                 .giver.hook = set_options_and_give,
                 .taker.hook = see_options};
  play_it(&play, wait_for_the_end);
  assert_string_equal(play.giver.log, "accepted given server-close ");
  assert_string_equal(play.taker.log, "handed drain timeout close ");
}

int main(void) {
  fill_much();
  const struct CMUnitTest tests[] = {
      trp_test(a_connection_goes_on_in_another_actor),
      trp_test(bytes_that_nobody_read_go_along),
      trp_test(a_connection_accepted_paused_is_given_without_a_byte_read),
      trp_test(a_chunk_that_was_read_in_part_goes_from_there),
      trp_test(the_beginning_of_a_character_goes_along),
      trp_test(the_peers_end_is_told_to_the_new_owner_too),
      trp_test(a_socket_whose_side_has_ended_reads_on_in_the_other_actor),
      trp_test(a_socket_on_its_way_out_may_change_hands),
      trp_test(what_was_not_sent_leaves_before_what_the_new_owner_writes),
      trp_test(options_timeouts_and_marks_go_along),
  };
  return TRP_RUN_TESTS("give", tests);
}
