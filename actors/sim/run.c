/// Runs of a simulation: the phases of one, and the search for fewer faults with which it fails, too.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>
#include <troupe/trace.h>

#include "actors/sim/world.h"
#include "core/actor/actor.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"

enum {
  FAULT_MS = 2000,
  HEAL_MS = 600000, // an attempt to connect that nobody answers takes two minutes
  GRACE_MS = 1000,
  STOP_MS = 60000, // beyond the grace, until every actor has ended
  IO_THREADS_MAX = 16,
};

#define MS INT64_C(1000000)

/// Everything that one run has, and the run after it has anew.
typedef struct {
  trp_sim_t sim;
  troupe_system_t *system;
  const trp_script_t *script; // of the recording; NULL: there is none
  uint64_t *awaited;
  size_t awaited_count;
} run_t;

static run_t *run_of(trp_sim_t *sim) {
  return (run_t *)(void *)sim;
}

void trp_sim_fail(trp_sim_t *sim, const char *format, ...) {
  if (sim->failed) {
    return;
  }
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  sim->failed = true;
  trp_text_add(&sim->reason, "%s", line);
}

int troupe_sim_await(troupe_system_t *system, troupe_actor_t actor) {
  if (system == NULL || trp_system_ground(system)->ops != &trp_sim_ground_ops) {
    return TROUPE_EINVAL;
  }
  if (!trp_id_is_actor(actor.id) || trp_id_is_io_actor(actor.id)) {
    return TROUPE_ENOACTOR;
  }
  run_t *run = run_of((trp_sim_t *)(void *)trp_system_ground(system));
  uint64_t *grown = realloc(run->awaited, (run->awaited_count + 1) * sizeof *grown);
  if (grown == NULL) {
    return TROUPE_ENOMEM;
  }
  run->awaited = grown;
  run->awaited[run->awaited_count++] = actor.id;
  return 0;
}

// ---- The phases ----

/// Only the first task is left, which is the run itself.
static bool all_have_ended(trp_sim_t *sim) {
  return sim->tasks.next == &sim->first.in_world && sim->first.in_world.next == &sim->tasks;
}

static bool work_is_done(trp_sim_t *sim) {
  run_t *run = run_of(sim);
  if (sim->continuation != NULL && !trp_sim_continue_is_done(sim)) {
    return false;
  }
  if (run->awaited_count == 0) {
    return sim->continuation != NULL || all_have_ended(sim);
  }
  int status = 0;
  bool killed = false;
  for (size_t i = 0; i < run->awaited_count; i++) {
    if (!trp_sim_watch_ended(sim, run->awaited[i], &status, &killed)) {
      return false;
    }
  }
  return true;
}

static bool work_is_over(trp_sim_t *sim) {
  return sim->failed || sim->now_ns >= sim->first.deadline_ns || work_is_done(sim);
}

static bool cut_is_over(trp_sim_t *sim) {
  return sim->failed || trp_sim_continue_has_come(sim) || all_have_ended(sim);
}

static bool take_over_is_over(trp_sim_t *sim) {
  return sim->failed || trp_sim_continue_is_taken_over(sim) || all_have_ended(sim);
}

static bool stop_is_over(trp_sim_t *sim) {
  return sim->failed || sim->now_ns >= sim->first.deadline_ns || all_have_ended(sim);
}

static bool end_is_over(trp_sim_t *sim) {
  return all_have_ended(sim);
}

/// Lets the world go on until `over` says so, or nothing can happen any more.
static void let_run(trp_sim_t *sim, bool (*over)(trp_sim_t *), int64_t limit_ms) {
  sim->stuck = false;
  sim->first.over = over;
  sim->first.deadline_ns = limit_ms < 0 ? TRP_NEVER : sim->now_ns + limit_ms * MS;
  while (!over(sim) && !sim->stuck) {
    trp_sim_yield(sim);
  }
  sim->first.over = NULL;
}

static void tell_those_who_run(trp_sim_t *sim) {
  const char *separator = ": ";
  for (const trp_link_t *link = sim->tasks.next; link != &sim->tasks; link = link->next) {
    const trp_task_t *task = TRP_LIST_ENTRY(link, trp_task_t, in_world);
    if (task->actor != 0) {
      trp_text_add(&sim->reason, "%s", separator);
      trp_print_id(&sim->reason, task->actor);
      separator = ", ";
    }
  }
  if (sim->continuation != NULL) {
    trp_sim_peers_tell_left(trp_sim_continue_peers(sim), separator, &sim->reason);
  }
}

