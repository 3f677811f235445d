// The chat, as its members see it.
#include "tests/examples/program.h"

enum { LIMIT_MS = 10000, TALKER_TEXT = 8192 };

// Somebody who types and reads.
typedef struct {
  int fd;
  size_t start; // of what was read and not looked at
  size_t count;
  char bytes[TALKER_TEXT];
} talker_t;

static program_t chat;

static void open_talker(talker_t *talker) {
  talker->start = 0;
  talker->count = 0;
  if (chat.port > 0) {
    talker->fd = trp_test_connect_tcp("127.0.0.1", chat.port, LIMIT_MS);
  } else {
    talker->fd = trp_test_connect_unix(chat.address, strlen(chat.address), LIMIT_MS);
  }
  assert_true(talker->fd >= 0);
}

static void close_talker(talker_t *talker) {
  trp_test_close(talker->fd);
}

static void type_bytes(talker_t *talker, const char *bytes, size_t length) {
  assert_int_equal(trp_test_send(talker->fd, bytes, length, LIMIT_MS), 0);
}

static void type(talker_t *talker, const char *text) {
  type_bytes(talker, text, strlen(text));
}

// Takes the next line off what has come; false: there is none yet.
static bool take_line(talker_t *talker, char *line, size_t *length) {
  const char *bytes = talker->bytes + talker->start;
  const char *end = memchr(bytes, '\n', talker->count);
  if (end == NULL) {
    memmove(talker->bytes, bytes, talker->count);
    talker->start = 0;
    return false;
  }
  *length = (size_t)(end - bytes);
  memcpy(line, bytes, *length);
  line[*length] = '\0';
  talker->start += *length + 1;
  talker->count -= *length + 1;
  return true;
}

// Reads a line; false: the end came first.
static bool read_line(talker_t *talker, char *line, size_t *length) {
  int64_t deadline = trp_test_now_ms() + (int64_t)LIMIT_MS * trp_test_slow();
  while (!take_line(talker, line, length)) {
    assert_true(talker->count < sizeof talker->bytes);
    struct pollfd ready = {.fd = talker->fd, .events = POLLIN};
    int64_t left = deadline - trp_test_now_ms();
    if (left <= 0 || poll(&ready, 1, (int)left) == 0) {
      fail_msg("no line came");
    }
    ssize_t n = recv(talker->fd, talker->bytes + talker->count,
                     sizeof talker->bytes - talker->count, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      continue;
    }
    if (n <= 0) {
      return false;
    }
    talker->count += (size_t)n;
  }
  return true;
}

// A later line begins with this; others before it do not matter.
static void hears_at_last_something_like(talker_t *talker, const char *expected) {
  char line[TALKER_TEXT];
  size_t length = 0;
  do {
    if (!read_line(talker, line, &length)) {
      fail_msg("the end came, and no line began with: %s", expected);
    }
  } while (strncmp(line, expected, strlen(expected)) != 0);
}

// The next line is this one.
static void hears(talker_t *talker, const char *expected) {
  char line[TALKER_TEXT];
  size_t length = 0;
  if (!read_line(talker, line, &length)) {
    fail_msg("the end came, not: %s", expected);
  }
  assert_string_equal(line, expected);
}

// A later line is this one; others before it do not matter.
static void hears_at_last(talker_t *talker, const char *expected) {
  char line[TALKER_TEXT];
  size_t length = 0;
  do {
    if (!read_line(talker, line, &length)) {
      fail_msg("the end came, and no line was: %s", expected);
    }
  } while (strcmp(line, expected) != 0);
}

static void hears_the_end(talker_t *talker) {
  char line[TALKER_TEXT];
  size_t length = 0;
  if (read_line(talker, line, &length)) {
    fail_msg("the end was expected, not: %s", line);
  }
}

