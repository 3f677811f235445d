#include "tests/sim/worlds.h"

#include <string.h>

static workload_t echo_load = {
    .servers = 2, .clients = 3, .rounds = 2, .most = 50000, .host = "service"};
static workload_t proxy_load = {
    .servers = 1, .clients = 3, .rounds = 2, .most = 30000, .host = "proxy", .port = PROXY_PORT};

const world_t worlds[] = {
    {"chat", {.hosts = chat_hosts, .host_count = 1}, chat_start, NULL},
    {"proxy", {.hosts = proxy_hosts, .host_count = 2}, proxy_start, &proxy_load},
    {"echo", {.hosts = hand_over_hosts, .host_count = 1}, workload_start, &echo_load},
    {"hand_over", {.hosts = hand_over_hosts, .host_count = 1}, hand_over_start, NULL},
};

const size_t world_count = sizeof worlds / sizeof *worlds;

const world_t *find_world(const char *name) {
  for (size_t i = 0; i < world_count; i++) {
    if (strcmp(worlds[i].name, name) == 0) {
      return &worlds[i];
    }
  }
  return NULL;
}
