/// From connect() to the command: what the options say, the application's own look-up, connecting
/// again, descriptors.
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/net/defaults.h"
#include "core/net/hints.h"
#include "core/net/socket.h"
#include "core/net/wire_address.h"
#include "core/net/wire_error.h"
#include "core/support/assert.h"
#include "core/trace/calls.h"

_Static_assert((int)TROUPE_HINT_ADDRCONFIG == (int)TRP_HINT_ADDRCONFIG, "one list");
_Static_assert((int)TROUPE_HINT_V4MAPPED == (int)TRP_HINT_V4MAPPED, "one list");
_Static_assert((int)TROUPE_HINT_ALL == (int)TRP_HINT_ALL, "one list");

/// Which defaults a connect has read.
typedef struct {
  bool family, timeout;
} defaults_read_t;

static int read_goal(const troupe_connect_options_t *options, trp_goal_t *goal);
static void read_defaults(const trp_socket_t *socket, const troupe_connect_options_t *options,
                          trp_goal_t *goal, defaults_read_t *read);
static void tell_defaults(const trp_socket_t *socket, const trp_goal_t *goal,
                          const defaults_read_t *read);
static int read_host(const troupe_connect_options_t *options, trp_goal_t *goal);
static int read_local(const troupe_connect_options_t *options, trp_goal_t *goal);
static int connect_now(trp_socket_t *socket, const trp_goal_t *goal);
static int look_up(trp_socket_t *socket, const trp_goal_t *goal,
                   const troupe_connect_options_t *options);
static void begin_life(trp_socket_t *socket);
static int send_connect(trp_socket_t *socket, const trp_goal_t *goal,
                        const troupe_address_t *addresses, size_t count);
static Troupe__Wire__Connect *make_connect(trp_socket_t *socket, trp_out_t *out,
                                           const trp_goal_t *goal,
                                           const troupe_address_t *addresses, size_t count);
static void take_answer(trp_socket_t *socket, trp_lookup_t *lookup);
static bool tell_lookups(trp_socket_t *socket, const char *host, const troupe_address_t *addresses,
                         size_t count);
static void fail_lookup(trp_socket_t *socket, const char *host, int code);
static void fail_family(trp_socket_t *socket, const trp_goal_t *goal, int family);
static void free_lookup(trp_lookup_t *lookup);
static void on_deadline(troupe_timer_t timer, void *context);
static int64_t passed_ms(const trp_socket_t *socket);

int troupe_socket_connect(troupe_socket_t handle, const troupe_connect_options_t *options) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (error != 0) {
    return error;
  }
  if (socket->freed) {
    return TROUPE_ESTALE;
  }
  if (socket->giving) {
    return TROUPE_EGIVING;
  }
  if (options == NULL) {
    return TROUPE_ERR_MISSING_ARGS;
  }
  trp_goal_t goal;
  error = read_goal(options, &goal);
  if (error != 0) {
    return error;
  }
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_connects(state)) {
    return TROUPE_EALREADY;
  }
  if (trp_socket_next(state, TRP_SOCKET_CONNECT).actions & TRP_SOCKET_REFUSE) {
    return TROUPE_EISCONN;
  }
  bool again = state == TRP_SOCKET_CLOSED;
  if (again) {
    error = trp_socket_link(socket);
    if (error != 0) {
      return error;
    }
    socket->timeout_over = true;
  }
  defaults_read_t read;
  read_defaults(socket, options, &goal, &read);
  bool own_lookup = options->lookup != NULL && goal.address.family == TROUPE_FAMILY_NONE;
  // Of one that is aborted already the I/O actor hears nothing: it will not come to be looked up.
  error = own_lookup || socket->aborted ? look_up(socket, &goal, options)
                                        : connect_now(socket, &goal);
  if (error == 0) {
    tell_defaults(socket, &goal, &read);
  } else if (again) {
    trp_socket_unlink(socket);
  }
  return error;
}

