/// Private. Abort tokens as sockets and servers see them. Everything runs in the actor's thread;
/// nothing blocks, and nothing here calls the application.
#ifndef TRP_ABORT_H_INCLUDED
#define TRP_ABORT_H_INCLUDED

#include <troupe/abort.h>

struct trp_abort_token;

/// Part of whatever a token can abort; zeroed, it hangs on none. Of two links made to the same
/// token the first is called first, as in Node.
typedef struct trp_abort_link {
  struct trp_abort_token *token; // NULL: on none
  struct trp_abort_link *next, *previous;
  /// The token was aborted. Called once, and the link hangs on none by then. May unlink others and
  /// free the token, but not call the application.
  void (*abort)(void *owner);
  void *owner;
} trp_abort_link_t;

/// What a `signal` option names: 0, TROUPE_ESTALE, or TROUPE_EWRONGTHREAD; none at all is fine.
int trp_abort_check(troupe_abort_t handle);

/// Hangs the link on the token, which was checked; on none, if none is named. False: it is aborted
/// already, and the link hangs on none.
bool trp_abort_link(trp_abort_link_t *link, troupe_abort_t token, void (*abort)(void *owner),
                    void *owner);
/// Takes it off, if it is on one.
void trp_abort_unlink(trp_abort_link_t *link);

/// Aborts a token of this thread's actor: 0, or TROUPE_ESTALE.
int trp_abort_here(troupe_abort_t handle);

#endif
