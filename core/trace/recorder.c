/// The recorder: one thread that writes what the taps hand over. It sleeps on its inbox and on an
/// eventfd that ends it; what it has not written when nothing more comes for a moment it writes
/// then. An error of one file ends that file alone.
///
/// Files are readable by their owner alone, since they hold what went over the network. A file of
/// an earlier run that has the name of a new one is removed first, so that whoever reads it goes on
/// reading the old one.
#include "core/trace/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/message/frame_zmq.h"
#include "core/support/array.h"
#include "core/support/map.h"
#include "core/trace/earlier.h"
#include "core/trace/keep.h"
#include "core/trace/line.h"
#include "core/trace/writer.h"

enum {
  BACKLOG_BYTES = 64 * 1024 * 1024,
  IDLE_MS = 20,
  REST_MS = 2,
  FLUSH_NS = 100 * 1000 * 1000,
  DRAIN_MAX = 1024, // messages between two looks at the clock
  TURN_BYTES = 32 * 1024,
  FILE_NAME_SIZE = TRP_NAME_MAX + 80,
  FIRST_CALLS_MAX = 256,
};

/// The result of a call that main made before any event.
typedef struct {
  uint64_t call;
  trp_frame_t *value;
} first_call_t;

/// The trace of one actor, being written.
typedef struct file {
  struct file *next_dirty;
  bool dirty; // in the list of files that may have bytes in their buffer
  trp_writer_t writer;
  uint64_t actor;
  char name[FILE_NAME_SIZE]; // without its ending
  trp_frame_t *start;        // the body of its first record, when it may be rotated
  first_call_t *calls;       // likewise the calls that came behind it
  size_t call_count, call_capacity;
  bool has_batches;      // no more of those come
  uint32_t flags;        // of its header
  bool left_out;         // something of it was not recorded, as was asked for
  uint32_t part;         // from 1
  int64_t part_began_ns; // by the actor's clock
  bool done;             // its limit is reached, or it failed
} file_t;

/// How often an actor of this name and index has begun. They stay until recording ends.
typedef struct {
  char name[TRP_NAME_MAX + 1];
  uint32_t index;
  uint32_t count;
} used_name_t;

struct trp_recorder {
  trp_hub_t *hub;
  uint64_t self;
  char **names; // NULL: all
  bool running;
  uint64_t file_bytes; // limits of a file; 0: none
  int64_t file_ns;
  uint32_t file_count; // so many parts are kept; 0: no rotation
  void (*on_stopped)(void *context, uint64_t actor, int error);
  void *on_stopped_context;
  trp_backlog_t *backlog;
  int directory;
  trp_earlier_t earlier; // before the thread runs the caller's, then the thread's
  int wake;              // an eventfd: written to when all is to end
  pthread_t thread;
  sem_t opened;
  int open_error;
  // From here on the thread's alone.
  trp_inbox_t *inbox;
  trp_map_t files; // by tap + 1
  file_t *dirty;
  trp_keep_t keep;
  used_name_t *used; // looked through from the start: fine up to some ten thousand names
  size_t used_count, used_capacity;
  troupe_record_report_t report;
};

/// What drain() left in the inbox: nothing; something, perhaps; nothing for ever, since the system
/// is gone.
typedef enum { DRAINED_EMPTY, DRAINED_SOME, DRAINED_PART, DRAINED_GONE } drained_t;

static int copy_names(trp_recorder_t *recorder, const char *const *names);
static int open_directory(const char *path, int *fd);
static int start_thread(trp_recorder_t *recorder);
static void release(trp_recorder_t *recorder);
static void *run(void *argument);
static void write_until_told(trp_recorder_t *recorder, int fd);
static drained_t drain(trp_recorder_t *recorder);
static size_t take(trp_recorder_t *recorder, const trp_in_t *in);
static file_t *begin(trp_recorder_t *recorder, const trp_line_t *line, const trp_frame_t *body);
static int name_file(trp_recorder_t *recorder, const trp_start_t *start, file_t *file);
static int open_part(trp_recorder_t *recorder, file_t *file);
static void put(trp_recorder_t *recorder, file_t *file, const trp_line_t *line, const trp_in_t *in);
static bool is_full(const trp_recorder_t *recorder, const file_t *file, int64_t clock_ns);
static int rotate(trp_recorder_t *recorder, file_t *file, int64_t clock_ns, uint64_t sequence);
static int close_part(file_t *file);
static int keep_call(file_t *file, uint64_t call, const trp_frame_t *value);
static void add_up(trp_recorder_t *recorder, file_t *file);
static void fail_file(trp_recorder_t *recorder, file_t *file, int error);
static int count_name(trp_recorder_t *recorder, const trp_start_t *start, uint32_t *count);
static void flush_all(trp_recorder_t *recorder);
static void flush(trp_recorder_t *recorder, file_t *file);
static void end_file(trp_recorder_t *recorder, uint64_t key, file_t *file);
static void note(trp_recorder_t *recorder, int error);

