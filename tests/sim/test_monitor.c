// What is watched in a simulated world, and that it is seen: each test does one thing that must not
// happen.
#include <stdlib.h>
#include <string.h>

#include "actors/sim/world.h"
#include "core/message/credit.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "tests/harness/harness.h"

enum { OWNER = 100, OTHER = 101 };

// A world with two sockets of one actor at the two ends of a connection, and nobody else.
typedef struct {
  trp_sim_t sim;
  troupe_sim_options_t options;
  trp_pool_t *pool;
  trp_out_t out;
  uint64_t sockets[2];
  trp_handle_t *ends[2];
} scene_t;

static void set_scene(scene_t *scene) {
  trp_sim_t *sim = &scene->sim;
  *scene = (scene_t){0};
  sim->options = &scene->options;
  sim->faults.healed = true;
  sim->began_ns = sim->now_ns = TRP_SIM_START_NS;
  trp_list_init(&sim->tasks);
  trp_text_init(&sim->reason, sim->why, sizeof sim->why);
  trp_network_init(&sim->network, &sim->dice, &sim->faults, &scene->options);
  sim->io = calloc(1, sizeof *sim->io);
  assert_non_null(sim->io);
  assert_int_equal(trp_sim_monitor_new(sim), 0);
  sim->ground.io_count = 1;
  assert_int_equal(trp_sim_io_open(sim, 0, 1), 0);
  assert_int_equal(trp_pool_new(&scene->pool), 0);
  trp_out_init(&scene->out, trp_id_actor(1), trp_id_actor(OWNER), scene->pool);

  trp_transport_t *transport = &sim->io[0].transport.base;
  trp_transport_t *const transports[] = {transport, transport};
  const troupe_address_t addresses[2] = {{.family = TROUPE_FAMILY_IPV4, .port = 1000},
                                         {.family = TROUPE_FAMILY_IPV4, .port = 2000}};
  const bool ended[2] = {false, false};
  assert_int_equal(trp_network_pair(&sim->network, transports, addresses, ended, scene->ends), 0);
  for (int side = 0; side < 2; side++) {
    scene->sockets[side] = trp_id_make(1, 1, 1 + (uint64_t)side);
    const trp_resumed_t known = {.id = scene->sockets[side]};
    trp_sim_transport_keep(&sim->io[0].transport, scene->ends[side]);
    trp_sim_watch_resumed(sim, trp_id_actor(OWNER), &known, scene->ends[side]);
  }
}

static void close_handles(scene_t *scene) {
  trp_link_t *handles = &scene->sim.io[0].transport.handles;
  while (!trp_list_empty(handles)) {
    trp_network_close(TRP_LIST_ENTRY(handles->next, trp_handle_t, in_transport));
  }
}

static void clear_scene(scene_t *scene) {
  trp_sim_t *sim = &scene->sim;
  close_handles(scene);
  trp_out_free(&scene->out);
  trp_pool_close(&scene->pool);
  trp_sim_io_close(sim, 0);
  free(sim->io);
  trp_sim_monitor_free(sim);
  trp_network_free(&sim->network);
  trp_map_free(&sim->inboxes);
  trp_frame_thread_end();
}

static trp_message_t *add(scene_t *scene, Troupe__Wire__Kind kind, uint64_t subject,
                          const char *bytes) {
  trp_message_t *message = trp_out_add(&scene->out, kind, subject);
  assert_non_null(message);
  if (bytes != NULL) {
    assert_int_equal(trp_out_copy(&scene->out, message, bytes, strlen(bytes)), 0);
  }
  return message;
}

// What was added leaves `sender`, and is seen where that takes place.
static void pass_from(scene_t *scene, uint64_t sender,
                      void (*seen)(scene_t *scene, uint32_t actor, const trp_in_t *in),
                      uint32_t actor) {
  trp_in_t in;
  trp_in_init(&in);
  scene->out.sender = sender;
  assert_int_equal(trp_out_pack(&scene->out), 0);
  assert_int_equal(trp_in_push(&in, trp_frame_hold(scene->out.envelope)), 0);
  for (size_t i = 0; i < scene->out.frame_count; i++) {
    assert_int_equal(trp_in_push(&in, trp_frame_hold(scene->out.frames[i])), 0);
  }
  assert_int_equal(trp_in_open(&in), 0);
  seen(scene, actor, &in);
  trp_in_free(&in);
  trp_out_reset(&scene->out);
}

