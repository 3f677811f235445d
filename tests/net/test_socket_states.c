/* The life of a socket, played with lists of events: no threads, no network. */
#include "core/net/socket_states.h"
#include "tests/harness/harness.h"

#define EVENTS(...)                                                                                \
  (const trp_socket_event_t[]) {                                                                   \
    __VA_ARGS__, TRP_SOCKET_EVENTS                                                                 \
  }

typedef struct {
  trp_socket_state_t state;
  unsigned actions; // all that were asked for on the way
  unsigned refused;
} played_t;

static played_t play(trp_socket_state_t from, const trp_socket_event_t *events) {
  played_t played = {.state = from};
  for (; *events != TRP_SOCKET_EVENTS; events++) {
    trp_socket_step_t step = trp_socket_next(played.state, *events);
    if (step.actions & TRP_SOCKET_REFUSE) {
      played.refused++;
      assert_int_equal(step.next, played.state);
      assert_int_equal(step.actions, TRP_SOCKET_REFUSE);
    }
    played.state = step.next;
    played.actions |= step.actions;
  }
  return played;
}

static void a_socket_whose_peer_ends_first_ends_and_closes(void **state) {
  (void)state;
  played_t played = play(TRP_SOCKET_IDLE,
                         EVENTS(TRP_SOCKET_CONNECT, TRP_SOCKET_CONNECTED, TRP_SOCKET_PEER_END));
  assert_int_equal(played.state, TRP_SOCKET_PEER_ENDED);
  assert_int_equal(played.actions,
                   TRP_SOCKET_SEND_CONNECT | TRP_SOCKET_TELL_CONNECT | TRP_SOCKET_TELL_END);
  played = play(played.state, EVENTS(TRP_SOCKET_WRITE, TRP_SOCKET_END, TRP_SOCKET_FINISH));
  assert_int_equal(played.state, TRP_SOCKET_DONE);
  assert_int_equal(played.actions, TRP_SOCKET_TAKE | TRP_SOCKET_SEND_END | TRP_SOCKET_TELL_FINISH);
  played = play(played.state, EVENTS(TRP_SOCKET_CLOSE));
  assert_int_equal(played.state, TRP_SOCKET_CLOSED);
  assert_true(played.actions & TRP_SOCKET_TELL_CLOSE);
}

static void a_socket_that_ends_first_goes_on_reading(void **state) {
  (void)state;
  played_t played = play(TRP_SOCKET_OPEN, EVENTS(TRP_SOCKET_END, TRP_SOCKET_FINISH));
  assert_int_equal(played.state, TRP_SOCKET_FINISHED);
  assert_true(trp_socket_receives(played.state));
  assert_int_equal(trp_socket_ready_state(played.state), TROUPE_READ_ONLY);
  played = play(played.state, EVENTS(TRP_SOCKET_PEER_END, TRP_SOCKET_CLOSE));
  assert_int_equal(played.state, TRP_SOCKET_CLOSED);
  assert_int_equal(played.refused, 0);
}

static void an_end_before_the_connection_waits_for_it(void **state) {
  (void)state;
  played_t played = play(TRP_SOCKET_IDLE, EVENTS(TRP_SOCKET_END, TRP_SOCKET_CONNECT));
  assert_int_equal(played.state, TRP_SOCKET_CONNECTING_ENDED);
  assert_int_equal(played.actions, TRP_SOCKET_SEND_CONNECT | TRP_SOCKET_SEND_END);
  played = play(TRP_SOCKET_LOOKING_UP, EVENTS(TRP_SOCKET_WRITE, TRP_SOCKET_END,
                                              TRP_SOCKET_LOOKED_UP, TRP_SOCKET_CONNECTED));
  assert_int_equal(played.state, TRP_SOCKET_ENDED);
  assert_int_equal(played.actions, TRP_SOCKET_TAKE | TRP_SOCKET_SEND_CONNECT |
                                       TRP_SOCKET_SEND_WRITES | TRP_SOCKET_SEND_END |
                                       TRP_SOCKET_TELL_CONNECT);
}

static void what_the_io_actor_never_knew_closes_without_it(void **state) {
  (void)state;
  for (int from = TRP_SOCKET_IDLE; from <= TRP_SOCKET_LOOKING_UP_RESET; from++) {
    played_t played = play((trp_socket_state_t)from, EVENTS(TRP_SOCKET_DESTROY));
    assert_int_equal(played.state, TRP_SOCKET_GONE);
    assert_int_equal(played.actions, TRP_SOCKET_FORGET | TRP_SOCKET_LATER);
    played = play(played.state, EVENTS(TRP_SOCKET_TURN));
    assert_int_equal(played.state, TRP_SOCKET_CLOSED);
    assert_true(played.actions & TRP_SOCKET_TELL_CLOSE);
  }
}

