// Whom servers let in: block lists, caps of one address, and both changed while connections come.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <troupe/troupe.h>
#include <unistd.h>

#include "tests/harness/harness.h"

enum { LIMIT_MS = 10000, GATES_MAX = 4 };

typedef struct gate gate_t;
typedef int (*order_fn)(gate_t *gate, troupe_server_t server);

// One system with actors that share an address; each greets who gets in.
struct gate {
  troupe_system_t *system;
  troupe_actor_t actors[GATES_MAX];
  unsigned copies;
  const char *host; // NULL: 127.0.0.1
  const char *path; // instead
  troupe_server_options_t options;
  atomic_int port;
  atomic_uint served, dropped;
  // What an order works with.
  troupe_block_list_t *list;
  unsigned max, prefix;
  troupe_server_counts_t counts;
  int error;
  sem_t done;
};

typedef struct {
  gate_t *gate;
  order_fn run;
  bool waits; // for a callback, which says that it is done
} order_t;

static troupe_server_t servers[GATES_MAX];

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  gate_t *gate = context;
  (void)server;
  atomic_fetch_add(&gate->served, 1);
  troupe_socket_write(socket, "hi", 2, NULL, NULL);
  troupe_socket_resume(socket); // so that its end is heard of
}

static void on_drop(troupe_server_t server, const troupe_drop_t *drop, void *context) {
  gate_t *gate = context;
  (void)server;
  atomic_fetch_add(&gate->dropped, (unsigned)drop->count);
}

static void on_order(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  order_t order;
  (void)from;
  (void)context;
  memcpy(&order, troupe_chunk_bytes(message), sizeof order);
  order.gate->error = order.run(order.gate, servers[troupe_actor_index()]);
  if (!order.waits || order.gate->error != 0) {
    sem_post(&order.gate->done);
  }
}

static int listen_again(gate_t *gate, troupe_server_t server) {
  troupe_listen_options_t options = {.host = gate->host != NULL ? gate->host : "127.0.0.1",
                                     .path = gate->path,
                                     .port = atomic_load(&gate->port)};
  int error = troupe_server_listen(server, &options);
  if (error == 0) {
    error = troupe_server_listen_wait(server, LIMIT_MS * trp_test_slow());
  }
  troupe_address_t address = {0};
  if (error == 0) {
    error = troupe_server_address(server, &address);
  }
  if (gate->copies == 1 || troupe_actor_index() > 0) {
    atomic_store(&gate->port, address.port); // the last one, so that all asked for any port
  }
  return error;
}

static int gate_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection,
                                                    .on_drop = on_drop};
  gate_t *gate = argument;
  troupe_server_t *server = &servers[troupe_actor_index()];
  int error = troupe_server_new(&gate->options, &handlers, gate, server);
  if (error == 0) {
    error = listen_again(gate, *server);
  }
  if (error == 0) {
    error = troupe_actor_on_message(on_order, gate);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void start(gate_t *gate, unsigned copies) {
  gate->copies = copies;
  assert_int_equal(sem_init(&gate->done, 0, 0), 0);
  assert_int_equal(troupe_system_new(NULL, &gate->system), 0);
  troupe_spawn_options_t options = {
      .name = "gate", .main = gate_actor, .argument = gate, .copies = copies};
  assert_int_equal(troupe_spawn(gate->system, &options, gate->actors), 0);
}

static void stop(gate_t *gate) {
  assert_int_equal(troupe_system_stop(gate->system, 0), 0);
  assert_int_equal(troupe_system_wait(gate->system, LIMIT_MS * trp_test_slow(), NULL, 0, NULL), 0);
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(gate->system, &counters), 0);
  assert_int_equal(counters.sockets, 0);
  assert_int_equal(counters.servers, 0);
  assert_int_equal(counters.unknown_kind, 0);
  assert_int_equal(counters.not_owner, 0);
  assert_int_equal(troupe_system_free(&gate->system), 0);
  sem_destroy(&gate->done);
}

static void wait_done(gate_t *gate) {
  struct timespec limit;
  clock_gettime(CLOCK_REALTIME, &limit);
  limit.tv_sec += LIMIT_MS / 1000 * trp_test_slow();
  int status;
  do {
    status = sem_timedwait(&gate->done, &limit);
  } while (status != 0 && errno == EINTR);
  assert_int_equal(status, 0);
}

