/// Private. The defaults of family autoselection: a system has one set of them, which its actors
/// share.
#ifndef TRP_DEFAULTS_H_INCLUDED
#define TRP_DEFAULTS_H_INCLUDED

#include <stdatomic.h>
#include <stdbool.h>

struct trp_actor;

enum {
  TRP_ATTEMPT_TIMEOUT_MS = 250,
  TRP_ATTEMPT_TIMEOUT_MIN_MS = 10,
};

/// Read and written by any of the system's actors; each value stands for itself.
typedef struct trp_defaults {
  atomic_bool auto_select_family;
  atomic_uint attempt_timeout_ms;
} trp_defaults_t;

/// What an actor's connect goes by now. Other actors may have set it, so the answer is in the
/// trace.
bool trp_default_auto_select_family(struct trp_actor *actor);
unsigned trp_default_attempt_timeout_ms(struct trp_actor *actor);

#endif
