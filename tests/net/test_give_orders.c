/* The hand-off in every order in which its messages may arrive. The I/O actor's real socket logic
 * and two real actors, each with an inbox of this test, run in turns: at each step one of the
 * queues between them, or the outside world, goes on, and all choices are tried, one after the
 * other. Under sanitizers some are drawn instead. */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/handoff.h>
#include <troupe/server.h>

#include "actors/net/net.h"
#include "core/actor/execute.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "tests/fake/network.h"
#include "tests/harness/harness.h"

enum { GIVER, TAKER, PLAYERS, FRAMES_MAX = 8, QUEUE_MAX = 64, STEPS_MAX = 64, DRAWN = 150 };

/* A batch on its way, which belongs to no thread. */
typedef struct {
  size_t count, sizes[FRAMES_MAX];
  uint8_t *frames[FRAMES_MAX];
} parcel_t;

typedef struct {
  parcel_t parcels[QUEUE_MAX];
  size_t first, end;
} queue_t;

typedef struct model model_t;

typedef struct {
  model_t *model;
  trp_inbox_t inbox;
  trp_start_t start;
  pthread_t thread;
  sem_t go, done;
  parcel_t *next; // what it receives when it goes on
  bool over, returned;
  queue_t out, in; // to and from the I/O actor
  unsigned handed, closes, given, kept;
} player_t;

/* What happens outside, in this order: a byte comes (a small letter), FIN, a reset, the kernel has
 * room for what is written, the taker dies, the giver is stopped at once. */
#define FIN 'F'
#define RESET 'R'
#define ROOM 'W'
#define DEATH 'X'
#define STOP 'S'

typedef struct {
  const char *script;
  bool gives_back;      // the taker, at once
  bool paused;          // not a byte is read before the taker resumes
  const char *received; // by both together; NULL: a beginning of what the script sends
  const char *written;  // NULL: nobody knows
} scenario_t;

struct model {
  const scenario_t *scenario;
  fake_network_t *network;
  trp_inbox_t inbox;
  trp_pool_t *pool;
  trp_net_t *net;
  player_t players[PLAYERS];
  trp_handle_t *handle;
  size_t script_at;
  char received[64];
  size_t received_length;
  unsigned wrong;
};

static uint64_t id_of(int player) {
  return trp_id_actor((uint32_t)(64 + player));
}

// ---- Parcels ----

static void push(queue_t *queue, trp_out_t *out) {
  if (trp_out_pack(out) != 0 || queue->end == QUEUE_MAX || out->frame_count + 1 > FRAMES_MAX) {
    abort();
  }
  parcel_t *parcel = &queue->parcels[queue->end++];
  parcel->count = out->frame_count + 1;
  for (size_t i = 0; i < parcel->count; i++) {
    const trp_frame_t *frame = i == 0 ? out->envelope : out->frames[i - 1];
    parcel->sizes[i] = frame->size;
    parcel->frames[i] = malloc(frame->size + 1);
    memcpy(parcel->frames[i], frame->bytes, frame->size);
  }
  trp_out_reset(out);
}

static void unpack(parcel_t *parcel, trp_in_t *in) {
  for (size_t i = 0; i < parcel->count; i++) {
    trp_frame_t *frame = trp_frame_copy(parcel->frames[i], parcel->sizes[i]);
    if (frame == NULL || trp_in_push(in, frame) != 0) {
      abort();
    }
    free(parcel->frames[i]);
  }
  parcel->count = 0;
  if (trp_in_open(in) != 0) {
    abort();
  }
  in->received_ns = 1;
}

static void drop(queue_t *queue) {
  for (; queue->first < queue->end; queue->first++) {
    for (size_t i = 0; i < queue->parcels[queue->first].count; i++) {
      free(queue->parcels[queue->first].frames[i]);
    }
  }
}

// ---- Players: actors in threads that run one at a time ----

static player_t *player_of(trp_inbox_t *inbox) {
  return (player_t *)(void *)((char *)inbox - offsetof(player_t, inbox));
}

