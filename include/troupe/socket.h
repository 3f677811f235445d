/// Sockets: TCP and Unix stream connections of an actor. Node: net.Socket.
///
/// A socket belongs to the actor that made it or accepted it, and is used in its thread alone. A
/// handle is a small value; one whose socket is gone is answered with TROUPE_ESTALE, one of another
/// actor with TROUPE_EWRONGTHREAD. All events come through the functions of a handler table, never
/// from inside a call. What Node throws is returned by the call, and then no event follows.
#ifndef TROUPE_SOCKET_H_INCLUDED
#define TROUPE_SOCKET_H_INCLUDED

#include <troupe/abort.h>
#include <troupe/address.h>
#include <troupe/chunk.h>
#include <troupe/encoding.h>
#include <troupe/here.h>

TROUPE_BEGIN

/// Names a socket. {0} is none.
typedef struct troupe_socket {
  uint64_t id;
} troupe_socket_t;

/// Names a server (<troupe/server.h>). {0} is none.
typedef struct troupe_server {
  uint64_t id;
} troupe_server_t;

/// A boolean option that can be left alone.
typedef enum troupe_choice {
  TROUPE_DEFAULT = 0,
  TROUPE_ON = 1,
  TROUPE_OFF = -1,
} troupe_choice_t;

/// What a host's name turned out to be. Node: the arguments of 'lookup'.
///
/// Ownership: borrowed; valid until the callback that got it returns.
typedef struct troupe_lookup {
  const troupe_error_t *error;     ///< NULL: it went well, and the rest is set
  const troupe_address_t *address; ///< one event for each address
  int family;                      ///< 4 or 6
  const char *host;                ///< the name that was looked up
} troupe_lookup_t;

/// What a socket tells. Every slot may be NULL; `context` is what was given with the table. Every
/// function may do anything: destroy its socket, free it, close the server, stop the actor. After
/// troupe_socket_destroy() nothing is called but on_ready inside on_connect, the failure of an
/// attempt that was going on, the callbacks of writes, `on_error` if an error was given, and
/// `on_close`.
///
/// Ownership: borrowed as long as it is set; make it `static const`.
typedef struct troupe_socket_handlers {
  /// A name was looked up, once for each address found. Not for addresses and paths. Node:
  /// 'lookup'.
  void (*on_lookup)(troupe_socket_t socket, const troupe_lookup_t *lookup, void *context);
  /// An attempt to connect begins. Node: 'connectionAttempt'.
  void (*on_connection_attempt)(troupe_socket_t socket, const troupe_address_t *address,
                                void *context);
  /// It failed; with TROUPE_ECANCELED: another one was faster, or the socket was destroyed. Node:
  /// 'connectionAttemptFailed'.
  void (*on_connection_attempt_failed)(troupe_socket_t socket, const troupe_address_t *address,
                                       const troupe_error_t *error, void *context);
  /// It took too long, was given up, and the next address is tried. Not with `parallel_attempts`.
  /// Node: 'connectionAttemptTimeout'.
  void (*on_connection_attempt_timeout)(troupe_socket_t socket, const troupe_address_t *address,
                                        void *context);
  /// Connected: once for each connect. Not for accepted and adopted sockets. Node: 'connect'.
  void (*on_connect)(troupe_socket_t socket, void *context);
  /// Right after on_connect, even when that one destroyed the socket. Node: 'ready'.
  void (*on_ready)(troupe_socket_t socket, void *context);
  /// Bytes came; after troupe_socket_set_encoding() they are text. Without this slot (and without
  /// `onread`) they wait, and the peer feels it. Node: 'data'.
  void (*on_data)(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context);
  /// A write had said 0, and everything is with the kernel now. Not after troupe_socket_end().
  /// Node: 'drain'.
  void (*on_drain)(troupe_socket_t socket, void *context);
  /// The peer has ended its side, and all its bytes were given out. Unless `allow_half_open` is
  /// set, this side is ended after the callback. Node: 'end'.
  void (*on_end)(troupe_socket_t socket, void *context);
  /// Nothing came or went for the time of troupe_socket_set_timeout(). The socket stays as it is.
  /// Node: 'timeout'.
  void (*on_timeout)(troupe_socket_t socket, void *context);
  /// It failed; on_close follows. At most once for each connect. Node: 'error'.
  void (*on_error)(troupe_socket_t socket, const troupe_error_t *error, void *context);
  /// The last call, exactly once for each connect; `had_error`: after on_error (Node leaves it out
  /// if there never was a connection). Then the library frees the socket, unless it was connected
  /// again in here or comes from troupe_socket_new(). Node: 'close'.
  void (*on_close)(troupe_socket_t socket, bool had_error, void *context);
} troupe_socket_handlers_t;

