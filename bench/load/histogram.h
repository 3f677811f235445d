// Private to the load generator: a log-linear histogram of durations.
//
// Every power of two is cut into 128 equal steps, so a reading is at most 0.8 % above the true
// value, from a nanosecond to an hour, in a fixed 36 KiB. Recording is a shift and an increment: it
// can stay on in every run.

#ifndef LOAD_HISTOGRAM_H_INCLUDED
#define LOAD_HISTOGRAM_H_INCLUDED

#include <stdint.h>

enum {
  LOAD_HISTOGRAM_STEP_BITS = 7,
  // Larger values are counted in the last step; the maximum stays exact.
  LOAD_HISTOGRAM_VALUE_BITS = 42,
  LOAD_HISTOGRAM_OCTAVES = LOAD_HISTOGRAM_VALUE_BITS - LOAD_HISTOGRAM_STEP_BITS + 1,
  LOAD_HISTOGRAM_STEPS = LOAD_HISTOGRAM_OCTAVES << LOAD_HISTOGRAM_STEP_BITS,
};

typedef struct {
  uint64_t count;
  uint64_t max_ns;
  uint64_t steps[LOAD_HISTOGRAM_STEPS];
} load_histogram_t;

void load_histogram_record(load_histogram_t *histogram, uint64_t value_ns);

// The value that `share` (0.5 for the median) of all recorded ones do not exceed; 0 when nothing
// was recorded.
uint64_t load_histogram_quantile(const load_histogram_t *histogram, double share);

#endif
