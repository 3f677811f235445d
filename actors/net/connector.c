#include "actors/net/connector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/owners.h"
#include "actors/net/stream.h"

enum { NS_PER_MS = 1000000, ATTEMPT_TIMEOUT_MS = 250 };

static int read_command(trp_connector_t *connector, const Troupe__Wire__Connect *connect);
static bool keep_text(const char *text, char **kept);
static void begin_with_addresses(trp_connector_t *connector, const Troupe__Wire__Connect *connect);
static void release(trp_net_t *net, trp_subject_t *subject);
static void tell_lookup(trp_connector_t *connector, const troupe_address_t *address);
static void fail_lookup(trp_connector_t *connector, int code);
static bool tries_several(const trp_connector_t *connector);
static void proceed(trp_connector_t *connector, const troupe_address_t *addresses, size_t count);
static void advance(trp_connector_t *connector);
static bool begin_attempt(trp_attempt_t *attempt);
static void fail_attempt(trp_attempt_t *attempt, int code, bool tell);
static void drop_attempt(trp_attempt_t *attempt);
static void run_due(trp_due_t *due);
static void succeed(trp_attempt_t *attempt);
static void fail_all(trp_connector_t *connector);
static trp_failure_t failure_of(const trp_attempt_t *attempt);
static void tell_attempt(trp_attempt_t *attempt, Troupe__Wire__Kind kind, bool with_error);
static bool is_delayed(const trp_attempt_t *attempt, int code);

void trp_connector_begin(trp_stream_t *stream, const Troupe__Wire__Connect *connect) {
  trp_net_t *net = stream->net;
  trp_connector_t *connector = calloc(1, sizeof *connector);
  if (connector == NULL) {
    trp_stream_fail(stream, &(trp_failure_t){.code = TROUPE_ENOMEM, .syscall = "connect"});
    return;
  }
  connector->subject.tag = TRP_TAG_CONNECTOR;
  connector->subject.release = release;
  connector->stream = stream;
  connector->due.run = run_due;
  stream->connector = connector;
  int error = read_command(connector, connect);
  if (error != 0) {
    trp_stream_fail(stream, &(trp_failure_t){.code = error, .syscall = "connect"});
    return;
  }
  if (connect->n_addresses > 0) {
    begin_with_addresses(connector, connect);
    return;
  }
  connector->named = true;
  const char *host = connector->host == NULL ? "localhost" : connector->host;
  error = net->ops->resolve(net->transport, host, connector->port, connector->family,
                            connector->hints, connector, &connector->resolve);
  if (error != 0) {
    connector->resolve = NULL;
    fail_lookup(connector, error);
  }
}

void trp_connector_cancel(trp_connector_t *connector, bool tell) {
  trp_stream_t *stream = connector->stream;
  if (stream == NULL) {
    return;
  }
  trp_net_t *net = stream->net;
  if (connector->resolve != NULL) {
    net->ops->cancel(net->transport, connector->resolve);
    connector->resolve = NULL;
  }
  for (size_t i = 0; i < connector->next; i++) {
    trp_attempt_t *attempt = &connector->attempts[i];
    if (attempt->handle == NULL) {
      continue;
    }
    drop_attempt(attempt);
    if (tell && connector->many) {
      attempt->code = TROUPE_ECANCELED;
      tell_attempt(attempt, TRP_KIND(EVENT_CONNECTION_ATTEMPT_FAILED), true);
    }
  }
  trp_timers_remove(&net->timers, &connector->due);
  connector->stream = NULL;
  trp_subject_bury(net, &connector->subject);
}

void trp_connector_describe(const trp_connector_t *connector, trp_failure_t *failure) {
  if (connector->host != NULL) {
    failure->text = connector->host;
    failure->port = connector->port;
  } else if (connector->count > 0) {
    failure->address = &connector->attempts[0].address;
  }
}

