// Of the tests of the recorder: an actor's inbox, and what is recorded over it.

#ifndef TRP_TESTS_RECORDED_H_INCLUDED
#define TRP_TESTS_RECORDED_H_INCLUDED

#include <stdio.h>

#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "core/trace/recorder.h"
#include "tests/harness/harness.h"

enum { ACTOR = 100 };

static trp_hub_t *hub;
static trp_inbox_t *inbox;
static trp_pool_t *pool;
static trp_recorder_t *recorder;

static int set_up(void **state) {
  trp_test_remember_counts(state);
  recorder = NULL;
  assert_int_equal(trp_hub_new(&hub), 0);
  assert_int_equal(trp_pipes_open(hub, trp_id_actor(ACTOR), &inbox), 0);
  assert_int_equal(trp_pool_new(&pool), 0);
  return 0;
}

static int tear_down(void **state) {
  trp_recorder_stop(&recorder, NULL);
  trp_inbox_close(inbox);
  trp_pool_close(&pool);
  trp_frame_thread_end();
  trp_hub_free(&hub);
  return trp_test_compare_counts(state);
}

static const char *path_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", trp_test_folder(), name);
  return path;
}

#endif