// Asks for a name that is free, or about to be: that it is given up may be heard a moment later.
static void get_name(talker_t *talker, const char *name) {
  char ask[128], yes[128], no[128], line[TALKER_TEXT];
  size_t length = 0;
  snprintf(ask, sizeof ask, "/name %s\n", name);
  snprintf(yes, sizeof yes, "* you are now called %s", name);
  snprintf(no, sizeof no, "! %s is somebody else's name", name);
  int64_t deadline = trp_test_now_ms() + (int64_t)LIMIT_MS * trp_test_slow();
  do {
    type(talker, ask);
    do {
      assert_true(trp_test_now_ms() < deadline);
      assert_true(read_line(talker, line, &length));
    } while (strcmp(line, yes) != 0 && strcmp(line, no) != 0);
  } while (strcmp(line, yes) != 0);
}

// Connects, and is called `name` in the room `room`. What was said until then was read.
static void come(talker_t *talker, const char *name, const char *room) {
  char text[256];
  open_talker(talker);
  type(talker, "/leave\n");
  get_name(talker, name);
  if (room != NULL) {
    snprintf(text, sizeof text, "/join %s\n/name\n", room);
    type(talker, text);
    snprintf(text, sizeof text, "* you are called %s", name);
    hears_at_last(talker, text);
  }
}

// What all actors know is known everywhere: each of `talkers` sees so many in its room.
static void wait_until_all_see(talker_t *talkers, int count, const char *room, int persons) {
  char expected[64];
  snprintf(expected, sizeof expected, "* in %s: %d", room, persons);
  for (int i = 0; i < count; i++) {
    char line[TALKER_TEXT];
    size_t length = 0;
    do {
      type(&talkers[i], "/who\n");
      do {
        assert_true(read_line(&talkers[i], line, &length));
      } while (strncmp(line, "* in ", 5) != 0);
    } while (strcmp(line, expected) != 0);
  }
}

static void people_hear_each_other_wherever_they_live(void **state) {
  enum { PEOPLE = 6 };
  static talker_t people[PEOPLE];
  char text[128];
  (void)state;
  program_start(&chat, "chat", "--host", "127.0.0.1", "--actors", "3", NULL);
  for (int i = 0; i < PEOPLE; i++) {
    snprintf(text, sizeof text, "p%d", i);
    come(&people[i], text, "hall");
  }
  wait_until_all_see(people, PEOPLE, "hall", PEOPLE);
  for (int i = 0; i < PEOPLE; i++) {
    snprintf(text, sizeof text, "I am %d\n", i);
    type(&people[i], text);
    snprintf(text, sizeof text, "p%d: I am %d", i, i);
    for (int k = 0; k < PEOPLE; k++) {
      if (k != i) {
        hears_at_last(&people[k], text);
      }
    }
  }
  // One goes by /quit, one ends its input, one is cut off; the rest are told.
  type(&people[0], "/quit\n");
  hears_at_last(&people[0], "* good-bye");
  hears_the_end(&people[0]);
  trp_test_end(people[1].fd);
  hears_at_last(&people[1], "* good-bye");
  hears_the_end(&people[1]);
  for (int k = 2; k < PEOPLE; k++) {
    static const char *const left[] = {"* p0 left hall", "* p1 left hall"};
    char line[TALKER_TEXT];
    size_t length = 0;
    for (int seen = 0; seen < 2;) { // in any order: two actors tell it
      assert_true(read_line(&people[k], line, &length));
      seen += strcmp(line, left[0]) == 0 || strcmp(line, left[1]) == 0;
    }
  }
  trp_test_reset(people[2].fd);
  for (int k = 3; k < PEOPLE; k++) {
    hears_at_last(&people[k], "* p2 left hall (connection lost)");
    close_talker(&people[k]);
  }
  close_talker(&people[0]);
  close_talker(&people[1]);
  program_stop_cleanly(&chat, "");
}

static void a_newcomer_is_greeted_and_told_of(void **state) {
  static talker_t first, second;
  (void)state;
  program_start(&chat, "chat", "--host", "127.0.0.1", "--actors", "2", NULL);
  open_talker(&first);
  hears(&first, "* welcome, guest1; /name NAME gives you another name, /help tells the rest");
  hears(&first, "* you are in lobby, with 0 others");
  open_talker(&second);
  hears(&second, "* welcome, guest2; /name NAME gives you another name, /help tells the rest");
  hears(&first, "* guest2 joined lobby");
  wait_until_all_see(&second, 1, "lobby", 2);
  type(&second, "hello\n");
  hears(&first, "guest2: hello");
  type(&second, "/name eve\nit is me\n");
  hears(&first, "* guest2 is now called eve");
  hears(&first, "eve: it is me");
  type(&second, "/join garden\n");
  hears(&first, "* eve left lobby");
  close_talker(&first);
  close_talker(&second);
  program_stop_cleanly(&chat, "");
}