void trp_connector_ready(trp_attempt_t *attempt) {
  trp_net_t *net = attempt->connector->stream->net;
  int result = net->ops->connected(net->transport, attempt->handle);
  if (result == -EALREADY) {
    return;
  }
  if (result == 0) {
    succeed(attempt);
    return;
  }
  trp_connector_t *connector = attempt->connector;
  drop_attempt(attempt);
  fail_attempt(attempt, result, true);
  // Who comes next does not wait for the newest one any longer, but still does if it was another
  // that failed.
  if (attempt == &connector->attempts[connector->next - 1] || connector->active == 0) {
    advance(connector);
  }
}

void trp_connector_resolved(trp_connector_t *connector, const trp_resolved_t *result) {
  connector->resolve = NULL;
  if (connector->stream == NULL) {
    return;
  }
  if (result->error != 0 || result->count == 0) {
    fail_lookup(connector, result->error != 0 ? result->error : TROUPE_ENOTFOUND);
    return;
  }
  size_t told = tries_several(connector) ? result->count : 1;
  for (size_t i = 0; i < told; i++) {
    tell_lookup(connector, &result->addresses[i]);
  }
  proceed(connector, result->addresses, result->count);
}

size_t trp_connector_order(const troupe_address_t *addresses, size_t count, size_t *order) {
  // First the two families one behind the other, without duplicates (quadratic; names have a
  // handful of addresses).
  size_t chosen = 0;
  size_t firsts = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < count; i++) {
      bool duplicate = (addresses[i].family == addresses[0].family) != (pass == 0);
      for (size_t j = 0; j < i && !duplicate; j++) {
        duplicate = trp_same_address(&addresses[i], &addresses[j]);
      }
      if (!duplicate) {
        order[chosen++] = i;
      }
    }
    if (pass == 0) {
      firsts = chosen;
    }
  }
  // Then each of the second family moves to behind its partner in the first.
  size_t seconds = chosen - firsts;
  for (size_t k = 0; k < seconds && 2 * k + 1 < firsts + k; k++) {
    size_t moved = order[firsts + k];
    memmove(&order[2 * k + 2], &order[2 * k + 1], (firsts + k - (2 * k + 1)) * sizeof *order);
    order[2 * k + 1] = moved;
  }
  return chosen;
}

// ---- Beginning ----

static int read_command(trp_connector_t *connector, const Troupe__Wire__Connect *connect) {
  if (connect->port > UINT16_MAX || connect->local_port > UINT16_MAX) {
    return TROUPE_EINVAL;
  }
  connector->port = (uint16_t)connect->port;
  connector->local_port = (uint16_t)connect->local_port;
  connector->family = connect->family == 4 || connect->family == 6 ? (int)connect->family : 0;
  connector->hints = connect->hints;
  connector->selects = connect->auto_select_family || connect->parallel_attempts;
  connector->parallel = connect->parallel_attempts;
  connector->attempt_timeout_ms = connect->attempt_timeout_ms == 0 ? ATTEMPT_TIMEOUT_MS
                                                                   : connect->attempt_timeout_ms;
  (void)trp_address_from_wire(&connector->local, connect->local);
  return keep_text(connect->host, &connector->host) &&
                 keep_text(connect->local_text, &connector->local_text)
             ? 0
             : TROUPE_ENOMEM;
}

/// NULL for an empty one. False: no memory.
static bool keep_text(const char *text, char **kept) {
  *kept = text[0] == '\0' ? NULL : strdup(text);
  return *kept != NULL || text[0] == '\0';
}

static void begin_with_addresses(trp_connector_t *connector, const Troupe__Wire__Connect *connect) {
  trp_stream_t *stream = connector->stream;
  troupe_address_t *addresses = calloc(connect->n_addresses, sizeof *addresses);
  if (addresses == NULL) {
    trp_stream_fail(stream, &(trp_failure_t){.code = TROUPE_ENOMEM, .syscall = "connect"});
    return;
  }
  size_t count = 0;
  for (size_t i = 0; i < connect->n_addresses; i++) {
    if (trp_address_from_wire(&addresses[count], connect->addresses[i])) {
      if (addresses[count].port == 0 && addresses[count].family != TROUPE_FAMILY_UNIX) {
        addresses[count].port = connector->port;
      }
      count++;
    }
  }
  connector->named = connect->looked_up;
  if (count == 0) {
    trp_stream_fail(stream, &(trp_failure_t){.code = TROUPE_EINVAL, .syscall = "connect"});
  } else {
    proceed(connector, addresses, count);
  }
  free(addresses);
}