static void post(gate_t *gate, unsigned actor, order_fn run, bool waits) {
  order_t order = {.gate = gate, .run = run, .waits = waits};
  assert_int_equal(troupe_post(gate->system, gate->actors[actor], &order, sizeof order), 0);
  wait_done(gate);
  assert_int_equal(gate->error, 0);
}

static void on_counts(troupe_server_t server, const troupe_server_counts_t *counts, void *context) {
  gate_t *gate = context;
  (void)server;
  gate->counts.connections += counts->connections;
  gate->counts.accepted += counts->accepted;
  gate->counts.dropped += counts->dropped;
  gate->counts.blocked += counts->blocked;
  gate->counts.capped += counts->capped;
  sem_post(&gate->done);
}

static int ask_counts(gate_t *gate, troupe_server_t server) {
  return troupe_server_get_counts(server, on_counts, gate);
}

// Over all actors.
static troupe_server_counts_t counts_of(gate_t *gate) {
  gate->counts = (troupe_server_counts_t){0};
  for (unsigned i = 0; i < gate->copies; i++) {
    post(gate, i, ask_counts, true);
  }
  return gate->counts;
}

// Runs an order in each of the actors, one after the other; asserts that it works. What it changed
// is in force when this returns: the I/O actor has answered a later question.
static void in_actors(gate_t *gate, order_fn run) {
  for (unsigned i = 0; i < gate->copies; i++) {
    post(gate, i, run, false);
  }
  (void)counts_of(gate);
}

static int set_list(gate_t *gate, troupe_server_t server) {
  return troupe_server_set_block_list(server, gate->list);
}

static int set_cap(gate_t *gate, troupe_server_t server) {
  return troupe_server_set_max_per_address(server, gate->max, gate->prefix);
}

static int set_max(gate_t *gate, troupe_server_t server) {
  return troupe_server_set_max_connections(server, gate->max);
}

static int close_it(gate_t *gate, troupe_server_t server) {
  (void)gate;
  return troupe_server_close(server);
}

static bool has_connections(void *argument) {
  gate_t *gate = ((void **)argument)[0];
  return counts_of(gate).connections == *(const uint64_t *)((void **)argument)[1];
}

static void wait_for_connections(gate_t *gate, uint64_t count) {
  assert_true(trp_test_wait_until(has_connections, (void *[]){gate, &count}, LIMIT_MS));
}

// ---- Clients ----

// Connects from an address of this machine (127.0.0.0/8 is all ours). Any thread; negative: it cannot.
static int knock(int port, const char *from) {
  return trp_test_connect_tcp_from(from, "127.0.0.1", port, LIMIT_MS);
}

// Whether it is greeted (true) or hung up on. Any thread.
static bool is_let_in(int fd) {
  char got[2];
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  if (poll(&ready, 1, LIMIT_MS * trp_test_slow()) != 1) {
    return false;
  }
  return read(fd, got, sizeof got) == 2 && memcmp(got, "hi", 2) == 0;
}

// Knocks and goes at once.
static bool may_come_in(const gate_t *gate, const char *from) {
  int fd = knock(atomic_load(&gate->port), from);
  assert_true(fd >= 0);
  bool result = is_let_in(fd);
  close(fd);
  return result;
}

// Knocks, and stays if it is let in; -1 if not.
static int come_in(const gate_t *gate, const char *from) {
  int fd = knock(atomic_load(&gate->port), from);
  assert_true(fd >= 0);
  if (is_let_in(fd)) {
    return fd;
  }
  close(fd);
  return -1;
}

static void add_rule(troupe_block_list_t *list, const char *network, int prefix) {
  assert_int_equal(
      troupe_block_list_add_subnet_text(list, network, strlen(network), prefix, TROUPE_FAMILY_NONE),
      0);
}

// A list with one subnet in it.
static troupe_block_list_t *new_list(const char *network, int prefix) {
  troupe_block_list_t *list = NULL;
  assert_int_equal(troupe_block_list_new(&list), 0);
  if (network != NULL) {
    add_rule(list, network, prefix);
  }
  return list;
}

// Sets a list in all actors, and gives it away.
static void use_list(gate_t *gate, troupe_block_list_t *list) {
  gate->list = list;
  in_actors(gate, set_list);
  troupe_block_list_free(&list);
}

// ---- Block lists ----