static void a_name_belongs_to_one_person(void **state) {
  enum { PEOPLE = 4 };
  static talker_t people[PEOPLE];
  (void)state;
  program_start(&chat, "chat", "--host", "127.0.0.1", "--actors", "4", NULL);
  come(&people[0], "bob", NULL);
  for (int i = 1; i < PEOPLE; i++) {
    open_talker(&people[i]);
    type(&people[i], "/name bob\n");
    hears_at_last(&people[i], "! bob is somebody else's name");
    type(&people[i], "/name BOB\n");
    hears_at_last(&people[i], "! BOB is somebody else's name");
  }
  type(&people[0], "/name Bob\n");
  hears_at_last(&people[0], "* you are now called Bob");
  type(&people[1], "/name bob\n/name guest7\n/name a b\n/name\t\n/name "
                   "0123456789012345678901234567890123456789\n/name\n");
  hears_at_last(&people[1], "! bob is somebody else's name");
  hears_at_last(&people[1], "! guest7 is a name for guests");
  hears_at_last(&people[1], "! a name is one word");
  hears_at_last(&people[1], "! there is no such command; /help tells which there are");
  hears_at_last(&people[1], "! a name has at most 32 bytes");
  hears_at_last(&people[1], "* you are called guest2");
  // A name that is given up, or whose owner has gone, can be had.
  type(&people[0], "/name rob\n");
  hears_at_last(&people[0], "* you are now called rob");
  get_name(&people[2], "bob");
  type(&people[2], "/quit\n");
  hears_at_last(&people[2], "* good-bye");
  get_name(&people[3], "bob");
  for (int i = 0; i < PEOPLE; i++) {
    close_talker(&people[i]);
  }
  program_stop_cleanly(&chat, "");
}

static void rooms_are_apart(void **state) {
  static talker_t people[3];
  (void)state;
  program_start(&chat, "chat", "--host", "127.0.0.1", "--actors", "3", NULL);
  come(&people[0], "a", "red");
  come(&people[1], "b", "blue");
  come(&people[2], "c", NULL);
  type(&people[2], "anybody?\n/who\n/leave\n/join RED\n/join red\n/join\n");
  hears_at_last(&people[2], "! you are in no room: /join ROOM");
  hears_at_last(&people[2], "! you are in no room");
  hears_at_last(&people[2], "! you are in no room");
  hears_at_last(&people[2], "* you are in red, with 1 other");
  hears_at_last(&people[2], "! you are in red already");
  hears_at_last(&people[2], "! which room?");
  hears_at_last(&people[0], "* c joined red");
  wait_until_all_see(&people[2], 1, "red", 2);
  hears(&people[2], "*   a c");
  type(&people[2], "/rooms\n");
  hears(&people[2], "* rooms, and how many are in each:");
  char line[TALKER_TEXT];
  size_t length = 0;
  for (int seen = 0; seen < 2;) {
    assert_true(read_line(&people[2], line, &length));
    assert_int_equal(strcmp(line, "*   red: 2") == 0 || strcmp(line, "*   blue: 1") == 0, 1);
    seen++;
  }
  // What is said in red is not heard in blue: there, the next line is blue's own.
  type(&people[0], "in red\n");
  hears(&people[2], "a: in red");
  type(&people[2], "/leave\n/join blue\nin blue\n");
  hears_at_last(&people[1], "* c joined blue");
  hears(&people[1], "c: in blue");
  hears(&people[0], "* c left red");
  for (int i = 0; i < 3; i++) {
    close_talker(&people[i]);
  }
  program_stop_cleanly(&chat, "");
}

