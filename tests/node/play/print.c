// What a scenario prints. What differs from run to run gets a name: ports, the scenario's folder,
// and how much is missing in it to a path of a given length.
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/node/play/stage.h"

static void add_line(stage_t *stage, line_t *line) {
  line->before = stage->last;
  if (stage->last == NULL) {
    stage->lines = line;
  } else {
    stage->last->next = line;
  }
  stage->last = line;
}

void stage_print(stage_t *stage, const char *name, const char *format, ...) {
  if (stage->over) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  char text[2048];
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  line_t *line = need(sizeof *line);
  line->name = name;
  line->text = need_text("%s", text);
  add_line(stage, line);
}

// A line whose text is known later.
line_t *stage_reserve(stage_t *stage, const char *name) {
  line_t *line = need(sizeof *line);
  line->name = name;
  line->text = "";
  if (!stage->over) {
    add_line(stage, line);
  }
  return line;
}

static line_t *joined(const object_t *object, const char *event) {
  for (line_t *line = object->stage->last; line != NULL; line = line->before) {
    if (strcmp(line->name, object->name) == 0) {
      return line->data != NULL && strcmp(line->data, event) == 0 ? line : NULL;
    }
  }
  return NULL;
}

// Bytes that come one after the other make one line, however they were cut into pieces.
void stage_print_data(object_t *object, const char *event, const void *bytes, size_t length,
                      bool may_join) {
  if (object->stage->over) {
    return;
  }
  line_t *line = may_join ? joined(object, event) : NULL;
  if (line == NULL) {
    line = need(sizeof *line);
    line->name = object->name;
    line->data = event;
    line->hash = 2166136261U;
    line->flags = flags_text(object);
    add_line(object->stage, line);
  }
  if (line->length + length <= SHORT_DATA) {
    memcpy(line->start + line->length, bytes, length);
  }
  line->length += length;
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = ((const unsigned char *)bytes)[i];
    line->hash = (line->hash ^ byte) * 16777619U;
    line->hidden |= byte >= 0x80;
  }
}

void stage_print_all(const stage_t *stage, FILE *out) {
  fprintf(out, "scenario %s: %s\n", stage->scenario->file, stage->scenario->name);
  for (const line_t *line = stage->lines; line != NULL; line = line->next) {
    if (line->data == NULL) {
      fprintf(out, "%s %s\n", line->name, line->text);
    } else if (line->length <= SHORT_DATA && !line->hidden) {
      fprintf(out, "%s %s %zu \"%s\"%s\n", line->name, line->data, line->length, line->start,
              line->flags);
    } else {
      fprintf(out, "%s %s %zu %08x%s\n", line->name, line->data, line->length, line->hash,
              line->flags);
    }
  }
  (void)fflush(out);
}

static const line_t *skip_files(const line_t *line) {
  while (line != NULL && strcmp(line->name, "files") == 0) {
    line = line->next;
  }
  return line;
}

static bool line_is_same(const line_t *a, const line_t *b) {
  if (strcmp(a->name, b->name) != 0 || (a->data == NULL) != (b->data == NULL)) {
    return false;
  }
  return a->data == NULL ? strcmp(a->text, b->text) == 0
                         : strcmp(a->data, b->data) == 0 && a->length == b->length &&
                               a->hash == b->hash && strcmp(a->flags, b->flags) == 0;
}

bool stage_prints_the_same(const stage_t *a, const stage_t *b) {
  const line_t *line_a = skip_files(a->lines);
  const line_t *line_b = skip_files(b->lines);
  while (line_a != NULL && line_b != NULL && line_is_same(line_a, line_b)) {
    line_a = skip_files(line_a->next);
    line_b = skip_files(line_b->next);
  }
  return line_a == NULL && line_b == NULL;
}

static const line_t *next_of(const line_t *line, const char *name) {
  while (line != NULL && strcmp(line->name, name) != 0) {
    line = line->next;
  }
  return line;
}

static bool tells_the_same_of(const stage_t *a, const stage_t *b, const char *name) {
  const line_t *line_a = next_of(a->lines, name);
  const line_t *line_b = next_of(b->lines, name);
  while (line_a != NULL && line_b != NULL && line_is_same(line_a, line_b)) {
    line_a = next_of(line_a->next, name);
    line_b = next_of(line_b->next, name);
  }
  return line_a == NULL && line_b == NULL;
}

bool stage_tells_the_same(const stage_t *a, const stage_t *b) {
  for (const line_t *line = a->lines; line != NULL; line = line->next) {
    if (!tells_the_same_of(a, b, line->name)) {
      return false;
    }
  }
  for (const line_t *line = b->lines; line != NULL; line = line->next) {
    if (next_of(a->lines, line->name) == NULL) {
      return false;
    }
  }
  return true;
}

void stage_name_port(stage_t *stage, int number, const char *name) {
  for (size_t i = 0; i < stage->port_count; i++) {
    if (stage->ports[i].number == number) {
      stage->ports[i].name = name;
      return;
    }
  }
  if (stage->port_count < MAX_PORTS) {
    stage->ports[stage->port_count].number = number;
    stage->ports[stage->port_count++].name = name;
  }
}

