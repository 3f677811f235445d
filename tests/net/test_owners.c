// Actors: what happens to what they own when they end, who is told, and messages carried between
// them.

#include "tests/harness/harness.h"

#include <string.h>
#include <troupe/error.h>

#include "tests/fake/world.h"

static void run(fake_world_t *world, int actor, Troupe__Wire__Kind kind, uint64_t id) {
  fake_say(world, actor, kind, id);
  fake_do(world, actor);
}

static void bye(fake_world_t *world, int actor, int status) {
  fake_bye(world, actor, status);
  fake_do(world, actor);
}

static void forget_told(fake_world_t *world) {
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    world->actors[i].text_length = 0;
    world->actors[i].text[0] = '\0';
  }
}

static void an_end_closes_all_that_was_owned_and_nothing_else(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *others = fake_connected(world, 1, 1);
  trp_handle_t *open = fake_connected(world, 0, 1);
  fake_connect(world, 0, fake_id(0, 2), "1.2.3.4", 80);
  fake_listen_on(world, 0, fake_id(0, 3), "127.0.0.1", 80);
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_CONNECT), fake_id(0, 4));
  message->connect = fake_take(world, 0, sizeof *message->connect);
  *message->connect = (Troupe__Wire__Connect)TROUPE__WIRE__CONNECT__INIT;
  message->connect->host = trp_out_text(&world->actors[0].out, "slow.example");
  message->detail_case = TRP_DETAIL(CONNECT);
  fake_do(world, 0);
  assert_int_equal(fake_open_handles(&world->network), 4);
  forget_told(world);
  bye(world, 0, 0);
  assert_false(open->open);
  assert_true(others->open);
  assert_int_equal(fake_open_handles(&world->network), 1);
  assert_false(world->network.resolves[0].open);
  fake_expect(world, 0, "");
  assert_int_equal(world->forgotten, fake_actor_id(0));
  assert_int_equal(fake_counters(world)->sockets, 1);
  assert_int_equal(fake_counters(world)->servers, 0);
  fake_arrives(others, "alive");
  fake_turn(world);
  fake_expect(world, 1, "s1 data alive\n");
}

static void watchers_and_pipe_openers_are_told_how_it_ended(void **state) {
  fake_world_t *world = *state;
  fake_hello(world, 2, 0);
  fake_do(world, 2);
  run(world, 0, TRP_KIND(COMMAND_WATCH), fake_actor_id(2));
  run(world, 0, TRP_KIND(COMMAND_WATCH), fake_actor_id(2)); // twice is once
  run(world, 0, TRP_KIND(COMMAND_PIPE), fake_actor_id(2));
  run(world, 1, TRP_KIND(COMMAND_PIPE), fake_actor_id(2));
  run(world, 1, TRP_KIND(COMMAND_WATCH), fake_actor_id(2));
  run(world, 1, TRP_KIND(COMMAND_UNWATCH), fake_actor_id(2));
  bye(world, 2, -5);
  fake_expect(world, 0, "a66 down -5 1\na66 gone\n");
  fake_expect(world, 1, "a66 gone\n");
}

static void whom_there_is_not_is_down_at_once(void **state) {
  fake_world_t *world = *state;
  run(world, 0, TRP_KIND(COMMAND_WATCH), fake_actor_id(5));
  run(world, 0, TRP_KIND(COMMAND_PIPE), fake_actor_id(5));
  run(world, 0, TRP_KIND(COMMAND_UNWATCH), fake_actor_id(5));
  fake_expect(world, 0, "a69 down 0 3\na69 gone\n");
}

static void who_watched_and_ended_is_not_told(void **state) {
  fake_world_t *world = *state;
  fake_hello(world, 2, 0);
  fake_do(world, 2);
  run(world, 2, TRP_KIND(COMMAND_WATCH), fake_actor_id(0));
  bye(world, 2, 0);
  bye(world, 0, 0);
  fake_expect(world, 2, "");
  // Both are gone; nobody can speak in their names any more.
  fake_hello(world, 0, 0);
  fake_do(world, 0);
}

