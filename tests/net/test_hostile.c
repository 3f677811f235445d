// Commands as no actor of ours would send them: every kind, with every field wrong in turn, about
// every sort of thing, by every sort of sender. What cannot be done is answered or counted; nothing
// crashes, and nothing is left when the actors have said bye.

#include "tests/harness/harness.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/world.h"

enum { SERVER = 100, BLOCKS = 200, CONNECTED = 1, CONNECTING = 2, FROZEN = 3, NAMED = 4 };
enum { KINDS = 100, DETAILS_FIRST = 16 };

typedef Troupe__Wire__Message__DetailCase detail_case_t;

static uint64_t random_below(trp_test_random_t *random, uint64_t bound) {
  return trp_test_random_below(random, bound);
}

// ---- Details, made by what protobuf-c knows of them ----

static uint64_t odd_number(trp_test_random_t *random) {
  static const uint64_t odd[] = {
      0,  1,     2,     3,         4,          6,         7,          80,
      81, 65535, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_C(1) << 63,
  };
  uint64_t choice = random_below(random, sizeof odd / sizeof odd[0] + 4);
  switch (choice) {
  case 0:
    return trp_test_random_next(random);
  case 1:
    return fake_id(0, 1 + (unsigned)random_below(random, 5));
  case 2:
    return fake_id(random_below(random, 2) == 0 ? 0 : 1, SERVER);
  case 3:
    return fake_actor_id((int)random_below(random, 3));
  default:
    return odd[choice - 4];
  }
}

static char *odd_text(trp_test_random_t *random, fake_world_t *world) {
  static const char *const odd[] = {"", "name", "127.0.0.1", "::1", "/", "%", "localhost"};
  uint64_t choice = random_below(random, sizeof odd / sizeof odd[0] + 1);
  char *text = fake_take(world, 0, 3000);
  if (choice == sizeof odd / sizeof odd[0]) {
    memset(text, 'x', 2999);
  } else {
    strcpy(text, odd[choice]);
  }
  return text;
}

static ProtobufCBinaryData odd_bytes(trp_test_random_t *random, fake_world_t *world) {
  static const size_t odd[] = {0, 1, 3, 4, 5, 16, 17, 107, 108, 109, 1000};
  size_t length = odd[random_below(random, sizeof odd / sizeof odd[0])];
  ProtobufCBinaryData bytes = {.len = length, .data = fake_take(world, 0, length + 1)};
  trp_test_random_bytes(random, bytes.data, random_below(random, 2) * length);
  return bytes;
}

static ProtobufCMessage *odd_message(trp_test_random_t *random, fake_world_t *world,
                                     const ProtobufCMessageDescriptor *type, int depth);

static void fill_one(trp_test_random_t *random, fake_world_t *world,
                     const ProtobufCFieldDescriptor *field, void *at, int depth) {
  uint64_t number = odd_number(random);
  switch (field->type) {
  case PROTOBUF_C_TYPE_MESSAGE: {
    ProtobufCMessage *inner = odd_message(random, world, field->descriptor, depth + 1);
    memcpy(at, &inner, sizeof inner);
    break;
  }
  case PROTOBUF_C_TYPE_STRING: {
    char *text = odd_text(random, world);
    memcpy(at, &text, sizeof text);
    break;
  }
  case PROTOBUF_C_TYPE_BYTES: {
    ProtobufCBinaryData bytes = odd_bytes(random, world);
    memcpy(at, &bytes, sizeof bytes);
    break;
  }
  case PROTOBUF_C_TYPE_BOOL: {
    protobuf_c_boolean boolean = number % 2 == 1;
    memcpy(at, &boolean, sizeof boolean);
    break;
  }
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_SINT64:
    memcpy(at, &number, 8);
    break;
  default: { // numbers and enums of 32 bits
    uint32_t small = (uint32_t)number;
    memcpy(at, &small, 4);
    break;
  }
  }
}

static void fill_field(trp_test_random_t *random, fake_world_t *world, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, int depth) {
  char *at = (char *)message + field->offset;
  if (field->label != PROTOBUF_C_LABEL_REPEATED) {
    fill_one(random, world, field, at, depth);
    return;
  }
  // All that is repeated here are messages.
  assert_int_equal(field->type, PROTOBUF_C_TYPE_MESSAGE);
  size_t count = random_below(random, 5);
  void **list = fake_take(world, 0, (count + 1) * sizeof *list);
  for (size_t i = 0; i < count; i++) {
    fill_one(random, world, field, &list[i], depth);
  }
  memcpy(at, &list, sizeof list);
  memcpy((char *)message + field->quantifier_offset, &count, sizeof count);
}