// parity: beside.6
static void blocked_peers_are_hung_up_on_and_counted(void **state) {
  (void)state;
  gate_t gate = {0};
  start(&gate, 1);
  assert_true(may_come_in(&gate, "127.0.7.1"));
  use_list(&gate, new_list("127.0.7.0", 24));
  assert_false(may_come_in(&gate, "127.0.7.1"));
  assert_false(may_come_in(&gate, "127.0.7.255"));
  assert_true(may_come_in(&gate, "127.0.8.1"));
  troupe_server_counts_t counts = counts_of(&gate);
  assert_int_equal(counts.accepted, 2);
  assert_int_equal(counts.blocked, 2);
  assert_int_equal(counts.capped + counts.dropped, 0);
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(gate.system, &counters), 0);
  assert_int_equal(counters.blocked, 2);
  assert_int_equal(counters.accepted, 4);
  assert_int_equal(atomic_load(&gate.dropped), 0);
  use_list(&gate, NULL);
  assert_true(may_come_in(&gate, "127.0.7.1"));
  stop(&gate);
}

static void a_server_made_with_a_list_has_it_from_the_first_connection(void **state) {
  (void)state;
  gate_t gate = {.options.block_list = new_list("127.0.7.0", 24)};
  start(&gate, 2);
  troupe_block_list_free(&gate.options.block_list);
  for (int i = 0; i < 4; i++) {
    assert_false(may_come_in(&gate, "127.0.7.1"));
    assert_true(may_come_in(&gate, "127.0.6.1"));
  }
  // Closed and listening again it has it still.
  in_actors(&gate, close_it);
  in_actors(&gate, listen_again);
  assert_false(may_come_in(&gate, "127.0.7.1"));
  assert_true(may_come_in(&gate, "127.0.6.1"));
  troupe_server_counts_t counts = counts_of(&gate);
  assert_int_equal(counts.accepted, 5); // of both listens
  assert_int_equal(counts.blocked, 5);
  // And one that it gets while it does not listen is there from the next first connection.
  in_actors(&gate, close_it);
  use_list(&gate, new_list("127.0.6.0", 24));
  gate.max = 1;
  in_actors(&gate, set_cap);
  in_actors(&gate, listen_again);
  assert_true(may_come_in(&gate, "127.0.7.1"));
  assert_false(may_come_in(&gate, "127.0.6.1"));
  int held = come_in(&gate, "127.0.7.2");
  assert_true(held >= 0);
  assert_false(may_come_in(&gate, "127.0.7.2"));
  close(held);
  stop(&gate);
}

static void a_list_that_has_grown_is_set_again(void **state) {
  (void)state;
  enum { MORE = 1000 };
  gate_t gate = {.list = new_list(NULL, 0)};
  start(&gate, 1);
  in_actors(&gate, set_list);
  assert_true(may_come_in(&gate, "127.0.7.1"));
  add_rule(gate.list, "127.0.7.1", 32);
  assert_true(may_come_in(&gate, "127.0.7.1")); // nobody has told the server
  in_actors(&gate, set_list);
  assert_false(may_come_in(&gate, "127.0.7.1"));
  in_actors(&gate, set_list); // nothing is new
  for (int i = 0; i < MORE; i++) {
    char text[32];
    snprintf(text, sizeof text, "127.2.%d.%d", i / 256, i % 256);
    add_rule(gate.list, text, 32);
  }
  in_actors(&gate, set_list);
  assert_false(may_come_in(&gate, "127.0.7.1"));
  assert_false(may_come_in(&gate, "127.2.0.0"));
  assert_false(may_come_in(&gate, "127.2.3.231"));
  assert_true(may_come_in(&gate, "127.2.3.232"));
  troupe_block_list_free(&gate.list);
  stop(&gate);
}

