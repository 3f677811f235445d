// Servers: listening, sharing, dealing, limits, parking, closing.

#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/listener.h"
#include "tests/fake/world.h"

static void credit(fake_world_t *world, int actor, uint64_t through) {
  fake_say(world, actor, TRP_KIND(COMMAND_CREDIT), fake_id(actor, 1))->through = through;
  fake_do(world, actor);
}

static void listen_at(fake_world_t *world, int actor, unsigned counter, const char *ip, int port) {
  fake_listen_on(world, actor, fake_id(actor, counter), ip, port);
  fake_do(world, actor);
}

static void run(fake_world_t *world, int actor, Troupe__Wire__Kind kind, uint64_t id) {
  fake_say(world, actor, kind, id);
  fake_do(world, actor);
}

static Troupe__Wire__Options *options_of(fake_world_t *world, int actor, unsigned counter) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_OPTIONS),
                                    fake_id(actor, counter));
  message->options = fake_take(world, actor, sizeof *message->options);
  *message->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  message->detail_case = TRP_DETAIL(OPTIONS);
  return message->options;
}

static void set_max(fake_world_t *world, int actor, unsigned counter, int64_t max) {
  Troupe__Wire__Options *options = options_of(world, actor, counter);
  options->set_max_connections = true;
  options->max_connections = max;
  fake_do(world, actor);
}

static void forget_told(fake_world_t *world) {
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    world->actors[i].text_length = 0;
    world->actors[i].text[0] = '\0';
  }
}

static size_t count_told(const fake_world_t *world, int actor, const char *word) {
  size_t count = 0;
  for (const char *at = world->actors[actor].text; (at = strstr(at, word)) != NULL; at++) {
    count++;
  }
  return count;
}

static uint64_t asked_count(fake_world_t *world, int actor, uint64_t id, bool group) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_COUNT), id);
  message->count = fake_take(world, actor, sizeof *message->count);
  *message->count = (Troupe__Wire__Count)TROUPE__WIRE__COUNT__INIT;
  message->count->token = 9;
  message->count->group = group;
  message->detail_case = TRP_DETAIL(COUNT);
  fake_do(world, actor);
  const Troupe__Wire__Count *count = fake_last(world, TRP_KIND(EVENT_COUNTED)).message->count;
  assert_int_equal(count->token, 9);
  return count->connections;
}

// ---- Listening ----

static void a_server_listens_and_gets_connections(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 0);
  fake_expect(world, 0, "s1 listening 127.0.0.1:40000\n");
  trp_handle_t *listener = fake_handle(&world->network, 0);
  assert_int_equal(listener->wanted, TRP_READ);
  fake_knock(listener, 2, "9.9.9.9");
  fake_turn(world);
  fake_expect(world, 0, "s1 connection c1\ns1 connection c2\n");
  const Troupe__Wire__Connection *connection = fake_last(world, TRP_KIND(EVENT_CONNECTION))
                                                   .message->connection;
  assert_int_equal(connection->remote->port, 60000);
  assert_int_equal(connection->local->port, 40000);
  fake_arrives(fake_handle(&world->network, 1), "hi");
  fake_turn(world);
  fake_expect(world, 0, "c1 data hi\n");
  assert_int_equal(asked_count(world, 0, fake_id(0, 1), false), 2);
}

static void without_a_host_it_is_both_families_or_what_there_is(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, NULL, 80);
  world->network.listen_errors[1] = TROUPE_EAFNOSUPPORT;
  world->network.listen_error_count = 2;
  listen_at(world, 0, 2, NULL, 81);
  world->network.no_ipv6 = true;
  listen_at(world, 0, 3, NULL, 82);
  fake_expect(world, 0, "s1 listening :::80\ns2 listening 0.0.0.0:81\ns3 listening 0.0.0.0:82\n");
}

