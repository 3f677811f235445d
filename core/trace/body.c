#include "core/trace/body.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "core/trace/view.h"

enum { COPIED_MOST = 1024 }; // bytes of a frame: to copy more costs more than to refer to it

trp_body_t *trp_body_new(const uint8_t *bytes, size_t length) {
  trp_body_t *body = malloc(sizeof *body + length);
  if (body != NULL) {
    body->users = 1;
    body->length = length;
    memcpy(body->bytes, bytes, length);
  }
  return body;
}

trp_body_t *trp_body_hold(trp_body_t *body) {
  body->users++;
  return body;
}

void trp_body_release(trp_body_t *body) {
  if (body != NULL && --body->users == 0) {
    free(body);
  }
}

static void release(void *bytes, void *body) {
  (void)bytes;
  trp_body_release(body);
}

static trp_frame_t *frame_of(void *context, const uint8_t *bytes, size_t size) {
  trp_body_t *body = context;
  if (size <= COPIED_MOST) {
    return trp_frame_copy(bytes, size);
  }
  // Nobody writes to a frame; it only has no other way in.
  trp_frame_t *frame = trp_frame_adopt(body->bytes + (bytes - body->bytes), size, release, body);
  if (frame != NULL) {
    trp_body_hold(body);
  }
  return frame;
}

int trp_body_parse(trp_body_t *body, uint16_t type, trp_in_t *in) {
  if (type == TRP_RECORD_IN_CUT || type == TRP_RECORD_OUT_CUT) {
    return trp_parse_record(type, body->bytes, body->length, in);
  }
  return trp_parse_batch_with(body->bytes, body->length, in, frame_of, body);
}
