// How sockets get their connections: what is told, in which order, over a network that does as it
// is told.

#include "tests/harness/harness.h"

#include <errno.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/connector.h"
#include "tests/fake/world.h"

static Troupe__Wire__Connect *connect_by_name(fake_world_t *world, unsigned counter,
                                              const char *host, int port) {
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_CONNECT), fake_id(0, counter));
  Troupe__Wire__Connect *connect = fake_take(world, 0, sizeof *connect);
  *connect = (Troupe__Wire__Connect)TROUPE__WIRE__CONNECT__INIT;
  connect->host = trp_out_text(&world->actors[0].out, host);
  connect->port = (uint32_t)port;
  connect->auto_select_family = true;
  message->connect = connect;
  message->detail_case = TRP_DETAIL(CONNECT);
  return connect;
}

static void say(fake_world_t *world, Troupe__Wire__Kind kind, uint32_t flags) {
  fake_say(world, 0, kind, fake_id(0, 1))->flags = flags;
}

static void a_literal_address_is_connected_without_a_look_up(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 connection-attempt 1.2.3.4:80\n");
  fake_turn(world);
  fake_expect(world, 0, "");
  fake_handle(&world->network, 0)->connect_result = 0;
  fake_turn(world);
  fake_expect(world, 0, "s1 connect\n");
  fake_event_t event = fake_last(world, TRP_KIND(EVENT_CONNECT));
  assert_int_equal(event.message->connected->remote->port, 80);
  assert_int_equal(event.message->connected->local->port, 50000);
  assert_int_equal(fake_handle(&world->network, 0)->wanted, TRP_READ);
}

static void a_refused_connection_tells_the_attempt_the_error_and_close(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  fake_do(world, 0);
  fake_handle(&world->network, 0)->connect_result = TROUPE_ECONNREFUSED;
  fake_turn(world);
  fake_expect(world, 0,
              "s1 connection-attempt 1.2.3.4:80\n"
              "s1 connection-attempt-failed 1.2.3.4:80 connect ECONNREFUSED 1.2.3.4:80\n"
              "s1 error connect ECONNREFUSED 1.2.3.4:80\n"
              "s1 close had-error\n");
  assert_int_equal(fake_open_handles(&world->network), 0);
}

static void a_connect_that_fails_at_once_names_the_local_address(void **state) {
  fake_world_t *world = *state;
  world->network.connect_error = TROUPE_ENETUNREACH;
  fake_connect(world, 0, fake_id(0, 1), "fe80::1", 1);
  fake_do(world, 0);
  fake_expect(world, 0,
              "s1 connection-attempt fe80::1:1\n"
              "s1 error connect ENETUNREACH fe80::1:1 local :::0\n"
              "s1 close had-error\n");
}

static void a_failed_bind_is_no_attempt(void **state) {
  fake_world_t *world = *state;
  world->network.connect_error = TROUPE_EADDRNOTAVAIL;
  world->network.connect_syscall = "bind";
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  trp_message_t *message = world->actors[0].out.messages[0];
  message->connect->local = fake_wire(world, 0, "203.0.113.1", 0);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 error bind EADDRNOTAVAIL 203.0.113.1\ns1 close had-error\n");
}

static void a_local_address_of_the_other_family_is_refused_at_bind(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  world->actors[0].out.messages[0]->connect->local = fake_wire(world, 0, "::1", 0);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 error bind EINVAL ::1\ns1 close had-error\n");
  assert_int_equal(world->network.handle_count, 0);
}

static void an_error_with_a_local_port_names_it(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  world->actors[0].out.messages[0]->connect->local_port = 41235;
  fake_do(world, 0);
  fake_handle(&world->network, 0)->connect_result = TROUPE_ECONNREFUSED;
  fake_turn(world);
  fake_expect(world, 0,
              "s1 connection-attempt 1.2.3.4:80\n"
              "s1 connection-attempt-failed 1.2.3.4:80 connect ECONNREFUSED 1.2.3.4:80 local "
              "0.0.0.0:41235\n"
              "s1 error connect ECONNREFUSED 1.2.3.4:80 local 0.0.0.0:41235\n"
              "s1 close had-error\n");
}

