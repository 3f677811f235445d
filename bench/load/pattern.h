// Private to the load generator: the bytes that a connection sends, known for every position of its
// stream.
//
// All connections read the same ring of random bytes, each from a start of its own. The ring's
// length is a prime a little below 64 KiB, so bytes that are lost, doubled, moved or taken from
// another connection do not match, and sending needs no copy: a window of the ring is written as it
// lies in memory.

#ifndef LOAD_PATTERN_H_INCLUDED
#define LOAD_PATTERN_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

// At any position this many bytes follow one another in memory.
enum { LOAD_PATTERN_SPAN = 65536 };

// Fills the ring. Called once, before all others.
void load_pattern_prepare(void);

// Where in the ring the stream of this connection starts.
uint64_t load_pattern_start(uint64_t serial);

// The bytes of a stream from `position` on, LOAD_PATTERN_SPAN of them.
const unsigned char *load_pattern_at(uint64_t start, uint64_t position);

#endif
