// The proxy of examples/ in simulated worlds: echo servers behind it, clients in front of it.
#include <troupe/cmocka.h>

#include "examples/proxy/proxy.h"
#include "tests/sim/workload.h"

enum { PROXY_PORT = 8000 };

static const troupe_sim_host_t hosts[] = {{"service", "10.0.0.1 fd00::1"}, {"proxy", "10.0.0.2"}};

static int start(troupe_system_t *system, void *context) {
  config_t config = {.listen = {.port = PROXY_PORT},
                     .to = {.host = "service", .port = WORKLOAD_PORT},
                     .actors = 2,
                     .connect_timeout_ms = 10000};
  const troupe_spawn_options_t proxies = {.name = "proxy",
                                          .main = proxy_actor,
                                          .argument = &config,
                                          .argument_size = sizeof config,
                                          .copies = config.actors};
  int error = workload_serve(system, context);
  if (error == 0) {
    error = troupe_spawn(system, &proxies, NULL);
  }
  return error == 0 ? workload_work(system, context) : error;
}

// What ends cleanly has come whole, whatever broke on the way.
static void thousand_seeds_of_the_proxy_are_sound(void **state) {
  (void)state;
  const troupe_sim_options_t options = {.hosts = hosts, .host_count = 2};
  workload_t load = {
      .servers = 1, .clients = 3, .rounds = 2, .most = 30000, .host = "proxy", .port = PROXY_PORT};
  troupe_assert_simulates(&options, 1, trp_test_slow() > 1 ? 50 : 1000, start, &load);
}

int main(void) {
  program_replays = true; // says nothing
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(thousand_seeds_of_the_proxy_are_sound)};
  return TRP_RUN_TESTS("sim/proxy", tests);
}
