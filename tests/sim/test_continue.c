// Recordings that go on in a simulated world.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/cmocka.h>

#include "tests/sim/worlds.h"

static const troupe_sim_host_t hosts[] = {{"service", "10.0.0.1"}};

static const char *trace_of(const char *name) {
  static char path[512];
  snprintf(path, sizeof path, "%s/%s.trace", trp_test_folder(), name);
  return path;
}

// ---- A recording ----

static int record_workload(troupe_system_t *system, void *context) {
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  int error = troupe_record_start(system, &options);
  return error == 0 ? workload_start(system, context) : error;
}

// Nothing breaks in it; with a seed what is written does not go through whole.
static void record(unsigned io_threads, uint64_t seed, troupe_sim_fn start, void *context) {
  const troupe_sim_options_t options = {
      .faults = seed != 0 ? TROUPE_FAULT_SMALL_BUFFERS | TROUPE_FAULT_SHORT_IO | TROUPE_FAULT_DELAY
                          : TROUPE_FAULT_NONE,
      .hosts = hosts,
      .host_count = 1,
      .io_threads = io_threads};
  troupe_sim_report_t report;
  if (troupe_sim_run(&options, seed, start, context, &report) != 0) {
    print_error("%s\n", report.text);
    fail();
  }
}

// What the recording says of one connection.
typedef struct {
  uint64_t socket;
  char *bytes; // that its peer said, all in all
  size_t length;
  bool ended;
} spoken_t;

typedef struct {
  spoken_t all[64];
  size_t count;
  uint64_t events; // before the actor was stopped
} tale_t;

static spoken_t *spoken_of(tale_t *tale, uint64_t socket) {
  size_t i = 0;
  while (i < tale->count && tale->all[i].socket != socket) {
    i++;
  }
  assert_true(i < sizeof tale->all / sizeof *tale->all);
  if (i == tale->count) {
    tale->all[tale->count++] = (spoken_t){.socket = socket};
  }
  return &tale->all[i];
}

static void read_tale(const char *path, tale_t *tale) {
  troupe_trace_t *trace = NULL;
  troupe_trace_entry_t entry;
  *tale = (tale_t){0};
  assert_int_equal(troupe_trace_open(path, &trace), 0);
  bool stopped = false;
  while (troupe_trace_next(trace, &entry) == 1) {
    if (entry.type != TROUPE_ENTRY_EVENT) {
      continue;
    }
    stopped |= strcmp(entry.kind, "stop") == 0;
    tale->events += stopped ? 0 : 1;
    if (strcmp(entry.kind, "data") == 0) {
      spoken_t *spoken = spoken_of(tale, entry.connection);
      spoken->bytes = realloc(spoken->bytes, spoken->length + entry.length);
      assert_non_null(spoken->bytes);
      memcpy(spoken->bytes + spoken->length, entry.payload, entry.length);
      spoken->length += entry.length;
    } else if (strcmp(entry.kind, "end") == 0) {
      spoken_of(tale, entry.connection)->ended = true;
    }
  }
  troupe_trace_free(&trace);
  assert_true(tale->events > 10);
}

static void free_tale(tale_t *tale) {
  for (size_t i = 0; i < tale->count; i++) {
    free(tale->all[i].bytes);
  }
}

// An echo: a peer hears what it says, and when all ended well all of it.
static int hears_itself(troupe_sim_peer_t *peer, const void *bytes, size_t length, void *context) {
  const spoken_t *spoken = spoken_of(context, peer->socket);
  if (peer->heard + length > spoken->length ||
      (length > 0 && memcmp(spoken->bytes + peer->heard, bytes, length) != 0)) {
    return TROUPE_EPROTO;
  }
  return peer->over && peer->clean && peer->heard != spoken->length ? (int)TROUPE_EOF : 0;
}

static void expect_sound(const troupe_sim_options_t *options, uint64_t seed) {
  troupe_sim_report_t report;
  int result = troupe_sim_run(options, seed, NULL, NULL, &report);
  if (result != 0) {
    print_error("cut at event %llu: %s: %s\n", (unsigned long long)options->recording->events,
                troupe_error_name(result), report.text);
    fail();
  }
}

