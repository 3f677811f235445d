// Sockets, as JavaScript uses them: by index. What they tell becomes events.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "binding.h"

static entry_t *entry_of(void *context) {
  return context;
}

static bool names_in_library(troupe_socket_t socket, names_t *names) {
  troupe_address_t local = {0};
  troupe_address_t remote = {0};
  bool has_local = troupe_socket_local_address(socket, &local) == 0;
  bool has_remote = troupe_socket_remote_address(socket, &remote) == 0;
  *names = (names_t){.local = brief_of_address(&local), .remote = brief_of_address(&remote)};
  return has_local || has_remote;
}

bool socket_names(const entry_t *entry, names_t *names) {
  if (entry->names == NULL) {
    return names_in_library((troupe_socket_t){.id = entry->handle}, names);
  }
  *names = *entry->names;
  return true;
}

// The library forgets a socket once it has told its close; JavaScript hears of it later.
static void note_names(entry_t *entry, troupe_socket_t socket) {
  names_t names;
  if (!names_in_library(socket, &names)) {
    return;
  }
  if (entry->names == NULL) {
    entry->names = malloc(sizeof *entry->names);
  }
  if (entry->names != NULL) {
    *entry->names = names;
  }
}

// Those of an open descriptor are known before the library has it.
static void note_names_of(entry_t *entry, int fd) {
  entry->names = calloc(1, sizeof *entry->names); // NULL: the library tells them later
  if (entry->names != NULL) {
    descriptor_names(fd, entry->names);
  }
}

static void tell_address(entry_t *entry, event_kind_t kind, const troupe_address_t *address,
                         const troupe_error_t *error) {
  napi_env env = entry->binding->env;
  napi_handle_scope scope = NULL;
  napi_open_handle_scope(env, &scope);
  napi_value extra = value_of_address(env, address);
  if (error != NULL) {
    napi_set_element(env, extra, 3, value_of_error(env, error));
  }
  event_add_extra(entry->binding, kind, entry->index, extra);
  napi_close_handle_scope(env, scope);
}

static void on_attempt(troupe_socket_t socket, const troupe_address_t *address, void *context) {
  (void)socket;
  tell_address(entry_of(context), EVENT_ATTEMPT, address, NULL);
}

static void on_attempt_failed(troupe_socket_t socket, const troupe_address_t *address,
                              const troupe_error_t *error, void *context) {
  (void)socket;
  tell_address(entry_of(context), EVENT_FAILED, address, error);
}

static void on_attempt_timeout(troupe_socket_t socket, const troupe_address_t *address,
                               void *context) {
  (void)socket;
  tell_address(entry_of(context), EVENT_TIMED_OUT, address, NULL);
}

static void on_connect(troupe_socket_t socket, void *context) {
  (void)socket;
  entry_t *entry = entry_of(context);
  event_add(entry->binding, EVENT_CONNECT, entry->index, 0, 0);
}

