/// Private. Errors as the application sees them, with Node's message texts, made of those that
/// travel.
#ifndef TRP_WIRE_ERROR_H_INCLUDED
#define TRP_WIRE_ERROR_H_INCLUDED

#include <troupe/error.h>

#include "core/message/wire.h"

/// One block of memory with all texts and parts in it, that depends on nothing else;
/// trp_error_free() frees it. NULL (no memory, or `wire` is NULL) can be handed to trp_error_free()
/// and trp_error_or().
troupe_error_t *trp_error_from_wire(const Troupe__Wire__Error *wire);
void trp_error_free(troupe_error_t *error);

/// The error, or, where there was no memory to build it, `spare` filled with the bare code.
const troupe_error_t *trp_error_or(const troupe_error_t *error, troupe_error_t *spare, int code);

/// Fills an error that has nothing but its code; its texts are never freed.
void trp_error_plain(troupe_error_t *error, int code);

/// An error that arises on the application's side. `message` NULL: built as for any other; the
/// texts are copied. NULL: no memory.
troupe_error_t *trp_error_make(int code, const char *syscall, const char *address, int port,
                               const char *message);

#endif
