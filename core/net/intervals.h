/// Private. A set of 128-bit numbers, kept as the intervals that cover it: built by adding
/// intervals, asked for single numbers. Not safe for use in several threads while one of them adds.
///
/// Two sorted arrays of disjoint intervals: a large one, and a small one of what was added since
/// the two were last merged. A question is a binary search in each: 0.2 to 0.3
/// microseconds among 100,000 random rules, their lock and the cache misses included
/// (bench/block_list.c). The small one is merged when it holds about twice the square root of what
/// the large one holds, so that an addition moves O(sqrt n) intervals on average, and n additions
/// in any order cost O(n sqrt n).
#ifndef TRP_INTERVALS_H_INCLUDED
#define TRP_INTERVALS_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct trp_number {
  uint64_t high, low;
} trp_number_t;

typedef struct trp_interval {
  trp_number_t first, last; // both belong to it
} trp_interval_t;

typedef struct trp_interval_array {
  trp_interval_t *items; // sorted; between two of them there is a gap of at least one number
  size_t count;
} trp_interval_array_t;

/// Zeroed, it is empty.
typedef struct trp_intervals {
  trp_interval_array_t merged, recent;
  size_t recent_capacity;
} trp_intervals_t;

/// The number whose bytes, the highest first, are these.
trp_number_t trp_number_from_bytes(const uint8_t bytes[16]);

/// Below 0, 0, above 0: as memcmp() of the bytes.
int trp_number_compare(trp_number_t a, trp_number_t b);

/// Makes sure that the next addition succeeds. Returns 0, or TROUPE_ENOMEM with the set left as it
/// was.
int trp_intervals_reserve(trp_intervals_t *set);

/// Adds all numbers from `first` to `last`, which is not below it. Call trp_intervals_reserve()
/// before each addition; this cannot fail then.
void trp_intervals_add(trp_intervals_t *set, trp_number_t first, trp_number_t last);

/// Whether the set has the number.
bool trp_intervals_contain(const trp_intervals_t *set, trp_number_t number);

/// How many intervals are kept, of which some may overlap with another.
size_t trp_intervals_count(const trp_intervals_t *set);

/// Frees the memory; the set is empty then.
void trp_intervals_clear(trp_intervals_t *set);

#endif
