/// Private to tap.c and recorder.c: what goes from a tap to the recorder, and what the two share.
#ifndef TRP_LINE_H_INCLUDED
#define TRP_LINE_H_INCLUDED

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/trace/format.h"
#include "core/trace/recorder.h"
#include "core/trace/writer.h"

/// The first frame of each message from a tap; the others are a batch's frames (of an OUT_NAMING
/// behind one with a trp_name_t for each of them but the envelope), or a value, or the body of a
/// start record. It is sent as it lies in memory, and is short enough for libzmq to keep
/// it without a malloc.
typedef struct trp_line {
  uint16_t tag;  // TRP_LINE_TAG: a packed batch (the last words of an actor to all its pipes) never
                 // begins like that
  uint16_t type; // trp_record_type_t, or TRP_LINE_CLOSE
  uint32_t tap;
  uint64_t sequence;
  int64_t clock_ns;
  uint64_t subject;
} trp_line_t;

_Static_assert(sizeof(trp_line_t) <= 32, "libzmq keeps up to 33 bytes in the message itself");

enum { TRP_LINE_TAG = 0x5454 };

/// No record: the tap is closed, the file can be.
enum { TRP_LINE_CLOSE = 0xffff };

/// The subject of a START: the actor ran already.
enum { TRP_LINE_LATE = 1 };

/// What a record costs while it waits, beside its frames' bytes.
enum { TRP_LINE_COST = 256 };

/// Shared by the recorder and its taps; lives as long as one of them.
typedef struct trp_backlog {
  uint64_t recorder; // the recorder's actor id
  size_t limit_bytes;
  atomic_size_t bytes; // that wait
  atomic_uint next_tap;
  atomic_bool stopped; // nothing is read any more
  atomic_int error;    // why the first tap that could not be opened was not
  atomic_uint users;
} trp_backlog_t;

void trp_backlog_release(trp_backlog_t *backlog);

trp_backlog_t *trp_recorder_backlog(trp_recorder_t *recorder);

#endif