static int player_receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  player_t *player = player_of(inbox);
  if (player->next == NULL && deadline_ns != 0) {
    sem_post(&player->done);
    sem_wait(&player->go);
  }
  if (player->over) {
    return TROUPE_ESTOPPED;
  }
  if (player->next == NULL) {
    return 0;
  }
  unpack(player->next, in);
  player->next = NULL;
  return 1;
}

static int player_send(trp_inbox_t *inbox, trp_out_t *out) {
  push(&player_of(inbox)->out, out);
  return 0;
}

static int64_t stand_still(trp_inbox_t *inbox) {
  (void)inbox;
  return 1;
}

static const trp_inbox_ops_t player_ops = {
    .receive = player_receive, .send = player_send, .now = stand_still};

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)socket;
  player_t *player = context;
  model_t *model = player->model;
  memcpy(model->received + model->received_length, troupe_chunk_bytes(chunk),
         troupe_chunk_length(chunk));
  model->received_length += troupe_chunk_length(chunk);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  (void)had_error;
  player_t *player = context;
  player->closes++;
}

static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_close = on_close};

static void on_given(troupe_socket_t socket, int error, void *context) {
  player_t *player = context;
  player->model->wrong += troupe_socket_give(socket, (troupe_actor_t){.id = id_of(5)}, NULL, 0,
                                             NULL, NULL) == TROUPE_EGIVING;
  if (error == 0) {
    player->given++;
  } else {
    player->kept++;
  }
}

static void give(player_t *player, troupe_socket_t socket, int to, const char *letter) {
  model_t *model = player->model;
  troupe_actor_t actor = {.id = id_of(to)};
  model->wrong += troupe_socket_write(socket, letter, 1, NULL, NULL) < 0;
  model->wrong += troupe_socket_give(socket, actor, letter, 1, on_given, player) != 0;
  model->wrong += troupe_socket_write(socket, "!", 1, NULL, NULL) != TROUPE_EGIVING;
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, context);
  give(context, socket, TAKER, "g");
}

static void on_handed(troupe_socket_t socket, troupe_actor_t from, const troupe_chunk_t *message,
                      void *context) {
  player_t *player = context;
  model_t *model = player->model;
  bool is_taker = player == &model->players[TAKER];
  player->handed++;
  model->wrong += from.id != id_of(is_taker ? GIVER : TAKER);
  model->wrong += troupe_chunk_length(message) != 1 ||
                  ((const char *)troupe_chunk_bytes(message))[0] != (is_taker ? 'g' : 't');
  troupe_socket_set_handlers(socket, &handlers, player);
  troupe_socket_resume(socket);
  if (is_taker && model->scenario->gives_back) {
    give(player, socket, GIVER, "t");
  } else if (troupe_socket_ready_state(socket) == TROUPE_OPEN) {
    model->wrong += troupe_socket_write(socket, is_taker ? "t" : "b", 1, NULL, NULL) < 0;
  }
}

static int play(void *argument) {
  static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection};
  player_t *player = argument;
  int error = troupe_actor_on_handed(on_handed, player);
  if (error == 0 && player == &player->model->players[GIVER]) {
    troupe_server_options_t options = {.allow_half_open = true,
                                       .pause_on_connect = player->model->scenario->paused};
    troupe_server_t server;
    error = troupe_server_new(&options, &server_handlers, player, &server);
    if (error == 0) {
      error = troupe_server_listen_port(server, 80, "127.0.0.1", 0);
    }
  }
  return error != 0 ? error : troupe_actor_run();
}

static void *run_player(void *argument) {
  player_t *player = argument;
  bool ran = false;
  trp_execution_t execution = {
      .start = &player->start, .inbox = &player->inbox, .main = play, .argument = player};
  player->model->wrong += trp_actor_execute(&execution, &ran) != 0;
  trp_frame_thread_end();
  player->returned = true;
  sem_post(&player->done);
  return NULL;
}