static void errors_of_listen_name_the_address(void **state) {
  fake_world_t *world = *state;
  static const int errors[] = {TROUPE_EADDRINUSE, TROUPE_EADDRNOTAVAIL, TROUPE_ENOENT,
                               TROUPE_ENOTDIR};
  memcpy(world->network.listen_errors, errors, sizeof errors);
  world->network.listen_error_count = 4;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  listen_at(world, 0, 1, "203.0.113.1", 0);
  for (int i = 0; i < 2; i++) {
    Troupe__Wire__Listen *listen = fake_listen_on(world, 0, fake_id(0, 1), NULL, 0);
    listen->path.data = (uint8_t *)trp_out_text(&world->actors[0].out, "/no/path");
    listen->path.len = 8;
    fake_do(world, 0);
  }
  fake_expect(world, 0,
              "s1 error listen EADDRINUSE 127.0.0.1:80\n"
              "s1 error listen EADDRNOTAVAIL 203.0.113.1\n"
              "s1 error listen EACCES /no/path:-1\n"
              "s1 error listen ENOTDIR /no/path:-1\n");
  assert_int_equal(fake_counters(world)->servers, 0);
}

static void a_host_is_looked_up_and_its_first_address_bound(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Listen *listen = fake_listen_on(world, 0, fake_id(0, 1), NULL, 80);
  listen->host = trp_out_text(&world->actors[0].out, "localhost");
  fake_do(world, 0);
  fake_expect(world, 0, "");
  fake_resolved(&world->network, 0, 0, (const char *[]){"::1", "127.0.0.1", NULL});
  trp_net_flush(world->net);
  fake_expect(world, 0, "s1 listening ::1:80\n");

  listen = fake_listen_on(world, 0, fake_id(0, 2), NULL, 80);
  listen->host = trp_out_text(&world->actors[0].out, "no.example");
  fake_do(world, 0);
  fake_resolved(&world->network, 1, TROUPE_ENOTFOUND, NULL);
  trp_net_flush(world->net);
  fake_expect(world, 0, "s2 error getaddrinfo ENOTFOUND no.example\n");
}

