// The worlds that are tried with many seeds: services, and those who use them and know what they
// must get.
#ifndef TRP_TESTS_SIM_WORLDS_H_INCLUDED
#define TRP_TESTS_SIM_WORLDS_H_INCLUDED

#include "tests/sim/workload.h"

typedef struct {
  const char *name;
  troupe_sim_options_t options;
  troupe_sim_fn start;
  void *context;
} world_t;

extern const world_t worlds[];
extern const size_t world_count;

const world_t *find_world(const char *name); // NULL: there is none

// Of hand_over.c, over all worlds: how often a connection moved on, and how often it did not.
typedef struct {
  uint64_t handed, kept;
} hand_over_counts_t;
extern hand_over_counts_t hand_over_counts;

// What the worlds are made of.
enum { PROXY_PORT = 8000 };
extern const troupe_sim_host_t chat_hosts[1], proxy_hosts[2], hand_over_hosts[1];
int chat_start(troupe_system_t *system, void *context);
int proxy_start(troupe_system_t *system, void *context); // the context is a workload_t
int hand_over_start(troupe_system_t *system, void *context);

// For those who go on from a recording of them: the main functions, and what must be heard.
int proxy_actor_main(void *argument);
int hand_over_server(void *argument);
bool hand_over_are_numbered(const void *bytes, size_t length, uint64_t at);

#endif
