/// Servers: they listen on an address and get the connections that come. Node: net.Server.
///
/// Servers of one system that listen on the same address share it, and connections are dealt out
/// among them: start the same actor N times, and it is served by N threads. The backlog is that of
/// the first one, and the last one to close closes the address. An actor cannot listen on one address
/// twice: TROUPE_EADDRINUSE.
///
/// A server is dealt 128 connections at most that its actor has not dispatched yet. Then its actor
/// is behind, and the others get what comes, under each policy; when all are behind, connections wait
/// in the kernel, `backlog` of them.
#ifndef TROUPE_SERVER_H_INCLUDED
#define TROUPE_SERVER_H_INCLUDED

#include <troupe/block_list.h>
#include <troupe/socket.h>

TROUPE_BEGIN

/// Connections that were accepted and closed at once, because every server that shares the address
/// has `max_connections`. Node: the argument of 'drop'.
///
/// Ownership: borrowed; valid until the callback that got it returns.
typedef struct troupe_drop {
  troupe_address_t local; ///< of the last of them; family TROUPE_FAMILY_UNIX where Node says
                          ///< undefined
  troupe_address_t remote;
  uint64_t count; ///< how many since the last call
} troupe_drop_t;

/// What a server tells. Every slot may be NULL and may do anything, free the server included.
///
/// Ownership: borrowed as long as it is set; make it `static const`.
typedef struct troupe_server_handlers {
  /// It listens: once for each listen. Node: 'listening'.
  void (*on_listening)(troupe_server_t server, void *context);
  /// A connection came. Give the socket its handlers here, unless the server's options have some
  /// for all. With several I/O threads those that come at once may be told in another order than
  /// they were accepted in. Node: 'connection'.
  void (*on_connection)(troupe_server_t server, troupe_socket_t socket, void *context);
  /// Connections were dropped. Node: 'drop'.
  void (*on_drop)(troupe_server_t server, const troupe_drop_t *drop, void *context);
  /// It cannot listen. on_close does not follow, and it may listen again at once. Node: 'error'.
  void (*on_error)(troupe_server_t server, const troupe_error_t *error, void *context);
  /// After troupe_server_close(): the last connection is gone. Node: 'close'.
  void (*on_close)(troupe_server_t server, void *context);
  /// No file descriptor was free: connections wait in the kernel, and are accepted once there is
  /// one. Node sheds them in silence.
  void (*on_parked)(troupe_server_t server, const troupe_error_t *error, void *context);
  /// Connections are accepted again.
  void (*on_unparked)(troupe_server_t server, void *context);
} troupe_server_handlers_t;

/// How connections are dealt out among servers that share an address: as the first one says. For a
/// rule of the application's own, one actor listens with `pause_on_connect` and gives each connection
/// away in on_connection (<troupe/handoff.h>).
typedef enum troupe_policy {
  TROUPE_POLICY_ROUND_ROBIN = 0,
  TROUPE_POLICY_LEAST_CONNECTIONS = 1,
  TROUPE_POLICY_HASH = 2, ///< by the peer's address
} troupe_policy_t;

