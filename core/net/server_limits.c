/// Whom a server lets in: maxConnections, its block list, the cap of one address. The I/O actor
/// looks at them before the application hears of a connection.
#include "core/message/id.h"
#include "core/net/block_list.h"
#include "core/net/server.h"
#include "core/net/wire_rule.h"

enum { RULES_AT_ONCE = 64 };

static int send_rules(trp_listening_t *listening, const troupe_block_list_t *list, uint64_t id,
                      size_t *known, size_t *pieces);
static void take_back(trp_listening_t *listening, size_t pieces);
static uint64_t new_list_id(const trp_listening_t *listening);
static int send_piece(trp_listening_t *listening, uint64_t id, size_t known,
                      const trp_ip_rule_t *rules, size_t count, bool drop);
static int send_limits(const trp_server_t *server, const Troupe__Wire__Options *limits);
static int change_list(trp_listening_t *listening, const troupe_block_list_t *list);

int trp_server_limits_check(const troupe_server_options_t *options) {
  return options->ipv6_prefix > 128 ? (int)TROUPE_ERR_OUT_OF_RANGE : 0;
}

void trp_listening_put_limits(const trp_listening_t *listening, Troupe__Wire__Options *options) {
  const troupe_server_options_t *from = &listening->server->options;
  options->set_max_connections = true;
  options->max_connections = from->max_connections;
  options->set_block_list = true;
  options->block_list = listening->blocks;
  options->set_max_per_address = true;
  options->max_per_address = from->max_per_address;
  options->max_per_address_prefix = from->ipv6_prefix;
}

int troupe_server_set_max_connections(troupe_server_t handle, int64_t max_connections) {
  trp_server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  Troupe__Wire__Options limits = TROUPE__WIRE__OPTIONS__INIT;
  limits.set_max_connections = true;
  limits.max_connections = max_connections;
  error = send_limits(server, &limits);
  if (error == 0) {
    server->options.max_connections = max_connections;
  }
  return error;
}

int troupe_server_set_max_per_address(troupe_server_t handle, unsigned max_per_address,
                                      unsigned ipv6_prefix) {
  trp_server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  troupe_server_options_t options = server->options;
  options.max_per_address = max_per_address;
  options.ipv6_prefix = ipv6_prefix;
  error = trp_server_limits_check(&options);
  if (error != 0) {
    return error;
  }
  Troupe__Wire__Options limits = TROUPE__WIRE__OPTIONS__INIT;
  limits.set_max_per_address = true;
  limits.max_per_address = max_per_address;
  limits.max_per_address_prefix = ipv6_prefix;
  error = send_limits(server, &limits);
  if (error == 0) {
    server->options = options;
  }
  return error;
}

/// What is set in `limits` is in force for the current listen, if there is one.
static int send_limits(const trp_server_t *server, const Troupe__Wire__Options *limits) {
  trp_message_t *message = NULL;
  if (server->current == NULL) {
    return 0;
  }
  int error = trp_listening_command(server->current, TRP_KIND(COMMAND_OPTIONS), &message);
  if (error != 0) {
    return error;
  }
  trp_out_t *out = trp_actor_out(server->object.actor, server->current->wire);
  Troupe__Wire__Options *options = trp_out_take(out, sizeof *options);
  if (options == NULL) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  *options = *limits;
  message->detail_case = TRP_DETAIL(OPTIONS);
  message->options = options;
  return 0;
}

// ---- Block lists ----

int troupe_server_set_block_list(troupe_server_t handle, troupe_block_list_t *list) {
  trp_server_t *server = NULL;
  int error = trp_server_get(handle, &server);
  if (error != 0) {
    return error;
  }
  trp_listening_t *current = server->current;
  troupe_block_list_t *old = server->options.block_list;
  if (current != NULL && list != NULL && list == old && current->blocks != 0) {
    size_t pieces = 0;
    return send_rules(current, list, current->blocks, &current->rules, &pieces);
  }
  if (current != NULL && (list != NULL || current->blocks != 0)) {
    error = change_list(current, list);
    if (error != 0) {
      return error;
    }
  }
  if (list != NULL) {
    trp_block_list_retain(list);
  }
  if (old != NULL) {
    trp_block_list_release(old);
  }
  server->options.block_list = list;
  return 0;
}

