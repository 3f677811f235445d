// Measures block lists: what an addition costs, and a check among more and more rules.
//
// Rules are random subnets of IPv6 (/48 to /128) or of IPv4 (/24 to /32), in random order;
// addresses asked for are random ones, half of them inside a rule, so the processor guesses no
// branch and finds little in its caches. A figure is processor time, the median
// of 9 rounds with their range beside it.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <troupe/block_list.h>

enum { ROUNDS = 9, QUESTIONS = 1 << 13, REPEATS = 16 };

static uint64_t state = 1;

static uint64_t next_random(void) { // splitmix64
  uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

// The processor time of this thread, so that other programs on the machine count little. No check
// sleeps as long as nobody adds a rule.
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static troupe_address_t random_address(int family) {
  troupe_address_t address = {.family = (uint8_t)family};
  uint64_t random[2] = {next_random(), next_random()};
  memcpy(address.bytes, random, family == TROUPE_FAMILY_IPV4 ? 4 : 16);
  return address;
}

static troupe_block_list_t *fill(int family, size_t rules, troupe_address_t *questions,
                                 double *add_ns) {
  troupe_block_list_t *list = NULL;
  troupe_address_t *networks = malloc(rules * sizeof *networks);
  if (networks == NULL || troupe_block_list_new(&list) != 0) {
    abort();
  }
  for (size_t i = 0; i < rules; i++) {
    networks[i] = random_address(family);
  }
  int bits = family == TROUPE_FAMILY_IPV4 ? 32 : 128;
  int spread = family == TROUPE_FAMILY_IPV4 ? 9 : 81;
  double began = now();
  for (size_t i = 0; i < rules; i++) {
    int prefix = bits - (int)(i * 7919 % (size_t)spread);
    if (troupe_block_list_add_subnet(list, &networks[i], prefix) != 0) {
      abort();
    }
  }
  *add_ns = (now() - began) * 1e9 / (double)rules;
  for (size_t i = 0; i < QUESTIONS; i++) {
    questions[i] = i % 2 == 0 ? networks[next_random() % rules] : random_address(family);
  }
  free(networks);
  return list;
}

typedef struct asker {
  const troupe_block_list_t *list;
  const troupe_address_t *questions;
  double check_ns;
  size_t found;
} asker_t;

static void *ask(void *argument) {
  asker_t *asker = argument;
  double began = now();
  asker->found = 0;
  for (size_t i = 0; i < (size_t)QUESTIONS * REPEATS; i++) {
    asker->found += troupe_block_list_check(asker->list, &asker->questions[i % QUESTIONS]);
  }
  asker->check_ns = (now() - began) * 1e9 / QUESTIONS / REPEATS;
  return NULL;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/// Asks in so many threads at a time.
static void measure(const troupe_block_list_t *list, const troupe_address_t *questions,
                    size_t threads, double figures[3]) {
  double rounds[ROUNDS];
  for (size_t round = 0; round < ROUNDS; round++) {
    asker_t askers[2] = {{list, questions, 0, 0}, {list, questions, 0, 0}};
    pthread_t thread;
    if (threads == 2 && pthread_create(&thread, NULL, ask, &askers[1]) != 0) {
      abort();
    }
    ask(&askers[0]);
    if (threads == 2) {
      pthread_join(thread, NULL);
    }
    if (askers[0].found < (size_t)QUESTIONS * REPEATS / 2) {
      abort(); // those inside a rule have to be found
    }
    rounds[round] = askers[0].check_ns;
  }
  qsort(rounds, ROUNDS, sizeof rounds[0], compare);
  figures[0] = rounds[0];
  figures[1] = rounds[ROUNDS / 2];
  figures[2] = rounds[ROUNDS - 1];
}

int main(void) {
  static const size_t sizes[] = {10, 1000, 10000, 100000, 1000000};
  troupe_address_t *questions = malloc(QUESTIONS * sizeof *questions);
  if (questions == NULL) {
    return EXIT_FAILURE;
  }
  puts("| rules | family | add, ns | check, ns (range) | from 2 threads, ns (range) |");
  puts("| ----: | ------ | ------: | ----------------: | -------------------------: |");
  for (int family = TROUPE_FAMILY_IPV4; family <= TROUPE_FAMILY_IPV6; family += 2) {
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      double add, one[3], two[3];
      troupe_block_list_t *list = fill(family, sizes[i], questions, &add);
      measure(list, questions, 1, one);
      measure(list, questions, 2, two);
      printf("| %zu | IPv%d | %.0f | %.0f (%.0f to %.0f) | %.0f (%.0f to %.0f) |\n", sizes[i],
             family, add, one[1], one[0], one[2], two[1], two[0], two[2]);
      fflush(stdout);
      troupe_block_list_free(&list);
    }
  }
  free(questions);
  return EXIT_SUCCESS;
}
