/// Private. What a socket is made of, for the files of core/net that share the work: socket.c (its
/// life), socket_events.c (what it is told), connect.c, socket_write.c, socket_read.c, socket_text.c, socket_options.c,
/// socket_give.c.
///
/// Everything runs in the actor's thread, inside a public call or a dispatch. Nothing blocks.
#ifndef TRP_SOCKET_H_INCLUDED
#define TRP_SOCKET_H_INCLUDED

#include <troupe/server.h>
#include <troupe/timer.h>

#include "core/actor/actor.h"
#include "core/net/abort.h"
#include "core/net/chunk.h"
#include "core/net/endpoint.h"
#include "core/net/socket_states.h"

enum {
  TRP_HIGH_WATER_MARK = 16 * 1024,
  TRP_WRITE_LIMIT = 16 * 1024 * 1024,
  TRP_TIMEOUT_MAX_MS = INT32_MAX,
  TRP_HOST_MAX = 1024,
};

typedef struct trp_socket trp_socket_t;

/// Bytes that came and wait: the socket is paused, or nobody takes them.
typedef struct trp_unread {
  struct trp_unread *next;
  troupe_chunk_t *chunk;
  uint32_t done; // bytes of it that were given out (onread)
  uint32_t cost;
} trp_unread_t;

/// Callbacks of writes and of end(), in order: a ring that grows.
typedef struct trp_waiter {
  uint64_t end; // called when so many bytes are with the kernel
  bool finish;  // called when FIN is sent
  troupe_written_fn call;
  void *context;
} trp_waiter_t;

typedef struct trp_waiters {
  uint32_t capacity, first, count; // capacity is a power of two
  trp_waiter_t ring[];
} trp_waiters_t;

/// A write that waits for the application's look-up.
typedef struct trp_early {
  struct trp_early *next;
  troupe_chunk_t *chunk; // NULL: of no bytes
  bool notify;
} trp_early_t;

/// Where to connect to, checked.
typedef struct trp_goal {
  const char *host;
  troupe_address_t address; // family 0: `host` is a name
  troupe_address_t local;
  char local_text[TROUPE_ADDRESS_TEXT_SIZE]; // `local` as it was written
  uint16_t port, local_port;
  int family;
  unsigned hints;
  bool selects;  // family autoselection is on, and
  bool parallel; // gives up no attempt for the next
  unsigned attempt_timeout_ms;
} trp_goal_t;

/// The application's own look-up, from connect to its answer.
typedef struct trp_lookup {
  trp_goal_t goal;
  char *host; // goal.host
  troupe_lookup_fn call;
  void *context;
  bool asked, answered, taken;
  int error;
  int64_t began_ns;
  troupe_timer_t deadline; // for connecting, while the I/O actor does not know of it
  troupe_address_t *addresses;
  size_t count;
  trp_early_t *early, **early_last;
} trp_lookup_t;

typedef struct trp_text_reader trp_text_reader_t;
typedef struct trp_give trp_give_t;

/// What few sockets need.
typedef struct trp_extra {
  const troupe_onread_t *onread;
  void *onread_buffer; // the one to be filled next, of onread->next_buffer
  size_t onread_size;
  troupe_address_t *attempted;
  size_t attempted_count;
  trp_lookup_t *lookup;
  uint32_t looked_up_ms; // how much of the deadline for connecting its own look-up took
  troupe_timer_t timer;  // the timeout while the I/O actor does not know the socket
  trp_abort_link_t signal;
  trp_object_t *link; // of one that was connected again: stands in the actor's table for `wire`
  trp_text_reader_t *reader; // NULL: it gives out bytes
  trp_give_t *give;          // NULL: it is not given away
} trp_extra_t;

