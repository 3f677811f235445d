// Plays scenarios with troupe, and prints what it reports. play.js does the same with Node's own
// net module; README.md tells the language and what is printed.
//
//   play FOLDER PEER SCENARIOS...
//
// TROUPE_PLAY_IO_ACTORS says over how many I/O actors (1). With TROUPE_PLAY_SIMULATED=N it plays each
// again in N simulated worlds without faults, and fails unless they tell the same of each object, but
// for those that need a real network; the names of those that differ are written to TROUPE_PLAY_FAILED.
// With TROUPE_PLAY_TRACES=FOLDER it records what it plays, replays it when all is played, and fails
// unless each replay does and tells the same.
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <troupe/sim.h>

#include "tests/node/play/stage.h"

enum { MAX_STAGES = 1000 };

static void on_stop(void *context) {
  stage_finish(context, "HANG");
}

static int play_actor(void *argument) {
  stage_t *stage = argument;
  stage->actor = troupe_actor_self();
  (void)troupe_actor_on_stop(on_stop, stage);
  (void)troupe_set_default_auto_select_family(true); // whatever the one before left
  (void)troupe_set_default_auto_select_family_attempt_timeout(250);
  stage_run(stage, stage->scenario->blocks);
  int status = troupe_actor_run();
  stage_finish(stage, "ended");
  return status;
}

static const char *actor_name(const stage_t *stage) {
  return need_text("play%s", strrchr(stage->folder, '/') + 1);
}

static bool play(troupe_system_t *system, stage_t *stage, int limit_ms) {
  troupe_spawn_options_t options = {
      .main = play_actor, .name = actor_name(stage), .argument = stage};
  troupe_actor_t actor;
  int result = troupe_spawn(system, &options, &actor);
  if (result == 0) {
    result = troupe_actor_join(system, actor, limit_ms, NULL);
  }
  if (result == TROUPE_ETIMEDOUT) {
    (void)troupe_actor_stop(system, actor, 0);
    result = troupe_actor_join(system, actor, limit_ms, NULL);
  }
  if (result != 0) {
    fprintf(stderr, "play: %s: %s\n", stage->scenario->name, troupe_error_name(result));
    return false;
  }
  peers_end(stage);
  stage_print_all(stage, stdout);
  return true;
}

static bool replay(const stage_t *recorded, const char *traces) {
  stage_t *stage = need(sizeof *stage);
  stage->scenario = recorded->scenario;
  stage->folder = recorded->folder;
  stage->peer_program = recorded->peer_program;
  stage->recorded = recorded;
  scenario_reset(stage->scenario);
  troupe_replay_report_t report;
  const char *trace = need_text("%s/%s-0.trace", traces, actor_name(recorded));
  int result = troupe_replay(play_actor, stage, trace, &report);
  if (result != 0) {
    fprintf(stderr, "%s: %s: %s\n%s\n", stage->scenario->file, stage->scenario->name,
            troupe_error_name(result), report.text);
    return false;
  }
  if (!stage_prints_the_same(recorded, stage)) {
    fprintf(stderr, "%s: %s: the replay tells something else:\n", stage->scenario->file,
            stage->scenario->name);
    stage_print_all(stage, stderr);
    return false;
  }
  return true;
}

static int replay_all(stage_t *const *stages, size_t count, const char *traces) {
  size_t failed = 0;
  for (size_t i = 0; i < count; i++) {
    failed += !replay(stages[i], traces);
  }
  fprintf(stderr, "%zu scenarios replayed: %zu the same, %zu not\n", count, count - failed, failed);
  return failed == 0 && count > 0 ? 0 : 1;
}

// ---- In simulated worlds ----

static int start_simulated(troupe_system_t *system, void *context) {
  stage_t *stage = context;
  stage->system = system;
  troupe_spawn_options_t options = {
      .main = play_actor, .name = actor_name(stage), .argument = stage};
  troupe_actor_t actor;
  int result = troupe_spawn(system, &options, &actor);
  return result == 0 ? troupe_sim_await(system, actor) : result;
}

// What this machine finds for the name that scenarios look up.
static const char *addresses_of_localhost(void) {
  static char text[1024];
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  if (text[0] == '\0' && getaddrinfo("localhost", NULL, &hints, &found) == 0) {
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
      char literal[64];
      if (getnameinfo(at->ai_addr, at->ai_addrlen, literal, sizeof literal, NULL, 0,
                      NI_NUMERICHOST) == 0) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%s", length == 0 ? "" : " ", literal);
      }
    }
    freeaddrinfo(found);
  }
  return text;
}

