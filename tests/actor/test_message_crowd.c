// Messages of many actors: more than have pipes of their own, and such that come and go.

#include <string.h>

#include "core/actor/state.h"
#include "tests/actor/messages.h"

// ---- To many: some over pipes of their own, the rest through the I/O actor ----

enum { MANY = 100, EACH = 200 };

typedef struct {
  troupe_actor_t actors[MANY];
  int answered[MANY];
  int left;
} many_t;

static void check_answer(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  many_t *many = context;
  int text[2];
  expect(troupe_chunk_length(message) == sizeof text);
  memcpy(text, troupe_chunk_bytes(message), sizeof text);
  expect(text[0] >= 0 && text[0] < MANY && many->actors[text[0]].id == from.id);
  expect(text[1] == many->answered[text[0]]++);
  if (--many->left == 0) {
    troupe_actor_end(0);
  }
}

static int many_actor(void *argument) {
  many_t *many = argument;
  expect(troupe_actor_on_message(check_answer, many) == 0);
  for (int k = 0; k < EACH; k++) {
    for (int i = 0; i < MANY; i++) {
      int text[2] = {i, k};
      expect(troupe_send(many->actors[i], text, sizeof text) == 0);
    }
  }
  return troupe_actor_run();
}

static void a_hundred_actors_answer_in_order(void **state) {
  (void)state;
  static many_t many;
  many = (many_t){.left = MANY * EACH};
  troupe_spawn_options_t options = {.name = "answers", .main = answering_actor, .copies = MANY};
  assert_int_equal(troupe_spawn(scene, &options, many.actors), 0);
  assert_int_equal(scene_join(scene_start("many", many_actor, &many)), 0);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(many.answered[i], EACH);
  }
}

// Beyond the pipes of its own the credit holds, too.
typedef struct {
  troupe_actor_t actors[MANY];
  int sent[MANY];
  int done;
} wide_t;

static void send_more(troupe_actor_t to, void *context) {
  wide_t *wide = context;
  int i = 0;
  while (wide->actors[i].id != to.id) {
    i++;
  }
  while (wide->sent[i] < 3 * CREDIT) {
    if (troupe_send(to, &wide->sent[i], sizeof wide->sent[i]) != 0) {
      return;
    }
    wide->sent[i]++;
  }
  if (++wide->done == MANY) {
    troupe_actor_end(0);
  }
}

static int wide_actor(void *argument) {
  wide_t *wide = argument;
  expect(troupe_actor_on_sendable(send_more, wide) == 0);
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, note_nothing, NULL) == 0);
  for (int i = 0; i < MANY; i++) {
    send_more(wide->actors[i], wide);
    expect(wide->sent[i] == CREDIT);
  }
  return troupe_actor_run();
}

static void take_in_order(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  static _Thread_local int next;
  int number = -1;
  (void)from;
  memcpy(&number, troupe_chunk_bytes(message), sizeof number);
  expect(number == next++);
  if (next == 3 * CREDIT) {
    atomic_fetch_add((atomic_int *)context, 1);
    troupe_actor_end(0);
  }
}

static int taking_actor(void *argument) {
  expect(troupe_actor_on_message(take_in_order, argument) == 0);
  return troupe_actor_run();
}

static void credit_holds_for_a_hundred_actors(void **state) {
  (void)state;
  static wide_t wide;
  atomic_int complete = 0;
  wide = (wide_t){.done = 0};
  troupe_spawn_options_t options = {
      .name = "takes", .main = taking_actor, .argument = &complete, .copies = MANY};
  assert_int_equal(troupe_spawn(scene, &options, wide.actors), 0);
  scene_start("wide", wide_actor, &wide);
  scene_wait();
  assert_int_equal(atomic_load(&complete), MANY);
}

// ---- Many senders that come and go ----

static int brief_sender(void *argument) {
  troupe_actor_t to = {.id = *(uint64_t *)argument};
  expect(troupe_send(to, "brief", 5) == 0);
  return 0;
}

static void count_brief(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "brief"));
  atomic_fetch_add((atomic_int *)context, 1);
}

