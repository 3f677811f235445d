// Pipes between threads: nothing is lost, and no wake-up either.

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <troupe/error.h>
#include <unistd.h>

#include "tests/message/inboxes.h"

// ---- Many small batches from four senders: none is lost, and neither is a wake-up ----

typedef struct {
  trp_hub_t *hub;
  uint32_t number;
  uint64_t count;
  bool in_bursts; // so that the receiver sleeps often
  int error;
} sender_t;

static void *send_many(void *argument) {
  sender_t *sender = argument;
  trp_inbox_t *inbox = open_inbox(sender->hub, sender->number);
  trp_pool_t *pool = NULL;
  trp_out_t out;
  trp_test_random_t random;
  trp_test_random_start(&random, sender->number);
  if (inbox == NULL || trp_pool_new(&pool) != 0) {
    sender->error = TROUPE_ENOMEM;
    return NULL;
  }
  trp_out_init(&out, actor(sender->number), actor(RECEIVER), pool);
  uint64_t until_pause = 0;
  for (uint64_t i = 0; i < sender->count && sender->error == 0; i++) {
    trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), 1);
    message->through = i;
    if (i % 16 == 0) {
      sender->error = trp_out_copy(&out, message, &i, sizeof i);
    }
    if (sender->error == 0) {
      sender->error = trp_inbox_send(inbox, &out);
    }
    if (sender->in_bursts && until_pause-- == 0) {
      until_pause = trp_test_random_below(&random, 8);
      struct timespec pause = {.tv_nsec = (long)trp_test_random_below(&random, 60000)};
      nanosleep(&pause, NULL); // part of the load: the receiver falls asleep in between
    }
  }
  trp_out_free(&out);
  trp_pool_close(&pool);
  trp_inbox_close(inbox);
  trp_frame_thread_end();
  return NULL;
}

typedef enum { BY_POLL, BY_EPOLL, BLOCKING, SPINNING } way_t;

// Waits as the I/O actor and an attached actor do: on the descriptor, and then drains to nothing.
static bool wait_on_fd(int fd, int epoll_fd, way_t way, int limit_ms) {
  if (way == BY_POLL) {
    struct pollfd item = {.fd = fd, .events = POLLIN};
    return poll(&item, 1, limit_ms) == 1;
  }
  struct epoll_event event;
  return epoll_wait(epoll_fd, &event, 1, limit_ms) == 1;
}

static void check_batch(const trp_in_t *in, uint64_t *next) {
  uint32_t from = trp_id_creator(in->batch->sender) - 200;
  assert_true(from < SENDERS);
  assert_int_equal(in->batch->n_messages, 1);
  const trp_message_t *message = in->batch->messages[0];
  assert_int_equal(message->through, next[from]);
  assert_int_equal(in->frame_count, next[from] % 16 == 0 ? 1 : 0);
  if (message->frame != 0) {
    assert_memory_equal(trp_in_payload(in, message), &next[from], sizeof next[from]);
  }
  next[from]++;
}

static void receive_many(way_t way, uint64_t count, bool in_bursts) {
  trp_test_limit(150000);
  trp_hub_t *hub = NULL;
  pthread_t threads[SENDERS];
  sender_t senders[SENDERS];
  uint64_t next[SENDERS] = {0};
  trp_in_t in;
  assert_int_equal(trp_hub_new(&hub), 0);
  trp_inbox_t *inbox = open_inbox(hub, RECEIVER);
  assert_non_null(inbox);
  int fd = trp_pipes_fd(inbox);
  assert_true(fd >= 0);
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
  if (way == SPINNING) {
    trp_pipes_set_spin(inbox, 20000);
  }
  for (uint32_t i = 0; i < SENDERS; i++) {
    senders[i] = (sender_t){.hub = hub, .number = 200 + i, .count = count, .in_bursts = in_bursts};
    assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
  }
  trp_in_init(&in);
  int limit_ms = 10000 * trp_test_slow();
  for (uint64_t left = SENDERS * count; left > 0;) {
    int result = 0;
    if (way == BY_POLL || way == BY_EPOLL) {
      while ((result = trp_inbox_receive(inbox, 0, &in)) == 1) {
        check_batch(&in, next);
        trp_in_reset(&in);
        left--;
      }
      assert_int_equal(result, 0);
      if (left > 0) {
        assert_true(wait_on_fd(fd, epoll_fd, way, limit_ms)); // or a wake-up was lost
      }
    } else {
      result = trp_inbox_receive(inbox, trp_inbox_now(inbox) + limit_ms * INT64_C(1000000), &in);
      assert_int_equal(result, 1);
      check_batch(&in, next);
      trp_in_reset(&in);
      left--;
    }
  }
  assert_int_equal(trp_inbox_receive(inbox, 0, &in), 0);
  for (uint32_t i = 0; i < SENDERS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(senders[i].error, 0);
    assert_int_equal(next[i], count);
  }
  trp_in_free(&in);
  close(epoll_fd);
  trp_inbox_close(inbox);
  trp_hub_free(&hub);
}

