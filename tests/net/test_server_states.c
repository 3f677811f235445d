/* The life of one listen(), played with lists of events. */
#include "core/net/server_states.h"
#include "tests/harness/harness.h"

static trp_listen_state_t play(trp_listen_state_t from, trp_listen_event_t event,
                               unsigned actions) {
  trp_listen_step_t step = trp_listen_next(from, event);
  assert_int_equal(step.actions, actions);
  return step.next;
}

static void a_server_listens_accepts_and_closes(void **state) {
  (void)state;
  trp_listen_state_t now = play(TRP_LISTEN_NONE, TRP_LISTEN_LISTEN, TRP_LISTEN_SEND_LISTEN);
  now = play(now, TRP_LISTEN_STARTED, TRP_LISTEN_TELL_LISTENING);
  now = play(now, TRP_LISTEN_CONNECTION, TRP_LISTEN_ACCEPT);
  now = play(now, TRP_LISTEN_DROPPED, TRP_LISTEN_TELL_DROP);
  now = play(now, TRP_LISTEN_PARKED, TRP_LISTEN_TELL_PARKED);
  now = play(now, TRP_LISTEN_UNPARKED, TRP_LISTEN_TELL_UNPARKED);
  now = play(now, TRP_LISTEN_CLOSE, TRP_LISTEN_SEND_CLOSE);
  now = play(now, TRP_LISTEN_CLOSED, TRP_LISTEN_TELL_CLOSE);
  assert_int_equal(now, TRP_LISTEN_NONE);
}

static void a_failed_listen_is_over_without_a_close(void **state) {
  (void)state;
  trp_listen_state_t now = play(TRP_LISTEN_STARTING, TRP_LISTEN_FAILED, TRP_LISTEN_TELL_ERROR);
  assert_int_equal(now, TRP_LISTEN_NONE);
  now = play(now, TRP_LISTEN_LISTEN, TRP_LISTEN_SEND_LISTEN);
  assert_int_equal(now, TRP_LISTEN_STARTING);
}

static void a_listen_closed_before_its_answer_tells_only_its_close(void **state) {
  (void)state;
  trp_listen_state_t now = play(TRP_LISTEN_STARTING, TRP_LISTEN_CLOSE, TRP_LISTEN_SEND_CLOSE);
  now = play(now, TRP_LISTEN_STARTED, 0);
  now = play(now, TRP_LISTEN_CLOSED, TRP_LISTEN_TELL_CLOSE);
  assert_int_equal(now, TRP_LISTEN_NONE);
  now = play(TRP_LISTEN_CLOSING, TRP_LISTEN_FAILED, TRP_LISTEN_TELL_CLOSE);
  assert_int_equal(now, TRP_LISTEN_NONE);
}

static void a_connection_that_comes_after_the_close_is_turned_away(void **state) {
  (void)state;
  trp_listen_state_t now = play(TRP_LISTEN_LISTENING, TRP_LISTEN_CLOSE, TRP_LISTEN_SEND_CLOSE);
  now = play(now, TRP_LISTEN_CONNECTION, TRP_LISTEN_TURN_AWAY);
  now = play(now, TRP_LISTEN_DROPPED, 0);
  assert_int_equal(now, TRP_LISTEN_CLOSING);
  play(TRP_LISTEN_NONE, TRP_LISTEN_CONNECTION, TRP_LISTEN_TURN_AWAY);
}

static void forbidden_steps_change_nothing(void **state) {
  (void)state;
  static const struct {
    trp_listen_state_t state;
    trp_listen_event_t event;
  } forbidden[] = {
      {TRP_LISTEN_NONE, TRP_LISTEN_CLOSE},       {TRP_LISTEN_NONE, TRP_LISTEN_STARTED},
      {TRP_LISTEN_NONE, TRP_LISTEN_CLOSED},      {TRP_LISTEN_STARTING, TRP_LISTEN_LISTEN},
      {TRP_LISTEN_LISTENING, TRP_LISTEN_LISTEN}, {TRP_LISTEN_LISTENING, TRP_LISTEN_STARTED},
      {TRP_LISTEN_CLOSING, TRP_LISTEN_CLOSE},    {TRP_LISTEN_CLOSING, TRP_LISTEN_LISTEN},
  };
  for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
    trp_listen_state_t next = play(forbidden[i].state, forbidden[i].event, TRP_LISTEN_REFUSE);
    assert_int_equal(next, forbidden[i].state);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_server_listens_accepts_and_closes),
      trp_test(a_failed_listen_is_over_without_a_close),
      trp_test(a_listen_closed_before_its_answer_tells_only_its_close),
      trp_test(a_connection_that_comes_after_the_close_is_turned_away),
      trp_test(forbidden_steps_change_nothing),
  };
  return TRP_RUN_TESTS("server_states", tests);
}
