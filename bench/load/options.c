// The command line: see options.h.

#include "bench/load/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/process.h"

enum {
  EXIT_USAGE = 2,
  MOST_CONNECTIONS = 1000000,
  MOST_IN_FLIGHT = 65536,
  MOST_SECONDS = 86400,
  MOST_SOURCES = 250,
};

static const char *const mode_names[] = {
    [LOAD_MODE_CLOSED] = "closed",
    [LOAD_MODE_OPEN] = "open",
    [LOAD_MODE_CHURN] = "churn",
    [LOAD_MODE_IDLE] = "idle",
};

static const struct option long_options[] = {
    {"connections", required_argument, NULL, 'c'},
    {"size", required_argument, NULL, 's'},
    {"in-flight", required_argument, NULL, 'k'},
    {"rate", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 'd'},
    {"messages", required_argument, NULL, 'n'},
    {"warm-up", required_argument, NULL, 'w'},
    {"hold", required_argument, NULL, 'H'},
    {"server-pid", required_argument, NULL, 'p'},
    {"sources", required_argument, NULL, 'S'},
    {"stall", required_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: load [MODE] [OPTION...] HOST:PORT|PATH\n"
    "\n"
    "Loads an echo server, checks every byte that comes back, and prints one line of key=value.\n"
    "A PATH holds a slash and means a Unix socket. One thread.\n"
    "\n"
    "modes\n"
    "  closed   a connection sends its next message when an echo came back (the default)\n"
    "  open     messages leave at a constant rate; latency counts from the intended moment,\n"
    "           so waiting behind a slow server is measured and not omitted\n"
    "  churn    each connection echoes one message, half-closes, waits for the server's end,\n"
    "           closes, and a new one starts; a cycle counts as a message\n"
    "  idle     opens the connections, echoes one message on each, prints \"ready\" and holds\n"
    "           them until SIGTERM or --hold\n"
    "\n"
    "options\n"
    "  -c, --connections N   open at the same time (1)\n"
    "  -s, --size BYTES      of a message; 4K and 1M work too (64)\n"
    "  -k, --in-flight N     messages of a connection that are under way, closed mode (1)\n"
    "  -r, --rate N          messages per second over all connections, open mode\n"
    "  -d, --seconds S       measured time, after the warm-up (5)\n"
    "  -n, --messages N      measure so many messages instead, closed and churn mode\n"
    "  -w, --warm-up S       time before the measured time (0.5)\n"
    "      --hold S          idle mode: time to hold (until a signal)\n"
    "      --server-pid PID  also tell the processor time that the server used meanwhile\n"
    "      --sources N       leave from N addresses, 127.0.0.1 and up (churn 32, others 1)\n"
    "      --stall S         give up when nothing has come back for so long (10)\n"
    "      --help            this text\n"
    "\n"
    "result\n"
    "  rate is messages per second, *_us are latencies in microseconds, *_cpu_s is processor time\n"
    "  in the measured window. open mode: late_p99_us is how late the generator itself was, and\n"
    "  unanswered counts messages still without an echo --stall seconds after the last was due\n"
    "  (they enter the latencies with the time they have waited).\n"
    "  Status 0: measured; 1: the server or the system failed; 2: wrong use; 130: interrupted.\n";

static _Noreturn void misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
static load_mode_t read_mode(const char *text);
static uint64_t read_count(const char *name, const char *text, uint64_t least, uint64_t most);
static uint64_t read_size(const char *text);
static double read_number(const char *name, const char *text, double least, double most);
static uint64_t read_seconds(const char *name, const char *text);
static void read_option(load_options_t *options, int letter, const char *value);

const char *load_mode_name(load_mode_t mode) {
  return mode_names[mode];
}

void load_options_parse(load_options_t *options, int count, char **arguments) {
  *options = (load_options_t){
      .mode = LOAD_MODE_CLOSED,
      .connections = 1,
      .size_bytes = 64,
      .in_flight = 1,
      .warm_up_ns = LOAD_NS_PER_SECOND / 2,
      .duration_ns = (uint64_t)5 * LOAD_NS_PER_SECOND,
      .stall_ns = (uint64_t)10 * LOAD_NS_PER_SECOND,
  };
  int letter;
  while ((letter = getopt_long(count, arguments, "c:s:k:r:d:n:w:h", long_options, NULL)) != -1) {
    read_option(options, letter, optarg);
  }
  if (count - optind == 2) {
    options->mode = read_mode(arguments[optind]);
    optind++;
  }
  if (count - optind != 1) {
    misuse("one HOST:PORT or PATH is needed, after an optional mode");
  }
  options->target = arguments[optind];
  if (strpbrk(options->target, ":/") == NULL) {
    misuse("%s is neither HOST:PORT nor a path with a slash in it", options->target);
  }
  if (options->mode == LOAD_MODE_OPEN && options->rate <= 0) {
    misuse("open mode needs --rate");
  }
  if (options->mode == LOAD_MODE_OPEN && options->messages != 0) {
    misuse("--messages does not go with open mode; use --seconds");
  }
  if (options->sources == 0) {
    options->sources = options->mode == LOAD_MODE_CHURN ? 32 : 1;
  }
}

static void read_option(load_options_t *options, int letter, const char *value) {
  switch (letter) {
  case 'c':
    options->connections = read_count("--connections", value, 1, MOST_CONNECTIONS);
    break;
  case 's':
    options->size_bytes = read_size(value);
    break;
  case 'k':
    options->in_flight = read_count("--in-flight", value, 1, MOST_IN_FLIGHT);
    break;
  case 'r':
    options->rate = read_number("--rate", value, 1e-3, 1e9);
    break;
  case 'd':
    options->duration_ns = read_seconds("--seconds", value);
    break;
  case 'n':
    options->messages = read_count("--messages", value, 1, UINT64_MAX);
    break;
  case 'w':
    options->warm_up_ns = read_seconds("--warm-up", value);
    break;
  case 'H':
    options->hold_ns = read_seconds("--hold", value);
    break;
  case 'p':
    options->server = (pid_t)read_count("--server-pid", value, 1, INT32_MAX);
    break;
  case 'S':
    options->sources = (uint32_t)read_count("--sources", value, 1, MOST_SOURCES);
    break;
  case 't':
    options->stall_ns = read_seconds("--stall", value);
    break;
  case 'h':
    fputs(help, stdout);
    exit(EXIT_SUCCESS);
  default:
    fputs("load: try --help\n", stderr); // getopt has said what is wrong
    exit(EXIT_USAGE);
  }
}

static load_mode_t read_mode(const char *text) {
  for (size_t i = 0; i < sizeof mode_names / sizeof *mode_names; i++) {
    if (strcmp(text, mode_names[i]) == 0) {
      return (load_mode_t)i;
    }
  }
  misuse("%s is no mode: closed, open, churn or idle", text);
}

static uint64_t read_count(const char *name, const char *text, uint64_t least, uint64_t most) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < least || value > most) {
    misuse("%s %s: a whole number from %llu to %llu is needed", name, text,
           (unsigned long long)least, (unsigned long long)most);
  }
  return value;
}

static uint64_t read_size(const char *text) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  unsigned shift = 0;
  if (*end == 'k' || *end == 'K') {
    shift = 10;
  } else if (*end == 'm' || *end == 'M') {
    shift = 20;
  }
  if (errno != 0 || end == text || *text == '-' || end[shift != 0] != '\0' || value == 0 ||
      value > (uint64_t)1 << (30 - shift)) {
    misuse("--size %s: from 1 to 1024M is possible", text);
  }
  return (uint64_t)value << shift;
}

static double read_number(const char *name, const char *text, double least, double most) {
  char *end;
  errno = 0;
  double value = strtod(text, &end);
  if (errno != 0 || end == text || *end != '\0' || !(value >= least && value <= most)) {
    misuse("%s %s: a number from %g to %g is needed", name, text, least, most);
  }
  return value;
}

static uint64_t read_seconds(const char *name, const char *text) {
  return (uint64_t)(read_number(name, text, 0, MOST_SECONDS) * LOAD_NS_PER_SECOND + 0.5);
}

static _Noreturn void misuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputs("\nload: try --help\n", stderr);
  va_end(arguments);
  exit(EXIT_USAGE);
}
