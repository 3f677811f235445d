/// Private. Memory that is taken in small pieces and given back all at once.
#ifndef TRP_ARENA_H_INCLUDED
#define TRP_ARENA_H_INCLUDED

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct trp_arena {
  struct trp_arena_block *blocks; // the newest first
  size_t used;                    // of the newest
  size_t total;                   // of all blocks
  bool failed;                    // there was no memory, since the last reset
  ProtobufCAllocator allocator;   // for protobuf-c: free does nothing
} trp_arena_t;

void trp_arena_init(trp_arena_t *arena);

/// Not zeroed, aligned for everything; NULL: no memory.
void *trp_arena_take(trp_arena_t *arena, size_t size);

/// Forgets all pieces; keeps memory for the next round, unless it was much more than usual.
void trp_arena_reset(trp_arena_t *arena);
void trp_arena_free(trp_arena_t *arena);

#endif