static void a_socket_destroyed_while_connecting_tells_only_its_close(void **state) {
  (void)state;
  played_t played = play(TRP_SOCKET_CONNECTING,
                         EVENTS(TRP_SOCKET_DESTROY, TRP_SOCKET_TURN, TRP_SOCKET_CONNECTED,
                                TRP_SOCKET_FAIL, TRP_SOCKET_CLOSE));
  assert_int_equal(played.state, TRP_SOCKET_CLOSED);
  assert_false(played.actions & TRP_SOCKET_TELL_CONNECT);
  assert_true(played.actions & TRP_SOCKET_SEND_DESTROY);
  assert_int_equal(played.refused, 0);
}

static void a_reset_while_connecting_waits_for_the_connection(void **state) {
  (void)state;
  played_t played = play(TRP_SOCKET_CONNECTING, EVENTS(TRP_SOCKET_RESET, TRP_SOCKET_CONNECTED));
  assert_int_equal(played.state, TRP_SOCKET_RESETTING);
  assert_int_equal(trp_socket_ready_state(played.state), TROUPE_OPEN);
  assert_true(played.actions & TRP_SOCKET_SEND_RESET);
  assert_true(played.actions & TRP_SOCKET_TELL_CONNECT);
  assert_false(played.actions & TRP_SOCKET_SEND_DESTROY);
  played = play(played.state, EVENTS(TRP_SOCKET_TURN, TRP_SOCKET_CLOSE));
  assert_int_equal(played.state, TRP_SOCKET_CLOSED);
  played = play(TRP_SOCKET_CONNECTING, EVENTS(TRP_SOCKET_RESET, TRP_SOCKET_DESTROY));
  assert_int_equal(played.state, TRP_SOCKET_DESTROYED);
  assert_true(played.actions & TRP_SOCKET_SEND_DESTROY);
}

static void destroy_soon_waits_for_the_last_writes_and_for_nothing_else(void **state) {
  (void)state;
  played_t played = play(TRP_SOCKET_OPEN, EVENTS(TRP_SOCKET_LAST, TRP_SOCKET_FINISH));
  assert_int_equal(played.state, TRP_SOCKET_DESTROYED);
  assert_false(played.actions & TRP_SOCKET_SEND_DESTROY); // the I/O actor does it by itself
  played = play(TRP_SOCKET_FINISHED, EVENTS(TRP_SOCKET_LAST));
  assert_int_equal(played.state, TRP_SOCKET_DESTROYED);
  assert_true(played.actions & TRP_SOCKET_SEND_DESTROY);
}

static void an_error_settles_before_the_close(void **state) {
  (void)state;
  for (int from = TRP_SOCKET_CONNECTING; from <= TRP_SOCKET_DONE; from++) {
    played_t played = play((trp_socket_state_t)from, EVENTS(TRP_SOCKET_FAIL));
    assert_int_equal(played.state, TRP_SOCKET_DESTROYED);
    assert_int_equal(played.actions, TRP_SOCKET_FORGET | TRP_SOCKET_SETTLE);
    played = play(played.state, EVENTS(TRP_SOCKET_CLOSE));
    assert_int_equal(played.state, TRP_SOCKET_CLOSED);
  }
}

static void every_state_can_be_destroyed_and_then_closes_once(void **state) {
  (void)state;
  for (int from = 0; from < TRP_SOCKET_CLOSED; from++) {
    trp_socket_step_t step = trp_socket_next((trp_socket_state_t)from, TRP_SOCKET_DESTROY);
    assert_false(step.actions & TRP_SOCKET_REFUSE);
    assert_true(trp_socket_is_destroyed(step.next));
    trp_socket_state_t now = step.next;
    unsigned closes = 0;
    static const trp_socket_event_t rest[] = {TRP_SOCKET_TURN, TRP_SOCKET_DESTROY, TRP_SOCKET_CLOSE,
                                              TRP_SOCKET_TURN, TRP_SOCKET_CLOSE};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
      step = trp_socket_next(now, rest[i]);
      closes += (step.actions & TRP_SOCKET_TELL_CLOSE) != 0;
      now = step.next;
    }
    assert_int_equal(closes, 1);
    assert_int_equal(now, TRP_SOCKET_CLOSED);
  }
}

static void only_open_sides_take_writes(void **state) {
  (void)state;
  for (int from = 0; from < TRP_SOCKET_STATES; from++) {
    bool takes = (trp_socket_next((trp_socket_state_t)from, TRP_SOCKET_WRITE).actions &
                  TRP_SOCKET_TAKE) != 0;
    bool may = from != TRP_SOCKET_IDLE && !trp_socket_has_ended((trp_socket_state_t)from);
    assert_int_equal(takes, may);
  }
}

