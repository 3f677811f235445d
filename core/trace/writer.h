/// Private. Writes one trace file: header, records, and the bytes between them and the disk.
#ifndef TRP_WRITER_H_INCLUDED
#define TRP_WRITER_H_INCLUDED

#include "core/trace/format.h"
/// What came can be named for so many records.
enum { TRP_WRITER_CAME = 64 };

/// Where a frame's bytes have come.
typedef struct trp_name {
  uint64_t record; // the sequence of the IN in whose body they are; 0: none
  uint32_t at;     // there
  uint32_t unused;
} trp_name_t;

/// Zeroed before trp_writer_open(). After an error nothing more can be written; what was written
/// before stays.
typedef struct trp_writer {
  int fd;            // -1 when it is not open, or an error closed it
  uint32_t flags;    // as the header says
  uint64_t sequence; // that the next record should have; 0: any
  uint8_t *buffer;   // NULL while nothing is in it
  size_t used;
  uint64_t position;             // in the file, of the buffer
  uint64_t records, bytes, gaps; // written, or in the buffer; after an error those in the file
  uint64_t out_records;          // of these, records that are in the file to their last byte
  uint64_t out_bytes;
  uint64_t first_end; // where the first record ends that was not out with the last write
  uint64_t named;     // how many bytes were written as a name
  struct {
    uint64_t sequence, position; // of a record that has what came; by the sequence
  } came[TRP_WRITER_CAME];
} trp_writer_t;

/// `fd` is an empty file, owned by the writer from here on. The header is written at once, with `flags`. All of
/// these block on the disk, and return 0, TROUPE_ENOMEM or the system's error, which has closed the
/// file.
int trp_writer_open(trp_writer_t *writer, int fd, uint32_t flags);

/// Writes a record: `head` needs no length and no checksum. Of a batch the frames are its body with
/// their sizes, of others alone. A GAP, and a hole in the sequence, which becomes one, make the
/// trace incomplete.
int trp_writer_put(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
                   size_t frame_count);

/// Writes an OUT, which becomes an OUT_NAMING when `names` (one for each frame behind the envelope)
/// has bytes that stand in this file already.
int trp_writer_put_naming(trp_writer_t *writer, trp_record_head_t head, trp_frame_t *const *frames,
                          size_t frame_count, const trp_name_t *names);

/// Writes a record whose body is there already, as it lies in a file.
int trp_writer_put_body(trp_writer_t *writer, trp_record_head_t head, const uint8_t *body,
                        size_t length);

/// A record is not written, and not missed.
int trp_writer_skip(trp_writer_t *writer, const trp_record_head_t *head);

/// What is in the buffer goes out, and the buffer's memory is given back.
int trp_writer_flush(trp_writer_t *writer);

/// The header says so from here on.
int trp_writer_set_flags(trp_writer_t *writer, uint32_t flags);

/// Does nothing when it is not open.
int trp_writer_close(trp_writer_t *writer);

#endif