int trp_recorder_start(trp_hub_t *hub, uint64_t self, const troupe_record_options_t *options,
                       trp_recorder_t **recorder) {
  if (options == NULL || options->directory == NULL || options->directory[0] == '\0') {
    return TROUPE_EINVAL;
  }
  trp_recorder_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->hub = hub;
  made->self = self;
  made->directory = made->wake = -1;
  made->running = options->running;
  made->file_bytes = options->file_bytes;
  made->file_ns = (int64_t)options->file_ms * 1000000;
  made->file_count = options->files;
  trp_keep_init(&made->keep, options);
  int error = copy_names(made, options->names);
  if (error == 0) {
    made->backlog = calloc(1, sizeof *made->backlog);
    error = made->backlog == NULL ? TROUPE_ENOMEM : 0;
  }
  if (error == 0) {
    made->backlog->recorder = self;
    made->backlog->limit_bytes = options->backlog_bytes == 0 ? BACKLOG_BYTES
                                                             : options->backlog_bytes;
    atomic_init(&made->backlog->users, 1);
    error = open_directory(options->directory, &made->directory);
  }
  if (error == 0) {
    error = trp_earlier_read(&made->earlier, made->directory);
  }
  if (error == 0) {
    made->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = made->wake < 0 ? -errno : 0;
  }
  if (error == 0) {
    error = start_thread(made);
  }
  if (error != 0) {
    release(made);
    return error;
  }
  *recorder = made;
  return 0;
}

void trp_recorder_stop(trp_recorder_t **recorder, troupe_record_report_t *report) {
  trp_recorder_t *r = *recorder;
  if (r == NULL) {
    return;
  }
  *recorder = NULL;
  atomic_store_explicit(&r->backlog->stopped, true, memory_order_release);
  uint64_t one = 1;
  while (write(r->wake, &one, sizeof one) < 0 && errno == EINTR) {
  }
  pthread_join(r->thread, NULL);
  note(r, atomic_load(&r->backlog->error));
  if (report != NULL) {
    *report = r->report;
  }
  release(r);
}

void trp_recorder_on_stopped(trp_recorder_t *recorder,
                             void (*on_stopped)(void *context, uint64_t actor, int error),
                             void *context) {
  recorder->on_stopped = on_stopped;
  recorder->on_stopped_context = context;
}

bool trp_recorder_wants_running(const trp_recorder_t *recorder) {
  return recorder->running;
}

bool trp_recorder_wants(const trp_recorder_t *recorder, const char *name) {
  if (recorder->names == NULL) {
    return true;
  }
  for (char **wanted = recorder->names; *wanted != NULL; wanted++) {
    if (strcmp(*wanted, name) == 0) {
      return true;
    }
  }
  return false;
}

trp_backlog_t *trp_recorder_backlog(trp_recorder_t *recorder) {
  return recorder->backlog;
}

static int copy_names(trp_recorder_t *recorder, const char *const *names) {
  if (names == NULL) {
    return 0;
  }
  size_t count = 0;
  while (names[count] != NULL) {
    count++;
  }
  recorder->names = calloc(count + 1, sizeof *recorder->names);
  if (recorder->names == NULL) {
    return TROUPE_ENOMEM;
  }
  for (size_t i = 0; i < count; i++) {
    recorder->names[i] = strdup(names[i]);
    if (recorder->names[i] == NULL) {
      return TROUPE_ENOMEM;
    }
  }
  return 0;
}

/// Makes the directory, with those above it, and checks that files can be made in it: the first
/// actor should not be the one to find out.
static int open_directory(const char *path, int *fd) {
  char *copy = strdup(path);
  if (copy == NULL) {
    return TROUPE_ENOMEM;
  }
  for (char *at = copy + 1; at[-1] != '\0'; at++) {
    if (*at == '/' || *at == '\0') {
      char saved = *at;
      *at = '\0';
      // What cannot be made may be there and closed to us; opening it says what is wrong.
      (void)mkdir(copy, 0777);
      *at = saved;
    }
  }
  free(copy);
  *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*fd < 0 || faccessat(*fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
    return -errno;
  }
  return 0;
}

