// A supervisor and its children, in a system each; what it did is replayed.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <troupe/troupe.h>
#include <unistd.h>

#include "tests/harness/harness.h"

enum { LIMIT_MS = 20000, CHILDREN = 3 };

// What children do, and what the test sees of them. Shared, as a test may.
typedef struct {
  atomic_uint starts[CHILDREN], ends[CHILDREN];
  atomic_int fails[CHILDREN]; // how often its set-up still fails
  atomic_int returns[CHILDREN];
  atomic_int port;
} seen_t;

static seen_t seen;
static char told[4096]; // by the supervisor: what became of children
static size_t told_length;

typedef struct {
  unsigned index;
  troupe_address_t address; // to listen on, if it has a port
} child_t;

static void on_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)context;
  int status = 0;
  memcpy(&status, troupe_chunk_bytes(message), sizeof status);
  if (status == 1) {
    pthread_exit(NULL);
  }
  troupe_actor_end(status);
}

// "die" ends the actor; everything else comes back.
static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  if (troupe_chunk_length(chunk) == 3) {
    troupe_actor_end(TROUPE_EIO);
  } else {
    troupe_socket_write_chunk(socket, chunk, NULL, NULL);
  }
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data};
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, context);
}

static int child_main(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  const child_t *child = argument;
  unsigned index = child->index;
  if (atomic_load(&seen.fails[index]) > 0) {
    atomic_fetch_sub(&seen.fails[index], 1);
    return TROUPE_ENXIO;
  }
  atomic_fetch_add(&seen.starts[index], 1);
  troupe_server_t server;
  int error = troupe_actor_on_message(on_message, NULL);
  if (error == 0 && child->address.port != 0) {
    error = troupe_server_new(NULL, &handlers, NULL, &server);
    if (error == 0) {
      troupe_listen_options_t options = {.address = &child->address};
      error = troupe_server_listen(server, &options);
    }
    if (error == 0) {
      error = troupe_server_listen_wait(server, LIMIT_MS * trp_test_slow());
    }
  }
  int status = error != 0 ? error : troupe_actor_run();
  atomic_fetch_add(&seen.ends[index], 1);
  return status;
}

static const child_t arguments[CHILDREN] = {{.index = 0}, {.index = 1}, {.index = 2}};
static const char *const names[CHILDREN] = {"first", "second", "third"};

static void on_child(size_t index, troupe_child_event_t event, troupe_actor_t actor, int status,
                     void *context) {
  (void)context;
  (void)actor;
  told_length += (size_t)snprintf(told + told_length, sizeof told - told_length, "%zu%s", index,
                                  event == TROUPE_CHILD_STARTED ? "+ "
                                  : event == TROUPE_CHILD_ENDED ? ""
                                                                : "!");
  if (event != TROUPE_CHILD_STARTED) {
    told_length += (size_t)snprintf(told + told_length, sizeof told - told_length, "(%d) ", status);
  }
}

static troupe_supervisor_options_t options;
static troupe_child_t children[CHILDREN];

static int supervise(void *argument) {
  (void)argument;
  return troupe_supervisor_run(&options);
}

static troupe_system_t *systems;

static int begin(void **state) {
  (void)state;
  memset(&seen, 0, sizeof seen);
  memset(told, 0, sizeof told);
  told_length = 0;
  for (int i = 0; i < CHILDREN; i++) {
    children[i] = (troupe_child_t){.name = names[i],
                                   .main = child_main,
                                   .argument = (void *)(uintptr_t)&arguments[i],
                                   .argument_size = sizeof arguments[i]};
  }
  options = (troupe_supervisor_options_t){.children = children,
                                          .child_count = CHILDREN,
                                          .on_child = on_child,
                                          .backoff_ms = 1,
                                          .grace_ms = LIMIT_MS};
  return troupe_system_new(NULL, &systems);
}

static troupe_actor_t start_supervisor(void) {
  troupe_record_options_t record = {.directory = trp_test_folder()};
  assert_int_equal(troupe_record_start(systems, &record), 0);
  troupe_actor_t actor;
  troupe_spawn_options_t spawn = {.name = "supervisor", .main = supervise};
  assert_int_equal(troupe_spawn(systems, &spawn, &actor), 0);
  return actor;
}

static int join(troupe_actor_t actor) {
  int status = 1;
  assert_int_equal(troupe_actor_join(systems, actor, LIMIT_MS * trp_test_slow(), &status), 0);
  return status;
}