static void a_close_during_the_look_up_never_listens(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Listen *listen = fake_listen_on(world, 0, fake_id(0, 1), NULL, 80);
  listen->host = trp_out_text(&world->actors[0].out, "localhost");
  fake_do(world, 0);
  run(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  fake_expect(world, 0, "s1 close\n");
  assert_false(world->network.resolves[0].open);
}

static void listening_twice_without_closing_is_an_error(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  listen_at(world, 0, 1, "127.0.0.1", 81);
  fake_expect(world, 0, "s1 listening 127.0.0.1:80\ns1 error ERR_SERVER_ALREADY_LISTEN\n");
}

static void a_descriptor_can_be_listened_on(void **state) {
  fake_world_t *world = *state;
  for (int i = 0; i < 3; i++) {
    Troupe__Wire__Listen *listen = fake_listen_on(world, 0, fake_id(0, (unsigned)i + 1), NULL, 0);
    listen->use_fd = true;
    listen->fd = 10 + i;
    world->network.adopt_kind = i == 1 ? TRP_FD_STREAM : TRP_FD_BOUND;
    world->network.adopt_error = i == 2 ? TROUPE_EBADF : 0;
    fake_do(world, 0);
  }
  fake_expect(world, 0,
              "s1 listening 127.0.0.1:7000 adopted\n"
              "s2 error listen EINVAL\n"
              "s3 error listen EINVAL\n");
  assert_int_equal(fake_open_handles(&world->network), 1);
}

// ---- Sharing ----

static void actors_on_one_address_share_it_in_turns(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  listen_at(world, 1, 1, "127.0.0.1", 80);
  fake_expect(world, 1, "s1 listening 127.0.0.1:80\n");
  assert_int_equal(fake_open_handles(&world->network), 1);
  fake_knock(fake_handle(&world->network, 0), 4, "9.9.9.9");
  fake_turn(world);
  fake_expect(world, 0, "s1 listening 127.0.0.1:80\ns1 connection c1\ns1 connection c3\n");
  fake_expect(world, 1, "s1 connection c2\ns1 connection c4\n");
  assert_int_equal(asked_count(world, 0, fake_id(0, 1), false), 2);
  assert_int_equal(asked_count(world, 0, fake_id(0, 1), true), 4);
  run(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  assert_true(fake_handle(&world->network, 0)->open);
  fake_knock(fake_handle(&world->network, 0), 1, "9.9.9.9");
  fake_turn(world);
  fake_expect(world, 1, "s1 connection c5\n");
  run(world, 1, TRP_KIND(COMMAND_CLOSE), fake_id(1, 1));
  assert_false(fake_handle(&world->network, 0)->open);
}

static void the_same_actor_twice_or_an_exclusive_one_finds_the_address_in_use(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  listen_at(world, 0, 2, "127.0.0.1", 80);
  fake_listen_on(world, 1, fake_id(1, 1), "127.0.0.1", 80)->exclusive = true;
  fake_do(world, 1);
  fake_expect(world, 0, "s1 listening 127.0.0.1:80\ns2 error listen EADDRINUSE 127.0.0.1:80\n");
  fake_expect(world, 1, "s1 error listen EADDRINUSE 127.0.0.1:80\n");
}

static void servers_that_reuse_the_port_have_sockets_of_their_own(void **state) {
  fake_world_t *world = *state;
  for (int i = 0; i < 2; i++) {
    fake_listen_on(world, i, fake_id(i, 1), "127.0.0.1", 80)->reuse_port = true;
    fake_do(world, i);
    fake_expect(world, i, "s1 listening 127.0.0.1:80\n");
  }
  assert_int_equal(fake_open_handles(&world->network), 2);
  // Where somebody listens who keeps the port to this process, nobody can open it.
  listen_at(world, 0, 2, "127.0.0.1", 81);
  fake_listen_on(world, 1, fake_id(1, 2), "127.0.0.1", 81)->reuse_port = true;
  fake_do(world, 1);
  fake_expect(world, 1, "s2 error listen EADDRINUSE 127.0.0.1:81\n");
}

static void the_copies_of_one_spawn_share_the_port_that_the_system_picked(void **state) {
  fake_world_t *world = *state;
  for (int i = 2; i < 5; i++) {
    fake_hello(world, i, i == 4 ? 0 : 77);
    fake_do(world, i);
    for (uint32_t ordinal = 0; ordinal < 2; ordinal++) {
      fake_listen_on(world, i, fake_id(i, 1 + ordinal), "0.0.0.0", 0)->ordinal = ordinal;
      fake_do(world, i);
    }
  }
  fake_expect(world, 2, "s1 listening 0.0.0.0:40000\ns2 listening 0.0.0.0:40001\n");
  fake_expect(world, 3, "s1 listening 0.0.0.0:40000\ns2 listening 0.0.0.0:40001\n");
  fake_expect(world, 4, "s1 listening 0.0.0.0:40002\ns2 listening 0.0.0.0:40003\n");
  for (int i = 2; i < 5; i++) {
    fake_bye(world, i, 0);
    fake_do(world, i);
  }
}

static void a_server_can_share_with_another_and_stand_by(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  Troupe__Wire__Listen *listen = fake_listen_on(world, 1, fake_id(1, 1), NULL, 0);
  listen->share_with = fake_id(0, 1);
  listen->standby = true;
  fake_do(world, 1);
  fake_expect(world, 1, "s1 listening 127.0.0.1:80\n");
  forget_told(world);
  fake_knock(fake_handle(&world->network, 0), 2, "9.9.9.9");
  fake_turn(world);
  fake_expect(world, 0, "s1 connection c1\ns1 connection c2\n");
  run(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  // The address is held, and nobody accepts.
  assert_int_equal(fake_handle(&world->network, 0)->wanted, 0);
  assert_true(fake_handle(&world->network, 0)->open);
}

// ---- Limits ----

static void an_actor_that_dispatches_nothing_stops_the_accepting(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  trp_handle_t *listener = fake_handle(&world->network, 0);
  fake_knock(listener, 300, "9.9.9.9");
  size_t accepts = world->network.accepts;
  fake_turn(world);
  assert_int_equal(world->network.accepts - accepts, TRP_ACCEPT_BUDGET);
  for (int i = 0; i < 5; i++) {
    fake_turn(world);
  }
  assert_int_equal(count_told(world, 0, "connection"), TRP_ACCEPT_CREDIT);
  assert_int_equal(listener->wanted, 0);
  credit(world, 0, TRP_ACCEPT_STEP);
  fake_turn(world);
  assert_int_equal(count_told(world, 0, "connection"), TRP_ACCEPT_CREDIT + TRP_ACCEPT_STEP);
}

static void every_command_of_a_server_says_how_many_it_has_dispatched(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  fake_knock(fake_handle(&world->network, 0), 300, "9.9.9.9");
  fake_turn(world);
  fake_turn(world);
  assert_int_equal(count_told(world, 0, "connection"), TRP_ACCEPT_CREDIT);
  trp_message_t *message = fake_say(world, 0, TRP_KIND(COMMAND_COUNT), fake_id(0, 1));
  message->count = fake_take(world, 0, sizeof *message->count);
  *message->count = (Troupe__Wire__Count)TROUPE__WIRE__COUNT__INIT;
  message->detail_case = TRP_DETAIL(COUNT);
  message->through = 10;
  fake_do(world, 0);
  fake_turn(world);
  assert_int_equal(count_told(world, 0, "connection"), TRP_ACCEPT_CREDIT + 10);
}

static void with_one_full_the_other_gets_them_and_with_all_full_they_are_dropped(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  listen_at(world, 1, 1, "127.0.0.1", 80);
  set_max(world, 0, 1, 1);
  set_max(world, 1, 1, 9);
  forget_told(world);
  fake_knock(fake_handle(&world->network, 0), 10, "9.9.9.9");
  fake_turn(world);
  assert_int_equal(count_told(world, 0, "connection"), 1);
  assert_int_equal(count_told(world, 1, "connection"), 9);
  forget_told(world);
  fake_knock(fake_handle(&world->network, 0), 3, "9.9.9.9");
  fake_turn(world);
  assert_int_equal(count_told(world, 0, "drop") + count_told(world, 1, "drop"), 2);
  assert_int_equal(fake_counters(world)->dropped, 3);
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_connection(1));
  forget_told(world);
  fake_knock(fake_handle(&world->network, 0), 1, "9.9.9.9");
  fake_turn(world);
  assert_int_equal(count_told(world, 0, "connection"), 1);
}

static void an_actor_that_is_deaf_does_not_drown_in_drops(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  set_max(world, 0, 1, -1);
  forget_told(world);
  trp_handle_t *listener = fake_handle(&world->network, 0);
  size_t told = 0;
  for (int i = 0; i < 3000; i++) {
    world->network.handle_count = 1; // the closed ones need not be kept
    fake_knock(listener, 1, "9.9.9.9");
    fake_turn(world);
    told += count_told(world, 0, "drop");
    forget_told(world);
  }
  assert_int_equal(told, 1024);
  fake_pass(world, 1000);
  fake_expect(world, 0, "s1 drop 1976\n");
}

// A list, or more of one: addresses, ranges "A-B" and subnets "A/N" of the actor's list s`counter`.
static Troupe__Wire__BlockList *block(fake_world_t *world, int actor, unsigned counter,
                                      const char *const *rules) {
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_BLOCK_LIST),
                                    fake_id(actor, counter));
  Troupe__Wire__BlockList *list = fake_take(world, actor, sizeof *list);
  *list = (Troupe__Wire__BlockList)TROUPE__WIRE__BLOCK_LIST__INIT;
  list->rules = fake_take(world, actor, 16 * sizeof(Troupe__Wire__BlockList__Rule *));
  for (; rules[list->n_rules] != NULL; list->n_rules++) {
    Troupe__Wire__BlockList__Rule *rule = fake_take(world, actor, sizeof *rule);
    *rule = (Troupe__Wire__BlockList__Rule)TROUPE__WIRE__BLOCK_LIST__RULE__INIT;
    char text[128];
    snprintf(text, sizeof text, "%s", rules[list->n_rules]);
    char *sign = strpbrk(text, "-/");
    rule->prefix = -1;
    if (sign != NULL && *sign == '/') {
      rule->prefix = atoi(sign + 1);
    } else if (sign != NULL) {
      rule->end = fake_wire(world, actor, sign + 1, 0);
    }
    if (sign != NULL) {
      *sign = '\0';
    }
    rule->start = fake_wire(world, actor, text, 0);
    list->rules[list->n_rules] = rule;
  }
  message->block_list = list;
  message->detail_case = TRP_DETAIL(BLOCK_LIST);
  return list;
}

