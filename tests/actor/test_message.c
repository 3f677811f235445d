#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/actor/state.h"
#include "tests/actor/scene.h"

enum { CREDIT = 1024 };

static bool is_text(const troupe_chunk_t *message, const char *text) {
  return troupe_chunk_length(message) == strlen(text) &&
         memcmp(troupe_chunk_bytes(message), text, strlen(text)) == 0;
}

// ---- Order and sizes ----

typedef struct {
  troupe_actor_t to, from;
  uint32_t count, sent, received;
  uint64_t sum;
  int waits; // how often the credit was used up
} stream_t;

// Message `i` of a stream: its number, and then as many bytes as that makes.
static size_t make_message(uint32_t i, uint8_t *bytes) {
  static const size_t lengths[] = {4, 0, 29, 33, 34, 1000, 20000, 70000};
  size_t length = sizeof i + lengths[i % 8];
  memcpy(bytes, &i, sizeof i);
  memset(bytes + sizeof i, (int)(i % 251), length - sizeof i);
  return length;
}

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

static void note_nothing(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
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

static void answer(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)context;
  expect(troupe_send_chunk(from, message) == 0);
}

static int answering_actor(void *argument) {
  (void)argument;
  expect(troupe_actor_on_message(answer, NULL) == 0);
  return troupe_actor_run();
}

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

// ---- To many: some over pipes of their own, the rest through the I/O actor ----

enum { MANY = 100, EACH = 200 };

typedef struct {
  troupe_actor_t actors[MANY];
  int answered[MANY];
  int left;
} many_t;

static void check_answer(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  many_t *many = context;
  int text[2];
  expect(troupe_chunk_length(message) == sizeof text);
  memcpy(text, troupe_chunk_bytes(message), sizeof text);
  expect(text[0] >= 0 && text[0] < MANY && many->actors[text[0]].id == from.id);
  expect(text[1] == many->answered[text[0]]++);
  if (--many->left == 0) {
    troupe_actor_end(0);
  }
}

static int many_actor(void *argument) {
  many_t *many = argument;
  expect(troupe_actor_on_message(check_answer, many) == 0);
  for (int k = 0; k < EACH; k++) {
    for (int i = 0; i < MANY; i++) {
      int text[2] = {i, k};
      expect(troupe_send(many->actors[i], text, sizeof text) == 0);
    }
  }
  return troupe_actor_run();
}

static void a_hundred_actors_answer_in_order(void **state) {
  (void)state;
  static many_t many;
  many = (many_t){.left = MANY * EACH};
  troupe_spawn_options_t options = {.name = "answers", .main = answering_actor, .copies = MANY};
  assert_int_equal(troupe_spawn(scene, &options, many.actors), 0);
  assert_int_equal(scene_join(scene_start("many", many_actor, &many)), 0);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(many.answered[i], EACH);
  }
}

// Beyond the pipes of its own the credit holds, too.
typedef struct {
  troupe_actor_t actors[MANY];
  int sent[MANY];
  int done;
} wide_t;

static void send_more(troupe_actor_t to, void *context) {
  wide_t *wide = context;
  int i = 0;
  while (wide->actors[i].id != to.id) {
    i++;
  }
  while (wide->sent[i] < 3 * CREDIT) {
    if (troupe_send(to, &wide->sent[i], sizeof wide->sent[i]) != 0) {
      return;
    }
    wide->sent[i]++;
  }
  if (++wide->done == MANY) {
    troupe_actor_end(0);
  }
}

static int wide_actor(void *argument) {
  wide_t *wide = argument;
  expect(troupe_actor_on_sendable(send_more, wide) == 0);
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, note_nothing, NULL) == 0);
  for (int i = 0; i < MANY; i++) {
    send_more(wide->actors[i], wide);
    expect(wide->sent[i] == CREDIT);
  }
  return troupe_actor_run();
}

static void take_in_order(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  static _Thread_local int next;
  int number = -1;
  (void)from;
  memcpy(&number, troupe_chunk_bytes(message), sizeof number);
  expect(number == next++);
  if (next == 3 * CREDIT) {
    atomic_fetch_add((atomic_int *)context, 1);
    troupe_actor_end(0);
  }
}

static int taking_actor(void *argument) {
  expect(troupe_actor_on_message(take_in_order, argument) == 0);
  return troupe_actor_run();
}

