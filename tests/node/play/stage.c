// Plays one scenario: what objects tell meets conditions, and blocks whose conditions are all met
// are run.
#include "tests/node/play/stage.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

object_t *stage_object(stage_t *stage, const char *name) {
  for (size_t i = 0; i < stage->object_count; i++) {
    if (strcmp(stage->objects[i].name, name) == 0) {
      return &stage->objects[i];
    }
  }
  fprintf(stderr, "play: %s: there is no %s\n", stage->scenario->name, name);
  exit(2);
}

object_t *stage_add(stage_t *stage, const char *name) {
  if (stage->object_count == MAX_OBJECTS) {
    fprintf(stderr, "play: %s: too many objects\n", stage->scenario->name);
    exit(2);
  }
  object_t *object = &stage->objects[stage->object_count++];
  object->stage = stage;
  object->name = name;
  return object;
}

void tell(object_t *object, const char *event, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char text[2048];
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  // Node has left its connecting state when a single attempt failed, but not when one of several
  // did.
  bool with_flags = object->is_socket && strcmp(event, "connectionAttemptFailed") != 0;
  stage_print(object->stage, object->name, "%s%s", text, with_flags ? flags_text(object) : "");
  fire(object->stage, object->name, event);
}

typedef struct {
  stage_t *stage;
  void (*call)(void *context);
  void *context;
} later_t;

static void now(troupe_timer_t timer, void *context) {
  (void)timer;
  const later_t *later = context;
  if (!later->stage->over) {
    later->call(later->context);
  }
}

void soon(stage_t *stage, void (*call)(void *context), void *context) {
  later_t *later = need(sizeof *later);
  *later = (later_t){.stage = stage, .call = call, .context = context};
  if (troupe_timer_start(NULL, 0, 0, now, later) != 0) {
    fprintf(stderr, "play: no timer\n");
    exit(2);
  }
}

typedef struct {
  stage_t *stage;
  const block_t *block;
} run_t;

static void run_later(void *context) {
  const run_t *run = context;
  stage_run(run->stage, run->block);
}

static void block_met(stage_t *stage, block_t *block) {
  for (size_t i = 0; i < block->condition_count; i++) {
    if (!block->conditions[i].met) {
      return;
    }
  }
  block->done = true;
  if (block->kind == BLOCK_ON) {
    stage_run(stage, block);
  } else {
    run_t *run = need(sizeof *run);
    *run = (run_t){.stage = stage, .block = block};
    soon(stage, run_later, run);
  }
}

typedef bool (*fits_fn)(const condition_t *condition, const object_t *object, const seen_t *seen);

static void match(stage_t *stage, fits_fn fits, const object_t *object, const seen_t *seen) {
  for (block_t *block = stage->scenario->blocks; block != NULL && !stage->over;
       block = block->next) {
    bool hit = false;
    for (size_t i = 0; i < block->condition_count; i++) {
      condition_t *condition = &block->conditions[i];
      if (!condition->met && fits(condition, object, seen)) {
        condition->met = true;
        hit = true;
      }
    }
    if (hit) {
      block_met(stage, block);
    }
  }
}

static bool fits_event(const condition_t *condition, const object_t *object, const seen_t *seen) {
  (void)object;
  return condition->count == seen->count && strcmp(condition->object, seen->name) == 0 &&
         strcmp(condition->event, seen->event) == 0;
}

static bool fits_bytes(const condition_t *condition, const object_t *object, const seen_t *seen) {
  (void)seen;
  return condition->count == 0 && strcmp(condition->object, object->name) == 0 &&
         object->received >= condition->bytes;
}

void fire(stage_t *stage, const char *name, const char *event) {
  seen_t *seen = stage->seen;
  while (seen != NULL && (strcmp(seen->name, name) != 0 || strcmp(seen->event, event) != 0)) {
    seen = seen->next;
  }
  if (seen == NULL) {
    seen = need(sizeof *seen);
    *seen = (seen_t){.next = stage->seen, .name = name, .event = need_text("%s", event)};
    stage->seen = seen;
  }
  seen->count++;
  const seen_t copy = *seen; // what is run may tell the same again
  match(stage, fits_event, NULL, &copy);
}

void received(object_t *object, size_t length) {
  object->received += length;
  match(object->stage, fits_bytes, object, NULL);
}

void stage_run(stage_t *stage, const block_t *block) {
  for (size_t i = 0; i < block->action_count && !stage->over; i++) {
    perform(stage, &block->actions[i]);
  }
}

void stage_finish(stage_t *stage, const char *how) {
  if (stage->over) {
    return;
  }
  if (how != NULL) {
    stage_print(stage, "~", "%s", how);
    for (const block_t *block = stage->scenario->blocks; block != NULL; block = block->next) {
      const char *missing = "";
      for (size_t i = 0; i < block->condition_count && !block->done; i++) {
        if (!block->conditions[i].met) {
          missing = need_text("%s%s%s", missing, *missing != '\0' ? ", " : "",
                              block->conditions[i].text);
        }
      }
      if (*missing != '\0') {
        stage_print(stage, "~", "never: %s", missing);
      }
    }
  }
  stage->over = true;
}

// ---- Verbs that are nobody's ----

typedef struct {
  stage_t *stage;
  const char *name;
  const char *event;
} pseudo_t;

static void fire_pseudo(void *context) {
  const pseudo_t *pseudo = context;
  fire(pseudo->stage, pseudo->name, pseudo->event);
}

static void fire_waited(troupe_timer_t timer, void *context) {
  (void)timer;
  fire_pseudo(context);
}

static bool perform_file(stage_t *stage, const char *verb, const char *name) {
  size_t length;
  const char *path = path_text(stage, name, &length);
  struct stat status;
  if (strcmp(verb, "exists") == 0) {
    stage_print(stage, "files", "%s %s", name, access(path, F_OK) == 0 ? "true" : "false");
  } else if (strcmp(verb, "mode") == 0) {
    int failed = stat(path, &status);
    stage_print(stage, "files", "%s %o", name, failed != 0 ? 0 : status.st_mode & 0777U);
  } else if (strcmp(verb, "file") == 0) {
    FILE *file = fopen(path, "w");
    if (file != NULL) {
      (void)fclose(file);
    }
  } else {
    return false;
  }
  return true;
}

void perform(stage_t *stage, const action_t *action) {
  const char *verb = action->words[0];
  const char *name = action->words[1];
  if (strcmp(verb, "done") == 0) {
    stage_finish(stage, NULL);
    (void)troupe_actor_end(0);
  } else if (strcmp(verb, "soon") == 0 || strcmp(verb, "wait") == 0) {
    pseudo_t *pseudo = need(sizeof *pseudo);
    bool wait = verb[0] == 'w';
    *pseudo = (pseudo_t){.stage = stage, .name = name, .event = wait ? "waited" : "soon"};
    if (wait) {
      (void)troupe_timer_start(NULL, (unsigned)atoi(action->words[2]), 0, fire_waited, pseudo);
    } else {
      soon(stage, fire_pseudo, pseudo);
    }
  } else if (!perform_socket(stage, action) && !perform_server(stage, action) &&
             !perform_peer(stage, action) && !perform_file(stage, verb, name)) {
    fprintf(stderr, "play: %s: what is '%s'?\n", stage->scenario->name, verb);
    exit(2);
  }
}
