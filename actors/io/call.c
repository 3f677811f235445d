#include "actors/io/call.h"

#include <stdlib.h>
#include <string.h>

trp_kept_io_call_t *trp_io_call_keep(const trp_io_call_t *call) {
  trp_kept_io_call_t *kept = malloc(sizeof *kept + call->length);
  if (kept == NULL) {
    return NULL;
  }
  *kept = (trp_kept_io_call_t){.what = *call};
  kept->what.bytes = call->length == 0 ? NULL : memcpy(kept + 1, call->bytes, call->length);
  return kept;
}
