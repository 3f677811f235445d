/// What is still open: a list of an actor's handles, or of the sockets and servers of a whole
/// system, with who owns them and where they were made (<troupe/here.h> says how that is known).
#ifndef TROUPE_HANDLE_H_INCLUDED
#define TROUPE_HANDLE_H_INCLUDED

#include <troupe/actor.h>
#include <troupe/address.h>

TROUPE_BEGIN

typedef enum troupe_handle_kind {
  TROUPE_HANDLE_SOCKET = 1,
  TROUPE_HANDLE_SERVER = 2,
  TROUPE_HANDLE_TIMER = 3,
  TROUPE_HANDLE_ABORT = 4, ///< an abort token
} troupe_handle_kind_t;

/// Enough for every text of troupe_handle_text(), with its NUL.
enum { TROUPE_HANDLE_TEXT_SIZE = 640 };

/// A handle that is there.
typedef struct troupe_handle {
  troupe_handle_kind_t kind;
  /// The handle's: (troupe_socket_t){handle.id}. In the list of a system another one, if the socket
  /// was connected again, or the server listened again while connections of before were open.
  uint64_t id;
  troupe_actor_t owner; ///< whose it is
  /// A word for people, never freed. Sockets: "new", "connecting", "open", "ended" (this side has),
  /// "peer ended", "closing", "closed"; servers: "idle", "starting", "listening", "closing"; timers:
  /// "waiting"; abort tokens: "aborted", "not aborted".
  const char *state;
  bool holds; ///< it keeps its actor running; false in the list of a system, which does not know it
  troupe_address_t local;  ///< of a socket, or what a server listens on; family 0: none
  troupe_address_t remote; ///< of a socket; family 0: none
  /// File and line: of the call that made it; of an accepted socket: of the call that made its
  /// server. "": not known. Of a longer one the end.
  char made_at[TROUPE_MADE_AT_SIZE];
} troupe_handle_t;

/// Lists what this thread's actor has: its sockets, servers, timers and abort tokens, in this order,
/// each kind by id. Those that were closed and not freed are in it too, as "closed" or "idle". What
/// holds an actor besides, and is no handle: a watch, and the handler of messages.
///
/// Ownership: at most `capacity` of them are written to `handles`, which may be NULL.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   how many there are, or
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
TROUPE_API int troupe_actor_handles(troupe_handle_t *handles, size_t capacity);

/// Lists the open sockets and servers of all actors, as the I/O actors know them: also of those that
/// hang in a callback and can be asked nothing. Sorted by owner, kind, id. To take it costs an I/O
/// actor about two microseconds for each.
///
/// Ownership: at most `capacity` of them are written to `handles`, which may be NULL.
/// Thread:    any. What an actor makes of the list is not in its trace.
/// Blocks:    for a turn of the I/O actors, a second at most.
/// Returns:   how many there are, or
///            TROUPE_EINVAL      `system` is NULL,
///            TROUPE_ETIMEDOUT   an I/O actor did not answer,
///            TROUPE_ESTOPPED    the system is being freed,
///            TROUPE_ENOMEM      there is no memory.
TROUPE_API int troupe_system_handles(troupe_system_t *system, troupe_handle_t *handles,
                                     size_t capacity);

/// Says a handle in a line: "socket 65/3, open, 127.0.0.1:7007 to 127.0.0.1:51234, made at
/// echo.c:12".
///
/// Ownership: `handle` is borrowed until the call returns. `text` is the caller's, of which
///            TROUPE_HANDLE_TEXT_SIZE bytes are always enough; it ends with a NUL, and is cut if
///            `size` is less.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   the length of the whole text without its NUL, or
///            TROUPE_EINVAL   `handle` or `text` is NULL, or `size` is 0.
TROUPE_API int troupe_handle_text(const troupe_handle_t *handle, char *text, size_t size);

TROUPE_END

#endif