static void a_name_is_looked_up_and_one_address_is_tried_as_a_single_one(void **state) {
  fake_world_t *world = *state;
  connect_by_name(world, 1, "one.example", 80);
  fake_do(world, 0);
  assert_string_equal(world->network.resolves[0].host, "one.example");
  assert_int_equal(world->network.resolves[0].port, 80);
  fake_resolved(&world->network, 0, 0, (const char *[]){"1.1.1.1", "1.1.1.1", NULL});
  trp_net_flush(world->net);
  fake_expect(world, 0,
              "s1 lookup one.example 1.1.1.1:80\n"
              "s1 lookup one.example 1.1.1.1:80\n"
              "s1 connection-attempt 1.1.1.1:80\n");
}

static void without_autoselection_only_the_first_address_counts(void **state) {
  fake_world_t *world = *state;
  connect_by_name(world, 1, "two.example", 80)->auto_select_family = false;
  fake_do(world, 0);
  fake_resolved(&world->network, 0, 0, (const char *[]){"1.1.1.1", "::2", NULL});
  fake_handle(&world->network, 0)->connect_result = TROUPE_ETIMEDOUT;
  fake_turn(world);
  fake_expect(world, 0,
              "s1 lookup two.example 1.1.1.1:80\n"
              "s1 connection-attempt 1.1.1.1:80\n"
              "s1 connection-attempt-failed 1.1.1.1:80 connect ETIMEDOUT 1.1.1.1:80\n"
              "s1 error connect ETIMEDOUT 1.1.1.1:80\n"
              "s1 close had-error\n");
}

static void a_failed_look_up_is_told_twice(void **state) {
  fake_world_t *world = *state;
  connect_by_name(world, 1, "no.example", 80);
  fake_do(world, 0);
  fake_resolved(&world->network, 0, TROUPE_ENOTFOUND, NULL);
  trp_net_flush(world->net);
  fake_expect(world, 0,
              "s1 lookup no.example getaddrinfo ENOTFOUND no.example\n"
              "s1 error getaddrinfo ENOTFOUND no.example\n"
              "s1 close had-error\n");
}

static void families_take_turns_and_the_first_that_answers_wins(void **state) {
  fake_world_t *world = *state;
  connect_by_name(world, 1, "many.example", 80)->attempt_timeout_ms = 100;
  fake_write(world, 0, fake_id(0, 1), "hello", 0);
  say(world, TRP_KIND(COMMAND_END), 0);
  fake_do(world, 0);
  fake_resolved(&world->network, 0, 0,
                (const char *[]){"1.1.1.1", "2.2.2.2", "::1", "1.1.1.1", "::2", NULL});
  trp_net_flush(world->net);
  fake_expect(world, 0,
              "s1 lookup many.example 1.1.1.1:80\n"
              "s1 lookup many.example 2.2.2.2:80\n"
              "s1 lookup many.example ::1:80\n"
              "s1 lookup many.example 1.1.1.1:80\n"
              "s1 lookup many.example ::2:80\n"
              "s1 connection-attempt 1.1.1.1:80 listed\n");
  fake_pass(world, 99);
  fake_expect(world, 0, "");
  fake_pass(world, 1);
  fake_expect(world, 0,
              "s1 connection-attempt-timeout 1.1.1.1:80 listed\n"
              "s1 connection-attempt ::1:80 listed\n");
  assert_false(fake_handle(&world->network, 0)->open);
  fake_handle(&world->network, 1)->connect_result = TROUPE_ECONNREFUSED;
  fake_turn(world);
  fake_expect(world, 0,
              "s1 connection-attempt-failed ::1:80 connect ECONNREFUSED ::1:80 listed\n"
              "s1 connection-attempt 2.2.2.2:80 listed\n");
  trp_handle_t *handle = fake_handle(&world->network, 2);
  handle->connect_result = 0;
  fake_turn(world);
  // The writes and the end that waited go out behind the event.
  fake_expect(world, 0, "s1 connect\ns1 finish\n");
  assert_string_equal(handle->output, "hello");
  assert_true(handle->was_shut_down);
  fake_pass(world, 10000);
  fake_expect(world, 0, "");
}

static void when_all_attempts_fail_the_errors_come_together(void **state) {
  fake_world_t *world = *state;
  connect_by_name(world, 1, "many.example", 80);
  fake_do(world, 0);
  fake_resolved(&world->network, 0, 0, (const char *[]){"::1", "1.1.1.1", NULL});
  trp_net_flush(world->net);
  fake_pass(world, 250); // Node's default
  world->actors[0].text_length = 0;
  fake_pass(world, 100000); // the last one has no time limit of ours
  fake_handle(&world->network, 1)->connect_result = TROUPE_ECONNREFUSED;
  fake_turn(world);
  fake_expect(
      world, 0,
      "s1 connection-attempt-failed 1.1.1.1:80 connect ECONNREFUSED 1.1.1.1:80 listed\n"
      "s1 error ETIMEDOUT [ connect ETIMEDOUT ::1:80 ] [ connect ECONNREFUSED 1.1.1.1:80 ]\n"
      "s1 close had-error\n");
}

