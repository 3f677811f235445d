/* Whose process is at the other end of a Unix socket. Every scene is replayed, too: the trace has
 * to know it. */
#include "tests/net/scene.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static bool replayed; /* a scene is played once, and then once more on its trace */

static void note_them(side_t *side, const char *when) {
  troupe_credentials_t them;
  int result = troupe_socket_peer_credentials(side->socket, &them);
  scene_note(side, "%s:%s ", when, result == 0 ? "" : troupe_error_name(result));
  if (result == 0) {
    snprintf(side->last, sizeof side->last, "%lld %llu %llu", (long long)them.pid,
             (unsigned long long)them.uid, (unsigned long long)them.gid);
  } else if (them.pid != 0 || them.uid != 0 || them.gid != 0) {
    scene_note(side, "not zeroed ");
  }
}

static void ask(side_t *side, const char *event) {
  if (is(event, "accepted") || is(event, "ready")) {
    note_them(side, "open");
  } else if (is(event, "close")) {
    note_them(side, "closed");
    return;
  }
  if (is(event, "ready")) {
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

static void start(side_t *side, const char *event) {
  (void)event;
  scene_t *scene = side->scene;
  scene->failure = troupe_socket_new(NULL, &scene_handlers, side, &side->socket);
  note_them(side, "new");
  scene->failure |= troupe_socket_connect(side->socket, &scene->connect_options);
  note_them(side, "connecting");
}

/* parity: beyond.6 */
static void both_ends_of_a_unix_socket_know_each_other(void **state) {
  (void)state;
  char path[512];
  char us[64];
  snprintf(path, sizeof path, "%s/s", trp_test_folder());
  snprintf(us, sizeof us, "%d %u %u", (int)getpid(), (unsigned)geteuid(), (unsigned)getegid());
  scene_t scene = {
      .listen_options = {.path = path}, .start = start, .client.hook = ask, .accepted.hook = ask};
  play(&scene);
  assert_log(scene.client, "new:ENOTCONN connecting:ENOTCONN attempt connect ready open: end close "
                           "closed:ENOTCONN ");
  assert_log(scene.accepted, "open: end close closed:ENOTCONN ");
  assert_string_equal(scene.client.last, us);
  assert_string_equal(scene.accepted.last, us);
}

static void over_tcp_nobody_is_known(void **state) {
  (void)state;
  scene_t scene = {.client.hook = ask, .accepted.hook = ask};
  play(&scene);
  assert_log(scene.client, "attempt connect ready open:ENOTSUP end close closed:ENOTCONN ");
  assert_log(scene.accepted, "open:ENOTSUP end close closed:ENOTCONN ");
}

/* One end is ours, the other one a descriptor in the test. */
static int pair[2];

static void look_when_data_comes(side_t *side, const char *event) {
  if (is(event, "data")) {
    note_them(side, "open");
    troupe_socket_destroy(side->socket, 0);
  }
}

static void adopt(side_t *side, const char *event) {
  (void)event;
  side->scene->failure = troupe_socket_adopt(pair[0], TROUPE_READABLE | TROUPE_WRITABLE, NULL,
                                             &scene_handlers, side, &side->socket);
  note_them(side, "adopted");
}

static void of_a_descriptor_it_is_known_once_there_was_an_event(void **state) {
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  assert_int_equal(write(pair[1], "x", 1), 1);
  scene_t scene = {.without_server = true, .start = adopt, .client.hook = look_when_data_comes};
  play(&scene);
  assert_log(scene.client, "adopted:ENOTCONN data open: close ");
  char us[64];
  snprintf(us, sizeof us, "%d %u %u", (int)getpid(), (unsigned)geteuid(), (unsigned)getegid());
  assert_string_equal(scene.client.last, us);
  close(pair[1]);
}

/* A child that connects when it is told to. */
static int serve(void *argument) {
  int *listening = ((int **)argument)[1];
  scene_t *scene = ((scene_t **)argument)[0];
  scene->client.scene = scene->accepted.scene = scene->server_side.scene = scene;
  int error = troupe_server_new(NULL, &scene_server_handlers, scene, &scene->server);
  error |= troupe_server_listen(scene->server, &scene->listen_options);
  error |= troupe_server_listen_wait(scene->server, 10000 * trp_test_slow());
  if (!replayed && write(*listening, "x", 1) != 1) {
    error = TROUPE_EIO;
  }
  return error != 0 ? error : troupe_actor_run();
}

static void another_process_is_told_by_its_pid(void **state) {
  (void)state;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/s", trp_test_folder());
  int gate[2];
  assert_int_equal(pipe(gate), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    char byte;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool went = read(gate[0], &byte, 1) == 1 &&
                connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                shutdown(fd, SHUT_WR) == 0 && read(fd, &byte, 1) == 0;
    _exit(went ? 0 : 1);
  }
  scene_t scene = {
      .listen_options = {.path = address.sun_path}, .without_client = true, .accepted.hook = ask};
  void *argument[] = {&scene, &gate[1]};
  replayed = false;
  run_recorded(serve, argument, trp_test_folder());
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  char them[64];
  snprintf(them, sizeof them, "%d %u %u", (int)child, (unsigned)geteuid(), (unsigned)getegid());
  assert_string_equal(scene.accepted.last, them);

  char path[512];
  snprintf(path, sizeof path, "%s/actor-0.trace", trp_test_folder());
  scene_t again = {
      .listen_options = {.path = address.sun_path}, .without_client = true, .accepted.hook = ask};
  argument[0] = &again;
  replayed = true;
  assert_int_equal(troupe_replay(serve, argument, path, NULL), 0);
  assert_string_equal(again.accepted.last, them);
  close(gate[0]);
  close(gate[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(both_ends_of_a_unix_socket_know_each_other),
      trp_test(over_tcp_nobody_is_known),
      trp_test(of_a_descriptor_it_is_known_once_there_was_an_event),
      trp_test(another_process_is_told_by_its_pid),
  };
  return TRP_RUN_TESTS("credentials", tests);
}