/// How a server is made. Right when zeroed. Node: the options of net.createServer().
typedef struct troupe_server_options {
  bool allow_half_open;   ///< of accepted sockets. Node: allowHalfOpen
  bool pause_on_connect;  ///< accepted sockets are paused; not a byte is read. Node: pauseOnConnect
  size_t high_water_mark; ///< of accepted sockets, as in troupe_socket_options_t. Node:
                          ///< highWaterMark
  size_t write_limit;     ///< of accepted sockets, as in troupe_socket_options_t
  troupe_choice_t no_delay;             ///< of accepted sockets. Node: noDelay
  troupe_choice_t keep_alive;           ///< of accepted sockets. Node: keepAlive
  unsigned keep_alive_initial_delay_ms; ///< Node: keepAliveInitialDelay
  unsigned linger_ms;                   ///< of accepted sockets, as troupe_socket_set_linger()
  bool reset_ends;                      ///< of accepted sockets, as in troupe_socket_options_t
  troupe_deadlines_t deadlines; ///< of accepted sockets; `connect_ms` has no meaning for them until
                                ///< they connect somewhere themselves
  int64_t max_connections;      ///< 0: unlimited; below 0: none at all. Node: server.maxConnections
  troupe_block_list_t *block_list; ///< whom it refuses, as troupe_server_set_block_list(); NULL:
                                   ///< nobody. later Node: blockList
  unsigned max_per_address;        ///< as troupe_server_set_max_per_address(); 0: unlimited
  unsigned ipv6_prefix;            ///< the same; 0: all bits
  const troupe_socket_handlers_t *socket_handlers; ///< of accepted sockets from the start; NULL:
                                                   ///< on_connection sets them
  void *socket_context;
} troupe_server_options_t;

/// Where to listen, and how. Right when zeroed: every address, a port of the system's choice. Node:
/// the options of server.listen().
typedef struct troupe_listen_options {
  const char *path;   ///< a Unix socket's path; goes before host and port. A leading NUL: abstract.
                      ///< Node: path
  size_t path_length; ///< 0: `path` ends with a NUL
  const troupe_address_t *address; ///< where to, as a value; goes before host and port
  const char *host; ///< a name or an IP literal. NULL or "": '::', or 0.0.0.0 where there is no
                    ///< IPv6. Node: host
  int port; ///< 0 to 65535; 0: the system picks one. Copies of one spawn then share what the first
            ///< got. Node: port
  int backlog;    ///< 0 or less: 511. Node: backlog
  bool exclusive; ///< do not share the address: TROUPE_EADDRINUSE when another server has it. Node:
                  ///< exclusive
  bool ipv6_only; ///< a `host` (or `address`) of '::' does not take IPv4; without either it changes
                  ///< nothing, as in Node. Node: ipv6Only
  bool readable_all; ///< everybody may read the path. Node: readableAll
  bool writable_all; ///< everybody may write it. Node: writableAll
  bool reuse_port;   ///< SO_REUSEPORT: other processes (of the same user) may listen there too, if
      ///< they ask for it as well; the kernel deals connections out by a hash of both
      ///< ends. On a given port each server that asks for it has a socket of its own,
      ///< in this system too. When one of these is closed, connections that wait at it
      ///< are lost. Not with a path, `fd` or `share_with`. Later Node: reusePort
  bool standby; ///< take part in the address without getting connections
  troupe_policy_t policy;
  bool use_fd;                ///< listen on `fd`, which is bound or listens already. Node: fd
  int fd;                     ///< belongs to troupe once 0 was returned
  troupe_server_t share_with; ///< take part in what this server listens on, whichever actor has it;
                              ///< TROUPE_ERR_SERVER_NOT_RUNNING if it does not (any more). Node:
                              ///< listen(handle)
  troupe_abort_t signal; ///< closes the server, without an error, until it is closed otherwise;
                         ///< if it is aborted already the server never listens. Node: signal
} troupe_listen_options_t;

/// Makes a server that does not listen yet. Node: net.createServer().
///
/// Ownership: `options` (NULL: defaults) is borrowed until the call returns, `handlers` as long as
/// the server lives. `*server` is owned; free it with
///            troupe_server_free(), or leave it to the end of the actor.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EINVAL         `server` is NULL,
///            TROUPE_ERR_OUT_OF_RANGE   `ipv6_prefix` is above 128, `linger_ms` or a deadline
///                                      above 2^31-1,
///            TROUPE_EOVERFLOW      the actor has used up its ids,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
TROUPE_API int troupe_server_new(const troupe_server_options_t *options,
                                 const troupe_server_handlers_t *handlers, void *context,
                                 troupe_server_t *server);

