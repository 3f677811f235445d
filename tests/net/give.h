/* A play in which a connection goes from one actor to another, over real sockets: a giver that
 * accepts it, a taker, and a peer that must not notice. Each actor is played again on its trace. */
#ifndef TRP_TESTS_NET_GIVE_H_INCLUDED
#define TRP_TESTS_NET_GIVE_H_INCLUDED

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

#include "tests/support/service.h"

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
  troupe_main_fn giver_main, taker_main; /* NULL: the usual ones */
  bool connects;                         /* it is the giver that connects, and the peer listens */
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

static inline void fill_much(void) {
  for (size_t i = 0; i < sizeof much; i++) {
    much[i] = (char)(i % 251);
  }
}

#define expect(side, condition) ((condition) ? (void)0 : note_wrong(side, __LINE__))

static inline void note_wrong(side_t *side, int line) {
  side->wrong = side->wrong == 0 ? line : side->wrong;
}

static inline bool is(const char *event, const char *name) {
  return strcmp(event, name) == 0;
}

static inline void tell(side_t *side, const char *event) {
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

static inline void on_connect(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "connect");
}

static inline void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)socket;
  side_t *side = context;
  size_t length = troupe_chunk_length(chunk);
  for (size_t i = 0; i < length && side->received + i < sizeof side->got - 1; i++) {
    side->got[side->received + i] = ((const char *)troupe_chunk_bytes(chunk))[i];
  }
  side->received += length;
  tell(side, "data");
}

static inline void on_drain(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "drain");
}

static inline void on_end(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "end");
}

static inline void on_timeout(troupe_socket_t socket, void *context) {
  (void)socket;
  tell(context, "timeout");
}

static inline void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  (void)socket;
  tell(context, error->name);
}

static inline void on_close(troupe_socket_t socket, bool had_error, void *context) {
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

static inline void on_written(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  tell(context, error == 0 ? "written" : troupe_error_name(error));
}

static inline void on_given(troupe_socket_t socket, int error, void *context) {
  side_t *side = context;
  expect(side, socket.id == side->socket.id);
  side->result = error;
  tell(side, error == 0 ? "given" : "kept");
  if (error == 0) {
    troupe_server_close(side->play->server);
  }
}

static inline int give(side_t *side, const char *message) {
  return troupe_socket_give(side->socket, side->play->taker_id, message, strlen(message), on_given,
                            side);
}

static inline void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  play_t *play = context;
  play->giver.socket = socket;
  troupe_socket_set_handlers(socket, &handlers, &play->giver);
  tell(&play->giver, "accepted");
}

static inline void on_server_close(troupe_server_t server, void *context) {
  (void)server;
  tell(&((play_t *)context)->giver, "server-close");
}

static inline int giver_main(void *argument) {
  static const troupe_server_handlers_t server_handlers = {.on_connection = on_connection,
                                                           .on_close = on_server_close};
  play_t *play = argument;
  play->giver.play = play;
  int error = test_listen(&play->options, &server_handlers, play, &play->server, &port);
  return error != 0 ? error : troupe_actor_run();
}

static inline void on_handed(troupe_socket_t socket, troupe_actor_t from,
                             const troupe_chunk_t *message, void *context) {
  side_t *side = context;
  expect(side, from.id != 0 && from.id != side->play->taker_id.id);
  side->socket = socket;
  size_t length = troupe_chunk_length(message);
  snprintf(side->message, sizeof side->message, "%.*s", (int)length,
           length == 0 ? "" : (const char *)troupe_chunk_bytes(message));
  troupe_socket_set_handlers(socket, &handlers, side);
  tell(side, "handed");
}

static inline int taker_main(void *argument) {
  play_t *play = argument;
  play->taker.play = play;
  if (play->without_taker) {
    return troupe_actor_on_message(NULL, NULL);
  }
  int error = troupe_actor_on_handed(on_handed, &play->taker);
  return error != 0 ? error : troupe_actor_run();
}

static inline void replay(troupe_main_fn main, play_t *again, const char *name) {
  char path[512];
  troupe_replay_report_t report = {0};
  snprintf(path, sizeof path, "%s/%s-0.trace", trp_test_folder(), name);
  int error = troupe_replay(main, again, path, &report);
  if (error != 0) {
    print_error("replay: %s\n%s\n", troupe_error_name(error), report.text);
  }
  assert_int_equal(error, 0);
}

