/// Private. How often children may be started again, and how long that waits. Pure: no clock, no
/// messages; the times come in.
#ifndef TRP_RESTARTS_H_INCLUDED
#define TRP_RESTARTS_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The restarts of the last period, in a ring.
typedef struct trp_restarts {
  int64_t *times;
  size_t max, next, count;
  int64_t period_ns;
} trp_restarts_t;

/// 0 or TROUPE_ENOMEM.
int trp_restarts_init(trp_restarts_t *restarts, size_t max, int64_t period_ns);
void trp_restarts_free(trp_restarts_t *restarts);

/// Something failed at this time: whether there may be a restart for it, which is counted then.
bool trp_restarts_take(trp_restarts_t *restarts, int64_t now_ns);

/// How long restarts of one child wait.
typedef struct trp_backoff {
  uint32_t first_ms, max_ms;
  int64_t period_ns;
  uint32_t next_ms;
} trp_backoff_t;

void trp_backoff_init(trp_backoff_t *backoff, uint32_t first_ms, uint32_t max_ms,
                      int64_t period_ns);

/// It has failed, so long after its start.
uint32_t trp_backoff_take(trp_backoff_t *backoff, int64_t lived_ns);

#endif
