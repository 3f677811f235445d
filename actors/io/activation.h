/// Private. What <troupe/activation.h> reads, apart from the environment.
#ifndef TRP_ACTIVATION_H_INCLUDED
#define TRP_ACTIVATION_H_INCLUDED

#include <sys/types.h>
#include <troupe/activation.h>

/// The variables as they stand; NULL: not set.
typedef struct trp_activation {
  const char *pid, *fds, *names;
} trp_activation_t;

/// As troupe_activated_list(), for the process `self`, with `first` as the first descriptor.
int trp_activation_read(const trp_activation_t *variables, pid_t self, int first,
                        troupe_activated_t *list, size_t capacity, size_t *count);

#endif
