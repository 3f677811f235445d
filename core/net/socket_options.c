/// What can be set on a socket and what can be asked of it.
#include "core/net/socket.h"

static int send_options(trp_socket_t *socket, Troupe__Wire__Options **options);
static void put_deadlines(const trp_socket_t *socket, Troupe__Wire__Options *options);
static void on_timer(troupe_timer_t timer, void *context);
static int set_ref(troupe_socket_t handle, bool ref);
static int set_paused(troupe_socket_t handle, bool paused);
static int tell_reading(trp_socket_t *socket, bool reads, uint32_t flags);

// ---- Pausing ----

int troupe_socket_pause(troupe_socket_t handle) {
  return set_paused(handle, true);
}

int troupe_socket_resume(troupe_socket_t handle) {
  return set_paused(handle, false);
}

static int set_paused(troupe_socket_t handle, bool paused) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get_own(handle, &socket);
  bool resumes = !paused && (error == 0 && (socket->paused || socket->stopped));
  bool pauses = paused && (error == 0 && !socket->paused && !socket->stopped);
  if (resumes || pauses) {
    error = tell_reading(socket, resumes, TRP_FLAG(NONE));
  }
  if (error != 0) {
    return error;
  }
  socket->paused = paused;
  if (resumes) {
    socket->stopped = socket->unheard = false;
    trp_socket_refresh(socket);
    if (socket->unread != NULL || socket->end_waits) {
      trp_object_later(&socket->object);
    }
  }
  return 0;
}

/// After the peer's end there is nothing to stop; before connecting it goes with the connect.
static int tell_reading(trp_socket_t *socket, bool reads, uint32_t flags) {
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  bool comes = trp_socket_receives(state) && !socket->end_waits && !socket->close_waits;
  if (comes || (trp_socket_connects(state) && trp_socket_is_known(state))) {
    trp_message_t *message = trp_socket_command(socket, reads ? TRP_KIND(COMMAND_RESUME)
                                                              : TRP_KIND(COMMAND_PAUSE));
    if (message == NULL) {
      return TROUPE_ENOMEM;
    }
    message->flags = flags;
    socket->told = socket->consumed;
  }
  return 0;
}

void trp_socket_stop_reading(trp_socket_t *socket) {
  if (socket->stopped || socket->giving ||
      !trp_socket_receives((trp_socket_state_t)socket->state)) {
    return;
  }
  (void)tell_reading(socket, false, TRP_FLAG(UNHEARD)); // without memory its credit stops it
  socket->stopped = true;
  trp_socket_ask_written(socket);
  trp_socket_refresh(socket);
}

bool troupe_socket_is_paused(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) == 0 && socket->paused;
}

// ---- Options ----

void trp_socket_set_marks(trp_socket_t *socket, size_t high_water_mark, size_t write_limit) {
  if (high_water_mark == 0) {
    socket->high_water_mark = TRP_HIGH_WATER_MARK;
  } else if (high_water_mark == TROUPE_HIGH_WATER_MARK_ZERO) {
    socket->high_water_mark = 0;
  } else {
    socket->high_water_mark = high_water_mark > UINT32_MAX ? UINT32_MAX : (uint32_t)high_water_mark;
  }
  socket->write_limit = write_limit == 0                         ? (uint64_t)TRP_WRITE_LIMIT
                        : write_limit == TROUPE_WRITE_LIMIT_NONE ? UINT64_MAX
                                                                 : (uint64_t)write_limit;
}

static Troupe__Wire__Choice choice_of(int choice) {
  return choice == TROUPE_DEFAULT ? TROUPE__WIRE__CHOICE__CHOICE_UNSET
         : choice == TROUPE_ON    ? TROUPE__WIRE__CHOICE__CHOICE_ON
                                  : TROUPE__WIRE__CHOICE__CHOICE_OFF;
}

Troupe__Wire__Options *trp_socket_options(const trp_socket_t *socket, trp_out_t *out) {
  Troupe__Wire__Options *options = trp_out_take(out, sizeof *options);
  if (options == NULL) {
    return NULL;
  }
  *options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  options->no_delay = choice_of(socket->no_delay);
  options->keep_alive = choice_of(socket->keep_alive);
  options->keep_alive_initial_delay_s = socket->keep_alive_delay_s;
  options->allow_half_open = choice_of(socket->allow_half_open ? TROUPE_ON : TROUPE_OFF);
  options->set_timeout = socket->timeout_ms > 0 && !socket->timeout_over;
  options->timeout_ms = socket->timeout_over ? 0 : socket->timeout_ms;
  options->pause = socket->paused;
  options->reset_ends = socket->reset_ends;
  if (trp_deadlines_any(&socket->deadlines)) {
    put_deadlines(socket, options);
  }
  if (socket->linger_ms > 0) {
    trp_linger_put(socket->linger_ms, options);
  }
  return options;
}

