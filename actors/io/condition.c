/// Conditions whose deadlines are of the monotonic clock.
#include "actors/io/condition.h"

#include <errno.h>
#include <time.h>

int trp_io_condition_init(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  int error = pthread_condattr_init(&attributes);
  if (error != 0) {
    return -error;
  }
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  error = pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
  return -error;
}

bool trp_io_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns) {
  struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                              .tv_nsec = (long)(deadline_ns % 1000000000)};
  return pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT;
}
