// A thread of Node's as an actor: one system of actors for the process, one attached actor for each
// thread, and what makes Node's loop serve it. A thread has several bindings when the module was
// loaded on it several times, as by a test runner that forgets modules between files.
#include <pthread.h>
#include <stdlib.h>

#include "binding.h"

enum {
  FLUSH_WRITES = 32,  // so many writes are not kept back for more
  LOOKS_AT_ONCE = 8,  // batches, before descriptors of others have their turn
  END_MS = 1000,      // for the actors of threads that have ended
  ASKED_AT_MOST = 32, // times in a turn of the loop without urgency
  FINISH_ROUNDS = 8,  // of what finishes because something has finished, in one turn of the loop
  SPIN_US = 50,       // Node's turn takes longer than an actor's, and a peer answers after it
  TURNS_TAKEN = 2,    // of the I/O actor, after which it has taken what was sent,
  TURNS_ANSWERED = 4, // and told what came of it at another socket of this process
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
  uv_check_t check;
  uv_idle_t idle;        // active while the loop shall not sleep
  uv_idle_t leaver;      // closed when sockets are, so that it is heard of when Node's would be
  unsigned open_handles; // of these
  binding_t *bindings;
  unsigned unflushed;
  unsigned asked; // in this turn of the loop
  bool ended, dispatching, asking;
  bool held;     // by the actor, which holds the loop
  bool awaits;   // something happened, so that more is likely to follow soon
  bool called;   // by JavaScript, since the last batch
  bool answered; // JavaScript called something while it was given the last batch
  bool leaves;   // the leaver is closing
  bool ends;     // there are late ends that were there when this turn of the loop polled
  bool looked;   // in this turn of the loop, before it polled
  bool timed_out;
  bool connects; // there have been sockets that did,
  bool accepts;  // and servers that did
  bool exiting;  // nothing is sent later any more
};

static _Thread_local thread_t *here;

static void on_closed(uv_handle_t *handle);

// ---- The system ----

// How long threads look for work before they sleep; below 0: not at all.
static int spin_us(void) {
  const char *text = getenv("TROUPE_NET_SPIN_US");
  int us = text == NULL ? SPIN_US : atoi(text);
  return us > 0 ? us : -1;
}

static int use_system(void) {
  pthread_mutex_lock(&shared.mutex);
  int error = 0;
  if (shared.system == NULL) {
    troupe_system_options_t options = {.spin_us = spin_us()};
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
    held = (one->count > 0 && !thread->dispatching) || one->late[LATE_END] > 0 ||
           one->late[LATE_FINISH] > 0;
  }
  if (held != thread->held && !thread->ended) {
    thread->held = held;
    (held ? uv_ref : uv_unref)((uv_handle_t *)&thread->poll);
  }
}

bool thread_dispatches(const thread_t *thread) {
  return thread->dispatching;
}

// What is written down from now on is not told before the next turn.
static void mark(thread_t *thread) {
  for (binding_t *one = thread->bindings; one != NULL; one = one->next) {
    one->due = one->count;
  }
}

