// A libuv loop with the libuv transport in it and nothing else: what the tests of actors/io stand
// on. The functions that wait return false when the time is over.
#ifndef TRP_TESTS_IO_WORLD_H_INCLUDED
#define TRP_TESTS_IO_WORLD_H_INCLUDED

#include <signal.h>
#include <string.h>
#include <uv.h>

#include "actors/io/transport.h"
#include "tests/harness/harness.h"

enum { WORLD_ADDRESSES = 32, WORLD_LIMIT_MS = 5000 };

typedef struct world {
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_timer_t guard;
  bool time_is_over;
  trp_uv_transport_t *uv;
  trp_transport_t *transport;
  const trp_transport_ops_t *ops;
  int turns;
  int timers;
  int64_t timer_ns;
  int resolved;
} world_t;

// What is told of a handle. Set as its owner; everything that comes is counted.
typedef struct seen {
  world_t *world;
  trp_handle_t *handle;
  int count;
  unsigned last, all;
  void (*react)(struct seen *seen, unsigned mask);
  void *context;
} seen_t;

// What a look-up found.
typedef struct found {
  int count;
  int error;
  size_t address_count;
  troupe_address_t addresses[WORLD_ADDRESSES];
} found_t;

static inline void world_ready(void *context, void *owner, unsigned mask) {
  (void)context;
  seen_t *seen = owner;
  seen->count++;
  seen->last = mask;
  seen->all |= mask;
  if (seen->react != NULL) {
    seen->react(seen, mask);
  }
}

static inline void world_resolved(void *context, void *owner, const trp_resolved_t *result) {
  world_t *world = context;
  found_t *found = owner;
  world->resolved++;
  found->count++;
  found->error = result->error;
  found->address_count = result->count < WORLD_ADDRESSES ? result->count : WORLD_ADDRESSES;
  memcpy(found->addresses, result->addresses, found->address_count * sizeof(troupe_address_t));
}

static inline void world_timer(void *context) {
  world_t *world = context;
  world->timers++;
  world->timer_ns = world->ops->now(world->transport);
  uv_stop(&world->loop); // timers come before the wait; run_until() need not see it out
}

static inline void world_prepare(uv_prepare_t *prepare) {
  world_t *world = prepare->data;
  world->turns++;
  trp_uv_transport_settle(world->uv);
}

static inline void world_guard(uv_timer_t *guard) {
  world_t *world = guard->data;
  world->time_is_over = true;
  uv_stop(&world->loop); // as above: on a slow machine it is due before the loop first waits
}

static inline void open_world(world_t *world) {
  // As in the I/O actor's thread.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
  memset(world, 0, sizeof *world);
  assert_int_equal(0, uv_loop_init(&world->loop));
  assert_int_equal(0, trp_uv_transport_new(&world->loop, &world->uv));
  world->transport = trp_uv_transport_base(world->uv);
  world->ops = world->transport->ops;
  world->transport->context = world;
  world->transport->callbacks = (trp_transport_callbacks_t){
      .ready = world_ready, .resolved = world_resolved, .timer = world_timer};
  uv_prepare_init(&world->loop, &world->prepare);
  world->prepare.data = world;
  uv_prepare_start(&world->prepare, world_prepare);
  uv_timer_init(&world->loop, &world->guard);
  world->guard.data = world;
}

static inline int64_t world_deadline(int after_ms) {
  return (int64_t)uv_hrtime() + (int64_t)after_ms * trp_test_slow() * 1000000;
}

static inline void close_world(world_t *world) {
  assert_int_equal(0, trp_uv_transport_close(world->uv, world_deadline(WORLD_LIMIT_MS)));
  uv_close((uv_handle_t *)&world->prepare, NULL);
  uv_close((uv_handle_t *)&world->guard, NULL);
  uv_run(&world->loop, UV_RUN_DEFAULT);
  assert_int_equal(0, uv_loop_close(&world->loop));
  trp_uv_transport_free(&world->uv);
}

// Runs the loop until `*count` is at least `wanted`.
static inline bool run_until(world_t *world, const int *count, int wanted) {
  world->time_is_over = false;
  uv_update_time(&world->loop);
  uv_timer_start(&world->guard, world_guard, (uint64_t)WORLD_LIMIT_MS * (uint64_t)trp_test_slow(),
                 0);
  while (*count < wanted && !world->time_is_over) {
    uv_run(&world->loop, UV_RUN_ONCE);
  }
  uv_timer_stop(&world->guard);
  return *count >= wanted;
}

// Lets the loop do for a while what it wants to. Returns how many turns that took: a loop that
// spins takes thousands.
static inline int run_for(world_t *world, int time_ms) {
  int turns = world->turns;
  world->time_is_over = false;
  uv_update_time(&world->loop);
  uv_timer_start(&world->guard, world_guard, (uint64_t)time_ms, 0);
  while (!world->time_is_over) {
    uv_run(&world->loop, UV_RUN_ONCE);
  }
  return world->turns - turns;
}

#endif