int troupe_connect(const troupe_connect_options_t *options,
                   const troupe_socket_options_t *socket_options,
                   const troupe_socket_handlers_t *handlers, void *context,
                   troupe_socket_t *handle) {
  return troupe_connect_at(NULL, options, socket_options, handlers, context, handle);
}

int troupe_connect_at(const char *made_at, const troupe_connect_options_t *options,
                      const troupe_socket_options_t *socket_options,
                      const troupe_socket_handlers_t *handlers, void *context,
                      troupe_socket_t *handle) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_make(socket_options, handlers, context, false, -1, &socket);
  if (error != 0) {
    return error;
  }
  socket->object.made_at = made_at;
  error = troupe_socket_connect(trp_socket_handle(socket), options);
  if (error != 0) {
    trp_object_remove(&socket->object);
    return error;
  }
  if (handle != NULL) {
    *handle = trp_socket_handle(socket);
  }
  return 0;
}

int troupe_connect_port(int port, const char *host, const troupe_socket_handlers_t *handlers,
                        void *context, troupe_socket_t *socket) {
  return troupe_connect_port_at(NULL, port, host, handlers, context, socket);
}

int troupe_connect_port_at(const char *made_at, int port, const char *host,
                           const troupe_socket_handlers_t *handlers, void *context,
                           troupe_socket_t *socket) {
  return troupe_connect_at(made_at, &(troupe_connect_options_t){.host = host, .port = port}, NULL,
                           handlers, context, socket);
}

int troupe_connect_path(const char *path, const troupe_socket_handlers_t *handlers, void *context,
                        troupe_socket_t *socket) {
  return troupe_connect_path_at(NULL, path, handlers, context, socket);
}

int troupe_connect_path_at(const char *made_at, const char *path,
                           const troupe_socket_handlers_t *handlers, void *context,
                           troupe_socket_t *socket) {
  if (path == NULL) {
    return TROUPE_ERR_MISSING_ARGS;
  }
  return troupe_connect_at(made_at, &(troupe_connect_options_t){.path = path}, NULL, handlers,
                           context, socket);
}

// ---- Options ----

static int read_goal(const troupe_connect_options_t *options, trp_goal_t *goal) {
  *goal = (trp_goal_t){0};
  if (options->path != NULL) {
    size_t length = options->path_length > 0 ? options->path_length : strlen(options->path);
    return troupe_address_path(&goal->address, options->path, length);
  }
  int error = read_local(options, goal);
  if (error == 0) {
    error = read_host(options, goal);
  }
  if (error != 0) {
    return error;
  }
  unsigned timeout_ms = options->auto_select_family_attempt_timeout_ms;
  if (timeout_ms > TRP_TIMEOUT_MAX_MS) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  bool chosen = options->auto_select_family != TROUPE_OFF;
  goal->selects = chosen && goal->address.family == TROUPE_FAMILY_NONE && goal->family == 0 &&
                  goal->local.family == TROUPE_FAMILY_NONE;
  goal->parallel = options->parallel_attempts;
  goal->attempt_timeout_ms = timeout_ms > 0 && timeout_ms < TRP_ATTEMPT_TIMEOUT_MIN_MS
                                 ? (unsigned)TRP_ATTEMPT_TIMEOUT_MIN_MS
                                 : timeout_ms;
  return 0;
}

/// What the options leave open, where it counts.
static void read_defaults(const trp_socket_t *socket, const troupe_connect_options_t *options,
                          trp_goal_t *goal, defaults_read_t *read) {
  trp_actor_t *actor = socket->object.actor;
  read->family = goal->selects && options->auto_select_family == TROUPE_DEFAULT;
  if (read->family) {
    goal->selects = trp_default_auto_select_family(actor);
  }
  read->timeout = goal->selects && goal->attempt_timeout_ms == 0;
  if (read->timeout) {
    goal->attempt_timeout_ms = trp_default_attempt_timeout_ms(actor);
  }
}