/// The bytes of a write are with the kernel, or nobody waits for that any more: `error` is 0; what
/// the socket failed with; TROUPE_ERR_STREAM_DESTROYED; or TROUPE_ERR_SOCKET_CLOSED_BEFORE_CONNECTION
/// for the first of those that waited for a connection, and for all of them if nothing has failed.
/// Called in the order of the writes, each once. Of a socket that is destroyed before the I/O actor
/// has answered, the bytes may have been sent all the same (in Node a small write is with the kernel
/// at once, and its callback gets no error then).
typedef void (*troupe_written_fn)(troupe_socket_t socket, int error, void *context);

/// Receives into memory of the application's own instead of on_data. Node: the `onread` option.
///
/// Ownership: borrowed as long as the socket lives; the buffer too.
typedef struct troupe_onread {
  void *buffer; ///< used for every piece; NULL: next_buffer is asked
  size_t size;
  /// Gives the next buffer and its size: asked once the socket is made, and after each piece. While
  /// it gives a NULL or empty one, it is asked again when a piece has come, and then stops reading.
  void *(*next_buffer)(troupe_socket_t socket, size_t *size, void *context);
  /// A piece came, at most as long as the buffer. False stops reading; what is left comes after
  /// troupe_socket_resume(). Such a socket is not paused, as in Node.
  bool (*callback)(troupe_socket_t socket, size_t length, void *buffer, void *context);
} troupe_onread_t;

/// Node's highWaterMark 0: every write says 0.
#define TROUPE_HIGH_WATER_MARK_ZERO SIZE_MAX
/// No write is refused.
#define TROUPE_WRITE_LIMIT_NONE SIZE_MAX

/// How long a socket may take, in milliseconds; 0: as long as it likes. What takes longer fails it:
/// on_error with an error of its own, then on_close. Nothing of it goes by the application's clock:
/// what counts is when bytes and connections come and go in the I/O actor. Not in Node.
typedef struct troupe_deadlines {
  /// From connect() until the connection is there, with the look-up and all attempts:
  /// TROUPE_ECONNECTDEADLINE, with the name or the address.
  unsigned connect_ms;
  /// From the connection (also an accepted one, or a descriptor's) until the peer's first byte:
  /// TROUPE_EFIRSTBYTEDEADLINE. A peer that ends without a byte keeps it. The peer is not to blame
  /// while nobody reads: while the socket is paused, or the actor is too far behind, time stands
  /// still, and it begins anew when reading goes on.
  unsigned first_byte_ms;
  /// While bytes wait to be written: since the kernel took the last one, or since there are any to
  /// take: TROUPE_EWRITESTALLDEADLINE. A peer that takes a little now and then keeps it. What the
  /// kernel holds (some hundred KiB on either side) counts as written.
  unsigned write_stall_ms;
} troupe_deadlines_t;

/// How a socket is made. Right when zeroed. Node: the options of new net.Socket().
typedef struct troupe_socket_options {
  bool allow_half_open;       ///< the peer's end does not end this side. Node: allowHalfOpen
  size_t high_water_mark;     ///< unacknowledged bytes from which a write says 0. 0: 16 KiB. Node:
                              ///< highWaterMark
  size_t write_limit;         ///< unacknowledged bytes above which a write is refused. 0: 16 MiB
  troupe_choice_t no_delay;   ///< Node: noDelay
  troupe_choice_t keep_alive; ///< Node: keepAlive
  unsigned keep_alive_initial_delay_ms; ///< whole seconds count. Node: keepAliveInitialDelay
  unsigned timeout_ms;                  ///< as troupe_socket_set_timeout(). Node: timeout
  troupe_deadlines_t deadlines;         ///< as troupe_socket_set_deadlines()
  unsigned linger_ms;                   ///< as troupe_socket_set_linger()
  bool paused;                          ///< as if troupe_socket_pause() had been called
  bool reset_ends; ///< a peer's reset that is there already when the last bytes before it are read
                   ///< is told as its end, as Node does; otherwise as the error that it is
  const troupe_onread_t *onread; ///< Node: onread
  troupe_abort_t signal; ///< destroys the socket with TROUPE_ABORT_ERR, at any time until its
                         ///< on_close. If it is aborted already: after the current callback, and
                         ///< nothing is connected (Node tells the error and the close, but does
                         ///< not destroy it, and connects it after that). Node: signal
} troupe_socket_options_t;

