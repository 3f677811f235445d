/// Private. Starting threads. All threads of the library block every asynchronous signal for all of
/// their life, so that the application's handlers run in threads of its own.
#ifndef TRP_THREAD_H_INCLUDED
#define TRP_THREAD_H_INCLUDED

#include <pthread.h>
#include <stddef.h>

/// `name` is cut to the 15 characters that the system keeps; `stack_size` 0: the default. Returns 0
/// or TROUPE_EAGAIN, TROUPE_ENOMEM, TROUPE_EINVAL (a stack that is too small).
int trp_thread_start(pthread_t *thread, const char *name, size_t stack_size,
                     void *(*main)(void *argument), void *argument);

#endif
