/// Private. Reads a flight recorder's file: the records of all rings, merged by time.
#ifndef TRP_FLIGHT_FILE_H_INCLUDED
#define TRP_FLIGHT_FILE_H_INCLUDED

#include "core/trace/reader.h"

typedef struct trp_flight_file trp_flight_file_t;

/// Returns 0, TROUPE_ENOTSUP (it is something else; perhaps a trace), TROUPE_EBADTRACE,
/// TROUPE_ETRACEVERSION, TROUPE_ENOMEM, or the system's error. Takes memory for the file, never more
/// than it has.
int trp_flight_file_open(const char *path, trp_flight_file_t **flight);
void trp_flight_file_close(trp_flight_file_t **flight);

/// `flags` is 0.
const trp_trace_header_t *trp_flight_file_header(const trp_flight_file_t *flight);
uint64_t trp_flight_file_size(const trp_flight_file_t *flight);

/// Gives the next record and whose it is; each actor's begin with a START. 1, or 0 at the end.
int trp_flight_file_next(trp_flight_file_t *flight, trp_record_t *record,
                         const trp_start_t **start);

#endif