/// Looks a name up in place of the library's resolver: starts whatever finds it, and answers, at
/// once or later, by troupe_socket_answer_lookup(). Called after the callback that connects (Node:
/// inside the call). Node: the `lookup` option.
typedef void (*troupe_lookup_fn)(troupe_socket_t socket, const char *host, int family,
                                 unsigned hints, void *context);

/// Bits of `hints`. Node: dns.ADDRCONFIG, dns.V4MAPPED, dns.ALL.
enum {
  TROUPE_HINT_V4MAPPED = 8,
  TROUPE_HINT_ALL = 16,
  TROUPE_HINT_ADDRCONFIG = 32,
};

/// Where to connect to, and how. Right when zeroed, but for the goal. Node: the options of
/// socket.connect().
typedef struct troupe_connect_options {
  const char *path; ///< a Unix socket's path; goes before everything else. A leading NUL: abstract.
                    ///< Node: path
  size_t path_length;              ///< 0: `path` ends with a NUL
  const troupe_address_t *address; ///< where to, as a value; goes before host and port
  const char *host;                ///< a name or an IP literal. NULL or "": "localhost". Node: host
  int port;                        ///< 0 to 65535; 0 is nobody's, and fails later. Node: port
  int family;                      ///< of the look-up: 0, 4, 6. Node: family
  unsigned hints; ///< of the look-up; 0 with family 0: TROUPE_HINT_ADDRCONFIG. Node: hints
  const char *local_address; ///< an IP literal to bind to; NULL or "": none. Node: localAddress
  int local_port;            ///< 0: none. Node: localPort
  troupe_choice_t auto_select_family;             ///< Node: autoSelectFamily
  unsigned auto_select_family_attempt_timeout_ms; ///< 0: the default; below 10 means 10. Node:
                                                  ///< autoSelectFamilyAttemptTimeout
  bool
      parallel_attempts; ///< family autoselection as RFC 8305 has it: after the attempt timeout the
                         ///< next address is tried too, and the first that connects wins; nothing
                         ///< is given up before. Node gives one up for the next
  troupe_lookup_fn lookup; ///< NULL: the library's resolver. Node: lookup
  void *lookup_context;
} troupe_connect_options_t;

/// Makes a socket that is connected later, and as often as you like, once it is closed. Node: new
/// net.Socket().
///
/// Ownership: `options` (NULL: defaults) is borrowed until the call returns, `handlers` as long as
/// it is set. `*socket` is owned; free it with
///            troupe_socket_free(). One that was never connected may be left to the end of the
///            actor.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM          there is no memory,
///            TROUPE_EINVAL          `socket` is NULL, or `onread` has no buffer or no callback,
///            TROUPE_ERR_OUT_OF_RANGE   `timeout_ms` `linger_ms` or a deadline is above
///                                      2^31-1,
///            TROUPE_ESTALE          `signal` was freed,
///            TROUPE_EOVERFLOW       the actor has used up its ids,
///            TROUPE_EWRONGTHREAD    this thread is no actor, or `signal` is another actor's.
/// Events:    none, unless `signal` is aborted: then on_error and on_close.
TROUPE_API int troupe_socket_new(const troupe_socket_options_t *options,
                                 const troupe_socket_handlers_t *handlers, void *context,
                                 troupe_socket_t *socket);

/// The same, told where it is made (<troupe/here.h>).
TROUPE_API int troupe_socket_new_at(const char *made_at, const troupe_socket_options_t *options,
                                    const troupe_socket_handlers_t *handlers, void *context,
                                    troupe_socket_t *socket);

/// Frees a socket of troupe_socket_new(). One that is open is destroyed, and freed after its
/// on_close.
///
/// Ownership: the handle is consumed: stale at once, or after on_close.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_free(troupe_socket_t socket);