static int host_actor(void *argument) {
  expect(troupe_actor_on_message(count_brief, argument) == 0);
  return troupe_actor_run();
}

static void senders_that_come_and_go_are_all_heard(void **state) {
  (void)state;
  enum { COUNT = 200 };
  atomic_int heard = 0;
  troupe_actor_t host = scene_start("host", host_actor, &heard);
  for (int i = 0; i < COUNT; i++) {
    scene_start("brief", brief_sender, &host.id);
  }
  for (int64_t limit_ms = trp_test_now_ms() + SCENE_LIMIT_MS;
       atomic_load(&heard) < COUNT && trp_test_now_ms() < limit_ms;) {
    troupe_system_counters_t counters;
    assert_int_equal(troupe_system_counters(scene, &counters), 0);
  }
  assert_int_equal(atomic_load(&heard), COUNT);
}

static void hang_up(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)context;
  expect(is_text(message, "hello to you"));
  troupe_actor_end(0);
}

static int greeting_actor(void *argument) {
  troupe_actor_t to = {.id = *(uint64_t *)argument};
  expect(troupe_actor_on_message(hang_up, NULL) == 0);
  expect(troupe_send(to, "hello", 5) == 0);
  return troupe_actor_run();
}

typedef struct {
  int greeted;
  troupe_actor_t guests[100];
} crowd_t;

static void see_them_go(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
  if (trp_messages_peers(trp_actor_current()) == 0) {
    troupe_actor_end(0);
  }
}

static void greet_all_at_once(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  crowd_t *crowd = context;
  expect(is_text(message, "hello"));
  crowd->guests[crowd->greeted++] = from;
  if (crowd->greeted == 100) {
    for (int i = 0; i < 100; i++) {
      expect(troupe_send(crowd->guests[i], "hello to you", 12) == 0);
    }
    expect(trp_messages_peers(trp_actor_current()) == 100);
    expect(troupe_timer_start(NULL, 1, 1, see_them_go, NULL) == 0);
  }
}

static int silent_host(void *argument) {
  crowd_t crowd = {.greeted = 0};
  (void)argument;
  expect(troupe_actor_on_message(greet_all_at_once, &crowd) == 0);
  return troupe_actor_run();
}

// Those before this one have been joined, so at the most the ends of a few are still under way.
static void greet(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)context;
  expect(is_text(message, "hello"));
  expect(troupe_send(from, "hello to you", 12) == 0);
  expect(trp_messages_peers(trp_actor_current()) < 10);
}

static int polite_actor(void *argument) {
  expect(troupe_actor_on_message(greet, argument) == 0);
  return troupe_actor_run();
}

static void nothing_is_kept_of_those_that_have_ended(void **state) {
  (void)state;
  enum { GUESTS = 100 };
  troupe_actor_t host = scene_start("host", polite_actor, NULL);
  for (int i = 0; i < GUESTS; i++) {
    assert_int_equal(scene_join(scene_start("guest", greeting_actor, &host.id)), 0);
  }
}

// Beyond 64 pipes messages go through the I/O actor, and that is forgotten, too.
static void nothing_is_kept_of_a_crowd_that_has_ended(void **state) {
  (void)state;
  enum { GUESTS = 100 };
  troupe_actor_t host = scene_start("host", silent_host, NULL);
  troupe_actor_t guests[GUESTS];
  troupe_spawn_options_t options = {
      .name = "guest", .main = greeting_actor, .argument = &host.id, .copies = GUESTS};
  assert_int_equal(troupe_spawn(scene, &options, guests), 0);
  for (int i = 0; i < GUESTS; i++) {
    assert_int_equal(scene_join(guests[i]), 0);
  }
  assert_int_equal(scene_join(host), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(a_hundred_actors_answer_in_order),
      in_scene(credit_holds_for_a_hundred_actors),
      in_scene(senders_that_come_and_go_are_all_heard),
      in_scene(nothing_is_kept_of_those_that_have_ended),
      in_scene(nothing_is_kept_of_a_crowd_that_has_ended),
  };
  return TRP_RUN_TESTS("message_crowd", tests);
}
