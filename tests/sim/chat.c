// The chat of examples/: people who talk, lose their connection, and come back.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/chat/chat.h"
#include "tests/sim/worlds.h"

enum { CHAT_PORT = 7777, LINES = 8, PACE_MS = 5, RETRY_MS = 40, HEARD_MAX = 512, PEOPLE = 4 };

const troupe_sim_host_t chat_hosts[1] = {{"chat", "10.0.0.1 fd00::1"}};

// ---- Somebody who talks ----

// What was heard of somebody during one of his connections.
typedef struct {
  uint64_t session;
  unsigned last;
} heard_t;

typedef struct {
  troupe_socket_t socket;
  troupe_timer_t pace;
  uint64_t session;
  unsigned said;
  bool welcome, farewell, wrong, done;
  char line[8192];
  size_t length;
  heard_t heard[HEARD_MAX];
  size_t heard_count;
} talker_t;

static void connect_again(talker_t *talker);

// Lines of one speaker come in order, none twice, and none is left out once he is heard.
static void hear(talker_t *talker, uint64_t session, unsigned number) {
  for (size_t i = 0; i < talker->heard_count; i++) {
    if (talker->heard[i].session == session) {
      talker->wrong |= number != talker->heard[i].last + 1;
      talker->heard[i].last = number;
      return;
    }
  }
  if (talker->heard_count < HEARD_MAX) {
    talker->heard[talker->heard_count++] = (heard_t){session, number};
  }
}

static void say_next(troupe_timer_t timer, void *context) {
  talker_t *talker = context;
  (void)timer;
  talker->pace.id = 0;
  char text[64];
  int length = talker->said < LINES ? snprintf(text, sizeof text, "SAY %016" PRIx64 " %u\n",
                                               talker->session, talker->said)
                                    : snprintf(text, sizeof text, "/quit\n");
  talker->said++;
  if (troupe_socket_write(talker->socket, text, (size_t)length, NULL, NULL) >= 0 &&
      talker->said <= LINES) {
    troupe_timer_start(&talker->pace, 1 + (unsigned)(troupe_random() % PACE_MS), 0, say_next,
                       talker);
  }
}

static void understand(talker_t *talker) {
  const char *said = strstr(talker->line, "SAY ");
  char *end = NULL;
  if (strncmp(talker->line, "* welcome", 9) == 0 && !talker->welcome) {
    talker->welcome = true;
    say_next((troupe_timer_t){0}, talker);
  } else if (strcmp(talker->line, "* good-bye") == 0) {
    talker->farewell = true;
  } else if (said != NULL) {
    uint64_t session = strtoull(said + 4, &end, 16);
    hear(talker, session, (unsigned)strtoul(end, NULL, 10));
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  talker_t *talker = context;
  (void)socket;
  const char *bytes = troupe_chunk_bytes(chunk);
  for (size_t i = 0; i < troupe_chunk_length(chunk); i++) {
    if (bytes[i] != '\n') {
      talker->wrong |= talker->length + 1 >= sizeof talker->line;
      talker->line[talker->length % sizeof talker->line] = bytes[i];
      talker->length++;
      continue;
    }
    talker->line[talker->length % sizeof talker->line] = '\0';
    talker->length = 0;
    understand(talker);
  }
}

static void on_retry(troupe_timer_t timer, void *context) {
  (void)timer;
  connect_again(context);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  talker_t *talker = context;
  (void)socket;
  (void)had_error;
  if (talker->pace.id != 0) {
    troupe_timer_stop(talker->pace);
    talker->pace.id = 0;
  }
  if (talker->wrong) {
    troupe_actor_end(TROUPE_EPROTO);
  } else if (talker->farewell && talker->said > LINES) {
    talker->done = true;
  } else {
    troupe_timer_start(NULL, RETRY_MS, 0, on_retry, talker);
  }
}

static void connect_again(talker_t *talker) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_close = on_close};
  const troupe_connect_options_t to = {.host = "chat", .port = CHAT_PORT};
  talker->session = troupe_random();
  talker->said = 0;
  talker->length = 0;
  talker->welcome = talker->farewell = false;
  talker->heard_count = 0; // a new ear
  int error = troupe_connect(&to, NULL, &handlers, talker, &talker->socket);
  if (error < 0) {
    troupe_actor_end(error);
  }
}

static int talk(void *argument) {
  (void)argument;
  talker_t *talker = calloc(1, sizeof *talker);
  if (talker == NULL) {
    return TROUPE_ENOMEM;
  }
  connect_again(talker);
  int status = troupe_actor_run();
  status = status < 0 ? status : talker->done ? 0 : (int)TROUPE_EOF;
  free(talker);
  return status;
}

// ---- The world ----

int chat_start(troupe_system_t *system, void *context) {
  (void)context;
  program_replays = true; // says nothing
  config_t config = {.target = {.port = CHAT_PORT}, .actors = 2, .queue = (size_t)64 * 1024};
  const troupe_spawn_options_t service = {.name = "chat",
                                          .main = chat_actor,
                                          .argument = &config,
                                          .argument_size = sizeof config,
                                          .copies = config.actors};
  const troupe_spawn_options_t people = {.name = "talker", .main = talk, .copies = PEOPLE};
  troupe_actor_t actors[ACTORS_MAX], talkers[PEOPLE];
  int error = troupe_spawn(system, &service, actors);
  if (error == 0) {
    error = chat_introduce(system, actors, config.actors);
  }
  if (error == 0) {
    error = troupe_spawn(system, &people, talkers);
  }
  for (unsigned i = 0; i < PEOPLE && error == 0; i++) {
    error = troupe_sim_await(system, talkers[i]);
  }
  return error;
}