/// Connects a socket that was made by troupe_socket_new(), or any that is closed, inside its
/// on_close too. Byte counts begin anew; handlers and options stay, and so does the value of the
/// timeout, which does not run until it is set again. Node: socket.connect().
///
/// Ownership: `options` is borrowed until the call returns.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EALREADY          it is connecting already (Node destroys the socket),
///            TROUPE_EISCONN           it is open, or not closed yet,
///            TROUPE_EGIVING           it is being given to another actor,
///            TROUPE_ERR_MISSING_ARGS  `options` (or the path of the short form) is NULL,
///            TROUPE_ERR_SOCKET_BAD_PORT   a port below 0 or above 65535,
///            TROUPE_ERR_INVALID_IP_ADDRESS   `local_address` is no IP literal,
///            TROUPE_ERR_INVALID_ARG_VALUE   `family` or `hints`, which count only where a name is
///                looked up; an `address` of no family; an empty path, or one with a NUL inside,
///            TROUPE_ENAMETOOLONG      the path is longer than TROUPE_PATH_MAX (Node truncates), or
///                                     the host longer than 1024 bytes,
///            TROUPE_ERR_OUT_OF_RANGE  the attempt timeout is above 2^31-1,
///            TROUPE_ENOMEM, TROUPE_EOVERFLOW, TROUPE_ESTALE (also once it was freed, before its
///            on_close), TROUPE_EWRONGTHREAD.
/// Events:    after 0: on_lookup, on_connection_attempt, … then on_connect and on_ready, or
///            on_error and on_close.
TROUPE_API int troupe_socket_connect(troupe_socket_t socket,
                                     const troupe_connect_options_t *options);

/// Makes a socket and connects it. Node: net.connect(), net.createConnection().
///
/// Ownership: both options (`socket_options` NULL: defaults) are borrowed until the call returns.
///            The library frees the socket after its on_close.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_socket_new() and troupe_socket_connect(). `socket` may be NULL.
TROUPE_API int troupe_connect(const troupe_connect_options_t *options,
                              const troupe_socket_options_t *socket_options,
                              const troupe_socket_handlers_t *handlers, void *context,
                              troupe_socket_t *socket);

/// The short forms. `host` NULL: "localhost"; `path` ends with a NUL. Node: net.connect(port[,
/// host]), net.connect(path).
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_connect().
TROUPE_API int troupe_connect_port(int port, const char *host,
                                   const troupe_socket_handlers_t *handlers, void *context,
                                   troupe_socket_t *socket);
TROUPE_API int troupe_connect_path(const char *path, const troupe_socket_handlers_t *handlers,
                                   void *context, troupe_socket_t *socket);

/// The same three, told where the socket is made (<troupe/here.h>).
TROUPE_API int troupe_connect_at(const char *made_at, const troupe_connect_options_t *options,
                                 const troupe_socket_options_t *socket_options,
                                 const troupe_socket_handlers_t *handlers, void *context,
                                 troupe_socket_t *socket);
TROUPE_API int troupe_connect_port_at(const char *made_at, int port, const char *host,
                                      const troupe_socket_handlers_t *handlers, void *context,
                                      troupe_socket_t *socket);
TROUPE_API int troupe_connect_path_at(const char *made_at, const char *path,
                                      const troupe_socket_handlers_t *handlers, void *context,
                                      troupe_socket_t *socket);

/// The defaults of family autoselection, for what the options of a connect leave open: of later
/// connects of all the system's actors. On and 250 ms at the start; a timeout below 10 means 10.
/// Node: net.getDefaultAutoSelectFamily(), net.setDefaultAutoSelectFamily(),
/// net.getDefaultAutoSelectFamilyAttemptTimeout(), net.setDefaultAutoSelectFamilyAttemptTimeout().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   get: 1 or 0, and the milliseconds; set: 0; or
///            TROUPE_ERR_OUT_OF_RANGE   the timeout is 0 or above 2^31-1,
///            TROUPE_EWRONGTHREAD       this thread is no actor.
TROUPE_API int troupe_get_default_auto_select_family(void);
TROUPE_API int troupe_set_default_auto_select_family(bool on);
TROUPE_API int troupe_get_default_auto_select_family_attempt_timeout(void);
TROUPE_API int troupe_set_default_auto_select_family_attempt_timeout(unsigned timeout_ms);

