/// Private. Reads a trace file from its start to its end, in memory for one record.
///
/// Nothing in the file is believed: a length is compared with what the file has before memory is
/// taken for it, and every record has its checksum.
#ifndef TRP_READER_H_INCLUDED
#define TRP_READER_H_INCLUDED

#include "core/trace/format.h"

typedef struct trp_reader trp_reader_t;

/// What trp_reader_next() gives. Borrowed until the next call.
typedef struct trp_record {
  trp_record_head_t head;
  const uint8_t *body; // head.length bytes
  uint64_t position;   // in the file
} trp_record_t;

/// Opens a file and reads its header. Blocks on the disk. Returns 0, TROUPE_EBADTRACE,
/// TROUPE_ETRACEVERSION, TROUPE_ENOMEM, or the system's error.
int trp_reader_open(const char *path, trp_reader_t **reader);
void trp_reader_close(trp_reader_t **reader);

const trp_trace_header_t *trp_reader_header(const trp_reader_t *reader);

/// How long the file was when it was last looked at.
uint64_t trp_reader_size(const trp_reader_t *reader);

/// Gives the next record. Returns 1; 0 at the end; TROUPE_EOF where the file was cut in the middle
/// of a record; TROUPE_EBADTRACE where its bytes are wrong (which may look like a cut, too: when it
/// is the length that is wrong); TROUPE_ENOMEM, or the system's error. All but 1 stay: nothing
/// behind them is read. `record->position` is then where the record would have begun.
int trp_reader_next(trp_reader_t *reader, trp_record_t *record);

/// The body of a CALL, END or GAP. Returns 0 or TROUPE_EBADTRACE.
int trp_record_value(const trp_record_t *record, int64_t *value);

#endif