static void see_events(scene_t *scene, uint32_t actor, const trp_in_t *in) {
  trp_sim_watch_events(&scene->sim, trp_id_actor(actor), in);
}

static void see_commands(scene_t *scene, uint32_t actor, const trp_in_t *in) {
  (void)actor;
  trp_sim_watch_commands(&scene->sim, scene->sim.io[0].net, in);
}

static void see_messages(scene_t *scene, uint32_t actor, const trp_in_t *in) {
  trp_sim_watch_messages(&scene->sim, trp_id_actor(actor), in);
}

static void see_taken(scene_t *scene, uint32_t actor, const trp_in_t *in) {
  trp_sim_watch_taken(&scene->sim, trp_id_actor(actor), in);
}

static void pass(scene_t *scene, uint32_t actor, bool events) {
  pass_from(scene, trp_id_actor(events ? 1 : actor), events ? see_events : see_commands, actor);
}

static void tell(scene_t *scene, Troupe__Wire__Kind kind, int side, const char *bytes) {
  add(scene, kind, scene->sockets[side], bytes);
  pass(scene, OWNER, true);
}

static void say(scene_t *scene, Troupe__Wire__Kind kind, int side, const char *bytes) {
  add(scene, kind, scene->sockets[side], bytes);
  pass(scene, OWNER, false);
}

static void expect(const scene_t *scene, const char *text) {
  if (text == NULL) {
    assert_string_equal(scene->sim.why, "");
    assert_false(scene->sim.failed);
  } else if (strstr(scene->sim.why, text) == NULL) {
    fail_msg("\"%s\" was to be found; what was: \"%s\"", text, scene->sim.why);
  }
}

// ---- The tests ----

static void what_must_happen_is_no_mistake(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, "hello");
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, " there");
  say(&scene, TRP_KIND(COMMAND_END), 0, NULL);
  tell(&scene, TRP_KIND(EVENT_DATA), 1, "hel");
  tell(&scene, TRP_KIND(EVENT_FINISH), 0, NULL);
  tell(&scene, TRP_KIND(EVENT_DATA), 1, "lo there");
  tell(&scene, TRP_KIND(EVENT_END), 1, NULL);
  tell(&scene, TRP_KIND(EVENT_CLOSE), 0, NULL);
  tell(&scene, TRP_KIND(EVENT_CLOSE), 1, NULL);
  close_handles(&scene);
  trp_sim_watch_end(&scene.sim);
  expect(&scene, NULL);
  clear_scene(&scene);
}

static void an_event_behind_the_final_one_is_seen(void **state) {
  (void)state;
  static const Troupe__Wire__Kind kinds[] = {TRP_KIND(EVENT_CLOSE), TRP_KIND(EVENT_ERROR),
                                             TRP_KIND(EVENT_WRITTEN), TRP_KIND(EVENT_FINISH)};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    scene_t scene;
    set_scene(&scene);
    tell(&scene, TRP_KIND(EVENT_CLOSE), 0, NULL);
    expect(&scene, NULL);
    tell(&scene, kinds[i], 0, NULL);
    expect(&scene, "an event came after its final one");
    clear_scene(&scene);
  }
}

static void a_final_event_that_never_came_is_seen(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  // The I/O actor has no such sockets, and nobody was told.
  Troupe__Wire__Bye bye = TROUPE__WIRE__BYE__INIT;
  trp_message_t *message = add(&scene, TRP_KIND(COMMAND_BYE), 0, NULL);
  message->detail_case = TRP_DETAIL(BYE);
  message->bye = &bye;
  pass(&scene, OWNER, false);
  expect(&scene, "it is gone, and had no final event");
  clear_scene(&scene);
}

