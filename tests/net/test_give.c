/* A connection goes from one actor to another, over real sockets: a giver that accepts it, a taker,
 * and a peer that must not notice. Each is played again on its trace. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

#include "tests/harness/harness.h"

enum { LIMIT_MS = 20000, MUCH = 4 * 1024 * 1024 };

typedef struct play play_t;
typedef struct side side_t;
typedef void (*hook_fn)(side_t *side, const char *event);

struct side {
  play_t *play;
  troupe_socket_t socket;
  hook_fn hook;
  char log[1024];
  size_t used;
  char got[256]; /* the first bytes that came */
  size_t received;
  char message[64];
  int result; /* of the last give, or for the hook's use */
  int step;
  int wrong; /* the first line where an expectation did not hold */
};

struct play {
  troupe_server_options_t options;
  troupe_actor_t taker_id;
  bool without_taker, stops;
  troupe_server_t server;
  troupe_abort_t abort;
  side_t giver, taker;
  uint64_t count;
};

/* What giver and test share that is no matter of the trace. */
static atomic_int port;
static char much[MUCH];

#define expect(side, condition) ((condition) ? (void)0 : note_wrong(side, __LINE__))

static void note_wrong(side_t *side, int line) {
  side->wrong = side->wrong == 0 ? line : side->wrong;
}

static bool is(const char *event, const char *name) {
  return strcmp(event, name) == 0;
}

static void tell(side_t *side, const char *event) {
  bool more_data = is(event, "data") && side->used >= 5 &&
                   memcmp(side->log + side->used - 5, "data ", 5) == 0;
  if (!more_data) {
    side->used += (size_t)snprintf(side->log + side->used, sizeof side->log - side->used, "%s ",
                                   event);
  }
  if (side->hook != NULL) {
    side->hook(side, event);
  }
}

static void on_connect(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "connect");
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)socket;
  side_t *side = context;
  size_t length = troupe_chunk_length(chunk);
  for (size_t i = 0; i < length && side->received + i < sizeof side->got - 1; i++) {
    side->got[side->received + i] = ((const char *)troupe_chunk_bytes(chunk))[i];
  }
  side->received += length;
  tell(side, "data");
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "drain");
}

static void on_end(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "end");
}

static void on_timeout(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "timeout");
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  (void)socket;
  tell(context, error->name);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  side_t *side = context;
  tell(side, had_error ? "close!" : "close");
  if (side == &side->play->giver) {
    troupe_server_close(side->play->server);
  } else {
    troupe_actor_on_handed(NULL, NULL);
  }
}

static const troupe_socket_handlers_t handlers = {.on_connect = on_connect,
                                                  .on_data = on_data,
                                                  .on_drain = on_drain,
                                                  .on_end = on_end,
                                                  .on_timeout = on_timeout,
                                                  .on_error = on_error,
                                                  .on_close = on_close};
static const troupe_socket_handlers_t without_data = {
    .on_end = on_end, .on_error = on_error, .on_close = on_close};

static void on_written(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  tell(context, error == 0 ? "written" : troupe_error_name(error));
}

static void on_given(troupe_socket_t socket, int error, void *context) {
  side_t *side = context;
  expect(side, socket.id == side->socket.id);
  side->result = error;
  tell(side, error == 0 ? "given" : "kept");
  if (error == 0) {
    troupe_server_close(side->play->server);
  }
}

static int give(side_t *side, const char *message) {
  return troupe_socket_give(side->socket, side->play->taker_id, message, strlen(message), on_given,
                            side);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  play_t *play = context;
  play->giver.socket = socket;
  troupe_socket_set_handlers(socket, &handlers, &play->giver);
  tell(&play->giver, "accepted");
}

static void on_server_close(troupe_server_t server, void *context) {
  (void)server;
  tell(&((play_t *)context)->giver, "server-close");
}

