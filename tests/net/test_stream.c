// Connected sockets: reading under credit and window, writing, ending in all orders, failing,
// timeouts.

#include "tests/harness/harness.h"

#include <errno.h>
#include <string.h>
#include <troupe/error.h>

#include "tests/fake/world.h"

static void say(fake_world_t *world, Troupe__Wire__Kind kind, uint32_t flags) {
  fake_say(world, 0, kind, fake_id(0, 1))->flags = flags;
}

static void run(fake_world_t *world, Troupe__Wire__Kind kind, uint32_t flags) {
  say(world, kind, flags);
  fake_do(world, 0);
}

/// The actor says that it consumed so much of s1.
static void consume(fake_world_t *world, uint64_t through) {
  fake_say(world, 0, TRP_KIND(COMMAND_CREDIT), fake_id(0, 1))->through = through;
  fake_do(world, 0);
}

static Troupe__Wire__Options *set_options(fake_world_t *world) {
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_OPTIONS), fake_id(0, 1));
  message->options = fake_take(world, 0, sizeof *message->options);
  *message->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  message->detail_case = TRP_DETAIL(OPTIONS);
  return message->options;
}

// ---- Reading ----

static void data_comes_then_the_end(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives(handle, "hello");
  fake_turn(world);
  handle->fin = true;
  fake_turn(world);
  fake_expect(world, 0, "s1 data hello\ns1 end\n");
  assert_int_equal(handle->wanted, 0); // nothing more can come
  assert_true(handle->open);
}

static void a_socket_reads_once_in_a_turn_and_no_more_than_a_read(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives_much(handle, 200000);
  size_t reads = world->network.reads;
  fake_turn(world);
  assert_int_equal(world->network.reads, reads + 1);
  assert_int_equal(world->actors[0].data_bytes, TRP_SOCKET_CREDIT - TRP_EVENT_COST);
}

static void reading_stops_at_the_credit_and_goes_on_when_it_comes_back(void **state) {
  fake_world_t *world = *state;
  fake_actor_t *actor = &world->actors[0];
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives_much(handle, 3000000);
  for (int i = 0; i < 10; i++) {
    fake_turn(world);
  }
  assert_in_range(actor->data_cost, TRP_SOCKET_CREDIT - TRP_READ_MINIMUM - TRP_EVENT_COST,
                  TRP_SOCKET_CREDIT);
  assert_int_equal(handle->wanted, 0); // what the kernel has comes before a reset
  size_t reads = world->network.reads;
  fake_turn(world);
  assert_int_equal(world->network.reads, reads);

  consume(world, actor->data_cost);
  assert_int_equal(handle->wanted, TRP_READ);
  uint64_t before = actor->data_cost;
  for (int i = 0; i < 10; i++) {
    fake_turn(world);
  }
  // The actor had caught up, so it gets twice as much.
  assert_in_range(actor->data_cost - before, 2 * TRP_SOCKET_CREDIT - 8192, 2 * TRP_SOCKET_CREDIT);
  for (int i = 0; i < 10; i++) {
    consume(world, actor->data_cost);
    for (int k = 0; k < 40; k++) {
      fake_turn(world);
    }
  }
  assert_int_equal(actor->data_bytes, 3000000);
}

static void the_credit_of_a_slow_actor_does_not_grow(void **state) {
  fake_world_t *world = *state;
  fake_actor_t *actor = &world->actors[0];
  trp_handle_t *handle = fake_connected(world, 0, 1);
  uint64_t consumed = 0;
  fake_arrives_much(handle, 5000000);
  for (int i = 0; i < 250; i++) {
    fake_turn(world);
    // The peer is four times as fast: at the most the first step up is taken.
    assert_true(actor->data_cost - consumed <= 2 * TRP_SOCKET_CREDIT);
    consumed += 16 * 1024;
    consume(world, consumed);
  }
  assert_true(actor->data_bytes > 1000000);
}

