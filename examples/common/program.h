/* What the example programs have in common: options, targets, running until a signal. Uses troupe's
 * public headers alone. */
#ifndef EXAMPLES_PROGRAM_H_INCLUDED
#define EXAMPLES_PROGRAM_H_INCLUDED

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>
#include <troupe/troupe.h>

enum {
  PROGRAM_HOST_SIZE = 256,
  PROGRAM_PATH_SIZE = TROUPE_PATH_MAX + 1,
  PROGRAM_TARGET_TEXT_SIZE = PROGRAM_HOST_SIZE + TROUPE_ADDRESS_TEXT_SIZE,
};

/* Where to listen or to connect to: a host and a port, or the path of a Unix socket ("@name": an
 * abstract one). */
typedef struct {
  char host[PROGRAM_HOST_SIZE]; /* empty: none */
  int port;
  char path[PROGRAM_PATH_SIZE]; /* empty: none; abstract names begin with '@' */
  bool activated;               /* instead: listen on a socket that was passed, */
  int fd;                       /* this one, */
  troupe_address_t address;     /* which listens there */
  bool reuse_port;              /* other processes may listen there too */
} program_target_t;

/* Prints "PROGRAM: …" on stderr and ends with status 1; program_usage_error() ends with 2 and
 * points to --help. */
noreturn void program_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
noreturn void program_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What getopt_long() returned is no option of ours: a usage error that says why. The programs'
   short options begin with ':', so that getopt_long() itself prints nothing. */
noreturn void program_wrong_option(int result, char **argv);

/* There is nothing behind the options, or a usage error. */
void program_no_arguments(int argc, char **argv);

/* A whole number from `low` to `high`, or a usage error that names the option. */
long program_number(const char *option, const char *text, long low, long high);

/* "HOST:PORT", "[::1]:80", ":80" (any host), a path with a '/', or "@name"; or a usage error. */
void program_target(program_target_t *target, const char *text);

/* The target in the words of troupe's options. `path` gets the bytes of an abstract name. */
void program_listen_options(const program_target_t *target, troupe_listen_options_t *options);
void program_connect_options(const program_target_t *target, troupe_connect_options_t *options);

/* ---- Options that servers have in common: for the table of getopt_long(), and for --help ---- */

enum {
  PROGRAM_HOST = 256, /* above all numbers of a program's own options */
  PROGRAM_PORT,
  PROGRAM_PATH,
  PROGRAM_IO_THREADS,
  PROGRAM_RECORD,
  PROGRAM_FLIGHT,
  PROGRAM_HELP,
};

/* clang-format off */
#define PROGRAM_TARGET_OPTIONS                                                                     \
  {"host", required_argument, NULL, PROGRAM_HOST},                                                 \
  {"port", required_argument, NULL, PROGRAM_PORT},                                                 \
  {"path", required_argument, NULL, PROGRAM_PATH}

#define PROGRAM_SYSTEM_OPTIONS                                                                     \
  {"io-threads", required_argument, NULL, PROGRAM_IO_THREADS},                                     \
  {"record", required_argument, NULL, PROGRAM_RECORD},                                             \
  {"flight", required_argument, NULL, PROGRAM_FLIGHT},                                             \
  {"help", no_argument, NULL, PROGRAM_HELP}
/* clang-format on */

#define PROGRAM_TARGET_HELP                                                                        \
  "  --host H         the address to listen on (default: all)\n"                                   \
  "  --port P         the port (default: 0, the system picks one)\n"                               \
  "  --path P         a Unix socket instead; @NAME is an abstract one\n"

#define PROGRAM_SYSTEM_HELP                                                                        \
  "  --io-threads N   threads that own the sockets and share them out (default: 1)\n"              \
  "  --record DIR     record each actor into DIR/NAME-INDEX.trace\n"                               \
  "  --flight FILE    keep the last moments of each thread in FILE\n"                              \
  "  --help           this text"

/* What the latter say. Right when zeroed. */
typedef struct {
  unsigned io_threads;
  int spin_us;        /* as in troupe's options; set by who has an option for it */
  const char *record; /* a folder, or NULL */
  const char *flight; /* a file, or NULL */
} program_system_t;

/* One of these options, as getopt_long() returned it; `target` is NULL where there are none of the
   first kind. --help prints and ends the program; any other ends it with a usage error. */
void program_option(int option, char **argv, program_target_t *target, program_system_t *system,
                    void (*help)(void));

/* --systemd[=NAME]: listen on the socket that was passed to the program, of that name if there is
   one; ends the program if there is no such socket, or without a name more than one. */
void program_systemd_option(program_target_t *target, const char *name);

/* Makes the system, and records it if that is asked for; before any other thread is there. SIGINT
   and SIGTERM are blocked from then on, and the process may open as many files as it may at all, up
   to 65536: a connection is one. Ends the program if it fails. */
troupe_system_t *program_system_new(const program_system_t *options);

/* A replay listens on nothing, so it shall not say so. Set before any actor is there. */
extern bool program_replays;

/* Called in an actor: from here on it says on stderr when recording of it stops early, as on a full
 * disk. program_listen() does this, too. */
void program_tell_recording(void);

/* Makes the server of an actor listen, and waits for that. The last of the actor's `copies` prints
 * "listening ADDRESS": then all do. 0 or an error. */
int program_listen(troupe_server_t server, const program_target_t *target, unsigned copies);

/* What main() of a server does once it has read its options: starts a system, and copies of an
   actor in it, each with its own copy of the argument; then program_run(). Returns the exit status.
   `target` is where they listen, for the case that they cannot. */
int program_serve(const program_system_t *options, const program_target_t *target, const char *name,
                  troupe_main_fn main, void *argument, size_t argument_size, unsigned copies,
                  unsigned grace_ms);

/* Actors could not be started: says why, as what they wanted to do, and ends the program. */
noreturn void program_give_up(troupe_system_t *system, const char *what, int error);

/* The same of actors that were to listen there. */
noreturn void program_cannot_listen(troupe_system_t *system, const program_target_t *target,
                                    int error);

/* Waits for SIGINT or SIGTERM; then stops the system with some grace and frees it. Actors that have
   all ended by themselves end the program too, as a failure. Returns the program's exit status. */
int program_run(troupe_system_t *system, unsigned grace_ms);

/* The same, but SIGHUP, which the caller has blocked, calls `reload` and goes on. */
int program_run_reloading(troupe_system_t *system, unsigned grace_ms,
                          void (*reload)(troupe_system_t *system, void *context), void *context);

/* Stops the system (asked by the application), waits and frees it, saying which actors did not
 * stop. Returns the exit status. */
int program_stop(troupe_system_t *system, unsigned grace_ms);

/* As program_target() reads it. */
void program_target_text(const program_target_t *target, char *text, size_t size);

/* "HOST:PORT" with brackets around IPv6, or the path. */
void program_address_text(const troupe_address_t *address, char *text, size_t size);

#endif
