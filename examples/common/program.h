/* What the example programs have in common: options, targets, running until a signal. Uses troupe's
 * public headers alone. */
#ifndef EXAMPLES_PROGRAM_H_INCLUDED
#define EXAMPLES_PROGRAM_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>
#include <troupe/troupe.h>

enum { PROGRAM_HOST_SIZE = 256, PROGRAM_PATH_SIZE = TROUPE_PATH_MAX + 1 };

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

/* A whole number from `low` to `high`, or a usage error that names the option. */
long program_number(const char *option, const char *text, long low, long high);

/* "HOST:PORT", "[::1]:80", ":80" (any host), a path with a '/', or "@name"; or a usage error. */
void program_target(program_target_t *target, const char *text);

/* The target in the words of troupe's options. `path` gets the bytes of an abstract name. */
void program_listen_options(const program_target_t *target, troupe_listen_options_t *options);
void program_connect_options(const program_target_t *target, troupe_connect_options_t *options);

/* Reads the value of --host or --path into the target, or ends with a usage error. */
void program_host_option(program_target_t *target, const char *text);
void program_path_option(program_target_t *target, const char *text);

/* --systemd[=NAME]: listen on the socket that was passed to the program, of that name if there is
   one; ends the program if there is no such socket, or without a name more than one. */
void program_systemd_option(program_target_t *target, const char *name);

/* Lets the process open as many files as it may, up to 65536: a connection is one. Called before
 * the system is made. */
void program_raise_file_limit(void);

/* A replay listens on nothing, so it shall not say so. Set before any actor is there. */
extern bool program_replays;

/* Makes the server of an actor listen, and waits for that. The last of the actor's `copies` prints
 * "listening ADDRESS": then all do. 0 or an error. */
int program_listen(troupe_server_t server, const program_target_t *target, unsigned copies);

/* What main() of a server does once it has read its options: starts a system, and copies of an
   actor in it, each with its own copy of the argument, over so many I/O threads; then
   program_run(). Returns the exit status.
 */
int program_serve(const char *name, troupe_main_fn main, void *argument, size_t argument_size,
                  unsigned copies, unsigned io_threads, unsigned grace_ms);

/* Blocks SIGINT and SIGTERM: called first, before any thread is there. */
void program_block_signals(void);

/* Waits for SIGINT or SIGTERM; then stops the system with some grace and frees it. Actors that have
   all ended by themselves end the program too, as a failure. Returns the program's exit status. */
int program_run(troupe_system_t *system, unsigned grace_ms);

/* The same, but SIGHUP, which the caller has blocked, calls `reload` and goes on. */
int program_run_reloading(troupe_system_t *system, unsigned grace_ms,
                          void (*reload)(troupe_system_t *system, void *context), void *context);

/* Stops the system (asked by the application), waits and frees it, saying which actors did not
 * stop. Returns the exit status. */
int program_stop(troupe_system_t *system, unsigned grace_ms);

/* "HOST:PORT" with brackets around IPv6, or the path. */
void program_address_text(const troupe_address_t *address, char *text, size_t size);

#endif