static void a_closed_socket_connects_again_and_no_other(void **state) {
  (void)state;
  for (int from = 0; from < TRP_SOCKET_STATES; from++) {
    bool refused = (trp_socket_next((trp_socket_state_t)from, TRP_SOCKET_CONNECT).actions &
                    TRP_SOCKET_REFUSE) != 0;
    bool may = from == TRP_SOCKET_IDLE || from == TRP_SOCKET_IDLE_ENDED ||
               from == TRP_SOCKET_CLOSED;
    assert_int_equal(refused, !may);
  }
}

static void forbidden_steps_change_nothing(void **state) {
  (void)state;
  played_t played = play(TRP_SOCKET_IDLE,
                         EVENTS(TRP_SOCKET_WRITE, TRP_SOCKET_CONNECTED, TRP_SOCKET_PEER_END,
                                TRP_SOCKET_FINISH, TRP_SOCKET_FAIL, TRP_SOCKET_CLOSE,
                                TRP_SOCKET_LOOKED_UP, TRP_SOCKET_RESET));
  assert_int_equal(played.state, TRP_SOCKET_IDLE);
  assert_int_equal(played.refused, 8);
  played = play(TRP_SOCKET_OPEN, EVENTS(TRP_SOCKET_CONNECTED, TRP_SOCKET_FINISH, TRP_SOCKET_TURN));
  assert_int_equal(played.refused, 3);
  played = play(TRP_SOCKET_PEER_ENDED, EVENTS(TRP_SOCKET_PEER_END, TRP_SOCKET_FINISH));
  assert_int_equal(played.refused, 2);
}

static void a_socket_is_given_away_only_while_it_is_connected(void **state) {
  (void)state;
  for (int from = 0; from < TRP_SOCKET_STATES; from++) {
    trp_socket_step_t step = trp_socket_next((trp_socket_state_t)from, TRP_SOCKET_GIVEN);
    bool may = trp_socket_is_connected((trp_socket_state_t)from);
    assert_int_equal((step.actions & TRP_SOCKET_TELL_GIVEN) != 0, may);
    assert_int_equal((step.actions & TRP_SOCKET_REFUSE) == 0, may);
    assert_false(step.actions & TRP_SOCKET_TELL_CLOSE);
    assert_int_equal(step.next, may ? TRP_SOCKET_CLOSED : from);
  }
}

/* A state is left only towards its end, and everything that a step may ask for is asked somewhere.
 */
static void a_thousand_random_lives_all_close_exactly_once(void **state) {
  (void)state;
  trp_test_random_t random;
  trp_test_random_start(&random, 1);
  unsigned seen = 0;
  for (int life = 0; life < 1000; life++) {
    trp_socket_state_t now = TRP_SOCKET_IDLE;
    unsigned closes = 0;
    for (int i = 0; i < 200 && now != TRP_SOCKET_CLOSED; i++) {
      trp_socket_event_t event = (trp_socket_event_t)trp_test_random_below(&random,
                                                                           TRP_SOCKET_EVENTS);
      trp_socket_step_t step = trp_socket_next(now, event);
      assert_true(step.next < TRP_SOCKET_STATES);
      assert_false(trp_socket_is_destroyed(now) && !trp_socket_is_destroyed(step.next));
      assert_false(trp_socket_has_ended(now) && !trp_socket_has_ended(step.next));
      closes += (step.actions & (TRP_SOCKET_TELL_CLOSE | TRP_SOCKET_TELL_GIVEN)) != 0;
      seen |= step.actions;
      now = step.next;
    }
    assert_int_equal(closes, now == TRP_SOCKET_CLOSED);
  }
  assert_int_equal(seen, 2 * TRP_SOCKET_TELL_CLOSE - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_socket_whose_peer_ends_first_ends_and_closes),
      trp_test(a_socket_that_ends_first_goes_on_reading),
      trp_test(an_end_before_the_connection_waits_for_it),
      trp_test(what_the_io_actor_never_knew_closes_without_it),
      trp_test(a_socket_destroyed_while_connecting_tells_only_its_close),
      trp_test(a_reset_while_connecting_waits_for_the_connection),
      trp_test(destroy_soon_waits_for_the_last_writes_and_for_nothing_else),
      trp_test(an_error_settles_before_the_close),
      trp_test(every_state_can_be_destroyed_and_then_closes_once),
      trp_test(only_open_sides_take_writes),
      trp_test(a_closed_socket_connects_again_and_no_other),
      trp_test(forbidden_steps_change_nothing),
      trp_test(a_socket_is_given_away_only_while_it_is_connected),
      trp_test(a_thousand_random_lives_all_close_exactly_once),
  };
  return TRP_RUN_TESTS("socket_states", tests);
}