/// Only a connect that went well is in the trace with what it read: one that failed may be tried
/// again.
static void tell_defaults(const trp_socket_t *socket, const trp_goal_t *goal,
                          const defaults_read_t *read) {
  trp_actor_t *actor = socket->object.actor;
  if (read->family) {
    trp_actor_called(actor, TRP_CALL_DEFAULT, goal->selects);
  }
  if (read->timeout) {
    trp_actor_called(actor, TRP_CALL_DEFAULT, goal->attempt_timeout_ms);
  }
}

static int read_host(const troupe_connect_options_t *options, trp_goal_t *goal) {
  if (options->address != NULL) {
    int error = trp_address_take(&goal->address, options->address);
    goal->port = goal->address.port;
    return error;
  }
  if (options->port < 0 || options->port > UINT16_MAX) {
    return TROUPE_ERR_SOCKET_BAD_PORT;
  }
  goal->port = (uint16_t)options->port;
  bool given = options->host != NULL && options->host[0] != '\0';
  goal->host = given ? options->host : "localhost";
  size_t length = strlen(goal->host);
  if (length > TRP_HOST_MAX) {
    return TROUPE_ENAMETOOLONG;
  }
  if (troupe_address_parse(&goal->address, goal->host, length, goal->port) == 0) {
    return 0;
  }
  const unsigned known = TRP_HINT_ADDRCONFIG | TRP_HINT_V4MAPPED | TRP_HINT_ALL;
  goal->family = options->family;
  goal->hints = options->hints;
  if ((goal->family != 0 && goal->family != 4 && goal->family != 6) || goal->hints & ~known) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  if (goal->family == 0 && goal->hints == 0) {
    goal->hints = TRP_HINT_ADDRCONFIG;
  }
  return 0;
}

static int read_local(const troupe_connect_options_t *options, trp_goal_t *goal) {
  if (options->local_port < 0 || options->local_port > UINT16_MAX) {
    return TROUPE_ERR_SOCKET_BAD_PORT;
  }
  goal->local_port = (uint16_t)options->local_port;
  const char *text = options->local_address;
  if (text == NULL || text[0] == '\0') {
    return 0;
  }
  size_t length = strlen(text);
  if (troupe_address_parse(&goal->local, text, length, goal->local_port) != 0) {
    return TROUPE_ERR_INVALID_IP_ADDRESS;
  }
  memcpy(goal->local_text, text, length); // no longer than that, or it would be no address
  return 0;
}

// ---- Connecting ----

static int connect_now(trp_socket_t *socket, const trp_goal_t *goal) {
  trp_socket_step_t step = trp_socket_next((trp_socket_state_t)socket->state, TRP_SOCKET_CONNECT);
  bool literal = goal->address.family != TROUPE_FAMILY_NONE;
  int error = send_connect(socket, goal, literal ? &goal->address : NULL, literal ? 1 : 0);
  if (error != 0) {
    return error;
  }
  begin_life(socket);
  error = trp_socket_enact(socket, step);
  if (error != 0) {
    trp_out_undo(trp_actor_out(socket->object.actor, socket->wire));
    return error;
  }
  socket->is_unix = goal->address.family == TROUPE_FAMILY_UNIX;
  trp_socket_stop_timer(socket);
  return 0;
}

/// Everything that counts for one connection begins anew; what was set stays.
static void begin_life(trp_socket_t *socket) {
  socket->bytes_read = socket->bytes_written = socket->acknowledged = socket->notified = 0;
  socket->consumed = socket->told = 0;
  socket->failure = 0;
  socket->failure_told = socket->had_error = socket->connected = false;
  socket->wants_drain = socket->ends_itself = socket->is_unix = socket->introduced =
      socket->owes_destroy = socket->stopped = socket->unheard = false;
  socket->attempts = 0;
  socket->server = 0;
  trp_socket_forget_text(socket);
  if (socket->extra != NULL) {
    free(socket->extra->attempted);
    socket->extra->attempted = NULL;
    socket->extra->attempted_count = 0;
    socket->extra->looked_up_ms = 0;
  }
}

