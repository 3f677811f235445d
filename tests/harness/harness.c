// Running: wraps every test so that the watchdog knows which one runs since when, and the counts
// and paths that tests use.

#include "tests/harness/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/watchdog.h"

#define DEFAULT_LIMIT_MS 120000
#define DEFAULT_SEED 20090813u
#define SETTLE_LIMIT_MS 5000

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

// What a test was before it was wrapped. cmocka hands it to the wrappers as the test's initial
// state.
struct record {
  const struct CMUnitTest *test;
  void *state;
};

static struct {
  CMFixtureFunction setup, teardown;
  void *state;
  const struct record *current;
} group;

static char folder[64];
static struct { int fds, threads; } remembered;

static int begin_group(void **state);
static int end_group(void **state);
static int begin_test(void **state);
static void call_test(void **state);
static int end_test(void **state);
static void remove_folder(void);
static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk);
static bool counts_are_as_remembered(void *arg);
static bool read_figure(const char *path, const char *label, int64_t *figure);
static uint64_t seed(void);

int trp_test_run(const char *group_name, const struct CMUnitTest *tests, size_t count,
                 CMFixtureFunction group_setup, CMFixtureFunction group_teardown) {
  struct record *records = calloc(count, sizeof *records);
  struct CMUnitTest *wrapped = calloc(count, sizeof *wrapped);
  int failed = 1;

  if (records == NULL || wrapped == NULL) {
    fprintf(stderr, "%s: out of memory\n", group_name);
    goto done;
  }
  for (size_t i = 0; i < count; i++) {
    records[i].test = &tests[i];
    wrapped[i].name = tests[i].name;
    wrapped[i].test_func = call_test;
    wrapped[i].setup_func = begin_test;
    wrapped[i].teardown_func = end_test;
    wrapped[i].initial_state = &records[i];
  }
  group.setup = group_setup;
  group.teardown = group_teardown;
  group.state = NULL;
  if (getenv("TROUPE_TEST_FILTER") != NULL) {
    cmocka_set_test_filter(getenv("TROUPE_TEST_FILTER"));
  }
  setvbuf(stdout, NULL, _IOLBF, 0); // what was printed is there when the watchdog ends the program
  trp_watchdog_start(seed());
  failed = _cmocka_run_group_tests(group_name, wrapped, count, begin_group, end_group);
  trp_watchdog_stop();
  if (failed != 0) {
    fprintf(stderr, "%s: the random seed was TROUPE_TEST_SEED=%" PRIu64 "\n", group_name, seed());
  }
done:
  free(wrapped);
  free(records);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int trp_test_remember_counts(void **state) {
  (void)state;
  remembered.fds = trp_test_count_fds();
  remembered.threads = trp_test_count_threads();
  return 0;
}

int trp_test_compare_counts(void **state) {
  (void)state;
  remove_folder();
  if (!trp_test_wait_until(counts_are_as_remembered, NULL, SETTLE_LIMIT_MS)) {
    print_error("left behind: %d fds were open and are %d, %d threads ran and are %d\n",
                remembered.fds, trp_test_count_fds(), remembered.threads, trp_test_count_threads());
    return -1;
  }
  return 0;
}

void trp_test_limit(int limit_ms) {
  const struct record *record = group.current;
  const char *name = record == NULL ? "(no test)" : record->test->name;
  trp_watchdog_watch(name, trp_test_now_ms() + (int64_t)limit_ms * trp_test_slow());
}

const char *trp_test_source_folder(void) {
  const char *path = getenv("TROUPE_SOURCE_DIR");
  return path == NULL ? TRP_TEST_SOURCE_FOLDER : path;
}

const char *trp_test_build_folder(void) {
  const char *path = getenv("TROUPE_BUILD_DIR");
  return path == NULL ? TRP_TEST_BUILD_FOLDER : path;
}

int trp_test_slow(void) {
  static _Atomic int known; // 0 until asked; two threads that ask at once find the same
  if (known == 0) {
    const char *text = getenv("TROUPE_TEST_SLOW");
    int slow = text == NULL ? 1 : atoi(text);
    const char *preloaded = getenv("LD_PRELOAD");
    bool in_valgrind = preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
    if (slow < 1) {
      slow = 1;
    }
    known = SANITIZED || in_valgrind ? slow * 10 : slow;
  }
  return known;
}

int64_t trp_test_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool trp_test_wait_until(bool (*predicate)(void *arg), void *arg, int limit_ms) {
  int64_t deadline_ms = trp_test_now_ms() + (int64_t)limit_ms * trp_test_slow();
  for (int pause_ms = 1; !predicate(arg);) {
    if (trp_test_now_ms() >= deadline_ms) {
      return false;
    }
    poll(NULL, 0, pause_ms);
    pause_ms = pause_ms < 50 ? pause_ms * 2 : pause_ms;
  }
  return true;
}

int trp_test_count_fds(void) {
  DIR *directory = opendir("/proc/self/fd");
  int count = -1; // the directory's own
  if (directory == NULL) {
    return -1;
  }
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    count += entry->d_name[0] != '.';
  }
  closedir(directory);
  return count;
}

int trp_test_count_threads(void) {
  DIR *directory = opendir("/proc/self/task");
  int count = 0;
  if (directory == NULL) {
    return -1;
  }
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    count += entry->d_name[0] != '.' && atoi(entry->d_name) != trp_watchdog_thread();
  }
  closedir(directory);
  return count;
}

int64_t trp_test_rss_bytes(void) {
  int64_t kib = 0;
  return read_figure("/proc/self/status", "VmRSS:", &kib) ? kib * 1024 : -1;
}

