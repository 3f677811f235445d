/* router: one address, several services. One actor accepts; the first line of a connection says
 * which actor it is given to, and from then on it is that actor's alone. Or the application deals
 * connections out by a rule of its own, without reading a byte of them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/program.h"

enum { GRACE_MS = 1000, LINE_MAX_LENGTH = 64, IDLE_MS = 10000 };

/* ---- The services: each an actor that answers with the bytes that come, changed. ---- */

static char to_upper(char c) {
  return (char)toupper((unsigned char)c);
}

static char to_lower(char c) {
  return (char)tolower((unsigned char)c);
}

static char to_rot13(char c) {
  if (isalpha((unsigned char)c) == 0) {
    return c;
  }
  char first = (char)(isupper((unsigned char)c) != 0 ? 'A' : 'a');
  return (char)(first + (c - first + 13) % 26);
}

typedef struct {
  const char *name;
  char (*change)(char c);
} service_t;

static const service_t services[] = {{"upper", to_upper}, {"lower", to_lower}, {"rot13", to_rot13}};
enum { SERVICES = sizeof services / sizeof services[0] };

static void answer(troupe_socket_t socket, const service_t *service, const char *bytes,
                   size_t length) {
  if (length == 0) {
    return;
  }
  troupe_chunk_t *chunk = NULL;
  int result = troupe_chunk_new(&chunk, bytes, length);
  if (result == 0) {
    char *to = (char *)(uintptr_t)troupe_chunk_bytes(chunk);
    for (size_t i = 0; i < length; i++) {
      to[i] = service->change(bytes[i]);
    }
    result = troupe_socket_write_chunk(socket, chunk, NULL, NULL);
    troupe_chunk_free(&chunk);
  }
  if (result == 0) {
    troupe_socket_pause(socket); /* until on_drain: the client reads more slowly than it writes */
  } else if (result < 0) {
    troupe_socket_destroy(socket, 0);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  answer(socket, context, troupe_chunk_bytes(chunk), troupe_chunk_length(chunk));
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)context;
  troupe_socket_resume(socket);
}

/* What the door had read behind the first line came along as the message. */
static void on_handed(troupe_socket_t socket, troupe_actor_t from, const troupe_chunk_t *message,
                      void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_drain = on_drain};
  (void)from;
  troupe_socket_set_handlers(socket, &handlers, context);
  troupe_socket_set_timeout(socket, 0);
  troupe_socket_resume(socket);
  answer(socket, context, troupe_chunk_bytes(message), troupe_chunk_length(message));
}

static int service_actor(void *argument) {
  program_tell_recording();
  int error = troupe_actor_on_handed(on_handed, argument);
  return error < 0 ? error : troupe_actor_run();
}

/* ---- The door ---- */

typedef struct {
  program_target_t target;
  bool by_port;
  troupe_actor_t actors[SERVICES];
} door_t;

/* A connection whose first line is not whole. */
typedef struct {
  const door_t *door;
  size_t length;
  char line[LINE_MAX_LENGTH];
} visitor_t;

static void send_away(troupe_socket_t socket, const char *why) {
  if (troupe_socket_end_with(socket, why, strlen(why), NULL, NULL) < 0) {
    troupe_socket_destroy(socket, 0);
  }
}

/* The last that the door hears of a connection, unless the service has ended. */
static void on_given(troupe_socket_t socket, int error, void *context) {
  if (error == 0) {
    free(context);
  } else if (error == TROUPE_ENOACTOR) {
    send_away(socket, "the service is gone\n");
  }
}

static void route(troupe_socket_t socket, visitor_t *visitor, size_t name_length, const char *rest,
                  size_t rest_length) {
  for (size_t i = 0; i < SERVICES; i++) {
    if (strlen(services[i].name) == name_length &&
        memcmp(services[i].name, visitor->line, name_length) == 0) {
      if (troupe_socket_give(socket, visitor->door->actors[i], rest, rest_length, on_given,
                             visitor) < 0) {
        troupe_socket_destroy(socket, 0);
      }
      return;
    }
  }
  send_away(socket, "no such service\n");
}

