// Commands and events in every order that chance finds: what was promised for each socket holds in
// all of them. Told are at the most one connect, one end, one finish, then exactly one close or
// given, and nothing behind it; no byte is lost, doubled or changed; no handle stays open.

#include "tests/harness/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/support/map.h"
#include "tests/fake/world.h"

enum { ACTORS = 3, SOCKETS_MAX = 4096, STEPS = 6000, OPEN_MAX = 60 };

typedef struct {
  uint64_t id;
  int owner;
  uint32_t epoch;
  bool connected, ended, finished, gone, given, frozen, ending;
  uint64_t consumed;
} sock_t;

typedef struct {
  fake_world_t *world;
  trp_test_random_t random;
  sock_t sockets[SOCKETS_MAX];
  size_t count;
  trp_map_t by_id;
  unsigned next_counter[ACTORS];
  bool listens[ACTORS];
  uint64_t dispatched[ACTORS];
} play_t;

static uint64_t below(play_t *play, uint64_t bound) {
  return trp_test_random_below(&play->random, bound);
}

static sock_t *add_socket(play_t *play, int owner, uint64_t id) {
  assert_true(play->count < SOCKETS_MAX);
  sock_t *socket = &play->sockets[play->count++];
  *socket = (sock_t){.id = id, .owner = owner};
  assert_null(trp_map_get(&play->by_id, id));
  assert_int_equal(trp_map_put(&play->by_id, id, socket), 0);
  return socket;
}

static void told(void *context, int actor, const trp_message_t *message) {
  play_t *play = context;
  if (message->kind == TRP_KIND(EVENT_CONNECTION)) {
    add_socket(play, actor, message->connection->socket)->connected = true;
    play->dispatched[actor]++;
    return;
  }
  sock_t *socket = trp_map_get(&play->by_id, message->subject);
  if (socket == NULL) {
    return; // a server's
  }
  assert_false(socket->gone);
  if (message->kind == TRP_KIND(EVENT_HANDED)) {
    // Told to the new owner before or after the old one has its `given`.
    assert_int_equal(message->epoch, socket->epoch + 1);
    assert_int_not_equal(socket->owner, actor);
    socket->owner = actor;
    socket->epoch++;
    socket->frozen = false;
    socket->consumed = message->handed->consumed;
    if (message->handed->unread > 0) {
      socket->consumed += trp_data_cost(message->handed->unread);
    }
    return;
  }
  if (message->kind == TRP_KIND(EVENT_GIVEN)) {
    assert_true(message->epoch + 1 == socket->epoch || message->epoch == socket->epoch);
    return;
  }
  assert_int_equal(message->epoch, socket->epoch);
  assert_int_equal(socket->owner, actor);
  switch (message->kind) {
  case TRP_KIND(EVENT_CONNECT):
    assert_false(socket->connected);
    socket->connected = true;
    break;
  case TRP_KIND(EVENT_DATA):
    assert_true(socket->connected);
    assert_false(socket->ended);
    assert_false(socket->frozen);
    socket->consumed += trp_data_cost(message->length);
    break;
  case TRP_KIND(EVENT_END):
    assert_true(socket->connected);
    assert_false(socket->ended);
    socket->ended = true;
    break;
  case TRP_KIND(EVENT_FINISH):
    assert_true(socket->connected);
    assert_false(socket->finished);
    assert_true(socket->ending);
    socket->finished = true;
    break;
  case TRP_KIND(EVENT_FROZEN):
    socket->frozen = true;
    break;
  case TRP_KIND(EVENT_GIVE_FAILED):
    socket->frozen = false;
    break;
  case TRP_KIND(EVENT_CLOSE):
    socket->gone = true;
    break;
  default:
    break;
  }
}

static sock_t *any_socket(play_t *play) {
  for (int i = 0; i < 8 && play->count > 0; i++) {
    sock_t *socket =
        &play->sockets[play->count - 1 - below(play, play->count < 64 ? play->count : 64)];
    if (!socket->gone || below(play, 20) == 0) {
      return socket;
    }
  }
  return NULL;
}

