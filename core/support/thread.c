/// A thread inherits the signal mask of its creator: it is blocked around the creation, so that no
/// signal slips in between.
#include "core/support/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <troupe/error.h>

enum { NAME_SIZE = 16 }; // of the system, with the NUL

int trp_thread_start(pthread_t *thread, const char *name, size_t stack_size,
                     void *(*main)(void *argument), void *argument) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) {
    return TROUPE_ENOMEM;
  }
  int error = 0;
  if (stack_size > 0) {
    error = pthread_attr_setstacksize(&attributes, stack_size);
  }
  if (error == 0) {
    // What the thread's own code raises still reaches it.
    static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++) {
      sigdelset(&blocked, synchronous[i]);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    error = pthread_create(thread, &attributes, main, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return error == EAGAIN ? TROUPE_EAGAIN : error == ENOMEM ? TROUPE_ENOMEM : TROUPE_EINVAL;
  }
  char cut[NAME_SIZE] = {0};
  strncpy(cut, name, NAME_SIZE - 1);
  pthread_setname_np(*thread, cut); // for debuggers; nothing depends on it
  return 0;
}
