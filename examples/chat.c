/* chat: people talk in rooms, line by line, with telnet or nc. They are spread over several actors;
 * what is in chat/ says how. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "chat/chat.h"

enum {
  GRACE_MS = 1000,
  IO_THREADS_MAX = 63,
  QUEUE_DEFAULT = 1024 * 1024,
  QUEUE_LEAST = 65536,
};

static void help(void) {
  puts(
      "usage: chat [OPTION]...\n"
      "Serves a chat to telnet, nc and the like: names, rooms, a line is heard by all in the room;\n"
      "until SIGINT or SIGTERM. Prints 'listening HOST:PORT' or the path once it is ready.\n"
      "\n"
      "  --host H         the address to listen on (default: all)\n"
      "  --port P         the port (default: 0, the system picks one)\n"
      "  --path P         a Unix socket instead; @NAME is an abstract one\n"
      "  --actors N       actors, each on a thread of its own, that share the members (default: 1)\n"
      "  --io-threads N   threads that own the sockets and share them out (default: 1)\n"
      "  --queue B        bytes that may wait for a member who does not read; one more, and it is\n"
      "                   dropped (default: 1048576)\n"
      "  --help           this text");
}

int main(int argc, char **argv) {
  enum { HOST = 1, PORT, PATH, ACTORS_OPTION, IO_THREADS, QUEUE, HELP };
  static const struct option options[] = {
      {"host", required_argument, NULL, HOST},
      {"port", required_argument, NULL, PORT},
      {"path", required_argument, NULL, PATH},
      {"actors", required_argument, NULL, ACTORS_OPTION},
      {"io-threads", required_argument, NULL, IO_THREADS},
      {"queue", required_argument, NULL, QUEUE},
      {"help", no_argument, NULL, HELP},
      {0},
  };
  config_t config = {.actors = 1, .queue = QUEUE_DEFAULT};
  unsigned io_threads = 1;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case HOST:
      program_host_option(&config.target, optarg);
      break;
    case PORT:
      config.target.port = (int)program_number("--port", optarg, 0, 65535);
      break;
    case PATH:
      program_path_option(&config.target, optarg);
      break;
    case IO_THREADS:
      io_threads = (unsigned)program_number("--io-threads", optarg, 1, IO_THREADS_MAX);
      break;
    case ACTORS_OPTION:
      config.actors = (unsigned)program_number("--actors", optarg, 1, ACTORS_MAX);
      break;
    case QUEUE:
      config.queue = (size_t)program_number("--queue", optarg, QUEUE_LEAST, 1L << 30);
      break;
    case HELP:
      help();
      return 0;
    default:
      program_wrong_option(option, argv);
    }
  }
  if (optind < argc) {
    program_usage_error("unexpected '%s'", argv[optind]);
  }

  program_block_signals();
  program_raise_file_limit();
  troupe_system_t *system = NULL;
  int error = troupe_system_new(&(troupe_system_options_t){.io_threads = io_threads}, &system);
  if (error < 0) {
    program_fail("cannot start: %s", troupe_error_message(error));
  }
  troupe_actor_t actors[ACTORS_MAX];
  troupe_spawn_options_t spawn = {
      .name = "chat",
      .main = chat_actor,
      .argument = &config,
      .argument_size = sizeof config,
      .copies = config.actors,
  };
  error = troupe_spawn(system, &spawn, actors);
  if (error < 0) {
    program_stop(system, 0);
    program_fail("cannot listen: %s (%s)", troupe_error_message(error), troupe_error_name(error));
  }
  error = chat_introduce(system, actors, config.actors);
  if (error < 0) {
    program_stop(system, 0);
    program_fail("cannot start: %s", troupe_error_message(error));
  }
  return program_run(system, GRACE_MS);
}