/// Answers a look-up of the application's own: either an error below 0 (the socket fails with it),
/// or the addresses in the order in which to try them. Their ports do not count. Without family
/// autoselection the first one alone is tried. Node: the callback of the `lookup` option.
///
/// Ownership: `addresses` is borrowed until the call returns.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EALREADY   no look-up is waiting for an answer,
///            TROUPE_EINVAL     `error` is above 0, or NULL addresses,
///            TROUPE_ENOMEM     there is no memory; it can be answered again,
///            TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
/// Events:    after 0: on_lookup, later. No address at all: on_error with TROUPE_ENOTFOUND; none of
/// family 4 or 6: TROUPE_ERR_INVALID_ADDRESS_FAMILY.
TROUPE_API int troupe_socket_answer_lookup(troupe_socket_t socket, int error,
                                           const troupe_address_t *addresses, size_t count);

enum {
  TROUPE_READABLE = 1,
  TROUPE_WRITABLE = 2,
};

/// Makes a socket of a file descriptor: a connected stream socket or an end of a pipe. It is open
/// at once. Node: new net.Socket({fd, readable, writable}).
///
/// Ownership: once 0 was returned, `fd` belongs to troupe. `options` (NULL: defaults) is borrowed
///            until the call returns. The library frees the socket after its on_close.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_OUT_OF_RANGE  `fd` is negative,
///            TROUPE_ERR_INVALID_FD_TYPE   `fd` is neither a stream socket nor a pipe nor a
///                                     terminal, or is not open; it stays the caller's,
///            TROUPE_EINVAL            `directions` is not made of TROUPE_READABLE and
///                                     TROUPE_WRITABLE; and those of troupe_socket_new().
/// Events:    after 0, of a socket that is not connected: on_error with TROUPE_ENOTCONN and
///            on_close.
TROUPE_API int troupe_socket_adopt(int fd, unsigned directions,
                                   const troupe_socket_options_t *options,
                                   const troupe_socket_handlers_t *handlers, void *context,
                                   troupe_socket_t *socket);

/// The same, told where it is made (<troupe/here.h>).
TROUPE_API int troupe_socket_adopt_at(const char *made_at, int fd, unsigned directions,
                                      const troupe_socket_options_t *options,
                                      const troupe_socket_handlers_t *handlers, void *context,
                                      troupe_socket_t *socket);

/// Sets what the socket tells to whom; bytes that waited for an on_data come after the current
/// callback. NULL: nobody.
///
/// Ownership: `handlers` is borrowed as long as it is set.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_set_handlers(troupe_socket_t socket,
                                          const troupe_socket_handlers_t *handlers, void *context);

/// The context that was set last; NULL for a handle that is not open here.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API void *troupe_socket_context(troupe_socket_t socket);

/// Queues `length` bytes for writing. Bytes leave in the order of the calls; before there is a
/// connection they wait for it. Node: socket.write().
///
/// Ownership: `bytes` is borrowed until the call returns (copied once).
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   1 go on; 0 queued, at least `high_water_mark` bytes are not with the kernel as far as
///            is known here: `on_drain` follows; or
///            TROUPE_ESTALE            the socket is gone,
///            TROUPE_EPIPE             this side has ended (Node: ERR_STREAM_WRITE_AFTER_END, and
///                                     destroys the socket),
///            TROUPE_ERR_STREAM_DESTROYED   it is destroyed, or closed,
///            TROUPE_ERR_SOCKET_CLOSED   it was never connected (Node destroys it),
///            TROUPE_ENOBUFS           nothing was queued: with these bytes more than the write
///                                     limit would wait. One write of any size into an empty queue
///                                     is taken,
///            TROUPE_EINVAL            more than 4 GiB less 1, or NULL bytes,
///            TROUPE_ENOMEM            there is no memory; nothing was queued,
///            TROUPE_EWRONGTHREAD      this thread is no actor, or the socket is another's.
/// Events:    after 1 or 0, `on_written` once if it is not NULL, with 0 or the error; never inside
///            the call.
TROUPE_API int troupe_socket_write(troupe_socket_t socket, const void *bytes, size_t length,
                                   troupe_written_fn on_written, void *context);

/// The same for a chunk: by reference, not copied, however many sockets it is written to.
///
/// Ownership: `chunk` is borrowed until the call returns.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   as troupe_socket_write().
TROUPE_API int troupe_socket_write_chunk(troupe_socket_t socket, const troupe_chunk_t *chunk,
                                         troupe_written_fn on_written, void *context);

