/// Private. The first seam: what lies under all socket logic of the I/O side, as calls that answer
/// at once and a `ready` that comes up.
///
/// actors/io serves it with libuv, actors/sim from memory. A data call answers as the system call
/// does: n, -EAGAIN, -errno (Linux's numbers, which are troupe's error values too).
/// Level-triggered: `ready` comes again until what is wanted was done or is not wanted any more.
/// Nothing here blocks; everything is called from the I/O actor's thread, inside a callback of the
/// transport or between two of them.
#ifndef TRP_TRANSPORT_H_INCLUDED
#define TRP_TRANSPORT_H_INCLUDED

#include <sys/types.h>
#include <sys/uio.h>
#include <troupe/address.h>

typedef struct trp_transport trp_transport_t;
typedef struct trp_handle trp_handle_t;   // a socket, listening or not
typedef struct trp_resolve trp_resolve_t; // a look-up that goes on

enum {
  TRP_READ = 1,   // readable, or the peer's FIN or an error can be read; a listener: accept
  TRP_WRITE = 2,  // writable; while connecting: the attempt has ended, trp_transport_connected()
                  // says how
  TRP_HANGUP = 4, // an error or the peer's FIN, for handles that are not read from. May come once
                  // only.
  TRP_BROKEN = 8, // comes along with TRP_READ: behind what can be read there is an error
};

/// What a look-up found. `error` is 0 or TROUPE_ENOTFOUND, TROUPE_EAI_….
typedef struct trp_resolved {
  int error;
  const troupe_address_t *addresses; // with the port that was asked for; borrowed until the
                                     // callback returns
  size_t count;
} trp_resolved_t;

/// What the socket logic hands to a transport. Called from the transport's loop.
typedef struct trp_transport_callbacks {
  /// `owner` is what trp_handle_set_owner() set. The handle may be closed in it.
  void (*ready)(void *context, void *owner, unsigned mask);
  /// The look-up ended (not called for one that was cancelled). `owner` as given to resolve().
  void (*resolved)(void *context, void *owner, const trp_resolved_t *result);
  /// The time set by set_timer() has come.
  void (*timer)(void *context);
} trp_transport_callbacks_t;

typedef struct trp_listen_spec {
  troupe_address_t address;
  int backlog;
  bool ipv6_only;
  bool reuse_port;
  bool readable_all, writable_all; // mode bits of a path
} trp_listen_spec_t;

typedef enum trp_option {
  TRP_OPTION_NO_DELAY,           // value 0 or 1
  TRP_OPTION_KEEP_ALIVE,         // value 0 or 1
  TRP_OPTION_KEEP_ALIVE_DELAY_S, // above 0: TCP_KEEPIDLE = value, TCP_KEEPINTVL = 1, TCP_KEEPCNT =
                                 // 10
  TRP_OPTION_LINGER_CLOSE, // milliseconds that a closed socket waits for its peer's FIN; 0: it does
                           // not
} trp_option_t;

/// What a descriptor turned out to be.
typedef enum trp_fd_kind {
  TRP_FD_STREAM, // connected (or a pipe end)
  TRP_FD_BOUND,  // a socket, bound, not listening
  TRP_FD_LISTENING,
} trp_fd_kind_t;

/// Whose process is at the other end.
typedef struct trp_credentials {
  int32_t pid;
  uint32_t uid, gid;
} trp_credentials_t;