static ProtobufCMessage *odd_message(trp_test_random_t *random, fake_world_t *world,
                                     const ProtobufCMessageDescriptor *type, int depth) {
  ProtobufCMessage *message = fake_take(world, 0, type->sizeof_message);
  protobuf_c_message_init(type, message);
  for (unsigned i = 0; i < type->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &type->fields[i];
    bool deep = field->type == PROTOBUF_C_TYPE_MESSAGE && depth >= 2;
    if (!deep && random_below(random, 3) == 0) {
      fill_field(random, world, message, field, depth);
    }
  }
  return message;
}

static const ProtobufCFieldDescriptor *detail_field(unsigned number) {
  return protobuf_c_message_descriptor_get_field(&troupe__wire__message__descriptor, number);
}

static unsigned details_end(void) {
  unsigned end = DETAILS_FIRST;
  while (detail_field(end) != NULL) {
    end++;
  }
  return end;
}

static void put_detail(trp_test_random_t *random, fake_world_t *world, trp_message_t *message,
                       unsigned number) {
  const ProtobufCFieldDescriptor *field = detail_field(number);
  assert_non_null(field);
  message->detail_case = (detail_case_t)number;
  message->hello = (Troupe__Wire__Hello *)(void *)odd_message(random, world, field->descriptor, 0);
}

// ---- The scene ----

static void greet(fake_world_t *world, int actor) {
  if (trp_net_knows(world->net, fake_actor_id(actor)) != 1) {
    world->actors[actor].next_sequence = 1;
    fake_hello(world, actor, 0);
    fake_do(world, actor);
  }
}

// One of each sort for the first actor, some for the second.
static void set_scene(fake_world_t *world) {
  for (int i = 0; i < 2; i++) {
    world->actors[i].out.sender = fake_actor_id(i);
    greet(world, i);
    fake_listen_on(world, i, fake_id(i, SERVER), "127.0.0.1", 80);
    fake_do(world, i);
    fake_connected(world, i, CONNECTED);
  }
  fake_connected(world, 0, FROZEN);
  fake_say(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, FROZEN));
  fake_connect(world, 0, fake_id(0, CONNECTING), "127.0.0.1", 81);
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_BLOCK_LIST), fake_id(0, BLOCKS));
  message->block_list = fake_take(world, 0, sizeof *message->block_list);
  *message->block_list = (Troupe__Wire__BlockList)TROUPE__WIRE__BLOCK_LIST__INIT;
  message->detail_case = TRP_DETAIL(BLOCK_LIST);
  fake_do(world, 0);
}

static void clear_scene(fake_world_t *world) {
  for (int i = 0; i < 2; i++) {
    world->actors[i].out.sender = fake_actor_id(i);
    world->actors[i].out.window = 0;
    if (trp_net_knows(world->net, fake_actor_id(i)) == 1) {
      fake_bye(world, i, 0);
      fake_do(world, i);
    }
  }
  fake_turn(world);
  assert_int_equal(fake_counters(world)->actors, 0);
  assert_int_equal(fake_counters(world)->sockets, 0);
  assert_int_equal(fake_counters(world)->servers, 0);
  assert_int_equal(fake_open_handles(&world->network), 0);
  for (size_t i = 0; i < world->kept_count; i++) {
    trp_in_free(world->kept[i]);
    free(world->kept[i]);
  }
  world->kept_count = 0;
  world->network.resolve_count = 0;
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    world->actors[i].text_length = 0;
    world->actors[i].next_sequence = 1;
  }
}