// Everything stops, and the supervisor does the same again on its trace.
static void finish(bool replays) {
  assert_int_equal(troupe_system_stop(systems, 0), 0);
  assert_int_equal(troupe_system_wait(systems, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(systems, &counters), 0);
  assert_int_equal(counters.sockets, 0);
  assert_int_equal(counters.servers, 0);
  assert_int_equal(troupe_system_free(&systems), 0);
  if (!replays) {
    return;
  }
  char path[512], before[sizeof told];
  memcpy(before, told, sizeof told);
  memset(told, 0, sizeof told);
  told_length = 0;
  snprintf(path, sizeof path, "%s/supervisor-0.trace", trp_test_folder());
  troupe_replay_report_t report;
  int error = troupe_replay(supervise, NULL, path, &report);
  if (error != 0) {
    print_error("replay: %s\n%s\n", troupe_error_name(error), report.text);
  }
  assert_int_equal(error, 0);
  assert_string_equal(told, before);
}

typedef struct {
  const char *name;
  troupe_actor_t before;
  atomic_uint *count;
  unsigned at_least;
} wanted_t;

static bool is_there(void *argument) {
  const wanted_t *wanted = argument;
  troupe_actor_t actor;
  return troupe_actor_find(systems, wanted->name, 0, &actor) == 0 && actor.id != wanted->before.id;
}

static bool has_counted(void *argument) {
  const wanted_t *wanted = argument;
  return atomic_load(wanted->count) >= wanted->at_least;
}

static troupe_actor_t find(const char *name) {
  troupe_actor_t actor;
  assert_int_equal(troupe_actor_find(systems, name, 0, &actor), 0);
  return actor;
}

// Makes a child end, and waits until it is there again, under its name.
static troupe_actor_t end_and_wait(const char *name, int status) {
  wanted_t wanted = {.name = name, .before = find(name)};
  assert_int_equal(troupe_post(systems, wanted.before, &status, sizeof status), 0);
  assert_true(trp_test_wait_until(is_there, &wanted, LIMIT_MS));
  return find(name);
}

static void wait_for(atomic_uint *count, unsigned at_least) {
  wanted_t wanted = {.count = count, .at_least = at_least};
  assert_true(trp_test_wait_until(has_counted, &wanted, LIMIT_MS));
}

static void a_child_that_fails_is_started_again_and_no_other(void **state) {
  (void)state;
  start_supervisor();
  troupe_actor_t first = find("first"), third = find("third");
  end_and_wait("second", TROUPE_EIO);
  end_and_wait("second", 1); // by pthread_exit()
  assert_int_equal(find("first").id, first.id);
  assert_int_equal(find("third").id, third.id);
  assert_int_equal(atomic_load(&seen.starts[0]), 1);
  wait_for(&seen.starts[1], 3);
  finish(true);
  assert_int_equal(strncmp(told, "0+ 1+ 2+ 1(-5) 1+ 1(0) 1+ ", 26), 0);
}

static void a_child_that_returns_is_left_alone_unless_it_shall_run_always(void **state) {
  (void)state;
  children[1].restart = TROUPE_RESTART_ALWAYS;
  children[2].restart = TROUPE_RESTART_NEVER;
  troupe_actor_t supervisor = start_supervisor();
  int fine = 0, error = TROUPE_EIO;
  assert_int_equal(troupe_post(systems, find("first"), &fine, sizeof fine), 0);
  assert_int_equal(troupe_post(systems, find("third"), &error, sizeof error), 0);
  wait_for(&seen.ends[0], 1);
  wait_for(&seen.ends[2], 1);
  end_and_wait("second", 0);
  wait_for(&seen.starts[1], 2);
  assert_int_equal(atomic_load(&seen.starts[0]), 1);
  assert_int_equal(atomic_load(&seen.starts[2]), 1);
  assert_int_equal(troupe_actor_stop(systems, supervisor, LIMIT_MS), 0);
  assert_int_equal(join(supervisor), 0);
  finish(true);
}

static void a_supervisor_ends_with_its_last_child(void **state) {
  (void)state;
  troupe_actor_t supervisor = start_supervisor();
  int fine = 0;
  for (int i = 0; i < CHILDREN; i++) {
    assert_int_equal(troupe_post(systems, find(names[i]), &fine, sizeof fine), 0);
  }
  assert_int_equal(join(supervisor), 0);
  finish(true);
}

static void all_for_one_stops_the_others_and_starts_all(void **state) {
  (void)state;
  options.strategy = TROUPE_ALL_FOR_ONE;
  start_supervisor();
  troupe_actor_t first = find("first"), third = find("third");
  end_and_wait("second", TROUPE_EIO);
  wait_for(&seen.starts[2], 2);
  assert_int_equal(atomic_load(&seen.ends[0]), 1);
  assert_int_equal(atomic_load(&seen.ends[2]), 1);
  assert_int_equal(atomic_load(&seen.starts[0]), 2);
  wanted_t again = {.name = "third", .before = third};
  assert_true(trp_test_wait_until(is_there, &again, LIMIT_MS));
  assert_int_not_equal(find("first").id, first.id);
  finish(true);
}

static void too_many_failures_end_the_supervisor_and_all_children(void **state) {
  (void)state;
  options.max_restarts = 3;
  troupe_actor_t supervisor = start_supervisor();
  for (int i = 0; i < 3; i++) {
    end_and_wait("second", TROUPE_EIO);
  }
  int error = TROUPE_EIO;
  assert_int_equal(troupe_post(systems, find("second"), &error, sizeof error), 0);
  assert_int_equal(join(supervisor), TROUPE_ERESTARTS);
  assert_int_equal(atomic_load(&seen.starts[1]), 4);
  for (int i = 0; i < CHILDREN; i++) {
    troupe_actor_t actor;
    assert_int_equal(atomic_load(&seen.ends[i]), atomic_load(&seen.starts[i]));
    assert_int_equal(troupe_actor_find(systems, names[i], 0, &actor), TROUPE_ENOACTOR);
  }
  finish(true);
}

static void a_child_that_does_not_come_up_is_tried_again(void **state) {
  (void)state;
  start_supervisor();
  atomic_store(&seen.fails[1], 2);
  end_and_wait("second", TROUPE_EIO);
  wait_for(&seen.starts[1], 2);
  finish(true);
  assert_non_null(strstr(told, "1(-5) 1!(-6) 1!(-6) 1+ "));
}

static void the_first_start_fails_as_a_whole(void **state) {
  (void)state;
  troupe_actor_t actor;
  atomic_store(&seen.fails[2], 1);
  troupe_spawn_options_t spawn = {.name = "supervisor", .main = supervise};
  assert_int_equal(troupe_spawn(systems, &spawn, &actor), TROUPE_ENXIO);
  assert_int_equal(atomic_load(&seen.starts[0]), 1);
  assert_int_equal(atomic_load(&seen.ends[0]), 1);
  assert_int_equal(atomic_load(&seen.ends[1]), 1);
  assert_string_equal(told, "0+ 1+ 2!(-6) 1(0) 0(0) ");
  finish(false);
}

static void stopping_a_supervisor_stops_its_children_first(void **state) {
  (void)state;
  troupe_actor_t supervisor = start_supervisor();
  assert_int_equal(troupe_actor_stop(systems, supervisor, LIMIT_MS), 0);
  assert_int_equal(join(supervisor), 0);
  for (int i = 0; i < CHILDREN; i++) {
    assert_int_equal(atomic_load(&seen.ends[i]), 1);
  }
  finish(true);
}

static int end_at_once(void *argument) {
  (void)argument;
  int error = troupe_supervisor_run(NULL);
  static const troupe_child_t nothing;
  troupe_supervisor_options_t wrong = {.children = &nothing, .child_count = 1};
  return error == TROUPE_EINVAL && troupe_supervisor_run(&wrong) == TROUPE_EINVAL ? 7 : -1;
}

static void wrong_options_say_so(void **state) {
  (void)state;
  assert_int_equal(troupe_supervisor_run(&options), TROUPE_EWRONGTHREAD);
  troupe_actor_t actor;
  troupe_spawn_options_t spawn = {.main = end_at_once};
  assert_int_equal(troupe_spawn(systems, &spawn, &actor), 0);
  assert_int_equal(join(actor), 7);
  finish(false);
}

// ---- Addresses ----

static void listen_there(void *argument, const troupe_address_t *addresses, size_t count) {
  child_t *child = argument;
  if (count > 0) {
    child->address = addresses[0];
    atomic_store(&seen.port, addresses[0].port);
  }
}

static const troupe_listen_options_t anywhere = {.host = "127.0.0.1"};

static void share_an_address(void) {
  options.listens = &anywhere;
  options.listen_count = 1;
  for (int i = 0; i < CHILDREN; i++) {
    children[i].prepare = listen_there;
  }
}

static int connect_now(void) {
  return trp_test_connect_tcp("127.0.0.1", atomic_load(&seen.port), LIMIT_MS);
}

// Connects without a pause, and asks nothing.
typedef struct {
  atomic_bool over;
  unsigned connected;
  int failure;
} knocker_t;

static void *knock(void *argument) {
  knocker_t *knocker = argument;
  while (!atomic_load(&knocker->over) && knocker->failure == 0) {
    int fd = connect_now();
    if (fd < 0) {
      knocker->failure = fd;
    } else {
      knocker->connected++;
      trp_test_reset(fd);
    }
  }
  return NULL;
}

static void connect_never_fails_over_a_hundred_restarts(void **state) {
  enum { RESTARTS = 100 };
  (void)state;
  trp_test_limit(150000);
  share_an_address();
  options.child_count = 1; // when it is away, nobody serves
  options.max_restarts = 2 * RESTARTS;
  options.backoff_max_ms = 2;
  options.on_child = NULL;
  start_supervisor();
  knocker_t knocker = {0};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, knock, &knocker), 0);
  for (unsigned i = 0; i < RESTARTS; i++) {
    char answer[8] = "";
    int bystander = connect_now(), killer = connect_now();
    assert_true(bystander >= 0 && killer >= 0);
    assert_int_equal(trp_test_send(bystander, "hello", 5, LIMIT_MS), 0);
    assert_int_equal(trp_test_receive(bystander, answer, 5, LIMIT_MS), 5);
    assert_string_equal(answer, "hello");
    assert_int_equal(trp_test_send(killer, "die", 3, LIMIT_MS), 0);
    // All that the dead child owned is closed.
    int64_t end = trp_test_receive(bystander, answer, 1, LIMIT_MS);
    assert_true(end == 0 || end == -ECONNRESET);
    end = trp_test_receive(killer, answer, 1, LIMIT_MS);
    assert_true(end == 0 || end == -ECONNRESET);
    trp_test_close(bystander);
    trp_test_close(killer);
  }
  atomic_store(&knocker.over, true);
  pthread_join(thread, NULL);
  assert_int_equal(knocker.failure, 0);
  assert_true(knocker.connected >= RESTARTS);
  wait_for(&seen.starts[0], RESTARTS + 1);
  assert_int_equal(atomic_load(&seen.starts[0]), RESTARTS + 1);
  finish(true);
}

