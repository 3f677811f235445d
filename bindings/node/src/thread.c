// A thread of Node's as an actor: one system of actors for the process, one attached actor for each
// thread, and what makes Node's loop serve it. A thread has several bindings when the module was
// loaded on it several times, as by a test runner that forgets modules between files.
#include <pthread.h>
#include <stdlib.h>

#include "binding.h"

enum {
  FLUSH_WRITES = 32, // so many writes are not kept back for more
  LOOKS_AT_ONCE = 8, // batches, before descriptors of others have their turn
  END_MS = 1000,     // for the actors of threads that have ended
};

// Shared by all threads; made by the first one. It lives as long as the process: the addon is
// linked with -z nodelete, so that its threads keep the code they run.
static struct {
  pthread_mutex_t mutex;
  troupe_system_t *system;
  unsigned users;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct thread {
  uv_poll_t poll;
  uv_prepare_t prepare;
  uv_idle_t idle;        // active while the loop shall not sleep
  unsigned open_handles; // of the three
  binding_t *bindings;
  unsigned unflushed;
  bool ended, dispatching;
  bool held;    // by the actor, which holds the loop
  bool awaits;  // something happened, so that more is likely to follow soon
  bool exiting; // nothing is sent later any more
};

static _Thread_local thread_t *here;

// ---- The system ----

static int use_system(void) {
  pthread_mutex_lock(&shared.mutex);
  int error = 0;
  if (shared.system == NULL) {
    const char *spin = getenv("TROUPE_NET_SPIN_US");
    troupe_system_options_t options = {.spin_us = spin == NULL ? 0 : atoi(spin)};
    error = troupe_system_new(&options, &shared.system);
  }
  shared.users += error == 0;
  pthread_mutex_unlock(&shared.mutex);
  return error;
}

static void leave_system(void) {
  pthread_mutex_lock(&shared.mutex);
  if (--shared.users == 0) {
    troupe_system_wait(shared.system, END_MS, NULL, 0, NULL);
    troupe_system_free(&shared.system);
  }
  pthread_mutex_unlock(&shared.mutex);
}

// ---- The loop ----

void thread_settle(thread_t *thread) {
  bool held = troupe_actor_held();
  for (const binding_t *one = thread->bindings; one != NULL && !held; one = one->next) {
    held = one->count > 0 && !thread->dispatching;
  }
  if (held != thread->held && !thread->ended) {
    thread->held = held;
    (held ? uv_ref : uv_unref)((uv_handle_t *)&thread->poll);
  }
}

bool thread_dispatches(const thread_t *thread) {
  return thread->dispatching;
}

// Gives JavaScript what was written down.
static void deliver(thread_t *thread) {
  for (binding_t *one = thread->bindings; one != NULL; one = one->next) {
    napi_handle_scope scope = NULL;
    if (one->count > 0 && !thread->ended && napi_open_handle_scope(one->env, &scope) == napi_ok) {
      events_deliver(one);
      napi_close_handle_scope(one->env, scope);
    }
  }
}

static void send_all(thread_t *thread) {
  thread->unflushed = 0;
  troupe_flush();
  thread_settle(thread);
}

// Dispatches what has come.
static void take(thread_t *thread) {
  napi_env env = thread->bindings->env;
  napi_handle_scope scope = NULL;
  if (thread->ended || napi_open_handle_scope(env, &scope) != napi_ok) {
    return;
  }
  thread->dispatching = true;
  troupe_dispatch();
  thread->dispatching = false;
  deliver(thread);
  napi_close_handle_scope(env, scope);
  thread->awaits = true;
  if (!thread->ended) {
    send_all(thread);
  }
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  take(poll->data);
}

static void on_idle(uv_idle_t *idle) {
  (void)idle;
}

// After something has happened the loop does not sleep at once: to be woken takes longer than many
// an answer does. A loop that has other work does not wait for one, and an idle one soon sleeps.
static void look(thread_t *thread) {
  uv_idle_stop(&thread->idle);
  if (!thread->awaits || uv_backend_timeout(thread->poll.loop) == 0) {
    return;
  }
  thread->awaits = false;
  // While nobody else wants a turn of the loop, the next batch does not wait for one.
  bool looks = true;
  for (int i = 0; i < LOOKS_AT_ONCE && looks && troupe_attach_look() == 1; i++) {
    take(thread);
    if (thread->ended) {
      return;
    }
    uv_idle_stop(&thread->idle);
    looks = uv_backend_timeout(thread->poll.loop) != 0;
    uv_idle_start(&thread->idle, on_idle); // descriptors have theirs, and then it looks again
  }
}

// Before the loop sleeps: all that JavaScript called in this turn leaves together.
static void on_prepare(uv_prepare_t *prepare) {
  thread_t *thread = prepare->data;
  if (thread->ended) {
    return;
  }
  deliver(thread); // of a call that waited
  if (!thread->ended) {
    send_all(thread);
    look(thread);
  }
}

void thread_wrote(thread_t *thread) {
  thread->awaits = true;
  if (thread->exiting) {
    thread_wait_for_io();
  } else if (++thread->unflushed >= FLUSH_WRITES) {
    thread->unflushed = 0;
    troupe_flush();
  }
}

void thread_wait_for_io(void) {
  troupe_system_counters_t counters;
  troupe_flush();
  // What was sent is taken in the turn after the one that is going on, at the latest.
  for (int i = 0; i < 2; i++) {
    troupe_system_counters(shared.system, &counters);
  }
}

void thread_exit(thread_t *thread) {
  thread_wait_for_io();
  thread->exiting = true;
}

// ---- Beginning and end ----

static int attach(void) {
  static const troupe_attach_options_t options = {.name = "node", .flush_by_hand = true};
  int error = use_system();
  if (error != 0) {
    return error;
  }
  error = troupe_attach(shared.system, &options, NULL);
  if (error != 0) {
    leave_system();
  }
  return error;
}

static int begin(uv_loop_t *loop) {
  thread_t *thread = calloc(1, sizeof *thread);
  if (thread == NULL) {
    return TROUPE_ENOMEM;
  }
  int error = attach();
  if (error != 0) {
    free(thread);
    return error;
  }
  uv_poll_init(loop, &thread->poll, troupe_attach_fd());
  uv_prepare_init(loop, &thread->prepare);
  uv_idle_init(loop, &thread->idle);
  thread->poll.data = thread->prepare.data = thread->idle.data = thread;
  thread->open_handles = 3;
  uv_poll_start(&thread->poll, UV_READABLE, on_ready);
  uv_prepare_start(&thread->prepare, on_prepare);
  uv_unref((uv_handle_t *)&thread->poll);
  uv_unref((uv_handle_t *)&thread->prepare);
  uv_unref((uv_handle_t *)&thread->idle);
  here = thread;
  return 0;
}

int thread_enter(binding_t *binding, uv_loop_t *loop) {
  int error = here == NULL ? begin(loop) : 0;
  if (error != 0) {
    return error;
  }
  binding->thread = here;
  binding->next = here->bindings;
  here->bindings = binding;
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  thread_t *thread = handle->data;
  if (--thread->open_handles > 0) {
    return;
  }
  while (thread->bindings != NULL) {
    binding_t *binding = thread->bindings;
    thread->bindings = binding->next;
    binding_free(binding);
  }
  free(thread);
}

void thread_end(thread_t *thread) {
  if (thread->ended) {
    return;
  }
  thread->ended = true;
  for (binding_t *one = thread->bindings; one != NULL; one = one->next) {
    one->ending = true;
    one->events = NULL; // they go with the environment
  }
  thread_wait_for_io();
  troupe_detach(0);
  leave_system();
  here = NULL;
  uv_close((uv_handle_t *)&thread->poll, on_closed);
  uv_close((uv_handle_t *)&thread->prepare, on_closed);
  uv_close((uv_handle_t *)&thread->idle, on_closed);
}
