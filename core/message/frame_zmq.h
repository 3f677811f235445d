/// Private. What pipes.c needs of frames: sending and receiving them. With the thread's end, for
/// whoever starts threads.
#ifndef TRP_FRAME_ZMQ_H_INCLUDED
#define TRP_FRAME_ZMQ_H_INCLUDED

#include <errno.h>
#include <stdbool.h>

#include "core/message/frame.h"

/// `socket` is a ZeroMQ socket, `flags` its flags. NULL or -1: errno tells why.
trp_frame_t *trp_frame_receive(void *socket, int flags);
int trp_frame_send(trp_frame_t *frame, void *socket, int flags);
bool trp_frame_more(trp_frame_t *frame);

/// Frees the thread's spare shells: the last thing that a thread with frames does.
void trp_frame_thread_end(void);

#endif