static void bytes_that_were_not_written_are_seen(void **state) {
  (void)state;
  static const struct {
    const char *written, *first, *second, *what;
  } cases[] = {
      {"hello", "hellO", NULL, "other bytes came"},      {"hello", "hello", "!", "more bytes came"},
      {"hello there", "hel", "hel", "other bytes came"}, // twice
      {"hello!", "lo!", NULL, "other bytes came"},       // a gap
      {"hello there", "there", NULL, "other bytes"},     // in another order
      {"hello", "hello", "hello", "more bytes came"},    // all of it twice
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    scene_t scene;
    set_scene(&scene);
    say(&scene, TRP_KIND(COMMAND_WRITE), 0, cases[i].written);
    tell(&scene, TRP_KIND(EVENT_DATA), 1, cases[i].first);
    if (cases[i].second != NULL) {
      expect(&scene, NULL);
      tell(&scene, TRP_KIND(EVENT_DATA), 1, cases[i].second);
    }
    expect(&scene, cases[i].what);
    clear_scene(&scene);
  }
}

static void bytes_for_another_socket_are_seen(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, "hello");
  tell(&scene, TRP_KIND(EVENT_DATA), 0, "hello"); // the one that wrote them
  expect(&scene, "more bytes came than its peer has written");
  clear_scene(&scene);
  set_scene(&scene);
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, "hello");
  add(&scene, TRP_KIND(EVENT_DATA), trp_id_make(1, 1, 77), "hello");
  pass(&scene, OWNER, true);
  expect(&scene, "a socket that nobody was told of");
  clear_scene(&scene);
}

static void an_event_for_another_actor_is_seen(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  add(&scene, TRP_KIND(EVENT_END), scene.sockets[0], NULL);
  pass(&scene, OTHER, true);
  expect(&scene, "an actor that does not own it");
  clear_scene(&scene);
}

static void hand(scene_t *scene, uint32_t to) {
  add(scene, TRP_KIND(EVENT_HANDED), scene->sockets[0], NULL)->epoch = 1;
  pass(scene, to, true);
}

static void a_giver_is_told_once_and_nothing_behind_it(void **state) {
  (void)state;
  scene_t scene;
  for (int before = 0; before < 2; before++) {
    set_scene(&scene);
    if (before == 1) {
      tell(&scene, TRP_KIND(EVENT_GIVEN), 0, NULL);
      hand(&scene, OTHER);
    } else {
      hand(&scene, OTHER);
      add(&scene, TRP_KIND(EVENT_CLOSE), scene.sockets[0], NULL);
      pass(&scene, OTHER, true);
      tell(&scene, TRP_KIND(EVENT_GIVEN), 0, NULL);
    }
    expect(&scene, NULL);
    tell(&scene, TRP_KIND(EVENT_GIVEN), 0, NULL);
    expect(&scene, "told that it gave it away, and it had not");
    clear_scene(&scene);
  }
  set_scene(&scene);
  tell(&scene, TRP_KIND(EVENT_GIVEN), 0, NULL);
  tell(&scene, TRP_KIND(EVENT_END), 0, NULL);
  expect(&scene, "an actor that does not own it");
  clear_scene(&scene);
}

static void bytes_that_a_clean_end_leaves_out_are_seen(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, "hello");
  say(&scene, TRP_KIND(COMMAND_END), 0, NULL);
  tell(&scene, TRP_KIND(EVENT_FINISH), 0, NULL);
  tell(&scene, TRP_KIND(EVENT_DATA), 1, "hell");
  expect(&scene, NULL);
  tell(&scene, TRP_KIND(EVENT_END), 1, NULL);
  expect(&scene, "not all that it wrote has come");
  clear_scene(&scene);
}

static void what_comes_behind_the_end_is_seen(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, "hello");
  tell(&scene, TRP_KIND(EVENT_END), 1, NULL);
  tell(&scene, TRP_KIND(EVENT_DATA), 1, "hello");
  expect(&scene, "bytes came behind the end");
  clear_scene(&scene);
  set_scene(&scene);
  tell(&scene, TRP_KIND(EVENT_END), 1, NULL);
  tell(&scene, TRP_KIND(EVENT_END), 1, NULL);
  expect(&scene, "ended twice");
  clear_scene(&scene);
}

