// Pipes in one thread, and what they leave behind.

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <troupe/error.h>

#include "tests/message/inboxes.h"

// ---- One thread, both ends ----

typedef struct {
  trp_hub_t *hub;
  trp_inbox_t *from, *to;
  trp_pool_t *pool;
  trp_out_t out;
  trp_in_t in;
} world_t;

static int set_up(void **state) {
  world_t *w = calloc(1, sizeof *w);
  assert_non_null(w);
  assert_int_equal(trp_hub_new(&w->hub), 0);
  w->from = open_inbox(w->hub, 101);
  w->to = open_inbox(w->hub, RECEIVER);
  assert_non_null(w->from);
  assert_non_null(w->to);
  assert_int_equal(trp_pool_new(&w->pool), 0);
  trp_out_init(&w->out, actor(101), actor(RECEIVER), w->pool);
  trp_in_init(&w->in);
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  world_t *w = *state;
  trp_in_free(&w->in);
  trp_out_free(&w->out);
  trp_pool_close(&w->pool);
  if (w->from != NULL) {
    trp_inbox_close(w->from);
  }
  if (w->to != NULL) {
    trp_inbox_close(w->to);
  }
  trp_hub_free(&w->hub);
  assert_null(w->hub);
  free(w);
  return end_frames(state);
}

static void put(world_t *w, const void *bytes, size_t length) {
  trp_message_t *message = trp_out_add(&w->out, TRP_KIND(EVENT_MESSAGE), 1);
  assert_non_null(message);
  assert_int_equal(trp_out_copy(&w->out, message, bytes, length), 0);
}

static int receive(world_t *w, int64_t deadline_ns) {
  trp_in_reset(&w->in);
  return trp_inbox_receive(w->to, deadline_ns, &w->in);
}

// parity: shape.2
static void batches_arrive_in_order_with_all_their_frames(void **state) {
  world_t *w = *state;
  static uint8_t bytes[300000];
  trp_test_random_t random;
  trp_test_random_start(&random, 1);
  trp_test_random_bytes(&random, bytes, sizeof bytes);
  for (size_t i = 0; i < 200; i++) {
    put(w, &i, sizeof i);
    for (size_t k = 0; k < i % 5; k++) {
      put(w, bytes + i, 50000 * k + i);
    }
    assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
    assert_true(trp_out_empty(&w->out)); // it was reset
  }
  uint64_t sequence = 1;
  for (size_t i = 0; i < 200; i++) {
    assert_int_equal(receive(w, 0), 1);
    assert_int_equal(w->in.batch->sender, actor(101));
    assert_int_equal(w->in.batch->first_sequence, sequence);
    assert_int_equal(w->in.batch->n_messages, 1 + i % 5);
    assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), &i, sizeof i);
    for (size_t k = 0; k < i % 5; k++) {
      const trp_message_t *message = w->in.batch->messages[k + 1];
      assert_int_equal(message->length, 50000 * k + i);
      assert_memory_equal(trp_in_payload(&w->in, message), bytes + i, message->length);
    }
    sequence += w->in.batch->n_messages;
  }
  assert_int_equal(receive(w, 0), 0);
}

static void a_payload_is_not_copied_on_its_way(void **state) {
  world_t *w = *state;
  trp_frame_t *frame = trp_frame_new(100000);
  memset(trp_frame_fill(frame), 5, 100000);
  trp_message_t *message = trp_out_add(&w->out, TRP_KIND(EVENT_MESSAGE), 1);
  assert_int_equal(trp_out_attach(&w->out, message, frame, 10, 1000), 0);
  assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
  assert_int_equal(receive(w, 0), 1);
  assert_ptr_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), frame->bytes + 10);
  assert_int_equal(frame->bytes[99999], 5); // ours is still there
  trp_frame_release(frame);
  assert_int_equal(trp_in_payload(&w->in, w->in.batch->messages[0])[999], 5);
}

static void an_actor_can_send_to_itself(void **state) {
  world_t *w = *state;
  w->out.to = actor(101);
  put(w, "me", 2);
  assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
  assert_int_equal(trp_inbox_receive(w->from, TRP_FOREVER, &w->in), 1);
  assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), "me", 2);
}

static void a_deadline_is_kept(void **state) {
  world_t *w = *state;
  int64_t now = trp_inbox_now(w->to);
  assert_int_equal(receive(w, now - 1), 0); // is over
  int64_t deadline = trp_inbox_now(w->to) + 20 * 1000000;
  assert_int_equal(receive(w, deadline), 0);
  assert_true(trp_inbox_now(w->to) >= deadline);
  put(w, "x", 1);
  assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
  now = trp_inbox_now(w->to);
  assert_int_equal(receive(w, now + 3600 * INT64_C(1000000000)), 1);
  assert_true(w->in.received_ns >= now);
  trp_pipes_set_spin(w->to, 1000000);
  deadline = trp_inbox_now(w->to) + 5 * 1000000;
  assert_int_equal(receive(w, deadline), 0);
  assert_true(trp_inbox_now(w->to) >= deadline);
}