static int send_connect(trp_socket_t *socket, const trp_goal_t *goal,
                        const troupe_address_t *addresses, size_t count) {
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  trp_message_t *message = trp_actor_command(socket->object.actor, TRP_KIND(COMMAND_CONNECT),
                                             socket->wire);
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  Troupe__Wire__Connect *connect = make_connect(socket, out, goal, addresses, count);
  if (connect == NULL) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  message->epoch = socket->epoch;
  message->detail_case = TRP_DETAIL(CONNECT);
  message->connect = connect;
  return 0;
}

static Troupe__Wire__Connect *make_connect(trp_socket_t *socket, trp_out_t *out,
                                           const trp_goal_t *goal,
                                           const troupe_address_t *addresses, size_t count) {
  Troupe__Wire__Connect *connect = trp_out_take(out, sizeof *connect);
  if (connect == NULL) {
    return NULL;
  }
  *connect = (Troupe__Wire__Connect)TROUPE__WIRE__CONNECT__INIT;
  connect->n_addresses = count;
  connect->addresses = trp_addresses_to_wire(out, addresses, count);
  connect->host = trp_out_text(out, goal->host);
  connect->options = trp_socket_options(socket, out);
  connect->made_at = trp_object_made_at(&socket->object, out);
  if (connect->addresses == NULL || connect->host == NULL || connect->options == NULL ||
      connect->made_at == NULL) {
    return NULL;
  }
  if (goal->local.family != TROUPE_FAMILY_NONE) {
    connect->local = trp_address_to_wire(out, &goal->local);
    connect->local_text = trp_out_text(out, goal->local_text);
    if (connect->local == NULL || connect->local_text == NULL) {
      return NULL;
    }
  }
  connect->port = goal->port;
  connect->local_port = goal->local_port;
  connect->family = (uint32_t)goal->family;
  connect->hints = goal->hints;
  connect->auto_select_family = goal->selects;
  connect->parallel_attempts = goal->selects && goal->parallel;
  connect->attempt_timeout_ms = goal->attempt_timeout_ms;
  connect->looked_up = count > 0 && goal->address.family == TROUPE_FAMILY_NONE;
  return connect;
}

// ---- The application's own look-up ----

static int look_up(trp_socket_t *socket, const trp_goal_t *goal,
                   const troupe_connect_options_t *options) {
  trp_extra_t *extra = trp_socket_extra(socket);
  trp_lookup_t *lookup = calloc(1, sizeof *lookup);
  char *host = strdup(goal->host == NULL ? "" : goal->host);
  bool runs = socket->timeout_ms > 0 && !socket->timeout_over;
  if (extra == NULL || lookup == NULL || host == NULL ||
      (runs && trp_socket_start_timer(socket) != 0)) {
    free(lookup);
    free(host);
    return TROUPE_ENOMEM;
  }
  lookup->goal = *goal;
  lookup->goal.host = lookup->host = host;
  lookup->call = options->lookup;
  lookup->context = options->lookup_context;
  lookup->early_last = &lookup->early;
  lookup->began_ns = trp_actor_now(socket->object.actor);
  trp_lookup_t *before = extra->lookup;
  extra->lookup = lookup;
  if (trp_socket_watch_lookup(socket) != 0) {
    extra->lookup = before;
    free_lookup(lookup);
    return TROUPE_ENOMEM;
  }
  begin_life(socket);
  (void)trp_socket_step(socket, TRP_SOCKET_LOOK_UP); // sends nothing, so it does not fail
  trp_object_later(&socket->object);                 // which asks
  return 0;
}

