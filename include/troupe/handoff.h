/// Hand-off: a connection moves from one actor to another, with a message along with it. Node:
/// sending a socket to another process with subprocess.send().
///
/// Nothing of it is lost on the way: what came and nobody has read goes along, in order, and what
/// was written before leaves before all that the new owner writes. The connection does not notice.
#ifndef TROUPE_HANDOFF_H_INCLUDED
#define TROUPE_HANDOFF_H_INCLUDED

#include <troupe/actor.h>
#include <troupe/socket.h>

TROUPE_BEGIN

/// How a give ended: `error` is 0, and the socket is the other actor's from here on; this is its
/// last call here, and then the handle is stale, that of a socket of troupe_socket_new() too. Or it
/// is an error, and the socket is still here:
///            TROUPE_ENOACTOR   there is no such actor (any more); the socket is as it was before,
///            TROUPE_ENOMEM     the I/O actor had no memory; the socket is as it was before,
///            TROUPE_ENOTCONN   the connection was over before; what it had sent is still given
///                              out, then comes on_close,
///            another one       what the socket failed with or was destroyed with, in between:
///                              on_close follows, as for any socket.
typedef void (*troupe_given_fn)(troupe_socket_t socket, int error, void *context);

/// Gives a connected socket to another actor of the system, in whatever state it is: paused, ended
/// by one side, with bytes that wait to be read or written. From this call on it tells nothing here
/// but callbacks of writes and `on_given`, and every call that would change the connection says
/// TROUPE_EGIVING. Callbacks of writes that are not with the kernel when it leaves get that error
/// too; their bytes leave all the same.
///
/// What goes along: bytes that came and were not given out, whole or in part (those that
/// troupe_socket_set_encoding() holds back included); the end of the peer, even if it was told here
/// before; whether it is paused; the options, timeout, deadlines and marks. What stays: handlers, context,
/// encoding, `onread`, the signal, unref.
///
/// What this actor read out of the socket belongs into the message: the library cannot take it
/// back.
///
/// Ownership: `message` is borrowed until the call returns; NULL with `length` 0 is fine.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_EGIVING           it is being given already,
///            TROUPE_ENOTCONN          it is not connected (yet): give it in on_connect; or the
///                                     connection is over and only bytes to be read are left,
///            TROUPE_ERR_STREAM_DESTROYED   it is destroyed,
///            TROUPE_EINVAL            `to` is no actor's id or this actor's own, NULL bytes, or a
///                                     message of more than 16 MiB,
///            TROUPE_ENOMEM            there is no memory; nothing happened,
///            TROUPE_ESTALE, TROUPE_EWRONGTHREAD.
/// Events:    after 0: `on_given` once (NULL is fine), unless the actor ends before.
TROUPE_API int troupe_socket_give(troupe_socket_t socket, troupe_actor_t to, const void *message,
                                  size_t length, troupe_given_fn on_given, void *context);

/// A connection has come from another actor. It is connected and open; set its handlers in here,
/// and what nobody has read comes after this callback. One that was paused is paused: resume it. If
/// the peer has ended, on_end comes behind all that it had sent.
///
/// Ownership: `message` is borrowed until the callback returns; troupe_chunk_keep() keeps it.
typedef void (*troupe_handed_fn)(troupe_socket_t socket, troupe_actor_t from,
                                 const troupe_chunk_t *message, void *context);

/// Gets the connections that other actors give to this one. An actor with this handler is held by
/// it until it is stopped. Without it, connections that are given to this actor are closed.
/// Replaces the earlier one; NULL for none. There is no order between these and messages of
/// troupe_send().
///
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EOVERFLOW      the actor has used up its ids,
///            TROUPE_EWRONGTHREAD   this thread is no actor.
TROUPE_API int troupe_actor_on_handed(troupe_handed_fn on_handed, void *context);
/// The same, told where it is called, which is where the actor's list of handles says that sockets
/// which were given to it were made.
TROUPE_API int troupe_actor_on_handed_at(const char *made_at, troupe_handed_fn on_handed,
                                         void *context);

TROUPE_END

#ifndef TROUPE_NO_HERE
#define troupe_actor_on_handed(...) troupe_actor_on_handed_at(TROUPE_HERE, __VA_ARGS__)
#endif

#endif
