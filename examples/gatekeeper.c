/* gatekeeper: lets in whom its rules allow, and echoes what they say. The I/O actor keeps the others
 * out before a handler hears of them; the rules come from a file, and again on SIGHUP, without a
 * connection being missed. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/program.h"
#include "gatekeeper/rules.h"

enum { GRACE_MS = 1000, ACTORS_MAX = 64, RULES_SIZE_MAX = 8 * 1024 * 1024 };

/* Given to each actor as a copy of its own, rules and all, so that a trace holds it too. */
typedef struct {
  program_target_t target;
  unsigned actors;
  size_t length;
  char rules[];
} config_t;

/* What an actor has. */
typedef struct {
  const config_t *config;
  troupe_server_t server;
} gate_t;

/* What the main thread needs to load the rules again. */
typedef struct {
  const char *file;
  unsigned actors;
  troupe_actor_t ids[ACTORS_MAX];
} keeper_t;

/* ---- The actors ---- */

static void say(const char *what, const troupe_address_t *peer) {
  char text[TROUPE_ADDRESS_TEXT_SIZE + 16];
  program_address_text(peer, text, sizeof text);
  printf("actor %u: %s %s\n", troupe_actor_index(), what, text);
  fflush(stdout);
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  if (troupe_socket_write_chunk(socket, chunk, NULL, NULL) == 0) {
    troupe_socket_pause(socket);
  }
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)context;
  troupe_socket_resume(socket);
}

static const troupe_socket_handlers_t socket_handlers = {.on_data = on_data, .on_drain = on_drain};

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  troupe_address_t peer = {0};
  (void)server;
  (void)context;
  (void)troupe_socket_remote_address(socket, &peer);
  say("lets in", &peer);
}

static void on_drop(troupe_server_t server, const troupe_drop_t *drop, void *context) {
  (void)server;
  (void)context;
  char text[64];
  snprintf(text, sizeof text, "is full and drops %llu, the last of them",
           (unsigned long long)drop->count);
  say(text, &drop->remote);
}

static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection,
                                                         .on_drop = on_drop};

static void no_complaint(unsigned long line, const char *message, void *context) {
  (void)line;
  (void)message;
  (void)context;
}

/* Of so many connections over all actors each may have its part. */
static int64_t part_of(long max, unsigned actors) {
  unsigned index = troupe_actor_index();
  long part = max / (long)actors + ((long)index < max % (long)actors);
  return max == 0 ? 0 : part == 0 ? -1 : part;
}

static void print_counts(const troupe_server_counts_t *counts) {
  printf("actor %u: %llu let in, %llu dropped, %llu blocked, %llu over their share\n",
         troupe_actor_index(), (unsigned long long)counts->accepted,
         (unsigned long long)counts->dropped, (unsigned long long)counts->blocked,
         (unsigned long long)counts->capped);
  fflush(stdout);
}

/* The answer is younger than the rules: the I/O actor has them. */
static void on_counts_with_new_rules(troupe_server_t server, const troupe_server_counts_t *counts,
                                     void *context) {
  (void)server;
  (void)context;
  print_counts(counts);
  printf("actor %u: the new rules are in force\n", troupe_actor_index());
  fflush(stdout);
}

static void on_last_counts(troupe_server_t server, const troupe_server_counts_t *counts,
                           void *context) {
  (void)server;
  (void)context;
  print_counts(counts);
}

static void on_new_rules(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  const gate_t *gate = context;
  rules_t rules;
  (void)from;
  int error = rules_read(&rules, (const char *)troupe_chunk_bytes(message),
                         troupe_chunk_length(message), no_complaint, NULL);
  if (error == 0) {
    error = troupe_server_set_block_list(gate->server, rules.list);
  }
  if (error == 0) {
    error = troupe_server_set_max_per_address(gate->server, rules.per_address, rules.prefix);
  }
  if (error == 0) {
    error = troupe_server_set_max_connections(gate->server,
                                              part_of(rules.max, gate->config->actors));
  }
  if (error == 0) {
    error = troupe_server_get_counts(gate->server, on_counts_with_new_rules, NULL);
  }
  if (error != 0) {
    fprintf(stderr, "gatekeeper: actor %u: cannot change the rules: %s\n", troupe_actor_index(),
            troupe_error_message(error));
  }
  rules_free(&rules);
}

static void on_stop(void *context) {
  const gate_t *gate = context;
  (void)troupe_server_get_counts(gate->server, on_last_counts, NULL);
}

/* What each actor runs. */
static int gate_actor(void *argument) {
  gate_t gate = {.config = argument};
  rules_t rules;
  int error = rules_read(&rules, gate.config->rules, gate.config->length, no_complaint, NULL);
  if (error != 0) {
    return TROUPE_ENOMEM; /* the main thread has read them, too, and found nothing wrong */
  }
  troupe_server_options_t options = {
      .socket_handlers = &socket_handlers,
      .max_connections = part_of(rules.max, gate.config->actors),
      .block_list = rules.list,
      .max_per_address = rules.per_address,
      .ipv6_prefix = rules.prefix,
  };
  error = troupe_server_new(&options, &server_handlers, NULL, &gate.server);
  rules_free(&rules);
  if (error == 0) {
    error = troupe_actor_on_message(on_new_rules, &gate);
  }
  if (error == 0) {
    error = troupe_actor_on_stop(on_stop, &gate);
  }
  if (error == 0) {
    error = program_listen(gate.server, &gate.config->target, gate.config->actors);
  }
  return error < 0 ? error : troupe_actor_run();
}

/* ---- The rules ---- */

