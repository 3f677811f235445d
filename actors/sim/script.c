#include "actors/sim/script.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>
#include <troupe/trace_file.h>

#include "core/message/wire.h"
#include "core/net/wire_address.h"
#include "core/trace/prefix.h"

/// Where the reading is.
typedef struct {
  trp_script_t *script;
  bool behind;    // the cut
  bool may_close; // the last event can bring about the close of its socket at once
  uint64_t last_subject;
} place_t;

static int read_start(trp_script_t *script);
static int read_entry(place_t *place, const troupe_trace_entry_t *entry);
static void cut(place_t *place);
static int finish(trp_script_t *script, int64_t end_ns);

int trp_script_read(trp_script_t *script, const troupe_sim_recording_t *recording) {
  script->recording = recording;
  script->last = &script->roles;
  int error = read_start(script);
  troupe_trace_t *trace = NULL;
  if (error == 0) {
    error = troupe_trace_open(recording->path, &trace);
  }
  if (error != 0) {
    return error;
  }
  troupe_trace_info_t info;
  troupe_trace_info(trace, &info);
  troupe_trace_entry_t entry;
  place_t place = {.script = script};
  int64_t end_ns = script->clock_ns;
  int result = info.complete && !info.flight ? 1 : (int)TROUPE_EINCOMPLETE;
  while (result == 1 && (result = troupe_trace_next(trace, &entry)) == 1) {
    end_ns = entry.clock_ns;
    error = read_entry(&place, &entry);
    result = error == 0 ? 1 : error;
  }
  troupe_trace_free(&trace);
  if (result != 0 && result != TROUPE_EOF && result != TROUPE_EBADTRACE) {
    return result;
  }
  if (!place.behind) {
    cut(&place);
  }
  return finish(script, end_ns);
}

static int read_start(trp_script_t *script) {
  trp_prefix_t *prefix = NULL;
  int error = trp_prefix_open(script->recording->path, 0, &prefix);
  if (error != 0) {
    return error;
  }
  const trp_start_t *start = trp_prefix_start(prefix);
  script->actor = start->id;
  script->io_threads = start->io_actors;
  script->clock_ns = start->clock_ns;
  trp_prefix_close(&prefix);
  return 0;
}

static void free_role(trp_role_t *role) {
  while (role->first != NULL) {
    trp_cue_t *cue = role->first;
    role->first = cue->next;
    free(cue);
  }
  free(role);
}

void trp_script_free(trp_script_t *script) {
  while (script->roles != NULL) {
    trp_role_t *role = script->roles;
    script->roles = role->next;
    free_role(role);
  }
  trp_map_free(&script->by_socket);
  trp_map_free(&script->ports);
}

uint16_t trp_script_port(const trp_script_t *script, uint64_t server) {
  return (uint16_t)((uintptr_t)trp_map_get(&script->ports, server) >> 1);
}

// ---- Up to the cut ----

/// Whether the actor is replayed no further than to here.
static bool is_cut(place_t *place, const troupe_trace_entry_t *event) {
  const troupe_sim_recording_t *recording = place->script->recording;
  const trp_message_t *message = event->internal[0];
  if (message->kind == TRP_KIND(EVENT_CLOSE) && place->may_close &&
      message->subject == place->last_subject) {
    return false; // what an error, or an end, brings about at once comes with it
  }
  if (recording->until != NULL && recording->until(event, recording->context)) {
    return true;
  }
  bool limited = recording->until == NULL || recording->events != 0;
  return limited && place->script->events >= recording->events;
}

/// Those that are gone play no part any more.
static void cut(place_t *place) {
  trp_script_t *script = place->script;
  trp_role_t **link = &script->roles;
  place->behind = true;
  while (*link != NULL) {
    trp_role_t *role = *link;
    if (role->gone) {
      *link = role->next;
      free_role(role);
    } else {
      link = &role->next;
    }
  }
  script->last = link;
}

// ---- Roles and cues ----

static int new_role(place_t *place, uint64_t socket, int64_t at_ns,
                    const Troupe__Wire__Address *address, const Troupe__Wire__Address *to) {
  trp_script_t *script = place->script;
  trp_role_t *made = calloc(1, sizeof *made);
  if (made == NULL || trp_map_put(&script->by_socket, socket, made) != 0) {
    free(made);
    return TROUPE_ENOMEM;
  }
  made->socket = socket;
  made->arrives = place->behind;
  made->at_ns = at_ns - script->clock_ns;
  made->last = &made->first;
  (void)trp_address_from_wire(&made->address, address);
  (void)trp_address_from_wire(&made->to, to);
  *script->last = made;
  script->last = &made->next;
  return 0;
}

/// What owners before this one wrote it has heard, too.
static int handed(place_t *place, uint64_t socket, int64_t at_ns,
                  const Troupe__Wire__Handed *detail) {
  int error = new_role(place, socket, at_ns, detail->remote, detail->local);
  trp_role_t *role = error == 0 ? trp_map_get(&place->script->by_socket, socket) : NULL;
  if (role != NULL) {
    role->written = detail->bytes_written;
  }
  return error;
}