int troupe_socket_answer_lookup(troupe_socket_t handle, int error,
                                const troupe_address_t *addresses, size_t count) {
  trp_socket_t *socket = NULL;
  int result = trp_socket_get(handle, &socket);
  if (result != 0) {
    return result;
  }
  trp_lookup_t *lookup = socket->extra == NULL ? NULL : socket->extra->lookup;
  if (lookup == NULL || !lookup->asked || lookup->answered) {
    return TROUPE_EALREADY;
  }
  if (error > 0 || (count > 0 && addresses == NULL)) {
    return TROUPE_EINVAL;
  }
  if (error == 0 && count > 0) {
    lookup->addresses = calloc(count, sizeof *addresses);
    if (lookup->addresses == NULL) {
      return TROUPE_ENOMEM;
    }
    memcpy(lookup->addresses, addresses, count * sizeof *addresses);
    for (size_t i = 0; i < count; i++) {
      lookup->addresses[i].port = lookup->goal.port;
    }
    lookup->count = count;
  }
  lookup->error = error;
  lookup->answered = true;
  trp_object_later(&socket->object);
  return 0;
}

void trp_socket_run_lookup(trp_socket_t *socket) {
  trp_lookup_t *lookup = socket->extra->lookup;
  if (!lookup->asked) {
    lookup->asked = true;
    trp_actor_enter(socket->object.actor);
    lookup->call(trp_socket_handle(socket), lookup->host, lookup->goal.family, lookup->goal.hints,
                 lookup->context);
    trp_actor_leave(socket->object.actor);
    return; // an answer that was given at once has put itself off
  }
  if (lookup->answered && !lookup->taken) {
    lookup->taken = true;
    take_answer(socket, lookup);
  }
}

int trp_socket_watch_lookup(trp_socket_t *socket) {
  trp_lookup_t *lookup = socket->extra->lookup;
  unsigned limit_ms = socket->deadlines.connect_ms;
  troupe_timer_t timer = {0};
  if (limit_ms > 0) {
    int64_t passed = passed_ms(socket);
    unsigned left = passed < limit_ms ? limit_ms - (unsigned)passed : 0;
    int error = troupe_timer_start_at(trp_made_inside, &timer, left, 0, on_deadline, socket);
    if (error != 0) {
      return error;
    }
    (void)troupe_timer_unref(timer);
  }
  if (lookup->deadline.id != 0) {
    (void)troupe_timer_stop(lookup->deadline);
  }
  lookup->deadline = timer;
  return 0;
}

static int64_t passed_ms(const trp_socket_t *socket) {
  return (trp_actor_now(socket->object.actor) - socket->extra->lookup->began_ns) / 1000000;
}

static void on_deadline(troupe_timer_t timer, void *context) {
  trp_socket_t *socket = context;
  (void)timer;
  trp_lookup_t *lookup = socket->extra->lookup;
  lookup->deadline.id = 0;
  troupe_error_t *error = trp_error_make(TROUPE_ECONNECTDEADLINE, "connect", lookup->host,
                                         lookup->goal.port, NULL);
  trp_socket_fail(socket, TROUPE_ECONNECTDEADLINE, error);
}

/// The callbacks in it may destroy the socket, and so the look-up: what is needed is moved out of
/// it first.
static void take_answer(trp_socket_t *socket, trp_lookup_t *lookup) {
  trp_goal_t goal = lookup->goal;
  troupe_address_t *addresses = lookup->addresses;
  size_t count = lookup->count;
  int code = lookup->error;
  char *host = lookup->host;
  lookup->host = NULL;
  lookup->addresses = NULL;
  int64_t passed = passed_ms(socket);
  socket->extra->looked_up_ms = passed < TRP_TIMEOUT_MAX_MS ? (uint32_t)passed : TRP_TIMEOUT_MAX_MS;
  if (code == 0 && count == 0) {
    code = TROUPE_ENOTFOUND;
  }
  if (code != 0) {
    fail_lookup(socket, goal.host, code);
  } else if (tell_lookups(socket, goal.host, addresses, goal.selects ? count : 1)) {
    size_t fit = 0;
    int first_family = addresses[0].family;
    for (size_t i = 0; i < (goal.selects ? count : 1); i++) {
      if (addresses[i].family == TROUPE_FAMILY_IPV4 || addresses[i].family == TROUPE_FAMILY_IPV6) {
        addresses[fit++] = addresses[i];
      }
    }
    if (fit == 0) {
      fail_family(socket, &goal, first_family);
    } else if (send_connect(socket, &goal, addresses, fit) != 0) {
      trp_socket_fail(socket, TROUPE_ENOMEM, NULL);
    } else {
      trp_socket_stop_timer(socket);
      trp_socket_step_t step = trp_socket_next((trp_socket_state_t)socket->state,
                                               TRP_SOCKET_LOOKED_UP);
      if (trp_socket_enact(socket, step) != 0) {
        // The connect is under way, and has to be taken back as one that was.
        socket->state = (uint8_t)step.next;
        trp_socket_fail(socket, TROUPE_ENOMEM, NULL);
      }
      trp_socket_drop_lookup(socket);
    }
  }
  free(host);
  free(addresses);
}