static void goes_on_from_each_event(unsigned io_threads, uint64_t seed) {
  static workload_t load = {
      .servers = 1, .clients = 3, .rounds = 2, .most = 200000, .host = "service"};
  tale_t tale;
  record(io_threads, seed, record_workload, &load);
  read_tale(trace_of("server-0"), &tale);
  uint64_t step = 1 + tale.events / (trp_test_slow() > 1 ? 10 : 60);
  for (uint64_t events = 0; events <= tale.events; events += step) {
    const troupe_sim_recording_t recording = {.path = trace_of("server-0"),
                                              .main = workload_server,
                                              .events = events,
                                              .heard = hears_itself,
                                              .context = &tale};
    troupe_sim_options_t options = {.recording = &recording, .faults = TROUPE_FAULT_NONE};
    expect_sound(&options, events);
    options.faults = 0;
    expect_sound(&options, events);
  }
  free_tale(&tale);
}

static void a_recording_goes_on_from_each_of_its_events(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed <= (trp_test_slow() > 1 ? 3U : 12U); seed++) {
    goes_on_from_each_event(1, seed);
  }
}

static void one_of_several_io_actors_does_so_too(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed <= (trp_test_slow() > 1 ? 1U : 4U); seed++) {
    goes_on_from_each_event(3, seed);
  }
}

static void a_seed_gives_the_same_run_again(void **state) {
  (void)state;
  static workload_t load = {
      .servers = 1, .clients = 3, .rounds = 2, .most = 100000, .host = "service"};
  tale_t tale;
  record(1, 2, record_workload, &load);
  read_tale(trace_of("server-0"), &tale);
  for (uint64_t seed = 1; seed <= 10; seed++) {
    const troupe_sim_recording_t recording = {.path = trace_of("server-0"),
                                              .main = workload_server,
                                              .events = tale.events * seed / 10,
                                              .heard = hears_itself,
                                              .context = &tale};
    const troupe_sim_options_t options = {.recording = &recording};
    troupe_sim_report_t first, second;
    assert_int_equal(troupe_sim_run(&options, seed, NULL, NULL, &first), 0);
    assert_int_equal(troupe_sim_run(&options, seed, NULL, NULL, &second), 0);
    assert_memory_equal(&first, &second, sizeof first);
  }
  free_tale(&tale);
}

// ---- Actors that connect, and that are given connections ----

static int record_proxy(troupe_system_t *system, void *context) {
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  int error = troupe_record_start(system, &options);
  return error == 0 ? proxy_start(system, context) : error;
}

static int serve_again(troupe_system_t *system, void *context) {
  return workload_serve(system, context);
}

/* What the proxy had connected to plays its part of the recording; what it connects to from there on
 * is an actor of the test. */
static int client_hears_itself(troupe_sim_peer_t *peer, const void *bytes, size_t length,
                               void *context) {
  bool is_client = peer->address.port != WORKLOAD_PORT;
  return is_client && !peer->over ? hears_itself(peer, bytes, length, context) : 0;
}

static void an_actor_that_connects_goes_on_too(void **state) {
  (void)state;
  static workload_t load = {
      .servers = 1, .clients = 3, .rounds = 2, .most = 30000, .host = "proxy", .port = PROXY_PORT};
  const troupe_sim_options_t quiet = {
      .faults = TROUPE_FAULT_NONE, .hosts = proxy_hosts, .host_count = 2};
  troupe_sim_report_t report;
  tale_t tale;
  assert_int_equal(troupe_sim_run(&quiet, 1, record_proxy, &load, &report), 0);
  read_tale(trace_of("proxy-0"), &tale);
  uint64_t step = 1 + tale.events / (trp_test_slow() > 1 ? 10 : 60);
  for (uint64_t events = 0; events <= tale.events; events += step) {
    const troupe_sim_recording_t recording = {.path = trace_of("proxy-0"),
                                              .main = proxy_actor_main,
                                              .events = events,
                                              .heard = client_hears_itself,
                                              .context = &tale};
    troupe_sim_options_t options = {.recording = &recording, .hosts = proxy_hosts, .host_count = 2};
    for (int faulty = 0; faulty < 2; faulty++) {
      options.faults = faulty == 0 ? (uint32_t)TROUPE_FAULT_NONE : 0;
      if (troupe_sim_run(&options, events, serve_again, &load, &report) != 0) {
        print_error("cut at event %llu: %s\n", (unsigned long long)events, report.text);
        fail();
      }
    }
  }
  free_tale(&tale);
}

static bool is_stop(const troupe_trace_entry_t *event, void *context) {
  (void)context;
  return strcmp(event->kind, "stop") == 0;
}

static int record_hand_over(troupe_system_t *system, void *context) {
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  int error = troupe_record_start(system, &options);
  return error == 0 ? hand_over_start(system, context) : error;
}

