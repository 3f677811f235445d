#include <pthread.h>
#include <string.h>

#include "tests/actor/messages.h"

// ---- Order and sizes ----

typedef struct {
  troupe_actor_t to, from;
  uint32_t count, sent, received;
  uint64_t sum;
  int waits; // how often the credit was used up
} stream_t;

static void send_on(troupe_actor_t to, void *context) {
  stream_t *stream = context;
  static _Thread_local uint8_t bytes[100000];
  expect(to.id == stream->to.id);
  while (stream->sent < stream->count) {
    size_t length = make_message(stream->sent, bytes);
    int error = troupe_send(stream->to, bytes, length);
    if (error == TROUPE_ENOBUFS) {
      stream->waits++;
      return; // called again
    }
    expect(error == 0);
    if (error != 0) {
      break;
    }
    stream->sent++;
  }
  troupe_actor_end(0);
}

static int sending_actor(void *argument) {
  stream_t *stream = argument;
  expect(troupe_actor_on_message(NULL, NULL) == 0);
  expect(troupe_actor_on_sendable(send_on, stream) == 0);
  troupe_timer_t holds;
  expect(troupe_timer_start(&holds, 3600 * 1000, 0, NULL, NULL) == TROUPE_EINVAL);
  send_on(stream->to, stream);
  return stream->sent == stream->count ? 0 : 1;
}

static int sending_and_waiting_actor(void *argument) {
  stream_t *stream = argument;
  expect(troupe_actor_on_sendable(send_on, stream) == 0);
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, note_nothing, NULL) == 0); // holds it
  send_on(stream->to, stream);
  return troupe_actor_run();
}

static void receive_on(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  stream_t *stream = context;
  static _Thread_local uint8_t bytes[100000];
  size_t length = make_message(stream->received, bytes);
  expect(stream->received == 0 || from.id == stream->from.id);
  stream->from = from;
  expect(troupe_chunk_length(message) == length);
  expect(memcmp(troupe_chunk_bytes(message), bytes, length) == 0);
  if (++stream->received == stream->count) {
    troupe_actor_end(0);
  }
}

static int receiving_actor(void *argument) {
  expect(troupe_actor_on_message(receive_on, argument) == 0);
  return troupe_actor_run();
}

static void messages_keep_their_order_and_their_bytes(void **state) {
  (void)state;
  stream_t in = {.count = 5000};
  stream_t out = {.count = 5000};
  out.to = scene_start("receiving", receiving_actor, &in);
  scene_start("sending", sending_and_waiting_actor, &out);
  scene_wait();
  assert_int_equal(in.received, 5000);
  assert_int_equal(out.sent, 5000);
  assert_true(out.waits > 0); // all at once is more than the credit
}

static void what_was_sent_arrives_although_the_sender_has_ended(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    stream_t in = {.count = 1000};
    stream_t out = {.count = 1000};
    out.to = scene_start("receiving", receiving_actor, &in);
    scene_start("sending", sending_actor, &out); // never runs
    scene_wait();
    assert_int_equal(in.received, 1000);
  }
}

// ---- Credit ----

typedef struct {
  troupe_actor_t to;
  atomic_int stopped_at, sendable, go;
  int received;
} credit_t;

static void hear_of_room(troupe_actor_t to, void *context) {
  credit_t *credit = context;
  expect(to.id == credit->to.id);
  int room = 0;
  while (troupe_send(credit->to, "x", 1) == 0) {
    room++;
  }
  expect(room >= 1 && room <= CREDIT);
  if (atomic_fetch_add(&credit->sendable, 1) == 3) {
    troupe_actor_end(0);
  }
}

static int exhausting_actor(void *argument) {
  credit_t *credit = argument;
  int error = 0;
  int sent = 0;
  expect(troupe_actor_on_sendable(hear_of_room, credit) == 0);
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, note_nothing, NULL) == 0);
  while ((error = troupe_send(credit->to, &sent, sizeof sent)) == 0) {
    sent++;
  }
  expect(error == TROUPE_ENOBUFS);
  expect(troupe_send(credit->to, &sent, sizeof sent) == TROUPE_ENOBUFS);
  atomic_store(&credit->stopped_at, sent);
  return troupe_actor_run();
}

static void take_number(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  credit_t *credit = context;
  (void)from;
  if (credit->received < CREDIT) {
    int number = -1;
    expect(troupe_chunk_length(message) == sizeof number);
    memcpy(&number, troupe_chunk_bytes(message), sizeof number);
    expect(number == credit->received);
  }
  credit->received++;
}

static void begin_to_take(troupe_timer_t timer, void *context) {
  credit_t *credit = context;
  if (atomic_load(&credit->go) != 0) {
    expect(troupe_timer_stop(timer) == 0);
    expect(troupe_actor_on_message(take_number, credit) == 0);
  }
}

// Has no handler at first: what comes is held for it.
static int reluctant_actor(void *argument) {
  expect(troupe_timer_start(NULL, 1, 1, begin_to_take, argument) == 0);
  return troupe_actor_run();
}