static void children_share_what_their_supervisor_holds(void **state) {
  (void)state;
  share_an_address();
  start_supervisor();
  int fds[CHILDREN];
  for (int i = 0; i < CHILDREN; i++) {
    char answer[8] = "";
    fds[i] = connect_now();
    assert_true(fds[i] >= 0);
    assert_int_equal(trp_test_send(fds[i], "hello", 5, LIMIT_MS), 0);
    assert_int_equal(trp_test_receive(fds[i], answer, 5, LIMIT_MS), 5);
  }
  // Each has one of them: the supervisor's share took none.
  char byte;
  assert_int_equal(trp_test_send(fds[0], "die", 3, LIMIT_MS), 0);
  assert_true(trp_test_receive(fds[0], &byte, 1, LIMIT_MS) <= 0);
  for (int i = 1; i < CHILDREN; i++) {
    assert_int_equal(trp_test_send(fds[i], "hi", 2, LIMIT_MS), 0);
    assert_int_equal(trp_test_receive(fds[i], &byte, 1, LIMIT_MS), 1);
  }
  for (int i = 0; i < CHILDREN; i++) {
    trp_test_close(fds[i]);
  }
  finish(true);
}

static void an_address_that_is_taken_is_the_supervisors_error(void **state) {
  (void)state;
  int port = 0;
  int taken = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(taken >= 0);
  troupe_listen_options_t there = {.host = "127.0.0.1", .port = port};
  options.listens = &there;
  options.listen_count = 1;
  troupe_actor_t actor;
  troupe_spawn_options_t spawn = {.name = "supervisor", .main = supervise};
  assert_int_equal(troupe_spawn(systems, &spawn, &actor), TROUPE_EADDRINUSE);
  assert_int_equal(atomic_load(&seen.starts[0]), 0);
  trp_test_close(taken);
  finish(false);
}

#define in_system(test) trp_test_with(test, begin, NULL)

int main(void) {
  const struct CMUnitTest tests[] = {
      in_system(a_child_that_fails_is_started_again_and_no_other),
      in_system(a_child_that_returns_is_left_alone_unless_it_shall_run_always),
      in_system(a_supervisor_ends_with_its_last_child),
      in_system(all_for_one_stops_the_others_and_starts_all),
      in_system(too_many_failures_end_the_supervisor_and_all_children),
      in_system(a_child_that_does_not_come_up_is_tried_again),
      in_system(the_first_start_fails_as_a_whole),
      in_system(stopping_a_supervisor_stops_its_children_first),
      in_system(wrong_options_say_so),
      in_system(connect_never_fails_over_a_hundred_restarts),
      in_system(children_share_what_their_supervisor_holds),
      in_system(an_address_that_is_taken_is_the_supervisors_error),
  };
  return TRP_RUN_TESTS("supervisor", tests);
}
