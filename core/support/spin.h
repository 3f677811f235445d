/// Private. Whether a thread that waits should look for work for a moment before it sleeps.
///
/// Waking a core that sleeps takes longer than many an answer does, and costs both sides a system
/// call; but who looks and finds nothing has burnt time that somebody else could have used. So it
/// looks while that was not in vain lately: every find counts for, every miss twice against it, and
/// when it has lost its credit one wait in sixteen is a try. Of a find rate of two thirds and more
/// it goes on; a thread with little to do soon looks no more.
///
/// Between two looks it lets others have the core. Where others want it for themselves it gets the
/// core back milliseconds later, when a thread that slept would long have been woken. So a look
/// that took so long costs all credit, whatever it found, and when the next one does as well, none
/// follows for a while.
#ifndef TRP_SPIN_H_INCLUDED
#define TRP_SPIN_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>

enum {
  TRP_SPIN_DEFAULT_NS = 20 * 1000,
  TRP_SPIN_TRUST_MAX = 16,
  TRP_SPIN_MISS = 2,
  TRP_SPIN_TRY_EVERY = 16,
  TRP_SPIN_LATE_NS = 2 * 1000 * 1000,
  TRP_SPIN_REST_NS = 500 * 1000 * 1000,
};

/// Zeroed, it trusts in nothing yet.
typedef struct trp_spin {
  int64_t rests_until_ns;
  uint8_t trust;
  uint8_t waits; // since the last try
  bool was_late; // and none has found something in time since
} trp_spin_t;

/// A wait begins: whether to look first.
static inline bool trp_spin_begins(trp_spin_t *spin, int64_t now_ns) {
  if (spin->trust > 0) {
    return true;
  }
  if (now_ns < spin->rests_until_ns) {
    return false;
  }
  spin->waits = (uint8_t)((spin->waits + 1) % TRP_SPIN_TRY_EVERY);
  return spin->waits == 0;
}

/// It looked from `began_ns` on, and this came of it.
static inline void trp_spin_ends(trp_spin_t *spin, int64_t began_ns, int64_t now_ns, bool found) {
  if (now_ns - began_ns > TRP_SPIN_LATE_NS) {
    spin->trust = 0;
    spin->rests_until_ns = spin->was_late ? now_ns + TRP_SPIN_REST_NS : 0;
    spin->was_late = true;
  } else if (found) {
    spin->trust = (uint8_t)(spin->trust < TRP_SPIN_TRUST_MAX ? spin->trust + 1 : spin->trust);
    spin->was_late = false;
  } else {
    spin->trust = (uint8_t)(spin->trust > TRP_SPIN_MISS ? spin->trust - TRP_SPIN_MISS : 0);
  }
}

#endif
