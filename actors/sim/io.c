/// A simulated I/O actor: the socket logic of every I/O actor, over the simulated transport.
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/sim/world.h"
#include "core/message/id.h"

int trp_sim_io_open(trp_sim_t *sim, unsigned index, unsigned count) {
  trp_sim_io_t *io = &sim->io[index];
  uint64_t self = trp_id_actor(index + 1);
  io->last_call = &io->first_call;
  trp_in_init(&io->in);
  trp_sim_transport_init(&io->transport, &sim->network);
  io->transport.on_owner = trp_sim_watch_owner;
  io->transport.owner_context = sim;
  int error = trp_pool_new(&io->pool);
  if (error == 0) {
    error = trp_sim_open_inbox(sim, self, &io->inbox);
  }
  if (error == 0) {
    error = trp_net_new(self, &io->transport.base, trp_sim_inbox_base(io->inbox), io->pool,
                        &io->net);
  }
  if (error == 0) {
    error = trp_net_join(io->net, count);
  }
  return error;
}

void trp_sim_io_close(trp_sim_t *sim, unsigned index) {
  trp_sim_io_t *io = &sim->io[index];
  while (io->first_call != NULL) {
    trp_kept_io_call_t *call = io->first_call;
    io->first_call = call->next;
    free(call);
  }
  if (io->net != NULL) {
    trp_net_free(&io->net);
  }
  if (io->inbox != NULL) {
    trp_inbox_close(trp_sim_inbox_base(io->inbox));
  }
  trp_in_free(&io->in);
  if (io->pool != NULL) {
    trp_pool_close(&io->pool);
  }
}

int trp_sim_io_post(trp_sim_t *sim, unsigned index, const trp_io_call_t *call) {
  trp_sim_io_t *io = &sim->io[index];
  trp_kept_io_call_t *kept = trp_io_call_keep(call);
  if (kept == NULL) {
    return TROUPE_ENOMEM;
  }
  *io->last_call = kept;
  io->last_call = &kept->next;
  return 0;
}

bool trp_sim_io_has_work(const trp_sim_t *sim, unsigned index) {
  const trp_sim_io_t *io = &sim->io[index];
  return trp_sim_inbox_has_some(io->inbox) || io->first_call != NULL ||
         (index == 0 && sim->signalled) || trp_sim_transport_has_work(&io->transport);
}

/// So many batches, or until nothing is left.
static void receive_some(trp_sim_t *sim, trp_sim_io_t *io, uint64_t most) {
  for (; most > 0; most--) {
    int result = trp_inbox_receive(trp_sim_inbox_base(io->inbox), 0, &io->in);
    if (result == 0) {
      return;
    }
    if (result == 1) {
      trp_sim_watch_commands(sim, io->net, &io->in);
      trp_net_execute(io->net, &io->in);
      trp_sim_changed(sim);
    } else {
      trp_net_undecodable(io->net);
    }
    trp_in_reset(&io->in);
  }
}

/// What was sent before a call was posted goes first.
static void carry_out_calls(trp_sim_t *sim, trp_sim_io_t *io) {
  trp_kept_io_call_t *call = io->first_call;
  io->first_call = NULL;
  io->last_call = &io->first_call;
  if (call != NULL) {
    receive_some(sim, io, UINT64_MAX);
  }
  while (call != NULL) {
    trp_kept_io_call_t *next = call->next;
    const trp_io_call_t *what = &call->what;
    (void)trp_net_post(io->net, what->actor, what->kind, what->subject, what->grace_ms, what->bytes,
                       what->length);
    free(call);
    call = next;
  }
}

uint64_t trp_sim_io_enter(trp_sim_t *sim) {
  uint64_t own = trp_out_last_serial();
  trp_out_set_last_serial(sim->last_serial);
  return own;
}

void trp_sim_io_leave(trp_sim_t *sim, uint64_t own) {
  sim->last_serial = trp_out_last_serial();
  trp_out_set_last_serial(own);
}

void trp_sim_io_turn(trp_sim_t *sim, unsigned index) {
  trp_sim_io_t *io = &sim->io[index];
  uint64_t own = trp_sim_io_enter(sim);
  if (index == 0 && sim->signalled) {
    sim->signalled = false;
    sim->on_signal_stop(sim->signal_context);
  }
  bool network_first = trp_dice_below(&sim->dice, 2) == 0;
  if (network_first) {
    trp_sim_transport_turn(&io->transport);
  }
  carry_out_calls(sim, io);
  receive_some(sim, io, trp_dice_scale(&sim->dice, 1, 64));
  if (!network_first) {
    trp_sim_transport_turn(&io->transport);
  }
  trp_net_flush(io->net);
  trp_sim_io_leave(sim, own);
}
