// Several I/O actors: one listens, the others serve their share of what it accepts.

#include "tests/harness/harness.h"

#include <stdio.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/net/listener.h"
#include "tests/fake/cluster.h"

enum { FIRST, SECOND, THIRD };

static void listen_at(fake_cluster_t *cluster, int actor, unsigned counter, int port) {
  fake_listen_on(cluster->worlds[FIRST], actor, fake_id(actor, counter), "127.0.0.1", port);
  fake_do(cluster->worlds[FIRST], actor);
}

static trp_handle_t *listener_of(fake_cluster_t *cluster) {
  return fake_handle(&cluster->worlds[FIRST]->network, 0);
}

static void knock(fake_cluster_t *cluster, unsigned count, const char *ip) {
  fake_knock(listener_of(cluster), count, ip);
  fake_turn(cluster->worlds[FIRST]);
}

static void say(fake_cluster_t *cluster, int world, int actor, Troupe__Wire__Kind kind,
                uint64_t id) {
  fake_say(cluster->worlds[world], actor, kind, id);
  fake_do(cluster->worlds[world], actor);
}

static void set(fake_cluster_t *cluster, int actor, unsigned counter, int64_t max_connections,
                uint32_t max_per_address) {
  fake_world_t *world = cluster->worlds[FIRST];
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_OPTIONS),
                                    fake_id(actor, counter));
  Troupe__Wire__Options *options = fake_take(world, actor, sizeof *options);
  *options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  options->set_max_connections = true;
  options->max_connections = max_connections;
  options->set_max_per_address = true;
  options->max_per_address = max_per_address;
  message->options = options;
  message->detail_case = TRP_DETAIL(OPTIONS);
  fake_do(world, actor);
}

static void ask(fake_cluster_t *cluster, int actor, unsigned counter) {
  fake_world_t *world = cluster->worlds[FIRST];
  trp_message_t *message = fake_say(world, actor, TRP_KIND(COMMAND_COUNT), fake_id(actor, counter));
  message->count = fake_take(world, actor, sizeof *message->count);
  *message->count = (Troupe__Wire__Count)TROUPE__WIRE__COUNT__INIT;
  message->detail_case = TRP_DETAIL(COUNT);
  fake_do(world, actor);
}

static void forget_told(fake_cluster_t *cluster) {
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    for (int actor = 0; actor < FAKE_ACTORS_MAX; actor++) {
      cluster->worlds[i]->actors[actor].text_length = 0;
      cluster->worlds[i]->actors[actor].text[0] = '\0';
    }
  }
}

/// The connection c`counter`, served by the I/O actor of this world.
static uint64_t connection(int world, unsigned counter) {
  return trp_id_make((unsigned)world + 1, 1, counter);
}

/// The peer of the newest connection there is gone.
static void hang_up(fake_cluster_t *cluster, int world) {
  fake_handle(&cluster->worlds[world]->network, -1)->read_error = TROUPE_ECONNRESET;
  fake_turn(cluster->worlds[world]);
}

// ---- Where they go ----

static void each_serves_a_share_and_tells_of_it_itself(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  listen_at(cluster, 1, 1, 80);
  forget_told(cluster);
  knock(cluster, 6, "9.9.9.9");
  fake_expect(cluster->worlds[FIRST], 0, "s1 connection c1\n");
  fake_expect(cluster->worlds[FIRST], 1, "s1 connection c4\n");
  fake_expect(cluster->worlds[SECOND], 1, "");
  assert_int_equal(fake_parted(), 4);
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[SECOND], 0, "s1 connection c5\n");
  fake_expect(cluster->worlds[SECOND], 1, "s1 connection c2\n");
  fake_expect(cluster->worlds[THIRD], 0, "s1 connection c3\n");
  fake_expect(cluster->worlds[THIRD], 1, "s1 connection c6\n");
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    assert_int_equal(fake_counters(cluster->worlds[i])->sockets, 2);
  }
  const Troupe__Wire__Connection
      *told = fake_last(cluster->worlds[THIRD], TRP_KIND(EVENT_CONNECTION)).message->connection;
  assert_int_equal(told->remote->port, 60000);
  assert_int_equal(told->local->port, 80);
  fake_arrives(fake_handle(&cluster->worlds[SECOND]->network, 0), "hi");
  fake_turn(cluster->worlds[SECOND]);
  fake_expect(cluster->worlds[SECOND], 1, "c2 data hi\n");
}

