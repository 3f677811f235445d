/* supervised: handlers that fail when a client says so, and come back. Who is connected to the
 * handler that fails is hung up on; who connects meanwhile just waits a little. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/lines.h"
#include "common/program.h"

enum { GRACE_MS = 1000, LINE_LIMIT = 1000, HANDLERS_MAX = 64, PERIOD_MS = 10000 };

/* ---- A handler ---- */

/* Its argument, of which each start gets a copy. */
typedef struct {
  unsigned number;
  unsigned start; /* how often it was started, this one included */
  troupe_address_t address;
} handler_t;

typedef struct client {
  LIST_ENTRY(client) neighbours;
  const handler_t *handler;
  lines_t lines;
} client_t;

/* One start of a handler. */
typedef struct {
  const handler_t *handler;
  LIST_HEAD(, client) clients; /* an actor that ends hears of no close: they are freed behind it */
} life_t;

static void answer(troupe_socket_t socket, const handler_t *handler, const char *line,
                   size_t length) {
  char text[LINE_LIMIT + 64];
  int size = snprintf(text, sizeof text, "handler %u, start %u: %.*s\n", handler->number,
                      handler->start, (int)length, line);
  if (troupe_socket_write(socket, text, (size_t)size, NULL, NULL) < 0) {
    troupe_socket_destroy(socket, 0);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  client_t *client = context;
  const char *line = NULL;
  size_t length = 0;
  lines_feed(&client->lines, chunk);
  for (;;) {
    switch (lines_next(&client->lines, LINE_LIMIT, &line, &length)) {
    case LINES_LINE:
      if (length == 4 && memcmp(line, "fail", 4) == 0) {
        troupe_actor_end(TROUPE_ECANCELED); /* after this callback */
      } else {
        answer(socket, client->handler, line, length);
      }
      break;
    case LINES_TOO_LONG:
      answer(socket, client->handler, "too long", 8);
      break;
    case LINES_NO_MEMORY:
      troupe_socket_destroy(socket, 0);
      return;
    case LINES_NONE:
    default:
      return;
    }
  }
}

static void forget(client_t *client) {
  LIST_REMOVE(client, neighbours);
  lines_free(&client->lines);
  free(client);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  forget(context);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_close = on_close};
  life_t *life = context;
  client_t *client = calloc(1, sizeof *client);
  (void)server;
  if (client == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  client->handler = life->handler;
  LIST_INSERT_HEAD(&life->clients, client, neighbours);
  troupe_socket_set_handlers(socket, &handlers, client);
}

static int handler_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  handler_t *handler = argument;
  life_t life = {.handler = handler};
  troupe_server_t server;
  LIST_INIT(&life.clients);
  int error = troupe_server_new(&(troupe_server_options_t){.no_delay = TROUPE_ON}, &handlers, &life,
                                &server);
  if (error == 0) {
    error = troupe_server_listen(server, &(troupe_listen_options_t){.address = &handler->address});
  }
  if (error == 0) {
    error = troupe_server_listen_wait(server, -1);
  }
  int status = error < 0 ? error : troupe_actor_run();
  for (client_t *client = LIST_FIRST(&life.clients), *next; client != NULL; client = next) {
    next = LIST_NEXT(client, neighbours);
    lines_free(&client->lines);
    free(client);
  }
  return status;
}

/* ---- The supervisor, and what its callbacks use: all in its thread ---- */

static program_target_t target;
static unsigned handler_count = 2;
static troupe_strategy_t strategy;
static unsigned max_restarts = 5;
static unsigned starts[HANDLERS_MAX];
static troupe_address_t held; /* where the supervisor listens, and so all of them */
static unsigned up;

static void prepare(void *argument, const troupe_address_t *addresses, size_t count) {
  handler_t *handler = argument;
  (void)count;
  handler->address = held = addresses[0];
  handler->start = ++starts[handler->number];
}

static void on_child(size_t index, troupe_child_event_t event, troupe_actor_t actor, int status,
                     void *context) {
  (void)actor;
  (void)context;
  if (event == TROUPE_CHILD_STARTED) {
    if (starts[index] > 1) {
      printf("handler %zu: start %u\n", index, starts[index]);
    } else if (++up == handler_count) {
      char text[TROUPE_ADDRESS_TEXT_SIZE + 16];
      program_address_text(&held, text, sizeof text);
      printf("listening %s\n", text);
    }
  } else if (status < 0) {
    printf("handler %zu: %s\n", index, troupe_error_name(status));
  }
  fflush(stdout);
}

static int supervisor_actor(void *argument) {
  troupe_child_t children[HANDLERS_MAX];
  handler_t handlers[HANDLERS_MAX];
  (void)argument;
  for (unsigned i = 0; i < handler_count; i++) {
    handlers[i] = (handler_t){.number = i};
    children[i] = (troupe_child_t){.name = "handler",
                                   .main = handler_actor,
                                   .argument = &handlers[i],
                                   .argument_size = sizeof handlers[i],
                                   .prepare = prepare};
  }
  troupe_listen_options_t listen = {0};
  program_listen_options(&target, &listen);
  troupe_supervisor_options_t options = {.children = children,
                                         .child_count = handler_count,
                                         .strategy = strategy,
                                         .max_restarts = max_restarts,
                                         .period_ms = PERIOD_MS,
                                         .listens = &listen,
                                         .listen_count = 1,
                                         .on_child = on_child};
  int status = troupe_supervisor_run(&options);
  if (status == TROUPE_ERESTARTS) {
    fprintf(stderr,
            "supervised: handlers fail too often: %u restarts in %d seconds were not enough\n",
            max_restarts, PERIOD_MS / 1000);
  }
  return status;
}

static void help(void) {
  puts(
      "usage: supervised [OPTION]...\n"
      "Answers each line with the number of the handler that got it, and how often that one was\n"
      "started. The line 'fail' makes a handler fail: its clients are hung up on, and it is\n"
      "started again. Nobody's connect fails meanwhile. Ends with SIGINT or SIGTERM, or when\n"
      "handlers fail too often. Prints 'listening HOST:PORT' or the path once it is ready.\n"
      "\n" PROGRAM_TARGET_HELP
      "  --handlers N     handlers, each on a thread of its own (default: 2)\n"
      "  --all            when one fails, start all of them again\n"
      "  --max-restarts N so many in 10 seconds are made, one more is too many (default: 5)\n" PROGRAM_SYSTEM_HELP);
}

int main(int argc, char **argv) {
  enum { HANDLERS = 1, ALL, MAX_RESTARTS };
  static const struct option options[] = {
      PROGRAM_TARGET_OPTIONS,          {"handlers", required_argument, NULL, HANDLERS},
      {"all", no_argument, NULL, ALL}, {"max-restarts", required_argument, NULL, MAX_RESTARTS},
      PROGRAM_SYSTEM_OPTIONS,          {0},
  };
  program_system_t how = {0};
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case HANDLERS:
      handler_count = (unsigned)program_number("--handlers", optarg, 1, HANDLERS_MAX);
      break;
    case ALL:
      strategy = TROUPE_ALL_FOR_ONE;
      break;
    case MAX_RESTARTS:
      max_restarts = (unsigned)program_number("--max-restarts", optarg, 1, 1000000);
      break;
    default:
      program_option(option, argv, &target, &how, help);
    }
  }
  program_no_arguments(argc, argv);
  return program_serve(&how, &target, "supervisor", supervisor_actor, NULL, 0, 1, GRACE_MS);
}
