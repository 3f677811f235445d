// ref_uv: the reference that troupe is measured against. A plain libuv echo server, on one thread,
// as somebody writes it who knows libuv: one static buffer for all reads, a write is tried at once
// and only the rest is copied and queued, and a peer that does not read is no longer read from.

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
  BACKLOG = 4096,
  READ_SIZE = 65536,
  QUEUE_HIGH = 262144, // reading stops when so many bytes wait to be written,
  QUEUE_LOW = 65536,   // and goes on when no more than this are left
  EXIT_USAGE = 2,
};

typedef union {
  uv_handle_t handle;
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
} any_stream_t;

typedef struct {
  any_stream_t socket;
  uv_shutdown_t shutdown;
  bool paused;
} client_t;

typedef struct {
  uv_write_t request;
  char bytes[];
} pending_t;

static const char help[] =
    "usage: ref_uv [--host H] [--port P] [--path P] [--work-us U]\n"
    "\n"
    "Echoes with plain libuv; what troupe is measured against.\n"
    "\n"
    "  --host H      address to listen on (127.0.0.1)\n"
    "  --port P      port; 0, the default, lets the system choose\n"
    "  --path P      listen on this Unix socket instead\n"
    "  --work-us U   compute for so many microseconds per message\n"
    "  --version     print the version of libuv\n"
    "\n"
    "Prints \"listening HOST:PORT\" (or the path) when ready. Ends on SIGTERM and SIGINT.\n";

static any_stream_t listener;
static uv_signal_t terminate;
static uv_signal_t interrupt;
static uint64_t work_ns;
static char read_buffer[READ_SIZE];

static void listen_on_address(const char *host, int port);
static void listen_on_path(const char *path);
static void on_connection(uv_stream_t *server, int status);
static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);
static void echo(client_t *client, size_t length);
static void on_written(uv_write_t *request, int status);
static void end(client_t *client);
static void on_shutdown(uv_shutdown_t *request, int status);
static void drop(client_t *client);
static void on_client_closed(uv_handle_t *handle);
static void on_signal(uv_signal_t *signal, int number);
static void close_any(uv_handle_t *handle, void *unused);
static void work(void);
static int read_number(const char *name, const char *text, int most);
static void need(int result, const char *doing);

