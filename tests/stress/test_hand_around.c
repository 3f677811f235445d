// Connections that are handed around among four actors at random, while bytes flow both ways:
// what arrives on either side is whole and in order. Then the same with peers that close and
// reset, and with actors that die.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/stress.h"

enum {
  ACTORS = 4,
  CONNECTIONS = 6,
  HOPS = 1000,
  ROUGH_HOPS = 40,
  ROUGH_CONNECTIONS = 150,
  DEATHS = 20,
  PIECE_MAX = 3000,
  SENT_MAX = 2 * 1024 * 1024,
};

// What goes along with a connection.
typedef struct {
  uint32_t hops;
  uint64_t received, sent;
} trip_t;

typedef struct play play_t;

// Which of the actors one is.
typedef struct {
  play_t *play;
  unsigned index;
} seat_t;

struct play {
  test_service_t service;
  bool rough; // peers and actors do what they like
  uint32_t hops;
  seat_t seats[ACTORS];
  atomic_ullong ids[ACTORS];
  atomic_uint accepted, handed, given, kept, closed, wrong;
  atomic_uint left;       // sockets that actors had at their end
  atomic_ullong ended[8]; // that connections had sent when their last owner ended them
  atomic_uint ended_count;
};

// One connection in one actor.
typedef struct rider {
  struct rider *next, *previous; // of those in this actor
  play_t *play;
  trip_t trip;
  unsigned patience; // data events before it goes on
  bool ends, peer_ended;
} rider_t;

// Of this actor.
static _Thread_local rider_t *riders;
static _Thread_local unsigned seat;

static void go_on(troupe_socket_t socket, rider_t *rider);

static uint64_t below(uint64_t bound) {
  return troupe_random() % bound;
}

static void expect(play_t *play, bool holds) {
  atomic_fetch_add(&play->wrong, !holds);
}

static void leave(rider_t *rider) {
  if (rider->previous != NULL) {
    rider->previous->next = rider->next;
  } else {
    riders = rider->next;
  }
  if (rider->next != NULL) {
    rider->next->previous = rider->previous;
  }
  free(rider);
}

static void on_given(troupe_socket_t socket, int error, void *context) {
  rider_t *rider = context;
  if (error == 0) {
    atomic_fetch_add(&rider->play->given, 1);
    leave(rider);
    return;
  }
  atomic_fetch_add(&rider->play->kept, 1);
  expect(rider->play, rider->play->rough);
  if (error == TROUPE_ENOACTOR) { // else the connection is over, which on_close tells
    rider->trip.hops--;
    rider->patience = 0;
    troupe_socket_resume(socket);
    go_on(socket, rider);
  }
}

static void write_piece(troupe_socket_t socket, rider_t *rider) {
  uint8_t bytes[PIECE_MAX];
  size_t length = 1 + below(PIECE_MAX - 1);
  stress_fill(bytes, length, rider->trip.sent);
  int result = troupe_socket_write(socket, bytes, length, NULL, NULL);
  expect(rider->play, result >= 0);
  rider->trip.sent += length;
}

// To somebody else.
static void give(troupe_socket_t socket, rider_t *rider) {
  play_t *play = rider->play;
  unsigned to = (unsigned)below(ACTORS);
  while (to == seat) {
    to = (unsigned)below(ACTORS);
  }
  rider->trip.hops++;
  if (below(4) == 0) {
    troupe_socket_pause(socket);
  }
  troupe_actor_t actor = {.id = atomic_load(&play->ids[to])};
  int error = troupe_socket_give(socket, actor, &rider->trip, sizeof rider->trip, on_given, rider);
  expect(play, error == 0 || (play->rough && error == TROUPE_ENOTCONN));
  expect(play, error != 0 || troupe_socket_write(socket, "", 1, NULL, NULL) == TROUPE_EGIVING);
}

static void end_it(troupe_socket_t socket, rider_t *rider) {
  play_t *play = rider->play;
  if (!rider->ends && rider->peer_ended) {
    rider->ends = true;
    unsigned at = atomic_fetch_add(&play->ended_count, 1);
    if (at < sizeof play->ended / sizeof play->ended[0]) {
      atomic_store(&play->ended[at], rider->trip.sent);
    }
    expect(play, troupe_socket_end(socket, NULL, NULL) == 0);
  }
}