static void a_hundred_thousand_rules_are_set_while_it_serves(void **state) {
  (void)state;
  int rules = trp_test_slow() > 1 ? 20000 : 100000;
  gate_t gate = {.list = new_list("127.0.7.1", 32)};
  trp_test_limit(30000 * trp_test_slow());
  for (int i = 0; i < rules; i++) {
    troupe_address_t address = {.family = TROUPE_FAMILY_IPV4};
    uint32_t number = (uint32_t)i * 40503U; // odd: no two are the same
    memcpy(address.bytes, &number, 4);
    address.bytes[0] = (uint8_t)(address.bytes[0] % 100 + 1);
    assert_int_equal(troupe_block_list_add_address(gate.list, &address), 0);
  }
  start(&gate, 1);
  int64_t began = trp_test_now_ms();
  in_actors(&gate, set_list);
  assert_false(may_come_in(&gate, "127.0.7.1"));
  print_message("%d rules are in force after %d ms\n", rules, (int)(trp_test_now_ms() - began));
  assert_true(may_come_in(&gate, "127.0.8.1"));
  troupe_block_list_free(&gate.list);
  stop(&gate);
}

typedef struct {
  gate_t *gate;
  const char *from;
  atomic_bool *over;
  unsigned let_in, refused, failed;
} crowd_t;

static void *knock_all_the_time(void *argument) {
  crowd_t *crowd = argument;
  while (!atomic_load(crowd->over)) {
    int fd = knock(atomic_load(&crowd->gate->port), crowd->from);
    if (fd < 0) {
      crowd->failed++;
      continue;
    }
    bool in = is_let_in(fd);
    crowd->let_in += in;
    crowd->refused += !in;
    close(fd);
  }
  return NULL;
}

// parity: beside.6
// One address is in all the lists, one in none, whatever list is in force: so at no moment is
// there half a list, or none, and nobody who may come in is missed.
static void lists_change_places_without_a_missed_connection(void **state) {
  (void)state;
  enum { RULES = 300 };
  int rounds = trp_test_slow() > 1 ? 40 : 300;
  gate_t gate = {0};
  start(&gate, 2);
  use_list(&gate, new_list("127.0.7.0", 24));
  atomic_bool over = false;
  crowd_t good = {.gate = &gate, .from = "127.0.8.1", .over = &over};
  crowd_t bad = {.gate = &gate, .from = "127.0.7.1", .over = &over};
  pthread_t threads[2];
  assert_int_equal(pthread_create(&threads[0], NULL, knock_all_the_time, &good), 0);
  assert_int_equal(pthread_create(&threads[1], NULL, knock_all_the_time, &bad), 0);
  for (int round = 0; round < rounds; round++) {
    troupe_block_list_t *list = new_list(NULL, 0);
    for (int i = 0; i < RULES; i++) {
      char text[32];
      snprintf(text, sizeof text, "10.%d.%d.0", round % 256, i % 256);
      add_rule(list, text, 24);
    }
    add_rule(list, "127.0.7.0", 24); // the last one of several pieces
    use_list(&gate, list);
  }
  atomic_store(&over, true);
  pthread_join(threads[0], NULL);
  pthread_join(threads[1], NULL);
  assert_true(good.let_in > 0 && bad.refused > 0);
  assert_int_equal(good.refused + good.failed, 0);
  assert_int_equal(bad.let_in + bad.failed, 0);
  troupe_server_counts_t counts = counts_of(&gate);
  assert_int_equal(counts.accepted, good.let_in);
  assert_int_equal(counts.blocked, bad.refused);
  stop(&gate);
}

static void a_mapped_peer_is_an_ipv4_one(void **state) {
  (void)state;
  int port = 0;
  int fd = trp_test_listen_tcp("::1", &port);
  if (fd < 0) {
    skip(); // no IPv6 here
  }
  close(fd);
  gate_t gate = {.host = "::", .options = {.max_per_address = 1}};
  start(&gate, 1);
  use_list(&gate, new_list("127.0.7.0", 24));
  assert_false(may_come_in(&gate, "127.0.7.1"));
  int first = come_in(&gate, "127.0.8.1");
  assert_true(first >= 0);
  assert_false(may_come_in(&gate, "127.0.8.1"));
  assert_true(may_come_in(&gate, "127.0.8.2"));
  int other = trp_test_connect_tcp("::1", atomic_load(&gate.port), LIMIT_MS);
  assert_true(is_let_in(other));
  close(other);
  close(first);
  stop(&gate);
}

// ---- Caps ----