static int giver_main(void *argument) {
  static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection,
                                                           .on_close = on_server_close};
  play_t *play = argument;
  play->giver.play = play;
  int error = troupe_server_new(&play->options, &server_handlers, play, &play->server);
  if (error == 0) {
    error = troupe_server_listen_port(play->server, 0, "127.0.0.1", 0);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(play->server, LIMIT_MS * trp_test_slow());
  }
  troupe_address_t address = {0};
  if (error == 0) {
    error = troupe_server_address(play->server, &address);
  }
  atomic_store(&port, address.port);
  return error != 0 ? error : troupe_actor_run();
}

static void on_handed(troupe_socket_t socket, troupe_actor_t from, const troupe_chunk_t *message,
                      void *context) {
  side_t *side = context;
  expect(side, from.id != 0 && from.id != side->play->taker_id.id);
  side->socket = socket;
  size_t length = troupe_chunk_length(message);
  snprintf(side->message, sizeof side->message, "%.*s", (int)length,
           length == 0 ? "" : (const char *)troupe_chunk_bytes(message));
  troupe_socket_set_handlers(socket, &handlers, side);
  tell(side, "handed");
}

static int taker_main(void *argument) {
  play_t *play = argument;
  play->taker.play = play;
  if (play->without_taker) {
    return troupe_actor_on_message(NULL, NULL);
  }
  int error = troupe_actor_on_handed(on_handed, &play->taker);
  return error != 0 ? error : troupe_actor_run();
}

static void replay(troupe_main_fn main, play_t *again, const char *name) {
  char path[512];
  troupe_replay_report_t report = {0};
  snprintf(path, sizeof path, "%s/%s-0.trace", trp_test_folder(), name);
  int error = troupe_replay(main, again, path, &report);
  if (error != 0) {
    print_error("replay: %s\n%s\n", troupe_error_name(error), report.text);
  }
  assert_int_equal(error, 0);
}

static void play_it(play_t *play, void (*peer)(int fd)) {
  play_t again = *play;
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  assert_int_equal(
      troupe_record_start(system, &(troupe_record_options_t){.directory = trp_test_folder()}), 0);
  troupe_actor_t giver;
  assert_int_equal(
      troupe_spawn(system,
                   &(troupe_spawn_options_t){.name = "taker", .main = taker_main, .argument = play},
                   &play->taker_id),
      0);
  if (play->without_taker) {
    assert_int_equal(troupe_actor_join(system, play->taker_id, LIMIT_MS, NULL), 0);
  }
  again.taker_id = play->taker_id;
  assert_int_equal(
      troupe_spawn(system,
                   &(troupe_spawn_options_t){.name = "giver", .main = giver_main, .argument = play},
                   &giver),
      0);
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&port), LIMIT_MS);
  assert_true(fd >= 0);
  peer(fd);
  int status = 0;
  assert_int_equal(troupe_actor_join(system, giver, LIMIT_MS * trp_test_slow(), &status), 0);
  assert_int_equal(status, 0);
  if (play->stops) {
    assert_int_equal(troupe_system_stop(system, 0), 0);
  }
  assert_int_equal(troupe_system_wait(system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  trp_test_close(fd);
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(system, &counters), 0);
  assert_int_equal(counters.sockets, 0);
  assert_int_equal(counters.servers, 0);
  assert_int_equal(counters.unknown_kind, 0);
  assert_int_equal(counters.not_owner, 0);
  assert_int_equal(counters.stale_epoch, 0);
  assert_int_equal(troupe_system_free(&system), 0);
  assert_int_equal(play->giver.wrong, 0);
  assert_int_equal(play->taker.wrong, 0);
  replay(giver_main, &again, "giver");
  if (!play->without_taker) {
    replay(taker_main, &again, "taker");
  }
  assert_string_equal(again.giver.log, play->giver.log);
  assert_string_equal(again.taker.log, play->taker.log);
  assert_string_equal(again.taker.got, play->taker.got);
}

static void send_text(int fd, const char *text) {
  assert_int_equal(trp_test_send(fd, text, strlen(text), LIMIT_MS), 0);
}

static void receive_text(int fd, const char *expected) {
  char got[256] = {0};
  assert_int_equal(trp_test_receive(fd, got, strlen(expected), LIMIT_MS), strlen(expected));
  assert_string_equal(got, expected);
}