static void sends_to_an_inbox_that_closed_vanish_without_error(void **state) {
  world_t *w = *state;
  put(w, "before", 6);
  assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
  trp_inbox_close(w->to);
  w->to = NULL;
  // Of several frames only once the end is known here, too: libzmq loses memory when it hears of it
  // between two frames of one message.
  for (int64_t until_ms = trp_test_now_ms() + 50; trp_test_now_ms() < until_ms;) {
    assert_non_null(trp_out_add(&w->out, TRP_KIND(EVENT_MESSAGE), 1));
    assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
    assert_true(trp_out_empty(&w->out));
  }
  for (int i = 0; i < 1000; i++) {
    put(w, &i, sizeof i);
    assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
    assert_true(trp_out_empty(&w->out));
  }
  trp_pipes_send_last(w->from, actor(RECEIVER), "x", 1);
  trp_inbox_forget(w->from, actor(RECEIVER));
  trp_inbox_forget(w->from, actor(RECEIVER)); // nothing there
  assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
}

static bool as_many_fds(void *expected) {
  return trp_test_count_fds() <= *(int *)expected;
}

// libzmq keeps a connection to a name that nobody has bound until its context ends.
static void a_first_send_to_an_inbox_that_closed_leaves_nothing_open(void **state) {
  world_t *w = *state;
  assert_int_equal(w->from->ops->reach(w->from, actor(RECEIVER)), 0);
  int fds = trp_test_count_fds();
  for (uint32_t i = 0; i < 200; i++) {
    trp_inbox_t *closed = open_inbox(w->hub, 1000 + i);
    assert_non_null(closed);
    trp_inbox_close(closed);
    w->out.to = actor(1000 + i);
    put(w, "nobody", 6);
    assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
    w->out.to = actor(5000 + i); // never was
    put(w, "nobody", 6);
    assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
    trp_pipes_send_last(w->from, actor(1000 + i), "x", 1);
    trp_inbox_forget(w->from, actor(1000 + i));
    trp_inbox_forget(w->from, actor(5000 + i));
  }
  assert_int_equal(trp_pipes_peers(w->from, NULL, 0), 1);
  assert_true(trp_test_wait_until(as_many_fds, &fds, 5000));
}

static void what_was_sent_arrives_although_the_sender_has_closed(void **state) {
  world_t *w = *state;
  static const char last[] = "last words";
  for (int i = 0; i < 5000; i++) {
    put(w, &i, sizeof i);
    assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
  }
  trp_pipes_send_last(w->from, actor(RECEIVER), last, sizeof last);
  trp_inbox_close(w->from);
  w->from = NULL;
  for (int i = 0; i < 5000; i++) {
    assert_int_equal(receive(w, TRP_FOREVER), 1);
    assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), &i, sizeof i);
  }
  trp_in_reset(&w->in);
  assert_int_equal(trp_pipes_receive_raw(w->to, TRP_FOREVER, &w->in), 1);
  assert_int_equal(w->in.envelope->size, sizeof last);
  assert_memory_equal(w->in.envelope->bytes, last, sizeof last);
  assert_int_equal(receive(w, 0), 0);
}

static void last_words_go_only_where_there_is_a_pipe(void **state) {
  world_t *w = *state;
  trp_pipes_send_last(w->from, actor(RECEIVER), "x", 1);
  assert_int_equal(receive(w, 0), 0);
  assert_int_equal(trp_pipes_peers(w->from, NULL, 0), 0);
}

static void what_is_no_batch_is_reported_and_the_next_one_arrives(void **state) {
  world_t *w = *state;
  trp_frame_t *frames[3];
  frames[0] = trp_frame_copy("this is no batch", 16);
  frames[1] = trp_frame_copy("a", 1);
  frames[2] = trp_frame_copy("b", 1);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(trp_pipes_send_raw(w->from, actor(RECEIVER), frames, (size_t)i + 1), 0);
    put(w, &i, sizeof i);
    assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
  }
  for (int i = 0; i < 3; i++) {
    assert_int_equal(receive(w, TRP_FOREVER), TROUPE_EBADMESSAGE);
    assert_int_equal(receive(w, TRP_FOREVER), 1);
    assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), &i, sizeof i);
  }
  for (int i = 0; i < 3; i++) {
    trp_frame_release(frames[i]);
  }
}