static void on_first_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  visitor_t *visitor = context;
  const char *bytes = troupe_chunk_bytes(chunk);
  size_t length = troupe_chunk_length(chunk);
  const char *end = memchr(bytes, '\n', length);
  size_t part = end == NULL ? length : (size_t)(end - bytes);
  if (troupe_socket_ready_state(socket) != TROUPE_OPEN) {
    return; /* it was sent away, and goes on talking */
  }
  if (part > sizeof visitor->line - visitor->length) {
    send_away(socket, "the first line is too long\n");
    return;
  }
  memcpy(visitor->line + visitor->length, bytes, part);
  visitor->length += part;
  if (end == NULL) {
    return;
  }
  size_t name_length = visitor->length;
  if (name_length > 0 && visitor->line[name_length - 1] == '\r') {
    name_length--;
  }
  route(socket, visitor, name_length, end + 1, length - part - 1);
}

static void on_timeout(troupe_socket_t socket, void *context) {
  (void)context;
  send_away(socket, "too slow\n");
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  free(context);
}

/* A rule of the application's own: the client's port decides. Nothing was read, so nothing has to
 * go along. */
static void deal(const door_t *door, troupe_socket_t socket) {
  troupe_address_t remote;
  int error = troupe_socket_remote_address(socket, &remote);
  if (error == 0) {
    error = troupe_socket_give(socket, door->actors[remote.port % SERVICES], NULL, 0, NULL, NULL);
  }
  if (error < 0) {
    troupe_socket_destroy(socket, 0);
  }
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_first_data, .on_timeout = on_timeout, .on_close = on_close};
  const door_t *door = context;
  (void)server;
  if (door->by_port) {
    deal(door, socket);
    return;
  }
  visitor_t *visitor = calloc(1, sizeof *visitor);
  if (visitor == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  visitor->door = door;
  troupe_socket_set_handlers(socket, &handlers, visitor);
  troupe_socket_set_timeout(socket, IDLE_MS);
}

static int door_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  door_t *door = argument;
  troupe_server_t server;
  int error = troupe_server_new(
      &(troupe_server_options_t){.no_delay = TROUPE_ON, .pause_on_connect = door->by_port},
      &handlers, door, &server);
  if (error == 0) {
    error = program_listen(server, &door->target, 1);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void help(void) {
  puts(
      "usage: router [OPTION]...\n"
      "Serves several services at one address, each in an actor of its own, until SIGINT or\n"
      "SIGTERM. The first line of a connection is the name of its service:\n"
      "\n"
      "  upper            answers in capital letters\n"
      "  lower            answers in small ones\n"
      "  rot13            answers with each letter 13 places on\n"
      "\n"
      "Prints 'listening HOST:PORT' or the path once it is ready.\n"
      "\n" PROGRAM_TARGET_HELP
      "  --by-port        read no first line: a connection goes to the service with the number\n"
      "                   of the client's port modulo 3, from 0, in the order above\n" PROGRAM_SYSTEM_HELP);
}

static void start(troupe_system_t *system, door_t *door) {
  for (size_t i = 0; i < SERVICES; i++) {
    troupe_spawn_options_t options = {.name = services[i].name,
                                      .main = service_actor,
                                      .argument = (void *)(uintptr_t)&services[i]};
    int error = troupe_spawn(system, &options, &door->actors[i]);
    if (error < 0) {
      program_give_up(system, "start", error);
    }
  }
  troupe_spawn_options_t options = {
      .name = "door", .main = door_actor, .argument = door, .argument_size = sizeof *door};
  int error = troupe_spawn(system, &options, NULL);
  if (error < 0) {
    program_cannot_listen(system, &door->target, error);
  }
}

int main(int argc, char **argv) {
  enum { BY_PORT = 1 };
  static const struct option options[] = {
      PROGRAM_TARGET_OPTIONS,
      {"by-port", no_argument, NULL, BY_PORT},
      PROGRAM_SYSTEM_OPTIONS,
      {0},
  };
  door_t door = {0};
  program_system_t how = {0};
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case BY_PORT:
      door.by_port = true;
      break;
    default:
      program_option(option, argv, &door.target, &how, help);
    }
  }
  program_no_arguments(argc, argv);
  troupe_system_t *system = program_system_new(&how);
  start(system, &door);
  return program_run(system, GRACE_MS);
}
