#include "core/trace/calls.h"

const char *trp_call_name(uint64_t call) {
  switch (call) {
#define TRP_CALL_NAME(name, number, words)                                                         \
  case number:                                                                                     \
    return words;
    TRP_CALLS(TRP_CALL_NAME)
#undef TRP_CALL_NAME
  default:
    return "a call that this version does not know";
  }
}
