/* The rules of the gate, as a text and as what troupe wants to know. */
#ifndef EXAMPLES_GATEKEEPER_RULES_H_INCLUDED
#define EXAMPLES_GATEKEEPER_RULES_H_INCLUDED

#include <troupe/troupe.h>

/*
 * A line each; '#' begins a comment:
 *
 *   block ADDRESS            or ADDRESS/PREFIX, or FIRST-LAST: nobody from there comes in
 *   max N                    so many connections at a time, over all actors; more are dropped
 *   per-address N [PREFIX]   so many of them from one address; IPv6 addresses count by their first
 *                            PREFIX bits (64, if it is not there)
 */
typedef struct {
  troupe_block_list_t *list;
  long max;                     /* 0: no limit */
  unsigned per_address, prefix; /* 0: no limit */
} rules_t;

/* Called for each line that is wrong. */
typedef void (*rules_complain_fn)(unsigned long line, const char *message, void *context);

/* Reads them all. Returns how many lines are wrong, and `rules` is then empty; or TROUPE_ENOMEM. */
int rules_read(rules_t *rules, const char *text, size_t length, rules_complain_fn complain,
               void *context);

void rules_free(rules_t *rules);

#endif