static bool simulate(const stage_t *real, uint64_t seed) {
  const troupe_sim_host_t host = {"localhost", addresses_of_localhost()};
  const troupe_sim_options_t options = {
      .faults = TROUPE_FAULT_NONE, .keep_faults = true, .hosts = &host, .host_count = 1};
  troupe_sim_report_t report;
  stage_t *stage = need(sizeof *stage);
  stage->scenario = real->scenario;
  stage->folder = real->folder;
  stage->peer_program = real->peer_program;
  scenario_reset(stage->scenario);
  int result = troupe_sim_run(&options, seed, start_simulated, stage, &report);
  if (result != 0) {
    fprintf(stderr, "%s: %s: with seed %llu: %s\n%s\n", stage->scenario->file,
            stage->scenario->name, (unsigned long long)seed, troupe_error_name(result),
            report.text);
    return false;
  }
  if (!stage_tells_the_same(real, stage)) {
    fprintf(stderr, "%s: %s: with seed %llu the simulated world tells something else\n--- real\n",
            stage->scenario->file, stage->scenario->name, (unsigned long long)seed);
    stage_print_all(real, stderr);
    fprintf(stderr, "--- simulated\n");
    stage_print_all(stage, stderr);
    return false;
  }
  return true;
}

static int simulate_all(stage_t *const *stages, size_t count, uint64_t seeds) {
  size_t failed = 0, left_out = 0;
  const char *path = getenv("TROUPE_PLAY_FAILED");
  FILE *names = path != NULL ? fopen(path, "w") : NULL;
  if (path != NULL && names == NULL) {
    fprintf(stderr, "play: %s cannot be written\n", path);
    return 2;
  }
  for (size_t i = 0; i < count; i++) {
    const scenario_t *scenario = stages[i]->scenario;
    if (scenario->real_only != NULL) {
      left_out++;
      printf("only real: %s: %s: %s\n", scenario->file, scenario->name, scenario->real_only);
      continue;
    }
    bool same = true;
    for (uint64_t seed = 1; seed <= seeds && same; seed++) {
      same = simulate(stages[i], seed);
    }
    failed += !same;
    if (!same && names != NULL) {
      fprintf(names, "%s: %s\n", scenario->file, scenario->name);
    }
  }
  if (names != NULL) {
    (void)fclose(names);
  }
  printf("%zu scenarios simulated with %llu seeds each: %zu the same, %zu not; %zu only real\n",
         count - left_out, (unsigned long long)seeds, count - left_out - failed, failed, left_out);
  return failed == 0 && count > left_out ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: play FOLDER PEER SCENARIOS...\n");
    return 2;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  const char *limit = getenv("TROUPE_PLAY_LIMIT_MS");
  read_descriptors();
  scenario_t *scenarios = NULL;
  for (int i = 3; i < argc; i++) {
    scenario_read(argv[i], &scenarios);
  }
  troupe_system_t *system = NULL;
  const char *io_actors = getenv("TROUPE_PLAY_IO_ACTORS");
  troupe_system_options_t options = {.io_threads = io_actors != NULL ? (unsigned)atoi(io_actors)
                                                                     : 1};
  if (troupe_system_new(&options, &system) != 0) {
    fprintf(stderr, "play: no system\n");
    return 2;
  }
  const char *traces = getenv("TROUPE_PLAY_TRACES");
  troupe_record_options_t record = {.directory = traces,
                                    .backlog_bytes = (size_t)1 << 30}; // nothing may be missing
  if (traces != NULL && troupe_record_start(system, &record) != 0) {
    fprintf(stderr, "play: no traces can be written\n");
    return 2;
  }
  bool played = true;
  static stage_t *stages[MAX_STAGES];
  size_t count = 0;
  for (scenario_t *scenario = scenarios; scenario != NULL && played; scenario = scenario->next) {
    if (scenario->playable && count < MAX_STAGES) {
      stage_t *stage = need(sizeof *stage);
      stage->scenario = scenario;
      stage->system = system;
      stages[count++] = stage;
      stage->folder = need_text("%s/%zu", argv[1], count);
      stage->peer_program = argv[2];
      (void)mkdir(stage->folder, 0777);
      played = play(system, stage, limit != NULL ? atoi(limit) : 5000);
    }
  }
  if (!played) {
    return 1; // an actor that cannot be stopped
  }
  (void)troupe_system_wait(system, 1000, NULL, 0, NULL);
  if (troupe_system_free(&system) != 0) {
    return 1;
  }
  const char *seeds = getenv("TROUPE_PLAY_SIMULATED");
  if (seeds != NULL) {
    return simulate_all(stages, count, strtoull(seeds, NULL, 10));
  }
  return traces != NULL ? replay_all(stages, count, traces) : 0;
}
