/// Private. What an actor starts with: together with what enters its inbox, all that it does
/// follows from this. The trace's first record holds it.
#ifndef TRP_START_H_INCLUDED
#define TRP_START_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

enum { TRP_NAME_MAX = 63 };

typedef struct trp_start {
  uint64_t id;
  char name[TRP_NAME_MAX + 1];
  uint32_t index;              // which copy
  uint64_t group;              // the copies of one spawn share it
  uint32_t io_actors;          // the I/O actors are 1 to this
  uint64_t seed;               // of troupe_random()
  int64_t clock_ns;            // what troupe_now() says before the first batch
  int32_t auto_select_family;  // the system's default at the start
  uint32_t attempt_timeout_ms; // likewise
  const void *argument;        // a copy of the argument, when its size is known
  size_t argument_size;
} trp_start_t;

#endif