/// Starts the thread and waits until it has its inbox.
static int start_thread(trp_recorder_t *recorder) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // Those that the thread's own faults raise must not be blocked: they would end the process
  // without its handlers.
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    sigdelset(&all, faults[i]);
  }
  sem_init(&recorder->opened, 0, 0);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&recorder->thread, NULL, run, recorder);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) {
    while (sem_wait(&recorder->opened) != 0) {
    }
    if (recorder->open_error != 0) {
      pthread_join(recorder->thread, NULL);
    }
  }
  sem_destroy(&recorder->opened);
  return error != 0 ? -error : recorder->open_error;
}

static void release(trp_recorder_t *recorder) {
  for (char **name = recorder->names; name != NULL && *name != NULL; name++) {
    free(*name);
  }
  free(recorder->names);
  if (recorder->backlog != NULL) {
    trp_backlog_release(recorder->backlog);
  }
  if (recorder->directory >= 0) {
    close(recorder->directory);
  }
  if (recorder->wake >= 0) {
    close(recorder->wake);
  }
  trp_keep_free(&recorder->keep);
  trp_earlier_free(&recorder->earlier);
  free(recorder->used);
  free(recorder);
}

static void *run(void *argument) {
  trp_recorder_t *recorder = argument;
  pthread_setname_np(pthread_self(), "troupe-rec");
  int error = trp_pipes_open(recorder->hub, recorder->self, &recorder->inbox);
  int fd = -1;
  if (error == 0) {
    fd = trp_pipes_fd(recorder->inbox);
    if (fd < 0) {
      error = fd;
      trp_inbox_close(recorder->inbox);
    }
  }
  recorder->open_error = error;
  sem_post(&recorder->opened);
  if (error != 0) {
    return NULL;
  }
  write_until_told(recorder, fd);
  trp_inbox_close(recorder->inbox);
  size_t cursor = 0;
  uint64_t key = 0;
  void *file = NULL;
  while (trp_map_iterate(&recorder->files, &cursor, &key, &file)) {
    end_file(recorder, key, file);
    cursor = 0;
  }
  trp_map_free(&recorder->files);
  trp_frame_thread_end();
  return NULL;
}

static void write_until_told(trp_recorder_t *recorder, int fd) {
  bool stopping = false;
  int64_t flushed_ns = 0;
  for (;;) {
    drained_t drained = drain(recorder);
    int64_t now_ns = trp_inbox_now(recorder->inbox);
    // A quiet actor's last records must not wait for the others to be quiet, too.
    if (recorder->dirty != NULL && now_ns - flushed_ns >= FLUSH_NS) {
      flush_all(recorder);
      flushed_ns = now_ns;
    }
    if (drained == DRAINED_GONE || (drained != DRAINED_PART && stopping)) {
      return;
    }
    if (drained == DRAINED_PART) {
      continue;
    }
    // The inbox's descriptor is edge-triggered: there was nothing left, so whatever comes now makes
    // it readable. After something came it is not looked at for a moment: a record that wakes
    // nobody costs its actor much less, and the backlog has room for more than comes meanwhile.
    bool rests = drained == DRAINED_SOME;
    struct pollfd polled[2] = {{.fd = rests ? -1 : fd, .events = POLLIN},
                               {.fd = recorder->wake, .events = POLLIN}};
    int count = poll(polled, 2, rests ? REST_MS : recorder->dirty == NULL ? -1 : IDLE_MS);
    if (count == 0 && !rests) {
      flush_all(recorder);
    }
    // All that was handed over before the end was asked for is in the inbox by now: it is emptied
    // once more.
    stopping = stopping || (count > 0 && polled[1].revents != 0);
  }
}

static drained_t drain(trp_recorder_t *recorder) {
  trp_in_t in;
  trp_in_init(&in);
  int result = 1;
  bool came = false;
  size_t turn = 0;
  for (int i = 0; i < DRAIN_MAX && result != 0 && result != TROUPE_ESTOPPED; i++) {
    // Without memory for a message it is lost: take() finds the hole in the sequence. What it cost
    // stays in the backlog.
    result = trp_pipes_receive_raw(recorder->inbox, 0, &in);
    if (result == 1) {
      turn += take(recorder, &in);
      came = true;
    }
    trp_in_reset(&in);
    // Whoever is recorded may wait for this core, and peers take a pause for a slow network.
    if (turn >= TURN_BYTES) {
      sched_yield();
      turn = 0;
    }
  }
  trp_in_free(&in);
  if (result != 0) {
    return result == TROUPE_ESTOPPED ? DRAINED_GONE : DRAINED_PART;
  }
  return came ? DRAINED_SOME : DRAINED_EMPTY;
}