static void use_list(fake_world_t *world, int actor, unsigned server, unsigned list) {
  Troupe__Wire__Options *options = options_of(world, actor, server);
  options->set_block_list = true;
  options->block_list = list == 0 ? 0 : fake_id(actor, list);
}

static void set_cap(fake_world_t *world, int actor, unsigned server, uint32_t max,
                    uint32_t prefix) {
  Troupe__Wire__Options *options = options_of(world, actor, server);
  options->set_max_per_address = true;
  options->max_per_address = max;
  options->max_per_address_prefix = prefix;
  fake_do(world, actor);
}

// How many of the connections that wait at the first listener get in, whoever gets them.
static size_t let_in(fake_world_t *world, unsigned count, const char *ip) {
  forget_told(world);
  fake_knock(fake_handle(&world->network, 0), count, ip);
  fake_turn(world);
  size_t connections = 0;
  for (int i = 0; i < FAKE_ACTORS_MAX; i++) {
    connections += count_told(world, i, "connection");
  }
  return connections;
}

static void blocked_peers_are_hung_up_on_in_silence(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  block(world, 0, 2,
        (const char *[]){"1.1.1.1", "10.0.0.77/27", "2001:db8::10-2001:db8::20", NULL});
  use_list(world, 0, 1, 2);
  fake_do(world, 0);
  static const struct {
    const char *ip;
    bool blocked;
  } peers[] = {
      {"1.1.1.1", true},          {"::ffff:1.1.1.1", true}, {"1.1.1.2", false},
      {"10.0.0.64", true},        {"10.0.0.95", true},      {"10.0.0.96", false},
      {"2001:db8::15", true},     {"2001:db8::21", false},  {"::1", false},
      {"::ffff:10.0.0.80", true},
  };
  for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
    assert_int_equal(let_in(world, 1, peers[i].ip), !peers[i].blocked);
    assert_int_equal(count_told(world, 0, "drop"), 0);
  }
  assert_int_equal(fake_counters(world)->blocked, 6);
}