static troupe_choice_t choice_from(Troupe__Wire__Choice choice) {
  return choice == TROUPE__WIRE__CHOICE__CHOICE_UNSET ? TROUPE_DEFAULT
         : choice == TROUPE__WIRE__CHOICE__CHOICE_ON  ? TROUPE_ON
                                                      : TROUPE_OFF;
}

void trp_socket_take_options(trp_socket_t *socket, const Troupe__Wire__Options *options) {
  if (options == NULL) {
    return;
  }
  socket->no_delay = choice_from(options->no_delay);
  socket->keep_alive = choice_from(options->keep_alive);
  socket->keep_alive_delay_s = options->keep_alive_initial_delay_s;
  socket->allow_half_open = choice_from(options->allow_half_open) == TROUPE_ON;
  socket->timeout_ms = options->set_timeout ? options->timeout_ms : 0;
  socket->linger_ms = options->linger_ms;
  socket->reset_ends = options->reset_ends;
  if (options->set_deadlines) {
    socket->deadlines = (troupe_deadlines_t){.connect_ms = options->connect_deadline_ms,
                                             .first_byte_ms = options->first_byte_deadline_ms,
                                             .write_stall_ms = options->write_stall_deadline_ms};
  }
}

/// A command that changes options, if the I/O actor knows the socket: `*options` is NULL if it does
/// not.
static int send_options(trp_socket_t *socket, Troupe__Wire__Options **options) {
  *options = NULL;
  if (socket->giving) {
    return TROUPE_EGIVING;
  }
  if (!trp_socket_is_known((trp_socket_state_t)socket->state) || socket->close_waits) {
    return 0;
  }
  trp_out_t *out = trp_actor_out(socket->object.actor, socket->wire);
  trp_message_t *message = trp_socket_command(socket, TRP_KIND(COMMAND_OPTIONS));
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  *options = trp_out_take(out, sizeof **options);
  if (*options == NULL) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  **options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  message->detail_case = TRP_DETAIL(OPTIONS);
  message->options = *options;
  socket->told = socket->consumed;
  return 0;
}

int troupe_socket_set_no_delay(troupe_socket_t handle, bool no_delay) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  troupe_choice_t choice = no_delay ? TROUPE_ON : TROUPE_OFF;
  if (error != 0 || socket->no_delay == choice) {
    return error;
  }
  Troupe__Wire__Options *options = NULL;
  error = send_options(socket, &options);
  if (error != 0) {
    return error;
  }
  socket->no_delay = choice;
  if (options != NULL) {
    options->no_delay = choice_of(choice);
  }
  return 0;
}

int troupe_socket_set_keep_alive(troupe_socket_t handle, bool enable, unsigned initial_delay_ms) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  troupe_choice_t choice = enable ? TROUPE_ON : TROUPE_OFF;
  uint32_t delay_s = initial_delay_ms / 1000;
  if (error != 0 || (socket->keep_alive == choice && socket->keep_alive_delay_s == delay_s)) {
    return error;
  }
  Troupe__Wire__Options *options = NULL;
  error = send_options(socket, &options);
  if (error != 0) {
    return error;
  }
  socket->keep_alive = choice;
  socket->keep_alive_delay_s = delay_s;
  if (options != NULL) {
    options->keep_alive = choice_of(choice);
    options->keep_alive_initial_delay_s = delay_s;
  }
  return 0;
}

// ---- Timeout ----

int troupe_socket_set_timeout(troupe_socket_t handle, unsigned timeout_ms) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (error != 0) {
    return error;
  }
  if (timeout_ms > TRP_TIMEOUT_MAX_MS) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_is_destroyed(state)) {
    return 0; // as in Node
  }
  Troupe__Wire__Options *options = NULL;
  error = send_options(socket, &options);
  if (error != 0) {
    return error;
  }
  uint32_t before = socket->timeout_ms;
  socket->timeout_ms = timeout_ms;
  socket->timeout_over = false;
  if (options != NULL) {
    options->set_timeout = true;
    options->timeout_ms = timeout_ms;
  } else if (state < TRP_SOCKET_CONNECTING) {
    trp_socket_stop_timer(socket);
    error = timeout_ms > 0 ? trp_socket_start_timer(socket) : 0;
    if (error != 0) {
      socket->timeout_ms = before;
    }
  }
  return error;
}

