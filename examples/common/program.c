#include "program.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
  LISTEN_MS = 10000,
  STUCK_MAX = 16,
  STOP_SLACK_MS = 2000,
  FILES_MAX = 65536,
  IO_THREADS_MAX = 63,
};

__attribute__((format(printf, 1, 0))) static void complain(const char *format, va_list arguments) {
  fprintf(stderr, "%s: ", program_invocation_short_name);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

void program_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  complain(format, arguments);
  va_end(arguments);
  exit(1);
}

void program_usage_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  complain(format, arguments);
  va_end(arguments);
  fprintf(stderr, "Try '%s --help'.\n", program_invocation_short_name);
  exit(2);
}

void program_wrong_option(int result, char **argv) {
  if (result == ':') {
    program_usage_error("%s wants a value", argv[optind - 1]);
  }
  if (optopt > ' ' && optopt < 0x7f) {
    program_usage_error("unknown option '-%c'", optopt);
  }
  program_usage_error("unknown option '%s'", argv[optind - 1]);
}

void program_no_arguments(int argc, char **argv) {
  if (optind < argc) {
    program_usage_error("unexpected '%s'", argv[optind]);
  }
}

long program_number(const char *option, const char *text, long low, long high) {
  char *end = NULL;
  errno = 0;
  long number = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || number < low || number > high) {
    program_usage_error("%s wants a whole number from %ld to %ld, not '%s'", option, low, high,
                        text);
  }
  return number;
}

void program_target(program_target_t *target, const char *text) {
  memset(target, 0, sizeof *target);
  target->port = -1;
  if (text[0] == '@' || strchr(text, '/') != NULL) {
    if (strlen(text) >= sizeof target->path || text[1] == '\0') {
      program_usage_error("a socket's path has 1 to %d bytes, not '%s'", TROUPE_PATH_MAX, text);
    }
    memcpy(target->path, text, strlen(text) + 1);
    return;
  }
  const char *colon = strrchr(text, ':');
  if (colon == NULL) {
    program_usage_error("'%s' is neither HOST:PORT nor a path (which has a '/')", text);
  }
  target->port = (int)program_number("the port", colon + 1, 0, 65535);
  const char *host = text;
  size_t length = (size_t)(colon - text);
  if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
    host++;
    length -= 2;
  }
  if (length >= sizeof target->host) {
    program_usage_error("the host's name is too long");
  }
  memcpy(target->host, host, length);
}

static void read_host(program_target_t *target, const char *text) {
  if (strlen(text) >= sizeof target->host) {
    program_usage_error("--host is too long");
  }
  memcpy(target->host, text, strlen(text) + 1);
}

static void read_path(program_target_t *target, const char *text) {
  if (strlen(text) >= sizeof target->path || text[0] == '\0' || strcmp(text, "@") == 0) {
    program_usage_error("--path wants 1 to %d bytes", TROUPE_PATH_MAX);
  }
  memcpy(target->path, text, strlen(text) + 1);
}

void program_option(int option, char **argv, program_target_t *target, program_system_t *system,
                    void (*help)(void)) {
  switch (option) {
  case PROGRAM_HOST:
    read_host(target, optarg);
    break;
  case PROGRAM_PORT:
    target->port = (int)program_number("--port", optarg, 0, 65535);
    break;
  case PROGRAM_PATH:
    read_path(target, optarg);
    break;
  case PROGRAM_IO_THREADS:
    system->io_threads = (unsigned)program_number("--io-threads", optarg, 1, IO_THREADS_MAX);
    break;
  case PROGRAM_RECORD:
    system->record = optarg;
    break;
  case PROGRAM_FLIGHT:
    system->flight = optarg;
    break;
  case PROGRAM_HELP:
    help();
    exit(0);
  default:
    program_wrong_option(option, argv);
  }
}

/* An abstract name starts with a NUL for the system, and with '@' for people. */
static const char *system_path(const program_target_t *target, size_t *length) {
  static _Thread_local char path[PROGRAM_PATH_SIZE];
  *length = strlen(target->path);
  memcpy(path, target->path, *length + 1);
  if (path[0] == '@') {
    path[0] = '\0';
  }
  return path;
}