static void a_window_that_is_full_stops_all_sockets_of_that_actor_only(void **state) {
  fake_world_t *world = *state;
  fake_actor_t *actor = &world->actors[0];
  trp_handle_t *other = fake_connected(world, 1, 1);
  trp_handle_t *handles[40];
  for (unsigned i = 0; i < 40; i++) {
    handles[i] = fake_connected(world, 0, i + 1);
    fake_arrives_much(handles[i], 1000000);
  }
  // The credit of each is given back, but nothing ever leaves the inbox.
  uint64_t before = 1;
  while (before != actor->data_cost) {
    before = actor->data_cost;
    fake_turn(world);
    for (unsigned i = 0; i < 40; i++) {
      fake_say(world, 0, TRP_KIND(COMMAND_CREDIT), fake_id(0, i + 1))->through = handles[i]
                                                                                     ->input_taken;
    }
    fake_do(world, 0);
  }
  assert_in_range(actor->data_cost, TRP_ACTOR_WINDOW, TRP_ACTOR_WINDOW + TRP_READ_SIZE + 64);
  fake_arrives(other, "still served");
  fake_turn(world);
  fake_expect(world, 1, "s1 data still served\n");

  size_t wants = world->network.wants;
  fake_turn(world);
  assert_int_equal(world->network.wants, wants); // stopped sockets cost nothing
  actor->out.window = actor->data_cost;
  fake_say(world, 0, TRP_KIND(COMMAND_CREDIT), fake_id(0, 1));
  fake_do(world, 0);
  fake_turn(world);
  assert_true(actor->data_cost > before);
}

static void a_paused_socket_is_not_read_but_its_reset_is_noticed(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  run(world, TRP_KIND(COMMAND_PAUSE), 0);
  fake_arrives(handle, "later");
  fake_turn(world);
  fake_expect(world, 0, "");
  run(world, TRP_KIND(COMMAND_RESUME), 0);
  fake_turn(world);
  fake_expect(world, 0, "s1 data later\n");
  run(world, TRP_KIND(COMMAND_PAUSE), 0);
  handle->pending_error = TROUPE_ECONNRESET;
  fake_turn(world);
  fake_expect(world, 0, "s1 error read ECONNRESET\ns1 close had-error\n");
}

static void the_end_of_a_paused_socket_waits_for_resume(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  run(world, TRP_KIND(COMMAND_PAUSE), 0);
  handle->fin = true;
  fake_turn(world);
  fake_turn(world);
  fake_expect(world, 0, "");
  assert_int_equal(handle->wanted, 0); // it has been seen; it would come again and again
  run(world, TRP_KIND(COMMAND_RESUME), 0);
  fake_turn(world);
  fake_expect(world, 0, "s1 end\n");
}

static void pause_and_resume_in_one_batch_cost_nothing(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  size_t wants = world->network.wants;
  say(world, TRP_KIND(COMMAND_PAUSE), 0);
  run(world, TRP_KIND(COMMAND_RESUME), 0);
  assert_int_equal(world->network.wants, wants);
}

static void a_reset_is_told_as_node_tells_it(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives(handle, "last words");
  fake_turn(world);
  handle->read_error = TROUPE_ECONNRESET;
  fake_turn(world);
  fake_expect(world, 0, "s1 data last words\ns1 error read ECONNRESET\ns1 close had-error\n");
}

static void what_the_kernel_has_is_read_before_a_reset_is_told(void **state) {
  fake_world_t *world = *state;
  fake_actor_t *actor = &world->actors[0];
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_arrives_much(handle, 200000);
  handle->read_error = handle->pending_error = TROUPE_ECONNRESET;
  for (int i = 0; i < 20; i++) { // its credit is used up again and again
    fake_turn(world);
    consume(world, actor->data_cost);
  }
  assert_int_equal(actor->data_bytes, 200000);
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_ERROR)).message->error->code, TROUPE_ECONNRESET);
}

static void a_reset_behind_the_last_bytes_is_an_end_to_who_wants_it_so(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  set_options(world)->reset_ends = true;
  fake_do(world, 0);
  fake_arrives(handle, "last words");
  handle->read_error = TROUPE_ECONNRESET;
  fake_turn(world);
  fake_expect(world, 0, "s1 data last words\ns1 end\n");
  fake_turn(world);
  fake_expect(world, 0, "");
}

static void a_reset_without_bytes_before_it_is_an_error_to_everybody(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  set_options(world)->reset_ends = true;
  fake_do(world, 0);
  handle->read_error = TROUPE_ECONNRESET;
  fake_turn(world);
  fake_expect(world, 0, "s1 error read ECONNRESET\ns1 close had-error\n");
}

static void consumed_beyond_what_was_sent_is_not_believed(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  consume(world, 12345);
  assert_int_equal(fake_counters(world)->bad_credit, 1);
}