static void fail_by_status(trp_sim_t *sim, uint64_t id, int status) {
  trp_sim_fail(sim, "actor %" PRIu32 " returned %d (%s: %s)", trp_id_creator(id), status,
               troupe_error_name(status), troupe_error_message(status));
}

static void check_results(run_t *run) {
  trp_sim_t *sim = &run->sim;
  uint64_t id = 0;
  int result = 0;
  if (run->awaited_count == 0 && !sim->failed && trp_sim_watch_failed(sim, &id, &result)) {
    fail_by_status(sim, id, result);
  }
  bool ended_by_fault = false;
  if (run->script != NULL && !sim->failed &&
      trp_sim_watch_ended(sim, run->script->actor, &result, &ended_by_fault) && result < 0 &&
      !ended_by_fault) {
    fail_by_status(sim, run->script->actor, result);
  }
  for (size_t i = 0; i < run->awaited_count && !sim->failed; i++) {
    int status = 0;
    bool killed = false;
    if (trp_sim_watch_ended(sim, run->awaited[i], &status, &killed) && status < 0 && !killed) {
      fail_by_status(sim, run->awaited[i], status);
    }
  }
}

static unsigned or_default(unsigned value, unsigned standard) {
  return value == 0 ? standard : value;
}

/// How long what is recorded goes on behind its event.
static int64_t recorded_ms(const run_t *run) {
  return run->script == NULL ? 0 : run->script->length_ns / MS;
}

static int64_t fault_ms(const run_t *run) {
  int64_t standard = recorded_ms(run) > FAULT_MS ? recorded_ms(run) : (int64_t)FAULT_MS;
  unsigned wanted = run->sim.options->fault_ms;
  return wanted == 0 ? standard : (int64_t)wanted;
}

static void work(run_t *run) {
  trp_sim_t *sim = &run->sim;
  let_run(sim, work_is_over, fault_ms(run));
  sim->faults.healed = true;
  if (!sim->failed && !work_is_done(sim)) {
    // Peers say nothing before their time, however short the faults are.
    int64_t left_ms = recorded_ms(run) - (sim->now_ns - sim->began_ns) / MS;
    let_run(sim, work_is_over,
            or_default(sim->options->heal_ms, HEAL_MS) + (left_ms > 0 ? left_ms : 0));
  }
  if (!sim->failed && !work_is_done(sim)) {
    trp_sim_fail(sim,
                 sim->stuck ? "nothing can happen any more, and these have not ended"
                            : "%u ms after the last fault these have not ended",
                 or_default(sim->options->heal_ms, HEAL_MS));
    tell_those_who_run(sim);
  }
  check_results(run);
}

static void stop(run_t *run) {
  trp_sim_t *sim = &run->sim;
  unsigned grace_ms = or_default(sim->options->grace_ms, GRACE_MS);
  troupe_system_stop(run->system, grace_ms);
  let_run(sim, stop_is_over, (int64_t)grace_ms + STOP_MS);
  if (!sim->failed && !all_have_ended(sim)) {
    trp_sim_fail(sim, "these were stopped, and have not ended");
    tell_those_who_run(sim);
  }
}

/// However the run has gone: no thread may be left.
static void end(run_t *run) {
  trp_sim_t *sim = &run->sim;
  sim->killing = true;
  trp_sim_changed(sim);
  while (!all_have_ended(sim)) {
    let_run(sim, end_is_over, -1);
  }
  if (sim->continuation != NULL) {
    trp_sim_continue_end(sim);
  }
  if (!sim->failed) {
    // What was on its way when the last actor ended.
    for (unsigned i = 0; i < sim->ground.io_count; i++) {
      while (trp_sim_io_has_work(sim, i)) {
        trp_sim_io_turn(sim, i);
      }
    }
    trp_sim_watch_end(sim);
  }
}

