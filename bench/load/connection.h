// Private to the load generator: one connection that sends its pattern and checks what comes back.
//
// Three positions in the stream say all about it: bytes up to `allowed` may be sent, up to `sent`
// they were, up to `received` they have come back and were right. A mode of the generator moves
// `allowed` and looks at `received`; it never handles bytes. The fd is watched edge-triggered, for
// reading and writing at once, so a connection costs one epoll_ctl in its life.

#ifndef LOAD_CONNECTION_H_INCLUDED
#define LOAD_CONNECTION_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>

#include "bench/load/target.h"

typedef struct {
  int fd; // -1: not open
  bool connected;
  bool ended;             // the server has ended its side
  uint64_t serial;        // which connection of this program it is; chooses the pattern
  uint64_t pattern_start; // see load_pattern_start
  uint64_t allowed;
  uint64_t sent;
  uint64_t received;
} load_connection_t;

// Starts connecting and watches the fd with `connection` as its data. Returns false when the server
// has no room at the moment (the caller tries again later); ends the program on every other error.
bool load_connection_open(load_connection_t *connection, const load_target_t *target,
                          uint64_t serial, int epoll_fd);

// Sends what is allowed, as much as the kernel takes now.
void load_connection_send(load_connection_t *connection, const load_target_t *target);

// Reads and checks all there is; with `ending` (epoll saw the server's end, or an error) also looks
// for the end of the stream. Ends the program when a byte is not the one that was sent, when more
// comes than was sent, or when the connection failed.
void load_connection_receive(load_connection_t *connection, const load_target_t *target,
                             bool ending);

// Says that no more bytes follow; the server still may send.
void load_connection_shutdown(load_connection_t *connection);

void load_connection_close(load_connection_t *connection);

#endif
