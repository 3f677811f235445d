// Of the fuzzing of traces: one input, given to everything that reads trace files. An input whose
// checksums are wrong is tried again with right ones, so that more than the checksums is tested.

#ifndef TRP_TESTS_TRACE_INPUT_H_INCLUDED
#define TRP_TESTS_TRACE_INPUT_H_INCLUDED

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <troupe/troupe.h>
#include <unistd.h>

#include "core/trace/crc.h"
#include "core/trace/flight_format.h"
#include "core/trace/format.h"

enum { TEXT_SIZE = 256 };

static int fuzz_file = -1;
static char fuzz_path[64];

static void require(bool holds) {
  if (!holds) {
    abort();
  }
}

/// One file in memory is used for all inputs.
static void write_file(const uint8_t *bytes, size_t size) {
  if (fuzz_file < 0) {
    fuzz_file = memfd_create("trace", MFD_CLOEXEC);
    require(fuzz_file >= 0);
    snprintf(fuzz_path, sizeof fuzz_path, "/proc/self/fd/%d", fuzz_file);
  }
  require(ftruncate(fuzz_file, 0) == 0);
  require(pwrite(fuzz_file, bytes, size, 0) == (ssize_t)size);
}

static void read_all(void) {
  troupe_trace_t *trace = NULL;
  if (troupe_trace_open(fuzz_path, &trace) != 0) {
    require(trace == NULL);
    return;
  }
  troupe_trace_info_t info;
  troupe_trace_info(trace, &info);
  require(memchr(info.name, '\0', sizeof info.name) != NULL);
  troupe_trace_entry_t entry;
  int result = 0;
  uint64_t hash = 0;
  while ((result = troupe_trace_next(trace, &entry)) == 1) {
    char text[TEXT_SIZE];
    troupe_trace_text(&entry, text, sizeof text);
    hash += strlen(text) + troupe_trace_fields(&entry, text, sizeof text) + strlen(entry.kind);
    hash += strlen(entry.name);
    require(entry.kept <= entry.length);
    if (entry.has_payload) {
      hash += troupe_trace_hash(entry.payload, entry.kept);
    }
  }
  require(troupe_trace_next(trace, &entry) == result);
  troupe_trace_free(&trace);
  require(trace == NULL);
  require(hash != 1); // it must have been made
}

// ---- An actor that uses much of what events can reach ----

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

static void on_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)context;
  troupe_send_chunk(from, message);
}

static void on_timer(troupe_timer_t timer, void *context) {
  int *left = context;
  if (--*left == 0) {
    troupe_timer_stop(timer);
  }
}

static int actor_main(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_drain = on_drain};
  static const troupe_server_options_t options = {.socket_handlers = &handlers};
  troupe_server_t server;
  int left = 3;
  (void)argument;
  int error = troupe_server_new(&options, NULL, NULL, &server);
  if (error == 0) {
    error = troupe_server_listen_port(server, 7007, "127.0.0.1", 0);
  }
  if (error == 0) {
    error = troupe_timer_start(NULL, 1, 1, on_timer, &left);
  }
  if (error == 0) {
    error = troupe_actor_on_message(on_message, NULL);
  }
  return error < 0 ? error : troupe_actor_run();
}

// ---- Another one, that makes connections, and is handed some: parts of its traces are replayed ----

static void pass_on_timer(troupe_timer_t timer, void *context) {
  (void)timer;
  (void)context;
  troupe_connect_path("later", NULL, NULL, NULL);
}

static void pass_on(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_drain = on_drain};
  troupe_socket_t other;
  (void)context;
  if (troupe_connect_port(7009, "127.0.0.1", &handlers, NULL, &other) == 0) {
    troupe_socket_write_chunk(other, chunk, NULL, NULL);
  }
  troupe_timer_start(NULL, 1, 0, pass_on_timer, NULL);
  troupe_socket_write_chunk(socket, chunk, NULL, NULL);
}

static void pass_on_handed(troupe_socket_t socket, troupe_actor_t from,
                           const troupe_chunk_t *message, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = pass_on};
  (void)context;
  troupe_socket_set_handlers(socket, &handlers, NULL);
  if (troupe_chunk_length(message) > 0) {
    troupe_socket_give(socket, from, NULL, 0, NULL, NULL);
  }
}