static void make_socket(play_t *play, int actor) {
  fake_world_t *world = play->world;
  uint64_t id = fake_id(actor, ++play->next_counter[actor]);
  if (fake_open_handles(&world->network) > OPEN_MAX) {
    return;
  }
  add_socket(play, actor, id);
  if (below(play, 4) > 0) {
    fake_connect(world, actor, id, "127.0.0.1", 80);
    world->network.connect_error = below(play, 10) == 0 ? TROUPE_ENETUNREACH : 0;
    return;
  }
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_ADOPT), id);
  message->adopt = fake_take(world, actor, sizeof *message->adopt);
  *message->adopt = (Troupe__Wire__Adopt)TROUPE__WIRE__ADOPT__INIT;
  message->adopt->readable = message->adopt->writable = true;
  message->detail_case = TRP_DETAIL(ADOPT);
  world->network.adopt_kind = TRP_FD_STREAM;
}

static void command_socket(play_t *play, sock_t *socket) {
  static const Troupe__Wire__Kind kinds[] = {
      TRP_KIND(COMMAND_WRITE),  TRP_KIND(COMMAND_WRITE),   TRP_KIND(COMMAND_WRITE),
      TRP_KIND(COMMAND_END),    TRP_KIND(COMMAND_DESTROY), TRP_KIND(COMMAND_RESET),
      TRP_KIND(COMMAND_PAUSE),  TRP_KIND(COMMAND_RESUME),  TRP_KIND(COMMAND_RESUME),
      TRP_KIND(COMMAND_CREDIT), TRP_KIND(COMMAND_CREDIT),  TRP_KIND(COMMAND_FREEZE),
      TRP_KIND(COMMAND_GIVE),   TRP_KIND(COMMAND_OPTIONS),
  };
  fake_world_t *world = play->world;
  Troupe__Wire__Kind kind = kinds[below(play, sizeof kinds / sizeof kinds[0])];
  if ((kind == TRP_KIND(COMMAND_DESTROY) || kind == TRP_KIND(COMMAND_RESET)) &&
      below(play, 6) > 0) {
    kind = TRP_KIND(COMMAND_RESUME);
  }
  int speaker = below(play, 30) == 0 ? (int)below(play, ACTORS) : socket->owner;
  trp_message_t *message = fake_say(world, speaker, kind, socket->id);
  trp_out_t *out = &world->actors[speaker].out;
  message->epoch = socket->epoch;
  message->through = below(play, 2) == 0 ? socket->consumed : 0;
  message->flags = (uint32_t)below(play, 4);
  if (kind == TRP_KIND(COMMAND_END) && speaker == socket->owner) {
    socket->ending = true;
  } else if (kind == TRP_KIND(COMMAND_WRITE)) {
    static const char bytes[1000];
    assert_int_equal(trp_out_copy(out, message, bytes, (size_t)below(play, sizeof bytes)), 0);
  } else if (kind == TRP_KIND(COMMAND_OPTIONS)) {
    message->options = fake_take(world, speaker, sizeof *message->options);
    *message->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
    message->options->set_timeout = true;
    message->options->timeout_ms = (uint32_t)below(play, 30);
    message->options->set_deadlines = below(play, 8) == 0;
    message->options->write_stall_deadline_ms = 20;
    message->options->first_byte_deadline_ms = (uint32_t)below(play, 2) * 20;
    message->detail_case = TRP_DETAIL(OPTIONS);
  } else if (kind == TRP_KIND(COMMAND_GIVE)) {
    message->give = fake_take(world, speaker, sizeof *message->give);
    *message->give = (Troupe__Wire__Give)TROUPE__WIRE__GIVE__INIT;
    message->give->to = fake_actor_id((int)below(play, ACTORS + 1));
    message->give->consumed = socket->consumed;
    message->give->unread = (uint32_t)below(play, 3) * 10;
    message->give->paused = below(play, 2) == 0;
    message->detail_case = TRP_DETAIL(GIVE);
    assert_int_equal(trp_out_copy(out, message, "some bytes that nobody has read", 25), 0);
  }
}

static void command_server(play_t *play, int actor) {
  fake_world_t *world = play->world;
  uint64_t id = fake_id(actor, 1000000);
  if (!play->listens[actor]) {
    fake_listen_on(world, actor, id, "127.0.0.1", 80);
    play->listens[actor] = true;
  } else if (below(play, 10) == 0) {
    fake_say(world, actor, TRP_KIND(COMMAND_CLOSE), id);
    play->listens[actor] = false;
    play->dispatched[actor] = 0;
  } else {
    fake_say(world, actor, TRP_KIND(COMMAND_CREDIT), id)->through = play->dispatched[actor];
  }
}