static uint64_t many(uint64_t count) {
  int slow = trp_test_slow();
  return slow > 1 ? count / 40 : count;
}

static void a_million_batches_arrive_by_poll(void **state) {
  (void)state;
  receive_many(BY_POLL, many(250000), false);
}

static void a_million_batches_arrive_by_epoll(void **state) {
  (void)state;
  receive_many(BY_EPOLL, many(250000), false);
}

static void a_million_batches_arrive_by_blocking(void **state) {
  (void)state;
  receive_many(BLOCKING, many(250000), false);
}

static void a_trickle_wakes_whoever_sleeps_by_poll(void **state) {
  (void)state;
  receive_many(BY_POLL, many(10000), true);
}

static void a_trickle_wakes_whoever_sleeps_by_blocking(void **state) {
  (void)state;
  receive_many(BLOCKING, many(10000), true);
}

static void a_trickle_wakes_whoever_spins_first(void **state) {
  (void)state;
  receive_many(SPINNING, many(10000), true);
}

// ---- Two threads that answer each other sleep at every step ----

typedef struct {
  trp_hub_t *hub;
  uint64_t rounds;
  int error;
} echo_t;

static void *echo(void *argument) {
  echo_t *e = argument;
  trp_inbox_t *inbox = open_inbox(e->hub, 301);
  trp_pool_t *pool = NULL;
  trp_out_t out;
  trp_in_t in;
  if (inbox == NULL || trp_pool_new(&pool) != 0) {
    e->error = TROUPE_ENOMEM;
    return NULL;
  }
  trp_out_init(&out, actor(301), actor(300), pool);
  trp_in_init(&in);
  e->error = trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), 1) == NULL; // says that it is there
  for (uint64_t i = 0; i <= e->rounds && e->error == 0; i++) {
    e->error = trp_inbox_send(inbox, &out);
    if (i == e->rounds || e->error != 0) {
      break;
    }
    if (trp_inbox_receive(inbox, TRP_FOREVER, &in) != 1) {
      e->error = -1;
      break;
    }
    trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), 1);
    const trp_message_t *came = in.batch->messages[0];
    e->error = trp_out_attach(&out, message, trp_in_frame(&in, came), came->offset, came->length);
    trp_in_reset(&in);
  }
  trp_out_free(&out);
  trp_in_free(&in);
  trp_pool_close(&pool);
  trp_inbox_close(inbox);
  trp_frame_thread_end();
  return NULL;
}

static void a_payload_goes_to_and_fro_between_two_threads(void **state) {
  (void)state;
  echo_t e = {.rounds = many(20000)};
  assert_int_equal(trp_hub_new(&e.hub), 0);
  trp_inbox_t *inbox = open_inbox(e.hub, 300);
  assert_non_null(inbox);
  pthread_t thread;
  trp_pool_t *pool = NULL;
  trp_out_t out;
  trp_in_t in;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_out_init(&out, actor(300), actor(301), pool);
  trp_in_init(&in);
  assert_int_equal(pthread_create(&thread, NULL, echo, &e), 0);
  assert_int_equal(trp_inbox_receive(inbox, TRP_FOREVER, &in), 1);
  for (uint64_t i = 0; i < e.rounds; i++) {
    // Three quarters of a block at a time, so that blocks come back from the other thread.
    size_t room = 0;
    uint8_t *target = trp_out_reserve(&out, 65536, &room);
    assert_non_null(target);
    memcpy(target, &i, sizeof i);
    memcpy(target + 65536 - sizeof i, &i, sizeof i);
    trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), 1);
    assert_int_equal(trp_out_commit(&out, message, 65536), 0);
    assert_int_equal(trp_inbox_send(inbox, &out), 0);
    trp_in_reset(&in);
    assert_int_equal(trp_inbox_receive(inbox, TRP_FOREVER, &in), 1);
    const uint8_t *payload = trp_in_payload(&in, in.batch->messages[0]);
    assert_memory_equal(payload, &i, sizeof i);
    assert_memory_equal(payload + 65536 - sizeof i, &i, sizeof i);
  }
  pthread_join(thread, NULL);
  assert_int_equal(e.error, 0);
  trp_out_free(&out);
  trp_in_free(&in);
  trp_pool_close(&pool);
  trp_inbox_close(inbox);
  trp_hub_free(&e.hub);
}