// ---- Writing ----

static void the_writes_of_a_batch_leave_in_one_call(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  size_t writes = world->network.writes;
  size_t wants = world->network.wants;
  fake_write(world, 0, fake_id(0, 1), "one ", 0);
  fake_write(world, 0, fake_id(0, 1), "two ", 0);
  fake_write(world, 0, fake_id(0, 1), "three", 0);
  fake_do(world, 0);
  assert_int_equal(world->network.writes, writes + 1);
  assert_int_equal(world->network.wants, wants);
  assert_string_equal(handle->output, "one two three");
  fake_expect(world, 0, ""); // nobody waits for it
}

static void what_the_kernel_does_not_take_waits_and_leaves_in_order(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->room = 3;
  fake_write(world, 0, fake_id(0, 1), "hello ", TRP_FLAG(NOTIFY));
  fake_do(world, 0);
  assert_int_equal(handle->wanted, TRP_READ | TRP_WRITE);
  fake_write(world, 0, fake_id(0, 1), "world", TRP_FLAG(NOTIFY));
  fake_do(world, 0);
  fake_expect(world, 0, "");
  handle->room = 5;
  fake_turn(world);
  fake_expect(world, 0, "s1 written 8\n");
  handle->room = 100;
  fake_turn(world);
  fake_expect(world, 0, "s1 written 11\n");
  assert_string_equal(handle->output, "hello world");
  assert_int_equal(handle->wanted, TRP_READ);
}

static void a_data_event_carries_the_acknowledgement_along(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_write(world, 0, fake_id(0, 1), "ping", TRP_FLAG(NOTIFY));
  // Executed, and the answer comes in the same turn.
  trp_out_t *out = &world->actors[0].out;
  assert_int_equal(trp_out_pack(out), 0);
  trp_in_t in;
  trp_in_init(&in);
  assert_int_equal(trp_in_push(&in, trp_frame_hold(out->envelope)), 0);
  for (size_t i = 0; i < out->frame_count; i++) {
    assert_int_equal(trp_in_push(&in, trp_frame_hold(out->frames[i])), 0);
  }
  assert_int_equal(trp_in_open(&in), 0);
  trp_net_execute(world->net, &in);
  trp_in_free(&in);
  trp_out_reset(out);
  fake_arrives(handle, "pong");
  fake_turn(world);
  fake_expect(world, 0, "s1 data pong\n");
  assert_int_equal(fake_last(world, TRP_KIND(EVENT_DATA)).message->through, 4);
  fake_turn(world);
  fake_expect(world, 0, "");
}

static void a_write_of_no_bytes_is_told_too(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  fake_write(world, 0, fake_id(0, 1), "", TRP_FLAG(NOTIFY));
  fake_do(world, 0);
  fake_expect(world, 0, "s1 written 0\n");
}

static void a_broken_pipe_is_told_as_a_write_error(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->write_error = TROUPE_EPIPE;
  fake_arrives(handle, "unread");
  fake_write(world, 0, fake_id(0, 1), "x", 0);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 error write EPIPE\ns1 close had-error\n");
  assert_false(handle->open);
}

static void a_reset_that_meets_a_waiting_write_is_told_by_the_read(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->room = 0;
  fake_write(world, 0, fake_id(0, 1), "waits", 0);
  fake_do(world, 0);
  handle->read_error = TROUPE_ECONNRESET;
  handle->write_error = TROUPE_EPIPE;
  fake_turn(world);
  fake_expect(world, 0, "s1 error read ECONNRESET\ns1 close had-error\n");
}

static void a_small_write_before_destroy_still_leaves(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_write(world, 0, fake_id(0, 1), "bye", 0);
  run(world, TRP_KIND(COMMAND_DESTROY), 0);
  assert_string_equal(handle->output, "bye");
  fake_expect(world, 0, "s1 close\n");
}

static void a_write_after_the_end_is_refused(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  say(world, TRP_KIND(COMMAND_END), 0);
  fake_write(world, 0, fake_id(0, 1), "late", 0);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 finish\n");
  assert_null(handle->output);
  assert_int_equal(fake_counters(world)->refused, 1);
}

