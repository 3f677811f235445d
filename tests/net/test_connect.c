/* Connecting by name: the library's look-up and the application's own, family autoselection, local
 * addresses. */
#include "tests/net/scene.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static void end_on_ready(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static troupe_address_t literal(const char *text) {
  troupe_address_t address = {0};
  (void)troupe_address_parse(&address, text, strlen(text), 0);
  return address;
}

/* A port of 127.0.0.1 on which nobody listens. */
/* A port of this address that nobody else gets while the descriptor is open. */
static int reserve(const char *host, int *port) {
  int fd = trp_test_reserve_tcp(host, port);
  assert_true(fd >= 0);
  return fd;
}

// ---- Names ----

static void a_name_is_looked_up_before_the_attempt(void **state) {
  (void)state;
  scene_t scene = {.connect_options = {.host = "localhost", .family = 4},
                   .client.hook = end_on_ready};
  play(&scene);
  assert_log(scene.client, "localhost:lookup attempt connect ready end close ");
}

static void a_name_that_is_not_there_is_enotfound(void **state) {
  (void)state;
  scene_t scene = {.without_server = true,
                   .connect_options = {.host = "no-such-name.invalid", .port = 1}};
  play(&scene);
  // Without any network the resolver has another word for it.
  if (strncmp(scene.client.log, "ENOTFOUND", 9) == 0) {
    assert_log(scene.client, "ENOTFOUND:lookup ENOTFOUND:error close! ");
    assert_string_equal(scene.client.last, "getaddrinfo ENOTFOUND no-such-name.invalid");
  } else {
    assert_log(scene.client, "EAI_AGAIN:lookup EAI_AGAIN:error close! ");
  }
}

// ---- The application's own look-up ----

static troupe_address_t answers[4];
static size_t answer_count;
static int answer_error;
static bool answer_late;
static int answer_results;

static void answer_now(troupe_socket_t socket) {
  answer_results += troupe_socket_answer_lookup(socket, answer_error, answers, answer_count);
  answer_results += troupe_socket_answer_lookup(socket, 0, answers, answer_count) !=
                    TROUPE_EALREADY;
}

static void answer_on_timer(troupe_timer_t timer, void *context) {
  (void)timer;
  answer_now(((side_t *)context)->socket);
}

static void look_up(troupe_socket_t socket, const char *host, int family, unsigned hints,
                    void *context) {
  side_t *side = context;
  side->socket = socket;
  scene_note(side, "ask:%s,%d,%u ", host, family, hints);
  if (answer_late) {
    troupe_timer_start(NULL, 10, 0, answer_on_timer, side);
  } else {
    answer_now(socket);
  }
}

static void start_with_lookup(side_t *side, const char *event) {
  (void)event;
  troupe_connect_options_t options = side->scene->connect_options;
  options.host = "somewhere";
  options.address = NULL;
  options.port = side->scene->address.port;
  options.lookup = look_up;
  options.lookup_context = side;
  side->result += troupe_connect(&options, NULL, &scene_handlers, side, &side->socket);
  side->result += !troupe_socket_connecting(side->socket);
  side->result += troupe_socket_write(side->socket, "early ", 6, scene_on_written, side) != 1;
  troupe_chunk_t *chunk = NULL;
  side->result += troupe_chunk_new(&chunk, "chunk", 5);
  side->result += troupe_socket_write_chunk(side->socket, chunk, NULL, NULL) != 1;
  troupe_chunk_free(&chunk);
  troupe_socket_end(side->socket, scene_on_finished, side);
}

static void prepare(int error, size_t count, bool late) {
  answer_error = error;
  answer_count = count;
  answer_late = late;
  answer_results = 0;
  answers[0] = literal("127.0.0.1");
}

static void its_answer_is_told_and_used(void **state) {
  (void)state;
  for (int late = 0; late < 2; late++) {
    prepare(0, 1, late != 0);
    scene_t scene = {.start = start_with_lookup};
    play(&scene);
    assert_int_equal(scene.client.result, 0);
    assert_int_equal(answer_results, 0);
    assert_log(scene.client, "ask:somewhere,0,32 somewhere:lookup attempt connect ready written "
                             "finished end close ");
    assert_string_equal(scene.accepted.last, "early chunk");
  }
}

