#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <troupe/cmocka.h>

#include "tests/actor/attached.h"

static bool readable(int timeout_ms) {
  struct pollfd ready = {.fd = troupe_attach_fd(), .events = POLLIN};
  return poll(&ready, 1, timeout_ms) == 1;
}

// Goes on until nothing holds the actor.
static void run_by_poll(void) {
  int held = 0;
  while ((held = troupe_dispatch()) > 0) {
    assert_true(readable(SCENE_LIMIT_MS * trp_test_slow()));
  }
  assert_int_equal(held, 0);
}

static void attach(const char *name) {
  troupe_attach_options_t options = {.name = name};
  troupe_actor_t actor = {0};
  assert_int_equal(troupe_attach(scene, &options, &actor), 0);
  assert_int_equal(troupe_actor_self().id, actor.id);
  assert_true(actor.id != 0);
}

// ---- Becoming an actor, and ceasing to be one ----

static void an_attached_thread_is_an_actor_until_it_detaches(void **state) {
  (void)state;
  troupe_actor_t found = {0};
  attach("main");
  assert_string_equal(troupe_actor_name(), "main");
  assert_int_equal(troupe_actor_find(scene, "main", 0, &found), 0);
  assert_int_equal(found.id, troupe_actor_self().id);
  assert_true(troupe_attach_fd() >= 0);
  assert_int_equal(troupe_dispatch(), 0);
  assert_int_equal(troupe_attach(scene, NULL, NULL), TROUPE_EALREADY);
  troupe_system_t *system = scene;
  assert_int_equal(troupe_system_free(&system), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_detach(3), 0);
  assert_int_equal(troupe_actor_self().id, 0);
  int status = 0;
  assert_int_equal(troupe_actor_join(scene, found, 0, &status), 0);
  assert_int_equal(status, 3);
  assert_int_equal(troupe_actor_find(scene, "main", 0, NULL), TROUPE_ENOACTOR);
}

static void a_thread_that_is_not_attached_is_told_so(void **state) {
  (void)state;
  assert_int_equal(troupe_attach_fd(), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_dispatch(), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_flush(), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_attach_look(), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_detach(0), TROUPE_EWRONGTHREAD);
  assert_false(troupe_actor_held());
  assert_int_equal(troupe_attach(NULL, NULL, NULL), TROUPE_EINVAL);
  troupe_attach_options_t options = {.name = "a/b"};
  assert_int_equal(troupe_attach(scene, &options, NULL), TROUPE_EINVAL);
}

static int not_attached_actor(void *argument) {
  (void)argument;
  expect(troupe_attach_fd() == TROUPE_EWRONGTHREAD);
  expect(troupe_dispatch() == TROUPE_EWRONGTHREAD);
  expect(troupe_detach(0) == TROUPE_EWRONGTHREAD);
  return troupe_attach(scene, NULL, NULL);
}

static void a_spawned_actor_cannot_be_attached(void **state) {
  (void)state;
  troupe_spawn_options_t options = {.main = not_attached_actor};
  assert_int_equal(troupe_spawn(scene, &options, NULL), TROUPE_EALREADY);
}

static void a_system_that_stops_takes_no_more_threads(void **state) {
  (void)state;
  assert_int_equal(troupe_system_stop(scene, 0), 0);
  assert_int_equal(troupe_attach(scene, NULL, NULL), TROUPE_ESTOPPED);
  assert_int_equal(troupe_actor_self().id, 0);
}

static void a_thread_attaches_as_often_as_it_likes(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    attach("again");
    assert_int_equal(troupe_timer_start(NULL, 0, 0, attached_beat, &(attached_echo_t){.open = 1}),
                     0);
    run_by_poll();
    assert_int_equal(troupe_detach(0), 0);
  }
}

typedef struct {
  pthread_t thread;
  bool attached;
} stranger_t;

static void *leave_without_a_word(void *argument) {
  stranger_t *stranger = argument;
  troupe_attach_options_t options = {.name = "stranger"};
  stranger->attached = troupe_attach(scene, &options, NULL) == 0;
  troupe_server_t server;
  expect(troupe_server_new(NULL, NULL, NULL, &server) == 0);
  expect(troupe_server_listen_port(server, 0, "127.0.0.1", 0) == 0);
  return NULL;
}

