#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "tests/actor/scene.h"

// What comes to actors from threads that are none: messages, aborts, stops; and that none of them
// piles up before an actor that is busy.

enum { CREDIT = 1024, BIG = 16 * 1024 * 1024, MIB = 1024 * 1024 };

static bool is_text(const troupe_chunk_t *message, const char *text) {
  return troupe_chunk_length(message) == strlen(text) &&
         memcmp(troupe_chunk_bytes(message), text, strlen(text)) == 0;
}

// ---- Messages ----

enum { POSTERS = 4, POSTS = 2000 };

typedef struct {
  troupe_actor_t to;
  uint32_t number;
} poster_t;

static void *post_many(void *argument) {
  const poster_t *poster = argument;
  for (uint32_t i = 0; i < POSTS; i++) {
    uint32_t text[2] = {poster->number, i};
    int error = 0;
    while ((error = troupe_post(scene, poster->to, text, sizeof text)) == TROUPE_ENOBUFS) {
      sched_yield();
    }
    expect(error == 0);
  }
  return NULL;
}

static void take_post(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  uint32_t *next = context;
  uint32_t text[2];
  expect(from.id == 0);
  expect(troupe_chunk_length(message) == sizeof text);
  memcpy(text, troupe_chunk_bytes(message), sizeof text);
  expect(text[0] < POSTERS && text[1] == next[text[0]]++);
  for (int i = 0; i < POSTERS; i++) {
    if (next[i] < POSTS) {
      return;
    }
  }
  troupe_actor_end(0);
}

static int posted_actor(void *argument) {
  (void)argument;
  uint32_t next[POSTERS] = {0};
  expect(troupe_actor_on_message(take_post, next) == 0);
  return troupe_actor_run();
}

static void what_threads_post_arrives_in_order(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("posted", posted_actor, NULL);
  pthread_t threads[POSTERS];
  poster_t posters[POSTERS];
  for (uint32_t i = 0; i < POSTERS; i++) {
    posters[i] = (poster_t){.to = actor, .number = i};
    assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
  }
  for (int i = 0; i < POSTERS; i++) {
    pthread_join(threads[i], NULL);
  }
  assert_int_equal(scene_join(actor), 0);
  assert_int_equal(troupe_post(scene, actor, "x", 1), TROUPE_ENOACTOR);
  assert_int_equal(troupe_post(scene, (troupe_actor_t){0}, "x", 1), TROUPE_ENOACTOR);
}

static void take_big_post(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)context;
  if (is_text(message, "end")) {
    troupe_actor_end(0);
    return;
  }
  const uint8_t *bytes = troupe_chunk_bytes(message);
  expect(troupe_chunk_length(message) == BIG && bytes[0] == 1 && bytes[BIG - 1] == 2);
}

static int big_posted_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_message(take_big_post, NULL) == 0);
  return troupe_actor_run();
}

static void a_post_has_its_limits(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("big", big_posted_actor, NULL);
  uint8_t *bytes = malloc(BIG + 1);
  assert_non_null(bytes);
  bytes[0] = 1;
  bytes[BIG - 1] = 2;
  assert_int_equal(troupe_post(scene, actor, bytes, BIG + 1), TROUPE_EINVAL);
  assert_int_equal(troupe_post(scene, actor, NULL, 1), TROUPE_EINVAL);
  assert_int_equal(troupe_post(NULL, actor, "x", 1), TROUPE_EINVAL);
  for (int taken = 0; taken < 5;) {
    int error = troupe_post(scene, actor, bytes, BIG);
    assert_true(error == 0 || error == TROUPE_ENOBUFS); // one such waits at the most
    taken += error == 0;
  }
  int error = 0;
  while ((error = troupe_post(scene, actor, "end", 3)) == TROUPE_ENOBUFS) {
  }
  assert_int_equal(error, 0);
  assert_int_equal(scene_join(actor), 0);
  free(bytes);
}

// ---- An actor that is busy ----

