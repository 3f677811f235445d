#include "tools/common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <troupe/error.h>

enum { CALLS_BETWEEN = 4096, TELL_MS = 200 };

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list arguments) {
  fflush(stdout);
  fputs("troupe: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

void complain(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
}

void usage_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
  fputs("`troupe --help` says how it is used.\n", stderr);
  exit(END_USAGE);
}

void wrong_option(int option, char **argv) {
  usage_error(option == ':' ? "%s needs a value" : "there is no option %s", argv[optind - 1]);
}

long long number_option(const char *option, const char *text, long long least, long long most) {
  char *end = NULL;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || number < least || number > most) {
    usage_error("%s needs a number from %lld to %lld, not '%s'", option, least, most, text);
  }
  return number;
}

double seconds_option(const char *option, const char *text) {
  char *end = NULL;
  double number = strtod(text, &end);
  if (end == text || *end != '\0' || !(number >= 0 && number <= 1e9)) {
    usage_error("%s needs a number of seconds, not '%s'", option, text);
  }
  return number;
}

int end_of_error(int error) {
  switch (error) {
  case 0:
    return END_FINE;
  case TROUPE_EDIFFERS:
    return END_DIFFERS;
  case TROUPE_EINCOMPLETE:
    return END_INCOMPLETE;
  case TROUPE_EBADTRACE:
  case TROUPE_ETRACEVERSION:
  case TROUPE_EOF:
  case TROUPE_ENOENT:
  case TROUPE_EACCES:
  case TROUPE_EISDIR:
  case TROUPE_ENOTDIR:
  case TROUPE_EIO:
  case TROUPE_ELOOP:
  case TROUPE_ENAMETOOLONG:
    return END_FILE;
  default:
    return END_FAILED;
  }
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(progress_t *progress, const char *what) {
  *progress = (progress_t){
      .what = what, .enabled = isatty(STDERR_FILENO) == 1, .told_ms = now_ms()};
}

void progress_tell(progress_t *progress, uint64_t done, uint64_t all) {
  if (!progress->enabled || ++progress->calls % CALLS_BETWEEN != 0) {
    return;
  }
  int64_t now = now_ms();
  if (now - progress->told_ms < TELL_MS) {
    return;
  }
  progress->told_ms = now;
  progress->shown = true;
  fprintf(stderr, "\r%s: %3.0f %% of %.1f MB ", progress->what,
          all == 0 ? 100.0 : 100.0 * (double)done / (double)all, (double)all / 1e6);
}

void progress_end(progress_t *progress) {
  if (progress->shown) {
    fputs("\r\033[K", stderr);
    progress->shown = false;
  }
}

int end_output(int code) {
  if (fflush(stdout) != 0 || ferror(stdout)) {
    if (errno == EPIPE) {
      return END_FAILED; /* who read it has had enough, as `head` has */
    }
    complain("the output cannot be written: %s", strerror(errno));
    return END_FAILED;
  }
  return code;
}
