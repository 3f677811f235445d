/* An actor of the chat: from its first connection to its last. */
#include <stdio.h>
#include <string.h>

#include "chat.h"

enum { KEEP_ALIVE_MS = 60000 };

void chat_fail(chat_t *chat, int error) {
  fprintf(stderr, "chat: actor %u ends: %s\n", chat->index, troupe_error_message(error));
  troupe_actor_end(error);
}

static int serve(chat_t *chat) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  troupe_server_t server;
  troupe_server_options_t options = {
      .allow_half_open = true,
      .no_delay = TROUPE_ON,
      .keep_alive = TROUPE_ON,
      .keep_alive_initial_delay_ms = KEEP_ALIVE_MS,
      .write_limit = chat->config->queue + FAREWELL_RESERVE,
  };
  troupe_actor_on_message(on_message, chat);
  troupe_actor_on_sendable(on_sendable, chat);
  troupe_actor_on_stop(members_stop, chat);
  int error = troupe_server_new(&options, &handlers, chat, &server);
  if (error == 0) {
    error = program_listen(server, &chat->config->target, chat->config->actors);
  }
  return error < 0 ? error : troupe_actor_run();
}

int chat_actor(void *argument) {
  chat_t chat = {.config = argument, .index = troupe_actor_index()};
  if (!relay_open(&chat)) {
    return TROUPE_ENOMEM;
  }
  LIST_INIT(&chat.members);
  TAILQ_INIT(&chat.ready);
  TAILQ_INIT(&chat.behind);
  TAILQ_INIT(&chat.slow);
  int status = serve(&chat);
  members_free(&chat);
  people_free(&chat);
  names_free(&chat);
  relay_free(&chat);
  return status;
}

int chat_introduce(troupe_system_t *system, const troupe_actor_t *actors, unsigned count) {
  const head_t head = {.what = ACTORS};
  char message[sizeof head + ACTORS_MAX * sizeof *actors];
  size_t length = sizeof head + count * sizeof *actors;
  memcpy(message, &head, sizeof head);
  memcpy(message + sizeof head, actors, count * sizeof *actors);
  for (unsigned i = 0; i < count; i++) {
    int error = troupe_post(system, actors[i], message, length);
    if (error < 0) {
      return error;
    }
  }
  return 0;
}