int stage_port(const stage_t *stage, const char *text) {
  if (text[0] != '@') {
    return atoi(text);
  }
  for (size_t i = 0; i < stage->port_count; i++) {
    if (strcmp(stage->ports[i].name, text + 1) == 0) {
      return stage->ports[i].number;
    }
  }
  fprintf(stderr, "play: %s: no port of %s\n", stage->scenario->name, text);
  exit(2);
}

const char *port_text(const stage_t *stage, int port) {
  for (size_t i = 0; i < stage->port_count; i++) {
    if (stage->ports[i].number == port) {
      return need_text("<%s>", stage->ports[i].name);
    }
  }
  return port < 1024 ? need_text("%d", port) : "<?>";
}

// The port that begins here, after its colon: digits that no address goes on behind.
static bool is_port(const char *text, size_t *length) {
  *length = strspn(text, "0123456789");
  return *length > 0 && text[*length] != '.' && text[*length] != ':';
}

const char *plain_text(const stage_t *stage, const char *text) {
  size_t folder = strlen(stage->folder);
  size_t room = strlen(text) * 4 + 64;
  char *plain = need(room);
  size_t used = 0;
  while (*text != '\0') {
    size_t length;
    if (strncmp(text, stage->folder, folder) == 0) {
      used += (size_t)snprintf(plain + used, room - used, "@tmp");
      text += folder;
    } else if (strspn(text, "x") >= 20) {
      used += (size_t)snprintf(plain + used, room - used, "x…");
      text += strspn(text, "x");
    } else if (*text == ':' && is_port(text + 1, &length)) {
      used += (size_t)snprintf(plain + used, room - used, ":%s", port_text(stage, atoi(text + 1)));
      text += 1 + length;
    } else {
      plain[used++] = *text++;
    }
  }
  return plain;
}

const char *address_text(const stage_t *stage, const troupe_address_t *address) {
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  (void)troupe_address_text(address, text, sizeof text);
  switch (address->family) {
  case TROUPE_FAMILY_IPV4:
    return need_text("%s %s IPv4", text, port_text(stage, address->port));
  case TROUPE_FAMILY_IPV6:
    return need_text("%s %s IPv6", text, port_text(stage, address->port));
  default:
    return "none"; // Node has no addresses of the ends of Unix connections
  }
}

const char *goal_text(const stage_t *stage, const troupe_address_t *address) {
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  (void)troupe_address_text(address, text, sizeof text);
  if (address->family == TROUPE_FAMILY_UNIX) {
    return plain_text(stage, text);
  }
  return need_text("%s %s %d", text, port_text(stage, address->port), address->family);
}

const char *error_text(const object_t *object, const troupe_error_t *error) {
  const stage_t *stage = object->stage;
  if (error->code == object->own_error) {
    return need_text("error %s", error->name); // its words were never Node's
  }
  // Node gives a number only to what the system said, and not to an aggregate.
  bool numbered = error->code > TROUPE_ERR_MISSING_ARGS && error->error_count == 0;
  const char *number = numbered ? need_text(" errno=%d", error->code) : "";
  const char *call = error->syscall != NULL ? need_text(" syscall=%s", error->syscall) : "";
  const char *address = error->address != NULL
                            ? need_text(" address=%s", plain_text(stage, error->address))
                            : "";
  const char *port = error->port != 0 ? need_text(" port=%s", port_text(stage, error->port)) : "";
  const char *local = error->local_address != NULL ? need_text(" local=%s:%s", error->local_address,
                                                               port_text(stage, error->local_port))
                                                   : "";
  return need_text("error %s%s%s%s%s%s \"%s\"", error->name, number, call, address, port, local,
                   plain_text(stage, error->message));
}

// @tmp is the scenario's folder, @long:N a path in it of exactly N bytes, and \0 a zero byte.
const char *path_text(const stage_t *stage, const char *text, size_t *length) {
  size_t zero = strncmp(text, "\\0", 2) == 0 ? 1 : 0;
  text += zero * 2;
  char *path = need(512);
  char *at = path + zero;
  if (strncmp(text, "@long:", 6) == 0) {
    size_t wanted = (size_t)atol(text + 6);
    size_t used = (size_t)sprintf(at, "%s/", stage->folder);
    memset(at + used, 'x', wanted - used);
  } else if (strncmp(text, "@tmp", 4) == 0) {
    (void)sprintf(at, "%s%s", stage->folder, text + 4);
  } else {
    (void)sprintf(at, "%s", text);
  }
  *length = zero + strlen(at);
  return path;
}

const char *flags_text(const object_t *object) {
  troupe_socket_t socket = object->socket;
  return need_text(" [%s%s%s%s]", troupe_ready_state_name(troupe_socket_ready_state(socket)),
                   troupe_socket_connecting(socket) ? " connecting" : "",
                   troupe_socket_pending(socket) ? " pending" : "",
                   troupe_socket_destroyed(socket) ? " destroyed" : "");
}
