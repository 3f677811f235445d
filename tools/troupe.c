/* troupe: the command. */
#include <signal.h>
#include <string.h>

#include <troupe/troupe.h>

#include "tools/common.h"
#include "tools/trace/commands.h"

typedef struct {
  const char *name, *what;
  int (*run)(int argc, char **argv);
} command_t;

static const command_t commands[] = {
    {"dump", "print traces, readable", trace_dump},
    {"stat", "what is in a trace: counts, bytes, times, connections", trace_stat},
    {"diff", "the first difference between two traces", trace_diff},
    {"json", "print traces as lines of JSON", trace_json},
    {"replay", "run a handler on traces and compare what it does", trace_replay},
    {"client", "play the clients of a trace against a running server", trace_client},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void help(void) {
  puts("usage: troupe trace COMMAND [OPTION]... FILE...\n"
       "       troupe --version\n");
  for (int i = 0; i < COMMANDS; i++) {
    printf("  troupe trace %-7s %s\n", commands[i].name, commands[i].what);
  }
  puts(
      "\n`troupe trace COMMAND --help` tells the options of a command; `man troupe` has all of it.\n"
      "A FILE is a trace, a flight recorder's file, or a folder with *.trace in it.\n\n"
      "Ends with 0 when all is well, 1 when something differs, 2 when the command line is wrong,\n"
      "3 when a file cannot be read or is damaged, 4 when a trace does not hold what is needed,\n"
      "5 when something else fails.");
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of writing
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    puts("troupe " TROUPE_VERSION);
    return end_output(END_FINE);
  }
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
    help();
    return end_output(END_FINE);
  }
  if (argc < 2) {
    usage_error("what shall be done?");
  }
  if (strcmp(argv[1], "trace") != 0) {
    usage_error("there is no command '%s'", argv[1]);
  }
  if (argc == 3 && strcmp(argv[2], "--help") == 0) {
    help();
    return end_output(END_FINE);
  }
  for (int i = 0; argc > 2 && i < COMMANDS; i++) {
    if (strcmp(argv[2], commands[i].name) == 0) {
      return end_output(commands[i].run(argc - 2, argv + 2));
    }
  }
  if (argc > 2) {
    usage_error("there is no command 'trace %s'", argv[2]);
  }
  usage_error("trace needs a command");
}
