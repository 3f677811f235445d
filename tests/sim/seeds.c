// Seeds of simulated worlds, as many as there is time for:
//
//   seeds WORLD SECONDS [FIRST [JOBS]]
//
// WORLD is chat, proxy, echo, hand_over, or all of them in turn, with 1 and with 3 I/O actors. JOBS
// processes (1), each on a processor of its own, share the seeds from FIRST on; 0, which is also what
// it is without FIRST, draws it. Prints how many there were; the first seed that fails ends all, is
// told, and the status is 1.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/worlds.h"

enum { JOBS_MAX = 256 };

typedef struct {
  const world_t *world; // NULL: all
  double seconds;
  uint64_t first;
  unsigned jobs;
} plan_t;

static double now_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// The one with this number among those that the process may use.
static void go_to_processor(unsigned number) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) == 0) {
    return;
  }
  unsigned left = number % (unsigned)CPU_COUNT(&all);
  for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &all) && left-- == 0) {
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }
}

static bool is_sound(const world_t *world, uint64_t seed, unsigned io_threads) {
  troupe_sim_options_t options = world->options;
  troupe_sim_report_t report;
  options.io_threads = io_threads;
  int result = troupe_sim_run(&options, seed, world->start, world->context, &report);
  if (result != 0) {
    printf("the world %s with %u I/O actors: %s\n%s\n", world->name, io_threads,
           troupe_error_name(result), report.text);
  }
  return result == 0;
}

// The seeds of one job; `*done` counts them where everybody sees it.
static int work(const plan_t *plan, unsigned job, uint64_t *done) {
  double end = now_s() + plan->seconds;
  bool sound = true;
  go_to_processor(job);
  for (uint64_t seed = plan->first + job; sound && now_s() < end; seed += plan->jobs) {
    if (plan->world != NULL) {
      sound = is_sound(plan->world, seed, 1);
    }
    for (size_t i = 0; plan->world == NULL && i < world_count && sound; i++) {
      sound = is_sound(&worlds[i], seed, 1) && is_sound(&worlds[i], seed, 3);
    }
    *done += sound ? 1 : 0;
  }
  return sound ? 0 : 1;
}

static int run(const plan_t *plan) {
  size_t size = plan->jobs * sizeof(uint64_t);
  uint64_t *done = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t children[JOBS_MAX];
  if (done == MAP_FAILED) {
    perror("mmap");
    return 1;
  }
  double began = now_s();
  fflush(stdout);
  for (unsigned job = 0; job < plan->jobs; job++) {
    children[job] = fork();
    if (children[job] == 0) {
      // The services complain of faults there; what is wrong is told by standard output.
      exit(freopen("/dev/null", "w", stderr) == NULL ? 1 : work(plan, job, &done[job]));
    }
  }
  bool sound = true;
  for (unsigned job = 0; job < plan->jobs; job++) {
    int status = 0;
    pid_t ended = wait(&status);
    if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      for (unsigned i = 0; i < plan->jobs && sound; i++) {
        if (children[i] > 0 && children[i] != ended) {
          kill(children[i], SIGTERM);
        }
      }
      sound = false;
    }
  }
  double took = now_s() - began;
  uint64_t count = 0;
  for (unsigned job = 0; job < plan->jobs; job++) {
    count += done[job];
  }
  munmap(done, size);
  printf("%s: %" PRIu64 " seeds from %" PRIu64 " on in %.1f s with %u jobs: %.0f a minute\n",
         plan->world == NULL ? "all worlds" : plan->world->name, count, plan->first, took,
         plan->jobs, (double)count * 60 / took);
  return sound ? 0 : 1;
}

int main(int argc, char **argv) {
  plan_t plan = {.jobs = 1};
  plan.world = argc > 1 ? find_world(argv[1]) : NULL;
  plan.seconds = argc > 2 ? strtod(argv[2], NULL) : 0;
  plan.first = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
  plan.jobs = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1;
  if (argc < 3 || argc > 5 || (plan.world == NULL && strcmp(argv[1], "all") != 0) ||
      plan.seconds <= 0 || plan.jobs < 1 || plan.jobs > JOBS_MAX) {
    fprintf(stderr, "usage: seeds chat|proxy|echo|hand_over|all SECONDS [FIRST [JOBS]]\n");
    return 2;
  }
  if (plan.first == 0) {
    plan.first = (uint64_t)time(NULL) * 1000000 + (uint64_t)getpid();
  }
  return run(&plan);
}