static void go_on(troupe_socket_t socket, rider_t *rider) {
  if (rider->peer_ended && rider->trip.hops >= rider->play->hops) {
    end_it(socket, rider);
    return;
  }
  if (rider->trip.hops < rider->play->hops && rider->patience-- == 0) {
    if (below(2) == 0) {
      write_piece(socket, rider);
    }
    give(socket, rider);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  rider_t *rider = context;
  size_t length = troupe_chunk_length(chunk);
  expect(rider->play, stress_is_filled(troupe_chunk_bytes(chunk), length, rider->trip.received));
  rider->trip.received += length;
  go_on(socket, rider);
}

static void on_end(troupe_socket_t socket, void *context) {
  rider_t *rider = context;
  rider->peer_ended = true;
  rider->patience = 0;
  go_on(socket, rider);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  rider_t *rider = context;
  (void)socket;
  expect(rider->play, !had_error || rider->play->rough);
  atomic_fetch_add(&rider->play->closed, 1);
  leave(rider);
}

static void ride(play_t *play, troupe_socket_t socket, const trip_t *trip) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_end = on_end, .on_close = on_close};
  rider_t *rider = calloc(1, sizeof *rider);
  if (rider == NULL) {
    abort();
  }
  rider->next = riders;
  if (riders != NULL) {
    riders->previous = rider;
  }
  riders = rider;
  rider->play = play;
  rider->trip = *trip;
  rider->patience = (unsigned)below(3);
  troupe_socket_set_handlers(socket, &handlers, rider);
  troupe_socket_resume(socket);
  if (rider->patience == 0) {
    go_on(socket, rider);
  }
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  (void)server;
  play_t *play = context;
  atomic_fetch_add(&play->accepted, 1);
  ride(play, socket, &(trip_t){0});
}

static void on_handed(troupe_socket_t socket, troupe_actor_t from, const troupe_chunk_t *message,
                      void *context) {
  (void)from;
  play_t *play = context;
  trip_t trip;
  expect(play, troupe_chunk_length(message) == sizeof trip);
  memcpy(&trip, troupe_chunk_bytes(message), sizeof trip);
  atomic_fetch_add(&play->handed, 1);
  expect(play, troupe_socket_bytes_written(socket) == trip.sent);
  ride(play, socket, &trip);
}

// In the rough test an actor dies of a message.
static void on_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  (void)message;
  (void)context;
  troupe_actor_end(-1);
}

static int riding_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  const seat_t *mine = argument;
  play_t *play = mine->play;
  troupe_server_options_t options = {.allow_half_open = true};
  seat = mine->index;
  int error = troupe_actor_on_handed(on_handed, play);
  if (error == 0) {
    error = troupe_actor_on_message(on_message, play);
  }
  if (error == 0 && seat == 0) {
    error = stress_listen(&play->service, &options, &handlers, play);
  }
  int status = error != 0 ? error : troupe_actor_run();
  while (riders != NULL) {
    atomic_fetch_add(&play->left, 1);
    leave(riders);
  }
  return status;
}

// The other ends, all in one thread.
typedef struct {
  int fd;
  uint64_t sent, received, limit;
  bool ended; // its own side
  bool resets, closes;
} peer_t;

static void peer_open(play_t *play, peer_t *peer, trp_test_random_t *random) {
  *peer = (peer_t){.fd = test_service_connect(&play->service), .limit = SENT_MAX};
  if (play->rough) {
    peer->limit = 1 + trp_test_random_below(random, 200000);
    peer->resets = trp_test_random_below(random, 3) == 0;
    peer->closes = !peer->resets && trp_test_random_below(random, 3) == 0;
  }
}

// False: it is over.
static bool peer_goes_on(play_t *play, peer_t *peer, trp_test_random_t *random) {
  uint8_t bytes[64 * 1024];
  ssize_t length = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (length > 0) {
    expect(play, stress_is_filled(bytes, (size_t)length, peer->received));
    peer->received += (uint64_t)length;
  } else if (length == 0 || errno != EAGAIN) {
    return false;
  }
  if (peer->sent < peer->limit) {
    uint64_t most = 1 + trp_test_random_below(random, 4000);
    most = most < peer->limit - peer->sent ? most : peer->limit - peer->sent;
    int64_t sent = stress_send_some(peer->fd, peer->sent, most);
    if (sent < 0) {
      return false;
    }
    peer->sent += (uint64_t)sent;
  } else if (!peer->ended) {
    if (peer->resets) {
      trp_test_reset(peer->fd);
      peer->fd = -1;
      return false;
    }
    peer->ended = true;
    trp_test_end(peer->fd);
    return !peer->closes;
  }
  return true;
}

static void wait_for_peers(peer_t *peers, size_t count) {
  struct pollfd polls[CONNECTIONS];
  for (size_t i = 0; i < count; i++) {
    short events = peers[i].ended ? POLLIN : POLLIN | POLLOUT;
    polls[i] = (struct pollfd){.fd = peers[i].fd, .events = events};
  }
  poll(polls, count, 50);
}

static void stop_all(play_t *play) {
  assert_int_equal(troupe_system_stop(play->service.system, 0), 0);
  assert_int_equal(
      troupe_system_wait(play->service.system, STRESS_LIMIT_MS * trp_test_slow(), NULL, 0, NULL),
      0);
  test_system_wait_until_empty(play->service.system);
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(play->service.system, &counters), 0);
  assert_int_equal(counters.not_owner, 0);
  assert_int_equal(counters.unknown_kind, 0);
  assert_int_equal(counters.stale_epoch, 0);
  assert_int_equal(troupe_system_free(&play->service.system), 0);
}

