/// Starting the threads of the I/O side.
#include "actors/io/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

int trp_io_thread_start(pthread_t *thread, const char *name, void *(*main)(void *),
                        void *argument) {
  // A fault of the thread itself is no asynchronous signal; who catches those (a sanitizer, a crash
  // reporter) goes on doing so.
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    sigdelset(&blocked, faults[i]);
  }
  // A new thread inherits the mask of its maker, so that there is no moment in which it could take
  // a signal.
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int error = pthread_create(thread, NULL, main, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) {
    pthread_setname_np(*thread, name);
  }
  return -error;
}

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
