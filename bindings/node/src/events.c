// Writing events down, and handing them over.
#include <string.h>

#include "binding.h"

void event_add(binding_t *binding, event_kind_t kind, uint32_t index, int32_t a, int32_t b) {
  if (binding->events == NULL || binding->count >= EVENTS_MAX + EVENTS_SPARE) {
    return; // nobody listens any more; the room is enough otherwise
  }
  int32_t *event = &binding->events[(size_t)binding->count * EVENT_NUMBERS];
  event[0] = (int32_t)kind;
  event[1] = (int32_t)index;
  event[2] = a;
  event[3] = b;
  binding->count++;
  if (thread_dispatches(binding->thread) && binding->count >= EVENTS_MAX) {
    troupe_actor_end(0); // what is left makes the descriptor readable
  }
}

void event_add_extra(binding_t *binding, event_kind_t kind, uint32_t index, napi_value extra) {
  napi_value extras = NULL;
  if (binding->extras == NULL ||
      napi_get_reference_value(binding->env, binding->extras, &extras) != napi_ok) {
    return;
  }
  napi_set_element(binding->env, extras, binding->extra_count, extra);
  event_add(binding, kind, index, (int32_t)binding->extra_count++, 0);
}

static void release_chunk(napi_env env, void *bytes, void *hint) {
  (void)env;
  (void)bytes;
  troupe_chunk_t *chunk = hint;
  // Without its actor, at the end of the environment, the chunk is left to the end of the
  // process.
  if (troupe_actor_self().id != 0) {
    troupe_chunk_free(&chunk);
  }
}

// V8 looks whether young buffers hold much memory only when it allocates one itself. Without that
// look, those that were handed over lie about until the whole heap is collected, which stops
// everything for milliseconds, and the memory that comes next is never that which was used before.
static void pace(binding_t *binding, size_t length) {
  binding->handed_over += length;
  if (binding->handed_over >= LOOK_AFTER) {
    void *bytes = NULL;
    napi_value unused = NULL;
    binding->handed_over = 0;
    (void)napi_create_arraybuffer(binding->env, 1, &bytes, &unused);
  }
}

// By reference: the Buffer is the memory that the I/O actor read into.
static bool hand_over(binding_t *binding, uint32_t index, const troupe_chunk_t *chunk) {
  troupe_chunk_t *kept = NULL;
  if (troupe_chunk_keep(chunk, &kept) != 0) {
    return false;
  }
  napi_value buffer = NULL;
  // Its bytes are nobody else's to change: nobody else has them.
  void *bytes = (void *)(uintptr_t)troupe_chunk_bytes(kept);
  if (napi_create_external_buffer(binding->env, troupe_chunk_length(kept), bytes, release_chunk,
                                  kept, &buffer) != napi_ok) {
    troupe_chunk_free(&kept);
    return false;
  }
  event_add_extra(binding, EVENT_BUFFER, index, buffer);
  pace(binding, troupe_chunk_length(kept));
  return true;
}

static bool copy_alone(binding_t *binding, uint32_t index, const troupe_chunk_t *chunk) {
  void *bytes = NULL;
  napi_value buffer = NULL;
  if (napi_create_buffer_copy(binding->env, troupe_chunk_length(chunk), troupe_chunk_bytes(chunk),
                              &bytes, &buffer) != napi_ok) {
    return false;
  }
  event_add_extra(binding, EVENT_BUFFER, index, buffer);
  return true;
}

static bool take_slab(binding_t *binding) {
  void *bytes = NULL;
  napi_value slab = NULL;
  if (napi_create_arraybuffer(binding->env, SLAB_SIZE, &bytes, &slab) != napi_ok) {
    return false;
  }
  binding->slab = bytes;
  binding->slab_used = 0;
  event_add_extra(binding, EVENT_SLAB, 0, slab);
  return true;
}

static void use_slab(binding_t *binding, uint32_t until) {
  // Buffers begin at multiples of 8, as those that Node makes.
  binding->slab_used = (until + 7) & ~7U;
  if (binding->slab_used > SLAB_SIZE) {
    binding->slab_used = SLAB_SIZE;
  }
}

// Behind what came before, if that was not told yet: Node reads all that there is at once.
static bool append(binding_t *binding, uint32_t index, const uint8_t *bytes, size_t length) {
  if (binding->count <= binding->telling || binding->count <= binding->due) {
    return false;
  }
  int32_t *last = &binding->events[(size_t)(binding->count - 1) * EVENT_NUMBERS];
  uint32_t end = (uint32_t)(last[2] + last[3]);
  if (last[0] != EVENT_DATA || (uint32_t)last[1] != index || length > SLAB_SIZE - end) {
    return false;
  }
  memcpy(binding->slab + end, bytes, length);
  last[3] += (int32_t)length;
  use_slab(binding, end + (uint32_t)length);
  return true;
}