static void messages_stop_at_the_credit_and_go_on_when_they_are_taken(void **state) {
  (void)state;
  credit_t credit = {.received = 0};
  credit.to = scene_start("reluctant", reluctant_actor, &credit);
  troupe_actor_t sender = scene_start("exhausting", exhausting_actor, &credit);
  scene_wait_for(&credit.stopped_at);
  assert_int_equal(atomic_load(&credit.stopped_at), CREDIT);
  assert_int_equal(atomic_load(&credit.sendable), 0);
  atomic_store(&credit.go, 1);
  assert_int_equal(scene_join(sender), 0);
  assert_int_equal(troupe_actor_stop(scene, credit.to, 0), 0);
  assert_int_equal(scene_join(credit.to), 0);
  assert_true(credit.received >= CREDIT);
}

// ---- To itself ----

typedef struct {
  int received;
} self_t;

static void write_to_self(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  self_t *self = context;
  expect(from.id == troupe_actor_self().id);
  expect(is_text(message, "to myself"));
  if (++self->received == 10000) {
    troupe_actor_end(4);
    return;
  }
  expect(troupe_send(troupe_actor_self(), "to myself", 9) == 0);
}

static int self_actor(void *argument) {
  (void)argument;
  self_t self = {0};
  expect(troupe_actor_on_message(write_to_self, &self) == 0);
  for (int i = 0; i < 10; i++) {
    expect(troupe_send(troupe_actor_self(), "to myself", 9) == 0);
  }
  return troupe_actor_run();
}

static void an_actor_writes_to_itself(void **state) {
  (void)state;
  assert_int_equal(scene_join(scene_start("self", self_actor, NULL)), 4);
}

// ---- By name, with answers ----

typedef struct {
  troupe_actor_t server;
  int left;
} asking_t;

static void ask_again(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  asking_t *asking = context;
  expect(from.id == asking->server.id);
  expect(is_text(message, "question"));
  if (--asking->left == 0) {
    troupe_actor_end(0);
  } else {
    expect(troupe_send(asking->server, "question", 8) == 0);
  }
}

static int asking_actor(void *argument) {
  asking_t asking = {.left = *(int *)argument};
  expect(troupe_actor_find(scene, "answers", 0, &asking.server) == 0);
  expect(troupe_actor_on_message(ask_again, &asking) == 0);
  expect(troupe_send(asking.server, "question", 8) == 0);
  return troupe_actor_run();
}

static void a_message_to_a_name_is_answered(void **state) {
  (void)state;
  int rounds = trp_test_slow() > 1 ? 1000 : 10000;
  troupe_actor_t server = scene_start("answers", answering_actor, NULL);
  assert_int_equal(scene_join(scene_start("asks", asking_actor, &rounds)), 0);
  assert_int_equal(troupe_actor_stop(scene, server, 0), 0);
  scene_wait();
}

static void swallow(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
}

static int sink_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_message(swallow, NULL) == 0);
  return troupe_actor_run();
}

typedef struct {
  troupe_actor_t sink;
  atomic_int over;
} load_t;

static void *load_the_io_actor(void *argument) {
  load_t *load = argument;
  static const uint8_t bytes[256 * 1024];
  while (atomic_load(&load->over) == 0) {
    int error = troupe_post(scene, load->sink, bytes, sizeof bytes);
    expect(error == 0 || error == TROUPE_ENOBUFS);
  }
  return NULL;
}

// Each asks in its first moment, while the I/O actor has much to do: the answer must not be lost
// because the I/O actor has not heard of it yet.
static void actors_that_ask_as_soon_as_they_live_are_answered(void **state) {
  (void)state;
  int rounds = 1;
  int count = trp_test_slow() > 1 ? 15 : 60;
  troupe_actor_t server = scene_start("answers", answering_actor, NULL);
  load_t load = {.sink = scene_start("sink", sink_actor, NULL)};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, load_the_io_actor, &load), 0);
  for (int i = 0; i < count; i++) {
    troupe_spawn_options_t options = {
        .name = "asks", .main = asking_actor, .argument = &rounds, .copies = 4};
    assert_int_equal(troupe_spawn(scene, &options, NULL), 0);
  }
  atomic_store(&load.over, 1);
  pthread_join(thread, NULL);
  troupe_actor_t sink = load.sink;
  assert_int_equal(troupe_actor_stop(scene, sink, 0), 0);
  troupe_stuck_t left[2];
  size_t waiting = 0;
  for (int64_t limit_ms = trp_test_now_ms() + SCENE_LIMIT_MS * trp_test_slow();
       waiting != 1 && trp_test_now_ms() < limit_ms;) {
    troupe_system_wait(scene, 1, left, 2, &waiting);
  }
  assert_int_equal(waiting, 1);
  assert_int_equal(left[0].actor, server.id);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(messages_keep_their_order_and_their_bytes),
      in_scene(what_was_sent_arrives_although_the_sender_has_ended),
      in_scene(messages_stop_at_the_credit_and_go_on_when_they_are_taken),
      in_scene(an_actor_writes_to_itself),
      in_scene(a_message_to_a_name_is_answered),
      in_scene(actors_that_ask_as_soon_as_they_live_are_answered),
  };
  return TRP_RUN_TESTS("message", tests);
}