/// Returns what it cost.
static size_t take(trp_recorder_t *recorder, const trp_in_t *in) {
  trp_line_t line;
  if (in->envelope->size != sizeof line) {
    return 0;
  }
  memcpy(&line, in->envelope->bytes, sizeof line);
  if (line.tag != TRP_LINE_TAG) {
    return 0;
  }
  uint64_t key = (uint64_t)line.tap + 1;
  file_t *file = trp_map_get(&recorder->files, key);
  if (line.type == TRP_LINE_CLOSE) {
    if (file != NULL) {
      end_file(recorder, key, file);
    }
    return 0;
  }
  if (line.type == TRP_RECORD_START && file == NULL) {
    file = begin(recorder, &line, in->frames[0]);
  }
  if (file != NULL && !file->done) {
    put(recorder, file, &line, in);
  }
  size_t cost = TRP_LINE_COST;
  for (size_t i = 0; i < in->frame_count; i++) {
    cost += in->frames[i]->size;
  }
  if (line.type != TRP_RECORD_GAP) {
    atomic_fetch_sub_explicit(&recorder->backlog->bytes, cost, memory_order_relaxed);
  }
  return cost;
}

/// Makes the file of an actor. NULL: no memory; its records are dropped like those of a file that
/// failed.
static file_t *begin(trp_recorder_t *recorder, const trp_line_t *line, const trp_frame_t *body) {
  trp_start_t start;
  file_t *file = calloc(1, sizeof *file);
  if (file == NULL || trp_map_put(&recorder->files, (uint64_t)line->tap + 1, file) != 0) {
    free(file);
    note(recorder, TROUPE_ENOMEM);
    return NULL;
  }
  file->writer.fd = -1;
  file->part = 1;
  file->part_began_ns = line->clock_ns;
  int error = trp_parse_start(body->bytes, body->size, &start);
  if (error == 0) {
    file->actor = start.id;
    bool late = line->subject == TRP_LINE_LATE;
    file->flags = trp_keep_flags(&recorder->keep) | (late ? (uint32_t)TRP_TRACE_LATE : 0);
    file->flags |= file->flags == 0 ? (uint32_t)TRP_TRACE_COMPLETE : 0;
    error = name_file(recorder, &start, file);
  }
  if (error == 0) {
    trp_earlier_remove(&recorder->earlier, recorder->directory, file->name);
  }
  if (error == 0 && recorder->file_count > 0) {
    file->start = trp_frame_copy(body->bytes, body->size);
    error = file->start == NULL ? TROUPE_ENOMEM : 0;
  }
  if (error == 0) {
    error = open_part(recorder, file);
  }
  if (error != 0) {
    fail_file(recorder, file, error);
  }
  return file;
}

static void put(trp_recorder_t *recorder, file_t *file, const trp_line_t *line,
                const trp_in_t *in) {
  trp_record_head_t head = {.type = line->type,
                            .sequence = line->sequence,
                            .clock_ns = line->clock_ns,
                            .subject = line->type == TRP_RECORD_START ? 0 : line->subject};
  int error = 0;
  if (is_full(recorder, file, line->clock_ns)) {
    error = rotate(recorder, file, line->clock_ns, line->sequence);
    if (file->done) {
      return;
    }
  }
  // In front of an OUT_NAMING's frames there is one with the names.
  bool naming = line->type == TRP_RECORD_OUT_NAMING;
  trp_frame_t *const *frames = naming ? in->frames + 1 : in->frames;
  size_t frame_count = naming ? in->frame_count - 1 : in->frame_count;
  bool batch = naming || line->type == TRP_RECORD_IN || line->type == TRP_RECORD_OUT;
  file->has_batches = file->has_batches || line->type == TRP_RECORD_IN;
  if (error == 0 && line->type == TRP_RECORD_CALL && file->start != NULL && !file->has_batches &&
      file->call_count < FIRST_CALLS_MAX) {
    error = keep_call(file, line->subject, frames[0]);
  }
  if (error == 0 && batch && trp_keep_is_less(&recorder->keep)) {
    uint16_t type = naming ? TRP_RECORD_OUT : line->type;
    int result = trp_keep_some(&recorder->keep, type, file->actor, frames, frame_count);
    file->left_out = file->left_out || recorder->keep.left_out;
    if (result == 1) {
      trp_frame_t body = {.bytes = recorder->keep.body, .size = recorder->keep.length};
      trp_frame_t *only = &body;
      head.type = type == TRP_RECORD_IN ? TRP_RECORD_IN_CUT : TRP_RECORD_OUT_CUT;
      error = trp_writer_put(&file->writer, head, &only, 1);
    } else if (result == 0) {
      error = trp_writer_skip(&file->writer, &head);
    } else {
      error = result;
    }
  } else if (error == 0 && naming) {
    const trp_name_t *names = (const trp_name_t *)(const void *)in->frames[0]->bytes;
    error = trp_writer_put_naming(&file->writer, head, frames, frame_count, names);
  } else if (error == 0) {
    error = trp_writer_put(&file->writer, head, frames, frame_count);
  }
  if (error != 0) {
    fail_file(recorder, file, error);
    return;
  }
  if (!file->dirty) {
    file->dirty = true;
    file->next_dirty = recorder->dirty;
    recorder->dirty = file;
  }
}