static void credit_holds_for_a_hundred_actors(void **state) {
  (void)state;
  static wide_t wide;
  atomic_int complete = 0;
  wide = (wide_t){.done = 0};
  troupe_spawn_options_t options = {
      .name = "takes", .main = taking_actor, .argument = &complete, .copies = MANY};
  assert_int_equal(troupe_spawn(scene, &options, wide.actors), 0);
  scene_start("wide", wide_actor, &wide);
  scene_wait();
  assert_int_equal(atomic_load(&complete), MANY);
}

// ---- To those that are not there ----

typedef struct {
  troupe_actor_t to;
  atomic_int full; // it sends no more for now
  atomic_int go;   // it may end
  bool told;
} victim_t;

static void hear_of_death(troupe_actor_t to, void *context) {
  victim_t *victim = context;
  expect(to.id == victim->to.id);
  expect(troupe_send(to, "x", 1) == TROUPE_ENOACTOR);
  expect(troupe_send(to, "x", 1) == TROUPE_ENOACTOR);
  victim->told = true;
  troupe_actor_end(0);
}

static int haunted_actor(void *argument) {
  victim_t *victim = argument;
  expect(troupe_actor_on_sendable(hear_of_death, victim) == 0);
  expect(troupe_timer_start(NULL, 3600 * 1000, 0, note_nothing, NULL) == 0);
  int error = 0;
  int sent = 0;
  while ((error = troupe_send(victim->to, "x", 1)) == 0) {
    sent++;
  }
  expect(error == TROUPE_ENOBUFS && sent == CREDIT);
  atomic_store(&victim->full, 1);
  return troupe_actor_run();
}

static void end_when_told(troupe_timer_t timer, void *context) {
  const victim_t *victim = context;
  (void)timer;
  if (atomic_load(&victim->go) != 0) {
    troupe_actor_end(0);
  }
}

// Takes no messages, and ends when it is told to.
static int deaf_actor(void *argument) {
  expect(troupe_timer_start(NULL, 1, 1, end_when_told, argument) == 0);
  return troupe_actor_run();
}

static void who_waits_to_write_to_one_that_ends_is_told(void **state) {
  (void)state;
  victim_t victim = {.told = false};
  victim.to = scene_start("deaf", deaf_actor, &victim);
  scene_start("haunted", haunted_actor, &victim);
  scene_wait_for(&victim.full);
  atomic_store(&victim.go, 1);
  scene_wait();
  assert_true(victim.told);
}

static int late_actor(void *argument) {
  troupe_actor_t dead = *(troupe_actor_t *)argument;
  expect(troupe_send(dead, "x", 1) == TROUPE_ENOACTOR);
  expect(troupe_send_chunk(dead, NULL) == TROUPE_EINVAL);
  expect(troupe_send(dead, "x", 1) == TROUPE_ENOACTOR);
  return 0;
}

static int ending_actor(void *argument) {
  (void)argument;
  return 0;
}

static void who_writes_to_the_dead_is_told(void **state) {
  (void)state;
  troupe_actor_t dead = scene_start("ends", ending_actor, NULL);
  scene_join(dead);
  scene_join(scene_start("late", late_actor, &dead));
  // And to one that never was.
  dead.id *= 1000;
  scene_join(scene_start("late", late_actor, &dead));
}

static int misusing_actor(void *argument) {
  troupe_actor_t io = {.id = UINT64_C(1) << 36}; // an I/O actor
  troupe_actor_t self = troupe_actor_self();
  troupe_actor_t socket = {.id = self.id + 1};
  static char big[1];
  (void)argument;
  expect(troupe_send((troupe_actor_t){0}, "x", 1) == TROUPE_EINVAL);
  expect(troupe_send(io, "x", 1) == TROUPE_EINVAL);
  expect(troupe_send(socket, "x", 1) == TROUPE_EINVAL);
  expect(troupe_send(self, big, 16 * 1024 * 1024 + 1) == TROUPE_EINVAL);
  expect(troupe_send_chunk(self, NULL) == TROUPE_EINVAL);
  expect(troupe_send(self, NULL, 0) == 0);
  return 0;
}

