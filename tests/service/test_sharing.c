// One address, many servers: who gets its connections, who may take part, and who closes it. With one
// I/O actor and with several.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/service.h"

enum { LIMIT_MS = 10000, ACTORS = 4, LISTENS = 2 };

static const unsigned io_actors[] = {1, 3};

static void with_io_actors(void (*run)(unsigned count)) {
  for (size_t i = 0; i < sizeof io_actors / sizeof io_actors[0]; i++) {
    run(io_actors[i]);
  }
}

// What the test and its actors share.
typedef struct {
  troupe_system_t *system;
  troupe_actor_t actors[ACTORS];
  unsigned copies;
  troupe_listen_options_t listen; // of every server
  unsigned listens;               // servers of each actor
  int second_error; // of a second server on the first one's address, if it is to be tried
  bool try_second;
  atomic_ullong first; // the id of the last actor's first server
  atomic_int ports[ACTORS][LISTENS];
  atomic_uint served[ACTORS];
  atomic_uint total; // of the last question
  atomic_uint answers;
  pthread_mutex_t gate; // actors with a bit in `gated` go through it at each connection
  unsigned gated;
} shared_t;

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  troupe_socket_write_chunk(socket, chunk, NULL, NULL);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data};
  shared_t *shared = context;
  unsigned index = troupe_actor_index();
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, shared);
  if (shared->gated & (1U << index)) {
    pthread_mutex_lock(&shared->gate);
    pthread_mutex_unlock(&shared->gate);
  }
  atomic_fetch_add(&shared->served[index], 1);
}

static void on_total(troupe_server_t server, uint64_t count, void *context) {
  shared_t *shared = context;
  (void)server;
  atomic_store(&shared->total, (unsigned)count);
  atomic_fetch_add(&shared->answers, 1);
}

typedef struct {
  shared_t *shared;
  troupe_server_t servers[LISTENS];
} own_t;

// 'c': close the first server; 't': how many connections has the group?
static void on_message(troupe_actor_t from, const troupe_chunk_t *chunk, void *context) {
  own_t *own = context;
  (void)from;
  if (*(const char *)troupe_chunk_bytes(chunk) == 'c') {
    troupe_server_close(own->servers[0]);
  } else {
    troupe_server_get_group_connections(own->servers[0], on_total, own->shared);
  }
}

static int start_server(shared_t *shared, const troupe_listen_options_t *options,
                        troupe_server_t *server, int *port) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  int error = troupe_server_new(NULL, &handlers, shared, server);
  if (error == 0) {
    error = troupe_server_listen(*server, options);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(*server, LIMIT_MS * trp_test_slow());
  }
  troupe_address_t address = {0};
  if (error == 0) {
    error = troupe_server_address(*server, &address);
  }
  *port = address.port;
  return error;
}

static int sharing_actor(void *argument) {
  own_t own = {.shared = argument};
  shared_t *shared = argument;
  int error = troupe_actor_on_message(on_message, &own);
  for (unsigned i = 0; i < shared->listens && error == 0; i++) {
    int port = 0;
    error = start_server(shared, &shared->listen, &own.servers[i], &port);
    atomic_store(&shared->ports[troupe_actor_index()][i], port);
  }
  atomic_store(&shared->first, own.servers[0].id);
  if (error == 0 && shared->try_second) {
    troupe_listen_options_t again = shared->listen;
    again.port = atomic_load(&shared->ports[0][0]);
    troupe_server_t server;
    int port;
    shared->second_error = start_server(shared, &again, &server, &port);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void start_elsewhere(shared_t *shared, unsigned count, unsigned copies) {
  troupe_system_options_t options = {.io_threads = count};
  assert_int_equal(pthread_mutex_init(&shared->gate, NULL), 0);
  assert_int_equal(troupe_system_new(&options, &shared->system), 0);
  shared->copies = copies;
  shared->listens = shared->listens == 0 ? 1 : shared->listens;
  troupe_spawn_options_t spawn = {
      .name = "sharing", .main = sharing_actor, .argument = shared, .copies = copies};
  assert_int_equal(troupe_spawn(shared->system, &spawn, shared->actors), 0);
}

static void start(shared_t *shared, unsigned count, unsigned copies) {
  shared->listen.host = "127.0.0.1";
  start_elsewhere(shared, count, copies);
}

static void finish(shared_t *shared) {
  assert_int_equal(troupe_system_stop(shared->system, 1000), 0);
  assert_int_equal(troupe_system_wait(shared->system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL),
                   0);
  assert_int_equal(troupe_system_free(&shared->system), 0);
  pthread_mutex_destroy(&shared->gate);
}

static int port_of(shared_t *shared) {
  return atomic_load(&shared->ports[0][0]);
}

static int dial(int port) {
  int fd = trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS);
  assert_true(fd >= 0);
  return fd;
}

/// A connection from 127.0.0.`last`.
static int dial_from(int port, int last) {
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(0x7f000000U + (unsigned)last)};
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof from), 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

