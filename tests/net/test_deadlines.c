/* Deadlines of sockets, over real ones: what is late has an error of its own. */
#include "tests/net/scene.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOON_MS = 30, NEVER_MS = 1000000 };

static bool ends_with(const side_t *side, const char *end) {
  size_t length = strlen(end);
  return side->used >= length && strcmp(side->log + side->used - length, end) == 0;
}

// ---- Connecting ----

/* A port whose backlog is full: who connects waits. */
typedef struct {
  int listener, port, count;
  int fillers[16];
} full_t;

static void fill(full_t *full) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  *full = (full_t){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  assert_int_equal(bind(full->listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(listen(full->listener, 0), 0);
  assert_int_equal(getsockname(full->listener, (struct sockaddr *)&address, &length), 0);
  full->port = ntohs(address.sin_port);
  /* The first ones get in; with four times as many as it can hold the queue is full for sure. */
  for (full->count = 0; full->count < 8; full->count++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)connect(fd, (struct sockaddr *)&address, length);
    full->fillers[full->count] = fd;
  }
}

static void drain(full_t *full) {
  for (int i = 0; i < full->count; i++) {
    close(full->fillers[i]);
  }
  close(full->listener);
}

/* parity: beyond.1 */
static void who_is_not_connected_in_time_fails(void **state) {
  (void)state;
  full_t full;
  fill(&full);
  scene_t scene = {.without_server = true,
                   .connect_options = {.host = "127.0.0.1", .port = full.port},
                   .client_options = {.deadlines = {.connect_ms = SOON_MS}}};
  play(&scene);
  assert_string_equal(scene.client.last, "not connected before the deadline: 127.0.0.1");
  assert_log(scene.client, "attempt TROUPE_ECONNECTDEADLINE:error close! ");
  drain(&full);
}

static void set_soon(side_t *side, const char *event) {
  if (is(event, "attempt")) {
    side->result = troupe_socket_set_deadlines(side->socket,
                                               &(troupe_deadlines_t){.connect_ms = SOON_MS});
  }
}

static void it_can_be_set_while_it_connects(void **state) {
  (void)state;
  full_t full;
  fill(&full);
  scene_t scene = {.without_server = true,
                   .connect_options = {.host = "127.0.0.1", .port = full.port},
                   .client.hook = set_soon};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt TROUPE_ECONNECTDEADLINE:error close! ");
  drain(&full);
}

static void never_answer(troupe_socket_t socket, const char *host, int family, unsigned hints,
                         void *context) {
  (void)socket;
  (void)host;
  (void)family;
  (void)hints;
  scene_event(context, "asked");
}

static void start_with_lookup(side_t *side, const char *event) {
  (void)event;
  troupe_connect_options_t options = {
      .host = "somewhere", .port = 80, .lookup = never_answer, .lookup_context = side};
  side->scene->failure = troupe_connect(&options, &side->scene->client_options, &scene_handlers,
                                        side, &side->socket);
}

static void the_applications_own_look_up_counts_too(void **state) {
  (void)state;
  scene_t scene = {.without_server = true,
                   .start = start_with_lookup,
                   .client_options = {.deadlines = {.connect_ms = SOON_MS}}};
  play(&scene);
  assert_log(scene.client, "asked TROUPE_ECONNECTDEADLINE:error close! ");
  assert_string_equal(scene.client.last, "not connected before the deadline: somewhere");
}

static void hurry(side_t *side, const char *event) {
  if (is(event, "asked")) {
    troupe_deadlines_t deadlines = {.connect_ms = SOON_MS};
    side->result = troupe_socket_set_deadlines(side->socket, &deadlines);
  }
}

static void it_can_be_set_and_taken_back_while_the_application_looks_up(void **state) {
  (void)state;
  scene_t scene = {.without_server = true,
                   .start = start_with_lookup,
                   .client_options = {.deadlines = {.connect_ms = NEVER_MS}},
                   .client.hook = hurry};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "asked TROUPE_ECONNECTDEADLINE:error close! ");
}

