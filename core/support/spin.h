/// Private. Whether a thread that waits should look for work for a moment before it sleeps.
///
/// Waking a core that sleeps takes longer than many an answer does, and costs both sides a system
/// call; but who looks and finds nothing has burnt time that somebody else could have used. So it
/// looks while that was not in vain lately: every find counts for, every miss twice against it, and
/// when it has lost its credit one wait in sixteen is a try. Of a find rate of two thirds and more
/// it goes on; a thread with little to do soon looks no more.
#ifndef TRP_SPIN_H_INCLUDED
#define TRP_SPIN_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>

enum {
  TRP_SPIN_DEFAULT_NS = 20 * 1000,
  TRP_SPIN_TRUST_MAX = 16,
  TRP_SPIN_MISS = 2,
  TRP_SPIN_TRY_EVERY = 16,
};

/// Zeroed, it trusts in nothing yet.
typedef struct trp_spin {
  uint8_t trust;
  uint8_t waits; // since the last try
} trp_spin_t;

/// A wait begins: whether to look first.
static inline bool trp_spin_begins(trp_spin_t *spin) {
  if (spin->trust > 0) {
    return true;
  }
  spin->waits = (uint8_t)((spin->waits + 1) % TRP_SPIN_TRY_EVERY);
  return spin->waits == 0;
}

/// It looked, and this came of it.
static inline void trp_spin_ends(trp_spin_t *spin, bool found) {
  if (found) {
    spin->trust = (uint8_t)(spin->trust < TRP_SPIN_TRUST_MAX ? spin->trust + 1 : spin->trust);
  } else {
    spin->trust = (uint8_t)(spin->trust > TRP_SPIN_MISS ? spin->trust - TRP_SPIN_MISS : 0);
  }
}

#endif
