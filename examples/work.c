/*
 * work: answers each line with the result of real computing: SHA-256 of the line, and then SHA-256
 * of that, and so on, so many rounds as asked for. Shows how handlers scale over actors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lines.h"
#include "common/program.h"
#include "common/sha256.h"

enum {
  GRACE_MS = 1000,
  ACTORS_MAX = 1024,
  ITERATIONS_DEFAULT = 1000,
  ITERATIONS_MAX = 1000000000,
  LINE_LIMIT = 65536,
  ANSWER_SIZE = 2 * SHA256_SIZE + 1,
  /* A client that sends many lines at once gets its turn back after the others'. */
  TURN_ROUNDS = 4096,
};

/* Given to each actor as a copy of its own. */
typedef struct {
  program_target_t target;
  unsigned actors;
  unsigned iterations;
} config_t;

/* Who asks. */
typedef struct {
  const config_t *config;
  troupe_socket_t socket;
  lines_t lines;
  troupe_timer_t turn; /* {0}: none */
  bool full;           /* the answers wait for the client to read them */
  bool ended;          /* no more lines come */
} client_t;

static void go_on(client_t *client);

/* The result in hexadecimal digits, and a line's end. */
static void compute(const char *line, size_t length, unsigned iterations, char *answer) {
  static const char digits[] = "0123456789abcdef";
  unsigned char hash[SHA256_SIZE];
  sha256(line, length, hash);
  for (unsigned i = 1; i < iterations; i++) {
    sha256(hash, sizeof hash, hash);
  }
  for (size_t i = 0; i < sizeof hash; i++) {
    answer[2 * i] = digits[hash[i] >> 4];
    answer[2 * i + 1] = digits[hash[i] & 15];
  }
  answer[ANSWER_SIZE - 1] = '\n';
}

static void answer(client_t *client, const char *bytes, size_t length) {
  int result = troupe_socket_write(client->socket, bytes, length, NULL, NULL);
  if (result == 0) {
    client->full = true;
  } else if (result < 0) {
    troupe_socket_destroy(client->socket, 0);
  }
}

static void answer_line(client_t *client, const char *line, size_t length) {
  char text[ANSWER_SIZE];
  compute(line, length, client->config->iterations, text);
  answer(client, text, sizeof text);
}

/* Answers the next line; false: there is none. */
static bool take_line(client_t *client) {
  const char *line = NULL;
  size_t length = 0;
  switch (lines_next(&client->lines, LINE_LIMIT, &line, &length)) {
  case LINES_LINE:
    answer_line(client, line, length);
    return true;
  case LINES_TOO_LONG: {
    static const char text[] = "error: a line has at most 65536 bytes\n";
    answer(client, text, sizeof text - 1);
    return true;
  }
  case LINES_NO_MEMORY:
    troupe_socket_destroy(client->socket, TROUPE_ENOMEM);
    return false;
  default:
    return false;
  }
}

static void on_turn(troupe_timer_t timer, void *context) {
  client_t *client = context;
  (void)timer;
  client->turn.id = 0;
  go_on(client);
}

/* Answers lines until there are no more, the client has to read first, or it is another's turn. */
static void go_on(client_t *client) {
  if (client->turn.id != 0) {
    return;
  }
  bool more = true;
  for (unsigned rounds = 0; more && !client->full && rounds < TURN_ROUNDS;) {
    more = take_line(client);
    rounds += client->config->iterations;
  }
  if (troupe_socket_destroyed(client->socket)) {
    return;
  }
  if (lines_keep(&client->lines) < 0) {
    troupe_socket_destroy(client->socket, TROUPE_ENOMEM);
    return;
  }
  if (client->full) {
    troupe_socket_pause(client->socket);
    return;
  }
  if (lines_more(&client->lines)) {
    troupe_socket_pause(client->socket);
    if (troupe_timer_start(&client->turn, 0, 0, on_turn, client) < 0) {
      troupe_socket_destroy(client->socket, TROUPE_ENOMEM);
    }
    return;
  }
  if (!client->ended) {
    troupe_socket_resume(client->socket);
    return;
  }
  const char *line = NULL;
  size_t length = 0;
  if (lines_last(&client->lines, &line, &length)) {
    answer_line(client, line, length);
  }
  troupe_socket_end(client->socket, NULL, NULL);
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  client_t *client = context;
  (void)socket;
  lines_feed(&client->lines, chunk);
  go_on(client);
}

static void on_drain(troupe_socket_t socket, void *context) {
  client_t *client = context;
  (void)socket;
  client->full = false;
  go_on(client);
}

static void on_end(troupe_socket_t socket, void *context) {
  client_t *client = context;
  (void)socket;
  client->ended = true;
  go_on(client);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  client_t *client = context;
  (void)socket;
  (void)had_error;
  if (client->turn.id != 0) {
    troupe_timer_stop(client->turn);
  }
  lines_free(&client->lines);
  free(client);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_drain = on_drain, .on_end = on_end, .on_close = on_close};
  client_t *client = calloc(1, sizeof *client);
  (void)server;
  if (client == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  client->config = context;
  client->socket = socket;
  troupe_socket_set_handlers(socket, &handlers, client);
}

static int work_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  config_t *config = argument;
  troupe_server_t server;
  troupe_server_options_t options = {.allow_half_open = true, .no_delay = TROUPE_ON};
  int error = troupe_server_new(&options, &handlers, config, &server);
  if (error == 0) {
    error = program_listen(server, &config->target, config->actors);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void help(void) {
  puts(
      "usage: work [OPTION]...\n"
      "Answers each line with the result of computing: SHA-256 of the line, then SHA-256 of that,\n"
      "and so on, in hexadecimal digits; until SIGINT or SIGTERM. Prints 'listening HOST:PORT' or\n"
      "the path once it is ready.\n"
      "\n" PROGRAM_TARGET_HELP
      "  --actors N       actors that compute, each on a thread of its own (default: 1)\n"
      "  --iterations K   rounds of SHA-256 for each line (default: 1000)\n" PROGRAM_SYSTEM_HELP);
}

int main(int argc, char **argv) {
  enum { ACTORS = 1, ITERATIONS };
  static const struct option options[] = {
      PROGRAM_TARGET_OPTIONS,
      {"actors", required_argument, NULL, ACTORS},
      {"iterations", required_argument, NULL, ITERATIONS},
      PROGRAM_SYSTEM_OPTIONS,
      {0},
  };
  config_t config = {.actors = 1, .iterations = ITERATIONS_DEFAULT};
  program_system_t how = {0};
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case ACTORS:
      config.actors = (unsigned)program_number("--actors", optarg, 1, ACTORS_MAX);
      break;
    case ITERATIONS:
      config.iterations = (unsigned)program_number("--iterations", optarg, 1, ITERATIONS_MAX);
      break;
    default:
      program_option(option, argv, &config.target, &how, help);
    }
  }
  program_no_arguments(argc, argv);
  return program_serve(&how, &config.target, "work", work_actor, &config, sizeof config,
                       config.actors, GRACE_MS);
}
