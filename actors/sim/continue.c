/// A recording that goes on. Until the cut its actor's inbox gives what was recorded, and keeps a
/// ledger of what the actor is told and says. At the cut the I/O actors are brought to where the
/// actor believes them to be, at one moment of the world's time, and the inbox becomes a live one.
#include <inttypes.h>
#include <stdlib.h>
#include <troupe/error.h>

#include "actors/sim/world.h"
#include "core/actor/actor.h"
#include "core/message/id.h"
#include "core/net/wire_address.h"
#include "core/support/assert.h"
#include "core/trace/calls.h"
#include "core/trace/prefix.h"

struct trp_continuation {
  const trp_script_t *script;
  trp_prefix_t *prefix;
  trp_ledger_t ledger;
  trp_sim_peers_t peers;
  trp_sim_inbox_t *inbox;
  bool has_come;   // to the cut
  bool may_go_on;  // the rest of the world is there
  bool taken_over; // by the world
};

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in);
static int send_batch(trp_inbox_t *inbox, trp_out_t *out);
static int64_t now(trp_inbox_t *inbox);
static int recall(trp_inbox_t *inbox, uint32_t call, int64_t *value);
static int take_over(trp_sim_t *sim);

static const trp_inbox_ops_t play_ops = {.receive = receive,
                                         .send = send_batch,
                                         .now = now,
                                         .close = trp_sim_inbox_close,
                                         .recall = recall};

int trp_sim_continue_open(trp_sim_t *sim, const trp_script_t *script) {
  trp_continuation_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  sim->continuation = made;
  made->script = script;
  int error = trp_prefix_open(script->recording->path, script->events, &made->prefix);
  if (error == 0) {
    error = trp_ledger_init(&made->ledger, script->io_threads, script->recording->heard != NULL);
  }
  return error == 0 ? trp_sim_peers_open(&made->peers, sim, script) : error;
}

void trp_sim_continue_free(trp_sim_t *sim) {
  trp_continuation_t *continuation = sim->continuation;
  if (continuation == NULL) {
    return;
  }
  sim->continuation = NULL;
  trp_sim_peers_free(&continuation->peers);
  trp_ledger_free(&continuation->ledger);
  trp_prefix_close(&continuation->prefix);
  free(continuation);
}

int trp_sim_continue_spawn(trp_sim_t *sim, troupe_system_t *system) {
  const troupe_sim_recording_t *recording = sim->continuation->script->recording;
  return trp_system_spawn_as(system, trp_prefix_start(sim->continuation->prefix), recording->main,
                             recording->argument);
}

bool trp_sim_continue_has_come(const trp_sim_t *sim) {
  return sim->continuation->has_come;
}

void trp_sim_continue_go_on(trp_sim_t *sim) {
  sim->continuation->may_go_on = true;
  trp_sim_changed(sim);
}

bool trp_sim_continue_is_taken_over(const trp_sim_t *sim) {
  return sim->continuation->taken_over;
}

void trp_sim_continue_begin(trp_sim_t *sim) {
  trp_sim_peers_begin(&sim->continuation->peers);
}

bool trp_sim_continue_is_done(const trp_sim_t *sim) {
  return sim->continuation->peers.left == 0;
}

void trp_sim_continue_end(trp_sim_t *sim) {
  trp_sim_peers_close(&sim->continuation->peers);
}

trp_sim_peers_t *trp_sim_continue_peers(const trp_sim_t *sim) {
  return sim->continuation == NULL ? NULL : &sim->continuation->peers;
}

void trp_sim_continue_inbox(trp_sim_t *sim, uint64_t self, trp_sim_inbox_t *inbox) {
  trp_continuation_t *continuation = sim->continuation;
  if (continuation != NULL && continuation->script->actor == self) {
    continuation->inbox = inbox;
    trp_sim_inbox_play(inbox, &play_ops);
  }
}

// ---- The inbox until the cut ----

static trp_continuation_t *continuation_of(trp_inbox_t *inbox) {
  return trp_sim_inbox_world(inbox)->continuation;
}

