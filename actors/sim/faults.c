#include "actors/sim/faults.h"

#include <string.h>

#include "core/support/assert.h"

typedef struct {
  const char *words;
  uint32_t most;
} kind_t;

static const kind_t kinds[] = {
#define TRP_FAULT_KIND(name, bit, words, what, most) [bit] = {words, most},
    TROUPE_FAULTS(TRP_FAULT_KIND)
#undef TRP_FAULT_KIND
};

_Static_assert(sizeof kinds / sizeof *kinds == TRP_FAULT_KINDS, "every kind is counted");

uint64_t trp_dice_next(trp_dice_t *dice) {
  uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t trp_dice_below(trp_dice_t *dice, uint64_t bound) {
  uint64_t draw = trp_dice_next(dice);
  return bound == 0 ? 0 : draw % bound; // the bias plays no part here
}

uint64_t trp_dice_scale(trp_dice_t *dice, uint64_t low, uint64_t high) {
  TROUPE_ASSERT(low > 0 && low <= high);
  unsigned doublings = 0;
  while ((low << doublings) <= high / 2) {
    doublings++;
  }
  uint64_t from = low << trp_dice_below(dice, doublings + 1);
  uint64_t to = from > high / 2 ? high : 2 * from;
  return from + trp_dice_below(dice, to - from + 1);
}

void trp_faults_draw(trp_faults_t *faults, uint64_t seed, uint32_t allowed, uint64_t limit) {
  *faults = (trp_faults_t){.dice.state = ~seed, .limit = limit};
  for (int kind = 0; kind < TRP_FAULT_KINDS; kind++) {
    bool on = trp_dice_below(&faults->dice, 2) == 0;
    uint32_t most = kinds[kind].most;
    uint32_t drawn = (uint32_t)trp_dice_scale(&faults->dice, most / 100 + 1, most);
    faults->per_million[kind] = on && (allowed & (1U << kind)) != 0 ? drawn : 0;
  }
}

bool trp_fault(trp_faults_t *faults, int kind) {
  uint32_t draw = (uint32_t)trp_dice_below(&faults->dice, 1000000);
  if (faults->healed || draw >= faults->per_million[kind] ||
      (faults->limit != 0 && faults->total >= faults->limit)) {
    return false;
  }
  faults->happened[kind]++;
  faults->total++;
  return true;
}

uint32_t trp_faults_on(const trp_faults_t *faults) {
  uint32_t on = 0;
  for (int kind = 0; kind < TRP_FAULT_KINDS; kind++) {
    on |= faults->per_million[kind] > 0 ? 1U << kind : 0;
  }
  return on;
}

const char *trp_fault_words(int kind) {
  return kinds[kind].words;
}
