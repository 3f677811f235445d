/* Options as the kernel has them: set through the public calls, at every time in a socket's life,
   and read back from the real socket. An option that was set before a write is there when the
   peer has what was written. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/net/scene.h"

typedef struct {
  int no_delay, keep_alive, idle_s, interval_s, count;
} options_t;

static options_t seen[8]; /* by the actor's thread; the test looks when it has ended */

static uint16_t port_of(const struct sockaddr_storage *address) {
  return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                              : ((const struct sockaddr_in *)address)->sin_port);
}

static int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

/* The descriptor of this process that has these ports; remote 0: that listens. -1: none. */
static int find_fd(uint16_t local, uint16_t remote) {
  DIR *folder = opendir("/proc/self/fd");
  int found = -1;
  for (struct dirent *entry; folder != NULL && found < 0 && (entry = readdir(folder)) != NULL;) {
    int fd = atoi(entry->d_name);
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t length = sizeof here;
    if (entry->d_name[0] == '.' || getsockname(fd, (struct sockaddr *)&here, &length) != 0 ||
        (here.ss_family != AF_INET && here.ss_family != AF_INET6) || port_of(&here) != local) {
      continue;
    }
    length = sizeof there;
    bool connected = getpeername(fd, (struct sockaddr *)&there, &length) == 0;
    if (remote == 0 ? option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1
                    : connected && port_of(&there) == remote) {
      found = fd;
    }
  }
  if (folder != NULL) {
    closedir(folder);
  }
  return found;
}

static options_t look(troupe_socket_t socket) {
  troupe_address_t local, remote;
  if (troupe_socket_local_address(socket, &local) != 0 ||
      troupe_socket_remote_address(socket, &remote) != 0) {
    return (options_t){-2, -2, -2, -2, -2};
  }
  int fd = find_fd(local.port, remote.port);
  return (options_t){
      .no_delay = option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0,
      .keep_alive = option_of(fd, SOL_SOCKET, SO_KEEPALIVE),
      .idle_s = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE),
      .interval_s = option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL),
      .count = option_of(fd, IPPROTO_TCP, TCP_KEEPCNT),
  };
}

/* What the kernel gives a socket that nobody has touched. */
static options_t untouched(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  options_t options = {
      .idle_s = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE),
      .interval_s = option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL),
      .count = option_of(fd, IPPROTO_TCP, TCP_KEEPCNT),
  };
  trp_test_close(fd);
  return options;
}

static void assert_options(const options_t *options, int no_delay, int keep_alive, int idle_s,
                           int interval_s, int count) {
  assert_int_equal(options->no_delay, no_delay);
  assert_int_equal(options->keep_alive, keep_alive);
  assert_int_equal(options->idle_s, idle_s);
  assert_int_equal(options->interval_s, interval_s);
  assert_int_equal(options->count, count);
}

// ---- Given when they are made ----