static void a_thread_that_ends_is_detached(void **state) {
  (void)state;
  stranger_t stranger;
  assert_int_equal(pthread_create(&stranger.thread, NULL, leave_without_a_word, &stranger), 0);
  assert_int_equal(pthread_join(stranger.thread, NULL), 0);
  assert_true(stranger.attached);
  assert_int_equal(troupe_system_wait(scene, 0, NULL, 0, NULL), 0);
}

static void note_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  (void)actor;
  expect(reason == TROUPE_REASON_FAILED);
  *(int *)context = status;
}

static void *detach_at_once(void *argument) {
  expect(troupe_attach(scene, NULL, argument) == 0);
  expect(troupe_detach(-9) == 0);
  return NULL;
}

static void who_watches_an_attached_thread_hears_of_its_end(void **state) {
  (void)state;
  troupe_actor_t other = {0};
  attach("watcher");
  stranger_t stranger;
  assert_int_equal(pthread_create(&stranger.thread, NULL, detach_at_once, &other), 0);
  // The watch may come before the end or after it; from then on nothing is known of its reason.
  assert_int_equal(pthread_join(stranger.thread, NULL), 0);
  int status = 0;
  assert_int_equal(troupe_watch(other, note_down, &status), 0);
  assert_true(troupe_actor_held());
  assert_int_equal(troupe_unwatch(other), 0);
  assert_false(troupe_actor_held());
  assert_int_equal(troupe_detach(0), 0);
}

// ---- The descriptor ----

static void nothing_to_do_leaves_the_descriptor_alone(void **state) {
  (void)state;
  attach("idle");
  assert_int_equal(troupe_dispatch(), 0);
  assert_false(readable(0));
  troupe_timer_t timer;
  assert_int_equal(troupe_timer_start(&timer, 3600 * 1000, 0, attached_beat, NULL), 0);
  assert_true(readable(0)); // to be armed
  assert_int_equal(troupe_dispatch(), 1);
  assert_false(readable(0));
  assert_int_equal(troupe_timer_stop(timer), 0);
  assert_false(troupe_actor_held());
  assert_int_equal(troupe_detach(0), 0);
}

static void timers_make_the_descriptor_readable(void **state) {
  (void)state;
  attach("timers");
  attached_echo_t echo = {.open = 1};
  int64_t began = trp_test_now_ms();
  assert_int_equal(troupe_timer_start(NULL, 30, 0, attached_beat, &echo), 0);
  assert_int_equal(troupe_timer_start(NULL, 3600 * 1000, 0, attached_beat, &echo), 0);
  while (echo.beats == 0) {
    assert_int_equal(troupe_dispatch(), 1);
    assert_true(echo.beats > 0 || readable(SCENE_LIMIT_MS * trp_test_slow()));
  }
  assert_in_range(trp_test_now_ms() - began, 29, SCENE_LIMIT_MS * trp_test_slow());
  assert_false(readable(0));
  assert_int_equal(troupe_detach(0), 0);
}

static void a_timer_counts_from_the_call_that_starts_it(void **state) {
  (void)state;
  attach("late");
  assert_int_equal(troupe_dispatch(), 0);
  int64_t before = troupe_now();
  assert_true(before > 0);
  readable(50); // time goes by outside of dispatches
  assert_true(troupe_now() - before >= 49 * (int64_t)1000000);
  attached_echo_t echo = {.open = 1};
  int64_t began = trp_test_now_ms();
  assert_int_equal(troupe_timer_start(NULL, 40, 0, attached_beat, &echo), 0);
  run_by_poll();
  assert_int_equal(echo.beats, 1);
  assert_true(trp_test_now_ms() - began >= 39);
  assert_int_equal(troupe_detach(0), 0);
}

