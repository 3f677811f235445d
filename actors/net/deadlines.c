#include "actors/net/deadlines.h"

#include <troupe/error.h>

#include "actors/net/connector.h"

enum { NS_PER_MS = 1000000 };

static int64_t next_deadline(const trp_stream_t *stream);
static bool awaits_first_byte(const trp_stream_t *stream);
static int64_t earlier(int64_t deadline, int64_t since_ns, uint32_t limit_ms);

void trp_stream_note_activity(trp_stream_t *stream) {
  stream->active_ns = stream->net->now_ns;
  if (stream->timeout_told) {
    stream->timeout_told = false;
    trp_stream_arm(stream);
  }
}

static int64_t next_deadline(const trp_stream_t *stream) {
  const trp_socket_options_t *options = &stream->options;
  int64_t next = TRP_NEVER;
  if (!stream->timeout_told) {
    next = earlier(next, stream->active_ns, options->timeout_ms);
  }
  if (stream->handle == NULL) {
    return earlier(next, stream->began_ns, options->connect_deadline_ms);
  }
  if (awaits_first_byte(stream)) {
    next = earlier(next, stream->began_ns, options->first_byte_deadline_ms);
  }
  if (!trp_writes_empty(&stream->writes)) {
    next = earlier(next, stream->progress_ns, options->write_stall_deadline_ms);
  }
  return next;
}

/// A limit of 0 is none.
static int64_t earlier(int64_t deadline, int64_t since_ns, uint32_t limit_ms) {
  int64_t other = since_ns + (int64_t)limit_ms * NS_PER_MS;
  return limit_ms != 0 && other < deadline ? other : deadline;
}

/// The peer is not to blame for what nobody reads.
static bool awaits_first_byte(const trp_stream_t *stream) {
  return stream->bytes_read == 0 && stream->wanted & TRP_READ && trp_stream_receives(stream->state);
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
  if (connects && earlier(TRP_NEVER, stream->began_ns, options->connect_deadline_ms) <= now) {
    trp_failure_t failure = {.code = TROUPE_ECONNECTDEADLINE, .syscall = "connect"};
    if (stream->connector != NULL) {
      trp_connector_describe(stream->connector, &failure);
    }
    trp_stream_fail(stream, &failure);
    return;
  }
  if (!connects && awaits_first_byte(stream) &&
      earlier(TRP_NEVER, stream->began_ns, options->first_byte_deadline_ms) <= now) {
    trp_stream_fail_with(stream, TROUPE_EFIRSTBYTEDEADLINE, "read");
    return;
  }
  if (!connects && !trp_writes_empty(&stream->writes) &&
      earlier(TRP_NEVER, stream->progress_ns, options->write_stall_deadline_ms) <= now) {
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