/// Encodes UTF-8 text, and writes its bytes. They are what all counts count (Node counts waiting
/// text in characters). TROUPE_ENCODING_NONE leaves the text as it is. Node: socket.write(string,
/// encoding[, callback]).
///
/// Ownership: `text` is borrowed until the call returns, and needs no NUL.
/// Thread:    owner.
/// Blocks:    never, but the first use of utf16le in a process loads a part of the C library from
///            the file system.
/// Returns:   as troupe_socket_write(), or
///            TROUPE_ERR_UNKNOWN_ENCODING   `encoding` is none of the enum,
///            TROUPE_ENOSYS                 utf16le: that part cannot be loaded.
TROUPE_API int troupe_socket_write_text(troupe_socket_t socket, const char *text, size_t length,
                                        troupe_encoding_t encoding, troupe_written_fn on_written,
                                        void *context);

/// Ends this side: FIN follows what was written. Before there is a connection, FIN waits for it.
/// Once both sides have ended the socket closes. Again: no effect, but the callback. Node:
/// socket.end([callback]).
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_STREAM_ALREADY_FINISHED   `on_finished` is given, but FIN was sent before,
///            TROUPE_ERR_STREAM_DESTROYED   `on_finished` is given, but the socket is destroyed,
///            TROUPE_ENOMEM            there is no memory; nothing happened,
///            TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
/// Events:    after 0: `on_finished` once if it is not NULL: with 0 when FIN was sent, or with an
///            error as for a write.
TROUPE_API int troupe_socket_end(troupe_socket_t socket, troupe_written_fn on_finished,
                                 void *context);

/// Writes and then ends. Node: socket.end(data[, callback]).
///
/// Ownership: `bytes` is borrowed until the call returns.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or the errors of troupe_socket_write() and troupe_socket_end(); then neither has
/// happened.
TROUPE_API int troupe_socket_end_with(troupe_socket_t socket, const void *bytes, size_t length,
                                      troupe_written_fn on_finished, void *context);

/// The same with text. Node: socket.end(string, encoding[, callback]).
///
/// Ownership: `text` is borrowed until the call returns, and needs no NUL.
/// Thread:    owner.
/// Blocks:    as troupe_socket_write_text().
/// Returns:   0, or the errors of troupe_socket_write_text() and troupe_socket_end(); then neither
///            has happened.
TROUPE_API int troupe_socket_end_with_text(troupe_socket_t socket, const char *text, size_t length,
                                           troupe_encoding_t encoding,
                                           troupe_written_fn on_finished, void *context);

/// Makes on_data get UTF-8 text from now on: whole characters, however the bytes were cut; what the
/// last one lacks at the peer's end comes before on_end. Bytes that wait are decoded too. `onread`
/// gets bytes all the same, and bytes are what troupe_socket_bytes_read() counts. It stays when the
/// socket is connected again; another encoding may be set, but there is no way back to bytes, as in
/// Node. Node: socket.setEncoding().
///
/// Thread:    owner.
/// Blocks:    as troupe_socket_write_text().
/// Returns:   0, or
///            TROUPE_ERR_UNKNOWN_ENCODING   it is none, or TROUPE_ENCODING_NONE,
///            TROUPE_ENOSYS                 as troupe_socket_write_text(),
///            TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_set_encoding(troupe_socket_t socket, troupe_encoding_t encoding);

/// Drops the connection now, with what was not sent and what was not read. No effect on a socket
/// that is destroyed. Node: socket.destroy([error]).
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EINVAL   `error` is above 0,
///            TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
/// Events:    callbacks of writes that wait; on_error if `error` is not 0; on_close.
TROUPE_API int troupe_socket_destroy(troupe_socket_t socket, int error);

/// Ends this side, and destroys the socket when all is written and FIN is sent, whatever the peer
/// still sends. Node: socket.destroySoon().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ENOMEM, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_destroy_soon(troupe_socket_t socket);

/// Drops a TCP connection with a reset: the peer gets ECONNRESET (of Node, inside the callback of a
/// write, FIN). While connecting, that happens
/// right after on_ready. One that was never connected is destroyed with TROUPE_ERR_SOCKET_CLOSED.
/// Node: socket.resetAndDestroy().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_INVALID_HANDLE_TYPE   it is not TCP; nothing happened,
///            TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_reset_and_destroy(troupe_socket_t socket);

