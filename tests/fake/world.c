#include "tests/fake/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/net/wire_address.h"
#include "tests/harness/harness.h"

static void describe(fake_actor_t *actor, const trp_in_t *in, const trp_message_t *message);

uint64_t fake_actor_id(int actor) {
  return trp_id_actor((uint32_t)(FAKE_FIRST_ACTOR + actor));
}

uint64_t fake_id(int actor, unsigned counter) {
  return trp_id_make(1, (uint32_t)(FAKE_FIRST_ACTOR + actor), counter);
}

uint64_t fake_connection(unsigned counter) {
  return trp_id_make(1, 1, counter);
}

static fake_world_t *world_of(trp_inbox_t *inbox) {
  return (fake_world_t *)(void *)((char *)inbox - offsetof(fake_world_t, inbox));
}

/// Packs what was collected and opens it as the other side would.
static trp_in_t *cross(fake_world_t *world, trp_out_t *out) {
  world->kept = realloc(world->kept, (world->kept_count + 1) * sizeof(trp_in_t *));
  assert_non_null(world->kept);
  trp_in_t *in = malloc(sizeof *in);
  assert_non_null(in);
  world->kept[world->kept_count++] = in;
  trp_in_init(in);
  assert_int_equal(trp_out_pack(out), 0);
  assert_int_equal(trp_in_push(in, trp_frame_copy(out->envelope->bytes, out->envelope->size)), 0);
  for (size_t i = 0; i < out->frame_count; i++) {
    assert_int_equal(trp_in_push(in, trp_frame_hold(out->frames[i])), 0);
  }
  assert_int_equal(trp_in_open(in), 0);
  trp_out_reset(out);
  return in;
}

static int fake_send(trp_inbox_t *inbox, trp_out_t *out) {
  fake_world_t *world = world_of(inbox);
  if (world->send_error != 0) {
    return world->send_error;
  }
  if (trp_id_is_io_actor(out->to)) {
    assert_non_null(world->on_sibling);
    uint64_t to = out->to;
    world->on_sibling(world->context, world, to, cross(world, out));
    return 0;
  }
  fake_actor_t *actor = NULL;
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    if (out->to == fake_actor_id(i)) {
      actor = &world->actors[i];
    }
  }
  assert_non_null(actor);
  const trp_in_t *in = cross(world, out);
  assert_true(in->batch->n_messages > 0);
  assert_int_equal(in->batch->first_sequence, actor->next_sequence);
  actor->next_sequence += in->batch->n_messages;
  for (size_t i = 0; i < in->batch->n_messages; i++) {
    describe(actor, in, in->batch->messages[i]);
    if (world->on_event != NULL) {
      world->on_event(world->context, (int)(actor - world->actors), in->batch->messages[i]);
    }
  }
  return 0;
}

static void fake_forget(trp_inbox_t *inbox, uint64_t to) {
  world_of(inbox)->forgotten = to;
}

static int fake_reach(trp_inbox_t *inbox, uint64_t to) {
  (void)to;
  return world_of(inbox)->reach_error;
}

static const trp_inbox_ops_t inbox_ops = {
    .send = fake_send, .reach = fake_reach, .forget = fake_forget};

fake_world_t *fake_world_new(unsigned self, unsigned io_actors) {
  fake_world_t *world = calloc(1, sizeof *world);
  assert_non_null(world);
  world->self = trp_id_actor(self);
  fake_network_start(&world->network);
  world->inbox.ops = &inbox_ops;
  assert_int_equal(trp_pool_new(&world->pool), 0);
  assert_int_equal(
      trp_net_new(world->self, &world->network.base, &world->inbox, world->pool, &world->net), 0);
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    world->actors[i].id = fake_actor_id(i);
    world->actors[i].next_sequence = 1;
    trp_out_init(&world->actors[i].out, fake_actor_id(i), world->self, world->pool);
  }
  if (io_actors > 1) {
    assert_int_equal(trp_net_join(world->net, io_actors), 0);
    assert_int_equal(trp_net_meet(world->net), 0);
  }
  return world;
}

