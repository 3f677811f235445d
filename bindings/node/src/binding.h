// What the parts of the addon share: one binding for each time that it was loaded, and one attached
// actor for each thread of Node's (the main thread and every worker) on that thread's loop.
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
  EVENT_HELD = 16, // the library keeps what else comes
} event_kind_t;

enum {
  EVENT_NUMBERS = 4,
  EVENTS_MAX = 4096,   // a dispatch is left when there are so many
  EVENTS_SPARE = 1024, // room for what a waiting call adds
  SLAB_SIZE = 64 * 1024,
  OWN_FROM = 8 * 1024,      // a payload from this size on gets memory of its own,
  KEEP_FROM = 48 * 1024,    // and from this size on it is handed over, not copied
  LOOK_AFTER = 1024 * 1024, // so many bytes are handed over between two looks of V8's
  HELD_FROM = 256 * 1024,   // so many bytes of a socket are written down while JavaScript waits
};

// An address without the room for a path.
typedef struct brief {
  uint8_t family;
  uint16_t port;
  uint32_t scope_id;
  uint8_t bytes[16];
} brief_t;

// What JavaScript is told when Node would tell it; lib/native.js has the same numbers.
typedef enum late_kind {
  LATE_END,    // of the peer's side: polled for in the next turn of the loop
  LATE_FINISH, // what end() asks for: done after the callbacks of a poll or of timers
  LATE_CLOSE,  // told after the immediates
  LATE_KINDS,
} late_kind_t;

typedef struct binding binding_t;
typedef struct thread thread_t;

// The addresses of a connection that the library does not know yet, or not any more.
typedef struct names {
  brief_t local, remote;
} names_t;

// A socket or a server as JavaScript knows it: by its index.
typedef struct entry {
  binding_t *binding;
  uint64_t handle;                // 0: not open
  names_t *names;                 // NULL: the library knows them, or nobody does
  struct answer_to_write *answer; // while one is waited for
  uint32_t unanswered;            // writes that were asked for one, and have none
  uint32_t round;                 // of the binding, in which bytes were written down while it waits
  size_t waiting;                 // so many
  bool abandoned;                 // a server that JavaScript never heard of
  uint32_t index;
} entry_t;

struct binding {
  napi_env env;
  thread_t *thread; // NULL before it is started
  binding_t *next;  // of this thread
  napi_async_cleanup_hook_handle cleanup;
  bool ending;

  napi_async_context async;
  napi_ref receiver, run, run_late, extras;
  int32_t *events;  // EVENTS_MAX + EVENTS_SPARE of them, then how many were handled
  uint32_t count;   // written down
  uint32_t due;     // of them, to be told now
  uint32_t telling; // of them, that are being told
  uint32_t round;   // how often they were handed over
  uint32_t extra_count;
  uint8_t *slab;
  uint32_t slab_used;
  size_t handed_over;        // bytes, since V8 looked
  uint32_t late[LATE_KINDS]; // how often JavaScript is to be called for each kind

  entry_t **entries;
  uint32_t entry_count, entry_capacity, first_free;
};

#define NO_ENTRY UINT32_MAX

// addon.c
binding_t *binding_of(napi_env env);
// After a call that may have changed what holds the actor.
void binding_settle(binding_t *binding);
void binding_free(binding_t *binding);
entry_t *entry_new(binding_t *binding);                // NULL: no memory
entry_t *entry_at(binding_t *binding, uint32_t index); // NULL: there is none
void entry_free(entry_t *entry);

// thread.c
// Makes this thread an actor, if it is none, and `binding` one of its own. 0 or an error.
int thread_enter(binding_t *binding, uv_loop_t *loop);
// The actor ends, and with it all bindings of the thread, which are freed later.
void thread_end(thread_t *thread);
void thread_settle(thread_t *thread);
// JavaScript has called something that the I/O actor is to do.
void thread_called(thread_t *thread);
bool thread_dispatches(const thread_t *thread);
// JavaScript is called once more for that kind, when its time has come.
void thread_tell_late(binding_t *binding, late_kind_t kind);
// Gives the I/O actor time to answer, and dispatches what it told; not too often, unless urgently.
void thread_ask(thread_t *thread, bool urgently, const bool *answered);
// Whether it does: JavaScript is waiting, and takes nothing meanwhile.
bool thread_asks(const thread_t *thread);
// An idle time is over, which in Node is heard of with the timers, before the loop polls.
void thread_timed_out(thread_t *thread);
// A socket connects, or is one of a descriptor; a server has accepted one. With both in a thread they may be each other's peers.
void thread_connects(thread_t *thread);
void thread_accepts(thread_t *thread);
// Something was written: it is sent, perhaps later.
void thread_wrote(thread_t *thread);
// Sends what was called, and waits until the I/O actor has done it.
void thread_wait_for_io(void);
// The same, now and after all that is written from here on.
void thread_exit(thread_t *thread);

// events.c
void event_add(binding_t *binding, event_kind_t kind, uint32_t index, int32_t a, int32_t b);
// With a value of JavaScript; a handle scope is open.
void event_add_extra(binding_t *binding, event_kind_t kind, uint32_t index, napi_value extra);
void event_add_data(binding_t *binding, uint32_t index, const troupe_chunk_t *chunk);
// Calls JavaScript for all that was written down.
void events_deliver(binding_t *binding);
// The same, `count` times, for what is told late.
void events_deliver_late(binding_t *binding, late_kind_t kind, uint32_t count);

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
napi_status descriptors_export(napi_env env, napi_value exports);
typedef struct function {
  const char *name;
  napi_callback call;
} function_t;
napi_status export_functions(napi_env env, napi_value exports, const function_t *functions,
                             size_t count);

// sockets.c: of accepted sockets.
extern const troupe_socket_handlers_t socket_handlers;
entry_t *socket_accepted(binding_t *binding, troupe_socket_t socket);

// False: nobody knows them.
bool socket_names(const entry_t *entry, names_t *names);

// descriptors.c
brief_t brief_of_address(const troupe_address_t *address);
// Those of a descriptor; what it has none of stays as it is.
void descriptor_names(int fd, names_t *names);

// libuv_check.c: NULL, or why this libuv cannot be used.
const char *libuv_objection(void);

#endif
