// A socket goes from one actor to another: freeze, give, and no byte lost or doubled.

#include "tests/harness/harness.h"

#include <stdio.h>
#include <string.h>
#include <troupe/error.h>

#include "tests/fake/world.h"

static void run(fake_world_t *world, int actor, Troupe__Wire__Kind kind, uint64_t id,
                uint32_t epoch) {
  fake_say(world, actor, kind, id)->epoch = epoch;
  fake_do(world, actor);
}

static Troupe__Wire__Give *give(fake_world_t *world, int from, uint64_t to, const char *unread,
                                const char *text) {
  char bytes[8192];
  trp_message_t *message = fake_say(world, from, TRP_KIND(COMMAND_GIVE), fake_id(0, 1));
  message->give = fake_take(world, from, sizeof *message->give);
  *message->give = (Troupe__Wire__Give)TROUPE__WIRE__GIVE__INIT;
  message->give->to = to;
  message->give->unread = (uint32_t)strlen(unread);
  message->detail_case = TRP_DETAIL(GIVE);
  size_t length = (size_t)snprintf(bytes, sizeof bytes, "%s%s", unread, text);
  assert_true(length < sizeof bytes);
  if (length > 0) {
    assert_int_equal(trp_out_copy(&world->actors[from].out, message, bytes, length), 0);
  }
  return message->give;
}

static void a_socket_goes_with_its_unread_bytes_and_a_message(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives(handle, "read ");
  fake_turn(world);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1), 0);
  fake_arrives(handle, "not seen");
  fake_turn(world);
  fake_expect(world, 0, "s1 data read \ns1 frozen\n");
  assert_int_equal(handle->wanted, 0);
  give(world, 0, fake_actor_id(1), "read ", "take care of it");
  fake_do(world, 0);
  fake_expect(world, 0, "s1 given\n");
  fake_expect(world, 1, "s1 handed from a64 unread 5 read take care of it\n");
  fake_event_t event = fake_last(world, TRP_KIND(EVENT_HANDED));
  assert_int_equal(event.message->epoch, 1);
  assert_int_equal(event.message->handed->bytes_read, 0);
  assert_int_equal(event.message->handed->remote->port, 80);
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_GIVEN)).message->epoch, 0);
  fake_turn(world);
  fake_expect(world, 1, "s1 data not seen\n");
  // What the old owner still says is too late.
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_id(0, 1), 0);
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_id(0, 1), 1);
  assert_true(handle->open);
  assert_int_equal(fake_counters(world)->stale_epoch, 1);
  assert_int_equal(fake_counters(world)->not_owner, 1);
  fake_write(world, 1, fake_id(0, 1), "answer", 0);
  world->actors[1].out.messages[0]->epoch = 1;
  fake_do(world, 1);
  assert_string_equal(handle->output, "answer");
}

static void freeze_and_give(fake_world_t *world, uint64_t through) {
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1));
  message->through = through;
  message->give = fake_take(world, 0, sizeof *message->give);
  *message->give = (Troupe__Wire__Give)TROUPE__WIRE__GIVE__INIT;
  message->give->to = fake_actor_id(1);
  message->detail_case = TRP_DETAIL(GIVE);
  assert_int_equal(trp_out_copy(&world->actors[0].out, message, "take it", 7), 0);
  fake_do(world, 0);
}

static void one_step_is_enough_when_nothing_is_on_its_way(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives(handle, "read");
  fake_turn(world);
  freeze_and_give(world, trp_data_cost(4));
  fake_arrives(handle, "more");
  fake_turn(world);
  fake_expect(world, 0, "s1 data read\ns1 given\n");
  fake_expect(world, 1, "s1 handed from a64 unread 0 take it\ns1 data more\n");
}

static void bytes_on_their_way_make_it_two_steps(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives(handle, "read");
  fake_turn(world);
  freeze_and_give(world, trp_data_cost(4) - 1);
  fake_expect(world, 0, "s1 data read\ns1 frozen\n");
  give(world, 0, fake_actor_id(1), "read", "");
  fake_do(world, 0);
  fake_expect(world, 0, "s1 given\n");
  fake_expect(world, 1, "s1 handed from a64 unread 4 read\n");
}