/// The same, told where it is made (<troupe/here.h>).
TROUPE_API int troupe_server_new_at(const char *made_at, const troupe_server_options_t *options,
                                    const troupe_server_handlers_t *handlers, void *context,
                                    troupe_server_t *server);

/// Frees a server. One that listens is closed first, and freed after its on_close.
///
/// Ownership: the handle is consumed: stale at once, or after on_close.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_server_free(troupe_server_t server);

/// Starts to listen. Also after a close, even while earlier connections are open, and after an
/// error. Node: server.listen().
///
/// Ownership: `options` (NULL: every address, any port) is borrowed until the call returns.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_SERVER_ALREADY_LISTEN   it listens, or is about to,
///            TROUPE_ERR_SOCKET_BAD_PORT   a port below 0 or above 65535,
///            TROUPE_ERR_INVALID_ARG_VALUE   a negative `fd`, an `address` of no family, an empty path
///                or one with a NUL inside, `reuse_port` where it does not fit, a `policy` that does
///                not exist,
///            TROUPE_ENAMETOOLONG      the path is longer than TROUPE_PATH_MAX, or the host longer
///                                     than 1024 bytes,
///            TROUPE_ENOMEM, TROUPE_EOVERFLOW, TROUPE_ESTALE (also once it was freed, before its
///            on_close) and TROUPE_EWRONGTHREAD, of `signal` too.
/// Events:    after 0: on_listening or on_error, unless it is closed before; on_close, if `signal`
///            is aborted.
TROUPE_API int troupe_server_listen(troupe_server_t server, const troupe_listen_options_t *options);

/// The short forms. `host` NULL: every address; `backlog` 0: 511; `path` ends with a NUL. Node:
/// server.listen(port[, host[, backlog]]), server.listen(path[, backlog]).
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_server_listen().
TROUPE_API int troupe_server_listen_port(troupe_server_t server, int port, const char *host,
                                         int backlog);
TROUPE_API int troupe_server_listen_path(troupe_server_t server, const char *path, int backlog);

/// Waits until the server listens or has failed, so that troupe_server_address() can be asked at
/// once. Its on_listening or on_error is called inside; other events of the actor wait, in order.
///
/// Thread:    owner.
/// Blocks:    for `timeout_ms` at most; below 0 without limit.
/// Returns:   0, or
///            the error with which it cannot listen,
///            TROUPE_ERR_SERVER_NOT_RUNNING   it was not asked to listen, or was closed meanwhile,
///            TROUPE_ETIMEDOUT                it has not answered yet; the answer comes as an
///            event, TROUPE_ESTOPPED, TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_server_listen_wait(troupe_server_t server, int timeout_ms);

/// Stops accepting and releases the address; connections go on. Of a listen that is not answered yet
/// nothing more is told but on_close (Node gives the callback an error then, and asyncDispose leaves
/// the listen alone). A path of its own is removed before
/// on_close (Node: inside the call). Node: server.close(), and server[Symbol.asyncDispose](), whose
/// promise is on_close.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_SERVER_NOT_RUNNING   it does not listen (Node emits 'close' nevertheless),
///            TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
/// Events:    after 0: on_close once, when the last of its connections is gone; if it listens again
/// by then, after the next close.
TROUPE_API int troupe_server_close(troupe_server_t server);

/// Where it listens, as the system reported it. Node: server.address().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOTCONN   it does not listen (Node: null), or on an adopted Unix socket;
///            `*address` is zeroed,
///            TROUPE_EINVAL     `address` is NULL, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_server_address(troupe_server_t server, troupe_address_t *address);

/// Whether it listens: between on_listening and close. (Node's does at once if there is no host to
/// look up; here troupe_server_listen_wait() waits for it.) Node: server.listening.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API bool troupe_server_listening(troupe_server_t server);

/// Tells how many connections that this server accepted are open, in whichever actor they live now.
typedef void (*troupe_connections_fn)(troupe_server_t server, uint64_t count, void *context);

