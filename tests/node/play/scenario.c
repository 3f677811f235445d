// Reads scenarios, line by line.
#include "tests/node/play/scenario.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// All that was ever asked for, so that it stays reachable.
typedef struct memory {
  struct memory *next;
  max_align_t bytes[];
} memory_t;

static memory_t *kept;

typedef struct {
  const char *file;
  scenario_t **end; // of the list
  scenario_t *scenario;
  block_t *block;
} reader_t;

static void read_line(reader_t *reader, char *line);

_Noreturn static void refuse(const reader_t *reader, const char *line, const char *why) {
  fprintf(stderr, "play: %s: '%s': %s\n", reader->file, line, why);
  exit(2);
}

void scenario_read(const char *path, scenario_t **list) {
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  const char *base = strrchr(path, '/');
  base = base == NULL ? path : base + 1;
  reader_t reader = {.file = need_text("%.*s", (int)strcspn(base, "."), base), .end = list};
  while (*reader.end != NULL) {
    reader.end = &(*reader.end)->next;
  }
  char line[512];
  while (fgets(line, sizeof line, file) != NULL) {
    if (strchr(line, '\n') == NULL && !feof(file)) {
      refuse(&reader, line, "the line is too long");
    }
    read_line(&reader, line);
  }
  (void)fclose(file);
}

void scenario_reset(const scenario_t *scenario) {
  for (block_t *block = scenario->blocks; block != NULL; block = block->next) {
    block->done = false;
    for (size_t i = 0; i < block->condition_count; i++) {
      block->conditions[i].met = false;
    }
  }
}

void *need(size_t size) {
  memory_t *memory = calloc(1, sizeof *memory + size);
  if (memory == NULL) {
    fprintf(stderr, "play: no memory\n");
    exit(2);
  }
  memory->next = kept;
  kept = memory;
  return memory->bytes;
}

char *need_text(const char *format, ...) {
  va_list arguments;
  va_list again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  char *text = need((size_t)length + 1);
  (void)vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  va_end(arguments);
  return text;
}

const char *action_option(const action_t *action, const char *key) {
  size_t length = strlen(key);
  for (size_t i = 1; i < action->count; i++) {
    if (strncmp(action->words[i], key, length) == 0 && action->words[i][length] == '=') {
      return action->words[i] + length + 1;
    }
  }
  return NULL;
}

bool action_has(const action_t *action, const char *flag) {
  for (size_t i = 1; i < action->count; i++) {
    if (strcmp(action->words[i], flag) == 0) {
      return true;
    }
  }
  return false;
}

// Cuts at blanks that are not between quotes, and drops the quotes.
static void split(const char *line, action_t *action) {
  const char *end = line + strlen(line);
  for (const char *at = line; at < end && action->count < MAX_WORDS;) {
    at += strspn(at, " \t\r\n");
    if (*at == '\0') {
      return;
    }
    char *word = need(strlen(at) + 1);
    size_t length = 0;
    for (bool quoted = false; *at != '\0' && (quoted || strchr(" \t\r\n", *at) == NULL); at++) {
      if (*at == '"') {
        quoted = !quoted;
      } else {
        word[length++] = *at;
      }
    }
    action->words[action->count++] = word;
  }
}

static void add_condition(const reader_t *reader, block_t *block, const char *text) {
  action_t words = {0};
  split(text, &words);
  if (words.count < 2 || block->condition_count == MAX_CONDITIONS) {
    refuse(reader, text, words.count < 2 ? "a word is missing" : "too many conditions");
  }
  condition_t *condition = &block->conditions[block->condition_count++];
  condition->object = words.words[0];
  condition->event = words.words[1];
  condition->count = 1;
  if (strcmp(condition->event, "received") == 0 && words.count > 2) {
    condition->bytes = (size_t)atol(words.words[2]);
    condition->count = 0;
  } else if (words.count > 2) {
    condition->count = (unsigned)atol(words.words[2] + 1);
  }
  condition->text = words.count > 2
                        ? need_text("%s %s %s", words.words[0], words.words[1], words.words[2])
                        : need_text("%s %s", words.words[0], words.words[1]);
}

static void add_block(reader_t *reader, block_kind_t kind, char *conditions) {
  if (reader->scenario == NULL) {
    refuse(reader, conditions, "it belongs to no scenario");
  }
  block_t *block = need(sizeof *block);
  block->kind = kind;
  if (reader->block == NULL) {
    reader->scenario->blocks = block;
  } else {
    reader->block->next = block;
  }
  reader->block = block;
  for (char *text = strsep(&conditions, ",:"); text != NULL; text = strsep(&conditions, ",:")) {
    if (text[strspn(text, " \t\r\n")] != '\0') {
      add_condition(reader, block, text);
    }
  }
}