static void complain(unsigned long line, const char *message, void *context) {
  fprintf(stderr, "gatekeeper: %s:%lu: %s\n", (const char *)context, line, message);
}

/* The whole file behind a config, of which only the rules are filled; NULL after a complaint. */
static config_t *read_file(const char *file) {
  config_t *config = malloc(sizeof *config + RULES_SIZE_MAX + 1);
  FILE *stream = config == NULL ? NULL : fopen(file, "re");
  if (stream == NULL) {
    fprintf(stderr, "gatekeeper: cannot read %s: %s\n", file, strerror(errno));
    free(config);
    return NULL;
  }
  *config = (config_t){.actors = 1};
  config->length = fread(config->rules, 1, RULES_SIZE_MAX + 1, stream);
  int error = ferror(stream) ? errno : 0;
  fclose(stream);
  if (error == 0 && config->length <= RULES_SIZE_MAX) {
    return config;
  }
  fprintf(stderr, "gatekeeper: cannot read %s: %s\n", file,
          error != 0 ? strerror(error) : "it is larger than 8 MiB");
  free(config);
  return NULL;
}

/* The same, if all of its rules are right. */
static config_t *load(const char *file) {
  rules_t rules = {0};
  config_t *config = read_file(file);
  int wrong = config == NULL ? 0
                             : rules_read(&rules, config->rules, config->length, complain,
                                          (void *)(uintptr_t)file);
  if (wrong < 0) {
    fprintf(stderr, "gatekeeper: %s\n", troupe_error_message(wrong));
  }
  if (wrong != 0 || config == NULL) {
    free(config);
    return NULL;
  }
  printf("rules: %zu blocked, max %ld, per-address %u %u\n", troupe_block_list_count(rules.list),
         rules.max, rules.per_address, rules.prefix);
  fflush(stdout);
  rules_free(&rules);
  return config;
}

/* SIGHUP. Rules of which one is wrong are not taken at all. */
static void reload(troupe_system_t *system, void *context) {
  const keeper_t *keeper = context;
  config_t *config = load(keeper->file);
  if (config == NULL) {
    fprintf(stderr, "gatekeeper: the rules stay as they were\n");
    return;
  }
  for (unsigned i = 0; i < keeper->actors; i++) {
    int error = troupe_post(system, keeper->ids[i], config->rules, config->length);
    if (error < 0) {
      fprintf(stderr, "gatekeeper: actor %u does not get the rules: %s\n", i,
              troupe_error_message(error));
    }
  }
  free(config);
}

/* ---- The program ---- */

static void help(void) {
  puts("usage: gatekeeper [OPTION]... --rules FILE\n"
       "Echoes what comes from whom the rules let in, until SIGINT or SIGTERM. SIGHUP: reads the\n"
       "rules again; they change for those who come from then on, and nobody is missed meanwhile.\n"
       "Prints 'listening HOST:PORT' or the path once it is ready, and then what it does.\n"
       "\n" PROGRAM_TARGET_HELP
       "  --systemd[=NAME] the socket that was passed to it instead (systemd's socket activation)\n"
       "  --actors N       handlers, each on a thread of its own, that share it (default: 1)\n"
       "  --rules FILE     whom to let in\n" PROGRAM_SYSTEM_HELP "\n\n"
       "The file has a rule in each line; # begins a comment:\n"
       "\n"
       "  block ADDRESS            or ADDRESS/PREFIX, or FIRST-LAST: nobody from there\n"
       "  max N                    so many connections at a time; more are dropped\n"
       "  per-address N [PREFIX]   so many of them from one address; of IPv6 addresses the first\n"
       "                           PREFIX bits count (default: 64)");
}

static void run(const program_system_t *how, config_t *config, keeper_t *keeper) {
  troupe_system_t *system = program_system_new(how);
  troupe_spawn_options_t spawn = {
      .name = "gatekeeper",
      .main = gate_actor,
      .argument = config,
      .argument_size = sizeof *config + config->length,
      .copies = config->actors,
  };
  int error = troupe_spawn(system, &spawn, keeper->ids);
  program_target_t target = config->target;
  free(config);
  if (error < 0) {
    program_cannot_listen(system, &target, error);
  }
  exit(program_run_reloading(system, GRACE_MS, reload, keeper));
}

int main(int argc, char **argv) {
  enum { SYSTEMD = 1, ACTORS, RULES };
  static const struct option options[] = {
      PROGRAM_TARGET_OPTIONS,
      {"systemd", optional_argument, NULL, SYSTEMD},
      {"actors", required_argument, NULL, ACTORS},
      {"rules", required_argument, NULL, RULES},
      PROGRAM_SYSTEM_OPTIONS,
      {0},
  };
  program_target_t target = {0};
  program_system_t how = {0};
  keeper_t keeper = {.actors = 1};
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case SYSTEMD:
      program_systemd_option(&target, optarg);
      break;
    case ACTORS:
      keeper.actors = (unsigned)program_number("--actors", optarg, 1, ACTORS_MAX);
      break;
    case RULES:
      keeper.file = optarg;
      break;
    default:
      program_option(option, argv, &target, &how, help);
    }
  }
  program_no_arguments(argc, argv);
  if (keeper.file == NULL) {
    program_usage_error("--rules FILE is missing");
  }
  sigset_t hangup;
  sigemptyset(&hangup);
  sigaddset(&hangup, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &hangup, NULL); /* from here on it waits for its turn */
  config_t *config = load(keeper.file);
  if (config == NULL) {
    return 1;
  }
  config->target = target;
  config->actors = keeper.actors;
  run(&how, config, &keeper);
}