// Gives JavaScript what was written down before the mark.
static void deliver(thread_t *thread) {
  for (binding_t *one = thread->bindings; one != NULL; one = one->next) {
    napi_handle_scope scope = NULL;
    if (one->due > 0 && !thread->ended && napi_open_handle_scope(one->env, &scope) == napi_ok) {
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

static bool is_late(const thread_t *thread, late_kind_t kind) {
  bool is = false;
  for (const binding_t *one = thread->bindings; one != NULL && !is; one = one->next) {
    is = one->late[kind] > 0;
  }
  return is;
}

// Of the binding that has the most.
static uint32_t events_count(const thread_t *thread) {
  uint32_t most = 0;
  for (const binding_t *one = thread->bindings; one != NULL; one = one->next) {
    most = one->count > most ? one->count : most;
  }
  return most;
}

static void tell_late(thread_t *thread, late_kind_t kind) {
  for (binding_t *one = thread->bindings; one != NULL && !thread->ended; one = one->next) {
    uint32_t count = one->late[kind];
    one->late[kind] = 0;
    events_deliver_late(one, kind, count);
  }
}

// What finishes may finish others.
static void finish(thread_t *thread) {
  for (int i = 0; i < FINISH_ROUNDS && is_late(thread, LATE_FINISH) && !thread->ended; i++) {
    tell_late(thread, LATE_FINISH);
  }
}

static void wait_turns(int turns) {
  troupe_system_counters_t counters;
  (void)troupe_flush();
  for (int i = 0; i < turns; i++) {
    troupe_system_counters(shared.system, &counters);
  }
}

// Those that were there when this turn of the loop began.
static void tell_ends(thread_t *thread) {
  if (thread->ends && !thread->ended) {
    thread->ends = false;
    tell_late(thread, LATE_END);
  }
}

// Dispatches what has come.
static void take_once(thread_t *thread) {
  napi_env env = thread->bindings->env;
  napi_handle_scope scope = NULL;
  if (thread->ended || napi_open_handle_scope(env, &scope) != napi_ok) {
    return;
  }
  thread->dispatching = true;
  troupe_dispatch();
  thread->dispatching = false;
  mark(thread);
  tell_ends(thread); // they came before
  deliver(thread);
  napi_close_handle_scope(env, scope);
  thread->awaits = true;
  if (!thread->ended) {
    finish(thread);
    send_all(thread);
    thread->answered = thread->called;
    thread->called = false;
  }
}

// In Node a close in a handler of 'timeout' is one by a timer.
static void take(thread_t *thread) {
  thread->timed_out = false;
  take_once(thread);
  if (!thread->ended && thread->timed_out && thread->leaves) {
    wait_turns(TURNS_ANSWERED);
    take_once(thread);
  }
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  thread_t *thread = poll->data;
  if (thread->looked && (thread->leaves || (!thread->ends && is_late(thread, LATE_END)))) {
    return; // what came of a close is heard of after it, and what came after an end as well
  }
  take(thread);
}

static void on_check(uv_check_t *check) {
  thread_t *thread = check->data;
  thread->looked = false;
  tell_ends(thread);
  if (!thread->ended) {
    finish(thread);
  }
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
    thread->looked = true;
    take(thread);
    if (thread->ended) {
      return;
    }
    uv_idle_stop(&thread->idle);
    looks = uv_backend_timeout(thread->poll.loop) != 0 && !is_late(thread, LATE_END);
    uv_idle_start(&thread->idle, on_idle); // descriptors have theirs, and then it looks again
  }
}

// Before the loop sleeps: all that JavaScript called in this turn leaves together.
static void on_prepare(uv_prepare_t *prepare) {
  thread_t *thread = prepare->data;
  if (thread->ended) {
    return;
  }
  finish(thread);
  bool leaves = thread->leaves;
  mark(thread);
  deliver(thread); // of a call that waited
  finish(thread);
  if (thread->ended) {
    return;
  }
  send_all(thread);
  thread->asked = 0;
  thread->ends = is_late(thread, LATE_END);
  thread->looked = !leaves && thread->leaves; // as if this had been the poll
  if ((thread->called && !thread->looked && uv_backend_timeout(prepare->loop) == 0) ||
      (thread->answered && thread->ends && thread->connects && thread->accepts)) {
    // What timers and immediates call is done at once in Node, which then polls: what comes of it at a peer in this process
    // is heard of before the immediates, and before a close is told; and what comes of an answer to the last of the data, in
    // the turn of the end.
    wait_turns(TURNS_ANSWERED);
  }
  thread->called = thread->answered = false;
  look(thread);
  if (thread->ends || events_count(thread) > 0) {
    uv_idle_start(&thread->idle, on_idle);
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
  // What was sent is taken in the turn after the one that is going on, at the latest.
  wait_turns(TURNS_TAKEN);
}

void thread_exit(thread_t *thread) {
  thread_wait_for_io();
  thread->exiting = true;
}

// ---- What Node tells late ----

// In Node, what end() asks for is done after the callbacks of a poll or of timers, before the immediates; a close is told
// after those. Other threads have no part in either, so that what comes of it at a peer in this process comes later.

static void on_left(uv_handle_t *handle) {
  thread_t *thread = handle->data;
  thread->leaves = false;
  if (thread->ended) {
    on_closed(handle);
    return;
  }
  thread->open_handles--;
  tell_late(thread, LATE_CLOSE);
  thread_settle(thread);
}

void thread_tell_late(binding_t *binding, late_kind_t kind) {
  thread_t *thread = binding->thread;
  binding->late[kind]++;
  if (kind == LATE_CLOSE && !thread->leaves && !thread->ended) {
    thread->leaves = true;
    thread->open_handles++;
    uv_idle_init(thread->poll.loop, &thread->leaver);
    thread->leaver.data = thread;
    uv_close((uv_handle_t *)&thread->leaver, on_left);
  }
  thread_settle(thread);
}

void thread_ask(thread_t *thread, bool urgently, const bool *answered) {
  if (events_count(thread) >= EVENTS_MAX || thread->dispatching || thread->ended ||
      (!urgently && ++thread->asked > ASKED_AT_MOST)) {
    return;
  }
  for (int turns = TURNS_TAKEN; turns <= TURNS_ANSWERED && !*answered; turns++) {
    wait_turns(turns == TURNS_TAKEN ? TURNS_TAKEN : 1);
    thread->dispatching = thread->asking = true;
    troupe_dispatch();
    thread->dispatching = thread->asking = false;
  }
  thread_settle(thread);
}

bool thread_asks(const thread_t *thread) {
  return thread->asking;
}

void thread_called(thread_t *thread) {
  thread->called = true;
  thread_settle(thread);
}

void thread_connects(thread_t *thread) {
  thread->connects = true;
}

void thread_accepts(thread_t *thread) {
  thread->accepts = true;
}

void thread_timed_out(thread_t *thread) {
  thread->timed_out = true;
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
  error = uv_poll_init(loop, &thread->poll, troupe_attach_fd());
  if (error != 0) { // the kernel watches no more descriptors for this user, or has no memory
    (void)troupe_detach(0);
    leave_system();
    free(thread);
    return error;
  }
  uv_prepare_init(loop, &thread->prepare);
  uv_check_init(loop, &thread->check);
  uv_idle_init(loop, &thread->idle);
  thread->poll.data = thread->prepare.data = thread->check.data = thread->idle.data = thread;
  thread->open_handles = 4;
  uv_poll_start(&thread->poll, UV_READABLE, on_ready);
  uv_prepare_start(&thread->prepare, on_prepare);
  uv_check_start(&thread->check, on_check); // started later than Node's own, it is called before
  uv_unref((uv_handle_t *)&thread->poll);
  uv_unref((uv_handle_t *)&thread->prepare);
  uv_unref((uv_handle_t *)&thread->check);
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
  // Who waits for the end of this thread has heard of its connections when it comes.
  wait_turns(TURNS_ANSWERED);
  leave_system();
  here = NULL;
  uv_close((uv_handle_t *)&thread->poll, on_closed);
  uv_close((uv_handle_t *)&thread->prepare, on_closed);
  uv_close((uv_handle_t *)&thread->check, on_closed);
  uv_close((uv_handle_t *)&thread->idle, on_closed);
}
