#include "tools/trace/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, AHEAD_MAX = 4 * 1024 * 1024, AROUND = 16 };

static void differ(session_t *session, const char *why) {
  if (!session->differs) {
    session->differs = true;
    snprintf(session->why, sizeof session->why, "%s", why);
  }
}

static void drop(session_t *session) {
  if (session->fd >= 0) {
    close(session->fd);
    session->fd = -1;
  }
  session->closed = true;
}

bool session_step(session_t *session, step_type_t type, int64_t due_ms, const void *bytes,
                  size_t length) {
  step_t *step = malloc(sizeof *step + length);
  if (step == NULL) {
    return false;
  }
  *step = (step_t){
      .type = type, .due_ms = due_ms, .needs = session->expected_bytes, .length = length};
  if (length > 0) {
    memcpy(step->bytes, bytes, length);
  }
  if (session->steps == NULL) {
    session->steps_last = &session->steps;
  }
  *session->steps_last = step;
  session->steps_last = &step->next;
  return true;
}

/* Shows what was expected and what came around the first byte that is not the same. */
static void show_difference(session_t *session, const unsigned char *expected,
                            const unsigned char *got, size_t length, uint64_t position) {
  char text[SHOWN_SIZE];
  int at = snprintf(text, sizeof text, "byte %llu of the answer is not as recorded: expected \"",
                    (unsigned long long)position);
  for (int round = 0; round < 2; round++) {
    const unsigned char *bytes = round == 0 ? expected : got;
    for (size_t i = 0; i < length && i < AROUND; i++) {
      bool plain = bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\';
      at += snprintf(text + at, sizeof text - (size_t)at, plain ? "%c" : "\\x%02x", bytes[i]);
    }
    at += snprintf(text + at, sizeof text - (size_t)at, round == 0 ? "\", got \"" : "\"");
  }
  differ(session, text);
}

/* Compares what came with what is expected; returns how many bytes could be. */
static size_t match(session_t *session, const unsigned char *bytes, size_t length) {
  size_t done = 0;
  while (done < length && session->expected != NULL && !session->differs) {
    expected_t *expected = session->expected;
    size_t part = expected->length - expected->done;
    part = part < length - done ? part : length - done;
    const unsigned char *wanted = expected->bytes + expected->done;
    if (memcmp(wanted, bytes + done, part) != 0) {
      size_t at = 0;
      while (wanted[at] == bytes[done + at]) {
        at++;
      }
      show_difference(session, wanted + at, bytes + done + at, part - at,
                      session->received_bytes + at);
      return done;
    }
    done += part;
    expected->done += part;
    session->received_bytes += part;
    if (expected->done == expected->length) {
      session->expected = expected->next;
      free(expected);
    }
  }
  return done;
}

bool session_expect(session_t *session, const void *bytes, size_t length) {
  expected_t *expected = malloc(sizeof *expected + length);
  if (expected == NULL) {
    return false;
  }
  *expected = (expected_t){.length = length};
  memcpy(expected->bytes, bytes, length);
  if (session->expected == NULL) {
    session->expected_last = &session->expected;
  }
  *session->expected_last = expected;
  session->expected_last = &expected->next;
  session->expected_bytes += length;
  if (session->ahead_length > 0) {
    size_t done = match(session, session->ahead, session->ahead_length);
    session->ahead_length -= done;
    memmove(session->ahead, session->ahead + done, session->ahead_length);
  }
  return true;
}

static bool keep_ahead(session_t *session, const unsigned char *bytes, size_t length) {
  if (length == 0) {
    return true;
  }
  if (session->ahead_length + length > session->ahead_capacity) {
    size_t capacity = 2 * (session->ahead_length + length);
    unsigned char *grown = realloc(session->ahead, capacity);
    if (grown == NULL) {
      return false;
    }
    session->ahead = grown;
    session->ahead_capacity = capacity;
  }
  memcpy(session->ahead + session->ahead_length, bytes, length);
  session->ahead_length += length;
  return true;
}

static void start_connecting(session_t *session, const place_t *place) {
  session->fd = socket(place->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (session->fd < 0 ||
      (connect(session->fd, (const struct sockaddr *)&place->address, place->length) != 0 &&
       errno != EINPROGRESS)) {
    char text[SHOWN_SIZE];
    snprintf(text, sizeof text, "it cannot connect: %s", strerror(errno));
    differ(session, text);
    drop(session);
    return;
  }
  session->connecting = true;
}

static void finish_connecting(session_t *session) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  session->connecting = false;
  session->connected = error == 0;
  if (error != 0) {
    char text[SHOWN_SIZE];
    snprintf(text, sizeof text, "it cannot connect: %s", strerror(error));
    differ(session, text);
    drop(session);
  }
}

