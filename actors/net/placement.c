// Linear in the number of places: with a hundred actors on one address that is still far less than
// accept() itself.

#include "actors/net/placement.h"

#include "core/support/assert.h"

static bool is_full(const trp_place_t *place);
static bool is_open(const trp_place_t *place);
static uint64_t mix(uint64_t value);

trp_placement_verdict_t trp_placement_verdict(trp_place_t *const *places, size_t count) {
  bool somebody_is_full = false;
  bool somebody_waits = false;
  for (size_t i = 0; i < count; i++) {
    if (places[i]->standby) {
      continue;
    }
    if (is_open(places[i])) {
      return TRP_PLACE_DEAL;
    }
    if (is_full(places[i])) {
      somebody_is_full = true;
    } else {
      somebody_waits = true;
    }
  }
  return somebody_is_full && !somebody_waits ? TRP_PLACE_DROP : TRP_PLACE_WAIT;
}

size_t trp_placement_pick(trp_placement_policy_t policy, trp_place_t *const *places, size_t count,
                          size_t *cursor, uint64_t hash) {
  TROUPE_ASSERT(count > 0);
  size_t best = count;
  size_t turn = count; // whose turn it is, full or not
  uint64_t best_weight = 0;
  for (size_t step = 0; step < count; step++) {
    size_t i = (*cursor + step) % count;
    if (places[i]->standby) {
      continue;
    }
    if (turn == count) {
      turn = i;
    }
    if (!is_open(places[i])) {
      continue;
    }
    if (policy == TRP_PLACE_ROUND_ROBIN) {
      best = i;
      break;
    }
    // The fewest connections win, or the highest of the weights that the peer gives to each place
    // (rendezvous hashing: when one place goes, only its own peers move). Among equals it goes
    // round.
    uint64_t weight = policy == TRP_PLACE_LEAST_CONNECTIONS ? UINT64_MAX - places[i]->connections
                                                            : mix(hash ^ mix(places[i]->id));
    if (best == count || weight > best_weight) {
      best = i;
      best_weight = weight;
    }
  }
  if (best == count) {
    best = turn == count ? 0 : turn;
  }
  *cursor = (best + 1) % count;
  return best;
}

static bool is_full(const trp_place_t *place) {
  return place->max_connections < 0 ||
         (place->max_connections > 0 && place->connections >= (uint64_t)place->max_connections);
}

static bool is_open(const trp_place_t *place) {
  return place->credit > 0 && !is_full(place);
}

/// The finalizer of SplitMix64: every bit of the value reaches every bit of the result.
static uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
  return value ^ (value >> 31);
}