struct trp_socket {
  trp_object_t object;
  uint64_t wire; // the id by which the I/O actor knows it: the object's own, but for one that was
                 // connected again
  const troupe_socket_handlers_t *handlers; // never NULL
  void *context;
  uint64_t server; // which accepted it
  uint64_t bytes_read;
  uint64_t bytes_written;  // all that were taken; `through` of events counts the same
  uint64_t acknowledged;   // of those, with the kernel as far as is known here
  uint64_t notified;       // bytes_written of the last write that asked to be told
  uint64_t consumed, told; // cost of data events; what the I/O actor knows of it
  trp_unread_t *unread, *unread_last;
  trp_waiters_t *waiters;
  trp_extra_t *extra;
  troupe_error_t *error; // of `failure`; NULL: nothing but the code is known
  uint32_t high_water_mark;
  uint32_t epoch;
  uint32_t timeout_ms;
  uint32_t keep_alive_delay_s;
  troupe_deadlines_t deadlines;
  uint32_t linger_ms;
  uint16_t attempts;  // to connect that were told, and their end was not
  unsigned state : 8; // of trp_socket_state_t
  troupe_choice_t no_delay : 2, keep_alive : 2;
  bool allow_half_open : 1;
  bool reset_ends : 1;
  bool made : 1;       // by troupe_socket_new(): stays after on_close
  bool freed : 1;      // by troupe_socket_free(): goes after on_close
  bool is_unix : 1;    // or a pipe: no TCP
  bool introduced : 1; // what there is to know of its peer is known
  bool has_peer : 1;   // its credentials are
  bool unref : 1;
  bool aborted : 1;      // its signal was, before it was made: it fails after the current callback
  bool timeout_over : 1; // it was set for an earlier connection, and does not run for this one
  bool paused : 1;
  bool stopped : 1; // by onread, until it is resumed
  bool unheard : 1; // paused since before there was a connection: nobody listens to the peer
  bool wants_drain : 1;
  bool connected : 1;   // has been, in this life
  bool ends_itself : 1; // once the callback has returned
  bool end_waits : 1;   // EVENT_END came; unread bytes are before it
  bool close_waits : 1; // EVENT_CLOSE came; unread bytes are before it
  bool failure_told : 1;
  bool had_error : 1;
  bool owes_destroy : 1;  // there was no memory for the command
  bool giving : 1;        // to another actor: nothing is told, and no call changes it
  bool timeout_waits : 1; // came meanwhile
  uint64_t write_limit;
  trp_endpoint_t local, remote;
  int failure; // it has failed, or was destroyed with this; 0: not
  struct {
    int32_t pid;
    uint32_t uid, gid;
  } peer; // if has_peer
};

// ---- socket.c ----

/// The socket of a handle: 0, TROUPE_ESTALE or TROUPE_EWRONGTHREAD.
int trp_socket_get(troupe_socket_t handle, trp_socket_t **socket);
/// The same for a call that changes the connection: TROUPE_EGIVING, too.
int trp_socket_get_own(troupe_socket_t handle, trp_socket_t **socket);
static inline troupe_socket_t trp_socket_handle(const trp_socket_t *socket) {
  return (troupe_socket_t){.id = socket->object.id};
}

/// Makes one, in the actor's table. `made` as in the struct; `fd` is what it adopts, or -1. 0 or an
/// error.
int trp_socket_make(const troupe_socket_options_t *options,
                    const troupe_socket_handlers_t *handlers, void *context, bool made, int fd,
                    trp_socket_t **result);

/// A server accepted it: `detail` is of its EVENT_CONNECTION. NULL: no memory; the I/O actor still
/// has it.
trp_socket_t *trp_socket_accept(trp_actor_t *actor, const troupe_server_options_t *options,
                                uint64_t server, const Troupe__Wire__Connection *detail);

/// Another actor gave it: as trp_socket_accept(). What it had is the caller's to fill in.
trp_socket_t *trp_socket_take_over(trp_actor_t *actor, uint64_t wire,
                                   const Troupe__Wire__Handed *detail);

/// Carries out a step of the table, but for REFUSE, ASK, SEND_CONNECT and TAKE, which are their
/// callers'. 0, or TROUPE_ENOMEM: nothing was done.
int trp_socket_enact(trp_socket_t *socket, trp_socket_step_t step);
/// The table, then that. TROUPE_EINVAL: refused.
int trp_socket_step(trp_socket_t *socket, trp_socket_event_t what);

/// Destroys it with an error that arose here, which is told after the current callback. `error`
/// (NULL is fine) is consumed.
void trp_socket_fail(trp_socket_t *socket, int code, troupe_error_t *error);

/// What few sockets have; made at need. NULL: no memory.
trp_extra_t *trp_socket_extra(trp_socket_t *socket);

/// Holds the actor, or not, as it should now.
void trp_socket_refresh(trp_socket_t *socket);

/// Whether nothing comes from the peer: nobody listens to it, or it has ended.
static inline bool trp_socket_is_deaf(const trp_socket_t *socket) {
  return socket->unheard || socket->stopped || socket->state == TRP_SOCKET_PEER_ENDED;
}

/// Its marks as options give them.
void trp_socket_set_marks(trp_socket_t *socket, size_t high_water_mark, size_t write_limit);

/// A fresh id for the I/O actor, for one that connects again; taken back. 0 or an error.
int trp_socket_link(trp_socket_t *socket);
void trp_socket_unlink(trp_socket_t *socket);

/// Calls a handler, if there is one: TRP_SOCKET_TELL(socket, on_end, (handle, context)).
#define TRP_SOCKET_TELL(socket, slot, arguments)                                                   \
  do {                                                                                             \
    if ((socket)->handlers->slot != NULL) {                                                        \
      trp_actor_enter((socket)->object.actor);                                                     \
      (socket)->handlers->slot arguments;                                                          \
      trp_actor_leave((socket)->object.actor);                                                     \
    }                                                                                              \
  } while (0)

/// A command about this socket, with what must be on each. NULL: no memory.
trp_message_t *trp_socket_command(trp_socket_t *socket, Troupe__Wire__Kind kind);