typedef struct {
  shared_t *shared;
  unsigned wanted;
} served_t;

static unsigned served(const shared_t *shared) {
  unsigned sum = 0;
  for (unsigned i = 0; i < ACTORS; i++) {
    sum += atomic_load(&shared->served[i]);
  }
  return sum;
}

static bool are_served(void *argument) {
  const served_t *wanted = argument;
  return served(wanted->shared) >= wanted->wanted;
}

static void wait_for_served(shared_t *shared, unsigned count) {
  served_t wanted = {.shared = shared, .wanted = count};
  assert_true(trp_test_wait_until(are_served, &wanted, LIMIT_MS));
}

/// The backlog of the socket in this process that listens on the port; -1: there is none.
static int backlog_of(int port) {
  for (int fd = 0; fd < 1024; fd++) {
    struct sockaddr_in address = {0};
    struct tcp_info info = {0};
    socklen_t address_size = sizeof address, info_size = sizeof info;
    if (getsockname(fd, (struct sockaddr *)&address, &address_size) == 0 &&
        address.sin_family == AF_INET && ntohs(address.sin_port) == port &&
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_size) == 0 &&
        info.tcpi_state == TCP_LISTEN) {
      return (int)info.tcpi_sacked; // which it is of one that listens
    }
  }
  return -1;
}

// Connecting would tell as well, but it could be taken, and another program may have the port next.
static bool nobody_listens(void *port) {
  return backlog_of(*(int *)port) == -1;
}

static void tell(shared_t *shared, unsigned index, char what) {
  assert_int_equal(troupe_post(shared->system, shared->actors[index], &what, 1), 0);
}

typedef struct {
  troupe_system_t *system;
  uint64_t count;
} servers_t;

static bool has_servers(void *argument) {
  const servers_t *wanted = argument;
  troupe_system_counters_t counters;
  return troupe_system_counters(wanted->system, &counters) == 0 &&
         counters.servers == wanted->count;
}

/// The first server of this actor closes, and that is known: so many are left.
static void close_one(shared_t *shared, unsigned index, uint64_t left) {
  servers_t wanted = {.system = shared->system, .count = left};
  tell(shared, index, 'c');
  assert_true(trp_test_wait_until(has_servers, &wanted, LIMIT_MS));
}

static bool has_answer(void *argument) {
  return atomic_load(&((shared_t *)argument)->answers) > 0;
}

static unsigned total_of(shared_t *shared, unsigned index) {
  atomic_store(&shared->answers, 0);
  tell(shared, index, 't');
  assert_true(trp_test_wait_until(has_answer, shared, LIMIT_MS));
  return atomic_load(&shared->total);
}

// ---- Who may take part, and who closes ----

static void close_one_by_one(unsigned count) {
  shared_t shared = {0};
  start(&shared, count, 3);
  int port = port_of(&shared);
  for (unsigned i = 0; i < 3; i++) {
    int fd = dial(port);
    test_service_echoes(fd);
    trp_test_close(fd);
    assert_int_not_equal(backlog_of(port), -1);
    close_one(&shared, i, 2 - i);
  }
  assert_true(trp_test_wait_until(nobody_listens, &port, LIMIT_MS));
  finish(&shared);
  assert_int_equal(served(&shared), 3);
}

static void the_last_to_close_a_shared_address_closes_it(void **state) {
  (void)state;
  with_io_actors(close_one_by_one);
}

static void try_a_second(unsigned count) {
  for (int exclusive = 0; exclusive < 2; exclusive++) {
    shared_t shared = {.try_second = true, .listen.exclusive = exclusive == 1};
    start(&shared, count, 1);
    assert_int_equal(shared.second_error, TROUPE_EADDRINUSE);
    // Another actor that asks for the same address.
    shared_t other = {.listen.port = port_of(&shared), .listen.exclusive = exclusive == 0};
    other.system = shared.system;
    other.listens = 1;
    other.listen.host = "127.0.0.1";
    troupe_spawn_options_t spawn = {.main = sharing_actor, .argument = &other};
    assert_int_equal(troupe_spawn(shared.system, &spawn, NULL), TROUPE_EADDRINUSE);
    finish(&shared);
  }
}