static void release(trp_net_t *net, trp_subject_t *subject) {
  trp_connector_t *connector = (trp_connector_t *)(void *)subject;
  (void)net;
  free(connector->host);
  free(connector->local_text);
  free(connector->attempts);
  free(connector);
}

// ---- Look-up ----

static void tell_lookup(trp_connector_t *connector, const troupe_address_t *address) {
  trp_stream_t *stream = connector->stream;
  trp_out_t *out = &stream->owner->out;
  trp_message_t *message = trp_stream_tell(stream, TRP_KIND(EVENT_LOOKUP));
  if (message == NULL) {
    return;
  }
  Troupe__Wire__Lookup *lookup = trp_out_take(out, sizeof *lookup);
  if (lookup != NULL) {
    *lookup = (Troupe__Wire__Lookup)TROUPE__WIRE__LOOKUP__INIT;
    lookup->host = trp_out_text(out, connector->host == NULL ? "localhost" : connector->host);
    lookup->address = trp_address_to_wire(out, address);
    lookup->family = address->family;
  }
  if (lookup == NULL || lookup->host == NULL || lookup->address == NULL) {
    trp_out_undo(out);
    return;
  }
  message->detail_case = TRP_DETAIL(LOOKUP);
  message->lookup = lookup;
}

/// The look-up's event has the error, and the socket fails with the same.
static void fail_lookup(trp_connector_t *connector, int code) {
  trp_stream_t *stream = connector->stream;
  trp_out_t *out = &stream->owner->out;
  trp_failure_t failure = {
      .code = code,
      .syscall = "getaddrinfo",
      .text = connector->host == NULL ? "localhost" : connector->host,
  };
  trp_message_t *message = trp_stream_tell(stream, TRP_KIND(EVENT_LOOKUP));
  if (message != NULL) {
    Troupe__Wire__Lookup *lookup = trp_out_take(out, sizeof *lookup);
    if (lookup != NULL) {
      *lookup = (Troupe__Wire__Lookup)TROUPE__WIRE__LOOKUP__INIT;
      lookup->host = trp_out_text(out, failure.text);
      lookup->error = trp_put_error(out, &failure);
    }
    if (lookup == NULL || lookup->host == NULL || lookup->error == NULL) {
      trp_out_undo(out);
    } else {
      message->detail_case = TRP_DETAIL(LOOKUP);
      message->lookup = lookup;
    }
  }
  trp_stream_fail(stream, &failure);
}

// ---- Attempts ----

/// Several addresses are tried only if it was asked for, they come from a name, and nothing ties
/// the family.
static bool tries_several(const trp_connector_t *connector) {
  return connector->named && connector->selects && connector->family == 0 &&
         connector->local.family == TROUPE_FAMILY_NONE;
}

/// Decides which addresses are tried.
static void proceed(trp_connector_t *connector, const troupe_address_t *addresses, size_t count) {
  size_t *order = NULL;
  size_t chosen = 1;
  if (tries_several(connector) && count > 1) {
    order = calloc(count, sizeof *order);
    if (order == NULL) {
      trp_stream_fail(connector->stream,
                      &(trp_failure_t){.code = TROUPE_ENOMEM, .syscall = "connect"});
      return;
    }
    chosen = trp_connector_order(addresses, count, order);
  }
  connector->attempts = calloc(chosen, sizeof *connector->attempts);
  if (connector->attempts == NULL) {
    free(order);
    trp_stream_fail(connector->stream,
                    &(trp_failure_t){.code = TROUPE_ENOMEM, .syscall = "connect"});
    return;
  }
  connector->count = chosen;
  connector->many = chosen > 1;
  for (size_t i = 0; i < chosen; i++) {
    trp_attempt_t *attempt = &connector->attempts[i];
    attempt->subject.tag = TRP_TAG_ATTEMPT;
    attempt->connector = connector;
    attempt->address = addresses[order == NULL ? 0 : order[i]];
  }
  free(order);
  advance(connector);
}