/// Something happens to a handle.
static void disturb(play_t *play) {
  fake_network_t *network = &play->world->network;
  if (network->handle_count == 0) {
    return;
  }
  trp_handle_t *handle = fake_handle(network, (int)below(play, network->handle_count));
  if (!handle->open) {
    return;
  }
  if (handle->kind == FAKE_LISTENER) {
    if (fake_open_handles(network) < OPEN_MAX) {
      fake_knock(handle, (unsigned)below(play, 3), "9.9.9.9");
    }
    return;
  }
  if (handle->kind == FAKE_ATTEMPT) {
    handle->connect_result = below(play, 4) == 0 ? TROUPE_ECONNREFUSED : 0;
    return;
  }
  switch (below(play, 12)) {
  case 0:
    handle->fin = true;
    break;
  case 1:
    handle->read_error = handle->pending_error = below(play, 4) == 0 ? TROUPE_ECONNRESET : 0;
    break;
  case 2:
    handle->write_error = below(play, 4) == 0 ? TROUPE_EPIPE : 0;
    break;
  case 3:
    handle->room = (size_t)below(play, 500);
    break;
  case 4:
    handle->room = SIZE_MAX;
    break;
  default:
    if (!handle->fin) {
      fake_arrives_much(handle, (size_t)below(play, 8000) + 1);
    }
    break;
  }
}

static void play_one_step(play_t *play) {
  fake_world_t *world = play->world;
  int actor = (int)below(play, ACTORS);
  switch (below(play, 10)) {
  case 0:
    make_socket(play, actor);
    break;
  case 1:
    command_server(play, actor);
    break;
  case 2:
  case 3:
  case 4:
  case 5:
    for (uint64_t i = below(play, 6); i > 0; i--) {
      sock_t *socket = any_socket(play);
      if (socket != NULL) {
        command_socket(play, socket);
      }
    }
    break;
  case 6:
    world->network.descriptors = below(play, 3) == 0 ? (int)below(play, 3) : -1;
    fake_pass(world, (int64_t)below(play, 20));
    break;
  default:
    disturb(play);
    disturb(play);
    break;
  }
  for (int i = 0; i < ACTORS; i++) {
    if (!trp_out_empty(&world->actors[i].out)) {
      world->actors[i].out.window = world->actors[i].data_cost;
      fake_do(world, i);
    }
  }
  world->send_error = below(play, 50) == 0 ? TROUPE_EMFILE : 0;
  fake_turn(world);
  world->send_error = 0;
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    world->actors[i].text_length = 0;
  }
}

static void promises_hold_in_every_order(void **state) {
  fake_world_t *world = *state;
  play_t *play = calloc(1, sizeof *play);
  assert_non_null(play);
  play->world = world;
  trp_test_random_start(&play->random, 11);
  world->on_event = told;
  world->context = play;
  fake_hello(world, 2, 0);
  fake_do(world, 2);
  for (int step = 0; step < STEPS && play->count + 64 < SOCKETS_MAX; step++) {
    play_one_step(play);
  }
  world->network.descriptors = -1;
  // Whatever is left is destroyed by whoever owns it, and answers with its close.
  size_t finished = 0, ended = 0, given = 0;
  for (size_t i = 0; i < play->count; i++) {
    sock_t *socket = &play->sockets[i];
    if (!socket->gone) {
      fake_say(world, socket->owner, TRP_KIND(COMMAND_DESTROY), socket->id)->epoch = socket->epoch;
      fake_do(world, socket->owner);
    }
  }
  fake_pass(world, 100);
  for (size_t i = 0; i < play->count; i++) {
    sock_t *socket = &play->sockets[i];
    assert_true(socket->gone);
    finished += socket->finished;
    ended += socket->ended;
    given += socket->epoch;
  }
  print_message("%zu sockets, %zu ended, %zu finished, %zu given\n", play->count, ended, finished,
                given);
  // The play was worth its while.
  assert_true(play->count > 100);
  assert_true(finished > 10);
  assert_true(ended > 10);
  assert_true(given > 5);
  assert_int_equal(fake_counters(world)->bad_credit, 0);
  world->on_event = NULL;
  fake_bye(world, 2, 0);
  fake_do(world, 2);
  trp_map_free(&play->by_id);
  free(play);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_with(promises_hold_in_every_order, fake_world_setup, fake_world_teardown),
  };
  return TRP_RUN_TESTS("any_order", tests);
}