unsigned troupe_socket_timeout(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) == 0 ? socket->timeout_ms : 0;
}

int trp_socket_start_timer(trp_socket_t *socket) {
  trp_extra_t *extra = trp_socket_extra(socket);
  if (extra == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_socket_stop_timer(socket);
  int error = troupe_timer_start_at(trp_made_inside, &extra->timer, socket->timeout_ms, 0, on_timer,
                                    socket);
  if (error == 0) {
    (void)troupe_timer_unref(extra->timer);
  }
  return error;
}

void trp_socket_stop_timer(trp_socket_t *socket) {
  if (socket->extra != NULL && socket->extra->timer.id != 0) {
    (void)troupe_timer_stop(socket->extra->timer);
    socket->extra->timer.id = 0;
  }
}

static void on_timer(troupe_timer_t timer, void *context) {
  trp_socket_t *socket = context;
  (void)timer;
  socket->extra->timer.id = 0;
  if (!trp_socket_is_destroyed((trp_socket_state_t)socket->state)) {
    TRP_SOCKET_TELL(socket, on_timeout, (trp_socket_handle(socket), socket->context));
  }
}

// ---- Deadlines ----

bool trp_deadlines_fit(const troupe_deadlines_t *deadlines) {
  return deadlines->connect_ms <= TRP_TIMEOUT_MAX_MS &&
         deadlines->first_byte_ms <= TRP_TIMEOUT_MAX_MS &&
         deadlines->write_stall_ms <= TRP_TIMEOUT_MAX_MS;
}

bool trp_deadlines_any(const troupe_deadlines_t *deadlines) {
  return (deadlines->connect_ms | deadlines->first_byte_ms | deadlines->write_stall_ms) != 0;
}

void trp_deadlines_put(const troupe_deadlines_t *deadlines, Troupe__Wire__Options *options) {
  options->set_deadlines = true;
  options->connect_deadline_ms = deadlines->connect_ms;
  options->first_byte_deadline_ms = deadlines->first_byte_ms;
  options->write_stall_deadline_ms = deadlines->write_stall_ms;
}

/// The I/O actor counts from the command to connect, the application from its call.
static void put_deadlines(const trp_socket_t *socket, Troupe__Wire__Options *options) {
  uint32_t passed = socket->extra == NULL ? 0 : socket->extra->looked_up_ms;
  trp_deadlines_put(&socket->deadlines, options);
  if (options->connect_deadline_ms > passed) {
    options->connect_deadline_ms -= passed;
  } else if (options->connect_deadline_ms > 0) {
    options->connect_deadline_ms = 1;
  }
}

int troupe_socket_set_deadlines(troupe_socket_t handle, const troupe_deadlines_t *deadlines) {
  static const troupe_deadlines_t none;
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (error != 0) {
    return error;
  }
  deadlines = deadlines == NULL ? &none : deadlines;
  if (!trp_deadlines_fit(deadlines)) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  trp_socket_state_t state = (trp_socket_state_t)socket->state;
  if (trp_socket_is_destroyed(state) && state != TRP_SOCKET_CLOSED) {
    return 0;
  }
  Troupe__Wire__Options *options = NULL;
  error = send_options(socket, &options);
  if (error != 0) {
    return error;
  }
  troupe_deadlines_t before = socket->deadlines;
  socket->deadlines = *deadlines;
  if (options != NULL) {
    put_deadlines(socket, options);
  } else if (trp_socket_looks_up(state)) {
    error = trp_socket_watch_lookup(socket);
    if (error != 0) {
      socket->deadlines = before;
    }
  }
  return error;
}

int troupe_socket_deadlines(troupe_socket_t handle, troupe_deadlines_t *deadlines) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (deadlines == NULL) {
    return TROUPE_EINVAL;
  }
  *deadlines = error == 0 ? socket->deadlines : (troupe_deadlines_t){0};
  return error;
}

// ---- Lingering ----

void trp_linger_put(unsigned linger_ms, Troupe__Wire__Options *options) {
  options->linger_close = choice_of(linger_ms > 0 ? TROUPE_ON : TROUPE_OFF);
  options->linger_ms = linger_ms;
}

int troupe_socket_set_linger(troupe_socket_t handle, unsigned linger_ms) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (error != 0) {
    return error;
  }
  if (linger_ms > TRP_TIMEOUT_MAX_MS) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  Troupe__Wire__Options *options = NULL;
  error = send_options(socket, &options);
  if (error != 0) {
    return error;
  }
  socket->linger_ms = linger_ms;
  if (options != NULL) {
    trp_linger_put(linger_ms, options);
  }
  return 0;
}

