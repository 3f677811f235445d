/// Private. Making listening sockets: plain system calls on descriptors. Nothing here blocks.
#ifndef TRP_IO_LISTEN_H_INCLUDED
#define TRP_IO_LISTEN_H_INCLUDED

#include "actors/net/transport.h"

enum { TRP_BACKLOG = 511 }; // as in Node; the kernel cuts it down to its own limit

/// The file that bind() made for a Unix socket. It is remembered by its inode, so that nobody
/// else's file is ever removed.
typedef struct trp_path trp_path_t;

/// Makes a socket, binds it and listens. `*path` is the file that was made, NULL when none was.
/// Returns 0 or an error with the call that failed in
/// `*syscall`; then nothing is left, neither a descriptor nor a file.
int trp_listen(const trp_listen_spec_t *spec, int *fd, trp_path_t **path, const char **syscall);

/// Listens on a bound descriptor; a backlog of 0 or less is TRP_BACKLOG. 0 or an error.
int trp_listen_again(int fd, int backlog);

/// Takes one waiting connection, non-blocking and close-on-exec: its descriptor or an error.
/// Connections that died while they waited are gone over.
int trp_listen_accept(int fd, troupe_address_t *remote);

/// Removes the file, if it is still the one that was made, and frees `*path`. NULL is fine.
void trp_path_remove(trp_path_t **path);

/// Whether '::' can be bound here.
bool trp_listen_has_ipv6(void);

#endif