int main(int count, char **arguments) {
  static const struct option options[] = {
      {"host", required_argument, NULL, 'H'},
      {"port", required_argument, NULL, 'P'},
      {"path", required_argument, NULL, 'U'},
      {"work-us", required_argument, NULL, 'w'},
      {"version", no_argument, NULL, 'v'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  const char *host = "127.0.0.1";
  const char *path = NULL;
  int port = 0;
  int letter;
  while ((letter = getopt_long(count, arguments, "h", options, NULL)) != -1) {
    switch (letter) {
    case 'H':
      host = optarg;
      break;
    case 'P':
      port = read_number("--port", optarg, 65535);
      break;
    case 'U':
      path = optarg;
      break;
    case 'w':
      work_ns = (uint64_t)read_number("--work-us", optarg, 1000000) * 1000;
      break;
    case 'v':
      printf("libuv %s\n", uv_version_string());
      return EXIT_SUCCESS;
    case 'h':
      fputs(help, stdout);
      return EXIT_SUCCESS;
    default:
      fputs("ref_uv: try --help\n", stderr);
      return EXIT_USAGE;
    }
  }
  if (optind != count) {
    fputs("ref_uv: takes options only; try --help\n", stderr);
    return EXIT_USAGE;
  }

  signal(SIGPIPE, SIG_IGN); // a peer that has gone is an error of the write
  uv_loop_t *loop = uv_default_loop();
  need(uv_signal_init(loop, &terminate), "signal");
  need(uv_signal_init(loop, &interrupt), "signal");
  need(uv_signal_start(&terminate, on_signal, SIGTERM), "signal");
  need(uv_signal_start(&interrupt, on_signal, SIGINT), "signal");
  if (path != NULL) {
    listen_on_path(path);
  } else {
    listen_on_address(host, port);
  }
  fflush(stdout);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void listen_on_address(const char *host, int port) {
  struct sockaddr_storage address;
  if (uv_ip4_addr(host, port, (struct sockaddr_in *)&address) != 0) {
    need(uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address), host);
  }
  need(uv_tcp_init(uv_default_loop(), &listener.tcp), "socket");
  need(uv_tcp_bind(&listener.tcp, (const struct sockaddr *)&address, 0), "bind");
  need(uv_listen(&listener.stream, BACKLOG, on_connection), "listen");

  int length = sizeof address;
  need(uv_tcp_getsockname(&listener.tcp, (struct sockaddr *)&address, &length), "getsockname");
  bool is_ipv6 = address.ss_family == AF_INET6;
  in_port_t bound = is_ipv6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                            : ((struct sockaddr_in *)&address)->sin_port;
  printf(is_ipv6 ? "listening [%s]:%d\n" : "listening %s:%d\n", host, ntohs(bound));
}

static void listen_on_path(const char *path) {
  need(uv_pipe_init(uv_default_loop(), &listener.pipe, 0), "socket");
  need(uv_pipe_bind(&listener.pipe, path), "bind");
  need(uv_listen(&listener.stream, BACKLOG, on_connection), "listen");
  printf("listening %s\n", path);
}

static void on_connection(uv_stream_t *server, int status) {
  if (status != 0) {
    fprintf(stderr, "ref_uv: accept: %s\n", uv_strerror(status));
    return;
  }
  client_t *client = calloc(1, sizeof *client);
  if (client == NULL) {
    fputs("ref_uv: no memory for a connection\n", stderr);
    return; // libuv keeps it, and accepts no other until this one is taken
  }
  if (server->type == UV_TCP) {
    uv_tcp_init(server->loop, &client->socket.tcp);
  } else {
    uv_pipe_init(server->loop, &client->socket.pipe, 0);
  }
  if (uv_accept(server, &client->socket.stream) != 0) {
    drop(client);
    return;
  }
  if (server->type == UV_TCP) {
    uv_tcp_nodelay(&client->socket.tcp, 1);
  }
  if (uv_read_start(&client->socket.stream, give_buffer, on_read) != 0) {
    drop(client);
  }
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle;
  (void)suggested;
  *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  (void)buffer;
  client_t *client = (client_t *)stream;
  if (count > 0) {
    if (work_ns != 0) {
      work();
    }
    echo(client, (size_t)count);
  } else if (count == UV_EOF) {
    end(client);
  } else if (count < 0) {
    drop(client);
  }
}

static void echo(client_t *client, size_t length) {
  uv_stream_t *stream = &client->socket.stream;
  uv_buf_t buffer = uv_buf_init(read_buffer, (unsigned)length);
  int written = uv_try_write(stream, &buffer, 1);
  if (written < 0 && written != UV_EAGAIN) {
    drop(client);
    return;
  }
  size_t done = written > 0 ? (size_t)written : 0;
  if (done == length) {
    return;
  }
  pending_t *pending = malloc(sizeof *pending + length - done);
  if (pending == NULL) {
    drop(client);
    return;
  }
  memcpy(pending->bytes, read_buffer + done, length - done);
  buffer = uv_buf_init(pending->bytes, (unsigned)(length - done));
  if (uv_write(&pending->request, stream, &buffer, 1, on_written) != 0) {
    free(pending);
    drop(client);
    return;
  }
  if (!client->paused && uv_stream_get_write_queue_size(stream) > QUEUE_HIGH) {
    client->paused = true;
    uv_read_stop(stream);
  }
}

static void on_written(uv_write_t *request, int status) {
  client_t *client = (client_t *)request->handle;
  free(request); // the first member of its pending_t
  if (status != 0) {
    drop(client);
  } else if (client->paused &&
             uv_stream_get_write_queue_size(&client->socket.stream) <= QUEUE_LOW) {
    client->paused = false;
    uv_read_start(&client->socket.stream, give_buffer, on_read);
  }
}

static void end(client_t *client) {
  if (uv_stream_get_write_queue_size(&client->socket.stream) == 0) {
    drop(client); // all is with the kernel, which ends the stream behind it
    return;
  }
  if (uv_shutdown(&client->shutdown, &client->socket.stream, on_shutdown) != 0) {
    drop(client);
  }
}

static void on_shutdown(uv_shutdown_t *request, int status) {
  (void)status;
  drop((client_t *)request->handle);
}

static void drop(client_t *client) {
  if (!uv_is_closing(&client->socket.handle)) {
    uv_close(&client->socket.handle, on_client_closed);
  }
}

static void on_client_closed(uv_handle_t *handle) {
  free(handle); // the first member of its client_t
}

static void on_signal(uv_signal_t *signal, int number) {
  (void)number;
  uv_walk(signal->loop, close_any, NULL);
}

static void close_any(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (uv_is_closing(handle)) {
    return;
  }
  bool is_static = handle == &listener.handle || handle->type == UV_SIGNAL;
  uv_close(handle, is_static ? NULL : on_client_closed);
}

// By the clock on the wall, as the handlers of every server that is measured do it.
static void work(void) {
  uint64_t end_ns = uv_hrtime() + work_ns;
  while (uv_hrtime() < end_ns) {
  }
}

static int read_number(const char *name, const char *text, int most) {
  char *rest;
  errno = 0;
  long value = strtol(text, &rest, 10);
  if (errno != 0 || rest == text || *rest != '\0' || value < 0 || value > most) {
    fprintf(stderr, "ref_uv: %s %s: a number from 0 to %d is needed\n", name, text, most);
    exit(EXIT_USAGE);
  }
  return (int)value;
}

static void need(int result, const char *doing) {
  if (result < 0) {
    fprintf(stderr, "ref_uv: %s: %s\n", doing, uv_strerror(result));
    exit(EXIT_FAILURE);
  }
}
