// The life of a socket as a table: lists of events, what they lead to, and all lists up to a length
// that can be tried.

#include "tests/harness/harness.h"

#include "actors/net/stream_states.h"

#define CONNECTED TRP_STREAM_CONNECTED
#define WRITE TRP_STREAM_WRITE
#define END TRP_STREAM_END
#define FINISH TRP_STREAM_FINISH
#define DESTROY TRP_STREAM_DESTROY
#define RESET TRP_STREAM_RESET
#define FIN_SENT TRP_STREAM_FIN_SENT
#define FIN_RECEIVED TRP_STREAM_FIN_RECEIVED
#define FAILED TRP_STREAM_FAILED

enum { LIST_MAX = 8 };

typedef struct {
  int events[LIST_MAX]; // + 1, so that 0 ends the list
  trp_stream_state_t end;
  unsigned actions; // of all steps together
} story_t;

static trp_stream_state_t run(trp_stream_state_t state, const int *events, unsigned *actions) {
  *actions = 0;
  for (int i = 0; i < LIST_MAX && events[i] != 0; i++) {
    trp_stream_step_t step = trp_stream_next(state, (trp_stream_event_t)(events[i] - 1));
    state = step.next;
    *actions |= step.actions;
  }
  return state;
}

static void check(const story_t *stories, size_t count) {
  for (size_t i = 0; i < count; i++) {
    unsigned actions = 0;
    assert_int_equal(run(TRP_STREAM_CONNECTING, stories[i].events, &actions), stories[i].end);
    assert_int_equal(actions, stories[i].actions);
  }
}

static void half_closes_in_every_order_end_in_one_close(void **state) {
  const unsigned all = TRP_STREAM_TELL_CONNECT | TRP_STREAM_TELL_END | TRP_STREAM_TELL_FINISH |
                       TRP_STREAM_HANG_UP | TRP_STREAM_TELL_CLOSE;
  const story_t stories[] = {
      {{CONNECTED + 1, END + 1, FIN_SENT + 1, FIN_RECEIVED + 1}, TRP_STREAM_CLOSED, all},
      {{CONNECTED + 1, END + 1, FIN_RECEIVED + 1, FIN_SENT + 1}, TRP_STREAM_CLOSED, all},
      {{CONNECTED + 1, FIN_RECEIVED + 1, END + 1, FIN_SENT + 1}, TRP_STREAM_CLOSED, all},
      {{END + 1, CONNECTED + 1, FIN_SENT + 1, FIN_RECEIVED + 1}, TRP_STREAM_CLOSED, all},
      {{END + 1, CONNECTED + 1, FIN_RECEIVED + 1, FIN_SENT + 1}, TRP_STREAM_CLOSED, all},
      {{END + 1, END + 1, CONNECTED + 1, END + 1, FIN_SENT + 1, END + 1},
       TRP_STREAM_ENDED,
       TRP_STREAM_TELL_CONNECT | TRP_STREAM_TELL_FINISH},
      {{CONNECTED + 1, FIN_RECEIVED + 1},
       TRP_STREAM_PEER_ENDED,
       TRP_STREAM_TELL_CONNECT | TRP_STREAM_TELL_END},
  };
  (void)state;
  check(stories, sizeof stories / sizeof stories[0]);
}

static void finishing_does_not_wait_for_the_peer(void **state) {
  const unsigned all = TRP_STREAM_TELL_CONNECT | TRP_STREAM_TELL_FINISH | TRP_STREAM_HANG_UP |
                       TRP_STREAM_TELL_CLOSE;
  const story_t stories[] = {
      {{CONNECTED + 1, FINISH + 1, FIN_SENT + 1}, TRP_STREAM_CLOSED, all},
      {{FINISH + 1, CONNECTED + 1, FIN_SENT + 1}, TRP_STREAM_CLOSED, all},
      {{CONNECTED + 1, END + 1, FIN_SENT + 1, FINISH + 1}, TRP_STREAM_CLOSED, all},
      {{CONNECTED + 1, FINISH + 1, FIN_RECEIVED + 1, FIN_SENT + 1},
       TRP_STREAM_CLOSED,
       all | TRP_STREAM_TELL_END},
  };
  (void)state;
  check(stories, sizeof stories / sizeof stories[0]);
}

static void a_socket_destroyed_while_connecting_closes_without_error(void **state) {
  const unsigned all = TRP_STREAM_CANCEL | TRP_STREAM_TELL_CLOSE;
  const story_t stories[] = {
      {{DESTROY + 1}, TRP_STREAM_CLOSED, all},
      {{END + 1, DESTROY + 1}, TRP_STREAM_CLOSED, all},
      {{FINISH + 1, DESTROY + 1}, TRP_STREAM_CLOSED, all},
      {{RESET + 1, DESTROY + 1}, TRP_STREAM_CLOSED, all},
  };
  (void)state;
  check(stories, sizeof stories / sizeof stories[0]);
}