/// The start record alone fills no file.
static bool is_full(const trp_recorder_t *recorder, const file_t *file, int64_t clock_ns) {
  if (file->writer.records <= 1) {
    return false;
  }
  return (recorder->file_bytes > 0 && file->writer.bytes >= recorder->file_bytes) ||
         (recorder->file_ns > 0 && clock_ns - file->part_began_ns >= recorder->file_ns);
}

/// Goes on in another file, or is done. The oldest part that is too many is removed.
static int rotate(trp_recorder_t *recorder, file_t *file, int64_t clock_ns, uint64_t sequence) {
  int error = close_part(file);
  add_up(recorder, file);
  if (error != 0 || recorder->file_count == 0) {
    file->done = error == 0;
    return error;
  }
  char old[FILE_NAME_SIZE];
  if (file->part >= recorder->file_count) {
    uint32_t gone = file->part + 1 - recorder->file_count;
    if (gone == 1) {
      snprintf(old, sizeof old, "%.*s.trace", FILE_NAME_SIZE - 32, file->name);
    } else {
      snprintf(old, sizeof old, "%.*s.part%u.trace", FILE_NAME_SIZE - 32, file->name, gone);
    }
    (void)unlinkat(recorder->directory, old, 0); // whoever took it away wanted it gone, too
  }
  file->part++;
  file->part_began_ns = clock_ns;
  file->flags = (file->flags & ~(uint32_t)TRP_TRACE_COMPLETE) | TRP_TRACE_ROTATED;
  error = open_part(recorder, file);
  if (error == 0) {
    const trp_record_head_t head = {
        .type = TRP_RECORD_START, .sequence = sequence - 1, .clock_ns = clock_ns};
    error = trp_writer_put(&file->writer, head, &file->start, 1);
  }
  for (size_t i = 0; error == 0 && i < file->call_count; i++) {
    const trp_record_head_t head = {.type = TRP_RECORD_CALL,
                                    .sequence = sequence - 1, // they have no numbers of their own
                                    .clock_ns = clock_ns,
                                    .subject = file->calls[i].call};
    error = trp_writer_put(&file->writer, head, &file->calls[i].value, 1);
  }
  return error;
}

/// Of a trace from which nothing was left out, though it was asked for, this is known only now.
static int close_part(file_t *file) {
  const uint32_t asked_for = TRP_TRACE_CHOSEN | TRP_TRACE_CUT;
  uint32_t flags = file->writer.flags;
  if (file->writer.fd >= 0 && !file->left_out && (flags & asked_for) != 0 &&
      (flags & ~asked_for) == 0) {
    int error = trp_writer_set_flags(&file->writer, TRP_TRACE_COMPLETE);
    if (error != 0) {
      return error;
    }
  }
  return trp_writer_close(&file->writer);
}

/// A later part is replayed from main's beginning on, too.
static int keep_call(file_t *file, uint64_t call, const trp_frame_t *value) {
  first_call_t *calls = trp_array_room(file->calls, &file->call_capacity, file->call_count,
                                       sizeof *calls);
  if (calls == NULL) {
    return TROUPE_ENOMEM;
  }
  file->calls = calls;
  trp_frame_t *copy = trp_frame_copy(value->bytes, value->size);
  if (copy == NULL) {
    return TROUPE_ENOMEM;
  }
  file->calls[file->call_count++] = (first_call_t){.call = call, .value = copy};
  return 0;
}