static void what_cannot_be_sent_is_refused(void **state) {
  (void)state;
  troupe_actor_t actor = scene_start("misusing", misusing_actor, NULL);
  assert_int_equal(troupe_send(actor, "x", 1), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_send_chunk(actor, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_actor_on_message(NULL, NULL), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_actor_on_sendable(NULL, NULL), TROUPE_EWRONGTHREAD);
  scene_wait();
}

// ---- By reference ----

typedef struct {
  troupe_actor_t to[3];
  uint8_t *bytes;
  atomic_int arrived, released;
} big_t;

enum { BIG = 16 * 1024 * 1024 };

static void release_big(void *bytes, void *context) {
  big_t *big = context;
  expect(bytes == big->bytes);
  free(bytes);
  atomic_fetch_add(&big->released, 1);
}

static void take_big(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  big_t *big = context;
  (void)from;
  const uint8_t *bytes = troupe_chunk_bytes(message);
  expect(bytes == big->bytes); // the very same memory
  expect(troupe_chunk_length(message) == BIG);
  expect(bytes[0] == 1 && bytes[BIG - 1] == 2);
  expect(atomic_load(&big->released) == 0);
  atomic_fetch_add(&big->arrived, 1);
  troupe_actor_end(0);
}

static int big_receiver(void *argument) {
  expect(troupe_actor_on_message(take_big, argument) == 0);
  return troupe_actor_run();
}

static int big_sender(void *argument) {
  big_t *big = argument;
  troupe_chunk_t *chunk = NULL;
  expect(troupe_chunk_adopt(&chunk, big->bytes, BIG, release_big, big) == 0);
  for (int i = 0; i < 3; i++) {
    expect(troupe_send_chunk(big->to[i], chunk) == 0);
  }
  troupe_chunk_free(&chunk);
  return 0;
}

static void a_big_chunk_goes_to_three_actors_without_being_copied(void **state) {
  (void)state;
  big_t big = {.bytes = malloc(BIG)};
  assert_non_null(big.bytes);
  big.bytes[0] = 1;
  big.bytes[BIG - 1] = 2;
  for (int i = 0; i < 3; i++) {
    big.to[i] = scene_start("receiver", big_receiver, &big);
  }
  scene_start("sender", big_sender, &big);
  scene_wait();
  assert_int_equal(atomic_load(&big.arrived), 3);
  scene_wait_for(&big.released);
  assert_int_equal(atomic_load(&big.released), 1);
}

typedef struct {
  troupe_chunk_t *kept[200];
  int count;
} keeper_t;

static void keep_it(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  keeper_t *keeper = context;
  (void)from;
  expect(troupe_chunk_keep(message, &keeper->kept[keeper->count]) == 0);
  if (++keeper->count == 200) {
    troupe_actor_end(0);
  }
}

static int keeping_actor(void *argument) {
  static keeper_t keeper;
  static uint8_t bytes[100000];
  (void)argument;
  keeper = (keeper_t){.count = 0};
  expect(troupe_actor_on_message(keep_it, &keeper) == 0);
  for (uint32_t i = 0; i < 200; i++) {
    expect(troupe_send(troupe_actor_self(), bytes, make_message(i, bytes)) == 0);
  }
  expect(troupe_actor_run() == 0);
  for (uint32_t i = 0; i < 200; i++) {
    size_t length = make_message(i, bytes);
    expect(troupe_chunk_length(keeper.kept[i]) == length);
    expect(memcmp(troupe_chunk_bytes(keeper.kept[i]), bytes, length) == 0);
    troupe_chunk_free(&keeper.kept[i]);
  }
  return 0;
}

static void kept_messages_stay_as_they_are(void **state) {
  (void)state;
  scene_start("keeping", keeping_actor, NULL);
  scene_wait();
}

// ---- Handlers that come and go ----

static void take_last(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "3"));
  ++*(int *)context;
  troupe_actor_end(0);
}

static void take_first(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "1"));
  ++*(int *)context;
  expect(troupe_actor_on_message(NULL, NULL) == 0); // the others wait
}

static void change_handler(troupe_timer_t timer, void *context) {
  (void)timer;
  expect(*(int *)context == 1);
  // Twice in one callback: only what is set in the end counts.
  expect(troupe_actor_on_message(take_first, context) == 0);
  expect(troupe_actor_on_message(NULL, NULL) == 0);
  expect(troupe_actor_on_message(take_last, context) == 0);
}