/// One with nothing more in it. 0 or TROUPE_ENOMEM.
int trp_socket_send_bare(trp_socket_t *socket, Troupe__Wire__Kind kind, uint32_t flags);

// ---- socket_events.c ----

/// An event of the socket whose object this is.
void trp_socket_receive(trp_object_t *object, const trp_in_t *in, const trp_message_t *message);
/// The event that there is a connection says who is at the other end. NULL: it does not.
void trp_socket_take_credentials(trp_socket_t *socket, const Troupe__Wire__Credentials *wire);

// ---- connect.c ----

void trp_socket_run_lookup(trp_socket_t *socket); // asks it, or takes its answer, when that is due
void trp_socket_drop_lookup(trp_socket_t *socket);
/// The deadline for connecting was changed while it looks up. 0 or an error.
int trp_socket_watch_lookup(trp_socket_t *socket);
int trp_socket_send_early(trp_socket_t *socket);
/// A write that waits for the look-up: `chunk` is consumed. NULL: no memory, it is not.
trp_early_t *trp_socket_add_early(trp_socket_t *socket, troupe_chunk_t *chunk);

// ---- socket_write.c ----

/// Bytes up to `through` are with the kernel: on_drain, and the callbacks of their writes.
void trp_socket_acknowledge(trp_socket_t *socket, uint64_t through);
/// It has become deaf: it lets go of the actor once all is written, so somebody must say so.
void trp_socket_ask_written(trp_socket_t *socket);
void trp_socket_finish_waiters(trp_socket_t *socket);  // FIN is sent
void trp_socket_fail_waiters(trp_socket_t *socket);    // with the socket's failure
void trp_socket_abandon_waiters(trp_socket_t *socket); // it is given away

// ---- socket_read.c ----

void trp_socket_data(trp_socket_t *socket, const trp_in_t *in, const trp_message_t *message);
void trp_socket_read_on(trp_socket_t *socket); // gives out what waited, as far as that is wanted
void trp_socket_forget_unread(trp_socket_t *socket);
/// Behind all that waits already. False: no memory.
bool trp_socket_keep(trp_socket_t *socket, const troupe_chunk_t *chunk, uint32_t done);
void trp_socket_ask_for_buffer(trp_socket_t *socket); // of onread, if it has none

// ---- socket_text.c ----

bool trp_socket_is_text(const trp_socket_t *socket); // on_data gets text
/// The text of bytes that came, as far as it is whole. Without memory the socket has failed.
void trp_socket_give_text(trp_socket_t *socket, const void *bytes, size_t length);
/// What is left of it at the peer's end, if somebody takes it. False: there is some, and nobody
/// does.
bool trp_socket_give_last_text(trp_socket_t *socket, bool takes);
/// The bytes that came and of which no text was given out yet: written to `bytes` if it is not NULL.
size_t trp_socket_held_bytes(const trp_socket_t *socket, uint8_t *bytes);
void trp_socket_forget_text(trp_socket_t *socket); // what is held is of an earlier connection
void trp_text_reader_free(trp_text_reader_t *reader);

// ---- socket_give.c ----

void trp_socket_give_event(trp_socket_t *socket, const trp_message_t *message);
void trp_socket_give_consumed(trp_socket_t *socket); // more was, since the give
/// It is closed, and there are still bytes to be given out here.
void trp_socket_give_over(trp_socket_t *socket);
/// It is given and to be destroyed: which of the two, the I/O actor says. `words` is consumed.
void trp_socket_give_destroy(trp_socket_t *socket, int code, troupe_error_t *words);
void trp_socket_settle_give(trp_socket_t *socket); // with the socket's failure, if it is given
void trp_socket_tell_given(trp_socket_t *socket);
void trp_socket_drop_give(trp_socket_t *socket); // without a word

// ---- socket_options.c ----

void trp_socket_stop_reading(trp_socket_t *socket); // onread wants no more, until it is resumed
/// All options that are set, as connect and adopt carry them. NULL: no memory.
Troupe__Wire__Options *trp_socket_options(const trp_socket_t *socket, trp_out_t *out);
/// Whether the deadlines are in range.
bool trp_deadlines_fit(const troupe_deadlines_t *deadlines);
bool trp_deadlines_any(const troupe_deadlines_t *deadlines); // whether one is set
/// For the wire: all three, as they are counted by an I/O actor from now on.
void trp_deadlines_put(const troupe_deadlines_t *deadlines, Troupe__Wire__Options *options);
void trp_linger_put(unsigned linger_ms, Troupe__Wire__Options *options);
/// The other way round: those that a socket had in the actor that gave it.
void trp_socket_take_options(trp_socket_t *socket, const Troupe__Wire__Options *options);
int trp_socket_start_timer(trp_socket_t *socket); // for the timeout of one that the I/O actor does
                                                  // not know
void trp_socket_stop_timer(trp_socket_t *socket);

#endif