typedef struct {
  trp_hub_t *hub;
  uint32_t rounds;
  int error;
} answerer_t;

static void *answer_each(void *argument) {
  answerer_t *answerer = argument;
  trp_pool_t *pool = NULL;
  trp_out_t out;
  trp_in_t in;
  trp_inbox_t *inbox = open_inbox(answerer->hub, 81);
  if (inbox == NULL || trp_pool_new(&pool) != 0) {
    answerer->error = TROUPE_ENOMEM;
    return NULL;
  }
  trp_in_init(&in);
  trp_out_init(&out, actor(81), actor(80), pool);
  for (uint32_t i = 0; i <= answerer->rounds && answerer->error == 0; i++) {
    if (i > 0 && trp_inbox_receive(inbox, TRP_FOREVER, &in) != 1) {
      answerer->error = TROUPE_EBADMESSAGE;
    }
    trp_in_reset(&in);
    trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), 1);
    if (answerer->error == 0) {
      answerer->error = trp_inbox_send(inbox, &out);
    }
  }
  trp_in_free(&in);
  trp_out_free(&out);
  trp_pool_close(&pool);
  trp_inbox_close(inbox);
  trp_frame_thread_end();
  return NULL;
}

// A receiver may have a batch before its sender has counted it. That is not one more to come, or a
// loop that asks before it sleeps would keep the sender from the core that it needs to count.
static void a_batch_that_was_received_is_not_pending(void **state) {
  (void)state;
  trp_test_limit(150000);
  answerer_t answerer = {.rounds = trp_test_slow() > 1 ? 2000 : 20000};
  trp_pool_t *pool = NULL;
  trp_out_t out;
  trp_in_t in;
  pthread_t thread;
  assert_int_equal(trp_hub_new(&answerer.hub), 0);
  trp_inbox_t *inbox = open_inbox(answerer.hub, 80);
  assert_non_null(inbox);
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_in_init(&in);
  trp_out_init(&out, actor(80), actor(81), pool);
  assert_int_equal(pthread_create(&thread, NULL, answer_each, &answerer), 0);
  for (uint32_t i = 0; i <= answerer.rounds; i++) {
    while (trp_inbox_receive(inbox, 0, &in) == 0) {
    }
    assert_int_equal(in.batch->n_messages, 1);
    assert_false(trp_pipes_pending(inbox));
    assert_false(trp_inbox_look(inbox, TRP_FOREVER));
    trp_in_reset(&in);
    if (i < answerer.rounds) {
      trp_out_add(&out, TRP_KIND(EVENT_MESSAGE), 1);
      assert_int_equal(trp_inbox_send(inbox, &out), 0);
    }
  }
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(answerer.error, 0);
  trp_in_free(&in);
  trp_out_free(&out);
  trp_pool_close(&pool);
  trp_inbox_close(inbox);
  trp_hub_free(&answerer.hub);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_million_batches_arrive_by_poll),
      trp_test(a_million_batches_arrive_by_epoll),
      trp_test(a_million_batches_arrive_by_blocking),
      trp_test(a_trickle_wakes_whoever_sleeps_by_poll),
      trp_test(a_trickle_wakes_whoever_sleeps_by_blocking),
      trp_test(a_trickle_wakes_whoever_spins_first),
      trp_test(a_payload_goes_to_and_fro_between_two_threads),
      trp_test_that_leaves_nothing(a_batch_that_was_received_is_not_pending),
  };
  return TRP_RUN_TESTS_IN_GROUP("pipes_threads", tests, NULL, end_frames);
}
