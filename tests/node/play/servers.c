// Servers: their events, and what is done with them.
#include <stdlib.h>
#include <string.h>

#include "tests/node/play/stage.h"

static void on_listening(troupe_server_t server, void *context) {
  object_t *object = context;
  troupe_address_t address;
  if (troupe_server_address(server, &address) == 0 && address.port != 0) {
    stage_name_port(object->stage, address.port, object->name);
  }
  tell(object, "listening", "listening");
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  object_t *object = context;
  object_t *connection = stage_add(object->stage,
                                   need_text("%s%u", object->name, ++object->accepted));
  connection->is_socket = true;
  connection->socket = socket;
  (void)troupe_socket_set_handlers(socket, object->no_data ? &waiting : &consuming, connection);
  tell(object, "connection", "connection %s%s", connection->name, flags_text(connection));
}

static void on_drop(troupe_server_t server, const troupe_drop_t *drop, void *context) {
  (void)server;
  object_t *object = context;
  for (uint64_t i = 0; i < drop->count; i++) {
    if (drop->local.family == TROUPE_FAMILY_UNIX) {
      tell(object, "drop", "drop none");
    } else {
      tell(object, "drop", "drop local=%s remote=%s", address_text(object->stage, &drop->local),
           address_text(object->stage, &drop->remote));
    }
  }
}

static void on_error(troupe_server_t server, const troupe_error_t *error, void *context) {
  (void)server;
  object_t *object = context;
  tell(object, "error", "%s", error_text(object, error));
}

static void on_close(troupe_server_t server, void *context) {
  (void)server;
  object_t *object = context;
  tell(object, "close", "close");
  if (object->callbacks > 0) {
    object->callbacks--;
    stage_print(object->stage, object->name, "closed ok");
  }
  if (object->disposes) {
    object->disposes = false;
    stage_print(object->stage, object->name, "disposed");
  }
}

static const troupe_server_handlers_t handlers = {
    .on_listening = on_listening,
    .on_connection = on_connection,
    .on_drop = on_drop,
    .on_error = on_error,
    .on_close = on_close,
};

static void print_call(const object_t *object, const char *name, int result) {
  if (result < 0) {
    stage_print(object->stage, object->name, "%s() threw %s", name, troupe_error_name(result));
  } else {
    stage_print(object->stage, object->name, "%s() ok", name);
  }
}

static void make(stage_t *stage, const action_t *action) {
  object_t *object = stage_add(stage, action->words[1]);
  const char *mark = action_option(action, "highWaterMark");
  const char *limit = action_option(action, "maxConnections");
  object->no_data = action_has(action, "noData");
  troupe_server_options_t options = {
      .allow_half_open = action_has(action, "allowHalfOpen"),
      .pause_on_connect = action_has(action, "pauseOnConnect"),
      .high_water_mark = mark != NULL ? (size_t)atol(mark) : 0,
      .write_limit = TROUPE_WRITE_LIMIT_NONE, // Node has none
      .no_delay = action_has(action, "noDelay") ? TROUPE_ON : TROUPE_DEFAULT,
      .keep_alive = action_has(action, "keepAlive") ? TROUPE_ON : TROUPE_DEFAULT,
      .max_connections = limit != NULL ? atol(limit) : 0,
  };
  int result = troupe_server_new(&options, &handlers, object, &object->server);
  if (result < 0) {
    print_call(object, "server", result);
  }
}

static void listen_on(object_t *object, const action_t *action) {
  stage_t *stage = object->stage;
  const char *port = action_option(action, "port");
  const char *path = action_option(action, "path");
  const char *backlog = action_option(action, "backlog");
  const char *fd = action_option(action, "fd");
  const char *like = action_option(action, "like");
  troupe_listen_options_t options = {
      .host = action_option(action, "host"),
      .port = port != NULL ? stage_port(stage, port) : 0,
      .backlog = backlog != NULL ? atoi(backlog) : 0,
      .exclusive = action_has(action, "exclusive"),
      .ipv6_only = action_has(action, "ipv6Only"),
      .readable_all = action_has(action, "readableAll"),
      .writable_all = action_has(action, "writableAll"),
      .signal = signal_of(object, action),
      .use_fd = fd != NULL,
      .fd = fd != NULL ? take_descriptor(object->stage, fd) : 0,
  };
  if (path != NULL) {
    options.path = path_text(stage, path, &options.path_length);
  }
  if (like != NULL) {
    options.share_with = stage_object(stage, like)->server;
  }
  print_call(object, "listen", troupe_server_listen(object->server, &options));
}

static void close_server(object_t *object, const action_t *action) {
  int result = troupe_server_close(object->server);
  if (result == 0 && action_option(action, "cb") != NULL) {
    object->callbacks++;
  }
  print_call(object, "close", result);
}

static void dispose(object_t *object) {
  int result = troupe_server_close(object->server);
  object->disposes = result == 0;
  print_call(object, "asyncDispose", result);
}

static void print_address(const object_t *object) {
  troupe_address_t address;
  if (troupe_server_address(object->server, &address) != 0) {
    stage_print(object->stage, object->name, "address none");
  } else if (address.family == TROUPE_FAMILY_UNIX) {
    stage_print(object->stage, object->name, "address %s", goal_text(object->stage, &address));
  } else {
    stage_print(object->stage, object->name, "address %s", address_text(object->stage, &address));
  }
}

static void on_count(troupe_server_t server, uint64_t count, void *context) {
  (void)server;
  const object_t *object = context;
  stage_print(object->stage, object->name, "connections %ju", (uintmax_t)count);
  fire(object->stage, object->name, "connections");
}

bool perform_server(stage_t *stage, const action_t *action) {
  const char *verb = action->words[0];
  if (strcmp(verb, "server") == 0) {
    make(stage, action);
    return true;
  }
  static const char *const verbs[] = {"dispose",   "listen",      "close",          "address",
                                      "listening", "connections", "maxConnections", "ref",
                                      "unref",     "abort"};
  bool ours = false;
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
    ours = ours || strcmp(verb, verbs[i]) == 0;
  }
  if (!ours) {
    return false;
  }
  object_t *object = stage_object(stage, action->words[1]);
  if (strcmp(verb, "listen") == 0) {
    listen_on(object, action);
  } else if (strcmp(verb, "close") == 0) {
    close_server(object, action);
  } else if (strcmp(verb, "dispose") == 0) {
    dispose(object);
  } else if (strcmp(verb, "abort") == 0) {
    (void)troupe_abort(NULL, object->signal);
  } else if (strcmp(verb, "address") == 0) {
    print_address(object);
  } else if (strcmp(verb, "listening") == 0) {
    stage_print(stage, object->name, "listening %s",
                troupe_server_listening(object->server) ? "true" : "false");
  } else if (strcmp(verb, "connections") == 0) {
    print_call(object, "getConnections",
               troupe_server_get_connections(object->server, on_count, object));
  } else if (strcmp(verb, "maxConnections") == 0) {
    (void)troupe_server_set_max_connections(object->server, atol(action->words[2]));
  } else if (strcmp(verb, "ref") == 0) {
    print_call(object, verb, troupe_server_ref(object->server));
  } else {
    print_call(object, verb, troupe_server_unref(object->server));
  }
  return true;
}
