/// Private. Starting the threads of the I/O side.
///
/// They block every asynchronous signal for all of their life, so that the application's handlers
/// run in threads of its own. SIGPIPE is among them: a write to a pipe without a reader leaves one
/// pending on the thread that wrote, where nobody ever sees it, and it is gone with the thread.
#ifndef TRP_IO_THREAD_H_INCLUDED
#define TRP_IO_THREAD_H_INCLUDED

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/// `name` has at most 15 characters. Returns 0 or TROUPE_EAGAIN, TROUPE_ENOMEM.
int trp_io_thread_start(pthread_t *thread, const char *name, void *(*main)(void *), void *argument);

/// A condition whose deadlines are of the monotonic clock. 0 or TROUPE_ENOMEM, TROUPE_EAGAIN.
int trp_io_condition_init(pthread_cond_t *condition);

/// Returns false when the deadline (of uv_hrtime()'s clock) has passed.
bool trp_io_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns);

#endif