static int passing_main(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_data = pass_on};
  static const troupe_server_options_t options = {.socket_handlers = &handlers};
  troupe_server_t server;
  (void)argument;
  int error = troupe_actor_on_handed(pass_on_handed, NULL);
  if (error == 0) {
    error = troupe_server_new(&options, NULL, NULL, &server);
  }
  if (error == 0) {
    error = troupe_server_listen_port(server, 7007, "127.0.0.1", 0);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void replay(troupe_main_fn main_function, troupe_verdict_t verdict) {
  troupe_replay_report_t report;
  const troupe_replay_options_t options = {.verdict = verdict};
  int result = troupe_replay_with(main_function, NULL, fuzz_path, &options, &report);
  require(memchr(report.text, '\0', sizeof report.text) != NULL);
  // Whatever is not replayed is told, and why.
  require(result == 0 || report.text[0] != '\0' || result == TROUPE_ENOMEM);
}

// ---- Checksums ----

static void mend_trace(uint8_t *bytes, size_t size) {
  size_t header = trp_get_u32(bytes + 16);
  if (header < TRP_TRACE_HEADER_SIZE || header > size) {
    header = TRP_TRACE_HEADER_SIZE;
    trp_put_u32(bytes + 16, TRP_TRACE_HEADER_SIZE);
  }
  trp_put_u32(bytes + header - 4, trp_crc(0, bytes, header - 4));
  for (size_t at = header; size - at >= TRP_RECORD_HEAD_SIZE;) {
    uint64_t length = trp_get_u64(bytes + at + 8);
    if (length > size - at - TRP_RECORD_HEAD_SIZE) {
      return;
    }
    size_t whole = TRP_RECORD_HEAD_SIZE + (size_t)length;
    trp_put_u32(bytes + at, trp_crc(0, bytes + at + 4, whole - 4));
    at += whole;
  }
}

static void mend_ring(uint8_t *head, size_t ring_size) {
  uint8_t *bytes = head + TRP_FLIGHT_PAGE;
  size_t size = ring_size - TRP_FLIGHT_PAGE;
  size_t start = trp_get_u32(head + 16);
  if (start <= TRP_FLIGHT_PAGE - TRP_FLIGHT_START_AT) {
    trp_put_u32(head + 20, trp_crc(0, head + TRP_FLIGHT_START_AT, start));
  }
  // Records that do not go over the end alone.
  for (size_t at = (size_t)(trp_get_u64(head) % size); at >= TRP_FLIGHT_TAIL_SIZE;) {
    size_t length = trp_get_u32(bytes + at - TRP_FLIGHT_TAIL_SIZE);
    if (length < TRP_RECORD_HEAD_SIZE || length > at - TRP_FLIGHT_TAIL_SIZE) {
      return;
    }
    at -= TRP_FLIGHT_TAIL_SIZE + length;
    uint64_t body = trp_get_u64(bytes + at + 8);
    if (body <= length - TRP_RECORD_HEAD_SIZE) {
      trp_put_u32(bytes + at, trp_crc(0, bytes + at + 4, TRP_RECORD_HEAD_SIZE + (size_t)body - 4));
    }
  }
}

static void mend_flight(uint8_t *bytes, size_t size) {
  size_t header = trp_get_u32(bytes + 16);
  if (size < TRP_FLIGHT_PAGE || header < TRP_FLIGHT_HEADER_SIZE || header > TRP_FLIGHT_PAGE) {
    return;
  }
  trp_put_u32(bytes + header - 4, trp_crc(0, bytes, header - 4));
  size_t ring_size = trp_get_u32(bytes + 24);
  for (size_t at = TRP_FLIGHT_PAGE; ring_size > TRP_FLIGHT_PAGE && size - at >= ring_size;
       at += ring_size) {
    mend_ring(bytes + at, ring_size);
  }
}

// Crashes, or is found by a sanitizer, when something is wrong. Not in an actor's thread.
static inline void trp_fuzz_trace(const uint8_t *bytes, size_t size) {
  if (size < TRP_FLIGHT_HEADER_SIZE) {
    write_file(bytes, size);
    read_all();
    return;
  }
  uint8_t *mended = malloc(size);
  require(mended != NULL);
  memcpy(mended, bytes, size);
  bool flight = memcmp(bytes, TRP_FLIGHT_MAGIC, sizeof TRP_FLIGHT_MAGIC - 1) == 0;
  if (flight) {
    mend_flight(mended, size);
  } else {
    mend_trace(mended, size);
  }
  if (memcmp(mended, bytes, size) != 0) {
    write_file(bytes, size);
    read_all();
  }
  uint32_t mended_flags = trp_get_u32(mended + 20);
  write_file(mended, size);
  free(mended);
  read_all();
  if (!flight) {
    replay(actor_main, TROUPE_VERDICT_EXACT);
  }
  if (!flight && (mended_flags & TRP_TRACE_COMPLETE) == 0) {
    replay(passing_main, TROUPE_VERDICT_STREAM);
    replay(passing_main, TROUPE_VERDICT_EXACT);
  }
}

#endif