int fake_world_setup(void **state) {
  fake_world_t *world = fake_world_new(1, 1);
  for (int i = 0; i < 2; i++) {
    fake_hello(world, i, 0);
    fake_do(world, i);
  }
  *state = world;
  return 0;
}

int fake_world_teardown(void **state) {
  fake_world_t *world = *state;
  world->send_error = 0;
  for (int i = 0; i < 2; i++) {
    fake_bye(world, i, 0);
    fake_do(world, i);
  }
  fake_turn(world);
  fake_world_free(world);
  return 0;
}

void fake_world_free(fake_world_t *world) {
  const trp_net_counters_t *counters = trp_net_counters(world->net);
  if (counters->actors == 0) {
    assert_int_equal(counters->sockets, 0);
    assert_int_equal(counters->servers, 0);
  }
  trp_net_free(&world->net);
  fake_network_stop(&world->network);
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    trp_out_free(&world->actors[i].out);
  }
  for (size_t i = 0; i < world->kept_count; i++) {
    trp_in_free(world->kept[i]);
    free(world->kept[i]);
  }
  free(world->kept);
  trp_pool_close(&world->pool);
  free(world);
}

trp_message_t *fake_say(fake_world_t *world, int actor, Troupe__Wire__Kind kind, uint64_t subject) {
  trp_message_t *message = trp_out_add(&world->actors[actor].out, kind, subject);
  assert_non_null(message);
  return message;
}

void fake_do(fake_world_t *world, int actor) {
  trp_net_execute(world->net, cross(world, &world->actors[actor].out));
  trp_net_flush(world->net);
}

void fake_turn(fake_world_t *world) {
  fake_network_turn(&world->network);
  trp_net_flush(world->net);
}

void fake_pass(fake_world_t *world, int64_t ms) {
  fake_network_pass(&world->network, ms);
  trp_net_flush(world->net);
}

void *fake_take(fake_world_t *world, int actor, size_t size) {
  void *piece = trp_out_take(&world->actors[actor].out, size);
  assert_non_null(piece);
  return piece;
}

Troupe__Wire__Address *fake_wire(fake_world_t *world, int actor, const char *ip, int port) {
  troupe_address_t address = fake_address(ip, port);
  return trp_address_to_wire(&world->actors[actor].out, &address);
}

void fake_hello(fake_world_t *world, int actor, uint64_t group) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_HELLO), fake_actor_id(actor));
  message->hello = fake_take(world, actor, sizeof *message->hello);
  *message->hello = (Troupe__Wire__Hello)TROUPE__WIRE__HELLO__INIT;
  message->hello->group = group;
  message->detail_case = TRP_DETAIL(HELLO);
}

void fake_bye(fake_world_t *world, int actor, int status) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_BYE), fake_actor_id(actor));
  message->bye = fake_take(world, actor, sizeof *message->bye);
  *message->bye = (Troupe__Wire__Bye)TROUPE__WIRE__BYE__INIT;
  message->bye->status = status;
  message->bye->reason = status < 0 ? TROUPE__WIRE__REASON__REASON_FAILED
                                    : TROUPE__WIRE__REASON__REASON_RETURNED;
  message->detail_case = TRP_DETAIL(BYE);
}

void fake_write(fake_world_t *world, int actor, uint64_t id, const char *text, uint32_t flags) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_WRITE), id);
  message->flags = flags;
  if (text[0] != '\0') {
    assert_int_equal(trp_out_copy(&world->actors[actor].out, message, text, strlen(text)), 0);
  }
}

void fake_connect(fake_world_t *world, int actor, uint64_t id, const char *ip, int port) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_CONNECT), id);
  Troupe__Wire__Connect *connect = fake_take(world, actor, sizeof *connect);
  *connect = (Troupe__Wire__Connect)TROUPE__WIRE__CONNECT__INIT;
  connect->addresses = fake_take(world, actor, sizeof(Troupe__Wire__Address *));
  connect->addresses[0] = fake_wire(world, actor, ip, port);
  connect->n_addresses = 1;
  message->connect = connect;
  message->detail_case = TRP_DETAIL(CONNECT);
}

