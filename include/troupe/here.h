/// Where a handle was made: the file and the line of the call, for lists of what is still open
/// (<troupe/handle.h>).
///
/// Each function that makes a handle has a sister whose name ends in _at: it is told where the call
/// stands as its first argument. A call of the plain name is a macro that calls the sister:
/// `troupe_server_new(…)` is `troupe_server_new_at(TROUPE_HERE, …)`, so every call site is known for
/// one pointer to a constant. The plain name without arguments behind it (a pointer to the function,
/// or `(troupe_server_new)(…)`) is the function itself; what it makes was made nowhere. A binding
/// calls the sisters with a place in its own language. A program that defines TROUPE_NO_HERE before
/// the first of our headers has none of the macros.
///
/// In the sisters `made_at` is text, or NULL, borrowed until the actor ends: a literal. All else is
/// as in the function of the plain name.
#ifndef TROUPE_HERE_H_INCLUDED
#define TROUPE_HERE_H_INCLUDED

#include <troupe/export.h>

/// "file.c:12", of the place where it stands. A literal.
#define TROUPE_HERE __FILE__ ":" TROUPE_HERE_LINE(__LINE__)
#define TROUPE_HERE_LINE(line) TROUPE_HERE_TEXT(line)
#define TROUPE_HERE_TEXT(line) #line

/// Of a copy of such a text, with its NUL; of a longer one the end is kept.
enum { TROUPE_MADE_AT_SIZE = 128 };

#endif
