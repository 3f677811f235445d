// Sockets: their events, and what is done with them.
#include <stdlib.h>
#include <string.h>

#include "tests/node/play/stage.h"

// ---- Events ----

static void on_lookup(troupe_socket_t socket, const troupe_lookup_t *lookup, void *context) {
  (void)socket;
  object_t *object = context;
  if (lookup->error != NULL) {
    tell(object, "lookup", "lookup %s host=%s", error_text(object, lookup->error), lookup->host);
    return;
  }
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  (void)troupe_address_text(lookup->address, text, sizeof text);
  tell(object, "lookup", "lookup %s %d host=%s", text, lookup->family, lookup->host);
}

static void on_connection_attempt(troupe_socket_t socket, const troupe_address_t *address,
                                  void *context) {
  (void)socket;
  object_t *object = context;
  tell(object, "connectionAttempt", "connectionAttempt %s", goal_text(object->stage, address));
}

static void on_connection_attempt_failed(troupe_socket_t socket, const troupe_address_t *address,
                                         const troupe_error_t *error, void *context) {
  (void)socket;
  object_t *object = context;
  tell(object, "connectionAttemptFailed", "connectionAttemptFailed %s %s",
       goal_text(object->stage, address), error_text(object, error));
}

static void on_connection_attempt_timeout(troupe_socket_t socket, const troupe_address_t *address,
                                          void *context) {
  (void)socket;
  object_t *object = context;
  tell(object, "connectionAttemptTimeout", "connectionAttemptTimeout %s",
       goal_text(object->stage, address));
}

static void on_connect(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "connect", "connect");
}

static void on_ready(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "ready", "ready");
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)socket;
  object_t *object = context;
  size_t length = troupe_chunk_length(chunk);
  stage_print_data(object, "data", troupe_chunk_bytes(chunk), length, true);
  fire(object->stage, object->name, "data");
  received(object, length);
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "drain", "drain");
}

static void on_end(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "end", "end");
}

static void on_timeout(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "timeout", "timeout");
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  (void)socket;
  object_t *object = context;
  tell(object, "error", "%s", error_text(object, error));
  for (size_t i = 0; i < error->error_count; i++) {
    stage_print(object->stage, object->name, "part %s", error_text(object, &error->errors[i]));
  }
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  tell(context, "close", "close %s", had_error ? "true" : "false");
}

const troupe_socket_handlers_t consuming = {
    .on_lookup = on_lookup,
    .on_connection_attempt = on_connection_attempt,
    .on_connection_attempt_failed = on_connection_attempt_failed,
    .on_connection_attempt_timeout = on_connection_attempt_timeout,
    .on_connect = on_connect,
    .on_ready = on_ready,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_error = on_error,
    .on_close = on_close,
};

const troupe_socket_handlers_t waiting = {
    .on_lookup = on_lookup,
    .on_connection_attempt = on_connection_attempt,
    .on_connection_attempt_failed = on_connection_attempt_failed,
    .on_connection_attempt_timeout = on_connection_attempt_timeout,
    .on_connect = on_connect,
    .on_ready = on_ready,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_error = on_error,
    .on_close = on_close,
};

// ---- Helpers ----

enum { PATTERN_SIZE = 65521 };

static void print_call(const object_t *object, const char *name, int result) {
  if (result < 0) {
    stage_print(object->stage, object->name, "%s() threw %s", name, troupe_error_name(result));
  } else {
    stage_print(object->stage, object->name, "%s() ok", name);
  }
}

troupe_abort_t signal_of(object_t *object, const action_t *action) {
  if (!action_has(action, "signal")) {
    return (troupe_abort_t){0};
  }
  if (troupe_abort_new(&object->signal) == 0 && action_has(action, "aborted")) {
    (void)troupe_abort(NULL, object->signal);
  }
  return object->signal;
}

static int error_of(const char *name) {
#define OF_NAME(symbol, value, text, message)                                                      \
  if (strcmp(text, name) == 0) {                                                                   \
    return value;                                                                                  \
  }
  TROUPE_ERRORS(OF_NAME)
#undef OF_NAME
  fprintf(stderr, "play: what is the error '%s'?\n", name);
  exit(2);
}

typedef struct {
  object_t *object;
  const char *name;
} written_t;

static void on_written(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  const written_t *written = context;
  stage_t *stage = written->object->stage;
  stage_print(stage, written->object->name, "written %s %s", written->name,
              error != 0 ? troupe_error_name(error) : "ok");
  fire(stage, written->object->name, written->name);
}

