/* Giving a socket away, played with lists of events: no threads, no network. */
#include "core/net/give_states.h"
#include "tests/harness/harness.h"

#define EVENTS(...)                                                                                \
  (const trp_give_event_t[]) {                                                                     \
    __VA_ARGS__, TRP_GIVE_EVENTS                                                                   \
  }

typedef struct {
  trp_give_state_t state;
  unsigned actions; // all that were asked for on the way
  unsigned refused;
} played_t;

static played_t play(const trp_give_event_t *events) {
  played_t played = {.state = TRP_GIVE_NONE};
  for (; *events != TRP_GIVE_EVENTS; events++) {
    trp_give_step_t step = trp_give_next(played.state, *events);
    if (step.actions & TRP_GIVE_REFUSE) {
      played.refused++;
      assert_int_equal(step.next, played.state);
      assert_int_equal(step.actions, TRP_GIVE_REFUSE);
    }
    played.state = step.next;
    played.actions |= step.actions;
  }
  return played;
}

static void a_give_freezes_sends_and_ends(void **state) {
  (void)state;
  played_t played = play(EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_FROZEN, TRP_GIVE_ACCEPTED));
  assert_int_equal(played.state, TRP_GIVE_GIVEN);
  assert_int_equal(played.actions, TRP_GIVE_SEND_FREEZE | TRP_GIVE_SEND_GIVE | TRP_GIVE_TELL_GIVEN);
}

static void a_give_of_which_nothing_is_under_way_takes_one_step(void **state) {
  (void)state;
  played_t played = play(EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_ACCEPTED));
  assert_int_equal(played.state, TRP_GIVE_GIVEN);
  assert_int_equal(played.actions, TRP_GIVE_SEND_FREEZE | TRP_GIVE_TELL_GIVEN);
}

static void a_give_that_is_refused_can_be_tried_again(void **state) {
  (void)state;
  played_t played = play(EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_FROZEN, TRP_GIVE_REFUSED, TRP_GIVE_BEGIN,
                                TRP_GIVE_OVER, TRP_GIVE_BEGIN));
  assert_int_equal(played.state, TRP_GIVE_FREEZING);
  assert_int_equal(played.refused, 0);
}

static void a_socket_that_is_to_be_destroyed_does_not_leave(void **state) {
  (void)state;
  played_t played = play(EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_DESTROY, TRP_GIVE_FROZEN));
  assert_int_equal(played.state, TRP_GIVE_NONE);
  assert_int_equal(played.actions, TRP_GIVE_SEND_FREEZE | TRP_GIVE_DESTROY_NOW);
  played = play(EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_FROZEN, TRP_GIVE_DESTROY, TRP_GIVE_REFUSED));
  assert_true(played.actions & TRP_GIVE_DESTROY_NOW);
  assert_false(played.actions & TRP_GIVE_TELL_FAILED);
}

static void one_that_has_left_is_not_destroyed(void **state) {
  (void)state;
  played_t played = play(
      EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_FROZEN, TRP_GIVE_DESTROY, TRP_GIVE_ACCEPTED));
  assert_int_equal(played.state, TRP_GIVE_GIVEN);
  assert_false(played.actions & TRP_GIVE_DESTROY_NOW);
}

static void forbidden_steps_change_nothing(void **state) {
  (void)state;
  assert_int_equal(play(EVENTS(TRP_GIVE_DESTROY, TRP_GIVE_FROZEN, TRP_GIVE_ACCEPTED,
                               TRP_GIVE_REFUSED, TRP_GIVE_OVER))
                       .refused,
                   5);
  assert_int_equal(play(EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_BEGIN)).refused, 1);
  assert_int_equal(play(EVENTS(TRP_GIVE_BEGIN, TRP_GIVE_FROZEN, TRP_GIVE_FROZEN)).refused, 1);
  for (int event = 0; event < TRP_GIVE_EVENTS; event++) {
    trp_give_step_t step = trp_give_next(TRP_GIVE_GIVEN, (trp_give_event_t)event);
    assert_int_equal(step.actions, TRP_GIVE_REFUSE);
  }
}

/* However the events come, each give is answered once. */
static void a_thousand_random_gives_end_exactly_once(void **state) {
  (void)state;
  trp_test_random_t random;
  trp_test_random_start(&random, 1);
  const unsigned ends = TRP_GIVE_TELL_FAILED | TRP_GIVE_DESTROY_NOW | TRP_GIVE_TELL_GIVEN;
  for (int i = 0; i < 1000; i++) {
    trp_give_state_t now = TRP_GIVE_NONE;
    unsigned begun = 0, ended = 0;
    for (int k = 0; k < 50; k++) {
      trp_give_event_t event = (trp_give_event_t)trp_test_random_below(&random, TRP_GIVE_EVENTS);
      trp_give_step_t step = trp_give_next(now, event);
      begun += (step.actions & TRP_GIVE_SEND_FREEZE) != 0;
      ended += (step.actions & ends) != 0;
      now = step.next;
    }
    assert_int_equal(begun, ended + (now != TRP_GIVE_NONE && now != TRP_GIVE_GIVEN));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_give_freezes_sends_and_ends),
      trp_test(a_give_of_which_nothing_is_under_way_takes_one_step),
      trp_test(a_give_that_is_refused_can_be_tried_again),
      trp_test(a_socket_that_is_to_be_destroyed_does_not_leave),
      trp_test(one_that_has_left_is_not_destroyed),
      trp_test(forbidden_steps_change_nothing),
      trp_test(a_thousand_random_gives_end_exactly_once),
  };
  return TRP_RUN_TESTS("give_states", tests);
}
