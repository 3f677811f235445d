// The addon: one system of actors for the process, one attached actor for each environment.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "binding.h"

// Shared by all environments; made by the first one. It lives as long as the process: the addon is
// linked with -z nodelete, so that its threads keep the code they run.
static struct {
  pthread_mutex_t mutex;
  troupe_system_t *system;
  unsigned users;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

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
    troupe_system_wait(shared.system, 1000, NULL, 0, NULL);
    troupe_system_free(&shared.system);
  }
  pthread_mutex_unlock(&shared.mutex);
}

binding_t *binding_of(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

void binding_settle(binding_t *binding) {
  bool held = troupe_actor_held() || (binding->count > 0 && !binding->dispatching);
  if (held != binding->held && !binding->ending) {
    binding->held = held;
    (held ? uv_ref : uv_unref)((uv_handle_t *)&binding->poll);
  }
}

void binding_wait_for_io(void) {
  troupe_system_counters_t counters;
  troupe_flush();
  // What was sent is taken in the turn after the one that is going on, at the latest.
  for (int i = 0; i < 2; i++) {
    troupe_system_counters(shared.system, &counters);
  }
}

// ---- The table of sockets and servers ----

entry_t *entry_new(binding_t *binding) {
  if (binding->first_free == NO_ENTRY && binding->entry_count == binding->entry_capacity) {
    uint32_t capacity = binding->entry_capacity == 0 ? 64 : binding->entry_capacity * 2;
    entry_t **grown = realloc(binding->entries, capacity * sizeof *grown);
    if (grown == NULL) {
      return NULL;
    }
    binding->entries = grown;
    binding->entry_capacity = capacity;
  }
  entry_t *entry = calloc(1, sizeof *entry);
  if (entry == NULL) {
    return NULL;
  }
  entry->binding = binding;
  if (binding->first_free != NO_ENTRY) {
    entry->index = binding->first_free;
    // A free place holds the index of the next one.
    binding->first_free = (uint32_t)(uintptr_t)binding->entries[entry->index] >> 1;
    if (binding->first_free == NO_ENTRY >> 1) {
      binding->first_free = NO_ENTRY;
    }
  } else {
    entry->index = binding->entry_count++;
  }
  binding->entries[entry->index] = entry;
  return entry;
}

entry_t *entry_at(binding_t *binding, uint32_t index) {
  if (index >= binding->entry_count || ((uintptr_t)binding->entries[index] & 1) != 0) {
    return NULL;
  }
  return binding->entries[index];
}

void entry_free(entry_t *entry) {
  binding_t *binding = entry->binding;
  uintptr_t next = binding->first_free == NO_ENTRY ? NO_ENTRY >> 1 : binding->first_free;
  binding->entries[entry->index] = (entry_t *)(next << 1 | 1);
  binding->first_free = entry->index;
  free(entry);
}

// ---- The loop ----

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  binding_t *binding = poll->data;
  napi_handle_scope scope = NULL;
  if (binding->ending || napi_open_handle_scope(binding->env, &scope) != napi_ok) {
    return;
  }
  binding->dispatching = true;
  troupe_dispatch();
  binding->dispatching = false;
  events_deliver(binding);
  napi_close_handle_scope(binding->env, scope);
  if (!binding->ending) {
    binding->unflushed = 0;
    troupe_flush();
    binding_settle(binding);
  }
}

// Before the loop sleeps: all that JavaScript called in this turn leaves together.
static void on_prepare(uv_prepare_t *prepare) {
  binding_t *binding = prepare->data;
  if (binding->ending) {
    return;
  }
  napi_handle_scope scope = NULL;
  if (binding->count > 0 && napi_open_handle_scope(binding->env, &scope) == napi_ok) {
    events_deliver(binding); // of a call that waited
    napi_close_handle_scope(binding->env, scope);
  }
  binding->unflushed = 0;
  troupe_flush();
  binding_settle(binding);
}

// ---- Beginning and end ----

static void on_closed(uv_handle_t *handle) {
  binding_t *binding = handle->data;
  if (--binding->open_handles > 0) {
    return;
  }
  napi_async_cleanup_hook_handle cleanup = binding->cleanup;
  for (uint32_t i = 0; i < binding->entry_count; i++) {
    if (entry_at(binding, i) != NULL) {
      free(binding->entries[i]);
    }
  }
  free(binding->entries);
  free(binding);
  napi_remove_async_cleanup_hook(cleanup);
}