static void unflushed_bytes_of_the_old_owner_go_first(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->room = 2;
  fake_write(world, 0, fake_id(0, 1), "first ", 0);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1), 0);
  give(world, 0, fake_actor_id(1), "", "");
  fake_do(world, 0);
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_HANDED)).message->handed->bytes_written, 6);
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_HANDED)).message->through, 2);
  trp_message_t *message = fake_say(world, 1, TRP_KIND(COMMAND_WRITE), fake_id(0, 1));
  message->epoch = 1;
  message->flags = TRP_FLAG(NOTIFY);
  assert_int_equal(trp_out_copy(&world->actors[1].out, message, "second", 6), 0);
  fake_do(world, 1);
  handle->room = SIZE_MAX;
  fake_turn(world);
  assert_string_equal(handle->output, "first second");
  fake_expect(world, 1, "s1 handed from a64 unread 0\ns1 written 12\n");
}

static void a_receiver_that_is_gone_leaves_the_socket_where_it_is(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1), 0);
  give(world, 0, fake_actor_id(5), "", "");
  fake_do(world, 0);
  fake_arrives(handle, "goes on");
  fake_turn(world);
  fake_expect(world, 0, "s1 frozen\ns1 give-failed TROUPE_ENOACTOR\ns1 data goes on\n");
}

static void a_give_without_a_freeze_or_to_oneself_fails(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  give(world, 0, fake_actor_id(1), "", "");
  fake_do(world, 0);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1), 0);
  give(world, 0, fake_actor_id(0), "", "");
  fake_do(world, 0);
  fake_expect(world, 0, "s1 give-failed EINVAL\ns1 frozen\ns1 give-failed EINVAL\n");
  fake_connect(world, 0, fake_id(0, 2), "1.2.3.4", 80);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 2), 0);
  fake_expect(world, 0, "s2 connection-attempt 1.2.3.4:80\ns2 give-failed ENOTCONN\n");
}

static void the_end_that_was_read_goes_along(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->fin = true;
  fake_turn(world);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1), 0);
  Troupe__Wire__Give *detail = give(world, 0, fake_actor_id(1), "", "");
  detail->ended = true;
  detail->paused = true;
  fake_do(world, 0);
  fake_expect(world, 0, "s1 end\ns1 frozen\ns1 given\n");
  fake_expect(world, 1, "s1 handed from a64 unread 0 ended paused\n");
  run(world, 1, TRP_KIND(COMMAND_END), fake_id(0, 1), 1);
  fake_expect(world, 1, "s1 finish\ns1 close\n");
}

static void a_socket_that_was_never_read_from_is_read_by_the_new_owner(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Listen *listen = fake_listen_on(world, 0, fake_id(0, 9), "127.0.0.1", 80);
  listen->options = fake_take(world, 0, sizeof *listen->options);
  *listen->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  listen->options->pause = true;
  fake_do(world, 0);
  fake_knock(fake_handle(&world->network, 0), 2, "9.9.9.9");
  fake_turn(world);
  for (unsigned i = 1; i <= 2; i++) {
    fake_say(world, 0, TRP_KIND(COMMAND_FREEZE), fake_connection(i));
    fake_do(world, 0);
    give(world, 0, fake_actor_id(1), "", "")->paused = i == 2;
    world->actors[0].out.messages[0]->subject = fake_connection(i);
    fake_do(world, 0);
    fake_arrives(fake_handle(&world->network, (int)i), "first bytes");
  }
  fake_turn(world);
  fake_expect(world, 1,
              "c1 handed from a64 unread 0\nc2 handed from a64 unread 0 paused\n"
              "c1 data first bytes\n");
  run(world, 1, TRP_KIND(COMMAND_RESUME), fake_connection(2), 1);
  fake_turn(world);
  fake_expect(world, 1, "c2 data first bytes\n");
}