static void one_address_has_so_many_connections_and_no_more(void **state) {
  (void)state;
  gate_t gate = {0};
  start(&gate, 2);
  int held[4];
  held[0] = come_in(&gate, "127.0.0.2"); // before there is a cap
  gate.max = 3;
  in_actors(&gate, set_cap);
  held[1] = come_in(&gate, "127.0.0.2");
  held[2] = come_in(&gate, "127.0.0.2");
  assert_true(held[0] >= 0 && held[1] >= 0 && held[2] >= 0);
  for (int i = 0; i < 4; i++) { // whichever of the two it is dealt to
    assert_false(may_come_in(&gate, "127.0.0.2"));
    assert_true(may_come_in(&gate, "127.0.0.3"));
  }
  close(held[1]);
  wait_for_connections(&gate, 2);
  held[3] = come_in(&gate, "127.0.0.2");
  assert_true(held[3] >= 0);
  assert_false(may_come_in(&gate, "127.0.0.2"));
  troupe_server_counts_t counts = counts_of(&gate);
  assert_int_equal(counts.capped, 5);
  assert_int_equal(counts.blocked + counts.dropped, 0);
  gate.max = 0;
  in_actors(&gate, set_cap);
  assert_true(may_come_in(&gate, "127.0.0.2"));
  close(held[0]);
  close(held[2]);
  close(held[3]);
  stop(&gate);
}

static void a_unix_socket_has_no_address_to_count(void **state) {
  (void)state;
  char path[256];
  snprintf(path, sizeof path, "%s/gate", trp_test_folder());
  gate_t gate = {.path = path, .options = {.max_per_address = 1}};
  start(&gate, 1);
  use_list(&gate, new_list("0.0.0.0", 0));
  int first = trp_test_connect_unix(path, strlen(path), LIMIT_MS);
  int second = trp_test_connect_unix(path, strlen(path), LIMIT_MS);
  assert_true(is_let_in(first));
  assert_true(is_let_in(second));
  close(first);
  close(second);
  stop(&gate);
}

static void a_full_server_drops_before_it_looks_who_it_is(void **state) {
  (void)state;
  gate_t gate = {.max = 1};
  start(&gate, 1);
  in_actors(&gate, set_max);
  use_list(&gate, new_list("127.0.7.0", 24));
  assert_false(may_come_in(&gate, "127.0.7.1"));
  int first = come_in(&gate, "127.0.8.1");
  assert_true(first >= 0);
  assert_false(may_come_in(&gate, "127.0.7.1"));
  troupe_server_counts_t counts = counts_of(&gate);
  assert_int_equal(counts.blocked, 1);
  assert_int_equal(counts.dropped, 1);
  assert_int_equal(atomic_load(&gate.dropped), 1);
  close(first);
  stop(&gate);
}

static int refuse_nonsense(gate_t *gate, troupe_server_t server) {
  troupe_server_t other;
  (void)gate;
  bool right = troupe_server_set_max_per_address(server, 1, 129) == TROUPE_ERR_OUT_OF_RANGE &&
               troupe_server_new(&(troupe_server_options_t){.ipv6_prefix = 129}, NULL, NULL,
                                 &other) == TROUPE_ERR_OUT_OF_RANGE &&
               troupe_server_get_counts(server, NULL, NULL) == TROUPE_EINVAL &&
               troupe_server_set_max_per_address(server, 0, 128) == 0;
  return right ? 0 : -1;
}

static void what_makes_no_sense_is_an_error_of_the_call(void **state) {
  (void)state;
  gate_t gate = {0};
  start(&gate, 1);
  in_actors(&gate, refuse_nonsense);
  assert_int_equal(troupe_server_set_block_list(servers[0], NULL), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_server_set_max_per_address(servers[0], 1, 0), TROUPE_EWRONGTHREAD);
  assert_int_equal(troupe_server_get_counts(servers[0], on_counts, NULL), TROUPE_EWRONGTHREAD);
  stop(&gate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(blocked_peers_are_hung_up_on_and_counted),
      trp_test(a_server_made_with_a_list_has_it_from_the_first_connection),
      trp_test(a_list_that_has_grown_is_set_again),
      trp_test(a_hundred_thousand_rules_are_set_while_it_serves),
      trp_test(lists_change_places_without_a_missed_connection),
      trp_test(a_mapped_peer_is_an_ipv4_one),
      trp_test(one_address_has_so_many_connections_and_no_more),
      trp_test(a_unix_socket_has_no_address_to_count),
      trp_test(a_full_server_drops_before_it_looks_who_it_is),
      trp_test(what_makes_no_sense_is_an_error_of_the_call),
  };
  return TRP_RUN_TESTS("gate", tests);
}