static void who_has_fewer_gets_the_next(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  knock(cluster, 6, "9.9.9.9");
  fake_cluster_settle(cluster);
  say(cluster, SECOND, 0, TRP_KIND(COMMAND_DESTROY), connection(SECOND, 2));
  say(cluster, SECOND, 0, TRP_KIND(COMMAND_DESTROY), connection(SECOND, 5));
  fake_cluster_settle(cluster);
  forget_told(cluster);
  knock(cluster, 2, "9.9.9.9");
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[SECOND], 0, "s1 connection c7\ns1 connection c8\n");
}

static void what_the_server_wants_of_its_sockets_goes_along(void **state) {
  fake_cluster_t *cluster = *state;
  Troupe__Wire__Listen *listen = fake_listen_on(cluster->worlds[FIRST], 0, fake_id(0, 1),
                                                "127.0.0.1", 80);
  listen->options = fake_take(cluster->worlds[FIRST], 0, sizeof *listen->options);
  *listen->options = (Troupe__Wire__Options)TROUPE__WIRE__OPTIONS__INIT;
  listen->options->no_delay = TROUPE__WIRE__CHOICE__CHOICE_ON;
  listen->options->keep_alive = TROUPE__WIRE__CHOICE__CHOICE_ON;
  listen->options->keep_alive_initial_delay_s = 7;
  listen->options->pause = true;
  listen->options->set_timeout = true;
  listen->options->timeout_ms = 500;
  fake_do(cluster->worlds[FIRST], 0);
  knock(cluster, 2, "9.9.9.9");
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[SECOND], 0, "s1 connection c2 paused\n");
  trp_handle_t *handle = fake_handle(&cluster->worlds[SECOND]->network, 0);
  assert_int_equal(handle->options[TRP_OPTION_NO_DELAY], 1);
  assert_int_equal(handle->options[TRP_OPTION_KEEP_ALIVE], 1);
  assert_int_equal(handle->options[TRP_OPTION_KEEP_ALIVE_DELAY_S], 7);
  assert_int_equal(handle->wanted, 0);
  fake_pass(cluster->worlds[SECOND], 500);
  fake_expect(cluster->worlds[SECOND], 0, "c2 timeout\n");
}

static void an_actor_that_dispatches_nothing_stops_the_accepting_wherever_they_live(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  fake_knock(listener_of(cluster), 300, "9.9.9.9");
  for (int i = 0; i < 5; i++) {
    fake_turn(cluster->worlds[FIRST]);
    fake_cluster_settle(cluster);
  }
  uint64_t sockets = 0;
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    sockets += fake_counters(cluster->worlds[i])->sockets;
  }
  assert_int_equal(sockets, TRP_ACCEPT_CREDIT);
  assert_int_equal(listener_of(cluster)->waiting, 300 - TRP_ACCEPT_CREDIT);
  assert_int_equal(listener_of(cluster)->wanted, 0);
}

// ---- What is counted ----

static void a_count_waits_for_what_is_gone_already(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  knock(cluster, 3, "9.9.9.9");
  fake_cluster_settle(cluster);
  forget_told(cluster);
  hang_up(cluster, SECOND);
  fake_expect(cluster->worlds[SECOND], 0, "c2 error read ECONNRESET\nc2 close had-error\n");
  ask(cluster, 0, 1);
  fake_expect(cluster->worlds[FIRST], 0, "");
  assert_true(fake_cluster_move(cluster, FIRST, THIRD));
  assert_true(fake_cluster_move(cluster, THIRD, FIRST));
  fake_expect(cluster->worlds[FIRST], 0, "");
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[FIRST], 0, "s1 counted 2\n");
}

static void counts_that_are_asked_meanwhile_are_answered_in_their_order(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  knock(cluster, 3, "9.9.9.9");
  fake_cluster_settle(cluster);
  forget_told(cluster);
  ask(cluster, 0, 1);
  assert_true(fake_cluster_move(cluster, FIRST, SECOND)); // the first question is there
  hang_up(cluster, SECOND);
  ask(cluster, 0, 1);
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[FIRST], 0, "s1 counted 2\ns1 counted 2\n");
}

