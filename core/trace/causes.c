#include "core/trace/causes.h"

#include "core/message/id.h"

void trp_causes_begin(trp_causes_t *causes, const trp_wire_batch_t *batch) {
  *causes = (trp_causes_t){
      .batch = batch, .sender = batch->cause_sender, .sequence = batch->cause_sequence};
}

/// The next two numbers of a batch's `causes`.
static bool take_pair(trp_causes_t *causes, uint64_t *first, uint64_t *second) {
  if (causes->batch->n_causes - causes->at < 2) {
    return false;
  }
  *first = causes->batch->causes[causes->at++];
  *second = causes->batch->causes[causes->at++];
  return true;
}

bool trp_causes_next(trp_causes_t *causes) {
  if (causes->batch->n_causes == 0) {
    return causes->message++ == 0;
  }
  uint64_t step = 0;
  if (causes->left == 0) {
    if (!take_pair(causes, &causes->left, &step)) {
      return false;
    }
    if (causes->left == 0) {
      causes->sender = trp_id_actor((uint32_t)step & TRP_ID_CREATOR_MAX);
      causes->sequence = 0;
      if (!take_pair(causes, &causes->left, &step) || causes->left == 0) {
        return false;
      }
    }
    causes->sequence += step >> 1 ^ ((step & 1) == 0 ? 0 : UINT64_MAX);
  }
  causes->left--;
  causes->message++;
  return true;
}
