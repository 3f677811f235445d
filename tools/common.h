/* What the parts of the command share: how it ends, how it complains, how it tells its progress. */
#ifndef TOOLS_COMMON_H_INCLUDED
#define TOOLS_COMMON_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Scripts rely on these; they are in the manual. */
enum {
  END_FINE = 0,
  END_DIFFERS = 1,    /* what was compared is not the same */
  END_USAGE = 2,      /* the command line is wrong */
  END_FILE = 3,       /* a file cannot be read, is no trace, or is damaged */
  END_INCOMPLETE = 4, /* a trace does not hold what is needed */
  END_FAILED = 5,     /* something else: a library, a server, the disk */
};

/* Print a line to stderr, behind "troupe: ". usage_error() ends the program with END_USAGE. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What getopt_long() returned is no option of ours, or lacks its value. */
_Noreturn void wrong_option(int option, char **argv);

/* A decimal number in a range, or seconds; else usage_error(). */
long long number_option(const char *option, const char *text, long long least, long long most);
double seconds_option(const char *option, const char *text);

/* The code with which a library's error ends the program. */
int end_of_error(int error);

/* How far a long work is, told to stderr when that is a terminal, some times a second. */
typedef struct {
  const char *what;
  bool shown, enabled;
  unsigned calls;
  int64_t told_ms;
} progress_t;

void progress_begin(progress_t *progress, const char *what);
void progress_tell(progress_t *progress, uint64_t done, uint64_t all);
void progress_end(progress_t *progress);

int64_t now_ms(void);

/* Output went to a full disk or a closed pipe: END_FAILED, else `code`. */
int end_output(int code);

#endif