typedef struct {
  sem_t busy, go;   // it is in its handler; it may leave it
  atomic_int taken; // messages
  atomic_int stopped;
  troupe_abort_t token;
} busy_t;

static void be_busy(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  busy_t *busy = context;
  (void)from;
  if (is_text(message, "busy")) {
    sem_post(&busy->busy);
    while (sem_wait(&busy->go) != 0) {
    }
  }
  atomic_fetch_add(&busy->taken, 1);
}

static void note_stop(void *context) {
  busy_t *busy = context;
  atomic_fetch_add(&busy->stopped, 1);
}

static void never(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
  expect(false);
}

static int busy_actor(void *argument) {
  busy_t *busy = argument;
  expect(troupe_actor_on_message(be_busy, busy) == 0);
  expect(troupe_actor_on_stop(note_stop, busy) == 0);
  expect(troupe_abort_new(&busy->token) == 0);
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, never, NULL) == 0);
  return troupe_actor_run();
}

// Starts it, and waits until it is in its handler: one message is taken by then, and not consumed.
static troupe_actor_t start_busy(busy_t *busy) {
  memset(busy, 0, sizeof *busy);
  sem_init(&busy->busy, 0, 0);
  sem_init(&busy->go, 0, 0);
  troupe_actor_t actor = scene_start("busy", busy_actor, busy);
  assert_int_equal(troupe_post(scene, actor, "busy", 4), 0);
  while (sem_wait(&busy->busy) != 0) {
  }
  return actor;
}

static void wait_for_room(troupe_actor_t actor) {
  int error = 0;
  while ((error = troupe_post(scene, actor, "x", 1)) == TROUPE_ENOBUFS) {
    sched_yield();
  }
  assert_int_equal(error, 0);
}

static void an_actor_that_is_busy_is_posted_so_many_and_no_more(void **state) {
  (void)state;
  busy_t busy;
  troupe_actor_t actor = start_busy(&busy);
  for (int i = 1; i < CREDIT; i++) {
    assert_int_equal(troupe_post(scene, actor, "x", i % 2 == 0 ? 1 : 0), 0); // empty ones count
  }
  assert_int_equal(troupe_post(scene, actor, "x", 1), TROUPE_ENOBUFS);
  assert_int_equal(troupe_post(scene, actor, NULL, 0), TROUPE_ENOBUFS);
  sem_post(&busy.go);
  wait_for_room(actor);
  // And all of it again: what was consumed counts no more.
  for (int i = 0; i < 3 * CREDIT; i++) {
    wait_for_room(actor);
  }
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
  assert_int_equal(scene_join(actor), 0);
}

static void an_actor_that_is_busy_is_posted_so_many_bytes_and_no_more(void **state) {
  (void)state;
  busy_t busy;
  troupe_actor_t actor = start_busy(&busy);
  uint8_t *bytes = calloc(1, MIB);
  assert_non_null(bytes);
  for (int i = 0; i < 15; i++) {
    assert_int_equal(troupe_post(scene, actor, bytes, MIB), 0);
  }
  assert_int_equal(troupe_post(scene, actor, bytes, MIB), TROUPE_ENOBUFS); // 4 bytes too many
  assert_int_equal(troupe_post(scene, actor, bytes, MIB - 4), 0);
  assert_int_equal(troupe_post(scene, actor, bytes, 1), TROUPE_ENOBUFS);
  sem_post(&busy.go);
  wait_for_room(actor);
  free(bytes);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
  assert_int_equal(scene_join(actor), 0);
}

// One that nobody takes messages of counts what it holds.
static int mute_actor(void *argument) {
  (void)argument;
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, never, NULL) == 0);
  return troupe_actor_run();
}

static void what_an_actor_holds_without_a_handler_is_bounded(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("mute", mute_actor, NULL);
  for (int i = 0; i < CREDIT; i++) {
    assert_int_equal(troupe_post(scene, actor, "x", 1), 0);
  }
  assert_int_equal(troupe_post(scene, actor, "x", 1), TROUPE_ENOBUFS);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
  assert_int_equal(scene_join(actor), 0);
}