typedef struct trp_transport_ops {
  /// Binds and listens; a path is created and remembered, and unlinked when the handle is closed
  /// (only if it is still ours). `*syscall` names the call that failed. Returns 0 or an error. Does
  /// not accept before TRP_READ is wanted.
  int (*listen)(trp_transport_t *transport, const trp_listen_spec_t *spec, trp_handle_t **handle,
                const char **syscall);
  /// Takes over a descriptor. Returns 0 with `*kind`, or TROUPE_ERR_INVALID_FD_TYPE, TROUPE_EBADF,
  /// TROUPE_EEXIST (one of ours already), …. The descriptor is consumed in any case: one that
  /// cannot be used is closed, unless it is one of ours already.
  int (*adopt)(trp_transport_t *transport, int fd, trp_fd_kind_t *kind, trp_handle_t **handle);
  /// Makes an adopted, bound handle listen. 0 or an error.
  int (*adopt_listen)(trp_transport_t *transport, trp_handle_t *handle, int backlog);
  /// Takes one waiting connection. 0, -EAGAIN, -EMFILE, -ENFILE, … (-ECONNABORTED and the like are
  /// gone over inside).
  int (*accept)(trp_transport_t *transport, trp_handle_t *listener, trp_handle_t **connection,
                troupe_address_t *remote);
  /// Gives an accepted connection away, untouched, to another transport of this process: its
  /// descriptor. Consumes the handle.
  int (*let_go)(trp_transport_t *transport, trp_handle_t *handle);
  /// Takes such a descriptor. 0 or an error; consumed in any case. (These two are NULL in a
  /// transport that only serves systems with one I/O actor.)
  int (*take)(trp_transport_t *transport, int fd, bool tcp, trp_handle_t **handle);
  /// Begins an attempt; `local` NULL or to be bound first. Returns 0 when it began (TRP_WRITE is
  /// wanted already and comes when it ended), or an error with `*syscall` "bind" or "connect".
  int (*connect)(trp_transport_t *transport, const troupe_address_t *remote,
                 const troupe_address_t *local, trp_handle_t **handle, const char **syscall);
  /// How the attempt ended: 0 or an error; -EALREADY: it goes on.
  int (*connected)(trp_transport_t *transport, trp_handle_t *handle);

  ssize_t (*read)(trp_transport_t *transport, trp_handle_t *handle, void *bytes, size_t length);
  ssize_t (*write)(trp_transport_t *transport, trp_handle_t *handle, const struct iovec *parts,
                   int count);
  int (*shutdown)(trp_transport_t *transport, trp_handle_t *handle); // sends FIN; 0 or an error
  /// Closes with a reset. Consumes the handle, as close does. TRP_ERR_INVALID_HANDLE_TYPE on other
  /// than TCP: then it is not closed.
  int (*reset)(trp_transport_t *transport, trp_handle_t *handle);
  void (*close)(trp_transport_t *transport, trp_handle_t *handle);
  /// The true error that is pending on the socket (SO_ERROR), 0 for none.
  int (*error)(trp_transport_t *transport, trp_handle_t *handle);

  /// Sets what `ready` shall tell of. 0 or an error (out of memory).
  int (*want)(trp_transport_t *transport, trp_handle_t *handle, unsigned mask);
  void (*set_owner)(trp_transport_t *transport, trp_handle_t *handle, void *owner);
  bool (*is_tcp)(trp_transport_t *transport, trp_handle_t *handle);

  /// Addresses as the system reports them; either may be NULL. Family 0 where there is none.
  void (*names)(trp_transport_t *transport, trp_handle_t *handle, troupe_address_t *local,
                troupe_address_t *remote);
  /// Of a Unix socket's peer. 0, or an error where there is no such thing. NULL: there never is.
  int (*credentials)(trp_transport_t *transport, trp_handle_t *handle,
                     trp_credentials_t *credentials);
  int (*set_option)(trp_transport_t *transport, trp_handle_t *handle, trp_option_t option,
                    int value);

  /// Looks a name up on another thread. `family` 0, 4, 6; `hints` bits of core/net/hints.h. 0 or an
  /// error; later `resolved` once, unless cancelled.
  int (*resolve)(trp_transport_t *transport, const char *host, uint16_t port, int family,
                 unsigned hints, void *owner, trp_resolve_t **request);
  void (*cancel)(trp_transport_t *transport, trp_resolve_t *request);

  /// Monotonic nanoseconds: of the current turn, cheap.
  int64_t (*now)(trp_transport_t *transport);
  /// Calls `timer` at this time; TRP_NEVER for not at all. Replaces the earlier one.
  void (*set_timer)(trp_transport_t *transport, int64_t deadline_ns);
  /// Whether there is IPv6 here: '::' can be bound.
  bool (*has_ipv6)(trp_transport_t *transport);
} trp_transport_ops_t;

#define TRP_NEVER INT64_MAX

struct trp_transport {
  const trp_transport_ops_t *ops;
  trp_transport_callbacks_t callbacks; // set by the socket logic before anything else is called
  void *context;                       // of the callbacks
};

#endif