// Whatever the commands have begun goes on, well or badly.
static void let_it_happen(fake_world_t *world, trp_test_random_t *random) {
  for (size_t i = 0; i < world->network.handle_count; i++) {
    trp_handle_t *handle = fake_handle(&world->network, (int)i);
    if (handle->open && handle->kind == FAKE_ATTEMPT) {
      handle->connect_result = random_below(random, 2) == 0 ? 0 : TROUPE_ECONNREFUSED;
    } else if (handle->open && handle->kind == FAKE_LISTENER) {
      fake_knock(handle, 1, "9.9.9.9");
    } else if (handle->open && !handle->fin) {
      fake_arrives(handle, "bytes");
    }
  }
  for (size_t i = 0; i < world->network.resolve_count; i++) {
    static const char *const found[] = {"127.0.0.1", "::1", NULL};
    if (world->network.resolves[i].open) {
      fake_resolved(&world->network, (int)i, random_below(random, 2) == 0 ? 0 : TROUPE_ENOTFOUND,
                    found);
    }
  }
  fake_turn(world);
  fake_pass(world, 1 + (int64_t)random_below(random, 400));
}

static uint64_t any_subject(trp_test_random_t *random) {
  const uint64_t subjects[] = {
      0,
      1,
      UINT64_MAX,
      fake_id(0, CONNECTED),
      fake_id(0, CONNECTING),
      fake_id(0, FROZEN),
      fake_id(0, SERVER),
      fake_id(0, BLOCKS),
      fake_id(0, 300),
      fake_id(0, 301),
      fake_id(1, CONNECTED),
      fake_id(1, SERVER),
      fake_id(1, 300),
      fake_connection(1),
      fake_connection(1000),
      fake_actor_id(0),
      fake_actor_id(1),
      fake_actor_id(7),
      trp_id_actor(1),
      trp_id_make(7, FAKE_FIRST_ACTOR, 1),
  };
  return subjects[random_below(random, sizeof subjects / sizeof subjects[0])];
}

static void put_payload(trp_test_random_t *random, fake_world_t *world, trp_message_t *message) {
  static const char bytes[3000] = "payload";
  if (random_below(random, 2) == 0) {
    assert_int_equal(trp_out_copy(&world->actors[0].out, message, bytes,
                                  (size_t)random_below(random, sizeof bytes)),
                     0);
  }
}

static trp_message_t *say_oddly(trp_test_random_t *random, fake_world_t *world, unsigned kind,
                                uint64_t subject) {
  trp_message_t *message = fake_say(world, 0, (Troupe__Wire__Kind)kind, subject);
  message->epoch = random_below(random, 4) == 0 ? (uint32_t)odd_number(random) : 0;
  message->through = random_below(random, 3) == 0 ? odd_number(random) : 0;
  message->flags = random_below(random, 3) == 0 ? (uint32_t)odd_number(random) : 0;
  put_payload(random, world, message);
  return message;
}

static void watch_fds(fake_world_t *world, trp_test_random_t *random) {
  static const trp_fd_kind_t kinds[] = {TRP_FD_STREAM, TRP_FD_BOUND, TRP_FD_LISTENING};
  world->network.adopt_kind = kinds[random_below(random, 3)];
  world->network.adopt_error = random_below(random, 4) == 0 ? TROUPE_EBADF : 0;
}

static uint64_t counted(const fake_world_t *world) {
  const trp_net_counters_t *c = trp_net_counters(world->net);
  return c->commands;
}

// The detail that a kind has by its name; 0: none, or it is no command.
static unsigned right_detail(unsigned kind) {
  static const unsigned char details[] = {
      [TRP_KIND(COMMAND_HELLO)] = TRP_DETAIL(HELLO),
      [TRP_KIND(COMMAND_BYE)] = TRP_DETAIL(BYE),
      [TRP_KIND(COMMAND_CONNECT)] = TRP_DETAIL(CONNECT),
      [TRP_KIND(COMMAND_ADOPT)] = TRP_DETAIL(ADOPT),
      [TRP_KIND(COMMAND_OPTIONS)] = TRP_DETAIL(OPTIONS),
      [TRP_KIND(COMMAND_GIVE)] = TRP_DETAIL(GIVE),
      [TRP_KIND(COMMAND_LISTEN)] = TRP_DETAIL(LISTEN),
      [TRP_KIND(COMMAND_BLOCK_LIST)] = TRP_DETAIL(BLOCK_LIST),
      [TRP_KIND(COMMAND_COUNT)] = TRP_DETAIL(COUNT),
  };
  return kind < sizeof details ? details[kind] : 0;
}

static int rounds(int usual) {
  return trp_test_slow() > 1 ? usual / 10 + 1 : usual;
}

// ---- Tests ----

