#include "actors/net/resume.h"

#include <troupe/error.h>

#include "actors/net/dealing.h"
#include "actors/net/deadlines.h"
#include "actors/net/member.h"
#include "actors/net/owners.h"
#include "actors/net/stream.h"
#include "core/support/assert.h"

static trp_stream_state_t state_of(const trp_resumed_t *known);
static bool count_at(trp_member_t *server, trp_stream_t *stream, const troupe_address_t *remote);

void trp_net_resume_owner(trp_net_t *net, uint64_t actor, const trp_resumed_owner_t *known) {
  trp_owner_t *owner = trp_owner_find(net, actor);
  TROUPE_ASSERT(owner != NULL);
  net->now_ns = net->ops->now(net->transport);
  owner->sent_cost = owner->window = known->sent_cost;
  owner->out.next_sequence = known->next_sequence;
  if (net->last_counter < known->last_counter) {
    net->last_counter = known->last_counter;
  }
}

void trp_net_unsay_listening(trp_net_t *net, uint64_t actor, uint64_t server) {
  trp_owner_t *owner = trp_owner_find(net, actor);
  const trp_message_t *last = owner == NULL || owner->out.count == 0
                                  ? NULL
                                  : owner->out.messages[owner->out.count - 1];
  if (last != NULL && last->kind == TRP_KIND(EVENT_LISTENING) && last->subject == server) {
    trp_out_undo(&owner->out);
  }
}

int trp_net_resume(trp_net_t *net, uint64_t actor, const trp_resumed_t *known, trp_handle_t *handle,
                   trp_net_t *servers_net) {
  trp_owner_t *owner = trp_owner_find(net, actor);
  trp_subject_t *subject = known->server == 0 ? NULL
                                              : trp_map_get(&servers_net->subjects, known->server);
  trp_member_t *server = subject != NULL && subject->tag == TRP_TAG_MEMBER
                             ? (trp_member_t *)(void *)subject
                             : NULL;
  trp_stream_t *stream = NULL;
  troupe_address_t remote = {0};
  if (trp_stream_new(net, owner, known->id, &stream) != 0) {
    net->ops->close(net->transport, handle);
    return TROUPE_ENOMEM;
  }
  if (server != NULL) {
    stream->options = server->options;
    stream->made_at = trp_texts_keep(&net->texts, server->made_at);
  }
  trp_options_merge(&stream->options, known->options);
  stream->held = stream->options.pause && !known->resumed;
  stream->epoch = known->epoch;
  stream->sent_cost = known->sent_cost;
  stream->consumed = known->consumed;
  stream->bytes_read = known->bytes_read;
  stream->accepted = stream->written = known->written;
  stream->frozen = known->frozen;
  stream->stopped = trp_stream_credit_left(stream) < TRP_READ_MINIMUM + TRP_EVENT_COST;
  stream->grows = stream->stopped;
  net->ops->names(net->transport, handle, NULL, &remote);
  if (server != NULL && !count_at(server, stream, &remote)) {
    net->ops->close(net->transport, handle);
    trp_stream_drop(stream);
    return TROUPE_ENOMEM;
  }
  trp_stream_accepted(stream, handle);
  if (stream->state != TRP_STREAM_CLOSED) {
    stream->state = state_of(known);
    trp_stream_mark(stream);
  }
  return 0;
}

static trp_stream_state_t state_of(const trp_resumed_t *known) {
  if (known->finished) {
    return TRP_STREAM_ENDED;
  }
  return known->peer_ended ? TRP_STREAM_PEER_ENDED : TRP_STREAM_OPEN;
}

/// The server has one connection more, wherever that lives, and its actor knows of it.
static bool count_at(trp_member_t *server, trp_stream_t *stream, const troupe_address_t *remote) {
  trp_net_t *net = stream->net;
  if (server->net != net) {
    if (!trp_deal_known(server, stream->subject.id, remote) ||
        trp_sibling_reserve(trp_sibling_of(net, trp_id_creator(stream->subject.id))) != 0) {
      return false;
    }
    trp_sibling_of(net, trp_id_creator(stream->subject.id))->served++;
    stream->taken = true;
    return true;
  }
  if (!trp_member_count_peer(server, &stream->peer, remote)) {
    return false;
  }
  stream->member = server;
  if (net->siblings.count > 1) {
    trp_sibling_of(net, trp_id_creator(net->self))->place.connections++;
  }
  server->place.connections++;
  server->counts.accepted++;
  return true;
}