// What an action cannot do without: an object, and for some verbs what is to be done with it.
static void check(const reader_t *reader, const char *line, const action_t *action) {
  static const char *const with_value[] = {"write",     "answer",   "timeout", "noDelay",
                                           "keepAlive", "encoding", "ends",    "maxConnections",
                                           "wait",      "peer"};
  size_t least = strcmp(action->words[0], "done") == 0 ? 1 : 2;
  for (size_t i = 0; i < sizeof with_value / sizeof with_value[0]; i++) {
    least += strcmp(action->words[0], with_value[i]) == 0;
  }
  if (reader->block == NULL) {
    refuse(reader, line, "it belongs to no scenario");
  }
  if (action->count < least) {
    refuse(reader, line, "a word is missing");
  }
  if (strcmp(action->words[0], "open") == 0 && action_option(action, "port") == NULL &&
      action_option(action, "path") == NULL) {
    refuse(reader, line, "open takes a port or a path");
  }
  for (size_t i = 2; i < action->count && strcmp(action->words[0], "connect") == 0; i++) {
    if (strchr(action->words[i], '=') == NULL) {
      refuse(reader, line, "connect takes KEY=VALUE");
    }
  }
}

/// What a simulated world has nothing of.
static const char *real_only(const action_t *action) {
  static const char *const files[] = {"file", "exists", "mode"};
  if (strcmp(action->words[0], "peer") == 0) {
    return "its peer is a process with plain sockets";
  }
  if (action_option(action, "fd") != NULL) {
    return "descriptors are the kernel's";
  }
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (strcmp(action->words[0], files[i]) == 0) {
      return "files are the kernel's";
    }
  }
  return NULL;
}

static void add_action(block_t *block, const action_t *action) {
  action_t *actions = need((block->action_count + 1) * sizeof *actions);
  if (block->action_count > 0) {
    memcpy(actions, block->actions, block->action_count * sizeof *actions);
  }
  actions[block->action_count++] = *action;
  block->actions = actions;
}

static bool machine_has(const char *what) {
  const char *has = getenv("TROUPE_PLAY_HAS");
  return has != NULL && strstr(has, what) != NULL;
}

// "with tcp" and "with unix" stand for a server that takes one connection, and a client of it. What
// follows "server" and "client" is given to them.
static void expand(reader_t *reader, const action_t *with) {
  const char *server = action_option(with, "server");
  const char *client = action_option(with, "client");
  bool local = action_has(with, "unix");
  char *lines[] = {
      need_text("server s %s", server != NULL ? server : ""),
      need_text("listen s %s", local ? "path=@tmp/s" : "host=127.0.0.1"),
      need_text("socket c %s", client != NULL ? client : ""),
      need_text("on s listening:"),
      need_text("connect c %s", local ? "path=@tmp/s" : "host=127.0.0.1 port=@s"),
      need_text("on s connection:"),
      need_text("close s"),
  };
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    read_line(reader, lines[i]);
  }
}

static void read_line(reader_t *reader, char *line) {
  line += strspn(line, " \t");
  line[strcspn(line, "\r\n")] = '\0';
  action_t words = {0};
  split(line, &words);
  const char *first = words.count > 0 ? words.words[0] : "#";
  static const char real[] = "# real: ";
  if (strncmp(line, real, sizeof real - 1) == 0 && reader->scenario != NULL) {
    reader->scenario->real_only = need_text("%s", line + sizeof real - 1);
  }
  char *rest = line + strcspn(line, " ");
  rest += strspn(rest, " ");
  if (strchr("#-+", first[0]) != NULL || strcmp(first, "differs") == 0 ||
      strcmp(first, "binding") == 0 || strcmp(first, "differs:") == 0) {
    return;
  }
  if (strcmp(first, "scenario") == 0) {
    reader->scenario = need(sizeof *reader->scenario);
    reader->scenario->file = reader->file;
    reader->scenario->name = need_text("%s", rest);
    reader->scenario->playable = true;
    *reader->end = reader->scenario;
    reader->end = &reader->scenario->next;
    reader->block = NULL;
    add_block(reader, BLOCK_START, NULL);
  } else if (strcmp(first, "needs") == 0 && reader->scenario != NULL) {
    reader->scenario->playable = reader->scenario->playable && machine_has(rest);
  } else if (strcmp(first, "on") == 0) {
    add_block(reader, BLOCK_ON, rest);
  } else if (strcmp(first, "when") == 0) {
    add_block(reader, BLOCK_WHEN, rest);
  } else if (strcmp(first, "with") == 0) {
    expand(reader, &words);
  } else {
    check(reader, line, &words);
    add_action(reader->block, &words);
    if (reader->scenario->real_only == NULL) {
      reader->scenario->real_only = real_only(&words);
    }
  }
}