static void a_list_grows_and_another_takes_its_place_at_once(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  block(world, 0, 2, (const char *[]){"1.1.1.1", NULL});
  use_list(world, 0, 1, 2);
  fake_do(world, 0);
  block(world, 0, 2, (const char *[]){"2.2.2.2", NULL})->known = 1;
  fake_do(world, 0);
  assert_int_equal(let_in(world, 1, "1.1.1.1"), 0);
  assert_int_equal(let_in(world, 1, "2.2.2.2"), 0);
  block(world, 0, 3, (const char *[]){"3.3.3.3", NULL});
  use_list(world, 0, 1, 3);
  block(world, 0, 2, (const char *[]){NULL})->drop = true;
  fake_do(world, 0);
  assert_int_equal(let_in(world, 1, "1.1.1.1"), 1);
  assert_int_equal(let_in(world, 1, "2.2.2.2"), 1);
  assert_int_equal(let_in(world, 1, "3.3.3.3"), 0);
  use_list(world, 0, 1, 0);
  fake_do(world, 0);
  assert_int_equal(let_in(world, 1, "3.3.3.3"), 1);
  assert_int_equal(fake_counters(world)->unknown_kind, 0);
  assert_int_equal(fake_counters(world)->unknown_subject, 0);
}

static void a_list_that_is_not_whole_lets_nobody_in(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  block(world, 0, 2, (const char *[]){"1.1.1.1", NULL})->known = 7; // what was before them is lost
  use_list(world, 0, 1, 2);
  fake_do(world, 0);
  assert_int_equal(let_in(world, 2, "9.9.9.9"), 0);
  use_list(world, 0, 1, 3); // and one that never came
  fake_do(world, 0);
  assert_int_equal(let_in(world, 2, "9.9.9.9"), 0);
  block(world, 0, 4, (const char *[]){"10.0.0.0/33", NULL}); // that makes no sense
  use_list(world, 0, 1, 4);
  fake_do(world, 0);
  assert_int_equal(let_in(world, 2, "9.9.9.9"), 0);
  assert_int_equal(fake_counters(world)->blocked, 6);
}