static void parallel_attempts_go_on_until_one_wins(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Connect *connect = connect_by_name(world, 1, "many.example", 80);
  connect->parallel_attempts = true;
  fake_do(world, 0);
  fake_resolved(&world->network, 0, 0, (const char *[]){"::1", "1.1.1.1", "::2", NULL});
  trp_net_flush(world->net);
  fake_pass(world, 250);
  fake_pass(world, 250);
  world->actors[0].text_length = 0;
  assert_int_equal(fake_open_handles(&world->network), 3);
  fake_handle(&world->network, 2)->connect_result = TROUPE_ECONNREFUSED;
  fake_turn(world);
  fake_expect(world, 0, "s1 connection-attempt-failed ::2:80 connect ECONNREFUSED ::2:80 listed\n");
  fake_handle(&world->network, 0)->connect_result = 0;
  fake_turn(world);
  fake_expect(world, 0,
              "s1 connection-attempt-failed 1.1.1.1:80 connect ECANCELED 1.1.1.1:80 listed\n"
              "s1 connect\n");
  assert_int_equal(fake_open_handles(&world->network), 1);
}

static void an_older_attempt_that_fails_does_not_hurry_the_next(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Connect *connect = connect_by_name(world, 1, "many.example", 80);
  connect->parallel_attempts = true;
  fake_do(world, 0);
  fake_resolved(&world->network, 0, 0, (const char *[]){"::1", "1.1.1.1", "::2", "2.2.2.2", NULL});
  trp_net_flush(world->net);
  fake_pass(world, 250);
  world->actors[0].text_length = 0;
  fake_handle(&world->network, 0)->connect_result = TROUPE_EHOSTUNREACH;
  fake_turn(world);
  fake_pass(world, 249);
  fake_expect(world, 0, "s1 connection-attempt-failed ::1:80 connect EHOSTUNREACH ::1:80 listed\n");
  fake_pass(world, 1);
  fake_expect(world, 0, "s1 connection-attempt ::2:80 listed\n");
  // The newest one: there is nothing to wait for.
  fake_handle(&world->network, 2)->connect_result = TROUPE_ECONNREFUSED;
  fake_turn(world);
  fake_expect(world, 0,
              "s1 connection-attempt-failed ::2:80 connect ECONNREFUSED ::2:80 listed\n"
              "s1 connection-attempt 2.2.2.2:80 listed\n");
  // Those that are left have all the time that the system gives them.
  fake_pass(world, 100000);
  fake_expect(world, 0, "");
  fake_handle(&world->network, 3)->connect_result = TROUPE_ECONNREFUSED;
  fake_handle(&world->network, 1)->connect_result = 0;
  fake_turn(world);
  assert_int_equal(fake_open_handles(&world->network), 1);
}

static void when_parallel_attempts_all_fail_their_errors_come_together(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Connect *connect = connect_by_name(world, 1, "many.example", 80);
  connect->parallel_attempts = true;
  fake_do(world, 0);
  fake_resolved(&world->network, 0, 0, (const char *[]){"::1", "1.1.1.1", NULL});
  trp_net_flush(world->net);
  fake_pass(world, 250);
  world->actors[0].text_length = 0;
  fake_handle(&world->network, 1)->connect_result = TROUPE_ECONNREFUSED;
  fake_turn(world);
  fake_expect(world, 0,
              "s1 connection-attempt-failed 1.1.1.1:80 connect ECONNREFUSED 1.1.1.1:80 listed\n");
  fake_handle(&world->network, 0)->connect_result = TROUPE_ETIMEDOUT;
  fake_turn(world);
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_ERROR)).message->error->n_errors, 2);
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_ERROR)).message->error->code, TROUPE_ETIMEDOUT);
  assert_int_equal(fake_open_handles(&world->network), 0);
}

static void destroying_during_the_look_up_cancels_it(void **state) {
  fake_world_t *world = *state;
  connect_by_name(world, 1, "many.example", 80);
  fake_do(world, 0);
  say(world, TRP_KIND(COMMAND_DESTROY), 0);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 close\n");
  assert_false(world->network.resolves[0].open);
}