static void aborts_do_not_pile_up(void **state) {
  (void)state;
  busy_t busy;
  troupe_actor_t actor = start_busy(&busy);
  troupe_abort_t other = {.id = busy.token.id + 1}; // of no token
  for (int i = 0; i < CREDIT; i++) {
    assert_int_equal(troupe_abort(scene, i % 2 == 0 ? busy.token : other), 0);
  }
  assert_int_equal(troupe_abort(scene, busy.token), TROUPE_ENOBUFS);
  assert_int_equal(troupe_post(scene, actor, "x", 1), 0); // messages have room of their own
  sem_post(&busy.go);
  int error = 0;
  while ((error = troupe_abort(scene, busy.token)) == TROUPE_ENOBUFS) {
    sched_yield();
  }
  assert_int_equal(error, 0);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0);
  assert_int_equal(scene_join(actor), 0);
}

// What was posted before has left the I/O actor by the turn after the one in which it was taken.
static uint64_t count_events(void) {
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(scene, &counters), 0);
  assert_int_equal(troupe_system_counters(scene, &counters), 0);
  return counters.events;
}

static void stops_do_not_pile_up(void **state) {
  (void)state;
  busy_t busy;
  troupe_actor_t actor = start_busy(&busy);
  uint64_t before = count_events();
  for (int i = 0; i < 10000; i++) {
    assert_int_equal(troupe_actor_stop(scene, actor, 3600 * 1000), 0);
    assert_int_equal(troupe_system_stop(scene, 3600 * 1000 + 1), 0);
  }
  assert_int_equal(count_events() - before, 1);
  assert_int_equal(troupe_actor_stop(scene, actor, 0), 0); // this is earlier
  assert_int_equal(count_events() - before, 2);
  sem_post(&busy.go);
  assert_int_equal(scene_join(actor), 0);
  assert_int_equal(atomic_load(&busy.stopped), 1);
}

// ---- Misuse ----

static void without_a_system_nothing_happens(void **state) {
  (void)state;
  troupe_actor_t actor = {.id = 1};
  troupe_system_counters_t counters;
  troupe_record_options_t record = {.directory = "nowhere"};
  assert_int_equal(troupe_spawn(NULL, &(troupe_spawn_options_t){.main = mute_actor}, NULL),
                   TROUPE_EINVAL);
  assert_int_equal(troupe_spawn(scene, NULL, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_actor_stop(NULL, actor, 0), TROUPE_EINVAL);
  assert_int_equal(troupe_actor_join(NULL, actor, 0, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_actor_find(NULL, "name", 0, &actor), TROUPE_EINVAL);
  assert_int_equal(troupe_actor_find(scene, NULL, 0, &actor), TROUPE_EINVAL);
  assert_int_equal(troupe_actor_find(scene, "nobody", 0, NULL), TROUPE_ENOACTOR);
  assert_int_equal(troupe_abort(NULL, (troupe_abort_t){.id = 1}), TROUPE_EINVAL);
  assert_int_equal(troupe_system_stop(NULL, 0), TROUPE_EINVAL);
  assert_int_equal(troupe_system_stop_from_signal(NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_system_wait(NULL, 0, NULL, 0, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_system_counters(NULL, &counters), TROUPE_EINVAL);
  assert_int_equal(troupe_system_counters(scene, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_system_free(NULL), 0);
  assert_int_equal(troupe_record_start(NULL, &record), TROUPE_EINVAL);
  assert_int_equal(troupe_record_stop(NULL, NULL), TROUPE_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(what_threads_post_arrives_in_order),
      in_scene(a_post_has_its_limits),
      in_scene(an_actor_that_is_busy_is_posted_so_many_and_no_more),
      in_scene(an_actor_that_is_busy_is_posted_so_many_bytes_and_no_more),
      in_scene(what_an_actor_holds_without_a_handler_is_bounded),
      in_scene(aborts_do_not_pile_up),
      in_scene(stops_do_not_pile_up),
      in_scene(without_a_system_nothing_happens),
  };
  return TRP_RUN_TESTS("post", tests);
}
