/// Sockets that somebody opened for the program before it began: systemd's socket activation, or
/// whoever else sets LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
///
/// The environment is read inside these calls, and never otherwise; it is not changed, so that a
/// child has to find by LISTEN_PID that the sockets are not for it, as it should anyway. Ask once,
/// at the start of main(), before any of the descriptors is used, and give what was found to the
/// actors in their arguments: what an actor reads here by itself is not in its trace.
///
/// A listening one is listened on by `use_fd` and `fd` of troupe_listen_options_t; any number of
/// actors may do so, and share it.
#ifndef TROUPE_ACTIVATION_H_INCLUDED
#define TROUPE_ACTIVATION_H_INCLUDED

#include <troupe/address.h>

TROUPE_BEGIN

enum {
  TROUPE_ACTIVATED_NAME_SIZE = 256, ///< of every name that systemd allows, with its NUL
};

/// What a descriptor is.
typedef enum troupe_activated_kind {
  TROUPE_ACTIVATED_OTHER = 0,     ///< nothing that troupe can use: a datagram socket, a file
  TROUPE_ACTIVATED_LISTENING = 1, ///< a stream socket that listens: for troupe_server_listen()
  TROUPE_ACTIVATED_STREAM = 2, ///< a connection (Accept=yes) or a pipe: for troupe_socket_adopt()
} troupe_activated_kind_t;

typedef struct troupe_activated {
  int fd;
  troupe_activated_kind_t kind;
  troupe_address_t address;              ///< a stream socket's own; of no family where it has none
  char name[TROUPE_ACTIVATED_NAME_SIZE]; ///< FileDescriptorName= of the unit, "unknown" without
                                         ///< LISTEN_FDNAMES
} troupe_activated_t;

/// Tells which descriptors were passed to this process. All of them, whatever they are, are set to
/// be closed on exec.
///
/// Ownership: the descriptors are the caller's. At most `capacity` are written to `list`; `*count`
///            says how many there are, 0 if there are none for this process.
/// Thread:    any, while no other changes the environment.
/// Blocks:    never.
/// Returns:   0, or with `*count` 0
///            TROUPE_ERR_INVALID_ARG_VALUE   the variables make no sense: no numbers, or not as many
///                                           names as descriptors,
///            TROUPE_EBADF                   one of the descriptors is not open,
///            TROUPE_EINVAL                  `count` is NULL, or `list` with a `capacity`.
TROUPE_API int troupe_activated_list(troupe_activated_t *list, size_t capacity, size_t *count);

/// Finds one to listen on: the one with that name, or with NULL whatever its name; `index` counts
/// from 0 among those (a unit may have several addresses under one name).
///
/// Ownership: the name is borrowed until the call returns; the descriptor is the caller's.
/// Thread:    any, while no other changes the environment.
/// Blocks:    never.
/// Returns:   0, or the errors of troupe_activated_list(), TROUPE_ENOMEM, or
///            TROUPE_ENOENT                there is none,
///            TROUPE_ERR_INVALID_FD_TYPE   there is, but it does not listen; `*found` tells of it.
TROUPE_API int troupe_activated_find(const char *name, size_t index, troupe_activated_t *found);

TROUPE_END

#endif
