// Scenarios as play.c reads them. README.md tells the language.
#ifndef TRP_TESTS_NODE_SCENARIO_H_INCLUDED
#define TRP_TESTS_NODE_SCENARIO_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>

enum {
  MAX_WORDS = 16,
  MAX_CONDITIONS = 4,
};

typedef struct {
  const char *words[MAX_WORDS]; // the rest is NULL
  size_t count;
} action_t;

// An object tells something, for the count'th time; or so many bytes of it were received.
typedef struct {
  const char *text;
  const char *object;
  const char *event;
  size_t bytes;
  unsigned count; // 0: `bytes` counts
  bool met;
} condition_t;

typedef enum {
  BLOCK_START, // at once
  BLOCK_ON,    // inside the callback that met the last condition
  BLOCK_WHEN,  // in a turn of its own after that
} block_kind_t;

typedef struct block {
  struct block *next;
  block_kind_t kind;
  bool done;
  condition_t conditions[MAX_CONDITIONS];
  size_t condition_count;
  action_t *actions;
  size_t action_count;
} block_t;

typedef struct scenario {
  struct scenario *next;
  const char *file; // without folder and ending
  const char *name;
  bool playable;         // this machine has what it needs
  const char *real_only; // why it needs a real network; NULL: it does not
  block_t *blocks;
} scenario_t;

// Memory that lasts as long as the program; a failure ends it.
void *need(size_t size);
char *need_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The value of "key=value" among an action's words, or NULL.
const char *action_option(const action_t *action, const char *key);
bool action_has(const action_t *action, const char *flag);

// Nothing of it was met yet: it can be played again.
void scenario_reset(const scenario_t *scenario);

// Adds a file's scenarios to the end of the list.
void scenario_read(const char *path, scenario_t **list);

#endif