static written_t *written_of(object_t *object, const action_t *action) {
  const char *name = action_option(action, "cb");
  if (name == NULL) {
    return NULL;
  }
  written_t *written = need(sizeof *written);
  *written = (written_t){.object = object, .name = name};
  return written;
}

// Printable bytes, and no short period.
static const char *pattern(void) {
  static char bytes[PATTERN_SIZE];
  for (size_t at = 0; bytes[0] == '\0' && at < PATTERN_SIZE; at++) {
    size_t last = PATTERN_SIZE - 1 - at; // the first byte comes last and says that it is made
    bytes[last] = (char)(33 + (last * 31 + last / 89) % 93);
  }
  return bytes;
}

// A number of bytes of the pattern, or a text.
static const char *content(object_t *object, const char *text, size_t *length) {
  *length = strlen(text);
  if (strspn(text, "0123456789") < *length) {
    return text;
  }
  *length = (size_t)atol(text);
  char *bytes = need(*length);
  for (size_t done = 0; done < *length;) {
    size_t from = object->offset % PATTERN_SIZE;
    size_t count = PATTERN_SIZE - from < *length - done ? PATTERN_SIZE - from : *length - done;
    memcpy(bytes + done, pattern() + from, count);
    done += count;
    object->offset += count;
  }
  return bytes;
}

// The encoding of an option; one that does not exist is none of the enum.
static troupe_encoding_t encoding_of(const char *name) {
  troupe_encoding_t encoding = (troupe_encoding_t)99;
  (void)troupe_encoding_parse(&encoding, name, strlen(name));
  return encoding;
}

static size_t high_water_mark(const char *text) {
  size_t mark = text != NULL ? (size_t)atol(text) : 0;
  return text != NULL && mark == 0 ? TROUPE_HIGH_WATER_MARK_ZERO : mark;
}

// ---- Look-ups ----

enum { MAX_FOUND = 8 };

static void answer_lookup(void *context) {
  object_t *object = context;
  if (object->answer[0] == 'E') {
    object->own_error = error_of(object->answer);
    (void)troupe_socket_answer_lookup(object->socket, object->own_error, NULL, 0);
    return;
  }
  troupe_address_t found[MAX_FOUND];
  size_t count = 0;
  char *copy = need_text("%s", object->answer);
  for (char *item = strsep(&copy, ","); item != NULL && count < MAX_FOUND;
       item = strsep(&copy, ",")) {
    size_t length = strcspn(item, "/");
    (void)troupe_address_parse(&found[count], item, length, 0);
    if (item[length] == '/') {
      found[count].family = (uint8_t)atoi(item + length + 1);
    }
    count++;
  }
  (void)troupe_socket_answer_lookup(object->socket, 0, found, count);
}

static void look_up(troupe_socket_t socket, const char *host, int family, unsigned hints,
                    void *context) {
  (void)socket;
  object_t *object = context;
  stage_print(object->stage, object->name, "lookup() host=%s family=%d hints=%u", host, family,
              hints);
  if (strcmp(object->answer, "hold") != 0) {
    soon(object->stage, answer_lookup, object);
  }
  fire(object->stage, object->name, "lookup()");
}

// ---- Buffers ----

static void *next_buffer(troupe_socket_t socket, size_t *size, void *context) {
  (void)socket;
  object_t *object = context;
  stage_print(object->stage, object->name, "buffer()");
  *size = object->buffer_size;
  return need(*size);
}

static bool on_read(troupe_socket_t socket, size_t length, void *buffer, void *context) {
  (void)socket;
  object_t *object = context;
  stage_print_data(object, "onread", buffer, length, !object->stop);
  received(object, length);
  fire(object->stage, object->name, "onread");
  return !object->stop;
}

static void set_onread(object_t *object, const char *text) {
  const char *colon = strchr(text, ':');
  object->buffer_size = (size_t)atol(colon != NULL ? colon + 1 : text);
  object->onread.callback = on_read;
  if (colon != NULL) {
    object->onread.next_buffer = next_buffer;
  } else {
    object->onread.buffer = need(object->buffer_size);
    object->onread.size = object->buffer_size;
  }
}

// ---- Verbs ----