static void many_small_writes_need_few_calls(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  size_t writes = world->network.writes;
  for (int i = 0; i < 1000; i++) {
    fake_write(world, 0, fake_id(0, 1), "0123456789", 0);
  }
  fake_do(world, 0);
  for (int i = 0; i < 4; i++) {
    fake_turn(world);
  }
  assert_int_equal(handle->output_length, 10000);
  assert_int_equal(world->network.writes - writes, 16);
}

// ---- Ending ----

static void the_end_goes_out_behind_the_writes(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->room = 0;
  fake_write(world, 0, fake_id(0, 1), "bytes", 0);
  run(world, TRP_KIND(COMMAND_END), 0);
  fake_expect(world, 0, "");
  assert_false(handle->was_shut_down);
  handle->room = SIZE_MAX;
  fake_turn(world);
  fake_expect(world, 0, "s1 finish\n");
  assert_true(handle->was_shut_down);
  fake_arrives(handle, "answer");
  handle->fin = true;
  fake_turn(world);
  fake_turn(world);
  fake_expect(world, 0, "s1 data answer\ns1 end\ns1 close\n");
  assert_false(handle->open);
}

static void the_peer_ends_first(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->fin = true;
  fake_turn(world);
  fake_expect(world, 0, "s1 end\n");
  fake_write(world, 0, fake_id(0, 1), "still", 0);
  fake_do(world, 0);
  assert_string_equal(handle->output, "still");
  run(world, TRP_KIND(COMMAND_END), 0);
  fake_expect(world, 0, "s1 finish\ns1 close\n");
}

static void both_end_with_writes_on_their_way(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->room = 2;
  fake_write(world, 0, fake_id(0, 1), "last", 0);
  run(world, TRP_KIND(COMMAND_END), 0);
  handle->fin = true;
  fake_turn(world);
  fake_expect(world, 0, "s1 end\n");
  handle->room = SIZE_MAX;
  fake_turn(world);
  fake_expect(world, 0, "s1 finish\ns1 close\n");
  assert_string_equal(handle->output, "last");
}

static void destroy_soon_closes_after_finish_whatever_the_peer_does(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_write(world, 0, fake_id(0, 1), "x", 0);
  run(world, TRP_KIND(COMMAND_END), TRP_FLAG(DESTROY));
  fake_expect(world, 0, "s1 finish\ns1 close\n");
  assert_false(handle->open);
}

static void destroy_soon_after_the_end_was_sent_closes_at_once(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  run(world, TRP_KIND(COMMAND_END), 0);
  run(world, TRP_KIND(COMMAND_END), TRP_FLAG(DESTROY));
  fake_expect(world, 0, "s1 finish\ns1 close\n");
}

static void an_end_to_a_peer_that_is_gone_counts_as_sent(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->shutdown_error = TROUPE_ENOTCONN;
  run(world, TRP_KIND(COMMAND_END), 0);
  fake_expect(world, 0, "s1 finish\n");
}

static void a_reset_resets_and_closes_without_error(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  run(world, TRP_KIND(COMMAND_RESET), 0);
  assert_true(handle->was_reset);
  fake_expect(world, 0, "s1 close\n");
}

static void a_reset_of_what_cannot_be_reset_closes_it(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  handle->tcp = false;
  run(world, TRP_KIND(COMMAND_RESET), 0);
  assert_false(handle->was_reset);
  assert_false(handle->open);
  fake_expect(world, 0, "s1 close\n");
}

static void commands_for_what_is_closed_are_counted(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  run(world, TRP_KIND(COMMAND_DESTROY), 0);
  say(world, TRP_KIND(COMMAND_DESTROY), 0);
  fake_write(world, 0, fake_id(0, 1), "x", 0);
  say(world, (Troupe__Wire__Kind)60, 0);
  say(world, (Troupe__Wire__Kind)5000, 0);
  say(world, TRP_KIND(COMMAND_CONNECT), 0); // without its detail
  fake_do(world, 0);
  fake_say(world, 1, TRP_KIND(COMMAND_DESTROY), fake_id(0, 1));
  fake_do(world, 1);
  fake_say(world, 7, TRP_KIND(COMMAND_DESTROY), fake_id(0, 1)); // who has not said hello
  fake_do(world, 7);
  fake_expect(world, 0, "s1 close\n");
  assert_int_equal(fake_counters(world)->unknown_subject, 3);
  assert_int_equal(fake_counters(world)->unknown_kind, 3);
  assert_int_equal(fake_counters(world)->not_owner, 1);
}