int64_t trp_test_pss_bytes(void) {
  int64_t kib = 0;
  return read_figure("/proc/self/smaps_rollup", "Pss:", &kib) ? kib * 1024 : -1;
}

int64_t trp_test_context_switches(void) {
  DIR *directory = opendir("/proc/self/task");
  int64_t sum = 0;
  if (directory == NULL) {
    return -1;
  }
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    char path[300];
    int64_t count = 0;
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == trp_watchdog_thread()) {
      continue;
    }
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    if (read_figure(path, "voluntary_ctxt_switches:", &count)) { // a thread may end meanwhile
      sum += count;
    }
  }
  closedir(directory);
  return sum;
}

int64_t trp_test_cpu_us(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

bool trp_test_rests(int window_ms, int64_t most_switches, int64_t most_cpu_us) {
  enum { WINDOWS = 6 };
  for (int i = 0; i < WINDOWS; i++) {
    int64_t switches = trp_test_context_switches();
    int64_t cpu_us = trp_test_cpu_us();
    poll(NULL, 0, window_ms); // time in which nothing is to happen
    if (trp_test_cpu_us() - cpu_us <= most_cpu_us &&
        trp_test_context_switches() - switches <= most_switches) {
      return true;
    }
  }
  return false;
}

bool trp_test_levels_off(void (*stretch)(void *arg), void *arg, int64_t most_bytes) {
  enum { STRETCHES = 5 };
  for (int i = 0; i < STRETCHES; i++) {
    int64_t before = trp_test_rss_bytes();
    stretch(arg);
    if (trp_test_rss_bytes() - before <= most_bytes || trp_test_slow() > 1) {
      return true;
    }
  }
  return false;
}

const char *trp_test_folder(void) {
  if (folder[0] == '\0') {
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] != '/' || strlen(parent) > sizeof folder - 24) {
      parent = "/tmp";
    }
    snprintf(folder, sizeof folder, "%s/troupe-test-XXXXXX", parent);
    if (mkdtemp(folder) == NULL) {
      int error = errno;
      folder[0] = '\0';
      fail_msg("no folder could be made in %s: %s", parent, strerror(error));
    }
  }
  return folder;
}

void trp_test_random_start(trp_test_random_t *random, uint64_t stream) {
  trp_test_random_t mixer = {stream};
  random->state = seed() ^ trp_test_random_next(&mixer);
}

// splitmix64, by Sebastiano Vigna (public domain).
uint64_t trp_test_random_next(trp_test_random_t *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t trp_test_random_below(trp_test_random_t *random, uint64_t bound) {
  return bound == 0 ? 0 : trp_test_random_next(random) % bound; // the bias does not matter in a
                                                                // test
}

void trp_test_random_bytes(trp_test_random_t *random, void *bytes, size_t length) {
  unsigned char *at = bytes;
  while (length > 0) {
    uint64_t word = trp_test_random_next(random);
    size_t part = length < sizeof word ? length : sizeof word;
    memcpy(at, &word, part);
    at += part;
    length -= part;
  }
}

static int begin_group(void **state) {
  trp_watchdog_watch("(group set-up)",
                     trp_test_now_ms() + (int64_t)DEFAULT_LIMIT_MS * trp_test_slow());
  if (group.setup != NULL) {
    int status = group.setup(state);
    group.state = *state;
    return status;
  }
  return 0;
}

static int end_group(void **state) {
  trp_watchdog_watch("(group tear-down)",
                     trp_test_now_ms() + (int64_t)DEFAULT_LIMIT_MS * trp_test_slow());
  return group.teardown == NULL ? 0 : group.teardown(state);
}

static int begin_test(void **state) {
  struct record *record = *state;
  group.current = record;
  record->state = record->test->initial_state == NULL ? group.state : record->test->initial_state;
  trp_test_limit(DEFAULT_LIMIT_MS);
  return record->test->setup_func == NULL ? 0 : record->test->setup_func(&record->state);
}

static void call_test(void **state) {
  struct record *record = *state;
  record->test->test_func(&record->state);
}

static int end_test(void **state) {
  struct record *record = *state;
  int status = record->test->teardown_func == NULL ? 0
                                                   : record->test->teardown_func(&record->state);
  remove_folder();
  group.current = NULL;
  return status;
}

static void remove_folder(void) {
  if (folder[0] != '\0') {
    if (nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0) {
      print_error("%s could not be removed: %s\n", folder, strerror(errno));
    }
    folder[0] = '\0';
  }
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
  (void)status;
  (void)type;
  (void)walk;
  return remove(path);
}

static bool counts_are_as_remembered(void *arg) {
  (void)arg;
  return trp_test_count_fds() <= remembered.fds && trp_test_count_threads() <= remembered.threads;
}

// Finds the line that begins with `label` and reads the number behind it.
static bool read_figure(const char *path, const char *label, int64_t *figure) {
  FILE *file = fopen(path, "re");
  char line[256];
  bool found = false;
  if (file == NULL) {
    return false;
  }
  while (!found && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, label, strlen(label)) == 0) {
      *figure = strtoll(line + strlen(label), NULL, 10);
      found = true;
    }
  }
  fclose(file);
  return found;
}

static uint64_t seed(void) {
  static _Atomic uint64_t known; // 0 until asked
  if (known == 0) {
    const char *text = getenv("TROUPE_TEST_SEED");
    uint64_t value = text == NULL ? DEFAULT_SEED : strtoull(text, NULL, 0);
    if (text != NULL && strcmp(text, "random") == 0) {
      struct timespec now;
      clock_gettime(CLOCK_REALTIME, &now);
      value = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    known = value == 0 ? 1 : value;
  }
  return known;
}