static void its_error_is_the_sockets(void **state) {
  (void)state;
  prepare(TROUPE_ENOTFOUND, 0, true);
  scene_t scene = {.without_server = true, .start = start_with_lookup};
  play(&scene);
  assert_log(scene.client,
             "ask:somewhere,0,32 ENOTFOUND:lookup ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written "
             "ENOTFOUND:finished ENOTFOUND:error close! ");
  assert_string_equal(scene.client.last, "getaddrinfo ENOTFOUND somewhere");
}

static void an_answer_without_addresses_is_enotfound(void **state) {
  (void)state;
  prepare(0, 0, false);
  scene_t scene = {.without_server = true, .start = start_with_lookup};
  play(&scene);
  assert_true(strstr(scene.client.log, "ENOTFOUND:error close!") != NULL);
}

static void an_address_of_no_family_is_an_error(void **state) {
  (void)state;
  prepare(0, 1, false);
  answers[0].family = 100;
  scene_t scene = {.without_server = true, .start = start_with_lookup};
  play(&scene);
  assert_true(strstr(scene.client.log, "ERR_INVALID_ADDRESS_FAMILY:error close!") != NULL);
  assert_string_equal(scene.client.last, "Invalid address family: 100 somewhere:0");
}

static void destroy_in_lookup(side_t *side, const char *event) {
  if (is(event, "lookup")) {
    troupe_socket_destroy(side->socket, 0);
  }
}

static void destroyed_inside_on_lookup_no_attempt_is_made(void **state) {
  (void)state;
  prepare(0, 2, true);
  answers[1] = answers[0];
  scene_t scene = {
      .without_server = true, .start = start_with_lookup, .client.hook = destroy_in_lookup};
  play(&scene);
  assert_log(scene.client,
             "ask:somewhere,0,32 somewhere:lookup ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written "
             "ERR_SOCKET_CLOSED_BEFORE_CONNECTION:finished close ");
}

static void start_and_destroy(side_t *side, const char *event) {
  start_with_lookup(side, event);
  troupe_socket_destroy(side->socket, 0);
}

static void destroyed_before_it_is_asked_nobody_is_asked(void **state) {
  (void)state;
  prepare(0, 1, false);
  scene_t scene = {.without_server = true, .start = start_and_destroy};
  play(&scene);
  assert_log(scene.client, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written "
                           "ERR_SOCKET_CLOSED_BEFORE_CONNECTION:finished close ");
}

static void timed_out(side_t *side, const char *event) {
  if (is(event, "timeout")) {
    troupe_socket_set_timeout(side->socket, 0);
    answer_now(side->socket);
  }
  end_on_ready(side, event);
}

static void never_answer(troupe_socket_t socket, const char *host, int family, unsigned hints,
                         void *context) {
  (void)host;
  (void)family;
  (void)hints;
  ((side_t *)context)->socket = socket;
}

static void start_without_answer(side_t *side, const char *event) {
  (void)event;
  troupe_connect_options_t options = {.host = "somewhere",
                                      .port = side->scene->address.port,
                                      .lookup = never_answer,
                                      .lookup_context = side};
  troupe_connect(&options, &(troupe_socket_options_t){.timeout_ms = 5}, &scene_handlers, side,
                 &side->socket);
}

static void the_timeout_runs_while_it_looks_up(void **state) {
  (void)state;
  prepare(0, 1, false);
  scene_t scene = {.start = start_without_answer, .client.hook = timed_out};
  play(&scene);
  assert_log(scene.client, "timeout somewhere:lookup attempt connect ready end close ");
}

// ---- Family autoselection ----

static void remember_attempts(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_address_t attempted[4];
    side->step = troupe_socket_attempted_addresses(side->socket, attempted, 4);
    if (side->step > 0) {
      char text[TROUPE_ADDRESS_TEXT_SIZE];
      troupe_address_text(&attempted[side->step - 1], text, sizeof text);
      snprintf(side->last, sizeof side->last, "%s", text);
    }
  }
}

static void families_are_tried_in_turn_until_one_connects(void **state) {
  (void)state;
  prepare(0, 2, false);
  answers[0] = literal("::1");
  answers[1] = literal("127.0.0.1");
  scene_t scene = {.start = start_with_lookup, .client.hook = remember_attempts};
  play(&scene);
  assert_log(scene.client,
             "ask:somewhere,0,32 somewhere:lookup somewhere:lookup attempt failed attempt connect "
             "ready written finished end close ");
  assert_int_equal(scene.client.step, 2);
  assert_string_equal(scene.client.last, "127.0.0.1");
}

