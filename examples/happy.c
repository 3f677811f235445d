/* happy: connects to a name and tells each step with its time: what the name is, which address is
 * tried when, which one wins. One after the other, as Node does, or side by side, as RFC 8305
 * ("happy eyeballs") does. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/program.h"

enum { ADDRESSES_MAX = 16 };

typedef struct {
  const char *host;
  int port;
  int family;
  unsigned attempt_ms; /* 0: the default */
  unsigned deadline_ms;
  bool parallel;
  /* In place of looking the name up. */
  troupe_address_t addresses[ADDRESSES_MAX];
  size_t address_count;
  int64_t began_ns;
  bool connected;
} happy_t;

/* The time since the beginning, and what happened. */
static void tell(const happy_t *happy, const char *what, const troupe_address_t *address,
                 const char *more) {
  char text[TROUPE_ADDRESS_TEXT_SIZE + 8] = "";
  program_address_text(address, text, sizeof text);
  printf("%9.3f ms  %-9s %s%s\n", (double)(troupe_now() - happy->began_ns) / 1e6, what, text, more);
  fflush(stdout);
}

static void on_lookup(troupe_socket_t socket, const troupe_lookup_t *lookup, void *context) {
  (void)socket;
  if (lookup->error == NULL) {
    char bare[TROUPE_ADDRESS_TEXT_SIZE];
    const happy_t *happy = context;
    troupe_address_text(lookup->address, bare, sizeof bare);
    printf("%9.3f ms  %-9s %s\n", (double)(troupe_now() - happy->began_ns) / 1e6, "found", bare);
  }
}

static void on_attempt(troupe_socket_t socket, const troupe_address_t *address, void *context) {
  (void)socket;
  tell(context, "try", address, "");
}

static void on_failed(troupe_socket_t socket, const troupe_address_t *address,
                      const troupe_error_t *error, void *context) {
  char more[128];
  (void)socket;
  if (error->code == TROUPE_ECANCELED) {
    tell(context, "drop", address, ""); /* another one won, or the deadline is over */
    return;
  }
  snprintf(more, sizeof more, ": %s", troupe_error_message(error->code));
  tell(context, "fail", address, more);
}

static void on_given_up(troupe_socket_t socket, const troupe_address_t *address, void *context) {
  (void)socket;
  tell(context, "give up", address, "");
}

static void on_connect(troupe_socket_t socket, void *context) {
  happy_t *happy = context;
  troupe_address_t local = {0}, remote = {0};
  char from[TROUPE_ADDRESS_TEXT_SIZE + 8] = "", more[TROUPE_ADDRESS_TEXT_SIZE + 16];
  troupe_socket_local_address(socket, &local);
  troupe_socket_remote_address(socket, &remote);
  program_address_text(&local, from, sizeof from);
  snprintf(more, sizeof more, " from %s", from);
  tell(happy, "connected", &remote, more);
  happy->connected = true;
  troupe_socket_destroy(socket, 0);
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  (void)socket;
  (void)context;
  if (error->error_count > 0) {
    fprintf(stderr, "happy: none of %zu addresses could be connected to\n", error->error_count);
  } else {
    fprintf(stderr, "happy: %s\n", error->message);
  }
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  troupe_actor_end(((happy_t *)context)->connected ? 0 : 1);
}

static const troupe_socket_handlers_t handlers = {
    .on_lookup = on_lookup,
    .on_connection_attempt = on_attempt,
    .on_connection_attempt_failed = on_failed,
    .on_connection_attempt_timeout = on_given_up,
    .on_connect = on_connect,
    .on_error = on_error,
    .on_close = on_close,
};

static void answer(troupe_socket_t socket, const char *host, int family, unsigned hints,
                   void *context) {
  const happy_t *happy = context;
  (void)host;
  (void)family;
  (void)hints;
  troupe_socket_answer_lookup(socket, 0, happy->addresses, happy->address_count);
}

