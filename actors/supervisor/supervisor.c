/// The supervisor: <troupe/supervisor.h>. It stands on the public calls alone, all of which are in
/// its trace, but for an object that makes a stopping actor wait for its children.
#include <troupe/supervisor.h>

#include <stdlib.h>
#include <string.h>
#include <troupe/timer.h>

#include "actors/supervisor/restarts.h"
#include "core/actor/actor.h"

enum {
  MAX_RESTARTS = 5,
  PERIOD_MS = 10000,
  BACKOFF_MS = 10,
  BACKOFF_MAX_MS = 1000,
  GRACE_MS = 1000,
  LISTEN_MS = 10000,
  JOIN_MS = 10000,
  NS_PER_MS = 1000000,
};

typedef struct supervisor supervisor_t;

typedef struct {
  supervisor_t *supervisor;
  const troupe_child_t *spec;
  troupe_actor_t actor;
  bool up;
  troupe_timer_t timer; // of its restart; {0}: none
  int64_t started_ns;
  trp_backoff_t backoff;
} child_t;

struct supervisor {
  trp_object_t object;
  troupe_supervisor_options_t options; // with its defaults filled in
  child_t *children;
  size_t up; // how many
  troupe_address_t *addresses;
  trp_restarts_t restarts;
  troupe_timer_t timer; // of a restart of all; {0}: none
  bool restarting;      // all: none is started before all have ended
  uint32_t wait_ms;     // then
  bool ending;          // none is started any more
  int failure;
};

static void stop(trp_object_t *object, bool at_once);
static void release(trp_object_t *object);
static int check(const troupe_supervisor_options_t *options);
static int make(const troupe_supervisor_options_t *options, supervisor_t **result);
static int hold_addresses(supervisor_t *supervisor);
static void end_children(supervisor_t *supervisor);
static int start(child_t *child);
static int spawn(child_t *child);
static void on_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context);
static void failed(child_t *child);
static void restart_one(troupe_timer_t timer, void *context);
static void restart_all(troupe_timer_t timer, void *context);
static void wait_for_restart(supervisor_t *supervisor, child_t *child, uint32_t wait_ms);
static void stop_children(supervisor_t *supervisor, unsigned grace_ms);
static void end(supervisor_t *supervisor, int failure, unsigned grace_ms);
static void refresh(supervisor_t *supervisor);

static const trp_object_type_t supervisor_type = {.stop = stop, .release = release};

static size_t index_of(const child_t *child) {
  return (size_t)(child - child->supervisor->children);
}

static void tell(const child_t *child, troupe_child_event_t event, int status) {
  const supervisor_t *supervisor = child->supervisor;
  if (supervisor->options.on_child != NULL) {
    supervisor->options.on_child(index_of(child), event, child->actor, status,
                                 supervisor->options.context);
  }
}

int(troupe_supervisor_run)(const troupe_supervisor_options_t *options) {
  return troupe_supervisor_run_at(NULL, options);
}

