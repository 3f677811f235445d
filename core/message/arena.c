/// A chain of blocks, each twice as large as all before it, so that a steady load ends up in one
/// block.
#include "core/message/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

enum {
  FIRST_SIZE = 4 * 1024,
  KEEP_MAX = 256 * 1024, // a block larger than this is not kept from round to round
};

typedef struct trp_arena_block {
  struct trp_arena_block *next;
  size_t size;
  alignas(max_align_t) uint8_t bytes[];
} arena_block_t;

static void *allocate(void *context, size_t size) {
  return trp_arena_take(context, size);
}

static void ignore(void *context, void *piece) {
  (void)context;
  (void)piece;
}

void trp_arena_init(trp_arena_t *arena) {
  *arena = (trp_arena_t){.allocator = {.alloc = allocate, .free = ignore, .allocator_data = arena}};
}

void *trp_arena_take(trp_arena_t *arena, size_t size) {
  if (size > SIZE_MAX / 4) {
    arena->failed = true;
    return NULL;
  }
  size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
  if (arena->blocks == NULL || arena->blocks->size - arena->used < size) {
    size_t wanted = arena->total == 0 ? FIRST_SIZE : 2 * arena->total;
    if (wanted < size) {
      wanted = size;
    }
    arena_block_t *block = malloc(sizeof *block + wanted);
    if (block == NULL) {
      arena->failed = true;
      return NULL;
    }
    block->next = arena->blocks;
    block->size = wanted;
    arena->blocks = block;
    arena->used = 0;
    arena->total += wanted;
  }
  void *piece = arena->blocks->bytes + arena->used;
  arena->used += size;
  return piece;
}

void trp_arena_reset(trp_arena_t *arena) {
  arena->used = 0;
  arena->failed = false;
  arena_block_t *newest = arena->blocks;
  if (newest == NULL || (newest->next == NULL && newest->size <= KEEP_MAX)) {
    return;
  }
  arena_block_t *rest = newest->next;
  newest->next = NULL;
  while (rest != NULL) {
    arena_block_t *next = rest->next;
    free(rest);
    rest = next;
  }
  if (newest->size > KEEP_MAX) {
    free(newest);
    arena->blocks = NULL;
    arena->total = 0;
  } else {
    arena->total = newest->size;
  }
}

void trp_arena_free(trp_arena_t *arena) {
  arena_block_t *block = arena->blocks;
  while (block != NULL) {
    arena_block_t *next = block->next;
    free(block);
    block = next;
  }
  trp_arena_init(arena);
}