void program_systemd_option(program_target_t *target, const char *name) {
  troupe_activated_t found, other;
  const char *called = name == NULL ? "" : name;
  int error = troupe_activated_find(name, 0, &found);
  if (error == TROUPE_ENOENT) {
    program_fail("no socket%s%s was passed to this process (LISTEN_PID, LISTEN_FDS)",
                 name == NULL ? " that listens" : " called ", called);
  } else if (error == TROUPE_ERR_INVALID_FD_TYPE) {
    program_fail("the descriptor called %s is no stream socket that listens", called);
  } else if (error < 0) {
    program_fail("cannot take the sockets that were passed: %s", troupe_error_message(error));
  }
  if (troupe_activated_find(name, 1, &other) == 0) {
    program_fail("more than one socket%s%s was passed, and one is served",
                 name == NULL ? "" : " called ", called);
  }
  target->activated = true;
  target->fd = found.fd;
  target->address = found.address;
}

void program_listen_options(const program_target_t *target, troupe_listen_options_t *options) {
  if (target->activated) {
    options->use_fd = true;
    options->fd = target->fd;
    return;
  }
  if (target->path[0] != '\0') {
    options->path = system_path(target, &options->path_length);
    return;
  }
  options->host = target->host[0] == '\0' ? NULL : target->host;
  options->port = target->port;
  options->reuse_port = target->reuse_port;
}

void program_connect_options(const program_target_t *target, troupe_connect_options_t *options) {
  if (target->path[0] != '\0') {
    options->path = system_path(target, &options->path_length);
    return;
  }
  options->host = target->host[0] == '\0' ? NULL : target->host;
  options->port = target->port;
}

bool program_replays;

static void on_recording_stopped(int error, void *context) {
  (void)context;
  fprintf(stderr, "%s: actor %s %u is not recorded any more: %s\n", program_invocation_short_name,
          troupe_actor_name(), troupe_actor_index(), troupe_error_message(error));
}

void program_tell_recording(void) {
  troupe_actor_on_recording_stopped(on_recording_stopped, NULL);
}

int program_listen(troupe_server_t server, const program_target_t *target, unsigned copies) {
  troupe_listen_options_t options = {0};
  program_tell_recording();
  program_listen_options(target, &options);
  int error = troupe_server_listen(server, &options);
  if (error == 0) {
    error = troupe_server_listen_wait(server, LISTEN_MS);
  }
  if (error < 0 || program_replays || troupe_actor_index() + 1 < copies) {
    return error;
  }
  troupe_address_t address;
  char text[TROUPE_ADDRESS_TEXT_SIZE + 16];
  error = troupe_server_address(server, &address);
  if (error == TROUPE_ENOTCONN && target->activated) {
    address = target
                  ->address; /* of a Unix socket that was passed troupe does not tell it, as Node */
    error = 0;
  }
  if (error == 0) {
    program_address_text(&address, text, sizeof text);
    printf("listening %s\n", text);
    fflush(stdout);
  }
  return error;
}

static void stop_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
}

static void block_signals(void) {
  sigset_t set;
  stop_signals(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_MAX) {
    return;
  }
  limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
  setrlimit(RLIMIT_NOFILE, &limit); /* if it cannot be raised, fewer connections are served */
}

troupe_system_t *program_system_new(const program_system_t *options) {
  block_signals();
  raise_file_limit();
  troupe_system_t *system = NULL;
  int error = troupe_system_new(
      &(troupe_system_options_t){.io_threads = options->io_threads, .spin_us = options->spin_us},
      &system);
  if (error < 0) {
    program_fail("cannot start: %s", troupe_error_message(error));
  }
  if (options->record != NULL) {
    error = troupe_record_start(system, &(troupe_record_options_t){.directory = options->record});
    if (error < 0) {
      program_stop(system, 0);
      program_fail("cannot record into %s: %s", options->record, troupe_error_message(error));
    }
  }
  if (options->flight != NULL) {
    error = troupe_flight_start(system, &(troupe_flight_options_t){.path = options->flight});
    if (error < 0) {
      program_stop(system, 0);
      program_fail("cannot make %s: %s", options->flight, troupe_error_message(error));
    }
  }
  return system;
}

void program_give_up(troupe_system_t *system, const char *what, int error) {
  program_stop(system, 0);
  program_fail("cannot %s: %s (%s)", what, troupe_error_message(error), troupe_error_name(error));
}

void program_cannot_listen(troupe_system_t *system, const program_target_t *target, int error) {
  char what[PROGRAM_TARGET_TEXT_SIZE + 16] = "listen on ";
  size_t length = strlen(what);
  program_target_text(target, what + length, sizeof what - length);
  program_give_up(system, what, error);
}

