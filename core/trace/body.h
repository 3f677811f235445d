/// Private. The body of a record in memory: counted, so that whoever waits for it and the frames that
/// lie in it need no copy of their own. Within one thread.
#ifndef TRP_BODY_H_INCLUDED
#define TRP_BODY_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

#include "core/message/batch.h"

typedef struct trp_body {
  size_t users;
  size_t length;
  uint8_t bytes[];
} trp_body_t;

/// A copy, with one user. NULL: no memory.
trp_body_t *trp_body_new(const uint8_t *bytes, size_t length);
trp_body_t *trp_body_hold(trp_body_t *body); // returns it
void trp_body_release(trp_body_t *body);     // NULL is fine

/// As trp_parse_record() (core/trace/view.h), but large frames lie in the body, and hold it.
int trp_body_parse(trp_body_t *body, uint16_t type, trp_in_t *in);

#endif