static void the_unread_bytes_count_in_the_new_owners_credit(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives_much(handle, 100);
  fake_turn(world);
  fake_arrives_much(handle, 100);
  fake_turn(world);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1), 0);
  Troupe__Wire__Give *detail = give(world, 0, fake_actor_id(1), "0123456789", "");
  detail->consumed = trp_data_cost(100);
  fake_do(world, 0);
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_HANDED)).message->handed->consumed,
                   trp_data_cost(100));
  trp_message_t *message = fake_say(world, 1, TRP_KIND(COMMAND_CREDIT), fake_id(0, 1));
  message->epoch = 1;
  message->through = trp_data_cost(100) + trp_data_cost(10);
  fake_do(world, 1);
  assert_int_equal(fake_counters(world)->bad_credit, 0);
  message = fake_say(world, 1, TRP_KIND(COMMAND_CREDIT), fake_id(0, 1));
  message->epoch = 1;
  message->through = trp_data_cost(100) + trp_data_cost(10) + 1;
  fake_do(world, 1);
  assert_int_equal(fake_counters(world)->bad_credit, 1);
}

static void a_given_connection_still_counts_in_the_server_that_accepted_it(void **state) {
  fake_world_t *world = *state;
  fake_listen_on(world, 0, fake_id(0, 9), "127.0.0.1", 80);
  fake_do(world, 0);
  fake_knock(fake_handle(&world->network, 0), 1, "9.9.9.9");
  fake_turn(world);
  fake_say(world, 0, TRP_KIND(COMMAND_FREEZE), fake_connection(1));
  fake_do(world, 0);
  give(world, 0, fake_actor_id(1), "", "");
  world->actors[0].out.messages[0]->subject = fake_connection(1);
  fake_do(world, 0);
  run(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 9), 0);
  fake_expect(world, 0, "s9 listening 127.0.0.1:80\ns9 connection c1\nc1 frozen\nc1 given\n");
  run(world, 1, TRP_KIND(COMMAND_DESTROY), fake_connection(1), 1);
  fake_expect(world, 1, "c1 handed from a64 unread 0\nc1 close\n");
  fake_expect(world, 0, "s9 close\n");
}

static void a_given_connection_outlives_the_actor_whose_server_accepted_it(void **state) {
  fake_world_t *world = *state;
  fake_hello(world, 2, 0);
  fake_listen_on(world, 2, fake_id(2, 9), "127.0.0.1", 80);
  fake_do(world, 2);
  fake_knock(fake_handle(&world->network, 0), 1, "9.9.9.9");
  fake_turn(world);
  fake_say(world, 2, TRP_KIND(COMMAND_FREEZE), fake_connection(1));
  fake_do(world, 2);
  give(world, 2, fake_actor_id(1), "", "");
  world->actors[2].out.messages[0]->subject = fake_connection(1);
  fake_do(world, 2);
  fake_bye(world, 2, 0);
  fake_do(world, 2);
  trp_handle_t *handle = fake_handle(&world->network, 1);
  assert_true(handle->open);
  fake_arrives(handle, "still here");
  fake_turn(world);
  fake_expect(world, 1, "c1 handed from a66 unread 0\nc1 data still here\n");
  run(world, 1, TRP_KIND(COMMAND_DESTROY), fake_connection(1), 1);
  assert_int_equal(fake_counters(world)->servers, 0);
}

static void the_peers_reset_while_frozen_is_told_to_the_new_owner(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  run(world, 0, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1), 0);
  handle->read_error = handle->pending_error = TROUPE_ECONNRESET;
  fake_turn(world);
  give(world, 0, fake_actor_id(1), "", "");
  fake_do(world, 0);
  fake_turn(world);
  fake_expect(world, 0, "s1 frozen\ns1 given\n");
  fake_expect(world, 1,
              "s1 handed from a64 unread 0\ns1 error read ECONNRESET\ns1 close had-error\n");
}