int program_serve(const program_system_t *options, const program_target_t *target, const char *name,
                  troupe_main_fn main, void *argument, size_t argument_size, unsigned copies,
                  unsigned grace_ms) {
  troupe_system_t *system = program_system_new(options);
  troupe_spawn_options_t spawn = {
      .name = name,
      .main = main,
      .argument = argument,
      .argument_size = argument_size,
      .copies = copies,
  };
  int error = troupe_spawn(system, &spawn, NULL);
  if (error < 0) {
    program_cannot_listen(system, target, error);
  }
  return program_run(system, grace_ms);
}

/* When the actors end by themselves, the thread that waits for a signal gets one. */
typedef struct {
  troupe_system_t *system;
  pthread_t main;
} watch_t;

static void *watch_actors(void *context) {
  watch_t *watch = context;
  pthread_setname_np(pthread_self(), "main-watch");
  if (troupe_system_wait(watch->system, -1, NULL, 0, NULL) == 0) {
    pthread_kill(watch->main, SIGTERM);
  }
  return NULL;
}

/* Stops the system, and says which actors did not stop. */
static int stop(troupe_system_t *system, unsigned grace_ms) {
  troupe_system_stop(system, grace_ms);
  troupe_stuck_t stuck[STUCK_MAX];
  size_t count = 0;
  if (troupe_system_wait(system, (int)grace_ms + STOP_SLACK_MS, stuck, STUCK_MAX, &count) == 0) {
    return 0;
  }
  for (size_t i = 0; i < count && i < STUCK_MAX; i++) {
    fprintf(stderr, "%s: actor %s %u, made at %s, did not stop\n", program_invocation_short_name,
            stuck[i].name, stuck[i].index, stuck[i].made_at);
  }
  return 1;
}

int program_run(troupe_system_t *system, unsigned grace_ms) {
  return program_run_reloading(system, grace_ms, NULL, NULL);
}

int program_run_reloading(troupe_system_t *system, unsigned grace_ms,
                          void (*reload)(troupe_system_t *system, void *context), void *context) {
  watch_t watch = {.system = system, .main = pthread_self()};
  pthread_t thread;
  if (pthread_create(&thread, NULL, watch_actors, &watch) != 0) {
    program_stop(system, 0);
    program_fail("cannot start a thread");
  }
  sigset_t set;
  stop_signals(&set);
  if (reload != NULL) {
    sigaddset(&set, SIGHUP);
  }
  int number = 0;
  while (sigwait(&set, &number) != 0 || number == SIGHUP) {
    if (number == SIGHUP && reload != NULL) {
      reload(system, context);
    }
    number = 0;
  }
  bool ended = troupe_system_wait(system, 0, NULL, 0, NULL) == 0;
  if (stop(system, grace_ms) != 0) {
    return 1; /* the watching thread still waits, and the system cannot be freed */
  }
  pthread_join(thread, NULL);
  int status = program_stop(system, 0);
  return ended ? 1 : status;
}

int program_stop(troupe_system_t *system, unsigned grace_ms) {
  if (stop(system, grace_ms) != 0) {
    return 1;
  }
  troupe_record_report_t recorded = {0};
  if (troupe_record_stop(system, &recorded) == 0 && recorded.error < 0) {
    fprintf(stderr, "%s: not all was recorded: %s\n", program_invocation_short_name,
            troupe_error_message(recorded.error));
  }
  int error = troupe_system_free(&system);
  if (error < 0) {
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, troupe_error_message(error));
    return 1;
  }
  return 0;
}

void program_target_text(const program_target_t *target, char *text, size_t size) {
  if (target->activated) {
    program_address_text(&target->address, text, size);
  } else if (target->path[0] != '\0') {
    snprintf(text, size, "%s", target->path);
  } else {
    bool in_brackets = strchr(target->host, ':') != NULL;
    snprintf(text, size, "%s%s%s:%d", in_brackets ? "[" : "", target->host, in_brackets ? "]" : "",
             target->port);
  }
}

void program_address_text(const troupe_address_t *address, char *text, size_t size) {
  char host[TROUPE_ADDRESS_TEXT_SIZE];
  troupe_address_text(address, host, sizeof host);
  switch (address->family) {
  case TROUPE_FAMILY_IPV6:
    snprintf(text, size, "[%s]:%u", host, address->port);
    break;
  case TROUPE_FAMILY_IPV4:
    snprintf(text, size, "%s:%u", host, address->port);
    break;
  default:
    snprintf(text, size, "%s", host[0] == '\0' ? "(no name)" : host);
  }
}