static void a_reset_while_connecting_waits_for_the_connection(void **state) {
  const story_t stories[] = {
      {{RESET + 1}, TRP_STREAM_CONNECTING_RESET, 0},
      {{RESET + 1, CONNECTED + 1},
       TRP_STREAM_CLOSED,
       TRP_STREAM_TELL_CONNECT | TRP_STREAM_HANG_UP_HARD | TRP_STREAM_TELL_CLOSE},
      {{RESET + 1, FAILED + 1},
       TRP_STREAM_CLOSED,
       TRP_STREAM_CANCEL | TRP_STREAM_TELL_ERROR | TRP_STREAM_TELL_CLOSE},
  };
  (void)state;
  check(stories, sizeof stories / sizeof stories[0]);
}

static void writes_are_refused_after_the_end(void **state) {
  (void)state;
  for (int s = 0; s < TRP_STREAM_STATES; s++) {
    trp_stream_state_t from = (trp_stream_state_t)s;
    unsigned expected = trp_stream_has_ended(from) ? (unsigned)TRP_STREAM_REFUSE
                                                   : (unsigned)TRP_STREAM_TAKE;
    assert_int_equal(trp_stream_next(from, WRITE).actions, expected);
    assert_int_equal(trp_stream_next(from, WRITE).next, from);
  }
}

static void nothing_happens_to_what_is_closed(void **state) {
  (void)state;
  for (int event = 0; event < TRP_STREAM_EVENTS; event++) {
    trp_stream_step_t step = trp_stream_next(TRP_STREAM_CLOSED, (trp_stream_event_t)event);
    assert_int_equal(step.next, TRP_STREAM_CLOSED);
    assert_int_equal(step.actions, TRP_STREAM_REFUSE);
  }
}

static void what_cannot_be_is_refused(void **state) {
  static const struct {
    trp_stream_state_t state;
    trp_stream_event_t event;
  } forbidden[] = {
      {TRP_STREAM_CONNECTING, FIN_SENT},     {TRP_STREAM_CONNECTING, FIN_RECEIVED},
      {TRP_STREAM_OPEN, CONNECTED},          {TRP_STREAM_OPEN, FIN_SENT},
      {TRP_STREAM_ENDED, FIN_SENT},          {TRP_STREAM_PEER_ENDED, FIN_SENT},
      {TRP_STREAM_PEER_ENDED, FIN_RECEIVED}, {TRP_STREAM_LAST_WRITES, FIN_RECEIVED},
      {TRP_STREAM_FINISHING, CONNECTED},     {TRP_STREAM_CONNECTING_RESET, WRITE},
  };
  (void)state;
  for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
    trp_stream_step_t step = trp_stream_next(forbidden[i].state, forbidden[i].event);
    assert_int_equal(step.actions, TRP_STREAM_REFUSE);
    assert_int_equal(step.next, forbidden[i].state);
  }
}

static int told(unsigned actions, trp_stream_action_t action) {
  return (actions & action) != 0;
}

/// All lists of seven events: connect, end, finish and close are told once at the most, close is
/// the last, and a handle that is there is closed once.
static void walk(trp_stream_state_t state, unsigned so_far, bool connected, int depth) {
  for (int event = 0; event < TRP_STREAM_EVENTS; event++) {
    trp_stream_step_t step = trp_stream_next(state, (trp_stream_event_t)event);
    if (step.actions & TRP_STREAM_REFUSE) {
      assert_int_equal(step.next, state);
      continue;
    }
    assert_int_not_equal(state, TRP_STREAM_CLOSED);
    const unsigned once = TRP_STREAM_TELL_CONNECT | TRP_STREAM_TELL_END | TRP_STREAM_TELL_FINISH |
                          TRP_STREAM_TELL_ERROR | TRP_STREAM_TELL_CLOSE;
    assert_int_equal(step.actions & so_far & once, 0);
    bool is_connected = connected || told(step.actions, TRP_STREAM_TELL_CONNECT);
    int closes = told(step.actions, TRP_STREAM_HANG_UP) +
                 told(step.actions, TRP_STREAM_HANG_UP_HARD);
    bool is_closed = step.next == TRP_STREAM_CLOSED;
    assert_int_equal(told(step.actions, TRP_STREAM_TELL_CLOSE), is_closed);
    assert_int_equal(closes, is_closed && is_connected ? 1 : 0);
    assert_int_equal(told(step.actions, TRP_STREAM_CANCEL), is_closed && !is_connected ? 1 : 0);
    assert_int_equal(trp_stream_connects(step.next), !is_connected && !is_closed);
    assert_true(is_connected || !told(step.actions, TRP_STREAM_TELL_END));
    if (depth > 1) {
      walk(step.next, so_far | step.actions, is_connected, depth - 1);
    }
  }
}

static void every_list_of_events_keeps_the_promises(void **state) {
  (void)state;
  walk(TRP_STREAM_CONNECTING, 0, false, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(half_closes_in_every_order_end_in_one_close),
      trp_test(finishing_does_not_wait_for_the_peer),
      trp_test(a_socket_destroyed_while_connecting_closes_without_error),
      trp_test(a_reset_while_connecting_waits_for_the_connection),
      trp_test(writes_are_refused_after_the_end),
      trp_test(nothing_happens_to_what_is_closed),
      trp_test(what_cannot_be_is_refused),
      trp_test(every_list_of_events_keeps_the_promises),
  };
  return TRP_RUN_TESTS("stream_states", tests);
}