static void a_line_goes_as_it_came(void **state) {
  static talker_t writer, reader;
  static char text[16384];
  char line[TALKER_TEXT];
  size_t length = 0;
  (void)state;
  program_start(&chat, "chat", "--host", "127.0.0.1", "--actors", "2", NULL);
  come(&reader, "reader", "r");
  come(&writer, "w", "r");
  wait_until_all_see(&writer, 1, "r", 2);
  type(&writer, "now\n");
  hears_at_last(&reader, "w: now");
  // As telnet sends it, byte by byte, empty lines, and commands in the text.
  type(&writer, "telnet\r\n\n\r\n//slash\n /not a command\n");
  hears(&reader, "w: telnet");
  hears(&reader, "w: /slash");
  hears(&reader, "w:  /not a command");
  static const char slow[] = "one byte at a time\r\nnext\r\n";
  for (size_t i = 0; i < sizeof slow - 1; i++) {
    type_bytes(&writer, slow + i, 1);
  }
  hears(&reader, "w: one byte at a time");
  hears(&reader, "w: next");
  // Bytes that are no UTF-8, and a zero.
  static const char odd[] = "\xff\xfe\x80 \0 \xc3(\r in it\n";
  type_bytes(&writer, odd, sizeof odd - 1);
  assert_true(read_line(&reader, line, &length));
  assert_int_equal(length, 3 + sizeof odd - 2);
  assert_memory_equal(line, "w: ", 3);
  assert_memory_equal(line + 3, odd, sizeof odd - 2);
  // The longest line is heard, with CR LF too; one byte more is not, and its writer is told.
  memset(text, 'x', 4097);
  memcpy(text + 4096, "\r\n", 2);
  type_bytes(&writer, text, 4098);
  assert_true(read_line(&reader, line, &length));
  assert_int_equal(length, 3 + 4096);
  memcpy(text + 4096, "x\n", 2);
  type_bytes(&writer, text, 4098);
  hears_at_last(&writer, "! that line was longer than 4096 bytes, and nobody heard it");
  memset(text, 'y', sizeof text);
  memcpy(text + sizeof text - 10, "\nstill me\n", 10);
  type_bytes(&writer, text, sizeof text);
  hears(&writer, "! that line was longer than 4096 bytes, and nobody heard it");
  hears(&reader, "w: still me");
  // A line without an end counts when the input ends.
  type(&writer, "/name x\n/name y\nlast words");
  trp_test_end(writer.fd);
  hears(&reader, "* w is now called x");
  hears(&reader, "* x is now called y");
  hears(&reader, "y: last words");
  hears(&reader, "* y left r");
  hears_at_last(&writer, "* good-bye");
  hears_the_end(&writer);
  close_talker(&writer);
  close_talker(&reader);
  program_stop_cleanly(&chat, "");
}

static void a_line_reaches_a_thousand_people(void **state) {
  enum { PEOPLE = 1000 };
  talker_t *people = calloc(PEOPLE, sizeof *people);
  char path[128];
  (void)state;
  assert_non_null(people);
  trp_test_limit(120000);
  snprintf(path, sizeof path, "%s/chat", trp_test_folder());
  program_start(&chat, "chat", "--path", path, "--actors", "2", NULL);
  for (int i = 0; i < PEOPLE; i++) {
    open_talker(&people[i]);
    type(&people[i], "/join many\n");
    hears_at_last_something_like(&people[i], "* you are in many");
  }
  wait_until_all_see(people, 2, "many", PEOPLE);
  type(&people[0], "hello to all\n");
  type(&people[1], "and from me\n");
  for (int i = 0; i < PEOPLE; i++) {
    char line[TALKER_TEXT];
    size_t length = 0;
    for (int heard = 0; heard < (i < 2 ? 1 : 2);) {
      assert_true(read_line(&people[i], line, &length));
      heard += strstr(line, ": hello to all") != NULL || strstr(line, ": and from me") != NULL;
    }
  }
  for (int i = 0; i < PEOPLE; i++) {
    close_talker(&people[i]);
  }
  free(people);
  program_stop_cleanly(&chat, "");
}

// A line of about 4 KiB with its number.
static size_t long_line(char *text, int number) {
  int length = snprintf(text, TALKER_TEXT, "%d ", number);
  memset(text + length, 'z', 4000);
  text[length + 4000] = '\n';
  return (size_t)length + 4001;
}