/// What a part has that is ended; once.
static void add_up(trp_recorder_t *recorder, file_t *file) {
  recorder->report.records += file->writer.records;
  recorder->report.bytes += file->writer.bytes;
  recorder->report.gaps += file->writer.gaps;
  file->writer.records = file->writer.bytes = file->writer.gaps = 0;
}

/// Nothing more is written; who needs to know is told.
static void fail_file(trp_recorder_t *recorder, file_t *file, int error) {
  if (file->done) {
    return;
  }
  file->done = true;
  note(recorder, error);
  (void)trp_writer_close(&file->writer);
  if (recorder->on_stopped != NULL) {
    recorder->on_stopped(recorder->on_stopped_context, file->actor, error);
  }
}

static int name_file(trp_recorder_t *recorder, const trp_start_t *start, file_t *file) {
  uint32_t count = 0;
  int error = count_name(recorder, start, &count);
  if (error != 0) {
    return error;
  }
  if (count == 1) {
    snprintf(file->name, sizeof file->name, "%s-%u", start->name, start->index);
  } else {
    snprintf(file->name, sizeof file->name, "%s-%u.%u", start->name, start->index, count);
  }
  return 0;
}

static int open_part(trp_recorder_t *recorder, file_t *file) {
  char name[FILE_NAME_SIZE];
  int fd = -1;
  if (file->part == 1) {
    snprintf(name, sizeof name, "%.*s.trace", FILE_NAME_SIZE - 32, file->name);
  } else {
    snprintf(name, sizeof name, "%.*s.part%u.trace", FILE_NAME_SIZE - 32, file->name, file->part);
  }
  // Two recorders on one directory may take the name from each other, a few times at the most.
  for (int attempt = 0; attempt < 3 && fd < 0; attempt++) {
    if (unlinkat(recorder->directory, name, 0) != 0 && errno != ENOENT) {
      return -errno;
    }
    fd = openat(recorder->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                0600);
    if (fd < 0 && errno != EEXIST) {
      return -errno;
    }
  }
  if (fd < 0) {
    return TROUPE_EEXIST;
  }
  recorder->report.actors++;
  return trp_writer_open(&file->writer, fd, file->flags);
}

static int count_name(trp_recorder_t *recorder, const trp_start_t *start, uint32_t *count) {
  for (size_t i = 0; i < recorder->used_count; i++) {
    used_name_t *used = &recorder->used[i];
    if (used->index == start->index && strcmp(used->name, start->name) == 0) {
      *count = ++used->count;
      return 0;
    }
  }
  used_name_t *grown = trp_array_room(recorder->used, &recorder->used_capacity,
                                      recorder->used_count, sizeof *grown);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  recorder->used = grown;
  used_name_t *used = &recorder->used[recorder->used_count++];
  memcpy(used->name, start->name, sizeof used->name);
  used->index = start->index;
  *count = used->count = 1;
  return 0;
}

/// Nothing has come for a moment, or some time has passed: all that is buffered is written.
static void flush_all(trp_recorder_t *recorder) {
  while (recorder->dirty != NULL) {
    file_t *file = recorder->dirty;
    recorder->dirty = file->next_dirty;
    file->dirty = false;
    flush(recorder, file);
  }
}

static void flush(trp_recorder_t *recorder, file_t *file) {
  if (file->writer.fd < 0) {
    return;
  }
  int error = trp_writer_flush(&file->writer);
  struct stat status;
  if (error == 0 && fstat(file->writer.fd, &status) == 0 && status.st_nlink == 0) {
    error = TROUPE_ENOENT; // deleted: what is written is nowhere
  }
  if (error != 0) {
    fail_file(recorder, file, error);
  }
}

static void end_file(trp_recorder_t *recorder, uint64_t key, file_t *file) {
  flush(recorder, file);
  note(recorder, close_part(file));
  add_up(recorder, file);
  for (file_t **link = &recorder->dirty; *link != NULL; link = &(*link)->next_dirty) {
    if (*link == file) {
      *link = file->next_dirty;
      break;
    }
  }
  trp_map_remove(&recorder->files, key);
  trp_frame_release(file->start);
  for (size_t i = 0; i < file->call_count; i++) {
    trp_frame_release(file->calls[i].value);
  }
  free(file->calls);
  free(file);
}

/// Keeps the first error.
static void note(trp_recorder_t *recorder, int error) {
  if (recorder->report.error == 0) {
    recorder->report.error = error;
  }
}
