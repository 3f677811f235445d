// One scenario while it is played: its objects, what they have told so far, and what is printed of
// it. Everything runs in the actor's thread, but for stage_print_all() and the readers of peers.
#ifndef TRP_TESTS_NODE_STAGE_H_INCLUDED
#define TRP_TESTS_NODE_STAGE_H_INCLUDED

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <troupe/troupe.h>

#include "tests/node/play/scenario.h"

enum {
  MAX_OBJECTS = 24,
  MAX_PORTS = 32,
  MAX_FDS = 8,
  SHORT_DATA = 40, // bytes that are printed as they are; of more, a hash
};

struct stage;

// A process that plays a script (peer.c).
typedef struct peer {
  struct stage *stage;
  uint8_t index; // of its object
  pid_t pid;
  int to;   // its standard input
  int from; // its standard output
  pthread_t reader;
} peer_t;

// What a scenario gives a name to. An accepted connection has its server's name and a number.
typedef struct object {
  struct stage *stage;
  const char *name;
  bool is_socket;
  troupe_socket_t socket;
  troupe_server_t server;
  troupe_abort_t signal;
  peer_t *peer;
  bool no_data;       // nobody takes what comes
  unsigned accepted;  // connections of a server
  unsigned callbacks; // of close(), that wait for it
  bool disposes;
  uint64_t received;
  size_t offset; // in the pattern that is written
  const char *answer;
  int own_error; // that the scenario itself made
  bool stop;     // onread's callback returns false
  size_t buffer_size;
  troupe_onread_t onread;
} object_t;

typedef struct line {
  struct line *next;
  struct line *before;
  const char *name;
  const char *data; // the event, where the line is of bytes that came
  const char *flags;
  char start[SHORT_DATA + 1];
  bool hidden; // it is not ASCII: a hash is printed
  size_t length;
  uint32_t hash;
  const char *text;
} line_t;

typedef struct seen {
  struct seen *next;
  const char *name;
  const char *event;
  unsigned count;
} seen_t;

typedef struct stage {
  scenario_t *scenario;
  troupe_system_t *system;
  troupe_actor_t actor;
  const char *folder;
  const char *peer_program;
  object_t objects[MAX_OBJECTS];
  size_t object_count;
  unsigned peers; // that run
  struct {
    int number;
    const char *name;
  } ports[MAX_PORTS];
  size_t port_count;
  seen_t *seen;
  line_t *lines, *last;
  bool over;
  const struct stage *recorded; // what is replayed here, without peers and descriptors; or NULL
  int fds[MAX_FDS];             // that were taken
  size_t fd_count;
} stage_t;

// ---- What is printed ----

void stage_print(stage_t *stage, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
line_t *stage_reserve(stage_t *stage, const char *name);
void stage_print_data(object_t *object, const char *event, const void *bytes, size_t length,
                      bool may_join);
void stage_print_all(const stage_t *stage, FILE *out);
bool stage_tells_the_same(const stage_t *a, const stage_t *b);  // object by object
bool stage_prints_the_same(const stage_t *a, const stage_t *b); // but for what is about files
void stage_name_port(stage_t *stage, int number, const char *name);
int stage_port(const stage_t *stage, const char *text); // "@s", or a number

// Texts that last as long as the program.
const char *port_text(const stage_t *stage, int port);
const char *plain_text(const stage_t *stage, const char *text);
const char *address_text(const stage_t *stage, const troupe_address_t *address);
const char *goal_text(const stage_t *stage, const troupe_address_t *address);
const char *error_text(const object_t *object, const troupe_error_t *error);
const char *path_text(const stage_t *stage, const char *text, size_t *length);
const char *flags_text(const object_t *object);

// ---- What is told ----

object_t *stage_object(stage_t *stage, const char *name); // ends the program if there is none
object_t *stage_add(stage_t *stage, const char *name);

// Prints what an object tells, and lets the scenario go on with it.
void tell(object_t *object, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fire(stage_t *stage, const char *name, const char *event);
void received(object_t *object, size_t length);
void stage_run(stage_t *stage, const block_t *block);
void stage_finish(stage_t *stage, const char *how);

// ---- What is done ----

// Calls `call` once the callback that runs now and those that are due are done.
void soon(stage_t *stage, void (*call)(void *context), void *context);

void perform(stage_t *stage, const action_t *action);
void peers_end(stage_t *stage); // by the main thread, when the actor is gone

// The verbs of each subject: true if it was one of theirs.
bool perform_socket(stage_t *stage, const action_t *action);
bool perform_server(stage_t *stage, const action_t *action);
bool perform_peer(stage_t *stage, const action_t *action);

// The token of `signal`, which is aborted already with `aborted`. {0} without.
troupe_abort_t signal_of(object_t *object, const action_t *action);

extern const troupe_socket_handlers_t consuming; // everything
extern const troupe_socket_handlers_t waiting;   // everything but bytes

// Takes a descriptor that the launcher made: "unix" the next of that kind, "unix.other" the second
// of the pair that was taken last. A number is itself.
int take_descriptor(stage_t *stage, const char *text);
void read_descriptors(void);

#endif