// A program that writes and writes gives no turn to what the same thread receives: that stays in the library, so that the peer
// is held up as it would be by Node.
static void hold_back(entry_t *entry, troupe_socket_t socket, size_t length) {
  binding_t *binding = entry->binding;
  if (entry->round != binding->round) {
    entry->round = binding->round;
    entry->waiting = 0;
  }
  bool held = entry->waiting >= HELD_FROM;
  entry->waiting += length;
  if (entry->waiting >= HELD_FROM && troupe_socket_pause(socket) == 0 && !held) {
    event_add(binding, EVENT_HELD, entry->index, 0, 0);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  entry_t *entry = entry_of(context);
  event_add_data(entry->binding, entry->index, chunk);
  if (thread_asks(entry->binding->thread)) {
    hold_back(entry, socket, troupe_chunk_length(chunk));
  }
}

static void on_end(troupe_socket_t socket, void *context) {
  (void)socket;
  entry_t *entry = entry_of(context);
  event_add(entry->binding, EVENT_END, entry->index, 0, 0);
}

static void on_timeout(troupe_socket_t socket, void *context) {
  (void)socket;
  entry_t *entry = entry_of(context);
  thread_timed_out(entry->binding->thread);
  event_add(entry->binding, EVENT_TIMEOUT, entry->index, 0, 0);
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  (void)socket;
  entry_t *entry = entry_of(context);
  napi_env env = entry->binding->env;
  napi_handle_scope scope = NULL;
  napi_open_handle_scope(env, &scope);
  event_add_extra(entry->binding, EVENT_ERROR, entry->index, value_of_error(env, error));
  napi_close_handle_scope(env, scope);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  entry_t *entry = entry_of(context);
  note_names(entry, socket);
  entry->handle = 0;
  event_add(entry->binding, EVENT_CLOSE, entry->index, had_error, 0);
  troupe_socket_free(socket); // one of troupe_socket_new(); no effect on others
}

// To a write that is waited for.
typedef struct answer_to_write {
  bool came;
  int error;
} answer_to_write_t;

static void on_written(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  entry_t *entry = entry_of(context);
  if (--entry->unanswered == 0 && entry->answer != NULL) {
    *entry->answer = (answer_to_write_t){.came = true, .error = error};
  } else {
    event_add(entry->binding, EVENT_WRITTEN, entry->index, error, 0);
  }
}

// Node knows at once what the kernel said to a write; so it is asked, and the answer waited for. It is `came` if there was one:
// otherwise the kernel had no room for all of it.
static answer_to_write_t answer_of(entry_t *entry, bool urgently) {
  answer_to_write_t answer = {0};
  entry->answer = &answer;
  thread_ask(entry->binding->thread, urgently, &answer.came);
  entry->answer = NULL;
  return answer;
}

static void on_finished(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  entry_t *entry = entry_of(context);
  event_add(entry->binding, EVENT_FINISHED, entry->index, error, 0);
}

const troupe_socket_handlers_t socket_handlers = {
    .on_connection_attempt = on_attempt,
    .on_connection_attempt_failed = on_attempt_failed,
    .on_connection_attempt_timeout = on_attempt_timeout,
    .on_connect = on_connect,
    .on_data = on_data,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_error = on_error,
    .on_close = on_close,
};

entry_t *socket_accepted(binding_t *binding, troupe_socket_t socket) {
  entry_t *entry = entry_new(binding);
  if (entry == NULL || troupe_socket_set_handlers(socket, &socket_handlers, entry) != 0) {
    if (entry != NULL) {
      entry_free(entry);
    }
    troupe_socket_set_handlers(socket, NULL, NULL);
    troupe_socket_destroy(socket, 0);
    return NULL;
  }
  entry->handle = socket.id;
  return entry;
}

// ---- Making and connecting ----

static troupe_choice_t choice_property(napi_env env, napi_value object, const char *name) {
  return bool_property(env, object, name) ? TROUPE_ON : TROUPE_DEFAULT;
}

static troupe_socket_options_t options_of(napi_env env, napi_value object) {
  return (troupe_socket_options_t){
      .allow_half_open = true, // the stream ends its own side
      .high_water_mark = (size_t)int_property(env, object, "highWaterMark", 0),
      .write_limit = TROUPE_WRITE_LIMIT_NONE,
      .reset_ends = true,
      .no_delay = choice_property(env, object, "noDelay"),
      .keep_alive = choice_property(env, object, "keepAlive"),
      .keep_alive_initial_delay_ms = (unsigned)int_property(env, object, "keepAliveDelay", 0),
      .timeout_ms = (unsigned)int_property(env, object, "timeout", 0),
      .paused = bool_property(env, object, "paused"),
  };
}

// The index of a new socket, or an error value.
static napi_value finish_new(binding_t *binding, entry_t *entry, int error,
                             troupe_socket_t socket) {
  if (error != 0) {
    if (entry != NULL) {
      entry_free(entry);
    }
    return value_of_int(binding->env, error);
  }
  entry->handle = socket.id;
  binding_settle(binding);
  return value_of_int(binding->env, entry->index);
}

// socketNew(options)
static napi_value socket_new(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  binding_t *binding = binding_of(env);
  troupe_socket_options_t options = options_of(env, argument[0]);
  troupe_socket_t socket = {0};
  entry_t *entry = entry_new(binding);
  int error = entry == NULL ? (int)TROUPE_ENOMEM
                            : troupe_socket_new(&options, &socket_handlers, entry, &socket);
  return finish_new(binding, entry, error, socket);
}

// socketAdopt(fd, readable, writable, options, copy): with `copy` the descriptor stays the caller's.
static napi_value socket_adopt(napi_env env, napi_callback_info info) {
  napi_value argument[5];
  arguments_of(env, info, 5, argument);
  binding_t *binding = binding_of(env);
  troupe_socket_options_t options = options_of(env, argument[3]);
  unsigned directions = (bool_argument(env, argument[1]) ? TROUPE_READABLE : 0) |
                        (bool_argument(env, argument[2]) ? TROUPE_WRITABLE : 0);
  troupe_socket_t socket = {0};
  int fd = int_argument(env, argument[0]);
  bool copy = bool_argument(env, argument[4]);
  if (copy && (fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
    return value_of_int(env, -errno);
  }
  entry_t *entry = entry_new(binding);
  int error = TROUPE_ENOMEM;
  if (entry != NULL) {
    note_names_of(entry, fd);
    thread_connects(binding->thread);
    error = troupe_socket_adopt(fd, directions, &options, &socket_handlers, entry, &socket);
  }
  if (error != 0 && copy) {
    (void)close(fd);
  }
  return finish_new(binding, entry, error, socket);
}

typedef struct answer {
  troupe_address_t *addresses;
  size_t count;
} answer_t;

// Names were looked up before; what was found waits here.
static void answer_lookup(troupe_socket_t socket, const char *host, int family, unsigned hints,
                          void *context) {
  (void)host;
  (void)family;
  (void)hints;
  answer_t *answer = context;
  if (troupe_socket_answer_lookup(socket, 0, answer->addresses, answer->count) != 0) {
    troupe_socket_destroy(socket, TROUPE_ENOMEM);
  }
  free(answer->addresses);
  free(answer);
}

static answer_t *read_answer(napi_env env, napi_value array) {
  uint32_t count = 0;
  answer_t *answer = calloc(1, sizeof *answer);
  if (answer == NULL || napi_get_array_length(env, array, &count) != napi_ok) {
    free(answer);
    return NULL;
  }
  answer->addresses = calloc(count + 1, sizeof *answer->addresses);
  for (uint32_t i = 0; i < count && answer->addresses != NULL; i++) {
    napi_value element = NULL;
    size_t length = 0;
    napi_get_element(env, array, i, &element);
    char *text = text_argument(env, element, &length);
    if (text != NULL &&
        troupe_address_parse(&answer->addresses[answer->count], text, length, 0) == 0) {
      answer->count++;
    }
    free(text);
  }
  if (answer->addresses == NULL) {
    free(answer);
    return NULL;
  }
  return answer;
}

// socketConnect(index, {path | address | host and addresses, port, localAddress, localPort,
// attemptTimeout}): 0 or an error value.
static napi_value socket_connect(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  arguments_of(env, info, 2, argument);
  binding_t *binding = binding_of(env);
  const entry_t *entry = entry_at(binding, index_argument(env, argument[0]));
  if (entry == NULL) {
    return value_of_int(env, TROUPE_ESTALE);
  }
  napi_value object = argument[1];
  napi_value addresses = NULL;
  size_t path_length = 0;
  size_t length = 0;
  char *path = text_property(env, object, "path", &path_length);
  char *host = text_property(env, object, "host", &length);
  char *local_address = text_property(env, object, "localAddress", &length);
  answer_t *answer = NULL;
  bool several = false;
  napi_get_named_property(env, object, "addresses", &addresses);
  napi_is_array(env, addresses, &several);
  if (several) {
    answer = read_answer(env, addresses);
  }
  troupe_connect_options_t options = {
      .path = path,
      .path_length = cut_path(path_length),
      .host = host,
      .port = (int)int_property(env, object, "port", 0),
      .local_address = local_address,
      .local_port = (int)int_property(env, object, "localPort", 0),
      .auto_select_family = several ? TROUPE_ON : TROUPE_OFF,
      .auto_select_family_attempt_timeout_ms = (unsigned)int_property(env, object, "attemptTimeout",
                                                                      0),
      .lookup = answer == NULL ? NULL : answer_lookup,
      .lookup_context = answer,
  };
  thread_connects(binding->thread);
  int error = several && answer == NULL
                  ? (int)TROUPE_ENOMEM
                  : troupe_socket_connect((troupe_socket_t){.id = entry->handle}, &options);
  if (error != 0 && answer != NULL) {
    free(answer->addresses);
    free(answer);
  }
  free(path);
  free(host);
  free(local_address);
  binding_settle(binding);
  return value_of_int(env, error);
}

// ---- Writing ----

// What became of a write; lib/socket/writing.js has the same numbers.
enum {
  WRITE_WAITS = 0,   // the stream may go on after EVENT_WRITTEN
  WRITE_DONE = 1,    // it is with the kernel, or less than the limit waits for it
  WRITE_GOES_ON = 2, // the stream may go on, and EVENT_WRITTEN follows
  WRITE_FAILED = 3,  // an error follows
  WRITE_TAKEN = 4,   // it is with the kernel, which was asked
};

// socketWrite(index, bytes, limit, tell): one of these, or an error value. `limit` is how many bytes may wait, as far as is known
// here, before it is asked for an answer; with `tell` it is in any case. Below 0: the kernel has no room for so much, whatever
// a peer in this process may take of it until the answer has come.
static napi_value socket_write(napi_env env, napi_callback_info info) {
  napi_value argument[4];
  arguments_of(env, info, 4, argument);
  binding_t *binding = binding_of(env);
  entry_t *entry = entry_at(binding, index_argument(env, argument[0]));
  void *bytes = NULL;
  size_t length = 0;
  if (entry == NULL || entry->handle == 0) {
    return value_of_int(env, TROUPE_ESTALE);
  }
  if (napi_get_buffer_info(env, argument[1], &bytes, &length) != napi_ok) {
    return value_of_int(env, TROUPE_EINVAL);
  }
  troupe_socket_t socket = {.id = entry->handle};
  static const char nothing[1];
  const void *source = length == 0 ? nothing : bytes;
  int32_t limit = int_argument(env, argument[2]);
  bool fits = limit >= 0;
  bool wait = fits && troupe_socket_writable_length(socket) + length >= (size_t)limit;
  bool tell = wait || !fits || bool_argument(env, argument[3]);
  int result = troupe_socket_write(socket, source, length, tell ? on_written : NULL, entry);
  thread_wrote(binding->thread);
  if (result >= 0 && !tell) {
    result = WRITE_DONE;
  } else if (result >= 0 && !fits) {
    entry->unanswered++;
    thread_wait_for_io(); // it takes what there is room for now
    result = WRITE_WAITS;
  } else if (result >= 0) {
    entry->unanswered++;
    answer_to_write_t answer = answer_of(entry, wait);
    int without = wait ? WRITE_WAITS : WRITE_GOES_ON;
    int with = answer.error == 0 ? WRITE_TAKEN : WRITE_FAILED;
    result = answer.came ? with : without;
  }
  binding_settle(binding);
  return value_of_int(env, result);
}

// socketEnd(index, tell): 0, and with `tell` EVENT_FINISHED follows; or an error value.
static napi_value socket_end(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  arguments_of(env, info, 2, argument);
  binding_t *binding = binding_of(env);
  entry_t *entry = entry_at(binding, index_argument(env, argument[0]));
  if (entry == NULL || entry->handle == 0) {
    return value_of_int(env, TROUPE_ESTALE);
  }
  bool tell = bool_argument(env, argument[1]);
  int error = troupe_socket_end((troupe_socket_t){.id = entry->handle}, tell ? on_finished : NULL,
                                entry);
  binding_settle(binding);
  return value_of_int(env, error);
}

// ---- Calls with an index and at most a number ----

typedef int (*socket_call_t)(troupe_socket_t socket, int32_t number, int32_t other);

static napi_value call(napi_env env, napi_callback_info info, socket_call_t function) {
  napi_value argument[3];
  arguments_of(env, info, 3, argument);
  binding_t *binding = binding_of(env);
  const entry_t *entry = entry_at(binding, index_argument(env, argument[0]));
  if (entry == NULL || entry->handle == 0) {
    return value_of_int(env, TROUPE_ESTALE);
  }
  int result = function((troupe_socket_t){.id = entry->handle}, int_argument(env, argument[1]),
                        int_argument(env, argument[2]));
  binding_settle(binding);
  return value_of_int(env, result);
}

// What has ended is to reach the peer as an end, before the reset.
static int reset_after_end(troupe_socket_t socket, bool ended) {
  if (ended) {
    thread_wait_for_io();
  }
  return troupe_socket_reset_and_destroy(socket);
}

#define CALL(name, body)                                                                           \
  static int name##_call(troupe_socket_t socket, int32_t number, int32_t other) {                  \
    (void)number;                                                                                  \
    (void)other;                                                                                   \
    return body;                                                                                   \
  }                                                                                                \
  static napi_value name(napi_env env, napi_callback_info info) {                                  \
    return call(env, info, name##_call);                                                           \
  }

CALL(socket_destroy, troupe_socket_destroy(socket, 0))
CALL(socket_destroy_soon, troupe_socket_destroy_soon(socket))
CALL(socket_reset, reset_after_end(socket, number != 0))
CALL(socket_pause, troupe_socket_pause(socket))
CALL(socket_resume, troupe_socket_resume(socket))
CALL(socket_ref, troupe_socket_ref(socket))
CALL(socket_unref, troupe_socket_unref(socket))
CALL(socket_no_delay, troupe_socket_set_no_delay(socket, number != 0))
CALL(socket_keep_alive, troupe_socket_set_keep_alive(socket, number != 0, (unsigned)other))
CALL(socket_timeout, troupe_socket_set_timeout(socket, (unsigned)number))

// socketFree(index): JavaScript is done with it.
static napi_value socket_free(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  binding_t *binding = binding_of(env);
  entry_t *entry = entry_at(binding, index_argument(env, argument[0]));
  if (entry != NULL) {
    if (entry->handle != 0) { // it was never connected
      troupe_socket_t socket = {.id = entry->handle};
      troupe_socket_set_handlers(socket, NULL, NULL);
      troupe_socket_free(socket);
    }
    entry_free(entry);
    binding_settle(binding);
  }
  return NULL;
}

// socketName(index, remote): [address, port, family], or undefined.
static napi_value socket_name(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  arguments_of(env, info, 2, argument);
  const entry_t *entry = entry_at(binding_of(env), index_argument(env, argument[0]));
  if (entry == NULL) {
    return NULL;
  }
  bool remote = bool_argument(env, argument[1]);
  names_t names = {0};
  troupe_address_t address = {0};
  if (!socket_names(entry, &names)) {
    return NULL;
  }
  const brief_t *brief = remote ? &names.remote : &names.local;
  address.family = brief->family;
  address.port = brief->port;
  address.scope_id = brief->scope_id;
  memcpy(address.bytes, brief->bytes, sizeof address.bytes);
  return address.family == TROUPE_FAMILY_IPV4 || address.family == TROUPE_FAMILY_IPV6
             ? value_of_address(env, &address)
             : NULL;
}

napi_status sockets_export(napi_env env, napi_value exports) {
  static const function_t functions[] = {
      {"socketNew", socket_new},
      {"socketAdopt", socket_adopt},
      {"socketConnect", socket_connect},
      {"socketWrite", socket_write},
      {"socketEnd", socket_end},
      {"socketDestroy", socket_destroy},
      {"socketReset", socket_reset},
      {"socketPause", socket_pause},
      {"socketResume", socket_resume},
      {"socketRef", socket_ref},
      {"socketUnref", socket_unref},
      {"socketNoDelay", socket_no_delay},
      {"socketKeepAlive", socket_keep_alive},
      {"socketTimeout", socket_timeout},
      {"socketFree", socket_free},
      {"socketName", socket_name},
      {"socketDestroySoon", socket_destroy_soon},
  };
  return export_functions(env, exports, functions, sizeof functions / sizeof functions[0]);
}
