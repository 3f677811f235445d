/* troupe trace replay: runs an actor's main function on traces. The function comes from a shared
 * object; so does troupe_replay_with(), so that the two belong together however the object was linked. */
#include <dlfcn.h>
#include <string.h>

#include <troupe/trace.h>

#include "tools/trace/commands.h"
#include "tools/trace/source.h"

typedef int (*replay_fn)(troupe_main_fn main, void *argument, const char *path,
                         const troupe_replay_options_t *options, troupe_replay_report_t *report);

enum { IGNORED_MAX = 64 };

static void help(void) {
  puts("usage: troupe trace replay --library FILE --main NAME [OPTION]... FILE...\n"
       "Runs an actor's main function on traces, without sockets, and compares what it does with\n"
       "what it did.\n\n"
       "  --library FILE      a shared object with the function: cc -shared -fPIC ... -o FILE\n"
       "  --main NAME         the function, int NAME(void *argument)\n"
       "  --argument NAME     an object in it whose address is main's argument (default: what the\n"
       "                      trace has, when the actor was spawned with argument_size)\n"
       "  --stream            compare the bytes of each connection, whatever the pieces\n"
       "  --ignore FIELD      do not compare this field: through, payload, no_delay, ...\n"
       "  --accept            where something differs, what it does now becomes the trace\n"
       "  --twice             replay it twice more, and say so when it is not deterministic\n"
       "  --help              this text\n\n"
       "Ends with 0 when it does the same, 1 when it does not, 4 when a trace is not complete.");
}

/* dlsym() gives functions as pointers to objects. */
static bool find(void *library, const char *path, const char *name, void *to, size_t size) {
  void *found = dlsym(library, name);
  if (found == NULL) {
    complain("%s has no '%s'", path, name);
    return false;
  }
  memcpy(to, &found, size);
  return true;
}

typedef struct {
  replay_fn replay_one;
  troupe_main_fn main_function;
  void *argument;
  troupe_replay_options_t options;
  bool accept;
} how_t;

static int replay(void *context, const char *path) {
  static troupe_replay_report_t report;
  const how_t *how = context;
  troupe_replay_options_t its = how->options;
  its.accept = how->accept ? path : NULL;
  int result = how->replay_one(how->main_function, how->argument, path, &its, &report);
  if (result == 0) {
    printf("%s: %s, %llu events, %llu commands\n%s", path,
           report.accepted ? "accepted" : "the same", (unsigned long long)report.events,
           (unsigned long long)report.commands, report.text);
    return END_FINE;
  }
  if (result == TROUPE_EINVAL) {
    usage_error("--ignore needs a field as dumps and differences show it, such as through: %.*s",
                (int)strcspn(report.text, "\n"), report.text);
  }
  printf("%s: %s (%s)\n%s", path, troupe_error_message(result), troupe_error_name(result),
         report.text);
  return end_of_error(result);
}

int trace_replay(int argc, char **argv) {
  enum { LIBRARY = 1, MAIN, ARGUMENT, STREAM, IGNORE, ACCEPT, TWICE, HELP };
  static const struct option options[] = {{"library", required_argument, NULL, LIBRARY},
                                          {"main", required_argument, NULL, MAIN},
                                          {"argument", required_argument, NULL, ARGUMENT},
                                          {"stream", no_argument, NULL, STREAM},
                                          {"ignore", required_argument, NULL, IGNORE},
                                          {"accept", no_argument, NULL, ACCEPT},
                                          {"twice", no_argument, NULL, TWICE},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
  static const char *ignored[IGNORED_MAX + 1];
  how_t how = {0};
  int ignored_count = 0;
  const char *path = NULL;
  const char *name = NULL;
  const char *argument_name = NULL;
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (option) {
    case LIBRARY:
      path = optarg;
      break;
    case MAIN:
      name = optarg;
      break;
    case ARGUMENT:
      argument_name = optarg;
      break;
    case STREAM:
      how.options.verdict = TROUPE_VERDICT_STREAM;
      break;
    case IGNORE:
      if (ignored_count == IGNORED_MAX) {
        usage_error("more than %d times --ignore", IGNORED_MAX);
      }
      ignored[ignored_count++] = optarg;
      how.options.ignore = ignored;
      break;
    case ACCEPT:
      how.accept = true;
      break;
    case TWICE:
      how.options.twice = true;
      break;
    case HELP:
      help();
      return END_FINE;
    default:
      wrong_option(option, argv);
    }
  }
  if (path == NULL || name == NULL || optind == argc) {
    usage_error("replay needs --library, --main and a trace");
  }
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    complain("%s", dlerror());
    return END_FAILED;
  }
  if (!find(library, path, name, &how.main_function, sizeof how.main_function) ||
      (argument_name != NULL &&
       !find(library, path, argument_name, &how.argument, sizeof how.argument))) {
    return END_FAILED;
  }
  void *own = dlsym(library, "troupe_replay_with");
  if (own != NULL) {
    memcpy(&how.replay_one, &own, sizeof how.replay_one);
  } else {
    how.replay_one = troupe_replay_with;
  }
  int worst = each_path(argv + optind, argc - optind, true, replay, &how);
  // The object stays: its threads' and the process's destructors may be in it.
  return worst;
}
