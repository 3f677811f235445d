// The addon: what Node loads, once for each time that the module is loaded on a thread.
#include <stdio.h>
#include <stdlib.h>

#include "binding.h"

binding_t *binding_of(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

void binding_settle(binding_t *binding) {
  thread_called(binding->thread);
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
  free(entry->names);
  free(entry);
}

// ---- Beginning and end ----

void binding_free(binding_t *binding) {
  for (uint32_t i = 0; i < binding->entry_count; i++) {
    entry_t *entry = entry_at(binding, i);
    if (entry != NULL) {
      free(entry->names);
      free(entry);
    }
  }
  free(binding->entries);
  napi_remove_async_cleanup_hook(binding->cleanup);
  free(binding);
}

static void clean_up(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  thread_end(((binding_t *)data)->thread);
}

static napi_value refuse(napi_env env, const char *what, const char *why) {
  char text[300];
  snprintf(text, sizeof text, "troupe-net: %s: %s", what, why);
  napi_throw_error(env, "ERR_TROUPE_NET", text);
  return NULL;
}

// start(run, events, extras, resource, runLate): `events` is the array of numbers in which events
// are written down, `extras` the one of their values.
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value argument[5];
  arguments_of(env, info, 5, argument);
  binding_t *binding = binding_of(env);
  size_t length = 0;
  void *events = NULL;
  napi_typedarray_type type = napi_int8_array;
  napi_value name = NULL;
  uv_loop_t *loop = NULL;
  if (napi_get_typedarray_info(env, argument[1], &type, &length, &events, NULL, NULL) != napi_ok ||
      type != napi_int32_array || length <= (size_t)(EVENTS_MAX + EVENTS_SPARE) * EVENT_NUMBERS) {
    return refuse(env, "start", "the array for events has the wrong size");
  }
  if (binding->thread != NULL || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    return refuse(env, "start", "it was started already");
  }
  int error = thread_enter(binding, loop);
  if (error != 0) {
    return refuse(env, "this thread cannot be attached", troupe_error_message(error));
  }
  binding->events = events;
  napi_create_string_utf8(env, "TROUPE", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, argument[3], name, &binding->async);
  napi_create_reference(env, argument[0], 1, &binding->run);
  napi_create_reference(env, argument[2], 1, &binding->extras);
  napi_create_reference(env, argument[3], 1, &binding->receiver);
  napi_create_reference(env, argument[4], 1, &binding->run_late);
  napi_add_async_cleanup_hook(env, clean_up, binding, &binding->cleanup);
  return NULL;
}

// exiting(): what was written reaches the kernel, as far as it takes it, before this returns, and
// from here on before each write does.
static napi_value exiting(napi_env env, napi_callback_info info) {
  (void)info;
  const binding_t *binding = binding_of(env);
  if (binding->thread != NULL) {
    thread_exit(binding->thread);
  }
  return NULL;
}

// tellLate(kind): runLate(kind, …) is called when Node would tell that.
static napi_value tell_late(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  thread_tell_late(binding_of(env), (late_kind_t)int_argument(env, argument[0]));
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
  static const function_t functions[] = {
      {"start", start}, {"exiting", exiting}, {"tellLate", tell_late}};
  if (napi_set_instance_data(env, binding, NULL, NULL) != napi_ok ||
      export_functions(env, exports, functions, sizeof functions / sizeof functions[0]) !=
          napi_ok ||
      sockets_export(env, exports) != napi_ok || servers_export(env, exports) != napi_ok ||
      addresses_export(env, exports) != napi_ok || descriptors_export(env, exports) != napi_ok) {
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
