/* echo: sends back what comes, on as many actors as you like. One handler, N threads, one address;
 * recorded and replayed if asked to. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/program.h"

enum { GRACE_MS = 1000, ACTORS_MAX = 1024, HIGH_WATER_MARK = 256 * 1024 };

/* Given to each actor as a copy of its own, so that a trace holds it too. */
typedef struct {
  program_target_t target;
  unsigned actors;
  unsigned work_us;
} config_t;

/* --upper: another handler than the one that was recorded, perhaps. Set before any actor is there,
 * and never changed. */
static bool upper;

/* Burns processor time as a handler that computes something would. */
static void work(unsigned work_us) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  long long end = t.tv_sec * 1000000000LL + t.tv_nsec + work_us * 1000LL;
  do {
    clock_gettime(CLOCK_MONOTONIC, &t);
  } while (t.tv_sec * 1000000000LL + t.tv_nsec < end);
}

static int write_upper(troupe_socket_t socket, const troupe_chunk_t *chunk) {
  troupe_chunk_t *answer = NULL;
  int result = troupe_chunk_new(&answer, troupe_chunk_bytes(chunk), troupe_chunk_length(chunk));
  if (result < 0) {
    return result;
  }
  char *bytes = (char *)(uintptr_t)troupe_chunk_bytes(answer);
  for (size_t i = 0; i < troupe_chunk_length(answer); i++) {
    bytes[i] = (char)toupper((unsigned char)bytes[i]);
  }
  result = troupe_socket_write_chunk(socket, answer, NULL, NULL);
  troupe_chunk_free(&answer);
  return result;
}

/* The chunk goes back by reference; while the peer does not read, nothing more is read from it. */
static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  const config_t *config = context;
  if (config->work_us > 0) {
    work(config->work_us);
  }
  int result = upper ? write_upper(socket, chunk)
                     : troupe_socket_write_chunk(socket, chunk, NULL, NULL);
  if (result == 0) {
    troupe_socket_pause(socket);
  } else if (result < 0) {
    troupe_socket_destroy(socket, 0);
  }
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)context;
  troupe_socket_resume(socket);
}

static const troupe_socket_handlers_t socket_handlers = {.on_data = on_data, .on_drain = on_drain};

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  troupe_socket_set_handlers(socket, &socket_handlers, context);
}

static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection};

/* What each actor runs. */
static int echo_actor(void *argument) {
  config_t *config = argument;
  troupe_server_t server;
  int error = troupe_server_new(
      &(troupe_server_options_t){.no_delay = TROUPE_ON, .high_water_mark = HIGH_WATER_MARK},
      &server_handlers, config, &server);
  if (error < 0) {
    return error;
  }
  error = program_listen(server, &config->target, config->actors);
  if (error < 0) {
    return error;
  }
  return troupe_actor_run();
}

static int replay(char **files, int count) {
  int status = 0;
  program_replays = true;
  for (int i = 0; i < count; i++) {
    troupe_replay_report_t report;
    int result = troupe_replay(echo_actor, NULL, files[i], &report);
    if (result == 0) {
      printf("%s: the same, %llu events and %llu commands\n", files[i],
             (unsigned long long)report.events, (unsigned long long)report.commands);
    } else {
      printf("%s: %s\n%s\n", files[i], troupe_error_message(result), report.text);
      status = 1;
    }
  }
  return status;
}

static void help(void) {
  puts(
      "usage: echo [OPTION]...\n"
      "Sends back whatever comes, until SIGINT or SIGTERM. Prints 'listening HOST:PORT' or the\n"
      "path once it is ready.\n"
      "\n" PROGRAM_TARGET_HELP
      "  --reuse-port     other processes that say so too may listen there as well\n"
      "  --systemd[=NAME] the socket that was passed to it instead (systemd's socket activation)\n"
      "  --actors N       handlers, each on a thread of its own, that share it (default: 1)\n"
      "  --spin-us U      how long a thread looks for work before it sleeps (default: 20)\n"
      "  --work-us U      compute for U microseconds for each message (default: 0)\n"
      "  --upper          answer in capital letters\n"
      "  --replay FILE... run the handler on recordings instead, and compare what it does\n" PROGRAM_SYSTEM_HELP);
}

int main(int argc, char **argv) {
  enum { REUSE_PORT = 1, SYSTEMD, ACTORS, SPIN, WORK, REPLAY, UPPER };
  static const struct option options[] = {
      PROGRAM_TARGET_OPTIONS,
      {"reuse-port", no_argument, NULL, REUSE_PORT},
      {"systemd", optional_argument, NULL, SYSTEMD},
      {"actors", required_argument, NULL, ACTORS},
      {"spin-us", required_argument, NULL, SPIN},
      {"work-us", required_argument, NULL, WORK},
      {"replay", no_argument, NULL, REPLAY},
      {"upper", no_argument, NULL, UPPER},
      PROGRAM_SYSTEM_OPTIONS,
      {0},
  };
  config_t config = {.actors = 1};
  program_system_t how = {0};
  bool replays = false;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case REUSE_PORT:
      config.target.reuse_port = true;
      break;
    case SYSTEMD:
      program_systemd_option(&config.target, optarg);
      break;
    case ACTORS:
      config.actors = (unsigned)program_number("--actors", optarg, 1, ACTORS_MAX);
      break;
    case SPIN:
      how.spin_us = (int)program_number("--spin-us", optarg, 0, 1000);
      // 0 means the default to the library, and not at all to whoever types it.
      how.spin_us = how.spin_us == 0 ? -1 : how.spin_us;
      break;
    case WORK:
      config.work_us = (unsigned)program_number("--work-us", optarg, 0, 1000000);
      break;
    case REPLAY:
      replays = true;
      break;
    case UPPER:
      upper = true;
      break;
    default:
      program_option(option, argv, &config.target, &how, help);
    }
  }
  if (replays) {
    if (optind == argc) {
      program_usage_error("--replay wants files");
    }
    return replay(argv + optind, argc - optind);
  }
  if (config.target.reuse_port && (config.target.path[0] != '\0' || config.target.activated)) {
    program_usage_error("--reuse-port is for a host and a port");
  }
  program_no_arguments(argc, argv);
  return program_serve(&how, &config.target, "echo", echo_actor, &config, sizeof config,
                       config.actors, GRACE_MS);
}