/// False: it is not looking up any more, since a callback destroyed it.
static bool tell_lookups(trp_socket_t *socket, const char *host, const troupe_address_t *addresses,
                         size_t count) {
  for (size_t i = 0; i < count; i++) {
    troupe_lookup_t told = {.address = &addresses[i], .family = addresses[i].family, .host = host};
    TRP_SOCKET_TELL(socket, on_lookup, (trp_socket_handle(socket), &told, socket->context));
    if (!trp_socket_looks_up((trp_socket_state_t)socket->state)) {
      return false;
    }
  }
  return true;
}

static void fail_lookup(trp_socket_t *socket, const char *host, int code) {
  troupe_error_t *error = trp_error_make(code, "getaddrinfo", host, 0, NULL);
  troupe_error_t spare;
  troupe_lookup_t told = {.error = trp_error_or(error, &spare, code), .host = host};
  TRP_SOCKET_TELL(socket, on_lookup, (trp_socket_handle(socket), &told, socket->context));
  trp_socket_fail(socket, code, error);
}

static void fail_family(trp_socket_t *socket, const trp_goal_t *goal, int family) {
  char message[TRP_HOST_MAX + 64];
  snprintf(message, sizeof message, "Invalid address family: %d %s:%u", family, goal->host,
           (unsigned)goal->port);
  trp_socket_fail(
      socket, TROUPE_ERR_INVALID_ADDRESS_FAMILY,
      trp_error_make(TROUPE_ERR_INVALID_ADDRESS_FAMILY, NULL, goal->host, goal->port, message));
}

trp_early_t *trp_socket_add_early(trp_socket_t *socket, troupe_chunk_t *chunk) {
  trp_lookup_t *lookup = socket->extra->lookup;
  trp_early_t *early = malloc(sizeof *early);
  if (early != NULL) {
    *early = (trp_early_t){.chunk = chunk};
    *lookup->early_last = early;
    lookup->early_last = &early->next;
  }
  return early;
}

int trp_socket_send_early(trp_socket_t *socket) {
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  for (const trp_early_t *early = socket->extra->lookup->early; early != NULL;
       early = early->next) {
    trp_message_t *message = trp_socket_command(socket, TRP_KIND(COMMAND_WRITE));
    if (message == NULL ||
        (early->chunk != NULL && trp_chunk_attach(early->chunk, out, message) != 0)) {
      return TROUPE_ENOMEM;
    }
    message->flags = early->notify ? TRP_FLAG(NOTIFY) : TRP_FLAG(NONE);
  }
  return 0;
}

void trp_socket_drop_lookup(trp_socket_t *socket) {
  if (socket->extra != NULL && socket->extra->lookup != NULL) {
    free_lookup(socket->extra->lookup);
    socket->extra->lookup = NULL;
  }
}

static void free_lookup(trp_lookup_t *lookup) {
  if (lookup->deadline.id != 0) {
    (void)troupe_timer_stop(lookup->deadline);
  }
  while (lookup->early != NULL) {
    trp_early_t *early = lookup->early;
    lookup->early = early->next;
    troupe_chunk_free(&early->chunk);
    free(early);
  }
  free(lookup->host);
  free(lookup->addresses);
  free(lookup);
}

// ---- Descriptors ----