static inline troupe_actor_t spawn_side(troupe_system_t *system, const char *name,
                                        troupe_main_fn main, play_t *play) {
  troupe_actor_t actor;
  troupe_spawn_options_t options = {.name = name, .main = main, .argument = play};
  assert_int_equal(troupe_spawn(system, &options, &actor), 0);
  return actor;
}

/* The actors play, and the peer at its end of the connection; then each on its trace. */
static inline void play_it(play_t *play, void (*peer)(int fd)) {
  troupe_main_fn giver_runs = play->giver_main == NULL ? giver_main : play->giver_main;
  troupe_main_fn taker_runs = play->taker_main == NULL ? taker_main : play->taker_main;
  play_t again = *play;
  troupe_system_t *system = NULL;
  int listening = -1;
  if (play->connects) {
    int at = 0;
    listening = trp_test_listen_tcp("127.0.0.1", &at);
    assert_true(listening >= 0);
    atomic_store(&port, at);
  }
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  assert_int_equal(
      troupe_record_start(system, &(troupe_record_options_t){.directory = trp_test_folder()}), 0);
  play->taker_id = spawn_side(system, "taker", taker_runs, play);
  if (play->without_taker) {
    assert_int_equal(troupe_actor_join(system, play->taker_id, LIMIT_MS * trp_test_slow(), NULL),
                     0);
  }
  again.taker_id = play->taker_id;
  troupe_actor_t giver = spawn_side(system, "giver", giver_runs, play);
  int fd = play->connects ? trp_test_accept(listening, LIMIT_MS)
                          : trp_test_connect_tcp("127.0.0.1", atomic_load(&port), LIMIT_MS);
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
  if (play->connects) {
    trp_test_close(listening);
  }
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
  replay(giver_runs, &again, "giver");
  if (!play->without_taker) {
    replay(taker_runs, &again, "taker");
  }
  assert_string_equal(again.giver.log, play->giver.log);
  assert_string_equal(again.taker.log, play->taker.log);
  assert_string_equal(again.taker.got, play->taker.got);
}

static inline void send_text(int fd, const char *text) {
  assert_int_equal(trp_test_send(fd, text, strlen(text), LIMIT_MS), 0);
}

static inline void receive_text(int fd, const char *expected) {
  char got[256] = {0};
  assert_int_equal(trp_test_receive(fd, got, strlen(expected), LIMIT_MS), strlen(expected));
  assert_string_equal(got, expected);
}

static inline void receive_end(int fd) {
  char got[16];
  assert_int_equal(trp_test_receive_to_end(fd, got, sizeof got, LIMIT_MS), 0);
}

/* Calls `then` once so many bytes wait in the socket. */
static inline void when_there(troupe_timer_t timer, void *context) {
  side_t *side = context;
  if (troupe_socket_bytes_read(side->socket) >= (uint64_t)side->step) {
    troupe_timer_stop(timer);
    tell(side, "there");
  }
}

static inline void wait_for_bytes(side_t *side, int count) {
  side->step = count;
  expect(side, troupe_timer_start(NULL, 1, 1, when_there, side) == 0);
}

static inline void receive_much(int fd, size_t length) {
  static char got[MUCH];
  assert_int_equal(trp_test_receive(fd, got, length, LIMIT_MS), length);
  assert_memory_equal(got, much, length);
}

static inline void end_first(int fd) {
  trp_test_end(fd);
  receive_text(fd, "last words");
  receive_end(fd);
}

static inline void hold_back(int fd) {
  receive_much(fd, MUCH);
  receive_end(fd);
  trp_test_end(fd);
}

static inline void send_and_end(int fd) {
  send_text(fd, "never before");
  send_text(fd, " seen");
  trp_test_end(fd);
  receive_end(fd);
}

static inline void give_at_once(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    expect(side, give(side, "") == 0);
  }
}

static inline void give_what_waits(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &without_data, side);
    wait_for_bytes(side, 12);
  } else if (is(event, "there")) {
    expect(side, give(side, "a message") == 0);
  }
}

static inline void send_and_be_cut_off(int fd) {
  send_text(fd, "never before");
  char byte;
  assert_true(trp_test_receive(fd, &byte, 1, LIMIT_MS) <= 0);
}

#endif
