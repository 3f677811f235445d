#include "rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 4, NUMBER_MAX = 1000000000, SHOWN_MAX = 64, IPV6_PREFIX = 64 };

typedef struct {
  const char *text;
  size_t length;
} word_t;

typedef struct {
  rules_t *rules;
  unsigned long line;
  bool max_is_set, per_address_is_set;
  bool no_memory;
  int wrong;
  rules_complain_fn complain;
  void *context;
} reader_t;

static void read_line(reader_t *reader, const char *text, size_t length);
static void read_block(reader_t *reader, word_t what);
static void read_number(reader_t *reader, const char *what, word_t word, long low, long high,
                        long *number);
static void wrong(reader_t *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

int rules_read(rules_t *rules, const char *text, size_t length, rules_complain_fn complain,
               void *context) {
  reader_t reader = {.rules = rules, .complain = complain, .context = context};
  *rules = (rules_t){0};
  int error = troupe_block_list_new(&rules->list);
  if (error < 0) {
    return error;
  }
  for (size_t at = 0; at < length;) {
    const char *end = memchr(text + at, '\n', length - at);
    size_t size = end == NULL ? length - at : (size_t)(end - text) - at;
    reader.line++;
    read_line(&reader, text + at, size);
    at += size + 1;
  }
  if (reader.wrong > 0 || reader.no_memory) {
    rules_free(rules);
  }
  return reader.no_memory ? (int)TROUPE_ENOMEM : reader.wrong;
}

void rules_free(rules_t *rules) {
  troupe_block_list_free(&rules->list);
  *rules = (rules_t){0};
}

/* How much of a word is shown. */
static int shown(word_t word) {
  return word.length > SHOWN_MAX ? SHOWN_MAX : (int)word.length;
}

static bool is(word_t word, const char *name) {
  return word.length == strlen(name) && memcmp(word.text, name, word.length) == 0;
}

static size_t split(const char *text, size_t length, word_t *words) {
  size_t count = 0;
  for (size_t at = 0; at < length && text[at] != '#' && count < WORDS_MAX;) {
    if (text[at] == ' ' || text[at] == '\t' || text[at] == '\r') {
      at++;
      continue;
    }
    words[count].text = text + at;
    while (at < length && memchr(" \t\r#", text[at], 4) == NULL) {
      at++;
    }
    words[count].length = (size_t)(text + at - words[count].text);
    count++;
  }
  return count;
}

static void read_line(reader_t *reader, const char *text, size_t length) {
  word_t words[WORDS_MAX];
  size_t count = split(text, length, words);
  if (count == 0) {
    return;
  }
  rules_t *rules = reader->rules;
  size_t allowed = is(words[0], "per-address") ? 3 : 2;
  if (!is(words[0], "block") && !is(words[0], "max") && !is(words[0], "per-address")) {
    wrong(reader, "'%.*s' is none of block, max and per-address", shown(words[0]), words[0].text);
  } else if (count == 1) {
    wrong(reader, "%.*s wants %s", shown(words[0]), words[0].text,
          is(words[0], "block") ? "an address" : "a number");
  } else if (count > allowed) {
    wrong(reader, "'%.*s' is one word too many", shown(words[allowed]), words[allowed].text);
  } else if (is(words[0], "block")) {
    read_block(reader, words[1]);
  } else if (is(words[0], "max")) {
    if (reader->max_is_set) {
      wrong(reader, "max was set before");
    }
    reader->max_is_set = true;
    read_number(reader, "max", words[1], 0, NUMBER_MAX, &rules->max);
  } else {
    long number = 0, prefix = IPV6_PREFIX;
    if (reader->per_address_is_set) {
      wrong(reader, "per-address was set before");
    }
    reader->per_address_is_set = true;
    read_number(reader, "per-address", words[1], 0, NUMBER_MAX, &number);
    if (count == 3) {
      read_number(reader, "the prefix", words[2], 1, 128, &prefix);
    }
    rules->per_address = (unsigned)number;
    rules->prefix = (unsigned)prefix;
  }
}

/* ADDRESS, ADDRESS/PREFIX or FIRST-LAST. A zone may have a '-', but is of no use here. */
static void read_block(reader_t *reader, word_t what) {
  troupe_block_list_t *list = reader->rules->list;
  const char *sign = memchr(what.text, '/', what.length);
  int error;
  if (sign == NULL) {
    sign = memchr(what.text, '-', what.length);
  }
  word_t first = {what.text, sign == NULL ? what.length : (size_t)(sign - what.text)};
  word_t rest = {sign == NULL ? "" : sign + 1, sign == NULL ? 0 : what.length - first.length - 1};
  int family = troupe_is_ip(first.text, first.length);
  if (family == 0) {
    wrong(reader, "'%.*s' is no IP address", shown(first), first.text);
    return;
  }
  if (sign == NULL) {
    error = troupe_block_list_add_address_text(list, first.text, first.length, family);
  } else if (*sign == '-') {
    if (troupe_is_ip(rest.text, rest.length) != family) {
      wrong(reader, "'%.*s' is no IPv%d address", shown(rest), rest.text, family);
      return;
    }
    error = troupe_block_list_add_range_text(list, first.text, first.length, rest.text, rest.length,
                                             family);
    if (error == TROUPE_ERR_INVALID_ARG_VALUE) {
      wrong(reader, "%.*s ends before it begins", shown(what), what.text);
      return;
    }
  } else {
    long prefix = 0;
    int before = reader->wrong;
    read_number(reader, "the prefix", rest, 0, family == 4 ? 32 : 128, &prefix);
    if (reader->wrong > before) {
      return;
    }
    error = troupe_block_list_add_subnet_text(list, first.text, first.length, (int)prefix, family);
  }
  reader->no_memory |= error < 0;
}

static void read_number(reader_t *reader, const char *what, word_t word, long low, long high,
                        long *number) {
  long value = 0;
  bool right = word.length > 0 && word.length <= 10;
  for (size_t i = 0; right && i < word.length; i++) {
    right = word.text[i] >= '0' && word.text[i] <= '9';
    value = value * 10 + (word.text[i] - '0');
  }
  if (right && value >= low && value <= high) {
    *number = value;
    return;
  }
  wrong(reader, "%s is a whole number from %ld to %ld, not '%.*s'", what, low, high, shown(word),
        word.text);
}

static void wrong(reader_t *reader, const char *format, ...) {
  char message[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  reader->wrong++;
  reader->complain(reader->line, message, reader->context);
}