static void receive_end(int fd) {
  char got[16];
  assert_int_equal(trp_test_receive_to_end(fd, got, sizeof got, LIMIT_MS), 0);
}

/* Calls `then` once so many bytes wait in the socket. */
static void when_there(troupe_timer_t timer, void *context) {
  side_t *side = context;
  if (troupe_socket_bytes_read(side->socket) >= (uint64_t)side->step) {
    troupe_timer_stop(timer);
    tell(side, "there");
  }
}

static void wait_for_bytes(side_t *side, int count) {
  side->step = count;
  expect(side, troupe_timer_start(NULL, 1, 1, when_there, side) == 0);
}

// ---- What goes along ----

static void give_after_the_first_line(side_t *side, const char *event) {
  if (is(event, "data")) {
    expect(side, troupe_socket_write(side->socket, "from the giver, ", 16, NULL, NULL) == 1);
    expect(side, give(side, side->got) == 0);
  }
}

static void answer_and_end(side_t *side, const char *event) {
  if (is(event, "data")) {
    expect(side, troupe_socket_end_with(side->socket, "from the taker", 14, NULL, NULL) == 0);
  }
}

static void talk(int fd) {
  send_text(fd, "to the giver");
  receive_text(fd, "from the giver, ");
  send_text(fd, "to the taker");
  receive_text(fd, "from the taker");
  receive_end(fd);
  trp_test_end(fd);
}

static void a_connection_goes_on_in_another_actor(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_after_the_first_line, .taker.hook = answer_and_end};
  play_it(&play, talk);
  assert_string_equal(play.giver.log, "accepted data given server-close ");
  assert_string_equal(play.taker.log, "handed data end close ");
  assert_string_equal(play.taker.message, "to the giver");
  assert_string_equal(play.taker.got, "to the taker");
}

static void give_what_waits(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &without_data, side);
    wait_for_bytes(side, 12);
  } else if (is(event, "there")) {
    expect(side, give(side, "a message") == 0);
  }
}

static void send_and_end(int fd) {
  send_text(fd, "never before");
  send_text(fd, " seen");
  trp_test_end(fd);
  receive_end(fd);
}

static void bytes_that_nobody_read_go_along(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_what_waits};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted there given server-close ");
  assert_string_equal(play.taker.log, "handed data end close ");
  assert_string_equal(play.taker.got, "never before seen");
  assert_string_equal(play.taker.message, "a message");
}

static void give_at_once(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
  }
}

static void resume_it(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_is_paused(side->socket));
    expect(side, troupe_socket_resume(side->socket) == 0);
  }
}

static void a_connection_accepted_paused_is_given_without_a_byte_read(void **state) {
  (void)state;
  play_t play = {
      .options.pause_on_connect = true, .giver.hook = give_at_once, .taker.hook = resume_it};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted given server-close ");
  assert_string_equal(play.taker.log, "handed data end close ");
  assert_string_equal(play.taker.got, "never before seen");
}

static bool take_five(troupe_socket_t socket, size_t length, void *buffer, void *context) {
  side_t *side = context;
  (void)buffer;
  expect(side, length <= 5);
  side->received += length;
  if (side->received == 10) {
    troupe_socket_pause(socket);
    expect(side, give(side, "") == 0);
  }
  return true;
}

static char five[5];
static const troupe_onread_t onread = {.buffer = five, .size = 5, .callback = take_five};

static int half_read_main(void *argument) {
  play_t *play = argument;
  play->giver.play = play;
  static const troupe_socket_options_t options = {.onread = &onread};
  troupe_connect_options_t where = {.host = "127.0.0.1", .port = atomic_load(&port)};
  int error = troupe_connect(&where, &options, &handlers, &play->giver, &play->giver.socket);
  return error != 0 ? error : troupe_actor_run();
}