static void who_reads_too_slowly_is_told_and_dropped(void **state) {
  enum { LINES = 300 };
  static talker_t slow, good, loud;
  char path[128];
  char text[TALKER_TEXT];
  char line[TALKER_TEXT];
  size_t length = 0;
  (void)state;
  snprintf(path, sizeof path, "%s/chat", trp_test_folder());
  program_start(&chat, "chat", "--path", path, "--actors", "2", "--queue", "65536", NULL);
  come(&good, "good", "r");
  come(&slow, "slow", "r");
  come(&loud, "loud", "r");
  wait_until_all_see(&loud, 1, "r", 3);
  // 1.2 MB is more than the kernel and the queue hold together. The good one reads all of it.
  bool told = false;
  for (int i = 0; i < LINES; i++) {
    type_bytes(&loud, text, long_line(text, i));
    do {
      assert_true(read_line(&good, line, &length));
      told = told || strcmp(line, "* slow left r (too slow)") == 0;
    } while (strncmp(line, "loud: ", 6) != 0);
    assert_int_equal(atoi(line + 6), i);
  }
  while (!told) {
    assert_true(read_line(&good, line, &length));
    told = strcmp(line, "* slow left r (too slow)") == 0;
  }
  // What had been queued is there, whole lines in order, and then why no more comes.
  int next = 0;
  for (;;) {
    assert_true(read_line(&slow, line, &length));
    if (strncmp(line, "! ", 2) == 0) {
      break;
    }
    if (strncmp(line, "loud: ", 6) == 0) {
      assert_int_equal(atoi(line + 6), next);
      next++;
    }
  }
  assert_true(next > 10 && next < LINES);
  assert_string_equal(line, "! you read too slowly, and your queue is full: good-bye");
  hears_the_end(&slow);
  close_talker(&slow);
  // It may come back, under its name.
  come(&slow, "slow", "r");
  close_talker(&slow);
  close_talker(&good);
  close_talker(&loud);
  program_stop_cleanly(&chat, "");
}

static int64_t memory_of(pid_t pid) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/statm", (int)pid);
  FILE *file = fopen(name, "r");
  long size = 0, resident = 0;
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
  fclose(file);
  return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void what_waits_for_many_is_kept_once(void **state) {
  enum { PEOPLE = 300, LINES = 300 };
  talker_t *people = calloc(PEOPLE, sizeof *people);
  static talker_t loud;
  char path[128];
  char text[TALKER_TEXT];
  (void)state;
  assert_non_null(people);
  trp_test_limit(120000);
  snprintf(path, sizeof path, "%s/chat", trp_test_folder());
  program_start(&chat, "chat", "--path", path, "--actors", "2", "--queue", "8000000", NULL);
  for (int i = 0; i < PEOPLE; i++) {
    open_talker(&people[i]);
    type(&people[i], "/join r\n");
    hears_at_last_something_like(&people[i], "* you are in r,");
  }
  come(&loud, "loud", "r");
  wait_until_all_see(&loud, 1, "r", PEOPLE + 1);
  int64_t before = memory_of(chat.pid);
  // 1.2 MB for each: 200 KB of it go to the kernel, and copies of the rest would be 300 MB.
  for (int i = 0; i < LINES; i++) {
    type_bytes(&loud, text, long_line(text, i));
  }
  wait_until_all_see(&loud, 1, "r", PEOPLE + 1); // it was all heard, and nobody was dropped
  int64_t after = memory_of(chat.pid);
  if (trp_test_slow() == 1 && after - before > 64 * 1024 * 1024) {
    fail_msg("the chat grew by %lld KiB", (long long)(after - before) / 1024);
  }
  // All of it is read in the end, by two of them at least.
  for (int i = 0; i < 2; i++) {
    char line[TALKER_TEXT];
    size_t length = 0;
    for (int next = 0; next < LINES;) {
      assert_true(read_line(&people[i], line, &length));
      if (strncmp(line, "loud: ", 6) == 0) {
        assert_int_equal(atoi(line + 6), next);
        next++;
      }
    }
  }
  for (int i = 0; i < PEOPLE; i++) {
    close_talker(&people[i]);
  }
  close_talker(&loud);
  free(people);
  program_stop_cleanly(&chat, "");
}