/// At the cut it stays until the rest of the world is there; but not inside of what main sets up, for
/// whose end the rest waits.
static void wait_for_the_world(trp_sim_t *sim) {
  trp_task_t *task = sim->running;
  while (!sim->continuation->may_go_on && !sim->killing && trp_actor_busy(trp_actor_current())) {
    task->state = TRP_TASK_WAITING;
    task->deadline_ns = TRP_NEVER;
    task->changes_seen = sim->changes;
    trp_sim_yield(sim);
    task->state = TRP_TASK_READY;
  }
}

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  (void)deadline_ns; // time passes only with the recorded batches
  trp_sim_t *sim = trp_sim_inbox_world(inbox);
  trp_continuation_t *continuation = sim->continuation;
  if (sim->killing) {
    return TROUPE_ESTOPPED;
  }
  int result = trp_prefix_next(continuation->prefix, in);
  if (result == 1) {
    int error = trp_ledger_told(&continuation->ledger, in);
    return error == 0 ? 1 : error;
  }
  if (result == 0) {
    continuation->has_come = true;
    trp_sim_changed(sim);
    wait_for_the_world(sim);
    if (sim->killing) {
      return TROUPE_ESTOPPED;
    }
    uint64_t own = trp_sim_io_enter(sim);
    result = take_over(sim);
    trp_sim_io_leave(sim, own);
    continuation->taken_over = true;
    trp_sim_inbox_go_live(continuation->inbox);
    trp_sim_changed(sim);
  }
  return result;
}

/// What leaves for an I/O actor is kept until it is known whether it was answered; only hello is for
/// the one that there is. Other actors have got theirs in the recording.
static int send_batch(trp_inbox_t *inbox, trp_out_t *out) {
  int error = out->envelope == NULL ? trp_out_pack(out) : 0;
  if (error != 0) {
    return error;
  }
  if (out->count > 0 && out->messages[0]->kind == TRP_KIND(COMMAND_HELLO)) {
    return trp_sim_inbox_send(inbox, out);
  }
  if (trp_id_is_io_actor(out->to)) {
    error = trp_ledger_said(&continuation_of(inbox)->ledger, trp_id_creator(out->to) - 1, out);
  }
  if (error == 0) {
    trp_out_reset(out);
  }
  return error;
}

static int64_t now(trp_inbox_t *inbox) {
  return trp_prefix_now(continuation_of(inbox)->prefix);
}

static int recall(trp_inbox_t *inbox, uint32_t call, int64_t *value) {
  trp_sim_t *sim = trp_sim_inbox_world(inbox);
  trp_prefix_t *prefix = sim->continuation->prefix;
  int error = trp_prefix_recall(prefix, call, value);
  if (error == TROUPE_EDIFFERS) {
    trp_sim_fail(sim,
                 "behind event %" PRIu64 " of the recording its actor makes another call than was "
                 "recorded: %s",
                 trp_prefix_given(prefix), trp_call_name(call));
    return TROUPE_ESTOPPED;
  }
  return error;
}

// ---- The cut ----

/// Carries out a command that was not answered.
static void carry_out(trp_sim_t *sim, const trp_order_t *order) {
  trp_message_t *messages[] = {order->message};
  trp_wire_batch_t batch = *order->letter->in.batch;
  batch.n_messages = 1;
  batch.messages = messages;
  trp_in_t in = order->letter->in;
  in.batch = &batch;
  trp_net_t *net = sim->io[order->io].net;
  trp_sim_watch_commands(sim, net, &in);
  trp_net_execute(net, &in);
}

static bool makes_listen(const trp_order_t *order) {
  return order->message->kind == TRP_KIND(COMMAND_LISTEN) ||
         order->message->kind == TRP_KIND(COMMAND_OPTIONS);
}

static bool has(const trp_entry_t *entry, unsigned kind) {
  for (const trp_link_t *link = entry->orders.next; link != &entry->orders; link = link->next) {
    if ((unsigned)TRP_LIST_ENTRY(link, trp_order_t, in_entry)->message->kind == kind) {
      return true;
    }
  }
  return false;
}

/// Listens where it did in the recording, whatever it asked for.
static void listen_again(trp_sim_t *sim, trp_entry_t *entry, trp_order_t *order) {
  Troupe__Wire__Listen *listen = order->message->listen;
  Troupe__Wire__Address address = TROUPE__WIRE__ADDRESS__INIT;
  uint16_t port = trp_script_port(sim->continuation->script, entry->id);
  order->message->through = entry->dealt;
  if (entry->listens && entry->local.family == TROUPE_FAMILY_UNIX) {
    listen->use_fd = false;
    listen->path = (ProtobufCBinaryData){.len = entry->local.path_length,
                                         .data = (uint8_t *)entry->local.path};
  } else if (entry->listens && listen->share_with == 0) {
    listen->ipv6_only = listen->ipv6_only && (listen->has_address || listen->host[0] != '\0');
    listen->use_fd = false;
    listen->has_address = true;
    listen->port = entry->local.port;
    listen->address = &address;
    trp_address_fill_wire(&address, &entry->local);
  } else if (listen->port == 0 && listen->path.len == 0 && !listen->use_fd) {
    listen->port = port;
  }
  carry_out(sim, order);
  listen->address = NULL;
  if (entry->listens) {
    trp_net_unsay_listening(sim->io[order->io].net, sim->continuation->script->actor, entry->id);
  }
}