static void a_chunk_that_was_read_in_part_goes_from_there(void **state) {
  (void)state;
  play_t play = {.taker.hook = resume_it};
  troupe_system_t *system = NULL;
  int listening_port = 0;
  int listening = trp_test_listen_tcp("127.0.0.1", &listening_port);
  assert_true(listening >= 0);
  atomic_store(&port, listening_port);
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  troupe_spawn_options_t taker = {.name = "taker", .main = taker_main, .argument = &play};
  troupe_spawn_options_t giver = {.name = "giver", .main = half_read_main, .argument = &play};
  assert_int_equal(troupe_spawn(system, &taker, &play.taker_id), 0);
  assert_int_equal(troupe_spawn(system, &giver, NULL), 0);
  int fd = trp_test_accept(listening, LIMIT_MS);
  assert_true(fd >= 0);
  send_text(fd, "0123456789abcdefghij");
  trp_test_end(fd);
  receive_end(fd);
  assert_int_equal(troupe_system_wait(system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
  trp_test_close(fd);
  trp_test_close(listening);
  assert_int_equal(play.giver.wrong, 0);
  assert_string_equal(play.taker.got, "abcdefghij");
  assert_string_equal(play.taker.log, "handed data end close ");
}

static void read_text_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_UTF8) == 0);
    wait_for_bytes(side, 3);
  } else if (is(event, "there")) {
    expect(side, give(side, "") == 0);
  }
}

static void send_half_a_character(int fd) {
  send_text(fd, "a\xe2\x82");
  char got[2];
  assert_int_equal(trp_test_receive(fd, got, 2, LIMIT_MS), 2);
  send_text(fd, "\xac");
  trp_test_end(fd);
  receive_end(fd);
}

static void ask_for_more(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_write(side->socket, "go", 2, NULL, NULL) == 1);
  }
}

static void the_beginning_of_a_character_goes_along(void **state) {
  (void)state;
  play_t play = {.giver.hook = read_text_and_give, .taker.hook = ask_for_more};
  play_it(&play, send_half_a_character);
  assert_string_equal(play.giver.got, "a");
  assert_string_equal(play.taker.got, "\xe2\x82\xac");
}

static void give_after_the_end(side_t *side, const char *event) {
  if (is(event, "end")) {
    expect(side, give(side, "") == 0);
  }
}

static void answer_the_end(side_t *side, const char *event) {
  if (is(event, "end")) {
    expect(side, troupe_socket_ready_state(side->socket) == TROUPE_WRITE_ONLY);
    expect(side, troupe_socket_write(side->socket, "last words", 10, NULL, NULL) == 1);
  }
}

static void end_first(int fd) {
  trp_test_end(fd);
  receive_text(fd, "last words");
  receive_end(fd);
}

static void the_peers_end_is_told_to_the_new_owner_too(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_after_the_end, .taker.hook = answer_the_end};
  play_it(&play, end_first);
  assert_string_equal(play.giver.log, "accepted end given server-close ");
  assert_string_equal(play.taker.log, "handed end close ");
}

static void end_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_end_with(side->socket, much, MUCH, on_written, side) == 0);
    expect(side, give(side, "") == 0);
  }
}

static void write_in_vain(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_ready_state(side->socket) == TROUPE_READ_ONLY);
    expect(side, troupe_socket_write(side->socket, "more", 4, NULL, NULL) == TROUPE_EPIPE);
    expect(side, troupe_socket_bytes_written(side->socket) == MUCH);
  }
}

static void receive_much(int fd, size_t length) {
  static char got[MUCH];
  assert_int_equal(trp_test_receive(fd, got, length, LIMIT_MS), length);
  assert_memory_equal(got, much, length);
}

static void read_all_and_answer(int fd) {
  receive_much(fd, MUCH);
  receive_end(fd);
  send_text(fd, "thanks");
  trp_test_end(fd);
}

static void a_socket_whose_side_has_ended_reads_on_in_the_other_actor(void **state) {
  (void)state;
  play_t play = {.giver.hook = end_and_give, .taker.hook = write_in_vain};
  play_it(&play, read_all_and_answer);
  /* Whether FIN is sent before the give depends on the kernel's buffers. */
  assert_true(is(play.giver.log, "accepted TROUPE_EGIVING given server-close ") ||
              is(play.giver.log, "accepted written given server-close "));
  assert_string_equal(play.taker.got, "thanks");
  assert_string_equal(play.taker.log, "handed data end close ");
}