static int open_world(run_t *run, uint64_t seed) {
  trp_sim_t *sim = &run->sim;
  const trp_script_t *script = run->script;
  unsigned io_count = script != NULL ? script->io_threads : or_default(sim->options->io_threads, 1);
  sim->ground = (trp_ground_t){.ops = &trp_sim_ground_ops};
  sim->dice.state = seed;
  sim->began_ns = TRP_SIM_START_NS;
  if (script != NULL && script->clock_ns > sim->began_ns) {
    sim->began_ns = script->clock_ns; // the actor's clock goes on
  }
  sim->now_ns = sim->began_ns;
  trp_list_init(&sim->tasks);
  trp_list_init(&sim->first.in_world);
  trp_list_append(&sim->tasks, &sim->first.in_world);
  sem_init(&sim->first.baton, 0, 0);
  sim->running = &sim->first;
  trp_text_init(&sim->reason, sim->why, sizeof sim->why);
  trp_network_init(&sim->network, &sim->dice, &sim->faults, sim->options);
  sim->network.now_ns = sim->now_ns;
  sim->io = calloc(io_count, sizeof *sim->io);
  int error = sim->io == NULL ? (int)TROUPE_ENOMEM : trp_sim_monitor_new(sim);
  while (error == 0 && sim->ground.io_count < io_count) {
    error = trp_sim_io_open(sim, sim->ground.io_count++, io_count);
  }
  for (unsigned i = 0; i < io_count && error == 0; i++) {
    error = trp_net_meet(sim->io[i].net);
  }
  if (error == 0) {
    error = trp_system_new_on(&sim->ground, trp_dice_next(&sim->dice) | 1, &run->system);
  }
  if (error == 0 && script != NULL) {
    error = trp_sim_continue_open(sim, script);
  }
  sim->on_signal_stop = trp_system_stop_by_signal;
  sim->signal_context = run->system;
  return error;
}

static void close_world(run_t *run) {
  trp_sim_t *sim = &run->sim;
  if (run->system != NULL) {
    troupe_system_free(&run->system);
  }
  while (sim->ground.io_count > 0) {
    trp_sim_io_close(sim, --sim->ground.io_count);
  }
  free(sim->io);
  trp_sim_continue_free(sim);
  trp_sim_monitor_free(sim);
  trp_network_free(&sim->network);
  trp_map_free(&sim->inboxes);
  sem_destroy(&sim->first.baton);
  free(run->awaited);
}

static void tell_faults(const trp_sim_t *sim, trp_text_t *text) {
  bool any = false;
  for (int kind = 0; kind < TRP_FAULT_KINDS; kind++) {
    if (sim->faults.per_million[kind] > 0) {
      trp_text_add(text, "%s%s (%.3g %% of the chances, %" PRIu64 " times)",
                   any ? ", " : "faults: ", trp_fault_words(kind),
                   sim->faults.per_million[kind] / 1e4, sim->faults.happened[kind]);
      any = true;
    }
  }
  trp_text_add(text, any ? "\n" : "no faults were on\n");
}

static void report_on(const trp_sim_t *sim, const trp_script_t *script, uint64_t seed,
                      troupe_sim_report_t *report) {
  *report = (troupe_sim_report_t){.seed = seed,
                                  .steps = sim->steps,
                                  .faults = sim->faults.total,
                                  .connections = sim->network.established,
                                  .virtual_ms = (sim->now_ns - sim->began_ns) / MS};
  if (!sim->failed) {
    return;
  }
  trp_text_t text;
  trp_text_init(&text, report->text, sizeof report->text);
  trp_text_add(&text, "seed %" PRIu64 " fails after %.3f ms", seed,
               (double)(sim->now_ns - sim->began_ns) / 1e6);
  if (script != NULL) {
    trp_text_add(&text, " behind event %" PRIu64 " of %s", script->events, script->recording->path);
  }
  trp_text_add(&text, ": %s\n", sim->why);
  tell_faults(sim, &text);
  trp_text_add(&text, "the last messages (-> to the I/O actor, <- from it):\n");
  trp_sim_watch_tell_last(sim, &text);
}

/// What is run, with more or fewer faults.
typedef struct {
  const troupe_sim_options_t *options;
  uint64_t seed;
  troupe_sim_fn start;
  void *context;
  const trp_script_t *script; // of the recording; NULL: there is none
} subject_t;