static void make(stage_t *stage, const action_t *action) {
  object_t *object = stage_add(stage, action->words[1]);
  const char *onread = action_option(action, "onread");
  const char *timeout = action_option(action, "timeout");
  const char *fd = action_option(action, "fd");
  object->no_data = action_has(action, "noData");
  object->stop = action_has(action, "stop");
  if (onread != NULL) {
    set_onread(object, onread);
  }
  troupe_socket_options_t options = {
      .allow_half_open = action_has(action, "allowHalfOpen"),
      .high_water_mark = high_water_mark(action_option(action, "highWaterMark")),
      .write_limit = TROUPE_WRITE_LIMIT_NONE, // Node has none
      .no_delay = action_has(action, "noDelay") ? TROUPE_ON : TROUPE_DEFAULT,
      .keep_alive = action_has(action, "keepAlive") ? TROUPE_ON : TROUPE_DEFAULT,
      .timeout_ms = timeout != NULL ? (unsigned)atol(timeout) : 0,
      .onread = onread != NULL ? &object->onread : NULL,
      .signal = signal_of(object, action),
  };
  const troupe_socket_handlers_t *handlers = object->no_data ? &waiting : &consuming;
  int result;
  if (fd != NULL) {
    unsigned directions = (action_has(action, "readable") ? TROUPE_READABLE : 0U) |
                          (action_has(action, "writable") ? TROUPE_WRITABLE : 0U);
    result = troupe_socket_adopt(take_descriptor(stage, fd), directions, &options, handlers, object,
                                 &object->socket);
  } else {
    result = troupe_socket_new(&options, handlers, object, &object->socket);
  }
  if (result < 0) {
    print_call(object, "socket", result);
    return;
  }
  object->is_socket = true;
  stage_print(stage, object->name, "socket() ok%s", flags_text(object));
}

// What makes and connects in one call: the short forms, where port and host or the path are all.
static void open_connection(stage_t *stage, const action_t *action) {
  object_t *object = stage_add(stage, action->words[1]);
  const char *port = action_option(action, "port");
  const char *host = action_option(action, "host");
  const char *path = action_option(action, "path");
  const char *timeout = action_option(action, "timeout");
  bool half_open = action_has(action, "allowHalfOpen");
  object->is_socket = true;
  int result;
  if (half_open || timeout != NULL) {
    result = troupe_connect(
        &(troupe_connect_options_t){.port = stage_port(stage, port), .host = host},
        &(troupe_socket_options_t){.allow_half_open = half_open,
                                   .timeout_ms = timeout != NULL ? (unsigned)atol(timeout) : 0},
        &consuming, object, &object->socket);
  } else if (path != NULL) {
    size_t length;
    result = troupe_connect_path(path_text(stage, path, &length), &consuming, object,
                                 &object->socket);
  } else {
    result = troupe_connect_port(stage_port(stage, port), host, &consuming, object,
                                 &object->socket);
  }
  print_call(object, "createConnection", result);
}

static void connect_to(object_t *object, const action_t *action) {
  stage_t *stage = object->stage;
  troupe_connect_options_t options = {0};
  for (size_t i = 2; i < action->count; i++) {
    const char *value = strchr(action->words[i], '=') + 1;
    char *key = need_text("%.*s", (int)(value - action->words[i] - 1), action->words[i]);
    if (strcmp(key, "host") == 0) {
      options.host = value;
    } else if (strcmp(key, "port") == 0) {
      options.port = stage_port(stage, value);
    } else if (strcmp(key, "localAddress") == 0) {
      options.local_address = value;
    } else if (strcmp(key, "localPort") == 0) {
      options.local_port = stage_port(stage, value);
    } else if (strcmp(key, "path") == 0) {
      options.path = path_text(stage, value, &options.path_length);
    } else if (strcmp(key, "lookup") == 0) {
      options.lookup = look_up;
      options.lookup_context = object;
      object->answer = value;
    } else if (strcmp(key, "autoSelectFamily") == 0) {
      options.auto_select_family = strcmp(value, "on") == 0 ? TROUPE_ON : TROUPE_OFF;
    } else if (strcmp(key, "attemptTimeout") == 0) {
      options.auto_select_family_attempt_timeout_ms = (unsigned)strtoul(value, NULL, 10);
    } else if (strcmp(key, "family") == 0) {
      options.family = atoi(value);
    } else if (strcmp(key, "hints") == 0) {
      options.hints = (unsigned)atol(value);
    }
  }
  line_t *line = stage_reserve(object->stage, object->name); // before what the look-up prints
  int result = troupe_socket_connect(object->socket, &options);
  line->text = result < 0 ? need_text("connect() threw %s", troupe_error_name(result))
                          : "connect() ok";
}