static void more_than_the_credit_is_seen(void **state) {
  (void)state;
  scene_t scene;
  enum { PIECE = 60 * 1024 };
  static char piece[PIECE + 1];
  set_scene(&scene);
  memset(piece, 'x', PIECE);
  uint64_t pieces = TRP_SOCKET_CREDIT_MAX / trp_data_cost(PIECE);
  for (uint64_t i = 0; i <= pieces; i++) {
    expect(&scene, NULL);
    say(&scene, TRP_KIND(COMMAND_WRITE), 0, piece);
    tell(&scene, TRP_KIND(EVENT_DATA), 1, piece);
  }
  expect(&scene, "more of it waits than its credit allows");
  clear_scene(&scene);
}

static void more_than_the_window_is_seen(void **state) {
  (void)state;
  scene_t scene;
  enum { PIECE = 60 * 1024 };
  static char piece[PIECE + 1];
  set_scene(&scene);
  memset(piece, 'x', PIECE);
  uint64_t most = TRP_ACTOR_WINDOW + TRP_SOCKET_CREDIT_MAX, consumed = 0;
  while (consumed + trp_data_cost(PIECE) <= most) {
    expect(&scene, NULL);
    say(&scene, TRP_KIND(COMMAND_WRITE), 0, piece);
    tell(&scene, TRP_KIND(EVENT_DATA), 1, piece);
    // The socket's own credit is given back, but nothing leaves the inbox.
    consumed += trp_data_cost(PIECE);
    add(&scene, TRP_KIND(COMMAND_CREDIT), scene.sockets[1], NULL)->through = consumed;
    pass(&scene, OWNER, false);
  }
  expect(&scene, NULL);
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, piece);
  tell(&scene, TRP_KIND(EVENT_DATA), 1, piece);
  expect(&scene, "more than flow control allows");
  clear_scene(&scene);
}

static void add_connection(scene_t *scene, uint64_t server, uint64_t number) {
  trp_message_t *message = add(scene, TRP_KIND(EVENT_CONNECTION), server, NULL);
  Troupe__Wire__Connection *connection = trp_out_take(&scene->out, sizeof *connection);
  assert_non_null(connection);
  *connection = (Troupe__Wire__Connection)TROUPE__WIRE__CONNECTION__INIT;
  connection->socket = trp_id_make(1, 1, 1000 + number);
  message->detail_case = TRP_DETAIL(CONNECTION);
  message->connection = connection;
}

static void more_connections_than_a_server_has_credit_for_are_seen(void **state) {
  (void)state;
  scene_t scene;
  const uint64_t servers[] = {trp_id_make(1, OWNER, 7), trp_id_make(1, OWNER, 8)};
  uint64_t number = 0;
  set_scene(&scene);
  for (int i = 0; i < TRP_ACCEPT_CREDIT; i++) { // each of its servers may have as many
    for (size_t k = 0; k < 2; k++) {
      add_connection(&scene, servers[k], number++);
      pass(&scene, OWNER, true);
    }
  }
  add_connection(&scene, servers[0], number);
  pass_from(&scene, trp_id_actor(1), see_taken, OWNER);
  add_connection(&scene, servers[0], number++);
  pass(&scene, OWNER, true);
  expect(&scene, NULL);
  add_connection(&scene, servers[0], number++);
  pass(&scene, OWNER, true);
  expect(&scene, "129 connections of a server wait for one actor");
  clear_scene(&scene);
}

// By `sender` itself over a pipe of its own, or through the I/O actor in its name.
static void send_message(scene_t *scene, uint32_t sender, bool carried) {
  trp_message_t *message = add(scene, TRP_KIND(EVENT_MESSAGE), trp_id_actor(OWNER), "hello");
  if (carried) {
    Troupe__Wire__Send *send = trp_out_take(&scene->out, sizeof *send);
    assert_non_null(send);
    *send = (Troupe__Wire__Send)TROUPE__WIRE__SEND__INIT;
    send->from = trp_id_actor(sender);
    message->detail_case = TRP_DETAIL(SEND);
    message->send = send;
  }
  pass_from(scene, trp_id_actor(carried ? 1 : sender), carried ? see_events : see_messages, OWNER);
}

