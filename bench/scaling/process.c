#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/scaling/scaling.h"

/// The sum of the numbers behind these words at the beginnings of lines.
static int64_t sum_of(const char *path, const char *const *words) {
  FILE *file = fopen(path, "re");
  char line[256];
  int64_t sum = 0;
  if (file == NULL) {
    return 0; // a thread that has ended
  }
  while (fgets(line, sizeof line, file) != NULL) {
    for (size_t i = 0; words[i] != NULL; i++) {
      int64_t value = 0;
      size_t length = strlen(words[i]);
      if (strncmp(line, words[i], length) == 0 && sscanf(line + length, "%" SCNd64, &value) == 1) {
        sum += value;
      }
    }
  }
  fclose(file);
  return sum;
}

int64_t process_pss_bytes(pid_t pid) {
  static const char *const words[] = {"Pss:", NULL};
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
  return sum_of(path, words) * 1024;
}

/// Calls `count` with the path of the status of each thread; the sum of what it says.
static int64_t over_threads(pid_t pid, int64_t (*count)(const char *path)) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *folder = opendir(path);
  int64_t sum = 0;
  if (folder == NULL) {
    give_up(path);
  }
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char status[sizeof path + sizeof entry->d_name + 16];
    if (entry->d_name[0] != '.') {
      snprintf(status, sizeof status, "%s/%s/status", path, entry->d_name);
      sum += count(status);
    }
  }
  closedir(folder);
  return sum;
}

static int64_t switches_of(const char *path) {
  static const char *const words[] = {
      "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:", NULL};
  return sum_of(path, words);
}

static int64_t one(const char *path) {
  (void)path;
  return 1;
}

int64_t process_context_switches(pid_t pid) {
  return over_threads(pid, switches_of);
}

unsigned process_threads(pid_t pid) {
  return (unsigned)over_threads(pid, one);
}
