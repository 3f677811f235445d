/* What members can say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"

enum { COLUMNS = 72 };

static const char help_text[] =
    "* what you type is heard by all in your room; besides, you can say\n"
    "*   /name NAME   to be called NAME, if nobody else is\n"
    "*   /join ROOM   to go to a room; it is made if it is not there\n"
    "*   /leave       to leave your room\n"
    "*   /who         who is in your room\n"
    "*   /rooms       which rooms there are\n"
    "*   /quit        to go; the end of your input does it too\n"
    "*   //TEXT       to say a line that begins with a slash\n";

/* A name of a person or a room is one word, of any bytes but white space and control characters. */
static bool read_name(member_t *member, const char *what, const char *text, size_t length,
                      char name[NAME_SIZE]) {
  while (length > 0 && text[length - 1] == ' ') {
    length--;
  }
  if (length == 0) {
    member_tell(member, "! which %s?\n", what);
    return false;
  }
  if (length > NAME_LIMIT) {
    member_tell(member, "! a %s has at most %d bytes\n", what, NAME_LIMIT);
    return false;
  }
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= ' ' || c == 0x7f) {
      member_tell(member, "! a %s is one word\n", what);
      return false;
    }
  }
  memcpy(name, text, length);
  name[length] = '\0';
  return true;
}

/* "guest" and a number: such names are given, and cannot be asked for. */
static bool is_guest(const char *name) {
  char folded[NAME_SIZE];
  fold(folded, name);
  size_t digits = strlen("guest");
  return strncmp(folded, "guest", digits) == 0 && folded[digits] != '\0' &&
         strspn(folded + digits, "0123456789") == strlen(folded + digits);
}

static void name_command(member_t *member, const char *text, size_t length) {
  char name[NAME_SIZE];
  if (length == 0) {
    member_tell(member, "* you are called %s\n", member->person.name);
    return;
  }
  if (!read_name(member, "name", text, length, name)) {
    return;
  }
  if (strcmp(name, member->person.name) == 0) {
    member_tell(member, "* you are called %s already\n", name);
  } else if (is_guest(name)) {
    member_tell(member, "! %s is a name for guests\n", name);
  } else {
    name_claim(member->chat, member, name);
  }
}

static void join_command(member_t *member, const char *text, size_t length) {
  char name[NAME_SIZE];
  if (read_name(member, "room", text, length, name)) {
    member_join(member, name);
  }
}

static void leave_command(member_t *member, const char *text, size_t length) {
  (void)text;
  (void)length;
  room_t *room = member->person.room;
  if (room == NULL) {
    member_tell(member, "! you are in no room\n");
    return;
  }
  char name[NAME_SIZE];
  memcpy(name, room->name, sizeof name);
  member_leave_room(member, NULL);
  member_tell(member, "* you left %s\n", name);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Words in rows that are not too long. */
static void print_words(FILE *out, const char **words, size_t count) {
  size_t column = COLUMNS;
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(words[i]);
    if (column + 1 + length > COLUMNS) {
      fputs(i == 0 ? "*  " : "\n*  ", out);
      column = 3;
    }
    fprintf(out, " %s", words[i]);
    column += 1 + length;
  }
  fputc('\n', out);
}

static size_t collect(const struct people *people, const char **names, size_t count) {
  const person_t *person = NULL;
  LIST_FOREACH(person, people, neighbours) {
    names[count++] = person->name;
  }
  return count;
}

/* Tells what was printed to memory, and frees it. */
static void tell_printed(member_t *member, FILE *out, char **text, const size_t *length) {
  bool printed = ferror(out) == 0;
  if (fclose(out) == 0 && printed) {
    member_tell_bytes(member, *text, *length);
  } else {
    member_tell(member, "! there is no memory for the answer\n");
  }
  free(*text);
}

static void who_command(member_t *member, const char *unused, size_t unused_length) {
  (void)unused;
  (void)unused_length;
  const room_t *room = member->person.room;
  if (room == NULL) {
    member_tell(member, "! you are in no room\n");
    return;
  }
  char *text = NULL;
  size_t length = 0;
  const char **names = calloc(room->count, sizeof *names);
  FILE *out = names == NULL ? NULL : open_memstream(&text, &length);
  if (out == NULL) {
    free(names);
    member_tell(member, "! there is no memory for the answer\n");
    return;
  }
  size_t count = collect(&room->elsewhere, names, collect(&room->here, names, 0));
  qsort(names, count, sizeof *names, compare_names);
  fprintf(out, "* in %s: %zu\n", room->name, count);
  print_words(out, names, count);
  free(names);
  tell_printed(member, out, &text, &length);
}

static bool print_room(void *value, void *context) {
  const room_t *room = value;
  if (room->count > 0) {
    fprintf(context, "*   %s: %zu\n", room->name, room->count);
  }
  return true;
}

static void rooms_command(member_t *member, const char *unused, size_t unused_length) {
  (void)unused;
  (void)unused_length;
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  if (out == NULL) {
    member_tell(member, "! there is no memory for the answer\n");
    return;
  }
  fputs("* rooms, and how many are in each:\n", out);
  table_each(&member->chat->rooms, print_room, out);
  tell_printed(member, out, &text, &length);
}

static void help_command(member_t *member, const char *unused, size_t unused_length) {
  (void)unused;
  (void)unused_length;
  member_tell_bytes(member, help_text, sizeof help_text - 1);
}

static void quit_command(member_t *member, const char *unused, size_t unused_length) {
  (void)unused;
  (void)unused_length;
  member_part(member, NULL, "* good-bye\n");
}

static const struct {
  const char *word;
  void (*run)(member_t *member, const char *text, size_t length);
} commands[] = {
    {"/name", name_command}, {"/join", join_command},   {"/leave", leave_command},
    {"/who", who_command},   {"/rooms", rooms_command}, {"/help", help_command},
    {"/quit", quit_command},
};

static void say(member_t *member, const char *line, size_t length) {
  person_t *person = &member->person;
  char before[NAME_SIZE + 2];
  if (person->room == NULL) {
    member_tell(member, "! you are in no room: /join ROOM\n");
    return;
  }
  /* The line goes as it came, whatever bytes it has. Its end was cut off, and comes back. */
  size_t name_length = strlen(person->name);
  memcpy(before, person->name, name_length);
  memcpy(before + name_length, ": ", 2);
  char text[LINE_LIMIT + 2];
  memcpy(text, line, length);
  text[length] = '\n';
  publish(member->chat, SAID, person, "", "", before, name_length + 2, text, length + 1);
}

void command(member_t *member, const char *line, size_t length) {
  if (length == 0) {
    return;
  }
  if (line[0] != '/') {
    say(member, line, length);
    return;
  }
  if (length > 1 && line[1] == '/') {
    say(member, line + 1, length - 1);
    return;
  }
  const char *space = memchr(line, ' ', length);
  size_t word = space == NULL ? length : (size_t)(space - line);
  size_t rest = word;
  while (rest < length && line[rest] == ' ') {
    rest++;
  }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strlen(commands[i].word) == word && memcmp(commands[i].word, line, word) == 0) {
      commands[i].run(member, line + rest, length - rest);
      return;
    }
  }
  member_tell(member, "! there is no such command; /help tells which there are\n");
}