static void an_actor_that_has_the_address_and_an_exclusive_one_find_it_in_use(void **state) {
  (void)state;
  with_io_actors(try_a_second);
}

static void share_what_the_system_picked(unsigned count) {
  shared_t shared = {0};
  start(&shared, count, 1);
  shared_t other = {.listen.port = port_of(&shared), .listens = 1, .listen.host = "127.0.0.1"};
  troupe_spawn_options_t spawn = {.main = sharing_actor, .argument = &other};
  assert_int_equal(troupe_spawn(shared.system, &spawn, NULL), 0);
  for (unsigned i = 0; i < 10; i++) {
    int fd = dial(port_of(&shared));
    test_service_echoes(fd);
    trp_test_close(fd);
  }
  finish(&shared);
  assert_int_equal(served(&shared), 5);
  assert_int_equal(served(&other), 5);
}

static void a_port_that_the_system_picked_is_shared_by_its_number(void **state) {
  (void)state;
  with_io_actors(share_what_the_system_picked);
}

static void pair_ports(unsigned count) {
  shared_t shared = {.listens = LISTENS};
  start(&shared, count, ACTORS);
  shared_t unrelated = {.listens = LISTENS};
  start(&unrelated, count, 1);
  for (unsigned k = 0; k < LISTENS; k++) {
    for (unsigned i = 0; i < ACTORS; i++) {
      assert_int_equal(atomic_load(&shared.ports[i][k]), atomic_load(&shared.ports[0][k]));
    }
    assert_int_not_equal(atomic_load(&shared.ports[0][k]), atomic_load(&unrelated.ports[0][k]));
  }
  assert_int_not_equal(atomic_load(&shared.ports[0][0]), atomic_load(&shared.ports[0][1]));
  finish(&shared);
  finish(&unrelated);
}

static void the_copies_share_the_port_of_their_first_listen_and_that_of_their_second(void **state) {
  (void)state;
  with_io_actors(pair_ports);
}

static void knock_and_leave(int fd) {
  assert_true(fd >= 0);
  test_service_echoes(fd);
  trp_test_close(fd);
}

static void share_a_path(unsigned count) {
  char path[128];
  struct stat status;
  snprintf(path, sizeof path, "%s/shared", trp_test_folder());
  shared_t shared = {.listen.path = path};
  start_elsewhere(&shared, count, 3);
  for (unsigned i = 0; i < 9; i++) {
    knock_and_leave(trp_test_connect_unix(path, strlen(path), LIMIT_MS));
  }
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(atomic_load(&shared.served[i]), 3);
  }
  close_one(&shared, 0, 2);
  close_one(&shared, 1, 1);
  knock_and_leave(trp_test_connect_unix(path, strlen(path), LIMIT_MS));
  close_one(&shared, 2, 0);
  finish(&shared);
  assert_int_equal(atomic_load(&shared.served[2]), 4);
  assert_int_not_equal(stat(path, &status), 0);
}

static void a_path_is_shared_until_the_last_closes_it(void **state) {
  (void)state;
  with_io_actors(share_a_path);
}

static void share_a_descriptor(unsigned count) {
  int port = 0;
  int fd = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(fd >= 0);
  shared_t shared = {.listen = {.use_fd = true, .fd = fd}};
  start_elsewhere(&shared, count, 3);
  for (unsigned i = 0; i < 9; i++) {
    knock_and_leave(dial(port));
  }
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(atomic_load(&shared.ports[i][0]), port);
    assert_int_equal(atomic_load(&shared.served[i]), 3);
    tell(&shared, i, 'c');
  }
  assert_true(trp_test_wait_until(nobody_listens, &port, LIMIT_MS));
  finish(&shared);
}

static void a_descriptor_is_shared_until_the_last_closes_it(void **state) {
  (void)state;
  with_io_actors(share_a_descriptor);
}

