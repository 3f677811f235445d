#include "tests/fake/cluster.h"

#include <stdlib.h>

#include "tests/harness/harness.h"

static void queue(void *context, fake_world_t *world, uint64_t to, trp_in_t *in) {
  fake_cluster_t *cluster = context;
  size_t from = trp_id_creator(world->self) - 1;
  fake_pipe_t *pipe = &cluster->pipes[from][trp_id_creator(to) - 1];
  assert_true(pipe->count < FAKE_PIPE_MAX);
  pipe->waiting[pipe->count++] = in;
}

int fake_cluster_setup(void **state) {
  fake_cluster_t *cluster = calloc(1, sizeof *cluster);
  assert_non_null(cluster);
  for (unsigned i = 0; i < FAKE_IO_ACTORS; i++) {
    cluster->worlds[i] = fake_world_new(i + 1, FAKE_IO_ACTORS);
    cluster->worlds[i]->on_sibling = queue;
    cluster->worlds[i]->context = cluster;
  }
  for (int actor = 0; actor < 2; actor++) {
    fake_cluster_hello(cluster, actor, 0);
  }
  *state = cluster;
  return 0;
}

int fake_cluster_teardown(void **state) {
  fake_cluster_t *cluster = *state;
  for (int actor = 0; actor < 2; actor++) {
    for (int world = FAKE_IO_ACTORS - 1; world >= 0; world--) {
      fake_cluster_bye(cluster, actor, 0, world);
    }
  }
  fake_cluster_settle(cluster);
  assert_int_equal(fake_parted(), 0);
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    fake_turn(cluster->worlds[i]);
    assert_int_equal(fake_open_handles(&cluster->worlds[i]->network), 0);
  }
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    fake_world_free(cluster->worlds[i]);
  }
  free(cluster);
  return 0;
}

void fake_cluster_hello(fake_cluster_t *cluster, int actor, uint64_t group) {
  for (int i = 0; i < FAKE_IO_ACTORS; i++) {
    fake_hello(cluster->worlds[i], actor, group);
    fake_do(cluster->worlds[i], actor);
  }
}

void fake_cluster_bye(fake_cluster_t *cluster, int actor, int status, int world) {
  trp_out_t *out = &cluster->worlds[world]->actors[actor].out;
  fake_bye(cluster->worlds[world], actor, status);
  if (world == 0) {
    out->messages[out->count - 1]->bye->others = FAKE_IO_ACTORS - 1;
  }
  fake_do(cluster->worlds[world], actor);
}

bool fake_cluster_move(fake_cluster_t *cluster, int from, int to) {
  fake_pipe_t *pipe = &cluster->pipes[from][to];
  if (pipe->taken == pipe->count) {
    return false;
  }
  trp_in_t *in = pipe->waiting[pipe->taken++];
  if (pipe->taken == pipe->count) {
    pipe->taken = pipe->count = 0;
  }
  trp_net_execute(cluster->worlds[to]->net, in);
  trp_net_flush(cluster->worlds[to]->net);
  return true;
}

void fake_cluster_settle(fake_cluster_t *cluster) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (int from = 0; from < FAKE_IO_ACTORS; from++) {
      for (int to = 0; to < FAKE_IO_ACTORS; to++) {
        while (fake_cluster_move(cluster, from, to)) {
          moved = true;
        }
      }
    }
  }
}

fake_world_t *fake_cluster_home(fake_cluster_t *cluster, uint64_t socket) {
  return cluster->worlds[trp_id_io(socket) - 1];
}
