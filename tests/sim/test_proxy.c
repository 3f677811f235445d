// The proxy of examples/ in simulated worlds.
#include <troupe/cmocka.h>

#include "tests/sim/worlds.h"

// What ends cleanly has come whole, whatever broke on the way.
static void thousand_seeds_of_the_proxy_are_sound(void **state) {
  (void)state;
  const world_t *world = find_world("proxy");
  troupe_assert_simulates(&world->options, 1, trp_test_slow() > 1 ? 50 : 1000, world->start,
                          world->context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(thousand_seeds_of_the_proxy_are_sound)};
  return TRP_RUN_TESTS("sim/proxy", tests);
}