// A stream of known bytes is handed to and fro at random moments, by actors that have consumed a
// random part of what they have.
static void no_byte_is_lost_or_doubled_in_many_hand_offs(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  trp_test_random_t random;
  char expected[64 * 1024];
  static char got[64 * 1024];
  size_t got_length = 0, sent = 0;
  int owner = 0;
  uint32_t epoch = 0;
  char unread[4096];
  size_t unread_length = 0;
  uint64_t consumed = 0;
  trp_test_random_start(&random, 5);
  for (int round = 0; round < 300; round++) {
    char text[40];
    size_t length = (size_t)trp_test_random_below(&random, 30);
    for (size_t i = 0; i < length; i++, sent++) {
      text[i] = expected[sent] = (char)('a' + sent % 23);
    }
    text[length] = '\0';
    fake_arrives(handle, text);
    size_t kept = world->kept_count;
    fake_turn(world);
    bool gives = trp_test_random_below(&random, 3) == 0;
    if (gives) {
      fake_say(world, owner, TRP_KIND(COMMAND_FREEZE), fake_id(0, 1))->epoch = epoch;
      fake_do(world, owner);
    }
    for (; kept < world->kept_count; kept++) {
      const trp_in_t *in = world->kept[kept];
      for (size_t i = 0; i < in->batch->n_messages; i++) {
        const trp_message_t *message = in->batch->messages[i];
        if (message->kind == TRP_KIND(EVENT_DATA)) {
          memcpy(unread + unread_length, trp_in_payload(in, message), message->length);
          unread_length += message->length;
          consumed += trp_data_cost(message->length);
        }
      }
    }
    size_t takes = (size_t)trp_test_random_below(&random, unread_length + 1);
    memcpy(got + got_length, unread, takes);
    got_length += takes;
    memmove(unread, unread + takes, unread_length - takes);
    unread_length -= takes;
    if (gives) {
      unread[unread_length] = '\0';
      Troupe__Wire__Give *detail = give(world, owner, fake_actor_id(1 - owner), unread, "");
      world->actors[owner].out.messages[0]->epoch = epoch;
      detail->consumed = consumed;
      fake_do(world, owner);
      epoch++;
      owner = 1 - owner;
      fake_event_t event = fake_last(world, TRP_KIND(EVENT_HANDED));
      assert_int_equal(event.message->epoch, epoch);
      assert_int_equal(event.message->handed->unread, unread_length);
      if (unread_length > 0) {
        assert_memory_equal(event.payload, unread, unread_length);
      }
      assert_int_equal(event.message->handed->bytes_read + unread_length,
                       got_length + unread_length);
    }
    for (int i = 0; i < 2; i++) {
      world->actors[i].text_length = 0;
      world->actors[i].text[0] = '\0';
    }
  }
  assert_true(epoch > 50);
  memcpy(got + got_length, unread, unread_length);
  assert_int_equal(got_length + unread_length, sent);
  assert_memory_equal(got, expected, sent);
  assert_int_equal(fake_counters(world)->bad_credit, 0);
}

#define with_world(test) trp_test_with(test, fake_world_setup, fake_world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_world(a_socket_goes_with_its_unread_bytes_and_a_message),
      with_world(one_step_is_enough_when_nothing_is_on_its_way),
      with_world(bytes_on_their_way_make_it_two_steps),
      with_world(unflushed_bytes_of_the_old_owner_go_first),
      with_world(a_receiver_that_is_gone_leaves_the_socket_where_it_is),
      with_world(a_give_without_a_freeze_or_to_oneself_fails),
      with_world(the_end_that_was_read_goes_along),
      with_world(a_socket_that_was_never_read_from_is_read_by_the_new_owner),
      with_world(the_unread_bytes_count_in_the_new_owners_credit),
      with_world(a_given_connection_still_counts_in_the_server_that_accepted_it),
      with_world(a_given_connection_outlives_the_actor_whose_server_accepted_it),
      with_world(the_peers_reset_while_frozen_is_told_to_the_new_owner),
      with_world(no_byte_is_lost_or_doubled_in_many_hand_offs),
  };
  return TRP_RUN_TESTS("handoff", tests);
}
