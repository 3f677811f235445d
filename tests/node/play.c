// Plays scenarios with troupe, and prints what it reports. play.js does the same with Node's own
// net module; README.md tells the language and what is printed.
//
//   play FOLDER PEER SCENARIOS...
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/node/play/stage.h"

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

static bool play(troupe_system_t *system, stage_t *stage, int limit_ms) {
  troupe_spawn_options_t options = {.main = play_actor, .name = "play", .argument = stage};
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
  if (troupe_system_new(NULL, &system) != 0) {
    fprintf(stderr, "play: no system\n");
    return 2;
  }
  bool played = true;
  unsigned number = 0;
  for (scenario_t *scenario = scenarios; scenario != NULL && played; scenario = scenario->next) {
    if (scenario->playable) {
      stage_t *stage = need(sizeof *stage);
      stage->scenario = scenario;
      stage->system = system;
      stage->folder = need_text("%s/%u", argv[1], ++number);
      stage->peer_program = argv[2];
      (void)mkdir(stage->folder, 0777);
      played = play(system, stage, limit != NULL ? atoi(limit) : 5000);
    }
  }
  if (!played) {
    return 1; // an actor that cannot be stopped
  }
  (void)troupe_system_wait(system, 1000, NULL, 0, NULL);
  return troupe_system_free(&system) == 0 ? 0 : 1;
}
