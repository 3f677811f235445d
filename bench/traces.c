// Measures what is done with traces: reading one, and replaying it.
//
// Makes the trace first: an actor that echoes is recorded while another one talks to it over 64
// connections. Then the trace is read message by message, and replayed, in turns; a figure is the
// median of the rounds with their range beside it, by the clock on the wall and in processor time
// of this thread. The largest memory that the process has needed for each is told, too.

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <troupe/troupe.h>
#include <unistd.h>

enum { ROUNDS_MAX = 99, CONNECTIONS = 64 };

static struct {
  unsigned long messages; // in all
  size_t size;
  int rounds;
  const char *keep; // the folder that the trace stays in
  const char *file; // an own trace instead
} config = {.messages = 300000, .size = 64, .rounds = 5};

static void fail(const char *what, int error) {
  fprintf(stderr, "traces: %s: %s\n", what, troupe_error_message(error));
  exit(1);
}

// ---- Who is recorded, and who talks to it

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  if (troupe_socket_write_chunk(socket, chunk, NULL, NULL) == 0) {
    troupe_socket_pause(socket);
  }
}

static void on_drain(troupe_socket_t socket, void *context) {
  (void)context;
  troupe_socket_resume(socket);
}

static int echo(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_drain = on_drain};
  static const troupe_server_options_t options = {.socket_handlers = &handlers,
                                                  .high_water_mark = 256 * 1024};
  const char *path = argument;
  troupe_server_t server;
  int error = troupe_server_new(&options, NULL, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_path(server, path, 0);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(server, 10000);
  }
  return error < 0 ? error : troupe_actor_run();
}

static const uint8_t *bytes; // what is said; before anybody talks
static unsigned long left;   // messages; the talker's alone

typedef struct {
  size_t echoed; // of the message that is under way
} talk_t;

static void say(troupe_socket_t socket) {
  if (left == 0) {
    troupe_socket_end(socket, NULL, NULL);
    return;
  }
  left--;
  troupe_socket_write(socket, bytes, config.size, NULL, NULL);
}

static void on_connect(troupe_socket_t socket, void *context) {
  (void)context;
  say(socket);
}

static void on_echo(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  talk_t *talk = context;
  talk->echoed += troupe_chunk_length(chunk);
  if (talk->echoed == config.size) {
    talk->echoed = 0;
    say(socket);
  }
}

static int talk(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_connect = on_connect, .on_data = on_echo};
  static talk_t talks[CONNECTIONS];
  int error = 0;
  left = config.messages;
  for (int i = 0; i < CONNECTIONS && error >= 0; i++) {
    error = troupe_connect_path(argument, &handlers, &talks[i], NULL);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void make_trace(const char *folder) {
  char path[PATH_MAX];
  troupe_system_t *system = NULL;
  troupe_actor_t talker;
  troupe_record_report_t report;
  static const char *const names[] = {"echo", NULL};
  snprintf(path, sizeof path, "%s/socket", folder);
  uint8_t *said = malloc(config.size);
  if (said == NULL) {
    fail("cannot begin", TROUPE_ENOMEM);
  }
  for (size_t i = 0; i < config.size; i++) {
    said[i] = (uint8_t)(i * 7);
  }
  bytes = said;
  // Nothing may be missing, however slow the disk is.
  const troupe_record_options_t record = {
      .directory = folder, .names = names, .backlog_bytes = (size_t)4 << 30};
  const troupe_spawn_options_t server = {
      .name = "echo", .main = echo, .argument = path, .argument_size = strlen(path) + 1};
  const troupe_spawn_options_t client = {
      .name = "talk", .main = talk, .argument = path, .argument_size = strlen(path) + 1};
  int error = troupe_system_new(NULL, &system);
  if (error == 0) {
    error = troupe_record_start(system, &record);
  }
  if (error == 0) {
    error = troupe_spawn(system, &server, NULL);
  }
  if (error == 0) {
    error = troupe_spawn(system, &client, &talker);
  }
  int status = 0;
  if (error == 0) {
    error = troupe_actor_join(system, talker, -1, &status);
  }
  if (error == 0) {
    error = status;
  }
  if (error == 0) {
    error = troupe_system_stop(system, 1000);
  }
  if (error == 0) {
    error = troupe_system_wait(system, 10000, NULL, 0, NULL);
  }
  if (error == 0) {
    error = troupe_record_stop(system, &report);
  }
  if (error == 0) {
    error = report.error != 0 ? report.error : report.gaps > 0 ? TROUPE_EINCOMPLETE : 0;
  }
  if (error == 0) {
    error = troupe_system_free(&system);
  }
  if (error != 0) {
    fail("cannot make a trace", error);
  }
  unlink(path);
  free(said);
}

// ---- What is measured

static unsigned long long read_trace(const char *path) {
  troupe_trace_t *trace = NULL;
  troupe_trace_entry_t entry;
  unsigned long long count = 0;
  int error = troupe_trace_open(path, &trace);
  int result = error;
  while (error == 0 && (result = troupe_trace_next(trace, &entry)) == 1) {
    count++;
  }
  troupe_trace_free(&trace);
  if (result != 0) {
    fail(path, result);
  }
  return count;
}

static unsigned long long replay_trace(const char *path) {
  troupe_replay_report_t report;
  int result = troupe_replay(echo, NULL, path, &report);
  if (result != 0) {
    fprintf(stderr, "%s", report.text);
    fail(path, result);
  }
  return report.events;
}

typedef struct {
  const char *name;
  unsigned long long (*run)(const char *path);
  double wanted; // per second
} task_t;

typedef struct {
  unsigned long long count;
  double wall, cpu; // seconds
  long peak_kib;
} outcome_t;

static double seconds_of(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// In a process of its own, whose peak is nobody else's.
static outcome_t run_once(const task_t *task, const char *path) {
  outcome_t outcome = {0};
  int ends[2];
  if (pipe(ends) != 0) {
    fail("cannot begin", TROUPE_EMFILE);
  }
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    struct rusage usage;
    double wall = seconds_of(CLOCK_MONOTONIC);
    double cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    outcome.count = task->run(path);
    outcome.wall = seconds_of(CLOCK_MONOTONIC) - wall;
    outcome.cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
    getrusage(RUSAGE_SELF, &usage);
    outcome.peak_kib = usage.ru_maxrss;
    _exit(write(ends[1], &outcome, sizeof outcome) == (ssize_t)sizeof outcome ? 0 : 1);
  }
  close(ends[1]);
  ssize_t got = read(ends[0], &outcome, sizeof outcome);
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0 ||
      got != (ssize_t)sizeof outcome) {
    exit(1);
  }
  return outcome;
}