static void go_on(player_t *player) {
  sem_post(&player->go);
  sem_wait(&player->done);
}

// ---- The I/O actor ----

static int model_send(trp_inbox_t *inbox, trp_out_t *out) {
  model_t *model = (model_t *)(void *)((char *)inbox - offsetof(model_t, inbox));
  for (int i = 0; i < PLAYERS; i++) {
    if (out->to == id_of(i)) {
      push(&model->players[i].in, out);
    }
  }
  return 0;
}

static const trp_inbox_ops_t io_ops = {.send = model_send};

/* The loop comes round: what is ready is seen. */
static void turn(model_t *model) {
  trp_net_flush(model->net);
  fake_network_turn(model->network);
  trp_net_flush(model->net);
}

static void deliver_command(model_t *model, player_t *player) {
  trp_in_t in;
  trp_in_init(&in);
  unpack(&player->out.parcels[player->out.first++], &in);
  trp_net_execute(model->net, &in);
  turn(model);
  trp_in_free(&in);
}

static void deliver_event(player_t *player) {
  player->next = &player->in.parcels[player->in.first++];
  if (player->returned) { // nobody reads it any more
    player->in.first--;
    drop(&player->in);
    player->next = NULL;
    return;
  }
  go_on(player);
}

/* Its main function returns, and its last word is behind all that it has said. */
static void end_player(model_t *model, player_t *player) {
  if (!player->returned) {
    player->over = true;
    go_on(player);
  }
  trp_out_t out;
  trp_out_init(&out, player->start.id, trp_id_actor(1), model->pool);
  trp_message_t *message = trp_out_add(&out, TRP_KIND(COMMAND_BYE), player->start.id);
  message->bye = trp_out_take(&out, sizeof *message->bye);
  *message->bye = (Troupe__Wire__Bye)TROUPE__WIRE__BYE__INIT;
  message->detail_case = TRP_DETAIL(BYE);
  push(&player->out, &out);
  trp_out_free(&out);
}

static void step_outside(model_t *model) {
  char what = model->scenario->script[model->script_at++];
  switch (what) {
  case FIN:
    model->handle->fin = true;
    break;
  case RESET:
    model->handle->read_error = model->handle->pending_error = TROUPE_ECONNRESET;
    break;
  case ROOM:
    model->handle->room = SIZE_MAX;
    break;
  case DEATH:
    end_player(model, &model->players[TAKER]);
    break;
  case STOP:
    assert_int_equal(trp_net_post(model->net, id_of(GIVER), TRP_KIND(EVENT_STOP), 0, 0, NULL, 0),
                     0);
    break;
  default:
    fake_arrives(model->handle, (char[2]){what, '\0'});
    break;
  }
  turn(model);
}

// ---- Orders ----

typedef struct {
  unsigned choices[STEPS_MAX], options[STEPS_MAX];
  size_t length; // of the choices that are prescribed; the rest are the first option
  unsigned runs, longest;
  bool draws;
  trp_test_random_t random;
} orders_t;

typedef enum { COMMANDS, EVENTS = COMMANDS + PLAYERS, OUTSIDE = EVENTS + PLAYERS, WAYS } way_t;

static bool can(const model_t *model, int way) {
  if (way == OUTSIDE) {
    return model->scenario->script[model->script_at] != '\0';
  }
  const player_t *player = &model->players[way < EVENTS ? way - COMMANDS : way - EVENTS];
  const queue_t *queue = way < EVENTS ? &player->out : &player->in;
  return queue->first < queue->end;
}

static void go(model_t *model, int way) {
  if (way == OUTSIDE) {
    step_outside(model);
  } else if (way < EVENTS) {
    deliver_command(model, &model->players[way - COMMANDS]);
  } else {
    deliver_event(&model->players[way - EVENTS]);
  }
}

