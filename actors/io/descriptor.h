/// Private. What the transport asks of plain descriptors: system calls whose answers are 0 or more,
/// or a negative errno. Nothing here blocks.
#ifndef TRP_IO_DESCRIPTOR_H_INCLUDED
#define TRP_IO_DESCRIPTOR_H_INCLUDED

#include "actors/net/transport.h"

/// What a descriptor is, beside what it does: reset, keep-alive and no-delay are TCP's, and pipes
/// know neither FIN nor MSG_NOSIGNAL.
typedef enum trp_fd_type {
  TRP_FD_TCP,
  TRP_FD_UNIX,
  TRP_FD_PIPE, // a pipe, a FIFO or a character device: no socket
} trp_fd_type_t;

/// Finds out what somebody else's descriptor is. 0, TROUPE_EBADF, or TROUPE_ERR_INVALID_FD_TYPE: no
/// stream.
int trp_fd_classify(int fd, trp_fd_type_t *type, trp_fd_kind_t *kind);

/// Makes it non-blocking and close-on-exec.
int trp_fd_tame(int fd);

/// Begins to connect, bound to `local` first unless that is NULL. 0 with `*fd`, or an error with
/// `*syscall`; then nothing is left.
int trp_fd_connect(const troupe_address_t *remote, const troupe_address_t *local, int *fd,
                   const char **syscall);

/// The error that is pending on a socket, which takes it away; 0 for none.
int trp_fd_error(int fd);

/// How an attempt to connect ended: 0 or its error, which is told once; TROUPE_EALREADY: it goes
/// on.
int trp_fd_connected(int fd);

ssize_t trp_fd_read(int fd, void *bytes, size_t length);

/// Raises no SIGPIPE on a socket. A pipe without a reader does, to the thread that writes, and all
/// threads of the library block it: it stays pending where nobody ever sees it, and is gone with
/// the thread.
ssize_t trp_fd_write(int fd, trp_fd_type_t type, const struct iovec *parts, int count);

int trp_fd_set_option(int fd, trp_option_t option, int value);

/// Closes so that the peer gets a reset.
void trp_fd_reset(int fd);

/// Whose process is at the other end. 0 or an error.
int trp_fd_credentials(int fd, trp_credentials_t *credentials);

void trp_fd_names(int fd, troupe_address_t *local, troupe_address_t *remote);

#endif