static void share_with_a_server(unsigned count) {
  shared_t shared = {0};
  start(&shared, count, 1);
  int port = port_of(&shared);
  shared_t other = {.listen.share_with.id = atomic_load(&shared.first), .listens = 1};
  troupe_spawn_options_t spawn = {.main = sharing_actor, .argument = &other, .copies = 2};
  assert_int_equal(troupe_spawn(shared.system, &spawn, other.actors), 0);
  for (unsigned i = 0; i < 9; i++) {
    knock_and_leave(dial(port));
  }
  assert_int_equal(served(&shared), 3);
  assert_int_equal(atomic_load(&other.served[0]), 3);
  assert_int_equal(atomic_load(&other.served[1]), 3);
  // The others hold it; and through one of them it can be shared again.
  close_one(&shared, 0, 2);
  for (unsigned i = 0; i < 4; i++) {
    knock_and_leave(dial(port));
  }
  shared_t third = {.listen.share_with.id = atomic_load(&other.first), .listens = 1};
  spawn = (troupe_spawn_options_t){.main = sharing_actor, .argument = &third};
  assert_int_equal(troupe_spawn(shared.system, &spawn, NULL), 0);
  assert_int_equal(atomic_load(&third.ports[0][0]), port);
  for (unsigned i = 0; i < 6; i++) {
    knock_and_leave(dial(port));
  }
  // One that has left cannot be shared with.
  shared_t late = {.listen.share_with.id = atomic_load(&shared.first), .listens = 1};
  spawn = (troupe_spawn_options_t){.main = sharing_actor, .argument = &late};
  assert_int_equal(troupe_spawn(shared.system, &spawn, NULL), TROUPE_ERR_SERVER_NOT_RUNNING);
  finish(&shared);
  assert_int_equal(served(&shared), 3);
  assert_int_equal(served(&third), 2);
  assert_int_equal(served(&other), 6 + 4 + 4);
}

static void a_server_of_another_actor_is_shared_with(void **state) {
  (void)state;
  with_io_actors(share_with_a_server);
}

static void ask_for_other_backlogs(unsigned count) {
  shared_t shared = {.listen.backlog = 7};
  start(&shared, count, 1);
  int port = port_of(&shared);
  assert_int_equal(backlog_of(port), 7);
  shared_t other = {.listen = {.port = port, .backlog = 100, .host = "127.0.0.1"}, .listens = 1};
  troupe_spawn_options_t spawn = {.main = sharing_actor, .argument = &other};
  assert_int_equal(troupe_spawn(shared.system, &spawn, NULL), 0);
  assert_int_equal(backlog_of(port), 7);
  // Also when the first has gone.
  close_one(&shared, 0, 1);
  for (unsigned i = 0; i < 4; i++) {
    knock_and_leave(dial(port));
  }
  assert_int_equal(backlog_of(port), 7);
  finish(&shared);
}

static void of_different_backlogs_the_first_counts(void **state) {
  (void)state;
  with_io_actors(ask_for_other_backlogs);
}

// ---- Who gets a connection ----

static void level(unsigned count) {
  shared_t shared = {.listen.policy = TROUPE_POLICY_LEAST_CONNECTIONS};
  int fds[3 * ACTORS];
  start(&shared, count, ACTORS);
  for (unsigned i = 0; i < 3 * ACTORS; i++) {
    fds[i] = dial(port_of(&shared));
    test_service_echoes(fds[i]);
  }
  for (unsigned i = 0; i < ACTORS; i++) {
    assert_int_equal(atomic_load(&shared.served[i]), 3);
  }
  // All of the first one's end, so the next three are its own.
  for (unsigned i = 0; i < 3; i++) {
    trp_test_close(fds[i * ACTORS]);
  }
  test_service_t counted = {.system = shared.system};
  test_service_wait_for_sockets(&counted, 3 * ACTORS - 3);
  assert_int_equal(total_of(&shared, 0), 3 * ACTORS - 3); // whoever deals knows it, too
  for (unsigned i = 0; i < 3; i++) {
    fds[i * ACTORS] = dial(port_of(&shared));
    test_service_echoes(fds[i * ACTORS]);
  }
  unsigned again = 0;
  for (unsigned i = 0; i < ACTORS; i++) {
    unsigned now = atomic_load(&shared.served[i]);
    assert_true(now == 3 || now == 6);
    again += now == 6;
  }
  assert_int_equal(again, 1);
  for (unsigned i = 0; i < 3 * ACTORS; i++) {
    trp_test_close(fds[i]);
  }
  finish(&shared);
}

static void the_fewest_connections_get_the_next(void **state) {
  (void)state;
  with_io_actors(level);
}

