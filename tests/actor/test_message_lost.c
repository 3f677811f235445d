// Messages to actors that have ended, and messages that cannot be sent.

#include "tests/actor/messages.h"

typedef struct {
  troupe_actor_t to;
  atomic_int full; // it sends no more for now
  atomic_int go;   // it may end
  bool told;
} victim_t;

static void hear_of_death(troupe_actor_t to, void *context) {
  victim_t *victim = context;
  expect(to.id == victim->to.id);
  expect(troupe_send(to, "x", 1) == TROUPE_ENOACTOR);
  expect(troupe_send(to, "x", 1) == TROUPE_ENOACTOR);
  victim->told = true;
  troupe_actor_end(0);
}

static int haunted_actor(void *argument) {
  victim_t *victim = argument;
  expect(troupe_actor_on_sendable(hear_of_death, victim) == 0);
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, note_nothing, NULL) == 0);
  int error = 0;
  int sent = 0;
  while ((error = troupe_send(victim->to, "x", 1)) == 0) {
    sent++;
  }
  expect(error == TROUPE_ENOBUFS && sent == CREDIT);
  atomic_store(&victim->full, 1);
  return troupe_actor_run();
}

static void end_when_told(troupe_timer_t timer, void *context) {
  const victim_t *victim = context;
  (void)timer;
  if (atomic_load(&victim->go) != 0) {
    troupe_actor_end(0);
  }
}

// Takes no messages, and ends when it is told to.
static int deaf_actor(void *argument) {
  expect(troupe_timer_start(NULL, 1, 1, end_when_told, argument) == 0);
  return troupe_actor_run();
}

static void who_waits_to_write_to_one_that_ends_is_told(void **state) {
  (void)state;
  victim_t victim = {.told = false};
  victim.to = scene_start("deaf", deaf_actor, &victim);
  scene_start("haunted", haunted_actor, &victim);
  scene_wait_for(&victim.full);
  atomic_store(&victim.go, 1);
  scene_wait();
  assert_true(victim.told);
}

static int late_actor(void *argument) {
  troupe_actor_t dead = *(troupe_actor_t *)argument;
  expect(troupe_send(dead, "x", 1) == TROUPE_ENOACTOR);
  expect(troupe_send_chunk(dead, NULL) == TROUPE_EINVAL);
  expect(troupe_send(dead, "x", 1) == TROUPE_ENOACTOR);
  return 0;
}

static int ending_actor(void *argument) {
  (void)argument;
  return 0;
}

static void who_writes_to_the_dead_is_told(void **state) {
  (void)state;
  troupe_actor_t dead = scene_start("ends", ending_actor, NULL);
  scene_join(dead);
  scene_join(scene_start("late", late_actor, &dead));
  // And to one that never was.
  dead.id *= 1000;
  scene_join(scene_start("late", late_actor, &dead));
}

static int misusing_actor(void *argument) {
  troupe_actor_t io = {.id = UINT64_C(1) << 36}; // an I/O actor
  troupe_actor_t self = troupe_actor_self();
  troupe_actor_t socket = {.id = self.id + 1};
  static char big[1];
  (void)argument;
  expect(troupe_send((troupe_actor_t){0}, "x", 1) == TROUPE_EINVAL);
  expect(troupe_send(io, "x", 1) == TROUPE_EINVAL);
  expect(troupe_send(socket, "x", 1) == TROUPE_EINVAL);
  expect(troupe_send(self, big, 16 * 1024 * 1024 + 1) == TROUPE_EINVAL);
  expect(troupe_send_chunk(self, NULL) == TROUPE_EINVAL);
  expect(troupe_send(self, NULL, 0) == 0);
  return 0;
}

static void what_cannot_be_sent_is_refused(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("misusing", misusing_actor, NULL);
  assert_int_equal(troupe_send(actor, "x", 1), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_send_chunk(actor, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_actor_on_message(NULL, NULL), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_actor_on_sendable(NULL, NULL), TROUPE_EWRONGTHREAD);
  scene_wait();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(who_waits_to_write_to_one_that_ends_is_told),
      in_scene(who_writes_to_the_dead_is_told),
      in_scene(what_cannot_be_sent_is_refused),
  };
  return TRP_RUN_TESTS("message_lost", tests);
}