/// Makes the next attempt, or the one after it if that fails at once, …; fails when there is none
/// left and none goes on.
static void advance(trp_connector_t *connector) {
  trp_net_t *net = connector->stream->net;
  trp_timers_remove(&net->timers, &connector->due);
  while (connector->next < connector->count) {
    trp_attempt_t *attempt = &connector->attempts[connector->next++];
    if (!begin_attempt(attempt)) {
      continue;
    }
    if (connector->next < connector->count) {
      // Without memory for the timer, the system's own time limit decides.
      (void)trp_timers_set(&net->timers, &connector->due,
                           net->now_ns + (int64_t)connector->attempt_timeout_ms * NS_PER_MS);
    }
    return;
  }
  if (connector->active == 0) {
    fail_all(connector);
  }
}

static bool begin_attempt(trp_attempt_t *attempt) {
  trp_connector_t *connector = attempt->connector;
  trp_net_t *net = connector->stream->net;
  bool is_ip = attempt->address.family != TROUPE_FAMILY_UNIX;
  if (is_ip && connector->local.family != TROUPE_FAMILY_NONE) {
    attempt->local = connector->local;
    attempt->local.port = connector->local_port;
  } else if (is_ip && connector->local_port != 0) {
    attempt->local = trp_any_address(attempt->address.family, connector->local_port);
  }
  if (attempt->local.family != TROUPE_FAMILY_NONE &&
      attempt->local.family != attempt->address.family) {
    attempt->code = TROUPE_EINVAL;
    attempt->bind = true;
    return false;
  }
  // Told before it is made, as it must be told before its result. When it fails at bind(), Node
  // does not call it an attempt.
  trp_out_t *out = &connector->stream->owner->out;
  size_t before = out->count;
  tell_attempt(attempt, TRP_KIND(EVENT_CONNECTION_ATTEMPT), false);
  const char *syscall = "connect";
  int error = net->ops->connect(net->transport, &attempt->address,
                                attempt->local.family == TROUPE_FAMILY_NONE ? NULL
                                                                            : &attempt->local,
                                &attempt->handle, &syscall);
  if (error == 0) {
    net->ops->set_owner(net->transport, attempt->handle, attempt);
    connector->active++;
    return true;
  }
  attempt->handle = NULL;
  if (strcmp(syscall, "bind") == 0) {
    if (out->count > before) {
      trp_out_undo(out);
    }
    attempt->code = error;
    attempt->bind = true;
    return false;
  }
  if (!is_delayed(attempt, error) && error != TROUPE_EMFILE && error != TROUPE_ENFILE) {
    // A connect() that fails at once: Node tells what the socket is bound to, if only to nothing.
    if (attempt->local.family == TROUPE_FAMILY_NONE) {
      attempt->local = trp_any_address(attempt->address.family, 0);
    }
    attempt->tells_local = true;
  }
  fail_attempt(attempt, error, connector->many || is_delayed(attempt, error));
  return false;
}

/// Errors that libuv tells later although they come at once: refused connections, and all of Unix
/// sockets.
static bool is_delayed(const trp_attempt_t *attempt, int code) {
  return code == TROUPE_ECONNREFUSED || attempt->address.family == TROUPE_FAMILY_UNIX;
}

/// Of a single attempt that fails at once Node tells nothing but the error.
static void fail_attempt(trp_attempt_t *attempt, int code, bool tell) {
  attempt->code = code;
  attempt->tells_local |= attempt->connector->local_port != 0 &&
                          attempt->local.family != TROUPE_FAMILY_NONE;
  if (tell) {
    tell_attempt(attempt, TRP_KIND(EVENT_CONNECTION_ATTEMPT_FAILED), true);
  }
}