/// Stops on_data, and the peer feels it; what has come waits in order, and the peer's end is not
/// seen (Node reads on up to its high water mark). Before connecting: not a byte is read until
/// troupe_socket_resume(). Node: socket.pause(), socket.resume(), socket.isPaused().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ENOMEM, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD; is_paused: false for a
///            handle that is not open here.
/// Events:    after resume, what waited comes after the current callback; where there is no on_data it
///            goes on waiting (Node throws it away).
TROUPE_API int troupe_socket_pause(troupe_socket_t socket);
TROUPE_API int troupe_socket_resume(troupe_socket_t socket);
TROUPE_API bool troupe_socket_is_paused(troupe_socket_t socket);

/// Sends small writes at once instead of gathering them (Nagle's algorithm). Before connecting it
/// is remembered; without effect on Unix sockets and on destroyed ones. Node: socket.setNoDelay().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ENOMEM, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_set_no_delay(troupe_socket_t socket, bool no_delay);

/// Lets the kernel probe an idle peer: first after `initial_delay_ms` (whole seconds; below one
/// second the times are left alone), then each second, 10 times. As troupe_socket_set_no_delay()
/// otherwise. Node: socket.setKeepAlive().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ENOMEM, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_set_keep_alive(troupe_socket_t socket, bool enable,
                                            unsigned initial_delay_ms);

/// Calls on_timeout once when nothing came or went for so long; whatever comes or goes starts it
/// anew. 0: not. Its value stays when the socket is connected again, but it does not run then until
/// it is set again, as in Node. Node: socket.setTimeout(), socket.timeout.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_OUT_OF_RANGE   above 2^31-1,
///            TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD; timeout: 0 for none, and for a
///            handle that is not open here.
TROUPE_API int troupe_socket_set_timeout(troupe_socket_t socket, unsigned timeout_ms);
TROUPE_API unsigned troupe_socket_timeout(troupe_socket_t socket);

/// Sets the deadlines, all three, at any time; NULL: none. One that has passed by then, counted from
/// where it counts, fails the socket at once. They stay when the socket is connected again; without
/// effect on a destroyed one.
///
/// Ownership: `deadlines` is borrowed until the call returns, or is filled.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_OUT_OF_RANGE   one is above 2^31-1,
///            TROUPE_EINVAL             there is nothing to fill,
///            TROUPE_ENOMEM             there is no memory; nothing was changed,
///            TROUPE_ESTALE, TROUPE_EWRONGTHREAD; then what was to be filled is zeroed.
/// Events:    on_error with TROUPE_ECONNECTDEADLINE, TROUPE_EFIRSTBYTEDEADLINE or
///            TROUPE_EWRITESTALLDEADLINE, and on_close, when one passes.
TROUPE_API int troupe_socket_set_deadlines(troupe_socket_t socket,
                                           const troupe_deadlines_t *deadlines);
TROUPE_API int troupe_socket_deadlines(troupe_socket_t socket, troupe_deadlines_t *deadlines);

/// Makes the close gentle: to close a socket with unread bytes in it, or into which the peer goes on
/// writing, makes the kernel send a reset, and that destroys what the peer has not read yet of our
/// last bytes. With this FIN is sent instead, and what the peer still sends is thrown away, in the
/// I/O actor, until the peer has closed too, or for `linger_ms` at most. on_close does not wait for
/// it, and the socket counts nowhere any more; but its descriptor is taken meanwhile. It works
/// however the socket is closed, but for troupe_socket_reset_and_destroy(), and as long as the
/// system lives. 0: a plain close, as in Node. Stays over reconnects; without effect on pipes.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_OUT_OF_RANGE   above 2^31-1,
///            TROUPE_ENOMEM, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_set_linger(troupe_socket_t socket, unsigned linger_ms);

/// Lets the actor end although the socket is open, and back. Without that a socket holds its actor
/// from connect() to on_close, except, as in Node, where nothing can come of it and nothing waits to
/// be written: the peer has ended and this side is kept open, `onread` has stopped reading, or it
/// is paused since before it was connected. One that was read from and is paused then does hold its
/// actor, as does one that was given away while it was paused; Node's goes on reading until its
/// buffer is full, and holds nothing from then on. Node: socket.unref(), socket.ref().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_unref(troupe_socket_t socket);
TROUPE_API int troupe_socket_ref(troupe_socket_t socket);

