// Messages are passed on by reference, and may be kept.

#include <stdlib.h>
#include <string.h>

#include "tests/actor/messages.h"

typedef struct {
  troupe_actor_t to[3];
  uint8_t *bytes;
  atomic_int arrived, released;
} big_t;

enum { BIG = 16 * 1024 * 1024 };

static void release_big(void *bytes, void *context) {
  big_t *big = context;
  expect(bytes == big->bytes);
  free(bytes);
  atomic_fetch_add(&big->released, 1);
}

static void take_big(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  big_t *big = context;
  (void)from;
  const uint8_t *bytes = troupe_chunk_bytes(message);
  expect(bytes == big->bytes); // the very same memory
  expect(troupe_chunk_length(message) == BIG);
  expect(bytes[0] == 1 && bytes[BIG - 1] == 2);
  expect(atomic_load(&big->released) == 0);
  atomic_fetch_add(&big->arrived, 1);
  troupe_actor_end(0);
}

static int big_receiver(void *argument) {
  expect(troupe_actor_on_message(take_big, argument) == 0);
  return troupe_actor_run();
}

static int big_sender(void *argument) {
  big_t *big = argument;
  troupe_chunk_t *chunk = NULL;
  expect(troupe_chunk_adopt(&chunk, big->bytes, BIG, release_big, big) == 0);
  for (int i = 0; i < 3; i++) {
    expect(troupe_send_chunk(big->to[i], chunk) == 0);
  }
  troupe_chunk_free(&chunk);
  return 0;
}

static void a_big_chunk_goes_to_three_actors_without_being_copied(void **state) {
  (void)state;
  big_t big = {.bytes = malloc(BIG)};
  assert_non_null(big.bytes);
  big.bytes[0] = 1;
  big.bytes[BIG - 1] = 2;
  for (int i = 0; i < 3; i++) {
    big.to[i] = scene_start("receiver", big_receiver, &big);
  }
  scene_start("sender", big_sender, &big);
  scene_wait();
  assert_int_equal(atomic_load(&big.arrived), 3);
  scene_wait_for(&big.released);
  assert_int_equal(atomic_load(&big.released), 1);
}

typedef struct {
  troupe_chunk_t *kept[200];
  int count;
} keeper_t;

static void keep_it(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  keeper_t *keeper = context;
  (void)from;
  expect(troupe_chunk_keep(message, &keeper->kept[keeper->count]) == 0);
  if (++keeper->count == 200) {
    troupe_actor_end(0);
  }
}

static int keeping_actor(void *argument) {
  static keeper_t keeper;
  static uint8_t bytes[100000];
  (void)argument;
  keeper = (keeper_t){.count = 0};
  expect(troupe_actor_on_message(keep_it, &keeper) == 0);
  for (uint32_t i = 0; i < 200; i++) {
    expect(troupe_send(troupe_actor_self(), bytes, make_message(i, bytes)) == 0);
  }
  expect(troupe_actor_run() == 0);
  for (uint32_t i = 0; i < 200; i++) {
    size_t length = make_message(i, bytes);
    expect(troupe_chunk_length(keeper.kept[i]) == length);
    expect(memcmp(troupe_chunk_bytes(keeper.kept[i]), bytes, length) == 0);
    troupe_chunk_free(&keeper.kept[i]);
  }
  return 0;
}

static void kept_messages_stay_as_they_are(void **state) {
  (void)state;
  scene_start("keeping", keeping_actor, NULL);
  scene_wait();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(a_big_chunk_goes_to_three_actors_without_being_copied),
      in_scene(kept_messages_stay_as_they_are),
  };
  return TRP_RUN_TESTS("message_reference", tests);
}