static int happy_actor(void *argument) {
  happy_t *happy = argument;
  troupe_connect_options_t options = {
      .host = happy->host,
      .port = happy->port,
      .family = happy->family,
      .auto_select_family = TROUPE_ON,
      .auto_select_family_attempt_timeout_ms = happy->attempt_ms,
      .parallel_attempts = happy->parallel,
      .lookup = happy->address_count > 0 ? answer : NULL,
      .lookup_context = happy,
  };
  troupe_socket_options_t socket_options = {.deadlines.connect_ms = happy->deadline_ms};
  happy->began_ns = troupe_now();
  int error = troupe_connect(&options, &socket_options, &handlers, happy, NULL);
  return error < 0 ? error : troupe_actor_run();
}

static void help(void) {
  puts(
      "usage: happy [OPTION]... HOST PORT\n"
      "Connects to a name that may have many addresses, and prints what happens when: each address\n"
      "that is found, each that is tried, and which one wins. Ends with 0 once it is connected,\n"
      "with 1 if it cannot be.\n"
      "\n"
      "  --parallel        go on with earlier attempts when the next begins (RFC 8305); without it\n"
      "                    each is given up for the next, as in Node\n"
      "  --attempt MS      how long an attempt is alone (250; at least 10)\n"
      "  --deadline MS     give up altogether after so long (never)\n"
      "  --family 4|6      IPv4 or IPv6 alone: then the first address only\n"
      "  --address IP      take this for an address of HOST, and look nothing up; up to 16 times\n"
      "  --help            this text");
}

static void add_address(happy_t *happy, const char *text) {
  if (happy->address_count == ADDRESSES_MAX) {
    program_usage_error("--address: there are more than %d", (int)ADDRESSES_MAX);
  }
  if (troupe_address_parse(&happy->addresses[happy->address_count++], text, strlen(text), 0) != 0) {
    program_usage_error("--address: '%s' is no IP address", text);
  }
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"parallel", no_argument, NULL, 'p'},
                                          {"attempt", required_argument, NULL, 'a'},
                                          {"deadline", required_argument, NULL, 'd'},
                                          {"family", required_argument, NULL, 'f'},
                                          {"address", required_argument, NULL, 'A'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  static happy_t happy;
  for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    switch (option) {
    case 'p':
      happy.parallel = true;
      break;
    case 'a':
      happy.attempt_ms = (unsigned)program_number("--attempt", optarg, 10, INT_MAX);
      break;
    case 'd':
      happy.deadline_ms = (unsigned)program_number("--deadline", optarg, 1, INT_MAX);
      break;
    case 'f':
      happy.family = (int)program_number("--family", optarg, 4, 6);
      if (happy.family == 5) {
        program_usage_error("--family: 4 or 6 is needed, not '%s'", optarg);
      }
      break;
    case 'A':
      add_address(&happy, optarg);
      break;
    case 'h':
      help();
      return 0;
    default:
      program_wrong_option(option, argv);
    }
  }
  if (argc - optind != 2) {
    program_usage_error("HOST and PORT are needed");
  }
  happy.host = argv[optind];
  happy.port = (int)program_number("PORT", argv[optind + 1], 1, UINT16_MAX);

  troupe_system_t *system = NULL;
  int error = troupe_system_new(NULL, &system);
  if (error < 0) {
    program_fail("cannot start: %s", troupe_error_message(error));
  }
  troupe_actor_t actor;
  error = troupe_spawn(
      system, &(troupe_spawn_options_t){.name = "happy", .main = happy_actor, .argument = &happy},
      &actor);
  if (error < 0) {
    program_stop(system, 0);
    program_fail("cannot connect: %s", troupe_error_message(error));
  }
  int status = 0;
  troupe_actor_join(system, actor, -1, &status);
  program_stop(system, 0);
  return status < 0 ? 1 : status;
}