static void hash(unsigned count) {
  enum { PEERS = 32 };
  shared_t shared = {.listen.policy = TROUPE_POLICY_HASH};
  unsigned before[ACTORS];
  unsigned used = 0;
  start(&shared, count, ACTORS);
  for (int peer = 1; peer <= PEERS; peer++) {
    for (unsigned i = 0; i < ACTORS; i++) {
      before[i] = atomic_load(&shared.served[i]);
    }
    for (int i = 0; i < 3; i++) {
      int fd = dial_from(port_of(&shared), peer);
      test_service_echoes(fd);
      trp_test_close(fd);
    }
    for (unsigned i = 0; i < ACTORS; i++) {
      unsigned more = atomic_load(&shared.served[i]) - before[i];
      assert_true(more == 0 || more == 3);
    }
  }
  for (unsigned i = 0; i < ACTORS; i++) {
    used += atomic_load(&shared.served[i]) > 0;
  }
  assert_int_equal(used, ACTORS);
  finish(&shared);
}

static void a_peer_comes_back_to_the_same_actor(void **state) {
  (void)state;
  with_io_actors(hash);
}

static void hold_some_up(unsigned count) {
  enum { MANY = 600 };
  shared_t shared = {.gated = 1, .listen.backlog = 1024};
  static int fds[MANY];
  start(&shared, count, 2);
  pthread_mutex_lock(&shared.gate);
  for (unsigned i = 0; i < MANY; i++) {
    fds[i] = dial(port_of(&shared));
  }
  // The one that is held up has as many as it has credit for; all others go to its neighbour.
  wait_for_served(&shared, MANY - 128);
  assert_int_equal(atomic_load(&shared.served[0]), 0);
  assert_int_equal(atomic_load(&shared.served[1]), MANY - 128);
  pthread_mutex_unlock(&shared.gate);
  wait_for_served(&shared, MANY);
  for (unsigned i = 0; i < MANY; i++) {
    trp_test_close(fds[i]);
  }
  finish(&shared);
}

static void who_cannot_keep_up_gets_no_more_while_others_can(void **state) {
  (void)state;
  with_io_actors(hold_some_up);
}

static void hold_all_up(unsigned count) {
  enum { MANY = 600, CREDIT = 2 * 128 };
  shared_t shared = {.gated = 3, .listen.backlog = 1024};
  static int fds[MANY];
  start(&shared, count, 2);
  pthread_mutex_lock(&shared.gate);
  for (unsigned i = 0; i < MANY; i++) {
    fds[i] = dial(port_of(&shared)); // the kernel takes it
  }
  test_service_t counted = {.system = shared.system};
  test_service_wait_for_sockets(&counted, CREDIT);
  pthread_mutex_unlock(&shared.gate);
  for (unsigned i = 0; i < MANY; i++) {
    test_service_echoes(fds[i]);
    trp_test_close(fds[i]);
  }
  finish(&shared);
  assert_int_equal(served(&shared), MANY);
}

static void when_nobody_can_they_wait_in_the_kernel(void **state) {
  (void)state;
  with_io_actors(hold_all_up);
}

// ---- How many there are ----

static void count_the_group(unsigned count) {
  shared_t shared = {0};
  int fds[10];
  start(&shared, count, ACTORS);
  for (unsigned i = 0; i < 10; i++) {
    fds[i] = dial(port_of(&shared));
    test_service_echoes(fds[i]);
  }
  for (unsigned i = 0; i < ACTORS; i++) {
    assert_int_equal(total_of(&shared, i), 10);
  }
  tell(&shared, 0, 'c');
  assert_int_equal(total_of(&shared, 0), 0); // it takes no part any more
  for (unsigned i = 0; i < 10; i++) {
    trp_test_close(fds[i]);
  }
  finish(&shared);
}

static void the_total_of_a_group_is_a_call_of_its_own(void **state) {
  (void)state;
  with_io_actors(count_the_group);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(the_last_to_close_a_shared_address_closes_it),
      trp_test(an_actor_that_has_the_address_and_an_exclusive_one_find_it_in_use),
      trp_test(a_port_that_the_system_picked_is_shared_by_its_number),
      trp_test(the_copies_share_the_port_of_their_first_listen_and_that_of_their_second),
      trp_test(a_path_is_shared_until_the_last_closes_it),
      trp_test(a_descriptor_is_shared_until_the_last_closes_it),
      trp_test(a_server_of_another_actor_is_shared_with),
      trp_test(of_different_backlogs_the_first_counts),
      trp_test(the_fewest_connections_get_the_next),
      trp_test(a_peer_comes_back_to_the_same_actor),
      trp_test(who_cannot_keep_up_gets_no_more_while_others_can),
      trp_test(when_nobody_can_they_wait_in_the_kernel),
      trp_test(the_total_of_a_group_is_a_call_of_its_own),
  };
  return TRP_RUN_TESTS("service/sharing", tests);
}
