/* An allocator that fails when a test says so, in the test's own thread or an actor's. Included by one
 * file of a program, whose malloc it is; under a sanitizer nothing fails. */
#ifndef TRP_TESTS_NET_NO_MEMORY_H_INCLUDED
#define TRP_TESTS_NET_NO_MEMORY_H_INCLUDED

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

/* The how-manieth allocation from now on fails; and all of this size do; 0: none. */
__attribute__((unused)) static _Thread_local int fail_at;
__attribute__((unused)) static _Thread_local size_t fail_size;

#if OWN_MALLOC
/* glibc's own, under their other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static bool fails(size_t size) {
  if ((fail_at > 0 && --fail_at == 0) || (fail_size > 0 && size == fail_size)) {
    errno = ENOMEM;
    return true;
  }
  return false;
}

void *malloc(size_t size) {
  return fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size) {
  return fails(nmemb * size) ? NULL : __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size) {
  return fails(size) ? NULL : __libc_realloc(ptr, size);
}
#endif

#endif