int troupe_supervisor_run_at(const char *made_at, const troupe_supervisor_options_t *options) {
  if (trp_actor_current() == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  int error = check(options);
  if (error != 0) {
    return error;
  }
  supervisor_t *supervisor = NULL;
  error = make(options, &supervisor);
  if (error != 0) {
    return error;
  }
  supervisor->object.made_at = made_at;
  error = hold_addresses(supervisor);
  for (size_t i = 0; i < options->child_count && error == 0; i++) {
    error = start(&supervisor->children[i]);
    if (error != 0 && error != TROUPE_ESTOPPED) {
      tell(&supervisor->children[i], TROUPE_CHILD_FAILED_TO_START, error);
    }
  }
  int status = error != 0 ? error : troupe_actor_run();
  if (supervisor->failure != 0) {
    status = supervisor->failure;
  }
  // Some are there when one of them could not be started, or the application has ended the actor.
  end_children(supervisor);
  trp_object_remove(&supervisor->object);
  return status;
}

static int check(const troupe_supervisor_options_t *options) {
  if (options == NULL || options->children == NULL || options->child_count == 0 ||
      (options->listens == NULL && options->listen_count > 0) ||
      (unsigned)options->strategy > TROUPE_ALL_FOR_ONE) {
    return TROUPE_EINVAL;
  }
  for (size_t i = 0; i < options->child_count; i++) {
    const troupe_child_t *child = &options->children[i];
    if (child->main == NULL || (unsigned)child->restart > TROUPE_RESTART_NEVER ||
        (child->prepare != NULL && child->argument_size == 0)) {
      return TROUPE_EINVAL;
    }
  }
  return 0;
}

static unsigned or_default(unsigned value, unsigned fallback) {
  return value == 0 ? fallback : value;
}

static int make(const troupe_supervisor_options_t *options, supervisor_t **result) {
  trp_actor_t *actor = trp_actor_current();
  uint64_t id = trp_actor_new_id(actor, 0);
  supervisor_t *made = id == 0 ? NULL : calloc(1, sizeof *made);
  if (made == NULL) {
    return id == 0 ? TROUPE_EOVERFLOW : TROUPE_ENOMEM;
  }
  made->object.type = &supervisor_type;
  made->object.id = id;
  made->options = *options;
  troupe_supervisor_options_t *own = &made->options;
  own->max_restarts = or_default(own->max_restarts, MAX_RESTARTS);
  own->period_ms = or_default(own->period_ms, PERIOD_MS);
  own->backoff_ms = or_default(own->backoff_ms, BACKOFF_MS);
  own->backoff_max_ms = or_default(own->backoff_max_ms, BACKOFF_MAX_MS);
  own->grace_ms = or_default(own->grace_ms, GRACE_MS);
  int64_t period_ns = (int64_t)own->period_ms * NS_PER_MS;
  int error = trp_restarts_init(&made->restarts, own->max_restarts, period_ns);
  made->children = calloc(own->child_count, sizeof *made->children);
  made->addresses = calloc(own->listen_count + 1, sizeof *made->addresses);
  if (error != 0 || made->children == NULL || made->addresses == NULL ||
      trp_object_add(actor, &made->object) != 0) {
    release(&made->object);
    return TROUPE_ENOMEM;
  }
  for (size_t i = 0; i < own->child_count; i++) {
    made->children[i].supervisor = made;
    made->children[i].spec = &own->children[i];
    trp_backoff_init(&made->children[i].backoff, own->backoff_ms, own->backoff_max_ms, period_ns);
  }
  *result = made;
  return 0;
}

static void release(trp_object_t *object) {
  supervisor_t *supervisor = (supervisor_t *)(void *)object;
  trp_restarts_free(&supervisor->restarts);
  free(supervisor->children);
  free(supervisor->addresses);
  free(supervisor);
}

/// Shares that take no connections, and do not keep the supervisor when no child is left.
static int hold_addresses(supervisor_t *supervisor) {
  for (size_t i = 0; i < supervisor->options.listen_count; i++) {
    troupe_listen_options_t options = supervisor->options.listens[i];
    troupe_server_t server;
    options.standby = true;
    int error = troupe_server_new_at(supervisor->object.made_at, NULL, NULL, NULL, &server);
    if (error == 0) {
      error = troupe_server_listen(server, &options);
    }
    if (error == 0) {
      error = troupe_server_listen_wait(server, LISTEN_MS);
    }
    if (error == 0) {
      error = troupe_server_address(server, &supervisor->addresses[i]);
    }
    if (error != 0) {
      return error;
    }
    (void)troupe_server_unref(server);
  }
  return 0;
}

/// Waits for them, and for the last instructions of those whose end was told.
static void end_children(supervisor_t *supervisor) {
  struct troupe_system *system = trp_actor_system(supervisor->object.actor);
  size_t count = supervisor->options.child_count;
  supervisor->ending = true;
  stop_children(supervisor, supervisor->options.grace_ms);
  for (size_t i = count; i-- > 0;) {
    child_t *child = &supervisor->children[i];
    int status = 0;
    if (child->actor.id != 0) {
      (void)troupe_actor_join(system, child->actor, -1, &status);
    }
    if (child->up) {
      (void)troupe_unwatch(child->actor);
      child->up = false;
      supervisor->up--;
      tell(child, TROUPE_CHILD_ENDED, status);
    }
  }
}

// ---- Starting ----

static int start(child_t *child) {
  supervisor_t *supervisor = child->supervisor;
  child->actor.id = 0;
  int error = spawn(child);
  if (error == 0) {
    error = troupe_watch(child->actor, on_down, child);
    if (error != 0) {
      // Nobody would tell of its end.
      struct troupe_system *system = trp_actor_system(supervisor->object.actor);
      (void)troupe_actor_stop(system, child->actor, 0);
      (void)troupe_actor_join(system, child->actor, -1, NULL);
      child->actor.id = 0;
    }
  }
  if (error != 0) {
    return error;
  }
  child->up = true;
  child->started_ns = troupe_now();
  supervisor->up++;
  refresh(supervisor);
  tell(child, TROUPE_CHILD_STARTED, 0);
  return 0;
}

static int spawn(child_t *child) {
  const supervisor_t *supervisor = child->supervisor;
  const troupe_child_t *spec = child->spec;
  troupe_spawn_options_t options = {
      .main = spec->main,
      .name = spec->name,
      .argument = spec->argument,
      .argument_size = spec->argument_size,
      .stack_size = spec->stack_size,
  };
  void *copy = NULL;
  if (spec->prepare != NULL) {
    copy = malloc(spec->argument_size);
    if (copy == NULL) {
      return TROUPE_ENOMEM;
    }
    memcpy(copy, spec->argument, spec->argument_size);
    spec->prepare(copy, supervisor->addresses, supervisor->options.listen_count);
    options.argument = copy;
  }
  int error = troupe_spawn_at(supervisor->object.made_at,
                              trp_actor_system(supervisor->object.actor), &options, &child->actor);
  free(copy);
  return error;
}

/// One that did not come up counts as one that failed.
static void start_again(child_t *child) {
  int error = start(child);
  if (error == TROUPE_ESTOPPED) {
    end(child->supervisor, 0, 0); // the system is stopping
  } else if (error != 0) {
    tell(child, TROUPE_CHILD_FAILED_TO_START, error);
    child->started_ns = troupe_now();
    failed(child);
  }
}

// ---- Ends ----

static void on_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  child_t *child = context;
  supervisor_t *supervisor = child->supervisor;
  bool exited = reason == TROUPE_REASON_EXITED;
  if (reason == TROUPE_REASON_UNKNOWN &&
      troupe_actor_join(trp_actor_system(supervisor->object.actor), actor, JOIN_MS, &status) != 0) {
    exited = true; // it was gone before it was watched, and nobody knows how
  }
  child->up = false;
  supervisor->up--;
  refresh(supervisor);
  tell(child, TROUPE_CHILD_ENDED, status);
  troupe_restart_t restart = child->spec->restart;
  if (supervisor->ending) {
    if (supervisor->up == 0 && supervisor->failure != 0) {
      (void)troupe_actor_end(supervisor->failure);
    }
  } else if (supervisor->restarting) {
    if (supervisor->up == 0) {
      wait_for_restart(supervisor, NULL, supervisor->wait_ms);
    }
  } else if (restart == TROUPE_RESTART_ALWAYS ||
             (restart == TROUPE_RESTART_ON_FAILURE && (status < 0 || exited))) {
    failed(child);
  }
}

