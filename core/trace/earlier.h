/// Private to the recorder. What an earlier recording has left in the folder: the later parts of
/// traces, which must not lie beside those of a new one that has fewer.
#ifndef TRP_EARLIER_H_INCLUDED
#define TRP_EARLIER_H_INCLUDED

#include <stddef.h>

/// Zeroed: nothing.
typedef struct trp_earlier {
  char **parts; // names of files
  size_t count, capacity;
} trp_earlier_t;

/// Looks for parts. Blocks on the disk. Returns 0, TROUPE_ENOMEM or the system's error; freed in any
/// case.
int trp_earlier_read(trp_earlier_t *earlier, int directory);

/// Removes the parts of the trace NAME.trace. Blocks on the disk.
void trp_earlier_remove(trp_earlier_t *earlier, int directory, const char *name);

void trp_earlier_free(trp_earlier_t *earlier);

#endif
