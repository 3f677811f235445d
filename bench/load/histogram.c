// The log-linear histogram: see histogram.h for what it promises.

#include "bench/load/histogram.h"

#include <stddef.h>

enum { STEPS_PER_OCTAVE = 1 << LOAD_HISTOGRAM_STEP_BITS };

static size_t step_of(uint64_t value_ns);
static uint64_t highest_value_in(size_t step);

void load_histogram_record(load_histogram_t *histogram, uint64_t value_ns) {
  histogram->count++;
  if (value_ns > histogram->max_ns) {
    histogram->max_ns = value_ns;
  }
  histogram->steps[step_of(value_ns)]++;
}

uint64_t load_histogram_quantile(const load_histogram_t *histogram, double share) {
  if (histogram->count == 0) {
    return 0;
  }
  // Rounded up: the value at which at least this many recordings are reached.
  double exact = share * (double)histogram->count;
  uint64_t wanted = (uint64_t)exact;
  if ((double)wanted < exact || wanted == 0) {
    wanted++;
  }
  uint64_t seen = 0;
  for (size_t step = 0; step < LOAD_HISTOGRAM_STEPS; step++) {
    seen += histogram->steps[step];
    if (seen >= wanted) {
      uint64_t value_ns = highest_value_in(step);
      return value_ns < histogram->max_ns ? value_ns : histogram->max_ns;
    }
  }
  return histogram->max_ns;
}

static size_t step_of(uint64_t value_ns) {
  if (value_ns < STEPS_PER_OCTAVE) {
    return (size_t)value_ns;
  }
  if (value_ns >> LOAD_HISTOGRAM_VALUE_BITS != 0) {
    return LOAD_HISTOGRAM_STEPS - 1;
  }
  unsigned shift = 63U - (unsigned)__builtin_clzll(value_ns) - LOAD_HISTOGRAM_STEP_BITS;
  return ((size_t)shift << LOAD_HISTOGRAM_STEP_BITS) + (size_t)(value_ns >> shift);
}

static uint64_t highest_value_in(size_t step) {
  if (step < STEPS_PER_OCTAVE) {
    return step;
  }
  unsigned shift = (unsigned)(step >> LOAD_HISTOGRAM_STEP_BITS) - 1;
  uint64_t lowest = (uint64_t)(step - ((size_t)shift << LOAD_HISTOGRAM_STEP_BITS)) << shift;
  return lowest + ((uint64_t)1 << shift) - 1;
}
