/* proxy, inside: what proxy.c, with options and main(), asks of forward.c. */
#ifndef EXAMPLES_PROXY_H_INCLUDED
#define EXAMPLES_PROXY_H_INCLUDED

#include "../common/program.h"

/* Given to each actor as a copy of its own. */
typedef struct {
  program_target_t listen;
  program_target_t to;
  unsigned actors;
  unsigned connect_timeout_ms;
} config_t;

/* The actor's main function; the argument is a config_t. */
int proxy_actor(void *argument);

/* What all actors have done, on stderr. */
void proxy_summarize(void);

#endif
