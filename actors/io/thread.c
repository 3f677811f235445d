/// Starting the threads of the I/O side.
#include "actors/io/thread.h"

#include <signal.h>

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