static void what_is_flushed_by_hand_waits_for_it(void **state) {
  (void)state;
  troupe_attach_options_t options = {.flush_by_hand = true};
  assert_int_equal(troupe_attach(scene, &options, NULL), 0);
  assert_int_equal(troupe_dispatch(), 0);
  troupe_server_t server;
  assert_int_equal(troupe_server_new(NULL, NULL, NULL, &server), 0);
  assert_int_equal(troupe_server_listen_port(server, 0, "127.0.0.1", 0), 0);
  assert_true(troupe_actor_held());
  assert_false(readable(20));
  assert_int_equal(troupe_flush(), 0);
  assert_true(readable(SCENE_LIMIT_MS * trp_test_slow()));
  assert_int_equal(troupe_dispatch(), 1);
  assert_true(troupe_server_listening(server));
  // What the library put off for after the call needs a dispatch; the flush sees to it.
  troupe_socket_t socket;
  assert_int_equal(troupe_socket_new(NULL, NULL, NULL, &socket), 0);
  assert_int_equal(troupe_socket_destroy(socket, 0), 0);
  assert_int_equal(troupe_flush(), 0);
  assert_true(readable(0));
  assert_int_equal(troupe_dispatch(), 1);
  assert_false(readable(0));
  assert_int_equal(troupe_detach(0), 0);
}

static void a_look_tells_whether_there_is_something_to_dispatch(void **state) {
  (void)state;
  troupe_attach_options_t options = {.flush_by_hand = true};
  assert_int_equal(troupe_attach(scene, &options, NULL), 0);
  assert_int_equal(troupe_dispatch(), 0);
  for (int i = 0; i < 100; i++) {
    assert_int_equal(troupe_attach_look(), 0);
  }
  troupe_server_t server;
  assert_int_equal(troupe_server_new(NULL, NULL, NULL, &server), 0);
  assert_int_equal(troupe_server_listen_port(server, 0, "127.0.0.1", 0), 0);
  assert_int_equal(troupe_flush(), 0);
  int64_t limit = trp_test_now_ms() + SCENE_LIMIT_MS * trp_test_slow();
  while (troupe_attach_look() == 0 && trp_test_now_ms() < limit) {
  }
  assert_int_equal(troupe_attach_look(), 1);
  assert_int_equal(troupe_dispatch(), 1);
  assert_true(troupe_server_listening(server));
  assert_int_equal(troupe_attach_look(), 0);
  // A timer that is due is something, and so is work that was put off.
  attached_echo_t echo = {.open = 1};
  assert_int_equal(troupe_timer_start(NULL, 20, 0, attached_beat, &echo), 0);
  assert_int_equal(troupe_dispatch(), 1);
  assert_int_equal(troupe_attach_look(), 0);
  while (troupe_attach_look() == 0 && trp_test_now_ms() < limit) {
  }
  assert_int_equal(troupe_attach_look(), 1);
  assert_int_equal(troupe_dispatch(), 1);
  assert_int_equal(echo.beats, 1);
  troupe_socket_t socket;
  assert_int_equal(troupe_socket_new(NULL, NULL, NULL, &socket), 0);
  assert_int_equal(troupe_socket_destroy(socket, 0), 0);
  assert_int_equal(troupe_flush(), 0);
  assert_int_equal(troupe_attach_look(), 1);
  assert_int_equal(troupe_detach(0), 0);
}

// ---- A loop around it ----

static void a_service_runs_in_a_poll_loop(void **state) {
  (void)state;
  attach("service");
  attached_echo_t echo = {.clients = 20, .rounds = 50};
  assert_int_equal(attached_begin(&echo), 0);
  assert_true(troupe_actor_held());
  run_by_poll();
  attached_check(&echo);
  assert_int_equal(troupe_detach(0), 0);
}

static void a_loop_may_look_before_it_sleeps(void **state) {
  (void)state;
  attach("looker");
  attached_echo_t echo = {.clients = 4, .rounds = 500};
  assert_int_equal(attached_begin(&echo), 0);
  while (troupe_dispatch() > 0) {
    assert_true(troupe_attach_look() == 1 || readable(SCENE_LIMIT_MS * trp_test_slow()));
  }
  attached_check(&echo);
  assert_int_equal(troupe_detach(0), 0);
}

static void an_attached_thread_may_run_as_a_spawned_one(void **state) {
  (void)state;
  attach("runner");
  attached_echo_t echo = {.clients = 3, .rounds = 5};
  assert_int_equal(attached_begin(&echo), 0);
  assert_int_equal(troupe_actor_run(), 0);
  attached_check(&echo);
  echo = (attached_echo_t){.clients = 2, .rounds = 2};
  assert_int_equal(attached_begin(&echo), 0);
  run_by_poll();
  attached_check(&echo);
  assert_int_equal(troupe_detach(0), 0);
}

