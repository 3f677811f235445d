// Private to the load generator: what the command line asks for.

#ifndef LOAD_OPTIONS_H_INCLUDED
#define LOAD_OPTIONS_H_INCLUDED

#include <stdint.h>
#include <sys/types.h>

typedef enum {
  LOAD_MODE_CLOSED, // the next message leaves when an echo came back
  LOAD_MODE_OPEN,   // messages leave at a constant rate, whatever comes back
  LOAD_MODE_CHURN,  // connect, echo, close, again
  LOAD_MODE_IDLE,   // connections are held and nothing moves
} load_mode_t;

typedef struct {
  load_mode_t mode;
  const char *target;
  uint64_t connections;
  uint64_t size_bytes;
  uint64_t in_flight;
  double rate;
  uint64_t warm_up_ns;
  uint64_t duration_ns;
  uint64_t messages; // 0: the duration decides
  uint64_t hold_ns;  // 0: until a signal
  uint64_t stall_ns;
  uint32_t sources; // 0: the mode decides
  pid_t server;     // 0: not told
} load_options_t;

const char *load_mode_name(load_mode_t mode);

// Reads the command line. --help and mistakes end the program, with status 0 and 2.
void load_options_parse(load_options_t *options, int count, char **arguments);

#endif