static void take_second(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "2"));
  ++*(int *)context;
  expect(troupe_actor_on_message(take_last, context) == 0);
}

static void change_to_second(troupe_timer_t timer, void *context) {
  change_handler(timer, context);
  expect(troupe_actor_on_message(take_second, context) == 0);
}

static int changing_actor(void *argument) {
  int taken = 0;
  (void)argument;
  for (const char *c = "123"; *c != '\0'; c++) {
    expect(troupe_send(troupe_actor_self(), c, 1) == 0);
  }
  expect(troupe_actor_on_message(take_first, &taken) == 0);
  expect(troupe_timer_start(NULL, 20, 0, change_to_second, &taken) == 0);
  expect(troupe_actor_run() == 0);
  expect(taken == 3);
  return 0;
}

static void messages_wait_while_there_is_no_handler(void **state) {
  (void)state;
  scene_start("changing", changing_actor, NULL);
  scene_wait();
}

static void end_at_third(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  int *taken = context;
  (void)from;
  (void)message;
  if (++*taken % 3 == 0) {
    troupe_actor_end(*taken);
  }
}

static void set_handler(troupe_timer_t timer, void *context) {
  (void)timer;
  expect(troupe_actor_on_message(end_at_third, context) == 0);
}

static int rerunning_actor(void *argument) {
  int taken = 0;
  (void)argument;
  // Ten that are held, and then three that come by themselves.
  for (int i = 0; i < 10; i++) {
    expect(troupe_send(troupe_actor_self(), "held", 4) == 0);
  }
  expect(troupe_timer_start(NULL, 20, 0, set_handler, &taken) == 0);
  expect(troupe_actor_run() == 3); // after the current callback, not after all that were held
  expect(taken == 3);
  expect(troupe_actor_run() == 6);
  for (int i = 0; i < 2; i++) {
    expect(troupe_send(troupe_actor_self(), "fresh", 5) == 0);
  }
  expect(troupe_actor_run() == 9);
  expect(troupe_actor_run() == 12); // the tenth, and both of these
  expect(taken == 12);
  return 0;
}

static void ending_in_a_handler_leaves_the_rest_for_the_next_run(void **state) {
  (void)state;
  scene_start("rerunning", rerunning_actor, NULL);
  scene_wait();
}

static void exit_now(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
  pthread_exit(NULL);
}

static void set_exit(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
  expect(troupe_actor_on_message(exit_now, NULL) == 0);
}

static int exiting_actor(void *argument) {
  static const uint8_t bytes[70000];
  for (int i = 0; i < 10; i++) {
    expect(troupe_send(troupe_actor_self(), bytes, i % 2 == 0 ? sizeof bytes : 5) == 0);
  }
  if (*(bool *)argument) {
    expect(troupe_timer_start(NULL, 10, 0, set_exit, NULL) == 0);
  } else {
    expect(troupe_actor_on_message(exit_now, NULL) == 0);
  }
  return troupe_actor_run();
}

// A leak checker sees whether what was held, and what was under way, is freed.
static void exiting_in_a_handler_leaves_nothing(void **state) {
  (void)state;
  bool held[] = {true, false};
  scene_start("exits", exiting_actor, &held[0]);
  scene_start("exits", exiting_actor, &held[1]);
  scene_wait();
}

// ---- Many senders that come and go ----

static int brief_sender(void *argument) {
  troupe_actor_t to = {.id = *(uint64_t *)argument};
  expect(troupe_send(to, "brief", 5) == 0);
  return 0;
}

static void count_brief(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  expect(is_text(message, "brief"));
  atomic_fetch_add((atomic_int *)context, 1);
}

static int host_actor(void *argument) {
  expect(troupe_actor_on_message(count_brief, argument) == 0);
  return troupe_actor_run();
}

static void senders_that_come_and_go_are_all_heard(void **state) {
  (void)state;
  enum { COUNT = 200 };
  atomic_int heard = 0;
  troupe_actor_t host = scene_start("host", host_actor, &heard);
  for (int i = 0; i < COUNT; i++) {
    scene_start("brief", brief_sender, &host.id);
  }
  for (int64_t limit_ms = trp_test_now_ms() + SCENE_LIMIT_MS;
       atomic_load(&heard) < COUNT && trp_test_now_ms() < limit_ms;) {
    troupe_system_counters_t counters;
    assert_int_equal(troupe_system_counters(scene, &counters), 0);
  }
  assert_int_equal(atomic_load(&heard), COUNT);
}

