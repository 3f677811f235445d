/// Replays from their beginning to their end: one, or as many as the options need.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/actor/execute.h"
#include "core/message/frame_zmq.h"
#include "core/trace/replay_state.h"

/// What all the replays of one call have in common.
typedef struct {
  troupe_main_fn main;
  void *argument;
  const char *path;
  const char *name; // of the file, for people
} subject_t;

static int run(const subject_t *subject, const troupe_replay_options_t *options,
               trp_accept_t *accept, troupe_replay_report_t *report);
static int accept_now(const subject_t *subject, const char *path, troupe_replay_report_t *report);
static int look_twice(const subject_t *subject, troupe_replay_report_t *report);

int troupe_replay(troupe_main_fn main, void *argument, const char *path,
                  troupe_replay_report_t *report) {
  return troupe_replay_with(main, argument, path, NULL, report);
}

int troupe_replay_with(troupe_main_fn main, void *argument, const char *path,
                       const troupe_replay_options_t *options, troupe_replay_report_t *report) {
  static const troupe_replay_options_t defaults;
  troupe_replay_report_t unseen;
  const subject_t subject = {.main = main, .argument = argument, .path = path, .name = path};
  options = options == NULL ? &defaults : options;
  report = report == NULL ? &unseen : report;
  *report = (troupe_replay_report_t){0};
  if (main == NULL || path == NULL || (unsigned)options->verdict > TROUPE_VERDICT_STREAM) {
    return TROUPE_EINVAL;
  }
  for (const char *const *name = options->ignore; name != NULL && *name != NULL; name++) {
    if (!trp_compare_knows(*name)) {
      snprintf(report->text, sizeof report->text, "There is no field \"%s\" to be ignored.\n",
               *name);
      return TROUPE_EINVAL;
    }
  }
  if (troupe_actor_self().id != 0) {
    return TROUPE_EWRONGTHREAD;
  }
  int result = run(&subject, options, NULL, report);
  if (options->twice && (result == 0 || result == TROUPE_EDIFFERS) && report->connections == 0) {
    int error = look_twice(&subject, report);
    result = error != 0 ? error : result;
  }
  if (options->accept != NULL && result == TROUPE_EDIFFERS && !report->not_deterministic) {
    result = accept_now(&subject, options->accept, report);
  } else if (options->accept != NULL && result == 0 && report->connections > 0) {
    result = TROUPE_EINCOMPLETE;
  }
  return result;
}

static int run(const subject_t *subject, const troupe_replay_options_t *options,
               trp_accept_t *accept, troupe_replay_report_t *report) {
  trp_replay_t *replay = NULL;
  int error = trp_replay_open(subject->path, subject->name, options, accept, report, &replay);
  if (error != 0) {
    return error;
  }
  void *argument = subject->argument;
  if (argument == NULL) {
    argument = replay->argument; // NOLINT(clang-analyzer-core.NullDereference): 0 made one
  }
  const trp_execution_t execution = {.start = trp_replay_start(replay),
                                     .inbox = trp_replay_inbox(replay),
                                     .main = subject->main,
                                     .argument = argument};
  bool ran = false;
  int status = trp_actor_execute(&execution, &ran);
  if (!ran) {
    trp_replay_stop(replay, status);
  }
  int verdict = trp_replay_close(&replay, status);
  trp_frame_thread_end();
  return verdict;
}

/// The text goes on saying what differed.
static int accept_now(const subject_t *subject, const char *path, troupe_replay_report_t *report) {
  static const troupe_replay_options_t defaults;
  trp_accept_t accept;
  troupe_replay_report_t again = {0};
  int error = trp_accept_open(&accept, path, -1);
  int result = error != 0 ? error : run(subject, &defaults, &accept, &again);
  error = trp_accept_close(&accept, result == 0);
  result = result != 0 ? result : error;
  if (result != 0) {
    *report = again;
    if (report->text[0] == '\0') {
      snprintf(report->text, sizeof report->text, "%s cannot be written: %s.\n", path,
               troupe_error_message(result));
    }
    return result;
  }
  report->accepted = true;
  return 0;
}

/// A file without a name, large enough for any trace; in memory where there is no folder for it.
static int open_unnamed(void) {
  int fd = open(P_tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return fd >= 0 ? fd : memfd_create("troupe-replay", MFD_CLOEXEC);
}

/// Writes down what the actor does, and compares that with what it does once more.
static int look_twice(const subject_t *subject, troupe_replay_report_t *report) {
  static const troupe_replay_options_t defaults;
  troupe_replay_report_t again = {0};
  trp_accept_t accept;
  int fd = open_unnamed();
  if (fd < 0) {
    return -errno;
  }
  // The writer closes its own.
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  int error = copy < 0 ? -errno : trp_accept_open(&accept, NULL, copy);
  if (error != 0) {
    close(fd);
    return error;
  }
  int result = run(subject, &defaults, &accept, &again);
  error = trp_accept_close(&accept, false);
  error = error != 0 ? error : result;
  if (error == 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    subject_t written = *subject;
    written.path = path;
    written.name = "the first of the two";
    again = (troupe_replay_report_t){0};
    error = run(&written, &defaults, NULL, &again);
  }
  close(fd);
  if (error == TROUPE_EDIFFERS) {
    report->not_deterministic = true;
    trp_text_t text;
    char *own = report->text;
    char before[sizeof report->text];
    memcpy(before, own, sizeof before);
    trp_text_init(&text, own, sizeof report->text);
    trp_text_add(&text,
                 "Replayed twice, the actor does two different things: it is not deterministic. It "
                 "reads a clock of its own, or random numbers, or shares something with others.\n");
    trp_text_add(&text, "%s", result == 0 ? again.text : before);
  }
  return error;
}
