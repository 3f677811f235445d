// Private to the load generator: where to connect.

#ifndef LOAD_TARGET_H_INCLUDED
#define LOAD_TARGET_H_INCLUDED

#include <stdint.h>
#include <sys/socket.h>

typedef struct {
  const char *text; // as the user wrote it
  struct sockaddr_storage address;
  socklen_t length;
  // Above 1: connections leave from 127.0.0.1, 127.0.0.2 and so on in turn; IPv4 loopback only.
  uint32_t sources;
} load_target_t;

// Reads HOST:PORT, [HOST]:PORT or a path (whatever holds a slash). Blocks for a look-up of HOST.
// Ends the program when the text means nothing. `sources` 0 is 1.
void load_target_parse(load_target_t *target, const char *text, uint32_t sources);

// Starts a non-blocking connection. Returns its fd, or a negative errno; -EAGAIN when the queue of
// a listening Unix socket is full. Whether a TCP connection was made shows on the fd later.
int load_target_connect(const load_target_t *target, uint64_t serial);

#endif
