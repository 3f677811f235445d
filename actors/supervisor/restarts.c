#include "actors/supervisor/restarts.h"

#include <stdlib.h>
#include <troupe/error.h>

int trp_restarts_init(trp_restarts_t *restarts, size_t max, int64_t period_ns) {
  *restarts = (trp_restarts_t){.max = max, .period_ns = period_ns};
  restarts->times = calloc(max, sizeof *restarts->times);
  return restarts->times == NULL ? (int)TROUPE_ENOMEM : 0;
}

void trp_restarts_free(trp_restarts_t *restarts) {
  free(restarts->times);
  *restarts = (trp_restarts_t){0};
}

bool trp_restarts_take(trp_restarts_t *restarts, int64_t now_ns) {
  // The oldest of the last `max` is where the next one goes.
  if (restarts->count == restarts->max &&
      now_ns - restarts->times[restarts->next] < restarts->period_ns) {
    return false;
  }
  restarts->times[restarts->next] = now_ns;
  restarts->next = (restarts->next + 1) % restarts->max;
  restarts->count += restarts->count < restarts->max;
  return true;
}

void trp_backoff_init(trp_backoff_t *backoff, uint32_t first_ms, uint32_t max_ms,
                      int64_t period_ns) {
  *backoff = (trp_backoff_t){
      .first_ms = first_ms < max_ms ? first_ms : max_ms, .max_ms = max_ms, .period_ns = period_ns};
  backoff->next_ms = backoff->first_ms;
}

uint32_t trp_backoff_take(trp_backoff_t *backoff, int64_t lived_ns) {
  if (lived_ns >= backoff->period_ns) {
    backoff->next_ms = backoff->first_ms; // it had been well
  }
  uint32_t wait_ms = backoff->next_ms;
  backoff->next_ms = wait_ms > backoff->max_ms / 2 ? backoff->max_ms : wait_ms * 2;
  return wait_ms;
}
