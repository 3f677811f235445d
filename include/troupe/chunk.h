/// Chunks: runs of bytes that travel without being copied.
#ifndef TROUPE_CHUNK_H_INCLUDED
#define TROUPE_CHUNK_H_INCLUDED

#include <troupe/error.h>

TROUPE_BEGIN

/// Bytes that came in an event, or that the application made to write them, perhaps to many
/// sockets. Belongs to one actor. Node: Buffer.
typedef struct troupe_chunk troupe_chunk_t;

/// Makes a chunk with a copy of `bytes`; with NULL its bytes are zero, to be filled through
/// troupe_chunk_bytes().
///
/// Ownership: the chunk is owned; free it with troupe_chunk_free().
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM         there is no memory; nothing is made,
///            TROUPE_EWRONGTHREAD   this thread is no actor,
///            TROUPE_EINVAL         `chunk` is NULL, or `length` is more than 4 GiB less 1.
TROUPE_API int troupe_chunk_new(troupe_chunk_t **chunk, const void *bytes, size_t length);

/// Makes a chunk of memory that the application hands over; not copied.
///
/// Ownership: on success `bytes` is consumed: `release(bytes, context)` is called once no socket
/// needs it, on whichever thread was last. On
///            failure nothing is consumed.
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or the errors of troupe_chunk_new().
TROUPE_API int troupe_chunk_adopt(troupe_chunk_t **chunk, void *bytes, size_t length,
                                  void (*release)(void *bytes, void *context), void *context);

/// Keeps a chunk beyond the callback that it was borrowed in. A small one is copied, so that it
/// does not pin the memory it came in.
///
/// Ownership: `kept` is owned; free it with troupe_chunk_free().
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EWRONGTHREAD   this thread is no actor,
///            TROUPE_EINVAL         a NULL argument.
TROUPE_API int troupe_chunk_keep(const troupe_chunk_t *chunk, troupe_chunk_t **kept);

/// Makes a chunk of a part of another one, without a copy. Node: buffer.subarray().
///
/// Ownership: `part` is owned; free it with troupe_chunk_free().
/// Thread:    owner.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM         there is no memory,
///            TROUPE_EWRONGTHREAD   this thread is no actor,
///            TROUPE_EINVAL         a NULL argument, or the part lies outside.
TROUPE_API int troupe_chunk_slice(const troupe_chunk_t *chunk, size_t offset, size_t length,
                                  troupe_chunk_t **part);

/// Gives the bytes, NULL of a NULL chunk. They may be changed only in a chunk of troupe_chunk_new() that was not written
/// yet.
///
/// Ownership: borrowed, as long as the chunk is.
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API const void *troupe_chunk_bytes(const troupe_chunk_t *chunk);

/// Gives how many bytes there are; 0 of a NULL chunk.
///
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API size_t troupe_chunk_length(const troupe_chunk_t *chunk);

/// Frees an owned chunk and sets the pointer to NULL. What was written of it still leaves.
///
/// Ownership: `*chunk` is consumed; NULL is fine.
/// Thread:    owner.
/// Blocks:    never.
TROUPE_API void troupe_chunk_free(troupe_chunk_t **chunk);

TROUPE_END

#endif
