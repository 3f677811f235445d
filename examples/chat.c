/* chat: people talk in rooms, line by line, with telnet or nc. They are spread over several actors;
 * what is in chat/ says how. */
#include <stdio.h>
#include <stdlib.h>

#include "chat/chat.h"

enum {
  GRACE_MS = 1000,
  QUEUE_DEFAULT = 1024 * 1024,
  QUEUE_LEAST = 65536,
};

static void help(void) {
  puts(
      "usage: chat [OPTION]...\n"
      "Serves a chat to telnet, nc and the like: names, rooms, a line is heard by all in the room;\n"
      "until SIGINT or SIGTERM. Prints 'listening HOST:PORT' or the path once it is ready.\n"
      "\n" PROGRAM_TARGET_HELP
      "  --actors N       actors, each on a thread of its own, that share the members (default: 1)\n"
      "  --queue B        bytes that may wait for a member who does not read; one more, and it is\n"
      "                   dropped (default: 1048576)\n" PROGRAM_SYSTEM_HELP);
}

int main(int argc, char **argv) {
  enum { ACTORS_OPTION = 1, QUEUE };
  static const struct option options[] = {
      PROGRAM_TARGET_OPTIONS,
      {"actors", required_argument, NULL, ACTORS_OPTION},
      {"queue", required_argument, NULL, QUEUE},
      PROGRAM_SYSTEM_OPTIONS,
      {0},
  };
  config_t config = {.actors = 1, .queue = QUEUE_DEFAULT};
  program_system_t how = {0};
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case ACTORS_OPTION:
      config.actors = (unsigned)program_number("--actors", optarg, 1, ACTORS_MAX);
      break;
    case QUEUE:
      config.queue = (size_t)program_number("--queue", optarg, QUEUE_LEAST, 1L << 30);
      break;
    default:
      program_option(option, argv, &config.target, &how, help);
    }
  }
  program_no_arguments(argc, argv);

  troupe_system_t *system = program_system_new(&how);
  troupe_actor_t actors[ACTORS_MAX];
  troupe_spawn_options_t spawn = {
      .name = "chat",
      .main = chat_actor,
      .argument = &config,
      .argument_size = sizeof config,
      .copies = config.actors,
  };
  int error = troupe_spawn(system, &spawn, actors);
  if (error < 0) {
    program_cannot_listen(system, &config.target, error);
  }
  error = chat_introduce(system, actors, config.actors);
  if (error < 0) {
    program_give_up(system, "start", error);
  }
  return program_run(system, GRACE_MS);
}