Troupe__Wire__Listen *fake_listen_on(fake_world_t *world, int actor, uint64_t id, const char *ip,
                                     int port) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_LISTEN), id);
  Troupe__Wire__Listen *listen = fake_take(world, actor, sizeof *listen);
  *listen = (Troupe__Wire__Listen)TROUPE__WIRE__LISTEN__INIT;
  listen->port = (uint32_t)port;
  if (ip != NULL) {
    listen->has_address = true;
    listen->address = fake_wire(world, actor, ip, port);
  }
  message->listen = listen;
  message->detail_case = TRP_DETAIL(LISTEN);
  return listen;
}

trp_handle_t *fake_connected(fake_world_t *world, int actor, unsigned counter) {
  fake_connect(world, actor, fake_id(actor, counter), "127.0.0.1", 80);
  fake_do(world, actor);
  trp_handle_t *handle = fake_handle(&world->network, -1);
  handle->connect_result = 0;
  fake_turn(world);
  world->actors[actor].text_length = 0;
  world->actors[actor].text[0] = '\0';
  return handle;
}

const trp_net_counters_t *fake_counters(fake_world_t *world) {
  return trp_net_counters(world->net);
}

fake_event_t fake_last(fake_world_t *world, Troupe__Wire__Kind kind) {
  for (size_t i = world->kept_count; i-- > 0;) {
    const trp_in_t *in = world->kept[i];
    for (size_t k = in->batch->n_messages; k-- > 0;) {
      const trp_message_t *message = in->batch->messages[k];
      if (message->kind == kind) {
        return (fake_event_t){.message = message, .payload = trp_in_payload(in, message)};
      }
    }
  }
  fail_msg("no event of kind %d was told", (int)kind);
  return (fake_event_t){0};
}

void fake_expect_at(fake_world_t *world, int actor, const char *text, const char *file, int line) {
  fake_actor_t *told = &world->actors[actor];
  if (strcmp(told->text, text) != 0) {
    print_error("expected:\n%s--- told:\n%s---\n", text, told->text);
    _assert_true(0, "what the actor was told is as expected", file, line);
  }
  told->text_length = 0;
  told->text[0] = '\0';
}

// ---- Events as text ----

__attribute__((format(printf, 2, 3))) static void print(fake_actor_t *actor, const char *format,
                                                        ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(actor->text + actor->text_length, FAKE_TEXT_MAX - actor->text_length,
                         format, arguments);
  va_end(arguments);
  assert_true(length >= 0 && actor->text_length + (size_t)length < FAKE_TEXT_MAX);
  actor->text_length += (size_t)length;
}

static void print_id(fake_actor_t *actor, uint64_t id) {
  if (trp_id_is_actor(id) || id == 0) {
    print(actor, "a%u", trp_id_creator(id));
  } else {
    print(actor, "%c%u", trp_id_creator(id) < FAKE_FIRST_ACTOR ? 'c' : 's',
          (unsigned)(id & TRP_ID_COUNTER_MAX));
  }
}

static void print_address(fake_actor_t *actor, const Troupe__Wire__Address *wire) {
  troupe_address_t address;
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  if (!trp_address_from_wire(&address, wire)) {
    print(actor, " -");
    return;
  }
  troupe_address_text(&address, text, sizeof text);
  if (address.family == TROUPE_FAMILY_UNIX) {
    print(actor, " %s", text);
  } else {
    print(actor, " %s:%u", text, address.port);
  }
}

static void print_error_detail(fake_actor_t *actor, const Troupe__Wire__Error *error) {
  print(actor, " %s%s%s", error->syscall, error->syscall[0] == '\0' ? "" : " ",
        troupe_error_name(error->code));
  if (error->address[0] != '\0') {
    print(actor, " %s", error->address);
  }
  if (error->port != 0) {
    print(actor, ":%d", error->port);
  }
  if (error->has_local) {
    print(actor, " local %s:%d", error->local_address, error->local_port);
  }
  for (size_t i = 0; i < error->n_errors; i++) {
    print(actor, " [");
    print_error_detail(actor, error->errors[i]);
    print(actor, " ]");
  }
}