static void destroying_a_single_attempt_says_only_close(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  fake_do(world, 0);
  say(world, TRP_KIND(COMMAND_DESTROY), 0);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 connection-attempt 1.2.3.4:80\ns1 close\n");
}

static void destroying_one_of_many_attempts_cancels_it_aloud(void **state) {
  fake_world_t *world = *state;
  connect_by_name(world, 1, "many.example", 80);
  fake_do(world, 0);
  fake_resolved(&world->network, 0, 0, (const char *[]){"::1", "1.1.1.1", NULL});
  trp_net_flush(world->net);
  world->actors[0].text_length = 0;
  say(world, TRP_KIND(COMMAND_DESTROY), 0);
  fake_do(world, 0);
  fake_expect(world, 0,
              "s1 connection-attempt-failed ::1:80 connect ECANCELED ::1:80 listed\n"
              "s1 close\n");
  fake_pass(world, 1000);
  fake_expect(world, 0, "");
}

static void a_reset_asked_for_while_connecting_comes_after_the_connection(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  say(world, TRP_KIND(COMMAND_RESET), 0);
  fake_do(world, 0);
  fake_handle(&world->network, 0)->connect_result = 0;
  fake_turn(world);
  fake_expect(world, 0, "s1 connection-attempt 1.2.3.4:80\ns1 connect\ns1 close\n");
  assert_true(fake_handle(&world->network, 0)->was_reset);
}

static void destroy_soon_while_connecting_flushes_and_closes(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  fake_write(world, 0, fake_id(0, 1), "bye", 0);
  say(world, TRP_KIND(COMMAND_END), TRP_FLAG(DESTROY));
  fake_do(world, 0);
  trp_handle_t *handle = fake_handle(&world->network, 0);
  handle->connect_result = 0;
  fake_turn(world);
  fake_expect(world, 0, "s1 connection-attempt 1.2.3.4:80\ns1 connect\ns1 finish\ns1 close\n");
  assert_string_equal(handle->output, "bye");
}

static void a_connect_deadline_ends_look_up_and_attempts(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Connect *connect = connect_by_name(world, 1, "slow.example", 80);
  connect->options = fake_take(world, 0, sizeof *connect->options);
  *connect->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  connect->options->set_deadlines = true;
  connect->options->connect_deadline_ms = 500;
  fake_do(world, 0);
  fake_pass(world, 499);
  fake_expect(world, 0, "");
  fake_pass(world, 1);
  fake_expect(world, 0,
              "s1 error connect TROUPE_ECONNECTDEADLINE slow.example:80\ns1 close had-error\n");
}

static void the_idle_timeout_fires_while_connecting_and_starts_anew_after_it(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  Troupe__Wire__Connect *connect = world->actors[0].out.messages[0]->connect;
  connect->options = fake_take(world, 0, sizeof *connect->options);
  *connect->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  connect->options->set_timeout = true;
  connect->options->timeout_ms = 100;
  fake_do(world, 0);
  fake_pass(world, 100);
  fake_pass(world, 100);
  fake_expect(world, 0, "s1 connection-attempt 1.2.3.4:80\ns1 timeout\n");
  fake_handle(&world->network, 0)->connect_result = 0;
  fake_turn(world);
  fake_pass(world, 100);
  fake_expect(world, 0, "s1 connect\ns1 timeout\n");
}

static void options_are_applied_before_connect_is_told(void **state) {
  fake_world_t *world = *state;
  fake_connect(world, 0, fake_id(0, 1), "1.2.3.4", 80);
  Troupe__Wire__Connect *connect = world->actors[0].out.messages[0]->connect;
  connect->options = fake_take(world, 0, sizeof *connect->options);
  *connect->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  connect->options->no_delay = TROUPE__WIRE__CHOICE__CHOICE_ON;
  connect->options->keep_alive = TROUPE__WIRE__CHOICE__CHOICE_ON;
  connect->options->keep_alive_initial_delay_s = 7;
  fake_do(world, 0);
  trp_handle_t *handle = fake_handle(&world->network, 0);
  handle->connect_result = 0;
  fake_turn(world);
  assert_int_equal(handle->options[TRP_OPTION_NO_DELAY], 1);
  assert_int_equal(handle->options[TRP_OPTION_KEEP_ALIVE], 1);
  assert_int_equal(handle->options[TRP_OPTION_KEEP_ALIVE_DELAY_S], 7);
  assert_int_equal(handle->options[TRP_OPTION_LINGER_CLOSE], -1);
}

