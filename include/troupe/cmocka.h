/// For tests with cmocka: a recording is a test. Header-only; the test program links cmocka.
#ifndef TROUPE_CMOCKA_H_INCLUDED
#define TROUPE_CMOCKA_H_INCLUDED

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <troupe/sim.h>
#include <troupe/trace.h>

TROUPE_BEGIN

/// Prints a text to cmocka's error output, whatever its length: cmocka cuts at 1024 bytes.
static inline void troupe_print_long(const char *text) {
  while (*text != '\0') {
    int length = 0;
    while (length < 512 && text[length] != '\0') {
      length++;
    }
    print_error("%.*s", length, text);
    text += length;
  }
}

/// Replays a trace as troupe_replay_with() does, and prints to cmocka's error output what is wrong, if
/// something is.
///
/// Ownership: everything is borrowed until the call returns.
/// Thread:    any that is no actor.
/// Blocks:    until the trace ends, or the first difference.
/// Returns:   troupe_replay_with()'s result.
static inline int troupe_replay_and_explain(troupe_main_fn main_function, void *argument,
                                            const char *path,
                                            const troupe_replay_options_t *options) {
  troupe_replay_report_t report;
  troupe_replay_options_t again;
  int result = troupe_replay_with(main_function, argument, path, options, &report);
  if (result == TROUPE_EDIFFERS && (options == NULL || !options->twice)) {
    // Is it the actor that is not the same each time?
    if (options != NULL) {
      again = *options;
    } else {
      memset(&again, 0, sizeof again);
    }
    again.twice = true;
    result = troupe_replay_with(main_function, argument, path, &again, &report);
  }
  if (result != 0) {
    print_error("ERROR: %s does not replay: %s (%s)\n", path, troupe_error_name(result),
                troupe_error_message(result));
    troupe_print_long(report.text);
  }
  return result;
}

/// Runs the seeds from `first` on, `count` of them, as troupe_sim_run() does, until one fails, and
/// prints that one to cmocka's error output with what is needed to run it again.
///
/// Ownership: everything is borrowed until the call returns.
/// Thread:    any that is no actor.
/// Blocks:    until all have run, or one has failed.
/// Returns:   the first result of troupe_sim_run() that is not 0, or 0.
static inline int troupe_simulate_and_explain(const troupe_sim_options_t *options, uint64_t first,
                                              uint64_t count, troupe_sim_fn start, void *context) {
  for (uint64_t seed = first; seed - first < count; seed++) {
    troupe_sim_report_t report;
    int result = troupe_sim_run(options, seed, start, context, &report);
    if (result != 0) {
      print_error("ERROR: seed %llu: %s (%s)\n", (unsigned long long)seed,
                  troupe_error_name(result), troupe_error_message(result));
      troupe_print_long(report.text);
      return result;
    }
  }
  return 0;
}

TROUPE_END

/// Fails the running test unless all `count` seeds from `first` on run as they must. The first that
/// does not is printed.
///
/// Ownership: as troupe_sim_run().
/// Thread:    the test's.
/// Blocks:    until all have run, or one has failed.
#define troupe_assert_simulates(options, first, count, start, context)                             \
  do {                                                                                             \
    if (troupe_simulate_and_explain((options), (first), (count), (start), (context)) != 0) {       \
      fail();                                                                                      \
    }                                                                                              \
  } while (0)

/// Fails the running test unless the actor's main function, run on the trace, does what it did when
/// the trace was recorded. The first difference is printed, with whether the actor does the same each
/// time: when it differs main is called again.
///
/// Ownership: as troupe_replay().
/// Thread:    the test's.
/// Blocks:    until the trace ends, or the first difference.
#define troupe_assert_replays(main_function, argument, path)                                       \
  do {                                                                                             \
    if (troupe_replay_and_explain((main_function), (argument), (path), NULL) != 0) {               \
      fail();                                                                                      \
    }                                                                                              \
  } while (0)

/// The same with options, which are those of troupe_replay_with().
///
/// Ownership: as troupe_replay_with().
/// Thread:    the test's.
/// Blocks:    until the trace ends, or the first difference.
#define troupe_assert_replays_with(main_function, argument, path, options)                         \
  do {                                                                                             \
    if (troupe_replay_and_explain((main_function), (argument), (path), (options)) != 0) {          \
      fail();                                                                                      \
    }                                                                                              \
  } while (0)

#endif
