/// How many connections a server has, and what became of the others: questions to the I/O actor,
/// one for each listen that is not over.
#include <stdlib.h>

#include "core/net/server.h"

static int ask(troupe_server_t handle, const trp_ask_t *question, bool group);
static int ask_all(trp_server_t *server, trp_ask_t *ask);
static int ask_one(trp_listening_t *listening, trp_ask_t *ask, bool group);
static void add(troupe_server_counts_t *sum, const Troupe__Wire__Count *count);

int troupe_server_get_connections(troupe_server_t handle, troupe_connections_fn on_count,
                                  void *context) {
  return ask(handle, &(trp_ask_t){.on_connections = on_count, .context = context}, false);
}

int troupe_server_get_group_connections(troupe_server_t handle, troupe_connections_fn on_count,
                                        void *context) {
  return ask(handle, &(trp_ask_t){.on_connections = on_count, .context = context}, true);
}

int troupe_server_get_counts(troupe_server_t handle, troupe_server_counts_fn on_counts,
                             void *context) {
  return ask(handle, &(trp_ask_t){.on_counts = on_counts, .context = context}, false);
}

static int ask(troupe_server_t handle, const trp_ask_t *question, bool group) {
  trp_server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  if (question->on_connections == NULL && question->on_counts == NULL) {
    return TROUPE_EINVAL;
  }
  trp_ask_t *ask = malloc(sizeof *ask);
  if (ask == NULL) {
    return TROUPE_ENOMEM;
  }
  *ask = *question;
  ask->token = ++server->last_token;
  ask->counts = server->past;
  if (!group) {
    error = ask_all(server, ask);
  } else if (server->current != NULL) {
    error = ask_one(server->current, ask, true);
  }
  if (error != 0) {
    free(ask); // answers that come are to a token that nobody waits for
    return error;
  }
  trp_ask_t **last = &server->asks;
  while (*last != NULL) {
    last = &(*last)->next;
  }
  *last = ask;
  if (ask->waiting == 0) {
    trp_object_later(&server->object);
  }
  return 0;
}

static int ask_all(trp_server_t *server, trp_ask_t *ask) {
  int error = ask_one(&server->own, ask, false);
  for (trp_listening_t *other = server->others; other != NULL && error == 0; other = other->next) {
    error = ask_one(other, ask, false);
  }
  return error;
}

static int ask_one(trp_listening_t *listening, trp_ask_t *ask, bool group) {
  trp_message_t *message = NULL;
  if (listening->state == TRP_LISTEN_NONE) {
    return 0;
  }
  int error = trp_listening_command(listening, TRP_KIND(COMMAND_COUNT), &message);
  if (error != 0) {
    return error;
  }
  trp_out_t *out = trp_actor_out(listening->server->object.actor, listening->wire);
  Troupe__Wire__Count *count = trp_out_take(out, sizeof *count);
  if (count == NULL) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  *count = (Troupe__Wire__Count)TROUPE__WIRE__COUNT__INIT;
  count->token = ask->token;
  count->group = group;
  message->detail_case = TRP_DETAIL(COUNT);
  message->count = count;
  listening->asked = ask->token;
  ask->waiting++;
  return 0;
}

void trp_server_counted(trp_listening_t *listening, const Troupe__Wire__Count *count) {
  trp_server_t *server = listening->server;
  listening->answered = count->token;
  for (trp_ask_t *ask = server->asks; ask != NULL; ask = ask->next) {
    if (ask->token == count->token && ask->waiting > 0) {
      ask->waiting--;
      ask->counts.connections += count->connections;
      add(&ask->counts, count);
    }
  }
  trp_server_answer(server);
}

void trp_server_count_out(trp_listening_t *listening, const trp_message_t *close) {
  if (close->detail_case != TRP_DETAIL(COUNT)) {
    return;
  }
  add(&listening->server->past, close->count);
  // The answer, if it comes, is that there is no such server.
  for (trp_ask_t *ask = listening->server->asks; ask != NULL; ask = ask->next) {
    if (ask->token > listening->answered && ask->token <= listening->asked) {
      add(&ask->counts, close->count);
    }
  }
}

void trp_server_skip_answers(const trp_listening_t *listening) {
  for (trp_ask_t *ask = listening->server->asks; ask != NULL; ask = ask->next) {
    ask->waiting -= ask->token > listening->answered && ask->token <= listening->asked;
  }
  trp_object_later(&listening->server->object);
}

void trp_server_answer(trp_server_t *server) {
  while (server->asks != NULL && server->asks->waiting == 0) {
    trp_ask_t ask = *server->asks;
    free(server->asks);
    server->asks = ask.next;
    trp_actor_enter(server->object.actor);
    if (ask.on_counts != NULL) {
      ask.on_counts(trp_server_handle(server), &ask.counts, ask.context);
    } else {
      ask.on_connections(trp_server_handle(server), ask.counts.connections, ask.context);
    }
    trp_actor_leave(server->object.actor);
  }
}

void trp_server_forget_asks(trp_server_t *server) {
  while (server->asks != NULL) {
    trp_ask_t *ask = server->asks;
    server->asks = ask->next;
    free(ask);
  }
}

/// All but the connections that are open.
static void add(troupe_server_counts_t *sum, const Troupe__Wire__Count *count) {
  sum->accepted += count->accepted;
  sum->dropped += count->dropped;
  sum->blocked += count->blocked;
  sum->capped += count->capped;
}