/// Everything that a run begins with. No fault happens before it returns: a service that does not
/// come up is no service.
static void begin(run_t *run, const subject_t *subject) {
  trp_sim_t *sim = &run->sim;
  sim->faults.healed = true;
  int status = 0;
  if (subject->script != NULL) {
    status = trp_sim_continue_spawn(sim, run->system);
    if (status == 0) {
      let_run(sim, cut_is_over, -1);
    }
    if (status == 0 && !sim->failed && !trp_sim_continue_has_come(sim)) {
      trp_sim_fail(sim, "the recorded actor has ended before it came to event %" PRIu64,
                   subject->script->events);
    }
  }
  if (status == 0 && !sim->failed && subject->start != NULL) {
    status = subject->start(run->system, subject->context);
  }
  if (status == 0 && !sim->failed && subject->script != NULL) {
    trp_sim_continue_go_on(sim);
    let_run(sim, take_over_is_over, -1);
  }
  sim->faults.healed = false;
  if (status < 0) {
    trp_sim_fail(sim, "it could not be begun: %s", troupe_error_message(status));
  }
  if (subject->script != NULL && !sim->failed) {
    trp_sim_continue_begin(sim);
  }
}

static int run_once(const subject_t *subject, uint32_t faults, uint64_t fault_limit,
                    const char *trace_directory, troupe_sim_report_t *report) {
  const troupe_sim_options_t *options = subject->options;
  uint64_t seed = subject->seed;
  run_t *run = calloc(1, sizeof *run);
  if (run == NULL) {
    return TROUPE_ENOMEM;
  }
  trp_sim_t *sim = &run->sim;
  sim->options = options;
  run->script = subject->script;
  trp_faults_draw(&sim->faults, seed, faults, fault_limit);
  int error = open_world(run, seed);
  if (error == 0 && trace_directory != NULL) {
    error = troupe_record_start(run->system,
                                &(troupe_record_options_t){.directory = trace_directory});
  }
  if (error == 0) {
    begin(run, subject);
    if (!sim->failed) {
      work(run);
    }
    if (!sim->failed) {
      stop(run);
    }
    if (trace_directory != NULL) {
      troupe_record_stop(run->system, NULL); // before actors are ended that would have gone on
    }
    end(run);
    if (!sim->failed && options->finish != NULL) {
      int status = options->finish(NULL, subject->context);
      if (status < 0) {
        trp_sim_fail(sim, "all have ended, but what they did is not as it must be: %d (%s)", status,
                     troupe_error_message(status));
      }
    }
    error = sim->network.no_memory ? TROUPE_ENOMEM : sim->failed ? TROUPE_EUNSOUND : 0;
    report_on(sim, subject->script, seed, report);
  }
  close_world(run);
  free(run);
  return error;
}

// ---- Fewer faults ----

static bool still_fails(const subject_t *subject, uint32_t faults, uint64_t limit,
                        troupe_sim_report_t *report) {
  troupe_sim_report_t seen;
  if (run_once(subject, faults, limit, NULL, &seen) != TROUPE_EUNSOUND) {
    return false;
  }
  *report = seen;
  return true;
}

/// Leaves out one kind after the other, then the last ones of those that happen: each time half of
/// what is in question. The first failure that is left may be another than the one it began with;
/// it is a failure all the same.
static void shrink(const subject_t *subject, uint32_t faults, uint64_t limit,
                   troupe_sim_report_t *report) {
  if (still_fails(subject, 0, 0, report)) {
    return;
  }
  for (int kind = 0; kind < TRP_FAULT_KINDS; kind++) {
    uint32_t fewer = faults & ~(1U << kind);
    if (fewer != faults && fewer != 0 && still_fails(subject, fewer, limit, report)) {
      faults = fewer;
    }
  }
  uint64_t fails_with = report->faults, passes_with = 0;
  while (fails_with - passes_with > 1) {
    uint64_t middle = passes_with + (fails_with - passes_with) / 2;
    troupe_sim_report_t seen = *report;
    if (still_fails(subject, faults, middle, &seen)) {
      *report = seen;
      fails_with = middle;
      limit = middle;
    } else {
      passes_with = middle;
    }
  }
  report->faults_needed = faults;
  report->fault_limit_needed = limit;
}