static troupe_error_t first_part, second_part;
static size_t part_count;
static char part_message[128];

static void keep_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  part_count = error->error_count;
  if (part_count == 2) {
    first_part = error->errors[0];
    second_part = error->errors[1];
    snprintf(part_message, sizeof part_message, "%s", error->errors[1].message);
  }
  scene_on_error(socket, error, context);
}

static const troupe_socket_handlers_t aggregate_handlers = {.on_error = keep_error,
                                                            .on_close = scene_on_close};

static void start_aggregate(side_t *side, const char *event) {
  (void)event;
  troupe_connect_options_t options = side->scene->connect_options;
  options.lookup = look_up;
  options.lookup_context = side;
  troupe_connect(&options, NULL, &aggregate_handlers, side, &side->socket);
}

static void when_all_fail_one_error_has_all_of_theirs(void **state) {
  (void)state;
  prepare(0, 2, false);
  answers[1] = literal("127.0.0.2");
  int port;
  int fd = reserve("0.0.0.0", &port);
  scene_t scene = {.without_server = true,
                   .start = start_aggregate,
                   .connect_options = {.host = "somewhere", .port = port}};
  play(&scene);
  close(fd);
  assert_int_equal(part_count, 2);
  assert_int_equal(first_part.code, TROUPE_ECONNREFUSED);
  assert_int_equal(second_part.port, port);
  char expected[64];
  snprintf(expected, sizeof expected, "connect ECONNREFUSED 127.0.0.2:%d", port);
  assert_string_equal(part_message, expected);
  assert_string_equal(scene.client.last, "");
  assert_true(strstr(scene.client.log, "ECONNREFUSED:error close!") != NULL);
}

static void switched_off_the_first_address_alone_is_tried(void **state) {
  (void)state;
  prepare(0, 2, false);
  answers[1] = literal("127.0.0.2");
  int port;
  int fd = reserve("0.0.0.0", &port);
  scene_t scene = {
      .without_server = true,
      .start = start_aggregate,
      .connect_options = {.host = "somewhere", .port = port, .auto_select_family = TROUPE_OFF}};
  play(&scene);
  close(fd);
  assert_int_equal(part_count, 0);
  char expected[64];
  snprintf(expected, sizeof expected, "connect ECONNREFUSED 127.0.0.1:%d", port);
  assert_string_equal(scene.client.last, expected);
}

// ---- Interfaces ----

/* Two addresses of one port: the first has a full backlog, so that who connects to it waits. */
typedef struct {
  int listener, fillers[8];
} full_t;

