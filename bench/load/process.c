// What the generator needs from the system around it: see process.h.

#include "bench/load/process.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static double cpu_alone(pid_t pid);
static double seconds_of(struct timeval value);
static void remember_signal(int number);

uint64_t load_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * LOAD_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

double load_cpu_own(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

double load_cpu_of(pid_t pid) {
  double sum = cpu_alone(pid);
  // The workers of a server that is several processes: those that its first thread has started.
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
  FILE *file = sum < 0 ? NULL : fopen(path, "re");
  if (file != NULL) {
    for (long child; fscanf(file, "%ld", &child) == 1;) {
      double more = cpu_alone((pid_t)child);
      sum += more > 0 ? more : 0;
    }
    fclose(file);
  }
  return sum;
}

static double cpu_alone(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    return -1;
  }
  char line[1024];
  size_t length = fread(line, 1, sizeof line - 1, file);
  fclose(file);
  line[length] = '\0';
  // The program's name stands in parentheses and may hold anything, so the fields are counted from
  // the last one.
  const char *fields = strrchr(line, ')');
  unsigned long user = 0;
  unsigned long system = 0;
  if (fields == NULL || sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               &user, &system) != 2) {
    return -1;
  }
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

_Noreturn void load_die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

void load_catch_signals(void) {
  // Without SA_RESTART, so that a wait in the loop ends.
  struct sigaction action = {.sa_handler = remember_signal};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

bool load_interrupted(void) {
  return interrupted != 0;
}

void load_allow_files(size_t count) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    load_die("getrlimit: %s", strerror(errno));
  }
  if (limit.rlim_cur >= count) {
    return;
  }
  if (limit.rlim_max < count) {
    load_die("%zu open files are needed, the hard limit is %llu (see ulimit -Hn)", count,
             (unsigned long long)limit.rlim_max);
  }
  limit.rlim_cur = count;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    load_die("setrlimit: %s", strerror(errno));
  }
}

static double seconds_of(struct timeval value) {
  return (double)value.tv_sec + (double)value.tv_usec / 1e6;
}

static void remember_signal(int number) {
  (void)number;
  interrupted = 1;
}
