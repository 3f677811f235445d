// Look-ups on threads of their own.

#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>

#include "actors/io/resolver.h"
#include "core/net/hints.h"
#include "tests/io/world.h"

enum { MANY = 64 };

// ---- A look-up that hangs, at will ----

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool open;
  int inside; // how many hang in front of it
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void wait_at_gate(void) {
  pthread_mutex_lock(&gate.mutex);
  gate.inside++;
  pthread_cond_broadcast(&gate.changed);
  while (!gate.open) {
    pthread_cond_wait(&gate.changed, &gate.mutex);
  }
  gate.inside--;
  pthread_mutex_unlock(&gate.mutex);
}

static void set_gate(bool open) {
  pthread_mutex_lock(&gate.mutex);
  gate.open = open;
  pthread_cond_broadcast(&gate.changed);
  pthread_mutex_unlock(&gate.mutex);
}

static void wait_for_those_at_gate(int count) {
  pthread_mutex_lock(&gate.mutex);
  while (gate.inside < count) {
    pthread_cond_wait(&gate.changed, &gate.mutex);
  }
  pthread_mutex_unlock(&gate.mutex);
}

// Stands before the C library's: whoever asks for "gate" hangs until the gate is opened, and finds
// 127.0.0.1.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): its own are reserved names
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (strcmp(host, "gate") == 0) {
    wait_at_gate();
    host = "127.0.0.1";
  }
  return real(host, service, hints, found);
}

// ---- Help ----

typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t woken;
  int wakes;
  int told;
  trp_resolver_t *resolver;
} setting_t;

static void wake(void *context) {
  setting_t *setting = context;
  pthread_mutex_lock(&setting->mutex);
  setting->wakes++;
  pthread_cond_signal(&setting->woken);
  pthread_mutex_unlock(&setting->mutex);
}

static void resolved(void *context, void *owner, const trp_resolved_t *result) {
  setting_t *setting = context;
  found_t *found = owner;
  setting->told++;
  found->count++;
  found->error = result->error;
  found->address_count = result->count < WORLD_ADDRESSES ? result->count : WORLD_ADDRESSES;
  if (result->count > 0) {
    memcpy(found->addresses, result->addresses, found->address_count * sizeof(troupe_address_t));
  }
}

static void open_setting(setting_t *setting, int64_t idle_ms) {
  memset(setting, 0, sizeof *setting);
  pthread_mutex_init(&setting->mutex, NULL);
  pthread_cond_init(&setting->woken, NULL);
  trp_resolver_options_t options = {
      .wake = wake, .resolved = resolved, .context = setting, .idle_ns = idle_ms * 1000000};
  assert_int_equal(0, trp_resolver_new(&options, &setting->resolver));
}

static void close_setting(setting_t *setting) {
  assert_int_equal(0, trp_resolver_free(&setting->resolver, world_deadline(WORLD_LIMIT_MS)));
  assert_null(setting->resolver);
  pthread_cond_destroy(&setting->woken);
  pthread_mutex_destroy(&setting->mutex);
}

// Dispatches until so many results were told. The watchdog ends a wait for one that never comes.
static void run_resolver_until(setting_t *setting, int told) {
  while (setting->told < told) {
    pthread_mutex_lock(&setting->mutex);
    while (setting->wakes == 0) {
      pthread_cond_wait(&setting->woken, &setting->mutex);
    }
    setting->wakes = 0;
    pthread_mutex_unlock(&setting->mutex);
    trp_resolver_dispatch(setting->resolver);
  }
}

static trp_resolve_t *start(setting_t *setting, const char *host, int family, found_t *found) {
  trp_resolve_t *request = NULL;
  *found = (found_t){0};
  assert_int_equal(0, trp_resolver_start(setting->resolver, host, 80, family, 0, found, &request));
  assert_non_null(request);
  return request;
}

static bool no_threads(void *argument) {
  setting_t *setting = argument;
  trp_resolver_dispatch(setting->resolver);
  return trp_resolver_threads(setting->resolver) == 0;
}

static void a_literal_is_found_as_it_is(void **state) {
  (void)state;
  setting_t setting;
  found_t found;
  open_setting(&setting, 1000);
  start(&setting, "127.0.0.1", 0, &found);
  run_resolver_until(&setting, 1);
  assert_int_equal(0, found.error);
  assert_int_equal(1, found.address_count);
  assert_int_equal(TROUPE_FAMILY_IPV4, found.addresses[0].family);
  assert_int_equal(80, found.addresses[0].port);
  assert_memory_equal("\x7f\0\0\1", found.addresses[0].bytes, 4);
  start(&setting, "::1", 6, &found);
  run_resolver_until(&setting, 2);
  assert_int_equal(0, found.error);
  assert_int_equal(TROUPE_FAMILY_IPV6, found.addresses[0].family);
  assert_int_equal(1, found.addresses[0].bytes[15]);
  close_setting(&setting);
}

