/* Reading over real connections: pausing, bytes that nobody takes, buffers of the application's
 * own. */
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/scene.h"

enum { MUCH = 4 * 1024 * 1024 };
static char much[MUCH];

static void hello_and_end(side_t *side, const char *event) {
  if (is(event, "connect")) {
    troupe_socket_end_with(side->socket, "hello", 5, NULL, NULL);
  }
}

static void much_and_end(side_t *side, const char *event) {
  if (is(event, "connect")) {
    troupe_socket_end_with(side->socket, much, MUCH, NULL, NULL);
  }
}

static void go_on(troupe_timer_t timer, void *context) {
  (void)timer;
  side_t *side = context;
  scene_note(side, "resume ");
  troupe_socket_resume(side->socket);
}

static void pause_a_while(side_t *side, const char *event) {
  if (is(event, "data") && side->step++ == 0) {
    troupe_socket_pause(side->socket);
    side->result += !troupe_socket_is_paused(side->socket);
    scene_note(side, "pause ");
    troupe_timer_start(NULL, 30, 0, go_on, side);
  }
}

static void a_paused_socket_gives_nothing_and_loses_nothing(void **state) {
  (void)state;
  scene_t scene = {.client.hook = much_and_end, .accepted.hook = pause_a_while};
  play(&scene);
  assert_log(scene.accepted, "data pause resume data end close ");
  assert_int_equal(scene.accepted.received, MUCH);
  assert_int_equal(scene.accepted.result, 0);
}

static void look_and_go_on(troupe_timer_t timer, void *context) {
  (void)timer;
  side_t *side = context;
  side->result = (int)troupe_socket_bytes_read(side->socket);
  go_on(timer, context);
}

static void wait_for_resume(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    side->step = troupe_socket_is_paused(side->socket);
    troupe_timer_start(NULL, 30, 0, look_and_go_on, side);
  }
}

static void with_pause_on_connect_not_a_byte_is_read(void **state) {
  (void)state;
  scene_t scene = {.server_options.pause_on_connect = true,
                   .client.hook = hello_and_end,
                   .accepted.hook = wait_for_resume};
  play(&scene);
  assert_true(scene.accepted.step);
  assert_int_equal(scene.accepted.result, 0);
  assert_log(scene.accepted, "resume data end close ");
}

static void answer(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_end_with(side->socket, "welcome", 7, NULL, NULL);
  }
}

static void paused_client(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_timer_start(NULL, 30, 0, look_and_go_on, side);
  }
}

static void a_client_paused_before_it_connects_reads_after_resume(void **state) {
  (void)state;
  scene_t scene = {
      .client_options.paused = true, .client.hook = paused_client, .accepted.hook = answer};
  play(&scene);
  assert_int_equal(scene.client.result, 0);
  assert_log(scene.client, "attempt connect ready resume data end close ");
}

// ---- What a connection that nobody listens to holds ----

typedef struct {
  int fd;
  size_t length;       /* what is written */
  unsigned directions; /* the descriptor's */
} writer_t;

static int write_paused(void *argument) {
  const writer_t *writer = argument;
  troupe_socket_t socket;
  int error = troupe_socket_adopt(
      writer->fd, writer->directions,
      &(troupe_socket_options_t){.paused = true, .high_water_mark = 2 * (size_t)MUCH}, NULL, NULL,
      &socket);
  if (error == 0 && writer->length > 0) {
    error = troupe_socket_write(socket, much, writer->length, NULL, NULL);
  }
  return error < 0 ? error : troupe_actor_run();
}

/* The peer keeps its end open: only that nothing holds it ends the actor. */
static void assert_writes_all_and_ends(size_t length, unsigned directions) {
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  troupe_system_t *system = NULL;
  troupe_actor_t actor;
  int status = -1;
  writer_t writer = {.fd = pair[0], .length = length, .directions = directions};
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  assert_int_equal(
      troupe_spawn(system, &(troupe_spawn_options_t){.main = write_paused, .argument = &writer},
                   &actor),
      0);
  static char read_back[MUCH + 1];
  assert_int_equal(trp_test_receive_to_end(pair[1], read_back, sizeof read_back, 25000), length);
  assert_int_equal(troupe_actor_join(system, actor, 25000 * trp_test_slow(), &status), 0);
  assert_int_equal(status, 0);
  assert_int_equal(troupe_system_free(&system), 0);
  close(pair[1]);
}

