/// Private. Assertions of our own invariants; they stay on in release. Never for input, the
/// system's answers or memory.
#ifndef TRP_ASSERT_H_INCLUDED
#define TRP_ASSERT_H_INCLUDED

/// Traps at the place of the broken invariant: a debugger or a core file shows it, and nothing is
/// printed behind the application's back.
#define TROUPE_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())

#ifdef TRP_DEBUG
#define TROUPE_DEBUG_ASSERT(condition) TROUPE_ASSERT(condition)
#else
#define TROUPE_DEBUG_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
