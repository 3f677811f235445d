// Three I/O actors over fake networks, with pipes between them on which nothing moves before the test
// says so. The user actors are the same in all of them, as in a system.
#ifndef TRP_TESTS_FAKE_CLUSTER_H_INCLUDED
#define TRP_TESTS_FAKE_CLUSTER_H_INCLUDED

#include "tests/fake/world.h"

enum { FAKE_IO_ACTORS = 3, FAKE_PIPE_MAX = 4096 };

typedef struct fake_pipe {
  trp_in_t *waiting[FAKE_PIPE_MAX]; // [taken, count)
  size_t taken, count;
} fake_pipe_t;

typedef struct fake_cluster {
  fake_world_t *worlds[FAKE_IO_ACTORS];
  fake_pipe_t pipes[FAKE_IO_ACTORS][FAKE_IO_ACTORS]; // [from][to]
} fake_cluster_t;

/// For cmocka: *state is the cluster; the actors 0 and 1 have said hello to all.
int fake_cluster_setup(void **state);
int fake_cluster_teardown(void **state); // everybody says bye; nothing may be left

void fake_cluster_hello(fake_cluster_t *cluster, int actor, uint64_t group);
/// Says bye to one of them; the first has to hear of it last.
void fake_cluster_bye(fake_cluster_t *cluster, int actor, int status, int world);

/// The oldest batch of one pipe arrives. False: there is none.
bool fake_cluster_move(fake_cluster_t *cluster, int from, int to);
/// All that is on its way arrives, and what follows from that, too.
void fake_cluster_settle(fake_cluster_t *cluster);

/// The world of the I/O actor that serves a socket.
fake_world_t *fake_cluster_home(fake_cluster_t *cluster, uint64_t socket);

#endif
