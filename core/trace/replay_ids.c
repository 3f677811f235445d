#include <stdlib.h>
#include <troupe/error.h>

#include "core/message/id.h"
#include "core/trace/kinds.h"
#include "core/trace/replay_state.h"

typedef struct {
  uint64_t recorded; // 0: there is nothing like it in the recording
  uint64_t replayed;
} named_t;

static int find_made(trp_replay_t *replay, const trp_out_t *out, size_t index);
static int name(trp_replay_ids_t *ids, uint64_t recorded, uint64_t replayed);
static bool is_too_much(const trp_replay_t *replay, const trp_out_t *out);

void trp_replay_ids_free(trp_replay_ids_t *ids) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&ids->recorded, &cursor, NULL, &value)) {
    free(value);
  }
  trp_map_free(&ids->recorded);
  trp_map_free(&ids->replayed);
}

/// Whether the replayed actor gave this id, or the recorded one did.
static bool is_own(const trp_replay_t *replay, uint64_t id) {
  return trp_id_creator(id) == trp_id_creator(replay->start.id) && !trp_id_is_actor(id);
}

int trp_replay_rename_out(trp_replay_t *replay, trp_out_t *out) {
  for (size_t i = 0; i < out->count; i++) {
    trp_message_t *message = out->messages[i];
    if (message->kind == TRP_KIND(COMMAND_CONNECT) || message->kind == TRP_KIND(COMMAND_ADOPT) ||
        message->kind == TRP_KIND(COMMAND_LISTEN)) {
      int error = find_made(replay, out, i);
      if (error != 0) {
        return error;
      }
    }
    const named_t *named = trp_map_get(&replay->ids.recorded, message->subject);
    if (named == NULL) {
      continue;
    }
    if (named->recorded == 0) {
      message->kind = TRP_KIND(KIND_NONE);
    } else {
      message->subject = named->recorded;
    }
  }
  return 0;
}

/// The actor makes something: what was it in the recording?
static int find_made(trp_replay_t *replay, const trp_out_t *out, size_t index) {
  trp_replay_ids_t *ids = &replay->ids;
  const trp_message_t *message = out->messages[index];
  bool listens = message->kind == TRP_KIND(COMMAND_LISTEN);
  if (ids->sender != out->cause_sender || ids->sequence != out->cause_sequence) {
    ids->sender = out->cause_sender;
    ids->sequence = out->cause_sequence;
    ids->made = 0;
  }
  bool unknown = replay->makes_up && (ids->sender != 0 || ids->sequence != 0);
  const trp_maker_t *maker = unknown ? NULL
                                     : trp_whole_made(&replay->whole, ids->sender, ids->sequence,
                                                      ids->made);
  uint64_t recorded = 0;
  if (maker != NULL && maker->listens == listens) {
    ids->made++;
    recorded = maker->id;
  } else if (listens) {
    // Most likely main begins with it, as it did before the recording.
    recorded = trp_map_get(&ids->replayed, message->subject) == NULL ? message->subject : 0;
  } else if (is_too_much(replay, out)) {
    return trp_replay_tell_made(replay, out, index);
  }
  if (listens) {
    int error = trp_partial_remember_listen(replay, message->subject, recorded);
    if (error != 0) {
      return error;
    }
  }
  return name(ids, recorded, message->subject);
}

static int name(trp_replay_ids_t *ids, uint64_t recorded, uint64_t replayed) {
  named_t *named = trp_map_get(&ids->recorded, replayed);
  if (named == NULL) {
    named = calloc(1, sizeof *named);
    if (named == NULL || trp_map_put(&ids->recorded, replayed, named) != 0) {
      free(named);
      return TROUPE_ENOMEM;
    }
  }
  if (named->recorded != recorded && named->recorded != 0) {
    trp_map_remove(&ids->replayed, named->recorded);
  }
  *named = (named_t){.recorded = recorded, .replayed = replayed};
  return recorded == 0 ? 0 : trp_map_put(&ids->replayed, recorded, named);
}

/// Whether it is known that the actor made nothing (more) after an event of the recording.
static bool is_too_much(const trp_replay_t *replay, const trp_out_t *out) {
  uint32_t flags = trp_reader_header(replay->reader)->flags;
  bool late = (flags & (TRP_TRACE_LATE | TRP_TRACE_ROTATED)) != 0;
  // What a timer does may depend on how often it was due before.
  bool timer = out->cause_sender == replay->start.id && (late || (flags & TRP_TRACE_LOST) != 0);
  bool at_start = out->cause_sender == 0 && out->cause_sequence == 0;
  return !replay->makes_up && !replay->whole.unclear && !(late && at_start) && !timer &&
         !trp_whole_is_shadowed(&replay->whole, out->cause_sender, out->cause_sequence);
}

bool trp_replay_is_unmade(const trp_replay_t *replay, const trp_message_t *message) {
  return message->kind != TRP_KIND(EVENT_HANDED) &&
         message->kind != TRP_KIND(EVENT_TIMER) && // the actor finds it by what started it
         is_own(replay, message->subject) &&
         trp_map_get(&replay->ids.replayed, message->subject) == NULL;
}

int trp_replay_rename_in(trp_replay_t *replay, trp_message_t *message) {
  trp_replay_ids_t *ids = &replay->ids;
  if (message->kind == TRP_KIND(EVENT_HANDED) && is_own(replay, message->subject) &&
      trp_map_get(&ids->replayed, message->subject) == NULL) {
    // Numbers from the top, which the actor itself never comes to.
    uint64_t alias = trp_id_make(trp_id_io(message->subject), trp_id_creator(message->subject),
                                 TRP_ID_COUNTER_MAX - ids->aliases++);
    int error = name(ids, message->subject, alias);
    if (error != 0) {
      return error;
    }
  }
  const named_t *named = trp_map_get(&ids->replayed, message->subject);
  if (named != NULL) {
    message->subject = named->replayed;
  }
  return 0;
}