static void more_messages_than_an_actor_has_credit_for_are_seen(void **state) {
  (void)state;
  for (int carried = 0; carried < 2; carried++) {
    scene_t scene;
    set_scene(&scene);
    for (int i = 0; i < TRP_MESSAGE_CREDIT; i++) {
      send_message(&scene, OTHER, carried == 1);
      send_message(&scene, OTHER + 1, carried == 1);
    }
    add(&scene, TRP_KIND(EVENT_MESSAGE), trp_id_actor(OWNER), "hello");
    pass_from(&scene, trp_id_actor(OTHER), see_taken, OWNER);
    send_message(&scene, OTHER, carried == 1);
    expect(&scene, NULL);
    send_message(&scene, OTHER, carried == 1);
    expect(&scene, "1025 messages of another wait for one actor");
    clear_scene(&scene);
  }
}

static void write_to_the_network(scene_t *scene, int side, const char *bytes) {
  trp_transport_t *transport = &scene->sim.io[0].transport.base;
  const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = strlen(bytes)};
  assert_int_equal(transport->ops->write(transport, scene->ends[side], &part, 1), part.iov_len);
}

static void acknowledge(scene_t *scene, int side, uint64_t through) {
  add(scene, TRP_KIND(EVENT_WRITTEN), scene->sockets[side], NULL)->through = through;
  pass(scene, OWNER, true);
}

static void an_acknowledgement_of_what_is_still_queued_is_seen(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, "hello");
  say(&scene, TRP_KIND(COMMAND_WRITE), 0, " there");
  write_to_the_network(&scene, 0, "hello th");
  acknowledge(&scene, 0, 5);
  acknowledge(&scene, 0, 8);
  expect(&scene, NULL);
  acknowledge(&scene, 0, 9);
  expect(&scene, "more of it is acknowledged than the network took");
  clear_scene(&scene);
}

static void what_is_open_at_the_end_is_seen(void **state) {
  (void)state;
  scene_t scene;
  set_scene(&scene);
  trp_sim_watch_end(&scene.sim);
  expect(&scene, "2 handles are open");
  clear_scene(&scene);
  for (int which = 0; which < 2; which++) {
    set_scene(&scene);
    close_handles(&scene);
    trp_net_counters_t *counters = (trp_net_counters_t *)(uintptr_t)trp_net_counters(
        scene.sim.io[0].net);
    *(which == 0 ? &counters->sockets : &counters->servers) = 1;
    trp_sim_watch_end(&scene.sim);
    expect(&scene,
           which == 0 ? "1 sockets and 0 servers are open" : "0 sockets and 1 servers are open");
    clear_scene(&scene);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(what_must_happen_is_no_mistake),
      trp_test(an_event_behind_the_final_one_is_seen),
      trp_test(a_final_event_that_never_came_is_seen),
      trp_test(bytes_that_were_not_written_are_seen),
      trp_test(bytes_for_another_socket_are_seen),
      trp_test(an_event_for_another_actor_is_seen),
      trp_test(a_giver_is_told_once_and_nothing_behind_it),
      trp_test(bytes_that_a_clean_end_leaves_out_are_seen),
      trp_test(what_comes_behind_the_end_is_seen),
      trp_test(more_than_the_credit_is_seen),
      trp_test(more_than_the_window_is_seen),
      trp_test(more_connections_than_a_server_has_credit_for_are_seen),
      trp_test(more_messages_than_an_actor_has_credit_for_are_seen),
      trp_test(an_acknowledgement_of_what_is_still_queued_is_seen),
      trp_test(what_is_open_at_the_end_is_seen),
  };
  return TRP_RUN_TESTS("sim/monitor", tests);
}
