// What becomes of a connection at the actor that it is given to.
#include <pthread.h>

#include "core/net/socket.h"
#include "tests/net/give.h"
#include "tests/net/no_memory.h"
#include "tests/support/service.h"

static void ignore_timer(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
}

static int waiting_main(void *argument) {
  (void)argument;
  int error = troupe_actor_on_handed(NULL, NULL);
  if (error == 0) {
    error = troupe_timer_start(NULL, 1000000, 0, ignore_timer, NULL);
  }
  return error != 0 ? error : troupe_actor_run();
}

static void connections_for_an_actor_that_wants_none_are_closed(void **state) {
  (void)state;
  play_t play = {.taker_main = waiting_main, .giver.hook = give_at_once, .stops = true};
  play_it(&play, receive_end);
  assert_string_equal(play.giver.log, "accepted given server-close ");
}

static void on_count(troupe_server_t server, uint64_t count, void *context) {
  (void)server;
  play_t *play = context;
  play->count = count;
  /* Only now may the taker end it. */
  expect(&play->giver, troupe_send(play->taker_id, "end", 3) == 0);
}

static void ask_the_count(side_t *side, const char *event) {
  give_at_once(side, event);
  if (is(event, "given")) {
    expect(side, troupe_server_get_connections(side->play->server, on_count, side->play) == 0);
  }
}

static void end_when_told(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  side_t *side = context;
  troupe_socket_destroy(side->socket, 0);
  troupe_actor_on_message(NULL, NULL);
}

static void wait_to_be_told(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_actor_on_message(end_when_told, side) == 0);
  }
}

static void a_connection_counts_in_its_server_wherever_it_lives(void **state) {
  (void)state;
  play_t play = {.giver.hook = ask_the_count, .taker.hook = wait_to_be_told};
  play_it(&play, receive_end);
  assert_int_equal(play.count, 1);
  assert_string_equal(play.giver.log, "accepted given server-close ");
  assert_string_equal(play.taker.log, "handed close ");
}

// ---- Without memory ----

static size_t missing; /* allocations of this size fail at the taker */

static int poor_main(void *argument) {
  play_t *play = argument;
  play->taker.play = play;
  int error = troupe_actor_on_handed(on_handed, &play->taker);
  fail_size = missing;
  error = error != 0 ? error : troupe_actor_run();
  fail_size = 0;
  return error;
}

static void give_to_a_poor_one(size_t size) {
  play_t play = {.taker_main = poor_main, .giver.hook = give_what_waits, .stops = true};
  missing = size;
  play_it(&play, send_and_be_cut_off);
  assert_string_equal(play.giver.log, "accepted there given server-close ");
  assert_string_equal(play.taker.log, "");
}

static void a_connection_for_which_the_receiver_has_no_memory_is_closed(void **state) {
  (void)state;
  if (!OWN_MALLOC) {
    skip();
  }
  give_to_a_poor_one(sizeof(trp_socket_t));
  give_to_a_poor_one(sizeof(trp_unread_t)); // for what goes along
}

// ---- A receiver that ends before it hears of them ----

enum { GIVEN = 6 };

typedef struct {
  pthread_mutex_t gate; // the receiver waits there, in a callback
  troupe_actor_t receiver;
  atomic_bool waits;
  atomic_uint given, handed;
} doomed_t;

static void on_doomed_given(troupe_socket_t socket, int error, void *context) {
  doomed_t *doomed = context;
  (void)socket;
  atomic_fetch_add(&doomed->given, error == 0 ? 1 : 0);
}

static void on_doomed_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  doomed_t *doomed = context;
  (void)server;
  (void)troupe_socket_give(socket, doomed->receiver, "a message", 9, on_doomed_given, doomed);
}

static int doomed_giver_main(void *argument) {
  static const troupe_server_handlers_t server_handlers = {.on_connection = on_doomed_connection};
  int error = test_listen(NULL, &server_handlers, argument, NULL, &port);
  return error != 0 ? error : troupe_actor_run();
}