static void one_address_gets_no_more_than_its_share(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  assert_int_equal(let_in(world, 1, "1.1.1.1"), 1); // before the limit is set; it counts, too
  set_cap(world, 0, 1, 2, 0);
  assert_int_equal(let_in(world, 3, "1.1.1.1"), 1);
  assert_int_equal(let_in(world, 1, "::ffff:1.1.1.1"), 0);
  assert_int_equal(let_in(world, 1, "2.2.2.2"), 1);
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_connection(1));
  assert_int_equal(let_in(world, 2, "1.1.1.1"), 1);
  set_cap(world, 0, 1, 0, 0);
  assert_int_equal(let_in(world, 3, "1.1.1.1"), 3);
  set_cap(world, 0, 1, 5, 0); // those that came without a limit count
  assert_int_equal(let_in(world, 1, "1.1.1.1"), 0);
  assert_int_equal(fake_counters(world)->dropped, 0);
}

static void ipv6_addresses_count_by_their_first_bits(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "::1", 80);
  set_cap(world, 0, 1, 2, 0);
  assert_int_equal(let_in(world, 1, "2001:db8:0:1::1"), 1);
  assert_int_equal(let_in(world, 1, "2001:db8:0:1::2"), 1);
  assert_int_equal(let_in(world, 1, "2001:db8:0:1::3"), 1);
  set_cap(world, 0, 1, 2, 64);
  assert_int_equal(let_in(world, 1, "2001:db8:0:1:ffff::9"), 0);
  assert_int_equal(let_in(world, 3, "2001:db8:0:2::1"), 2);
  set_cap(world, 0, 1, 6, 61);
  assert_int_equal(let_in(world, 3, "2001:db8:0:7::1"), 1);
  assert_int_equal(let_in(world, 1, "2001:db8:0:8::1"), 1);
  set_cap(world, 0, 1, 1, 8);
  assert_int_equal(let_in(world, 1, "1.1.1.1"), 1); // of IPv4 all bits count
  assert_int_equal(let_in(world, 1, "1.1.1.2"), 1);
  assert_int_equal(let_in(world, 1, "1.1.1.2"), 0);
}

static void servers_of_one_address_share_the_cap(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  listen_at(world, 1, 1, "127.0.0.1", 80);
  set_cap(world, 0, 1, 3, 0);
  set_cap(world, 1, 1, 3, 0);
  assert_int_equal(let_in(world, 8, "1.1.1.1"), 3);
  assert_int_equal(let_in(world, 8, "1.1.1.2"), 3);
}