static void a_connection_that_was_always_paused_holds_until_all_is_written(void **state) {
  (void)state;
  const unsigned both = TROUPE_READABLE | TROUPE_WRITABLE;
  assert_writes_all_and_ends(0, both);
  assert_writes_all_and_ends(1, both);
  assert_writes_all_and_ends(MUCH, both);
}

static void a_descriptor_that_is_only_written_to_holds_until_all_is_written(void **state) {
  (void)state;
  assert_writes_all_and_ends(0, TROUPE_WRITABLE);
  assert_writes_all_and_ends(1, TROUPE_WRITABLE);
  assert_writes_all_and_ends(MUCH, TROUPE_WRITABLE);
}

// ---- Nobody takes it ----

static const troupe_socket_handlers_t deaf_handlers = {
    .on_end = scene_on_end, .on_close = scene_on_close, .on_error = scene_on_error};

static void listen_now(troupe_timer_t timer, void *context) {
  (void)timer;
  side_t *side = context;
  side->result = (int)troupe_socket_bytes_read(side->socket);
  scene_note(side, "listen ");
  troupe_socket_set_handlers(side->socket, &scene_handlers, side);
}

/* Once all five bytes are here, and a while later. */
static void listen_when_there(troupe_timer_t timer, void *context) {
  side_t *side = context;
  if (troupe_socket_bytes_read(side->socket) >= 5) {
    troupe_timer_stop(timer);
    troupe_timer_start(NULL, 50, 0, listen_now, side);
  }
}

static void be_deaf_when_it_comes(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &deaf_handlers, side);
    troupe_timer_start(NULL, 1, 1, listen_when_there, side);
  }
}

static void be_deaf(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &deaf_handlers, side);
    troupe_timer_start(NULL, 50, 0, listen_now, side);
  }
}

static void without_a_handler_bytes_and_the_end_wait(void **state) {
  (void)state;
  scene_t scene = {.client.hook = hello_and_end, .accepted.hook = be_deaf_when_it_comes};
  play(&scene);
  assert_log(scene.accepted, "listen data end close ");
  assert_int_equal(scene.accepted.result, 5);
}

static void without_a_handler_the_peer_feels_it(void **state) {
  (void)state;
  scene_t scene = {.client.hook = much_and_end, .accepted.hook = be_deaf};
  play(&scene);
  assert_log(scene.accepted, "listen data end close ");
  assert_true(scene.accepted.result <= 128 * 1024);
  assert_int_equal(scene.accepted.received, MUCH);
}

static void deaf_for_ever(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &deaf_handlers, side);
  }
}

static void only_end(side_t *side, const char *event) {
  if (is(event, "connect")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void an_end_without_bytes_needs_no_reader(void **state) {
  (void)state;
  scene_t scene = {.client.hook = only_end, .accepted.hook = deaf_for_ever};
  play(&scene);
  assert_log(scene.accepted, "end close ");
}

static void drop_it(troupe_timer_t timer, void *context) {
  (void)timer;
  side_t *side = context;
  side->result = (int)troupe_socket_ready_state(side->socket);
  troupe_socket_destroy(side->socket, 0);
  scene_note(side, "destroyed ");
}

/* Both sides have ended, so the I/O actor has closed it; but its bytes are not read. */
static void deaf_and_ended(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &deaf_handlers, side);
    troupe_socket_end(side->socket, NULL, NULL);
    troupe_timer_start(NULL, 50, 0, drop_it, side);
  }
}

static void unread_bytes_keep_a_closed_connection_open_until_it_is_destroyed(void **state) {
  (void)state;
  scene_t scene = {.client.hook = hello_and_end, .accepted.hook = deaf_and_ended};
  play(&scene);
  assert_log(scene.accepted, "destroyed close ");
  assert_int_equal(scene.accepted.result, TROUPE_READ_ONLY);
  assert_int_equal(scene.accepted.received, 0);
}