static void on_doomed_handed(troupe_socket_t socket, troupe_actor_t from,
                             const troupe_chunk_t *message, void *context) {
  doomed_t *doomed = context;
  (void)socket;
  (void)from;
  (void)message;
  atomic_fetch_add(&doomed->handed, 1);
}

static void wait_and_end(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  doomed_t *doomed = context;
  (void)from;
  (void)message;
  atomic_store(&doomed->waits, true);
  pthread_mutex_lock(&doomed->gate);
  pthread_mutex_unlock(&doomed->gate);
  troupe_actor_end(0);
}

static int doomed_main(void *argument) {
  int error = troupe_actor_on_handed(on_doomed_handed, argument);
  if (error == 0) {
    error = troupe_actor_on_message(wait_and_end, argument);
  }
  return error != 0 ? error : troupe_actor_run();
}

static bool it_waits(void *argument) {
  return atomic_load(&((doomed_t *)argument)->waits);
}

static bool all_are_given(void *argument) {
  return atomic_load(&((doomed_t *)argument)->given) == GIVEN;
}

static void give_to_one_that_ends(unsigned io_actors) {
  doomed_t doomed = {0};
  troupe_system_t *system = NULL;
  int fds[GIVEN];
  assert_int_equal(pthread_mutex_init(&doomed.gate, NULL), 0);
  assert_int_equal(troupe_system_new(&(troupe_system_options_t){.io_threads = io_actors}, &system),
                   0);
  troupe_spawn_options_t receiver = {.name = "doomed", .main = doomed_main, .argument = &doomed};
  troupe_spawn_options_t giver = {.name = "giver", .main = doomed_giver_main, .argument = &doomed};
  assert_int_equal(troupe_spawn(system, &receiver, &doomed.receiver), 0);
  assert_int_equal(troupe_spawn(system, &giver, NULL), 0);
  pthread_mutex_lock(&doomed.gate);
  assert_int_equal(troupe_post(system, doomed.receiver, "", 0), 0);
  assert_true(trp_test_wait_until(it_waits, &doomed, LIMIT_MS));
  for (int i = 0; i < GIVEN; i++) {
    fds[i] = trp_test_connect_tcp("127.0.0.1", atomic_load(&port), LIMIT_MS);
    assert_true(fds[i] >= 0);
    send_text(fds[i], "to whom it may concern");
  }
  assert_true(trp_test_wait_until(all_are_given, &doomed, LIMIT_MS)); // all it is promised
  test_service_t service = {.system = system};
  test_service_wait_for_sockets(&service, GIVEN); // nobody has closed them
  pthread_mutex_unlock(&doomed.gate);
  for (int i = 0; i < GIVEN; i++) {
    char byte;
    assert_true(trp_test_receive(fds[i], &byte, 1, LIMIT_MS) <= 0);
    trp_test_close(fds[i]);
  }
  assert_int_equal(troupe_actor_join(system, doomed.receiver, LIMIT_MS * trp_test_slow(), NULL), 0);
  assert_int_equal(atomic_load(&doomed.handed), 0);
  assert_int_equal(troupe_system_stop(system, 0), 0);
  assert_int_equal(troupe_system_wait(system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  test_system_wait_until_empty(system);
  assert_int_equal(troupe_system_free(&system), 0);
  pthread_mutex_destroy(&doomed.gate);
}

static void connections_end_with_a_receiver_that_never_heard_of_them(void **state) {
  (void)state;
  give_to_one_that_ends(1);
  give_to_one_that_ends(3);
}

int main(void) {
  fill_much();
  const struct CMUnitTest tests[] = {
      trp_test(connections_for_an_actor_that_wants_none_are_closed),
      trp_test(a_connection_for_which_the_receiver_has_no_memory_is_closed),
      trp_test(connections_end_with_a_receiver_that_never_heard_of_them),
      trp_test(a_connection_counts_in_its_server_wherever_it_lives),
  };
  return TRP_RUN_TESTS("give receiver", tests);
}
