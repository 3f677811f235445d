// Servers. One is made for each listen, and lives until its last connection is gone.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "binding.h"

enum { LISTEN_MS = 10000 };

// What a listen said, while it is waited for.
typedef struct outcome {
  napi_env env;
  napi_value error;
} outcome_t;

static _Thread_local outcome_t *waiting;

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  const entry_t *entry = context;
  const entry_t *accepted = socket_accepted(entry->binding, socket);
  if (accepted != NULL) {
    thread_accepts(entry->binding->thread);
    event_add(entry->binding, EVENT_CONNECTION, accepted->index, (int32_t)entry->index, 0);
  }
}

static void on_error(troupe_server_t server, const troupe_error_t *error, void *context) {
  (void)server;
  (void)context;
  if (waiting != NULL) {
    waiting->error = value_of_error(waiting->env, error);
  }
}

static void on_close(troupe_server_t server, void *context) {
  (void)server;
  entry_t *entry = context;
  entry->handle = 0;
  if (entry->abandoned) {
    entry_free(entry);
  } else {
    event_add(entry->binding, EVENT_SERVER_CLOSE, entry->index, 0, 0);
  }
}

static const troupe_server_handlers_t server_handlers = {
    .on_connection = on_connection,
    .on_error = on_error,
    .on_close = on_close,
};

// It could not listen. One that has no answer yet is closed when that has come.
static void give_up(entry_t *entry, troupe_server_t server) {
  if (server.id != 0) {
    troupe_server_free(server);
    entry->abandoned = troupe_server_unref(server) == 0;
  }
  if (!entry->abandoned) {
    entry_free(entry);
  }
}

static napi_value plain_error(napi_env env, int code) {
  troupe_error_t error = {
      .code = code, .name = troupe_error_name(code), .message = troupe_error_message(code)};
  return value_of_error(env, &error);
}

static napi_value listening(napi_env env, const entry_t *entry) {
  napi_value result = NULL;
  troupe_address_t address;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "index", value_of_int(env, entry->index));
  if (troupe_server_address((troupe_server_t){.id = entry->handle}, &address) == 0) {
    napi_set_named_property(env, result, "address", value_of_address(env, &address));
  }
  return result;
}

// Node does not close the standard streams, nor what is in somebody else's handle: the library gets a copy.
static int own_descriptor(int fd, bool is_elses) {
  bool copies = fd >= 0 && (is_elses || fd <= STDERR_FILENO);
  int copy = copies ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
  return copy < 0 ? fd : copy;
}

// serverListen(options): {index, address: [address, port, family]}, or an error's {code, …}.
static napi_value server_listen(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  napi_value object = argument[0];
  binding_t *binding = binding_of(env);
  entry_t *entry = entry_new(binding);
  if (entry == NULL) {
    return plain_error(env, TROUPE_ENOMEM);
  }
  size_t length = 0;
  size_t path_length = 0;
  char *path = text_property(env, object, "path", &path_length);
  char *host = text_property(env, object, "host", &length);
  int given = (int)int_property(env, object, "fd", -1);
  int fd = own_descriptor(given, bool_property(env, object, "copy"));
  troupe_server_options_t options = {
      .allow_half_open = true,
      .pause_on_connect = bool_property(env, object, "pauseOnConnect"),
      .high_water_mark = (size_t)int_property(env, object, "highWaterMark", 0),
      .write_limit = TROUPE_WRITE_LIMIT_NONE,
      .reset_ends = true,
      .no_delay = bool_property(env, object, "noDelay") ? TROUPE_ON : TROUPE_DEFAULT,
      .keep_alive = bool_property(env, object, "keepAlive") ? TROUPE_ON : TROUPE_DEFAULT,
      .keep_alive_initial_delay_ms = (unsigned)int_property(env, object, "keepAliveDelay", 0),
  };
  troupe_listen_options_t where = {
      .path = path,
      .path_length = cut_path(path_length),
      .host = host,
      .port = (int)int_property(env, object, "port", 0),
      .backlog = (int)int_property(env, object, "backlog", 0),
      .exclusive = bool_property(env, object, "exclusive"),
      .ipv6_only = bool_property(env, object, "ipv6Only"),
      .readable_all = bool_property(env, object, "readableAll"),
      .writable_all = bool_property(env, object, "writableAll"),
      .use_fd = fd >= 0,
      .fd = fd,
  };
  outcome_t outcome = {.env = env};
  troupe_server_t server = {0};
  int error = troupe_server_new(&options, &server_handlers, entry, &server);
  waiting = &outcome;
  if (error == 0) {
    entry->handle = server.id;
    error = troupe_server_listen(server, &where);
    if (error != 0 && fd != given) {
      (void)close(fd);
    }
    error = error == 0 ? troupe_server_listen_wait(server, LISTEN_MS) : error;
  }
  waiting = NULL;
  free(path);
  free(host);
  napi_value result = NULL;
  if (error == 0) {
    result = listening(env, entry);
  } else {
    result = outcome.error != NULL ? outcome.error : plain_error(env, error);
    give_up(entry, server);
  }
  binding_settle(binding);
  return result;
}

// serverClose(index): the address is free when it returns.
static napi_value server_close(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  binding_t *binding = binding_of(env);
  const entry_t *entry = entry_at(binding, index_argument(env, argument[0]));
  if (entry != NULL && entry->handle != 0) {
    troupe_server_t server = {.id = entry->handle};
    troupe_server_unref(server); // from here on its connections hold, or do not
    troupe_server_free(server);
    thread_wait_for_io();
    binding_settle(binding);
  }
  return NULL;
}

// serverHold(index, holds)
static napi_value server_hold(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  arguments_of(env, info, 2, argument);
  binding_t *binding = binding_of(env);
  const entry_t *entry = entry_at(binding, index_argument(env, argument[0]));
  if (entry != NULL && entry->handle != 0) {
    troupe_server_t server = {.id = entry->handle};
    (void)(bool_argument(env, argument[1]) ? troupe_server_ref(server)
                                           : troupe_server_unref(server));
    binding_settle(binding);
  }
  return NULL;
}

// serverFree(index): JavaScript has heard of its close.
static napi_value server_free(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  entry_t *entry = entry_at(binding_of(env), index_argument(env, argument[0]));
  if (entry != NULL) {
    entry_free(entry);
  }
  return NULL;
}

napi_status servers_export(napi_env env, napi_value exports) {
  static const function_t functions[] = {
      {"serverListen", server_listen},
      {"serverClose", server_close},
      {"serverHold", server_hold},
      {"serverFree", server_free},
  };
  return export_functions(env, exports, functions, sizeof functions / sizeof functions[0]);
}
