/* client: like `nc -N`: sends its input, prints what comes back, half-closes at the end of input,
 * and ends when the peer has. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/program.h"

enum { READ_SIZE = 64 * 1024, IN_FLIGHT = 16 };

/* A thread reads the input and posts it to the actor; `room` counts how many pieces it may have
 * under way. */
typedef struct {
  program_target_t target;
  troupe_system_t *system;
  troupe_actor_t actor;
  sem_t room;
  troupe_socket_t socket;
  int failed;
} client_t;

static bool print_all(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(STDOUT_FILENO, bytes, length);
    if (n < 0 && errno != EINTR) {
      return false;
    }
    if (n > 0) {
      bytes += n;
      length -= (size_t)n;
    }
  }
  return true;
}

/* Printing may wait: then the actor waits, and through TCP the peer does. */
static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  client_t *client = context;
  if (!print_all(troupe_chunk_bytes(chunk), troupe_chunk_length(chunk))) {
    fprintf(stderr, "client: standard output: %s\n", strerror(errno));
    client->failed = 1;
    troupe_socket_destroy(socket, 0);
  }
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  client_t *client = context;
  (void)socket;
  if (error->error_count == 0) {
    fprintf(stderr, "client: %s\n", error->message);
  }
  for (size_t i = 0; i < error->error_count; i++) {
    fprintf(stderr, "client: %s\n", error->errors[i].message);
  }
  client->failed = 1;
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  client_t *client = context;
  (void)socket;
  troupe_actor_end(had_error || client->failed ? 1 : 0);
}

static const troupe_socket_handlers_t handlers = {
    .on_data = on_data, .on_error = on_error, .on_close = on_close};

static void on_written(troupe_socket_t socket, int error, void *context) {
  client_t *client = context;
  (void)socket;
  (void)error;
  sem_post(&client->room);
}

/* A piece of the input; an empty one is its end. */
static void on_input(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  client_t *client = context;
  (void)from;
  if (troupe_chunk_length(message) == 0) {
    troupe_socket_end(client->socket, NULL, NULL);
  } else if (troupe_socket_write_chunk(client->socket, message, on_written, client) < 0) {
    sem_post(&client->room);
  }
}

static int client_actor(void *argument) {
  client_t *client = argument;
  troupe_connect_options_t options = {0};
  program_connect_options(&client->target, &options);
  /* Our own half is closed at the end of the input; until then the peer may end first, and we go
   * on. */
  int error = troupe_connect(&options, &(troupe_socket_options_t){.allow_half_open = true},
                             &handlers, client, &client->socket);
  if (error < 0) {
    return error;
  }
  troupe_actor_on_message(on_input, client);
  return troupe_actor_run();
}

/* Reads until the end of the input, or until it is cancelled because the actor has ended. */
static void *send_input(void *argument) {
  client_t *client = argument;
  static char bytes[READ_SIZE];
  for (;;) {
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      fprintf(stderr, "client: standard input: %s\n", strerror(errno));
    }
    while (sem_wait(&client->room) != 0) {
    }
    int state = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    int error = troupe_post(client->system, client->actor, bytes, n > 0 ? (size_t)n : 0);
    pthread_setcancelstate(state, NULL);
    if (error < 0 || n <= 0) {
      return NULL;
    }
  }
}

static void help(void) {
  puts("usage: client HOST:PORT | PATH\n"
       "Connects, sends its standard input, prints what comes back, half-closes at the end of\n"
       "input, and ends when the peer has closed. A PATH has a slash in it; @NAME is an abstract\n"
       "Unix socket.\n"
       "\n"
       "  --help   this text");
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
  for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    if (option != 'h') {
      program_wrong_option(option, argv);
    }
    help();
    return 0;
  }
  if (argc - optind != 1) {
    program_usage_error("one HOST:PORT or PATH is needed");
  }
  static client_t client;
  program_target(&client.target, argv[optind]);
  sem_init(&client.room, 0, IN_FLIGHT);

  int error = troupe_system_new(NULL, &client.system);
  if (error < 0) {
    program_fail("cannot start: %s", troupe_error_message(error));
  }
  error = troupe_spawn(
      client.system,
      &(troupe_spawn_options_t){.name = "client", .main = client_actor, .argument = &client},
      &client.actor);
  if (error < 0) {
    program_stop(client.system, 0);
    char text[PROGRAM_TARGET_TEXT_SIZE];
    program_target_text(&client.target, text, sizeof text);
    program_fail("cannot connect to %s: %s", text, troupe_error_message(error));
  }
  pthread_t input;
  if (pthread_create(&input, NULL, send_input, &client) != 0) {
    program_stop(client.system, 0);
    program_fail("cannot start a thread");
  }
  int status = 0;
  troupe_actor_join(client.system, client.actor, -1, &status);
  pthread_cancel(input);
  pthread_join(input, NULL);
  program_stop(client.system, 0);
  return status;
}