static void hang_up(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)context;
  expect(is_text(message, "hello to you"));
  troupe_actor_end(0);
}

static int greeting_actor(void *argument) {
  troupe_actor_t to = {.id = *(uint64_t *)argument};
  expect(troupe_actor_on_message(hang_up, NULL) == 0);
  expect(troupe_send(to, "hello", 5) == 0);
  return troupe_actor_run();
}

typedef struct {
  int greeted;
  troupe_actor_t guests[100];
} crowd_t;

static void see_them_go(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
  if (trp_messages_peers(trp_actor_current()) == 0) {
    troupe_actor_end(0);
  }
}

static void greet_all_at_once(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  crowd_t *crowd = context;
  expect(is_text(message, "hello"));
  crowd->guests[crowd->greeted++] = from;
  if (crowd->greeted == 100) {
    for (int i = 0; i < 100; i++) {
      expect(troupe_send(crowd->guests[i], "hello to you", 12) == 0);
    }
    expect(trp_messages_peers(trp_actor_current()) == 100);
    expect(troupe_timer_start(NULL, 1, 1, see_them_go, NULL) == 0);
  }
}

static int silent_host(void *argument) {
  crowd_t crowd = {.greeted = 0};
  (void)argument;
  expect(troupe_actor_on_message(greet_all_at_once, &crowd) == 0);
  return troupe_actor_run();
}

// Those before this one have been joined, so at the most the ends of a few are still under way.
static void greet(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)context;
  expect(is_text(message, "hello"));
  expect(troupe_send(from, "hello to you", 12) == 0);
  expect(trp_messages_peers(trp_actor_current()) < 10);
}

static int polite_actor(void *argument) {
  expect(troupe_actor_on_message(greet, argument) == 0);
  return troupe_actor_run();
}

static void nothing_is_kept_of_those_that_have_ended(void **state) {
  (void)state;
  enum { GUESTS = 100 };
  troupe_actor_t host = scene_start("host", polite_actor, NULL);
  for (int i = 0; i < GUESTS; i++) {
    assert_int_equal(scene_join(scene_start("guest", greeting_actor, &host.id)), 0);
  }
}

// Beyond 64 pipes messages go through the I/O actor, and that is forgotten, too.
static void nothing_is_kept_of_a_crowd_that_has_ended(void **state) {
  (void)state;
  enum { GUESTS = 100 };
  troupe_actor_t host = scene_start("host", silent_host, NULL);
  troupe_actor_t guests[GUESTS];
  troupe_spawn_options_t options = {
      .name = "guest", .main = greeting_actor, .argument = &host.id, .copies = GUESTS};
  assert_int_equal(troupe_spawn(scene, &options, guests), 0);
  for (int i = 0; i < GUESTS; i++) {
    assert_int_equal(scene_join(guests[i]), 0);
  }
  assert_int_equal(scene_join(host), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(messages_keep_their_order_and_their_bytes),
      in_scene(what_was_sent_arrives_although_the_sender_has_ended),
      in_scene(messages_stop_at_the_credit_and_go_on_when_they_are_taken),
      in_scene(an_actor_writes_to_itself),
      in_scene(a_message_to_a_name_is_answered),
      in_scene(actors_that_ask_as_soon_as_they_live_are_answered),
      in_scene(a_hundred_actors_answer_in_order),
      in_scene(credit_holds_for_a_hundred_actors),
      in_scene(who_waits_to_write_to_one_that_ends_is_told),
      in_scene(who_writes_to_the_dead_is_told),
      in_scene(what_cannot_be_sent_is_refused),
      in_scene(a_big_chunk_goes_to_three_actors_without_being_copied),
      in_scene(kept_messages_stay_as_they_are),
      in_scene(messages_wait_while_there_is_no_handler),
      in_scene(ending_in_a_handler_leaves_the_rest_for_the_next_run),
      in_scene(exiting_in_a_handler_leaves_nothing),
      in_scene(senders_that_come_and_go_are_all_heard),
      in_scene(nothing_is_kept_of_those_that_have_ended),
      in_scene(nothing_is_kept_of_a_crowd_that_has_ended),
  };
  return TRP_RUN_TESTS("message", tests);
}
