// The ring of random bytes: see pattern.h.

#include "bench/load/pattern.h"

#include <string.h>

enum { PERIOD = 65521 };

static unsigned char ring[PERIOD + LOAD_PATTERN_SPAN];

static uint64_t mix(uint64_t value);

void load_pattern_prepare(void) {
  for (size_t i = 0; i < PERIOD; i++) {
    ring[i] = (unsigned char)(mix(i) >> 56);
  }
  for (size_t i = PERIOD; i < sizeof ring; i++) {
    ring[i] = ring[i - PERIOD];
  }
}

uint64_t load_pattern_start(uint64_t serial) {
  return mix(~serial) % PERIOD;
}

const unsigned char *load_pattern_at(uint64_t start, uint64_t position) {
  return ring + (start + position) % PERIOD;
}

// A finaliser in the manner of splitmix64: neighbours in, unrelated numbers out.
static uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}