/* Until nothing is left to do. */
static void run_in_order(model_t *model, orders_t *orders) {
  for (size_t at = 0;; at++) {
    int ways[WAYS];
    unsigned count = 0;
    for (int way = 0; way < WAYS; way++) {
      if (can(model, way)) {
        ways[count++] = way;
      }
    }
    if (count == 0) {
      orders->longest = at > orders->longest ? (unsigned)at : orders->longest;
      return;
    }
    assert_true(at < STEPS_MAX);
    if (at >= orders->length) {
      orders->choices[at] = orders->draws ? (unsigned)trp_test_random_below(&orders->random, count)
                                          : 0;
      orders->length = at + 1;
    }
    orders->options[at] = count;
    go(model, ways[orders->choices[at]]);
  }
}

/* The next one, as in counting: false when all were there. */
static bool next_order(orders_t *orders) {
  orders->runs++;
  if (orders->draws) {
    orders->length = 0;
    return orders->runs < DRAWN;
  }
  while (orders->length > 0) {
    size_t last = orders->length - 1;
    if (++orders->choices[last] < orders->options[last]) {
      return true;
    }
    orders->length--;
  }
  return false;
}

// ---- One run ----

static void settle(model_t *model) {
  orders_t any = {0};
  run_in_order(model, &any);
}

static void set_up(model_t *model) {
  model->network = calloc(1, sizeof *model->network);
  assert_non_null(model->network);
  fake_network_start(model->network);
  model->inbox.ops = &io_ops;
  assert_int_equal(trp_pool_new(&model->pool), 0);
  assert_int_equal(
      trp_net_new(trp_id_actor(1), &model->network->base, &model->inbox, model->pool, &model->net),
      0);
  for (int i = 0; i < PLAYERS; i++) {
    player_t *player = &model->players[i];
    player->model = model;
    player->inbox.ops = &player_ops;
    player->start = (trp_start_t){.id = id_of(i), .io_actors = 1, .seed = 1};
    sem_init(&player->go, 0, 0);
    sem_init(&player->done, 0, 0);
    assert_int_equal(pthread_create(&player->thread, NULL, run_player, player), 0);
    sem_wait(&player->done);
    while (player->out.first < player->out.end) {
      deliver_command(model, player);
    }
  }
  while (model->players[GIVER].in.first < model->players[GIVER].in.end) {
    deliver_event(&model->players[GIVER]); // it listens
  }
  fake_knock(fake_handle(model->network, 0), 1, "9.9.9.9");
  turn(model);
  model->handle = fake_handle(model->network, 1);
  model->handle->room = strchr(model->scenario->script, ROOM) != NULL ? 0 : SIZE_MAX;
  while (model->players[GIVER].in.first < model->players[GIVER].in.end) {
    deliver_event(&model->players[GIVER]); // it has the connection, and gives it
  }
}

static bool is_beginning_of(const char *text, size_t length, const char *script) {
  char sent[64];
  size_t count = 0;
  for (; *script != '\0'; script++) {
    if (*script >= 'a' && *script <= 'z') {
      sent[count++] = *script;
    }
  }
  return length <= count && memcmp(text, sent, length) == 0;
}

/* All messages have arrived. */
static void check(model_t *model) {
  const scenario_t *scenario = model->scenario;
  const player_t *giver = &model->players[GIVER], *taker = &model->players[TAKER];
  const trp_net_counters_t *counters = trp_net_counters(model->net);
  assert_int_equal(model->wrong, 0);
  assert_int_equal(counters->not_owner, 0);
  assert_int_equal(counters->bad_credit, 0);
  assert_int_equal(counters->unknown_kind, 0);
  assert_int_equal(counters->stale_epoch, 0);
  assert_int_equal(giver->given + giver->kept, 1);
  assert_int_equal(taker->given + taker->kept <= 1, 1);
  // Whoever had it has been told its end once, and only one can have it still.
  assert_true(giver->closes + giver->given <= 1 + giver->handed);
  assert_true(taker->closes + taker->given <= taker->handed);
  assert_true(taker->handed <= 1 && giver->handed <= 1);
  if (scenario->received != NULL) {
    assert_int_equal(model->received_length, strlen(scenario->received));
    assert_memory_equal(model->received, scenario->received, model->received_length);
  } else {
    assert_true(is_beginning_of(model->received, model->received_length, scenario->script));
  }
  if (scenario->written != NULL) {
    assert_int_equal(model->handle->output_length, strlen(scenario->written));
    assert_memory_equal(model->handle->output, scenario->written, model->handle->output_length);
  }
}