static void deaf_and_ended_then_listens(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_handlers(side->socket, &deaf_handlers, side);
    troupe_socket_end(side->socket, NULL, NULL);
    troupe_timer_start(NULL, 50, 0, listen_now, side);
  }
}

static void end_and_close_wait_behind_unread_bytes(void **state) {
  (void)state;
  scene_t scene = {.client.hook = hello_and_end, .accepted.hook = deaf_and_ended_then_listens};
  play(&scene);
  assert_log(scene.accepted, "listen data end close ");
  assert_int_equal(scene.accepted.received, 5);
}

// ---- onread ----

static char buffer[3];
static char gathered[64];
static size_t gathered_length;

static void gather_anew(void) {
  gathered_length = 0;
}

static bool gather(troupe_socket_t socket, size_t length, void *bytes, void *context) {
  side_t *side = context;
  memcpy(gathered + gathered_length, bytes, length);
  gathered_length += length;
  scene_note(side, "%zu ", length);
  if (side->step++ == 1) {
    side->socket = socket;
    troupe_timer_start(NULL, 10, 0, go_on, side);
    return false;
  }
  return true;
}

static const troupe_onread_t onread = {.buffer = buffer, .size = sizeof buffer, .callback = gather};

static void bytes_come_into_the_applications_buffer(void **state) {
  (void)state;
  scene_t scene = {.reset = gather_anew, .client_options.onread = &onread, .accepted.hook = answer};
  play(&scene);
  assert_log(scene.client, "attempt connect ready 3 3 resume 1 end close ");
  assert_int_equal(gathered_length, 7);
  assert_memory_equal(gathered, "welcome", 7);
}

static void *give_buffer(troupe_socket_t socket, size_t *size, void *context) {
  (void)socket;
  side_t *side = context;
  scene_note(side, "buffer ");
  *size = (size_t)++side->result * 2;
  return gathered + gathered_length;
}

static bool took(troupe_socket_t socket, size_t length, void *bytes, void *context) {
  (void)socket;
  (void)bytes;
  gathered_length += length;
  scene_note(context, "%zu ", length);
  return true;
}

static const troupe_onread_t onread_function = {.next_buffer = give_buffer, .callback = took};

static void a_function_gives_the_next_buffer(void **state) {
  (void)state;
  scene_t scene = {
      .reset = gather_anew, .client_options.onread = &onread_function, .accepted.hook = answer};
  play(&scene);
  assert_log(scene.client, "buffer attempt connect ready 2 buffer 4 buffer 1 buffer end close ");
  assert_memory_equal(gathered, "welcome", 7);
}

static bool drop_in_callback(troupe_socket_t socket, size_t length, void *bytes, void *context) {
  (void)length;
  (void)bytes;
  scene_note(context, "read ");
  troupe_socket_destroy(socket, 0);
  return true;
}

static const troupe_onread_t onread_drop = {
    .buffer = buffer, .size = sizeof buffer, .callback = drop_in_callback};

static void destroyed_in_the_middle_of_a_read_nothing_follows(void **state) {
  (void)state;
  scene_t scene = {.client_options.onread = &onread_drop, .accepted.hook = answer};
  play(&scene);
  assert_log(scene.client, "attempt connect ready read close ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_paused_socket_gives_nothing_and_loses_nothing),
      trp_test(with_pause_on_connect_not_a_byte_is_read),
      trp_test(a_client_paused_before_it_connects_reads_after_resume),
      trp_test(a_connection_that_was_always_paused_holds_until_all_is_written),
      trp_test(a_descriptor_that_is_only_written_to_holds_until_all_is_written),
      trp_test(without_a_handler_bytes_and_the_end_wait),
      trp_test(without_a_handler_the_peer_feels_it),
      trp_test(an_end_without_bytes_needs_no_reader),
      trp_test(unread_bytes_keep_a_closed_connection_open_until_it_is_destroyed),
      trp_test(end_and_close_wait_behind_unread_bytes),
      trp_test(bytes_come_into_the_applications_buffer),
      trp_test(a_function_gives_the_next_buffer),
      trp_test(destroyed_in_the_middle_of_a_read_nothing_follows),
  };
  return TRP_RUN_TESTS("read", tests);
}