static void tell_shrunk(troupe_sim_report_t *report) {
  char text[256];
  trp_text_t words;
  trp_text_init(&words, text, sizeof text);
  if (report->faults_needed == 0) {
    trp_text_add(&words, "it fails without any fault, by the order of things alone\n");
  } else {
    trp_text_add(&words, "again: .faults = %#" PRIx32 ", .fault_limit = %" PRIu64 "\n",
                 report->faults_needed, report->fault_limit_needed);
  }
  size_t length = strlen(report->text);
  snprintf(report->text + length, sizeof report->text - length, "%s", text);
}

/// The faults that a run with these options can have.
static uint32_t allowed(const troupe_sim_options_t *options) {
  uint32_t all = (1U << TRP_FAULT_KINDS) - 1;
  if ((options->faults & TROUPE_FAULT_NONE) != 0) {
    return 0;
  }
  return options->faults == 0 ? all & ~(uint32_t)TROUPE_FAULT_DEAD_ACTOR : options->faults;
}

static int run_and_shrink(const subject_t *subject, troupe_sim_report_t *report) {
  const troupe_sim_options_t *options = subject->options;
  uint32_t faults = allowed(options);
  uint64_t limit = options->fault_limit;
  int result = run_once(subject, faults, limit, NULL, report);
  if (result != TROUPE_EUNSOUND) {
    return result;
  }
  if (!options->keep_faults && report->faults > 0) {
    trp_faults_t drawn;
    trp_faults_draw(&drawn, subject->seed, faults, 0);
    shrink(subject, trp_faults_on(&drawn), limit, report);
    faults = report->faults_needed;
    limit = report->fault_limit_needed;
  }
  if (options->trace_directory != NULL) {
    // The very same run once more.
    troupe_sim_report_t again;
    result = run_once(subject, faults, limit, options->trace_directory, &again);
    if (result != TROUPE_EUNSOUND) {
      return result == 0 ? (int)TROUPE_EUNSOUND : result;
    }
  }
  if (!options->keep_faults && report->faults > 0) {
    tell_shrunk(report);
  }
  return result;
}

// ---- The calling thread ----

/// All threads of a run take turns: on one processor the next one goes on at once, on another it
/// would have to be woken up. Threads inherit this from the one that starts them.
static bool bind_to_one(cpu_set_t *before) {
  int here = sched_getcpu();
  cpu_set_t one;
  if (here < 0 || here >= CPU_SETSIZE ||
      pthread_getaffinity_np(pthread_self(), sizeof *before, before) != 0) {
    return false;
  }
  CPU_ZERO(&one);
  CPU_SET((size_t)here, &one);
  return pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0;
}

/// What goes on from it can be run as often as is needed.
static int read_recording(trp_script_t *script, const troupe_sim_options_t *options,
                          troupe_sim_report_t *report) {
  const troupe_sim_recording_t *recording = options->recording;
  if (recording->path == NULL || recording->main == NULL) {
    return TROUPE_EINVAL;
  }
  int error = trp_script_read(script, recording);
  if (error == 0 && script->io_threads > IO_THREADS_MAX) {
    error = TROUPE_EINVAL;
  }
  if (error != 0) {
    snprintf(report->text, sizeof report->text, "%s cannot be gone on from: %s\n", recording->path,
             troupe_error_message(error));
  }
  return error;
}

int troupe_sim_run(const troupe_sim_options_t *options, uint64_t seed, troupe_sim_fn start,
                   void *context, troupe_sim_report_t *report) {
  static const troupe_sim_options_t standard = {0};
  troupe_sim_report_t unseen;
  options = options == NULL ? &standard : options;
  report = report == NULL ? &unseen : report;
  *report = (troupe_sim_report_t){.seed = seed};
  if ((start == NULL && options->recording == NULL) || options->io_threads > IO_THREADS_MAX ||
      (options->faults & ~(uint32_t)TROUPE_FAULT_NONE) >= 1U << TRP_FAULT_KINDS) {
    return TROUPE_EINVAL;
  }
  if (trp_actor_current() != NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  trp_script_t script = {0};
  const subject_t subject = {.options = options,
                             .seed = seed,
                             .start = start,
                             .context = context,
                             .script = options->recording == NULL ? NULL : &script};
  int result = options->recording == NULL ? 0 : read_recording(&script, options, report);
  cpu_set_t before;
  bool bound = result == 0 && bind_to_one(&before);
  if (result == 0) {
    result = run_and_shrink(&subject, report);
  }
  trp_script_free(&script);
  if (bound) {
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
  }
  trp_frame_thread_end();
  return result;
}