/// The new list is told whole, then put in the place of the old one, which goes: no connection finds
/// a list that is half there, or none. With an error the old one stays, and nothing was told.
static int change_list(trp_listening_t *listening, const troupe_block_list_t *list) {
  size_t rules = 0, pieces = 0;
  uint64_t id = 0;
  int error = 0;
  if (list != NULL) {
    id = new_list_id(listening);
    error = id == 0 ? (int)TROUPE_EOVERFLOW : send_rules(listening, list, id, &rules, &pieces);
  }
  if (error != 0) {
    return error;
  }
  Troupe__Wire__Options limits = TROUPE__WIRE__OPTIONS__INIT;
  limits.set_block_list = true;
  limits.block_list = id;
  error = send_limits(listening->server, &limits);
  if (error != 0) {
    take_back(listening, pieces);
    return error;
  }
  trp_listening_drop_list(listening);
  listening->blocks = id;
  listening->rules = rules;
  return 0;
}

int trp_listening_send_list(trp_listening_t *listening) {
  const troupe_block_list_t *list = listening->server->options.block_list;
  size_t pieces = 0;
  if (list == NULL) {
    return 0;
  }
  uint64_t id = new_list_id(listening);
  listening->rules = 0;
  int error = id == 0 ? (int)TROUPE_EOVERFLOW
                      : send_rules(listening, list, id, &listening->rules, &pieces);
  listening->blocks = error == 0 ? id : 0;
  return error;
}

void trp_listening_drop_list(trp_listening_t *listening) {
  if (listening->blocks != 0) {
    (void)send_piece(listening, listening->blocks, 0, NULL, 0,
                     true); // else the actor's end does it
    listening->blocks = 0;
  }
}

static uint64_t new_list_id(const trp_listening_t *listening) {
  return trp_actor_new_id(listening->server->object.actor, (int)trp_id_io(listening->wire));
}

/// Those behind the first `*known`, which grows with what was told; `*pieces` are the messages that
/// it took. A list is told even if it has no rule. With an error nothing was told.
static int send_rules(trp_listening_t *listening, const troupe_block_list_t *list, uint64_t id,
                      size_t *known, size_t *pieces) {
  trp_ip_rule_t rules[RULES_AT_ONCE];
  size_t told = *known, count;
  do {
    count = trp_block_list_read(list, told, rules, RULES_AT_ONCE);
    if (count == 0 && told > 0) {
      break;
    }
    int error = send_piece(listening, id, told, rules, count, false);
    if (error != 0) {
      take_back(listening, *pieces);
      return error;
    }
    ++*pieces;
    told += count;
  } while (count == RULES_AT_ONCE);
  *known = told;
  return 0;
}

/// The last messages: nothing else was said since, and they have not left.
static void take_back(trp_listening_t *listening, size_t pieces) {
  trp_out_t *out = trp_actor_out(listening->server->object.actor, listening->wire);
  for (; pieces > 0; pieces--) {
    trp_out_undo(out);
  }
}

static int send_piece(trp_listening_t *listening, uint64_t id, size_t known,
                      const trp_ip_rule_t *rules, size_t count, bool drop) {
  trp_actor_t *actor = listening->server->object.actor;
  trp_message_t *message = trp_actor_command(actor, TRP_KIND(COMMAND_BLOCK_LIST), id);
  if (message == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_out_t *out = trp_actor_out(actor, id);
  Troupe__Wire__BlockList *list = trp_out_take(out, sizeof *list);
  Troupe__Wire__BlockList__Rule **wire = trp_rules_to_wire(out, rules, count);
  if (list == NULL || wire == NULL) {
    trp_out_undo(out);
    return TROUPE_ENOMEM;
  }
  *list = (Troupe__Wire__BlockList)TROUPE__WIRE__BLOCK_LIST__INIT;
  list->rules = wire;
  list->n_rules = count;
  list->known = known;
  list->drop = drop;
  message->detail_case = TRP_DETAIL(BLOCK_LIST);
  message->block_list = list;
  return 0;
}
