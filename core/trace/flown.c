#include "core/trace/flown.h"

#include "core/trace/format.h"

static trp_flown_t *flown_of(trp_inbox_t *inbox) {
  return (trp_flown_t *)(void *)inbox;
}

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  const trp_flown_t *flown = flown_of(inbox);
  int result = trp_inbox_receive(flown->inner, deadline_ns, in);
  if (result == 1 && flown->ring != NULL) {
    trp_ring_batch(flown->ring, TRP_RECORD_IN, in->received_ns, in->batch->sender, in->envelope,
                   in->batch->messages, in->batch->n_messages, in->frames);
  }
  return result;
}

/// It is written before it is sent: what its receiver does with it comes behind it. One that could
/// not be sent may grow, and is packed and written again.
static int send_batch(trp_inbox_t *inbox, trp_out_t *out) {
  const trp_flown_t *flown = flown_of(inbox);
  bool packed = flown->ring != NULL && out->envelope == NULL && trp_out_pack(out) == 0;
  if (packed) {
    trp_ring_batch(flown->ring, TRP_RECORD_OUT, trp_inbox_now(flown->inner), out->to, out->envelope,
                   out->messages, out->count, out->frames);
  }
  int error = trp_inbox_send(flown->inner, out);
  if (error != 0 && packed) {
    trp_frame_release(out->envelope);
    out->envelope = NULL;
  }
  return error;
}

static int64_t now(trp_inbox_t *inbox) {
  return trp_inbox_now(flown_of(inbox)->inner);
}

static int reach(trp_inbox_t *inbox, uint64_t to) {
  return trp_inbox_reach(flown_of(inbox)->inner, to);
}

static bool knows(trp_inbox_t *inbox, uint64_t to) {
  return trp_inbox_knows(flown_of(inbox)->inner, to);
}

static void hide(trp_inbox_t *inbox) {
  trp_inbox_hide(flown_of(inbox)->inner);
}

static void forget(trp_inbox_t *inbox, uint64_t to) {
  trp_inbox_forget(flown_of(inbox)->inner, to);
}

static void close_inner(trp_inbox_t *inbox) {
  trp_flown_t *flown = flown_of(inbox);
  trp_flown_fly(flown, NULL, NULL);
  trp_inbox_close(flown->inner);
}

void trp_flown_init(trp_flown_t *flown, trp_inbox_t *inner) {
  static const trp_inbox_ops_t ops = {.receive = receive,
                                      .send = send_batch,
                                      .now = now,
                                      .reach = reach,
                                      .knows = knows,
                                      .hide = hide,
                                      .forget = forget,
                                      .close = close_inner};
  *flown = (trp_flown_t){.base = {.ops = &ops}, .inner = inner};
}

void trp_flown_fly(trp_flown_t *flown, trp_flight_t *flight, const trp_start_t *start) {
  if (flown->ring != NULL) {
    trp_ring_give(flown->ring);
  }
  flown->ring = flight == NULL ? NULL : trp_ring_take(flight, start);
}