static void nobody_is_turned_away_for_one_who_is_gone(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  set(cluster, 0, 1, 3, 0);
  knock(cluster, 3, "9.9.9.9");
  fake_cluster_settle(cluster);
  forget_told(cluster);
  hang_up(cluster, THIRD);
  knock(cluster, 2, "9.9.9.9");
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->dropped, 0);
  assert_int_equal(listener_of(cluster)->wanted, 0);
  fake_cluster_settle(cluster);
  fake_turn(cluster->worlds[FIRST]);
  fake_expect(cluster->worlds[FIRST], 0, "s1 drop 1\n");
  fake_expect(cluster->worlds[THIRD], 0,
              "c3 error read ECONNRESET\nc3 close had-error\ns1 connection c4\n");
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->dropped, 1);
  assert_int_equal(listener_of(cluster)->wanted, TRP_READ);
}

static void nor_for_one_from_the_same_address(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  knock(cluster, 2, "1.1.1.1"); // before there is a cap; they count, too
  fake_cluster_settle(cluster);
  set(cluster, 0, 1, 0, 2);
  forget_told(cluster);
  hang_up(cluster, SECOND);
  knock(cluster, 2, "1.1.1.1");
  fake_cluster_settle(cluster);
  fake_turn(cluster->worlds[FIRST]);
  fake_cluster_settle(cluster);
  uint64_t sockets = 0;
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    sockets += fake_counters(cluster->worlds[i])->sockets;
  }
  assert_int_equal(sockets, 2);
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->blocked, 1);
}

static void those_in_doubt_are_closed_with_the_server(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  set(cluster, 0, 1, 2, 0);
  knock(cluster, 2, "9.9.9.9");
  fake_cluster_settle(cluster);
  knock(cluster, 5, "9.9.9.9");
  say(cluster, FIRST, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  fake_cluster_settle(cluster);
  assert_int_equal(fake_open_handles(&cluster->worlds[FIRST]->network), 1);
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->dropped, 0);
}

// ---- Ends ----

static void a_server_is_closed_when_the_last_of_its_connections_is_gone_elsewhere(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  knock(cluster, 2, "9.9.9.9");
  say(cluster, FIRST, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1)); // one is still on its way
  say(cluster, FIRST, 0, TRP_KIND(COMMAND_DESTROY), connection(FIRST, 1));
  forget_told(cluster);
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[SECOND], 0, "s1 connection c2\n");
  fake_expect(cluster->worlds[FIRST], 0, "");
  say(cluster, SECOND, 0, TRP_KIND(COMMAND_DESTROY), connection(SECOND, 2));
  fake_expect(cluster->worlds[FIRST], 0, "");
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[FIRST], 0, "s1 close\n");
  assert_int_equal(fake_last(cluster->worlds[FIRST], TRP_KIND(EVENT_CLOSE)).message->through, 2);
}

static void a_connection_for_an_actor_that_ended_meanwhile_is_closed(void **state) {
  fake_cluster_t *cluster = *state;
  fake_cluster_hello(cluster, 2, 0);
  listen_at(cluster, 2, 1, 80);
  knock(cluster, 3, "9.9.9.9");
  fake_cluster_bye(cluster, 2, 0, THIRD);
  fake_cluster_bye(cluster, 2, 0, SECOND);
  fake_cluster_settle(cluster);
  assert_int_equal(fake_open_handles(&cluster->worlds[SECOND]->network), 0);
  assert_int_equal(fake_counters(cluster->worlds[SECOND])->undeliverable, 1);
  // The listener is still there: so is the actor, for all that the first one knows.
  ask(cluster, 2, 1);
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[FIRST], 2,
              "s1 listening 127.0.0.1:80\ns1 connection c1\n"
              "s1 counted 1\n");
  fake_cluster_bye(cluster, 2, 0, FIRST);
  fake_cluster_settle(cluster);
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->servers, 0);
}

