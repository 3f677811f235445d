// All of actors/net over the fake network, with actors that the test plays: it says commands in
// their names and reads what they are told as lines of text.
//
// Ids in the text: s1, s2, … are those that an actor made itself, c1, c2, … those of accepted
// connections, a64, a65, … actors.
#ifndef TRP_TESTS_FAKE_WORLD_H_INCLUDED
#define TRP_TESTS_FAKE_WORLD_H_INCLUDED

#include "actors/net/net.h"
#include "core/message/credit.h"
#include "core/message/id.h"
#include "tests/fake/network.h"

enum { FAKE_ACTORS_MAX = 8, FAKE_FIRST_ACTOR = 64, FAKE_TEXT_MAX = 64 * 1024 };

typedef struct fake_event {
  const trp_message_t *message;
  const uint8_t *payload;
} fake_event_t;

typedef struct fake_actor {
  uint64_t id;
  trp_out_t out;
  char text[FAKE_TEXT_MAX]; // what it was told and nobody has read yet, a line an event
  size_t text_length;
  uint64_t data_bytes, data_cost; // of all data events so far
  uint64_t next_sequence;         // that its next event must have
} fake_actor_t;

typedef struct fake_world {
  uint64_t self; // the I/O actor
  fake_network_t network;
  trp_inbox_t inbox;
  trp_pool_t *pool;
  trp_net_t *net;
  fake_actor_t actors[FAKE_ACTORS_MAX];
  trp_in_t **kept; // every batch that was sent: what events point to stays
  size_t kept_count;
  int send_error;  // of the inbox, while it is set
  int reach_error; // likewise
  void (*on_event)(void *context, int actor, const trp_message_t *message); // NULL is fine
  void *context;
  // Takes a batch for another I/O actor; it stays the world's. NULL: there is no other.
  void (*on_sibling)(void *context, struct fake_world *world, uint64_t to, trp_in_t *in);
  uint64_t forgotten; // the last id that inbox.forget() was called with
} fake_world_t;

/// One of several I/O actors; nobody has said hello.
fake_world_t *fake_world_new(unsigned self, unsigned io_actors);
/// Fails the test if something is left.
void fake_world_free(fake_world_t *world);

/// For cmocka: *state is the world; the actors 0 and 1 have said hello.
int fake_world_setup(void **state);
int fake_world_teardown(void **state); // everybody says bye; nothing may be left

/// A command in the k-th actor's name, to be filled; it is executed by fake_do(), with all that the
/// actor said since the last one.
trp_message_t *fake_say(fake_world_t *world, int actor, Troupe__Wire__Kind kind, uint64_t subject);
void fake_do(fake_world_t *world, int actor); // executes and ends the turn

// The most usual ones, without fake_do().
void fake_hello(fake_world_t *world, int actor, uint64_t group);
void fake_bye(fake_world_t *world, int actor, int status);
void fake_write(fake_world_t *world, int actor, uint64_t id, const char *text, uint32_t flags);
void fake_connect(fake_world_t *world, int actor, uint64_t id, const char *ip, int port);
Troupe__Wire__Listen *fake_listen_on(fake_world_t *world, int actor, uint64_t id, const char *ip,
                                     int port); // ip NULL: anywhere

/// Memory of the batch that the actor fills.
void *fake_take(fake_world_t *world, int actor, size_t size);
Troupe__Wire__Address *fake_wire(fake_world_t *world, int actor, const char *ip, int port);

/// A turn of the loop: what is ready, then the flush.
void fake_turn(fake_world_t *world);
void fake_pass(fake_world_t *world, int64_t ms);

/// Asserts that the actor was told exactly this since the last time: lines, each ending with \n.
#define fake_expect(world, actor, text) fake_expect_at(world, actor, text, __FILE__, __LINE__)
void fake_expect_at(fake_world_t *world, int actor, const char *text, const char *file, int line);

/// The last event of this kind that anybody was told; fails if there is none.
fake_event_t fake_last(fake_world_t *world, Troupe__Wire__Kind kind);

uint64_t fake_actor_id(int actor);
uint64_t fake_id(int actor, unsigned counter); // s1, s2, … of this actor
uint64_t fake_connection(unsigned counter);    // c1, c2, …, of the I/O actor 1

/// A connected socket s`counter` of the actor, with nothing left to be read of it.
trp_handle_t *fake_connected(fake_world_t *world, int actor, unsigned counter);

const trp_net_counters_t *fake_counters(fake_world_t *world);

#endif