enum { TCP_STREAM = 0, OTHER_STREAM = 1 };

static int socket_option(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

/// What it may be. Only looked at: it is the I/O actor's to use it.
static int look_at_descriptor(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return TROUPE_ERR_INVALID_FD_TYPE;
  }
  if (S_ISSOCK(status.st_mode)) {
    int domain = socket_option(fd, SO_DOMAIN);
    return socket_option(fd, SO_TYPE) != SOCK_STREAM ? (int)TROUPE_ERR_INVALID_FD_TYPE
           : domain == AF_INET || domain == AF_INET6 ? TCP_STREAM
                                                     : OTHER_STREAM;
  }
  return S_ISFIFO(status.st_mode) || (S_ISCHR(status.st_mode) && isatty(fd))
             ? OTHER_STREAM
             : (int)TROUPE_ERR_INVALID_FD_TYPE;
}

/// TCP_STREAM, OTHER_STREAM, TROUPE_ERR_INVALID_FD_TYPE or TROUPE_EWRONGTHREAD. What it says is in
/// the trace.
static int check_descriptor(int fd) {
  trp_actor_t *actor = trp_actor_current();
  int64_t result = 0;
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  if (!trp_actor_recall(actor, TRP_CALL_DESCRIPTOR, &result)) {
    result = look_at_descriptor(fd);
    trp_actor_called(actor, TRP_CALL_DESCRIPTOR, result);
  }
  return (int)result;
}

int troupe_socket_adopt(int fd, unsigned directions, const troupe_socket_options_t *options,
                        const troupe_socket_handlers_t *handlers, void *context,
                        troupe_socket_t *handle) {
  return troupe_socket_adopt_at(NULL, fd, directions, options, handlers, context, handle);
}

int troupe_socket_adopt_at(const char *made_at, int fd, unsigned directions,
                           const troupe_socket_options_t *options,
                           const troupe_socket_handlers_t *handlers, void *context,
                           troupe_socket_t *handle) {
  const unsigned both = TROUPE_READABLE | TROUPE_WRITABLE;
  if (fd < 0) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  if (directions == 0 || directions & ~both) {
    return TROUPE_EINVAL;
  }
  int kind = check_descriptor(fd);
  if (kind < 0) {
    return kind;
  }
  trp_socket_t *socket = NULL;
  int error = trp_socket_make(options, handlers, context, false, fd, &socket);
  if (error != 0) {
    return error;
  }
  socket->object.made_at = made_at;
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  trp_message_t *message = trp_actor_command(socket->object.actor, TRP_KIND(COMMAND_ADOPT),
                                             socket->wire);
  Troupe__Wire__Adopt *adopt = message == NULL ? NULL : trp_out_take(out, sizeof *adopt);
  if (adopt != NULL) {
    *adopt = (Troupe__Wire__Adopt)TROUPE__WIRE__ADOPT__INIT;
    adopt->options = trp_socket_options(socket, out);
    adopt->made_at = trp_object_made_at(&socket->object, out);
  }
  if (adopt == NULL || adopt->options == NULL || adopt->made_at == NULL) {
    if (message != NULL) {
      trp_out_undo(out);
    }
    trp_object_remove(&socket->object);
    return TROUPE_ENOMEM;
  }
  adopt->fd = fd;
  adopt->readable = (directions & TROUPE_READABLE) != 0;
  adopt->writable = (directions & TROUPE_WRITABLE) != 0;
  message->detail_case = TRP_DETAIL(ADOPT);
  message->adopt = adopt;
  socket->connected = true;
  socket->is_unix = kind == OTHER_STREAM;
  socket->unheard = socket->paused;
  socket->state = directions == both             ? TRP_SOCKET_OPEN
                  : directions & TROUPE_READABLE ? TRP_SOCKET_FINISHED
                                                 : TRP_SOCKET_PEER_ENDED;
  trp_socket_refresh(socket);
  if (handle != NULL) {
    *handle = trp_socket_handle(socket);
  }
  return 0;
}