static void nobody_else_can_command_a_socket(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  fake_say(world, 1, TRP_KIND(COMMAND_DESTROY), fake_id(0, 1));
  fake_do(world, 1);
  fake_say(world, 0, TRP_KIND(COMMAND_DESTROY), fake_id(0, 1))->epoch = 1;
  fake_do(world, 0);
  assert_true(handle->open);
  assert_int_equal(fake_counters(world)->not_owner, 1);
  assert_int_equal(fake_counters(world)->stale_epoch, 1);
}

// ---- Time ----

static void the_timeout_fires_once_until_something_moves(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  Troupe__Wire__Options *options = set_options(world);
  options->set_timeout = true;
  options->timeout_ms = 100;
  fake_do(world, 0);
  fake_pass(world, 60);
  fake_arrives(handle, "x");
  fake_turn(world);
  fake_pass(world, 60); // the old time is over, but something moved
  fake_expect(world, 0, "s1 data x\n");
  fake_pass(world, 40);
  fake_expect(world, 0, "s1 timeout\n");
  fake_pass(world, 1000);
  fake_expect(world, 0, "");
  fake_write(world, 0, fake_id(0, 1), "y", 0);
  fake_do(world, 0);
  fake_pass(world, 100);
  fake_expect(world, 0, "s1 timeout\n");
  options = set_options(world);
  options->set_timeout = true;
  fake_do(world, 0);
  fake_arrives(handle, "z");
  fake_turn(world);
  fake_pass(world, 1000);
  fake_expect(world, 0, "s1 data z\n");
}

static void a_stalled_write_and_a_missing_first_byte_have_deadlines(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  Troupe__Wire__Options *options = set_options(world);
  options->set_deadlines = true;
  options->write_stall_deadline_ms = 100;
  fake_do(world, 0);
  handle->room = 1;
  fake_pass(world, 500);
  fake_write(world, 0, fake_id(0, 1), "abc", 0);
  fake_do(world, 0);
  fake_pass(world, 90);
  handle->room = 1;
  fake_turn(world);
  fake_pass(world, 90);
  fake_expect(world, 0, "");
  fake_pass(world, 10);
  fake_expect(world, 0, "s1 error write TROUPE_EWRITESTALLDEADLINE\ns1 close had-error\n");

  fake_connected(world, 0, 2);
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_OPTIONS), fake_id(0, 2));
  message->options = fake_take(world, 0, sizeof *message->options);
  *message->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  message->options->set_deadlines = true;
  message->options->first_byte_deadline_ms = 100;
  message->detail_case = TRP_DETAIL(OPTIONS);
  fake_do(world, 0);
  fake_pass(world, 100);
  fake_expect(world, 0, "s2 error read TROUPE_EFIRSTBYTEDEADLINE\ns2 close had-error\n");
}

static void set_first_byte(fake_world_t *world, uint32_t limit_ms) {
  Troupe__Wire__Options *options = set_options(world);
  options->set_deadlines = true;
  options->first_byte_deadline_ms = limit_ms;
  fake_do(world, 0);
}

static void the_first_byte_is_not_late_while_nobody_reads(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  set_first_byte(world, 100);
  fake_pass(world, 99);
  fake_say(world, 0, TRP_KIND(COMMAND_PAUSE), fake_id(0, 1));
  fake_do(world, 0);
  fake_pass(world, 1000);
  fake_expect(world, 0, "");
  fake_say(world, 0, TRP_KIND(COMMAND_RESUME), fake_id(0, 1));
  fake_do(world, 0);
  fake_pass(world, 99);
  fake_expect(world, 0, "");
  fake_pass(world, 1);
  fake_expect(world, 0, "s1 error read TROUPE_EFIRSTBYTEDEADLINE\ns1 close had-error\n");
}