static void print_detail(fake_actor_t *actor, const trp_message_t *message) {
  switch (message->detail_case) {
  case TRP_DETAIL(ERROR):
    print_error_detail(actor, message->error);
    break;
  case TRP_DETAIL(ATTEMPT):
    print_address(actor, message->attempt->address);
    if (message->attempt->error != NULL) {
      print_error_detail(actor, message->attempt->error);
    }
    print(actor, "%s", message->attempt->listed ? " listed" : "");
    break;
  case TRP_DETAIL(LOOKUP):
    print(actor, " %s", message->lookup->host);
    if (message->lookup->error != NULL) {
      print_error_detail(actor, message->lookup->error);
    } else {
      print_address(actor, message->lookup->address);
    }
    break;
  case TRP_DETAIL(LISTENING):
    print_address(actor, message->listening->address);
    print(actor, "%s", message->listening->adopted ? " adopted" : "");
    break;
  case TRP_DETAIL(CONNECTION):
    print(actor, " ");
    print_id(actor, message->connection->socket);
    print(actor, "%s", message->connection->paused ? " paused" : "");
    break;
  case TRP_DETAIL(DROP):
    print(actor, " %u", (unsigned)message->drop->count);
    break;
  case TRP_DETAIL(BYE):
    print(actor, " %d %d", message->bye->status, (int)message->bye->reason);
    break;
  case TRP_DETAIL(COUNT): // of a close they are looked at where it matters
    if (message->kind == TRP_KIND(EVENT_COUNTED)) {
      print(actor, " %u", (unsigned)message->count->connections);
    }
    break;
  case TRP_DETAIL(SEND):
    print(actor, " from ");
    print_id(actor, message->send->from);
    break;
  case TRP_DETAIL(STOP):
    print(actor, " %u", message->stop->grace_ms);
    break;
  case TRP_DETAIL(HANDED):
    print(actor, " from ");
    print_id(actor, message->handed->from);
    print(actor, " unread %u%s%s%s", message->handed->unread,
          message->handed->ended ? " ended" : "", message->handed->finished ? " finished" : "",
          message->handed->paused ? " paused" : "");
    break;
  default:
    break;
  }
}

/// One line: the subject, the kind in small letters, and what matters of the rest. Long payloads
/// show only their length.
static void describe(fake_actor_t *actor, const trp_in_t *in, const trp_message_t *message) {
  const ProtobufCEnumValue *kind = protobuf_c_enum_descriptor_get_value(
      &troupe__wire__kind__descriptor, (int)message->kind);
  assert_non_null(kind);
  assert_int_equal(strncmp(kind->name, "EVENT_", 6), 0);
  print_id(actor, message->subject);
  print(actor, " ");
  for (const char *letter = kind->name + 6; *letter != '\0'; letter++) {
    print(actor, "%c", *letter == '_' ? '-' : *letter - 'A' + 'a');
  }
  print_detail(actor, message);
  if (message->flags & TRP_FLAG(HAD_ERROR)) {
    print(actor, " had-error");
  }
  if (message->kind == TRP_KIND(EVENT_WRITTEN) || message->kind == TRP_KIND(EVENT_MESSAGE_CREDIT)) {
    print(actor, " %u", (unsigned)message->through);
  }
  if (message->kind == TRP_KIND(EVENT_DATA)) {
    actor->data_bytes += message->length;
    actor->data_cost += trp_data_cost(message->length);
  }
  if (message->length > 40) {
    print(actor, " (%u)", message->length);
  } else if (message->length > 0) {
    print(actor, " %.*s", (int)message->length, (const char *)trp_in_payload(in, message));
  }
  print(actor, "\n");
}