static void write_to(object_t *object, const action_t *action) {
  const char *text = action->words[2];
  const char *as = action_option(action, "as");
  written_t *written = written_of(object, action);
  troupe_written_fn call = written != NULL ? on_written : NULL;
  int result;
  if (as != NULL) {
    result = troupe_socket_write_text(object->socket, text, strlen(text), encoding_of(as), call,
                                      written);
  } else {
    size_t length;
    const char *bytes = content(object, text, &length);
    result = troupe_socket_write(object->socket, bytes, length, call, written);
  }
  if (result < 0) {
    print_call(object, "write", result);
  } else {
    stage_print(object->stage, object->name, "write() %s", result == 1 ? "true" : "false");
  }
}

static void end(object_t *object, const action_t *action) {
  written_t *written = written_of(object, action);
  troupe_written_fn call = written != NULL ? on_written : NULL;
  const char *as = action_option(action, "as");
  int result;
  if (as != NULL) {
    const char *text = action->words[2];
    result = troupe_socket_end_with_text(object->socket, text, strlen(text), encoding_of(as), call,
                                         written);
  } else if (action->count > 2 && strchr(action->words[2], '=') == NULL) {
    size_t length;
    const char *bytes = content(object, action->words[2], &length);
    result = troupe_socket_end_with(object->socket, bytes, length, call, written);
  } else {
    result = troupe_socket_end(object->socket, call, written);
  }
  print_call(object, "end", result);
}

static void destroy(object_t *object, const action_t *action) {
  const char *name = action_option(action, "error");
  int error = name != NULL ? error_of(name) : 0;
  if (error != 0 && !troupe_socket_destroyed(object->socket)) {
    object->own_error = error;
  }
  print_call(object, "destroy", troupe_socket_destroy(object->socket, error));
}

static void print_addresses(const object_t *object) {
  troupe_address_t local;
  troupe_address_t remote;
  (void)troupe_socket_local_address(object->socket, &local);
  (void)troupe_socket_remote_address(object->socket, &remote);
  stage_print(object->stage, object->name, "local %s remote %s",
              address_text(object->stage, &local), address_text(object->stage, &remote));
}

static void print_attempted(const object_t *object) {
  troupe_address_t addresses[MAX_FOUND];
  int count = troupe_socket_attempted_addresses(object->socket, addresses, MAX_FOUND);
  const char *all = "";
  for (int i = 0; i < count && i < MAX_FOUND; i++) {
    char text[TROUPE_ADDRESS_TEXT_SIZE];
    (void)troupe_address_text(&addresses[i], text, sizeof text);
    all = need_text("%s%s%s:%s", all, i > 0 ? " " : "", text,
                    port_text(object->stage, addresses[i].port));
  }
  stage_print(object->stage, object->name, "attempted %s", all);
}

// Whether two sockets are the two ends of one connection.
static void print_ends(const object_t *a, const object_t *b) {
  troupe_address_t addresses[4];
  (void)troupe_socket_local_address(a->socket, &addresses[0]);
  (void)troupe_socket_remote_address(a->socket, &addresses[1]);
  (void)troupe_socket_remote_address(b->socket, &addresses[2]);
  (void)troupe_socket_local_address(b->socket, &addresses[3]);
  bool same = troupe_address_equal(&addresses[0], &addresses[2]) &&
              troupe_address_equal(&addresses[1], &addresses[3]);
  stage_print(a->stage, a->name, "ends %s", same ? "true" : "false");
}

static void print_server(const object_t *object) {
  troupe_server_t server = troupe_socket_server(object->socket);
  const char *name = "none";
  for (size_t i = 0; i < object->stage->object_count; i++) {
    const object_t *other = &object->stage->objects[i];
    if (server.id != 0 && other->server.id == server.id) {
      name = other->name;
    }
  }
  stage_print(object->stage, object->name, "server %s", name);
}

static bool print_about(stage_t *stage, object_t *object, const action_t *action) {
  const char *verb = action->words[0];
  troupe_socket_t socket = object->socket;
  if (strcmp(verb, "state") == 0) {
    stage_print(stage, object->name, "state timeout=%u paused=%s%s", troupe_socket_timeout(socket),
                troupe_socket_is_paused(socket) ? "true" : "false", flags_text(object));
  } else if (strcmp(verb, "counts") == 0) {
    stage_print(stage, object->name, "counts read=%ju written=%ju",
                (uintmax_t)troupe_socket_bytes_read(socket),
                (uintmax_t)troupe_socket_bytes_written(socket));
  } else if (strcmp(verb, "waiting") == 0) {
    stage_print(stage, object->name, "waiting %zu", troupe_socket_writable_length(socket));
  } else if (strcmp(verb, "addresses") == 0) {
    print_addresses(object);
  } else if (strcmp(verb, "attempted") == 0) {
    print_attempted(object);
  } else if (strcmp(verb, "ends") == 0) {
    print_ends(object, stage_object(stage, action->words[2]));
  } else if (strcmp(verb, "serverOf") == 0) {
    print_server(object);
  } else {
    return false;
  }
  return true;
}