static void failed(child_t *child) {
  supervisor_t *supervisor = child->supervisor;
  if (supervisor->ending) {
    return;
  }
  if (!trp_restarts_take(&supervisor->restarts, troupe_now())) {
    end(supervisor, TROUPE_ERESTARTS, supervisor->options.grace_ms);
    return;
  }
  uint32_t wait_ms = trp_backoff_take(&child->backoff, troupe_now() - child->started_ns);
  if (supervisor->options.strategy == TROUPE_ONE_FOR_ONE) {
    wait_for_restart(supervisor, child, wait_ms);
    return;
  }
  supervisor->restarting = true;
  supervisor->wait_ms = wait_ms;
  stop_children(supervisor, supervisor->options.grace_ms);
  if (supervisor->up == 0) {
    wait_for_restart(supervisor, NULL, wait_ms);
  }
}

/// `child` NULL: of all.
static void wait_for_restart(supervisor_t *supervisor, child_t *child, uint32_t wait_ms) {
  int error = child != NULL ? troupe_timer_start_at(trp_made_inside, &child->timer, wait_ms, 0,
                                                    restart_one, child)
                            : troupe_timer_start_at(trp_made_inside, &supervisor->timer, wait_ms, 0,
                                                    restart_all, supervisor);
  if (error != 0) {
    end(supervisor, error, supervisor->options.grace_ms);
  }
}

static void restart_one(troupe_timer_t timer, void *context) {
  child_t *child = context;
  (void)timer;
  child->timer.id = 0;
  start_again(child);
}

static void restart_all(troupe_timer_t timer, void *context) {
  supervisor_t *supervisor = context;
  (void)timer;
  supervisor->timer.id = 0;
  supervisor->restarting = false;
  for (size_t i = 0; i < supervisor->options.child_count; i++) {
    start_again(&supervisor->children[i]);
    if (supervisor->restarting || supervisor->ending) {
      return; // it failed, and those before it are stopped again
    }
  }
}

static void stop_children(supervisor_t *supervisor, unsigned grace_ms) {
  for (size_t i = supervisor->options.child_count; i-- > 0;) {
    if (supervisor->children[i].up) {
      (void)troupe_actor_stop(trp_actor_system(supervisor->object.actor),
                              supervisor->children[i].actor, grace_ms);
    }
  }
}

/// The supervisor goes: with the last child, if there are any.
static void end(supervisor_t *supervisor, int failure, unsigned grace_ms) {
  supervisor->ending = true;
  if (supervisor->failure == 0) {
    supervisor->failure = failure;
  }
  for (size_t i = 0; i < supervisor->options.child_count; i++) {
    (void)troupe_timer_stop(supervisor->children[i].timer);
  }
  (void)troupe_timer_stop(supervisor->timer);
  stop_children(supervisor, grace_ms);
  refresh(supervisor);
  if (supervisor->up == 0 && failure != 0) {
    (void)troupe_actor_end(failure);
  }
}

static void stop(trp_object_t *object, bool at_once) {
  supervisor_t *supervisor = (supervisor_t *)(void *)object;
  end(supervisor, 0, at_once ? 0 : supervisor->options.grace_ms);
}

/// A stopping actor waits for its children.
static void refresh(supervisor_t *supervisor) {
  trp_object_drain(&supervisor->object, supervisor->up > 0);
}