static void every_kind_about_everything_is_carried_out_or_counted(void **state) {
  fake_world_t *world = *state;
  trp_test_random_t random;
  trp_test_random_start(&random, 21);
  for (unsigned kind = 0; kind < KINDS; kind++) {
    for (int i = 0; i < rounds(100); i++) {
      set_scene(world);
      watch_fds(world, &random);
      uint64_t before = counted(world);
      trp_message_t *message = say_oddly(&random, world, kind, any_subject(&random));
      if (random_below(&random, 2) == 0) {
        put_detail(&random, world, message,
                   DETAILS_FIRST + (unsigned)random_below(&random, details_end() - DETAILS_FIRST));
      }
      fake_do(world, 0);
      assert_int_equal(counted(world), before + 1);
      let_it_happen(world, &random);
      clear_scene(world);
    }
  }
  greet(world, 0);
  greet(world, 1);
}

// Each field of each detail in turn, the others as they should be or left out.
static void every_command_with_each_field_wrong_is_carried_out_or_answered(void **state) {
  fake_world_t *world = *state;
  trp_test_random_t random;
  trp_test_random_start(&random, 22);
  for (unsigned kind = 0; kind < KINDS; kind++) {
    const ProtobufCFieldDescriptor *detail = detail_field(right_detail(kind));
    const ProtobufCMessageDescriptor *type = detail == NULL ? NULL : detail->descriptor;
    for (unsigned i = 0; type != NULL && i < type->n_fields; i++) {
      for (int k = 0; k < rounds(60); k++) {
        set_scene(world);
        watch_fds(world, &random);
        uint64_t subject = random_below(&random, 2) == 0 ? any_subject(&random) : fake_id(0, 300);
        trp_message_t *message = say_oddly(&random, world, kind, subject);
        message->epoch = 0;
        ProtobufCMessage *made = fake_take(world, 0, type->sizeof_message);
        protobuf_c_message_init(type, made);
        fill_field(&random, world, made, &type->fields[i], 0);
        message->detail_case = (detail_case_t)right_detail(kind);
        message->hello = (Troupe__Wire__Hello *)(void *)made;
        fake_do(world, 0);
        let_it_happen(world, &random);
        clear_scene(world);
      }
    }
  }
  greet(world, 0);
  greet(world, 1);
}

// Many in one batch, so that they meet what the earlier ones have left.
static void many_odd_commands_in_a_batch_do_no_harm(void **state) {
  fake_world_t *world = *state;
  trp_test_random_t random;
  trp_test_random_start(&random, 23);
  for (int i = 0; i < rounds(4000); i++) {
    set_scene(world);
    for (int batches = 0; batches < 3; batches++) {
      watch_fds(world, &random);
      for (uint64_t k = 1 + random_below(&random, 12); k > 0; k--) {
        unsigned kind = (unsigned)random_below(&random, 26);
        if (kind == TRP_KIND(COMMAND_BYE) || kind == TRP_KIND(COMMAND_HELLO)) {
          kind = TRP_KIND(COMMAND_WRITE); // these have their turn in the other tests
        }
        trp_message_t *message = say_oddly(&random, world, kind, any_subject(&random));
        if (right_detail(kind) != 0) {
          put_detail(&random, world, message, right_detail(kind));
        }
        if (random_below(&random, 3) > 0) {
          message->epoch = 0;
        }
      }
      world->actors[0].out.window = odd_number(&random);
      fake_do(world, 0);
      let_it_happen(world, &random);
    }
    clear_scene(world);
  }
  greet(world, 0);
  greet(world, 1);
}

