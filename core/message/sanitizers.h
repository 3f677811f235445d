/// Private. Tells ThreadSanitizer of hand-overs that happen inside libzmq, which it cannot see.
#ifndef TRP_SANITIZERS_H_INCLUDED
#define TRP_SANITIZERS_H_INCLUDED

#if defined(__SANITIZE_THREAD__)
#define TRP_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TRP_TSAN 1
#endif
#endif

#ifdef TRP_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define TRP_TSAN_ACQUIRE(address) __tsan_acquire(address)
#define TRP_TSAN_RELEASE(address) __tsan_release(address)
#else
#define TRP_TSAN_ACQUIRE(address) ((void)(address))
#define TRP_TSAN_RELEASE(address) ((void)(address))
#endif

#endif