static int add_cue(const trp_script_t *script, trp_role_t *role, trp_cue_kind_t kind,
                   const troupe_trace_entry_t *entry, size_t length) {
  trp_cue_t *cue = calloc(1, sizeof *cue + length);
  if (cue == NULL) {
    return TROUPE_ENOMEM;
  }
  cue->kind = kind;
  cue->at_ns = entry->clock_ns - script->clock_ns;
  cue->had_heard = role->written;
  cue->length = length;
  if (length > 0) {
    memcpy(cue->bytes, entry->payload, length);
  }
  *role->last = cue;
  role->last = &cue->next;
  return 0;
}

static void lose(trp_script_t *script, trp_role_t *role) {
  role->gone = true;
  trp_map_remove(&script->by_socket, role->socket);
}

static int event_of(place_t *place, trp_role_t *role, const troupe_trace_entry_t *entry) {
  trp_script_t *script = place->script;
  const trp_message_t *message = entry->internal[0];
  bool plays = place->behind;
  switch (message->kind) {
  case TRP_KIND(EVENT_DATA):
    return plays ? add_cue(script, role, TRP_CUE_SAY, entry, entry->length) : 0;
  case TRP_KIND(EVENT_END):
    return plays ? add_cue(script, role, TRP_CUE_END, entry, 0) : 0;
  case TRP_KIND(EVENT_ERROR):
    if (plays && message->detail_case == TRP_DETAIL(ERROR) &&
        message->error->code == TROUPE_ECONNRESET) {
      return add_cue(script, role, TRP_CUE_RESET, entry, 0);
    }
    return 0;
  case TRP_KIND(EVENT_CLOSE):
  case TRP_KIND(EVENT_GIVEN):
    lose(script, role);
    return 0;
  default:
    return 0;
  }
}

static int event(place_t *place, const troupe_trace_entry_t *entry) {
  trp_script_t *script = place->script;
  const trp_message_t *message = entry->internal[0];
  switch (message->kind) {
  case TRP_KIND(EVENT_CONNECTION):
    return message->detail_case != TRP_DETAIL(CONNECTION)
               ? 0
               : new_role(place, message->connection->socket, entry->clock_ns,
                          message->connection->remote, message->connection->local);
  case TRP_KIND(EVENT_CONNECT):
    return message->detail_case != TRP_DETAIL(CONNECTED) || place->behind
               ? 0
               : new_role(place, message->subject, entry->clock_ns, message->connected->remote,
                          message->connected->local);
  case TRP_KIND(EVENT_HANDED):
    return message->detail_case != TRP_DETAIL(HANDED) || place->behind
               ? 0
               : handed(place, message->subject, entry->clock_ns, message->handed);
  case TRP_KIND(EVENT_LISTENING): {
    bool known = message->detail_case == TRP_DETAIL(LISTENING) &&
                 message->listening->address != NULL;
    uintptr_t port = known ? message->listening->address->port : 0;
    return trp_map_put(&script->ports, message->subject, (void *)(port << 1 | 1));
  }
  default: {
    trp_role_t *role = trp_map_get(&script->by_socket, message->subject);
    return role == NULL ? 0 : event_of(place, role, entry);
  }
  }
}

static int read_entry(place_t *place, const troupe_trace_entry_t *entry) {
  trp_script_t *script = place->script;
  const trp_message_t *message = entry->internal[0];
  if (entry->type == TROUPE_ENTRY_COMMAND && message->kind == TRP_KIND(COMMAND_WRITE)) {
    trp_role_t *role = trp_map_get(&script->by_socket, message->subject);
    if (role != NULL) {
      role->written += entry->length;
    }
  }
  if (entry->type != TROUPE_ENTRY_EVENT) {
    return 0;
  }
  if (!place->behind && is_cut(place, entry)) {
    cut(place);
  }
  if (!place->behind) {
    script->events++;
    script->clock_ns = entry->clock_ns;
    place->may_close = message->kind == TRP_KIND(EVENT_ERROR) ||
                       message->kind == TRP_KIND(EVENT_END) ||
                       message->kind == TRP_KIND(EVENT_FINISH);
    place->last_subject = message->subject;
  }
  return event(place, entry);
}

/// Everybody ends: who was open when the recording ended does so then.
static int finish(trp_script_t *script, int64_t end_ns) {
  int error = 0;
  script->length_ns = end_ns - script->clock_ns;
  const troupe_trace_entry_t end = {.clock_ns = end_ns};
  for (trp_role_t *role = script->roles; role != NULL && error == 0; role = role->next) {
    bool ends = false;
    for (const trp_cue_t *cue = role->first; cue != NULL; cue = cue->next) {
      ends |= cue->kind != TRP_CUE_SAY;
    }
    if (!ends) {
      error = add_cue(script, role, TRP_CUE_END, &end, 0);
    }
  }
  return error;
}