static void destroy_it(troupe_timer_t timer, void *context) {
  side_t *side = context;
  (void)timer;
  side->result += troupe_socket_destroy(side->socket, 0);
}

static void forget(side_t *side, const char *event) {
  if (is(event, "asked")) {
    side->result = troupe_socket_set_deadlines(side->socket, NULL);
    side->result += troupe_timer_start(NULL, 3 * SOON_MS, 0, destroy_it, side);
  }
}

static void taken_back_it_does_not_come(void **state) {
  (void)state;
  scene_t scene = {.without_server = true,
                   .start = start_with_lookup,
                   .client_options = {.deadlines = {.connect_ms = SOON_MS}},
                   .client.hook = forget};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "asked close ");
}

static troupe_address_t somewhere;

static void answer_on_timer(troupe_timer_t timer, void *context) {
  side_t *side = context;
  (void)timer;
  side->result += troupe_socket_answer_lookup(side->socket, 0, &somewhere, 1);
}

static void answer_late(troupe_socket_t socket, const char *host, int family, unsigned hints,
                        void *context) {
  side_t *side = context;
  (void)host;
  (void)family;
  (void)hints;
  side->socket = socket;
  side->result += troupe_timer_start(NULL, SOON_MS, 0, answer_on_timer, side);
}

static void start_with_late_answer(side_t *side, const char *event) {
  (void)event;
  troupe_connect_options_t options = side->scene->connect_options;
  options.lookup = answer_late;
  options.lookup_context = side;
  side->scene->failure = troupe_connect(&options, &side->scene->client_options, &scene_handlers,
                                        side, &side->socket);
}

static void what_the_look_up_took_is_missing_for_the_attempts(void **state) {
  (void)state;
  full_t full;
  fill(&full);
  assert_int_equal(troupe_address_parse(&somewhere, "127.0.0.1", 9, 0), 0);
  scene_t scene = {.without_server = true,
                   .start = start_with_late_answer,
                   .connect_options = {.host = "somewhere", .port = full.port},
                   .client_options = {.deadlines = {.connect_ms = SOON_MS + 1}}};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  /* Late as timers are, it may have passed before there was an attempt. */
  assert_true(ends_with(&scene.client, "TROUPE_ECONNECTDEADLINE:error close! "));
  drain(&full);
}

// ---- The first byte ----

/* parity: beyond.2 */
static void accepted_sockets_have_the_servers_deadlines(void **state) {
  (void)state;
  scene_t scene = {.server_options = {.deadlines = {.first_byte_ms = SOON_MS}}};
  play(&scene);
  assert_log(scene.accepted, "TROUPE_EFIRSTBYTEDEADLINE:error close! ");
  assert_string_equal(scene.accepted.last, "no byte came before the deadline");
}

static void a_client_has_its_own(void **state) {
  (void)state;
  scene_t scene = {.client_options = {.deadlines = {.first_byte_ms = SOON_MS}}};
  play(&scene);
  assert_log(scene.client, "attempt connect ready TROUPE_EFIRSTBYTEDEADLINE:error close! ");
}

static void resume_it(troupe_timer_t timer, void *context) {
  side_t *side = context;
  (void)timer;
  scene_note(side, "resumed ");
  side->result += troupe_socket_resume(side->socket);
}

static void resume_later(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    side->result += troupe_timer_start(NULL, 3 * SOON_MS, 0, resume_it, side);
  }
}

static void while_it_is_paused_time_stands_still(void **state) {
  (void)state;
  scene_t scene = {
      .server_options = {.pause_on_connect = true, .deadlines = {.first_byte_ms = SOON_MS}},
      .accepted.hook = resume_later};
  play(&scene);
  assert_int_equal(scene.accepted.result, 0);
  assert_log(scene.accepted, "resumed TROUPE_EFIRSTBYTEDEADLINE:error close! ");
}

// ---- Writing ----

static void write_much(side_t *side, const char *event) {
  static char bytes[8 * 1024 * 1024]; /* more than the kernel takes for both ends */
  if (is(event, "ready")) {
    side->result = troupe_socket_write(side->socket, bytes, sizeof bytes, scene_on_written, side);
  } else if (is(event, "close!")) {
    troupe_socket_destroy(side->scene->accepted.socket, 0);
  }
}

