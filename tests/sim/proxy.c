// The proxy of examples/: echo servers behind it, clients in front of it.
#include "examples/proxy/proxy.h"
#include "tests/sim/worlds.h"

const troupe_sim_host_t proxy_hosts[2] = {{"service", "10.0.0.1 fd00::1"}, {"proxy", "10.0.0.2"}};

int proxy_start(troupe_system_t *system, void *context) {
  config_t config = {.listen = {.port = PROXY_PORT},
                     .to = {.host = "service", .port = WORKLOAD_PORT},
                     .actors = 2,
                     .connect_timeout_ms = 10000};
  const troupe_spawn_options_t proxies = {.name = "proxy",
                                          .main = proxy_actor,
                                          .argument = &config,
                                          .argument_size = sizeof config,
                                          .copies = config.actors};
  program_replays = true; // says nothing
  int error = workload_serve(system, context);
  if (error == 0) {
    error = troupe_spawn(system, &proxies, NULL);
  }
  return error == 0 ? workload_work(system, context) : error;
}

int proxy_actor_main(void *argument) {
  return proxy_actor(argument);
}