static void a_server_knows_what_became_of_its_connections(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  block(world, 0, 2, (const char *[]){"7.7.7.7", NULL});
  use_list(world, 0, 1, 2);
  set_cap(world, 0, 1, 2, 0);
  set_max(world, 0, 1, 4);
  assert_int_equal(let_in(world, 3, "1.1.1.1"), 2);
  assert_int_equal(let_in(world, 5, "7.7.7.7"), 0);
  assert_int_equal(let_in(world, 2, "2.2.2.2"), 2);
  // It is full, which is looked at first: these are dropped although they are blocked.
  assert_int_equal(let_in(world, 6, "7.7.7.7"), 0);
  assert_int_equal(count_told(world, 0, "drop 6"), 1);
  assert_int_equal(asked_count(world, 0, fake_id(0, 1), false), 4);
  const Troupe__Wire__Count *count = fake_last(world, TRP_KIND(EVENT_COUNTED)).message->count;
  assert_int_equal(count->accepted, 4);
  assert_int_equal(count->dropped, 6);
  assert_int_equal(count->blocked, 5);
  assert_int_equal(count->capped, 1);
  for (unsigned i = 1; i <= 4; i++) {
    run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_connection(i));
  }
  run(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  const trp_message_t *close = fake_last(world, TRP_KIND(EVENT_CLOSE)).message;
  assert_int_equal(close->detail_case, TRP_DETAIL(COUNT));
  assert_int_equal(close->count->blocked, 5);
}

static void accepted_sockets_inherit_options(void **state) {
  fake_world_t *world = *state;
  Troupe__Wire__Listen *listen = fake_listen_on(world, 0, fake_id(0, 1), "127.0.0.1", 80);
  listen->options = fake_take(world, 0, sizeof *listen->options);
  *listen->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  listen->options->no_delay = TROUPE__WIRE__CHOICE__CHOICE_ON;
  listen->options->pause = true;
  listen->options->set_timeout = true;
  listen->options->timeout_ms = 50;
  fake_do(world, 0);
  forget_told(world);
  fake_knock(fake_handle(&world->network, 0), 1, "9.9.9.9");
  fake_turn(world);
  fake_expect(world, 0, "s1 connection c1 paused\n");
  trp_handle_t *handle = fake_handle(&world->network, 1);
  assert_int_equal(handle->options[TRP_OPTION_NO_DELAY], 1);
  assert_int_equal(handle->wanted, 0); // not even its end is looked for
  fake_arrives(handle, "x");
  fake_turn(world);
  fake_pass(world, 50);
  fake_expect(world, 0, "c1 timeout\n");
  run(world, 0, TRP_KIND(COMMAND_RESUME), fake_connection(1));
  fake_turn(world);
  fake_expect(world, 0, "c1 data x\n");
}

// ---- Parking ----

static void without_descriptors_the_listener_parks_and_says_so(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  listen_at(world, 1, 1, "127.0.0.1", 80);
  forget_told(world);
  trp_handle_t *listener = fake_handle(&world->network, 0);
  world->network.descriptors = 1;
  fake_knock(listener, 3, "9.9.9.9");
  fake_turn(world);
  fake_expect(world, 0, "s1 connection c1\ns1 parked accept EMFILE 127.0.0.1:80\n");
  fake_expect(world, 1, "s1 parked accept EMFILE 127.0.0.1:80\n");
  assert_int_equal(listener->wanted, 0);
  // It tries at 100, 300, 700, 1500, 2500, … ms.
  size_t accepts = world->network.accepts;
  for (int ms = 0; ms < 3500; ms += 10) {
    fake_pass(world, 10);
    fake_turn(world);
  }
  assert_int_equal(world->network.accepts - accepts, 6);
  fake_expect(world, 0, "");
  world->network.descriptors = 1;
  fake_pass(world, 1000);
  fake_expect(world, 0, "s1 unparked\ns1 parked accept EMFILE 127.0.0.1:80\n");
  fake_expect(world, 1, "s1 unparked\ns1 connection c2\ns1 parked accept EMFILE 127.0.0.1:80\n");
}

static void a_closed_socket_wakes_a_parked_listener(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  trp_handle_t *listener = fake_handle(&world->network, 0);
  world->network.descriptors = 1;
  fake_knock(listener, 2, "9.9.9.9");
  fake_turn(world);
  forget_told(world);
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_connection(1));
  fake_expect(world, 0, "c1 close\ns1 unparked\ns1 connection c2\n");
  assert_int_equal(listener->wanted, TRP_READ);
  assert_int_equal(fake_counters(world)->parked, 1);
  assert_int_equal(fake_counters(world)->unparked, 1);
}