// Whoever had it before, and wherever this one wants to give it.
static int hears_numbered_bytes(troupe_sim_peer_t *peer, const void *bytes, size_t length,
                                void *context) {
  (void)context;
  return hand_over_are_numbered(bytes, length, peer->heard) ? 0 : (int)TROUPE_EPROTO;
}

static void an_actor_that_is_given_connections_goes_on_too(void **state) {
  (void)state;
  const world_t *world = find_world("hand_over");
  troupe_sim_options_t quiet = world->options;
  troupe_sim_report_t report;
  quiet.faults = TROUPE_FAULT_NONE;
  assert_int_equal(troupe_sim_run(&quiet, 3, record_hand_over, NULL, &report), 0);
  for (unsigned copy = 0; copy < 4; copy++) {
    char name[32];
    snprintf(name, sizeof name, "server-%u", copy);
    for (uint64_t events = 0; events <= 40; events += trp_test_slow() > 1 ? 7 : 1) {
      const troupe_sim_recording_t recording = {.path = trace_of(name),
                                                .main = hand_over_server,
                                                .events = events,
                                                .until = is_stop,
                                                .heard = hears_numbered_bytes};
      troupe_sim_options_t options = {.recording = &recording};
      if (troupe_sim_run(&options, events, NULL, NULL, &report) != 0) {
        print_error("%s cut at event %llu: %s\n", name, (unsigned long long)events, report.text);
        fail();
      }
    }
  }
}

// ---- An actor that talks with another one ----

static troupe_system_t *the_world;

static void answer(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  int *left = context;
  troupe_send_chunk(from, message);
  if (--*left == 0) {
    troupe_actor_end(0);
  }
}

static int answerer_main(void *argument) {
  (void)argument;
  int left = 5;
  int error = troupe_actor_on_message(answer, &left);
  return error < 0 ? error : troupe_actor_run();
}

static void ask(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)message;
  (void)context;
  troupe_send(from, "and now?", 8);
}

static void on_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  (void)actor;
  (void)status;
  *(troupe_reason_t *)context = reason;
  troupe_actor_end(0);
}

static int asker_main(void *argument) {
  (void)argument;
  troupe_reason_t reason = TROUPE_REASON_FAILED;
  troupe_actor_t answerer;
  int error = troupe_actor_find(the_world, "answerer", 0, &answerer);
  if (error == 0) {
    error = troupe_actor_on_message(ask, NULL);
  }
  if (error == 0) {
    error = troupe_watch(answerer, on_down, &reason);
  }
  if (error == 0) {
    error = troupe_send(answerer, "hello?", 6);
  }
  error = error < 0 ? error : troupe_actor_run();
  return error < 0 ? error : reason == TROUPE_REASON_FAILED ? (int)TROUPE_EPROTO : 0;
}

static int record_asking(troupe_system_t *system, void *context) {
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  const troupe_spawn_options_t answerer = {.name = "answerer", .main = answerer_main};
  const troupe_spawn_options_t asker = {.name = "asker", .main = asker_main};
  (void)context;
  the_world = system;
  int error = troupe_record_start(system, &options);
  if (error == 0) {
    error = troupe_spawn(system, &answerer, NULL);
  }
  return error == 0 ? troupe_spawn(system, &asker, NULL) : error;
}

static int await_asker(troupe_system_t *system, void *context) {
  troupe_actor_t asker;
  (void)context;
  int error = troupe_actor_find(system, "asker", 0, &asker);
  return error == 0 ? troupe_sim_await(system, asker) : error;
}

/* The other one has ended at the cut; it is told so, and what it sends gets lost. */
static void an_actor_that_talks_with_another_one_hears_that_it_is_gone(void **state) {
  (void)state;
  troupe_sim_report_t report;
  record(1, 0, record_asking, NULL);
  for (uint64_t events = 0; events < 5; events++) {
    const troupe_sim_recording_t recording = {
        .path = trace_of("asker-0"), .main = asker_main, .events = events};
    const troupe_sim_options_t options = {.recording = &recording};
    if (troupe_sim_run(&options, events, await_asker, NULL, &report) != 0) {
      print_error("cut at event %llu: %s\n", (unsigned long long)events, report.text);
      fail();
    }
  }
}

// ---- A bug that the recording does not show ----

// Answers each line in capitals; takes for granted that a piece is a line.
static bool believes_in_pieces;