static bool is_one_of(const char *verb, const char *verbs) {
  const char *found = strstr(verbs, verb);
  return found != NULL && (found == verbs || found[-1] == ' ') &&
         strchr(" ", found[strlen(verb)]) != NULL;
}

static bool set_option(object_t *object, const action_t *action) {
  const char *verb = action->words[0];
  const char *value = action->count > 2 ? action->words[2] : "";
  bool on = strcmp(value, "on") == 0;
  if (strcmp(verb, "timeout") == 0) {
    print_call(object, "setTimeout",
               troupe_socket_set_timeout(object->socket, (unsigned)atol(value)));
  } else if (strcmp(verb, "noDelay") == 0) {
    print_call(object, "setNoDelay", troupe_socket_set_no_delay(object->socket, on));
  } else if (strcmp(verb, "keepAlive") == 0) {
    unsigned delay_ms = action->count > 3 ? (unsigned)atol(action->words[3]) : 0;
    print_call(object, "setKeepAlive", troupe_socket_set_keep_alive(object->socket, on, delay_ms));
  } else if (strcmp(verb, "encoding") == 0) {
    print_call(object, "setEncoding",
               troupe_socket_set_encoding(object->socket, encoding_of(value)));
  } else if (strcmp(verb, "pause") == 0) {
    print_call(object, "pause", troupe_socket_pause(object->socket));
  } else if (strcmp(verb, "resume") == 0) {
    print_call(object, "resume", troupe_socket_resume(object->socket));
  } else if (strcmp(verb, "consume") == 0) {
    object->no_data = false;
    (void)troupe_socket_set_handlers(object->socket, &consuming, object);
  } else {
    return false;
  }
  return true;
}

// The defaults of family autoselection.
static void set_defaults(stage_t *stage, const action_t *action) {
  const char *name = action->words[1];
  const char *timeout = action_option(action, "attemptTimeout");
  int result = 0;
  if (timeout != NULL) {
    result = troupe_set_default_auto_select_family_attempt_timeout((unsigned)atol(timeout));
  } else if (action->count > 2) {
    result = troupe_set_default_auto_select_family(strcmp(action->words[2], "on") == 0);
  }
  if (result != 0) {
    stage_print(stage, name, "threw %s", troupe_error_name(result));
  }
  stage_print(stage, name, "%s %d", troupe_get_default_auto_select_family() == 1 ? "on" : "off",
              troupe_get_default_auto_select_family_attempt_timeout());
}

bool perform_socket(stage_t *stage, const action_t *action) {
  const char *verb = action->words[0];
  if (strcmp(verb, "defaults") == 0) {
    set_defaults(stage, action);
    return true;
  }
  if (strcmp(verb, "socket") == 0) {
    make(stage, action);
    return true;
  }
  if (strcmp(verb, "open") == 0) {
    open_connection(stage, action);
    return true;
  }
  if (!is_one_of(verb, "connect answer write end destroy abort destroySoon reset ref unref state "
                       "counts waiting addresses attempted ends serverOf timeout noDelay keepAlive "
                       "encoding pause resume consume")) {
    return false;
  }
  object_t *object = stage_object(stage, action->words[1]);
  if (!object->is_socket) {
    return false;
  }
  if (strcmp(verb, "connect") == 0) {
    connect_to(object, action);
  } else if (strcmp(verb, "answer") == 0) {
    object->answer = action->words[2];
    answer_lookup(object);
  } else if (strcmp(verb, "write") == 0) {
    write_to(object, action);
  } else if (strcmp(verb, "end") == 0) {
    end(object, action);
  } else if (strcmp(verb, "destroy") == 0) {
    destroy(object, action);
  } else if (strcmp(verb, "abort") == 0) {
    (void)troupe_abort(NULL, object->signal);
  } else if (strcmp(verb, "destroySoon") == 0) {
    print_call(object, verb, troupe_socket_destroy_soon(object->socket));
  } else if (strcmp(verb, "reset") == 0) {
    print_call(object, "resetAndDestroy", troupe_socket_reset_and_destroy(object->socket));
  } else if (strcmp(verb, "ref") == 0) {
    print_call(object, verb, troupe_socket_ref(object->socket));
  } else if (strcmp(verb, "unref") == 0) {
    print_call(object, verb, troupe_socket_unref(object->socket));
  } else if (!set_option(object, action)) {
    return print_about(stage, object, action);
  }
  return true;
}
