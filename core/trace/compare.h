/// Private. Compares what an actor did with what it did before.
#ifndef TRP_COMPARE_H_INCLUDED
#define TRP_COMPARE_H_INCLUDED

#include "core/trace/print.h"

/// A message with its payload (NULL without one). Borrowed.
typedef struct trp_said {
  const trp_message_t *message;
  const uint8_t *payload;
} trp_said_t;

/// What differs first. Not compared, since they depend on where a batch ends: frame and offset.
typedef enum trp_difference {
  TRP_SAME = 0,
  TRP_DIFFERENT_KIND,
  TRP_DIFFERENT_SUBJECT,
  TRP_DIFFERENT_THROUGH,
  TRP_DIFFERENT_EPOCH,
  TRP_DIFFERENT_FLAGS,
  TRP_DIFFERENT_DETAIL,
  TRP_DIFFERENT_PAYLOAD,
  TRP_DIFFERENT_UNKNOWN, // there is no memory to compare the details
} trp_difference_t;

/// `ignore` are names of fields that are not compared, ended by NULL; NULL: none.
trp_difference_t trp_compare(trp_said_t expected, trp_said_t got, const char *const *ignore);

/// Whether a field of that name is in any message that could be compared.
bool trp_compare_knows(const char *field);

/// Says what differs, over several lines, each ended and indented by two spaces. `ignore` as it was
/// compared with.
void trp_explain(trp_text_t *text, trp_difference_t difference, trp_said_t expected, trp_said_t got,
                 const char *const *ignore);

#endif