static void who_cannot_be_told_anything_is_not_known(void **state) {
  fake_world_t *world = *state;
  world->reach_error = TROUPE_EMFILE;
  fake_hello(world, 3, 0);
  fake_do(world, 3);
  world->reach_error = 0;
  assert_int_equal(trp_net_knows(world->net, fake_actor_id(3)), TROUPE_EMFILE);
  assert_int_equal(trp_net_knows(world->net, fake_actor_id(3)), 0); // once
  assert_int_equal(trp_net_knows(world->net, fake_actor_id(4)), 0); // has not come
  assert_int_equal(trp_net_knows(world->net, fake_actor_id(0)), 1);
  run(world, 0, TRP_KIND(COMMAND_WATCH), fake_actor_id(3));
  fake_expect(world, 0, "a67 down 0 3\n");
}

static void a_message_is_carried_by_reference(void **state) {
  fake_world_t *world = *state;
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_SEND), fake_actor_id(1));
  assert_int_equal(trp_out_copy(&world->actors[0].out, message, "hello", 5), 0);
  fake_do(world, 0);
  fake_expect(world, 1, "a64 message from a64 hello\n");
  fake_say(world, 1, TRP_KIND(COMMAND_SEND_CREDIT), fake_actor_id(0))->through = 1;
  fake_do(world, 1);
  fake_expect(world, 0, "a65 message-credit 1\n");
  run(world, 0, TRP_KIND(COMMAND_SEND), fake_actor_id(1));
  fake_expect(world, 1, "a64 message from a64\n");
}

static void a_message_to_nobody_is_answered(void **state) {
  fake_world_t *world = *state;
  run(world, 0, TRP_KIND(COMMAND_SEND), fake_actor_id(6));
  fake_expect(world, 0, "a70 gone\n");
  assert_int_equal(fake_counters(world)->undeliverable, 1);
}

static void the_system_reaches_every_actor(void **state) {
  fake_world_t *world = *state;
  assert_int_equal(
      trp_net_post(world->net, fake_actor_id(0), TRP_KIND(EVENT_STOP), 0, 500, NULL, 0), 0);
  assert_int_equal(
      trp_net_post(world->net, fake_actor_id(0), TRP_KIND(EVENT_MESSAGE), 0, 0, "hi", 2), 0);
  assert_int_equal(
      trp_net_post(world->net, fake_actor_id(0), TRP_KIND(EVENT_ABORT), fake_id(0, 5), 0, NULL, 0),
      0);
  assert_int_equal(trp_net_post(world->net, fake_actor_id(6), TRP_KIND(EVENT_STOP), 0, 0, NULL, 0),
                   TROUPE_ENOACTOR);
  trp_net_flush(world->net);
  fake_expect(world, 0, "a0 stop 500\na0 message from a0 hi\ns5 abort\n");
}

static void a_batch_names_the_command_that_caused_it(void **state) {
  fake_world_t *world = *state;
  run(world, 0, TRP_KIND(COMMAND_CREDIT), fake_id(0, 99)); // nothing follows from it
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  uint64_t sequence = world->actors[0].out.next_sequence;
  fake_do(world, 0);
  const trp_wire_batch_t *batch = world->kept[world->kept_count - 1]->batch;
  assert_int_equal(batch->sender, trp_id_actor(1));
  assert_int_equal(batch->cause_sender, fake_actor_id(0));
  assert_int_equal(batch->cause_sequence, sequence);
  fake_handle(&world->network, 0)->connect_result = 0;
  fake_turn(world);
  batch = world->kept[world->kept_count - 1]->batch;
  assert_int_equal(batch->cause_sender, 0);
}

#define with_world(test) trp_test_with(test, fake_world_setup, fake_world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_world(an_end_closes_all_that_was_owned_and_nothing_else),
      with_world(watchers_and_pipe_openers_are_told_how_it_ended),
      with_world(whom_there_is_not_is_down_at_once),
      with_world(who_watched_and_ended_is_not_told),
      with_world(who_cannot_be_told_anything_is_not_known),
      with_world(a_message_is_carried_by_reference),
      with_world(a_message_to_nobody_is_answered),
      with_world(the_system_reaches_every_actor),
      with_world(a_batch_names_the_command_that_caused_it),
  };
  return TRP_RUN_TESTS("owners", tests);
}