static void destroy_soon_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_write(side->socket, much, MUCH, on_written, side) == 0);
    expect(side, troupe_socket_destroy_soon(side->socket) == 0);
    expect(side, give(side, "") == 0);
  }
}

static void hold_back(int fd) {
  receive_much(fd, MUCH);
  receive_end(fd);
  trp_test_end(fd);
}

static void a_socket_on_its_way_out_may_change_hands(void **state) {
  (void)state;
  play_t play = {.giver.hook = destroy_soon_and_give, .stops = true};
  play_it(&play, hold_back);
  if (is(play.giver.log, "accepted TROUPE_EGIVING given server-close ")) {
    assert_string_equal(play.taker.log, "handed close ");
  } else { /* the peer took all of it before */
    assert_string_equal(play.giver.log, "accepted written kept close server-close ");
    assert_int_equal(play.giver.result, TROUPE_ENOTCONN);
  }
}

static void write_much_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_write(side->socket, much, MUCH, on_written, side) == 0);
    expect(side, give(side, "") == 0);
  }
}

static void write_behind_it(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_bytes_written(side->socket) == MUCH);
    side->result = troupe_socket_writable_length(side->socket) > 16384;
    int result = troupe_socket_write(side->socket, "behind", 6, NULL, NULL);
    expect(side, result == (side->result ? 0 : 1));
    if (!side->result) {
      troupe_socket_end(side->socket, NULL, NULL);
    }
  } else if (is(event, "drain")) {
    expect(side, troupe_socket_writable_length(side->socket) == 0);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void read_all_in_order(int fd) {
  receive_much(fd, MUCH);
  receive_text(fd, "behind");
  receive_end(fd);
  trp_test_end(fd);
}

static void what_was_not_sent_leaves_before_what_the_new_owner_writes(void **state) {
  (void)state;
  play_t play = {.giver.hook = write_much_and_give, .taker.hook = write_behind_it};
  play_it(&play, read_all_in_order);
  assert_string_equal(play.taker.log,
                      play.taker.result ? "handed drain end close " : "handed end close ");
}

static void set_options_and_give(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, troupe_socket_set_timeout(side->socket, 20) == 0);
    expect(side, troupe_socket_set_no_delay(side->socket, true) == 0);
    expect(side, troupe_socket_set_linger(side->socket, 500) == 0);
    troupe_deadlines_t deadlines = {.connect_ms = 1, .first_byte_ms = 100000};
    expect(side, troupe_socket_set_deadlines(side->socket, &deadlines) == 0);
    expect(side, give(side, "") == 0);
    expect(side, troupe_socket_set_deadlines(side->socket, NULL) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_linger(side->socket, 1) == TROUPE_EGIVING);
  }
}

static void see_options(side_t *side, const char *event) {
  if (is(event, "handed")) {
    troupe_address_t local, remote;
    troupe_deadlines_t deadlines;
    expect(side, troupe_socket_timeout(side->socket) == 20);
    expect(side, troupe_socket_deadlines(side->socket, &deadlines) == 0);
    expect(side, deadlines.connect_ms == 1 && deadlines.first_byte_ms == 100000);
    expect(side, troupe_socket_local_address(side->socket, &local) == 0);
    expect(side, troupe_socket_remote_address(side->socket, &remote) == 0);
    expect(side, local.port != 0 && remote.port != 0 && local.port != remote.port);
    expect(side, troupe_socket_server(side->socket).id == 0);
    /* 100 bytes is the mark that the giver's server set. */
    expect(side, troupe_socket_write(side->socket, much, 100, NULL, NULL) == 0);
  } else if (is(event, "timeout")) {
    troupe_socket_destroy(side->socket, 0);
  }
}

static void wait_for_the_end(int fd) {
  receive_much(fd, 100);
  receive_end(fd);
}

static void options_timeouts_and_marks_go_along(void **state) {
  (void)state;
  play_t play = {.options.high_water_mark = 100,
                 .giver.hook = set_options_and_give,
                 .taker.hook = see_options};
  play_it(&play, wait_for_the_end);
  assert_string_equal(play.giver.log, "accepted given server-close ");
  assert_string_equal(play.taker.log, "handed drain timeout close ");
}