static void the_peers_are_those_that_were_reached(void **state) {
  world_t *w = *state;
  enum { COUNT = 50 };
  trp_inbox_t *inboxes[COUNT];
  uint64_t ids[COUNT + 10];
  for (uint32_t i = 0; i < COUNT; i++) {
    inboxes[i] = open_inbox(w->hub, 2000 + i * 7 % COUNT);
    assert_non_null(inboxes[i]);
    assert_int_equal(w->from->ops->reach(w->from, actor(2000 + i * 7 % COUNT)), 0);
    assert_int_equal(w->from->ops->reach(w->from, actor(2000 + i * 7 % COUNT)), 0);
  }
  assert_int_equal(trp_pipes_peers(w->from, ids, COUNT + 10), COUNT);
  for (uint32_t i = 0; i < COUNT; i++) {
    assert_int_equal(ids[i], actor(2000 + i));
  }
  assert_int_equal(trp_pipes_peers(w->from, ids, 3), COUNT);
  for (uint32_t i = 0; i < COUNT; i += 2) {
    trp_inbox_forget(w->from, actor(2000 + i));
  }
  assert_int_equal(trp_pipes_peers(w->from, ids, COUNT), COUNT / 2);
  for (uint32_t i = 0; i < COUNT / 2; i++) {
    assert_int_equal(ids[i], actor(2001 + 2 * i));
  }
  for (uint32_t i = 0; i < COUNT; i++) {
    trp_inbox_close(inboxes[i]);
  }
}

static void a_name_is_open_once(void **state) {
  world_t *w = *state;
  trp_inbox_t *second = NULL;
  assert_int_equal(trp_pipes_open(w->hub, actor(RECEIVER), &second), TROUPE_EADDRINUSE);
  assert_null(second);
  put(w, "x", 1); // the first one is as it was
  assert_int_equal(trp_inbox_send(w->from, &w->out), 0);
  assert_int_equal(receive(w, 0), 1);
}

// ---- Nothing is left ----

typedef struct {
  trp_inbox_t *inbox;
  trp_in_t *in;
  int fds;
} quiet_t;

// Both ends of a pipe have their part in its end: the one that lives does it when it receives.
static bool is_quiet(void *argument) {
  quiet_t *quiet = argument;
  return trp_inbox_receive(quiet->inbox, 0, quiet->in) == 0 && trp_test_count_fds() <= quiet->fds;
}

typedef struct {
  trp_hub_t *hub;
  trp_pool_t *pool;
  quiet_t quiet;
  uint32_t cycles, number;
} rush_t;

// Inboxes that the first one talks to, one after the other.
static void open_and_close(void *argument) {
  rush_t *rush = argument;
  trp_inbox_t *first = rush->quiet.inbox;
  for (uint32_t i = 0; i < rush->cycles; i++) {
    if (i % 50 == 0) { // libzmq's own thread closes what this one leaves, and is slower
      assert_true(trp_test_wait_until(is_quiet, &rush->quiet, 5000));
    }
    uint32_t number = rush->number++;
    trp_inbox_t *inbox = open_inbox(rush->hub, number);
    assert_non_null(inbox);
    trp_out_t there;
    trp_out_t back;
    trp_out_init(&there, actor(70), actor(number), rush->pool);
    trp_out_init(&back, actor(number), actor(70), rush->pool);
    trp_message_t *message = trp_out_add(&there, TRP_KIND(EVENT_MESSAGE), 1);
    assert_int_equal(trp_out_copy(&there, message, "there", 5), 0);
    message = trp_out_add(&back, TRP_KIND(EVENT_MESSAGE), 1);
    assert_int_equal(trp_out_copy(&back, message, "back", 4), 0);
    assert_int_equal(trp_inbox_send(first, &there), 0);
    assert_int_equal(trp_inbox_send(inbox, &back), 0);
    assert_int_equal(trp_inbox_receive(first, TRP_FOREVER, rush->quiet.in), 1);
    trp_in_reset(rush->quiet.in);
    // What was sent to it is never received.
    trp_inbox_close(inbox);
    trp_inbox_forget(first, actor(number));
    trp_out_free(&there);
    trp_out_free(&back);
  }
  assert_true(trp_test_wait_until(is_quiet, &rush->quiet, 5000));
}

static void a_thousand_inboxes_one_after_the_other_leave_nothing(void **state) {
  (void)state;
  rush_t rush = {.cycles = trp_test_slow() > 1 ? 100 : 500, .number = 1000};
  assert_int_equal(trp_hub_new(&rush.hub), 0);
  trp_inbox_t *first = open_inbox(rush.hub, 70);
  assert_non_null(first);
  trp_in_t in;
  assert_int_equal(trp_pool_new(&rush.pool), 0);
  trp_in_init(&in);
  rush.quiet = (quiet_t){.inbox = first, .in = &in, .fds = trp_test_count_fds()};
  open_and_close(&rush);
  assert_true(trp_test_levels_off(open_and_close, &rush, 4 * 1024 * 1024));
  trp_in_free(&in);
  trp_pool_close(&rush.pool);
  trp_inbox_close(first);
  trp_hub_free(&rush.hub);
}

