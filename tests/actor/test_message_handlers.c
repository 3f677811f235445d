// A message waits for a handler, which may change, end the actor or leave it.

#include <pthread.h>

#include "tests/actor/messages.h"

static void take_last(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "3"));
  ++*(int *)context;
  troupe_actor_end(0);
}

static void take_first(troupe_actor_t from, const troupe_chunk_t *message, void *context);

static void change_handler(troupe_timer_t timer, void *context) {
  (void)timer;
  expect(*(int *)context == 1);
  // Twice in one callback: only what is set in the end counts.
  expect(troupe_actor_on_message(take_first, context) == 0);
  expect(troupe_actor_on_message(NULL, NULL) == 0);
  expect(troupe_actor_on_message(take_last, context) == 0);
}

static void take_second(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "2"));
  ++*(int *)context;
  expect(troupe_actor_on_message(take_last, context) == 0);
}

static void change_to_second(troupe_timer_t timer, void *context) {
  change_handler(timer, context);
  expect(troupe_actor_on_message(take_second, context) == 0);
}

static void take_first(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "1"));
  ++*(int *)context;
  expect(troupe_actor_on_message(NULL, NULL) == 0); // the others wait
  expect(troupe_timer_start(NULL, 20, 0, change_to_second, context) == 0);
}

static int changing_actor(void *argument) {
  int taken = 0;
  (void)argument;
  for (const char *c = "123"; *c != '\0'; c++) {
    expect(troupe_send(troupe_actor_self(), c, 1) == 0);
  }
  expect(troupe_actor_on_message(take_first, &taken) == 0);
  expect(troupe_actor_run() == 0);
  expect(taken == 3);
  return 0;
}

static void messages_wait_while_there_is_no_handler(void **state) {
  (void)state;
  scene_start("changing", changing_actor, NULL);
  scene_wait();
}

static void end_at_third(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  int *taken = context;
  (void)from;
  (void)message;
  if (++*taken % 3 == 0) {
    troupe_actor_end(*taken);
  }
}

static void set_handler(troupe_timer_t timer, void *context) {
  (void)timer;
  expect(troupe_actor_on_message(end_at_third, context) == 0);
}

static int rerunning_actor(void *argument) {
  int taken = 0;
  (void)argument;
  // Ten that are held, and then three that come by themselves.
  for (int i = 0; i < 10; i++) {
    expect(troupe_send(troupe_actor_self(), "held", 4) == 0);
  }
  expect(troupe_timer_start(NULL, 20, 0, set_handler, &taken) == 0);
  expect(troupe_actor_run() == 3); // after the current callback, not after all that were held
  expect(taken == 3);
  expect(troupe_actor_run() == 6);
  for (int i = 0; i < 2; i++) {
    expect(troupe_send(troupe_actor_self(), "fresh", 5) == 0);
  }
  expect(troupe_actor_run() == 9);
  expect(troupe_actor_run() == 12); // the tenth, and both of these
  expect(taken == 12);
  return 0;
}

static void ending_in_a_handler_leaves_the_rest_for_the_next_run(void **state) {
  (void)state;
  scene_start("rerunning", rerunning_actor, NULL);
  scene_wait();
}

static void exit_now(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
  pthread_exit(NULL);
}

static void set_exit(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
  expect(troupe_actor_on_message(exit_now, NULL) == 0);
}

static int exiting_actor(void *argument) {
  static const uint8_t bytes[70000];
  for (int i = 0; i < 10; i++) {
    expect(troupe_send(troupe_actor_self(), bytes, i % 2 == 0 ? sizeof bytes : 5) == 0);
  }
  if (*(bool *)argument) {
    expect(troupe_timer_start(NULL, 10, 0, set_exit, NULL) == 0);
  } else {
    expect(troupe_actor_on_message(exit_now, NULL) == 0);
  }
  return troupe_actor_run();
}

// A leak checker sees whether what was held, and what was under way, is freed.
static void exiting_in_a_handler_leaves_nothing(void **state) {
  (void)state;
  bool held[] = {true, false};
  scene_start("exits", exiting_actor, &held[0]);
  scene_start("exits", exiting_actor, &held[1]);
  scene_wait();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(messages_wait_while_there_is_no_handler),
      in_scene(ending_in_a_handler_leaves_the_rest_for_the_next_run),
      in_scene(exiting_in_a_handler_leaves_nothing),
  };
  return TRP_RUN_TESTS("message_handlers", tests);
}