// ---- Holding the actor ----

int troupe_socket_ref(troupe_socket_t handle) {
  return set_ref(handle, true);
}

int troupe_socket_unref(troupe_socket_t handle) {
  return set_ref(handle, false);
}

static int set_ref(troupe_socket_t handle, bool ref) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (error == 0) {
    socket->unref = !ref;
    trp_socket_refresh(socket);
  }
  return error;
}

// ---- Questions ----

static int get_address(troupe_socket_t handle, bool local, troupe_address_t *address) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (address == NULL) {
    return TROUPE_EINVAL;
  }
  *address = (troupe_address_t){0};
  if (error != 0) {
    return error;
  }
  const trp_endpoint_t *endpoint = local ? &socket->local : &socket->remote;
  if (trp_socket_is_pending((trp_socket_state_t)socket->state) ||
      endpoint->family == TROUPE_FAMILY_NONE) {
    return TROUPE_ENOTCONN;
  }
  trp_endpoint_get(endpoint, address);
  return 0;
}

int troupe_socket_local_address(troupe_socket_t handle, troupe_address_t *address) {
  return get_address(handle, true, address);
}

int troupe_socket_remote_address(troupe_socket_t handle, troupe_address_t *address) {
  return get_address(handle, false, address);
}

int troupe_socket_peer_credentials(troupe_socket_t handle, troupe_credentials_t *credentials) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (credentials == NULL) {
    return TROUPE_EINVAL;
  }
  *credentials = (troupe_credentials_t){0};
  if (error != 0) {
    return error;
  }
  // One that was adopted is not known until the I/O actor has looked at it.
  if (trp_socket_is_pending((trp_socket_state_t)socket->state) || !socket->introduced) {
    return TROUPE_ENOTCONN;
  }
  if (!socket->has_peer) {
    return TROUPE_ENOTSUP;
  }
  *credentials = (troupe_credentials_t){
      .pid = socket->peer.pid, .uid = socket->peer.uid, .gid = socket->peer.gid};
  return 0;
}

uint64_t troupe_socket_bytes_read(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) == 0 ? socket->bytes_read : 0;
}

uint64_t troupe_socket_bytes_written(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) == 0 ? socket->bytes_written : 0;
}

size_t troupe_socket_writable_length(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  if (trp_socket_get(handle, &socket) != 0 ||
      trp_socket_is_destroyed((trp_socket_state_t)socket->state)) {
    return 0;
  }
  return (size_t)(socket->bytes_written - socket->acknowledged);
}

troupe_ready_state_t troupe_socket_ready_state(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) == 0
             ? trp_socket_ready_state((trp_socket_state_t)socket->state)
             : TROUPE_CLOSED;
}

const char *troupe_ready_state_name(troupe_ready_state_t state) {
  switch (state) {
  case TROUPE_OPENING:
    return "opening";
  case TROUPE_OPEN:
    return "open";
  case TROUPE_READ_ONLY:
    return "readOnly";
  case TROUPE_WRITE_ONLY:
    return "writeOnly";
  default:
    return "closed";
  }
}

bool troupe_socket_connecting(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) == 0 &&
         trp_socket_connects((trp_socket_state_t)socket->state);
}

bool troupe_socket_pending(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) != 0 ||
         trp_socket_is_pending((trp_socket_state_t)socket->state);
}

bool troupe_socket_destroyed(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) != 0 ||
         trp_socket_is_destroyed((trp_socket_state_t)socket->state);
}

int troupe_socket_attempted_addresses(troupe_socket_t handle, troupe_address_t *addresses,
                                      size_t capacity) {
  trp_socket_t *socket = NULL;
  int error = trp_socket_get(handle, &socket);
  if (error != 0 || socket->extra == NULL) {
    return error;
  }
  const trp_extra_t *extra = socket->extra;
  for (size_t i = 0; addresses != NULL && i < capacity && i < extra->attempted_count; i++) {
    addresses[i] = extra->attempted[i];
  }
  return (int)extra->attempted_count;
}

troupe_server_t troupe_socket_server(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return (troupe_server_t){.id = trp_socket_get(handle, &socket) == 0 ? socket->server : 0};
}

void *troupe_socket_context(troupe_socket_t handle) {
  trp_socket_t *socket = NULL;
  return trp_socket_get(handle, &socket) == 0 ? socket->context : NULL;
}