static void a_hub_leaves_nothing(void **state) {
  (void)state;
  int cycles = trp_test_slow() > 1 ? 20 : 200;
  for (int i = 0; i < cycles; i++) {
    trp_hub_t *hub = NULL;
    assert_int_equal(trp_hub_new(&hub), 0);
    if (i % 4 != 0) { // one that was never used, too
      trp_inbox_t *one = open_inbox(hub, 70);
      trp_inbox_t *other = open_inbox(hub, 71);
      assert_non_null(one);
      assert_non_null(other);
      assert_int_equal(one->ops->reach(one, actor(71)), 0);
      assert_int_equal(one->ops->reach(one, actor(70)), 0);
      trp_inbox_close(one);
      trp_inbox_close(other);
    }
    trp_hub_free(&hub);
  }
  trp_hub_t *none = NULL;
  trp_hub_free(&none);
}

// ---- No descriptors ----

static struct rlimit limit_before;

static int limit_descriptors(void **state) {
  (void)state;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
  struct rlimit limit = limit_before;
  limit.rlim_cur = (rlim_t)trp_test_count_fds() + 60;
  return setrlimit(RLIMIT_NOFILE, &limit);
}

static int unlimit_descriptors(void **state) {
  (void)state;
  return setrlimit(RLIMIT_NOFILE, &limit_before);
}

static void without_descriptors_there_is_an_error_and_nothing_is_lost(void **state) {
  (void)state;
  enum { COUNT = 100 };
  trp_hub_t *hub = NULL;
  trp_inbox_t *inboxes[COUNT] = {0};
  trp_pool_t *pool = NULL;
  trp_out_t out;
  trp_in_t in;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_out_init(&out, actor(1000), actor(100), pool);
  trp_in_init(&in);
  assert_int_equal(trp_hub_new(&hub), 0);
  trp_inbox_t *first = open_inbox(hub, 1000);
  assert_non_null(first);
  uint32_t count = 0;
  int error = 0;
  for (; count < COUNT && error == 0; count++) {
    error = trp_pipes_open(hub, actor(100 + count), &inboxes[count]);
  }
  assert_int_equal(error, TROUPE_EMFILE);
  assert_null(inboxes[--count]);
  assert_true(count > 20);
  if (inboxes[0] == NULL) {
    fail();
    return;
  }
  // A pipe cannot be made either; the batch stays whole, and goes when there is room again.
  trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), 1);
  assert_int_equal(trp_out_copy(&out, message, "later", 5), 0);
  assert_int_equal(trp_inbox_send(first, &out), TROUPE_EMFILE);
  assert_int_equal(first->ops->reach(first, actor(100)), TROUPE_EMFILE);
  assert_false(trp_out_empty(&out));
  trp_inbox_close(inboxes[--count]);
  int64_t give_up_ms = trp_test_now_ms() + 5000 * trp_test_slow();
  do { // libzmq's own thread closes the descriptor a moment later
    error = trp_inbox_send(first, &out);
  } while (error == TROUPE_EMFILE && trp_test_now_ms() < give_up_ms);
  assert_int_equal(error, 0);
  assert_int_equal(trp_inbox_receive(inboxes[0], TRP_FOREVER, &in), 1);
  assert_memory_equal(trp_in_payload(&in, in.batch->messages[0]), "later", 5);
  while (count > 0) {
    trp_inbox_close(inboxes[--count]);
  }
  trp_inbox_close(first);
  trp_in_free(&in);
  trp_out_free(&out);
  trp_pool_close(&pool);
  trp_hub_free(&hub);
}

#define with_world(test) trp_test_with(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_world(batches_arrive_in_order_with_all_their_frames),
      with_world(a_payload_is_not_copied_on_its_way),
      with_world(an_actor_can_send_to_itself),
      with_world(a_deadline_is_kept),
      with_world(sends_to_an_inbox_that_closed_vanish_without_error),
      with_world(a_first_send_to_an_inbox_that_closed_leaves_nothing_open),
      with_world(what_was_sent_arrives_although_the_sender_has_closed),
      with_world(last_words_go_only_where_there_is_a_pipe),
      with_world(what_is_no_batch_is_reported_and_the_next_one_arrives),
      with_world(the_peers_are_those_that_were_reached),
      with_world(a_name_is_open_once),
      trp_test_that_leaves_nothing(a_thousand_inboxes_one_after_the_other_leave_nothing),
      trp_test_that_leaves_nothing(a_hub_leaves_nothing),
      trp_test_with(without_descriptors_there_is_an_error_and_nothing_is_lost, limit_descriptors,
                    unlimit_descriptors),
  };
  return TRP_RUN_TESTS_IN_GROUP("pipes", tests, NULL, end_frames);
}
