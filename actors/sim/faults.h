/// Private. Chance in the simulator: one generator decides in which order things happen, another
/// which faults do.
#ifndef TRP_SIM_FAULTS_H_INCLUDED
#define TRP_SIM_FAULTS_H_INCLUDED

#include <troupe/sim.h>

/// SplitMix64 (Vigna; public domain): enough for choices, and one word of state.
typedef struct trp_dice {
  uint64_t state;
} trp_dice_t;

uint64_t trp_dice_next(trp_dice_t *dice);
/// Below `bound`; 0 for a bound of 0.
uint64_t trp_dice_below(trp_dice_t *dice, uint64_t bound);
/// From `low` to `high`, small ones as likely as large ones: evenly on a logarithmic scale.
uint64_t trp_dice_scale(trp_dice_t *dice, uint64_t low, uint64_t high);

enum {
#define TRP_FAULT_INDEX(name, bit, words, what, most) TRP_FAULT_##name = (bit),
  TROUPE_FAULTS(TRP_FAULT_INDEX)
#undef TRP_FAULT_INDEX
      TRP_FAULT_KINDS = 14,
};

typedef struct trp_faults {
  trp_dice_t dice;
  uint32_t per_million[TRP_FAULT_KINDS]; // 0: off
  uint64_t happened[TRP_FAULT_KINDS];
  uint64_t total, limit; // limit 0: none
  bool healed;           // none happens any more
} trp_faults_t;

/// Draws the probabilities of a seed; of kinds that are not `allowed` (bits) none is on. What the
/// others are does not depend on `allowed`.
void trp_faults_draw(trp_faults_t *faults, uint64_t seed, uint32_t allowed, uint64_t limit);

/// Whether this fault happens now.
bool trp_fault(trp_faults_t *faults, int kind);

/// Which kinds are on, as bits.
uint32_t trp_faults_on(const trp_faults_t *faults);

const char *trp_fault_words(int kind);

#endif