static void a_server_whose_actor_ended_does_not_count_while_its_connections_end(void **state) {
  fake_cluster_t *cluster = *state;
  fake_cluster_hello(cluster, 2, 0);
  listen_at(cluster, 2, 1, 80);
  knock(cluster, 3, "9.9.9.9");
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->servers, 1);
  fake_cluster_bye(cluster, 2, 0, FIRST);
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->servers, 0);
  fake_cluster_settle(cluster);
  fake_cluster_bye(cluster, 2, 0, SECOND);
  fake_cluster_bye(cluster, 2, 0, THIRD);
  fake_cluster_settle(cluster);
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->servers, 0);
}

static void a_connection_that_cannot_be_taken_was_never_there(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  cluster->worlds[SECOND]->network.take_error = TROUPE_ENOMEM;
  knock(cluster, 3, "9.9.9.9");
  fake_cluster_settle(cluster);
  ask(cluster, 0, 1);
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[FIRST], 0,
              "s1 listening 127.0.0.1:80\ns1 connection c1\ns1 counted 2\n");
  fake_expect(cluster->worlds[SECOND], 0, "");
  // It is not waited for, either: of so many connections the actor has heard.
  say(cluster, FIRST, 0, TRP_KIND(COMMAND_DESTROY), connection(FIRST, 1));
  say(cluster, THIRD, 0, TRP_KIND(COMMAND_DESTROY), connection(THIRD, 3));
  say(cluster, FIRST, 0, TRP_KIND(COMMAND_CLOSE), fake_id(0, 1));
  fake_cluster_settle(cluster);
  assert_int_equal(fake_last(cluster->worlds[FIRST], TRP_KIND(EVENT_CLOSE)).message->through, 2);
}

static void batches_that_cannot_be_sent_are_kept(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  cluster->worlds[FIRST]->send_error = TROUPE_EMFILE;
  knock(cluster, 3, "9.9.9.9");
  fake_cluster_settle(cluster);
  assert_int_equal(fake_counters(cluster->worlds[SECOND])->sockets, 0);
  cluster->worlds[FIRST]->send_error = 0;
  fake_pass(cluster->worlds[FIRST], 10);
  fake_cluster_settle(cluster);
  assert_int_equal(fake_counters(cluster->worlds[SECOND])->sockets, 1);
  cluster->worlds[SECOND]->send_error = TROUPE_EMFILE;
  say(cluster, SECOND, 0, TRP_KIND(COMMAND_DESTROY), connection(SECOND, 2));
  fake_cluster_settle(cluster);
  cluster->worlds[SECOND]->send_error = 0;
  fake_pass(cluster->worlds[SECOND], 10);
  forget_told(cluster);
  ask(cluster, 0, 1);
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[FIRST], 0, "s1 counted 2\n");
}

static void what_could_not_be_sent_is_closed_in_the_end(void **state) {
  (void)state;
  fake_world_t *world = fake_world_new(1, FAKE_IO_ACTORS);
  fake_hello(world, 0, 0);
  fake_do(world, 0);
  fake_listen_on(world, 0, fake_id(0, 1), "127.0.0.1", 80);
  fake_do(world, 0);
  world->send_error = TROUPE_EMFILE;
  fake_knock(fake_handle(&world->network, 0), 3, "9.9.9.9");
  fake_turn(world);
  assert_int_equal(fake_parted(), 2);
  fake_world_free(world);
  assert_int_equal(fake_parted(), 0);
}

// ---- Actors ----

static void an_end_is_told_once_when_all_have_closed_what_the_actor_owned(void **state) {
  fake_cluster_t *cluster = *state;
  for (int before = 0; before < FAKE_IO_ACTORS; before++) {
    int actor = 2 + before;
    char told[64];
    fake_cluster_hello(cluster, actor, 0);
    say(cluster, FIRST, 0, TRP_KIND(COMMAND_WATCH), fake_actor_id(actor));
    say(cluster, FIRST, 1, TRP_KIND(COMMAND_PIPE), fake_actor_id(actor));
    // However many of the others have told it before the first one hears it from the actor.
    for (int i = 0; i < before; i++) {
      fake_cluster_bye(cluster, actor, -5, THIRD - i);
    }
    fake_cluster_settle(cluster);
    fake_cluster_bye(cluster, actor, -5, FIRST);
    say(cluster, FIRST, 1, TRP_KIND(COMMAND_WATCH), fake_actor_id(actor));
    for (int i = before; i < FAKE_IO_ACTORS - 1; i++) {
      fake_cluster_settle(cluster);
      fake_expect(cluster->worlds[FIRST], 0, "");
      fake_cluster_bye(cluster, actor, -5, THIRD - i);
    }
    fake_cluster_settle(cluster);
    snprintf(told, sizeof told, "a%d down -5 1\n", FAKE_FIRST_ACTOR + actor);
    fake_expect(cluster->worlds[FIRST], 0, told);
    snprintf(told, sizeof told,
             before == FAKE_IO_ACTORS - 1 ? "a%d gone\na%d down 0 3\n"
                                          : "a%d gone\na%d down -5 1\n",
             FAKE_FIRST_ACTOR + actor, FAKE_FIRST_ACTOR + actor);
    fake_expect(cluster->worlds[FIRST], 1, told);
    for (int i = 0; i < FAKE_IO_ACTORS; i++) {
      assert_int_equal(fake_counters(cluster->worlds[i])->actors, 2);
    }
  }
}