// ---- Late calls ----

static void call_everything(side_t *side, const char *event) {
  troupe_socket_t socket = side->socket;
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
    troupe_chunk_t *chunk = NULL;
    expect(side, troupe_chunk_new(&chunk, "late", 4) == 0);
    expect(side, give(side, "") == TROUPE_EGIVING);
    expect(side, troupe_socket_write(socket, "late", 4, on_written, side) == TROUPE_EGIVING);
    expect(side, troupe_socket_write_chunk(socket, chunk, NULL, NULL) == TROUPE_EGIVING);
    expect(side, troupe_socket_end(socket, on_written, side) == TROUPE_EGIVING);
    expect(side, troupe_socket_end_with(socket, "late", 4, NULL, NULL) == TROUPE_EGIVING);
    expect(side, troupe_socket_destroy(socket, 0) == TROUPE_EGIVING);
    expect(side, troupe_socket_destroy_soon(socket) == TROUPE_EGIVING);
    expect(side, troupe_socket_reset_and_destroy(socket) == TROUPE_EGIVING);
    expect(side, troupe_socket_pause(socket) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_timeout(socket, 1) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_no_delay(socket, true) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_keep_alive(socket, true, 0) == TROUPE_EGIVING);
    expect(side, troupe_socket_set_encoding(socket, TROUPE_ENCODING_HEX) == TROUPE_EGIVING);
    expect(side, troupe_socket_free(socket) == TROUPE_EGIVING);
    troupe_chunk_free(&chunk);
  } else if (is(event, "given")) {
    expect(side, troupe_socket_write(socket, "late", 4, NULL, NULL) == TROUPE_ERR_STREAM_DESTROYED);
    expect(side, give(side, "") == TROUPE_ERR_STREAM_DESTROYED);
    expect(side, troupe_socket_destroy(socket, 0) == 0);
    expect(side,
           troupe_socket_connect(socket, &(troupe_connect_options_t){.port = 1}) == TROUPE_EISCONN);
    expect(side, troupe_socket_context(socket) == side);
  } else if (is(event, "server-close")) {
    expect(side, troupe_socket_write(socket, "late", 4, NULL, NULL) == TROUPE_ESTALE);
    expect(side, give(side, "") == TROUPE_ESTALE);
  }
}

static void late_calls_of_the_old_owner_are_an_error(void **state) {
  (void)state;
  play_t play = {.giver.hook = call_everything};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted given server-close ");
}

static void give_too_early(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_t idle, connecting;
    static const troupe_socket_handlers_t none;
    troupe_actor_t taker = side->play->taker_id;
    expect(side, troupe_socket_new(NULL, &none, NULL, &idle) == 0);
    expect(side, troupe_socket_give(idle, taker, NULL, 0, NULL, NULL) == TROUPE_ENOTCONN);
    expect(side, troupe_connect_port(1, "127.0.0.1", &none, NULL, &connecting) == 0);
    expect(side, troupe_socket_give(connecting, taker, NULL, 0, NULL, NULL) == TROUPE_ENOTCONN);
    expect(side, troupe_socket_destroy(connecting, 0) == 0);
    expect(side, troupe_socket_give(connecting, taker, NULL, 0, NULL, NULL) ==
                     TROUPE_ERR_STREAM_DESTROYED);
    troupe_socket_t socket = side->socket;
    expect(side,
           troupe_socket_give(socket, troupe_actor_self(), NULL, 0, NULL, NULL) == TROUPE_EINVAL);
    expect(side, troupe_socket_give(socket, (troupe_actor_t){.id = 5}, NULL, 0, NULL, NULL) ==
                     TROUPE_EINVAL);
    expect(side, troupe_socket_give(socket, taker, NULL, 1, NULL, NULL) == TROUPE_EINVAL);
    expect(side, troupe_socket_give(socket, taker, much, 16 * 1024 * 1024 + 1, NULL, NULL) ==
                     TROUPE_EINVAL);
    expect(side, troupe_socket_end(socket, NULL, NULL) == 0);
  }
}

