#include "core/trace/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>
#include <unistd.h>

static const char ending[] = ".new-XXXXXX";

int trp_accept_open(trp_accept_t *accept, const char *path, int fd) {
  *accept = (trp_accept_t){.writer = {.fd = -1}};
  if (path != NULL) {
    size_t length = strlen(path);
    accept->path = strdup(path);
    accept->temporary = malloc(length + sizeof ending);
    if (accept->path == NULL || accept->temporary == NULL) {
      return TROUPE_ENOMEM;
    }
    memcpy(accept->temporary, path, length);
    memcpy(accept->temporary + length, ending, sizeof ending);
    fd = mkostemp(accept->temporary, O_CLOEXEC);
    if (fd < 0) {
      int error = -errno;
      free(accept->temporary);
      accept->temporary = NULL;
      return error;
    }
  }
  return trp_writer_open(&accept->writer, fd, TRP_TRACE_COMPLETE);
}

static void put(trp_accept_t *accept, uint16_t type, int64_t clock_ns, uint64_t subject,
                trp_frame_t *const *frames, size_t count) {
  const trp_record_head_t head = {
      .type = type, .sequence = ++accept->sequence, .clock_ns = clock_ns, .subject = subject};
  if (accept->error == 0) {
    accept->error = trp_writer_put(&accept->writer, head, frames, count);
  }
}

void trp_accept_record(trp_accept_t *accept, uint16_t type, int64_t clock_ns, uint64_t subject,
                       const uint8_t *body, size_t length) {
  const trp_record_head_t head = {
      .type = type, .sequence = ++accept->sequence, .clock_ns = clock_ns, .subject = subject};
  if (accept->error == 0) {
    accept->error = trp_writer_put_body(&accept->writer, head, body, length);
  }
}

void trp_accept_out(trp_accept_t *accept, int64_t clock_ns, const trp_out_t *out) {
  trp_frame_t **frames = calloc(out->frame_count + 1, sizeof(trp_frame_t *));
  if (frames == NULL) {
    accept->error = accept->error == 0 ? TROUPE_ENOMEM : accept->error;
    return;
  }
  frames[0] = out->envelope;
  if (out->frame_count > 0) {
    memcpy(frames + 1, out->frames, out->frame_count * sizeof(trp_frame_t *));
  }
  put(accept, TRP_RECORD_OUT, clock_ns, out->to, frames, out->frame_count + 1);
  free(frames);
}

void trp_accept_value(trp_accept_t *accept, uint16_t type, int64_t clock_ns, uint64_t subject,
                      int64_t value) {
  uint8_t bytes[TRP_RECORD_VALUE_SIZE];
  trp_put_u64(bytes, (uint64_t)value);
  trp_accept_record(accept, type, clock_ns, subject, bytes, sizeof bytes);
}

int trp_accept_close(trp_accept_t *accept, bool keep) {
  int error = trp_writer_close(&accept->writer);
  error = accept->error != 0 ? accept->error : error;
  if (accept->temporary != NULL) {
    if (keep && error == 0 && rename(accept->temporary, accept->path) != 0) {
      error = -errno;
    }
    if (!keep || error != 0) {
      unlink(accept->temporary);
    }
  }
  free(accept->temporary);
  free(accept->path);
  return error;
}
