/// Private. What a thread that is no actor asks for: an event from the system to an actor.
#ifndef TRP_IO_CALL_H_INCLUDED
#define TRP_IO_CALL_H_INCLUDED

#include "core/message/codec.h"

typedef struct trp_io_call {
  Troupe__Wire__Kind kind; // EVENT_STOP, EVENT_ABORT, EVENT_MESSAGE …
  uint64_t actor;          // who gets it
  uint64_t subject;        // of the event: the token of an abort; else 0
  uint32_t grace_ms;       // of a stop; of a recording that stopped the error, negated
  const void *bytes;       // payload, borrowed until the call returns; NULL with length 0
  size_t length;
} trp_io_call_t;

/// One that waits to be carried out.
typedef struct trp_kept_io_call {
  struct trp_kept_io_call *next;
  trp_io_call_t what; // `bytes` points behind the struct
} trp_kept_io_call_t;

/// A copy with the payload, the caller's to free(). NULL: no memory.
trp_kept_io_call_t *trp_io_call_keep(const trp_io_call_t *call);

#endif
