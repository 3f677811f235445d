/// Private to transport.c, handle.c and linger.c: what they need of each other.
#ifndef TRP_UV_TRANSPORT_PARTS_H_INCLUDED
#define TRP_UV_TRANSPORT_PARTS_H_INCLUDED

#include "actors/io/descriptor.h"
#include "actors/io/listen.h"
#include "actors/io/resolver.h"
#include "actors/io/transport.h"
#include "actors/net/list.h"

struct trp_handle {
  uv_poll_t poll; // its data is whom to tell
  trp_uv_transport_t *transport;
  union {
    trp_path_t *path; // a listener's file
    struct {
      int linger_ms;     // after close, for the peer to take the rest and to close; 0: not at all
      int connect_error; // of the attempt; the kernel tells it once
    } socket;
    int64_t linger_until_ns; // while it lingers
  } has;
  trp_link_t unsettled;    // in the transport's list while `armed` may have to change
  trp_link_t in_transport; // in its list of those that are open, or, after close, that linger
  int fd;                  // -1: closed
  uint8_t type;            // of trp_fd_type_t
  uint8_t wanted;          // TRP_READ, TRP_WRITE, TRP_HANGUP
  uint8_t armed;           // what libuv watches; may be more than is wanted
  bool watched : 1;        // `poll` was made
  bool listens : 1;
  bool lingers : 1;
  bool exact : 1; // something came that is not wanted: watch no more than is wanted
  bool hung : 1;  // TRP_HANGUP has come
  bool connecting : 1;
};

struct trp_uv_transport {
  trp_transport_t base;
  uv_loop_t *loop;
  uv_timer_t timer, linger_timer;
  uv_async_t resolved;
  trp_resolver_t *resolver;
  trp_link_t open, unsettled, lingering, spare; // lists
  size_t spare_count;
  uint64_t *ours; // a bit for each descriptor that a handle here has
  size_t ours_words;
  int64_t now_ns; // of this turn; 0: to be asked
  uint64_t activity;
  int has_ipv6; // -1: to be tried
  bool closed;
};

static inline trp_uv_transport_t *trp_uv_self(trp_transport_t *transport) {
  return (trp_uv_transport_t *)(void *)transport;
}

/// The first of a list, or NULL.
static inline trp_link_t *trp_uv_first(trp_link_t *list) {
  return trp_list_empty(list) ? NULL : list->next;
}

// ---- transport.c ----

int64_t trp_uv_now(trp_transport_t *transport);

/// libuv's timers know milliseconds: rounded up, so that the time has always come when `timer` is
/// called.
void trp_uv_start_timer(trp_uv_transport_t *self, uv_timer_t *timer, uv_timer_cb callback,
                        int64_t deadline_ns);

// ---- handle.c ----

/// One without a descriptor; NULL: no memory.
trp_handle_t *trp_uv_handle_take(trp_uv_transport_t *self);
void trp_uv_handle_give_back(trp_handle_t *handle);
void trp_uv_handle_free_spare(trp_uv_transport_t *self);

/// Whether a handle here has the descriptor.
bool trp_uv_handle_has(const trp_uv_transport_t *self, int fd);

/// Gives the handle its descriptor. TROUPE_ENOMEM: it was not given.
int trp_uv_handle_attach(trp_handle_t *handle, int fd, trp_fd_type_t type);

/// Gives the descriptor away again, untouched, and the handle back.
void trp_uv_handle_detach(trp_handle_t *handle);

/// Closes the descriptor, and gives the handle back.
void trp_uv_handle_shut(trp_handle_t *handle, bool reset);
void trp_uv_handle_shut_all(trp_link_t *list);

/// Makes its uv_poll. Returns 0, or what libuv says.
int trp_uv_handle_watch(trp_handle_t *handle);
int trp_uv_handle_want(trp_transport_t *transport, trp_handle_t *handle, unsigned mask);

// ---- linger.c ----
//
// To close a socket with unread bytes in it, or into which the peer goes on writing, makes the
// kernel send a reset, and that can destroy what the peer has not read yet. A handle that lingers
// sends FIN instead, and throws away what comes until the peer has closed too, or the time is over.

/// False: it does not, and is still open.
bool trp_uv_linger_begin(trp_handle_t *handle);

/// Something has come for one that lingers.
void trp_uv_linger_drain(trp_handle_t *handle);

#endif