static void drop_attempt(trp_attempt_t *attempt) {
  trp_net_close_handle(attempt->connector->stream->net, attempt->handle);
  attempt->handle = NULL;
  attempt->connector->active--;
}

/// The time for one attempt is over: the next one's turn. Only the parallel kind lets the earlier
/// ones go on.
static void run_due(trp_due_t *due) {
  trp_connector_t *connector = TRP_LIST_ENTRY(due, trp_connector_t, due);
  trp_attempt_t *attempt = &connector->attempts[connector->next - 1];
  if (!connector->parallel && attempt->handle != NULL) {
    drop_attempt(attempt);
    attempt->code = TROUPE_ETIMEDOUT;
    attempt->tells_local = connector->local_port != 0 &&
                           attempt->local.family != TROUPE_FAMILY_NONE;
    tell_attempt(attempt, TRP_KIND(EVENT_CONNECTION_ATTEMPT_TIMEOUT), false);
  }
  advance(connector);
}

static void succeed(trp_attempt_t *attempt) {
  trp_connector_t *connector = attempt->connector;
  trp_stream_t *stream = connector->stream;
  trp_handle_t *handle = attempt->handle;
  attempt->handle = NULL;
  connector->active--;
  stream->connector = NULL;
  trp_connector_cancel(connector, true); // those that lost
  trp_stream_connected(stream, handle, TRP_WRITE);
}

/// One attempt: its error. Several: all of theirs, under the code of the first.
static void fail_all(trp_connector_t *connector) {
  trp_stream_t *stream = connector->stream;
  if (!connector->many) {
    trp_failure_t failure = failure_of(&connector->attempts[0]);
    trp_stream_fail(stream, &failure);
    return;
  }
  trp_failure_t *failures = calloc(connector->count, sizeof *failures);
  const trp_failure_t **parts = calloc(connector->count, sizeof *parts);
  trp_failure_t aggregate = {.code = connector->attempts[0].code};
  if (failures != NULL && parts != NULL) {
    for (size_t i = 0; i < connector->count; i++) {
      failures[i] = failure_of(&connector->attempts[i]);
      parts[i] = &failures[i];
    }
    aggregate.parts = parts;
    aggregate.part_count = connector->count;
  }
  trp_stream_fail(stream, &aggregate);
  free(parts);
  free(failures);
}

/// Addresses that were written down are told as they were written: an interface that is not there
/// is in no address.
static trp_failure_t failure_of(const trp_attempt_t *attempt) {
  const trp_connector_t *connector = attempt->connector;
  if (attempt->bind) {
    return (trp_failure_t){.code = attempt->code,
                           .syscall = "bind",
                           .address = &attempt->local,
                           .text = connector->local_text,
                           .port = attempt->local.port};
  }
  return (trp_failure_t){
      .code = attempt->code,
      .syscall = "connect",
      .address = &attempt->address,
      .text = connector->named ? NULL : connector->host,
      .port = attempt->address.port,
      .local = attempt->tells_local ? &attempt->local : NULL,
  };
}

/// These events inform; without memory they are left out, and counted.
static void tell_attempt(trp_attempt_t *attempt, Troupe__Wire__Kind kind, bool with_error) {
  trp_stream_t *stream = attempt->connector->stream;
  trp_out_t *out = &stream->owner->out;
  trp_message_t *message = trp_stream_tell(stream, kind);
  if (message == NULL) {
    return;
  }
  Troupe__Wire__Attempt *detail = trp_out_take(out, sizeof *detail);
  if (detail != NULL) {
    *detail = (Troupe__Wire__Attempt)TROUPE__WIRE__ATTEMPT__INIT;
    detail->listed = attempt->connector->many;
    detail->address = trp_address_to_wire(out, &attempt->address);
  }
  if (detail != NULL && with_error) {
    trp_failure_t failure = failure_of(attempt);
    detail->error = trp_put_error(out, &failure);
  }
  if (detail == NULL || detail->address == NULL || (with_error && detail->error == NULL)) {
    trp_out_undo(out);
    return;
  }
  message->detail_case = TRP_DETAIL(ATTEMPT);
  message->attempt = detail;
}