static void what_cannot_be_given_says_so_at_once(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_too_early, .stops = true};
  play_it(&play, send_and_end);
  assert_string_equal(play.giver.log, "accepted data end close server-close ");
  assert_string_equal(play.taker.log, "");
}

// ---- Gives that fail ----

static void give_to_nobody(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
  } else if (is(event, "kept")) {
    expect(side, side->result == TROUPE_ENOACTOR);
    expect(side, troupe_socket_write(side->socket, "last words", 10, NULL, NULL) == 1);
  }
}

static void a_receiver_that_is_gone_leaves_the_socket_where_it_is(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_to_nobody, .without_taker = true};
  play_it(&play, end_first);
  assert_string_equal(play.giver.log, "accepted kept end close server-close ");
}

static void give_twice_to_nobody(side_t *side, const char *event) {
  if (is(event, "accepted") || (is(event, "kept") && side->step++ == 0)) {
    expect(side, give(side, "") == 0);
  } else if (is(event, "kept")) {
    expect(side, troupe_socket_write(side->socket, "last words", 10, NULL, NULL) == 1);
  }
}

static void a_give_that_failed_can_be_tried_again(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_twice_to_nobody, .without_taker = true};
  play_it(&play, end_first);
  assert_string_equal(play.giver.log, "accepted kept kept end close server-close ");
}

static void write_much_and_give_to_nobody(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_write(side->socket, much, MUCH, NULL, NULL);
    expect(side, give(side, "") == 0);
  } else if (is(event, "drain")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void a_drain_that_is_owed_comes_after_a_give_that_failed(void **state) {
  (void)state;
  play_t play = {.giver.hook = write_much_and_give_to_nobody, .without_taker = true};
  play_it(&play, hold_back);
  assert_true(strstr(play.giver.log, "accepted kept drain ") != NULL);
}

static void abort_and_give(side_t *side, const char *event) {
  if (is(event, "connect")) {
    expect(side, give(side, "") == 0);
    expect(side, troupe_abort(NULL, side->play->abort) == 0);
    expect(side, give(side, "") == TROUPE_EGIVING);
  }
}

static int aborting_main(void *argument) {
  play_t *play = argument;
  play->giver.play = play;
  int error = troupe_abort_new(&play->abort);
  troupe_socket_options_t options = {.signal = play->abort};
  troupe_connect_options_t where = {.host = "127.0.0.1", .port = atomic_load(&port)};
  if (error == 0) {
    error = troupe_connect(&where, &options, &handlers, &play->giver, &play->giver.socket);
  }
  return error != 0 ? error : troupe_actor_run();
}

static void a_signal_that_is_aborted_before_the_socket_left_destroys_it(void **state) {
  (void)state;
  play_t play = {.giver.hook = abort_and_give};
  troupe_system_t *system = NULL;
  int listening_port = 0;
  int listening = trp_test_listen_tcp("127.0.0.1", &listening_port);
  assert_true(listening >= 0);
  atomic_store(&port, listening_port);
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  troupe_spawn_options_t taker = {.name = "taker", .main = taker_main, .argument = &play};
  troupe_spawn_options_t giver = {.name = "giver", .main = aborting_main, .argument = &play};
  assert_int_equal(troupe_spawn(system, &taker, &play.taker_id), 0);
  troupe_actor_t id;
  assert_int_equal(troupe_spawn(system, &giver, &id), 0);
  assert_int_equal(troupe_actor_join(system, id, LIMIT_MS * trp_test_slow(), NULL), 0);
  assert_int_equal(troupe_system_stop(system, 0), 0);
  assert_int_equal(troupe_system_wait(system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
  trp_test_close(listening);
  assert_int_equal(play.giver.wrong, 0);
  assert_string_equal(play.giver.log, "connect kept ABORT_ERR close! ");
  assert_int_equal(play.giver.result, TROUPE_ABORT_ERR);
  assert_string_equal(play.taker.log, "");
}

static void stop_while_it_is_given(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
    expect(side, troupe_actor_end(0) == 0);
  }
}

static void say_hello(side_t *side, const char *event) {
  if (is(event, "handed")) {
    expect(side, troupe_socket_end_with(side->socket, "hello", 5, NULL, NULL) == 0);
  }
}

static void hear_hello(int fd) {
  receive_text(fd, "hello");
  receive_end(fd);
  trp_test_end(fd);
}

static void a_connection_that_was_given_outlives_an_actor_that_ends_at_once(void **state) {
  (void)state;
  play_t play = {.giver.hook = stop_while_it_is_given, .taker.hook = say_hello};
  play_it(&play, hear_hello);
  assert_string_equal(play.giver.log, "accepted ");
  assert_string_equal(play.taker.log, "handed end close ");
}

static void give_late(side_t *side, const char *event) {
  if (is(event, "there")) {
    expect(side, give(side, "") == 0);
    expect(side, troupe_actor_end(0) == 0);
  } else if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &without_data, side);
    wait_for_bytes(side, 12);
  }
}