static void the_family_asked_for_is_the_one_found(void **state) {
  (void)state;
  setting_t setting;
  found_t found;
  open_setting(&setting, 1000);
  start(&setting, "localhost", 4, &found);
  run_resolver_until(&setting, 1);
  assert_int_equal(0, found.error);
  assert_true(found.address_count > 0);
  for (size_t i = 0; i < found.address_count; i++) {
    assert_int_equal(TROUPE_FAMILY_IPV4, found.addresses[i].family);
  }
  start(&setting, "::1", 4, &found);
  run_resolver_until(&setting, 2);
  assert_true(found.error == TROUPE_EAI_ADDRFAMILY || found.error == TROUPE_ENOTFOUND);
  trp_resolve_t *request = NULL;
  assert_int_equal(0, trp_resolver_start(setting.resolver, "127.0.0.1", 443, 6, TRP_HINT_V4MAPPED,
                                         &found, &request));
  run_resolver_until(&setting, 3);
  assert_int_equal(0, found.error);
  assert_int_equal(TROUPE_FAMILY_IPV6, found.addresses[0].family);
  assert_int_equal(443, found.addresses[0].port);
  assert_memory_equal("\xff\xff\x7f\0\0\1", found.addresses[0].bytes + 10, 6);
  close_setting(&setting);
}

static void a_name_that_does_not_exist_is_an_error(void **state) {
  (void)state;
  setting_t setting;
  found_t found;
  open_setting(&setting, 1000);
  trp_test_limit(150000);
  start(&setting, "name.invalid", 0, &found);
  run_resolver_until(&setting, 1);
  // Without a network nobody can say that it does not exist.
  assert_true(found.error == TROUPE_ENOTFOUND || found.error == TROUPE_EAI_AGAIN);
  assert_int_equal(0, found.address_count);
  start(&setting, "", 0, &found);
  run_resolver_until(&setting, 2);
  assert_true(found.error < 0);
  close_setting(&setting);
}

static void many_share_four_threads_which_go_when_idle(void **state) {
  (void)state;
  static found_t found[MANY];
  setting_t setting;
  open_setting(&setting, 20);
  assert_int_equal(0, trp_resolver_threads(setting.resolver));
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) {
      start(&setting, i % 2 == 0 ? "localhost" : "127.0.0.1", 4, &found[i]);
      assert_in_range(trp_resolver_threads(setting.resolver), 1, TRP_RESOLVER_THREADS);
    }
    run_resolver_until(&setting, (round + 1) * MANY);
    for (int i = 0; i < MANY; i++) {
      assert_int_equal(1, found[i].count);
      assert_int_equal(0, found[i].error);
    }
    assert_true(trp_test_wait_until(no_threads, &setting, WORLD_LIMIT_MS));
  }
  close_setting(&setting);
}

static void one_thread_serves_those_that_come_one_after_the_other(void **state) {
  (void)state;
  setting_t setting;
  found_t found;
  open_setting(&setting, 10000);
  for (int i = 0; i < 20; i++) {
    start(&setting, "127.0.0.1", 4, &found);
    run_resolver_until(&setting, i + 1);
  }
  // The result is there a moment before its thread is idle, so a second one may have been started.
  assert_in_range(trp_resolver_threads(setting.resolver), 1, 2);
  close_setting(&setting);
}

static void what_was_cancelled_is_not_told(void **state) {
  (void)state;
  static found_t found[MANY];
  trp_resolve_t *requests[MANY];
  setting_t setting;
  open_setting(&setting, 1000);
  for (int i = 0; i < MANY; i++) { // some wait, some run, some are done
    requests[i] = start(&setting, "localhost", 0, &found[i]);
  }
  for (int i = 0; i < MANY; i += 2) {
    trp_resolver_cancel(setting.resolver, requests[i]);
  }
  run_resolver_until(&setting, MANY / 2);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(i % 2, found[i].count);
  }
  assert_int_equal(MANY / 2, setting.told);
  close_setting(&setting);
}

static void freeing_drops_what_was_not_told(void **state) {
  (void)state;
  static found_t found[MANY];
  for (int round = 0; round < 20; round++) {
    setting_t setting;
    open_setting(&setting, 1000);
    for (int i = 0; i < MANY; i++) {
      start(&setting, "localhost", 0, &found[i]);
    }
    if (round % 2 == 0) {
      run_resolver_until(&setting, 3);
    }
    close_setting(&setting);
  }
}

static bool gate_is_left(void *argument) {
  (void)argument;
  pthread_mutex_lock(&gate.mutex);
  bool left = gate.inside == 0;
  pthread_mutex_unlock(&gate.mutex);
  return left;
}

static void a_look_up_that_hangs_does_not_hold_up_the_end(void **state) {
  (void)state;
  setting_t setting;
  found_t found[2];
  set_gate(false);
  open_setting(&setting, 1000);
  start(&setting, "gate", 0, &found[0]);
  start(&setting, "127.0.0.1", 0, &found[1]);
  run_resolver_until(&setting, 1);
  wait_for_those_at_gate(1);
  int64_t deadline_ns = (int64_t)uv_hrtime() + 20 * 1000000;
  assert_int_equal(TROUPE_ETIMEDOUT, trp_resolver_free(&setting.resolver, deadline_ns));
  assert_true((int64_t)uv_hrtime() >= deadline_ns);
  pthread_cond_destroy(&setting.woken);
  pthread_mutex_destroy(&setting.mutex);
  set_gate(true); // the thread goes, and what it held: the counts and the leak checker look
  assert_true(trp_test_wait_until(gate_is_left, NULL, WORLD_LIMIT_MS));
  assert_int_equal(0, found[0].count);
  assert_int_equal(1, found[1].count);
}