static void tear_down(model_t *model) {
  for (int i = 0; i < PLAYERS; i++) {
    player_t *player = &model->players[i];
    bool said_bye = player->over || player->returned;
    if (!said_bye) {
      trp_net_post(model->net, id_of(i), TRP_KIND(EVENT_STOP), 0, 0, NULL, 0);
      turn(model);
    }
    settle(model);
    if (!said_bye) {
      assert_true(player->returned); // nothing it waits for has been forgotten
    }
    if (!player->over) {
      end_player(model, player);
    }
    settle(model);
  }
  const player_t *giver = &model->players[GIVER], *taker = &model->players[TAKER];
  assert_int_equal(giver->closes + giver->given, 1 + giver->handed);
  if (!taker->over) {
    assert_int_equal(taker->closes + taker->given, taker->handed);
  }
  assert_int_equal(trp_net_counters(model->net)->sockets, 0);
  for (int i = 0; i < PLAYERS; i++) {
    player_t *player = &model->players[i];
    pthread_join(player->thread, NULL);
    drop(&player->in);
    drop(&player->out);
    sem_destroy(&player->go);
    sem_destroy(&player->done);
  }
  trp_net_free(&model->net);
  fake_network_stop(model->network);
  trp_pool_close(&model->pool);
  free(model->network);
}

static void try_all(const scenario_t *scenario) {
  orders_t orders = {.draws = trp_test_slow() > 1};
  trp_test_random_start(&orders.random, 6);
  do {
    model_t *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->scenario = scenario;
    set_up(model);
    run_in_order(model, &orders);
    check(model);
    tear_down(model);
    free(model);
  } while (next_order(&orders));
  print_message("%u orders of up to %u steps\n", orders.runs, orders.longest);
  assert_true(orders.longest >= 8);
}

static void bytes_arrive_whole_and_in_order(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "ab", .received = "ab", .written = "gt"});
}

static void a_paused_connection_is_read_by_the_taker_alone(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "abF", .paused = true, .received = "ab", .written = "gt"});
}

static void writes_leave_in_order_whenever_the_peer_takes_them(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "aW", .received = "a", .written = "gt"});
}

static void the_peers_end_comes_behind_its_bytes(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "aF", .received = "a"});
}

static void a_reset_ends_it_once_wherever_it_is(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "aR"});
}

static void a_taker_that_dies_gets_it_or_leaves_it(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "aX"});
}

static void a_giver_that_is_stopped_destroys_it_or_has_given_it(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "aS"});
}

static void a_connection_that_comes_back_is_whole(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "a", .gives_back = true, .received = "a", .written = "gtb"});
}

static void a_taker_that_dies_giving_it_back_is_no_exception(void **state) {
  (void)state;
  try_all(&(scenario_t){.script = "X", .gives_back = true});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(bytes_arrive_whole_and_in_order),
      trp_test(a_paused_connection_is_read_by_the_taker_alone),
      trp_test(writes_leave_in_order_whenever_the_peer_takes_them),
      trp_test(the_peers_end_comes_behind_its_bytes),
      trp_test(a_reset_ends_it_once_wherever_it_is),
      trp_test(a_taker_that_dies_gets_it_or_leaves_it),
      trp_test(a_giver_that_is_stopped_destroys_it_or_has_given_it),
      trp_test(a_connection_that_comes_back_is_whole),
      trp_test(a_taker_that_dies_giving_it_back_is_no_exception),
  };
  return TRP_RUN_TESTS("give_orders", tests);
}