static void call_inside(troupe_timer_t timer, void *context) {
  (void)timer;
  assert_int_equal(troupe_dispatch(), TROUPE_EBUSY);
  assert_int_equal(troupe_attach_look(), TROUPE_EBUSY);
  assert_int_equal(troupe_detach(0), TROUPE_EBUSY);
  assert_int_equal(troupe_flush(), 0);
  assert_int_equal(troupe_actor_end(-5), 0);
  ++*(int *)context;
}

static void a_callback_can_leave_the_dispatch(void **state) {
  (void)state;
  attach("leaves");
  int calls = 0;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(troupe_timer_start(NULL, 0, 0, call_inside, &calls), 0);
  }
  for (int i = 1; i <= 3; i++) {
    assert_true(readable(SCENE_LIMIT_MS * trp_test_slow()));
    assert_int_equal(troupe_dispatch(), -5);
    assert_int_equal(calls, i);
  }
  assert_int_equal(troupe_dispatch(), 0);
  assert_false(readable(0));
  assert_int_equal(troupe_detach(0), 0);
}

static void end_well(troupe_timer_t timer, void *context) {
  (void)timer;
  assert_int_equal(troupe_actor_end(*(const int *)context), 0);
}

static void an_end_without_an_error_ends_the_loop_too(void **state) {
  (void)state;
  static const int statuses[] = {0, 7};
  attach("ends well");
  troupe_server_t server; // holds the actor
  assert_int_equal(troupe_server_new(NULL, NULL, NULL, &server), 0);
  assert_int_equal(troupe_server_listen_port(server, 0, "127.0.0.1", 0), 0);
  assert_int_equal(troupe_server_listen_wait(server, SCENE_LIMIT_MS * trp_test_slow()), 0);
  for (size_t i = 0; i < 2; i++) {
    int status = statuses[i];
    assert_int_equal(troupe_timer_start(NULL, 0, 0, end_well, &status), 0);
    run_by_poll();
    assert_int_equal(troupe_dispatch(), 1); // it may go on
  }
  assert_int_equal(troupe_detach(0), 0);
}

static void note_stop(void *context) {
  ++*(int *)context;
}

static void an_attached_thread_is_stopped_like_any_actor(void **state) {
  (void)state;
  attach("stopped");
  int stops = 0;
  assert_int_equal(troupe_actor_on_stop(note_stop, &stops), 0);
  troupe_server_t server;
  assert_int_equal(troupe_server_new(NULL, NULL, NULL, &server), 0);
  assert_int_equal(troupe_server_listen_port(server, 0, "127.0.0.1", 0), 0);
  assert_int_equal(troupe_server_listen_wait(server, SCENE_LIMIT_MS * trp_test_slow()), 0);
  assert_int_equal(troupe_system_stop(scene, 1000), 0);
  run_by_poll();
  assert_int_equal(stops, 1);
  assert_int_equal(troupe_detach(0), 0);
}

static void what_an_attached_thread_owned_is_closed_when_it_detaches(void **state) {
  (void)state;
  attach("owner");
  troupe_server_t server;
  troupe_address_t address;
  assert_int_equal(troupe_server_new(NULL, NULL, NULL, &server), 0);
  assert_int_equal(troupe_server_listen_port(server, 0, "127.0.0.1", 0), 0);
  assert_int_equal(troupe_server_listen_wait(server, SCENE_LIMIT_MS * trp_test_slow()), 0);
  assert_int_equal(troupe_server_address(server, &address), 0);
  int fd = trp_test_connect_tcp("127.0.0.1", address.port, SCENE_LIMIT_MS);
  assert_true(fd >= 0);
  assert_int_equal(troupe_detach(0), 0);
  char byte = 0;
  // The connection may be with the actor or on its way to it; it ends all the same.
  int64_t received = trp_test_receive(fd, &byte, 1, SCENE_LIMIT_MS);
  assert_true(received == 0 || received == -ECONNRESET);
  trp_test_close(fd);
}

// ---- No wake-up is lost ----

enum { SENDERS = 4, TOKENS = 3 };

typedef struct {
  troupe_actor_t to;
  int left;
} sender_t;

static void send_back(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  sender_t *sender = context;
  if (--sender->left <= 0) {
    troupe_actor_end(0);
    return;
  }
  expect(troupe_send_chunk(from, message) == 0);
}

