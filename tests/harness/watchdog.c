// A thread and not a timer's signal: a test may block signals or hang with all of them blocked, as
// the library's own threads do. The stacks are printed by the threads themselves, in the handler of
// a SIGTRAP that is sent to each; SIGTRAP counts as synchronous, so nobody has blocked it.

#include "tests/harness/watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STATUS_HANGS 99
#define STACK_DEPTH 64
#define STACK_LIMIT_MS 2000

// AddressSanitizer prints names and lines; ThreadSanitizer could too, but reports itself for what
// it allocates then.
#ifdef __SANITIZE_ADDRESS__
#define ASAN_PRINTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN_PRINTS 1
#endif
#endif

#ifdef ASAN_PRINTS
void __sanitizer_print_stack_trace(void);
#endif

static struct {
  pthread_t thread;
  _Atomic pid_t thread_id;
  pthread_mutex_t mutex; // guards what follows
  pthread_cond_t changed;
  bool running;
  const char *name;
  int64_t deadline_ms;
  uint64_t seed;
} dog = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static sem_t stack_printed;

static void *keep_watch(void *arg);
static void tell(void);
static void print_stacks(void);
static void print_own_stack(int signal_number);

void trp_watchdog_start(uint64_t seed) {
  pthread_condattr_t attributes;
  sigset_t all, before;
  void *frame[1];

  (void)backtrace(frame, 1); // loads what it needs now, so that it allocates nothing in a handler
  sem_init(&stack_printed, 0, 0);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&dog.changed, &attributes);
  pthread_condattr_destroy(&attributes);
  dog.running = true;
  dog.name = "(none yet)";
  dog.deadline_ms = INT64_MAX;
  dog.seed = seed;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&dog.thread, NULL, keep_watch, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    fprintf(stderr, "the watchdog did not start: %s\n", strerror(error));
    exit(STATUS_HANGS);
  }
  pthread_setname_np(dog.thread, "watchdog");
  while (dog.thread_id == 0) { // counts of threads leave it out, so its id must be known before
                               // they begin
    sched_yield();
  }
}

void trp_watchdog_stop(void) {
  pthread_mutex_lock(&dog.mutex);
  dog.running = false;
  pthread_cond_signal(&dog.changed);
  pthread_mutex_unlock(&dog.mutex);
  pthread_join(dog.thread, NULL);
  pthread_cond_destroy(&dog.changed);
  sem_destroy(&stack_printed);
  dog.thread_id = 0;
}

void trp_watchdog_watch(const char *name, int64_t deadline_ms) {
  pthread_mutex_lock(&dog.mutex);
  bool sooner = deadline_ms < dog.deadline_ms;
  dog.name = name;
  dog.deadline_ms = deadline_ms;
  if (sooner) { // a later one is seen when the thread wakes up for the earlier: no wake-up per test
    pthread_cond_signal(&dog.changed);
  }
  pthread_mutex_unlock(&dog.mutex);
}

pid_t trp_watchdog_thread(void) {
  return dog.thread_id;
}

static void *keep_watch(void *arg) {
  (void)arg;
  dog.thread_id = (pid_t)syscall(SYS_gettid);
  pthread_mutex_lock(&dog.mutex);
  while (dog.running) {
    if (dog.deadline_ms == INT64_MAX) {
      pthread_cond_wait(&dog.changed, &dog.mutex);
      continue;
    }
    struct timespec until = {.tv_sec = (time_t)(dog.deadline_ms / 1000),
                             .tv_nsec = (long)(dog.deadline_ms % 1000) * 1000000};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec)) {
      tell();
    }
    pthread_cond_timedwait(&dog.changed, &dog.mutex, &until);
  }
  pthread_mutex_unlock(&dog.mutex);
  return NULL;
}

static void tell(void) {
  fflush(stdout);
  dprintf(STDERR_FILENO, "\nHANGS: %s was not over in time. TROUPE_TEST_SEED=%" PRIu64 "\n",
          dog.name, dog.seed);
  print_stacks();
  dprintf(
      STDERR_FILENO,
      "\n(+0x...) is an offset: addr2line -fpie PROGRAM 0x... names function and line. To look at it alive,\n"
      "run the program with TROUPE_TEST_FILTER=%s TROUPE_TEST_SLOW=1000 and attach a debugger.\n",
      dog.name);
  _exit(STATUS_HANGS);
}

static void print_stacks(void) {
  struct sigaction action = {.sa_handler = print_own_stack, .sa_flags = SA_RESTART};
  DIR *directory = opendir("/proc/self/task");
  sigaction(SIGTRAP, &action, NULL);
  if (directory == NULL) {
    return;
  }
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    pid_t thread = (pid_t)atoi(entry->d_name);
    char path[300], name[32] = "?";
    if (thread == 0 || thread == dog.thread_id) {
      continue;
    }
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
      if (fgets(name, sizeof name, file) != NULL) {
        name[strcspn(name, "\n")] = '\0';
      }
      fclose(file);
    }
    dprintf(STDERR_FILENO, "\nThread %d, %s%s:\n", (int)thread, name,
            thread == getpid() ? " (runs the test)" : "");
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STACK_LIMIT_MS / 1000;
    if (syscall(SYS_tgkill, getpid(), thread, SIGTRAP) != 0 ||
        sem_timedwait(&stack_printed, &until) != 0) {
      dprintf(STDERR_FILENO, "  (does not tell)\n");
    }
  }
  closedir(directory);
}

static void print_own_stack(int signal_number) {
  (void)signal_number;
#ifdef ASAN_PRINTS
  __sanitizer_print_stack_trace();
#else
  void *frames[STACK_DEPTH];
  backtrace_symbols_fd(frames, backtrace(frames, STACK_DEPTH), STDERR_FILENO);
#endif
  sem_post(&stack_printed);
}