static void a_look_up_that_hangs_can_be_cancelled(void **state) {
  (void)state;
  setting_t setting;
  found_t found[2];
  set_gate(false);
  open_setting(&setting, 1000);
  trp_resolve_t *request = start(&setting, "gate", 0, &found[0]);
  wait_for_those_at_gate(1);
  trp_resolver_cancel(setting.resolver, request);
  set_gate(true);
  assert_true(trp_test_wait_until(gate_is_left, NULL, WORLD_LIMIT_MS));
  start(&setting, "127.0.0.1", 0, &found[1]);
  run_resolver_until(&setting, 1);
  assert_int_equal(0, found[0].count);
  assert_int_equal(1, found[1].count);
  close_setting(&setting);
}

static void when_all_threads_hang_the_next_one_waits_its_turn(void **state) {
  (void)state;
  found_t found[TRP_RESOLVER_THREADS + 2];
  setting_t setting;
  set_gate(false);
  open_setting(&setting, 1000);
  for (int i = 0; i < TRP_RESOLVER_THREADS; i++) {
    start(&setting, "gate", 0, &found[i]);
  }
  wait_for_those_at_gate(TRP_RESOLVER_THREADS);
  trp_resolve_t *waiting = start(&setting, "127.0.0.1", 0, &found[TRP_RESOLVER_THREADS]);
  start(&setting, "127.0.0.1", 0, &found[TRP_RESOLVER_THREADS + 1]);
  assert_int_equal(TRP_RESOLVER_THREADS, trp_resolver_threads(setting.resolver));
  trp_resolver_cancel(setting.resolver, waiting);
  set_gate(true);
  run_resolver_until(&setting, TRP_RESOLVER_THREADS + 1);
  assert_int_equal(0, found[TRP_RESOLVER_THREADS].count);
  assert_int_equal(1, found[TRP_RESOLVER_THREADS + 1].count);
  close_setting(&setting);
}

// ---- Through the transport ----

static void the_transport_tells_results_in_its_loop(void **state) {
  (void)state;
  world_t world;
  found_t found = {0};
  found_t cancelled = {0};
  trp_resolve_t *request = NULL;
  open_world(&world);
  assert_int_equal(0, world.ops->resolve(world.transport, "127.0.0.1", 7, 0, TRP_HINT_ADDRCONFIG,
                                         &cancelled, &request));
  world.ops->cancel(world.transport, request);
  assert_int_equal(0, world.ops->resolve(world.transport, "localhost", 7, 4, 0, &found, &request));
  assert_true(run_until(&world, &found.count, 1));
  assert_int_equal(0, found.error);
  assert_true(found.address_count > 0);
  assert_int_equal(7, found.addresses[0].port);
  assert_int_equal(0, cancelled.count);
  close_world(&world);
}

static void the_transport_may_be_closed_while_look_ups_go_on(void **state) {
  (void)state;
  static found_t found[MANY];
  for (int round = 0; round < 20; round++) {
    world_t world;
    trp_resolve_t *request = NULL;
    open_world(&world);
    for (int i = 0; i < MANY; i++) {
      assert_int_equal(
          0, world.ops->resolve(world.transport, "localhost", 7, 0, 0, &found[i], &request));
    }
    run_for(&world, round % 3);
    close_world(&world);
  }
}

static int warm_up(void **state) {
  (void)state;
  world_t world;
  open_world(&world);
  close_world(&world);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_literal_is_found_as_it_is),
      trp_test_that_leaves_nothing(the_family_asked_for_is_the_one_found),
      trp_test_that_leaves_nothing(a_name_that_does_not_exist_is_an_error),
      trp_test_that_leaves_nothing(many_share_four_threads_which_go_when_idle),
      trp_test_that_leaves_nothing(one_thread_serves_those_that_come_one_after_the_other),
      trp_test_that_leaves_nothing(what_was_cancelled_is_not_told),
      trp_test_that_leaves_nothing(freeing_drops_what_was_not_told),
      trp_test_that_leaves_nothing(a_look_up_that_hangs_does_not_hold_up_the_end),
      trp_test_that_leaves_nothing(a_look_up_that_hangs_can_be_cancelled),
      trp_test_that_leaves_nothing(when_all_threads_hang_the_next_one_waits_its_turn),
      trp_test_that_leaves_nothing(the_transport_tells_results_in_its_loop),
      trp_test_that_leaves_nothing(the_transport_may_be_closed_while_look_ups_go_on),
  };
  return TRP_RUN_TESTS_IN_GROUP("resolver", tests, warm_up, NULL);
}