typedef struct shouter {
  struct shouter *next;
  char line[256];
  size_t length;
} shouter_t;

static _Thread_local shouter_t *shouters; // of this actor, until it ends

static void shout(troupe_socket_t socket, shouter_t *shouter) {
  for (size_t i = 0; i < shouter->length; i++) {
    shouter->line[i] = (char)toupper((unsigned char)shouter->line[i]);
  }
  troupe_socket_write(socket, "> ", 2, NULL, NULL);
  troupe_socket_write(socket, shouter->line, shouter->length, NULL, NULL);
  shouter->length = 0;
}

static void shouter_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  shouter_t *shouter = context;
  const char *bytes = troupe_chunk_bytes(chunk);
  for (size_t i = 0; i < troupe_chunk_length(chunk); i++) {
    shouter->line[shouter->length++] = bytes[i];
    if (bytes[i] == '\n' || shouter->length == sizeof shouter->line) {
      shout(socket, shouter);
    }
  }
  if (believes_in_pieces && shouter->length > 0) {
    shout(socket, shouter);
  }
}

static void shouter_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = shouter_data};
  (void)server;
  (void)context;
  shouter_t *shouter = calloc(1, sizeof *shouter);
  if (shouter == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  shouter->next = shouters;
  shouters = shouter;
  troupe_socket_set_handlers(socket, &handlers, shouter);
}

static int shouter_main(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = shouter_connection};
  (void)argument;
  troupe_server_t server;
  int error = troupe_server_new(NULL, &handlers, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_port(server, 7200, "10.0.0.1", 0);
  }
  error = error < 0 ? error : troupe_actor_run();
  while (shouters != NULL) {
    shouter_t *shouter = shouters;
    shouters = shouter->next;
    free(shouter);
  }
  return error;
}

// Somebody who says three lines, each when the one before is answered.
typedef struct {
  troupe_socket_t socket;
  int answers;
} talker_t;

static void talk(troupe_socket_t socket, void *context) {
  (void)context;
  troupe_socket_write(socket, "what did you say?\n", 18, NULL, NULL);
}

static void talker_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  talker_t *talker = context;
  if (memchr(troupe_chunk_bytes(chunk), '\n', troupe_chunk_length(chunk)) == NULL) {
    return;
  }
  if (++talker->answers < 3) {
    talk(socket, talker);
  } else {
    troupe_socket_end(socket, NULL, NULL);
  }
}

static int talker_main(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_connect = talk, .on_data = talker_data};
  (void)argument;
  talker_t talker = {0};
  int error = troupe_connect_port(7200, "10.0.0.1", &handlers, &talker, &talker.socket);
  return error < 0 ? error : troupe_actor_run();
}

static int record_shouting(troupe_system_t *system, void *context) {
  (void)context;
  const troupe_record_options_t options = {.directory = trp_test_folder()};
  troupe_actor_t talkers[2];
  int error = troupe_record_start(system, &options);
  if (error == 0) {
    error = troupe_spawn(system, &(troupe_spawn_options_t){.name = "shouter", .main = shouter_main},
                         NULL);
  }
  if (error == 0) {
    error = troupe_spawn(
        system, &(troupe_spawn_options_t){.name = "talker", .main = talker_main, .copies = 2},
        talkers);
  }
  for (int i = 0; i < 2 && error == 0; i++) {
    error = troupe_sim_await(system, talkers[i]);
  }
  return error;
}

// Each line begins with "> ", and there is none inside.
static int hears_whole_lines(troupe_sim_peer_t *peer, const void *bytes, size_t length,
                             void *context) {
  static const char line[] = "> WHAT DID YOU SAY?\n";
  (void)context;
  for (size_t i = 0; i < length; i++) {
    if (((const char *)bytes)[i] != line[(peer->heard + i) % (sizeof line - 1)]) {
      return TROUPE_EPROTO;
    }
  }
  return 0;
}

static bool is_data(const troupe_trace_entry_t *event, void *context) {
  (void)context;
  return strcmp(event->kind, "data") == 0;
}

static int go_on_shouting(bool with_bug, const char *trace_directory, uint64_t *seed,
                          troupe_sim_report_t *report) {
  const troupe_sim_recording_t recording = {.path = trace_of("shouter-0"),
                                            .main = shouter_main,
                                            .until = is_data,
                                            .in_turn = true,
                                            .heard = hears_whole_lines};
  const troupe_sim_options_t options = {.recording = &recording,
                                        .trace_directory = trace_directory};
  int result = 0;
  believes_in_pieces = with_bug;
  for (*seed = 1; *seed <= 100 && result == 0; ++*seed) {
    result = troupe_sim_run(&options, *seed, NULL, NULL, report);
  }
  return result;
}