static void after_the_first_byte_or_the_peers_end_there_is_no_first_byte(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  set_first_byte(world, 100);
  fake_pass(world, 99);
  fake_arrives(handle, "x");
  fake_turn(world);
  fake_pass(world, 1000);
  fake_expect(world, 0, "s1 data x\n");
  set_first_byte(world, 10); // as little when it is set afterwards
  fake_pass(world, 1000);
  fake_expect(world, 0, "");
  fake_say(world, 0, TRP_KIND(COMMAND_DESTROY), fake_id(0, 1));
  fake_do(world, 0);
  fake_expect(world, 0, "s1 close\n");

  handle = fake_connected(world, 0, 2);
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_OPTIONS), fake_id(0, 2));
  message->options = fake_take(world, 0, sizeof *message->options);
  *message->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  message->options->set_deadlines = true;
  message->options->first_byte_deadline_ms = 100;
  message->detail_case = TRP_DETAIL(OPTIONS);
  fake_do(world, 0);
  handle->fin = true;
  fake_turn(world);
  fake_pass(world, 1000);
  fake_expect(world, 0, "s2 end\n");
}

static void a_deadline_set_when_it_has_passed_fails_at_once(void **state) {
  fake_world_t *world = *state;
  fake_connected(world, 0, 1);
  fake_pass(world, 500);
  set_first_byte(world, 501);
  fake_expect(world, 0, "");
  set_first_byte(world, 500);
  fake_pass(world, 0);
  fake_expect(world, 0, "s1 error read TROUPE_EFIRSTBYTEDEADLINE\ns1 close had-error\n");
}

// ---- The inbox ----

static void what_cannot_be_sent_is_kept_and_sent_later(void **state) {
  fake_world_t *world = *state;
  trp_handle_t *handle = fake_connected(world, 0, 1);
  world->send_error = TROUPE_EMFILE;
  fake_arrives(handle, "kept");
  fake_turn(world);
  fake_expect(world, 0, "");
  world->send_error = 0;
  fake_pass(world, 10);
  fake_expect(world, 0, "s1 data kept\n");
}

#define with_world(test) trp_test_with(test, fake_world_setup, fake_world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_world(data_comes_then_the_end),
      with_world(a_socket_reads_once_in_a_turn_and_no_more_than_a_read),
      with_world(reading_stops_at_the_credit_and_goes_on_when_it_comes_back),
      with_world(the_credit_of_a_slow_actor_does_not_grow),
      with_world(a_window_that_is_full_stops_all_sockets_of_that_actor_only),
      with_world(a_paused_socket_is_not_read_but_its_reset_is_noticed),
      with_world(the_end_of_a_paused_socket_waits_for_resume),
      with_world(pause_and_resume_in_one_batch_cost_nothing),
      with_world(a_reset_is_told_as_node_tells_it),
      with_world(what_the_kernel_has_is_read_before_a_reset_is_told),
      with_world(a_reset_behind_the_last_bytes_is_an_end_to_who_wants_it_so),
      with_world(a_reset_without_bytes_before_it_is_an_error_to_everybody),
      with_world(consumed_beyond_what_was_sent_is_not_believed),
      with_world(the_writes_of_a_batch_leave_in_one_call),
      with_world(what_the_kernel_does_not_take_waits_and_leaves_in_order),
      with_world(a_data_event_carries_the_acknowledgement_along),
      with_world(a_write_of_no_bytes_is_told_too),
      with_world(a_broken_pipe_is_told_as_a_write_error),
      with_world(a_reset_that_meets_a_waiting_write_is_told_by_the_read),
      with_world(a_small_write_before_destroy_still_leaves),
      with_world(a_write_after_the_end_is_refused),
      with_world(many_small_writes_need_few_calls),
      with_world(the_end_goes_out_behind_the_writes),
      with_world(the_peer_ends_first),
      with_world(both_end_with_writes_on_their_way),
      with_world(destroy_soon_closes_after_finish_whatever_the_peer_does),
      with_world(destroy_soon_after_the_end_was_sent_closes_at_once),
      with_world(an_end_to_a_peer_that_is_gone_counts_as_sent),
      with_world(a_reset_resets_and_closes_without_error),
      with_world(a_reset_of_what_cannot_be_reset_closes_it),
      with_world(commands_for_what_is_closed_are_counted),
      with_world(nobody_else_can_command_a_socket),
      with_world(the_timeout_fires_once_until_something_moves),
      with_world(a_stalled_write_and_a_missing_first_byte_have_deadlines),
      with_world(the_first_byte_is_not_late_while_nobody_reads),
      with_world(after_the_first_byte_or_the_peers_end_there_is_no_first_byte),
      with_world(a_deadline_set_when_it_has_passed_fails_at_once),
      with_world(what_cannot_be_sent_is_kept_and_sent_later),
  };
  return TRP_RUN_TESTS("stream", tests);
}
