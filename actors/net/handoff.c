// Two steps, because bytes are on their way while the decision travels: the socket is frozen, which
// is told behind all data, and only then, when the giver has every byte in its hands, it is given
// together with those that nobody has read. When the giver has consumed all that was ever sent to
// it, there are none, and one step is enough.

#include "actors/net/handoff.h"

#include <troupe/error.h>

#include "actors/net/deadlines.h"
#include "actors/net/owners.h"

static bool hand_over(trp_stream_t *stream, trp_owner_t *receiver, const trp_command_t *command,
                      uint32_t unread);
static void refuse_give(trp_stream_t *stream, int code);

void trp_stream_freeze(trp_stream_t *stream, const trp_command_t *command) {
  if (stream->handle == NULL) {
    refuse_give(stream, TROUPE_ENOTCONN);
    return;
  }
  if (stream->frozen) {
    stream->net->counters.refused++;
    return;
  }
  if (command->message->detail_case == TRP_DETAIL(GIVE) && stream->sent_cost == stream->consumed) {
    stream->frozen = true;
    trp_stream_give(stream, command);
    return;
  }
  if (trp_stream_tell(stream, TRP_KIND(EVENT_FROZEN)) == NULL) {
    trp_stream_owe_close(stream);
    return;
  }
  stream->frozen = true;
  trp_stream_mark(stream);
}

void trp_stream_give(trp_stream_t *stream, const trp_command_t *command) {
  trp_net_t *net = stream->net;
  const Troupe__Wire__Give *wire = command->message->give;
  trp_owner_t *giver = stream->owner;
  trp_owner_t *receiver = trp_owner_find(net, wire->to);
  if (!stream->frozen || wire->unread > command->message->length || receiver == giver) {
    refuse_give(stream, TROUPE_EINVAL);
    return;
  }
  trp_stream_consume(stream, wire->consumed);
  if (receiver == NULL) {
    refuse_give(stream, TROUPE_ENOACTOR);
    return;
  }
  if (!hand_over(stream, receiver, command, wire->unread)) {
    refuse_give(stream, TROUPE_ENOMEM);
    return;
  }
  // Told in the giver's epoch, as its last event.
  if (trp_stream_tell(stream, TRP_KIND(EVENT_GIVEN)) == NULL) {
    trp_out_undo(&receiver->out);
    refuse_give(stream, TROUPE_ENOMEM);
    return;
  }
  stream->epoch++;
  stream->owner = receiver;
  trp_list_remove(&stream->in_owner);
  trp_list_append(&receiver->streams, &stream->in_owner);
  trp_list_remove(&stream->in_stalled);
  // The unread bytes are one data event to the receiver, whatever they were before.
  stream->sent_cost = stream->consumed + (wire->unread > 0 ? trp_data_cost(wire->unread) : 0);
  stream->paused = wire->paused;
  stream->held &= wire->paused;
  stream->frozen = stream->stalled = false;
  stream->stopped = trp_stream_credit_left(stream) < TRP_READ_MINIMUM + TRP_EVENT_COST;
  stream->grows |= stream->stopped;
  trp_options_merge(&stream->options, wire->options);
  stream->active_ns = net->now_ns; // the new owner's time begins
  stream->timeout_told = false;
  trp_stream_arm(stream);
  trp_stream_mark(stream);
}

/// Tells the receiver all about the socket. It is the last message in its batch then.
static bool hand_over(trp_stream_t *stream, trp_owner_t *receiver, const trp_command_t *command,
                      uint32_t unread) {
  trp_net_t *net = stream->net;
  trp_out_t *out = &receiver->out;
  const trp_message_t *give_message = command->message;
  trp_message_t *message = trp_owner_tell(receiver, TRP_KIND(EVENT_HANDED), stream->subject.id);
  if (message == NULL) {
    return false;
  }
  troupe_address_t local = {0}, remote = {0};
  net->ops->names(net->transport, stream->handle, &local, &remote);
  Troupe__Wire__Handed *handed = trp_out_take(out, sizeof *handed);
  Troupe__Wire__Options *options = trp_out_take(out, sizeof *options);
  if (handed == NULL || options == NULL) {
    goto no_memory;
  }
  *handed = (Troupe__Wire__Handed)TROUPE__WIRE__HANDED__INIT;
  *options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  if (give_message->give->options != NULL) {
    *options = *give_message->give->options; // nothing in it points anywhere
    options->base.n_unknown_fields = 0;
    options->base.unknown_fields = NULL;
  }
  handed->from = command->sender;
  handed->unread = unread;
  handed->ended = give_message->give->ended || !trp_stream_receives(stream->state);
  handed->finished = trp_stream_has_ended(stream->state);
  handed->fin_sent = stream->state == TRP_STREAM_ENDED;
  handed->last = stream->state == TRP_STREAM_FINISHING;
  handed->high_water_mark = give_message->give->high_water_mark;
  handed->write_limit = give_message->give->write_limit;
  handed->paused = give_message->give->paused;
  handed->local = trp_address_to_wire(out, &local);
  handed->remote = trp_address_to_wire(out, &remote);
  handed->bytes_read = stream->bytes_read -
                       (unread < stream->bytes_read ? unread : stream->bytes_read);
  handed->bytes_written = stream->accepted;
  handed->options = options;
  handed->consumed = stream->consumed;
  if (handed->local == NULL || handed->remote == NULL ||
      !trp_put_credentials(out, net->transport, stream->handle, &handed->credentials)) {
    goto no_memory;
  }
  if (give_message->frame != 0 &&
      trp_out_attach(out, message, trp_in_frame(command->in, give_message), give_message->offset,
                     give_message->length) != 0) {
    goto no_memory;
  }
  message->through = stream->written;
  message->epoch = stream->epoch + 1;
  message->detail_case = TRP_DETAIL(HANDED);
  message->handed = handed;
  return true;

no_memory:
  trp_out_undo(out);
  return false;
}

/// The socket stays, and is read from again.
static void refuse_give(trp_stream_t *stream, int code) {
  trp_out_t *out = &stream->owner->out;
  stream->frozen = false;
  trp_stream_mark(stream);
  trp_message_t *message = trp_stream_tell(stream, TRP_KIND(EVENT_GIVE_FAILED));
  if (message == NULL) {
    trp_stream_owe_close(stream);
    return;
  }
  message->error = trp_put_error(out, &(trp_failure_t){.code = code});
  if (message->error == NULL) {
    trp_out_undo(out);
    trp_stream_owe_close(stream);
    return;
  }
  message->detail_case = TRP_DETAIL(ERROR);
}
