/// Private. The format of a trace file: a header, then records, each with its own length and
/// checksum. Little endian throughout.
///
/// A file that is cut anywhere reads to its last whole record. A later minor version may add kinds
/// of records, which readers skip, and may append to the header and to the start record, which both
/// say how long they are; everything else makes a new major one, which older readers refuse.
/// Format 1 had no OUT_NAMING, and is read as it was.
///
/// - Header: "troupe trace", major:2, minor:2, its own size:4, flags:4, the version of troupe that
///   wrote it:3*2, the error because of which nothing more could be written (as a positive number; 0:
///   none, or not even that could be):2, checksum of all before:4.
/// - Record: checksum of all behind this field:4, kind:2, 0:2, length of the body:8, sequence:8,
///   clock:8, subject:8, body.
///
/// The sequence counts an actor's records from 1, lost ones too. The kinds:
///
/// - START: what the actor started with; the first record.
/// - IN: a batch was taken. Subject: who sent it. Body: how many frames:4, their sizes:4 each, their
///   bytes; the first frame is the envelope.
/// - OUT: a batch was sent. Subject: to whom. Body: likewise.
/// - CALL: a synchronous call was made. Subject: one of core/trace/calls.h. Body: its result:8.
/// - END: main returned. Body: its status:8.
/// - GAP: something is missing here. Subject: how many records. Body: how many bytes they had:8.
/// - IN_CUT, OUT_CUT: as IN and OUT, of a batch whose payloads are not there as they were. Body: the
///   envelope's size:4, the envelope, then for each message that has a payload, in their order: how
///   many bytes of it are here:4, flags:4, the hash of what it was:8, the bytes.
/// - OUT_NAMING: as OUT, of a batch that passes on what came: frames whose bytes stand earlier in the
///   same file, in an IN, are named. Body: how many frames:4, then of each its size:4 and how far in
///   front of this record's head its bytes begin:4 (0: they are here), then the bytes that are here.
///   What is named lies within the last TRP_NAMED_REACH bytes, whole, and the records of a file
///   name at most TRP_NAMED_TIMES as many bytes as stand in front of the last of them: so a
///   reader's memory is bound to what the file really has. trp_reader_next() gives it as an OUT.
#ifndef TRP_FORMAT_H_INCLUDED
#define TRP_FORMAT_H_INCLUDED

#include <stdbool.h>

#include "core/actor/start.h"
#include "core/message/batch.h"

enum {
  TRP_TRACE_MAJOR = 2,
  TRP_TRACE_MINOR = 0,
  TRP_TRACE_HEADER_SIZE = 36,
  TRP_TRACE_HEADER_MAX = 4096, // a later minor version's, at the most
  TRP_RECORD_HEAD_SIZE = 40,
  TRP_RECORD_VALUE_SIZE = 8,          // the body of CALL, END and GAP
  TRP_CUT_HEAD_SIZE = 16,             // in front of each payload of a cut batch
  TRP_NAMED_REACH = 16 * 1024 * 1024, // an actor's window: as much may have come in one batch
  TRP_NAMED_TIMES = 4,
};

/// Bits of the header's flags. COMPLETE: the trace began with its actor and lost nothing. Set when
/// it begins, taken away at the first gap; of one of which some was to be left out, and nothing was,
/// set when it ends. (That it was cut off before the actor's end is seen from
/// the missing END.) Where it is not set the others say why.
enum {
  TRP_TRACE_COMPLETE = 1,
  TRP_TRACE_LATE = 2,     // recording began when the actor ran already
  TRP_TRACE_CHOSEN = 4,   // some of its connections only
  TRP_TRACE_CUT = 8,      // payloads are cut or redacted
  TRP_TRACE_ROTATED = 16, // an earlier file has what came before; the sequence goes on from it
  TRP_TRACE_LOST = 32,    // there is a gap
};

/// Flags of a payload in a cut batch.
enum {
  TRP_CUT_REDACTED = 1, // the application changed the bytes
  TRP_CUT_HASHED = 2,   // the hash is there
};

typedef enum trp_record_type {
  TRP_RECORD_START = 1,
  TRP_RECORD_IN = 2,
  TRP_RECORD_OUT = 3,
  TRP_RECORD_CALL = 4,
  TRP_RECORD_END = 5,
  TRP_RECORD_GAP = 6,
  TRP_RECORD_IN_CUT = 7,
  TRP_RECORD_OUT_CUT = 8,
  TRP_RECORD_OUT_NAMING = 9,
} trp_record_type_t;

typedef struct trp_trace_header {
  uint16_t major, minor;
  uint32_t size; // of the header
  uint32_t flags;
  uint16_t version[3]; // of the library that wrote it
  int stopped;         // the error that ended it; 0: none
} trp_trace_header_t;

/// A record without its body.
typedef struct trp_record_head {
  uint32_t checksum;
  uint16_t type;
  uint64_t length;
  uint64_t sequence;
  int64_t clock_ns;
  uint64_t subject;
} trp_record_head_t;

/// `stopped` is 0 as long as all goes well.
void trp_format_header(uint8_t bytes[TRP_TRACE_HEADER_SIZE], uint32_t flags, int stopped);

/// Returns 0, TROUPE_EBADTRACE, or TROUPE_ETRACEVERSION. It looks at our part of the header alone.
int trp_parse_header(const uint8_t bytes[TRP_TRACE_HEADER_SIZE], trp_trace_header_t *header);
/// Whether the checksum of a whole header fits; `size` is header->size.
bool trp_header_is_sound(const uint8_t *bytes, size_t size);

/// `head->checksum` must be there already: trp_record_checksum() of the head, gone on with
/// trp_crc() over the body.
void trp_format_head(uint8_t bytes[TRP_RECORD_HEAD_SIZE], const trp_record_head_t *head);
void trp_parse_head(const uint8_t bytes[TRP_RECORD_HEAD_SIZE], trp_record_head_t *head);
uint32_t trp_record_checksum(const trp_record_head_t *head);

/// How long the body of a start record is, and the body. The argument is in it.
size_t trp_start_size(const trp_start_t *start);
void trp_format_start(uint8_t *bytes, const trp_start_t *start);
/// `start->argument` points into `bytes`. Returns 0 or TROUPE_EBADTRACE.
int trp_parse_start(const uint8_t *bytes, size_t length, trp_start_t *start);

void trp_put_u32(uint8_t *bytes, uint32_t value);
void trp_put_u64(uint8_t *bytes, uint64_t value);
uint32_t trp_get_u32(const uint8_t *bytes);
uint64_t trp_get_u64(const uint8_t *bytes);

/// Fills `in` (which was reset) with copies of the frames of an IN or OUT body, and opens it.
/// Returns 0, TROUPE_EBADTRACE or TROUPE_ENOMEM.
int trp_parse_batch(const uint8_t *body, size_t length, trp_in_t *in);
/// The same, with frames that `frame_of` makes of their bytes (NULL: no memory).
int trp_parse_batch_with(const uint8_t *body, size_t length, trp_in_t *in,
                         trp_frame_t *(*frame_of)(void *context, const uint8_t *bytes, size_t size),
                         void *context);

#endif