/* parity: beyond.3 */
static void a_peer_that_takes_nothing_stalls(void **state) {
  (void)state;
  scene_t scene = {.server_options = {.pause_on_connect = true},
                   .client_options = {.deadlines = {.write_stall_ms = SOON_MS}},
                   .client.hook = write_much};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready TROUPE_EWRITESTALLDEADLINE:written "
                           "TROUPE_EWRITESTALLDEADLINE:error close! ");
  assert_string_equal(scene.client.last, "the peer took no byte before the deadline");
}

// ---- Setting ----

static int set_them(void *argument) {
  int *wrong = argument;
  troupe_socket_t socket;
  troupe_server_t server;
  const troupe_deadlines_t all = {1, 2, 3};
  const unsigned too_long = (unsigned)INT32_MAX + 1;
  troupe_deadlines_t got = {9, 9, 9};
  *wrong |= troupe_socket_new(&(troupe_socket_options_t){.deadlines = all}, NULL, NULL, &socket);
  *wrong |= troupe_socket_deadlines(socket, &got);
  *wrong |= got.connect_ms != 1 || got.first_byte_ms != 2 || got.write_stall_ms != 3;
  *wrong |= troupe_socket_set_deadlines(socket, &(troupe_deadlines_t){.connect_ms = INT32_MAX});
  *wrong |= troupe_socket_deadlines(socket, &got);
  *wrong |= got.connect_ms != INT32_MAX || got.first_byte_ms != 0 || got.write_stall_ms != 0;
  for (int i = 0; i < 3; i++) {
    troupe_deadlines_t bad = {i == 0 ? too_long : 0, i == 1 ? too_long : 0, i == 2 ? too_long : 0};
    *wrong |= troupe_socket_set_deadlines(socket, &bad) != TROUPE_ERR_OUT_OF_RANGE;
    *wrong |= troupe_server_new(&(troupe_server_options_t){.deadlines = bad}, NULL, NULL,
                                &server) != TROUPE_ERR_OUT_OF_RANGE;
    troupe_socket_t none;
    *wrong |= troupe_socket_new(&(troupe_socket_options_t){.deadlines = bad}, NULL, NULL, &none) !=
              TROUPE_ERR_OUT_OF_RANGE;
  }
  *wrong |= troupe_socket_deadlines(socket, &got) != 0 || got.connect_ms != INT32_MAX;
  *wrong |= troupe_socket_set_deadlines(socket, NULL);
  *wrong |= troupe_socket_deadlines(socket, &got) != 0 || got.connect_ms != 0;
  *wrong |= troupe_socket_free(socket);
  *wrong |= troupe_socket_set_deadlines(socket, NULL) != TROUPE_ESTALE;
  got = all;
  *wrong |= troupe_socket_deadlines(socket, &got) != TROUPE_ESTALE || got.connect_ms != 0;
  return 0;
}

static void they_are_told_as_they_were_set(void **state) {
  (void)state;
  int wrong = 0;
  run_actor(set_them, &wrong);
  assert_int_equal(wrong, 0);
  troupe_deadlines_t got;
  assert_int_equal(troupe_socket_deadlines((troupe_socket_t){1}, &got), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_socket_set_deadlines((troupe_socket_t){1}, NULL), TROUPE_EWRONGTHREAD);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(who_is_not_connected_in_time_fails),
      trp_test(it_can_be_set_while_it_connects),
      trp_test(the_applications_own_look_up_counts_too),
      trp_test(it_can_be_set_and_taken_back_while_the_application_looks_up),
      trp_test(taken_back_it_does_not_come),
      trp_test(what_the_look_up_took_is_missing_for_the_attempts),
      trp_test(accepted_sockets_have_the_servers_deadlines),
      trp_test(a_client_has_its_own),
      trp_test(while_it_is_paused_time_stands_still),
      trp_test(a_peer_that_takes_nothing_stalls),
      trp_test(they_are_told_as_they_were_set),
  };
  return TRP_RUN_TESTS("deadlines", tests);
}