static int by_value(const void *a, const void *b) {
  double left_one = *(const double *)a;
  double right_one = *(const double *)b;
  return left_one < right_one ? -1 : left_one > right_one;
}

static void measure(const char *path) {
  static const task_t tasks[] = {{"read", read_trace, 1000000}, {"replayed", replay_trace, 500000}};
  enum { TASKS = sizeof tasks / sizeof tasks[0] };
  static double wall[TASKS][ROUNDS_MAX];
  static double cpu[TASKS][ROUNDS_MAX];
  outcome_t last[TASKS];
  struct stat status;
  if (stat(path, &status) != 0) {
    fail(path, TROUPE_ENOENT);
  }
  for (int round = 0; round < config.rounds; round++) {
    for (int i = 0; i < TASKS; i++) {
      last[i] = run_once(&tasks[i], path);
      wall[i][round] = (double)last[i].count / last[i].wall;
      cpu[i][round] = (double)last[i].count / last[i].cpu;
    }
  }
  printf("%s, %.1f MB\n\n", path, (double)status.st_size / 1e6);
  puts(
      "| what     |   events | per second | min - max           | per CPU second | peak memory | goal    |");
  puts(
      "| -------- | -------: | ---------: | ------------------: | -------------: | ----------: | ------: |");
  for (int i = 0; i < TASKS; i++) {
    size_t rounds = (size_t)config.rounds;
    qsort(wall[i], rounds, sizeof(double), by_value);
    qsort(cpu[i], rounds, sizeof(double), by_value);
    printf("| %-8s | %8llu | %10.0f | %8.0f - %8.0f | %14.0f | %7.1f MiB | %7.0f |\n",
           tasks[i].name, last[i].count, wall[i][rounds / 2], wall[i][0], wall[i][rounds - 1],
           cpu[i][rounds / 2], (double)last[i].peak_kib / 1024, tasks[i].wanted);
  }
}

static void help(void) {
  puts("usage: traces [OPTION]... [FILE]\n"
       "Measures how fast a trace is read, and replayed; of FILE, which an echo server must have\n"
       "recorded, or of one that it makes.\n\n"
       "  --messages N   that are echoed for it (300000), over 64 connections\n"
       "  --size S       bytes of each (64)\n"
       "  --rounds N     (5)\n"
       "  --keep DIR     put the trace there, and leave it\n"
       "  --help         this text");
}

static unsigned long number(const char *text, unsigned long least, unsigned long most) {
  char *end = NULL;
  unsigned long value = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < least || value > most) {
    fprintf(stderr, "traces: '%s' is no number from %lu to %lu\n", text, least, most);
    exit(2);
  }
  return value;
}

static void read_options(int argc, char **argv) {
  enum { MESSAGES = 1, SIZE, ROUNDS, KEEP, HELP };
  static const struct option options[] = {{"messages", required_argument, NULL, MESSAGES},
                                          {"size", required_argument, NULL, SIZE},
                                          {"rounds", required_argument, NULL, ROUNDS},
                                          {"keep", required_argument, NULL, KEEP},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (option) {
    case MESSAGES:
      config.messages = number(optarg, 1, 1000000000);
      break;
    case SIZE:
      config.size = number(optarg, 1, 1 << 30);
      break;
    case ROUNDS:
      config.rounds = (int)number(optarg, 1, ROUNDS_MAX);
      break;
    case KEEP:
      config.keep = optarg;
      break;
    case HELP:
      help();
      exit(0);
    default:
      exit(2);
    }
  }
  config.file = argv[optind];
}

int main(int argc, char **argv) {
  char folder[] = "/tmp/troupe-traces.XXXXXX";
  char path[PATH_MAX];
  read_options(argc, argv);
  if (config.file != NULL) {
    measure(config.file);
    return 0;
  }
  const char *where = config.keep != NULL ? config.keep : mkdtemp(folder);
  if (where == NULL) {
    fail("cannot make a folder", TROUPE_EACCES);
  }
  snprintf(path, sizeof path, "%s/echo-0.trace", where);
  make_trace(where);
  measure(path);
  if (config.keep == NULL) {
    unlink(path);
    rmdir(where);
  }
  return 0;
}