/// `setting_up`: what makes it listen; else the rest of it.
static void resume_server(trp_sim_t *sim, trp_entry_t *entry, bool setting_up) {
  for (trp_link_t *link = entry->orders.next; link != &entry->orders; link = link->next) {
    trp_order_t *order = TRP_LIST_ENTRY(link, trp_order_t, in_entry);
    if (makes_listen(order) != setting_up) {
      continue;
    }
    if (order->message->kind == TRP_KIND(COMMAND_LISTEN)) {
      listen_again(sim, entry, order);
    } else {
      carry_out(sim, order);
    }
  }
}

static void carry_out_all(trp_sim_t *sim, const trp_entry_t *entry) {
  for (trp_link_t *link = entry->orders.next; link != &entry->orders; link = link->next) {
    carry_out(sim, TRP_LIST_ENTRY(link, trp_order_t, in_entry));
  }
}

/// Which one has it; the first, when none does.
static trp_sim_io_t *io_of(trp_sim_t *sim, uint64_t id) {
  unsigned io = trp_id_io(id);
  return &sim->io[io >= 1 && io <= sim->ground.io_count ? io - 1 : 0];
}

static int resume_socket(trp_sim_t *sim, trp_entry_t *entry) {
  trp_continuation_t *continuation = sim->continuation;
  trp_sim_io_t *io = io_of(sim, entry->id);
  trp_sim_peers_t *peers = &continuation->peers;
  trp_transport_t *transports[2];
  troupe_address_t addresses[2];
  trp_handle_t *ends[2];
  bool ended[2];
  int own = entry->connected_by_self ? 0 : 1;
  transports[own] = &io->transport.base;
  transports[1 - own] = &peers->transport.base;
  addresses[own] = entry->local;
  addresses[1 - own] = entry->remote;
  ended[own] = entry->known.finished;
  ended[1 - own] = entry->known.peer_ended;
  int error = trp_network_pair(&sim->network, transports, addresses, ended, ends);
  if (error != 0) {
    return error;
  }
  trp_sim_transport_keep(&io->transport, ends[own]);
  trp_sim_transport_keep(&peers->transport, ends[1 - own]);
  trp_sim_watch_resumed(sim, continuation->script->actor, &entry->known, ends[own]);
  trp_sim_peers_join(peers, entry, ends[1 - own]);
  entry->known.options = entry->has_options ? &entry->options : NULL;
  error = trp_net_resume(io->net, continuation->script->actor, &entry->known, ends[own],
                         io_of(sim, entry->known.server)->net);
  if (error == 0) {
    carry_out_all(sim, entry);
  }
  return error;
}

/// Everything that the actor has appears in the world: first what others need.
static int take_over(trp_sim_t *sim) {
  trp_continuation_t *continuation = sim->continuation;
  trp_ledger_t *ledger = &continuation->ledger;
  int error = 0;
  sim->network.now_ns = sim->now_ns;
  for (unsigned i = 0; i < sim->ground.io_count; i++) {
    trp_net_resume_owner(sim->io[i].net, continuation->script->actor, &ledger->owners[i]);
  }
  for (int round = 0; round < 4; round++) {
    trp_link_t *link = ledger->entries.next;
    for (; link != &ledger->entries && error == 0; link = link->next) {
      trp_entry_t *entry = TRP_LIST_ENTRY(link, trp_entry_t, in_ledger);
      bool server = has(entry, TRP_KIND(COMMAND_LISTEN));
      bool blocks = has(entry, TRP_KIND(COMMAND_BLOCK_LIST));
      if (round == 0 && blocks) {
        carry_out_all(sim, entry);
      } else if (round == 1 && server) {
        resume_server(sim, entry, true);
      } else if (round == 2 && entry->is_open) {
        error = resume_socket(sim, entry);
      } else if (round == 3 && server) {
        resume_server(sim, entry, false);
      } else if (round == 3 && !blocks && !entry->is_open) {
        carry_out_all(sim, entry);
      }
    }
  }
  for (unsigned i = 0; i < sim->ground.io_count; i++) {
    trp_net_flush(sim->io[i].net);
  }
  return error;
}