// ---- Closing ----

static void a_server_closes_when_its_last_connection_is_gone(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  fake_knock(fake_handle(&world->network, 0), 2, "9.9.9.9");
  fake_turn(world);
  forget_told(world);
  run(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  assert_false(fake_handle(&world->network, 0)->open); // the address is free at once
  fake_expect(world, 0, "");
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_connection(1));
  fake_expect(world, 0, "c1 close\n");
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_connection(2));
  fake_expect(world, 0, "c2 close\ns1 close\n");
}

static void a_server_can_listen_again_with_old_connections_open(void **state) {
  fake_world_t *world = *state;
  listen_at(world, 0, 1, "127.0.0.1", 80);
  fake_knock(fake_handle(&world->network, 0), 1, "9.9.9.9");
  fake_turn(world);
  fake_say(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  fake_listen_on(world, 0, fake_id(0, 1), "127.0.0.1", 81);
  fake_do(world, 0);
  fake_expect(world, 0, "s1 listening 127.0.0.1:80\ns1 connection c1\ns1 listening 127.0.0.1:81\n");
  run(world, 0, TRP_KIND(COMMAND_DESTROY), fake_connection(1));
  fake_expect(world, 0, "c1 close\n"); // it listens: no close, as in Node
  run(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  fake_expect(world, 0, "s1 close\n");
}

static void a_server_without_connections_closes_at_once_each_time(void **state) {
  fake_world_t *world = *state;
  for (int i = 0; i < 3; i++) {
    fake_listen_on(world, 0, fake_id(0, 1), "127.0.0.1", 80);
    fake_say(world, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
    fake_do(world, 0);
    fake_expect(world, 0, "s1 listening 127.0.0.1:80\ns1 close\n");
  }
}

#define with_world(test) trp_test_with(test, fake_world_setup, fake_world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_world(a_server_listens_and_gets_connections),
      with_world(without_a_host_it_is_both_families_or_what_there_is),
      with_world(errors_of_listen_name_the_address),
      with_world(a_host_is_looked_up_and_its_first_address_bound),
      with_world(a_close_during_the_look_up_never_listens),
      with_world(listening_twice_without_closing_is_an_error),
      with_world(a_descriptor_can_be_listened_on),
      with_world(actors_on_one_address_share_it_in_turns),
      with_world(the_same_actor_twice_or_an_exclusive_one_finds_the_address_in_use),
      with_world(servers_that_reuse_the_port_have_sockets_of_their_own),
      with_world(the_copies_of_one_spawn_share_the_port_that_the_system_picked),
      with_world(a_server_can_share_with_another_and_stand_by),
      with_world(an_actor_that_dispatches_nothing_stops_the_accepting),
      with_world(every_command_of_a_server_says_how_many_it_has_dispatched),
      with_world(with_one_full_the_other_gets_them_and_with_all_full_they_are_dropped),
      with_world(an_actor_that_is_deaf_does_not_drown_in_drops),
      with_world(blocked_peers_are_hung_up_on_in_silence),
      with_world(a_list_grows_and_another_takes_its_place_at_once),
      with_world(a_list_that_is_not_whole_lets_nobody_in),
      with_world(one_address_gets_no_more_than_its_share),
      with_world(ipv6_addresses_count_by_their_first_bits),
      with_world(servers_of_one_address_share_the_cap),
      with_world(a_server_knows_what_became_of_its_connections),
      with_world(accepted_sockets_inherit_options),
      with_world(without_descriptors_the_listener_parks_and_says_so),
      with_world(a_closed_socket_wakes_a_parked_listener),
      with_world(a_server_closes_when_its_last_connection_is_gone),
      with_world(a_server_can_listen_again_with_old_connections_open),
      with_world(a_server_without_connections_closes_at_once_each_time),
  };
  return TRP_RUN_TESTS("listener", tests);
}