static void look_and_say(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    seen[1] = look(side->socket);
  } else if (is(event, "ready")) {
    seen[0] = look(side->socket);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

// parity: server.4 server.5 socket.28 socket.31
static void options_of_the_constructors_are_on_the_socket_when_it_is_told(void **state) {
  (void)state;
  scene_t scene = {
      .server_options = {.no_delay = TROUPE_ON,
                         .keep_alive = TROUPE_ON,
                         .keep_alive_initial_delay_ms = 9000},
      .client_options = {.no_delay = TROUPE_ON,
                         .keep_alive = TROUPE_ON,
                         .keep_alive_initial_delay_ms = 456123},
      .client.hook = look_and_say,
      .accepted.hook = look_and_say,
  };
  run_actor(scene_main, &scene);
  assert_options(&seen[0], 1, 1, 456, 1, 10);
  assert_options(&seen[1], 1, 1, 9, 1, 10);
}

static void without_options_nothing_is_touched(void **state) {
  (void)state;
  options_t plain = untouched();
  scene_t scene = {.client.hook = look_and_say, .accepted.hook = look_and_say};
  run_actor(scene_main, &scene);
  for (int i = 0; i < 2; i++) {
    assert_options(&seen[i], 0, 0, plain.idle_s, plain.interval_s, plain.count);
  }
}

// ---- Set later ----

// A delay below a second: the times are left alone.
static void set_before_connecting(side_t *side, const char *event) {
  (void)event;
  int error = troupe_socket_new(NULL, &scene_handlers, side, &side->socket);
  if (error == 0) {
    error = troupe_socket_set_no_delay(side->socket, true);
  }
  if (error == 0) {
    error = troupe_socket_set_keep_alive(side->socket, true, 999);
  }
  if (error == 0) {
    error = troupe_socket_connect(side->socket, &side->scene->connect_options);
  }
  if (error == 0) { // and while connecting
    error = troupe_socket_set_no_delay(side->socket, false);
  }
  side->result = error;
}

static const struct {
  bool no_delay, keep_alive;
  unsigned delay_ms;
} changes[] = {
    {true, true, 7000}, {false, true, 7999}, {true, false, 7000},
    {true, true, 0},    {true, true, 1000},
};

enum { CHANGES = sizeof changes / sizeof changes[0] };

// The client sets and says so, the other side looks and answers.
static void set_and_say(side_t *side, const char *event) {
  if (!is(event, "ready") && !is(event, "data")) {
    return;
  }
  if (side->step == CHANGES) {
    troupe_socket_end(side->socket, NULL, NULL);
    return;
  }
  if (side->step == 0) {
    seen[7] = look(side->socket);
  }
  side->result |= troupe_socket_set_no_delay(side->socket, changes[side->step].no_delay);
  side->result |= troupe_socket_set_keep_alive(side->socket, changes[side->step].keep_alive,
                                               changes[side->step].delay_ms);
  side->step++;
  troupe_socket_write(side->socket, "x", 1, NULL, NULL);
}

static void look_and_answer(side_t *side, const char *event) {
  if (is(event, "data")) {
    seen[side->step++] = look(side->scene->client.socket);
    troupe_socket_write(side->socket, "x", 1, NULL, NULL);
  }
}

// parity: socket.48 socket.49
static void setters_reach_the_socket_at_any_time(void **state) {
  (void)state;
  options_t plain = untouched();
  scene_t scene = {
      .start = set_before_connecting, .client.hook = set_and_say, .accepted.hook = look_and_answer};
  run_actor(scene_main, &scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.accepted.step, CHANGES);
  assert_options(&seen[7], 0, 1, plain.idle_s, plain.interval_s, plain.count);
  assert_options(&seen[0], 1, 1, 7, 1, 10);
  assert_options(&seen[1], 0, 1, 7, 1, 10);
  assert_options(&seen[2], 1, 0, 7, 1, 10); // turned off, the times stay
  assert_options(&seen[3], 1, 1, 7, 1, 10); // so do they with a delay of 0
  assert_options(&seen[4], 1, 1, 1, 1, 10);
}

static void connect_twice(side_t *side, const char *event) {
  if (is(event, "ready")) {
    seen[side->step++] = look(side->socket);
    troupe_socket_destroy(side->socket, 0);
  } else if (is(event, "close") && side->step == 1) {
    side->closes = 0;
    side->result = troupe_socket_connect(side->socket, &side->scene->connect_options);
  }
}

static void make_and_connect(side_t *side, const char *event) {
  (void)event;
  const troupe_socket_options_t options = {
      .no_delay = TROUPE_ON, .keep_alive = TROUPE_ON, .keep_alive_initial_delay_ms = 5000};
  side->result = troupe_socket_new(&options, &scene_handlers, side, &side->socket);
  if (side->result == 0) {
    side->result = troupe_socket_connect(side->socket, &side->scene->connect_options);
  }
}

// parity: socket.34
static void options_are_set_again_on_the_next_connection(void **state) {
  (void)state;
  scene_t scene = {.start = make_and_connect, .client.hook = connect_twice};
  run_actor(scene_main, &scene);
  assert_int_equal(scene.client.result, 0);
  assert_int_equal(scene.client.step, 2);
  assert_options(&seen[0], 1, 1, 5, 1, 10);
  assert_options(&seen[1], 1, 1, 5, 1, 10);
}

// ---- Servers ----

static void listen_and_look(side_t *side, const char *event) {
  (void)event;
  const troupe_listen_options_t ways[] = {
      {.host = "::", .ipv6_only = true}, {.host = "::"}, {.ipv6_only = true}, {.host = NULL}};
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    troupe_server_t server;
    troupe_address_t address = {0};
    int error = troupe_server_new(NULL, NULL, NULL, &server);
    error = error == 0 ? troupe_server_listen(server, &ways[i]) : error;
    error = error == 0 ? troupe_server_listen_wait(server, 10000 * trp_test_slow()) : error;
    error = error == 0 ? troupe_server_address(server, &address) : error;
    side->result = side->result == 0 ? error : side->result;
    int fd = find_fd(address.port, 0);
    seen[i] = (options_t){.no_delay = option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY),
                          .keep_alive = option_of(fd, SOL_SOCKET, SO_REUSEADDR),
                          .idle_s = option_of(fd, SOL_SOCKET, SO_REUSEPORT)};
    troupe_server_free(server);
  }
}

// Without a host it has no effect, as in Node. And an address is never shared with other processes
// unasked.
// parity: server.19
static void ipv6_only_is_on_the_listening_socket(void **state) {
  (void)state;
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in6 any = {.sin6_family = AF_INET6};
  bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
  if (fd >= 0) {
    trp_test_close(fd);
  }
  if (!has_ipv6) {
    skip(); // no IPv6 here
  }
  scene_t scene = {.without_server = true, .start = listen_and_look};
  run_actor(scene_main, &scene);
  assert_int_equal(scene.client.result, 0);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(seen[i].no_delay, i == 0);
    assert_int_equal(seen[i].keep_alive, 1);
    assert_int_equal(seen[i].idle_s, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(options_of_the_constructors_are_on_the_socket_when_it_is_told),
      trp_test(without_options_nothing_is_touched),
      trp_test(setters_reach_the_socket_at_any_time),
      trp_test(options_are_set_again_on_the_next_connection),
      trp_test(ipv6_only_is_on_the_listening_socket),
  };
  return TRP_RUN_TESTS("options", tests);
}