static void a_bug_that_the_recording_does_not_show_is_found(void **state) {
  (void)state;
  troupe_sim_report_t report;
  uint64_t seed = 0;
  believes_in_pieces = false;
  record(1, 0, record_shouting, NULL);
  believes_in_pieces = true;
  troupe_assert_replays(shouter_main, NULL, trace_of("shouter-0"));
  assert_int_equal(go_on_shouting(true, NULL, &seed, &report), TROUPE_EUNSOUND);
  assert_non_null(strstr(report.text, "hears what it must not"));
  assert_true((report.faults_needed &
               (TROUPE_FAULT_SEGMENTS | TROUPE_FAULT_SHORT_IO | TROUPE_FAULT_SMALL_BUFFERS)) != 0);
  if (go_on_shouting(false, NULL, &seed, &report) != 0) {
    print_error("%s\n", report.text);
    fail();
  }
}

/* It is whole: what was replayed, and what came of it. */
static void a_run_that_fails_leaves_a_trace_that_replays(void **state) {
  (void)state;
  char folder[512], path[600];
  troupe_sim_report_t report;
  troupe_replay_report_t replayed;
  uint64_t seed = 0;
  believes_in_pieces = false;
  record(1, 0, record_shouting, NULL);
  snprintf(folder, sizeof folder, "%s/failed", trp_test_folder());
  assert_int_equal(go_on_shouting(true, folder, &seed, &report), TROUPE_EUNSOUND);
  snprintf(path, sizeof path, "%s/shouter-0.trace", folder);
  int verdict = troupe_replay(shouter_main, NULL, path, &replayed);
  assert_string_equal(verdict == 0 ? "" : replayed.text, "");
  assert_true(replayed.events > 4);
}

// ---- What cannot be gone on from ----

static int other_main(void *argument) {
  (void)argument;
  troupe_actor_t somebody;
  troupe_actor_find(NULL, "somebody", 0, &somebody);
  return troupe_actor_run();
}

static int short_main(void *argument) {
  (void)argument;
  return 0;
}

static void what_cannot_be_gone_on_from_is_said(void **state) {
  (void)state;
  troupe_sim_report_t report;
  believes_in_pieces = false;
  record(1, 0, record_shouting, NULL);
  troupe_sim_recording_t recording = {
      .path = trace_of("shouter-0"), .main = shouter_main, .events = 3};
  const troupe_sim_options_t options = {.recording = &recording};
  recording.main = NULL;
  assert_int_equal(troupe_sim_run(&options, 1, NULL, NULL, &report), TROUPE_EINVAL);
  recording.main = other_main;
  assert_int_equal(troupe_sim_run(&options, 1, NULL, NULL, &report), TROUPE_EUNSOUND);
  assert_non_null(strstr(report.text, "makes another call"));
  recording.main = short_main;
  assert_int_equal(troupe_sim_run(&options, 1, NULL, NULL, &report), TROUPE_EUNSOUND);
  assert_non_null(strstr(report.text, "has ended before it came to event 3"));
  recording.path = "/nonexistent/shouter-0.trace";
  assert_int_equal(troupe_sim_run(&options, 1, NULL, NULL, &report), TROUPE_ENOENT);
  assert_non_null(strstr(report.text, "/nonexistent/shouter-0.trace"));
  assert_int_equal(troupe_sim_run(NULL, 1, NULL, NULL, &report), TROUPE_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_recording_goes_on_from_each_of_its_events),
      trp_test_that_leaves_nothing(one_of_several_io_actors_does_so_too),
      trp_test_that_leaves_nothing(a_seed_gives_the_same_run_again),
      trp_test_that_leaves_nothing(an_actor_that_connects_goes_on_too),
      trp_test_that_leaves_nothing(an_actor_that_is_given_connections_goes_on_too),
      trp_test_that_leaves_nothing(an_actor_that_talks_with_another_one_hears_that_it_is_gone),
      trp_test_that_leaves_nothing(a_bug_that_the_recording_does_not_show_is_found),
      trp_test_that_leaves_nothing(a_run_that_fails_leaves_a_trace_that_replays),
      trp_test_that_leaves_nothing(what_cannot_be_gone_on_from_is_said),
  };
  return TRP_RUN_TESTS("sim/continue", tests);
}
