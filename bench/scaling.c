// What it costs to scale over actors and I/O threads: how evenly connections are dealt, what idle ones
// take, and what a slow actor does to the others.
//
// The service runs in a process of its own. Prints rows of a table in Markdown.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/scaling/scaling.h"

typedef struct {
  const char *name;
  void (*run)(unsigned io_threads, bool quick);
  const char *what;
} measurement_t;

static const measurement_t measurements[] = {
    {"spread", measure_spread, "how evenly connections are dealt to 8 actors"},
    {"idle", measure_idle, "memory and context switches of 10,000 idle connections of 200 actors"},
    {"sleeper", measure_sleeper,
     "what others feel of an actor that sleeps 100 ms in each callback"},
};

enum { MEASUREMENTS = sizeof measurements / sizeof measurements[0] };

static void usage(FILE *to) {
  fputs("usage: scaling [--quick] [--io-threads N] [MEASUREMENT]...\n\n", to);
  for (size_t i = 0; i < MEASUREMENTS; i++) {
    fprintf(to, "  %-8s  %s\n", measurements[i].name, measurements[i].what);
  }
  fputs("\nAll of them, if none is named; with 1 I/O thread and with 3, if no number is given.\n",
        to);
}

int main(int argc, char **argv) {
  bool quick = false;
  bool wanted[MEASUREMENTS] = {false};
  bool any = false;
  unsigned io_threads[] = {1, 3};
  size_t count = 2;
  for (int i = 1; i < argc; i++) {
    bool known = false;
    for (size_t k = 0; k < MEASUREMENTS; k++) {
      if (strcmp(argv[i], measurements[k].name) == 0) {
        wanted[k] = any = known = true;
      }
    }
    if (strcmp(argv[i], "--quick") == 0) {
      quick = known = true;
    } else if (strcmp(argv[i], "--io-threads") == 0 && i + 1 < argc) {
      io_threads[0] = (unsigned)strtoul(argv[++i], NULL, 10);
      count = 1;
      known = true;
    } else if (strcmp(argv[i], "--help") == 0) {
      usage(stdout);
      return 0;
    }
    if (!known) {
      usage(stderr);
      return 2;
    }
  }
  puts("| what | I/O threads | measured | goal |\n| ---- | ----------- | -------- | ---- |");
  for (size_t k = 0; k < MEASUREMENTS; k++) {
    for (size_t i = 0; i < count && (!any || wanted[k]); i++) {
      measurements[k].run(io_threads[i], quick);
      fflush(stdout);
    }
  }
  return 0;
}
