/// Private. Conditions whose deadlines are of the monotonic clock.
#ifndef TRP_IO_CONDITION_H_INCLUDED
#define TRP_IO_CONDITION_H_INCLUDED

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/// 0 or TROUPE_ENOMEM, TROUPE_EAGAIN.
int trp_io_condition_init(pthread_cond_t *condition);

/// Returns false when the deadline (of uv_hrtime()'s clock) has passed.
bool trp_io_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns);

#endif
