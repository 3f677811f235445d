/// Private. Payload memory: blocks that are filled from the start, refered to in parts, and come
/// back from any thread.
///
/// A thread that fills blocks has one pool. A block goes back to the pool it came from when the
/// last reference to a part of it is dropped, on whichever thread that is; after the pool was
/// closed it is freed there.
#ifndef TRP_POOL_H_INCLUDED
#define TRP_POOL_H_INCLUDED

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
  TRP_BLOCK_SIZE = 128 * 1024,
  /// A kept part of a block that is smaller than this is copied, so that it does not pin the whole.
  /// (Loopback brings 64 KiB in two parts at times, the first of 65483 bytes.)
  TRP_PIN_MINIMUM = 48 * 1024,
};

typedef struct trp_pool trp_pool_t;

typedef struct trp_block {
  struct trp_pool *pool;
  struct trp_block *next;
  atomic_uint refs;
  uint32_t used;
  uint8_t bytes[];
} trp_block_t;

/// Thread: the one that will fill blocks. Returns 0 or TROUPE_ENOMEM.
int trp_pool_new(trp_pool_t **pool);

/// No block is taken any more; those outside free themselves later.
void trp_pool_close(trp_pool_t **pool);

/// Gives a block with one reference and at least `room` bytes free: the one given back last with
/// enough left, or an empty one. NULL: no memory.
trp_block_t *trp_pool_take(trp_pool_t *pool, size_t room);

/// Gives back a block that may be filled further; consumes the reference.
void trp_pool_give(trp_pool_t *pool, trp_block_t *block);

/// Frees what has lain unused. Called when the thread has been idle.
void trp_pool_trim(trp_pool_t *pool);

/// So many empty blocks may lie ready. Whoever asks for many shrinks the pool from time to time.
void trp_pool_keep(trp_pool_t *pool, unsigned count);

/// How many lie ready.
unsigned trp_pool_ready(const trp_pool_t *pool);

/// Frees what nobody needed since the last call, down to the usual number.
void trp_pool_shrink(trp_pool_t *pool);

/// Any thread.
void trp_block_hold(trp_block_t *block);
void trp_block_release(trp_block_t *block);

#endif