static void what_no_io_actor_said_is_refused_from_others(void **state) {
  fake_cluster_t *cluster = *state;
  say(cluster, SECOND, 0, TRP_KIND(COMMAND_LOST), connection(SECOND, 1));
  say(cluster, FIRST, 0, TRP_KIND(COMMAND_ENDED), fake_actor_id(1));
  assert_int_equal(fake_counters(cluster->worlds[SECOND])->not_owner, 1);
  assert_int_equal(fake_counters(cluster->worlds[FIRST])->not_owner, 1);
}

// ---- Descriptors ----

static void one_that_is_closed_elsewhere_ends_the_parking(void **state) {
  fake_cluster_t *cluster = *state;
  listen_at(cluster, 0, 1, 80);
  trp_handle_t *other = fake_connected(cluster->worlds[SECOND], 1, 1);
  (void)other;
  cluster->worlds[FIRST]->network.descriptors = 0;
  forget_told(cluster);
  knock(cluster, 1, "9.9.9.9");
  fake_expect(cluster->worlds[FIRST], 0, "s1 parked accept EMFILE 127.0.0.1:80\n");
  fake_cluster_settle(cluster);
  cluster->worlds[FIRST]->network.descriptors = 1; // the one that goes now
  say(cluster, SECOND, 1, TRP_KIND(COMMAND_DESTROY), fake_id(1, 1));
  fake_cluster_settle(cluster);
  fake_expect(cluster->worlds[FIRST], 0, "s1 unparked\ns1 connection c1\n");
}

// ---- At random ----

typedef struct {
  fake_cluster_t *cluster;
  trp_test_random_t random;
  unsigned told[FAKE_IO_ACTORS]; // connections, and
  unsigned closed[FAKE_IO_ACTORS];
  uint64_t open[512]; // sockets that the actor knows of
  size_t open_count;
  size_t most;
} chaos_t;

static chaos_t chaos;

static void note(void *context, int actor, const trp_message_t *message) {
  (void)context;
  (void)actor;
  if (message->kind == TRP_KIND(EVENT_CONNECTION)) {
    for (size_t i = 0; i < chaos.open_count; i++) {
      assert_int_not_equal(chaos.open[i], message->connection->socket);
    }
    assert_true(chaos.open_count < 512);
    chaos.open[chaos.open_count++] = message->connection->socket;
    chaos.most = chaos.open_count > chaos.most ? chaos.open_count : chaos.most;
    chaos.told[trp_id_io(message->connection->socket) - 1]++;
  } else if (message->kind == TRP_KIND(EVENT_CLOSE) && trp_id_creator(message->subject) == 1) {
    for (size_t i = 0; i < chaos.open_count; i++) {
      if (chaos.open[i] == message->subject) {
        chaos.open[i] = chaos.open[--chaos.open_count];
        chaos.closed[trp_id_io(message->subject) - 1]++;
        return;
      }
    }
    fail_msg("a socket that nobody was told of, or closed twice");
  }
}

static void close_any(fake_cluster_t *cluster) {
  if (chaos.open_count > 0) {
    uint64_t id = chaos.open[trp_test_random_below(&chaos.random, chaos.open_count)];
    fake_world_t *home = fake_cluster_home(cluster, id);
    fake_say(home, 0, TRP_KIND(COMMAND_DESTROY), id);
    fake_do(home, 0);
  }
}