static void copy(binding_t *binding, uint32_t index, const uint8_t *bytes, size_t length) {
  if (append(binding, index, bytes, length)) {
    return;
  }
  while (length > 0) {
    if ((binding->slab == NULL || binding->slab_used == SLAB_SIZE ||
         (SLAB_SIZE - binding->slab_used < length && length <= OWN_FROM)) &&
        !take_slab(binding)) {
      return; // JavaScript has no memory left; it ends the process by itself
    }
    uint32_t room = SLAB_SIZE - binding->slab_used;
    uint32_t part = length < room ? (uint32_t)length : room;
    memcpy(binding->slab + binding->slab_used, bytes, part);
    event_add(binding, EVENT_DATA, index, (int32_t)binding->slab_used, (int32_t)part);
    use_slab(binding, binding->slab_used + part);
    bytes += part;
    length -= part;
  }
}

void event_add_data(binding_t *binding, uint32_t index, const troupe_chunk_t *chunk) {
  napi_handle_scope scope = NULL;
  napi_open_handle_scope(binding->env, &scope);
  size_t length = troupe_chunk_length(chunk);
  if ((length < KEEP_FROM || !hand_over(binding, index, chunk)) &&
      (length < OWN_FROM || !copy_alone(binding, index, chunk))) {
    copy(binding, index, troupe_chunk_bytes(chunk), length);
  }
  napi_close_handle_scope(binding->env, scope);
}

// An exception that nobody caught: as if Node's own code had called the handler.
static void tell_uncaught(binding_t *binding) {
  bool pending = false;
  napi_value error = NULL;
  if (napi_is_exception_pending(binding->env, &pending) == napi_ok && pending &&
      napi_get_and_clear_last_exception(binding->env, &error) == napi_ok) {
    napi_fatal_exception(binding->env, error);
  }
}

// Like napi_make_callback(); but an exception in what the function puts off, such as an 'error' that nobody listens to, is not
// caught on the way, so that Node tells where it was thrown.
static napi_status make_callback(binding_t *binding, napi_ref reference, size_t count,
                                 const napi_value *arguments) {
  napi_env env = binding->env;
  napi_callback_scope scope = NULL;
  napi_value receiver = NULL;
  napi_value function = NULL;
  napi_value result = NULL;
  napi_get_reference_value(env, binding->receiver, &receiver);
  napi_get_reference_value(env, reference, &function);
  napi_status status = napi_open_callback_scope(env, receiver, binding->async, &scope);
  if (status != napi_ok) {
    return status;
  }
  status = napi_call_function(env, receiver, function, count, arguments, &result);
  if (status == napi_pending_exception) {
    tell_uncaught(binding);
  }
  napi_close_callback_scope(env, scope);
  return status;
}

void events_deliver_late(binding_t *binding, late_kind_t kind, uint32_t count) {
  napi_env env = binding->env;
  for (uint32_t i = 0; i < count && !binding->ending; i++) {
    napi_handle_scope scope = NULL;
    napi_value arguments[2];
    if (napi_open_handle_scope(env, &scope) != napi_ok) {
      return;
    }
    napi_create_int32(env, (int32_t)kind, &arguments[0]);
    napi_get_boolean(env, i == 0, &arguments[1]);
    make_callback(binding, binding->run_late, 2, arguments);
    napi_close_handle_scope(env, scope);
  }
}

void events_deliver(binding_t *binding) {
  napi_env env = binding->env;
  int32_t *handled = &binding->events[(size_t)(EVENTS_MAX + EVENTS_SPARE) * EVENT_NUMBERS];
  uint32_t count = binding->due;
  binding->due = 0;
  binding->telling = count;
  *handled = 0;
  binding->round++;
  while ((uint32_t)*handled < count && !binding->ending) {
    napi_handle_scope scope = NULL;
    napi_value numbers[2];
    if (napi_open_handle_scope(env, &scope) != napi_ok) {
      return;
    }
    napi_create_int32(env, *handled, &numbers[0]);
    napi_create_uint32(env, count, &numbers[1]);
    int32_t before = *handled;
    napi_status status = make_callback(binding, binding->run, 2, numbers);
    bool stuck = status != napi_ok && *handled == before;
    napi_close_handle_scope(env, scope);
    if (stuck) {
      return; // the environment is at its end
    }
  }
  if (binding->ending) {
    return;
  }
  binding->telling = 0;
  binding->count -= count;
  memmove(binding->events, &binding->events[(size_t)count * EVENT_NUMBERS],
          (size_t)binding->count * EVENT_NUMBERS * sizeof *binding->events);
  if (binding->count == 0) {
    binding->extra_count = 0;
  }
}