static void send_and_be_cut_off(int fd) {
  send_text(fd, "never before");
  char byte;
  assert_true(trp_test_receive(fd, &byte, 1, LIMIT_MS) <= 0);
}

static void bytes_that_wait_in_an_actor_that_ends_go_with_it(void **state) {
  (void)state;
  play_t play = {.giver.hook = give_late, .stops = true};
  play_it(&play, send_and_be_cut_off);
  assert_string_equal(play.giver.log, "accepted there ");
  assert_string_equal(play.taker.log, "");
}

// ---- The receiver's side ----

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
  play_t play = {.giver.hook = give_at_once};
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  troupe_spawn_options_t taker = {.name = "taker", .main = waiting_main};
  troupe_spawn_options_t giver = {.name = "giver", .main = giver_main, .argument = &play};
  assert_int_equal(troupe_spawn(system, &taker, &play.taker_id), 0);
  troupe_actor_t id;
  assert_int_equal(troupe_spawn(system, &giver, &id), 0);
  int fd = trp_test_connect_tcp("127.0.0.1", atomic_load(&port), LIMIT_MS);
  assert_true(fd >= 0);
  receive_end(fd);
  trp_test_close(fd);
  assert_int_equal(troupe_actor_join(system, id, LIMIT_MS * trp_test_slow(), NULL), 0);
  assert_int_equal(troupe_system_stop(system, 0), 0);
  assert_int_equal(troupe_system_wait(system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
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

int main(void) {
  for (size_t i = 0; i < sizeof much; i++) {
    much[i] = (char)(i % 251);
  }
  const struct CMUnitTest tests[] = {
      trp_test(a_connection_goes_on_in_another_actor),
      trp_test(bytes_that_nobody_read_go_along),
      trp_test(a_connection_accepted_paused_is_given_without_a_byte_read),
      trp_test(a_chunk_that_was_read_in_part_goes_from_there),
      trp_test(the_beginning_of_a_character_goes_along),
      trp_test(the_peers_end_is_told_to_the_new_owner_too),
      trp_test(a_socket_whose_side_has_ended_reads_on_in_the_other_actor),
      trp_test(a_socket_on_its_way_out_may_change_hands),
      trp_test(what_was_not_sent_leaves_before_what_the_new_owner_writes),
      trp_test(options_timeouts_and_marks_go_along),
      trp_test(late_calls_of_the_old_owner_are_an_error),
      trp_test(what_cannot_be_given_says_so_at_once),
      trp_test(a_receiver_that_is_gone_leaves_the_socket_where_it_is),
      trp_test(a_give_that_failed_can_be_tried_again),
      trp_test(a_drain_that_is_owed_comes_after_a_give_that_failed),
      trp_test(a_signal_that_is_aborted_before_the_socket_left_destroys_it),
      trp_test(a_connection_that_was_given_outlives_an_actor_that_ends_at_once),
      trp_test(bytes_that_wait_in_an_actor_that_ends_go_with_it),
      trp_test(connections_for_an_actor_that_wants_none_are_closed),
      trp_test(a_connection_counts_in_its_server_wherever_it_lives),
  };
  return TRP_RUN_TESTS("give", tests);
}