static void fill(full_t *full, const char *ip, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  assert_int_equal(inet_pton(AF_INET, ip, &address.sin_addr), 1);
  full->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(full->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  assert_int_equal(bind(full->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(full->listener, 0), 0);
  for (int i = 0; i < 8; i++) {
    full->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(full->fillers[i], (struct sockaddr *)&address, sizeof address);
  }
}

static void drain(full_t *full) {
  for (int i = 0; i < 8; i++) {
    close(full->fillers[i]);
  }
  close(full->listener);
}

static full_t slow;
static bool slow_is_full;

static void unfill(void) {
  if (slow_is_full) {
    drain(&slow);
    slow_is_full = false;
  }
}

/* Once the server's port is known; on the trace it is the same one. */
static void start_with_a_slow_address(side_t *side, const char *event) {
  if (!slow_is_full) {
    fill(&slow, "127.0.0.2", side->scene->address.port);
    slow_is_full = true;
  }
  start_with_lookup(side, event);
}

/* parity: beyond.4 */
static void the_attempts_are_serial_or_parallel(void **state) {
  (void)state;
  for (int parallel = 0; parallel < 2; parallel++) {
    prepare(0, 2, false);
    answers[0] = literal("127.0.0.2");
    answers[1] = literal("127.0.0.1");
    scene_t scene = {.start = start_with_a_slow_address,
                     .connect_options = {.auto_select_family_attempt_timeout_ms = 10,
                                         .parallel_attempts = parallel != 0},
                     .reset = unfill};
    play(&scene);
    unfill();
    assert_int_equal(scene.client.result, 0);
    assert_log(scene.client,
               parallel ? "ask:somewhere,0,32 somewhere:lookup somewhere:lookup attempt attempt "
                          "failed connect ready written finished end close "
                        : "ask:somewhere,0,32 somewhere:lookup somewhere:lookup attempt slow "
                          "attempt connect ready written finished end close ");
    assert_string_equal(scene.accepted.last, "early chunk");
  }
}

static void destroy_at_the_second(side_t *side, const char *event) {
  if (is(event, "attempt") && ++side->step == 2) {
    troupe_socket_destroy(side->socket, 0);
  }
}

static void destroyed_every_attempt_that_goes_on_is_told_of(void **state) {
  (void)state;
  full_t other;
  int port;
  int fd = reserve("127.0.0.1", &port);
  fill(&slow, "127.0.0.2", port);
  fill(&other, "127.0.0.3", port);
  prepare(0, 2, false);
  answers[0] = literal("127.0.0.2");
  answers[1] = literal("127.0.0.3");
  scene_t scene = {
      .without_server = true,
      .start = start_with_lookup,
      .address.port = (uint16_t)port,
      .connect_options = {.auto_select_family_attempt_timeout_ms = 10, .parallel_attempts = true},
      .client.hook = destroy_at_the_second};
  play(&scene);
  drain(&slow);
  drain(&other);
  close(fd);
  assert_log(
      scene.client,
      "ask:somewhere,0,32 somewhere:lookup somewhere:lookup attempt attempt "
      "ERR_SOCKET_CLOSED_BEFORE_CONNECTION:written ERR_SOCKET_CLOSED_BEFORE_CONNECTION:finished "
      "failed failed close ");
}

static void an_interface_that_is_not_there_cannot_be_connected_over(void **state) {
  (void)state;
  scene_t scene = {.without_server = true,
                   .connect_options = {.host = "fe80::1%no-such-if", .port = 1}};
  play(&scene);
  assert_true(strstr(scene.client.log, "error close! ") != NULL);
  scene = (scene_t){.without_server = true, .connect_options = {.host = "fe80::1%lo", .port = 1}};
  play(&scene);
  assert_true(strstr(scene.client.log, "error close! ") != NULL);
}

// ---- Local addresses ----

static void look_at_peer(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_address_t remote;
    troupe_socket_remote_address(side->socket, &remote);
    troupe_address_text(&remote, side->last, sizeof side->last);
    side->result = remote.port;
  }
}

static void it_is_bound_where_it_was_told(void **state) {
  (void)state;
  int port;
  int fd = reserve("127.0.0.1", &port);
  scene_t scene = {.connect_options = {.local_address = "127.0.0.9", .local_port = port},
                   .client.hook = end_on_ready,
                   .accepted.hook = look_at_peer};
  play(&scene);
  close(fd);
  assert_string_equal(scene.accepted.last, "127.0.0.9");
  assert_int_equal(scene.accepted.result, port);
}

static void an_address_that_is_not_ours_cannot_be_bound(void **state) {
  (void)state;
  scene_t scene = {
      .without_server = true,
      .connect_options = {.host = "127.0.0.1", .port = 1, .local_address = "203.0.113.1"}};
  play(&scene);
  assert_log(scene.client, "EADDRNOTAVAIL:error close! ");
  assert_string_equal(scene.client.last, "bind EADDRNOTAVAIL 203.0.113.1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_name_is_looked_up_before_the_attempt),
      trp_test(a_name_that_is_not_there_is_enotfound),
      trp_test(its_answer_is_told_and_used),
      trp_test(its_error_is_the_sockets),
      trp_test(an_answer_without_addresses_is_enotfound),
      trp_test(an_address_of_no_family_is_an_error),
      trp_test(destroyed_inside_on_lookup_no_attempt_is_made),
      trp_test(destroyed_before_it_is_asked_nobody_is_asked),
      trp_test(the_timeout_runs_while_it_looks_up),
      trp_test(families_are_tried_in_turn_until_one_connects),
      trp_test(when_all_fail_one_error_has_all_of_theirs),
      trp_test(switched_off_the_first_address_alone_is_tried),
      trp_test(the_attempts_are_serial_or_parallel),
      trp_test(destroyed_every_attempt_that_goes_on_is_told_of),
      trp_test(an_interface_that_is_not_there_cannot_be_connected_over),
      trp_test(it_is_bound_where_it_was_told),
      trp_test(an_address_that_is_not_ours_cannot_be_bound),
  };
  return TRP_RUN_TESTS("connect", tests);
}
