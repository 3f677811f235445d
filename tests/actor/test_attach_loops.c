// Attached threads inside the loops of others: libuv's and GLib's, each the application's own.
#include <glib-unix.h>
#include <glib.h>
#include <uv.h>

#include "tests/actor/attached.h"

// ---- libuv ----

typedef struct {
  uv_poll_t poll;
  uv_timer_t other;
  int ticks; // of what else the loop has to do
} uv_scene_t;

static void on_uv_tick(uv_timer_t *timer) {
  ((uv_scene_t *)timer->data)->ticks++;
}

static void on_uv_ready(uv_poll_t *poll, int status, int events) {
  uv_scene_t *uv = poll->data;
  expect(status == 0 && events == UV_READABLE);
  if (troupe_dispatch() <= 0) {
    uv_close((uv_handle_t *)poll, NULL);
    uv_close((uv_handle_t *)&uv->other, NULL);
  }
}

static void a_service_runs_in_a_loop_of_libuv(void **state) {
  (void)state;
  assert_int_equal(troupe_attach(scene, NULL, NULL), 0);
  uv_loop_t loop;
  uv_scene_t uv = {.ticks = 0};
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(uv_poll_init(&loop, &uv.poll, troupe_attach_fd()), 0);
  assert_int_equal(uv_timer_init(&loop, &uv.other), 0);
  uv.poll.data = uv.other.data = &uv;
  assert_int_equal(uv_poll_start(&uv.poll, UV_READABLE, on_uv_ready), 0);
  assert_int_equal(uv_timer_start(&uv.other, on_uv_tick, 0, 1), 0);
  attached_echo_t echo = {.clients = 10, .rounds = 20};
  assert_int_equal(attached_begin(&echo), 0);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  attached_check(&echo);
  assert_true(uv.ticks > 0);
  assert_int_equal(uv_loop_close(&loop), 0);
  assert_int_equal(troupe_detach(0), 0);
}

// As a binding does: the loop goes on by itself as long as the actor is held, and what its other
// callbacks call is sent before it sleeps.
static void keep_or_let_go(uv_prepare_t *prepare) {
  expect(troupe_flush() == 0);
  uv_handle_t *poll = prepare->data;
  (troupe_actor_held() ? uv_ref : uv_unref)(poll);
}

static void dispatch_only(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  expect(troupe_dispatch() >= 0);
  (troupe_actor_held() ? uv_ref : uv_unref)((uv_handle_t *)poll);
}

static void begin_later(uv_timer_t *timer) {
  expect(attached_begin(timer->data) == 0);
  uv_close((uv_handle_t *)timer, NULL);
}

static void close_handle(uv_handle_t *handle, void *context) {
  (void)context;
  uv_close(handle, NULL);
}

static void a_loop_of_libuv_ends_when_nothing_holds_the_actor(void **state) {
  (void)state;
  troupe_attach_options_t options = {.flush_by_hand = true};
  assert_int_equal(troupe_attach(scene, &options, NULL), 0);
  uv_loop_t loop;
  uv_poll_t poll;
  uv_prepare_t prepare;
  uv_timer_t timer;
  attached_echo_t echo = {.clients = 10, .rounds = 20};
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(uv_poll_init(&loop, &poll, troupe_attach_fd()), 0);
  assert_int_equal(uv_poll_start(&poll, UV_READABLE, dispatch_only), 0);
  uv_unref((uv_handle_t *)&poll);
  assert_int_equal(uv_prepare_init(&loop, &prepare), 0);
  prepare.data = &poll;
  assert_int_equal(uv_prepare_start(&prepare, keep_or_let_go), 0);
  uv_unref((uv_handle_t *)&prepare);
  assert_int_equal(uv_timer_init(&loop, &timer), 0);
  timer.data = &echo;
  assert_int_equal(uv_timer_start(&timer, begin_later, 1, 0), 0);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  attached_check(&echo);
  uv_walk(&loop, close_handle, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
  assert_int_equal(troupe_detach(0), 0);
}

// ---- GLib ----

static gboolean on_glib_ready(gint fd, GIOCondition condition, gpointer context) {
  (void)fd;
  expect(condition == G_IO_IN);
  if (troupe_dispatch() > 0) {
    return G_SOURCE_CONTINUE;
  }
  g_main_loop_quit(context);
  return G_SOURCE_REMOVE;
}

static gboolean on_glib_tick(gpointer context) {
  ++*(int *)context;
  return G_SOURCE_CONTINUE;
}

static void a_service_runs_in_glibs_main_loop(void **state) {
  (void)state;
  assert_int_equal(troupe_attach(scene, NULL, NULL), 0);
  int ticks = 0;
  GMainContext *context = g_main_context_new();
  GMainLoop *loop = g_main_loop_new(context, FALSE);
  GSource *source = g_unix_fd_source_new(troupe_attach_fd(), G_IO_IN);
  GSource *other = g_timeout_source_new(1);
  // GLib's own way to hand the callback of a source of descriptors over.
  g_source_set_callback(source, (GSourceFunc)(void (*)(void))on_glib_ready, loop, NULL);
  g_source_set_callback(other, on_glib_tick, &ticks, NULL);
  g_source_attach(source, context);
  g_source_attach(other, context);
  attached_echo_t echo = {.clients = 10, .rounds = 20};
  assert_int_equal(attached_begin(&echo), 0);
  g_main_loop_run(loop);
  attached_check(&echo);
  assert_true(ticks > 0);
  g_source_destroy(source);
  g_source_destroy(other);
  g_source_unref(source);
  g_source_unref(other);
  g_main_loop_unref(loop);
  g_main_context_unref(context);
  assert_int_equal(troupe_detach(0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_scene(a_service_runs_in_a_loop_of_libuv),
      in_scene(a_loop_of_libuv_ends_when_nothing_holds_the_actor),
      in_scene(a_service_runs_in_glibs_main_loop),
  };
  return TRP_RUN_TESTS("attach_loops", tests);
}