/// The addresses of both ends, as the system reported them. Those of Unix sockets have family
/// TROUPE_FAMILY_UNIX and may have no path. Node: socket.address(), localAddress, localPort,
/// localFamily, remoteAddress, remotePort, remoteFamily.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOTCONN   it is not connected (Node tells the local one while it connects,
///                              too), or destroyed; `*address` is zeroed,
///            TROUPE_EINVAL     `address` is NULL, TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_local_address(troupe_socket_t socket, troupe_address_t *address);
TROUPE_API int troupe_socket_remote_address(troupe_socket_t socket, troupe_address_t *address);

/// Whose process is at the other end of a Unix socket, as the kernel knows it.
typedef struct troupe_credentials {
  int64_t pid;       ///< 0: not in a process namespace that is seen from here
  uint64_t uid, gid; ///< the effective ones
} troupe_credentials_t;

/// Tells whose process connected; on the connecting side: whose process listens; of one end of a
/// socketpair(): who made it. As it was at the time of that call: a process may have ended since and
/// its pid be another's, so decide by uid and gid. It is in the actor's trace. Linux: SO_PEERCRED.
/// Not in Node.
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOTSUP    it is no Unix socket,
///            TROUPE_ENOTCONN   it is not connected, or destroyed,
///            TROUPE_ESTALE, TROUPE_EWRONGTHREAD; then `*credentials` is zeroed,
///            TROUPE_EINVAL     `credentials` is NULL.
TROUPE_API int troupe_socket_peer_credentials(troupe_socket_t socket,
                                              troupe_credentials_t *credentials);

/// Counts of bytes: those that have come; those written, waiting ones too; those of them that are not
/// known here to be with the kernel (Node tries a write at once, and knows). 0 for a handle that is
/// not open here. Node: bytesRead, bytesWritten, writableLength and bufferSize.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API uint64_t troupe_socket_bytes_read(troupe_socket_t socket);
TROUPE_API uint64_t troupe_socket_bytes_written(troupe_socket_t socket);
TROUPE_API size_t troupe_socket_writable_length(troupe_socket_t socket);

/// What can be done with a socket. Node: socket.readyState.
typedef enum troupe_ready_state {
  TROUPE_CLOSED = 0, ///< both sides have ended, or it is destroyed, or the handle is not open here.
                     ///< Node: 'closed'
  TROUPE_OPENING = 1,    ///< Node: 'opening'
  TROUPE_OPEN = 2,       ///< also before the first connect, as in Node. Node: 'open'
  TROUPE_READ_ONLY = 3,  ///< this side has ended. Node: 'readOnly'
  TROUPE_WRITE_ONLY = 4, ///< the peer's side has ended. Node: 'writeOnly'
} troupe_ready_state_t;

/// Thread:    owner.
/// Blocks:    never.
TROUPE_API troupe_ready_state_t troupe_socket_ready_state(troupe_socket_t socket);

/// Gives Node's word: "opening", "open", "readOnly", "writeOnly", "closed".
///
/// Thread:    any.
/// Blocks:    never.
TROUPE_API const char *troupe_ready_state_name(troupe_ready_state_t state);

/// Whether it is on its way to be connected; whether it is not connected (yet, or any more);
/// whether it is destroyed. A handle that is not open here: false, true, true. Node:
/// socket.connecting, socket.pending, socket.destroyed.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API bool troupe_socket_connecting(troupe_socket_t socket);
TROUPE_API bool troupe_socket_pending(troupe_socket_t socket);
TROUPE_API bool troupe_socket_destroyed(troupe_socket_t socket);

/// The addresses that family autoselection has tried; the last one is the connected one. Node:
/// socket.autoSelectFamilyAttemptedAddresses.
///
/// Ownership: at most `capacity` of them are written to `addresses`, which may be NULL.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   how many there are; TROUPE_ESTALE, or TROUPE_EWRONGTHREAD.
TROUPE_API int troupe_socket_attempted_addresses(troupe_socket_t socket,
                                                 troupe_address_t *addresses, size_t capacity);

/// The server that accepted it; {0} when none did. It may be gone. Node: socket.server.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API troupe_server_t troupe_socket_server(troupe_socket_t socket);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_socket_new(...) troupe_socket_new_at(TROUPE_HERE, __VA_ARGS__)
#define troupe_connect(...) troupe_connect_at(TROUPE_HERE, __VA_ARGS__)
#define troupe_connect_port(...) troupe_connect_port_at(TROUPE_HERE, __VA_ARGS__)
#define troupe_connect_path(...) troupe_connect_path_at(TROUPE_HERE, __VA_ARGS__)
#define troupe_socket_adopt(...) troupe_socket_adopt_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