static void read_answers(session_t *session) {
  unsigned char bytes[READ_SIZE];
  while (session->fd >= 0 && !session->saw_end && session->ahead_length < AHEAD_MAX) {
    ssize_t count = recv(session->fd, bytes, sizeof bytes, 0);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno != EAGAIN) {
        session->saw_end = true; // a reset ends it, too
      }
      return;
    }
    if (count == 0) {
      session->saw_end = true;
      return;
    }
    size_t done = session->ahead_length > 0 ? 0 : match(session, bytes, (size_t)count);
    if (!session->differs && !keep_ahead(session, bytes + done, (size_t)count - done)) {
      differ(session, "there is no memory for its answers");
    }
  }
}

/* Returns when the next step is due; INT64_MAX: it waits for the socket, or for nothing. */
static int64_t take_steps(session_t *session, int64_t now_ms, bool *blocked) {
  while (session->steps != NULL && session->fd >= 0) {
    step_t *step = session->steps;
    if (session->received_bytes < step->needs) {
      return INT64_MAX;
    }
    if (now_ms < step->due_ms) {
      return step->due_ms;
    }
    if (step->type == STEP_SEND && step->done < step->length) {
      ssize_t count = send(session->fd, step->bytes + step->done, step->length - step->done,
                           MSG_NOSIGNAL);
      if (count < 0 && errno == EAGAIN) {
        *blocked = true;
        return INT64_MAX;
      }
      if (count < 0) {
        session->saw_end = true;
        return INT64_MAX;
      }
      step->done += (size_t)count;
      session->sent_bytes += (uint64_t)count;
      if (step->done < step->length) {
        continue;
      }
    } else if (step->type == STEP_END) {
      shutdown(session->fd, SHUT_WR);
    } else if (step->type == STEP_RESET) {
      struct linger linger = {.l_onoff = 1};
      setsockopt(session->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
      drop(session);
    }
    session->steps = step->next;
    free(step);
  }
  return INT64_MAX;
}

bool session_is_settled(const session_t *session) {
  if (session->closed) {
    return true;
  }
  return session->steps == NULL && session->expected == NULL && session->connected;
}

int64_t session_go_on(session_t *session, const place_t *place, unsigned events, int64_t now_ms,
                      unsigned *wanted) {
  int64_t next = INT64_MAX;
  bool blocked = false;
  *wanted = 0;
  if (session->closed) {
    return INT64_MAX;
  }
  if (session->fd < 0) {
    if (now_ms < session->due_ms) {
      return session->due_ms;
    }
    start_connecting(session, place);
  } else if (session->connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    finish_connecting(session);
  }
  if (session->connected) {
    read_answers(session);
    next = take_steps(session, now_ms, &blocked);
  }
  if (session->fd >= 0 && session->differs) {
    drop(session);
  }
  if (session->fd < 0) {
    return INT64_MAX;
  }
  if (session->saw_end && (session->is_over || !session->ends)) {
    // Nothing comes any more; was that all?
    bool all = session->expected == NULL;
    if (!all && !session->cut_off) {
      differ(session, "the server ended it before all answers had come");
    } else if (all && session->steps != NULL && !session->cut_off) {
      differ(session, "the server ended it while it still had something to send");
    }
    if (session->is_over || session->differs) {
      drop(session);
    }
  } else if (session->is_over && session_is_settled(session) && session->ahead_length > 0) {
    differ(session, "the server answers more than in the recording");
    drop(session);
  } else if (session->is_over && session_is_settled(session) &&
             !((session->ends || session->cut_off) && !session->saw_end)) {
    drop(session);
  }
  if (session->fd >= 0) {
    bool reads = !session->saw_end && session->ahead_length < AHEAD_MAX;
    *wanted = (session->connecting || blocked ? (unsigned)EPOLLOUT : 0) |
              (session->connected && reads ? (unsigned)EPOLLIN : 0);
  }
  return next;
}

void session_give_up(session_t *session) {
  char text[SHOWN_SIZE];
  if (session->closed) {
    return;
  }
  if (session->expected != NULL) {
    snprintf(text, sizeof text, "after %llu bytes of answers no more came; %llu were recorded",
             (unsigned long long)session->received_bytes,
             (unsigned long long)session->expected_bytes);
  } else if (session->steps != NULL) {
    snprintf(text, sizeof text, "the server took no more after %llu bytes",
             (unsigned long long)session->sent_bytes);
  } else {
    snprintf(text, sizeof text, "the server does not end it, as it did in the recording");
  }
  differ(session, text);
  drop(session);
}

void session_free(session_t *session) {
  drop(session);
  while (session->steps != NULL) {
    step_t *step = session->steps;
    session->steps = step->next;
    free(step);
  }
  while (session->expected != NULL) {
    expected_t *expected = session->expected;
    session->expected = expected->next;
    free(expected);
  }
  free(session->ahead);
  free(session);
}