static void clean_up(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  binding_t *binding = data;
  binding->ending = true;
  binding->events = NULL; // it goes with the environment
  if (binding->attached) {
    binding_wait_for_io();
    troupe_detach(0);
    leave_system();
    binding->attached = false;
  }
  uv_close((uv_handle_t *)&binding->poll, on_closed);
  uv_close((uv_handle_t *)&binding->prepare, on_closed);
}

static napi_value refuse(napi_env env, const char *what, const char *why) {
  char text[300];
  snprintf(text, sizeof text, "troupe-net: %s: %s", what, why);
  napi_throw_error(env, "ERR_TROUPE_NET", text);
  return NULL;
}

static int attach(binding_t *binding) {
  static const troupe_attach_options_t options = {.name = "node", .flush_by_hand = true};
  int error = use_system();
  if (error != 0) {
    return error;
  }
  error = troupe_attach(shared.system, &options, NULL);
  if (error != 0) {
    leave_system();
    return error;
  }
  binding->attached = true;
  return 0;
}

// start(run, events, extras, resource): attaches this thread. `events` is the array of numbers in
// which events are written down, `extras` the one of their values.
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value argument[4];
  arguments_of(env, info, 4, argument);
  binding_t *binding = binding_of(env);
  if (binding->attached) {
    return NULL;
  }
  size_t length = 0;
  void *events = NULL;
  napi_typedarray_type type = napi_int8_array;
  napi_value name = NULL;
  if (napi_get_typedarray_info(env, argument[1], &type, &length, &events, NULL, NULL) != napi_ok ||
      type != napi_int32_array || length <= (size_t)(EVENTS_MAX + EVENTS_SPARE) * EVENT_NUMBERS) {
    return refuse(env, "start", "the array for events has the wrong size");
  }
  int error = attach(binding);
  if (error != 0) {
    return refuse(env, "this thread cannot be attached", troupe_error_message(error));
  }
  binding->events = events;
  napi_create_string_utf8(env, "TROUPE", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, argument[3], name, &binding->async);
  napi_create_reference(env, argument[0], 1, &binding->run);
  napi_create_reference(env, argument[2], 1, &binding->extras);
  napi_create_reference(env, argument[3], 1, &binding->receiver);
  uv_poll_init(binding->loop, &binding->poll, troupe_attach_fd());
  uv_prepare_init(binding->loop, &binding->prepare);
  binding->poll.data = binding->prepare.data = binding;
  binding->open_handles = 2;
  uv_poll_start(&binding->poll, UV_READABLE, on_ready);
  uv_prepare_start(&binding->prepare, on_prepare);
  uv_unref((uv_handle_t *)&binding->poll);
  uv_unref((uv_handle_t *)&binding->prepare);
  napi_add_async_cleanup_hook(env, clean_up, binding, &binding->cleanup);
  return NULL;
}

// flush(): what was written reaches the kernel, as far as it takes it, before this returns.
static napi_value flush(napi_env env, napi_callback_info info) {
  (void)info;
  if (binding_of(env)->attached) {
    binding_wait_for_io();
  }
  return NULL;
}

static napi_value initialize(napi_env env, napi_value exports) {
  const char *objection = libuv_objection();
  if (objection != NULL) {
    return refuse(env, "this Node's libuv does not fit", objection);
  }
  binding_t *binding = calloc(1, sizeof *binding);
  if (binding == NULL) {
    return refuse(env, "it cannot be loaded", "there is no memory");
  }
  binding->env = env;
  binding->first_free = NO_ENTRY;
  if (napi_get_uv_event_loop(env, &binding->loop) != napi_ok ||
      napi_set_instance_data(env, binding, NULL, NULL) != napi_ok ||
      export_function(env, exports, "start", start) != napi_ok ||
      export_function(env, exports, "flush", flush) != napi_ok ||
      sockets_export(env, exports) != napi_ok || servers_export(env, exports) != napi_ok ||
      addresses_export(env, exports) != napi_ok) {
    free(binding);
    return refuse(env, "it cannot be loaded", "Node-API failed");
  }
  return exports;
}

// What Node looks for.
NAPI_MODULE_EXPORT int32_t node_api_module_get_api_version_v1(void);
NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

int32_t node_api_module_get_api_version_v1(void) {
  return NAPI_VERSION;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  return initialize(env, exports);
}