static void whatever_the_order_no_connection_is_lost_told_twice_or_over_the_limit(void **state) {
  enum { LIMIT = 7, STEPS = 4000 };
  fake_cluster_t *cluster = *state;
  chaos = (chaos_t){.cluster = cluster};
  trp_test_random_start(&chaos.random, 1);
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    cluster->worlds[i]->on_event = note;
  }
  listen_at(cluster, 0, 1, 80);
  set(cluster, 0, 1, LIMIT, 0);
  uint64_t knocked = 0;
  for (int step = 0; step < STEPS; step++) {
    int from = (int)trp_test_random_below(&chaos.random, FAKE_IO_ACTORS);
    int to = (int)trp_test_random_below(&chaos.random, FAKE_IO_ACTORS);
    switch (trp_test_random_below(&chaos.random, 8)) {
    case 0:
      knock(cluster, 1, "9.9.9.9");
      knocked++;
      break;
    case 1:
      close_any(cluster);
      break;
    case 2:
      fake_turn(cluster->worlds[from]);
      break;
    default:
      fake_cluster_move(cluster, from, to);
      break;
    }
    // It dispatches at once what it is told.
    fake_say(cluster->worlds[FIRST], 0, TRP_KIND(COMMAND_CREDIT), fake_id(0, 1))
        ->through = chaos.told[0] + chaos.told[1] + chaos.told[2];
    fake_do(cluster->worlds[FIRST], 0);
    assert_true(chaos.open_count <= LIMIT);
    forget_told(cluster);
  }
  for (int i = 0; i < 100; i++) {
    fake_cluster_settle(cluster);
    fake_turn(cluster->worlds[FIRST]);
  }
  assert_int_equal(chaos.most, LIMIT);
  uint64_t told = 0;
  uint64_t sockets = 0;
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    assert_true(chaos.told[i] > 10);
    told += chaos.told[i];
    sockets += fake_counters(cluster->worlds[i])->sockets;
    cluster->worlds[i]->on_event = NULL;
  }
  assert_int_equal(told + fake_counters(cluster->worlds[FIRST])->dropped, knocked);
  assert_int_equal(sockets, chaos.open_count);
  forget_told(cluster);
  ask(cluster, 0, 1);
  fake_cluster_settle(cluster);
  char expected[32];
  snprintf(expected, sizeof expected, "s1 counted %zu\n", chaos.open_count);
  fake_expect(cluster->worlds[FIRST], 0, expected);
}

#define in_a_cluster(function) trp_test_with(function, fake_cluster_setup, fake_cluster_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      in_a_cluster(each_serves_a_share_and_tells_of_it_itself),
      in_a_cluster(who_has_fewer_gets_the_next),
      in_a_cluster(what_the_server_wants_of_its_sockets_goes_along),
      in_a_cluster(an_actor_that_dispatches_nothing_stops_the_accepting_wherever_they_live),
      in_a_cluster(a_count_waits_for_what_is_gone_already),
      in_a_cluster(counts_that_are_asked_meanwhile_are_answered_in_their_order),
      in_a_cluster(nobody_is_turned_away_for_one_who_is_gone),
      in_a_cluster(nor_for_one_from_the_same_address),
      in_a_cluster(those_in_doubt_are_closed_with_the_server),
      in_a_cluster(a_server_is_closed_when_the_last_of_its_connections_is_gone_elsewhere),
      in_a_cluster(a_connection_for_an_actor_that_ended_meanwhile_is_closed),
      in_a_cluster(a_server_whose_actor_ended_does_not_count_while_its_connections_end),
      in_a_cluster(a_connection_that_cannot_be_taken_was_never_there),
      in_a_cluster(batches_that_cannot_be_sent_are_kept),
      trp_test(what_could_not_be_sent_is_closed_in_the_end),
      in_a_cluster(an_end_is_told_once_when_all_have_closed_what_the_actor_owned),
      in_a_cluster(what_no_io_actor_said_is_refused_from_others),
      in_a_cluster(one_that_is_closed_elsewhere_ends_the_parking),
      in_a_cluster(whatever_the_order_no_connection_is_lost_told_twice_or_over_the_limit),
  };
  return TRP_RUN_TESTS("dealing", tests);
}