static int sender_actor(void *argument) {
  sender_t *sender = argument;
  expect(troupe_actor_on_message(send_back, sender) == 0);
  for (int i = 0; i < TOKENS; i++) {
    expect(troupe_send(sender->to, "t", 1) == 0);
  }
  return troupe_actor_run();
}

static void bounce(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  ++*(int64_t *)context;
  int error = troupe_send_chunk(from, message);
  expect(error == 0 || error == TROUPE_ENOACTOR);
}

static void sender_ended(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  (void)actor;
  (void)reason;
  (void)status;
  if (--*(int *)context == 0) {
    expect(troupe_actor_on_message(NULL, NULL) == 0);
  }
}

static void no_batch_is_slept_on(void **state) {
  (void)state;
  trp_test_limit(120000);
  const char *batches = getenv("TROUPE_TEST_BATCHES"); // for a longer run by hand
  int each = (batches == NULL ? 200000 / trp_test_slow() : atoi(batches)) / SENDERS;
  attach("middle");
  int64_t bounced = 0;
  int running = SENDERS;
  sender_t senders[SENDERS];
  assert_int_equal(troupe_actor_on_message(bounce, &bounced), 0);
  for (int i = 0; i < SENDERS; i++) {
    senders[i] = (sender_t){.to = troupe_actor_self(), .left = each};
    troupe_actor_t actor = scene_start("sender", sender_actor, &senders[i]);
    assert_int_equal(troupe_watch(actor, sender_ended, &running), 0);
  }
  run_by_poll();
  assert_int_equal(running, 0);
  assert_true(bounced >= (int64_t)SENDERS * each);
  assert_int_equal(troupe_detach(0), 0);
}

// ---- Traces ----

static int echo_main(void *argument) {
  int error = attached_begin(argument);
  return error < 0 ? error : troupe_actor_run();
}

static void what_an_attached_thread_did_replays(void **state) {
  (void)state;
  char path[256];
  troupe_record_options_t options = {.directory = trp_test_folder()};
  assert_int_equal(troupe_record_start(scene, &options), 0);
  attach("taped");
  attached_echo_t echo = {.clients = 5, .rounds = 20};
  assert_int_equal(attached_begin(&echo), 0);
  run_by_poll();
  attached_check(&echo);
  assert_int_equal(troupe_detach(0), 0);
  troupe_record_report_t report;
  assert_int_equal(troupe_record_stop(scene, &report), 0);
  assert_int_equal(report.error, 0);
  snprintf(path, sizeof path, "%s/taped-0.trace", trp_test_folder());
  echo = (attached_echo_t){.clients = 5, .rounds = 20};
  troupe_assert_replays(echo_main, &echo, path);
  assert_int_equal(echo.closed, 5);
  // Another service does not.
  echo = (attached_echo_t){.clients = 6, .rounds = 20};
  assert_int_equal(troupe_replay(echo_main, &echo, path, NULL), TROUPE_EDIFFERS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(an_attached_thread_is_an_actor_until_it_detaches),
      in_scene(a_thread_that_is_not_attached_is_told_so),
      in_scene(a_spawned_actor_cannot_be_attached),
      in_scene(a_system_that_stops_takes_no_more_threads),
      in_scene(a_thread_attaches_as_often_as_it_likes),
      in_scene(a_thread_that_ends_is_detached),
      in_scene(who_watches_an_attached_thread_hears_of_its_end),
      in_scene(nothing_to_do_leaves_the_descriptor_alone),
      in_scene(timers_make_the_descriptor_readable),
      in_scene(a_timer_counts_from_the_call_that_starts_it),
      in_scene(what_is_flushed_by_hand_waits_for_it),
      in_scene(a_look_tells_whether_there_is_something_to_dispatch),
      in_scene(a_service_runs_in_a_poll_loop),
      in_scene(a_loop_may_look_before_it_sleeps),
      in_scene(an_attached_thread_may_run_as_a_spawned_one),
      in_scene(a_callback_can_leave_the_dispatch),
      in_scene(an_end_without_an_error_ends_the_loop_too),
      in_scene(an_attached_thread_is_stopped_like_any_actor),
      in_scene(what_an_attached_thread_owned_is_closed_when_it_detaches),
      in_scene(no_batch_is_slept_on),
      in_scene(what_an_attached_thread_did_replays),
  };
  return TRP_RUN_TESTS("attach", tests);
}
