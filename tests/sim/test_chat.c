// The chat of examples/ in simulated worlds.
#include <troupe/cmocka.h>

#include "tests/sim/worlds.h"

static void thousand_seeds_of_the_chat_are_sound(void **state) {
  (void)state;
  const world_t *world = find_world("chat");
  troupe_assert_simulates(&world->options, 1, trp_test_slow() > 1 ? 50 : 1000, world->start,
                          world->context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(thousand_seeds_of_the_chat_are_sound)};
  return TRP_RUN_TESTS("sim/chat", tests);
}
