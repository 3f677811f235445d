#include "actors/net/deadlines.h"

#include <troupe/error.h>

#include "actors/net/connector.h"

enum { NS_PER_MS = 1000000 };

static int64_t next_deadline(const trp_stream_t *stream);

void trp_stream_note_activity(trp_stream_t *stream) {
  stream->active_ns = stream->net->now_ns;
  if (stream->timeout_told) {
    stream->timeout_told = false;
    trp_stream_arm(stream);
  }
}

static int64_t next_deadline(const trp_stream_t *stream) {
  const trp_socket_options_t *options = &stream->options;
  bool connects = stream->handle == NULL;
  int64_t next = TRP_NEVER;
  if (options->timeout_ms != 0 && !stream->timeout_told) {
    next = stream->active_ns + (int64_t)options->timeout_ms * NS_PER_MS;
  }
  if (connects && options->connect_deadline_ms != 0) {
    int64_t deadline = stream->opened_ns + (int64_t)options->connect_deadline_ms * NS_PER_MS;
    next = deadline < next ? deadline : next;
  }
  if (!connects && options->first_byte_deadline_ms != 0 && stream->bytes_read == 0 &&
      trp_stream_receives(stream->state)) {
    int64_t deadline = stream->opened_ns + (int64_t)options->first_byte_deadline_ms * NS_PER_MS;
    next = deadline < next ? deadline : next;
  }
  if (!connects && options->write_stall_deadline_ms != 0 && !trp_writes_empty(&stream->writes)) {
    int64_t deadline = stream->progress_ns + (int64_t)options->write_stall_deadline_ms * NS_PER_MS;
    next = deadline < next ? deadline : next;
  }
  return next;
}

void trp_stream_arm(trp_stream_t *stream) {
  if (trp_timers_set_by(&stream->net->timers, &stream->due, next_deadline(stream)) != 0) {
    trp_stream_fail_with(stream, TROUPE_ENOMEM, "connect");
  }
}

void trp_stream_run_due(trp_due_t *due) {
  trp_stream_t *stream = TRP_LIST_ENTRY(due, trp_stream_t, due);
  const trp_socket_options_t *options = &stream->options;
  int64_t now = stream->net->now_ns;
  bool connects = stream->handle == NULL;
  int64_t age = now - stream->opened_ns;
  if (connects && options->connect_deadline_ms != 0 &&
      age >= (int64_t)options->connect_deadline_ms * NS_PER_MS) {
    trp_failure_t failure = {.code = TROUPE_ECONNECTDEADLINE, .syscall = "connect"};
    if (stream->connector != NULL) {
      trp_connector_describe(stream->connector, &failure);
    }
    trp_stream_fail(stream, &failure);
    return;
  }
  if (!connects && options->first_byte_deadline_ms != 0 && stream->bytes_read == 0 &&
      trp_stream_receives(stream->state) &&
      age >= (int64_t)options->first_byte_deadline_ms * NS_PER_MS) {
    trp_stream_fail_with(stream, TROUPE_EFIRSTBYTEDEADLINE, "read");
    return;
  }
  if (!connects && options->write_stall_deadline_ms != 0 && !trp_writes_empty(&stream->writes) &&
      now - stream->progress_ns >= (int64_t)options->write_stall_deadline_ms * NS_PER_MS) {
    trp_stream_fail_with(stream, TROUPE_EWRITESTALLDEADLINE, "write");
    return;
  }
  if (options->timeout_ms != 0 && !stream->timeout_told &&
      now - stream->active_ns >= (int64_t)options->timeout_ms * NS_PER_MS) {
    // Without memory it is told at the next occasion.
    stream->timeout_told = trp_stream_tell(stream, TRP_KIND(EVENT_TIMEOUT)) != NULL;
  }
  trp_stream_arm(stream);
}
