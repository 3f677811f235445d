/// Trace files, read: what a recorder, or a flight recorder, wrote, one message at a time. The
/// `troupe trace` command is made of this.
#ifndef TROUPE_TRACE_FILE_H_INCLUDED
#define TROUPE_TRACE_FILE_H_INCLUDED

#include <stdbool.h>

#include <troupe/error.h>

TROUPE_BEGIN

/// A trace that is being read. Belongs to one thread at a time.
typedef struct troupe_trace troupe_trace_t;

/// What the beginning of a file says.
typedef struct troupe_trace_info {
  char name[64];                       ///< the actor's; empty in a flight recorder's file, which
                                       ///< holds many actors
  unsigned index;                      ///< which of its copies
  uint64_t actor;                      ///< its id
  unsigned format_major, format_minor; ///< of the file
  unsigned version[3];                 ///< of the troupe that wrote it
  bool
      complete; ///< it began with the actor and lost nothing: all of it can be replayed. Of one that
                ///< was to have some connections only, or a part of payloads, that is known at its
                ///< end
  bool late;    ///< recording began when the actor ran already
  bool chosen;  ///< some of its connections only
  bool cut;     ///< payloads are cut or redacted
  bool rotated; ///< an earlier file holds what came before
  bool lost;    ///< something is missing, or was when it was last written to
  bool flight;  ///< a flight recorder's file
  int stopped; ///< the error because of which recording of it ended (TROUPE_ENOSPC, …); 0: none, or
               ///< not even that could be written
  int64_t clock_ns;    ///< when the actor began
  uint64_t size_bytes; ///< of the file
} troupe_trace_info_t;

/// What an entry is.
typedef enum troupe_entry_type {
  TROUPE_ENTRY_START = 1,   ///< the actor began; `value` is its random seed
  TROUPE_ENTRY_EVENT = 2,   ///< a message that it got
  TROUPE_ENTRY_COMMAND = 3, ///< a message that it sent
  TROUPE_ENTRY_CALL = 4,    ///< a synchronous call that it made; `value` is the result
  TROUPE_ENTRY_END = 5,     ///< its main function returned `value`
  TROUPE_ENTRY_GAP = 6,     ///< `value` records are missing here
} troupe_entry_type_t;

/// One entry. Everything in it is borrowed until the next troupe_trace_next().
typedef struct troupe_trace_entry {
  troupe_entry_type_t type;
  int64_t clock_ns;  ///< what troupe_now() said
  uint64_t record;   ///< the number of its record: messages of one batch have the same
  uint64_t position; ///< of the record in the file
  const char *name;  ///< the actor's
  unsigned index;    ///< which of its copies
  uint64_t actor;    ///< its id
  const char
      *kind;     ///< of a message: "data", "write", "connection attempt failed" …; of others what
                 ///< they are
  uint64_t peer; ///< who sent the message, or to whom it went
  uint64_t subject;    ///< what it is about
  uint64_t connection; ///< the connection that it is about; 0 for none
  bool has_payload;
  const void *payload; ///< its first `kept` bytes
  size_t length;       ///< of the payload as it was
  size_t kept;         ///< less than `length` when it was cut
  bool redacted;       ///< the application changed the bytes before they were written
  uint64_t hash; ///< troupe_trace_hash() of the payload as it was, when it was cut or redacted
  int64_t value; ///< see troupe_entry_type_t
  const void *internal[2]; ///< not for you
} troupe_trace_entry_t;

/// Opens a trace, or a flight recorder's file.
///
/// Ownership: `path` is borrowed until the call returns. `*trace` is owned; free it with
///            troupe_trace_free().
/// Thread:    any.
/// Blocks:    on the disk.
/// Returns:   0, or
///            TROUPE_EBADTRACE       the file is no trace, or its beginning is damaged,
///            TROUPE_ETRACEVERSION   a later version wrote it,
///            TROUPE_EINVAL          `path` or `trace` is NULL,
///            TROUPE_ENOENT, TROUPE_EACCES, TROUPE_EISDIR, TROUPE_ENOMEM, …   it cannot be read.
TROUPE_API int troupe_trace_open(const char *path, troupe_trace_t **trace);

/// Closes it and sets the pointer to NULL; NULL is fine.
///
/// Ownership: `*trace` is consumed.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API void troupe_trace_free(troupe_trace_t **trace);

/// Tells what the file is. For a NULL trace all is 0.
///
/// Ownership: `info` is the caller's.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API void troupe_trace_info(const troupe_trace_t *trace, troupe_trace_info_t *info);

/// Reads the next entry, in memory for one record.
///
/// Ownership: `entry` is the caller's, what it names is borrowed until the next call.
/// Thread:    any.
/// Blocks:    on the disk.
/// Returns:   1; 0 at the end; or
///            TROUPE_EOF         the file is cut in the middle of a record,
///            TROUPE_EBADTRACE   it is damaged at `entry->position`,
///            TROUPE_EINVAL      `trace` or `entry` is NULL,
///            TROUPE_EIO, TROUPE_ENOMEM, …   it cannot be read.
///            All but 1 stay.
TROUPE_API int troupe_trace_next(troupe_trace_t *trace, troupe_trace_entry_t *entry);

/// Whether there are entries of a kind, as troupe_trace_entry_t.kind names it. "call" is any call.
///
/// Ownership: `kind` is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API bool troupe_trace_kind_exists(const char *kind);

/// Says an entry in one line, without the time, the actor and a line's end: the kind, what it is
/// about, the beginning of the payload, the details. Nothing for NULL.
///
/// Ownership: all is borrowed until the call returns. `size` is at least 8; what does not fit is cut
///            off, and the last characters say so.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API void troupe_trace_text(const troupe_trace_entry_t *entry, char *text, size_t size);

/// The fields of a message beside its payload, as a JSON object: "{}" when there are none, and for
/// NULL.
///
/// Ownership: all is borrowed until the call returns. `json` may be NULL, to ask how long it is.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   how many bytes it has, without the zero at its end; when that is `size` or more it was
///            cut off.
TROUPE_API size_t troupe_trace_fields(const troupe_trace_entry_t *entry, char *json, size_t size);

/// An id as it is printed everywhere: "1/3", the third thing that actor 1 made; "actor 65".
///
/// Ownership: all is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API void troupe_id_text(uint64_t id, char *text, size_t size);

/// Reads an id as troupe_id_text() prints that of a connection, "1/3". Which I/O actor serves it is
/// not in the text, so that the result is compared by troupe_id_matches().
///
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or TROUPE_EINVAL.
TROUPE_API int troupe_id_parse(const char *text, uint64_t *id);

/// Whether an id is the one that was parsed.
///
/// Thread:    any.
/// Blocks:    never.
TROUPE_API bool troupe_id_matches(uint64_t id, uint64_t parsed);

/// The hash that stands in a trace for bytes that are not there. It finds differences; it does not
/// hide a short secret from somebody who tries all of them.
///
/// Thread:    any.
/// Blocks:    never.
TROUPE_API uint64_t troupe_trace_hash(const void *bytes, size_t length);

TROUPE_END

#endif
