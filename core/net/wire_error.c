/// Builds the errors of events. The texts are Node's: programs and people know them.
#include "core/net/wire_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Values from here up are the operating system's and the look-up's; below are those that bring
/// their own sentence.
enum { LAST_SYSTEM_ERROR = -4095 };

/// Where texts are put: with `at` NULL it only counts.
typedef struct {
  char *at;
  size_t used, size;
} texts_t;

static void fill(troupe_error_t *error, const Troupe__Wire__Error *wire, const char *message,
                 troupe_error_t **parts, texts_t *texts);
static const char *put_message(texts_t *texts, const Troupe__Wire__Error *wire);
static const char *put(texts_t *texts, const char *format, ...) TROUPE_PRINTF(2, 3);
static troupe_error_t *build(const Troupe__Wire__Error *wire, const char *message);

troupe_error_t *trp_error_from_wire(const Troupe__Wire__Error *wire) {
  return wire == NULL ? NULL : build(wire, NULL);
}

troupe_error_t *trp_error_make(int code, const char *syscall, const char *address, int port,
                               const char *message) {
  Troupe__Wire__Error wire = TROUPE__WIRE__ERROR__INIT;
  wire.code = code;
  wire.port = port;
  // protobuf-c does not know const; nothing writes to these.
  if (syscall != NULL) {
    wire.syscall = (char *)syscall;
  }
  if (address != NULL) {
    wire.address = (char *)address;
  }
  return build(&wire, message);
}

void trp_error_free(troupe_error_t *error) {
  free(error);
}

const troupe_error_t *trp_error_or(const troupe_error_t *error, troupe_error_t *spare, int code) {
  if (error != NULL) {
    return error;
  }
  trp_error_plain(spare, code);
  return spare;
}

void trp_error_plain(troupe_error_t *error, int code) {
  *error = (troupe_error_t){
      .code = code, .name = troupe_error_name(code), .message = troupe_error_message(code)};
}

static troupe_error_t *build(const Troupe__Wire__Error *wire, const char *message) {
  // Twice the same walk: first to know the size, then to fill the block.
  texts_t texts = {0};
  troupe_error_t dry;
  troupe_error_t *parts = NULL;
  fill(&dry, wire, message, &parts, &texts);
  size_t structs = (wire->n_errors + 1) * sizeof(troupe_error_t);
  troupe_error_t *error = malloc(structs + texts.used);
  if (error == NULL) {
    return NULL;
  }
  texts = (texts_t){.at = (char *)error + structs, .size = texts.used};
  parts = error + 1;
  fill(error, wire, message, &parts, &texts);
  return error;
}

/// Parts of parts are made by nobody, and not looked at.
static void fill(troupe_error_t *error, const Troupe__Wire__Error *wire, const char *message,
                 troupe_error_t **parts, texts_t *texts) {
  *error = (troupe_error_t){
      .code = wire->code,
      .name = troupe_error_name(wire->code),
      .port = wire->port,
      .local_port = wire->has_local ? wire->local_port : 0,
  };
  error->syscall = wire->syscall[0] == '\0' ? NULL : put(texts, "%s", wire->syscall);
  error->address = wire->address[0] == '\0' ? NULL : put(texts, "%s", wire->address);
  error->local_address = !wire->has_local || wire->local_address[0] == '\0'
                             ? NULL
                             : put(texts, "%s", wire->local_address);
  error->message = message != NULL ? put(texts, "%s", message) : put_message(texts, wire);
  if (parts == NULL || wire->n_errors == 0) {
    return;
  }
  troupe_error_t *list = *parts;
  for (size_t i = 0; i < wire->n_errors; i++) {
    troupe_error_t dry;
    fill(list == NULL ? &dry : &list[i], wire->errors[i], NULL, NULL, texts);
  }
  error->errors = list;
  error->error_count = wire->n_errors;
}

static const char *put_message(texts_t *texts, const Troupe__Wire__Error *wire) {
  const char *name = troupe_error_name(wire->code);
  const char *words = troupe_error_message(wire->code);
  if (wire->n_errors > 0) {
    return put(texts, "%s", "");
  }
  if (wire->code < LAST_SYSTEM_ERROR) {
    return wire->address[0] == '\0' ? put(texts, "%s", words)
                                    : put(texts, "%s: %s", words, wire->address);
  }
  if (wire->syscall[0] == '\0') {
    return put(texts, "%s",
               wire->code == TROUPE_EPIPE ? "This socket has been ended by the other party"
                                          : words);
  }
  char port[16] = "";
  if (wire->port > 0 && wire->address[0] != '\0') {
    snprintf(port, sizeof port, ":%d", (int)wire->port);
  }
  // Errors of listen say it in words, too.
  bool listening = strcmp(wire->syscall, "listen") == 0;
  char local_port[16];
  snprintf(local_port, sizeof local_port, "%d", (int)wire->local_port);
  bool unbound = wire->local_address[0] == '\0';
  return put(texts, "%s %s%s%s%s%s%s%s%s%s%s%s", wire->syscall, name, listening ? ": " : "",
             listening ? words : "", wire->address[0] == '\0' ? "" : " ", wire->address, port,
             wire->has_local ? " - Local (" : "",
             !wire->has_local ? "" : (unbound ? "undefined" : wire->local_address),
             wire->has_local ? ":" : "",
             !wire->has_local ? "" : (unbound ? "undefined" : local_port),
             wire->has_local ? ")" : "");
}

static const char *put(texts_t *texts, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *start = texts->at == NULL ? NULL : texts->at + texts->used;
  int length = vsnprintf(start, start == NULL ? 0 : texts->size - texts->used, format, arguments);
  va_end(arguments);
  texts->used += length < 0 ? 1 : (size_t)length + 1;
  return start;
}
