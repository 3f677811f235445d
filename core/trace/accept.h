/// Private. Writes the trace of a replay: what was given to the actor as it was recorded, and what
/// the actor does now. It takes its place only when it is whole.
#ifndef TRP_ACCEPT_H_INCLUDED
#define TRP_ACCEPT_H_INCLUDED

#include "core/message/batch.h"
#include "core/trace/writer.h"

typedef struct trp_accept {
  trp_writer_t writer;
  char *path;      // where it will be; NULL: into a descriptor
  char *temporary; // where it is
  uint64_t sequence;
  int error; // the first
} trp_accept_t;

/// Begins a trace beside `path`, or in the descriptor `fd` (consumed) when `path` is NULL. Returns 0
/// or the system's error.
int trp_accept_open(trp_accept_t *accept, const char *path, int fd);

/// Errors are kept for the end.
void trp_accept_record(trp_accept_t *accept, uint16_t type, int64_t clock_ns, uint64_t subject,
                       const uint8_t *body, size_t length);
void trp_accept_out(trp_accept_t *accept, int64_t clock_ns, const trp_out_t *out);
void trp_accept_value(trp_accept_t *accept, uint16_t type, int64_t clock_ns, uint64_t subject,
                      int64_t value);

/// `keep`: the trace takes its place. Returns 0 or the first error.
int trp_accept_close(trp_accept_t *accept, bool keep);

#endif
