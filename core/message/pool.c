/// Payload memory. A pool is two parts: what its own thread alone touches (the shelf of blocks to
/// fill), and what any thread may touch: the stack of blocks that came back, and a count of all
/// that still needs the pool's memory. Pushes and pop-alls of the stack are single exchanges, so it
/// knows no ABA.
#include "core/message/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <troupe/error.h>

#include "core/message/sanitizers.h"

enum { SHELF_MAX = 64 }; // empty blocks that lie ready: 8 MiB, unless more are asked for

struct trp_pool {
  _Atomic(trp_block_t *) returned;
  atomic_uint users; // the owner, every block that lives, every thread in the middle of a return
  atomic_bool closed;
  trp_block_t *shelf; // the owner's alone: with one reference each, some partly filled
  unsigned shelf_count, shelf_max;
  unsigned shelf_least; // blocks that have lain there since the last trp_pool_shrink()
};

static void drop_user(trp_pool_t *pool);
static void free_block(trp_block_t *block);
static void free_chain(trp_block_t *block);
static void collect(trp_pool_t *pool);

int trp_pool_new(trp_pool_t **pool) {
  trp_pool_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  atomic_init(&made->users, 1);
  made->shelf_max = SHELF_MAX;
  *pool = made;
  return 0;
}

void trp_pool_close(trp_pool_t **pool) {
  trp_pool_t *p = *pool;
  if (p == NULL) {
    return;
  }
  *pool = NULL;
  atomic_store(&p->closed, true);
  free_chain(p->shelf);
  free_chain(atomic_exchange(&p->returned, NULL));
  drop_user(p);
}

trp_block_t *trp_pool_take(trp_pool_t *pool, size_t room) {
  if (room > TRP_BLOCK_SIZE) {
    return NULL;
  }
  if (pool->shelf == NULL || TRP_BLOCK_SIZE - pool->shelf->used < room) {
    collect(pool);
  }
  for (trp_block_t **link = &pool->shelf; *link != NULL; link = &(*link)->next) {
    trp_block_t *block = *link;
    if (TRP_BLOCK_SIZE - block->used >= room) {
      *link = block->next;
      pool->shelf_count--;
      if (pool->shelf_count < pool->shelf_least) {
        pool->shelf_least = pool->shelf_count;
      }
      return block;
    }
  }
  trp_block_t *block = malloc(sizeof *block + TRP_BLOCK_SIZE);
  if (block == NULL) {
    return NULL;
  }
  block->pool = pool;
  block->used = 0;
  block->next = NULL;
  atomic_init(&block->refs, 1);
  atomic_fetch_add_explicit(&pool->users, 1, memory_order_relaxed);
  return block;
}

void trp_pool_give(trp_pool_t *pool, trp_block_t *block) {
  // Nobody else refers to it: it can be filled from the start again.
  if (atomic_load_explicit(&block->refs, memory_order_acquire) == 1) {
    block->used = 0;
  }
  if (TRP_BLOCK_SIZE - block->used < TRP_BLOCK_SIZE / 2 || pool->shelf_count >= pool->shelf_max) {
    trp_block_release(block);
    return;
  }
  block->next = pool->shelf;
  pool->shelf = block;
  pool->shelf_count++;
}

void trp_pool_trim(trp_pool_t *pool) {
  collect(pool);
  trp_block_t *chain = pool->shelf;
  pool->shelf = NULL;
  pool->shelf_count = pool->shelf_least = 0;
  free_chain(chain);
}

void trp_pool_keep(trp_pool_t *pool, unsigned count) {
  pool->shelf_max = count;
}

unsigned trp_pool_ready(const trp_pool_t *pool) {
  return pool->shelf_count;
}

void trp_pool_shrink(trp_pool_t *pool) {
  collect(pool);
  unsigned kept = pool->shelf_count - pool->shelf_least;
  trp_block_t **link = &pool->shelf;
  unsigned count = 0;
  while (*link != NULL && (count < kept || count < SHELF_MAX)) {
    link = &(*link)->next;
    count++;
  }
  trp_block_t *chain = *link; // those that were taken last lie on top
  *link = NULL;
  pool->shelf_count = pool->shelf_least = count;
  free_chain(chain);
}

void trp_block_hold(trp_block_t *block) {
  atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
}

void trp_block_release(trp_block_t *block) {
  TRP_TSAN_RELEASE(block);
  if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1) {
    return;
  }
  TRP_TSAN_ACQUIRE(block);
  trp_pool_t *pool = block->pool;
  atomic_fetch_add(&pool->users, 1);
  if (atomic_load(&pool->closed)) {
    free_block(block);
    drop_user(pool); // NOLINT(clang-analyzer-unix.Malloc): this thread is a user itself until here
    return;
  }
  trp_block_t *head = atomic_load(&pool->returned);
  do {
    block->next = head;
  } while (!atomic_compare_exchange_weak(&pool->returned, &head, block));
  // The owner may have closed between the look and the push; then nobody else would free what lies
  // there.
  if (atomic_load(&pool->closed)) {
    free_chain(atomic_exchange(&pool->returned, NULL));
  }
  drop_user(pool);
}

/// Puts what came back on the shelf.
static void collect(trp_pool_t *pool) {
  trp_block_t *block = atomic_exchange(&pool->returned, NULL);
  while (block != NULL) {
    trp_block_t *next = block->next;
    if (pool->shelf_count >= pool->shelf_max) {
      free_block(block);
    } else {
      block->used = 0;
      atomic_store_explicit(&block->refs, 1, memory_order_relaxed);
      block->next = pool->shelf;
      pool->shelf = block;
      pool->shelf_count++;
    }
    block = next;
  }
}

/// Shelf blocks hold one reference, returned ones none. A partly filled one on the shelf may still
/// be referred to by frames outside.
static void free_chain(trp_block_t *block) {
  while (block != NULL) {
    trp_block_t *next = block->next;
    unsigned refs = atomic_load_explicit(&block->refs, memory_order_acquire);
    if (refs <= 1) {
      free_block(block);
    } else {
      trp_block_release(block);
    }
    block = next;
  }
}

static void free_block(trp_block_t *block) {
  trp_pool_t *pool = block->pool;
  free(block);
  drop_user(pool);
}

static void drop_user(trp_pool_t *pool) {
  if (atomic_fetch_sub(&pool->users, 1) == 1) {
    free(pool);
  }
}