static void a_descriptor_is_taken_over_or_refused(void **state) {
  fake_world_t *world = *state;
  for (unsigned i = 1; i <= 3; i++) {
    trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_ADOPT), fake_id(0, i));
    message->adopt = fake_take(world, 0, sizeof *message->adopt);
    *message->adopt = (Troupe__Wire__Adopt)TROUPE__WIRE__ADOPT__INIT;
    message->adopt->fd = 10;
    message->adopt->readable = message->adopt->writable = true;
    message->detail_case = TRP_DETAIL(ADOPT);
    world->network.adopt_error = i == 2 ? TROUPE_ERR_INVALID_FD_TYPE : 0;
    world->network.adopt_kind = i == 3 ? TRP_FD_LISTENING : TRP_FD_STREAM;
    fake_do(world, 0);
  }
  fake_expect(world, 0,
              "s1 connect\n"
              "s2 error open ERR_INVALID_FD_TYPE\ns2 close had-error\n"
              "s3 error open ENOTCONN\ns3 close had-error\n");
  assert_int_equal(fake_open_handles(&world->network), 1);
}

static void the_order_of_addresses_is_as_node_has_it(void **state) {
  static const struct {
    const char *given[8];
    size_t order[8];
    size_t count;
  } cases[] = {
      {{"1.1.1.1", "2.2.2.2", "::1", "::2"}, {0, 2, 1, 3}, 4},
      {{"::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"}, {0, 1, 2, 3}, 4},
      {{"::1", "::2", "::3", "1.1.1.1"}, {0, 3, 1, 2}, 4},
      {{"1.1.1.1", "1.1.1.1"}, {0}, 1},
      {{"1.1.1.1", "::1", "1.1.1.1", "::1", "2.2.2.2"}, {0, 1, 4}, 3},
      {{"1.1.1.1", "::1", "::2", "::3", "2.2.2.2"}, {0, 1, 4, 2, 3}, 5},
      {{"1.1.1.1"}, {0}, 1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    troupe_address_t addresses[8];
    size_t order[8], count = 0;
    while (count < 8 && cases[i].given[count] != NULL) {
      addresses[count] = fake_address(cases[i].given[count], 80);
      count++;
    }
    assert_int_equal(trp_connector_order(addresses, count, order), cases[i].count);
    for (size_t k = 0; k < cases[i].count; k++) {
      assert_int_equal(order[k], cases[i].order[k]);
    }
  }
}

#define with_world(test) trp_test_with(test, fake_world_setup, fake_world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_world(a_literal_address_is_connected_without_a_look_up),
      with_world(a_refused_connection_tells_the_attempt_the_error_and_close),
      with_world(a_connect_that_fails_at_once_names_the_local_address),
      with_world(a_failed_bind_is_no_attempt),
      with_world(a_local_address_of_the_other_family_is_refused_at_bind),
      with_world(an_error_with_a_local_port_names_it),
      with_world(a_name_is_looked_up_and_one_address_is_tried_as_a_single_one),
      with_world(without_autoselection_only_the_first_address_counts),
      with_world(a_failed_look_up_is_told_twice),
      with_world(families_take_turns_and_the_first_that_answers_wins),
      with_world(when_all_attempts_fail_the_errors_come_together),
      with_world(parallel_attempts_go_on_until_one_wins),
      with_world(an_older_attempt_that_fails_does_not_hurry_the_next),
      with_world(when_parallel_attempts_all_fail_their_errors_come_together),
      with_world(destroying_during_the_look_up_cancels_it),
      with_world(destroying_a_single_attempt_says_only_close),
      with_world(destroying_one_of_many_attempts_cancels_it_aloud),
      with_world(a_reset_asked_for_while_connecting_comes_after_the_connection),
      with_world(destroy_soon_while_connecting_flushes_and_closes),
      with_world(a_connect_deadline_ends_look_up_and_attempts),
      with_world(the_idle_timeout_fires_while_connecting_and_starts_anew_after_it),
      with_world(options_are_applied_before_connect_is_told),
      with_world(a_descriptor_is_taken_over_or_refused),
      trp_test(the_order_of_addresses_is_as_node_has_it),
  };
  return TRP_RUN_TESTS("connector", tests);
}
