/*
 * proxy: takes connections at one address and makes each go on to another, TCP or Unix, there and
 * back; proxy/forward.c does it.
 */
#include <getopt.h>
#include <stdio.h>

#include "proxy/proxy.h"

enum { GRACE_MS = 2000, ACTORS_MAX = 1024, IO_THREADS_MAX = 63, CONNECT_TIMEOUT_MS = 10000 };

static void help(void) {
  puts(
      "usage: proxy --listen ADDRESS --to ADDRESS [OPTION]...\n"
      "Takes connections at one address and forwards each to another, both ways, until SIGINT or\n"
      "SIGTERM. An ADDRESS is HOST:PORT, or the path of a Unix socket (with a '/' in it), or @NAME\n"
      "for an abstract one. Prints 'listening HOST:PORT' or the path once it is ready.\n"
      "\n"
      "  --listen ADDRESS       where to listen; port 0: the system picks one, no host: all\n"
      "  --to ADDRESS           where to connect to; a name is looked up for each connection\n"
      "  --actors N             actors that forward, each on a thread of its own (default: 1)\n"
      "  --io-threads N         threads that own the sockets and share them out (default: 1)\n"
      "  --connect-timeout MS   so long may it take to connect; 0: as long as the system tries\n"
      "                         (default: 10000)\n"
      "  --help                 this text");
}

int main(int argc, char **argv) {
  enum { LISTEN = 1, TO, ACTORS, IO_THREADS, TIMEOUT, HELP };
  static const struct option options[] = {
      {"listen", required_argument, NULL, LISTEN},
      {"to", required_argument, NULL, TO},
      {"actors", required_argument, NULL, ACTORS},
      {"io-threads", required_argument, NULL, IO_THREADS},
      {"connect-timeout", required_argument, NULL, TIMEOUT},
      {"help", no_argument, NULL, HELP},
      {0},
  };
  config_t config = {.actors = 1, .connect_timeout_ms = CONNECT_TIMEOUT_MS};
  unsigned io_threads = 1;
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
    case IO_THREADS:
      io_threads = (unsigned)program_number("--io-threads", optarg, 1, IO_THREADS_MAX);
      break;
    case ACTORS:
      config.actors = (unsigned)program_number("--actors", optarg, 1, ACTORS_MAX);
      break;
    case TIMEOUT:
      config.connect_timeout_ms = (unsigned)program_number("--connect-timeout", optarg, 0, 1000000);
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
  if (!listens || !connects) {
    program_usage_error("%s is needed", listens ? "--to" : "--listen");
  }
  int status = program_serve("proxy", proxy_actor, &config, sizeof config, config.actors,
                             io_threads, GRACE_MS);
  proxy_summarize();
  return status;
}