// More lines than may be under way between two actors: they wait, and so does the one who types.
static void a_flood_of_lines_loses_none(void **state) {
  enum { LINES = 100000 };
  static talker_t loud, reader;
  (void)state;
  trp_test_limit(120000);
  program_start(&chat, "chat", "--host", "127.0.0.1", "--actors", "2", "--queue", "64000000", NULL);
  come(&reader, "reader", "r");
  come(&loud, "loud", "r"); // the other actor's
  wait_until_all_see(&loud, 1, "r", 2);
  type(&loud, "now\n");
  hears_at_last(&reader, "loud: now");
  char *flood = malloc(LINES * 16);
  assert_non_null(flood);
  size_t length = 0;
  for (int i = 0; i < LINES; i++) {
    length += (size_t)sprintf(flood + length, "%d\n", i);
  }
  size_t sent = 0;
  for (int next = 0; next < LINES;) {
    if (sent < length) {
      ssize_t n = send(loud.fd, flood + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      assert_true(n > 0 || errno == EAGAIN);
      sent += n > 0 ? (size_t)n : 0;
    }
    char line[TALKER_TEXT], expected[64];
    size_t line_length = 0;
    assert_true(read_line(&reader, line, &line_length));
    snprintf(expected, sizeof expected, "loud: %d", next);
    assert_string_equal(line, expected);
    next++;
  }
  free(flood);
  close_talker(&loud);
  close_talker(&reader);
  program_stop_cleanly(&chat, "");
}

static void members_are_told_that_it_ends(void **state) {
  static const int signals[] = {SIGTERM, SIGINT};
  (void)state;
  for (int i = 0; i < 2; i++) {
    static talker_t people[3];
    program_start(&chat, "chat", "--host", "127.0.0.1", "--actors", "2", NULL);
    for (int k = 0; k < 3; k++) {
      open_talker(&people[k]);
      hears_at_last_something_like(&people[k], "* you are in lobby");
      wait_until_all_see(people, k + 1, "lobby", k + 1);
    }
    assert_int_equal(program_stop(&chat, signals[i]), 0);
    assert_string_equal(chat.errors, "");
    for (int k = 0; k < 3; k++) {
      hears_at_last(&people[k], "* the chat ends here: good-bye");
      hears_the_end(&people[k]);
      close_talker(&people[k]);
    }
  }
}

static void what_it_cannot_do_it_says(void **state) {
  static const wrong_usage_t wrong[] = {
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
      {{"-x"}, "unknown option '-x'"},
      {{"--port", "70000"}, "--port wants a whole number from 0 to 65535, not '70000'"},
      {{"--actors", "0"}, "--actors wants a whole number from 1 to 64"},
      {{"--actors", "two"}, "not 'two'"},
      {{"--queue", "10"}, "--queue wants"},
      {{"--path", ""}, "--path wants"},
      {{"7000"}, "unexpected '7000'"},
  };
  static const char *const options[] = {"--host",  "--port", "--path", "--actors",
                                        "--queue", "--help", NULL};
  (void)state;
  program_refuses("chat", wrong);
  program_helps("chat", options);
  program_start(&chat, "chat", "--host", "127.0.0.1", NULL);
  program_finds_taken(&chat, "chat", (const char *const[]){"--actors", "2"});
  program_stop_cleanly(&chat, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(people_hear_each_other_wherever_they_live),
      trp_test(a_newcomer_is_greeted_and_told_of),
      trp_test(a_name_belongs_to_one_person),
      trp_test(rooms_are_apart),
      trp_test(a_line_goes_as_it_came),
      trp_test(a_line_reaches_a_thousand_people),
      trp_test(who_reads_too_slowly_is_told_and_dropped),
      trp_test(what_waits_for_many_is_kept_once),
      trp_test(a_flood_of_lines_loses_none),
      trp_test(members_are_told_that_it_ends),
      trp_test(what_it_cannot_do_it_says),
  };
  return TRP_RUN_TESTS("chat", tests);
}
