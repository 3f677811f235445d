/*
 * proxy: takes connections at one address and makes each go on to another, TCP or Unix, there and
 * back; proxy/forward.c does it.
 */
#include <stdio.h>

#include "proxy/proxy.h"

enum { GRACE_MS = 2000, ACTORS_MAX = 1024, CONNECT_TIMEOUT_MS = 10000 };

static void help(void) {
  puts(
      "usage: proxy --listen ADDRESS --to ADDRESS [OPTION]...\n"
      "Takes connections at one address and forwards each to another, both ways, until SIGINT or\n"
      "SIGTERM. An ADDRESS is HOST:PORT, or the path of a Unix socket (with a '/' in it), or @NAME\n"
      "for an abstract one. Prints 'listening HOST:PORT' or the path once it is ready.\n"
      "\n"
      "  --listen ADDRESS where to listen; port 0: the system picks one, no host: all\n"
      "  --to ADDRESS     where to connect to; a name is looked up for each connection\n"
      "  --actors N       actors that forward, each on a thread of its own (default: 1)\n"
      "  --connect-timeout MS\n"
      "                   so long may it take to connect; 0: as long as the system tries\n"
      "                   (default: 10000)\n" PROGRAM_SYSTEM_HELP);
}

int main(int argc, char **argv) {
  enum { LISTEN = 1, TO, ACTORS, TIMEOUT };
  static const struct option options[] = {
      {"listen", required_argument, NULL, LISTEN},
      {"to", required_argument, NULL, TO},
      {"actors", required_argument, NULL, ACTORS},
      {"connect-timeout", required_argument, NULL, TIMEOUT},
      PROGRAM_SYSTEM_OPTIONS,
      {0},
  };
  config_t config = {.actors = 1, .connect_timeout_ms = CONNECT_TIMEOUT_MS};
  program_system_t how = {0};
  bool listens = false;
  bool connects = false;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case LISTEN:
      program_target(&config.listen, optarg);
      listens = true;
      break;
    case TO:
      program_target(&config.to, optarg);
      connects = true;
      break;
    case ACTORS:
      config.actors = (unsigned)program_number("--actors", optarg, 1, ACTORS_MAX);
      break;
    case TIMEOUT:
      config.connect_timeout_ms = (unsigned)program_number("--connect-timeout", optarg, 0, 1000000);
      break;
    default:
      program_option(option, argv, NULL, &how, help);
    }
  }
  program_no_arguments(argc, argv);
  if (!listens || !connects) {
    program_usage_error("%s is needed", listens ? "--to" : "--listen");
  }
  int status = program_serve(&how, &config.listen, "proxy", proxy_actor, &config, sizeof config,
                             config.actors, GRACE_MS);
  proxy_summarize();
  return status;
}
