/* One client of a recording, played: what it has to do, what it has to be told, and its socket. */
#ifndef TOOLS_TRACE_SESSION_H_INCLUDED
#define TOOLS_TRACE_SESSION_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { SHOWN_SIZE = 512 };

/* Where to connect to. */
typedef struct {
  struct sockaddr_storage address;
  socklen_t length;
} place_t;

typedef enum { STEP_SEND, STEP_END, STEP_RESET } step_type_t;

typedef struct step {
  struct step *next;
  step_type_t type;
  int64_t due_ms;
  uint64_t needs; /* so many bytes must have come before */
  size_t length, done;
  unsigned char bytes[];
} step_t;

typedef struct expected {
  struct expected *next;
  size_t length, done;
  unsigned char bytes[];
} expected_t;

/* Zeroed but for `id` and `due_ms` it is one that has not connected yet. */
typedef struct session {
  struct session *next; /* of all that are open */
  uint64_t id;
  int fd; /* -1 before and after */
  int64_t due_ms;
  bool connecting, connected, closed;
  step_t *steps, **steps_last;
  expected_t *expected, **expected_last;
  uint64_t expected_bytes, received_bytes, sent_bytes;
  unsigned char *ahead; /* came before the recording says what is to come */
  size_t ahead_length, ahead_capacity;
  bool is_over;       /* the recording has no more of it */
  bool ends, cut_off; /* the server ends, drops it */
  bool saw_end;
  bool differs;
  char why[SHOWN_SIZE];
} session_t;

/* All return false when there is no memory. */
bool session_step(session_t *session, step_type_t type, int64_t due_ms, const void *bytes,
                  size_t length);
bool session_expect(session_t *session, const void *bytes, size_t length);

/* Does what can be done at `now_ms`; `events` are epoll's. Returns when it wants to be called next
 * at the latest (INT64_MAX: when something happens on its socket), with the events it waits for. */
int64_t session_go_on(session_t *session, const place_t *place, unsigned events, int64_t now_ms,
                      unsigned *wanted);

/* Whether all of the steps are done and all that was expected is there. */
bool session_is_settled(const session_t *session);

/* What it still waits for becomes its difference. */
void session_give_up(session_t *session);

void session_free(session_t *session);

#endif