static void seat_actor(play_t *play, unsigned index) {
  play->seats[index] = (seat_t){.play = play, .index = index};
  troupe_spawn_options_t options = {
      .name = "rider", .main = riding_actor, .argument = &play->seats[index]};
  troupe_actor_t actor;
  assert_int_equal(troupe_spawn(play->service.system, &options, &actor), 0);
  atomic_store(&play->ids[index], actor.id);
}

static void start(play_t *play, unsigned io_actors) {
  troupe_system_options_t options = {.io_threads = io_actors};
  assert_int_equal(troupe_system_new(&options, &play->service.system), 0);
  for (unsigned i = 1; i <= ACTORS; i++) { // the one that listens comes last
    seat_actor(play, i % ACTORS);
  }
}

static void hand_around(unsigned io_actors) {
  play_t play = {.hops = HOPS};
  trp_test_random_t random;
  peer_t peers[CONNECTIONS];
  trp_test_random_start(&random, 1);
  start(&play, io_actors);
  for (int i = 0; i < CONNECTIONS; i++) {
    peer_open(&play, &peers[i], &random);
  }
  for (int open = CONNECTIONS; open > 0;) {
    wait_for_peers(peers, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
      if (peers[i].fd >= 0 && !peer_goes_on(&play, &peers[i], &random)) {
        assert_true(peers[i].ended);
        trp_test_close(peers[i].fd);
        peers[i].fd = -1;
        open--;
      }
    }
  }
  stop_all(&play);
  assert_int_equal(atomic_load(&play.wrong), 0);
  assert_int_equal(atomic_load(&play.handed), CONNECTIONS * HOPS);
  assert_int_equal(atomic_load(&play.given), CONNECTIONS * HOPS);
  assert_int_equal(atomic_load(&play.kept), 0);
  assert_int_equal(atomic_load(&play.closed), CONNECTIONS);
  assert_int_equal(atomic_load(&play.ended_count), CONNECTIONS);
  uint64_t sent = 0, received = 0;
  for (int i = 0; i < CONNECTIONS; i++) {
    sent += atomic_load(&play.ended[i]);
    received += peers[i].received;
  }
  assert_int_equal(received, sent);
}

static void bytes_arrive_in_order_over_a_thousand_hand_offs(void **state) {
  (void)state;
  stress_with_io_actors(hand_around);
}

// An actor other than the one that listens ends, and another one takes its place.
static void replace_one(play_t *play, trp_test_random_t *random) {
  unsigned index = 1 + (unsigned)trp_test_random_below(random, ACTORS - 1);
  troupe_system_t *system = play->service.system;
  troupe_actor_t old = {.id = atomic_load(&play->ids[index])};
  int status = 0;
  assert_int_equal(troupe_post(system, old, "die", 3), 0);
  assert_int_equal(troupe_actor_join(system, old, STRESS_LIMIT_MS * trp_test_slow(), &status), 0);
  assert_int_equal(status, -1);
  seat_actor(play, index);
}

static void be_rough(unsigned io_actors) {
  play_t play = {.rough = true, .hops = ROUGH_HOPS};
  trp_test_random_t random;
  peer_t peers[CONNECTIONS];
  trp_test_random_start(&random, 2);
  start(&play, io_actors);
  int opened = 0, open = 0, deaths = 0;
  for (; opened < CONNECTIONS; opened++, open++) {
    peer_open(&play, &peers[opened], &random);
  }
  for (unsigned round = 0; open > 0; round++) {
    wait_for_peers(peers, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
      if (peers[i].fd < 0 || peer_goes_on(&play, &peers[i], &random)) {
        continue;
      }
      if (peers[i].fd >= 0) {
        trp_test_close(peers[i].fd);
      }
      peers[i].fd = -1;
      open--;
      if (opened < ROUGH_CONNECTIONS) {
        peer_open(&play, &peers[i], &random);
        opened++;
        open++;
      }
      if (deaths < DEATHS && opened % 6 == 0) {
        replace_one(&play, &random);
        deaths++;
      }
    }
  }
  assert_int_equal(deaths, DEATHS);
  stop_all(&play);
  assert_int_equal(atomic_load(&play.wrong), 0);
  assert_int_equal(atomic_load(&play.accepted), ROUGH_CONNECTIONS);
  assert_true(atomic_load(&play.handed) > ROUGH_CONNECTIONS);
  // Whoever had one was told its end once, or ended before; who died on the way got none.
  assert_int_equal(atomic_load(&play.accepted) + atomic_load(&play.handed),
                   atomic_load(&play.given) + atomic_load(&play.closed) + atomic_load(&play.left));
  assert_true(atomic_load(&play.given) + atomic_load(&play.left) >= atomic_load(&play.handed));
}

static void closes_resets_and_deaths_lose_nobody_elses_bytes(void **state) {
  (void)state;
  stress_with_io_actors(be_rough);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(bytes_arrive_in_order_over_a_thousand_hand_offs),
      trp_test(closes_resets_and_deaths_lose_nobody_elses_bytes),
  };
  return TRP_RUN_TESTS_IN_GROUP("hand_around", tests, stress_set_up, NULL);
}