/// Asks for that. Node: server.getConnections().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL   no callback,
///            TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
/// Events:    after 0: `on_count` once, unless the server is freed before.
TROUPE_API int troupe_server_get_connections(troupe_server_t server, troupe_connections_fn on_count,
                                             void *context);

/// Asks for the same of all servers that share the address of this one, itself included; 0, if it
/// does not listen. Node has no such call: there, each worker counts its own.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_server_get_connections().
/// Events:    likewise.
TROUPE_API int troupe_server_get_group_connections(troupe_server_t server,
                                                   troupe_connections_fn on_count, void *context);

/// Sets how many connections there may be at a time; 0: unlimited, below 0: none at all. At any
/// time. Node: server.maxConnections.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ENOMEM, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_server_set_max_connections(troupe_server_t server, int64_t max_connections);

/// Sets whom the server refuses: the rules of the list as they are now, in place of those that it
/// had. Call it again when the list has grown: of the same list only what is new is looked at. To
/// take rules back, make another list; at no moment are some of its rules in force and others not
/// yet. NULL: nobody is refused. At any time, while it listens or not; those that are connected stay.
/// The rules are in force once the I/O actor has them, which it has when it answers a
/// troupe_server_get_counts() that is called after this. Later Node: the option blockList.
///
/// The I/O actor closes such a connection before the application hears of it: no 'drop', but it
/// counts (troupe_server_get_counts()). `max_connections` is looked at first, as in Node. Servers
/// that share an address have a list each: set it for all. A list that the I/O actor has no memory
/// for refuses everybody. It takes over a list of 100,000 rules in some 70 milliseconds, in which it
/// serves nobody. In a replay the list must have the rules that it had: an actor that is recorded
/// makes its list itself, of its argument or of messages.
///
/// Ownership: `list` is kept as long as it is set: its maker may free it at once.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM, TROUPE_EOVERFLOW   the rules of before stay,
///            TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_server_set_block_list(troupe_server_t server, troupe_block_list_t *list);

/// Sets how many connections one IP address may have at a time; 0: unlimited. The next one is
/// closed before the application hears of it, as with a block list, which is looked at first.
/// Servers that share an address count together, each against its own limit. Connections that are
/// open count, also those that came before; Unix sockets do not. At any time.
///
/// An address is one of IPv4 (also in the form ::ffff:1.2.3.4), or as many leading bits of one of
/// IPv6 as `ipv6_prefix` says; 0: all 128. Where anybody can come from anywhere, 64 is right:
/// whoever has IPv6 has at least 2^64 addresses.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_OUT_OF_RANGE   `ipv6_prefix` is above 128,
///            TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_server_set_max_per_address(troupe_server_t server, unsigned max_per_address,
                                                 unsigned ipv6_prefix);

/// What became of the connections that came to a server, since it was made.
///
/// Ownership: borrowed; valid until the callback that got it returns.
typedef struct troupe_server_counts {
  uint64_t connections; ///< open now, in whichever actor
  uint64_t accepted;    ///< that the application got
  uint64_t dropped;     ///< closed because of `max_connections`
  uint64_t blocked;     ///< closed because of the block list
  uint64_t capped;      ///< closed because their address had too many
} troupe_server_counts_t;

typedef void (*troupe_server_counts_fn)(troupe_server_t server,
                                        const troupe_server_counts_t *counts, void *context);

/// Asks for that.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_server_get_connections().
/// Events:    after 0: `on_counts` once, unless the server is freed before.
TROUPE_API int troupe_server_get_counts(troupe_server_t server, troupe_server_counts_fn on_counts,
                                        void *context);

/// Lets the actor end although the server listens, and back. Node: server.unref(), server.ref().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_server_unref(troupe_server_t server);
TROUPE_API int troupe_server_ref(troupe_server_t server);

/// The context that was given to troupe_server_new(); NULL for a handle that is not open here.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API void *troupe_server_context(troupe_server_t server);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_server_new(...) troupe_server_new_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