static void who_is_nobody_may_do_nothing(void **state) {
  fake_world_t *world = *state;
  trp_test_random_t random;
  trp_test_random_start(&random, 24);
  const uint64_t senders[] = {
      0,
      1,
      UINT64_MAX,
      trp_id_actor(1),
      trp_id_actor(2),
      trp_id_actor(63),
      trp_id_actor(9999),
      fake_id(0, 1),
      fake_actor_id(5),
  };
  for (size_t s = 0; s < sizeof senders / sizeof senders[0]; s++) {
    for (unsigned kind = 1; kind < KINDS; kind++) {
      if (kind == TRP_KIND(COMMAND_HELLO) &&
          (senders[s] == trp_id_actor(9999) || senders[s] == fake_actor_id(5))) {
        continue; // that is how one becomes somebody
      }
      set_scene(world);
      const trp_net_counters_t before = *fake_counters(world);
      world->actors[0].out.sender = senders[s];
      trp_message_t *message = fake_say(world, 0, (Troupe__Wire__Kind)kind, any_subject(&random));
      if (right_detail(kind) != 0) {
        put_detail(&random, world, message, right_detail(kind));
      }
      fake_do(world, 0);
      const trp_net_counters_t *after = fake_counters(world);
      assert_int_equal(after->actors, before.actors);
      assert_int_equal(after->sockets, before.sockets);
      assert_int_equal(after->servers, before.servers);
      if (kind != TRP_KIND(COMMAND_SEND)) { // which is the front door's, too
        assert_int_equal(after->not_owner + after->unknown_kind,
                         before.not_owner + before.unknown_kind + 1);
      }
      clear_scene(world);
    }
  }
  greet(world, 0);
  greet(world, 1);
}

// An id is made by whoever it names as its maker.
static void nobody_makes_things_under_the_ids_of_others(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(1, 7), "127.0.0.1", 80);
  fake_listen_on(world, 0, fake_id(1, 8), "127.0.0.1", 80);
  fake_connect(world, 0, fake_actor_id(0), "127.0.0.1", 80);
  fake_connect(world, 0, 0, "127.0.0.1", 80);
  fake_do(world, 0);
  fake_expect(world, 0, "");
  assert_int_equal(fake_counters(world)->not_owner, 4);
  assert_int_equal(fake_counters(world)->sockets, 0);
  assert_int_equal(fake_counters(world)->servers, 0);
  // So they are free for their owner.
  fake_connected(world, 1, 7);
  assert_int_equal(fake_counters(world)->sockets, 1);
}

static trp_message_t *say_adopt(fake_world_t *world, uint64_t id) {
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_ADOPT), id);
  message->adopt = fake_take(world, 0, sizeof *message->adopt);
  *message->adopt = (Troupe__Wire__Adopt)TROUPE__WIRE__ADOPT__INIT;
  message->adopt->fd = 5;
  message->adopt->readable = message->adopt->writable = true;
  message->detail_case = TRP_DETAIL(ADOPT);
  return message;
}

// It was handed over with the command, so nobody else would close it.
static void a_descriptor_of_a_command_that_is_refused_is_closed(void **state) {
  fake_world_t *world = *state;
  world->network.adopt_kind = TRP_FD_STREAM;
  say_adopt(world, fake_id(0, 1));
  fake_do(world, 0);
  assert_int_equal(fake_open_handles(&world->network), 1);
  say_adopt(world, fake_id(0, 1)); // there is one
  say_adopt(world, fake_id(1, 2)); // another's
  fake_do(world, 0);
  assert_int_equal(world->network.handle_count, 3);
  assert_int_equal(fake_open_handles(&world->network), 1);

  world->network.adopt_kind = TRP_FD_LISTENING;
  for (int i = 0; i < 2; i++) { // the second time it listens already
    Troupe__Wire__Listen *listen = fake_listen_on(world, 0, fake_id(0, SERVER), NULL, 0);
    listen->use_fd = true;
    fake_do(world, 0);
  }
  fake_listen_on(world, 0, fake_id(1, SERVER), NULL, 0)->use_fd = true;
  fake_do(world, 0);
  assert_int_equal(world->network.handle_count, 6);
  assert_int_equal(fake_open_handles(&world->network), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_with(every_kind_about_everything_is_carried_out_or_counted, fake_world_setup,
                    fake_world_teardown),
      trp_test_with(every_command_with_each_field_wrong_is_carried_out_or_answered,
                    fake_world_setup, fake_world_teardown),
      trp_test_with(many_odd_commands_in_a_batch_do_no_harm, fake_world_setup, fake_world_teardown),
      trp_test_with(who_is_nobody_may_do_nothing, fake_world_setup, fake_world_teardown),
      trp_test_with(nobody_makes_things_under_the_ids_of_others, fake_world_setup,
                    fake_world_teardown),
      trp_test_with(a_descriptor_of_a_command_that_is_refused_is_closed, fake_world_setup,
                    fake_world_teardown),
  };
  return TRP_RUN_TESTS("hostile", tests);
}
