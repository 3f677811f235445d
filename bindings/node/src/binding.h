// What the parts of the addon share: one binding for each environment of Node (the main thread and
// every worker), which is an attached actor on that thread's loop.
//
// What the library tells during a dispatch is written down as events, and JavaScript is called for
// them: once for data of many sockets, and for anything else by itself, so that what an event puts
// off (process.nextTick, promises) runs before the next one, as in Node.
#ifndef TROUPE_NODE_BINDING_H_INCLUDED
#define TROUPE_NODE_BINDING_H_INCLUDED

#define NAPI_VERSION 9
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <troupe/troupe.h>
#include <uv.h>

// What an event is; lib/native.js has the same numbers. Four numbers each: kind, socket or server,
// and two more.
typedef enum event_kind {
  EVENT_DATA = 1,   // offset and length in the current slab
  EVENT_BUFFER = 2, // which extra is the Buffer
  EVENT_SLAB = 3,   // which extra is the new slab
  EVENT_END = 4,
  EVENT_WRITTEN = 5,  // 0 or an error value
  EVENT_FINISHED = 6, // the same, of the end
  EVENT_CONNECT = 7,
  EVENT_ATTEMPT = 8,    // which extra is [address, port, family]
  EVENT_FAILED = 9,     // which extra is [address, port, family, error]
  EVENT_TIMED_OUT = 10, // which extra is [address, port, family]
  EVENT_TIMEOUT = 11,
  EVENT_ERROR = 12, // which extra is the error
  EVENT_CLOSE = 13,
  EVENT_CONNECTION = 14, // a socket; of which server
  EVENT_SERVER_CLOSE = 15,
} event_kind_t;

enum {
  EVENT_NUMBERS = 4,
  EVENTS_MAX = 4096,   // a dispatch is left when there are so many
  EVENTS_SPARE = 1024, // room for what a waiting call adds
  SLAB_SIZE = 64 * 1024,
  OWN_FROM = 8 * 1024,   // a payload from this size on gets memory of its own,
  KEEP_FROM = 64 * 1024, // and from this size on it is handed over, not copied
  FLUSH_WRITES = 32,     // so many writes are not kept back for more
};

// An address without the room for a path.
typedef struct brief {
  uint8_t family;
  uint16_t port;
  uint32_t scope_id;
  uint8_t bytes[16];
} brief_t;

typedef struct binding binding_t;

// A socket or a server as JavaScript knows it: by its index.
typedef struct entry {
  binding_t *binding;
  uint32_t index;
  uint32_t next_free;
  uint64_t handle; // 0: not open
  bool is_server;
  bool closed;           // the library has told its close
  brief_t local, remote; // as they were when it was connected
} entry_t;

struct binding {
  napi_env env;
  uv_loop_t *loop;
  uv_poll_t poll;
  uv_prepare_t prepare;
  napi_async_cleanup_hook_handle cleanup;
  unsigned open_handles; // of the two
  bool attached, held, dispatching, ending;
  unsigned unflushed; // writes

  napi_async_context async;
  napi_ref receiver, run, extras;
  int32_t *events; // EVENTS_MAX + EVENTS_SPARE of them, then how many were handled
  uint32_t count;  // written down
  uint32_t extra_count;
  uint8_t *slab;
  uint32_t slab_used;

  entry_t **entries;
  uint32_t entry_count, entry_capacity, first_free;
};

#define NO_ENTRY UINT32_MAX

// addon.c
binding_t *binding_of(napi_env env);
// After a call that may have changed what holds the actor.
void binding_settle(binding_t *binding);
// Sends what was called, and waits until the I/O actor has done it.
void binding_wait_for_io(void);
entry_t *entry_new(binding_t *binding);                // NULL: no memory
entry_t *entry_at(binding_t *binding, uint32_t index); // NULL: there is none
void entry_free(entry_t *entry);

// events.c
void event_add(binding_t *binding, event_kind_t kind, uint32_t index, int32_t a, int32_t b);
// With a value of JavaScript; a handle scope is open.
void event_add_extra(binding_t *binding, event_kind_t kind, uint32_t index, napi_value extra);
void event_add_data(binding_t *binding, uint32_t index, const troupe_chunk_t *chunk);
// Calls JavaScript for all that was written down.
void events_deliver(binding_t *binding);

// values.c
napi_value value_of_text(napi_env env, const char *text); // NULL gives undefined
napi_value value_of_int(napi_env env, int64_t number);
napi_value value_of_error(napi_env env, const troupe_error_t *error);
napi_value value_of_address(napi_env env, const troupe_address_t *address);
// Of an object's property; what is missing or of another type gives the default.
int64_t int_property(napi_env env, napi_value object, const char *name, int64_t otherwise);
bool bool_property(napi_env env, napi_value object, const char *name);
// A longer path of a Unix socket is cut, as Node does.
static inline size_t cut_path(size_t length) {
  return length > TROUPE_PATH_MAX ? TROUPE_PATH_MAX : length;
}
// NULL, or a text to be freed; with its length.
char *text_property(napi_env env, napi_value object, const char *name, size_t *length);
char *text_argument(napi_env env, napi_value value, size_t *length);
// Arguments of a call: how many were wanted; missing ones are undefined.
void arguments_of(napi_env env, napi_callback_info info, size_t count, napi_value *values);
uint32_t index_argument(napi_env env, napi_value value); // NO_ENTRY for what is no number
int32_t int_argument(napi_env env, napi_value value);
bool bool_argument(napi_env env, napi_value value);

// Each adds its functions to the addon's exports.
napi_status sockets_export(napi_env env, napi_value exports);
napi_status servers_export(napi_env env, napi_value exports);
napi_status addresses_export(napi_env env, napi_value exports);
napi_status export_function(napi_env env, napi_value exports, const char *name, napi_callback call);

// sockets.c: of accepted sockets.
extern const troupe_socket_handlers_t socket_handlers;
entry_t *socket_accepted(binding_t *binding, troupe_socket_t socket);

// libuv_check.c: NULL, or why this libuv cannot be used.
const char *libuv_objection(void);

#endif
