/* SHA-256 (FIPS 180-4), in plain C: something that takes a processor's time. */
#ifndef EXAMPLES_SHA256_H_INCLUDED
#define EXAMPLES_SHA256_H_INCLUDED

#include <stddef.h>

enum { SHA256_SIZE = 32 };

/* `hash` may be the same memory as `bytes`. */
void sha256(const void *bytes, size_t length, unsigned char hash[SHA256_SIZE]);

#endif
